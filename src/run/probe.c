/* probe.c - a model's answers to given tokens, for checking. */
#include "run/probe.h"

#include <stdlib.h>
#include <string.h>

Ids *probe_ids(const ProbeInput *in, const char *name, int least, int most, Error *error)
{
    const SafeTensor *t = safetensors_find(in->file, name);
    if (!t || t->rank != 2 || t->size == 0) {
        fail(error, "%s: integers called %s, of a shape (B, T), are wanted", in->path,
             name);
        return NULL;
    }
    Ids *ids = ids_of(in->tape, 2, t->shape);
    if (!safetensors_to_ints(t, ids->at, error)) {
        fail_within(error, "%s", in->path);
        return NULL;
    }
    for (long i = 0; i < ids->size; i++)
        if (ids->at[i] < least || ids->at[i] > most) {
            fail(error, "%s: %s holds %d, which is not between %d and %d", in->path, name,
                 ids->at[i], least, most);
            return NULL;
        }
    return ids;
}

bool probe_ids_like(const ProbeInput *in, const char *name, int least, int most,
                    const Ids *like, Ids **ids, Error *error)
{
    *ids = NULL;
    if (!safetensors_find(in->file, name))
        return true;
    *ids = probe_ids(in, name, least, most, error);
    if (*ids && memcmp((*ids)->shape, like->shape, 2 * sizeof *like->shape) != 0)
        return fail(error, "%s: %s has not the shape of the tokens, %s", in->path, name,
                    shape_text(like->rank, like->shape));
    return *ids != NULL;
}

void probe_add(ProbeResults *results, const char *name, const Tensor *tensor)
{
    if (!tensor)
        return;
    size_t room = (size_t)results->count + 1;
    ProbeResult *larger = realloc(results->result, room * sizeof *larger);
    if (!larger)
        out_of_memory(room * sizeof *larger, "the results");
    results->result = larger;
    results->result[results->count++] = (ProbeResult){name, tensor};
}

static SafeTensor as_safe(const char *name, const Tensor *shape, const float *data)
{
    SafeTensor t = {.name = name, .dtype = DTYPE_F32, .rank = shape->rank, .data = data};
    memcpy(t.shape, shape->shape, sizeof t.shape);
    return t;
}

bool probe_write(const char *path, const ProbeResults *results, const Params *params,
                 bool gradients, Error *error)
{
    int total = 0, learned = gradients ? params->count : 0;
    SafeTensor *out = allocate((size_t)(results->count + learned), sizeof *out);
    char(*names)[256] = allocate((size_t)learned, sizeof *names);
    for (int i = 0; i < results->count; i++)
        out[total++] = as_safe(results->result[i].name, results->result[i].tensor,
                               results->result[i].tensor->data);
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
