/* test_book.c - the texts become pages that hang together and need nothing from elsewhere.
 *
 * The pages are read by a small checker of HTML, which is itself shown to find faults.
 * Without pandoc there is no book, and nothing but that is tested. */
#include "base/files.h"
#include "suite.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool have_pandoc(void)
{
    char version[256];
    return run_command(version, sizeof version, "command -v pandoc") == 0;
}

/* ---- A checker of pages ---- */

typedef struct {
    char name[32];
    const char *begin, *end; /* from the < to behind the > */
    bool closes, stands_alone;
} Tag;

/* The next tag from `at` on; false if there is none. A > in a value must be escaped. */
static bool next_tag(const char *at, Tag *tag)
{
    at = strchr(at, '<');
    const char *end = at ? strchr(at, '>') : NULL;
    if (!end)
        return false;
    *tag = (Tag){.begin = at, .end = end + 1, .closes = at[1] == '/'};
    tag->stands_alone = end[-1] == '/' || at[1] == '!';
    at += 1 + tag->closes;
    for (size_t i = 0; (isalnum(*at) || *at == '!') && i + 1 < sizeof tag->name; i++)
        tag->name[i] = (char)tolower(*at++);
    return true;
}

/* The value of an attribute, cut to `size`; false if there is none. */
static bool attribute(const Tag *tag, const char *name, char *value, size_t size)
{
    char begin[40];
    snprintf(begin, sizeof begin, "%s=\"", name);
    const char *at = strstr(tag->begin, begin);
    while (at && at < tag->end && !isspace(at[-1]))
        at = strstr(at + 1, begin);
    if (!at || at >= tag->end)
        return false;
    at += strlen(begin);
    snprintf(value, size, "%.*s", (int)strcspn(at, "\""), at);
    return true;
}

static bool is_one_of(const char *name, const char *const names[])
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* What a page may be, in a sentence of the checker; "" while all is well. */
typedef struct {
    char text[512];
} Fault;

static bool fault(Fault *found, const char *what, const char *where)
{
    snprintf(found->text, sizeof found->text, "%s: %.80s", what, where);
    return false;
}

static bool has_id(const char *html, const char *id)
{
    char attribute[300];
    snprintf(attribute, sizeof attribute, " id=\"%.280s\"", id);
    const char *at = strstr(html, attribute);
    return at && !strstr(at + 1, attribute);
}

/* Where a link of a page in `folder` leads to: outside, or to a page and a place that are
 * there, once. */
static bool check_link(const char *folder, const char *html, const char *link, Fault *found)
{
    if (strncmp(link, "https://", 8) == 0 || strncmp(link, "http://", 7) == 0)
        return true;
    char path[512];
    int length = (int)strcspn(link, "#");
    snprintf(path, sizeof path, "%s/%.*s", folder, length, link);
    Error error;
    long size;
    char *other = length > 0 ? file_read(path, &size, &error) : NULL;
    if (length > 0 && !other)
        return fault(found, "leads nowhere", link);
    bool there = !link[length] || has_id(other ? other : html, link + length + 1);
    free(other);
    return there || fault(found, "leads to no place", link);
}

/* A tag loads nothing, links to what exists, and is of a kind that a page may have. */
static bool check_tag(const char *folder, const char *html, const Tag *tag, Fault *found)
{
    static const char *const loading[] = {"script", "link",  "iframe", "object", "embed",
                                          "source", "video", "audio",  NULL};
    char value[4096], mark[8];
    if (is_one_of(tag->name, loading))
        return fault(found, "loads something", tag->begin);
    if (strcmp(tag->name, "img") == 0 &&
        (!attribute(tag, "src", value, sizeof value) ||
         strncmp(value, "data:image/svg+xml,%3Csvg", 25) != 0))
        return fault(found, "a picture is not part of the page", tag->begin);
    if (attribute(tag, "id", value, 256) && !has_id(html, value))
        return fault(found, "an id comes twice", tag->begin);
    /* pandoc's marks of the lines of code lead to themselves; there are thousands. */
    if (strcmp(tag->name, "a") == 0 && !attribute(tag, "tabindex", mark, sizeof mark) &&
        attribute(tag, "href", value, sizeof value))
        return check_link(folder, html, value, found);
    return true;
}

/* What stands between two tags of prose is no formula that was left as it was. */
static bool check_prose(const char *from, const char *to, Fault *found)
{
    for (; from < to; from++)
        if (*from == '$' || (*from == '\\' && isalpha(from[1])))
            return fault(found, "a formula was left as it was", from);
    return true;
}

