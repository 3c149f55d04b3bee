/* safetensors.c - the weight format that the rest of the world reads. */
#include "weights/safetensors.h"
#include "base/files.h"
#include "base/json.h"
#include "tensor/packed.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian, and so must be the machine"
#endif

#define METADATA "__metadata__"

enum { PREFIX = 8, LONGEST_HEADER = 100000000 };

static const struct {
    const char *name;
    int size;
} dtypes[] = {
    [DTYPE_BOOL] = {"BOOL", 1}, [DTYPE_U8] = {"U8", 1},   [DTYPE_I8] = {"I8", 1},
    [DTYPE_I16] = {"I16", 2},   [DTYPE_U16] = {"U16", 2}, [DTYPE_F16] = {"F16", 2},
    [DTYPE_BF16] = {"BF16", 2}, [DTYPE_I32] = {"I32", 4}, [DTYPE_U32] = {"U32", 4},
    [DTYPE_F32] = {"F32", 4},   [DTYPE_F64] = {"F64", 8}, [DTYPE_I64] = {"I64", 8},
    [DTYPE_U64] = {"U64", 8},
};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

const char *dtype_name(Dtype dtype)
{
    if ((unsigned)dtype >= DTYPES)
        misuse("dtype_name: there is no dtype %d", (int)dtype);
    return dtypes[dtype].name;
}

int dtype_size(Dtype dtype)
{
    if ((unsigned)dtype >= DTYPES)
        misuse("dtype_size: there is no dtype %d", (int)dtype);
    return dtypes[dtype].size;
}

/* Fills in `size` from the shape; the bytes it takes, or -1 when they cannot be counted. */
static long count_bytes(SafeTensor *tensor)
{
    long bytes = dtype_size(tensor->dtype);
    for (int i = 0; i < tensor->rank; i++)
        if (__builtin_mul_overflow(bytes, (long)tensor->shape[i], &bytes))
            return -1;
    tensor->size = bytes / dtype_size(tensor->dtype);
    return bytes;
}

/* ---- Reading ---- */

/* Where the header says that a tensor's data lie, before that is believed. */
typedef struct {
    long begin, end;
    SafeTensor *tensor;
} Span;

static bool read_dtype(SafeTensor *tensor, const Json *dtype, Error *error)
{
    if (!dtype || dtype->kind != JSON_STRING)
        return fail(error, "it has no \"dtype\"");
    for (int i = 0; i < DTYPES; i++)
        if (strcmp(dtypes[i].name, dtype->string) == 0) {
            tensor->dtype = (Dtype)i;
            return true;
        }
    return fail(error, "its dtype \"%.40s\" is unknown", dtype->string);
}

static bool read_shape(SafeTensor *tensor, const Json *shape, Error *error)
{
    if (!shape || shape->kind != JSON_ARRAY)
        return fail(error, "it has no \"shape\"");
    if (shape->count > SAFETENSORS_RANK)
        return fail(error, "its shape has %d sizes, at most %d are supported", shape->count,
                    SAFETENSORS_RANK);
    tensor->rank = shape->count;
    for (int i = 0; i < shape->count; i++) {
        long size;
        if (!json_integer(shape->items[i], 0, INT_MAX, &size))
            return fail(error, "size %d of its shape is not a whole number from 0 to %d",
                        i + 1, INT_MAX);
        tensor->shape[i] = (int)size;
    }
    return true;
}

static bool read_offsets(Span *span, const Json *offsets, Error *error)
{
    if (!offsets || offsets->kind != JSON_ARRAY || offsets->count != 2 ||
        !json_integer(offsets->items[0], 0, LONG_MAX, &span->begin) ||
        !json_integer(offsets->items[1], 0, LONG_MAX, &span->end))
        return fail(error, "its \"data_offsets\" are not two whole numbers from 0 on");
    if (span->begin > span->end)
        return fail(error, "its data begin at offset %ld and end before that, at %ld",
                    span->begin, span->end);
    return true;
}

