/* packed.h - weights of 16 bits, read where they lie in a file.
 *
 * A model that only samples is bound by memory: for each token every weight is read once,
 * and used once. Half the bytes are then almost twice the speed. Two formats of 16 bits are
 * common: F16 is IEEE's binary16, a sign, 5 bits of exponent and 10 of fraction; BF16 is
 * the upper half of a float, with its 8 bits of exponent and 7 of fraction. Both become
 * floats exactly; sums are made in floats. */
#ifndef LINEAGE_PACKED_H
#define LINEAGE_PACKED_H

#include "tensor/kernels.h"
#include "tensor/op.h"

typedef enum Packing Packing;

/* ---- Parameters whose numbers come from elsewhere ---- */

/* A parameter that does not learn and whose numbers come later, by t_lend or t_own; views
 * may be taken before. To use it without numbers is a mistake. */
Tensor *t_waiting(int rank, const int *shape);

/* Its numbers from now on: `packing` says what `numbers` points to, floats or 16 bits each,
 * contiguous, which must outlive x and are only read. Its views follow. */
void t_lend(Tensor *x, Packing packing, const void *numbers);

/* Makes sure that it has floats of its own, to be written; their values are lost where they
 * were not so before. */
float *t_own(Tensor *x);

/* Aborts in the name of an operation that needs floats if x has none. */
void t_need_floats(const Tape *tape, const char *name, const Tensor *x);

/* ---- Products ---- */

/* op_new for an operation that can read input number `packed` where it is packed. */
Op *op_new_packed(const char *name, void (*backward)(Op *), int inputs,
                  Tensor *const *input, int packed);

/* A matrix seen through strides, as Matrix is. */
typedef struct {
    const uint16_t *data;
    long row, column;
    Packing packing;
} PackedMatrix;

/* n numbers as floats. */
void kernel_expand(Packing packing, long n, const uint16_t *from, float *to);

/* c = a B + bias, the latter where there is one: (K) x (K, N) + (N) -> (N). B is contiguous
 * along its rows or along its columns. Sums do not depend on which part of the columns is
 * asked for, as long as it begins at a multiple of kernel_column_grain. */
void kernel_packed_row(long N, long K, const float *a, PackedMatrix b, const float *bias,
                       float *c);

/* The same for many rows, (M, K) x (K, N) + (N) -> (M, N): B is expanded a block at a
 * time. */
void kernel_packed_matmul(long M, long N, long K, Matrix a, PackedMatrix b,
                          const float *bias, Matrix c);

/* y = x w + bias, the latter where there is one, for the operation that made y; w is packed
 * and has two dimensions. By all threads together. */
void multiply_packed(Op *op, Tensor *y, Tensor *x, const Tensor *w, const Tensor *bias);

#endif
