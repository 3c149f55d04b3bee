/* generator.h - text from a model that predicts the next token, one token at a time. */
#ifndef LINEAGE_GENERATOR_H
#define LINEAGE_GENERATOR_H

#include "nn/model.h"
#include "text/sampler.h"

typedef struct Generator Generator;

/* For a model that lives longer. Only the first `tokens` of its vocabulary are ever picked:
 * an embedding may have more rows than the tokenizer has tokens. */
Generator *generator_new(const Model *model, int tokens, SamplerSettings settings,
                         uint64_t seed);
void generator_free(Generator *generator);

/* Forgets the text so far; the random numbers begin anew with `seed`. */
void generator_restart(Generator *generator, uint64_t seed);

/* Reads n tokens, n > 0. When the text outgrows the context, its last half is read again
 * from position 0 and the rest is forgotten. A model without end reads on. */
void generator_read(Generator *generator, const int *tokens, int n);

/* Picks the next token and reads it. Something must have been read before. */
int generator_next(Generator *generator);

#endif