static bool check_style(const char *from, const char *to, Fault *found)
{
    for (; from < to; from++)
        if (strncmp(from, "url(", 4) == 0 || strncmp(from, "@import", 7) == 0)
            return fault(found, "a style loads something", from);
    return true;
}

/* The names of the tags that are open. */
typedef struct {
    char names[64][32];
    int count, verbatim; /* how many of them are code */
} Open;

/* Opens or closes; false where one closes that is not the last that was opened. */
static bool follow(Open *open, const Tag *tag, Fault *found)
{
    static const char *const empty[] = {"meta", "img", "br", "hr", "input", "col", NULL};
    static const char *const verbatim[] = {"code", "pre", "kbd", "style", NULL};
    if (tag->stands_alone || is_one_of(tag->name, empty))
        return true;
    int change = is_one_of(tag->name, verbatim);
    if (!tag->closes) {
        ck_assert_int_lt(open->count, 64);
        strcpy(open->names[open->count++], tag->name);
        open->verbatim += change;
        return true;
    }
    if (open->count == 0 || strcmp(open->names[open->count - 1], tag->name) != 0)
        return fault(found, "closes what is not open", tag->begin);
    open->count--;
    open->verbatim -= change;
    return true;
}

/* True if all is well with a page in `folder`, whose text is `html`. */
static bool check_html(const char *folder, const char *html, Fault *found)
{
    Open open = {0};
    Tag tag;
    found->text[0] = 0;
    if (strstr(html, "<!--"))
        return fault(found, "a comment shows", "");
    for (const char *at = html; next_tag(at, &tag); at = tag.end) {
        if (open.verbatim == 0 && !check_prose(at, tag.begin, found))
            return false;
        if (strcmp(tag.name, "style") == 0 && !check_style(at, tag.begin, found))
            return false;
        if (!check_tag(folder, html, &tag, found) || !follow(&open, &tag, found))
            return false;
    }
    return open.count == 0 || fault(found, "is never closed", open.names[open.count - 1]);
}

/* Fails unless all pages in the folder are well; returns how many they are. */
static int check_pages(const char *folder)
{
    char pattern[300];
    snprintf(pattern, sizeof pattern, "%s/*.html", folder);
    glob_t pages = {0};
    ck_assert_int_eq(glob(pattern, 0, NULL, &pages), 0);
    for (size_t i = 0; i < pages.gl_pathc; i++) {
        Fault found;
        char *html = text_of(pages.gl_pathv[i]);
        ck_assert_msg(check_html(folder, html, &found), "%s: %s", pages.gl_pathv[i],
                      found.text);
        free(html);
    }
    int count = (int)pages.gl_pathc;
    globfree(&pages);
    return count;
}

START_TEST(the_checker_finds_faults)
{
    const char *const good = "<!DOCTYPE html><p id=\"a\">1 <code>$x</code><br />"
                             "<a href=\"#a\">b</a> <a href=\"https://a.b/\">c</a></p>";
    const char *const bad[][2] = {
        {"<p><b></p></b>", "closes what is not open: </p>"},
        {"<p>", "is never closed: p"},
        {"<p>cost $x$</p>", "a formula was left as it was: $x"},
        {"<p>\\frac</p>", "a formula was left as it was: \\frac"},
        {"<a href=\"b.html\">b</a>", "leads nowhere: b.html"},
        {"<a href=\"#b\">b</a>", "leads to no place: #b"},
        {"<p id=\"a\"></p><p id=\"a\"></p>", "an id comes twice"},
        {"<img src=\"a.svg\" />", "a picture is not part of the page"},
        {"<img alt=\"\" />", "a picture is not part of the page"},
        {"<script></script>", "loads something"},
        {"<style>p{background:url(a.png)}</style>", "a style loads something: url("},
        {"<style>@import 'a.css';</style>", "a style loads something: @import"},
        {"<!-- a -->", "a comment shows"},
    };
    Fault found;
    ck_assert_msg(check_html(scratch_folder(), good, &found), "%s", found.text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!check_html(scratch_folder(), bad[i][0], &found), "%s", bad[i][0]);
        assert_contains(found.text, bad[i][1]);
    }
}
END_TEST

/* ---- A small repository ---- */

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

static char output[1 << 14]; /* of the last run */

/* Makes the book of the small repository; returns the status. */
static int make_book(void)
{
    char here[1024];
    ck_assert(getcwd(here, sizeof here) != NULL);
    return run_command(output, sizeof output, "cd %s && sh %s/docs/book.sh book",
                       scratch_folder(), here);
}

