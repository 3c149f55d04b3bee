/* ops_pointwise.c - the operations that go element by element, and sums.
 *
 * Above each stands what it does to single numbers, forward and back: y is the result, g the
 * gradient of y, da that of a. `sum` in a gradient is over what broadcasting repeated.
 *
 * Each is a pair of row functions, the value and the slope; walk.c brings them to any
 * shape. In a slope, IN(0) is the gradient of the result. */
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
#include "base/random.h"
#include "tensor/walk.h"

#include <math.h>

/* The strides under which x reads as `shape`, which it broadcasts to. */
static void broadcast_strides(const Tensor *x, int rank, long *stride)
{
    for (int i = 0; i < rank; i++) {
        int own = i - (rank - x->rank);
        stride[i] = own < 0 || x->shape[own] == 1 ? 0 : x->stride[own];
    }
}

/* Adds slope(gradient of the result, others...) to the gradient of input i; where the input
 * was repeated, this sums. */
static void add_gradient(Op *op, int i, RowFunction *slope, float constant, int others,
                         const Tensor *const *other)
{
    if (!op_wants(op, i))
        return;
    const Tensor *y = op_output_shape(op), *x = op_input_shape(op, i);
    long x_stride[MAX_RANK], stride[WALK_INPUTS][MAX_RANK];
    Walked in[WALK_INPUTS] = {{(float *)op_gout(op), y->stride}};
    broadcast_strides(x, y->rank, x_stride);
    for (int k = 0; k < others; k++) {
        broadcast_strides(other[k], y->rank, stride[k]);
        in[k + 1] = (Walked){other[k]->data, stride[k]};
    }
    bool add = true, repeated = !t_has_shape(x, y->rank, y->shape);
    float *grad = op_grad(op, i, repeated ? NULL : &add);
    if (slope == row_copy && grad == op_gout(op))
        return;
    walk(y->rank, y->shape, slope, constant, (Walked){grad, x_stride}, add, 1 + others, in);
}

#define OTHERS(...)                                                                       \
    (int)(sizeof((const Tensor *[]){__VA_ARGS__}) / sizeof(Tensor *)), (const Tensor *[]) \
    {                                                                                     \
        __VA_ARGS__                                                                       \
    }

/* ---- Two inputs ---- */

static Tensor *binary(Tensor *a, Tensor *b, Op *op, const char *name, RowFunction *f)
{
    int shape[MAX_RANK], rank = t_broadcast(name, a, b, 0, shape);
    op_in_place(op);
    Tensor *y = op_out_of(op, rank, shape);
    long a_stride[MAX_RANK], b_stride[MAX_RANK];
    broadcast_strides(a, rank, a_stride);
    broadcast_strides(b, rank, b_stride);
    walk(rank, shape, f, 0, (Walked){y->data, y->stride}, false, 2,
         (Walked[]){{a->data, a_stride}, {b->data, b_stride}});
    return y;
}

ROW_FUNCTION(sum_of_two, IN(0) + IN(1))
ROW_FUNCTION(difference, IN(0) - IN(1))
ROW_FUNCTION(product, IN(0) * IN(1))
ROW_FUNCTION(quotient, IN(0) / IN(1))
ROW_FUNCTION(negative, -IN(0))
ROW_FUNCTION(divisor_slope, -IN(0) * IN(1) / IN(2)) /* by the quotient and the divisor */

/* y = a + b;  da = sum of g,  db = sum of g */
static void add_backward(Op *op)
{
    add_gradient(op, 0, row_copy, 0, 0, NULL);
    add_gradient(op, 1, row_copy, 0, 0, NULL);
}

Tensor *t_add(Tensor *a, Tensor *b)
{
    return binary(a, b, t_op("add", add_backward, a, b), "add", sum_of_two);
}

/* y = a - b;  da = sum of g,  db = sum of -g */
static void sub_backward(Op *op)
{
    add_gradient(op, 0, row_copy, 0, 0, NULL);
    add_gradient(op, 1, negative, 0, 0, NULL);
}

Tensor *t_sub(Tensor *a, Tensor *b)
{
    return binary(a, b, t_op("sub", sub_backward, a, b), "sub", difference);
}

/* y = a * b;  da = sum of g * b,  db = sum of g * a */
static void mul_backward(Op *op)
{
    if (op_wants(op, 0))
        add_gradient(op, 0, product, 0, OTHERS(op_input(op, 1)));
    if (op_wants(op, 1))
        add_gradient(op, 1, product, 0, OTHERS(op_input(op, 0)));
}

