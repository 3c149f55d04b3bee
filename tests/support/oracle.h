/* oracle.h - holds an operation on tensors to its definition in scalars.
 *
 * The definition is written one number at a time (scalar.h, double precision). The oracle
 * feeds both the same random numbers, takes a random mixture of the results as the loss,
 * goes backward through both, and compares every value and every gradient: each must lie
 * within ORACLE_TOLERANCE of the definition's, relative to the largest entry of its array.
 *
 * What an operation reads may be a view. In scalars a view is only another list of names
 * for the same numbers, and so one comparison serves all: gradients of what was repeated
 * must be summed, and around a slice the gradient must stay exactly zero. */
#ifndef LINEAGE_ORACLE_H
#define LINEAGE_ORACLE_H

#include "scalar/scalar.h"
#include "tensor/op.h"

enum { MOST_INPUTS = 6, MOST_SETTINGS = 500, ORACLE_SEED = 20240229 };
#define ORACLE_TOLERANCE 1e-5

/* An n-dimensional array of scalars in the usual order, the last index running fastest. */
typedef struct {
    Scalars *tape;
    int rank, shape[MAX_RANK];
    long size;
    Scalar **at;
} Grid;

/* Gives the result of a definition its shape; its numbers are then to be filled in. */
#define grid_make(grid, ...) grid_make_of(grid, T_INTS(__VA_ARGS__))
void grid_make_of(Grid *grid, int rank, const int *shape);

/* The index of element number i. */
void grid_index(const Grid *grid, long i, int *index);

/* The element at an index of `rank` numbers. The grid broadcasts: dimensions are matched
 * from the last, and those of size 1 are repeated. */
Scalar *grid_at(const Grid *grid, int rank, const int *index);

typedef struct {
    int rank, size[MAX_RANK];
} Shape;
#define SHAPE(...)                                         \
    {                                                      \
        (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), \
        {                                                  \
            __VA_ARGS__                                    \
        }                                                  \
    }

/* Where the numbers of an input come from. */
typedef enum {
    NORMAL,
    POSITIVE,
    NOT_ZERO, /* at least 0.3 away from it: for a divisor, or a bend at 0 */
    KEEP      /* 0 or 1, and never a gradient */
} Domain;

/* What an operation asks of the way in which an input is stored. */
typedef enum {
    ANY_VIEW,
    ANY_BUT_CONSTANT_ROWS, /* a row of equal numbers has no gradient worth comparing */
    CONTIGUOUS_ROWS,
    CONTIGUOUS_WHOLE
} Form;

typedef struct OpCase OpCase;
struct OpCase {
    const char *name; /* that of the operation: "softmax" for t_softmax */
    int inputs;
    Shape shape[MOST_INPUTS];
    Domain domain[MOST_INPUTS];
    Form form[MOST_INPUTS];
    bool once; /* gives something else when called again */

    /* Arguments, for the two functions to use as they like. */
    int dimension;
    float number;
    Shape argument;

    Tensor *(*tensor)(const OpCase *c, Tape *tape, Tensor **in);
    void (*scalar)(const OpCase *c, const Grid *in, Grid *out);
};

typedef enum {
    CONTIGUOUS,
    PERMUTED,       /* stored with the dimensions in reverse order */
    SLICED,         /* lies inside a larger tensor */
    SPREAD,         /* every third number of a larger tensor */
    EXPANDED_FIRST, /* one entry of the first dimension, repeated */
    EXPANDED_LAST,
    EXPANDED_ADDED, /* only the last dimension, repeated by dimensions added in front */
    LAYOUTS
} Layout;

typedef enum { LEAF, PARAMETER, CONSTANT, OWNERS } Owner;

/* How the inputs are presented to the operation. */
typedef struct {
    Layout layout[MOST_INPUTS];
    Owner owner[MOST_INPUTS];
} Setting;

/* Compares in one setting. False with a sentence that names the worst deviation. */
bool oracle_agrees(const OpCase *c, const Setting *setting, Error *error);

/* Compares in settings that the case allows: all layouts, for all inputs together and for
 * each alone; and all mixtures of layouts and owners (parameters, leaves, and inputs without
 * gradient), of which MOST_SETTINGS are drawn, always the same, when there are more. False
 * with the sentence of the first that deviates. */
bool oracle_holds(const OpCase *c, Error *error);

/* The same, contiguous, with 1, 2 and 3 threads: values and gradients must agree with the
 * definition and, among each other, bit for bit. */
bool oracle_holds_on_threads(const OpCase *c, Error *error);

/* The element at an index, with the strides of x. */
float element(const Tensor *x, const int *index);

/* What is printed to stderr by a function that makes a mistake: it is run in a process of
 * its own, which must abort. The text is overwritten by the next call. */
const char *mistake_text(void (*mistake)(void));

#endif
