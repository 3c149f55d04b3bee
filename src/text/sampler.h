/* sampler.h - from logits to the next token. */
#ifndef LINEAGE_SAMPLER_H
#define LINEAGE_SAMPLER_H

/* Temperature 0 always takes the likeliest token (the first of equals). Otherwise the
 * logits are divided by the temperature; then only the top_k likeliest stay (0: all); then
 * only the likeliest that together reach the probability top_p (1: all; Holtzman et al.
 * 2020). */
typedef struct {
    double temperature;
    int top_k;
    double top_p;
} SamplerSettings;

typedef struct Sampler Sampler;

/* For vocabularies of V tokens; allocates what sampling needs once and for all. */
Sampler *sampler_new(int V, SamplerSettings settings);
void sampler_free(Sampler *sampler);

/* The token that `chance`, a number in [0, 1), picks. */
int sampler_pick(Sampler *sampler, const float *logits, double chance);

#endif
