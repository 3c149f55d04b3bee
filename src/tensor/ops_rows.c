/* ops_rows.c - the operations that take the last dimension, a row, as a whole. Rows are
 * divided among threads. */
#include "tensor/kernels.h"
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
#include "tensor/vector.h"

#include <math.h>

enum { PIECE = 16384 /* elements that are worth a thread */ };

/* What the work on a range of rows needs to know. */
typedef struct {
    int columns;
    const float *x, *g;
    float *y, *dx;
    float *mean, *scale; /* of each row */
    const float *weight, *bias;
    float epsilon;
    bool add;    /* to dx, or set it */
    int queries; /* T of (..., T, S) */
    const int *target;
    double factor;
    float smoothing;
} Rows;

static void for_rows(long rows, Rows *r, void (*work)(long, long, void *))
{
    parallel_for(rows, 1 + PIECE / (r->columns + 1), work, r);
}

/* ---- Softmax ---- */

static void softmax_rows(long from, long to, void *context)
{
    const Rows *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * n;
        float *y = r->y + i * n, greatest = kernel_greatest(n, x);
        if (greatest == -INFINITY)
            greatest = 0; /* nothing to attend to: zeros; or nothing but NaN, which stays */
        float sum = kernel_exp_sum(n, y, x, greatest);
        float scale = sum == 0 ? 0 : 1 / sum;
        for (long j = 0; j < n; j++)
            y[j] *= scale;
    }
}

/* dx = y (g - sum of g y). */
static void softmax_back_rows(long from, long to, void *context)
{
    const Rows *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *y = r->y + i * n, *g = r->g + i * n;
        float *dx = r->dx + i * n, dot = kernel_dot(n, g, y);
        if (r->add)
            for (long j = 0; j < n; j++)
                dx[j] += y[j] * (g[j] - dot);
        else
            for (long j = 0; j < n; j++)
                dx[j] = y[j] * (g[j] - dot);
    }
}

static void softmax_backward(Op *op)
{
    const Tensor *y = op_output(op);
    Rows r = {.columns = y->shape[y->rank - 1], .y = y->data, .g = op_gout(op)};
    r.dx = op_grad(op, 0, &r.add);
    for_rows(t_rows_of(y), &r, softmax_back_rows);
}

Tensor *t_softmax(Tensor *x)
{
    x = t_contiguous(x);
    Op *op = t_op("softmax", softmax_backward, x);
    op_in_place(op);
    if (x->rank == 0)
        op_misuse(op_tape(op), "softmax", "a single number has no last dimension");
    Tensor *y = op_out_like(op, x);
    Rows r = {.columns = x->shape[x->rank - 1], .x = x->data, .y = y->data};
    for_rows(t_rows_of(x), &r, softmax_rows);
    return y;
}

/* ---- The causal mask ---- */

/* How many of the S keys the query in row i may see. */
static long visible(const Rows *r, long i)
{
    return i % r->queries + 1 + (r->columns - r->queries);
}

static void causal_rows(long from, long to, void *context)
{
    const Rows *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        long seen = visible(r, i);
        memcpy(r->y + i * n, r->x + i * n, (size_t)seen * sizeof(float));
        for (long j = seen; j < n; j++)
            r->y[i * n + j] = -INFINITY;
    }
}

static void causal_back_rows(long from, long to, void *context)
{
    const Rows *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        long seen = visible(r, i);
        float *dx = r->dx + i * n;
        const float *g = r->g + i * n;
        for (long j = 0; j < seen; j++)
            dx[j] = r->add ? dx[j] + g[j] : g[j];
        for (long j = seen; j < n && !r->add; j++)
            dx[j] = 0;
    }
}

static void causal_backward(Op *op)
{
    const Tensor *y = op_output_shape(op);
    Rows r = {.columns = y->shape[y->rank - 1], .queries = y->shape[y->rank - 2]};
    r.g = op_gout(op);
    r.dx = op_grad(op, 0, &r.add);
    for_rows(t_rows_of(y), &r, causal_back_rows);
}

Tensor *t_causal(Tensor *scores)
{
    Tensor *x = t_contiguous(scores);
    Op *op = t_op("causal", causal_backward, x);
    op_in_place(op);
    op_may_be_infinite(op);
    if (x->rank < 2 || x->shape[x->rank - 2] > x->shape[x->rank - 1])
        op_misuse(op_tape(op), "causal", "%s has more queries than keys", t_text(x));
    Tensor *y = op_out_like(op, x);
    Rows r = {.columns = x->shape[x->rank - 1], .queries = x->shape[x->rank - 2]};
    r.x = x->data;
    r.y = y->data;
    for_rows(t_rows_of(x), &r, causal_rows);
    return y;
}

