/* kernels.c - the one place where speed is bought with complexity.
 *
 * The matrix product is most of the work of a training step. Four ideas make it fast:
 *
 * A *tile* of C, 6 rows by a few vectors, is held in registers while the inner dimension
 * passes by. Each step loads a few vectors of B and six numbers of A and makes many
 * multiply-adds of them: arithmetic, not memory, is then the limit.
 *
 * B is *packed*: cut into panels as wide as a tile, each copied into the order in which it
 * will be read, padded with zeros. A block of B so prepared stays in the second-level cache
 * and serves all rows.
 *
 * A is left alone when its rows are contiguous, and packed in the same manner when not. The
 * six rows that a tile needs stay in the nearest cache while all panels pass by. Small
 * matrices, as the heads of attention are, need no packing.
 *
 * While a tile is busy, the part of C below it and the next rows of A are already on their
 * way from memory. */
#include "tensor/kernels.h"
#include "tensor/scratch.h"
#include "tensor/vector.h"

#include <math.h>

enum {
    TILE_ROWS = 6,
    TILE_VECTORS = LANES == 16 ? 4 : 2, /* 24 or 12 sums: as many as registers allow */
    TILE_COLUMNS = TILE_VECTORS * LANES,
    BLOCK_K = 256,
    BLOCK_COLUMNS = 384, /* of B: 384 KB when packed */
    BLOCK_ROWS = 48,     /* of A, where it is packed: 48 KB */
    AHEAD = 16           /* rows of what is packed are asked for so early */
};

const long kernel_row_grain = TILE_ROWS, kernel_column_grain = TILE_COLUMNS;

/* C[rows, vectors] = A[rows, K] B[K, vectors] + first[rows, vectors], where there is a first.
 * Rows and vectors are constants wherever this is called, so that the sums become
 * registers. */
__attribute__((always_inline)) static inline void tile(const int rows, const int vectors,
                                                       long K, Matrix a, const float *b,
                                                       long b_row, const float *first,
                                                       long first_row, float *c, long c_row)
{
    float *to[TILE_ROWS];
    V sum[TILE_ROWS][TILE_VECTORS];
    UNROLL
    for (int r = 0; r < rows; r++, c += c_row) {
        to[r] = c;
        UNROLL
        for (int v = 0; v < vectors; v++) {
            sum[r][v] = first ? v_load(first + r * first_row + v * LANES) : (V){0};
            __builtin_prefetch(c + rows * c_row + v * LANES, 1); /* the next tile's */
        }
    }

    for (long k = 0; k < K; k++, a.data += a.column, b += b_row) {
        V right[TILE_VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++)
            right[v] = v_load(b + v * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            V left = v_all(a.data[r * a.row]);
            UNROLL
            for (int v = 0; v < vectors; v++)
                sum[r][v] += left * right[v];
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int v = 0; v < vectors; v++)
            v_store(to[r] + v * LANES, sum[r][v]);
    }
}

typedef void TileFunction(long K, Matrix a, const float *b, long b_row, const float *first,
                          long first_row, float *c, long c_row);
#define TILE(rows, vectors)                                                           \
    static void tile_##rows##_##vectors(long K, Matrix a, const float *b, long b_row, \
                                        const float *first, long first_row, float *c, \
                                        long c_row)                                   \
    {                                                                                 \
        tile(rows, vectors, K, a, b, b_row, first, first_row, c, c_row);              \
    }
TILE(1, 1)
TILE(2, 1)
TILE(4, 1)
TILE(6, 1)
TILE(1, 2)
TILE(2, 2)
TILE(4, 2)
TILE(6, 2)
#if defined __AVX512F__
TILE(1, 3)
TILE(2, 3)
TILE(4, 3)
TILE(6, 3)
TILE(1, 4)
TILE(2, 4)
TILE(4, 4)
TILE(6, 4)
#endif

static TileFunction *const tiles[TILE_VECTORS][4] = {
    {tile_1_1, tile_2_1, tile_4_1, tile_6_1},
    {tile_1_2, tile_2_2, tile_4_2, tile_6_2},
#if defined __AVX512F__
    {tile_1_3, tile_2_3, tile_4_3, tile_6_3},
    {tile_1_4, tile_2_4, tile_4_4, tile_6_4},
#endif
};

