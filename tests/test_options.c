/* test_options.c - what the command line may say, and what is said about it. */
#include "base/options.h"
#include "suite.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RNN, GRU, LSTM };

/* What a program has: variables with defaults, and a table over them. */
typedef struct {
    int heads, cell;
    long seed;
    double lr, patience;
    const char *data, *prompt;
    bool resume, tied;
    Option model[4], run[5];
    OptionGroup groups[2];
    Error error;
} Program;

static void setup(Program *p)
{
    *p = (Program){.heads = 8,
                   .cell = LSTM,
                   .seed = 1,
                   .lr = 3e-4,
                   .patience = 0.5,
                   .data = "data/shakespeare.txt",
                   .tied = true};
    p->model[0] = option_int("heads", &p->heads, 1, 512, "attention heads");
    p->model[1] = option_choice("cell", &p->cell, "rnn|gru|lstm", "the recurrent cell");
    p->model[2] = option_flag("tied", &p->tied, "one matrix reads and writes the tokens");
    p->model[3] = option_real("lr", &p->lr, 0, 10, "peak learning rate");
    p->run[0] = option_long("seed", &p->seed, 0, LONG_MAX, "of every random number");
    p->run[1] = option_text("data", &p->data, "FILE", "text to learn from");
    p->run[2] = option_text("prompt", &p->prompt, "TEXT", "how the sample begins");
    p->run[3] = option_flag("resume", &p->resume, "go on where the last run stopped");
    p->run[4] = option_real("patience", &p->patience, -1, INFINITY,
                            "how much worse than the best the validation loss may become "
                            "before the run gives up, in nats per token");
    p->groups[0] = (OptionGroup)OPTION_GROUP("the model", p->model);
    p->groups[1] = (OptionGroup)OPTION_GROUP("files and the run", p->run);
}

/* Parses words separated by '~', so that they can hold blanks. */
static bool parse(Program *p, const char *line)
{
    static char words[1024];
    char *argv[32];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, "~"); word; word = strtok(NULL, "~"))
        argv[argc++] = word;
    return options_parse(p->groups, 2, argc, argv, &p->error);
}

static void assert_refused(const char *line, const char *sentence)
{
    Program p;
    setup(&p);
    ck_assert_msg(!parse(&p, line), "\"%s\" was accepted", line);
    ck_assert_str_eq(p.error.text, sentence);
}

START_TEST(both_spellings_set_values_of_every_kind)
{
    Program p;
    setup(&p);
    char words[256];
    snprintf(words, sizeof words,
             "--heads~12~--cell=gru~--lr~1e-3~--seed=%ld~--data=a=b~"
             "--resume~--tied=false~--patience~-1",
             LONG_MAX);
    ck_assert(parse(&p, words));
    ck_assert_int_eq(p.heads, 12);
    ck_assert_int_eq(p.cell, GRU);
    ck_assert(p.lr == 1e-3 && p.patience == -1);
    ck_assert(p.seed == LONG_MAX);
    ck_assert_str_eq(p.data, "a=b");
    ck_assert(p.resume && !p.tied);
}
END_TEST

START_TEST(only_what_was_said_is_marked_as_given)
{
    Program p;
    setup(&p);
    ck_assert(parse(&p, "--heads~8"));
    ck_assert(options_find(p.groups, 2, "heads")->given);
    ck_assert(!options_find(p.groups, 2, "cell")->given);
    ck_assert(options_set(options_find(p.groups, 2, "cell"), "rnn", &p.error));
    ck_assert_int_eq(p.cell, RNN);
    ck_assert(!options_find(p.groups, 2, "cell")->given);
    ck_assert_ptr_null(options_find(p.groups, 2, "head"));
    ck_assert_ptr_null(options_find(p.groups, 2, "headss"));
}
END_TEST

START_TEST(no_words_leave_the_defaults)
{
    Program p;
    setup(&p);
    ck_assert(options_parse(p.groups, 2, 0, NULL, &p.error));
    ck_assert_int_eq(p.heads, 8);
    ck_assert_str_eq(p.data, "data/shakespeare.txt");
}
END_TEST

START_TEST(of_an_option_given_twice_the_last_one_holds)
{
    Program p;
    setup(&p);
    ck_assert(parse(&p, "--heads=2~--heads~4"));
    ck_assert_int_eq(p.heads, 4);
}
END_TEST

START_TEST(numbers_out_of_range_are_refused_with_the_range)
{
    assert_refused("--heads~0", "--heads 0: a whole number from 1 to 512 is wanted");
    assert_refused("--heads=513", "--heads 513: a whole number from 1 to 512 is wanted");
    assert_refused("--heads~-3", "--heads -3: a whole number from 1 to 512 is wanted");
    assert_refused("--heads~4294967297",
                   "--heads 4294967297: a whole number from 1 to 512 is wanted");
    char sentence[256];
    snprintf(sentence, sizeof sentence,
             "--seed 9223372036854775808: a whole number from 0 to %ld is wanted",
             LONG_MAX);
    assert_refused("--seed~9223372036854775808", sentence);
    assert_refused("--lr~10.5", "--lr 10.5: a number from 0 to 10 is wanted");
    assert_refused("--patience~-2", "--patience -2: a number of at least -1 is wanted");
}
END_TEST

