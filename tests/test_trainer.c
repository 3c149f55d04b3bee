/* test_trainer.c - the loop: what it writes, what it keeps, and that neither Ctrl-C nor a
 * kill nor a full disk costs more than the steps since the last save. */
#define _GNU_SOURCE /* for posix_openpt and what goes with it */
#include "base/files.h"
#include "base/interrupt.h"
#include "base/random.h"
#include "nn/optim.h"
#include "suite.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
#include "weights/checkpoint.h"
#include "run/trainer.h"
#undef fail /* Check has another meaning for it */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- What reaches the disk, and in which order ---- */

static char order[4096]; /* "sync model.safetensors, rename model.safetensors, sync runA" */

/* Names of files in the making end with ".new-" and numbers. */
static void note_call(const char *call, const char *path)
{
    size_t length = strlen(order);
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path,
               *end = strstr(name, ".new-");
    if (length + 300 < sizeof order)
        snprintf(order + length, sizeof order - length, "%s%s %.*s", length ? ", " : "",
                 call, end ? (int)(end - name) : 200, name);
}

/* These two take the place of the system's: waiting for the disk would take most of the
 * time. */
int fsync(int file)
{
    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    note_call("sync", path);
    return 0;
}

int rename(const char *from, const char *to)
{
    note_call("rename", to);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* ---- A line through noisy points ---- */

/* What is to go wrong, and when: in the loss of a step (counted from 0), or in a call of
 * validate. NEVER for what is not to happen. */
enum { NEVER = -1, MOST = 256, BALLAST = 4000 };
typedef struct {
    long interrupt, interrupt_twice, interrupt_validation, kill, nan, nan_gradient,
        nan_validation, full, rival;
    long room;  /* the largest file that the disk takes from step `full` on */
    int signal; /* of an interruption; 0: that of Ctrl-C */
} Trouble;
static const Trouble no_trouble = {NEVER, NEVER, NEVER, NEVER, NEVER, NEVER,
                                   NEVER, NEVER, NEVER, 0,     0};

/* y = weight x + bias. Dropout, and a state that is carried from step to step, make the
 * loss depend on all that a resumed run has to bring back. */
typedef struct {
    Params *params, *carried;
    Tensor *weight, *bias, *ballast, *trace;
    Trouble trouble;
    const char *watch; /* a file whose bytes are kept when trouble comes */
    char *seen;
    long seen_size;

    double loss[MOST], val[MOST], weight_at[MOST]; /* of each step; of each validation */
    int losses, vals;
    long shown[MOST];
    int shows;
    double best_weight; /* what validation likes; NAN: whatever fits the points */
} Line;

static Line *line_new(void)
{
    Line *l = allocate(1, sizeof *l);
    l->params = params_new(1);
    l->carried = params_new(1);
    l->weight = param(scope(l->params), "weight", 1, 1, constant(0));
    l->bias = param(scope(l->params), "bias", 1, constant(0));
    l->trace = state_new(scope(l->carried), "trace", 1);
    l->trouble = no_trouble;
    l->best_weight = NAN;
    return l;
}

static void line_free(Line *l)
{
    params_free(l->params);
    params_free(l->carried);
    free(l->seen);
    free(l);
}

static void limit_files(long bytes)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < 0 ? limit.rlim_max : (rlim_t)bytes;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void meet_a_rival(void);

static void make_trouble(Line *l, long step)
{
    Error error;
    const Trouble *t = &l->trouble;
    if (step == t->interrupt || step == t->interrupt_twice)
        raise(t->signal ? t->signal : SIGINT);
    if (step == t->rival)
        meet_a_rival();
    if (step == t->interrupt_twice)
        raise(SIGINT);
    if (step == t->kill)
        _exit(99);
    if (step == t->full)
        limit_files(t->room);
    if (l->watch && (step == t->nan || step == t->nan_gradient))
        l->seen = file_read(l->watch, &l->seen_size, &error);
}

static Tensor *line_loss(void *model, Tape *tape, long step)
{
    enum { N = 6 };
    Line *l = model;
    make_trouble(l, step);
    Tensor *x = t_empty(tape, N, 1), *y = t_empty(tape, N, 1);
    for (int i = 0; i < N; i++) {
        float noise = random_normal(2, (uint64_t)step, (uint64_t)i);
        x->data[i] = random_normal(1, (uint64_t)step, (uint64_t)i);
        y->data[i] = 3 * x->data[i] - 1 + 0.01f * noise;
    }
    Tensor *off = t_sub(t_affine(t_dropout(x, 0.1f), l->weight, l->bias), y);
    off = t_add(off, t_scale(t_on(tape, l->trace), 0.01f));
    l->trace->data[0] = 0.5f * l->trace->data[0] + x->data[0];
    if (l->ballast)
        off = t_add(off, t_scale(t_on(tape, t_slice(l->ballast, 0, 0, 1)), 1e-3f));
    if (step == l->trouble.nan)
        off = t_log(t_scale(off, 0));
    Tensor *loss = t_mean_all(t_mul(off, off));
    if (step == l->trouble.nan_gradient) { /* 0, but steeper than a float can say */
        Tensor *none = t_sub(l->bias, t_snapshot(tape, l->bias));
        loss = t_add(loss, t_sum_all(t_scale(t_scale(none, 1e30f), 1e30f)));
    }
    l->loss[l->losses++] = t_item(loss);
    return loss;
}

static double line_validate(void *model)
{
    Line *l = model;
    double w = l->weight->data[0], b = l->bias->data[0];
    if (l->vals == l->trouble.interrupt_validation)
        raise(SIGINT);
    double loss = isnan(l->best_weight) ? pow(w - 3, 2) + pow(b + 1, 2)
                                        : pow(w - l->best_weight, 2);
    if (l->vals == l->trouble.nan_validation)
        loss = NAN;
    l->weight_at[l->vals] = w;
    return l->val[l->vals++] = loss;
}

static void line_show(void *model, long step)
{
    Line *l = model;
    l->shown[l->shows++] = step;
}

/* ---- Runs ---- */

static char folder[4][256]; /* for runs A to D */
enum { A, B, C, D };

static const char *in_run(int run, const char *name)
{
    static char path[8][1024];
    static int next;
    char *result = path[next++ % 8];
    snprintf(result, sizeof path[0], "%s/%s", folder[run], name);
    return result;
}

static TrainerSettings settings_for(int run)
{
    snprintf(folder[run], sizeof folder[run], "%s/run%c", scratch_folder(), 'A' + run);
    return (TrainerSettings){.out = folder[run],
                             .title = "a line",
                             .steps = 50,
                             .eval_every = 20,
                             .warmup = 5,
                             .seed = 3,
                             .learning_rate = 0.2,
                             .min_learning_rate = 0.02,
                             .beta1 = 0.9,
                             .beta2 = 0.99,
                             .weight_decay = 0.01,
                             .clip = 1};
}

static const SafeMetadata metadata[] = {{"width", "1"}};
static long active_parameters;

/* Trains; what is printed goes to an open file, which is closed. */
static TrainerEnd train_onto(int file, Line *l, const TrainerSettings *settings,
                             const char *identity, Error *error)
{
    Learner learner = {.model = l,
                       .params = l->params,
                       .carried = l->carried,
                       .tokens_per_step = 6,
                       .active_parameters = active_parameters,
                       .loss = line_loss,
                       .validate = line_validate,
                       .show = line_show,
                       .metadata = metadata,
                       .metadata_count = 1,
                       .identity = identity};
    error->text[0] = 0;
    fflush(stdout);
    int out = dup(STDOUT_FILENO);
    ck_assert(out >= 0 && file >= 0);
    dup2(file, STDOUT_FILENO);
    TrainerEnd end = train(&learner, settings, error);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(file);
    return end;
}

static TrainerEnd train_line(Line *l, const TrainerSettings *settings, const char *identity,
                             Error *error)
{
    int file = open(scratch("stdout"), O_WRONLY | O_CREAT | O_APPEND, 0666);
    return train_onto(file, l, settings, identity, error);
}

/* One run of a fresh model; it must end as said. Returns the sentence, if any. */
static const char *run_line(TrainerSettings settings, Trouble trouble, TrainerEnd want)
{
    static Error error;
    Line *l = line_new();
    l->trouble = trouble;
    TrainerEnd end = train_line(l, &settings, "a line, seed 3", &error);
    ck_assert_msg(end == want, "ended with %d, not %d: \"%s\"", end, want, error.text);
    ck_assert_int_eq(error.text[0] != 0, want == TRAINER_FAILED);
    line_free(l);
    return error.text;
}

static const char *resume_line(TrainerSettings settings, Trouble trouble, TrainerEnd want)
{
    settings.resume = true;
    return run_line(settings, trouble, want);
}

/* ---- Looking at what a run left ---- */

static char *bytes_of(const char *path, long *size)
{
    Error error = {""};
    char *bytes = file_read(path, size, &error);
    ck_assert_msg(bytes != NULL, "%s", error.text);
    return bytes;
}

static void assert_same_file(const char *left, const char *right)
{
    long n, m;
    char *a = bytes_of(left, &n), *b = bytes_of(right, &m);
    ck_assert_msg(n == m && memcmp(a, b, (size_t)n) == 0, "%s and %s differ", left, right);
    free(a);
    free(b);
}

/* The numbers of a state, but for the seconds. */
static void run_numbers(const Safetensors *state, char *out, size_t size)
{
    const char *text = safetensors_metadata(state, "run");
    ck_assert(text != NULL);
    char copy[512], *end;
    int field = 0;
    snprintf(copy, sizeof copy, "%s", text);
    out[0] = 0;
    for (char *word = strtok_r(copy, " ", &end); word; word = strtok_r(NULL, " ", &end))
        if (field++ != 5)
            snprintf(out + strlen(out), size - strlen(out), "%s ", word);
    ck_assert_int_eq(field, 10);
}

static void assert_same_state(const char *left, const char *right)
{
    Error error = {""};
    Safetensors *a = safetensors_open(left, &error), *b = safetensors_open(right, &error);
    ck_assert_msg(a && b, "%s", error.text);
    ck_assert_int_eq(a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        ck_assert_str_eq(a->tensor[i].name, b->tensor[i].name);
        ck_assert_int_eq(a->tensor[i].size, b->tensor[i].size);
        ck_assert_msg(memcmp(a->tensor[i].data, b->tensor[i].data,
                             (size_t)a->tensor[i].size * sizeof(float)) == 0,
                      "%s: %s differs", left, a->tensor[i].name);
    }
    char of_a[512], of_b[512];
    run_numbers(a, of_a, sizeof of_a);
    run_numbers(b, of_b, sizeof of_b);
    ck_assert_str_eq(of_a, of_b);
    ck_assert_str_eq(safetensors_metadata(a, "identity"),
                     safetensors_metadata(b, "identity"));
    safetensors_close(a);
    safetensors_close(b);
}

/* A log, its fields as text. */
typedef struct {
    char *text, *field[MOST][7];
    int rows; /* without the header */
} Log;

static Log log_of(const char *path)
{
    static const char header[] =
        "step,tokens,seconds,train_loss,val_loss,learning_rate,grad_norm\n";
    long size;
    Log log = {.text = bytes_of(path, &size)};
    ck_assert_msg(strncmp(log.text, header, strlen(header)) == 0, "%s", log.text);
    ck_assert_int_eq(log.text[size - 1], '\n');
    char *at = log.text + strlen(header);
    for (; *at; log.rows++) {
        char *end = strchr(at, '\n');
        *end = 0;
        for (int f = 0; f < 7; f++) {
            log.field[log.rows][f] = at;
            at += strcspn(at, ",");
            ck_assert_msg((*at == ',') == (f < 6), "row %d of %s", log.rows, path);
            *at++ = 0;
        }
        at = end + 1;
    }
    return log;
}

static void assert_same_log(const char *left, const char *right)
{
    Log a = log_of(left), b = log_of(right);
    ck_assert_int_eq(a.rows, b.rows);
    for (int r = 0; r < a.rows; r++)
        for (int f = 0; f < 7; f++)
            if (f != 2)
                ck_assert_str_eq(a.field[r][f], b.field[r][f]);
    free(a.text);
    free(b.text);
}

static void assert_same_run(int left, int right)
{
    assert_same_file(in_run(left, "model.safetensors"), in_run(right, "model.safetensors"));
    assert_same_file(in_run(left, "loss.svg"), in_run(right, "loss.svg"));
    assert_same_state(in_run(left, "state.safetensors"),
                      in_run(right, "state.safetensors"));
    assert_same_log(in_run(left, "log.csv"), in_run(right, "log.csv"));
}

static void assert_nothing_half_written(int run)
{
    char output[512];
    run_command(output, sizeof output, "find %s -name '*.new*'", folder[run]);
    ck_assert_str_eq(output, "");
}

/* ---- A run ---- */

START_TEST(a_run_learns_and_leaves_its_files)
{
    Error error;
    Line *l = line_new();
    TrainerSettings settings = settings_for(A);
    ck_assert_int_eq(train_line(l, &settings, "a line", &error), TRAINER_DONE);
    ck_assert_int_eq(l->losses, 50);
    ck_assert_double_lt(l->loss[49], 0.2 * l->loss[0]);
    ck_assert_double_lt(l->val[3], 0.05 * l->val[0]);
    ck_assert_float_ne(l->trace->data[0], 0);

    static const char *const names[] = {"model.safetensors", "state.safetensors", "log.csv",
                                        "loss.svg", "result.csv"};
    for (int i = 0; i < 5; i++)
        ck_assert(file_exists(in_run(A, names[i])));
    ck_assert(!file_exists(in_run(A, "previous")));
    assert_nothing_half_written(A);

    Safetensors *model = safetensors_open(in_run(A, "model.safetensors"), &error);
    ck_assert_msg(model != NULL, "%s", error.text);
    ck_assert_int_eq(model->count, 2); /* neither moments nor states */
    ck_assert_str_eq(safetensors_metadata(model, "width"), "1");
    safetensors_close(model);
    line_free(l);
}
END_TEST

START_TEST(the_log_has_a_row_now_and_then)
{
    Error error;
    Line *l = line_new();
    TrainerSettings settings = settings_for(A);
    ck_assert_int_eq(train_line(l, &settings, "a line", &error), TRAINER_DONE);
    Log log = log_of(in_run(A, "log.csv"));
    ck_assert_int_eq(log.rows, 26); /* 0, 2, 4 .. 50; validation after 0, 20, 40, 50 */
    for (int r = 0, v = 0; r < log.rows; r++) {
        char **field = log.field[r], want[32];
        bool evaluated = r % 10 == 0 || r == 25;
        ck_assert_int_eq(atoi(field[0]), 2 * r);
        ck_assert_int_eq(atoi(field[1]), 12 * r);
        ck_assert(strchr(field[2], '.') && atof(field[2]) >= 0);
        snprintf(want, sizeof want, "%.6f",
                 (l->loss[2 * r - 2 * !!r] + l->loss[2 * r - !!r]) / 2);
        ck_assert_str_eq(field[3], r ? want : "");
        snprintf(want, sizeof want, "%.6f", evaluated ? l->val[v++] : 0);
        ck_assert_str_eq(field[4], evaluated ? want : "");
        snprintf(want, sizeof want, "%.6g", cosine_schedule(2 * r - 1, 50, 5, 0.2, 0.02));
        ck_assert_str_eq(field[5], r ? want : "");
        ck_assert_int_eq(field[6][0] == 0, r == 0);
        ck_assert(r == 0 || atof(field[6]) > 0);
    }
    ck_assert_int_eq(l->vals, 4);
    free(log.text);
    line_free(l);
}
END_TEST

START_TEST(train_loss_is_the_mean_since_the_previous_row)
{
    Error error;
    Line *l = line_new();
    TrainerSettings settings = settings_for(A);
    settings.steps = 64; /* rows after 30, 60 (validation 300 is never reached), and 64 */
    settings.eval_every = 300;
    ck_assert_int_eq(train_line(l, &settings, "a line", &error), TRAINER_DONE);
    Log log = log_of(in_run(A, "log.csv"));
    static const int from[] = {0, 0, 30, 60}, to[] = {0, 30, 60, 64};
    ck_assert_int_eq(log.rows, 4);
    for (int r = 1; r < 4; r++) {
        double sum = 0;
        for (int i = from[r]; i < to[r]; i++)
            sum += l->loss[i];
        ck_assert_int_eq(atoi(log.field[r][0]), to[r]);
        ck_assert_double_le(fabs(atof(log.field[r][3]) - sum / (to[r] - from[r])), 6e-7);
    }
    ck_assert_str_eq(log.field[1][4], "");
    ck_assert_str_ne(log.field[3][4], "");
    free(log.text);
    line_free(l);
}
END_TEST

START_TEST(the_norm_in_the_log_is_that_before_clipping)
{
    TrainerSettings settings = settings_for(A);
    settings.steps = 5;
    settings.clip = 0.125;
    run_line(settings, no_trouble, TRAINER_DONE);
    Log log = log_of(in_run(A, "log.csv"));
    ck_assert_double_gt(atof(log.field[1][6]), 1);
    free(log.text);
}
END_TEST

/* The weight moves from 0 to 3, and validation likes it best on the way. */
START_TEST(the_best_model_is_kept_not_the_last)
{
    Error error = {""};
    Line *l = line_new();
    TrainerSettings settings = settings_for(A);
    settings.eval_every = 3;
    l->best_weight = 1.5;
    ck_assert_int_eq(train_line(l, &settings, "a line", &error), TRAINER_DONE);
    int best = 0;
    for (int v = 1; v < l->vals; v++)
        if (l->val[v] < l->val[best])
            best = v;
    ck_assert_int_gt(best, 0);
    ck_assert_int_lt(best, l->vals - 1);
    ck_assert_double_gt(l->val[l->vals - 1], 10 * l->val[best]);

    Safetensors *model = safetensors_open(in_run(A, "model.safetensors"), &error),
                *state = safetensors_open(in_run(A, "state.safetensors"), &error);
    float kept, last;
    memcpy(&kept, safetensors_find(model, "weight")->data, sizeof kept);
    memcpy(&last, safetensors_find(state, "weight")->data, sizeof last);
    ck_assert_float_eq(kept, (float)l->weight_at[best]);
    ck_assert_float_eq(last, l->weight->data[0]);
    safetensors_close(model);
    safetensors_close(state);

    long size;
    char *printed = bytes_of(scratch("stdout"), &size), want[100];
    snprintf(want, sizeof want, "Best validation loss: %.4f, after step %d.", l->val[best],
             3 * best);
    assert_contains(printed, want);
    free(printed);
    line_free(l);
}
END_TEST

START_TEST(every_evaluation_is_followed_by_a_show)
{
    Error error;
    Line *l = line_new();
    TrainerSettings settings = settings_for(A);
    ck_assert_int_eq(train_line(l, &settings, "a line", &error), TRAINER_DONE);
    ck_assert_int_eq(l->shows, 4);
    static const long want[] = {0, 20, 40, 50};
    ck_assert_mem_eq(l->shown, want, sizeof want);
    line_free(l);
}
END_TEST

START_TEST(off_a_terminal_every_row_is_a_plain_line)
{
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    long size;
    char *printed = bytes_of(scratch("stdout"), &size);
    int lines = 0;
    for (char *c = printed; *c; c++)
        lines += *c == '\n';
    ck_assert_int_eq(lines, 25 + 1);
    assert_contains(printed, "step 20/50  loss ");
    assert_contains(printed, "  validation ");
    ck_assert(strpbrk(printed, "\r\033") == NULL);
    free(printed);
}
END_TEST

/* A run that goes on has a curve to show from its first step. */
START_TEST(a_terminal_shows_one_live_line_with_its_curve)
{
    Error error;
    TrainerSettings settings = settings_for(A);
    settings.steps = 6;
    run_line(settings, no_trouble, TRAINER_DONE);
    settings.steps = 9;
    settings.resume = true;

    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
        return; /* a machine without pseudo-terminals */
    int inside = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    Line *l = line_new();
    ck_assert_int_eq(train_onto(inside, l, &settings, "a line, seed 3", &error),
                     TRAINER_DONE);
    char shown[4096];
    ssize_t got, length = 0; /* ends with an error when the other side is closed */
    while ((got = read(terminal, shown + length, sizeof shown - 1 - (size_t)length)) > 0)
        length += got;
    shown[length] = 0;
    assert_contains(shown, "\rstep 7/9  loss ");
    assert_contains(shown, " left  \xe2"); /* the dots of the curve, in Braille */
    assert_contains(shown, "\033[K");
    assert_contains(shown, "Best validation loss: ");
    close(terminal);
    line_free(l);
}
END_TEST

/* The line of result.csv, as numbers. */
static void result_of(int run, double number[7])
{
    static const char header[] =
        "parameters,active_parameters,best_val_loss,tokens,seconds,tokens_per_second,"
        "peak_memory_bytes\n";
    long size;
    char *text = bytes_of(in_run(run, "result.csv"), &size), *at = text + strlen(header);
    ck_assert_msg(strncmp(text, header, strlen(header)) == 0, "%s", text);
    for (int i = 0; i < 7; i++) {
        char *end;
        number[i] = strtod(at, &end);
        ck_assert_msg(end > at && *end == (i < 6 ? ',' : '\n'), "%s", text);
        at = end + 1;
    }
    ck_assert_int_eq(*at, 0);
    free(text);
}

START_TEST(the_result_is_one_line_of_numbers)
{
    Error error;
    Line *l = line_new();
    TrainerSettings settings = settings_for(A);
    double result[7];
    ck_assert_int_eq(train_line(l, &settings, "a line", &error), TRAINER_DONE);
    result_of(A, result);
    double best = l->val[0];
    for (int v = 1; v < l->vals; v++)
        best = fmin(best, l->val[v]);
    ck_assert_double_eq(result[0], 2);
    ck_assert_double_eq(result[1], 2);
    ck_assert_double_le(fabs(result[2] - best), 6e-7);
    ck_assert_double_eq(result[3], 50 * 6);
    Log log = log_of(in_run(A, "log.csv"));
    ck_assert_double_eq(result[4], atof(log.field[log.rows - 1][2]));
    ck_assert_double_gt(result[5], 0);
    if (result[4] > 0)
        ck_assert_double_le(fabs(result[3] / result[5] - result[4]), 6e-4);
    ck_assert_double_gt(result[6], 1e6); /* bytes, not kilobytes */
    ck_assert_double_lt(result[6], (double)physical_memory());
    free(log.text);
    line_free(l);
}
END_TEST

START_TEST(the_result_of_an_interrupted_run_is_of_what_it_did)
{
    double result[7];
    Trouble trouble = no_trouble;
    trouble.interrupt = 29;
    active_parameters = 1;
    run_line(settings_for(A), trouble, TRAINER_INTERRUPTED);
    result_of(A, result);
    ck_assert_double_eq(result[0], 2);
    ck_assert_double_eq(result[1], 1);
    ck_assert_double_eq(result[3], 30 * 6);
    resume_line(settings_for(A), no_trouble, TRAINER_DONE);
    result_of(A, result);
    ck_assert_double_eq(result[3], 50 * 6);
}
END_TEST

/* Killed between the last save and the result, it is written by who resumes to nothing. */
START_TEST(a_result_that_is_missing_is_made_up_for)
{
    double result[7];
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    ck_assert_int_eq(unlink(in_run(A, "result.csv")), 0);
    resume_line(settings_for(A), no_trouble, TRAINER_DONE);
    result_of(A, result);
    ck_assert_double_eq(result[3], 50 * 6);
}
END_TEST

START_TEST(every_file_is_on_the_disk_before_the_state_that_knows_of_it)
{
    TrainerSettings settings = settings_for(A);
    settings.steps = 0;
    order[0] = 0;
    run_line(settings, no_trouble, TRAINER_DONE);
    ck_assert_str_eq(order, "sync model.safetensors, rename model.safetensors, sync runA, "
                            "sync loss.svg, rename loss.svg, sync runA, "
                            "sync log.csv, "
                            "sync state.safetensors, rename state.safetensors, sync runA, "
                            "sync result.csv, rename result.csv, sync runA");
}
END_TEST

/* 10^9 rows would not fit into memory, and need not. */
START_TEST(a_run_may_have_any_number_of_steps_and_evaluations)
{
    Trouble trouble = no_trouble;
    TrainerSettings settings = settings_for(A);
    settings.steps = 1000000000;
    settings.eval_every = 1;
    trouble.interrupt = 2;
    run_line(settings, trouble, TRAINER_INTERRUPTED);
    Log log = log_of(in_run(A, "log.csv"));
    ck_assert_int_eq(log.rows, 4);
    free(log.text);
}
END_TEST

START_TEST(a_run_of_no_steps_measures_and_ends)
{
    TrainerSettings settings = settings_for(A);
    settings.steps = 0;
    run_line(settings, no_trouble, TRAINER_DONE);
    Log log = log_of(in_run(A, "log.csv"));
    ck_assert_int_eq(log.rows, 1);
    free(log.text);
}
END_TEST

/* ---- Interrupted and resumed ---- */

START_TEST(a_resumed_run_ends_with_the_same_bits)
{
    /* In the first step; between two rows; where an evaluation is due; late. */
    static const long places[] = {0, 18, 19, 48};
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    for (int i = 0; i < 4; i++) {
        Trouble trouble = no_trouble;
        trouble.interrupt = places[i];
        run_line(settings_for(B), trouble, TRAINER_INTERRUPTED);
        resume_line(settings_for(B), no_trouble, TRAINER_DONE);
        assert_same_run(B, A);
        assert_nothing_half_written(B);
    }
}
END_TEST

START_TEST(a_run_may_be_interrupted_again_and_again)
{
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    Trouble trouble = no_trouble;
    trouble.interrupt = 2;
    run_line(settings_for(B), trouble, TRAINER_INTERRUPTED);
    for (trouble.interrupt = 3; trouble.interrupt < 49; trouble.interrupt += 15)
        resume_line(settings_for(B), trouble, TRAINER_INTERRUPTED);
    resume_line(settings_for(B), no_trouble, TRAINER_DONE);
    assert_same_run(B, A);
}
END_TEST

START_TEST(an_interruption_while_validating_counts_too)
{
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    for (int call = 0; call < 3; call++) { /* before the first step, after 20, after 40 */
        Trouble trouble = no_trouble;
        trouble.interrupt_validation = call;
        run_line(settings_for(B), trouble, TRAINER_INTERRUPTED);
        resume_line(settings_for(B), no_trouble, TRAINER_DONE);
        assert_same_run(B, A);
    }
}
END_TEST

START_TEST(an_interruption_in_the_last_step_comes_too_late)
{
    Trouble trouble = no_trouble;
    trouble.interrupt = 49;
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    run_line(settings_for(B), trouble, TRAINER_DONE);
    assert_same_run(B, A);
}
END_TEST

/* Runs in a process of its own, and returns how that ended. */
static int run_apart(TrainerSettings settings, Trouble trouble)
{
    int status;
    parallel_threads(1); /* other threads would not survive the fork */
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        Error error;
        Line *l = line_new();
        signal(SIGINT, SIG_DFL); /* Check has a handler of its own */
        l->trouble = trouble;
        train_line(l, &settings, "a line, seed 3", &error);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

START_TEST(a_second_interruption_ends_the_program)
{
    Trouble trouble = no_trouble;
    trouble.interrupt_twice = 7;
    int status = run_apart(settings_for(A), trouble);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGINT);
}
END_TEST

START_TEST(a_run_that_was_killed_goes_on_from_its_last_save)
{
    static const long places[] = {0, 19, 33};
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    for (int i = 0; i < 3; i++) {
        Trouble trouble = no_trouble;
        trouble.kill = places[i];
        int status = run_apart(settings_for(B), trouble);
        ck_assert_int_eq(WEXITSTATUS(status), 99);
        resume_line(settings_for(B), no_trouble, TRAINER_DONE);
        assert_same_run(B, A);
    }
}
END_TEST

START_TEST(asked_to_stop_by_any_signal_it_saves_and_stops)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    for (int i = 0; i < 3; i++) {
        Trouble trouble = no_trouble;
        trouble.interrupt = 17;
        trouble.signal = signals[i];
        run_line(settings_for(B), trouble, TRAINER_INTERRUPTED);
        ck_assert_int_eq(interrupt_signal(), signals[i]);
        resume_line(settings_for(B), no_trouble, TRAINER_DONE);
        assert_same_run(B, A);
    }
}
END_TEST

