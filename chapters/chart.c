/* chart.c - draws columns of CSV files with the library's own charts.
 *
 * A file has a header line with the names of its columns and then a line for each row;
 * fields are separated by commas and may be empty or quoted. Where a field is empty nothing
 * was measured: the line goes on to the next one that is not, with dots at those that are.
 * A field that is "nan" leaves a gap.
 *
 * In order: reading a table, lists of names, the lines of the chart, the program. */
#include "base/files.h"
#include "base/options.h"
#include "plot/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: chart FILE.csv ... --y COLUMNS [options]\n\n"
    "Draws columns of CSV files as lines, for example the losses of two runs:\n"
    "  chart runs/a/log.csv runs/b/log.csv --x step --y val_loss --names gpt,lstm\n"
    "or each row of one file as a point with its name:\n"
    "  chart results.csv --x seconds --y val_loss --label model";

/* ---- Tables ---- */

typedef struct {
    const char *path;
    char *text;  /* the file, in which the fields are */
    char **cell; /* (rows, columns); row 0 holds the names of the columns */
    long *line;  /* (rows): where a row begins in the file */
    long rows, columns, cell_room, line_room;
} Table;

static void table_free(Table *t)
{
    free(t->text);
    free(t->cell);
    free(t->line);
}

/* Memory for one thing more than `count`. */
static void *room_for_one(void *memory, long count, long *room, size_t size)
{
    if (count < *room)
        return memory;
    *room = *room ? 2 * *room : 64;
    memory = realloc(memory, (size_t)*room * size);
    if (!memory)
        out_of_memory((size_t)*room * size, "a table");
    return memory;
}

/* Ends the field at *at with a zero, without its quotes. Leaves *at on what comes next and
 * *lines higher by the line breaks in it. Returns what ended it: a comma, a line break, or
 * zero at the end of the file. */
static char read_field(char **at, long *lines)
{
    char *from = *at, *to = *at;
    bool quoted = false;
    for (; *from && (quoted || (*from != ',' && *from != '\n')); from++) {
        *lines += *from == '\n';
        if (*from != '"')
            *to++ = *from;
        else if (quoted && from[1] == '"')
            *to++ = *from++;
        else
            quoted = !quoted;
    }
    char end = *from;
    if (end == '\n' && to > *at && to[-1] == '\r')
        to--;
    *to = 0;
    *at = end ? from + 1 : from;
    return end;
}

/* Reads the row at *at; an empty line is none. */
static bool read_row(Table *t, char **at, long *line, Error *error)
{
    long begin = *line, count = 0;
    char end = ',';
    while (end == ',') {
        t->cell = room_for_one(t->cell, t->rows * t->columns + count, &t->cell_room,
                               sizeof *t->cell);
        t->cell[t->rows * t->columns + count++] = *at;
        end = read_field(at, line);
    }
    *line += end == '\n';
    if (count == 1 && !*t->cell[t->rows * t->columns])
        return true;
    if (t->rows == 0)
        t->columns = count;
    if (count != t->columns)
        return fail(error, "%s, line %ld: there are %ld fields, but %ld columns", t->path,
                    begin, count, t->columns);
    t->line = room_for_one(t->line, t->rows, &t->line_room, sizeof *t->line);
    t->line[t->rows++] = begin;
    return true;
}

