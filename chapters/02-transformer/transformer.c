/* transformer.c - the Transformer: an encoder that reads, and a decoder that attends
 * to what was read while it writes. */
#include "transformer.h"

#include <math.h>
#include <stdlib.h>

/* ---- Making one ---- */

/* Glorot and Bengio 2010: what comes out varies as much as what goes in, both ways. */
static Init xavier(int in, int out)
{
    return uniform(sqrt(6.0 / (in + out)));
}

static Linear linear_xavier(Scope scope, int in, int out)
{
    return linear_new(scope, in, out, xavier(in, out));
}

/* Outputs from .. to - 1 of a linear layer, as a layer of its own. */
static Linear part_of(Linear l, int from, int to)
{
    return (Linear){t_slice(l.weight, 1, from, to), t_slice(l.bias, 0, from, to)};
}

static Attention attention_new(Scope scope, const TransformerConfig *config)
{
    int C = config->width;
    Attention a = {.heads = config->heads};
    a.in_proj.weight = t_transpose(
        param_matrix(scope, "in_proj_weight", 3 * C, C, xavier(C, 3 * C)));
    a.in_proj.bias = param(scope, "in_proj_bias", 3 * C, constant(0));
    a.queries = part_of(a.in_proj, 0, C);
    a.keys_values = part_of(a.in_proj, C, 3 * C);
    a.out_proj = linear_xavier(under(scope, "out_proj"), C, C);
    return a;
}

static EncoderLayer encoder_layer_new(Scope scope, const TransformerConfig *config)
{
    int C = config->width, hidden = config->hidden;
    EncoderLayer e;
    e.self_attn = attention_new(under(scope, "self_attn"), config);
    e.linear1 = linear_xavier(under(scope, "linear1"), C, hidden);
    e.linear2 = linear_xavier(under(scope, "linear2"), hidden, C);
    e.norm1 = layer_norm_new(under(scope, "norm1"), C, 1e-5f);
    e.norm2 = layer_norm_new(under(scope, "norm2"), C, 1e-5f);
    return e;
}

static DecoderLayer decoder_layer_new(Scope scope, const TransformerConfig *config)
{
    int C = config->width, hidden = config->hidden;
    DecoderLayer d;
    d.self_attn = attention_new(under(scope, "self_attn"), config);
    d.multihead_attn = attention_new(under(scope, "multihead_attn"), config);
    d.linear1 = linear_xavier(under(scope, "linear1"), C, hidden);
    d.linear2 = linear_xavier(under(scope, "linear2"), hidden, C);
    d.norm1 = layer_norm_new(under(scope, "norm1"), C, 1e-5f);
    d.norm2 = layer_norm_new(under(scope, "norm2"), C, 1e-5f);
    d.norm3 = layer_norm_new(under(scope, "norm3"), C, 1e-5f);
    return d;
}

static void transformer_free(Model *model)
{
    Transformer *m = (Transformer *)model;
    params_free(model->params);
    free(m->encoder);
    free(m->decoder);
    free(m);
}

Transformer *transformer_new(TransformerConfig config, Params *params)
{
    Transformer *m = allocate(1, sizeof *m);
    int C = config.width, encoders = config.layers, decoders = config.decoder_layers;
    m->model = (Model){
        .params = params, .vocabulary = config.target_symbols, .free = transformer_free};
    m->config = config;
    Scope top = scope(params);

    /* They will be multiplied by sqrt(C), which makes their variance 1. */
    Init init = normal(1 / sqrt(C));
    m->source_embedding = param(top, "source_embedding.weight", config.source_symbols, C,
                                init);
    m->target_embedding = param(top, "target_embedding.weight", config.target_symbols, C,
                                init);
    m->encoder = allocate((size_t)encoders, sizeof *m->encoder);
    for (int l = 0; l < encoders; l++)
        m->encoder[l] = encoder_layer_new(under(top, "encoder.layers.%d", l), &config);
    m->decoder = allocate((size_t)decoders, sizeof *m->decoder);
    for (int l = 0; l < decoders; l++)
        m->decoder[l] = decoder_layer_new(under(top, "decoder.layers.%d", l), &config);
    if (config.norm == NORM_PRE) {
        m->encoder_norm = layer_norm_new(under(top, "encoder.norm"), C, 1e-5f);
        m->decoder_norm = layer_norm_new(under(top, "decoder.norm"), C, 1e-5f);
    }
    m->generator = linear_xavier(under(top, "generator"), C, config.target_symbols);
    return m;
}

