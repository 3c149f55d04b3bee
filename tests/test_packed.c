/* test_packed.c - weights of 16 bits give the results of the floats that they stand for, and
 * parameters whose numbers come from elsewhere are read and refused as promised. */
#include "tensor/packed.h"
#include "tensor/ops.h"
#include "tensor/parallel.h"
#include "tensor/scratch.h"
#include "base/random.h"
#include "oracle.h"
#include "suite.h"

#include <math.h>
#include <string.h>

/* ---- Numbers ---- */

/* What 16 bits mean, by the definitions of the formats. */
static double meaning(Packing packing, unsigned bits)
{
    int fraction_bits = packing == PACKING_F16 ? 10 : 7, exponent_bits = 15 - fraction_bits,
        bias = (1 << (exponent_bits - 1)) - 1,
        exponent = (int)(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    double sign = bits >> 15 ? -1 : 1, unit = ldexp(1, -fraction_bits),
           fraction = (double)(bits & ((1u << fraction_bits) - 1)) * unit;
    if (exponent == (1 << exponent_bits) - 1)
        return fraction == 0 ? sign * INFINITY : (double)NAN;
    return sign *
           (exponent ? ldexp(1 + fraction, exponent - bias) : ldexp(fraction, 1 - bias));
}

START_TEST(every_number_expands_exactly)
{
    enum { ALL = 1 << 16 };
    uint16_t *bits = allocate(ALL, sizeof *bits);
    float *got = allocate(ALL, sizeof *got);
    for (int i = 0; i < ALL; i++)
        bits[i] = (uint16_t)i;
    for (int packing = PACKING_F16; packing <= PACKING_BF16; packing++) {
        kernel_expand((Packing)packing, ALL, bits, got);
        for (int i = 0; i < ALL; i++) {
            double want = meaning((Packing)packing, (unsigned)i);
            if (isnan(want) ? !isnan(got[i])
                            : got[i] != want || !signbit(got[i]) != !signbit(want))
                ck_abort_msg("format %d, %04x is %g, not %g", packing, i, got[i], want);
        }
    }
    free(bits);
    free(got);
}
END_TEST

START_TEST(nothing_is_written_after_the_last_number)
{
    uint16_t bits[40] = {0};
    for (long n = 0; n < 40; n++) {
        float to[41];
        for (int i = 0; i < 41; i++)
            to[i] = 7;
        kernel_expand(PACKING_BF16, n, bits, to);
        for (long i = 0; i < 41; i++)
            ck_assert_float_eq(to[i], i < n ? 0 : 7);
    }
}
END_TEST

/* ---- A packed parameter, and the same as floats ---- */

typedef struct {
    uint16_t *bits;
    Tensor *packed, *floats;
} Pair;

static Pair pair_new(Packing packing, int rows, int columns)
{
    long size = (long)rows * columns;
    Pair p = {allocate((size_t)size, sizeof *p.bits), t_waiting(T_INTS(rows, columns)),
              t_lasting(false, T_INTS(rows, columns))};
    for (long i = 0; i < size; i++) { /* of either sign, between 1/8 and 1 */
        unsigned random = (unsigned)(random_uniform(3, 1, (uint64_t)i) * 65536);
        p.bits[i] = (uint16_t)(packing == PACKING_F16
                                   ? (random & 0x83ff) | (12 + random % 3) << 10
                                   : (random & 0x807f) | (124 + random % 3) << 7);
    }
    kernel_expand(packing, size, p.bits, p.floats->data);
    t_lend(p.packed, packing, p.bits);
    return p;
}

static void pair_free(Pair p)
{
    t_lasting_free(p.packed);
    t_lasting_free(p.floats);
    free(p.bits);
}

static Tensor *drawn(Tape *tape, int rank, const int *shape)
{
    Tensor *x = t_empty_of(tape, rank, shape);
    for (long i = 0; i < t_size(x); i++)
        x->data[i] = random_normal(8, 1, (uint64_t)i);
    return x;
}

/* Sums of K products in another order differ by about the root of K times the rounding. */
static void assert_same(const Tensor *got, const Tensor *want, int K)
{
    ck_assert(t_has_shape(got, want->rank, want->shape));
    for (long i = 0; i < t_size(want); i++)
        if (!(fabs(got->data[i] - want->data[i]) <= 4e-7 * (2 + K)))
            ck_abort_msg("%s, K %d: element %ld is %.9g, not %.9g", t_text(want), K, i,
                         got->data[i], want->data[i]);
}

/* x w and x w + b, the weight stored as (in, out) and as (out, in). */
static void assert_products(Packing packing, int M, int N, int K)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Tensor *x = drawn(tape, T_INTS(1, M, K)), *bias = drawn(tape, T_INTS(N));
    for (int by_output = 0; by_output < 2; by_output++) {
        Pair p = pair_new(packing, by_output ? N : K, by_output ? K : N);
        Tensor *w = by_output ? t_transpose(p.packed) : p.packed;
        Tensor *v = by_output ? t_transpose(p.floats) : p.floats;
        assert_same(t_matmul(x, w), t_matmul(x, v), K);
        assert_same(t_affine(x, w, bias), t_affine(x, v, bias), K);
        pair_free(p);
    }
    tape_free(tape);
}

