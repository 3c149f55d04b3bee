/* bpe.h - byte-pair encoding: learning which pairs of tokens to join, and joining them.
 *
 * Tokens below 256 are bytes, not always in the order of the bytes; merge number n makes
 * token 256 + n of two earlier ones. Merges never reach across the border of a chunk. */
#ifndef LINEAGE_BPE_H
#define LINEAGE_BPE_H

#include "base/error.h"
#include <stdint.h>

enum {
    BPE_BYTES = 256,
    BPE_MOST_MERGES = 65280, /* every token fits into 16 bits */
    BPE_LONGEST = 1024,      /* bytes of a chunk, and so of a token */
};

/* Two tokens as one number, which sorts by the left and then by the right one. */
typedef uint64_t Pair;

static inline Pair pair_of(int left, int right)
{
    return (Pair)left << 32 | (Pair)right;
}

static inline int pair_left(Pair pair)
{
    return (int)(pair >> 32);
}

static inline int pair_right(Pair pair)
{
    return (int)(pair & UINT32_MAX);
}

/* A hash table of pairs, numbered from 0 in the order in which they were added. One that
 * is all zero is empty. */
typedef struct {
    Pair *pair;           /* by number */
    long count, capacity; /* the capacity is 0 or a power of two */
    int *slots;           /* 2 * capacity: the number of a pair + 1, or 0 */
} PairTable;

/* The number of a pair; -1 when it is not there. */
int pairs_find(const PairTable *table, Pair pair);

/* The number of a pair, which is added when it is new. */
int pairs_add(PairTable *table, Pair pair);
void pairs_free(PairTable *table);

/* The length of the chunk that a text of at least one byte begins with: a run of letters
 * (ASCII letters and all bytes from 0x80 on), of digits, or of other bytes, with the
 * single space before it; or a run of white space, whose last space is left to the word
 * that follows. At most BPE_LONGEST. */
int bpe_chunk_length(const char *text, long size);

/* What a text is joined by: the merges, the pre-tokenizer that cuts it into chunks (as
 * bpe_chunk_length does: its answer is from 1 to `size` and to BPE_LONGEST), and the token
 * that each byte is before any merge. */
typedef struct {
    PairTable merges;
    int (*chunk_length)(const char *text, long size);
    unsigned char token_of[BPE_BYTES]; /* every token below BPE_BYTES comes once */
} BytePairs;

/* Without a merge, with bpe_chunk_length, each byte the token of its own number. The owner
 * frees the merges with pairs_free. */
BytePairs byte_pairs_new(void);

/* Adds up to `wanted` merges, where there are none: each time the pair that is at most
 * places in the text (of "aa" there are two in "aaa"), of several the one that sorts first;
 * fewer when none is left that occurs twice. False with a sentence when the text is too
 * large. */
bool bpe_learn(BytePairs *pairs, int wanted, const char *text, long size, Error *error);

/* Writes the tokens of a text and returns how many; room for one a byte is needed. */
long bpe_encode(const BytePairs *pairs, const char *text, long size, int *tokens);

#endif
