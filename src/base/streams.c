/* streams.c - the three streams that a program begins with. */
#include "base/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* open() takes the lowest number that is free, which is the one that was found closed. */
void streams_open(void)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) != i)
            return; /* a system without /dev/null: stderr may be closed, too */
}

/* Flushing tries again what failed before, and so finds the reason again; if it does not
 * fail a second time, something was lost all the same. */
bool streams_flush(Error *error)
{
    errno = 0;
    bool lost = ferror(stdout), flushed = fflush(stdout) == 0;
    if (flushed && !lost)
        return true;
    return fail(error, "what was printed did not all arrive: %s",
                errno ? strerror(errno) : "stdout failed");
}
