/* test_dictionary.c - words and how they are spoken: the file, the splits, the measure, and
 * the batches. */
#include "base/files.h"
#include "suite.h"
#include "text/dictionary_batches.h"

#include <string.h>

START_TEST(a_word_always_falls_into_the_same_split)
{
    const struct {
        const char *word;
        Split split;
    } known[] = {{"a", TRAIN}, {"attention", TRAIN}, {"transformer", VAL}};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(dictionary_split(known[i].word, (int)strlen(known[i].word)),
                         known[i].split);

    Error error;
    Dictionary *d = dictionary_read("data/cmudict.tsv", false, NULL, &error);
    ck_assert_msg(d != NULL, "%s", error.text);
    long words[SPLITS] = {0};
    for (long i = 0; i < d->words; i++)
        words[d->word[i].split]++;
    ck_assert_int_eq(words[TRAIN], 112397);
    ck_assert_int_eq(words[VAL], 6320);
    ck_assert_int_eq(words[TEST], 6203);
    ck_assert_int_eq(d->alphabet.count, FIRST_NAMED + 39);
    dictionary_free(d);
}
END_TEST

static Dictionary *dictionary_of(const char *text, bool stress)
{
    Error error;
    write_bytes(scratch("d"), text, (long)strlen(text));
    Dictionary *d = dictionary_read(scratch("d"), stress, NULL, &error);
    ck_assert_msg(d != NULL, "%s", error.text);
    return d;
}

static const char small[] = "read\tR EH1 D\tR IY1 D\n"
                            "record\tR AH0 K AO1 R D\tR EH1 K ER0 D\tR IH0 K AO1 R D\n"
                            "subject\tS AH0 B JH EH1 K T\tS AH1 B JH EH0 K T\n";

START_TEST(every_pronunciation_is_read_and_stress_is_kept_or_dropped)
{
    Dictionary *with = dictionary_of(small, true), *without = dictionary_of(small, false);
    ck_assert_int_eq(with->words, 3);
    ck_assert_int_eq(with->pronunciations, 7);
    ck_assert_int_eq(with->word[2].pronunciations, 2);
    ck_assert_int_eq(without->words, 3);
    ck_assert_int_eq(without->pronunciations,
                     6); /* without stress, the two subjects are one */
    ck_assert_int_eq(without->word[2].pronunciations, 1);
    char *names = alphabet_names(&without->alphabet);
    ck_assert_str_eq(names, "AH AO B D EH ER IH IY JH K R S T");
    free(names);
    names = alphabet_names(&with->alphabet);
    ck_assert_str_eq(names, "AH0 AH1 AO1 B D EH0 EH1 ER0 IH0 IY1 JH K R S T");
    Alphabet again;
    Error error;
    ck_assert(alphabet_read(&again, names, &error));
    ck_assert_int_eq(again.count, with->alphabet.count);
    ck_assert_mem_eq(again.name[FIRST_NAMED], with->alphabet.name[FIRST_NAMED],
                     (size_t)(again.count - FIRST_NAMED) * sizeof again.name[0]);
    free(names);
    dictionary_free(with);
    dictionary_free(without);
}
END_TEST

START_TEST(the_nearest_pronunciation_counts)
{
    Dictionary *d = dictionary_of(small, false);
    const Word *record = &d->word[1];
    Score score = {0};
    Sequence said = record->pronunciation[1];
    score_add(&score, record, &said);
    ck_assert(score.edits == 0 && score.symbols == 5 && score.wrong == 0);
    said.length--;
    score_add(&score, record, &said);
    ck_assert(score.edits == 1 && score.symbols == 10 && score.wrong == 1);
    ck_assert_int_eq(score.words, 2);
    ck_assert_ptr_eq(nearest_pronunciation(record, &said), &record->pronunciation[1]);
    dictionary_free(d);
}
END_TEST

