/* test_language.c - what every program does that learns to predict the next token: reading,
 * measuring, writing. The programs are those of the chapters, and the recipe's. */
#include "base/files.h"
#include "chapters.h"
#include "suite.h"
#include "text/tokenizer.h"

#include <math.h>
#include <string.h>

#define GPT    BUILD "/chapter-04"
#define RNN    BUILD "/chapter-01"
#define WINDOW BUILD "/chapter-99"
#define SMALL  "--context 16 --width 32 --batch 8 --eval-every 20 "

/* A text of characters of one, two, three and four bytes, long enough to train on. */
static void write_text(const char *path, int repeats)
{
    static const char *const line =
        "na\xc3\xafve caf\xc3\xa9 \xe2\x98\x83 \xf0\x9f\x98\x80!\n";
    FILE *file = fopen(path, "wb");
    ck_assert(file != NULL);
    for (int i = 0; i < repeats; i++)
        fprintf(file, "%d %s", i * i % 97, line);
    fclose(file);
}

typedef struct {
    double loss, per_character, per_byte;
    long tokens;
} Measured;

static Measured measured(const char *format, const char *program, const char *rest)
{
    char output[4096], command[1024];
    Measured m;
    snprintf(command, sizeof command, format, program, rest);
    ck_assert_msg(run_command(output, sizeof output, "%s", command) == 0, "%s", output);
    ck_assert_msg(sscanf(output,
                         "loss %lf nats per token, %lf bits per character, %lf bits per "
                         "byte, %ld tokens",
                         &m.loss, &m.per_character, &m.per_byte, &m.tokens) == 4,
                  "%s", output);
    return m;
}

START_TEST(bits_are_counted_by_the_characters_and_bytes_of_a_token)
{
    Error error;
    long size, count, characters = 0;
    write_text(scratch("text"), 120);
    char *text = file_read(scratch("text"), &size, &error);
    for (long i = 0; i < size; i++)
        characters += ((unsigned char)text[i] & 0xc0) != 0x80;
    const char *const kinds[] = {"char", "bpe:30"};
    for (int i = 0; i < 2; i++) {
        char rest[600];
        Tokenizer *t = tokenizer_train(kinds[i], text, size, &error);
        free(tokenizer_encode(t, text, size, &count, &error));
        assert_runs(WINDOW " train " SMALL "--steps 5 --data %s --tokenizer %s --out %s",
                    scratch("text"), kinds[i], scratch("run"));
        snprintf(rest, sizeof rest, "--data %s --out %s", scratch("text"), scratch("run"));
        Measured m = measured("%s eval %s", WINDOW, rest);
        double bits = m.loss / log(2) * (double)count;
        ck_assert_double_eq_tol(m.per_character, bits / (double)characters, 2e-3);
        ck_assert_double_eq_tol(m.per_byte, bits / (double)size, 2e-3);
        ck_assert_double_lt(m.per_byte, m.per_character - 0.1);
        ck_assert_int_eq(m.tokens, count - (count + 15) / 16);
        tokenizer_free(t);
    }
    free(text);
}
END_TEST

START_TEST(more_past_predicts_more_tokens_and_better)
{
    const char *const programs[] = {WINDOW, RNN};
    for (int i = 0; i < 2; i++) {
        char rest[300], full[400];
        assert_runs("%s train " SMALL "--steps 150 --out %s", programs[i], scratch("run"));
        snprintf(rest, sizeof rest, "--split val --out %s", scratch("run"));
        snprintf(full, sizeof full, "--past full %s", rest);
        Measured window = measured("%s eval %s", programs[i], rest);
        Measured past = measured("%s eval %s", programs[i], full);
        ck_assert_int_eq(window.tokens, 11878 - 743); /* all but the first of each window */
        ck_assert_int_eq(past.tokens, 11878 - 1);
        ck_assert_double_lt(past.loss, window.loss - 0.01);
    }
}
END_TEST

