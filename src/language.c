/* language.c - the program around a language model. */
#include "language.h"
#include "files.h"
#include "generator.h"
#include "ops.h"
#include "parallel.h"
#include "probe.h"
#include "random.h"
#include "text.h"
#include "tokenizer.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVALUATION_TOKENS = 2048, SHOWN_TOKENS = 240 };
enum { SPLIT_ALL, SPLIT_VAL };

/* All that one run of the program works with. */
typedef struct {
    LanguageProgram *program;
    Error *error;

    /* What the options say. */
    const char *data, *load, *tokenizer_kind, *prompt, *input, *output;
    int threads, tokens, split;
    long seed;
    SamplerSettings sampling;

    Tokenizer *tokenizer;
    Corpus corpus;
    uint64_t corpus_hash;
    Params *params;
    Tape *inference; /* for the validation loss */
    void *memory;
    Generator *generator;
    int first; /* the token that samples begin after */
    int vocabulary;
    bool shows; /* samples while training */
} Session;

/* ---- Options ---- */

enum { GROUPS = 4 };

typedef struct {
    Option training[13], sampling[5], files[8];
    OptionGroup groups[GROUPS];
} Table;

static void fill_table(Table *t, Session *s)
{
    TrainerSettings *set = &s->program->training;
    Option training[] = {
        option_long("steps", &set->steps, 0, 1000000000, "training steps"),
        option_int("batch", &s->program->batch, 1, 65536, "texts B in a step"),
        option_real("lr", &set->learning_rate, 0, 10, "learning rate at its highest"),
        option_real("min-lr", &set->min_learning_rate, 0, 10, "learning rate in the end"),
        option_long("warmup", &set->warmup, 0, 1000000000,
                    "steps until it is at its highest"),
        option_choice("optimizer", &set->optimizer, "adamw|muon", "see src/optim.h"),
        option_real("weight-decay", &set->weight_decay, 0, 10,
                    "pull of matrices towards 0"),
        option_real("beta1", &set->beta1, 0, 0.999999, "memory of AdamW for gradients"),
        option_real("beta2", &set->beta2, 0, 0.999999, "memory of AdamW for their squares"),
        option_real("clip", &set->clip, 0, 1e9, "longest gradient; 0 does not clip"),
        option_long("eval-every", &set->eval_every, 1, 1000000000,
                    "steps between looks at the validation loss"),
        option_text("tokenizer", &s->tokenizer_kind, "KIND",
                    "char, or bpe:N with N merges"),
        option_flag("resume", &set->resume, "go on where the run in --out stopped"),
    };
    Option sampling[] = {
        option_text("prompt", &s->prompt, "TEXT", "what the text begins with"),
        option_int("tokens", &s->tokens, 1, 1000000000, "how many tokens to write"),
        option_real("temperature", &s->sampling.temperature, 0, 100,
                    "below 1 bolder, above 1 wilder, 0 always the likeliest"),
        option_int("top-k", &s->sampling.top_k, 0, 1000000000,
                   "only among the K likeliest; 0 for all"),
        option_real("top-p", &s->sampling.top_p, 1e-9, 1,
                    "only among those that make up P"),
    };
    Option files[] = {
        option_text("data", &s->data, "FILE", "the text to learn from or to measure on"),
        option_text("out", &set->out, "DIR", "where a run leaves its files"),
        option_text("load", &s->load, "FILE", "the weights to begin with"),
        option_choice("split", &s->split, "all|val",
                      "eval: all of the data, or its last 10%"),
        option_text("input", &s->input, "FILE", "probe: tokens, and targets if wanted"),
        option_text("output", &s->output, "FILE", "probe: logits, loss and gradients"),
        option_long("seed", &s->seed, 0, 1L << 53, "where random numbers begin"),
        option_int("threads", &s->threads, 0, 32, "threads; 0 for one a processor"),
    };
    memcpy(t->training, training, sizeof training);
    memcpy(t->sampling, sampling, sizeof sampling);
    memcpy(t->files, files, sizeof files);
    t->groups[0] = (OptionGroup){"the model", s->program->options,
                                 s->program->option_count};
    t->groups[1] = (OptionGroup)OPTION_GROUP("training", t->training);
    t->groups[2] = (OptionGroup)OPTION_GROUP("writing", t->sampling);
    t->groups[3] = (OptionGroup)OPTION_GROUP("files and the run", t->files);
}

