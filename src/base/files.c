/* files.c - reading a file whole, and replacing one without ever leaving half of it. */
#include "base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* Reads until the end rather than trusting a size, so that pipes can be read as well. */
static char *read_stream(FILE *stream, long *size)
{
    size_t capacity = 1 << 16, length = 0;
    char *bytes = allocate(capacity, 1);
    for (;;) {
        length += fread(bytes + length, 1, capacity - 1 - length, stream);
        if (length < capacity - 1)
            break;
        capacity *= 2;
        char *larger = realloc(bytes, capacity);
        if (!larger)
            out_of_memory(capacity, "a file");
        bytes = larger;
    }
    bytes[length] = 0;
    *size = (long)length;
    return bytes;
}

char *file_read(const char *path, long *size, Error *error)
{
    struct stat status;
    FILE *stream = fopen(path, "rb");
    if (!stream || fstat(fileno(stream), &status) != 0) {
        fail(error, "cannot read %s: %s", path, strerror(errno));
        if (stream)
            fclose(stream);
        return NULL;
    }
    if (S_ISDIR(status.st_mode)) {
        fail(error, "cannot read %s: it is a folder, not a file", path);
        fclose(stream);
        return NULL;
    }
    char *bytes = read_stream(stream, size);
    if (ferror(stream)) {
        fail(error, "cannot read %s: %s", path, strerror(errno));
        free(bytes);
        bytes = NULL;
    }
    fclose(stream);
    return bytes;
}

bool folder_make(const char *path, Error *error)
{
    char part[1024];
    if (strlen(path) >= sizeof part)
        return fail(error, "the name of the folder is too long: %.80s...", path);
    for (size_t i = 0; i <= strlen(path); i++) {
        if (i == 0 || (path[i] != '/' && path[i] != 0))
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return fail(error, "cannot make the folder %s: %s", path, strerror(errno));
    }
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return fail(error, "cannot make the folder %s: a file of that name is in the way",
                    path);
    return true;
}

bool newfile_open(NewFile *file, const char *path, Error *error)
{
    struct stat status;
    if (strlen(path) >= sizeof file->path)
        return fail(error, "the name of the file is too long: %.80s...", path);
    bool direct = stat(path, &status) == 0 && !S_ISREG(status.st_mode);
    strcpy(file->path, path);
    snprintf(file->beside, sizeof file->beside, "%s%s", path, direct ? "" : ".new");
    file->stream = fopen(file->beside, "wb");
    if (!file->stream)
        return fail(error, "cannot write %s: %s", path, strerror(errno));
    return true;
}

void newfile_drop(NewFile *file)
{
    fclose(file->stream);
    if (strcmp(file->path, file->beside) != 0)
        unlink(file->beside);
}

bool newfile_commit(NewFile *file, Error *error)
{
    bool direct = strcmp(file->path, file->beside) == 0;
    /* Flushing first tries again what failed before, and so finds the reason again. */
    bool written = fflush(file->stream) == 0 && !ferror(file->stream) &&
                   (direct || fsync(fileno(file->stream)) == 0);
    int reason = errno ? errno : EIO;
    if (!written) {
        newfile_drop(file);
        return fail(error, "cannot write %s: %s", file->path, strerror(reason));
    }
    if (fclose(file->stream) != 0 || (!direct && rename(file->beside, file->path) != 0)) {
        reason = errno;
        if (!direct)
            unlink(file->beside);
        return fail(error, "cannot write %s: %s", file->path, strerror(reason));
    }
    return true;
}
