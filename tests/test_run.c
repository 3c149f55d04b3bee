/* test_run.c - the frame around a model: how a file settles the options, what is built and
 * loaded, and what a model may ask of the training and of a probe. */
#include "base/files.h"
#include "chapters.h"
#include "nn/optim.h"
#include "run/language.h"
#include "suite.h"
#include "tensor/ops.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- A model that is a table of pairs, and a program around it ---- */

typedef struct {
    Model model;
    Tensor *table, *bonus; /* (V, V), and (V) that is added, if there is one */
    int stepped;
} Pairs;

static int freed, steps_heard;
static uint64_t seed_seen; /* of the tape, while training */

static Tensor *pairs_forward(const Model *model, const Ids *tokens, Memory *memory,
                             int past)
{
    (void)memory, (void)past;
    const Pairs *m = (const Pairs *)model;
    if (tape_training(tokens->tape))
        seed_seen = tape_seed(tokens->tape);
    return t_label(t_rows(m->table, tokens), "rows", 0);
}

static Tensor *pairs_head(const Model *model, Tensor *x)
{
    const Pairs *m = (const Pairs *)model;
    return m->bonus ? t_add(x, m->bonus) : t_contiguous(x);
}

static Memory *pairs_memory_new(const Model *model, int B)
{
    (void)model, (void)B;
    return memory_new();
}

/* The sum of the squares of what was looked up. */
static Tensor *pairs_extra_loss(const Model *model, Tape *tape)
{
    (void)model;
    Tensor *rows = tape_labelled(tape, "rows", 0);
    return t_sum_all(t_mul(rows, rows));
}

static void pairs_stepped(Model *model, Tape *tape)
{
    ck_assert_ptr_nonnull(tape_labelled(tape, "rows", 0));
    ((Pairs *)model)->stepped++;
}

static void pairs_free(Model *model)
{
    freed++;
    steps_heard = ((Pairs *)model)->stepped;
    params_free(model->params);
    free(model);
}

typedef struct {
    Language language;
    int context, width, kind;
    bool bonus, extra, active, odd;
} Program99;

static Model *build(Run *run, Params *params)
{
    const Program99 *p = (const Program99 *)run;
    int V = p->language.vocabulary;
    Pairs *m = allocate(1, sizeof *m);
    m->model = (Model){.params = params,
                       .vocabulary = V,
                       .context = p->context,
                       .forward = pairs_forward,
                       .head = pairs_head,
                       .memory_new = pairs_memory_new,
                       .extra_loss = p->extra ? pairs_extra_loss : NULL,
                       .stepped = pairs_stepped,
                       .active_parameters = p->active ? 7 : 0,
                       .free = pairs_free};
    m->table = param(scope(params), "table", V, V, normal(0.5));
    if (p->bonus)
        m->bonus = param(scope(params), "bonus", V, constant(0.25));
    return &m->model;
}

static int kind_by_table(const Checkpoint *from)
{
    return checkpoint_size(from, "table", 0) > 0 ? 2 : -1;
}

static bool settle(Run *run, const Checkpoint *from, Error *error)
{
    Program99 *p = (Program99 *)run;
    if (!from)
        p->width = p->language.synthetic ? 16 : 62; /* characters there are */
    return !p->odd || fail(error, "this program is odd");
}

static const Settling settling[] = {
    {.option = "width", .json = "d_model", .tensor = "table", .dimension = 1},
    {.option = "kind", .otherwise = kind_by_table},
    {.option = "context", .json = "n_positions", .free = true}};

static bool verify(float fault)
{
    return fault == 0;
}

