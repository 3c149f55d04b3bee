/* tokenizer.h - text to small integers and back.
 *
 * A model reads and writes tokens: integers from 0 to V - 1. Two kinds of tokenizer:
 *
 *   "char"   one token for each Unicode character that occurs in the training text, in
 *            order of code point. The text must be UTF-8 without zero bytes.
 *   "bpe:N"  byte-level byte-pair encoding: a token below 256 is that byte, and each of N
 *            more (0 to 65,280) joins two earlier ones. Takes any bytes.
 *
 * Byte pairs are joined in the order of their frequency, within chunks only: a word with
 * the space before it, a number, a run of signs; bpe.h tells the rules, ties included.
 * Learning stops early when no pair occurs twice: the vocabulary is then smaller than
 * asked for, and tokenizer_kind() tells the N that was reached.
 *
 * To add a kind, write kind_NAME.c with its row of functions, declare the row in kinds.h,
 * which tells what each of them does, and name it in the table of tokenizer.c. */
#ifndef LINEAGE_TOKENIZER_H
#define LINEAGE_TOKENIZER_H

#include "base/error.h"

typedef struct Tokenizer Tokenizer;

/* Learns a vocabulary from a text. NULL with a sentence for an unknown kind, for a text
 * that "char" refuses (empty, not UTF-8, a zero byte) or too large a text. */
Tokenizer *tokenizer_train(const char *kind, const char *text, long size, Error *error);
void tokenizer_free(Tokenizer *tokenizer);

int tokenizer_size(const Tokenizer *tokenizer);         /* V */
const char *tokenizer_kind(const Tokenizer *tokenizer); /* "char" or "bpe:1024" */

/* The tokens of a text; the caller frees them. NULL with a sentence when "char" meets a
 * character that it was not trained on, or what is not UTF-8; the sentence names it and
 * its place. Byte pairs refuse nothing. */
int *tokenizer_encode(const Tokenizer *tokenizer, const char *text, long size, long *count,
                      Error *error);

/* The bytes of one token, without a zero after them; they live as long as the tokenizer.
 * Of byte pairs, one token need not be a whole character. A token outside [0, V) is
 * misuse. */
const char *tokenizer_bytes(const Tokenizer *tokenizer, int token, int *length);

/* Special tokens are marks that no text contains, such as "[MASK]": encoding never yields
 * them, and their bytes are their names. The special token of that name, or -1; and whether
 * a token is special, and so nothing to be printed as text. "char" and "bpe" have none. */
int tokenizer_special(const Tokenizer *tokenizer, const char *name);
bool tokenizer_is_special(const Tokenizer *tokenizer, int token);

/* The tokenizer as JSON text, for the metadata of a checkpoint; the caller frees it.
 *     {"type":"char","characters":"\n !abc"}
 *     {"type":"bpe","merges":[[116,104],[256,101]]}  number n makes token 256 + n
 * Byte pairs from elsewhere may number the bytes in another order. They are saved with a
 * third member, "bytes": 256 numbers, the byte that token 0 stands for, token 1, ... */
char *tokenizer_save(const Tokenizer *tokenizer);

/* The reverse. NULL with a sentence for what is no such text. */
Tokenizer *tokenizer_load(const char *json, Error *error);

#endif
