/* tokenizer.c - the kinds of tokenizers, and what they have in common. */
#include "text/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const TokenizerKind *const kinds[] = {
    &kind_char,
    &kind_bpe,
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- A vocabulary ---- */

void *room_for(void *memory, long wanted, long *capacity, size_t size)
{
    if (wanted <= *capacity)
        return memory;
    long grown = wanted > 2 * *capacity ? wanted : 2 * *capacity;
    memory = realloc(memory, (size_t)grown * size);
    if (!memory)
        out_of_memory((size_t)grown * size, "a tokenizer");
    *capacity = grown;
    return memory;
}

Tokenizer *tokenizer_new(const TokenizerKind *kind)
{
    Tokenizer *t = allocate(1, sizeof *t);
    t->kind = kind;
    t->start = room_for(NULL, 1, &t->start_capacity, sizeof *t->start);
    t->start[0] = 0;
    return t;
}

void tokenizer_free(Tokenizer *t)
{
    if (!t)
        return;
    t->kind->free(t->state);
    free(t->name);
    free(t->bytes);
    free(t->start);
    free(t->special);
    free(t);
}

void tokenizer_add(Tokenizer *t, const char *bytes, int length, bool special)
{
    long from = t->start[t->size], end = from + length;
    t->bytes = room_for(t->bytes, end, &t->bytes_capacity, 1);
    t->start = room_for(t->start, t->size + 2, &t->start_capacity, sizeof *t->start);
    memcpy(t->bytes + from, bytes, (size_t)length);
    if (special) {
        t->special = room_for(t->special, t->special_count + 1, &t->special_capacity,
                              sizeof *t->special);
        t->special[t->special_count++] = t->size;
    }
    t->start[++t->size] = end;
}

int tokenizer_size(const Tokenizer *t)
{
    return t->size;
}

const char *tokenizer_kind(const Tokenizer *t)
{
    return t->name ? t->name : t->kind->name;
}

const char *tokenizer_bytes(const Tokenizer *t, int token, int *length)
{
    if (token < 0 || token >= t->size)
        misuse("tokenizer: token %d is outside [0, %d)", token, t->size);
    *length = (int)(t->start[token + 1] - t->start[token]);
    return t->bytes + t->start[token];
}

int tokenizer_special(const Tokenizer *t, const char *name)
{
    for (int i = 0; i < t->special_count; i++) {
        int length;
        const char *bytes = tokenizer_bytes(t, t->special[i], &length);
        if (strlen(name) == (size_t)length && memcmp(bytes, name, (size_t)length) == 0)
            return t->special[i];
    }
    return -1;
}

bool tokenizer_is_special(const Tokenizer *t, int token)
{
    for (int i = 0; i < t->special_count; i++)
        if (t->special[i] == token)
            return true;
    return false;
}

/* ---- The kinds ---- */

/* The kind of which `name` begins with the name, up to its end or a colon; NULL if none. */
static const TokenizerKind *find_kind(const char *name)
{
    size_t length = strcspn(name, ":");
    for (int i = 0; i < KINDS; i++)
        if (strlen(kinds[i]->name) == length && strncmp(kinds[i]->name, name, length) == 0)
            return kinds[i];
    return NULL;
}

/* Adds to a list in words, as far as it fits. */
static void list_add(char *list, size_t room, const char *separator, const char *quote,
                     const char *item)
{
    size_t used = strlen(list);
    snprintf(list + used, room - used, "%s%s%s%s", used ? separator : "", quote, item,
             quote);
}

static bool refuse_kind(const char *name, Error *error)
{
    char list[sizeof error->text] = "";
    for (int i = 0; i < KINDS; i++)
        list_add(list, sizeof list, ", or ", "", kinds[i]->usage);
    return fail(error, "the tokenizer can be %s; not \"%.40s\"", list, name);
}

static bool refuse_type(Error *error)
{
    char list[sizeof error->text] = "";
    for (int i = 0; i < KINDS; i++)
        list_add(list, sizeof list, " nor ", "\"", kinds[i]->name);
    return fail(error, "\"type\" is neither %s", list);
}

/* Hands over a tokenizer that is complete, or frees one that is not. */
static Tokenizer *finished(Tokenizer *t, bool good)
{
    if (good)
        return t;
    tokenizer_free(t);
    return NULL;
}

Tokenizer *tokenizer_train(const char *name, const char *text, long size, Error *error)
{
    const TokenizerKind *kind = find_kind(name);
    const char *colon = strchr(name, ':'), *argument = colon ? colon + 1 : NULL;
    if (!kind || !kind->accepts(argument)) {
        refuse_kind(name, error);
        return NULL;
    }
    Tokenizer *t = tokenizer_new(kind);
    return finished(t, kind->learn(t, argument, text, size, error));
}

int *tokenizer_encode(const Tokenizer *t, const char *text, long size, long *count,
                      Error *error)
{
    *count = 0;
    int *tokens = t->kind->encode(t, text, size, count, error);
    if (!tokens)
        return NULL;
    int *shrunk = realloc(tokens, (size_t)(*count ? *count : 1) * sizeof *tokens);
    return shrunk ? shrunk : tokens;
}

char *tokenizer_save(const Tokenizer *t)
{
    return t->kind->save(t);
}

static Tokenizer *tokenizer_from(const Json *json, Error *error)
{
    const Json *type = json_member(json, "type");
    for (int i = 0; i < KINDS; i++)
        if (type && type->kind == JSON_STRING && !strcmp(type->string, kinds[i]->name)) {
            Tokenizer *t = tokenizer_new(kinds[i]);
            return finished(t, kinds[i]->load(t, json, error));
        }
    refuse_type(error);
    return NULL;
}

Tokenizer *tokenizer_load(const char *text, Error *error)
{
    Json *json = json_parse(text, (long)strlen(text), error);
    Tokenizer *t = json ? tokenizer_from(json, error) : NULL;
    json_free(json);
    if (!t)
        fail_within(error, "the saved tokenizer");
    return t;
}