/* The text of a page; the caller frees it. */
static char *get(const char *page)
{
    char name[300];
    snprintf(name, sizeof name, "book/%s", page);
    return text_of(scratch(name));
}

/* The page that `text` becomes, as a note on a repository of two chapters, all of whose
 * pages are well. The caller frees it. */
static char *page_of(const char *text)
{
    put("README.md", "# Small\n\nFirst [one](chapters/00-one/).\n\n## More\n\nMore.\n");
    put("chapters/00-one/README.md",
        "# 0. One: a `start`\n\n## The idea & all\n\nIt is.\n");
    put("chapters/00-one/one.c", "int one(void)\n{\n    return 1 < 2;\n}\n");
    put("chapters/01-two/README.md", "# 1. Two\n\nThen.\n");
    put("docs/note.md", text);
    ck_assert_msg(make_book() == 0, "%s", output);
    check_pages(scratch("book"));
    return get("docs-note.html");
}

/* Fails unless the text becomes a page that holds each of the parts; the last is NULL. */
static void check_page(const char *text, const char *const parts[])
{
    char *html = page_of(text);
    for (; *parts; parts++)
        ck_assert_msg(strstr(html, *parts), "\"%s\" is not in the page:\n%s", *parts,
                      strstr(html, "<main"));
    free(html);
}

#define PARTS(...)             \
    (const char *const[])      \
    {                          \
        __VA_ARGS__, (char *)0 \
    }

/* ---- Pages ---- */

START_TEST(pages_follow_each_other_as_they_are_read)
{
    if (!have_pandoc())
        return;
    const char *const order[] = {"index.html",         "docs-beforehand.html",
                                 "00-one.html",        "00-one-exercises.html",
                                 "01-two.html",        "docs-notation.html",
                                 "docs-weights.html",  "docs-apples.html",
                                 "docs-note.html",     "data.html",
                                 "tests-fixtures.html"};
    int count = sizeof order / sizeof *order;
    put("chapters/00-one/exercises.md", "# Coursework\n\nDo.\n");
    put("data/README.md", "# Texts\n\nMany.\n");
    put("tests/fixtures/README.md", "# Fixtures\n\nSmall.\n");
    put("docs/apples.md", "No title.\n");
    put("docs/beforehand.md", "# Before\n\nRead.\n");
    put("docs/notation.md", "# Notation\n\nB.\n");
    put("docs/weights.md", "# Weights\n\nMany.\n");
    free(page_of("# Note\n\nText.\n"));
    ck_assert_int_eq(check_pages(scratch("book")), count);
    for (int i = 0; i < count; i++) {
        char *html = get(order[i]), link[80];
        snprintf(link, sizeof link, "rel=\"prev\" href=\"%s\"", i > 0 ? order[i - 1] : "");
        ck_assert_msg(!strstr(html, link) == (i == 0), "%s in %s", link, order[i]);
        snprintf(link, sizeof link, "rel=\"next\" href=\"%s\"",
                 i + 1 < count ? order[i + 1] : "");
        ck_assert_msg(!strstr(html, link) == (i + 1 == count), "%s in %s", link, order[i]);
        ck_assert_int_eq(!strstr(html, "href=\"index.html#contents\""), i == 0);
        free(html);
    }
}
END_TEST

START_TEST(the_first_page_lists_all_others)
{
    if (!have_pandoc())
        return;
    put("chapters/00-one/exercises.md", "# Coursework\n\nDo.\n");
    free(page_of("# A \"note\" & more\n"));
    char *html = get("index.html");
    assert_contains(html, "<a href=\"00-one.html\">One: a <code>start</code></a>");
    assert_contains(html, "<a href=\"00-one-exercises.html\">Coursework</a>");
    assert_contains(html, "<a href=\"docs-note.html\">A “note” &amp; more</a>");
    const char *list = strstr(html, "id=\"contents\"");
    ck_assert(strstr(html, "First") < list);
    ck_assert(list < strstr(html, "id=\"more\""));
    free(html);
}
END_TEST

START_TEST(a_chapter_shows_its_number_and_its_sections)
{
    if (!have_pandoc())
        return;
    free(page_of("# Note\n"));
    char *html = get("00-one.html");
    assert_contains(html, "<title>0. One: a start &middot; Small</title>");
    assert_contains(html,
                    "<h1 id=\"0-one-a-start\"><span class=\"number\">Chapter 0</span> "
                    "One: a <code>start</code></h1>");
    assert_contains(html, "<a href=\"#the-idea--all\"");
    assert_contains(html, "<h2 id=\"the-idea--all\">The idea &amp; all</h2>");
    free(html);
    html = get("01-two.html");
    ck_assert_ptr_null(strstr(html, "On this page")); /* it has no sections */
    free(html);
}
END_TEST

