/* test_files.c - files are read whole, and replaced whole or not at all; and what is said
 * when that fails. */
#include "base/error.h"
#include "base/files.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Sentences ---- */

START_TEST(a_sentence_is_written_and_cut_to_fit)
{
    Error error = {"before"};
    ck_assert(!fail(&error, "%d of %s", 3, "them"));
    ck_assert_str_eq(error.text, "3 of them");

    char longer[2000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    ck_assert(!fail(&error, "%s", longer));
    ck_assert_uint_eq(strlen(error.text), sizeof error.text - 1);
}
END_TEST

START_TEST(who_was_speaking_comes_before_the_sentence)
{
    Error error = {"the header is torn"};
    ck_assert(!fail_within(&error, "%s.safetensors", "model"));
    ck_assert_str_eq(error.text, "model.safetensors: the header is torn");

    char longer[2000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    fail(&error, "%s", longer);
    fail_within(&error, "%s", longer);
    ck_assert_uint_lt(strlen(error.text), sizeof error.text);
}
END_TEST

/* Runs it in a process of its own, both streams into `text`; returns the status. */
static int run_apart(void (*work)(void), char *text, size_t size)
{
    int ends[2], status;
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        work();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = 0;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static void make_a_mistake(void)
{
    printf("a line that was waiting\n");
    misuse("matmul: %d and %d differ", 4, 5);
}

START_TEST(a_mistake_aborts_with_its_sentence_behind_what_was_printed)
{
    char text[256];
    int status = run_apart(make_a_mistake, text, sizeof text);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
    ck_assert_str_eq(text, "a line that was waiting\nmatmul: 4 and 5 differ\n");
}
END_TEST

static void ask_for_too_much(void)
{
    allocate(SIZE_MAX / 2, 3);
}

static void run_out(void)
{
    out_of_memory(2500000, "the tape");
}

START_TEST(a_lack_of_memory_ends_the_program_with_advice)
{
    char text[256];
    int status = run_apart(run_out, text, sizeof text);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_str_eq(text,
                     "out of memory: 2.5 MB for the tape cannot be had; try a smaller "
                     "--batch, --context or --width\n");

    status = run_apart(ask_for_too_much, text, sizeof text);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    assert_contains(text, "out of memory");
}
END_TEST

START_TEST(allocated_memory_is_zeroed_and_never_null)
{
    const char zeros[300] = {0};
    char *memory = allocate(100, 3), *none = allocate(0, 8);
    ck_assert_mem_eq(memory, zeros, sizeof zeros);
    ck_assert(none != NULL);
    free(memory);
    free(none);
}
END_TEST

/* ---- Reading ---- */

static void unreadable(const char *path, const char *reason)
{
    Error error = {""};
    long size = 0;
    ck_assert(file_read(path, &size, &error) == NULL);
    assert_contains(error.text, "cannot read ");
    assert_contains(error.text, path);
    assert_contains(error.text, reason);
}

START_TEST(what_cannot_be_read_is_named)
{
    unreadable(scratch("missing"), "No such file or directory");
    unreadable(scratch_folder(), "it is a folder, not a file");
    ck_assert(!file_exists(scratch("missing")));
    ck_assert(file_exists(scratch_folder()));
}
END_TEST

static void holds(const char *path, const char *expected, long expected_size)
{
    Error error = {""};
    long size = -1;
    char *bytes = file_read(path, &size, &error);
    ck_assert_msg(bytes != NULL, "%s", error.text);
    ck_assert_int_eq(size, expected_size);
    ck_assert_int_eq(memcmp(bytes, expected, (size_t)size), 0);
    ck_assert_int_eq(bytes[size], 0);
    free(bytes);
}

/* Sizes around those of the reader's buffer, 64 K and its doubles. */
START_TEST(every_byte_of_a_file_is_read)
{
    const long sizes[] = {0, 1, 65534, 65535, 65536, 65537, 131071, 131072, 1000003};
    char *bytes = malloc(1000003);
    for (long i = 0; i < 1000003; i++)
        bytes[i] = (char)(i * 31 + i / 256);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_bytes(scratch("file"), bytes, sizes[i]);
        holds(scratch("file"), bytes, sizes[i]);
    }
    free(bytes);
}
END_TEST

START_TEST(a_pipe_is_read_until_its_end)
{
    int ends[2];
    char path[64];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "a\0b", 3), 3);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    holds(path, "a\0b", 3);
    close(ends[0]);
}
END_TEST

/* ---- Folders ---- */

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