Option *language_option(const LanguageProgram *program, const char *name)
{
    OptionGroup group = {"", program->options, program->option_count};
    return options_find(&group, 1, name);
}

/* ---- Making things ready ---- */

/* Reads the text of --data; the caller frees it. */
static char *read_data(Session *s, long *size)
{
    char *text = file_read(s->data, size, s->error);
    if (!text)
        fail_after(s->error, "; give a text with --data FILE");
    else if (*size == 0) {
        fail(s->error, "%s is empty; give a text with --data FILE", s->data);
        free(text);
        text = NULL;
    }
    return text;
}

/* The tokens of --data, by the tokenizer there is or else by a new one. */
static bool make_corpus(Session *s)
{
    long size, count = 0;
    char *text = read_data(s, &size);
    if (!text)
        return false;
    if (!s->tokenizer)
        s->tokenizer = tokenizer_train(s->tokenizer_kind, text, size, s->error);
    int *tokens = s->tokenizer
                      ? tokenizer_encode(s->tokenizer, text, size, &count, s->error)
                      : NULL;
    free(text);
    if (!tokens)
        return fail_within(s->error, "%s", s->data);
    s->corpus = corpus_of(tokens, count);
    for (long i = 0; i < count; i++)
        s->corpus_hash = (s->corpus_hash ^ (uint64_t)tokens[i]) * 0x100000001b3u;
    return true;
}

/* A model of the weights in --load, and the tokenizer they were trained with, if it is
 * there. */
static bool load_model(Session *s)
{
    LanguageProgram *p = s->program;
    Checkpoint *c = checkpoint_open(s->load, &p->conventions, s->error);
    if (!c)
        return fail_after(s->error, "; give weights with --load FILE");
    const char *saved = safetensors_metadata(c->file, "tokenizer");
    int V = p->vocabulary(p->self, c);
    bool right = p->settle(p->self, c, s->error);
    if (right && V < 1)
        right = fail(s->error, "%s holds no model of this chapter", s->load);
    if (right && saved) {
        s->tokenizer = tokenizer_load(saved, s->error);
        right = s->tokenizer || fail_within(s->error, "%s: the tokenizer", s->load);
    }
    if (right && s->tokenizer && tokenizer_size(s->tokenizer) != V)
        right = fail(s->error, "%s: its tokenizer has %d tokens and its embedding %d",
                     s->load, tokenizer_size(s->tokenizer), V);
    s->vocabulary = V;
    if (right) {
        s->params = p->build(p->self, V, (uint64_t)s->seed);
        right = checkpoint_load(c, &s->params, 1, s->error);
    }
    checkpoint_close(c);
    return right;
}

static bool load_with_tokenizer(Session *s)
{
    if (!load_model(s))
        return false;
    return s->tokenizer ||
           fail(s->error,
                "%s has no tokenizer in its metadata: it can be probed, but "
                "neither sampled from nor measured on a text",
                s->load);
}

/* Samples begin after a line break or, where the model knows none, after token 0. */
static void make_generator(Session *s)
{
    const LanguageProgram *p = s->program;
    long count;
    Error ignored;
    int *line_break = tokenizer_encode(s->tokenizer, "\n", 1, &count, &ignored);
    s->first = line_break ? line_break[0] : 0;
    free(line_break);
    s->memory = p->memory_new(p->self, 1);
    Predictor predictor = {p->self, tokenizer_size(s->tokenizer), *p->context, p->forward,
                           s->memory};
    s->generator = generator_new(predictor, s->sampling, (uint64_t)s->seed);
}

static void end_session(Session *s)
{
    if (s->memory)
        s->program->memory_free(s->memory);
    generator_free(s->generator);
    tape_free(s->inference);
    corpus_free(&s->corpus);
    tokenizer_free(s->tokenizer);
    if (s->params)
        s->program->destroy(s->program->self);
}

/* ---- Training ---- */

static Tensor *batch_loss(void *session, Tape *tape, long step)
{
    Session *s = session;
    const LanguageProgram *p = s->program;
    int B = p->batch, T = *p->context;
    Ids *tokens = ids_new(tape, B, T), *targets = ids_new(tape, B, T);
    corpus_batch(&s->corpus, (uint64_t)s->seed, step, tokens, targets);
    return t_cross_entropy(p->forward(p->self, tokens, NULL, 0), targets);
}

