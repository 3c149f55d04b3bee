/* kernels.c - how fast are the library's loops? `make bench-kernels`
 *
 * Matrix products are held against what the processor can do at most and, where there is an
 * OpenBLAS to be found, against the products of people who write little else. The other
 * operations are held against a mere copy of their data.
 *
 * A machine that is not ours alone is now faster, now slower. So those that are compared
 * take turns, every figure is the median of several rounds, and what counts is the ratio. */
#define _DEFAULT_SOURCE
#include "bench.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "base/random.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 9 };

/* ---- Somebody else's matrix product ---- */

enum { BY_ROWS = 101, PLAIN = 111, TRANSPOSED = 112 }; /* as in cblas.h */

typedef struct {
    void (*product)(int order, int a_is, int b_is, int M, int N, int K, float alpha,
                    const float *a, int a_row, const float *b, int b_row, float beta,
                    float *c, int c_row);
    void (*set_threads)(int threads);
    char *(*core)(void);
} Blas;

/* Found when the program runs, never linked. The environment may name a core to be taken
 * for: that would not be a fair race. */
static bool find_blas(Blas *blas)
{
    unsetenv("OPENBLAS_CORETYPE");
    void *library = dlopen("libopenblas.so.0", RTLD_NOW);
    if (!library)
        return false;
    *(void **)&blas->product = dlsym(library, "cblas_sgemm");
    *(void **)&blas->set_threads = dlsym(library, "openblas_set_num_threads");
    *(void **)&blas->core = dlsym(library, "openblas_get_corename");
    return blas->product && blas->set_threads && blas->core;
}

/* ---- Matrix products ---- */

typedef struct {
    const char *what;
    int count, M, N, K;
    bool a_transposed, b_transposed;
} Shape;

