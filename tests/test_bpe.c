/* test_bpe.c - learning and applying merges, held to the slowest way of doing it. */
#include "text/bpe.h"
#include "suite.h"

#include <ctype.h>
#include <string.h>

static const char verse[] =
    "All the world's a stage,\nAnd all the men and women merely players;\n"
    "They have their exits and their entrances,\nAnd one man in his time plays many\n"
    "parts,  His acts being seven ages.   At first the infant,\n\nMewling and puking in\n"
    "the nurse's arms; Then the whining schoolboy, with his satchel\tAnd shining\n"
    "morning face, creeping like snail Unwillingly to school. 1599, 1600... 16001600\n"
    "na\xc3\xafve caf\xc3\xa9 caf\xc3\xa9 \xe2\x80\x94 aaaa aaaaa aaaaaaaa aaa    \n";

/* ---- The slow way ---- */

static int kind_of(char c)
{
    return strchr(" \t\n\v\f\r", c) && c ? 0
           : (c & 0x80) || isalpha(c)    ? 1
           : isdigit(c)                  ? 2
                                         : 3;
}

/* Whether a chunk ends before text[i], as the rule is told, for runs under 1,024 bytes. */
static bool border(const char *text, long size, long i)
{
    int before = kind_of(text[i - 1]), here = kind_of(text[i]);
    if (before == 0 && here == 0) /* the last space of several goes to the word */
        return text[i] == ' ' && i + 1 < size && kind_of(text[i + 1]) != 0;
    if (text[i - 1] == ' ')
        return false;
    return before != here;
}

typedef struct {
    int *token;
    bool *border; /* before the token */
    long count;
} Row;

static Row row_of(const char *text, long size)
{
    Row row = {calloc((size_t)size + 1, sizeof(int)), calloc((size_t)size + 1, 1), size};
    for (long i = 0; i < size; i++) {
        row.token[i] = (unsigned char)text[i];
        row.border[i] = i == 0 || border(text, size, i);
    }
    return row;
}

static void row_free(Row *row)
{
    free(row->token);
    free(row->border);
}

static void row_join(Row *row, int left, int right, int made)
{
    long to = 0;
    for (long i = 0; i < row->count; to++) {
        bool joins = i + 1 < row->count && !row->border[i + 1] && row->token[i] == left &&
                     row->token[i + 1] == right;
        row->border[to] = row->border[i];
        row->token[to] = joins ? made : row->token[i];
        i += joins ? 2 : 1;
    }
    row->count = to;
}

/* The most frequent pair, by counting every pair again; 0 when none occurs twice. */
static long row_best(const Row *row, int size, int *left, int *right)
{
    int *counts = calloc((size_t)size * (size_t)size, sizeof(int)), best = 1;
    for (long i = 0; i + 1 < row->count; i++)
        counts[row->token[i] * size + row->token[i + 1]] += !row->border[i + 1];
    for (int i = 0; i < size * size; i++)
        if (counts[i] > best) {
            best = counts[i];
            *left = i / size, *right = i % size;
        }
    free(counts);
    return best > 1 ? best : 0;
}

/* ---- Comparing ---- */

static void learn(BytePairs *pairs, int wanted, const char *text, long size)
{
    Error error;
    *pairs = byte_pairs_new();
    ck_assert(bpe_learn(pairs, wanted, text, size, &error));
}

static void check_learning(const char *text, long size, int wanted)
{
    BytePairs pairs;
    learn(&pairs, wanted, text, size);
    Row row = row_of(text, size);
    int left = 0, right = 0;
    for (int i = 0; i < pairs.merges.count; i++) {
        ck_assert(row_best(&row, BPE_BYTES + i, &left, &right));
        ck_assert_int_eq(pair_left(pairs.merges.pair[i]), left);
        ck_assert_int_eq(pair_right(pairs.merges.pair[i]), right);
        row_join(&row, left, right, BPE_BYTES + i);
    }
    if (pairs.merges.count < wanted)
        ck_assert(!row_best(&row, BPE_BYTES + (int)pairs.merges.count, &left, &right));
    row_free(&row);
    pairs_free(&pairs.merges);
}

