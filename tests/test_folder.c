/* test_folder.c - a folder belongs to one run, and an old run in it is moved whole or not at
 * all, whatever happens between two steps. */
#include "base/files.h"
#include "run/folder.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- A system that fails, or kills, at a call of our choice ---- */

static int calls, failing, killing; /* counted from 1; 0: none */

/* Whether this call fails; a killed process does not come back. */
static bool fails_now(void)
{
    calls++;
    if (calls == killing)
        _exit(99);
    errno = EACCES;
    return calls == failing;
}

/* These take the place of the system's. */
int rename(const char *from, const char *to)
{
    return fails_now() ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int mkdir(const char *path, mode_t mode)
{
    return fails_now() ? -1 : mkdirat(AT_FDCWD, path, mode);
}

int unlink(const char *path)
{
    return fails_now() ? -1 : unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return fails_now() ? -1 : unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

/* ---- Runs ---- */

static const char *const names[] = {"log.csv", "loss.svg", "model.safetensors",
                                    "result.csv", "state.safetensors"};
static char run[256], previous[300], older[400];

static void write_run(const char *folder, const char *text)
{
    Error error;
    ck_assert(folder_make(folder, &error));
    for (int i = 0; i < 5; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        write_bytes(path, text, (long)strlen(text));
    }
}

/* A run in a fresh folder, with an older one in previous/ and a picture beside it. */
static void write_runs(void)
{
    char output[64];
    snprintf(run, sizeof run, "%s", scratch("run"));
    snprintf(previous, sizeof previous, "%s/previous", run);
    snprintf(older, sizeof older, "%s/previous", previous);
    run_command(output, sizeof output, "rm -rf %s", run);
    write_run(run, "new");
    write_run(previous, "old");
    write_bytes(scratch("run/attention.svg"), "kept", 4);
    calls = failing = killing = 0;
}

/* Whether a folder holds this run; "": none, nor a part of one. */
static bool holds_run(const char *folder, const char *text)
{
    for (int i = 0; i < 5; i++) {
        char path[600], *bytes;
        Error error;
        long size;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        bytes = file_exists(path) ? file_read(path, &size, &error) : NULL;
        bool right = bytes ? strcmp(bytes, text) == 0 : !*text;
        free(bytes);
        if (!right)
            return false;
    }
    return true;
}

static bool is_untouched(void)
{
    return holds_run(run, "new") && holds_run(previous, "old");
}

/* The older of the two is to be removed; a kill may have left it in the way. */
static bool is_set_aside(void)
{
    return holds_run(run, "") && holds_run(previous, "new");
}

static void only_these(const char *listing)
{
    char output[1024];
    run_command(output, sizeof output, "cd %s && find . | sort | tr '\n' ' '", run);
    ck_assert_str_eq(output, listing);
}

#define FILES_IN(folder)                                                       \
    folder "/log.csv " folder "/loss.svg " folder "/model.safetensors " folder \
           "/result.csv " folder "/state.safetensors "

/* ---- Setting aside ---- */

START_TEST(an_old_run_is_moved_and_the_one_before_it_removed)
{
    Error error = {""};
    write_runs();
    ck_assert_msg(folder_set_aside(run, &error), "%s", error.text);
    ck_assert(is_set_aside());
    only_these(". ./attention.svg ./previous " FILES_IN("./previous"));
    ck_assert(folder_set_aside(run, &error)); /* nothing more to move */
    ck_assert(is_set_aside());
    write_run(run, "newer");
    ck_assert(folder_set_aside(run, &error));
    ck_assert(holds_run(previous, "newer"));
    only_these(". ./attention.svg ./previous " FILES_IN("./previous"));
}
END_TEST

/* A run that was killed before its first picture, and what a user put into previous/. */
START_TEST(what_is_missing_is_not_missed_and_what_is_not_ours_is_kept)
{
    Error error = {""};
    write_runs();
    unlink(scratch("run/loss.svg"));
    write_bytes(scratch("run/previous/notes"), "mine", 4);
    ck_assert_msg(folder_set_aside(run, &error), "%s", error.text);
    ck_assert(!file_exists(scratch("run/previous/loss.svg")));
    ck_assert(file_exists(scratch("run/previous/model.safetensors")));
    ck_assert(file_exists(scratch("run/previous/previous/notes")));
}
END_TEST

START_TEST(a_run_without_a_state_is_no_run)
{
    Error error = {""};
    write_runs();
    unlink(scratch("run/state.safetensors"));
    ck_assert(folder_set_aside(run, &error));
    ck_assert(holds_run(previous, "old"));
    ck_assert(file_exists(scratch("run/model.safetensors")));
}
END_TEST

/* Whatever call fails, nothing has been moved; after the last rename nothing can fail. */
START_TEST(a_failure_puts_everything_back)
{
    Error error = {""};
    int failures = 0;
    for (int i = 1;; i++) {
        write_runs();
        failing = i;
        bool done = folder_set_aside(run, &error);
        ck_assert_msg(done ? is_set_aside() : is_untouched(), "call %d", i);
        if (!done) {
            failures++;
            assert_contains(error.text, "/run");
            assert_contains(error.text, "Permission denied");
            ck_assert(!file_exists(scratch("run/previous.new")));
        }
        if (calls < i)
            break;
    }
    ck_assert_int_eq(failures, 1 + 5 + 1 + 1); /* mkdir, files, previous, the last rename */
}
END_TEST

/* Runs it in a process of its own that is killed in call number `call`; whether it was. */
static bool killed_in(int call, void (*work)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        calls = 0;
        killing = call;
        work();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status) == 99;
}

static void set_aside(void)
{
    Error error;
    folder_set_aside(run, &error);
}

static void lock_and_unlock(void)
{
    Error error;
    folder_unlock(folder_lock(run, &error));
}

START_TEST(killed_between_any_two_steps_nothing_is_lost)
{
    int whole = 0, moved = 0;
    bool killed = true, killed_again;
    for (int i = 1; killed; i++) {
        killed_again = true;
        for (int j = 1; killed_again; j++) { /* and while it is being put back */
            write_runs();
            killed = killed_in(i, set_aside);
            killed_again = killed_in(j, lock_and_unlock);
            lock_and_unlock();
            ck_assert_msg(is_untouched() || is_set_aside(), "killed in %d and %d", i, j);
            ck_assert(!file_exists(scratch("run/previous.new")));
            whole += is_untouched();
            moved += is_set_aside();
            set_aside();
            ck_assert(is_set_aside());
        }
    }
    ck_assert_int_gt(whole, 8 * 8);
    ck_assert_int_gt(moved, 6);
}
END_TEST

/* ---- The lock ---- */

START_TEST(a_folder_is_for_one_run_at_a_time)
{
    Error error = {""};
    write_runs();
    int lock = folder_lock(run, &error);
    ck_assert_int_ge(lock, 0);
    ck_assert_int_eq(folder_lock(run, &error), -1);
    assert_contains(error.text, "another run is using ");
    assert_contains(error.text, "/run; choose another --out");
    int other = folder_lock(scratch("other/folder"), &error);
    ck_assert_int_ge(other, 0);
    folder_unlock(other);
    folder_unlock(lock);
    lock = folder_lock(run, &error);
    ck_assert_int_ge(lock, 0);
    folder_unlock(lock);
    folder_unlock(-1);
    ck_assert(is_untouched());
}
END_TEST

static void lock_and_die(void)
{
    Error error;
    if (folder_lock(run, &error) >= 0)
        kill(getpid(), SIGKILL);
}

START_TEST(a_run_that_was_killed_holds_no_lock)
{
    Error error = {""};
    int status;
    write_runs();
    pid_t child = fork();
    if (child == 0) {
        lock_and_die();
        _exit(1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    int lock = folder_lock(run, &error);
    ck_assert_msg(lock >= 0, "%s", error.text);
    folder_unlock(lock);
}
END_TEST

/* While another run holds the folder, what it is writing is left alone. */
START_TEST(leftovers_are_removed_by_who_holds_the_lock)
{
    Error error = {""};
    write_runs();
    int lock = folder_lock(run, &error);
    write_bytes(scratch("run/model.safetensors.new-5-0"), "half", 4);
    write_bytes(scratch("run/attention.svg.new-5-0"), "half", 4);
    ck_assert_int_eq(folder_lock(run, &error), -1);
    ck_assert(file_exists(scratch("run/model.safetensors.new-5-0")));
    folder_unlock(lock);
    lock_and_unlock();
    ck_assert(!file_exists(scratch("run/model.safetensors.new-5-0")));
    ck_assert(file_exists(scratch("run/attention.svg.new-5-0"))); /* not of a run */
}
END_TEST

START_TEST(a_folder_that_cannot_be_had_is_named)
{
    Error error = {""};
    write_runs();
    ck_assert_int_eq(folder_lock(scratch("run/log.csv"), &error), -1);
    assert_contains(error.text, "a file of that name is in the way");
    write_bytes(scratch("run/previous.new"), "x", 1);
    ck_assert_int_eq(folder_lock(run, &error), -1);
    assert_contains(error.text, "cannot put back what is in ");
    assert_contains(error.text, "/run/previous.new: Not a directory");
    int again = folder_lock(run, &error); /* the lock was not kept */
    ck_assert_int_eq(again, -1);
    assert_contains(error.text, "cannot put back");
    ck_assert(!folder_set_aside(run, &error));
    assert_contains(error.text, "/run/previous.new: File exists");
    ck_assert(is_untouched());
}
END_TEST

SUITE("folder", 20, an_old_run_is_moved_and_the_one_before_it_removed,
      what_is_missing_is_not_missed_and_what_is_not_ours_is_kept,
      a_run_without_a_state_is_no_run, a_failure_puts_everything_back,
      killed_between_any_two_steps_nothing_is_lost, a_folder_is_for_one_run_at_a_time,
      a_run_that_was_killed_holds_no_lock, leftovers_are_removed_by_who_holds_the_lock,
      a_folder_that_cannot_be_had_is_named)
