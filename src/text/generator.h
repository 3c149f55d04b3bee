/* generator.h - text from a model that predicts the next token, one token at a time. */
#ifndef LINEAGE_GENERATOR_H
#define LINEAGE_GENERATOR_H

#include "text/sampler.h"
#include "tensor/tensor.h"

/* A model as generation sees it: tokens (1, T) that stand behind `past` others, which the
 * memory holds, to logits (1, T, V). */
typedef struct {
    void *model;
    int vocabulary;
    int context; /* how many tokens it can see; 0: there is no end */
    Tensor *(*forward)(void *model, const Ids *tokens, void *memory, int past);
    void *memory; /* for a batch of 1 */
} Predictor;

typedef struct Generator Generator;

Generator *generator_new(Predictor predictor, SamplerSettings settings, uint64_t seed);
void generator_free(Generator *generator);

/* Forgets the text so far; the random numbers begin anew with `seed`. */
void generator_restart(Generator *generator, uint64_t seed);

/* Reads n tokens, n > 0. When the text outgrows the context, its last half is read again
 * from position 0 and the rest is forgotten. A model without end reads on. */
void generator_read(Generator *generator, const int *tokens, int n);

/* Picks the next token and reads it. Something must have been read before. */
int generator_next(Generator *generator);

/* The logits of the next token, (V). */
const float *generator_logits(const Generator *generator);

#endif
