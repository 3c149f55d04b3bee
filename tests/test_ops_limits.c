/* test_ops_limits.c - the operations at their limits: rows with nothing in them, numbers
 * too large, NaN, chance, the last digits, and the programmer's mistakes. What they compute
 * in ordinary life is the business of test_ops.c. */
#include "tensor/ops.h"
#include "oracle.h"
#include "tensor/parallel.h"
#include "suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* ---- Softmax, masks, cross-entropy: the borders ---- */

static Tensor *given(Tape *tape, int rows, int columns, const float *values)
{
    Tensor *x = t_keep_grad(t_empty(tape, rows, columns));
    memcpy(x->data, values, (size_t)(rows * columns) * sizeof *values);
    return x;
}

START_TEST(a_softmax_row_with_nothing_to_see_is_zero_with_finite_gradients)
{
    const float none = -INFINITY;
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 3, 5,
                      (float[]){1, 2, 3, 4, 5,                //
                                none, none, none, none, none, //
                                none, 1, none, 2, none});
    Tensor *y = t_softmax(x), *weight = t_empty(tape, 3, 5);
    for (int i = 0; i < 15; i++)
        weight->data[i] = (float)(i % 4) - 1.3f;
    backward(t_sum_all(t_mul(y, weight)));
    for (int i = 0; i < 15; i++)
        ck_assert_float_finite(t_grad(x)[i]);
    for (int i = 5; i < 10; i++) {
        ck_assert_float_eq(y->data[i], 0);
        ck_assert_float_eq(t_grad(x)[i], 0);
    }
    ck_assert_float_eq(y->data[10], 0);
    ck_assert_float_eq_tol(y->data[11] + y->data[13], 1, 1e-6);
    ck_assert_float_eq_tol(y->data[13], 1 / (1 + expf(-1)), 1e-6);
    tape_free(tape);
}
END_TEST

START_TEST(logarithms_of_rows_with_nothing_in_them_are_minus_infinity)
{
    const float none = -INFINITY;
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 2, 3, (float[]){none, none, none, none, 1, none});
    Tensor *y = t_log_softmax(x), *all = t_log_sum_exp(x);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(y->data[i], i == 4 ? 0 : none);
    ck_assert_float_eq(all->data[0], none);
    ck_assert_float_eq(all->data[1], 1);
    backward(t_add(t_sum_all(t_scale(all, 3)), t_sum_all(y)));
    const float want[] = {1, 1, 1, 1, 3 + 1 - 3, 1};
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(t_grad(x)[i], want[i], 1e-6);
    ck_assert_float_eq(t_log_sum_exp(t_zeros(tape, 2, 0))->data[1], none);
    tape_free(tape);
}
END_TEST

/* The logarithm of a probability that is no float; and, at 3e8, where floats are 32 apart, a
 * gradient that must not be found from the rounded sum. */
START_TEST(logarithms_of_rows_of_large_numbers_do_not_overflow)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 3, 2, (float[]){3e38f, -3e38f, 0, -1000, 3e8f, 3e8f});
    Tensor *y = t_log_softmax(x), *all = t_log_sum_exp(x);
    ck_assert_float_eq(y->data[0], 0);
    ck_assert_float_eq(y->data[1], -INFINITY); /* it is -6e38 */
    ck_assert_float_eq(y->data[2], 0);
    ck_assert_float_eq(y->data[3], -1000);
    ck_assert_float_eq_tol(y->data[4], -logf(2), 1e-6);
    ck_assert_float_eq(all->data[0], 3e38f);
    ck_assert_float_eq(all->data[1], 0);
    ck_assert_float_eq(all->data[2], 3e8f);
    backward(t_sum_all(all));
    const float want[] = {1, 0, 1, 0, 0.5f, 0.5f};
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(t_grad(x)[i], want[i], 1e-6);
    tape_free(tape);
}
END_TEST

START_TEST(of_a_single_number_the_softmax_is_one_and_its_logarithm_zero)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 3, 1, (float[]){-7, 0, 1e30f});
    Tensor *y = t_softmax(x), *z = t_log_softmax(x), *all = t_log_sum_exp(x);
    backward(t_sum_all(t_mul(z, y)));
    for (int i = 0; i < 3; i++) {
        ck_assert_float_eq(y->data[i], 1);
        ck_assert_float_eq(z->data[i], 0);
        ck_assert_float_eq(all->data[i], x->data[i]);
        ck_assert_float_eq(t_grad(x)[i], 0);
    }
    tape_free(tape);
}
END_TEST

