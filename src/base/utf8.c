/* utf8.c - one Unicode character to bytes and back, strictly. */
#include "base/utf8.h"

#include <stdbool.h>

/* The least code point that needs so many bytes. */
static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};

/* Surrogates are halves of UTF-16 pairs: numbers set aside, not characters. */
static bool is_character(uint32_t code)
{
    return code < UTF8_CODES && !(code >= 0xd800 && code <= 0xdfff);
}

int utf8_decode(const char *text, long size, uint32_t *code)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (size < 1)
        return 0;
    if (byte[0] < 0x80) {
        *code = byte[0];
        return 1;
    }
    if (byte[0] < 0xc0 || byte[0] >= 0xf8)
        return 0;
    int length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    if (length > size)
        return 0;

    /* The first byte says the length in its leading ones; the others begin with 10. */
    uint32_t value = byte[0] & (0x7f >> length);
    for (int i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (byte[i] & 0x3f);
    }
    if (value < least[length] || !is_character(value))
        return 0;
    *code = value;
    return length;
}

int utf8_encode(uint32_t code, char text[4])
{
    if (!is_character(code))
        return 0;
    if (code < 0x80) {
        text[0] = (char)code;
        return 1;
    }
    int length = code < least[3] ? 2 : code < least[4] ? 3 : 4;
    for (int i = length - 1; i > 0; i--) {
        text[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    text[0] = (char)(0xf00 >> length | code);
    return length;
}
