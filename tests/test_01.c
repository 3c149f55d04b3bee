/* test_01.c - the recurrent networks: against PyTorch's numbers, against their equations in
 * scalars, against themselves, and against bad input. */
#include "chapters.h"
#include "compare.h"
#include "base/files.h"
#include "nn/optim.h"
#include "tensor/parallel.h"
#include "rnn.h"
#include "weights/safetensors.h"
#include "spec.h"
#include "suite.h"
#include "run/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM BUILD "/chapter-01"
enum { CELLS = 3 };

/* ---- Models and texts that are made by a formula; tests/fixtures/rnn.py has the same ---- */

static Rnn *made_model(RnnConfig config)
{
    Rnn *rnn = rnn_new(config, params_new(1));
    for (int t = 0; t < rnn->model.params->count; t++) {
        const Param *p = &rnn->model.params->item[t];
        float scale = strstr(p->name, "bias") ? 0.25f : 0.5f;
        for (long i = 0; i < t_size(p->tensor); i++) {
            float u = (float)(fixture_hash((uint32_t)t, (uint32_t)i) >> 16) / 32768 - 1;
            p->tensor->data[i] = u * scale;
        }
    }
    return rnn;
}

static Ids *made_ids(Tape *tape, int B, int T, int V, uint32_t stream)
{
    Ids *ids = ids_new(tape, B, T);
    for (long i = 0; i < ids->size; i++)
        ids->at[i] = (int)(fixture_hash(stream, (uint32_t)i) % (uint32_t)V);
    return ids;
}

/* Nothing may differ by more than a share of the largest entry. */
static void assert_close(const float *a, const float *b, long n, double share,
                         const char *what)
{
    assert_near(a, b, n, share * largest(b, n), what);
}

/* ---- PyTorch ---- */

/* The sizes of the fixtures, without vocabulary and cell. */
static const RnnConfig one = {.vocabulary = 11, .layers = 1, .embedding = 5, .width = 7};
static const RnnConfig two = {.vocabulary = 13, .layers = 2, .embedding = 6, .width = 19};

static RnnConfig with_cell(RnnConfig config, CellKind cell)
{
    config.cell = (int)cell;
    return config;
}

static const char *fixture_path(CellKind cell, const char *size)
{
    static char path[128];
    snprintf(path, sizeof path, "tests/fixtures/rnn_%s_%s.safetensors", cell_name(cell),
             size);
    return path;
}

/* As PyTorch's users keep them: nothing in the file says what the tensors are. */
static void write_weights(const char *path, const Rnn *rnn, const SafeMetadata *metadata,
                          int metadata_count)
{
    SafeTensor tensors[64];
    int count = rnn->model.params->count;
    for (int i = 0; i < count; i++) {
        const Param *p = &rnn->model.params->item[i];
        tensors[i] = (SafeTensor){.name = p->name,
                                  .dtype = DTYPE_F32,
                                  .rank = p->tensor->rank,
                                  .data = p->tensor->data};
        memcpy(tensors[i].shape, p->tensor->shape, sizeof tensors[i].shape);
    }
    Error error;
    ck_assert_msg(safetensors_save(path, tensors, count, metadata, metadata_count, &error),
                  "%s", error.text);
}

/* Every number that PyTorch computed, against what probe says. */
static void assert_probe(const char *fixture, int params)
{
    char output[2048];
    int status = run_command(output, sizeof output,
                             PROGRAM " probe --load %s --input %s --output %s",
                             scratch("w.safetensors"), fixture, scratch("out.safetensors"));
    ck_assert_msg(status == 0, "%s", output);
    Safetensors *want = open_file(fixture), *got = open_file(scratch("out.safetensors"));
    int gradients = 0;
    for (int i = 0; i < want->count; i++) {
        const char *name = want->tensor[i].name;
        bool gradient = strncmp(name, "grad.", 5) == 0;
        if (strcmp(name, "tokens") == 0 || strcmp(name, "targets") == 0)
            continue;
        long n, m;
        float *a = floats_of(got, name, &n), *b = floats_of(want, name, &m);
        ck_assert_int_eq(n, m);
        assert_close(a, b, n, gradient ? 1e-3 : 1e-4, name);
        gradients += gradient;
        free(a), free(b);
    }
    ck_assert_int_eq(gradients, params);
    safetensors_close(want);
    safetensors_close(got);
}

