/* test_plot.c - what the pictures contain, whatever the data. */
#include "base/files.h"
#include "plot/plot.h"
#include "suite.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- looking at pictures ---- */

/* A picture is too long to be printed. */
#define assert_drawn(svg, part) ck_assert_msg(strstr(svg, part), "nowhere: %s", part)

/* Fails unless every tag is closed in order and every & begins a reference. */
static void assert_well_formed(const char *svg)
{
    char open[16][16];
    int depth = 0;
    for (const char *c = svg; *c; c++) {
        ck_assert_msg(*c != '&' || (c[1] == '#' && strchr(c, ';')), "a raw &: %.40s", c);
        if (*c != '<')
            continue;
        bool closing = c[1] == '/';
        const char *name = c + 1 + closing;
        size_t length = strcspn(name, " >/");
        ck_assert(length > 0 && length < 16);
        for (c = name + length; *c && *c != '>'; c++) {
            ck_assert_msg(*c != '<', "a < within a tag: %.40s", name);
            if (*c == '"')
                c = strchr(c + 1, '"');
            ck_assert(c != NULL);
        }
        ck_assert_msg(*c == '>', "a tag without an end: %.40s", name);
        if (closing) {
            ck_assert_msg(depth > 0 && strncmp(open[depth - 1], name, length) == 0 &&
                              !open[depth - 1][length],
                          "not to be closed here: %.20s", name);
            depth--;
        } else if (c[-1] != '/') {
            ck_assert_int_lt(depth, 16);
            snprintf(open[depth++], sizeof open[0], "%.*s", (int)length, name);
        }
    }
    ck_assert_int_eq(depth, 0);
}

/* The file as text, after checks that every picture has to pass; freed by the caller. */
static char *picture(const char *path)
{
    Error error;
    long size;
    char *svg = file_read(path, &size, &error);
    ck_assert_msg(svg != NULL, "%s", error.text);
    ck_assert_msg(size < 60000, "%ld bytes are too many", size);
    assert_well_formed(svg);
    assert_drawn(svg, "role=\"img\"");
    assert_drawn(svg, "prefers-color-scheme");
    assert_drawn(svg, "<title>");
    assert_drawn(svg, "<desc>");
    const char *body = strstr(svg, "</style>");
    ck_assert_msg(!strstr(body, "nan") && !strstr(body, "inf"), "a number that is none");
    ck_assert_msg(!file_exists(scratch("picture.svg.new")),
                  "something half-written is left");
    return svg;
}

static char *chart_picture(const Chart *chart)
{
    Error error;
    ck_assert_msg(plot_lines(scratch("picture.svg"), chart, &error), "%s", error.text);
    return picture(scratch("picture.svg"));
}

static char *map_picture(const HeatMap *map)
{
    Error error;
    ck_assert_msg(plot_heat_map(scratch("picture.svg"), map, &error), "%s", error.text);
    return picture(scratch("picture.svg"));
}

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

/* The `d` of the first path of a class, whatever its style; its length goes to `length`. */
static const char *path_of(const char *svg, const char *class, int *length)
{
    char opening[64];
    snprintf(opening, sizeof opening, "<path class=\"%s\"", class);
    const char *path = strstr(svg, opening);
    ck_assert_msg(path != NULL, "there is no %s", opening);
    path = strstr(path, " d=\"") + 4;
    *length = (int)strcspn(path, "\"");
    return path;
}

/* Follows a path of M and l. Returns the number of its points. */
static int follow(const char *svg, const char *class, double *least, double *most)
{
    int length, points = 0;
    const char *c = path_of(svg, class, &length), *end = c + length;
    double y = 0;
    *least = INFINITY;
    *most = -INFINITY;
    for (; c < end; points++) {
        ck_assert_msg(*c == 'M' || *c == 'l', "a step of another kind: %.20s", c);
        char *rest;
        bool from_here = *c == 'l';
        strtod(c + 1, &rest);
        double step = strtod(rest, &rest);
        y = from_here ? y + step : step;
        *least = fmin(*least, y);
        *most = fmax(*most, y);
        c = rest;
    }
    return points;
}

/* The top and the bottom of the field that the lines are in. */
static void find_field(const char *svg, double *top, double *bottom)
{
    const char *inner = strstr(svg, "<svg x=");
    ck_assert(inner != NULL);
    *top = strtod(strstr(inner, " y=\"") + 4, NULL);
    *bottom = *top + strtod(strstr(inner, " height=\"") + 9, NULL);
}

