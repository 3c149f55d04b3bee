/* test_random.c - the generator gives the numbers of its paper, and they are spread as
 * promised. */
#include "base/random.h"
#include "suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    uint32_t counter[4], key[2], answer[4];
} Known;

/* The known answers that Random123, the authors' own library, is tested with. */
START_TEST(philox_gives_the_known_answers_of_its_authors)
{
    const Known known[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u},
         {~0u, ~0u},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        philox(out, known[i].counter, known[i].key);
        for (int j = 0; j < 4; j++)
            ck_assert_uint_eq(out[j], known[i].answer[j]);
    }
}
END_TEST

/* Seed, stream and number fill key and counter completely: upper halves count as well. */
START_TEST(bits_are_the_words_of_successive_counters)
{
    const uint64_t seed = 0x299f31d0a4093822, stream = 0x0370734413198a2e;
    const uint64_t block = 0x05a308d3243f6a88;
    uint32_t out[4];
    philox(out, (uint32_t[]){0x243f6a88, 0x05a308d3, 0x13198a2e, 0x03707344},
           (uint32_t[]){0xa4093822, 0x299f31d0});
    for (uint64_t j = 0; j < 4; j++)
        ck_assert_uint_eq(random_bits(seed, stream, 4 * block + j), out[j]);
}
END_TEST

START_TEST(many_bits_at_once_are_the_same_bits)
{
    enum { BLOCKS = 37 };
    uint32_t out[4 * BLOCKS + 1] = {0};
    const uint64_t first = 0xfffffff0; /* the lower half of the counter overflows */
    random_blocks(out, 5, 7, first, BLOCKS);
    for (uint64_t i = 0; i < 4 * BLOCKS; i++)
        ck_assert_uint_eq(out[i], random_bits(5, 7, 4 * first + i));
    ck_assert_uint_eq(out[4 * BLOCKS], 0);
}
END_TEST

enum { SAMPLES = 200000 };

/* Means of x, x^2, x^3, x^4 about 0. */
static void moments(float (*draw)(uint64_t, uint64_t, uint64_t), double mean[5])
{
    memset(mean, 0, 5 * sizeof *mean);
    for (uint64_t i = 0; i < SAMPLES; i++) {
        double x = draw(7, 3, i), power = 1;
        for (int k = 0; k < 5; k++, power *= x)
            mean[k] += power / SAMPLES;
    }
}

/* Bounds here and below are five standard deviations of what is estimated, or more. */
START_TEST(uniform_numbers_fill_the_unit_interval_evenly)
{
    double mean[5];
    moments(random_uniform, mean);
    for (int k = 1; k < 5; k++)
        ck_assert_double_eq_tol(mean[k], 1.0 / (k + 1), 0.004);

    int counts[16] = {0}, wrong = 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        float x = random_uniform(8, 1, i);
        /* Whole in units of 2^-24: nothing was rounded, and so never up to 1. */
        wrong += !(x >= 0 && x < 1 && x * 0x1p24f == floorf(x * 0x1p24f));
        counts[(int)(16 * x) % 16]++;
    }
    ck_assert_int_eq(wrong, 0);
    for (int j = 0; j < 16; j++)
        ck_assert_int_le(abs(counts[j] - SAMPLES / 16), 550);
}
END_TEST

START_TEST(normal_numbers_have_the_moments_and_tails_of_the_normal_law)
{
    double mean[5];
    moments(random_normal, mean);
    ck_assert_double_eq_tol(mean[1], 0, 0.012);
    ck_assert_double_eq_tol(mean[2], 1, 0.016);
    ck_assert_double_eq_tol(mean[3], 0, 0.045);
    ck_assert_double_eq_tol(mean[4], 3, 0.12);

    int beyond[4] = {0};
    for (uint64_t i = 0; i < SAMPLES; i++) {
        float x = random_normal(9, 1, i);
        for (int k = 0; k < 4; k++)
            beyond[k] += x > k;
    }
    ck_assert(isfinite(mean[4]));
    const double expected[4] = {0.5, 0.158655, 0.022750, 0.0013499};
    for (int k = 0; k < 4; k++) {
        double deviation = sqrt(expected[k] * (1 - expected[k]) / SAMPLES);
        ck_assert_double_eq_tol((double)beyond[k] / SAMPLES, expected[k], 5 * deviation);
    }
}
END_TEST

START_TEST(integers_below_a_bound_are_uniform_and_never_reach_it)
{
    for (uint32_t bound = 1; bound <= 12; bound++) {
        int counts[12] = {0}, outside = 0;
        for (uint64_t i = 0; i < 20000; i++) {
            uint32_t x = random_below(5, bound, i, bound);
            outside += x >= bound;
            counts[x % bound]++;
        }
        ck_assert_int_eq(outside, 0);
        double expected = 20000.0 / bound, deviation = sqrt(expected * (1 - 1.0 / bound));
        for (uint32_t x = 0; x < bound; x++)
            ck_assert_double_eq_tol(counts[x], expected, 5 * deviation + 1);
    }
}
END_TEST

