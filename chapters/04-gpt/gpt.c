/* gpt.c - GPT-2: a stack of blocks, each of attention and a feed-forward network. */
#include "gpt.h"

#include <math.h>
#include <stdlib.h>

/* ---- Making one ---- */

static Block block_new(Scope h, const GptConfig *config)
{
    int C = config->width;

    /* Each block adds to the stream twice. With L blocks that is 2L additions of about
     * equal size: they start smaller, so that their sum does not grow with L. */
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

static void gpt_free(Model *model)
{
    params_free(model->params);
    free(((Gpt *)model)->block);
    free(model);
}

Gpt *gpt_new(GptConfig config, Params *params)
{
    Gpt *gpt = allocate(1, sizeof *gpt);
    gpt->model = (Model){.params = params,
                         .vocabulary = config.vocabulary,
                         .context = config.context,
                         .forward = gpt_forward,
                         .head = gpt_head,
                         .memory_new = gpt_memory_new,
                         .free = gpt_free};
    gpt->config = config;
    Scope top = scope(params);

    gpt->wte = param(top, "wte.weight", config.vocabulary, config.width, normal(0.02));
    gpt->wpe = param(top, "wpe.weight", config.context, config.width, normal(0.02));
    gpt->block = allocate((size_t)config.layers, sizeof *gpt->block);
    for (int l = 0; l < config.layers; l++)
        gpt->block[l] = block_new(under(top, "h.%d", l), &config);
    gpt->ln_f = layer_norm_new(under(top, "ln_f"), config.width, 1e-5f);
    return gpt;
}

/* ---- Running it ---- */

/* What a memory holds of block l: state number 2 l and the one after it. */
enum { KEYS, VALUES };

Tensor *gpt_attention(const Gpt *gpt, int l, Tensor *x, Memory *memory, int past)
{
    const Block *block = &gpt->block[l];
    int B = x->shape[0], T = x->shape[1], C = x->shape[2];
    int H = gpt->config.heads, D = C / H, S = past + T;

    Tensor *qkv = t_reshape(linear(&block->c_attn, x), B, T, 3, H, D);
    qkv = t_shaped(t_permute(qkv, 2, 0, 3, 1, 4), 3, B, H, T, D);
    Tensor *q = t_select(qkv, 0, 0), *k = t_select(qkv, 0, 1), *v = t_select(qkv, 0, 2);
    if (memory) {
        k = remember(memory_state(memory, 2 * l + KEYS), 2, past, k);
        v = remember(memory_state(memory, 2 * l + VALUES), 2, past, v);
    }

    /* A dot product of D unit-variance terms has variance D. */
    Tensor *scores = t_matmul(t_scale(q, 1 / sqrtf((float)D)), t_transpose(k));
    Tensor *weights = t_softmax(t_causal(t_shaped(scores, B, H, T, S)));
    weights = t_label(weights, "attention", l);
    weights = t_dropout(weights, (float)gpt->config.dropout);
    Tensor *mixed = t_shaped(t_matmul(weights, v), B, H, T, D);
    return linear(&block->attn_c_proj, t_reshape(t_permute(mixed, 0, 2, 1, 3), B, T, C));
}

/* The same for every position, each by itself.  (B, T, C) -> (B, T, C) */
static Tensor *feed_forward(const Block *block, Tensor *x)
{
    return linear(&block->mlp_c_proj, t_gelu(linear(&block->c_fc, x)));
}

static Tensor *block_forward(const Gpt *gpt, int l, Tensor *x, Memory *memory, int past)
{
    const Block *block = &gpt->block[l];
    float p = (float)gpt->config.dropout;
    Tensor *attended = gpt_attention(gpt, l, layer_norm(&block->ln_1, x), memory, past);
    x = t_add(x, t_dropout(attended, p));
    Tensor *fed = feed_forward(block, layer_norm(&block->ln_2, x));
    return t_add(x, t_dropout(fed, p));
}

Tensor *gpt_forward(const Model *model, const Ids *tokens, Memory *memory, int past)
{
    const Gpt *gpt = (const Gpt *)model;
    Tape *tape = tokens->tape;
    int B = tokens->shape[0], T = tokens->shape[1], C = gpt->config.width;

    Tensor *what = t_shaped(t_rows(gpt->wte, tokens), B, T, C);
    Tensor *where = t_shaped(t_rows(gpt->wpe, ids_range(tape, past, past + T)), T, C);
    Tensor *x = t_dropout(t_add(what, where), (float)gpt->config.dropout);
    for (int l = 0; l < gpt->config.layers; l++) {
        Mark mark = tape_mark(tape);
        x = tape_keep(tape, mark, block_forward(gpt, l, x, memory, past));
    }
    return layer_norm(&gpt->ln_f, x);
}

/* The matrix that says what a token is also says how well it would come next. */
Tensor *gpt_head(const Model *model, Tensor *x)
{
    return t_matmul(x, t_transpose(((const Gpt *)model)->wte));
}

/* ---- Remembering ---- */

Memory *gpt_memory_new(const Model *model, int B)
{
    const GptConfig *c = &((const Gpt *)model)->config;
    Memory *memory = memory_new();
    for (int l = 0; l < c->layers; l++) {
        Scope h = under(scope(memory->states), "h.%d", l);
        int D = c->width / c->heads;
        state_new(h, "keys", B, c->heads, c->context, D);
        state_new(h, "values", B, c->heads, c->context, D);
    }
    return memory;
}
