/* utf8.h - one Unicode character to bytes and back, strictly. */
#ifndef LINEAGE_UTF8_H
#define LINEAGE_UTF8_H

#include <stdint.h>

enum { UTF8_CODES = 0x110000 }; /* code points are below this */

/* Reads the character that `text` begins with, of which `size` bytes may be looked at.
 * Returns its length, 1 to 4. Returns 0, and leaves `code` alone, for everything that is
 * not UTF-8 (RFC 3629): a stray or missing continuation byte, a form longer than needed,
 * a surrogate, a code point above U+10FFFF, an end too soon. */
int utf8_decode(const char *text, long size, uint32_t *code);

/* Writes a character and returns its length, 1 to 4; 0 for what is no character (a
 * surrogate, above U+10FFFF). Adds no zero. */
int utf8_encode(uint32_t code, char text[4]);

#endif
