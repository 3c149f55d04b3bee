/* answers.h - what a trained model says, and how right it is. */
#ifndef LINEAGE_ANSWERS_H
#define LINEAGE_ANSWERS_H

#include "beam.h"

/* A model, and how it is asked. */
typedef struct {
    const Transformer *model;
    const Alphabet *alphabet;
    Tape *tape; /* for inference */
    int width;  /* of the beam */
    double penalty;
} Speaker;

/* The mean loss over the pairs of a split, without smoothing, and over how many symbols. */
double split_loss(const Speaker *s, const Dictionary *d, Split split, long *symbols);

/* A word that was said in no right way. */
typedef struct {
    const Word *word;
    Guess guess;
} Mistake;

/* Asks for the words of a split, or for `most` of them, evenly spread, if it has more. The
 * `room` mistakes of which the model was surest go to `mistake`, the surest first; returns
 * how right it was. */
Score split_score(const Speaker *s, const Dictionary *d, Split split, long most,
                  Mistake *mistake, int room);

/* "PER 6.81%, WER 27.45%": phonemes and words that are wrong. */
void print_score(const Score *score);
void print_mistakes(const Speaker *s, const Mistake *mistake, int room);

/* Prints how each word of a text is pronounced, as the model thinks, in up to `width` ways
 * with their probabilities. False with a sentence at a word that it cannot read. */
bool say_words(const Speaker *s, const char *text, Error *error);

/* Draws the cross-attention weights of the decoder while it said a word: for each layer a
 * map of letters and symbols, the mean of its heads, as `folder`/attention-0.svg and so
 * on. */
bool draw_attention(const Speaker *s, const char *word, const char *folder, Error *error);

#endif
