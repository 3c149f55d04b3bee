/* optim.c - from gradients to better parameters: AdamW, Muon, clipping, schedules. */
#include "nn/optim.h"
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float MOMENTUM = 0.95f; /* of Muon */

static Tensor *moment(Optimizer *o, char kind, const Param *p)
{
    char name[208];
    snprintf(name, sizeof name, "%c.%s", kind, p->name);
    return state_of(scope(o->moments), name, p->tensor->rank, p->tensor->shape);
}

Optimizer *optimizer_new(OptimizerKind kind, Params *params, double beta1, double beta2,
                         double weight_decay)
{
    Optimizer *o = allocate(1, sizeof *o);
    size_t n = (size_t)params->count;
    *o = (Optimizer){.kind = kind,
                     .params = params,
                     .moments = params_new(0),
                     .m = allocate(n, sizeof *o->m),
                     .v = allocate(n, sizeof *o->v),
                     .beta1 = beta1,
                     .beta2 = beta2,
                     .epsilon = 1e-8,
                     .weight_decay = weight_decay,
                     .matrix = allocate(n, sizeof *o->matrix)};
    for (int i = 0; i < params->count; i++) {
        const Param *p = &params->item[i];
        if (!p->tensor->storage->wants_grad)
            continue;
        o->m[i] = moment(o, 'm', p);
        if (kind == OPTIMIZER_MUON && p->multiplies)
            o->matrix[o->matrices++] = i;
        else
            o->v[i] = moment(o, 'v', p);
    }
    for (int i = 0; i < MUON_TAPES; i++)
        o->tape[i] = tape_new(TAPE_INFERENCE, 0);
    return o;
}

void optimizer_free(Optimizer *o)
{
    if (!o)
        return;
    params_free(o->moments);
    for (int i = 0; i < MUON_TAPES; i++)
        tape_free(o->tape[i]);
    free(o->m);
    free(o->v);
    free(o->matrix);
    free(o);
}

/* One parameter in the making of a step. */
typedef struct {
    float *p, *g, *m, *v;
    float beta1, beta2, factor;
    float rest1, rest2; /* 1 - beta; as floats, 1 - 0.999 would be off by 2e-5 */
    float keep;         /* what weight decay leaves of the parameter */
    float size;         /* the learning rate, corrected */
    float root;         /* the correction of the second moment */
    float epsilon;
    float *direction; /* of Muon */
} Update;

/* ---- AdamW ---- */

/* m and v begin at 0 and are therefore too small at first, by 1 - beta^steps. */
static void adamw_range(long from, long to, void *context)
{
    const Update u = *(const Update *)context;
    for (long i = from; i < to; i++) {
        float g = u.g[i] * u.factor;
        float m = u.m[i] = u.beta1 * u.m[i] + u.rest1 * g;
        float v = u.v[i] = u.beta2 * u.v[i] + u.rest2 * g * g;
        u.p[i] = u.keep * u.p[i] - u.size * m / (sqrtf(v) * u.root + u.epsilon);
        u.g[i] = 0;
    }
}

/* ---- Muon ---- */

/* 3.4445 - 4.7750 a + 2.0315 a^2 */
static Tensor *polynomial(Tensor *a)
{
    long n = a->shape[0];
    Tensor *p = t_matmul(a, a);
    for (long i = 0; i < n * n; i++)
        p->data[i] = 2.0315f * p->data[i] - 4.7750f * a->data[i];
    for (long i = 0; i < n; i++)
        p->data[i * n + i] += 3.4445f;
    return p;
}

/* Newton and Schulz: with a = x x', x becomes p x, where p is the polynomial of a, five
 * times over. That leaves the singular vectors as they are and moves the singular values
 * towards 1; the numbers are Jordan's, chosen to be quick rather than exact. All the p are
 * made of a and can change places with it, so the next a is p p a, and their product q meets
 * x only in the end: x may be much wider than a. */
Tensor *orthogonalised(Tensor *x)
{
    bool tall = x->shape[0] > x->shape[1];
    Tensor *square = t_sum_all(t_mul(x, x)), *q = NULL;
    x = t_scale(tall ? t_transpose(x) : x, 1 / (sqrtf(t_item(square)) + 1e-7f));
    Tensor *a = t_matmul(x, t_transpose(x));
    for (int i = 0; i < 5; i++) {
        Tensor *p = polynomial(a);
        q = q ? t_matmul(p, q) : p;
        if (i < 4)
            a = t_matmul(p, t_matmul(p, a));
    }
    x = t_matmul(q, x);
    return tall ? t_transpose(x) : x;
}

/* The momentum, and where it will be after one more step with this gradient (Nesterov). */
static void momentum_range(long from, long to, void *context)
{
    const Update u = *(const Update *)context;
    for (long i = from; i < to; i++) {
        float g = u.g[i] * u.factor;
        u.m[i] = MOMENTUM * u.m[i] + g;
        u.direction[i] = MOMENTUM * u.m[i] + g;
        u.g[i] = 0;
    }
}

static void move_range(long from, long to, void *context)
{
    const Update u = *(const Update *)context;
    for (long i = from; i < to; i++)
        u.p[i] = u.keep * u.p[i] - u.size * u.direction[i];
}

