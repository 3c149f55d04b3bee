/* gpt.h - GPT-2: a stack of blocks, each of attention and a feed-forward network.
 *
 * Radford, Wu, Child, Luan, Amodei, Sutskever: "Language Models are Unsupervised Multitask
 * Learners" (2019), with the names and layouts of the published weights. Not here: the
 * byte-level tokenizer (src/text), training and sampling (src/run). */
#ifndef LINEAGE_GPT_H
#define LINEAGE_GPT_H

#include "nn/model.h"
#include "tensor/ops.h"

typedef struct {
    int vocabulary; /* V */
    int context;    /* the longest T */
    int layers;     /* L */
    int heads;      /* H */
    int width;      /* C = H D */
    double dropout;
} GptConfig;

typedef struct {
    LayerNorm ln_1;
    Linear c_attn, attn_c_proj;
    LayerNorm ln_2;
    Linear c_fc, mlp_c_proj;
} Block;

typedef struct {
    Model model;
    GptConfig config;
    Tensor *wte, *wpe; /* what a token is, (V, C); where it stands, (context, C) */
    Block *block;
    LayerNorm ln_f;
} Gpt;

/* Into a list of parameters, which it takes over. To be freed by model.free. */
Gpt *gpt_new(GptConfig config, Params *params);

/* The functions of the model; see nn/model.h. past + T <= context. */
Tensor *gpt_forward(const Model *model, const Ids *tokens, Memory *memory, int past);
Tensor *gpt_head(const Model *model, Tensor *x);

/* The keys and values of each block, (B, H, context, D). */
Memory *gpt_memory_new(const Model *model, int B);

/* What block l does first: every position attends to itself and to what came before it.
 * (B, T, C) -> (B, T, C). The last two arguments as in gpt_forward. */
Tensor *gpt_attention(const Gpt *gpt, int l, Tensor *x, Memory *memory, int past);

#endif