/* Runs the program with these words; what it prints goes to the file "said". */
static int run_words(Program99 *p, int argc, char **argv)
{
    static const char *const labels[] = {"rows", "no such label", NULL};
    p->context = 8;
    Option options[] = {
        option_int("width", &p->width, 0, 1000, "width"),
        option_choice("kind", &p->kind, "one|two|three", "kind"),
        option_int("context", &p->context, 1, 1000, "context"),
        option_flag("bonus", &p->bonus, "with something added"),
    };
    p->language = (Language){.run = {.name = "99-pairs",
                                     .title = "Pairs",
                                     .about = "Pairs.",
                                     .task = &next_token,
                                     .model_options = OPTION_GROUP("the model", options),
                                     .settling = settling,
                                     .settlings = COUNT(settling),
                                     .labels = labels,
                                     .partial = p->language.run.partial,
                                     .settle = settle,
                                     .build = build,
                                     .verify = verify,
                                     .batch = 4,
                                     .training = {.steps = 3,
                                                  .eval_every = 3,
                                                  .learning_rate = 0.01,
                                                  .beta1 = 0.9,
                                                  .beta2 = 0.99}},
                             .embedding = "table",
                             .context = &p->context};
    fflush(stdout);
    fflush(stderr);
    int kept[] = {dup(1), dup(2)};
    FILE *file = fopen(scratch("said"), "w");
    ck_assert_ptr_nonnull(file);
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    int status = run_main(&p->language.run, argc, argv);
    fflush(stdout);
    fflush(stderr);
    dup2(kept[0], 1);
    dup2(kept[1], 2);
    close(kept[0]), close(kept[1]);
    fclose(file);
    return status;
}

#define RUN(p, ...)                                                               \
    run_words(p, (int)(sizeof((char *[]){"prog", __VA_ARGS__}) / sizeof(char *)), \
              (char *[]){"prog", __VA_ARGS__, NULL})

static const char *said(void)
{
    static char text[16384];
    run_command(text, sizeof text, "cat %s", scratch("said"));
    return text;
}

static char *folder(const char *name)
{
    static char path[4][256];
    static int next;
    return strcpy(path[next++ % 4], scratch(name));
}

static Program99 trained(const char *out)
{
    Program99 p = {.width = 0};
    ck_assert_msg(RUN(&p, "train", "--out", folder(out)) == 0, "%s", said());
    return p;
}

/* ---- How a file settles the options ---- */

/* Weights without metadata, (62, 62), and a config.json beside them, unless it is NULL. */
static char *write_weights(const char *config, const SafeMetadata *metadata, int count)
{
    static float table[62 * 62];
    static char path[256];
    Error error;
    for (int i = 0; i < 62 * 62; i++)
        table[i] = (float)sin(i);
    SafeTensor t = {
        .name = "table", .dtype = DTYPE_F32, .rank = 2, .shape = {62, 62}, .data = table};
    strcpy(path, scratch("foreign.safetensors"));
    ck_assert(safetensors_save(path, &t, 1, metadata, count, &error));
    if (config)
        write_bytes(scratch("config.json"), config, (long)strlen(config));
    return path;
}

static char *some_tokens(void)
{
    static char path[256];
    static const int tokens[] = {3, 1, 4, 1, 5, 9};
    Error error;
    SafeTensor in[] = {{.name = "tokens", .dtype = DTYPE_I32, .rank = 2, .shape = {2, 3}},
                       {.name = "targets", .dtype = DTYPE_I32, .rank = 2, .shape = {2, 3}}};
    in[0].data = in[1].data = tokens;
    strcpy(path, scratch("in.safetensors"));
    ck_assert(safetensors_save(path, in, 2, NULL, 0, &error));
    return path;
}

/* Settles by a probe, which needs nothing but weights. */
#define SETTLED(p, weights, ...)                                             \
    RUN(p, "probe", "--load", weights, "--input", some_tokens(), "--output", \
        folder("out.safetensors"), __VA_ARGS__)

START_TEST(shapes_and_what_is_assumed_settle_what_nobody_says)
{
    Program99 p = {.width = 0};
    char *weights = write_weights(NULL, NULL, 0);
    ck_assert_msg(SETTLED(&p, weights, "--seed", "1") == 0, "%s", said());
    ck_assert_int_eq(p.width, 62);
    ck_assert_int_eq(p.kind, 2);
    ck_assert_int_eq(p.context, 8); /* nobody knows: the default */
}
END_TEST

