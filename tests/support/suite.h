/* suite.h - what every test file begins with. */
#ifndef LINEAGE_SUITE_H
#define LINEAGE_SUITE_H

#include <check.h>
#undef fail /* ours, in error.h, is a function */
#include <stdlib.h>

/* The main of a suite: `SUITE("json", objects_keep_their_order, ...)`. Prints Check's
 * summary; the status is 1 when a test failed. `seconds` is what one test may take. */
#define SUITE(name, seconds, ...)                                                      \
    int main(void)                                                                     \
    {                                                                                  \
        const TTest *const tests[] = {__VA_ARGS__};                                    \
        return run_suite(name, seconds, tests, (int)(sizeof tests / sizeof tests[0])); \
    }

int run_suite(const char *name, double seconds, const TTest *const tests[], int count);

/* Fails unless `text` contains `part`; prints both. */
#define assert_contains(text, part) \
    ck_assert_msg(strstr(text, part), "\"%s\" is not in \"%s\"", part, text)

/* A fresh folder for the files of one test, removed with all in it by scratch_remove. */
const char *scratch_folder(void);
void scratch_remove(void);

/* "<scratch folder>/<name>"; the result is overwritten by the eighth call after it. */
const char *scratch(const char *name);

/* Writes `size` bytes to a file. */
void write_bytes(const char *path, const void *bytes, long size);

/* A file as text, which must be there; the caller frees it. */
char *text_of(const char *path);

/* Runs a shell command; returns its exit status (128 + the signal where one ended it).
 * What it printed, both streams together, is put into `output`, cut to `size`. */
int run_command(char *output, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
