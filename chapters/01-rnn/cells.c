/* cells.c - the three cells, forward and backward.
 *
 * Every array here has a row for each text, and in it blocks of C numbers: one for each gate
 * or each part of the state. Unit j of a cell sees the numbers at place j of the blocks and
 * no others, so the equations below are those of a single unit. They compute as many units
 * at once as a vector holds. */
#include "cells.h"
#include "tensor/op.h"
#include "tensor/parallel.h"
#include "tensor/vector.h"

/* Where `lanes` is known to the compiler, get() and put() are a single instruction. */
#define INLINED __attribute__((always_inline)) static inline

/* A few units of one text: those at places at .. at + lanes - 1 of each block. */
typedef struct {
    long at, lanes, C;
    const float *from_input, *from_h, *before; /* what goes in: G, G and S blocks */
    float *after, *gates;                      /* what comes out: S and G blocks */
    const float *d_after;                      /* and the gradients of the loss */
    float *d_input, *d_h, *d_before;
} Units;

static inline V get(const Units *u, const float *array, int block)
{
    return v_load_some(array + block * u->C + u->at, u->lanes);
}

static inline void put(const Units *u, float *array, int block, V value)
{
    v_store_some(array + block * u->C + u->at, value, u->lanes);
}

static inline void add(const Units *u, float *array, int block, V value)
{
    put(u, array, block, get(u, array, block) + value);
}

/* What reaches a gate from the input and from the last h together; and the way back. */
static inline V sum(const Units *u, int gate)
{
    return get(u, u->from_input, gate) + get(u, u->from_h, gate);
}

static inline void add_to_sum(const Units *u, int gate, V gradient)
{
    add(u, u->d_input, gate, gradient);
    add(u, u->d_h, gate, gradient);
}

/* The slope of y = sigmoid(x), and of y = tanh(x), by y. */
static inline V sigmoid_slope(V y)
{
    return y * (1 - y);
}

static inline V tanh_slope(V y)
{
    return 1 - y * y;
}

enum { PART_H, PART_C, GATE_I = 0, GATE_F, GATE_G, GATE_O, GATE_R = 0, GATE_Z, GATE_N };

/* ---- The plain network (Elman 1990): h' = tanh(W x + U h) ---- */

INLINED void rnn_forward(const Units *u)
{
    put(u, u->after, PART_H, v_tanh(sum(u, 0)));
}

INLINED void rnn_backward(const Units *u)
{
    add_to_sum(u, 0, get(u, u->d_after, PART_H) * tanh_slope(get(u, u->after, PART_H)));
}

/* ---- The LSTM (Hochreiter and Schmidhuber 1997; the forget gate is of Gers, Schmidhuber
 * and Cummins 2000): c' = f c + i g, h' = o tanh(c') ---- */

INLINED void lstm_forward(const Units *u)
{
    V i = v_sigmoid(sum(u, GATE_I)); /* how much of the new goes in */
    V f = v_sigmoid(sum(u, GATE_F)); /* how much of the old stays */
    V g = v_tanh(sum(u, GATE_G));    /* the new */
    V o = v_sigmoid(sum(u, GATE_O)); /* how much comes out */
    V c = f * get(u, u->before, PART_C) + i * g;
    put(u, u->after, PART_C, c);
    put(u, u->after, PART_H, o * v_tanh(c));

    put(u, u->gates, GATE_I, i);
    put(u, u->gates, GATE_F, f);
    put(u, u->gates, GATE_G, g);
    put(u, u->gates, GATE_O, o);
}

INLINED void lstm_backward(const Units *u)
{
    V i = get(u, u->gates, GATE_I), f = get(u, u->gates, GATE_F);
    V g = get(u, u->gates, GATE_G), o = get(u, u->gates, GATE_O);
    V shown = v_tanh(get(u, u->after, PART_C)), dh = get(u, u->d_after, PART_H);

    /* c is reached from the next c, unweakened but for f, and through h. */
    V dc = get(u, u->d_after, PART_C) + dh * o * tanh_slope(shown);
    add(u, u->d_before, PART_C, dc * f);
    add_to_sum(u, GATE_I, dc * g * sigmoid_slope(i));
    add_to_sum(u, GATE_F, dc * get(u, u->before, PART_C) * sigmoid_slope(f));
    add_to_sum(u, GATE_G, dc * i * tanh_slope(g));
    add_to_sum(u, GATE_O, dh * shown * sigmoid_slope(o));
}

/* ---- The GRU (Cho and others 2014, with the reset after the matrix product, as PyTorch
 * has it): n = tanh(W x + r (U h)), h' = (1 - z) n + z h ---- */

