/* ops_softmax.c - softmax and its kin: each takes a row, the last dimension, as a whole.
 *
 * All subtract the max of the row before they take exp, so that nothing overflows. A row of
 * nothing but -infinity, as a mask may leave it, has no max; then 0 is subtracted, and all
 * its exps are 0. (A row of nothing but NaN has no max either, and stays NaN.) Rows are
 * divided among threads. */
#include "tensor/kernels.h"
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
#include "tensor/vector.h"

#include <math.h>

static long columns_of(const Op *op, const char *name, const Tensor *x)
{
    if (x->rank == 0)
        op_misuse(op_tape(op), name, "a single number has no last dimension");
    return x->shape[x->rank - 1];
}

static float finite_max(long n, const float *x)
{
    float max = kernel_max(n, x);
    return max == -INFINITY ? 0 : max;
}

/* The sum of exp(x[j] - shift), in double precision. */
static double exp_sum(long n, const float *x, float shift)
{
    enum { MANY = LANES * 16 };
    float exps[MANY];
    double sum = 0;
    for (long j = 0; j < n; j += MANY)
        sum += kernel_exp_sum(n - j < MANY ? n - j : MANY, exps, x + j, shift);
    return sum;
}

/* ---- Softmax ----
 *
 *     y[j]  = exp(x[j] - max) / sum of exp(x[k] - max); zeros where that sum is 0
 *     dx[j] = y[j] * (g[j] - sum of g[k] * y[k]), where g is the gradient of y */

typedef struct {
    long columns;
    const float *x, *g;
    float *y, *dx;
    bool add; /* to dx, or set it */
} Softmax;

static void softmax_rows(long from, long to, void *context)
{
    const Softmax *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * n;
        float *y = r->y + i * n, sum = kernel_exp_sum(n, y, x, finite_max(n, x));
        float scale = sum == 0 ? 0 : 1 / sum;
        for (long j = 0; j < n; j++)
            y[j] *= scale;
    }
}

static void softmax_back_rows(long from, long to, void *context)
{
    const Softmax *r = context;
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

/* Softmax and, further down, its logarithm: x is not needed on the way back. */
static Tensor *row_by_row(Tensor *x, const char *name, void (*back)(Op *),
                          void (*work)(long, long, void *))
{
    x = t_contiguous(x);
    Op *op = t_op(name, back, x);
    op_in_place(op);
    Softmax r = {.columns = columns_of(op, name, x), .x = x->data};
    Tensor *y = op_out_like(op, x);
    r.y = y->data;
    parallel_rows(t_rows_of(x), r.columns, work, &r);
    return y;
}

static void row_by_row_back(Op *op, void (*work)(long, long, void *))
{
    const Tensor *y = op_output(op);
    Softmax r = {.columns = y->shape[y->rank - 1], .y = y->data, .g = op_gout(op)};
    r.dx = op_grad(op, 0, &r.add);
    parallel_rows(t_rows_of(y), r.columns, work, &r);
}

static void softmax_backward(Op *op)
{
    row_by_row_back(op, softmax_back_rows);
}

Tensor *t_softmax(Tensor *x)
{
    return row_by_row(x, "softmax", softmax_backward, softmax_rows);
}

/* ---- The logarithm of the softmax ----
 *
 *     y[j]  = x[j] - max - log(sum of exp(x[k] - max)); -infinity where that sum is 0
 *     dx[j] = g[j] - exp(y[j]) * sum of g[k] */

static void log_softmax_rows(long from, long to, void *context)
{
    const Softmax *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * n;
        float *y = r->y + i * n, max = finite_max(n, x);
        float log_sum = (float)log(exp_sum(n, x, max));
        for (long j = 0; j < n; j++)
            y[j] = x[j] - max - (log_sum == -INFINITY ? 0 : log_sum);
    }
}

/* Columns j .. j + m - 1 of a row. Where m is a constant, loads are vectors; so in the other
 * functions of this kind. */
