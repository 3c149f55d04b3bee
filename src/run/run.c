/* run.c - the frame around every model of the book that trains. */
#include "run/run.h"
#include "tensor/parallel.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Exact as a double, which is what a bound of an option is. */
#define MOST_SEED (LONG_MAX < 1LL << 53 ? LONG_MAX : (long)(1LL << 53))

/* ---- Options ---- */

void run_add_options(Run *run, const char *title, const Option *options, int count)
{
    size_t room = (size_t)run->group_count + 1, size = (size_t)count * sizeof *options;
    OptionGroup *larger = realloc(run->groups, room * sizeof *larger);
    if (!larger)
        out_of_memory(room * sizeof *larger, "the options");
    Option *kept = allocate((size_t)count, sizeof *kept);
    memcpy(kept, options, size);
    run->groups = larger;
    run->groups[run->group_count++] = (OptionGroup){title, kept, count};
}

static void add_training_options(Run *run)
{
    TrainerSettings *set = &run->training;
    const Option options[] = {
        option_long("steps", &set->steps, 0, 1000000000, "training steps"),
        option_int("batch", &run->batch, 1, 65536, "texts B in a step"),
        option_real("lr", &set->learning_rate, 0, 10, "learning rate at its highest"),
        option_real("min-lr", &set->min_learning_rate, 0, 10, "learning rate in the end"),
        option_long("warmup", &set->warmup, 0, 1000000000,
                    "steps until it is at its highest"),
        option_choice("schedule", &set->schedule, "cosine|inverse-sqrt",
                      "how it falls after that; see src/nn/optim.h"),
        option_choice("optimizer", &set->optimizer, "adamw|muon", "see src/nn/optim.h"),
        option_real("weight-decay", &set->weight_decay, 0, 10,
                    "pull of matrices towards 0"),
        option_real("beta1", &set->beta1, 0, 0.999999, "memory of AdamW for gradients"),
        option_real("beta2", &set->beta2, 0, 0.999999, "memory of AdamW for their squares"),
        option_real("clip", &set->clip, 0, 1e9, "longest gradient; 0 does not clip"),
        option_long("eval-every", &set->eval_every, 1, 1000000000,
                    "steps between looks at the validation loss"),
        option_flag("resume", &set->resume, "go on where the run in --out stopped"),
        option_flag("profile", &set->profile, "tell in the end where the time went"),
    };
    run_add_options(run, "training", options, COUNT(options));
}

static void add_file_options(Run *run)
{
    const Option options[] = {
        option_text("data", &run->data, "FILE", "what to learn from or to measure on"),
        option_text("out", &run->training.out, "DIR", "where a run leaves its files"),
        option_text("load", &run->load, "FILE", "the weights to begin with"),
        option_text("input", &run->input, "FILE", "probe: what goes in"),
        option_text("output", &run->output, "FILE", "probe: logits, loss and gradients"),
        option_long("seed", &run->seed, 0, MOST_SEED, "where random numbers begin"),
        option_int("threads", &run->threads, 0, 32, "threads; 0 for one a processor"),
    };
    run_add_options(run, "files and the run", options, COUNT(options));
}

/* ---- Training ---- */

/* The options that shape the model, and its tokens: what a checkpoint says of itself. */
static void fill_metadata(Run *run)
{
    int count = run->model_options.count;
    SafeMetadata *metadata = allocate((size_t)count + 1, sizeof *metadata);
    for (int i = 0; i < count; i++) {
        const Option *option = &run->model_options.options[i];
        metadata[i] = (SafeMetadata){option->name, options_get(option)};
    }
    metadata[count] = (SafeMetadata){"tokenizer", run->task->tokens_text(run)};
    run->learner.metadata = metadata;
    run->learner.metadata_count = count + (metadata[count].value != NULL);
}

/* "layers 4, heads 4, ..., seed 1": a run can be resumed by one that is called the same. */
static void fill_identity(Run *run)
{
    enum { SIZE = 4096 };
    char *text = allocate(SIZE, 1);
    size_t length = 0;
    for (int i = 0; i < run->model_options.count && length < SIZE; i++)
        length += (size_t)snprintf(text + length, SIZE - length, "%s %s, ",
                                   run->learner.metadata[i].key,
                                   run->learner.metadata[i].value);
    if (length < SIZE)
        length += (size_t)snprintf(text + length, SIZE - length, "batch %d, seed %ld, ",
                                   run->batch, run->seed);
    if (length < SIZE)
        run->task->identity(run, text + length, SIZE - length);
    run->learner.identity = text;
}

static void model_stepped(void *self, Tape *tape)
{
    Model *model = ((Run *)self)->model;
    model->stepped(model, tape);
}

/* Data, a model, and what the trainer wants to know of them. */
static bool prepare(Run *run, Error *error)
{
    if (!run_prepare(run, error))
        return false;
    run->learner = (Learner){.model = run,
                             .params = run->model->params,
                             .active_parameters = run->model->active_parameters,
                             .stepped = run->model->stepped ? model_stepped : NULL};
    run->training.title = run->title;
    run->training.seed = (uint64_t)run->seed;
    fill_metadata(run);
    fill_identity(run);
    return run->task->learner(run, &run->learner, error);
}

/* An interruption is a failure without a sentence. */
static bool ended(TrainerEnd end, Error *error)
{
    if (end == TRAINER_INTERRUPTED)
        *error->text = 0;
    return end == TRAINER_DONE;
}

static bool run_train(void *self, Error *error)
{
    Run *run = self;
    return prepare(run, error) && ended(train(&run->learner, &run->training, error), error);
}