START_TEST(an_rms_norm_keeps_zeros_and_brings_large_numbers_to_one)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 2, 3, (float[]){0, 0, 0, 1e15f, -1e15f, 1e15f});
    Tensor *weight = t_zeros(tape, 3);
    for (int i = 0; i < 3; i++)
        weight->data[i] = 1;
    Tensor *y = t_rms_norm(x, weight, 1e-6f);
    const float want[] = {0, 0, 0, 1, -1, 1};
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(y->data[i], want[i], 1e-6);
    backward(t_sum_all(y));
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(t_grad(x)[i], i < 3 ? 1000.0f : 0, 1e-2);
    tape_free(tape);
}
END_TEST

START_TEST(a_softmax_of_large_numbers_does_not_overflow)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *y = t_softmax(given(tape, 2, 3, (float[]){3e38f, 1, -3e38f, 1000, 999, -1e4f}));
    float want[] = {1, 0, 0, 1 / (1 + expf(-1)), 1 / (1 + expf(1)), 0};
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(y->data[i], want[i], 1e-6);
    tape_free(tape);
}
END_TEST

/* A row of nothing but NaN must not pass for one with nothing to see. */
START_TEST(nan_is_never_hidden)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    for (int n = 1; n < 40; n += 3)
        for (int bad = 0; bad < n; bad += 2) {
            Tensor *x = t_zeros(tape, 1, n), *row = t_zeros(tape, n);
            x->data[bad] = NAN;
            Tensor *all[] = {t_exp(x),
                             t_log(x),
                             t_tanh(x),
                             t_sigmoid(x),
                             t_relu(x),
                             t_silu(x),
                             t_gelu(x),
                             t_gelu_erf(x),
                             t_softplus(x),
                             t_scale(x, 0),
                             t_softmax(x),
                             t_log_softmax(x),
                             t_rms_norm(x, row, 1e-5f),
                             t_layer_norm(x, row, row, 1e-5f)};
            for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                ck_assert_msg(isnan(all[i]->data[bad]), "operation %zu hides a NaN", i);
            ck_assert_float_nan(t_item(t_sum_all(x)));
            ck_assert_float_nan(t_item(t_log_sum_exp(x)));
            Ids *target = ids_new(tape, 1);
            target->at[0] = n / 2;
            ck_assert_float_nan(t_item(t_cross_entropy(x, target)));
            tape_reset(tape, 0);
        }
    const float nan = NAN, none = -INFINITY;
    Tensor *x = given(tape, 2, 3, (float[]){nan, nan, nan, none, nan, none});
    Tensor *y = t_softmax(x), *z = t_log_softmax(x), *all = t_log_sum_exp(x);
    for (int i = 0; i < 6; i++)
        ck_assert(isnan(y->data[i]) && (isnan(z->data[i]) || isnan(x->data[i]) == 0));
    ck_assert(isnan(z->data[0]) && isnan(z->data[4]));
    ck_assert(isnan(all->data[0]) && isnan(all->data[1]));
    tape_free(tape);
}
END_TEST

START_TEST(a_mask_keeps_ones_and_lets_no_gradient_through_zeros)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 2, 3, (float[]){1, 2, 3, 4, 5, 6});
    Tensor *keep = t_zeros(tape, 3);
    keep->data[0] = keep->data[2] = 1;
    Tensor *y = t_masked(x, keep);
    backward(t_sum_all(t_mul(t_softmax(y), x)));
    for (int row = 0; row < 6; row += 3) {
        ck_assert_float_eq(y->data[row], x->data[row]);
        ck_assert(isinf(y->data[row + 1]) && y->data[row + 1] < 0);
        ck_assert_float_eq(y->data[row + 2], x->data[row + 2]);
        ck_assert_float_eq(t_grad(x)[row + 1], 0);
        ck_assert_float_ne(t_grad(x)[row], 0);
    }
    ck_assert(t_grad(keep) == NULL);
    tape_free(tape);
}
END_TEST

START_TEST(the_last_query_stands_at_the_last_key)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *y = t_causal(t_zeros(tape, 2, 3, 5));
    for (int b = 0; b < 2; b++)
        for (int t = 0; t < 3; t++)
            for (int s = 0; s < 5; s++)
                ck_assert_int_eq(isinf(element(y, (int[]){b, t, s})) != 0, s > t + 2);
    y = t_causal(t_zeros(tape, 1, 5)); /* one newcomer sees all that is past */
    for (int s = 0; s < 5; s++)
        ck_assert_float_eq(y->data[s], 0);
    tape_free(tape);
}
END_TEST

