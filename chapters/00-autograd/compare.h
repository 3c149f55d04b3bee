/* compare.h - the network in scalars and in tensors, side by side. */
#ifndef LINEAGE_AUTOGRAD_COMPARE_H
#define LINEAGE_AUTOGRAD_COMPARE_H

#include <stdbool.h>

/* Computes the loss of a small network and all gradients both ways, and prints them; true
 * if they agree. `fault` is added to a weight of the tensors only: whoever wants to see the
 * comparison fail gives something that is not 0. */
bool compare_networks(unsigned seed, float fault);

#endif
