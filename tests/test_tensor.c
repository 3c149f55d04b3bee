/* test_tensor.c - the tape, the views, and the way back: whatever does not depend on which
 * operation was recorded. */
#include "tensor/ops.h"
#include "oracle.h"
#include "tensor/parallel.h"
#include "base/random.h"
#include "suite.h"
#include "allocations.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* A test that what follows the sentence aborts with it. The statements find a recording
 * tape and x, (3, 4), on it, which wants a gradient. */
#define REFUSAL(name, sentence, ...)                          \
    static void make_##name(void)                             \
    {                                                         \
        Tape *tape = tape_new(TAPE_PROBE, 1);                 \
        Tensor *x = t_keep_grad(t_zeros(tape, 3, 4));         \
        __VA_ARGS__;                                          \
        (void)x;                                              \
        tape_free(tape);                                      \
    }                                                         \
    START_TEST(name)                                          \
    {                                                         \
        assert_contains(mistake_text(make_##name), sentence); \
    }                                                         \
    END_TEST

/* Fills storage with first, first + 1, ... */
static Tensor *counting(Tensor *x, float first)
{
    for (long i = 0; i < x->storage->size; i++)
        x->storage->data[i] = first + (float)i;
    return x;
}

static void has_shape(const Tensor *x, const char *shape)
{
    ck_assert_str_eq(t_text(x), shape);
}

#define AT(x, ...) element(x, (int[]){__VA_ARGS__})

/* ---- Views ---- */

START_TEST(views_read_the_same_storage_differently)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = counting(t_empty(tape, 2, 3, 4), 0); /* 12 i + 4 j + k */
    Tensor *views[] = {t_permute(x, 2, 0, 1), t_transpose(x), t_slice(x, 1, 1, 3),
                       t_select(x, 1, 2),     t_on(tape, x),  t_expand(x, 5, 2, 3, 4)};
    has_shape(views[0], "(4, 2, 3)");
    ck_assert_float_eq(AT(views[0], 3, 1, 2), 23);
    ck_assert_float_eq(AT(views[0], 1, 0, 2), 9);
    has_shape(views[1], "(2, 4, 3)");
    ck_assert_float_eq(AT(views[1], 1, 3, 0), 15);
    has_shape(views[2], "(2, 2, 4)");
    ck_assert_float_eq(AT(views[2], 1, 0, 1), 17);
    has_shape(views[3], "(2, 4)");
    ck_assert_float_eq(AT(views[3], 1, 3), 23);
    has_shape(views[4], "(2, 3, 4)");
    has_shape(views[5], "(5, 2, 3, 4)");
    ck_assert_float_eq(AT(views[5], 4, 1, 0, 2), 14);
    for (int i = 0; i < 6; i++)
        ck_assert_ptr_eq(views[i]->storage, x->storage);
    x->data[23] = -1;
    ck_assert_float_eq(AT(views[0], 3, 1, 2), -1);
    tape_free(tape);
}
END_TEST

/* What a view shows, written down element by element: number i in order is number shown[i]
 * of the storage. */
enum { MOST_SHOWN = 20000 };
typedef struct {
    int rank, shape[MAX_RANK];
    long count, shown[MOST_SHOWN];
} Picture;

typedef enum { PERMUTE, TRANSPOSE, SLICE, SELECT, EXPAND, RESHAPE, KINDS } Kind;

typedef struct {
    Kind kind;
    int rank, shape[MAX_RANK]; /* of the result */
    int order[MAX_RANK], dimension, from;
} Step;

/* Random choices, one after the other. */
typedef struct {
    uint64_t stream, count;
} Dice;

static int throw(Dice * dice, int bound)
{
    return (int)random_below(99, dice->stream, dice->count++, (uint64_t)bound);
}

static void random_order(Dice *dice, int rank, int *order)
{
    for (int i = 0; i < rank; i++) {
        int j = throw(dice, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

/* The prime factors of `count` are strewn over some dimensions. */
static void random_shape_of(Dice *dice, long count, int *rank, int *shape)
{
    *rank = 1 + throw(dice, MAX_RANK);
    for (int i = 0; i < *rank; i++)
        shape[i] = 1;
    for (int factor = 2; count > 1; factor++)
        for (; count % factor == 0; count /= factor)
            shape[throw(dice, *rank)] *= factor;
}

static Step random_step(Dice *dice, const Tensor *x)
{
    Step s = {.kind = (Kind) throw(dice, KINDS), .rank = x->rank};
    memcpy(s.shape, x->shape, sizeof s.shape);
    bool possible = s.kind == RESHAPE || s.kind == EXPAND || x->rank > 1;
    if (!possible)
        s.kind = RESHAPE;
    if (s.kind == PERMUTE || s.kind == TRANSPOSE) {
        random_order(dice, x->rank, s.order);
        for (int i = 0; i < x->rank && s.kind == TRANSPOSE; i++)
            s.order[i] = i < x->rank - 2 ? i : 2 * x->rank - 3 - i;
        for (int i = 0; i < x->rank; i++)
            s.shape[i] = x->shape[s.order[i]];
    } else if (s.kind == SLICE) {
        s.dimension = throw(dice, x->rank);
        s.from = throw(dice, x->shape[s.dimension]);
        s.shape[s.dimension] = 1 + throw(dice, x->shape[s.dimension] - s.from);
    } else if (s.kind == SELECT) {
        s.dimension = throw(dice, x->rank);
        s.from = throw(dice, x->shape[s.dimension]);
        s.rank--;
        for (int i = s.dimension; i < s.rank; i++)
            s.shape[i] = x->shape[i + 1];
    } else if (s.kind == EXPAND) {
        int added = x->rank < MAX_RANK ? throw(dice, 2) : 0;
        s.rank += added;
        for (int i = 0; i < s.rank; i++) {
            int size = i < added ? 1 : x->shape[i - added];
            s.shape[i] = size == 1 ? 1 + throw(dice, 3) : size;
        }
    } else
        random_shape_of(dice, t_size(x), &s.rank, s.shape);
    return s;
}

static Tensor *take_step(const Step *s, Tensor *x)
{
    switch (s->kind) {
    case PERMUTE:
        return t_permute_to(x, s->rank, s->order);
    case TRANSPOSE:
        return t_transpose(x);
    case SLICE:
        return t_slice(x, s->dimension, s->from, s->from + s->shape[s->dimension]);
    case SELECT:
        return t_select(x, s->dimension, s->from);
    case EXPAND:
        return t_expand_to(x, s->rank, s->shape);
    default:
        return t_reshape_to(x, s->rank, s->shape);
    }
}

static void index_of(long number, int rank, const int *shape, int *index)
{
    for (int i = rank - 1; i >= 0; i--) {
        index[i] = (int)(number % shape[i]);
        number /= shape[i];
    }
}

/* Which element of the picture before the step is number i of the one after it. */
static long number_before(const Step *s, const Picture *before, long i)
{
    int index[MAX_RANK], old[MAX_RANK] = {0}, added = s->rank - before->rank;
    if (s->kind == RESHAPE)
        return i;
    index_of(i, s->rank, s->shape, index);
    for (int d = 0; d < s->rank; d++)
        if (s->kind == PERMUTE || s->kind == TRANSPOSE)
            old[s->order[d]] = index[d];
        else if (s->kind == SLICE)
            old[d] = index[d] + (d == s->dimension ? s->from : 0);
        else if (s->kind == SELECT)
            old[d + (d >= s->dimension)] = index[d];
        else if (d >= added)
            old[d - added] = before->shape[d - added] == 1 ? 0 : index[d];
    if (s->kind == SELECT)
        old[s->dimension] = s->from;
    long number = 0;
    for (int d = 0; d < before->rank; d++)
        number = number * before->shape[d] + old[d];
    return number;
}

static void draw(const Step *s, const Picture *before, Picture *after)
{
    after->rank = s->rank;
    memcpy(after->shape, s->shape, sizeof after->shape);
    after->count = 1;
    for (int d = 0; d < s->rank; d++)
        after->count *= s->shape[d];
    ck_assert_int_le(after->count, MOST_SHOWN);
    for (long i = 0; i < after->count; i++)
        after->shown[i] = before->shown[number_before(s, before, i)];
}

/* Whether some strides can show the picture: one stride in each dimension must do. */
static bool strides_exist(const Picture *p)
{
    long stride[MAX_RANK] = {0}, step = 1;
    for (int d = p->rank - 1; d >= 0; d--) {
        stride[d] = p->shape[d] > 1 ? p->shown[step] - p->shown[0] : 0;
        step *= p->shape[d];
    }
    for (long i = 0; i < p->count; i++) {
        int index[MAX_RANK];
        long place = p->shown[0];
        index_of(i, p->rank, p->shape, index);
        for (int d = 0; d < p->rank; d++)
            place += index[d] * stride[d];
        if (place != p->shown[i])
            return false;
    }
    return true;
}

static void shows(const Tensor *x, const Picture *p)
{
    long wrong = 0;
    ck_assert_int_eq(x->rank, p->rank);
    for (int d = 0; d < p->rank; d++)
        ck_assert_int_eq(x->shape[d], p->shape[d]);
    for (long i = 0; i < p->count; i++) {
        int index[MAX_RANK];
        index_of(i, p->rank, p->shape, index);
        wrong += element(x, index) != (float)p->shown[i];
    }
    ck_assert_int_eq(wrong, 0);
}

/* With the sum of weight times element as the loss, the gradient of a number is the sum of
 * the weights wherever it is shown. The weights are whole: the sums are exact. */
static void gradients_follow(Dice *dice, Tensor *x, Tensor *y, const Picture *p)
{
    float expected[256] = {0};
    Tensor *weight = t_empty_of(x->tape, p->rank, p->shape);
    for (long i = 0; i < p->count; i++) {
        weight->data[i] = (float)(throw(dice, 7) - 3);
        expected[p->shown[i]] += weight->data[i];
    }
    backward(t_sum_all(t_mul(y, weight)));
    ck_assert_int_eq(memcmp(t_grad(x), expected, (size_t)t_size(x) * sizeof *expected) == 0,
                     true);
}

/* A chain of random steps, each held to its picture; a reshape must be a view exactly where
 * strides exist. */
static void random_chain(Tape *tape, uint64_t number, int *copies, int *kept)
{
    static Picture pictures[2];
    Picture *before = &pictures[0], *after = &pictures[1];
    Dice dice = {number, 0};
    before->rank = 1 + throw(&dice, 4);
    before->count = 1;
    for (int d = 0; d < before->rank; d++)
        before->count *= before->shape[d] = 1 + throw(&dice, 4);
    for (long i = 0; i < before->count; i++)
        before->shown[i] = i;
    Tensor *x = t_empty_of(tape, before->rank, before->shape), *y = x;
    t_keep_grad(counting(x, 0));

    long steps = 2 + throw(&dice, 4);
    bool copied = false; /* from then on the storage is another one */
    for (long i = 0; i < steps; i++) {
        Step s = random_step(&dice, y);
        Tensor *z = take_step(&s, y);
        draw(&s, before, after);
        shows(z, after);
        if (!copied) {
            bool view = z->storage == y->storage;
            ck_assert_int_eq(view, strides_exist(after));
            *(view ? kept : copies) += s.kind == RESHAPE;
            copied = !view;
        }
        Picture *swap = before;
        before = after;
        after = swap;
        y = z;
    }
    gradients_follow(&dice, x, y, before);
}

START_TEST(chains_of_random_views_show_what_they_should_and_bring_gradients_home)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    int copies = 0, kept = 0;
    for (uint64_t number = 0; number < 3000; number++) {
        random_chain(tape, number, &copies, &kept);
        tape_reset(tape, 0);
    }
    ck_assert_int_gt(copies, 100);
    ck_assert_int_gt(kept, 100);
    tape_free(tape);
}
END_TEST

START_TEST(merging_heads_copies_and_splitting_them_does_not)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = counting(t_empty(tape, 2, 5, 12), 0);
    Tensor *heads = t_permute(t_reshape(x, 2, 5, 3, 4), 0, 2, 1, 3);
    ck_assert_ptr_eq(heads->storage, x->storage);
    Tensor *merged = t_reshape(heads, 2, 3, 20);
    ck_assert_ptr_ne(merged->storage, x->storage);
    ck_assert(t_is_contiguous(merged));
    ck_assert_float_eq(AT(merged, 1, 2, 7), AT(x, 1, 1, 11));
    tape_free(tape);
}
END_TEST

START_TEST(what_is_contiguous_is_not_copied_again)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = counting(t_empty(tape, 3, 4), 0), *rows = t_slice(x, 0, 1, 3);
    ck_assert_ptr_eq(t_contiguous(x), x);
    ck_assert_ptr_eq(t_contiguous(rows), rows);
    Tensor *y = t_contiguous(t_transpose(x));
    ck_assert_ptr_ne(y->storage, x->storage);
    ck_assert(t_is_contiguous(y));
    has_shape(y, "(4, 3)");
    ck_assert_float_eq(y->data[1], 4);
    /* Dimensions of size 1 have no say, whatever their stride. */
    ck_assert(t_is_contiguous(t_transpose(t_slice(x, 0, 1, 2))));
    ck_assert(!t_is_contiguous(t_expand(t_slice(x, 0, 1, 2), 2, 4)));
    tape_free(tape);
}
END_TEST

REFUSAL(an_order_that_names_a_dimension_twice_is_refused,
        "t_permute: (1, 1) is no order of the dimensions of (3, 4)", t_permute(x, 1, 1))
REFUSAL(an_order_of_too_few_dimensions_is_refused,
        "t_permute: (0,) is no order of the dimensions of (3, 4)", t_permute(x, 0))
REFUSAL(an_empty_order_is_refused, "t_permute: () is no order of the dimensions of (3, 4)",
        t_permute_to(x, 0, NULL))
REFUSAL(a_vector_has_nothing_to_transpose, "t_transpose: (3,) has not two dimensions",
        t_transpose(t_zeros(tape, 3)))
REFUSAL(a_slice_beyond_the_end_is_refused,
        "t_slice: 2 .. 5 of dimension 1 is not within (3, 4)", t_slice(x, 1, 2, 5))
REFUSAL(a_slice_that_runs_backwards_is_refused,
        "t_slice: 2 .. 1 of dimension 0 is not within (3, 4)", t_slice(x, 0, 2, 1))
REFUSAL(a_selection_outside_is_refused,
        "t_select: number 4 of dimension 1 is not within (3, 4)", t_select(x, 1, 4))
REFUSAL(a_selection_of_no_dimension_is_refused,
        "t_select: number 0 of dimension 2 is not within (3, 4)", t_select(x, 2, 0))
REFUSAL(only_dimensions_of_size_one_expand, "t_expand: (3, 4) does not expand to (3, 8)",
        t_expand(x, 3, 8))
REFUSAL(expanding_never_takes_dimensions_away, "t_expand: (3, 4) does not expand to (4,)",
        t_expand(x, 4))
REFUSAL(expanding_to_nothing_is_refused, "t_expand: (3, 4) does not expand to ()",
        t_expand_to(x, 0, NULL))
REFUSAL(a_reshape_keeps_the_number_of_elements,
        "t_reshape: (3, 4) has not as many elements as (5, 2)", t_reshape(x, 5, 2))
REFUSAL(seven_dimensions_are_refused, "7 dimensions are too many: at most 6",
        t_zeros(tape, 1, 1, 1, 1, 1, 1, 1))
REFUSAL(seven_dimensions_are_refused_to_views_too, "t_reshape: 7 dimensions are too many",
        t_reshape(x, 3, 4, 1, 1, 1, 1, 1))
REFUSAL(a_negative_size_is_refused, "(2, -1) has a negative size", t_zeros(tape, 2, -1))
REFUSAL(only_a_single_number_is_an_item, "t_item: (3, 4) is not a single number", t_item(x))
REFUSAL(a_wrong_shape_is_shown_beside_the_right_one,
        "t_select(x, 0, 1) is (4,) and should be (4, 1)", t_shaped(t_select(x, 0, 1), 4, 1))
REFUSAL(a_mistake_is_placed_after_the_last_shape_that_held, ": x, again",
        char *text = "x, again";
        t_shaped_at(x, 2, x->shape, text, "gpt.c", 23); t_select(x, 2, 0))

START_TEST(a_shape_that_holds_gives_back_the_tensor)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = t_zeros(tape, 3, 4), *p = t_lasting(true, 1, (int[]){5});
    ck_assert_ptr_eq(t_shaped(x, 3, 4), x);
    ck_assert_ptr_eq(t_shaped(p, 5), p);
    t_lasting_free(p);
    tape_free(tape);
}
END_TEST

