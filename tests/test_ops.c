/* test_ops.c - every operation against its definition.
 *
 * The definitions come first, one number at a time, and are meant to be read: whoever
 * wonders what exactly a layer norm is finds it here. The oracle (support/oracle.h) holds
 * the library to them. */
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "oracle.h"
#include "tensor/parallel.h"
#include "base/random.h"
#include "suite.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* ---- The definitions ---- */

/* How a case calls its operation. */
#define CALL(op, expression)                                           \
    static Tensor *call_##op(const OpCase *c, Tape *tape, Tensor **in) \
    {                                                                  \
        (void)c, (void)tape;                                           \
        return expression;                                             \
    }

/* Of each number x. */
#define EACH(op, expression)                                            \
    static void define_##op(const OpCase *c, const Grid *in, Grid *out) \
    {                                                                   \
        (void)c;                                                        \
        grid_make_of(out, in->rank, in->shape);                         \
        for (long i = 0; i < out->size; i++) {                          \
            Scalar *x = in->at[i];                                      \
            out->at[i] = (expression);                                  \
        }                                                               \
    }

/* Of each pair a, b, broadcast. */
#define EACH_PAIR(op, expression)                                       \
    static void define_##op(const OpCase *c, const Grid *in, Grid *out) \
    {                                                                   \
        (void)c;                                                        \
        make_broadcast(out, &in[0], &in[1]);                            \
        for (long i = 0; i < out->size; i++) {                          \
            int at[MAX_RANK];                                           \
            grid_index(out, i, at);                                     \
            Scalar *a = grid_at(&in[0], out->rank, at);                 \
            Scalar *b = grid_at(&in[1], out->rank, at);                 \
            out->at[i] = (expression);                                  \
        }                                                               \
    }

static void make_broadcast(Grid *out, const Grid *a, const Grid *b)
{
    int rank = a->rank > b->rank ? a->rank : b->rank, shape[MAX_RANK];
    for (int d = 0; d < rank; d++) {
        int in_a = d - (rank - a->rank), in_b = d - (rank - b->rank);
        int m = in_a < 0 ? 1 : a->shape[in_a], n = in_b < 0 ? 1 : b->shape[in_b];
        shape[d] = m == 1 ? n : m;
    }
    grid_make_of(out, rank, shape);
}

CALL(add, t_add(in[0], in[1]))
EACH_PAIR(add, s_add(a, b))

CALL(sub, t_sub(in[0], in[1]))
EACH_PAIR(sub, s_sub(a, b))

CALL(mul, t_mul(in[0], in[1]))
EACH_PAIR(mul, s_mul(a, b))

CALL(div, t_div(in[0], in[1]))
EACH_PAIR(div, s_div(a, b))

CALL(scale, t_scale(in[0], c->number))
EACH(scale, s_times(x, c->number))

CALL(exp, t_exp(in[0]))
EACH(exp, s_exp(x))

CALL(log, t_log(in[0]))
EACH(log, s_log(x))

CALL(tanh, t_tanh(in[0]))
EACH(tanh, s_tanh(x))

CALL(sigmoid, t_sigmoid(in[0]))
EACH(sigmoid, s_sigmoid(x))

CALL(relu, t_relu(in[0]))
EACH(relu, s_relu(x))

CALL(silu, t_silu(in[0]))
EACH(silu, s_mul(x, s_sigmoid(x)))

CALL(softplus, t_softplus(in[0]))
EACH(softplus, s_log(s_plus(s_exp(x), 1)))

/* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
static Scalar *gelu_of(Scalar *x)
{
    Scalar *inner = s_times(s_add(x, s_times(s_pow(x, 3), 0.044715)), sqrt(2 / PI));
    return s_mul(s_times(x, 0.5), s_plus(s_tanh(inner), 1));
}
CALL(gelu, t_gelu(in[0]))
EACH(gelu, gelu_of(x))

/* x/2 (1 + erf(x / sqrt(2))) */
CALL(gelu_erf, t_gelu_erf(in[0]))
EACH(gelu_erf, s_mul(s_times(x, 0.5), s_plus(s_erf(s_times(x, sqrt(0.5))), 1)))

/* Which numbers drop is up to chance; a tape of the same seed says what chance decides. */
static void define_dropout(const OpCase *c, const Grid *in, Grid *out)
{
    Tape *twin = tape_new(TAPE_TRAINING, ORACLE_SEED);
    uint64_t stream = tape_draw(twin);
    tape_free(twin);
    grid_make_of(out, in->rank, in->shape);
    for (long i = 0; i < out->size; i++) {
        bool drops = random_bits(ORACLE_SEED, stream, (uint64_t)i) * 0x1p-32 < c->number;
        out->at[i] = s_times(in->at[i], drops ? 0 : 1 / (1 - c->number));
    }
}
CALL(dropout, t_dropout(in[0], c->number))

static Scalar *sum_of(Scalars *tape, long n, Scalar *const *x)
{
    Scalar *sum = s_new(tape, 0);
    for (long i = 0; i < n; i++)
        sum = s_add(sum, x[i]);
    return sum;
}

/* An index with one more number in a certain place. */
static void insert(int *longer, const int *index, int rank, int place, int number)
{
    for (int d = 0; d <= rank; d++)
        longer[d] = d == place ? number : index[d - (d > place)];
}

static void define_sum(const OpCase *c, const Grid *in, Grid *out)
{
    int rank = 0, shape[MAX_RANK];
    for (int d = 0; d < in->rank; d++)
        if (d != c->dimension)
            shape[rank++] = in->shape[d];
    grid_make_of(out, rank, shape);
    for (long i = 0; i < out->size; i++) {
        int index[MAX_RANK], longer[MAX_RANK];
        grid_index(out, i, index);
        out->at[i] = s_new(out->tape, 0);
        for (int j = 0; j < in->shape[c->dimension]; j++) {
            insert(longer, index, rank, c->dimension, j);
            out->at[i] = s_add(out->at[i], grid_at(in, in->rank, longer));
        }
    }
}
CALL(sum, t_sum(in[0], c->dimension))

static void define_mean(const OpCase *c, const Grid *in, Grid *out)
{
    define_sum(c, in, out);
    for (long i = 0; i < out->size; i++)
        out->at[i] = s_times(out->at[i], 1.0 / in->shape[c->dimension]);
}
CALL(mean, t_mean(in[0], c->dimension))

static void define_sum_all(const OpCase *c, const Grid *in, Grid *out)
{
    (void)c;
    grid_make_of(out, 0, NULL);
    out->at[0] = sum_of(in->tape, in->size, in->at);
}
CALL(sum_all, t_sum_all(in[0]))

static void define_mean_all(const OpCase *c, const Grid *in, Grid *out)
{
    define_sum_all(c, in, out);
    out->at[0] = s_times(out->at[0], 1.0 / (double)in->size);
}
CALL(mean_all, t_mean_all(in[0]))

CALL(masked, t_masked(in[0], in[1]))
EACH_PAIR(masked, b->value != 0 ? a : s_new(out->tape, -INFINITY))