/* ---- Layer norm ---- */

static void layer_norm_rows(long from, long to, void *context)
{
    const Rows *r = context;
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
 * constant, as in this and in the next such function, loads are vectors. */
static inline void back_sums(const Rows *r, const float *x, const float *g, float mean,
                             long j, long m, V *sum, V *sum_x)
{
    V e = v_load_some(g + j, m) * v_load_some(r->weight + j, m);
    *sum += e;
    *sum_x += e * (v_load_some(x + j, m) - mean);
}

/* With h = (x - mean) scale and e = g weight: dx = scale (e - mean(e) - h mean(e h)). */
static void layer_norm_back_row(const Rows *r, long i)
{
    const long n = r->columns, whole = n - n % LANES;
    const float *x = r->x + i * n, *g = r->g + i * n, *weight = r->weight;
    float *dx = r->dx + i * n, mean = r->mean[i], scale = r->scale[i];
    V sum = {0}, sum_x = {0};
    for (long j = 0; j < whole; j += LANES)
        back_sums(r, x, g, mean, j, LANES, &sum, &sum_x);
    if (whole < n)
        back_sums(r, x, g, mean, whole, n - whole, &sum, &sum_x);
    float mean_e = v_sum(sum) / n, slope = scale * scale * v_sum(sum_x) / n;
    if (r->add)
        for (long j = 0; j < n; j++)
            dx[j] += scale * (g[j] * weight[j] - mean_e - (x[j] - mean) * slope);
    else
        for (long j = 0; j < n; j++)
            dx[j] = scale * (g[j] * weight[j] - mean_e - (x[j] - mean) * slope);
}

/* What some rows add to the gradients of weight and bias, which lie one after the other; and,
 * on the way, the gradients of these rows. */
static void layer_norm_back_rows(long from, long to, float *sums, void *context)
{
    const Rows *r = context;
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

static void add_to(float *sum, const float *x, long n)
{
    for (long j = 0; j < n; j++)
        sum[j] += x[j];
}

typedef struct {
    float *mean, *scale;
} LayerNormSaved;

static void layer_norm_backward(Op *op)
{
    float *dweight = op_grad(op, 0, NULL), *dbias = op_grad(op, 1, NULL);
    const Tensor *x = op_input(op, 2);
    const LayerNormSaved *saved = op_saved(op);
    Rows r = {.columns = x->shape[x->rank - 1], .x = x->data, .g = op_gout(op)};
    r.weight = op_input(op, 0)->data;
    r.mean = saved->mean;
    r.scale = saved->scale;
    if (op_wants(op, 2))
        r.dx = op_grad(op, 2, &r.add);
    float *sums = op_borrow(op, 2 * r.columns);
    memset(sums, 0, (size_t)(2 * r.columns) * sizeof *sums);
    parallel_sum(t_rows_of(x), 2 * r.columns, sums, layer_norm_back_rows, &r);
    add_to(dweight, sums, r.columns);
    add_to(dbias, sums + r.columns, r.columns);
    op_return(op, sums, 2 * r.columns);
}

static void check_vector(const Op *op, const char *name, const Tensor *x, const Tensor *v)
{
    if (x->rank < 1 || v->rank != 1 || v->shape[0] != x->shape[x->rank - 1] ||
        !t_is_contiguous(v))
        op_misuse(op_tape(op), name, "%s does not fit the rows of %s", t_text(v),
                  t_text(x));
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
    size_t bytes = (size_t)t_rows_of(x) * sizeof(float);
    Rows r = {.columns = x->shape[x->rank - 1], .x = x->data, .y = y->data};
    r.weight = weight->data;
    r.bias = bias->data;
    r.epsilon = epsilon;
    r.mean = tape_alloc(op_tape(op), bytes);
    r.scale = tape_alloc(op_tape(op), bytes);
    *(LayerNormSaved *)op_save(op, sizeof(LayerNormSaved)) = (LayerNormSaved){r.mean,
                                                                              r.scale};
    for_rows(t_rows_of(x), &r, layer_norm_rows);
    return y;
}

/* ---- Cross-entropy ---- */

/* The loss of each row, into y. Kept for the way back are the greatest logit, in `mean`,
 * and 1 / (sum of exp(x - greatest)), in `scale`: adding the logarithm of the sum to the
 * greatest instead would round it away where logits are large. */
static void cross_entropy_rows(long from, long to, void *context)
{
    const Rows *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        if (r->target[i] < 0)
            continue;
        const float *x = r->x + i * n;
        float greatest = kernel_greatest(n, x), exps[LANES * 16];
        double sum = 0;
        for (long j = 0; j < n; j += LANES * 16)
            sum += kernel_exp_sum(n - j < LANES * 16 ? n - j : LANES * 16, exps, x + j,
                                  greatest);
        r->mean[i] = greatest;
        r->scale[i] = (float)(1 / sum);
        float wanted = x[r->target[i]];
        if (r->smoothing > 0)
            wanted += r->smoothing * (kernel_sum(n, x) / n - wanted);
        r->y[i] = (float)log(sum) + (greatest - wanted);
    }
}

/* Columns j .. j + m - 1 of a row, but for the target. */
static inline void add_probabilities(float *dx, const float *x, float greatest, float scale,
                                     float each, long j, long m)
{
    V p = v_exp(v_load_some(x + j, m) - greatest);
    v_store_some(dx + j, v_load_some(dx + j, m) + (p * scale - each), m);
}

/* dx = (softmax(x) - what was wanted) / how many targets count. */
static void cross_entropy_back_rows(long from, long to, void *context)
{
    const Rows *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        if (r->target[i] < 0)
            continue;
        const float *x = r->x + i * n;
        float *dx = r->dx + i * n, factor = (float)r->factor;
        float scale = factor * r->scale[i], each = factor * r->smoothing / n;
        long j = 0;
        for (; j + LANES <= n; j += LANES)
            add_probabilities(dx, x, r->mean[i], scale, each, j, LANES);
        if (j < n)
            add_probabilities(dx, x, r->mean[i], scale, each, j, n - j);
        dx[r->target[i]] -= factor * (1 - r->smoothing);
    }
}

