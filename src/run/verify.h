/* verify.h - the mechanism of a chapter, computed in scalars and in tensors, side by side.
 *
 * A chapter's spec.c writes its mechanism once more from the paper's equation, one number
 * at a time, and its compare.c runs both on a small example. `build/chapter-NN verify` shows
 * every value and every gradient twice. */
#ifndef LINEAGE_VERIFY_H
#define LINEAGE_VERIFY_H

#include "nn/nn.h"
#include "scalar/grid.h"

/* Numbers for an example that are larger than those that a model begins with, so that there
 * is something to see: element j of tensor `number` becomes sin(1 + 7 number + 3 j). */
void verify_fill(Tensor *x, int number);
void verify_fill_all(Params *params);

/* Scalars with the values of x, row by row; the tape owns the array. */
Scalar **verify_scalars(Scalars *tape, const Tensor *x);

/* The same as a matrix with the rows of x; a vector is one row. */
Grid verify_grid(Scalars *tape, const Tensor *x);

/* Numbers of the scalar engine that are the elements of a tensor, row by row. */
typedef struct {
    const char *name;
    Scalar **scalar;
    const Tensor *tensor;
} Twin;

/* Prints what both engines say of each value and, where the tensor has one, of its
 * gradient; then the verdict. True if nothing differs by more than 1e-5 of the largest
 * entry of its array, and nothing is NaN or infinite. */
bool verify_twins(const Twin *twins, int count);

#endif
