/* options.h - the options of a program, as one table.
 *
 * A line of the table names an option, the variable it sets and what it means. The variable
 * holds the default until the command line says otherwise. Parsing, --help, and what a
 * checkpoint remembers of a model all read the same table.
 *
 *     Option model[] = {
 *         option_int("width", &width, 1, 65536, "channels of the residual stream"),
 *         option_choice("cell", &cell, "rnn|gru|lstm", "the recurrent cell"),
 *     };
 *     OptionGroup groups[] = {OPTION_GROUP("the model", model)};
 *     if (options_want_help(argc, argv))
 *         options_help(stdout, "usage: ...", groups, 1);
 *     else if (!options_parse(groups, 1, argc, argv, &error)) ... */
#ifndef LINEAGE_OPTIONS_H
#define LINEAGE_OPTIONS_H

#include "base/error.h"
#include <stdio.h>

typedef enum {
    OPTION_INT,
    OPTION_LONG,
    OPTION_REAL,
    OPTION_TEXT,
    OPTION_FLAG,
    OPTION_CHOICE
} OptionKind;

typedef struct {
    OptionKind kind;
    const char *name;    /* without the dashes */
    void *value;         /* int, long, double, const char *, bool; a choice is an int */
    double least, most;  /* of a number, both allowed; `most` of a real may be INFINITY */
    const char *choices; /* "rnn|gru|lstm": the value 0 is "rnn" */
    const char *metavar; /* what --help shows for the value; NULL for a flag */
    const char *help;
    bool given; /* set by the command line */
} Option;

typedef struct {
    const char *title;
    Option *options;
    int count;
} OptionGroup;

/* A group of all the options in an array. */
#define OPTION_GROUP(title, array)                              \
    {                                                           \
        title, array, (int)(sizeof(array) / sizeof((array)[0])) \
    }

static inline Option option_int(const char *name, int *value, int least, int most,
                                const char *help)
{
    return (Option){OPTION_INT, name, value, least, most, NULL, "N", help, false};
}

static inline Option option_long(const char *name, long *value, long least, long most,
                                 const char *help)
{
    return (Option){OPTION_LONG, name, value, (double)least, (double)most,
                    NULL,        "N",  help,  false};
}

static inline Option option_real(const char *name, double *value, double least, double most,
                                 const char *help)
{
    return (Option){OPTION_REAL, name, value, least, most, NULL, "X", help, false};
}

/* The variable may be NULL, for no text. The metavar FILE or DIR says that it is a name,
 * which cannot be empty; any other text can. */
static inline Option option_text(const char *name, const char **value, const char *metavar,
                                 const char *help)
{
    return (Option){OPTION_TEXT, name, value, 0, 0, NULL, metavar, help, false};
}

static inline Option option_flag(const char *name, bool *value, const char *help)
{
    return (Option){OPTION_FLAG, name, value, 0, 0, NULL, NULL, help, false};
}

/* One word of several; the variable is its place in the list, which an enum can name. */
static inline Option option_choice(const char *name, int *value, const char *choices,
                                   const char *help)
{
    return (Option){OPTION_CHOICE, name, value, 0, 0, choices, choices, help, false};
}

/* Whether --help is among the words. To be asked before parsing, while the variables still
 * hold the defaults that the page shows. */
bool options_want_help(int argc, char **argv);

/* Reads `--name value` and `--name=value` (a flag: `--name`, or `--name=false`) from the
 * words that follow program and verb. Of an option given twice the last one holds. A word
 * that begins with -- is never the value of the option before it; --prompt=--x is. A text
 * is not copied: it lives as long as argv. False with a sentence at the first word that
 * cannot be understood; what stood before it has been set by then. */
bool options_parse(const OptionGroup *groups, int count, int argc, char **argv,
                   Error *error);

/* Sets one option as the command line would, but does not mark it as given. The text of
 * a text option must live as long as the variable. */
bool options_set(Option *option, const char *text, Error *error);

/* The value as text that options_set() reads back to exactly the same value; the caller
 * frees it. NULL where a text option has no text. */
char *options_get(const Option *option);

/* The option of that name (without dashes), or NULL. */
Option *options_find(const OptionGroup *groups, int count, const char *name);

/* Prints the page: `usage` and an empty line, then the groups, each option with its help
 * and, in brackets, the value it holds. */
void options_help(FILE *out, const char *usage, const OptionGroup *groups, int count);

#endif