START_TEST(shapes_broadcast_from_the_last_dimension)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    int shape[MAX_RANK];
    int rank = t_broadcast("f", t_zeros(tape, 5, 1, 4), t_zeros(tape, 3, 1), 0, shape);
    ck_assert_str_eq(shape_text(rank, shape), "(5, 3, 4)");
    rank = t_broadcast("f", t_zeros(tape, 2, 3, 4), t_zeros(tape, 7, 1, 4, 5), 2, shape);
    ck_assert_int_eq(rank, 4);
    ck_assert_int_eq(shape[0], 7);
    ck_assert_int_eq(shape[1], 2);
    rank = t_broadcast("f", t_zeros(tape, 0, 4), t_zeros(tape, 1, 4), 0, shape);
    ck_assert_str_eq(shape_text(rank, shape), "(0, 4)");
    tape_free(tape);
}
END_TEST

REFUSAL(shapes_that_do_not_broadcast_are_refused,
        "add: (3, 4) and (3,) do not broadcast: sizes 4 and 3 differ",
        t_add(x, t_zeros(tape, 3)))

/* ---- Sizes at the ends ---- */

START_TEST(a_tensor_without_elements_goes_through_everything)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(t_zeros(tape, 3, 0, 2));
    ck_assert_int_eq(t_size(x), 0);
    Tensor *y = t_reshape(t_contiguous(t_permute(x, 2, 1, 0)), 0, 5);
    has_shape(y, "(0, 5)");
    y = t_expand(t_slice(y, 1, 2, 2), 4, 0, 0);
    Tensor *loss = t_sum_all(t_mul(t_snapshot(tape, x), t_exp(x)));
    ck_assert_float_eq(t_item(loss), 0);
    backward(loss);
    ck_assert_ptr_nonnull(t_grad(x));
    t_assign(t_zeros(tape, 0), t_zeros(tape, 0));
    tape_free(tape);
    t_lasting_free(t_lasting(true, 2, (int[]){0, 3}));
}
END_TEST

