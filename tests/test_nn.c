/* test_nn.c - parameters have names, begin as they should and go away; layers do what their
 * equations say. */
#include "nn/nn.h"
#include "tensor/ops.h"
#include "oracle.h"
#include "base/random.h"
#include "suite.h"

#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Names ---- */

START_TEST(names_grow_through_scopes)
{
    Params *params = params_new(1);
    Scope top = scope(params), block = under(top, "h.%d", 12);
    Tensor *a = param(top, "wte.weight", 3, 2, constant(0));
    Tensor *b = param(under(block, "attn"), "bias", 5, constant(0));
    Tensor *c = state_new(block, "cache", 2, 3, 4);

    ck_assert_int_eq(params->count, 3);
    ck_assert_str_eq(params->item[0].name, "wte.weight");
    ck_assert_str_eq(params->item[1].name, "h.12.attn.bias");
    ck_assert_str_eq(params->item[2].name, "h.12.cache");
    ck_assert(params_find(params, "wte.weight") == a);
    ck_assert(params_find(params, "h.12.attn.bias") == b);
    ck_assert(params_find(params, "h.12.cache") == c);
    ck_assert(params_find(params, "h.12.attn") == NULL);
    ck_assert(params_find(params, "") == NULL);
    ck_assert_double_eq(params->elements, 6 + 5 + 24);
    for (int i = 0; i < 3; i++)
        ck_assert(params->item[i].file_name == NULL);
    params_free(params);
}
END_TEST

START_TEST(a_scope_is_a_value_that_naming_below_it_leaves_alone)
{
    Params *params = params_new(1);
    Scope top = scope(params), block = under(top, "h.%d", 0);
    under(block, "attn");
    under(block, "mlp");
    ck_assert_str_eq(top.prefix, "");
    ck_assert_str_eq(block.prefix, "h.0.");
    ck_assert_str_eq(under(block, "ln_1").prefix, "h.0.ln_1.");
    params_free(params);
}
END_TEST

static void name_twice(void)
{
    Params *params = params_new(1);
    param(under(scope(params), "h.0"), "weight", 2, constant(0));
    param(scope(params), "h.0.weight", 3, constant(0));
}

static void nest_too_deep(void)
{
    Scope at = scope(params_new(1));
    for (int i = 0; i < 100; i++)
        at = under(at, "level");
}

static void name_too_long(void)
{
    char name[200];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    param(scope(params_new(1)), name, 2, constant(0));
}

START_TEST(a_name_given_twice_is_a_mistake)
{
    ck_assert_str_eq(mistake_text(name_twice), "param: there is already a h.0.weight\n");
}
END_TEST

START_TEST(names_that_do_not_fit_are_a_mistake)
{
    const char *text = mistake_text(nest_too_deep);
    assert_contains(text, "under: the name level.level.");
    assert_contains(text, "is too long");
    text = mistake_text(name_too_long);
    assert_contains(text, "param: the name nnnnnnn");
    assert_contains(text, "is too long");
}
END_TEST

START_TEST(the_longest_name_that_a_scope_takes_is_kept_whole)
{
    Params *params = params_new(1);
    char longest[95];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    Scope s = under(scope(params), "%s", longest);
    ck_assert_uint_eq(strlen(s.prefix), sizeof longest);
    ck_assert_mem_eq(s.prefix, longest, sizeof longest - 1);
    ck_assert_int_eq(s.prefix[sizeof longest - 1], '.');
    params_free(params);
}
END_TEST

/* ---- How parameters begin ---- */

START_TEST(one_to_four_sizes_make_a_parameter)
{
    Params *params = params_new(1);
    Scope top = scope(params);
    const Tensor *x[] = {
        param(top, "a", 2, constant(1)), param(top, "b", 2, 3, constant(1)),
        param(top, "c", 2, 3, 4, constant(1)), param(top, "d", 2, 3, 4, 5, constant(1))};
    ck_assert_str_eq(t_text(x[0]), "(2,)");
    ck_assert_str_eq(t_text(x[1]), "(2, 3)");
    ck_assert_str_eq(t_text(x[2]), "(2, 3, 4)");
    ck_assert_str_eq(t_text(x[3]), "(2, 3, 4, 5)");
    for (int i = 0; i < 4; i++) {
        ck_assert(x[i] == params->item[i].tensor);
        ck_assert(x[i]->storage->wants_grad);
        for (long j = 0; j < t_size(x[i]); j++) {
            ck_assert_float_eq(x[i]->data[j], 1);
            ck_assert_float_eq(t_grad(x[i])[j], 0);
        }
    }
    params_free(params);
}
END_TEST

