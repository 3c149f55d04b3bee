/* test_weave.c - the program stands in the text, all of it, and the two agree. */
#include "base/files.h"
#include "pieces.h"
#include "suite.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

/* ---- A small repository ---- */

static const char attention_h[] = "/* a.h - one idea. */\n"
                                  "#ifndef A_H\n"
                                  "#define A_H\n"
                                  "\n"
                                  "typedef struct {\n"
                                  "    int heads;\n"
                                  "\n"
                                  "    int width;\n"
                                  "} Attention;\n"
                                  "\n"
                                  "int attend(const Attention *a);\n"
                                  "void forget(void);\n"
                                  "\n"
                                  "#endif\n";

static const char attention_c[] = "/* a.c - one idea. */\n"
                                  "#include \"a.h\"\n"
                                  "\n"
                                  "/* ---- Attending ---- */\n"
                                  "\n"
                                  "/* All of it. */\n"
                                  "int attend(const Attention *a)\n"
                                  "{\n"
                                  "    int sum = a->heads;\n"
                                  "\n"
                                  "    return sum * a->width;\n"
                                  "}\n"
                                  "\n"
                                  "void forget(void)\n"
                                  "{\n"
                                  "}\n";

static const char readme[] = "# A chapter\n"
                             "\n"
                             "<!-- weave: a.h (top) Attention attend -->\n"
                             "\n"
                             "Then\n"
                             "\n"
                             "<!-- weave: a.c (top) -->\n"
                             "```c\n"
                             "what stood here before\n"
                             "```\n"
                             "\n"
                             "<!-- weave: a.c forget attend -->\n"
                             "```c\n"
                             "```\n";

static const char chapter[] = "chapters/01-a/README.md";

/* Writes a file of the repository, in a folder that is made. */
static void put(const char *name, const char *text)
{
    Error error;
    const char *path = scratch(name);
    char folder[256];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    ck_assert(folder_make(folder, &error));
    write_bytes(path, text, (long)strlen(text));
}

static void put_repository(const char *text)
{
    put("src/tensor/ops.h", "Tensor *t_add(Tensor *a, Tensor *b);\n");
    put("chapters/01-a/a.h", attention_h);
    put("chapters/01-a/a.c", attention_c);
    put(chapter, text);
}

static char output[1 << 16]; /* of the last run */

static int weave(const char *arguments)
{
    return run_command(output, sizeof output, BUILD "/weave %s %s", arguments,
                       scratch_folder());
}

/* The text of a file; overwritten by the eighth call after it. */
static const char *get(const char *name)
{
    static char text[8][4096];
    static int next;
    Error error;
    long size;
    char *bytes = file_read(scratch(name), &size, &error);
    ck_assert_msg(bytes != NULL, "%s", error.text);
    ck_assert_int_lt(size, (long)sizeof text[0]);
    char *result = strcpy(text[next++ % 8], bytes);
    free(bytes);
    return result;
}

/* The text with a part of it replaced; overwritten by the fourth call after it. */
static const char *with(const char *text, const char *part, const char *other)
{
    static char results[4][4096];
    static int next;
    const char *at = strstr(text, part);
    ck_assert_msg(at != NULL, "\"%s\" is not in the text", part);
    char whole[sizeof results[0]];
    snprintf(whole, sizeof whole, "%.*s%s%s", (int)(at - text), text, other,
             at + strlen(part));
    return strcpy(results[next++ % 4], whole);
}

/* ---- Pieces ---- */

/* What --pieces says of a C file. */
static const char *pieces_of(const char *code)
{
    put("code.c", code);
    ck_assert_int_eq(
        run_command(output, sizeof output, BUILD "/weave --pieces %s", scratch("code.c")),
        0);
    return output;
}

