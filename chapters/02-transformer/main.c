/* main.c - the program around the Transformer: its options, and how weights from elsewhere
 * are read. */
#include "compare.h"
#include "nn/optim.h"
#include "pronounce.h"

static const Settling settling[] = {
    {.option = "layers", .tensor = "encoder.layers.%d.norm1.weight", .dimension = LAYERS},
    {.option = "decoder-layers",
     .tensor = "decoder.layers.%d.norm1.weight",
     .dimension = LAYERS},
    {.option = "width", .tensor = "source_embedding.weight", .dimension = 1},
    {.option = "hidden", .tensor = "encoder.layers.0.linear1.weight"},
    {.option = "heads"},
    {.option = "norm"},
    {.option = "positions"},
    {.option = "scale"},
    {.option = "task"},
    {.option = "stress"}};

/* Reversing is learned by less: what the command line leaves open is smaller for it. */
static bool reverse_defaults(Run *run, Error *error)
{
    static const char *const smaller[][2] = {{"width", "64"},
                                             {"hidden", "128"},
                                             {"batch", "64"},
                                             {"steps", "1000"},
                                             {"smoothing", "0"}};
    for (int i = 0; i < COUNT(smaller); i++) {
        Option *option = run_option(run, smaller[i][0]);
        if (!option->given && !options_set(option, smaller[i][1], error))
            return false;
    }
    return true;
}

static bool settle(Run *run, const Checkpoint *from, Error *error)
{
    Pronouncer *p = (Pronouncer *)run;
    TransformerConfig *config = &p->config;
    if (!from && p->task == TASK_REVERSE && !reverse_defaults(run, error))
        return false;
    if (from) {
        config->source_symbols = checkpoint_size(from, "source_embedding.weight", 0);
        config->target_symbols = checkpoint_size(from, "target_embedding.weight", 0);
        if (config->source_symbols < 1 || config->target_symbols < 1)
            return fail(error, "%s holds no model of this chapter", from->path);
    }
    if (config->decoder_layers == 0)
        config->decoder_layers = config->layers;
    return heads_divide(config->heads, config->width, error);
}

static Model *build(Run *run, Params *params)
{
    return &transformer_new(((Pronouncer *)run)->config, params)->model;
}

int main(int argc, char **argv)
{
    Pronouncer p = {.config = {.layers = 2, .heads = 4, .width = 128, .hidden = 512}};
    TransformerConfig *m = &p.config;
    Option options[] = {
        option_choice("task", &p.task, "pronounce|reverse",
                      "words to say, or strings to reverse"),
        option_flag("stress", &p.stress, "vowels say how they are stressed, as AA1"),
        option_int("layers", &m->layers, 1, 1000, "layers of the encoder"),
        option_int("decoder-layers", &m->decoder_layers, 0, 1000,
                   "layers of the decoder; 0 for as many"),
        option_int("heads", &m->heads, 1, 1024, "attention heads H in a layer"),
        option_int("width", &m->width, 1, 65536, "channels C"),
        option_int("hidden", &m->hidden, 1, 262144, "channels inside feed-forward layers"),
        option_real("dropout", &m->dropout, 0, 0.99, "how much is dropped in training"),
        option_choice("norm", &m->norm, "post|pre", "where the norms stand"),
        option_choice("positions", &m->positions, "sinusoid|none", "how places are told"),
        option_choice("scale", &m->scale, "on|off", "embeddings times sqrt(C)"),
    };
    p.run = (Run){
        .name = "02-transformer",
        .title = "The Transformer",
        .about = "Chapter 02: a Transformer learns to say words that it has never seen.\n"
                 "Read along in chapters/02-transformer/README.md.",
        .task = &pronouncing,
        .model_options = OPTION_GROUP("the model", options),
        .settling = settling,
        .settlings = COUNT(settling),
        .settle = settle,
        .build = build,
        .verify = compare_attention,
        .batch = 128,
        .training = {.optimizer = OPTIMIZER_MUON,
                     .steps = 800,
                     .eval_every = 100,
                     .warmup = 100,
                     .learning_rate = 6e-3,
                     .beta1 = 0.9,
                     .beta2 = 0.98,
                     .weight_decay = 0.01,
                     .clip = 1}};
    return run_main(&p.run, argc, argv);
}