static void check_encoding(const BytePairs *pairs, const char *text, long size)
{
    Row row = row_of(text, size);
    for (int i = 0; i < pairs->merges.count; i++)
        row_join(&row, pair_left(pairs->merges.pair[i]), pair_right(pairs->merges.pair[i]),
                 BPE_BYTES + i);
    int *tokens = calloc((size_t)size + 1, sizeof *tokens);
    ck_assert_int_eq(bpe_encode(pairs, text, size, tokens), row.count);
    for (long i = 0; i < row.count; i++)
        ck_assert_int_eq(tokens[i], row.token[i]);
    free(tokens);
    row_free(&row);
}

/* Bytes below `kinds`, spread out by the multiplier of a well-known generator. */
static void scatter(char *bytes, long size, unsigned seed, unsigned kinds, char from)
{
    for (long i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (char)(from + (char)((seed >> 16) % kinds));
    }
}

/* ---- The tests ---- */

static void assert_chunks(const char *text, const char *lengths)
{
    char found[64] = "", digit[2] = "";
    for (long at = 0, size = (long)strlen(text); at < size; at += digit[0] - '0') {
        digit[0] = (char)('0' + bpe_chunk_length(text + at, size - at));
        strcat(found, digit);
    }
    ck_assert_str_eq(found, lengths);
}

START_TEST(chunks_are_runs_with_the_space_before_them)
{
    assert_chunks("We are 12!", "2431");
    assert_chunks("a1.b", "1111");
    assert_chunks("don't", "311");
    assert_chunks("a ?! b", "132");
    assert_chunks("caf\xc3\xa9s", "6");
}
END_TEST

START_TEST(the_last_space_of_several_goes_to_the_word)
{
    assert_chunks("a  b", "112");
    assert_chunks("a\n\nb", "121");
    assert_chunks("a\n b", "112");
    assert_chunks("a \nb", "121");
    assert_chunks("a  ", "12");
    assert_chunks("   ", "3");
    assert_chunks(" ", "1");
}
END_TEST

START_TEST(a_chunk_is_cut_at_the_limit)
{
    static char text[3 * BPE_LONGEST];
    memset(text, 'a', sizeof text);
    ck_assert_int_eq(bpe_chunk_length(text, sizeof text), BPE_LONGEST);
    ck_assert_int_eq(bpe_chunk_length(text, BPE_LONGEST + 1), BPE_LONGEST);
    ck_assert_int_eq(bpe_chunk_length(text, BPE_LONGEST - 1), BPE_LONGEST - 1);
    text[0] = ' ';
    ck_assert_int_eq(bpe_chunk_length(text, sizeof text), BPE_LONGEST);
    memset(text, ' ', sizeof text);
    ck_assert_int_eq(bpe_chunk_length(text, sizeof text), BPE_LONGEST);
}
END_TEST

/* "ab" and "cd" are there three times, "bc" twice; "ab" sorts first. */
START_TEST(of_equal_counts_the_smaller_left_token_is_joined_first)
{
    BytePairs pairs;
    learn(&pairs, 9, "cd\ncd\nab\nabcd\nab\nbc", 20);
    ck_assert_int_eq(pairs.merges.count, 2);
    ck_assert_uint_eq(pairs.merges.pair[0], pair_of('a', 'b'));
    ck_assert_uint_eq(pairs.merges.pair[1], pair_of('c', 'd'));
    pairs_free(&pairs.merges);
}
END_TEST

START_TEST(of_equal_left_tokens_the_smaller_right_one_is_joined_first)
{
    BytePairs pairs;
    learn(&pairs, 9, "xz\nxy\nxz\nxy\nwz", 14);
    ck_assert_int_eq(pairs.merges.count, 2);
    ck_assert_uint_eq(pairs.merges.pair[0], pair_of('x', 'y'));
    ck_assert_uint_eq(pairs.merges.pair[1], pair_of('x', 'z'));
    pairs_free(&pairs.merges);
}
END_TEST

