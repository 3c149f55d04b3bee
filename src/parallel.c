/* parallel.c - a persistent pool of threads and one way to use it.
 *
 * A training step forks and joins hundreds of times, a few microseconds apart, so a worker
 * that slept in between would spend its life waking up. It spins for a while instead: first
 * hard, then giving way to others, and sleeps only when nothing has come for milliseconds.
 *
 * A job is announced by counting `round` up. Workers that are to take part see it, do their
 * share and count `unfinished` down; the caller does the first share itself. */
#define _GNU_SOURCE
#include "parallel.h"
#include "error.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 64, HARD_SPINS = 2000 };
static const long SPIN_NANOSECONDS = 10 * 1000 * 1000;

static struct {
    int wanted;  /* threads, the caller included; 0 as long as nobody said */
    int started; /* workers that run */
    pthread_t worker[MOST_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t call;

    atomic_long round;
    atomic_int unfinished, sleepers;
    atomic_bool stop;

    /* The job, written before `round` is counted up. */
    void (*work)(long, long, void *);
    void *context;
    long count, share;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .call = PTHREAD_COND_INITIALIZER};

static _Thread_local bool inside; /* this thread is working on a share */

static inline void relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static long nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static void sleep_until_called(long seen)
{
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&pool.sleepers, 1);
    while (atomic_load(&pool.round) == seen)
        pthread_cond_wait(&pool.call, &pool.mutex);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.mutex);
}

static void wait_for_round_after(long seen)
{
    for (int i = 0; i < HARD_SPINS; i++) {
        if (atomic_load_explicit(&pool.round, memory_order_acquire) != seen)
            return;
        relax();
    }
    for (long start = nanoseconds(); nanoseconds() - start < SPIN_NANOSECONDS;) {
        if (atomic_load_explicit(&pool.round, memory_order_acquire) != seen)
            return;
        sched_yield();
    }
    sleep_until_called(seen);
}

static void do_share(long index)
{
    long from = index * pool.share, to = from + pool.share;
    if (to > pool.count)
        to = pool.count;
    inside = true;
    if (from < to)
        pool.work(from, to, pool.context);
    inside = false;
}

static void *worker_main(void *index)
{
    for (long seen = 0;;) {
        wait_for_round_after(seen);
        seen++;
        if (atomic_load(&pool.stop))
            return NULL;
        do_share((long)index);
        atomic_fetch_sub_explicit(&pool.unfinished, 1, memory_order_release);
    }
}

static void announce(void)
{
    atomic_fetch_add(&pool.round, 1);
    if (atomic_load(&pool.sleepers) == 0)
        return;
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_broadcast(&pool.call);
    pthread_mutex_unlock(&pool.mutex);
}

static void stop_workers(void)
{
    if (pool.started == 0)
        return;
    atomic_store(&pool.stop, true);
    announce();
    for (int i = 0; i < pool.started; i++)
        pthread_join(pool.worker[i], NULL);
    atomic_store(&pool.stop, false);
    atomic_store(&pool.round, 0);
    pool.started = 0;
}

/* A machine that gives fewer threads than wanted is no reason to stop: work with those. */
static void start_workers(void)
{
    while (pool.started < pool.wanted - 1) {
        long index = pool.started + 1;
        if (pthread_create(&pool.worker[pool.started], NULL, worker_main, (void *)index))
            break;
        pool.started++;
    }
    pool.wanted = pool.started + 1;
}

void parallel_threads(int threads)
{
    if (threads < 0 || threads > MOST_THREADS)
        misuse("parallel_threads: %d is not between 0 and %d", threads, MOST_THREADS);
    if (threads == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        threads = processors < 1              ? 1
                  : processors > MOST_THREADS ? MOST_THREADS
                                              : (int)processors;
    }
    if (threads == pool.wanted)
        return;
    stop_workers();
    pool.wanted = threads;
}

int parallel_thread_count(void)
{
    if (pool.wanted == 0)
        parallel_threads(0);
    return pool.wanted;
}

void parallel_for(long count, long grain, void (*work)(long, long, void *), void *context)
{
    if (!inside && pool.started < parallel_thread_count() - 1)
        start_workers();
    int threads = inside ? 1 : pool.wanted;
    long grains = (count + grain - 1) / grain;
    long share = (grains + threads - 1) / threads * grain;
    if (share >= count) {
        if (count > 0)
            work(0, count, context);
        return;
    }
    pool.work = work;
    pool.context = context;
    pool.count = count;
    pool.share = share;
    atomic_store_explicit(&pool.unfinished, pool.started, memory_order_relaxed);
    announce();
    do_share(0);
    for (int spins = 0; atomic_load_explicit(&pool.unfinished, memory_order_acquire) > 0;
         spins++) {
        if (spins < HARD_SPINS)
            relax();
        else
            sched_yield();
    }
}
