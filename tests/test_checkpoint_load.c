/* test_checkpoint_load.c - models for inference lie in their file; models that differ from
 * the file load what they say they load, and nothing else. */
#include "weights/checkpoint.h"
#include "base/random.h"
#include "base/files.h"
#include "nn/optim.h"
#include "oracle.h"
#include "suite.h"
#undef fail /* Check has another meaning for it */

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "tensor/ops.h"

/* Takes the place of the system's: waiting for the disk would take most of the time. */
int fsync(int file)
{
    (void)file;
    return 0;
}

static const Conventions plain;
static const Conventions bert = {.prefix = "bert."};

static Checkpoint *opened(const char *path, const Conventions *conventions)
{
    Error error = {""};
    Checkpoint *c = checkpoint_open(path, conventions, &error);
    ck_assert_msg(c != NULL, "%s", error.text);
    return c;
}

/* ---- Inference ---- */

/* A little model with every kind of parameter. */
typedef struct {
    Params *params;
    Tensor *table, *decay;
    Linear up, down;
    LayerNorm norm;
} Model;

enum { V = 11, C = 20, HIDDEN = 34 };

static Model model_new(Params *params)
{
    Scope top = scope(params);
    Model m = {.params = params};
    m.table = param(top, "table.weight", V, C, normal(1));
    m.decay = no_decay(top, param(top, "A_log", 3, C, normal(0.1)));
    param(top, "conv.weight", 4, 1, 3, normal(1)); /* no matrix */
    m.up = linear_new(under(top, "up"), C, HIDDEN, normal(0.3));
    m.down = linear_new_by_input(under(top, "down"), HIDDEN, C, normal(0.3));
    m.norm = layer_norm_new(under(top, "norm"), C, 1e-5f);
    return m;
}

/* (T) -> (T, V), with the table as its head. */
static Tensor *forward(const Model *m, Tape *tape, int T)
{
    Ids *ids = ids_new(tape, T);
    for (int i = 0; i < T; i++)
        ids->at[i] = i * 7 % V;
    Tensor *x = t_add(t_rows(m->table, ids), t_select(t_exp(t_on(tape, m->decay)), 0, 1));
    x = t_add(x, linear(&m->down, t_tanh(linear(&m->up, layer_norm(&m->norm, x)))));
    return t_matmul(x, t_transpose(m->table));
}

/* Rounds to 16 bits, by cutting: any numbers will do. */
static void *in_16_bits(const Tensor *x, Dtype dtype)
{
    uint16_t *bits = allocate((size_t)t_size(x), sizeof *bits);
    for (long i = 0; i < t_size(x); i++) {
        uint32_t wide;
        memcpy(&wide, &x->data[i], sizeof wide);
        uint32_t exponent = wide >> 23 & 255;
        bits[i] = dtype == DTYPE_BF16 ? (uint16_t)(wide >> 16)
                  : exponent <= 112
                      ? 0
                      : (uint16_t)((wide >> 16 & 0x8000) | (exponent - 112) << 10 |
                                   (wide >> 13 & 1023));
    }
    return bits;
}

/* Writes a learning model's numbers, as this dtype. */
static const char *written_as(Dtype dtype)
{
    Error error = {""};
    SafeTensor tensors[16];
    Model m = model_new(params_new(4));
    int count = m.params->count;
    for (int i = 0; i < count; i++) {
        const Tensor *x = m.params->item[i].tensor;
        tensors[i] = (SafeTensor){.name = m.params->item[i].name, .dtype = dtype};
        tensors[i].rank = x->rank;
        memcpy(tensors[i].shape, x->shape, sizeof x->shape);
        tensors[i].data = dtype == DTYPE_F32 ? x->data : in_16_bits(x, dtype);
    }
    const char *path = scratch("model.safetensors");
    ck_assert(safetensors_save(path, tensors, count, NULL, 0, &error));
    for (int i = 0; dtype != DTYPE_F32 && i < count; i++)
        free((void *)tensors[i].data);
    params_free(m.params);
    return path;
}

