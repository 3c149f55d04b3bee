/* attention.c - pictures of the attention weights of a language model. */
#include "base/files.h"
#include "plot/plot.h"
#include "run/language.h"
#include "tensor/ops.h"

#include <stdlib.h>
#include <string.h>

/* The names of rows and columns: the tokens themselves. */
static const char *const *names_of(Tape *tape, const Tokenizer *tokenizer,
                                   const Ids *tokens)
{
    char **name = tape_alloc(tape, (size_t)tokens->size * sizeof *name);
    for (long i = 0; i < tokens->size; i++) {
        int length;
        const char *bytes = tokenizer_bytes(tokenizer, tokens->at[i], &length);
        name[i] = tape_alloc(tape, (size_t)length + 1);
        memcpy(name[i], bytes, (size_t)length);
        name[i][length] = 0;
    }
    return (const char *const *)name;
}

/* A picture for each head of each block; `map` is all but its values and its title. Returns
 * how many there are, -1 with a sentence if one cannot be written. */
static int draw_heads(const Tape *tape, const char *folder, HeatMap map, Error *error)
{
    int drawn = 0;
    Tensor *weights; /* (1, H, T, T) */
    for (int l = 0; (weights = tape_labelled(tape, "attention", l)); l++)
        for (int h = 0; h < weights->shape[1]; h++, drawn++) {
            char path[1100], title[64];
            snprintf(path, sizeof path, "%s/attention-%d-%d.svg", folder, l, h);
            snprintf(title, sizeof title, "block %d, head %d", l, h);
            map.values = t_select(weights, 1, h)->data;
            map.title = title;
            if (!plot_heat_map(path, &map, error))
                return -1;
        }
    return drawn;
}

/* --prompt as tokens (1, T) that the model can see at once; NULL with a sentence. */
static Ids *prompt_of(const Language *l, Tape *tape, Error *error)
{
    long count;
    int *token = tokenizer_encode(l->tokenizer, l->prompt, (long)strlen(l->prompt), &count,
                                  error),
        context = l->run.model->context;
    if (!token)
        fail_within(error, "--prompt");
    if (token && context && count > context) {
        fail(error, "--prompt has %ld tokens and the context is %d", count, context);
        free(token);
        token = NULL;
    }
    if (!token)
        return NULL;
    Ids *tokens = ids_from(tape, token, 1, (int)count);
    free(token);
    return tokens;
}

bool language_attention(void *language, Error *error)
{
    Language *l = language;
    const char *out = l->run.training.out;
    if (!l->prompt || !*l->prompt)
        return fail(error, "attention needs a text to look at, not %s: --prompt TEXT",
                    l->prompt ? "an empty --prompt" : "none");
    if (!run_load_trained(&l->run, error) || !folder_make(out, error))
        return false;
    Tape *tape = tape_new(TAPE_PROBE, 0);
    Ids *tokens = prompt_of(l, tape, error);
    int drawn = -1;
    if (tokens) {
        l->run.model->forward(l->run.model, tokens, NULL, 0);
        const char *const *names = names_of(tape, l->tokenizer, tokens);
        HeatMap map = {.y_label = "position that attends",
                       .x_label = "position attended to",
                       .rows = tokens->shape[1],
                       .columns = tokens->shape[1],
                       .row_names = names,
                       .column_names = names,
                       .most = 1};
        drawn = draw_heads(tape, out, map, error);
    }
    tape_free(tape);
    if (drawn >= 0)
        printf("%s/attention-<block>-<head>.svg: %d pictures\n", out, drawn);
    return drawn >= 0;
}
