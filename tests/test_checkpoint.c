/* test_checkpoint.c - parameters go to a file and come back; files from elsewhere are
 * understood, and what cannot be understood is said in a sentence. */
#include "weights/checkpoint.h"
#include "base/files.h"
#include "oracle.h"
#include "base/random.h"
#include "suite.h"
#undef fail /* Check has another meaning for it */

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Takes the place of the system's: waiting for the disk would take most of the time. */
int fsync(int file)
{
    (void)file;
    return 0;
}

/* ---- The model of these tests, and files for it ---- */

static const char *const ignored[] = {".attn.bias", ".attn.masked_bias", NULL};
static const char *const tied[][2] = {{"lm_head.weight", "wte.weight"}, {NULL, NULL}};
static const Conventions gpt2 = {"transformer.", ignored, tied};
static const Conventions plain;

enum { PARAMETERS = 4 };
static const char *const names[] = {"wte.weight", "h.0.ln.weight", "h.0.ln.bias",
                                    "h.1.fc.weight"};

/* Every parameter is filled with numbers of its own; `seed` 0 gives zeros. */
static Params *made_params(uint64_t seed)
{
    Init init = seed ? normal(1) : constant(0);
    Params *params = params_new(seed);
    param(scope(params), names[0], 5, 3, init);
    param(scope(params), names[1], 3, init);
    param(scope(params), names[2], 3, init);
    param(scope(params), names[3], 2, 1, 3, init);
    return params;
}

/* The tensors of a file that fits, in a list that has room for more. */
typedef struct {
    Params *params; /* owns the numbers */
    SafeTensor tensor[16];
    int count;
} Draft;

static Draft draft_new(void)
{
    Draft d = {.params = made_params(7), .count = PARAMETERS};
    for (int i = 0; i < PARAMETERS; i++) {
        const Tensor *x = d.params->item[i].tensor;
        d.tensor[i] = (SafeTensor){
            .name = names[i], .dtype = DTYPE_F32, .rank = x->rank, .data = x->data};
        memcpy(d.tensor[i].shape, x->shape, sizeof x->shape);
    }
    return d;
}

static SafeTensor *draft_add(Draft *d, const char *name, int from)
{
    SafeTensor *t = &d->tensor[d->count++];
    *t = d->tensor[from];
    t->name = name;
    return t;
}

static void draft_write(const Draft *d, const char *path, const SafeMetadata *metadata,
                        int metadata_count)
{
    Error error = {""};
    ck_assert_msg(
        safetensors_save(path, d->tensor, d->count, metadata, metadata_count, &error), "%s",
        error.text);
}

/* Writes the draft, loads it into zeros and returns whether that went well. */
static bool loads(const Draft *d, const Conventions *conventions, Params *into,
                  Error *error)
{
    char path[256];
    snprintf(path, sizeof path, "%s", scratch("in.safetensors"));
    draft_write(d, path, NULL, 0);
    Checkpoint *c = checkpoint_open(path, conventions, error);
    ck_assert_msg(c != NULL, "%s", error->text);
    bool loaded = checkpoint_load(c, &into, 1, error);
    checkpoint_close(c);
    return loaded;
}

static void assert_same_numbers(const Params *a, const Params *b)
{
    for (int i = 0; i < PARAMETERS; i++)
        ck_assert_mem_eq(a->item[i].tensor->data, b->item[i].tensor->data,
                         (size_t)t_size(a->item[i].tensor) * sizeof(float));
}

static void assert_loads(const Draft *d, const Conventions *conventions)
{
    Error error = {""};
    Params *params = made_params(0);
    ck_assert_msg(loads(d, conventions, params, &error), "%s", error.text);
    assert_same_numbers(params, d->params);
    params_free(params);
}