START_TEST(a_state_is_cleared_and_does_not_learn)
{
    Params *params = params_new(1);
    Tensor *x = state_new(scope(params), "memory", 3, 5);
    ck_assert_str_eq(t_text(x), "(3, 5)");
    ck_assert(!x->storage->wants_grad);
    ck_assert(t_grad(x) == NULL);
    for (long j = 0; j < t_size(x); j++)
        ck_assert_float_eq(x->data[j], 0);
    params_free(params);
}
END_TEST

static Params *made_with(uint64_t seed, const char *first, const char *second)
{
    Params *params = params_new(seed);
    param(scope(params), first, 7, 11, normal(1));
    if (second)
        param(scope(params), second, 7, 11, normal(1));
    return params;
}

static bool same_numbers(const Params *a, const Params *b, const char *name,
                         const char *other)
{
    return memcmp(params_find(a, name)->data, params_find(b, other)->data,
                  77 * sizeof(float)) == 0;
}

START_TEST(first_values_depend_on_seed_and_name_alone)
{
    Params *one = made_with(5, "a", "b"), *turned = made_with(5, "b", "a"),
           *alone = made_with(5, "b", NULL), *other = made_with(6, "a", "b");
    ck_assert(same_numbers(one, turned, "a", "a"));
    ck_assert(same_numbers(one, turned, "b", "b"));
    ck_assert(same_numbers(one, alone, "b", "b"));
    ck_assert(!same_numbers(one, one, "a", "b"));
    ck_assert(!same_numbers(one, other, "a", "a"));
    params_free(one);
    params_free(turned);
    params_free(alone);
    params_free(other);
}
END_TEST

START_TEST(the_whole_name_counts_not_the_last_part)
{
    Params *params = params_new(5);
    Tensor *a = param(under(scope(params), "h.0"), "weight", 7, 11, normal(1));
    Tensor *b = param(under(scope(params), "h.1"), "weight", 7, 11, normal(1));
    ck_assert(memcmp(a->data, b->data, 77 * sizeof(float)) != 0);
    params_free(params);
}
END_TEST

/* The moments of n numbers, and the greatest and least of them. */
typedef struct {
    double mean, deviation, skew, tail, least, most;
    double neighbours; /* the correlation of each number with the next */
} Moments;

static Moments moments_of(const Tensor *x)
{
    double n = (double)t_size(x), sum = 0, powers[5] = {0};
    Moments m = {.least = INFINITY, .most = -INFINITY};
    for (long i = 0; i < t_size(x); i++) {
        sum += x->data[i];
        m.least = fmin(m.least, x->data[i]);
        m.most = fmax(m.most, x->data[i]);
    }
    m.mean = sum / n;
    for (long i = 0; i < t_size(x); i++)
        for (int k = 2; k <= 4; k++)
            powers[k] += pow(x->data[i] - m.mean, k) / n;
    m.deviation = sqrt(powers[2]);
    for (long i = 1; i < t_size(x); i++)
        m.neighbours += (x->data[i] - m.mean) * (x->data[i - 1] - m.mean) / (n * powers[2]);
    m.skew = powers[3] / pow(m.deviation, 3);
    m.tail = powers[4] / pow(m.deviation, 4);
    return m;
}

/* With N numbers the mean is off by about 1 / sqrt(N) of the deviation: bounds of five
 * times that, for fixed numbers, leave nothing to luck. */
START_TEST(normal_has_the_moments_of_a_normal_distribution)
{
    enum { N = 40000 };
    Params *params = params_new(3);
    Moments m = moments_of(param(scope(params), "x", 200, 200, normal(0.02)));
    ck_assert_double_lt(fabs(m.mean), 5 * 0.02 / sqrt(N));
    ck_assert_double_lt(fabs(m.deviation / 0.02 - 1), 5 / sqrt(2.0 * N));
    ck_assert_double_lt(fabs(m.skew), 5 * sqrt(6.0 / N));
    ck_assert_double_lt(fabs(m.tail - 3), 5 * sqrt(24.0 / N));
    ck_assert_double_lt(fabs(m.neighbours), 5 / sqrt(N));
    params_free(params);
}
END_TEST

