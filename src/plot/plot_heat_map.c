/* plot_heat_map.c - a matrix as coloured squares, as SVG. */
#include "base/files.h"
#include "plot/plot.h"
#include "plot/svg.h"

#include <math.h>
#include <stdlib.h>

enum {
    SQUARES_MOST = 64,    /* in either direction; a larger matrix is drawn in blocks */
    SQUARE_SIZE_MOST = 34 /* pixels */
};

static const double SLANT = 0.7071; /* names under the columns rise at 45 degrees */

typedef struct {
    const HeatMap *map;
    int block;         /* rows and columns of the matrix to a square */
    int rows, columns; /* of squares */
    double *values;    /* of the squares; NaN where there is nothing to show */
    double least, most;
    double size; /* of a square, in pixels */
    double left, top, right, bottom;
    double column_names; /* width of the widest */
    bool slanted;        /* whether the names under the columns are */
} Grid;

/* The mean of the numbers in a block; NaN when there are none. */
static double block_mean(const HeatMap *map, int block, int row, int column)
{
    double sum = 0;
    int count = 0;
    for (int r = row * block; r < (row + 1) * block && r < map->rows; r++)
        for (int c = column * block; c < (column + 1) * block && c < map->columns; c++) {
            double value = map->values[(size_t)r * (size_t)map->columns + (size_t)c];
            if (isfinite(value)) {
                sum += value;
                count++;
            }
        }
    return count ? sum / count : NAN;
}

static void gather_squares(Grid *g, const HeatMap *map)
{
    int longest = map->rows > map->columns ? map->rows : map->columns;
    g->block = longest > SQUARES_MOST ? (longest + SQUARES_MOST - 1) / SQUARES_MOST : 1;
    g->rows = (map->rows + g->block - 1) / g->block;
    g->columns = (map->columns + g->block - 1) / g->block;
    g->values = allocate((size_t)g->rows * (size_t)g->columns, sizeof *g->values);

    double least = INFINITY, most = -INFINITY;
    for (int i = 0; i < g->rows * g->columns; i++) {
        g->values[i] = block_mean(map, g->block, i / g->columns, i % g->columns);
        least = fmin(least, g->values[i]);
        most = fmax(most, g->values[i]);
    }
    bool given = map->least < map->most && isfinite(map->most - map->least);
    g->least = given ? map->least : least <= most ? least : 0;
    g->most = given ? map->most : least <= most ? most : 0;
}

/* The name of a row or a column of squares: that of the first in its block. */
static Number name_number(const Grid *g, int index)
{
    Number name;
    snprintf(name.text, sizeof name.text, "%d", index * g->block);
    return name;
}

static double widest(const char *const *names, int count)
{
    double width = 0;
    for (int i = 0; names && i < count; i++)
        width = fmax(width, svg_text_width(names[i]));
    return width;
}

static Grid lay_out(const HeatMap *map)
{
    Grid g = {.map = map};
    gather_squares(&g, map);
    double across = 540.0 / (g.columns + !g.columns), down = 420.0 / (g.rows + !g.rows);
    g.size = floor(10 * fmin(SQUARE_SIZE_MOST, fmin(across, down))) / 10;

    double row_names = fmax(widest(map->row_names, map->rows), map->row_names ? 0 : 28);
    g.column_names = widest(map->column_names, map->columns);
    g.slanted = g.column_names > g.size - 4;
    double overhang = g.slanted ? g.column_names * SLANT - g.size / 2 : 0;
    g.left = SVG_MARGIN + fmax(row_names + 8, overhang);
    g.top = (map->title ? 46 : 20) + (map->y_label ? 20 : 0);
    g.right = g.left + g.size * g.columns;
    g.bottom = g.top + g.size * g.rows;
    return g;
}

static int level_of(const Grid *g, double value)
{
    double share = g->most > g->least ? (value - g->least) / (g->most - g->least) : 0.5;
    return (int)lround(fmin(fmax(share, 0), 1) * (SVG_LEVELS - 1));
}

/* Draws the squares of one colour as strokes as wide as a square is high, in a system of
 * coordinates where a square measures 1: neighbours share one, and the file is small. */
static void draw_level(FILE *out, const Grid *g, int level)
{
    bool begun = false;
    for (int r = 0; r < g->rows; r++)
        for (int c = 0, from; c < g->columns; c += c == from) {
            const double *row = g->values + (size_t)r * (size_t)g->columns;
            for (from = c;
                 c < g->columns && isfinite(row[c]) && level_of(g, row[c]) == level;)
                c++;
            if (c == from)
                continue;
            fprintf(out, "%sM%d %dh%d", begun ? "" : "<path d=\"", from, r, c - from);
            begun = true;
        }
    if (begun)
        fprintf(out, "\" class=\"h%d\"/>\n", level);
}

