/* test_02.c - the Transformer: against PyTorch's numbers, against itself, and against bad
 * input; and the search around it. */
#include "answers.h"
#include "beam.h"
#include "chapters.h"
#include "compare.h"
#include "base/distance.h"
#include "base/files.h"
#include "weights/safetensors.h"
#include "suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM BUILD "/chapter-02"

/* ---- The weights of the fixtures; tests/fixtures/transformer.py describes them ---- */

static void fill(Transformer *m)
{
    for (int i = 0; i < m->model.params->count; i++) {
        const Param *p = &m->model.params->item[i];
        uint32_t t = 2166136261u;
        for (const char *c = p->name; *c; c++)
            t = (t ^ (unsigned char)*c) * 16777619u;
        for (long j = 0; j < t_size(p->tensor); j++) {
            float u = (float)(fixture_hash(t, (uint32_t)j) >> 16) / 32768 - 1;
            bool bias = strstr(p->name, "bias"), norm = strstr(p->name, "norm");
            p->tensor->data[j] = bias ? u / 8 : norm ? 1 + u / 4 : u / 2;
        }
    }
}

static const TransformerConfig three = {.source_symbols = 11,
                                        .target_symbols = 8,
                                        .layers = 2,
                                        .decoder_layers = 1,
                                        .heads = 3,
                                        .width = 9,
                                        .hidden = 13};

static Transformer *fixture_model(TransformerConfig config)
{
    Transformer *m = transformer_new(config, params_new(1));
    fill(m);
    return m;
}

static void write_weights(const char *path, const Transformer *m,
                          const SafeMetadata *metadata, int metadata_count)
{
    enum { MOST = 128 };
    SafeTensor tensors[MOST];
    for (int i = 0; i < m->model.params->count; i++) {
        const Param *p = &m->model.params->item[i];
        tensors[i] = (SafeTensor){.name = p->name,
                                  .dtype = DTYPE_F32,
                                  .rank = p->tensor->rank,
                                  .data = p->tensor->data};
        memcpy(tensors[i].shape, p->tensor->shape, sizeof tensors[i].shape);
    }
    Error error;
    ck_assert_msg(safetensors_save(path, tensors, m->model.params->count, metadata,
                                   metadata_count, &error),
                  "%s", error.text);
}

/* ---- Against PyTorch ---- */

/* Logits of padding mean nothing: they are 0 in the fixture, and made 0 here. */
static void forget_padding(float *logits, const Safetensors *fixture, long V)
{
    int target[64];
    Error error;
    const SafeTensor *t = safetensors_find(fixture, "target_in");
    ck_assert(t && t->size <= 64 && safetensors_to_ints(t, target, &error));
    for (long i = 0; i < t->size; i++)
        if (target[i] == PADDING)
            memset(logits + i * V, 0, (size_t)V * sizeof *logits);
}

static void assert_gradients(const Safetensors *got, const Safetensors *want)
{
    double model_most = 0;
    int compared = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < want->count; i++) {
            const char *name = want->tensor[i].name;
            long n, m;
            if (strncmp(name, "grad.", 5) != 0)
                continue;
            float *g = floats_of(got, name, &n), *g_want = floats_of(want, name, &m);
            double most = largest(g_want, n);
            ck_assert_int_eq(n, m);
            model_most = fmax(model_most, most);
            if (pass == 1) /* what is zero by symmetry is measured by the model's largest */
                assert_near(g, g_want, n,
                            1e-3 * (most > 1e-5 * model_most ? most : model_most), name);
            compared += pass;
            free(g), free(g_want);
        }
    ck_assert_int_eq(compared, got->count - 2); /* all but logits and loss */
}

