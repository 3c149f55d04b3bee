/* test_profile.c - the table of where the time goes: what it counts, not how long that took. */
#include "tensor/ops.h"
#include "tensor/profile.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

enum { TABLE = 16384 /* bytes, enough for one */ };

/* What a profile prints, divided by `steps`. */
static const char *table(const Profile *profile, long steps)
{
    static char text[TABLE];
    FILE *file = fmemopen(text, sizeof text, "w");
    profile_print(file, profile, steps);
    fclose(file);
    return text;
}

typedef struct {
    double times, forward, backward, share;
} Line;

static Line line_of(const char *text, const char *name)
{
    Line line = {-1, -1, -1, -1};
    char begin[32];
    snprintf(begin, sizeof begin, "\n%-20s ", name);
    const char *found = strstr(text, begin);
    if (found)
        sscanf(found + 21, "%lf %lf %lf %lf%%", &line.times, &line.forward, &line.backward,
               &line.share);
    return line;
}

/* Until the clock has moved on. */
static void some_time(void)
{
    double start = seconds_now();
    while (seconds_now() < start + 1e-3)
        continue;
}

START_TEST(turns_are_counted_forward_and_divided_by_steps)
{
    Profile *profile = profile_new();
    for (int i = 0; i < 6; i++) {
        profile_turn(profile, "there", PROFILE_FORWARD);
        some_time();
        profile_turn(profile, "back", PROFILE_BACKWARD);
        some_time();
    }
    profile_turn(profile, NULL, PROFILE_FORWARD);
    static char text[TABLE];
    snprintf(text, sizeof text, "%s", table(profile, 2));
    some_time(); /* which nobody is charged with */
    profile_turn(profile, NULL, PROFILE_FORWARD);
    ck_assert_str_eq(table(profile, 2), text);
    Line there = line_of(table(profile, 2), "there"),
         back = line_of(table(profile, 2), "back");
    ck_assert_double_eq(there.times, 3);
    ck_assert_double_eq(back.times, 0);
    ck_assert(there.forward >= 2.9 && there.backward == 0);
    ck_assert(back.backward >= 2.9 && back.forward == 0);
    ck_assert_double_eq_tol(there.share + back.share, 100, 0.11);
    profile_free(profile);
}
END_TEST

START_TEST(the_table_begins_with_what_took_longest_and_ends_with_the_sum)
{
    Profile *profile = profile_new();
    const char *names[] = {"one", "two", "three", "four"};
    for (int i = 0; i < 4; i++) {
        profile_turn(profile, names[i * 3 % 4], PROFILE_FORWARD);
        some_time();
    }
    profile_turn(profile, NULL, PROFILE_FORWARD);
    const char *text = strchr(table(profile, 1), '\n') + 1;
    double before = 1e9, sum = 0, all = 0;
    for (int i = 0; i < 4; i++, text = strchr(text, '\n') + 1) {
        Line line = {0};
        ck_assert_int_eq(sscanf(text, "%*s %lf %lf", &line.times, &line.forward), 2);
        ck_assert(line.forward <= before && line.forward >= 0.9);
        before = line.forward;
        sum += line.forward;
    }
    ck_assert_int_eq(sscanf(text, "all %lf ms", &all), 1);
    ck_assert_double_eq_tol(all, sum, 0.01);
    profile_free(profile);
}
END_TEST

START_TEST(without_a_profile_nothing_happens)
{
    profile_turn(NULL, "name", PROFILE_FORWARD);
    profile_free(NULL);
}
END_TEST

START_TEST(more_names_than_there_are_lines_share_the_last)
{
    static char names[100][8];
    Profile *profile = profile_new();
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        profile_turn(profile, names[i], PROFILE_FORWARD);
    }
    ck_assert_double_eq(line_of(table(profile, 1), "n0").times, 1);
    ck_assert_double_eq(line_of(table(profile, 1), "n63").times, 37);
    ck_assert_double_eq(line_of(table(profile, 1), "n64").times, -1);
    profile_free(profile);
}
END_TEST

START_TEST(a_tape_tells_of_each_operation_on_both_ways)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Profile *profile = profile_new();
    Tensor *x = t_keep_grad(t_zeros(tape, 100000));
    tape_profile(tape, profile);
    backward(t_mean_all(t_exp(t_exp(x))));
    tape_profile(tape, NULL);
    t_tanh(t_zeros(tape, 3));
    Line line = line_of(table(profile, 1), "exp");
    ck_assert_double_eq(line.times, 2);
    ck_assert_double_gt(line.backward, 0);
    ck_assert_double_eq(line_of(table(profile, 1), "tanh").times, -1);
    profile_free(profile);
    tape_free(tape);
}
END_TEST

SUITE("profile", 20, turns_are_counted_forward_and_divided_by_steps,
      the_table_begins_with_what_took_longest_and_ends_with_the_sum,
      without_a_profile_nothing_happens, more_names_than_there_are_lines_share_the_last,
      a_tape_tells_of_each_operation_on_both_ways)
