/* test_04.c - GPT: against PyTorch's numbers, against itself, and against bad input. */
#include "chapters.h"
#include "compare.h"
#include "base/files.h"
#include "run/generator.h"
#include "gpt.h"
#include "nn/optim.h"
#include "tensor/parallel.h"
#include "weights/safetensors.h"
#include "suite.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM BUILD "/chapter-04"

/* ---- The weights of the fixtures; tests/fixtures/gpt2.py describes them ---- */

static const GptConfig tiny = {
    .vocabulary = 11, .context = 8, .layers = 2, .heads = 2, .width = 8};
static const GptConfig odd = {
    .vocabulary = 65, .context = 40, .layers = 2, .heads = 3, .width = 96};

static Gpt *fixture_model(GptConfig config, float scale)
{
    Gpt *gpt = gpt_new(config, params_new(1));
    for (int t = 0; t < gpt->model.params->count; t++) {
        const Param *p = &gpt->model.params->item[t];
        for (long i = 0; i < t_size(p->tensor); i++) {
            float u = (float)(fixture_hash((uint32_t)t, (uint32_t)i) >> 16) / 32768 - 1;
            bool bias = strstr(p->name, "bias"), norm = strstr(p->name, "ln_");
            p->tensor->data[i] = bias ? u / 8 : norm ? 1 + u / 4 : u * scale;
        }
    }
    return gpt;
}

typedef struct {
    const char *prefix;
    const SafeMetadata *metadata;
    int metadata_count;
    const SafeTensor *more; /* tensors beside the parameters */
    int more_count;
    bool gamma; /* norms speak of gamma and beta */
} Writing;

static void write_weights(const char *path, const Gpt *gpt, Writing w)
{
    enum { MOST = 64 };
    static char names[MOST][128];
    SafeTensor tensors[MOST];
    int count = gpt->model.params->count;
    for (int i = 0; i < count; i++) {
        const Param *p = &gpt->model.params->item[i];
        snprintf(names[i], sizeof names[i], "%s%s", w.prefix ? w.prefix : "", p->name);
        char *ending = strrchr(names[i], '.');
        if (w.gamma && strstr(p->name, "ln_"))
            strcpy(ending, strcmp(ending, ".weight") == 0 ? ".gamma" : ".beta");
        tensors[i] = (SafeTensor){
            .name = names[i], .dtype = DTYPE_F32, .data = p->tensor->data};
        tensors[i].rank = p->tensor->rank;
        memcpy(tensors[i].shape, p->tensor->shape, sizeof tensors[i].shape);
    }
    for (int i = 0; i < w.more_count; i++)
        tensors[count++] = w.more[i];
    Error error;
    ck_assert_msg(
        safetensors_save(path, tensors, count, w.metadata, w.metadata_count, &error), "%s",
        error.text);
}

/* Runs probe and opens what it wrote. */
static Safetensors *probe(const char *weights, const char *input, const char *options)
{
    char output[2048];
    int status = run_command(output, sizeof output,
                             PROGRAM " probe --load %s --input %s --output %s %s", weights,
                             input, scratch("out.safetensors"), options);
    ck_assert_msg(status == 0, "%s", output);
    return open_file(scratch("out.safetensors"));
}

/* Compares a probe with the whole answers in gpt2_tiny.safetensors. */
static void assert_tiny(const char *weights, const char *options, const char *rounding,
                        const char *prefix)
{
    Safetensors *want = open_file("tests/fixtures/gpt2_tiny.safetensors");
    Safetensors *got = probe(weights, "tests/fixtures/gpt2_tiny.safetensors", options);
    char name[160];
    long n, m;
    double model_most = 0;

    snprintf(name, sizeof name, "logits%s", rounding);
    float *logits = floats_of(got, "logits", &n), *logits_want = floats_of(want, name, &m);
    ck_assert_int_eq(n, m);
    assert_near(logits, logits_want, n, 1e-4 * largest(logits_want, n), "logits");
    snprintf(name, sizeof name, "loss%s", rounding);
    float *loss = floats_of(got, "loss", &n), *loss_want = floats_of(want, name, &m);
    assert_near(loss, loss_want, 1, 1e-5, "loss");
    free(logits), free(logits_want), free(loss), free(loss_want);

    for (int pass = 0; pass < 2 && !*rounding; pass++)
        for (int i = 0; i < want->count; i++) {
            const char *want_name = want->tensor[i].name;
            if (strncmp(want_name, "grad.", 5) != 0)
                continue;
            snprintf(name, sizeof name, "grad.%s%s", prefix, want_name + 5);
            float *g = floats_of(got, name, &n), *g_want = floats_of(want, want_name, &m);
            double most = largest(g_want, n);
            ck_assert_int_eq(n, m);
            if (pass == 0 && most > model_most)
                model_most = most;
            if (pass == 1) /* what is zero by symmetry is measured by the model's largest */
                assert_near(g, g_want, n,
                            1e-3 * (most > 1e-5 * model_most ? most : model_most), name);
            free(g), free(g_want);
        }
    safetensors_close(want);
    safetensors_close(got);
}

