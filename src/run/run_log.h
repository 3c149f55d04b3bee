/* run_log.h - the log of a run: every row in a file, and as many as a picture can show in
 * memory. */
#ifndef LINEAGE_RUN_LOG_H
#define LINEAGE_RUN_LOG_H

#include "plot/plot.h"
#include <stdio.h>

enum { MOST_POINTS = 4096 }; /* in memory */

/* NaN where there is nothing to say. Losses are means over the steps since the row before,
 * or over the validation split. Seconds are those spent in training steps; evaluating,
 * showing and saving do not count. */
typedef struct {
    long step;
    long long tokens;
    double seconds, train_loss, val_loss, learning_rate, grad_norm;
} LogRow;

/* What of a row is in the picture. */
typedef struct {
    double step, train_loss, val_loss;
} LogPoint;

typedef struct {
    LogPoint *point; /* row 0 of the file, every `every`th after it, and the last */
    int points;
    double val_loss; /* the last one; NaN before the first */

    /* For run_log.c only. */
    FILE *file;
    char path[1200];
    long count, every; /* rows of the file; a power of 2 */
} RunLog;

/* Begins a new file, with a header. False with a sentence. The log must be closed either
 * way. */
bool run_log_begin(RunLog *log, const char *path, Error *error);

/* Goes on after the first `length` bytes of the file. Where there are fewer, as a power
 * failure can leave it, it says so on stderr and goes on after the last whole row. */
bool run_log_resume(RunLog *log, const char *path, long length, Error *error);

/* Adds a row, and hands it to the system. */
bool run_log_add(RunLog *log, LogRow row, Error *error);

/* Waits until the file is on the disk. Returns its length; -1 with a sentence. */
long run_log_sync(RunLog *log, Error *error);

/* Draws both losses into an SVG, and lines at losses to compare with. `title`
 * names the model, `training` the training loss. */
bool run_log_draw(const RunLog *log, const char *path, const char *title,
                  const char *training, const PlotReference *levels, int level_count,
                  Error *error);

bool run_log_close(RunLog *log, Error *error);

#endif
