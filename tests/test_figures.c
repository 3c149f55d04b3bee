/* test_figures.c - the pictures of the chapters are all shown, all drawn by `make figures`,
 * and what they say is what the programs write today.
 *
 * Drawing them as they are takes minutes, and their numbers differ between machines. Here a
 * short run of the same commands draws each, and what does not depend on numbers (styles,
 * titles, axes, the names of lines, levels, rows and columns) is compared. */
#include "base/files.h"
#include "suite.h"

#include <ctype.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* How the figures of a chapter are drawn, into the folder $OUT. A new chapter needs a row,
 * or its figures fail. */
typedef struct {
    const char *chapter;
    const char *briefly;    /* a run that is as short as can be */
    const char *completely; /* the run of the book; NULL if its numbers differ elsewhere */
    const char *learned;    /* the class of texts that a short run cannot know, or NULL */
} Drawing;

static const Drawing drawings[] = {
    {"00-autograd",
     BUILD "/chapter-00 moons --steps 3 --out $OUT && " BUILD
           "/chapter-00 bigram --bigram-steps 1 --out $OUT",
     BUILD "/chapter-00 moons --out $OUT && " BUILD
           "/chapter-00 bigram --bigram-steps 1 --out $OUT",
     NULL},
    {"01-rnn",
     BUILD "/chapter-01 train --steps 3 --eval-every 1 --width 8 --out $OUT && " BUILD
           "/chapter-01 memory --steps 1 --out $OUT",
     NULL, NULL},
    {"02-transformer", /* untrained, it is asked for the shortest answer */
     "small='--layers 2 --heads 2 --width 8 --hidden 8'; "
     "shortest='--beam 50 --length-penalty 0'; " BUILD "/chapter-02 train $small --steps 3 "
     "--eval-every 1 --out $OUT && " BUILD "/chapter-02 attention $shortest --load "
     "$OUT/model.safetensors --out $OUT --prompt knighthood && " BUILD "/chapter-02 train "
     "$small --task reverse --steps 1 --out $OUT/reverse && " BUILD "/chapter-02 attention "
     "$shortest --load $OUT/reverse/model.safetensors --out $OUT/reverse --prompt lineage "
     "&& mv $OUT/reverse/attention-1.svg $OUT/reverse.svg",
     NULL, "soft end"}, /* what the model says stands beside the rows */
    {"04-gpt",
     BUILD "/chapter-04 train --steps 3 --eval-every 1 --layers 2 --heads 2 --width 8 "
           "--out $OUT && " BUILD "/chapter-04 attention --load $OUT/model.safetensors "
           "--out $OUT --prompt \"$(printf 'CELIA:\\nWho?\\n\\nROSALIND:\\nG')\"",
     NULL, NULL},
};

/* ---- The figures ---- */

/* The paths that fit the pattern; to be freed with globfree. */
static glob_t paths_of(const char *pattern)
{
    glob_t paths = {0};
    int status = glob(pattern, 0, NULL, &paths);
    ck_assert(status == 0 || status == GLOB_NOMATCH);
    return paths;
}

static glob_t all_figures(void)
{
    glob_t figures = paths_of("chapters/*/figures/*");
    ck_assert_uint_gt(figures.gl_pathc, 0);
    return figures;
}

static const char *name_in(const char *path)
{
    return strrchr(path, '/') + 1;
}

static const Drawing *drawing_of(const char *figure)
{
    for (size_t i = 0; i < sizeof drawings / sizeof *drawings; i++) {
        char begin[100];
        snprintf(begin, sizeof begin, "chapters/%s/", drawings[i].chapter);
        if (strncmp(figure, begin, strlen(begin)) == 0)
            return &drawings[i];
    }
    ck_abort_msg("%s: no row of the table in this test draws it", figure);
    return NULL;
}

/* The figure as the commands draw it, which have run; the caller frees it. */
static char *drawn_anew(const char *figure)
{
    const char *path = scratch(name_in(figure));
    ck_assert_msg(file_exists(path), "%s is not drawn by the commands in this test",
                  figure);
    return text_of(path);
}

