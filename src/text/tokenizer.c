/* tokenizer.c - text to small integers and back.
 *
 * In order: characters, which are simple; byte pairs, whose merges bpe.c learns and
 * applies; the saved form; and the public functions, which choose between the kinds. */
#include "text/tokenizer.h"

#include "text/bpe.h"
#include "base/json.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { CHARACTERS, BYTE_PAIRS } Type;

struct Tokenizer {
    Type type;
    char kind[32];
    int size;         /* V */
    char *bytes;      /* what the tokens stand for, one behind the other, and a zero: */
    int *start;       /* token i is bytes[start[i]] up to bytes[start[i + 1]] */
    int *token_of;    /* characters: by code point, the token + 1, or 0 */
    PairTable merges; /* byte pairs: number n makes token BPE_BYTES + n */
};

static Tokenizer *tokenizer_new(Type type)
{
    Tokenizer *t = allocate(1, sizeof *t);
    t->type = type;
    if (type == CHARACTERS)
        t->token_of = allocate(UTF8_CODES, sizeof *t->token_of);
    return t;
}

static int token_length(const Tokenizer *t, int token)
{
    return t->start[token + 1] - t->start[token];
}

/* Copies the bytes of a token and returns where they end. */
static char *copy_token(const Tokenizer *t, int token, char *to)
{
    size_t length = (size_t)token_length(t, token);
    memcpy(to, t->bytes + t->start[token], length);
    return to + length;
}

/* ---- Characters ---- */

static long line_of(const char *text, long at)
{
    long line = 1;
    for (long i = 0; i < at; i++)
        line += text[i] == '\n';
    return line;
}

/* The length of the character at text[at]; 0 with a sentence when there is none. */
static int read_character(const char *text, long size, long at, uint32_t *code,
                          Error *error)
{
    int length = utf8_decode(text + at, size - at, code);
    if (length && *code)
        return length;
    if (length)
        fail(error,
             "this is not text: a zero byte at offset %ld (line %ld); use bpe:N, which "
             "takes any bytes",
             at, line_of(text, at));
    else
        fail(error,
             "this is not UTF-8 text: byte 0x%02x at offset %ld (line %ld) begins no "
             "character; convert the text to UTF-8, or use bpe:N, which takes any bytes",
             (unsigned char)text[at], at, line_of(text, at));
    return 0;
}

/* Whether a terminal shows something of its own for it: no control, nothing invisible. */
static bool is_visible(uint32_t code)
{
    static const uint32_t hidden[][2] = {
        {0, 0x20},        {0x7f, 0xa0},     {0x200b, 0x200f}, {0x2028, 0x202e},
        {0x2060, 0x206f}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xe0000, 0x10ffff}};
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (code >= hidden[i][0] && code <= hidden[i][1])
            return false;
    return true;
}

static bool fail_unknown(const char *text, long at, int length, uint32_t code, Error *error)
{
    char shown[16] = "";
    if (is_visible(code))
        snprintf(shown, sizeof shown, "'%.*s' ", length, text + at);
    return fail(error,
                "the character %s(U+%04X) at offset %ld (line %ld) is not in the "
                "vocabulary: the model has never seen it; leave it out, or train on a text "
                "that has it",
                shown, (unsigned)code, at, line_of(text, at));
}

/* Makes room for so many characters. */
static void make_room(Tokenizer *t, long count)
{
    t->start = allocate((size_t)count + 1, sizeof *t->start);
    t->bytes = allocate((size_t)count * 4 + 1, 1);
}

static void add_character(Tokenizer *t, uint32_t code)
{
    int from = t->start[t->size];
    t->start[++t->size] = from + utf8_encode(code, t->bytes + from);
    t->token_of[code] = t->size;
}

static bool train_characters(Tokenizer *t, const char *text, long size, Error *error)
{
    if (size == 0)
        return fail(error, "the text is empty: there are no characters to learn");
    long distinct = 0;
    for (long at = 0; at < size;) {
        uint32_t code;
        int length = read_character(text, size, at, &code, error);
        if (length == 0)
            return false;
        distinct += t->token_of[code] == 0;
        t->token_of[code] = 1;
        at += length;
    }
    make_room(t, distinct);
    for (uint32_t code = 0; code < UTF8_CODES; code++)
        if (t->token_of[code])
            add_character(t, code);
    return true;
}

/* The number of tokens written to `tokens`, which has room for `size`; -1 on failure. */
static long encode_characters(const Tokenizer *t, const char *text, long size, int *tokens,
                              Error *error)
{
    long count = 0;
    for (long at = 0; at < size;) {
        uint32_t code;
        int length = read_character(text, size, at, &code, error);
        if (length == 0)
            return -1;
        if (t->token_of[code] == 0) {
            fail_unknown(text, at, length, code, error);
            return -1;
        }
        tokens[count++] = t->token_of[code] - 1;
        at += length;
    }
    return count;
}

