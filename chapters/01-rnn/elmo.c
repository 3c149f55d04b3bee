/* elmo.c - vectors of a word that depend on what stands around it.
 *
 * Peters and others: "Deep contextualized word representations" (2018), in small. Two
 * language models share their embeddings and their decoder; one reads a text forward, the
 * other backward. What both have in mind at a word, side by side, is the vector of that
 * word in that place. Different here: a word is looked up whole instead of being spelled,
 * and the topmost layer alone makes the vector. */
#include "elmo.h"
#include "base/files.h"
#include "tensor/kernels.h"
#include "nn/optim.h"
#include "base/random.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 300, BATCH = 32, WINDOW = 32, AROUND = 4, NEAREST = 5 };

/* ---- A text as words ---- */

/* The words of a text in lower case, its punctuation marks among them, each with a number:
 * its place in the sorted list of those that are at least twice in the text. All others
 * share number 0. */
typedef struct {
    char *letters;             /* all words one after another, each ended by a zero */
    const char **word, **list; /* the text; the vocabulary, from 1 on */
    int *number, count, vocabulary;
} Words;

static bool belongs_to_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 128 || c == '\'';
}

static void split(Words *w, const char *text, long size)
{
    char *to = w->letters;
    for (long i = 0; i < size;) {
        if (isspace((unsigned char)text[i])) {
            i++;
            continue;
        }
        w->word[w->count++] = to;
        do
            *to++ = (char)tolower((unsigned char)text[i++]);
        while (i < size && belongs_to_word(text[i - 1]) && belongs_to_word(text[i]));
        *to++ = 0;
    }
}