START_TEST(definitions_of_every_kind_have_names)
{
    const char *code =
        "/* code.c - all of it. */\n"
        "#define _GNU_SOURCE\n"
        "#include <stdio.h>\n"
        "\n"
        "struct Tagged { int x; };\n"
        "\n"
        "typedef struct Both { int x; } Other;\n"
        "\n"
        "typedef union { int x; } Either;\n"
        "\n"
        "enum { FIRST = 1, SECOND };\n"
        "\n"
        "enum Color { RED };\n"
        "\n"
        "typedef void Work(long from, void *context);\n"
        "\n"
        "typedef int (*Compare)(const void *, const void *);\n"
        "\n"
        "static const char *const ignored[] = {\"}\", NULL}, *also = \"\";\n"
        "\n"
        "static struct {\n    int count;\n} pool;\n"
        "\n"
        "static int (*hook)(int), table[3][4];\n"
        "\n"
        "void (*bare)(void);\n"
        "struct __attribute__((packed)) Packed { char c; };\n"
        "\n"
        "#define TWICE(x) \\\n    ((x) + (x))\n"
        "\n"
        "__attribute__((noinline)) static struct Tagged *make(int (*f)(void))\n"
        "{\n    return f() ? NULL : NULL;\n}\n"
        "\n"
        "ROW_FUNCTION(product, IN(0) * IN(1))\n"
        "ROW_FUNCTION(quotient, IN(0) / IN(1))\n"
        "\n"
        "TILE(1, 2) TILE(2, 2)\n"
        "\n"
        "START_TEST(it_works)\n{\n}\nEND_TEST\n"
        "\n"
        "_Noreturn void stop(int) __attribute__((cold));\n"
        "extern int a, b;\n"
        "struct Later;\n";
    ck_assert_str_eq(pieces_of(code), "    1     3  (top)\n"
                                      "    5     5  Tagged\n"
                                      "    7     7  Both Other\n"
                                      "    9     9  Either\n"
                                      "   11    11  FIRST\n"
                                      "   13    13  Color\n"
                                      "   15    15  Work\n"
                                      "   17    17  Compare\n"
                                      "   19    19  ignored also\n"
                                      "   21    23  pool\n"
                                      "   25    25  hook table\n"
                                      "   27    28  bare Packed\n"
                                      "   30    31  TWICE\n"
                                      "   33    36  make\n"
                                      "   38    39  product quotient\n"
                                      "   41    41  TILE\n"
                                      "   43    46  it_works\n"
                                      "   48    50  stop a b Later\n");
}
END_TEST

START_TEST(only_an_empty_line_outside_of_everything_ends_a_piece)
{
    const char *code =
        "/* code.c\n\n in two paragraphs */\n"
        "\n"
        "int f(int a,\n\n      int b)\n{\n\n}\n"
        "\n"
        "#if ONE /* and\n\n more */\nint one;\n\n#elif TWO\nint two;\n#endif\n"
        "\n"
        "#define LONG \\\n\\\n    1\nint after;\n";
    ck_assert_str_eq(pieces_of(code), "    1     3  (top)\n"
                                      "    5    10  f\n"
                                      "   12    19  one two\n"
                                      "   21    24  LONG after\n");
}
END_TEST

START_TEST(brackets_in_text_and_in_branches_do_not_count)
{
    const char *code =
        "#include <a.h>\n"
        "\n"
        "#define QUOTE \"/*\"\n"
        "\n"
        "int f(void)\n{\n    // don't {\n    return '{' + \"\\\"{\"[0] + '\\'';\n}\n"
        "\n"
        "#if ONE\nint g(int a) {\n#else\nint g(void) {\n#endif\n}\n"
        "\n"
        "int h; /* { */\n";
    ck_assert_str_eq(pieces_of(code), "    1     1  (top)\n"
                                      "    3     3  QUOTE\n"
                                      "    5     9  f\n"
                                      "   11    16  g\n"
                                      "   18    18  h\n");
}
END_TEST

START_TEST(what_defines_nothing_belongs_to_a_neighbour)
{
    ck_assert_str_eq(pieces_of("/* code.c */\n"
                               "#ifndef CODE_H\n"
                               "#define CODE_H\n"
                               "\n"
                               "#if BIG_ENDIAN\n#error \"don't\"\n#endif\n"
                               "\n"
                               "/* ---- One ---- */\n"
                               "\n"
                               "int one;\n"
                               "\n"
                               "int two;\n"
                               "\n"
                               "#endif\n"),
                     "    1     3  (top)\n"
                     "    5    11  one\n"
                     "   13    15  two\n");
    ck_assert_str_eq(pieces_of("/* Of one. */\nint one;\n"), "    1     2  one\n");
    ck_assert_str_eq(pieces_of("#ifdef A\n#include <a.h>\n#endif\nint one;\n"),
                     "    1     3  (top)\n"
                     "    4     4  one\n");
}
END_TEST

