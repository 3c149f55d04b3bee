/* pictures.h - what this chapter draws: the line between the moons, and the table of pairs. */
#ifndef LINEAGE_AUTOGRAD_PICTURES_H
#define LINEAGE_AUTOGRAD_PICTURES_H

#include "base/error.h"
#include "mlp.h"
#include "text/tokenizer.h"

/* The points, and the line on which the score of the network is 0. False with a sentence if
 * the file cannot be written; so below. */
bool draw_moons(const char *path, const Mlp *mlp, const Moons *moons, Error *error);

/* How probable each character is after each other one, for the most frequent of them, from
 * the counts (V, V) of pairs. */
bool draw_pairs(const char *path, const double *count, const Tokenizer *tokenizer,
                Error *error);

#endif
