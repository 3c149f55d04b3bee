/* spec.h - the mechanism of GPT once more, in scalars: what the fast code is held to. */
#ifndef LINEAGE_GPT_SPEC_H
#define LINEAGE_GPT_SPEC_H

#include "scalar/grid.h"

/* x w + b: (T, K), (K, N), (1, N) -> (T, N). */
Grid spec_linear(Grid x, Grid w, Grid b);

/* One head of causal self-attention: queries, keys and values side by side in qkv,
 * (T, 3D) -> (T, D). */
Grid spec_attention(Grid qkv);

/* What -log of the probability is that softmax gives to the target, where the logits are
 * the dot products of x (1, C) with the rows of a table (V, C). */
Scalar *spec_cross_entropy(Grid x, Grid table, int target);

#endif
