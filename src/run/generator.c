/* generator.c - text from a model that predicts the next token, one token at a time. */
#include "run/generator.h"
#include "base/random.h"
#include "tensor/ops.h"

#include <stdlib.h>
#include <string.h>

struct Generator {
    const Model *model;
    Memory *memory;
    Sampler *sampler;
    int tokens; /* that may be picked */
    Tape *tape;
    uint64_t seed, drawn;
    int *window, length; /* the tokens that the memory holds; no window without an end */
    float *logits;
};

Generator *generator_new(const Model *model, int tokens, SamplerSettings settings,
                         uint64_t seed)
{
    Generator *g = allocate(1, sizeof *g);
    g->model = model;
    g->memory = model->memory_new(model, 1);
    g->tokens = tokens;
    g->sampler = sampler_new(tokens, settings);
    g->tape = tape_new(TAPE_INFERENCE, seed);
    g->seed = seed;
    g->window = allocate((size_t)model->context, sizeof *g->window);
    g->logits = allocate((size_t)tokens, sizeof *g->logits);
    return g;
}

void generator_free(Generator *g)
{
    if (!g)
        return;
    memory_free(g->memory);
    sampler_free(g->sampler);
    tape_free(g->tape);
    free(g->window);
    free(g->logits);
    free(g);
}

void generator_restart(Generator *g, uint64_t seed)
{
    g->length = 0;
    g->seed = seed;
    g->drawn = 0;
}

/* Runs the model over T tokens that stand after `past` others; the logits are those of the
 * last position alone. */
static void look(Generator *g, const int *tokens, int T, int past)
{
    tape_reset(g->tape, 0);
    Ids *ids = ids_from(g->tape, tokens, 1, T);
    Tensor *x = g->model->forward(g->model, ids, g->memory, past);
    Tensor *logits = g->model->head(g->model, t_slice(x, 1, T - 1, T));
    memcpy(g->logits, logits->data, (size_t)g->tokens * sizeof *g->logits);
}

void generator_read(Generator *g, const int *tokens, int n)
{
    int context = g->model->context, half = context > 1 ? context / 2 : 1;
    int past = g->length;
    if (context == 0) {
        look(g, tokens, n, past);
        g->length += n;
        return;
    }
    if (past + n > context) {
        int fresh = n < half ? n : half, kept = half - fresh < past ? half - fresh : past;
        memmove(g->window, g->window + past - kept, (size_t)kept * sizeof *g->window);
        tokens += n - fresh;
        n = fresh;
        g->length = kept;
        past = 0;
    }
    memcpy(g->window + g->length, tokens, (size_t)n * sizeof *g->window);
    g->length += n;
    look(g, g->window + past, g->length - past, past);
}

int generator_next(Generator *g)
{
    float chance = random_uniform(g->seed, random_stream("sample"), g->drawn++);
    int token = sampler_pick(g->sampler, g->logits, chance);
    generator_read(g, &token, 1);
    return token;
}
