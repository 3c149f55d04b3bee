/* compare.h - the mechanism of the chapter in scalars and in tensors, side by side. */
#ifndef LINEAGE_TRANSFORMER_COMPARE_H
#define LINEAGE_TRANSFORMER_COMPARE_H

#include <stdbool.h>

/* Computes one head of attention, from one sequence to another and under a mask, and the
 * sinusoids, both ways, and prints them; true if they agree. `fault` is added to a weight
 * of the tensors only: whoever wants to see the comparison fail gives something that is not
 * 0. */
bool compare_attention(float fault);

#endif
