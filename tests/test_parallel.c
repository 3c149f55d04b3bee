/* test_parallel.c - every item is worked on once, by whatever number of threads, however
 * long they slept. */
#include "tensor/parallel.h"
#include "tensor/scratch.h"
#include "suite.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ITEMS = 1000 };

/* Items are counted without atomics: two threads on one item are a race to be seen. */
typedef struct {
    int visits[MOST_ITEMS];
    long count, grain;
    atomic_int ranges, odd_ranges;
} Visits;

static void visit(long from, long to, void *context)
{
    Visits *v = context;
    for (long i = from; i < to; i++)
        v->visits[i]++;
    v->ranges++;
    if (from % v->grain != 0 || from >= to || to > v->count ||
        (to != v->count && (to - from) % v->grain != 0))
        v->odd_ranges++;
}

static void check_cover(int threads, long count, long grain)
{
    Visits v = {.count = count, .grain = grain};
    parallel_for(count, grain, visit, &v);
    long wrong = 0;
    while (wrong < MOST_ITEMS && v.visits[wrong] == (wrong < count))
        wrong++;
    ck_assert_msg(wrong == MOST_ITEMS,
                  "%d threads, %ld items by %ld: item %ld was visited %d times", threads,
                  count, grain, wrong, wrong < MOST_ITEMS ? v.visits[wrong] : 0);
    ck_assert_int_eq(v.odd_ranges, 0);
    ck_assert_int_eq(v.ranges > 0, count > 0);
}

START_TEST(ranges_cover_everything_exactly_once)
{
    const long counts[] = {0, 1, 2, 3, 5, 7, 8, 63, 64, 65, 999, 1000};
    const long grains[] = {1, 2, 3, 8, 64, 999, 5000};
    for (int threads = 1; threads <= 5; threads++) {
        parallel_threads(threads);
        ck_assert_int_eq(parallel_thread_count(), threads);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            for (size_t j = 0; j < sizeof grains / sizeof grains[0]; j++)
                check_cover(threads, counts[i], grains[j]);
    }
}
END_TEST

static void meet(long from, long to, void *context)
{
    atomic_int *arrived = context;
    atomic_fetch_add(arrived, (int)(to - from));
    while (atomic_load(arrived) < 3)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* Each waits for the other two: one thread, or two, would wait for ever. */
START_TEST(ranges_run_at_the_same_time)
{
    for (int repeat = 0; repeat < 3; repeat++) {
        parallel_threads(2);
        check_cover(2, 65, 2);
        parallel_threads(3);
        atomic_int arrived = 0;
        parallel_for(3, 1, meet, &arrived);
        ck_assert_int_eq(arrived, 3);
    }
}
END_TEST

typedef struct {
    pthread_t thread;
    long from, to;
    int calls;
    bool elsewhere;
} Inner;

static void inner_work(long from, long to, void *context)
{
    Inner *inner = context;
    inner->from = from;
    inner->to = to;
    inner->calls++;
    inner->elsewhere |= !pthread_equal(pthread_self(), inner->thread);
}

static void outer_work(long from, long to, void *context)
{
    for (long i = from; i < to; i++) {
        Inner *inner = (Inner *)context + i;
        inner->thread = pthread_self();
        parallel_for(100, 1, inner_work, inner);
    }
}

START_TEST(a_call_from_within_runs_on_the_spot)
{
    parallel_threads(4);
    for (int repeat = 0; repeat < 20; repeat++) {
        Inner inner[8] = {0};
        parallel_for(8, 1, outer_work, inner);
        for (int i = 0; i < 8; i++) {
            ck_assert_int_eq(inner[i].calls, 1);
            ck_assert_int_eq(inner[i].from, 0);
            ck_assert_int_eq(inner[i].to, 100);
            ck_assert(!inner[i].elsewhere);
        }
    }
    check_cover(4, 1000, 1);
}
END_TEST

START_TEST(the_number_of_threads_may_change_again_and_again)
{
    for (int repeat = 0; repeat < 60; repeat++) {
        int threads = 1 + repeat * 7 % 5;
        parallel_threads(threads);
        for (int job = 0; job < repeat % 4; job++)
            check_cover(threads, 65, 2);
    }
}
END_TEST

static void add_one(long from, long to, void *context)
{
    for (long i = from; i < to; i++)
        ((long *)context)[16 * i]++;
}

START_TEST(a_hundred_thousand_tiny_jobs_in_a_row_are_done)
{
    static long sum[2 * 16];
    parallel_threads(2);
    for (int job = 0; job < 100000; job++)
        parallel_for(2, 1, add_one, sum);
    ck_assert_int_eq(sum[0], 100000);
    ck_assert_int_eq(sum[16], 100000);
}
END_TEST

/* Workers give up spinning after 10 ms; 30 ms later they sleep. */
START_TEST(workers_that_fell_asleep_wake_up)
{
    parallel_threads(4);
    for (int job = 0; job < 5; job++) {
        check_cover(4, 1000, 1);
        nanosleep(&(struct timespec){.tv_nsec = 30 * 1000 * 1000}, NULL);
    }
    parallel_threads(2); /* ends those that sleep */
    check_cover(2, 1000, 1);
}
END_TEST

/* What the pool remembers is set before the fork, but the threads start after it. */
START_TEST(a_child_process_starts_a_pool_of_its_own)
{
    parallel_threads(3);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        static Visits v = {.count = 100, .grain = 1};
        for (int job = 0; job < 10; job++)
            parallel_for(100, 1, visit, &v);
        for (int i = 0; i < 100; i++)
            if (v.visits[i] != 10)
                _exit(2);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    check_cover(3, 1000, 1);
}
END_TEST

START_TEST(zero_threads_means_one_for_each_processor)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    ck_assert_int_eq(parallel_thread_count(), processors > 32 ? 32 : processors);
    parallel_threads(3);
    parallel_threads(0);
    ck_assert_int_eq(parallel_thread_count(), processors > 32 ? 32 : processors);
}
END_TEST

