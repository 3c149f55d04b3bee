/* test_distance.c - how far two words are apart. */
#include "base/distance.h"
#include "suite.h"

#include <limits.h>
#include <string.h>

static int distance(const char *a, const char *b)
{
    int n = (int)strlen(a), m = (int)strlen(b), there = edit_distance(a, n, b, m);
    ck_assert_int_eq(edit_distance(b, m, a, n), there);
    return there;
}

START_TEST(the_least_changes_are_counted)
{
    ck_assert_int_eq(distance("kitten", "sitting"), 3);
    ck_assert_int_eq(distance("saturday", "sunday"), 3);
    ck_assert_int_eq(distance("flaw", "lawn"), 2);
    ck_assert_int_eq(distance("same", "same"), 0);
    ck_assert_int_eq(distance("abc", "xyz"), 3);
    ck_assert_int_eq(distance("a", "bcdea"), 4);
    ck_assert_int_eq(distance("", "four"), 4);
    ck_assert_int_eq(distance("", ""), 0);
}
END_TEST

START_TEST(what_is_too_long_is_infinitely_far)
{
    char longest[DISTANCE_MOST + 2];
    memset(longest, 'x', sizeof longest);
    ck_assert_int_eq(edit_distance(longest, DISTANCE_MOST, longest, DISTANCE_MOST), 0);
    ck_assert_int_eq(edit_distance(longest, DISTANCE_MOST + 1, "x", 1), INT_MAX);
    ck_assert_int_eq(edit_distance("x", 1, longest, DISTANCE_MOST + 1), INT_MAX);
}
END_TEST

SUITE("distance", 10, the_least_changes_are_counted, what_is_too_long_is_infinitely_far)