/* The draft must be refused with a sentence that ends like this, and nothing be changed. */
static void assert_refused(const Draft *d, const Conventions *conventions,
                           const char *sentence)
{
    Error error = {""};
    Params *params = made_params(0), *zeros = made_params(0);
    ck_assert(!loads(d, conventions, params, &error));
    assert_contains(error.text, scratch("in.safetensors"));
    assert_contains(error.text, sentence);
    assert_same_numbers(params, zeros);
    for (int i = 0; i < PARAMETERS; i++)
        ck_assert(params->item[i].file_name == NULL);
    params_free(params);
    params_free(zeros);
}

/* ---- Saving and loading ---- */

START_TEST(what_is_saved_comes_back_bit_for_bit)
{
    Error error = {""};
    Params *out[] = {made_params(1), params_new(2)},
           *in[] = {made_params(0), params_new(0)};
    Tensor *kept = state_new(scope(out[1]), "m.x", 3, 3),
           *got = state_new(scope(in[1]), "m.x", 3, 3);
    const float odd[9] = {-0.0f, 1e-45f, NAN, INFINITY, -INFINITY, 3.4e38f, 0.1f, 1, -1};
    memcpy(kept->data, odd, sizeof odd);
    const SafeMetadata metadata[] = {{"width", "8"}, {"note", "a \"quoted\" line\n"}};
    const char *path = scratch("model.safetensors");
    ck_assert(checkpoint_save(path, out, 2, metadata, 2, &error));

    Checkpoint *c = checkpoint_open(path, &plain, &error);
    ck_assert_msg(c != NULL, "%s", error.text);
    ck_assert(c->config == NULL);
    ck_assert_str_eq(safetensors_metadata(c->file, "width"), "8");
    ck_assert_str_eq(safetensors_metadata(c->file, "note"), "a \"quoted\" line\n");
    ck_assert_int_eq(c->file->count, PARAMETERS + 1);
    int writes = got->storage->writes;
    ck_assert_msg(checkpoint_load(c, in, 2, &error), "%s", error.text);
    assert_same_numbers(in[0], out[0]);
    ck_assert_mem_eq(got->data, odd, sizeof odd);
    ck_assert_int_gt(got->storage->writes, writes);
    for (int i = 0; i < PARAMETERS; i++)
        ck_assert(in[0]->item[i].file_name == NULL);
    checkpoint_close(c);
    checkpoint_close(NULL);
    for (int i = 0; i < 2; i++) {
        params_free(out[i]);
        params_free(in[i]);
    }
}
END_TEST

START_TEST(a_checkpoint_that_cannot_be_written_leaves_nothing)
{
    Error error = {""};
    Params *params = made_params(1);
    char path[256];
    snprintf(path, sizeof path, "%s/no/model.safetensors", scratch_folder());
    ck_assert(!checkpoint_save(path, &params, 1, NULL, 0, &error));
    assert_contains(error.text, "cannot write");
    assert_contains(error.text, path);
    ck_assert(!file_exists(path));
    params_free(params);
}
END_TEST

START_TEST(a_missing_file_is_named)
{
    Error error = {""};
    ck_assert(checkpoint_open(scratch("no.safetensors"), &plain, &error) == NULL);
    assert_contains(error.text, "no.safetensors");
}
END_TEST

START_TEST(half_precision_loads_exactly)
{
    static const uint16_t f16[] = {0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff},
                          bf16[] = {0x3f80, 0xc000, 0x3eab, 0x0001, 0x7f7f};
    static const float of_f16[] = {1, -2, 0.333251953125f, 0x1p-24f, 65504},
                       of_bf16[] = {1, -2, 0.333984375f, 0x1p-133f, 0x1.fep127f};
    Error error = {""};
    Params *params = params_new(0);
    Tensor *a = param(scope(params), "a", 5, constant(0)),
           *b = param(scope(params), "b", 5, constant(0));
    const SafeTensor tensors[] = {
        {.name = "b", .dtype = DTYPE_BF16, .rank = 1, .shape = {5}, .data = bf16},
        {.name = "a", .dtype = DTYPE_F16, .rank = 1, .shape = {5}, .data = f16}};
    const char *path = scratch("half.safetensors");
    ck_assert(safetensors_save(path, tensors, 2, NULL, 0, &error));
    Checkpoint *c = checkpoint_open(path, &plain, &error);
    ck_assert(checkpoint_load(c, &params, 1, &error));
    ck_assert_mem_eq(a->data, of_f16, sizeof of_f16);
    ck_assert_mem_eq(b->data, of_bf16, sizeof of_bf16);
    checkpoint_close(c);
    params_free(params);
}
END_TEST