static void draw_squares(FILE *out, const Grid *g)
{
    fprintf(out,
            "<g fill=\"none\" shape-rendering=\"crispEdges\" "
            "transform=\"translate(%s %s)scale(%s)\">\n",
            svg_pixel(g->left).text, svg_pixel(g->top + g->size / 2).text,
            svg_pixel(g->size).text);
    for (int level = 0; level < SVG_LEVELS; level++)
        draw_level(out, g, level);
    fprintf(out, "</g>\n");
    if (g->size < 10) /* gaps between the squares would drown them */
        return;
    for (int r = 1; r < g->rows; r++)
        svg_rule(out, "edge", g->left, g->top + r * g->size, g->right,
                 g->top + r * g->size);
    for (int c = 1; c < g->columns; c++)
        svg_rule(out, "edge", g->left + c * g->size, g->top, g->left + c * g->size,
                 g->bottom);
}

/* Every how many squares a name fits that needs so many pixels. */
static int name_step(const Grid *g, double pixels)
{
    static const int steps[] = {1, 2, 5, 10, 20, 50};
    int i = 0;
    while (i < 5 && steps[i] * g->size < pixels)
        i++;
    return steps[i];
}

static void draw_names(FILE *out, const Grid *g)
{
    const HeatMap *map = g->map;
    for (int r = 0; r < g->rows; r += name_step(g, 14)) {
        Number number = name_number(g, r);
        svg_text(out, g->left - 6, g->top + (r + 0.5) * g->size + 4, "soft end",
                 map->row_names ? map->row_names[r * g->block] : number.text);
    }
    int step = name_step(g, map->column_names ? 14 : 28);
    for (int c = 0; c < g->columns; c += step) {
        Number number = name_number(g, c);
        const char *name = map->column_names ? map->column_names[c * g->block]
                                             : number.text;
        double x = g->left + (c + 0.5) * g->size;
        if (g->slanted) {
            fprintf(out, "<g transform=\"translate(%s %s)rotate(-45)\">",
                    svg_pixel(x + 4).text, svg_pixel(g->bottom + 12).text);
            svg_text(out, 0, 0, "soft end", name);
            fprintf(out, "</g>\n");
        } else
            svg_text(out, x, g->bottom + 16, "soft middle", name);
    }
}

/* An end of the colour scale, to a hundredth or so of its length. */
static Number end_number(const Grid *g, double value)
{
    double length = g->most - g->least, biggest = fmax(fabs(g->least), fabs(g->most));
    if (length <= 0)
        return number_rounded(value);
    return number_readable(value, biggest, pow(10, round(log10(length)) - 2));
}

/* The colours with the numbers at their ends, to the right of the squares. */
static void draw_colour_bar(FILE *out, const Grid *g)
{
    double x = g->right + 18, height = fmin(g->bottom - g->top, 140);
    fprintf(out,
            "<g fill=\"none\" shape-rendering=\"crispEdges\" "
            "transform=\"translate(%s %s)scale(10 %s)\">\n",
            svg_pixel(x).text, svg_pixel(g->top).text, svg_pixel(height / SVG_LEVELS).text);
    for (int level = 0; level < SVG_LEVELS; level++)
        fprintf(out, "<path d=\"M0 %d.5h1\" class=\"h%d\"/>\n", SVG_LEVELS - 1 - level,
                level);
    fprintf(out, "</g>\n");
    svg_text(out, x + 16, g->top + 9, "soft", end_number(g, g->most).text);
    svg_text(out, x + 16, g->top + height, "soft", end_number(g, g->least).text);
}

static void draw_heat_map(FILE *out, const HeatMap *map)
{
    Grid g = lay_out(map);
    double below = g.bottom + (g.slanted ? 20 + g.column_names * SLANT : 22);
    double width = g.right + 44 + SVG_MARGIN + svg_text_width("-0.000");
    width = fmax(width, 2 * SVG_MARGIN + 1.3 * svg_text_width(map->title));
    width = fmax(width, 2 * SVG_MARGIN + svg_text_width(map->y_label));

    svg_begin(out, width, below + (map->x_label ? 34 : 10), map->title, true);
    fprintf(out,
            "<desc>A matrix of %d rows and %d columns, with values from %s to %s.</desc>\n",
            map->rows, map->columns, end_number(&g, g.least).text,
            end_number(&g, g.most).text);
    svg_text(out, SVG_MARGIN, map->title ? 50 : 28, "soft", map->y_label);
    draw_squares(out, &g);
    draw_names(out, &g);
    draw_colour_bar(out, &g);
    svg_text(out, (g.left + g.right) / 2, below + 18, "soft middle", map->x_label);
    fprintf(out, "</svg>\n");
    free(g.values);
}

bool plot_heat_map(const char *path, const HeatMap *map, Error *error)
{
    NewFile file;
    if (!newfile_open(&file, path, error))
        return false;
    draw_heat_map(file.stream, map);
    return newfile_commit(&file, error);
}
