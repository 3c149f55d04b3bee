/* sampler.c - from logits to the next token. */
#include "sampler.h"
#include "error.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    int token;
    float logit;
} Candidate;

struct Sampler {
    int V;
    SamplerSettings settings;
    Candidate *candidate;
    double *weight;
};

Sampler *sampler_new(int V, SamplerSettings settings)
{
    Sampler *sampler = allocate(1, sizeof *sampler);
    sampler->V = V;
    sampler->settings = settings;
    sampler->candidate = allocate((size_t)V, sizeof *sampler->candidate);
    sampler->weight = allocate((size_t)V, sizeof *sampler->weight);
    return sampler;
}

void sampler_free(Sampler *sampler)
{
    if (!sampler)
        return;
    free(sampler->candidate);
    free(sampler->weight);
    free(sampler);
}

static int likeliest(const float *logits, int V)
{
    int best = 0;
    for (int i = 1; i < V; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* Likelier before unlikelier, and of equals the smaller token. */
static int by_logit(const void *left, const void *right)
{
    const Candidate *a = left, *b = right;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return a->token - b->token;
}

/* How many of the candidates, likeliest first, reach top_p together. */
static int nucleus(const double *weight, int n, double sum, double top_p)
{
    double reached = 0;
    for (int i = 0; i < n; i++) {
        reached += weight[i];
        if (reached >= top_p * sum)
            return i + 1;
    }
    return n;
}

int sampler_pick(Sampler *s, const float *logits, double chance)
{
    const SamplerSettings *set = &s->settings;
    if (set->temperature == 0)
        return likeliest(logits, s->V);

    int n = s->V;
    for (int i = 0; i < n; i++)
        s->candidate[i] = (Candidate){i, logits[i]};
    bool sorted = (set->top_k > 0 && set->top_k < n) || set->top_p < 1;
    if (sorted)
        qsort(s->candidate, (size_t)n, sizeof *s->candidate, by_logit);
    if (set->top_k > 0 && set->top_k < n)
        n = set->top_k;

    float greatest = logits[sorted ? s->candidate[0].token : likeliest(logits, n)];
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += s->weight[i] = exp((s->candidate[i].logit - greatest) / set->temperature);
    if (set->top_p < 1) {
        n = nucleus(s->weight, n, sum, set->top_p);
        sum = 0;
        for (int i = 0; i < n; i++)
            sum += s->weight[i];
    }

    double rest = chance * sum;
    for (int i = 0; i < n - 1; i++) {
        rest -= s->weight[i];
        if (rest < 0)
            return s->candidate[i].token;
    }
    return s->candidate[n - 1].token;
}
