/* ops_matrix.c - matrix products: shapes and threads here, arithmetic in kernels.c.
 *
 *     for (i < M) for (j < N) for (k < K)
 *         y[i][j] += a[i][k] * b[k][j];
 *
 * and back, with g the gradient of y, which are matrix products again:
 *
 *         da[i][k] += g[i][j] * b[k][j];
 *         db[k][j] += a[i][k] * g[i][j];
 *
 * An affine map adds bias[j] to y[i][j]; the gradient of the bias is the sum of the rows of
 * g. Of products of many matrices, the dimensions in front broadcast. */
#include "tensor/kernels.h"
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/packed.h"
#include "tensor/parallel.h"
#include "tensor/walk.h"

enum {
    MOST_BATCH = MAX_RANK - 2,
    WORTH_IT = 30000 /* multiplications: with fewer, threads cost more than they bring */
};

/* Many matrices of one shape: how far apart they are in each of the dimensions in front. */
typedef struct {
    Matrix m;
    long stride[MOST_BATCH];
} Matrices;

/* A product of matrices, or many of them. `add` adds to C; then C may have strides of 0,
 * over which is summed, in order. */
typedef struct {
    long M, N, K;
    int rank; /* dimensions in front */
    long size[MOST_BATCH];
    Matrices a, b, c;
    bool add;
    const float *bias; /* is added to each row of C, which then is not added to; or NULL */
    bool by_rows;      /* how threads divide a single product */
    long half;         /* of the inner dimension, where the sum is made in two */
    float *other;      /* (M, N), for the second of them */
    int parts;         /* into which threads divide each */
} Product;

/* The matrices number i of the many. */
static Matrix numbered(const Product *p, const Matrices *many, long i)
{
    Matrix m = many->m;
    for (int d = p->rank - 1; d >= 0; d--) {
        m.data += i % p->size[d] * many->stride[d];
        i /= p->size[d];
    }
    return m;
}

/* M rows and N columns of one product, those from `column` on. Only a product that has one
 * row as a whole goes its own way: a row that a thread has alone is summed like the others. */
static void multiply_part(const Product *p, long M, long N, long column, Matrix a, Matrix b,
                          Matrix c)
{
    const float *bias = p->bias ? p->bias + column : NULL;
    if (p->M == 1 && a.column == 1 && b.row == 1 && b.column != 1) {
        for (long j = 0; bias && j < N; j++)
            c.data[j * c.column] = bias[j];
        kernel_row_product(N, p->K, a.data, b, c, p->add || bias);
    } else if (bias)
        kernel_affine(M, N, p->K, a, b, bias, c);
    else
        kernel_matmul(M, N, p->K, a, b, c, p->add);
}

static void whole_products(long from, long to, void *context)
{
    const Product *p = context;
    for (long i = from; i < to; i++)
        multiply_part(p, p->M, p->N, 0, numbered(p, &p->a, i), numbered(p, &p->b, i),
                      numbered(p, &p->c, i));
}

static void part_of_product(long from, long to, void *context)
{
    const Product *p = context;
    Matrix a = p->a.m, b = p->b.m, c = p->c.m;
    if (p->by_rows)
        multiply_part(p, to - from, p->N, 0, matrix_at(a, from, 0), b,
                      matrix_at(c, from, 0));
    else
        multiply_part(p, p->M, to - from, from, a, matrix_at(b, 0, from),
                      matrix_at(c, 0, from));
}

/* Where the innermost dimension in front continues the rows of A and C with the same B, the
 * many products are one with more rows (not if these are one row of C, again and again);
 * where it continues the inner dimension and C is summed over it, one with a longer inner
 * dimension. */
static void merge(Product *p)
{
    while (p->rank > 0) {
        int d = p->rank - 1;
        bool rows = p->b.stride[d] == 0 && p->a.stride[d] == p->a.m.row * p->M &&
                    p->c.stride[d] == p->c.m.row * p->M && p->c.stride[d] != 0;
        bool inner = p->add && p->c.stride[d] == 0 &&
                     p->a.stride[d] == p->a.m.column * p->K &&
                     p->b.stride[d] == p->b.m.row * p->K;
        if (rows)
            p->M *= p->size[d];
        else if (inner)
            p->K *= p->size[d];
        else if (p->size[d] != 1)
            return;
        p->rank--;
    }
}

static Matrices transposed(Matrices many)
{
    long row = many.m.row;
    many.m.row = many.m.column;
    many.m.column = row;
    return many;
}

/* C' = B' A': where C lies column by column, as the gradient of a transposed weight does,
 * its transpose lies row by row, which is how tiles are written. */
static Product row_by_row(Product p)
{
    if (p.c.m.column == 1 || p.c.m.row != 1)
        return p;
    Product q = p;
    q.M = p.N;
    q.N = p.M;
    q.a = transposed(p.b);
    q.b = transposed(p.a);
    q.c = transposed(p.c);
    return q;
}

