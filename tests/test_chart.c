/* test_chart.c - build/chart: which columns become which lines, and every refusal. */
#include "base/files.h"
#include "chapters.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

#define PROGRAM                       BUILD "/chart"
#define assert_refused(sentence, ...) assert_refusal(PROGRAM, sentence, __VA_ARGS__)
#define assert_drawn(svg, part)       ck_assert_msg(strstr(svg, part), "nowhere: %s", part)

static const char log_a[] = "step,train_loss,val_loss\n"
                            "1,4,5\n"
                            "2,3,\n"
                            "3,2.5,\n"
                            "4,2,3\n";
static const char log_b[] = "step,train_loss,val_loss\n"
                            "1,4.5,\n"
                            "2,nan,5\n"
                            "3,3,4\n"
                            "4,2,3.5\n"
                            "5,1.5,\n";

static const char *write_table(const char *name, const char *text)
{
    const char *path = scratch(name);
    write_bytes(path, text, (long)strlen(text));
    return path;
}

/* What the program draws of a table; the caller frees it. */
static char *chart_of(const char *table, const char *options)
{
    assert_runs("%s %s %s --out %s", PROGRAM, write_table("table.csv", table), options,
                scratch("chart.svg"));
    return text_of(scratch("chart.svg"));
}

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

/* How often a letter is in the path of a class: M puts the pen down, l draws, h is a dot. */
static int steps_of(const char *svg, const char *class, char letter)
{
    char opening[64];
    snprintf(opening, sizeof opening, "<path class=\"%s\"", class);
    const char *d = strstr(svg, opening);
    ck_assert_msg(d != NULL, "there is no %s", opening);
    int count = 0;
    for (d = strstr(d, " d=\"") + 4; *d != '"'; d++)
        count += *d == letter;
    return count;
}

START_TEST(a_column_is_drawn_against_another)
{
    char *svg = chart_of(log_a, "--x train_loss --y val_loss --title Loss");
    assert_drawn(svg, "<title>Loss</title>");
    assert_drawn(svg, "<desc>val_loss against train_loss; val_loss from 5.00 to 3.00.");
    ck_assert_int_eq(steps_of(svg, "line c0", 'l'), 1);
    free(svg);

    svg = chart_of(log_a, "--y train_loss --x-label Schritt --y-label Verlust");
    assert_drawn(svg, "<desc>Verlust against Schritt; train_loss from 4.00 to 2.00.");
    ck_assert_int_eq(steps_of(svg, "line c0", 'l'), 3);
    ck_assert_int_eq(occurrences(svg, "class=\"dots"), 0);
    free(svg);
}
END_TEST

START_TEST(several_columns_are_several_lines)
{
    char *svg = chart_of(log_a, "--y train_loss,val_loss");
    assert_drawn(svg, "<desc>y against step; train_loss from 4.00 to 2.00; val_loss from "
                      "5.00 to 3.00.</desc>");
    free(svg);
    svg = chart_of(log_a, "--y train_loss,val_loss --names one,two");
    assert_drawn(svg, "; one from 4.00 to 2.00; two from 5.00 to 3.00.</desc>");
    free(svg);
}
END_TEST

START_TEST(what_is_empty_is_left_out_and_nan_is_a_gap)
{
    char *svg = chart_of(log_b, "--y val_loss,train_loss");
    ck_assert_int_eq(steps_of(svg, "line c0", 'M'), 1);
    ck_assert_int_eq(steps_of(svg, "line c0", 'l'), 2);
    ck_assert_int_eq(steps_of(svg, "dots c0", 'h'), 3);
    ck_assert_int_eq(steps_of(svg, "line c1", 'l'), 2);
    ck_assert_int_eq(steps_of(svg, "line c1", 'a'), 2); /* the ring of a lone point */
    ck_assert_int_eq(occurrences(svg, "class=\"dots"), 1);
    free(svg);
    svg = chart_of("x,y\n1,10\n,20\n3,30\n", "--y y");
    ck_assert_int_eq(steps_of(svg, "line c0", 'M'), 1);
    ck_assert_int_eq(steps_of(svg, "line c0", 'l'), 1);
    free(svg);
    svg = chart_of(log_b, "--y train_loss --markers");
    ck_assert_int_eq(steps_of(svg, "dots c0", 'h'), 4);
    free(svg);
}
END_TEST

