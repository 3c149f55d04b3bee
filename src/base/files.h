/* files.h - reading a file whole, and replacing one without ever leaving half of it. */
#ifndef LINEAGE_FILES_H
#define LINEAGE_FILES_H

#include "base/error.h"
#include <stdio.h>

/* The bytes of a file, followed by a zero that is not counted; the caller frees them.
 * NULL with a sentence when the file is missing, a folder, or cannot be read. */
char *file_read(const char *path, long *size, Error *error);

bool file_exists(const char *path);

/* Makes a folder and those above it, as far as they are missing. */
bool folder_make(const char *path, Error *error);

/* A file in the making. It is written under another name beside its target and renamed
 * when complete, so that the target is always either the old file or the new one. A
 * target that exists and is no regular file (a device, a pipe) is written directly. */
typedef struct {
    FILE *stream; /* write here */
    char path[1024], beside[1040];
} NewFile;

bool newfile_open(NewFile *file, const char *path, Error *error);

/* Flushes to the disk and renames. On failure what was written is removed, the target is
 * as before, and the sentence names it. */
bool newfile_commit(NewFile *file, Error *error);

/* Gives up: removes what was written so far. */
void newfile_drop(NewFile *file);

#endif
