/* test_program.c - the face that all programs share: verbs, options, and how they end. */
#include "base/interrupt.h"
#include "base/streams.h"
#include "run/program.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    int number, threads, walked;
    int signal; /* raised while stopping */
    bool unbuffered;
} Walker;

static bool walk(void *self, Error *error)
{
    Walker *w = self;
    w->walked = w->number;
    return w->number != 13 || fail(error, "13 brings bad luck");
}

static bool stop(void *self, Error *error)
{
    const Walker *w = self;
    (void)error;
    interrupts_catch();
    raise(w->signal);
    interrupts_release();
    return false;
}

static bool talk(void *self, Error *error)
{
    const Walker *w = self;
    (void)error;
    if (w->unbuffered)
        setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 0; i < w->number; i++)
        puts("left, right");
    return true;
}

static bool run_out(void *self, Error *error)
{
    (void)self, (void)error;
    out_of_model_memory(1000000, "shoes");
}

static int run_program(Walker *w, int argc, char **argv)
{
    int width, batch;
    Option list[] = {
        option_int("number", &w->number, 0, 1000, "how far"),
        option_int("threads", &w->threads, 0, 32, "threads"),
        option_int("width", &width, 0, 32, "of the road"),
        option_int("batch", &batch, 0, 32, "of walkers"),
    };
    OptionGroup group = OPTION_GROUP("options", list);
    width = batch = 1;
    const Verb verbs[] = {{"", walk, "walks"},
                          {"walk", walk, "also"},
                          {"stop", stop, "no"},
                          {"talk", talk, "on the way"},
                          {"out", run_out, "of shoes"}};
    const Program program = {.name = "99-walk",
                             .title = "Walking",
                             .self = w,
                             .verbs = verbs,
                             .verb_count = 5,
                             .groups = &group,
                             .group_count = 1,
                             .threads = &w->threads};
    return program_main(&program, argc, argv);
}

/* Runs the program; what it prints, both streams together, goes into `output`. */
static int run_words(Walker *w, char *output, size_t size, int argc, char **argv)
{
    FILE *file = fopen(scratch("output"), "w+");
    ck_assert(file != NULL);
    fflush(stdout);
    int kept[] = {dup(1), dup(2)};
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    int status = run_program(w, argc, argv);
    fflush(stdout);
    dup2(kept[0], 1);
    dup2(kept[1], 2);
    close(kept[0]);
    close(kept[1]);
    rewind(file);
    output[fread(output, 1, size - 1, file)] = 0;
    fclose(file);
    return status;
}

/* The same in a process of its own whose stdout is `path`, or closed if that is NULL, and
 * whose stderr goes into `output`. */
static int run_onto(const char *path, Walker *w, char *output, size_t size, char *verb)
{
    int ends[2], status;
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        close(1);
        if (path && open(path, O_WRONLY | O_CREAT, 0666) != 1)
            _exit(99);
        exit(run_program(w, 2, (char *[]){"prog", verb, NULL}));
    }
    close(ends[1]);
    ssize_t length = read(ends[0], output, size - 1);
    output[length > 0 ? length : 0] = 0;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define WORDS(w, output, ...)                                                  \
    run_words(w, output, sizeof output,                                        \
              (int)(sizeof((char *[]){"prog", __VA_ARGS__}) / sizeof(char *)), \
              (char *[]){"prog", __VA_ARGS__, NULL})

START_TEST(a_verb_runs_with_its_options)
{
    Walker w = {.threads = 1};
    char output[4096];
    ck_assert_int_eq(WORDS(&w, output, "walk", "--number", "7"), 0);
    ck_assert_int_eq(w.walked, 7);
    ck_assert_int_eq(WORDS(&w, output, "--number=8"), 0);
    ck_assert_int_eq(w.walked, 8);
    ck_assert_str_eq(output, "");
}
END_TEST

START_TEST(failing_is_one_sentence_and_status_1)
{
    Walker w = {.threads = 1};
    char output[4096];
    ck_assert_int_eq(WORDS(&w, output, "walk", "--number", "13"), 1);
    ck_assert_str_eq(output, "chapter-99: 13 brings bad luck\n");
    ck_assert_int_eq(WORDS(&w, output, "run"), 1);
    ck_assert_str_eq(output, "chapter-99: there is no \"run\"; there is walk, stop, "
                             "talk, out, and --help\n");
    w.walked = -1;
    ck_assert_int_eq(WORDS(&w, output, "walk", "--number", "1001"), 1);
    ck_assert_int_eq(w.walked, -1);
}
END_TEST

START_TEST(an_interrupted_program_says_nothing_and_ends_with_the_signal)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (int i = 0; i < 3; i++) {
        Walker w = {.threads = 1, .signal = signals[i]};
        char output[4096];
        ck_assert_int_eq(WORDS(&w, output, "stop"), 128 + signals[i]);
        ck_assert_str_eq(output, "");
    }
}
END_TEST

