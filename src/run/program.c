/* program.c - the face that all programs of the book share. */
#include "run/program.h"
#include "base/interrupt.h"
#include "base/streams.h"
#include "tensor/parallel.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void print_help(const Program *p)
{
    char usage[2048];
    int width = 0;
    for (int i = 0; i < p->verb_count; i++)
        if ((int)strlen(p->verbs[i].name) > width)
            width = (int)strlen(p->verbs[i].name);
    int length = snprintf(usage, sizeof usage,
                          "%s. Read chapters/%s/README.md beside it.\n", p->title, p->name);
    for (int i = 0; i < p->verb_count && length < (int)sizeof usage; i++)
        length += snprintf(usage + length, sizeof usage - (size_t)length,
                           "\nbuild/chapter-%.2s %-*s   %s", p->name, width,
                           p->verbs[i].name, p->verbs[i].help);
    options_help(stdout, usage, p->groups, p->group_count);
}

/* "there is no "walk"; there is train, sample, and --help" */
static bool no_such_verb(const Program *p, const char *verb, Error *error)
{
    fail(error, "there is no \"%s\"; there is", verb);
    for (int i = 0; i < p->verb_count; i++)
        if (*p->verbs[i].name) {
            fail_after(error, " ");
            fail_after(error, p->verbs[i].name);
            fail_after(error, ",");
        }
    return fail_after(error, " and --help");
}

/* What makes a model and its batch smaller, of the options that the program has. */
static void advise(const Program *p)
{
    static const char *const names[] = {"batch", "context", "hidden", "width"};
    static char advice[80];
    const char *has[4];
    size_t length = 0;
    int count = 0;
    for (int i = 0; i < 4; i++)
        if (options_find(p->groups, p->group_count, names[i]))
            has[count++] = names[i];
    for (int i = 0; i < count; i++)
        length += (size_t)snprintf(advice + length, sizeof advice - length, "%s--%s",
                                   i == 0           ? "try a smaller "
                                   : i == count - 1 ? " or "
                                                    : ", ",
                                   has[i]);
    model_memory_advice(length ? advice : NULL);
}

const Verb *program_read(const Program *p, int argc, char **argv, Error *error)
{
    *error = (Error){""};
    streams_open();
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error like any other */
    advise(p);
    if (options_want_help(argc, argv)) {
        print_help(p);
        return NULL;
    }
    const char *verb = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
    int skip = *verb ? 2 : 1, chosen = 0;
    while (chosen < p->verb_count && strcmp(verb, p->verbs[chosen].name) != 0)
        chosen++;
    if (chosen == p->verb_count) {
        no_such_verb(p, verb, error);
        return NULL;
    }
    if (!options_parse(p->groups, p->group_count, argc - skip, argv + skip, error))
        return NULL;
    parallel_threads(*p->threads);
    return &p->verbs[chosen];
}

int program_status(const Program *p, bool done, Error *error)
{
    if (!done && !*error->text)
        return 128 + (interrupt_signal() ? interrupt_signal() : SIGINT);
    if (done && streams_flush(error))
        return 0;
    fprintf(stderr, "chapter-%.2s: %s\n", p->name, error->text);
    return 1;
}

int program_main(const Program *p, int argc, char **argv)
{
    Error error;
    const Verb *verb = program_read(p, argc, argv, &error);
    bool done = verb ? verb->run(p->self, &error) : !*error.text;
    return program_status(p, done, &error);
}
