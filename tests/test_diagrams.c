/* test_diagrams.c - the pictures that are drawn by hand, in chapters/NN/diagrams and in
 * docs/diagrams: they are whole, follow the reader's theme, can be read on a phone, keep to
 * one style and to the colours of the charts, and a text shows each of them. Every picture
 * that a text shows is there, whether a hand or a program drew it. */
#include "base/files.h"
#include "suite.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDEST = 640, SMALLEST_TEXT = 15 };

/* The files that any of the patterns fits, at least one for each; to be freed with
 * globfree. */
static glob_t files_of(const char *const *patterns)
{
    glob_t files = {0};
    for (int i = 0; patterns[i]; i++)
        ck_assert_msg(glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &files) == 0,
                      "there is no %s", patterns[i]);
    return files;
}

static glob_t all_diagrams(void)
{
    return files_of(
        (const char *const[]){"chapters/*/diagrams/*", "docs/diagrams/*", NULL});
}

static glob_t all_texts(void)
{
    return files_of(
        (const char *const[]){"README.md", "docs/*.md", "chapters/*/*.md", NULL});
}

/* ---- What a diagram must be ---- */

/* Where the tag ends that begins at `at`; NULL if it does not. */
static const char *end_of_tag(const char *at)
{
    if (strncmp(at, "<!--", 4) == 0) {
        const char *end = strstr(at, "-->");
        return end ? end + 2 : NULL;
    }
    const char *end = at + 1 + strcspn(at + 1, "<>");
    return *end == '>' ? end : NULL;
}

static bool same_name(const char *a, const char *b)
{
    size_t length = strcspn(a, " />");
    return length == strcspn(b, " />") && strncmp(a, b, length) == 0;
}

/* True if the tags are closed in order, and the first is around all others. */
static bool is_balanced(const char *svg)
{
    enum { DEEPEST = 50 };
    const char *open[DEEPEST];
    int depth = 0;
    for (const char *at = svg, *end; (at = strchr(at, '<')); at = end) {
        end = end_of_tag(at);
        if (!end)
            return false;
        if (at[1] == '/') {
            if (depth == 0 || !same_name(open[--depth], at + 2))
                return false;
        } else if (at[1] != '!' && end[-1] != '/') {
            if (depth == DEEPEST || (depth == 0 && at != svg))
                return false;
            open[depth++] = at + 1;
        }
    }
    return depth == 0;
}

/* The smallest size of text that the picture sets, in pixels; infinite if it sets none. */
static double smallest_text(const char *svg)
{
    static const char *const ways[] = {"font:", "font-size:", "font-size=\""};
    double smallest = INFINITY;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        for (const char *at = svg; (at = strstr(at, ways[i]));) {
            at += strlen(ways[i]);
            smallest = fmin(smallest, strtod(at, NULL));
        }
    return smallest;
}

/* True for an element with a script, and for one in an attribute like onclick. The tags are
 * balanced. */
static bool has_script(const char *svg)
{
    for (const char *at = svg, *end; (at = strchr(at, '<')); at = end) {
        end = end_of_tag(at);
        const char *attribute = strstr(at, " on");
        if (same_name(at + 1, "script ") || (at[1] != '!' && attribute && attribute < end))
            return true;
    }
    return false;
}

/* True if something is taken from elsewhere: url(#a) is a part of the same picture. */
static bool refers_to_outside(const char *svg)
{
    for (const char *at = svg; (at = strstr(at, "url(")); at++)
        if (at[4] != '#')
            return true;
    return strstr(svg, "href") || strstr(svg, "src=") || strstr(svg, "@import");
}