START_TEST(products_are_those_of_the_floats)
{
    static const int sizes[][3] = {
        {1, 1, 1},     {1, 5, 3},      {1, 64, 64},   {1, 33, 130}, {1, 200, 300},
        {2, 7, 5},     {3, 193, 257},  {7, 400, 31},  {13, 5, 600}, {97, 64, 256},
        {1, 700, 513}, {40, 130, 129}, {6, 384, 512}, {1, 3, 2000}};
    for (int i = 0; i < (int)(sizeof sizes / sizeof sizes[0]); i++)
        for (int packing = PACKING_F16; packing <= PACKING_BF16; packing++)
            assert_products((Packing)packing, sizes[i][0], sizes[i][1], sizes[i][2]);
}
END_TEST

START_TEST(products_of_nothing_are_nothing_or_the_bias)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Tensor *bias = drawn(tape, T_INTS(5));
    Pair p = pair_new(PACKING_F16, 0, 5), q = pair_new(PACKING_F16, 3, 0);
    for (int M = 1; M < 3; M++) {
        Tensor *y = t_affine(drawn(tape, T_INTS(M, 0)), p.packed, bias);
        Tensor *z = t_matmul(drawn(tape, T_INTS(M, 0)), p.packed);
        for (int i = 0; i < 5 * M; i++) {
            ck_assert_float_eq(y->data[i], bias->data[i % 5]);
            ck_assert_float_eq(z->data[i], 0);
        }
        ck_assert_int_eq(t_size(t_matmul(drawn(tape, T_INTS(M, 3)), q.packed)), 0);
    }
    ck_assert_int_eq(t_size(t_matmul(drawn(tape, T_INTS(0, 0)), p.packed)), 0);
    pair_free(p);
    pair_free(q);
    tape_free(tape);
}
END_TEST

/* A view into both dimensions of a weight, and a left side that is a view as well. */
START_TEST(views_of_packed_weights_multiply)
{
    enum { IN = 40, OUT = 90 };
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Pair p = pair_new(PACKING_BF16, OUT, IN);
    Tensor *x = t_permute(drawn(tape, T_INTS(20, 3, 2)), 1, 2, 0);
    for (int one = 0; one < 2; one++) {
        Tensor *y[2];
        for (int k = 0; k < 2; k++) {
            Tensor *w = t_transpose(k ? p.floats : p.packed);
            w = t_slice(t_slice(w, 1, 30, 89), 0, 7, 27);
            y[k] = t_matmul(one ? t_slice(t_select(x, 0, 1), 0, 1, 2) : x, w);
        }
        assert_same(y[0], y[1], 20);
    }
    Tensor *bias = t_select(drawn(tape, T_INTS(OUT, 2)), 1, 1); /* not contiguous */
    Tensor *z = drawn(tape, T_INTS(2, IN));
    assert_same(t_affine(z, t_transpose(p.packed), bias),
                t_affine(z, t_transpose(p.floats), bias), IN);
    pair_free(p);
    tape_free(tape);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    static const int sizes[][3] = {{1, 700, 513}, {5, 700, 513}, {200, 300, 70}};
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    for (int i = 0; i < 3; i++)
        for (int by_output = 0; by_output < 2; by_output++) {
            int M = sizes[i][0], N = sizes[i][1], K = sizes[i][2];
            Pair p = pair_new(PACKING_F16, by_output ? N : K, by_output ? K : N);
            Tensor *w = by_output ? t_transpose(p.packed) : p.packed;
            Tensor *x = drawn(tape, T_INTS(M, K)), *bias = drawn(tape, T_INTS(N)), *y[4];
            for (int threads = 1; threads < 4; threads++) {
                parallel_threads(threads);
                y[threads] = t_affine(x, w, bias);
                ck_assert_mem_eq(y[threads]->data, y[1]->data,
                                 (size_t)t_size(y[1]) * sizeof(float));
            }
            pair_free(p);
        }
    tape_free(tape);
}
END_TEST