static inline void log_softmax_slope(float *dx, const float *y, const float *g, float sum,
                                     bool add, long j, long m)
{
    V slope = v_load_some(g + j, m) - v_exp(v_load_some(y + j, m)) * sum;
    v_store_some(dx + j, add ? v_load_some(dx + j, m) + slope : slope, m);
}

static void log_softmax_back_rows(long from, long to, void *context)
{
    const Softmax *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *y = r->y + i * n, *g = r->g + i * n;
        float *dx = r->dx + i * n, sum = kernel_sum(n, g);
        long j = 0;
        for (; j + LANES <= n; j += LANES)
            log_softmax_slope(dx, y, g, sum, r->add, j, LANES);
        if (j < n)
            log_softmax_slope(dx, y, g, sum, r->add, j, n - j);
    }
}

static void log_softmax_backward(Op *op)
{
    row_by_row_back(op, log_softmax_back_rows);
}

Tensor *t_log_softmax(Tensor *x)
{
    return row_by_row(x, "log_softmax", log_softmax_backward, log_softmax_rows);
}

/* ---- The logarithm of a sum of exps ----
 *
 *     y     = max + log(sum of exp(x[j] - max)); -infinity where that sum is 0
 *     dx[j] = g * exp(x[j] - max) / sum of exp(x[k] - max)
 *
 * Max and sum are kept for the way back: exp(x[j] - y) would be less exact, for y has rounded
 * the logarithm away where x is large. */

typedef struct {
    long columns;
    const float *x, *g;
    float *y, *dx;
    float *max, *scale; /* of each row; scale is 1 / sum, or 0 */
    bool add;           /* to dx, or set it */
} LogSumExp;

static void log_sum_exp_rows(long from, long to, void *context)
{
    const LogSumExp *r = context;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * r->columns;
        float max = r->max[i] = finite_max(r->columns, x);
        double sum = exp_sum(r->columns, x, max);
        r->scale[i] = sum == 0 ? 0 : (float)(1 / sum);
        r->y[i] = max + (float)log(sum);
    }
}

static inline void log_sum_exp_slope(float *dx, const float *x, float max, float scale,
                                     bool add, long j, long m)
{
    V slope = v_exp(v_load_some(x + j, m) - max) * scale;
    v_store_some(dx + j, add ? v_load_some(dx + j, m) + slope : slope, m);
}

static void log_sum_exp_back_rows(long from, long to, void *context)
{
    const LogSumExp *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        const float *x = r->x + i * n;
        float *dx = r->dx + i * n, scale = r->g[i] * r->scale[i];
        long j = 0;
        for (; j + LANES <= n; j += LANES)
            log_sum_exp_slope(dx, x, r->max[i], scale, r->add, j, LANES);
        if (j < n)
            log_sum_exp_slope(dx, x, r->max[i], scale, r->add, j, n - j);
    }
}

static void log_sum_exp_backward(Op *op)
{
    LogSumExp *r = op_saved(op);
    r->x = op_input(op, 0)->data;
    r->g = op_gout(op);
    r->dx = op_grad(op, 0, &r->add);
    parallel_rows(t_size(op_output_shape(op)), r->columns, log_sum_exp_back_rows, r);
}

Tensor *t_log_sum_exp(Tensor *x)
{
    x = t_contiguous(x);
    Op *op = t_op("log_sum_exp", log_sum_exp_backward, x);
    LogSumExp *r = op_save(op, sizeof *r);
    *r = (LogSumExp){.columns = columns_of(op, "log_sum_exp", x), .x = x->data};
    Tensor *y = op_out_of(op, x->rank - 1, x->shape);
    size_t bytes = (size_t)t_size(y) * sizeof(float);
    r->y = y->data;
    r->max = tape_alloc(op_tape(op), bytes);
    r->scale = tape_alloc(op_tape(op), bytes);
    parallel_rows(t_size(y), r->columns, log_sum_exp_rows, r);
    return y;
}