START_TEST(folders_are_made_with_those_above_them)
{
    Error error = {""};
    ck_assert_msg(folder_make(scratch("a/b/c"), &error), "%s", error.text);
    ck_assert(is_folder(scratch("a/b/c")));
    ck_assert_msg(folder_make(scratch("a/b/c"), &error), "%s", error.text);
    ck_assert_msg(folder_make(scratch("a//d/"), &error), "%s", error.text);
    ck_assert(is_folder(scratch("a/d")));
    ck_assert(folder_make("/", &error));

    ck_assert_int_eq(chdir(scratch_folder()), 0);
    ck_assert_msg(folder_make("here/below", &error), "%s", error.text);
    ck_assert(is_folder(scratch("here/below")));
}
END_TEST

START_TEST(a_file_in_the_way_of_a_folder_is_left_alone_and_named)
{
    Error error = {""};
    write_bytes(scratch("file"), "kept", 4);
    ck_assert(!folder_make(scratch("file"), &error));
    assert_contains(error.text, scratch("file"));
    assert_contains(error.text, "a file of that name is in the way");
    ck_assert(!folder_make(scratch("file/below"), &error));
    assert_contains(error.text, "cannot make the folder ");
    assert_contains(error.text, "Not a directory");
    holds(scratch("file"), "kept", 4);
}
END_TEST