START_TEST(a_signal_that_is_ignored_does_not_stop_a_run)
{
    Trouble trouble = no_trouble;
    trouble.interrupt = 17;
    signal(SIGINT, SIG_IGN);
    run_line(settings_for(A), trouble, TRAINER_DONE);
}
END_TEST

/* In the middle of a run in A, another one begins there, and one resumes there. */
static int rivals;

static void meet_a_rival(void)
{
    Error error;
    TrainerSettings settings = settings_for(A);
    for (int i = 0; i < 2; i++) {
        Line *l = line_new();
        settings.resume = i == 1;
        ck_assert_int_eq(train_line(l, &settings, "a line, seed 3", &error),
                         TRAINER_FAILED);
        assert_contains(error.text, "another run is using ");
        assert_contains(error.text, "/runA; choose another --out");
        line_free(l);
        rivals++;
    }
}

START_TEST(two_runs_do_not_use_one_folder)
{
    Trouble trouble = no_trouble;
    trouble.rival = 25;
    run_line(settings_for(B), no_trouble, TRAINER_DONE);
    run_line(settings_for(A), trouble, TRAINER_DONE);
    ck_assert_int_eq(rivals, 2);
    assert_same_run(A, B);
}
END_TEST

static void handler_of_the_caller(int signal)
{
    (void)signal;
}

