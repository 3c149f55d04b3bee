/* parallel.c - a persistent pool of threads and two ways to use it.
 *
 * A training step forks and joins hundreds of times, a few microseconds apart, and to wake a
 * sleeping thread takes longer than that. So a worker without work spins: first hard, then
 * giving way to others, and it sleeps only when nothing has come for milliseconds.
 *
 * A job is cut into shares, and whoever is there takes them: a thread first those with its
 * own number, so that it finds in its cache what it wrote before, then those of others. On
 * a busy machine the caller thus does all the work itself rather than wait for a worker
 * that the system has not woken yet. */
#define _GNU_SOURCE
#include "tensor/parallel.h"
#include "base/error.h"
#include "tensor/kernels.h"
#include "tensor/scratch.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 32, HARD_SPINS = 2000 };
static const long SPIN_NANOSECONDS = 10 * 1000 * 1000;

static struct {
    int wanted;  /* threads, the caller included; 0 as long as nobody said */
    int started; /* workers that run */
    pthread_t worker[MOST_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t call;
    atomic_int sleepers;
    atomic_bool stop;

    /* The number of the job in the upper half, and in the lower one bit for each share that
     * nobody has taken. Both in one word: a worker that comes late cannot take a share of a
     * job that it knows nothing of. */
    _Atomic uint64_t open;
    atomic_int unfinished; /* shares */

    /* The job. It changes only when every share is finished, so whoever has taken one reads
     * it safely. */
    void (*work)(long, long, void *);
    void *context;
    long count, share;
    atomic_int per_thread; /* shares that a thread tries first */
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

/* In one order with `sleepers`, that of all atomic operations: one who counted himself as
 * asleep sees the job, or the one who brought the job sees the sleeper. */
static bool nothing_to_do(void)
{
    return (uint32_t)atomic_load(&pool.open) == 0 && !atomic_load(&pool.stop);
}

static void sleep_until_called(void)
{
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&pool.sleepers, 1);
    while (nothing_to_do())
        pthread_cond_wait(&pool.call, &pool.mutex);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.mutex);
}

static void wait_for_work(void)
{
    for (int i = 0; i < HARD_SPINS; i++) {
        if (!nothing_to_do())
            return;
        relax();
    }
    for (long start = nanoseconds(); nanoseconds() - start < SPIN_NANOSECONDS;) {
        if (!nothing_to_do())
            return;
        sched_yield();
    }
    sleep_until_called();
}

/* Takes a share, one of thread `self`'s if there still is one; -1 when all are taken. */
static int take_share(int self)
{
    uint64_t open = atomic_load_explicit(&pool.open, memory_order_acquire), left;
    while ((uint32_t)open != 0) {
        uint64_t own = (((uint64_t)1 << pool.per_thread) - 1) << (self * pool.per_thread);
        uint64_t choice = (uint32_t)(open & own) ? (uint32_t)(open & own) : (uint32_t)open;
        int share = __builtin_ctzll(choice);
        left = open & ~((uint64_t)1 << share);
        if (atomic_compare_exchange_weak(&pool.open, &open, left))
            return share;
    }
    return -1;
}

static void do_shares(int self)
{
    inside = true;
    for (int share; (share = take_share(self)) >= 0;) {
        long from = share * pool.share, to = from + pool.share;
        pool.work(from, to < pool.count ? to : pool.count, pool.context);
        atomic_fetch_sub_explicit(&pool.unfinished, 1, memory_order_release);
    }
    inside = false;
}

/* The memory is allocated by the thread that starts the workers, so that how much is
 * allocated, and when, does not depend on which of them finds work first. */
static void *worker_main(void *scratch)
{
    int self = *(int *)scratch;
    scratch_return(scratch);
    while (!atomic_load(&pool.stop)) {
        do_shares(self);
        wait_for_work();
    }
    scratch_free();
    return NULL;
}

/* Wakes those who sleep. The lock makes sure that nobody is just about to. */
static void call_workers(void)
{
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
    call_workers();
    for (int i = 0; i < pool.started; i++)
        pthread_join(pool.worker[i], NULL);
    atomic_store(&pool.stop, false);
    pool.started = 0;
}

/* A machine that gives fewer threads than wanted is no reason to stop: work with those. */
static void start_workers(void)
{
    while (pool.started < pool.wanted - 1) {
        int *scratch = scratch_take(SCRATCH_BYTES);
        *scratch = pool.started + 1;
        if (pthread_create(&pool.worker[pool.started], NULL, worker_main, scratch)) {
            scratch_return(scratch);
            break;
        }
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
    int per_thread = 2 * threads <= MOST_THREADS ? 2 : 1;
    long grains = (count + grain - 1) / grain, shares = threads * per_thread;
    if (grains < shares) {
        per_thread = 1;
        shares = grains < threads ? grains : threads;
    }
    if (threads == 1 || shares <= 1) {
        if (count > 0)
            work(0, count, context);
        return;
    }
    pool.work = work;
    pool.context = context;
    pool.count = count;
    pool.share = (grains + shares - 1) / shares * grain;
    pool.per_thread = per_thread;
    shares = (count + pool.share - 1) / pool.share;
    atomic_store_explicit(&pool.unfinished, (int)shares, memory_order_relaxed);
    uint64_t job = (atomic_load(&pool.open) >> 32) + 1;
    atomic_store(&pool.open, job << 32 | (((uint64_t)1 << shares) - 1));
    call_workers();

    do_shares(0);
    for (int spins = 0; atomic_load_explicit(&pool.unfinished, memory_order_acquire) > 0;
         spins++) {
        if (spins < HARD_SPINS)
            relax();
        else
            sched_yield();
    }
}

enum { WORTH_IT = 16384 /* numbers for which another thread pays */ };

void parallel_rows(long rows, long columns, void (*work)(long, long, void *), void *context)
{
    parallel_for(rows, 1 + WORTH_IT / (columns + 1), work, context);
}

/* ---- Sums ---- */

enum { PARTS = 8, APART = 16 /* floats: threads write to different cache lines */ };

typedef struct {
    long count, size, height; /* height: the items of a part */
    float *part;              /* the first of the parts, and how far apart they lie */
    long stride;
    void (*work)(long, long, float *, void *);
    void *context;
} Summing;

static void sum_parts(long from, long to, void *context)
{
    const Summing *s = context;
    for (long i = from; i < to; i++) {
        long begin = i * s->height, end = begin + s->height;
        float *part = s->part + i * s->stride;
        memset(part, 0, (size_t)s->size * sizeof *part);
        if (begin < s->count)
            s->work(begin, end < s->count ? end : s->count, part, s->context);
    }
}

void parallel_sum(long count, long size, float *sum,
                  void (*work)(long from, long to, float *sum, void *context),
                  void *context)
{
    Summing s = {.count = count, .size = size, .work = work, .context = context};
    s.height = (count + PARTS - 1) / PARTS;
    s.stride = (size + APART - 1) / APART * APART;
    s.part = scratch_take((size_t)(PARTS * s.stride) * sizeof *s.part);
    parallel_for(PARTS, 1, sum_parts, &s);
    if (size == 1) { /* a single number: its parts are added as the lanes of a vector are */
        float number[PARTS];
        for (long i = 0; i < PARTS; i++)
            number[i] = s.part[i * s.stride];
        *sum += kernel_sum(PARTS, number);
    } else
        for (long i = 0; i < PARTS; i++)
            for (long j = 0; j < size; j++)
                sum[j] += s.part[i * s.stride + j];
    scratch_return(s.part);
}
