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

/* ---- Rows (ops_rows.c): the last dimension is taken as a whole ---- */

/* exp(x_i) / sum of exp(x_j). A row with nothing but -infinity gives zeros. */
Tensor *t_softmax(Tensor *x);

/* Scores of T queries, the last of which stands at the last of S keys: (..., T, S). What a
 * query may not see, keys after its own position, becomes -infinity. T <= S. */
Tensor *t_causal(Tensor *scores);

/* (x - mean) / sqrt(variance + epsilon) * weight + bias, over each row: Ba, Kiros, Hinton
 * 2016. Weight and bias: (C), contiguous. */
Tensor *t_layer_norm(Tensor *x, Tensor *weight, Tensor *bias, float epsilon);

/* The mean of -log softmax(logits)[target] over the targets that are not -1: (..., V) and
 * as many targets as there are rows -> (). Without any target it is 0. */
Tensor *t_cross_entropy(Tensor *logits, const Ids *targets);

/* The same, but what is wanted is the target with probability 1 - smoothing, and with the
 * rest any of the V (the target among them): Szegedy et al. 2016. 0 <= smoothing <= 1. */
Tensor *t_cross_entropy_smoothed(Tensor *logits, const Ids *targets, float smoothing);

/* ---- Moving things (ops_move.c) ---- */

/* Rows of a table (V, C), looked up: ids of shape (...) -> (..., C). */
Tensor *t_rows(Tensor *table, const Ids *ids);

/* n tensors one behind the other along a dimension they have, or, stacked, along a new one.
 * All other sizes are the same. */
Tensor *t_concat(Tensor *const *parts, int n, int dimension);
Tensor *t_stack(Tensor *const *parts, int n, int dimension);

#endif