START_TEST(ignored_targets_count_for_nothing)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 3, 2, (float[]){1, 2, NAN, NAN, 4, 3});
    Ids *targets = ids_new(tape, 3);
    memcpy(targets->at, (int[]){1, -1, 0}, 3 * sizeof(int));
    Tensor *loss = t_cross_entropy(x, targets);
    ck_assert_float_eq_tol(t_item(loss), logf(1 + expf(-1)), 1e-6);
    backward(loss);
    float pull = 0.5f / (1 + expf(1)), want[] = {pull, -pull, 0, 0, -pull, pull};
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(t_grad(x)[i], want[i], 1e-7);
    tape_free(tape);
}
END_TEST

START_TEST(without_any_target_the_loss_and_its_gradients_are_zero)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 2, 2, (float[]){1, 2, 3, 4});
    Tensor *y = t_scale(x, 2);
    Ids *targets = ids_new(tape, 2);
    targets->at[0] = targets->at[1] = -1;
    Tensor *loss = t_cross_entropy(y, targets);
    ck_assert_float_eq(t_item(loss), 0);
    backward(loss);
    for (int i = 0; i < 4 && t_grad(x); i++)
        ck_assert_float_eq(t_grad(x)[i], 0);
    tape_free(tape);
}
END_TEST

/* The logits are those of a small example plus 10000: the loss stays the same, up to the
 * grain of floats of that size. */
START_TEST(cross_entropy_of_very_large_logits_is_exact)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = given(tape, 2, 3, (float[]){10000, 10002, 9999, -3e38f, 3e38f, 0});
    Ids *targets = ids_new(tape, 2);
    targets->at[0] = targets->at[1] = 1;
    Tensor *loss = t_cross_entropy(x, targets);
    double sum = exp(-2) + 1 + exp(-3);
    ck_assert_float_eq_tol(t_item(loss), log(sum) / 2, 1e-6);
    backward(loss);
    double want[] = {exp(-2) / sum / 2, (1 / sum - 1) / 2, exp(-3) / sum / 2, 0, 0, 0};
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq_tol(t_grad(x)[i], want[i], 1e-7);
    tape_free(tape);
}
END_TEST

/* ---- Dropout ---- */

static Tensor *ones(Tape *tape, int n)
{
    Tensor *x = t_keep_grad(t_empty(tape, n));
    for (int i = 0; i < n; i++)
        x->data[i] = 1;
    return x;
}

/* With 100000 draws the share of zeros has a standard deviation of 0.0014; the seed is
 * fixed, so that five of them are never exceeded by chance. */
START_TEST(dropout_drops_the_share_it_is_told_to)
{
    enum { N = 100000 };
    const float p = 0.3f;
    Tape *tape = tape_new(TAPE_TRAINING, 7);
    Tensor *y = t_dropout(ones(tape, N), p);
    int zeros = 0, pairs = 0;
    for (int i = 0; i < N; i++) {
        zeros += y->data[i] == 0;
        pairs += i > 0 && y->data[i] == 0 && y->data[i - 1] == 0;
        ck_assert(y->data[i] == 0 || y->data[i] == 1 / (1 - p));
    }
    ck_assert_double_eq_tol(zeros / (double)N, p, 0.007);
    ck_assert_double_eq_tol(pairs / (double)N, p * p, 0.007); /* neighbours independent */
    tape_free(tape);
}
END_TEST

START_TEST(dropout_draws_the_same_for_any_number_of_threads)
{
    enum { N = 20011 };
    Tape *tape[3];
    Tensor *y[3];
    for (int i = 0; i < 3; i++) {
        parallel_threads(i + 1);
        tape[i] = tape_new(TAPE_TRAINING, 7);
        y[i] = t_dropout(ones(tape[i], N), 0.5f);
    }
    ck_assert_mem_eq(y[0]->data, y[1]->data, N * sizeof(float));
    ck_assert_mem_eq(y[0]->data, y[2]->data, N * sizeof(float));
    for (int i = 0; i < 3; i++)
        tape_free(tape[i]);
}
END_TEST

START_TEST(dropout_is_nothing_unless_a_tape_trains)
{
    TapeUse uses[] = {TAPE_INFERENCE, TAPE_PROBE, TAPE_TRAINING};
    for (int i = 0; i < 3; i++) {
        Tape *tape = tape_new(uses[i], 7);
        Tensor *x = ones(tape, 100);
        ck_assert_int_eq(t_dropout(x, 0.5f) == x, uses[i] != TAPE_TRAINING);
        ck_assert_ptr_eq(t_dropout(x, 0), x);
        tape_free(tape);
    }
}
END_TEST

