/* ops_norm.c - the norms: each row is brought to a common scale.
 *
 * Rows are divided among threads. The gradients of weight and bias are sums over all rows,
 * which are made in parts on the same pass (parallel_sum). */
#include "tensor/kernels.h"
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
#include "tensor/vector.h"

#include <math.h>

static void check_vector(const Op *op, const char *name, const Tensor *x, const Tensor *v)
{
    if (x->rank < 1 || v->rank != 1 || v->shape[0] != x->shape[x->rank - 1] ||
        !t_is_contiguous(v))
        op_misuse(op_tape(op), name, "%s does not fit the rows of %s", t_text(v),
                  t_text(x));
}

/* One number for each row, to be kept for the way back. */
static float *row_numbers(const Op *op, const Tensor *x)
{
    return tape_alloc(op_tape(op), (size_t)t_rows_of(x) * sizeof(float));
}

static void add_to(float *sum, const float *x, long n)
{
    for (long j = 0; j < n; j++)
        sum[j] += x[j];
}

/* ---- Layer norm ----
 *
 *     mean  = sum of x[j] / n
 *     scale = 1 / sqrt(sum of (x[j] - mean)^2 / n + epsilon)
 *     h[j]  = (x[j] - mean) * scale
 *     y[j]  = h[j] * weight[j] + bias[j]
 *
 * and with e[j] = g[j] * weight[j], where g is the gradient of y:
 *
 *     dx[j]      = scale * (e[j] - sum of e / n - h[j] * sum of e * h / n)
 *     dweight[j] = sum over rows of g[j] * h[j]
 *     dbias[j]   = sum over rows of g[j] */

typedef struct {
    long columns;
    const float *x, *weight, *bias, *g;
    float *y, *dx;       /* dx is NULL where x wants no gradient */
    float *mean, *scale; /* of each row */
    float epsilon;
    bool add; /* to dx, or set it */
} LayerNorm;

static void layer_norm_rows(long from, long to, void *context)
{
    const LayerNorm *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * n;
        float *y = r->y + i * n, mean = kernel_sum(n, x) / n;
        for (long j = 0; j < n; j++)
            y[j] = x[j] - mean;
        float scale = 1 / sqrtf(kernel_dot(n, y, y) / n + r->epsilon);
        for (long j = 0; j < n; j++)
            y[j] = y[j] * scale * r->weight[j] + r->bias[j];
        r->mean[i] = mean;
        r->scale[i] = scale;
    }
}

/* The two sums that the gradient of a row needs, over columns j .. j + m - 1. Where m is a
 * constant, loads are vectors; so in the next function of this kind. */
static inline void layer_norm_sums(const LayerNorm *r, const float *x, const float *g,
                                   float mean, long j, long m, V *sum, V *sum_x)
{
    V e = v_load_some(g + j, m) * v_load_some(r->weight + j, m);
    *sum += e;
    *sum_x += e * (v_load_some(x + j, m) - mean);
}

static void layer_norm_back_row(const LayerNorm *r, long i)
{
    const long n = r->columns, whole = n - n % LANES;
    const float *x = r->x + i * n, *g = r->g + i * n, *weight = r->weight;
    float *dx = r->dx + i * n, mean = r->mean[i], scale = r->scale[i];
    V sum = {0}, sum_x = {0};
    for (long j = 0; j < whole; j += LANES)
        layer_norm_sums(r, x, g, mean, j, LANES, &sum, &sum_x);
    if (whole < n)
        layer_norm_sums(r, x, g, mean, whole, n - whole, &sum, &sum_x);
    float mean_e = v_sum(sum) / n, slope = scale * scale * v_sum(sum_x) / n;
    if (r->add)
        for (long j = 0; j < n; j++)
            dx[j] += scale * (g[j] * weight[j] - mean_e - (x[j] - mean) * slope);
    else
        for (long j = 0; j < n; j++)
            dx[j] = scale * (g[j] * weight[j] - mean_e - (x[j] - mean) * slope);
}

/* `sums` holds the gradient of the weight and, after it, that of the bias. */
static void layer_norm_back_rows(long from, long to, float *sums, void *context)
{
    const LayerNorm *r = context;
    const long n = r->columns;
    float *dweight = sums, *dbias = sums + n;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * n, *g = r->g + i * n;
        float mean = r->mean[i], scale = r->scale[i];
        for (long j = 0; j < n; j++) {
            dweight[j] += g[j] * (x[j] - mean) * scale;
            dbias[j] += g[j];
        }
        if (r->dx)
            layer_norm_back_row(r, i);
    }
}

static void layer_norm_backward(Op *op)
{
    LayerNorm *r = op_saved(op);
    float *dweight = op_grad(op, 0, NULL), *dbias = op_grad(op, 1, NULL);
    r->weight = op_input(op, 0)->data;
    r->x = op_input(op, 2)->data;
    r->g = op_gout(op);
    if (op_wants(op, 2))
        r->dx = op_grad(op, 2, &r->add);
    long n = r->columns;
    float *sums = op_borrow(op, 2 * n);
    memset(sums, 0, (size_t)(2 * n) * sizeof *sums);
    parallel_sum(t_rows_of(op_output_shape(op)), 2 * n, sums, layer_norm_back_rows, r);
    add_to(dweight, sums, n);
    add_to(dbias, sums + n, n);
    op_return(op, sums, 2 * n);
}

