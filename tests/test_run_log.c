/* test_run_log.c - every row is in the file; what a picture can show is in memory, and the
 * same after going on as without a break. */
#include "base/files.h"
#include "run/run_log.h"
#include "suite.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static const char header[] =
    "step,tokens,seconds,train_loss,val_loss,learning_rate,grad_norm\n";

static void add(RunLog *log, long i)
{
    Error error;
    LogRow row = {i,
                  10 * i,
                  0.5,
                  i ? 1.0 / (double)i : NAN,
                  i % 3 ? NAN : (double)i,
                  i ? 0.01 : NAN,
                  i ? 2 : NAN};
    ck_assert(run_log_add(log, row, &error));
}

static RunLog begun(long rows)
{
    Error error = {""};
    RunLog log;
    ck_assert_msg(run_log_begin(&log, scratch("log.csv"), &error), "%s", error.text);
    for (long i = 0; i < rows; i++)
        add(&log, i);
    return log;
}

static void finish(RunLog *log)
{
    Error error = {""};
    ck_assert_msg(run_log_close(log, &error), "%s", error.text);
}

static char *text_of_log(void)
{
    return text_of(scratch("log.csv"));
}

START_TEST(a_row_says_what_there_is_to_say)
{
    RunLog log = begun(2);
    ck_assert_double_eq(log.val_loss, 0);
    finish(&log);
    char *text = text_of_log(), want[256];
    snprintf(want, sizeof want, "%s0,0,0.500,,0.000000,,\n1,10,0.500,1.000000,,0.01,2\n",
             header);
    ck_assert_str_eq(text, want);
    free(text);
}
END_TEST

/* The first, the last, and between them rows at even distances. */
static void is_spread(const RunLog *log, long rows)
{
    int n = log->points;
    ck_assert_int_le(n, MOST_POINTS);
    ck_assert(rows <= MOST_POINTS ? n == rows : n > MOST_POINTS / 2);
    ck_assert_double_eq(log->point[0].step, 0);
    ck_assert_double_eq(log->point[n - 1].step, (double)(rows - 1));
    double apart = log->point[1].step;
    for (int i = 1; i < n - 1; i++)
        ck_assert_double_eq(log->point[i].step, apart * i);
    ck_assert_double_le(log->point[n - 1].step - log->point[n - 2].step, apart);
    ck_assert_double_eq(log->val_loss, (double)((rows - 1) / 3 * 3));
}

START_TEST(a_long_log_is_thinned_in_memory_and_whole_in_the_file)
{
    static const long counts[] = {2, MOST_POINTS, MOST_POINTS + 1, MOST_POINTS + 2, 20000};
    for (int i = 0; i < 5; i++) {
        RunLog log = begun(counts[i]);
        is_spread(&log, counts[i]);
        finish(&log);
        char *text = text_of_log();
        long lines = 0;
        for (const char *c = text; *c; c++)
            lines += *c == '\n';
        ck_assert_int_eq(lines, counts[i] + 1);
        free(text);
    }
}
END_TEST

START_TEST(a_log_that_goes_on_keeps_the_same_points)
{
    static const long breaks[] = {1, 100, MOST_POINTS - 1, MOST_POINTS, 9999, 12345};
    Error error = {""};
    for (int i = 0; i < 6; i++) {
        RunLog log = begun(breaks[i]), whole;
        long length = run_log_sync(&log, &error);
        add(&log, 77); /* after the state was saved: to be cut off */
        finish(&log);
        ck_assert_int_gt(length, 0);
        ck_assert(run_log_resume(&log, scratch("log.csv"), length, &error));
        for (long row = breaks[i]; row < 15000; row++)
            add(&log, row);
        whole = begun(15000);
        ck_assert_int_eq(log.points, whole.points);
        for (int p = 0; p < whole.points; p++)
            ck_assert_double_eq(log.point[p].step, whole.point[p].step);
        finish(&log);
        finish(&whole);
    }
}
END_TEST

/* What is in the log after one more row, where there was `text` and more is expected. */
static void goes_on_with(const char *text, const char *want)
{
    Error error = {""};
    RunLog log;
    unlink(scratch("log.csv"));
    if (text)
        write_bytes(scratch("log.csv"), text, (long)strlen(text));
    ck_assert_msg(run_log_resume(&log, scratch("log.csv"), 500, &error), "%s", error.text);
    add(&log, 9);
    finish(&log);
    char *now = text_of_log(), all[512];
    snprintf(all, sizeof all, "%s%s9,90,0.500,0.111111,9.000000,0.01,2\n", header, want);
    ck_assert_str_eq(now, all);
    free(now);
}

START_TEST(a_log_that_lost_rows_goes_on_after_the_last_whole_one)
{
    char text[256];
    ck_assert(freopen(scratch("stderr"), "w", stderr) != NULL);
    snprintf(text, sizeof text, "%s0,0,0.5,1,2,3,4\n1,10,0.5", header);
    goes_on_with(text, "0,0,0.5,1,2,3,4\n");
    goes_on_with(header, "");
    goes_on_with("step,tok", "");
    goes_on_with("", "");
    goes_on_with(NULL, "");
    fflush(stderr);
    char said[2048], want[400];
    run_command(said, sizeof said, "head -n 1 %s; wc -l <%s", scratch("stderr"),
                scratch("stderr"));
    snprintf(want, sizeof want,
             "%s is shorter than the state of the run says, as after a power failure; the "
             "run goes on without the rows that are lost\n5\n",
             scratch("log.csv"));
    ck_assert_str_eq(said, want);
}
END_TEST

START_TEST(a_log_that_cannot_be_read_or_written_is_named)
{
    Error error = {""};
    RunLog log;
    ck_assert(folder_make(scratch("log.csv"), &error));
    ck_assert(!run_log_begin(&log, scratch("log.csv"), &error));
    assert_contains(error.text, "/log.csv: Is a directory");
    finish(&log);
    ck_assert(!run_log_resume(&log, scratch("log.csv"), 100, &error));
    assert_contains(error.text, "/log.csv: it is a folder");
    finish(&log);
    ck_assert_int_eq(symlink("/dev/full", scratch("full")), 0);
    ck_assert(!run_log_begin(&log, scratch("full"), &error));
    assert_contains(error.text, "/full: No space left on device");
    fclose(log.file);
    log.file = NULL;
    finish(&log);
}
END_TEST

SUITE("run_log", 20, a_row_says_what_there_is_to_say,
      a_long_log_is_thinned_in_memory_and_whole_in_the_file,
      a_log_that_goes_on_keeps_the_same_points,
      a_log_that_lost_rows_goes_on_after_the_last_whole_one,
      a_log_that_cannot_be_read_or_written_is_named)