/* ---- Byte pairs ---- */

/* Spells out what every token stands for, once the merges are known. */
static bool spell_merges(Tokenizer *t, Error *error)
{
    t->size = BPE_BYTES + (int)t->merges.count;
    t->start = allocate((size_t)t->size + 1, sizeof *t->start);
    for (int token = 0; token < t->size; token++) {
        int length = 1;
        if (token >= BPE_BYTES) {
            Pair pair = t->merges.pair[token - BPE_BYTES];
            length = token_length(t, pair_left(pair)) + token_length(t, pair_right(pair));
        }
        /* No text yields this, but in a made-up file every merge may double a length. */
        if (length > BPE_LONGEST)
            return fail(error,
                        "merge %d makes a token of %d bytes; at most %d are possible",
                        token - BPE_BYTES, length, BPE_LONGEST);
        t->start[token + 1] = t->start[token] + length;
    }

    t->bytes = allocate((size_t)t->start[t->size] + 1, 1);
    char *end = t->bytes;
    for (int byte = 0; byte < BPE_BYTES; byte++)
        *end++ = (char)byte;
    for (long i = 0; i < t->merges.count; i++) {
        end = copy_token(t, pair_left(t->merges.pair[i]), end);
        end = copy_token(t, pair_right(t->merges.pair[i]), end);
    }
    return true;
}

/* ---- The saved form ---- */

static char *save_merges(const Tokenizer *t)
{
    static const char *const head = "{\"type\":\"bpe\",\"merges\":[", *const tail = "]}";
    size_t most = sizeof "[65535,65535]," - 1;
    char *json = allocate(strlen(head) + most * (size_t)t->merges.count + strlen(tail) + 1,
                          1);
    char *end = stpcpy(json, head);
    for (long i = 0; i < t->merges.count; i++) {
        Pair pair = t->merges.pair[i];
        end += sprintf(end, "%s[%d,%d]", i ? "," : "", pair_left(pair), pair_right(pair));
    }
    strcpy(end, tail);
    return json;
}

static char *save_characters(const Tokenizer *t)
{
    static const char *const head = "{\"type\":\"char\",\"characters\":";
    char *characters = json_quote(t->bytes);
    char *json = allocate(strlen(head) + strlen(characters) + 2, 1);
    strcpy(stpcpy(stpcpy(json, head), characters), "}");
    free(characters);
    return json;
}

static bool load_characters(Tokenizer *t, const Json *json, Error *error)
{
    const Json *characters = json_member(json, "characters");
    if (!characters || characters->kind != JSON_STRING || !characters->string[0])
        return fail(error, "\"characters\" is not a string of at least one character");
    long size = (long)strlen(characters->string);
    make_room(t, size);
    uint32_t code, last = 0;
    for (long at = 0; at < size; last = code) {
        int length = read_character(characters->string, size, at, &code, error);
        if (length == 0)
            return false;
        if (code <= last)
            return fail(error, "\"characters\" is not in order at U+%04X", (unsigned)code);
        add_character(t, code);
        at += length;
    }
    return true;
}

/* Merge `number` joins two tokens that were made before it. */
static bool load_merge(Tokenizer *t, const Json *merge, int number, Error *error)
{
    if (merge->kind != JSON_ARRAY || merge->count != 2)
        return fail(error, "merge %d is not an array of two tokens", number);
    int last = BPE_BYTES + number - 1;
    long side[2] = {0};
    for (int i = 0; i < 2; i++)
        if (!json_integer(merge->items[i], 0, last, &side[i]))
            return fail(error, "merge %d joins something other than tokens 0 to %d", number,
                        last);
    if (pairs_add(&t->merges, pair_of((int)side[0], (int)side[1])) != number)
        return fail(error, "merge %d joins %ld and %ld, as an earlier one does", number,
                    side[0], side[1]);
    return true;
}

static bool load_merges(Tokenizer *t, const Json *json, Error *error)
{
    const Json *merges = json_member(json, "merges");
    if (!merges || merges->kind != JSON_ARRAY)
        return fail(error, "\"merges\" is not an array");
    if (merges->count > BPE_MOST_MERGES)
        return fail(error, "there are %d merges; at most %d are possible", merges->count,
                    BPE_MOST_MERGES);
    for (int i = 0; i < merges->count; i++)
        if (!load_merge(t, merges->items[i], i, error))
            return false;
    return spell_merges(t, error);
}

