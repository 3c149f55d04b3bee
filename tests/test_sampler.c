/* test_sampler.c - which token is picked from logits. */
#include "base/error.h"
#include "base/random.h"
#include "text/sampler.h"
#include "suite.h"
#include "allocations.h"

#include <math.h>
#include <string.h>

enum { V = 6 };

/* Token 2 is the most probable, 4 and 1 are equals after it; the probabilities at temperature
 * 1 are 0.4, 0.2, 0.2, 0.1, 0.06, 0.04 for tokens 2, 1, 4, 0, 5, 3. */
static const double probability[V] = {0.1, 0.2, 0.4, 0.04, 0.2, 0.06};

static void make_logits(float *logits)
{
    for (int i = 0; i < V; i++)
        logits[i] = (float)(log(probability[i]) + 3);
}

/* How often each token is picked when `chance` goes evenly through [0, 1). */
enum { DRAWS = 20000 };
static void count_picks(SamplerSettings settings, int *count)
{
    float logits[V];
    make_logits(logits);
    memset(count, 0, V * sizeof *count);
    Sampler *sampler = sampler_new(V, settings);
    for (int i = 0; i < DRAWS; i++) {
        int token = sampler_pick(sampler, logits, (i + 0.5) / DRAWS);
        if (token < 0 || token >= V)
            ck_abort_msg("token %d was picked", token);
        count[token]++;
    }
    sampler_free(sampler);
}

/* The shares of the tokens must be as wanted, to a thousandth; 0 means never. */
static void assert_shares(SamplerSettings settings, const double *want)
{
    int count[V];
    count_picks(settings, count);
    for (int i = 0; i < V; i++) {
        double share = count[i] / (double)DRAWS;
        ck_assert_msg(fabs(share - want[i]) < 1e-3 && (want[i] > 0 || count[i] == 0),
                      "temperature %g, top_k %d, top_p %g: token %d has %.4f, not %.4f",
                      settings.temperature, settings.top_k, settings.top_p, i, share,
                      want[i]);
    }
}

/* ---- Temperature ---- */

START_TEST(all_tokens_come_as_often_as_they_are_probable)
{
    assert_shares((SamplerSettings){1, 0, 1}, probability);
}
END_TEST

START_TEST(random_draws_come_as_often_as_they_are_probable)
{
    float logits[V];
    make_logits(logits);
    int count[V] = {0};
    Sampler *sampler = sampler_new(V, (SamplerSettings){1, 0, 1});
    for (uint64_t i = 0; i < DRAWS; i++)
        count[sampler_pick(sampler, logits, random_uniform(1, 2, i))]++;
    double chi_square = 0;
    for (int i = 0; i < V; i++)
        chi_square += pow(count[i] - DRAWS * probability[i], 2) / (DRAWS * probability[i]);
    ck_assert_double_lt(chi_square, 20.5); /* 5 degrees of freedom: one time in 1000 */
    sampler_free(sampler);
}
END_TEST

START_TEST(temperature_zero_takes_the_first_of_the_most_probable)
{
    Sampler *sampler = sampler_new(V, (SamplerSettings){0, 3, 0.5});
    const float one[V] = {0, 1, 5, 2, 3, 4}, equals[V] = {-3, 7, 2, 7, 7, 0},
                all[V] = {2, 2, 2, 2, 2, 2}, last[V] = {-9, -8, -7, -6, -5, -4};
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(sampler_pick(sampler, one, i / 10.0), 2);
        ck_assert_int_eq(sampler_pick(sampler, equals, i / 10.0), 1);
        ck_assert_int_eq(sampler_pick(sampler, all, i / 10.0), 0);
        ck_assert_int_eq(sampler_pick(sampler, last, i / 10.0), 5);
    }
    sampler_free(sampler);
    sampler_free(NULL);
}
END_TEST

