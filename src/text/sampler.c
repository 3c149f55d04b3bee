/* sampler.c - from logits to the next token.
 *
 * Top-k and top-p speak of tokens in the order of their probability, but sorting a large
 * vocabulary for every token would take longer than many a model. All that is asked is at
 * which token a running total reaches a target: k tokens, the probability p, the chance.
 * That is found as in a radix sort that goes into one bucket only: add up the amounts by
 * the leading digit of the sort key, see in which bucket the total reaches the target, and
 * go on with the next digit in that bucket alone. */
#include "text/sampler.h"
#include "base/error.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGITS = 3,
    DIGIT_BITS = 11, /* the last digit has 10 bits left */
    BUCKETS = 1 << DIGIT_BITS
};
static const int SHIFT[DIGITS] = {21, 10, 0};

/* Candidates are in the order of their tokens, and spoken of by place. */
struct Sampler {
    int V;
    SamplerSettings settings;
    int n;            /* candidates */
    int *token;       /* (n); all V at first */
    uint32_t *key;    /* (n): the higher the logit, the lower the key */
    double *weight;   /* (n): the probability, not yet divided by the sum */
    int *member;      /* places: the bucket that is looked into */
    double *leading;  /* (BUCKETS): the amounts by leading digit, and */
    double *trailing; /* those of the members by a later digit */
};

Sampler *sampler_new(int V, SamplerSettings settings)
{
    Sampler *s = allocate(1, sizeof *s);
    s->V = V;
    s->settings = settings;
    s->token = allocate((size_t)V, sizeof *s->token);
    s->key = allocate((size_t)V, sizeof *s->key);
    s->weight = allocate((size_t)V, sizeof *s->weight);
    s->member = allocate((size_t)V, sizeof *s->member);
    s->leading = allocate(BUCKETS, sizeof *s->leading);
    s->trailing = allocate(BUCKETS, sizeof *s->trailing);
    return s;
}

void sampler_free(Sampler *s)
{
    if (!s)
        return;
    free(s->token);
    free(s->key);
    free(s->weight);
    free(s->member);
    free(s->leading);
    free(s->trailing);
    free(s);
}