START_TEST(probe_agrees_with_pytorch_in_every_logit_and_gradient)
{
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++) {
        Rnn *small = made_model(with_cell(one, cell)),
            *large = made_model(with_cell(two, cell));
        write_weights(scratch("w.safetensors"), small, NULL, 0);
        assert_probe(fixture_path(cell, "one"), small->model.params->count);
        write_weights(scratch("w.safetensors"), large, NULL, 0);
        assert_probe(fixture_path(cell, "two"), large->model.params->count);
        small->model.free(&small->model);
        large->model.free(&large->model);
    }
}
END_TEST

/* ---- The equations, in scalars ---- */

enum { B = 2, T = 4, MOST_PARAMS = 16 };
static const RnnConfig narrow = {.vocabulary = 5, .layers = 2, .embedding = 3, .width = 6};

/* The loss of one text, summed over its positions. */
static Scalar *loss_of_text(const Rnn *rnn, Scalars *s, Scalar ***w, const int *tokens,
                            const int *targets)
{
    const RnnConfig *c = &rnn->config;
    int C = c->width, L = c->layers, V = c->vocabulary, last = 1 + 4 * L;
    Scalar **h = s_array(s, L * C), **cell = s_array(s, L * C), **logits = s_array(s, V);
    Scalar *loss = s_new(s, 0);
    for (int j = 0; j < L * C; j++)
        h[j] = cell[j] = s_new(s, 0);
    for (int t = 0; t < T; t++) {
        Scalar **x = &w[0][tokens[t] * c->embedding];
        for (int l = 0; l < L; l++) {
            Scalar ***p = &w[1 + 4 * l];
            SpecLayer layer = {l ? C : c->embedding, C, p[0], p[1], p[2], p[3]};
            if (c->cell == CELL_RNN)
                spec_rnn(&layer, x, h + l * C);
            else if (c->cell == CELL_GRU)
                spec_gru(&layer, x, h + l * C);
            else
                spec_lstm(&layer, x, h + l * C, cell + l * C);
            x = h + l * C;
        }
        spec_decoder(V, C, w[last], w[last + 1], x, logits);
        loss = s_add(loss, spec_cross_entropy(V, logits, targets[t]));
    }
    return loss;
}

/* Exchanges two gates in all weights of the first layer. */
static void exchange_gates(Scalar ***w, const RnnConfig *config, int a, int b)
{
    int C = config->width;
    const int columns[] = {config->embedding, C, 1, 1};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < C * columns[i]; j++) {
            Scalar **gates = w[1 + i], *other = gates[a * C * columns[i] + j];
            gates[a * C * columns[i] + j] = gates[b * C * columns[i] + j];
            gates[b * C * columns[i] + j] = other;
        }
}

/* How far tensors are from the equations: the largest difference in the loss and in all
 * gradients, relative to the largest entry of each parameter. With two gates given, the
 * equations take one for the other. */
