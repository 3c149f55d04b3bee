/* test_shards.c - weights in several files are read as one, and an index that lies is not
 * believed. */
#include "weights/shards.h"
#include "base/files.h"
#include "suite.h"

#include <string.h>

static const float numbers[] = {1, 2, 3, 4, 5, 6};

/* Writes a part with tensors named by single letters, the first with the first number and
 * so on. */
static void write_part(const char *file, const char *letters, const SafeMetadata *metadata,
                       int metadata_count)
{
    Error error = {""};
    SafeTensor tensors[8];
    char names[8][2];
    int count = (int)strlen(letters);
    for (int i = 0; i < count; i++) {
        names[i][0] = letters[i];
        names[i][1] = 0;
        tensors[i] = (SafeTensor){.name = names[i], .dtype = DTYPE_F32, .rank = 1};
        tensors[i].shape[0] = 1;
        tensors[i].data = &numbers[letters[i] - 'a'];
    }
    ck_assert_msg(
        safetensors_save(scratch(file), tensors, count, metadata, metadata_count, &error),
        "%s", error.text);
}

static const char *write_index(const char *text)
{
    const char *path = scratch("model.safetensors.index.json");
    write_bytes(path, text, (long)strlen(text));
    return path;
}

static const char good[] = "{\"metadata\": {\"total_size\": 20}, \"weight_map\": {"
                           "\"c\": \"two.safetensors\", \"a\": \"one.safetensors\", "
                           "\"b\": \"one.safetensors\", \"d\": \"two.safetensors\"}}";

static void write_parts(void)
{
    write_part("one.safetensors", "ab",
               (const SafeMetadata[]){{"format", "pt"}, {"part", "1"}, {"heads", "4"}}, 3);
    write_part("two.safetensors", "cd",
               (const SafeMetadata[]){{"format", "pt"}, {"part", "2"}}, 2);
}

static void assert_whole(const char *path)
{
    Error error = {""};
    Safetensors *file = weights_open(path, &error);
    ck_assert_msg(file != NULL, "%s", error.text);
    ck_assert_int_eq(file->count, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(file->tensor[i].name[0], "cabd"[i]);
        float number;
        const char letter[] = {(char)('a' + i), 0};
        const SafeTensor *t = safetensors_find(file, letter);
        ck_assert(t != NULL && safetensors_to_floats(t, &number, &error));
        ck_assert_float_eq(number, numbers[i]);
    }
    ck_assert(safetensors_find(file, "e") == NULL);
    ck_assert_int_eq(file->metadata_count, 2);
    ck_assert_str_eq(safetensors_metadata(file, "format"), "pt");
    ck_assert_str_eq(safetensors_metadata(file, "heads"), "4");
    ck_assert(safetensors_metadata(file, "part") == NULL); /* they differ */
    safetensors_close(file);
}

START_TEST(an_index_and_its_folder_open_all_parts_as_one_file)
{
    write_parts();
    const char *index = write_index(good);
    assert_whole(index);
    char folder[300];
    snprintf(folder, sizeof folder, "%s", scratch_folder());
    assert_whole(folder);
    strcat(folder, "/");
    assert_whole(folder);
}
END_TEST

START_TEST(a_folder_with_one_file_opens_that_file)
{
    Error error = {""};
    write_parts();
    write_index(good);
    write_part("model.safetensors", "f", NULL, 0);
    Safetensors *file = weights_open(scratch_folder(), &error);
    ck_assert_msg(file != NULL, "%s", error.text);
    ck_assert_int_eq(file->count, 1);
    ck_assert(safetensors_find(file, "f") != NULL);
    safetensors_close(file);
}
END_TEST

START_TEST(a_shared_file_lives_until_its_last_user_has_closed_it)
{
    Error error = {""};
    write_parts();
    for (int single = 0; single < 2; single++) {
        const char *path = single ? scratch("one.safetensors") : write_index(good);
        Safetensors *file = weights_open(path, &error);
        ck_assert(file != NULL);
        const char *data = safetensors_find(file, "b")->data;
        ck_assert(safetensors_share(file) == file);
        safetensors_close(file);
        ck_assert_mem_eq(data, &numbers[1], sizeof(float));
        safetensors_close(file);
    }
}
END_TEST

static void refused(const char *index, const char *reason)
{
    Error error = {""};
    write_parts();
    const char *path = write_index(index);
    ck_assert_msg(weights_open(path, &error) == NULL, "accepted, not refused: %s", reason);
    assert_contains(error.text, path);
    assert_contains(error.text, reason);
}

START_TEST(an_index_that_lies_is_refused)
{
    refused("{\"weight_map\": {\"a\": \"three.safetensors\"}}",
            "three.safetensors: No such");
    refused("{\"weight_map\": {\"c\": \"one.safetensors\"}}",
            "tensor c is not in one.safetensors");
    refused("{\"weight_map\": {\"a\": \"one.safetensors\"}}",
            "tensor b of one.safetensors is not in the index");
    refused("{\"weight_map\": {\"a\": \"one.safetensors\", \"a\": \"two.safetensors\"}}",
            "\"a\"");
    refused("{\"weight_map\": {\"a\": 1}}", "the file of tensor a is not a string");
    refused("{\"weight_map\": []}", "it has no \"weight_map\"");
    refused("{}", "it has no \"weight_map\"");
    refused("[]", "it has no \"weight_map\"");
    refused("{", "model.safetensors.index.json: ");
}
END_TEST

