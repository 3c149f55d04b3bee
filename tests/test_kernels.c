/* test_kernels.c - the fast loops give what the slow ones would, at every edge of a
 * tile. */
#include "tensor/kernels.h"
#include "base/random.h"
#include "suite.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const float untouched = 12345;

/* A matrix laid out by rows or by columns, with a margin after each: what is read there
 * is NaN, what is written there is noticed. */
typedef struct {
    long rows, columns;
    Matrix m;
    float *memory;
    long size;
} Laid;

typedef enum { BY_ROWS, BY_COLUMNS, SPREAD, LAYOUTS } Layout;

static Laid lay(long rows, long columns, Layout layout, float margin)
{
    Laid l = {.rows = rows, .columns = columns};
    long step = layout == SPREAD ? 2 : 1, gap = 3;
    l.m.row = layout == BY_COLUMNS ? 1 : step * columns + gap;
    l.m.column = layout == BY_COLUMNS ? rows + gap : step;
    l.size = gap + (layout == BY_COLUMNS ? columns * l.m.column : rows * l.m.row);
    l.memory = malloc((size_t)l.size * sizeof(float));
    ck_assert(l.memory != NULL);
    for (long i = 0; i < l.size; i++)
        l.memory[i] = margin;
    l.m.data = l.memory + gap;
    return l;
}

static float *element(const Laid *l, long i, long j)
{
    return l->m.data + i * l->m.row + j * l->m.column;
}

static Laid lay_random(long rows, long columns, Layout layout, float margin, uint64_t seed)
{
    Laid l = lay(rows, columns, layout, margin);
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++)
            *element(&l, i, j) = random_uniform(seed, 0, (uint64_t)(i * columns + j)) * 2 -
                                 1;
    return l;
}

/* Whatever is not an element still has its old value. */
static bool margin_untouched(const Laid *l, float margin)
{
    long same = 0;
    for (long i = 0; i < l->size; i++)
        same += l->memory[i] == margin;
    return same == l->size - l->rows * l->columns;
}

/* The definition: three loops in double precision. */
static double *product_of(long M, long N, long K, uint64_t seed)
{
    double *c = calloc((size_t)(M * N), sizeof *c);
    Laid a = lay_random(M, K, BY_ROWS, 0, seed), b = lay_random(K, N, BY_ROWS, 0, seed + 1);
    ck_assert(c != NULL);
    for (long i = 0; i < M; i++)
        for (long k = 0; k < K; k++)
            for (long j = 0; j < N; j++)
                c[i * N + j] += (double)*element(&a, i, k) * *element(&b, k, j);
    free(a.memory);
    free(b.memory);
    return c;
}

static void check_layout(long M, long N, long K, const double *expected,
                         const Layout *layout, bool accumulate)
{
    Laid a = lay_random(M, K, layout[0], NAN, 1), b = lay_random(K, N, layout[1], NAN, 2);
    Laid c = lay(M, N, layout[2], untouched);
    for (long i = 0; i < M; i++)
        for (long j = 0; j < N; j++)
            *element(&c, i, j) = accumulate ? 0.5f : NAN;
    kernel_matmul(M, N, K, a.m, b.m, c.m, accumulate);

    double worst = 0, start = accumulate ? 0.5 : 0;
    for (long i = 0; i < M; i++)
        for (long j = 0; j < N; j++) {
            double error = fabs(*element(&c, i, j) - start - expected[i * N + j]);
            worst = error <= worst ? worst : error;
        }
    bool margin = margin_untouched(&c, untouched);
    free(a.memory);
    free(b.memory);
    free(c.memory);
    /* Numbers in [-1, 1): K roundings of sums that are below K. */
    ck_assert_msg(worst <= 3e-7 * (1 + sqrt(K)) * 4 && margin,
                  "(%ld, %ld) x (%ld, %ld), layouts %d %d %d%s: wrong by %g%s", M, K, K, N,
                  layout[0], layout[1], layout[2], accumulate ? ", added" : "", worst,
                  margin ? "" : ", and written beside");
}