/* What is wrong with a diagram; NULL if nothing is. */
static const char *fault_of(const char *svg)
{
    const char *box = strstr(svg, " viewBox=\"0 0 ");
    if (strncmp(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 40) != 0)
        return "it does not begin as SVG does";
    if (!is_balanced(svg))
        return "its tags are not balanced";
    if (!box || strtod(box + 14, NULL) > WIDEST)
        return "it has no viewBox, or a wide one";
    if (!strstr(svg, "<title>") || strstr(svg, "<title></title>"))
        return "it has no title";
    if (!strstr(svg, "@media(prefers-color-scheme:dark){"))
        return "it does not follow the dark theme";
    if (!strstr(svg, "class=\"paper\""))
        return "it has no paper";
    if (smallest_text(svg) < SMALLEST_TEXT)
        return "its text is too small for a phone";
    if (has_script(svg))
        return "it has a script";
    if (refers_to_outside(svg))
        return "it refers to what is outside of it";
    return NULL;
}

/* The styles of a picture, a string of their own; the caller frees it. */
static char *style_of(const char *svg)
{
    const char *begin = strstr(svg, "<style>"), *end = strstr(svg, "</style>");
    ck_assert(begin != NULL && end != NULL);
    size_t length = (size_t)(end - begin);
    char *style = allocate(length + 1, 1);
    memcpy(style, begin, length);
    return style;
}

/* ---- Tests ---- */

static const char sample[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 640 90\">\n"
    "<title>T</title><style>text{font:17px serif}.a{font-size:15px;fill:url(#b)}"
    "@media(prefers-color-scheme:dark){}</style><!-- <b> -->\n"
    "<rect class=\"paper\"/><g><text x=\"1\">is on</text></g></svg>\n";

START_TEST(a_fault_of_a_diagram_is_found)
{
    static const struct {
        const char *from, *to, *fault;
    } cases[] = {
        {"<svg xmlns", "<svg  xmlns", "it does not begin as SVG does"},
        {"</g>", "", "its tags are not balanced"},
        {"</g></svg>", "</svg></g>", "its tags are not balanced"},
        {"</text>", "</tex>", "its tags are not balanced"},
        {"</svg>", "", "its tags are not balanced"},
        {"</svg>", "</svg><g>", "its tags are not balanced"},
        {"</svg>", "</svg><g></g>", "its tags are not balanced"},
        {"</svg>", "</svg></g>", "its tags are not balanced"},
        {"\"paper\"/>", "\"paper\"", "its tags are not balanced"},
        {" -->", "", "its tags are not balanced"},
        {"viewBox", "view", "it has no viewBox, or a wide one"},
        {"640", "641", "it has no viewBox, or a wide one"},
        {"<title>T", "<title>", "it has no title"},
        {"<title>T</title>", "", "it has no title"},
        {"dark", "light", "it does not follow the dark theme"},
        {"paper", "", "it has no paper"},
        {"17px", "14px", "its text is too small for a phone"},
        {":15px", ":14.9px", "its text is too small for a phone"},
        {"x=\"1\"", "font-size=\"9\"", "its text is too small for a phone"},
        {"<g>", "<g><script/>", "it has a script"},
        {"<g>", "<g onclick=\"a()\">", "it has a script"},
        {"#b", "a.svg#b", "it refers to what is outside of it"},
        {"<g>", "<g><use href=\"a\"/>", "it refers to what is outside of it"},
        {"text{", "@import 'a';text{", "it refers to what is outside of it"},
        {"T", "Title", NULL},
    };
    ck_assert_ptr_null(fault_of(sample));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = strstr(sample, cases[i].from);
        char changed[sizeof sample + 50];
        ck_assert(at != NULL);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - sample), sample,
                 cases[i].to, at + strlen(cases[i].from));
        const char *fault = fault_of(changed);
        ck_assert_msg(fault == cases[i].fault ||
                          (fault && cases[i].fault && strcmp(fault, cases[i].fault) == 0),
                      "%s for %s: %s", cases[i].to, cases[i].from, fault);
    }
}
END_TEST

START_TEST(every_diagram_is_without_fault)
{
    glob_t diagrams = all_diagrams();
    for (size_t i = 0; i < diagrams.gl_pathc; i++) {
        char *svg = text_of(diagrams.gl_pathv[i]);
        const char *fault = fault_of(svg);
        ck_assert_msg(fault == NULL, "%s: %s", diagrams.gl_pathv[i], fault);
        free(svg);
    }
    globfree(&diagrams);
}
END_TEST