START_TEST(what_was_dropped_gets_no_gradient_and_the_rest_is_scaled_alike)
{
    Tape *tape = tape_new(TAPE_TRAINING, 7);
    Tensor *x = ones(tape, 1000), *y = t_dropout(x, 0.25f);
    backward(t_sum_all(y));
    ck_assert_mem_eq(t_grad(x), y->data, 1000 * sizeof(float));
    tape_free(tape);
}
END_TEST

START_TEST(every_call_and_every_step_drops_something_else_but_a_repeated_step_the_same)
{
    enum { N = 200 };
    float seen[3][2][N];
    long steps[] = {5, 6, 5};
    Tape *tape = tape_new(TAPE_TRAINING, 7);
    for (int i = 0; i < 3; i++) {
        tape_reset(tape, steps[i]);
        for (int call = 0; call < 2; call++)
            memcpy(seen[i][call], t_dropout(ones(tape, N), 0.5f)->data, sizeof seen[0][0]);
    }
    tape_free(tape);
    ck_assert_mem_eq(seen[0], seen[2], sizeof seen[0]);
    ck_assert_mem_ne(seen[0][0], seen[0][1], sizeof seen[0][0]);
    ck_assert_mem_ne(seen[0][0], seen[1][0], sizeof seen[0][0]);
    ck_assert_mem_ne(seen[0][1], seen[1][0], sizeof seen[0][0]);
}
END_TEST

/* ---- How exact the functions are, held against libm in double precision ---- */

enum { POINTS = 40001 };

/* POINTS numbers from -100 to 100; every second one closer to 0 by a power of ten. */
static Tensor *points(Tape *tape)
{
    Tensor *x = t_empty(tape, POINTS);
    for (int i = 0; i < POINTS; i++)
        x->data[i] = (float)(-100 + 200.0 * i / (POINTS - 1)) /
                     (i % 2 ? powf(10, i % 7) : 1);
    return x;
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double exact_gelu(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / PI) * (x + 0.044715 * x * x * x)));
}
static double exact_gelu_erf(double x)
{
    return x / 2 * erfc(-x / sqrt(2));
}
static double exact_silu(double x)
{
    return x * exact_sigmoid(x);
}
static double exact_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

/* The worst error relative to the exact value. Results so small that floats run out of
 * digits, or too large for one, only have to say so. */
static double worst_relative(const Tensor *x, const Tensor *y, double (*exact)(double))
{
    const double smallest = 2.5e-38, largest = 3.4028235e38;
    double worst = 0;
    for (int i = 0; i < POINTS; i++) {
        double want = exact(x->data[i]), got = y->data[i];
        if (fabs(want) < smallest)
            ck_assert_double_le(fabs(got), smallest);
        else if (fabs(want) > largest)
            ck_assert(isinf(got));
        else
            worst = fmax(worst, fabs(got - want) / fabs(want));
        ck_assert_msg(!isnan(got), "NaN at %g", (double)x->data[i]);
    }
    return worst;
}

/* Relative to the number that went in: where a GELU is nearly 0 it is found by
 * cancelling. */
static double worst_by_input(const Tensor *x, const Tensor *y, double (*exact)(double))
{
    double worst = 0;
    for (int i = 0; i < POINTS; i++) {
        double error = fabs(y->data[i] - exact(x->data[i])) / fmax(fabs(x->data[i]), 1e-30);
        ck_assert_msg(!isnan(error), "NaN at %g", (double)x->data[i]);
        worst = fmax(worst, error);
    }
    return worst;
}

START_TEST(the_functions_are_as_exact_as_promised)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = points(tape);
    double got[] = {
        worst_relative(x, t_exp(x), exp),
        worst_relative(x, t_sigmoid(x), exact_sigmoid),
        worst_relative(x, t_tanh(x), tanh),
        worst_by_input(x, t_silu(x), exact_silu),
        worst_by_input(x, t_gelu(x), exact_gelu),
        worst_by_input(x, t_gelu_erf(x), exact_gelu_erf),
        worst_relative(x, t_softplus(x), exact_softplus),
    };
    static const char *const name[] = {"exp",  "sigmoid",  "tanh",    "silu",
                                       "gelu", "gelu_erf", "softplus"};
    static const double promised[] = {2e-7, 3e-7, 3e-7, 2e-7, 3e-7, 2e-7, 3e-7};
    for (int i = 0; i < 7; i++)
        ck_assert_msg(got[i] <= promised[i], "%s is off by %g", name[i], got[i]);
    tape_free(tape);
}
END_TEST

