/* dictionary.h - a dictionary of words and how they are spoken, from graphemes to phonemes,
 * cut into splits, and the measure of what a model says. */
#ifndef LINEAGE_DICTIONARY_H
#define LINEAGE_DICTIONARY_H

#include "base/error.h"
#include <stdint.h>

/* Symbols are small numbers. 0 is padding; a pronunciation begins after BEGIN and says
 * itself that it is over. */
enum { BEGIN = 1, END, FIRST_NAMED };
enum { LETTERS = 28 /* padding, the apostrophe, a to z */, LONGEST = 47 };

typedef struct {
    int length;
    unsigned char at[LONGEST + 1];
} Sequence;

/* The names of what is spoken, in alphabetical order. */
typedef struct {
    int count;         /* with the three that have no name */
    char name[256][4]; /* "AA", or with stress "AA1" */
} Alphabet;

typedef enum { TRAIN, VAL, TEST, SPLITS } Split;

typedef struct {
    Sequence letters;
    Sequence *pronunciation; /* each one is right */
    int pronunciations;
    Split split;
} Word;

typedef struct {
    const Word *word;
    const Sequence *pronunciation;
} Pair;

typedef struct {
    Alphabet alphabet;
    Word *word;
    Sequence *pronunciation; /* of all words */
    long words, pronunciations;
    /* Each word with each of its pronunciations; the shortest words come first. */
    Pair *pair[SPLITS];
    long pairs[SPLITS];
    uint64_t *order, *turn; /* of the training pairs in a pass, and of the batches */
    long pass;
} Dictionary;

/* A word always falls into the same split: by its bytes' FNV-1a hash of 32 bits, modulo
 * 100. Below 90 it is for training, below 95 for validation, and otherwise for the test. */
Split dictionary_split(const char *word, int length);

/* Reads a file of lines "word<TAB>pronunciation<TAB>pronunciation...". Without stress, the
 * digits 0, 1, 2 of vowels are dropped. The alphabet is one that a model knows; NULL: the
 * one that the file has. NULL with a sentence if the file is no dictionary. */
Dictionary *dictionary_read(const char *path, bool stress, const Alphabet *known,
                            Error *error);

/* A task of the same form that can be learned in seconds: random strings of 1 to 12
 * letters, pronounced backwards. */
Dictionary *dictionary_of_reversals(void);

void dictionary_free(Dictionary *d);

/* A number that tells dictionaries apart. */
uint64_t dictionary_hash(const Dictionary *d);

/* The letters of a word, in capitals or not. False with a sentence if it has others, or
 * none, or too many. */
bool letters_read(const char *word, int length, Sequence *letters, Error *error);

char letter_of(int symbol);

/* "AA AE AH ...", and back; the caller frees it. */
char *alphabet_names(const Alphabet *alphabet);
bool alphabet_read(Alphabet *alphabet, const char *names, Error *error);

/* Writes a sequence as the names of its symbols. */
enum { NAMES_BYTES = 4 * LONGEST + 1 };
void alphabet_spell(const Alphabet *alphabet, const Sequence *spoken,
                    char text[NAMES_BYTES]);

/* ---- Measuring ---- */

typedef struct {
    long edits, symbols; /* away from the nearest pronunciation; in it */
    long wrong, words;   /* that are none of the pronunciations */
} Score;

void score_add(Score *score, const Word *word, const Sequence *said);

/* The pronunciation that is nearest to what was said, the first of equals. */
const Sequence *nearest_pronunciation(const Word *word, const Sequence *said);

#endif
