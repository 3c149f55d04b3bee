/* json.h - just enough JSON: for the header of a safetensors file, for `config.json`, and
 * for a tokenizer kept inside a checkpoint. Reads any valid document (RFC 8259), refuses
 * every other with the offset of the fault; nesting deeper than 64 is refused. */
#ifndef LINEAGE_JSON_H
#define LINEAGE_JSON_H

#include "base/error.h"

typedef enum {
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} JsonKind;

typedef struct Json Json;
struct Json {
    JsonKind kind;
    bool boolean;
    double number;
    char *string; /* UTF-8 and zero-terminated: an escaped \u0000 is refused */
    int count;    /* elements of an array, members of an object */
    Json **items; /* the elements, or the values of the members in file order */
    char **names; /* the names of the members; NULL for an array */
};

/* The whole of `text` as one value; the caller frees it with json_free. NULL with a
 * sentence when it is not JSON, has something after it, or repeats a name in an object. */
Json *json_parse(const char *text, long size, Error *error);
void json_free(Json *value);

/* The member of an object, or NULL (also when `object` is NULL or no object). */
const Json *json_member(const Json *object, const char *name);

/* The number as an exact integer in [least, most]; false for anything else, and from 2^53
 * on, where a double no longer tells neighbours apart. */
bool json_integer(const Json *value, long least, long most, long *result);

/* A string as JSON writes it, quotes and escapes included; the caller frees it. The text
 * must be valid UTF-8. */
char *json_quote(const char *text);

#endif