static void assert_agrees_with_pytorch(const char *fixture, TransformerConfig config)
{
    char heads[8];
    snprintf(heads, sizeof heads, "%d", config.heads);
    const SafeMetadata metadata[] = {{"heads", heads},
                                     {"norm", config.norm == NORM_PRE ? "pre" : "post"}};
    Transformer *m = fixture_model(config);
    write_weights(scratch("w"), m, metadata, 2);
    m->model.free(&m->model);
    assert_runs(PROGRAM " probe --load %s --input %s --output %s", scratch("w"), fixture,
                scratch("out"));

    Safetensors *want = open_file(fixture), *got = open_file(scratch("out"));
    long n, k;
    float *logits = floats_of(got, "logits", &n),
          *logits_want = floats_of(want, "logits", &k);
    ck_assert_int_eq(n, k);
    forget_padding(logits, want, config.target_symbols);
    assert_near(logits, logits_want, n, 1e-4 * largest(logits_want, n), "logits");
    float *loss = floats_of(got, "loss", &n), *loss_want = floats_of(want, "loss", &k);
    assert_near(loss, loss_want, 1, 1e-5, "loss");
    assert_gradients(got, want);
    free(logits), free(logits_want), free(loss), free(loss_want);
    safetensors_close(want);
    safetensors_close(got);
}

START_TEST(probe_agrees_with_pytorchs_layers_in_every_logit_and_gradient)
{
    TransformerConfig one = {.source_symbols = 9,
                             .target_symbols = 7,
                             .layers = 2,
                             .decoder_layers = 2,
                             .heads = 1,
                             .width = 5,
                             .hidden = 7};
    assert_agrees_with_pytorch("tests/fixtures/transformer_one.safetensors", one);
    assert_agrees_with_pytorch("tests/fixtures/transformer_three.safetensors", three);
}
END_TEST

START_TEST(norms_in_front_agree_with_pytorch_too)
{
    TransformerConfig pre = {.source_symbols = 9,
                             .target_symbols = 7,
                             .layers = 1,
                             .decoder_layers = 2,
                             .heads = 2,
                             .width = 6,
                             .hidden = 5,
                             .norm = NORM_PRE};
    assert_agrees_with_pytorch("tests/fixtures/transformer_pre.safetensors", pre);
}
END_TEST

/* ---- Against scalars ---- */

static void hide_output(void)
{
    ck_assert(freopen("/dev/null", "w", stdout) != NULL);
}

START_TEST(attention_agrees_with_the_scalar_specification)
{
    hide_output();
    ck_assert(compare_attention(0));
}
END_TEST

START_TEST(a_planted_error_does_not_agree_with_the_specification)
{
    hide_output();
    ck_assert(!compare_attention(1e-3f));
    ck_assert(!compare_attention(NAN));
}
END_TEST

/* ---- Against itself ---- */

enum { V = 8, LENGTH = 12, READ = 9 };

/* Logits (B, T, V) of sources (B, S) and targets (B, T). */
static void logits_of(const Transformer *m, const int *source, int B, int S,
                      const int *target, int T, float *out)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *s = ids_new(tape, B, S), *t = ids_new(tape, B, T);
    memcpy(s->at, source, (size_t)s->size * sizeof *source);
    memcpy(t->at, target, (size_t)t->size * sizeof *target);
    Encoded encoded = transformer_encode(m, s);
    Tensor *logits = transformer_decode(m, &encoded, t, NULL, 0);
    memcpy(out, logits->data, (size_t)(B * T * V) * sizeof *out);
    tape_free(tape);
}

/* Symbols that are no padding. */
static void random_symbols(int *symbols, int n, uint32_t stream, int bound)
{
    for (int i = 0; i < n; i++)
        symbols[i] = 1 + (int)(fixture_hash(stream, (uint32_t)i) % (uint32_t)(bound - 1));
}

