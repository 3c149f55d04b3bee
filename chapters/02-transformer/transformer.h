/* transformer.h - the Transformer: an encoder that reads, and a decoder that attends to what
 * was read while it writes.
 *
 * Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin: "Attention Is All
 * You Need" (2017), with the names and layouts of PyTorch's nn.TransformerEncoder and
 * nn.TransformerDecoder. Not here: what the symbols mean and how they are batched
 * (src/text/dictionary), search for the best answer (beam), training (src/run). */
#ifndef LINEAGE_TRANSFORMER_H
#define LINEAGE_TRANSFORMER_H

#include "nn/model.h"
#include "tensor/ops.h"

enum { PADDING /* the symbol that stands for none, in both alphabets */ };

/* Where the paper made a choice, 0 is the paper's. */
typedef enum { NORM_POST, NORM_PRE } NormPlace;
typedef enum { POSITIONS_SINUSOID, POSITIONS_NONE } Positions;
typedef enum { SCALE_ON, SCALE_OFF } EmbeddingScale;

typedef struct {
    int source_symbols, target_symbols; /* the two vocabularies V, padding included */
    int layers, decoder_layers;
    int heads;  /* H */
    int width;  /* C = H D */
    int hidden; /* inside the feed-forward layers */
    double dropout;
    int norm, positions, scale;
} TransformerConfig;

/* Queries, keys and values are made by one matrix where they are made of the same thing; its
 * parts are there, too, for where they are not. */
typedef struct {
    int heads;
    Linear in_proj;              /* C -> 3C */
    Linear queries, keys_values; /* views of it: C -> C, C -> 2C */
    Linear out_proj;             /* C -> C */
} Attention;

typedef struct {
    Attention self_attn;
    Linear linear1, linear2; /* C -> hidden -> C */
    LayerNorm norm1, norm2;
} EncoderLayer;

typedef struct {
    Attention self_attn, multihead_attn; /* self-attention; cross-attention */
    Linear linear1, linear2;
    LayerNorm norm1, norm2, norm3;
} DecoderLayer;

typedef struct {
    Model model; /* its parameters, and how it is freed; it predicts no next token */
    TransformerConfig config;
    Tensor *source_embedding, *target_embedding; /* (V, C) */
    EncoderLayer *encoder;
    DecoderLayer *decoder;
    LayerNorm encoder_norm, decoder_norm; /* only with NORM_PRE */
    Linear generator;                     /* C -> V */
} Transformer;

/* The encoder output, as the decoder wants it. Lives on the tape of the source. */
typedef struct {
    Tensor **keys_values; /* of each decoder layer, made of the source: (B, S, 2C) */
    Tensor *keep;         /* (B, 1, 1, S): 0 where there is only padding */
} Encoded;

/* Into a list of parameters, which it takes over. To be freed by model.free. */
Transformer *transformer_new(TransformerConfig config, Params *params);

/* Equation 1, H times: T queries (B, T, C) attend to S places, whose keys and values stand
 * side by side in kv (B, S, 2C), as far as `keep`, which broadcasts to (B, H, T, S), lets
 * them. -> (B, T, C). The attention weights (B, H, T, S) get a label (see t_label). */
Tensor *transformer_attention(const Attention *a, Tensor *q, Tensor *kv, Tensor *keep,
                              const char *label, int number);

/* The positions past, past + 1, ... as C numbers each: (T, C). */
Tensor *transformer_sinusoids(Tape *tape, int past, int T, int C);

/* Reads B sources of S symbols. */
Encoded transformer_encode(const Transformer *m, const Ids *source);

/* Logits of the symbol after each position: target (B, T) -> (B, T, V). With a memory, the
 * symbols stand after `past` others that it remembers already, and are remembered too;
 * there must be no padding among them. Without one, `past` is 0. Attention weights are
 * labelled "encoder", "decoder" and "cross", with the number of the layer. */
Tensor *transformer_decode(const Transformer *m, const Encoded *encoded, const Ids *target,
                           Memory *memory, int past);

/* For B targets of at most `longest` symbols: keys and values of each decoder layer,
 * (B, longest, 2C). */
Memory *transformer_memory_new(const Transformer *m, int B, int longest);

/* From now on row b of the memory is what row from[b] was, `past` symbols long. */
void transformer_reorder(Memory *memory, const Ids *from, int past);

#endif
