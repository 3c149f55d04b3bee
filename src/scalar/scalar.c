/* scalar.c - numbers that know their gradients. */
#include "scalar/scalar.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>

/* Numbers never move, because others point at them: they live in blocks of a fixed size,
 * and only the list of blocks grows. */
enum { BLOCK = 1024 };

typedef struct Array Array;
struct Array {
    Array *next;
    long made_at; /* how many numbers there were */
    Scalar *at[];
};

struct Scalars {
    Scalar **block;
    long blocks, count;
    Array *arrays;
};

Scalars *scalars_new(void)
{
    return allocate(1, sizeof(Scalars));
}

void scalars_rewind(Scalars *tape, long count)
{
    for (Array *next; tape->arrays && tape->arrays->made_at >= count; tape->arrays = next) {
        next = tape->arrays->next;
        free(tape->arrays);
    }
    tape->count = count;
}

void scalars_free(Scalars *tape)
{
    scalars_rewind(tape, 0);
    for (long i = 0; i < tape->blocks; i++)
        free(tape->block[i]);
    free(tape->block);
    free(tape);
}

long scalars_count(const Scalars *tape)
{
    return tape->count;
}

static Scalar *at(const Scalars *tape, long i)
{
    return &tape->block[i / BLOCK][i % BLOCK];
}

static void grow(Scalars *tape)
{
    size_t size = (size_t)(tape->blocks + 1) * sizeof *tape->block;
    Scalar **larger = realloc(tape->block, size);
    if (!larger)
        out_of_memory(size, "the list of blocks of scalars");
    tape->block = larger;
    tape->block[tape->blocks++] = allocate(BLOCK, sizeof(Scalar));
}

/* The one way in which numbers come to be: a value, and how it changes with its inputs. */
static Scalar *record(Scalars *tape, double value, Scalar *a, double slope_a, Scalar *b,
                      double slope_b)
{
    if (tape->count == tape->blocks * BLOCK)
        grow(tape);
    Scalar *s = at(tape, tape->count++);
    *s = (Scalar){value, 0, {a, b}, {slope_a, slope_b}, tape};
    return s;
}

static Scalar *unary(Scalar *a, double value, double slope)
{
    return record(a->tape, value, a, slope, NULL, 0);
}

static Scalar *binary(Scalar *a, Scalar *b, double value, double slope_a, double slope_b)
{
    if (a->tape != b->tape)
        misuse("scalar: the two numbers are on different tapes");
    return record(a->tape, value, a, slope_a, b, slope_b);
}

Scalar *s_new(Scalars *tape, double value)
{
    return record(tape, value, NULL, 0, NULL, 0);
}

Scalar **s_array(Scalars *tape, long n)
{
    Array *array = allocate(1, sizeof *array + (size_t)n * sizeof array->at[0]);
    array->next = tape->arrays;
    array->made_at = tape->count;
    tape->arrays = array;
    return array->at;
}

Scalar *s_add(Scalar *a, Scalar *b)
{
    return binary(a, b, a->value + b->value, 1, 1);
}

Scalar *s_sub(Scalar *a, Scalar *b)
{
    return binary(a, b, a->value - b->value, 1, -1);
}

Scalar *s_mul(Scalar *a, Scalar *b)
{
    return binary(a, b, a->value * b->value, b->value, a->value);
}

Scalar *s_div(Scalar *a, Scalar *b)
{
    double quotient = a->value / b->value;
    return binary(a, b, quotient, 1 / b->value, -quotient / b->value);
}

Scalar *s_max(Scalar *a, Scalar *b)
{
    int first = a->value >= b->value;
    return binary(a, b, first ? a->value : b->value, first, !first);
}

Scalar *s_plus(Scalar *a, double b)
{
    return unary(a, a->value + b, 1);
}

Scalar *s_times(Scalar *a, double b)
{
    return unary(a, a->value * b, b);
}

Scalar *s_pow(Scalar *a, double exponent)
{
    return unary(a, pow(a->value, exponent), exponent * pow(a->value, exponent - 1));
}

Scalar *s_neg(Scalar *a)
{
    return unary(a, -a->value, -1);
}

Scalar *s_exp(Scalar *a)
{
    double e = exp(a->value);
    return unary(a, e, e);
}

Scalar *s_log(Scalar *a)
{
    return unary(a, log(a->value), 1 / a->value);
}

Scalar *s_sqrt(Scalar *a)
{
    double root = sqrt(a->value);
    return unary(a, root, 0.5 / root);
}

Scalar *s_tanh(Scalar *a)
{
    double t = tanh(a->value);
    return unary(a, t, 1 - t * t);
}

Scalar *s_sigmoid(Scalar *a)
{
    double s = 1 / (1 + exp(-a->value));
    return unary(a, s, s * (1 - s));
}

Scalar *s_relu(Scalar *a)
{
    return unary(a, a->value > 0 ? a->value : 0, a->value > 0);
}

Scalar *s_erf(Scalar *a)
{
    double two_over_root_pi = 1.1283791670955126;
    return unary(a, erf(a->value), two_over_root_pi * exp(-a->value * a->value));
}

/* Numbers were recorded after everything they depend on. Backwards, therefore, each has
 * received all of its gradient by the time its turn comes to hand it on. */
void s_backward(Scalar *result)
{
    Scalars *tape = result->tape;
    for (long i = 0; i < tape->count; i++)
        at(tape, i)->grad = 0;

    result->grad = 1;
    for (long i = tape->count - 1; i >= 0; i--) {
        Scalar *s = at(tape, i);
        if (s->grad == 0)
            continue; /* 0 times an infinite slope would be no number */
        for (int k = 0; k < 2; k++)
            if (s->input[k])
                s->input[k]->grad += s->grad * s->slope[k];
    }
}
