/* verify.h - the mechanism of a chapter, computed in scalars and in tensors, side by side.
 *
 * A chapter's spec.c writes its mechanism once more from the paper's equation, one number
 * at a time. `build/chapter-NN verify` runs both on a small example and shows every value
 * and every gradient twice. */
#ifndef LINEAGE_VERIFY_H
#define LINEAGE_VERIFY_H

#include "scalar/scalar.h"
#include "tensor/tensor.h"

/* Scalars with the values of x, row by row; the tape owns the array. */
Scalar **verify_scalars(Scalars *tape, const Tensor *x);

/* Numbers of the scalar engine that are the elements of a tensor, row by row. */
typedef struct {
    const char *name;
    Scalar **scalar;
    const Tensor *tensor;
} Twin;

/* Prints what both engines say of each value and, where the tensor has one, of its
 * gradient; then the verdict. True if nothing differs by more than 1e-5 of the largest
 * entry of its array. */
bool verify_twins(const Twin *twins, int count);

#endif
