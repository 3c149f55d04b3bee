/* sampler.c - from logits to the next token. */
#include "text/sampler.h"
#include "base/error.h"

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
static bool comes_before(Candidate a, Candidate b)
{
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/* A heap with the unlikeliest on top: candidate i sinks below those that come after it. */
static void sink(Candidate *c, int i, int n)
{
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && comes_before(c[child], c[child + 1]))
            child++;
        if (!comes_before(c[i], c[child]))
            return;
        Candidate moved = c[i];
        c[i] = c[child];
        c[child] = moved;
    }
}

/* Likeliest first. (The library's qsort allocates memory, every time.) */
static void sort(Candidate *c, int n)
{
    for (int i = n / 2 - 1; i >= 0; i--)
        sink(c, i, n);
    for (int last = n - 1; last > 0; last--) {
        Candidate unlikeliest = c[0];
        c[0] = c[last];
        c[last] = unlikeliest;
        sink(c, 0, last);
    }
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
        sort(s->candidate, n);
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
