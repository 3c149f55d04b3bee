/* probe.h - a model's answers to given tokens, for checking: what goes in and what comes
 * out are safetensors files that PyTorch reads and writes as well. */
#ifndef LINEAGE_PROBE_H
#define LINEAGE_PROBE_H

#include "nn/nn.h"
#include "weights/safetensors.h"

/* What is asked. */
typedef struct {
    const Safetensors *file;
    const char *path;
    Tape *tape;
} ProbeInput;

/* The (B, T) integers of that name, on the tape. NULL with a sentence that begins with the
 * path when there are none or when one is not between `least` and `most`. */
Ids *probe_ids(const ProbeInput *in, const char *name, int least, int most, Error *error);

/* The same for integers that may be missing: *ids is NULL then. Where there are some they
 * must be as many as `like`, in the same rows. */
bool probe_ids_like(const ProbeInput *in, const char *name, int least, int most,
                    const Ids *like, Ids **ids, Error *error);

/* What comes out: a list that grows. */
typedef struct {
    const char *name;
    const Tensor *tensor;
} ProbeResult;

typedef struct {
    ProbeResult *result;
    int count;
} ProbeResults;

/* Adds a result, which is contiguous; NULL: there is none. The name must stay. */
void probe_add(ProbeResults *results, const char *name, const Tensor *tensor);

/* Writes the results and, if `gradients`, "grad.<name>" for every parameter, under the name
 * that the file had it under that the parameter was loaded from; zeros where none arrived. */
bool probe_write(const char *path, const ProbeResults *results, const Params *params,
                 bool gradients, Error *error);

#endif