START_TEST(links_between_texts_lead_from_page_to_page)
{
    if (!have_pandoc())
        return;
    check_page("# Note\n\n[a](../chapters/00-one/README.md#the-idea--all) [b](./note.md) "
               "[c](../chapters/01-two) [d](/README.md) [e](https://a.org/b.md) "
               "[f](../chapters) [g](..)\n",
               PARTS("<a href=\"00-one.html#the-idea--all\">a</a>",
                     "<a href=\"docs-note.html\">b</a>", "<a href=\"01-two.html\">c</a>",
                     "<a href=\"index.html\">d</a>", "<a href=\"https://a.org/b.md\">e</a>",
                     " f ", "<a href=\"index.html\">g</a>"));
}
END_TEST

START_TEST(a_file_of_source_that_is_linked_to_has_a_page)
{
    if (!have_pandoc())
        return;
    put("src/fence.h", "/*\n~~~~\n```\n<b> */\n");
    check_page("# Note\n\n[one](../chapters/00-one/one.c) [fence](../src/fence.h)\n",
               PARTS("<a href=\"chapters-00-one-one.c.html\">one</a>",
                     "<a href=\"src-fence.h.html\">fence</a>"));
    char *html = get("chapters-00-one-one.c.html");
    assert_contains(html, "<code>chapters/00-one/one.c</code></h1>");
    assert_contains(html, "<span class=\"cf\">return</span>");
    free(html);
    html = get("src-fence.h.html");
    assert_contains(html, "~~~~");
    assert_contains(html, "&lt;b&gt;");
    free(html);
}
END_TEST

/* ---- What is in them ---- */

