/* plot.c - line charts as SVG. */
#include "plot/plot.h"
#include "base/files.h"
#include "plot/svg.h"

#include <math.h>
#include <stdlib.h>

enum {
    CHART_WIDTH = 720,
    CHART_HEIGHT = 400,
    X_TICKS = 6, /* about so many */
    Y_TICKS = 4,
    TICKS_MOST = 32,
    NAME_DISTANCE = 15 /* pixels from one name in the margin to the next */
};

/* ---- scales ---- */

typedef struct {
    double least, most;
} Range;

static const Range NOTHING = {INFINITY, -INFINITY};

static void widen(Range *range, double value)
{
    range->least = fmin(range->least, value);
    range->most = fmax(range->most, value);
}

static bool drawable(double value, bool log)
{
    return isfinite(value) && fabs(value) < 1e300 && (!log || value > 1e-300);
}

/* From values to pixels: `least` goes to `from`, `most` to `to`. On a logarithmic scale
 * these two are decimal logarithms. */
typedef struct {
    double least, most, from, to;
    bool log;
} Scale;

/* A scale over a range, with air of that fraction at both ends. An empty range and a single
 * value get a scale as well. */
static Scale scale_over(Range range, bool log, double air, double from, double to)
{
    if (range.least > range.most)
        range = log ? (Range){1, 10} : (Range){0, 1};
    Scale s = {range.least, range.most, from, to, log};
    if (log) {
        s.least = log10(s.least);
        s.most = log10(s.most);
    }
    double size = fmax(fabs(s.least), fabs(s.most)), ends = air * (s.most - s.least);
    bool starts_above_zero = !log && s.least >= 0;
    if (s.most - s.least <= fmax(log ? 1e-9 : 1e-9 * size, 1e-290))
        ends = log ? 0.3 : size > 1e-280 ? size / 10 : 1;
    s.least -= ends;
    s.most += ends;
    if (starts_above_zero) /* air must not suggest values below zero */
        s.least = fmax(s.least, 0);
    return s;
}

static double place(const Scale *s, double value)
{
    double v = s->log ? log10(value) : value;
    double share = (v - s->least) / (s->most - s->least);
    return s->from + fmin(fmax(share, -20), 20) * (s->to - s->from);
}

typedef struct {
    double at;
    Number text;
} Tick;

/* The nearest, by ratio, of ..., 0.5, 1, 2, 5, 10, 20, ... */
static double nice_step(double wanted)
{
    double power = pow(10, floor(log10(wanted))), digit = wanted / power;
    return power * (digit < sqrt(2) ? 1 : digit < sqrt(10) ? 2 : digit < sqrt(50) ? 5 : 10);
}

/* Goes on to the next tick where that is near: from 4999 steps to 5000. */
static void complete(Scale *s, int wanted)
{
    double span = s->most - s->least, step = nice_step(span / wanted);
    double next = ceil(s->most / step) * step;
    if (!s->log && next - s->most <= 0.021 * span)
        s->most = next;
}

static int linear_ticks(double least, double most, int wanted, Tick *ticks)
{
    double step = nice_step((most - least) / wanted),
           biggest = fmax(fabs(least), fabs(most));
    int count = 0;
    for (double i = ceil(least / step - 1e-6); i <= most / step + 1e-6; i++)
        if (count < TICKS_MOST)
            ticks[count++] = (Tick){i * step, number_readable(i * step, biggest, step)};
    return count;
}

/* Decades, with 2 and 5 in between where there is room. A scale of less than a decade gets
 * the ticks of a linear one, though not at equal distances. */
static int scale_ticks(const Scale *s, int wanted, Tick *ticks)
{
    static const double digits[] = {1, 2, 5};
    double decades = s->most - s->least;
    if (!s->log)
        return linear_ticks(s->least, s->most, wanted, ticks);
    if (decades < 1)
        return linear_ticks(pow(10, s->least), pow(10, s->most), wanted, ticks);
    int every = (int)ceil(decades / 8), count = 0;
    for (int power = (int)floor(s->least); power <= s->most; power++)
        for (int d = 0; d < (decades <= 3 ? 3 : 1); d++) {
            double value = digits[d] * pow(10, power), v = log10(value);
            if (power % every == 0 && v >= s->least - 1e-6 && v <= s->most + 1e-6 &&
                count < TICKS_MOST)
                ticks[count++] = (Tick){value,
                                        number_readable(value, value, pow(10, power))};
        }
    return count;
}

/* ---- line charts ---- */

typedef struct {
    const Chart *chart;
    double left, right, top, bottom; /* of the field where the lines are */
    Scale x, y;
    Tick x_ticks[TICKS_MOST], y_ticks[TICKS_MOST];
    int x_tick_count, y_tick_count;
} Field;