/* How many rows or columns make one of so many shares. */
static long share(long size, long grain, int shares)
{
    return (size + shares * grain - 1) / (shares * grain) * grain;
}

/* Number i of the products, by all threads together. */
static void multiply_divided(Product p, long i)
{
    p.a.m = numbered(&p, &p.a, i);
    p.b.m = numbered(&p, &p.b, i);
    p.c.m = numbered(&p, &p.c, i);
    p.by_rows = p.M > 1 && p.M >= p.N;
    int threads = parallel_thread_count(); /* one share for each: it packs for itself */
    if (p.by_rows)
        parallel_for(p.M, share(p.M, kernel_row_grain, threads), part_of_product, &p);
    else
        parallel_for(p.N, share(p.N, kernel_column_grain, threads), part_of_product, &p);
}

/* One part of the rows or columns, in one half of the sum. The first half goes into C itself,
 * which is why this is no parallel_sum: tiles add to what is there as they go. */
static void part_of_half(long from, long to, void *context)
{
    const Product *p = context;
    long size = p->by_rows ? p->M : p->N;
    long width = share(size, p->by_rows ? kernel_row_grain : kernel_column_grain, p->parts);
    for (long i = from; i < to; i++) {
        Product q = *p;
        q.K = p->half;
        if (i >= p->parts) {
            q.K = p->K - p->half;
            q.a.m = matrix_at(p->a.m, 0, p->half);
            q.b.m = matrix_at(p->b.m, p->half, 0);
            q.c.m = (Matrix){p->other, p->N, 1};
            q.add = false;
        }
        long at = i % p->parts * width;
        if (at < size)
            part_of_product(at, at + width < size ? at + width : size, &q);
    }
}

static void add_other(long from, long to, void *context)
{
    const Product *p = context;
    for (long i = from; i < to; i++)
        for (long j = 0; j < p->N; j++)
            p->c.m.data[i * p->c.m.row + j] += p->other[i * p->N + j];
}

/* The gradient of a weight is a sum over all the rows that went through it. A thread that
 * takes half of them finds them in its cache, where it left them, and packs what nobody else
 * packs. It is two halves for any number of threads: sums come out the same. */
static void multiply_halves(Op *op, Product p)
{
    p.half = p.K / 2;
    p.other = op_borrow(op, p.M * p.N);
    p.by_rows = p.M >= p.N;
    p.parts = (parallel_thread_count() + 1) / 2;
    parallel_for(2 * p.parts, 1, part_of_half, &p);
    parallel_for(p.M, 1 + WORTH_IT / p.N, add_other, &p);
    op_return(op, p.other, p.M * p.N);
}

/* On the way back, the operation lends memory; on the way there it is NULL. */
static void multiply(Op *op, Product p)
{
    merge(&p);
    p = row_by_row(p);
    long count = 1;
    bool summed = false;
    for (int d = 0; d < p.rank; d++) {
        count *= p.size[d];
        summed |= p.c.stride[d] == 0;
    }
    if (count == 0)
        return;
    int threads = parallel_thread_count();
    bool small = (double)count * p.M * p.N * p.K < WORTH_IT;
    bool deep = p.rank == 0 && p.K > p.M && p.K > p.N && p.c.m.column == 1;
    if (deep && !small && op)
        multiply_halves(op, p);
    else if (small || (!summed && (count >= 2 * threads || count % threads == 0)))
        parallel_for(count, small ? count : 1, whole_products, &p);
    else
        for (long i = 0; i < count; i++)
            multiply_divided(p, i);
}

/* x, or its gradient, as matrices under the dimensions in front of y, to which it
 * broadcasts. */
static Matrices matrices(const Tensor *x, float *data, const Tensor *y)
{
    int last = x->rank - 1, front = y->rank - 2;
    Matrices many = {{data, x->stride[last - 1], x->stride[last]}, {0}};
    for (int i = 0; i < front; i++) {
        int own = i - (front - (x->rank - 2));
        many.stride[i] = own < 0 || x->shape[own] == 1 ? 0 : x->stride[own];
    }
    return many;
}

static Product product_of(const Tensor *y, long M, long N, long K, Matrices a, Matrices b,
                          Matrices c, bool add)
{
    Product p = {.M = M, .N = N, .K = K, .rank = y->rank - 2, .a = a, .b = b, .c = c};
    p.add = add;
    for (int i = 0; i < p.rank; i++)
        p.size[i] = y->shape[i];
    return p;
}

/* Where the gradient of input i goes. Only if the input has all the dimensions in front of
 * y is it not a sum over some of them, and can be set. */
static Matrices gradient_of(Op *op, int i, const Tensor *y, bool *add)
{
    const Tensor *x = op_input_shape(op, i);
    bool same = x->rank == y->rank &&
                memcmp(x->shape, y->shape, (size_t)(y->rank - 2) * sizeof *x->shape) == 0;
    *add = true;
    return matrices(x, op_grad(op, i, same ? add : NULL), y);
}

