/* beam.c - searching for the most probable answer.
 *
 * Each word has up to `width` beams: beginnings of answers, the most probable that were
 * found so far. At every step all their continuations compete for the places. One that ends
 * is an answer, and its place is gone; when no place is left, the search is over. */
#include "beam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Sequence said;
    double logp; /* of its probability */
} Beam;

/* Beam `slot` goes on with a symbol. */
typedef struct {
    int slot, symbol;
    double logp;
} Step;

/* The search for all words of a batch. */
typedef struct {
    int words, width, symbols; /* B, K, V */
    double alpha;
    Beam *beam; /* (B, K) */
    int *live;  /* (B): how many of them there are */
    Step *step; /* (K) */
    Guess *guess;
    int *found; /* (B): how many guesses there are */
} Search;

/* Puts a step among the best `most`, which are in order; returns how many there are now. */
static int insert(Step *best, int count, int most, Step step)
{
    int place = count;
    while (place > 0 && best[place - 1].logp < step.logp)
        place--;
    count += count < most;
    for (int i = count - 1; i > place; i--)
        best[i] = best[i - 1];
    if (place < most)
        best[place] = step;
    return count;
}

/* The best continuations of all beams of word b, as many as it has places. */
static int best_steps(const Search *s, int b, const float *logp)
{
    int V = s->symbols, count = 0, places = s->width - s->found[b];
    for (int slot = 0; slot < s->live[b]; slot++) {
        const float *x = logp + (b * s->width + slot) * V;
        double before = s->beam[b * s->width + slot].logp;
        for (int v = END; v < V; v++)
            count = insert(s->step, count, places, (Step){slot, v, before + (double)x[v]});
    }
    return count;
}

static void keep_guess(Search *s, int b, const Sequence *said, double logp, int n)
{
    double penalty = pow((5 + n) / 6.0, s->alpha);
    s->guess[b * s->width + s->found[b]++] = (Guess){*said, logp / penalty};
}

/* Takes word b one step further. What each slot goes on from and its newest symbol are
 * written to rows b K, b K + 1, ... */
static void take_steps(Search *s, int b, const float *logp, Ids *from, Ids *newest)
{
    int count = best_steps(s, b, logp), first = b * s->width;
    Beam before[s->width];
    memcpy(before, &s->beam[first], sizeof before);
    s->live[b] = 0;
    for (int i = 0; i < count; i++) {
        Step step = s->step[i];
        Beam beam = {before[step.slot].said, step.logp};
        if (step.symbol == END) {
            keep_guess(s, b, &beam.said, beam.logp, beam.said.length + 1);
            continue;
        }
        int slot = first + s->live[b]++;
        beam.said.at[beam.said.length++] = (unsigned char)step.symbol;
        s->beam[slot] = beam;
        from->at[slot] = first + step.slot;
        newest->at[slot] = step.symbol;
    }
    for (int slot = first + s->live[b]; slot < first + s->width; slot++)
        from->at[slot] = slot; /* nobody there: what is computed is not looked at */
}

static bool any_live(const Search *s)
{
    for (int b = 0; b < s->words; b++)
        if (s->live[b] > 0)
            return true;
    return false;
}

/* Every word K times, since each of its beams attends to it.  (B, ...) -> (B K, ...) */
static void repeat_rows(const Transformer *m, Encoded *encoded, int K)
{
    int B = encoded->keep->shape[0], S = encoded->keep->shape[3], C = m->config.width;
    encoded->keep = t_reshape(t_expand(encoded->keep, B, K, 1, S), B * K, 1, 1, S);
    for (int l = 0; l < m->config.decoder_layers; l++) {
        Tensor *kv = t_reshape(encoded->keys_values[l], B, 1, S, 2 * C);
        encoded->keys_values[l] = t_reshape(t_expand(kv, B, K, S, 2 * C), B * K, S, 2 * C);
    }
}

static void search(Search *s, const Transformer *m, const Ids *source)
{
    Tape *tape = source->tape;
    int rows = s->words * s->width;
    Encoded encoded = transformer_encode(m, source);
    repeat_rows(m, &encoded, s->width);
    Memory *memory = transformer_memory_new(m, rows, LONGEST);
    Ids *newest = ids_new(tape, rows, 1), *from = ids_new(tape, rows);
    for (int i = 0; i < rows; i++)
        newest->at[i] = BEGIN;

    Mark mark = tape_mark(tape);
    for (int past = 0; past < LONGEST && any_live(s); past++) {
        Tensor *logits = transformer_decode(m, &encoded, newest, memory, past);
        Tensor *logp = tape_keep(tape, mark, t_log_softmax(logits));
        for (int b = 0; b < s->words; b++)
            take_steps(s, b, logp->data, from, newest);
        transformer_reorder(memory, from, past + 1);
    }
    memory_free(memory);
}

static int compare_guesses(const void *a, const void *b)
{
    const Guess *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

void beam_search(const Transformer *m, const Ids *source, int width, double alpha,
                 Guess *guess)
{
    int B = source->shape[0];
    Search s = {B, width, m->config.target_symbols, alpha, .guess = guess};
    s.beam = allocate((size_t)(B * width), sizeof *s.beam);
    s.live = allocate((size_t)B, sizeof *s.live);
    s.found = allocate((size_t)B, sizeof *s.found);
    s.step = allocate((size_t)width, sizeof *s.step);
    for (int b = 0; b < B; b++)
        s.live[b] = 1; /* that has said nothing yet */
    search(&s, m, source);

    for (int b = 0; b < B; b++) {
        for (int i = 0; i < s.live[b]; i++) { /* those that found no end */
            const Beam *beam = &s.beam[b * width + i];
            keep_guess(&s, b, &beam->said, beam->logp, beam->said.length);
        }
        while (s.found[b] < width)
            guess[b * width + s.found[b]++] = (Guess){.score = -INFINITY};
        qsort(&guess[b * width], (size_t)width, sizeof *guess, compare_guesses);
    }
    free(s.beam);
    free(s.live);
    free(s.found);
    free(s.step);
}