/* ---- charts ---- */

static const double rising[] = {1, 2, 3, 4, 5};

START_TEST(a_chart_says_what_it_shows)
{
    const double falling[] = {4.1739, 3, 2, 1.5};
    PlotLine lines[] = {{.name = "gpt", .y = falling, .count = 4}};
    PlotReference level = {"bigram", 2.45};
    Chart chart = {.title = "Learning",
                   .x_label = "steps",
                   .y_label = "loss",
                   .lines = lines,
                   .count = 1,
                   .references = &level,
                   .reference_count = 1};
    char *svg = chart_picture(&chart);
    assert_drawn(svg, "<title>Learning</title>");
    assert_drawn(svg, "<desc>loss against steps; gpt from 4.17 to 1.50.</desc>");
    assert_drawn(svg, ">bigram</text>");
    assert_drawn(svg, ">gpt</text>");
    assert_drawn(svg, ">steps</text>");
    ck_assert_int_eq(occurrences(svg, "class=\"line c0\""), 1);
    ck_assert_int_eq(occurrences(svg, "class=\"axis level\""), 1);
    free(svg);
}
END_TEST

START_TEST(a_line_goes_where_the_data_go)
{
    PlotLine line = {.y = rising, .count = 5};
    Chart chart = {.lines = &line, .count = 1, .y_least = 1, .y_most = 5};
    char *svg = chart_picture(&chart);
    double top, bottom, least, most;
    find_field(svg, &top, &bottom);
    ck_assert_int_eq(follow(svg, "line c0", &least, &most), 5);
    ck_assert_double_eq_tol(least, top, 0.11);
    ck_assert_double_eq_tol(most, bottom, 0.11);
    assert_drawn(svg, "overflow=\"hidden\"");
    free(svg);
}
END_TEST

START_TEST(the_same_data_give_the_same_bytes)
{
    PlotLine line = {.name = "a", .y = rising, .count = 5};
    Chart chart = {.title = "t", .lines = &line, .count = 1, .log_y = true};
    char *once = chart_picture(&chart), *again = chart_picture(&chart);
    ck_assert_msg(strcmp(once, again) == 0, "two different pictures");
    free(once);
    free(again);
}
END_TEST

START_TEST(markup_in_names_is_escaped)
{
    PlotLine line = {.name = "</text>&<b a=\"1\">", .y = rising, .count = 5};
    Chart chart = {.title = "a < b & c", .y_label = "\"q\"", .lines = &line, .count = 1};
    char *svg = chart_picture(&chart);
    assert_drawn(svg, ">a &#60; b &#38; c</text>");
    assert_drawn(svg, ">&#60;/text&#62;&#38;&#60;b a=&#34;1&#34;&#62;</text>");
    free(svg);
}
END_TEST

START_TEST(names_that_xml_cannot_hold_become_visible)
{
    const char *names[] = {" the",         "\n",  "a\tb",     "\xE2\x82", "\xED\xA0\x80",
                           "\xEF\xBF\xBE", "é€𝄞", "\xC0\xAF", "a b"};
    const float values[9] = {0};
    HeatMap map = {.rows = 9, .columns = 1, .values = values, .row_names = names};
    char *svg = map_picture(&map);
    assert_drawn(svg, ">␣the<");
    assert_drawn(svg, ">↵<");
    assert_drawn(svg, ">a␉b<");
    assert_drawn(svg, ">\\xE2\\x82<");
    assert_drawn(svg, ">\\xED\\xA0\\x80<");
    assert_drawn(svg, ">\\xEF\\xBF\\xBE<");
    assert_drawn(svg, ">é€𝄞<");
    assert_drawn(svg, ">\\xC0\\xAF<");
    assert_drawn(svg, ">a b<");
    free(svg);
}
END_TEST

START_TEST(what_cannot_be_drawn_leaves_a_gap)
{
    const double y[] = {1, 2, NAN, 3, 4, INFINITY, -INFINITY, 5, 1e301, 6, 7};
    PlotLine line = {.y = y, .count = 11};
    Chart chart = {.lines = &line, .count = 1};
    char *svg = chart_picture(&chart);
    int length;
    const char *path = path_of(svg, "line c0", &length);
    char *d = strndup(path, (size_t)length);
    ck_assert_int_eq(occurrences(d, "M"), 4);
    ck_assert_int_eq(occurrences(d, "a2.5"), 2); /* the 5 that stands alone is a ring */
    ck_assert_int_eq(occurrences(d, "l"), 3);
    free(d);
    free(svg);
}
END_TEST