START_TEST(a_tensor_of_rank_zero_is_a_number)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(t_zeros_of(tape, 0, NULL));
    has_shape(x, "()");
    ck_assert_int_eq(t_size(x), 1);
    x->data[0] = 3;
    ck_assert_float_eq(t_item(x), 3);
    ck_assert_float_eq(element(x, NULL), 3);
    Tensor *y = t_expand(t_reshape(x, 1, 1), 2, 3);
    backward(t_sum_all(t_mul(y, x)));
    ck_assert_float_eq(*t_grad(x), 2 * 6 * 3);
    ck_assert_int_eq(t_reshape_to(t_zeros(tape, 1, 1), 0, NULL)->rank, 0);
    tape_free(tape);
}
END_TEST

START_TEST(six_dimensions_are_not_too_many)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 2, 1, 3, 2, 1, 2), 0));
    Tensor *y = t_contiguous(t_permute(x, 5, 4, 3, 2, 1, 0));
    has_shape(y, "(2, 1, 2, 3, 1, 2)");
    ck_assert_float_eq(AT(y, 1, 0, 0, 2, 0, 1), AT(x, 1, 0, 2, 0, 0, 1));
    backward(t_sum_all(t_mul(y, y)));
    for (int i = 0; i < 24; i++)
        ck_assert_float_eq(t_grad(x)[i], 2 * i);
    tape_free(tape);
}
END_TEST

START_TEST(all_memory_is_aligned_for_vectors)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    for (int n = 0; n < 40; n++) {
        ck_assert_uint_eq((uintptr_t)t_empty(tape, n)->data % T_ALIGNMENT, 0);
        ck_assert_uint_eq((uintptr_t)ids_new(tape, n)->at % T_ALIGNMENT, 0);
        ck_assert_uint_eq((uintptr_t)tape_alloc(tape, (size_t)n) % T_ALIGNMENT, 0);
        Tensor *p = t_lasting(true, 1, &n);
        ck_assert_uint_eq((uintptr_t)p->data % T_ALIGNMENT, 0);
        ck_assert_uint_eq((uintptr_t)t_grad(p) % T_ALIGNMENT, 0);
        t_lasting_free(p);
    }
    Ids *ids = ids_new(tape, 2, 3);
    ck_assert_int_eq(ids->size, 6);
    ck_assert_str_eq(shape_text(ids->rank, ids->shape), "(2, 3)");
    tape_free(tape);
}
END_TEST

/* ---- Parameters and states ---- */

static Tensor *parameter(int n, float first)
{
    return counting(t_lasting(true, 1, &n), first);
}

START_TEST(a_parameter_begins_with_zeros_and_a_gradient_of_zeros)
{
    Tensor *p = t_lasting(true, 2, (int[]){3, 5}), *state = t_lasting(false, 1, (int[]){4});
    for (int i = 0; i < 15; i++)
        ck_assert(p->data[i] == 0 && t_grad(p)[i] == 0);
    for (int i = 0; i < 4; i++)
        ck_assert(state->data[i] == 0);
    ck_assert_ptr_null(t_grad(state));
    t_lasting_free(p);
    t_lasting_free(state);
}
END_TEST

/* The views are freed with the parameter: the sanitizer would see it if they were not. */
START_TEST(equal_views_of_a_parameter_are_one_and_the_same)
{
    Tensor *p = t_lasting(true, 2, (int[]){4, 6});
    ck_assert_ptr_eq(t_transpose(p), t_transpose(p));
    ck_assert_ptr_eq(t_transpose(p), t_permute(p, 1, 0));
    ck_assert_ptr_eq(t_slice(p, 0, 1, 3), t_slice(p, 0, 1, 3));
    ck_assert_ptr_ne(t_slice(p, 0, 1, 3), t_slice(p, 0, 2, 4));
    ck_assert_ptr_ne(t_slice(p, 0, 1, 3), t_slice(p, 0, 1, 2));
    ck_assert_ptr_ne(t_select(p, 0, 0), t_slice(p, 0, 0, 1));
    ck_assert_ptr_eq(t_reshape(p, 2, 12), t_reshape(p, 2, 12));
    Tensor *row = t_select(t_transpose(p), 0, 5);
    ck_assert_ptr_eq(row, t_select(p, 1, 5));
    ck_assert_ptr_null(row->tape);
    int views = 0;
    for (const Tensor *view = p->storage->views; view; view = view->next)
        views++;
    ck_assert_int_eq(views, 8);
    t_lasting_free(p);
}
END_TEST

