/* shards.h - weights that lie in several files.
 *
 * Large models are published in parts, beside which lies an index:
 *
 *     {"metadata": {"total_size": 14483464192},
 *      "weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors", ...}}
 *
 * All parts and the index are one folder. */
#ifndef LINEAGE_SHARDS_H
#define LINEAGE_SHARDS_H

#include "weights/safetensors.h"

/* Opens a file of weights; an index, whose name ends with ".index.json", with all its parts;
 * or a folder that holds model.safetensors or model.safetensors.index.json. The tensors of
 * all parts are then those of one file, in the order of the index. Metadata on which parts
 * differ are of a part and not of the model, and are left out. NULL with a sentence. */
Safetensors *weights_open(const char *path, Error *error);

/* The path of what lies in the same folder as such weights, for the caller to free. */
char *weights_beside(const char *path, const char *name);

#endif
