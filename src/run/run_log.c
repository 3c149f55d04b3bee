/* run_log.c - the log of a run. */
#include "run/run_log.h"
#include "base/files.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char header[] =
    "step,tokens,seconds,train_loss,val_loss,learning_rate,grad_norm\n";
enum { FIELDS = 7 };

static bool trouble(const RunLog *log, Error *error)
{
    return fail(error, "cannot write %s: %s", log->path, strerror(errno));
}

/* When there are too many points, every second one goes. The last one stays until the next
 * comes, and after that if its turn was. */
static void keep(RunLog *log, LogPoint point)
{
    if (log->points && (log->count - 1) % log->every != 0)
        log->points--;
    if (log->points == MOST_POINTS) {
        log->points /= 2;
        log->every *= 2;
        for (int i = 0; i < log->points; i++)
            log->point[i] = log->point[2 * i];
    }
    log->point[log->points++] = point;
    log->count++;
    if (!isnan(point.val_loss))
        log->val_loss = point.val_loss;
}

static void read_rows(RunLog *log, char *text)
{
    char *end, *line = strtok_r(text, "\n", &end);
    while (line && (line = strtok_r(NULL, "\n", &end))) {
        double field[FIELDS];
        for (int i = 0; i < FIELDS; i++) {
            char *after = line;
            field[i] = strtod(line, &after);
            if (after == line)
                field[i] = NAN;
            line = *after == ',' ? after + 1 : after;
        }
        keep(log, (LogPoint){field[0], field[3], field[4]});
    }
}

static void make_empty(RunLog *log, const char *path)
{
    *log = (RunLog){.val_loss = NAN, .every = 1};
    log->point = allocate(MOST_POINTS, sizeof *log->point);
    snprintf(log->path, sizeof log->path, "%s", path);
}

/* Opens the file to write after its first `length` bytes; none: anew. */
static bool open_file(RunLog *log, long length, Error *error)
{
    if (length && truncate(log->path, length) != 0)
        return trouble(log, error);
    log->file = fopen(log->path, length ? "a" : "w");
    if (!log->file || (!length && (fputs(header, log->file) < 0 || fflush(log->file) != 0)))
        return trouble(log, error);
    fseek(log->file, 0, SEEK_END);
    return true;
}

bool run_log_begin(RunLog *log, const char *path, Error *error)
{
    make_empty(log, path);
    return open_file(log, 0, error);
}

bool run_log_resume(RunLog *log, const char *path, long length, Error *error)
{
    long size = 0;
    char *text = NULL;
    make_empty(log, path);
    if (file_exists(path) && !(text = file_read(path, &size, error)))
        return false;
    if (size < length) {
        fprintf(stderr,
                "%s is shorter than the state of the run says, as after a power failure; "
                "the run goes on without the rows that are lost\n",
                path);
        for (length = size; length > 0 && text[length - 1] != '\n';)
            length--;
    }
    if (text) {
        text[length] = 0;
        read_rows(log, text);
    }
    free(text);
    return open_file(log, length, error);
}

static void write_field(FILE *file, double value, const char *format)
{
    fputc(',', file);
    if (!isnan(value))
        fprintf(file, format, value);
}

bool run_log_add(RunLog *log, LogRow row, Error *error)
{
    fprintf(log->file, "%ld,%lld,%.3f", row.step, row.tokens, row.seconds);
    write_field(log->file, row.train_loss, "%.6f");
    write_field(log->file, row.val_loss, "%.6f");
    write_field(log->file, row.learning_rate, "%.6g");
    write_field(log->file, row.grad_norm, "%.6g");
    fputc('\n', log->file);
    if (fflush(log->file) != 0)
        return trouble(log, error);
    keep(log, (LogPoint){(double)row.step, row.train_loss, row.val_loss});
    return true;
}

long run_log_sync(RunLog *log, Error *error)
{
    if (fflush(log->file) == 0 && fsync(fileno(log->file)) == 0)
        return ftell(log->file);
    trouble(log, error);
    return -1;
}

bool run_log_close(RunLog *log, Error *error)
{
    free(log->point);
    return !log->file || fclose(log->file) == 0 || trouble(log, error);
}

/* ---- The picture ---- */

/* The rows that have a training loss, and those that have a validation loss, each as x and
 * y from n numbers apart. */
static void losses_of(const RunLog *log, double *numbers, int counts[2])
{
    int n = log->points;
    counts[0] = counts[1] = 0;
    for (int i = 0; i < n; i++) {
        const LogPoint *point = &log->point[i];
        const double loss[2] = {point->train_loss, point->val_loss};
        for (int k = 0; k < 2; k++)
            if (!isnan(loss[k])) {
                numbers[2 * k * n + counts[k]] = point->step;
                numbers[(2 * k + 1) * n + counts[k]++] = loss[k];
            }
    }
}

bool run_log_draw(const RunLog *log, const char *path, const char *title,
                  const char *training, const PlotReference *levels, int level_count,
                  Error *error)
{
    size_t n = (size_t)log->points;
    double *numbers = allocate(4 * n, sizeof *numbers);
    int counts[2];
    losses_of(log, numbers, counts);
    PlotLine lines[] = {
        {.name = training, .x = numbers, .y = numbers + n, .count = counts[0]},
        {.name = "validation",
         .x = numbers + 2 * n,
         .y = numbers + 3 * n,
         .count = counts[1],
         .markers = true},
    };
    char falls[200];
    snprintf(falls, sizeof falls, "%s: how the loss falls", title);
    Chart chart = {.title = falls,
                   .x_label = "step",
                   .y_label = "loss, nats per token",
                   .lines = lines,
                   .count = 2,
                   .references = levels,
                   .reference_count = level_count};
    bool drawn = plot_lines(path, &chart, error);
    free(numbers);
    return drawn;
}