static bool read_tensor(Span *span, const Json *entry, Error *error)
{
    SafeTensor *tensor = span->tensor;
    if (!read_dtype(tensor, json_member(entry, "dtype"), error) ||
        !read_shape(tensor, json_member(entry, "shape"), error) ||
        !read_offsets(span, json_member(entry, "data_offsets"), error))
        return false;
    long bytes = count_bytes(tensor);
    if (bytes < 0)
        return fail(error, "the product of its shape is too large");
    if (bytes != span->end - span->begin)
        return fail(error, "its dtype and shape need %ld bytes, its data_offsets give %ld",
                    bytes, span->end - span->begin);
    return true;
}

static bool read_metadata(Safetensors *file, const Json *metadata, Error *error)
{
    if (metadata->kind != JSON_OBJECT)
        return fail(error, "its " METADATA " is not an object");
    file->metadata = allocate((size_t)metadata->count, sizeof *file->metadata);
    file->metadata_count = metadata->count;
    for (int i = 0; i < metadata->count; i++) {
        if (metadata->items[i]->kind != JSON_STRING)
            return fail(error, "its " METADATA " \"%.200s\" is not a string",
                        metadata->names[i]);
        file->metadata[i].key = metadata->names[i];
        file->metadata[i].value = metadata->items[i]->string;
    }
    return true;
}

static bool read_entries(Safetensors *file, Span *spans, Error *error)
{
    const Json *header = file->header;
    for (int i = 0; i < header->count; i++) {
        const char *name = header->names[i];
        if (strcmp(name, METADATA) == 0) {
            if (!read_metadata(file, header->items[i], error))
                return fail_within(error, "the header");
            continue;
        }
        Span *span = &spans[file->count];
        span->tensor = &file->tensor[file->count++];
        span->tensor->name = name;
        if (!read_tensor(span, header->items[i], error))
            return fail_within(error, "tensor %s", name);
    }
    return true;
}