/* One window is the same with either; the state of a recurrent network must be new. */
START_TEST(in_a_single_window_both_kinds_of_past_are_the_same)
{
    const char *const programs[] = {WINDOW, RNN, GPT};
    write_bytes(scratch("short"), "As I remember", 13);
    for (int i = 0; i < 3; i++) {
        char rest[600], full[700];
        assert_runs("%s train " SMALL "--steps 5 --out %s", programs[i], scratch("run"));
        snprintf(rest, sizeof rest, "--data %s --out %s", scratch("short"), scratch("run"));
        snprintf(full, sizeof full, "--past full %s", rest);
        Measured window = measured("%s eval %s", programs[i], rest);
        Measured past = measured("%s eval %s", programs[i], full);
        ck_assert_int_eq(window.tokens, 12);
        ck_assert_int_eq(past.tokens, 12);
        ck_assert_double_eq_tol(window.loss, past.loss, 1.01e-4);
    }
}
END_TEST

START_TEST(a_tokenizer_that_contradicts_the_weights_is_refused)
{
    assert_runs(WINDOW " train " SMALL "--steps 1 --out %s", scratch("run"));
    const char *model = scratch("run/model.safetensors");
    assert_refusal(WINDOW, "was trained with char; leave --tokenizer out",
                   "train " SMALL "--steps 1 --load %s --tokenizer bpe:100 --out %s", model,
                   scratch("other"));
    assert_refusal(WINDOW, "was trained with char", "sample --load %s --tokenizer bpe:9",
                   model);
    assert_runs(WINDOW " train " SMALL "--steps 1 --load %s --tokenizer char --out %s",
                model, scratch("other"));
}
END_TEST

/* Tokens of a probe may be more than a recurrent network's windows in training, not more
 * than what a model with positions can see. */
START_TEST(only_a_model_with_a_limit_refuses_long_texts)
{
    Error error;
    int tokens[40] = {1, 2, 3};
    SafeTensor in = {
        .name = "tokens", .dtype = DTYPE_I32, .rank = 2, .shape = {1, 40}, .data = tokens};
    ck_assert(safetensors_save(scratch("in"), &in, 1, NULL, 0, &error));
    assert_runs(RNN " train " SMALL "--steps 1 --out %s", scratch("rnn"));
    assert_runs(RNN " probe --load %s --input %s --output %s",
                scratch("rnn/model.safetensors"), scratch("in"), scratch("out"));
    assert_runs(GPT " train " SMALL "--steps 1 --out %s", scratch("gpt"));
    assert_refusal(GPT, "40 tokens in a row are more than the context of 16",
                   "probe --load %s --input %s --output %s",
                   scratch("gpt/model.safetensors"), scratch("in"), scratch("out"));
}
END_TEST

/* A file whose embedding has rows to spare, as published ones have. */
START_TEST(an_embedding_may_have_more_rows_than_there_are_tokens)
{
    Error error;
    char text[4096];
    assert_runs(WINDOW " train " SMALL "--steps 1 --out %s", scratch("run"));
    Safetensors *file = open_file(scratch("run/model.safetensors"));
    enum { MORE = 7, V = 62 + MORE };
    SafeTensor tensors[8];
    float *grown[8] = {NULL};
    ck_assert_int_le(file->count, 8);
    for (int i = 0; i < file->count; i++) {
        long n;
        tensors[i] = file->tensor[i];
        float *old = floats_of(file, tensors[i].name, &n);
        long row = n / tensors[i].shape[0];
        if (tensors[i].shape[0] == V - MORE)
            tensors[i].shape[0] = V;
        grown[i] = allocate((size_t)(tensors[i].shape[0] * row), sizeof(float));
        for (long j = 0; j < tensors[i].shape[0] * row; j++)
            grown[i][j] = j < n ? old[j] : 5; /* they would be picked if they could */
        tensors[i].data = grown[i];
        free(old);
    }
    SafeMetadata metadata[] = {{"tokenizer", safetensors_metadata(file, "tokenizer")}};
    ck_assert(safetensors_save(scratch("w"), tensors, file->count, metadata, 1, &error));
    ck_assert_int_eq(run_command(text, sizeof text,
                                 WINDOW " sample --load %s --tokens 300 --temperature 2",
                                 scratch("w")),
                     0);
    ck_assert_uint_eq(strlen(text), 301);
    for (int i = 0; i < file->count; i++)
        free(grown[i]);
    safetensors_close(file);
}
END_TEST

