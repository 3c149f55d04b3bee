/* compare.h - the cells of the chapter in scalars and in tensors, side by side. */
#ifndef LINEAGE_RNN_COMPARE_H
#define LINEAGE_RNN_COMPARE_H

#include <stdbool.h>

/* Computes a text of three characters and its loss both ways, with each of the three cells,
 * and prints them; true if they agree. `fault` is added to a weight of the tensors only:
 * whoever wants to see the comparison fail gives something that is not 0. */
bool compare_cells(float fault);

#endif
