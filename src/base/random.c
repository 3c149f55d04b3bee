/* random.c - random numbers that can be looked up. */
#include "base/random.h"

#include <math.h>

void philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t left = (uint64_t)0xD2511F53u * c0, right = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)right;
        c3 = (uint32_t)left;
        k0 += 0x9E3779B9u; /* the golden ratio ... */
        k1 += 0xBB67AE85u; /* ... and the square root of 3, less 1: Weyl sequences */
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* Four numbers come from one counter; block `i` of a stream. */
static void block(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), (uint32_t)stream,
                           (uint32_t)(stream >> 32)};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    philox(out, counter, key);
}

uint32_t random_bits(uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t words[4];
    block(words, seed, stream, i / 4);
    return words[i % 4];
}

/* Blocks do not depend on each other, so the compiler computes several at a time. */
void random_blocks(uint32_t *out, uint64_t seed, uint64_t stream, uint64_t first,
                   long count)
{
    for (long i = 0; i < count; i++)
        block(out + 4 * i, seed, stream, first + (uint64_t)i);
}

float random_uniform(uint64_t seed, uint64_t stream, uint64_t i)
{
    return (float)(random_bits(seed, stream, i) >> 8) * 0x1p-24f;
}

/* Box and Muller's transform of two uniform numbers, the first never zero. */
float random_normal(uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t words[4];
    block(words, seed, stream, i);
    double radius = sqrt(-2 * log(((double)words[0] + 0.5) * 0x1p-32));
    double angle = 2 * 3.14159265358979323846 * ((double)words[1] * 0x1p-32);
    return (float)(radius * cos(angle));
}

/* The upper part of a 64-bit number times the bound: the bias is below bound / 2^64. The
 * product of up to 96 bits is put together from its halves, and nothing overflows. */
uint32_t random_below(uint64_t seed, uint64_t stream, uint64_t i, uint64_t bound)
{
    uint32_t words[4];
    block(words, seed, stream, i);
    return (uint32_t)((words[0] * bound + (words[1] * bound >> 32)) >> 32);
}

/* FNV-1a. */
uint64_t random_stream(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}
