/* error.c - two kinds of trouble, and one way to speak of each. */
#include "base/error.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

bool fail(Error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    for (char *c = error->text; *c;
         c++) /* names come from anywhere; a sentence is one line */
        if ((unsigned char)*c < ' ')
            *c = '?';
    return false;
}

bool fail_within(Error *error, const char *format, ...)
{
    char sentence[sizeof error->text], prefix[256];
    memcpy(sentence, error->text, sizeof sentence);

    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    return fail(error, "%s: %.*s", prefix, (int)(sizeof sentence - sizeof prefix),
                sentence);
}

bool fail_after(Error *error, const char *more)
{
    size_t length = strlen(error->text);
    snprintf(error->text + length, sizeof error->text - length, "%s", more);
    return false;
}

_Noreturn void misuse(const char *format, ...)
{
    fflush(stdout);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

void must(bool done, const Error *error)
{
    if (!done)
        misuse("%s", error->text);
}

void *allocate(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        out_of_memory(SIZE_MAX, "an array");
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        out_of_memory(count * size, "an array");
    return memory;
}

size_t physical_memory(void)
{
    struct rlimit limit;
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : SIZE_MAX;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < bytes)
        bytes = limit.rlim_cur;
    return bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

/* The first thread to come here goes on, and will end the program; all others wait for
 * that. */
static void be_the_first(void)
{
    static atomic_flag taken = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&taken))
        for (;;)
            pause();
}

_Noreturn static void end_without(size_t bytes, const char *what, const char *advice)
{
    be_the_first();
    fflush(stdout);
    fprintf(stderr, "out of memory: %.1f MB for %s cannot be had%s%s\n",
            (double)bytes / 1e6, what, advice ? "; " : "", advice ? advice : "");
    exit(1);
}

_Noreturn void out_of_memory(size_t bytes, const char *what)
{
    end_without(bytes, what, NULL);
}

static const char *model_advice;

void model_memory_advice(const char *advice)
{
    model_advice = advice;
}

_Noreturn void out_of_model_memory(size_t bytes, const char *what)
{
    end_without(bytes, what, model_advice);
}
