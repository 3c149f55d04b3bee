/* run.h - the frame around every model of the book that trains: options, files, verbs, and
 * the guided run.
 *
 * A chapter says what its model is (a Run: options, how a file settles them, how a model is
 * built) and chooses what is to be learned (a Task: next tokens, see language.h, or one of
 * its own), and then
 *
 *     int main(int argc, char **argv)
 *     {
 *         ...
 *         return run_main(&chapter.language.run, argc, argv);
 *     }
 *
 * gives it these verbs, besides those of the task and its own:
 *
 *     build/chapter-04                the guided run
 *     build/chapter-04 train          --data FILE --out DIR --steps N --resume ...
 *     build/chapter-04 verify         the mechanism in scalars and in tensors
 *     build/chapter-04 probe          --load FILE --input IN --output OUT (.safetensors)
 *
 * From main to a model's forward pass lie five calls: run_main, the verb (run_train), train,
 * the loss of the task (next_token_loss), forward. */
#ifndef LINEAGE_RUN_H
#define LINEAGE_RUN_H

#include "nn/model.h"
#include "run/probe.h"
#include "run/program.h"
#include "run/trainer.h"
#include "weights/checkpoint.h"

typedef struct Run Run;

/* How an option of the model is settled by a file of weights. The first of these that has an
 * answer: the command line, the metadata under the option's own name, config.json, the
 * shapes; then what `otherwise` says; then the option's default. Answers of the
 * metadata or the shapes that contradict what was decided are errors. */
typedef struct {
    const char *option;
    const char *json;   /* its name in config.json; NULL: it is not there */
    const char *tensor; /* whose size it is; NULL: shapes do not tell */
    int dimension; /* of the tensor, or LAYERS: how many there are of "h.%d.ln_1.weight" */
    int (*otherwise)(const Checkpoint *from); /* or NULL; -1: it cannot tell */
    bool free; /* it shapes no parameter: the command line may say something else */
} Settling;
enum { LAYERS = -1 };

/* What is to be learned, and from what. Every function gets the Run, which begins the struct
 * of whoever wrote the task. */
typedef struct {
    /* The task's own options, a group or more of them, by run_add_options. */
    void (*options)(Run *run);

    /* Reads what the file says of its tokens (metadata "tokenizer"). That it says nothing is
     * an error only if they are needed. */
    bool (*tokens_of)(Run *run, const Checkpoint *from, bool needed, Error *error);

    /* The same as text, for the metadata of what is trained. The caller frees it. */
    char *(*tokens_text)(Run *run);

    /* Reads what training needs, before the model is built; makes the tokens unless a file
     * told them. */
    bool (*read)(Run *run, Error *error);

    /* Fills in what the trainer asks for: the loss, the validation, what to show. The model
     * is there. */
    bool (*learner)(Run *run, Learner *learner, Error *error);

    /* Adds what must be the same for a run to be resumed, in words. */
    void (*identity)(Run *run, char *text, size_t size);

    /* For the guided run. Prints what there is to learn from; what has been reached (or
     * NULL); commands to try next, a line each. */
    void (*plan)(Run *run);
    bool (*reached)(Run *run, Error *error);
    void (*try_next)(Run *run);

    /* Runs the model over what a probe asks for. Adds its results; the loss, if there were
     * targets, goes to *loss. */
    bool (*probe)(Run *run, const ProbeInput *in, ProbeResults *results, Tensor **loss,
                  Error *error);

    /* Frees what the task has made. */
    void (*end)(Run *run);

    const Verb *verbs; /* of the task: each gets the Run */
    int verb_count;
} Task;

struct Run {
    /* ---- What the chapter says ---- */
    const char *name;  /* "04-gpt": of its folders */
    const char *title; /* "GPT" */
    const char *about; /* what the guided run says first */
    const Task *task;

    OptionGroup model_options; /* they shape the model: a checkpoint remembers them */
    const Settling *settling;
    int settlings;
    Conventions conventions;
    Partial partial; /* how the model may differ from the file in --load */
    const char *const
        *labels; /* of results on the tape that a probe writes besides; NULL */

    /* Checks the options, and settles what the table cannot. `from` is NULL for a new model.
     * May be NULL. */
    bool (*settle)(Run *run, const Checkpoint *from, Error *error);
    /* Builds the model as the options say. It takes over the parameters. */
    Model *(*build)(Run *run, Params *params);
    /* Prints the mechanism of the chapter in scalars and in tensors; true if they agree. The
     * fault is added to a weight of the tensors, for tests; 0 here. */
    bool (*verify)(float fault);

    const Verb *verbs; /* of the chapter: each gets the Run */
    int verb_count;

    /* ---- Options that mean the same everywhere; the chapter sets the defaults ---- */
    const char *data, *load, *input, *output;
    int batch, threads;
    long seed;
    TrainerSettings training; /* `out`, the folder of the run, among them */

    /* ---- What the run has ---- */
    OptionGroup *groups;
    int group_count;
    Model *model;
    Learner learner;
    Tape *inference; /* to measure on */
    bool shows;      /* the guided run: what has been learned, while it is learned */
};

/* Reads the command line and does what it says. Returns the exit status, as program_main
 * does. */
int run_main(Run *run, int argc, char **argv);

/* ---- For tasks, and for a chapter's own verbs ---- */

/* Adds a group of options, of which it makes a copy. */
void run_add_options(Run *run, const char *title, const Option *options, int count);

/* The option of that name, which there must be. */
Option *run_option(const Run *run, const char *name);

/* What a model is made ready for. For its gradients alone no text is needed, and the file
 * need not name its tokens. */
typedef enum { TO_USE, TO_LEARN, TO_PROBE } Purpose;

/* Makes the model of a file ready. */
bool run_load(Run *run, const char *path, Purpose purpose, Error *error);

/* The model in --load, or without it the one that the last run left in --out, to be used. */
bool run_load_trained(Run *run, Error *error);

/* What training begins with: its data, and a new model as the options say, or the one in
 * --load if that was given. */
bool run_prepare(Run *run, Error *error);

/* Answers --prompt or, without one, on a terminal, a line after the other until the end of
 * the file; `otherwise` is for where there is neither. A line that cannot be answered gets
 * a sentence on stderr. */
bool run_prompts(Run *run, const char *prompt, const char *ask, const char *otherwise,
                 bool (*answer)(Run *run, const char *line, Error *error), Error *error);

/* False with a sentence if the heads do not divide the width. */
bool heads_divide(int heads, int width, Error *error);

#endif