START_TEST(a_name_means_the_definition_and_with_a_semicolon_the_declaration)
{
    put("code.c",
        "int f(void);\n\nstruct S;\nint g(void);\n\nstruct S;\nstruct S { int x; };\n\n"
        "int f(void)\n{\n    return 1;\n}\n");
    Source source;
    Error error;
    ck_assert_msg(source_read(&source, scratch("code.c"), &error), "%s", error.text);
    ck_assert_int_eq(source_find(&source, "f"), 3);
    ck_assert_int_eq(source_find(&source, "f;"), 0);
    ck_assert_int_eq(source_find(&source, "S"), 2);
    ck_assert_int_eq(source_find(&source, "S;"), 1);
    ck_assert_int_eq(source_find(&source, "h"), NO_PIECE);
    ck_assert_str_eq(source.piece[0].name, "f;");
    ck_assert_str_eq(source.piece[1].name, "g");
    source_free(&source);
}
END_TEST

START_TEST(files_that_cannot_be_taken_apart_are_refused)
{
    const char *const cases[][2] = {
        {"int x;\n\nint f(void)\n{\n", "code.c:4: the { that opens here is never closed"},
        {"int x;\n#if 1\nint y;\n", "code.c:2: the #if that opens here is never closed"},
        {"int x = 1;\n\nint x = 2;\n", "code.c:1: x is in two pieces: rename one"},
    };
    for (int i = 0; i < 3; i++) {
        put("code.c", cases[i][0]);
        ck_assert_int_eq(run_command(output, sizeof output, BUILD "/weave --pieces %s",
                                     scratch("code.c")),
                         1);
        assert_contains(output, cases[i][1]);
    }
    put("src/x/code.c", cases[0][0]);
    ck_assert_int_eq(weave("--check"), 1);
    assert_contains(output, "src/x/code.c:4: the {");
}
END_TEST

/* ---- Blocks ---- */

START_TEST(blocks_are_made_and_refreshed)
{
    put_repository(readme);
    ck_assert_int_eq(weave(""), 0);
    assert_contains(output, "chapters/01-a: 26 of 26 lines are shown (100%)");
    assert_contains(output, "src/tensor: 0 of 1 lines are shown (0%)");
    ck_assert_str_eq(get(chapter), "# A chapter\n"
                                   "\n"
                                   "<!-- weave: a.h (top) Attention attend -->\n"
                                   "```c\n"
                                   "/* a.h - one idea. */\n"
                                   "#ifndef A_H\n"
                                   "#define A_H\n"
                                   "\n"
                                   "typedef struct {\n"
                                   "    int heads;\n"
                                   "\n"
                                   "    int width;\n"
                                   "} Attention;\n"
                                   "\n"
                                   "int attend(const Attention *a);\n"
                                   "void forget(void);\n"
                                   "\n"
                                   "#endif\n"
                                   "```\n"
                                   "\n"
                                   "Then\n"
                                   "\n"
                                   "<!-- weave: a.c (top) -->\n"
                                   "```c\n"
                                   "/* a.c - one idea. */\n"
                                   "#include \"a.h\"\n"
                                   "```\n"
                                   "\n"
                                   "<!-- weave: a.c forget attend -->\n"
                                   "```c\n"
                                   "void forget(void)\n"
                                   "{\n"
                                   "}\n"
                                   "\n"
                                   "/* ---- Attending ---- */\n"
                                   "\n"
                                   "/* All of it. */\n"
                                   "int attend(const Attention *a)\n"
                                   "{\n"
                                   "    int sum = a->heads;\n"
                                   "\n"
                                   "    return sum * a->width;\n"
                                   "}\n"
                                   "```\n");
}
END_TEST

