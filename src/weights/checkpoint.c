/* checkpoint.c - between parameters in memory and weights in a file. */
#include "weights/checkpoint.h"
#include "base/files.h"

#include <stdlib.h>
#include <string.h>

/* config.json in the folder of the checkpoint, if there is one. */
static bool read_config(Checkpoint *c, Error *error)
{
    const char *slash = strrchr(c->path, '/');
    int folder = slash ? (int)(slash - c->path) + 1 : 0;
    char path[1200];
    snprintf(path, sizeof path, "%.*sconfig.json", folder, c->path);
    if (!file_exists(path))
        return true;
    long size;
    char *text = file_read(path, &size, error);
    if (!text)
        return false;
    c->config = json_parse(text, size, error);
    free(text);
    return c->config || fail_within(error, "%s", path);
}

Checkpoint *checkpoint_open(const char *path, const Conventions *conventions, Error *error)
{
    Checkpoint *c = allocate(1, sizeof *c);
    *c = (Checkpoint){.path = path, .conventions = conventions, .prefix = ""};
    c->file = safetensors_open(path, error);
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

/* A tensor by our name for it: with the prefix or without, and where a norm is called gamma
 * and beta, by those. */
static const SafeTensor *find(const Checkpoint *c, const char *name)
{
    static const char *const endings[][2] = {
        {"", ""}, {".weight", ".gamma"}, {".bias", ".beta"}};
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(name), ending = strlen(endings[i][0]);
        if (length < ending || strcmp(name + length - ending, endings[i][0]) != 0)
            continue;
        for (int with = 1; with >= 0; with--) {
            char full[256];
            snprintf(full, sizeof full, "%s%.*s%s", with ? c->prefix : "",
                     (int)(length - ending), name, endings[i][1]);
            const SafeTensor *found = safetensors_find(c->file, full);
            if (found)
                return found;
        }
    }
    return NULL;
}

int checkpoint_size(const Checkpoint *c, const char *name, int dimension)
{
    const SafeTensor *t = find(c, name);
    return t && dimension < t->rank ? t->shape[dimension] : 0;
}

int checkpoint_layers(const Checkpoint *c, const char *pattern)
{
    const char *number = strstr(pattern, "%d");
    for (int n = 0;; n++) {
        char name[128];
        snprintf(name, sizeof name, "%.*s%d%s", (int)(number - pattern), pattern, n,
                 number + 2);
        if (!find(c, name))
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

/* ---- Loading ---- */

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), n = strlen(ending);
    return length >= n && strcmp(text + length - n, ending) == 0;
}

static Param *param_of(Params *const *lists, int count, int *i)
{
    for (int l = 0; l < count; *i -= lists[l++]->count)
        if (*i < lists[l]->count)
            return &lists[l]->item[*i];
    return NULL;
}

/* Sentences that list names stop after a few. */
typedef struct {
    char text[400];
    int count;
} Names;

static void add_name(Names *names, const char *name)
{
    size_t length = strlen(names->text);
    if (names->count++ < 4)
        snprintf(names->text + length, sizeof names->text - length, "%s%.80s",
                 length ? ", " : "", name);
    else if (names->count == 5)
        snprintf(names->text + length, sizeof names->text - length, " and more");
}

static bool check_shape(const Checkpoint *c, const Param *p, const SafeTensor *t,
                        Error *error)
{
    if (!t_has_shape(p->tensor, t->rank, t->shape))
        return fail(error,
                    "%s: %s is %s in the file, and %s in the model that was asked for",
                    c->path, t->name, shape_text(t->rank, t->shape), t_text(p->tensor));
    if (t->dtype != DTYPE_F32 && t->dtype != DTYPE_F16 && t->dtype != DTYPE_BF16)
        return fail(error, "%s: %s is stored as %s; weights load from F32, F16 or BF16",
                    c->path, t->name, dtype_name(t->dtype));
    return true;
}