START_TEST(uniform_fills_its_range_evenly)
{
    enum { N = 40000 };
    Params *params = params_new(3);
    Moments m = moments_of(param(scope(params), "x", 200, 200, uniform(0.3)));
    ck_assert_double_ge(m.least, -0.3f);
    ck_assert_double_le(m.most, 0.3f);
    ck_assert_double_lt(m.least, -0.2995);
    ck_assert_double_gt(m.most, 0.2995);
    ck_assert_double_lt(fabs(m.mean), 5 * 0.3 / sqrt(3.0 * N));
    ck_assert_double_lt(fabs(m.deviation / 0.3 - 1 / sqrt(3)), 0.005);
    ck_assert_double_lt(fabs(m.tail - 1.8), 0.05);
    ck_assert_double_lt(fabs(m.neighbours), 5 / sqrt(N));
    params_free(params);
}
END_TEST

START_TEST(a_constant_is_that_everywhere)
{
    Params *params = params_new(3);
    Moments m = moments_of(param(scope(params), "x", 3, 5, 7, constant(-1.5)));
    ck_assert_double_eq(m.least, -1.5);
    ck_assert_double_eq(m.most, -1.5);
    params_free(params);
}
END_TEST

/* ---- More than the machine has ---- */

static void ask_for_much(void)
{
    Params *params = params_new(1);
    param(scope(params), "wte.weight", 1 << 30, 1 << 20, normal(0.02));
}

/* Each part would be had; all together would not. */
static void ask_for_much_in_parts(void)
{
    Params *params = params_new(1);
    params->bytes = (double)physical_memory() - 15;
    param(scope(params), "last", 1, constant(0));
}

/* What is printed to stderr by a function that ends its process with status 1. */
static const char *last_words(void (*work)(void))
{
    static char text[1024];
    int ends[2], status;
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        work();
        _exit(0);
    }
    close(ends[1]);
    ssize_t got, length = 0;
    while ((got = read(ends[0], text + length, sizeof text - 1 - (size_t)length)) > 0)
        length += got;
    text[length] = 0;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    return text;
}

START_TEST(a_model_larger_than_the_memory_ends_with_a_sentence)
{
    const char *text = last_words(ask_for_much);
    assert_contains(text, "out of memory: ");
    assert_contains(text, " MB for the model cannot be had");
    ck_assert(strchr(text, '\n') == text + strlen(text) - 1);
    text = last_words(ask_for_much_in_parts);
    assert_contains(text, " MB for the model cannot be had");
}
END_TEST

/* A parameter that learns is four floats, with its gradient and moments; a state is one; a
 * parameter for inference is none until it has numbers of its own. */
START_TEST(memory_is_counted_as_it_is_needed)
{
    Params *params = params_new(1), *waiting = params_for_inference();
    param(scope(params), "x", 5, 3, constant(0));
    ck_assert_double_eq(params->bytes, 4 * 60);
    state_new(scope(params), "s", 5, 3);
    ck_assert_double_eq(params->bytes, 5 * 60);
    ck_assert_double_eq(params->elements, 30);
    param(scope(waiting), "x", 1 << 30, 1 << 10, normal(1)); /* terabytes, if it were had */
    param(scope(waiting), "y", 5, 3, normal(1));
    ck_assert_double_eq(waiting->bytes, 0);
    param_own(waiting, &waiting->item[1]);
    param_own(waiting, &waiting->item[1]);
    ck_assert_double_eq(waiting->bytes, 60);
    params_free(params);
    params_free(waiting);
}
END_TEST

static Tensor *drawn(Tape *tape, int rank, const int *shape, uint64_t stream)
{
    Tensor *x = t_empty_of(tape, rank, shape);
    for (long i = 0; i < t_size(x); i++)
        x->data[i] = random_normal(8, stream, (uint64_t)i);
    return x;
}

/* ---- Parameters that do not learn ---- */

