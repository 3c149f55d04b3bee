/* kind_char.c - one token for each character that the training text has. */
#include "text/kinds.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The state: by code point, the token + 1, or 0. */
static int *new_state(Tokenizer *t)
{
    return t->state = allocate(UTF8_CODES, sizeof(int));
}

static bool accepts(const char *argument)
{
    return !argument;
}

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

static void add_character(Tokenizer *t, uint32_t code)
{
    char bytes[4];
    tokenizer_add(t, bytes, utf8_encode(code, bytes), false);
    ((int *)t->state)[code] = t->size;
}

static bool learn(Tokenizer *t, const char *argument, const char *text, long size,
                  Error *error)
{
    (void)argument;
    if (size == 0)
        return fail(error, "the text is empty: there are no characters to learn");
    int *token_of = new_state(t);
    for (long at = 0; at < size;) {
        uint32_t code;
        int length = read_character(text, size, at, &code, error);
        if (length == 0)
            return false;
        token_of[code] = 1;
        at += length;
    }
    for (uint32_t code = 0; code < UTF8_CODES; code++)
        if (token_of[code])
            add_character(t, code);
    return true;
}

/* Writes the tokens of a text, of which there are at most `size`; false with a sentence. */
static bool encode_characters(const int *token_of, const char *text, long size, int *tokens,
                              long *count, Error *error)
{
    for (long at = 0; at < size;) {
        uint32_t code;
        int length = read_character(text, size, at, &code, error);
        if (length == 0)
            return false;
        if (token_of[code] == 0)
            return fail_unknown(text, at, length, code, error);
        tokens[(*count)++] = token_of[code] - 1;
        at += length;
    }
    return true;
}

static int *encode(const Tokenizer *t, const char *text, long size, long *count,
                   Error *error)
{
    int *tokens = allocate((size_t)size, sizeof *tokens);
    *count = 0;
    if (encode_characters(t->state, text, size, tokens, count, error))
        return tokens;
    free(tokens);
    *count = 0;
    return NULL;
}

static char *save(const Tokenizer *t)
{
    static const char *const head = "{\"type\":\"char\",\"characters\":";
    char *text = allocate((size_t)t->start[t->size] + 1, 1);
    memcpy(text, t->bytes, (size_t)t->start[t->size]);
    char *characters = json_quote(text);
    char *json = allocate(strlen(head) + strlen(characters) + 2, 1);
    strcpy(stpcpy(stpcpy(json, head), characters), "}");
    free(text);
    free(characters);
    return json;
}

static bool load(Tokenizer *t, const Json *saved, Error *error)
{
    const Json *characters = json_member(saved, "characters");
    if (!characters || characters->kind != JSON_STRING || !characters->string[0])
        return fail(error, "\"characters\" is not a string of at least one character");
    new_state(t);
    long size = (long)strlen(characters->string);
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

const TokenizerKind kind_char = {.name = "char",
                                 .usage = "\"char\"",
                                 .accepts = accepts,
                                 .learn = learn,
                                 .encode = encode,
                                 .save = save,
                                 .load = load,
                                 .free = free};