/* c_ij = sum over k of a_ik b_kj */
static void define_matmul(const OpCase *c, const Grid *in, Grid *out)
{
    (void)c;
    const Grid *a = &in[0], *b = &in[1];
    Grid rows = *a, columns = *b; /* broadcast beside the last two dimensions */
    rows.shape[a->rank - 1] = 1;
    columns.shape[b->rank - 2] = 1;
    make_broadcast(out, &rows, &columns);
    for (long i = 0; i < out->size; i++) {
        int left[MAX_RANK], right[MAX_RANK], rank = out->rank;
        grid_index(out, i, left);
        grid_index(out, i, right);
        out->at[i] = s_new(out->tape, 0);
        for (int k = 0; k < a->shape[a->rank - 1]; k++) {
            left[rank - 1] = right[rank - 2] = k;
            out->at[i] = s_add(out->at[i], s_mul(grid_at(a, rank, left), //
                                                 grid_at(b, rank, right)));
        }
    }
}
CALL(matmul, t_matmul(in[0], in[1]))

static void define_affine(const OpCase *c, const Grid *in, Grid *out)
{
    Grid single[2] = {in[0], in[1]}; /* a vector is a single row */
    if (in[0].rank == 1) {
        single[0].rank = 2;
        single[0].shape[0] = 1;
        single[0].shape[1] = in[0].shape[0];
    }
    define_matmul(c, single, out);
    if (in[0].rank == 1) {
        out->rank = 1;
        out->shape[0] = out->shape[1];
    }
    const Grid *bias = &in[2];
    for (long i = 0; i < out->size; i++)
        out->at[i] = s_add(out->at[i], bias->at[i % bias->size]);
}
CALL(affine, t_affine(in[0], in[1], in[2]))

static int columns_of(const Grid *grid)
{
    return grid->shape[grid->rank - 1];
}

/* y_i = exp(x_i) / sum over j of exp(x_j) */
static void define_softmax(const OpCase *c, const Grid *in, Grid *out)
{
    (void)c;
    int C = columns_of(in);
    grid_make_of(out, in->rank, in->shape);
    for (long row = 0; row < in->size; row += C) {
        Scalar *sum = s_new(in->tape, 0);
        for (int i = 0; i < C; i++)
            sum = s_add(sum, s_exp(in->at[row + i]));
        for (int i = 0; i < C; i++)
            out->at[row + i] = s_div(s_exp(in->at[row + i]), sum);
    }
}
CALL(softmax, t_softmax(in[0]))

static Scalar *log_sum_exp_of(Scalars *tape, int C, Scalar *const *x)
{
    Scalar *sum = s_new(tape, 0);
    for (int i = 0; i < C; i++)
        sum = s_add(sum, s_exp(x[i]));
    return s_log(sum);
}

/* y_i = x_i - log(sum over j of exp(x_j)) */
static void define_log_softmax(const OpCase *c, const Grid *in, Grid *out)
{
    (void)c;
    int C = columns_of(in);
    grid_make_of(out, in->rank, in->shape);
    for (long i = 0; i < in->size; i++)
        out->at[i] = s_sub(in->at[i], log_sum_exp_of(in->tape, C, in->at + i / C * C));
}
CALL(log_softmax, t_log_softmax(in[0]))

/* y = log(sum over j of exp(x_j)) */
static void define_log_sum_exp(const OpCase *c, const Grid *in, Grid *out)
{
    (void)c;
    int C = columns_of(in);
    grid_make_of(out, in->rank - 1, in->shape);
    for (long i = 0; i < out->size; i++)
        out->at[i] = log_sum_exp_of(in->tape, C, in->at + i * C);
}
CALL(log_sum_exp, t_log_sum_exp(in[0]))

/* Query i stands at key i + (S - T) and sees no key after that, nor one that is as far before
 * it as the window is wide; the dimension of the case is the window. */
static void define_causal(const OpCase *c, const Grid *in, Grid *out)
{
    int T = in->shape[in->rank - 2], S = in->shape[in->rank - 1];
    grid_make_of(out, in->rank, in->shape);
    for (long n = 0; n < in->size; n++) {
        int query = (int)(n / S % T), key = (int)(n % S);
        int ago = query + (S - T) - key;
        bool visible = ago >= 0 && (c->dimension == 0 || ago < c->dimension);
        out->at[n] = visible ? in->at[n] : s_new(in->tape, -INFINITY);
    }
}
CALL(causal, t_causal(in[0]))
CALL(causal_window, t_causal_window(in[0], c->dimension))

/* y_i = (x_i - mean) / sqrt(variance + epsilon) * weight_i + bias_i, where mean and
 * variance are those of the row; the variance is the mean of (x_i - mean)^2. */
static void define_layer_norm(const OpCase *c, const Grid *in, Grid *out)
{
    int C = columns_of(in);
    grid_make_of(out, in->rank, in->shape);
    for (long row = 0; row < in->size; row += C) {
        Scalar **x = in[0].at + row, **y = out->at + row, **weight = in[1].at,
               **bias = in[2].at;
        Scalar *mean = s_times(sum_of(in->tape, C, x), 1.0 / C);
        Scalar *variance = s_new(in->tape, 0);
        for (int i = 0; i < C; i++)
            variance = s_add(variance, s_times(s_pow(s_sub(x[i], mean), 2), 1.0 / C));
        Scalar *deviation = s_sqrt(s_plus(variance, c->number));
        for (int i = 0; i < C; i++)
            y[i] = s_add(s_mul(s_div(s_sub(x[i], mean), deviation), weight[i]), bias[i]);
    }
}
CALL(layer_norm, t_layer_norm(in[0], in[1], in[2], c->number))

/* y_i = x_i / sqrt(mean of the squares of the row + epsilon) * weight_i */
static void define_rms_norm(const OpCase *c, const Grid *in, Grid *out)
{
    int C = columns_of(in);
    grid_make_of(out, in->rank, in->shape);
    for (long row = 0; row < in->size; row += C) {
        Scalar **x = in[0].at + row, *square = s_new(in->tape, 0);
        for (int i = 0; i < C; i++)
            square = s_add(square, s_times(s_pow(x[i], 2), 1.0 / C));
        Scalar *length = s_sqrt(s_plus(square, c->number));
        for (int i = 0; i < C; i++)
            out->at[row + i] = s_mul(s_div(x[i], length), in[1].at[i]);
    }
}
CALL(rms_norm, t_rms_norm(in[0], in[1], c->number))

/* Ids that name some rows several times and some never; and every fourth target is
 * ignored, or all are when the case says so by its number. */
static int id_of(long i, int bound)
{
    return (int)((5 * i + 2) % bound * (i % 3 + 1) % bound);
}
static int target_of(const OpCase *c, long i, int bound)
{
    return i % 4 == 3 || c->number < 0 ? -1 : id_of(i, bound);
}

/* The mean, over the targets that count, of log(sum over j of exp(x_j)) - x_target */
static void define_cross_entropy(const OpCase *c, const Grid *in, Grid *out)
{
    int V = columns_of(in), counted = 0;
    grid_make_of(out, 0, NULL);
    Scalar *total = s_new(in->tape, 0);
    for (long row = 0; row < in->size / V; row++) {
        Scalar **x = in->at + row * V, *sum = s_new(in->tape, 0);
        int target = target_of(c, row, V);
        if (target < 0)
            continue;
        for (int j = 0; j < V; j++)
            sum = s_add(sum, s_exp(x[j]));
        total = s_add(total, s_sub(s_log(sum), x[target]));
        counted++;
    }
    out->at[0] = s_times(total, 1.0 / (counted ? counted : 1));
}
static Ids *targets_of(const OpCase *c, Tape *tape, const Tensor *x)
{
    Ids *targets = ids_of(tape, x->rank - 1, x->shape);
    for (long i = 0; i < targets->size; i++)
        targets->at[i] = target_of(c, i, x->shape[x->rank - 1]);
    return targets;
}
CALL(cross_entropy, t_cross_entropy(in[0], targets_of(c, tape, in[0])))