START_TEST(the_handler_of_the_caller_is_put_back)
{
    struct sigaction now, mine = {.sa_handler = handler_of_the_caller};
    sigaction(SIGINT, &mine, NULL);
    Trouble trouble = no_trouble;
    trouble.interrupt = 3;
    run_line(settings_for(A), trouble, TRAINER_INTERRUPTED);
    sigaction(SIGINT, NULL, &now);
    ck_assert(now.sa_handler == handler_of_the_caller);
    trouble = no_trouble;
    trouble.nan = 3;
    run_line(settings_for(A), trouble, TRAINER_FAILED);
    sigaction(SIGINT, NULL, &now);
    ck_assert(now.sa_handler == handler_of_the_caller);
}
END_TEST

START_TEST(rows_after_the_last_save_are_cut_off)
{
    Trouble trouble = no_trouble;
    trouble.interrupt = 30;
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    run_line(settings_for(B), trouble, TRAINER_INTERRUPTED);
    FILE *log = fopen(in_run(B, "log.csv"), "a");
    fputs("32,192,0.1,9,,9,9\n34,204,0.2,9,8,9,9\n36,2", log);
    ck_assert_int_eq(fclose(log), 0);
    resume_line(settings_for(B), no_trouble, TRAINER_DONE);
    assert_same_run(B, A);
}
END_TEST

