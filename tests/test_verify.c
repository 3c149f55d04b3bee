/* test_verify.c - the comparison of scalars and tensors: what it lets pass, and what not. */
#include "run/verify.h"
#include "suite.h"

#include <math.h>
#include <string.h>

enum { N = 6 };

/* Twins (2, 3) with values and gradients of 1, 2, ...; the tensor is a transposed view, so
 * that places and numbers differ. */
typedef struct {
    Tape *tape;
    Scalars *scalars;
    Scalar **scalar;
    Tensor *tensor;
    float *data[N], *grad[N]; /* of the tensor, row by row */
} Pair;

static Pair pair_new(void)
{
    Pair p = {tape_new(TAPE_PROBE, 1), scalars_new(), NULL, NULL, {NULL}, {NULL}};
    Tensor *whole = t_keep_grad(t_zeros(p.tape, 3, 2));
    whole->storage->grad = t_zeros(p.tape, 3, 2)->data;
    p.tensor = t_transpose(whole);
    for (int i = 0; i < N; i++) {
        p.data[i] = &whole->data[i % 3 * 2 + i / 3];
        p.grad[i] = &whole->storage->grad[i % 3 * 2 + i / 3];
        *p.data[i] = (float)(1 + i);
        *p.grad[i] = (float)(1 + i);
    }
    p.scalar = verify_scalars(p.scalars, p.tensor);
    for (int i = 0; i < N; i++)
        p.scalar[i]->grad = 1 + i;
    return p;
}

static void pair_free(Pair *p)
{
    tape_free(p->tape);
    scalars_free(p->scalars);
}

/* What the comparison says, its table left out. */
static bool agrees(const Pair *p)
{
    const Twin twins[] = {{"pair", p->scalar, p->tensor}};
    return verify_twins(twins, 1);
}

static void hide_output(void)
{
    ck_assert(freopen("/dev/null", "w", stdout) != NULL);
}

START_TEST(equal_numbers_agree)
{
    hide_output();
    Pair p = pair_new();
    for (int i = 0; i < N; i++)
        ck_assert_double_eq(p.scalar[i]->value, 1 + i);
    ck_assert(agrees(&p));
    pair_free(&p);
}
END_TEST

START_TEST(a_difference_counts_relative_to_the_largest_entry)
{
    hide_output();
    Pair p = pair_new();
    for (int i = 0; i < N; i++)
        for (int gradient = 0; gradient < 2; gradient++) {
            double *number = gradient ? &p.scalar[i]->grad : &p.scalar[i]->value;
            double before = *number;
            *number = before + 0.8e-5 * N; /* the largest is N */
            ck_assert(agrees(&p));
            *number = before - 1.3e-5 * N;
            ck_assert(!agrees(&p));
            *number = before;
        }
    pair_free(&p);
}
END_TEST

/* The first, one in between and the last: a NaN must not be forgotten by what follows. */
START_TEST(what_is_no_finite_number_never_agrees)
{
    hide_output();
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 3; k++) {
            Pair p = pair_new();
            *p.data[i] = bad[k];
            ck_assert(!agrees(&p));
            p.scalar[i]->value = (double)bad[k]; /* nor if both are */
            ck_assert(!agrees(&p));
            pair_free(&p);
            p = pair_new();
            *p.grad[i] = bad[k];
            ck_assert(!agrees(&p));
            p.scalar[i]->grad = (double)bad[k];
            ck_assert(!agrees(&p));
            pair_free(&p);
        }
}
END_TEST

START_TEST(the_worst_of_several_twins_decides_and_is_named)
{
    char output[4096];
    Pair p = pair_new(), q = pair_new(), r = pair_new();
    q.scalar[2]->value += 0.5;
    FILE *file = freopen(scratch("said"), "w", stdout);
    const Twin twins[] = {{"first", p.scalar, p.tensor},
                          {"second", q.scalar, q.tensor},
                          {"third", r.scalar, r.tensor}};
    bool agree = verify_twins(twins, 3);
    fclose(file);
    ck_assert(!agree);
    run_command(output, sizeof output, "cat %s", scratch("said"));
    assert_contains(output, "36 numbers compared");
    assert_contains(output, "in second, is");
    assert_contains(output, "THEY DO NOT AGREE");
    pair_free(&p), pair_free(&q), pair_free(&r);
}
END_TEST

START_TEST(a_tensor_without_gradient_is_compared_by_its_values)
{
    hide_output();
    Pair p = pair_new();
    p.tensor->storage->grad = NULL;
    p.scalar[0]->grad = 77;
    ck_assert(agrees(&p));
    p.scalar[5]->value = 7;
    ck_assert(!agrees(&p));
    pair_free(&p);
}
END_TEST

START_TEST(examples_are_filled_with_numbers_that_differ)
{
    Params *params = params_new(1);
    Tensor *a = param(scope(params), "a", 2, 3, constant(0));
    Tensor *b = param(scope(params), "b", 2, 3, constant(0));
    verify_fill_all(params);
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq_tol((double)a->data[i], sin(1 + 3.0 * i), 1e-7);
        ck_assert_double_eq_tol((double)b->data[i], sin(8 + 3.0 * i), 1e-7);
    }
    params_free(params);
}
END_TEST

SUITE("verify", 10, equal_numbers_agree, a_difference_counts_relative_to_the_largest_entry,
      what_is_no_finite_number_never_agrees,
      the_worst_of_several_twins_decides_and_is_named,
      a_tensor_without_gradient_is_compared_by_its_values,
      examples_are_filled_with_numbers_that_differ)
