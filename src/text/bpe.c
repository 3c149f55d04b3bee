/* bpe.c - byte-pair encoding: learning which pairs of tokens to join, and joining them.
 *
 * Both go over tokens in a chain, in which two neighbours become one without moving the
 * others, and both ask a heap what to join next. Encoding asks for the merge that was
 * learned first, learning for the pair that is most frequent. */
#include "text/bpe.h"
#include "text/kinds.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = -1 };
#define NO_PAIR UINT64_MAX

/* ---- The table of pairs ---- */

/* Where a pair is in the slots, or would be put. At least half of them are free. */
static long slot_of(const PairTable *table, Pair pair)
{
    long mask = 2 * table->capacity - 1;
    long slot = (long)((pair * 0x9e3779b97f4a7c15u) >> 32) & mask;
    while (table->slots[slot] && table->pair[table->slots[slot] - 1] != pair)
        slot = (slot + 1) & mask;
    return slot;
}

int pairs_find(const PairTable *table, Pair pair)
{
    return table->count ? table->slots[slot_of(table, pair)] - 1 : NONE;
}

static void pairs_grow(PairTable *table)
{
    long wanted = table->capacity ? 2 * table->capacity : 512;
    table->pair = room_for(table->pair, wanted, &table->capacity, sizeof *table->pair);
    free(table->slots);
    table->slots = allocate(2 * (size_t)table->capacity, sizeof *table->slots);
    for (long i = 0; i < table->count; i++)
        table->slots[slot_of(table, table->pair[i])] = (int)i + 1;
}

int pairs_add(PairTable *table, Pair pair)
{
    if (table->count == table->capacity)
        pairs_grow(table);
    long slot = slot_of(table, pair);
    if (table->slots[slot] == 0) {
        table->pair[table->count] = pair;
        table->slots[slot] = (int)++table->count;
    }
    return table->slots[slot] - 1;
}

void pairs_free(PairTable *table)
{
    free(table->pair);
    free(table->slots);
}

/* ---- The heap ---- */

/* What comes first is the lowest order, and among equals the lowest tie. */
typedef struct {
    long order;
    uint64_t tie;
} Item;

typedef struct {
    Item *item; /* item i comes before items 2i + 1 and 2i + 2 */
    long count, capacity;
} Heap;

static bool comes_before(Item a, Item b)
{
    return a.order != b.order ? a.order < b.order : a.tie < b.tie;
}

static void heap_push(Heap *heap, Item item)
{
    heap->item = room_for(heap->item, heap->count + 1, &heap->capacity, sizeof *heap->item);
    long at = heap->count++;
    for (; at > 0 && comes_before(item, heap->item[(at - 1) / 2]); at = (at - 1) / 2)
        heap->item[at] = heap->item[(at - 1) / 2];
    heap->item[at] = item;
}

/* Takes what comes first; false when there is nothing. */
static bool heap_pop(Heap *heap, Item *first)
{
    if (heap->count == 0)
        return false;
    *first = heap->item[0];
    Item moved = heap->item[--heap->count];
    long at = 0;
    for (long child = 1; child < heap->count; child = 2 * at + 1) {
        if (child + 1 < heap->count &&
            comes_before(heap->item[child + 1], heap->item[child]))
            child++;
        if (!comes_before(heap->item[child], moved))
            break;
        heap->item[at] = heap->item[child];
        at = child;
    }
    heap->item[at] = moved;
    return true;
}

/* ---- Chunks, and the chain of tokens ---- */

typedef enum { SPACE, LETTER, DIGIT, OTHER } Class;