START_TEST(a_finished_run_resumes_to_nothing)
{
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    run_line(settings_for(B), no_trouble, TRAINER_DONE);
    char output[64];
    run_command(output, sizeof output, "cp -p -r %s %s", folder[A], scratch("copy"));
    resume_line(settings_for(A), no_trouble, TRAINER_DONE);
    ck_assert_int_eq(
        run_command(output, sizeof output, "diff -r %s %s", folder[A], scratch("copy")), 0);
}
END_TEST

START_TEST(a_finished_run_goes_on_when_given_more_steps)
{
    TrainerSettings more = settings_for(A);
    run_line(more, no_trouble, TRAINER_DONE);
    more.steps = 90;
    resume_line(more, no_trouble, TRAINER_DONE);
    Log log = log_of(in_run(A, "log.csv"));
    ck_assert_int_eq(log.rows, 46);
    ck_assert_str_eq(log.field[45][0], "90");
    ck_assert_str_ne(log.field[45][4], "");
    free(log.text);
}
END_TEST

/* ---- What cannot be resumed ---- */

static void assert_untouched(int run, const char *copy)
{
    char output[1024];
    ck_assert_msg(run_command(output, sizeof output, "diff -r %s %s", folder[run], copy) ==
                      0,
                  "%s", output);
}

