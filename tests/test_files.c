/* test_files.c - files are read whole, and replaced whole or not at all; and what is said
 * when that fails. */
#include "base/error.h"
#include "base/files.h"
#include "suite.h"
#include "sanitized.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- What reaches the disk, and in which order ---- */

static char calls[256]; /* "file renamed folder" */
static bool folder_fails;

static void note_call(const char *name)
{
    snprintf(calls + strlen(calls), sizeof calls - strlen(calls), "%s%s",
             calls[0] ? " " : "", name);
}

/* These two take the place of the system's. */
int fsync(int file)
{
    struct stat status;
    bool folder = fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
    note_call(folder ? "folder" : "file");
    if (folder && folder_fails) {
        errno = EIO;
        return -1;
    }
    return 0;
}

int rename(const char *from, const char *to)
{
    note_call("renamed");
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

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

START_TEST(a_mistake_aborts_with_its_sentence_after_what_was_printed)
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

#if !defined SANITIZED /* which has no room under a limit */
static void ask_for_half(void)
{
    setrlimit(RLIMIT_AS, &(struct rlimit){1 << 30, 1 << 30});
    allocate((size_t)1 << 29, 2);
}
#endif

static void run_out(void)
{
    model_memory_advice("try a smaller --batch");
    out_of_memory(2500000, "byte pairs");
}

static void run_out_of_model_memory(void)
{
    model_memory_advice("try a smaller --batch");
    out_of_model_memory(2500000, "the tape");
}

static void run_out_of_model_memory_without_advice(void)
{
    out_of_model_memory(2500000, "the tape");
}

static void ends_with_status_1(void (*work)(void), const char *expected)
{
    char text[256];
    int status = run_apart(work, text, sizeof text);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_str_eq(text, expected);
}

/* A smaller batch helps the tape, and would not help a list of byte pairs. */
START_TEST(a_lack_of_memory_ends_the_program_with_the_advice_that_fits)
{
    ends_with_status_1(run_out, "out of memory: 2.5 MB for byte pairs cannot be had\n");
    ends_with_status_1(run_out_of_model_memory,
                       "out of memory: 2.5 MB for the tape cannot be had; try a smaller "
                       "--batch\n");
    ends_with_status_1(run_out_of_model_memory_without_advice,
                       "out of memory: 2.5 MB for the tape cannot be had\n");
    char text[256];
    int status = run_apart(ask_for_too_much, text, sizeof text);
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    assert_contains(text, "out of memory");
#if !defined SANITIZED
    ends_with_status_1(ask_for_half,
                       "out of memory: 1073.7 MB for an array cannot be had\n");
#endif
}
END_TEST

static void *run_out_as_well(void *unused)
{
    out_of_memory(3, "a second one");
    return unused;
}

/* While the first one ends the program, another thread finds no memory either. It must not
 * come back, so there is no end to wait for: it is given time to speak if it wants to. */
static void start_another(void)
{
    pthread_t other;
    pthread_create(&other, NULL, run_out_as_well, NULL);
    usleep(50000);
}

static void run_out_twice(void)
{
    atexit(start_another);
    out_of_memory(0, "the first");
}

START_TEST(of_two_threads_without_memory_one_speaks)
{
    ends_with_status_1(run_out_twice,
                       "out of memory: 0.0 MB for the first cannot be had\n");
}
END_TEST

START_TEST(memory_is_what_the_machine_has_or_the_limit_allows)
{
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    size_t whole = physical_memory();
    ck_assert_uint_gt(whole, 1 << 20);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){1 << 20, before.rlim_max}), 0);
    size_t limited = physical_memory();
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    ck_assert_uint_eq(limited, 1 << 20);
    ck_assert_uint_eq(physical_memory(), whole);
}
END_TEST