/* What a product takes for its blocks it gives back: the next one finds it in its place. */
START_TEST(the_memory_of_a_block_is_returned)
{
    parallel_threads(1);
    assert_products(PACKING_F16, 5, 100, 100);
    void *before = scratch_take(1), *after;
    scratch_return(before);
    assert_products(PACKING_F16, 5, 100, 100);
    after = scratch_take(1);
    scratch_return(after);
    ck_assert(before == after);
}
END_TEST

START_TEST(rows_of_a_packed_table_are_looked_up)
{
    enum { V = 50, C = 37 };
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    for (int packing = PACKING_F16; packing <= PACKING_BF16; packing++) {
        Pair p = pair_new((Packing)packing, V, C);
        Ids *ids = ids_new(tape, 2, 3);
        for (int i = 0; i < 6; i++)
            ids->at[i] = i * 7 % 30;
        Tensor *all = t_shaped(t_rows(p.packed, ids), 2, 3, C),
               *some = t_rows(t_slice(t_slice(p.packed, 0, 20, V), 1, 3, 30), ids);
        for (int i = 0; i < 6; i++)
            for (int c = 0; c < C; c++) {
                const float *table = p.floats->data;
                ck_assert_float_eq(all->data[i * C + c], table[ids->at[i] * C + c]);
                if (c < 27)
                    ck_assert_float_eq(some->data[i * 27 + c],
                                       table[(ids->at[i] + 20) * C + c + 3]);
            }
        pair_free(p);
    }
    tape_free(tape);
}
END_TEST

/* ---- Where numbers come from ---- */

START_TEST(views_follow_when_numbers_arrive)
{
    static const float one[] = {1, 2, 3, 4, 5, 6}, two[] = {9, 8, 7, 6, 5, 4};
    static const uint16_t bf16[] = {0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0};
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Tensor *p = t_waiting(T_INTS(3, 2)), *row = t_select(p, 0, 2),
           *turned = t_slice(t_transpose(p), 1, 1, 3);
    ck_assert(p->data == NULL && row->data == NULL && turned->data == NULL);
    int writes = p->storage->writes;
    t_lend(p, PACKING_NONE, one);
    ck_assert_float_eq(row->data[1], 6);
    ck_assert_float_eq(turned->data[1], 4);
    ck_assert_int_gt(p->storage->writes, writes);
    t_lend(p, PACKING_NONE, two);
    ck_assert(t_select(p, 0, 2) == row); /* the same view still */
    ck_assert_float_eq(row->data[0], 5);
    t_lend(p, PACKING_BF16, bf16);
    ck_assert(row->data == NULL);
    Tensor *x = t_zeros(tape, 1, 2);
    x->data[1] = 1;
    Tensor *y = t_matmul(x, turned);
    ck_assert_float_eq(y->data[0], 4);
    ck_assert_float_eq(y->data[1], 6);

    float *own = t_own(p);
    ck_assert_float_eq(own[5], 0); /* cleared */
    ck_assert(t_own(p) == own && row->data == own + 4);
    own[5] = 3;
    ck_assert(t_own(p) == own && own[5] == 3);
    t_assign(p, t_zeros(tape, 3, 2));
    t_lasting_free(p);
    tape_free(tape);
}
END_TEST