START_TEST(a_config_beside_the_file_comes_before_shapes_and_must_fit_them)
{
    Program99 p = {.width = 0};
    char *weights = write_weights("{\"d_model\": 62, \"n_positions\": 5}", NULL, 0);
    ck_assert_msg(SETTLED(&p, weights, "--seed", "1") == 0, "%s", said());
    ck_assert_int_eq(p.context, 5);
    weights = write_weights("{\"d_model\": 61}", NULL, 0);
    ck_assert_int_eq(SETTLED(&p, weights, "--seed", "1"), 1);
    assert_contains(said(), "width");
}
END_TEST

START_TEST(metadata_come_before_what_is_assumed_and_bind_the_command_line)
{
    Program99 p = {.width = 0};
    const SafeMetadata metadata[] = {{"kind", "two"}, {"context", "6"}};
    char *weights = write_weights(NULL, metadata, 2);
    ck_assert_msg(SETTLED(&p, weights, "--seed", "1") == 0, "%s", said());
    ck_assert_int_eq(p.kind, 1);
    ck_assert_int_eq(p.context, 6);
    ck_assert_int_eq(SETTLED(&p, weights, "--kind", "three"), 1);
    assert_contains(said(), "--kind");
    /* What shapes no parameter may be said anew. */
    ck_assert_msg(SETTLED(&p, weights, "--context", "4") == 0, "%s", said());
    ck_assert_int_eq(p.context, 4);
}
END_TEST

START_TEST(the_command_line_comes_before_what_is_assumed)
{
    Program99 p = {.width = 0};
    char *weights = write_weights(NULL, NULL, 0);
    ck_assert_msg(SETTLED(&p, weights, "--kind", "one") == 0, "%s", said());
    ck_assert_int_eq(p.kind, 0);
    ck_assert_int_eq(SETTLED(&p, weights, "--width", "61"), 1);
    assert_contains(said(), "--width 61");
    p.odd = true;
    ck_assert_int_eq(SETTLED(&p, weights, "--kind", "one"), 1);
    assert_contains(said(), "this program is odd");
    ck_assert_int_eq(RUN(&p, "train", "--out", folder("run")), 1); /* a new model, too */
    assert_contains(said(), "this program is odd");
}
END_TEST

START_TEST(heads_that_do_not_divide_the_width_are_refused)
{
    Error error;
    ck_assert(heads_divide(4, 128, &error));
    ck_assert(!heads_divide(3, 128, &error));
    assert_contains(error.text, "--heads 3 does not divide --width 128");
}
END_TEST

/* ---- Loading ---- */

START_TEST(a_model_may_differ_from_a_file_only_as_it_says)
{
    static const char *const missing[] = {"bonus", NULL};
    Program99 p = trained("old");
    char *old = folder("old/model.safetensors");
    p = (Program99){.width = 0};
    ck_assert_int_eq(RUN(&p, "train", "--bonus", "--load", old, "--out", folder("new")), 1);
    assert_contains(said(), "it lacks bonus");
    p.language.run.partial = (Partial){.missing = missing};
    ck_assert_msg(RUN(&p, "train", "--bonus", "--steps", "0", "--load", old, "--out",
                      folder("new")) == 0,
                  "%s", said());
    long n, m;
    Safetensors *before = open_file(scratch("old/model.safetensors"));
    Safetensors *after = open_file(scratch("new/model.safetensors"));
    float *a = floats_of(before, "table", &n), *b = floats_of(after, "table", &m);
    ck_assert_int_eq(n, m);
    ck_assert_mem_eq(a, b, (size_t)n * sizeof *a);
    float *bonus = floats_of(after, "bonus", &m);
    ck_assert_float_eq(bonus[5], 0.25f);
    free(a), free(b), free(bonus);
    safetensors_close(before), safetensors_close(after);
}
END_TEST

