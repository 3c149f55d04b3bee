/* steps.c - how three loops become a fast matrix product. `make bench-steps`
 *
 * Every step computes C = A B, (M, K) x (K, N) -> (M, N), by rows. Each is a few lines, and
 * each takes away one reason for the processor to wait. */
#include "bench.h"
#include "base/error.h"
#include "tensor/kernels.h"
#include "tensor/parallel.h"
#include "base/random.h"
#include "tensor/vector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    int M, N, K;
    float *a, *b, *c;
} Product;

/* As it is defined. Every multiply-add waits for the one before it, and the walk down a
 * column of B touches another piece of memory at every step. */
static void three_loops(const Product *p)
{
    for (int i = 0; i < p->M; i++)
        for (int j = 0; j < p->N; j++) {
            float sum = 0;
            for (int k = 0; k < p->K; k++)
                sum += p->a[i * p->K + k] * p->b[k * p->N + j];
            p->c[i * p->N + j] = sum;
        }
}

/* The same loops in another order. Now rows of B and C go by one float after the other, and
 * the compiler makes vectors of them by itself. */
static void loops_swapped(const Product *p)
{
    for (int i = 0; i < p->M; i++) {
        float *c = p->c + i * p->N;
        for (int j = 0; j < p->N; j++)
            c[j] = 0;
        for (int k = 0; k < p->K; k++)
            for (int j = 0; j < p->N; j++)
                c[j] += p->a[i * p->K + k] * p->b[k * p->N + j];
    }
}

/* The vectors written out. A few of them hold a piece of a row of C until it is done: no
 * longer is C read and written at every step. */
enum { VECTORS = LANES == 16 ? 4 : 2, WIDTH = VECTORS * LANES };

static void sums_in_registers(const Product *p)
{
    for (int i = 0; i < p->M; i++)
        for (int j = 0; j < p->N; j += WIDTH) {
            V sum[VECTORS] = {0};
            for (int k = 0; k < p->K; k++) {
                V left = v_all(p->a[i * p->K + k]);
                UNROLL
                for (int v = 0; v < VECTORS; v++)
                    sum[v] += left * v_load(p->b + k * p->N + j + v * LANES);
            }
            for (int v = 0; v < VECTORS; v++)
                v_store(p->c + i * p->N + j + v * LANES, sum[v]);
        }
}

/* Four rows at a time: a tile. What was loaded of B now serves four times. B, of which row k
 * begins at b + k * b_row, may be the matrix itself or a copy. */
enum { HEIGHT = 4 };

static void one_tile(const Product *p, int i, int j, const float *b, int b_row)
{
    V sum[HEIGHT][VECTORS] = {0};
    for (int k = 0; k < p->K; k++) {
        UNROLL
        for (int r = 0; r < HEIGHT; r++) {
            V left = v_all(p->a[(i + r) * p->K + k]);
            UNROLL
            for (int v = 0; v < VECTORS; v++)
                sum[r][v] += left * v_load(b + k * b_row + v * LANES);
        }
    }
    for (int r = 0; r < HEIGHT; r++)
        for (int v = 0; v < VECTORS; v++)
            v_store(p->c + (i + r) * p->N + j + v * LANES, sum[r][v]);
}

static void tiles(const Product *p)
{
    for (int i = 0; i < p->M; i += HEIGHT)
        for (int j = 0; j < p->N; j += WIDTH)
            one_tile(p, i, j, p->b + j, p->N);
}

/* The columns of B that a tile wants are copied to one place, and all rows of A meet them
 * there: they stay in the cache. */
static void tiles_packed(const Product *p)
{
    float *panel = allocate((size_t)p->K * WIDTH, sizeof *panel);
    for (int j = 0; j < p->N; j += WIDTH) {
        for (int k = 0; k < p->K; k++)
            memcpy(panel + k * WIDTH, p->b + k * p->N + j, WIDTH * sizeof *panel);
        for (int i = 0; i < p->M; i += HEIGHT)
            one_tile(p, i, j, panel, WIDTH);
    }
    free(panel);
}