/* ---- Names ---- */

START_TEST(names_may_have_the_prefix)
{
    Draft d = draft_new();
    assert_loads(&d, &gpt2); /* without it */
    char with[PARAMETERS][64];
    for (int i = 0; i < PARAMETERS; i++) {
        snprintf(with[i], sizeof with[i], "transformer.%s", names[i]);
        d.tensor[i].name = with[i];
    }
    assert_loads(&d, &gpt2);
    assert_refused(&d, &plain,
                   "it lacks wte.weight, h.0.ln.weight, h.0.ln.bias, "
                   "h.1.fc.weight; it has besides transformer.wte.weight");
    d.tensor[1].name = names[1]; /* one without among others with it */
    assert_loads(&d, &gpt2);
    params_free(d.params);
}
END_TEST

START_TEST(the_names_of_the_file_are_remembered_where_they_differ)
{
    Error error = {""};
    Draft d = draft_new();
    d.tensor[0].name = "transformer.wte.weight";
    d.tensor[1].name = "h.0.ln.gamma";
    Params *params = made_params(0);
    for (int again = 0; again < 2; again++) {
        ck_assert_msg(loads(&d, &gpt2, params, &error), "%s", error.text);
        ck_assert_str_eq(params->item[0].file_name, "transformer.wte.weight");
        ck_assert_str_eq(params->item[1].file_name, "h.0.ln.gamma");
        ck_assert(params->item[2].file_name == NULL);
    }
    d.tensor[1].name = names[1];
    ck_assert(loads(&d, &gpt2, params, &error));
    ck_assert(params->item[1].file_name == NULL); /* and forgotten where they agree */
    params_free(params);
    params_free(d.params);
}
END_TEST

START_TEST(norms_may_speak_of_gamma_and_beta)
{
    Draft d = draft_new();
    d.tensor[1].name = "transformer.h.0.ln.gamma";
    d.tensor[2].name = "h.0.ln.beta";
    assert_loads(&d, &gpt2);
    d.tensor[2].name = "h.0.ln.gamma"; /* beta is not gamma */
    assert_refused(&d, &gpt2, "it lacks h.0.ln.bias");
    params_free(d.params);
}
END_TEST

START_TEST(buffers_are_ignored_whatever_they_hold)
{
    static const unsigned char mask[6] = {1, 0, 0, 1, 1, 0};
    Draft d = draft_new();
    SafeTensor *t = draft_add(&d, "transformer.h.0.attn.bias", 0);
    t->dtype = DTYPE_U8;
    t->rank = 2;
    t->shape[0] = 2;
    t->shape[1] = 3;
    t->data = mask;
    draft_add(&d, "h.1.attn.masked_bias", 1);
    assert_loads(&d, &gpt2);
    assert_refused(&d, &plain,
                   "it has besides transformer.h.0.attn.bias, "
                   "h.1.attn.masked_bias");
    params_free(d.params);
}
END_TEST

START_TEST(a_tied_copy_must_say_the_same)
{
    Draft d = draft_new();
    SafeTensor *t = draft_add(&d, "lm_head.weight", 0);
    assert_loads(&d, &gpt2);
    assert_refused(&d, &plain, "it has besides lm_head.weight");

    float other[15];
    memcpy(other, t->data, sizeof other);
    other[14] += 1;
    t->data = other;
    assert_refused(&d, &gpt2,
                   ": lm_head.weight differs from the matrix that it is tied to");
    t->shape[0] = 4; /* the same numbers as far as they go */
    t->data = d.tensor[0].data;
    assert_refused(&d, &gpt2, "lm_head.weight differs");
    t->shape[0] = 3; /* the same numbers, but another matrix */
    t->shape[1] = 5;
    assert_refused(&d, &gpt2, "lm_head.weight differs");
    params_free(d.params);
}
END_TEST

