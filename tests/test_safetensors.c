/* test_safetensors.c - what is saved comes back, and no file that lies is believed. */
#include "base/files.h"
#include "weights/safetensors.h"
#include "suite.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* ---- Files made by hand ---- */

/* A file of this header and `size` bytes of data, each byte its own offset. */
static const char *made(const char *header, int size)
{
    char bytes[4096] = "";
    uint64_t length = strlen(header);
    ck_assert_uint_le(8 + length + (unsigned)size, sizeof bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    for (int i = 0; i < size; i++)
        bytes[8 + length + (unsigned)i] = (char)i;
    const char *path = scratch("made.safetensors");
    write_bytes(path, bytes, 8 + (long)length + size);
    return path;
}

static Safetensors *opened(const char *path)
{
    Error error = {""};
    Safetensors *file = safetensors_open(path, &error);
    ck_assert_msg(file != NULL, "%s", error.text);
    return file;
}

static void path_refused(const char *path, const char *reason)
{
    Error error = {""};
    Safetensors *file = safetensors_open(path, &error);
    ck_assert_msg(file == NULL, "accepted instead of refused: %s", reason);
    assert_contains(error.text, path);
    assert_contains(error.text, reason);
}

static void refused(const char *header, int size, const char *reason)
{
    path_refused(made(header, size), reason);
}

/* ---- Round trips ---- */

static const float floats[] = {1.5f, -0.0f, 3.25e-39f, INFINITY, 5, 6};
static const int ints[] = {INT_MIN, -1, 0, INT_MAX};
static const int64_t longs[] = {INT_MIN, INT_MAX, 7};
static const char odd_name[] = "a \"quoted\\\"\n\tna\xC3\xAFve\x01 \xF0\x9F\x90\x8D";

static const SafeTensor several[] = {
    {.name = "wte.weight", .dtype = DTYPE_F32, .rank = 2, .shape = {2, 3}, .data = floats},
    {.name = odd_name, .dtype = DTYPE_I32, .rank = 1, .shape = {4}, .data = ints},
    {.name = "", .dtype = DTYPE_U8, .rank = 3, .shape = {1, 3, 1}, .data = "abc"},
    {.name = "scalar", .dtype = DTYPE_F32, .rank = 0, .data = floats + 4},
    {.name = "empty", .dtype = DTYPE_F64, .rank = 2, .shape = {5, 0}, .data = NULL},
    {.name = "a",
     .dtype = DTYPE_I64,
     .rank = 6,
     .shape = {1, 1, 3, 1, 1, 1},
     .data = longs},
};

enum { SEVERAL = sizeof several / sizeof several[0] };

static const SafeMetadata notes[] = {
    {"format", "pt"},
    {"tokenizer", "line one\nline \"two\"\\\r\n\t\xE2\x82\xAC"},
    {"", ""},
};

static const char *saved(const char *name)
{
    Error error = {""};
    const char *path = scratch(name);
    ck_assert_msg(safetensors_save(path, several, SEVERAL, notes, 3, &error), "%s",
                  error.text);
    return path;
}

START_TEST(what_is_saved_comes_back)
{
    static const long sizes[] = {6, 4, 3, 1, 0, 3};
    Safetensors *file = opened(saved("model.safetensors"));
    ck_assert_int_eq(file->count, SEVERAL);
    for (int i = 0; i < SEVERAL; i++) {
        const SafeTensor *tensor = &file->tensor[i];
        ck_assert_str_eq(tensor->name, several[i].name);
        ck_assert_int_eq(tensor->dtype, several[i].dtype);
        ck_assert_int_eq(tensor->rank, several[i].rank);
        ck_assert_mem_eq(tensor->shape, several[i].shape, sizeof tensor->shape);
        ck_assert_int_eq(tensor->size, sizes[i]);
        size_t bytes = (size_t)sizes[i] * (size_t)dtype_size(tensor->dtype);
        if (bytes)
            ck_assert_mem_eq(tensor->data, several[i].data, bytes);
    }
    ck_assert_int_eq(file->metadata_count, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(file->metadata[i].key, notes[i].key);
        ck_assert_str_eq(file->metadata[i].value, notes[i].value);
    }
    safetensors_close(file);
}
END_TEST

START_TEST(tensors_and_metadata_are_found_by_name)
{
    Safetensors *file = opened(saved("model.safetensors"));
    for (int i = 0; i < SEVERAL; i++)
        ck_assert_ptr_eq(safetensors_find(file, several[i].name), &file->tensor[i]);
    ck_assert_ptr_null(safetensors_find(file, "wte"));
    ck_assert_ptr_null(safetensors_find(file, "__metadata__"));
    ck_assert_str_eq(safetensors_metadata(file, "format"), "pt");
    ck_assert_str_eq(safetensors_metadata(file, ""), "");
    ck_assert_ptr_null(safetensors_metadata(file, "scalar"));
    safetensors_close(file);
    safetensors_close(NULL);
}
END_TEST

START_TEST(a_file_without_tensors_is_a_file)
{
    Error error = {""};
    const char *path = scratch("nothing.safetensors");
    ck_assert(safetensors_save(path, NULL, 0, NULL, 0, &error));
    Safetensors *file = opened(path);
    ck_assert_int_eq(file->count, 0);
    ck_assert_int_eq(file->metadata_count, 0);
    ck_assert_ptr_null(safetensors_find(file, "x"));
    ck_assert_ptr_null(safetensors_metadata(file, "x"));
    safetensors_close(file);
    ck_assert(safetensors_save(path, NULL, 0, notes, 1, &error));
    file = opened(path);
    ck_assert_str_eq(safetensors_metadata(file, "format"), "pt");
    safetensors_close(file);
}
END_TEST

START_TEST(the_bytes_are_those_of_the_format)
{
    static const char header[] =
        "{\"__metadata__\":{\"k\":\"v\"},"
        "\"b\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}";
    const SafeTensor two[] = {
        {.name = "b", .dtype = DTYPE_I32, .rank = 1, .shape = {2}, .data = (int[]){1, -2}},
        {.name = "a", .dtype = DTYPE_U8, .data = "z"},
    };
    Error error = {""};
    long size;
    const char *path = scratch("two.safetensors");
    ck_assert(safetensors_save(path, two, 2, &(SafeMetadata){"k", "v"}, 1, &error));
    char *bytes = file_read(path, &size, &error);
    long length = (long)sizeof header - 1, padded = (length + 7) / 8 * 8;
    ck_assert_int_ne(length, padded); /* or there is no padding to look at */
    ck_assert_int_eq(size, 8 + padded + 9);
    ck_assert_int_eq((unsigned char)bytes[0], padded);
    ck_assert_mem_eq(bytes + 1, "\0\0\0\0\0\0\0", 7);
    ck_assert_mem_eq(bytes + 8, header, (size_t)length);
    for (long i = length; i < padded; i++)
        ck_assert_int_eq(bytes[8 + i], ' ');
    ck_assert_mem_eq(bytes + 8 + padded, "\1\0\0\0\xFE\xFF\xFF\xFFz", 9);
    free(bytes);
}
END_TEST

START_TEST(a_file_may_be_replaced_by_what_was_read_from_it)
{
    const char *path = saved("model.safetensors");
    Error error = {""};
    long size, again;
    char *before = file_read(path, &size, &error);
    Safetensors *file = opened(path);
    ck_assert(safetensors_save(path, file->tensor, file->count, file->metadata,
                               file->metadata_count, &error));
    safetensors_close(file);
    char *after = file_read(path, &again, &error);
    ck_assert_int_eq(size, again);
    ck_assert_mem_eq(before, after, (size_t)size);
    free(before);
    free(after);
}
END_TEST

/* Comparing each name with each other one would take minutes here. */
START_TEST(many_tensors_are_read_and_found_in_good_time)
{
    enum { MANY = 20000 };
    static char names[MANY][16];
    static int values[MANY];
    SafeTensor *tensors = calloc(MANY, sizeof *tensors);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i * 7919 % MANY);
        values[i] = i;
        tensors[i] = (SafeTensor){.name = names[i], .dtype = DTYPE_I32, .data = &values[i]};
    }
    Error error = {""};
    const char *path = scratch("many.safetensors");
    ck_assert(safetensors_save(path, tensors, MANY, NULL, 0, &error));
    Safetensors *file = opened(path);
    for (int i = 0; i < MANY; i++) {
        int value = -1;
        ck_assert(safetensors_to_ints(safetensors_find(file, names[i]), &value, &error));
        ck_assert_int_eq(value, i);
    }
    safetensors_close(file);
    free(tensors);
}
END_TEST

