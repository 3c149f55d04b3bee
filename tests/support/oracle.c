/* oracle.c - holds an operation on tensors to its definition in scalars. */
#include "oracle.h"
#include "tensor/parallel.h"
#include "base/random.h"
#include "suite.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Grids ---- */

void grid_make_of(Grid *grid, int rank, const int *shape)
{
    grid->rank = rank;
    grid->size = 1;
    for (int d = 0; d < rank; d++) {
        grid->shape[d] = shape[d];
        grid->size *= shape[d];
    }
    grid->at = allocate((size_t)grid->size + 1, sizeof *grid->at);
}

void grid_index(const Grid *grid, long i, int *index)
{
    for (int d = grid->rank - 1; d >= 0; d--) {
        index[d] = (int)(i % grid->shape[d]);
        i /= grid->shape[d];
    }
}

Scalar *grid_at(const Grid *grid, int rank, const int *index)
{
    long place = 0;
    for (int d = 0; d < grid->rank; d++)
        place = place * grid->shape[d] +
                (grid->shape[d] == 1 ? 0 : index[rank - grid->rank + d]);
    return grid->at[place];
}

/* ---- One trial: the inputs, and what the operation made of them ---- */

typedef struct {
    const OpCase *c;
    const Setting *setting;
    Tape *tape;
    Tensor *whole[MOST_INPUTS]; /* all that is stored */
    Tensor *in[MOST_INPUTS];    /* what the operation sees of it */
    Tensor *y;
    float *weight[2]; /* of the results in the loss; the operation is called twice */
    int calls;
} Trial;

/* Where element i of x lies, relative to its first one. */
static long offset(const Tensor *x, long i)
{
    long place = 0;
    for (int d = x->rank - 1; d >= 0; d--) {
        place += i % x->shape[d] * x->stride[d];
        i /= x->shape[d];
    }
    return place;
}

static float drawn(Domain domain, int input, long i)
{
    uint64_t stream = (uint64_t)input, number = (uint64_t)i;
    float u = random_uniform(ORACLE_SEED, stream, number);
    switch (domain) {
    case POSITIVE:
        return 0.5f + 2 * u;
    case NOT_ZERO:
        return u < 0.5f ? -0.3f - 3 * u : 0.3f + 3 * (u - 0.5f);
    case KEEP:
        return u < 0.7f;
    default:
        return random_normal(ORACLE_SEED, stream, number);
    }
}

static Tensor *stored(Tape *tape, Owner owner, int rank, const int *shape)
{
    if (owner == PARAMETER)
        return t_lasting(true, rank, shape);
    Tensor *x = t_empty_of(tape, rank, shape);
    return owner == LEAF ? t_keep_grad(x) : x;
}

/* The shape in which an input of this layout is stored. */
static Shape stored_shape(Shape shape, Layout layout)
{
    Shape whole = shape;
    for (int d = 0; d < shape.rank; d++) {
        if (layout == PERMUTED)
            whole.size[d] = shape.size[shape.rank - 1 - d];
        if (layout == SLICED)
            whole.size[d] += 3;
    }
    if (layout == SPREAD)
        whole.size[whole.rank++] = 3;
    if (layout == EXPANDED_FIRST && shape.rank > 0)
        whole.size[0] = 1;
    if (layout == EXPANDED_LAST && shape.rank > 0)
        whole.size[shape.rank - 1] = 1;
    if (layout == EXPANDED_ADDED) {
        whole.rank = shape.rank > 1;
        whole.size[0] = shape.size[shape.rank - whole.rank];
    }
    return whole;
}

static Tensor *view_of(Tensor *whole, Shape shape, Layout layout)
{
    int reversed[MAX_RANK];
    for (int d = 0; d < shape.rank; d++)
        reversed[d] = shape.rank - 1 - d;
    if (layout == PERMUTED)
        return t_permute_to(whole, shape.rank, reversed);
    if (layout == SPREAD)
        return t_select(whole, shape.rank, 1);
    if (layout == EXPANDED_FIRST || layout == EXPANDED_LAST || layout == EXPANDED_ADDED)
        return t_expand_to(whole, shape.rank, shape.size);
    for (int d = 0; layout == SLICED && d < shape.rank; d++)
        whole = t_slice(whole, d, 1 + d % 2, 1 + d % 2 + shape.size[d]);
    return whole;
}

