/* trainer.c - the loop around every model of the book. */
#include "run/trainer.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "nn/optim.h"
#include "plot/plot.h"
#include "run/folder.h"
#include "run/run_log.h"
#include "weights/checkpoint.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char result_header[] =
    "parameters,active_parameters,best_val_loss,tokens,seconds,tokens_per_second,"
    "peak_memory_bytes\n";

static const char *const optimizer_name[] = {"adamw", "muon"};

typedef struct {
    const Learner *learner;
    const TrainerSettings *set;
    Tape *tape;
    Optimizer *optimizer;
    Profile *profile; /* NULL if none is wanted */
    long profiled;    /* steps */

    long step, resumed_at; /* taken so far; taken before this process */
    double seconds;
    double loss_sum; /* of the steps since the last row */
    long loss_count;
    double norm, learning_rate; /* of the last step */
    double best;
    long best_step;

    int lock; /* of the folder; -1: it has none */
    RunLog log;
    double began; /* the step */
    double shown; /* when the live line was last drawn */
} Training;

/* "<folder>/<name>"; the result is overwritten by the fourth call after it. */
static const char *in_folder(const Training *t, const char *name)
{
    static char path[4][1100];
    static int next;
    char *result = path[next++ % 4];
    snprintf(result, sizeof path[0], "%s/%s", t->set->out, name);
    return result;
}

/* Between two looks at the validation loss, the log gets ten rows. */
static long row_every(const TrainerSettings *set)
{
    return set->eval_every >= 10 ? set->eval_every / 10 : 1;
}

static long long tokens_of(const Training *t)
{
    return (long long)t->step * t->learner->tokens_per_step;
}

/* ---- The state of a run ---- */

static int state_lists(const Training *t, Params *lists[3])
{
    lists[0] = t->learner->params;
    lists[1] = t->optimizer->moments;
    lists[2] = t->learner->carried;
    return lists[2] ? 3 : 2;
}

/* Numbers are written in hexadecimal where every bit counts. The log reaches the disk before
 * the state that knows how long it is. */
static bool save_state(Training *t, Error *error)
{
    Params *lists[3];
    int count = state_lists(t, lists);
    long length = run_log_sync(&t->log, error);
    if (length < 0)
        return false;
    char numbers[320];
    snprintf(numbers, sizeof numbers, "%ld %ld %ld %ld %a %a %a %ld %a %a", t->step,
             t->optimizer->steps, length, t->best_step, t->best, t->seconds, t->loss_sum,
             t->loss_count, t->norm, t->learning_rate);
    SafeMetadata metadata[] = {{"identity", t->learner->identity},
                               {"optimizer", optimizer_name[t->set->optimizer]},
                               {"run", numbers}};
    return checkpoint_save(in_folder(t, "state.safetensors"), lists, count, metadata, 3,
                           error);
}

/* Reads the counters of a run from its state; false if this is none. */
static bool read_numbers(Training *t, const Checkpoint *c, long *log_length)
{
    const char *numbers = safetensors_metadata(c->file, "run");
    bool read = numbers && sscanf(numbers, "%ld %ld %ld %ld %la %la %la %ld %la %la",
                                  &t->step, &t->optimizer->steps, log_length, &t->best_step,
                                  &t->best, &t->seconds, &t->loss_sum, &t->loss_count,
                                  &t->norm, &t->learning_rate) == 10;
    t->resumed_at = t->step;
    return read && t->step >= 0 && t->optimizer->steps >= 0 && *log_length > 0;
}

