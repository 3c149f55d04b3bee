/* kernels.h - the one place where speed is bought with complexity.
 *
 * Plain functions on plain memory, run by one thread; they know nothing of tensors. */
#ifndef LINEAGE_KERNELS_H
#define LINEAGE_KERNELS_H

#include <stdbool.h>

/* A matrix seen through strides: element (i, j) is data[i * row + j * column]. Swapping the
 * two strides transposes it. */
typedef struct {
    float *data;
    long row, column;
} Matrix;

/* What begins at that row and column of it. */
static inline Matrix matrix_at(Matrix m, long row, long column)
{
    if (m.data)
        m.data += row * m.row + column * m.column;
    return m;
}

/* C = A B, or C += A B: (M, K) x (K, N) -> (M, N), any strides. Each element is summed
 * in the order of K whatever part of the matrix is asked for, as long as the part begins
 * at a multiple of kernel_row_grain and kernel_column_grain: that is how threads may
 * divide it. */
void kernel_matmul(long M, long N, long K, Matrix a, Matrix b, Matrix c, bool accumulate);
extern const long kernel_row_grain, kernel_column_grain;

/* C = A B + bias, which is added to each row: (N). */
void kernel_affine(long M, long N, long K, Matrix a, Matrix b, const float *bias, Matrix c);

/* The same for one contiguous row of A and a B that is contiguous along K, as the logits of
 * the next token are: dot products, for packing would cost more than it brings. */
void kernel_row_product(long N, long K, const float *a, Matrix b, Matrix c,
                        bool accumulate);

float kernel_sum(long n, const float *x);
float kernel_dot(long n, const float *x, const float *y);
float kernel_max(long n, const float *x); /* -infinity when n is 0 */

/* out = exp(x - shift); returns the sum of it. */
float kernel_exp_sum(long n, float *out, const float *x, float shift);

#endif
