/* test_synthetic.c - every answer follows from what was shown, and from nothing less. */
#include "suite.h"
#include "text/synthetic.h"
#include "text/tokenizer.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS 4

/* The tokens and targets of some rows, as characters; '-' is a target of -1. */
typedef struct {
    int B, T;
    char *tokens, *targets; /* (B, T + 1), each row ended by a zero */
} Rows;

static char character_of(Synthetic task, int token)
{
    ck_assert_int_ge(token, -1);
    ck_assert_int_lt(token, synthetic_vocabulary(task));
    return token < 0 ? '-' : synthetic_characters(task)[token];
}

static Rows rows_of(Synthetic task, SyntheticSplit split, uint64_t seed, long number, int B,
                    int T)
{
    Rows rows = {B, T, calloc((size_t)B, (size_t)T + 1), calloc((size_t)B, (size_t)T + 1)};
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *tokens = ids_new(tape, B, T), *targets = ids_new(tape, B, T);
    memset(tokens->at, 0x55, (size_t)(B * T) * sizeof(int));
    memset(targets->at, 0x55, (size_t)(B * T) * sizeof(int));
    synthetic_batch(task, split, seed, number, tokens, targets);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            rows.tokens[b * (T + 1) + t] = character_of(task, tokens->at[b * T + t]);
            rows.targets[b * (T + 1) + t] = character_of(task, targets->at[b * T + t]);
        }
    tape_free(tape);
    return rows;
}

static void rows_free(Rows *rows)
{
    free(rows->tokens);
    free(rows->targets);
}

static bool same_rows(const Rows *a, const Rows *b)
{
    size_t size = (size_t)a->B * ((size_t)a->T + 1);
    return memcmp(a->tokens, b->tokens, size) == 0 &&
           memcmp(a->targets, b->targets, size) == 0;
}

/* ---- The rules ---- */

/* The answer to place t, from the tokens up to there; '-' where nothing is asked. `row` has
 * T places, and that is all that is known of what comes later. */
static char solve_copy(const char *row, int T, int t)
{
    (void)T;
    const char *separator = memchr(row, '|', (size_t)t + 1);
    return separator ? row[strspn(row, ".") + (size_t)(row + t - separator)] : '-';
}

static char solve_selective(const char *row, int T, int t)
{
    (void)T;
    int questions = 0, found = 0;
    for (int i = 0; i <= t; i++)
        questions += row[i] == '?';
    for (int i = 0; i <= t && questions > 0; i++)
        if (isalpha(row[i]) && ++found == questions)
            return row[i];
    return '-';
}

static char solve_induction(const char *row, int T, int t)
{
    const char *mark = memchr(row, '!', (size_t)t);
    return t == T - 1 && mark ? mark[1] : '-';
}

static char solve_recall(const char *row, int T, int t)
{
    (void)T;
    const char *key = isupper(row[t]) ? memchr(row, row[t], (size_t)t) : NULL;
    return key ? key[1] : '-';
}

/* By task; and how many answers a row of T tokens asks for. */
static char (*const solve[TASKS])(const char *row, int T, int t) = {
    solve_copy, solve_selective, solve_induction, solve_recall};

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static int asked_of(Synthetic task, int T)
{
    const int asked[TASKS] = {T / 2, smaller(T / 4, 16), 1, smaller(T / 4, 26)};
    return asked[task];
}

static const int least[TASKS] = {2, 4, 3, 8};

static void assert_solved(Synthetic task, const char *row, const char *targets, int T)
{
    int asked = 0;
    for (int t = 0; t < T; t++) {
        char *seen = strndup(row, (size_t)t + 1); /* the solver must not look ahead */
        ck_assert_msg(solve[task](seen, T, t) == targets[t],
                      "task %d, place %d: %c, not %c\n%s\n%s", task, t,
                      solve[task](seen, T, t), targets[t], row, targets);
        free(seen);
        asked += targets[t] != '-';
    }
    ck_assert_msg(asked == asked_of(task, T), "task %d: %d asked\n%s", task, asked, row);
}

