/* main.c - the program around GPT: its options, and how weights from elsewhere are read. */
#include "compare.h"
#include "gpt.h"
#include "nn/optim.h"
#include "run/language.h"

typedef struct {
    Language language;
    GptConfig config;
} Chapter;

/* Heads cannot be told from the shapes: unless something says otherwise they are 64 wide. */
static int heads_of_64(const Checkpoint *from)
{
    int width = checkpoint_size(from, "wte.weight", 1);
    return width >= 64 ? width / 64 : 1;
}

static const Settling settling[] = {
    {.option = "layers",
     .json = "n_layer",
     .tensor = "h.%d.ln_1.weight",
     .dimension = LAYERS},
    {.option = "width", .json = "n_embd", .tensor = "wte.weight", .dimension = 1},
    {.option = "heads", .json = "n_head", .otherwise = heads_of_64},
    {.option = "context", .json = "n_positions", .tensor = "wpe.weight"}};

/* Hugging Face's files carry the causal mask as a buffer, and some a copy of the head. */
static const char *const ignored[] = {".attn.bias", ".attn.masked_bias", NULL};
static const char *const tied[][2] = {{"lm_head.weight", "wte.weight"}, {NULL, NULL}};

static bool settle(Run *run, const Checkpoint *from, Error *error)
{
    (void)from;
    const GptConfig *config = &((Chapter *)run)->config;
    return heads_divide(config->heads, config->width, error);
}

static Model *build(Run *run, Params *params)
{
    Chapter *chapter = (Chapter *)run;
    chapter->config.vocabulary = chapter->language.vocabulary;
    return &gpt_new(chapter->config, params)->model;
}

static const Verb verbs[] = {
    {"attention", language_attention, "draw the attention weights of --prompt"}};

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
    chapter.language = (Language){
        .run = {.name = "04-gpt",
                .title = "GPT",
                .about = "Chapter 04: GPT learns to write the next character.\n"
                         "Read along in chapters/04-gpt/README.md.",
                .task = &next_token,
                .model_options = OPTION_GROUP("the model", options),
                .settling = settling,
                .settlings = COUNT(settling),
                .conventions = {"transformer.", ignored, tied},
                .settle = settle,
                .build = build,
                .verify = compare_attention,
                .verbs = verbs,
                .verb_count = COUNT(verbs),
                .batch = 12,
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
        .embedding = "wte.weight",
        .context = &config->context,
    };
    return run_main(&chapter.language.run, argc, argv);
}