/* ---- The causal mask ----
 *
 *     y[t][s]  = x[t][s] if query t may see key s, otherwise -infinity
 *     dx[t][s] = g[t][s] if query t may see key s, otherwise 0
 *
 * Query t stands at key t + (S - T). It sees that one and those before it, or the last
 * `window` of these. */

typedef struct {
    long columns, queries; /* S and T of (..., T, S) */
    long window;
    const float *x, *g;
    float *y, *dx;
    bool add; /* to dx, or set it */
} Causal;

/* The query of row i sees keys *first .. *last - 1. */
static void visible(const Causal *r, long i, long *first, long *last)
{
    *last = i % r->queries + 1 + (r->columns - r->queries);
    *first = r->window > 0 && r->window < *last ? *last - r->window : 0;
}

static void causal_rows(long from, long to, void *context)
{
    const Causal *r = context;
    long n = r->columns, first, last;
    for (long i = from; i < to; i++) {
        float *y = r->y + i * n;
        visible(r, i, &first, &last);
        for (long j = 0; j < first; j++)
            y[j] = -INFINITY;
        memcpy(y + first, r->x + i * n + first, (size_t)(last - first) * sizeof *y);
        for (long j = last; j < n; j++)
            y[j] = -INFINITY;
    }
}

static void causal_back_rows(long from, long to, void *context)
{
    const Causal *r = context;
    long n = r->columns, first, last;
    for (long i = from; i < to; i++) {
        float *dx = r->dx + i * n;
        const float *g = r->g + i * n;
        visible(r, i, &first, &last);
        for (long j = 0; j < first && !r->add; j++)
            dx[j] = 0;
        for (long j = first; j < last; j++)
            dx[j] = r->add ? dx[j] + g[j] : g[j];
        for (long j = last; j < n && !r->add; j++)
            dx[j] = 0;
    }
}

static void causal_backward(Op *op)
{
    const Tensor *y = op_output_shape(op);
    Causal *r = op_saved(op);
    r->g = op_gout(op);
    r->dx = op_grad(op, 0, &r->add);
    parallel_rows(t_rows_of(y), r->columns, causal_back_rows, r);
}

Tensor *t_causal(Tensor *scores)
{
    return t_causal_window(scores, 0);
}

Tensor *t_causal_window(Tensor *scores, int window)
{
    Tensor *x = t_contiguous(scores);
    Op *op = t_op("causal", causal_backward, x);
    op_in_place(op);
    op_may_be_infinite(op);
    if (x->rank < 2 || x->shape[x->rank - 2] > x->shape[x->rank - 1])
        op_misuse(op_tape(op), "causal", "%s has more queries than keys", t_text(x));
    if (window < 0)
        op_misuse(op_tape(op), "causal", "a window of %d keys is negative", window);
    Tensor *y = op_out_like(op, x);
    Causal *r = op_save(op, sizeof *r);
    *r = (Causal){.columns = x->shape[x->rank - 1], .queries = x->shape[x->rank - 2]};
    r->window = window;
    r->x = x->data;
    r->y = y->data;
    parallel_rows(t_rows_of(x), r->columns, causal_rows, r);
    return y;
}

/* ---- Cross-entropy ----
 *
 *     loss  = mean over rows of log(sum of exp(x[j] - max)) + max - wanted
 *     where wanted = (1 - smoothing) * x[target] + smoothing * (sum of x[j]) / n
 *     dx[j] = g / rows * (softmax(x)[j] - (1 - smoothing) * (j == target) - smoothing / n)
 *
 * where rows without a target do not count. */

typedef struct {
    long columns, counted; /* rows that have a target */
    const float *x;
    float *dx;
    const int *target;
    float *loss, *max, *scale; /* of each row; scale is 1 / sum of exps */
    float smoothing;
    float factor; /* g / rows */
} CrossEntropy;

/* Adding the logarithm of the sum to the max, before what is wanted is taken away from it,
 * would round it away where logits are large. */
