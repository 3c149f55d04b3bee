/* memory.h - how far back a cell can learn to look. */
#ifndef LINEAGE_MEMORY_H
#define LINEAGE_MEMORY_H

#include "base/error.h"
#include <stdint.h>

enum { MEMORY_STEPS = 400 }; /* of training, where nobody says otherwise */

/* Trains every cell to recall a symbol after ever longer lags, for so many steps each, prints
 * what became of it, and leaves two pictures in the folder `out`: recall.svg, how often the
 * symbol is recalled, and gradients.svg, how much of the gradient arrives how far back. False
 * with a sentence when they cannot be written. */
bool memory_experiment(const char *out, double forget_bias, long steps, uint64_t seed,
                       Error *error);

#endif