static void draw(const char *commands)
{
    char output[1 << 14];
    int status = run_command(output, sizeof output, "OUT=%s; %s", scratch_folder(),
                             commands);
    ck_assert_msg(status == 0, "%s\n%s", commands, output);
}

/* ---- What a picture says ---- */

/* A text of a picture: how it is set, and the words. */
typedef struct {
    const char *class, *words;
    int class_length, length;
} Saying;

/* True for what stands at ticks and at the ends of a colour scale: 0.5, -1.0, 2e-4, 10k. */
static bool is_number(const Saying *s)
{
    char *end;
    strtod(s->words, &end);
    if (end > s->words && *end && strchr("kMG", *end))
        end++;
    return strncmp(s->class, "soft", 4) == 0 && s->length > 0 &&
           end == s->words + s->length;
}

/* The next text, title or style from `at` on; returns where it ends, NULL if there is
 * none. */
static const char *next_saying(const char *at, Saying *s)
{
    static const char *const tags[] = {"<text ", "<title>", "<style>"};
    for (; (at = strchr(at, '<')); at++)
        for (int i = 0; i < 3; i++) {
            if (strncmp(at, tags[i], strlen(tags[i])) != 0)
                continue;
            s->words = strchr(at, '>') + 1;
            s->length = (int)strcspn(s->words, "<");
            s->class = i == 0 ? strstr(at, "class=\"") + 7 : at + 1;
            s->class_length = (int)strcspn(s->class, "\">");
            return s->words + s->length;
        }
    return NULL;
}

static int compare_bytes(const char *a, int a_length, const char *b, int b_length)
{
    int order = memcmp(a, b, (size_t)(a_length < b_length ? a_length : b_length));
    return order ? order : a_length - b_length;
}

/* By class, and within it as they come. The names of levels alone, which are "soft", stand
 * where the numbers want them. */
static int compare_sayings(const void *left, const void *right)
{
    const Saying *a = left, *b = right;
    int order = compare_bytes(a->class, a->class_length, b->class, b->class_length);
    if (order != 0)
        return order;
    if (strncmp(a->class, "soft\"", 5) == 0)
        return compare_bytes(a->words, a->length, b->words, b->length);
    return a->words < b->words ? -1 : 1;
}

static bool is_of_class(const Saying *s, const char *class)
{
    return class && s->class_length == (int)strlen(class) &&
           strncmp(s->class, class, strlen(class)) == 0;
}

/* All that a picture says and that does not depend on numbers, nor is of the class
 * `learned`, a line each; the caller frees it. */
static char *sayings_of(const char *svg, const char *learned)
{
    enum { MOST = 1000 };
    Saying found[MOST];
    int count = 0;
    for (const char *at = svg; (at = next_saying(at, &found[count]));) {
        count += !is_number(&found[count]) && !is_of_class(&found[count], learned);
        ck_assert_int_lt(count, MOST);
    }
    qsort(found, (size_t)count, sizeof *found, compare_sayings);
    size_t size = strlen(svg) + 3 * (size_t)count + 1;
    char *lines = allocate(size, 1), *end = lines;
    for (int i = 0; i < count; i++)
        end += snprintf(end, size - (size_t)(end - lines), "%.*s: %.*s\n",
                        found[i].class_length, found[i].class, found[i].length,
                        found[i].words);
    return lines;
}

/* Fails unless both pictures say the same, but for the class `learned`. */
static void check_sayings(const char *figure, const char *learned, const char *kept,
                          const char *drawn)
{
    char *want = sayings_of(kept, learned), *got = sayings_of(drawn, learned);
    const char *w = want, *g = got;
    for (const char *at = w; *at && *at == got[at - want]; at++)
        if (*at == '\n') { /* on to the first line that differs */
            w = at + 1;
            g = got + (w - want);
        }
    ck_assert_msg(strcmp(w, g) == 0,
                  "%s is out of date (make figures): it has \"%.*s\" and is drawn with "
                  "\"%.*s\"",
                  figure, (int)fmin(strcspn(w, "\n"), 1000), w,
                  (int)fmin(strcspn(g, "\n"), 1000), g);
    free(want);
    free(got);
}

/* ---- Comparing all of it ---- */

