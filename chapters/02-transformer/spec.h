/* spec.h - attention once more, in scalars: what the fast code is held to. */
#ifndef LINEAGE_TRANSFORMER_SPEC_H
#define LINEAGE_TRANSFORMER_SPEC_H

#include "scalar/grid.h"

/* x w' + b: (T, K), (N, K), (1, N) -> (T, N). */
Grid spec_linear(Grid x, Grid w, Grid b);

/* One head of attention: queries (T, D), keys and values (S, D) -> (T, D). Query t sees
 * place s where keep[t * S + s] is not 0, of which there must be one. */
Grid spec_attention(Grid q, Grid k, Grid v, const int *keep);

/* Positions past, past + 1, ... as sines and cosines: (T, C). */
Grid spec_positions(Scalars *tape, int past, int T, int C);

#endif
