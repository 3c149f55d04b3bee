/* test_json.c - what is JSON is read exactly, what is not is refused with its place. */
#include "base/json.h"
#include "suite.h"

#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Parses a copy that ends exactly where the text ends, so that a sanitizer sees any byte
 * read beyond it. */
static Json *parse_bytes(const char *text, long size, Error *error)
{
    char *copy = malloc(size ? (size_t)size : 1);
    memcpy(copy, text, (size_t)size);
    Json *value = json_parse(copy, size, error);
    free(copy);
    return value;
}

static Json *parsed(const char *text)
{
    Error error = {""};
    Json *value = parse_bytes(text, (long)strlen(text), &error);
    ck_assert_msg(value != NULL, "%s is refused: %s", text, error.text);
    return value;
}

static void refused_at(const char *text, long offset, const char *reason)
{
    Error error = {""};
    char place[32];
    Json *value = parse_bytes(text, (long)strlen(text), &error);
    ck_assert_msg(value == NULL, "%s is accepted", text);
    snprintf(place, sizeof place, "JSON, offset %ld: ", offset);
    assert_contains(error.text, place);
    assert_contains(error.text, reason);
}

static void string_is(const char *text, const char *expected)
{
    Json *value = parsed(text);
    ck_assert_int_eq(value->kind, JSON_STRING);
    ck_assert_str_eq(value->string, expected);
    json_free(value);
}

static const char sample[] =
    " {\"a\": [1, -2.5e3, true, false, null, {}, []],\r\n\t\"b\\u00e9\\n\": "
    "\"caf\xC3\xA9 \\ud83d\\ude00 \\\"\\\\\\/\", \"\": {\"deep\": [[[0]]]}} ";

START_TEST(values_keep_their_kind_and_their_order)
{
    Json *value = parsed(sample);
    ck_assert_int_eq(value->kind, JSON_OBJECT);
    ck_assert_int_eq(value->count, 3);
    ck_assert_str_eq(value->names[0], "a");
    ck_assert_str_eq(value->names[1], "b\xC3\xA9\n");
    ck_assert_str_eq(value->names[2], "");

    static const JsonKind kinds[] = {JSON_NUMBER, JSON_NUMBER, JSON_BOOLEAN, JSON_BOOLEAN,
                                     JSON_NULL,   JSON_OBJECT, JSON_ARRAY};
    const Json *array = json_member(value, "a");
    ck_assert_int_eq(array->kind, JSON_ARRAY);
    ck_assert_int_eq(array->count, 7);
    ck_assert_ptr_null(array->names);
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq(array->items[i]->kind, kinds[i]);
    ck_assert(array->items[1]->number == -2500);
    ck_assert(array->items[2]->boolean && !array->items[3]->boolean);
    ck_assert_str_eq(value->items[1]->string, "caf\xC3\xA9 \xF0\x9F\x98\x80 \"\\/");
    json_free(value);
}
END_TEST

START_TEST(a_value_alone_is_a_document)
{
    string_is("\"\"", "");
    string_is(" \t\r\n\"x\" \t\r\n", "x");
    static const char *const others[] = {"null", "true", "0", "[]", "{}"};
    for (int i = 0; i < 5; i++)
        json_free(parsed(others[i]));
}
END_TEST

START_TEST(members_are_found_by_name_only_in_objects)
{
    Json *value = parsed("{\"x\": 1, \"y\": [2]}");
    ck_assert(json_member(value, "x")->number == 1);
    ck_assert_ptr_null(json_member(value, "z"));
    ck_assert_ptr_null(json_member(json_member(value, "y"), "x"));
    ck_assert_ptr_null(json_member(NULL, "x"));
    json_free(value);
}
END_TEST

