/* language.c - the program around a language model. */
#include "run/language.h"
#include "base/files.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
#include "run/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVALUATION_TOKENS = 512, SHOWN_TOKENS = 240 };
enum { SPLIT_ALL, SPLIT_VAL };

Option *language_option(const LanguageProgram *program, const char *name)
{
    OptionGroup group = {"", program->options, program->option_count};
    return options_find(&group, 1, name);
}

/* ---- Making things ready ---- */

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

bool language_read(Language *l, Error *error)
{
    const char *path = l->program->common.data;
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

/* A model of the weights in --load, and the tokenizer they were trained with, if it is
 * there. */
static bool load_model(Language *l, Error *error)
{
    LanguageProgram *p = l->program;
    const char *path = p->common.load;
    Checkpoint *c = checkpoint_open(path, &p->conventions, error);
    if (!c)
        return fail_after(error, "; give weights with --load FILE");
    const char *saved = safetensors_metadata(c->file, "tokenizer");
    int V = p->vocabulary(p->self, c);
    bool right = p->settle(p->self, c, error);
    if (right && V < 1)
        right = fail(error, "%s holds no model of this chapter", path);
    if (right && saved) {
        l->tokenizer = tokenizer_load(saved, error);
        right = l->tokenizer || fail_within(error, "%s: the tokenizer", path);
    }
    if (right && l->tokenizer && tokenizer_size(l->tokenizer) != V)
        right = fail(error, "%s: its tokenizer has %d tokens and its embedding %d", path,
                     tokenizer_size(l->tokenizer), V);
    l->vocabulary = V;
    if (right) {
        l->params = p->build(p->self, V, (uint64_t)p->common.seed);
        right = checkpoint_load(c, &l->params, 1, error);
    }
    checkpoint_close(c);
    return right;
}

static bool load_with_tokenizer(Language *l, Error *error)
{
    if (!load_model(l, error))
        return false;
    return l->tokenizer ||
           fail(error,
                "%s has no tokenizer in its metadata: it can be probed, but "
                "neither sampled from nor measured on a text",
                l->program->common.load);
}

bool language_load(Language *l, Error *error)
{
    Common *common = &l->program->common;
    char trained[1100];
    snprintf(trained, sizeof trained, "%s/model.safetensors", common->training.out);
    if (common->load)
        return load_with_tokenizer(l, error);
    common->load = trained;
    bool loaded = load_with_tokenizer(l, error);
    common->load = NULL;
    return loaded;
}

/* Samples begin after a line break or, where the model knows none, after token 0. */
static void make_generator(Language *l)
{
    const LanguageProgram *p = l->program;
    long count;
    Error ignored;
    int *line_break = tokenizer_encode(l->tokenizer, "\n", 1, &count, &ignored);
    l->first = line_break ? line_break[0] : 0;
    free(line_break);
    l->memory = p->memory_new(p->self, 1);
    Predictor predictor = {.model = p->self,
                           .vocabulary = tokenizer_size(l->tokenizer),
                           .context = p->memory_state ? 0 : *p->context,
                           .forward = p->forward,
                           .memory = l->memory};
    l->generator = generator_new(predictor, l->sampling, (uint64_t)p->common.seed);
}

static void end_language(Language *l)
{
    if (l->memory)
        l->program->memory_free(l->memory);
    if (l->batch_memory)
        l->program->memory_free(l->batch_memory);
    generator_free(l->generator);
    tape_free(l->inference);
    corpus_free(&l->corpus);
    tokenizer_free(l->tokenizer);
    if (l->params)
        l->program->destroy(l->program->self);
}

/* ---- Training ---- */

static Tensor *batch_loss(void *language, Tape *tape, long step)
{
    Language *l = language;
    const LanguageProgram *p = l->program;
    int B = p->common.batch, T = *p->context;
    long past = 0;
    Ids *tokens = ids_new(tape, B, T), *targets = ids_new(tape, B, T);
    if (l->batch_memory)
        past = corpus_continue(&l->corpus, (uint64_t)p->common.seed, step, tokens, targets);
    else
        corpus_batch(&l->corpus, (uint64_t)p->common.seed, step, tokens, targets);
    return t_cross_entropy(p->forward(p->self, tokens, l->batch_memory, (int)past),
                           targets);
}

/* The mean loss over tokens from .. to - 1, and over how many predictions that is. */
static double loss_over(Language *l, long from, long to, long *predictions)
{
    const LanguageProgram *p = l->program;
    int T = *p->context, B = EVALUATION_TOKENS / T > 1 ? EVALUATION_TOKENS / T : 1;
    double sum = 0;
    *predictions = 0;
    if (!l->inference)
        l->inference = tape_new(TAPE_INFERENCE, 0);
    for (long window = 0; from + window * T < to; window += B) {
        tape_reset(l->inference, 0);
        Ids *tokens = ids_new(l->inference, B, T), *targets = ids_new(l->inference, B, T);
        long n = corpus_windows(&l->corpus, from, to, window, tokens, targets);
        Tensor *logits = p->forward(p->self, tokens, NULL, 0);
        sum += n * (double)t_item(t_cross_entropy(logits, targets));
        *predictions += n;
    }
    return *predictions ? sum / (double)*predictions : NAN;
}

static double validation_loss(void *language)
{
    Language *l = language;
    long predictions;
    return loss_over(l, l->corpus.train, l->corpus.size, &predictions);
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

/* Begins a text anew, with nothing before it but `first`. */
static void begin_text(Language *l)
{
    generator_restart(l->generator, (uint64_t)l->program->common.seed);
    generator_read(l->generator, &l->first, 1);
}

/* Begins a text with a prompt, if there is one. */
static bool read_prompt(Language *l, const char *text, Error *error)
{
    if (!text || !*text) {
        begin_text(l);
        return true;
    }
    long count;
    int *tokens = tokenizer_encode(l->tokenizer, text, (long)strlen(text), &count, error);
    if (!tokens)
        return fail_within(error, "--prompt");
    generator_restart(l->generator, (uint64_t)l->program->common.seed);
    generator_read(l->generator, tokens, (int)count);
    free(tokens);
    return true;
}

static void show_sample(void *language, long step)
{
    Language *l = language;
    const char *margin = "    | ";
    printf("\n  after step %ld it writes:\n%s", step, margin);
    begin_text(l);
    for (int i = 0; i < SHOWN_TOKENS; i++)
        print_token(l, generator_next(l->generator), margin);
    printf("\n\n");
    fflush(stdout);
}

/* "layers 4, heads 4, ..., seed 1": a run can be resumed by one that is called the same. */
static void describe(const Language *l, const SafeMetadata *options, char *text,
                     size_t size)
{
    const LanguageProgram *p = l->program;
    size_t length = 0;
    for (int i = 0; i < p->option_count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s %s, ", options[i].key,
                                   options[i].value);
    if (length < size)
        snprintf(text + length, size - length,
                 "batch %d, seed %ld, tokenizer %s, text %016llx", p->common.batch,
                 p->common.seed, tokenizer_kind(l->tokenizer),
                 (unsigned long long)l->corpus_hash);
}

static bool train_model(Language *l, Error *error)
{
    LanguageProgram *p = l->program;
    int count = p->option_count;
    SafeMetadata metadata[count + 1];
    for (int i = 0; i < count; i++)
        metadata[i] = (SafeMetadata){p->options[i].name, options_get(&p->options[i])};
    metadata[count] = (SafeMetadata){"tokenizer", tokenizer_save(l->tokenizer)};
    char identity[1024];
    describe(l, metadata, identity, sizeof identity);
    int V = tokenizer_size(l->tokenizer);
    PlotReference levels[] = {
        {"counting tokens", corpus_counting_loss(&l->corpus, V, false)},
        {"counting pairs", corpus_counting_loss(&l->corpus, V, true)}};

    Learner learner = {.model = l,
                       .params = l->params,
                       .carried = l->batch_memory ? p->memory_state(l->batch_memory) : NULL,
                       .tokens_per_step = (long)p->common.batch * *p->context,
                       .loss = batch_loss,
                       .validate = validation_loss,
                       .show = l->shows ? show_sample : NULL,
                       .levels = levels,
                       .level_count = V <= MOST_COUNTED ? 2 : 1,
                       .metadata = metadata,
                       .metadata_count = count + 1,
                       .identity = identity};
    p->common.training.title = p->title;
    bool done = common_train(&p->common, &learner, error);
    for (int i = 0; i <= count; i++)
        free((char *)metadata[i].value);
    return done;
}

/* Text, tokenizer and a new model, or the one in --load if that was given. */
static bool prepare_training(Language *l, Error *error)
{
    LanguageProgram *p = l->program;
    const Common *c = &p->common;
    if (c->load && !load_with_tokenizer(l, error))
        return false;
    if (!c->load && !p->settle(p->self, NULL, error))
        return false;
    if (!language_read(l, error) || !corpus_fits(&l->corpus, *p->context, c->data, error))
        return false;
    if (p->memory_state && !corpus_feeds(&l->corpus, c->batch, *p->context, c->data, error))
        return false;
    if (!c->load)
        l->params = p->build(p->self, tokenizer_size(l->tokenizer), (uint64_t)c->seed);
    if (p->memory_state)
        l->batch_memory = p->memory_new(p->self, c->batch);
    make_generator(l);
    return true;
}

static bool run_train(void *language, Error *error)
{
    return prepare_training(language, error) && train_model(language, error);
}

static bool run_verify(void *language, Error *error)
{
    const Language *l = language;
    printf("The mechanism of the chapter, as spec.c writes it and as the model computes "
           "it:\n\n");
    return l->program->verify() || fail(error, "scalars and tensors do not agree");
}

static bool run_guided(void *language, Error *error)
{
    Language *l = language;
    const LanguageProgram *p = l->program;
    const Common *c = &p->common;
    if (!prepare_training(l, error))
        return false;
    printf("%s\n\n", p->about);
    if (!run_verify(l, error))
        return false;
    int V = tokenizer_size(l->tokenizer);
    printf("\nThe text: %s, %ld tokens, %d different ones (%s).\n"
           "The last tenth of it is kept for validation.\n"
           "The model:\n\n",
           c->data, l->corpus.size, V, tokenizer_kind(l->tokenizer));
    params_print(stdout, l->params);
    printf("\nTraining: %ld steps of %d x %d tokens, on %d threads.\n"
           "A model that knows nothing has a loss of log %d = %.2f.\n"
           "Ctrl-C stops and keeps what was learned.\n",
           c->training.steps, c->batch, *p->context, parallel_thread_count(), V, log(V));
    l->shows = true;
    if (!train_model(l, error))
        return false;
    const char *out = c->training.out;
    printf("\nIn %s/ you find\n"
           "  model.safetensors   the best weights\n"
           "  log.csv, loss.svg   how the loss fell\n"
           "  state.safetensors   what --resume needs\n"
           "\nTry next\n"
           "  build/chapter-%.2s sample --load %s/model.safetensors --prompt \"To be\" "
           "--tokens 500\n"
           "  build/chapter-%.2s eval --load %s/model.safetensors --data %s --split val\n"
           "  make chapter-%.2s ARGS=\"--steps %ld --out runs/longer\"\n"
           "and read on in chapters/%s/README.md.\n",
           out, p->name, out, p->name, out, c->data, p->name, 3 * c->training.steps,
           p->name);
    return true;
}

/* ---- Using what was trained ---- */

static bool write_sample(Language *l, const char *prompt, Error *error)
{
    if (!read_prompt(l, prompt, error))
        return false;
    if (prompt)
        fputs(prompt, stdout);
    for (int i = 0; i < l->tokens; i++) {
        print_token(l, generator_next(l->generator), "");
        fflush(stdout);
    }
    putchar('\n');
    return true;
}

/* Without --prompt, on a terminal, asks for prompts until the end of the file. */
static bool run_sample(void *language, Error *error)
{
    Language *l = language;
    if (!language_load(l, error))
        return false;
    make_generator(l);
    if (l->prompt || !isatty(STDIN_FILENO))
        return write_sample(l, l->prompt, error);
    char *line = NULL;
    size_t room = 0;
    for (;;) {
        fputs("prompt> ", stdout);
        fflush(stdout);
        if (getline(&line, &room, stdin) < 0)
            break;
        line[strcspn(line, "\n")] = 0;
        if (!write_sample(l, line, error))
            fprintf(stderr, "%s\n", error->text);
    }
    putchar('\n');
    free(line);
    return true;
}

/* Over tokens from .. to - 1. A character is a byte that does not continue another one. */
static double characters_per_token(const Language *l, long from, long to)
{
    long characters = 0;
    for (long i = from; i < to; i++) {
        int length;
        const char *bytes = tokenizer_bytes(l->tokenizer, l->corpus.token[i], &length);
        for (int j = 0; j < length; j++)
            characters += ((unsigned char)bytes[j] & 0xc0) != 0x80;
    }
    return (double)characters / (double)(to - from);
}

static bool run_eval(void *language, Error *error)
{
    Language *l = language;
    if (!language_load(l, error) || !language_read(l, error))
        return false;
    long from = l->split == SPLIT_VAL ? l->corpus.train : 0, to = l->corpus.size,
         predictions;
    double loss = loss_over(l, from, to, &predictions);
    if (predictions == 0)
        return fail(error, "%s is too short: there is nothing to predict",
                    l->program->common.data);
    printf("loss %.4f nats per token, %.4f bits per character, %ld tokens\n", loss,
           loss / log(2) / characters_per_token(l, from, to), predictions);
    return true;
}

static bool probe_model(Language *l, const Safetensors *in, Tape *tape, Error *error)
{
    const LanguageProgram *p = l->program;
    const char *input = p->common.input;
    int last = l->vocabulary - 1;
    Ids *tokens = probe_ids(in, input, "tokens", tape, 0, last, error), *targets = NULL;
    if (!tokens)
        return false;
    if (!p->memory_state && tokens->shape[1] > *p->context)
        return fail(error, "%s: %d tokens in a row are more than the context of %d", input,
                    tokens->shape[1], *p->context);
    if (safetensors_find(in, "targets")) {
        targets = probe_ids(in, input, "targets", tape, -1, last, error);
        if (!targets)
            return false;
        if (targets->size != tokens->size || targets->shape[1] != tokens->shape[1])
            return fail(error, "%s: tokens and targets are not of one shape", input);
    }
    Tensor *logits = p->forward(p->self, tokens, NULL, 0);
    Tensor *loss = targets ? t_cross_entropy(logits, targets) : NULL;
    if (loss)
        backward(loss);
    ProbeResult results[] = {{"logits", logits}, {"loss", loss}};
    return probe_write(p->common.output, results, 2, l->params, loss != NULL, error);
}

static bool run_probe(void *language, Error *error)
{
    Language *l = language;
    const Common *c = &l->program->common;
    if (!c->input || !c->output || !c->load)
        return fail(error, "probe needs --load FILE, --input FILE and --output FILE");
    if (!load_model(l, error))
        return false;
    Safetensors *in = safetensors_open(c->input, error);
    if (!in)
        return false;
    Tape *tape = tape_new(TAPE_PROBE, 0);
    bool right = probe_model(l, in, tape, error);
    tape_free(tape);
    safetensors_close(in);
    return right;
}

/* ---- The program ---- */

static const Verb verbs[] = {
    {"", run_guided, "the guided run: train with the defaults, and show"},
    {"train", run_train, "train"},
    {"sample", run_sample, "write text; asks for prompts if none is given"},
    {"eval", run_eval, "measure the loss on a text"},
    {"verify", run_verify, "the mechanism in scalars and in tensors, side by side"},
    {"probe", run_probe, "logits, loss and gradients for given tokens"}};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

static int run_program(Language *l, int argc, char **argv)
{
    LanguageProgram *p = l->program;
    Option text[] = {
        option_text("tokenizer", &l->tokenizer_kind, "KIND",
                    "char, or bpe:N with N merges"),
        option_text("prompt", &l->prompt, "TEXT", "what the text begins with"),
        option_int("tokens", &l->tokens, 1, 1000000000, "how many tokens to write"),
        option_real("temperature", &l->sampling.temperature, 0, 100,
                    "below 1 bolder, above 1 wilder, 0 always the likeliest"),
        option_int("top-k", &l->sampling.top_k, 0, 1000000000,
                   "only among the K likeliest; 0 for all"),
        option_real("top-p", &l->sampling.top_p, 1e-9, 1,
                    "only among those that make up P"),
        option_choice("split", &l->split, "all|val",
                      "eval: all of the data, or its last 10%"),
    };
    OptionGroup groups[4] = {{"the model", p->options, p->option_count},
                             OPTION_GROUP("reading and writing", text)};
    common_options(&p->common, groups + 2);

    Verb all[VERBS + p->verb_count];
    memcpy(all, verbs, sizeof verbs);
    for (int i = 0; i < p->verb_count; i++)
        all[VERBS + i] = p->verbs[i];
    Program program = {.name = p->name,
                       .title = p->title,
                       .self = l,
                       .verbs = all,
                       .verb_count = VERBS + p->verb_count,
                       .groups = groups,
                       .group_count = 4,
                       .threads = &p->common.threads};
    return program_main(&program, argc, argv);
}

int language_main(LanguageProgram *program, int argc, char **argv)
{
    char out[64];
    snprintf(out, sizeof out, "runs/%s", program->name);
    program->common.training.out = out;
    program->common.data = "data/shakespeare.txt";
    program->common.seed = 1;
    Language language = {.program = program,
                         .tokenizer_kind = "char",
                         .tokens = 500,
                         .sampling = {0.8, 0, 1}};
    int status = run_program(&language, argc, argv);
    end_language(&language);
    return status;
}
