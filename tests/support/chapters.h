/* chapters.h - what the suites of the chapters share: files of numbers, and programs that
 * are run. */
#ifndef LINEAGE_CHAPTERS_H
#define LINEAGE_CHAPTERS_H

#include "weights/safetensors.h"
#include <stdint.h>

/* Weights that a fixture need not contain, because Python can make the same: number i of
 * tensor t is made of this. */
uint32_t fixture_hash(uint32_t t, uint32_t i);

/* Opens a file that must be there. */
Safetensors *open_file(const char *path);

/* The numbers of a tensor that must be there; the caller frees them. */
float *floats_of(const Safetensors *file, const char *name, long *size);

double largest(const float *x, long n); /* without the sign */
void assert_near(const float *a, const float *b, long n, double tolerance,
                 const char *what);

/* Runs a shell command that must succeed. */
void assert_runs(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs a program that must refuse: with status 1, and one line that begins with the name of
 * the program and contains the sentence. */
void assert_refusal(const char *program, const char *sentence, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void assert_same_file(const char *a, const char *b);

/* Two logs of runs, but for the seconds. */
void assert_same_log(const char *a, const char *b);

#endif
