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

    RunLog log;
    double shown; /* when the live line was last drawn */
} Run;

/* "<folder>/<name>"; the result is overwritten by the fourth call after it. */
static const char *in_folder(const Run *run, const char *name)
{
    static char path[4][1100];
    static int next;
    char *result = path[next++ % 4];
    snprintf(result, sizeof path[0], "%s/%s", run->set->out, name);
    return result;
}

/* Between two looks at the validation loss, the log gets ten rows. */
static long row_every(const TrainerSettings *set)
{
    return set->eval_every >= 10 ? set->eval_every / 10 : 1;
}

static long long tokens_of(const Run *run)
{
    return (long long)run->step * run->learner->tokens_per_step;
}

/* ---- The state of a run ---- */

static int state_lists(const Run *run, Params *lists[3])
{
    lists[0] = run->learner->params;
    lists[1] = run->optimizer->moments;
    lists[2] = run->learner->carried;
    return lists[2] ? 3 : 2;
}

/* Numbers are written in hexadecimal where every bit counts. The log reaches the disk before
 * the state that knows how long it is. */
static bool save_state(Run *run, Error *error)
{
    Params *lists[3];
    int count = state_lists(run, lists);
    long length = run_log_sync(&run->log, error);
    if (length < 0)
        return false;
    char numbers[320];
    snprintf(numbers, sizeof numbers, "%ld %ld %ld %ld %a %a %a %ld %a %a", run->step,
             run->optimizer->steps, length, run->best_step, run->best, run->seconds,
             run->loss_sum, run->loss_count, run->norm, run->learning_rate);
    SafeMetadata metadata[] = {{"identity", run->learner->identity},
                               {"optimizer", optimizer_name[run->set->optimizer]},
                               {"run", numbers}};
    return checkpoint_save(in_folder(run, "state.safetensors"), lists, count, metadata, 3,
                           error);
}

/* Reads the counters of a run from its state; false if this is none. */
static bool read_numbers(Run *run, const Checkpoint *c, long *log_length)
{
    const char *numbers = safetensors_metadata(c->file, "run");
    bool read = numbers &&
                sscanf(numbers, "%ld %ld %ld %ld %la %la %la %ld %la %la", &run->step,
                       &run->optimizer->steps, log_length, &run->best_step, &run->best,
                       &run->seconds, &run->loss_sum, &run->loss_count, &run->norm,
                       &run->learning_rate) == 10;
    run->resumed_at = run->step;
    return read && run->step >= 0 && run->optimizer->steps >= 0 && *log_length > 0;
}

/* Whether the state is of this run; one of long ago does not name its optimizer. */
static bool is_same_run(const Run *run, const Checkpoint *c, Error *error)
{
    const char *identity = safetensors_metadata(c->file, "identity");
    const char *optimizer = safetensors_metadata(c->file, "optimizer");
    const char *ours = optimizer_name[run->set->optimizer];
    if (!identity)
        return fail(error, "%s is not the state of a run", c->path);
    if (strcmp(identity, run->learner->identity) != 0)
        return fail(error, "%s is of another run: that one has %s, this one %s", c->path,
                    identity, run->learner->identity);
    if (optimizer && strcmp(optimizer, ours) != 0)
        return fail(error,
                    "%s is of a run with --optimizer %s; it cannot be resumed with %s",
                    c->path, optimizer, ours);
    return true;
}

static bool resume(Run *run, Error *error)
{
    static const Conventions none;
    Params *lists[3];
    int count = state_lists(run, lists);
    const char *path = in_folder(run, "state.safetensors");
    if (!file_exists(path))
        return fail(error, "%s is missing: there is nothing to resume; leave --resume out",
                    path);
    Checkpoint *c = checkpoint_open(path, &none, error);
    if (!c)
        return false;
    long length = 0;
    bool right = read_numbers(run, c, &length) ||
                 fail(error, "%s is not the state of a run", path);
    right = right && is_same_run(run, c, error) &&
            checkpoint_load(c, lists, count, error) &&
            run_log_resume(&run->log, in_folder(run, "log.csv"), length, error);
    checkpoint_close(c);
    return right;
}

static bool begin(Run *run, Error *error)
{
    return folder_set_aside(run->set->out, error) &&
           run_log_begin(&run->log, in_folder(run, "log.csv"), error);
}

/* ---- What is seen of a run ---- */