START_TEST(every_answer_follows_from_what_was_shown)
{
    static const int longer[] = {0, 1, 2, 3, 5, 29, 56, 57, 100, 121, 200};
    for (Synthetic task = 0; task < TASKS; task++)
        for (int l = 0; l < 11; l++) {
            int T = least[task] + longer[l];
            Rows rows = rows_of(task, l % 2 ? SYNTHETIC_TRAINING : SYNTHETIC_VALIDATION, 1,
                                l, 20, T);
            for (int b = 0; b < rows.B; b++)
                assert_solved(task, rows.tokens + b * (T + 1), rows.targets + b * (T + 1),
                              T);
            rows_free(&rows);
        }
}
END_TEST

/* What a row looks like, in the parts that are always the same. */
static void assert_form(Synthetic task, const char *row, int T)
{
    int n = asked_of(task, T), count[256] = {0};
    for (int t = 0; t < T; t++)
        count[(unsigned char)row[t]]++;
    switch (task) {
    case SYNTHETIC_COPY:
        ck_assert_int_eq(count['.'], T % 2);
        ck_assert_int_eq(count['|'], 1);
        ck_assert_int_eq(row[T % 2 + n], '|');
        ck_assert(strncmp(row + T % 2, row + T % 2 + n + 1, (size_t)n - 1) == 0);
        break;
    case SYNTHETIC_SELECTIVE:
        ck_assert_int_eq(count['.'], T - 2 * n);
        ck_assert_int_eq(count['?'], n);
        ck_assert_int_eq((int)strspn(row + T - n, "?"), n);
        break;
    case SYNTHETIC_INDUCTION:
        ck_assert_int_eq(count['!'], 2);
        ck_assert_int_ne(row[T - 2], '!');
        break;
    default:
        ck_assert_int_eq(count['.'], T - 4 * n);
        ck_assert_int_eq((int)strspn(row + 2 * n, "."), T - 4 * n);
        for (int t = 0; t < T; t++)
            if (isupper(row[t])) {
                ck_assert_int_eq(count[(unsigned char)row[t]], 2);
                ck_assert(islower(row[t + 1]));
            }
    }
}

START_TEST(rows_have_the_form_of_their_task)
{
    for (Synthetic task = 0; task < TASKS; task++)
        for (int T = least[task]; T < least[task] + 150; T += 1 + T / 9) {
            Rows rows = rows_of(task, SYNTHETIC_TRAINING, 5, T, 6, T);
            for (int b = 0; b < rows.B; b++)
                assert_form(task, rows.tokens + b * (T + 1), T);
            rows_free(&rows);
        }
}
END_TEST

/* ---- Chance ---- */

/* That each of n things, which came `all` times, came about equally often: within five
 * standard deviations. */
static void assert_uniform(const int *count, int n, const char *what)
{
    double all = 0;
    for (int i = 0; i < n; i++)
        all += count[i];
    double expected = all / n, bound = 25 * expected;
    for (int i = 0; i < n; i++)
        ck_assert_msg((count[i] - expected) * (count[i] - expected) < bound,
                      "%s %d came %d times, not %g", what, i, count[i], expected);
}

/* How often each character is an answer, of those from `first` on. */
static void check_answers(Synthetic task, char first, int n, int T)
{
    Rows rows = rows_of(task, SYNTHETIC_TRAINING, 3, 2, 4000, T);
    int count[32] = {0};
    for (int i = 0; i < rows.B * (T + 1); i++)
        if (rows.targets[i] && rows.targets[i] != '-') {
            ck_assert_int_ge(rows.targets[i], first);
            ck_assert_int_lt(rows.targets[i], first + n);
            count[rows.targets[i] - first]++;
        }
    assert_uniform(count, n, "answer");
    rows_free(&rows);
}

START_TEST(no_answer_is_more_frequent_than_another)
{
    check_answers(SYNTHETIC_COPY, 'a', 14, 12);
    check_answers(SYNTHETIC_SELECTIVE, 'a', 14, 20);
    check_answers(SYNTHETIC_INDUCTION, 'a', 15, 9);
    check_answers(SYNTHETIC_RECALL, 'a', 26, 16);
}
END_TEST