Tensor *t_mul(Tensor *a, Tensor *b)
{
    return binary(a, b, t_op("mul", mul_backward, a, b), "mul", product);
}

/* y = a / b;  da = sum of g / b,  db = sum of -g * y / b */
static void div_backward(Op *op)
{
    add_gradient(op, 0, quotient, 0, OTHERS(op_input(op, 1)));
    add_gradient(op, 1, divisor_slope, 0, OTHERS(op_output(op), op_input(op, 1)));
}

Tensor *t_div(Tensor *a, Tensor *b)
{
    return binary(a, b, t_op("div", div_backward, a, b), "div", quotient);
}

/* ---- One input ---- */

static Tensor *unary(Tensor *x, Op *op, RowFunction *f, float constant)
{
    op_in_place(op);
    Tensor *y = op_out_like(op, x);
    walk(x->rank, x->shape, f, constant, (Walked){y->data, y->stride}, false, 1,
         &(Walked){x->data, x->stride});
    *(float *)op_save(op, sizeof(float)) = constant;
    return y;
}

/* A slope is found from the input or, often more cheaply, from the result. */
static void by_input(Op *op, RowFunction *slope)
{
    add_gradient(op, 0, slope, *(float *)op_saved(op), OTHERS(op_input(op, 0)));
}

static void by_output(Op *op, RowFunction *slope)
{
    add_gradient(op, 0, slope, 0, OTHERS(op_output(op)));
}

/* y = factor * x;  dx = factor * g */
ROW_FUNCTION(scaled, IN(0) * constant)

static void scale_backward(Op *op)
{
    add_gradient(op, 0, scaled, *(float *)op_saved(op), 0, NULL);
}

Tensor *t_scale(Tensor *x, float factor)
{
    return unary(x, t_op("scale", scale_backward, x), scaled, factor);
}

/* y = exp(x);  dx = g * y */
ROW_FUNCTION(exp_value, v_exp(IN(0)))

static void exp_backward(Op *op)
{
    by_output(op, product);
}

Tensor *t_exp(Tensor *x)
{
    return unary(x, t_op("exp", exp_backward, x), exp_value, 0);
}

/* y = log(x);  dx = g / x */
ROW_FUNCTION(log_value, v_log(IN(0)))

static void log_backward(Op *op)
{
    by_input(op, quotient);
}

Tensor *t_log(Tensor *x)
{
    return unary(x, t_op("log", log_backward, x), log_value, 0);
}

/* y = tanh(x);  dx = g * (1 - y * y) */
ROW_FUNCTION(tanh_value, v_tanh(IN(0)))
ROW_FUNCTION(tanh_slope, IN(0) * (1 - IN(1) * IN(1)))

static void tanh_backward(Op *op)
{
    by_output(op, tanh_slope);
}

Tensor *t_tanh(Tensor *x)
{
    return unary(x, t_op("tanh", tanh_backward, x), tanh_value, 0);
}

/* y = 1 / (1 + exp(-x));  dx = g * y * (1 - y) */
ROW_FUNCTION(sigmoid_value, v_sigmoid(IN(0)))
ROW_FUNCTION(sigmoid_slope, IN(0) * IN(1) * (1 - IN(1)))

static void sigmoid_backward(Op *op)
{
    by_output(op, sigmoid_slope);
}

Tensor *t_sigmoid(Tensor *x)
{
    return unary(x, t_op("sigmoid", sigmoid_backward, x), sigmoid_value, 0);
}

/* y = x > 0 ? x : 0;  dx = x > 0 ? g : 0 */
ROW_FUNCTION(relu_value, v_choose(IN(0) < 0, v_all(0), IN(0))) /* NaN stays NaN */
ROW_FUNCTION(relu_slope, v_choose(IN(1) > 0, IN(0), v_all(0)))

static void relu_backward(Op *op)
{
    by_output(op, relu_slope);
}

Tensor *t_relu(Tensor *x)
{
    return unary(x, t_op("relu", relu_backward, x), relu_value, 0);
}

