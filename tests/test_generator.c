/* test_generator.c - that generation shows a model exactly the tokens and positions that it
 * should see. */
#include "run/generator.h"
#include "suite.h"

#include <string.h>

/* A model whose memory is a row of tokens, and whose logits tell what it was shown: after
 * the tokens x_0 .. x_n the next one is (1 + sum of (i + 1) x_i) modulo the vocabulary. A
 * token too many, too few or out of place gives another text. */
enum { WORDS = 23, LONGEST = 64 };
typedef struct {
    Model model;
    int held[LONGEST], shown[LONGEST];
    int calls, past, T; /* of the last call */
    int context;
    int heads; /* calls of the head */
} Parrot;

static Tensor *parrot_forward(const Model *model, const Ids *tokens, Memory *memory,
                              int past)
{
    Parrot *p = (Parrot *)model;
    int *held = p->held, T = tokens->shape[1];
    ck_assert_ptr_nonnull(memory);
    ck_assert_int_eq(tokens->rank, 2);
    ck_assert_int_eq(tokens->shape[0], 1);
    ck_assert_int_ge(T, 1);
    ck_assert_int_ge(past, 0);
    ck_assert_int_le(past + T, p->context);
    ck_assert(!tape_recording(tokens->tape));
    p->calls++;
    p->past = past;
    p->T = T;
    memcpy(p->shown, tokens->at, (size_t)T * sizeof(int));
    memcpy(held + past, tokens->at, (size_t)T * sizeof(int));

    Tensor *logits = t_zeros(tokens->tape, 1, T, WORDS);
    for (int t = 0; t < T; t++) {
        int sum = 1;
        for (int i = 0; i <= past + t; i++)
            sum += (i + 1) * held[i];
        logits->data[t * WORDS + sum % WORDS] = 5;
    }
    return logits;
}

/* Only what is wanted is asked for: the last position. */
static Tensor *parrot_head(const Model *model, Tensor *x)
{
    ((Parrot *)model)->heads++;
    ck_assert_int_eq(x->shape[1], 1);
    return t_contiguous(x);
}

static Memory *parrot_memory_new(const Model *model, int B)
{
    (void)model;
    ck_assert_int_eq(B, 1);
    return memory_new();
}

/* Of the words, only the first `tokens` may be picked. */
static Generator *generator_among(Parrot *parrot, int tokens, int context,
                                  double temperature)
{
    *parrot = (Parrot){.context = context};
    parrot->model = (Model){.vocabulary = WORDS,
                            .context = context,
                            .forward = parrot_forward,
                            .head = parrot_head,
                            .memory_new = parrot_memory_new};
    return generator_new(&parrot->model, tokens, (SamplerSettings){temperature, 0, 1}, 1);
}

static Generator *generator_of(Parrot *parrot, int context, double temperature)
{
    return generator_among(parrot, WORDS, context, temperature);
}

/* The same rule once more, for the tokens that the model should have in view. */
static int expected_next(const int *view, int n)
{
    int sum = 1;
    for (int i = 0; i < n; i++)
        sum += (i + 1) * view[i];
    return sum % WORDS;
}

static void assert_last_call(const Parrot *p, int past, int T, const int *shown)
{
    ck_assert_int_eq(p->past, past);
    ck_assert_int_eq(p->T, T);
    for (int i = 0; i < T; i++)
        ck_assert_int_eq(p->shown[i], shown[i]);
}

START_TEST(only_newcomers_are_shown_while_there_is_room)
{
    Parrot parrot;
    Generator *g = generator_of(&parrot, 16, 0);
    const int prompt[] = {3, 1, 4}, more[] = {1, 5};
    generator_read(g, prompt, 3);
    assert_last_call(&parrot, 0, 3, prompt);
    generator_read(g, more, 2);
    assert_last_call(&parrot, 3, 2, more);

    int view[16] = {3, 1, 4, 1, 5};
    for (int n = 5; n < 16; n++) {
        int expected = expected_next(view, n);
        view[n] = generator_next(g);
        ck_assert_int_eq(view[n], expected);
        assert_last_call(&parrot, n, 1, view + n);
    }
    ck_assert_int_eq(parrot.heads, parrot.calls);
    generator_free(g);
}
END_TEST

/* The text may fill the context to the last place before anything is forgotten. The views
 * after that: the last half of the context, newcomers included, from position 0. */
static void assert_generates(int context, int prompt, int tokens)
{
    Parrot parrot;
    Generator *g = generator_of(&parrot, context, 0);
    int text[256], half = context > 1 ? context / 2 : 1, in_view = prompt;
    for (int i = 0; i < prompt; i++)
        text[i] = (7 * i + 2) % WORDS;
    generator_read(g, text, prompt);
    if (prompt > context)
        in_view = half;
    assert_last_call(&parrot, 0, in_view, text + prompt - in_view);
    for (int n = prompt; n < prompt + tokens; n++) {
        text[n] = generator_next(g);
        ck_assert_int_eq(text[n], expected_next(text + n - in_view, in_view));
        if (in_view + 1 > context) {
            in_view = half;
            assert_last_call(&parrot, 0, half, text + n + 1 - half);
        } else {
            in_view++;
            assert_last_call(&parrot, in_view - 1, 1, text + n);
        }
        ck_assert_int_eq(parrot.calls, n - prompt + 2);
    }
    generator_free(g);
}