static bool is_ignored(const Checkpoint *c, const char *name)
{
    for (const char *const *ending = c->conventions->ignored; ending && *ending; ending++)
        if (ends_with(name, *ending))
            return true;
    return false;
}

/* A copy of a tied matrix is no news, but it must not say anything else. */
static bool is_tied(const Checkpoint *c, const SafeTensor *t, bool *equal)
{
    for (int i = 0; c->conventions->tied && c->conventions->tied[i][0]; i++) {
        const char *const *pair = c->conventions->tied[i];
        const SafeTensor *original = find(c, pair[1]);
        if (find(c, pair[0]) != t || !original)
            continue;
        *equal = t->dtype == original->dtype && t->rank == original->rank &&
                 memcmp(t->shape, original->shape, sizeof t->shape) == 0 &&
                 memcmp(t->data, original->data,
                        (size_t)t->size * (size_t)dtype_size(t->dtype)) == 0;
        return true;
    }
    return false;
}

/* Every parameter must be in the file, and everything in the file must be accounted for. */
static bool check_names(const Checkpoint *c, Params *const *lists, int count, Error *error)
{
    Names missing = {0}, unknown = {0};
    bool *used = allocate((size_t)c->file->count, sizeof *used), right = true;
    for (int n = 0;; n++) {
        int i = n;
        const Param *p = param_of(lists, count, &i);
        if (!p)
            break;
        const SafeTensor *t = find(c, p->name);
        if (t)
            used[t - c->file->tensor] = true;
        else
            add_name(&missing, p->name);
        right = right && (!t || check_shape(c, p, t, error));
    }
    for (int i = 0; right && i < c->file->count; i++) {
        const SafeTensor *t = &c->file->tensor[i];
        bool equal = true;
        if (used[i] || is_ignored(c, t->name))
            continue;
        if (!is_tied(c, t, &equal))
            add_name(&unknown, t->name);
        if (!equal)
            right = fail(error, "%s: %s differs from the matrix that it is tied to",
                         c->path, t->name);
    }
    free(used);
    if (right && (missing.count || unknown.count))
        right = fail(error, "%s does not fit the model: %s%s%s%s%s", c->path,
                     missing.count ? "it lacks " : "", missing.text,
                     missing.count && unknown.count ? "; " : "",
                     unknown.count ? "it has besides " : "", unknown.text);
    return right;
}

bool checkpoint_load(const Checkpoint *c, Params *const *lists, int count, Error *error)
{
    if (!check_names(c, lists, count, error))
        return false;
    for (int n = 0;; n++) {
        int i = n;
        Param *p = param_of(lists, count, &i);
        if (!p)
            return true;
        const SafeTensor *t = find(c, p->name);
        if (!safetensors_to_floats(t, p->tensor->data, error))
            return fail_within(error, "%s", c->path);
        p->tensor->storage->writes++;
        if (strcmp(t->name, p->name) != 0) {
            free(p->file_name);
            p->file_name = allocate(strlen(t->name) + 1, 1);
            strcpy(p->file_name, t->name);
        }
    }
}

bool checkpoint_save(const char *path, Params *const *lists, int count,
                     const SafeMetadata *metadata, int metadata_count, Error *error)
{
    int total = 0;
    for (int l = 0; l < count; l++)
        total += lists[l]->count;
    SafeTensor *tensors = allocate((size_t)total, sizeof *tensors);
    for (int n = 0; n < total; n++) {
        int i = n;
        const Param *p = param_of(lists, count, &i);
        SafeTensor *t = &tensors[n];
        *t = (SafeTensor){.name = p->name, .dtype = DTYPE_F32, .rank = p->tensor->rank};
        memcpy(t->shape, p->tensor->shape, sizeof t->shape);
        t->data = p->tensor->data;
    }
    bool saved = safetensors_save(path, tensors, total, metadata, metadata_count, error);
    free(tensors);
    return saved;
}