/* ---- Conversions ---- */

static SafeTensor vector(Dtype dtype, int size, const void *data)
{
    return (SafeTensor){.name = "x",
                        .dtype = dtype,
                        .rank = 1,
                        .shape = {size},
                        .size = size,
                        .data = data};
}

static uint32_t bits_of(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

START_TEST(known_half_floats_have_their_values)
{
    static const struct {
        uint16_t half;
        float value;
    } known[] = {
        {0x0000, 0.0f},      {0x8000, -0.0f},        {0x3C00, 1},
        {0xC000, -2},        {0x3555, 0.33325195f},  {0x7BFF, 65504},
        {0x0400, 0x1p-14f},  {0x03FF, 0x1.ff8p-15f}, {0x0001, 0x1p-24f},
        {0x8001, -0x1p-24f}, {0x7C00, INFINITY},     {0xFC00, -INFINITY},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        Error error;
        float value = 77;
        SafeTensor tensor = vector(DTYPE_F16, 1, &known[i].half);
        ck_assert(safetensors_to_floats(&tensor, &value, &error));
        ck_assert_msg(bits_of(value) == bits_of(known[i].value), "%04x is %a",
                      known[i].half, (double)value);
    }
}
END_TEST

/* (-1)^sign 2^(exponent - 15) (1 + fraction / 1024); without the 1 and with exponent 1
 * where the exponent is 0. */
static double half_by_definition(int half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double sign = half & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction ? (double)NAN : sign * HUGE_VAL;
    if (exponent == 0)
        return sign * pow(2, -14) * (fraction / 1024.0);
    return sign * pow(2, exponent - 15) * (1 + fraction / 1024.0);
}

START_TEST(every_half_float_is_what_its_definition_says)
{
    static uint16_t halves[65536];
    static float values[65536];
    for (int i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    Error error;
    SafeTensor tensor = vector(DTYPE_F16, 65536, halves);
    ck_assert(safetensors_to_floats(&tensor, values, &error));
    for (int i = 0; i < 65536; i++) {
        double expected = half_by_definition(i);
        ck_assert_msg(isnan(expected) ? isnan(values[i])
                                      : bits_of(values[i]) == bits_of((float)expected),
                      "%04x is %a, not %a", i, (double)values[i], expected);
        ck_assert_int_eq(signbit(values[i]) != 0, i >= 0x8000);
    }
}
END_TEST

START_TEST(bfloat16_is_the_upper_half_of_a_float)
{
    static const uint16_t bits[] = {0x0000, 0x8000, 0x3F80, 0xC049, 0x7F7F,
                                    0x0080, 0x0001, 0x7F80, 0xFF80};
    static const float expected[] = {
        0.0f, -0.0f, 1, -3.140625f, 0x1.fep127f, 0x1p-126f, 0x1p-133f, INFINITY, -INFINITY};
    float values[9], nan;
    Error error;
    SafeTensor tensor = vector(DTYPE_BF16, 9, bits);
    ck_assert(safetensors_to_floats(&tensor, values, &error));
    ck_assert_mem_eq(values, expected, sizeof values);
    SafeTensor odd = vector(DTYPE_BF16, 1, &(uint16_t){0x7FC1});
    ck_assert(safetensors_to_floats(&odd, &nan, &error));
    ck_assert(isnan(nan));
}
END_TEST

START_TEST(data_may_lie_at_odd_addresses)
{
    const char *path = made(
        "{\"b\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[5,7]},"
        "\"l\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[7,7]},"
        "\"i\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[7,11]}}",
        11);
    Safetensors *file = opened(path);
    Error error;
    float number;
    int integer;
    ck_assert(safetensors_to_floats(safetensors_find(file, "f"), &number, &error));
    ck_assert_uint_eq(bits_of(number), 0x04030201);
    ck_assert(safetensors_to_floats(safetensors_find(file, "h"), &number, &error));
    ck_assert(number == (float)half_by_definition(0x0605));
    ck_assert(safetensors_to_ints(safetensors_find(file, "i"), &integer, &error));
    ck_assert_int_eq(integer, 0x0A090807);
    ck_assert(safetensors_to_ints(safetensors_find(file, "l"), NULL, &error));
    safetensors_close(file);
}
END_TEST

START_TEST(integers_are_converted_and_must_fit)
{
    Error error = {""};
    int values[4];
    SafeTensor tensor = vector(DTYPE_I32, 4, ints);
    ck_assert(safetensors_to_ints(&tensor, values, &error));
    ck_assert_mem_eq(values, ints, sizeof ints);
    tensor = vector(DTYPE_I64, 3, longs);
    ck_assert(safetensors_to_ints(&tensor, values, &error));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(values[i], longs[i]);

    static const int64_t high[] = {0, INT_MAX + 1LL}, low[] = {0, INT_MIN - 1LL};
    tensor = vector(DTYPE_I64, 2, high);
    ck_assert(!safetensors_to_ints(&tensor, values, &error));
    assert_contains(error.text, "tensor x: element 1 is 2147483648");
    tensor = vector(DTYPE_I64, 2, low);
    ck_assert(!safetensors_to_ints(&tensor, values, &error));
    assert_contains(error.text, "-2147483649");
}
END_TEST

START_TEST(other_dtypes_do_not_convert_and_are_named)
{
    for (int dtype = DTYPE_BOOL; dtype <= DTYPE_U64; dtype++) {
        Error error = {""};
        float number;
        int integer;
        int64_t zero = 0;
        SafeTensor tensor = vector((Dtype)dtype, 1, &zero);
        bool is_float = dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16;
        ck_assert(safetensors_to_floats(&tensor, &number, &error) == is_float);
        if (!is_float) {
            assert_contains(error.text, "tensor x is ");
            assert_contains(error.text, dtype_name((Dtype)dtype));
        }
        bool is_int = dtype == DTYPE_I32 || dtype == DTYPE_I64;
        ck_assert(safetensors_to_ints(&tensor, &integer, &error) == is_int);
        if (!is_int)
            assert_contains(error.text, dtype_name((Dtype)dtype));
    }
}
END_TEST

START_TEST(every_dtype_of_the_format_has_its_size)
{
    static const struct {
        const char *name;
        int size;
    } format[] = {{"BOOL", 1}, {"U8", 1},   {"I8", 1},  {"I16", 2}, {"U16", 2},
                  {"F16", 2},  {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},
                  {"F64", 8},  {"I64", 8},  {"U64", 8}};
    for (int i = 0; i < 13; i++) {
        char header[128];
        int bytes = 3 * format[i].size;
        snprintf(header, sizeof header,
                 "{\"x\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%d]}}",
                 format[i].name, bytes);
        Safetensors *file = opened(made(header, bytes));
        ck_assert_str_eq(dtype_name(file->tensor[0].dtype), format[i].name);
        ck_assert_int_eq(file->tensor[0].size, 3);
        safetensors_close(file);
        refused(header, bytes + 1, "the tensors end at byte ");
    }
}
END_TEST

/* ---- Refusals ---- */

START_TEST(a_file_cut_anywhere_is_refused)
{
    Error error;
    long size;
    char *bytes = file_read(saved("whole.safetensors"), &size, &error);
    const char *path = scratch("cut.safetensors");
    for (long cut = 0; cut < size; cut++) {
        write_bytes(path, bytes, cut);
        path_refused(path, "the file is truncated");
    }
    free(bytes);
}
END_TEST

START_TEST(truncation_names_the_tensor_and_both_sizes)
{
    const char *header =
        "{\"early\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"wte.weight\":{\"dtype\":\"F32\",\"shape\":[2, 2],"
        "\"data_offsets\":[8,24]}}";
    char sentence[512];
    const char *path = made(header, 23);
    snprintf(
        sentence, sizeof sentence,
        "%s: the file is truncated: tensor wte.weight ends at byte %d, the file has %d",
        path, 8 + (int)strlen(header) + 24, 8 + (int)strlen(header) + 23);
    path_refused(path, sentence);
}
END_TEST

START_TEST(a_missing_file_and_a_folder_are_refused)
{
    path_refused(scratch("missing.safetensors"), "No such file");
    path_refused(scratch_folder(), "folder");
}
END_TEST

START_TEST(lengths_of_headers_that_lie_are_refused)
{
    static const struct {
        uint64_t length;
        const char *reason;
    } lies[] = {{0, "does not begin with '{'"},
                {3, "the file is truncated: its header ends at byte 11, the file has 10"},
                {100000000, "the file is truncated"},
                {100000001, "not a safetensors file"},
                {1ull << 63, "not a safetensors file"},
                {UINT64_MAX, "not a safetensors file"},
                {UINT64_MAX - 7, "not a safetensors file"},
                {1, "JSON, offset 1"}};
    const char *path = scratch("lie.safetensors");
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        char bytes[10];
        memcpy(bytes, &lies[i].length, 8);
        memcpy(bytes + 8, "{}", 2);
        write_bytes(path, bytes, sizeof bytes);
        path_refused(path, lies[i].reason);
    }
}
END_TEST

START_TEST(headers_that_are_no_object_are_refused)
{
    refused(" {}", 0, "does not begin with '{'");
    refused("[]", 0, "does not begin with '{'");
    refused("{} x", 0, "JSON, offset 3");
    refused("{\"\xFF\": 1}", 0, "not valid UTF-8");
    safetensors_close(opened(made("{} \n\t", 0)));
}
END_TEST

/* One tensor x whose entry is `entry`, with 16 bytes of data. */
static void entry_refused(const char *entry, const char *reason)
{
    char header[512];
    snprintf(header, sizeof header, "{\"x\":%s}", entry);
    refused(header, 16, "tensor x: ");
    refused(header, 16, reason);
}

START_TEST(entries_that_say_nothing_sensible_are_refused)
{
    entry_refused("null", "no \"dtype\"");
    entry_refused("[]", "no \"dtype\"");
    entry_refused("{}", "no \"dtype\"");
    entry_refused("{\"dtype\":32}", "no \"dtype\"");
    entry_refused("{\"dtype\":\"F33\"}", "dtype \"F33\" is unknown");
    entry_refused("{\"dtype\":\"f32\"}", "dtype \"f32\" is unknown");
    entry_refused("{\"dtype\":\"F32\"}", "no \"shape\"");
    entry_refused("{\"dtype\":\"F32\",\"shape\":4}", "no \"shape\"");
    entry_refused("{\"dtype\":\"F32\",\"shape\":[4]}", "\"data_offsets\" are not two");
}
END_TEST

static void shape_refused(const char *shape, const char *reason)
{
    char entry[256];
    snprintf(entry, sizeof entry,
             "{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,16]}", shape);
    entry_refused(entry, reason);
}

START_TEST(shapes_that_lie_are_refused)
{
    shape_refused("[2,-2]", "size 2 of its shape is not a whole number");
    shape_refused("[1.5]", "size 1 of its shape is not a whole number");
    shape_refused("[\"4\"]", "not a whole number");
    shape_refused("[2147483648]", "not a whole number from 0 to 2147483647");
    shape_refused("[1e99]", "not a whole number");
    shape_refused("[1,1,1,1,1,2,2]", "7 sizes, at most 6");
    shape_refused("[5]", "need 20 bytes, its data_offsets give 16");
    shape_refused("[3]", "need 12 bytes");
    shape_refused("[]", "need 4 bytes");
    shape_refused("[0]", "need 0 bytes");
    shape_refused("[2147483647,2147483647,2147483647]",
                  "product of its shape is too large");
    /* In 64 bits these products wrap around to 16 bytes and to none. */
    shape_refused("[1073741824,1073741824,4,4]", "product of its shape is too large");
    shape_refused("[65536,65536,65536,65536,1,0]", "product of its shape is too large");
}
END_TEST

static void offsets_refused(const char *offsets, const char *reason)
{
    char entry[256];
    snprintf(entry, sizeof entry, "{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":%s}",
             offsets);
    entry_refused(entry, reason);
}