START_TEST(beyond_the_context_the_last_half_is_read_again)
{
    assert_generates(8, 3, 60);
    assert_generates(9, 1, 60);
    assert_generates(8, 8, 20);
}
END_TEST

START_TEST(of_a_prompt_beyond_the_context_the_last_half_is_read)
{
    assert_generates(8, 9, 20);
    assert_generates(8, 50, 20);
    assert_generates(7, 23, 20);
}
END_TEST

START_TEST(contexts_of_one_and_two_work)
{
    assert_generates(1, 1, 20);
    assert_generates(1, 5, 20);
    assert_generates(2, 1, 20);
    assert_generates(2, 2, 20);
    assert_generates(2, 7, 20);
    assert_generates(3, 3, 20);
}
END_TEST

START_TEST(an_overflow_in_the_midst_of_reading_keeps_what_still_counts)
{
    Parrot parrot;
    Generator *g = generator_of(&parrot, 10, 0);
    int text[40];
    for (int i = 0; i < 40; i++)
        text[i] = (5 * i + 3) % WORDS;
    generator_read(g, text, 8);
    generator_read(g, text + 8, 3); /* 11 > 10: the last 5 of them all */
    assert_last_call(&parrot, 0, 5, text + 6);
    generator_read(g, text + 11, 5); /* 10: just fits */
    assert_last_call(&parrot, 5, 5, text + 11);
    generator_read(g, text + 16, 20); /* nothing of what was before is left */
    assert_last_call(&parrot, 0, 5, text + 31);
    generator_read(g, text + 36, 4);
    assert_last_call(&parrot, 5, 4, text + 36);
    generator_free(g);
}
END_TEST

static void generate(Generator *g, int *text, int n)
{
    const int prompt[] = {2, 7};
    generator_read(g, prompt, 2);
    for (int i = 0; i < n; i++)
        text[i] = generator_next(g);
}

START_TEST(a_model_without_end_reads_on)
{
    Parrot parrot;
    Generator *g = generator_of(&parrot, 0, 0);
    parrot.context = LONGEST;
    int text[LONGEST] = {3, 1, 4};
    generator_read(g, text, 3);
    assert_last_call(&parrot, 0, 3, text);
    for (int n = 3; n < LONGEST; n++) {
        int expected = expected_next(text, n);
        text[n] = generator_next(g);
        ck_assert_int_eq(text[n], expected);
        assert_last_call(&parrot, n, 1, text + n);
    }
    generator_restart(g, 1);
    generator_read(g, text, 2);
    assert_last_call(&parrot, 0, 2, text);
    generator_free(g);
}
END_TEST

START_TEST(a_restart_with_the_same_seed_repeats_the_text)
{
    enum { N = 40 };
    int first[N], again[N], other[N], fresh[N];
    Parrot parrot, second;
    Generator *g = generator_of(&parrot, 12, 1), *h = generator_of(&second, 12, 1);
    generate(g, first, N);
    generator_restart(g, 1);
    generate(g, again, N);
    generator_restart(g, 2);
    generate(g, other, N);
    generate(h, fresh, N);
    ck_assert_mem_eq(first, again, sizeof first);
    ck_assert_mem_eq(first, fresh, sizeof first);
    ck_assert(memcmp(first, other, sizeof first) != 0);
    generator_free(g);
    generator_free(h);
    generator_free(NULL);
}
END_TEST

START_TEST(each_token_has_a_draw_of_its_own)
{
    Parrot parrot;
    Generator *g = generator_of(&parrot, 12, 1e9); /* all words equally likely */
    int text[2000], count[WORDS] = {0}, repeats = 0;
    generate(g, text, 2000);
    for (int i = 0; i < 2000; i++) {
        count[text[i]]++;
        repeats += i > 0 && text[i] == text[i - 1];
    }
    for (int w = 0; w < WORDS; w++) /* 87 each */
        ck_assert_msg(count[w] > 40 && count[w] < 134, "word %d: %d", w, count[w]);
    ck_assert_int_lt(repeats, 134);
    generator_free(g);
}
END_TEST

/* An embedding may have more rows than there are tokens. */
START_TEST(tokens_that_do_not_exist_are_never_picked)
{
    Parrot parrot;
    Generator *g = generator_among(&parrot, 9, 12, 1e9);
    int text[500], count[WORDS] = {0};
    generate(g, text, 500);
    for (int i = 0; i < 500; i++)
        count[text[i]]++;
    for (int w = 0; w < WORDS; w++)
        ck_assert_int_eq(count[w] > 0, w < 9);
    generator_free(g);
}
END_TEST

SUITE("generator", 10, only_newcomers_are_shown_while_there_is_room,
      beyond_the_context_the_last_half_is_read_again,
      of_a_prompt_beyond_the_context_the_last_half_is_read, contexts_of_one_and_two_work,
      an_overflow_in_the_midst_of_reading_keeps_what_still_counts,
      a_model_without_end_reads_on, a_restart_with_the_same_seed_repeats_the_text,
      each_token_has_a_draw_of_its_own, tokens_that_do_not_exist_are_never_picked)