INLINED void gru_forward(const Units *u)
{
    V r = v_sigmoid(sum(u, GATE_R)); /* how much of the old the new may see */
    V z = v_sigmoid(sum(u, GATE_Z)); /* how much of the old stays */
    V n = v_tanh(get(u, u->from_input, GATE_N) + r * get(u, u->from_h, GATE_N));
    put(u, u->after, PART_H, (1 - z) * n + z * get(u, u->before, PART_H));

    put(u, u->gates, GATE_R, r);
    put(u, u->gates, GATE_Z, z);
    put(u, u->gates, GATE_N, n);
}

INLINED void gru_backward(const Units *u)
{
    V r = get(u, u->gates, GATE_R), z = get(u, u->gates, GATE_Z);
    V n = get(u, u->gates, GATE_N), dh = get(u, u->d_after, PART_H);

    add(u, u->d_before, PART_H, dh * z);
    V dn = dh * (1 - z) * tanh_slope(n); /* of what is inside the tanh */
    add(u, u->d_input, GATE_N, dn);
    add(u, u->d_h, GATE_N, dn * r);
    add_to_sum(u, GATE_R, dn * get(u, u->from_h, GATE_N) * sigmoid_slope(r));
    add_to_sum(u, GATE_Z, dh * (get(u, u->before, PART_H) - n) * sigmoid_slope(z));
}

/* ---- From units to whole tensors ---- */

/* Goes through the units of one text. */
INLINED void each_unit(Units u, void (*cell)(const Units *))
{
    u.lanes = LANES;
    for (u.at = 0; u.at + LANES <= u.C; u.at += LANES)
        cell(&u);
    u.lanes = u.C - u.at;
    if (u.lanes > 0)
        cell(&u);
}

#define ONE_TEXT(cell)               \
    static void cell##_text(Units u) \
    {                                \
        each_unit(u, cell);          \
    }
ONE_TEXT(rnn_forward)
ONE_TEXT(rnn_backward)
ONE_TEXT(gru_forward)
ONE_TEXT(gru_backward)
ONE_TEXT(lstm_forward)
ONE_TEXT(lstm_backward)

static const struct {
    const char *name;
    int gates, parts;
    void (*forward)(Units), (*backward)(Units);
} cells[] = {[CELL_RNN] = {"rnn", 1, 1, rnn_forward_text, rnn_backward_text},
             [CELL_GRU] = {"gru", 3, 1, gru_forward_text, gru_backward_text},
             [CELL_LSTM] = {"lstm", 4, 2, lstm_forward_text, lstm_backward_text}};

const char *cell_name(CellKind kind)
{
    return cells[kind].name;
}

int cell_gates(CellKind kind)
{
    return cells[kind].gates;
}

int cell_parts(CellKind kind)
{
    return cells[kind].parts;
}

/* All texts of a batch. */
typedef struct {
    CellKind kind;
    bool back;
    Units first; /* the first of them */
} Texts;

static void each_text(long from, long to, void *context)
{
    const Texts *texts = context;
    for (long b = from; b < to; b++) {
        Units u = texts->first;
        long gates = b * cells[texts->kind].gates * u.C;
        long parts = b * cells[texts->kind].parts * u.C;
        u.from_input += gates, u.from_h += gates, u.gates += gates;
        u.before += parts, u.after += parts;
        if (!texts->back) {
            cells[texts->kind].forward(u);
            continue;
        }
        u.d_input += gates, u.d_h += gates;
        u.d_before += parts, u.d_after += parts;
        cells[texts->kind].backward(u);
    }
}

static void cell_backward(Op *op)
{
    Texts *texts = op_saved(op);
    texts->back = true;
    texts->first.d_after = op_gout(op);
    texts->first.d_input = op_grad(op, 0, NULL);
    texts->first.d_h = op_grad(op, 1, NULL);
    texts->first.d_before = op_grad(op, 2, NULL);
    parallel_for(op_output(op)->shape[0], 1, each_text, texts);
}

Tensor *t_cell(CellKind kind, Tensor *from_input, Tensor *from_h, Tensor *state)
{
    int B = state->shape[0], C = state->shape[2];
    t_shaped(from_input, B, cell_gates(kind) * C);
    t_shaped(from_h, B, cell_gates(kind) * C);
    t_shaped(state, B, cell_parts(kind), C);

    Op *op = t_op(cell_name(kind), cell_backward, from_input, from_h, state);
    Tensor *after = op_out_like(op, state);
    Texts *texts = op_save(op, sizeof *texts);
    *texts = (Texts){.kind = kind, .first.C = C};
    texts->first.from_input = from_input->data;
    texts->first.from_h = from_h->data;
    texts->first.before = state->data;
    texts->first.after = after->data;
    texts->first.gates = t_empty(op_tape(op), B, cell_gates(kind) * C)->data;
    parallel_for(B, 1, each_text, texts);
    return after;
}