static double x_of(const PlotLine *line, int i)
{
    return line->x ? line->x[i] : i;
}

static bool has_point(const Chart *chart, const PlotLine *line, int i)
{
    return drawable(x_of(line, i), chart->log_x) && drawable(line->y[i], chart->log_y);
}

/* The first (step 1) or the last (step -1) point that can be drawn, or -1. */
static int end_point(const Chart *chart, const PlotLine *line, int step)
{
    for (int i = step > 0 ? 0 : line->count - 1; i >= 0 && i < line->count; i += step)
        if (has_point(chart, line, i))
            return i;
    return -1;
}

static bool has_own_range(const Chart *chart)
{
    return chart->y_least < chart->y_most && drawable(chart->y_least, chart->log_y) &&
           drawable(chart->y_most, chart->log_y);
}

static void find_ranges(const Chart *chart, Range *x, Range *y)
{
    *x = *y = NOTHING;
    for (int l = 0; l < chart->count; l++)
        for (int i = 0; i < chart->lines[l].count; i++)
            if (has_point(chart, &chart->lines[l], i)) {
                widen(x, x_of(&chart->lines[l], i));
                widen(y, chart->lines[l].y[i]);
            }
    for (int r = 0; r < chart->reference_count; r++)
        if (drawable(chart->references[r].y, chart->log_y))
            widen(y, chart->references[r].y);
    if (has_own_range(chart))
        *y = (Range){chart->y_least, chart->y_most};
}

static int given_ticks(const Chart *chart, Tick *ticks)
{
    int count = 0;
    for (; count < chart->x_tick_count && count < TICKS_MOST; count++) {
        double x = chart->x_ticks[count];
        ticks[count] = (Tick){x, number_readable(x, x, fabs(x))};
    }
    return count;
}

/* Divides the picture: names to the right, numbers to the left and below. */
static Field lay_out(const Chart *chart)
{
    Field f = {.chart = chart, .top = chart->y_label ? 68 : 48};
    f.bottom = CHART_HEIGHT - (chart->x_label ? 56 : 36);
    double names = 0, numbers = 0;
    for (int i = 0; i < chart->count; i++)
        if (!chart->lines[i].faint)
            names = fmax(names, svg_text_width(chart->lines[i].name));
    for (int i = 0; i < chart->reference_count; i++)
        names = fmax(names, svg_text_width(chart->references[i].name));

    Range x, y;
    find_ranges(chart, &x, &y);
    f.y = scale_over(y, chart->log_y, has_own_range(chart) ? 0 : 0.05, f.bottom, f.top);
    f.y_tick_count = scale_ticks(&f.y, Y_TICKS, f.y_ticks);
    for (int i = 0; i < f.y_tick_count; i++)
        numbers = fmax(numbers, svg_text_width(f.y_ticks[i].text.text));
    f.left = SVG_MARGIN + numbers + 10;
    f.right = CHART_WIDTH - SVG_MARGIN -
              fmin(names > 0 ? names + 10 : 8, CHART_WIDTH / 2.5);
    f.x = scale_over(x, chart->log_x, 0, f.left, f.right);
    complete(&f.x, X_TICKS);
    f.x_tick_count = chart->x_ticks ? given_ticks(chart, f.x_ticks)
                                    : scale_ticks(&f.x, X_TICKS, f.x_ticks);
    return f;
}

static void describe_chart(FILE *out, const Chart *chart)
{
    fprintf(out, "<desc>");
    svg_escaped(out, chart->y_label ? chart->y_label : "y");
    fprintf(out, " against ");
    svg_escaped(out, chart->x_label ? chart->x_label : "x");
    for (int i = 0; i < chart->count; i++) {
        const PlotLine *line = &chart->lines[i];
        int first = end_point(chart, line, 1), last = end_point(chart, line, -1);
        if (line->faint || !line->name || first < 0)
            continue;
        fprintf(out, "; ");
        svg_escaped(out, line->name);
        fprintf(out, " from %s to %s", number_rounded(line->y[first]).text,
                number_rounded(line->y[last]).text);
    }
    fprintf(out, ".</desc>\n");
}

static void draw_axes(FILE *out, const Field *f)
{
    for (int i = 0; i < f->y_tick_count; i++) {
        double y = place(&f->y, f->y_ticks[i].at);
        svg_rule(out, "grid", f->left, y, f->right, y);
        svg_text(out, f->left - 8, y + 4, "soft end", f->y_ticks[i].text.text);
    }
    svg_rule(out, "axis", f->left, f->bottom, f->right, f->bottom);
    for (int i = 0; i < f->x_tick_count; i++) {
        double x = place(&f->x, f->x_ticks[i].at);
        svg_rule(out, "axis", x, f->bottom, x, f->bottom + 4);
        svg_text(out, x, f->bottom + 18, "soft middle", f->x_ticks[i].text.text);
    }
    svg_text(out, SVG_MARGIN, 50, "soft", f->chart->y_label);
    svg_text(out, (f->left + f->right) / 2, f->bottom + 42, "soft middle",
             f->chart->x_label);
}