static bool begins_number(const char *at)
{
    return isdigit(*at) || (*at == '-' && isdigit(at[1]));
}

/* The same text, in which numbers may differ by `tolerance`, and be as long as they like.
 * A path writes no blank before a minus sign. */
static bool same_picture(const char *a, const char *b, double tolerance)
{
    while (*a && *b) {
        a += *a == ' ' && begins_number(a + 1);
        b += *b == ' ' && begins_number(b + 1);
        if (begins_number(a) && begins_number(b)) {
            char *a_end, *b_end;
            if (fabs(strtod(a, &a_end) - strtod(b, &b_end)) > tolerance)
                return false;
            a = a_end;
            b = b_end;
        } else if (*a++ != *b++)
            return false;
    }
    return *a == *b;
}

/* ---- Tests ---- */

static const char chart[] =
    "<svg><title>T</title><style>.c0{}</style><text x=\"1\" class=\"soft end\">0.5</text>"
    "<text x=\"1\" class=\"soft\">y</text><text x=\"1\" class=\"soft\">level</text>"
    "<text x=\"1\" class=\"soft end\">2e-4</text><text x=\"1\" class=\"soft end\">M</text>"
    "<text x=\"1\" class=\"soft end\">W</text><text x=\"1\" class=\"name c0\">-1</text>"
    "<path d=\"M1.5 2l-3.25 4\"/></svg>";

/* The chart with the first occurrence of `from` replaced; the caller frees it. */
static char *chart_but(const char *from, const char *to)
{
    const char *at = strstr(chart, from);
    ck_assert(at != NULL);
    char *changed = allocate(sizeof chart + strlen(to), 1);
    sprintf(changed, "%.*s%s%s", (int)(at - chart), chart, to, at + strlen(from));
    return changed;
}

START_TEST(the_comparison_of_texts_sees_what_it_should)
{
    const struct {
        const char *from, *to;
        bool same;
    } cases[] = {
        {">0.5<", ">10k<", true}, /* a tick */
        {"1.5 2l", "9 9l", true}, /* data */
        {">y</text><text x=\"1\" class=\"soft\">level<",
         ">level</text><text x=\"1\" class=\"soft\">y<", true},
        {"<text x=\"1\" class=\"soft end\">2e-4</text>", "", true},
        {">-1<", ">+1<", false}, /* the name of a line */
        {"name c0", "name c1", false},
        {">level<", ">levels<", false},
        {">T<", "><", false},
        {".c0{}", ".c0{x}", false},
        {">M</text><text x=\"1\" class=\"soft end\">W<",
         ">W</text><text x=\"1\" class=\"soft end\">M<", false},
        {"<text x=\"1\" class=\"soft\">y</text>", "", false},
    };
    char *whole = sayings_of(chart, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *changed = chart_but(cases[i].from, cases[i].to);
        char *sayings = sayings_of(changed, NULL);
        ck_assert_msg((strcmp(whole, sayings) == 0) == cases[i].same, "%s for %s:\n%s",
                      cases[i].to, cases[i].from, sayings);
        free(changed);
        free(sayings);
    }
    free(whole);
}
END_TEST

START_TEST(a_class_that_is_learned_is_left_out_and_no_other)
{
    const struct {
        const char *from, *to;
        bool same;
    } cases[] = {
        {">W<", ">V<", true}, {">level<", ">levels<", false}, {">T<", "><", false}};
    char *whole = sayings_of(chart, "soft end");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *changed = chart_but(cases[i].from, cases[i].to);
        char *sayings = sayings_of(changed, "soft end");
        ck_assert_msg((strcmp(whole, sayings) == 0) == cases[i].same, "%s for %s:\n%s",
                      cases[i].to, cases[i].from, sayings);
        free(changed);
        free(sayings);
    }
    free(whole);
}
END_TEST

START_TEST(the_comparison_of_numbers_sees_what_it_should)
{
    ck_assert(same_picture("M1.5 2l-3.25 4", "M1.50 2.05l-3.2 4", 0.1));
    ck_assert(same_picture("l1.5 0", "l1.5-0.1", 0.11));
    ck_assert(!same_picture("M1.5 2l-3.25 4", "M1.5 2.2l-3.25 4", 0.1));
    ck_assert(!same_picture("M1.5 2", "M1.5 2l3", 0.1));
    ck_assert(!same_picture("M1.5 2", "L1.5 2", 0.1));
    ck_assert(!same_picture("M0.05 2", "M-1 2", 0.1));
}
END_TEST