/* The files have names of their own, or those that are given. */
static char *chart_of_two(const char *options)
{
    assert_runs("cd %s && %s a.csv b.csv %s", scratch_folder(), "$OLDPWD/" PROGRAM,
                options);
    return text_of(scratch("chart.svg"));
}

START_TEST(several_files_are_laid_over_each_other)
{
    write_table("a.csv", log_a);
    write_table("b.csv", log_b);
    char *svg = chart_of_two("--y val_loss --names gpt,lstm");
    assert_drawn(svg, "<desc>val_loss against step; gpt from 5.00 to 3.00; lstm from 5.00 "
                      "to 3.50.</desc>");
    free(svg);
    svg = chart_of_two("--y val_loss,train_loss --names gpt,lstm");
    assert_drawn(svg,
                 "; gpt val_loss from 5.00 to 3.00; gpt train_loss from 4.00 to 2.00; "
                 "lstm val_loss from 5.00 to 3.50; lstm train_loss from 4.50 to 1.50.");
    free(svg);
    svg = chart_of_two("--y val_loss");
    assert_drawn(svg, "; a.csv from 5.00 to 3.00; b.csv from 5.00 to 3.50.</desc>");
    free(svg);
}
END_TEST

START_TEST(axes_can_be_logarithmic_and_cut)
{
    const char *table = "x,y\n1,10\n10,1000\n100,100000\n1000,10\n";
    char *svg = chart_of(table, "--y y --log-x --log-y");
    assert_drawn(svg, ">100<");
    assert_drawn(svg, ">100k<");
    free(svg);
    svg = chart_of(table, "--y y --log-x"); /* x to 1000, y to 100,000 */
    assert_drawn(svg, ">100<");
    free(svg);
    svg = chart_of(table, "--y y --log-y");
    assert_drawn(svg, ">100k<");
    assert_drawn(svg, ">10k<");
    assert_drawn(svg, ">800<");
    free(svg);
    svg = chart_of(table, "--y y");
    ck_assert_ptr_null(strstr(svg, ">100<"));
    assert_drawn(svg, "overflow=\"visible\"");
    free(svg);
    svg = chart_of(table, "--y y --y-max 500 --y-min 300");
    assert_drawn(svg, "overflow=\"hidden\"");
    assert_drawn(svg, ">450<");
    free(svg);
}
END_TEST

START_TEST(fields_may_be_quoted)
{
    char *svg = chart_of("\xef\xbb\xbfstep,\"the \"\"loss\"\", in nats\",\"two\nlines\"\r\n"
                         "\"1\",\"2\",3\r\n\r\n2, 4 ,5\n\n3,8,\"7\"",
                         "--x step --y 'two\nlines'");
    ck_assert_int_eq(steps_of(svg, "line c0", 'l'), 2);
    assert_drawn(svg, "two↵lines from 3.00 to 7.00");
    free(svg);
    assert_refused("its columns are the \"loss\", in nats, b", "%s --y loss",
                   write_table("t.csv", "\"the \"\"loss\"\", in nats\",b\n1,2\n"));
}
END_TEST

START_TEST(each_row_can_be_a_point_with_its_name)
{
    const char *table = "model,seconds,val_loss\n\"GPT, small\",30,1.75\nLSTM,45,1.9\n"
                        "RNN,60,\nMamba,80,1.6\n";
    char *svg = chart_of(table, "--x seconds --y val_loss --label model");
    assert_drawn(svg, "<desc>val_loss against seconds; GPT, small from 1.75 to 1.75; LSTM "
                      "from 1.90 to 1.90; Mamba from 1.60 to 1.60.</desc>");
    ck_assert_int_eq(steps_of(svg, "dots c0", 'h'), 1);
    ck_assert_int_eq(steps_of(svg, "dots c2", 'h'), 1);
    assert_drawn(svg, ">80<");
    free(svg);
    svg = chart_of(table, "--y val_loss --label model"); /* against 1, 2, 3, 4 */
    assert_drawn(svg, "<desc>val_loss against x; ");
    assert_drawn(svg, ">3.5<");
    ck_assert_ptr_null(strstr(svg, ">80<"));
    free(svg);
}
END_TEST