static const char *copy_of(int run)
{
    char output[256];
    run_command(output, sizeof output, "rm -rf %s; cp -r %s %s", scratch("copy"),
                folder[run], scratch("copy"));
    return scratch("copy");
}

START_TEST(another_run_is_not_resumed)
{
    Error error;
    Trouble trouble = no_trouble;
    trouble.interrupt = 30;
    run_line(settings_for(A), trouble, TRAINER_INTERRUPTED);
    const char *copy = copy_of(A);
    Line *l = line_new();
    TrainerSettings settings = settings_for(A);
    settings.resume = true;
    ck_assert_int_eq(train_line(l, &settings, "a line, seed 4", &error), TRAINER_FAILED);
    assert_contains(error.text, "state.safetensors is of another run: that one has a line, "
                                "seed 3, this one a line, seed 4");
    ck_assert_int_eq(l->losses, 0);
    line_free(l);
    assert_untouched(A, copy);
}
END_TEST

START_TEST(nothing_cannot_be_resumed)
{
    const char *text = resume_line(settings_for(A), no_trouble, TRAINER_FAILED);
    assert_contains(text, folder[A]);
    assert_contains(text, "state.safetensors is missing: there is nothing to resume; leave "
                          "--resume out");
}
END_TEST

START_TEST(a_state_of_other_shapes_is_refused)
{
    Error error;
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    Line *l = line_new();
    l->ballast = param(scope(l->params), "ballast", BALLAST, normal(1));
    TrainerSettings settings = settings_for(A);
    settings.resume = true;
    ck_assert_int_eq(train_line(l, &settings, "a line, seed 3", &error), TRAINER_FAILED);
    assert_contains(error.text, "it lacks ballast");
    line_free(l);
}
END_TEST

