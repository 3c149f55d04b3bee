/* error.h - two kinds of trouble, and one way to speak of each.
 *
 * Troubles of the world (a missing file, a bad option, a full disk) are returned: a
 * function takes an `Error *`, writes one sentence into it with fail(), and returns false
 * or NULL. Only main() prints the sentence and ends the program.
 *
 * Mistakes of the programmer (shapes that do not fit, a tape used twice) abort on the
 * spot with misuse(): there is nothing sensible to return to. */
#ifndef LINEAGE_ERROR_H
#define LINEAGE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char text[1024]; /* one sentence, without a newline; "" while all is well */
} Error;

/* Writes the sentence, printf style, cut to fit. Always returns false, so that a function
 * can say `return fail(error, ...)`. */
bool fail(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the sentence: who was speaking. Always returns false. */
bool fail_within(Error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts more after the sentence: what to do about it. Always returns false. */
bool fail_after(Error *error, const char *more);

/* A mistake in the program: flushes stdout, prints the sentence to stderr and aborts. */
_Noreturn void misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For what cannot fail: a failure all the same is a mistake in the program. */
void must(bool done, const Error *error);

/* Memory, zeroed, that one cannot do without. When there is none the program ends with a
 * sentence and status 1. The caller frees it with free(). */
void *allocate(size_t count, size_t size);

/* The bytes of memory that this process can have: those of the machine, or fewer where it
 * was given a limit (ulimit -v). Asking for more is refused before it is asked for, because
 * a system that promises more than it has would later end the program without a word. */
size_t physical_memory(void);

/* Ends the program with the sentence "out of memory: ..." and status 1. Of several threads
 * that run out at once only the first speaks. */
_Noreturn void out_of_memory(size_t bytes, const char *what);

/* The same for memory that grows with the model and its batch. It adds what the program
 * said to do about that, "try a smaller --batch", if it did; the text must stay. */
_Noreturn void out_of_model_memory(size_t bytes, const char *what);
void model_memory_advice(const char *advice);

#endif
