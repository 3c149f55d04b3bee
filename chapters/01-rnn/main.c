/* main.c - the program around the recurrent networks: options, files, and the check of the
 * cells against their equations. */
#include "elmo.h"
#include "run/language.h"
#include "memory.h"
#include "nn/optim.h"
#include "rnn.h"
#include "spec.h"
#include "run/verify.h"

#include <math.h>
#include <string.h>

typedef struct {
    LanguageProgram program;
    RnnConfig config;
    Rnn *rnn;
} Chapter;

static Option *option(const Chapter *chapter, const char *name)
{
    return language_option(&chapter->program, name);
}

/* The weights of h are G squares on top of each other, and G tells the cell. */
static bool settle_cell(Chapter *chapter, const Checkpoint *from, Error *error)
{
    Option *cell = option(chapter, "cell");
    int rows = checkpoint_size(from, "rnn.weight_hh_l0", 0);
    int width = checkpoint_size(from, "rnn.weight_hh_l0", 1);
    if (!checkpoint_settle(from, cell, NULL, 0, error))
        return false;
    if (!cell->given && !safetensors_metadata(from->file, "cell"))
        for (CellKind kind = CELL_RNN; kind <= CELL_LSTM; kind++)
            if (cell_gates(kind) * width == rows)
                chapter->config.cell = (int)kind;
    if (width > 0 && cell_gates(chapter->config.cell) * width != rows)
        return fail(error, "%s: its weights for h, (%d, %d), are not those of --cell %s",
                    from->path, rows, width, cell_name(chapter->config.cell));
    return true;
}

static bool settle_from(Chapter *chapter, const Checkpoint *from, Error *error)
{
    RnnConfig *config = &chapter->config;
    int width = checkpoint_size(from, "rnn.weight_hh_l0", 1);
    int embedding = checkpoint_size(from, "embedding.weight", 1);
    int layers = checkpoint_layers(from, "rnn.weight_hh_l%d");
    if (config->embedding == 0)
        config->embedding = width;
    return settle_cell(chapter, from, error) &&
           checkpoint_settle(from, option(chapter, "layers"), NULL, layers, error) &&
           checkpoint_settle(from, option(chapter, "width"), NULL, width, error) &&
           checkpoint_settle(from, option(chapter, "embedding"), NULL, embedding, error) &&
           (option(chapter, "context")->given ||
            checkpoint_settle(from, option(chapter, "context"), NULL, 0, error));
}

static bool settle(void *self, const Checkpoint *from, Error *error)
{
    Chapter *chapter = self;
    if (from)
        return settle_from(chapter, from, error);
    if (chapter->config.embedding == 0)
        chapter->config.embedding = chapter->config.width;
    return true;
}

static int vocabulary(void *self, const Checkpoint *from)
{
    (void)self;
    return checkpoint_size(from, "embedding.weight", 0);
}

static Params *build(void *self, int V, uint64_t seed)
{
    Chapter *chapter = self;
    chapter->config.vocabulary = V;
    chapter->rnn = rnn_new(chapter->config, seed);
    return chapter->rnn->params;
}

static void destroy(void *self)
{
    rnn_free(((Chapter *)self)->rnn);
}

static Tensor *forward(void *self, const Ids *tokens, void *memory, int past)
{
    return rnn_forward(((Chapter *)self)->rnn, tokens, memory, past);
}

static void *memory_new(void *self, int batch)
{
    return rnn_memory_new(((Chapter *)self)->rnn, batch);
}

static void memory_free(void *memory)
{
    rnn_memory_free(memory);
}

static Params *memory_state(void *memory)
{
    return ((RnnMemory *)memory)->states;
}

/* ---- The mechanism, in scalars and in tensors ---- */

enum { T = 3, E = 2, C = 3, V = 4 };
static const int text[T + 1] = {2, 0, 3, 1};

/* Weights larger than a model begins with, so that there is something to see. */
static Rnn *example_model(CellKind cell)
{
    RnnConfig config = {
        .vocabulary = V, .cell = (int)cell, .layers = 1, .embedding = E, .width = C};
    Rnn *rnn = rnn_new(config, 1);
    for (int i = 0; i < rnn->params->count; i++) {
        Tensor *x = rnn->params->item[i].tensor;
        for (long j = 0; j < t_size(x); j++)
            x->data[j] = (float)sin(1 + 7.0 * i + 3.0 * (double)j);
    }
    return rnn;
}

/* The mean loss over the text, one number at a time; `w` are the parameters of the model in
 * their order. */
static Scalar *loss_in_scalars(Scalars *s, CellKind cell, Scalar ***w, Scalar **logits)
{
    SpecLayer layer = {E, C, w[1], w[2], w[3], w[4]};
    Scalar **h = s_array(s, C), **c = s_array(s, C), *loss = s_new(s, 0);
    for (int j = 0; j < C; j++)
        h[j] = c[j] = s_new(s, 0);
    for (int t = 0; t < T; t++) {
        Scalar **x = &w[0][text[t] * E];
        if (cell == CELL_RNN)
            spec_rnn(&layer, x, h);
        else if (cell == CELL_GRU)
            spec_gru(&layer, x, h);
        else
            spec_lstm(&layer, x, h, c);
        spec_decoder(V, C, w[5], w[6], h, &logits[t * V]);
        loss = s_add(loss, spec_cross_entropy(V, &logits[t * V], text[t + 1]));
    }
    return s_times(loss, 1.0 / T);
}