START_TEST(a_log_axis_skips_what_is_not_positive)
{
    const double x[] = {-1, 0, 1, 10, 100, 1000}, y[] = {5, 5, 0.01, 1, -3, 10000};
    PlotLine line = {.x = x, .y = y, .count = 6};
    Chart chart = {.log_x = true, .log_y = true, .lines = &line, .count = 1};
    char *svg = chart_picture(&chart);
    int length;
    char *d = strndup(path_of(svg, "line c0", &length), 400);
    d[length] = 0;
    ck_assert_int_eq(occurrences(d, "M"), 2);
    ck_assert_int_eq(occurrences(d, "l"), 1);
    assert_drawn(svg, ">0.01<");
    assert_drawn(svg, ">100<");
    assert_drawn(svg, ">10k<");
    free(d);
    free(svg);
}
END_TEST

START_TEST(ticks_are_round_numbers)
{
    const double large[] = {0, 1300000}, small[] = {0, 3e-4}, unit[] = {0.003, 0.97};
    const struct {
        const double *y;
        const char *ticks[3];
    } cases[] = {{large, {">0<", ">0.5M<", ">1.0M<"}},
                 {small, {">1e-4<", ">2e-4<", ">3e-4<"}},
                 {unit, {">0.2<", ">0.4<", ">0.8<"}}};
    for (int i = 0; i < 3; i++) {
        PlotLine line = {.y = cases[i].y, .count = 2};
        Chart chart = {.lines = &line, .count = 1};
        char *svg = chart_picture(&chart);
        for (int t = 0; t < 3; t++)
            assert_drawn(svg, cases[i].ticks[t]);
        free(svg);
    }
}
END_TEST