/* The mean, over the targets that count, of -sum over j of wanted_j log softmax(x)_j, where
 * the target is wanted with 1 - smoothing and everything with smoothing / V more. */
static void define_cross_entropy_smoothed(const OpCase *c, const Grid *in, Grid *out)
{
    int V = columns_of(in), counted = 0;
    double smoothing = (double)0.1f;
    grid_make_of(out, 0, NULL);
    Scalar *total = s_new(in->tape, 0);
    for (long row = 0; row < in->size / V; row++) {
        Scalar **x = in->at + row * V, *sum = s_new(in->tape, 0);
        int target = target_of(c, row, V);
        for (int j = 0; j < V; j++)
            sum = s_add(sum, s_exp(x[j]));
        for (int j = 0; j < V && target >= 0; j++) {
            double wanted = smoothing / V + (j == target ? 1 - smoothing : 0);
            total = s_add(total, s_times(s_sub(s_log(sum), x[j]), wanted));
        }
        counted += target >= 0;
    }
    out->at[0] = s_times(total, 1.0 / (counted ? counted : 1));
}
CALL(cross_entropy_smoothed,
     t_cross_entropy_smoothed(in[0], targets_of(c, tape, in[0]), 0.1f))

/* Element (i, j) is element j of the row that id i names. The argument of the case is the
 * shape of the ids. */
static void define_rows(const OpCase *c, const Grid *in, Grid *out)
{
    int shape[MAX_RANK], rank = c->argument.rank, C = columns_of(in);
    memcpy(shape, c->argument.size, sizeof shape);
    shape[rank] = C;
    grid_make_of(out, rank + 1, shape);
    for (long i = 0; i < out->size; i++)
        out->at[i] = in->at[id_of(i / C, in->shape[0]) * C + i % C];
}
/* Ids of a shape, each below a bound. */
static Ids *some_ids(Tape *tape, int rank, const int *shape, int bound)
{
    Ids *ids = ids_of(tape, rank, shape);
    for (long i = 0; i < ids->size; i++)
        ids->at[i] = id_of(i, bound);
    return ids;
}
CALL(rows,
     t_rows(in[0], some_ids(tape, c->argument.rank, c->argument.size, in[0]->shape[0])))

/* Row number i of the second input is added to the row of the first that id i names. The
 * argument of the case is the shape of the ids. */
static void define_add_rows(const OpCase *c, const Grid *in, Grid *out)
{
    (void)c;
    int C = columns_of(in);
    grid_make_of(out, in->rank, in->shape);
    memcpy(out->at, in->at, (size_t)out->size * sizeof *out->at);
    for (long i = 0; i < in[1].size; i++) {
        Scalar **y = &out->at[id_of(i / C, in->shape[0]) * C + i % C];
        *y = s_add(*y, in[1].at[i]);
    }
}
CALL(add_rows,
     t_add_rows(in[0], in[1],
                some_ids(tape, c->argument.rank, c->argument.size, in[0]->shape[0])))

/* K entries of each row. The argument of the case is K. */
static void make_picked(const OpCase *c, const Grid *in, Grid *out)
{
    int shape[MAX_RANK];
    memcpy(shape, in->shape, sizeof shape);
    shape[in->rank - 1] = c->argument.size[0];
    grid_make_of(out, in->rank, shape);
}

static void define_pick(const OpCase *c, const Grid *in, Grid *out)
{
    int V = columns_of(in), K = c->argument.size[0];
    make_picked(c, in, out);
    for (long i = 0; i < out->size; i++)
        out->at[i] = in->at[i / K * V + id_of(i, V)];
}
static Tensor *call_pick(const OpCase *c, Tape *tape, Tensor **in)
{
    int shape[MAX_RANK], last = in[0]->rank - 1;
    memcpy(shape, in[0]->shape, sizeof shape);
    shape[last] = c->argument.size[0];
    return t_pick(in[0], some_ids(tape, last + 1, shape, in[0]->shape[last]));
}

/* Each time the largest that is not taken yet, of equal ones the first. */
static void define_topk(const OpCase *c, const Grid *in, Grid *out)
{
    int V = columns_of(in), K = c->argument.size[0];
    make_picked(c, in, out);
    bool *taken = allocate((size_t)in->size + 1, sizeof *taken);
    for (long i = 0; i < out->size; i++) {
        long row = i / K * V, best = -1;
        for (long j = row; j < row + V; j++)
            if (!taken[j] && (best < 0 || in->at[j]->value > in->at[best]->value))
                best = j;
        taken[best] = true;
        out->at[i] = in->at[best];
    }
    free(taken);
}
CALL(topk, t_topk(in[0], c->argument.size[0], &(Ids *){NULL}))

/* It has no gradient: here it multiplies something that has. */
static void define_is_not(const OpCase *c, const Grid *in, Grid *out)
{
    (void)c;
    grid_make_of(out, in->rank, in->shape);
    for (long i = 0; i < out->size; i++)
        out->at[i] = s_times(in->at[i], id_of(i, 3) == 2 ? 0 : 1);
}
CALL(is_not, t_mul(in[0], t_is_not(some_ids(tape, in[0]->rank, in[0]->shape, 3), 2)))

static void define_concat(const OpCase *c, const Grid *in, Grid *out)
{
    int shape[MAX_RANK], D = c->dimension;
    memcpy(shape, in->shape, sizeof shape);
    for (int k = 1; k < c->inputs; k++)
        shape[D] += in[k].shape[D];
    grid_make_of(out, in->rank, shape);
    for (long i = 0; i < out->size; i++) {
        int index[MAX_RANK], k = 0;
        grid_index(out, i, index);
        while (index[D] >= in[k].shape[D])
            index[D] -= in[k++].shape[D];
        out->at[i] = grid_at(&in[k], out->rank, index);
    }
}
CALL(concat, t_concat(in, c->inputs, c->dimension))

static void define_stack(const OpCase *c, const Grid *in, Grid *out)
{
    int shape[MAX_RANK];
    insert(shape, in->shape, in->rank, c->dimension, c->inputs);
    grid_make_of(out, in->rank + 1, shape);
    for (int k = 0; k < c->inputs; k++)
        for (long i = 0; i < in->size; i++) {
            int index[MAX_RANK], longer[MAX_RANK];
            grid_index(in, i, index);
            insert(longer, index, in->rank, c->dimension, k);
            long place = 0;
            for (int d = 0; d < out->rank; d++)
                place = place * out->shape[d] + longer[d];
            out->at[place] = in[k].at[i];
        }
}
CALL(stack, t_stack(in, c->inputs, c->dimension))

/* ---- The definitions of views ---- */

static void define_reshape(const OpCase *c, const Grid *in, Grid *out)
{
    grid_make_of(out, c->argument.rank, c->argument.size);
    memcpy(out->at, in->at, (size_t)out->size * sizeof *out->at);
}
CALL(reshape, t_reshape_to(in[0], c->argument.rank, c->argument.size))

CALL(contiguous, t_contiguous(in[0]))
EACH(contiguous, x)