/* ---- The tokenizer ---- */

/* Reads "char" or "bpe:N" and leaves N in `merges`. */
static bool read_kind(const char *kind, Type *type, int *merges, Error *error)
{
    *merges = 0;
    if (strcmp(kind, "char") == 0) {
        *type = CHARACTERS;
        return true;
    }
    *type = BYTE_PAIRS;
    bool good = strncmp(kind, "bpe:", 4) == 0 && kind[4];
    for (const char *digit = kind + 4; good && *digit; digit++) {
        good = *digit >= '0' && *digit <= '9';
        if (good)
            *merges = 10 * *merges + *digit - '0';
        good = good && *merges <= BPE_MOST_MERGES;
    }
    return good || fail(error,
                        "the tokenizer can be \"char\", or \"bpe:N\" with N merges from 0 "
                        "to %d; not \"%.40s\"",
                        BPE_MOST_MERGES, kind);
}

/* Hands over a tokenizer that is complete, or frees one that is not. */
static Tokenizer *finished(Tokenizer *t, bool good)
{
    if (!good) {
        tokenizer_free(t);
        return NULL;
    }
    if (t->type == CHARACTERS)
        strcpy(t->kind, "char");
    else
        snprintf(t->kind, sizeof t->kind, "bpe:%ld", t->merges.count);
    return t;
}

Tokenizer *tokenizer_train(const char *kind, const char *text, long size, Error *error)
{
    Type type;
    int merges;
    if (!read_kind(kind, &type, &merges, error))
        return NULL;
    Tokenizer *t = tokenizer_new(type);
    if (type == CHARACTERS)
        return finished(t, train_characters(t, text, size, error));
    return finished(t, bpe_learn(&t->merges, merges, text, size, error) &&
                           spell_merges(t, error));
}

void tokenizer_free(Tokenizer *t)
{
    if (!t)
        return;
    free(t->bytes);
    free(t->start);
    free(t->token_of);
    pairs_free(&t->merges);
    free(t);
}

int tokenizer_size(const Tokenizer *t)
{
    return t->size;
}

const char *tokenizer_kind(const Tokenizer *t)
{
    return t->kind;
}

int *tokenizer_encode(const Tokenizer *t, const char *text, long size, long *count,
                      Error *error)
{
    int *tokens = allocate((size_t)size, sizeof *tokens);
    *count = t->type == CHARACTERS ? encode_characters(t, text, size, tokens, error)
                                   : bpe_encode(&t->merges, text, size, tokens);
    if (*count < 0) {
        *count = 0;
        free(tokens);
        return NULL;
    }
    int *shrunk = realloc(tokens, (size_t)(*count ? *count : 1) * sizeof *tokens);
    return shrunk ? shrunk : tokens;
}

const char *tokenizer_bytes(const Tokenizer *t, int token, int *length)
{
    if (token < 0 || token >= t->size)
        misuse("tokenizer: token %d is outside [0, %d)", token, t->size);
    *length = token_length(t, token);
    return t->bytes + t->start[token];
}

char *tokenizer_decode(const Tokenizer *t, const int *tokens, long count, long *size)
{
    long total = 0;
    int length;
    for (long i = 0; i < count; i++) {
        tokenizer_bytes(t, tokens[i], &length);
        total += length;
    }
    char *text = allocate((size_t)total + 1, 1), *end = text;
    for (long i = 0; i < count; i++)
        end = copy_token(t, tokens[i], end);
    if (size)
        *size = total;
    return text;
}

char *tokenizer_save(const Tokenizer *t)
{
    return t->type == CHARACTERS ? save_characters(t) : save_merges(t);
}

static Tokenizer *tokenizer_from(const Json *json, Error *error)
{
    const Json *type = json_member(json, "type");
    const char *name = type && type->kind == JSON_STRING ? type->string : "";
    if (strcmp(name, "char") == 0) {
        Tokenizer *t = tokenizer_new(CHARACTERS);
        return finished(t, load_characters(t, json, error));
    }
    if (strcmp(name, "bpe") == 0) {
        Tokenizer *t = tokenizer_new(BYTE_PAIRS);
        return finished(t, load_merges(t, json, error));
    }
    fail(error, "\"type\" is neither \"char\" nor \"bpe\"");
    return NULL;
}

Tokenizer *tokenizer_load(const char *text, Error *error)
{
    Json *json = json_parse(text, (long)strlen(text), error);
    Tokenizer *t = json ? tokenizer_from(json, error) : NULL;
    json_free(json);
    if (!t)
        fail_within(error, "the saved tokenizer");
    return t;
}