START_TEST(a_tensor_that_lies_in_two_parts_is_refused)
{
    Error error = {""};
    write_part("one.safetensors", "ab", NULL, 0);
    write_part("two.safetensors", "bcd", NULL, 0);
    ck_assert(weights_open(write_index(good), &error) == NULL);
    assert_contains(error.text,
                    "tensor b is in two.safetensors as well as in the file that "
                    "the index names");
}
END_TEST

START_TEST(parts_outside_of_the_folder_are_refused)
{
    static const char *const names[] = {
        "../one.safetensors", "/tmp/one.safetensors", "..", "sub/one.safetensors", ".", ""};
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        char index[200], sentence[200];
        snprintf(index, sizeof index, "{\"weight_map\": {\"a\": \"%s\"}}", names[i]);
        snprintf(sentence, sizeof sentence,
                 "\"%s\" is not the name of a file beside the index", names[i]);
        refused(index, sentence);
    }
}
END_TEST

START_TEST(a_part_that_is_broken_is_named)
{
    Error error = {""};
    write_parts();
    write_bytes(scratch("two.safetensors"), "12345678{", 9);
    ck_assert(weights_open(write_index(good), &error) == NULL);
    assert_contains(error.text, "index.json: ");
    assert_contains(error.text, "two.safetensors: not a safetensors file");
}
END_TEST

START_TEST(a_folder_without_weights_says_what_it_lacks)
{
    Error error = {""};
    ck_assert(weights_open(scratch_folder(), &error) == NULL);
    assert_contains(error.text, scratch_folder());
    assert_contains(error.text,
                    "holds neither model.safetensors nor model.safetensors.index.json");
    ck_assert(weights_open(scratch("none.index.json"), &error) == NULL);
    assert_contains(error.text, "none.index.json");
}
END_TEST

static void assert_beside(const char *path, const char *want)
{
    char *beside = weights_beside(path, "config.json");
    ck_assert_str_eq(beside, want);
    free(beside);
}

START_TEST(what_lies_beside_weights_is_found)
{
    assert_beside("model.safetensors", "config.json");
    assert_beside("/a/b/model.safetensors", "/a/b/config.json");
    assert_beside("a/model.safetensors.index.json", "a/config.json");
    char want[400], folder[300];
    snprintf(folder, sizeof folder, "%s", scratch_folder());
    snprintf(want, sizeof want, "%s/config.json", folder);
    assert_beside(folder, want);
    strcat(folder, "/");
    assert_beside(folder, want);
}
END_TEST

/* ---- Mapping ---- */

START_TEST(a_file_is_mapped_and_a_pipe_is_read)
{
    Error error = {""};
    Mapping m;
    char output[64];
    const char *path = scratch("file"), *pipe = scratch("pipe");
    write_bytes(path, "some bytes", 10);
    ck_assert(mapping_open(&m, path, &error));
    ck_assert(m.mapped);
    ck_assert_int_eq(m.size, 10);
    ck_assert_mem_eq(m.bytes, "some bytes", 10);
    mapping_close(&m);
    ck_assert(m.bytes == NULL);
    mapping_close(&m);

    ck_assert_int_eq(run_command(output, sizeof output, "mkfifo %s", pipe), 0);
    ck_assert_int_eq(
        run_command(output, sizeof output, "(cat %s > %s) > /dev/null 2>&1 &", path, pipe),
        0);
    ck_assert_msg(mapping_open(&m, pipe, &error), "%s", error.text);
    ck_assert(!m.mapped);
    ck_assert_int_eq(m.size, 10);
    ck_assert_mem_eq(m.bytes, "some bytes", 10);
    mapping_close(&m);
}
END_TEST

START_TEST(an_empty_file_and_a_folder_are_told_apart)
{
    Error error = {""};
    Mapping m;
    write_bytes(scratch("empty"), "", 0);
    ck_assert(mapping_open(&m, scratch("empty"), &error));
    ck_assert_int_eq(m.size, 0);
    mapping_close(&m);
    ck_assert(!mapping_open(&m, scratch_folder(), &error));
    assert_contains(error.text, "it is a folder, not a file");
    ck_assert(!mapping_open(&m, scratch("missing"), &error));
    assert_contains(error.text, "missing: No such file");
}
END_TEST

/* Who has a file open keeps what was in it when another takes its name. */
START_TEST(a_mapped_file_may_be_replaced)
{
    Error error = {""};
    Mapping m;
    NewFile file;
    const char *path = scratch("file");
    write_bytes(path, "old", 3);
    ck_assert(mapping_open(&m, path, &error));
    ck_assert(newfile_open(&file, path, &error));
    fputs("n", file.stream);
    ck_assert(newfile_commit(&file, &error));
    ck_assert_mem_eq(m.bytes, "old", 3);
    mapping_close(&m);
}
END_TEST

SUITE("shards", 10, an_index_and_its_folder_open_all_parts_as_one_file,
      a_folder_with_one_file_opens_that_file,
      a_shared_file_lives_until_its_last_user_has_closed_it, an_index_that_lies_is_refused,
      a_tensor_that_lies_in_two_parts_is_refused, parts_outside_of_the_folder_are_refused,
      a_part_that_is_broken_is_named, a_folder_without_weights_says_what_it_lacks,
      what_lies_beside_weights_is_found, a_file_is_mapped_and_a_pipe_is_read,
      an_empty_file_and_a_folder_are_told_apart, a_mapped_file_may_be_replaced)