START_TEST(views_of_a_parameter_on_a_tape_go_with_the_tape)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *p = parameter(6, 1);
    Tensor *view = t_slice(t_on(tape, p), 0, 2, 4);
    ck_assert_ptr_null(p->storage->views);
    backward(t_sum_all(t_mul(view, view)));
    const float expected[6] = {0, 0, 6, 8, 0, 0};
    ck_assert_mem_eq(t_grad(p), expected, sizeof expected);
    ck_assert_ptr_eq(t_grad(view), t_grad(p) + 2);
    tape_free(tape);
    ck_assert_mem_eq(t_grad(p), expected, sizeof expected);
    t_lasting_free(p);
}
END_TEST

REFUSAL(parameters_alone_have_no_tape,
        "exp: no input is on a tape: begin with t_on(tape, parameter)",
        t_exp(t_lasting(true, 1, (int[]){3})))
REFUSAL(a_copy_of_a_parameters_view_needs_a_tape, "copy: no input is on a tape",
        t_contiguous(t_transpose(t_lasting(true, 2, (int[]){3, 4}))))
REFUSAL(two_tapes_in_one_operation_are_refused, "mul: inputs are on two different tapes",
        t_mul(x, t_zeros(tape_new(TAPE_PROBE, 2), 3, 4)))
REFUSAL(a_tensor_does_not_change_its_tape, "t_on: the tensor is on another tape",
        t_on(tape_new(TAPE_PROBE, 2), x))

START_TEST(a_snapshot_is_contiguous_and_detached)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *p = parameter(6, 0), *x = t_transpose(t_reshape(t_on(tape, p), 2, 3));
    Tensor *copy = t_snapshot(tape, x);
    ck_assert(t_is_contiguous(copy));
    ck_assert(!copy->storage->wants_grad);
    ck_assert_float_eq(AT(copy, 2, 1), 5);
    backward(t_sum_all(t_mul(x, copy)));
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(t_grad(p)[i], i); /* not 2 i */
    ck_assert_ptr_null(t_grad(copy));
    t_lasting_free(p);
    tape_free(tape);
}
END_TEST

START_TEST(assigning_writes_into_the_storage_of_a_view)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *cache = t_lasting(false, 2, (int[]){4, 3});
    t_assign(t_slice(cache, 0, 1, 3), t_transpose(counting(t_empty(tape, 3, 2), 1)));
    const float expected[12] = {0, 0, 0, 1, 3, 5, 2, 4, 6, 0, 0, 0};
    ck_assert_mem_eq(cache->data, expected, sizeof expected);
    ck_assert_int_eq(cache->storage->writes, 1);
    t_lasting_free(cache);
    tape_free(tape);
}
END_TEST

/* Truncated backpropagation: the state of the last step goes out of the tape, detached. */
START_TEST(a_state_is_carried_from_step_to_step_while_recording)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *state = t_lasting(false, 1, (int[]){2}), *p = parameter(2, 1);
    for (int step = 0; step < 3; step++) {
        Tensor *h = t_add(t_snapshot(tape, state), p);
        backward(t_sum_all(h));
        t_assign(state, h);
        tape_reset(tape, step + 1);
    }
    ck_assert_float_eq(state->data[0], 3);
    ck_assert_float_eq(state->data[1], 6);
    ck_assert_ptr_null(t_grad(state));
    ck_assert_float_eq(t_grad(p)[1], 3);
    t_lasting_free(state);
    t_lasting_free(p);
    tape_free(tape);
}
END_TEST

REFUSAL(assigning_another_shape_is_refused, "t_assign: (4, 3) does not fit into (3, 4)",
        t_assign(x, t_transpose(x)))
REFUSAL(assigning_into_a_recording_tape_cuts_gradients_and_is_refused,
        "t_assign: gradients would be cut: a cache cannot be used while recording",
        t_assign(t_on(tape, t_lasting(false, 2, (int[]){3, 4})), t_exp(x)))

/* ---- Backward ---- */

START_TEST(gradients_of_what_is_used_twice_add_up)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *p = parameter(3, 1);
    for (int step = 0; step < 2; step++) { /* x^2 + x, and 2 x + 1 on the way back */
        Tensor *x = t_on(tape, p);
        backward(t_sum_all(t_add(t_mul(x, p), x)));
        tape_reset(tape, step);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_float_eq(t_grad(p)[i], 2 * (2 * (1 + i) + 1));
    t_lasting_free(p);
    tape_free(tape);
}
END_TEST

START_TEST(a_view_taken_before_backward_finds_its_gradient_after_it)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 2, 3), 0));
    Tensor *corner = t_slice(t_transpose(x), 0, 1, 3), *y = t_keep_grad(t_scale(x, 2));
    Tensor *second = t_select(y, 0, 1);
    ck_assert_ptr_null(t_grad(corner));
    backward(t_sum_all(t_mul(y, y)));
    ck_assert_ptr_eq(t_grad(corner), t_grad(x) + 1);
    ck_assert_float_eq(t_grad(corner)[corner->stride[0] + corner->stride[1]], 8 * 5);
    ck_assert_float_eq(t_grad(second)[0], 2 * 6);
    tape_free(tape);
}
END_TEST

START_TEST(the_loss_may_be_a_view)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 4), 1));
    backward(t_slice(t_mul(x, x), 0, 2, 3));
    const float expected[4] = {0, 0, 6, 0};
    ck_assert_mem_eq(t_grad(x), expected, sizeof expected);
    tape_free(tape);
}
END_TEST

START_TEST(a_loss_that_is_a_parameter_adds_one_to_its_gradient)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *p = parameter(3, 5);
    for (int step = 0; step < 2; step++) {
        backward(t_select(t_on(tape, p), 0, 1));
        tape_reset(tape, step);
    }
    const float expected[3] = {0, 2, 0};
    ck_assert_mem_eq(t_grad(p), expected, sizeof expected);
    t_lasting_free(p);
    tape_free(tape);
}
END_TEST

REFUSAL(a_second_backward_is_refused, "backward: called twice; tape_reset first",
        Tensor *loss = t_sum_all(x);
        backward(loss); backward(loss))
REFUSAL(recording_after_backward_is_refused,
        "exp: the tape has been through backward: reset it first", backward(t_sum_all(x));
        t_exp(x))
REFUSAL(a_loss_of_many_numbers_is_refused,
        "backward: the loss, (3, 4), is not a single number", backward(t_exp(x)))
REFUSAL(a_loss_that_depends_on_nothing_that_learns_is_refused,
        "backward: nothing was recorded that the loss depends on",
        backward(t_sum_all(t_snapshot(tape, x))))
REFUSAL(a_loss_of_an_inference_tape_is_refused,
        "backward: nothing was recorded that the loss depends on",
        backward(t_sum_all(t_keep_grad(t_zeros(tape_new(TAPE_INFERENCE, 1), 3)))))
REFUSAL(an_input_that_was_overwritten_is_refused,
        "mul: input 2, (3, 4), was written to after it was read and before backward",
        Tensor *y = t_zeros(tape, 3, 4), *loss = t_sum_all(t_mul(x, y));
        t_assign(y, t_zeros(tape, 3, 4)); backward(loss))
REFUSAL(a_result_that_was_overwritten_is_refused,
        "exp: the result, (3, 4), was written to before backward", Tensor *y = t_exp(x),
        *loss = t_sum_all(y);
        t_assign(y, t_zeros(tape, 3, 4)); backward(loss))
REFUSAL(a_mistake_found_on_the_way_back_is_placed_where_the_operation_was_recorded,
        "before backward, after first.c:1: x", Tensor *y = t_zeros(tape, 3, 4);
        t_shaped_at(x, 2, x->shape, "x", "first.c", 1);
        Tensor *loss = t_sum_all(t_mul(x, y));
        t_shaped_at(loss, 0, NULL, "loss", "last.c", 2); t_assign(y, t_zeros(tape, 3, 4));
        backward(loss))

