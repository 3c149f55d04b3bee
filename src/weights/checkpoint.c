/* checkpoint.c - between parameters in memory and weights in a file. */
#include "weights/checkpoint.h"
#include "base/files.h"
#include "weights/shards.h"

#include <stdlib.h>
#include <string.h>

/* config.json in the folder of the checkpoint, if there is one. */
static bool read_config(Checkpoint *c, Error *error)
{
    char *path = weights_beside(c->path, "config.json"), *text = NULL;
    long size;
    bool right = true;
    if (file_exists(path)) {
        text = file_read(path, &size, error);
        c->config = text ? json_parse(text, size, error) : NULL;
        right = c->config || (text && fail_within(error, "%s", path));
    }
    free(text);
    free(path);
    return right;
}

Checkpoint *checkpoint_open(const char *path, const Conventions *conventions, Error *error)
{
    Checkpoint *c = allocate(1, sizeof *c);
    *c = (Checkpoint){.path = path, .conventions = conventions, .prefix = ""};
    c->file = weights_open(path, error);
    if (!c->file || !read_config(c, error)) {
        checkpoint_close(c);
        return NULL;
    }
    const char *prefix = conventions->prefix;
    for (int i = 0; prefix && i < c->file->count; i++)
        if (strncmp(c->file->tensor[i].name, prefix, strlen(prefix)) == 0)
            c->prefix = prefix;
    return c;
}

void checkpoint_close(Checkpoint *c)
{
    if (!c)
        return;
    safetensors_close(c->file);
    json_free(c->config);
    free(c);
}

const SafeTensor *checkpoint_find(const Checkpoint *c, const char *name)
{
    static const char *const endings[][2] = {
        {"", ""}, {".weight", ".gamma"}, {".bias", ".beta"}};
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(name), ending = strlen(endings[i][0]);
        if (length < ending || strcmp(name + length - ending, endings[i][0]) != 0)
            continue;
        for (int with = 1; with >= 0; with--) {
            char full[256];
            int written = snprintf(full, sizeof full, "%s%.*s%s", with ? c->prefix : "",
                                   (int)(length - ending), name, endings[i][1]);
            const SafeTensor *found = written < (int)sizeof full
                                          ? safetensors_find(c->file, full)
                                          : NULL;
            if (found)
                return found;
        }
    }
    return NULL;
}

int checkpoint_size(const Checkpoint *c, const char *name, int dimension)
{
    const SafeTensor *t = checkpoint_find(c, name);
    return t && dimension < t->rank ? t->shape[dimension] : 0;
}

int checkpoint_layers(const Checkpoint *c, const char *pattern)
{
    const char *number = strstr(pattern, "%d");
    for (int n = 0;; n++) {
        char name[128];
        snprintf(name, sizeof name, "%.*s%d%s", (int)(number - pattern), pattern, n,
                 number + 2);
        if (!checkpoint_find(c, name))
            return n;
    }
}

/* ---- The configuration ---- */

/* What text stands for as a value of the option, in the one spelling that options_get uses;
 * the caller frees it. NULL with a sentence that begins with `source`. */
static char *normalised(const Option *option, const char *text, const char *source,
                        Error *error)
{
    union {
        int i;
        long l;
        double d;
        bool b;
        const char *t;
    } value = {0};
    Option trial = *option;
    trial.value = &value;
    if (!options_set(&trial, text, error)) {
        fail_within(error, "%s", source);
        return NULL;
    }
    return options_get(&trial);
}

/* What config.json says under a name, as text; false if nothing. */
static bool config_text(const Checkpoint *c, const char *name, char *text, size_t size)
{
    const Json *value = name ? json_member(c->config, name) : NULL;
    if (value && value->kind == JSON_NUMBER)
        snprintf(text, size, "%.17g", value->number);
    else if (value && value->kind == JSON_STRING)
        snprintf(text, size, "%s", value->string);
    else if (value && value->kind == JSON_BOOLEAN)
        snprintf(text, size, "%s", value->boolean ? "true" : "false");
    else
        return false;
    return true;
}

bool checkpoint_settle(const Checkpoint *c, Option *option, const char *json_name,
                       long by_shape, Error *error)
{
    enum { GIVEN, METADATA, CONFIG, SHAPES, SOURCES };
    static const char *const source[] = {"the command line", "the metadata", "config.json",
                                         "the shape of the tensors"};
    char text[64], *answer[SOURCES] = {NULL};
    const char *metadata = safetensors_metadata(c->file, option->name);
    bool right = true;
    if (option->kind == OPTION_TEXT) /* it would point into a file that is to be closed */
        misuse("checkpoint_settle: --%s is a text", option->name);

    if (option->given)
        answer[GIVEN] = options_get(option);
    if (metadata)
        right &= (answer[METADATA] = normalised(option, metadata, c->path, error)) != NULL;
    if (right && config_text(c, json_name, text, sizeof text))
        right &= (answer[CONFIG] = normalised(option, text, "config.json", error)) != NULL;
    if (right && by_shape > 0) {
        snprintf(text, sizeof text, "%ld", by_shape);
        right &= (answer[SHAPES] = normalised(option, text, c->path, error)) != NULL;
    }
    int first = 0;
    while (first < SOURCES && !answer[first])
        first++;
    for (int i = first + 1; right && i < SOURCES; i++)
        if (i != CONFIG && answer[i] && strcmp(answer[i], answer[first]) != 0)
            right = fail(error, "%s: %s says --%s %s, but %s says %s", c->path,
                         source[first], option->name, answer[first], source[i], answer[i]);
    if (right && first < SOURCES && first != GIVEN)
        right = options_set(option, answer[first], error);
    for (int i = 0; i < SOURCES; i++)
        free(answer[i]);
    return right;
}