/* loss = sum of weight times result. Nobody looks at its value. */
static void mixture_backward(Op *op)
{
    const Trial *t = *(Trial **)op_saved(op);
    for (int k = 0; k < op_inputs(op); k++) {
        const Tensor *y = op_input_shape(op, k);
        float *dy = op_grad(op, k, NULL);
        for (long i = 0; i < t_size(y); i++)
            dy[offset(y, i)] += op_gout(op)[0] * t->weight[k][i];
    }
}

static Tensor *mixture(Trial *t, Tensor **y)
{
    for (int k = 0; k < t->calls; k++) {
        t->weight[k] = allocate((size_t)t_size(y[k]) + 1, sizeof(float));
        for (long i = 0; i < t_size(y[k]); i++)
            t->weight[k][i] = drawn(POSITIVE, MOST_INPUTS + k, i);
    }
    Op *op = op_new("mixture", mixture_backward, t->calls, y);
    *(Trial **)op_save(op, sizeof(Trial *)) = t;
    Tensor *loss = op_out_of(op, 0, NULL);
    loss->data[0] = 0;
    return loss;
}

/* The operation is called twice on the same inputs, so that its backward finds gradients
 * to which it must add. */
static void trial_run(Trial *t, const OpCase *c, const Setting *setting)
{
    *t = (Trial){.c = c, .setting = setting, .calls = c->once ? 1 : 2};
    t->tape = tape_new(TAPE_TRAINING, ORACLE_SEED);
    bool on_tape = false;
    for (int k = 0; k < c->inputs; k++) {
        Shape shape = stored_shape(c->shape[k], setting->layout[k]);
        t->whole[k] = stored(t->tape, setting->owner[k], shape.rank, shape.size);
        for (long i = 0; i < t->whole[k]->storage->size; i++)
            t->whole[k]->data[i] = drawn(c->domain[k], k, i);
        t->in[k] = view_of(t->whole[k], c->shape[k], setting->layout[k]);
        on_tape |= t->in[k]->tape != NULL;
    }
    if (!on_tape)
        t->in[0] = t_on(t->tape, t->in[0]);

    Tensor *y[2];
    for (int k = 0; k < t->calls; k++)
        y[k] = c->tensor(c, t->tape, t->in);
    t->y = y[0];
    backward(mixture(t, y));
}

static void trial_free(Trial *t)
{
    for (int k = 0; k < t->c->inputs; k++)
        if (t->setting->owner[k] == PARAMETER)
            t_lasting_free(t->whole[k]);
    free(t->weight[0]);
    free(t->weight[1]);
    tape_free(t->tape);
}

/* ---- The same in scalars ---- */

typedef struct {
    Scalars *tape;
    Scalar **stored[MOST_INPUTS]; /* one for each number of the storage */
    bool *inside[MOST_INPUTS];    /* whether the operation sees it */
    Grid in[MOST_INPUTS], out;
} Definition;

static void definition_run(Definition *d, const Trial *t)
{
    *d = (Definition){.tape = scalars_new()};
    d->out.tape = d->tape;
    for (int k = 0; k < t->c->inputs; k++) {
        const Storage *storage = t->whole[k]->storage;
        const Tensor *view = t->in[k];
        d->stored[k] = allocate((size_t)storage->size + 1, sizeof(Scalar *));
        d->inside[k] = allocate((size_t)storage->size + 1, sizeof(bool));
        for (long i = 0; i < storage->size; i++)
            d->stored[k][i] = s_new(d->tape, drawn(t->c->domain[k], k, i));
        d->in[k].tape = d->tape;
        grid_make_of(&d->in[k], view->rank, view->shape);
        for (long i = 0; i < d->in[k].size; i++) {
            long place = view->data - storage->data + offset(view, i);
            d->in[k].at[i] = d->stored[k][place];
            d->inside[k][place] = true;
        }
    }
    t->c->scalar(t->c, d->in, &d->out);

    Scalar *loss = s_new(d->tape, 0);
    for (long i = 0; i < d->out.size && i < t_size(t->y); i++)
        for (int k = 0; k < t->calls; k++)
            loss = s_add(loss, s_times(d->out.at[i], t->weight[k][i]));
    s_backward(loss);
}

static void definition_free(Definition *d)
{
    for (int k = 0; k < MOST_INPUTS; k++) {
        free(d->stored[k]);
        free(d->inside[k]);
        free(d->in[k].at);
    }
    free(d->out.at);
    scalars_free(d->tape);
}

/* ---- Comparing ---- */

/* The largest deviation between two arrays, relative to the largest finite entry of what
 * is wanted. Infinities must be the same, and NaN is infinitely far from everything. */