static int most_probable(const float *logits, int V)
{
    int best = 0;
    for (int i = 1; i < V; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* ---- Keys and weights ---- */

/* The bits of a float, turned so that they are in descending order of the floats. Turned
 * again they are what they were. */
static uint32_t turned(uint32_t bits)
{
    return bits >> 31 ? bits : ~bits & 0x7fffffff;
}

static uint32_t key_of(float logit)
{
    float value = logit + 0.0f; /* -0 becomes 0 */
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return turned(bits);
}

static float logit_of(uint32_t key)
{
    uint32_t bits = turned(key);
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

static void consider_all(Sampler *s, const float *logits)
{
    s->n = s->V;
    for (int i = 0; i < s->V; i++) {
        s->token[i] = i;
        s->key[i] = key_of(logits[i]);
    }
}

/* exp(x) for x <= 0, to about 1e-16; 0 below -700, and where x is no number. As 2^n exp(r)
 * with n whole and |r| <= log(2) / 2; exp(r) is its Taylor series. Unlike exp() it works on
 * several numbers at once when it is in a loop. */
static double exp_below(double x)
{
    static const double round = 0x1.8p52; /* leaves a whole number in the lowest bits */
    static const double over[] = {1. / 6227020800,
                                  1. / 479001600,
                                  1. / 39916800,
                                  1. / 3628800,
                                  1. / 362880,
                                  1. / 40320,
                                  1. / 5040,
                                  1. / 720,
                                  1. / 120,
                                  1. / 24,
                                  1. / 6,
                                  1. / 2,
                                  1,
                                  1};
    double inside = x > -700 ? x : -700;
    double shifted = inside * 0x1.71547652b82fep0 + round, n = shifted - round;
    double r = inside - n * 0x1.62e42fee00000p-1 - n * 0x1.a39ef35793c76p-33;
    double series = over[0];
    for (int i = 1; i < 14; i++)
        series = series * r + over[i];

    uint64_t bits, zero;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&zero, &round, sizeof zero);
    bits = (bits - zero + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return x > -700 ? series * power : 0;
}

static void weigh(Sampler *s)
{
    int n = s->n;
    const uint32_t *key = s->key;
    double *weight = s->weight, temperature = s->settings.temperature;
    uint32_t first = UINT32_MAX;
    for (int i = 0; i < n; i++)
        first = key[i] < first ? key[i] : first;
    float max = logit_of(first);
    for (int i = 0; i < n; i++)
        weight[i] = exp_below((logit_of(key[i]) - max) / temperature);
}

/* ---- Where a total reaches a target ---- */

static int digit_of(uint32_t key, int digit)
{
    return key >> SHIFT[digit] & (BUCKETS - 1);
}

/* Adds up weights, or numbers of candidates where `amount` is NULL, by leading digit. Every
 * other candidate goes to a second table, because logits are alike and an addition to the
 * bucket of the one before has to wait for that. */
static void sum_leading(Sampler *s, const double *amount)
{
    double *even = s->leading, *odd = s->trailing;
    memset(even, 0, BUCKETS * sizeof *even);
    memset(odd, 0, BUCKETS * sizeof *odd);
    for (int i = 0; i < s->n; i++) {
        double *sum = i % 2 ? odd : even;
        sum[digit_of(s->key[i], 0)] += amount ? amount[i] : 1;
    }
    for (int b = 0; b < BUCKETS; b++)
        even[b] += odd[b];
}

static void sum_members(Sampler *s, const double *amount, int members, int digit)
{
    memset(s->trailing, 0, BUCKETS * sizeof *s->trailing);
    for (int i = 0; i < members; i++) {
        int place = s->member[i];
        s->trailing[digit_of(s->key[place], digit)] += amount ? amount[place] : 1;
    }
}

/* The bucket in which the total reaches the target, and adds to the total what is before
 * that. Where rounding lets none reach it, the last one that has something. */
static int reaching_bucket(const double *sum, double target, double *total)
{
    int last = 0;
    double before = *total, reached = before;
    for (int b = 0; b < BUCKETS; b++) {
        if (sum[b] <= 0)
            continue;
        before = reached;
        reached += sum[b];
        last = b;
        if (reached >= target)
            break;
    }
    *total = before;
    return last;
}

/* Makes members of the candidates in a bucket of the leading digit; returns how many. */
static int enter_bucket(Sampler *s, int bucket)
{
    int members = 0;
    for (int i = 0; i < s->n; i++) {
        s->member[members] = i;
        members += digit_of(s->key[i], 0) == bucket;
    }
    return members;
}

/* Keeps of the members those in a bucket of a later digit; returns how many. */
static int narrow_bucket(Sampler *s, int members, int digit, int bucket)
{
    int kept = 0;
    for (int i = 0; i < members; i++) {
        int place = s->member[i];
        s->member[kept] = place;
        kept += digit_of(s->key[place], digit) == bucket;
    }
    return kept;
}

static bool all_equal(const Sampler *s, int members)
{
    for (int i = 1; i < members; i++)
        if (s->key[s->member[i]] != s->key[s->member[0]])
            return false;
    return true;
}

typedef struct {
    int place;    /* the candidate at which the target is reached, */
    double total; /* and what all up to it, most probable first, amount to */
} Cut;

/* Where the amounts reach a target above 0. They have been added up by leading digit, and
 * are not all 0. */
static Cut find_cut(Sampler *s, const double *amount, double target)
{
    double total = 0;
    int members = enter_bucket(s, reaching_bucket(s->leading, target, &total));
    for (int digit = 1; digit < DIGITS && !all_equal(s, members); digit++) {
        sum_members(s, amount, members, digit);
        members = narrow_bucket(s, members, digit,
                                reaching_bucket(s->trailing, target, &total));
    }
    int i = 0;
    for (; i < members; i++) {
        total += amount ? amount[s->member[i]] : 1;
        if (total >= target || i == members - 1)
            break;
    }
    return (Cut){s->member[i], total};
}

/* ---- Picking ---- */

static void keep_most_probable(Sampler *s, int k)
{
    sum_leading(s, NULL);
    int last = find_cut(s, NULL, k).place, kept = 0;
    uint32_t bound = s->key[last];
    for (int i = 0; i < s->n; i++)
        if (s->key[i] < bound || (s->key[i] == bound && i <= last)) {
            s->token[kept] = s->token[i];
            s->key[kept++] = s->key[i];
        }
    s->n = kept;
}

/* In the order of the tokens. */
static int pick_of_all(const Sampler *s, double chance)
{
    double sum = 0;
    for (int i = 0; i < s->n; i++)
        sum += s->weight[i];
    double rest = chance * sum;
    int i = 0;
    while (i < s->n - 1 && (rest -= s->weight[i]) >= 0)
        i++;
    return i;
}

/* Most probable first, of those that reach top_p together. */
static int pick_in_order(Sampler *s, double chance)
{
    sum_leading(s, s->weight);
    double sum = 0;
    for (int b = 0; b < BUCKETS; b++)
        sum += s->leading[b];
    if (!(sum > 0)) /* nothing is possible, so anything is right */
        return s->n - 1;
    if (s->settings.top_p < 1)
        sum = find_cut(s, s->weight, fmax(s->settings.top_p * sum, DBL_MIN)).total;
    return find_cut(s, s->weight, nextafter(chance * sum, INFINITY)).place;
}

int sampler_pick(Sampler *s, const float *logits, double chance)
{
    const SamplerSettings *set = &s->settings;
    if (set->temperature == 0)
        return most_probable(logits, s->V);
    bool k_counts = set->top_k > 0 && set->top_k < s->V;
    consider_all(s, logits);
    if (k_counts)
        keep_most_probable(s, set->top_k);
    weigh(s);
    bool in_order = k_counts || set->top_p < 1;
    return s->token[in_order ? pick_in_order(s, chance) : pick_of_all(s, chance)];
}
