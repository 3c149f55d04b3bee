/* main.c - the program of chapter 00: from one number to tensors, step by step. */
#include "bigram.h"
#include "compare.h"
#include "base/files.h"
#include "base/random.h"
#include "mlp_tensors.h"
#include "tensor/ops.h"
#include "nn/optim.h"
#include "pictures.h"
#include "run/program.h"
#include "text/text.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *data, *out;
    int steps, hidden, bigram_steps, threads;
    long seed;
} Settings;

static const char *in_folder(const Settings *set, const char *name)
{
    static char path[1100];
    snprintf(path, sizeof path, "%s/%s", set->out, name);
    return path;
}

/* ---- 1. A number that knows its gradient ---- */

static bool run_number(void *settings, Error *error)
{
    (void)settings, (void)error;
    Scalars *tape = scalars_new();
    Scalar *a = s_new(tape, 2), *b = s_new(tape, -3);
    Scalar *c = s_add(s_mul(a, b), s_exp(a));
    s_backward(c);
    printf("1. A number that knows its gradient\n\n"
           "   c = a b + exp(a) at a = 2, b = -3:  c = %.4f\n"
           "   dc/da = b + exp(a) = %.4f,  dc/db = a = %.4f\n\n",
           c->value, a->grad, b->grad);

    scalars_rewind(tape, 0);
    a = s_new(tape, 3);
    b = s_add(a, a);
    c = s_add(b, b);
    s_backward(c);
    printf("   b = a + a, c = b + b:  dc/da = %.0f, by way of db/da and dc/db, 2 each\n\n",
           a->grad);
    scalars_free(tape);
    return true;
}

/* ---- 2. Neurons that separate two moons ---- */

/* The rate falls from 1 to 0.1: large steps first, small ones to settle. */
static double rate_at(int step, int steps)
{
    return 1 - 0.9 * step / steps;
}

static bool run_moons(void *settings, Error *error)
{
    const Settings *set = settings;
    Scalars *tape = scalars_new();
    Moons moons = moons_new((unsigned)set->seed);
    Mlp mlp = mlp_new(tape, set->hidden, (unsigned)set->seed);
    mlp_loss(&mlp, &moons);
    printf("2. Neurons that separate two moons\n\n"
           "   A network of 2, %d, %d and 1 neurons has %d parameters. Its loss over %d "
           "points\n"
           "   is a graph of %ld numbers.\n\n",
           set->hidden, set->hidden, mlp.count, POINTS, scalars_count(tape));
    scalars_rewind(tape, mlp.count);

    double start = seconds_now();
    for (int step = 0; step < set->steps; step++) {
        double loss = mlp_step(&mlp, &moons, rate_at(step, set->steps));
        if (step % (set->steps / 5 > 0 ? set->steps / 5 : 1) == 0)
            printf("   step %3d   loss %.4f   %3d of %d points on the right side\n", step,
                   loss, mlp_right(&mlp, &moons), POINTS);
    }
    double seconds = seconds_now() - start;
    printf("   step %3d   %13s  %3d of %d\n\n   %.2f ms a step\n\n", set->steps, "",
           mlp_right(&mlp, &moons), POINTS, 1e3 * seconds / set->steps);
    bool drawn = folder_make(set->out, error) &&
                 draw_moons(in_folder(set, "moons.svg"), &mlp, &moons, error);
    scalars_free(tape);
    return drawn;
}

/* ---- 3. From numbers to tensors ---- */