/* The mean loss over tokens from .. to - 1, and over how many predictions that is. */
static double loss_over(Session *s, long from, long to, long *predictions)
{
    const LanguageProgram *p = s->program;
    int T = *p->context, B = EVALUATION_TOKENS / T > 1 ? EVALUATION_TOKENS / T : 1;
    double sum = 0;
    *predictions = 0;
    if (!s->inference)
        s->inference = tape_new(TAPE_INFERENCE, 0);
    for (long window = 0; from + window * T < to; window += B) {
        tape_reset(s->inference, 0);
        Ids *tokens = ids_new(s->inference, B, T), *targets = ids_new(s->inference, B, T);
        long n = corpus_windows(&s->corpus, from, to, window, tokens, targets);
        Tensor *logits = p->forward(p->self, tokens, NULL, 0);
        sum += n * (double)t_item(t_cross_entropy(logits, targets));
        *predictions += n;
    }
    return *predictions ? sum / (double)*predictions : NAN;
}

static double validation_loss(void *session)
{
    Session *s = session;
    long predictions;
    return loss_over(s, s->corpus.train, s->corpus.size, &predictions);
}

/* Writes one token as the text it is, with a margin before each line. */
static void print_token(const Session *s, int token, const char *margin)
{
    int length;
    const char *bytes = tokenizer_bytes(s->tokenizer, token, &length);
    for (int i = 0; i < length; i++) {
        putchar(bytes[i]);
        if (bytes[i] == '\n')
            fputs(margin, stdout);
    }
}

/* Begins a text anew, with nothing before it but `first`. */
static void begin_text(Session *s)
{
    generator_restart(s->generator, (uint64_t)s->seed);
    generator_read(s->generator, &s->first, 1);
}

/* Begins a text with a prompt, if there is one. */
static bool read_prompt(Session *s, const char *text)
{
    if (!text || !*text) {
        begin_text(s);
        return true;
    }
    long count;
    int *tokens = tokenizer_encode(s->tokenizer, text, (long)strlen(text), &count,
                                   s->error);
    if (!tokens)
        return fail_within(s->error, "--prompt");
    generator_restart(s->generator, (uint64_t)s->seed);
    generator_read(s->generator, tokens, (int)count);
    free(tokens);
    return true;
}

static void show_sample(void *session, long step)
{
    Session *s = session;
    const char *margin = "    | ";
    printf("\n  after step %ld it writes:\n%s", step, margin);
    begin_text(s);
    for (int i = 0; i < SHOWN_TOKENS; i++)
        print_token(s, generator_next(s->generator), margin);
    printf("\n\n");
    fflush(stdout);
}

/* "layers 4, heads 4, ..., seed 1": a run can be resumed by one that is called the same. */
static void describe(const Session *s, const SafeMetadata *options, char *text, size_t size)
{
    const LanguageProgram *p = s->program;
    size_t length = 0;
    for (int i = 0; i < p->option_count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s %s, ", options[i].key,
                                   options[i].value);
    if (length < size)
        snprintf(text + length, size - length,
                 "batch %d, seed %ld, tokenizer %s, text %016llx", p->batch, s->seed,
                 tokenizer_kind(s->tokenizer), (unsigned long long)s->corpus_hash);
}

static TrainerEnd train_model(Session *s)
{
    LanguageProgram *p = s->program;
    int count = p->option_count;
    SafeMetadata metadata[count + 1];
    for (int i = 0; i < count; i++)
        metadata[i] = (SafeMetadata){p->options[i].name, options_get(&p->options[i])};
    metadata[count] = (SafeMetadata){"tokenizer", tokenizer_save(s->tokenizer)};
    char identity[1024];
    describe(s, metadata, identity, sizeof identity);

    Learner learner = {.model = s,
                       .params = s->params,
                       .tokens_per_step = (long)p->batch * *p->context,
                       .loss = batch_loss,
                       .validate = validation_loss,
                       .show = s->shows ? show_sample : NULL,
                       .metadata = metadata,
                       .metadata_count = count + 1,
                       .identity = identity};
    p->training.seed = (uint64_t)s->seed;
    p->training.title = p->title;
    TrainerEnd end = train(&learner, &p->training, s->error);
    for (int i = 0; i <= count; i++)
        free((char *)metadata[i].value);
    return end;
}

