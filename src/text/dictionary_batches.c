/* dictionary_batches.c - pairs of a word and how it is spoken, as the model wants them. */
#include "text/dictionary_batches.h"
#include "base/random.h"

#include <stdlib.h>

Ids *dictionary_letters(Tape *tape, const Pair *pair, int B)
{
    int S = 1;
    for (int b = 0; b < B; b++)
        S = pair[b].word->letters.length > S ? pair[b].word->letters.length : S;
    Ids *source = ids_new(tape, B, S);
    for (int b = 0; b < B; b++) {
        const Sequence *letters = &pair[b].word->letters;
        for (int s = 0; s < S; s++)
            source->at[b * S + s] = s < letters->length ? letters->at[s] : 0;
    }
    return source;
}

Batch dictionary_batch_of(Tape *tape, const Pair *pair, int B)
{
    int T = 1;
    for (int b = 0; b < B; b++)
        T = pair[b].pronunciation->length + 1 > T ? pair[b].pronunciation->length + 1 : T;
    Batch batch = {dictionary_letters(tape, pair, B), ids_new(tape, B, T),
                   ids_new(tape, B, T)};
    for (int b = 0; b < B; b++) {
        const Sequence *pronunciation = pair[b].pronunciation;
        int *target = &batch.target->at[b * T], *next = &batch.targets->at[b * T];
        for (int t = 0; t < T; t++) {
            target[t] = t == 0                       ? BEGIN
                        : t <= pronunciation->length ? pronunciation->at[t - 1]
                                                     : 0;
            next[t] = t < pronunciation->length    ? pronunciation->at[t]
                      : t == pronunciation->length ? END
                                                   : -1;
        }
    }
    return batch;
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Random order, by sorting keys that hold what to sort by in their upper bits, then chance,
 * and below, in 32 bits, what is sorted: the training pairs, by their lengths first; and
 * the batches that they are cut into, by chance alone. */
static void shuffle(Dictionary *d, uint64_t seed, long pass, long batches)
{
    uint64_t stream = random_stream("shuffle") + 2 * (uint64_t)pass;
    long n = d->pairs[TRAIN];
    for (long i = 0; i < n; i++) {
        const Pair *pair = &d->pair[TRAIN][i];
        uint64_t letters = (uint64_t)pair->word->letters.length;
        uint64_t symbols = (uint64_t)pair->pronunciation->length;
        uint64_t chance = random_bits(seed, stream, (uint64_t)i) >> 12;
        d->order[i] = letters << 58 | symbols << 52 | chance << 32 | (uint64_t)i;
    }
    for (long i = 0; i < batches; i++)
        d->turn[i] = (uint64_t)random_bits(seed, stream + 1, (uint64_t)i) << 32 |
                     (uint64_t)i;
    qsort(d->order, (size_t)n, sizeof *d->order, compare_keys);
    qsort(d->turn, (size_t)batches, sizeof *d->turn, compare_keys);
    d->pass = pass;
}

Batch dictionary_batch(Dictionary *d, Tape *tape, uint64_t seed, long step, int B)
{
    long n = d->pairs[TRAIN], batches = (n + B - 1) / B, pass = step / batches;
    if (d->pass != pass)
        shuffle(d, seed, pass, batches);
    long from = (long)(uint32_t)d->turn[step % batches] * B;
    int rows = n - from < B ? (int)(n - from) : B;
    Pair pair[rows];
    for (int b = 0; b < rows; b++)
        pair[b] = d->pair[TRAIN][(uint32_t)d->order[from + b]];
    return dictionary_batch_of(tape, pair, rows);
}
