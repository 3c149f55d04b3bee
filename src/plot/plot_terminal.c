/* plot_terminal.c - a curve in Braille dots. */
#include "plot/plot.h"
#include "plot/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A field of dots, two by four to a character; U+2800 plus the bits is the character. */
typedef struct {
    int width, height; /* in characters */
    unsigned char *bits;
} Dots;

static void set_dot(Dots *dots, double x, double y)
{
    static const unsigned char bit[4][2] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    int column = (int)lround(x), row = (int)lround(y);
    dots->bits[row / 4 * dots->width + column / 2] |= bit[row % 4][column % 2];
}

static void set_line(Dots *dots, double x1, double y1, double x2, double y2)
{
    int steps = (int)ceil(fmax(fabs(x2 - x1), fabs(y2 - y1)));
    for (int i = 0; i <= steps; i++) {
        double share = steps ? (double)i / steps : 0;
        set_dot(dots, x1 + share * (x2 - x1), y1 + share * (y2 - y1));
    }
}

static bool drawable(double value)
{
    return isfinite(value) && fabs(value) < 1e300;
}

/* Joins neighbours that can both be drawn; one that stands alone is a dot. */
static void draw_curve(Dots *dots, const double *y, int count, double least, double most)
{
    double columns = 2 * dots->width - 1, rows = 4 * dots->height - 1;
    double before_x = 0, before_y = 0;
    bool joined = false;
    for (int i = 0; i < count; i++) {
        if (!drawable(y[i])) {
            joined = false;
            continue;
        }
        double at_x = count > 1 ? columns * i / (count - 1) : 0;
        double at_y = most > least ? rows * ((most - y[i]) / (most - least)) : rows / 2;
        set_line(dots, joined ? before_x : at_x, joined ? before_y : at_y, at_x, at_y);
        before_x = at_x;
        before_y = at_y;
        joined = true;
    }
}

/* Appends the characters of one line; an empty one is a blank, because some fonts draw an
 * empty Braille character as rings. */
static char *write_line(char *out, const Dots *dots, int row)
{
    for (int c = 0; c < dots->width; c++) {
        unsigned bits = dots->bits[row * dots->width + c];
        if (bits) {
            *out++ = (char)0xE2;
            *out++ = (char)(0xA0 | bits >> 6);
            *out++ = (char)(0x80 | (bits & 0x3F));
        } else
            *out++ = ' ';
    }
    *out++ = '\n';
    return out;
}

void plot_terminal(char *out, size_t size, const double *y, int count, int width,
                   int height)
{
    if (width < 16 || height < 1 || size < PLOT_TERMINAL_BYTES(width, height))
        misuse("plot_terminal: %d columns, %d lines, %zu bytes of room: wanted are at "
               "least 16 "
               "columns, 1 line and PLOT_TERMINAL_BYTES of them",
               width, height, size);
    double least = INFINITY, most = -INFINITY;
    for (int i = 0; i < count; i++)
        if (drawable(y[i])) {
            least = fmin(least, y[i]);
            most = fmax(most, y[i]);
        }
    Number high = {""}, low = {""};
    if (height > 1 && least <= most) {
        high = number_rounded(most);
        low = number_rounded(least);
    }
    size_t longest = fmax(strlen(high.text), strlen(low.text));
    int margin = longest ? (int)longest + 1 : 0;

    Dots dots = {.width = width - margin, .height = height};
    dots.bits = allocate((size_t)dots.width * (size_t)height, 1);
    draw_curve(&dots, y, count, least, most);
    for (int row = 0; row < height; row++) {
        const char *value = row == 0 ? high.text : row == height - 1 ? low.text : "";
        if (margin)
            out += sprintf(out, "%*s ", margin - 1, value);
        out = write_line(out, &dots, row);
    }
    *out = 0;
    free(dots.bits);
}
