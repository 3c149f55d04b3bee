/* bench.c - a stopwatch, a median, and what the machine could do at most. */
#include "bench.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/vector.h"

#include <math.h>
#include <stdlib.h>

double time_of(void (*run)(void *context), void *context)
{
    const double warm = parallel_thread_count() > 1 ? 0.06 : 0, batch = 0.0002,
                 enough = 0.004;
    double best = INFINITY, spent;
    /* A thread that was asleep may be put on the core of the one that woke it, and stay for
     * some milliseconds. In training none is ever asleep. */
    double begun = seconds_now();
    do
        run(context);
    while (seconds_now() - begun < warm);
    for (double all = 0; all < enough; all += spent) {
        double start = seconds_now();
        long calls = 0;
        do {
            run(context);
            calls++;
            spent = seconds_now() - start;
        } while (spent < batch);
        best = fmin(best, spent / calls);
    }
    return best;
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(int n, double *x)
{
    qsort(x, (size_t)n, sizeof *x, compare_numbers);
    return x[n / 2];
}

/* A multiply-add takes four or five cycles, and two begin in each: twelve sums that do not
 * wait for each other keep both units busy. They begin with different numbers, or the
 * compiler would notice that one is enough. */
enum { SUMS = 12, TURNS = 10000 };

static void multiply_and_add(void *context)
{
    volatile float *numbers = context;
    V factor = v_all(numbers[0]), term = v_all(numbers[1]), sum[SUMS], all = {0};
    for (int i = 0; i < SUMS; i++)
        sum[i] = v_all((float)i);
    for (long turn = 0; turn < TURNS; turn++) {
        UNROLL
        for (int i = 0; i < SUMS; i++)
            sum[i] = sum[i] * factor + term;
    }
    for (int i = 0; i < SUMS; i++)
        all += sum[i];
    numbers[2] = v_sum(all);
}

double measure_peak(void)
{
    float numbers[3] = {0.5f, 1};
    return 2e-9 * SUMS * TURNS * LANES / time_of(multiply_and_add, numbers);
}
