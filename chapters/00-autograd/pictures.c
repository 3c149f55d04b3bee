/* pictures.c - what this chapter draws: the line between the moons, and the table of pairs. */
#include "pictures.h"
#include "bigram.h"
#include "plot/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- The moons ---- */

enum { GRID = 80 };

/* A picture of lines: pairs of points with a gap after each. */
typedef struct {
    double x[3 * 4 * GRID * GRID], y[3 * 4 * GRID * GRID];
    int count;
} Strokes;

static void stroke_to(Strokes *s, double x, double y)
{
    s->x[s->count] = x;
    s->y[s->count++] = y;
}

/* Where the score is 0 on the way from one corner to another, if it changes sign there. */
static bool crossing(const double a[3], const double b[3], double *x, double *y)
{
    if ((a[2] > 0) == (b[2] > 0))
        return false;
    double part = a[2] / (a[2] - b[2]);
    *x = a[0] + part * (b[0] - a[0]);
    *y = a[1] + part * (b[1] - a[1]);
    return true;
}

/* The line on which the network is undecided: in each small square, from the side on which
 * the sign changes to the other one. */
static void trace_boundary(const Mlp *mlp, Strokes *s)
{
    static double corner[GRID + 1][GRID + 1][3];
    for (int i = 0; i <= GRID; i++)
        for (int j = 0; j <= GRID; j++) {
            double x = -1.6 + 4.2 * i / GRID, y = -1.1 + 2.7 * j / GRID;
            corner[i][j][0] = x;
            corner[i][j][1] = y;
            corner[i][j][2] = mlp_value(mlp, x, y);
        }
    for (int i = 0; i < GRID; i++)
        for (int j = 0; j < GRID; j++) {
            const double *around[5] = {corner[i][j], corner[i + 1][j], corner[i + 1][j + 1],
                                       corner[i][j + 1], corner[i][j]};
            int found = 0;
            for (int side = 0; side < 4; side++) {
                double x, y;
                if (!crossing(around[side], around[side + 1], &x, &y))
                    continue;
                stroke_to(s, x, y);
                if (++found % 2 == 0)
                    stroke_to(s, NAN, NAN);
            }
        }
}

bool draw_moons(const char *path, const Mlp *mlp, const Moons *moons, Error *error)
{
    Strokes *strokes = allocate(3, sizeof *strokes);
    for (int i = 0; i < POINTS; i++) { /* a point with gaps around it is drawn as a ring */
        Strokes *side = &strokes[moons->label[i] > 0];
        stroke_to(side, moons->x[i][0], moons->x[i][1]);
        stroke_to(side, NAN, NAN);
    }
    trace_boundary(mlp, &strokes[2]);
    PlotLine lines[] = {
        {.name = "-1", .x = strokes[0].x, .y = strokes[0].y, .count = strokes[0].count},
        {.name = "+1", .x = strokes[1].x, .y = strokes[1].y, .count = strokes[1].count},
        {.name = "score 0",
         .x = strokes[2].x,
         .y = strokes[2].y,
         .count = strokes[2].count},
    };
    Chart chart = {.title = "Two moons, and where the network draws the line",
                   .x_label = "x",
                   .y_label = "y",
                   .legend = true,
                   .lines = lines,
                   .count = 3};
    bool drawn = plot_lines(path, &chart, error);
    free(strokes);
    return drawn;
}

/* ---- The pairs ---- */

enum { SHOWN = 30 /* characters at most */ };

/* The most frequent characters, in their own order; returns how many. */
static int most_frequent(const double *sum, int V, int *shown)
{
    int n = 0;
    for (int i = 0; i < V; i++) {
        int ahead = 0;
        for (int j = 0; j < V; j++)
            ahead += sum[j] > sum[i] || (sum[j] == sum[i] && j < i);
        if (ahead < SHOWN)
            shown[n++] = i;
    }
    return n;
}

bool draw_pairs(const char *path, const double *count, const Tokenizer *tokenizer,
                Error *error)
{
    int V = tokenizer_size(tokenizer), shown[SHOWN];
    double *sum = row_sums(count, V);
    int n = most_frequent(sum, V, shown);
    char text[SHOWN][8];
    const char *name[SHOWN];
    float share[SHOWN * SHOWN];
    for (int i = 0; i < n; i++) {
        int length;
        const char *bytes = tokenizer_bytes(tokenizer, shown[i], &length);
        memcpy(text[i], bytes, (size_t)length);
        text[i][length] = 0;
        name[i] = text[i];
        for (int j = 0; j < n; j++)
            share[i * n + j] = (float)(count[shown[i] * V + shown[j]] / sum[shown[i]]);
    }
    free(sum);
    HeatMap map = {.title = "Which character follows which",
                   .x_label = "the next character",
                   .y_label = "a character",
                   .rows = n,
                   .columns = n,
                   .values = share,
                   .row_names = name,
                   .column_names = name};
    return plot_heat_map(path, &map, error);
}