START_TEST(what_is_no_dictionary_is_refused)
{
    const struct {
        const char *text, *sentence;
    } bad[] = {
        {"To be, or not to be\n",
         "d: line 1: a word, a tab and how it is spoken are wanted"},
        {"a\tAH0\n\nb\tB IY1\n", "line 2: a word, a tab"},
        {"a\tAH0\na.m.\tEY2 EH1 M\n", "line 2: \"a.m.\" is written with more than letters"},
        {"\tAH0\n", "line 1: a word has 1 to 47 letters, not 0"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\tAH0\n", "not 48"},
        {"a\t\n", "line 1: \"a\" has no pronunciation"},
        {"a\t \n", "line 1: a pronunciation is empty"},
        {"a\tAH0 LONG\n", "line 1: \"LONG\" is too long for a symbol"},
        {"a\tA A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A "
         "A "
         "A A A A A A A A A A A\n",
         "line 1: a pronunciation has more than 47 symbols"},
    };
    Error error;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_bytes(scratch("d"), bad[i].text, (long)strlen(bad[i].text));
        ck_assert(dictionary_read(scratch("d"), true, NULL, &error) == NULL);
        assert_contains(error.text, bad[i].sentence);
    }
    write_bytes(scratch("d"), "a\tAH0\nb\0\tB\n", 11);
    ck_assert(dictionary_read(scratch("d"), true, NULL, &error) == NULL);
    assert_contains(error.text, "zero byte at offset 7");
    ck_assert(dictionary_read(scratch("nowhere"), true, NULL, &error) == NULL);
    assert_contains(error.text, "No such file");
    Alphabet known;
    ck_assert(alphabet_read(&known, "AH R", &error));
    write_bytes(scratch("d"), small, (long)strlen(small));
    ck_assert(dictionary_read(scratch("d"), false, &known, &error) == NULL);
    assert_contains(error.text, "line 1: the model knows no symbol EH");
}
END_TEST

/* ---- Batches ---- */

START_TEST(every_pair_comes_once_in_a_pass_beside_others_of_its_length)
{
    enum { B = 64 };
    Dictionary *d = dictionary_of_reversals();
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    long n = d->pairs[TRAIN], steps = (n + B - 1) / B, rows = 0, letters = 0, padding = 0;
    uint64_t seen = 0, wanted = 0;
    for (long i = 0; i < n; i++) {
        const Sequence *s = &d->pair[TRAIN][i].word->letters;
        uint64_t word = 0;
        for (int j = 0; j < s->length; j++)
            word = word * 31 + s->at[j];
        wanted += word * word;
    }
    for (long step = steps; step < 2 * steps; step++) { /* the second pass */
        tape_reset(tape, 0);
        Batch batch = dictionary_batch(d, tape, 5, step, B);
        int S = batch.source->shape[1], T = batch.target->shape[1];
        for (int b = 0; b < batch.source->shape[0]; b++, rows++) {
            const int *source = batch.source->at + b * S,
                      *target = batch.target->at + b * T;
            const int *next = batch.targets->at + b * T;
            int length = 0;
            uint64_t word = 0;
            for (; length < S && source[length]; length++)
                word = word * 31 + (uint64_t)source[length];
            seen += word * word;
            letters += length;
            padding += S - length;
            ck_assert_int_eq(target[0], BEGIN);
            ck_assert_int_eq(next[length], END);
            for (int t = 0; t < T; t++) {
                int said = t < length ? source[length - 1 - t] + 1 : 0; /* a is 2 and 3 */
                ck_assert_int_eq(next[t], t < length ? said : t == length ? END : -1);
                ck_assert_int_eq(t + 1 < T ? target[t + 1] : 0, said);
            }
        }
    }
    ck_assert_int_eq(rows, n);
    ck_assert(seen == wanted);
    ck_assert_int_lt(padding, letters / 100);
    tape_free(tape);
    dictionary_free(d);
}
END_TEST

START_TEST(batches_depend_on_the_seed_and_the_step_alone)
{
    Dictionary *a = dictionary_of_reversals(), *b = dictionary_of_reversals(),
               *other = dictionary_of_reversals();
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    dictionary_batch(a, tape, 5, 1234, 32); /* another pass in between changes nothing */
    int differ = 0;
    for (long step = 0; step < 20; step++) {
        Ids *x = dictionary_batch(a, tape, 5, step, 32).source;
        Ids *y = dictionary_batch(b, tape, 5, step, 32).source;
        Ids *z = dictionary_batch(other, tape, 6, step, 32).source;
        ck_assert_int_eq(x->size, y->size);
        ck_assert_mem_eq(x->at, y->at, (size_t)x->size * sizeof *x->at);
        differ += x->size != z->size ||
                  memcmp(x->at, z->at, (size_t)x->size * sizeof *x->at) != 0;
    }
    ck_assert_int_eq(differ, 20);
    tape_free(tape);
    dictionary_free(a), dictionary_free(b), dictionary_free(other);
}
END_TEST

SUITE("dictionary", 30, a_word_always_falls_into_the_same_split,
      every_pronunciation_is_read_and_stress_is_kept_or_dropped,
      the_nearest_pronunciation_counts, what_is_no_dictionary_is_refused,
      every_pair_comes_once_in_a_pass_beside_others_of_its_length,
      batches_depend_on_the_seed_and_the_step_alone)
