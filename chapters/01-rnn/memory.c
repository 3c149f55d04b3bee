/* memory.c - how far back a cell can learn to look.
 *
 * The task: a text begins with one of eight symbols. Blanks follow, and then a sign that asks
 * for the symbol. Nothing is difficult about it but the lag: to learn what must be kept, the
 * gradient has to find its way back from the question to the symbol. */
#include "memory.h"
#include "base/files.h"
#include "nn/optim.h"
#include "plot/plot.h"
#include "base/random.h"
#include "rnn.h"

#include <math.h>
#include <stdio.h>

enum { SYMBOLS = 8, BLANK = SYMBOLS, QUESTION, VOCABULARY };
enum { WIDTH = 64, BATCH = 32, TESTS = 8 /* batches */, CELLS = 3 };

static const int lags[] = {5, 10, 20, 40, 80, 160};
enum {
    LAGS = sizeof lags / sizeof lags[0],
    SHOWN = 2, /* gradients are drawn of the models that learned this one of the lags, */
    REACH = 80 /* over so many positions */
};

/* A batch of texts, (B, lag + 1), and the symbols that they ask for, (B). */
static void draw_texts(uint64_t seed, long number, Ids *tokens, Ids *symbols)
{
    int T = tokens->shape[1];
    for (int b = 0; b < BATCH; b++) {
        int *text = &tokens->at[b * T];
        symbols->at[b] = (int)(random_bits(seed, (uint64_t)number, (uint64_t)b) % SYMBOLS);
        text[0] = symbols->at[b];
        for (int t = 1; t < T; t++)
            text[t] = t == T - 1 ? QUESTION : BLANK;
    }
}

/* The texts of one batch gone through: their embeddings (T, B, E), the logits of the answer
 * (B, V) and its loss. */
typedef struct {
    Tensor *embedded, *logits, *loss;
    Ids *symbols;
} Recall;

static Recall recall(const Rnn *rnn, Tape *tape, int lag, uint64_t seed, long number)
{
    int T = lag + 1;
    Recall r;
    Ids *tokens = ids_new(tape, BATCH, T);
    r.symbols = ids_new(tape, BATCH);
    draw_texts(seed, number, tokens, r.symbols);
    r.embedded = embed(rnn->embedding, tokens);
    Tensor *h = stack_forward(&rnn->rnn, r.embedded, NULL, 0);
    r.logits = linear(&rnn->decoder, t_select(h, 0, T - 1));
    r.loss = t_cross_entropy(r.logits, r.symbols);
    return r;
}

static Rnn *new_model(CellKind cell, double forget_bias, uint64_t seed)
{
    RnnConfig config = {.vocabulary = VOCABULARY,
                        .cell = (int)cell,
                        .layers = 1,
                        .width = WIDTH,
                        .forget_bias = forget_bias};
    return rnn_new(config, params_new(seed));
}

/* Every cell is trained for as long, at the same rate, on the same texts. */
static void train_to_recall(Rnn *rnn, int lag, long steps, uint64_t seed)
{
    Tape *tape = tape_new(TAPE_TRAINING, seed);
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, rnn->model.params, 0.9, 0.99, 0);
    for (long step = 0; step < steps; step++) {
        tape_reset(tape, step);
        backward(recall(rnn, tape, lag, seed, step).loss);
        double factor = clip_factor(gradient_norm(rnn->model.params), 1);
        optimizer_step(adam, cosine_schedule(step, steps, 20, 5e-3, 0), factor);
    }
    optimizer_free(adam);
    tape_free(tape);
}

/* How many of all answers to new texts are right; `first` is the number of the first batch
 * of them. */
static double share_recalled(const Rnn *rnn, int lag, uint64_t seed, long first)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    long right = 0;
    for (int test = 0; test < TESTS; test++) {
        tape_reset(tape, 0);
        Recall r = recall(rnn, tape, lag, seed, first + test);
        for (int b = 0; b < BATCH; b++) {
            const float *logits = &r.logits->data[b * VOCABULARY];
            int best = 0;
            for (int v = 1; v < VOCABULARY; v++)
                best = logits[v] > logits[best] ? v : best;
            right += best == r.symbols->at[b];
        }
    }
    tape_free(tape);
    return (double)right / (TESTS * BATCH);
}

/* The length of the gradient with respect to the input k positions before the question, for
 * k = 0 .. REACH: the mean over a batch. The loss is that of a wrong answer, because one
 * that is right and certain has no gradient left to measure. `number` is that of the batch. */