START_TEST(exp_keeps_to_its_borders)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = t_zeros(tape, 23);
    const float in[] = {-INFINITY, INFINITY, 0,    -0.0f, 88.72f,
                        88.73f,    -86.5f,   -104, 1e30f, -1e30f};
    memcpy(x->data, in, sizeof in);
    Tensor *y = t_exp(x);
    ck_assert(y->data[0] == 0 && isinf(y->data[1]));
    ck_assert(y->data[2] == 1 && y->data[3] == 1 && y->data[22] == 1);
    ck_assert(isfinite(y->data[4]) && isinf(y->data[5]));
    ck_assert_float_gt(y->data[6], 0);
    ck_assert(y->data[7] == 0 && isinf(y->data[8]) && y->data[9] == 0);
    ck_assert_float_eq(t_tanh(x)->data[0], -1);
    ck_assert_float_eq(t_tanh(x)->data[1], 1);
    ck_assert_float_eq(t_sigmoid(x)->data[0], 0);
    ck_assert_float_eq(t_sigmoid(x)->data[1], 1);
    tape_free(tape);
}
END_TEST

START_TEST(softplus_neither_overflows_nor_vanishes_too_soon)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    const float x[] = {20, 1e30f, INFINITY, 0, -20, -1e30f, -INFINITY};
    Tensor *in = t_keep_grad(t_zeros(tape, 7));
    memcpy(in->data, x, sizeof x);
    Tensor *y = t_softplus(in);
    ck_assert_mem_eq(y->data, x, 3 * sizeof *x);
    ck_assert_float_eq_tol(y->data[3], logf(2), 1e-7);
    ck_assert_float_eq_tol(y->data[4], expf(-20), 1e-7f * expf(-20));
    ck_assert(y->data[5] == 0 && y->data[6] == 0);
    backward(t_sum_all(y));
    const float slope[] = {1, 1, 1, 0.5f, expf(-20), 0, 0};
    for (int i = 0; i < 7; i++)
        ck_assert_float_eq_tol(t_grad(in)[i], slope[i], 1e-6f * slope[i] + 1e-30f);
    tape_free(tape);
}
END_TEST

/* ---- Mistakes: each aborts with a sentence ---- */

static Tape *fresh(void)
{
    return tape_new(TAPE_TRAINING, 1);
}

/* A mistake in one expression, with a tape at hand; leaf(...) is data of a shape. */
#define MISTAKE(name, expression) \
    static void name(void)        \
    {                             \
        Tape *tape = fresh();     \
        (void)(expression);       \
        tape_free(tape);          \
    }
#define leaf(...)      t_keep_grad(t_zeros(tape, __VA_ARGS__))
#define parameter(...) t_lasting(true, T_INTS(__VA_ARGS__))
#define parts(...)     ((Tensor *[]){__VA_ARGS__})

static Ids *some_ids(Tape *tape, int n, int id)
{
    Ids *ids = ids_new(tape, n);
    for (int i = 0; i < n; i++)
        ids->at[i] = id;
    return ids;
}

