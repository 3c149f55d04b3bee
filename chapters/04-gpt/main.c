/* main.c - the program around GPT: its options, and how weights from elsewhere are read. */
#include "base/files.h"
#include "gpt.h"
#include "run/language.h"
#include "nn/optim.h"
#include "plot/plot.h"
#include "spec.h"
#include "run/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    LanguageProgram program;
    GptConfig config;
    Gpt *gpt;
} Chapter;

/* Hugging Face's files carry the causal mask as a buffer, and some a copy of the head. */
static const char *const ignored[] = {".attn.bias", ".attn.masked_bias", NULL};
static const char *const tied[][2] = {{"lm_head.weight", "wte.weight"}, {NULL, NULL}};

static Option *option(const Chapter *chapter, const char *name)
{
    return language_option(&chapter->program, name);
}

/* Heads cannot be told from the shapes: unless something says otherwise they are 64
 * wide. */
static bool settle_from(Chapter *chapter, const Checkpoint *from, Error *error)
{
    GptConfig *config = &chapter->config;
    int width = checkpoint_size(from, "wte.weight", 1);
    int layers = checkpoint_layers(from, "h.%d.ln_1.weight");
    if (!option(chapter, "heads")->given)
        config->heads = width >= 64 ? width / 64 : 1;
    return checkpoint_settle(from, option(chapter, "layers"), "n_layer", layers, error) &&
           checkpoint_settle(from, option(chapter, "width"), "n_embd", width, error) &&
           checkpoint_settle(from, option(chapter, "heads"), "n_head", 0, error) &&
           checkpoint_settle(from, option(chapter, "context"), "n_positions",
                             checkpoint_size(from, "wpe.weight", 0), error);
}

static bool settle(void *self, const Checkpoint *from, Error *error)
{
    Chapter *chapter = self;
    const GptConfig *config = &chapter->config;
    if (from && !settle_from(chapter, from, error))
        return false;
    if (config->width % config->heads != 0)
        return fail(error,
                    "--heads %d does not divide --width %d: every head has the same number "
                    "of channels",
                    config->heads, config->width);
    return true;
}

static int vocabulary(void *self, const Checkpoint *from)
{
    (void)self;
    return checkpoint_size(from, "wte.weight", 0);
}

static Params *build(void *self, int V, uint64_t seed)
{
    Chapter *chapter = self;
    chapter->config.vocabulary = V;
    chapter->gpt = gpt_new(chapter->config, seed);
    return chapter->gpt->params;
}

static void destroy(void *self)
{
    gpt_free(((Chapter *)self)->gpt);
}

static Tensor *forward(void *self, const Ids *tokens, void *memory, int past)
{
    return gpt_forward(((Chapter *)self)->gpt, tokens, memory, past);
}

static void *memory_new(void *self, int batch)
{
    return gpt_memory_new(((Chapter *)self)->gpt, batch);
}

static void memory_free(void *memory)
{
    gpt_memory_free(memory);
}

/* ---- The mechanism, in scalars and in tensors ---- */

enum { T = 4, C = 3, V = 5, TARGET = 2 };

/* Weights larger than a model begins with, so that there is something to see. */
static Gpt *example_model(void)
{
    GptConfig config = {.vocabulary = V, .context = T, .layers = 1, .heads = 1, .width = C};
    Gpt *gpt = gpt_new(config, 1);
    for (int i = 0; i < gpt->params->count; i++) {
        Tensor *x = gpt->params->item[i].tensor;
        for (long j = 0; j < t_size(x); j++)
            x->data[j] = (float)sin(1 + 7.0 * i + 3.0 * (double)j);
    }
    return gpt;
}

static Grid grid_of(Scalars *tape, const Tensor *x)
{
    int columns = x->shape[x->rank - 1];
    return (Grid){(int)(t_size(x) / columns), columns, verify_scalars(tape, x)};
}

/* One head of attention over four positions of three channels, then the cross-entropy of
 * the last of them. */
static bool verify(void)
{
    Gpt *gpt = example_model();
    const Linear *attn = &gpt->block[0].c_attn, *proj = &gpt->block[0].attn_c_proj;
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(t_snapshot(tape, gpt->wpe));
    Tensor *seen = t_keep_grad(gpt_attention(gpt, 0, t_reshape(x, 1, T, C), NULL, 0));
    Tensor *last = t_reshape(t_slice(seen, 1, T - 1, T), 1, C);
    Ids *target = ids_new(tape, 1);
    target->at[0] = TARGET;
    Tensor *loss = t_cross_entropy(t_matmul(last, t_transpose(gpt->wte)), target);
    backward(t_keep_grad(loss));

    Scalars *s = scalars_new();
    Grid sx = grid_of(s, x), table = grid_of(s, gpt->wte);
    Grid w_attn = grid_of(s, attn->weight), b_attn = grid_of(s, attn->bias);
    Grid w_proj = grid_of(s, proj->weight), b_proj = grid_of(s, proj->bias);
    Grid sseen = spec_linear(spec_attention(spec_linear(sx, w_attn, b_attn)), w_proj,
                             b_proj);
    Grid slast = {1, C, &sseen.at[(T - 1) * C]};
    Scalar *sloss = spec_cross_entropy(slast, table, TARGET);
    s_backward(sloss);

    const Twin twins[] = {{"loss", &sloss, loss},
                          {"attention", sseen.at, seen},
                          {"x", sx.at, x},
                          {"wte.weight", table.at, gpt->wte},
                          {"c_attn.weight", w_attn.at, attn->weight},
                          {"c_attn.bias", b_attn.at, attn->bias},
                          {"c_proj.weight", w_proj.at, proj->weight},
                          {"c_proj.bias", b_proj.at, proj->bias}};
    bool passed = verify_twins(twins, (int)(sizeof twins / sizeof twins[0]));
    scalars_free(s);
    tape_free(tape);
    gpt_free(gpt);
    return passed;
}

