/* shapes.h - what the files that make tensors and views share. */
#ifndef LINEAGE_SHAPES_H
#define LINEAGE_SHAPES_H

#include "tensor/tensor.h"

/* How many elements a shape has; a mistake in the name of `name` if it is none, or too
 * large. */
long shape_size(const Tape *tape, const char *name, int rank, const int *shape);

/* Gives x a shape, read row by row without a gap. */
void shape_set(Tensor *x, int rank, const int *shape);

#endif
