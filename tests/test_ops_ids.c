/* test_ops_ids.c - ids, the largest entries, and rows that go to experts and come back, at
 * their limits. What these operations compute otherwise is held by test_ops.c. */
#include "base/random.h"
#include "tensor/ops.h"
#include "suite.h"

#include <math.h>
#include <string.h>

static Tensor *given(Tape *tape, int rows, int columns, const float *values)
{
    Tensor *x = t_keep_grad(t_empty(tape, rows, columns));
    memcpy(x->data, values, (size_t)(rows * columns) * sizeof *values);
    return x;
}

static Tensor *random_tensor(Tape *tape, int rows, int columns, uint64_t stream)
{
    Tensor *x = t_keep_grad(t_empty(tape, rows, columns));
    for (long i = 0; i < t_size(x); i++)
        x->data[i] = random_normal(1, stream, (uint64_t)i);
    return x;
}

/* ---- Ids and masks ---- */

START_TEST(a_range_counts_from_its_first_number)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    Ids *ids = ids_range(tape, 3, 6), *none = ids_range(tape, 5, 5);
    ck_assert(ids->tape == tape && ids->rank == 1 && ids->shape[0] == 3 && ids->size == 3);
    ck_assert_mem_eq(ids->at, ((int[]){3, 4, 5}), 3 * sizeof(int));
    ck_assert(none->rank == 1 && none->shape[0] == 0 && none->size == 0);
    tape_free(tape);
}
END_TEST

START_TEST(ids_from_an_array_are_a_copy_of_it)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    int numbers[] = {5, 3, -1, 7, 2, 0};
    Ids *ids = ids_from(tape, numbers, 2, 3);
    numbers[0] = 100;
    ck_assert(ids->tape == tape && ids->rank == 2 && ids->size == 6);
    ck_assert(ids->shape[0] == 2 && ids->shape[1] == 3);
    ck_assert_mem_eq(ids->at, ((int[]){5, 3, -1, 7, 2, 0}), sizeof numbers);
    tape_free(tape);
}
END_TEST

START_TEST(a_mask_of_ids_has_their_shape_and_wants_no_gradient)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *keep = t_is_not(ids_from(tape, ((int[]){0, 4, -1, 0, 0, 9}), 2, 1, 3), 0);
    t_shaped(keep, 2, 1, 3);
    ck_assert_mem_eq(keep->data, ((float[]){0, 1, 1, 0, 0, 1}), 6 * sizeof(float));
    ck_assert(!keep->storage->wants_grad);
    tape_free(tape);
}
END_TEST

/* ---- The largest entries ---- */

static void assert_topk(int columns, const float *row, int k, const int *wanted)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Ids *ids;
    Tensor *x = given(tape, 1, columns, row), *y = t_topk(x, k, &ids);
    t_shaped(y, 1, k);
    ck_assert(ids->tape == tape && ids->rank == 2 && ids->shape[0] == 1 &&
              ids->shape[1] == k);
    for (int i = 0; i < k; i++) {
        ck_assert_msg(ids->at[i] == wanted[i], "number %d is entry %d, not %d", i,
                      ids->at[i], wanted[i]);
        ck_assert_mem_eq(&y->data[i], &row[wanted[i]], sizeof(float));
    }
    tape_free(tape);
}

START_TEST(equal_entries_come_in_the_order_of_their_indices)
{
    const float row[] = {1, 3, 3, 2, 3, 1, -0.0f, 0, -0.0f};
    assert_topk(9, row, 2, (int[]){1, 2});
    assert_topk(9, row, 9, (int[]){1, 2, 4, 3, 0, 5, 6, 7, 8});
    assert_topk(4, (float[]){-1, -1, -2, -1}, 3, (int[]){0, 1, 3});
    assert_topk(3, (float[]){0, 0, 0}, 3, (int[]){0, 1, 2});
}
END_TEST

