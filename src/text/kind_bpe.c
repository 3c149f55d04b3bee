/* kind_bpe.c - byte pairs as a tokenizer: bpe.c learns and applies the merges; here are the
 * vocabulary that they make, and its saved form. */
#include "text/bpe.h"
#include "text/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(BPE_MOST_MERGES == 65280, "the usage of kind_bpe tells another number");

static bool accepts(const char *argument)
{
    long merges = 0;
    const char *digit = argument;
    while (digit && *digit >= '0' && *digit <= '9' && merges <= BPE_MOST_MERGES)
        merges = 10 * merges + *digit++ - '0';
    return digit && digit > argument && !*digit && merges <= BPE_MOST_MERGES;
}

static BytePairs *new_state(Tokenizer *t)
{
    BytePairs *pairs = t->state = allocate(1, sizeof *pairs);
    *pairs = byte_pairs_new();
    return pairs;
}

static void free_state(void *state)
{
    BytePairs *pairs = state;
    if (pairs)
        pairs_free(&pairs->merges);
    free(pairs);
}

/* ---- The vocabulary ---- */

static void add_bytes(Tokenizer *t, const BytePairs *pairs)
{
    char byte_of[BPE_BYTES];
    for (int byte = 0; byte < BPE_BYTES; byte++)
        byte_of[pairs->token_of[byte]] = (char)byte;
    for (int token = 0; token < BPE_BYTES; token++)
        tokenizer_add(t, &byte_of[token], 1, false);
}

/* Adds the token of merge `number`. */
static bool add_merged(Tokenizer *t, const BytePairs *pairs, int number, Error *error)
{
    Pair pair = pairs->merges.pair[number];
    int left_length, right_length;
    const char *left = tokenizer_bytes(t, pair_left(pair), &left_length),
               *right = tokenizer_bytes(t, pair_right(pair), &right_length);
    int length = left_length + right_length;
    /* No text yields this, but in a made-up file every merge may double a length. */
    if (length > BPE_LONGEST)
        return fail(error, "merge %d makes a token of %d bytes; at most %d are possible",
                    number, length, BPE_LONGEST);
    char joined[BPE_LONGEST];
    memcpy(joined, left, (size_t)left_length);
    memcpy(joined + left_length, right, (size_t)right_length);
    tokenizer_add(t, joined, length, false);
    return true;
}

/* Makes the vocabulary, once the merges are known. */
static bool add_tokens(Tokenizer *t, const BytePairs *pairs, Error *error)
{
    add_bytes(t, pairs);
    for (int number = 0; number < pairs->merges.count; number++)
        if (!add_merged(t, pairs, number, error))
            return false;
    enum { ROOM = sizeof "bpe:" + 20 };
    t->name = allocate(ROOM, 1);
    snprintf(t->name, ROOM, "bpe:%ld", pairs->merges.count);
    return true;
}

static bool learn(Tokenizer *t, const char *argument, const char *text, long size,
                  Error *error)
{
    BytePairs *pairs = new_state(t);
    return bpe_learn(pairs, atoi(argument), text, size, error) &&
           add_tokens(t, pairs, error);
}

static int *encode(const Tokenizer *t, const char *text, long size, long *count,
                   Error *error)
{
    (void)error;
    int *tokens = allocate((size_t)size, sizeof *tokens);
    *count = bpe_encode(t->state, text, size, tokens);
    return tokens;
}

/* ---- The saved form ---- */

static bool in_order(const BytePairs *pairs)
{
    for (int byte = 0; byte < BPE_BYTES; byte++)
        if (pairs->token_of[byte] != byte)
            return false;
    return true;
}

/* Writes the member "bytes" and returns where that ends. */
static char *save_bytes(const Tokenizer *t, char *end)
{
    for (int token = 0; token < BPE_BYTES; token++)
        end += sprintf(end, "%s%d", token ? "," : ",\"bytes\":[",
                       (unsigned char)t->bytes[t->start[token]]);
    return stpcpy(end, "]");
}

static char *save(const Tokenizer *t)
{
    static const char *const head = "{\"type\":\"bpe\",\"merges\":[";
    const BytePairs *pairs = t->state;
    size_t room = strlen(head) + sizeof "],\"bytes\":[]}" +
                  (sizeof "[65535,65535]," - 1) * (size_t)pairs->merges.count +
                  (sizeof "255," - 1) * BPE_BYTES;
    char *json = allocate(room, 1), *end = stpcpy(json, head);
    for (long i = 0; i < pairs->merges.count; i++) {
        Pair pair = pairs->merges.pair[i];
        end += sprintf(end, "%s[%d,%d]", i ? "," : "", pair_left(pair), pair_right(pair));
    }
    end = stpcpy(end, "]");
    if (!in_order(pairs))
        end = save_bytes(t, end);
    strcpy(end, "}");
    return json;
}

/* Merge `number` joins two tokens that were made before it. */
static bool load_merge(PairTable *merges, const Json *merge, int number, Error *error)
{
    if (merge->kind != JSON_ARRAY || merge->count != 2)
        return fail(error, "merge %d is not an array of two tokens", number);
    int last = BPE_BYTES + number - 1;
    long side[2] = {0};
    for (int i = 0; i < 2; i++)
        if (!json_integer(merge->items[i], 0, last, &side[i]))
            return fail(error, "merge %d joins something other than tokens 0 to %d", number,
                        last);
    if (pairs_add(merges, pair_of((int)side[0], (int)side[1])) != number)
        return fail(error, "merge %d joins %ld and %ld, as an earlier one does", number,
                    side[0], side[1]);
    return true;
}

/* The byte of every token below BPE_BYTES; without the member each is its own number. */
static bool load_bytes(BytePairs *pairs, const Json *bytes, Error *error)
{
    if (!bytes)
        return true;
    bool known[BPE_BYTES] = {false},
         good = bytes->kind == JSON_ARRAY && bytes->count == BPE_BYTES;
    for (int token = 0; good && token < BPE_BYTES; token++) {
        long byte = 0;
        good = json_integer(bytes->items[token], 0, BPE_BYTES - 1, &byte) && !known[byte];
        known[byte] = true;
        pairs->token_of[byte] = (unsigned char)token;
    }
    return good || fail(error, "\"bytes\" is not an array that has each of 0 to %d once",
                        BPE_BYTES - 1);
}

static bool load(Tokenizer *t, const Json *saved, Error *error)
{
    BytePairs *pairs = new_state(t);
    const Json *merges = json_member(saved, "merges");
    if (!merges || merges->kind != JSON_ARRAY)
        return fail(error, "\"merges\" is not an array");
    if (merges->count > BPE_MOST_MERGES)
        return fail(error, "there are %d merges; at most %d are possible", merges->count,
                    BPE_MOST_MERGES);
    for (int i = 0; i < merges->count; i++)
        if (!load_merge(&pairs->merges, merges->items[i], i, error))
            return false;
    return load_bytes(pairs, json_member(saved, "bytes"), error) &&
           add_tokens(t, pairs, error);
}

const TokenizerKind kind_bpe = {.name = "bpe",
                                .usage = "\"bpe:N\" with N merges from 0 to 65280",
                                .accepts = accepts,
                                .learn = learn,
                                .encode = encode,
                                .save = save,
                                .load = load,
                                .free = free_state};
