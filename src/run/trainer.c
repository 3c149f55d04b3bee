/* trainer.c - the loop around every model of the book. */
#include "run/trainer.h"
#include "weights/checkpoint.h"
#include "base/files.h"
#include "nn/optim.h"
#include "plot/plot.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char log_header[] =
    "step,tokens,seconds,train_loss,val_loss,learning_rate,grad_norm\n";

/* One row of the log. Losses are NaN where there is none. Seconds are those spent in
 * training steps; evaluating, showing and saving do not count. */
typedef struct {
    double step, seconds, train_loss, val_loss;
} Row;

typedef struct {
    const Learner *learner;
    const TrainerSettings *set;
    Tape *tape;
    Optimizer *optimizer;
    Profile *profile; /* NULL if none is wanted */
    long profiled;    /* steps */

    long step; /* taken so far */
    double seconds;
    double loss_sum; /* of the steps since the last row */
    long loss_count;
    double norm, learning_rate; /* of the last step */
    double best;
    long best_step;

    FILE *log;
    char log_path[1100];
    Row *row;
    long rows, room;
    double shown; /* when the live line was last drawn */
} Run;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

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

/* ---- The state of a run ---- */

static int state_lists(const Run *run, Params *lists[3])
{
    lists[0] = run->learner->params;
    lists[1] = run->optimizer->moments;
    lists[2] = run->learner->carried;
    return lists[2] ? 3 : 2;
}

/* Numbers are written in hexadecimal where every bit counts. */
static bool save_state(Run *run, Error *error)
{
    Params *lists[3];
    int count = state_lists(run, lists);
    if (fflush(run->log) != 0)
        return fail(error, "cannot write %s: %s", run->log_path, strerror(errno));
    char numbers[320];
    snprintf(numbers, sizeof numbers, "%ld %ld %ld %ld %a %a %a %ld %a %a", run->step,
             run->optimizer->steps, ftell(run->log), run->best_step, run->best,
             run->seconds, run->loss_sum, run->loss_count, run->norm, run->learning_rate);
    SafeMetadata metadata[] = {{"identity", run->learner->identity}, {"run", numbers}};
    return checkpoint_save(in_folder(run, "state.safetensors"), lists, count, metadata, 2,
                           error);
}

static void add_row(Run *run, Row row)
{
    if (run->rows < run->room)
        run->row[run->rows++] = row;
}

/* Room for the rows there are and for all that will come: nothing is allocated later on. */
static void make_room(Run *run, const char *text)
{
    const TrainerSettings *set = run->set;
    long lines = 0;
    for (; text && *text; text++)
        lines += *text == '\n';
    long room = lines + set->steps / row_every(set) + set->steps / set->eval_every + 3;
    run->room = room;
    run->row = allocate((size_t)room, sizeof *run->row);
}

/* The rows that the log holds already, for the picture. */
static void read_rows(Run *run, char *text)
{
    char *end, *line = strtok_r(text, "\n", &end);
    while (line && (line = strtok_r(NULL, "\n", &end))) {
        double field[7];
        for (int i = 0; i < 7; i++) {
            char *after = line;
            field[i] = strtod(line, &after);
            if (after == line)
                field[i] = NAN;
            line = *after == ',' ? after + 1 : after;
        }
        add_row(run, (Row){field[0], field[2], field[3], field[4]});
    }
}

