/* main.c - the program around the Transformer: training, and its verbs. */
#include "batches.h"
#include "chapter.h"
#include "compare.h"
#include "nn/optim.h"
#include "tensor/parallel.h"
#include "probing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GLIMPSE = 200 /* words */, SURE = 8 /* mistakes */ };

static const char *const some_words = "lineage shakespeare mamba";

/* ---- Training ---- */

static Tensor *batch_loss(void *chapter, Tape *tape, long step)
{
    Chapter *c = chapter;
    Batch batch = g2p_batch(c->dictionary, tape, (uint64_t)c->common.seed, step,
                            c->common.batch);
    Reading reading = transformer_encode(c->model, batch.source);
    Tensor *logits = transformer_decode(c->model, &reading, batch.target, NULL, 0);
    return t_cross_entropy_smoothed(logits, batch.targets, (float)c->smoothing);
}

static double validation_loss(void *chapter)
{
    const Chapter *c = chapter;
    long symbols;
    return split_loss(&c->speaker, c->dictionary, VAL, &symbols);
}

static void show(void *chapter, long step)
{
    const Chapter *c = chapter;
    Error never;
    Speaker greedy = c->speaker;
    greedy.width = 1;
    Score score = split_score(&greedy, c->dictionary, VAL, GLIMPSE, NULL, 0);
    printf("\n  after step %ld, of %ld words for validation: ", step, score.words);
    print_score(&score);
    putchar('\n');
    say_words(&greedy, some_words, &never);
    putchar('\n');
    fflush(stdout);
}

/* Symbols to be said in a step, on average. */
static long symbols_per_step(const Chapter *c)
{
    const Dictionary *d = c->dictionary;
    double symbols = 0;
    for (long i = 0; i < d->pairs[TRAIN]; i++)
        symbols += d->pair[TRAIN][i].way->length + 1;
    return lround(symbols / (double)d->pairs[TRAIN] * c->common.batch);
}

/* A run can be resumed by one that is called the same. */
static void describe(const Chapter *c, const SafeMetadata *options, char *text, size_t size)
{
    size_t length = 0;
    for (int i = 0; i < MODEL_OPTIONS && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s %s, ", options[i].key,
                                   options[i].value);
    if (length < size)
        snprintf(text + length, size - length,
                 "smoothing %g, batch %d, seed %ld, words %llx", c->smoothing,
                 c->common.batch, c->common.seed,
                 (unsigned long long)g2p_hash(c->dictionary));
}

static bool train_model(Chapter *c, Error *error)
{
    SafeMetadata metadata[MODEL_OPTIONS + 1];
    for (int i = 0; i < MODEL_OPTIONS; i++)
        metadata[i] = (SafeMetadata){c->model_option[i].name,
                                     options_get(&c->model_option[i])};
    metadata[MODEL_OPTIONS] = (SafeMetadata){"tokenizer", alphabet_names(&c->alphabet)};
    char identity[1024];
    describe(c, metadata, identity, sizeof identity);
    Learner learner = {.model = c,
                       .params = c->model->params,
                       .tokens_per_step = symbols_per_step(c),
                       .loss = batch_loss,
                       .validate = validation_loss,
                       .show = c->shows ? show : NULL,
                       .metadata = metadata,
                       .metadata_count = MODEL_OPTIONS + 1,
                       .identity = identity};
    bool done = common_train(&c->common, &learner, error);
    for (int i = 0; i <= MODEL_OPTIONS; i++)
        free((char *)metadata[i].value);
    return done;
}

static bool run_train(void *chapter, Error *error)
{
    return chapter_prepare(chapter, error) && train_model(chapter, error);
}

/* ---- Using what was trained ---- */

/* Greedily, and with the beam if it is wider than that. */
static void print_scores(const Chapter *c, Mistake *mistake, int room)
{
    Speaker speaker = c->speaker;
    int width = speaker.width;
    Split split = (Split)c->split;
    long symbols;
    double loss = split_loss(&speaker, c->dictionary, split, &symbols);
    printf("loss %.4f nats per symbol, %ld symbols\n", loss, symbols);
    for (int greedy = width > 1; greedy >= 0; greedy--) {
        speaker.width = greedy ? 1 : width;
        Score score = split_score(&speaker, c->dictionary, split, c->dictionary->words,
                                  mistake, greedy ? 0 : room);
        printf("beam %d: ", speaker.width);
        print_score(&score);
        printf(", %ld words\n", score.words);
        fflush(stdout);
    }
}

static bool run_eval(void *chapter, Error *error)
{
    Chapter *c = chapter;
    Mistake mistake[SURE] = {{0}};
    if (!chapter_load(c, error) || !chapter_read(c, (Split)c->split, error))
        return false;
    print_scores(c, mistake, SURE);
    print_mistakes(&c->speaker, mistake, SURE);
    return true;
}

/* Without --prompt, on a terminal, asks for words until the end of the file. */
static bool run_sample(void *chapter, Error *error)
{
    Chapter *c = chapter;
    if (!chapter_load(c, error))
        return false;
    if (c->prompt || !isatty(STDIN_FILENO))
        return say_words(&c->speaker, c->prompt ? c->prompt : some_words, error);
    char *line = NULL;
    size_t room = 0;
    for (;;) {
        fputs("words> ", stdout);
        fflush(stdout);
        if (getline(&line, &room, stdin) < 0)
            break;
        if (!say_words(&c->speaker, line, error))
            fprintf(stderr, "%s\n", error->text);
    }
    putchar('\n');
    free(line);
    return true;
}