START_TEST(temperature_sharpens_and_flattens)
{
    double sharp[V], flat[V], sharp_sum = 0, flat_sum = 0;
    for (int i = 0; i < V; i++) {
        sharp_sum += sharp[i] = pow(probability[i], 2);
        flat_sum += flat[i] = sqrt(probability[i]);
    }
    for (int i = 0; i < V; i++) {
        sharp[i] /= sharp_sum;
        flat[i] /= flat_sum;
    }
    assert_shares((SamplerSettings){0.5, 0, 1}, sharp);
    assert_shares((SamplerSettings){2, 0, 1}, flat);
}
END_TEST

START_TEST(extreme_temperatures_end_in_greed_and_in_dice)
{
    static const double greed[V] = {0, 0, 1, 0, 0, 0},
                        dice[V] = {1 / 6., 1 / 6., 1 / 6., 1 / 6., 1 / 6., 1 / 6.};
    assert_shares((SamplerSettings){1e-4, 0, 1}, greed);
    assert_shares((SamplerSettings){1e-300, 0, 1}, greed);
    assert_shares((SamplerSettings){1e6, 0, 1}, dice);
}
END_TEST

START_TEST(large_logits_do_not_overflow)
{
    const float logits[3] = {1e30f, 1e30f, -1e30f};
    Sampler *sampler = sampler_new(3, (SamplerSettings){1e-3, 0, 1});
    ck_assert_int_eq(sampler_pick(sampler, logits, 0.25), 0);
    ck_assert_int_eq(sampler_pick(sampler, logits, 0.75), 1);
    ck_assert_int_eq(sampler_pick(sampler, logits, 0.999999), 1);
    sampler_free(sampler);
}
END_TEST

START_TEST(what_was_ruled_out_is_never_picked)
{
    const float logits[4] = {-INFINITY, 0, -INFINITY, 0};
    const SamplerSettings settings[] = {{1, 0, 1}, {1, 3, 1}, {1, 0, 0.99}, {0, 0, 1}};
    for (int s = 0; s < 4; s++) {
        Sampler *sampler = sampler_new(4, settings[s]);
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(sampler_pick(sampler, logits, i / 100.0) % 2, 1);
        sampler_free(sampler);
    }
}
END_TEST

/* ---- The k most probable, and those that reach p ---- */

START_TEST(only_the_k_most_probable_stay)
{
    assert_shares((SamplerSettings){1, 1, 1}, (double[V]){0, 0, 1, 0, 0, 0});
    assert_shares((SamplerSettings){1, 3, 1}, (double[V]){0, 0.25, 0.5, 0, 0.25, 0});
    assert_shares((SamplerSettings){1, 4, 1},
                  (double[V]){0.1 / 0.9, 0.2 / 0.9, 0.4 / 0.9, 0, 0.2 / 0.9, 0});
}
END_TEST

START_TEST(of_equals_the_smaller_token_stays)
{
    assert_shares((SamplerSettings){1, 2, 1}, (double[V]){0, 1 / 3., 2 / 3., 0, 0, 0});
    assert_shares((SamplerSettings){1, 0, 0.5}, (double[V]){0, 1 / 3., 2 / 3., 0, 0, 0});
}
END_TEST

START_TEST(a_k_beyond_the_vocabulary_keeps_all)
{
    assert_shares((SamplerSettings){1, V, 1}, probability);
    assert_shares((SamplerSettings){1, V + 1, 1}, probability);
    assert_shares((SamplerSettings){1, 1000000, 1}, probability);
}
END_TEST

START_TEST(only_the_most_probable_that_reach_p_stay)
{
    assert_shares((SamplerSettings){1, 0, 0.39}, (double[V]){0, 0, 1, 0, 0, 0});
    assert_shares((SamplerSettings){1, 0, 0.41}, (double[V]){0, 1 / 3., 2 / 3., 0, 0, 0});
    assert_shares((SamplerSettings){1, 0, 0.79}, (double[V]){0, 0.25, 0.5, 0, 0.25, 0});
    assert_shares((SamplerSettings){1, 0, 0.97}, probability);
}
END_TEST

START_TEST(a_tiny_p_keeps_the_most_probable)
{
    assert_shares((SamplerSettings){1, 0, 1e-12}, (double[V]){0, 0, 1, 0, 0, 0});
    assert_shares((SamplerSettings){1, 0, 0}, (double[V]){0, 0, 1, 0, 0, 0});
}
END_TEST