START_TEST(a_future_symbol_cannot_change_a_past_logit)
{
    Transformer *m = fixture_model(three);
    int source[READ], target[LENGTH];
    float before[LENGTH * V], after[LENGTH * V];
    random_symbols(source, READ, 1, 11);
    random_symbols(target, LENGTH, 2, V);
    logits_of(m, source, 1, READ, target, LENGTH, before);
    for (int t = 1; t < LENGTH; t++) {
        target[t] = 1 + target[t] % (V - 1);
        logits_of(m, source, 1, READ, target, LENGTH, after);
        ck_assert_mem_eq(before, after, (size_t)(t * V) * sizeof *before);
        ck_assert_mem_ne(before + t * V, after + t * V, V * sizeof *before);
        memcpy(before, after, sizeof before);
    }
    m->model.free(&m->model);
}
END_TEST

START_TEST(every_letter_can_change_every_logit)
{
    Transformer *m = fixture_model(three);
    int source[READ], target[LENGTH];
    float before[LENGTH * V], after[LENGTH * V];
    random_symbols(source, READ, 1, 11);
    random_symbols(target, LENGTH, 2, V);
    logits_of(m, source, 1, READ, target, LENGTH, before);
    for (int s = 0; s < READ; s++) {
        source[s] = 1 + source[s] % 10;
        logits_of(m, source, 1, READ, target, LENGTH, after);
        for (int t = 0; t < LENGTH; t++)
            ck_assert_mem_ne(before + t * V, after + t * V, V * sizeof *before);
        memcpy(before, after, sizeof before);
    }
    m->model.free(&m->model);
}
END_TEST

START_TEST(without_positions_the_order_of_letters_is_lost)
{
    TransformerConfig config = three;
    int source[READ], swapped[READ], target[LENGTH];
    float before[LENGTH * V], after[LENGTH * V];
    random_symbols(source, READ, 1, 11);
    random_symbols(target, LENGTH, 2, V);
    for (int i = 0; i < READ; i++)
        swapped[i] = source[READ - 1 - i];
    for (int positions = POSITIONS_SINUSOID; positions <= POSITIONS_NONE; positions++) {
        config.positions = positions;
        Transformer *m = fixture_model(config);
        logits_of(m, source, 1, READ, target, LENGTH, before);
        logits_of(m, swapped, 1, READ, target, LENGTH, after);
        double apart = 0;
        for (int i = 0; i < LENGTH * V; i++)
            apart = fmax(apart, fabs((double)before[i] - (double)after[i]));
        ck_assert(positions == POSITIONS_NONE ? apart < 1e-5 : apart > 1e-2);
        m->model.free(&m->model);
    }
}
END_TEST

/* Two words of different length, together and each alone. */
START_TEST(padding_changes_nothing)
{
    Transformer *m = fixture_model(three);
    enum { SHORT_S = 4, SHORT_T = 5 };
    int source[2 * READ] = {0}, target[2 * LENGTH] = {0};
    float together[2 * LENGTH * V], alone[LENGTH * V];
    random_symbols(source, SHORT_S, 1, 11);
    random_symbols(source + READ, READ, 2, 11);
    random_symbols(target, SHORT_T, 3, V);
    random_symbols(target + LENGTH, LENGTH, 4, V);
    logits_of(m, source, 2, READ, target, LENGTH, together);
    double tolerance = 1e-6 * largest(together, 2 * LENGTH * V);
    logits_of(m, source, 1, SHORT_S, target, SHORT_T, alone);
    assert_near(together, alone, SHORT_T * V, tolerance, "short");
    logits_of(m, source + READ, 1, READ, target + LENGTH, LENGTH, alone);
    assert_near(together + LENGTH * V, alone, LENGTH * V, tolerance, "long");
    m->model.free(&m->model);
}
END_TEST

/* ---- Decoding ---- */

/* Logits of one target, decoded as pieces behind one another. After the piece that ends at
 * `swap`, what row 0 remembers goes to row 1, and it is row 1 that goes on. */
