/* tape.h - what a tape is made of; for tape.c, op.c and ops_copy.c alone. */
#ifndef LINEAGE_TAPE_H
#define LINEAGE_TAPE_H

#include "tensor/tensor.h"

enum { MOST_CHUNKS = 40 };

typedef struct {
    char *memory;
    size_t size;
} Chunk;

typedef struct Spare Spare; /* op.c: memory that was handed back */
typedef struct Label Label; /* tape.c */

struct Tape {
    TapeUse use;
    uint64_t seed, draws;
    long step;

    Chunk chunk[MOST_CHUNKS]; /* as a rule each twice as large as the one before it */
    int chunks, current;      /* `used` bytes of chunk[current] are taken */
    size_t used;

    Label *labels; /* the last of them */
    Op *last;      /* the operation recorded last */
    bool finished; /* backward has been here */
    Spare *spare;
    Profile *profile;

    const char *text, *file; /* the last t_shaped that held */
    int line;
};

/* In debug builds what has been given back, or is not yet written, is filled with NaN, so
 * that nobody uses it. */
void tape_spoil(void *memory, size_t bytes);

/* Gives back all that was made since the mark. */
void tape_drop_to(Tape *tape, Mark mark);

#endif