START_TEST(escapes_become_utf8)
{
    string_is("\"\\b\\f\\n\\r\\t\\/\"", "\b\f\n\r\t/");
    string_is("\"\\u0001\\u007F\"", "\x01\x7F");
    string_is("\"\\u0080\\u07ff\"", "\xC2\x80\xDF\xBF");
    string_is("\"\\u0800\\uD7FF\\uE000\\uFFFF\"",
              "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF");
    string_is("\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
}
END_TEST

START_TEST(half_surrogates_are_refused)
{
    static const char *const halves[] = {
        "\"ab\\ud83d\"",        "\"ab\\ude00\"",        "\"ab\\ud83dx\"",
        "\"ab\\ud83d\\n\"",     "\"ab\\ud83d\\ud83d\"", "\"ab\\ud83d\\u0041\"",
        "\"ab\\ude00\\ud83d\"", "\"ab\\ud83d\\u\"",     "\"ab\\ud83d\\ue000\"",
        "\"ab\\ude00\\ude00\"", "\"ab\\ud83d\\ude0\"",
    };
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++)
        refused_at(halves[i], 3, "half of a surrogate pair");
}
END_TEST

START_TEST(escapes_that_do_not_exist_are_refused)
{
    refused_at("\"a\\x\"", 2, "no such escape");
    refused_at("\"a\\U0041\"", 2, "no such escape");
    refused_at("\"\\u12G4\"", 1, "four hexadecimal digits");
    refused_at("\"\\u123\"", 1, "four hexadecimal digits");
    refused_at("\"\\u\x10\x11\x12\x13\"", 1, "four hexadecimal digits");
    refused_at("\"\\u0000\"", 1, "zero character");
    Error error;
    ck_assert_ptr_null(parse_bytes("\"\\\0\"", 4, &error));
    assert_contains(error.text, "no such escape");
}
END_TEST

/* Three bytes E_ __ __ against the definition: the code points from U+0800 to U+FFFF,
 * surrogates excepted, each written in one way only. */
START_TEST(exactly_the_valid_utf8_is_accepted)
{
    static const unsigned char last[] = {0x00, 0x20, 0x7F, 0x80, 0x9F,
                                         0xA0, 0xBF, 0xC0, 0xFF};
    for (int first = 0xE0; first <= 0xEF; first++)
        for (int i = 0; i < 256 * (int)sizeof last; i++) {
            int second = i / (int)sizeof last, third = last[i % (int)sizeof last];
            int code = (first & 15) << 12 | (second & 63) << 6 | (third & 63);
            bool valid = second >> 6 == 2 && third >> 6 == 2 && code >= 0x800 &&
                         !(code >= 0xD800 && code <= 0xDFFF);
            const char text[] = {'"', (char)first, (char)second, (char)third, '"'};
            Error error;
            Json *value = parse_bytes(text, 5, &error);
            ck_assert_msg((value != NULL) == valid, "%02X %02X %02X", first, second, third);
            json_free(value);
        }
}
END_TEST

START_TEST(invalid_utf8_is_refused_at_its_byte)
{
    static const char *const bad[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xC2",
        "\xC2\x20",
        "\xE0\xA0",
        "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF0\x90\x80",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xFE",
        "\xFF",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "[\"ab\", \"c\xC3\xA9%s\"]", bad[i]);
        refused_at(text, 11, "not valid UTF-8");
    }
    string_is("\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\x7F\"",
              "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\x7F");
    refused_at("\xEF\xBB\xBF{}", 0, "expected a value");
}
END_TEST

START_TEST(control_characters_in_strings_are_refused)
{
    for (int c = 0; c < 0x20; c++) {
        Error error;
        const char text[] = {'"', 'a', (char)c, '"'};
        ck_assert_ptr_null(parse_bytes(text, 4, &error));
        assert_contains(error.text, "offset 2: a control character");
    }
}
END_TEST

static const struct {
    const char *text;
    double number;
} numbers[] = {
    {"0", 0},
    {"-0", -0.0},
    {"0.5", 0.5},
    {"-12.75", -12.75},
    {"1e3", 1000},
    {"1E+3", 1000},
    {"25e-1", 2.5},
    {"0e0", 0},
    {"0.1", 0.1},
    {"1.7976931348623157e308", 0x1.fffffffffffffp1023},
    {"4.9e-324", 0x1p-1074},
    {"9007199254740993", 9007199254740992.0},
    {"1e-400", 0},
    {"1e400", HUGE_VAL},
};

