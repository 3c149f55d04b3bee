/* kernels_packed.c - products with weights of 16 bits, which are read where they are. */
#include "tensor/packed.h"
#include "tensor/scratch.h"
#include "tensor/vector.h"

/* As many numbers of 16 bits as a vector has lanes. */
typedef uint16_t H __attribute__((vector_size(2 * LANES)));
typedef int16_t HI __attribute__((vector_size(2 * LANES)));

static inline H h_load_some(const uint16_t *p, long n)
{
    H h = {0};
    memcpy(&h, p, (size_t)n * sizeof *p);
    return h;
}

/* The upper half of a float: move it there. */
static inline V expand_bf16(H h)
{
    return (V)(__builtin_convertvector(h, VU) << 16);
}

/* The exponent and the fraction go where a float has them, the sign is copied in front. The
 * exponent is biased by 15 here and by 127 there: the product makes up for that, for numbers
 * without a leading 1 as well. The largest exponent, of infinity and NaN, is all ones in
 * both. */
static inline V expand_f16(H h)
{
    VI bits = __builtin_convertvector((HI)h, VI) << 13 & (int)0x8fffffff;
    VI special = (bits & 31 << 23) == 31 << 23;
    return (V)((VI)((V)bits * 0x1p112f) | (special & 255 << 23));
}

/* `packing` is a constant wherever this is called. */
__attribute__((always_inline)) static inline V expand(const Packing packing, H h)
{
    return packing == PACKING_F16 ? expand_f16(h) : expand_bf16(h);
}

__attribute__((always_inline)) static inline V load(const Packing packing,
                                                    const uint16_t *p)
{
    return expand(packing, h_load_some(p, LANES));
}

__attribute__((always_inline)) static inline void
expand_all(const Packing packing, long n, const uint16_t *from, float *to)
{
    long i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(to + i, load(packing, from + i));
    if (i < n)
        v_store_some(to + i, expand(packing, h_load_some(from + i, n - i)), n - i);
}

void kernel_expand(Packing packing, long n, const uint16_t *from, float *to)
{
    if (packing == PACKING_F16)
        expand_all(PACKING_F16, n, from, to);
    else
        expand_all(PACKING_BF16, n, from, to);
}

/* ---- One row times a matrix that is contiguous along its columns ---- */

/* The products of a row with a column, still to be summed. Columns are read one after the
 * other, not several at once: memory is fastest where it is read in order. */
__attribute__((always_inline)) static inline V products(const Packing packing, long K,
                                                        const float *a, const uint16_t *b)
{
    V sum[4] = {0};
    long k = 0;
    for (; k + 4 * LANES <= K; k += 4 * LANES) {
        UNROLL
        for (int i = 0; i < 4; i++)
            sum[i] += v_load(a + k + i * LANES) * load(packing, b + k + i * LANES);
    }
    for (long n; k < K; k += n) {
        n = K - k < LANES ? K - k : LANES;
        sum[0] += v_load_some(a + k, n) * expand(packing, h_load_some(b + k, n));
    }
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

/* LANES columns end their sums at once, as in kernels.c. */
__attribute__((always_inline)) static inline void row_by_columns(const Packing packing,
                                                                 long N, long K,
                                                                 const float *a,
                                                                 PackedMatrix b, float *c)
{
    for (long j = 0; j < N; j += LANES) {
        long columns = N - j < LANES ? N - j : LANES;
        V sum[LANES] = {0};
        for (long i = 0; i < columns; i++)
            sum[i] = products(packing, K, a, b.data + (j + i) * b.column);
        v_transpose(sum);
        for (int i = 1; i < LANES; i++)
            sum[0] += sum[i];
        v_store_some(c + j, sum[0], columns);
    }
}

/* ---- One row times a matrix that is contiguous along its rows ---- */

enum { DEEP = 8 }; /* rows that are added at once */

/* c += the sum of `rows` rows, each times its number in a. */
__attribute__((always_inline)) static inline void
add_rows(const Packing packing, const int rows, long N, const float *a, const uint16_t *b,
         long b_row, float *c)
{
    long j = 0;
    for (; j + LANES <= N; j += LANES) {
        V sum = v_load(c + j);
        UNROLL
        for (int k = 0; k < rows; k++)
            sum += a[k] * load(packing, b + k * b_row + j);
        v_store(c + j, sum);
    }
    if (j == N)
        return;
    V sum = v_load_some(c + j, N - j);
    UNROLL
    for (int k = 0; k < rows; k++)
        sum += a[k] * expand(packing, h_load_some(b + k * b_row + j, N - j));
    v_store_some(c + j, sum, N - j);
}

__attribute__((always_inline)) static inline void
row_by_rows(const Packing packing, long N, long K, const float *a, PackedMatrix b, float *c)
{
    long k = 0;
    for (; k + DEEP <= K; k += DEEP)
        add_rows(packing, DEEP, N, a + k, b.data + k * b.row, b.row, c);
    for (; k < K; k++)
        add_rows(packing, 1, N, a + k, b.data + k * b.row, b.row, c);
}

void kernel_packed_row(long N, long K, const float *a, PackedMatrix b, const float *bias,
                       float *c)
{
    if (b.column == 1) {
        for (long j = 0; j < N; j++)
            c[j] = bias ? bias[j] : 0;
        if (b.packing == PACKING_F16)
            row_by_rows(PACKING_F16, N, K, a, b, c);
        else
            row_by_rows(PACKING_BF16, N, K, a, b, c);
        return;
    }
    if (b.packing == PACKING_F16)
        row_by_columns(PACKING_F16, N, K, a, b, c);
    else
        row_by_columns(PACKING_BF16, N, K, a, b, c);
    for (long j = 0; bias && j < N; j++)
        c[j] += bias[j];
}

/* ---- Many rows ---- */

enum { BLOCK_K = 256, BLOCK_COLUMNS = 192 }; /* of B: 192 KB as floats */

static long least(long a, long b)
{
    return a < b ? a : b;
}

/* A block of B, (K, N), as floats; it stays contiguous along what it was. */
static Matrix expand_block(long N, long K, PackedMatrix b, float *buffer)
{
    if (b.column == 1) {
        for (long k = 0; k < K; k++)
            kernel_expand(b.packing, N, b.data + k * b.row, buffer + k * BLOCK_COLUMNS);
        return (Matrix){buffer, BLOCK_COLUMNS, 1};
    }
    for (long j = 0; j < N; j++)
        kernel_expand(b.packing, K, b.data + j * b.column, buffer + j * BLOCK_K);
    return (Matrix){buffer, 1, BLOCK_K};
}

void kernel_packed_matmul(long M, long N, long K, Matrix a, PackedMatrix b,
                          const float *bias, Matrix c)
{
    float *buffer = scratch_take(BLOCK_K * BLOCK_COLUMNS * sizeof *buffer);
    for (long j = 0; j < N; j += BLOCK_COLUMNS)
        for (long k = 0; k == 0 || k < K; k += BLOCK_K) {
            long columns = least(BLOCK_COLUMNS, N - j), rows = least(BLOCK_K, K - k);
            PackedMatrix block = b;
            block.data += k * b.row + j * b.column;
            Matrix right = expand_block(columns, rows, block, buffer);
            Matrix left = matrix_at(a, 0, k), to = matrix_at(c, 0, j);
            if (bias && k == 0)
                kernel_affine(M, columns, rows, left, right, bias + j, to);
            else
                kernel_matmul(M, columns, rows, left, right, to, k > 0);
        }
    scratch_return(buffer);
}