/* A linear layer between two vectors, as a list of this kind has it. */
static Linear made_layer(Params *params)
{
    param(under(scope(params), "h.fc"), "gain", 4, normal(1));
    Linear l = linear_new(under(scope(params), "fc"), 4, 3, normal(1));
    param(scope(params), "fcx", 3, normal(1));
    return l;
}

START_TEST(a_list_for_inference_has_neither_gradients_nor_numbers)
{
    Params *learning = params_new(0), *params = params_for_inference();
    Linear l = made_layer(params);
    made_layer(learning);
    for (int i = 0; i < params->count; i++) {
        Param *p = &params->item[i];
        ck_assert_str_eq(p->name, learning->item[i].name);
        ck_assert(!p->tensor->storage->wants_grad && p->tensor->data == NULL);
        ck_assert(t_grad(p->tensor) == NULL);
        param_begin(params, p);
        ck_assert_mem_eq(p->tensor->data, learning->item[i].tensor->data,
                         (size_t)t_size(p->tensor) * sizeof(float));
        ck_assert(t_grad(p->tensor) == NULL);
    }
    ck_assert(l.weight->data == params_find(params, "fc.weight")->data); /* a view */

    Tape *tape = tape_new(TAPE_PROBE, 0);
    const Tensor *y = linear(&l, t_zeros(tape, 2, 4));
    ck_assert(!y->storage->wants_grad);
    tape_free(tape);
    params_free(params);
    params_free(learning);
}
END_TEST

START_TEST(freezing_takes_the_names_that_begin_so)
{
    Params *params = params_new(1);
    made_layer(params);
    ck_assert_int_eq(params_freeze(params, "gain"), 0);
    ck_assert_int_eq(params_freeze(params, "fc."), 2);
    for (int i = 0; i < params->count; i++) {
        const Tensor *x = params->item[i].tensor;
        bool frozen = strncmp(params->item[i].name, "fc.", 3) == 0;
        ck_assert(x->storage->wants_grad == !frozen);
        ck_assert((t_grad(x) == NULL) == frozen);
        ck_assert(x->data != NULL);
    }
    ck_assert_int_eq(params_freeze(params, ""), 4);
    params_free(params);
}
END_TEST

/* The gradients of all others are those of an unfrozen model, to the last bit. */
START_TEST(backward_passes_through_what_is_frozen)
{
    Params *params[2];
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    for (int frozen = 0; frozen < 2; frozen++) {
        params[frozen] = params_new(1);
        Linear a = linear_new(under(scope(params[frozen]), "a"), 4, 5, normal(1));
        Linear b = linear_new_by_input(under(scope(params[frozen]), "b"), 5, 6, normal(1));
        LayerNorm n = layer_norm_new(under(scope(params[frozen]), "n"), 6, 1e-5f);
        if (frozen) {
            ck_assert_int_eq(params_freeze(params[frozen], "b."), 2);
            ck_assert_int_eq(params_freeze(params[frozen], "n.weight"), 1);
        }
        tape_reset(tape, 0);
        Tensor *x = drawn(tape, T_INTS(3, 4), 2);
        Tensor *y = layer_norm(&n, linear(&b, t_tanh(linear(&a, x))));
        backward(t_sum_all(t_mul(y, drawn(tape, T_INTS(3, 6), 3))));
    }
    for (int i = 0; i < params[0]->count; i++) {
        const Param *p = &params[1]->item[i];
        const float *grad = t_grad(params[0]->item[i].tensor), *got = t_grad(p->tensor);
        bool frozen = p->name[0] == 'b' || strcmp(p->name, "n.weight") == 0;
        ck_assert((got == NULL) == frozen);
        if (got)
            ck_assert_mem_eq(got, grad, (size_t)t_size(p->tensor) * sizeof *got);
    }
    tape_free(tape);
    params_free(params[0]);
    params_free(params[1]);
}
END_TEST

static int released;

static void release(void *what)
{
    released = 10 * released + *(int *)what;
}

START_TEST(what_a_list_holds_is_released_with_it)
{
    static int one = 1, two = 2;
    Params *params = params_for_inference();
    params_hold(params, &one, release);
    params_hold(params, &two, release);
    ck_assert_int_eq(released, 0);
    params_free(params);
    ck_assert_int_eq(released, 21);
}
END_TEST

