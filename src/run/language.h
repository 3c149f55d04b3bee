/* language.h - the program around a language model: what the chapters with a model that
 * predicts the next token have in common.
 *
 *     build/chapter-04            the guided run
 *     build/chapter-04 train      --data FILE --out DIR --steps N --resume ...
 *     build/chapter-04 sample     --load FILE --prompt TEXT ...
 *     build/chapter-04 eval       --load FILE --data FILE
 *     build/chapter-04 verify
 *     build/chapter-04 probe      --load FILE --input IN --output OUT (.safetensors)
 *
 * A chapter fills in a LanguageProgram, whose defaults it may change, and calls
 * language_main. */
#ifndef LINEAGE_LANGUAGE_H
#define LINEAGE_LANGUAGE_H

#include "weights/checkpoint.h"
#include "text/generator.h"
#include "run/program.h"
#include "text/text.h"
#include "text/tokenizer.h"

typedef struct {
    const char *name;  /* "04-gpt": of its folders */
    const char *title; /* "GPT" */
    const char *about; /* what the guided run says first */
    Conventions conventions;

    Option *options; /* the model's own; a checkpoint remembers them */
    int option_count;
    const int *context; /* the longest text the model can see, among those options */
    const Verb *verbs;  /* the chapter's own, if any; each gets the `Language *` */
    int verb_count;

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
    /* The tensors of a memory that is a state of fixed size. Then training reads the text
     * on and on and hands the state from batch to batch, and writing has no limit. NULL for
     * a memory that grows with the text. */
    Params *(*memory_state)(void *memory);
    /* Prints the chapter's mechanism in scalars and in tensors; true if they agree. */
    bool (*verify)(void);

    Common common; /* defaults for the run, to be set by the chapter */
} LanguageProgram;

/* A run of the program. */
typedef struct {
    LanguageProgram *program;

    /* What the options say. */
    const char *tokenizer_kind, *prompt;
    int tokens, split;
    SamplerSettings sampling;

    Tokenizer *tokenizer;
    Corpus corpus;
    uint64_t corpus_hash;
    Params *params;
    int vocabulary;
    Tape *inference;    /* for the validation loss */
    void *memory;       /* of one text, to write it */
    void *batch_memory; /* of a batch, where a state is carried */
    Generator *generator;
    int first;  /* the token that samples begin after */
    bool shows; /* samples while training */
} Language;

/* Returns the exit status, as program_main does. */
int language_main(LanguageProgram *program, int argc, char **argv);

/* The option of that name among the program's own. */
Option *language_option(const LanguageProgram *program, const char *name);

/* For the chapter's own verbs. Makes the model in --load, or else the one that the last run
 * left in --out, ready, and its tokenizer. */
bool language_load(Language *language, Error *error);

/* Makes the tokens of --data ready, by the tokenizer there is or else by a new one. */
bool language_read(Language *language, Error *error);

#endif
