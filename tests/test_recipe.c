/* test_recipe.c - the recipe of docs/contributing.md for a chapter of one's own: one short
 * file does all that a chapter can do. */
#include "base/files.h"
#include "chapters.h"
#include "suite.h"

#include <string.h>

#define PROGRAM BUILD "/chapter-99"
#define SMALL   "--context 16 --width 32 --batch 8 --eval-every 20 "

START_TEST(it_is_short)
{
    Error error;
    long size, lines = 0;
    char *text = file_read("tests/recipe/window.c", &size, &error);
    ck_assert_msg(text != NULL, "%s", error.text);
    for (long i = 0; i < size; i++)
        lines += text[i] == '\n';
    ck_assert_int_le(lines, 150);
    free(text);
}
END_TEST

START_TEST(it_learns_and_writes_and_is_measured)
{
    char output[8192];
    assert_runs(PROGRAM " train " SMALL "--steps 200 --out %s", scratch("run"));
    int status = run_command(output, sizeof output, PROGRAM " eval --split val --out %s",
                             scratch("run"));
    double loss = 9;
    ck_assert_int_eq(status, 0);
    ck_assert_msg(sscanf(output, "loss %lf nats", &loss) == 1, "%s", output);
    ck_assert_double_lt(loss, 2.9); /* log 62 is 4.1 */
    status = run_command(output, sizeof output,
                         PROGRAM " sample --prompt 'To be' --tokens 40 --out %s",
                         scratch("run"));
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(strlen(output), strlen("To be") + 40 + 1);
    const char *const files[] = {"run/model.safetensors", "run/state.safetensors",
                                 "run/log.csv", "run/loss.svg"};
    for (int i = 0; i < 4; i++)
        ck_assert_msg(file_exists(scratch(files[i])), "%s", files[i]);
}
END_TEST

START_TEST(it_is_verified_and_probed)
{
    char output[8192];
    ck_assert_int_eq(run_command(output, sizeof output, PROGRAM " verify"), 0);
    assert_contains(output, "they agree");
    assert_runs(PROGRAM " train " SMALL "--steps 1 --out %s", scratch("run"));
    int tokens[20];
    for (int i = 0; i < 20; i++)
        tokens[i] = i;
    SafeTensor in[] = {
        {.name = "tokens", .dtype = DTYPE_I32, .rank = 2, .shape = {2, 10}},
        {.name = "targets", .dtype = DTYPE_I32, .rank = 2, .shape = {2, 10}}};
    in[0].data = in[1].data = tokens;
    Error error;
    ck_assert(safetensors_save(scratch("in"), in, 2, NULL, 0, &error));
    assert_runs(PROGRAM " probe --load %s --input %s --output %s",
                scratch("run/model.safetensors"), scratch("in"), scratch("out"));
    Safetensors *out = open_file(scratch("out"));
    ck_assert_int_eq(out->count, 2 + 5); /* logits, loss, a gradient of each parameter */
    safetensors_close(out);
}
END_TEST

START_TEST(a_run_that_was_resumed_ends_with_the_same_bits)
{
    /* At one rate all along, because the schedule follows the steps in force. */
    assert_runs(PROGRAM " train " SMALL "--steps 20 --warmup 0 --min-lr 3e-3 --out %s",
                scratch("a"));
    assert_runs(PROGRAM " train " SMALL
                        "--steps 40 --warmup 0 --min-lr 3e-3 --resume --out %s",
                scratch("a"));
    assert_runs(PROGRAM " train " SMALL "--steps 40 --warmup 0 --min-lr 3e-3 --out %s",
                scratch("b"));
    assert_same_file(scratch("a/model.safetensors"), scratch("b/model.safetensors"));
    assert_same_log(scratch("a/log.csv"), scratch("b/log.csv"));
}
END_TEST

/* The last bits depend on how many rows are computed together; the text does not. */
START_TEST(a_text_is_the_same_however_it_is_read)
{
    char once[512], line[512];
    assert_runs(PROGRAM " train " SMALL "--steps 60 --out %s", scratch("run"));
    ck_assert_int_eq(run_command(once, sizeof once,
                                 PROGRAM " sample --temperature 0 --tokens 30 --out %s "
                                         "--prompt 'ORLANDO: '",
                                 scratch("run")),
                     0);
    once[strlen(once) - 1] = 0;
    char half[64];
    snprintf(half, sizeof half, "%.20s", once);
    ck_assert_int_eq(run_command(line, sizeof line,
                                 PROGRAM " sample --temperature 0 --tokens 19 --out %s "
                                         "--prompt \"$(printf '%s')\"",
                                 scratch("run"), half),
                     0);
    line[strlen(line) - 1] = 0;
    ck_assert_str_eq(line, once);
}
END_TEST

SUITE("recipe", 60, it_is_short, it_learns_and_writes_and_is_measured,
      it_is_verified_and_probed, a_run_that_was_resumed_ends_with_the_same_bits,
      a_text_is_the_same_however_it_is_read)