static bool run_verify(void *self, Error *error)
{
    const Run *run = self;
    printf("The mechanism of the chapter, as spec.c writes it and as the model computes "
           "it:\n\n");
    return run->verify(0) || fail(error, "scalars and tensors do not agree");
}

/* ---- The guided run ---- */

static void print_plan(Run *run)
{
    putchar('\n');
    run->task->plan(run);
    printf("The model:\n\n");
    params_print(stdout, run->model->params);
    printf("\nTraining: %ld steps of %d texts, %ld tokens, on %d threads.\n"
           "Ctrl-C stops and keeps what was learned.\n",
           run->training.steps, run->batch, run->learner.tokens_per_step,
           parallel_thread_count());
}

static void print_farewell(Run *run)
{
    printf("\nIn %s/ you find\n"
           "  model.safetensors   the best weights\n"
           "  log.csv, loss.svg   how the loss fell\n"
           "  state.safetensors   what --resume needs\n"
           "\nTry next\n",
           run->training.out);
    run->task->try_next(run);
    printf("and read on in chapters/%s/README.md.\n", run->name);
}

static bool run_guided(void *self, Error *error)
{
    Run *run = self;
    run->shows = true;
    if (!prepare(run, error))
        return false;
    printf("%s\n\n", run->about);
    if (!run_verify(run, error))
        return false;
    print_plan(run);
    if (!ended(train(&run->learner, &run->training, error), error) ||
        (run->task->reached && !run->task->reached(run, error)))
        return false;
    print_farewell(run);
    return true;
}

/* ---- Probing ---- */

static bool probe_model(Run *run, const ProbeInput *in, Error *error)
{
    ProbeResults results = {NULL, 0};
    Tensor *loss = NULL;
    bool right = run->task->probe(run, in, &results, &loss, error);
    for (int i = 0; right && run->labels && run->labels[i]; i++)
        probe_add(&results, run->labels[i], tape_labelled(in->tape, run->labels[i], 0));
    if (right) {
        probe_add(&results, "loss", loss);
        if (loss)
            backward(loss);
        right = probe_write(run->output, &results, run->model->params, loss != NULL, error);
    }
    free(results.result);
    return right;
}

static bool run_probe(void *self, Error *error)
{
    Run *run = self;
    if (!run->input || !run->output || !run->load)
        return fail(error, "probe needs --load FILE, --input FILE and --output FILE");
    if (!run_load(run, run->load, TO_PROBE, error))
        return false;
    ProbeInput in = {safetensors_open(run->input, error), run->input, NULL};
    if (!in.file)
        return false;
    in.tape = tape_new(TAPE_PROBE, 0);
    bool right = probe_model(run, &in, error);
    tape_free(in.tape);
    safetensors_close((Safetensors *)in.file);
    return right;
}

/* ---- Prompts ---- */

bool run_prompts(Run *run, const char *prompt, const char *ask, const char *otherwise,
                 bool (*answer)(Run *run, const char *line, Error *error), Error *error)
{
    if (prompt || !isatty(STDIN_FILENO))
        return answer(run, prompt ? prompt : otherwise, error);
    char *line = NULL;
    size_t room = 0;
    for (;;) {
        fputs(ask, stdout);
        fflush(stdout);
        if (getline(&line, &room, stdin) < 0)
            break;
        line[strcspn(line, "\n")] = 0;
        if (!answer(run, line, error))
            fprintf(stderr, "%s\n", error->text);
    }
    putchar('\n');
    free(line);
    return true;
}

/* ---- The program ---- */

static const Verb verbs[] = {
    {"", run_guided, "the guided run: train with the defaults, and show"},
    {"train", run_train, "train"},
    {"verify", run_verify, "the mechanism in scalars and in tensors, side by side"},
    {"probe", run_probe, "logits, loss and gradients for given tokens"}};

static void end_run(Run *run)
{
    run->task->end(run);
    for (int i = 0; i < run->learner.metadata_count; i++)
        free((char *)run->learner.metadata[i].value);
    free((SafeMetadata *)run->learner.metadata);
    free((char *)run->learner.identity);
    if (run->model)
        run->model->free(run->model);
    tape_free(run->inference);
    for (int i = 1; i < run->group_count; i++) /* the first belongs to the chapter */
        free(run->groups[i].options);
    free(run->groups);
}

int run_main(Run *run, int argc, char **argv)
{
    char out[64];
    snprintf(out, sizeof out, "runs/%s", run->name);
    run->training.out = out;
    run->seed = 1;
    run->inference = tape_new(TAPE_INFERENCE, 0);
    run->groups = allocate(1, sizeof *run->groups);
    run->groups[run->group_count++] = run->model_options;
    run->task->options(run);
    add_training_options(run);
    add_file_options(run);

    const Task *task = run->task;
    Verb all[COUNT(verbs) + task->verb_count + run->verb_count];
    memcpy(all, verbs, sizeof verbs);
    for (int i = 0; i < task->verb_count; i++)
        all[COUNT(verbs) + i] = task->verbs[i];
    for (int i = 0; i < run->verb_count; i++)
        all[COUNT(verbs) + task->verb_count + i] = run->verbs[i];

    Program program = {run->name,   run->title,       run,          all, COUNT(all),
                       run->groups, run->group_count, &run->threads};
    Error error;
    const Verb *verb = program_read(&program, argc, argv, &error);
    bool done = verb ? verb->run(run, &error) : !*error.text;
    end_run(run);
    return program_status(&program, done, &error);
}