static double distance_to_spec(CellKind kind, int a, int b)
{
    Rnn *rnn = made_model(with_cell(narrow, kind));
    int V = rnn->config.vocabulary, params = rnn->model.params->count;
    Tape *tape = tape_new(TAPE_PROBE, 0);
    Ids *tokens = made_ids(tape, B, T, V, 7), *targets = made_ids(tape, B, T, V, 8);
    Tensor *loss = t_cross_entropy(model_logits(&rnn->model, tokens, NULL, 0), targets);
    backward(loss);

    Scalars *s = scalars_new();
    Scalar **w[MOST_PARAMS], **own[MOST_PARAMS], *sloss = s_new(s, 0);
    for (int i = 0; i < params; i++) {
        w[i] = verify_scalars(s, rnn->model.params->item[i].tensor);
        own[i] = s_array(s, t_size(rnn->model.params->item[i].tensor));
        memcpy(own[i], w[i],
               (size_t)t_size(rnn->model.params->item[i].tensor) * sizeof *w[i]);
    }
    if (a != b)
        exchange_gates(w, &rnn->config, a, b);
    for (int i = 0; i < B; i++)
        sloss = s_add(sloss,
                      loss_of_text(rnn, s, w, &tokens->at[i * T], &targets->at[i * T]));
    sloss = s_times(sloss, 1.0 / (B * T));
    s_backward(sloss);

    double apart = fabs((double)t_item(loss) - sloss->value) / sloss->value;
    for (int i = 0; i < params; i++) {
        const Tensor *x = rnn->model.params->item[i].tensor;
        double most = largest(t_grad(x), t_size(x));
        for (long j = 0; j < t_size(x); j++)
            apart = fmax(apart, fabs((double)t_grad(x)[j] - own[i][j]->grad) / most);
    }
    scalars_free(s);
    tape_free(tape);
    rnn->model.free(&rnn->model);
    return apart;
}

START_TEST(values_and_gradients_are_those_of_the_equations)
{
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++)
        ck_assert_double_lt(distance_to_spec(cell, 0, 0), 1e-5);
}
END_TEST

START_TEST(a_gate_taken_for_another_is_noticed)
{
    for (CellKind cell = CELL_GRU; cell <= CELL_LSTM; cell++)
        for (int a = 0; a < cell_gates(cell); a++)
            for (int b = 0; b < a; b++)
                ck_assert_double_gt(distance_to_spec(cell, a, b), 1e-2);
}
END_TEST

/* ---- What verify sees ---- */

START_TEST(verify_sees_a_planted_error_and_a_nan)
{
    ck_assert(freopen("/dev/null", "w", stdout) != NULL);
    ck_assert(compare_cells(0));
    ck_assert(!compare_cells(1e-3f));
    ck_assert(!compare_cells(NAN));
}
END_TEST

/* ---- Against itself ---- */

enum { LONG = 24 };

/* Logits of B texts read as pieces of the given length, the state carried on: (T, B, V), so
 * that positions come in the order of time. */
static void logits_in_pieces(const Rnn *rnn, const Ids *text, int piece, TapeUse use,
                             float *out)
{
    int N = text->shape[0], length = text->shape[1], V = rnn->config.vocabulary;
    Tape *tape = tape_new(use, 0);
    Memory *memory = rnn_memory_new(&rnn->model, N);
    for (int past = 0; past < length; past += piece) {
        int n = length - past < piece ? length - past : piece;
        tape_reset(tape, 0);
        Ids *ids = ids_new(tape, N, n);
        for (int b = 0; b < N; b++)
            memcpy(&ids->at[b * n], &text->at[b * length + past], (size_t)n * sizeof(int));
        Tensor *logits = model_logits(&rnn->model, ids, memory, past);
        for (int b = 0; b < N; b++)
            for (int t = 0; t < n; t++)
                memcpy(&out[((past + t) * N + b) * V], &logits->data[(b * n + t) * V],
                       (size_t)V * sizeof *out);
    }
    memory_free(memory);
    tape_free(tape);
}

START_TEST(a_carried_state_makes_pieces_of_a_text_equal_to_the_whole)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *text = made_ids(tape, 3, LONG, 13, 9);
    float whole[LONG * 3 * 13], pieces[LONG * 3 * 13];
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++) {
        Rnn *rnn = made_model(with_cell(two, cell));
        logits_in_pieces(rnn, text, LONG, TAPE_INFERENCE, whole);
        const int lengths[] = {1, 5, LONG / 2};
        for (int i = 0; i < 3; i++) {
            logits_in_pieces(rnn, text, lengths[i], TAPE_INFERENCE, pieces);
            assert_close(pieces, whole, LONG * 3 * 13, 1e-5, "decoded in pieces");
        }
        logits_in_pieces(rnn, text, LONG / 2, TAPE_TRAINING, pieces);
        assert_close(pieces, whole, LONG * 3 * 13, 1e-5, "carried while training");
        rnn->model.free(&rnn->model);
    }
    tape_free(tape);
}
END_TEST

