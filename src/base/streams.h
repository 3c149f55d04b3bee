/* streams.h - the three streams that a program begins with. */
#ifndef LINEAGE_STREAMS_H
#define LINEAGE_STREAMS_H

#include "base/error.h"

/* Opens those of descriptors 0 to 2 that are closed on /dev/null; otherwise the next file
 * to be opened would get what is printed. To be called before anything is opened. */
void streams_open(void);

/* Whether all that was printed to stdout has arrived; false with a sentence. */
bool streams_flush(Error *error);

#endif
