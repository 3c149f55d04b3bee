/* checkpoint.h - between parameters in memory and weights in a file.
 *
 * Files come from this program or from anywhere else in the world, so names, shapes and the
 * configuration are all questions to which a file may give several answers, or none. */
#ifndef LINEAGE_CHECKPOINT_H
#define LINEAGE_CHECKPOINT_H

#include "base/json.h"
#include "nn/nn.h"
#include "base/options.h"
#include "weights/safetensors.h"

/* What files of a tradition may hold beside the parameters. Each list ends with NULL. */
typedef struct {
    const char *prefix;         /* may stand before every name: "transformer." */
    const char *const *ignored; /* names of buffers end like this: ".attn.bias" */
    const char *const (
        *tied)[2]; /* {"lm_head.weight", "wte.weight"}: a copy, which must equal */
} Conventions;

typedef struct {
    const char *path;
    Safetensors *file;
    Json *config; /* config.json beside the file; NULL if there is none */
    const Conventions *conventions;
    const char *prefix; /* what really stands before the names */
} Checkpoint;

/* Opens a file, and config.json beside it. NULL with a sentence. `path` and `conventions`
 * must live as long as the checkpoint. */
Checkpoint *checkpoint_open(const char *path, const Conventions *conventions, Error *error);
void checkpoint_close(Checkpoint *checkpoint);

/* Size `dimension` of a tensor; 0 if there is no such tensor or dimension. */
int checkpoint_size(const Checkpoint *checkpoint, const char *name, int dimension);

/* How many layers: the first n for which a pattern like "h.%d.ln_1.weight" finds
 * nothing. */
int checkpoint_layers(const Checkpoint *checkpoint, const char *pattern);

/* Settles an option of the model: by the command line if it was given there, else by the
 * metadata under its own name, else by `json_name` in config.json (NULL: not there), else
 * by the shapes (`by_shape`; 0 if they cannot tell), else it keeps its default. An answer
 * that contradicts the metadata or the shapes is an error. Not for text options. */
bool checkpoint_settle(const Checkpoint *checkpoint, Option *option, const char *json_name,
                       long by_shape, Error *error);

/* Fills every parameter of the lists from the file. Shapes that differ and names that are
 * missing or unknown are errors that say which; nothing has been changed then. */
bool checkpoint_load(const Checkpoint *checkpoint, Params *const *lists, int count,
                     Error *error);

/* Writes the parameters of all lists, and the metadata; see safetensors_save. */
bool checkpoint_save(const char *path, Params *const *lists, int count,
                     const SafeMetadata *metadata, int metadata_count, Error *error);

#endif
