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

/* Opens weights (a file, an index of several, or a folder; see shards.h), and config.json
 * beside them. NULL with a sentence. `path` and `conventions` must live as long as the
 * checkpoint. */
Checkpoint *checkpoint_open(const char *path, const Conventions *conventions, Error *error);
void checkpoint_close(Checkpoint *checkpoint);

/* A tensor by our name for it: with the prefix or without, and where the file calls a norm's
 * weight and bias gamma and beta, by those. NULL if there is none. */
const SafeTensor *checkpoint_find(const Checkpoint *checkpoint, const char *name);

/* Size `dimension` of a tensor; 0 if there is no such tensor or dimension. */
int checkpoint_size(const Checkpoint *checkpoint, const char *name, int dimension);

/* How many layers: the first n for which a pattern like "h.%d.ln_1.weight" finds
 * nothing. */
int checkpoint_layers(const Checkpoint *checkpoint, const char *pattern);

/* Settles an option of the model: by the command line if it was given there, otherwise
 * by the metadata under its own name, otherwise by `json_name` in config.json (NULL: not
 * there), otherwise by the shapes (`by_shape`; 0 if they cannot tell); if none of them
 * knows, it keeps its default. An answer
 * that contradicts the metadata or the shapes is an error. Not for text options. */
bool checkpoint_settle(const Checkpoint *checkpoint, Option *option, const char *json_name,
                       long by_shape, Error *error);

/* Gives every parameter of the lists its numbers from the file. Shapes that differ and names
 * that are missing or unknown are errors that say which; nothing has been changed then.
 *
 * The parameters of a list for inference are not copied where they can be read in the file:
 * floats, and matrices of 16 bits (but for those marked by no_decay). The list then keeps
 * the file open as long as it lives; the checkpoint may be closed before. */
bool checkpoint_load(const Checkpoint *checkpoint, Params *const *lists, int count,
                     Error *error);

/* How a model may differ from the file that it is loaded from. Names are given by how they
 * begin, as the model has them, where "*" stands for one part between two dots; each list
 * ends with NULL, and NULL is an empty list. A new head on an old body:
 *
 *     .missing = (const char *const[]){"classifier.", NULL},
 *     .unused = (const char *const[]){"cls.", NULL}
 *
 * Experts that each begin as the feed-forward network of a dense model:
 *
 *     .source = (const char *const[][2]){
 *         {"layers.*.moe.experts.*.w1.", "layers.*.mlp.gate_proj."}, {NULL, NULL}},
 *     .missing = (const char *const[]){"layers.*.moe.gate.", NULL} */
typedef struct {
    const char *const *missing;     /* parameters that may keep their first numbers */
    const char *const *unused;      /* tensors of the file that may be left */
    const char *const (*source)[2]; /* parameters that the file has under another name */
} Partial;

typedef struct {
    int loaded, kept; /* parameters from the file, and with their first numbers */
    int unused;       /* tensors that were left as Partial allowed */
} Loaded;

/* The same for a model that differs. A source is where a parameter is looked for when the
 * file does not have it under its own name: the beginning that it shares with the first of a
 * pair is replaced by the second, whose first "*" is what the first one stood for, and so
 * on. That nothing at all fits is an error. `loaded` may be NULL. */
bool checkpoint_load_part(const Checkpoint *checkpoint, Params *const *lists, int count,
                          const Partial *partial, Loaded *loaded, Error *error);

/* Writes the parameters of all lists, and the metadata; see safetensors_save. What is packed
 * is written as it is. */
bool checkpoint_save(const char *path, Params *const *lists, int count,
                     const SafeMetadata *metadata, int metadata_count, Error *error);

#endif