START_TEST(what_is_not_quite_a_number_is_refused)
{
    const char *whole[] = {"1e2", "8x", " 8", "8 ", "+8", "0x8", "8.0", "-", "eight"};
    const char *real[] = {"nan", "inf",   "1e999", "0x1p3", " 1",
                          "1 ",  "1.5.2", "e3",    "1e",    "."};
    char line[64];
    Program p;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        setup(&p);
        snprintf(line, sizeof line, "--heads~%s", whole[i]);
        ck_assert_msg(!parse(&p, line), "%s was accepted", line);
        ck_assert_int_eq(p.heads, 8);
    }
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
        setup(&p);
        snprintf(line, sizeof line, "--patience~%s", real[i]);
        ck_assert_msg(!parse(&p, line), "%s was accepted", line);
        ck_assert(p.patience == 0.5);
    }
}
END_TEST

START_TEST(a_misspelt_option_is_recognised)
{
    assert_refused("--haeds~4", "unknown option --haeds: did you mean --heads?");
    assert_refused("--promt=x", "unknown option --promt: did you mean --prompt?");
    assert_refused("--sed~1", "unknown option --sed: did you mean --seed?");
    assert_refused("--lx~1", "unknown option --lx: did you mean --lr?");
}
END_TEST

START_TEST(an_option_like_no_other_is_not_guessed_at)
{
    assert_refused("--temperature~1", "unknown option --temperature: see --help");
    assert_refused("--ab", "unknown option --ab: see --help");
    assert_refused("--=3", "unknown option --: see --help");
    assert_refused("--head", "unknown option --head: did you mean --heads?");

    char line[600] = "--";
    memset(line + 2, 'x', 500);
    Program p;
    setup(&p);
    ck_assert(!parse(&p, line));
    assert_contains(p.error.text, ": see --help");
}
END_TEST

START_TEST(a_missing_value_is_named)
{
    assert_refused("--heads", "--heads needs a value: a whole number from 1 to 512");
    assert_refused("--heads~--resume",
                   "--heads needs a value: a whole number from 1 to 512");
    assert_refused("--heads=", "--heads needs a value: a whole number from 1 to 512");
    assert_refused("--lr", "--lr needs a value: a number from 0 to 10");
    assert_refused("--data~--resume", "--data needs a value: FILE");
    assert_refused("--prompt", "--prompt needs a value: TEXT");
    assert_refused("--cell", "--cell needs a value: one of rnn|gru|lstm");
}
END_TEST

START_TEST(a_stray_word_is_asked_about)
{
    assert_refused("foo", "what is \"foo\"? options begin with --, see --help");
    assert_refused("--resume~true", "what is \"true\"? options begin with --, see --help");
    assert_refused("-heads~3", "what is \"-heads\"? options begin with --, see --help");
    assert_refused("--", "what is \"--\"? options begin with --, see --help");
}
END_TEST

START_TEST(choices_and_flags_take_whole_words_only)
{
    assert_refused("--cell~lst", "--cell lst: one of rnn|gru|lstm is wanted");
    assert_refused("--cell~rnn|gru", "--cell rnn|gru: one of rnn|gru|lstm is wanted");
    assert_refused("--cell~LSTM", "--cell LSTM: one of rnn|gru|lstm is wanted");
    assert_refused("--resume=yes", "--resume yes: true or false is wanted");
}
END_TEST

START_TEST(texts_may_be_empty_or_begin_with_dashes)
{
    Program p;
    setup(&p);
    ck_assert(parse(&p, "--data~-~--prompt=--x"));
    ck_assert_str_eq(p.data, "-");
    ck_assert_str_eq(p.prompt, "--x");
    ck_assert(parse(&p, "--prompt="));
    ck_assert_str_eq(p.prompt, "");
}
END_TEST

START_TEST(a_long_value_does_not_hide_what_is_wanted)
{
    Program p;
    setup(&p);
    char line[900] = "--heads~";
    memset(line + 8, '7', 880);
    ck_assert(!parse(&p, line));
    assert_contains(p.error.text, "from 1 to 512 is wanted");
}
END_TEST