static void print_duration(double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        printf("%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        printf("%ld:%02ld", s / 60, s % 60);
}

/* step 1200/2000  loss 1.832  validation 1.941  9210 tokens/s  0:52 left */
static void print_progress(const Run *run, double loss)
{
    double per_step = run->step ? run->seconds / (double)run->step : 0;
    printf("step %ld/%ld  loss %.3f", run->step, run->set->steps, loss);
    if (!isnan(run->log.val_loss))
        printf("  validation %.3f", run->log.val_loss);
    if (per_step > 0) {
        printf("  %.0f tokens/s  ", (double)run->learner->tokens_per_step / per_step);
        print_duration(per_step * (double)(run->set->steps - run->step));
        printf(" left");
    }
}

/* On a terminal the line is drawn over itself a few times a second, followed by
 * the curve. */
static void show_live(Run *run, double loss)
{
    enum { WIDTH = 16 };
    if (!isatty(STDOUT_FILENO) || seconds_now() - run->shown < 0.2)
        return;
    run->shown = seconds_now();
    double curve[MOST_POINTS];
    int points = 0;
    for (int i = 0; i < run->log.points; i++)
        if (!isnan(run->log.point[i].train_loss))
            curve[points++] = run->log.point[i].train_loss;
    char line[PLOT_TERMINAL_BYTES(WIDTH, 1)] = "";
    if (points > 1)
        plot_terminal(line, sizeof line, curve, points, WIDTH, 1);
    line[strcspn(line, "\n")] = 0;
    printf("\r");
    print_progress(run, loss);
    printf("  %s\033[K", line);
    fflush(stdout);
}

static void clear_live(void)
{
    if (isatty(STDOUT_FILENO))
        printf("\r\033[K");
}

/* A row for the log; outside a terminal, also a line to read. */
static bool write_row(Run *run, double val_loss, Error *error)
{
    double train_loss = run->loss_count ? run->loss_sum / (double)run->loss_count : NAN;
    LogRow row = {.step = run->step,
                  .tokens = tokens_of(run),
                  .seconds = run->seconds,
                  .train_loss = train_loss,
                  .val_loss = val_loss,
                  .learning_rate = run->step ? run->learning_rate : NAN,
                  .grad_norm = run->step ? run->norm : NAN};
    if (!run_log_add(&run->log, row, error))
        return false;
    run->loss_sum = 0;
    run->loss_count = 0;
    if (!isatty(STDOUT_FILENO) && run->step > 0) {
        print_progress(run, train_loss);
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

static bool take_step(Run *run, Error *error)
{
    const Learner *l = run->learner;
    const TrainerSettings *set = run->set;
    double start = seconds_now();
    profile_turn(run->profile, "batch", PROFILE_FORWARD);
    run->learning_rate = scheduled_rate(set, run->step);
    tape_reset(run->tape, run->step);
    Tensor *loss_tensor = l->loss(l->model, run->tape, run->step);
    double loss = t_item(loss_tensor);
    profile_turn(run->profile, NULL, PROFILE_FORWARD);
    if (!isfinite(loss)) {
        const char *where = tape_first_nan(run->tape);
        return fail(error,
                    "at step %ld the loss is no longer a number; it began in %s. The last "
                    "good checkpoint is in %s; try a lower --lr",
                    run->step + 1, where ? where : "the loss", set->out);
    }
    backward(loss_tensor);
    profile_turn(run->profile, "gradient norm", PROFILE_FORWARD);
    run->norm = gradient_norm(l->params);
    if (!isfinite(run->norm)) {
        const char *name = gradient_first_nan(l->params);
        return fail(error,
                    "at step %ld the gradient of %s is no longer a number. The last good "
                    "checkpoint is in %s; try a lower --lr",
                    run->step + 1, name ? name : "the parameters, together,", set->out);
    }
    profile_turn(run->profile, "optimizer", PROFILE_FORWARD);
    optimizer_step(run->optimizer, run->learning_rate, clip_factor(run->norm, set->clip));
    if (l->stepped)
        l->stepped(l->model, run->tape);
    profile_turn(run->profile, NULL, PROFILE_FORWARD);
    run->step++;
    run->loss_sum += loss;
    run->loss_count++;
    run->profiled++;
    run->seconds += seconds_now() - start;
    show_live(run, loss);
    return true;
}

/* Measures, keeps the model if it is the best so far, shows it, and saves the run. */
static bool evaluate(Run *run, Error *error)
{
    const Learner *l = run->learner;
    double loss = l->validate(l->model);
    if (!isfinite(loss))
        return fail(error,
                    "after step %ld the validation loss is no longer a number. The last "
                    "good checkpoint is in %s; try a lower --lr",
                    run->step, run->set->out);
    clear_live();
    if (!write_row(run, loss, error))
        return false;
    if (loss < run->best) {
        run->best = loss;
        run->best_step = run->step;
        if (!checkpoint_save(in_folder(run, "model.safetensors"), &l->params, 1,
                             l->metadata, l->metadata_count, error))
            return false;
    }
    if (l->show)
        l->show(l->model, run->step);
    return run_log_draw(&run->log, in_folder(run, "loss.svg"), run->set->title, l->levels,
                        l->level_count, error) &&
           save_state(run, error);
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
static bool save_result(const Run *run, Error *error)
{
    const Learner *l = run->learner;
    const char *path = in_folder(run, "result.csv");
    long parameters = 0;
    long long tokens = tokens_of(run);
    for (int i = 0; i < l->params->count; i++)
        parameters += t_size(l->params->item[i].tensor);
    long active = l->active_parameters ? l->active_parameters : parameters;
    NewFile file;
    if (!newfile_open(&file, path, error))
        return false;
    fprintf(file.stream, "%s%ld,%ld,%.6f,%lld,%.3f,%.1f,%.0f\n", result_header, parameters,
            active, run->best, tokens, run->seconds,
            run->seconds > 0 ? (double)tokens / run->seconds : 0, peak_bytes());
    return newfile_commit(&file, error);
}

/* A finished run that is resumed has nothing to add to its files. */
static bool run_loop(Run *run, Error *error)
{
    const TrainerSettings *set = run->set;
    if (!set->resume && !evaluate(run, error))
        return false;
    while (run->step < set->steps && !interrupt_signal()) {
        if (!take_step(run, error))
            return false;
        if (run->step % set->eval_every == 0 || run->step == set->steps) {
            if (!evaluate(run, error))
                return false;
        } else if (run->step % row_every(set) == 0 && !write_row(run, NAN, error)) {
            return false;
        }
    }
    if (set->resume && run->step == run->resumed_at &&
        file_exists(in_folder(run, "result.csv")))
        return true;
    return (run->step >= set->steps || save_state(run, error)) && save_result(run, error);
}

static void say_end(const Run *run)
{
    clear_live();
    if (run->step < run->set->steps)
        printf("Stopped after step %ld of %ld; everything is saved. The same command with "
               "--resume goes on.\n",
               run->step, run->set->steps);
    else
        printf("Best validation loss: %.4f, after step %ld. Training took %.1f s.\n",
               run->best, run->best_step, run->seconds);
}

static void run_free(Run *run)
{
    optimizer_free(run->optimizer);
    tape_free(run->tape);
    profile_free(run->profile);
}

/* The run itself, in a folder that is its own. */
static bool run_in_folder(Run *run, Error *error)
{
    const TrainerSettings *set = run->set;
    int lock = folder_lock(set->out, error);
    if (lock < 0)
        return false;
    interrupts_catch();
    bool done = (set->resume ? resume(run, error) : begin(run, error)) &&
                run_loop(run, error);
    interrupts_release();
    Error ignored; /* one trouble is enough */
    done = run_log_close(&run->log, done ? error : &ignored) && done;
    folder_unlock(lock);
    return done;
}

TrainerEnd train(const Learner *learner, const TrainerSettings *settings, Error *error)
{
    Run run = {.learner = learner, .set = settings, .best = INFINITY};
    run.tape = tape_new(TAPE_TRAINING, settings->seed);
    run.profile = settings->profile ? profile_new() : NULL;
    tape_profile(run.tape, run.profile);
    run.optimizer = optimizer_new((OptimizerKind)settings->optimizer, learner->params,
                                  settings->beta1, settings->beta2, settings->weight_decay);

    bool done = run_in_folder(&run, error);
    clear_live();
    if (done)
        say_end(&run);
    if (done && run.profile && run.profiled)
        profile_print(stdout, run.profile, run.profiled);
    run_free(&run);
    return !done                        ? TRAINER_FAILED
           : run.step < settings->steps ? TRAINER_INTERRUPTED
                                        : TRAINER_DONE;
}
