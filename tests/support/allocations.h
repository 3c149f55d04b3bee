/* allocations.h - counts what the program and the C library allocate. For one file of a suite:
 * it takes the place of malloc and its kin, unless a sanitizer has done so before. */
#ifndef LINEAGE_ALLOCATIONS_H
#define LINEAGE_ALLOCATIONS_H

#include "sanitized.h"
#include <stddef.h>

/* Stays 0 where it cannot count; SANITIZED tells of one such place. */
static long allocations;
#if defined __GLIBC__ && !defined SANITIZED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}
#endif

#endif
