/* rnn.h - a language model that reads one token after another and keeps a state.
 *
 * Elman: "Finding structure in time" (1990), and the two cells that made it work: the LSTM
 * and the GRU. Names and layouts of the weights are those of PyTorch's nn.RNN, nn.GRU and
 * nn.LSTM. What happens inside a cell is in cells.h. */
#ifndef LINEAGE_RNN_H
#define LINEAGE_RNN_H

#include "cells.h"
#include "nn/model.h"
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

typedef struct {
    Model model;
    RnnConfig config;
    Tensor *embedding; /* (V, E) */
    Stack rnn;
    Linear decoder; /* C -> V */
} Rnn;

/* Into a list of parameters, which it takes over. To be freed by model.free. */
Rnn *rnn_new(RnnConfig config, Params *params);

/* The functions of the model; see nn/model.h. With a memory the texts go on where they
 * stopped, or begin if `past` is 0. Gradients end where the memory begins: that is truncated
 * backpropagation through time. */
Tensor *rnn_forward(const Model *model, const Ids *tokens, Memory *memory, int past);
Tensor *rnn_head(const Model *model, Tensor *h);
Memory *rnn_memory_new(const Model *model, int B);

/* ---- Its parts, for other programs that need them ---- */

/* Layers whose input is E wide. Their parameters go to the scope: "weight_ih_l0", ... */
Stack stack_new(Scope scope, const RnnConfig *config, int E);
void stack_free(Stack *stack);

/* The state of each layer for B texts, (B, S, C). */
Memory *stack_memory_new(const Stack *stack, int B);

/* (T, B, E) -> (T, B, C), position by position; memory and `past` as in rnn_forward. */
Tensor *stack_forward(const Stack *stack, Tensor *x, Memory *memory, int past);

/* Tokens (B, T) -> their embeddings in the order in which they are read, (T, B, E). */
Tensor *embed(Tensor *embedding, const Ids *tokens);

#endif