START_TEST(nan_comes_first_and_minus_infinity_last)
{
    const float none = -INFINITY, all = INFINITY, nan = NAN;
    const float row[] = {none, 1, nan, all, -3e38f, -nan, none, 3e38f, -1e-45f, 1e-45f};
    assert_topk(10, row, 3, (int[]){2, 5, 3});
    assert_topk(10, row, 10, (int[]){2, 5, 3, 7, 1, 9, 8, 4, 0, 6});
    assert_topk(3, (float[]){none, none, none}, 2, (int[]){0, 1});
    assert_topk(4, (float[]){1, nan, nan, nan}, 2, (int[]){1, 2});
}
END_TEST

START_TEST(a_row_of_one_and_a_selection_of_none_are_no_exceptions)
{
    assert_topk(1, (float[]){-7}, 1, (int[]){0});
    assert_topk(1, (float[]){-7}, 0, NULL);
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Ids *ids;
    t_shaped(t_topk(t_zeros(tape, 0, 5), 2, &ids), 0, 2);
    t_shaped(t_topk(t_zeros(tape, 3, 0), 0, &ids), 3, 0);
    tape_free(tape);
}
END_TEST

/* Rows in ascending order, in descending order and at random, of sizes about those at which
 * a heap has one more level. */
START_TEST(the_largest_are_those_that_sorting_would_give)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 1);
    for (int n = 1; n < 70; n += n < 20 ? 1 : 7)
        for (int k = 0; k <= n; k++) {
            tape_reset(tape, 0);
            Tensor *x = random_tensor(tape, 3, n, 0);
            for (int j = 0; j < n; j++) {
                x->data[j] = (float)j;
                x->data[n + j] = (float)-j;
            }
            Ids *ids;
            t_topk(x, k, &ids);
            bool right = true;
            for (int row = 0; row < 3; row++)
                for (int i = 0; i < k; i++) {
                    const float *in = x->data + row * n, own = in[ids->at[row * k + i]];
                    int larger = 0;
                    for (int j = 0; j < n; j++)
                        larger += in[j] > own;
                    right = right && larger == i;
                }
            ck_assert_msg(right, "the largest %d of %d are others", k, n);
        }
    tape_free(tape);
}
END_TEST

/* ---- A mixture of experts ---- */

enum { N = 7, C = 5, EXPERTS = 4 };

typedef struct {
    Tensor *weight, *bias;
} Expert;

/* The positions of `expert` among the choices of all rows, (N, 2): in which rows, and which
 * of the N * 2 gates. */
static Ids *choices_of(const Ids *choice, int expert, bool rows)
{
    int found[2 * N], count = 0;
    for (int i = 0; i < choice->size; i++)
        if (choice->at[i] == expert)
            found[count++] = rows ? i / 2 : i;
    return ids_from(choice->tape, found, count);
}

/* Each row goes to the two experts with the largest scores, and what they say is mixed by
 * `gate`, (N * 2, 1). */
static Tensor *mixture(Tensor *x, const Ids *choice, Tensor *gate, const Expert *expert)
{
    Tensor *sum = t_zeros(x->tape, N, C);
    for (int e = 0; e < EXPERTS; e++) {
        Ids *rows = choices_of(choice, e, true), *gates = choices_of(choice, e, false);
        Tensor *y = t_affine(t_rows(x, rows), expert[e].weight, expert[e].bias);
        sum = t_add_rows(sum, t_mul(t_gelu(y), t_rows(gate, gates)), rows);
    }
    return t_shaped(sum, N, C);
}

static void assert_close(long n, const float *got, const float *want)
{
    for (long i = 0; i < n; i++)
        ck_assert_float_eq_tol(got[i], want[i], 1e-5);
}

/* Two experts with the same weights, mixed half and half, are one dense layer, also for
 * gradients. A third is never chosen, because its score is the least. */