static bool run_attention(void *chapter, Error *error)
{
    Chapter *c = chapter;
    return chapter_load(c, error) &&
           draw_attention(&c->speaker, c->prompt ? c->prompt : "knighthood",
                          c->common.training.out, error);
}

static bool run_probe(void *chapter, Error *error)
{
    Chapter *c = chapter;
    const Common *common = &c->common;
    if (!common->load || !common->input || !common->output)
        return fail(error, "probe needs --load FILE, --input FILE and --output FILE");
    return chapter_load_model(c, common->load, error) &&
           probe_transformer(c->model, common->input, common->output, error);
}

/* ---- The guided run ---- */

static bool run_verify(void *chapter, Error *error)
{
    (void)chapter;
    printf("One head of attention, as spec.c writes it and as the model computes it:\n\n");
    return compare_attention(0) || fail(error, "scalars and tensors do not agree");
}

static void print_plan(const Chapter *c)
{
    const Dictionary *d = c->dictionary;
    printf("\nThe words: %ld, and %ld ways to say them with %d symbols.\n"
           "Of these pairs %ld are for training, %ld for validation, %ld for the test.\n"
           "The model:\n\n",
           d->words, d->ways, d->alphabet.count - FIRST_NAMED, d->pairs[TRAIN],
           d->pairs[VAL], d->pairs[TEST]);
    params_print(stdout, c->model->params);
    printf("\nTraining: %ld steps of %d pairs, on %d threads.\n"
           "PER is the share of symbols that are wrong, WER that of words.\n"
           "Ctrl-C stops and keeps what was learned.\n",
           c->common.training.steps, c->common.batch, parallel_thread_count());
}

static void print_farewell(const char *out)
{
    printf("\nIn %s/ you find\n"
           "  model.safetensors   the best weights\n"
           "  log.csv, loss.svg   how the loss fell\n"
           "  state.safetensors   what --resume needs\n"
           "\nTry next\n"
           "  build/chapter-02 sample --load %s/model.safetensors --prompt \"your name\"\n"
           "  build/chapter-02 eval --load %s/model.safetensors\n"
           "  build/chapter-02 attention --load %s/model.safetensors --prompt knighthood\n"
           "and read on in chapters/02-transformer/README.md.\n",
           out, out, out, out);
}

static bool run_guided(void *chapter, Error *error)
{
    Chapter *c = chapter;
    if (!chapter_prepare(c, error))
        return false;
    printf("Chapter 02: a Transformer learns to say words that it has never seen.\n"
           "Read along in chapters/02-transformer/README.md.\n\n");
    if (!run_verify(c, error))
        return false;
    print_plan(c);
    c->shows = true;
    if (!train_model(c, error))
        return false;
    printf("\nOn words that it has never seen:\n");
    print_scores(c, NULL, 0);
    putchar('\n');
    if (!say_words(&c->speaker, c->prompt ? c->prompt : some_words, error))
        return false;
    print_farewell(c->common.training.out);
    return true;
}

/* ---- The program ---- */

static const Verb verbs[] = {
    {"", run_guided, "the guided run: train with the defaults, and show"},
    {"train", run_train, "train"},
    {"sample", run_sample, "say words; asks for some if none are given"},
    {"eval", run_eval, "count mistakes in words that it has not learned"},
    {"attention", run_attention, "draw where the decoder looks while it says a word"},
    {"verify", run_verify, "the mechanism in scalars and in tensors, side by side"},
    {"probe", run_probe, "logits, loss and gradients for given symbols"}};

static int run_program(Chapter *c, int argc, char **argv)
{
    Program program = {.name = "02-transformer",
                       .title = "The Transformer",
                       .self = c,
                       .verbs = verbs,
                       .verb_count = (int)(sizeof verbs / sizeof verbs[0]),
                       .groups = c->groups,
                       .group_count = GROUPS,
                       .threads = &c->common.threads};
    return program_main(&program, argc, argv);
}

int main(int argc, char **argv)
{
    Chapter c = {
        .config = {.layers = 2, .heads = 4, .width = 128, .hidden = 512},
        .split = TEST,
        .smoothing = 0.1,
        .speaker = {.alphabet = &c.alphabet, .width = 5, .penalty = 0.6},
        .common = {.data = "data/cmudict.tsv",
                   .batch = 128,
                   .seed = 1,
                   .training = {.out = "runs/02-transformer",
                                .title = "The Transformer",
                                .optimizer = OPTIMIZER_MUON,
                                .steps = 800,
                                .eval_every = 100,
                                .warmup = 100,
                                .learning_rate = 6e-3,
                                .beta1 = 0.9,
                                .beta2 = 0.98,
                                .weight_decay = 0.01,
                                .clip = 1}},
    };
    c.speaker.tape = tape_new(TAPE_INFERENCE, 0);
    chapter_options(&c);
    int status = run_program(&c, argc, argv);
    chapter_free(&c);
    return status;
}