START_TEST(offsets_that_lie_are_refused)
{
    offsets_refused("[16,0]", "begin at offset 16 and end before that, at 0");
    offsets_refused("[-16,0]", "not two whole numbers");
    offsets_refused("[0,-16]", "not two whole numbers");
    offsets_refused("[0,16.5]", "not two whole numbers");
    offsets_refused("[0]", "not two whole numbers");
    offsets_refused("[0,16,32]", "not two whole numbers");
    offsets_refused("[18446744073709551600,18446744073709551616]", "not two whole numbers");
    offsets_refused("[0,15]", "need 16 bytes, its data_offsets give 15");
    refused("{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":"
            "[9007199254740987,9007199254740991]}}",
            4,
            LONG_MAX > 9007199254740991
                ? "the file is truncated: tensor x ends at byte 900719925474"
                : "not two whole numbers");
}
END_TEST

/* Two tensors of bytes, a and b, and 8 bytes of data. */
static const char *pair(int a, int a_end, int b, int b_end)
{
    static char header[256];
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]},"
             "\"b\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}",
             a_end - a, a, a_end, b_end - b, b, b_end);
    return header;
}

START_TEST(tensors_must_cover_the_data_exactly)
{
    refused(pair(0, 5, 4, 8), 8, "tensor b overlaps tensor a");
    refused(pair(4, 8, 0, 5), 8, "tensor a overlaps tensor b");
    refused(pair(0, 8, 0, 8), 8, "overlaps");
    refused(pair(0, 8, 2, 4), 8, "tensor b overlaps tensor a");
    refused(pair(0, 8, 4, 4), 8, "tensor b overlaps tensor a");
    refused(pair(0, 3, 4, 8), 8,
            "hole: tensor b begins at offset 4, what comes before it ends at 3");
    refused(pair(6, 8, 2, 6), 8,
            "hole: tensor b begins at offset 2, what comes before it ends at 0");
    refused(pair(0, 3, 3, 6), 8, "the tensors end at byte ");
    refused(pair(0, 3, 3, 9), 8, "the file is truncated: tensor b");
    refused("{}", 1, "the tensors end at byte 10, but the file has 11");
}
END_TEST

