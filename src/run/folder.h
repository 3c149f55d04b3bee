/* folder.h - the folder of a run: one run at a time, and an old one is set aside whole. */
#ifndef LINEAGE_FOLDER_H
#define LINEAGE_FOLDER_H

#include "base/error.h"

/* Makes the folder and locks it for a run until folder_unlock or the end of this process,
 * however it ends; then clears up after a run that was killed: what it was writing is
 * removed, and what it was setting aside is put back. Returns the lock, or -1 with a
 * sentence when another run holds it. Reading the files needs no lock. */
int folder_lock(const char *folder, Error *error);
void folder_unlock(int lock);

/* If the folder holds a run, one with a state, moves it into previous/, so that hours of
 * training are not lost by a command given in haste. Of several old runs only the last is
 * kept. Killed at any moment and locked again, the folder holds either the whole run or
 * none, and then previous/ holds it whole. False with a sentence; nothing has been moved
 * then. */
bool folder_set_aside(const char *folder, Error *error);

#endif