static const SafeMetadata two_heads = {"heads", "2"};

START_TEST(probe_agrees_with_pytorch_in_every_logit_and_gradient)
{
    Gpt *gpt = fixture_model(tiny, 0.5f);
    write_weights(scratch("w.safetensors"), gpt, (Writing){.metadata = &two_heads, 1});
    assert_tiny(scratch("w.safetensors"), "", "", "");
    write_weights(scratch("w.safetensors"), gpt, (Writing){0});
    assert_tiny(scratch("w.safetensors"), "--heads 2 --threads 3", "", "");
    gpt->model.free(&gpt->model);
}
END_TEST

START_TEST(half_precision_files_give_pytorchs_numbers)
{
    assert_tiny("tests/fixtures/gpt2_tiny_f16.safetensors", "--heads 2", "_f16", "");
    assert_tiny("tests/fixtures/gpt2_tiny_bf16.safetensors", "--heads 2", "_bf16", "");
}
END_TEST

START_TEST(published_files_with_prefix_buffers_and_config_json_load)
{
    Gpt *gpt = fixture_model(tiny, 0.5f);
    float mask[64] = {0};
    SafeTensor more[] = {
        {.name = "transformer.h.0.attn.bias",
         .dtype = DTYPE_F32,
         .rank = 2,
         .shape = {8, 8},
         .data = mask},
        {.name = "transformer.h.1.attn.masked_bias", .dtype = DTYPE_F32, .data = mask},
        {.name = "lm_head.weight",
         .dtype = DTYPE_F32,
         .rank = 2,
         .shape = {11, 8},
         .data = gpt->wte->data}};
    SafeMetadata foreign = {"format", "pt"};
    const char *config =
        "{\"n_head\": 2, \"n_embd\": 8, \"n_layer\": 2, \"n_positions\": 8}";
    write_weights(
        scratch("w.safetensors"), gpt,
        (Writing){
            .prefix = "transformer.", .metadata = &foreign, 1, more, 3, .gamma = true});
    write_bytes(scratch("config.json"), config, (long)strlen(config));
    Safetensors *got = probe(scratch("w.safetensors"),
                             "tests/fixtures/gpt2_tiny.safetensors", "");
    ck_assert(safetensors_find(got, "grad.transformer.h.0.ln_1.gamma") != NULL);
    safetensors_close(got);

    write_weights(scratch("w.safetensors"), gpt,
                  (Writing){.prefix = "transformer.", .metadata = &foreign, 1, more, 3});
    assert_tiny(scratch("w.safetensors"), "", "", "transformer.");
    gpt->model.free(&gpt->model);
}
END_TEST