static void load(Params *params, const char *path)
{
    Error error = {""};
    Checkpoint *c = opened(path, &plain);
    ck_assert_msg(checkpoint_load(c, &params, 1, &error), "%s", error.text);
    checkpoint_close(c); /* what is mapped must outlive it */
}

START_TEST(a_model_for_inference_gives_the_results_of_one_that_learns)
{
    static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    for (int k = 0; k < 3; k++) {
        const char *path = written_as(dtypes[k]);
        Model learns = model_new(params_new(1)), reads = model_new(params_for_inference());
        load(learns.params, path);
        load(reads.params, path);
        for (int T = 1; T < 6; T += 4) {
            tape_reset(tape, 0);
            const Tensor *want = forward(&learns, tape, T), *got = forward(&reads, tape, T);
            for (long i = 0; i < T * V; i++)
                ck_assert_float_eq_tol(got->data[i], want->data[i], 2e-5f);
            if (dtypes[k] == DTYPE_F32)
                ck_assert_mem_eq(got->data, want->data, (size_t)T * V * sizeof(float));
        }
        params_free(learns.params);
        params_free(reads.params);
    }
    tape_free(tape);
}
END_TEST

START_TEST(floats_lie_in_the_file_and_take_no_memory)
{
    Model m = model_new(params_for_inference());
    load(m.params, written_as(DTYPE_F32));
    load(m.params, written_as(DTYPE_F32)); /* the second time as the first */
    ck_assert_double_eq(m.params->bytes, 0);
    for (int i = 0; i < m.params->count; i++)
        ck_assert(m.params->item[i].tensor->storage->lent);
    params_free(m.params);
}
END_TEST

START_TEST(matrices_stay_packed_and_all_else_becomes_floats)
{
    Model m = model_new(params_for_inference());
    load(m.params, written_as(DTYPE_BF16));
    const Tensor *packed[] = {m.table, params_find(m.params, "up.weight"),
                              params_find(m.params, "down.weight")};
    int expanded = 0;
    for (int i = 0; i < 3; i++)
        ck_assert(packed[i]->storage->packing == PACKING_BF16 && !packed[i]->data);
    for (int i = 0; i < m.params->count; i++)
        expanded += m.params->item[i].tensor->data != NULL;
    ck_assert_int_eq(expanded, m.params->count - 3);
    ck_assert(m.decay->data != NULL);
    ck_assert_double_eq(m.params->bytes, 4 * (3 * C + 12 + HIDDEN + 3 * C));
    params_free(m.params);
}
END_TEST

/* Another file, of another kind, may be loaded into the same list. */
START_TEST(a_list_for_inference_may_be_loaded_again)
{
    static const Dtype order[] = {DTYPE_BF16, DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Model m = model_new(params_for_inference());
    Tensor *first = NULL;
    for (int k = 0; k < 4; k++) {
        load(m.params, written_as(order[k]));
        const Tensor *y = forward(&m, tape, 3);
        if (k == 0)
            first = t_snapshot(tape, y);
        for (long i = 0; i < 3 * V; i++)
            ck_assert_float_eq_tol(y->data[i], first->data[i], k == 3 ? 1e-30f : 0.5f);
    }
    params_free(m.params);
    tape_free(tape);
}
END_TEST

/* A file whose data begin at an odd address cannot be read in place, and is copied. */
START_TEST(data_that_are_not_aligned_are_copied)
{
    static const char *const header[] = {
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}",
        "{\"x\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[0,4]}}"};
    static const float two[] = {1.5f, -2};
    static const uint16_t half[] = {0x3fc0, 0xc000};
    for (int packed = 0; packed < 2; packed++)
        for (int pad = 0; pad < 4; pad++) {
            char bytes[256];
            uint64_t length = strlen(header[packed]) + (uint64_t)pad;
            memcpy(bytes, &length, 8);
            sprintf(bytes + 8, "%s%*s", header[packed], pad, "");
            memcpy(bytes + 8 + length, packed ? (const void *)half : two, packed ? 4 : 8);
            write_bytes(scratch("x"), bytes, 8 + (long)length + (packed ? 4 : 8));
            Params *params = params_for_inference();
            Tensor *x = param(scope(params), "x", 1, 2, constant(0));
            load(params, scratch("x"));
            bool aligned = (8 + length) % (packed ? 2 : 4) == 0;
            ck_assert(x->storage->lent == aligned);
            if (!aligned || !packed) {
                ck_assert_float_eq(x->data[0], 1.5f);
                ck_assert_float_eq(x->data[1], -2);
            }
            params_free(params);
        }
}
END_TEST

