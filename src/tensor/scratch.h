/* scratch.h - memory that a thread keeps for its next need.
 *
 * What a kernel needs for a moment is too large for the stack, which may be small, and is
 * needed too often to be asked from the system each time. Each thread has a list of what it
 * gave back; nothing is shared, so nothing waits. */
#ifndef LINEAGE_SCRATCH_H
#define LINEAGE_SCRATCH_H

/* What every thread of the pool has from its beginning: enough for a kernel. */
enum { SCRATCH_FLOATS = 112 * 1024 };

/* At least so many floats, aligned for vectors, not cleared. When there is no memory the
 * program ends with a sentence and status 1. */
float *scratch_take(long floats);

/* Gives it back, to the list of the thread that calls. */
void scratch_return(float *memory);

/* Frees the list of this thread, which is about to end. */
void scratch_free(void);

#endif