/* Writes a path with relative steps, which are shorter. Positions are kept in tenths of a
 * pixel, so that rounding does not add up. */
typedef struct {
    FILE *out;
    double x, y;
    int points; /* since the pen was put down */
} Pen;

static void pen_to(Pen *pen, double x, double y)
{
    x = round(x * 10) / 10;
    y = round(y * 10) / 10;
    if (pen->points == 0)
        fprintf(pen->out, "M%s %s", svg_pixel(x).text, svg_pixel(y).text);
    else
        fprintf(pen->out, "l%s%s%s", svg_pixel(x - pen->x).text, y < pen->y ? "" : " ",
                svg_pixel(y - pen->y).text);
    pen->x = x;
    pen->y = y;
    pen->points++;
}

/* A point that stands alone becomes a small ring, for a line needs two. */
static void pen_up(Pen *pen)
{
    if (pen->points == 1)
        fprintf(pen->out, "m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0");
    pen->points = 0;
}

/* Neighbours that fall into the same column of pixels; of these only the first, the lowest,
 * the highest and the last can be seen. */
typedef struct {
    int first, low, high, last;
    double column;
} Bunch;

static void draw_bunch(Pen *pen, const Field *f, const PlotLine *line, const Bunch *b)
{
    bool low_first = b->low < b->high;
    int order[] = {b->first, low_first ? b->low : b->high, low_first ? b->high : b->low,
                   b->last};
    for (int k = 0; k < 4; k++)
        if (k == 0 || order[k] != order[k - 1])
            pen_to(pen, place(&f->x, x_of(line, order[k])),
                   place(&f->y, line->y[order[k]]));
}

static void draw_line(FILE *out, const Field *f, const PlotLine *line, int colour)
{
    /* The more lines, the wider the columns: the file stays small. */
    double width = fmax(1, 0.5 * f->chart->count);
    Pen pen = {.out = out};
    Bunch bunch = {.first = -1};
    fprintf(out, "<path class=\"line c%d%s%s\" d=\"", colour % SVG_COLOURS,
            line->dashed ? " dashed" : "", line->faint ? " faint" : "");
    for (int i = 0; i <= line->count; i++) {
        bool point = i < line->count && has_point(f->chart, line, i);
        double column = point ? floor(place(&f->x, x_of(line, i)) / width) : -1;
        if (bunch.first >= 0 && (!point || column != bunch.column)) {
            draw_bunch(&pen, f, line, &bunch);
            bunch.first = -1;
        }
        if (!point) {
            pen_up(&pen);
            continue;
        }
        if (bunch.first < 0)
            bunch = (Bunch){i, i, i, i, column};
        bunch.last = i;
        if (line->y[i] < line->y[bunch.low])
            bunch.low = i;
        if (line->y[i] > line->y[bunch.high])
            bunch.high = i;
    }
    fprintf(out, "\"/>\n");
}

/* A step of length 0 with round ends is a dot. Its style is told here rather than in the
 * head, so that pictures without dots stay what they are. */
static void draw_markers(FILE *out, const Field *f, const PlotLine *line, int colour)
{
    double before = -INFINITY;
    fprintf(out,
            "<path class=\"dots c%d%s\" style=\"fill:none;stroke:currentColor;"
            "stroke-width:5;stroke-linecap:round\" d=\"",
            colour % SVG_COLOURS, line->faint ? " faint" : "");
    for (int i = 0; i < line->count; i++) {
        if (!has_point(f->chart, line, i))
            continue;
        double x = place(&f->x, x_of(line, i)), y = place(&f->y, line->y[i]);
        if (fabs(x - before) < 4)
            continue;
        fprintf(out, "M%s %sh0", svg_pixel(x).text, svg_pixel(y).text);
        before = x;
    }
    fprintf(out, "\"/>\n");
}

/* A name in the right margin, for what ends at (x, end). */
typedef struct {
    const char *name;
    int colour; /* -1: a reference */
    double x, end, y;
} Label;

