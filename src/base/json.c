/* json.c - a recursive descent through the grammar of RFC 8259.
 *
 * One function per rule. Each begins with the parser at the first byte of its rule, leaves
 * it after the last, and returns false (or NULL) once a sentence has been written. */
#include "base/json.h"
#include "base/utf8.h"

#include <ctype.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64 };

typedef struct {
    const char *text; /* not zero-terminated */
    long size, at;
    int depth; /* arrays and objects open around `at` */
    Error *error;
} Parser;

static Json *parse_value(Parser *parser);

__attribute__((format(printf, 3, 4))) static bool refuse(Parser *parser, long offset,
                                                         const char *format, ...)
{
    char sentence[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return fail(parser->error, "JSON, offset %ld: %s", offset, sentence);
}

/* The byte at hand, or -1 at the end of the text. */
static int peek(const Parser *parser)
{
    return parser->at < parser->size ? (unsigned char)parser->text[parser->at] : -1;
}

static bool take(Parser *parser, char wanted)
{
    bool found = peek(parser) == wanted;
    parser->at += found;
    return found;
}

static void skip_space(Parser *parser)
{
    for (int c = peek(parser); c == ' ' || c == '\t' || c == '\n' || c == '\r';
         c = peek(parser))
        parser->at++;
}

/* ---- Strings ---- */

/* Four hexadecimal digits, or -1. Stops at the first byte that is none, so it never reads
 * beyond the quote that closes the string. */
static int four_digits(const char *text)
{
    int code = 0;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)text[i];
        if (!isxdigit(c))
            return -1;
        code = code * 16 + (isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return code;
}

/* \uXXXX, or two of them that make one code point above U+FFFF. */
static bool parse_code_point(Parser *parser, char **out)
{
    long start = parser->at;
    const char *text = parser->text + start;
    int code = four_digits(text + 2);
    if (code < 0)
        return refuse(parser, start, "\\u wants four hexadecimal digits");
    if (code == 0)
        return refuse(parser, start,
                      "a zero character (\\u0000) in a string is not supported");
    parser->at += 6;
    if (code >= 0xD800 && code <= 0xDFFF) {
        bool followed = code < 0xDC00 && text[6] == '\\' && text[7] == 'u';
        int low = followed ? four_digits(text + 8) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return refuse(parser, start, "\\u%.4s is half of a surrogate pair", text + 2);
        parser->at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    *out += utf8_encode((uint32_t)code, *out);
    return true;
}

static bool parse_escape(Parser *parser, char **out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char letter = parser->text[parser->at + 1];
    if (letter == 'u')
        return parse_code_point(parser, out);
    const char *found = memchr(letters, letter, sizeof letters - 1);
    if (!found)
        return refuse(parser, parser->at, "no such escape in a string");
    *(*out)++ = meanings[found - letters];
    parser->at += 2;
    return true;
}

/* One character of a string, which ends at `close`. */
static bool parse_character(Parser *parser, long close, char **out)
{
    const char *here = parser->text + parser->at;
    if (*here == '\\')
        return parse_escape(parser, out);
    if ((unsigned char)*here < 0x20)
        return refuse(parser, parser->at, "a control character (%d) inside a string",
                      *here);
    uint32_t code;
    int length = utf8_decode(here, close - parser->at, &code);
    if (length == 0)
        return refuse(parser, parser->at, "byte 0x%02X is not valid UTF-8",
                      (unsigned char)*here);
    memcpy(*out, here, (size_t)length);
    *out += length;
    parser->at += length;
    return true;
}

/* The text of a string, for the caller to free; NULL with a sentence. */
static char *parse_string(Parser *parser)
{
    long close = parser->at + 1;
    while (close < parser->size && parser->text[close] != '"')
        close += parser->text[close] == '\\' ? 2 : 1;
    if (close >= parser->size) {
        refuse(parser, parser->at, "the string that begins here is never closed");
        return NULL;
    }
    parser->at++;
    /* No escape is shorter than what it stands for, so what is between the quotes fits. */
    char *string = allocate((size_t)(close - parser->at) + 1, 1), *out = string;
    while (parser->at < close)
        if (!parse_character(parser, close, &out)) {
            free(string);
            return NULL;
        }
    parser->at++;
    return string;
}

/* ---- Numbers ---- */

/* strtod expects the decimal point of the user's locale; JSON always has a dot. */
static double to_double(const char *digits, long length)
{
    const char *point = localeconv()->decimal_point;
    char *copy = allocate((size_t)length + strlen(point) + 1, 1), *out = copy;
    for (long i = 0; i < length; i++) {
        if (digits[i] == '.')
            out = stpcpy(out, point);
        else
            *out++ = digits[i];
    }
    double number = strtod(copy, NULL);
    free(copy);
    return number;
}

static bool skip_digits(Parser *parser)
{
    long start = parser->at;
    while (peek(parser) >= '0' && peek(parser) <= '9')
        parser->at++;
    return parser->at > start || refuse(parser, parser->at, "a digit is missing");
}

static bool parse_number(Parser *parser, Json *value)
{
    long start = parser->at;
    take(parser, '-');
    /* Nothing may follow a leading zero: 012 stops here, and its 1 is out of place. */
    if (!take(parser, '0') && !skip_digits(parser))
        return false;
    if (take(parser, '.') && !skip_digits(parser))
        return false;
    if (take(parser, 'e') || take(parser, 'E')) {
        if (!take(parser, '+'))
            take(parser, '-');
        if (!skip_digits(parser))
            return false;
    }
    value->kind = JSON_NUMBER;
    value->number = to_double(parser->text + start, parser->at - start);
    return true;
}

/* ---- Arrays and objects ---- */

static void *resized(void *memory, size_t count, size_t size)
{
    void *larger = count <= SIZE_MAX / size ? realloc(memory, count * size) : NULL;
    if (!larger)
        out_of_memory(count * size, "a JSON document");
    return larger;
}

/* Takes over `item` and `name` (NULL in an array). */
static void append(Json *value, char *name, Json *item)
{
    int count = value->count;
    bool full = (count & (count - 1)) == 0; /* the room is always a power of two */
    size_t room = count ? 2 * (size_t)count : 1;
    if (full)
        value->items = resized(value->items, room, sizeof *value->items);
    value->items[count] = item;
    if (value->kind == JSON_OBJECT) {
        if (full)
            value->names = resized(value->names, room, sizeof *value->names);
        value->names[count] = name;
    }
    value->count++;
}

/* An element of an array, or a member of an object with its name. */
static bool parse_item(Parser *parser, Json *value)
{
    char *name = NULL;
    skip_space(parser);
    if (value->count == INT_MAX)
        return refuse(parser, parser->at, "more than %d items", INT_MAX);
    if (value->kind == JSON_OBJECT) {
        if (peek(parser) != '"')
            return refuse(parser, parser->at, "expected a name in double quotes");
        name = parse_string(parser);
        if (!name)
            return false;
        skip_space(parser);
        if (!take(parser, ':')) {
            free(name);
            return refuse(parser, parser->at, "expected ':' after a name");
        }
    }
    Json *item = parse_value(parser);
    if (!item) {
        free(name);
        return false;
    }
    append(value, name, item);
    return true;
}

static bool parse_items(Parser *parser, Json *value, JsonKind kind)
{
    char close = kind == JSON_OBJECT ? '}' : ']';
    value->kind = kind;
    if (parser->depth == DEEPEST)
        return refuse(parser, parser->at, "nested deeper than %d", DEEPEST);
    parser->depth++;
    parser->at++;
    skip_space(parser);
    if (!take(parser, close)) {
        do {
            if (!parse_item(parser, value))
                return false;
            skip_space(parser);
        } while (take(parser, ','));
        if (!take(parser, close))
            return refuse(parser, parser->at, "expected ',' or '%c'", close);
    }
    parser->depth--;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts a copy of the names: comparing each with each would take minutes on the header of
 * a hostile file. */
static bool check_names(Parser *parser, const Json *object, long offset)
{
    int count = object->count;
    if (count < 2)
        return true;
    char **sorted = allocate((size_t)count, sizeof *sorted);
    memcpy(sorted, object->names, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_names);
    bool unique = true;
    for (int i = 1; i < count && unique; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            unique = refuse(parser, offset,
                            "the name \"%.200s\" occurs twice in this object", sorted[i]);
    free(sorted);
    return unique;
}

/* ---- Values ---- */

static bool parse_word(Parser *parser, const char *word)
{
    size_t length = strlen(word);
    if (length > (size_t)(parser->size - parser->at) ||
        memcmp(parser->text + parser->at, word, length) != 0)
        return refuse(parser, parser->at, "expected a value");
    parser->at += (long)length;
    return true;
}

static bool parse_into(Parser *parser, Json *value)
{
    long start = parser->at;
    switch (peek(parser)) {
    case '{':
        return parse_items(parser, value, JSON_OBJECT) && check_names(parser, value, start);
    case '[':
        return parse_items(parser, value, JSON_ARRAY);
    case '"':
        value->kind = JSON_STRING;
        value->string = parse_string(parser);
        return value->string != NULL;
    case 't':
    case 'f':
        value->kind = JSON_BOOLEAN;
        value->boolean = peek(parser) == 't';
        return parse_word(parser, value->boolean ? "true" : "false");
    case 'n':
        value->kind = JSON_NULL;
        return parse_word(parser, "null");
    case -1:
        return refuse(parser, start, "expected a value, but the text ends here");
    default:
        if (peek(parser) == '-' || (peek(parser) >= '0' && peek(parser) <= '9'))
            return parse_number(parser, value);
        return refuse(parser, start, "expected a value");
    }
}

static Json *parse_value(Parser *parser)
{
    Json *value = allocate(1, sizeof *value);
    skip_space(parser);
    if (parse_into(parser, value))
        return value;
    json_free(value);
    return NULL;
}

Json *json_parse(const char *text, long size, Error *error)
{
    Parser parser = {.text = text, .size = size, .error = error};
    Json *value = parse_value(&parser);
    skip_space(&parser);
    if (value && parser.at < size) {
        refuse(&parser, parser.at, "the value is complete, but the text goes on");
        json_free(value);
        return NULL;
    }
    return value;
}

void json_free(Json *value)
{
    if (!value)
        return;
    for (int i = 0; i < value->count; i++) {
        json_free(value->items[i]);
        if (value->names)
            free(value->names[i]);
    }
    free(value->items);
    free(value->names);
    free(value->string);
    free(value);
}

/* ---- What is done with values ---- */

const Json *json_member(const Json *object, const char *name)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (int i = 0; i < object->count; i++)
        if (strcmp(object->names[i], name) == 0)
            return object->items[i];
    return NULL;
}

bool json_integer(const Json *value, long least, long most, long *result)
{
    const double exact = 9007199254740992.0; /* 2^53: from here on doubles skip integers */
    if (!value || value->kind != JSON_NUMBER || !(fabs(value->number) < exact))
        return false;
    long long integer = (long long)value->number;
    if ((double)integer != value->number || integer < least || integer > most)
        return false;
    *result = (long)integer;
    return true;
}

char *json_quote(const char *text)
{
    static const char letters[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
    char *quoted = allocate(strlen(text) + 1, 6), *out = quoted; /* the longest is \u0001 */
    *out++ = '"';
    for (; *text; text++) {
        const char *found = memchr(meanings, *text, sizeof meanings - 1);
        if (found)
            out += sprintf(out, "\\%c", letters[found - meanings]);
        else if ((unsigned char)*text < 0x20)
            out += sprintf(out, "\\u%04x", *text);
        else
            *out++ = *text;
    }
    strcpy(out, "\"");
    return quoted;
}
