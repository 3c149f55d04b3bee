/* pronounce.c - the task of the chapter: to say words that were never heard. */
#include "pronounce.h"
#include "text/dictionary_batches.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GLIMPSE = 200 /* words */, SURE = 8 /* mistakes */ };

static const char *const some_words = "lineage shakespeare mamba";

static void add_options(Run *run)
{
    Pronouncer *p = (Pronouncer *)run;
    run->data = "data/cmudict.tsv";
    p->split = TEST;
    p->smoothing = 0.1;
    p->speaker = (Speaker){
        .alphabet = &p->alphabet, .tape = run->inference, .width = 5, .penalty = 0.6};
    const Option options[] = {
        option_text("prompt", &p->prompt, "WORDS", "what to say, or to draw"),
        option_int("beam", &p->speaker.width, 1, 100, "answers that are followed at once"),
        option_real("length-penalty", &p->speaker.penalty, 0, 10,
                    "how much long answers are spared"),
        option_choice("split", &p->split, "train|val|test",
                      "eval: the words to measure on"),
        option_real("smoothing", &p->smoothing, 0, 1,
                    "training: the part of a target that all symbols get"),
    };
    run_add_options(run, "asking and measuring", options, COUNT(options));
}

/* ---- Words and symbols ---- */

/* The symbols are the tokenizer: a file that was trained here names them. */
static bool tokens_of(Run *run, const Checkpoint *from, bool needed, Error *error)
{
    Pronouncer *p = (Pronouncer *)run;
    const char *names = safetensors_metadata(from->file, "tokenizer");
    if (!names)
        return !needed || fail(error, "%s does not name its symbols: it can only be probed",
                               from->path);
    if (!alphabet_read(&p->alphabet, names, error))
        return fail_within(error, "%s", from->path);
    return (p->alphabet.count == p->config.target_symbols &&
            p->config.source_symbols == LETTERS) ||
           fail(error, "%s: it names %d symbols, and has embeddings for %d and %d",
                from->path, p->alphabet.count, p->config.source_symbols,
                p->config.target_symbols);
}

static char *tokens_text(Run *run)
{
    return alphabet_names(&((Pronouncer *)run)->alphabet);
}

static bool has_words(const Pronouncer *p, Split split, Error *error)
{
    static const char *const names[SPLITS] = {"training", "validation", "the test"};
    return p->dictionary->pairs[split] > 0 ||
           fail(error, "%s has too few words: none is for %s", p->run.data, names[split]);
}

static bool read_words(Pronouncer *p, Split needed, Error *error)
{
    const Alphabet *known = p->alphabet.count > 0 ? &p->alphabet : NULL;
    p->dictionary = p->task == TASK_REVERSE
                        ? dictionary_of_reversals()
                        : dictionary_read(p->run.data, p->stress, known, error);
    if (!p->dictionary)
        return fail_after(error, "; give a dictionary with --data FILE");
    p->alphabet = p->dictionary->alphabet;
    return has_words(p, needed, error);
}

static bool read_for_training(Run *run, Error *error)
{
    Pronouncer *p = (Pronouncer *)run;
    if (!read_words(p, TRAIN, error) || !has_words(p, VAL, error) ||
        !has_words(p, TEST, error))
        return false;
    if (!run->model) {
        p->config.source_symbols = LETTERS;
        p->config.target_symbols = p->alphabet.count;
    }
    return true;
}

static const Speaker *speaker_of(Pronouncer *p)
{
    p->speaker.model = (const Transformer *)p->run.model;
    return &p->speaker;
}

/* ---- Training ---- */

static Tensor *batch_loss(void *self, Tape *tape, long step)
{
    Pronouncer *p = self;
    const Transformer *m = (const Transformer *)p->run.model;
    Batch batch = dictionary_batch(p->dictionary, tape, (uint64_t)p->run.seed, step,
                                   p->run.batch);
    Encoded encoded = transformer_encode(m, batch.source);
    Tensor *logits = transformer_decode(m, &encoded, batch.target, NULL, 0);
    return t_cross_entropy_smoothed(logits, batch.targets, (float)p->smoothing);
}

static double validation_loss(void *self)
{
    Pronouncer *p = self;
    long symbols;
    return split_loss(speaker_of(p), p->dictionary, VAL, &symbols);
}

static void show(void *self, long step)
{
    Pronouncer *p = self;
    Error error;
    Speaker greedy = *speaker_of(p);
    greedy.width = 1;
    Score score = split_score(&greedy, p->dictionary, VAL, GLIMPSE, NULL, 0);
    printf("\n  after step %ld, of %ld words for validation: ", step, score.words);
    print_score(&score);
    putchar('\n');
    must(say_words(&greedy, some_words, &error), &error);
    putchar('\n');
    fflush(stdout);
}

/* Symbols to be said in a step, on average. */
static long symbols_per_step(const Pronouncer *p)
{
    const Dictionary *d = p->dictionary;
    double symbols = 0;
    for (long i = 0; i < d->pairs[TRAIN]; i++)
        symbols += d->pair[TRAIN][i].pronunciation->length + 1;
    return lround(symbols / (double)d->pairs[TRAIN] * p->run.batch);
}

static bool fill_learner(Run *run, Learner *learner, Error *error)
{
    (void)error;
    const Pronouncer *p = (const Pronouncer *)run;
    learner->tokens_per_step = symbols_per_step(p);
    if (p->smoothing > 0)
        learner->training_loss = "training, smoothed";
    learner->loss = batch_loss;
    learner->validate = validation_loss;
    learner->show = run->shows ? show : NULL;
    return true;
}

