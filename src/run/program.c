/* program.c - the face that all programs of the book share. */
#include "run/program.h"
#include "base/interrupt.h"
#include "base/streams.h"
#include "tensor/parallel.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Exact as a double, which is what a bound of an option is. */
#define MOST_SEED (LONG_MAX < 1LL << 53 ? LONG_MAX : (long)(1LL << 53))

void common_options(Common *c, OptionGroup groups[2])
{
    TrainerSettings *set = &c->training;
    const Option training[] = {
        option_long("steps", &set->steps, 0, 1000000000, "training steps"),
        option_int("batch", &c->batch, 1, 65536, "texts B in a step"),
        option_real("lr", &set->learning_rate, 0, 10, "learning rate at its highest"),
        option_real("min-lr", &set->min_learning_rate, 0, 10, "learning rate in the end"),
        option_long("warmup", &set->warmup, 0, 1000000000,
                    "steps until it is at its highest"),
        option_choice("schedule", &set->schedule, "cosine|inverse-sqrt",
                      "how it falls after that; see src/optim.h"),
        option_choice("optimizer", &set->optimizer, "adamw|muon", "see src/optim.h"),
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
    const Option files[] = {
        option_text("data", &c->data, "FILE", "what to learn from or to measure on"),
        option_text("out", &set->out, "DIR", "where a run leaves its files"),
        option_text("load", &c->load, "FILE", "the weights to begin with"),
        option_text("input", &c->input, "FILE", "probe: what goes in"),
        option_text("output", &c->output, "FILE", "probe: logits, loss and gradients"),
        option_long("seed", &c->seed, 0, MOST_SEED, "where random numbers begin"),
        option_int("threads", &c->threads, 0, 32, "threads; 0 for one a processor"),
    };
    enum {
        TRAINING = sizeof training / sizeof training[0],
        FILES = sizeof files / sizeof files[0]
    };
    memcpy(c->training_option, training, sizeof training);
    memcpy(c->file_option, files, sizeof files);
    groups[0] = (OptionGroup){"training", c->training_option, TRAINING};
    groups[1] = (OptionGroup){"files and the run", c->file_option, FILES};
}

bool common_train(Common *c, const Learner *learner, Error *error)
{
    c->training.seed = (uint64_t)c->seed;
    TrainerEnd end = train(learner, &c->training, error);
    if (end == TRAINER_INTERRUPTED)
        *error->text = 0;
    return end == TRAINER_DONE;
}

static void print_help(const Program *p)
{
    char usage[2048];
    int width = 0;
    for (int i = 0; i < p->verb_count; i++)
        if ((int)strlen(p->verbs[i].name) > width)
            width = (int)strlen(p->verbs[i].name);
    int length = snprintf(usage, sizeof usage,
                          "%s. Read chapters/%s/README.md beside it.\n", p->title, p->name);
    for (int i = 0; i < p->verb_count && length < (int)sizeof usage; i++)
        length += snprintf(usage + length, sizeof usage - (size_t)length,
                           "\nbuild/chapter-%.2s %-*s   %s", p->name, width,
                           p->verbs[i].name, p->verbs[i].help);
    options_help(stdout, usage, p->groups, p->group_count);
}

/* "there is no "walk"; there is train, sample, and --help" */
static bool no_such_verb(const Program *p, const char *verb, Error *error)
{
    fail(error, "there is no \"%s\"; there is", verb);
    for (int i = 0; i < p->verb_count; i++)
        if (*p->verbs[i].name) {
            fail_after(error, " ");
            fail_after(error, p->verbs[i].name);
            fail_after(error, ",");
        }
    return fail_after(error, " and --help");
}

static bool run(const Program *p, int argc, char **argv, Error *error)
{
    const char *verb = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
    int skip = *verb ? 2 : 1, chosen = 0;
    while (chosen < p->verb_count && strcmp(verb, p->verbs[chosen].name) != 0)
        chosen++;
    if (chosen == p->verb_count)
        return no_such_verb(p, verb, error);
    if (!options_parse(p->groups, p->group_count, argc - skip, argv + skip, error))
        return false;
    parallel_threads(*p->threads);
    return p->verbs[chosen].run(p->self, error);
}

/* What makes a model and its batch smaller, of the options that the program has. */
static void advise(const Program *p)
{
    static const char *const names[] = {"batch", "context", "hidden", "width"};
    static char advice[80];
    const char *has[4];
    size_t length = 0;
    int count = 0;
    for (int i = 0; i < 4; i++)
        if (options_find(p->groups, p->group_count, names[i]))
            has[count++] = names[i];
    for (int i = 0; i < count; i++)
        length += (size_t)snprintf(advice + length, sizeof advice - length, "%s--%s",
                                   i == 0           ? "try a smaller "
                                   : i == count - 1 ? " or "
                                                    : ", ",
                                   has[i]);
    model_memory_advice(length ? advice : NULL);
}

int program_main(const Program *program, int argc, char **argv)
{
    Error error = {""};
    bool done = true;
    streams_open();
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error like any other */
    advise(program);
    if (options_want_help(argc, argv))
        print_help(program);
    else
        done = run(program, argc, argv, &error);
    if (!done && !*error.text)
        return 128 + (interrupt_signal() ? interrupt_signal() : SIGINT);
    if (done && streams_flush(&error))
        return 0;
    fprintf(stderr, "chapter-%.2s: %s\n", program->name, error.text);
    return 1;
}
