/* options.c - the options of a program, as one table. */
#include "base/options.h"
#include "base/distance.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    HELP_COLUMN_MOST = 26, /* an option longer than this stands on a line of its own */
    HELP_WIDTH = 80,
    TYPING_ERRORS = 2 /* as many a suggestion forgives */
};

/* ---- what a value may be ---- */

/* A bound of a whole number; (double)LONG_MAX lies just beyond what a long can hold. */
static long whole(double bound)
{
    return bound >= (double)LONG_MAX ? LONG_MAX : (long)bound;
}

/* "a whole number from 1 to 512": what the option wants, for the sentence of a refusal. */
static void describe(const Option *option, char *out, size_t size)
{
    switch (option->kind) {
    case OPTION_INT:
    case OPTION_LONG:
        snprintf(out, size, "a whole number from %ld to %ld", whole(option->least),
                 whole(option->most));
        break;
    case OPTION_REAL:
        if (isfinite(option->most))
            snprintf(out, size, "a number from %g to %g", option->least, option->most);
        else
            snprintf(out, size, "a number of at least %g", option->least);
        break;
    case OPTION_FLAG:
        snprintf(out, size, "true or false");
        break;
    case OPTION_CHOICE:
        snprintf(out, size, "one of %s", option->choices);
        break;
    case OPTION_TEXT:
        snprintf(out, size, "%s", option->metavar);
    }
}

/* Digits with perhaps a minus before them, and nothing else. */
static bool read_whole(const Option *option, const char *text, long *result)
{
    const char *digits = text + (*text == '-');
    if (!*digits || digits[strspn(digits, "0123456789")])
        return false;
    errno = 0;
    *result = strtol(text, NULL, 10);
    return errno == 0 && *result >= whole(option->least) && *result <= whole(option->most);
}

static bool read_real(const Option *option, const char *text, double *result)
{
    char *end;
    *result = strtod(text, &end);
    /* strtod would also take blanks, hexadecimals, "inf" and "nan". */
    return *text && !*end && !text[strspn(text, "0123456789+-.eE")] && isfinite(*result) &&
           *result >= option->least && *result <= option->most;
}

/* The place of `text` in "rnn|gru|lstm", or -1. */
static int choice_index(const char *choices, const char *text)
{
    for (int index = 0;; index++) {
        size_t length = strcspn(choices, "|");
        if (length == strlen(text) && strncmp(choices, text, length) == 0)
            return index;
        if (!choices[length])
            return -1;
        choices += length + 1;
    }
}

/* A file or a folder has a name. */
static bool is_name(const Option *option)
{
    return strcmp(option->metavar, "FILE") == 0 || strcmp(option->metavar, "DIR") == 0;
}

static bool read_value(Option *option, const char *text)
{
    long number;
    double real;
    int index;
    switch (option->kind) {
    case OPTION_INT:
        if (!read_whole(option, text, &number))
            return false;
        *(int *)option->value = (int)number;
        return true;
    case OPTION_LONG:
        if (!read_whole(option, text, &number))
            return false;
        *(long *)option->value = number;
        return true;
    case OPTION_REAL:
        if (!read_real(option, text, &real))
            return false;
        *(double *)option->value = real;
        return true;
    case OPTION_FLAG:
    case OPTION_CHOICE:
        index = choice_index(option->kind == OPTION_FLAG ? "false|true" : option->choices,
                             text);
        if (index < 0)
            return false;
        if (option->kind == OPTION_FLAG)
            *(bool *)option->value = index;
        else
            *(int *)option->value = index;
        return true;
    case OPTION_TEXT:
        if (!*text && is_name(option))
            return false;
        *(const char **)option->value = text;
    }
    return true;
}

bool options_set(Option *option, const char *text, Error *error)
{
    char wanted[256];
    if (read_value(option, text))
        return true;
    describe(option, wanted, sizeof wanted);
    if (!*text)
        return fail(error, "--%s needs a value: %s", option->name, wanted);
    return fail(error, "--%s %.80s: %s is wanted", option->name, text, wanted);
}

/* ---- a value as text ---- */

/* The shortest decimal that reads back as the same double. */
static void write_real(char *out, size_t size, double value)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

static void write_choice(char *out, size_t size, const Option *option)
{
    const char *word = option->choices;
    int index = *(const int *)option->value;
    for (int i = 0; word && i < index; i++)
        if ((word = strchr(word, '|')))
            word++;
    if (!word || index < 0)
        misuse("--%s: the value %d is none of %s", option->name, index, option->choices);
    snprintf(out, size, "%.*s", (int)strcspn(word, "|"), word);
}

char *options_get(const Option *option)
{
    const char *text = option->kind == OPTION_TEXT ? *(const char **)option->value : NULL;
    if (option->kind == OPTION_TEXT && !text)
        return NULL;
    size_t size = (text ? strlen(text) : 32) +
                  (option->choices ? strlen(option->choices) : 0) + 1;
    char *out = allocate(size, 1);
    switch (option->kind) {
    case OPTION_INT:
        snprintf(out, size, "%d", *(const int *)option->value);
        break;
    case OPTION_LONG:
        snprintf(out, size, "%ld", *(const long *)option->value);
        break;
    case OPTION_REAL:
        write_real(out, size, *(const double *)option->value);
        break;
    case OPTION_FLAG:
        snprintf(out, size, "%s", *(const bool *)option->value ? "true" : "false");
        break;
    case OPTION_CHOICE:
        write_choice(out, size, option);
        break;
    case OPTION_TEXT:
        memcpy(out, text, size);
    }
    return out;
}