START_TEST(what_the_optimizer_should_know_is_said_where_a_parameter_is_made)
{
    static const struct {
        const char *name;
        bool multiplies, decays;
    } want[] = {
        {"vector", false, false},    {"table", false, true},     {"kernel", false, true},
        {"A_log", false, false},     {"in_proj", true, true},    {"out.weight", true, true},
        {"out.bias", false, false},  {"in.weight", true, true},  {"in.bias", false, false},
        {"none.weight", true, true}, {"n.weight", false, false}, {"n.bias", false, false}};
    Params *params = params_new(1);
    Scope top = scope(params);
    param(top, "vector", 3, constant(0));
    param(top, "table", 3, 4, constant(0));
    param(top, "kernel", 3, 1, 4, constant(0));
    Tensor *a = param(top, "A_log", 3, 4, constant(0));
    ck_assert(no_decay(top, a) == a);
    const Tensor *matrix = param_matrix(top, "in_proj", 6, 5, constant(0));
    ck_assert_str_eq(t_text(matrix), "(6, 5)");
    linear_new(under(top, "out"), 2, 3, constant(0));
    linear_new_by_input(under(top, "in"), 2, 3, constant(0));
    linear_new_unbiased(under(top, "none"), 2, 3, constant(0));
    layer_norm_new(under(top, "n"), 3, 1e-5f);
    ck_assert_int_eq(params->count, sizeof want / sizeof want[0]);
    for (int i = 0; i < params->count; i++) {
        ck_assert_str_eq(params->item[i].name, want[i].name);
        ck_assert_msg(params->item[i].multiplies == want[i].multiplies &&
                          params->item[i].decays == want[i].decays,
                      "%s", want[i].name);
    }
    params_free(params);
}
END_TEST

static void mark_a_stranger(void)
{
    Params *params = params_new(1), *other = params_new(1);
    no_decay(scope(params), param(scope(other), "A_log", 3, 4, constant(0)));
}

START_TEST(a_parameter_of_another_list_is_a_mistake)
{
    ck_assert_str_eq(mistake_text(mark_a_stranger),
                     "(3, 4) is not a parameter of this list\n");
}
END_TEST

/* ---- The table ---- */

