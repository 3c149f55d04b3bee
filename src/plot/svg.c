/* svg.c - what every picture of the book is made of.
 *
 * Numbers are never printed with %f: a locale could turn the point into a comma. */
#include "plot/svg.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double TEXT_WIDTH = 6.8; /* of a character, on average; fonts differ */

/* ---- numbers ---- */

/* The number with so many decimals, 12 at most. */
static Number fixed(double value, int decimals)
{
    Number result;
    long long power = 1, rest = 1000000000000;
    for (int i = 0; i < decimals; i++) {
        power *= 10;
        rest /= 10;
    }
    long long scaled = llround(value * (double)power), size = llabs(scaled);
    int point = snprintf(result.text, sizeof result.text, "%s%lld", scaled < 0 ? "-" : "",
                         size / power);
    snprintf(result.text + point, sizeof result.text - (size_t)point, ".%012lld",
             size % power * rest);
    result.text[decimals ? point + 1 + decimals : point] = 0;
    return result;
}

/* A coordinate, to a tenth of a pixel and without a useless ".0". */
Number svg_pixel(double value)
{
    double tenths = round(value * 10);
    return fixed(tenths / 10, fmod(tenths, 10) != 0);
}

/* The number for a reader: exact to `step`, in the unit that suits the biggest number
 * beside it, as in 0.05, 250, 1.5M and 3e-4. */
Number number_readable(double value, double biggest, double step)
{
    double unit = 1;
    char suffix[8] = "";
    if (biggest >= 1e12 || (biggest < 0.99e-3 && biggest > 0)) {
        int exponent = (int)fmax(floor(log10(biggest) + 1e-9), -300);
        unit = pow(10, exponent);
        snprintf(suffix, sizeof suffix, "e%d", exponent);
    } else if (biggest >= 1e4) {
        unit = biggest >= 1e9 ? 1e9 : biggest >= 1e6 ? 1e6 : 1e3;
        strcpy(suffix, biggest >= 1e9 ? "G" : biggest >= 1e6 ? "M" : "k");
    }
    if (value == 0)
        return fixed(0, 0);
    double decimals = ceil(-log10(step / unit) - 1e-6);
    Number result = fixed(value / unit, (int)fmin(fmax(decimals, 0), 12));
    strcat(result.text, suffix);
    return result;
}

/* The number to three digits. */
Number number_rounded(double value)
{
    double size = fabs(value);
    return number_readable(value, size, size > 0 ? pow(10, floor(log10(size)) - 2) : 1);
}

/* ---- the parts of every picture ---- */

/* Every text has a contrast of 4.5 or more on its paper. The hues of the eight lines are
 * those of Okabe and Ito; their lightness was chosen so that any two also differ, by 19 in
 * CIELAB at the least, for an eye without red or without green cones. */
static const struct {
    const char *rule, *light, *dark;
} THEME[] = {
    {"rect.paper{fill:", "#ffffff", "#15181d"},
    {"path.edge{stroke:", "#ffffff", "#15181d"},
    {"text.ink{fill:", "#1f2328", "#e2e6eb"},
    {"text.soft{fill:", "#5c646d", "#9aa4af"},
    {"path.grid{stroke:", "#e4e7eb", "#2b3038"},
    {"path.axis{stroke:", "#8b949e", "#6b7580"},
    {".c0{color:", "#246ada", "#7db4f0"},
    {".c1{color:", "#b85c08", "#ee5818"},
    {".c2{color:", "#288563", "#40ae78"},
    {".c3{color:", "#771369", "#b574a8"},
    {".c4{color:", "#602e06", "#fae386"},
    {".c5{color:", "#1d7cb4", "#caf6f6"},
    {".c6{color:", "#1b178d", "#8b6edd"},
    {".c7{color:", "#2f3930", "#b1b3b7"},
};

/* Selectors name the element too: in a page that takes the picture in, they must not touch
 * what is not theirs. */
static const char SHAPES[] =
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,"
    "sans-serif}text.title{font-size:15px;font-weight:600}text.end{text-anchor:end}"
    "text.middle{text-anchor:middle}text.name{fill:currentColor}"
    "path.line,path.grid,path.axis{fill:none}"
    "path.line{stroke:currentColor;stroke-width:1.8;stroke-linejoin:round;"
    "stroke-linecap:round}path.dashed{stroke-dasharray:6 5}"
    "path.faint{stroke-width:1;stroke-opacity:.35}path.level{stroke-dasharray:3 3}"
    "path.leader{fill:none;stroke:currentColor;stroke-opacity:.6;stroke-dasharray:1 3}";

