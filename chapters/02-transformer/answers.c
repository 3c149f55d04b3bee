/* answers.c - what a trained model says, and how right it is. */
#include "answers.h"
#include "text/dictionary_batches.h"
#include "base/files.h"
#include "plot/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOGETHER = 32 /* words in a batch */, SHOWN = 3 /* guesses */ };

double split_loss(const Speaker *s, const Dictionary *d, Split split, long *symbols)
{
    double sum = 0;
    *symbols = 0;
    for (long i = 0; i < d->pairs[split]; i += 4 * TOGETHER) {
        long left = d->pairs[split] - i, count = 0;
        tape_reset(s->tape, 0);
        Batch batch = dictionary_batch_of(s->tape, &d->pair[split][i],
                                          left < 4 * TOGETHER ? (int)left : 4 * TOGETHER);
        Encoded encoded = transformer_encode(s->model, batch.source);
        Tensor *logits = transformer_decode(s->model, &encoded, batch.target, NULL, 0);
        for (long j = 0; j < batch.targets->size; j++)
            count += batch.targets->at[j] >= 0;
        sum += (double)count * (double)t_item(t_cross_entropy(logits, batch.targets));
        *symbols += count;
    }
    return *symbols ? sum / (double)*symbols : NAN;
}

/* What the model says to n words: guesses (n, width). */
static void ask(const Speaker *s, const Pair *pair, int n, Guess *guess)
{
    tape_reset(s->tape, 0);
    beam_search(s->model, dictionary_letters(s->tape, pair, n), s->width, s->penalty,
                guess);
}

/* ---- How right it is ---- */

/* Puts a mistake among those of which the model was surest. */
static void note_mistake(Mistake *mistake, int room, Mistake new)
{
    for (int i = 0; i < room; i++)
        if (!mistake[i].word || new.guess.score > mistake[i].guess.score) {
            Mistake weaker = mistake[i];
            mistake[i] = new;
            if (!weaker.word)
                return;
            new = weaker;
        }
}

/* The words of a split, each once, every `every`th of them; returns how many. */
static long pick_words(const Dictionary *d, Split split, long every, Pair *picked)
{
    long words = 0, count = 0;
    for (long i = 0; i < d->pairs[split]; i++) {
        const Pair *pair = &d->pair[split][i];
        if (pair->pronunciation == pair->word->pronunciation && words++ % every == 0)
            picked[count++] = *pair;
    }
    return count;
}

Score split_score(const Speaker *s, const Dictionary *d, Split split, long most,
                  Mistake *mistake, int room)
{
    Score score = {0};
    long pairs = d->pairs[split], every = pairs > most ? (pairs + most - 1) / most : 1;
    Pair *picked = allocate((size_t)pairs, sizeof *picked);
    Guess *guess = allocate((size_t)TOGETHER * (size_t)s->width, sizeof *guess);
    long count = pick_words(d, split, every, picked);
    for (long i = 0; i < count; i += TOGETHER) {
        int n = count - i < TOGETHER ? (int)(count - i) : TOGETHER;
        ask(s, picked + i, n, guess);
        for (int j = 0; j < n; j++) {
            const Word *word = picked[i + j].word;
            const Guess *best = &guess[j * s->width];
            long wrong = score.wrong;
            score_add(&score, word, &best->said);
            if (score.wrong > wrong)
                note_mistake(mistake, room, (Mistake){word, *best});
        }
    }
    free(picked);
    free(guess);
    return score;
}

void print_score(const Score *score)
{
    printf("PER %.2f%%, WER %.2f%%", 100.0 * (double)score->edits / (double)score->symbols,
           100.0 * (double)score->wrong / (double)score->words);
}

static void print_letters(const Sequence *letters)
{
    for (int i = 0; i < letters->length; i++)
        putchar(letter_of(letters->at[i]));
}

void print_mistakes(const Speaker *s, const Mistake *mistake, int room)
{
    char said[NAMES_BYTES], right[NAMES_BYTES];
    if (room > 0 && mistake[0].word)
        printf("\nwrong, and surest of being right:\n");
    for (int i = 0; i < room && mistake[i].word; i++) {
        const Word *word = mistake[i].word;
        const Sequence *answer = &mistake[i].guess.said;
        alphabet_spell(s->alphabet, answer, said);
        alphabet_spell(s->alphabet, nearest_pronunciation(word, answer), right);
        print_letters(&word->letters);
        printf("%*s it says %-28s it is %s\n", 16 - word->letters.length, "", said, right);
    }
}