/* ---- the command line ---- */

static Option *find(const OptionGroup *groups, int count, const char *name, size_t length)
{
    for (int g = 0; g < count; g++)
        for (int i = 0; i < groups[g].count; i++) {
            Option *option = &groups[g].options[i];
            if (strlen(option->name) == length && strncmp(option->name, name, length) == 0)
                return option;
        }
    return NULL;
}

Option *options_find(const OptionGroup *groups, int count, const char *name)
{
    return find(groups, count, name, strlen(name));
}

static bool fail_unknown(const OptionGroup *groups, int count, const char *name,
                         size_t length, Error *error)
{
    const char *nearest = NULL;
    int least = TYPING_ERRORS + 1;
    for (int g = 0; g < count; g++)
        for (int i = 0; i < groups[g].count; i++) {
            const char *known = groups[g].options[i].name;
            int distance = edit_distance(name, (int)length, known, (int)strlen(known));
            /* Two errors in two letters leave nothing to recognise. */
            if (distance < least && distance < (int)strlen(known)) {
                least = distance;
                nearest = known;
            }
        }
    int shown = length < 80 ? (int)length : 80;
    if (nearest)
        return fail(error, "unknown option --%.*s: did you mean --%s?", shown, name,
                    nearest);
    return fail(error, "unknown option --%.*s: see --help", shown, name);
}

/* Takes one option off the front of the words. Returns how many words it was, 0 on
 * failure. */
static int take_option(const OptionGroup *groups, int count, int argc, char **argv,
                       Error *error)
{
    const char *word = argv[0], *name = word + 2;
    if (strncmp(word, "--", 2) != 0 || !*name)
        return fail(error, "what is \"%.80s\"? options begin with --, see --help", word);

    size_t length = strcspn(name, "=");
    Option *option = find(groups, count, name, length);
    if (!option)
        return fail_unknown(groups, count, name, length, error);

    int words = 1;
    const char *value = "";
    if (name[length] == '=')
        value = name + length + 1;
    else if (option->kind == OPTION_FLAG)
        value = "true";
    else if (argc > 1 && strncmp(argv[1], "--", 2) != 0)
        value = argv[words++];
    else if (option->kind == OPTION_TEXT)
        return fail(error, "--%s needs a value: %s", option->name, option->metavar);

    if (!options_set(option, value, error))
        return 0;
    option->given = true;
    return words;
}

bool options_parse(const OptionGroup *groups, int count, int argc, char **argv,
                   Error *error)
{
    for (int g = 0; g < count; g++)
        for (int i = 0; i < groups[g].count; i++)
            if (options_find(groups, count, groups[g].options[i].name) !=
                &groups[g].options[i])
                misuse("the table of options has --%s twice", groups[g].options[i].name);

    for (int i = 0; i < argc;) {
        int words = take_option(groups, count, argc - i, argv + i, error);
        if (!words)
            return false;
        i += words;
    }
    return true;
}

/* ---- the page of help ---- */

bool options_want_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

/* "  --width N"; returns its length, which may exceed `size`. */
static int write_left(char *out, size_t size, const Option *option)
{
    return snprintf(out, size, "  --%s%s%s", option->name, option->metavar ? " " : "",
                    option->metavar ? option->metavar : "");
}

/* Prints the words of a text from the column `from` on, with line breaks between them.
 * `at` is the column where printing stands now; returns where it ends. */
static int print_words(FILE *out, const char *text, int from, int at)
{
    for (text += strspn(text, " \n"); *text; text += strspn(text, " \n")) {
        int length = (int)strcspn(text, " \n");
        if (at > from && at + 1 + length > HELP_WIDTH)
            at = fprintf(out, "\n%*s", from, "") - 1;
        else if (at > from)
            at += fprintf(out, " ");
        at += fprintf(out, "%.*s", length, text);
        text += length;
    }
    return at;
}

static void print_option(FILE *out, const Option *option, int column)
{
    char left[160];
    int length = write_left(left, sizeof left, option);
    if (length + 2 > column)
        fprintf(out, "%s\n%*s", left, column, "");
    else
        fprintf(out, "%-*s", column, left);

    int at = print_words(out, option->help, column, column);
    char *value = options_get(option);
    /* A flag that is off, or a text that is empty, goes without saying. */
    if (value && *value && !(option->kind == OPTION_FLAG && strcmp(value, "false") == 0)) {
        char *bracketed = allocate(strlen(value) + 3, 1);
        sprintf(bracketed, "(%s)", value);
        print_words(out, bracketed, column, at);
        free(bracketed);
    }
    free(value);
    fputc('\n', out);
}

void options_help(FILE *out, const char *usage, const OptionGroup *groups, int count)
{
    int column = 0;
    for (int g = 0; g < count; g++)
        for (int i = 0; i < groups[g].count; i++) {
            int length = write_left(NULL, 0, &groups[g].options[i]) + 2;
            if (length > column && length <= HELP_COLUMN_MOST)
                column = length;
        }
    if (column == 0)
        column = HELP_COLUMN_MOST;

    fprintf(out, "%s\n", usage);
    for (int g = 0; g < count; g++) {
        fprintf(out, "\n%s:\n", groups[g].title);
        for (int i = 0; i < groups[g].count; i++)
            print_option(out, &groups[g].options[i], column);
    }
}
