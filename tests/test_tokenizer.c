/* test_tokenizer.c - text to tokens and back, and every refusal. UTF-8 as well. */
#include "text/tokenizer.h"
#include "base/utf8.h"
#include "text/kinds.h"
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char fable[] =
    "The tortoise and the hare: \xc2\xabslow\xc2\xbb, said the hare.\n"
    "\"Slow?\" the tortoise said.\tThe other day, the other way...\n"
    "\xf0\x9f\x90\xa2 \xe2\x80\x94 12 miles; 12 hours.  The end.\n";

static Tokenizer *train(const char *kind, const char *text)
{
    Error error;
    Tokenizer *t = tokenizer_train(kind, text, (long)strlen(text), &error);
    ck_assert_msg(t != NULL, "%s", error.text);
    return t;
}

static Tokenizer *load(const char *json)
{
    Error error;
    Tokenizer *t = tokenizer_load(json, &error);
    ck_assert_msg(t != NULL, "%s", error.text);
    return t;
}

static int *encode(const Tokenizer *t, const char *text, long size, long *count)
{
    Error error;
    int *tokens = tokenizer_encode(t, text, size, count, &error);
    ck_assert_msg(tokens != NULL, "%s", error.text);
    return tokens;
}

/* The bytes of the tokens of a text, one after the other, are the text. */
static void assert_round_trip(const Tokenizer *t, const char *text, long size)
{
    long count, at = 0;
    int *tokens = encode(t, text, size, &count);
    for (long i = 0; i < count; i++) {
        int length;
        const char *bytes = tokenizer_bytes(t, tokens[i], &length);
        ck_assert_int_gt(length, 0);
        ck_assert_int_le(at + length, size);
        ck_assert_mem_eq(bytes, text + at, (size_t)length);
        at += length;
    }
    ck_assert_int_eq(at, size);
    free(tokens);
}

static void assert_training_refused(const char *kind, const char *text, long size,
                                    const char *sentence)
{
    Error error;
    ck_assert_ptr_null(tokenizer_train(kind, text, size, &error));
    assert_contains(error.text, sentence);
}

static void assert_encoding_refused(const Tokenizer *t, const char *text,
                                    const char *sentence)
{
    Error error;
    long count;
    ck_assert_ptr_null(tokenizer_encode(t, text, (long)strlen(text), &count, &error));
    assert_contains(error.text, sentence);
}

static void assert_loading_refused(const char *json, const char *sentence)
{
    Error error;
    ck_assert_msg(!tokenizer_load(json, &error), "loaded: %s", json);
    assert_contains(error.text, "the saved tokenizer: ");
    assert_contains(error.text, sentence);
}

static void assert_saved(const Tokenizer *t, const char *expected)
{
    char *json = tokenizer_save(t);
    ck_assert_str_eq(json, expected);
    free(json);
}

/* ---- UTF-8 ---- */

START_TEST(every_code_point_survives_utf8)
{
    for (uint32_t code = 0; code < UTF8_CODES; code++) {
        char text[4];
        uint32_t back = 0;
        int length = utf8_encode(code, text);
        if (code >= 0xd800 && code < 0xe000) {
            ck_assert_int_eq(length, 0);
            continue;
        }
        int expected = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        if (length != expected || utf8_decode(text, 4, &back) != length || back != code ||
            utf8_decode(text, length - 1, &back) != 0)
            ck_abort_msg("U+%04X: length %d, read back as U+%04X", code, length, back);
    }
    ck_assert_int_eq(utf8_encode(UTF8_CODES, (char[4]){0}), 0);
}
END_TEST

START_TEST(known_characters_have_their_known_bytes)
{
    char text[5] = "";
    ck_assert_int_eq(utf8_encode(0x20ac, text), 3);
    ck_assert_str_eq(text, "\xe2\x82\xac");
    ck_assert_int_eq(utf8_encode(0x1f422, text), 4);
    ck_assert_str_eq(text, "\xf0\x9f\x90\xa2");
}
END_TEST