/* Entries of an orthogonal matrix are about 1 / sqrt(longer side); 0.2 times that side's
 * root makes them as large as those of an AdamW step, so that one learning rate serves both
 * (Liu and others 2025, section 2.2). */
static void muon_step(Tape *tape, const Tensor *x, Update u, double learning_rate)
{
    int longer = x->shape[0] > x->shape[1] ? x->shape[0] : x->shape[1];
    tape_reset(tape, 0);
    Tensor *direction = t_empty(tape, x->shape[0], x->shape[1]);
    u.direction = direction->data;
    u.size = (float)(0.2 * sqrt(longer) * learning_rate);
    parallel_for(t_size(x), 4096, momentum_range, &u);
    u.direction = t_contiguous(orthogonalised(direction))->data;
    parallel_for(t_size(x), 4096, move_range, &u);
}

typedef struct {
    Optimizer *o;
    double learning_rate, factor;
    double first, second; /* what the moments are too small by */
} Step;

static Update update_of(const Step *step, int i)
{
    const Optimizer *o = step->o;
    const Tensor *x = o->params->item[i].tensor;
    double decay = o->params->item[i].decays ? step->learning_rate * o->weight_decay : 0;
    return (Update){.p = x->data,
                    .g = x->storage->grad,
                    .m = o->m[i]->data,
                    .v = o->v[i] ? o->v[i]->data : NULL,
                    .beta1 = (float)o->beta1,
                    .beta2 = (float)o->beta2,
                    .factor = (float)step->factor,
                    .rest1 = (float)(1 - o->beta1),
                    .rest2 = (float)(1 - o->beta2),
                    .keep = (float)(1 - decay),
                    .size = (float)(step->learning_rate / step->first),
                    .root = (float)(1 / sqrt(step->second)),
                    .epsilon = (float)o->epsilon};
}

/* The matrices of Muon are as many as there are layers, and small: it pays to divide them
 * among threads rather than each of their products. */
static void muon_matrices(long from, long to, void *context)
{
    const Step *step = context;
    Optimizer *o = step->o;
    for (long k = o->matrices * from / MUON_TAPES; k < o->matrices * to / MUON_TAPES; k++) {
        int i = o->matrix[k];
        if (o->params->item[i].tensor->storage->wants_grad)
            muon_step(o->tape[from], o->params->item[i].tensor, update_of(step, i),
                      step->learning_rate);
    }
}

void optimizer_step(Optimizer *o, double learning_rate, double factor)
{
    o->steps++;
    Step step = {o, learning_rate, factor, 1 - pow(o->beta1, o->steps),
                 1 - pow(o->beta2, o->steps)};
    for (int i = 0; i < o->params->count; i++) {
        const Tensor *x = o->params->item[i].tensor;
        if (!x->storage->wants_grad)
            continue;
        x->storage->writes++;
        if (!o->v[i])
            continue;
        Update u = update_of(&step, i);
        parallel_for(t_size(x), 4096, adamw_range, &u);
    }
    if (o->matrices >= parallel_thread_count())
        parallel_for(MUON_TAPES, 1, muon_matrices, &step);
    else
        muon_matrices(0, MUON_TAPES, &step);
}

typedef struct {
    const Params *params;
    double *sum; /* of the squares in each gradient */
} Squares;

static void square_gradients(long from, long to, void *context)
{
    const Squares *squares = context;
    for (long i = from; i < to; i++) {
        const Storage *s = squares->params->item[i].tensor->storage;
        squares->sum[i] = 0;
        for (long j = 0; s->wants_grad && j < s->size; j += 4096) {
            long n = s->size - j < 4096 ? s->size - j : 4096;
            squares->sum[i] += kernel_dot(n, s->grad + j, s->grad + j);
        }
    }
}

double gradient_norm(const Params *params)
{
    double squares[params->count + 1], sum = 0;
    parallel_for(params->count, 1, square_gradients, &(Squares){params, squares});
    for (int i = 0; i < params->count; i++)
        sum += squares[i];
    return sqrt(sum);
}

const char *gradient_first_nan(const Params *params)
{
    for (int i = 0; i < params->count; i++) {
        const Storage *s = params->item[i].tensor->storage;
        for (long j = 0; s->wants_grad && j < s->size; j++)
            if (!isfinite(s->grad[j]))
                return params->item[i].name;
    }
    return NULL;
}

double clip_factor(double norm, double most)
{
    return most > 0 && norm > most ? most / (norm + 1e-6) : 1;
}

double cosine_schedule(long step, long steps, long warmup, double peak, double least)
{
    if (step < warmup)
        return peak * (double)(step + 1) / (double)(warmup + 1);
    if (step >= steps)
        return least;
    double done = (double)(step - warmup) / (double)(steps - warmup);
    return least + 0.5 * (1 + cos(3.14159265358979323846 * done)) * (peak - least);
}

double inverse_sqrt_schedule(long step, long warmup, double peak)
{
    double through = (double)(step + 1) / (double)(warmup > 0 ? warmup : 1);
    return peak * (through < 1 ? through : 1 / sqrt(through));
}