/* What follows a key is drawn anew in every row: nothing is to be known beforehand. */
START_TEST(a_key_has_any_value)
{
    enum { T = 16, B = 12000 };
    Rows rows = rows_of(SYNTHETIC_RECALL, SYNTHETIC_TRAINING, 3, 0, B, T);
    int count[26] = {0};
    for (int b = 0; b < B; b++) {
        const char *key = strchr(rows.tokens + b * (T + 1), 'Q');
        if (key)
            count[key[1] - 'a']++;
    }
    assert_uniform(count, 26, "value");
    rows_free(&rows);
}
END_TEST

/* Where a character stands, or what comes first. */
START_TEST(places_and_keys_are_anywhere)
{
    enum { T = 24, B = 6000 };
    int place[T] = {0}, key[26] = {0}, asked[T / 4] = {0};
    Rows rows = rows_of(SYNTHETIC_SELECTIVE, SYNTHETIC_TRAINING, 3, 0, B, T);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T - T / 4; t++)
            place[t] += rows.tokens[b * (T + 1) + t] != '.';
    assert_uniform(place, T - T / 4, "content at");
    rows_free(&rows);

    memset(place, 0, sizeof place);
    rows = rows_of(SYNTHETIC_INDUCTION, SYNTHETIC_TRAINING, 3, 0, B, T);
    for (int b = 0; b < B; b++)
        place[strcspn(rows.tokens + b * (T + 1), "!")]++;
    assert_uniform(place, T - 2, "mark at");
    rows_free(&rows);

    rows = rows_of(SYNTHETIC_RECALL, SYNTHETIC_TRAINING, 3, 0, B, T);
    for (int b = 0; b < B; b++) {
        const char *row = rows.tokens + b * (T + 1);
        key[row[0] - 'A']++;
        asked[(strchr(row, row[T - 2]) - row) / 2]++; /* the pair that is asked last */
    }
    assert_uniform(key, 26, "first key");
    assert_uniform(asked, T / 4, "last question");
    rows_free(&rows);
}
END_TEST

/* ---- Batches ---- */

START_TEST(batches_repeat_with_their_seed_and_number_alone)
{
    enum { B = 4, T = 16 };
    for (Synthetic task = 0; task < TASKS; task++) {
        Rows one = rows_of(task, SYNTHETIC_TRAINING, 7, 3, B, T), others[5];
        others[0] = rows_of(task, SYNTHETIC_TRAINING, 7, 3, B, T);
        others[1] = rows_of(task, SYNTHETIC_TRAINING, 7, 4, B, T);
        others[2] = rows_of(task, SYNTHETIC_TRAINING, 8, 3, B, T);
        others[3] = rows_of(task, SYNTHETIC_VALIDATION, 7, 3, B, T);
        others[4] = rows_of(task, SYNTHETIC_TRAINING, 7, 3 + (1L << 32), B, T);
        for (int i = 0; i < 5; i++) {
            ck_assert_int_eq(same_rows(&one, &others[i]), i == 0);
            rows_free(&others[i]);
        }
        rows_free(&one);
    }
}
END_TEST

START_TEST(rows_do_not_depend_on_the_size_of_a_batch)
{
    enum { B = 4, T = 21 };
    for (Synthetic task = 0; task < TASKS; task++) {
        Rows all = rows_of(task, SYNTHETIC_TRAINING, 7, 3, B, T);
        for (int b = 0; b < B; b++) {
            Rows one = rows_of(task, SYNTHETIC_TRAINING, 7, 3 * B + b, 1, T);
            ck_assert_str_eq(one.tokens, all.tokens + b * (T + 1));
            ck_assert_str_eq(one.targets, all.targets + b * (T + 1));
            ck_assert(b == 0 || strcmp(all.tokens, one.tokens) != 0);
            rows_free(&one);
        }
        rows_free(&all);
    }
}
END_TEST