static void check_numbers(void)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        Json *value = parsed(numbers[i].text);
        ck_assert_int_eq(value->kind, JSON_NUMBER);
        ck_assert_msg(memcmp(&value->number, &numbers[i].number, sizeof(double)) == 0,
                      "%s is read as %.17g", numbers[i].text, value->number);
        json_free(value);
    }
}

START_TEST(numbers_are_rounded_correctly)
{
    check_numbers();
}
END_TEST

/* In as many locales with a decimal comma as the machine has. */
START_TEST(numbers_do_not_depend_on_the_locale)
{
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR",
                                          "pl_PL.UTF-8", "da_DK", "ps_AF"};
    for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++)
        if (setlocale(LC_ALL, locales[i])) {
            check_numbers();
            refused_at("1,5", 1, "the text goes on");
        }
}
END_TEST

START_TEST(a_number_of_many_digits_is_read)
{
    enum { DIGITS = 100000 };
    char *text = malloc(DIGITS + 1);
    memset(text, '3', DIGITS);
    text[DIGITS] = 0;
    text[1] = '.';
    Json *value = parsed(text);
    ck_assert(value->number == 10.0 / 3);
    json_free(value);
    free(text);
}
END_TEST

START_TEST(what_only_looks_like_a_number_is_refused)
{
    refused_at("-", 1, "a digit is missing");
    refused_at("1.", 2, "a digit is missing");
    refused_at("1.e3", 2, "a digit is missing");
    refused_at("1e", 2, "a digit is missing");
    refused_at("1e+-2", 3, "a digit is missing");
    refused_at("-x", 1, "a digit is missing");
    refused_at("012", 1, "the text goes on");
    refused_at("-01", 2, "the text goes on");
    refused_at("0x10", 1, "the text goes on");
    refused_at("1_000", 1, "the text goes on");
    static const char *const others[] = {".5", "+1", "NaN", "Infinity", "inf"};
    for (int i = 0; i < 5; i++)
        refused_at(others[i], 0, "expected a value");
    refused_at("-Infinity", 1, "a digit is missing");
}
END_TEST

START_TEST(what_breaks_the_grammar_is_refused_at_its_place)
{
    refused_at("", 0, "the text ends here");
    refused_at("  ", 2, "the text ends here");
    refused_at("[1,]", 3, "expected a value");
    refused_at("[,1]", 1, "expected a value");
    refused_at("[1 2]", 3, "expected ',' or ']'");
    refused_at("[1}", 2, "expected ',' or ']'");
    refused_at("[", 1, "the text ends here");
    refused_at("[1", 2, "expected ',' or ']'");
    refused_at("]", 0, "expected a value");
    refused_at("{\"a\":1,}", 7, "expected a name");
    refused_at("{a:1}", 1, "expected a name");
    refused_at("{'a':1}", 1, "expected a name");
    refused_at("{1:1}", 1, "expected a name");
    refused_at("{\"a\" 1}", 5, "expected ':'");
    refused_at("{\"a\":}", 5, "expected a value");
    refused_at("{\"a\":1]", 6, "expected ',' or '}'");
    refused_at("[\"abc]", 1, "never closed");
    refused_at("\"abc\\\"", 0, "never closed");
    refused_at("\"abc\\", 0, "never closed");
    refused_at("{\"a", 1, "never closed");
    refused_at("tru", 0, "expected a value");
    refused_at("True", 0, "expected a value");
    refused_at("nul]", 0, "expected a value");
    refused_at("truefalse", 4, "the text goes on");
    refused_at("{} {}", 3, "the text goes on");
    refused_at("1 // one", 2, "the text goes on");
    refused_at("[1,\v2]", 3, "expected a value");
    refused_at("[\xC2\xA0]", 1, "expected a value");
}
END_TEST

