/* elmo.h - vectors of a word that depend on what stands around it. */
#ifndef LINEAGE_ELMO_H
#define LINEAGE_ELMO_H

#include "rnn.h"

/* Trains two language models on the words of a text, one that reads forward and one that
 * reads backward, and compares the vectors that they give to one word in different places.
 * Prints two tables. False with a sentence if the text cannot be used or the word is not
 * twice in it. */
bool elmo_experiment(RnnConfig config, const char *path, const char *word, uint64_t seed,
                     Error *error);

#endif