START_TEST(poor_data_still_make_a_picture)
{
    const double none[] = {NAN, INFINITY}, zero[] = {0, 0},
                 huge[] = {-DBL_MAX, DBL_MAX, 9e299, -9e299}, tiny[] = {5e-324, 1e-320},
                 close[] = {1, 1 + DBL_EPSILON}, five[] = {5, 5, 5}, negative[] = {-3, -3},
                 wide[] = {1e-299, 1e299};
    const PlotLine lines[] = {{.y = five, .count = 1},
                              {.y = five, .count = 3},
                              {.y = none, .count = 2},
                              {.y = zero, .count = 2},
                              {.y = huge, .count = 4},
                              {.y = tiny, .count = 2},
                              {.y = close, .count = 2},
                              {.y = negative, .count = 2},
                              {.y = wide, .count = 2},
                              {.y = NULL, .count = 0},
                              {.x = five, .y = rising, .count = 3},
                              {.x = wide, .y = tiny, .count = 2},
                              {.x = huge, .y = huge, .count = 4}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (int axes = 0; axes < 4; axes++) {
            Chart chart = {
                .lines = &lines[i], .count = 1, .log_x = axes & 1, .log_y = axes & 2};
            free(chart_picture(&chart));
        }
    Chart nothing = {0};
    free(chart_picture(&nothing));
}
END_TEST

START_TEST(thinning_keeps_the_extremes)
{
    enum { COUNT = 100000 };
    double *y = allocate(COUNT, sizeof *y);
    for (int i = 0; i < COUNT; i++)
        y[i] = 5 + sin(i * 0.7);
    y[31234] = 10;
    y[71003] = 0;
    PlotLine line = {.y = y, .count = COUNT};
    Chart chart = {.lines = &line, .count = 1, .y_least = 0, .y_most = 10};
    char *svg = chart_picture(&chart);
    double top, bottom, least, most;
    find_field(svg, &top, &bottom);
    ck_assert_int_lt(follow(svg, "line c0", &least, &most), 3000);
    ck_assert_double_eq_tol(least, top, 0.11);
    ck_assert_double_eq_tol(most, bottom, 0.11);
    free(svg);
    free(y);
}
END_TEST

START_TEST(many_noisy_lines_stay_small)
{
    enum { LINES = 10, COUNT = 20000 };
    double *y = allocate((size_t)LINES * COUNT, sizeof *y);
    PlotLine lines[LINES];
    unsigned noise = 1;
    for (int i = 0; i < LINES * COUNT; i++)
        y[i] = (noise = noise * 1664525 + 1013904223) / 4e9;
    for (int i = 0; i < LINES; i++)
        lines[i] = (PlotLine){.y = y + i * COUNT, .count = COUNT};
    Chart chart = {.lines = lines, .count = LINES};
    free(chart_picture(&chart)); /* picture() looks at the size */
    free(y);
}
END_TEST

START_TEST(a_faint_line_has_the_colour_of_the_next)
{
    PlotLine lines[] = {{.y = rising, .count = 5, .faint = true},
                        {.name = "a", .y = rising, .count = 5},
                        {.y = rising, .count = 5, .faint = true},
                        {.name = "b", .y = rising, .count = 5, .dashed = true}};
    Chart chart = {.lines = lines, .count = 4};
    char *svg = chart_picture(&chart);
    const char *classes[] = {"line c0 faint\"",  "line c0\"", "line c1 faint\"",
                             "line c1 dashed\"", "name c0\"", "name c1\""};
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(occurrences(svg, classes[i]), 1);
    free(svg);
}
END_TEST

/* The path of dots that a class has, as a copy; NULL if there is none. */
static char *dots_of(const char *svg, const char *class)
{
    int length;
    if (!strstr(svg, class))
        return NULL;
    const char *d = path_of(svg, class, &length);
    return strndup(d, (size_t)length);
}

START_TEST(markers_are_dots_at_the_points)
{
    const double y[] = {1, NAN, 3, 4, 5};
    PlotLine lines[] = {{.y = rising, .count = 5},
                        {.y = y, .count = 5, .faint = true, .markers = true},
                        {.y = y, .count = 5, .markers = true}};
    Chart chart = {.lines = lines, .count = 3, .y_least = 1, .y_most = 5};
    char *svg = chart_picture(&chart), *dots = dots_of(svg, "dots c1");
    ck_assert_int_eq(occurrences(svg, "class=\"dots"), 2);
    ck_assert_ptr_nonnull(dots);
    ck_assert_int_eq(occurrences(dots, "h0"), 4);
    ck_assert_int_eq(occurrences(dots, "M"), 4);
    double top, bottom, least, most;
    find_field(svg, &top, &bottom);
    ck_assert_double_eq_tol(strtod(strchr(dots, ' '), NULL), bottom, 0.11);
    ck_assert_double_eq_tol(strtod(strrchr(dots, ' '), NULL), top, 0.11);
    free(dots);
    dots = dots_of(svg, "dots c1 faint");
    ck_assert_ptr_nonnull(dots);
    ck_assert_int_eq(follow(svg, "line c0", &least, &most), 5);
    free(dots);
    free(svg);
}
END_TEST

START_TEST(markers_keep_their_distance)
{
    enum { COUNT = 20000 };
    double *y = allocate(COUNT, sizeof *y);
    for (int i = 0; i < COUNT; i++)
        y[i] = i % 7;
    PlotLine line = {.y = y, .count = COUNT, .markers = true};
    Chart chart = {.lines = &line, .count = 1};
    char *svg = chart_picture(&chart), *dots = dots_of(svg, "dots c0");
    int count = occurrences(dots, "M");
    ck_assert_int_gt(count, 100);
    ck_assert_int_lt(count, 720 / 4);
    double before = -100;
    for (char *dot = dots; (dot = strchr(dot, 'M')); dot++) {
        double x = strtod(dot + 1, NULL);
        ck_assert_double_ge(x - before, 3.89);
        before = x;
    }
    free(dots);
    free(svg);
    free(y);
}
END_TEST

START_TEST(names_that_must_move_stay_around_their_lines)
{
    const double y[] = {0, 5};
    PlotLine lines[] = {{.name = "a", .y = y, .count = 2},
                        {.name = "b", .y = y, .count = 2},
                        {.name = "c", .y = y, .count = 2}};
    Chart chart = {.lines = lines, .count = 3, .y_least = 0, .y_most = 10};
    char *svg = chart_picture(&chart);
    double top, bottom;
    find_field(svg, &top, &bottom);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "class=\"name c%d\"", i);
        const char *at = strstr(svg, name);
        ck_assert(at != NULL);
        while (strncmp(at, "y=\"", 3) != 0)
            at--;
        /* A baseline is 4 pixels below the middle of its letters. */
        ck_assert_double_eq_tol(strtod(at + 3, NULL), (top + bottom) / 2 + 4 + 15 * (i - 1),
                                0.5);
    }
    free(svg);
}
END_TEST