/* The ends and the middle of the heat map's colours; the least value is near the paper. */
static const unsigned char LIGHT_RAMP[3][3] = {
    {237, 242, 247}, {84, 152, 203}, {8, 42, 92}};
static const unsigned char DARK_RAMP[3][3] = {
    {31, 38, 48}, {42, 114, 176}, {214, 236, 255}};

static void write_level_colours(FILE *out, const unsigned char ramp[3][3])
{
    for (int level = 0; level < SVG_LEVELS; level++) {
        double at = 2.0 * level / (SVG_LEVELS - 1);
        int half = at < 1 ? 0 : 1, mixed[3];
        for (int i = 0; i < 3; i++) {
            double from = ramp[half][i], to = ramp[half + 1][i];
            mixed[i] = (int)lround(from + (at - half) * (to - from));
        }
        fprintf(out, "path.h%d{stroke:#%02x%02x%02x}", level, mixed[0], mixed[1], mixed[2]);
    }
}

static void write_style(FILE *out, bool levels)
{
    fprintf(out, "<style>%s", SHAPES);
    for (size_t i = 0; i < sizeof THEME / sizeof *THEME; i++)
        fprintf(out, "%s%s}", THEME[i].rule, THEME[i].light);
    if (levels)
        write_level_colours(out, LIGHT_RAMP);
    fprintf(out, "@media(prefers-color-scheme:dark){");
    for (size_t i = 0; i < sizeof THEME / sizeof *THEME; i++)
        fprintf(out, "%s%s}", THEME[i].rule, THEME[i].dark);
    if (levels)
        write_level_colours(out, DARK_RAMP);
    fprintf(out, "}</style>\n");
}

void svg_escaped(FILE *out, const char *text)
{
    for (const char *c = text; *c;) {
        uint32_t code = 0;
        int length = utf8_decode(c, (long)strlen(c), &code);
        bool at_an_end = c == text || !c[1];
        if (length == 0 || code == 0xFFFE || code == 0xFFFF) { /* XML cannot hold it */
            length = 1;
            fprintf(out, "\\x%02X", (unsigned char)*c);
        } else if (code == '\n')
            fputs("↵", out);
        else if (code == ' ' && at_an_end)
            fputs("␣", out);
        else if (code < ' ') /* U+2400 and on are pictures of control characters */
            fprintf(out, "\xE2\x90%c", 0x80 + *c);
        else if (strchr("<>&\"", *c))
            fprintf(out, "&#%d;", *c);
        else
            fwrite(c, 1, (size_t)length, out);
        c += length;
    }
}

double svg_text_width(const char *text)
{
    int characters = 0;
    for (; text && *text; text++)
        characters += (*text & 0xC0) != 0x80;
    return characters * TEXT_WIDTH;
}

/* A text whose anchor is at (x, y); NULL writes nothing. */
void svg_text(FILE *out, double x, double y, const char *class, const char *text)
{
    if (!text)
        return;
    fprintf(out, "<text x=\"%s\" y=\"%s\" class=\"%s\">", svg_pixel(x).text,
            svg_pixel(y).text, class);
    svg_escaped(out, text);
    fprintf(out, "</text>\n");
}

/* The opening tag, a title for screen readers, the styles and the paper. */
void svg_begin(FILE *out, double width, double height, const char *title, bool levels)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"%s\" "
            "height=\"%s\" viewBox=\"0 0 %s %s\">\n<title>",
            svg_pixel(width).text, svg_pixel(height).text, svg_pixel(width).text,
            svg_pixel(height).text);
    svg_escaped(out, title ? title : levels ? "A heat map" : "A line chart");
    fprintf(out, "</title>\n");
    write_style(out, levels);
    fprintf(out, "<rect width=\"100%%\" height=\"100%%\" rx=\"6\" class=\"paper\"/>\n");
    svg_text(out, SVG_MARGIN, 28, "ink title", title);
}

/* A straight line. */
void svg_rule(FILE *out, const char *class, double x1, double y1, double x2, double y2)
{
    fprintf(out, "<path class=\"%s\" d=\"M%s %sL%s %s\"/>\n", class, svg_pixel(x1).text,
            svg_pixel(y1).text, svg_pixel(x2).text, svg_pixel(y2).text);
}