/* The tallest tile that fits into what is left. */
static int tile_height(long rows_left)
{
    return rows_left >= 6 ? 6 : rows_left >= 4 ? 4 : rows_left >= 2 ? 2 : 1;
}

/* Asks for a row that will be wanted soon. Rows are far apart, and the processor only guesses
 * what lies close by. */
static void prefetch(const float *row, long n)
{
    for (long i = 0; i < n; i += 64 / (long)sizeof *row)
        __builtin_prefetch(row + i);
}

/* A[rows, K] into panels of one tile's height, each in the order k, row. A block that is
 * contiguous along its rows, as a transposed matrix is, moves six numbers at a time, of all
 * panels in turn: what comes into the cache with them is used while it is there. */
static void pack_a(long rows, long K, Matrix a, float *out)
{
    long i = 0;
    if (a.row == 1) {
        long whole = rows - rows % TILE_ROWS;
        for (long k = 0; k < K; k++) {
            prefetch(a.data + (k + AHEAD) * a.column, whole);
            for (i = 0; i < whole; i += TILE_ROWS)
                memcpy(out + i * K + k * TILE_ROWS, a.data + k * a.column + i,
                       TILE_ROWS * sizeof *out);
        }
    }
    for (int height; i < rows; i += height) {
        height = tile_height(rows - i);
        for (long k = 0; k < K; k++)
            for (int r = 0; r < height; r++)
                out[i * K + k * height + r] = a.data[(i + r) * a.row + k * a.column];
    }
}

/* B[K, columns], contiguous along K, into rows of `width` floats: squares are transposed in
 * registers, and what is left over one by one. */
static void pack_transposed(long K, long columns, long width, Matrix b, float *out)
{
    long squares_k = K - K % LANES, squares_j = columns - columns % LANES;
    for (long j = 0; j < squares_j; j += LANES)
        for (long k = 0; k < squares_k; k += LANES) {
            V square[LANES];
            for (int i = 0; i < LANES; i++)
                square[i] = v_load(b.data + (j + i) * b.column + k);
            v_transpose(square);
            for (int i = 0; i < LANES; i++)
                v_store(out + (k + i) * width + j, square[i]);
        }
    for (long j = 0; j < columns; j++)
        for (long k = j < squares_j ? squares_k : 0; k < K; k++)
            out[k * width + j] = b.data[j * b.column + k];
}

/* B[K, columns] into rows of `width` floats, the last of them zeros. */
static void pack_b(long K, long columns, long width, Matrix b, float *out)
{
    if (columns < width)
        memset(out, 0, (size_t)(K * width) * sizeof *out);
    if (b.column == 1)
        for (long k = 0; k < K; k++) {
            float *to = out + k * width;
            const float *from = b.data + k * b.row;
            prefetch(from + AHEAD * b.row, columns);
            if (columns == TILE_COLUMNS) /* a constant length is copied by vectors */
                memcpy(to, from, TILE_COLUMNS * sizeof *out);
            else
                memcpy(to, from, (size_t)columns * sizeof *out);
        }
    else if (b.row == 1)
        pack_transposed(K, columns, width, b, out);
    else
        for (long k = 0; k < K; k++)
            for (long j = 0; j < columns; j++)
                out[k * width + j] = b.data[k * b.row + j * b.column];
}

/* B[K, columns] as a tile reads it: row k begins at data + k * row and has `width` floats, a
 * whole number of vectors. */
typedef struct {
    const float *data;
    long row, columns, width;
} Panel;

/* Whether K rows, so far apart, are better read where they are: packing does not pay for a
 * small matrix, which stays in the cache as it lies, if little of C is made with it. */
static bool is_small(long K, long row, long made)
{
    enum { FEW = 128, FLOATS = 32768 };
    return made <= FEW && K * row <= FLOATS;
}