/* With Y = A B and the gradient G of Y: dA = G B', dB = A' G. */
static void matmul_gradients(Op *op)
{
    const Tensor *a = op_input_shape(op, 0), *b = op_input_shape(op, 1);
    const Tensor *y = op_output_shape(op);
    long M = y->shape[y->rank - 2], N = y->shape[y->rank - 1], K = a->shape[a->rank - 1];
    Matrices g = matrices(y, (float *)op_gout(op), y);
    bool add;
    if (op_wants(op, 0)) {
        Matrices right = transposed(matrices(b, op_input(op, 1)->data, y));
        Matrices da = gradient_of(op, 0, y, &add);
        multiply(op, product_of(y, M, K, N, g, right, da, add));
    }
    if (op_wants(op, 1)) {
        Matrices left = transposed(matrices(a, op_input(op, 0)->data, y));
        Matrices db = gradient_of(op, 1, y, &add);
        multiply(op, product_of(y, K, N, M, left, g, db, add));
    }
}

/* A matrix whose rows or columns are one and the same, repeated, is copied if it wants a
 * gradient: what threads divide and tiles add to must not be the same memory. */
static Tensor *unrepeated(Tensor *x, Tape *tape)
{
    for (int i = x->rank - 1; i >= 0 && i >= x->rank - 2; i--)
        if (x->stride[i] == 0 && x->shape[i] > 1 && x->storage->wants_grad && tape)
            return t_contiguous(x->tape ? x : t_on(tape, x));
    return x;
}

Tensor *t_matmul(Tensor *a, Tensor *b)
{
    Tape *tape = a->tape ? a->tape : b->tape;
    a = unrepeated(a, tape);
    b = unrepeated(b, tape);
    Op *op = op_new_packed("matmul", matmul_gradients, T_LIST(a, b), 1);
    if (a->rank < 2 || b->rank < 2)
        op_misuse(op_tape(op), "matmul", "%s x %s: both need two dimensions or more",
                  t_text(a), t_text(b));
    long M = a->shape[a->rank - 2], K = a->shape[a->rank - 1], N = b->shape[b->rank - 1];
    if (K != b->shape[b->rank - 2])
        op_misuse(op_tape(op), "matmul", "%s x %s: inner sizes %ld and %d differ",
                  t_text(a), t_text(b), K, b->shape[b->rank - 2]);
    int shape[MAX_RANK], rank = t_broadcast("matmul", a, b, 2, shape);
    shape[rank - 2] = (int)M;
    shape[rank - 1] = (int)N;
    Tensor *y = op_out_of(op, rank, shape);
    if (b->storage->packed)
        multiply_packed(op, y, a, b, NULL);
    else
        multiply(NULL, product_of(y, M, N, K, matrices(a, a->data, y),
                                  matrices(b, b->data, y), matrices(y, y->data, y), false));
    return y;
}

static void affine_backward(Op *op)
{
    matmul_gradients(op);
    if (!op_wants(op, 2))
        return;
    const Tensor *y = op_output_shape(op), *b = op_input_shape(op, 2);
    long stride[MAX_RANK] = {0};
    stride[y->rank - 1] = b->stride[0];
    walk(y->rank, y->shape, row_copy, 0, (Walked){op_grad(op, 2, NULL), stride}, true, 1,
         &(Walked){(float *)op_gout(op), y->stride});
}

Tensor *t_affine(Tensor *x, Tensor *w, Tensor *b)
{
    if (x->rank == 1) { /* a single row */
        Tensor *y = t_affine(t_reshape(x, 1, x->shape[0]), w, b);
        return t_select(y, 0, 0);
    }
    Tape *tape = x->tape ? x->tape : w->tape ? w->tape : b->tape;
    x = unrepeated(x, tape);
    w = unrepeated(w, tape);
    if (b->rank == 1 && b->stride[0] != 1 && tape)
        b = t_contiguous(t_on(tape, b));
    Op *op = op_new_packed("affine", affine_backward, T_LIST(x, w, b), 1);
    int last = x->rank - 1, shape[MAX_RANK];
    if (x->rank < 2 || w->rank != 2 || b->rank != 1 || x->shape[last] != w->shape[0] ||
        w->shape[1] != b->shape[0])
        op_misuse(op_tape(op), "affine", "%s x %s + %s do not fit", t_text(x), t_text(w),
                  t_text(b));
    memcpy(shape, x->shape, sizeof shape);
    shape[last] = w->shape[1];
    Tensor *y = op_out_of(op, x->rank, shape);
    Product p = product_of(y, x->shape[last - 1], w->shape[1], w->shape[0],
                           matrices(x, x->data, y), matrices(w, w->data, y),
                           matrices(y, y->data, y), false);
    p.bias = b->data;
    if (w->storage->packed)
        multiply_packed(op, y, x, w, b);
    else
        multiply(NULL, p);
    return y;
}