START_TEST(odd_sizes_agree_with_pytorch)
{
    Gpt *gpt = fixture_model(odd, 0.25f);
    const char *fixture = "tests/fixtures/gpt2_odd.safetensors";
    SafeMetadata heads = {"heads", "3"};
    write_weights(scratch("w.safetensors"), gpt, (Writing){.metadata = &heads, 1});
    Safetensors *want = open_file(fixture),
                *got = probe(scratch("w.safetensors"), fixture, "");
    long n, m, count;
    float *logits = floats_of(got, "logits", &n), *some = floats_of(want, "logits", &count);
    float *most = floats_of(want, "logits_max", &m);
    int where[64], grad_where[28 * 16];
    Error error;
    ck_assert_int_eq(count, 64);
    ck_assert(safetensors_to_ints(safetensors_find(want, "logits_where"), where, &error));
    ck_assert(
        safetensors_to_ints(safetensors_find(want, "grad_where"), grad_where, &error));
    for (int i = 0; i < 64; i++)
        assert_near(&logits[where[i]], &some[i], 1, 1e-4 * (double)*most, "logits");
    ck_assert_double_eq_tol(largest(logits, n), (double)*most, 1e-4 * (double)*most);

    float *grads = floats_of(want, "grad", &m), *grad_max = floats_of(want, "grad_max", &m);
    float *grad_norm = floats_of(want, "grad_norm", &m);
    double model_most = largest(grad_max, m);
    ck_assert_int_eq(m, gpt->model.params->count);
    for (int t = 0; t < gpt->model.params->count; t++) {
        char name[160];
        snprintf(name, sizeof name, "grad.%s", gpt->model.params->item[t].name);
        float *g = floats_of(got, name, &n);
        double scale = grad_max[t] > 1e-5 * model_most ? (double)grad_max[t] : model_most;
        double square = 0;
        for (int i = 0; i < 16; i++)
            assert_near(&g[grad_where[t * 16 + i]], &grads[t * 16 + i], 1, 1e-3 * scale,
                        name);
        for (long i = 0; i < n; i++)
            square += (double)g[i] * (double)g[i];
        ck_assert_double_eq_tol(sqrt(square), (double)grad_norm[t],
                                1e-3 * fmax((double)grad_norm[t], 1e-3 * model_most));
        free(g);
    }
    free(logits), free(some), free(most), free(grads), free(grad_max), free(grad_norm);
    safetensors_close(want);
    safetensors_close(got);
    gpt->model.free(&gpt->model);
}
END_TEST

/* ---- What verify sees ---- */

START_TEST(verify_sees_a_planted_error_and_a_nan)
{
    ck_assert(freopen("/dev/null", "w", stdout) != NULL);
    ck_assert(compare_attention(0));
    ck_assert(!compare_attention(1e-3f));
    ck_assert(!compare_attention(NAN));
}
END_TEST

/* ---- Against itself ---- */

/* Logits (T, V) of one text, read as pieces of the given length behind one another. */
static void logits_in_pieces(const Gpt *gpt, const int *text, int T, int piece, float *out)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Memory *memory = piece < T ? gpt_memory_new(&gpt->model, 1) : NULL;
    int V = gpt->config.vocabulary;
    for (int past = 0; past < T; past += piece) {
        int n = T - past < piece ? T - past : piece;
        tape_reset(tape, 0);
        Ids *ids = ids_new(tape, 1, n);
        memcpy(ids->at, text + past, (size_t)n * sizeof *text);
        Tensor *logits = model_logits(&gpt->model, ids, memory, past);
        memcpy(out + past * V, logits->data, (size_t)(n * V) * sizeof *out);
    }
    memory_free(memory);
    tape_free(tape);
}

enum { LENGTH = 40, SYMBOLS = 65 };

static void random_text(int *text)
{
    for (int i = 0; i < LENGTH; i++)
        text[i] = (int)(fixture_hash(77, (uint32_t)i) % SYMBOLS);
}

START_TEST(decoding_with_the_cache_equals_the_full_pass)
{
    Gpt *gpt = fixture_model(odd, 0.25f);
    int text[LENGTH];
    float full[LENGTH * SYMBOLS], cached[LENGTH * SYMBOLS];
    random_text(text);
    logits_in_pieces(gpt, text, LENGTH, LENGTH, full);
    const int pieces[] = {1, 3, 7, 39};
    for (int i = 0; i < 4; i++) {
        logits_in_pieces(gpt, text, LENGTH, pieces[i], cached);
        assert_near(cached, full, LENGTH * SYMBOLS, 1e-5 * largest(full, LENGTH * SYMBOLS),
                    "cached");
    }
    gpt->model.free(&gpt->model);
}
END_TEST

START_TEST(a_future_token_cannot_change_a_past_logit)
{
    Gpt *gpt = fixture_model(odd, 0.25f);
    int text[LENGTH];
    float before[LENGTH * SYMBOLS], after[LENGTH * SYMBOLS];
    random_text(text);
    logits_in_pieces(gpt, text, LENGTH, LENGTH, before);
    for (int t = 1; t < LENGTH; t += 6) {
        text[t] = (text[t] + 1) % SYMBOLS;
        logits_in_pieces(gpt, text, LENGTH, LENGTH, after);
        ck_assert_mem_eq(before, after, (size_t)(t * SYMBOLS) * sizeof *before);
        ck_assert_mem_ne(before + t * SYMBOLS, after + t * SYMBOLS,
                         SYMBOLS * sizeof *before);
        memcpy(before, after, sizeof before);
    }
    gpt->model.free(&gpt->model);
}
END_TEST

