/* bigram.h - the first language model: which character follows which. */
#ifndef LINEAGE_BIGRAM_H
#define LINEAGE_BIGRAM_H

#include "nn/nn.h"
#include "text/text.h"

/* Loss, in nats per character, of predicting each character of tokens from .. to - 1 by the
 * one before it, where the probability that j follows i is proportional to count[i * V +
 * j]. Infinite if something comes that has no count. */
double counts_loss(const double *count, int V, const int *token, long from, long to);

/* What the rows of a table (V, V) add up to, (V); to be freed. */
double *row_sums(const double *count, int V);

/* How often j follows i in the training split, plus `extra` for each pair, (V, V); to be
 * freed. With V rows that are all alike instead if `unigram`: how often j comes at all. */
double *count_pairs(const Corpus *corpus, int V, double extra, bool unigram);

/* The same table, found by gradient descent: row i of a parameter (V, V) holds the logits
 * of what follows i. One step over the whole training split; returns the loss before it. */
typedef struct {
    Params *params;
    Tensor *logits;
} Bigram;

Bigram bigram_new(int V);
void bigram_free(Bigram *bigram);
Tensor *bigram_loss(const Bigram *bigram, Tape *tape, const Corpus *corpus);

/* What follows a character: the one that `chance`, a number in [0, 1), picks among all, by
 * their probabilities. */
int bigram_next(const Bigram *bigram, int token, double chance);

#endif