START_TEST(what_is_packed_is_saved_as_it_is)
{
    Error error = {""};
    for (int k = 0; k < 2; k++) {
        Dtype dtype = k ? DTYPE_F16 : DTYPE_BF16;
        Model m = model_new(params_for_inference());
        load(m.params, written_as(dtype));
        const char *path = scratch("again.safetensors");
        ck_assert(checkpoint_save(path, &m.params, 1, NULL, 0, &error));
        Safetensors *file = safetensors_open(path, &error),
                    *old = safetensors_open(scratch("model.safetensors"), &error);
        const SafeTensor *a = safetensors_find(file, "up.weight"),
                         *b = safetensors_find(old, "up.weight");
        ck_assert_int_eq(a->dtype, dtype);
        ck_assert_mem_eq(a->data, b->data, (size_t)a->size * 2);
        ck_assert_int_eq(safetensors_find(file, "up.bias")->dtype, DTYPE_F32);
        safetensors_close(file);
        safetensors_close(old);
        params_free(m.params);
    }
}
END_TEST

static void save_without_numbers(void)
{
    Error error;
    Model m = model_new(params_for_inference());
    checkpoint_save(scratch("none.safetensors"), &m.params, 1, NULL, 0, &error);
}

START_TEST(saving_a_model_without_numbers_is_a_mistake)
{
    scratch_folder(); /* made here, for the process that aborts removes nothing */
    assert_contains(mistake_text(save_without_numbers), "has no numbers yet");
}
END_TEST

START_TEST(frozen_parameters_are_saved_and_loaded_as_ever)
{
    Error error = {""};
    Model m = model_new(params_new(4)), n = model_new(params_new(5));
    params_freeze(m.params, "up.");
    params_freeze(n.params, "down.");
    const char *path = scratch("frozen.safetensors");
    ck_assert(checkpoint_save(path, &m.params, 1, NULL, 0, &error));
    load(n.params, path);
    for (int i = 0; i < m.params->count; i++) {
        const Tensor *x = m.params->item[i].tensor;
        ck_assert_mem_eq(n.params->item[i].tensor->data, x->data,
                         (size_t)t_size(x) * sizeof(float));
    }
    params_free(m.params);
    params_free(n.params);
}
END_TEST

/* ---- A part ---- */

/* Writes parameters of these names, each of one number: 1, 2, 3, ... */
static const char *write_numbers(const char *const *names)
{
    Error error = {""};
    Params *params = params_new(0);
    for (int i = 0; names[i]; i++)
        param(scope(params), names[i], 1, constant(i + 1));
    const char *path = scratch("part.safetensors");
    ck_assert(checkpoint_save(path, &params, 1, NULL, 0, &error));
    params_free(params);
    return path;
}

/* Loads into parameters of these names, which begin at -1, and checks their numbers. */
static Loaded loads(const char *const *file, const Conventions *conventions,
                    const char *const *names, const float *want, const Partial *partial)
{
    Error error = {""};
    Loaded loaded;
    Checkpoint *c = opened(write_numbers(file), conventions);
    for (int inference = 0; inference < 2; inference++) {
        Params *params = inference ? params_for_inference() : params_new(0);
        for (int i = 0; names[i]; i++)
            param(scope(params), names[i], 1, constant(-1));
        ck_assert_msg(checkpoint_load_part(c, &params, 1, partial, &loaded, &error), "%s",
                      error.text);
        for (int i = 0; names[i]; i++)
            ck_assert_msg(params->item[i].tensor->data[0] == want[i], "%s is %g", names[i],
                          (double)params->item[i].tensor->data[0]);
        params_free(params);
    }
    checkpoint_close(c);
    return loaded;
}