static void define_select(const OpCase *c, const Grid *in, Grid *out)
{
    int rank = 0, shape[MAX_RANK];
    for (int d = 0; d < in->rank; d++)
        if (d != c->dimension)
            shape[rank++] = in->shape[d];
    grid_make_of(out, rank, shape);
    for (long i = 0; i < out->size; i++) {
        int index[MAX_RANK], longer[MAX_RANK];
        grid_index(out, i, index);
        insert(longer, index, rank, c->dimension, c->argument.size[0]);
        out->at[i] = grid_at(in, in->rank, longer);
    }
}
CALL(select, t_select(in[0], c->dimension, c->argument.size[0]))

static void define_slice(const OpCase *c, const Grid *in, Grid *out)
{
    int shape[MAX_RANK], from = c->argument.size[0], to = c->argument.size[1];
    memcpy(shape, in->shape, sizeof shape);
    shape[c->dimension] = to - from;
    grid_make_of(out, in->rank, shape);
    for (long i = 0; i < out->size; i++) {
        int index[MAX_RANK];
        grid_index(out, i, index);
        index[c->dimension] += from;
        out->at[i] = grid_at(in, in->rank, index);
    }
}
CALL(slice, t_slice(in[0], c->dimension, c->argument.size[0], c->argument.size[1]))

static void define_permute(const OpCase *c, const Grid *in, Grid *out)
{
    int shape[MAX_RANK];
    for (int d = 0; d < in->rank; d++)
        shape[d] = in->shape[c->argument.size[d]];
    grid_make_of(out, in->rank, shape);
    for (long i = 0; i < out->size; i++) {
        int index[MAX_RANK], own[MAX_RANK];
        grid_index(out, i, index);
        for (int d = 0; d < in->rank; d++)
            own[c->argument.size[d]] = index[d];
        out->at[i] = grid_at(in, in->rank, own);
    }
}
CALL(permute, t_permute_to(in[0], c->argument.rank, c->argument.size))
CALL(transpose, t_transpose(in[0]))

static void define_expand(const OpCase *c, const Grid *in, Grid *out)
{
    grid_make_of(out, c->argument.rank, c->argument.size);
    for (long i = 0; i < out->size; i++) {
        int index[MAX_RANK];
        grid_index(out, i, index);
        out->at[i] = grid_at(in, out->rank, index);
    }
}
CALL(expand, t_expand_to(in[0], c->argument.rank, c->argument.size))

/* ---- Six inputs, as a selective scan has them ---- */

/* (a b + c d) e + f, broadcast. */
static Tensor *six_of(Tape *tape, Tensor **in)
{
    for (int k = 0; k < 6; k++)
        in[k] = t_on(tape, in[k]);
    return t_add(t_mul(t_add(t_mul(in[0], in[1]), t_mul(in[2], in[3])), in[4]), in[5]);
}
CALL(six, six_of(tape, in))

static void define_six(const OpCase *c, const Grid *in, Grid *out)
{
    grid_make_of(out, c->shape[0].rank, c->shape[0].size);
    for (long i = 0; i < out->size; i++) {
        int at[MAX_RANK];
        Scalar *x[6];
        grid_index(out, i, at);
        for (int k = 0; k < 6; k++)
            x[k] = grid_at(&in[k], out->rank, at);
        Scalar *sum = s_add(s_mul(x[0], x[1]), s_mul(x[2], x[3]));
        out->at[i] = s_add(s_mul(sum, x[4]), x[5]);
    }
}

/* The same with an error that shows only if two of its inputs come in a certain way. */
static Tensor *call_six_wrong(const OpCase *c, Tape *tape, Tensor **in)
{
    (void)c;
    bool transposed = in[3]->stride[0] < in[3]->stride[1];
    bool expanded = in[5]->stride[1] == 0 && in[5]->storage->wants_grad;
    return t_scale(six_of(tape, in), transposed && expanded ? 1.001f : 1);
}

/* ---- The cases ---- */

#define OP(op)        .name = #op, .tensor = call_##op, .scalar = define_##op
#define ONE(op, ...)  OP(op), .inputs = 1, .shape = {SHAPE(__VA_ARGS__)}
#define ROWS(op, ...) ONE(op, __VA_ARGS__), .form = {ANY_BUT_CONSTANT_ROWS}

#define WINDOW(...)                                                                 \
    .name = "causal_window", .tensor = call_causal_window, .scalar = define_causal, \
    .inputs = 1, .shape = {SHAPE(__VA_ARGS__)}

