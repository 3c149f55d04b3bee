/* sampler.h - from logits to the next token. */
#ifndef LINEAGE_SAMPLER_H
#define LINEAGE_SAMPLER_H

/* Temperature 0 always takes the most probable token (the smallest of equals). Otherwise
 * the logits are divided by the temperature; then only the top_k most probable tokens stay
 * (0: all); then only the fewest, most probable first, that together reach the probability
 * top_p (1: all; Holtzman et al. 2020). Of equals the smaller token is first. */
typedef struct {
    double temperature;
    int top_k;
    double top_p;
} SamplerSettings;

typedef struct Sampler Sampler;

/* For vocabularies of V tokens; allocates what sampling needs once and for all. */
Sampler *sampler_new(int V, SamplerSettings settings);
void sampler_free(Sampler *sampler);

/* The token that `chance`, a number in [0, 1), picks: the first at which the probabilities,
 * added up, exceed it. They are added most probable first, or, where neither top_k nor
 * top_p takes anything away, in the order of the tokens. The logits, (V), are no NaN;
 * -INFINITY rules a token out. */
int sampler_pick(Sampler *sampler, const float *logits, double chance);

#endif
