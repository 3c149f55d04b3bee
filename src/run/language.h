/* language.h - learning to predict the next token of a text: the task of every language
 * model of the book.
 *
 *     Language language = {
 *         .run = {.task = &next_token, .name = "04-gpt", ...},
 *         .embedding = "wte.weight",
 *         .context = &config.context,
 *     };
 *     return run_main(&language.run, argc, argv);
 *
 * Its verbs, besides those of run.h:
 *
 *     build/chapter-04 sample     --load FILE --prompt TEXT ...
 *     build/chapter-04 eval       --load FILE --data FILE */
#ifndef LINEAGE_LANGUAGE_H
#define LINEAGE_LANGUAGE_H

#include "run/generator.h"
#include "run/run.h"
#include "text/synthetic.h"
#include "text/text.h"
#include "text/tokenizer.h"

enum { SPLIT_ALL, SPLIT_VAL };
enum { PAST_WINDOW, PAST_FULL };

typedef struct {
    Run run;

    /* What the chapter says. */
    const char *embedding; /* the matrix with a row for each token */
    const int *context;    /* tokens of a window in training, an option of the model */

    /* What the options say. */
    const char *tokenizer_kind, *prompt;
    int tokens, split, past;
    int synthetic; /* 0: none, otherwise 1 + the Synthetic */
    SamplerSettings sampling;

    /* What there is. */
    int vocabulary; /* V; rows of the embedding */
    Tokenizer *tokenizer;
    Corpus corpus;
    uint64_t corpus_hash;
    Memory *carried; /* of a batch, where the state goes on from batch to batch */
    Generator *generator;
    int first;       /* the token that samples begin after */
    double accuracy; /* of the last validation: predictions that were the most probable */
    PlotReference levels[2];
} Language;

extern const Task next_token;

/* ---- For the chapter's own verbs ---- */

/* Makes the tokens of --data ready, by the tokenizer there is or by a new one; or a synthetic
 * task in its place. */
bool language_read(Language *language, Error *error);

/* A verb: draws the attention weights that the model has labelled "attention" while it reads
 * --prompt, a picture for each block and head. */
bool language_attention(void *language, Error *error);

/* ---- Its parts: measure.c and write.c ---- */

/* The task of --synthetic, which must have been given. */
static inline Synthetic language_synthetic(const Language *language)
{
    return (Synthetic)(language->synthetic - 1);
}

/* The loss of the batch of a step, and that of the validation split, for the trainer. */
Tensor *next_token_loss(void *language, Tape *tape, long step);
double language_validate(void *language);

/* The verb `eval`. */
bool language_eval(void *language, Error *error);

/* Makes ready what writes a text; the model must be there. */
void language_make_generator(Language *language);

/* Writes a sample while training, and the verb `sample`. */
void language_show(void *language, long step);
bool language_sample(void *language, Error *error);

#endif
