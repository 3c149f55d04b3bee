/* kinds.h - what a kind of tokenizer is, for those who write one. Programs use tokenizer.h.
 *
 * A kind is a row of functions in a file of its own, kind_NAME.c. It is declared at the end
 * of this header and named in the table of tokenizer.c; no other file knows of it. */
#ifndef LINEAGE_KINDS_H
#define LINEAGE_KINDS_H

#include "base/json.h"
#include "text/tokenizer.h"

typedef struct TokenizerKind TokenizerKind;

/* What all kinds have in common: the bytes that each token stands for. */
struct Tokenizer {
    const TokenizerKind *kind;
    void *state;  /* what the kind keeps beside that; its own */
    char *name;   /* for tokenizer_kind; NULL: the name of the kind. Freed with free(). */
    int size;     /* V */
    char *bytes;  /* of all tokens, one after the other: */
    long *start;  /* token i is bytes[start[i]] up to bytes[start[i + 1]] */
    int *special; /* the special tokens, in ascending order */
    int special_count;
    long bytes_capacity, start_capacity, special_capacity;
};

struct TokenizerKind {
    /* What --tokenizer NAME or NAME:ARGUMENT begins with, and the "type" of the saved form;
     * and how a refusal describes it, as in "\"bpe:N\" with N merges from 0 to 9". */
    const char *name, *usage;

    /* Whether this can follow the name and its colon; NULL: the name stood alone. */
    bool (*accepts)(const char *argument);

    /* Adds the tokens to an empty tokenizer, after what a text has or after a file that the
     * argument, which was accepted, names. False with a sentence when that fails. */
    bool (*learn)(Tokenizer *tokenizer, const char *argument, const char *text, long size,
                  Error *error);

    /* The contract of tokenizer_encode. How the text is cut beforehand (the pre-tokenizer)
     * is the kind's own. */
    int *(*encode)(const Tokenizer *tokenizer, const char *text, long size, long *count,
                   Error *error);

    /* The contract of tokenizer_save: an object whose "type" is the name. `load` reads it
     * into an empty tokenizer; false with a sentence when it is not what `save` writes. */
    char *(*save)(const Tokenizer *tokenizer);
    bool (*load)(Tokenizer *tokenizer, const Json *saved, Error *error);

    void (*free)(void *state); /* may be asked after a failure, and to free NULL */
};

/* A tokenizer without a token and without a state. */
Tokenizer *tokenizer_new(const TokenizerKind *kind);

/* Adds a token, whose number is tokenizer_size() before, and copies its bytes. A special
 * token has its name for bytes, as in "[MASK]". */
void tokenizer_add(Tokenizer *tokenizer, const char *bytes, int length, bool special);

/* Memory for at least `wanted` things of `size` bytes: `memory` while its capacity is
 * enough, otherwise at least twice that. */
void *room_for(void *memory, long wanted, long *capacity, size_t size);

extern const TokenizerKind kind_char, kind_bpe;

#endif