START_TEST(names_at_the_ends_of_lines_do_not_overlap)
{
    PlotLine lines[9];
    double y[9][2];
    for (int i = 0; i < 9; i++) {
        y[i][0] = i;
        y[i][1] = i == 4 ? 8 : 0.001 * i;
        lines[i] = (PlotLine){.name = "line", .y = y[i], .count = 2};
    }
    Chart chart = {.lines = lines, .count = 9};
    char *svg = chart_picture(&chart);
    double top, bottom, before = 0;
    find_field(svg, &top, &bottom);
    int count = 0;
    for (const char *c = svg; (c = strstr(c, " y=\"")); c++) {
        char *rest;
        double at = strtod(c + 4, &rest);
        if (strncmp(rest, "\" class=\"name", 13) != 0)
            continue;
        ck_assert_msg(at - before > 14.8, "%g and %g are too near", before, at);
        ck_assert(at > top && at < bottom + 5);
        before = at;
        count++;
    }
    ck_assert_int_eq(count, 9);
    free(svg);
}
END_TEST

START_TEST(numbers_stand_where_ticks_are_given)
{
    const double x[] = {5, 40, 160}, y[] = {1, 2, 3};
    PlotLine line = {.x = x, .y = y, .count = 3};
    Chart chart = {
        .lines = &line, .count = 1, .log_x = true, .x_ticks = x, .x_tick_count = 3};
    char *svg = chart_picture(&chart);
    ck_assert(strstr(svg, ">5<") && strstr(svg, ">40<") && strstr(svg, ">160<"));
    ck_assert(!strstr(svg, ">100<"));
    free(svg);
}
END_TEST

START_TEST(a_legend_names_lines_from_the_top_without_leaders)
{
    const double x[] = {0, 1, 5}, low[] = {0, 1, 0}, high[] = {2, 0, 3};
    PlotLine lines[] = {{.name = "a", .x = x, .y = low, .count = 2},
                        {.name = "b", .x = x, .y = high, .count = 3}};
    Chart chart = {.lines = lines, .count = 2};
    for (int legend = 0; legend < 2; legend++) {
        chart.legend = legend;
        char *svg = chart_picture(&chart);
        bool leaders = strstr(svg, "class=\"leader") != NULL;
        ck_assert(leaders != (bool)legend);
        const char *a = strstr(svg, ">a<"), *b = strstr(svg, ">b<");
        ck_assert(a && b);
        /* Without a legend the higher line comes first. */
        ck_assert((a < b) == (bool)legend);
        free(svg);
    }
}
END_TEST

/* ---- heat maps ---- */

START_TEST(a_heat_map_colours_its_values_and_leaves_nan_blank)
{
    const float values[] = {0, 1, NAN, 0.5F, 1, 1};
    const char *rows[] = {"up", "down"}, *columns[] = {"a", "b", "c"};
    HeatMap map = {.title = "Looks",
                   .rows = 2,
                   .columns = 3,
                   .values = values,
                   .row_names = rows,
                   .column_names = columns};
    char *svg = map_picture(&map);
    assert_drawn(svg, "<path d=\"M0 0h1\" class=\"h0\"/>");
    assert_drawn(svg, "<path d=\"M1 0h1M1 1h2\" class=\"h31\"/>");
    assert_drawn(svg, "<path d=\"M0 1h1\" class=\"h16\"/>");
    ck_assert_msg(!strstr(svg, "M2 0h1"), "the NaN was drawn");
    assert_drawn(svg, ">down</text>");
    assert_drawn(svg, ">c</text>");
    assert_drawn(svg, "2 rows and 3 columns, with values from 0 to 1.00.");
    free(svg);
}
END_TEST