/* Milliseconds of a step in scalars and in tensors: the best of a few rounds. */
static void race(int hidden, const Moons *moons)
{
    Scalars *scalars = scalars_new();
    Mlp mlp = mlp_new(scalars, hidden, 1);
    TensorMlp tensors = tensor_mlp_like(&mlp);
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    double best[2] = {INFINITY, INFINITY};
    for (int round = 0; round < 5; round++) {
        double start = seconds_now();
        mlp_step(&mlp, moons, 0.01);
        best[0] = fmin(best[0], seconds_now() - start);
        start = seconds_now();
        for (int i = 0; i < 10; i++)
            tensor_mlp_step(&tensors, tape, moons, 0.01);
        best[1] = fmin(best[1], (seconds_now() - start) / 10);
    }
    printf("   %7d %12d %14.2f %14.3f %10.0f\n", hidden, mlp.count, 1e3 * best[0],
           1e3 * best[1], best[0] / best[1]);
    tape_free(tape);
    tensor_mlp_free(&tensors);
    scalars_free(scalars);
}

static bool run_tensors(void *settings, Error *error)
{
    const Settings *set = settings;
    (void)error;
    Moons moons = moons_new((unsigned)set->seed);
    printf("3. The same graph with fewer, fatter nodes\n\n"
           "   %7s %12s %14s %14s %10s\n",
           "hidden", "parameters", "scalars, ms", "tensors, ms", "ratio");
    for (int hidden = 16; hidden <= 256; hidden *= 4)
        race(hidden, &moons);
    putchar('\n');
    return true;
}

/* ---- The network in both, side by side ---- */

static bool run_verify(void *settings, Error *error)
{
    const Settings *set = settings;
    return compare_networks((unsigned)set->seed, 0) ||
           fail(error, "scalars and tensors do not agree");
}

/* ---- 4. The first language model ---- */

static bool read_corpus(const Settings *set, Corpus *corpus, Tokenizer **tokenizer,
                        Error *error)
{
    long size, count;
    char *text = file_read(set->data, &size, error);
    if (!text)
        return fail_after(error, "; give a text with --data FILE");
    *tokenizer = tokenizer_train("char", text, size, error);
    int *tokens = *tokenizer ? tokenizer_encode(*tokenizer, text, size, &count, error)
                             : NULL;
    free(text);
    if (!tokens)
        return fail_within(error, "%s", set->data);
    *corpus = corpus_of(tokens, count);
    return corpus_fits(corpus, 2, set->data, error);
}

/* Gradient descent on the table; returns the last loss. */
static double learn_bigram(const Settings *set, Bigram *bigram, const Corpus *corpus)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, bigram->params, 0.9, 0.99, 0);
    double loss = 0;
    for (int step = 0; step <= set->bigram_steps; step++) {
        tape_reset(tape, step);
        Tensor *t = bigram_loss(bigram, tape, corpus);
        loss = (double)t_item(t);
        if (step % (set->bigram_steps / 4 > 0 ? set->bigram_steps / 4 : 1) == 0)
            printf("   step %3d   loss %.4f\n", step, loss);
        backward(t);
        optimizer_step(adam, cosine_schedule(step, set->bigram_steps, 0, 0.5, 0.005), 1);
    }
    optimizer_free(adam);
    tape_free(tape);
    return loss;
}

/* Character after character, each drawn by what the table says of the one before it. */
static void write_bigram(const Bigram *bigram, const Tokenizer *tokenizer, uint64_t seed)
{
    enum { WRITTEN = 200 };
    uint64_t stream = random_stream("bigram");
    int token = 0; /* the first in order of code point: as a rule the line break */
    printf("   What it writes:\n   | ");
    for (uint64_t i = 0; i < WRITTEN; i++) {
        int length;
        token = bigram_next(bigram, token, (double)random_uniform(seed, stream, i));
        const char *bytes = tokenizer_bytes(tokenizer, token, &length);
        fwrite(bytes, 1, (size_t)length, stdout);
        if (bytes[0] == '\n')
            fputs("   | ", stdout);
    }
    fputs("\n\n", stdout);
}