/* A sum has no use for what it added. */
START_TEST(what_backward_does_not_read_may_be_overwritten)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(t_zeros(tape, 3)), *y = t_zeros(tape, 3);
    Tensor *loss = t_sum_all(t_add(x, y));
    t_assign(y, t_zeros(tape, 3));
    backward(loss);
    ck_assert_float_eq(t_grad(x)[2], 1);
    tape_free(tape);
}
END_TEST

START_TEST(a_long_chain_needs_no_deep_stack)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(t_zeros(tape, 1)), *sum = x;
    for (int i = 1; i < 20000; i++)
        sum = t_add(sum, x);
    backward(sum);
    ck_assert_float_eq(*t_grad(x), 20000);
    tape_free(tape);
}
END_TEST

/* ---- Operations defined outside the library ---- */

typedef struct {
    int backward_calls;
    bool wanted[2];
} Observed;

static void observed_backward(Op *op)
{
    Observed *observed = *(Observed **)op_saved(op);
    observed->backward_calls++;
    const float *g = op_gout(op);
    long n = t_size(op_output_shape(op));
    for (int k = 0; k < op_inputs(op); k++) {
        observed->wanted[k] = op_wants(op, k);
        float *grad = op_grad(op, k, NULL);
        for (long i = 0; i < n; i++)
            grad[i] += 2 * g[i];
    }
}

/* Twice the sum of two contiguous tensors of one shape; notes how it is used. */
static Tensor *t_observed(Tensor *a, Tensor *b, Observed *observed)
{
    Op *op = t_op("observed", observed_backward, a, b);
    Tensor *y = op_out_like(op, a);
    for (long i = 0; i < t_size(a); i++)
        y->data[i] = 2 * (a->data[i] + b->data[i]);
    *(Observed **)op_save(op, sizeof(Observed *)) = observed;
    return y;
}

static void double_backward(Op *op)
{
    long n = t_size(op_output_shape(op));
    const float *dy = op_gout(op);
    float *dx = op_grad(op, 0, NULL);
    for (long i = 0; i < n; i++)
        dx[i] += 2 * dy[i];
}

/* The example of op.h. */
static Tensor *t_double(Tensor *x)
{
    x = t_contiguous(x);
    Op *op = t_op("double", double_backward, x);
    Tensor *y = op_out_like(op, x);
    for (long i = 0; i < t_size(x); i++)
        y->data[i] = 2 * x->data[i];
    return y;
}

START_TEST(an_operation_can_be_defined_outside_the_library)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 2, 3), 1));
    Tensor *y = t_double(t_transpose(x));
    has_shape(y, "(3, 2)");
    ck_assert_float_eq(AT(y, 2, 1), 12);
    backward(t_sum_all(t_mul(y, y)));
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(t_grad(x)[i], 8 * (1 + i));
    tape_free(tape);
}
END_TEST

START_TEST(an_input_that_wants_no_gradient_gives_a_scratch_buffer)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Observed observed = {0};
    Tensor *x = t_keep_grad(t_zeros(tape, 5)), *data = counting(t_zeros(tape, 5), 7);
    backward(t_sum_all(t_observed(data, x, &observed)));
    ck_assert_int_eq(observed.backward_calls, 1);
    ck_assert(!observed.wanted[0] && observed.wanted[1]);
    ck_assert_float_eq(t_grad(x)[4], 2);
    ck_assert_ptr_null(t_grad(data));
    ck_assert_float_eq(data->data[4], 11);
    tape_free(tape);
}
END_TEST

START_TEST(an_operation_that_the_loss_does_not_depend_on_is_skipped)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Observed used = {0}, unused = {0};
    Tensor *x = t_keep_grad(t_zeros(tape, 5));
    Tensor *y = t_observed(x, x, &used);
    t_exp(t_observed(y, x, &unused));
    backward(t_sum_all(y));
    ck_assert_int_eq(used.backward_calls, 1);
    ck_assert_int_eq(unused.backward_calls, 0);
    ck_assert_float_eq(t_grad(x)[0], 4);
    tape_free(tape);
}
END_TEST

START_TEST(nothing_is_recorded_without_something_that_learns_or_without_a_recording_tape)
{
    const TapeUse uses[] = {TAPE_INFERENCE, TAPE_PROBE, TAPE_TRAINING};
    Tensor *p = parameter(4, 0);
    for (int i = 0; i < 3; i++) {
        Tape *tape = tape_new(uses[i], 1);
        Tensor *data = t_zeros(tape, 4);
        ck_assert_int_eq(tape_recording(tape), i > 0);
        ck_assert_int_eq(tape_training(tape), i == 2);
        ck_assert_int_eq(t_add(data, p)->storage->wants_grad, i > 0);
        ck_assert(!t_add(data, data)->storage->wants_grad);
        tape_free(tape);
    }
    t_lasting_free(p);
}
END_TEST

/* Asks for the gradient of the second input before that of the first. */
static void hasty_backward(Op *op)
{
    bool add;
    for (int k = 1; k >= 0; k--) {
        float *grad = op_grad(op, k, &add);
        for (long i = 0; i < t_size(op_input_shape(op, k)); i++)
            grad[i] = op_gout(op)[i] + (add ? grad[i] : 0);
    }
}

static Tensor *t_hasty(Tensor *a, Tensor *b)
{
    Op *op = t_op("hasty", hasty_backward, a, b);
    op_in_place(op);
    Tensor *y = op_out_like(op, a);
    for (long i = 0; i < t_size(a); i++)
        y->data[i] = a->data[i] + b->data[i];
    return y;
}

REFUSAL(gradients_asked_for_out_of_order_are_refused,
        "hasty: gradients must be asked for in the order of the inputs",
        backward(t_sum_all(t_hasty(t_exp(x), t_exp(x)))))

/* y = x, with a note of what backward was given. */
typedef struct {
    const float *gout, *grad;
    bool add;
} Given;

static void given_backward(Op *op)
{
    Given *given = *(Given **)op_saved(op);
    given->gout = op_gout(op);
    float *grad = op_grad(op, 0, &given->add);
    given->grad = grad;
    for (long i = 0; i < t_size(op_output_shape(op)); i++)
        grad[i] = op_gout(op)[i] + (given->add ? grad[i] : 0);
}

static Tensor *t_given(Tensor *x, bool in_place, Given *given)
{
    Op *op = t_op("given", given_backward, x);
    if (in_place)
        op_in_place(op);
    Tensor *y = op_out_like(op, x);
    memcpy(y->data, x->data, (size_t)t_size(x) * sizeof *y->data);
    *(Given **)op_save(op, sizeof given) = given;
    return y;
}

START_TEST(
    a_gradient_takes_the_place_of_that_of_the_result_only_where_nobody_reads_it_again)
{
    for (int in_place = 0; in_place < 2; in_place++)
        for (int kept = 0; kept < 2; kept++)
            for (int twice = 0; twice < 2; twice++) {
                Tape *tape = tape_new(TAPE_PROBE, 1);
                Tensor *x = t_exp(t_keep_grad(counting(t_empty(tape, 5), 1)));
                Given given;
                Tensor *y = t_given(x, in_place, &given);
                if (kept)
                    t_keep_grad(y);
                Tensor *loss = t_sum_all(t_scale(y, 2));
                backward(twice ? t_add(loss, t_sum_all(x)) : loss);
                ck_assert_int_eq(given.grad == given.gout, in_place && !kept && !twice);
                ck_assert_int_eq(given.add, twice);
                if (kept)
                    ck_assert_float_eq(*t_grad(y), 2);
                tape_free(tape);
            }
}
END_TEST

/* ---- Memory ---- */