/* The three places of "aa" in "aaaa" outweigh the two of "bc"; then "aa" "aa" is one
 * place, too few, and "bc" is next. */
START_TEST(overlapping_places_all_count)
{
    BytePairs pairs;
    learn(&pairs, 9, "aaaa\nbc\nbc", 10);
    ck_assert_int_eq(pairs.merges.count, 2);
    ck_assert_uint_eq(pairs.merges.pair[0], pair_of('a', 'a'));
    ck_assert_uint_eq(pairs.merges.pair[1], pair_of('b', 'c'));
    int tokens[5];
    ck_assert_int_eq(bpe_encode(&pairs, "aaaaa", 5, tokens), 3);
    ck_assert_int_eq(tokens[0], 256);
    ck_assert_int_eq(tokens[1], 256);
    ck_assert_int_eq(tokens[2], 'a');
    pairs_free(&pairs.merges);
}
END_TEST

START_TEST(no_pair_reaches_across_a_border)
{
    BytePairs pairs;
    learn(&pairs, 9, "a.a.a.a.a.a.a.", 14);
    ck_assert_int_eq(pairs.merges.count, 0);
    learn(&pairs, 9, "", 0);
    ck_assert_int_eq(pairs.merges.count, 0);
}
END_TEST

START_TEST(learning_equals_counting_all_pairs_again_for_every_merge)
{
    check_learning(verse, sizeof verse - 1, 150);
    char bytes[900];
    for (unsigned seed = 1; seed <= 6; seed++) {
        scatter(bytes, sizeof bytes, seed, 3, 'a');
        check_learning(bytes, sizeof bytes, 60);
        scatter(bytes, sizeof bytes, seed, 4, ' ' - 1);
        check_learning(bytes, sizeof bytes, 60);
        scatter(bytes, sizeof bytes, seed, 256, 0);
        check_learning(bytes, sizeof bytes, 60);
    }
}
END_TEST

START_TEST(encoding_equals_going_through_all_merges_in_turn)
{
    static char bytes[2000];
    for (unsigned seed = 1; seed <= 6; seed++) {
        BytePairs pairs;
        scatter(bytes, 1000, seed, seed + 1, 'a');
        learn(&pairs, 200, bytes, 1000);
        for (long size = 0; size < 40; size++)
            check_encoding(&pairs, bytes + 7, size);
        scatter(bytes, 1000, seed + 100, seed + 1, 'a');
        check_encoding(&pairs, bytes, 1000);
        scatter(bytes, sizeof bytes, seed, 256, 0);
        check_encoding(&pairs, bytes, sizeof bytes);
        pairs_free(&pairs.merges);

        learn(&pairs, 300, verse, (long)sizeof verse / 2);
        check_encoding(&pairs, verse, sizeof verse - 1);
        pairs_free(&pairs.merges);
        learn(&pairs, 0, verse, 0);
        check_encoding(&pairs, verse, sizeof verse - 1);
        pairs_free(&pairs.merges);
    }
}
END_TEST

/* Three bytes, then as many again: the cut ignores what the bytes are. */
static int cut_in_threes(const char *text, long size)
{
    (void)text;
    return size < 3 ? (int)size : 3;
}

START_TEST(merges_stay_within_the_chunks_of_the_pre_tokenizer)
{
    Error error;
    int tokens[12];
    BytePairs pairs = byte_pairs_new();
    pairs.chunk_length = cut_in_threes;
    ck_assert(bpe_learn(&pairs, 9, "a ba ba cxyz", 12, &error));
    ck_assert_int_eq(pairs.merges.count, 2); /* "a " and "a b", each at two places */
    ck_assert_uint_eq(pairs.merges.pair[0], pair_of('a', ' '));
    ck_assert_uint_eq(pairs.merges.pair[1], pair_of(256, 'b'));
    ck_assert_int_eq(bpe_encode(&pairs, "a b a ba b", 10, tokens), 6);
    ck_assert_mem_eq(tokens, ((int[]){257, ' ', 256, 'b', 256, 'b'}), sizeof(int[6]));
    pairs_free(&pairs.merges);
}
END_TEST