static void refused(const char *const *file, const char *const *names,
                    const Partial *partial, const char *sentence)
{
    Error error = {""};
    Params *params = params_new(0);
    Checkpoint *c = opened(write_numbers(file), &bert);
    for (int i = 0; names[i]; i++)
        param(scope(params), names[i], 1, constant(-1));
    ck_assert(!checkpoint_load_part(c, &params, 1, partial, NULL, &error));
    assert_contains(error.text, scratch("part.safetensors"));
    assert_contains(error.text, sentence);
    for (int i = 0; names[i]; i++)
        ck_assert_float_eq(params->item[i].tensor->data[0], -1);
    checkpoint_close(c);
    params_free(params);
}

#define NAMES(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

START_TEST(a_new_head_is_put_on_an_old_body)
{
    const char *const *file = NAMES("bert.a.weight", "bert.b.weight", "cls.bias",
                                    "cls.transform.weight"),
                      *const *model = NAMES("a.weight", "classifier.weight", "b.weight",
                                            "classifier.bias");
    const float want[] = {1, -1, 2, -1};
    Partial partial = {.missing = NAMES("classifier."), .unused = NAMES("none.", "cls.")};
    Loaded loaded = loads(file, &bert, model, want, &partial);
    ck_assert_int_eq(loaded.loaded, 2);
    ck_assert_int_eq(loaded.kept, 2);
    ck_assert_int_eq(loaded.unused, 2);

    refused(file, model, &(Partial){.missing = partial.missing},
            "does not fit the model: it has besides cls.bias, cls.transform.weight");
    refused(file, model, &(Partial){.unused = partial.unused},
            "does not fit the model: it lacks classifier.weight, classifier.bias");
    refused(file, model,
            &(Partial){.missing = NAMES("class.", "lassifier."), .unused = partial.unused},
            "it lacks classifier.weight, classifier.bias");
}
END_TEST

START_TEST(what_may_be_missing_is_loaded_where_it_is_there)
{
    const float want[] = {2, 1};
    Partial partial = {.missing = NAMES("classifier."), .unused = NAMES("a.")};
    Loaded loaded = loads(NAMES("a.weight", "classifier.weight"), &plain,
                          NAMES("classifier.weight", "a.weight"), want, &partial);
    ck_assert_int_eq(loaded.loaded, 2);
    ck_assert_int_eq(loaded.kept, 0);
    ck_assert_int_eq(loaded.unused, 0);
}
END_TEST

START_TEST(unused_names_are_those_of_the_model)
{
    const float want[] = {1};
    Partial partial = {.unused = NAMES("pooler.")};
    Loaded loaded = loads(NAMES("bert.a", "bert.pooler.weight", "pooler.bias"), &bert,
                          NAMES("a"), want, &partial);
    ck_assert_int_eq(loaded.unused, 2);
}
END_TEST

START_TEST(a_star_stands_for_one_part_of_a_name)
{
    const float want[] = {1, -1, -1};
    Partial partial = {.missing = NAMES("h.*.gate.")};
    const char *const *file = NAMES("a");
    loads(file, &plain, NAMES("a", "h.0.gate.w", "h.11.gate.b"), want, &partial);
    refused(file, NAMES("a", "h.0.more.gate.w"), &partial, "it lacks h.0.more.gate.w");
    refused(file, NAMES("a", "h.0.gates.w"), &partial, "it lacks h.0.gates.w");
    refused(file, NAMES("a", "h.0.gate"), &partial, "it lacks h.0.gate");
}
END_TEST

