/* test_text.c - splits, batches and windows: every token is where it belongs, and is
 * predicted as often as was promised. */
#include "suite.h"
#include "text.h"

#include <string.h>

/* A corpus that says of every token where it stands. */
static Corpus counting(long size)
{
    int *token = allocate((size_t)size, sizeof *token);
    for (long i = 0; i < size; i++)
        token[i] = (int)i;
    return corpus_of(token, size);
}

/* ---- Splits ---- */

START_TEST(the_last_tenth_is_for_validation)
{
    static const long sizes[][2] = {{10, 9},   {11, 9},     {19, 17},          {20, 18},
                                    {100, 90}, {1000, 900}, {1115394, 1003854}};
    for (int i = 0; i < 7; i++) {
        Corpus c = corpus_of(NULL, sizes[i][0]);
        ck_assert_int_eq(c.size, sizes[i][0]);
        ck_assert_int_eq(c.train, sizes[i][1]);
    }
    for (long size = 10; size < 100000; size += 10)
        ck_assert_int_eq(corpus_of(NULL, size).train, size / 10 * 9);
}
END_TEST

START_TEST(a_corpus_owns_its_tokens)
{
    Corpus c = counting(5);
    ck_assert_int_eq(c.token[4], 4);
    corpus_free(&c);
    ck_assert(c.token == NULL);
    corpus_free(&c);
}
END_TEST

START_TEST(a_text_that_fits_just_so_is_taken)
{
    Error error = {""};
    Corpus c = corpus_of(NULL, 20); /* 18 and 2 */
    ck_assert(corpus_fits(&c, 17, "a.txt", &error));
    ck_assert_str_eq(error.text, "");
}
END_TEST

START_TEST(a_text_that_is_too_short_is_refused)
{
    Error error = {""};
    Corpus train = corpus_of(NULL, 20), val = corpus_of(NULL, 10),
           none = corpus_of(NULL, 0);
    ck_assert(!corpus_fits(&train, 18, "a.txt", &error));
    ck_assert_str_eq(error.text,
                     "a.txt is too short: its 20 tokens, the last tenth of them kept for "
                     "validation, do not fill a context of 18; use a longer text or a "
                     "smaller --context");
    ck_assert(!corpus_fits(&val, 2, "b.txt", &error)); /* one token predicts nothing */
    assert_contains(error.text, "b.txt is too short: its 10 tokens");
    ck_assert(!corpus_fits(&none, 4, "c.txt", &error));
    assert_contains(error.text, "c.txt is too short: its 0 tokens");
}
END_TEST

START_TEST(a_context_in_which_nothing_is_predicted_is_refused)
{
    Error error = {""};
    Corpus c = corpus_of(NULL, 1000);
    ck_assert(!corpus_fits(&c, 1, "a.txt", &error));
    ck_assert_str_eq(error.text,
                     "a context of 1 leaves nothing to predict in a window, whose first "
                     "token is given; use a larger --context");
    ck_assert(corpus_fits(&c, 2, "a.txt", &error));
}
END_TEST

/* ---- Batches ---- */

/* The batch of a step, on a tape of its own; the caller frees the tape. */
typedef struct {
    Tape *tape;
    Ids *tokens, *targets;
} Batch;

static Batch batch_of(const Corpus *c, int B, int T, uint64_t seed, long step)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Batch b = {tape, ids_new(tape, B, T), ids_new(tape, B, T)};
    corpus_batch(c, seed, step, b.tokens, b.targets);
    return b;
}

static bool same_batch(const Batch *a, const Batch *b)
{
    size_t bytes = (size_t)a->tokens->size * sizeof(int);
    return memcmp(a->tokens->at, b->tokens->at, bytes) == 0 &&
           memcmp(a->targets->at, b->targets->at, bytes) == 0;
}

START_TEST(batches_are_windows_of_the_training_split)
{
    enum { B = 7, T = 5 };
    Corpus c = counting(203);
    for (long step = 0; step < 300; step++) {
        Batch b = batch_of(&c, B, T, 11, step);
        for (int i = 0; i < B * T; i++) {
            int first = b.tokens->at[i / T * T];
            ck_assert_int_ge(first, 0);
            ck_assert_int_eq(b.tokens->at[i], first + i % T);
            ck_assert_int_eq(b.targets->at[i], first + i % T + 1);
            ck_assert_int_lt(b.targets->at[i], c.train);
        }
        tape_free(b.tape);
    }
    corpus_free(&c);
}
END_TEST

START_TEST(every_window_of_the_training_split_comes_up)
{
    enum { B = 8, T = 6, DRAWS = 12000 };
    Corpus c = counting(70); /* 63 for training: windows begin at 0 .. 56 */
    int seen[63] = {0};
    for (long step = 0; step < DRAWS / B; step++) {
        Batch b = batch_of(&c, B, T, 2, step);
        for (int i = 0; i < B; i++)
            seen[b.tokens->at[i * T]]++;
        tape_free(b.tape);
    }
    for (int start = 0; start < 63; start++)
        if (start < 57) { /* 210 each, give or take 5 times the root of that */
            ck_assert_int_gt(seen[start], 210 - 73);
            ck_assert_int_lt(seen[start], 210 + 73);
        } else {
            ck_assert_int_eq(seen[start], 0);
        }
    corpus_free(&c);
}
END_TEST

START_TEST(a_training_split_of_one_window_is_enough)
{
    Corpus c = counting(20);
    Batch b = batch_of(&c, 3, 17, 1, 5);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(b.tokens->at[i * 17], 0);
        ck_assert_int_eq(b.targets->at[i * 17 + 16], 17);
    }
    tape_free(b.tape);
    corpus_free(&c);
}
END_TEST

