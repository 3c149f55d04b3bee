/* safetensors.h - the weight format that the rest of the world reads.
 *
 *     8 bytes   the length of the header, little-endian
 *     header    JSON: {"wte.weight": {"dtype": "F32", "shape": [65, 128],
 *                                     "data_offsets": [0, 33280]}, ...,
 *                      "__metadata__": {"any": "strings"}}
 *     data      the elements, row by row, little-endian; offsets count from here
 *
 * A file comes from anywhere, so nothing in it is believed: what the header says must fit
 * the file, and the tensors must cover the data exactly, without a hole or an overlap. */
#ifndef LINEAGE_SAFETENSORS_H
#define LINEAGE_SAFETENSORS_H

#include "base/mapping.h"

/* All that the format knows. Only floats (F32, F16, BF16) and ints (I32, I64) convert. */
typedef enum {
    DTYPE_BOOL,
    DTYPE_U8,
    DTYPE_I8,
    DTYPE_I16,
    DTYPE_U16,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_I32,
    DTYPE_U32,
    DTYPE_F32,
    DTYPE_F64,
    DTYPE_I64,
    DTYPE_U64
} Dtype;

const char *dtype_name(Dtype dtype); /* as the format writes it: "BF16" */
int dtype_size(Dtype dtype);         /* bytes of one element */

enum { SAFETENSORS_RANK = 6 }; /* the highest rank that is read or written */

typedef struct {
    const char *name; /* UTF-8, any characters but zero */
    Dtype dtype;
    int rank; /* 0: a single number */
    int shape[SAFETENSORS_RANK];
    long size;        /* elements; found from the shape, so a writer need not fill it in */
    const void *data; /* not necessarily aligned */
} SafeTensor;

typedef struct {
    const char *key, *value;
} SafeMetadata;

/* A file in memory. All pointers lead into it and are good until its last user has closed
 * it. */
typedef struct Safetensors {
    int count;
    SafeTensor *tensor; /* in the order of the header */
    int metadata_count;
    SafeMetadata *metadata; /* in the order of the header */

    /* For this room only. */
    Mapping mapping;
    struct Json *header;
    const SafeTensor **by_name;
    int users;
    struct Safetensors **part; /* of which it is put together; see shards.h */
    int parts;
} Safetensors;

/* Opens a file, whose data are read when they are used. NULL with a sentence that names the
 * path, what is wrong and, where there is one, the tensor. The caller closes it; closing
 * NULL does nothing. */
Safetensors *safetensors_open(const char *path, Error *error);
void safetensors_close(Safetensors *file);

/* One more user, who also closes it in the end. Returns the file. */
Safetensors *safetensors_share(Safetensors *file);

/* Makes the tensors of a file that was put together known by name. For this room only. */
void safetensors_index(Safetensors *file);

/* The tensor, or the metadata's value, of that name; NULL when there is none. */
const SafeTensor *safetensors_find(const Safetensors *file, const char *name);
const char *safetensors_metadata(const Safetensors *file, const char *key);

/* All `tensor->size` elements, exactly: F32, F16 or BF16 as floats, I32 or I64 as ints.
 * False with a sentence that names the tensor when it holds something else, or an integer
 * that does not fit an int; `out` is then filled in part. */
bool safetensors_to_floats(const SafeTensor *tensor, float *out, Error *error);
bool safetensors_to_ints(const SafeTensor *tensor, int *out, Error *error);

/* Writes a file with the tensors in the order given (wide elements before narrow ones keep
 * all of them aligned). The file appears complete or, with a sentence, not at all: what
 * was there before then stays. Refused is what safetensors_open would refuse, such as two
 * tensors of one name. */
bool safetensors_save(const char *path, const SafeTensor *tensors, int count,
                      const SafeMetadata *metadata, int metadata_count, Error *error);

#endif
