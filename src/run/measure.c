/* measure.c - the loss of a language model: of a batch, to learn from, and of a text. */
#include "run/language.h"
#include "tensor/ops.h"

#include <math.h>
#include <string.h>

enum { EVALUATION_TOKENS = 512 };

Tensor *next_token_loss(void *self, Tape *tape, long step)
{
    Language *l = self;
    const Model *m = l->run.model;
    uint64_t seed = (uint64_t)l->run.seed;
    int B = l->run.batch, T = *l->context;
    Ids *tokens = ids_new(tape, B, T), *targets = ids_new(tape, B, T);
    long past = 0;
    if (l->carried)
        past = corpus_continue(&l->corpus, seed, step, tokens, targets);
    else
        corpus_batch(&l->corpus, seed, step, tokens, targets);
    Tensor *x = m->forward(m, tokens, l->carried, (int)past);
    Tensor *loss = t_cross_entropy(m->head(m, x), targets);
    return m->extra_loss ? t_add(loss, m->extra_loss(m, tape)) : loss;
}

/* A loss in the making. */
typedef struct {
    double sum;
    long predictions;
} Mean;

static void add_loss(Mean *mean, Tensor *logits, const Ids *targets, long predictions)
{
    mean->sum += (double)predictions * (double)t_item(t_cross_entropy(logits, targets));
    mean->predictions += predictions;
}

/* Over tokens from .. to - 1, each window alone. */
static Mean loss_of_windows(Language *l, long from, long to)
{
    int T = *l->context, B = EVALUATION_TOKENS / T > 1 ? EVALUATION_TOKENS / T : 1;
    Tape *tape = l->run.inference;
    Mean mean = {0, 0};
    for (long window = 0; from + window * T < to; window += B) {
        tape_reset(tape, 0);
        Ids *tokens = ids_new(tape, B, T), *targets = ids_new(tape, B, T);
        long n = corpus_windows(&l->corpus, from, to, window, tokens, targets);
        add_loss(&mean, model_logits(l->run.model, tokens, NULL, 0), targets, n);
    }
    return mean;
}

/* The same with a state that is carried from window to window: one long text. */
static Mean loss_of_one_text(Language *l, long from, long to)
{
    Tape *tape = l->run.inference;
    Memory *memory = l->run.model->memory_new(l->run.model, 1);
    Mean mean = {0, 0};
    for (long at = from; at + 1 < to; at += EVALUATION_TOKENS) {
        int T = (int)(to - 1 - at < EVALUATION_TOKENS ? to - 1 - at : EVALUATION_TOKENS);
        tape_reset(tape, 0);
        Ids *tokens = ids_new(tape, 1, T), *targets = ids_new(tape, 1, T);
        memcpy(tokens->at, l->corpus.token + at, (size_t)T * sizeof *tokens->at);
        memcpy(targets->at, l->corpus.token + at + 1, (size_t)T * sizeof *targets->at);
        add_loss(&mean, model_logits(l->run.model, tokens, memory, (int)(at - from)),
                 targets, T);
    }
    memory_free(memory);
    return mean;
}

/* The same with a window that slides on by one token: every prediction but those of the
 * first window is the last of its own. */
static Mean loss_of_sliding(Language *l, long from, long to)
{
    const Model *m = l->run.model;
    int T = *l->context, B = EVALUATION_TOKENS / T > 1 ? EVALUATION_TOKENS / T : 1;
    Tape *tape = l->run.inference;
    Mean mean = loss_of_windows(l, from, from + T < to ? from + T : to);
    for (long end = from + T; end < to; end += B) {
        int rows = (int)(to - end < B ? to - end : B);
        tape_reset(tape, 0);
        Ids *tokens = ids_new(tape, rows, T), *targets = ids_new(tape, rows, 1);
        for (int b = 0; b < rows; b++) {
            memcpy(tokens->at + (long)b * T, l->corpus.token + end + b - T,
                   (size_t)T * sizeof *tokens->at);
            targets->at[b] = l->corpus.token[end + b];
        }
        Tensor *last = t_slice(m->forward(m, tokens, NULL, 0), 1, T - 1, T);
        add_loss(&mean, m->head(m, last), targets, rows);
    }
    return mean;
}

double language_validate(void *self)
{
    Language *l = self;
    Mean mean = loss_of_windows(l, l->corpus.train, l->corpus.size);
    return mean.predictions ? mean.sum / (double)mean.predictions : NAN;
}

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

bool language_eval(void *self, Error *error)
{
    Language *l = self;
    if (!run_load_trained(&l->run, error) || !language_read(l, error))
        return false;
    long from = l->split == SPLIT_VAL ? l->corpus.train : 0, to = l->corpus.size;
    Mean mean = l->past == PAST_WINDOW       ? loss_of_windows(l, from, to)
                : l->run.model->context == 0 ? loss_of_one_text(l, from, to)
                                             : loss_of_sliding(l, from, to);
    if (mean.predictions == 0)
        return fail(error, "%s is too short: there is nothing to predict", l->run.data);
    double loss = mean.sum / (double)mean.predictions, characters, bytes;
    count_text(l, from, to, &characters, &bytes);
    double bits = loss / log(2) *
                  (double)(to - from); /* of all tokens, at this loss each */
    printf("loss %.4f nats per token, %.4f bits per character, %.4f bits per byte, "
           "%ld tokens\n",
           loss, bits / characters, bits / bytes, mean.predictions);
    return true;
}