MISTAKE(inner_sizes, t_matmul(leaf(3, 4), leaf(5, 4)))
MISTAKE(a_vector_in_a_product, t_matmul(leaf(3, 4), leaf(4)))
MISTAKE(batches, t_matmul(leaf(2, 3, 4), leaf(3, 4, 5)))
MISTAKE(no_tape, t_exp(parameter(3)))
MISTAKE(no_tape_for_two, t_add(parameter(3), parameter(3)))
MISTAKE(two_tapes, t_add(leaf(3), t_zeros(fresh(), 3)))
MISTAKE(two_tapes_with_targets, t_cross_entropy(leaf(2, 3), some_ids(fresh(), 2, 0)))
MISTAKE(two_tapes_with_ids, t_rows(leaf(2, 3), some_ids(fresh(), 2, 0)))
MISTAKE(no_broadcast, t_add(leaf(2, 3), leaf(2, 4)))
MISTAKE(affine_sizes, t_affine(leaf(2, 3), leaf(4, 5), leaf(5)))
MISTAKE(affine_bias, t_affine(leaf(2, 3), leaf(3, 5), leaf(4)))
MISTAKE(softmax_of_a_number, t_softmax(t_sum_all(leaf(3))))
MISTAKE(log_softmax_of_a_number, t_log_softmax(t_sum_all(leaf(3))))
MISTAKE(log_sum_exp_of_a_number, t_log_sum_exp(t_sum_all(leaf(3))))
MISTAKE(more_queries, t_causal(leaf(3, 2)))
MISTAKE(negative_window, t_causal_window(leaf(2, 3), -1))
MISTAKE(rms_weight, t_rms_norm(leaf(2, 3), leaf(2), 1e-5f))
MISTAKE(rms_of_a_number, t_rms_norm(t_sum_all(leaf(3)), leaf(1), 1e-5f))
MISTAKE(norm_weight, t_layer_norm(leaf(2, 3), leaf(2), leaf(3), 1e-5f))
MISTAKE(norm_bias, t_layer_norm(leaf(2, 3), leaf(3), leaf(1, 3), 1e-5f))
MISTAKE(too_few_targets, t_cross_entropy(leaf(4, 3), some_ids(tape, 2, 0)))
MISTAKE(target_too_large, t_cross_entropy(leaf(2, 3), some_ids(tape, 2, 3)))
MISTAKE(target_too_small, t_cross_entropy(leaf(2, 3), some_ids(tape, 2, -2)))
MISTAKE(id_too_large, t_rows(leaf(5, 3), some_ids(tape, 2, 5)))
MISTAKE(id_negative, t_rows(leaf(5, 3), some_ids(tape, 2, -1)))
MISTAKE(no_table, t_rows(leaf(2, 5, 3), some_ids(tape, 2, 0)))
MISTAKE(add_rows_wide, t_add_rows(leaf(5, 3), leaf(2, 4), some_ids(tape, 2, 0)))
MISTAKE(add_rows_many, t_add_rows(leaf(5, 3), leaf(3, 3), some_ids(tape, 2, 0)))
MISTAKE(add_rows_rank, t_add_rows(leaf(5, 3), leaf(3), some_ids(tape, 2, 0)))
MISTAKE(add_rows_into, t_add_rows(leaf(2, 5, 3), leaf(2, 3), some_ids(tape, 2, 0)))
MISTAKE(add_rows_id, t_add_rows(leaf(5, 3), leaf(2, 3), some_ids(tape, 2, 5)))
MISTAKE(add_rows_tapes, t_add_rows(leaf(5, 3), leaf(2, 3), some_ids(fresh(), 2, 0)))
MISTAKE(pick_rank, t_pick(leaf(2, 3), some_ids(tape, 2, 0)))
MISTAKE(pick_rows, t_pick(t_reshape(leaf(3), 1, 3), ids_new(tape, 2, 3)))
MISTAKE(pick_number, t_pick(t_sum_all(leaf(3)), some_ids(tape, 2, 0)))
MISTAKE(pick_id, t_pick(leaf(3), some_ids(tape, 2, 3)))
MISTAKE(pick_negative, t_pick(leaf(3), some_ids(tape, 2, -1)))
MISTAKE(topk_too_many, t_topk(leaf(2, 3), 4, &(Ids *){NULL}))
MISTAKE(topk_negative, t_topk(leaf(2, 3), -1, &(Ids *){NULL}))
MISTAKE(topk_number, t_topk(t_sum_all(leaf(3)), 1, &(Ids *){NULL}))
MISTAKE(range_backward, ids_range(tape, 3, 1))
MISTAKE(range_negative, ids_range(tape, -1, 1))
MISTAKE(concat_sizes, t_concat(parts(leaf(2, 3), leaf(2, 4)), 2, 0))
MISTAKE(concat_ranks, t_concat(parts(leaf(2, 3), leaf(3)), 2, 0))
MISTAKE(concat_dimension, t_concat(parts(leaf(2, 3), leaf(2, 3)), 2, 2))
MISTAKE(stack_sizes, t_stack(parts(leaf(2, 3), leaf(3, 2)), 2, 0))
MISTAKE(stack_ranks, t_stack(parts(leaf(2, 3), leaf(3)), 2, 2))
MISTAKE(stack_dimension, t_stack(parts(leaf(2, 3), leaf(2, 3)), 2, 3))
MISTAKE(sum_dimension, t_sum(leaf(2, 3), 2))
MISTAKE(mean_dimension, t_mean(leaf(2, 3), -1))
MISTAKE(drop_everything, t_dropout(leaf(3), 1))
MISTAKE(drop_less_than_nothing, t_dropout(leaf(3), -0.5f))
MISTAKE(large_mask, t_masked(leaf(3), leaf(2, 3)))
MISTAKE(mask_size, t_masked(leaf(2, 3), leaf(4)))
MISTAKE(slice_too_far, t_slice(leaf(2, 3), 1, 1, 4))
MISTAKE(slice_dimension, t_slice(leaf(2, 3), 2, 0, 1))
MISTAKE(select_too_far, t_select(leaf(2, 3), 0, 2))
MISTAKE(permute_twice, t_permute(leaf(2, 3), 1, 1))
MISTAKE(permute_rank, t_permute(leaf(2, 3), 1, 0, 2))
MISTAKE(transpose_vector, t_transpose(leaf(3)))
MISTAKE(expand_size, t_expand(leaf(2, 3), 4, 3))
MISTAKE(expand_rank, t_expand(leaf(2, 3), 3))
MISTAKE(reshape_size, t_reshape(leaf(2, 3), 5))
MISTAKE(wrong_shape, t_shaped(leaf(2, 3), 3, 2))

