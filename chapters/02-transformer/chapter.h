/* chapter.h - the program's options, and what they make ready: a model and its words. */
#ifndef LINEAGE_TRANSFORMER_CHAPTER_H
#define LINEAGE_TRANSFORMER_CHAPTER_H

#include "answers.h"
#include "g2p.h"
#include "run/program.h"
#include "transformer.h"

enum { TASK_PRONOUNCE, TASK_REVERSE };
enum { GROUPS = 4, MODEL_OPTIONS = 11, ASKING_OPTIONS = 5 };

typedef struct {
    Common common;
    Option model_option[MODEL_OPTIONS], asking_option[ASKING_OPTIONS];
    OptionGroup groups[GROUPS];

    TransformerConfig config;
    int task, split;
    bool stress, shows;
    double smoothing;
    const char *prompt; /* NULL: none was given */

    Transformer *model;
    Alphabet alphabet; /* without a symbol as long as there is none */
    Dictionary *dictionary;
    Speaker speaker;
} Chapter;

/* Fills in the table of options, with what the chapter holds as defaults. It must stay
 * where it is. */
void chapter_options(Chapter *c);

/* Makes ready what training needs: the dictionary, and a new model or the one in --load. */
bool chapter_prepare(Chapter *c, Error *error);

/* The model in --load, or else the one that was trained last, with its alphabet. */
bool chapter_load(Chapter *c, Error *error);

/* The model in a file, whether it has an alphabet or not. */
bool chapter_load_model(Chapter *c, const char *path, Error *error);

/* The words of the task. False with a sentence if the split that is needed has none. */
bool chapter_read(Chapter *c, Split needed, Error *error);

void chapter_free(Chapter *c);

#endif