START_TEST(tensors_may_lie_in_another_order_than_the_header_has)
{
    Safetensors *file = opened(made(pair(3, 8, 0, 3), 8));
    ck_assert_str_eq(file->tensor[0].name, "a");
    ck_assert_mem_eq(file->tensor[0].data, "\3\4\5\6\7", 5);
    ck_assert_mem_eq(file->tensor[1].data, "\0\1\2", 3);
    safetensors_close(file);
    safetensors_close(opened(made(pair(0, 8, 8, 8), 8)));
    safetensors_close(opened(made(pair(0, 8, 0, 0), 8)));
}
END_TEST

START_TEST(repeated_names_are_refused)
{
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            2, "the name \"a\" occurs twice");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "occurs twice");
}
END_TEST

START_TEST(metadata_must_be_strings)
{
    refused("{\"__metadata__\":{\"a\":\"b\",\"step\":7}}", 0, "\"step\" is not a string");
    refused("{\"__metadata__\":{\"a\":null}}", 0, "\"a\" is not a string");
    refused("{\"__metadata__\":[\"a\"]}", 0, "__metadata__ is not an object");
    refused("{\"__metadata__\":null}", 0, "__metadata__ is not an object");
}
END_TEST

/* The same bytes on every run. */
static unsigned next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

/* Uses all that an accepted file promises; a sanitizer watches. */
static void use(const Safetensors *file)
{
    Error error;
    for (int i = 0; i < file->count; i++) {
        const SafeTensor *tensor = &file->tensor[i];
        size_t room = (size_t)tensor->size + 1;
        ck_assert_ptr_eq(safetensors_find(file, tensor->name), tensor);
        void *out = calloc(room, sizeof(float));
        safetensors_to_floats(tensor, out, &error);
        safetensors_to_ints(tensor, out, &error);
        free(out);
    }
}