START_TEST(weaving_twice_changes_nothing)
{
    put_repository(readme);
    ck_assert_int_eq(weave(""), 0);
    const char *once = get(chapter);
    ck_assert_int_eq(weave("--check"), 0);
    ck_assert_str_eq(output, "");
    ck_assert_int_eq(weave(""), 0);
    ck_assert_str_eq(get(chapter), once);
    ck_assert_msg(!strstr(output, "anew"), "%s", output);
}
END_TEST

START_TEST(code_that_changes_makes_its_block_stale)
{
    put_repository(readme);
    ck_assert_int_eq(weave("--check"), 1);
    assert_contains(output, "chapters/01-a/README.md:3: the block of a.h (top) Attention "
                            "attend is missing: run make weave\n");
    ck_assert_int_eq(weave(""), 0);
    put("chapters/01-a/a.c", with(attention_c, "sum * a", "sum + a"));
    const char *before = get(chapter);
    ck_assert_int_eq(weave("--check"), 1);
    ck_assert_str_eq(output,
                     "chapters/01-a/README.md:29: the block of a.c forget attend is "
                     "stale: run make weave\n");
    ck_assert_str_eq(get(chapter), before);
    ck_assert_int_eq(weave(""), 0);
    assert_contains(get(chapter), "sum + a");
    ck_assert_int_eq(weave("--check"), 0);
}
END_TEST

START_TEST(a_block_edited_by_hand_is_stale)
{
    put_repository(readme);
    ck_assert_int_eq(weave(""), 0);
    put(chapter, with(get(chapter), "    int sum = a->heads;", "   int sum = a->heads;"));
    ck_assert_int_eq(weave("--check"), 1);
    assert_contains(output, "is stale");
}
END_TEST

START_TEST(code_that_holds_a_fence_gets_a_longer_one)
{
    put_repository(readme);
    put("chapters/01-a/a.c", with(attention_c, "    int sum", "/*\n```\n*/\n    int sum"));
    ck_assert_int_eq(weave(""), 0);
    assert_contains(get(chapter), "````c\nvoid forget");
    ck_assert_int_eq(weave("--check"), 0);
}
END_TEST

START_TEST(a_text_without_a_last_newline_is_woven)
{
    put_repository(with(readme, "```c\n```\n", ""));
    put(chapter, with(get(chapter), "forget attend -->\n", "forget attend -->"));
    ck_assert_int_eq(weave(""), 0);
    ck_assert_int_eq(weave("--check"), 0);
}
END_TEST

/* ---- What can be wrong ---- */

/* What --check says of the repository when its text has `part` replaced by `other`. */
static void check_says(const char *part, const char *other, const char *sentence)
{
    put_repository(readme);
    ck_assert_int_eq(weave(""), 0);
    put(chapter, with(get(chapter), part, other));
    ck_assert_int_eq(weave("--check"), 1);
    assert_contains(output, sentence);
}

START_TEST(a_comment_that_means_nothing_is_refused)
{
    check_says(
        "forget attend", "forgt attend",
        "README.md:29: there is no forgt in chapters/01-a/a.c; did you mean forget?\n");
    check_says("forget attend", "zebra attend",
               "README.md:29: there is no zebra in chapters/01-a/a.c: see weave --pieces "
               "chapters/01-a/a.c\n");
    check_says("a.c forget", "b.c forget",
               "README.md:29: there is no file b.c, neither in chapters/01-a/ nor from the "
               "root\n");
    check_says("a.c (top)", "a.c", "README.md:23: name a file and its pieces");
    check_says("attend -->\n```c\nvoid", "attend --> x\n```c\nvoid",
               "README.md:29: a weave comment fills its line");
    check_says("<!-- weave: a.c (", " <!-- weave: a.c (",
               "README.md:23: a weave comment fills its line");
}
END_TEST

START_TEST(a_name_in_several_pieces_is_refused)
{
    put_repository(readme);
    put("src/tensor/ops.h", "int f(int a);\nint g(void);\n\nint f(int b);\nint h(void);\n");
    put("docs/a.md", "<!-- weave: src/tensor/ops.h f -->\n");
    ck_assert_int_eq(weave(""), 1);
    assert_contains(output, "docs/a.md:1: f is in several pieces of src/tensor/ops.h");
}
END_TEST