START_TEST(every_model_is_freed_once)
{
    freed = 0;
    trained("run");
    ck_assert_int_eq(freed, 1);
    Program99 p = {.width = 0};
    ck_assert_int_eq(
        RUN(&p, "sample", "--tokens", "3", "--prompt", "To", "--out", folder("run")), 0);
    ck_assert_int_eq(freed, 2);
    ck_assert_int_eq(RUN(&p, "verify"), 0); /* there is none */
    ck_assert_int_eq(freed, 2);
}
END_TEST

/* ---- What a model may ask for ---- */

static double first_loss(const char *out)
{
    char line[64];
    run_command(line, sizeof line, "sed -n 3p %s/log.csv | cut -d, -f4", out);
    return strtod(line, NULL);
}

START_TEST(an_extra_loss_is_trained_on_and_not_measured)
{
    char plain_line[64], extra_line[64];
    trained("plain");
    Program99 p = {.extra = true};
    ck_assert_msg(RUN(&p, "train", "--out", folder("extra")) == 0, "%s", said());
    /* About 4 x 8 rows of 62 numbers with variance 1/4 are looked up. */
    double more = first_loss(scratch("extra")) - first_loss(scratch("plain"));
    ck_assert_double_eq_tol(more, 4 * 8 * 62 / 4.0, 100);
    const char *first = "sed -n 2p %s/log.csv | cut -d, -f5";
    run_command(plain_line, sizeof plain_line, first, scratch("plain"));
    run_command(extra_line, sizeof extra_line, first, scratch("extra"));
    ck_assert_str_eq(plain_line, extra_line);
}
END_TEST

START_TEST(a_model_hears_of_every_step)
{
    Program99 p = {.width = 0};
    ck_assert_int_eq(RUN(&p, "train", "--steps", "5", "--out", folder("run")), 0);
    ck_assert_int_eq(steps_heard, 5);
}
END_TEST

START_TEST(the_seed_reaches_the_tape)
{
    Program99 p = {.width = 0};
    ck_assert_int_eq(RUN(&p, "train", "--seed", "77", "--out", folder("run")), 0);
    ck_assert_uint_eq(seed_seen, 77);
}
END_TEST

/* -log of the probability that the table gives to a target. */
static double loss_at(const float *row, int V, int target)
{
    double sum = 0;
    for (int v = 0; v < V; v++)
        sum += exp((double)row[v]);
    return log(sum) - (double)row[target];
}

START_TEST(synthetic_tasks_are_measured_over_all_their_rows)
{
    enum { ROWS = 512, T = 12 };
    Program99 p = {.width = 0};
    ck_assert_msg(RUN(&p, "train", "--synthetic", "induction", "--context", "12", "--steps",
                      "0", "--out", folder("run")) == 0,
                  "%s", said());
    ck_assert_msg(RUN(&p, "eval", "--synthetic", "induction", "--context", "12", "--out",
                      folder("run")) == 0,
                  "%s", said());
    double loss, right, sum = 0;
    long answers = 0, n;
    ck_assert_int_eq(sscanf(said(), "loss %lf nats per token, %lf%% right", &loss, &right),
                     2);
    Safetensors *file = open_file(scratch("run/model.safetensors"));
    float *table = floats_of(file, "table", &n);
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *tokens = ids_new(tape, ROWS, T), *targets = ids_new(tape, ROWS, T);
    synthetic_batch(SYNTHETIC_INDUCTION, SYNTHETIC_VALIDATION, 0, 0, tokens, targets);
    int V = synthetic_vocabulary(SYNTHETIC_INDUCTION), hits = 0;
    for (long i = 0; i < targets->size; i++) {
        const float *row = table + tokens->at[i] * V;
        if (targets->at[i] < 0)
            continue;
        sum += loss_at(row, V, targets->at[i]);
        int best = 0;
        for (int v = 1; v < V; v++)
            best = row[v] > row[best] ? v : best;
        hits += best == targets->at[i];
        answers++;
    }
    ck_assert_double_eq_tol(loss, sum / (double)answers, 1e-4);
    ck_assert_double_eq_tol(right, 100.0 * hits / (double)answers, 0.006);
    free(table);
    tape_free(tape);
    safetensors_close(file);
}
END_TEST

