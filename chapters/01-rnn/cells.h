/* cells.h - the three cells: what a recurrent layer does at one position.
 *
 * A cell has a state of S vectors, each of C numbers: h, which the world sees, and in an
 * LSTM also c, which only the cell itself sees. At every position it adds up G products of
 * the input and G of h, and its gates make the next state of them. The matrix products are
 * left to the caller; what is here is all that happens between them. */
#ifndef LINEAGE_CELLS_H
#define LINEAGE_CELLS_H

#include "tensor/tensor.h"

typedef enum { CELL_RNN, CELL_GRU, CELL_LSTM } CellKind;

const char *cell_name(CellKind kind); /* "rnn", "gru", "lstm" */

/* How many matrices a cell has for its input, and as many for h: G. */
int cell_gates(CellKind kind);

/* How many vectors its state has: S. */
int cell_parts(CellKind kind);

/* The next state of B texts at once: from the input (B, G C), from h (B, G C), and the
 * state that was (B, S, C) -> (B, S, C). All contiguous; h is the first of the S. */
Tensor *t_cell(CellKind kind, Tensor *from_input, Tensor *from_h, Tensor *state);

#endif
