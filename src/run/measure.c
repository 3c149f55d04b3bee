/* measure.c - the loss of a language model: of a batch, to learn from, and of a text. */
#include "run/language.h"
#include "tensor/ops.h"

#include <math.h>

enum {
    EVALUATION_TOKENS = 512, /* at a time */
    SYNTHETIC_ROWS = 512,    /* of the validation split of a synthetic task */
    OVERLAP = 8              /* windows slide on by one part in so many */
};

/* ---- A batch to learn from ---- */

/* Fills a batch; returns how many tokens the carried state stands for. */
static long next_batch(Language *l, long step, Ids *tokens, Ids *targets)
{
    uint64_t seed = (uint64_t)l->run.seed;
    if (l->carried)
        return corpus_continue(&l->corpus, seed, step, tokens, targets);
    if (l->synthetic)
        synthetic_batch(language_synthetic(l), SYNTHETIC_TRAINING, seed, step, tokens,
                        targets);
    else
        corpus_batch(&l->corpus, seed, step, tokens, targets);
    return 0;
}

Tensor *next_token_loss(void *self, Tape *tape, long step)
{
    Language *l = self;
    const Model *m = l->run.model;
    Ids *tokens = ids_new(tape, l->run.batch, *l->context);
    Ids *targets = ids_new(tape, l->run.batch, *l->context);
    long past = next_batch(l, step, tokens, targets);
    Tensor *x = m->forward(m, tokens, l->carried, (int)past);
    Tensor *loss = t_cross_entropy(m->head(m, x), targets);
    return m->extra_loss ? t_add(loss, m->extra_loss(m, tape)) : loss;
}

/* ---- Measuring ---- */

/* What is being measured. */
typedef struct {
    double loss; /* the sum of all predictions' */
    long predictions, right;
} Measure;

static void add_predictions(Measure *measure, Tensor *logits, const Ids *targets)
{
    long predictions = 0;
    int V = logits->shape[2];
    for (long i = 0; i < targets->size; i++) {
        if (targets->at[i] < 0)
            continue;
        const float *row = logits->data + i * V;
        int best = 0;
        for (int v = 1; v < V; v++)
            best = row[v] > row[best] ? v : best;
        measure->right += best == targets->at[i];
        predictions++;
    }
    measure->loss += (double)predictions * (double)t_item(t_cross_entropy(logits, targets));
    measure->predictions += predictions;
}

/* B windows of T tokens, on the tape that measures. */
static void new_windows(Language *l, int B, Ids **tokens, Ids **targets)
{
    tape_reset(l->run.inference, 0);
    *tokens = ids_new(l->run.inference, B, *l->context);
    *targets = ids_new(l->run.inference, B, *l->context);
}

static int windows_at_once(const Language *l)
{
    return EVALUATION_TOKENS / *l->context > 1 ? EVALUATION_TOKENS / *l->context : 1;
}

/* Tokens from .. to - 1, each window alone. */
static Measure measure_windows(Language *l, long from, long to)
{
    Measure measure = {0, 0, 0};
    int B = windows_at_once(l);
    for (long first = 0;; first += B) {
        Ids *tokens, *targets;
        new_windows(l, B, &tokens, &targets);
        if (corpus_windows(&l->corpus, from, to, first, tokens, targets) == 0)
            return measure;
        add_predictions(&measure, model_logits(l->run.model, tokens, NULL, 0), targets);
    }
}

/* The same with as much past as the model can use: a recurrent model carries its state from
 * window to window, and any other sees windows that overlap. */
static Measure measure_with_past(Language *l, long from, long to)
{
    Measure measure = {0, 0, 0};
    const Model *m = l->run.model;
    bool recurrent = m->context == 0;
    Memory *memory = recurrent ? m->memory_new(m, 1) : NULL;
    int T = *l->context, B = recurrent ? 1 : windows_at_once(l);
    int stride = recurrent ? T : (T + OVERLAP - 1) / OVERLAP;
    for (long first = 0;; first += B) {
        Ids *tokens, *targets;
        new_windows(l, B, &tokens, &targets);
        if (corpus_slide(&l->corpus, from, to, stride, first, tokens, targets) == 0)
            break;
        int past = recurrent ? (int)(first * T) : 0;
        add_predictions(&measure, model_logits(m, tokens, memory, past), targets);
    }
    memory_free(memory);
    return measure;
}

static Measure measure_synthetic(Language *l)
{
    Measure measure = {0, 0, 0};
    int B = 1;
    while (2 * B <= windows_at_once(l)) /* that divides the number of rows */
        B *= 2;
    for (long row = 0; row < SYNTHETIC_ROWS; row += B) {
        Ids *tokens, *targets;
        new_windows(l, B, &tokens, &targets);
        synthetic_batch(language_synthetic(l), SYNTHETIC_VALIDATION, 0, row / B, tokens,
                        targets);
        add_predictions(&measure, model_logits(l->run.model, tokens, NULL, 0), targets);
    }
    return measure;
}

double language_validate(void *self)
{
    Language *l = self;
    Measure measure = l->synthetic ? measure_synthetic(l)
                                   : measure_windows(l, l->corpus.train, l->corpus.size);
    double n = (double)measure.predictions;
    l->accuracy = (double)measure.right / n;
    return measure.loss / n;
}

/* ---- The verb ---- */

/* Characters, and bytes, of tokens from .. to - 1. A character is a byte that does not
 * continue another one. */
static void count_text(const Language *l, long from, long to, double *characters,
                       double *bytes)
{
    *characters = *bytes = 0;
    for (long i = from; i < to; i++) {
        int length;
        const char *text = tokenizer_bytes(l->tokenizer, l->corpus.token[i], &length);
        *bytes += length;
        for (int j = 0; j < length; j++)
            *characters += ((unsigned char)text[j] & 0xc0) != 0x80;
    }
}

static bool eval_text(Language *l, Error *error)
{
    long from = l->split == SPLIT_VAL ? l->corpus.train : 0, to = l->corpus.size;
    Measure measure = l->past == PAST_FULL ? measure_with_past(l, from, to)
                                           : measure_windows(l, from, to);
    if (measure.predictions == 0)
        return fail(error, "%s is too short: there is nothing to predict", l->run.data);
    double loss = measure.loss / (double)measure.predictions, characters, bytes;
    count_text(l, from, to, &characters, &bytes);
    double bits = loss / log(2) *
                  (double)(to - from); /* of all tokens, at this loss each */
    printf("loss %.4f nats per token, %.4f bits per character, %.4f bits per byte, "
           "%ld tokens\n",
           loss, bits / characters, bits / bytes, measure.predictions);
    return true;
}

bool language_eval(void *self, Error *error)
{
    Language *l = self;
    if (!run_load_trained(&l->run, error) || !language_read(l, error))
        return false;
    if (!l->synthetic)
        return eval_text(l, error);
    double loss = language_validate(l);
    printf("loss %.4f nats per token, %.2f%% right\n", loss, 100 * l->accuracy);
    return true;
}