static bool run_bigram(void *settings, Error *error)
{
    const Settings *set = settings;
    Corpus corpus = {0};
    Tokenizer *tokenizer = NULL;
    if (!read_corpus(set, &corpus, &tokenizer, error)) {
        tokenizer_free(tokenizer);
        corpus_free(&corpus);
        return false;
    }
    int V = tokenizer_size(tokenizer);
    double *unigram = count_pairs(&corpus, V, 1, true);
    double *pairs = count_pairs(&corpus, V, 0, false),
           *smooth = count_pairs(&corpus, V, 1, false);
    const int *token = corpus.token;
    double counted = counts_loss(pairs, V, token, 0, corpus.train);
    printf("4. The first language model: which character follows which\n\n"
           "   %s: %ld characters, %d different ones\n"
           "   knowing nothing      %.4f nats a character\n"
           "   counting characters  %.4f on the validation split\n"
           "   counting pairs       %.4f on the validation split (one is added to every "
           "count,\n"
           "                        because some pairs never came)\n"
           "   counting pairs       %.4f on the training split\n\n"
           "   The same table by gradient descent, on the training split:\n",
           set->data, corpus.size, V, log(V),
           counts_loss(unigram, V, token, corpus.train, corpus.size),
           counts_loss(smooth, V, token, corpus.train, corpus.size), counted);
    Bigram bigram = bigram_new(V);
    double learned = learn_bigram(set, &bigram, &corpus);
    printf("   counting and learning differ by %.4f\n\n", learned - counted);
    write_bigram(&bigram, tokenizer, (uint64_t)set->seed);
    bigram_free(&bigram);
    bool drawn = folder_make(set->out, error) &&
                 draw_pairs(in_folder(set, "pairs.svg"), pairs, tokenizer, error);
    free(unigram);
    free(pairs);
    free(smooth);
    tokenizer_free(tokenizer);
    corpus_free(&corpus);
    return drawn;
}

/* ---- The program ---- */

static bool run_all(void *settings, Error *error)
{
    const Settings *set = settings;
    printf("Chapter 00: from one number that knows its gradient to tensors.\n"
           "Read along in chapters/00-autograd/README.md.\n\n");
    if (!run_number(settings, error) || !run_moons(settings, error) ||
        !run_tensors(settings, error) || !run_verify(settings, error) ||
        !run_bigram(settings, error))
        return false;
    printf("In %s, moons.svg shows the line between the moons and pairs.svg the table. Try "
           "next\n"
           "  build/chapter-00 moons --hidden 3\n"
           "  build/chapter-00 bigram --data data/milton.txt\n",
           set->out);
    return true;
}

static const Verb verbs[] = {
    {"", run_all, "all of the chapter, in order"},
    {"number", run_number, "a number that knows its gradient"},
    {"moons", run_moons, "neurons that separate two moons"},
    {"tensors", run_tensors, "the same network in scalars and in tensors: a race"},
    {"verify", run_verify, "the same network in both, side by side"},
    {"bigram", run_bigram, "the first language model"}};

int main(int argc, char **argv)
{
    Settings set = {"data/shakespeare.txt", "runs/00-autograd", 100, 16, 120, 0, 1};
    Option list[] = {
        option_int("steps", &set.steps, 1, 1000000, "steps for the moons"),
        option_int("hidden", &set.hidden, 1, 4096, "neurons in each hidden layer"),
        option_int("bigram-steps", &set.bigram_steps, 1, 1000000,
                   "steps for the table of pairs"),
        option_text("data", &set.data, "FILE", "the text for the table of pairs"),
        option_text("out", &set.out, "DIR", "where pictures go"),
        option_long("seed", &set.seed, 0, 0x7fffffff, "where random numbers begin"),
        option_int("threads", &set.threads, 0, 32, "threads; 0 for one a processor"),
    };
    OptionGroup group = OPTION_GROUP("options", list);
    const Program program = {.name = "00-autograd",
                             .title = "Autograd",
                             .self = &set,
                             .verbs = verbs,
                             .verb_count = (int)(sizeof verbs / sizeof verbs[0]),
                             .groups = &group,
                             .group_count = 1,
                             .threads = &set.threads};
    return program_main(&program, argc, argv);
}