START_TEST(a_tied_copy_without_its_original_is_no_copy)
{
    Draft d = draft_new();
    d.tensor[0].name = "lm_head.weight";
    assert_refused(&d, &gpt2,
                   "does not fit the model: it lacks wte.weight; it has besides "
                   "lm_head.weight");
    params_free(d.params);
}
END_TEST

START_TEST(missing_and_unknown_names_are_listed)
{
    Draft d = draft_new();
    d.count = 3;
    assert_refused(&d, &gpt2, "does not fit the model: it lacks h.1.fc.weight");
    d.count = 4;
    draft_add(&d, "extra.weight", 1);
    assert_refused(&d, &gpt2, "does not fit the model: it has besides extra.weight");
    params_free(d.params);
}
END_TEST

START_TEST(a_long_list_of_names_ends_with_and_more)
{
    static const char *const extra[] = {"x0", "x1", "x2", "x3", "x4", "x5"};
    Draft d = draft_new();
    for (int i = 0; i < 6; i++)
        draft_add(&d, extra[i], 1);
    assert_refused(&d, &gpt2, "it has besides x0, x1, x2, x3 and more");
    d.count = PARAMETERS + 4;
    assert_refused(&d, &gpt2, "it has besides x0, x1, x2, x3");

    Error error = {""};
    Params *params = made_params(0);
    d.count = PARAMETERS + 5;
    ck_assert(!loads(&d, &gpt2, params, &error));
    ck_assert(strstr(error.text, "x4") == NULL);
    params_free(params);
    params_free(d.params);
}
END_TEST

START_TEST(names_of_any_length_and_kind_fit_a_sentence)
{
    char longest[5][1200];
    Draft d = draft_new();
    for (int i = 0; i < 5; i++) {
        memset(longest[i], 'a' + i, sizeof longest[i]);
        longest[i][0] = '\n';
        longest[i][sizeof longest[i] - 1] = 0;
        draft_add(&d, longest[i], 1);
    }
    assert_refused(&d, &gpt2, "and more");
    assert_refused(&d, &gpt2, "?aaaaaaa");
    params_free(d.params);
}
END_TEST

/* ---- Shapes and kinds ---- */

START_TEST(a_wrong_shape_is_shown_beside_the_right_one)
{
    Draft d = draft_new();
    d.tensor[0].shape[0] = 3;
    d.tensor[0].shape[1] = 5;
    assert_refused(&d, &gpt2,
                   ": wte.weight is (3, 5) in the file, and (5, 3) in the model that was "
                   "asked for");
    params_free(d.params);

    d = draft_new();
    d.tensor[3].rank = 2; /* (2, 1): as many dimensions as fit, but one too few */
    assert_refused(&d, &gpt2, ": h.1.fc.weight is (2, 1) in the file, and (2, 1, 3)");
    params_free(d.params);
}
END_TEST

START_TEST(weights_that_are_no_floats_are_refused)
{
    Draft d = draft_new();
    d.tensor[3].dtype = DTYPE_I32;
    assert_refused(&d, &gpt2,
                   ": h.1.fc.weight is stored as I32; weights load from F32, F16 or BF16");
    params_free(d.params);
}
END_TEST

/* Shapes are checked first to last; a fault in the last one must not let the first load. */
START_TEST(nothing_is_loaded_from_a_file_with_one_fault)
{
    Error error = {""};
    Draft d = draft_new();
    d.tensor[3].shape[0] = 1;
    Params *params = made_params(3), *before = made_params(3);
    ck_assert(!loads(&d, &gpt2, params, &error));
    assert_same_numbers(params, before);
    params_free(params);
    params_free(before);
    params_free(d.params);
}
END_TEST

