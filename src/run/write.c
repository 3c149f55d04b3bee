/* write.c - what a language model writes. */
#include "run/language.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_TOKENS = 240 };

/* Samples begin after a line break or, where the model knows none, after token 0. */
void language_make_generator(Language *l)
{
    long count;
    Error ignored;
    int *line_break = tokenizer_encode(l->tokenizer, "\n", 1, &count, &ignored);
    l->first = line_break ? line_break[0] : 0;
    free(line_break);
    l->generator = generator_new(l->run.model, tokenizer_size(l->tokenizer), l->sampling,
                                 (uint64_t)l->run.seed);
}

/* Writes one token as the text it is, with a margin before each line. */
static void print_token(const Language *l, int token, const char *margin)
{
    int length;
    const char *bytes = tokenizer_bytes(l->tokenizer, token, &length);
    for (int i = 0; i < length; i++) {
        putchar(bytes[i]);
        if (bytes[i] == '\n')
            fputs(margin, stdout);
    }
}

/* Begins a text with a prompt or, without one, with nothing before it but `first`. */
static bool read_prompt(Language *l, const char *text, Error *error)
{
    long count = 1;
    int *tokens = &l->first;
    if (text && *text)
        tokens = tokenizer_encode(l->tokenizer, text, (long)strlen(text), &count, error);
    if (!tokens)
        return fail_within(error, "--prompt");
    generator_restart(l->generator, (uint64_t)l->run.seed);
    generator_read(l->generator, tokens, (int)count);
    if (tokens != &l->first)
        free(tokens);
    return true;
}

/* What it writes or, of a synthetic task, how much of it is right. */
void language_show(void *self, long step)
{
    Language *l = self;
    Error error;
    const char *margin = "    | ";
    if (l->synthetic) {
        printf("  after step %ld %.2f%% of its answers are right\n", step,
               100 * l->accuracy);
        return;
    }
    printf("\n  after step %ld it writes:\n%s", step, margin);
    must(read_prompt(l, NULL, &error), &error);
    for (int i = 0; i < SHOWN_TOKENS; i++)
        print_token(l, generator_next(l->generator), margin);
    printf("\n\n");
    fflush(stdout);
}

static bool write_sample(Run *run, const char *prompt, Error *error)
{
    Language *l = (Language *)run;
    if (!read_prompt(l, prompt, error))
        return false;
    if (prompt)
        fputs(prompt, stdout);
    for (int i = 0; i < l->tokens && !ferror(stdout); i++) {
        print_token(l, generator_next(l->generator), "");
        fflush(stdout);
    }
    putchar('\n');
    return true;
}

bool language_sample(void *self, Error *error)
{
    Language *l = self;
    if (!run_load_trained(&l->run, error))
        return false;
    language_make_generator(l);
    return run_prompts(&l->run, l->prompt, "prompt> ", NULL, write_sample, error);
}