START_TEST(no_bytes_at_all_can_break_the_reader)
{
    static const char telling[] = "0123456789,:[]{}\"- FUI";
    Error error;
    long size;
    uint64_t state = 1;
    int accepted = 0;
    char *whole = file_read(saved("whole.safetensors"), &size, &error);
    char *bytes = malloc((size_t)size);
    const char *path = scratch("mutated.safetensors");
    for (int round = 0; round < 2000; round++) {
        memcpy(bytes, whole, (size_t)size);
        for (unsigned change = next_random(&state) % 3 + 1; change > 0; change--)
            bytes[next_random(&state) % (unsigned)size] =
                next_random(&state) % 4 ? telling[next_random(&state) % sizeof telling]
                                        : (char)next_random(&state);
        write_bytes(path, bytes, size);
        Safetensors *file = safetensors_open(path, &error);
        if (file) {
            accepted++;
            use(file);
            safetensors_close(file);
        }
    }
    ck_assert_int_gt(accepted, 50);
    ck_assert_int_lt(accepted, 1950);
    free(bytes);
    free(whole);
}
END_TEST

/* ---- Saving that fails ---- */

static void save_refused(const SafeTensor *tensors, int count, const SafeMetadata *metadata,
                         int metadata_count, const char *reason)
{
    Error error = {""};
    const char *path = scratch("never.safetensors");
    ck_assert_msg(!safetensors_save(path, tensors, count, metadata, metadata_count, &error),
                  "saved instead of refused: %s", reason);
    assert_contains(error.text, path);
    assert_contains(error.text, reason);
    ck_assert(!file_exists(path));
}