static void logits_in_pieces(const Transformer *m, const int *source, const int *target,
                             int piece, int swap, float *out)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Memory *memory = transformer_memory_new(m, 2, LENGTH);
    Ids *s = ids_new(tape, 2, READ), *from = ids_new(tape, 2);
    memcpy(s->at, source, READ * sizeof *source);
    memcpy(s->at + READ, source, READ * sizeof *source);
    from->at[0] = from->at[1] = 0;
    Encoded encoded = transformer_encode(m, s);
    int row = 0;
    for (int past = 0; past < LENGTH; past += piece) {
        int n = LENGTH - past < piece ? LENGTH - past : piece;
        Ids *ids = ids_new(tape, 2, n);
        random_symbols(ids->at, 2 * n, 77, V);
        memcpy(ids->at + row * n, target + past, (size_t)n * sizeof *target);
        Tensor *logits = transformer_decode(m, &encoded, ids, memory, past);
        memcpy(out + past * V, logits->data + row * n * V, (size_t)(n * V) * sizeof *out);
        if (past + n == swap) {
            transformer_reorder(memory, from, swap);
            row = 1;
        }
    }
    memory_free(memory);
    tape_free(tape);
}

START_TEST(decoding_with_the_memory_equals_the_full_pass)
{
    for (int norm = NORM_POST; norm <= NORM_PRE; norm++) {
        TransformerConfig config = three;
        config.norm = norm;
        config.decoder_layers = 2;
        Transformer *m = fixture_model(config);
        int source[READ], target[LENGTH];
        float full[LENGTH * V], cached[LENGTH * V];
        random_symbols(source, READ, 1, 11);
        random_symbols(target, LENGTH, 2, V);
        logits_of(m, source, 1, READ, target, LENGTH, full);
        for (int piece = 1; piece < LENGTH; piece += 2) {
            logits_in_pieces(m, source, target, piece, 0, cached);
            assert_near(cached, full, LENGTH * V, 1e-5 * largest(full, LENGTH * V),
                        "cached");
        }
        m->model.free(&m->model);
    }
}
END_TEST

START_TEST(a_memory_that_is_reordered_goes_on_from_where_it_was_taken)
{
    Transformer *m = fixture_model(three);
    int source[READ], target[LENGTH];
    float full[LENGTH * V], cached[LENGTH * V];
    random_symbols(source, READ, 1, 11);
    random_symbols(target, LENGTH, 2, V);
    logits_of(m, source, 1, READ, target, LENGTH, full);
    for (int swap = 1; swap < LENGTH; swap += 3) {
        logits_in_pieces(m, source, target, 1, swap, cached);
        assert_near(cached, full, LENGTH * V, 1e-5 * largest(full, LENGTH * V),
                    "reordered");
    }
    m->model.free(&m->model);
}
END_TEST

enum { WORDS = 5, WIDE = 4 };

static Ids *some_sources(Tape *tape)
{
    Ids *source = ids_new(tape, WORDS, READ);
    random_symbols(source->at, WORDS * READ, 9, 11);
    for (int b = 0; b < WORDS; b++) /* of different lengths */
        for (int s = READ - b; s < READ; s++)
            source->at[b * READ + s] = PADDING;
    return source;
}

/* log softmax of a row, at one symbol. */
static double log_probability(const float *logits, int symbol)
{
    double sum = 0;
    for (int v = 0; v < V; v++)
        sum += exp((double)logits[v]);
    return (double)logits[symbol] - log(sum);
}

/* A model that has much to choose from, and comes to an end now and then. */
static Transformer *talker(void)
{
    Transformer *m = transformer_new(three, params_new(3));
    for (long i = 0; i < t_size(m->generator.weight); i++)
        m->generator.weight->data[i] *= 3; /* the storage of a view, as a whole */
    m->generator.bias->data[END] = 0.8f;
    return m;
}