static const char *printed(const Params *params)
{
    static char text[2048];
    FILE *out = fmemopen(text, sizeof text, "w");
    ck_assert(out != NULL);
    params_print(out, params);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

START_TEST(stacks_of_different_height_are_counted_apart)
{
    Params *params = params_new(1);
    for (int l = 0; l < 3; l++)
        param(under(scope(params), "encoder.layers.%d", l), "norm.weight", 8, constant(1));
    for (int l = 0; l < 2; l++)
        param(under(scope(params), "decoder.layers.%d", l), "norm.weight", 8, constant(1));
    ck_assert_str_eq(printed(params),
                     "  encoder.layers.*.norm.weight (8,)                  8 each of 3\n"
                     "  decoder.layers.*.norm.weight (8,)                  8 each of 2\n"
                     "  all together                                      40\n");
    params_free(params);
}
END_TEST

START_TEST(the_table_shows_repeated_layers_once)
{
    Params *params = params_new(1);
    param(scope(params), "wte.weight", 65, 8, constant(0));
    for (int l = 0; l < 3; l++) {
        Scope block = under(scope(params), "h.%d", l);
        param(under(block, "ln_1"), "weight", 8, constant(1));
        linear_new_by_input(under(block, "mlp.c_fc"), 8, 32, constant(0));
    }
    param(scope(params), "ln_f.weight", 8, constant(1));
    ck_assert_str_eq(printed(params),
                     "  wte.weight                   (65, 8)             520\n"
                     "  h.*.ln_1.weight              (8,)                  8 each of 3\n"
                     "  h.*.mlp.c_fc.weight          (8, 32)             256 each of 3\n"
                     "  h.*.mlp.c_fc.bias            (32,)                32 each of 3\n"
                     "  ln_f.weight                  (8,)                  8\n"
                     "  all together                                    1416\n");
    params_free(params);
}
END_TEST

START_TEST(the_table_takes_no_other_number_for_a_layer)
{
    Params *params = params_new(1);
    param(scope(params), "conv1d.weight", 4, constant(0));
    param(scope(params), "rnn.weight_ih_l0", 2, 3, constant(0));
    param(scope(params), "h.0.weight", 5, constant(0));
    ck_assert_str_eq(printed(params),
                     "  conv1d.weight                (4,)                  4\n"
                     "  rnn.weight_ih_l0             (2, 3)                6\n"
                     "  h.*.weight                   (5,)                  5\n"
                     "  all together                                      15\n");
    params_free(params);
}
END_TEST

/* ---- Layers ---- */

static void assert_near(double got, double want)
{
    ck_assert_msg(fabs(got - want) <= 1e-5 * (1 + fabs(want)), "%.9g, not %.9g", got, want);
}

START_TEST(linear_is_the_same_in_both_layouts)
{
    enum { B = 2, T = 3, IN = 5, OUT = 7 };
    Params *params = params_new(1);
    Linear by_output = linear_new(under(scope(params), "a"), IN, OUT, normal(1));
    Linear by_input = linear_new_by_input(under(scope(params), "b"), IN, OUT, constant(0));
    const float *stored = params_find(params, "a.weight")->data;
    ck_assert_str_eq(t_text(params_find(params, "a.weight")), "(7, 5)");
    ck_assert_str_eq(t_text(params_find(params, "b.weight")), "(5, 7)");
    ck_assert_str_eq(t_text(by_output.weight), "(5, 7)");
    ck_assert_str_eq(t_text(by_input.weight), "(5, 7)");
    for (int o = 0; o < OUT; o++) {
        by_output.bias->data[o] = by_input.bias->data[o] = 0.1f * (float)o - 0.2f;
        for (int i = 0; i < IN; i++)
            by_input.weight->data[i * OUT + o] = stored[o * IN + i];
    }

    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = drawn(tape, T_INTS(B, T, IN), 1);
    Tensor *a = t_shaped(linear(&by_output, x), B, T, OUT);
    Tensor *b = t_shaped(linear(&by_input, x), B, T, OUT);
    for (int r = 0; r < B * T; r++)
        for (int o = 0; o < OUT; o++) {
            double sum = by_input.bias->data[o];
            for (int i = 0; i < IN; i++)
                sum += (double)x->data[r * IN + i] * stored[o * IN + i];
            assert_near(a->data[r * OUT + o], sum);
            assert_near(b->data[r * OUT + o], sum);
        }

    backward(t_sum_all(t_add(t_mul(a, a), t_mul(b, b))));
    const float *da = t_grad(params_find(params, "a.weight")),
                *db = t_grad(params_find(params, "b.weight"));
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < IN; i++)
            assert_near(da[o * IN + i], db[i * OUT + o]);
    tape_free(tape);
    params_free(params);
}
END_TEST

START_TEST(a_bias_is_optional_and_begins_at_zero)
{
    enum { IN = 3, OUT = 4 };
    Params *params = params_new(1);
    Linear with = linear_new(under(scope(params), "with"), IN, OUT, normal(1));
    Linear without = linear_new_unbiased(under(scope(params), "none"), IN, OUT, normal(1));
    ck_assert(without.bias == NULL);
    ck_assert(params_find(params, "none.bias") == NULL);
    ck_assert(params_find(params, "with.bias") == with.bias);
    ck_assert_int_eq(params->count, 3);
    for (int o = 0; o < OUT; o++)
        ck_assert_float_eq(with.bias->data[o], 0);

    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = drawn(tape, T_INTS(2, IN), 1);
    Tensor *y = t_shaped(linear(&without, x), 2, OUT);
    const float *w = params_find(params, "none.weight")->data;
    for (int o = 0; o < OUT; o++)
        assert_near(y->data[OUT + o], x->data[IN] * w[o * IN] +
                                          x->data[IN + 1] * w[o * IN + 1] +
                                          x->data[IN + 2] * w[o * IN + 2]);
    tape_free(tape);
    params_free(params);
}
END_TEST