static void cross_entropy_rows(long from, long to, void *context)
{
    const CrossEntropy *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        if (r->target[i] < 0)
            continue;
        const float *x = r->x + i * n;
        float max = kernel_max(n, x), wanted = x[r->target[i]];
        double sum = exp_sum(n, x, max);
        r->max[i] = max;
        r->scale[i] = (float)(1 / sum);
        if (r->smoothing > 0)
            wanted += r->smoothing * (kernel_sum(n, x) / n - wanted);
        r->loss[i] = (float)log(sum) + (max - wanted);
    }
}

/* All but the target's share: columns j .. j + m - 1 of a row. */
static inline void add_probabilities(float *dx, const float *x, float max, float scale,
                                     float each, long j, long m)
{
    V p = v_exp(v_load_some(x + j, m) - max);
    v_store_some(dx + j, v_load_some(dx + j, m) + (p * scale - each), m);
}

static void cross_entropy_back_rows(long from, long to, void *context)
{
    const CrossEntropy *r = context;
    long n = r->columns;
    for (long i = from; i < to; i++) {
        if (r->target[i] < 0)
            continue;
        const float *x = r->x + i * n;
        float *dx = r->dx + i * n, factor = r->factor;
        float scale = factor * r->scale[i], each = factor * r->smoothing / n;
        long j = 0;
        for (; j + LANES <= n; j += LANES)
            add_probabilities(dx, x, r->max[i], scale, each, j, LANES);
        if (j < n)
            add_probabilities(dx, x, r->max[i], scale, each, j, n - j);
        dx[r->target[i]] -= factor * (1 - r->smoothing);
    }
}

static void cross_entropy_backward(Op *op)
{
    const Tensor *x = op_input(op, 0);
    CrossEntropy *r = op_saved(op);
    if (r->counted == 0)
        return;
    r->dx = op_grad(op, 0, NULL);
    r->factor = *op_gout(op) / (float)r->counted;
    parallel_rows(t_rows_of(x), r->columns, cross_entropy_back_rows, r);
}

Tensor *t_cross_entropy(Tensor *logits, const Ids *targets)
{
    return t_cross_entropy_smoothed(logits, targets, 0);
}

static void check_targets(const Op *op, const Tensor *x, const Ids *targets)
{
    int V = x->rank ? x->shape[x->rank - 1] : 0;
    if (x->tape != targets->tape)
        op_misuse(x->tape, "cross_entropy", "inputs are on two different tapes");
    if (targets->size != t_rows_of(x) || V == 0)
        op_misuse(op_tape(op), "cross_entropy",
                  "%s has not one row for each of the %ld targets", t_text(x),
                  targets->size);
    for (long i = 0; i < targets->size; i++)
        if (targets->at[i] < -1 || targets->at[i] >= V)
            op_misuse(op_tape(op), "cross_entropy", "target %d is not one of the %d of %s",
                      targets->at[i], V, t_text(x));
}

Tensor *t_cross_entropy_smoothed(Tensor *logits, const Ids *targets, float smoothing)
{
    Tensor *x = t_contiguous(logits);
    Op *op = t_op("cross_entropy", cross_entropy_backward, x);
    check_targets(op, x, targets);
    Tensor *y = op_out_of(op, 0, NULL);
    CrossEntropy *r = op_save(op, sizeof *r);
    *r = (CrossEntropy){.columns = x->shape[x->rank - 1], .smoothing = smoothing};
    r->x = x->data;
    r->target = targets->at;
    size_t bytes = (size_t)targets->size * sizeof(float);
    r->loss = tape_alloc(op_tape(op), bytes);
    r->max = tape_alloc(op_tape(op), bytes);
    r->scale = tape_alloc(op_tape(op), bytes);
    parallel_rows(targets->size, r->columns, cross_entropy_rows, r);

    double sum = 0;
    for (long i = 0; i < targets->size; i++)
        if (targets->at[i] >= 0) {
            sum += r->loss[i];
            r->counted++;
        }
    *y->data = r->counted ? (float)(sum / r->counted) : 0;
    return y;
}