START_TEST(what_could_not_be_read_is_not_saved)
{
    const SafeTensor x = {.name = "x", .dtype = DTYPE_U8, .data = "x"};
    const SafeTensor twins[] = {x, x};
    save_refused(twins, 2, NULL, 0, "the name \"x\" occurs twice");
    SafeTensor bad = x;
    bad.name = "__metadata__";
    save_refused(&bad, 1, NULL, 0, "tensor __metadata__: ");
    bad.name = "\xFF";
    save_refused(&bad, 1, NULL, 0, "not valid UTF-8");
    bad = x;
    bad.rank = 7;
    save_refused(&bad, 1, NULL, 0, "tensor x: its rank is 7");
    bad.rank = 2;
    bad.shape[1] = -1;
    save_refused(&bad, 1, NULL, 0, "tensor x: size 2 of its shape is negative");
    bad.rank = 3;
    bad.shape[0] = bad.shape[1] = bad.shape[2] = INT_MAX;
    save_refused(&bad, 1, NULL, 0, "tensor x: the product of its shape");
    const SafeMetadata same[] = {{"k", "1"}, {"k", "2"}};
    save_refused(&x, 1, same, 2, "the name \"k\" occurs twice");
    save_refused(&x, 1, &(SafeMetadata){"k", "\xC3"}, 1, "not valid UTF-8");
}
END_TEST