START_TEST(a_zero_byte_after_a_value_is_refused)
{
    Error error;
    ck_assert_ptr_null(parse_bytes("{}\0", 3, &error));
    assert_contains(error.text, "offset 2: the value is complete");
}
END_TEST

START_TEST(repeated_names_are_refused)
{
    refused_at("[{\"b\": 1, \"a\": 2, \"c\": 3, \"a\": 2}]", 1, "\"a\" occurs twice");
    refused_at("{\"a\": 1, \"\\u0061\": 2}", 0, "\"a\" occurs twice");
    json_free(parsed("{\"a\": {\"a\": 1}, \"A\": [{\"a\": 2}, {\"a\": 3}]}"));
}
END_TEST

/* Comparing each name with each other one would take minutes here. */
START_TEST(an_object_of_many_names_is_read_in_good_time)
{
    enum { NAMES = 100000 };
    char *text = malloc(NAMES * 16), *out = text;
    for (int i = 0; i < NAMES; i++)
        out += sprintf(out, "%s\"n%d\":%d", i ? "," : "{", i * 7919 % NAMES, i);
    strcpy(out, "}");
    Json *value = parsed(text);
    ck_assert_int_eq(value->count, NAMES);
    ck_assert_str_eq(value->names[1], "n7919");
    ck_assert(value->items[NAMES - 1]->number == NAMES - 1);
    json_free(value);
    free(text);
}
END_TEST

static void nest(char *text, int depth, const char *open, const char *middle, char close)
{
    *text = 0;
    for (int i = 0; i < depth; i++)
        text = stpcpy(text, open);
    text = stpcpy(text, middle);
    memset(text, close, (size_t)depth);
    text[depth] = 0;
}

START_TEST(nesting_is_read_to_a_depth_of_64_and_no_further)
{
    char text[1024];
    nest(text, 64, "[", "", ']');
    json_free(parsed(text));
    nest(text, 64, "{\"a\":", "1", '}');
    json_free(parsed(text));
    nest(text, 65, "[", "", ']');
    refused_at(text, 64, "nested deeper than 64");
    nest(text, 65, "{\"a\":", "1", '}');
    refused_at(text, 64 * 5, "nested deeper than 64");

    char *abyss = malloc(1000000);
    memset(abyss, '[', 1000000);
    Error error;
    ck_assert_ptr_null(json_parse(abyss, 1000000, &error));
    assert_contains(error.text, "nested deeper than 64");
    free(abyss);
}
END_TEST

START_TEST(neighbours_do_not_add_to_the_depth)
{
    char text[4096], *out = text;
    out = stpcpy(out, "[0");
    for (int i = 0; i < 100; i++)
        out = stpcpy(out, ",[{\"a\":[]}]");
    strcpy(out, "]");
    Json *value = parsed(text);
    ck_assert_int_eq(value->count, 101);
    json_free(value);
}
END_TEST

static bool integer(const char *text, long least, long most, long *result)
{
    Json *value = parsed(text);
    bool found = json_integer(value, least, most, result);
    json_free(value);
    return found;
}

START_TEST(integers_are_exact_and_within_bounds)
{
    long result = 77;
    ck_assert(integer("42", 0, 42, &result) && result == 42);
    ck_assert(integer("-7", -7, 0, &result) && result == -7);
    ck_assert(integer("1.2e1", 0, 100, &result) && result == 12);
    bool wide = LONG_MAX > 9007199254740991; /* a long may have 32 bits */
    ck_assert(integer("9007199254740991", 0, LONG_MAX, &result) == wide);
    ck_assert(!wide || (double)result == 9007199254740991.0);
    ck_assert(integer("2147483647", 0, LONG_MAX, &result) && result == 2147483647);

    result = 77;
    static const char *const others[] = {
        "43", "-1", "1.5", "\"1\"", "true", "null", "[1]", "1e300", "1e999", "-1e999",
    };
    for (int i = 0; i < 10; i++)
        ck_assert_msg(!integer(others[i], 0, 42, &result), "%s", others[i]);
    ck_assert(!integer("9007199254740992", 0, LONG_MAX, &result));
    ck_assert(!integer("9223372036854775808", LONG_MIN, LONG_MAX, &result));
    ck_assert(!integer("-9223372036854775808", LONG_MIN, LONG_MAX, &result));
    ck_assert(!json_integer(NULL, 0, 42, &result));
    ck_assert_int_eq(result, 77);
}
END_TEST