/* ---- Where a symbol stands ---- */

/* Section 3.5: PE(t, 2i) = sin(t / 10000^(2i / C)), PE(t, 2i + 1) = cos of the same. */
Tensor *transformer_sinusoids(Tape *tape, int past, int T, int C)
{
    Tensor *table = t_empty(tape, T, C);
    for (int t = 0; t < T; t++)
        for (int c = 0; c < C; c++) {
            double angle = (past + t) / pow(10000, (c - c % 2) / (double)C);
            table->data[t * C + c] = (float)(c % 2 ? cos(angle) : sin(angle));
        }
    return table;
}

/* What each symbol is and where it stands: (B, T) -> (B, T, C). */
static Tensor *embed(const Transformer *m, Tensor *table, const Ids *symbols, int past)
{
    int B = symbols->shape[0], T = symbols->shape[1], C = m->config.width;
    Tensor *x = t_shaped(t_rows(table, symbols), B, T, C);
    if (m->config.scale == SCALE_ON)
        x = t_scale(x, sqrtf((float)C));
    if (m->config.positions == POSITIONS_SINUSOID)
        x = t_add(x, transformer_sinusoids(symbols->tape, past, T, C));
    return t_dropout(x, (float)m->config.dropout);
}

/* ---- Masks: 1 to keep, 0 to hide ---- */

/* Everything but padding: (B, S) -> (B, 1, 1, S). */
static Tensor *keep_symbols(const Ids *symbols)
{
    int B = symbols->shape[0], S = symbols->shape[1];
    return t_reshape(t_is_not(symbols, PADDING), B, 1, 1, S);
}

/* For each position itself and what came before it: `past` symbols, then those here, unless
 * they are padding.  (B, T) -> (B, 1, T, past + T) */
static Tensor *keep_earlier(const Ids *symbols, int past)
{
    int B = symbols->shape[0], T = symbols->shape[1], S = past + T;
    Tensor *keep = t_empty(symbols->tape, B, 1, T, S);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++)
            for (int s = 0; s < S; s++) {
                bool written = s < past || symbols->at[b * T + s - past] != PADDING;
                keep->data[(b * T + t) * S + s] = s <= past + t && written;
            }
    return keep;
}

/* ---- Attention ---- */

/* (B, T, H D) -> (B, H, T, D) */
static Tensor *split_heads(Tensor *x, int H)
{
    int B = x->shape[0], T = x->shape[1], D = x->shape[2] / H;
    return t_permute(t_reshape(x, B, T, H, D), 0, 2, 1, 3);
}

Tensor *transformer_attention(const Attention *a, Tensor *q, Tensor *kv, Tensor *keep,
                              const char *label, int number)
{
    int B = q->shape[0], T = q->shape[1], C = q->shape[2], S = kv->shape[1];
    int H = a->heads, D = C / H;
    q = split_heads(q, H);
    Tensor *k = split_heads(t_slice(kv, 2, 0, C), H);
    Tensor *v = split_heads(t_slice(kv, 2, C, 2 * C), H);

    /* A dot product of D unit-variance terms has variance D. */
    Tensor *scores = t_matmul(t_scale(q, 1 / sqrtf((float)D)), t_transpose(k));
    Tensor *weights = t_softmax(t_masked(t_shaped(scores, B, H, T, S), keep));
    weights = t_label(weights, label, number);
    Tensor *mixed = t_shaped(t_matmul(weights, v), B, H, T, D);
    return linear(&a->out_proj, t_reshape(t_permute(mixed, 0, 2, 1, 3), B, T, C));
}

/* A sequence attends to itself, and to what the memory (or NULL) of layer l holds of it. */
static Tensor *self_attention(const Attention *a, const char *label, int l, Tensor *x,
                              Tensor *keep, Memory *memory, int past)
{
    int C = x->shape[2];
    Tensor *qkv = linear(&a->in_proj, x);
    Tensor *q = t_slice(qkv, 2, 0, C), *kv = t_slice(qkv, 2, C, 3 * C);
    if (memory)
        kv = remember(memory_state(memory, l), 1, past, kv);
    return transformer_attention(a, q, kv, keep, label, l);
}

/* ---- Layers ---- */

/* The same for every position, each by itself: equation 2. */
static Tensor *feed_forward(const Linear *linear1, const Linear *linear2, Tensor *x)
{
    return linear(linear2, t_relu(linear(linear1, x)));
}

