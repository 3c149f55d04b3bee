/* checkpoint_load.c - parameters from a file, and back into one. */
#include "weights/checkpoint.h"
#include "tensor/packed.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names ---- */

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), n = strlen(ending);
    return length >= n && strcmp(text + length - n, ending) == 0;
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

/* Where in a name this beginning ends; NULL if the name does not begin so. A "*" stands for
 * one part between two dots; what number `star` stands for is put into `text`. */
static const char *after(const char *beginning, const char *name, int star,
                         const char **text, size_t *length)
{
    for (const char *c = beginning; *c; c++)
        if (*c != '*') {
            if (*name++ != *c)
                return NULL;
        } else {
            size_t part = strcspn(name, ".");
            if (star-- == 0) {
                *text = name;
                *length = part;
            }
            name += part;
        }
    return name;
}

static bool begins_with_one(const char *const *beginnings, const char *name)
{
    for (; beginnings && *beginnings; beginnings++)
        if (after(*beginnings, name, -1, NULL, NULL))
            return true;
    return false;
}

/* The name with the first of a pair of beginnings replaced by the second, for the caller to
 * free; NULL if it does not begin so. */
static char *renamed(const char *const pair[2], const char *name)
{
    const char *rest = after(pair[0], name, -1, NULL, NULL);
    if (!rest)
        return NULL;
    char *result = NULL;
    size_t size;
    FILE *out = open_memstream(&result, &size);
    int star = 0;
    for (const char *c = pair[1]; out && *c; c++)
        if (*c == '*') {
            const char *text = "";
            size_t length = 0;
            after(pair[0], name, star++, &text, &length);
            fwrite(text, 1, length, out);
        } else
            fputc(*c, out);
    if (!out || fputs(rest, out) < 0 || fclose(out) != 0)
        out_of_memory(strlen(name), "the name of a parameter");
    return result;
}

/* ---- What fits ---- */

/* What is to be loaded, and what came of it so far. */
typedef struct {
    const Checkpoint *c;
    Params *const *lists;
    int count;
    const Partial *partial;
    bool *used; /* of each tensor of the file */
    Names missing, unknown;
    Loaded loaded;
} Loading;