/* First k, then p of what k has left: of 0.5, 0.25, 0.25 the first two reach 0.7. */
START_TEST(k_comes_before_p)
{
    assert_shares((SamplerSettings){1, 3, 0.7}, (double[V]){0, 1 / 3., 2 / 3., 0, 0, 0});
    assert_shares((SamplerSettings){1, 0, 0.7}, (double[V]){0, 0.25, 0.5, 0, 0.25, 0});
}
END_TEST

START_TEST(temperature_comes_before_p)
{
    assert_shares((SamplerSettings){0.5, 0, 0.6}, (double[V]){0, 0, 1, 0, 0, 0});
}
END_TEST

START_TEST(chances_run_through_the_tokens_in_a_fixed_order)
{
    float logits[V];
    make_logits(logits);
    Sampler *plain = sampler_new(V, (SamplerSettings){1, 0, 1}),
            *sorted = sampler_new(V, (SamplerSettings){1, 5, 1});
    static const int by_token[] = {0, 1, 2, 3, 4, 5}, by_logit[] = {2, 1, 4, 0, 5};
    double before = 0;
    for (int i = 0; i < V; i++) {
        ck_assert_int_eq(sampler_pick(plain, logits, before + 1e-3), by_token[i]);
        before += probability[i];
        ck_assert_int_eq(sampler_pick(plain, logits, before - 1e-3), by_token[i]);
    }
    before = 0;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(sampler_pick(sorted, logits, before + 1e-3), by_logit[i]);
        before += probability[by_logit[i]] / 0.96;
        ck_assert_int_eq(sampler_pick(sorted, logits, before - 1e-3), by_logit[i]);
    }
    sampler_free(plain);
    sampler_free(sorted);
}
END_TEST

/* A thousand equals, and a few above them: the order is that of the tokens. */
START_TEST(a_large_vocabulary_is_ordered_as_a_small_one)
{
    enum { MANY = 5003 };
    float *logits = allocate(MANY, sizeof *logits);
    for (int i = 0; i < MANY; i++)
        logits[i] = i % 1000 == 77 ? 3 + (float)(i / 1000) : (float)(i % 3 == 1);
    static const int first[] = {4077, 3077, 2077, 1077, 77, 1, 4, 7, 10};
    for (int k = 1; k <= 9; k++) {
        Sampler *sampler = sampler_new(MANY, (SamplerSettings){1e9, k, 1});
        for (int i = 0; i < k; i++)
            ck_assert_int_eq(sampler_pick(sampler, logits, (i + 0.5) / k), first[i]);
        sampler_free(sampler);
    }
    free(logits);
}
END_TEST

/* ---- The definition ---- */

typedef struct {
    int token;
    float logit;
} Ranked;

static int compare_ranked(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token - y->token;
}