START_TEST(a_text_that_begins_anew_has_forgotten_the_one_before)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *text = made_ids(tape, 1, 6, 13, 3), *other = made_ids(tape, 1, 9, 13, 4);
    Rnn *rnn = made_model(with_cell(two, CELL_LSTM));
    Memory *memory = rnn_memory_new(&rnn->model, 1);
    Tensor *first = model_logits(&rnn->model, text, memory, 0);
    model_logits(&rnn->model, other, memory, 6);
    Tensor *again = model_logits(&rnn->model, text, memory, 0);
    ck_assert_mem_eq(first->data, again->data, 6 * 13 * sizeof(float));
    Tensor *later = model_logits(&rnn->model, text, memory, 6);
    ck_assert_mem_ne(first->data, later->data, 6 * 13 * sizeof(float));
    memory_free(memory);
    rnn->model.free(&rnn->model);
    tape_free(tape);
}
END_TEST

START_TEST(a_future_token_cannot_change_a_past_logit)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Ids *text = made_ids(tape, 1, LONG, 13, 10);
    float before[LONG * 13], after[LONG * 13];
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++) {
        Rnn *rnn = made_model(with_cell(two, cell));
        logits_in_pieces(rnn, text, LONG, TAPE_INFERENCE, before);
        for (int t = 1; t < LONG; t += 5) {
            text->at[t] = (text->at[t] + 1) % 13;
            logits_in_pieces(rnn, text, LONG, TAPE_INFERENCE, after);
            ck_assert_mem_eq(before, after, (size_t)(t * 13) * sizeof *before);
            ck_assert_mem_ne(before + t * 13, after + t * 13, 13 * sizeof *before);
            memcpy(before, after, sizeof before);
        }
        rnn->model.free(&rnn->model);
    }
    tape_free(tape);
}
END_TEST

/* The gradient of the second piece's loss, with what the first left in the memory. */
static void second_gradient(Rnn *rnn, const float *state, float *gradient)
{
    Tape *tape = tape_new(TAPE_PROBE, 0);
    Memory *memory = rnn_memory_new(&rnn->model, 1);
    if (state)
        memcpy(memory_state(memory, 0)->data, state,
               (size_t)t_size(memory_state(memory, 0)) * sizeof *state);
    else
        model_logits(&rnn->model, made_ids(tape, 1, 6, 11, 1), memory, 0);
    Tensor *logits = model_logits(&rnn->model, made_ids(tape, 1, 6, 11, 2), memory, 6);
    backward(t_cross_entropy(logits, made_ids(tape, 1, 6, 11, 3)));
    Tensor *w = rnn->rnn.layer[0].weight_hh;
    memcpy(gradient, t_grad(w), (size_t)t_size(w) * sizeof *gradient);
    memset(t_grad(w), 0, (size_t)t_size(w) * sizeof *gradient);
    memory_free(memory);
    tape_free(tape);
}

START_TEST(gradients_end_where_the_memory_begins)
{
    Rnn *rnn = made_model(with_cell(one, CELL_LSTM));
    float carried[4 * 7 * 7], given[4 * 7 * 7], state[2 * 7];
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Memory *memory = rnn_memory_new(&rnn->model, 1);
    model_logits(&rnn->model, made_ids(tape, 1, 6, 11, 1), memory, 0);
    memcpy(state, memory_state(memory, 0)->data, sizeof state);
    second_gradient(rnn, NULL, carried);
    second_gradient(rnn, state, given);
    ck_assert_mem_eq(carried, given, sizeof carried);
    memory_free(memory);
    tape_free(tape);
    rnn->model.free(&rnn->model);
}
END_TEST