START_TEST(identical_experts_are_one_dense_layer_and_an_idle_one_gets_zeros)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = random_tensor(tape, N, C, 1), *scores = random_tensor(tape, N, EXPERTS, 2);
    Tensor *want_x = random_tensor(tape, N, C, 1), *mix = random_tensor(tape, N, C, 3);
    Expert dense = {random_tensor(tape, C, C, 4), t_keep_grad(t_zeros(tape, C))}, each[4];
    for (int e = 0; e < EXPERTS; e++)
        each[e] = (Expert){random_tensor(tape, C, C, 4), t_keep_grad(t_zeros(tape, C))};
    for (int i = 0; i < N; i++)
        scores->data[i * EXPERTS + 2] = -100;

    Ids *choice;
    t_topk(scores, 2, &choice);
    Tensor *gate = t_keep_grad(t_zeros(tape, 2 * N, 1));
    for (int i = 0; i < 2 * N; i++)
        gate->data[i] = 0.5f;
    Tensor *y = mixture(x, choice, gate, each);
    Tensor *want = t_gelu(t_affine(want_x, dense.weight, dense.bias));
    backward(t_sum_all(t_mul(t_add(y, want), mix)));

    assert_close(N * C, y->data, want->data);
    assert_close(N * C, t_grad(x), t_grad(want_x));
    Tensor *sum = t_zeros(tape, C, C);
    for (int e = 0; e < EXPERTS; e++)
        for (int i = 0; i < C * C; i++)
            sum->data[i] += t_grad(each[e].weight)[i];
    assert_close(C * C, sum->data, t_grad(dense.weight));
    for (int i = 0; i < C * C; i++)
        ck_assert_float_eq(t_grad(each[2].weight)[i], 0);
    for (int i = 0; i < C; i++)
        ck_assert_float_eq(t_grad(each[2].bias)[i], 0);
    ck_assert_float_ne(t_grad(gate)[0], 0);
    tape_free(tape);
}
END_TEST

/* The only expert there is gets nothing: nothing comes back, and all gradients are 0. */
START_TEST(a_selection_of_no_rows_goes_through_a_layer_and_back)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *x = random_tensor(tape, N, C, 1), *into = random_tensor(tape, N, C, 2);
    Tensor *weight = random_tensor(tape, C, C, 3), *bias = random_tensor(tape, 1, C, 4);
    Ids *none = ids_new(tape, 0);
    Tensor *chosen = t_shaped(t_rows(x, none), 0, C);
    Tensor *y = t_affine(chosen, weight, t_select(bias, 0, 0));
    Tensor *all = t_add_rows(into, t_silu(t_matmul(y, weight)), none);
    ck_assert_mem_eq(all->data, into->data, N * C * sizeof(float));
    backward(t_sum_all(all));
    for (int i = 0; i < N * C; i++) {
        ck_assert_float_eq(t_grad(x)[i], 0);
        ck_assert_float_eq(t_grad(into)[i], 1);
    }
    for (int i = 0; i < C * C; i++)
        ck_assert_float_eq(t_grad(weight)[i], 0);
    for (int i = 0; i < C; i++)
        ck_assert_float_eq(t_grad(bias)[i], 0);
    tape_free(tape);
}
END_TEST

/* The rows that are added are not changed by it, and neither is what they are added to. */
START_TEST(adding_rows_changes_no_input)
{
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    Tensor *into = random_tensor(tape, N, C, 1), *rows = random_tensor(tape, 3, C, 2);
    Tensor *into_before = t_snapshot(tape, into), *rows_before = t_snapshot(tape, rows);
    Tensor *y = t_add_rows(into, rows, ids_from(tape, ((int[]){4, 0, 4}), 3));
    ck_assert_mem_eq(into->data, into_before->data, N * C * sizeof(float));
    ck_assert_mem_eq(rows->data, rows_before->data, 3 * C * sizeof(float));
    for (int j = 0; j < C; j++) {
        float twice = into->data[4 * C + j] + rows->data[j] + rows->data[2 * C + j];
        ck_assert_float_eq(y->data[4 * C + j], twice); /* in the order of the ids */
    }
    tape_free(tape);
}
END_TEST

SUITE("ops_ids", 20, a_range_counts_from_its_first_number,
      ids_from_an_array_are_a_copy_of_it,
      a_mask_of_ids_has_their_shape_and_wants_no_gradient,
      equal_entries_come_in_the_order_of_their_indices,
      nan_comes_first_and_minus_infinity_last,
      a_row_of_one_and_a_selection_of_none_are_no_exceptions,
      the_largest_are_those_that_sorting_would_give,
      identical_experts_are_one_dense_layer_and_an_idle_one_gets_zeros,
      a_selection_of_no_rows_goes_through_a_layer_and_back, adding_rows_changes_no_input)