/* ---- Who looks at whom ---- */

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

/* A picture of the weights of every head, out of the softmax of its block. */
static bool draw_heads(const Chapter *chapter, Tape *tape, HeatMap map, Error *error)
{
    const char *out = chapter->program.common.training.out;
    for (int l = 0; l < chapter->config.layers; l++)
        for (int h = 0; h < chapter->config.heads; h++) {
            Tensor *weights = t_select(tape_labelled(tape, "attention", l), 1, h);
            char path[1100], title[64];
            snprintf(path, sizeof path, "%s/attention-%d-%d.svg", out, l, h);
            snprintf(title, sizeof title, "block %d, head %d", l, h);
            map.values = weights->data;
            map.title = title;
            if (!plot_heat_map(path, &map, error))
                return false;
        }
    return true;
}

static bool draw_attention(void *self, Error *error)
{
    Language *language = self;
    Chapter *chapter = language->program->self;
    const char *text = language->prompt, *out = chapter->program.common.training.out;
    if (!text || !*text)
        return fail(error, "attention needs a text to look at, not %s: --prompt TEXT",
                    text ? "an empty --prompt" : "none");
    if (!language_load(language, error) || !folder_make(out, error))
        return false;
    long count;
    int *token = tokenizer_encode(language->tokenizer, text, (long)strlen(text), &count,
                                  error);
    if (!token)
        return fail_within(error, "--prompt");
    if (count > chapter->config.context) {
        free(token);
        return fail(error, "--prompt has %ld tokens and the context is %d", count,
                    chapter->config.context);
    }
    int T = (int)count;
    Tape *tape = tape_new(TAPE_PROBE, 0);
    Ids *tokens = ids_new(tape, 1, T);
    memcpy(tokens->at, token, (size_t)T * sizeof *token);
    free(token);
    gpt_forward(chapter->gpt, tokens, NULL, 0);
    const char *const *names = names_of(tape, language->tokenizer, tokens);
    HeatMap map = {.y_label = "who looks",
                   .x_label = "at whom",
                   .rows = T,
                   .columns = T,
                   .row_names = names,
                   .column_names = names,
                   .most = 1};
    bool drawn = draw_heads(chapter, tape, map, error);
    tape_free(tape);
    if (drawn)
        printf("%s/attention-<block>-<head>.svg: %d pictures\n", out,
               chapter->config.layers * chapter->config.heads);
    return drawn;
}

static const Verb verbs[] = {
    {"attention", draw_attention, "pictures of who looks at whom in --prompt"}};

int main(int argc, char **argv)
{
    Chapter chapter = {.config = {.context = 64, .layers = 4, .heads = 4, .width = 128}};
    GptConfig *config = &chapter.config;
    Option options[] = {
        option_int("layers", &config->layers, 1, 1000, "blocks L"),
        option_int("heads", &config->heads, 1, 1024, "attention heads H in a block"),
        option_int("width", &config->width, 1, 65536, "channels C"),
        option_int("context", &config->context, 1, 1048576,
                   "tokens T that it can look back on"),
        option_real("dropout", &config->dropout, 0, 0.99,
                    "how much is dropped in training"),
    };
    chapter.program = (LanguageProgram){
        .name = "04-gpt",
        .title = "GPT",
        .about = "Chapter 04: GPT learns to write the next character.\n"
                 "Read along in chapters/04-gpt/README.md.",
        .conventions = {"transformer.", ignored, tied},
        .options = options,
        .option_count = (int)(sizeof options / sizeof options[0]),
        .context = &config->context,
        .verbs = verbs,
        .verb_count = 1,
        .self = &chapter,
        .settle = settle,
        .vocabulary = vocabulary,
        .build = build,
        .destroy = destroy,
        .forward = forward,
        .memory_new = memory_new,
        .memory_free = memory_free,
        .verify = verify,
        .common = {.batch = 12,
                   .training = {.optimizer = OPTIMIZER_MUON,
                                .steps = 1000,
                                .eval_every = 100,
                                .warmup = 100,
                                .learning_rate = 6e-3,
                                .min_learning_rate = 0,
                                .beta1 = 0.9,
                                .beta2 = 0.99,
                                .weight_decay = 0.1,
                                .clip = 1}},
    };
    return language_main(&chapter.program, argc, argv);
}