START_TEST(values_beyond_the_given_range_have_the_colours_of_its_ends)
{
    const float values[] = {-7, 9, 0.5F};
    HeatMap map = {.rows = 1, .columns = 3, .values = values, .least = 0, .most = 1};
    char *svg = map_picture(&map);
    assert_drawn(svg, "<path d=\"M0 0h1\" class=\"h0\"/>");
    assert_drawn(svg, "<path d=\"M1 0h1\" class=\"h31\"/>");
    free(svg);
}
END_TEST

START_TEST(long_column_names_are_slanted)
{
    const float values[] = {1, 2};
    const char *names[] = {"a", "encyclopedia"}, *short_names[] = {"a", "b"};
    HeatMap map = {.rows = 1, .columns = 2, .values = values, .column_names = names};
    char *svg = map_picture(&map);
    ck_assert_int_eq(occurrences(svg, "rotate(-45)"), 2);
    free(svg);
    map.column_names = short_names;
    svg = map_picture(&map);
    ck_assert_int_eq(occurrences(svg, "rotate(-45)"), 0);
    free(svg);
}
END_TEST

START_TEST(a_large_heat_map_shows_means_of_blocks)
{
    enum { ROWS = 130, COLUMNS = 251 };
    float *values = allocate((size_t)ROWS * COLUMNS, sizeof *values);
    unsigned noise = 1;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        values[i] = (float)((noise = noise * 1664525 + 1013904223) / 4e9);
    HeatMap map = {.rows = ROWS, .columns = COLUMNS, .values = values};
    free(map_picture(&map));

    /* Blocks of 4 x 4, the last ones cut: one that is all 1, one with half of it. */
    for (int i = 0; i < ROWS * COLUMNS; i++)
        values[i] = i / COLUMNS >= 128 && i % COLUMNS >= 248 ? 1 : i == 0 ? 8 : 0;
    char *svg = map_picture(&map);
    assert_drawn(svg, "<path d=\"M62 32h1\" class=\"h31\"/>");
    assert_drawn(svg, "<path d=\"M0 0h1\" class=\"h16\"/>");
    free(svg);
    free(values);
}
END_TEST

START_TEST(poor_heat_maps_still_make_a_picture)
{
    const float none[] = {NAN, INFINITY, NAN, -INFINITY}, same[] = {3, 3, 3, 3},
                huge[] = {FLT_MAX, -FLT_MAX, 0, 1e-45F};
    const HeatMap maps[] = {{.rows = 2, .columns = 2, .values = none},
                            {.rows = 2, .columns = 2, .values = same},
                            {.rows = 4, .columns = 1, .values = huge},
                            {.rows = 1, .columns = 1, .values = same},
                            {.rows = 0, .columns = 0}};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        free(map_picture(&maps[i]));
}
END_TEST

/* ---- troubles with the file ---- */

START_TEST(a_path_that_cannot_be_written_is_named)
{
    Error error = {""};
    PlotLine line = {.y = rising, .count = 5};
    Chart chart = {.lines = &line, .count = 1};
    const float value = 1;
    HeatMap map = {.rows = 1, .columns = 1, .values = &value};
    ck_assert(!plot_lines("/nowhere/at/all.svg", &chart, &error));
    ck_assert_str_eq(error.text,
                     "cannot write /nowhere/at/all.svg: No such file or directory");
    ck_assert(!plot_heat_map("/nowhere/map.svg", &map, &error));
    assert_contains(error.text, "cannot write /nowhere/map.svg: ");
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_picture)
{
    Error error = {""};
    PlotLine line = {.y = rising, .count = 5};
    Chart chart = {.lines = &line, .count = 1};
    char *before = chart_picture(&chart);

    struct rlimit limit = {1000, 1000};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    chart.title = "another";
    ck_assert(!plot_lines(scratch("picture.svg"), &chart, &error));
    assert_contains(error.text, "picture.svg: File too large");

    char *after = picture(scratch("picture.svg"));
    ck_assert_msg(strcmp(before, after) == 0, "another picture");
    free(before);
    free(after);
}
END_TEST

/* ---- the terminal ---- */

/* The text of a curve, whose lines must all be `width` characters wide; freed by the
 * caller. */
static char *curve(const double *y, int count, int width, int height)
{
    size_t size = PLOT_TERMINAL_BYTES(width, height);
    char *text = allocate(size, 1);
    plot_terminal(text, size, y, count, width, height);
    int lines = 0, characters = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '\n') {
            ck_assert_int_eq(characters, width);
            lines++;
            characters = 0;
        } else
            characters += (*c & 0xC0) != 0x80;
    }
    ck_assert_int_eq(characters, 0);
    ck_assert_int_eq(lines, height);
    return text;
}

