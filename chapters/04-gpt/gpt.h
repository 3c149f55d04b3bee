/* gpt.h - GPT-2: a stack of blocks, each of which looks back and then thinks.
 *
 * Radford, Wu, Child, Luan, Amodei, Sutskever: "Language Models are Unsupervised Multitask
 * Learners" (2019), with the names and layouts of the published weights. Not here: the
 * byte-level tokenizer (src/text/tokenizer), training (src/run/trainer), sampling (src/text/sampler). */
#ifndef LINEAGE_GPT_H
#define LINEAGE_GPT_H

#include "nn/nn.h"
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
    GptConfig config;
    Params *params;
    Tensor *wte, *wpe; /* what a token is, (V, C); where it stands, (context, C) */
    Block *block;
    LayerNorm ln_f;
} Gpt;

/* What a text has been so far: the keys and values of each layer, (B, H, context, D). */
typedef struct {
    Params *states;
    Tensor **keys, **values;
} GptMemory;

Gpt *gpt_new(GptConfig config, uint64_t seed);
void gpt_free(Gpt *gpt);

/* What block l sees: every position looks at itself and at what came before it.
 * (B, T, C) -> (B, T, C). The last two arguments as in gpt_forward. */
Tensor *gpt_attention(const Gpt *gpt, int l, Tensor *x, GptMemory *memory, int past);

/* Logits of the token behind each position: tokens (B, T) -> (B, T, V). With a memory, the
 * tokens stand behind `past` others that it remembers already, and are remembered too; past
 * + T <= context. Without one, `past` is 0. */
Tensor *gpt_forward(const Gpt *gpt, const Ids *tokens, GptMemory *memory, int past);

GptMemory *gpt_memory_new(const Gpt *gpt, int batch);
void gpt_memory_free(GptMemory *memory);

#endif