START_TEST(what_is_kept_on_a_tape_begins_anew)
{
    static const float floats[] = {1, 2, 3, 4, 5, 6};
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Tensor *p = t_waiting(T_INTS(3, 2));
    t_lend(p, PACKING_NONE, floats);
    Mark mark = tape_mark(tape);
    Tensor *row = tape_keep(tape, mark, t_select(t_on(tape, p), 0, 2));
    ck_assert_int_eq(row->offset, 0);
    ck_assert_float_eq(row->data[0], 5);
    t_assign(row, t_zeros(tape, 2)); /* it is a copy, and not lent any more */
    ck_assert_float_eq(row->data[0], 0);
    t_lasting_free(p);
    tape_free(tape);
}
END_TEST

static Tape *on;
static Tensor *packed, *waiting, *lent;

static void prepare(void)
{
    static const uint16_t bits[6];
    static const float floats[6];
    on = tape_new(TAPE_PROBE, 0);
    packed = t_waiting(T_INTS(3, 2));
    waiting = t_waiting(T_INTS(3, 2));
    lent = t_waiting(T_INTS(3, 2));
    t_lend(packed, PACKING_F16, bits);
    t_lend(lent, PACKING_NONE, floats);
}

static void exp_of_packed(void)
{
    t_exp(t_on(on, packed));
}

static void packed_on_the_left(void)
{
    t_matmul(packed, t_zeros(on, 2, 3));
}

static void packed_bias(void)
{
    t_affine(t_zeros(on, 2, 3), packed, t_select(packed, 0, 1));
}

static void snapshot_of_packed(void)
{
    t_snapshot(on, packed);
}

static void element_of_packed(void)
{
    t_item(t_slice(t_select(packed, 0, 0), 0, 0, 1));
}

static void use_without_numbers(void)
{
    t_matmul(t_zeros(on, 2, 3), waiting);
}

static void look_up_without_numbers(void)
{
    t_rows(waiting, ids_new(on, 1));
}

static void assign_to_lent(void)
{
    t_assign(lent, t_zeros(on, 3, 2));
}

static void gradient_through_packed(void)
{
    t_matmul(t_keep_grad(t_zeros(on, 2, 3)), packed);
}

static void repeated_packed(void)
{
    t_matmul(t_zeros(on, 2, 3),
             t_select(t_expand(t_reshape(packed, 3, 1, 2), 3, 5, 2), 2, 1));
}

static void lend_to_what_learns(void)
{
    static const float floats[6];
    t_lend(t_lasting(true, T_INTS(3, 2)), PACKING_NONE, floats);
}

START_TEST(what_cannot_be_read_is_refused_with_a_sentence)
{
    prepare();
    assert_contains(mistake_text(exp_of_packed),
                    "exp: (3, 2) is packed: only t_rows reads that, and t_matmul and "
                    "t_affine on their right side");
    assert_contains(mistake_text(packed_on_the_left), "matmul: (3, 2) is packed");
    assert_contains(mistake_text(packed_bias), "affine: (2,) is packed");
    assert_contains(mistake_text(snapshot_of_packed), "copy: (3, 2) is packed");
    assert_contains(mistake_text(element_of_packed), "t_item: (1,) is packed");
    assert_contains(mistake_text(use_without_numbers),
                    "matmul: the parameter (3, 2) has no numbers yet: load them first");
    assert_contains(mistake_text(look_up_without_numbers),
                    "rows: the parameter (3, 2) has no numbers yet");
    assert_contains(mistake_text(assign_to_lent),
                    "t_assign: (3, 2) is only read: its numbers lie in a file");
    assert_contains(mistake_text(gradient_through_packed),
                    "no gradient passes through (3, 2): use an inference tape");
    assert_contains(mistake_text(repeated_packed),
                    "(3, 5) has neither contiguous rows nor columns");
    assert_contains(mistake_text(lend_to_what_learns),
                    "t_lend: only a parameter that does not learn");
}
END_TEST

SUITE("packed", 20, every_number_expands_exactly, nothing_is_written_after_the_last_number,
      products_are_those_of_the_floats, products_of_nothing_are_nothing_or_the_bias,
      views_of_packed_weights_multiply, any_number_of_threads_gives_the_same_bits,
      the_memory_of_a_block_is_returned, rows_of_a_packed_table_are_looked_up,
      views_follow_when_numbers_arrive, what_is_kept_on_a_tape_begins_anew,
      what_cannot_be_read_is_refused_with_a_sentence)
