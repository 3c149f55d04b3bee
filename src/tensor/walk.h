/* walk.h - going through n-dimensional arrays element by element, several at a time.
 *
 * All element-wise work of the library comes down to one picture: rows of floats go into a
 * small function, and a row comes out. Broadcasting, transposed views, sums over dimensions
 * and the gradients of all three are a matter of strides, and strides are dealt with here:
 * a row function only ever sees contiguous rows. */
#ifndef LINEAGE_WALK_H
#define LINEAGE_WALK_H

#include "tensor/tensor.h"
#include "tensor/vector.h"

/* out[i] = f(in[0][i], in[1][i], ...; constant) for i < n. */
typedef void RowFunction(long n, float *out, const float *const in[], float constant);

/* Writes a row function from an expression over vectors; IN(j) is input j, `constant` the
 * constant. The tail of a row goes through the same expression. */
#define IN(j) v_load_some(in[j] + i, m)
#define ROW_FUNCTION(name, expression)                                            \
    static void name(long n, float *out, const float *const in[], float constant) \
    {                                                                             \
        (void)constant;                                                           \
        long i = 0;                                                               \
        for (const long m = LANES; i + m <= n; i += m)                            \
            v_store(out + i, (expression));                                       \
        if (i < n) {                                                              \
            const long m = n - i;                                                 \
            v_store_some(out + i, (expression), m);                               \
        }                                                                         \
    }

typedef struct {
    float *data;
    const long *stride; /* one for each dimension of the shape; 0 repeats, or sums */
} Walked;

enum { WALK_INPUTS = 4 };

/* Applies f over a shape. `add` adds to what is in `out` instead of replacing it, and then
 * a stride of 0 in `out` sums, in a fixed order: the number of threads does not matter.
 * `out` must not overlap an input unless it is the same array read the same way. */
void walk(int rank, const int *shape, RowFunction *f, float constant, Walked out, bool add,
          int inputs, const Walked *in);

/* The row function that copies. */
void row_copy(long n, float *out, const float *const in[], float constant);

#endif
