/* probing.h - the model's answers to given symbols, for checking; see src/run/probe.h. */
#ifndef LINEAGE_TRANSFORMER_PROBING_H
#define LINEAGE_TRANSFORMER_PROBING_H

#include "transformer.h"

/* Reads `source` (B, S), `target_in` and, if there are any, `targets` (B, T), 0 being
 * padding, from one file; writes logits, loss and gradients to another. */
bool probe_transformer(const Transformer *m, const char *input, const char *output,
                       Error *error);

#endif
