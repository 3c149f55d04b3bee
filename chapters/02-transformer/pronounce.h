/* pronounce.h - the task of the chapter: to say words that were never heard. */
#ifndef LINEAGE_PRONOUNCE_H
#define LINEAGE_PRONOUNCE_H

#include "answers.h"
#include "run/run.h"

enum { TASK_PRONOUNCE, TASK_REVERSE };

typedef struct {
    Run run;
    TransformerConfig config;

    /* What the options say. */
    int task, split;
    bool stress;
    double smoothing;
    const char *prompt; /* NULL: none was given */

    /* What there is. */
    Alphabet alphabet; /* without a symbol as long as there is none */
    Dictionary *dictionary;
    Speaker speaker;
} Pronouncer;

/* For a Run that begins a Pronouncer. */
extern const Task pronouncing;

#endif