START_TEST(a_cache_is_refused_while_recording)
{
    Gpt *gpt = fixture_model(tiny, 0.5f);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        Tape *tape = tape_new(TAPE_TRAINING, 0);
        Ids *ids = ids_new(tape, 1, 1);
        ids->at[0] = 3;
        gpt_forward(&gpt->model, ids, gpt_memory_new(&gpt->model, 1), 0);
        _exit(0);
    }
    int status;
    char text[512] = "";
    close(ends[1]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(read(ends[0], text, sizeof text - 1) > 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_contains(text, "a cache cannot be used while recording");
    assert_contains(text, "gpt.c:");
    gpt->model.free(&gpt->model);
}
END_TEST

/* ---- No allocation after the first step ---- */

static long allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    allocations++;
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __real_aligned_alloc(alignment, size);
}

static void fill_ids(Ids *ids, uint32_t stream)
{
    for (long i = 0; i < ids->size; i++)
        ids->at[i] = (int)(fixture_hash(stream, (uint32_t)i) % SYMBOLS);
}

static float loss_of(const Gpt *gpt, Tape *tape, long step, bool learn)
{
    tape_reset(tape, step);
    Ids *tokens = ids_new(tape, 3, 37), *targets = ids_new(tape, 3, 37);
    fill_ids(tokens, (uint32_t)step);
    fill_ids(targets, 1000 + (uint32_t)step);
    Tensor *loss = t_cross_entropy(model_logits(&gpt->model, tokens, NULL, 0), targets);
    if (learn)
        backward(loss);
    return t_item(loss);
}

START_TEST(after_the_first_round_nothing_is_allocated)
{
    GptConfig config = odd;
    config.dropout = 0.1;
    Gpt *gpt = gpt_new(config, params_new(1));
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, gpt->model.params, 0.9, 0.99, 0.1);
    Tape *training = tape_new(TAPE_TRAINING, 1), *inference = tape_new(TAPE_INFERENCE, 1);
    Generator *generator = generator_new(&gpt->model, SYMBOLS,
                                         (SamplerSettings){0.8, 10, 0.9}, 1);
    int first = 1;
    long before = 0;
    parallel_threads(2);
    for (int round = 0; round < 4; round++) {
        loss_of(gpt, training, round, true);
        optimizer_step(adam, 1e-3, clip_factor(gradient_norm(gpt->model.params), 1));
        loss_of(gpt, inference, round, false);
        generator_restart(generator, 1);
        generator_read(generator, &first, 1);
        for (int i = 0; i < 2 * config.context; i++)
            generator_next(generator);
        long now = allocations; /* asserting allocates */
        if (round > 0)
            ck_assert_int_eq(now, before);
        ck_assert_int_gt(now, 0);
        before = allocations;
    }
    generator_free(generator);
    tape_free(training);
    tape_free(inference);
    optimizer_free(adam);
    gpt->model.free(&gpt->model);
}
END_TEST

/* ---- Training ---- */

/* A small run, fast enough to be made many times. */
#define SMALL "--layers 2 --heads 2 --width 32 --context 16 --batch 8 --eval-every 20 "

START_TEST(a_short_training_lowers_the_loss)
{
    char output[8192];
    int status = run_command(output, sizeof output,
                             PROGRAM
                             " train " SMALL
                             "--steps 400 --eval-every 400 --lr 0.01 --warmup 10 --out %s",
                             scratch("run"));
    ck_assert_msg(status == 0, "%s", output);
    const char *best = strstr(output, "Best validation loss: ");
    ck_assert(best != NULL);
    double loss = strtod(best + strlen("Best validation loss: "), NULL);
    ck_assert_double_lt(loss,
                        2.7); /* log 62 is 4.13, knowing only how often letters are 3.3 */
    ck_assert_double_gt(loss, 2.0);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    static const char run[] = PROGRAM " train --layers 1 --width 96 --heads 3 --context 40 "
                                      "--steps 6 --eval-every 3 --batch 9 --dropout 0.1 ";
    assert_runs("%s--threads 1 --out %s", run, scratch("one"));
    assert_runs("%s--threads 2 --out %s", run, scratch("two"));
    assert_runs("%s--threads 4 --out %s", run, scratch("four"));
    assert_same_file(scratch("one/model.safetensors"), scratch("two/model.safetensors"));
    assert_same_file(scratch("one/model.safetensors"), scratch("four/model.safetensors"));
    assert_same_log(scratch("one/log.csv"), scratch("two/log.csv"));
    assert_same_log(scratch("one/log.csv"), scratch("four/log.csv"));
}
END_TEST