static bool verify_cell(CellKind cell)
{
    Rnn *rnn = example_model(cell);
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Ids *tokens = ids_new(tape, 1, T), *targets = ids_new(tape, 1, T);
    memcpy(tokens->at, text, T * sizeof *text);
    memcpy(targets->at, text + 1, T * sizeof *text);
    Tensor *logits = t_keep_grad(rnn_forward(rnn, tokens, NULL, 0));
    Tensor *loss = t_keep_grad(t_cross_entropy(logits, targets));
    backward(loss);

    enum { PARAMS = 7 };
    Scalars *s = scalars_new();
    Scalar **w[PARAMS], **slogits = s_array(s, T * V);
    for (int i = 0; i < PARAMS; i++)
        w[i] = verify_scalars(s, rnn->params->item[i].tensor);
    Scalar *sloss = loss_in_scalars(s, cell, w, slogits);
    s_backward(sloss);

    Twin twins[2 + PARAMS] = {{"loss", &sloss, loss}, {"logits", slogits, logits}};
    for (int i = 0; i < PARAMS; i++)
        twins[2 + i] = (Twin){rnn->params->item[i].name, w[i], rnn->params->item[i].tensor};
    bool passed = verify_twins(twins, 2 + PARAMS);
    scalars_free(s);
    tape_free(tape);
    rnn_free(rnn);
    return passed;
}

static bool verify(void)
{
    bool passed = true;
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++) {
        printf("%s, %d characters:\n\n", cell_name(cell), T);
        passed &= verify_cell(cell);
        putchar('\n');
    }
    return passed;
}

/* ---- The chapter's own verbs ---- */

static bool run_memory(void *self, Error *error)
{
    const Language *language = self;
    Common *common = &language->program->common;
    OptionGroup training = {"", common->training_option,
                            sizeof common->training_option / sizeof(Option)};
    bool told = options_find(&training, 1, "steps")->given;
    const Chapter *chapter = language->program->self;
    return memory_experiment(common->training.out, chapter->config.forget_bias,
                             told ? common->training.steps : MEMORY_STEPS,
                             (uint64_t)common->seed, error);
}

static bool run_elmo(void *self, Error *error)
{
    const Language *language = self;
    const Common *common = &language->program->common;
    const Chapter *chapter = language->program->self;
    const char *word = language->prompt ? language->prompt : "love";
    return elmo_experiment(chapter->config, common->data, word, (uint64_t)common->seed,
                           error);
}

static const Verb verbs[] = {
    {"memory", run_memory, "how far back the cells can learn to look"},
    {"elmo", run_elmo, "vectors of a word that depend on what stands around it"}};

int main(int argc, char **argv)
{
    Chapter chapter = {
        .config = {.cell = CELL_LSTM, .layers = 1, .width = 256, .forget_bias = 1}};
    RnnConfig *config = &chapter.config;
    int context = 64;
    Option options[] = {
        option_choice("cell", &config->cell, "rnn|gru|lstm", "what a unit is"),
        option_int("layers", &config->layers, 1, 100, "layers L"),
        option_int("width", &config->width, 1, 65536, "units C in a layer"),
        option_int("embedding", &config->embedding, 0, 65536,
                   "numbers E for a token; 0 for as many as units"),
        option_int("context", &context, 1, 65536,
                   "tokens T through which gradients flow back"),
        option_real("dropout", &config->dropout, 0, 0.99,
                    "how much is dropped between layers in training"),
        option_real("forget-bias", &config->forget_bias, 0, 10,
                    "what the forget gates of a new LSTM begin with; 0: as all others"),
    };
    chapter.program = (LanguageProgram){
        .name = "01-rnn",
        .title = "Recurrent network",
        .about = "Chapter 01: a recurrent network learns to write the next character.\n"
                 "Read along in chapters/01-rnn/README.md.",
        .options = options,
        .option_count = (int)(sizeof options / sizeof options[0]),
        .context = &context,
        .verbs = verbs,
        .verb_count = (int)(sizeof verbs / sizeof verbs[0]),
        .self = &chapter,
        .settle = settle,
        .vocabulary = vocabulary,
        .build = build,
        .destroy = destroy,
        .forward = forward,
        .memory_new = memory_new,
        .memory_free = memory_free,
        .memory_state = memory_state,
        .verify = verify,
        .common = {.batch = 32,
                   .training = {.optimizer = OPTIMIZER_ADAMW,
                                .steps = 1000,
                                .eval_every = 100,
                                .warmup = 50,
                                .learning_rate = 3e-3,
                                .min_learning_rate = 0,
                                .beta1 = 0.9,
                                .beta2 = 0.99,
                                .weight_decay = 0.1,
                                .clip = 1}},
    };
    return language_main(&chapter.program, argc, argv);
}