static const char picture[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"400\">"
    "<style>.c0{color:#123}</style><text>100% \"é\"</text></svg>\n";

START_TEST(figures_are_part_of_the_page)
{
    if (!have_pandoc())
        return;
    put("chapters/00-one/figures/a.svg", picture);
    check_page("# Note\n\n![What it shows](../chapters/00-one/figures/a.svg)\n\n"
               "![It](../chapters/00-one/figures/a.svg \"The *loss*, $x$\")\n",
               PARTS("<figure>\n<img src=\"data:image/svg+xml,%3Csvg%20xmlns=%22http:",
                     "%23123%7D", "100%25", "%C3%A9",
                     "class=\"wide\" alt=\"What it shows\"", "<figcaption>",
                     "The <em>loss</em>, "));
}
END_TEST

START_TEST(formulas_become_mathml)
{
    if (!have_pandoc())
        return;
    check_page("# Note\n\nA state $h_t \\in \\mathbb{R}^C$.\n\n$$\n\\frac{Q\n"
               "K^{\\mathsf T}}{\\sqrt{D}} < 1\n$$\n",
               PARTS("<math display=\"inline\"", "<msub><mi>h</mi><mi>t</mi></msub>",
                     "<span class=\"formula\"><math display=\"block\"", "<mfrac>",
                     "<msqrt>"));
}
END_TEST

START_TEST(a_comment_does_not_show_but_code_says_where_it_is_from)
{
    if (!have_pandoc())
        return;
    char *html = page_of(
        "# Note\n\n<!-- weave: src/a.c (top) main -->\n```c\nint x; /* no */\n"
        "```\n\n<!-- a remark -->\n\nWords <!-- another --> here.\n");
    assert_contains(html, "<p class=\"file\">src/a.c</p>\n<div class=\"sourceCode\"");
    assert_contains(html, "<span class=\"dt\">int</span>");
    assert_contains(html, "<span class=\"co\">/* no */</span>");
    ck_assert_ptr_null(strstr(html, "(top)"));
    ck_assert_ptr_null(strstr(html, "remark"));
    ck_assert_ptr_null(strstr(html, "another"));
    free(html);
}
END_TEST

START_TEST(what_was_typed_is_told_from_what_was_answered)
{
    if (!have_pandoc())
        return;
    check_page(
        "# Note\n\n```console\n$ make <x> \\\n    ARGS=1\nloss $ 2\n$ ls\n```\n",
        PARTS("<pre class=\"console\"><code><b>$</b> <kbd>make &lt;x&gt; \\</kbd>\n"
              "<kbd>    ARGS=1</kbd>\nloss $ 2\n<b>$</b> <kbd>ls</kbd></code></pre>"));
}
END_TEST

START_TEST(tables_scroll_and_notes_go_to_the_end)
{
    if (!have_pandoc())
        return;
    check_page(
        "# Note\n\n| a | b |\n| --- | ---: |\n| 1 | `$2` |\n\nSo[^1].\n\n[^1]: Nearly.\n",
        PARTS("<div class=\"table\">\n<table>", "text-align: right", "<code>$2</code>",
              "href=\"#fn1\"", "Nearly."));
}
END_TEST

START_TEST(quotation_marks_and_dashes_are_typographic_outside_of_code)
{
    if (!have_pandoc())
        return;
    check_page("# Note\n\nIt's \"so\": `\"--x\"`.\n",
               PARTS("It’s “so”: <code>\"--x\"</code>."));
}
END_TEST

/* ---- What can be wrong ---- */

/* Fails unless the text is refused with the sentence, and a book made all the same. */
static void check_refused(const char *text, const char *sentence)
{
    put("README.md", "# Small\n\nSmall.\n");
    put("docs/note.md", text);
    ck_assert_msg(make_book() == 1, "%s", text);
    assert_contains(output, sentence);
    free(get("docs-note.html"));
}

START_TEST(what_is_wrong_with_a_text_is_said)
{
    if (!have_pandoc())
        return;
    put("docs/a.png", "");
    check_refused("# N\n\n[a](b.md)\n", "docs/note.md: there is no b.md to link to\n");
    check_refused("# N\n\n[a](../../b.c)\n", "docs/note.md: there is no ../../b.c");
    check_refused("# N\n\n![a](b.svg)\n", "docs/note.md: there is no figure b.svg\n");
    check_refused("# N\n\n![a](a.png)\n", "docs/note.md: a.png is no SVG file of this");
    check_refused("# N\n\n![a](https://a.b/c.svg)\n", "https://a.b/c.svg is no SVG file");
    check_refused("# N\n\n<img src=\"a.svg\">\n", "docs/note.md: write this in Markdown: ");
    check_refused("# N\n\n<a href=\"a.md\">a</a>\n",
                  "docs/note.md: write this in Markdown");
    check_refused("# N\n\n<script>\n</script>\n", "docs/note.md: write this in Markdown");
    check_refused("# N\n\n$\\nothing{x}$\n", "docs/note.md: Could not convert TeX math");
}
END_TEST

START_TEST(without_pandoc_it_says_what_to_install)
{
    ck_assert_int_eq(run_command(output, sizeof output,
                                 "PATH=/nonexistent /bin/sh docs/book.sh %s",
                                 scratch("book")),
                     1);
    ck_assert_str_eq(output, "make book needs pandoc: on Debian, apt-get install pandoc\n");
    put("bin/pandoc", "#!/bin/sh\necho +pipe_tables\n");
    ck_assert_int_eq(run_command(output, sizeof output,
                                 "chmod +x %s; PATH=%s:$PATH sh docs/book.sh %s",
                                 scratch("bin/pandoc"), scratch("bin"), scratch("book")),
                     1);
    assert_contains(output, "make book needs pandoc 2.17 or newer");
    ck_assert(!file_exists(scratch("book")));
}
END_TEST

/* ---- This repository ---- */

START_TEST(this_repository_is_a_whole_book)
{
    if (!have_pandoc()) {
        printf("book: there is no pandoc here, so no book was made\n");
        return;
    }
    int status = run_command(output, sizeof output, "sh docs/book.sh %s", scratch("book"));
    ck_assert_msg(status == 0, "make book says:\n%s", output);
    ck_assert_int_gt(check_pages(scratch("book")), 3);
}
END_TEST

SUITE("book", 30, the_checker_finds_faults, pages_follow_each_other_as_they_are_read,
      the_first_page_lists_all_others, a_chapter_shows_its_number_and_its_sections,
      links_between_texts_lead_from_page_to_page,
      a_file_of_source_that_is_linked_to_has_a_page, figures_are_part_of_the_page,
      formulas_become_mathml, a_comment_does_not_show_but_code_says_where_it_is_from,
      what_was_typed_is_told_from_what_was_answered, tables_scroll_and_notes_go_to_the_end,
      quotation_marks_and_dashes_are_typographic_outside_of_code,
      what_is_wrong_with_a_text_is_said, without_pandoc_it_says_what_to_install,
      this_repository_is_a_whole_book)