/* As after a power failure: what is gone is gone, and the model is none the worse. */
START_TEST(a_log_that_lost_rows_is_no_reason_not_to_resume)
{
    Trouble trouble = no_trouble;
    trouble.interrupt = 30;
    ck_assert(freopen(scratch("stderr"), "w", stderr) != NULL);
    run_line(settings_for(B), no_trouble, TRAINER_DONE);
    for (int i = 0; i < 2; i++) {
        run_line(settings_for(A), trouble, TRAINER_INTERRUPTED);
        ck_assert_int_eq(
            i ? unlink(in_run(A, "log.csv")) : truncate(in_run(A, "log.csv"), 100), 0);
        resume_line(settings_for(A), no_trouble, TRAINER_DONE);
        assert_same_file(in_run(A, "model.safetensors"), in_run(B, "model.safetensors"));
        Log log = log_of(in_run(A, "log.csv"));
        ck_assert_int_eq(log.rows,
                         i ? 10 : 11); /* of 26; the steps 32, 34 .. 50 at least */
        ck_assert_str_eq(log.field[i ? 0 : 1][0], "32");
        free(log.text);
    }
}
END_TEST

START_TEST(a_state_of_another_optimizer_is_refused_by_its_name)
{
    TrainerSettings settings = settings_for(A);
    settings.optimizer = OPTIMIZER_MUON;
    run_line(settings, no_trouble, TRAINER_DONE);
    const char *copy = copy_of(A);
    settings.optimizer = OPTIMIZER_ADAMW;
    const char *text = resume_line(settings, no_trouble, TRAINER_FAILED);
    assert_contains(text,
                    "state.safetensors is of a run with --optimizer muon; it cannot be "
                    "resumed with adamw");
    assert_untouched(A, copy);
}
END_TEST

/* Puts other numbers into the state. */
static void write_state(const char *numbers)
{
    Error error = {""};
    Line *l = line_new();
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, l->params, 0.9, 0.99, 0);
    Params *lists[] = {l->params, adam->moments, l->carried};
    SafeMetadata run[] = {{"identity", "a line, seed 3"}, {"run", numbers}};
    ck_assert(checkpoint_save(in_run(A, "state.safetensors"), lists, 3, run,
                              numbers ? 2 : 1, &error));
    optimizer_free(adam);
    line_free(l);
}