static int files_in(const char *path)
{
    DIR *folder = opendir(path);
    ck_assert(folder != NULL);
    int count = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* Saves while no file may grow beyond `limit` bytes. The limit is lifted at once, for the
 * test framework writes files as well. */
static bool save_within(long limit, const char *path, const SafeTensor *tensor,
                        Error *error)
{
    struct rlimit before, tight;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)limit;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    bool saved = safetensors_save(path, tensor, 1, NULL, 0, error);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    return saved;
}

START_TEST(a_full_disk_leaves_the_old_file_and_nothing_else)
{
    enum { NUMBERS = 10000, HEADER = 72 };
    static float large[NUMBERS];
    const SafeTensor tensor = {
        .name = "x", .dtype = DTYPE_F32, .rank = 1, .shape = {NUMBERS}, .data = large};
    static const long limits[] = {0, 7, 20, HEADER, 4096, 8192, HEADER + 4 * NUMBERS - 1};
    const char *path = saved("model.safetensors");
    Error error = {""};
    long size, now;
    char *before = file_read(path, &size, &error);

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        ck_assert(!save_within(limits[i], path, &tensor, &error));
        assert_contains(error.text, "cannot write");
        assert_contains(error.text, path);
        assert_contains(error.text, "File too large");
        char *after = file_read(path, &now, &error);
        ck_assert_int_eq(now, size);
        ck_assert_mem_eq(after, before, (size_t)size);
        ck_assert_int_eq(files_in(scratch_folder()), 1);
        free(after);
    }
    /* One byte more suffices, so the last limit was the edge. */
    ck_assert_msg(save_within(HEADER + 4 * NUMBERS, path, &tensor, &error), "%s",
                  error.text);
    ck_assert_int_eq(files_in(scratch_folder()), 1);
    safetensors_close(opened(path));
    free(before);
}
END_TEST