START_TEST(more_is_put_after_a_sentence_and_cut_to_fit)
{
    Error error = {"it is empty"};
    ck_assert(!fail_after(&error, "; give another"));
    ck_assert_str_eq(error.text, "it is empty; give another");
    char longer[2000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    fail_after(&error, longer);
    ck_assert_uint_eq(strlen(error.text), sizeof error.text - 1);
}
END_TEST

START_TEST(a_sentence_is_one_line_whatever_is_in_a_name)
{
    Error error = {""};
    fail(&error, "cannot read %s", "a\nb\033[K\t");
    ck_assert_str_eq(error.text, "cannot read a?b?[K?");
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

static void read_without_end(void)
{
    Error error = {""};
    long size;
    struct rlimit limit = {200 << 20, 200 << 20};
    setrlimit(RLIMIT_AS, &limit);
    if (!file_read("/dev/zero", &size, &error))
        puts(error.text);
    for (int megabytes = 90; megabytes <= 101; megabytes += 11) {
        FILE *large = fopen(scratch("large"), "w");
        fseek(large, megabytes << 20, SEEK_SET); /* a hole: it takes no room on the disk */
        fputc(0, large);
        fclose(large);
        char *bytes = file_read(scratch("large"), &size, &error);
        printf("%d: %s\n", megabytes, bytes ? "read" : error.text);
        free(bytes);
    }
    fflush(stdout);
}

/* A limit of 200 MiB, of which a file may take half. */
START_TEST(a_file_larger_than_memory_is_refused_before_memory_is_full)
{
    char text[1024];
    scratch_folder();
#ifdef SANITIZED
    return; /* it needs more room than that for itself */
#endif
    int status = run_apart(read_without_end, text, sizeof text);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
    assert_contains(text, "cannot read /dev/zero: 134 MB are more than there is memory "
                          "for\n");
    assert_contains(text, "90: read\n");
    assert_contains(text, "/large: 106 MB are more than there is memory for\n");
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

START_TEST(a_new_file_is_on_the_disk_before_and_after_it_gets_its_name)
{
    Error error = {""};
    NewFile file;
    ck_assert(newfile_open(&file, scratch("target"), &error));
    fputs("new", file.stream);
    ck_assert_str_eq(calls, "");
    ck_assert(newfile_commit(&file, &error));
    ck_assert_str_eq(calls, "file renamed folder");

    calls[0] = 0;
    ck_assert_int_eq(chdir(scratch_folder()), 0);
    ck_assert(newfile_open(&file, "target", &error));
    ck_assert(newfile_commit(&file, &error));
    ck_assert_str_eq(calls, "file renamed folder");
    folder_fails = true;
    ck_assert(newfile_open(&file, "target", &error));
    ck_assert(!newfile_commit(&file, &error));
    ck_assert_str_eq(error.text, "cannot write target: Input/output error");
}
END_TEST

static void write_text(const char *path, const char *text)
{
    Error error = {""};
    NewFile file;
    ck_assert_msg(newfile_open(&file, path, &error), "%s", error.text);
    fputs(text, file.stream);
    ck_assert_msg(newfile_commit(&file, &error), "%s", error.text);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    return status.st_mode & 07777;
}

START_TEST(a_file_keeps_its_mode)
{
    static const mode_t modes[] = {0600, 0640, 0666, 0444, 0755};
    umask(027);
    write_text(scratch("target"), "new");
    ck_assert_uint_eq(mode_of(scratch("target")), 0640);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(chmod(scratch("target"), modes[i]), 0);
        write_text(scratch("target"), "newer");
        ck_assert_uint_eq(mode_of(scratch("target")), modes[i]);
    }
}
END_TEST

/* Only root may give files away. */
START_TEST(a_file_keeps_its_owner_where_that_may_be)
{
    struct stat status;
    write_text(scratch("target"), "old");
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(scratch("target"), 1234, 5678), 0);
    write_text(scratch("target"), "new");
    ck_assert_int_eq(stat(scratch("target"), &status), 0);
    ck_assert_uint_eq(status.st_uid, 1234);
    ck_assert_uint_eq(status.st_gid, 5678);
}
END_TEST

/* Run as somebody else: what the group could do is not given to another group. */
static void replace_as_somebody(void)
{
    struct stat status;
    if (setgid(4321) != 0 || setuid(4321) != 0)
        _exit(1);
    write_text(scratch("target"), "new");
    if (stat(scratch("target"), &status) == 0)
        printf("%u %o\n", (unsigned)status.st_uid, (unsigned)status.st_mode & 07777);
    fflush(stdout);
}

START_TEST(who_may_not_give_a_file_away_gives_no_rights_to_others)
{
    char text[256];
    if (geteuid() != 0)
        return;
    write_text(scratch("target"), "old");
    ck_assert_int_eq(chmod(scratch("target"), 0664), 0);
    ck_assert_int_eq(chmod(scratch_folder(), 0777), 0);
    run_apart(replace_as_somebody, text, sizeof text);
    ck_assert_str_eq(text, "4321 604\n");
}
END_TEST

static void is_link_to(const char *path, const char *expected)
{
    char target[256] = "";
    ck_assert_int_gt(readlink(path, target, sizeof target - 1), 0);
    ck_assert_str_eq(target, expected);
}

START_TEST(a_symbolic_link_stays_one_and_leads_to_the_new_file)
{
    Error error = {""};
    NewFile file;
    char listing[256];
    ck_assert(folder_make(scratch("a/b"), &error));
    write_bytes(scratch("target"), "old", 3);
    ck_assert_int_eq(symlink("../target", scratch("a/relative")), 0);
    ck_assert_int_eq(symlink(scratch("a/relative"), scratch("a/b/absolute")), 0);
    ck_assert_int_eq(symlink("b/missing", scratch("a/dangling")), 0);

    write_text(scratch("a/relative"), "new");
    holds(scratch("target"), "new", 3);
    write_text(scratch("a/b/absolute"), "newer");
    holds(scratch("target"), "newer", 5);
    write_text(scratch("a/dangling"), "first");
    holds(scratch("a/b/missing"), "first", 5);
    is_link_to(scratch("a/relative"), "../target");
    is_link_to(scratch("a/dangling"), "b/missing");
    run_command(listing, sizeof listing, "find %s -type f | wc -l", scratch_folder());
    ck_assert_int_eq(atoi(listing), 2);

    ck_assert_int_eq(symlink("circle", scratch("circle")), 0);
    ck_assert(!newfile_open(&file, scratch("circle"), &error));
    assert_contains(error.text, "/circle: Too many levels of symbolic links");
}
END_TEST

START_TEST(two_writers_do_not_meet)
{
    Error error = {""};
    NewFile one, two;
    ck_assert(newfile_open(&one, scratch("target"), &error));
    ck_assert(newfile_open(&two, scratch("target"), &error));
    fputs("one", one.stream);
    fputs("and two", two.stream);
    ck_assert_msg(newfile_commit(&one, &error), "%s", error.text);
    holds(scratch("target"), "one", 3);
    ck_assert_msg(newfile_commit(&two, &error), "%s", error.text);
    holds(scratch("target"), "and two", 7);
}
END_TEST

/* Three files in the making, of which one is complete and one was given up. */
static void run_out_while_writing(void)
{
    Error error;
    NewFile first, second, third;
    newfile_open(&first, scratch("target"), &error);
    newfile_open(&second, scratch("other"), &error);
    newfile_open(&third, scratch("dropped"), &error);
    fputs("old", first.stream);
    newfile_commit(&first, &error);
    newfile_drop(&third);
    fputs("half of", second.stream);
    fflush(second.stream);
    out_of_memory(1, "a label");
}

START_TEST(running_out_of_memory_while_writing_leaves_nothing)
{
    char text[256];
    scratch_folder();
    run_apart(run_out_while_writing, text, sizeof text);
    assert_contains(text, "out of memory");
    only_the_old_file();
}
END_TEST

START_TEST(what_killed_writers_left_can_be_swept_away)
{
    write_bytes(scratch("target"), "old", 3);
    write_bytes(scratch("target.new-123-0"), "half", 4);
    write_bytes(scratch("target.new-99-1"), "half", 4);
    write_bytes(scratch("other.new-123-0"), "half", 4);
    write_bytes(scratch("target.news"), "kept", 4);
    newfile_sweep(scratch("target"));
    char listing[256];
    run_command(listing, sizeof listing, "ls -A %s", scratch_folder());
    ck_assert_str_eq(listing, "other.new-123-0\ntarget\ntarget.news\n");
    ck_assert_int_eq(chdir(scratch_folder()), 0);
    newfile_sweep("other");
    newfile_sweep("no/such/file");
    ck_assert(!file_exists(scratch("other.new-123-0")));
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

START_TEST(giving_up_leaves_nothing)
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
    char listing[256];
    const char *null = linked("/dev/null"), *full = linked("/dev/full");
    ck_assert_msg(newfile_open(&file, null, &error), "%s", error.text);
    run_command(listing, sizeof listing, "ls -A %s", scratch_folder());
    ck_assert_str_eq(listing, "full\nnull\n");
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
      a_mistake_aborts_with_its_sentence_after_what_was_printed,
      a_lack_of_memory_ends_the_program_with_the_advice_that_fits,
      of_two_threads_without_memory_one_speaks,
      memory_is_what_the_machine_has_or_the_limit_allows,
      more_is_put_after_a_sentence_and_cut_to_fit,
      a_sentence_is_one_line_whatever_is_in_a_name,
      allocated_memory_is_zeroed_and_never_null, what_cannot_be_read_is_named,
      every_byte_of_a_file_is_read, a_pipe_is_read_until_its_end,
      a_file_larger_than_memory_is_refused_before_memory_is_full,
      folders_are_made_with_those_above_them,
      a_file_in_the_way_of_a_folder_is_left_alone_and_named,
      names_that_are_too_long_are_refused, a_file_is_replaced_in_one_step,
      a_new_file_is_on_the_disk_before_and_after_it_gets_its_name, a_file_keeps_its_mode,
      a_file_keeps_its_owner_where_that_may_be,
      who_may_not_give_a_file_away_gives_no_rights_to_others,
      a_symbolic_link_stays_one_and_leads_to_the_new_file, two_writers_do_not_meet,
      running_out_of_memory_while_writing_leaves_nothing,
      what_killed_writers_left_can_be_swept_away, a_reader_of_the_old_file_is_not_disturbed,
      giving_up_leaves_nothing, a_file_that_cannot_be_made_is_refused_at_once,
      a_disk_that_fills_up_leaves_the_old_file,
      the_reason_of_an_early_failure_is_not_forgotten,
      a_device_is_written_directly_and_never_replaced,
      a_pipe_is_written_directly_and_never_replaced)
