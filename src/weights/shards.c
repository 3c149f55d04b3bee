/* shards.c - weights that lie in several files. */
#include "weights/shards.h"
#include "base/files.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_index(const char *path)
{
    static const char ending[] = ".index.json";
    size_t length = strlen(path), n = sizeof ending - 1;
    return length >= n && strcmp(path + length - n, ending) == 0;
}

char *weights_beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    size_t folder = is_folder(path) ? strlen(path) : slash ? (size_t)(slash - path) + 1 : 0;
    char *beside = allocate(folder + strlen(name) + 2, 1);
    memcpy(beside, path, folder);
    if (folder && beside[folder - 1] != '/')
        beside[folder++] = '/';
    strcpy(beside + folder, name);
    return beside;
}

/* ---- The parts ---- */

/* A whole that is being put together from its parts. */
typedef struct {
    Safetensors *whole;
    const char *path;  /* of the index */
    const Json *files; /* the name of the part of each tensor */
    const char **name; /* of each part so far */
} Assembly;

/* The part of that name, opened when it is first asked for. */
static Safetensors *part_of(Assembly *a, const char *name, Error *error)
{
    Safetensors *whole = a->whole;
    for (int i = 0; i < whole->parts; i++)
        if (strcmp(a->name[i], name) == 0)
            return whole->part[i];
    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        fail(error, "\"%.200s\" is not the name of a file beside the index", name);
        return NULL;
    }
    char *path = weights_beside(a->path, name);
    Safetensors *part = safetensors_open(path, error);
    free(path);
    if (part) {
        a->name[whole->parts] = name;
        whole->part[whole->parts++] = part;
    }
    return part;
}

/* Every tensor of the index, from the part that it names. */
static bool collect_tensors(Assembly *a, Error *error)
{
    Safetensors *whole = a->whole;
    for (int i = 0; i < a->files->count; i++) {
        const char *name = a->files->names[i];
        const Json *file = a->files->items[i];
        if (file->kind != JSON_STRING)
            return fail(error, "the file of tensor %.200s is not a string", name);
        Safetensors *part = part_of(a, file->string, error);
        if (!part)
            return false;
        const SafeTensor *tensor = safetensors_find(part, name);
        if (!tensor)
            return fail(error, "tensor %.200s is not in %.200s", name, file->string);
        whole->tensor[whole->count++] = *tensor;
    }
    safetensors_index(whole);
    return true;
}

/* What lies in a part must be what the index says is there: otherwise the two are not of one
 * model. */
static bool check_part(const Assembly *a, int number, Error *error)
{
    const Safetensors *part = a->whole->part[number];
    for (int i = 0; i < part->count; i++) {
        const char *name = part->tensor[i].name;
        const SafeTensor *indexed = safetensors_find(a->whole, name);
        if (!indexed)
            return fail(error, "tensor %.200s of %.200s is not in the index", name,
                        a->name[number]);
        if (indexed->name != name)
            return fail(error,
                        "tensor %.200s is in %.200s as well as in the file that the "
                        "index names",
                        name, a->name[number]);
    }
    return true;
}

/* What at least one part says and none denies. */
static void collect_metadata(Safetensors *whole)
{
    int count = 0;
    for (int p = 0; p < whole->parts; p++)
        count += whole->part[p]->metadata_count;
    whole->metadata = allocate((size_t)count, sizeof *whole->metadata);
    for (int p = 0; p < whole->parts; p++)
        for (int i = 0; i < whole->part[p]->metadata_count; i++) {
            SafeMetadata said = whole->part[p]->metadata[i];
            bool kept = !safetensors_metadata(whole, said.key);
            for (int q = 0; q < whole->parts; q++) {
                const char *value = safetensors_metadata(whole->part[q], said.key);
                kept = kept && (!value || strcmp(value, said.value) == 0);
            }
            if (kept)
                whole->metadata[whole->metadata_count++] = said;
        }
}

static bool assemble(Assembly *a, Error *error)
{
    a->files = json_member(a->whole->header, "weight_map");
    if (!a->files || a->files->kind != JSON_OBJECT)
        return fail(error, "it has no \"weight_map\"");
    size_t most = (size_t)a->files->count;
    a->whole->tensor = allocate(most, sizeof *a->whole->tensor);
    a->whole->part = allocate(most, sizeof(Safetensors *));
    a->name = allocate(most, sizeof *a->name);
    bool right = collect_tensors(a, error);
    for (int i = 0; right && i < a->whole->parts; i++)
        right = check_part(a, i, error);
    if (right)
        collect_metadata(a->whole);
    free(a->name);
    return right;
}

static Safetensors *open_index(const char *path, Error *error)
{
    long size;
    char *text = file_read(path, &size, error);
    if (!text)
        return NULL;
    Assembly a = {.whole = allocate(1, sizeof *a.whole), .path = path};
    a.whole->users = 1;
    a.whole->header = json_parse(text, size, error);
    free(text);
    if (a.whole->header && assemble(&a, error))
        return a.whole;
    fail_within(error, "%s", path);
    safetensors_close(a.whole);
    return NULL;
}

Safetensors *weights_open(const char *path, Error *error)
{
    if (!is_folder(path))
        return is_index(path) ? open_index(path, error) : safetensors_open(path, error);
    char *file = weights_beside(path, "model.safetensors");
    char *index = weights_beside(path, "model.safetensors.index.json");
    Safetensors *weights = NULL;
    if (file_exists(file))
        weights = safetensors_open(file, error);
    else if (file_exists(index))
        weights = open_index(index, error);
    else
        fail(error,
             "the folder %s holds neither model.safetensors nor "
             "model.safetensors.index.json",
             path);
    free(file);
    free(index);
    return weights;
}
