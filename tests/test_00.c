/* test_00.c - the chapter on gradients: its network, its first language model, its
 * program. */
#include "bigram.h"
#include "compare.h"
#include "mlp_tensors.h"
#include "suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM BUILD "/chapter-00"

START_TEST(the_moons_are_told_apart_from_any_seed)
{
    for (unsigned seed = 1; seed <= 5; seed++) {
        Scalars *tape = scalars_new();
        Moons moons = moons_new(seed);
        Mlp mlp = mlp_new(tape, 16, seed);
        double first = mlp_step(&mlp, &moons, 1), last = first;
        for (int step = 1; step < 100; step++)
            last = mlp_step(&mlp, &moons, 1 - 0.9 * step / 100);
        ck_assert_double_lt(last, 0.2 * first);
        ck_assert_int_eq(scalars_count(tape), mlp.count); /* the rest is forgotten */
        ck_assert_int_ge(mlp_right(&mlp, &moons), 97);
        scalars_free(tape);
    }
}
END_TEST

START_TEST(verify_sees_a_planted_error_and_a_nan)
{
    ck_assert(freopen("/dev/null", "w", stdout) != NULL);
    ck_assert(compare_networks(1, 0));
    ck_assert(!compare_networks(1, 1e-3f));
    ck_assert(!compare_networks(1, NAN));
}
END_TEST

START_TEST(the_gradient_of_the_network_agrees_with_finite_differences)
{
    Scalars *tape = scalars_new();
    Moons moons = moons_new(3);
    Mlp mlp = mlp_new(tape, 4, 3);
    s_backward(mlp_loss(&mlp, &moons));
    double grad[64];
    ck_assert_int_lt(mlp.count, 64);
    for (int i = 0; i < mlp.count; i++)
        grad[i] = mlp.at[i]->grad;
    scalars_rewind(tape, mlp.count);
    for (int i = 0; i < mlp.count; i++) {
        const double h = 1e-6;
        double value = mlp.at[i]->value, loss[2];
        for (int side = 0; side < 2; side++) {
            mlp.at[i]->value = value + (side ? h : -h);
            loss[side] = mlp_loss(&mlp, &moons)->value;
            scalars_rewind(tape, mlp.count);
        }
        mlp.at[i]->value = value;
        ck_assert_double_eq_tol(grad[i], (loss[1] - loss[0]) / (2 * h), 1e-6);
    }
    scalars_free(tape);
}
END_TEST

START_TEST(scalars_and_tensors_learn_alike)
{
    Scalars *scalars = scalars_new();
    Moons moons = moons_new(1);
    Mlp mlp = mlp_new(scalars, 8, 1);
    TensorMlp tensors = tensor_mlp_like(&mlp);
    Tape *tape = tape_new(TAPE_TRAINING, 1);
    for (int step = 0; step < 30; step++)
        ck_assert_double_eq_tol(mlp_step(&mlp, &moons, 0.3),
                                tensor_mlp_step(&tensors, tape, &moons, 0.3), 1e-4);
    tape_free(tape);
    tensor_mlp_free(&tensors);
    scalars_free(scalars);
}
END_TEST

/* abab...: after a always b, and the other way round. */
START_TEST(counting_pairs_predicts_what_always_follows)
{
    enum { N = 40 };
    int *token = allocate(N, sizeof *token);
    for (int i = 0; i < N; i++)
        token[i] = i % 2;
    Corpus corpus = corpus_of(token, N);
    double *pairs = count_pairs(&corpus, 2, 0, false),
           *single = count_pairs(&corpus, 2, 0, true);
    ck_assert_double_eq(pairs[0 * 2 + 1], 18);
    ck_assert_double_eq(pairs[1 * 2 + 0], 17);
    ck_assert_double_eq(pairs[0] + pairs[3], 0);
    ck_assert_double_eq(counts_loss(pairs, 2, token, 0, N), 0);
    ck_assert_double_eq_tol(counts_loss(single, 2, token, 0, N), log(2), 2e-3);
    free(pairs);
    free(single);
    corpus_free(&corpus);
}
END_TEST

START_TEST(the_program_runs_through_and_its_two_engines_agree)
{
    char output[16384];
    int status = run_command(output, sizeof output,
                             PROGRAM " --bigram-steps 60 --out %s </dev/null",
                             scratch("out"));
    ck_assert_msg(status == 0, "%s", output);
    assert_contains(output, "100 of 100");
    assert_contains(output, "dc/da = 4,");
    assert_contains(output, "they agree");
    const char *differ = strstr(output, "counting and learning differ by ");
    ck_assert(differ != NULL);
    ck_assert_double_lt(fabs(strtod(differ + 32, NULL)), 0.005);
}
END_TEST

START_TEST(bad_input_is_refused)
{
    const char *const cases[][2] = {
        {"bigram --data nowhere.txt", "cannot read nowhere.txt"},
        {"walk", "there is no \"walk\""},
        {"moons --hidden 0", "--hidden 0"},
        {"moons --out /dev/null/x", "cannot make the folder /dev/null/x"},
        {"moons --hiden 3", "did you mean --hidden?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char output[2048];
        ck_assert_int_eq(run_command(output, sizeof output, PROGRAM " %s", cases[i][0]), 1);
        assert_contains(output, cases[i][1]);
        assert_contains(output, "chapter-00: ");
    }
}
END_TEST

START_TEST(a_bigram_writes_by_the_probabilities_of_its_rows)
{
    enum { V = 3, DRAWS = 6000 };
    static const double p[V][V] = {{0.5, 0.3, 0.2}, {0.1, 0.8, 0.1}, {0.25, 0.25, 0.5}};
    Bigram b = bigram_new(V);
    for (int i = 0; i < V * V; i++)
        b.logits->data[i] = (float)(log(p[i / V][i % V]) + 2);
    for (int row = 0; row < V; row++) {
        int count[V] = {0};
        for (int i = 0; i < DRAWS; i++)
            count[bigram_next(&b, row, (i + 0.5) / DRAWS)]++;
        for (int j = 0; j < V; j++)
            ck_assert_double_eq_tol(count[j] / (double)DRAWS, p[row][j], 1e-3);
        ck_assert_int_eq(bigram_next(&b, row, 0), 0);
        ck_assert_int_eq(bigram_next(&b, row, 1 - 1e-12), V - 1);
    }
    bigram_free(&b);
}
END_TEST

SUITE("00-autograd", 30, a_bigram_writes_by_the_probabilities_of_its_rows,
      verify_sees_a_planted_error_and_a_nan, the_moons_are_told_apart_from_any_seed,
      the_gradient_of_the_network_agrees_with_finite_differences,
      scalars_and_tensors_learn_alike, counting_pairs_predicts_what_always_follows,
      the_program_runs_through_and_its_two_engines_agree, bad_input_is_refused)