static int by_letters(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The number of a word, 0 if it is none of the list. */
static int number_of(const Words *w, const char *word)
{
    const char **found = bsearch(&word, w->list + 1, (size_t)w->vocabulary - 1,
                                 sizeof *w->list, by_letters);
    return found ? (int)(found - w->list) : 0;
}

static void make_list(Words *w)
{
    w->list[0] = "?";
    memcpy(w->list + 1, w->word, (size_t)w->count * sizeof *w->word);
    qsort(w->list + 1, (size_t)w->count, sizeof *w->list, by_letters);
    w->vocabulary = 1;
    for (int i = 1, n; i <= w->count; i += n) {
        for (n = 1; i + n <= w->count && strcmp(w->list[i], w->list[i + n]) == 0; n++)
            ;
        if (n > 1)
            w->list[w->vocabulary++] = w->list[i];
    }
    for (int i = 0; i < w->count; i++)
        w->number[i] = number_of(w, w->word[i]);
}

static bool words_read(Words *w, const char *path, Error *error)
{
    long size;
    char *text = file_read(path, &size, error);
    if (!text)
        return fail_after(error, "; give a text with --data FILE");
    *w = (Words){.letters = allocate(2 * (size_t)size + 1, 1)};
    w->word = allocate((size_t)size + 1, sizeof *w->word);
    w->list = allocate((size_t)size + 2, sizeof *w->list);
    w->number = allocate((size_t)size + 1, sizeof *w->number);
    split(w, text, size);
    make_list(w);
    free(text);
    return w->count > 2 * WINDOW || fail(error,
                                         "%s: %d words are too few, at least %d are "
                                         "needed; give a longer text with --data FILE",
                                         path, w->count, 2 * WINDOW + 1);
}

static void words_free(Words *w)
{
    free(w->letters);
    free(w->word);
    free(w->list);
    free(w->number);
}

/* ---- Two models ---- */

enum { FORWARD, BACKWARD };

typedef struct {
    Params *params;
    Tensor *embedding;
    Stack reader[2]; /* FORWARD and BACKWARD */
    Linear decoder;
    int width;
} Elmo;

static Elmo elmo_new(RnnConfig config, int V, uint64_t seed)
{
    int C = config.width, E = config.embedding ? config.embedding : C;
    Elmo m = {.params = params_new(seed), .width = C};
    Scope top = scope(m.params);
    m.embedding = param(under(top, "embedding"), "weight", V, E, normal(1));
    m.reader[FORWARD] = stack_new(under(top, "forward"), &config, E);
    m.reader[BACKWARD] = stack_new(under(top, "backward"), &config, E);
    m.decoder = linear_new(under(top, "decoder"), C, V, uniform(1 / sqrt(C)));
    return m;
}

static void elmo_free(Elmo *m)
{
    params_free(m->params);
    stack_free(&m->reader[FORWARD]);
    stack_free(&m->reader[BACKWARD]);
}

/* The loss of one reader on a batch of windows: number `step` of the random draws. Backward
 * is forward in a text that stands in reverse. */
static Tensor *loss_of(const Elmo *m, int way, const Words *w, Tape *tape, uint64_t seed,
                       long step)
{
    Ids *tokens = ids_new(tape, BATCH, WINDOW), *targets = ids_new(tape, BATCH, WINDOW);
    for (int b = 0; b < BATCH; b++) {
        const int *from = w->number + random_below(seed, (uint64_t)step, (uint64_t)b,
                                                   (uint64_t)(w->count - WINDOW));
        for (int t = 0; t < WINDOW; t++) {
            tokens->at[b * WINDOW + t] = way == FORWARD ? from[t] : from[WINDOW - t];
            targets->at[b * WINDOW + t] = way == FORWARD ? from[t + 1]
                                                         : from[WINDOW - t - 1];
        }
    }
    Tensor *h = stack_forward(&m->reader[way], embed(m->embedding, tokens), NULL, 0);
    return t_cross_entropy(t_permute(linear(&m->decoder, h), 1, 0, 2), targets);
}

static void elmo_train(Elmo *m, const Words *w, uint64_t seed)
{
    Tape *tape = tape_new(TAPE_TRAINING, seed);
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, m->params, 0.9, 0.99, 0.1);
    for (long step = 0; step < STEPS; step++) {
        tape_reset(tape, step);
        Tensor *forward = loss_of(m, FORWARD, w, tape, seed, step);
        Tensor *backwards = loss_of(m, BACKWARD, w, tape, seed, step);
        backward(t_add(forward, backwards));
        if (step % 50 == 0 || step == STEPS - 1) {
            printf("  step %4ld   loss forward %.3f   backward %.3f\n", step,
                   (double)t_item(forward), (double)t_item(backwards));
            fflush(stdout);
        }
        double factor = clip_factor(gradient_norm(m->params), 1);
        optimizer_step(adam, cosine_schedule(step, STEPS, 20, 3e-3, 0), factor);
    }
    optimizer_free(adam);
    tape_free(tape);
}

/* Reads the whole text in one direction and writes what the reader has in mind at word i to
 * the C floats at vectors + 2 C i. */
static void read_all(const Elmo *m, int way, const Words *w, float *vectors)
{
    int C = m->width, N = w->count;
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Memory *memory = stack_memory_new(&m->reader[way], 1);
    for (int past = 0; past < N; past += WINDOW) {
        int T = N - past < WINDOW ? N - past : WINDOW;
        tape_reset(tape, 0);
        Ids *tokens = ids_new(tape, 1, T);
        for (int t = 0; t < T; t++)
            tokens->at[t] = w->number[way == FORWARD ? past + t : N - 1 - past - t];
        Tensor *h = stack_forward(&m->reader[way], embed(m->embedding, tokens), memory,
                                  past);
        for (int t = 0; t < T; t++) {
            long i = way == FORWARD ? past + t : N - 1 - past - t;
            memcpy(vectors + 2 * C * i, h->data + (long)t * C, (size_t)C * sizeof *vectors);
        }
    }
    memory_free(memory);
    tape_free(tape);
}

/* A vector of 2 C numbers for each word of the text, each of length 1: then a scalar product
 * is a cosine. The caller frees it. */
