/* vector.h - several floats at once: the compiler's vector extension, and exp, log,
 * tanh and erf on top of it.
 *
 * V is as wide as the machine's registers: 16 floats with AVX-512, 8 with AVX, otherwise 4.
 * Arithmetic is written as for numbers; comparisons give a mask VI of all ones or zeros; VU
 * is for arithmetic on bits, which may wrap around. */
#ifndef LINEAGE_VECTOR_H
#define LINEAGE_VECTOR_H

#include <limits.h>
#include <math.h>
#include <string.h>

#if defined __AVX512F__
enum { LANES = 16 };
typedef float V __attribute__((vector_size(64)));
typedef int VI __attribute__((vector_size(64)));
typedef unsigned VU __attribute__((vector_size(64)));
#elif defined __AVX__
enum { LANES = 8 };
typedef float V __attribute__((vector_size(32)));
typedef int VI __attribute__((vector_size(32)));
typedef unsigned VU __attribute__((vector_size(32)));
#else
enum { LANES = 4 };
typedef float V __attribute__((vector_size(16)));
typedef int VI __attribute__((vector_size(16)));
typedef unsigned VU __attribute__((vector_size(16)));
#endif

/* Before a loop of constant length: write out every turn, so that arrays become
 * registers. */
#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static inline V v_load(const float *p)
{
    V v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void v_store(float *p, V v)
{
    memcpy(p, &v, sizeof v);
}

/* The first n floats; the other lanes are 0. */
static inline V v_load_some(const float *p, long n)
{
    V v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

static inline void v_store_some(float *p, V v, long n)
{
    memcpy(p, &v, (size_t)n * sizeof *p);
}

static inline V v_all(float x)
{
    return x - (V){0};
}

/* a where the mask is set, b elsewhere. */
static inline V v_choose(VI mask, V a, V b)
{
    return (V)((mask & (VI)a) | (~mask & (VI)b));
}

static inline V v_max(V a, V b)
{
    return v_choose(a > b, a, b);
}

/* a0 b0 a1 b1 ..., of the lower and of the upper halves. */
#if defined __AVX512F__
#define V_LOW  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define V_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined __AVX__
#define V_LOW  0, 8, 1, 9, 2, 10, 3, 11
#define V_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define V_LOW  0, 4, 1, 5
#define V_HIGH 2, 6, 3, 7
#endif
#if defined __clang__ || __GNUC__ >= 12
#define V_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define V_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (VI){__VA_ARGS__})
#endif

/* Transposes a square. Interleaving the first half of the rows with the second, as often as
 * LANES can be halved, brings row i, lane j to row j, lane i. */
static inline void v_transpose(V square[LANES])
{
    UNROLL
    for (int width = LANES; width > 1; width /= 2) {
        V next[LANES];
        UNROLL
        for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = V_SHUFFLE(square[i], square[i + LANES / 2], V_LOW);
            next[2 * i + 1] = V_SHUFFLE(square[i], square[i + LANES / 2], V_HIGH);
        }
        memcpy(square, next, sizeof next);
    }
}

/* The lower half of the lanes meets the upper one, each in two copies, until all lanes hold
 * the same. */
static inline float v_sum(V v)
{
    UNROLL
    for (int width = LANES; width > 1; width /= 2)
        v = V_SHUFFLE(v, v, V_LOW) + V_SHUFFLE(v, v, V_HIGH);
    return v[0];
}

static inline float v_max_lane(V v)
{
    UNROLL
    for (int width = LANES; width > 1; width /= 2)
        v = v_max(V_SHUFFLE(v, v, V_LOW), V_SHUFFLE(v, v, V_HIGH));
    return v[0];
}

/* exp(x) for x from -86.6 to 89: 2^n exp(r) with n whole and |r| <= log(2) / 2; a polynomial
 * does exp(r) (Cephes, expf) and the exponent bits do 2^n. Error at most 1.1 units in the last
 * place; above 88.7 infinite; NaN stays NaN. */
static inline V v_exp_inside(V x)
{
    const float round = 0x1.8p23f; /* adding it leaves a whole number in the lowest bits */
    V shifted = x * 1.44269504f + round;
    V n = shifted - round;
    V r = x - n * 0.693359375f + n * 2.12194440e-4f; /* log(2), in two parts */

    V p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1;

    /* 2^128 is no float: take half of it, and double the result. */
    VU half = ((VU)shifted - (VU)v_all(round) + 126) << 23;
    return p * (V)half * 2;
}

/* exp(x) for any x. Below -86.6, where floats end, it is 0. */
static inline V v_exp(V x)
{
    V y = v_exp_inside(v_choose(x > 89, v_all(89), x));
    return v_choose(x < -86.6f, v_all(0), y);
}

/* n log(2) + log(x) for x from 2^-126 up, finite. x = 2^m (1 + f) with m whole and -1/3 <= f <
 * 1/3; log(1 + f) is f - f^2 / 2 + f^3 P(f), P a minimax polynomial, and (n + m) log(2) is
 * added in two parts. */
static inline V v_log_inside(V x, VI n)
{
    const unsigned two_thirds = 0x3f2aaaab; /* as bits */
    VI m = (VI)((VU)x - two_thirds) >> 23;
    V f = (V)((VU)x - ((VU)m << 23)) - 1;
    V whole = __builtin_convertvector(m + n, V);

    V p = -1.28910911e-1f * f + 1.39843200e-1f;
    p = p * f - 1.21843788e-1f;
    p = p * f + 1.40058953e-1f;
    p = p * f - 1.66804810e-1f;
    p = p * f + 2.00104041e-1f;
    p = p * f - 2.49997977e-1f;
    p = p * f + 3.33332160e-1f;
    p = p * f - 0.5f;
    return whole * -2.12194440e-4f + p * f * f + f + whole * 0.693359375f;
}

/* log(x). Error at most 0.98 units in the last place, over all floats. log(0) = -infinity; NaN
 * below 0, and where x is NaN. */
static inline V v_log(V x)
{
    VI small = x < 0x1p-126f; /* no exponent bits are left: 2^23 x has some */
    V y = v_log_inside(v_choose(small, x * 0x1p23f, x), small & -23);
    V border = v_choose(x < 0, v_all(NAN), v_choose(x == 0, v_all(-INFINITY), x));
    return v_choose((x > 0) & (x < INFINITY), y, border);
}

static inline V v_sigmoid(V x)
{
    return 1 / (1 + v_exp(-x));
}

/* Near 0 the quotient would cancel: there a polynomial takes over (Cephes, tanhf). */
static inline V v_tanh(V x)
{
    V far = 1 - 2 / (v_exp(2 * x) + 1);
    V z = x * x;
    V p = -5.70498872745e-3f * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return v_choose(z < 0.625f * 0.625f, x + x * z * p, far);
}

/* erf(x): near 0 an odd polynomial; from 0.875 on 1 - exp(a polynomial), with the sign of x.
 * Both are minimax. From 4 on floats cannot tell it from 1. Error at most 1.24 units in the
 * last place, over all floats. NaN stays NaN. */
static inline V v_erf(V x)
{
    const int sign_bit = INT_MIN;
    V size = (V)((VI)x & ~sign_bit), z = x * x;
    V a = v_choose(size > 4, v_all(4), size);
    V p = -6.20325631e-4f * z + 5.03218161e-3f;
    p = p * z - 2.67914633e-2f;
    p = p * z + 1.12824553e-1f;
    p = p * z - 3.76125505e-1f;
    p = p * z + 1.28379157e-1f;
    V near = x + x * p;

    V q = 2.15223817e-4f * a - 3.22511561e-3f;
    q = q * a + 2.29223611e-2f;
    q = q * a - 1.05312064e-1f;
    q = q * a - 6.35680449e-1f;
    q = q * a - 1.28525479e-1f;
    V far = 1 - v_exp_inside(q * a - a);
    return v_choose(size < 0.875f, near, (V)((VI)far | ((VI)x & sign_bit)));
}

#endif
