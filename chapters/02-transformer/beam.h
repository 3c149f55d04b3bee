/* beam.h - searching for the most probable answer. */
#ifndef LINEAGE_BEAM_H
#define LINEAGE_BEAM_H

#include "text/dictionary.h"
#include "transformer.h"

typedef struct {
    Sequence said;
    double score; /* see beam_search */
} Guess;

/* For each of B sources (B, S) the `width` most probable answers that were found, best
 * first, into guess (B, width); those that were not found have the score -infinity. Width 1
 * takes the most probable symbol at every step, greedily. The score of an answer of n
 * symbols, END among them, is the logarithm of its probability divided by
 * ((5 + n) / 6)^alpha: Wu et al. 2016, equation 14; without it long answers lose only
 * because they are long. The tape of the source must be one for inference. */
void beam_search(const Transformer *m, const Ids *source, int width, double alpha,
                 Guess *guess);

#endif
