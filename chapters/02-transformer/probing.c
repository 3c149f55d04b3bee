/* probing.c - the model's answers to given symbols, for checking. */
#include "probing.h"
#include "run/probe.h"

typedef struct {
    Ids *source, *target, *targets; /* targets: NULL, or with -1 where there is padding */
} Question;

/* What is to be said next. False with a sentence if it does not fit the target. */
static bool read_targets(Question *q, const Safetensors *in, const char *path, int symbols,
                         Error *error)
{
    q->targets = probe_ids(in, path, "targets", q->target->tape, 0, symbols - 1, error);
    if (!q->targets)
        return false;
    if (q->targets->shape[0] != q->target->shape[0] ||
        q->targets->shape[1] != q->target->shape[1])
        return fail(error, "%s: target_in and targets are not of one shape", path);
    for (long i = 0; i < q->targets->size; i++)
        if (q->targets->at[i] == PADDING)
            q->targets->at[i] = -1;
    return true;
}

static bool read_question(Question *q, const Safetensors *in, const char *path,
                          const TransformerConfig *config, Tape *tape, Error *error)
{
    q->source = probe_ids(in, path, "source", tape, 0, config->source_symbols - 1, error);
    if (!q->source)
        return false;
    q->target = probe_ids(in, path, "target_in", tape, 0, config->target_symbols - 1,
                          error);
    if (!q->target)
        return false;
    if (q->source->shape[0] != q->target->shape[0])
        return fail(error, "%s: source and target_in have not the same number of rows",
                    path);
    return !safetensors_find(in, "targets") ||
           read_targets(q, in, path, config->target_symbols, error);
}

bool probe_transformer(const Transformer *m, const char *input, const char *output,
                       Error *error)
{
    Safetensors *in = safetensors_open(input, error);
    if (!in)
        return false;
    Tape *tape = tape_new(TAPE_PROBE, 0);
    Question q = {NULL, NULL, NULL};
    bool right = read_question(&q, in, input, &m->config, tape, error);
    if (right) {
        Reading reading = transformer_encode(m, q.source);
        Tensor *logits = transformer_decode(m, &reading, q.target, NULL, 0);
        Tensor *loss = q.targets ? t_cross_entropy(logits, q.targets) : NULL;
        if (loss)
            backward(loss);
        ProbeResult results[] = {{"logits", logits}, {"loss", loss}};
        right = probe_write(output, results, 2, m->params, loss != NULL, error);
    }
    tape_free(tape);
    safetensors_close(in);
    return right;
}
