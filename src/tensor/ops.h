/* ops.h - the differentiable operations.
 *
 * Each returns a fresh contiguous tensor on the tape of its inputs, and each is held by the
 * tests to a definition in scalars. Any input may be a view, unless a line says otherwise.
 * "Broadcasts" means: dimensions are matched from the last, a size of 1 (or a missing
 * dimension) is repeated, as in NumPy; the gradient of what was repeated is summed. */
#ifndef LINEAGE_OPS_H
#define LINEAGE_OPS_H

#include "tensor/tensor.h"

/* ---- Element by element (ops_pointwise.c) ---- */

Tensor *t_add(Tensor *a, Tensor *b); /* broadcasts */
Tensor *t_sub(Tensor *a, Tensor *b); /* broadcasts */
Tensor *t_mul(Tensor *a, Tensor *b); /* broadcasts */
Tensor *t_div(Tensor *a, Tensor *b); /* broadcasts */
Tensor *t_scale(Tensor *x, float factor);
Tensor *t_exp(Tensor *x);
Tensor *t_log(Tensor *x);
Tensor *t_tanh(Tensor *x);
Tensor *t_sigmoid(Tensor *x);
Tensor *t_relu(Tensor *x);     /* slope 0 at 0 */
Tensor *t_silu(Tensor *x);     /* x sigmoid(x) */
Tensor *t_softplus(Tensor *x); /* log(1 + exp(x)), without overflow, exact near 0 */

/* GELU, x times the probability that a normal number is below x (Hendrycks and Gimpel
 * 2016): by its approximation with tanh, as GPT-2 has it, and exactly with erf, as BERT has
 * it. */
Tensor *t_gelu(Tensor *x);
Tensor *t_gelu_erf(Tensor *x);

/* On a training tape each element becomes 0 with probability p; otherwise it is divided by
 * 1 - p, so that the expected value stays the same. On any other tape x itself is returned.
 * 0 <= p < 1. */
Tensor *t_dropout(Tensor *x, float p);

/* Sums: over one dimension, which disappears, or over everything, giving a shape (). */
Tensor *t_sum(Tensor *x, int dimension);
Tensor *t_mean(Tensor *x, int dimension);
Tensor *t_sum_all(Tensor *x);
Tensor *t_mean_all(Tensor *x);

/* Where `keep` is 0, -infinity; elsewhere x. Keep broadcasts to the shape of x and gets no
 * gradient. */
Tensor *t_masked(Tensor *x, Tensor *keep);

/* ---- Matrices (ops_matrix.c) ---- */

/* (..., M, K) x (..., K, N) -> (..., M, N); the dimensions in front broadcast. */
Tensor *t_matmul(Tensor *a, Tensor *b);

/* x w + b: (..., K) x (K, N) + (N) -> (..., N). */
Tensor *t_affine(Tensor *x, Tensor *w, Tensor *b);

/* ---- Rows: the last dimension is taken as a whole (ops_norm.c, ops_softmax.c) ---- */

/* (x - mean) / sqrt(variance + epsilon) * weight + bias, over each row: Ba, Kiros, Hinton
 * 2016. Weight and bias: (C), contiguous. */
Tensor *t_layer_norm(Tensor *x, Tensor *weight, Tensor *bias, float epsilon);

/* x / sqrt(mean of x^2 + epsilon) * weight, over each row: Zhang and Sennrich 2019. Weight:
 * (C), contiguous. */
Tensor *t_rms_norm(Tensor *x, Tensor *weight, float epsilon);

/* exp(x_i) / sum of exp(x_j). A row of nothing but -infinity gives zeros. */
Tensor *t_softmax(Tensor *x);

/* x_i - log(sum of exp(x_j)), the logarithm of that, without taking it of a rounded zero. A
 * row of nothing but -infinity stays so. */
Tensor *t_log_softmax(Tensor *x);

/* log(sum of exp(x_j)): (..., V) -> (...). A row of nothing but -infinity gives -infinity. */
Tensor *t_log_sum_exp(Tensor *x);

/* Scores of T queries, the last of which stands at the last of S keys: (..., T, S). What a
 * query may not see, keys after its own position, becomes -infinity. T <= S. */
Tensor *t_causal(Tensor *scores);

/* The same, and a query sees no more than `window` keys: its own and those just before it.
 * A window of 0 has no limit. */
Tensor *t_causal_window(Tensor *scores, int window);

/* The mean of -log softmax(logits)[target] over the targets that are not -1: (..., V) and
 * as many targets as there are rows -> (). Without any target it is 0. */
Tensor *t_cross_entropy(Tensor *logits, const Ids *targets);

/* The same with label smoothing: the target is wanted with probability 1 - smoothing, and the
 * rest is spread evenly over all V, the target among them: Szegedy et al. 2016.
 * 0 <= smoothing <= 1. */
Tensor *t_cross_entropy_smoothed(Tensor *logits, const Ids *targets, float smoothing);

/* ---- Ids (ops_ids.c) ---- */

/* from, from + 1, ..., to - 1: (to - from). 0 <= from <= to. */
Ids *ids_range(Tape *tape, int from, int to);

/* A copy of an array: ids_from(tape, numbers, B, T) reads B * T of them. */
#define ids_from(tape, numbers, ...) ids_from_of(tape, numbers, T_INTS(__VA_ARGS__))
Ids *ids_from_of(Tape *tape, const int *numbers, int rank, const int *shape);

/* A mask of the shape of the ids: 0 where an id equals the value, otherwise 1. */
Tensor *t_is_not(const Ids *ids, int value);

/* Rows of a table, an embedding's or an activation's: (V, C), ids of shape (...) ->
 * (..., C). Where an id comes several times, the gradients of its row are summed. */
Tensor *t_rows(Tensor *table, const Ids *ids);

/* Puts rows back where t_rows takes them: `into` (N, C), plus, for every id of (...), its
 * row of `rows` (..., C), added to the row of `into` that the id names -> (N, C). Several ids
 * may name one row. A mixture of experts sends the M tokens that chose an expert to it, and
 * sums what comes back, with
 *     Tensor *y = expert(t_rows(x, chosen));                 // (N, C) -> (M, C)
 *     sum = t_add_rows(sum, t_mul(y, weight), chosen);       // weight (M, 1)
 * M may be 0: then the gradients of that expert are 0. */
Tensor *t_add_rows(Tensor *into, Tensor *rows, const Ids *ids);

/* Entries of rows: x (..., V) and ids (..., K) -> (..., K). An id may come several times. */
Tensor *t_pick(Tensor *x, const Ids *ids);

/* The k largest entries of each row, the largest first: (..., V) -> (..., k). Of equal ones
 * that with the smaller index comes first; NaN counts as larger than any number. *ids tells
 * where in their row they stand, (..., k). The gradient goes to them alone. 0 <= k <= V. */
Tensor *t_topk(Tensor *x, int k, Ids **ids);

/* ---- Moving things (ops_move.c) ---- */

/* n tensors one after another along a dimension that they have or, stacked, along a new one.
 * All other sizes are the same. */
Tensor *t_concat(Tensor *const *parts, int n, int dimension);
Tensor *t_stack(Tensor *const *parts, int n, int dimension);

#endif
