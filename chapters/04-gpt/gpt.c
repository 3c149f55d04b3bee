/* gpt.c - GPT-2: a stack of blocks, each of which looks back and then thinks. */
#include "gpt.h"

#include <math.h>
#include <stdlib.h>

/* ---- Making one ---- */

static Block block_new(Scope h, const GptConfig *config)
{
    int C = config->width;

    /* Each block adds to the stream twice. With L blocks that is 2L additions of about
     * equal size: they start smaller, so that their sum starts at 1. */
    Init init = normal(0.02), residual = normal(0.02 / sqrt(2 * config->layers));

    Block b;
    b.ln_1 = layer_norm_new(under(h, "ln_1"), C, 1e-5f);
    b.c_attn = linear_new_by_input(under(h, "attn.c_attn"), C, 3 * C, init);
    b.attn_c_proj = linear_new_by_input(under(h, "attn.c_proj"), C, C, residual);
    b.ln_2 = layer_norm_new(under(h, "ln_2"), C, 1e-5f);
    b.c_fc = linear_new_by_input(under(h, "mlp.c_fc"), C, 4 * C, init);
    b.mlp_c_proj = linear_new_by_input(under(h, "mlp.c_proj"), 4 * C, C, residual);
    return b;
}

Gpt *gpt_new(GptConfig config, uint64_t seed)
{
    Gpt *gpt = allocate(1, sizeof *gpt);
    gpt->config = config;
    gpt->params = params_new(seed);
    Scope top = scope(gpt->params);

    gpt->wte = param(top, "wte.weight", config.vocabulary, config.width, normal(0.02));
    gpt->wpe = param(top, "wpe.weight", config.context, config.width, normal(0.02));
    gpt->block = allocate((size_t)config.layers, sizeof *gpt->block);
    for (int l = 0; l < config.layers; l++)
        gpt->block[l] = block_new(under(top, "h.%d", l), &config);
    gpt->ln_f = layer_norm_new(under(top, "ln_f"), config.width, 1e-5f);
    return gpt;
}

void gpt_free(Gpt *gpt)
{
    params_free(gpt->params);
    free(gpt->block);
    free(gpt);
}

/* ---- Running it ---- */

/* Writes the newcomers behind what is remembered; the result is all of it, in place. */
static Tensor *remember(Tensor *memory, int past, Tensor *newcomers)
{
    Tape *tape = newcomers->tape;
    int T = newcomers->shape[2];
    t_assign(t_slice(t_on(tape, memory), 2, past, past + T), newcomers);
    return t_slice(t_on(tape, memory), 2, 0, past + T);
}

Tensor *gpt_attention(const Gpt *gpt, int l, Tensor *x, GptMemory *memory, int past)
{
    const Block *block = &gpt->block[l];
    int B = x->shape[0], T = x->shape[1], C = x->shape[2];
    int H = gpt->config.heads, D = C / H, S = past + T;

    Tensor *qkv = t_reshape(linear(&block->c_attn, x), B, T, 3, H, D);
    qkv = t_shaped(t_permute(qkv, 2, 0, 3, 1, 4), 3, B, H, T, D);
    Tensor *q = t_select(qkv, 0, 0), *k = t_select(qkv, 0, 1), *v = t_select(qkv, 0, 2);
    if (memory) {
        k = remember(memory->keys[l], past, k);
        v = remember(memory->values[l], past, v);
    }

    /* A dot product of D unit-variance terms has variance D. */
    Tensor *scores = t_matmul(t_scale(q, 1 / sqrtf((float)D)), t_transpose(k));
    Tensor *weights = t_softmax(t_causal(t_shaped(scores, B, H, T, S)));
    t_label(weights, "attention", l);
    weights = t_dropout(weights, (float)gpt->config.dropout);
    Tensor *mixed = t_shaped(t_matmul(weights, v), B, H, T, D);
    return linear(&block->attn_c_proj, t_reshape(t_permute(mixed, 0, 2, 1, 3), B, T, C));
}

/* Every position thinks for itself.  (B, T, C) -> (B, T, C) */
static Tensor *feed_forward(const Block *block, Tensor *x)
{
    return linear(&block->mlp_c_proj, t_gelu(linear(&block->c_fc, x)));
}

static Tensor *block_forward(const Gpt *gpt, int l, Tensor *x, GptMemory *memory, int past)
{
    const Block *block = &gpt->block[l];
    float p = (float)gpt->config.dropout;
    Tensor *seen = gpt_attention(gpt, l, layer_norm(&block->ln_1, x), memory, past);
    x = t_add(x, t_dropout(seen, p));
    Tensor *thought = feed_forward(block, layer_norm(&block->ln_2, x));
    return t_add(x, t_dropout(thought, p));
}

/* The places past, past + 1, ... */
static Ids *places(Tape *tape, int past, int T)
{
    Ids *ids = ids_new(tape, T);
    for (int t = 0; t < T; t++)
        ids->at[t] = past + t;
    return ids;
}

Tensor *gpt_forward(const Gpt *gpt, const Ids *tokens, GptMemory *memory, int past)
{
    Tape *tape = tokens->tape;
    int B = tokens->shape[0], T = tokens->shape[1];
    int C = gpt->config.width, V = gpt->config.vocabulary;

    Tensor *what = t_shaped(t_rows(gpt->wte, tokens), B, T, C);
    Tensor *where = t_shaped(t_rows(gpt->wpe, places(tape, past, T)), T, C);
    Tensor *x = t_dropout(t_add(what, where), (float)gpt->config.dropout);
    for (int l = 0; l < gpt->config.layers; l++) {
        Mark mark = tape_mark(tape);
        x = tape_keep(tape, mark, block_forward(gpt, l, x, memory, past));
    }
    x = layer_norm(&gpt->ln_f, x);
    return t_shaped(t_matmul(x, t_transpose(gpt->wte)), B, T, V);
}

/* ---- Remembering ---- */

GptMemory *gpt_memory_new(const Gpt *gpt, int batch)
{
    const GptConfig *c = &gpt->config;
    GptMemory *memory = allocate(1, sizeof *memory);
    memory->states = params_new(0);
    memory->keys = allocate((size_t)c->layers, sizeof *memory->keys);
    memory->values = allocate((size_t)c->layers, sizeof *memory->values);
    for (int l = 0; l < c->layers; l++) {
        Scope h = under(scope(memory->states), "h.%d", l);
        int D = c->width / c->heads;
        memory->keys[l] = state(h, "keys", batch, c->heads, c->context, D);
        memory->values[l] = state(h, "values", batch, c->heads, c->context, D);
    }
    return memory;
}

void gpt_memory_free(GptMemory *memory)
{
    params_free(memory->states);
    free(memory->keys);
    free(memory->values);
    free(memory);
}