/* Whether the state is of this run; one of long ago does not name its optimizer. */
static bool is_same_run(const Training *t, const Checkpoint *c, Error *error)
{
    const char *identity = safetensors_metadata(c->file, "identity");
    const char *optimizer = safetensors_metadata(c->file, "optimizer");
    const char *ours = optimizer_name[t->set->optimizer];
    if (!identity)
        return fail(error, "%s is not the state of a run", c->path);
    if (strcmp(identity, t->learner->identity) != 0)
        return fail(error, "%s is of another run: that one has %s, this one %s", c->path,
                    identity, t->learner->identity);
    if (optimizer && strcmp(optimizer, ours) != 0)
        return fail(error,
                    "%s is of a run with --optimizer %s; it cannot be resumed with %s",
                    c->path, optimizer, ours);
    return true;
}

static bool resume(Training *t, Error *error)
{
    static const Conventions none;
    Params *lists[3];
    int count = state_lists(t, lists);
    const char *path = in_folder(t, "state.safetensors");
    if (!file_exists(path))
        return fail(error, "%s is missing: there is nothing to resume; leave --resume out",
                    path);
    Checkpoint *c = checkpoint_open(path, &none, error);
    if (!c)
        return false;
    long length = 0;
    bool right = read_numbers(t, c, &length) ||
                 fail(error, "%s is not the state of a run", path);
    right = right && is_same_run(t, c, error) && checkpoint_load(c, lists, count, error) &&
            run_log_resume(&t->log, in_folder(t, "log.csv"), length, error);
    checkpoint_close(c);
    return right;
}

static bool begin(Training *t, Error *error)
{
    return folder_set_aside(t->set->out, error) &&
           run_log_begin(&t->log, in_folder(t, "log.csv"), error);
}

/* ---- What a run prints ---- */