START_TEST(a_file_cut_off_anywhere_is_refused)
{
    Error error = {""};
    Draft d = draft_new();
    char whole[256], cut[256];
    snprintf(whole, sizeof whole, "%s", scratch("whole.safetensors"));
    snprintf(cut, sizeof cut, "%s", scratch("cut.safetensors"));
    draft_write(&d, whole, (const SafeMetadata[]){{"width", "8"}}, 1);
    long size;
    char *bytes = file_read(whole, &size, &error);
    ck_assert(bytes != NULL);
    for (long length = 0; length < size; length++) {
        error.text[0] = 0;
        unlink(cut); /* a new file is cheaper than one that is emptied */
        write_bytes(cut, bytes, length);
        if (checkpoint_open(cut, &gpt2, &error))
            ck_abort_msg("%ld of %ld bytes were taken for a checkpoint", length, size);
        if (!strstr(error.text, cut) || strlen(error.text) < strlen(cut) + 10)
            ck_abort_msg("%ld bytes: \"%s\"", length, error.text);
    }
    free(bytes);
    params_free(d.params);
}
END_TEST

/* ---- What the shapes tell ---- */

static Checkpoint *opened(const Draft *d, const SafeMetadata *metadata, int count)
{
    static char path[256];
    Error error = {""};
    snprintf(path, sizeof path, "%s", scratch("settle.safetensors"));
    draft_write(d, path, metadata, count);
    Checkpoint *c = checkpoint_open(path, &gpt2, &error);
    ck_assert_msg(c != NULL, "%s", error.text);
    return c;
}

START_TEST(sizes_are_found_by_any_name)
{
    Draft d = draft_new();
    d.tensor[1].name = "h.0.ln.gamma";
    d.tensor[0].name = "transformer.wte.weight";
    Checkpoint *c = opened(&d, NULL, 0);
    ck_assert_int_eq(checkpoint_size(c, "wte.weight", 0), 5);
    ck_assert_int_eq(checkpoint_size(c, "wte.weight", 1), 3);
    ck_assert_int_eq(checkpoint_size(c, "wte.weight", 2), 0);
    ck_assert_int_eq(checkpoint_size(c, "h.0.ln.weight", 0), 3);
    ck_assert_int_eq(checkpoint_size(c, "h.1.fc.weight", 2), 3);
    ck_assert_int_eq(checkpoint_size(c, "wpe.weight", 0), 0);
    checkpoint_close(c);
    params_free(d.params);
}
END_TEST

START_TEST(layers_are_counted_up_to_the_first_gap)
{
    Draft d = draft_new();
    draft_add(&d, "a.0.w", 1);
    draft_add(&d, "transformer.a.1.w", 1);
    draft_add(&d, "a.3.w", 1);
    Checkpoint *c = opened(&d, NULL, 0);
    ck_assert_int_eq(checkpoint_layers(c, "a.%d.w"), 2);
    ck_assert_int_eq(checkpoint_layers(c, "b.%d.w"), 0);
    ck_assert_int_eq(checkpoint_layers(c, "h.%d.ln.weight"), 1);
    checkpoint_close(c);
    params_free(d.params);
}
END_TEST

/* ---- Settling options ---- */

/* One option and all that may have an opinion on it. */
typedef struct {
    const char *given, *metadata, *config; /* NULL: says nothing; config: the whole file */
    long shapes;
} Opinions;

static bool settles(Opinions o, Option option, Error *error)
{
    Draft d = draft_new();
    error->text[0] = 0;
    char path[256];
    snprintf(path, sizeof path, "%s", scratch("config.json"));
    if (o.config)
        write_bytes(path, o.config, (long)strlen(o.config));
    if (o.given) {
        ck_assert(options_set(&option, o.given, error));
        option.given = true;
    }
    SafeMetadata metadata[] = {{"other", "1"}, {option.name, o.metadata}};
    Checkpoint *c = opened(&d, metadata, o.metadata ? 2 : 1);
    bool settled = checkpoint_settle(c, &option, "n_embd", o.shapes, error);
    checkpoint_close(c);
    params_free(d.params);
    remove(path);
    return settled;
}