START_TEST(validation_is_the_same_for_every_seed)
{
    for (Synthetic task = 0; task < TASKS; task++) {
        Rows one = rows_of(task, SYNTHETIC_VALIDATION, 1, 3, 5, 30),
             seen = rows_of(task, SYNTHETIC_TRAINING, 0, 3, 5, 30),
             two = rows_of(task, SYNTHETIC_VALIDATION, 2, 3, 5, 30),
             next = rows_of(task, SYNTHETIC_VALIDATION, 1, 4, 5, 30);
        ck_assert(same_rows(&one, &two));
        ck_assert(!same_rows(&one, &next));
        ck_assert(!same_rows(&one, &seen));
        rows_free(&one);
        rows_free(&seen);
        rows_free(&two);
        rows_free(&next);
    }
}
END_TEST

/* ---- Vocabularies, names and refusals ---- */

START_TEST(vocabularies_are_as_large_as_was_said)
{
    static const int sizes[TASKS] = {16, 16, 16, 53};
    for (Synthetic task = 0; task < TASKS; task++) {
        ck_assert_int_eq(synthetic_vocabulary(task), sizes[task]);
        int count[128] = {0}, T = 161; /* odd, so that copy has a blank */
        Rows rows = rows_of(task, SYNTHETIC_TRAINING, 1, 0, 50, T);
        for (int i = 0; i < rows.B * (T + 1); i++)
            count[(unsigned char)rows.tokens[i]]++;
        for (const char *c = synthetic_characters(task); *c; c++)
            ck_assert_msg(count[(unsigned char)*c] > 0, "task %d: no %c", task, *c);
        rows_free(&rows);
    }
}
END_TEST

START_TEST(the_characters_are_tokens_of_a_tokenizer)
{
    for (Synthetic task = 0; task < TASKS; task++) {
        Error error;
        long count, V = synthetic_vocabulary(task);
        const char *text = synthetic_characters(task);
        Tokenizer *tokenizer = tokenizer_train("char", text, V, &error);
        ck_assert_int_eq(tokenizer_size(tokenizer), V);
        int *tokens = tokenizer_encode(tokenizer, text, V, &count, &error);
        for (int i = 0; i < V; i++)
            ck_assert_int_eq(tokens[i], i);
        free(tokens);
        tokenizer_free(tokenizer);
    }
}
END_TEST

START_TEST(too_short_a_context_is_refused)
{
    static const char *const names[] = {"copy", "selective", "induction", "recall"};
    char listed[64] = "";
    for (Synthetic task = 0; task < TASKS; task++) {
        Error error = {""};
        ck_assert(synthetic_fits(task, least[task], &error));
        ck_assert(!synthetic_fits(task, least[task] - 1, &error));
        char sentence[160];
        snprintf(sentence, sizeof sentence,
                 "a context of %d is too short for the task \"%s\", which needs %d tokens; "
                 "use a larger --context",
                 least[task] - 1, names[task], least[task]);
        ck_assert_str_eq(error.text, sentence);
        strcat(strcat(listed, task ? "|" : ""), names[task]);
    }
    ck_assert_str_eq(listed, SYNTHETIC_NAMES);
}
END_TEST

START_TEST(a_batch_of_rows_too_short_is_misuse)
{
    for (Synthetic task = 0; task < TASKS; task++) {
        pid_t child = fork();
        if (child == 0) {
            if (!freopen("/dev/null", "w", stderr))
                _exit(1);
            Tape *tape = tape_new(TAPE_INFERENCE, 0);
            int T = least[task] - 1;
            synthetic_batch(task, SYNTHETIC_TRAINING, 1, 0, ids_new(tape, 1, T),
                            ids_new(tape, 1, T));
            _exit(0);
        }
        int status;
        ck_assert(waitpid(child, &status, 0) == child);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}
END_TEST

SUITE("synthetic", 10, every_answer_follows_from_what_was_shown,
      rows_have_the_form_of_their_task, no_answer_is_more_frequent_than_another,
      a_key_has_any_value, places_and_keys_are_anywhere,
      batches_repeat_with_their_seed_and_number_alone,
      rows_do_not_depend_on_the_size_of_a_batch, validation_is_the_same_for_every_seed,
      vocabularies_are_as_large_as_was_said, the_characters_are_tokens_of_a_tokenizer,
      too_short_a_context_is_refused, a_batch_of_rows_too_short_is_misuse)
