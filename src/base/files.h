/* files.h - reading a file whole, and replacing one without ever leaving half of it. */
#ifndef LINEAGE_FILES_H
#define LINEAGE_FILES_H

#include "base/error.h"
#include <stdio.h>

/* The bytes of a file, followed by a zero that is not counted; the caller frees them.
 * NULL with a sentence when the file is missing, a folder, cannot be read, or is too large:
 * half of the memory must be left for what is made of it. */
char *file_read(const char *path, long *size, Error *error);

bool file_exists(const char *path);

/* Makes a folder and those above it, as far as they are missing. */
bool folder_make(const char *path, Error *error);

/* A file in the making. It is written under another name beside its target and renamed
 * when complete, so that the target is always either the old file or the new one. A new
 * file has the mode of the old one and, as far as this process may give files away, its
 * owner. A symbolic link is followed. What exists and is no regular file (a device, a pipe)
 * is written directly. Ended by newfile_commit or newfile_drop; when the program ends
 * before, what was written is removed. */
typedef struct NewFile {
    FILE *stream; /* write here */

    /* For files.c only. */
    char *path, *target; /* as given; where it leads */
    char *beside;        /* the name until it is complete; NULL if written directly */
    struct NewFile *next;
} NewFile;

/* False with a sentence. On success *file must stay where it is until it is ended. */
bool newfile_open(NewFile *file, const char *path, Error *error);

/* Flushes to the disk and renames; afterwards neither a crash nor a power failure can bring
 * back the old file. On failure the sentence names the target, what was written is removed,
 * and the target is as before; only where the disk fails after the rename it is new. */
bool newfile_commit(NewFile *file, Error *error);

/* Gives up: removes what was written so far. */
void newfile_drop(NewFile *file);

/* Removes what writers of this file that were killed have left beside it. Only for who
 * knows that nobody is writing it now. */
void newfile_sweep(const char *path);

#endif
