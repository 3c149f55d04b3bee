/* parallel.h - a persistent pool of threads and one way to use it.
 *
 *     static void work(long from, long to, void *context) { ... items from .. to - 1 ... }
 *     parallel_for(rows, 8, work, &context);
 *
 * Results must not depend on the number of threads, so work is divided by what is
 * *written*: two ranges never write to the same place. A sum over many things is made in
 * parts that are the same for any number of threads: parallel_sum does that. */
#ifndef LINEAGE_PARALLEL_H
#define LINEAGE_PARALLEL_H

#include <stdbool.h>

/* Sets the number of threads, 1 to 32; 0 chooses as many as there are processors. May be
 * called again at any time outside parallel_for. The threads start when first needed. */
void parallel_threads(int threads);
int parallel_thread_count(void);

/* Calls work on ranges that together are 0 .. count - 1, each but the last a multiple of
 * `grain` long; returns when all are done. A call from within `work` runs on the spot. One
 * thread of the program at a time may call this. */
void parallel_for(long count, long grain, void (*work)(long from, long to, void *context),
                  void *context);

/* The same for rows of so many numbers each, in ranges for which another thread pays. */
void parallel_rows(long rows, long columns, void (*work)(long from, long to, void *context),
                   void *context);

/* Adds to `sum`, an array of `size` floats, what `count` items give to it, as the gradient of
 * a weight is made by all rows. The items are cut into a few parts, the same for any number
 * of threads. Work is called for each part, with an array of zeros, `size` of them, to which
 * it adds items from .. to - 1 one after the other; then the parts are added up in order. So
 * the bits of the result do not depend on the number of threads. */
void parallel_sum(long count, long size, float *sum,
                  void (*work)(long from, long to, float *sum, void *context),
                  void *context);

#endif