/* What sampler_pick should pick, by sorting everything; for a temperature above 0. */
static int pick_by_sorting(const float *logits, int n, SamplerSettings set, double chance)
{
    Ranked *rank = allocate((size_t)n, sizeof *rank);
    double *weight = allocate((size_t)n, sizeof *weight), sum = 0;
    for (int i = 0; i < n; i++)
        rank[i] = (Ranked){i, logits[i]};
    bool cut = set.top_k > 0 && set.top_k < n;
    float max = logits[0];
    for (int i = 0; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    if (cut || set.top_p < 1)
        qsort(rank, (size_t)n, sizeof *rank, compare_ranked);
    if (cut)
        n = set.top_k;
    for (int i = 0; i < n; i++)
        sum += weight[i] = exp((rank[i].logit - max) / set.temperature);
    if (set.top_p < 1) {
        double reached = 0;
        int kept = 0;
        while (kept < n && (kept == 0 || reached < set.top_p * sum))
            reached += weight[kept++];
        n = kept;
        sum = reached;
    }
    double reached = 0;
    int i = 0;
    while (i < n - 1 && (reached += weight[i]) <= chance * sum)
        i++;
    int token = rank[i].token;
    free(rank);
    free(weight);
    return token;
}

/* Numbers of one test case after the other. */
static uint64_t drawn;
static int below(int bound)
{
    return (int)random_below(3, 4, drawn++, (uint64_t)bound);
}

/* Logits of ten sorts: with ties, with what is ruled out, flat, peaked, near to each other,
 * far from each other, of both signs. */
enum { SORTS = 10 };
static void draw_logits(float *logits, int n, int sort)
{
    float near = random_normal(3, 5, drawn);
    for (int i = 0; i < n; i++) {
        float normal = random_normal(3, 5, drawn++);
        near = i % 3 ? nextafterf(near, INFINITY) : near;
        const float of_sort[SORTS] = {normal,
                                      10 * normal,
                                      (float)below(3),
                                      0.25f * (float)below(8) - 1,
                                      below(2) ? -INFINITY : normal,
                                      i % 7 == 2 ? 30 : normal,
                                      near,
                                      1.5f,
                                      normal * expf(40 * random_uniform(3, 6, drawn)),
                                      below(2) ? 0.0f : -0.0f};
        logits[i] = of_sort[sort];
    }
    if (sort == 4)
        logits[below(n)] = 0.5f; /* something must be possible */
}

static SamplerSettings draw_settings(int n)
{
    static const double temperatures[] = {0.1, 0.7, 1, 1.9};
    SamplerSettings set = {temperatures[below(4)], 0, 1};
    if (below(3))
        set.top_k = below(n + 3);
    if (below(3))
        set.top_p = below(9) ? random_uniform(3, 7, drawn++) : 0;
    return set;
}

static void assert_as_by_sorting(const float *logits, int n, SamplerSettings set,
                                 int chances)
{
    Sampler *sampler = sampler_new(n, set);
    for (int c = 0; c < chances; c++) {
        double chance = c ? random_uniform(3, 8, drawn++) : 0;
        int got = sampler_pick(sampler, logits, chance),
            want = pick_by_sorting(logits, n, set, chance);
        ck_assert_msg(got == want,
                      "of %d, temperature %g, top_k %d, top_p %g, chance %.9f: token %d, "
                      "not %d (logits %g and %g)",
                      n, set.temperature, set.top_k, set.top_p, chance, got, want,
                      logits[got], logits[want]);
    }
    sampler_free(sampler);
}

START_TEST(every_choice_is_that_of_sorting_everything)
{
    float logits[300];
    for (int round = 0; round < 6000; round++) {
        int n = round % 3 ? 1 + below(20) : 1 + below(300);
        draw_logits(logits, n, round % SORTS);
        assert_as_by_sorting(logits, n, draw_settings(n), 6);
    }
}
END_TEST

START_TEST(so_it_is_in_a_large_vocabulary)
{
    enum { MANY = 40003 };
    static const SamplerSettings settings[] = {{1, 0, 0.9}, {1, 50, 1}, {0.8, 3000, 0.7}};
    float *logits = allocate(MANY, sizeof *logits);
    for (int sort = 0; sort < SORTS; sort++) {
        draw_logits(logits, MANY, sort);
        for (int s = 0; s < 3; s++)
            assert_as_by_sorting(logits, MANY, settings[s], 2);
    }
    free(logits);
}
END_TEST

/* What is ordered by its last bits only is ordered all the same. */
START_TEST(the_smallest_difference_counts)
{
    static const float starts[] = {1, 0.1f, -0.1f, -3, 1e-40f, -1e-40f, 0, 1e30f};
    for (int s = 0; s < 8; s++) {
        float logits[64];
        logits[0] = starts[s];
        for (int i = 1; i < 64; i++)
            logits[i] = nextafterf(logits[i - 1], INFINITY);
        for (int k = 1; k < 64; k++) {
            Sampler *sampler = sampler_new(64, (SamplerSettings){1e38, k, 1});
            for (int i = 0; i < k; i += 1 + k / 5)
                ck_assert_int_eq(sampler_pick(sampler, logits, (i + 0.5) / k), 63 - i);
            sampler_free(sampler);
        }
    }
}
END_TEST

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The chance up to which the first of two tokens is picked is its probability. It is found
 * by halving, as the bits of the chance, which are in its order. */
START_TEST(probabilities_are_exact_to_the_last_digits)
{
    Sampler *sampler = sampler_new(2, (SamplerSettings){1, 0, 1});
    for (double less = 0; less < 690; less += less < 3 ? 0.03125 : 5.5) {
        const float logits[2] = {(float)-less, 0};
        uint64_t low = 0, high = 0x3ff0000000000000; /* 0 and 1 */
        while (high - low > 1) {
            uint64_t middle = low + (high - low) / 2;
            *(sampler_pick(sampler, logits, of_bits(middle)) == 0 ? &low : &high) = middle;
        }
        double found = of_bits(high), want = exp(-less) / (1 + exp(-less));
        ck_assert_msg(fabs(found - want) < 1e-15 * want, "e^-%g: %.17g, not %.17g", less,
                      found, want);
    }
    sampler_free(sampler);
}
END_TEST

/* A chance that is exactly where one token ends belongs to the next. */
START_TEST(a_chance_on_the_border_is_that_of_the_next_token)
{
    const float logits[4] = {2, 2, 2, 2};
    const SamplerSettings settings[] = {{1, 0, 1}, {1, 0, 0.999}, {1, 3, 1}, {1, 3, 0.999}};
    for (int s = 0; s < 4; s++) {
        Sampler *sampler = sampler_new(4, settings[s]);
        int n = s < 2 ? 4 : 3;
        for (int i = 0; i < n; i++)
            ck_assert_int_eq(sampler_pick(sampler, logits, i / (double)n), i);
        sampler_free(sampler);
    }
}
END_TEST

START_TEST(without_a_possible_token_there_is_still_a_pick)
{
    const float logits[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    const SamplerSettings settings[] = {{1, 0, 1}, {1, 3, 1}, {1, 0, 0.5}, {1, 2, 0.1}};
    for (int s = 0; s < 4; s++) {
        Sampler *sampler = sampler_new(4, settings[s]);
        int token = sampler_pick(sampler, logits, 0.5);
        ck_assert(token >= 0 && token < 4);
        sampler_free(sampler);
    }
}
END_TEST

START_TEST(picking_allocates_nothing)
{
    enum { MANY = 4001 };
    float *logits = allocate(MANY, sizeof *logits);
    for (int i = 0; i < MANY; i++)
        logits[i] = random_normal(1, 2, (uint64_t)i);
    Sampler *sampler = sampler_new(MANY, (SamplerSettings){1, 50, 0.9});
    long before = allocations;
    for (int i = 0; i < 5; i++)
        sampler_pick(sampler, logits, i / 5.0);
    ck_assert_int_eq(allocations, before);
    sampler_free(sampler);
    free(logits);
}
END_TEST

SUITE("sampler", 10, all_tokens_come_as_often_as_they_are_probable,
      random_draws_come_as_often_as_they_are_probable,
      temperature_zero_takes_the_first_of_the_most_probable,
      temperature_sharpens_and_flattens, extreme_temperatures_end_in_greed_and_in_dice,
      large_logits_do_not_overflow, what_was_ruled_out_is_never_picked,
      only_the_k_most_probable_stay, of_equals_the_smaller_token_stays,
      a_k_beyond_the_vocabulary_keeps_all, only_the_most_probable_that_reach_p_stay,
      a_tiny_p_keeps_the_most_probable, k_comes_before_p, temperature_comes_before_p,
      chances_run_through_the_tokens_in_a_fixed_order,
      a_large_vocabulary_is_ordered_as_a_small_one,
      every_choice_is_that_of_sorting_everything, so_it_is_in_a_large_vocabulary,
      the_smallest_difference_counts, probabilities_are_exact_to_the_last_digits,
      a_chance_on_the_border_is_that_of_the_next_token,
      without_a_possible_token_there_is_still_a_pick, picking_allocates_nothing)