/* y = x * s with s = sigmoid(x);  dx = g * (s + x * s * (1 - s)) */
static inline V silu_slope_of(V x)
{
    V s = v_sigmoid(x);
    return s + x * s * (1 - s);
}
ROW_FUNCTION(silu_value, IN(0) * v_sigmoid(IN(0)))
ROW_FUNCTION(silu_slope, IN(0) * silu_slope_of(IN(1)))

static void silu_backward(Op *op)
{
    by_input(op, silu_slope);
}

Tensor *t_silu(Tensor *x)
{
    return unary(x, t_op("silu", silu_backward, x), silu_value, 0);
}

/* y = log(1 + exp(x));  dx = g * sigmoid(x)
 *
 * log(1 + exp(x)) is max(x, 0) + log(1 + e) with e = exp(-|x|), which does not overflow. What
 * 1 + e rounds away is added again, or all would be lost where e is small. */
static inline V softplus_of(V x)
{
    V e = v_exp(v_choose(x > 0, -x, x)), sum = 1 + e;
    return v_max(x, v_all(0)) + (v_log_inside(sum, (VI){0}) + (e - (sum - 1)));
}
ROW_FUNCTION(softplus_value, softplus_of(IN(0)))
ROW_FUNCTION(softplus_slope, IN(0) * v_sigmoid(IN(1)))

static void softplus_backward(Op *op)
{
    by_input(op, softplus_slope);
}

Tensor *t_softplus(Tensor *x)
{
    return unary(x, t_op("softplus", softplus_backward, x), softplus_value, 0);
}

/* y = x * s with s = (1 + tanh(u)) / 2 and u = sqrt(2/pi) * (x + 0.044715 * x^3)
 * dx = g * (s + x * s * (1 - s) * 2 * sqrt(2/pi) * (1 + 3 * 0.044715 * x^2))
 *
 * (1 + tanh(u)) / 2 is sigmoid(2u), which costs one exp: 2u = 2 sqrt(2/pi) (x + 0.044715
 * x^3). */
static inline V gelu_gate(V x)
{
    return v_sigmoid(1.5957691216f * x * (1 + 0.044715f * x * x));
}

static inline V gelu_slope_of(V x)
{
    V s = gelu_gate(x);
    return s + x * s * (1 - s) * 1.5957691216f * (1 + 3 * 0.044715f * x * x);
}
ROW_FUNCTION(gelu_value, IN(0) * gelu_gate(IN(0)))
ROW_FUNCTION(gelu_slope, IN(0) * gelu_slope_of(IN(1)))

static void gelu_backward(Op *op)
{
    by_input(op, gelu_slope);
}

Tensor *t_gelu(Tensor *x)
{
    return unary(x, t_op("gelu", gelu_backward, x), gelu_value, 0);
}

/* y = x * P with P the probability that a normal number is below x,
 *     P = (1 + erf(x / sqrt(2))) / 2
 * dx = g * (P + x * exp(-x^2 / 2) / sqrt(2 pi)) */
static inline V normal_cdf(V x)
{
    return 0.5f + 0.5f * v_erf(x * 0.70710678f);
}

static inline V gelu_erf_slope_of(V x)
{
    return normal_cdf(x) + x * 0.39894228f * v_exp(-0.5f * x * x);
}
ROW_FUNCTION(gelu_erf_value, IN(0) * normal_cdf(IN(0)))
ROW_FUNCTION(gelu_erf_slope, IN(0) * gelu_erf_slope_of(IN(1)))

static void gelu_erf_backward(Op *op)
{
    by_input(op, gelu_erf_slope);
}

Tensor *t_gelu_erf(Tensor *x)
{
    return unary(x, t_op("gelu_erf", gelu_erf_backward, x), gelu_erf_value, 0);
}

/* ---- Dropout ----
 *
 * y = x * factor;  dx = g * factor, where factor is 0 with probability p and 1 / (1 - p)
 * otherwise */

typedef struct {
    float *factor;
    long n;
    float p;
    uint64_t seed, stream;
} Dropping;

static void draw_factors(long from, long to, void *context)
{
    const Dropping *d = context;
    enum { MANY = 1024 };
    uint32_t bits[MANY], below = (uint32_t)(d->p * 0x1p32);
    float kept = 1 / (1 - d->p);
    for (long i = from; i < to; i += MANY) {
        long n = to - i < MANY ? to - i : MANY;
        random_blocks(bits, d->seed, d->stream, (uint64_t)i / 4, (n + 3) / 4);
        for (long j = 0; j < n; j++)
            d->factor[i + j] = bits[j] < below ? 0 : kept;
    }
}