/* Always the most probable symbol, the whole pass again for each. */
static Sequence said_greedily(const Transformer *m, const int *source)
{
    Sequence said = {0};
    int target[LONGEST + 1] = {BEGIN};
    float logits[(LONGEST + 1) * V];
    while (said.length < LONGEST) {
        logits_of(m, source, 1, READ, target, said.length + 1, logits);
        const float *last = logits + said.length * V;
        int best = END;
        for (int v = END; v < V; v++)
            best = last[v] > last[best] ? v : best;
        if (best == END)
            break;
        said.at[said.length++] = (unsigned char)best;
        target[said.length] = best;
    }
    return said;
}

START_TEST(a_beam_of_one_takes_the_most_probable_symbol)
{
    Transformer *m = talker();
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *source = some_sources(tape);
    Guess guess[WORDS];
    int ended = 0;
    beam_search(m, source, 1, 0.6, guess);
    for (int b = 0; b < WORDS; b++) {
        Sequence greedy = said_greedily(m, source->at + b * READ);
        ck_assert_int_eq(guess[b].said.length, greedy.length);
        ck_assert_mem_eq(guess[b].said.at, greedy.at, (size_t)greedy.length);
        ended += greedy.length < LONGEST;
    }
    ck_assert_int_gt(ended, 0);
    tape_free(tape);
    m->model.free(&m->model);
}
END_TEST

START_TEST(a_guess_is_worth_what_the_full_pass_says)
{
    Transformer *m = talker();
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *source = some_sources(tape);
    Guess guess[WORDS * WIDE];
    beam_search(m, source, WIDE, 0.6, guess);
    for (int i = 0; i < WORDS * WIDE; i++) {
        const Sequence *said = &guess[i].said;
        int target[LONGEST + 1] = {BEGIN}, n = said->length + (said->length < LONGEST);
        float logits[(LONGEST + 1) * V];
        for (int t = 0; t < said->length; t++)
            target[t + 1] = said->at[t];
        logits_of(m, source->at + i / WIDE * READ, 1, READ, target, n, logits);
        double sum = 0;
        for (int t = 0; t < n; t++)
            sum += log_probability(logits + t * V, t < said->length ? said->at[t] : END);
        ck_assert_double_eq_tol(guess[i].score, sum / pow((5 + n) / 6.0, 0.6), 1e-4);
        if (i % WIDE)
            ck_assert_double_le(guess[i].score, guess[i - 1].score);
    }
    tape_free(tape);
    m->model.free(&m->model);
}
END_TEST

static int distance(const Sequence *a, const Sequence *b)
{
    return edit_distance(a->at, a->length, b->at, b->length);
}

START_TEST(guesses_of_one_word_differ_and_wide_beams_find_better_ones)
{
    Transformer *m = talker();
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *source = some_sources(tape);
    Guess one[WORDS], many[WORDS * WIDE];
    double gained = 0;
    beam_search(m, source, 1, 0, one);
    beam_search(m, source, WIDE, 0, many);
    for (int b = 0; b < WORDS; b++) {
        for (int i = 0; i < WIDE; i++)
            for (int j = 0; j < i; j++)
                ck_assert_int_gt(
                    distance(&many[b * WIDE + i].said, &many[b * WIDE + j].said), 0);
        gained += many[b * WIDE].score - one[b].score;
    }
    ck_assert_double_gt(gained, 0);
    tape_free(tape);
    m->model.free(&m->model);
}
END_TEST

/* ---- Training ---- */

/* Small enough to be made many times. */
#define SMALL                                                                \
    "--task reverse --layers 1 --heads 2 --width 16 --hidden 32 --batch 16 " \
    "--eval-every 10 --dropout 0.1 "