START_TEST(what_is_shown_nowhere_or_twice_is_refused)
{
    check_says(
        "forget attend", "attend",
        "chapters/01-a/a.c:14: forget is shown nowhere in README.md: add <!-- weave: "
        "a.c forget --> and a ```c block\n");
    check_says("a.c (top)", "a.c (top) forget",
               "README.md:29: a.c forget was shown on line 23 already: show it once\n");
    check_says("Then\n", "<!-- weave: a.h forget -->\n",
               "README.md:21: a.h attend was shown on line 3 already: show it once\n");
}
END_TEST

START_TEST(a_comment_may_name_a_piece_by_several_names)
{
    put_repository(readme);
    ck_assert_int_eq(weave(""), 0);
    const char *once = get(chapter);
    const char *names = "a.h (top) Attention forget attend";
    put(chapter, with(once, "a.h (top) Attention attend", names));
    ck_assert_int_eq(weave(""), 0);
    ck_assert_str_eq(get(chapter), with(once, "a.h (top) Attention attend", names));
}
END_TEST

START_TEST(all_that_is_wrong_is_listed)
{
    check_says("forget attend", "forgt", "did you mean forget?");
    assert_contains(output, "a.c:14: forget is shown nowhere");
    assert_contains(output, "a.c:4: attend is shown nowhere");
}
END_TEST

START_TEST(good_blocks_are_woven_beside_bad_ones)
{
    put_repository(with(readme, "forget attend", "attend forgt"));
    ck_assert_int_eq(weave(""), 1);
    assert_contains(output, "there is no forgt");
    assert_contains(get(chapter), "#include \"a.h\"\n```\n");
    assert_contains(get(chapter), "<!-- weave: a.c attend forgt -->\n```c\n```\n");
}
END_TEST

START_TEST(a_block_that_never_ends_is_left_alone)
{
    const char *open = with(readme, "before\n```\n", "before\n");
    put_repository(with(open, "attend -->\n```c\n```\n", "attend -->\n"));
    const char *before = get(chapter);
    ck_assert_int_eq(weave(""), 1);
    assert_contains(output, "README.md:8: the block that begins here is never closed\n");
    assert_contains(get(chapter), strstr(before, "\nThen"));
}
END_TEST

START_TEST(prose_between_two_blocks_is_not_taken_for_code)
{
    put_repository(with(readme, "before\n```\n", "before\n"));
    ck_assert_int_eq(weave(""), 1);
    assert_contains(output, "README.md:8: the block that begins here is never closed\n");
    assert_contains(get(chapter),
                    "before\n\n<!-- weave: a.c forget attend -->\n```c\n```\n");
}
END_TEST

START_TEST(a_program_without_a_text_is_refused)
{
    put_repository(readme);
    put("chapters/02-b/a.c", attention_c);
    put("chapters/02-b/b.c", attention_c);
    put("chapters/03-c/README.md", "# Words only\n");
    put("src/tensor/ops.c", "int elsewhere;\n");
    ck_assert_int_eq(weave(""), 1);
    const char *sentence =
        "chapters/02-b/README.md:1: the chapter has a program and no text: "
        "write it\n";
    assert_contains(output, sentence);
    ck_assert_ptr_null(strstr(strstr(output, sentence) + 1, sentence));
    ck_assert_ptr_null(strstr(output, "03-c/README"));
    ck_assert_ptr_null(strstr(output, "src/README"));
}
END_TEST

/* ---- Quotations ---- */

/* Checks the repository with more at the end of its text; returns the status. */
static int check_with(const char *more)
{
    put_repository(readme);
    ck_assert_int_eq(weave(""), 0);
    put(chapter, with(get(chapter), "Then\n", more));
    return weave("--check");
}

START_TEST(a_quotation_stands_in_the_source)
{
    ck_assert_int_eq(
        check_with("```c\nint sum = a->heads;\n\nreturn sum * a->width;\n```\n"), 0);
    ck_assert_int_eq(check_with("~~~c\n  Tensor *t_add(Tensor *a, Tensor *b);\n~~~\n"), 0);
    ck_assert_int_eq(check_with("```c\nint sum = a->width;\n```\n"), 1);
    assert_contains(output, "README.md:22: no file has this line to quote: correct it");
    ck_assert_int_eq(check_with("```c\nint sum = a->heads;\nreturn sum * a->width;\n```\n"),
                     1);
    assert_contains(output,
                    "README.md:23: this line does not follow chapters/01-a/a.c:9: ");
}
END_TEST

