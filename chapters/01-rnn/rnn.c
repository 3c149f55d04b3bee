/* rnn.c - a language model that reads one token after another and keeps a state. */
#include "rnn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Making one ---- */

/* "weight_ih_l0" and its kin; weights and biases alike begin as PyTorch has them. */
static Tensor *part_of_layer(Scope scope, const char *what, int l, int rows, int columns,
                             Init init)
{
    char name[32];
    snprintf(name, sizeof name, "%s_l%d", what, l);
    return columns ? param(scope, name, rows, columns, init)
                   : param(scope, name, rows, init);
}

/* An LSTM that begins with its forget gate half closed halves c at every position and has
 * nothing left of it ten positions on. A bias of 1 keeps the gate open at first, so that
 * what is worth keeping can be found out (Gers, Schmidhuber and Cummins 2000; Jozefowicz,
 * Zaremba and Sutskever 2015). */
static void open_forget_gate(Tensor *bias, int C, double by)
{
    for (int j = 0; bias->data && j < C; j++) /* no numbers: they will come from a file */
        bias->data[C + j] = (float)by;
}

Stack stack_new(Scope scope, const RnnConfig *config, int E)
{
    int C = config->width, GC = cell_gates(config->cell) * C;
    Init init = uniform(1 / sqrt(C));
    Stack stack = {config->cell, config->layers, C, (float)config->dropout, NULL};
    stack.layer = allocate((size_t)config->layers, sizeof *stack.layer);
    for (int l = 0; l < config->layers; l++) {
        Layer *layer = &stack.layer[l];
        layer->weight_ih = part_of_layer(scope, "weight_ih", l, GC, l == 0 ? E : C, init);
        layer->weight_hh = part_of_layer(scope, "weight_hh", l, GC, C, init);
        layer->bias_ih = part_of_layer(scope, "bias_ih", l, GC, 0, init);
        layer->bias_hh = part_of_layer(scope, "bias_hh", l, GC, 0, init);
        if (config->cell == CELL_LSTM && config->forget_bias != 0)
            open_forget_gate(layer->bias_hh, C, config->forget_bias);
    }
    return stack;
}

void stack_free(Stack *stack)
{
    free(stack->layer);
}

static void rnn_free(Model *model)
{
    Rnn *rnn = (Rnn *)model;
    params_free(model->params);
    stack_free(&rnn->rnn);
    free(rnn);
}

Rnn *rnn_new(RnnConfig config, Params *params)
{
    Rnn *rnn = allocate(1, sizeof *rnn);
    int V = config.vocabulary, C = config.width,
        E = config.embedding ? config.embedding : C;
    rnn->model = (Model){.params = params,
                         .vocabulary = V,
                         .forward = rnn_forward,
                         .head = rnn_head,
                         .memory_new = rnn_memory_new,
                         .free = rnn_free};
    rnn->config = config;
    Scope top = scope(params);

    rnn->embedding = param(under(top, "embedding"), "weight", V, E, normal(1));
    rnn->rnn = stack_new(under(top, "rnn"), &config, E);
    rnn->decoder = linear_new(under(top, "decoder"), C, V, uniform(1 / sqrt(C)));
    return rnn;
}

/* ---- Running it ---- */

/* One layer over all positions; `state` is that of before the first, (B, S, C), and becomes
 * that of after the last.  (T, B, E) -> (T, B, C) */
static Tensor *layer_forward(const Layer *layer, CellKind cell, Tensor *x, Tensor **state)
{
    int T = x->shape[0];
    Tensor **h = tape_alloc(x->tape, (size_t)T * sizeof(Tensor *));

    /* What the input says does not depend on the state: one product for all positions. */
    Tensor *from_input = t_affine(x, t_transpose(layer->weight_ih), layer->bias_ih);

    for (int t = 0; t < T; t++) {
        Tensor *before = t_select(*state, 1, 0);
        Tensor *from_h = t_affine(before, t_transpose(layer->weight_hh), layer->bias_hh);
        *state = t_cell(cell, t_select(from_input, 0, t), from_h, *state);
        h[t] = t_select(*state, 1, 0);
    }
    return t_stack(h, T, 0);
}

Tensor *stack_forward(const Stack *stack, Tensor *x, Memory *memory, int past)
{
    int B = x->shape[1], S = cell_parts(stack->cell);
    for (int l = 0; l < stack->layers; l++) {
        Tensor *state = memory && past > 0 ? t_snapshot(x->tape, memory_state(memory, l))
                                           : t_zeros(x->tape, B, S, stack->width);
        if (l > 0)
            x = t_dropout(x, stack->dropout);
        x = layer_forward(&stack->layer[l], stack->cell, x, &state);
        if (memory)
            t_assign(memory_state(memory, l), state);
    }
    return x;
}

Tensor *embed(Tensor *embedding, const Ids *tokens)
{
    int B = tokens->shape[0], T = tokens->shape[1];
    Ids *in_order = ids_new(tokens->tape, T, B);
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++)
            in_order->at[t * B + b] = tokens->at[b * T + t];
    return t_rows(embedding, in_order);
}

Tensor *rnn_forward(const Model *model, const Ids *tokens, Memory *memory, int past)
{
    const Rnn *rnn = (const Rnn *)model;
    int B = tokens->shape[0], T = tokens->shape[1];
    Tensor *h = stack_forward(&rnn->rnn, embed(rnn->embedding, tokens), memory, past);
    return t_permute(t_shaped(h, T, B, rnn->config.width), 1, 0, 2);
}

/* Position by position, as the states were computed and lie in memory. */
Tensor *rnn_head(const Model *model, Tensor *h)
{
    Tensor *logits = linear(&((const Rnn *)model)->decoder, t_permute(h, 1, 0, 2));
    return t_contiguous(t_permute(logits, 1, 0, 2));
}

/* ---- Remembering ---- */

Memory *stack_memory_new(const Stack *stack, int B)
{
    Memory *memory = memory_new();
    for (int l = 0; l < stack->layers; l++)
        state_new(under(scope(memory->states), "l%d", l), "state", B,
                  cell_parts(stack->cell), stack->width);
    return memory;
}

Memory *rnn_memory_new(const Model *model, int B)
{
    return stack_memory_new(&((const Rnn *)model)->rnn, B);
}