START_TEST(values_survive_a_journey_as_text)
{
    const double reals[] = {
        3e-4, 0.1, 1.0 / 3, 5e-324, -0.0, 9.875, 1.7976931348623157e308};
    Program p;
    setup(&p);
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        Option option = option_real("x", &p.patience, -1, INFINITY, "");
        p.patience = reals[i];
        char *text = options_get(&option);
        p.patience = 77;
        ck_assert_msg(options_set(&option, text, &p.error), "%s", p.error.text);
        ck_assert(memcmp(&p.patience, &reals[i], sizeof(double)) == 0);
        free(text);
    }
    const char *names[] = {"heads", "cell", "tied", "seed", "data"};
    const char *texts[] = {"8", "lstm", "true", "1", "data/shakespeare.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *text = options_get(options_find(p.groups, 2, names[i]));
        ck_assert_str_eq(text, texts[i]);
        free(text);
    }
    ck_assert_ptr_null(options_get(options_find(p.groups, 2, "prompt")));
}
END_TEST

START_TEST(reals_are_written_as_short_as_they_can_be)
{
    double value = 0.1;
    Option option = option_real("x", &value, 0, 1, "");
    char *text = options_get(&option);
    ck_assert_str_eq(text, "0.1");
    free(text);
}
END_TEST

static char *help_page(Program *p)
{
    char *page = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&page, &size);
    options_help(out, "usage: build/chapter-01 train [options]", p->groups, 2);
    fclose(out);
    return page;
}

START_TEST(help_shows_names_meanings_and_defaults_in_columns)
{
    Program p;
    setup(&p);
    char *page = help_page(&p);
    ck_assert_str_eq(
        page,
        "usage: build/chapter-01 train [options]\n"
        "\n"
        "the model:\n"
        "  --heads N            attention heads (8)\n"
        "  --cell rnn|gru|lstm  the recurrent cell (lstm)\n"
        "  --tied               one matrix reads and writes the tokens (true)\n"
        "  --lr X               peak learning rate (0.0003)\n"
        "\n"
        "files and the run:\n"
        "  --seed N             of every random number (1)\n"
        "  --data FILE          text to learn from (data/shakespeare.txt)\n"
        "  --prompt TEXT        how the sample begins\n"
        "  --resume             go on where the last run stopped\n"
        "  --patience X         how much worse than the best the validation loss may\n"
        "                       become before the run gives up, in nats per token (0.5)\n");
    free(page);
}
END_TEST

START_TEST(a_very_long_option_stands_on_a_line_of_its_own)
{
    Program p;
    setup(&p);
    p.model[1] = option_choice("cell", &p.cell, "vanilla|gated-recurrent|long-short-term",
                               "x");
    char *page = help_page(&p);
    assert_contains(page, "  --heads N      attention heads (8)\n"
                          "  --cell vanilla|gated-recurrent|long-short-term\n"
                          "                 x (long-short-term)\n");
    free(page);
}
END_TEST

START_TEST(help_is_asked_for_by_its_exact_name)
{
    char *with[] = {"--heads", "3", "--help"}, *without[] = {"--helper", "help", "-h"};
    ck_assert(options_want_help(3, with));
    ck_assert(!options_want_help(3, without));
}
END_TEST

START_TEST(a_name_used_twice_is_a_mistake_of_the_program)
{
    Program p;
    setup(&p);
    p.run[0] = p.model[0];
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        options_parse(p.groups, 2, 0, NULL, &p.error);
        _exit(0);
    }
    int status;
    ck_assert(waitpid(child, &status, 0) == child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

START_TEST(a_file_or_a_folder_has_a_name_other_texts_may_be_empty)
{
    Program p;
    assert_refused("--data=", "--data needs a value: FILE");
    setup(&p);
    ck_assert(parse(&p, "--prompt="));
    ck_assert_str_eq(p.prompt, "");
    p.run[2].metavar = "DIR";
    ck_assert(!parse(&p, "--prompt="));
    ck_assert_str_eq(p.error.text, "--prompt needs a value: DIR");
}
END_TEST

SUITE("options", 4, both_spellings_set_values_of_every_kind,
      only_what_was_said_is_marked_as_given, no_words_leave_the_defaults,
      of_an_option_given_twice_the_last_one_holds,
      numbers_out_of_range_are_refused_with_the_range,
      what_is_not_quite_a_number_is_refused, a_misspelt_option_is_recognised,
      an_option_like_no_other_is_not_guessed_at, a_missing_value_is_named,
      a_stray_word_is_asked_about, choices_and_flags_take_whole_words_only,
      texts_may_be_empty_or_begin_with_dashes, a_long_value_does_not_hide_what_is_wanted,
      values_survive_a_journey_as_text, reals_are_written_as_short_as_they_can_be,
      help_shows_names_meanings_and_defaults_in_columns,
      a_very_long_option_stands_on_a_line_of_its_own, help_is_asked_for_by_its_exact_name,
      a_name_used_twice_is_a_mistake_of_the_program,
      a_file_or_a_folder_has_a_name_other_texts_may_be_empty)