/* Opens the log: anew, or cut back to the length that the state remembers. */
static bool open_log(Run *run, long length, Error *error)
{
    snprintf(run->log_path, sizeof run->log_path, "%s", in_folder(run, "log.csv"));
    long size = 0;
    char *text = length ? file_read(run->log_path, &size, error) : NULL;
    if (length && !text)
        return false;
    bool whole = size >= length;
    if (text && whole)
        text[length] = 0;
    make_room(run, text);
    if (text && whole)
        read_rows(run, text);
    free(text);
    if (!whole)
        return fail(error,
                    "%s is shorter than the state of the run says; leave --resume out to "
                    "begin anew",
                    run->log_path);
    if (length && truncate(run->log_path, length) != 0)
        return fail(error, "cannot cut %s: %s", run->log_path, strerror(errno));
    run->log = fopen(run->log_path, length ? "a" : "w");
    if (!run->log ||
        (!length && (fputs(log_header, run->log) < 0 || fflush(run->log) != 0)))
        return fail(error, "cannot write %s: %s", run->log_path, strerror(errno));
    fseek(run->log, 0, SEEK_END);
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
    const char *identity = safetensors_metadata(c->file, "identity");
    const char *numbers = safetensors_metadata(c->file, "run");
    long length = 0;
    bool right;
    if (!identity || !numbers ||
        sscanf(numbers, "%ld %ld %ld %ld %la %la %la %ld %la %la", &run->step,
               &run->optimizer->steps, &length, &run->best_step, &run->best, &run->seconds,
               &run->loss_sum, &run->loss_count, &run->norm, &run->learning_rate) != 10 ||
        run->step < 0 || run->optimizer->steps < 0 || length <= 0)
        right = fail(error, "%s is not the state of a run", path);
    else if (strcmp(identity, run->learner->identity) != 0)
        right = fail(error, "%s is of another run: that one has %s, this one %s", path,
                     identity, run->learner->identity);
    else
        right = checkpoint_load(c, lists, count, error) && open_log(run, length, error);
    checkpoint_close(c);
    return right;
}

/* A new run in the folder of an old one moves the old one into previous/, so that hours of
 * training are not lost to a moment's haste. Of several old runs only the last is kept. */
static bool set_aside(const Run *run, Error *error)
{
    /* The state goes last: until it has gone, a new run will try this again. */
    static const char *const names[] = {"model.safetensors", "log.csv", "loss.svg",
                                        "state.safetensors"};
    if (!file_exists(in_folder(run, "state.safetensors")))
        return true;
    if (!folder_make(in_folder(run, "previous"), error))
        return false;
    for (int i = 0; i < 4; i++) {
        char to[64];
        snprintf(to, sizeof to, "previous/%s", names[i]);
        const char *from = in_folder(run, names[i]);
        if (rename(from, in_folder(run, to)) != 0 && errno != ENOENT)
            return fail(error, "cannot move %s aside: %s", from, strerror(errno));
    }
    return true;
}

static bool begin(Run *run, Error *error)
{
    return set_aside(run, error) && open_log(run, 0, error);
}

/* ---- What is seen of a run ---- */

static void losses_of(const Run *run, double *step, double *train, double *val, int *counts)
{
    counts[0] = counts[1] = 0;
    for (long i = 0; i < run->rows; i++) {
        if (!isnan(run->row[i].train_loss)) {
            step[counts[0]] = run->row[i].step;
            train[counts[0]++] = run->row[i].train_loss;
        }
        if (!isnan(run->row[i].val_loss)) {
            step[run->rows + counts[1]] = run->row[i].step;
            val[counts[1]++] = run->row[i].val_loss;
        }
    }
}

static bool draw_losses(const Run *run, Error *error)
{
    size_t n = (size_t)run->rows;
    double *numbers = allocate(4 * n, sizeof *numbers);
    int counts[2];
    losses_of(run, numbers, numbers + 2 * n, numbers + 3 * n, counts);
    PlotLine lines[] = {
        {.name = "training", .x = numbers, .y = numbers + 2 * n, .count = counts[0]},
        {.name = "validation", .x = numbers + n, .y = numbers + 3 * n, .count = counts[1]},
    };
    Chart chart = {.title = run->set->title,
                   .x_label = "step",
                   .y_label = "loss, nats per token",
                   .lines = lines,
                   .count = 2,
                   .references = run->learner->levels,
                   .reference_count = run->learner->level_count};
    bool drawn = plot_lines(in_folder(run, "loss.svg"), &chart, error);
    free(numbers);
    return drawn;
}

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
    double val = NAN;
    for (long i = run->rows - 1; i >= 0 && isnan(val); i--)
        val = run->row[i].val_loss;
    double per_step = run->step ? run->seconds / (double)run->step : 0;
    printf("step %ld/%ld  loss %.3f", run->step, run->set->steps, loss);
    if (!isnan(val))
        printf("  validation %.3f", val);
    if (per_step > 0) {
        printf("  %.0f tokens/s  ", (double)run->learner->tokens_per_step / per_step);
        print_duration(per_step * (double)(run->set->steps - run->step));
        printf(" left");
    }
}