/* Orders the labels from top to bottom and pushes apart those that would overlap. */
static void spread(Label *labels, int count, double top, double bottom)
{
    for (int i = 1; i < count; i++) {
        Label label = labels[i];
        int j = i;
        for (; j > 0 && labels[j - 1].end > label.end; j--)
            labels[j] = labels[j - 1];
        labels[j] = label;
    }
    for (int round = 0; round < 100; round++)
        for (int i = 1; i < count; i++) {
            double missing = NAME_DISTANCE - (labels[i].y - labels[i - 1].y);
            if (missing > 0) {
                labels[i - 1].y -= missing / 2;
                labels[i].y += missing / 2;
            }
        }
    for (int i = 0; i < count; i++)
        labels[i].y = fmax(labels[i].y, i ? labels[i - 1].y + NAME_DISTANCE - 0.1 : top);
    for (int i = count - 1; i >= 0; i--)
        labels[i].y = fmin(labels[i].y,
                           i < count - 1 ? labels[i + 1].y - NAME_DISTANCE : bottom);
}

static int gather_labels(const Field *f, Label *labels)
{
    const Chart *chart = f->chart;
    int count = 0, colour = 0;
    for (int i = 0; i < chart->reference_count; i++)
        if (chart->references[i].name && drawable(chart->references[i].y, chart->log_y))
            labels[count++] = (Label){.name = chart->references[i].name,
                                      .colour = -1,
                                      .x = f->right,
                                      .end = chart->references[i].y};
    for (int i = 0; i < chart->count; i++) {
        const PlotLine *line = &chart->lines[i];
        int last = end_point(chart, line, -1);
        if (!line->faint && line->name && last >= 0)
            labels[count++] = (Label){.name = line->name,
                                      .colour = colour % SVG_COLOURS,
                                      .x = place(&f->x, x_of(line, last)),
                                      .end = line->y[last]};
        colour += !line->faint;
    }
    for (int i = 0; i < count; i++) {
        Label *label = &labels[i];
        if (chart->legend) {
            label->x = f->right;
            label->end = f->top + NAME_DISTANCE * i;
        } else {
            label->end = place(&f->y, label->end);
        }
        label->y = label->end = fmin(fmax(label->end, f->top), f->bottom);
    }
    return count;
}

static void draw_labels(FILE *out, const Field *f)
{
    size_t most = (size_t)f->chart->count + (size_t)f->chart->reference_count;
    Label *labels = allocate(most, sizeof *labels);
    int count = gather_labels(f, labels);
    spread(labels, count, f->top, f->bottom);
    for (int i = 0; i < count; i++) {
        const Label *l = &labels[i];
        char class[32];
        snprintf(class, sizeof class, "leader c%d",
                 l->colour < 0 ? SVG_COLOURS - 1 : l->colour);
        if (fabs(l->y - l->end) > 4 || f->right - l->x > 12)
            fprintf(out, "<path class=\"%s\" d=\"M%s %sH%sL%s %s\"/>\n", class,
                    svg_pixel(l->x + 4).text, svg_pixel(l->end).text,
                    svg_pixel(f->right).text, svg_pixel(f->right + 7).text,
                    svg_pixel(l->y).text);
        snprintf(class, sizeof class, "name c%d", l->colour);
        svg_text(out, f->right + 10, l->y + 4, l->colour < 0 ? "soft" : class, l->name);
    }
    free(labels);
}

static void draw_chart(FILE *out, const Chart *chart)
{
    Field f = lay_out(chart);
    svg_begin(out, CHART_WIDTH, CHART_HEIGHT, chart->title, false);
    describe_chart(out, chart);
    draw_axes(out, &f);

    Number left = svg_pixel(f.left), top = svg_pixel(f.top),
           width = svg_pixel(f.right - f.left), height = svg_pixel(f.bottom - f.top);
    fprintf(out,
            "<svg x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" viewBox=\"%s %s %s %s\" "
            "overflow=\"%s\">\n",
            left.text, top.text, width.text, height.text, left.text, top.text, width.text,
            height.text, has_own_range(chart) ? "hidden" : "visible");
    for (int i = 0; i < chart->reference_count; i++) {
        double y = chart->references[i].y;
        if (drawable(y, chart->log_y))
            svg_rule(out, "axis level", f.left, place(&f.y, y), f.right, place(&f.y, y));
    }
    int colour = 0;
    for (int i = 0; i < chart->count; i++) {
        draw_line(out, &f, &chart->lines[i], colour);
        if (chart->lines[i].markers)
            draw_markers(out, &f, &chart->lines[i], colour);
        colour += !chart->lines[i].faint;
    }
    fprintf(out, "</svg>\n");
    draw_labels(out, &f);
    fprintf(out, "</svg>\n");
}

bool plot_lines(const char *path, const Chart *chart, Error *error)
{
    NewFile file;
    if (!newfile_open(&file, path, error))
        return false;
    draw_chart(file.stream, chart);
    return newfile_commit(&file, error);
}