/* ---- Saying ---- */

/* lineage    62.3%  L IH N IY IH JH
 *            10.1%  L AY N IH JH     */
static void print_guesses(const Speaker *s, const Word *word, const Guess *guess)
{
    int letters = word->letters.length;
    print_letters(&word->letters);
    for (int i = 0; i < s->width && i < SHOWN && isfinite(guess[i].score); i++) {
        char said[NAMES_BYTES];
        double penalty = pow((5 + guess[i].said.length + 1) / 6.0, s->penalty);
        alphabet_spell(s->alphabet, &guess[i].said, said);
        printf("%*s %5.1f%%  %s\n", i ? 16 : 16 - letters, "",
               100 * exp(guess[i].score * penalty), said);
    }
}

/* The next word of a text, as a pair without a pronunciation; its length, 0 at the end. */
static int next_word(const char **text, Word *word, Error *error)
{
    const char *from = *text + strspn(*text, " \t\n");
    int length = (int)strcspn(from, " \t\n");
    *text = from + length;
    *word = (Word){.pronunciation = NULL};
    return length == 0 || letters_read(from, length, &word->letters, error) ? length : -1;
}

bool say_words(const Speaker *s, const char *text, Error *error)
{
    Guess *guess = allocate((size_t)s->width, sizeof *guess);
    Word word;
    int length;
    while ((length = next_word(&text, &word, error)) > 0) {
        ask(s, &(Pair){&word, NULL}, 1, guess);
        print_guesses(s, &word, guess);
    }
    free(guess);
    return length == 0;
}

/* ---- Attention ---- */

/* One layer's weights (1, H, T, S), the mean of its heads, as a picture. */
static bool draw_layer(const Speaker *s, const Word *word, const Sequence *said,
                       Tensor *weights, const char *path, Error *error)
{
    int T = weights->shape[2], S = weights->shape[3];
    char letter[S][2];
    const char *row[T], *column[S];
    for (int t = 0; t < T; t++)
        row[t] = t < said->length ? s->alphabet->name[said->at[t]] : "end";
    for (int i = 0; i < S; i++) {
        letter[i][0] = letter_of(word->letters.at[i]);
        letter[i][1] = 0;
        column[i] = letter[i];
    }
    HeatMap map = {.title = "Attention of the decoder to the letters",
                   .x_label = "letters of the word",
                   .y_label = "what it is about to say",
                   .rows = T,
                   .columns = S,
                   .values = t_mean(weights, 1)->data,
                   .row_names = row,
                   .column_names = column,
                   .most = 1};
    return plot_heat_map(path, &map, error);
}

static bool draw_layers(const Speaker *s, const Word *word, const Sequence *said,
                        const char *folder, Error *error)
{
    Tape *tape = tape_new(TAPE_PROBE, 0);
    Batch batch = dictionary_batch_of(tape, &(Pair){word, said}, 1);
    Encoded encoded = transformer_encode(s->model, batch.source);
    transformer_decode(s->model, &encoded, batch.target, NULL, 0);
    bool drawn = true;
    for (int l = 0; drawn && l < s->model->config.decoder_layers; l++) {
        char path[1200];
        snprintf(path, sizeof path, "%s/attention-%d.svg", folder, l);
        drawn = draw_layer(s, word, said, tape_labelled(tape, "cross", l), path, error);
        if (drawn)
            printf("%s\n", path);
    }
    tape_free(tape);
    return drawn;
}

bool draw_attention(const Speaker *s, const char *word, const char *folder, Error *error)
{
    Word asked;
    if (next_word(&word, &asked, error) < 1 || !folder_make(folder, error))
        return false;
    Guess *guess = allocate((size_t)s->width, sizeof *guess);
    ask(s, &(Pair){&asked, NULL}, 1, guess);
    bool drawn = draw_layers(s, &asked, &guess->said, folder, error);
    free(guess);
    return drawn;
}
