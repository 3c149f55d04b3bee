/* synthetic.h - tasks made of random tokens, which ask for one ability each.
 *
 * A row of T tokens first shows something and then asks for it. The targets are -1 except
 * where something is asked, so that loss and accuracy count the answers alone; each follows
 * from the tokens up to its place, and to a model that has not remembered them all answers
 * are equally probable. Written in characters, tokens above targets (a dot is -1):
 *
 *   copy       cafe|caf   A random string, a separator, the string again. Asked is every
 *              ....cafe   token of the repetition: T / 2 tokens, out of 14. Jelassi et al.
 *                         ("Repeat after me", 2024): out of 26, up to 300 of them.
 *   selective  a..f..??   Selective copying: tokens among blanks at random places, then a
 *              ......af   question mark for each; asked are they, in order. T / 4 tokens,
 *                         at most 16. Mamba (Gu and Dao 2023, section 4.1, appendix E.1):
 *                         16 of them in 4,096 places, a vocabulary of 16, as here.
 *   induction  bc!adkc!   Induction heads: a random string with a mark somewhere in it; at
 *              .......a   the end comes the mark again, and asked is what followed it.
 *                         Mamba (section 4.1, after Olsson et al. 2022): T = 256, a
 *                         vocabulary of 16, as here.
 *   recall     AxBkBkAx   Associative recall: pairs of a key and a value, each key once,
 *              ....k.x.   then all pairs again in a random order; asked are the values.
 *                         T / 4 pairs, at most 26; blanks between the two parts fill what
 *                         is left of T. Arora et al. ("Zoology", 2023): 4 to 64 pairs, T = 64
 *                         to 512, a vocabulary of 8,192; here one of 53. */
#ifndef LINEAGE_SYNTHETIC_H
#define LINEAGE_SYNTHETIC_H

#include "tensor/tensor.h"

typedef enum {
    SYNTHETIC_COPY,
    SYNTHETIC_SELECTIVE,
    SYNTHETIC_INDUCTION,
    SYNTHETIC_RECALL
} Synthetic;

/* The names in the order of the enum, for an option. */
#define SYNTHETIC_NAMES "copy|selective|induction|recall"

typedef enum { SYNTHETIC_TRAINING, SYNTHETIC_VALIDATION } SyntheticSplit;

/* How many tokens a task has, V; and what they look like: character i is token i. To a
 * tokenizer of the kind "char" that was trained on these characters they are the same. */
int synthetic_vocabulary(Synthetic task);
const char *synthetic_characters(Synthetic task);

/* Fails with a sentence when T tokens are too few for the task. */
bool synthetic_fits(Synthetic task, int T, Error *error);

/* Batch `number` of a split: fills both ids, (B, T), with rows number * B and following of
 * an endless list. A row depends on the task, T, the split and the seed alone; for the
 * validation split the seed does not count, so that all runs are measured on the same. */
void synthetic_batch(Synthetic task, SyntheticSplit split, uint64_t seed, long number,
                     Ids *tokens, Ids *targets);

#endif
