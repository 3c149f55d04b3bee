/* dictionary_batches.h - pairs of a word and how it is spoken, as the model wants them: many at a
 * time, side by side, padded to one length. */
#ifndef LINEAGE_DICTIONARY_BATCHES_H
#define LINEAGE_DICTIONARY_BATCHES_H

#include "text/dictionary.h"
#include "tensor/tensor.h"

typedef struct {
    Ids *source;  /* (B, S) letters, padded */
    Ids *target;  /* (B, T) BEGIN and what was said so far, padded */
    Ids *targets; /* (B, T) what is to be said next, END in the end; -1 is padding */
} Batch;

/* The letters of B words, (B, S). */
Ids *dictionary_letters(Tape *tape, const Pair *pair, int B);

Batch dictionary_batch_of(Tape *tape, const Pair *pair, int B);

/* A batch of at most B training pairs, all of about the same length. All pairs come once
 * before any comes again. Which come in a step depends on seed, step and B alone; seed and
 * B stay the same for one dictionary. */
Batch dictionary_batch(Dictionary *d, Tape *tape, uint64_t seed, long step, int B);

#endif