static bool close_enough(const char *what, long n, const double *got, const double *want,
                         Error *error)
{
    double largest = 0, worst = -1;
    long place = 0;
    for (long i = 0; i < n; i++)
        if (isfinite(want[i]) && fabs(want[i]) > largest)
            largest = fabs(want[i]);
    for (long i = 0; i < n; i++) {
        double deviation = got[i] == want[i] ? 0 : fabs(got[i] - want[i]);
        if (isnan(deviation))
            deviation = INFINITY;
        if (deviation > worst) {
            worst = deviation;
            place = i;
        }
    }
    if (worst <= ORACLE_TOLERANCE * largest)
        return true;
    return fail(error, "%s, number %ld, is %.9g and should be %.9g; the largest is %.9g",
                what, place, got[place], want[place], largest);
}

static bool values_agree(const Trial *t, const Definition *d, Error *error)
{
    const Tensor *y = t->y;
    bool same = y->rank == d->out.rank;
    for (int i = 0; same && i < y->rank; i++)
        same = y->shape[i] == d->out.shape[i];
    if (!same)
        return fail(error, "the shape is %s and should be %s", t_text(y),
                    shape_text(d->out.rank, d->out.shape));
    double *got = allocate((size_t)d->out.size + 1, sizeof *got);
    double *want = allocate((size_t)d->out.size + 1, sizeof *want);
    for (long i = 0; i < d->out.size; i++) {
        got[i] = y->data[offset(y, i)];
        want[i] = d->out.at[i]->value;
    }
    bool agree = close_enough("the value", d->out.size, got, want, error);
    free(got);
    free(want);
    return agree;
}

/* The whole storage is compared, so that nothing that was written beside a view escapes. */
static bool gradient_agrees(const Trial *t, const Definition *d, int k, Error *error)
{
    const Storage *storage = t->whole[k]->storage;
    for (long i = 0; i < storage->size; i++)
        if (storage->data[i] != d->stored[k][i]->value)
            return fail(error, "input %d itself was changed", k + 1);
    if (t->setting->owner[k] == CONSTANT)
        return !storage->grad ||
               fail(error, "a gradient arrived at input %d, which wants none", k + 1);

    double *got = allocate((size_t)storage->size + 1, sizeof *got);
    double *want = allocate((size_t)storage->size + 1, sizeof *want);
    bool agree = true;
    for (long i = 0; i < storage->size; i++) {
        got[i] = storage->grad ? storage->grad[i] : 0;
        want[i] = d->stored[k][i]->grad;
        if (agree && !d->inside[k][i] && got[i] != 0)
            agree = fail(error, "a gradient of %g was written outside of input %d", got[i],
                         k + 1);
    }
    char what[64];
    snprintf(what, sizeof what, "the gradient of input %d", k + 1);
    agree = agree && close_enough(what, storage->size, got, want, error);
    free(got);
    free(want);
    return agree;
}

/* "softmax (3, 5), sliced leaf" */
static void describe(const OpCase *c, const Setting *s, char *text, size_t size)
{
    static const char *const layout[LAYOUTS] = {"contiguous",
                                                "permuted",
                                                "sliced",
                                                "spread",
                                                "expanded first",
                                                "expanded last",
                                                "expanded by added dimensions"};
    static const char *const owner[OWNERS] = {"leaf", "parameter", "constant"};
    int length = snprintf(text, size, "%s", c->name);
    for (int k = 0; k < c->inputs; k++)
        length += snprintf(text + length, size - (size_t)length, "%s %s %s %s",
                           k ? "," : "", layout[s->layout[k]], owner[s->owner[k]],
                           shape_text(c->shape[k].rank, c->shape[k].size));
}

bool oracle_agrees(const OpCase *c, const Setting *setting, Error *error)
{
    Trial trial;
    Definition definition;
    trial_run(&trial, c, setting);
    definition_run(&definition, &trial);
    bool agree = values_agree(&trial, &definition, error);
    for (int k = 0; agree && k < c->inputs; k++)
        agree = gradient_agrees(&trial, &definition, k, error);
    definition_free(&definition);
    trial_free(&trial);
    char text[512];
    describe(c, setting, text, sizeof text);
    return agree || fail_within(error, "%s", text);
}

/* ---- Settings ---- */

