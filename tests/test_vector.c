/* test_vector.c - exp, log and erf on vectors, held against libm in double precision. */
#include "tensor/vector.h"
#include "suite.h"

#include <stdint.h>

/* Functions, so that a table can name them. */
static V exp_of(V x)
{
    return v_exp(x);
}
static V log_of(V x)
{
    return v_log(x);
}
static V erf_of(V x)
{
    return v_erf(x);
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The unit in the last place of a float of that size. */
static double unit_of(double x)
{
    int exponent;
    frexp(x, &exponent);
    return ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

/* Lanes get different numbers: every 1009th float, of both signs and of all sizes. */
static double worst_error(V (*f)(V), double (*exact)(double), float least, float most)
{
    const uint64_t step = 1009;
    double worst = 0;
    for (uint64_t bits = 0; bits < (uint64_t)1 << 32; bits += LANES * step) {
        V x;
        for (int i = 0; i < LANES; i++)
            x[i] = float_of((uint32_t)(bits + (uint64_t)i * step));
        V y = f(x);
        for (int i = 0; i < LANES; i++)
            if (x[i] >= least && x[i] <= most) {
                double want = exact(x[i]), error = fabs(y[i] - want) / unit_of(want);
                worst = error <= worst ? worst : isnan(error) ? INFINITY : error;
            }
    }
    return worst;
}

START_TEST(functions_are_exact_to_about_the_last_place)
{
    const float smallest = 0x1p-149f, largest = 0x1.fffffep127f;
    double e = worst_error(exp_of, exp, -86.6f, 88.7f);
    double l = worst_error(log_of, log, smallest, largest);
    double r = worst_error(erf_of, erf, -largest, largest);
    ck_assert_msg(e <= 1.1, "exp is off by %g units", e);
    ck_assert_msg(l <= 0.98, "log is off by %g units", l);
    ck_assert_msg(r <= 1.24, "erf is off by %g units", r);
}
END_TEST

START_TEST(log_keeps_to_its_borders)
{
    ck_assert_float_eq(v_log(v_all(0))[0], -INFINITY);
    ck_assert_float_eq(v_log(v_all(-0.0f))[0], -INFINITY);
    ck_assert_float_eq(v_log(v_all(INFINITY))[0], INFINITY);
    ck_assert_float_eq(v_log(v_all(1))[0], 0);
    const float none[] = {-0x1p-149f, -1, -0x1p127f, -INFINITY, NAN, -NAN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_float_nan(v_log(v_all(none[i]))[LANES - 1]);
}
END_TEST

START_TEST(erf_is_odd_and_saturates)
{
    for (uint32_t bits = 0; bits <= 0x7f800000; bits += 99991) {
        float there = v_erf(v_all(float_of(bits)))[0];
        float back = -v_erf(v_all(-float_of(bits)))[0];
        ck_assert_mem_eq(&there, &back, sizeof there);
    }
    const float far[] = {4, 5, 1e30f, INFINITY};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        ck_assert_float_eq(v_erf(v_all(far[i]))[0], 1);
        ck_assert_float_eq(v_erf(v_all(-far[i]))[0], -1);
    }
    ck_assert_float_lt(v_erf(v_all(3.8f))[0], 1);
    ck_assert(signbit(v_erf(v_all(-0.0f))[0]));
    ck_assert_float_nan(v_erf(v_all(NAN))[0]);
}
END_TEST

START_TEST(exp_overflows_and_underflows_where_floats_end)
{
    ck_assert_float_finite(v_exp(v_all(88.72f))[0]);
    ck_assert_float_eq(v_exp(v_all(88.73f))[0], INFINITY);
    ck_assert_float_eq(v_exp(v_all(INFINITY))[0], INFINITY);
    ck_assert_float_gt(v_exp(v_all(-86.5f))[0], 0);
    ck_assert_float_eq(v_exp(v_all(-87))[0], 0);
    ck_assert_float_eq(v_exp(v_all(-INFINITY))[0], 0);
    ck_assert_float_nan(v_exp(v_all(NAN))[0]);
}
END_TEST

SUITE("vector", 20, functions_are_exact_to_about_the_last_place, log_keeps_to_its_borders,
      erf_is_odd_and_saturates, exp_overflows_and_underflows_where_floats_end)