START_TEST(all_diagrams_have_one_style)
{
    glob_t diagrams = all_diagrams();
    char *first = text_of(diagrams.gl_pathv[0]), *style = style_of(first);
    for (size_t i = 1; i < diagrams.gl_pathc; i++) {
        char *svg = text_of(diagrams.gl_pathv[i]), *other = style_of(svg);
        ck_assert_msg(strcmp(style, other) == 0, "%s and %s differ in their <style>",
                      diagrams.gl_pathv[0], diagrams.gl_pathv[i]);
        free(svg);
        free(other);
    }
    free(first);
    free(style);
    globfree(&diagrams);
}
END_TEST

START_TEST(the_colours_of_diagrams_are_those_of_charts)
{
    glob_t diagrams = all_diagrams();
    char *chart = text_of("chapters/04-gpt/figures/loss.svg");
    for (size_t i = 0; i < diagrams.gl_pathc; i++) {
        char *svg = text_of(diagrams.gl_pathv[i]);
        for (const char *at = svg; (at = strchr(at, '#')); at++) {
            char colour[8];
            snprintf(colour, sizeof colour, "%s", at);
            ck_assert_msg(strspn(colour + 1, "0123456789abcdef") != 6 ||
                              strstr(chart, colour),
                          "%s: no chart has the colour %s", diagrams.gl_pathv[i], colour);
        }
        free(svg);
    }
    free(chart);
    globfree(&diagrams);
}
END_TEST

/* True if there is a picture with this link, and words for what is to be seen on it. */
static bool has_picture(const char *text, const char *link)
{
    const char *end = strstr(text, link), *words = end;
    while (words && words > text && *words != '[')
        words--;
    return end && words > text && words[-1] == '!' && end - words > 20;
}

static bool shows(const char *text_path, const char *diagram)
{
    char link[300];
    const char *name = strrchr(text_path, '/');
    size_t folder = name ? (size_t)(name + 1 - text_path) : 0;
    if (strncmp(text_path, diagram, folder) != 0)
        return false;
    snprintf(link, sizeof link, "](%s)", diagram + folder);
    char *text = text_of(text_path);
    bool shown = has_picture(text, link);
    free(text);
    return shown;
}

START_TEST(every_diagram_is_shown_with_a_text_that_says_what_is_seen)
{
    glob_t diagrams = all_diagrams(), texts = all_texts();
    for (size_t i = 0; i < diagrams.gl_pathc; i++) {
        bool shown = false;
        for (size_t j = 0; j < texts.gl_pathc && !shown; j++)
            shown = shows(texts.gl_pathv[j], diagrams.gl_pathv[i]);
        ck_assert_msg(shown, "no text shows %s with ![what is to be seen]",
                      diagrams.gl_pathv[i]);
    }
    globfree(&diagrams);
    globfree(&texts);
}
END_TEST

/* The path of a picture stands as seen from the folder of the text. */
static void check_pictures_of(const char *path)
{
    char *text = text_of(path);
    const char *name = strrchr(path, '/');
    for (const char *at = text; (at = strstr(at, "]("));) {
        at += 2;
        char picture[300];
        int length = (int)strcspn(at, ") ");
        snprintf(picture, sizeof picture, "%.*s%.*s", name ? (int)(name + 1 - path) : 0,
                 path, length, at);
        bool is_picture = length > 4 && strncmp(at + length - 4, ".svg", 4) == 0;
        ck_assert_msg(!is_picture || file_exists(picture), "%s shows %s, which is missing",
                      path, picture);
    }
    free(text);
}

START_TEST(every_picture_that_is_shown_is_there)
{
    glob_t texts = all_texts();
    for (size_t i = 0; i < texts.gl_pathc; i++)
        check_pictures_of(texts.gl_pathv[i]);
    globfree(&texts);
}
END_TEST

SUITE("diagrams", 10, a_fault_of_a_diagram_is_found, every_diagram_is_without_fault,
      all_diagrams_have_one_style, the_colours_of_diagrams_are_those_of_charts,
      every_diagram_is_shown_with_a_text_that_says_what_is_seen,
      every_picture_that_is_shown_is_there)