/* The sum of the logits on a tape for training; every step drops something else. */
static float summed_logits(RnnConfig config, TapeUse use, long step)
{
    Rnn *rnn = made_model(config);
    Tape *tape = tape_new(use, 5);
    tape_reset(tape, step);
    float sum = t_item(
        t_sum_all(model_logits(&rnn->model, made_ids(tape, 2, 9, 13, 6), NULL, 0)));
    tape_free(tape);
    rnn->model.free(&rnn->model);
    return sum;
}

START_TEST(dropout_works_between_layers_and_only_in_training)
{
    RnnConfig plain = with_cell(two, CELL_GRU), drops = plain;
    drops.dropout = 0.5;
    float want = summed_logits(plain, TAPE_PROBE, 0);
    ck_assert(summed_logits(drops, TAPE_PROBE, 0) == want);
    ck_assert(summed_logits(drops, TAPE_INFERENCE, 0) == want);
    ck_assert(summed_logits(drops, TAPE_TRAINING, 0) != want);
    ck_assert(summed_logits(drops, TAPE_TRAINING, 0) !=
              summed_logits(drops, TAPE_TRAINING, 1));
    plain.layers = drops.layers = 1;
    ck_assert(summed_logits(drops, TAPE_TRAINING, 0) ==
              summed_logits(plain, TAPE_TRAINING, 0));
}
END_TEST

START_TEST(an_lstm_may_begin_with_its_forget_gates_open)
{
    RnnConfig config = with_cell(two, CELL_LSTM);
    config.forget_bias = 1;
    Rnn *rnn = rnn_new(config, params_new(1));
    for (int l = 0; l < 2; l++)
        for (int j = 0; j < 4 * 19; j++) {
            float bias = rnn->rnn.layer[l].bias_hh->data[j];
            bool forget = j / 19 == 1;
            ck_assert(forget ? bias == 1 : fabsf(bias) < 0.23f);
        }
    rnn->model.free(&rnn->model);
}
END_TEST

/* ---- Training ---- */

#define SMALL "--width 32 --context 16 --batch 8 --eval-every 20 "

START_TEST(a_short_training_lowers_the_loss)
{
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++) {
        char output[8192];
        int status = run_command(output, sizeof output,
                                 PROGRAM " train " SMALL "--cell %s --steps 300 "
                                         "--eval-every 300 --lr 0.01 --out %s",
                                 cell_name(cell), scratch("run"));
        ck_assert_msg(status == 0, "%s", output);
        const char *best = strstr(output, "Best validation loss: ");
        ck_assert(best != NULL);
        double loss = strtod(best + strlen("Best validation loss: "), NULL);
        /* log 62 is 4.13, and knowing only how often letters are 3.3 */
        ck_assert_double_lt(loss, 2.5);
        ck_assert_double_gt(loss, 1.9);
    }
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++) {
        const char *run = PROGRAM
            " train --layers 2 --width 67 --embedding 33 --context 37 "
            "--batch 9 --dropout 0.2 --steps 4 --eval-every 2 ";
        assert_runs("%s --cell %s --threads 1 --out %s", run, cell_name(cell),
                    scratch("a"));
        assert_runs("%s --cell %s --threads 3 --out %s", run, cell_name(cell),
                    scratch("b"));
        assert_same_file(scratch("a/model.safetensors"), scratch("b/model.safetensors"));
        assert_same_log(scratch("a/log.csv"), scratch("b/log.csv"));
    }
}
END_TEST

