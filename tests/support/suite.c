/* suite.c - what every test file begins with. */
#include "suite.h"
#include "base/files.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals that were ignored where the tests were started, as `nohup` does it, would stay so in
 * all programs that they run. */
static void take_signals_back(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
}

int run_suite(const char *name, double seconds, const TTest *const tests[], int count)
{
    take_signals_back();
    Suite *suite = suite_create(name);
    for (int i = 0; i < count; i++) {
        TCase *tcase = tcase_create(tests[i]->name);
        tcase_set_timeout(tcase, seconds);
        tcase_add_unchecked_fixture(tcase, NULL, scratch_remove);
        tcase_add_checked_fixture(tcase, NULL, scratch_remove);
        tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

static char folder[64];

const char *scratch_folder(void)
{
    if (!folder[0]) {
        strcpy(folder, "/tmp/lineage.XXXXXX");
        ck_assert(mkdtemp(folder) != NULL);
    }
    return folder;
}

void scratch_remove(void)
{
    if (!folder[0])
        return;
    char output[256];
    run_command(output, sizeof output, "rm -rf %s", folder);
    folder[0] = 0;
}

const char *scratch(const char *name)
{
    static char path[8][256];
    static int next;
    char *result = path[next++ % 8];
    snprintf(result, sizeof path[0], "%s/%s", scratch_folder(), name);
    return result;
}

void write_bytes(const char *path, const void *bytes, long size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert_int_eq((long)fwrite(bytes, 1, (size_t)size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

char *text_of(const char *path)
{
    Error error;
    long size;
    char *text = file_read(path, &size, &error);
    ck_assert_msg(text != NULL, "%s", error.text);
    return text;
}

int run_command(char *output, size_t size, const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    int needed = vsnprintf(command, sizeof command - 16, format, arguments);
    va_end(arguments);
    ck_assert_int_lt(needed, (int)sizeof command - 16);
    strcat(command, " 2>&1");

    FILE *pipe = popen(command, "r");
    ck_assert(pipe != NULL);
    size_t length = fread(output, 1, size - 1, pipe);
    output[length] = 0;
    char rest[4096];
    while (fread(rest, 1, sizeof rest, pipe) > 0)
        ;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