START_TEST(a_table_of_many_rows_and_columns_is_read)
{
    enum { ROWS = 3000, COLUMNS = 70 };
    char *table = malloc(ROWS * COLUMNS * 8), *end = table;
    for (int c = 0; c < COLUMNS; c++)
        end += sprintf(end, "c%d%c", c, c + 1 < COLUMNS ? ',' : '\n');
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++)
            end += sprintf(end, "%d%c", r + c, c + 1 < COLUMNS ? ',' : '\n');
    char *svg = chart_of(table, "--x c3 --y c69,c0");
    assert_drawn(svg, "; c69 from 69.0 to 3068; c0 from 0 to 2999.</desc>");
    free(svg);
    free(table);
}
END_TEST

START_TEST(what_is_no_table_is_refused)
{
    const char *path = write_table("t.csv", "a,b,c\n1,2,3\n1,2\n");
    assert_refused("t.csv, line 3: there are 2 fields, but 3 columns", "%s --y b", path);
    write_table("t.csv", "a,b\n\n1,\"2\n\n3\"\n1,2,3\n");
    assert_refused("t.csv, line 6: there are 3 fields, but 2 columns", "%s --y b", path);
    write_table("t.csv", "a,b\n1,2\n2,much\n");
    assert_refused("t.csv, line 3: \"much\" in the column \"b\" is no number", "%s --y b",
                   path);
    assert_refused("t.csv, line 3: \"much\" in the column \"b\" is no number",
                   "%s --x b --y a", path);
    write_table("t.csv", "");
    assert_refused("t.csv is empty: it has no header line", "%s --y b", path);
    write_bytes(path, "a,b\n1,\0002\n", 9);
    assert_refused("t.csv is no table: there is a zero byte in it", "%s --y b", path);
    assert_refused("nowhere.csv: No such file", "%s --y b", scratch("nowhere.csv"));
}
END_TEST

START_TEST(what_cannot_be_drawn_is_refused)
{
    const char *path = write_table("t.csv", log_a);
    assert_refused("t.csv has no column \"loss\"; its columns are step, train_loss, "
                   "val_loss",
                   "%s --y loss", path);
    assert_refused("has no column \"steps\"", "%s --y val_loss --x steps", path);
    assert_refused("has no column \"name\"", "%s --y val_loss --label name", path);
    assert_refused("has no column \"\"", "%s --y val_loss,", path);
    assert_refused("--y must tell what to draw of ", "%s", path);
    assert_refused("t.csv; its columns are step, train_loss, val_loss", "%s", path);
    assert_refused("no file is named; see chart --help", "--y val_loss");
    assert_refused("no file is named", " ");
    assert_refused("--names has 2 names for 1 columns", "%s --y val_loss --names a,b",
                   path);
    assert_refused("--names has 1 names for 2 files", "%s %s --y val_loss --names a", path,
                   path);
    assert_refused("--label goes with one column for --y and without --names",
                   "%s --y train_loss,val_loss --label step", path);
    assert_refused("--label goes with one", "%s --y val_loss --label step --names a", path);
    assert_refused("--y-min 3 is not below --y-max 3",
                   "%s --y val_loss --y-min 3 --y-max 3", path);
    assert_refused("--y-min 1 is not below --y-max 0", "%s --y val_loss --y-min 1", path);
    assert_refused("--colour", "%s --y val_loss --colour red", path);
    assert_refused("nowhere", "%s --y val_loss --out %s/nowhere/c.svg", path,
                   scratch_folder());
    ck_assert(!file_exists(scratch("nowhere")));
}
END_TEST

START_TEST(help_lists_the_options)
{
    char output[4096];
    ck_assert_int_eq(run_command(output, sizeof output, "%s --help", PROGRAM), 0);
    assert_contains(output, "usage: chart FILE.csv ...");
    assert_contains(output, "  --label COLUMN");
    assert_contains(output, "(chart.svg)");
    ck_assert_int_eq(run_command(output, sizeof output, "%s a.csv --help", PROGRAM), 0);
    assert_contains(output, "usage: chart FILE.csv ...");
}
END_TEST

SUITE("chart", 10, a_column_is_drawn_against_another, several_columns_are_several_lines,
      what_is_empty_is_left_out_and_nan_is_a_gap, several_files_are_laid_over_each_other,
      axes_can_be_logarithmic_and_cut, fields_may_be_quoted,
      each_row_can_be_a_point_with_its_name, a_table_of_many_rows_and_columns_is_read,
      what_is_no_table_is_refused, what_cannot_be_drawn_is_refused, help_lists_the_options)