static Class class_of(char c)
{
    unsigned char byte = (unsigned char)c;
    if (byte == ' ' || (byte >= '\t' && byte <= '\r'))
        return SPACE;
    if (byte >= 0x80 || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
        return LETTER;
    return byte >= '0' && byte <= '9' ? DIGIT : OTHER;
}

int bpe_chunk_length(const char *text, long size)
{
    int limit = size < BPE_LONGEST ? (int)size : BPE_LONGEST;
    int end = limit > 1 && text[0] == ' ' && class_of(text[1]) != SPACE ? 1 : 0;
    Class run = class_of(text[end]);
    while (end < limit && class_of(text[end]) == run)
        end++;
    /* Not all of the run: a single space would have begun the run of the word above. */
    if (run == SPACE && end < limit && text[end - 1] == ' ')
        end--;
    return end;
}

/* Tokens in a row, any two neighbours of which can become one. A place keeps its number:
 * joining frees the place on the right. */
typedef struct {
    int *token, *next, *previous; /* by place; NONE at the ends of a chunk */
} Chain;

static Chain chain_new(size_t places)
{
    return (Chain){.token = allocate(places, sizeof(int)),
                   .next = allocate(places, sizeof(int)),
                   .previous = allocate(places, sizeof(int))};
}

static void chain_free(Chain *chain)
{
    free(chain->token);
    free(chain->next);
    free(chain->previous);
}

/* Lays a chunk out, one byte a token, from a place on. */
static void chain_lay(Chain *chain, int place, const BytePairs *pairs, const char *bytes,
                      int length)
{
    for (int i = 0; i < length; i++) {
        chain->token[place + i] = pairs->token_of[(unsigned char)bytes[i]];
        chain->next[place + i] = i + 1 < length ? place + i + 1 : NONE;
        chain->previous[place + i] = i > 0 ? place + i - 1 : NONE;
    }
}

/* The token at a place and the one after it; NO_PAIR at the end, or without a place. */
static Pair pair_at(const Chain *chain, int place)
{
    if (place == NONE || chain->next[place] == NONE)
        return NO_PAIR;
    return pair_of(chain->token[place], chain->token[chain->next[place]]);
}

/* Makes one token of the pair at a place. */
static void chain_join(Chain *chain, int place, int token)
{
    int gone = chain->next[place], after = chain->next[gone];
    chain->token[place] = token;
    chain->next[place] = after;
    chain->next[gone] = NONE;
    if (after != NONE)
        chain->previous[after] = place;
}

/* ---- Encoding ---- */

/* Proposes to join the pair at a place, if that was learned. */
static void propose(const PairTable *merges, const Chain *chain, int place, Heap *heap)
{
    int number = pairs_find(merges, pair_at(chain, place));
    if (number != NONE)
        heap_push(heap, (Item){number, (uint64_t)place});
}

/* Joins what can be joined in one chunk: what was learned first goes first, from left to
 * right. A joined token takes part in later merges only, so this is the same as going
 * through all merges in turn; but it takes n log n steps. */
static void join_pairs(const PairTable *merges, Chain *chain, int length, Heap *heap)
{
    for (int place = 0; place < length; place++)
        propose(merges, chain, place, heap);
    Item item;
    while (heap_pop(heap, &item)) {
        int place = (int)item.tie;
        /* A neighbour may have been joined since this was proposed. */
        if (pair_at(chain, place) != merges->pair[item.order])
            continue;
        chain_join(chain, place, BPE_BYTES + (int)item.order);
        propose(merges, chain, chain->previous[place], heap);
        propose(merges, chain, place, heap);
    }
}

BytePairs byte_pairs_new(void)
{
    BytePairs pairs = {.chunk_length = bpe_chunk_length};
    for (int byte = 0; byte < BPE_BYTES; byte++)
        pairs.token_of[byte] = (unsigned char)byte;
    return pairs;
}

long bpe_encode(const BytePairs *pairs, const char *text, long size, int *tokens)
{
    Chain chain = chain_new(BPE_LONGEST);
    Heap heap = {0};
    long count = 0;
    for (long at = 0; at < size;) {
        int length = pairs->chunk_length(text + at, size - at);
        chain_lay(&chain, 0, pairs, text + at, length);
        join_pairs(&pairs->merges, &chain, length, &heap);
        for (int place = 0; place != NONE; place = chain.next[place])
            tokens[count++] = chain.token[place];
        at += length;
    }
    chain_free(&chain);
    free(heap.item);
    return count;
}

/* ---- Learning ---- */

typedef struct {
    const char *bytes;
    int length;
    long count; /* how often it occurs in the text */
} Chunk;

static int compare_chunks(const void *a, const void *b)
{
    const Chunk *x = a, *y = b;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return memcmp(x->bytes, y->bytes, (size_t)x->length);
}

/* The different chunks of a text; the caller frees them. */
static Chunk *distinct_chunks(const BytePairs *pairs, const char *text, long size,
                              long *count)
{
    Chunk *chunks = NULL;
    long all = 0, capacity = 0, distinct = 0;
    for (long at = 0; at < size; at += chunks[all++].length) {
        chunks = room_for(chunks, all + 1, &capacity, sizeof *chunks);
        chunks[all] = (Chunk){text + at, pairs->chunk_length(text + at, size - at), 1};
    }
    if (all)
        qsort(chunks, (size_t)all, sizeof *chunks, compare_chunks);
    for (long i = 0; i < all; i++) {
        if (distinct && compare_chunks(&chunks[distinct - 1], &chunks[i]) == 0)
            chunks[distinct - 1].count++;
        else
            chunks[distinct++] = chunks[i];
    }
    *count = distinct;
    return chunks;
}

/* Where a pair is, and how often that is in the text. */
typedef struct {
    long count;
    int first, last; /* the ends of the list of its places, or NONE */
} Occurrences;

/* The different chunks, laid out in one chain. Every place but the last of a chunk is in
 * the list of the pair that begins there; a join changes the lists of its neighbours and
 * no others, so the text is never counted again. */
typedef struct {
    Chain chain;
    int places;
    long *weight;        /* by place: how often its chunk occurs in the text */
    int *before, *after; /* by place: its neighbours in the list of its pair */
    PairTable pairs;
    Occurrences *occurrences; /* by number of the pair */
    long capacity;            /* of the occurrences */
    Heap heap;                /* frequent pairs first; a count may have fallen since */
} Learner;

/* Puts a place at the end of the list of the pair that begins there, if any. */
static void enter(Learner *l, int place)
{
    Pair pair = pair_at(&l->chain, place);
    if (pair == NO_PAIR)
        return;
    long known = l->pairs.count;
    int number = pairs_add(&l->pairs, pair);
    l->occurrences = room_for(l->occurrences, l->pairs.count, &l->capacity,
                              sizeof *l->occurrences);
    Occurrences *found = &l->occurrences[number];
    if (number == known)
        *found = (Occurrences){0, NONE, NONE};

    found->count += l->weight[place];
    l->before[place] = found->last;
    l->after[place] = NONE;
    *(found->last == NONE ? &found->first : &l->after[found->last]) = place;
    found->last = place;
}

/* Takes a place out of the list of the pair that begins there, if any. */
static void leave(Learner *l, int place)
{
    Pair pair = pair_at(&l->chain, place);
    if (pair == NO_PAIR)
        return;
    Occurrences *found = &l->occurrences[pairs_find(&l->pairs, pair)];
    found->count -= l->weight[place];
    int before = l->before[place], after = l->after[place];
    *(before == NONE ? &found->first : &l->after[before]) = after;
    *(after == NONE ? &found->last : &l->before[after]) = before;
}

static void lay_chunks(Learner *l, const BytePairs *pairs, const Chunk *chunks, long count,
                       long places)
{
    l->chain = chain_new((size_t)places);
    l->weight = allocate((size_t)places, sizeof *l->weight);
    l->before = allocate((size_t)places, sizeof *l->before);
    l->after = allocate((size_t)places, sizeof *l->after);
    for (long i = 0; i < count; l->places += chunks[i++].length) {
        chain_lay(&l->chain, l->places, pairs, chunks[i].bytes, chunks[i].length);
        for (int j = 0; j < chunks[i].length; j++)
            l->weight[l->places + j] = chunks[i].count;
    }
    for (int place = 0; place < l->places; place++)
        enter(l, place);
}

static bool learner_open(Learner *l, const BytePairs *pairs, const char *text, long size,
                         Error *error)
{
    *l = (Learner){0};
    long count, places = 0;
    Chunk *chunks = distinct_chunks(pairs, text, size, &count);
    for (long i = 0; i < count; i++)
        places += chunks[i].length;
    /* Each join can bring two new pairs, and pairs are numbered by an int. */
    bool good = places <= INT_MAX / 4;
    if (good)
        lay_chunks(l, pairs, chunks, count, places);
    else
        fail(error,
             "the text is too large for byte pairs: %ld MB of different words; %d "
             "MB can be learned from",
             places / 1000000, INT_MAX / 4 / 1000000);
    free(chunks);
    return good;
}

static void learner_close(Learner *l)
{
    chain_free(&l->chain);
    free(l->weight);
    free(l->before);
    free(l->after);
    pairs_free(&l->pairs);
    free(l->occurrences);
    free(l->heap.item);
}

/* Makes a pair one that may be joined, unless it occurs only once. */
static void consider(Learner *l, int number)
{
    long count = l->occurrences[number].count;
    if (count >= 2)
        heap_push(&l->heap, (Item){-count, l->pairs.pair[number]});
}

/* The number of the pair to join next, or NONE when none occurs twice. */
static int most_frequent(Learner *l)
{
    Item item;
    while (heap_pop(&l->heap, &item)) {
        int number = pairs_find(&l->pairs, item.tie);
        if (l->occurrences[number].count == -item.order)
            return number;
        consider(l, number);
    }
    return NONE;
}

/* Joins a pair wherever it occurs. Its list is in the order of the text, since all places
 * of a pair are entered in one sweep from left to right: "aaa" becomes "aa", "a". */
static void join_everywhere(Learner *l, int number, int token)
{
    int place;
    while ((place = l->occurrences[number].first) != NONE) {
        leave(l, l->chain.previous[place]);
        leave(l, l->chain.next[place]);
        leave(l, place);
        chain_join(&l->chain, place, token);
        enter(l, l->chain.previous[place]);
        enter(l, place);
    }
}

bool bpe_learn(BytePairs *pairs, int wanted, const char *text, long size, Error *error)
{
    Learner learner;
    if (!learner_open(&learner, pairs, text, size, error))
        return false;
    int considered = 0;
    while (pairs->merges.count < wanted) {
        /* Only the sweep that brings a pair adds to its count: later ones take away. */
        while (considered < learner.pairs.count)
            consider(&learner, considered++);
        int best = most_frequent(&learner);
        if (best == NONE)
            break;
        int number = pairs_add(&pairs->merges, learner.pairs.pair[best]);
        join_everywhere(&learner, best, BPE_BYTES + number);
    }
    learner_close(&learner);
    return true;
}
