/* probe.h - a model's answers to given tokens, for checking: what goes in and what comes
 * out are safetensors files that PyTorch reads and writes as well. */
#ifndef LINEAGE_PROBE_H
#define LINEAGE_PROBE_H

#include "nn/nn.h"
#include "weights/safetensors.h"

/* The (B, T) integers of that name, on the tape. NULL with a sentence that begins with
 * `path` when there are none or when one is not between `least` and `most`. */
Ids *probe_ids(const Safetensors *in, const char *path, const char *name, Tape *tape,
               int least, int most, Error *error);

/* A result and what it is called. */
typedef struct {
    const char *name;
    const Tensor *tensor; /* contiguous; NULL: there is none, skip it */
} ProbeResult;

/* Writes the results and, if `gradients`, "grad.<name>" for every parameter, under the name
 * that the file had it under that the parameter was loaded from. */
bool probe_write(const char *path, const ProbeResult *results, int count,
                 const Params *params, bool gradients, Error *error);

#endif
