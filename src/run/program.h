/* program.h - the face that all programs of the book share: a verb, options, --help, and
 * one sentence when something goes wrong.
 *
 *     build/chapter-04                    the guided run
 *     build/chapter-04 train --steps 500  a verb, and options */
#ifndef LINEAGE_PROGRAM_H
#define LINEAGE_PROGRAM_H

#include "base/options.h"
#include "run/trainer.h"

/* Something that a program can do. When it fails, the error holds the sentence; when it was
 * interrupted, it holds none. */
typedef struct {
    const char *name; /* "" is what happens without a verb */
    bool (*run)(void *self, Error *error);
    const char *help; /* a few words */
} Verb;

typedef struct {
    const char *name;  /* "04-gpt": of its folders */
    const char *title; /* "GPT" */
    void *self;        /* handed to the verbs */
    const Verb *verbs;
    int verb_count;
    OptionGroup *groups;
    int group_count;
    const int *threads; /* one of the options */
} Program;

/* Reads the command line and does what it says. Returns the exit status: 0, or 1 after a
 * sentence on stderr, or 128 + the signal that interrupted it: 130 after Ctrl-C. Output
 * that was printed and did not arrive is a failure, too. */
int program_main(const Program *program, int argc, char **argv);

/* The options that mean the same in every program that trains. The chapter sets the
 * defaults. */
typedef struct {
    const char *data, *load, *input, *output;
    int batch, threads;
    long seed;
    TrainerSettings training;
    Option training_option[14], file_option[7]; /* filled by common_options */
} Common;

/* Fills in "training" and "files and the run". They point into *common, which must stay
 * where it is. */
void common_options(Common *common, OptionGroup groups[2]);

/* Trains, and says in the settings what the options say. False if it failed or was
 * interrupted. */
bool common_train(Common *common, const Learner *learner, Error *error);

#endif