/* The state that is carried from batch to batch is part of what is resumed. */
START_TEST(a_resumed_run_ends_with_the_same_bits)
{
    const char *run = PROGRAM " train " SMALL "--layers 2 --dropout 0.1 "
                              "--lr 0.003 --min-lr 0.003 --warmup 0 ";
    assert_runs("%s --steps 40 --out %s", run, scratch("whole"));
    assert_runs("%s --steps 20 --out %s", run, scratch("parts"));
    assert_runs("%s --steps 40 --resume --out %s", run, scratch("parts"));
    assert_same_file(scratch("parts/model.safetensors"),
                     scratch("whole/model.safetensors"));
    assert_same_log(scratch("parts/log.csv"), scratch("whole/log.csv"));
}
END_TEST

START_TEST(what_was_trained_can_be_measured_and_writes_on_and_on)
{
    char output[8192], again[8192];
    assert_runs(PROGRAM " train " SMALL "--cell gru --steps 40 --out %s", scratch("run"));
    int status = run_command(output, sizeof output,
                             PROGRAM " eval --load %s --data data/shakespeare.txt "
                                     "--split val",
                             scratch("run/model.safetensors"));
    ck_assert_msg(status == 0, "%s", output);
    assert_contains(output, "bits per character");
    const char *sample = PROGRAM " sample --load %s --prompt To --tokens 300";
    status = run_command(output, sizeof output, sample, scratch("run/model.safetensors"));
    ck_assert_msg(status == 0, "%s", output);
    ck_assert_int_eq(strlen(output), 2 + 300 + 1); /* 16 is the context */
    run_command(again, sizeof again, sample, scratch("run/model.safetensors"));
    ck_assert_str_eq(output, again);
}
END_TEST

START_TEST(verify_shows_all_cells_and_passes)
{
    char output[30000];
    ck_assert_int_eq(run_command(output, sizeof output, PROGRAM " verify"), 0);
    assert_contains(output, "rnn, ");
    assert_contains(output, "gru, ");
    assert_contains(output, "lstm, ");
    assert_contains(output, "rnn.weight_hh_l0[0]");
    assert_contains(output, "they agree");
    ck_assert(strstr(output, "DO NOT") == NULL);
}
END_TEST

/* In a text of one sentence, again and again, the places of a word differ by the sentence's
 * beginning and end alone, and the vectors of like places are nearest. */
START_TEST(elmo_compares_the_places_of_a_word)
{
    static const char *const lines[] = {"A rose is red.", "The sun rose, and we sang!"};
    char text[4096] = "", output[8192];
    for (int i = 0; i < 100; i++)
        strcat(strcat(text, lines[fixture_hash(1, (uint32_t)i) % 2]), "\n");
    write_bytes(scratch("text"), text, (long)strlen(text));
    int status = run_command(output, sizeof output,
                             PROGRAM " elmo --width 8 --prompt rose --data %s",
                             scratch("text"));
    ck_assert_msg(status == 0, "%s", output);
    assert_contains(output, "\"rose\" stands in 100 places.");
    const char *least = strstr(output, "least alike"), *nearest = strstr(output, "nearest");
    ck_assert(least && nearest && nearest > least);
    assert_contains(least, "a [rose] is red .");
    assert_contains(least, "the sun [rose] , and we");
    bool flower = strncmp(strchr(nearest, '[') - 2, "a ", 2) == 0;
    for (int i = 0; i < 5; i++) { /* the five that are nearest to the first */
        nearest = strchr(strchr(nearest, '\n') + 1, '[');
        ck_assert(strncmp(nearest - 2, flower ? "a " : "n ", 2) == 0);
    }
}
END_TEST

START_TEST(memory_leaves_two_pictures)
{
    char output[8192];
    int status = run_command(output, sizeof output, PROGRAM " memory --steps 2 --out %s",
                             scratch("memory"));
    ck_assert_msg(status == 0, "%s", output);
    assert_contains(output, "solved up to");
    ck_assert(file_exists(scratch("memory/recall.svg")));
    ck_assert(file_exists(scratch("memory/gradients.svg")));
}
END_TEST