static void measure_gradients(const Rnn *rnn, uint64_t seed, long number, double *length)
{
    Tape *tape = tape_new(TAPE_PROBE, 0);
    Recall r = recall(rnn, tape, REACH, seed, number);
    for (int b = 0; b < BATCH; b++)
        r.symbols->at[b] = (r.symbols->at[b] + 1) % SYMBOLS;
    t_keep_grad(r.embedded);
    backward(t_cross_entropy(r.logits, r.symbols));
    const float *gradient = t_grad(r.embedded);
    for (int k = 0; k <= REACH; k++) {
        length[k] = 0;
        for (int b = 0; b < BATCH; b++) {
            const float *at = gradient + ((REACH - k) * BATCH + b) * WIDTH;
            double square = 0; /* of numbers so small that no float would hold it */
            for (int i = 0; i < WIDTH; i++)
                square += (double)at[i] * (double)at[i];
            length[k] += sqrt(square);
        }
    }
    tape_free(tape);
}

/* What is measured, by cell. */
typedef struct {
    double recalled[CELLS][LAGS];
    double fresh[CELLS][REACH + 1], trained[CELLS][REACH + 1]; /* gradients */
} Results;

static void try_cell(CellKind cell, double forget_bias, long steps, uint64_t seed,
                     Results *results)
{
    printf("  %-6s", cell_name(cell));
    for (int i = 0; i < LAGS; i++) {
        Rnn *rnn = new_model(cell, forget_bias, seed);
        if (i == SHOWN)
            measure_gradients(rnn, seed, steps, results->fresh[cell]);
        train_to_recall(rnn, lags[i], steps, seed);
        results->recalled[cell][i] = share_recalled(rnn, lags[i], seed, steps);
        if (i == SHOWN)
            measure_gradients(rnn, seed, steps, results->trained[cell]);
        rnn->model.free(&rnn->model);
        printf(" %6.0f%%", 100 * results->recalled[cell][i]);
        fflush(stdout);
    }
    int solved = 0;
    for (int i = 0; i < LAGS && results->recalled[cell][i] > 0.99; i++)
        solved = lags[i];
    printf(" %10d\n", solved);
}

static bool draw(const char *out, const Results *results, Error *error)
{
    double lag[LAGS];
    PlotLine recalled[CELLS], gradients[2 * CELLS];
    for (int i = 0; i < LAGS; i++)
        lag[i] = lags[i];
    for (int c = 0; c < CELLS; c++) {
        const char *name = cell_name((CellKind)c);
        recalled[c] = (PlotLine){.name = name,
                                 .x = lag,
                                 .y = results->recalled[c],
                                 .count = LAGS,
                                 .markers = true};
        gradients[2 * c] = (PlotLine){
            .y = results->fresh[c], .count = REACH + 1, .dashed = true, .faint = true};
        gradients[2 * c + 1] = (PlotLine){
            .name = name, .y = results->trained[c], .count = REACH + 1};
    }
    PlotReference chance = {"guessing", 1.0 / SYMBOLS};
    Chart recall_chart = {.title = "One symbol, recalled after a lag",
                          .x_label = "lag",
                          .y_label = "share recalled",
                          .log_x = true,
                          .x_ticks = lag,
                          .x_tick_count = LAGS,
                          .lines = recalled,
                          .count = CELLS,
                          .references = &chance,
                          .reference_count = 1};
    Chart gradient_chart = {
        .title = "How much of the gradient arrives (pale: before training)",
        .x_label = "positions back",
        .y_label = "length of the gradient",
        .log_y = true,
        .lines = gradients,
        .count = 2 * CELLS};
    char path[1100];
    snprintf(path, sizeof path, "%s/recall.svg", out);
    if (!plot_lines(path, &recall_chart, error))
        return false;
    snprintf(path, sizeof path, "%s/gradients.svg", out);
    return plot_lines(path, &gradient_chart, error);
}

bool memory_experiment(const char *out, double forget_bias, long steps, uint64_t seed,
                       Error *error)
{
    Results results;
    if (!folder_make(out, error))
        return false;
    printf("One of %d symbols is to be recalled after a lag. A model of %d units learns it "
           "in\n"
           "%ld steps of %d texts, once for every lag. Guessing is right in %.1f%%.\n\n"
           "  lag   ",
           SYMBOLS, WIDTH, steps, BATCH, 100.0 / SYMBOLS);
    for (int i = 0; i < LAGS; i++)
        printf(" %6d ", lags[i]);
    printf("   solved up to\n");
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++)
        try_cell(cell, forget_bias, steps, seed, &results);
    if (!draw(out, &results, error))
        return false;
    printf("\n%s/recall.svg and %s/gradients.svg show it.\n", out, out);
    return true;
}