START_TEST(the_result_counts_the_parameters_that_are_active)
{
    char line[256];
    long parameters, active;
    for (int i = 0; i < 2; i++) {
        Program99 p = {.active = i};
        ck_assert_int_eq(RUN(&p, "train", "--out", folder(i ? "a" : "b")), 0);
        run_command(line, sizeof line, "tail -n 1 %s",
                    scratch(i ? "a/result.csv" : "b/result.csv"));
        ck_assert_int_eq(sscanf(line, "%ld,%ld", &parameters, &active), 2);
        ck_assert_int_eq(parameters, 62 * 62);
        ck_assert_int_eq(active, i ? 7 : 62 * 62);
    }
}
END_TEST

START_TEST(a_probe_writes_what_the_model_has_labelled)
{
    Program99 p = {.width = 0};
    char *weights = write_weights(NULL, NULL, 0);
    ck_assert_msg(SETTLED(&p, weights, "--seed", "1") == 0, "%s", said());
    Safetensors *out = open_file(scratch("out.safetensors"));
    long n;
    float *rows = floats_of(out, "rows", &n), *logits = floats_of(out, "logits", &n);
    ck_assert_int_eq(n, 2 * 3 * 62);
    ck_assert_mem_eq(rows, logits, (size_t)n * sizeof *rows);
    ck_assert_int_eq(out->count, 4); /* rows, logits, loss, grad.table */
    free(rows), free(logits);
    safetensors_close(out);
}
END_TEST

START_TEST(targets_of_another_shape_are_refused)
{
    Program99 p = {.width = 0};
    Error error;
    static const int numbers[] = {3, 1, 4, 1, 5, 9};
    SafeTensor in[] = {{.name = "tokens", .dtype = DTYPE_I32, .rank = 2, .shape = {2, 3}},
                       {.name = "targets", .dtype = DTYPE_I32, .rank = 2, .shape = {3, 2}}};
    in[0].data = in[1].data = numbers;
    char *weights = write_weights(NULL, NULL, 0), *path = folder("in.safetensors");
    ck_assert(safetensors_save(path, in, 2, NULL, 0, &error));
    ck_assert_int_eq(RUN(&p, "probe", "--load", weights, "--input", path, "--output",
                         folder("out.safetensors")),
                     1);
    assert_contains(said(), "targets has not the shape of the tokens, (2, 3)");
}
END_TEST

START_TEST(a_verify_that_disagrees_is_a_failure)
{
    Program99 p = {.width = 0};
    ck_assert_int_eq(RUN(&p, "verify"), 0);
    ck_assert_int_eq(RUN(&p, "probe", "--input", "x"), 1);
    assert_contains(said(), "probe needs --load FILE, --input FILE and --output FILE");
    assert_contains((RUN(&p, "--help"), said()), "--context N");
}
END_TEST

SUITE("run", 30, shapes_and_what_is_assumed_settle_what_nobody_says,
      a_config_beside_the_file_comes_before_shapes_and_must_fit_them,
      metadata_come_before_what_is_assumed_and_bind_the_command_line,
      the_command_line_comes_before_what_is_assumed,
      heads_that_do_not_divide_the_width_are_refused,
      a_model_may_differ_from_a_file_only_as_it_says, every_model_is_freed_once,
      an_extra_loss_is_trained_on_and_not_measured, a_model_hears_of_every_step,
      the_seed_reaches_the_tape, synthetic_tasks_are_measured_over_all_their_rows,
      the_result_counts_the_parameters_that_are_active,
      a_probe_writes_what_the_model_has_labelled, targets_of_another_shape_are_refused,
      a_verify_that_disagrees_is_a_failure)
