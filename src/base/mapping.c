/* mapping.c - a file in memory that is read by the system as it is used. */
#include "base/mapping.h"
#include "base/files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* False where this file cannot be mapped; whether it can be read remains to be seen. A pipe
 * is not even opened: who writes to it would think that its reader has come and gone. */
static bool map(Mapping *mapping, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    void *bytes = MAP_FAILED;
    if (fstat(file, &status) == 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (bytes == MAP_FAILED)
        return false;
    *mapping = (Mapping){bytes, (long)status.st_size, true};
    return true;
}

bool mapping_open(Mapping *mapping, const char *path, Error *error)
{
    *mapping = (Mapping){0};
    if (map(mapping, path))
        return true;
    mapping->bytes = file_read(path, &mapping->size, error);
    return mapping->bytes != NULL;
}

void mapping_close(Mapping *mapping)
{
    if (mapping->mapped)
        munmap(mapping->bytes, (size_t)mapping->size);
    else
        free(mapping->bytes);
    *mapping = (Mapping){0};
}