START_TEST(a_file_that_is_no_state_is_refused)
{
    static const char *const numbers[] = {NULL,
                                          "",
                                          "1 2 3",
                                          "x",
                                          "-5 1 70 0 0x1p+0 0x1p+0 0x1p+0 1 0x1p+0 0x1p+0",
                                          "5 1 -70 0 0x1p+0 0x1p+0 0x1p+0 1 0x1p+0 0x1p+0",
                                          "5 1 0 0 0x1p+0 0x1p+0 0x1p+0 1 0x1p+0 0x1p+0"};
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    for (int i = 0; i < 7; i++) {
        write_state(numbers[i]);
        const char *text = resume_line(settings_for(A), no_trouble, TRAINER_FAILED);
        assert_contains(text, "state.safetensors is not the state of a run");
    }
    write_bytes(in_run(A, "state.safetensors"), "nonsense", 8);
    const char *text = resume_line(settings_for(A), no_trouble, TRAINER_FAILED);
    assert_contains(text, "state.safetensors");
}
END_TEST

/* ---- Numbers that are none ---- */

START_TEST(a_loss_that_is_no_number_names_step_and_tensor)
{
    Error error;
    Line *l = line_new();
    TrainerSettings settings = settings_for(A);
    l->trouble.nan = 27;
    l->watch = in_run(A, "state.safetensors");
    ck_assert_int_eq(train_line(l, &settings, "a line", &error), TRAINER_FAILED);
    assert_contains(error.text,
                    "at step 28 the loss is no longer a number; it began in log "
                    "(6, 1)");
    assert_contains(error.text, "The last good checkpoint is in");
    assert_contains(error.text, folder[A]);

    long size;
    char *state = bytes_of(in_run(A, "state.safetensors"), &size);
    ck_assert_int_eq(size, l->seen_size);
    ck_assert_mem_eq(state, l->seen, (size_t)size);
    free(state);
    assert_nothing_half_written(A);
    line_free(l);
}
END_TEST

START_TEST(a_run_that_failed_can_be_resumed)
{
    Trouble trouble = no_trouble;
    trouble.nan = 27;
    run_line(settings_for(A), no_trouble, TRAINER_DONE);
    run_line(settings_for(B), trouble, TRAINER_FAILED);
    resume_line(settings_for(B), no_trouble, TRAINER_DONE);
    assert_same_run(B, A);
}
END_TEST

START_TEST(a_gradient_that_is_no_number_names_its_parameter)
{
    Trouble trouble = no_trouble;
    trouble.nan_gradient = 3;
    const char *text = run_line(settings_for(A), trouble, TRAINER_FAILED);
    assert_contains(text, "at step 4 the gradient of bias is no longer a number. The last "
                          "good checkpoint is in");
}
END_TEST

START_TEST(a_validation_loss_that_is_no_number_is_not_logged)
{
    Trouble trouble = no_trouble;
    trouble.nan_validation = 1;
    const char *text = run_line(settings_for(A), trouble, TRAINER_FAILED);
    assert_contains(text, "after step 20 the validation loss is no longer a number");
    Log log = log_of(in_run(A, "log.csv"));
    ck_assert_str_eq(log.field[log.rows - 1][0], "18");
    free(log.text);
    trouble.nan_validation = 0;
    text = run_line(settings_for(B), trouble, TRAINER_FAILED);
    assert_contains(text, "after step 0 the validation loss");
    ck_assert(!file_exists(in_run(B, "model.safetensors")));
}
END_TEST

/* ---- Troubles with files ---- */

START_TEST(a_file_in_the_way_of_the_folder_is_named)
{
    TrainerSettings settings = settings_for(A);
    write_bytes(folder[A], "x", 1);
    const char *text = run_line(settings, no_trouble, TRAINER_FAILED);
    assert_contains(text, folder[A]);
    assert_contains(text, "a file of that name is in the way");
    char below[300];
    snprintf(below, sizeof below, "%s/below", folder[A]);
    settings.out = below;
    text = run_line(settings, no_trouble, TRAINER_FAILED);
    assert_contains(text, "cannot make the folder");
    assert_contains(text, below);
}
END_TEST

START_TEST(a_log_that_cannot_be_written_is_named)
{
    Error error;
    settings_for(A);
    ck_assert(folder_make(in_run(A, "log.csv"), &error));
    const char *text = run_line(settings_for(A), no_trouble, TRAINER_FAILED);
    assert_contains(text, "cannot write");
    assert_contains(text, "log.csv");
}
END_TEST

/* A model with ballast, so that its files are larger than the log: 16 kB the model, 48 kB
 * the state. */
static TrainerEnd run_heavy(TrainerSettings settings, Trouble trouble, Error *error)
{
    Line *l = line_new();
    l->ballast = param(scope(l->params), "ballast", BALLAST, 1, normal(1));
    l->trouble = trouble;
    TrainerEnd end = train_line(l, &settings, "heavy", error);
    limit_files(-1);
    line_free(l);
    return end;
}

START_TEST(a_full_disk_costs_only_the_steps_since_the_last_save)
{
    static const struct {
        long room;
        const char *file;
    } cases[] = {
        {400, "log.csv"}, {12000, "model.safetensors"}, {30000, "state.safetensors"}};
    Error error;
    TrainerSettings settings = settings_for(B), full = settings_for(A);
    ck_assert_int_eq(run_heavy(settings, no_trouble, &error), TRAINER_DONE);
    for (int i = 0; i < 3; i++) {
        Trouble trouble = no_trouble;
        trouble.full = 12;
        trouble.room = cases[i].room;
        full.resume = false;
        ck_assert_int_eq(run_heavy(full, trouble, &error), TRAINER_FAILED);
        assert_contains(error.text, "cannot write");
        assert_contains(error.text, cases[i].file);
        assert_contains(error.text, strerror(EFBIG));
        assert_nothing_half_written(A);
        Safetensors *model = safetensors_open(in_run(A, "model.safetensors"), &error);
        ck_assert_msg(model != NULL, "%s", error.text);
        float weight; /* still that of before the first step, where the new one is not whole
                       */
        memcpy(&weight, safetensors_find(model, "weight")->data, sizeof weight);
        ck_assert_int_eq(weight == 0, i < 2);
        safetensors_close(model);

        full.resume = true;
        ck_assert_int_eq(run_heavy(full, no_trouble, &error), TRAINER_DONE);
        assert_same_run(A, B);
    }
}
END_TEST