START_TEST(what_is_not_utf8_is_not_decoded)
{
    static const char *const wrong[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x80\x80",
                                        "\xe0\x9f\xbf",
                                        "\xf0\x80\x80\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xf8\x88\x80\x80",
                                        "\xf8\x90\x80\x80",
                                        "\xfe",
                                        "\xff",
                                        "\xc3",
                                        "\xc3(",
                                        "\xe2\x82",
                                        "\xe2(\xac",
                                        "\xe2\x82(",
                                        "\xf0\x9f\x90",
                                        "\xf0\x9f\x90\xc3",
                                        "\xf0(\x90\xa2",
                                        ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint32_t code = 77;
        ck_assert_int_eq(utf8_decode(wrong[i], (long)strlen(wrong[i]), &code), 0);
        ck_assert_uint_eq(code, 77);
    }
}
END_TEST

/* ---- Characters ---- */

START_TEST(characters_are_numbered_in_order_of_code_point)
{
    Tokenizer *t = train("char", "b\xe2\x82\xac\na\xc3\xa9 b\xf0\x9f\x90\xa2");
    ck_assert_int_eq(tokenizer_size(t), 7);
    ck_assert_str_eq(tokenizer_kind(t), "char");
    static const char *const expected[] = {
        "\n", " ", "a", "b", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xa2"};
    for (int i = 0; i < 7; i++) {
        int length;
        const char *bytes = tokenizer_bytes(t, i, &length);
        ck_assert_int_eq(length, (int)strlen(expected[i]));
        ck_assert_mem_eq(bytes, expected[i], (size_t)length);
    }
    long count;
    int *tokens = encode(t,
                         "\xc3\xa9\n\xe2\x82\xac"
                         "ab",
                         8, &count);
    ck_assert_int_eq(count, 5);
    ck_assert_mem_eq(tokens, ((int[]){4, 0, 5, 2, 3}), sizeof(int[5]));
    free(tokens);
    tokenizer_free(t);
}
END_TEST

START_TEST(an_unknown_character_is_named_with_its_place)
{
    Tokenizer *t = train("char", "abc \n");
    assert_encoding_refused(t, "ab\nc \xc3\xa9",
                            "'\xc3\xa9' (U+00E9) at offset 5 (line 2)");
    assert_encoding_refused(t, "z", "'z' (U+007A) at offset 0 (line 1)");
    assert_encoding_refused(t, "\xf0\x9f\x90\xa2", "'\xf0\x9f\x90\xa2' (U+1F422)");
    assert_encoding_refused(t, "z",
                            "the model has never seen it; leave it out, or train on");
    tokenizer_free(t);
}
END_TEST

START_TEST(what_cannot_be_seen_is_named_by_number_only)
{
    Tokenizer *t = train("char", "abc");
    assert_encoding_refused(t, "a\tb", "the character (U+0009) at offset 1");
    assert_encoding_refused(t, "\xef\xbb\xbf", "the character (U+FEFF) at offset 0");
    assert_encoding_refused(t, "\xe2\x80\xae", "the character (U+202E) at offset 0");
    tokenizer_free(t);
}
END_TEST

START_TEST(characters_refuse_what_is_not_utf8)
{
    assert_training_refused("char",
                            "ab\nc\xff"
                            "d",
                            6, "byte 0xff at offset 4 (line 2)");
    assert_training_refused("char", "ab\xe2\x82", 4, "byte 0xe2 at offset 2 (line 1)");
    assert_training_refused("char", "\xe2\x82\xac", 2, "byte 0xe2 at offset 0");
    Tokenizer *t = train("char", "ab\xc3\xa9");
    assert_encoding_refused(t,
                            "b\xe9"
                            "a",
                            "this is not UTF-8 text: byte 0xe9 at offset 1");
    tokenizer_free(t);
}
END_TEST

START_TEST(characters_refuse_a_zero_byte)
{
    static const char text[] = "seventeen letters\0after which there is more";
    assert_training_refused("char", text, sizeof text - 1,
                            "this is not text: a zero byte at offset 17");
    Tokenizer *t = train("char", text);
    Error error;
    long count;
    ck_assert_ptr_null(tokenizer_encode(t, text, 18, &count, &error));
    assert_contains(error.text, "a zero byte at offset 17");
    tokenizer_free(t);
}
END_TEST

START_TEST(characters_cannot_be_learned_from_nothing)
{
    assert_training_refused("char", "", 0, "the text is empty");
}
END_TEST

/* ---- Byte pairs ---- */

/* " t" and "th" are there three times, and a space sorts before a "t". */
START_TEST(byte_pairs_join_what_is_frequent)
{
    Tokenizer *t = train("bpe:3", "a the the tho");
    assert_saved(t, "{\"type\":\"bpe\",\"merges\":[[32,116],[256,104],[257,101]]}");
    long count;
    int length, *tokens = encode(t, "the the", 7, &count);
    ck_assert_int_eq(count, 4);
    ck_assert_mem_eq(tokens, ((int[]){'t', 'h', 'e', 258}), sizeof(int[4]));
    ck_assert_mem_eq(tokenizer_bytes(t, 258, &length), " the", 4);
    ck_assert_int_eq(length, 4);
    free(tokens);
    tokenizer_free(t);
}
END_TEST

START_TEST(learning_stops_when_no_pair_occurs_twice)
{
    Tokenizer *t = train("bpe:100", "abc abd");
    ck_assert_int_eq(tokenizer_size(t), 257);
    ck_assert_str_eq(tokenizer_kind(t), "bpe:1");
    tokenizer_free(t);
}
END_TEST

START_TEST(without_merges_a_token_is_a_byte)
{
    for (int empty = 0; empty < 2; empty++) {
        Tokenizer *t = train("bpe:0", empty ? "" : fable);
        ck_assert_int_eq(tokenizer_size(t), 256);
        ck_assert_str_eq(tokenizer_kind(t), "bpe:0");
        assert_saved(t, "{\"type\":\"bpe\",\"merges\":[]}");
        long count;
        int *tokens = encode(t, "A\xff\0z", 4, &count);
        ck_assert_int_eq(count, 4);
        ck_assert_mem_eq(tokens, ((int[]){'A', 255, 0, 'z'}), sizeof(int[4]));
        free(tokens);
        tokenizer_free(t);
    }
}
END_TEST

START_TEST(any_bytes_come_back)
{
    Tokenizer *learned[] = {train("bpe:200", fable), NULL};
    static char bytes[5000];
    unsigned seed = 5;
    for (size_t i = 0; i < sizeof bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (char)(seed >> 24);
    }
    Error error;
    learned[1] = tokenizer_train("bpe:200", bytes, sizeof bytes, &error);
    for (int i = 0; i < 2; i++) {
        for (long size = 0; size < 300; size++)
            assert_round_trip(learned[i], bytes + size, size);
        assert_round_trip(learned[i], bytes, sizeof bytes);
        assert_round_trip(learned[i], fable, sizeof fable - 1);
        tokenizer_free(learned[i]);
    }
    Tokenizer *characters = train("char", fable);
    assert_round_trip(characters, fable, sizeof fable - 1);
    assert_round_trip(characters, "", 0);
    tokenizer_free(characters);
}
END_TEST

START_TEST(the_same_text_gives_the_same_tokenizer)
{
    Tokenizer *one = train("bpe:20", fable), *two = train("bpe:20", fable);
    char *json = tokenizer_save(one);
    assert_saved(two, json);
    ck_assert_str_eq(tokenizer_kind(one), "bpe:20");
    free(json);
    tokenizer_free(one);
    tokenizer_free(two);
}
END_TEST

START_TEST(unknown_kinds_are_refused)
{
    static const char *const wrong[] = {"words",
                                        "",
                                        "bpe",
                                        "bpe:",
                                        "bpe:x",
                                        "bpe:-1",
                                        "bpe:+1",
                                        "bpe:1000000",
                                        "bpe:65281",
                                        "bpe:1.5",
                                        "bpe: 12",
                                        "bpe:12 ",
                                        "bpe:99999999999999999999",
                                        "character",
                                        "BPE:10",
                                        "char:",
                                        "char:5",
                                        "bpe:1:2",
                                        ":",
                                        "xchar"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char named[64];
        snprintf(named, sizeof named, "from 0 to 65280; not \"%s\"", wrong[i]);
        assert_training_refused(wrong[i], "a text", 6,
                                "\"char\", or \"bpe:N\" with N merges");
        assert_training_refused(wrong[i], "a text", 6, named);
    }
    tokenizer_free(train("bpe:65280", "a text"));
}
END_TEST

START_TEST(a_token_that_does_not_exist_is_misuse)
{
    Tokenizer *t = train("char", "abc");
    for (int wrong = -1; wrong <= 3; wrong += 4) {
        pid_t child = fork();
        if (child == 0) {
            if (!freopen("/dev/null", "w", stderr))
                _exit(1);
            int length;
            tokenizer_bytes(t, wrong, &length);
            _exit(0);
        }
        int status;
        ck_assert(waitpid(child, &status, 0) == child);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    tokenizer_free(t);
}
END_TEST

/* ---- Special tokens, and kinds ---- */

START_TEST(characters_and_byte_pairs_have_no_special_tokens)
{
    static const char *const kinds[] = {"char", "bpe:30"};
    for (int i = 0; i < 2; i++) {
        Tokenizer *t = train(kinds[i], fable);
        ck_assert_int_eq(tokenizer_special(t, "[MASK]"), -1);
        ck_assert_int_eq(tokenizer_special(t, "e"), -1);
        for (int token = 0; token < tokenizer_size(t); token++)
            ck_assert(!tokenizer_is_special(t, token));
        tokenizer_free(t);
    }
}
END_TEST

static int freed;

static void count_freed(void *state)
{
    freed += *(int *)state;
}

START_TEST(a_special_token_is_found_by_its_name)
{
    static const TokenizerKind kind = {.name = "toy", .free = count_freed};
    static const char *const names[] = {"[PAD]", "[UNK]", "a", "[MASK]", "[MASK", "b"};
    Tokenizer *t = tokenizer_new(&kind);
    t->state = &(int){7};
    for (int i = 0; i < 6; i++)
        tokenizer_add(t, names[i], (int)strlen(names[i]), i == 0 || i == 1 || i == 3);
    ck_assert_str_eq(tokenizer_kind(t), "toy");
    ck_assert_int_eq(tokenizer_size(t), 6);
    for (int i = 0; i < 6; i++) {
        bool special = i == 0 || i == 1 || i == 3;
        ck_assert_int_eq(tokenizer_special(t, names[i]), special ? i : -1);
        ck_assert_int_eq(tokenizer_is_special(t, i), special);
        int length;
        ck_assert_mem_eq(tokenizer_bytes(t, i, &length), names[i], strlen(names[i]));
        ck_assert_int_eq(length, (int)strlen(names[i]));
    }
    ck_assert_int_eq(tokenizer_special(t, ""), -1);
    ck_assert_int_eq(tokenizer_special(t, "[CLS]"), -1);
    ck_assert_int_eq(tokenizer_special(t, "[PAD]s"), -1);
    ck_assert(!tokenizer_is_special(t, -1));
    ck_assert(!tokenizer_is_special(t, 6));
    tokenizer_free(t);
    ck_assert_int_eq(freed, 7);
}
END_TEST

/* ---- The saved form ---- */

START_TEST(characters_are_saved_as_a_string)
{
    Tokenizer *t = train("char", "b\"a\n\\ b\xc3\xa9");
    assert_saved(t, "{\"type\":\"char\",\"characters\":\"\\n \\\"\\\\ab\xc3\xa9\"}");
    tokenizer_free(t);
}
END_TEST

START_TEST(what_was_saved_loads_and_gives_the_same_tokens)
{
    static const char *const kinds[] = {"char", "bpe:0", "bpe:77", "bpe:3000"};
    for (int i = 0; i < 4; i++) {
        Tokenizer *saved = train(kinds[i], fable);
        char *json = tokenizer_save(saved);
        Tokenizer *loaded = load(json);
        ck_assert_str_eq(tokenizer_kind(loaded), tokenizer_kind(saved));
        ck_assert_int_eq(tokenizer_size(loaded), tokenizer_size(saved));
        assert_saved(loaded, json);
        long count, again;
        int *tokens = encode(saved, fable, sizeof fable - 1, &count);
        int *same = encode(loaded, fable, sizeof fable - 1, &again);
        ck_assert_int_eq(again, count);
        ck_assert_mem_eq(same, tokens, (size_t)count * sizeof *tokens);
        assert_round_trip(loaded, fable, sizeof fable - 1);
        free(tokens);
        free(same);
        free(json);
        tokenizer_free(saved);
        tokenizer_free(loaded);
    }
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    static const char *const kinds[] = {"char", "bpe:30"};
    for (int i = 0; i < 2; i++) {
        Tokenizer *t = train(kinds[i], fable);
        char *json = tokenizer_save(t);
        for (size_t size = strlen(json); size-- > 0;) {
            json[size] = 0;
            assert_loading_refused(json, "");
        }
        free(json);
        tokenizer_free(t);
    }
}
END_TEST

#define BPE(merges) "{\"type\":\"bpe\",\"merges\":" merges "}"

START_TEST(merges_that_cannot_be_are_refused)
{
    assert_loading_refused(BPE("{}"), "\"merges\" is not an array");
    assert_loading_refused("{\"type\":\"bpe\"}", "\"merges\" is not an array");
    assert_loading_refused(BPE("[7]"), "merge 0 is not an array of two tokens");
    assert_loading_refused(BPE("[[1,2],[3]]"), "merge 1 is not an array of two tokens");
    assert_loading_refused(BPE("[[1,2,3]]"), "merge 0 is not an array of two tokens");
    assert_loading_refused(BPE("[[1,256]]"),
                           "merge 0 joins something other than tokens 0 to 255");
    assert_loading_refused(BPE("[[1,2],[257,3]]"),
                           "merge 1 joins something other than tokens 0 to 256");
    assert_loading_refused(BPE("[[-1,2]]"), "merge 0 joins something other");
    assert_loading_refused(BPE("[[1,2.5]]"), "merge 0 joins something other");
    assert_loading_refused(BPE("[[1,1e30]]"), "merge 0 joins something other");
    assert_loading_refused(BPE("[[1,\"2\"]]"), "merge 0 joins something other");
    assert_loading_refused(BPE("[[1,null]]"), "merge 0 joins something other");
    assert_loading_refused(BPE("[[1,2],[3,4],[1,2]]"),
                           "merge 2 joins 1 and 2, as an earlier one does");
    tokenizer_free(load(BPE("[[1,2],[256,3],[2,1],[255,257]]")));
}
END_TEST

/* The bytes as GPT-2 numbers them: what can be printed first, in its order, then the rest. */
static int gpt2_bytes(int *byte_of)
{
    int count = 0;
    for (int rest = 0; rest < 2; rest++)
        for (int byte = 0; byte < 256; byte++) {
            bool prints = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
            if (prints != rest)
                byte_of[count++] = byte;
        }
    return count;
}

/* A saved tokenizer with one merge, which joins the tokens of " " and "t". */
static char *save_in_order(const int *byte_of)
{
    int space = 0, t = 0;
    char *json = malloc(4096), *end = json;
    for (int i = 0; i < 256; i++) {
        space = byte_of[i] == ' ' ? i : space;
        t = byte_of[i] == 't' ? i : t;
    }
    end += sprintf(end, "{\"type\":\"bpe\",\"merges\":[[%d,%d]],\"bytes\":[", space, t);
    for (int i = 0; i < 256; i++)
        end += sprintf(end, "%s%d", i ? "," : "", byte_of[i]);
    strcpy(end, "]}");
    return json;
}

START_TEST(bytes_may_be_numbered_in_another_order)
{
    int byte_of[256];
    ck_assert_int_eq(gpt2_bytes(byte_of), 256);
    char *json = save_in_order(byte_of);
    Tokenizer *t = load(json);
    ck_assert_int_eq(tokenizer_size(t), 257);
    ck_assert_str_eq(tokenizer_kind(t), "bpe:1");
    long count;
    int *tokens = encode(t, "!A\n the\xad", 8, &count); /* as published for GPT-2 */
    ck_assert_int_eq(count, 7);
    ck_assert_mem_eq(tokens, ((int[]){0, 32, 198, 256, 71, 68, 255}), sizeof(int[7]));
    free(tokens);
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    assert_round_trip(t, all, 256);
    assert_round_trip(t, fable, sizeof fable - 1);
    assert_saved(t, json);
    free(json);
    tokenizer_free(t);
}
END_TEST

START_TEST(an_order_that_has_not_every_byte_is_refused)
{
    int byte_of[256];
    gpt2_bytes(byte_of);
    byte_of[7] = byte_of[200];
    char *json = save_in_order(byte_of);
    assert_loading_refused(json,
                           "\"bytes\" is not an array that has each of 0 to 255 once");
    free(json);
    assert_loading_refused("{\"type\":\"bpe\",\"merges\":[],\"bytes\":[1,2]}",
                           "\"bytes\" is not an array");
    assert_loading_refused("{\"type\":\"bpe\",\"merges\":[],\"bytes\":7}",
                           "\"bytes\" is not an array");
    byte_of[7] = 256;
    json = save_in_order(byte_of);
    assert_loading_refused(json, "\"bytes\" is not an array");
    free(json);
}
END_TEST

START_TEST(a_token_that_doubles_without_end_is_refused)
{
    char json[2000] = "{\"type\":\"bpe\",\"merges\":[[97,97]";
    for (int i = 0; i < 9; i++)
        sprintf(json + strlen(json), ",[%d,%d]", 256 + i, 256 + i);
    char *end = json + strlen(json);
    strcpy(end, "]}");
    tokenizer_free(load(json));
    strcpy(end, ",[265,97]]}");
    assert_loading_refused(json, "merge 10 makes a token of 1025 bytes; at most 1024");
}
END_TEST

START_TEST(more_merges_than_fit_are_refused)
{
    char *json = malloc(2000000),
         *end = json + sprintf(json, "{\"type\":\"bpe\",\"merges\":[");
    for (int i = 0; i < 65281; i++)
        end += sprintf(end, "%s[%d,%d]", i ? "," : "", i / 256, i % 256);
    strcpy(end, "]}");
    assert_loading_refused(json, "there are 65281 merges; at most 65280");
    free(json);
}
END_TEST

START_TEST(characters_that_cannot_be_are_refused)
{
    assert_loading_refused("{\"type\":\"char\"}", "\"characters\" is not a string");
    assert_loading_refused("{\"type\":\"char\",\"characters\":[97]}", "is not a string");
    assert_loading_refused("{\"type\":\"char\",\"characters\":\"\"}", "at least one");
    assert_loading_refused("{\"type\":\"char\",\"characters\":\"acb\"}",
                           "not in order at U+0062");
    assert_loading_refused("{\"type\":\"char\",\"characters\":\"abb\"}",
                           "not in order at U+0062");
    assert_loading_refused("{\"type\":\"char\",\"characters\":\"a\\u0000\"}", "");
    assert_loading_refused("{\"type\":\"char\",\"characters\":\"a\xff\"}", "");
}
END_TEST

START_TEST(other_types_are_refused)
{
    assert_loading_refused("{\"type\":\"words\"}",
                           "\"type\" is neither \"char\" nor \"bpe\"");
    assert_loading_refused("{\"type\":7,\"merges\":[]}", "\"type\" is neither");
    assert_loading_refused("{}", "\"type\" is neither");
    assert_loading_refused("[]", "\"type\" is neither");
    assert_loading_refused("no JSON", "");
}
END_TEST
SUITE("tokenizer", 20, every_code_point_survives_utf8,
      known_characters_have_their_known_bytes, what_is_not_utf8_is_not_decoded,
      characters_are_numbered_in_order_of_code_point,
      an_unknown_character_is_named_with_its_place,
      what_cannot_be_seen_is_named_by_number_only, characters_refuse_what_is_not_utf8,
      characters_refuse_a_zero_byte, characters_cannot_be_learned_from_nothing,
      byte_pairs_join_what_is_frequent, learning_stops_when_no_pair_occurs_twice,
      without_merges_a_token_is_a_byte, any_bytes_come_back,
      the_same_text_gives_the_same_tokenizer, unknown_kinds_are_refused,
      a_token_that_does_not_exist_is_misuse,
      characters_and_byte_pairs_have_no_special_tokens,
      a_special_token_is_found_by_its_name, characters_are_saved_as_a_string,
      what_was_saved_loads_and_gives_the_same_tokens, every_truncation_is_refused,
      merges_that_cannot_be_are_refused, bytes_may_be_numbered_in_another_order,
      an_order_that_has_not_every_byte_is_refused,
      a_token_that_doubles_without_end_is_refused, more_merges_than_fit_are_refused,
      characters_that_cannot_be_are_refused, other_types_are_refused)