/* Half a minute of work: what the chapter claims about the three cells. */
START_TEST(gates_recall_what_the_plain_network_cannot)
{
    char output[8192];
    if (!getenv("LINEAGE_SLOW"))
        return;
    int status = run_command(output, sizeof output, PROGRAM " memory --out %s",
                             scratch("memory"));
    ck_assert_msg(status == 0, "%s", output);
    long solved[CELLS];
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++) {
        const char *row = strstr(output, cell_name(cell)), *end = strchr(row, '\n');
        while (end[-1] != ' ')
            end--;
        solved[cell] = strtol(end, NULL, 10);
    }
    ck_assert_int_lt(solved[CELL_RNN], 10);
    ck_assert_int_ge(solved[CELL_LSTM], 20);
    ck_assert_int_ge(solved[CELL_GRU], 20);
}
END_TEST

/* ---- Bad input: one sentence, status 1 ---- */

#define assert_refused(sentence, ...) assert_refusal(PROGRAM, sentence, __VA_ARGS__)

START_TEST(bad_options_are_refused)
{
    assert_refused("--cell elman", "train --cell elman");
    assert_refused("--layers 0", "train --layers 0");
    assert_refused("--embedding -1", "train --embedding -1");
    assert_refused("unknown option --heads", "train --heads 3");
    assert_refused("--dropout 1", "train --dropout 1");
    assert_refused("memory, elmo, and --help", "forget");
    assert_refused("/dev/null/here", "memory --out /dev/null/here");
    assert_refused("\"hippopotamus\" is not twice in", "elmo --prompt hippopotamus");
    assert_refused("nowhere.txt: No such file", "elmo --data nowhere.txt");
    write_bytes(scratch("short"), "to be or not to be", 18);
    assert_refused("6 words are too few", "elmo --data %s", scratch("short"));
}
END_TEST

#define PROBE "probe --load %s --input %s --output %s "

START_TEST(weights_that_contradict_the_options_are_refused)
{
    const char *in = fixture_path(CELL_GRU, "two"), *w = scratch("w"),
               *out = scratch("out");
    Rnn *rnn = made_model(with_cell(two, CELL_GRU));
    write_weights(w, rnn, NULL, 0);
    assert_refused("are not those of --cell lstm", PROBE "--cell lstm", w, in, out);
    assert_refused("--width 20", PROBE "--width 20", w, in, out);
    assert_refused("--layers 1", PROBE "--layers 1", w, in, out);
    assert_refused("--embedding 19", PROBE "--embedding 19", w, in, out);
    assert_refused("has no tokenizer in its metadata", "sample --load %s", w);
    SafeMetadata lies = {"cell", "rnn"};
    write_weights(w, rnn, &lies, 1);
    assert_refused("are not those of --cell rnn", PROBE, w, in, out);
    rnn->model.params->count--;
    write_weights(w, rnn, NULL, 0);
    rnn->model.params->count++;
    assert_refused("it lacks decoder.bias", PROBE, w, in, out);
    ck_assert(!file_exists(out));
    rnn->model.free(&rnn->model);
}
END_TEST

SUITE("01-rnn", 180, verify_sees_a_planted_error_and_a_nan,
      probe_agrees_with_pytorch_in_every_logit_and_gradient,
      values_and_gradients_are_those_of_the_equations, a_gate_taken_for_another_is_noticed,
      a_carried_state_makes_pieces_of_a_text_equal_to_the_whole,
      a_text_that_begins_anew_has_forgotten_the_one_before,
      a_future_token_cannot_change_a_past_logit, gradients_end_where_the_memory_begins,
      dropout_works_between_layers_and_only_in_training,
      an_lstm_may_begin_with_its_forget_gates_open, a_short_training_lowers_the_loss,
      any_number_of_threads_gives_the_same_bits, a_resumed_run_ends_with_the_same_bits,
      what_was_trained_can_be_measured_and_writes_on_and_on,
      verify_shows_all_cells_and_passes, elmo_compares_the_places_of_a_word,
      memory_leaves_two_pictures, gates_recall_what_the_plain_network_cannot,
      bad_options_are_refused, weights_that_contradict_the_options_are_refused)
