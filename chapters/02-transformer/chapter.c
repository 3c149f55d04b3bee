/* chapter.c - the program's options, and what they make ready: a model and its words. */
#include "chapter.h"
#include "weights/checkpoint.h"

#include <string.h>

/* ---- Options ---- */

static void model_options(Chapter *c)
{
    TransformerConfig *m = &c->config;
    const Option options[MODEL_OPTIONS] = {
        option_choice("task", &c->task, "pronounce|reverse",
                      "words to say, or strings to reverse"),
        option_flag("stress", &c->stress, "vowels say how they are stressed, as AA1"),
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
    memcpy(c->model_option, options, sizeof options);
}

static void asking_options(Chapter *c)
{
    const Option options[ASKING_OPTIONS] = {
        option_text("prompt", &c->prompt, "WORDS", "what to say, or to draw"),
        option_int("beam", &c->speaker.width, 1, 100, "answers that are followed at once"),
        option_real("length-penalty", &c->speaker.penalty, 0, 10,
                    "how much long answers are spared"),
        option_choice("split", &c->split, "train|val|test",
                      "eval: the words to measure on"),
        option_real("smoothing", &c->smoothing, 0, 1,
                    "training: the share of a target that all symbols get"),
    };
    memcpy(c->asking_option, options, sizeof options);
}

void chapter_options(Chapter *c)
{
    model_options(c);
    asking_options(c);
    c->groups[0] = (OptionGroup)OPTION_GROUP("the model", c->model_option);
    c->groups[1] = (OptionGroup)OPTION_GROUP("asking and measuring", c->asking_option);
    common_options(&c->common, c->groups + 2);
}

/* Reversing is learned by less: what the command line leaves open is smaller for it. */
static void reverse_defaults(Chapter *c)
{
    static const char *const smaller[][2] = {{"width", "64"},
                                             {"hidden", "128"},
                                             {"batch", "64"},
                                             {"steps", "1000"},
                                             {"smoothing", "0"}};
    Error never;
    for (size_t i = 0; i < sizeof smaller / sizeof smaller[0]; i++) {
        Option *option = options_find(c->groups, GROUPS, smaller[i][0]);
        if (!option->given)
            options_set(option, smaller[i][1], &never);
    }
}

/* ---- The model ---- */

static bool build(Chapter *c, Error *error)
{
    TransformerConfig *config = &c->config;
    if (config->decoder_layers == 0)
        config->decoder_layers = config->layers;
    if (config->width % config->heads != 0)
        return fail(error,
                    "--heads %d does not divide --width %d: every head has the same number "
                    "of channels",
                    config->heads, config->width);
    c->model = transformer_new(*config, (uint64_t)c->common.seed);
    c->speaker.model = c->model;
    return true;
}

static bool settle(Chapter *c, const Checkpoint *from, Error *error)
{
    const struct {
        const char *option;
        int by_shape;
    } asked[] = {
        {"layers", checkpoint_layers(from, "encoder.layers.%d.norm1.weight")},
        {"decoder-layers", checkpoint_layers(from, "decoder.layers.%d.norm1.weight")},
        {"width", checkpoint_size(from, "source_embedding.weight", 1)},
        {"hidden", checkpoint_size(from, "encoder.layers.0.linear1.weight", 0)},
        {"heads", 0},
        {"norm", 0},
        {"positions", 0},
        {"scale", 0},
        {"task", 0},
        {"stress", 0},
    };
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        Option *option = options_find(c->groups, GROUPS, asked[i].option);
        if (!checkpoint_settle(from, option, NULL, asked[i].by_shape, error))
            return false;
    }
    c->config.source_symbols = checkpoint_size(from, "source_embedding.weight", 0);
    c->config.target_symbols = checkpoint_size(from, "target_embedding.weight", 0);
    if (c->config.source_symbols < 1 || c->config.target_symbols < 1)
        return fail(error, "%s holds no model of this chapter", from->path);
    return true;
}

/* The alphabet that a file was trained with, if it says so. */
static bool settle_alphabet(Chapter *c, const Checkpoint *from, Error *error)
{
    const char *names = safetensors_metadata(from->file, "tokenizer");
    if (!names)
        return true;
    if (!alphabet_read(&c->alphabet, names, error))
        return fail_within(error, "%s", from->path);
    if (c->alphabet.count != c->config.target_symbols ||
        c->config.source_symbols != LETTERS)
        return fail(error, "%s: it names %d symbols, and has embeddings for %d and %d",
                    from->path, c->alphabet.count, c->config.source_symbols,
                    c->config.target_symbols);
    return true;
}

bool chapter_load_model(Chapter *c, const char *path, Error *error)
{
    static const Conventions none;
    Checkpoint *from = checkpoint_open(path, &none, error);
    if (!from)
        return fail_after(error, "; give weights with --load FILE");
    bool right = settle(c, from, error) && settle_alphabet(c, from, error) &&
                 build(c, error) && checkpoint_load(from, &c->model->params, 1, error);
    checkpoint_close(from);
    return right;
}

bool chapter_load(Chapter *c, Error *error)
{
    char trained[1100];
    snprintf(trained, sizeof trained, "%s/model.safetensors", c->common.training.out);
    const char *path = c->common.load ? c->common.load : trained;
    if (!chapter_load_model(c, path, error))
        return false;
    return c->alphabet.count > 0 ||
           fail(error, "%s does not name its symbols: it can only be probed", path);
}

/* ---- The words ---- */

static bool has_words(const Chapter *c, Split split, Error *error)
{
    static const char *const names[SPLITS] = {"training", "validation", "the test"};
    return c->dictionary->pairs[split] > 0 ||
           fail(error, "%s has too few words: none is for %s", c->common.data,
                names[split]);
}

bool chapter_read(Chapter *c, Split needed, Error *error)
{
    const Alphabet *known = c->alphabet.count > 0 ? &c->alphabet : NULL;
    c->dictionary = c->task == TASK_REVERSE
                        ? g2p_reversals()
                        : g2p_read(c->common.data, c->stress, known, error);
    if (!c->dictionary)
        return fail_after(error, "; give a dictionary with --data FILE");
    c->alphabet = c->dictionary->alphabet;
    return has_words(c, needed, error);
}

bool chapter_prepare(Chapter *c, Error *error)
{
    if (c->common.load && !chapter_load(c, error))
        return false;
    if (!c->common.load && c->task == TASK_REVERSE)
        reverse_defaults(c);
    if (!chapter_read(c, TRAIN, error) || !has_words(c, VAL, error) ||
        !has_words(c, TEST, error))
        return false;
    if (c->common.load)
        return true;
    c->config.source_symbols = LETTERS;
    c->config.target_symbols = c->alphabet.count;
    return build(c, error);
}

void chapter_free(Chapter *c)
{
    if (c->model)
        transformer_free(c->model);
    g2p_free(c->dictionary);
    tape_free(c->speaker.tape);
}