/* Where B is as a panel should be, or not worth packing, the panel is B itself. */
static Panel panel_of(long M, long K, long columns, Matrix b, float *packed)
{
    long width = (columns + LANES - 1) / LANES * LANES;
    bool fits = b.column == 1 && columns == width;
    if (fits && (M <= 2 * TILE_ROWS || b.row == width || is_small(K, b.row, M)))
        return (Panel){b.data, b.row, columns, width};
    pack_b(K, columns, width, b, packed);
    return (Panel){packed, width, columns, width};
}

/* A tile that does not fit C, or not its strides, is made aside and then carried over. It
 * begins with what is first, as any tile does, so that the order of a sum is the same in all
 * of them. */
static void tile_aside(TileFunction *f, long K, Matrix a, const Panel *b, int rows,
                       Matrix first, Matrix c)
{
    float aside[TILE_ROWS * TILE_COLUMNS] = {0};
    for (int r = 0; first.data && r < rows; r++)
        for (long j = 0; j < b->columns; j++)
            aside[r * b->width + j] = first.data[r * first.row + j * first.column];
    f(K, a, b->data, b->row, first.data ? aside : NULL, b->width, aside, b->width);
    for (int r = 0; r < rows; r++)
        for (long j = 0; j < b->columns; j++)
            c.data[r * c.row + j * c.column] = aside[r * b->width + j];
}

/* As many rows as a tile is high, all columns. */
static void multiply_strip(int height, long N, long K, Matrix a, const Panel *panels,
                           Matrix first, Matrix c)
{
    for (long j = 0; j < N; j += TILE_COLUMNS) {
        Panel p = panels[j / TILE_COLUMNS];
        TileFunction *f = tiles[p.width / LANES - 1][height == 6 ? 3 : height / 2];
        Matrix from = matrix_at(first, 0, j), to = matrix_at(c, 0, j);
        if (p.columns == p.width && c.column == 1)
            f(K, a, p.data, p.row, from.data, from.row, to.data, to.row);
        else
            tile_aside(f, K, a, &p, height, from, to);
    }
}

/* Where blocks are packed. */
typedef struct {
    float a[BLOCK_ROWS * BLOCK_K], b[BLOCK_COLUMNS * BLOCK_K];
} Packed;
_Static_assert(sizeof(Packed) <= SCRATCH_BYTES, "a thread begins with too little");

/* One block of columns and of the inner dimension, all rows. */
static void multiply_block(long M, long N, long K, Matrix a, Matrix b, Matrix first,
                           Matrix c, Packed *packed)
{
    Panel panels[BLOCK_COLUMNS / TILE_COLUMNS];
    for (long j = 0; j < N; j += TILE_COLUMNS) {
        long columns = N - j < TILE_COLUMNS ? N - j : TILE_COLUMNS;
        panels[j / TILE_COLUMNS] = panel_of(M, K, columns, matrix_at(b, 0, j),
                                            packed->b + j * K);
    }

    bool pack = a.column != 1 && M > 1 && !(a.row == 1 && is_small(K, a.column, N));
    for (long i = 0, height; i < M; i += height) {
        height = tile_height(M - i);
        Matrix left = matrix_at(a, i, 0);
        if (pack && i % BLOCK_ROWS == 0)
            pack_a(M - i < BLOCK_ROWS ? M - i : BLOCK_ROWS, K, left, packed->a);
        if (pack)
            left = (Matrix){packed->a + i % BLOCK_ROWS * K, 1, height};
        for (long r = height; a.column == 1 && r < 2 * height; r++)
            prefetch(left.data + r * a.row, K);
        multiply_strip((int)height, N, K, left, panels, matrix_at(first, i, 0),
                       matrix_at(c, i, 0));
    }
}

/* One row of A times LANES columns of B. Each column is summed in a vector of its own; when
 * the square of these is transposed, one addition of its rows ends all the sums at once. */