static float *contextual_vectors(const Elmo *m, const Words *w)
{
    int C = m->width;
    float *vectors = allocate((size_t)w->count * 2 * (size_t)C, sizeof *vectors);
    read_all(m, FORWARD, w, vectors);
    read_all(m, BACKWARD, w, vectors + C);
    for (long i = 0; i < w->count; i++) {
        float *x = vectors + 2 * C * i, length = sqrtf(kernel_dot(2 * C, x, x));
        for (int j = 0; j < 2 * C && length > 0; j++)
            x[j] /= length;
    }
    return vectors;
}

/* ---- Looking at them ---- */

typedef struct {
    const Words *words;
    const float *vectors;
    int size; /* of a vector: 2 C */
} View;

static double cosine(const View *v, long i, long j)
{
    return (double)kernel_dot(v->size, v->vectors + i * v->size, v->vectors + j * v->size);
}

static void print_place(const View *v, int i)
{
    const Words *w = v->words;
    for (int j = i - AROUND; j <= i + AROUND; j++)
        if (j >= 0 && j < w->count)
            printf(j == i ? " [%s]" : " %s", w->word[j]);
    putchar('\n');
}

/* Of all pairs of places where the word stands, the most and the least alike; returns one
 * place of each pair. */
static void show_pairs(const View *v, int number, int place[2])
{
    const Words *w = v->words;
    double most = -2, least = 2, sum = 0;
    int alike[2] = {0, 0}, unlike[2] = {0, 0}, count = 0;
    long pairs = 0;
    for (int i = 0; i < w->count; i++) {
        if (w->number[i] != number)
            continue;
        count++;
        for (int j = i + 1; j < w->count; j++) {
            if (w->number[j] != number)
                continue;
            double c = cosine(v, i, j);
            sum += c;
            pairs++;
            if (c > most)
                most = c, alike[0] = i, alike[1] = j;
            if (c < least)
                least = c, unlike[0] = i, unlike[1] = j;
        }
    }
    printf(
        "\n\"%s\" stands in %d places. One embedding, and as many vectors: on average a\n"
        "pair of them has a cosine of %.2f.\n\n  most alike, %.2f\n     ",
        w->list[number], count, sum / (double)pairs, most);
    print_place(v, alike[0]);
    printf("     ");
    print_place(v, alike[1]);
    printf("  least alike, %.2f\n     ", least);
    print_place(v, unlike[0]);
    printf("     ");
    print_place(v, unlike[1]);
    memcpy(place, unlike, sizeof unlike);
}

/* The places anywhere in the text whose vectors are nearest to that of place i. */
static void show_nearest(const View *v, int i)
{
    int N = v->words->count, shown[NEAREST + 1] = {i};
    printf("\n  nearest to");
    print_place(v, i);
    for (int n = 1; n <= NEAREST; n++) {
        int best = -1;
        for (int j = 0; j < N; j++) {
            bool shown_before = false;
            for (int k = 0; k < n; k++)
                shown_before |= shown[k] == j;
            if (!shown_before && (best < 0 || cosine(v, i, j) > cosine(v, i, best)))
                best = j;
        }
        shown[n] = best;
        printf("     %.2f ", cosine(v, i, best));
        print_place(v, best);
    }
}

bool elmo_experiment(RnnConfig config, const char *path, const char *word, uint64_t seed,
                     Error *error)
{
    Words w = {0};
    if (!words_read(&w, path, error)) {
        words_free(&w);
        return false;
    }
    int number = number_of(&w, word);
    if (number == 0) {
        words_free(&w);
        return fail(error, "\"%s\" is not twice in %s: ask for a word with --prompt WORD",
                    word, path);
    }
    printf("%s: %d words, %d of them twice or more.\n\n", path, w.count, w.vocabulary - 1);
    Elmo m = elmo_new(config, w.vocabulary, seed);
    elmo_train(&m, &w, seed);
    float *vectors = contextual_vectors(&m, &w);
    View view = {&w, vectors, 2 * m.width};
    int place[2];
    show_pairs(&view, number, place);
    show_nearest(&view, place[0]);
    show_nearest(&view, place[1]);
    free(vectors);
    elmo_free(&m);
    words_free(&w);
    return true;
}
