/* rnn.h - a language model that reads one token after another and keeps a state.
 *
 * Elman: "Finding structure in time" (1990), and the two cells that made it work: the LSTM
 * and the GRU. Names and layouts of the weights are those of PyTorch's nn.RNN, nn.GRU and
 * nn.LSTM. What happens inside a cell is in cells.h. */
#ifndef LINEAGE_RNN_H
#define LINEAGE_RNN_H

#include "cells.h"
#include "nn/nn.h"
#include "tensor/ops.h"

typedef struct {
    int vocabulary; /* V */
    int cell;       /* a CellKind */
    int layers;     /* L */
    int embedding;  /* E, numbers for a token; 0: as many as the width */
    int width;      /* C, units in a layer */
    double dropout; /* between layers */
    double
        forget_bias; /* what the forget gates of an LSTM begin with; 0: as PyTorch's do */
} RnnConfig;

/* One layer: G matrices for its input on top of each other, (G C, E), and G for h, (G C, C).
 * There are two biases, although they are only added up: in a GRU the gate r comes between
 * them. */
typedef struct {
    Tensor *weight_ih, *weight_hh, *bias_ih, *bias_hh;
} Layer;

/* Layers on top of each other. */
typedef struct {
    CellKind cell;
    int layers, width;
    float dropout;
    Layer *layer;
} Stack;

/* What a stack remembers of B texts: the state of each layer, (B, S, C). */
typedef struct {
    Params *states;
    Tensor **state;
} RnnMemory;

typedef struct {
    RnnConfig config;
    Params *params;
    Tensor *embedding; /* (V, E) */
    Stack rnn;
    Linear decoder; /* C -> V */
} Rnn;

Rnn *rnn_new(RnnConfig config, uint64_t seed);
void rnn_free(Rnn *rnn);

/* Logits of the token behind each position: tokens (B, T) -> (B, T, V). With a memory the
 * texts go on where they stopped, or begin if `past` is 0, and are remembered. Gradients end
 * where the memory begins: that is truncated backpropagation through time. */
Tensor *rnn_forward(const Rnn *rnn, const Ids *tokens, RnnMemory *memory, int past);

RnnMemory *rnn_memory_new(const Rnn *rnn, int batch);
void rnn_memory_free(RnnMemory *memory);

/* ---- Its parts, for other programs that need them ---- */

/* Layers whose input is E wide. Their parameters go to the scope: "weight_ih_l0", ... */
Stack stack_new(Scope scope, const RnnConfig *config, int E);
void stack_free(Stack *stack);

RnnMemory *stack_memory_new(const Stack *stack, int batch);

/* (T, B, E) -> (T, B, C), position by position; memory and `past` as in rnn_forward. */
Tensor *stack_forward(const Stack *stack, Tensor *x, RnnMemory *memory, int past);

/* Tokens (B, T) -> their embeddings in the order in which they are read, (T, B, E). */
Tensor *embed(Tensor *embedding, const Ids *tokens);

#endif
