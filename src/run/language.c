/* language.c - learning to predict the next token of a text. */
#include "run/language.h"
#include "base/files.h"
#include "tensor/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_options(Run *run)
{
    Language *l = (Language *)run;
    if (!run->data)
        run->data = "data/shakespeare.txt";
    l->tokenizer_kind = "char";
    l->tokens = 500;
    l->sampling = (SamplerSettings){0.8, 0, 1};
    const Option options[] = {
        option_text("tokenizer", &l->tokenizer_kind, "KIND",
                    "char, or bpe:N with N merges"),
        option_text("prompt", &l->prompt, "TEXT", "what the text begins with"),
        option_int("tokens", &l->tokens, 1, 1000000000, "how many tokens to write"),
        option_real("temperature", &l->sampling.temperature, 0, 100,
                    "below 1 bolder, above 1 wilder, 0 always the most probable"),
        option_int("top-k", &l->sampling.top_k, 0, 1000000000,
                   "only among the K most probable; 0 for all"),
        option_real("top-p", &l->sampling.top_p, 1e-9, 1,
                    "only among those that make up P"),
        option_choice("split", &l->split, "all|val",
                      "eval: all of the data, or its last 10%"),
        option_choice("past", &l->past, "window|full",
                      "eval: each window alone, or with as much past as it can use"),
        option_choice("synthetic", &l->synthetic, "none|" SYNTHETIC_NAMES,
                      "a task of random tokens in place of --data"),
    };
    run_add_options(run, "reading and writing", options, COUNT(options));
}

/* ---- Texts and tokens ---- */

/* Reads the text of --data; the caller frees it. */
static char *read_data(const char *path, long *size, Error *error)
{
    char *text = file_read(path, size, error);
    if (!text)
        fail_after(error, "; give a text with --data FILE");
    else if (*size == 0) {
        fail(error, "%s is empty; give a text with --data FILE", path);
        free(text);
        text = NULL;
    }
    return text;
}

/* The tokens are characters, so that what the task asks can be read. */
static bool read_synthetic(Language *l, Error *error)
{
    Synthetic task = language_synthetic(l);
    const char *characters = synthetic_characters(task);
    if (run_option(&l->run, "data")->given || run_option(&l->run, "tokenizer")->given)
        return fail(error, "--synthetic makes its own tokens: leave --data and --tokenizer "
                           "out");
    if (!synthetic_fits(task, *l->context, error))
        return false;
    if (!l->tokenizer)
        l->tokenizer = tokenizer_train("char", characters, (long)strlen(characters), error);
    return l->tokenizer &&
           (tokenizer_size(l->tokenizer) == synthetic_vocabulary(task) ||
            fail(error, "the model was trained on something else than this --synthetic"));
}

static bool read_text(Language *l, Error *error)
{
    const char *path = l->run.data;
    long size, count = 0;
    char *text = read_data(path, &size, error);
    if (!text)
        return false;
    if (!l->tokenizer)
        l->tokenizer = tokenizer_train(l->tokenizer_kind, text, size, error);
    int *tokens = l->tokenizer ? tokenizer_encode(l->tokenizer, text, size, &count, error)
                               : NULL;
    free(text);
    if (!tokens)
        return fail_within(error, "%s", path);
    l->corpus = corpus_of(tokens, count);
    for (long i = 0; i < count; i++)
        l->corpus_hash = (l->corpus_hash ^ (uint64_t)tokens[i]) * 0x100000001b3u;
    return true;
}

bool language_read(Language *l, Error *error)
{
    return l->synthetic ? read_synthetic(l, error) : read_text(l, error);
}

static bool read_for_training(Run *run, Error *error)
{
    Language *l = (Language *)run;
    if (!language_read(l, error) ||
        (!l->synthetic && !corpus_fits(&l->corpus, *l->context, run->data, error)))
        return false;
    if (!l->vocabulary)
        l->vocabulary = tokenizer_size(l->tokenizer);
    return true;
}

/* A tokenizer that was asked for must be the one that the model was trained with. */
static bool same_kind(const Language *l, const char *path, Error *error)
{
    const char *kind = tokenizer_kind(l->tokenizer);
    return !run_option(&l->run, "tokenizer")->given ||
           strcmp(l->tokenizer_kind, kind) == 0 ||
           fail(error, "--tokenizer %s: %s was trained with %s; leave --tokenizer out",
                l->tokenizer_kind, path, kind);
}

static bool tokens_of(Run *run, const Checkpoint *from, bool needed, Error *error)
{
    Language *l = (Language *)run;
    const char *saved = safetensors_metadata(from->file, "tokenizer");
    l->vocabulary = checkpoint_size(from, l->embedding, 0);
    if (l->vocabulary < 1)
        return fail(error, "%s holds no model of this chapter", from->path);
    if (!saved)
        return !needed || fail(error,
                               "%s has no tokenizer in its metadata: it can be probed, but "
                               "neither sampled from nor measured on a text",
                               from->path);
    l->tokenizer = tokenizer_load(saved, error);
    if (!l->tokenizer)
        return fail_within(error, "%s: the tokenizer", from->path);
    if (tokenizer_size(l->tokenizer) > l->vocabulary)
        return fail(error, "%s: its tokenizer has %d tokens and its embedding %d",
                    from->path, tokenizer_size(l->tokenizer), l->vocabulary);
    return same_kind(l, from->path, error);
}