/* Few words are lost at the end, many while it still talks. */
START_TEST(output_that_is_lost_is_a_failure)
{
    char output[4096];
    for (int number = 1; number <= 1000; number += 999) {
        Walker w = {.threads = 1, .number = number};
        ck_assert_int_eq(run_onto("/dev/full", &w, output, sizeof output, "talk"), 1);
        ck_assert_str_eq(output,
                         "chapter-99: what was printed did not all arrive: No space "
                         "left on device\n");
        ck_assert_int_eq(run_onto("/dev/null", &w, output, sizeof output, "talk"), 0);
        ck_assert_str_eq(output, "");
    }
    Walker w = {.threads = 1};
    ck_assert_int_eq(run_onto("/dev/full", &w, output, sizeof output, "--help"), 1);
    Walker hasty = {.threads = 1, .number = 1, .unbuffered = true};
    ck_assert_int_eq(run_onto("/dev/full", &hasty, output, sizeof output, "talk"), 1);
    ck_assert_str_eq(output, "chapter-99: what was printed did not all arrive: stdout "
                             "failed\n");
    Walker unlucky = {.threads = 1, .number = 13};
    ck_assert_int_eq(run_onto("/dev/full", &unlucky, output, sizeof output, "walk"), 1);
    ck_assert_str_eq(output, "chapter-99: 13 brings bad luck\n");
}
END_TEST

/* With stdout closed, the next file to be opened would be taken for it. */
START_TEST(what_is_printed_to_a_closed_stdout_is_in_no_file)
{
    Walker w = {.threads = 1, .number = 1};
    char output[4096];
    ck_assert_int_eq(run_onto(NULL, &w, output, sizeof output, "talk"), 0);
    ck_assert_str_eq(output, "");
}
END_TEST

static bool is_open(int file)
{
    return fcntl(file, F_GETFD) >= 0;
}

START_TEST(closed_streams_are_opened_on_nothing_and_open_ones_left_alone)
{
    struct stat null, now;
    int kept[3];
    ck_assert_int_eq(stat("/dev/null", &null), 0);
    for (int closed = 0; closed < 8; closed++) {
        bool right = true;
        fflush(NULL);
        for (int i = 0; i < 3; i++) {
            kept[i] = fcntl(i, F_DUPFD, 10);
            int other = open("/dev/zero", O_RDWR);
            dup2(other, i);
            close(other);
            if (closed >> i & 1)
                close(i);
        }
        streams_open();
        for (int i = 0; i < 3; i++) {
            right = right && is_open(i) && fstat(i, &now) == 0 &&
                    (now.st_rdev == null.st_rdev) == (closed >> i & 1);
            dup2(kept[i], i);
            close(kept[i]);
        }
        ck_assert_msg(right, "with %d closed", closed);
    }
}
END_TEST

START_TEST(who_runs_out_of_memory_is_told_of_options_that_there_are)
{
    Walker w = {.threads = 1};
    char output[4096];
    ck_assert_int_eq(run_onto("/dev/null", &w, output, sizeof output, "out"), 1);
    ck_assert_str_eq(output, "out of memory: 1.0 MB for shoes cannot be had; try a smaller "
                             "--batch or --width\n");
}
END_TEST

/* ---- Being asked to stop ---- */

/* In a process of its own; what ended that, a signal or (as a negative number) its status. */
static int ended_by(void (*work)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        for (int i = 0; i < 3; i++)
            signal(signals[i], SIG_DFL); /* Check has handlers of its own */
        work();
        _exit(interrupt_signal());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void once(void)
{
    interrupts_catch();
    raise(SIGTERM);
}

static void once_each(void)
{
    once();
    raise(SIGHUP);
}

static void before_and_after(void)
{
    once();
    interrupts_catch();
    if (interrupt_signal() != 0)
        _exit(99);
    interrupts_release();
    raise(SIGINT);
}

static void ignored(void)
{
    signal(SIGHUP, SIG_IGN);
    interrupts_catch();
    raise(SIGHUP);
    raise(SIGHUP);
    raise(SIGINT);
    raise(SIGHUP);
    interrupts_release();
    raise(SIGHUP);
}

START_TEST(the_first_signal_is_noted_and_the_second_ends_the_program)
{
    ck_assert_int_eq(ended_by(once), -SIGTERM);
    ck_assert_int_eq(ended_by(once_each), SIGHUP);
    ck_assert_int_eq(ended_by(before_and_after), SIGINT);
}
END_TEST

START_TEST(a_signal_that_the_parent_ignores_stays_ignored)
{
    ck_assert_int_eq(ended_by(ignored), -SIGINT);
}
END_TEST

START_TEST(help_names_every_verb_and_option)
{
    Walker w = {.threads = 1};
    char output[4096];
    ck_assert_int_eq(WORDS(&w, output, "walk", "--help"), 0);
    assert_contains(output, "Walking. Read chapters/99-walk/README.md beside it.");
    assert_contains(output, "build/chapter-99        walks");
    assert_contains(output, "build/chapter-99 walk   also");
    assert_contains(output, "build/chapter-99 stop   no");
    assert_contains(output, "--number N");
    ck_assert_int_eq(w.walked, 0);
}
END_TEST

SUITE("program", 10, a_verb_runs_with_its_options, failing_is_one_sentence_and_status_1,
      an_interrupted_program_says_nothing_and_ends_with_the_signal,
      output_that_is_lost_is_a_failure, what_is_printed_to_a_closed_stdout_is_in_no_file,
      closed_streams_are_opened_on_nothing_and_open_ones_left_alone,
      who_runs_out_of_memory_is_told_of_options_that_there_are,
      the_first_signal_is_noted_and_the_second_ends_the_program,
      a_signal_that_the_parent_ignores_stays_ignored, help_names_every_verb_and_option)