/* ---- A new run where an old one was ---- */

START_TEST(a_new_run_sets_the_old_one_aside)
{
    TrainerSettings settings = settings_for(A), other = settings_for(B);
    run_line(settings, no_trouble, TRAINER_DONE);
    run_line(other, no_trouble, TRAINER_DONE);
    settings.seed = 4;
    run_line(settings, no_trouble, TRAINER_DONE);
    snprintf(folder[C], sizeof folder[C], "%.200s/previous", folder[A]);
    assert_same_run(C, B);

    settings_for(D);
    char output[256];
    run_command(output, sizeof output, "cp -r %s %s", folder[A], folder[D]);
    settings.seed = 5;
    run_line(settings, no_trouble, TRAINER_DONE); /* and that one, of which one is kept */
    assert_same_run(C, D);
    ck_assert(!file_exists(in_run(C, "previous")));
}
END_TEST

START_TEST(a_run_that_cannot_be_set_aside_is_not_overwritten)
{
    TrainerSettings settings = settings_for(A);
    settings.steps = 4;
    run_line(settings, no_trouble, TRAINER_DONE);
    const char *copy = copy_of(A);
    ck_assert_int_eq(symlink("nowhere", in_run(A, "previous.new")), 0);
    settings.seed = 4;
    const char *text = run_line(settings, no_trouble, TRAINER_FAILED);
    assert_contains(text, "cannot make the folder");
    assert_contains(text, "previous.new");
    ck_assert_int_eq(unlink(in_run(A, "previous.new")), 0);
    assert_untouched(A, copy);
}
END_TEST

/* A run that was killed while it was being set aside is put back, also to be resumed. */
START_TEST(a_run_that_was_half_set_aside_is_resumed)
{
    Trouble trouble = no_trouble;
    char output[256];
    trouble.interrupt = 30;
    run_line(settings_for(B), no_trouble, TRAINER_DONE);
    run_line(settings_for(A), trouble, TRAINER_INTERRUPTED);
    ck_assert_int_eq(run_command(output, sizeof output,
                                 "cd %s && mkdir previous.new && mv model.safetensors "
                                 "log.csv previous.new",
                                 folder[A]),
                     0);
    resume_line(settings_for(A), no_trouble, TRAINER_DONE);
    assert_same_run(A, B);
}
END_TEST

/* ---- Writing a file that memory has no room for ---- */

static bool memory_fails;

/* Takes the place of the system's. */
FILE *open_memstream(char **text, size_t *length)
{
    FILE *(*real)(char **, size_t *);
    *(void **)&real = dlsym(RTLD_NEXT, "open_memstream");
    return memory_fails ? fopen("/dev/full", "w") : real(text, length);
}

/* Leaves a stack on which nothing is 0 by chance. */
__attribute__((noinline)) static void litter(void)
{
    volatile char rubbish[20000];
    for (size_t i = 0; i < sizeof rubbish; i++)
        rubbish[i] = 0x55;
}

START_TEST(a_header_without_memory_ends_with_a_size_that_is_known)
{
    char text[256] = "";
    int ends[2];
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        Error error;
        dup2(ends[1], STDERR_FILENO);
        memory_fails = true;
        litter();
        safetensors_save(scratch("file"), NULL, 0, metadata, 1, &error);
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_gt(read(ends[0], text, sizeof text - 1), 0);
    close(ends[0]);
    waitpid(child, NULL, 0);
    ck_assert_str_eq(text, "out of memory: 0.0 MB for the header of a safetensors file "
                           "cannot be had\n");
}
END_TEST

SUITE("trainer", 20, a_run_learns_and_leaves_its_files, the_log_has_a_row_now_and_then,
      train_loss_is_the_mean_since_the_previous_row,
      the_norm_in_the_log_is_that_before_clipping, the_best_model_is_kept_not_the_last,
      every_evaluation_is_followed_by_a_show, off_a_terminal_every_row_is_a_plain_line,
      a_terminal_shows_one_live_line_with_its_curve, the_result_is_one_line_of_numbers,
      the_result_of_an_interrupted_run_is_of_what_it_did,
      a_result_that_is_missing_is_made_up_for,
      every_file_is_on_the_disk_before_the_state_that_knows_of_it,
      a_run_may_have_any_number_of_steps_and_evaluations,
      a_run_of_no_steps_measures_and_ends, a_resumed_run_ends_with_the_same_bits,
      a_run_may_be_interrupted_again_and_again, an_interruption_while_validating_counts_too,
      an_interruption_in_the_last_step_comes_too_late,
      a_second_interruption_ends_the_program,
      a_run_that_was_killed_goes_on_from_its_last_save,
      asked_to_stop_by_any_signal_it_saves_and_stops,
      a_signal_that_is_ignored_does_not_stop_a_run, two_runs_do_not_use_one_folder,
      the_handler_of_the_caller_is_put_back, rows_after_the_last_save_are_cut_off,
      a_finished_run_resumes_to_nothing, a_finished_run_goes_on_when_given_more_steps,
      another_run_is_not_resumed, nothing_cannot_be_resumed,
      a_state_of_other_shapes_is_refused, a_log_that_lost_rows_is_no_reason_not_to_resume,
      a_state_of_another_optimizer_is_refused_by_its_name,
      a_file_that_is_no_state_is_refused, a_loss_that_is_no_number_names_step_and_tensor,
      a_run_that_failed_can_be_resumed, a_gradient_that_is_no_number_names_its_parameter,
      a_validation_loss_that_is_no_number_is_not_logged,
      a_file_in_the_way_of_the_folder_is_named, a_log_that_cannot_be_written_is_named,
      a_full_disk_costs_only_the_steps_since_the_last_save,
      a_new_run_sets_the_old_one_aside, a_run_that_cannot_be_set_aside_is_not_overwritten,
      a_run_that_was_half_set_aside_is_resumed,
      a_header_without_memory_ends_with_a_size_that_is_known)
