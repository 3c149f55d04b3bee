/* chapters.c - what the suites of the chapters share. */
#include "chapters.h"
#include "base/files.h"
#include "suite.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint32_t fixture_hash(uint32_t t, uint32_t i)
{
    uint32_t h = 1000003u * t + i;
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return h ^ (h >> 16);
}

Safetensors *open_file(const char *path)
{
    Error error;
    Safetensors *file = safetensors_open(path, &error);
    ck_assert_msg(file != NULL, "%s", error.text);
    return file;
}

float *floats_of(const Safetensors *file, const char *name, long *size)
{
    Error error;
    const SafeTensor *t = safetensors_find(file, name);
    ck_assert_msg(t != NULL, "there is no %s", name);
    float *values = allocate((size_t)t->size, sizeof *values);
    ck_assert(safetensors_to_floats(t, values, &error));
    *size = t->size;
    return values;
}

double largest(const float *x, long n)
{
    double most = 0;
    for (long i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

void assert_near(const float *a, const float *b, long n, double tolerance, const char *what)
{
    for (long i = 0; i < n; i++)
        ck_assert_msg(fabs((double)a[i] - (double)b[i]) <= tolerance, "%s[%ld]: %g and %g",
                      what, i, (double)a[i], (double)b[i]);
}

void assert_runs(const char *format, ...)
{
    char command[2048], output[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    int status = run_command(output, sizeof output, "%s", command);
    ck_assert_msg(status == 0, "%s: %s", command, output);
}

void assert_refusal(const char *program, const char *sentence, const char *format, ...)
{
    char arguments_text[1024], output[4096], name[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(arguments_text, sizeof arguments_text, format, arguments);
    va_end(arguments);
    int status = run_command(output, sizeof output, "%s %s </dev/null", program,
                             arguments_text);
    ck_assert_msg(status == 1, "status %d: %s: %s", status, arguments_text, output);
    assert_contains(output, sentence);
    snprintf(name, sizeof name, "%s: ", strrchr(program, '/') + 1);
    ck_assert_msg(strncmp(output, name, strlen(name)) == 0 &&
                      strchr(output, '\n') == output + strlen(output) - 1,
                  "not one line: %s", output);
}

void assert_same_file(const char *a, const char *b)
{
    Error error;
    long n, m;
    char *left = file_read(a, &n, &error), *right = file_read(b, &m, &error);
    ck_assert_msg(left && right, "%s", error.text);
    ck_assert_int_eq(n, m);
    ck_assert_mem_eq(left, right, (size_t)n);
    free(left), free(right);
}

void assert_same_log(const char *a, const char *b)
{
    assert_runs("cut -d, -f1,2,4- %s > %s; cut -d, -f1,2,4- %s | cmp - %s", a,
                scratch("cut"), b, scratch("cut"));
}
