/* plot.h - pictures for the book: line charts and heat maps as SVG, and a curve for the
 * terminal.
 *
 * A picture follows the reader's light or dark theme, carries a title and a description for
 * screen readers, and is small: long lines are thinned to what the eye can see. The same
 * data give the same bytes. Values that cannot be drawn (NaN, infinity, beyond 1e300, or
 * below 1e-300 on a logarithmic axis) leave a gap. Names may hold any bytes: markup is
 * escaped, line breaks and blanks at either end become visible, bytes that are no UTF-8 are
 * shown as \xE2.
 *
 * What plots to a file returns false with a sentence when the file cannot be written. */
#ifndef LINEAGE_PLOT_H
#define LINEAGE_PLOT_H

#include "base/error.h"

typedef struct {
    const char *name; /* written at the end of the line, or see `legend`; NULL for none */
    const double *x, *y; /* `x` may be NULL: 0, 1, 2 ... */
    int count;
    bool dashed;
    bool markers; /* dots at the points, at least four pixels apart */
    bool faint;   /* the raw curve under a smooth one: pale, without its name, and in the
                   colour of the next line that is not faint */
} PlotLine;

/* A level to compare with: a thin horizontal line with its name in the margin. */
typedef struct {
    const char *name;
    double y;
} PlotReference;

typedef struct {
    const char *title, *x_label, *y_label; /* each may be NULL */
    bool log_x, log_y;
    const double *x_ticks; /* where numbers stand; NULL: at round ones */
    int x_tick_count;
    bool legend; /* names from the top, for lines that end anywhere, such as rings */
    double y_least, y_most; /* what lies outside is cut off; both 0: all that there is */
    const PlotLine *lines;  /* the ninth has the colour of the first again */
    int count;
    const PlotReference *references;
    int reference_count;
} Chart;

bool plot_lines(const char *path, const Chart *chart, Error *error);

/* A matrix as coloured squares, row 0 at the top; a NaN stays blank. More than 64 rows or
 * columns are drawn as squares that show the mean of a block. */
typedef struct {
    const char *title, *x_label, *y_label; /* each may be NULL */
    int rows, columns;
    const float *values;                                /* (rows, columns) */
    const char *const *row_names, *const *column_names; /* NULL: they are numbered from 0 */
    double least, most; /* the ends of the colour scale; both 0: from the data */
} HeatMap;

bool plot_heat_map(const char *path, const HeatMap *map, Error *error);

/* What plot_terminal needs for its text, the final zero included. */
#define PLOT_TERMINAL_BYTES(width, height) \
    ((size_t)(height) * (3 * (size_t)(width) + 1) + 1)

/* A curve in Braille dots, two by four to a character: `height` lines of `width` columns
 * (at least 16), each ended by a newline, with the highest and the lowest value to the left
 * of the first and the last line. One line alone is a sparkline, without values. */
void plot_terminal(char *out, size_t size, const double *y, int count, int width,
                   int height);

#endif