/* Sizes are odd, all different, and multiples of nothing. */
static const OpCase cases[] = {
    {OP(add), .inputs = 2, .shape = {SHAPE(3, 5, 7), SHAPE(3, 5, 7)}},
    {OP(sub), .inputs = 2, .shape = {SHAPE(3, 5, 7), SHAPE(3, 5, 7)}},
    {OP(mul), .inputs = 2, .shape = {SHAPE(3, 5, 7), SHAPE(3, 5, 7)}},
    {OP(div), .inputs = 2, .shape = {SHAPE(3, 5, 7), SHAPE(3, 5, 7)},
     .domain = {0, NOT_ZERO}},
    {ONE(scale, 3, 5, 7), .number = -1.7f},
    {ONE(exp, 3, 5, 7)},
    {ONE(log, 3, 5, 7), .domain = {POSITIVE}},
    {ONE(tanh, 3, 5, 7)},
    {ONE(sigmoid, 3, 5, 7)},
    {ONE(relu, 3, 5, 7), .domain = {NOT_ZERO}},
    {ONE(silu, 3, 5, 7)},
    {ONE(softplus, 3, 5, 7)},
    {ONE(gelu, 3, 5, 7)},
    {ONE(gelu_erf, 3, 5, 7)},
    {ONE(dropout, 3, 5, 7), .number = 0.3f, .once = true},
    {ONE(sum, 3, 5, 7), .dimension = 0},
    {ONE(sum, 3, 5, 7), .dimension = 1},
    {ONE(sum, 3, 5, 7), .dimension = 2},
    {ONE(sum, 5), .dimension = 0},
    {ONE(sum, 3, 1031), .dimension = 1},
    {ONE(mean, 3, 5, 7), .dimension = 0},
    {ONE(mean, 3, 5, 7), .dimension = 1},
    {ONE(mean, 3, 5, 7), .dimension = 2},
    {ONE(sum_all, 3, 5, 7)},
    {ONE(sum_all)},
    {ONE(mean_all, 3, 5, 7)},
    {ONE(mean_all, 1031)},
    {OP(masked), .inputs = 2, .shape = {SHAPE(3, 5, 7), SHAPE(3, 5, 7)},
     .domain = {0, KEEP}},
    {OP(masked), .inputs = 2, .shape = {SHAPE(3, 5, 7), SHAPE(3, 1, 7)},
     .domain = {0, KEEP}},
    {OP(masked), .inputs = 2, .shape = {SHAPE(3, 5, 7), SHAPE(7)}, .domain = {0, KEEP}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(3, 5), SHAPE(5, 7)}},
    {OP(affine), .inputs = 3, .shape = {SHAPE(3, 5), SHAPE(5, 7), SHAPE(7)}},
    {OP(affine), .inputs = 3, .shape = {SHAPE(2, 3, 5), SHAPE(5, 19), SHAPE(19)}},
    {OP(affine), .inputs = 3, .shape = {SHAPE(2, 1, 5), SHAPE(5, 1), SHAPE(1)}},
    {OP(affine), .inputs = 3, .shape = {SHAPE(1, 17), SHAPE(17, 3), SHAPE(3)}},
    {OP(affine), .inputs = 3, .shape = {SHAPE(17), SHAPE(17, 3), SHAPE(3)}},
    {ROWS(softmax, 7)},
    {ROWS(softmax, 3, 5)},
    {ROWS(softmax, 2, 3, 37)},
    {ROWS(log_softmax, 7)},
    {ROWS(log_softmax, 2, 3, 37)},
    {ROWS(log_sum_exp, 7)},
    {ROWS(log_sum_exp, 2, 3, 37)},
    {ROWS(log_sum_exp, 5, 301)},
    {ONE(log_sum_exp, 3, 1)},
    {ONE(causal, 5, 5)},
    {ONE(causal, 2, 3, 7)},
    {ONE(causal, 3, 1, 19)},
    {WINDOW(2, 5, 5), .dimension = 2},
    {WINDOW(2, 3, 7), .dimension = 3},
    {WINDOW(3, 19), .dimension = 17},
    {WINDOW(3, 5), .dimension = 1},
    {WINDOW(3, 5), .dimension = 100},
    {OP(layer_norm), .inputs = 3, .shape = {SHAPE(3, 5), SHAPE(5), SHAPE(5)},
     .form = {ANY_BUT_CONSTANT_ROWS, CONTIGUOUS_WHOLE, CONTIGUOUS_WHOLE}, .number = 1e-5f},
    {OP(layer_norm), .inputs = 3, .shape = {SHAPE(2, 3, 37), SHAPE(37), SHAPE(37)},
     .form = {ANY_BUT_CONSTANT_ROWS, CONTIGUOUS_WHOLE, CONTIGUOUS_WHOLE}, .number = 0.1f},
    {OP(rms_norm), .inputs = 2, .shape = {SHAPE(3, 5), SHAPE(5)},
     .form = {ANY_BUT_CONSTANT_ROWS, CONTIGUOUS_WHOLE}, .number = 1e-5f},
    {OP(rms_norm), .inputs = 2, .shape = {SHAPE(2, 3, 37), SHAPE(37)},
     .form = {ANY_BUT_CONSTANT_ROWS, CONTIGUOUS_WHOLE}, .number = 0.1f},
    {OP(rms_norm), .inputs = 2, .shape = {SHAPE(7), SHAPE(7)},
     .form = {ANY_BUT_CONSTANT_ROWS, CONTIGUOUS_WHOLE}, .number = 1e-5f},
    {OP(rms_norm), .inputs = 2, .shape = {SHAPE(3, 1), SHAPE(1)},
     .form = {ANY_BUT_CONSTANT_ROWS, CONTIGUOUS_WHOLE}, .number = 0.1f},
    {ROWS(cross_entropy, 7, 5)},
    {ROWS(cross_entropy, 2, 3, 37)},
    {ROWS(cross_entropy, 5, 301)},
    {ROWS(cross_entropy, 7)},
    {ROWS(cross_entropy, 5, 3), .number = -1},
    {ROWS(cross_entropy_smoothed, 7, 5)},
    {ROWS(cross_entropy_smoothed, 2, 3, 37)},
    {ROWS(cross_entropy_smoothed, 7)},
    {ROWS(cross_entropy_smoothed, 5, 3), .number = -1},
    {ONE(rows, 5, 7), .argument = SHAPE(2, 3)},
    {ONE(rows, 3, 19), .argument = SHAPE(11)},
    {ONE(rows, 3, 1), .argument = SHAPE()},
    {ONE(rows, 3, 5), .argument = SHAPE(0)},
    {ONE(rows, 3, 0), .argument = SHAPE(2)},
    {OP(add_rows), .inputs = 2, .shape = {SHAPE(5, 7), SHAPE(2, 3, 7)},
     .argument = SHAPE(2, 3)},
    {OP(add_rows), .inputs = 2, .shape = {SHAPE(3, 19), SHAPE(11, 19)},
     .argument = SHAPE(11)},
    {OP(add_rows), .inputs = 2, .shape = {SHAPE(3, 1), SHAPE(1)}, .argument = SHAPE()},
    {OP(add_rows), .inputs = 2, .shape = {SHAPE(3, 5), SHAPE(0, 5)}, .argument = SHAPE(0)},
    {OP(add_rows), .inputs = 2, .shape = {SHAPE(3, 0), SHAPE(2, 0)}, .argument = SHAPE(2)},
    {ONE(pick, 7), .argument = SHAPE(3)},
    {ONE(pick, 3, 5), .argument = SHAPE(7)},
    {ONE(pick, 2, 3, 37), .argument = SHAPE(5)},
    {ONE(pick, 5, 1), .argument = SHAPE(3)},
    {ONE(pick, 5, 3), .argument = SHAPE(0)},
    {ONE(topk, 7), .argument = SHAPE(3)},
    {ONE(topk, 3, 5), .argument = SHAPE(5)},
    {ONE(topk, 2, 3, 37), .argument = SHAPE(11)},
    {ONE(topk, 5, 1), .argument = SHAPE(1)},
    {ONE(topk, 5, 3), .argument = SHAPE(0)},
    {ONE(is_not, 3, 5, 7)},
    {OP(concat), .inputs = 1, .shape = {SHAPE(3, 5)}},
    {OP(concat), .inputs = 2, .shape = {SHAPE(3, 5), SHAPE(2, 5)}},
    {OP(concat), .inputs = 3, .shape = {SHAPE(3, 2, 5), SHAPE(3, 1, 5), SHAPE(3, 4, 5)},
     .dimension = 1},
    {OP(concat), .inputs = 2, .shape = {SHAPE(3, 5), SHAPE(3, 19)}, .dimension = 1},
    {OP(stack), .inputs = 2, .shape = {SHAPE(3, 5), SHAPE(3, 5)}, .dimension = 0},
    {OP(stack), .inputs = 3, .shape = {SHAPE(3, 5), SHAPE(3, 5), SHAPE(3, 5)},
     .dimension = 1},
    {OP(stack), .inputs = 2, .shape = {SHAPE(3, 5), SHAPE(3, 5)}, .dimension = 2},
    {OP(stack), .inputs = 2, .shape = {SHAPE(), SHAPE()}, .dimension = 0},
    {ONE(reshape, 3, 5, 7), .argument = SHAPE(15, 7)},
    {ONE(reshape, 4, 5, 6), .argument = SHAPE(2, 2, 30)},
    {ONE(reshape, 4, 5, 6), .argument = SHAPE(8, 15)},
    {ONE(reshape, 3, 1, 5), .argument = SHAPE(1, 3, 5, 1)},
    {ONE(reshape, 1, 1), .argument = SHAPE()},
    {ONE(contiguous, 3, 5, 7)},
    {ONE(select, 3, 5, 7), .dimension = 1, .argument = SHAPE(3)},
    {ONE(select, 5), .dimension = 0, .argument = SHAPE(4)},
    {ONE(slice, 3, 5, 7), .dimension = 1, .argument = SHAPE(1, 4)},
    {ONE(slice, 3, 5, 7), .dimension = 2, .argument = SHAPE(3, 7)},
    {ONE(permute, 3, 5, 7), .argument = SHAPE(1, 2, 0)},
    {ONE(permute, 2, 3, 5, 7), .argument = SHAPE(0, 2, 1, 3)},
    {.name = "transpose",
     .tensor = call_transpose,
     .scalar = define_permute,
     .inputs = 1,
     .shape = {SHAPE(3, 5, 7)},
     .argument = SHAPE(0, 2, 1)},
    {ONE(expand, 3, 1, 7), .argument = SHAPE(3, 5, 7)},
    {ONE(expand, 1, 7), .argument = SHAPE(2, 3, 5, 7)},
    {ONE(expand), .argument = SHAPE(3, 5)},
    {OP(six), .inputs = 6,
     .shape = {SHAPE(3, 5), SHAPE(3, 5), SHAPE(5), SHAPE(3, 5), SHAPE(3, 1), SHAPE(3, 5)},
     .domain = {POSITIVE, POSITIVE, POSITIVE, POSITIVE}}, /* nothing cancels in a sum */
};
enum { CASES = sizeof cases / sizeof *cases };

