/* test_text.c - splits, batches and windows: every token is where it belongs, and is
 * predicted as often as was promised. */
#include "suite.h"
#include "text/text.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static Batch batch_of(Corpus *c, int B, int T, uint64_t seed, long step)
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
    static const int sizes[][2] = {{203, 5}, {203, 90}, {203, 91}, {203, 92}, {203, 181}};
    enum { B = 7 };
    for (int k = 0; k < 5; k++) {
        Corpus c = counting(sizes[k][0]);
        int T = sizes[k][1], wrong = 0;
        for (long step = 0; step < 100; step++) {
            Batch b = batch_of(&c, B, T, 11, step);
            for (int i = 0; i < B * T; i++) {
                int first = b.tokens->at[i / T * T];
                wrong += first < 0 || b.tokens->at[i] != first + i % T ||
                         b.targets->at[i] != first + i % T + 1 ||
                         b.targets->at[i] >= c.train;
            }
            tape_free(b.tape);
        }
        ck_assert_int_eq(wrong, 0);
        corpus_free(&c);
    }
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

/* Where the windows of one pass begin, in the order in which they come; batches of four do
 * not end where passes do. 63 tokens of training hold 9 windows of 6, and 8 to spare. */
enum { WINDOWS = 9, LENGTH = 6, SPARE = 8, STARTS = WINDOWS * LENGTH - LENGTH + SPARE + 1 };
static void starts_of_pass(Corpus *c, uint64_t seed, long pass, int *start)
{
    enum { B = 4 };
    for (int i = 0; i < WINDOWS; i++) {
        long draw = pass * WINDOWS + i;
        Batch b = batch_of(c, B, LENGTH, seed, draw / B);
        start[i] = b.tokens->at[draw % B * LENGTH];
        tape_free(b.tape);
    }
}