static void assert_settles(Opinions o, int want)
{
    Error error;
    int width = 64;
    ck_assert_msg(settles(o, option_int("width", &width, 1, 1000, "width"), &error), "%s",
                  error.text);
    ck_assert_int_eq(width, want);
}

static void assert_unsettled(Opinions o, const char *sentence)
{
    Error error;
    int width = 64;
    ck_assert(!settles(o, option_int("width", &width, 1, 1000, "width"), &error));
    assert_contains(error.text, sentence);
    ck_assert_int_eq(width, o.given ? atoi(o.given) : 64);
}

START_TEST(options_are_settled_by_the_first_that_knows)
{
    assert_settles((Opinions){NULL, NULL, NULL, 0}, 64);
    assert_settles((Opinions){NULL, NULL, NULL, 8}, 8);
    assert_settles((Opinions){NULL, NULL, "{\"n_embd\": 9}", 0}, 9);
    assert_settles((Opinions){NULL, NULL, "{\"n_embd\": 9}", 9}, 9);
    assert_settles((Opinions){NULL, "10", NULL, 0}, 10);
    assert_settles((Opinions){NULL, "10", NULL, 10}, 10);
    assert_settles((Opinions){NULL, "10", "{\"n_embd\": 9}", 0}, 10);
    assert_settles((Opinions){"11", NULL, NULL, 0}, 11);
    assert_settles((Opinions){"11", NULL, "{\"n_embd\": 9}", 0}, 11);
    assert_settles((Opinions){"11", "11", "{\"n_embd\": 9}", 11}, 11);
}
END_TEST

START_TEST(spellings_of_one_value_do_not_contradict)
{
    assert_settles((Opinions){"011", "0011", "{\"n_embd\": 1.1e1}", 11}, 11);
}
END_TEST

START_TEST(contradictions_say_who_said_what)
{
    assert_unsettled((Opinions){"8", "9", NULL, 0},
                     "settle.safetensors: the command line says --width 8, but the "
                     "metadata says 9");
    assert_unsettled((Opinions){"8", NULL, NULL, 9},
                     "settle.safetensors: the command line says --width 8, but the shape "
                     "of the tensors says 9");
    assert_unsettled((Opinions){NULL, "8", NULL, 9},
                     "settle.safetensors: the metadata says --width 8, but the shape of "
                     "the tensors says 9");
    assert_unsettled((Opinions){NULL, NULL, "{\"n_embd\": 8}", 9},
                     "settle.safetensors: config.json says --width 8, but the shape of "
                     "the tensors says 9");
    assert_unsettled((Opinions){"8", "8", NULL, 9}, "but the shape of the tensors says 9");
}
END_TEST

START_TEST(values_that_the_option_does_not_take_are_refused_with_their_source)
{
    assert_unsettled((Opinions){NULL, "many", NULL, 0}, "settle.safetensors: --width many");
    assert_unsettled((Opinions){NULL, "0", NULL, 0}, "settle.safetensors: --width 0");
    assert_unsettled((Opinions){NULL, NULL, "{\"n_embd\": 1.5}", 0},
                     "config.json: --width 1.5");
    assert_unsettled((Opinions){NULL, NULL, "{\"n_embd\": \"wide\"}", 0},
                     "config.json: --width wide");
    assert_unsettled((Opinions){NULL, NULL, "{\"n_embd\": 1e300}", 0},
                     "config.json: --width");
    assert_unsettled((Opinions){NULL, NULL, NULL, 1001},
                     "settle.safetensors: --width 1001");
}
END_TEST

START_TEST(a_config_that_says_nothing_of_it_is_passed_over)
{
    assert_settles((Opinions){NULL, NULL, "{\"n_layer\": 3}", 0}, 64);
    assert_settles((Opinions){NULL, NULL, "{\"n_embd\": null}", 7}, 7);
    assert_settles((Opinions){NULL, NULL, "{\"n_embd\": [1]}", 7}, 7);
    assert_settles((Opinions){NULL, NULL, "[1, 2]", 7}, 7);
}
END_TEST