typedef struct {
    const int *target;
    float *greatest, *scale; /* of each row */
    long counted;
    float smoothing;
} CrossEntropySaved;

static void cross_entropy_backward(Op *op)
{
    const Tensor *x = op_input(op, 0);
    const CrossEntropySaved *saved = op_saved(op);
    if (saved->counted == 0)
        return;
    Rows r = {.columns = x->shape[x->rank - 1], .x = x->data, .dx = op_grad(op, 0, NULL)};
    r.mean = saved->greatest;
    r.scale = saved->scale;
    r.target = saved->target;
    r.smoothing = saved->smoothing;
    r.factor = *op_gout(op) / saved->counted;
    for_rows(t_rows_of(x), &r, cross_entropy_back_rows);
}

Tensor *t_cross_entropy(Tensor *logits, const Ids *targets)
{
    return t_cross_entropy_smoothed(logits, targets, 0);
}

Tensor *t_cross_entropy_smoothed(Tensor *logits, const Ids *targets, float smoothing)
{
    Tensor *x = t_contiguous(logits);
    Op *op = t_op("cross_entropy", cross_entropy_backward, x);
    long rows = t_rows_of(x);
    int V = x->rank ? x->shape[x->rank - 1] : 0;
    if (x->tape != targets->tape)
        op_misuse(x->tape, "cross_entropy", "inputs are on two different tapes");
    if (targets->size != rows || V == 0)
        op_misuse(op_tape(op), "cross_entropy",
                  "%s has not one row for each of the %ld targets", t_text(x),
                  targets->size);
    Tensor *y = op_out_of(op, 0, NULL);
    CrossEntropySaved *saved = op_save(op, sizeof *saved);
    *saved = (CrossEntropySaved){.target = targets->at, .smoothing = smoothing};
    Rows r = {.columns = V, .x = x->data, .target = targets->at, .smoothing = smoothing};
    r.mean = saved->greatest = tape_alloc(op_tape(op), (size_t)rows * sizeof(float));
    r.scale = saved->scale = tape_alloc(op_tape(op), (size_t)rows * sizeof(float));
    r.y = tape_alloc(op_tape(op), (size_t)rows * sizeof(float));
    for (long i = 0; i < rows; i++) {
        if (targets->at[i] < -1 || targets->at[i] >= V)
            op_misuse(op_tape(op), "cross_entropy", "target %d is not one of the %d of %s",
                      targets->at[i], V, t_text(x));
        saved->counted += targets->at[i] >= 0;
    }
    for_rows(rows, &r, cross_entropy_rows);

    double sum = 0;
    for (long i = 0; i < rows; i++)
        sum += targets->at[i] >= 0 ? r.y[i] : 0;
    *y->data = saved->counted ? (float)(sum / saved->counted) : 0;
    return y;
}