static const OpCase *case_of(const char *name)
{
    for (int i = 0; i < CASES; i++)
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    return NULL;
}

START_TEST(every_operation_agrees_with_its_definition)
{
    Error error;
    for (int i = 0; i < CASES; i++)
        ck_assert_msg(oracle_holds(&cases[i], &error), "%s", error.text);
}
END_TEST

/* Looks for "Tensor *t_name(" at the beginning of lines. */
START_TEST(every_operation_that_the_headers_declare_has_a_case)
{
    glob_t headers;
    int operations = 0;
    ck_assert_int_eq(glob("src/tensor/ops*.h", 0, NULL, &headers), 0);
    for (size_t i = 0; i < headers.gl_pathc; i++) {
        FILE *file = fopen(headers.gl_pathv[i], "r");
        ck_assert(file != NULL);
        char line[256], name[256];
        while (fgets(line, sizeof line, file))
            if (sscanf(line, "Tensor *t_%200[a-z0-9_](", name) == 1) {
                operations++;
                ck_assert_msg(case_of(name), "t_%s, declared in %s, has no case", name,
                              headers.gl_pathv[i]);
            }
        fclose(file);
    }
    globfree(&headers);
    ck_assert_int_ge(operations, 28);
}
END_TEST

START_TEST(element_wise_operations_agree_on_every_rank)
{
    static const char *const names[] = {"scale",    "exp",      "log",       "tanh",
                                        "relu",     "sigmoid",  "silu",      "gelu",
                                        "gelu_erf", "softplus", "contiguous"};
    static const Shape shapes[] = {SHAPE(),        SHAPE(1),    SHAPE(17),
                                   SHAPE(33, 3),   SHAPE(3, 1), SHAPE(2, 3, 1, 5, 1, 7),
                                   SHAPE(3, 1031), SHAPE(0),    SHAPE(3, 0, 5)};
    Error error;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++) {
            OpCase c = *case_of(names[i]);
            c.shape[0] = shapes[j];
            Setting contiguous = {{0}, {0}}, permuted = {{PERMUTED}, {PARAMETER}};
            ck_assert_msg(oracle_agrees(&c, &contiguous, &error), "%s", error.text);
            ck_assert_msg(oracle_agrees(&c, &permuted, &error), "%s", error.text);
        }
}
END_TEST

START_TEST(operations_on_two_inputs_broadcast)
{
    static const Shape shapes[][2] = {
        {SHAPE(3, 5, 7), SHAPE(7)},
        {SHAPE(5, 1), SHAPE(3, 5, 7)},
        {SHAPE(3, 1, 7), SHAPE(1, 5, 1)},
        {SHAPE(2, 1, 3, 1), SHAPE(4, 1, 5)},
        {SHAPE(), SHAPE(3, 5)},
        {SHAPE(1), SHAPE()},
        {SHAPE(), SHAPE()},
        {SHAPE(19), SHAPE(3, 1)},
        {SHAPE(1, 1, 7), SHAPE(3, 5, 1)},
        {SHAPE(0, 5), SHAPE(5)},
    };
    static const char *const names[] = {"add", "sub", "mul", "div"};
    Error error;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++)
            for (int swapped = 0; swapped < 2; swapped++) {
                OpCase c = *case_of(names[i]);
                c.shape[0] = shapes[j][swapped];
                c.shape[1] = shapes[j][!swapped];
                ck_assert_msg(oracle_holds(&c, &error), "%s", error.text);
            }
}
END_TEST

START_TEST(matrix_products_of_all_kinds_agree)
{
    static const Shape shapes[][2] = {
        {SHAPE(2, 3, 5), SHAPE(2, 5, 7)},    /* one each */
        {SHAPE(2, 3, 5), SHAPE(5, 7)},       /* many A, one B */
        {SHAPE(3, 5), SHAPE(2, 5, 7)},       /* one A, many B */
        {SHAPE(2, 1, 3, 5), SHAPE(4, 5, 7)}, /* each with each */
        {SHAPE(2, 4, 3, 5), SHAPE(2, 1, 5, 7)},
        {SHAPE(2, 4, 3, 5), SHAPE(1, 4, 5, 7)},
        {SHAPE(5, 1, 7), SHAPE(7, 3)},
        {SHAPE(1, 5), SHAPE(5, 19)}, /* a row, a column, a number */
        {SHAPE(19, 5), SHAPE(5, 1)},
        {SHAPE(3, 1), SHAPE(1, 5)},
        {SHAPE(2, 1, 7), SHAPE(2, 7, 3)},
        {SHAPE(1, 1), SHAPE(1, 1)},
        {SHAPE(3, 0), SHAPE(0, 5)}, /* nothing */
        {SHAPE(0, 3), SHAPE(3, 5)},
        {SHAPE(0, 3, 2), SHAPE(0, 2, 5)},
        {SHAPE(13, 3), SHAPE(3, 67)}, /* beyond the tile, beyond the vector */
        {SHAPE(7, 17), SHAPE(17, 33)},
    };
    Error error;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        OpCase c = *case_of("matmul");
        c.shape[0] = shapes[i][0];
        c.shape[1] = shapes[i][1];
        ck_assert_msg(oracle_holds(&c, &error), "%s", error.text);
    }
}
END_TEST

/* An input that is used twice by one operation. */
CALL(square, t_mul(in[0], t_transpose(in[0])))
EACH(square, s_mul(x, in->at[i % in->shape[0] * in->shape[0] + i / in->shape[0]]))

/* Values that are used twice, by one operation or by two: the memory of a gradient may be
 * passed on only by the last of them. */
static Tensor *sharing_of(Tensor *x)
{
    Tensor *e = t_exp(x), *both = t_add(t_mul(e, e), t_mul(x, e)),
           *twice = t_add(both, both);
    return t_sub(t_div(twice, t_add(e, twice)), t_tanh(both));
}

static Scalar *shared_of(Scalar *x)
{
    Scalar *e = s_exp(x), *both = s_add(s_mul(e, e), s_mul(x, e)),
           *twice = s_add(both, both);
    return s_sub(s_div(twice, s_add(e, twice)), s_tanh(both));
}

CALL(sharing, sharing_of(in[0]))
EACH(sharing, shared_of(x))

/* Weights of attention over a hidden layer: memory of gradients is handed back and used
 * again on the way. */
static Tensor *call_chain(const OpCase *c, Tape *tape, Tensor **in)
{
    (void)c, (void)tape;
    Tensor *h = t_gelu(t_affine(in[0], in[1], in[2]));
    Tensor *scores = t_matmul(t_scale(h, 0.5f), t_transpose(h));
    return t_matmul(t_softmax(t_causal(scores)), t_add(h, in[2]));
}

