/* files.c - reading a file whole, and replacing one without ever leaving half of it. */
#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST_PATH = 1000, MOST_LINKS = 40 };

bool file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* Reads until the end rather than trusting a size, so that pipes can be read as well. NULL
 * when there is no memory for *capacity bytes, which begins as what is expected. */
static char *read_stream(FILE *stream, long *size, size_t *capacity)
{
    size_t most = physical_memory() / 2, length = 0;
    char *bytes = NULL;
    for (;; *capacity *= 2) {
        char *larger = *capacity <= most ? realloc(bytes, *capacity) : NULL;
        if (!larger) {
            free(bytes);
            return NULL;
        }
        bytes = larger;
        length += fread(bytes + length, 1, *capacity - 1 - length, stream);
        if (length < *capacity - 1)
            break;
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
    size_t capacity = 1 << 16;
    if (S_ISREG(status.st_mode) && (size_t)status.st_size > capacity - 2)
        capacity = (size_t)status.st_size + 2; /* one for the zero, one to see the end */
    char *bytes = read_stream(stream, size, &capacity);
    if (!bytes) {
        fail(error, "cannot read %s: %.0f MB are more than there is memory for", path,
             (double)capacity / 1e6);
    } else if (ferror(stream)) {
        fail(error, "cannot read %s: %s", path, strerror(errno));
        free(bytes);
        bytes = NULL;
    }
    fclose(stream);
    return bytes;
}

bool folder_make(const char *path, Error *error)
{
    char part[LONGEST_PATH + 1];
    if (strlen(path) > LONGEST_PATH)
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

/* ---- Replacing ---- */

/* The files in the making. A program that runs out of memory in the middle of one ends by
 * exit(), which removes them. */
static NewFile *unfinished;

static void remove_unfinished(void)
{
    for (const NewFile *file = unfinished; file; file = file->next)
        if (file->beside)
            unlink(file->beside);
}

static void remember(NewFile *file)
{
    static bool registered;
    if (!registered)
        registered = atexit(remove_unfinished) == 0;
    file->next = unfinished;
    unfinished = file;
}

static void forget(NewFile *file)
{
    NewFile **at = &unfinished;
    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    free(file->path);
    free(file->target);
    free(file->beside);
}

__attribute__((format(printf, 1, 2))) static char *text_of(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t size = (size_t)vsnprintf(NULL, 0, format, arguments) + 1;
    char *text = allocate(size, 1);
    vsnprintf(text, size, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

/* How much of a path is its folder: all up to the last slash, that included. */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

/* Where a path leads by way of symbolic links, whether there is a file or not; the caller
 * frees it. NULL with errno. */
static char *resolved(const char *path)
{
    struct stat status;
    char *at = text_of("%s", path);
    for (int i = 0; lstat(at, &status) == 0 && S_ISLNK(status.st_mode); i++) {
        char target[LONGEST_PATH + 1];
        ssize_t length = readlink(at, target, sizeof target - 1);
        if (length < 0 || length == (ssize_t)sizeof target - 1 || i == MOST_LINKS) {
            errno = length < 0 ? errno : i == MOST_LINKS ? ELOOP : ENAMETOOLONG;
            free(at);
            return NULL;
        }
        target[length] = 0;
        char *next = text_of("%.*s%s", target[0] == '/' ? 0 : folder_length(at), at,
                             target);
        free(at);
        at = next;
    }
    return at;
}

/* Gives a new file the owner, the group and the mode of the old one. Who may not give files
 * away keeps the group at least; where not even that, what the mode allows the group would
 * be for other people than before, and is dropped. A file system without modes has none to
 * keep. */
static void keep_rights(int file, const struct stat *old)
{
    struct stat now;
    mode_t kept = 0707;
    if (fstat(file, &now) == 0 && now.st_uid == old->st_uid && now.st_gid == old->st_gid)
        kept = 07777;
    else if (fchown(file, old->st_uid, old->st_gid) == 0)
        kept = 07777;
    else if (fchown(file, (uid_t)-1, old->st_gid) == 0)
        kept = 0777;
    if (fchmod(file, old->st_mode & kept) != 0)
        errno = 0;
}

/* Opens a file of a name that nobody has beside the target; NULL with errno. What replaces
 * a file is for its writer alone until it has the rights of the old one. */
static FILE *open_beside(NewFile *file)
{
    struct stat old;
    bool replaces = stat(file->target, &old) == 0;
    int descriptor = -1;
    for (int i = 0; descriptor < 0; i++) {
        free(file->beside);
        file->beside = text_of("%s.new-%ld-%d", file->target, (long)getpid(), i);
        descriptor = open(file->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                          replaces ? 0600 : 0666);
        if (descriptor < 0 && errno != EEXIST)
            return NULL;
    }
    if (replaces)
        keep_rights(descriptor, &old);
    FILE *stream = fdopen(descriptor, "wb");
    if (!stream) {
        unlink(file->beside);
        close(descriptor);
    }
    return stream;
}

bool newfile_open(NewFile *file, const char *path, Error *error)
{
    struct stat status;
    if (strlen(path) > LONGEST_PATH)
        return fail(error, "the name of the file is too long: %.80s...", path);
    *file = (NewFile){.path = text_of("%s", path), .target = resolved(path)};
    remember(file);
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        file->stream = fopen(path, "wb");
    else if (file->target)
        file->stream = open_beside(file);
    if (!file->stream) {
        fail(error, "cannot write %s: %s", path, strerror(errno));
        forget(file);
        return false;
    }
    return true;
}

void newfile_drop(NewFile *file)
{
    fclose(file->stream);
    if (file->beside)
        unlink(file->beside);
    forget(file);
}

/* Makes a rename in the folder of `path` last. Who may not read the folder cannot do that,
 * and some file systems know no such thing. */
static bool sync_folder(const char *path)
{
    int length = folder_length(path);
    char *folder = length ? text_of("%.*s", length, path) : text_of(".");
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (descriptor < 0)
        return true;
    bool synced = fsync(descriptor) == 0 || errno == EINVAL;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return synced;
}

bool newfile_commit(NewFile *file, Error *error)
{
    /* Flushing first tries again what failed before, and so finds the reason again. */
    bool written = fflush(file->stream) == 0 && !ferror(file->stream) &&
                   (!file->beside || fsync(fileno(file->stream)) == 0);
    int reason = errno ? errno : EIO;
    if (fclose(file->stream) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written && file->beside) {
        written = rename(file->beside, file->target) == 0 && sync_folder(file->target);
        reason = errno;
    }
    if (!written) {
        fail(error, "cannot write %s: %s", file->path, strerror(reason));
        if (file->beside)
            unlink(file->beside);
    }
    forget(file);
    return written;
}

void newfile_sweep(const char *path)
{
    char *target = resolved(path);
    if (!target)
        return;
    int length = folder_length(target);
    char *folder = length ? text_of("%.*s", length, target) : text_of(".");
    char *start = text_of("%s.new-", target + length);
    DIR *entries = opendir(folder);
    for (const struct dirent *e; entries && (e = readdir(entries));)
        if (strncmp(e->d_name, start, strlen(start)) == 0)
            unlinkat(dirfd(entries), e->d_name, 0);
    if (entries)
        closedir(entries);
    free(start);
    free(folder);
    free(target);
}