START_TEST(batches_depend_on_seed_and_step_alone)
{
    Corpus c = counting(5000);
    Batch first = batch_of(&c, 4, 8, 3, 17), others[3];
    others[0] = batch_of(&c, 4, 8, 3, 18);
    others[1] = batch_of(&c, 4, 8, 4, 17);
    others[2] = batch_of(&c, 4, 8, 3, 17); /* after others were drawn */
    ck_assert(!same_batch(&first, &others[0]));
    ck_assert(!same_batch(&first, &others[1]));
    ck_assert(same_batch(&first, &others[2]));
    for (int i = 0; i < 3; i++)
        tape_free(others[i].tape);
    tape_free(first.tape);
    corpus_free(&c);
}
END_TEST

START_TEST(neighbouring_steps_share_no_window)
{
    enum { B = 4, STEPS = 50 };
    Corpus c = counting(1000000);
    int start[B * STEPS];
    for (long step = 0; step < STEPS; step++) {
        Batch b = batch_of(&c, B, 8, 3, step);
        for (int i = 0; i < B; i++)
            start[step * B + i] = b.tokens->at[i * 8];
        tape_free(b.tape);
    }
    int same = 0;
    for (int i = 0; i < B * STEPS; i++)
        for (int j = 0; j < i; j++)
            same += start[i] == start[j];
    ck_assert_int_eq(same, 0);
    corpus_free(&c);
}
END_TEST

/* ---- Windows ---- */

/* Reads from .. to - 1 to the end, in batches of B; counts how often each token was
 * predicted, and checks each place of each window. Returns all predictions together. */
static long read_windows(const Corpus *c, int B, int T, long from, long to, int *predicted)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    long together = 0, n = 1;
    for (long window = 0; n > 0; window += B) {
        tape_reset(tape, 0);
        Ids *tokens = ids_new(tape, B, T), *targets = ids_new(tape, B, T);
        n = corpus_windows(c, from, to, window, tokens, targets);
        long counted = 0;
        for (int i = 0; i < B * T; i++) {
            long place = from + (window + i / T) * T + i % T;
            ck_assert_int_eq(tokens->at[i], place < to ? place : 0);
            if (targets->at[i] < 0) {
                ck_assert_int_eq(targets->at[i], -1);
                continue;
            }
            ck_assert_int_eq(targets->at[i], place + 1);
            predicted[place + 1]++;
            counted++;
        }
        ck_assert_int_eq(n, counted);
        together += n;
    }
    tape_free(tape);
    return together;
}

static void assert_reads_all(long from, long to, int B, int T)
{
    Corpus c = counting(500);
    int predicted[501] = {0};
    long together = read_windows(&c, B, T, from, to, predicted), windows = 0;
    for (long i = 0; i < 501; i++) {
        bool inside = i >= from && i < to, first = inside && (i - from) % T == 0;
        ck_assert_msg(predicted[i] == (inside && !first),
                      "token %ld of %ld .. %ld was predicted %d times (B %d, T %d)", i,
                      from, to, predicted[i], B, T);
        windows += first;
    }
    ck_assert_int_eq(together, to - from - windows);
    corpus_free(&c);
}

START_TEST(every_token_but_the_first_of_a_window_is_predicted_once)
{
    assert_reads_all(0, 500, 4, 10); /* no rest */
    assert_reads_all(450, 500, 1, 50);
    assert_reads_all(450, 500, 3, 7);
    assert_reads_all(0, 500, 7, 64);
    assert_reads_all(123, 345, 2, 13);
    assert_reads_all(490, 500, 5, 100); /* less than one window */
}
END_TEST

START_TEST(a_last_window_in_part_is_read_as_far_as_it_goes)
{
    assert_reads_all(400, 411, 1, 10); /* a rest of one token, which predicts nothing */
    assert_reads_all(400, 412, 1, 10);
    assert_reads_all(400, 419, 1, 10);
    assert_reads_all(400, 411, 4, 10);
    assert_reads_all(400, 419, 4, 10);
    assert_reads_all(400, 402, 4, 10);
}
END_TEST

START_TEST(after_the_last_window_there_is_nothing)
{
    Corpus c = counting(100);
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *tokens = ids_new(tape, 2, 5), *targets = ids_new(tape, 2, 5);
    ck_assert_int_eq(corpus_windows(&c, 90, 100, 0, tokens, targets), 8);
    ck_assert_int_eq(corpus_windows(&c, 90, 100, 1, tokens, targets), 4);
    ck_assert_int_eq(corpus_windows(&c, 90, 100, 2, tokens, targets), 0);
    ck_assert_int_eq(corpus_windows(&c, 90, 100, 1000, tokens, targets), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(tokens->at[i], 0);
        ck_assert_int_eq(targets->at[i], -1);
    }
    tape_free(tape);
    corpus_free(&c);
}
END_TEST

SUITE("text", 10, the_last_tenth_is_for_validation, a_corpus_owns_its_tokens,
      a_text_that_fits_just_so_is_taken, a_text_that_is_too_short_is_refused,
      a_context_in_which_nothing_is_predicted_is_refused,
      batches_are_windows_of_the_training_split,
      every_window_of_the_training_split_comes_up, a_training_split_of_one_window_is_enough,
      batches_depend_on_seed_and_step_alone, neighbouring_steps_share_no_window,
      every_token_but_the_first_of_a_window_is_predicted_once,
      a_last_window_in_part_is_read_as_far_as_it_goes,
      after_the_last_window_there_is_nothing)