Tensor *t_layer_norm(Tensor *x, Tensor *weight, Tensor *bias, float epsilon)
{
    Tape *tape = weight->tape ? weight->tape : bias->tape;
    x = t_contiguous(x->tape || !tape ? x : t_on(tape, x));
    /* x comes last: its gradient may take the place of that of the result. */
    Op *op = t_op("layer_norm", layer_norm_backward, weight, bias, x);
    op_in_place(op);
    check_vector(op, "layer_norm", x, weight);
    check_vector(op, "layer_norm", x, bias);
    Tensor *y = op_out_like(op, x);
    LayerNorm *r = op_save(op, sizeof *r);
    *r = (LayerNorm){.columns = x->shape[x->rank - 1], .epsilon = epsilon};
    r->x = x->data;
    r->weight = weight->data;
    r->bias = bias->data;
    r->y = y->data;
    r->mean = row_numbers(op, x);
    r->scale = row_numbers(op, x);
    parallel_rows(t_rows_of(x), r->columns, layer_norm_rows, r);
    return y;
}

/* ---- RMS norm ----
 *
 *     scale = 1 / sqrt(sum of x[j]^2 / n + epsilon)
 *     h[j]  = x[j] * scale
 *     y[j]  = h[j] * weight[j]
 *
 * and with e[j] = g[j] * weight[j]:
 *
 *     dx[j]      = scale * (e[j] - h[j] * sum of e * h / n)
 *     dweight[j] = sum over rows of g[j] * h[j] */

typedef struct {
    long columns;
    const float *x, *weight, *g;
    float *y, *dx; /* dx is NULL where x wants no gradient */
    float *scale;  /* of each row */
    float epsilon;
    bool add; /* to dx, or set it */
} RmsNorm;

static void rms_norm_rows(long from, long to, void *context)
{
    const RmsNorm *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * n;
        float *y = r->y + i * n;
        float scale = 1 / sqrtf(kernel_dot(n, x, x) / n + r->epsilon);
        for (long j = 0; j < n; j++)
            y[j] = x[j] * scale * r->weight[j];
        r->scale[i] = scale;
    }
}

static inline V rms_norm_products(const RmsNorm *r, const float *x, const float *g, long j,
                                  long m)
{
    return v_load_some(g + j, m) * v_load_some(r->weight + j, m) * v_load_some(x + j, m);
}

static void rms_norm_back_row(const RmsNorm *r, long i)
{
    const long n = r->columns, whole = n - n % LANES;
    const float *x = r->x + i * n, *g = r->g + i * n, *weight = r->weight;
    float *dx = r->dx + i * n, scale = r->scale[i];
    V sum = {0};
    for (long j = 0; j < whole; j += LANES)
        sum += rms_norm_products(r, x, g, j, LANES);
    if (whole < n)
        sum += rms_norm_products(r, x, g, whole, n - whole);
    float slope = scale * scale * v_sum(sum) / n;
    if (r->add)
        for (long j = 0; j < n; j++)
            dx[j] += scale * (g[j] * weight[j] - x[j] * slope);
    else
        for (long j = 0; j < n; j++)
            dx[j] = scale * (g[j] * weight[j] - x[j] * slope);
}

static void rms_norm_back_rows(long from, long to, float *dweight, void *context)
{
    const RmsNorm *r = context;
    const long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * n, *g = r->g + i * n;
        float scale = r->scale[i];
        for (long j = 0; j < n; j++)
            dweight[j] += g[j] * x[j] * scale;
        if (r->dx)
            rms_norm_back_row(r, i);
    }
}

static void rms_norm_backward(Op *op)
{
    RmsNorm *r = op_saved(op);
    float *dweight = op_grad(op, 0, NULL);
    r->weight = op_input(op, 0)->data;
    r->x = op_input(op, 1)->data;
    r->g = op_gout(op);
    if (op_wants(op, 1))
        r->dx = op_grad(op, 1, &r->add);
    parallel_sum(t_rows_of(op_output_shape(op)), r->columns, dweight, rms_norm_back_rows,
                 r);
}

Tensor *t_rms_norm(Tensor *x, Tensor *weight, float epsilon)
{
    x = t_contiguous(x->tape || !weight->tape ? x : t_on(weight->tape, x));
    /* x comes last: its gradient may take the place of that of the result. */
    Op *op = t_op("rms_norm", rms_norm_backward, weight, x);
    op_in_place(op);
    check_vector(op, "rms_norm", x, weight);
    Tensor *y = op_out_like(op, x);
    RmsNorm *r = op_save(op, sizeof *r);
    *r = (RmsNorm){.columns = x->shape[x->rank - 1], .epsilon = epsilon};
    r->x = x->data;
    r->weight = weight->data;
    r->y = y->data;
    r->scale = row_numbers(op, x);
    parallel_rows(t_rows_of(x), r->columns, rms_norm_rows, r);
    return y;
}
