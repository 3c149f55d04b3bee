/* text.c - a text as a row of tokens: its splits, and batches from it. */
#include "text.h"
#include "random.h"

#include <stdlib.h>

Corpus corpus_of(int *token, long size)
{
    return (Corpus){token, size, (long)(0.9 * (double)size)};
}

void corpus_free(Corpus *corpus)
{
    free(corpus->token);
    corpus->token = NULL;
}

bool corpus_fits(const Corpus *corpus, int context, const char *path, Error *error)
{
    if (context < 2)
        return fail(error,
                    "a context of %d leaves nothing to predict in a window, whose first "
                    "token is given; use a larger --context",
                    context);
    if (corpus->train < context + 1 || corpus->size - corpus->train < 2)
        return fail(
            error,
            "%s is too short: its %ld tokens, the last tenth of them kept for "
            "validation, do not fill a context of %d; use a longer text or a smaller "
            "--context",
            path, corpus->size, context);
    return true;
}

void corpus_batch(const Corpus *corpus, uint64_t seed, long step, Ids *tokens, Ids *targets)
{
    int B = tokens->shape[0], T = tokens->shape[1];
    uint64_t stream = random_stream("batch");
    for (int b = 0; b < B; b++) {
        uint64_t draw = (uint64_t)step * (uint64_t)B + (uint64_t)b;
        long start = random_below(seed, stream, draw, (uint64_t)(corpus->train - T));
        for (int t = 0; t < T; t++) {
            tokens->at[b * T + t] = corpus->token[start + t];
            targets->at[b * T + t] = corpus->token[start + t + 1];
        }
    }
}

long corpus_windows(const Corpus *corpus, long from, long to, long first, Ids *tokens,
                    Ids *targets)
{
    int B = tokens->shape[0], T = tokens->shape[1];
    long predictions = 0;
    for (int b = 0; b < B; b++) {
        long start = from + (first + b) * T;
        for (int t = 0; t < T; t++) {
            bool predicts = t + 1 < T && start + t + 1 < to;
            tokens->at[b * T + t] = start + t < to ? corpus->token[start + t] : 0;
            targets->at[b * T + t] = predicts ? corpus->token[start + t + 1] : -1;
            predictions += predicts;
        }
    }
    return predictions;
}
