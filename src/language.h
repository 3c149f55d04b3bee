/* language.h - the program around a language model: what the chapters with a model that
 * predicts the next token have in common.
 *
 *     build/chapter-04            the guided run
 *     build/chapter-04 train      --data FILE --out DIR --steps N --resume ...
 *     build/chapter-04 sample     --load FILE --prompt TEXT ...
 *     build/chapter-04 eval       --load FILE --data FILE
 *     build/chapter-04 verify
 *     build/chapter-04 probe      --load FILE --input IN.safetensors --output
 * OUT.safetensors
 *
 * A chapter fills in a LanguageProgram, whose defaults it may change, and calls
 * language_main. */
#ifndef LINEAGE_LANGUAGE_H
#define LINEAGE_LANGUAGE_H

#include "checkpoint.h"
#include "trainer.h"

typedef struct LanguageProgram LanguageProgram;
struct LanguageProgram {
    const char *name;  /* "04-gpt": of its folders */
    const char *title; /* "GPT" */
    const char *about; /* what the guided run says first */
    Conventions conventions;

    Option *options; /* the model's own; a checkpoint remembers them */
    int option_count;
    const int *context; /* the longest text the model can see, among those options */

    /* The chapter's functions; `self` is handed to each. */
    void *self;
    /* Settles the options from a file (NULL: a new model), and checks them. */
    bool (*settle)(void *self, const Checkpoint *from, Error *error);
    /* The vocabulary of a file. */
    int (*vocabulary)(void *self, const Checkpoint *from);
    /* Builds a model as the options say; what it builds stays until the program ends. */
    Params *(*build)(void *self, int vocabulary, uint64_t seed);
    void (*destroy)(void *self);
    Tensor *(*forward)(void *self, const Ids *tokens, void *memory, int past);
    void *(*memory_new)(void *self, int batch);
    void (*memory_free)(void *memory);
    /* Prints the chapter's mechanism in scalars and in tensors; true if they agree. */
    bool (*verify)(void);

    /* Defaults for the run, to be set by the chapter. */
    int batch;
    TrainerSettings training;
};

/* Returns the exit status: 0, or 1 after a sentence on stderr, or 130 after Ctrl-C. */
int language_main(LanguageProgram *program, int argc, char **argv);

/* The option of that name among the program's own. */
Option *language_option(const LanguageProgram *program, const char *name);

#endif