/* The tensor that a parameter gets; `own` says whether under its own name. NULL if none. */
static const SafeTensor *source_of(const Loading *l, const Param *p, bool *own)
{
    const SafeTensor *found = checkpoint_find(l->c, p->name);
    *own = found != NULL;
    const char *const(*pair)[2] = l->partial->source;
    for (; !found && pair && (*pair)[0]; pair++) {
        char *name = renamed(*pair, p->name);
        found = name ? checkpoint_find(l->c, name) : NULL;
        free(name);
    }
    return found;
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

/* A copy of a tied matrix adds nothing, but it must say the same. */
static bool is_tied(const Checkpoint *c, const SafeTensor *t, bool *equal)
{
    for (int i = 0; c->conventions->tied && c->conventions->tied[i][0]; i++) {
        const char *const *pair = c->conventions->tied[i];
        const SafeTensor *original = checkpoint_find(c, pair[1]);
        if (checkpoint_find(c, pair[0]) != t || !original)
            continue;
        *equal = t->dtype == original->dtype && t->rank == original->rank &&
                 memcmp(t->shape, original->shape, sizeof t->shape) == 0 &&
                 memcmp(t->data, original->data,
                        (size_t)t->size * (size_t)dtype_size(t->dtype)) == 0;
        return true;
    }
    return false;
}

/* The name of a tensor as the model has it. */
static const char *without_prefix(const Checkpoint *c, const char *name)
{
    size_t length = strlen(c->prefix);
    return strncmp(name, c->prefix, length) == 0 ? name + length : name;
}

static bool check_params(Loading *l, Error *error)
{
    for (int k = 0; k < l->count; k++)
        for (int i = 0; i < l->lists[k]->count; i++) {
            const Param *p = &l->lists[k]->item[i];
            bool own;
            const SafeTensor *t = source_of(l, p, &own);
            if (t) {
                l->used[t - l->c->file->tensor] = true;
                l->loaded.loaded++;
                if (!check_shape(l->c, p, t, error))
                    return false;
            } else if (begins_with_one(l->partial->missing, p->name))
                l->loaded.kept++;
            else
                add_name(&l->missing, p->name);
        }
    return true;
}

static bool check_rest(Loading *l, Error *error)
{
    const Checkpoint *c = l->c;
    for (int i = 0; i < c->file->count; i++) {
        const SafeTensor *t = &c->file->tensor[i];
        bool equal = true;
        if (l->used[i] || is_ignored(c, t->name))
            continue;
        if (is_tied(c, t, &equal)) {
            if (!equal)
                return fail(error, "%s: %s differs from the matrix that it is tied to",
                            c->path, t->name);
        } else if (begins_with_one(l->partial->unused, without_prefix(c, t->name)))
            l->loaded.unused++;
        else
            add_name(&l->unknown, t->name);
    }
    return true;
}

/* Every parameter must be in the file, and everything in the file must be accounted for. */
static bool check(Loading *l, Error *error)
{
    const char *path = l->c->path;
    const Names *missing = &l->missing, *unknown = &l->unknown;
    if (!check_params(l, error) || !check_rest(l, error))
        return false;
    if (missing->count || unknown->count)
        return fail(error, "%s does not fit the model: %s%s%s%s%s", path,
                    missing->count ? "it lacks " : "", missing->text,
                    missing->count && unknown->count ? "; " : "",
                    unknown->count ? "it has besides " : "", unknown->text);
    if (l->loaded.kept && !l->loaded.loaded)
        return fail(error, "%s holds nothing of this model", path);
    return true;
}

/* ---- Loading ---- */

/* Whether a parameter can be read where the tensor lies: as floats, or packed where it is
 * used as a matrix. */
static bool can_lend(const Param *p, const SafeTensor *t)
{
    bool packed = t->dtype != DTYPE_F32;
    size_t alignment = packed ? sizeof(uint16_t) : sizeof(float);
    return (uintptr_t)t->data % alignment == 0 &&
           (!packed || (p->tensor->rank == 2 && p->decays));
}

static Packing packing_of(Dtype dtype)
{
    return dtype == DTYPE_F32   ? PACKING_NONE
           : dtype == DTYPE_F16 ? PACKING_F16
                                : PACKING_BF16;
}

/* `lent` becomes true if the parameter lies in the file from now on. */
static bool load_one(Params *list, Param *p, const SafeTensor *t, bool *lent, Error *error)
{
    const Storage *s = p->tensor->storage;
    bool waits = !s->data || s->lent; /* it has no memory of its own */
    if (waits && can_lend(p, t)) {
        t_lend(p->tensor, packing_of(t->dtype), t->data);
        return *lent = true;
    }
    p->tensor->storage->writes++;
    return safetensors_to_floats(t, param_own(list, p), error);
}

static void remember_name(Param *p, const char *name)
{
    free(p->file_name);
    p->file_name = NULL;
    if (strcmp(name, p->name) != 0) {
        p->file_name = allocate(strlen(name) + 1, 1);
        strcpy(p->file_name, name);
    }
}

static void release_file(void *file)
{
    safetensors_close(file);
}

static bool load_list(const Loading *l, Params *list, Error *error)
{
    bool right = true, lent = false;
    for (int i = 0; right && i < list->count; i++) {
        Param *p = &list->item[i];
        bool own;
        const SafeTensor *t = source_of(l, p, &own);
        if (t)
            right = load_one(list, p, t, &lent, error);
        else if (!p->tensor->data && !p->tensor->storage->packed)
            param_begin(list, p);
        if (own)
            remember_name(p, t->name);
    }
    if (lent)
        params_hold(list, safetensors_share(l->c->file), release_file);
    return right || fail_within(error, "%s", l->c->path);
}

bool checkpoint_load_part(const Checkpoint *c, Params *const *lists, int count,
                          const Partial *partial, Loaded *loaded, Error *error)
{
    Loading l = {.c = c, .lists = lists, .count = count, .partial = partial};
    l.used = allocate((size_t)c->file->count, sizeof *l.used);
    bool right = check(&l, error);
    free(l.used);
    for (int i = 0; right && i < count; i++)
        right = load_list(&l, lists[i], error);
    if (loaded)
        *loaded = l.loaded;
    return right;
}

bool checkpoint_load(const Checkpoint *c, Params *const *lists, int count, Error *error)
{
    return checkpoint_load_part(c, lists, count, &(Partial){0}, NULL, error);
}

/* ---- Saving ---- */

static SafeTensor tensor_of(const Param *p)
{
    const Tensor *x = p->tensor;
    const Storage *s = x->storage;
    SafeTensor t = {.name = p->name, .dtype = DTYPE_F32, .rank = x->rank, .data = x->data};
    memcpy(t.shape, x->shape, sizeof t.shape);
    if (s->packed) {
        t.dtype = s->packing == PACKING_F16 ? DTYPE_F16 : DTYPE_BF16;
        t.data = s->packed;
    } else
        t_need_floats(NULL, "checkpoint_save", x);
    return t;
}

bool checkpoint_save(const char *path, Params *const *lists, int count,
                     const SafeMetadata *metadata, int metadata_count, Error *error)
{
    int total = 0, n = 0;
    for (int l = 0; l < count; l++)
        total += lists[l]->count;
    SafeTensor *tensors = allocate((size_t)total, sizeof *tensors);
    for (int l = 0; l < count; l++)
        for (int i = 0; i < lists[l]->count; i++)
            tensors[n++] = tensor_of(&lists[l]->item[i]);
    bool saved = safetensors_save(path, tensors, total, metadata, metadata_count, error);
    free(tensors);
    return saved;
}
