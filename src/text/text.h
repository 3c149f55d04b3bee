/* text.h - a text as a row of tokens: its splits, and batches from it. */
#ifndef LINEAGE_TEXT_H
#define LINEAGE_TEXT_H

#include "tensor/tensor.h"

/* The first 90% of the tokens are for training, the last 10% for validation. */
typedef struct {
    int *token;
    long size, train; /* tokens train .. size - 1 are the validation split */
    int *order;       /* of the windows of this pass; see corpus_batch */
    long pass;
    int length;
    uint64_t seed;
} Corpus;

/* Takes over the tokens, which it frees in the end. */
Corpus corpus_of(int *token, long size);
void corpus_free(Corpus *corpus);

/* Fails with a sentence when a split is too short for windows of `context` tokens, or the
 * context too short for a window to hold a prediction. */
bool corpus_fits(const Corpus *corpus, int context, const char *path, Error *error);

/* B windows of T tokens from the training split, and for each token the one after it. Both
 * ids: (B, T). The split is cut into windows, beginning at a random place, and they come in
 * random order; when all have come, it is cut and shuffled anew. Which windows a step gets
 * depends on the seed and the step alone. */
void corpus_batch(Corpus *corpus, uint64_t seed, long step, Ids *tokens, Ids *targets);

/* For a model that carries a state from batch to batch: text b of every batch goes on where
 * it ended in the batch before. The training split is cut into B parts of one length, which
 * are read side by side; at their end they begin anew, a little displaced. Returns how many
 * tokens of its part each text has read before, 0 where the parts begin. */
long corpus_continue(const Corpus *corpus, uint64_t seed, long step, Ids *tokens,
                     Ids *targets);

/* Fails with a sentence when the B parts are shorter than T tokens. */
bool corpus_feeds(const Corpus *corpus, int batch, int context, const char *path,
                  Error *error);

/* Reading a split as windows of T tokens that do not overlap, each alone: every token but
 * the first of its window is predicted once. Fills windows `first`, `first` + 1, ... of the
 * tokens from .. to - 1 into (B, T), with -1 as target where there is nothing to predict
 * and token 0 after the end; returns how many predictions there are, 0 after the last. */
long corpus_windows(const Corpus *corpus, long from, long to, long first, Ids *tokens,
                    Ids *targets);

/* Reading a split with as much past as possible: every token but the first of the split is
 * predicted once. Windows of T tokens begin `stride` tokens apart, 1 <= stride <= T, and of
 * each only those predictions count that no window before it has made. With a stride of T,
 * and B = 1, that is for a model that carries its state from window to window. With a
 * smaller one it is for a model that reads each window alone: it sees T - stride + 1 tokens
 * at least, or all that there are. Otherwise as corpus_windows. */
long corpus_slide(const Corpus *corpus, long from, long to, int stride, long first,
                  Ids *tokens, Ids *targets);

/* What counting alone can do: the loss over the validation split when the probability of a
 * token is how often it came in the training split, or, with `pairs`, how often it came
 * there after the token before it. One is added to every count, so that what never came has
 * a probability, too (add-one smoothing, Laplace). V is the vocabulary, at most
 * MOST_COUNTED with pairs; NaN beyond that. */
enum { MOST_COUNTED = 4096 };
double corpus_counting_loss(const Corpus *corpus, int V, bool pairs);

#endif