/* The sizes of the small GPT of chapter 04, but for the last five. */
static const Shape shapes[] = {
    {"attention, out", 1, 768, 128, 128, false, false},
    {"attention, in", 1, 768, 384, 128, false, false},
    {"feed-forward, in", 1, 768, 512, 128, false, false},
    {"feed-forward, out", 1, 768, 128, 512, false, false},
    {"logits", 1, 768, 65, 128, false, true},
    {"weight gradient", 1, 128, 384, 768, true, false},
    {"scores of 48 heads", 48, 64, 64, 32, false, true},
    {"mixing, 48 heads", 48, 64, 32, 64, false, false},
    {"a step of an LSTM", 1, 32, 1024, 256, false, true},
    {"tall", 1, 8192, 256, 256, false, false},
    {"deep gradient", 1, 256, 256, 8192, true, false},
    {"GPT-2 sized", 1, 4096, 768, 768, false, false},
    {"square", 1, 1024, 1024, 1024, false, false},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct {
    const Shape *shape;
    const Blas *blas;
    Tape *tape;
    Tensor *a, *b, *c;
} Product;

static Tensor *random_tensor(int rank, const int *shape, uint64_t stream)
{
    Tensor *x = t_lasting(false, rank, shape);
    for (long i = 0; i < t_size(x); i++)
        x->data[i] = random_normal(1, stream, (uint64_t)i);
    return x;
}

static Tensor *our_result(Product *p)
{
    tape_reset(p->tape, 0);
    Tensor *a = t_on(p->tape, p->a), *b = t_on(p->tape, p->b);
    return t_matmul(p->shape->a_transposed ? t_transpose(a) : a,
                    p->shape->b_transposed ? t_transpose(b) : b);
}

static void our_product(void *context)
{
    our_result(context);
}

static void their_product(void *context)
{
    const Product *p = context;
    const Shape *s = p->shape;
    for (long i = 0; i < s->count; i++)
        p->blas->product(BY_ROWS, s->a_transposed ? TRANSPOSED : PLAIN,
                         s->b_transposed ? TRANSPOSED : PLAIN, s->M, s->N, s->K, 1,
                         p->a->data + i * s->M * s->K, s->a_transposed ? s->M : s->K,
                         p->b->data + i * s->K * s->N, s->b_transposed ? s->K : s->N, 0,
                         p->c->data + i * s->M * s->N, s->N);
}

static void check_agreement(Product *p)
{
    their_product(p);
    const Tensor *ours = our_result(p);
    double worst = 0;
    for (long i = 0; i < t_size(p->c); i++)
        worst = fmax(worst, fabs((double)ours->data[i] - p->c->data[i]));
    if (worst <= 1e-5 * p->shape->K)
        return;
    fprintf(stderr, "%s: the two products differ by %g\n", p->shape->what, worst);
    exit(1);
}

/* Threads that have nothing to do spin for a while. Before the other one's turn they have to
 * be asleep. */
static void let_threads_sleep(void)
{
    if (parallel_thread_count() > 1)
        usleep(50000);
}

/* GFLOP/s: ours, theirs (0 if there are none), and what one thread can do at most. */
typedef struct {
    double ours, theirs, peak;
} Speed;

static Speed race(const Shape *s, const Blas *blas)
{
    int a[] = {s->count, s->a_transposed ? s->K : s->M, s->a_transposed ? s->M : s->K};
    int b[] = {s->count, s->b_transposed ? s->N : s->K, s->b_transposed ? s->K : s->N};
    Product p = {s,
                 blas,
                 tape_new(TAPE_INFERENCE, 0),
                 random_tensor(3, a, 0),
                 random_tensor(3, b, 1),
                 t_lasting(false, 3, (int[]){s->count, s->M, s->N})};
    double ours[ROUNDS], theirs[ROUNDS], peak[ROUNDS];
    double work = 2e-9 * s->count * s->M * s->N * s->K;
    if (blas)
        check_agreement(&p);
    for (int round = 0; round < ROUNDS; round++) {
        let_threads_sleep();
        ours[round] = work / time_of(our_product, &p);
        let_threads_sleep();
        theirs[round] = blas ? work / time_of(their_product, &p) : 0;
        peak[round] = measure_peak();
    }
    t_lasting_free(p.a);
    t_lasting_free(p.b);
    t_lasting_free(p.c);
    tape_free(p.tape);
    return (Speed){median(ROUNDS, ours), median(ROUNDS, theirs), median(ROUNDS, peak)};
}

static void print_size(const Shape *s)
{
    char size[64];
    snprintf(size, sizeof size, "%d x %d x %d", s->M, s->N, s->K);
    printf("%-19s %-18s %c%c", s->what, size, s->a_transposed ? 'T' : 'N',
           s->b_transposed ? 'T' : 'N');
}

static void measure_products(const Blas *blas, int threads)
{
    parallel_threads(threads);
    if (blas)
        blas->set_threads(threads);
    printf("\nMatrix products, M x N x K, on %d thread%s, GFLOP/s\n\n", threads,
           threads > 1 ? "s" : "");
    printf("%-41s   ours  of peak%s\n", "", blas ? "   OpenBLAS  ratio" : "");
    double sum = 0, least = INFINITY;
    for (int i = 0; i < SHAPES; i++) {
        Speed speed = race(&shapes[i], blas);
        double ratio = speed.ours / speed.theirs;
        print_size(&shapes[i]);
        printf("%7.1f  %6.0f%%", speed.ours, 100 * speed.ours / (threads * speed.peak));
        if (blas)
            printf("   %8.1f  %5.2f", speed.theirs, ratio);
        printf("\n");
        sum += log(ratio);
        least = fmin(least, ratio);
    }
    if (blas)
        printf("%-60s  geometric mean %.2f, least %.2f\n", "", exp(sum / SHAPES), least);
}

/* ---- The other operations ---- */

enum { ROWS = 768, COLUMNS = 512, SIZE = ROWS * COLUMNS };

typedef struct {
    Tape *tape;
    float *numbers; /* 2 * SIZE */
    Tensor *x, *y, *weight, *bias;
    Ids *targets;
} Inputs;

#define OP(name, call)                           \
    static Tensor *op_##name(const Inputs *with) \
    {                                            \
        return call;                             \
    }
OP(nothing, with->x)
OP(permute, t_contiguous(t_permute(t_reshape(with->x, ROWS, 8, COLUMNS / 8), 1, 0, 2)))
OP(add, t_add(with->x, with->y))
OP(mul, t_mul(with->x, with->y))
OP(exp, t_exp(with->x))
OP(tanh, t_tanh(with->x))
OP(sigmoid, t_sigmoid(with->x))
OP(silu, t_silu(with->x))
OP(gelu, t_gelu(with->x))
OP(gelu_erf, t_gelu_erf(with->x))
OP(dropout, t_dropout(with->x, 0.1f))
OP(softmax, t_softmax(with->x))
OP(layer_norm, t_layer_norm(with->x, with->weight, with->bias, 1e-5f))
OP(rms_norm, t_rms_norm(with->x, with->weight, 1e-5f))
OP(log_softmax, t_log_softmax(with->x))
OP(log_sum_exp, t_log_sum_exp(with->x))
OP(cross_entropy, t_cross_entropy(with->x, with->targets))

static const struct {
    const char *name;
    Tensor *(*call)(const Inputs *with);
} operations[] = {
    {"permute", op_permute},
    {"add", op_add},
    {"mul", op_mul},
    {"exp", op_exp},
    {"tanh", op_tanh},
    {"sigmoid", op_sigmoid},
    {"silu", op_silu},
    {"gelu", op_gelu},
    {"gelu_erf", op_gelu_erf},
    {"dropout", op_dropout},
    {"softmax", op_softmax},
    {"layer_norm", op_layer_norm},
    {"rms_norm", op_rms_norm},
    {"log_softmax", op_log_softmax},
    {"log_sum_exp", op_log_sum_exp},
    {"cross_entropy", op_cross_entropy},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static Tensor *input(const Inputs *with, const float *from, int rows, int columns)
{
    Tensor *x = rows > 1 ? t_empty(with->tape, rows, columns)
                         : t_empty(with->tape, columns);
    memcpy(x->data, from, (size_t)t_size(x) * sizeof *from);
    return t_keep_grad(x);
}

static void begin_again(Inputs *with)
{
    tape_reset(with->tape, 0);
    with->x = input(with, with->numbers, ROWS, COLUMNS);
    with->y = input(with, with->numbers + SIZE, ROWS, COLUMNS);
    with->weight = input(with, with->numbers, 1, COLUMNS);
    with->bias = input(with, with->numbers + COLUMNS, 1, COLUMNS);
    with->targets = ids_new(with->tape, ROWS);
    for (int i = 0; i < ROWS; i++)
        with->targets->at[i] = i % COLUMNS;
}

/* Seconds of one call forward, and of the way back through it and through the sum of what it
 * gives. */
static void time_operation(Inputs *with, Tensor *(*call)(const Inputs *), double times[2])
{
    begin_again(with);
    double start = seconds_now();
    Tensor *y = call(with);
    double middle = seconds_now();
    Tensor *loss = y->rank > 0 ? t_sum_all(y) : y;
    double end = seconds_now();
    backward(loss);
    times[0] = middle - start;
    times[1] = seconds_now() - end;
}

/* Medians of many. The sum's own way back is taken off. */
static void measure_operation(Inputs *with, int which, double nanoseconds[2])
{
    enum { TIMES = 31 };
    double forward[TIMES], back[TIMES];
    bool sums = operations[which].call != op_cross_entropy &&
                operations[which].call != op_log_sum_exp; /* theirs is short */
    for (int i = 0; i < TIMES; i++) {
        double plain[2], times[2];
        time_operation(with, op_nothing, plain);
        time_operation(with, operations[which].call, times);
        forward[i] = times[0];
        back[i] = times[1] - (sums ? plain[1] : 0);
    }
    nanoseconds[0] = median(TIMES, forward) * 1e9 / SIZE;
    nanoseconds[1] = median(TIMES, back) * 1e9 / SIZE;
}

typedef struct {
    float *from, *to;
    size_t bytes;
} Copy;

static void copy(void *context)
{
    const Copy *c = context;
    memcpy(c->to, c->from, c->bytes);
}

/* Nanoseconds that a copy of n floats takes for each of them. */
static double measure_copy(long n)
{
    Copy c = {allocate((size_t)n, sizeof(float)), allocate((size_t)n, sizeof(float)),
              (size_t)n * sizeof(float)};
    double times[ROUNDS];
    memset(c.from, 1, c.bytes);
    for (int i = 0; i < ROUNDS; i++)
        times[i] = time_of(copy, &c);
    free(c.from);
    free(c.to);
    return median(ROUNDS, times) * 1e9 / n;
}

static void measure_operations(void)
{
    const long large = 32 << 20;
    double near = measure_copy(SIZE), far = measure_copy(large);
    parallel_threads(1);
    printf("\nOperations on %d x %d floats, on 1 thread\n\n", ROWS, COLUMNS);
    printf(
        "A copy of as many takes %.2f ns for each (%.1f GB/s read and written); of %ld MB, "
        "%.2f ns (%.1f GB/s).\n\n",
        near, 8 / near, large * 4 >> 20, far, 8 / far);
    printf("%-16s %8s %9s %19s\n", "ns per element", "forward", "backward",
           "as copies of it");
    Inputs with = {.tape = tape_new(TAPE_TRAINING, 1),
                   .numbers = allocate(2 * SIZE, sizeof(float))};
    for (long i = 0; i < 2 * SIZE; i++)
        with.numbers[i] = random_normal(1, 0, (uint64_t)i);
    for (int i = 0; i < OPERATIONS; i++) {
        double ns[2];
        measure_operation(&with, i, ns);
        printf("%-16s %8.2f %9.2f %11.1f %7.1f\n", operations[i].name, ns[0], ns[1],
               ns[0] / near, ns[1] / near);
    }
    tape_free(with.tape);
    free(with.numbers);
}

int main(void)
{
    Blas blas;
    bool found = find_blas(&blas);
    printf("One thread can do %.0f GFLOP/s at most, multiplying and adding in registers.\n",
           measure_peak());
    if (found)
        printf("OpenBLAS takes this processor for: %s.\n", blas.core());
    else
        printf("There is no OpenBLAS here (libopenblas.so.0) to compare with.\n");
    measure_products(found ? &blas : NULL, 1);
    measure_products(found ? &blas : NULL, 2);
    measure_operations();
    return 0;
}
