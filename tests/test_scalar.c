/* test_scalar.c - the definition of every gradient is itself checked: against the example
 * that micrograd's README prints, and against finite differences. */
#include "scalar/scalar.h"
#include "suite.h"

#include <math.h>

/* The example of micrograd's README, line by line. */
START_TEST(the_example_of_micrograd_gives_its_numbers)
{
    Scalars *tape = scalars_new();
    Scalar *a = s_new(tape, -4), *b = s_new(tape, 2);
    Scalar *c = s_add(a, b);
    Scalar *d = s_add(s_mul(a, b), s_pow(b, 3));
    c = s_add(c, s_plus(c, 1));
    c = s_add(c, s_sub(s_plus(c, 1), a));
    d = s_add(d, s_add(s_times(d, 2), s_relu(s_add(b, a))));
    d = s_add(d, s_add(s_times(d, 3), s_relu(s_sub(b, a))));
    Scalar *e = s_sub(c, d);
    Scalar *f = s_pow(e, 2);
    Scalar *g = s_times(f, 0.5);
    g = s_add(g, s_div(s_new(tape, 10), f));
    s_backward(g);
    ck_assert_double_eq_tol(g->value, 24.7041, 5e-5);
    ck_assert_double_eq_tol(a->grad, 138.8338, 5e-5);
    ck_assert_double_eq_tol(b->grad, 645.5773, 5e-5);
    scalars_free(tape);
}
END_TEST

/* b is used twice by c, so it must be complete before it hands on to a: in any other order
 * than the reversed record a would see 2 instead of 4. */
START_TEST(a_number_used_twice_adds_up_both_gradients)
{
    Scalars *tape = scalars_new();
    Scalar *a = s_new(tape, 3);
    Scalar *b = s_add(a, a), *c = s_add(b, b);
    s_backward(c);
    ck_assert_double_eq(c->value, 12);
    ck_assert_double_eq(a->grad, 4);
    s_backward(c);
    ck_assert_double_eq(a->grad, 4);
    scalars_free(tape);
}
END_TEST

typedef Scalar *Function(Scalar *a, Scalar *b);

static Scalar *plus(Scalar *a, Scalar *b)
{
    return s_mul(s_plus(a, 0.7), b);
}
static Scalar *times(Scalar *a, Scalar *b)
{
    return s_mul(s_times(a, -1.7), b);
}
static Scalar *power(Scalar *a, Scalar *b)
{
    return s_mul(s_pow(a, 2.5), b);
}
static Scalar *neg(Scalar *a, Scalar *b)
{
    return s_mul(s_neg(a), b);
}
static Scalar *exponential(Scalar *a, Scalar *b)
{
    return s_mul(s_exp(a), b);
}
static Scalar *logarithm(Scalar *a, Scalar *b)
{
    return s_mul(s_log(a), b);
}
static Scalar *root(Scalar *a, Scalar *b)
{
    return s_mul(s_sqrt(a), b);
}
static Scalar *tangent(Scalar *a, Scalar *b)
{
    return s_mul(s_tanh(a), b);
}
static Scalar *sigmoid(Scalar *a, Scalar *b)
{
    return s_mul(s_sigmoid(a), b);
}
static Scalar *relu(Scalar *a, Scalar *b)
{
    return s_mul(s_relu(a), s_relu(b));
}
static Scalar *error_function(Scalar *a, Scalar *b)
{
    return s_mul(s_erf(a), b);
}

static double value_at(Function *f, double a, double b)
{
    Scalars *tape = scalars_new();
    double value = f(s_new(tape, a), s_new(tape, b))->value;
    scalars_free(tape);
    return value;
}

START_TEST(every_operation_agrees_with_finite_differences)
{
    Function *const functions[] = {s_add,   s_sub,   s_mul, s_div,         s_max,     plus,
                                   times,   power,   neg,   exponential,   logarithm, root,
                                   tangent, sigmoid, relu,  error_function};
    const double points[][2] = {{0.3, -1.2}, {1.9, 0.4}, {0.8, 2.5}};
    const double h = 1e-6;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        for (size_t j = 0; j < 3; j++) {
            Function *f = functions[i];
            double x = points[j][0], y = points[j][1];
            Scalars *tape = scalars_new();
            Scalar *a = s_new(tape, x), *b = s_new(tape, y);
            s_backward(f(a, b));
            double da = (value_at(f, x + h, y) - value_at(f, x - h, y)) / (2 * h);
            double db = (value_at(f, x, y + h) - value_at(f, x, y - h)) / (2 * h);
            ck_assert_double_eq_tol(a->grad, da, 1e-8 * (1 + fabs(da)));
            ck_assert_double_eq_tol(b->grad, db, 1e-8 * (1 + fabs(db)));
            scalars_free(tape);
        }
}
END_TEST

/* Two hundred thousand additions in a row: recursion would overflow the stack. */
START_TEST(a_long_chain_needs_no_deep_stack)
{
    Scalars *tape = scalars_new();
    Scalar *a = s_new(tape, 1), *sum = a;
    for (int i = 0; i < 200000; i++)
        sum = s_add(sum, a);
    s_backward(sum);
    ck_assert_double_eq(sum->value, 200001);
    ck_assert_double_eq(a->grad, 200001);
    ck_assert_int_eq(scalars_count(tape), 200001);
    scalars_free(tape);
}
END_TEST

START_TEST(a_rewound_tape_keeps_what_was_made_first)
{
    Scalars *tape = scalars_new();
    Scalar *a = s_new(tape, 1);
    Scalar **early = s_array(tape, 3);
    early[2] = a;
    long kept = scalars_count(tape) + 1;
    Scalar *first = s_exp(a);
    s_array(tape, 5)[4] = first;
    scalars_rewind(tape, kept - 1);
    ck_assert_int_eq(scalars_count(tape), 1);
    a->value = 2;
    Scalar *b = s_mul(a, a);
    s_backward(b);
    ck_assert_double_eq(b->value, 4);
    ck_assert_double_eq(a->grad, 4);
    ck_assert_ptr_eq(b, first); /* its memory was used again */
    scalars_free(tape);
}
END_TEST

SUITE("scalar", 10, the_example_of_micrograd_gives_its_numbers,
      a_number_used_twice_adds_up_both_gradients,
      every_operation_agrees_with_finite_differences, a_long_chain_needs_no_deep_stack,
      a_rewound_tape_keeps_what_was_made_first)
