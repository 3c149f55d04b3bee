/* main.c - the program around the recurrent networks: options, and how weights from elsewhere
 * are read. */
#include "compare.h"
#include "elmo.h"
#include "memory.h"
#include "nn/optim.h"
#include "rnn.h"
#include "run/language.h"

typedef struct {
    Language language;
    RnnConfig config;
} Chapter;

/* The weights of h are G squares on top of each other, and G tells the cell. */
static int cell_by_gates(const Checkpoint *from)
{
    int rows = checkpoint_size(from, "rnn.weight_hh_l0", 0);
    int width = checkpoint_size(from, "rnn.weight_hh_l0", 1);
    for (CellKind kind = CELL_RNN; kind <= CELL_LSTM; kind++)
        if (cell_gates(kind) * width == rows)
            return (int)kind;
    return -1;
}

static const Settling settling[] = {
    {.option = "cell", .otherwise = cell_by_gates},
    {.option = "layers", .tensor = "rnn.weight_hh_l%d", .dimension = LAYERS},
    {.option = "width", .tensor = "rnn.weight_hh_l0", .dimension = 1},
    {.option = "embedding", .tensor = "embedding.weight", .dimension = 1},
    {.option = "context", .free = true}};

static bool settle(Run *run, const Checkpoint *from, Error *error)
{
    RnnConfig *config = &((Chapter *)run)->config;
    if (config->embedding == 0)
        config->embedding = config->width;
    if (!from)
        return true;
    CellKind cell = (CellKind)config->cell;
    int rows = checkpoint_size(from, "rnn.weight_hh_l0", 0);
    return rows == cell_gates(cell) * config->width ||
           fail(error, "%s: its weights for h, (%d, %d), are not those of --cell %s",
                from->path, rows, config->width, cell_name(cell));
}

static Model *build(Run *run, Params *params)
{
    Chapter *chapter = (Chapter *)run;
    chapter->config.vocabulary = chapter->language.vocabulary;
    return &rnn_new(chapter->config, params)->model;
}

/* ---- The chapter's own verbs ---- */

static bool run_memory(void *self, Error *error)
{
    const Run *run = self;
    const TrainerSettings *training = &run->training;
    bool given = run_option(run, "steps")->given;
    return memory_experiment(training->out, ((const Chapter *)self)->config.forget_bias,
                             given ? training->steps : MEMORY_STEPS, (uint64_t)run->seed,
                             error);
}

static bool run_elmo(void *self, Error *error)
{
    const Chapter *chapter = self;
    const Language *l = &chapter->language;
    return elmo_experiment(chapter->config, l->run.data, l->prompt ? l->prompt : "love",
                           (uint64_t)l->run.seed, error);
}

static const Verb verbs[] = {
    {"memory", run_memory, "how far back the cells can learn to look"},
    {"elmo", run_elmo, "vectors of a word that depend on what stands around it"}};

int main(int argc, char **argv)
{
    int context = 64;
    Chapter chapter = {
        .config = {.cell = CELL_LSTM, .layers = 1, .width = 256, .forget_bias = 1}};
    RnnConfig *config = &chapter.config;
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
    chapter.language = (Language){
        .run = {.name = "01-rnn",
                .title = "Recurrent network",
                .about =
                    "Chapter 01: a recurrent network learns to write the next character.\n"
                    "Read along in chapters/01-rnn/README.md.",
                .task = &next_token,
                .model_options = OPTION_GROUP("the model", options),
                .settling = settling,
                .settlings = COUNT(settling),
                .settle = settle,
                .build = build,
                .verify = compare_cells,
                .verbs = verbs,
                .verb_count = COUNT(verbs),
                .batch = 32,
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
        .embedding = "embedding.weight",
        .context = &context,
    };
    return run_main(&chapter.language.run, argc, argv);
}