/* Text, tokenizer and a new model, or the one in --load if that was given. */
static bool prepare_training(Session *s)
{
    LanguageProgram *p = s->program;
    if (s->load && !load_with_tokenizer(s))
        return false;
    if (!s->load && !p->settle(p->self, NULL, s->error))
        return false;
    if (!make_corpus(s) || !corpus_fits(&s->corpus, *p->context, s->data, s->error))
        return false;
    if (!s->load)
        s->params = p->build(p->self, tokenizer_size(s->tokenizer), (uint64_t)s->seed);
    make_generator(s);
    return true;
}

static int run_train(Session *s)
{
    if (!prepare_training(s))
        return 1;
    TrainerEnd end = train_model(s);
    return end == TRAINER_DONE ? 0 : end == TRAINER_FAILED ? 1 : 128 + 2;
}

static int run_verify(Session *s)
{
    printf("The mechanism of the chapter, as spec.c writes it and as the model computes "
           "it:\n\n");
    return s->program->verify() || fail(s->error, "scalars and tensors do not agree") ? 0
                                                                                      : 1;
}

static int run_guided(Session *s)
{
    const LanguageProgram *p = s->program;
    if (!prepare_training(s))
        return 1;
    printf("%s\n\n", p->about);
    if (run_verify(s) != 0)
        return 1;
    int V = tokenizer_size(s->tokenizer);
    printf("\nThe text: %s, %ld tokens, %d different ones (%s).\n"
           "The last tenth of it is kept for validation.\n"
           "The model:\n\n",
           s->data, s->corpus.size, V, tokenizer_kind(s->tokenizer));
    params_print(stdout, s->params);
    printf("\nTraining: %ld steps of %d x %d tokens, on %d threads.\n"
           "A model that knows nothing has a loss of log %d = %.2f.\n"
           "Ctrl-C stops and keeps what was learned.\n",
           p->training.steps, p->batch, *p->context, parallel_thread_count(), V, log(V));
    s->shows = true;
    TrainerEnd end = train_model(s);
    if (end == TRAINER_FAILED)
        return 1;
    const char *out = p->training.out;
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
           out, p->name, out, p->name, out, s->data, p->name, 3 * p->training.steps,
           p->name);
    return end == TRAINER_DONE ? 0 : 128 + 2;
}

/* ---- Using what was trained ---- */

static bool write_sample(Session *s, const char *prompt)
{
    if (!read_prompt(s, prompt))
        return false;
    if (prompt)
        fputs(prompt, stdout);
    for (int i = 0; i < s->tokens; i++) {
        print_token(s, generator_next(s->generator), "");
        fflush(stdout);
    }
    putchar('\n');
    return true;
}

/* Without --prompt, on a terminal, asks for prompts until the end of the file. */
static int run_sample(Session *s)
{
    if (!load_with_tokenizer(s))
        return 1;
    make_generator(s);
    if (s->prompt || !isatty(STDIN_FILENO))
        return write_sample(s, s->prompt) ? 0 : 1;
    char *line = NULL;
    size_t room = 0;
    for (;;) {
        fputs("prompt> ", stdout);
        fflush(stdout);
        if (getline(&line, &room, stdin) < 0)
            break;
        line[strcspn(line, "\n")] = 0;
        if (!write_sample(s, line))
            fprintf(stderr, "%s\n", s->error->text);
    }
    putchar('\n');
    free(line);
    return 0;
}

/* Over tokens from .. to - 1. A character is a byte that does not continue another one. */
static double characters_per_token(const Session *s, long from, long to)
{
    long characters = 0;
    for (long i = from; i < to; i++) {
        int length;
        const char *bytes = tokenizer_bytes(s->tokenizer, s->corpus.token[i], &length);
        for (int j = 0; j < length; j++)
            characters += ((unsigned char)bytes[j] & 0xc0) != 0x80;
    }
    return (double)characters / (double)(to - from);
}

static int run_eval(Session *s)
{
    bool val = s->split == SPLIT_VAL;
    if (!load_with_tokenizer(s) || !make_corpus(s))
        return 1;
    long from = val ? s->corpus.train : 0, to = s->corpus.size, predictions;
    double loss = loss_over(s, from, to, &predictions);
    if (predictions == 0)
        return fail(s->error, "%s is too short: there is nothing to predict", s->data), 1;
    printf("loss %.4f nats per token, %.4f bits per character, %ld tokens\n", loss,
           loss / log(2) / characters_per_token(s, from, to), predictions);
    return 0;
}