START_TEST(a_short_training_lowers_the_loss)
{
    char output[16384];
    int status = run_command(output, sizeof output,
                             PROGRAM
                             " train --task reverse --layers 1 --heads 2 --width 32 "
                             "--hidden 64 --batch 32 --steps 150 --lr 0.01 "
                             "--warmup 20 --eval-every 150 --out %s",
                             scratch("run"));
    ck_assert_msg(status == 0, "%s", output);
    const char *best = strstr(output, "Best validation loss: ");
    ck_assert(best != NULL);
    double loss = strtod(best + strlen("Best validation loss: "), NULL);
    ck_assert_double_lt(loss, 2.5); /* log 27 is 3.3 */
    ck_assert_double_gt(loss, 0.1);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    for (int threads = 1; threads <= 3; threads++)
        assert_runs(PROGRAM " train --task reverse --layers 1 --heads 3 --width 48 "
                            "--hidden 96 --batch 40 --steps 4 --dropout 0.1 "
                            "--threads %d --out %s/%d",
                    threads, scratch_folder(), threads);
    assert_same_file(scratch("1/model.safetensors"), scratch("2/model.safetensors"));
    assert_same_file(scratch("1/model.safetensors"), scratch("3/model.safetensors"));
}
END_TEST

START_TEST(a_run_that_was_interrupted_ends_with_the_same_bits)
{
    assert_runs(PROGRAM " train " SMALL "--steps 40 --out %s", scratch("whole"));
    assert_runs(PROGRAM " train " SMALL "--steps 40 --out %s >/dev/null & "
                        "while ! test -e %s/state.safetensors; do sleep 0.01; done; "
                        "kill -INT $!; wait $! || true",
                scratch("parts"), scratch("parts"));
    assert_runs(PROGRAM " train " SMALL "--steps 40 --resume --out %s", scratch("parts"));
    assert_same_file(scratch("whole/model.safetensors"),
                     scratch("parts/model.safetensors"));
}
END_TEST

/* ---- The program ---- */

static const char small[] = "read\tR EH1 D\tR IY1 D\n"
                            "record\tR AH0 K AO1 R D\tR EH1 K ER0 D\tR IH0 K AO1 R D\n"
                            "subject\tS AH0 B JH EH1 K T\tS AH1 B JH EH0 K T\n";

#define assert_refused(sentence, ...) assert_refusal(PROGRAM, sentence, __VA_ARGS__)

START_TEST(bad_options_and_data_are_refused)
{
    write_bytes(scratch("d"), small, (long)strlen(small));
    const char *out = scratch("run");
    assert_refused("has too few words: none is for validation", "train --data %s --out %s",
                   scratch("d"), out);
    assert_refused(
        "data/milton.txt: line 1: a word, a tab and how it is spoken are wanted; "
        "give a dictionary with --data FILE",
        "train --data data/milton.txt --out %s", out);
    assert_refused("cannot read nowhere.tsv", "train --data nowhere.tsv --out %s", out);
    assert_refused("--heads 5 does not divide --width 16",
                   "train --task reverse --width 16 --heads 5 --out %s", out);
    assert_refused("--task sing", "train --task sing");
    assert_refused("there is no \"walk\"", "walk");
    ck_assert(!file_exists(out));
}
END_TEST