/* A little of everything; its loss. */
static Tensor *small_model(Tape *tape, Tensor *w, Tensor *b)
{
    Tensor *x = counting(t_empty(tape, 6, 8), -3);
    Tensor *y = t_tanh(t_affine(t_scale(x, 0.1f), w, b));
    y = t_dropout(t_matmul(y, t_transpose(w)), 0.25f);
    Tensor *heads = t_permute(t_reshape(y, 6, 2, 4), 1, 0, 2);
    Tensor *weights = t_softmax(t_causal(t_matmul(heads, t_transpose(heads))));
    Tensor *mixed = t_permute(t_matmul(weights, heads), 1, 0, 2);
    return t_mean_all(t_mul(t_reshape(mixed, 6, 8), t_slice(t_reshape(b, 1, 8), 0, 0, 1)));
}

START_TEST(nothing_is_allocated_after_the_first_step)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1), *checks = tape_new(TAPE_INFERENCE, 1);
    Tensor *w = counting(t_lasting(true, 2, (int[]){8, 8}), -32), *b = parameter(8, 1);
    parallel_threads(2);
    const Tensor *losses[4], *values[4];
    long counts[4];
    for (int step = 0; step < 4; step++) {
        Tensor *loss = small_model(tape, w, b);
        backward(loss);
        losses[step] = loss;
        tape_reset(tape, step + 1);
        values[step] = small_model(checks, w, b);
        tape_reset(checks, 0);
        counts[step] = allocations;
    }
    for (int step = 1; step < 4; step++) {
        ck_assert_ptr_eq(losses[step], losses[0]);
        ck_assert_ptr_eq(values[step], values[0]);
        ck_assert_int_eq(counts[step], counts[0]);
    }
    t_lasting_free(w);
    t_lasting_free(b);
    tape_free(tape);
    tape_free(checks);
}
END_TEST

/* A tape whose first chunk is so large that all lies in it: then marks tell how much is
 * used. */
static Tape *roomy_tape(TapeUse use)
{
    Tape *tape = tape_new(use, 1);
    tape_alloc(tape, 16 << 20);
    tape_reset(tape, 0);
    return tape;
}

/* How much memory the way back through a chain of 100 operations on 40 kB takes. */
static size_t growth_of_backward(bool keep)
{
    Tape *tape = roomy_tape(TAPE_PROBE);
    Tensor *p = parameter(10000, 0), *x = t_on(tape, p);
    for (int i = 0; i < 100; i++) {
        x = t_scale(x, i % 2 ? 2 : 0.5f);
        if (keep)
            t_keep_grad(x);
    }
    Tensor *loss = t_sum_all(x);
    size_t before = tape_mark(tape).used;
    backward(loss);
    size_t after = tape_mark(tape).used;
    ck_assert_float_eq(t_grad(p)[9999], 1);
    if (keep)
        ck_assert_float_eq(t_grad(x)[9999], 1);
    else
        ck_assert_ptr_null(t_grad(x));
    t_lasting_free(p);
    tape_free(tape);
    return after - before;
}

START_TEST(a_gradient_that_was_used_gives_its_memory_to_the_next)
{
    ck_assert_uint_lt(growth_of_backward(false), 4 * 40000);
    ck_assert_uint_gt(growth_of_backward(true), 99 * 40000);
}
END_TEST

START_TEST(scratch_for_inputs_that_want_no_gradient_is_handed_back)
{
    Tape *tape = roomy_tape(TAPE_PROBE);
    Observed observed = {0};
    Tensor *data = t_zeros(tape, 10000), *x = t_keep_grad(t_zeros(tape, 10000));
    for (int i = 0; i < 100; i++)
        x = t_observed(data, x, &observed);
    Tensor *loss = t_sum_all(x);
    size_t before = tape_mark(tape).used;
    backward(loss);
    ck_assert_int_eq(observed.backward_calls, 100);
    ck_assert_uint_lt(tape_mark(tape).used - before, 5 * 40000);
    tape_free(tape);
}
END_TEST

/* Gradients of many sizes come and go; one that was handed on too early, or to two at once,
 * would show. Every number is a small whole one, so sums are exact. */
START_TEST(memory_of_gradients_is_never_shared)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    for (uint64_t run = 0; run < 50; run++) {
        Dice dice = {run, 0};
        Tensor *p = parameter(60, 0), *sum = NULL;
        float expected[60] = {0};
        for (int branch = 0; branch < 8; branch++) {
            int from = throw(&dice, 60), to = from + 1 + throw(&dice, 60 - from);
            float factor = (float)(1 + throw(&dice, 3));
            Tensor *part = t_scale(t_scale(t_slice(t_on(tape, p), 0, from, to), factor), 2);
            for (int i = from; i < to; i++)
                expected[i] += 2 * factor;
            Tensor *total = t_sum_all(part);
            sum = sum ? t_add(sum, total) : total;
        }
        backward(sum);
        ck_assert_mem_eq(t_grad(p), expected, sizeof expected);
        t_lasting_free(p);
        tape_reset(tape, 0);
    }
    tape_free(tape);
}
END_TEST

START_TEST(the_gradient_of_a_state_can_be_asked_for_and_outlives_the_tape)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *state = t_keep_grad(t_lasting(false, 1, (int[]){3}));
    backward(t_sum_all(t_scale(t_on(tape, state), 3)));
    tape_free(tape);
    ck_assert_float_eq(t_grad(state)[2], 3);
    t_lasting_free(state);
}
END_TEST

/* ---- Giving memory back in the middle of inference ---- */

/* Takes `bytes` of the tape as something that will not be needed. */
static void litter(Tape *tape, size_t bytes)
{
    memset(tape_alloc(tape, bytes), 0x55, bytes);
}

static void check_counting(const Tensor *x, float first)
{
    long wrong = 0;
    for (long i = 0; i < t_size(x); i++)
        wrong += x->data[i] != first + (float)i;
    ck_assert_int_eq(wrong, 0);
}

START_TEST(what_is_kept_survives_and_the_rest_is_given_back)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *old = counting(t_empty(tape, 100), 5);
    Mark mark = tape_mark(tape);
    litter(tape, 3000);
    Tensor *x = counting(t_empty(tape, 5, 50), 1);
    litter(tape, 3000);
    x = tape_keep(tape, mark, x);
    has_shape(x, "(5, 50)");
    ck_assert_ptr_eq(x->tape, tape);
    ck_assert_ptr_eq(x->storage->data, x->data);
    Mark after = tape_mark(tape);
    ck_assert_uint_lt(after.used - mark.used, 250 * sizeof(float) + 512);
    litter(tape, 10000);
    check_counting(x, 1);
    check_counting(old, 5);
    ck_assert_float_eq(AT(t_scale(x, 2), 4, 49), 500);
    tape_free(tape);
}
END_TEST

/* The first chunk of a tape is 64 KiB. Marks near its end, tensors that go into the next,
 * or the one after that, and tensors that move back from there into the first. */
START_TEST(what_is_kept_may_move_from_one_chunk_to_another)
{
    const size_t before[] = {0, 1000, 65536 - 640, 65536 - 320, 65536 - 64, 65536, 70000};
    const size_t between[] = {0, 64, 70000, 400000};
    const int sizes[] = {1, 100, 16000, 40000, 200000};
    for (int i = 0; i < 7 * 4 * 5; i++) {
        Tape *tape = tape_new(TAPE_INFERENCE, 1);
        litter(tape, before[i % 7]);
        Tensor *old = counting(t_empty(tape, 3), 9);
        Mark mark = tape_mark(tape);
        litter(tape, between[i / 7 % 4]);
        Tensor *x = counting(t_empty(tape, sizes[i / 28]), 1);
        x = tape_keep(tape, mark, x);
        check_counting(x, 1);
        ck_assert_uint_eq((uintptr_t)x->data % T_ALIGNMENT, 0);
        litter(tape, 100000);
        check_counting(x, 1);
        check_counting(old, 9);
        tape_free(tape);
    }
}
END_TEST

