/* random.h - random numbers that can be looked up.
 *
 * Number i of a stream is a function of (seed, stream, i) and of nothing else: there is no
 * state to save, to restore, or to share between threads. The function is Philox 4x32-10
 * (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011), which
 * scrambles a 128-bit counter under a 64-bit key. */
#ifndef LINEAGE_RANDOM_H
#define LINEAGE_RANDOM_H

#include <stdint.h>

/* Ten rounds over one counter: four words of 32 bits. */
void philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* Number i of a stream: 32 bits; a float in [0, 1); a normal of mean 0 and variance 1;
 * an integer in [0, bound) without favourites, bound up to 2^32. */
uint32_t random_bits(uint64_t seed, uint64_t stream, uint64_t i);
float random_uniform(uint64_t seed, uint64_t stream, uint64_t i);
float random_normal(uint64_t seed, uint64_t stream, uint64_t i);
uint32_t random_below(uint64_t seed, uint64_t stream, uint64_t i, uint64_t bound);

/* Many at once, the same as random_bits gives and much quicker: numbers 4 first up to, but
 * without, 4 (first + count). */
void random_blocks(uint32_t *out, uint64_t seed, uint64_t stream, uint64_t first,
                   long count);

/* A stream for a name, so that what is called the same starts the same. */
uint64_t random_stream(const char *name);

#endif