START_TEST(options_of_other_kinds_are_settled_too)
{
    Error error;
    double rate = 0.5;
    int cell = 0;
    bool bias = false;
    ck_assert(settles((Opinions){NULL, NULL, "{\"n_embd\": 1e-05}", 0},
                      option_real("epsilon", &rate, 0, 1, "epsilon"), &error));
    ck_assert_double_eq(rate, 1e-5);
    ck_assert(settles((Opinions){"0.1", "1e-1", NULL, 0},
                      option_real("epsilon", &rate, 0, 1, "epsilon"), &error));
    ck_assert_double_eq(rate, 0.1);
    ck_assert(settles((Opinions){NULL, NULL, "{\"n_embd\": \"gru\"}", 0},
                      option_choice("cell", &cell, "rnn|gru|lstm", "cell"), &error));
    ck_assert_int_eq(cell, 1);
    ck_assert(!settles((Opinions){"lstm", "gru", NULL, 0},
                       option_choice("cell", &cell, "rnn|gru|lstm", "cell"), &error));
    assert_contains(error.text,
                    "the command line says --cell lstm, but the metadata says gru");
    ck_assert(settles((Opinions){NULL, "true", NULL, 0}, option_flag("bias", &bias, "bias"),
                      &error));
    ck_assert(bias);
    ck_assert(settles((Opinions){NULL, NULL, "{\"n_embd\": false}", 0},
                      option_flag("bias", &bias, "bias"), &error));
    ck_assert(!bias);
}
END_TEST

static void settle_a_text(void)
{
    Error error;
    const char *text = NULL;
    settles((Opinions){NULL, NULL, NULL, 0}, option_text("prompt", &text, "TEXT", "prompt"),
            &error);
}

START_TEST(settling_a_text_is_a_mistake)
{
    scratch_folder(); /* made here, for the process that aborts removes nothing */
    ck_assert_str_eq(mistake_text(settle_a_text),
                     "checkpoint_settle: --prompt is a text\n");
}
END_TEST

START_TEST(a_broken_config_is_refused)
{
    Error error = {""};
    Draft d = draft_new();
    draft_write(&d, scratch("model.safetensors"), NULL, 0);
    write_bytes(scratch("config.json"), "{\"n_embd\": 8,}", 14);
    ck_assert(checkpoint_open(scratch("model.safetensors"), &gpt2, &error) == NULL);
    assert_contains(error.text, scratch("config.json"));

    remove(scratch("config.json"));
    ck_assert(folder_make(scratch("config.json"), &error));
    ck_assert(checkpoint_open(scratch("model.safetensors"), &gpt2, &error) == NULL);
    assert_contains(error.text, "it is a folder, not a file");
    params_free(d.params);
}
END_TEST

SUITE("checkpoint", 10, what_is_saved_comes_back_bit_for_bit,
      a_checkpoint_that_cannot_be_written_leaves_nothing, a_missing_file_is_named,
      half_precision_loads_exactly, names_may_have_the_prefix,
      the_names_of_the_file_are_remembered_where_they_differ,
      norms_may_speak_of_gamma_and_beta, buffers_are_ignored_whatever_they_hold,
      a_tied_copy_must_say_the_same, a_tied_copy_without_its_original_is_no_copy,
      missing_and_unknown_names_are_listed, a_long_list_of_names_ends_with_and_more,
      names_of_any_length_and_kind_fit_a_sentence,
      a_wrong_shape_is_shown_beside_the_right_one, weights_that_are_no_floats_are_refused,
      nothing_is_loaded_from_a_file_with_one_fault, a_file_cut_off_anywhere_is_refused,
      sizes_are_found_by_any_name, layers_are_counted_up_to_the_first_gap,
      options_are_settled_by_the_first_that_knows, spellings_of_one_value_do_not_contradict,
      contradictions_say_who_said_what,
      values_that_the_option_does_not_take_are_refused_with_their_source,
      a_config_that_says_nothing_of_it_is_passed_over,
      options_of_other_kinds_are_settled_too, settling_a_text_is_a_mistake,
      a_broken_config_is_refused)