START_TEST(experts_begin_as_the_dense_network)
{
    static const char *const source[][2] = {{"h.*.moe.experts.*.w1.", "h.*.mlp.gate."},
                                            {"h.*.moe.experts.*.w2.", "h.*.mlp.down."},
                                            {NULL, NULL}};
    const float want[] = {1, 1, 2, 3, 3, -1, -1};
    Partial partial = {.source = source, .missing = NAMES("h.*.moe.gate.")};
    Loaded loaded = loads(
        NAMES("h.0.mlp.gate.weight", "h.0.mlp.down.weight", "h.10.mlp.gate.weight"), &plain,
        NAMES("h.0.moe.experts.0.w1.weight", "h.0.moe.experts.13.w1.weight",
              "h.0.moe.experts.0.w2.weight", "h.10.moe.experts.0.w1.weight",
              "h.10.moe.experts.1.w1.weight", "h.0.moe.gate.weight",
              "h.10.moe.gate.weight"),
        want, &partial);
    ck_assert_int_eq(loaded.loaded, 5);
    ck_assert_int_eq(loaded.kept, 2);
    refused(NAMES("h.0.mlp.gate.weight"), NAMES("h.1.moe.experts.0.w1.weight"),
            &(Partial){.source = source},
            "it lacks h.1.moe.experts.0.w1.weight; it has besides h.0.mlp.gate.weight");
}
END_TEST

START_TEST(an_own_name_comes_before_a_source)
{
    static const char *const source[][2] = {
        {"x.", "y.*."}, {"a.", "b."}, {"a.", "c."}, {"p.*.q.*.", "r.*.s.*."}, {NULL, NULL}};
    const float want[] = {2, 3, 4};
    Partial partial = {.source = source, .unused = NAMES("b.w", "c.w")};
    loads(NAMES("b.w", "a.w", "c.v", "r.1.s.2.w"), &plain, NAMES("a.w", "a.v", "p.1.q.2.w"),
          want, &partial);
}
END_TEST

START_TEST(a_file_that_shares_nothing_is_refused)
{
    refused(NAMES("a"), NAMES("b"), &(Partial){.missing = NAMES("b"), .unused = NAMES("a")},
            "holds nothing of this model");
}
END_TEST

START_TEST(weights_in_parts_lie_in_all_of_them)
{
    static const char index[] = "{\"weight_map\": {\"a\": \"one\", \"b\": \"two\"}}";
    Error error = {""};
    for (int i = 0; i < 2; i++) {
        Params *params = params_new(0);
        param(scope(params), i ? "b" : "a", 2, 2, constant(i + 1));
        ck_assert(checkpoint_save(scratch(i ? "two" : "one"), &params, 1, NULL, 0, &error));
        params_free(params);
    }
    write_bytes(scratch("model.safetensors.index.json"), index, sizeof index - 1);
    write_bytes(scratch("config.json"), "{\"n\": 3}", 8);
    Params *params = params_for_inference();
    Tensor *a = param(scope(params), "a", 2, 2, constant(0)),
           *b = param(scope(params), "b", 2, 2, constant(0));
    Checkpoint *c = opened(scratch_folder(), &plain);
    ck_assert(c->config && json_member(c->config, "n"));
    ck_assert(checkpoint_load(c, &params, 1, &error));
    checkpoint_close(c);
    ck_assert_float_eq(a->data[3], 1);
    ck_assert_float_eq(b->data[3], 2);
    params_free(params);
}
END_TEST

SUITE("checkpoint_load", 10, a_model_for_inference_gives_the_results_of_one_that_learns,
      floats_lie_in_the_file_and_take_no_memory,
      matrices_stay_packed_and_all_else_becomes_floats,
      a_list_for_inference_may_be_loaded_again, data_that_are_not_aligned_are_copied,
      what_is_packed_is_saved_as_it_is, saving_a_model_without_numbers_is_a_mistake,
      frozen_parameters_are_saved_and_loaded_as_ever, a_new_head_is_put_on_an_old_body,
      what_may_be_missing_is_loaded_where_it_is_there, unused_names_are_those_of_the_model,
      a_star_stands_for_one_part_of_a_name, experts_begin_as_the_dense_network,
      an_own_name_comes_before_a_source, a_file_that_shares_nothing_is_refused,
      weights_in_parts_lie_in_all_of_them)