/* Where byte 255 - i is token i, of equal counts that pair is first whose bytes sort last. */
START_TEST(the_bytes_may_have_other_numbers)
{
    Error error;
    int tokens[8];
    BytePairs pairs = byte_pairs_new();
    for (int byte = 0; byte < BPE_BYTES; byte++)
        pairs.token_of[byte] = (unsigned char)(255 - byte);
    ck_assert(bpe_learn(&pairs, 1, "ab\ncd\nab\ncd\n", 12, &error));
    ck_assert_uint_eq(pairs.merges.pair[0], pair_of(255 - 'c', 255 - 'd'));
    ck_assert_int_eq(bpe_encode(&pairs, "abcd", 4, tokens), 3);
    ck_assert_mem_eq(tokens, ((int[]){255 - 'a', 255 - 'b', 256}), sizeof(int[3]));
    pairs_free(&pairs.merges);
}
END_TEST

START_TEST(pairs_keep_their_numbers_as_the_table_grows)
{
    PairTable table = {0};
    ck_assert_int_eq(pairs_find(&table, pair_of(0, 0)), -1);
    for (int i = 0; i < 5000; i++)
        ck_assert_int_eq(pairs_add(&table, pair_of(i % 71, i / 71)), i);
    for (int i = 0; i < 5000; i++) {
        ck_assert_int_eq(pairs_find(&table, pair_of(i % 71, i / 71)), i);
        ck_assert_int_eq(pairs_add(&table, pair_of(i % 71, i / 71)), i);
    }
    ck_assert_int_eq(pairs_find(&table, pair_of(71, 0)), -1);
    ck_assert_int_eq(table.count, 5000);
    pairs_free(&table);
}
END_TEST

/* What takes quadratic time in the length of a run would take minutes here. The 976 whole
 * chunks become one token each, the last one, of 576 bytes, becomes two: 512 and 64. */
START_TEST(a_run_of_a_million_letters_is_no_burden)
{
    enum { SIZE = 1000000 };
    char *text = malloc(SIZE);
    int *tokens = malloc(SIZE * sizeof *tokens);
    BytePairs pairs;
    memset(text, 'a', SIZE);
    learn(&pairs, 1000, text, SIZE);
    ck_assert_int_eq(bpe_encode(&pairs, text, SIZE, tokens), 978);
    pairs_free(&pairs.merges);
    scatter(text, SIZE, 1, 26, 'a');
    learn(&pairs, 100, text, SIZE);
    ck_assert_int_eq(pairs.merges.count, 100);
    ck_assert_int_lt(bpe_encode(&pairs, text, SIZE, tokens), SIZE);
    pairs_free(&pairs.merges);
    free(tokens);
    free(text);
}
END_TEST

SUITE("bpe", 20, chunks_are_runs_with_the_space_before_them,
      the_last_space_of_several_goes_to_the_word, a_chunk_is_cut_at_the_limit,
      of_equal_counts_the_smaller_left_token_is_joined_first,
      of_equal_left_tokens_the_smaller_right_one_is_joined_first,
      overlapping_places_all_count, no_pair_reaches_across_a_border,
      learning_equals_counting_all_pairs_again_for_every_merge,
      encoding_equals_going_through_all_merges_in_turn,
      merges_stay_within_the_chunks_of_the_pre_tokenizer, the_bytes_may_have_other_numbers,
      pairs_keep_their_numbers_as_the_table_grows, a_run_of_a_million_letters_is_no_burden)