START_TEST(bad_checkpoints_and_probes_are_refused)
{
    const char *fixture = "tests/fixtures/transformer_three.safetensors";
    const SafeMetadata heads = {"heads", "3"}, names = {"tokenizer", "A B C"};
    const SafeMetadata both[] = {heads, names};
    Transformer *m = fixture_model(three);
    write_weights(scratch("w"), m, &heads, 1);
    assert_refused("does not name its symbols: it can only be probed", "sample --load %s",
                   scratch("w"));
    assert_refused("--heads 1", "sample --load %s --heads 1", scratch("w"));
    assert_refused("probe needs --load FILE, --input FILE and --output FILE",
                   "probe --load %s --input x", scratch("w"));
    assert_refused("integers called source", "probe --load %s --input %s --output %s",
                   scratch("w"), scratch("w"), scratch("o"));
    write_weights(scratch("w2"), m, both, 2);
    assert_refused("it names 6 symbols, and has embeddings for 11 and 8",
                   "sample --load %s", scratch("w2"));
    assert_refused("give weights with --load FILE", "sample --out %s", scratch("none"));
    assert_refused("holds no model of this chapter", "sample --load %s", fixture);

    int rows[4] = {1, 2, 3, 10};
    SafeTensor in[] = {
        {.name = "source", .dtype = DTYPE_I32, .rank = 2, .shape = {1, 4}, .data = rows},
        {.name = "target_in",
         .dtype = DTYPE_I32,
         .rank = 2,
         .shape = {2, 2},
         .data = rows}};
    Error error;
    ck_assert(safetensors_save(scratch("in"), in, 2, NULL, 0, &error));
    assert_refused("target_in holds 10, which is not between 0 and 7",
                   "probe --load %s --input %s --output %s", scratch("w"), scratch("in"),
                   scratch("o"));
    rows[3] = 7;
    ck_assert(safetensors_save(scratch("in"), in, 2, NULL, 0, &error));
    assert_refused("source and target_in have not the same number of rows",
                   "probe --load %s --input %s --output %s", scratch("w"), scratch("in"),
                   scratch("o"));
    ck_assert(!file_exists(scratch("o")));
    m->model.free(&m->model);
}
END_TEST

START_TEST(the_guided_run_says_what_it_does_and_the_verbs_use_what_it_made)
{
    char output[16384];
    const char *run = scratch("run");
    assert_runs("awk 'NR %% 50 == 1' data/cmudict.tsv > %s", scratch("d"));
    int status = run_command(output, sizeof output,
                             PROGRAM
                             " --layers 1 --width 16 --hidden 16 --batch 32 --data %s "
                             "--steps 10 --eval-every 10 --beam 2 --out %s",
                             scratch("d"), run);
    ck_assert_msg(status == 0, "%s", output);
    assert_contains(output, "they agree");
    assert_contains(output, "encoder.layers.*.self_attn.in_proj_weight");
    assert_contains(output, "On words that it has never seen:\nloss ");
    assert_contains(output, "beam 2: PER ");
    assert_contains(output, "chapters/02-transformer/README.md");
    ck_assert(file_exists(scratch("run/loss.svg")));

    status = run_command(output, sizeof output,
                         PROGRAM " eval --out %s --data %s --split val --beam 2", run,
                         scratch("d"));
    ck_assert_int_eq(status, 0);
    assert_contains(output, "wrong, and surest of being right:");
    status = run_command(output, sizeof output,
                         PROGRAM " sample --out %s --prompt 'Two O%cclock'", run, '"');
    ck_assert_int_eq(status, 1);
    assert_contains(output, "is written with more than letters and apostrophes");
    status = run_command(output, sizeof output, PROGRAM " attention --out %s --prompt word",
                         run);
    ck_assert_int_eq(status, 0);
    ck_assert(file_exists(scratch("run/attention-0.svg")));
}
END_TEST

SUITE("02-transformer", 30, probe_agrees_with_pytorchs_layers_in_every_logit_and_gradient,
      norms_in_front_agree_with_pytorch_too, attention_agrees_with_the_scalar_specification,
      a_planted_error_does_not_agree_with_the_specification,
      a_future_symbol_cannot_change_a_past_logit, every_letter_can_change_every_logit,
      without_positions_the_order_of_letters_is_lost, padding_changes_nothing,
      decoding_with_the_memory_equals_the_full_pass,
      a_memory_that_is_reordered_goes_on_from_where_it_was_taken,
      a_beam_of_one_takes_the_most_probable_symbol,
      a_guess_is_worth_what_the_full_pass_says,
      guesses_of_one_word_differ_and_wide_beams_find_better_ones,
      a_short_training_lowers_the_loss, any_number_of_threads_gives_the_same_bits,
      a_run_that_was_interrupted_ends_with_the_same_bits, bad_options_and_data_are_refused,
      bad_checkpoints_and_probes_are_refused,
      the_guided_run_says_what_it_does_and_the_verbs_use_what_it_made)
