/* bench.h - what measuring needs: a stopwatch, a median, and what the machine could do at most. */
#ifndef LINEAGE_BENCH_H
#define LINEAGE_BENCH_H

/* The time of one call of run(context): that of the fastest of several short batches, because
 * whatever else the machine does in between only adds. One call goes before them, unmeasured:
 * it brings the data near and wakes the threads. */
double time_of(void (*run)(void *context), void *context);

double median(int n, double *x); /* sorts x; n is odd */

/* The speed, in GFLOP/s, of multiply-adds that depend on nothing but registers, on one
 * thread: no program can do more. */
double measure_peak(void);

#endif