START_TEST(synthetic_tasks_are_learned_and_measured)
{
    char output[8192];
    assert_runs(RNN
                " train --synthetic induction --context 8 --width 64 --batch 32 --steps "
                "250 --lr 0.01 --eval-every 250 --out %s",
                scratch("run"));
    int status = run_command(output, sizeof output,
                             RNN " eval --synthetic induction --out "
                                 "%s",
                             scratch("run"));
    double loss = 9, right = 0;
    ck_assert_int_eq(status, 0);
    ck_assert_msg(sscanf(output, "loss %lf nats per token, %lf%% right", &loss, &right) ==
                      2,
                  "%s", output);
    ck_assert_double_gt(right, 60); /* guessing is right in 7% */
    ck_assert_double_lt(loss, 1.5);
    assert_refusal(RNN, "leave --data and --tokenizer out",
                   "train --synthetic copy --data data/carroll.txt --out %s",
                   scratch("other"));
    assert_refusal(RNN, "trained on something else", "eval --synthetic recall --out %s",
                   scratch("run"));
    assert_refusal(RNN, "--context", "train --synthetic recall --context 2 --out %s",
                   scratch("other"));
}
END_TEST

/* The state that training hands on is kept with the run. */
START_TEST(only_a_recurrent_model_carries_its_state_from_batch_to_batch)
{
    long n;
    assert_runs(RNN " train " SMALL "--steps 2 --out %s", scratch("rnn"));
    Safetensors *state = open_file(scratch("rnn/state.safetensors"));
    float *carried = floats_of(state, "l0.state", &n);
    ck_assert_int_eq(n, 8 * 2 * 32);
    ck_assert_double_gt(largest(carried, n), 0.01);
    free(carried);
    safetensors_close(state);
    assert_runs(RNN " train --synthetic copy " SMALL "--steps 2 --out %s", scratch("copy"));
    state = open_file(scratch("copy/state.safetensors"));
    ck_assert_ptr_null(safetensors_find(state, "l0.state"));
    safetensors_close(state);
}
END_TEST

START_TEST(a_run_is_resumed_only_by_one_that_is_the_same)
{
    assert_runs(WINDOW " train " SMALL "--steps 1 --out %s", scratch("run"));
    const char *const others[] = {
        "--data data/carroll.txt", "--batch 9",      "--seed 2",
        "--tokenizer bpe:3",       "--embedding 17", "--synthetic copy"};
    for (int i = 0; i < 6; i++)
        assert_refusal(WINDOW, "is of another run",
                       "train " SMALL "%s --steps 2 --resume --out %s", others[i],
                       scratch("run"));
    assert_runs(WINDOW " train " SMALL "--steps 2 --resume --out %s", scratch("run"));
}
END_TEST

START_TEST(a_prompt_comes_from_the_option_or_there_is_none)
{
    char output[1024];
    assert_runs(WINDOW " train " SMALL "--steps 1 --out %s", scratch("run"));
    ck_assert_int_eq(run_command(output, sizeof output,
                                 WINDOW " sample --tokens 10 --out %s </dev/null",
                                 scratch("run")),
                     0);
    ck_assert_uint_eq(strlen(output), 11);
    assert_refusal(WINDOW, "--prompt: the character '~'", "sample --prompt 'a~b' --out %s",
                   scratch("run"));
}
END_TEST

START_TEST(text_that_is_too_short_to_measure_is_refused)
{
    assert_runs(WINDOW " train " SMALL "--steps 1 --out %s", scratch("run"));
    write_bytes(scratch("one"), "A", 1);
    assert_refusal(WINDOW, "there is nothing to predict", "eval --data %s --out %s",
                   scratch("one"), scratch("run"));
    assert_refusal(WINDOW, "there is nothing to predict",
                   "eval --past full --data %s --out %s", scratch("one"), scratch("run"));
}
END_TEST

SUITE("language", 60, bits_are_counted_by_the_characters_and_bytes_of_a_token,
      more_past_predicts_more_tokens_and_better,
      in_a_single_window_both_kinds_of_past_are_the_same,
      a_tokenizer_that_contradicts_the_weights_is_refused,
      only_a_model_with_a_limit_refuses_long_texts,
      an_embedding_may_have_more_rows_than_there_are_tokens,
      synthetic_tasks_are_learned_and_measured,
      only_a_recurrent_model_carries_its_state_from_batch_to_batch,
      a_run_is_resumed_only_by_one_that_is_the_same,
      a_prompt_comes_from_the_option_or_there_is_none,
      text_that_is_too_short_to_measure_is_refused)