START_TEST(a_falling_line_goes_down_dot_by_dot)
{
    const double y[] = {3, 0};
    char *text = curve(y, 2, 16, 1);
    ck_assert_str_eq(text, "⠉⠉⠉⠒⠒⠒⠒⠒⠤⠤⠤⠤⠤⣀⣀⣀\n");
    free(text);
}
END_TEST

START_TEST(a_curve_names_its_highest_and_lowest_value)
{
    const double y[] = {4.1739, 2, 1.5, 1.25};
    char *text = curve(y, 4, 24, 3);
    ck_assert_msg(strncmp(text, "4.17 ", 5) == 0, "%s", text);
    assert_contains(text, "\n     ");
    assert_contains(text, "\n1.25 ");
    free(text);
}
END_TEST

START_TEST(a_curve_keeps_single_peaks_and_shows_gaps)
{
    enum { COUNT = 5000 };
    double *y = allocate(COUNT, sizeof *y);
    y[2500] = 1;
    char *text = curve(y, COUNT, 40, 4);
    ck_assert_msg((unsigned char)text[strcspn(text, "\xE2")] == 0xE2 &&
                      strchr(text, '\xE2') < strchr(text, '\n'),
                  "the peak is not in the first line:\n%s", text);
    free(text);

    for (int i = 1000; i < 4000; i++)
        y[i] = NAN;
    text = curve(y, COUNT, 40, 1);
    ck_assert_str_eq(text, "⠤⠤⠤⠤⠤⠤⠤⠤⠄                      ⠠⠤⠤⠤⠤⠤⠤⠤⠤\n");
    free(text);
    free(y);
}
END_TEST

START_TEST(poor_curves_are_drawn_as_far_as_they_go)
{
    const double none[] = {NAN, NAN}, huge[] = {-DBL_MAX, 9e299, -9e299},
                 tiny[] = {5e-324, 0};
    char *text = curve(none, 2, 16, 2);
    ck_assert_str_eq(text, "                \n                \n");
    free(text);
    text = curve(NULL, 0, 16, 1);
    ck_assert_str_eq(text, "                \n");
    free(text);
    free(curve(huge, 3, 30, 3));
    free(curve(tiny, 2, 30, 3));
    free(curve(rising, 1, 16, 2));
}
END_TEST

START_TEST(too_small_a_buffer_is_a_mistake_of_the_program)
{
    pid_t child = fork();
    if (child == 0) {
        char text[PLOT_TERMINAL_BYTES(16, 2) - 1];
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        plot_terminal(text, sizeof text, rising, 5, 16, 2);
        _exit(0);
    }
    int status;
    ck_assert(waitpid(child, &status, 0) == child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

SUITE("plot", 4, a_chart_says_what_it_shows, a_line_goes_where_the_data_go,
      the_same_data_give_the_same_bytes, markup_in_names_is_escaped,
      names_that_xml_cannot_hold_become_visible, what_cannot_be_drawn_leaves_a_gap,
      a_log_axis_skips_what_is_not_positive, ticks_are_round_numbers,
      poor_data_still_make_a_picture, thinning_keeps_the_extremes,
      many_noisy_lines_stay_small, a_faint_line_has_the_colour_of_the_next,
      markers_are_dots_at_the_points, markers_keep_their_distance,
      names_that_must_move_stay_around_their_lines,
      names_at_the_ends_of_lines_do_not_overlap, numbers_stand_where_ticks_are_given,
      a_legend_names_lines_from_the_top_without_leaders,
      a_heat_map_colours_its_values_and_leaves_nan_blank,
      values_beyond_the_given_range_have_the_colours_of_its_ends,
      long_column_names_are_slanted, a_large_heat_map_shows_means_of_blocks,
      poor_heat_maps_still_make_a_picture, a_path_that_cannot_be_written_is_named,
      a_full_disk_leaves_the_old_picture, a_falling_line_goes_down_dot_by_dot,
      a_curve_names_its_highest_and_lowest_value, a_curve_keeps_single_peaks_and_shows_gaps,
      poor_curves_are_drawn_as_far_as_they_go,
      too_small_a_buffer_is_a_mistake_of_the_program)
