/* synthetic.c - tasks made of random tokens, which ask for one ability each. */
#include "text/synthetic.h"
#include "base/random.h"

#include <stdio.h>
#include <string.h>

/* Random numbers of one row, one after the other. */
typedef struct {
    uint64_t seed, stream, drawn;
} Draws;

static int below(Draws *draws, int bound)
{
    return (int)random_below(draws->seed, draws->stream, draws->drawn++, (uint64_t)bound);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* ---- The tasks ---- */

/* Tokens, beside what is drawn at random. */
enum {
    BLANK = 0,
    COPY_FIRST = 1, /* to 14 */
    COPY_SEPARATOR = 15,
    SELECTIVE_QUESTION = 1,
    SELECTIVE_FIRST = 2, /* to 15 */
    CONTENTS = 14,       /* of copy and selective */
    INDUCTION_MARK = 0,
    INDUCTION_FIRST = 1, /* to 15 */
    INDUCTION_CONTENTS = 15,
    KEYS = 26, /* from 1 on; after them as many values */
    SELECTIVE_MOST = 16
};

/* Where T is odd, the row begins with a blank. */
static void fill_copy(Draws *draws, int T, int *tokens, int *targets)
{
    int n = T / 2, start = T - 2 * n;
    tokens[start + n] = COPY_SEPARATOR;
    for (int i = 0; i < n; i++) {
        int token = COPY_FIRST + below(draws, CONTENTS);
        tokens[start + i] = token;
        targets[start + n + i] = token;
        if (i < n - 1)
            tokens[start + n + 1 + i] = token;
    }
}

/* Every set of n places is equally probable: of those that are left, n - found are
 * still to be taken, and the next is one of them with that probability. */
static void fill_selective(Draws *draws, int T, int *tokens, int *targets)
{
    int n = smaller(T / 4, SELECTIVE_MOST), places = T - n, found = 0;
    for (int t = 0; t < places; t++)
        if (below(draws, places - t) < n - found) {
            tokens[t] = SELECTIVE_FIRST + below(draws, CONTENTS);
            targets[places + found++] = tokens[t];
        }
    for (int t = places; t < T; t++)
        tokens[t] = SELECTIVE_QUESTION;
}

static void fill_induction(Draws *draws, int T, int *tokens, int *targets)
{
    int marked = below(draws, T - 2);
    for (int t = 0; t < T; t++)
        tokens[t] = INDUCTION_FIRST + below(draws, INDUCTION_CONTENTS);
    tokens[marked] = tokens[T - 1] = INDUCTION_MARK;
    targets[T - 1] = tokens[marked + 1];
}

/* Brings n of the numbers in a random order to the front (Fisher and Yates). */
static void shuffle(Draws *draws, int *numbers, int count, int n)
{
    for (int i = 0; i < n; i++) {
        int j = i + below(draws, count - i), number = numbers[j];
        numbers[j] = numbers[i];
        numbers[i] = number;
    }
}

static void fill_recall(Draws *draws, int T, int *tokens, int *targets)
{
    int key[KEYS], value[KEYS], pairs = smaller(T / 4, KEYS), asked = T - 2 * pairs;
    for (int k = 0; k < KEYS; k++) {
        key[k] = k;
        value[k] = 1 + KEYS + below(draws, KEYS);
    }
    shuffle(draws, key, KEYS, pairs);
    for (int i = 0; i < pairs; i++) {
        tokens[2 * i] = 1 + key[i];
        tokens[2 * i + 1] = value[key[i]];
    }
    shuffle(draws, key, pairs, pairs);
    for (int i = 0; i < pairs; i++) {
        tokens[asked + 2 * i] = 1 + key[i];
        tokens[asked + 2 * i + 1] = targets[asked + 2 * i] = value[key[i]];
    }
}

static const struct {
    const char *name, *characters;
    int least; /* tokens of a row */
    /* Fills a row, which is blank and asks for nothing. */
    void (*fill)(Draws *draws, int T, int *tokens, int *targets);
} tasks[] = {
    {"copy", ".abcdefghijklmn|", 2, fill_copy},
    {"selective", ".?abcdefghijklmn", 4, fill_selective},
    {"induction", "!abcdefghijklmno", 3, fill_induction},
    {"recall", ".ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 8, fill_recall},
};

/* ---- What all have in common ---- */

int synthetic_vocabulary(Synthetic task)
{
    return (int)strlen(tasks[task].characters);
}

const char *synthetic_characters(Synthetic task)
{
    return tasks[task].characters;
}

bool synthetic_fits(Synthetic task, int T, Error *error)
{
    return T >= tasks[task].least ||
           fail(error,
                "a context of %d is too short for the task \"%s\", which needs %d tokens; "
                "use a larger --context",
                T, tasks[task].name, tasks[task].least);
}

void synthetic_batch(Synthetic task, SyntheticSplit split, uint64_t seed, long number,
                     Ids *tokens, Ids *targets)
{
    int B = tokens->shape[0], T = tokens->shape[1];
    if (T < tasks[task].least)
        misuse("synthetic_batch: rows of %d tokens are too short for \"%s\"", T,
               tasks[task].name);
    bool training = split == SYNTHETIC_TRAINING;
    char name[64];
    snprintf(name, sizeof name, "synthetic %s, %s", tasks[task].name,
             training ? "training" : "validation");
    uint64_t stream = random_stream(name);
    for (int b = 0; b < B; b++) {
        long row = number * B + b, start = (long)b * T;
        Draws draws = {training ? seed : 0, stream + (uint64_t)row, 0};
        for (int t = 0; t < T; t++) {
            tokens->at[start + t] = BLANK;
            targets->at[start + t] = -1;
        }
        tasks[task].fill(&draws, T, tokens->at + start, targets->at + start);
    }
}