static void check_all_layouts(long M, long N, long K)
{
    double *expected = product_of(M, N, K, 1);
    for (int i = 0; i < LAYOUTS * LAYOUTS * LAYOUTS * 2; i++) {
        Layout layout[3] = {(Layout)(i / 2 % 3), (Layout)(i / 6 % 3), (Layout)(i / 18)};
        check_layout(M, N, K, expected, layout, i % 2);
    }
    free(expected);
}

/* Rows go by 6, 4, 2 and 1, columns by 4, 8 or 16 and up to 64. */
START_TEST(products_are_right_around_every_edge_of_a_tile)
{
    const long Ms[] = {1, 2, 3, 5, 6, 7, 12, 13};
    const long Ns[] = {1, 2, 7, 8, 9, 15, 16, 17, 48, 63, 64, 65, 130};
    const long Ks[] = {1, 2, 5, 14};
    for (size_t i = 0; i < sizeof Ms / sizeof Ms[0]; i++)
        for (size_t j = 0; j < sizeof Ns / sizeof Ns[0]; j++)
            for (size_t k = 0; k < sizeof Ks / sizeof Ks[0]; k++)
                check_all_layouts(Ms[i], Ns[j], Ks[k]);
}
END_TEST

START_TEST(products_are_right_for_every_small_size)
{
    for (long M = 1; M <= 14; M++)
        for (long N = 1; N <= 14; N++)
            check_all_layouts(M, N, 1 + (M + 3 * N) % 11);
}
END_TEST