START_TEST(a_device_that_is_full_is_an_error)
{
    if (!file_exists("/dev/full"))
        return;
    Error error = {""};
    ck_assert(!safetensors_save("/dev/full", several, SEVERAL, notes, 3, &error));
    assert_contains(error.text, "cannot write /dev/full: No space left");
    ck_assert(file_exists("/dev/full"));
}
END_TEST

START_TEST(a_folder_that_is_missing_is_an_error)
{
    Error error = {""};
    const char *path = scratch("missing/model.safetensors");
    ck_assert(!safetensors_save(path, several, SEVERAL, notes, 3, &error));
    assert_contains(error.text, path);
    assert_contains(error.text, "No such file");
}
END_TEST

SUITE("safetensors", 20, what_is_saved_comes_back, tensors_and_metadata_are_found_by_name,
      a_file_without_tensors_is_a_file, the_bytes_are_those_of_the_format,
      a_file_may_be_replaced_by_what_was_read_from_it,
      many_tensors_are_read_and_found_in_good_time, known_half_floats_have_their_values,
      every_half_float_is_what_its_definition_says, bfloat16_is_the_upper_half_of_a_float,
      data_may_lie_at_odd_addresses, integers_are_converted_and_must_fit,
      other_dtypes_do_not_convert_and_are_named, every_dtype_of_the_format_has_its_size,
      a_file_cut_anywhere_is_refused, truncation_names_the_tensor_and_both_sizes,
      a_missing_file_and_a_folder_are_refused, lengths_of_headers_that_lie_are_refused,
      headers_that_are_no_object_are_refused, entries_that_say_nothing_sensible_are_refused,
      shapes_that_lie_are_refused, offsets_that_lie_are_refused,
      tensors_must_cover_the_data_exactly,
      tensors_may_lie_in_another_order_than_the_header_has, repeated_names_are_refused,
      metadata_must_be_strings, no_bytes_at_all_can_break_the_reader,
      what_could_not_be_read_is_not_saved, a_full_disk_leaves_the_old_file_and_nothing_else,
      a_device_that_is_full_is_an_error, a_folder_that_is_missing_is_an_error)