START_TEST(a_fresh_rms_norm_brings_rows_to_a_mean_square_of_one)
{
    enum { R = 3, C = 5 };
    Params *params = params_new(1);
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    RmsNorm norm = rms_norm_new(under(scope(params), "n"), C, 1e-6f);
    ck_assert_str_eq(params->item[0].name, "n.weight");
    ck_assert_int_eq(params->count, 1);
    Tensor *x = t_empty(tape, R, C);
    for (int i = 0; i < R * C; i++)
        x->data[i] = (float)(i * i % 7 - 2);
    Tensor *y = t_shaped(rms_norm(&norm, x), R, C);
    for (int r = 0; r < R; r++) {
        double square = 0;
        for (int c = 0; c < C; c++) {
            square += (double)y->data[r * C + c] * (double)y->data[r * C + c];
            ck_assert(y->data[r * C + c] * x->data[r * C + c] >= 0);
        }
        ck_assert_double_eq_tol(square / C, 1, 1e-5);
    }
    norm.weight->data[2] = 3;
    ck_assert_float_eq(rms_norm(&norm, x)->data[2], 3 * y->data[2]);
    tape_free(tape);
    params_free(params);
}
END_TEST

START_TEST(a_fresh_layer_norm_only_normalises)
{
    enum { R = 3, C = 5 };
    Params *params = params_new(1);
    LayerNorm norm = layer_norm_new(under(scope(params), "ln"), C, 0.01f);
    ck_assert(params_find(params, "ln.weight") == norm.weight);
    ck_assert(params_find(params, "ln.bias") == norm.bias);
    ck_assert_float_eq(norm.epsilon, 0.01f);

    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = drawn(tape, T_INTS(R, C), 1);
    Tensor *y = t_shaped(layer_norm(&norm, x), R, C);
    for (int r = 0; r < R; r++) {
        double mean = 0, variance = 0;
        for (int c = 0; c < C; c++)
            mean += x->data[r * C + c] / (double)C;
        for (int c = 0; c < C; c++)
            variance += pow(x->data[r * C + c] - mean, 2) / C;
        for (int c = 0; c < C; c++)
            assert_near(y->data[r * C + c],
                        (x->data[r * C + c] - mean) / sqrt(variance + 0.01));
    }
    tape_free(tape);
    params_free(params);
}
END_TEST

/* Views of a parameter are kept with it: used in a thousand steps, it has still one. */
START_TEST(layers_used_often_do_not_gather_views)
{
    Params *params = params_new(1);
    Linear l = linear_new(scope(params), 3, 4, normal(1));
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    for (int step = 0; step < 1000; step++) {
        tape_reset(tape, step);
        linear(&l, t_zeros(tape, 2, 3));
        t_transpose(params_find(params, "weight"));
    }
    int views = 0;
    const Storage *storage = params_find(params, "weight")->storage;
    for (const Tensor *view = storage->views; view; view = view->next)
        views++;
    ck_assert_int_eq(views, 1);
    tape_free(tape);
    params_free(params);
    params_free(NULL);
}
END_TEST

SUITE("nn", 10, names_grow_through_scopes,
      a_scope_is_a_value_that_naming_below_it_leaves_alone, a_name_given_twice_is_a_mistake,
      names_that_do_not_fit_are_a_mistake,
      the_longest_name_that_a_scope_takes_is_kept_whole, one_to_four_sizes_make_a_parameter,
      a_state_is_cleared_and_does_not_learn, first_values_depend_on_seed_and_name_alone,
      the_whole_name_counts_not_the_last_part,
      normal_has_the_moments_of_a_normal_distribution, uniform_fills_its_range_evenly,
      a_constant_is_that_everywhere, a_model_larger_than_the_memory_ends_with_a_sentence,
      memory_is_counted_as_it_is_needed,
      a_list_for_inference_has_neither_gradients_nor_numbers,
      freezing_takes_the_names_that_begin_so, backward_passes_through_what_is_frozen,
      what_a_list_holds_is_released_with_it,
      what_the_optimizer_should_know_is_said_where_a_parameter_is_made,
      a_parameter_of_another_list_is_a_mistake, the_table_shows_repeated_layers_once,
      stacks_of_different_height_are_counted_apart,
      the_table_takes_no_other_number_for_a_layer, linear_is_the_same_in_both_layouts,
      a_bias_is_optional_and_begins_at_zero, a_fresh_layer_norm_only_normalises,
      a_fresh_rms_norm_brings_rows_to_a_mean_square_of_one,
      layers_used_often_do_not_gather_views)