static bool allowed(const OpCase *c, int k, Layout layout)
{
    switch (c->form[k]) {
    case ANY_BUT_CONSTANT_ROWS:
        return layout != EXPANDED_LAST &&
               (c->shape[k].rank > 1 ||
                (layout != EXPANDED_FIRST && layout != EXPANDED_ADDED));
    case CONTIGUOUS_ROWS:
        return layout == CONTIGUOUS || layout == SLICED || layout == EXPANDED_FIRST ||
               layout == EXPANDED_ADDED;
    case CONTIGUOUS_WHOLE:
        return layout == CONTIGUOUS || (layout == SLICED && c->shape[k].rank == 1);
    default:
        return true;
    }
}

/* Each input contiguous where the wanted layout is not allowed, and without gradient where
 * it is a mask. False when no input wants a gradient: there would be nothing to record. */
static bool possible(const OpCase *c, Setting *s)
{
    bool wants = false;
    for (int k = 0; k < c->inputs; k++) {
        if (!allowed(c, k, s->layout[k]))
            s->layout[k] = CONTIGUOUS;
        if (c->domain[k] == KEEP)
            s->owner[k] = CONSTANT;
        wants |= s->owner[k] != CONSTANT;
    }
    return wants;
}

static bool holds_in(const OpCase *c, Setting s, Error *error)
{
    return !possible(c, &s) || oracle_agrees(c, &s, error);
}

/* The layout and the owner of each input, as the digits of a number. */
static Setting mixed_setting(int inputs, long mixture)
{
    Setting s = {{0}, {0}};
    for (int k = 0; k < inputs; k++, mixture /= LAYOUTS * OWNERS) {
        s.layout[k] = (Layout)(mixture % LAYOUTS);
        s.owner[k] = (Owner)(mixture / LAYOUTS % OWNERS);
    }
    return s;
}

static bool holds_in_mixtures(const OpCase *c, Error *error)
{
    long mixtures = 1;
    for (int k = 0; k < c->inputs; k++)
        mixtures *= LAYOUTS * OWNERS;
    bool draw = mixtures > MOST_SETTINGS, holds = true;
    for (long i = 0; holds && i < (draw ? MOST_SETTINGS : mixtures); i++) {
        uint64_t bound = (uint64_t)mixtures, number = (uint64_t)i;
        long mixture = draw ? (long)random_below(ORACLE_SEED, 1, number, bound) : i;
        holds = holds_in(c, mixed_setting(c->inputs, mixture), error);
    }
    return holds;
}

bool oracle_holds(const OpCase *c, Error *error)
{
    for (int layout = 0; layout < LAYOUTS; layout++) {
        Setting all = {{0}, {0}};
        for (int k = 0; k < c->inputs; k++) {
            Setting alone = {{0}, {0}};
            all.layout[k] = alone.layout[k] = (Layout)layout;
            if (!holds_in(c, alone, error))
                return false;
        }
        if (!holds_in(c, all, error))
            return false;
    }
    return holds_in_mixtures(c, error);
}

/* ---- Threads ---- */

static bool same_bits(const float *a, const float *b, long n)
{
    return (!a && !b) || (a && b && memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

static bool same_trials(const Trial *a, const Trial *b, int threads, Error *error)
{
    if (!same_bits(a->y->data, b->y->data, t_size(a->y)))
        return fail(error, "%s: another value with %d threads", a->c->name, threads);
    for (int k = 0; k < a->c->inputs; k++)
        if (!same_bits(a->whole[k]->storage->grad, b->whole[k]->storage->grad,
                       a->whole[k]->storage->size))
            return fail(error, "%s: another gradient of input %d with %d threads",
                        a->c->name, k + 1, threads);
    return true;
}

bool oracle_holds_on_threads(const OpCase *c, Error *error)
{
    Setting setting = {{0}, {0}};
    possible(c, &setting);
    Trial one, several;
    parallel_threads(1);
    trial_run(&one, c, &setting);
    bool same = true;
    for (int threads = 2; same && threads <= 3; threads++) {
        parallel_threads(threads);
        trial_run(&several, c, &setting);
        same = same_trials(&one, &several, threads, error);
        trial_free(&several);
    }
    trial_free(&one);
    return same && oracle_agrees(c, &setting, error);
}

float element(const Tensor *x, const int *index)
{
    long place = 0;
    for (int d = 0; d < x->rank; d++)
        place += index[d] * x->stride[d];
    return x->data[place];
}

/* ---- Mistakes ---- */

const char *mistake_text(void (*mistake)(void))
{
    static char text[4096];
    int ends[2];
    parallel_threads(1); /* other threads would not survive the fork */
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        mistake();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = 0;
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                  "the mistake was let pass; it said \"%s\"", text);
    return text;
}