START_TEST(quoting_writes_what_parsing_reads)
{
    char *quoted = json_quote(
        "a\"b\\c/\b\f\n\r\t\x01\x1F\x7F caf\xC3\xA9 \xF0\x9F\x98\x80");
    ck_assert_str_eq(quoted, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F "
                             "caf\xC3\xA9 \xF0\x9F\x98\x80\"");
    free(quoted);

    char every[256] = "";
    for (int c = 1; c < 128; c++)
        every[c - 1] = (char)c;
    quoted = json_quote(every);
    string_is(quoted, every);
    free(quoted);

    quoted = json_quote("");
    ck_assert_str_eq(quoted, "\"\"");
    free(quoted);
}
END_TEST

START_TEST(a_document_cut_anywhere_is_refused)
{
    long size = (long)sizeof sample - 1;
    for (long cut = 0; cut < size - 1; cut++) { /* the last byte is only a space */
        Error error = {""};
        ck_assert_ptr_null(parse_bytes(sample, cut, &error));
        assert_contains(error.text, "JSON, offset ");
    }
}
END_TEST

/* The same bytes on every run: a generator of Knuth's, the upper bits of it. */
static unsigned next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

START_TEST(no_bytes_at_all_can_break_the_parser)
{
    static const char telling[] = "{}[]\",:\\u0dD8e+-.tfn \n\xC3\xED\xF4\xFF";
    uint64_t state = 1;
    int accepted = 0;
    for (int round = 0; round < 20000; round++) {
        Error error = {""};
        char bytes[sizeof sample];
        memcpy(bytes, sample, sizeof sample);
        for (unsigned change = next_random(&state) % 4 + 1; change > 0; change--) {
            unsigned place = next_random(&state) % (sizeof sample - 1);
            bool wild = next_random(&state) % 2;
            bytes[place] = wild ? (char)next_random(&state)
                                : telling[next_random(&state) % sizeof telling];
        }
        Json *value = parse_bytes(bytes, (long)sizeof sample - 1, &error);
        ck_assert((value == NULL) == (error.text[0] != 0));
        accepted += value != NULL;
        json_free(value);
    }
    /* Both ways have been taken, and often. */
    ck_assert_int_gt(accepted, 200);
    ck_assert_int_lt(accepted, 19800);
}
END_TEST

SUITE("json", 20, values_keep_their_kind_and_their_order, a_value_alone_is_a_document,
      members_are_found_by_name_only_in_objects, escapes_become_utf8,
      half_surrogates_are_refused, escapes_that_do_not_exist_are_refused,
      exactly_the_valid_utf8_is_accepted, invalid_utf8_is_refused_at_its_byte,
      control_characters_in_strings_are_refused, numbers_are_rounded_correctly,
      numbers_do_not_depend_on_the_locale, a_number_of_many_digits_is_read,
      what_only_looks_like_a_number_is_refused,
      what_breaks_the_grammar_is_refused_at_its_place, a_zero_byte_after_a_value_is_refused,
      repeated_names_are_refused, an_object_of_many_names_is_read_in_good_time,
      nesting_is_read_to_a_depth_of_64_and_no_further, neighbours_do_not_add_to_the_depth,
      integers_are_exact_and_within_bounds, quoting_writes_what_parsing_reads,
      a_document_cut_anywhere_is_refused, no_bytes_at_all_can_break_the_parser)
