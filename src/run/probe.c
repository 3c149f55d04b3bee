/* probe.c - a model's answers to given tokens, for checking. */
#include "run/probe.h"

#include <stdlib.h>
#include <string.h>

Ids *probe_ids(const Safetensors *in, const char *path, const char *name, Tape *tape,
               int least, int most, Error *error)
{
    const SafeTensor *t = safetensors_find(in, name);
    if (!t || t->rank != 2 || t->size == 0) {
        fail(error, "%s: integers called %s, of a shape (B, T), are wanted", path, name);
        return NULL;
    }
    Ids *ids = ids_of(tape, 2, t->shape);
    if (!safetensors_to_ints(t, ids->at, error)) {
        fail_within(error, "%s", path);
        return NULL;
    }
    for (long i = 0; i < ids->size; i++)
        if (ids->at[i] < least || ids->at[i] > most) {
            fail(error, "%s: %s holds %d, which is not between %d and %d", path, name,
                 ids->at[i], least, most);
            return NULL;
        }
    return ids;
}

static SafeTensor as_safe(const char *name, const Tensor *shape, const float *data)
{
    SafeTensor t = {.name = name, .dtype = DTYPE_F32, .rank = shape->rank, .data = data};
    memcpy(t.shape, shape->shape, sizeof t.shape);
    return t;
}

bool probe_write(const char *path, const ProbeResult *results, int count,
                 const Params *params, bool gradients, Error *error)
{
    int total = 0, learned = gradients ? params->count : 0;
    SafeTensor *out = allocate((size_t)(count + learned), sizeof *out);
    char(*names)[256] = allocate((size_t)learned, sizeof *names);
    for (int i = 0; i < count; i++)
        if (results[i].tensor)
            out[total++] = as_safe(results[i].name, results[i].tensor,
                                   results[i].tensor->data);
    for (int i = 0; i < learned; i++) {
        const Param *p = &params->item[i];
        snprintf(names[i], sizeof names[i], "grad.%s",
                 p->file_name ? p->file_name : p->name);
        out[total++] = as_safe(names[i], p->tensor, p->tensor->storage->grad);
    }
    bool saved = safetensors_save(path, out, total, NULL, 0, error);
    free(out);
    free(names);
    return saved;
}