START_TEST(a_view_that_is_kept_becomes_a_tensor_of_its_own)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *before = counting(t_empty(tape, 4, 5), 0), *p = parameter(6, 1);
    Mark mark = tape_mark(tape);
    litter(tape, 500);
    Tensor *x = counting(t_empty(tape, 30, 40), 0);
    Tensor *rows = tape_keep(tape, mark, t_slice(x, 0, 20, 22));
    check_counting(rows, 800);
    ck_assert_int_eq(rows->storage->size, 80);

    /* It stays even when it lies before the mark, or on no tape at all. */
    mark = tape_mark(tape);
    Tensor *turned = tape_keep(tape, mark, t_transpose(t_slice(before, 1, 3, 5)));
    Tensor *same = tape_keep(tape, tape_mark(tape), before);
    Tensor *own = tape_keep(tape, tape_mark(tape), t_slice(t_on(tape, p), 0, 2, 5));
    litter(tape, 2000);
    ck_assert_float_eq(AT(turned, 0, 1), 8);
    ck_assert_float_eq(AT(turned, 1, 3), 19);
    check_counting(same, 0);
    check_counting(own, 3);
    check_counting(rows, 800);
    tape_free(tape);
    check_counting(p, 1);
    t_lasting_free(p);
}
END_TEST

static Tensor *kept_block(Tape *tape, Tensor *x, int depth)
{
    Mark mark = tape_mark(tape);
    litter(tape, 5000);
    Tensor *y = t_scale(t_contiguous(t_transpose(x)), 2);
    if (depth > 0)
        y = kept_block(tape, kept_block(tape, y, depth - 1), depth - 1);
    return tape_keep(tape, mark, y);
}

START_TEST(marks_may_be_nested_and_used_again)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = counting(t_empty(tape, 30, 70), 0), *y = kept_block(tape, x, 3);
    has_shape(y, "(70, 30)"); /* 15 blocks */
    ck_assert_float_eq(AT(y, 69, 29), 32768.0f * 2099);

    /* One mark for all rounds: each result moves to where the one before it was. */
    Mark mark = tape_mark(tape);
    Tensor *sum = counting(t_empty(tape, 2000), 0);
    size_t used = 0;
    long count = 0;
    for (int round = 1; round <= 200; round++) {
        sum = tape_keep(tape, mark, t_add(sum, t_reshape(t_slice(x, 1, 0, 1), 30, 1, 1)));
        sum = tape_keep(tape, mark, t_reshape(t_slice(sum, 0, 0, 1), 2000));
        if (round == 3) {
            used = tape_mark(tape).used;
            count = -allocations;
        }
    }
    count += allocations;
    check_counting(sum, 0);
    ck_assert_uint_eq(tape_mark(tape).used, used);
    ck_assert_int_eq(count, 0);
    tape_free(tape);
}
END_TEST

START_TEST(a_recording_tape_keeps_everything)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 4), 1));
    Mark mark = tape_mark(tape);
    Tensor *y = t_mul(x, x);
    ck_assert_ptr_eq(tape_keep(tape, mark, y), y);
    backward(t_sum_all(t_mul(y, y)));
    ck_assert_float_eq(t_grad(x)[1], 4 * 8);
    tape_free(tape);
}
END_TEST

/* Large enough for blocks to be packed, sums to be made in parts, and threads to help; each
 * tensor is used once, and the last is stacked from very many. */
static Tensor *wide_model(Tape *tape, Tensor *w, Tensor *b)
{
    enum { PIECES = 60000 };
    Tensor *x = counting(t_empty(tape, 300, 300), -3);
    Tensor *y = t_affine(t_scale(x, 1e-4f), w, b);
    y = t_layer_norm(t_dropout(t_matmul(y, t_transpose(w)), 0.25f), b, b, 1e-5f);
    Tensor **piece = tape_alloc(tape, PIECES * sizeof *piece);
    for (int i = 0; i < PIECES; i++)
        piece[i] = t_select(b, 0, i % 300);
    piece[0] = t_on(tape, piece[0]);
    return t_add(t_mean_all(t_softmax(y)), t_mean_all(t_stack(piece, PIECES, 0)));
}

/* The limit holds for the stack of the main thread, as it grows. */
START_TEST(a_training_step_needs_little_stack)
{
    struct rlimit little = {256 * 1024, 256 * 1024};
    ck_assert_int_eq(setrlimit(RLIMIT_STACK, &little), 0);
    parallel_threads(3);
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *w = counting(t_lasting(true, 2, (int[]){300, 300}), -32),
           *b = parameter(300, 1);
    Tensor *loss = wide_model(tape, w, b);
    backward(loss);
    ck_assert(isfinite(t_item(loss)) && t_grad(b)[7] != 0);
    t_lasting_free(w);
    t_lasting_free(b);
    tape_free(tape);
}
END_TEST

#ifdef LINEAGE_DEBUG
START_TEST(memory_that_was_given_back_is_nan_in_debug_builds)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = counting(t_empty(tape, 1000), 0);
    const float *first = x->data, *fresh = t_empty(tape, 30000)->data;
    ck_assert(isnan(fresh[0]) && isnan(fresh[29999]));
    tape_reset(tape, 1);
    for (int i = 0; i < 1000; i++)
        ck_assert(isnan(first[i]));

    Mark mark = tape_mark(tape);
    const float *between = counting(t_empty(tape, 1000), 0)->data;
    x = tape_keep(tape, mark, counting(t_empty(tape, 100), 0));
    check_counting(x, 0);
    ck_assert(isnan(between[500]) && isnan(between[999]));
    tape_free(tape);
}
END_TEST
#endif

/* ---- Random numbers, and what is not a number ---- */

START_TEST(draws_of_a_step_can_be_repeated_and_are_all_different)
{
    enum { STEPS = 20, DRAWS = 50 };
    Tape *tape = tape_new(TAPE_TRAINING, 77);
    ck_assert(tape_seed(tape) == 77);
    uint64_t draws[STEPS * DRAWS];
    for (int i = 0; i < STEPS * DRAWS; i++) {
        if (i % DRAWS == 0)
            tape_reset(tape, i / DRAWS);
        draws[i] = tape_draw(tape);
        for (int j = 0; j < i; j++)
            if (draws[j] == draws[i])
                ck_abort_msg("draw %d is draw %d", i, j);
    }
    for (int step = STEPS - 1; step >= 0; step -= 3) {
        tape_reset(tape, step);
        for (int i = 0; i < DRAWS; i++)
            ck_assert(tape_draw(tape) == draws[step * DRAWS + i]);
    }
    tape_free(tape);
}
END_TEST

START_TEST(the_first_operation_without_a_finite_result_is_named)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 2, 3), -2));
    Tensor *y = t_shaped(t_scale(x, 2), 2, 3);
    ck_assert_ptr_null(tape_first_nan(tape));
    t_sum_all(t_exp(t_log(y)));
    const char *place = tape_first_nan(tape);
    ck_assert_ptr_nonnull(place);
    ck_assert_str_eq(place, "log (2, 3), after t_scale(x, 2)");

    tape_reset(tape, 1);
    ck_assert_ptr_null(tape_first_nan(tape));
    x = t_keep_grad(t_zeros(tape, 2));
    t_div(x, x);
    ck_assert_str_eq(tape_first_nan(tape), "div (2,)");
    tape_free(tape);
}
END_TEST

START_TEST(results_along_the_way_are_found_by_their_labels)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 2, 3), 1));
    Tensor *first = t_label(t_exp(x), "e", 0), *second = t_label(t_exp(first), "e", 1);
    Tensor *other = t_label(t_log(first), "l", 0), *again = t_label(t_exp(x), "again", 0);
    t_label(x, "again", 0);
    ck_assert_ptr_eq(tape_labelled(tape, "e", 0), first);
    ck_assert_ptr_eq(tape_labelled(tape, "e", 1), second);
    ck_assert_ptr_eq(tape_labelled(tape, "l", 0), other);
    ck_assert_ptr_eq(tape_labelled(tape, "again", 0), x);
    ck_assert_ptr_ne(again, x);
    ck_assert_ptr_null(tape_labelled(tape, "e", 2));
    ck_assert_ptr_null(tape_labelled(tape, "exp", 0));
    tape_reset(tape, 1);
    ck_assert_ptr_null(tape_labelled(tape, "e", 0));
    tape_free(tape);
}
END_TEST