/* ---- Sums ---- */

/* Item i gives 1 / (i + j + 1) to number j: sums that round, so that order shows. */
static void add_fractions(long from, long to, float *sum, void *context)
{
    long size = *(const long *)context;
    for (long i = from; i < to; i++)
        for (long j = 0; j < size; j++)
            sum[j] += 1.0f / (float)(i + j + 1);
}

START_TEST(a_sum_has_the_same_bits_for_any_number_of_threads)
{
    const long counts[] = {0, 1, 3, 7, 8, 9, 63, 1000}, sizes[] = {1, 2, 17, 300};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            float one[300], sum[300];
            long size = sizes[s];
            for (int threads = 1; threads <= 5; threads++) {
                for (long j = 0; j < size; j++)
                    sum[j] = (float)j;
                parallel_threads(threads);
                parallel_sum(counts[c], size, sum, add_fractions, &size);
                if (threads == 1)
                    memcpy(one, sum, sizeof one);
                ck_assert_mem_eq(sum, one, (size_t)size * sizeof *sum);
            }
            for (long j = 0; j < size; j++) {
                double want = (double)j;
                for (long i = 0; i < counts[c]; i++)
                    want += 1.0 / (double)(i + j + 1);
                ck_assert_double_le(fabs((double)sum[j] - want), 1e-6 * want);
            }
        }
}
END_TEST

/* One sum for each item of another. */
static void add_sums(long from, long to, float *sum, void *context)
{
    for (long i = from; i < to; i++)
        parallel_sum(i, 3, sum, add_fractions, context);
}

START_TEST(a_sum_within_a_sum_is_made_on_the_spot)
{
    long size = 3;
    float one[3] = {0}, three[3] = {0};
    parallel_threads(1);
    parallel_sum(100, 3, one, add_sums, &size);
    parallel_threads(3);
    parallel_sum(100, 3, three, add_sums, &size);
    ck_assert_mem_eq(one, three, sizeof one);
    double want = 0;
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < i; k++)
            want += 1.0 / (k + 3);
    ck_assert_double_le(fabs((double)one[2] - want), 1e-5 * want);
}
END_TEST

/* ---- Memory that a thread keeps ---- */

START_TEST(scratch_memory_is_used_again)
{
    char *first = scratch_take(1000), *second = scratch_take(1000);
    ck_assert_ptr_ne(first, second);
    ck_assert_uint_eq((size_t)first % 64, 0);
    memset(first, 1, 1000);
    memset(second, 2, 1000);
    scratch_return(first);
    ck_assert_ptr_eq(scratch_take(999), first);
    scratch_return(first);
    char *larger = scratch_take(100000); /* takes the place of the first */
    memset(larger, 3, 100000);
    ck_assert_int_eq(second[999], 2);
    scratch_return(larger);
    ck_assert_ptr_eq(scratch_take(1000), larger);
    scratch_return(second);
    scratch_return(larger);
    scratch_free();
}
END_TEST

SUITE("parallel", 60, ranges_cover_everything_exactly_once, ranges_run_at_the_same_time,
      a_call_from_within_runs_on_the_spot, the_number_of_threads_may_change_again_and_again,
      a_hundred_thousand_tiny_jobs_in_a_row_are_done, workers_that_fell_asleep_wake_up,
      a_child_process_starts_a_pool_of_its_own, zero_threads_means_one_for_each_processor,
      a_sum_has_the_same_bits_for_any_number_of_threads,
      a_sum_within_a_sum_is_made_on_the_spot, scratch_memory_is_used_again)