/* With 32 bits a bound of 3 * 2^30 would have favourites: its lower third if a remainder
 * were taken, its multiples of three if the upper part of a product were. */
START_TEST(large_bounds_have_no_favourites)
{
    const uint64_t bounds[] = {3ull << 30, (1ull << 32) - 1, 1ull << 32};
    for (int b = 0; b < 3; b++) {
        int thirds[3] = {0}, remainders[3] = {0}, outside = 0;
        for (uint64_t i = 0; i < 30000; i++) {
            uint64_t x = random_below(6, 2, i, bounds[b]);
            outside += x >= bounds[b];
            thirds[3 * x / bounds[b] % 3]++;
            remainders[x % 3]++;
        }
        ck_assert_int_eq(outside, 0);
        for (int j = 0; j < 3; j++) {
            ck_assert_int_le(abs(thirds[j] - 10000), 410);
            ck_assert_int_le(abs(remainders[j] - 10000), 410);
        }
    }
}
END_TEST

static double correlation(uint64_t seed, uint64_t stream, uint64_t shift)
{
    double sum = 0;
    for (uint64_t i = 0; i < 20000; i++)
        sum += (double)random_normal(7, 3, i) * random_normal(seed, stream, i + shift);
    return sum / 20000;
}

START_TEST(streams_and_seeds_and_neighbours_have_nothing_in_common)
{
    ck_assert_double_eq_tol(correlation(7, 3, 0), 1, 0.06);
    ck_assert_double_eq_tol(correlation(7, 4, 0), 0, 0.04);
    ck_assert_double_eq_tol(correlation(8, 3, 0), 0, 0.04);
    ck_assert_double_eq_tol(correlation(7, 3, 1), 0, 0.04);
    ck_assert_double_eq_tol(correlation(7 + (1ull << 32), 3, 0), 0, 0.04);
    ck_assert_double_eq_tol(correlation(7, 3 + (1ull << 32), 0), 0, 0.04);
}
END_TEST

START_TEST(a_number_can_be_looked_up_in_any_order)
{
    float forth[100];
    for (uint64_t i = 0; i < 100; i++)
        forth[i] = random_uniform(1, 2, i);
    for (uint64_t i = 100; i-- > 0;)
        ck_assert_float_eq(random_uniform(1, 2, i), forth[i]);
}
END_TEST

/* The test vectors of Fowler, Noll and Vo. */
START_TEST(a_name_gives_its_stream)
{
    ck_assert(random_stream("") == 0xcbf29ce484222325u);
    ck_assert(random_stream("a") == 0xaf63dc4c8601ec8cu);
    ck_assert(random_stream("foobar") == 0x85944171f73967e8u);
}
END_TEST

/* The upper half of 64 bits times a bound, as a long multiplication by single bits has it. */
static uint32_t slow_below(uint64_t wide, uint64_t bound)
{
    uint64_t high = 0, low = 0;
    for (int bit = 63; bit >= 0; bit--) {
        high = high << 1 | low >> 63;
        low <<= 1;
        if (bound >> bit & 1) {
            low += wide;
            high += low < wide;
        }
    }
    return (uint32_t)high;
}

/* The two words of a normal number's block are those of random_bits 4 i and 4 i + 1. */
START_TEST(integers_are_the_upper_half_of_an_exact_product)
{
    static const uint64_t bounds[] = {1,          2,          3,          1000003,
                                      0x80000001, 0xffffffff, 0x100000000};
    for (uint64_t i = 0; i < 2000; i++)
        for (int b = 0; b < 7; b++) {
            uint64_t wide = (uint64_t)random_bits(5, 9, 4 * i) << 32 |
                            random_bits(5, 9, 4 * i + 1);
            ck_assert_uint_eq(random_below(5, 9, i, bounds[b]),
                              slow_below(wide, bounds[b]));
        }
}
END_TEST

SUITE("random", 10, philox_gives_the_known_answers_of_its_authors,
      bits_are_the_words_of_successive_counters, many_bits_at_once_are_the_same_bits,
      uniform_numbers_fill_the_unit_interval_evenly,
      normal_numbers_have_the_moments_and_tails_of_the_normal_law,
      integers_below_a_bound_are_uniform_and_never_reach_it,
      large_bounds_have_no_favourites,
      streams_and_seeds_and_neighbours_have_nothing_in_common,
      a_number_can_be_looked_up_in_any_order, a_name_gives_its_stream,
      integers_are_the_upper_half_of_an_exact_product)