START_TEST(labels_cost_nothing_where_nothing_is_recorded)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Tensor *x = t_zeros(tape, 3), *p = parameter(3, 0);
    size_t used = tape_mark(tape).used;
    ck_assert_ptr_eq(t_label(x, "x", 0), x);
    ck_assert_ptr_eq(t_label(p, "p", 0), p);
    ck_assert_uint_eq(tape_mark(tape).used, used);
    ck_assert_ptr_null(tape_labelled(tape, "x", 0));
    t_lasting_free(p);
    tape_free(tape);
}
END_TEST

START_TEST(the_infinities_of_a_mask_are_meant)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 3, 4), 0)), *keep = t_zeros(tape, 3, 1);
    keep->data[1] = 1;
    t_exp(t_softmax(t_masked(t_causal(x), keep)));
    ck_assert_ptr_null(tape_first_nan(tape));
    t_add(t_scale(t_masked(t_causal(x), keep), 2), t_reshape(t_causal(x), 3, 4));
    ck_assert_ptr_null(tape_first_nan(tape));
    tape_free(tape);
}
END_TEST

START_TEST(a_nan_that_infinities_make_is_not_excused_by_them)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 3, 4), 0)), *masked = t_causal(x);
    Tensor *nan = t_sub(masked, masked);
    t_mean_all(t_sub(nan, masked));
    ck_assert_str_eq(tape_first_nan(tape), "sub (3, 4)");
    tape_reset(tape, 1);
    x = t_keep_grad(counting(t_empty(tape, 3, 4), 0));
    masked = t_causal(x);
    t_log(t_slice(t_transpose(masked), 0, 0, 1)); /* log(0), from the finite part of it */
    ck_assert_str_eq(tape_first_nan(tape), "log (1, 3)");
    tape_free(tape);
}
END_TEST

/* A mask of zeros and -infinity is data, and meant; what a parameter holds is not. */
START_TEST(what_came_in_from_outside_is_blamed_unless_it_is_an_infinity_among_data)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(counting(t_empty(tape, 3), 0)), *mask = t_zeros(tape, 3);
    mask->data[1] = -INFINITY;
    t_scale(t_add(x, mask), 3);
    ck_assert_ptr_null(tape_first_nan(tape));
    tape_reset(tape, 1);
    x = t_keep_grad(counting(t_empty(tape, 3), 0));
    mask = t_zeros(tape, 3);
    mask->data[1] = NAN;
    t_sub(x, mask);
    ck_assert_str_eq(tape_first_nan(tape), "sub (3,)");
    tape_reset(tape, 1);
    x = t_keep_grad(counting(t_empty(tape, 3), 0));
    x->data[2] = INFINITY;
    t_tanh(t_scale(x, 3));
    ck_assert_str_eq(tape_first_nan(tape), "scale (3,)");
    tape_free(tape);
}
END_TEST

#ifdef LINEAGE_DEBUG
#define DEBUG_TESTS memory_that_was_given_back_is_nan_in_debug_builds,
#else
#define DEBUG_TESTS
#endif

SUITE("tensor", 20, DEBUG_TESTS views_read_the_same_storage_differently,
      chains_of_random_views_show_what_they_should_and_bring_gradients_home,
      merging_heads_copies_and_splitting_them_does_not,
      what_is_contiguous_is_not_copied_again,
      an_order_that_names_a_dimension_twice_is_refused,
      an_order_of_too_few_dimensions_is_refused, an_empty_order_is_refused,
      a_vector_has_nothing_to_transpose, a_slice_beyond_the_end_is_refused,
      a_slice_that_runs_backwards_is_refused, a_selection_outside_is_refused,
      a_selection_of_no_dimension_is_refused, only_dimensions_of_size_one_expand,
      expanding_never_takes_dimensions_away, expanding_to_nothing_is_refused,
      a_reshape_keeps_the_number_of_elements, seven_dimensions_are_refused,
      seven_dimensions_are_refused_to_views_too, a_negative_size_is_refused,
      only_a_single_number_is_an_item, a_wrong_shape_is_shown_beside_the_right_one,
      a_mistake_is_placed_after_the_last_shape_that_held,
      a_shape_that_holds_gives_back_the_tensor, shapes_broadcast_from_the_last_dimension,
      shapes_that_do_not_broadcast_are_refused,
      a_tensor_without_elements_goes_through_everything, a_tensor_of_rank_zero_is_a_number,
      six_dimensions_are_not_too_many, all_memory_is_aligned_for_vectors,
      a_parameter_begins_with_zeros_and_a_gradient_of_zeros,
      equal_views_of_a_parameter_are_one_and_the_same,
      views_of_a_parameter_on_a_tape_go_with_the_tape, parameters_alone_have_no_tape,
      a_copy_of_a_parameters_view_needs_a_tape, two_tapes_in_one_operation_are_refused,
      a_tensor_does_not_change_its_tape, a_snapshot_is_contiguous_and_detached,
      assigning_writes_into_the_storage_of_a_view,
      a_state_is_carried_from_step_to_step_while_recording,
      assigning_another_shape_is_refused,
      assigning_into_a_recording_tape_cuts_gradients_and_is_refused,
      gradients_of_what_is_used_twice_add_up,
      a_view_taken_before_backward_finds_its_gradient_after_it, the_loss_may_be_a_view,
      a_loss_that_is_a_parameter_adds_one_to_its_gradient, a_second_backward_is_refused,
      recording_after_backward_is_refused, a_loss_of_many_numbers_is_refused,
      a_loss_that_depends_on_nothing_that_learns_is_refused,
      a_loss_of_an_inference_tape_is_refused, an_input_that_was_overwritten_is_refused,
      a_result_that_was_overwritten_is_refused,
      a_mistake_found_on_the_way_back_is_placed_where_the_operation_was_recorded,
      what_backward_does_not_read_may_be_overwritten, a_long_chain_needs_no_deep_stack,
      an_operation_can_be_defined_outside_the_library,
      an_input_that_wants_no_gradient_gives_a_scratch_buffer,
      an_operation_that_the_loss_does_not_depend_on_is_skipped,
      nothing_is_recorded_without_something_that_learns_or_without_a_recording_tape,
      gradients_asked_for_out_of_order_are_refused,
      a_gradient_takes_the_place_of_that_of_the_result_only_where_nobody_reads_it_again,
      nothing_is_allocated_after_the_first_step,
      scratch_for_inputs_that_want_no_gradient_is_handed_back,
      a_gradient_that_was_used_gives_its_memory_to_the_next,
      memory_of_gradients_is_never_shared,
      the_gradient_of_a_state_can_be_asked_for_and_outlives_the_tape,
      what_is_kept_survives_and_the_rest_is_given_back,
      what_is_kept_may_move_from_one_chunk_to_another,
      a_view_that_is_kept_becomes_a_tensor_of_its_own, marks_may_be_nested_and_used_again,
      a_recording_tape_keeps_everything, a_training_step_needs_little_stack,
      draws_of_a_step_can_be_repeated_and_are_all_different,
      the_first_operation_without_a_finite_result_is_named,
      results_along_the_way_are_found_by_their_labels,
      labels_cost_nothing_where_nothing_is_recorded, the_infinities_of_a_mask_are_meant,
      a_nan_that_infinities_make_is_not_excused_by_them,
      what_came_in_from_outside_is_blamed_unless_it_is_an_infinity_among_data)