static bool table_read(Table *t, const char *path, Error *error)
{
    long size, line = 1;
    *t = (Table){.path = path, .text = file_read(path, &size, error)};
    if (!t->text)
        return false;
    if (strlen(t->text) != (size_t)size)
        return fail(error, "%s is no table: there is a zero byte in it", path);
    char *at = t->text;
    if (strncmp(at, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        at += 3;
    while (*at)
        if (!read_row(t, &at, &line, error))
            return false;
    return t->rows > 0 || fail(error, "%s is empty: it has no header line", path);
}

/* Adds to a sentence which columns there are. */
static bool fail_with_columns(const Table *t, Error *error)
{
    char list[sizeof error->text] = "";
    for (long c = 0; c < t->columns; c++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", c ? ", " : "; its columns are ",
                 t->cell[c]);
    }
    return fail_after(error, list);
}

/* The column of that name, or -1 with a sentence. */
static long find_column(const Table *t, const char *name, Error *error)
{
    for (long c = 0; c < t->columns; c++)
        if (strcmp(t->cell[c], name) == 0)
            return c;
    fail(error, "%s has no column \"%.60s\"", t->path, name);
    fail_with_columns(t, error);
    return -1;
}

/* The number in a field, NaN in an empty one. */
static bool read_number(const Table *t, long row, long column, double *number, Error *error)
{
    const char *text = t->cell[row * t->columns + column];
    char *end;
    *number = strtod(text, &end);
    end += strspn(end, " \t");
    if (*end)
        return fail(error, "%s, line %ld: \"%.40s\" in the column \"%.60s\" is no number",
                    t->path, t->line[row], text, t->cell[column]);
    if (end == text)
        *number = NAN;
    return true;
}

static bool is_empty(const Table *t, long row, long column)
{
    const char *text = t->cell[row * t->columns + column];
    return text[strspn(text, " \t")] == 0;
}

/* ---- Lists ---- */

typedef struct {
    char *text, **item;
    int count;
} List;

/* The parts between the commas; NULL is an empty list. */
static List list_of(const char *text)
{
    List list = {0};
    if (!text)
        return list;
    size_t room = strlen(text) + 1;
    list.text = allocate(room, 1);
    list.item = allocate(room, sizeof *list.item);
    memcpy(list.text, text, room);
    for (char *at = list.text; at; list.count++) {
        list.item[list.count] = at;
        at = strchr(at, ',');
        if (at)
            *at++ = 0;
    }
    return list;
}

static void list_free(List *list)
{
    free(list->text);
    free(list->item);
}

/* ---- The lines ---- */

typedef struct {
    const char *out, *x, *y, *names, *label, *title, *x_label, *y_label;
    bool log_x, log_y, markers;
    double y_min, y_max;
} Settings;

typedef struct {
    const Settings *set;
    Table *table;
    int files;
    List columns, names;
    PlotLine *line; /* with names, and numbers in x and y, that are its own */
    int count;
    long room;
} Drawing;

static void drawing_free(Drawing *d)
{
    for (int i = 0; i < d->files; i++)
        table_free(&d->table[i]);
    for (int i = 0; i < d->count; i++) {
        free((char *)d->line[i].name);
        free((double *)d->line[i].x);
        free((double *)d->line[i].y);
    }
    free(d->table);
    free(d->line);
    list_free(&d->columns);
    list_free(&d->names);
}

/* Adds a line without points, with room for as many as the table has rows. */
static PlotLine *new_line(Drawing *d, const Table *t, const char *name, const char *more)
{
    d->line = room_for_one(d->line, d->count, &d->room, sizeof *d->line);
    size_t room = strlen(name) + strlen(more) + 2;
    char *both = allocate(room, 1);
    snprintf(both, room, "%s%s%s", name, *name && *more ? " " : "", more);
    d->line[d->count] = (PlotLine){.name = both,
                                   .x = allocate((size_t)t->rows, sizeof(double)),
                                   .y = allocate((size_t)t->rows, sizeof(double)),
                                   .markers = d->set->markers};
    return &d->line[d->count++];
}

/* Adds the point of a row. In column -1 there are the numbers of the rows. */
static bool add_point(PlotLine *line, const Table *t, long row, long x, long y,
                      Error *error)
{
    double *at_x = (double *)line->x + line->count, *at_y = (double *)line->y + line->count;
    *at_x = (double)row;
    line->count++;
    return (x < 0 || read_number(t, row, x, at_x, error)) &&
           read_number(t, row, y, at_y, error);
}

static bool add_column(Drawing *d, const Table *t, long x, const char *column,
                       const char *name, const char *more, Error *error)
{
    long y = find_column(t, column, error);
    if (y < 0)
        return false;
    PlotLine *line = new_line(d, t, name, more);
    for (long row = 1; row < t->rows; row++) {
        if (is_empty(t, row, y) || is_empty(t, row, x))
            line->markers = true;
        else if (!add_point(line, t, row, x, y, error))
            return false;
    }
    return true;
}

/* Each row as a line of one point. */
static bool add_rows(Drawing *d, const Table *t, long x, Error *error)
{
    long y = find_column(t, d->columns.item[0], error),
         label = y < 0 ? -1 : find_column(t, d->set->label, error);
    if (label < 0)
        return false;
    for (long row = 1; row < t->rows; row++) {
        if (is_empty(t, row, y) || (x >= 0 && is_empty(t, row, x)))
            continue;
        PlotLine *line = new_line(d, t, t->cell[row * t->columns + label], "");
        line->markers = true;
        if (!add_point(line, t, row, x, y, error))
            return false;
    }
    return true;
}

/* All lines of a file. One file names them by its columns, several by the files. */
static bool add_file(Drawing *d, int file, Error *error)
{
    const Table *t = &d->table[file];
    const char *x_name = d->set->x;
    long x = x_name ? find_column(t, x_name, error) : d->set->label ? -1 : 0;
    if (x_name && x < 0)
        return false;
    if (d->set->label)
        return add_rows(d, t, x, error);
    for (int c = 0; c < d->columns.count; c++) {
        const char *column = d->columns.item[c];
        bool by_file = d->files > 1, two = by_file && d->columns.count > 1;
        const char *name = d->names.count ? d->names.item[by_file ? file : c]
                           : by_file      ? t->path
                                          : column;
        if (!add_column(d, t, x, column, name, two ? column : "", error))
            return false;
    }
    return true;
}

/* ---- The program ---- */

/* Troubles that show before anything is drawn. */
static bool check(const Drawing *d, Error *error)
{
    const Settings *set = d->set;
    if (!set->y) {
        fail(error, "--y must tell what to draw of %s", d->table[0].path);
        return fail_with_columns(&d->table[0], error);
    }
    int named = d->files > 1 ? d->files : d->columns.count;
    if (set->label && (d->columns.count > 1 || set->names))
        return fail(error, "--label goes with one column for --y and without --names");
    if (set->names && d->names.count != named)
        return fail(error, "--names has %d names for %d %s", d->names.count, named,
                    d->files > 1 ? "files" : "columns");
    if (set->y_min >= set->y_max && (set->y_min != 0 || set->y_max != 0))
        return fail(error, "--y-min %g is not below --y-max %g", set->y_min, set->y_max);
    return true;
}

static bool draw(const Settings *set, int files, char **paths, Error *error)
{
    Drawing d = {.set = set, .columns = list_of(set->y), .names = list_of(set->names)};
    d.table = allocate((size_t)files, sizeof *d.table);
    bool good = true;
    for (; good && d.files < files; d.files++)
        good = table_read(&d.table[d.files], paths[d.files], error);
    good = good && check(&d, error);
    for (int i = 0; good && i < files; i++)
        good = add_file(&d, i, error);
    if (good) {
        const char *x = set->x ? set->x : set->label ? NULL : d.table[0].cell[0];
        Chart chart = {.title = set->title,
                       .x_label = set->x_label ? set->x_label : x,
                       .y_label = set->y_label           ? set->y_label
                                  : d.columns.count == 1 ? set->y
                                                         : NULL,
                       .log_x = set->log_x,
                       .log_y = set->log_y,
                       .y_least = set->y_min,
                       .y_most = set->y_max,
                       .lines = d.line,
                       .count = d.count};
        good = plot_lines(set->out, &chart, error);
    }
    drawing_free(&d);
    return good;
}

int main(int argc, char **argv)
{
    Settings set = {.out = "chart.svg"};
    Option options[] = {
        option_text("y", &set.y, "COLUMNS", "what to draw: one column, or several: a,b"),
        option_text("x", &set.x, "COLUMN", "against what; the first column unless told"),
        option_text("label", &set.label, "COLUMN",
                    "draw each row as a point that has its name in this column"),
        option_text("names", &set.names, "NAMES", "of the files, or columns of one: a,b"),
        option_text("out", &set.out, "FILE", "the picture, as SVG"),
        option_text("title", &set.title, "TEXT", "above the picture"),
        option_text("x-label", &set.x_label, "TEXT", "below the x axis, for its column"),
        option_text("y-label", &set.y_label, "TEXT", "above the y axis, for its column"),
        option_flag("log-x", &set.log_x, "a logarithmic x axis"),
        option_flag("log-y", &set.log_y, "a logarithmic y axis"),
        option_real("y-min", &set.y_min, -1e300, 1e300, "cut off what is below"),
        option_real("y-max", &set.y_max, -1e300, 1e300,
                    "cut off what is above; both 0: show all"),
        option_flag("markers", &set.markers, "dots at the points"),
    };
    OptionGroup group = OPTION_GROUP("options", options);
    int files = 0;
    while (files + 1 < argc && argv[files + 1][0] != '-')
        files++;
    char **words = argv + 1 + files;
    int count = argc - 1 - files;
    Error error = {""};
    if (options_want_help(count, words)) {
        options_help(stdout, USAGE, &group, 1);
        return 0;
    }
    bool good = options_parse(&group, 1, count, words, &error) &&
                (files > 0 || fail(&error, "no file is named; see chart --help")) &&
                draw(&set, files, argv + 1, &error);
    if (!good)
        fprintf(stderr, "chart: %s\n", error.text);
    return good ? 0 : 1;
}