static void print_duration(double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        printf("%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        printf("%ld:%02ld", s / 60, s % 60);
}

/* step 1200/2000  loss 1.832  validation 1.941  9210 tokens/s  0:52 left */
static void print_progress(const Training *t, double loss)
{
    double per_step = t->step ? t->seconds / (double)t->step : 0;
    printf("step %ld/%ld  loss %.3f", t->step, t->set->steps, loss);
    if (!isnan(t->log.val_loss))
        printf("  validation %.3f", t->log.val_loss);
    if (per_step > 0) {
        printf("  %.0f tokens/s  ", (double)t->learner->tokens_per_step / per_step);
        print_duration(per_step * (double)(t->set->steps - t->step));
        printf(" left");
    }
}

/* On a terminal the line is drawn over itself a few times a second, followed by
 * the curve. */
static void show_live(Training *t, double loss)
{
    enum { WIDTH = 16 };
    if (!isatty(STDOUT_FILENO) || seconds_now() - t->shown < 0.2)
        return;
    t->shown = seconds_now();
    double curve[MOST_POINTS];
    int points = 0;
    for (int i = 0; i < t->log.points; i++)
        if (!isnan(t->log.point[i].train_loss))
            curve[points++] = t->log.point[i].train_loss;
    char line[PLOT_TERMINAL_BYTES(WIDTH, 1)] = "";
    if (points > 1)
        plot_terminal(line, sizeof line, curve, points, WIDTH, 1);
    line[strcspn(line, "\n")] = 0;
    printf("\r");
    print_progress(t, loss);
    printf("  %s\033[K", line);
    fflush(stdout);
}

static void clear_live(void)
{
    if (isatty(STDOUT_FILENO))
        printf("\r\033[K");
}

/* A row for the log; outside a terminal, also a line to read. */
static bool write_row(Training *t, double val_loss, Error *error)
{
    double train_loss = t->loss_count ? t->loss_sum / (double)t->loss_count : NAN;
    LogRow row = {.step = t->step,
                  .tokens = tokens_of(t),
                  .seconds = t->seconds,
                  .train_loss = train_loss,
                  .val_loss = val_loss,
                  .learning_rate = t->step ? t->learning_rate : NAN,
                  .grad_norm = t->step ? t->norm : NAN};
    if (!run_log_add(&t->log, row, error))
        return false;
    t->loss_sum = 0;
    t->loss_count = 0;
    if (!isatty(STDOUT_FILENO) && t->step > 0) {
        print_progress(t, train_loss);
        putchar('\n');
        fflush(stdout);
    }
    return true;
}

/* ---- The loop ---- */

static double scheduled_rate(const TrainerSettings *set, long step)
{
    if (set->schedule == SCHEDULE_INVERSE_SQRT)
        return inverse_sqrt_schedule(step, set->warmup, set->learning_rate);
    return cosine_schedule(step, set->steps, set->warmup, set->learning_rate,
                           set->min_learning_rate);
}

/* Before the loss of a step is computed. */
static void begin_step(Training *t)
{
    t->began = seconds_now();
    profile_turn(t->profile, "batch", PROFILE_FORWARD);
    t->learning_rate = scheduled_rate(t->set, t->step);
    tape_reset(t->tape, t->step);
}

/* A loss, or a gradient, that is no longer a number ends the run. */
static bool is_finite(const Training *t, const Tensor *loss, Error *error)
{
    if (!isfinite(t_item(loss))) {
        const char *where = tape_first_nan(t->tape);
        return fail(error,
                    "at step %ld the loss is no longer a number; it began in %s. The last "
                    "good checkpoint is in %s; try a lower --lr",
                    t->step + 1, where ? where : "the loss", t->set->out);
    }
    return true;
}

static bool is_finite_gradient(const Training *t, Error *error)
{
    if (!isfinite(t->norm)) {
        const char *name = gradient_first_nan(t->learner->params);
        return fail(error,
                    "at step %ld the gradient of %s is no longer a number. The last good "
                    "checkpoint is in %s; try a lower --lr",
                    t->step + 1, name ? name : "the parameters, together,", t->set->out);
    }
    return true;
}

/* The rest of a step: from the loss to better parameters. */
static bool end_step(Training *t, Tensor *loss, Error *error)
{
    const Learner *l = t->learner;
    double value = t_item(loss);
    profile_turn(t->profile, NULL, PROFILE_FORWARD);
    if (!is_finite(t, loss, error))
        return false;
    backward(loss);
    profile_turn(t->profile, "gradient norm", PROFILE_FORWARD);
    t->norm = gradient_norm(l->params);
    if (!is_finite_gradient(t, error))
        return false;
    profile_turn(t->profile, "optimizer", PROFILE_FORWARD);
    optimizer_step(t->optimizer, t->learning_rate, clip_factor(t->norm, t->set->clip));
    if (l->stepped)
        l->stepped(l->model, t->tape);
    profile_turn(t->profile, NULL, PROFILE_FORWARD);
    t->step++;
    t->loss_sum += value;
    t->loss_count++;
    t->profiled++;
    t->seconds += seconds_now() - t->began;
    show_live(t, value);
    return true;
}

/* Measures, keeps the model if it is the best so far, shows it, and saves the run. */
static bool evaluate(Training *t, Error *error)
{
    const Learner *l = t->learner;
    double loss = l->validate(l->model);
    if (!isfinite(loss))
        return fail(error,
                    "after step %ld the validation loss is no longer a number. The last "
                    "good checkpoint is in %s; try a lower --lr",
                    t->step, t->set->out);
    clear_live();
    if (!write_row(t, loss, error))
        return false;
    if (loss < t->best) {
        t->best = loss;
        t->best_step = t->step;
        if (!checkpoint_save(in_folder(t, "model.safetensors"), &l->params, 1, l->metadata,
                             l->metadata_count, error))
            return false;
    }
    if (l->show)
        l->show(l->model, t->step);
    return run_log_draw(&t->log, in_folder(t, "loss.svg"), t->set->title,
                        l->training_loss ? l->training_loss : "training", l->levels,
                        l->level_count, error) &&
           save_state(t, error);
}

/* The largest amount of memory that this process has had. */
static double peak_bytes(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
#ifdef __APPLE__
    return (double)usage.ru_maxrss;
#else
    return 1024.0 * (double)usage.ru_maxrss;
#endif
}

/* What the run comes to, for whoever compares runs. */
static bool save_result(const Training *t, Error *error)
{
    const Learner *l = t->learner;
    const char *path = in_folder(t, "result.csv");
    long parameters = 0;
    long long tokens = tokens_of(t);
    for (int i = 0; i < l->params->count; i++)
        parameters += t_size(l->params->item[i].tensor);
    long active = l->active_parameters ? l->active_parameters : parameters;
    NewFile file;
    if (!newfile_open(&file, path, error))
        return false;
    fprintf(file.stream, "%s%ld,%ld,%.6f,%lld,%.3f,%.1f,%.0f\n", result_header, parameters,
            active, t->best, tokens, t->seconds,
            t->seconds > 0 ? (double)tokens / t->seconds : 0, peak_bytes());
    return newfile_commit(&file, error);
}

/* What is due after a step: a look at the validation loss, or a row for the log. */
static bool note_step(Training *t, Error *error)
{
    const TrainerSettings *set = t->set;
    if (t->step % set->eval_every == 0 || t->step == set->steps)
        return evaluate(t, error);
    return t->step % row_every(set) != 0 || write_row(t, NAN, error);
}

/* A finished run that is resumed has nothing to add to its files. */
static bool save_end(Training *t, Error *error)
{
    if (t->set->resume && t->step == t->resumed_at &&
        file_exists(in_folder(t, "result.csv")))
        return true;
    return (t->step >= t->set->steps || save_state(t, error)) && save_result(t, error);
}

static void say_end(const Training *t)
{
    clear_live();
    if (t->step < t->set->steps)
        printf("Stopped after step %ld of %ld; everything is saved. The same command with "
               "--resume goes on.\n",
               t->step, t->set->steps);
    else
        printf("Best validation loss: %.4f, after step %ld. Training took %.1f s.\n",
               t->best, t->best_step, t->seconds);
}

/* ---- The whole run ---- */

/* Makes everything ready, in a folder that is the run's own. */
static bool begin_training(Training *t, Error *error)
{
    const TrainerSettings *set = t->set;
    t->tape = tape_new(TAPE_TRAINING, set->seed);
    t->profile = set->profile ? profile_new() : NULL;
    tape_profile(t->tape, t->profile);
    t->optimizer = optimizer_new((OptimizerKind)set->optimizer, t->learner->params,
                                 set->beta1, set->beta2, set->weight_decay);
    t->lock = folder_lock(set->out, error);
    if (t->lock < 0)
        return false;
    interrupts_catch();
    return set->resume ? resume(t, error) : begin(t, error) && evaluate(t, error);
}

static TrainerEnd end_training(Training *t, bool done, Error *error)
{
    done = done && save_end(t, error);
    if (t->lock >= 0) {
        Error ignored; /* one trouble is enough */
        interrupts_release();
        done = run_log_close(&t->log, done ? error : &ignored) && done;
        folder_unlock(t->lock);
    }
    clear_live();
    if (done)
        say_end(t);
    if (done && t->profile && t->profiled)
        profile_print(stdout, t->profile, t->profiled);
    optimizer_free(t->optimizer);
    tape_free(t->tape);
    profile_free(t->profile);
    return !done                     ? TRAINER_FAILED
           : t->step < t->set->steps ? TRAINER_INTERRUPTED
                                     : TRAINER_DONE;
}

TrainerEnd train(const Learner *learner, const TrainerSettings *settings, Error *error)
{
    Training t = {.learner = learner, .set = settings, .best = INFINITY};
    bool done = begin_training(&t, error);
    while (done && t.step < settings->steps && !interrupt_signal()) {
        begin_step(&t);
        Tensor *loss = learner->loss(learner->model, t.tape, t.step);
        done = end_step(&t, loss, error) && note_step(&t, error);
    }
    return end_training(&t, done, error);
}