/* A sublayer f stands between before() and after(). Post-norm, the paper's, makes
 * LayerNorm(x + f(x)) of it, and pre-norm x + f(LayerNorm(x)). */
static Tensor *before(const Transformer *m, const LayerNorm *norm, Tensor *x)
{
    return m->config.norm == NORM_PRE ? layer_norm(norm, x) : x;
}

static Tensor *after(const Transformer *m, const LayerNorm *norm, Tensor *x, Tensor *fx)
{
    x = t_add(x, t_dropout(fx, (float)m->config.dropout));
    return m->config.norm == NORM_PRE ? x : layer_norm(norm, x);
}

static Tensor *encoder_layer(const Transformer *m, int l, Tensor *x, Tensor *keep)
{
    const EncoderLayer *e = &m->encoder[l];
    Tensor *attended = self_attention(&e->self_attn, "encoder", l, before(m, &e->norm1, x),
                                      keep, NULL, 0);
    x = after(m, &e->norm1, x, attended);
    Tensor *fed = feed_forward(&e->linear1, &e->linear2, before(m, &e->norm2, x));
    return after(m, &e->norm2, x, fed);
}

static Tensor *decoder_layer(const Transformer *m, int l, Tensor *x, Tensor *keep,
                             const Encoded *encoded, Memory *memory, int past)
{
    const DecoderLayer *d = &m->decoder[l];
    Tensor *attended = self_attention(&d->self_attn, "decoder", l, before(m, &d->norm1, x),
                                      keep, memory, past);
    x = after(m, &d->norm1, x, attended);

    Tensor *q = linear(&d->multihead_attn.queries, before(m, &d->norm2, x));
    Tensor *crossed = transformer_attention(&d->multihead_attn, q, encoded->keys_values[l],
                                            encoded->keep, "cross", l);
    x = after(m, &d->norm2, x, crossed);

    Tensor *fed = feed_forward(&d->linear1, &d->linear2, before(m, &d->norm3, x));
    return after(m, &d->norm3, x, fed);
}

/* ---- Encoding and decoding ---- */

Encoded transformer_encode(const Transformer *m, const Ids *source)
{
    Tape *tape = source->tape;
    int B = source->shape[0], S = source->shape[1], C = m->config.width;
    int layers = m->config.decoder_layers;
    Encoded encoded = {.keep = keep_symbols(source)};
    Tensor *x = embed(m, m->source_embedding, source, 0);
    for (int l = 0; l < m->config.layers; l++) {
        Mark mark = tape_mark(tape);
        x = tape_keep(tape, mark, encoder_layer(m, l, x, encoded.keep));
    }
    x = before(m, &m->encoder_norm, x); /* pre-norm leaves the sum without a norm */

    encoded.keys_values = tape_alloc(tape, (size_t)layers * sizeof(Tensor *));
    for (int l = 0; l < layers; l++) {
        const Linear *keys_values = &m->decoder[l].multihead_attn.keys_values;
        encoded.keys_values[l] = t_shaped(linear(keys_values, x), B, S, 2 * C);
    }
    return encoded;
}

Tensor *transformer_decode(const Transformer *m, const Encoded *encoded, const Ids *target,
                           Memory *memory, int past)
{
    int B = target->shape[0], T = target->shape[1], V = m->config.target_symbols;
    Tensor *keep = keep_earlier(target, past);
    Tensor *x = embed(m, m->target_embedding, target, past);
    for (int l = 0; l < m->config.decoder_layers; l++)
        x = decoder_layer(m, l, x, keep, encoded, memory, past);
    x = before(m, &m->decoder_norm, x);
    return t_shaped(linear(&m->generator, x), B, T, V);
}

/* ---- Remembering ---- */

Memory *transformer_memory_new(const Transformer *m, int B, int longest)
{
    Memory *memory = memory_new();
    for (int l = 0; l < m->config.decoder_layers; l++)
        state_new(under(scope(memory->states), "layers.%d", l), "keys_values", B, longest,
                  2 * m->config.width);
    return memory;
}

void transformer_reorder(Memory *memory, const Ids *from, int past)
{
    for (int l = 0; l < memory->states->count; l++) {
        Tensor *own = t_on(from->tape, memory_state(memory, l));
        int B = own->shape[0], longest = own->shape[1], row = own->shape[2];
        Tensor *used = t_slice(t_reshape(own, B, longest * row), 1, 0, past * row);
        t_assign(used, t_rows(used, from));
    }
}
