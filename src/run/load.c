/* load.c - a model out of a file of weights, or a new one. */
#include "run/run.h"

#include <string.h>

Option *run_option(const Run *run, const char *name)
{
    OptionGroup model = run->model_options;
    Option *option = options_find(&model, 1, name);
    if (!option)
        option = options_find(run->groups, run->group_count, name);
    if (!option)
        misuse("run_option: there is no --%s", name);
    return option;
}

/* What the shapes say of an option; 0 if nothing. */
static long by_shapes(const Settling *s, const Checkpoint *from)
{
    if (!s->tensor)
        return 0;
    return s->dimension == LAYERS ? checkpoint_layers(from, s->tensor)
                                  : checkpoint_size(from, s->tensor, s->dimension);
}

static bool settle_option(Run *run, const Settling *s, const Checkpoint *from, Error *error)
{
    Option *option = run_option(run, s->option);
    if (s->free && option->given)
        return true;
    int assumed = s->otherwise && !option->given ? s->otherwise(from) : -1;
    if (assumed >= 0)
        *(int *)option->value = assumed;
    return checkpoint_settle(from, option, s->json, by_shapes(s, from), error);
}

static bool settle(Run *run, const Checkpoint *from, Error *error)
{
    for (int i = 0; from && i < run->settlings; i++)
        if (!settle_option(run, &run->settling[i], from, error))
            return false;
    return !run->settle || run->settle(run, from, error);
}

bool run_load(Run *run, const char *path, Purpose purpose, Error *error)
{
    Checkpoint *from = checkpoint_open(path, &run->conventions, error);
    if (!from)
        return fail_after(error, "; give weights with --load FILE");
    bool right = settle(run, from, error) &&
                 run->task->tokens_of(run, from, purpose != TO_PROBE, error);
    if (right) {
        run->model = run->build(run, purpose == TO_USE ? params_for_inference()
                                                       : params_new((uint64_t)run->seed));
        Params *lists[] = {run->model->params};
        right = checkpoint_load_part(from, lists, 1, &run->partial, NULL, error);
    }
    checkpoint_close(from);
    return right;
}

bool run_load_trained(Run *run, Error *error)
{
    char trained[1100];
    snprintf(trained, sizeof trained, "%s/model.safetensors", run->training.out);
    return run_load(run, run->load ? run->load : trained, TO_USE, error);
}

bool run_prepare(Run *run, Error *error)
{
    if (run->load)
        return run_load(run, run->load, TO_LEARN, error) && run->task->read(run, error);
    if (!settle(run, NULL, error) || !run->task->read(run, error))
        return false;
    run->model = run->build(run, params_new((uint64_t)run->seed));
    return true;
}

bool heads_divide(int heads, int width, Error *error)
{
    return width % heads == 0 ||
           fail(error,
                "--heads %d does not divide --width %d: every head has the same number of "
                "channels",
                heads, width);
}