START_TEST(every_figure_is_shown_in_its_chapter)
{
    glob_t figures = all_figures();
    for (size_t i = 0; i < figures.gl_pathc; i++) {
        const char *figure = figures.gl_pathv[i], *name = name_in(figure);
        char readme[300], link[300];
        int folder = (int)(name - figure) - (int)strlen("figures/");
        snprintf(readme, sizeof readme, "%.*sREADME.md", folder, figure);
        snprintf(link, sizeof link, "](figures/%s", name);
        char *text = text_of(readme), *at = strstr(text, link);
        ck_assert_msg(at && strchr(") ", at[strlen(link)]), "%s does not show %s", readme,
                      name);
        free(text);
    }
    globfree(&figures);
}
END_TEST

/* What is out of date goes first, and each figure is then put there by name. */
START_TEST(make_figures_removes_and_draws_every_figure)
{
    static char commands[1 << 16];
    int status = run_command(commands, sizeof commands,
                             "MAKEFLAGS= make -n BUILD=" BUILD " figures");
    ck_assert_msg(status == 0, "make -n figures says:\n%s", commands);
    glob_t figures = all_figures();
    for (size_t i = 0; i < figures.gl_pathc; i++) {
        const char *figure = figures.gl_pathv[i];
        char removing[300], drawing[300];
        snprintf(removing, sizeof removing, "rm -f %.*s*\n",
                 (int)(name_in(figure) - figure), figure);
        snprintf(drawing, sizeof drawing, "/%s %s\n", name_in(figure), figure);
        const char *removed = strstr(commands, removing);
        ck_assert_msg(removed && strstr(removed, drawing),
                      "make figures should %.*s and then cp ...%.*s",
                      (int)strlen(removing) - 1, removing, (int)strlen(drawing) - 1,
                      drawing);
    }
    globfree(&figures);
}
END_TEST

START_TEST(every_figure_says_what_the_programs_write_today)
{
    glob_t figures = all_figures();
    const Drawing *last = NULL;
    for (size_t i = 0; i < figures.gl_pathc; i++) {
        const char *figure = figures.gl_pathv[i];
        const Drawing *drawing = drawing_of(figure);
        if (drawing != last) { /* the figures of a chapter follow each other */
            scratch_remove();
            draw(drawing->briefly);
        }
        last = drawing;
        char *kept = text_of(figure), *drawn = drawn_anew(figure);
        check_sayings(figure, drawing->learned, kept, drawn);
        free(kept);
        free(drawn);
    }
    globfree(&figures);
}
END_TEST

/* Positions are in tenths of a pixel, and those of a line are steps: two roundings. */
START_TEST(figures_that_can_be_repeated_are_the_same_to_a_fifth_of_a_pixel)
{
    if (!getenv("LINEAGE_SLOW"))
        return;
    glob_t figures = all_figures();
    for (size_t i = 0; i < figures.gl_pathc; i++) {
        const char *figure = figures.gl_pathv[i];
        const Drawing *drawing = drawing_of(figure);
        if (!drawing->completely)
            continue;
        scratch_remove();
        draw(drawing->completely);
        char *kept = text_of(figure), *drawn = drawn_anew(figure);
        ck_assert_msg(same_picture(kept, drawn, 0.21), "%s is out of date: make figures",
                      figure);
        free(kept);
        free(drawn);
    }
    globfree(&figures);
}
END_TEST

SUITE("figures", 30, the_comparison_of_texts_sees_what_it_should,
      a_class_that_is_learned_is_left_out_and_no_other,
      the_comparison_of_numbers_sees_what_it_should, every_figure_is_shown_in_its_chapter,
      make_figures_removes_and_draws_every_figure,
      every_figure_says_what_the_programs_write_today,
      figures_that_can_be_repeated_are_the_same_to_a_fifth_of_a_pixel)