static void identity(Run *run, char *text, size_t size)
{
    const Pronouncer *p = (const Pronouncer *)run;
    snprintf(text, size, "smoothing %g, words %llx", p->smoothing,
             (unsigned long long)dictionary_hash(p->dictionary));
}

/* ---- Using what was trained ---- */

/* Greedily, and with the beam if it is wider than that. */
static void print_scores(Pronouncer *p, Mistake *mistake, int room)
{
    Speaker speaker = *speaker_of(p);
    int width = speaker.width;
    Split split = (Split)p->split;
    long symbols;
    double loss = split_loss(&speaker, p->dictionary, split, &symbols);
    printf("loss %.4f nats per symbol, %ld symbols\n", loss, symbols);
    for (int greedy = width > 1; greedy >= 0; greedy--) {
        speaker.width = greedy ? 1 : width;
        Score score = split_score(&speaker, p->dictionary, split, p->dictionary->words,
                                  mistake, greedy ? 0 : room);
        printf("beam %d: ", speaker.width);
        print_score(&score);
        printf(", %ld words\n", score.words);
        fflush(stdout);
    }
}

static bool run_eval(void *self, Error *error)
{
    Pronouncer *p = self;
    Mistake mistake[SURE] = {{0}};
    if (!run_load_trained(&p->run, error) || !read_words(p, (Split)p->split, error))
        return false;
    print_scores(p, mistake, SURE);
    print_mistakes(speaker_of(p), mistake, SURE);
    return true;
}

static bool say(Run *run, const char *text, Error *error)
{
    return say_words(speaker_of((Pronouncer *)run), text, error);
}

static bool run_sample(void *self, Error *error)
{
    Pronouncer *p = self;
    return run_load_trained(&p->run, error) &&
           run_prompts(&p->run, p->prompt, "words> ", some_words, say, error);
}

static bool run_attention(void *self, Error *error)
{
    Pronouncer *p = self;
    return run_load_trained(&p->run, error) &&
           draw_attention(speaker_of(p), p->prompt ? p->prompt : "knighthood",
                          p->run.training.out, error);
}

/* ---- The guided run, and probing ---- */

static void plan(Run *run)
{
    const Dictionary *d = ((const Pronouncer *)run)->dictionary;
    printf("The words: %ld, and %ld ways to say them with %d symbols.\n"
           "Of these pairs %ld are for training, %ld for validation, %ld for the test.\n"
           "PER is the share of symbols that are wrong, WER that of words.\n",
           d->words, d->pronunciations, d->alphabet.count - FIRST_NAMED, d->pairs[TRAIN],
           d->pairs[VAL], d->pairs[TEST]);
}

static bool reached(Run *run, Error *error)
{
    Pronouncer *p = (Pronouncer *)run;
    printf("\nOn words that it has never seen:\n");
    print_scores(p, NULL, 0);
    putchar('\n');
    return say(run, p->prompt ? p->prompt : some_words, error);
}

static void try_next(Run *run)
{
    const char *out = run->training.out;
    printf("  build/chapter-02 sample --load %s/model.safetensors --prompt \"your name\"\n"
           "  build/chapter-02 eval --load %s/model.safetensors\n"
           "  build/chapter-02 attention --load %s/model.safetensors --prompt knighthood\n",
           out, out, out);
}

/* `source` (B, S), `target_in` and, if there are any, `targets` (B, T), 0 being padding. */
static bool probe(Run *run, const ProbeInput *in, ProbeResults *results, Tensor **loss,
                  Error *error)
{
    const Transformer *m = (const Transformer *)run->model;
    int letters = m->config.source_symbols, symbols = m->config.target_symbols;
    Ids *source = probe_ids(in, "source", 0, letters - 1, error), *targets;
    Ids *target = source ? probe_ids(in, "target_in", 0, symbols - 1, error) : NULL;
    if (!target || !probe_ids_like(in, "targets", 0, symbols - 1, target, &targets, error))
        return false;
    if (source->shape[0] != target->shape[0])
        return fail(error, "%s: source and target_in have not the same number of rows",
                    in->path);
    Encoded encoded = transformer_encode(m, source);
    Tensor *logits = transformer_decode(m, &encoded, target, NULL, 0);
    probe_add(results, "logits", logits);
    for (long i = 0; targets && i < targets->size; i++)
        if (targets->at[i] == PADDING)
            targets->at[i] = -1;
    *loss = targets ? t_cross_entropy(logits, targets) : NULL;
    return true;
}

static void end(Run *run)
{
    dictionary_free(((Pronouncer *)run)->dictionary);
}

static const Verb verbs[] = {
    {"sample", run_sample, "say words; asks for some if none are given"},
    {"eval", run_eval, "count mistakes in words that it has not learned"},
    {"attention", run_attention, "draw the attention of the decoder to the letters"}};

const Task pronouncing = {.options = add_options,
                          .tokens_of = tokens_of,
                          .tokens_text = tokens_text,
                          .read = read_for_training,
                          .learner = fill_learner,
                          .identity = identity,
                          .plan = plan,
                          .reached = reached,
                          .try_next = try_next,
                          .probe = probe,
                          .end = end,
                          .verbs = verbs,
                          .verb_count = COUNT(verbs)};