START_TEST(a_chapter_quotes_itself_and_the_library)
{
    put("tests/test_a.c", "int only_a_test;\n");
    put("chapters/02-b/b.h", "int only_elsewhere;\n");
    put("chapters/02-b/README.md", "<!-- weave: b.h only_elsewhere -->\n");
    ck_assert_int_eq(check_with("```c\nint only_a_test;\n```\n"), 1);
    ck_assert_int_eq(check_with("```c\nint only_elsewhere;\n```\n"), 1);
    put("docs/a.md", "```c\nint only_a_test;\n```\n\n```c\nint only_elsewhere;\n```\n");
    ck_assert_int_eq(check_with("Well."), 0);
}
END_TEST

START_TEST(other_blocks_are_left_alone)
{
    ck_assert_int_eq(check_with("```console\n$ make\n<!-- weave: no comment -->\n```\n"
                                "```\nint sum = ?;\n```\n"
                                "````text\n```c\nint ?;\n```\n````\n"
                                "```not a fence```\n"
                                "Write `<!-- weave: a.c b -->` above.\n"),
                     0);
}
END_TEST

/* ---- docs/ ---- */

START_TEST(a_definition_of_the_library_can_be_shown_everywhere)
{
    const char *tour = "<!-- weave: src/tensor/ops.h t_add -->\n";
    put_repository(readme);
    put("docs/more.md", tour);
    ck_assert_int_eq(weave("--check"), 1);
    assert_contains(output,
                    "docs/more.md:1: the block of src/tensor/ops.h t_add is missing");
    ck_assert_int_eq(weave(""), 0);
    assert_contains(output, "src/tensor: 1 of 1 lines are shown (100%)");
    ck_assert_str_eq(get("docs/more.md"),
                     "<!-- weave: src/tensor/ops.h t_add -->\n"
                     "```c\nTensor *t_add(Tensor *a, Tensor *b);\n```\n");
    put(chapter, with(get(chapter), "Then\n", tour));
    ck_assert_int_eq(weave(""), 0);
}
END_TEST

START_TEST(docs_may_show_a_piece_of_a_chapter_again)
{
    put_repository(readme);
    put("docs/more.md", "<!-- weave: chapters/01-a/a.c forget -->\n\nand\n\n"
                        "<!-- weave: chapters/01-a/a.c forget -->\n");
    ck_assert_int_eq(weave(""), 0);
    assert_contains(get("docs/more.md"), "```\n\nand\n");
}
END_TEST

START_TEST(the_tour_of_the_library_is_complete)
{
    put_repository(readme);
    put("src/scalar/scalar.h", "#include <a.h>\n\nint s_add;\n\nint s_mul;\n");
    put("src/tensor/tensor.h", "int t_on;\n");
    put("src/tensor/op.h", "int t_op;\n");
    put("docs/library.md", "<!-- weave: src/tensor/tensor.h t_on -->\n");
    put("chapters/00-z/README.md", "<!-- weave: src/scalar/scalar.h s_mul -->\n");
    ck_assert_int_eq(weave(""), 1);
    assert_contains(
        output, "src/scalar/scalar.h:3: s_add is shown neither in docs/library.md nor in "
                "chapter 00: add <!-- weave: src/scalar/scalar.h s_add --> and a ```c "
                "block\n");
    assert_contains(output, "src/tensor/ops.h:1: t_add is shown neither");
    assert_contains(output, "src/tensor/op.h:1: t_op is shown neither");
    ck_assert_ptr_null(strstr(output, "s_mul is"));
    ck_assert_ptr_null(strstr(output, "t_on is"));
    ck_assert_ptr_null(strstr(output, "(top) is"));
    put("docs/library.md", "<!-- weave: src/tensor/tensor.h t_on -->\n\n"
                           "<!-- weave: src/scalar/scalar.h s_add -->\n\n"
                           "<!-- weave: src/tensor/op.h t_op -->\n\n"
                           "<!-- weave: src/tensor/ops.h t_add -->\n");
    ck_assert_int_eq(weave(""), 0);
}
END_TEST