static int ascending(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

START_TEST(in_one_pass_every_window_comes_once)
{
    Corpus c = counting(70);
    for (long pass = 0; pass < 50; pass++) {
        int start[WINDOWS];
        starts_of_pass(&c, 2, pass, start);
        qsort(start, WINDOWS, sizeof *start, ascending);
        ck_assert_int_ge(start[0], 0);
        ck_assert_int_le(start[0], SPARE);
        for (int i = 1; i < WINDOWS; i++)
            ck_assert_int_eq(start[i], start[i - 1] + LENGTH);
    }
    corpus_free(&c);
}
END_TEST

/* All cuts and all orders are equally likely: 1000 passes, and bounds of five times the
 * root of what is expected. */
START_TEST(every_pass_is_cut_and_shuffled_anew)
{
    enum { PASSES = 1000 };
    Corpus c = counting(70);
    int cut[SPARE + 1] = {0}, place[WINDOWS] = {0}, seen[64] = {0};
    for (long pass = 0; pass < PASSES; pass++) {
        int start[WINDOWS], least = 64;
        starts_of_pass(&c, 2, pass, start);
        for (int i = 0; i < WINDOWS; i++) {
            least = start[i] < least ? start[i] : least;
            seen[start[i]]++;
        }
        cut[least]++;
        for (int i = 0; i < WINDOWS; i++)
            place[i] += start[i] == least; /* where the first window comes */
    }
    for (int i = 0; i < 9; i++) {
        ck_assert_msg(cut[i] > 111 - 53 && cut[i] < 111 + 53, "cut %d: %d", i, cut[i]);
        ck_assert_msg(place[i] > 111 - 53 && place[i] < 111 + 53, "place %d: %d", i,
                      place[i]);
    }
    for (int s = 0; s < 64; s++) /* every window that there is, and no other */
        ck_assert_int_eq(seen[s] > 0, s < STARTS);
    ck_assert_int_eq(STARTS, c.train - LENGTH);
    corpus_free(&c);
}
END_TEST

START_TEST(batches_depend_on_seed_and_step_alone)
{
    enum { B = 4, T = 8 };
    static const struct {
        uint64_t seed;
        long step;
    } asked[] = {{3, 0}, {3, 1}, {4, 1}, {3, 1}, {3, 59}, {4, 59}, {4, 2}, {3, 2}, {3, 14}};
    Corpus used = counting(500);
    Batch first = batch_of(&used, B, T, 3, 0);
    for (int i = 0; i < 9; i++) {
        Corpus fresh = counting(500);
        Batch want = batch_of(&fresh, B, T, asked[i].seed, asked[i].step),
              got = batch_of(&used, B, T, asked[i].seed, asked[i].step);
        ck_assert(same_batch(&want, &got));
        ck_assert_int_eq(same_batch(&got, &first), i == 0);
        if (i % 2) /* windows of another length in between change nothing */
            tape_free(batch_of(&used, B, T + i, 3, 5).tape);
        tape_free(want.tape);
        tape_free(got.tape);
        corpus_free(&fresh);
    }
    tape_free(first.tape);
    corpus_free(&used);
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

/* ---- Sliding windows ---- */

/* Reads from .. to - 1 to the end. Every token but the first must be predicted once, from
 * its window's tokens, of which there must be enough. */
static void assert_slides(long from, long to, int B, int T, int stride)
{
    Corpus c = counting(500);
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *tokens = ids_new(tape, B, T), *targets = ids_new(tape, B, T);
    int predicted[501] = {0};
    long together = 0, n = 1;
    for (long window = 0; n > 0; window += B) {
        n = corpus_slide(&c, from, to, stride, window, tokens, targets);
        long counted = 0;
        for (int i = 0; i < B * T; i++) {
            long start = from + (window + i / T) * stride, place = start + i % T;
            ck_assert_int_eq(tokens->at[i], place < to ? place : 0);
            if (targets->at[i] == -1)
                continue;
            ck_assert_int_eq(targets->at[i], place + 1);
            ck_assert(i % T + 1 >= T - stride + 1 || start == from);
            predicted[place + 1]++;
            counted++;
        }
        ck_assert_int_eq(n, counted);
        together += n;
    }
    for (long i = 0; i < 501; i++)
        ck_assert_msg(predicted[i] == (i > from && i < to),
                      "token %ld of %ld .. %ld was predicted %d times (T %d, stride %d)", i,
                      from, to, predicted[i], T, stride);
    ck_assert_int_eq(together, to - from - 1);
    tape_free(tape);
    corpus_free(&c);
}

START_TEST(sliding_windows_predict_every_token_but_the_first_once)
{
    assert_slides(450, 500, 1, 10, 10);
    assert_slides(450, 500, 3, 10, 10);
    assert_slides(450, 500, 4, 10, 1);
    assert_slides(123, 345, 2, 13, 5);
    assert_slides(0, 500, 7, 64, 32);
    assert_slides(490, 500, 2, 100, 50); /* less than one window */
    assert_slides(490, 500, 2, 10, 3);   /* one window, whose last token predicts nothing */
    assert_slides(490, 500, 2, 9, 9);
    assert_slides(490, 500, 2, 1, 1);
}
END_TEST

START_TEST(a_stride_beyond_the_window_is_misuse)
{
    for (int wrong = 0; wrong <= 6; wrong += 6) {
        pid_t child = fork();
        if (child == 0) {
            if (!freopen("/dev/null", "w", stderr))
                _exit(1);
            Corpus c = counting(100);
            Tape *tape = tape_new(TAPE_INFERENCE, 0);
            corpus_slide(&c, 0, 100, wrong, 0, ids_new(tape, 1, 5), ids_new(tape, 1, 5));
            _exit(0);
        }
        int status;
        ck_assert(waitpid(child, &status, 0) == child);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}
END_TEST

/* ---- Reading on and on ---- */

START_TEST(each_text_of_a_batch_goes_on_where_it_ended)
{
    enum { B = 3, T = 7 };
    Corpus c = counting(200); /* 180 to train on, parts of 59: 7 windows, displaced */
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *tokens = ids_new(tape, B, T), *targets = ids_new(tape, B, T);
    int begun = 0, next[B] = {0};
    for (long step = 0; step < 40; step++) {
        long past = corpus_continue(&c, 5, step, tokens, targets);
        ck_assert_int_eq(past, step % 7 * T);
        begun += past == 0;
        for (int b = 0; b < B; b++) {
            const int *row = tokens->at + b * T;
            ck_assert(past == 0 || row[0] == next[b]);
            next[b] = row[T - 1] + 1;
            for (int t = 0; t < T; t++) {
                ck_assert_int_eq(row[t], row[0] + t);
                ck_assert_int_eq(targets->at[b * T + t], row[t] + 1);
                ck_assert(row[t] >= b * 59 && row[t] < (b + 1) * 59);
            }
        }
    }
    ck_assert_int_eq(begun, 6);
    tape_free(tape);
    corpus_free(&c);
}
END_TEST

START_TEST(every_pass_through_the_parts_is_displaced)
{
    Corpus c = counting(1000);
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *tokens = ids_new(tape, 2, 50), *targets = ids_new(tape, 2, 50);
    long least = 1000, most = 0;
    for (long pass = 0; pass < 30; pass++) {
        ck_assert_int_eq(corpus_continue(&c, 1, pass * 7, tokens, targets), 0);
        least = tokens->at[0] < least ? tokens->at[0] : least;
        most = tokens->at[0] > most ? tokens->at[0] : most;
    }
    ck_assert(least < 10 && most >= 40 && most < 50);
    tape_free(tape);
    corpus_free(&c);
}
END_TEST

START_TEST(parts_too_short_for_two_windows_are_refused)
{
    Error error = {""};
    Corpus c = corpus_of(NULL, 200);
    ck_assert(corpus_feeds(&c, 3, 29, "a.txt", &error));
    ck_assert(!corpus_feeds(&c, 3, 30, "a.txt", &error));
    assert_contains(error.text, "a.txt is too short: its 200 tokens");
    assert_contains(error.text, "--batch of 3");
}
END_TEST

/* ---- Counting ---- */

/* Nine a's, then b: by hand. */
START_TEST(counting_adds_one_to_what_it_saw)
{
    int *token = allocate(20, sizeof *token);
    token[19] = 1;
    Corpus c = corpus_of(token, 20); /* 18 to train on: 17 times a after a; then a, b */
    ck_assert_double_eq_tol(corpus_counting_loss(&c, 2, false), log(19.0 / 1), 1e-12);
    ck_assert_double_eq_tol(corpus_counting_loss(&c, 2, true), log(19.0 / 1), 1e-12);
    token[19] = 0;
    ck_assert_double_eq_tol(corpus_counting_loss(&c, 2, false), log(19.0 / 18), 1e-12);
    for (int i = 0; i < 20; i++)
        token[i] = i % 2;
    ck_assert_double_eq_tol(corpus_counting_loss(&c, 2, false), log(19.0 / 10), 1e-12);
    ck_assert_double_eq_tol(corpus_counting_loss(&c, 2, true), log(11.0 / 10), 1e-12);
    ck_assert(isnan(corpus_counting_loss(&c, MOST_COUNTED + 1, true)));
    corpus_free(&c);
}
END_TEST

SUITE("text", 10, the_last_tenth_is_for_validation, a_corpus_owns_its_tokens,
      a_text_that_fits_just_so_is_taken, a_text_that_is_too_short_is_refused,
      a_context_in_which_nothing_is_predicted_is_refused,
      batches_are_windows_of_the_training_split, a_training_split_of_one_window_is_enough,
      in_one_pass_every_window_comes_once, every_pass_is_cut_and_shuffled_anew,
      batches_depend_on_seed_and_step_alone,
      every_token_but_the_first_of_a_window_is_predicted_once,
      a_last_window_in_part_is_read_as_far_as_it_goes,
      after_the_last_window_there_is_nothing,
      sliding_windows_predict_every_token_but_the_first_once,
      a_stride_beyond_the_window_is_misuse, each_text_of_a_batch_goes_on_where_it_ended,
      every_pass_through_the_parts_is_displaced,
      parts_too_short_for_two_windows_are_refused, counting_adds_one_to_what_it_saw)
