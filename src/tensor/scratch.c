/* scratch.c - memory that a thread keeps for its next need. */
#include "tensor/scratch.h"
#include "base/error.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 /* bytes */ };

/* Before the memory lies its head. */
typedef union Block Block;
union Block {
    struct {
        Block *next;
        size_t bytes;
    };
    char padding[ALIGNMENT];
};

static _Thread_local Block *list;

void *scratch_take(size_t bytes)
{
    for (Block **link = &list; *link; link = &(*link)->next)
        if ((*link)->bytes >= bytes) {
            Block *block = *link;
            *link = block->next;
            return block + 1;
        }
    if (list) { /* it was too small, and what replaces it will do for both */
        Block *small = list;
        list = small->next;
        free(small);
    }
    size_t whole = sizeof(Block) + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    Block *block = aligned_alloc(ALIGNMENT, whole);
    if (!block)
        out_of_memory(whole, "a step of a product or a sum");
    block->bytes = bytes;
    return block + 1;
}

void scratch_return(void *memory)
{
    Block *block = (Block *)memory - 1;
    block->next = list;
    list = block;
}

void scratch_free(void)
{
    while (list) {
        Block *block = list;
        list = block->next;
        free(block);
    }
}