START_TEST(what_is_no_repository_is_refused)
{
    ck_assert_int_eq(weave(""), 1);
    assert_contains(output, "there is no code here");
    ck_assert_int_eq(run_command(output, sizeof output, BUILD "/weave %s", scratch("x")),
                     1);
    assert_contains(output, "cannot enter");
    ck_assert_int_eq(run_command(output, sizeof output, BUILD "/weave --chek"), 1);
    assert_contains(output, "usage: weave [--check]");
    ck_assert_int_eq(run_command(output, sizeof output, BUILD "/weave --help"), 0);
    assert_contains(output, "usage: weave [--check]");
}
END_TEST

/* ---- This repository ---- */

/* Fails unless each line of the file is in one piece, or empty and between two. */
static void check_lines(const char *path)
{
    Source source;
    Error error;
    ck_assert_msg(source_read(&source, path, &error), "%s", error.text);
    int line = 1;
    for (int i = 0; i < source.piece_count; i++) {
        const Piece *piece = &source.piece[i];
        for (; line < piece->first; line++)
            ck_assert_msg(line_is_empty(&source.lines, line), "%s:%d", path, line);
        ck_assert_msg(line == piece->first && piece->first <= piece->last, "%s:%d", path,
                      line);
        ck_assert_int_eq(source_find(&source, piece->name), i);
        ck_assert_msg(isalpha(*piece->name) || strchr("_(", *piece->name), "%s:%d: %s",
                      path, line, piece->name);
        line = piece->last + 1;
    }
    ck_assert_msg(line == source.lines.count + 1, "%s:%d", path, line);
    source_free(&source);
}

START_TEST(every_line_of_the_source_belongs_to_one_piece)
{
    glob_t paths = {0};
    ck_assert_int_eq(glob("src/*/*.[ch]", 0, NULL, &paths), 0);
    ck_assert_int_eq(glob("chapters/*/*.[ch]", GLOB_APPEND, NULL, &paths), 0);
    ck_assert_uint_gt(paths.gl_pathc, 50);
    for (size_t i = 0; i < paths.gl_pathc; i++)
        check_lines(paths.gl_pathv[i]);
    globfree(&paths);
}
END_TEST

START_TEST(the_book_is_woven)
{
    int status = run_command(output, sizeof output, BUILD "/weave --check");
    ck_assert_msg(status == 0, "make weave-check says:\n%.3000s", output);
}
END_TEST

SUITE("weave", 10, definitions_of_every_kind_have_names,
      only_an_empty_line_outside_of_everything_ends_a_piece,
      brackets_in_text_and_in_branches_do_not_count,
      what_defines_nothing_belongs_to_a_neighbour,
      a_name_means_the_definition_and_with_a_semicolon_the_declaration,
      files_that_cannot_be_taken_apart_are_refused, blocks_are_made_and_refreshed,
      weaving_twice_changes_nothing, code_that_changes_makes_its_block_stale,
      a_block_edited_by_hand_is_stale, code_that_holds_a_fence_gets_a_longer_one,
      a_text_without_a_last_newline_is_woven, a_comment_that_means_nothing_is_refused,
      a_name_in_several_pieces_is_refused, what_is_shown_nowhere_or_twice_is_refused,
      a_comment_may_name_a_piece_by_several_names, all_that_is_wrong_is_listed,
      good_blocks_are_woven_beside_bad_ones, a_block_that_never_ends_is_left_alone,
      prose_between_two_blocks_is_not_taken_for_code, a_program_without_a_text_is_refused,
      a_quotation_stands_in_the_source, a_chapter_quotes_itself_and_the_library,
      other_blocks_are_left_alone, a_definition_of_the_library_can_be_shown_everywhere,
      docs_may_show_a_piece_of_a_chapter_again, the_tour_of_the_library_is_complete,
      what_is_no_repository_is_refused, every_line_of_the_source_belongs_to_one_piece,
      the_book_is_woven)