static void define_chain(const OpCase *c, const Grid *in, Grid *out)
{
    enum { PRE, H, HALF, TRANSPOSED, SCORES, SEEN, WEIGHTS, BIASED, STEPS };
    Grid g[STEPS] = {{0}};
    OpCase half = {.number = 0.5f}, transpose = {.argument = SHAPE(1, 0)};
    for (int i = 0; i < STEPS; i++)
        g[i].tape = in->tape;
    define_affine(c, in, &g[PRE]);
    define_gelu(c, &g[PRE], &g[H]);
    define_scale(&half, &g[H], &g[HALF]);
    define_permute(&transpose, &g[H], &g[TRANSPOSED]);
    define_matmul(c, (Grid[]){g[HALF], g[TRANSPOSED]}, &g[SCORES]);
    define_causal(c, &g[SCORES], &g[SEEN]);
    define_softmax(c, &g[SEEN], &g[WEIGHTS]);
    define_add(c, (Grid[]){g[H], in[2]}, &g[BIASED]);
    define_matmul(c, (Grid[]){g[WEIGHTS], g[BIASED]}, out);
    for (int i = 0; i < STEPS; i++)
        free(g[i].at);
}

START_TEST(operations_agree_when_they_follow_one_another)
{
    OpCase square = {ONE(square, 5, 5)};
    OpCase chain = {OP(chain), .inputs = 3, .shape = {SHAPE(7, 3), SHAPE(3, 5), SHAPE(5)}};
    Error error;
    OpCase sharing = {ONE(sharing, 3, 5)};
    ck_assert_msg(oracle_holds(&square, &error), "%s", error.text);
    ck_assert_msg(oracle_holds(&sharing, &error), "%s", error.text);
    ck_assert_msg(oracle_holds(&chain, &error), "%s", error.text);
}
END_TEST

/* ---- Large enough for threads to divide the work ---- */

static const OpCase large_cases[] = {
    {OP(add), .inputs = 2, .shape = {SHAPE(131, 129), SHAPE(129)}},
    {OP(add), .inputs = 2, .shape = {SHAPE(17, 1031), SHAPE(1031)}},
    {OP(sub), .inputs = 2, .shape = {SHAPE(131, 1), SHAPE(131, 129)}},
    {OP(mul), .inputs = 2, .shape = {SHAPE(131, 129), SHAPE(131, 129)}},
    {OP(mul), .inputs = 2, .shape = {SHAPE(1, 16411), SHAPE(1)}},
    {OP(div), .inputs = 2, .shape = {SHAPE(131, 1), SHAPE(129)}, .domain = {0, NOT_ZERO}},
    {ONE(scale, 16411), .number = -1.7f},
    {ONE(exp, 131, 129)},
    {ONE(log, 131, 129), .domain = {POSITIVE}},
    {ONE(gelu, 131, 129)},
    {ONE(gelu_erf, 131, 129)},
    {ONE(softplus, 131, 129)},
    {ONE(dropout, 131, 129), .number = 0.3f, .once = true},
    {ONE(sum, 131, 129), .dimension = 0},
    {ONE(sum, 131, 129), .dimension = 1},
    {ONE(sum, 13, 131, 11), .dimension = 1},
    {ONE(mean, 131, 129), .dimension = 0},
    {ONE(sum_all, 131, 129)},
    {OP(masked), .inputs = 2, .shape = {SHAPE(131, 129), SHAPE(129)}, .domain = {0, KEEP}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(97, 37), SHAPE(37, 33)}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(7, 131), SHAPE(131, 133)}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(103, 3), SHAPE(3, 101)}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(7, 13, 37), SHAPE(7, 37, 35)}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(7, 13, 37), SHAPE(37, 35)}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(13, 37), SHAPE(7, 37, 35)}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(101, 521), SHAPE(521, 2)}},
    {OP(matmul), .inputs = 2, .shape = {SHAPE(1, 331), SHAPE(331, 307)}},
    {OP(affine), .inputs = 3, .shape = {SHAPE(2, 49, 261), SHAPE(261, 5), SHAPE(5)}},
    {ROWS(softmax, 131, 129)},
    {ONE(causal, 3, 67, 101)},
    {OP(layer_norm), .inputs = 3, .shape = {SHAPE(129, 131), SHAPE(131), SHAPE(131)},
     .number = 1e-5f},
    {OP(rms_norm), .inputs = 2, .shape = {SHAPE(129, 131), SHAPE(131)}, .number = 1e-5f},
    {ROWS(log_softmax, 131, 129)},
    {ROWS(log_sum_exp, 131, 129)},
    {WINDOW(3, 67, 101), .dimension = 13},
    {ROWS(cross_entropy, 131, 129)},
    {ROWS(cross_entropy_smoothed, 131, 129)},
    {ONE(rows, 37, 131), .argument = SHAPE(3, 67)},
    {OP(add_rows), .inputs = 2, .shape = {SHAPE(37, 131), SHAPE(3, 67, 131)},
     .argument = SHAPE(3, 67)},
    {ONE(pick, 67, 301), .argument = SHAPE(257)},
    {ONE(topk, 67, 301), .argument = SHAPE(101)},
    {OP(concat), .inputs = 2, .shape = {SHAPE(131, 129), SHAPE(131, 131)}, .dimension = 1},
    {OP(stack), .inputs = 2, .shape = {SHAPE(131, 129), SHAPE(131, 129)}, .dimension = 1},
};
enum { LARGE_CASES = sizeof large_cases / sizeof *large_cases };

START_TEST(the_number_of_threads_changes_no_bit)
{
    Error error;
    for (int i = 0; i < LARGE_CASES; i++)
        ck_assert_msg(oracle_holds_on_threads(&large_cases[i], &error), "%s", error.text);
}
END_TEST

START_TEST(large_views_agree)
{
    static const char *const names[] = {"exp",    "mul",     "sum",    "matmul", "add",
                                        "affine", "softmax", "causal", "concat"};
    Error error;
    parallel_threads(3);
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (int i = 0; i < LARGE_CASES; i++) {
            const OpCase *c = &large_cases[i];
            Setting sliced = {{PERMUTED, SLICED}, {PARAMETER, LEAF}};
            Setting spread = {{SLICED, SPREAD}, {LEAF, PARAMETER}};
            if (strcmp(c->name, names[n]) != 0)
                continue;
            ck_assert_msg(oracle_agrees(c, &sliced, &error), "%s", error.text);
            ck_assert_msg(oracle_agrees(c, &spread, &error), "%s", error.text);
        }
}
END_TEST

/* Too large for scalars: C = A B by three loops in double precision. */
static void assert_product(long M, long N, long K, Matrix a, Matrix b, Matrix c)
{
    double largest = 0, worst = 0;
    for (long i = 0; i < M; i++)
        for (long j = 0; j < N; j++) {
            double sum = 0;
            for (long k = 0; k < K; k++)
                sum += (double)a.data[i * a.row + k * a.column] *
                       b.data[k * b.row + j * b.column];
            double error = fabs(sum - c.data[i * c.row + j * c.column]);
            largest = fmax(largest, fabs(sum));
            worst = error <= worst ? worst : error;
        }
    ck_assert_msg(worst <= 1e-5 * largest, "(%ld, %ld) x (%ld, %ld): %g off", M, K, K, N,
                  worst);
}

