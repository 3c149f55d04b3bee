/* text.c - a text as a row of tokens: its splits, and batches from it. */
#include "text/text.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

Corpus corpus_of(int *token, long size)
{
    return (Corpus){.token = token, .size = size, .train = (long)(0.9 * (double)size)};
}

void corpus_free(Corpus *corpus)
{
    free(corpus->token);
    free(corpus->order);
    corpus->token = corpus->order = NULL;
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

/* How many windows of T tokens fit into the training split, wherever the first begins. */
static long windows_of(const Corpus *c, int T)
{
    long windows = (c->train - T) / T;
    return windows > 0 ? windows : 1;
}

/* The order of the windows in a pass: a shuffle (Fisher and Yates) that can be looked up
 * again, because its random numbers are those of the pass. */
static void shuffle(Corpus *c, uint64_t seed, long pass, int T)
{
    if (c->order && c->seed == seed && c->pass == pass && c->length == T)
        return;
    long windows = windows_of(c, T);
    if (!c->order || c->length != T) {
        free(c->order);
        c->order = allocate((size_t)windows, sizeof *c->order);
    }
    uint64_t stream = random_stream("shuffle") + (uint64_t)pass;
    for (long i = 0; i < windows; i++) {
        long j = random_below(seed, stream, (uint64_t)i, (uint64_t)i + 1);
        c->order[i] = c->order[j];
        c->order[j] = (int)i;
    }
    c->seed = seed;
    c->pass = pass;
    c->length = T;
}

void corpus_batch(Corpus *corpus, uint64_t seed, long step, Ids *tokens, Ids *targets)
{
    int B = tokens->shape[0], T = tokens->shape[1];
    long windows = windows_of(corpus, T);
    for (int b = 0; b < B; b++) {
        long draw = step * B + b, pass = draw / windows;
        shuffle(corpus, seed, pass, T);
        /* What the windows leave over: the first may begin after so many tokens. */
        long spare = corpus->train - 1 - windows * T;
        long first = random_below(seed, random_stream("cut"), (uint64_t)pass,
                                  (uint64_t)spare + 1);
        long start = first + corpus->order[draw % windows] * (long)T;
        for (int t = 0; t < T; t++) {
            tokens->at[(long)b * T + t] = corpus->token[start + t];
            targets->at[(long)b * T + t] = corpus->token[start + t + 1];
        }
    }
}

/* Windows in a part: one less than would fit, so that the parts can be displaced. */
static long part_of(const Corpus *c, int B, int T)
{
    return ((c->train - 1) / B - T) / T;
}

bool corpus_feeds(const Corpus *corpus, int batch, int context, const char *path,
                  Error *error)
{
    return part_of(corpus, batch, context) > 0 ||
           fail(error,
                "%s is too short: its %ld tokens, cut into a --batch of %d parts, leave "
                "less than two windows of %d each; use a longer text or a smaller --batch",
                path, corpus->size, batch, context);
}

long corpus_continue(const Corpus *corpus, uint64_t seed, long step, Ids *tokens,
                     Ids *targets)
{
    int B = tokens->shape[0], T = tokens->shape[1];
    long windows = part_of(corpus, B, T), part = (corpus->train - 1) / B;
    long first = random_below(seed, random_stream("part"), (uint64_t)(step / windows),
                              (uint64_t)T);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            long at = b * part + first + step % windows * T + t;
            tokens->at[(long)b * T + t] = corpus->token[at];
            targets->at[(long)b * T + t] = corpus->token[at + 1];
        }
    return step % windows * T;
}

/* Fills row b with the window that begins at `start` of a split that ends before `to`. The
 * targets are those of places begin .. end - 1 where there is something to predict. */
static long fill_window(const Corpus *c, long to, long start, int begin, int end, int b,
                        Ids *tokens, Ids *targets)
{
    int T = tokens->shape[1];
    long row = (long)b * T, predictions = 0;
    for (int t = 0; t < T; t++) {
        bool predicts = t >= begin && t < end && start + t + 1 < to;
        tokens->at[row + t] = start + t < to ? c->token[start + t] : 0;
        targets->at[row + t] = predicts ? c->token[start + t + 1] : -1;
        predictions += predicts;
    }
    return predictions;
}

long corpus_windows(const Corpus *corpus, long from, long to, long first, Ids *tokens,
                    Ids *targets)
{
    int B = tokens->shape[0], T = tokens->shape[1];
    long predictions = 0;
    for (int b = 0; b < B; b++)
        predictions += fill_window(corpus, to, from + (first + b) * T, 0, T - 1, b, tokens,
                                   targets);
    return predictions;
}

long corpus_slide(const Corpus *corpus, long from, long to, int stride, long first,
                  Ids *tokens, Ids *targets)
{
    int B = tokens->shape[0], T = tokens->shape[1];
    if (stride < 1 || stride > T)
        misuse("corpus_slide: a stride of %d, windows of %d tokens", stride, T);
    long predictions = 0;
    for (int b = 0; b < B; b++) {
        long window = first + b;
        predictions += fill_window(corpus, to, from + window * stride,
                                   window == 0 ? 0 : T - stride, T, b, tokens, targets);
    }
    return predictions;
}

double corpus_counting_loss(const Corpus *c, int V, bool pairs)
{
    if (pairs && V > MOST_COUNTED)
        return NAN;
    size_t rows = pairs ? (size_t)V : 1;
    double *count = allocate(rows * (size_t)V, sizeof *count), loss = 0;
    double *all = allocate(rows, sizeof *all);
    for (long i = 1; i < c->size; i++) {
        int row = pairs ? c->token[i - 1] : 0;
        double *one = &count[(long)row * V + c->token[i]];
        if (i < c->train) {
            *one += 1;
            all[row] += 1;
        } else if (i > c->train)
            loss -= log((*one + 1) / (all[row] + V));
    }
    free(count);
    free(all);
    return loss / (double)(c->size - c->train - 1);
}
