/* trainer.h - the loop around every model of the book.
 *
 * A run leaves in its folder
 *     model.safetensors   the parameters with the lowest validation loss so far
 *     state.safetensors   everything that resuming needs: parameters, moments, what is
 *                         carried from step to step, counters, the length of the log
 *     log.csv             a row now and then; see `log_header` in trainer.c
 *     loss.svg            the same as a picture
 *     result.csv          written in the end, or when interrupted: a header and one line,
 *                             parameters,active_parameters,best_val_loss,tokens,seconds,
 *                             tokens_per_second,peak_memory_bytes
 *                         tokens and seconds of the whole run, as in the log; the memory of
 *                         the process that ended it
 *     previous/           the same of the run that was there before, if there was one
 * each of them replaced as a whole, so that a run may be killed at any moment. A run that
 * was interrupted and resumed ends with the same bits as one that was not. Two runs cannot
 * use one folder at the same time. */
#ifndef LINEAGE_TRAINER_H
#define LINEAGE_TRAINER_H

#include "nn/nn.h"
#include "plot/plot.h"
#include "weights/safetensors.h"

/* What is to be trained. `model` is handed to every function. */
typedef struct {
    void *model;
    Params *params;
    Params *carried;        /* states that outlive a step; NULL if none */
    long tokens_per_step;   /* for the counts of tokens */
    long active_parameters; /* those that one token meets; 0: all of them */

    /* The loss of the batch of this step, on the tape; nothing but the step, the seed and
     * the carried states may decide what that batch is. */
    Tensor *(*loss)(void *model, Tape *tape, long step);
    /* The loss over the whole validation split. */
    double (*validate)(void *model);
    /* Shows what the model has learned after so many steps. NULL: nothing to show. */
    void (*show)(void *model, long step);
    /* Called after each step of the optimizer, with its tape. NULL: no need. */
    void (*stepped)(void *model, Tape *tape);

    const char *training_loss;   /* its name in the picture; NULL: "training" */
    const PlotReference *levels; /* losses to compare with, for the picture */
    int level_count;

    const SafeMetadata *metadata; /* what model.safetensors says of itself */
    int metadata_count;
    const char *identity; /* what must be the same for a run to be resumed, in words */
} Learner;

typedef struct {
    const char *out; /* the folder */
    int optimizer;   /* an OptimizerKind */
    int schedule;    /* a ScheduleKind */
    const char *title;
    bool resume;
    bool profile; /* print in the end where the time went */
    long steps, eval_every, warmup;
    uint64_t seed;
    double learning_rate, min_learning_rate, beta1, beta2, weight_decay, clip;
} TrainerSettings;

typedef enum { TRAINER_DONE, TRAINER_INTERRUPTED, TRAINER_FAILED } TrainerEnd;

/* Trains until the last step or until a signal asks it to stop (Ctrl-C and others, see
 * base/interrupt.h), which saves and ends with TRAINER_INTERRUPTED; a second one ends the
 * program at once. Progress goes to stdout: one live line on a terminal, a line a row
 * otherwise. A log that is shorter than the state says is taken up as it is, with a line on
 * stderr. A loss that is no longer a number fails with the step and the tensor where it
 * began, and leaves the files as they were. */
TrainerEnd train(const Learner *learner, const TrainerSettings *settings, Error *error);

#endif
