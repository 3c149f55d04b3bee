/* optim.c - from gradients to better parameters: AdamW, clipping, schedules. */
#include "optim.h"
#include "kernels.h"
#include "parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

AdamW *adamw_new(Params *params, double beta1, double beta2, double weight_decay)
{
    AdamW *adam = allocate(1, sizeof *adam);
    *adam = (AdamW){params, params_new(0), 0, beta1, beta2, 1e-8, weight_decay};
    for (int i = 0; i < params->count; i++) {
        const Param *p = &params->item[i];
        for (const char *kind = "mv"; *kind; kind++) {
            char name[208];
            snprintf(name, sizeof name, "%c.%s", *kind, p->name);
            state_of(scope(adam->moments), name, p->tensor->rank, p->tensor->shape);
        }
    }
    return adam;
}

void adamw_free(AdamW *adam)
{
    if (!adam)
        return;
    params_free(adam->moments);
    free(adam);
}

/* One parameter in the making of a step. */
typedef struct {
    float *p, *g, *m, *v;
    float beta1, beta2, factor;
    float rest1, rest2; /* 1 - beta; as floats, 1 - 0.999 would be off by 2e-5 */
    float keep;         /* what weight decay leaves of the parameter */
    float size;         /* the learning rate, with the correction of the first moment */
    float root;         /* the correction of the second moment */
    float epsilon;
} Update;

/* m and v begin at 0 and are therefore too small at first, by 1 - beta^steps. */
static void update_range(long from, long to, void *context)
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

void adamw_step(AdamW *adam, double learning_rate, double factor)
{
    adam->steps++;
    double first = 1 - pow(adam->beta1, adam->steps),
           second = 1 - pow(adam->beta2, adam->steps);
    for (int i = 0; i < adam->params->count; i++) {
        Tensor *x = adam->params->item[i].tensor;
        double decay = x->rank >= 2 ? learning_rate * adam->weight_decay : 0;
        Update u = {.p = x->data,
                    .g = x->storage->grad,
                    .m = adam->moments->item[2 * i].tensor->data,
                    .v = adam->moments->item[2 * i + 1].tensor->data,
                    .beta1 = (float)adam->beta1,
                    .beta2 = (float)adam->beta2,
                    .factor = (float)factor,
                    .rest1 = (float)(1 - adam->beta1),
                    .rest2 = (float)(1 - adam->beta2),
                    .keep = (float)(1 - decay),
                    .size = (float)(learning_rate / first),
                    .root = (float)(1 / sqrt(second)),
                    .epsilon = (float)adam->epsilon};
        parallel_for(t_size(x), 4096, update_range, &u);
        x->storage->writes++;
    }
}

double gradient_norm(const Params *params)
{
    double sum = 0;
    for (int i = 0; i < params->count; i++) {
        const Storage *s = params->item[i].tensor->storage;
        for (long j = 0; j < s->size; j += 4096) {
            long n = s->size - j < 4096 ? s->size - j : 4096;
            sum += kernel_dot(n, s->grad + j, s->grad + j);
        }
    }
    return sqrt(sum);
}

const char *gradient_first_nan(const Params *params)
{
    for (int i = 0; i < params->count; i++) {
        const Storage *s = params->item[i].tensor->storage;
        for (long j = 0; j < s->size; j++)
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