static V row_times_columns(long K, const float *a, const float *b, long b_column)
{
    V sum[LANES] = {0};
    long k = 0;
    for (; k + LANES <= K; k += LANES) {
        V left = v_load(a + k);
        UNROLL
        for (int j = 0; j < LANES; j++)
            sum[j] += left * v_load(b + j * b_column + k);
    }
    for (int j = 0; j < LANES && k < K; j++)
        sum[j] += v_load_some(a + k, K - k) * v_load_some(b + j * b_column + k, K - k);
    v_transpose(sum);
    V total = sum[0];
    for (int i = 1; i < LANES; i++)
        total += sum[i];
    return total;
}

void kernel_row_product(long N, long K, const float *a, Matrix b, Matrix c, bool accumulate)
{
    for (long j = 0; j < N; j += LANES) {
        long columns = N - j < LANES ? N - j : LANES;
        float *to = c.data + j * c.column, dots[LANES];
        if (columns == LANES)
            v_store(dots, row_times_columns(K, a, b.data + j * b.column, b.column));
        else
            for (long i = 0; i < columns; i++)
                dots[i] = kernel_dot(K, a, b.data + (j + i) * b.column);
        for (long i = 0; i < columns; i++)
            to[i * c.column] = accumulate ? to[i * c.column] + dots[i] : dots[i];
    }
}

static void multiply(long M, long N, long K, Matrix a, Matrix b, Matrix first, Matrix c)
{
    Packed *packed = scratch_take(sizeof *packed);
    for (long k = 0; k < K; k += BLOCK_K)
        for (long j = 0; j < N; j += BLOCK_COLUMNS)
            multiply_block(M, N - j < BLOCK_COLUMNS ? N - j : BLOCK_COLUMNS,
                           K - k < BLOCK_K ? K - k : BLOCK_K, matrix_at(a, 0, k),
                           matrix_at(b, k, j), matrix_at(k == 0 ? first : c, 0, j),
                           matrix_at(c, 0, j), packed);
    scratch_return(packed);

    for (long i = 0; K == 0 && i < M; i++)
        for (long j = 0; j < N; j++)
            c.data[i * c.row + j * c.column] =
                first.data ? first.data[i * first.row + j * first.column] : 0;
}

void kernel_matmul(long M, long N, long K, Matrix a, Matrix b, Matrix c, bool accumulate)
{
    multiply(M, N, K, a, b, accumulate ? c : (Matrix){0}, c);
}

void kernel_affine(long M, long N, long K, Matrix a, Matrix b, const float *bias, Matrix c)
{
    multiply(M, N, K, a, b, (Matrix){(float *)bias, 0, 1}, c);
}

/* Sums run in several lanes at once, two vectors deep: faster, and more exact than one long
 * sum. */
float kernel_sum(long n, const float *x)
{
    V first = {0}, second = {0};
    long i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        first += v_load(x + i);
        second += v_load(x + i + LANES);
    }
    for (; i < n; i += LANES)
        first += v_load_some(x + i, n - i < LANES ? n - i : LANES);
    return v_sum(first + second);
}

float kernel_dot(long n, const float *x, const float *y)
{
    V first = {0}, second = {0};
    long i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        first += v_load(x + i) * v_load(y + i);
        second += v_load(x + i + LANES) * v_load(y + i + LANES);
    }
    for (; i < n; i += LANES) {
        long m = n - i < LANES ? n - i : LANES;
        first += v_load_some(x + i, m) * v_load_some(y + i, m);
    }
    return v_sum(first + second);
}

float kernel_max(long n, const float *x)
{
    V max = v_all(-INFINITY);
    long i = 0;
    for (; i + LANES <= n; i += LANES)
        max = v_max(v_load(x + i), max);
    float result = v_max_lane(max);
    for (; i < n; i++)
        result = x[i] > result ? x[i] : result;
    return result;
}

float kernel_exp_sum(long n, float *out, const float *x, float shift)
{
    V sum = {0};
    long i = 0;
    for (; i + LANES <= n; i += LANES) {
        V e = v_exp(v_load(x + i) - shift);
        v_store(out + i, e);
        sum += e;
    }
    float rest = 0;
    if (i < n) {
        V e = v_exp(v_load_some(x + i, n - i) - shift);
        v_store_some(out + i, e, n - i);
        for (; i < n; i++)
            rest += out[i];
    }
    return v_sum(sum) + rest;
}