static char *tokens_text(Run *run)
{
    return tokenizer_save(((Language *)run)->tokenizer);
}

/* ---- What the run asks for ---- */

/* A recurrent model hands its state from batch to batch of a text. */
static bool carry_state(Language *l, Learner *learner, Error *error)
{
    const Run *run = &l->run;
    if (!corpus_feeds(&l->corpus, run->batch, *l->context, run->data, error))
        return false;
    l->carried = run->model->memory_new(run->model, run->batch);
    learner->carried = l->carried->states;
    return true;
}

/* What counting reaches, for the picture. */
static void count_levels(Language *l, Learner *learner)
{
    int V = tokenizer_size(l->tokenizer);
    l->levels[0] = (PlotReference){"counting tokens",
                                   corpus_counting_loss(&l->corpus, V, false)};
    l->levels[1] = (PlotReference){"counting pairs",
                                   corpus_counting_loss(&l->corpus, V, true)};
    learner->levels = l->levels;
    learner->level_count = V <= MOST_COUNTED ? 2 : 1;
}

static bool fill_learner(Run *run, Learner *learner, Error *error)
{
    Language *l = (Language *)run;
    bool recurrent = run->model->context == 0;
    if (!l->synthetic && recurrent && !carry_state(l, learner, error))
        return false;
    if (!l->synthetic)
        count_levels(l, learner);
    if (run->shows && !l->synthetic)
        language_make_generator(l);
    learner->tokens_per_step = (long)run->batch * *l->context;
    learner->loss = next_token_loss;
    learner->validate = language_validate;
    learner->show = run->shows || l->synthetic ? language_show : NULL;
    return true;
}

static void identity(Run *run, char *text, size_t size)
{
    const Language *l = (const Language *)run;
    if (l->synthetic)
        snprintf(text, size, "synthetic task %d", l->synthetic);
    else
        snprintf(text, size, "tokenizer %s, text %016llx", tokenizer_kind(l->tokenizer),
                 (unsigned long long)l->corpus_hash);
}

static void plan(Run *run)
{
    const Language *l = (const Language *)run;
    int V = tokenizer_size(l->tokenizer);
    if (l->synthetic)
        printf("A synthetic task over %d tokens.\n", V);
    else
        printf("The text: %s, %ld tokens, %d different ones (%s).\n"
               "The last tenth of it is kept for validation.\n",
               run->data, l->corpus.size, V, tokenizer_kind(l->tokenizer));
    printf("A model that knows nothing has a loss of log %d = %.2f.\n", V, log(V));
}

static void try_next(Run *run)
{
    const char *out = run->training.out;
    printf("  build/chapter-%.2s sample --load %s/model.safetensors --prompt \"To be\" "
           "--tokens 500\n"
           "  build/chapter-%.2s eval --load %s/model.safetensors --data %s --split val\n"
           "  make chapter-%.2s ARGS=\"--steps %ld --out runs/longer\"\n",
           run->name, out, run->name, out, run->data, run->name, 3 * run->training.steps);
}

static bool probe(Run *run, const ProbeInput *in, ProbeResults *results, Tensor **loss,
                  Error *error)
{
    const Language *l = (const Language *)run;
    const Model *m = run->model;
    int last = l->vocabulary - 1;
    Ids *tokens = probe_ids(in, "tokens", 0, last, error), *targets;
    if (!tokens || !probe_ids_like(in, "targets", -1, last, tokens, &targets, error))
        return false;
    if (m->context && tokens->shape[1] > m->context)
        return fail(error, "%s: %d tokens in a row are more than the context of %d",
                    in->path, tokens->shape[1], m->context);
    Tensor *logits = model_logits(m, tokens, NULL, 0);
    probe_add(results, "logits", t_contiguous(logits));
    *loss = targets ? t_cross_entropy(logits, targets) : NULL;
    return true;
}

static void end(Run *run)
{
    Language *l = (Language *)run;
    memory_free(l->carried);
    generator_free(l->generator);
    corpus_free(&l->corpus);
    tokenizer_free(l->tokenizer);
}

static const Verb verbs[] = {
    {"sample", language_sample, "write text; asks for prompts if none is given"},
    {"eval", language_eval, "measure the loss on a text"}};

const Task next_token = {.options = add_options,
                         .tokens_of = tokens_of,
                         .tokens_text = tokens_text,
                         .read = read_for_training,
                         .learner = fill_learner,
                         .identity = identity,
                         .plan = plan,
                         .try_next = try_next,
                         .probe = probe,
                         .end = end,
                         .verbs = verbs,
                         .verb_count = COUNT(verbs)};
