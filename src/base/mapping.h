/* mapping.h - a file in memory that is read by the system as it is used.
 *
 * Weights are large and mostly read once in a row: mapped, they take the memory of one copy,
 * which all programs that read the file share, and only the parts that were used. */
#ifndef LINEAGE_MAPPING_H
#define LINEAGE_MAPPING_H

#include "base/error.h"

typedef struct {
    char *bytes;
    long size;
    bool mapped; /* otherwise read whole, as a pipe must be */
} Mapping;

/* The bytes of a file, to be read and not written, until mapping_close. Somebody who writes
 * into the file meanwhile changes them, or ends the program by making it shorter; to
 * replace it by another under its name, as newfile_commit does, changes nothing. False with
 * a sentence. */
bool mapping_open(Mapping *mapping, const char *path, Error *error);
void mapping_close(Mapping *mapping);

#endif