static bool probe_model(Session *s, const Safetensors *in, Tape *tape)
{
    const LanguageProgram *p = s->program;
    int last = s->vocabulary - 1;
    Ids *tokens = probe_ids(in, s->input, "tokens", tape, 0, last, s->error),
        *targets = NULL;
    if (!tokens)
        return false;
    if (tokens->shape[1] > *p->context)
        return fail(s->error, "%s: %d tokens in a row are more than the context of %d",
                    s->input, tokens->shape[1], *p->context);
    if (safetensors_find(in, "targets")) {
        targets = probe_ids(in, s->input, "targets", tape, -1, last, s->error);
        if (!targets)
            return false;
        if (targets->size != tokens->size || targets->shape[1] != tokens->shape[1])
            return fail(s->error, "%s: tokens and targets are not of one shape", s->input);
    }
    Tensor *logits = p->forward(p->self, tokens, NULL, 0);
    Tensor *loss = targets ? t_cross_entropy(logits, targets) : NULL;
    if (loss)
        backward(loss);
    ProbeResult results[] = {{"logits", logits}, {"loss", loss}};
    return probe_write(s->output, results, 2, s->params, loss != NULL, s->error);
}

static int run_probe(Session *s)
{
    if (!s->input || !s->output)
        return fail(s->error, "probe needs --input FILE and --output FILE"), 1;
    if (!load_model(s))
        return 1;
    Safetensors *in = safetensors_open(s->input, s->error);
    if (!in)
        return 1;
    Tape *tape = tape_new(TAPE_PROBE, 0);
    bool right = probe_model(s, in, tape);
    tape_free(tape);
    safetensors_close(in);
    return right ? 0 : 1;
}

/* ---- The program ---- */

static const struct {
    const char *name;
    int (*run)(Session *);
    bool loads; /* --load has a default */
} verbs[] = {{"verify", run_verify, false}, {"", run_guided, false},
             {"train", run_train, false},   {"sample", run_sample, true},
             {"eval", run_eval, true},      {"probe", run_probe, true}};

static void print_help(const LanguageProgram *p, const Table *table)
{
    char usage[1024];
    snprintf(
        usage, sizeof usage,
        "%s. Read chapters/%s/README.md beside it.\n\n"
        "build/chapter-%.2s           the guided run: train with the defaults, and show\n"
        "build/chapter-%.2s train     train\n"
        "build/chapter-%.2s sample    write text; asks for prompts if none is given\n"
        "build/chapter-%.2s eval      measure the loss on a text\n"
        "build/chapter-%.2s verify    the mechanism in scalars and in tensors, side by "
        "side\n"
        "build/chapter-%.2s probe     logits, loss and gradients for given tokens",
        p->title, p->name, p->name, p->name, p->name, p->name, p->name, p->name);
    options_help(stdout, usage, table->groups, GROUPS);
}

int language_main(LanguageProgram *program, int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error like any other */
    Error error = {""};
    char out[64], load[96];
    Session s = {.program = program, .error = &error, .data = "data/shakespeare.txt"};
    s.tokenizer_kind = "char";
    s.tokens = 500;
    s.seed = 1;
    s.sampling = (SamplerSettings){0.8, 0, 1};
    snprintf(out, sizeof out, "runs/%s", program->name);
    snprintf(load, sizeof load, "runs/%s/model.safetensors", program->name);
    program->training.out = out;

    Table table;
    fill_table(&table, &s);
    if (options_want_help(argc, argv)) {
        print_help(program, &table);
        return 0;
    }
    const char *verb = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
    int skip = *verb ? 2 : 1, status = 1, chosen = -1;
    for (int i = 0; i < (int)(sizeof verbs / sizeof verbs[0]); i++)
        if (strcmp(verb, verbs[i].name) == 0)
            chosen = i;
    if (chosen < 0)
        fail(&error,
             "there is no \"%s\"; train, sample, eval, verify and probe there are, and "
             "--help",
             verb);
    else if (options_parse(table.groups, GROUPS, argc - skip, argv + skip, &error)) {
        if (verbs[chosen].loads && !s.load)
            s.load = load;
        parallel_threads(s.threads);
        status = verbs[chosen].run(&s);
    }
    if (status == 1)
        fprintf(stderr, "chapter-%.2s: %s\n", program->name, error.text);
    end_session(&s);
    return status;
}