Tensor *t_dropout(Tensor *x, float p)
{
    if (p < 0 || p >= 1)
        op_misuse(x->tape, "dropout", "a probability of %g is not in [0, 1)", (double)p);
    if (p == 0 || !x->tape || !tape_training(x->tape))
        return x;
    Tensor *factor = t_empty_of(x->tape, x->rank, x->shape);
    Dropping d = {factor->data, t_size(x), p, tape_seed(x->tape), tape_draw(x->tape)};
    parallel_for(d.n, 4096, draw_factors, &d); /* 4 numbers are drawn together */
    return t_mul(x, factor);
}

/* ---- Sums ----
 *
 * y = sum over j of factor * x[j];  dx[j] = factor * g, where j runs over one dimension or
 * over everything, and the factor is 1 or, for a mean, 1 / how many there are */

typedef struct {
    long stride[MAX_RANK]; /* under which the result reads as the input */
    float factor;
} Reduction;

/* A sum is a copy into a smaller array that is read with a stride of 0. */
static Tensor *reduce(Tensor *x, Op *op, int dimension, float factor)
{
    int rank = 0, shape[MAX_RANK] = {0};
    long stride[MAX_RANK] = {0};
    for (int i = 0; i < x->rank && dimension >= 0; i++)
        if (i != dimension)
            shape[rank++] = x->shape[i];
    Tensor *y = op_out_of(op, rank, shape);
    memset(y->data, 0, (size_t)t_size(y) * sizeof(float));
    for (int i = 0; i < x->rank && dimension >= 0; i++)
        if (i != dimension)
            stride[i] = y->stride[i - (i > dimension)];
    walk(x->rank, x->shape, scaled, factor, (Walked){y->data, stride}, true, 1,
         &(Walked){x->data, x->stride});
    Reduction *saved = op_save(op, sizeof *saved);
    memcpy(saved->stride, stride, sizeof stride);
    saved->factor = factor;
    return y;
}

static void reduce_backward(Op *op)
{
    const Reduction *saved = op_saved(op);
    const Tensor *x = op_input_shape(op, 0);
    bool add;
    float *grad = op_grad(op, 0, &add);
    walk(x->rank, x->shape, scaled, saved->factor, (Walked){grad, x->stride}, add, 1,
         &(Walked){(float *)op_gout(op), saved->stride});
}

static void check_dimension(const Tensor *x, const char *name, int dimension)
{
    if (dimension < 0 || dimension >= x->rank)
        op_misuse(x->tape, name, "%s has no dimension %d", t_text(x), dimension);
}

Tensor *t_sum(Tensor *x, int dimension)
{
    check_dimension(x, "sum", dimension);
    return reduce(x, t_op("sum", reduce_backward, x), dimension, 1);
}

Tensor *t_mean(Tensor *x, int dimension)
{
    check_dimension(x, "mean", dimension);
    return reduce(x, t_op("mean", reduce_backward, x), dimension,
                  1.0f / x->shape[dimension]);
}

Tensor *t_sum_all(Tensor *x)
{
    return reduce(x, t_op("sum_all", reduce_backward, x), -1, 1);
}

Tensor *t_mean_all(Tensor *x)
{
    return reduce(x, t_op("mean_all", reduce_backward, x), -1, 1.0f / t_size(x));
}

/* ---- Masks ----
 *
 * y = keep != 0 ? x : -infinity;  dx = keep != 0 ? g : 0 */

ROW_FUNCTION(kept_or_minus_infinity, v_choose(IN(1) != 0, IN(0), v_all(-INFINITY)))
ROW_FUNCTION(kept_or_zero, v_choose(IN(1) != 0, IN(0), v_all(0)))

static void masked_backward(Op *op)
{
    add_gradient(op, 0, kept_or_zero, 0, OTHERS(op_input(op, 1)));
}

Tensor *t_masked(Tensor *x, Tensor *keep)
{
    Op *op = t_op("masked", masked_backward, x, keep);
    op_may_be_infinite(op);
    Tensor *y = binary(x, keep, op, "masked", kept_or_minus_infinity);
    if (y->rank != x->rank || t_size(y) != t_size(x))
        op_misuse(op_tape(op), "masked", "keep, %s, does not broadcast to %s", t_text(keep),
                  t_text(x));
    return y;
}