static pid_t start(const char *out, bool resume)
{
    pid_t child = fork();
    if (child == 0) {
        ck_assert(freopen("/dev/null", "w", stdout) != NULL);
        execl("/bin/sh", "sh", "-c",
              "exec " PROGRAM " train " SMALL "--steps 200 --dropout 0.1 --out $0 $1", out,
              resume ? "--resume" : "--seed=1", (char *)NULL);
        _exit(127);
    }
    return child;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int wait_for(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

/* Whenever it is killed, what is on the disk must be enough to go on from. */
START_TEST(killed_at_any_moment_and_resumed_it_ends_with_the_same_bits)
{
    char state[300], out[256];
    double begun = now();
    ck_assert_int_eq(wait_for(start(scratch("whole"), false)), 0);
    double whole = now() - begun;
    strcpy(out, scratch("killed"));
    snprintf(state, sizeof state, "%s/state.safetensors", out);
    int status = -1;
    for (int i = 0; status != 0 && i < 100; i++) {
        pid_t child = start(out, file_exists(state));
        usleep((unsigned)(1e6 * whole * fmod(0.05 + 0.17 * i, 1.1)));
        kill(child, i % 3 == 2 ? SIGINT : SIGKILL);
        status = wait_for(child);
        bool stopped = WIFSIGNALED(status) || WEXITSTATUS(status) == 130;
        ck_assert_msg(status == 0 || stopped, "status %d", status);
    }
    ck_assert_int_eq(status, 0);
    assert_same_file(scratch("whole/model.safetensors"),
                     scratch("killed/model.safetensors"));
    assert_same_log(scratch("whole/log.csv"), scratch("killed/log.csv"));
}
END_TEST

/* Weight decay of 10 at a rate of 10 multiplies all matrices by -99 in every step. */
START_TEST(a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint)
{
    char output[4096];
    assert_runs(PROGRAM " train " SMALL "--steps 3 --out %s", scratch("run"));
    assert_runs("cd %s && cp run/model.safetensors before", scratch_folder());
    int status = run_command(output, sizeof output,
                             PROGRAM " train " SMALL
                                     "--steps 90 --resume --lr 10 --weight-decay "
                                     "10 --warmup 0 --eval-every 90 --out %s",
                             scratch("run"));
    ck_assert_int_eq(status, 1);
    assert_contains(output, "chapter-04: at step ");
    assert_contains(output, "is no longer a number");
    assert_contains(output, "try a lower --lr");
    assert_same_file(scratch("before"), scratch("run/model.safetensors"));
}
END_TEST

/* ---- Bad input: one sentence, status 1, nothing lost ---- */

#define assert_refused(sentence, ...) assert_refusal(PROGRAM, sentence, __VA_ARGS__)

START_TEST(bad_texts_are_refused)
{
    write_bytes(scratch("empty"), "", 0);
    write_bytes(scratch("short"), "to be or not to be", 18);
    write_bytes(scratch("zero"), "some text and a \0 byte", 22);
    write_bytes(scratch("latin1"), "caf\xe9 au lait", 12);
    const char *train = "train --out", *out = scratch("run");
    assert_refused(
        "cannot read nowhere.txt: No such file or directory; give a text with --data",
        "%s %s --data nowhere.txt", train, out);
    assert_refused("it is a folder", "%s %s --data %s", train, out, scratch_folder());
    assert_refused("empty is empty; give a text", "%s %s --data %s", train, out,
                   scratch("empty"));
    assert_refused("zero byte at offset 16", "%s %s --data %s", train, out,
                   scratch("zero"));
    assert_refused("latin1: ", "%s %s --data %s", train, out, scratch("latin1"));
    assert_refused("use a longer text or a smaller --context", "%s %s --data %s", train,
                   out, scratch("short"));
    ck_assert(!file_exists(out));
}
END_TEST

START_TEST(bad_options_are_refused)
{
    assert_refused("unknown option --widht: did you mean --width?", "train --widht 3");
    assert_refused("there is no \"walk\"", "walk");
    assert_refused("--steps", "train --steps many");
    assert_refused("--lr", "train --lr fast");
    assert_refused("--heads 0", "train --heads 0");
    assert_refused("--heads 3 does not divide --width 128", "train --heads 3 --width 128");
    assert_refused("--batch", "train --batch");
    assert_refused("--temperature", "sample --temperature -1");
    assert_refused("bpe", "train --tokenizer words");
    assert_refused("--split most", "eval --split most --load %s --data data/carroll.txt",
                   "tests/fixtures/gpt2_tiny_f16.safetensors");
}
END_TEST

START_TEST(sizes_beyond_the_machine_are_refused)
{
    const char *const sizes[] = {"--width 65536 --heads 1 --layers 1000",
                                 "--batch 65536 --context 1024 --width 512 --layers 1"};
    for (int i = 0; i < 2; i++) {
        char output[4096];
        int status = run_command(output, sizeof output, PROGRAM " train %s --out %s",
                                 sizes[i], scratch("run"));
        ck_assert_int_eq(status, 1);
        assert_contains(output, "out of memory: ");
        assert_contains(output, "try a smaller --batch, --context or --width");
    }
}
END_TEST

START_TEST(bad_checkpoints_are_refused)
{
    Gpt *gpt = fixture_model(tiny, 0.5f);
    const char *in = "tests/fixtures/gpt2_tiny.safetensors";
#define PROBE "probe --load %s --input %s --output %s"
    char out[256];
    strcpy(out, scratch("out.safetensors"));
    assert_refused(
        "nowhere.safetensors: No such file or directory; give weights with --load", PROBE,
        "nowhere.safetensors", in, out);
    assert_refused("probe needs --load FILE, --input", "probe --load %s", in);

    write_weights(scratch("w"), gpt, (Writing){.metadata = &two_heads, 1});
    assert_refused("--width 16", PROBE " --width 16", scratch("w"), in, out);
    assert_refused("--heads 4", PROBE " --heads 4", scratch("w"), in, out);
    SafeTensor more = {.name = "h.0.attn.rotary",
                       .dtype = DTYPE_F32,
                       .rank = 2,
                       .shape = {11, 8},
                       .data = gpt->wte->data};
    write_weights(scratch("w"), gpt, (Writing){.more = &more, .more_count = 1});
    assert_refused("it has besides h.0.attn.rotary", PROBE " --heads 2", scratch("w"), in,
                   out);
    more.name = "lm_head.weight";
    more.data = gpt->block[0].c_fc.weight->data;
    write_weights(scratch("w"), gpt, (Writing){.more = &more, .more_count = 1});
    assert_refused("lm_head.weight differs from the matrix that it is tied to",
                   PROBE " --heads 2", scratch("w"), in, out);
    gpt->model.params->count--;
    write_weights(scratch("w"), gpt, (Writing){0});
    gpt->model.params->count++;
    assert_refused("it lacks ln_f.bias", PROBE " --heads 2", scratch("w"), in, out);
    assert_refused("has no tokenizer in its metadata", "sample --heads 2 --load %s",
                   "tests/fixtures/gpt2_tiny_f16.safetensors");
    ck_assert(!file_exists(out));
    gpt->model.free(&gpt->model);
}
END_TEST

/* The library is asked about every length; see test_safetensors.c for lying headers. */
START_TEST(a_checkpoint_truncated_at_any_byte_is_refused)
{
    const char *path = scratch("w");
    Gpt *gpt = fixture_model(tiny, 0.5f);
    Error error;
    long size;
    write_weights(path, gpt, (Writing){.metadata = &two_heads, 1});
    char *bytes = file_read(path, &size, &error);
    for (long n = size - 1; n >= 0; n -= 1 + n / 400) {
        ck_assert_int_eq(truncate(path, n), 0);
        Safetensors *file = safetensors_open(path, &error);
        ck_assert_msg(file == NULL, "%ld of %ld bytes were accepted", n, size);
        assert_contains(error.text, path);
    }
    assert_refused(path, PROBE, path, "tests/fixtures/gpt2_tiny.safetensors",
                   scratch("out"));
    free(bytes);
    gpt->model.free(&gpt->model);
}
END_TEST

START_TEST(prompts_with_unknown_characters_are_refused)
{
    assert_runs(PROGRAM " train " SMALL "--steps 1 --out %s", scratch("run"));
    const char *model = scratch("run/model.safetensors");
    assert_refused("'~' (U+007E)", "sample --load %s --prompt 'a~b'", model);
    write_bytes(scratch("text"), "some {braces} in a text", 23);
    assert_refused("'{' (U+007B)", "eval --load %s --data %s", model, scratch("text"));
}
END_TEST

START_TEST(bad_probes_are_refused)
{
    Error error;
    int tokens[10] = {1, 2, 3, 4, 11, 1, 2, 3, 4, 5};
    SafeTensor t = {
        .name = "tokens", .dtype = DTYPE_I32, .rank = 2, .shape = {2, 5}, .data = tokens};
    const char *weights = "tests/fixtures/gpt2_tiny_f16.safetensors", *out = scratch("out");
    ck_assert(safetensors_save(scratch("in"), &t, 1, NULL, 0, &error));
    assert_refused("tokens holds 11, which is not between 0 and 10", PROBE " --heads 2",
                   weights, scratch("in"), out);
    t.rank = 1;
    t.shape[0] = 10;
    ck_assert(safetensors_save(scratch("in"), &t, 1, NULL, 0, &error));
    assert_refused("integers called tokens, of a shape (B, T)", PROBE " --heads 2", weights,
                   scratch("in"), out);
    t.rank = 2;
    t.shape[0] = 1;
    t.shape[1] = 10;
    tokens[4] = 0;
    ck_assert(safetensors_save(scratch("in"), &t, 1, NULL, 0, &error));
    assert_refused("10 tokens in a row are more than the context of 8", PROBE " --heads 2",
                   weights, scratch("in"), out);
    assert_refused("cannot write /dev/null/out", PROBE " --heads 2", weights,
                   "tests/fixtures/gpt2_tiny.safetensors", "/dev/null/out");
}
END_TEST

START_TEST(folders_that_cannot_be_written_are_refused)
{
    write_bytes(scratch("file"), "x", 1);
    assert_refused("cannot make the folder", "train " SMALL "--out %s/run",
                   scratch("file"));
    assert_refused("cannot make the folder", "train " SMALL "--out %s", scratch("file"));
    assert_refused("cannot make the folder", "train " SMALL "--out /proc/run");
}
END_TEST

/* A limit on the size of files is met like the end of a disk: in the midst of writing. */
START_TEST(a_full_disk_loses_nothing)
{
    char output[4096];
    assert_runs(PROGRAM " train " SMALL "--steps 20 --out %s", scratch("run"));
    assert_runs("cd %s && cp -r run before", scratch_folder());
    for (int blocks = 1; blocks <= 200; blocks *= 3) { /* of 512 bytes, or of 1024 */
        int status = run_command(output, sizeof output,
                                 "ulimit -f %d; " PROGRAM " train " SMALL
                                 "--steps 60 --resume --out %s 2>&1 >/dev/null | tail -n 1",
                                 blocks, scratch("run"));
        assert_contains(output, "cannot write");
        ck_assert_int_eq(status, 0); /* of tail */
        assert_same_file(scratch("before/model.safetensors"),
                         scratch("run/model.safetensors"));
        assert_same_file(scratch("before/state.safetensors"),
                         scratch("run/state.safetensors"));
    }
    assert_runs(PROGRAM " train " SMALL "--steps 60 --resume --out %s", scratch("run"));
    assert_runs(PROGRAM " train " SMALL "--steps 60 --out %s", scratch("whole"));
    assert_same_log(scratch("run/log.csv"), scratch("whole/log.csv"));
}
END_TEST

/* ---- The other verbs ---- */

START_TEST(eval_measures_what_training_measured)
{
    char output[4096], line[256];
    assert_runs(PROGRAM " train " SMALL "--steps 20 --out %s", scratch("run"));
    run_command(line, sizeof line, "tail -n 1 %s | cut -d, -f5", scratch("run/log.csv"));
    int status = run_command(output, sizeof output, PROGRAM " eval --load %s --split val",
                             scratch("run/model.safetensors"));
    ck_assert_int_eq(status, 0);
    double loss = 0, bits = 0, per_byte = 0;
    long tokens = 0;
    ck_assert_int_eq(sscanf(output,
                            "loss %lf nats per token, %lf bits per character, %lf bits "
                            "per byte, %ld tokens",
                            &loss, &bits, &per_byte, &tokens),
                     4);
    ck_assert_double_eq_tol(loss, strtod(line, NULL), 1e-4);
    ck_assert_double_eq_tol(bits, loss / log(2), 1e-3);
    ck_assert_double_eq(per_byte, bits); /* the play is in ASCII */
    ck_assert_int_eq(tokens,
                     11878 - 743); /* windows of 16, the first of each not predicted */
}
END_TEST

START_TEST(samples_repeat_with_the_seed_and_begin_with_the_prompt)
{
    char first[2048], again[2048], other[2048];
    assert_runs(PROGRAM " train " SMALL "--steps 5 --tokenizer bpe:40 --out %s",
                scratch("run"));
#define SAMPLE PROGRAM " sample --load %s --prompt 'ORLANDO: ' --tokens 60 --seed %d"
    const char *model = scratch("run/model.safetensors");
    ck_assert_int_eq(run_command(first, sizeof first, SAMPLE, model, 3), 0);
    ck_assert_int_eq(run_command(again, sizeof again, SAMPLE, model, 3), 0);
    ck_assert_int_eq(run_command(other, sizeof other, SAMPLE, model, 4), 0);
    ck_assert_str_eq(first, again);
    ck_assert_str_ne(first, other);
    ck_assert(strncmp(first, "ORLANDO: ", 9) == 0);
}
END_TEST

START_TEST(the_guided_run_says_what_it_does_and_where_everything_is)
{
    char output[16384];
    int status = run_command(output, sizeof output, PROGRAM " " SMALL "--steps 20 --out %s",
                             scratch("run"));
    ck_assert_int_eq(status, 0);
    assert_contains(output, "h.*.attn.c_attn.weight");
    assert_contains(output, "after step 20 it writes");
    assert_contains(output, "model.safetensors");
    assert_contains(output, "chapters/04-gpt/README.md");
    assert_contains(output, "build/chapter-04 sample --load ");
    ck_assert(file_exists(scratch("run/loss.svg")));
}
END_TEST

START_TEST(every_head_is_drawn)
{
    char output[4096];
    assert_runs(PROGRAM " train " SMALL "--steps 2 --out %s", scratch("run"));
    assert_runs(PROGRAM " attention --prompt 'To be or' --out %s", scratch("run"));
    const char *const heads[] = {"0-0", "0-1", "1-0", "1-1"};
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "run/attention-%s.svg", heads[i]);
        ck_assert(file_exists(scratch(name)));
    }
    ck_assert(!file_exists(scratch("run/attention-2-0.svg")));
    /* Each is of its own head, and not by its title alone. */
    char others[1024];
    snprintf(others, sizeof others,
             "cd %s/run && for f in attention-*.svg; do grep -v 'block . head' $f | "
             "sed 's/block [0-9], head [0-9]//' | cksum; done | sort -u | wc -l",
             scratch_folder());
    run_command(output, sizeof output, "%s", others);
    ck_assert_int_eq(strtol(output, NULL, 10), 4);
    const char *const refused[][2] = {
        {"", "--prompt TEXT"},
        {"--prompt ''", "an empty --prompt"},
        {"--prompt 'a text of more than sixteen'", "has 27 tokens and the context is 16"},
        {"--prompt 'snow\xe2\x98\x83'", "--prompt: "}};
    for (int i = 0; i < 4; i++) {
        int status = run_command(output, sizeof output, PROGRAM " attention --out %s %s",
                                 scratch("run"), refused[i][0]);
        ck_assert_int_eq(status, 1);
        assert_contains(output, refused[i][1]);
    }
}
END_TEST

SUITE("04-gpt", 60, verify_sees_a_planted_error_and_a_nan,
      probe_agrees_with_pytorch_in_every_logit_and_gradient,
      half_precision_files_give_pytorchs_numbers,
      published_files_with_prefix_buffers_and_config_json_load,
      odd_sizes_agree_with_pytorch, decoding_with_the_cache_equals_the_full_pass,
      a_future_token_cannot_change_a_past_logit, a_cache_is_refused_while_recording,
      after_the_first_round_nothing_is_allocated, a_short_training_lowers_the_loss,
      any_number_of_threads_gives_the_same_bits,
      killed_at_any_moment_and_resumed_it_ends_with_the_same_bits,
      a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint,
      bad_texts_are_refused, bad_options_are_refused, sizes_beyond_the_machine_are_refused,
      bad_checkpoints_are_refused, a_checkpoint_truncated_at_any_byte_is_refused,
      prompts_with_unknown_characters_are_refused, bad_probes_are_refused,
      folders_that_cannot_be_written_are_refused, a_full_disk_loses_nothing,
      eval_measures_what_training_measured,
      samples_repeat_with_the_seed_and_begin_with_the_prompt,
      the_guided_run_says_what_it_does_and_where_everything_is, every_head_is_drawn)
