/* program.h - the face that all programs of the book share: a verb, options, --help, and
 * one sentence when something goes wrong.
 *
 *     build/chapter-04                    the guided run
 *     build/chapter-04 train --steps 500  a verb, and options */
#ifndef LINEAGE_PROGRAM_H
#define LINEAGE_PROGRAM_H

#include "base/options.h"

/* Something that a program can do. When it fails, the error holds the sentence; when it was
 * interrupted, it holds none. */
typedef struct {
    const char *name; /* "" is what happens without a verb */
    bool (*run)(void *self, Error *error);
    const char *help; /* a few words */
} Verb;

/* The number of elements of an array, for the tables here. */
#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

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

/* The two halves of it, for a program that does more than that. Finds the verb and sets the
 * options; NULL with a sentence, or with none where --help was asked for and is printed. */
const Verb *program_read(const Program *program, int argc, char **argv, Error *error);

/* The exit status of a verb that ended like this, once the sentence is printed. */
int program_status(const Program *program, bool done, Error *error);

#endif
