/* spec.h - the three cells once more, in scalars: see spec.c. */
#ifndef LINEAGE_SPEC_H
#define LINEAGE_SPEC_H

#include "scalar/scalar.h"

/* The weights of a layer, row by row, gates on top of each other as the model keeps them:
 * w_ih (G C, E), w_hh (G C, C), b_ih and b_hh (G C). */
typedef struct {
    int E, C;
    Scalar **w_ih, **w_hh, **b_ih, **b_hh;
} SpecLayer;

/* One position. x (E) is read; h (C), and the c (C) of an LSTM, are those of the position
 * before and are replaced by those of this one. */
void spec_rnn(const SpecLayer *p, Scalar **x, Scalar **h);
void spec_lstm(const SpecLayer *p, Scalar **x, Scalar **h, Scalar **c);
void spec_gru(const SpecLayer *p, Scalar **x, Scalar **h);

/* What h (C) says of the next token: w (V, C), b (V) -> logits (V). */
void spec_decoder(int V, int C, Scalar **w, Scalar **b, Scalar **h, Scalar **logits);

/* -log softmax(logits)[target] */
Scalar *spec_cross_entropy(int V, Scalar **logits, int target);

#endif
