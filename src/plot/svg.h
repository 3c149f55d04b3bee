/* svg.h - what every picture of the book is made of: numbers for readers, one theme for
 * light and dark, and text that is always valid XML. For plot.h; programs use that. */
#ifndef LINEAGE_SVG_H
#define LINEAGE_SVG_H

#include <stdbool.h>
#include <stdio.h>

enum {
    SVG_MARGIN = 16, /* between the edge of a picture and what is in it */
    SVG_COLOURS = 8, /* of lines: classes c0 to c7 */
    SVG_LEVELS = 32  /* of a heat map: classes h0 to h31 */
};

typedef struct {
    char text[48];
} Number;

/* The number for a reader: exact to `step`, in the unit that suits the biggest number
 * beside it, as in 0.05, 250, 1.5M and 3e-4. */
Number number_readable(double value, double biggest, double step);

/* The number to three digits. */
Number number_rounded(double value);

/* A coordinate, to a tenth of a pixel. Its size must stay below 1e15. */
Number svg_pixel(double value);

/* The opening tag, a title (may be NULL) for screen readers and the same for everybody, the
 * styles and the paper. `levels` adds the colours of a heat map. */
void svg_begin(FILE *out, double width, double height, const char *title, bool levels);

/* A text whose anchor is at (x, y), left unless a class says "middle" or "end". NULL writes
 * nothing. */
void svg_text(FILE *out, double x, double y, const char *class, const char *text);

/* The text with markup escaped, line breaks and blanks at its ends made visible, and bytes
 * that are no valid UTF-8 written as \xE2. */
void svg_escaped(FILE *out, const char *text);

/* A straight line. */
void svg_rule(FILE *out, const char *class, double x1, double y1, double x2, double y2);

/* About how many pixels a text takes; 0 for NULL. */
double svg_text_width(const char *text);

#endif