static void overwritten(void)
{
    Tape *tape = fresh();
    Tensor *x = leaf(2, 5), *state = leaf(2, 5);
    Tensor *y = t_mul(x, state);
    t_assign(state, t_zeros(tape, 2, 5));
    backward(t_sum_all(y));
}

static void overwritten_result(void)
{
    Tape *tape = fresh();
    Tensor *y = t_exp(leaf(2, 5));
    y->storage->writes++;
    backward(t_sum_all(y));
}

enum { NOTED_LINE = __LINE__ + 5 };
static void after_a_place(void)
{
    Tape *tape = fresh();
    Tensor *x = t_shaped(leaf(3, 4), 3, 4), *w = leaf(5, 4);
    x = t_shaped(t_add(x, x), 3, 4);
    t_matmul(x, w);
}

static const struct {
    void (*mistake)(void);
    const char *sentence;
} mistakes[] = {
    {inner_sizes, "matmul: (3, 4) x (5, 4): inner sizes 4 and 5 differ"},
    {a_vector_in_a_product, "matmul: (3, 4) x (4,): both need two dimensions or more"},
    {batches, "matmul: (2, 3, 4) and (3, 4, 5) do not broadcast: sizes 2 and 3 differ"},
    {no_tape, "exp: no input is on a tape: begin with t_on(tape, parameter)"},
    {no_tape_for_two, "add: no input is on a tape: begin with t_on(tape, parameter)"},
    {two_tapes, "add: inputs are on two different tapes"},
    {two_tapes_with_targets, "cross_entropy: inputs are on two different tapes"},
    {two_tapes_with_ids, "rows: inputs are on two different tapes"},
    {no_broadcast, "add: (2, 3) and (2, 4) do not broadcast: sizes 3 and 4 differ"},
    {affine_sizes, "affine: (2, 3) x (4, 5) + (5,) do not fit"},
    {affine_bias, "affine: (2, 3) x (3, 5) + (4,) do not fit"},
    {softmax_of_a_number, "softmax: a single number has no last dimension"},
    {log_softmax_of_a_number, "log_softmax: a single number has no last dimension"},
    {log_sum_exp_of_a_number, "log_sum_exp: a single number has no last dimension"},
    {more_queries, "causal: (3, 2) has more queries than keys"},
    {negative_window, "causal: a window of -1 keys is negative"},
    {rms_weight, "rms_norm: (2,) does not fit the rows of (2, 3)"},
    {rms_of_a_number, "rms_norm: (1,) does not fit the rows of ()"},
    {norm_weight, "layer_norm: (2,) does not fit the rows of (2, 3)"},
    {norm_bias, "layer_norm: (1, 3) does not fit the rows of (2, 3)"},
    {too_few_targets, "cross_entropy: (4, 3) has not one row for each of the 2 targets"},
    {target_too_large, "cross_entropy: target 3 is not one of the 3 of (2, 3)"},
    {target_too_small, "cross_entropy: target -2 is not one of the 3 of (2, 3)"},
    {id_too_large, "rows: id 5 is not one of the 5 rows of (5, 3)"},
    {id_negative, "rows: id -1 is not one of the 5 rows of (5, 3)"},
    {no_table, "rows: (2, 5, 3) is not a table, or ids of (2,) have too many dimensions"},
    {add_rows_wide, "add_rows: (5, 3), rows (2, 4) and ids of (2,) do not fit"},
    {add_rows_many, "add_rows: (5, 3), rows (3, 3) and ids of (2,) do not fit"},
    {add_rows_rank, "add_rows: (5, 3), rows (3,) and ids of (2,) do not fit"},
    {add_rows_into, "add_rows: (2, 5, 3), rows (2, 3) and ids of (2,) do not fit"},
    {add_rows_id, "add_rows: id 5 is not one of the 5 rows of (5, 3)"},
    {add_rows_tapes, "add_rows: inputs are on two different tapes"},
    {pick_rank, "pick: ids of (2,) do not fit the rows of (2, 3)"},
    {pick_rows, "pick: ids of (2, 3) do not fit the rows of (1, 3)"},
    {pick_number, "pick: ids of (2,) do not fit the rows of ()"},
    {pick_id, "pick: id 3 is not one of the 3 columns of (3,)"},
    {pick_negative, "pick: id -1 is not one of the 3 columns of (3,)"},
    {topk_too_many, "topk: the rows of (2, 3) do not have 4 entries"},
    {topk_negative, "topk: the rows of (2, 3) do not have -1 entries"},
    {topk_number, "topk: the rows of () do not have 1 entries"},
    {range_backward, "ids_range: 3 .. 1 is not a range"},
    {range_negative, "ids_range: -1 .. 1 is not a range"},
    {concat_sizes, "concat: (2, 3) and (2, 4) differ in more than dimension 0"},
    {concat_ranks, "concat: (2, 3) and (3,) differ in more than dimension 0"},
    {concat_dimension, "concat: (2, 3) has no dimension 2"},
    {stack_sizes, "stack: (2, 3) and (3, 2) differ"},
    {stack_ranks, "stack: (2, 3) and (3,) differ"},
    {stack_dimension, "stack: (2, 3) cannot have a new dimension 3"},
    {sum_dimension, "sum: (2, 3) has no dimension 2"},
    {mean_dimension, "mean: (2, 3) has no dimension -1"},
    {drop_everything, "dropout: a probability of 1 is not in [0, 1)"},
    {drop_less_than_nothing, "dropout: a probability of -0.5 is not in [0, 1)"},
    {large_mask, "masked: keep, (2, 3), does not broadcast to (3,)"},
    {mask_size, "masked: (2, 3) and (4,) do not broadcast: sizes 3 and 4 differ"},
    {slice_too_far, "t_slice: 1 .. 4 of dimension 1 is not within (2, 3)"},
    {slice_dimension, "t_slice: 0 .. 1 of dimension 2 is not within (2, 3)"},
    {select_too_far, "t_select: number 2 of dimension 0 is not within (2, 3)"},
    {permute_twice, "t_permute: (1, 1) is no order of the dimensions of (2, 3)"},
    {permute_rank, "t_permute: (1, 0, 2) is no order of the dimensions of (2, 3)"},
    {transpose_vector, "t_transpose: (3,) has not two dimensions"},
    {expand_size, "t_expand: (2, 3) does not expand to (4, 3)"},
    {expand_rank, "t_expand: (2, 3) does not expand to (3,)"},
    {reshape_size, "t_reshape: (2, 3) has not as many elements as (5,)"},
    {wrong_shape, "is (2, 3) and should be (3, 2)"},
    {overwritten,
     "mul: input 2, (2, 5), was written to after it was read and before backward"},
    {overwritten_result, "exp: the result, (2, 5), was written to before backward"},
};

