/* scratch.h - memory that a thread keeps for its next need.
 *
 * What a kernel needs for a moment is too large for the stack, which may be small, and is
 * needed too often to be asked from the system each time. Each thread has a list of what it
 * gave back; nothing is shared, so nothing waits. */
#ifndef LINEAGE_SCRATCH_H
#define LINEAGE_SCRATCH_H

#include <stddef.h>

/* What every thread of the pool has from its beginning: enough for a matrix product. */
enum { SCRATCH_BYTES = 448 * 1024 };

/* At least so many bytes, aligned for vectors, not cleared. When there is no memory the
 * program ends with a sentence and status 1. */
void *scratch_take(size_t bytes);

/* Gives it back, to the list of the thread that calls. */
void scratch_return(void *memory);

/* Frees the list of this thread, which is about to end. */
void scratch_free(void);

#endif