/* What the library does: the same with tiles for every size and every stride, blocks of the
 * inner dimension, and memory that is asked for in advance. */
static void some_rows(long from, long to, void *product)
{
    const Product *p = product;
    Matrix a = {p->a + from * p->K, p->K, 1}, b = {p->b, p->N, 1};
    kernel_matmul(to - from, p->N, p->K, a, b, (Matrix){p->c + from * p->N, p->N, 1},
                  false);
}

static void library(const Product *p)
{
    some_rows(0, p->M, (void *)p);
}

/* Threads divide the rows. */
static void library_threads(const Product *p)
{
    parallel_for(p->M, kernel_row_grain, some_rows, (void *)p);
}

static const struct {
    const char *name;
    void (*multiply)(const Product *p);
} steps[] = {
    {"three loops: i, j, k", three_loops},
    {"loops swapped: i, k, j", loops_swapped},
    {"sums in registers", sums_in_registers},
    {"tiles of four rows", tiles},
    {"B packed", tiles_packed},
    {"kernel_matmul", library},
    {"kernel_matmul on two threads", library_threads},
};
enum { STEPS = sizeof steps / sizeof steps[0], SIZES = 2, ROUNDS = 5 };

typedef struct {
    const Product *product;
    int step;
} Run;

static void run(void *context)
{
    const Run *r = context;
    steps[r->step].multiply(r->product);
}

static Product product_of(int M, int N, int K)
{
    Product p = {M,
                 N,
                 K,
                 allocate((size_t)(M * K), sizeof(float)),
                 allocate((size_t)(K * N), sizeof(float)),
                 allocate((size_t)(M * N), sizeof(float))};
    for (int i = 0; i < M * K; i++)
        p.a[i] = random_normal(1, 0, (uint64_t)i);
    for (int i = 0; i < K * N; i++)
        p.b[i] = random_normal(1, 1, (uint64_t)i);
    return p;
}

/* Every step gives what the first gives, but for the rounding. */
static void check(const Product *p)
{
    Product other = *p;
    other.c = allocate((size_t)(p->M * p->N), sizeof(float));
    three_loops(p);
    for (int step = 1; step < STEPS; step++) {
        double worst = 0;
        steps[step].multiply(&other);
        for (int i = 0; i < p->M * p->N; i++)
            worst = fmax(worst, fabs((double)p->c[i] - other.c[i]));
        if (worst > 1e-5 * p->K) {
            fprintf(stderr, "%s: wrong by %g\n", steps[step].name, worst);
            exit(1);
        }
    }
    free(other.c);
}

/* GFLOP/s of every step: medians of rounds in which they take turns. */
static void measure(int M, int N, int K, double speed[STEPS])
{
    Product p = product_of(M, N, K);
    double times[STEPS][ROUNDS];
    check(&p);
    for (int round = 0; round < ROUNDS; round++)
        for (int step = 0; step < STEPS; step++)
            times[step][round] = time_of(run, &(Run){&p, step});
    for (int step = 0; step < STEPS; step++)
        speed[step] = 2e-9 * M * N * K / median(ROUNDS, times[step]);
    free(p.a);
    free(p.b);
    free(p.c);
}

int main(void)
{
    const int sizes[SIZES][3] = {{768, 512, 128}, {512, 512, 512}};
    double speed[SIZES][STEPS];
    parallel_threads(2);
    for (int i = 0; i < SIZES; i++)
        measure(sizes[i][0], sizes[i][1], sizes[i][2], speed[i]);

    printf("%-30s", "GFLOP/s");
    for (int i = 0; i < SIZES; i++)
        printf("  %4d x %d x %d         ", sizes[i][0], sizes[i][1], sizes[i][2]);
    printf("\n");
    for (int step = 0; step < STEPS; step++) {
        printf("%-30s", steps[step].name);
        for (int i = 0; i < SIZES; i++)
            printf("  %8.1f  %6.1f times  ", speed[i][step], speed[i][step] / speed[i][0]);
        printf("\n");
    }
    printf("\nArithmetic in registers alone, on one thread: %.1f\n", measure_peak());
    return 0;
}