START_TEST(every_mistake_aborts_with_a_sentence)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const char *said = mistake_text(mistakes[i].mistake);
        assert_contains(said, mistakes[i].sentence);
        ck_assert_msg(strchr(said, '\n') == said + strlen(said) - 1, "not one line: %s",
                      said);
    }
}
END_TEST

START_TEST(a_mistake_names_the_last_place_known)
{
    char place[128];
    snprintf(place, sizeof place, "differ, after %s:%d: t_add(x, x)\n", __FILE__,
             NOTED_LINE);
    assert_contains(mistake_text(after_a_place), place);
}
END_TEST

SUITE("ops_limits", 20, a_softmax_row_with_nothing_to_see_is_zero_with_finite_gradients,
      logarithms_of_rows_with_nothing_in_them_are_minus_infinity,
      logarithms_of_rows_of_large_numbers_do_not_overflow,
      of_a_single_number_the_softmax_is_one_and_its_logarithm_zero,
      an_rms_norm_keeps_zeros_and_brings_large_numbers_to_one,
      a_softmax_of_large_numbers_does_not_overflow, nan_is_never_hidden,
      a_mask_keeps_ones_and_lets_no_gradient_through_zeros,
      the_last_query_stands_at_the_last_key, ignored_targets_count_for_nothing,
      without_any_target_the_loss_and_its_gradients_are_zero,
      cross_entropy_of_very_large_logits_is_exact, dropout_drops_the_share_it_is_told_to,
      dropout_draws_the_same_for_any_number_of_threads,
      dropout_is_nothing_unless_a_tape_trains,
      what_was_dropped_gets_no_gradient_and_the_rest_is_scaled_alike,
      every_call_and_every_step_drops_something_else_but_a_repeated_step_the_same,
      the_functions_are_as_exact_as_promised, exp_keeps_to_its_borders,
      softplus_neither_overflows_nor_vanishes_too_soon,
      every_mistake_aborts_with_a_sentence, a_mistake_names_the_last_place_known)