START_TEST(names_that_are_too_long_are_refused)
{
    Error error = {""};
    NewFile file;
    char name[2000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    ck_assert(!folder_make(name, &error));
    assert_contains(error.text, "the name of the folder is too long: nnn");
    ck_assert(!newfile_open(&file, name, &error));
    assert_contains(error.text, "the name of the file is too long: nnn");
}
END_TEST

/* ---- Writing ---- */

/* The scratch folder holds `target` with "old" in it and nothing else. */
static void only_the_old_file(void)
{
    char listing[256];
    run_command(listing, sizeof listing, "ls -A %s", scratch_folder());
    ck_assert_str_eq(listing, "target\n");
    holds(scratch("target"), "old", 3);
}

START_TEST(a_file_is_replaced_in_one_step)
{
    Error error = {""};
    NewFile file;
    write_bytes(scratch("target"), "old", 3);
    ck_assert_msg(newfile_open(&file, scratch("target"), &error), "%s", error.text);
    ck_assert_int_eq(fputs("new and longer", file.stream), 1);
    fflush(file.stream);
    holds(scratch("target"), "old", 3);
    ck_assert_msg(newfile_commit(&file, &error), "%s", error.text);
    holds(scratch("target"), "new and longer", 14);

    char listing[256];
    run_command(listing, sizeof listing, "ls -A %s", scratch_folder());
    ck_assert_str_eq(listing, "target\n");
}
END_TEST

/* Whoever has the old file open keeps reading the old file. */
START_TEST(a_reader_of_the_old_file_is_not_disturbed)
{
    Error error = {""};
    NewFile file;
    write_bytes(scratch("target"), "old", 3);
    FILE *reader = fopen(scratch("target"), "r");
    ck_assert(newfile_open(&file, scratch("target"), &error));
    fputs("new", file.stream);
    ck_assert(newfile_commit(&file, &error));
    char text[8] = "";
    ck_assert_uint_eq(fread(text, 1, sizeof text, reader), 3);
    ck_assert_str_eq(text, "old");
    fclose(reader);
    holds(scratch("target"), "new", 3);
}
END_TEST

START_TEST(giving_up_leaves_nothing_behind)
{
    Error error = {""};
    NewFile file;
    write_bytes(scratch("target"), "old", 3);
    ck_assert(newfile_open(&file, scratch("target"), &error));
    fputs("half of", file.stream);
    fflush(file.stream);
    newfile_drop(&file);
    only_the_old_file();

    ck_assert(newfile_open(&file, scratch("other"), &error));
    newfile_drop(&file);
    only_the_old_file();
}
END_TEST

START_TEST(a_file_that_cannot_be_made_is_refused_at_once)
{
    Error error = {""};
    NewFile file;
    ck_assert(!newfile_open(&file, scratch("no/such/file"), &error));
    assert_contains(error.text, scratch("no/such/file"));
    assert_contains(error.text, "cannot write ");
    assert_contains(error.text, "No such file or directory");
    ck_assert(!newfile_open(&file, scratch_folder(), &error));
    assert_contains(error.text, "Is a directory");
}
END_TEST

/* Writes `size` bytes where no file may be larger than 4096, which stands for a full disk;
 * the limit is gone again when this returns. */
static bool write_limited(const char *path, long size, Error *error)
{
    struct rlimit before, limit;
    NewFile file;
    ck_assert(newfile_open(&file, path, error));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 4096;
    setrlimit(RLIMIT_FSIZE, &limit);
    for (long i = 0; i < size; i++)
        putc('x', file.stream);
    bool written = newfile_commit(&file, error);
    setrlimit(RLIMIT_FSIZE, &before);
    return written;
}

/* Few bytes are found not to fit when they are flushed at the end, many long before. */
START_TEST(a_disk_that_fills_up_leaves_the_old_file)
{
    Error error = {""};
    write_bytes(scratch("target"), "old", 3);
    const long sizes[] = {4097, 5000, 100000};
    for (int i = 0; i < 3; i++) {
        ck_assert(!write_limited(scratch("target"), sizes[i], &error));
        assert_contains(error.text, "cannot write ");
        assert_contains(error.text, scratch("target"));
        assert_contains(error.text, strerror(EFBIG));
        only_the_old_file();
    }
    ck_assert(write_limited(scratch("target"), 4096, &error));
}
END_TEST

static void is_of_kind(const char *path, mode_t kind)
{
    struct stat status;
    ck_assert_int_eq(lstat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & S_IFMT, kind);
}

/* A device by a name in the scratch folder. Were it replaced by mistake, only the link
 * would be: these tests may run as root, and must never put the machine's own at risk. */
static const char *linked(const char *device)
{
    const char *path = scratch(strrchr(device, '/') + 1);
    ck_assert_int_eq(symlink(device, path), 0);
    return path;
}

/* The reason belongs to the write that failed, whatever has happened since. */
START_TEST(the_reason_of_an_early_failure_is_not_forgotten)
{
    Error error = {""};
    NewFile file;
    ck_assert(newfile_open(&file, linked("/dev/full"), &error));
    for (int i = 0; i < 100000; i++)
        putc('x', file.stream);
    errno = 0;
    ck_assert(!newfile_commit(&file, &error));
    assert_contains(error.text, "/full: No space left on device");
}
END_TEST

START_TEST(a_device_is_written_directly_and_never_replaced)
{
    Error error = {""};
    NewFile file;
    const char *null = linked("/dev/null"), *full = linked("/dev/full");
    ck_assert_msg(newfile_open(&file, null, &error), "%s", error.text);
    ck_assert(!file_exists(scratch("null.new")));
    fputs("into the void", file.stream);
    ck_assert_msg(newfile_commit(&file, &error), "%s", error.text);
    is_of_kind(null, S_IFLNK);

    ck_assert_msg(newfile_open(&file, full, &error), "%s", error.text);
    fputs("no room", file.stream);
    ck_assert(!newfile_commit(&file, &error));
    assert_contains(error.text, "cannot write ");
    assert_contains(error.text, "/full: No space left on device");
    is_of_kind(full, S_IFLNK);

    ck_assert(newfile_open(&file, null, &error));
    newfile_drop(&file);
    is_of_kind(null, S_IFLNK);
}
END_TEST

START_TEST(a_pipe_is_written_directly_and_never_replaced)
{
    Error error = {""};
    NewFile file;
    const char *path = scratch("pipe");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    ck_assert_msg(newfile_open(&file, path, &error), "%s", error.text);
    fputs("through", file.stream);
    ck_assert_msg(newfile_commit(&file, &error), "%s", error.text);
    char text[16] = "";
    ck_assert_int_eq(read(reader, text, sizeof text), 7);
    ck_assert_str_eq(text, "through");
    close(reader);
    is_of_kind(path, S_IFIFO);
}
END_TEST

SUITE("files", 10, a_sentence_is_written_and_cut_to_fit,
      who_was_speaking_comes_before_the_sentence,
      a_mistake_aborts_with_its_sentence_behind_what_was_printed,
      a_lack_of_memory_ends_the_program_with_advice,
      allocated_memory_is_zeroed_and_never_null, what_cannot_be_read_is_named,
      every_byte_of_a_file_is_read, a_pipe_is_read_until_its_end,
      folders_are_made_with_those_above_them,
      a_file_in_the_way_of_a_folder_is_left_alone_and_named,
      names_that_are_too_long_are_refused, a_file_is_replaced_in_one_step,
      a_reader_of_the_old_file_is_not_disturbed, giving_up_leaves_nothing_behind,
      a_file_that_cannot_be_made_is_refused_at_once,
      a_disk_that_fills_up_leaves_the_old_file,
      the_reason_of_an_early_failure_is_not_forgotten,
      a_device_is_written_directly_and_never_replaced,
      a_pipe_is_written_directly_and_never_replaced)
