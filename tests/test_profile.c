/* test_profile.c - time goes to whose turn it is, on a clock that the test turns. */
#include "suite.h"
#include "tensor/ops.h"
#include "tensor/profile.h"

#include <string.h>
#include <time.h>

static double clock_now, tick; /* tick: how far each look at the clock moves it */

/* Takes the place of the system's. */
int clock_gettime(clockid_t id, struct timespec *t)
{
    (void)id;
    clock_now += tick;
    t->tv_sec = (time_t)clock_now;
    t->tv_nsec = (long)((clock_now - (double)t->tv_sec) * 1e9);
    return 0;
}

static void turn(Profile *profile, const char *name, ProfileWay way, double seconds)
{
    profile_turn(profile, name, way);
    clock_now += seconds;
}

/* What is printed, for so many steps. */
static const char *printed(const Profile *profile, long steps)
{
    static char text[16384];
    FILE *file = fopen(scratch("profile"), "w+");
    profile_print(file, profile, steps);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

START_TEST(the_clock_counts_seconds)
{
    clock_now = 12.25;
    ck_assert_double_eq(seconds_now(), 12.25);
}
END_TEST

/* Two steps: matmul 3 times, 4 s forward and 8 s backward; add once, 2 s; nobody, 5 s. */
START_TEST(time_is_divided_among_those_whose_turn_it_is)
{
    Profile *profile = profile_new();
    turn(profile, "matmul", PROFILE_FORWARD, 1);
    turn(profile, "add", PROFILE_FORWARD, 2);
    turn(profile, "matmul", PROFILE_FORWARD, 1);
    turn(profile, NULL, PROFILE_FORWARD, 5);
    turn(profile, "matmul", PROFILE_FORWARD, 2);
    turn(profile, "matmul", PROFILE_BACKWARD, 8);
    turn(profile, NULL, PROFILE_BACKWARD, 0);
    ck_assert_str_eq(printed(profile, 2),
                     "of a step               times  forward, ms backward, ms    share\n"
                     "matmul                    1.5     2000.000     4000.000    85.7%\n"
                     "add                       0.5     1000.000        0.000    14.3%\n"
                     "all                               7000.000 ms\n");
    profile_free(profile);
}
END_TEST

START_TEST(a_turn_that_has_not_ended_is_not_counted_yet)
{
    Profile *profile = profile_new();
    turn(profile, "add", PROFILE_FORWARD, 3);
    ck_assert(strstr(printed(profile, 1), "   0.000 ms\n") != NULL);
    profile_free(profile);
}
END_TEST

START_TEST(the_longest_come_first)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    static const double seconds[] = {2, 4, 1, 3};
    Profile *profile = profile_new();
    for (int i = 0; i < 4; i++)
        turn(profile, names[i], i % 2 ? PROFILE_BACKWARD : PROFILE_FORWARD, seconds[i]);
    turn(profile, NULL, PROFILE_FORWARD, 0);
    const char *text = printed(profile, 0); /* no step counts as one */
    const char *order = "bdac";
    for (const char *line = strchr(text, '\n') + 1; *order; line = strchr(line, '\n') + 1)
        ck_assert_int_eq(line[0], *order++);
    assert_contains(text, "all                              10000.000 ms\n");
    profile_free(profile);
}
END_TEST

START_TEST(beyond_the_last_account_everything_goes_into_it)
{
    static const char first[] = "op 63                    17.0    17000.000 ";
    static char names[80][16];
    Profile *profile = profile_new();
    for (int i = 0; i < 80; i++) {
        snprintf(names[i], sizeof names[i], "op %d", i);
        turn(profile, names[i], PROFILE_FORWARD, 1);
    }
    turn(profile, NULL, PROFILE_FORWARD, 0);
    const char *text = printed(profile, 1), *last = strstr(text, "op 63"),
               *all = strstr(text, "all  ");
    ck_assert(last != NULL && all != NULL);
    ck_assert_int_eq(strncmp(last, first, strlen(first)), 0);
    ck_assert_str_eq(all, "all                              80000.000 ms\n");
    ck_assert(strstr(text, "op 64") == NULL);
    profile_free(profile);
}
END_TEST

START_TEST(no_profile_does_nothing)
{
    profile_turn(NULL, "matmul", PROFILE_FORWARD);
    profile_free(NULL);
}
END_TEST

START_TEST(a_tape_tells_of_each_operation_on_both_ways)
{
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Profile *profile = profile_new();
    Tensor *x = t_keep_grad(t_zeros(tape, 3));
    tick = 1;
    tape_profile(tape, profile);
    backward(t_exp(t_sum_all(t_exp(x))));
    tape_profile(tape, NULL);
    t_tanh(t_zeros(tape, 3));
    profile_turn(profile, NULL, PROFILE_FORWARD);
    tick = 0;
    const char *text = printed(profile, 1);
    /* The last to go back has the clock until the end. */
    assert_contains(text, "exp                       2.0     2000.000     2000.000");
    assert_contains(text, "sum_all                   1.0     1000.000     1000.000");
    ck_assert(strstr(text, "tanh") == NULL);
    profile_free(profile);
    tape_free(tape);
}
END_TEST

SUITE("profile", 10, the_clock_counts_seconds, time_is_divided_among_those_whose_turn_it_is,
      a_turn_that_has_not_ended_is_not_counted_yet, the_longest_come_first,
      beyond_the_last_account_everything_goes_into_it, no_profile_does_nothing,
      a_tape_tells_of_each_operation_on_both_ways)