static Matrix matrix(const Tensor *x, float *data)
{
    return (Matrix){data, x->stride[0], x->stride[1]};
}
static Matrix transposed(Matrix m)
{
    return (Matrix){m.data, m.column, m.row};
}

static Tensor *random_tensor(Tape *tape, int rows, int columns, bool transposed,
                             uint64_t seed)
{
    Tensor *x = t_keep_grad(transposed ? t_empty(tape, columns, rows) //
                                       : t_empty(tape, rows, columns));
    for (long i = 0; i < t_size(x); i++)
        x->data[i] = random_normal(seed, 1, (uint64_t)i);
    return transposed ? t_transpose(x) : x;
}

/* 13 rows are 12 and 1 for two threads: the single one must be summed like the others. */
START_TEST(a_row_that_a_thread_has_alone_changes_no_bit)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *a = random_tensor(tape, 13, 200, false, 2);
    Tensor *b = random_tensor(tape, 200, 13, true, 3);
    parallel_threads(1);
    Tensor *one = t_matmul(a, b);
    parallel_threads(2);
    Tensor *two = t_matmul(a, b);
    ck_assert_mem_eq(one->data, two->data, 13 * 13 * sizeof(float));
    tape_free(tape);
}
END_TEST

/* loss = sum of (A B) * G, so that G is the gradient of the product. */
static void check_product(int M, int K, int N, bool transpose_a, bool transpose_b)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *a = random_tensor(tape, M, K, transpose_a, 2);
    Tensor *b = random_tensor(tape, K, N, transpose_b, 3);
    Tensor *g = random_tensor(tape, M, N, false, 4);
    Tensor *y = t_matmul(a, b);
    backward(t_sum_all(t_mul(y, g)));
    Matrix A = matrix(a, a->data), B = matrix(b, b->data), G = matrix(g, g->data);
    assert_product(M, N, K, A, B, matrix(y, y->data));
    assert_product(M, K, N, G, transposed(B), matrix(a, t_grad(a)));
    assert_product(K, N, M, transposed(A), G, matrix(b, t_grad(b)));
    tape_free(tape);
}

START_TEST(products_larger_than_all_blocks_agree_with_three_loops)
{
    static const int sizes[][3] = {
        {101, 301, 135}, {7, 521, 70}, {1, 300, 131}, {131, 300, 1}, {211, 13, 70}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int which = 0; which < 4; which++)
            check_product(sizes[i][0], sizes[i][1], sizes[i][2], which & 1, which & 2);
}
END_TEST

/* ---- Planted errors: the oracle must see them ---- */

typedef float Function(float x);
typedef float Slope(float x, float gradient);

/* An operation on each number of a contiguous tensor, as somebody might write it. */
static Tensor *planted(Tensor *x, Function *f, void (*backward)(Op *))
{
    x = t_contiguous(x);
    Op *op = t_op("planted", backward, x);
    Tensor *y = op_out_like(op, x);
    for (long i = 0; i < t_size(x); i++)
        y->data[i] = f(x->data[i]);
    return y;
}

static float gelu_value(float x)
{
    return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}
static float gelu_value_slightly_off(float x)
{
    return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.0447f * x * x * x)));
}

/* The last term of the inner derivative, 3 * 0.044715 x^2, comes in with `last`. */
static void gelu_gradient(Op *op, float last)
{
    const float *x = op_input(op, 0)->data, *g = op_gout(op);
    float *dx = op_grad(op, 0, NULL);
    for (long i = 0; i < t_size(op_output(op)); i++) {
        float t = tanhf(0.79788456f * (x[i] + 0.044715f * x[i] * x[i] * x[i]));
        float inner = 0.79788456f * (1 + last * 3 * 0.044715f * x[i] * x[i]);
        dx[i] += g[i] * (0.5f * (1 + t) + 0.5f * x[i] * (1 - t * t) * inner);
    }
}
static void gelu_right(Op *op)
{
    gelu_gradient(op, 1);
}
static void gelu_without_the_last_term(Op *op)
{
    gelu_gradient(op, 0);
}
static void gelu_that_replaces(Op *op)
{
    memset(op_grad(op, 0, NULL), 0, (size_t)t_size(op_output(op)) * sizeof(float));
    gelu_gradient(op, 1);
}
static void gelu_that_goes_too_far(Op *op)
{
    gelu_gradient(op, 1);
    op_grad(op, 0, NULL)[t_size(op_output(op))] += 1e-6f;
}
static void gelu_that_lets_nothing_back(Op *op)
{
    (void)op;
}

CALL(right, planted(in[0], gelu_value, gelu_right))
CALL(wrong_value, planted(in[0], gelu_value_slightly_off, gelu_right))
CALL(wrong_slope, planted(in[0], gelu_value, gelu_without_the_last_term))
CALL(replacing, planted(in[0], gelu_value, gelu_that_replaces))
CALL(too_far, planted(in[0], gelu_value, gelu_that_goes_too_far))
CALL(cut, planted(in[0], gelu_value, gelu_that_lets_nothing_back))
CALL(other_shape, t_reshape(t_gelu(in[0]), 5, 1))

static Tensor *call_changing(const OpCase *c, Tape *tape, Tensor **in)
{
    (void)c, (void)tape;
    Tensor *y = t_gelu(in[0]);
    in[0]->data[0] += 1;
    return y;
}

START_TEST(a_planted_error_is_seen)
{
    static const struct {
        Tensor *(*tensor)(const OpCase *, Tape *, Tensor **);
        const char *seen;
    } planted[] = {
        {call_right, NULL},
        {call_wrong_value, "the value, number"},
        {call_wrong_slope, "the gradient of input 1, number"},
        {call_replacing, "the gradient of input 1, number"},
        {call_too_far, "a gradient of 2e-06 was written outside of input 1"},
        {call_cut, "the gradient of input 1, number"},
        {call_other_shape, "the shape is (5, 1) and should be (5,)"},
        {call_changing, "input 1 itself was changed"},
    };
    Setting sliced = {{SLICED}, {LEAF}};
    for (size_t i = 0; i < sizeof planted / sizeof *planted; i++) {
        OpCase c = {ONE(gelu, 5)};
        c.tensor = planted[i].tensor;
        c.once = c.tensor == call_changing;
        Error error = {""};
        ck_assert_msg(oracle_agrees(&c, &sliced, &error) == !planted[i].seen, "%s",
                      error.text);
        if (planted[i].seen)
            assert_contains(error.text, planted[i].seen);
    }
}
END_TEST

START_TEST(an_error_in_one_mixture_of_six_views_is_found)
{
    OpCase c = *case_of("six");
    Error error = {""};
    c.tensor = call_six_wrong;
    ck_assert(!oracle_holds(&c, &error));
    assert_contains(error.text, "the value, number");
}
END_TEST

SUITE("ops", 20, every_operation_agrees_with_its_definition,
      every_operation_that_the_headers_declare_has_a_case,
      element_wise_operations_agree_on_every_rank, operations_on_two_inputs_broadcast,
      matrix_products_of_all_kinds_agree, operations_agree_when_they_follow_one_another,
      the_number_of_threads_changes_no_bit, large_views_agree,
      a_row_that_a_thread_has_alone_changes_no_bit,
      products_larger_than_all_blocks_agree_with_three_loops, a_planted_error_is_seen,
      an_error_in_one_mixture_of_six_views_is_found)