/* The inner dimension goes by 256, columns of B by 384, packed rows of A by 48. */
START_TEST(products_are_right_around_the_edges_of_blocks)
{
    const long sizes[][3] = {{1, 64, 256},  {1, 65, 257}, {7, 16, 255}, {12, 64, 258},
                             {13, 66, 513}, {47, 5, 7},   {48, 17, 3},  {49, 64, 2},
                             {98, 33, 258}, {193, 3, 1},  {63, 66, 64}, {64, 65, 63},
                             {13, 383, 3},  {7, 384, 2},  {14, 385, 5}, {3, 450, 257},
                             {50, 770, 2},  {13, 32, 9},  {1, 1200, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_all_layouts(sizes[i][0], sizes[i][1], sizes[i][2]);
}
END_TEST

START_TEST(an_empty_inner_dimension_gives_zeros_or_adds_nothing)
{
    const Layout layouts[2][3] = {{BY_ROWS, BY_ROWS, BY_ROWS}, {BY_ROWS, BY_ROWS, SPREAD}};
    const double zeros[7 * 17] = {0};
    for (int i = 0; i < 2; i++) {
        check_layout(7, 17, 0, zeros, layouts[i], false);
        check_layout(7, 17, 0, zeros, layouts[i], true);
    }
}
END_TEST

START_TEST(a_matrix_that_repeats_by_strides_of_zero_is_read_so)
{
    float a[3] = {1, 2, 3}, b[2] = {10, 100}, c[3 * 2];
    kernel_matmul(3, 2, 4, (Matrix){a, 1, 0}, (Matrix){b, 0, 1}, (Matrix){c, 2, 1}, false);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++)
            ck_assert_float_eq(c[i * 2 + j], 4 * a[i] * b[j]);
}
END_TEST

/* One part of the product, made alone, into its place in a copy of the old C. */
static void check_part(const Laid *a, const Laid *b, const Laid *old, const Laid *whole,
                       const long *from, const long *to, bool accumulate)
{
    Laid part = lay(old->rows, old->columns, BY_ROWS, untouched);
    memcpy(part.memory, old->memory, (size_t)old->size * sizeof(float));
    Matrix left = {element(a, from[0], 0), a->m.row, a->m.column};
    Matrix right = {element(b, 0, from[1]), b->m.row, b->m.column};
    Matrix out = {element(&part, from[0], from[1]), part.m.row, part.m.column};
    kernel_matmul(to[0] - from[0], to[1] - from[1], a->columns, left, right, out,
                  accumulate);
    long different = 0;
    for (long i = 0; i < part.rows; i++)
        for (long j = 0; j < part.columns; j++) {
            bool in_part = i >= from[0] && i < to[0] && j >= from[1] && j < to[1];
            const float *x = element(in_part ? whole : old, i, j);
            different += memcmp(x, element(&part, i, j), sizeof *x) != 0;
        }
    free(part.memory);
    ck_assert_msg(different == 0,
                  "rows %ld to %ld, columns %ld to %ld%s: %ld numbers differ", from[0],
                  to[0], from[1], to[1], accumulate ? ", added" : "", different);
}

static void check_parts(Layout layout_a, Layout layout_b, bool accumulate)
{
    const long M = 26, N = 150, K = 300;
    Laid a = lay_random(M, K, layout_a, NAN, 3), b = lay_random(K, N, layout_b, NAN, 4);
    Laid old = lay_random(M, N, BY_ROWS, untouched, 5);
    Laid whole = lay_random(M, N, BY_ROWS, untouched, 5);
    kernel_matmul(M, N, K, a.m, b.m, whole.m, accumulate);
    for (long i = 0; i < M; i += kernel_row_grain)
        for (long j = 0; j < N; j += kernel_column_grain)
            for (int end = 0; end < 6; end++) {
                const long ends[6][2] = {{i + 1, j + 1}, {i + 3, j + 13}, {i + 6, N},
                                         {M, j + 16},    {M, N},          {i + 13, j + 65}};
                long to[2] = {ends[end][0] < M ? ends[end][0] : M,
                              ends[end][1] < N ? ends[end][1] : N};
                check_part(&a, &b, &old, &whole, (long[]){i, j}, to, accumulate);
            }
    free(a.memory);
    free(b.memory);
    free(old.memory);
    free(whole.memory);
}

/* This is what makes results independent of the number of threads. */
START_TEST(a_part_that_begins_at_a_grain_has_the_very_bits_of_the_whole)
{
    for (int i = 0; i < 8; i++)
        check_parts(i & 1 ? BY_COLUMNS : BY_ROWS, i & 2 ? BY_COLUMNS : BY_ROWS, i & 4);
}
END_TEST

START_TEST(a_row_product_is_a_product_with_one_row)
{
    const long Ns[] = {1, 5, 32, 51}, Ks[] = {0, 1, 7, 16, 31, 64, 257};
    for (int i = 0; i < 4 * 7 * 4; i++) {
        long N = Ns[i % 4], K = Ks[i / 4 % 7];
        bool accumulate = i / 28 % 2;
        double *expected = product_of(1, N, K, 1);
        Laid a = lay_random(1, K, BY_ROWS, NAN, 1),
             b = lay_random(K, N, BY_COLUMNS, NAN, 2);
        Laid c = lay(1, N, i / 56 ? SPREAD : BY_ROWS, untouched);
        for (long j = 0; j < N; j++)
            *element(&c, 0, j) = accumulate ? 0.5f : NAN;
        kernel_row_product(N, K, a.m.data, b.m, c.m, accumulate);
        for (long j = 0; j < N; j++)
            ck_assert_double_eq_tol(*element(&c, 0, j),
                                    expected[j] + (accumulate ? 0.5 : 0), 1e-5);
        ck_assert(margin_untouched(&c, untouched));
        free(expected);
        free(a.memory);
        free(b.memory);
        free(c.memory);
    }
}
END_TEST

START_TEST(a_part_of_a_row_product_has_the_very_bits_of_the_whole)
{
    const long N = 3 * kernel_column_grain + 5, K = 77;
    Laid a = lay_random(1, K, BY_ROWS, NAN, 1), b = lay_random(K, N, BY_COLUMNS, NAN, 2);
    Laid whole = lay(1, N, BY_ROWS, untouched), part = lay(1, N, BY_ROWS, untouched);
    kernel_row_product(N, K, a.m.data, b.m, whole.m, false);
    for (long j = 0; j < N; j += kernel_column_grain) {
        long columns = N - j < kernel_column_grain ? N - j : kernel_column_grain;
        Matrix right = {element(&b, 0, j), b.m.row, b.m.column};
        Matrix out = {element(&part, 0, j), part.m.row, part.m.column};
        kernel_row_product(columns, K, a.m.data, right, out, false);
    }
    ck_assert_int_eq(memcmp(part.memory, whole.memory, (size_t)part.size * sizeof(float)),
                     0);
    free(a.memory);
    free(b.memory);
    free(whole.memory);
    free(part.memory);
}
END_TEST

enum { LONGEST = 70 };

/* n numbers at the very end of their memory, so that a sanitizer sees what is read beyond,
 * and NaN before them. */
static float *numbers(long n, uint64_t seed)
{
    float *memory = malloc((LONGEST + 1) * sizeof *memory), *x = memory + LONGEST + 1 - n;
    ck_assert(memory != NULL);
    for (long i = 0; i <= LONGEST; i++)
        memory[i] = NAN;
    for (long i = 0; i < n; i++)
        x[i] = random_normal(seed, (uint64_t)n, (uint64_t)i);
    return x;
}

static void numbers_free(float *x, long n)
{
    free(x - (LONGEST + 1 - n));
}

START_TEST(sums_and_dot_products_take_exactly_the_numbers_given)
{
    for (long n = 0; n <= LONGEST; n++) {
        float *x = numbers(n, 1), *y = numbers(n, 2);
        double sum = 0, dot = 0;
        for (long i = 0; i < n; i++) {
            sum += x[i];
            dot += (double)x[i] * y[i];
        }
        ck_assert_double_eq_tol(kernel_sum(n, x), sum, 1e-5);
        ck_assert_double_eq_tol(kernel_dot(n, x, y), dot, 1e-5);
        numbers_free(x, n);
        numbers_free(y, n);
    }
}
END_TEST

START_TEST(the_max_is_found_wherever_it_stands)
{
    ck_assert_float_eq(kernel_max(0, NULL), -INFINITY);
    for (long n = 1; n <= LONGEST; n++) {
        float *x = numbers(n, 3);
        for (long i = 0; i < n; i++)
            x[i] -= 100; /* below 0, which must not be taken for a number of the row */
        for (long i = 0; i < n; i++) {
            float before = x[i];
            x[i] = -50;
            ck_assert_float_eq(kernel_max(n, x), -50);
            x[i] = before;
        }
        numbers_free(x, n);
    }
}
END_TEST

START_TEST(exponentials_are_written_and_summed)
{
    for (long n = 0; n <= LONGEST; n++) {
        float *x = numbers(n, 4), *out = numbers(n, 5);
        float before = n < LONGEST ? 77 : 0;
        out[-1] = before;
        double sum = 0;
        float got = kernel_exp_sum(n, out, x, 1.5f);
        for (long i = 0; i < n; i++) {
            double e = exp((double)x[i] - 1.5);
            ck_assert_double_eq_tol(out[i], e, 4e-7 * e);
            sum += e;
        }
        ck_assert_double_eq_tol(got, sum, 1e-6 * sum + 1e-30);
        ck_assert_float_eq(out[-1], before);
        ck_assert_float_eq(kernel_exp_sum(n, x, x, 1.5f), got); /* in place */
        ck_assert_int_eq(memcmp(x, out, (size_t)n * sizeof *x), 0);
        numbers_free(x, n);
        numbers_free(out, n);
    }
}
END_TEST

START_TEST(exponentials_at_the_ends_of_the_range_are_zero_or_infinite)
{
    float x[5] = {-INFINITY, -200, 0, 100, NAN}, out[5];
    kernel_exp_sum(5, out, x, 0);
    ck_assert_float_eq(out[0], 0);
    ck_assert_float_eq(out[1], 0);
    ck_assert_float_eq(out[2], 1);
    ck_assert_float_eq(out[3], INFINITY);
    ck_assert(isnan(out[4]));
}
END_TEST

SUITE("kernels", 20, products_are_right_around_every_edge_of_a_tile,
      products_are_right_for_every_small_size,
      products_are_right_around_the_edges_of_blocks,
      an_empty_inner_dimension_gives_zeros_or_adds_nothing,
      a_matrix_that_repeats_by_strides_of_zero_is_read_so,
      a_part_that_begins_at_a_grain_has_the_very_bits_of_the_whole,
      a_row_product_is_a_product_with_one_row,
      a_part_of_a_row_product_has_the_very_bits_of_the_whole,
      sums_and_dot_products_take_exactly_the_numbers_given,
      the_max_is_found_wherever_it_stands, exponentials_are_written_and_summed,
      exponentials_at_the_ends_of_the_range_are_zero_or_infinite)
