/* test_program.c - the face that all programs share: verbs, options, and how they end. */
#include "run/program.h"
#include "suite.h"

#include <string.h>
#include <unistd.h>

typedef struct {
    int number, threads, walked;
} Walker;

static bool walk(void *self, Error *error)
{
    Walker *w = self;
    w->walked = w->number;
    return w->number != 13 || fail(error, "13 brings bad luck");
}

static bool stop(void *self, Error *error)
{
    (void)self, (void)error;
    return false; /* as after Ctrl-C */
}

/* Runs the program; what it prints, both streams together, goes into `output`. */
static int run_words(Walker *w, char *output, size_t size, int argc, char **argv)
{
    Option list[] = {
        option_int("number", &w->number, 0, 100, "how far"),
        option_int("threads", &w->threads, 0, 32, "threads"),
    };
    OptionGroup group = OPTION_GROUP("options", list);
    const Verb verbs[] = {
        {"", walk, "walks"}, {"walk", walk, "also"}, {"stop", stop, "no"}};
    const Program program = {.name = "99-walk",
                             .title = "Walking",
                             .self = w,
                             .verbs = verbs,
                             .verb_count = 3,
                             .groups = &group,
                             .group_count = 1,
                             .threads = &w->threads};
    FILE *file = fopen(scratch("output"), "w+");
    ck_assert(file != NULL);
    fflush(stdout);
    int kept[] = {dup(1), dup(2)};
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    int status = program_main(&program, argc, argv);
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
    ck_assert_str_eq(output, "chapter-99: there is no \"run\"; there is walk, stop, and "
                             "--help\n");
    w.walked = -1;
    ck_assert_int_eq(WORDS(&w, output, "walk", "--number", "101"), 1);
    ck_assert_int_eq(w.walked, -1);
}
END_TEST

START_TEST(an_interrupted_program_says_nothing_and_ends_with_130)
{
    Walker w = {.threads = 1};
    char output[4096];
    ck_assert_int_eq(WORDS(&w, output, "stop"), 130);
    ck_assert_str_eq(output, "");
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
      an_interrupted_program_says_nothing_and_ends_with_130,
      help_names_every_verb_and_option)
