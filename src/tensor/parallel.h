/* parallel.h - a persistent pool of threads and one way to use it.
 *
 *     static void work(long from, long to, void *context) { ... items from .. to - 1 ... }
 *     parallel_for(rows, 8, work, &context);
 *
 * Results must not depend on the number of threads, so work is divided by what is
 * *written*: two ranges never write to the same place. A long sum may be made in parts, each
 * into a place of its own, if the parts are the same for any number of threads. */
#ifndef LINEAGE_PARALLEL_H
#define LINEAGE_PARALLEL_H

/* Sets the number of threads, 1 to 32; 0 chooses as many as there are processors. May be
 * called again at any time outside parallel_for. The threads start when first needed. */
void parallel_threads(int threads);
int parallel_thread_count(void);

/* Calls work on ranges that together are 0 .. count - 1, each but the last a multiple of
 * `grain` long; returns when all are done. A call from
 * within `work` runs on the spot. One thread of the program at a time may call this. */
void parallel_for(long count, long grain, void (*work)(long from, long to, void *context),
                  void *context);

#endif