static int compare_spans(const void *a, const void *b)
{
    const Span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The tensors must lie end to end and fill the file, whose data begin at `start`. Only
 * then do they get their pointers. Sorts the spans. */
static bool place_tensors(Safetensors *file, Span *spans, long start, long size,
                          Error *error)
{
    long covered = start;
    qsort(spans, (size_t)file->count, sizeof *spans, compare_spans);
    for (int i = 0; i < file->count; i++) {
        SafeTensor *tensor = spans[i].tensor;
        long here = covered - start;
        if (spans[i].end > size - start)
            return fail(error,
                        "the file is truncated: tensor %.200s ends at byte %ld, the file "
                        "has %ld",
                        tensor->name, start + spans[i].end, size);
        if (spans[i].begin < here)
            return fail(error, "tensor %.200s overlaps tensor %.200s", tensor->name,
                        spans[i - 1].tensor->name);
        if (spans[i].begin > here)
            return fail(error,
                        "the data have a hole: tensor %.200s begins at offset %ld, what "
                        "comes before it ends at %ld",
                        tensor->name, spans[i].begin, here);
        tensor->data = file->mapping.bytes + covered;
        covered = start + spans[i].end;
    }
    if (covered < size)
        return fail(error, "the tensors end at byte %ld, but the file has %ld", covered,
                    size);
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const SafeTensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

void safetensors_index(Safetensors *file)
{
    file->by_name = allocate((size_t)file->count, sizeof *file->by_name);
    for (int i = 0; i < file->count; i++)
        file->by_name[i] = &file->tensor[i];
    qsort(file->by_name, (size_t)file->count, sizeof *file->by_name, compare_names);
}

/* Reads the JSON; returns where the data begin after it, or 0 with a sentence. */
static long read_header(Safetensors *file, long size, Error *error)
{
    uint64_t length;
    if (size < PREFIX)
        return fail(error,
                    "the file is truncated: it has %ld bytes, not even the %d that "
                    "every safetensors file begins with",
                    size, PREFIX);
    memcpy(&length, file->mapping.bytes, PREFIX);
    if (length > LONGEST_HEADER)
        return fail(error,
                    "not a safetensors file: its header would be %.0f bytes long, at "
                    "most %d are allowed",
                    (double)length, LONGEST_HEADER);
    if (length > (uint64_t)(size - PREFIX))
        return fail(error,
                    "the file is truncated: its header ends at byte %ld, the file "
                    "has %ld",
                    (long)length + PREFIX, size);
    if (length == 0 || file->mapping.bytes[PREFIX] != '{')
        return fail(error, "not a safetensors file: its header does not begin with '{'");
    file->header = json_parse(file->mapping.bytes + PREFIX, (long)length, error);
    if (!file->header)
        return fail_within(error, "the header");
    return PREFIX + (long)length;
}

static bool read_contents(Safetensors *file, long size, Error *error)
{
    long start = read_header(file, size, error);
    if (!start)
        return false;
    file->tensor = allocate((size_t)file->header->count, sizeof *file->tensor);
    Span *spans = allocate((size_t)file->header->count, sizeof *spans);
    bool read = read_entries(file, spans, error) &&
                place_tensors(file, spans, start, size, error);
    free(spans);
    if (read)
        safetensors_index(file);
    return read;
}

Safetensors *safetensors_open(const char *path, Error *error)
{
    Safetensors *file = allocate(1, sizeof *file);
    file->users = 1;
    if (mapping_open(&file->mapping, path, error)) {
        if (read_contents(file, file->mapping.size, error))
            return file;
        fail_within(error, "%s", path);
    }
    safetensors_close(file);
    return NULL;
}

Safetensors *safetensors_share(Safetensors *file)
{
    file->users++;
    return file;
}

void safetensors_close(Safetensors *file)
{
    if (!file || --file->users > 0)
        return;
    for (int i = 0; i < file->parts; i++)
        safetensors_close(file->part[i]);
    free(file->part);
    free(file->tensor);
    free(file->metadata);
    mapping_close(&file->mapping);
    json_free(file->header);
    free(file->by_name);
    free(file);
}

const SafeTensor *safetensors_find(const Safetensors *file, const char *name)
{
    const SafeTensor wanted = {.name = name}, *key = &wanted;
    const SafeTensor **found = bsearch(&key, file->by_name, (size_t)file->count,
                                       sizeof *file->by_name, compare_names);
    return found ? *found : NULL;
}

const char *safetensors_metadata(const Safetensors *file, const char *key)
{
    for (int i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    return NULL;
}

/* ---- Converting ---- */

bool safetensors_to_floats(const SafeTensor *tensor, float *out, Error *error)
{
    const char *data = tensor->data;
    if (tensor->dtype == DTYPE_F32) {
        if (tensor->size)
            memcpy(out, data, (size_t)tensor->size * sizeof *out);
        return true;
    }
    if (tensor->dtype != DTYPE_F16 && tensor->dtype != DTYPE_BF16)
        return fail(error, "tensor %.200s is %s; only F32, F16 and BF16 are read as floats",
                    tensor->name, dtype_name(tensor->dtype));
    Packing packing = tensor->dtype == DTYPE_F16 ? PACKING_F16 : PACKING_BF16;
    uint16_t some[512]; /* aligned, as the data need not be */
    for (long i = 0, n; i < tensor->size; i += n) {
        n = tensor->size - i < 512 ? tensor->size - i : 512;
        memcpy(some, data + i * (long)sizeof *some, (size_t)n * sizeof *some);
        kernel_expand(packing, n, some, out + i);
    }
    return true;
}

bool safetensors_to_ints(const SafeTensor *tensor, int *out, Error *error)
{
    const char *data = tensor->data;
    if (tensor->dtype == DTYPE_I32) {
        if (tensor->size)
            memcpy(out, data, (size_t)tensor->size * sizeof *out);
        return true;
    }
    if (tensor->dtype != DTYPE_I64)
        return fail(error, "tensor %.200s is %s; only I32 and I64 are read as integers",
                    tensor->name, dtype_name(tensor->dtype));
    for (long i = 0; i < tensor->size; i++) {
        int64_t wide;
        memcpy(&wide, data + i * (long)sizeof wide, sizeof wide);
        if (wide < INT_MIN || wide > INT_MAX)
            return fail(error, "tensor %.200s: element %ld is %lld, too large for an int",
                        tensor->name, i, (long long)wide);
        out[i] = (int)wide;
    }
    return true;
}

/* ---- Writing ---- */

static bool check_tensor(SafeTensor *tensor, Error *error)
{
    if (strcmp(tensor->name, METADATA) == 0)
        return fail(error, "no tensor may have this name");
    if (tensor->rank < 0 || tensor->rank > SAFETENSORS_RANK)
        return fail(error, "its rank is %d, at most %d is supported", tensor->rank,
                    SAFETENSORS_RANK);
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] < 0)
            return fail(error, "size %d of its shape is negative", i + 1);
    if (count_bytes(tensor) < 0)
        return fail(error, "the product of its shape is too large");
    return true;
}

static void write_quoted(FILE *stream, const char *before, const char *text,
                         const char *after)
{
    char *quoted = json_quote(text);
    fprintf(stream, "%s%s%s", before, quoted, after);
    free(quoted);
}

static void write_metadata(FILE *stream, const SafeMetadata *metadata, int count)
{
    fprintf(stream, "\"" METADATA "\":{");
    for (int i = 0; i < count; i++) {
        write_quoted(stream, i ? "," : "", metadata[i].key, ":");
        write_quoted(stream, "", metadata[i].value, "");
    }
    fprintf(stream, "}");
}

static void write_tensor(FILE *stream, const SafeTensor *tensor, long begin, long end)
{
    write_quoted(stream, "", tensor->name, ":{");
    fprintf(stream, "\"dtype\":\"%s\",\"shape\":[", dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++)
        fprintf(stream, "%s%d", i ? "," : "", tensor->shape[i]);
    fprintf(stream, "],\"data_offsets\":[%ld,%ld]}", begin, end);
}

static bool write_header(FILE *stream, const SafeTensor *tensors, int count,
                         const SafeMetadata *metadata, int metadata_count, Error *error)
{
    long offset = 0;
    fprintf(stream, "{");
    if (metadata_count)
        write_metadata(stream, metadata, metadata_count);
    for (int i = 0; i < count; i++) {
        SafeTensor tensor = tensors[i];
        long begin = offset;
        if (!check_tensor(&tensor, error))
            return fail_within(error, "tensor %s", tensor.name);
        if (__builtin_add_overflow(begin, count_bytes(&tensor), &offset))
            return fail(error, "the tensors together are too large");
        fprintf(stream, "%s", i || metadata_count ? "," : "");
        write_tensor(stream, &tensor, begin, offset);
    }
    fprintf(stream, "}");
    return true;
}

/* The JSON of a file, for the caller to free; NULL with a sentence. */
static char *make_header(const SafeTensor *tensors, int count, const SafeMetadata *metadata,
                         int metadata_count, size_t *length, Error *error)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, length);
    if (!stream)
        out_of_memory(0, "the header of a safetensors file");
    bool written = write_header(stream, tensors, count, metadata, metadata_count, error);
    bool lost = ferror(stream);
    if (fclose(stream) != 0 || lost)
        out_of_memory(*length, "the header of a safetensors file");
    if (written && *length > LONGEST_HEADER - 8)
        written = fail(error, "its header would be longer than %d bytes", LONGEST_HEADER);
    /* Read back, which finds names that occur twice and names that are not UTF-8. */
    Json *header = written ? json_parse(text, (long)*length, error) : NULL;
    if (header) {
        json_free(header);
        return text;
    }
    free(text);
    return NULL;
}

/* Stops at the first error, which the stream remembers. */
static void write_file(FILE *stream, const char *header, size_t length,
                       const SafeTensor *tensors, int count)
{
    /* Spaces, so that the data begin at a multiple of 8 as the reference has it. */
    uint64_t padded = (length + 7) / 8 * 8;
    fwrite(&padded, sizeof padded, 1, stream);
    fprintf(stream, "%s%*s", header, (int)(padded - length), "");
    for (int i = 0; i < count && !ferror(stream); i++) {
        SafeTensor tensor = tensors[i];
        long bytes = count_bytes(&tensor);
        if (bytes)
            fwrite(tensor.data, 1, (size_t)bytes, stream);
    }
}

bool safetensors_save(const char *path, const SafeTensor *tensors, int count,
                      const SafeMetadata *metadata, int metadata_count, Error *error)
{
    NewFile file;
    size_t length = 0;
    char *header = make_header(tensors, count, metadata, metadata_count, &length, error);
    if (!header)
        return fail_within(error, "cannot write %s", path);
    bool saved = newfile_open(&file, path, error);
    if (saved) {
        write_file(file.stream, header, length, tensors, count);
        saved = newfile_commit(&file, error);
    }
    free(header);
    return saved;
}