/* On a terminal the line is drawn over itself a few times a second, with the curve
 * behind. */
static void show_live(Run *run, double loss)
{
    enum { WIDTH = 16, POINTS = 4096 };
    if (!isatty(STDOUT_FILENO) || seconds_now() - run->shown < 0.2)
        return;
    run->shown = seconds_now();
    double curve[POINTS];
    int points = 0;
    for (long i = run->rows > POINTS ? run->rows - POINTS : 0; i < run->rows; i++)
        if (!isnan(run->row[i].train_loss))
            curve[points++] = run->row[i].train_loss;
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

static void write_field(FILE *log, double value, const char *format)
{
    fputc(',', log);
    if (!isnan(value))
        fprintf(log, format, value);
}

/* A row for the log; outside a terminal, also a line to read. */
static bool write_row(Run *run, double val_loss, Error *error)
{
    double train_loss = run->loss_count ? run->loss_sum / (double)run->loss_count : NAN;
    fprintf(run->log, "%ld,%ld,%.3f", run->step, run->step * run->learner->tokens_per_step,
            run->seconds);
    write_field(run->log, train_loss, "%.6f");
    write_field(run->log, val_loss, "%.6f");
    write_field(run->log, run->step ? run->learning_rate : NAN, "%.6g");
    write_field(run->log, run->step ? run->norm : NAN, "%.6g");
    fputc('\n', run->log);
    if (fflush(run->log) != 0)
        return fail(error, "cannot write %s: %s", run->log_path, strerror(errno));
    add_row(run, (Row){(double)run->step, run->seconds, train_loss, val_loss});
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
    return draw_losses(run, error) && save_state(run, error);
}

static bool run_loop(Run *run, Error *error)
{
    const TrainerSettings *set = run->set;
    if (run->rows == 0 && !evaluate(run, error))
        return false;
    while (run->step < set->steps && !interrupted) {
        if (!take_step(run, error))
            return false;
        if (run->step % set->eval_every == 0 || run->step == set->steps) {
            if (!evaluate(run, error))
                return false;
        } else if (run->step % row_every(set) == 0 && !write_row(run, NAN, error)) {
            return false;
        }
    }
    return !interrupted || save_state(run, error);
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

TrainerEnd train(const Learner *learner, const TrainerSettings *settings, Error *error)
{
    Run run = {.learner = learner, .set = settings, .best = INFINITY};
    run.tape = tape_new(TAPE_TRAINING, settings->seed);
    run.profile = settings->profile ? profile_new() : NULL;
    tape_profile(run.tape, run.profile);
    run.optimizer = optimizer_new((OptimizerKind)settings->optimizer, learner->params,
                                  settings->beta1, settings->beta2, settings->weight_decay);

    struct sigaction before,
        catch = {.sa_handler = on_interrupt,
                 .sa_flags = (int)(SA_RESETHAND | SA_RESTART)}; /* no write fails by it */
    interrupted = 0;
    sigaction(SIGINT, &catch, &before);
    bool done = folder_make(settings->out, error) &&
                (settings->resume ? resume(&run, error) : begin(&run, error)) &&
                run_loop(&run, error);
    sigaction(SIGINT, &before, NULL);

    clear_live();
    if (done)
        say_end(&run);
    if (done && run.profile && run.profiled)
        profile_print(stdout, run.profile, run.profiled);
    if (run.log && fclose(run.log) != 0 && done)
        done = fail(error, "cannot write %s: %s", run.log_path, strerror(errno));
    optimizer_free(run.optimizer);
    tape_free(run.tape);
    profile_free(run.profile);
    free(run.row);
    return !done                        ? TRAINER_FAILED
           : run.step < settings->steps ? TRAINER_INTERRUPTED
                                        : TRAINER_DONE;
}
