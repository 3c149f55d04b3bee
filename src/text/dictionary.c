/* dictionary.c - words, how they are spoken, and what a model says. */
#include "text/dictionary.h"
#include "base/distance.h"
#include "base/files.h"
#include "base/random.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- Symbols ---- */

bool letters_read(const char *word, int length, Sequence *letters, Error *error)
{
    if (length < 1 || length > LONGEST)
        return fail(error, "a word has 1 to %d letters, not %d", LONGEST, length);
    letters->length = length;
    for (int i = 0; i < length; i++) {
        int c = tolower((unsigned char)word[i]);
        if (c != '\'' && (c < 'a' || c > 'z'))
            return fail(error, "\"%.*s\" is written with more than letters and apostrophes",
                        length, word);
        letters->at[i] = (unsigned char)(c == '\'' ? 1 : 2 + c - 'a');
    }
    return true;
}

char letter_of(int symbol)
{
    return symbol == 1 ? '\'' : (char)('a' + symbol - 2);
}

static int compare_names(const void *a, const void *b)
{
    return strncmp(a, b, 4);
}

/* The symbol of that name, or 0. Those that have names are in order. */
static int symbol_of(const Alphabet *alphabet, const char *name)
{
    const char(*found)[4] = bsearch(name, alphabet->name + FIRST_NAMED,
                                    (size_t)(alphabet->count - FIRST_NAMED), sizeof *found,
                                    compare_names);
    return found ? (int)(found - alphabet->name) : 0;
}

static bool add_name(Alphabet *alphabet, const char *name, Error *error)
{
    if (symbol_of(alphabet, name))
        return true;
    if (alphabet->count == (int)(sizeof alphabet->name / sizeof alphabet->name[0]))
        return fail(error, "there are more than %d different symbols",
                    alphabet->count - FIRST_NAMED);
    strcpy(alphabet->name[alphabet->count++], name);
    qsort(alphabet->name + FIRST_NAMED, (size_t)(alphabet->count - FIRST_NAMED),
          sizeof alphabet->name[0], compare_names);
    return true;
}

/* The next name in a text of names with blanks between them. Its length as it stands there,
 * 0 at the end, -1 with a sentence if it can be no name. */
static int next_name(const char **text, bool stress, char name[4], Error *error)
{
    const char *from = *text + strspn(*text, " \t\r");
    int length = (int)strcspn(from, " \t\r");
    *text = from + length;
    if (length > 3) {
        fail(error, "\"%.*s\" is too long for a symbol", length < 40 ? length : 40, from);
        return -1;
    }
    snprintf(name, 4, "%.*s", length, from);
    if (!stress && length > 1 && isdigit((unsigned char)name[length - 1]))
        name[length - 1] = 0;
    return length;
}

/* Adds all names of a text. */
static bool add_names(Alphabet *alphabet, const char *text, bool stress, Error *error)
{
    char name[4];
    int length;
    while ((length = next_name(&text, stress, name, error)) > 0)
        if (!add_name(alphabet, name, error))
            return false;
    return length == 0;
}

char *alphabet_names(const Alphabet *alphabet)
{
    char *names = allocate((size_t)alphabet->count, 4);
    for (int i = FIRST_NAMED; i < alphabet->count; i++) {
        if (i > FIRST_NAMED)
            strcat(names, " ");
        strcat(names, alphabet->name[i]);
    }
    return names;
}

bool alphabet_read(Alphabet *alphabet, const char *names, Error *error)
{
    *alphabet = (Alphabet){.count = FIRST_NAMED};
    return add_names(alphabet, names, true, error);
}

void alphabet_spell(const Alphabet *alphabet, const Sequence *spoken,
                    char text[NAMES_BYTES])
{
    int length = 0;
    *text = 0;
    for (int i = 0; i < spoken->length; i++)
        length += sprintf(text + length, i ? " %s" : "%s", alphabet->name[spoken->at[i]]);
}

/* ---- Words ---- */

Split dictionary_split(const char *word, int length)
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)word[i]) * 16777619u;
    return hash % 100 < 90 ? TRAIN : hash % 100 < 95 ? VAL : TEST;
}

static int distance(const Sequence *a, const Sequence *b)
{
    return edit_distance(a->at, a->length, b->at, b->length);
}

/* Adds a pronunciation to the word, unless it is there; without stress, some differ in nothing. */
static bool add_pronunciation(Dictionary *d, Word *word, const char *text, bool stress,
                              Error *error)
{
    Sequence *pronunciation = &d->pronunciation[d->pronunciations];
    char name[4];
    int length;
    while ((length = next_name(&text, stress, name, error)) > 0) {
        int symbol = symbol_of(&d->alphabet, name);
        if (!symbol)
            return fail(error, "the model knows no symbol %s", name);
        if (pronunciation->length == LONGEST)
            return fail(error, "a pronunciation has more than %d symbols", LONGEST);
        pronunciation->at[pronunciation->length++] = (unsigned char)symbol;
    }
    if (length < 0)
        return false;
    if (pronunciation->length == 0)
        return fail(error, "a pronunciation is empty");
    for (int i = 0; i < word->pronunciations; i++)
        if (distance(&word->pronunciation[i], pronunciation) == 0) {
            *pronunciation = (Sequence){0};
            return true;
        }
    word->pronunciations++;
    d->pronunciations++;
    return true;
}

/* Adds a word with the pronunciations that follow it, each ended by a tab or by the end. */
static bool add_word(Dictionary *d, const char *line, char *pronunciations, bool stress,
                     Error *error)
{
    Word *word = &d->word[d->words];
    int length = (int)strlen(line);
    *word = (Word){.pronunciation = &d->pronunciation[d->pronunciations],
                   .split = dictionary_split(line, length)};
    if (!letters_read(line, length, &word->letters, error))
        return false;
    char *after;
    for (char *pronunciation = strtok_r(pronunciations, "\t", &after); pronunciation;
         pronunciation = strtok_r(NULL, "\t", &after))
        if (!add_pronunciation(d, word, pronunciation, stress, error))
            return false;
    if (word->pronunciations == 0)
        return fail(error, "\"%s\" has no pronunciation", line);
    d->words++;
    d->pairs[word->split] += word->pronunciations;
    return true;
}

/* ---- The dictionary ---- */

static Dictionary *dictionary_new(long most_words, long most_pronunciations)
{
    Dictionary *d = allocate(1, sizeof *d);
    d->alphabet.count = FIRST_NAMED;
    d->word = allocate((size_t)most_words, sizeof *d->word);
    d->pronunciation = allocate((size_t)most_pronunciations, sizeof *d->pronunciation);
    d->pass = -1;
    return d;
}

void dictionary_free(Dictionary *d)
{
    if (!d)
        return;
    for (int s = 0; s < SPLITS; s++)
        free(d->pair[s]);
    free(d->word);
    free(d->pronunciation);
    free(d->order);
    free(d->turn);
    free(d);
}

static int compare_pairs(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    int letters = x->word->letters.length - y->word->letters.length;
    int symbols = x->pronunciation->length - y->pronunciation->length;
    return letters   ? letters
           : symbols ? symbols
                     : (x->pronunciation > y->pronunciation) -
                           (x->pronunciation < y->pronunciation);
}

/* When all words are there. */
static void make_pairs(Dictionary *d)
{
    long count[SPLITS] = {0};
    for (int s = 0; s < SPLITS; s++)
        d->pair[s] = allocate((size_t)d->pairs[s], sizeof *d->pair[s]);
    for (long i = 0; i < d->words; i++) {
        const Word *word = &d->word[i];
        for (int w = 0; w < word->pronunciations; w++)
            d->pair[word->split][count[word->split]++] = (Pair){word,
                                                                &word->pronunciation[w]};
    }
    for (int s = 0; s < SPLITS; s++)
        qsort(d->pair[s], (size_t)d->pairs[s], sizeof *d->pair[s], compare_pairs);
    d->order = allocate((size_t)d->pairs[TRAIN], sizeof *d->order);
    d->turn = allocate((size_t)d->pairs[TRAIN], sizeof *d->turn);
}

typedef struct {
    char *word, *pronunciations;
} Line;

/* Cuts a text into lines, and each at its first tab. NULL with a sentence if one has none;
 * the caller frees them. */
static Line *cut_lines(char *text, long *lines, Error *error)
{
    *lines = 0;
    for (const char *c = text; *c; c++)
        *lines += *c == '\n';
    Line *line = allocate((size_t)*lines + 1, sizeof *line);
    for (*lines = 0; *text; (*lines)++) {
        size_t length = strcspn(text, "\n");
        char *next = text + length + (text[length] == '\n');
        text[length] = 0;
        line[*lines] = (Line){text, strchr(text, '\t')};
        if (!line[*lines].pronunciations) {
            fail(error, "line %ld: a word, a tab and how it is spoken are wanted",
                 *lines + 1);
            free(line);
            return NULL;
        }
        *line[*lines].pronunciations++ = 0;
        text = next;
    }
    return line;
}

static bool read_lines(Dictionary *d, const Line *line, long lines, bool stress,
                       const Alphabet *known, Error *error)
{
    if (known)
        d->alphabet = *known;
    for (long i = 0; i < lines && !known; i++)
        if (!add_names(&d->alphabet, line[i].pronunciations, stress, error))
            return fail_within(error, "line %ld", i + 1);
    for (long i = 0; i < lines; i++)
        if (!add_word(d, line[i].word, line[i].pronunciations, stress, error))
            return fail_within(error, "line %ld", i + 1);
    make_pairs(d);
    return true;
}

Dictionary *dictionary_read(const char *path, bool stress, const Alphabet *known,
                            Error *error)
{
    long size, lines, tabs = 0;
    char *text = file_read(path, &size, error);
    if (!text)
        return NULL;
    Line *line = NULL;
    Dictionary *d = NULL;
    for (long i = 0; i < size; i++)
        tabs += text[i] == '\t';
    if (strlen(text) != (size_t)size)
        fail(error, "there is a zero byte at offset %zu", strlen(text));
    else
        line = cut_lines(text, &lines, error);
    if (line) {
        d = dictionary_new(lines, tabs);
        if (!read_lines(d, line, lines, stress, known, error)) {
            dictionary_free(d);
            d = NULL;
        }
    }
    if (!d)
        fail_within(error, "%s", path);
    free(line);
    free(text);
    return d;
}

Dictionary *dictionary_of_reversals(void)
{
    enum { WORDS = 20000, MOST = 12, DRAWS = MOST + 1 };
    Dictionary *d = dictionary_new(WORDS, WORDS);
    Error error;
    uint64_t stream = random_stream("reverse");
    must(alphabet_read(&d->alphabet, "a b c d e f g h i j k l m n o p q r s t u v w x y z",
                       &error),
         &error);
    for (uint64_t i = 0; i < WORDS; i++) {
        char word[MOST + 1] = "", backwards[2 * MOST + 1] = "";
        int n = 1 + (int)random_below(0, stream, i * DRAWS, MOST);
        for (int j = 0; j < n; j++) {
            word[j] = (char)('a' + random_below(0, stream, i * DRAWS + 1 + j, 26));
            memcpy(&backwards[2 * (n - 1 - j)], (char[]){word[j], ' '}, 2);
        }
        must(add_word(d, word, backwards, true, &error), &error);
    }
    make_pairs(d);
    return d;
}

static uint64_t hash_sequence(uint64_t hash, const Sequence *sequence)
{
    for (int i = 0; i <= sequence->length; i++) /* with the 0 after it */
        hash = (hash ^ sequence->at[i]) * 0x100000001b3u;
    return hash;
}

uint64_t dictionary_hash(const Dictionary *d)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (long i = 0; i < d->words; i++) {
        hash = hash_sequence(hash, &d->word[i].letters);
        for (int w = 0; w < d->word[i].pronunciations; w++)
            hash = hash_sequence(hash, &d->word[i].pronunciation[w]);
    }
    return hash;
}

/* ---- Measuring ---- */

const Sequence *nearest_pronunciation(const Word *word, const Sequence *said)
{
    const Sequence *nearest = &word->pronunciation[0];
    for (int w = 1; w < word->pronunciations; w++)
        if (distance(&word->pronunciation[w], said) < distance(nearest, said))
            nearest = &word->pronunciation[w];
    return nearest;
}

void score_add(Score *score, const Word *word, const Sequence *said)
{
    const Sequence *nearest = nearest_pronunciation(word, said);
    int edits = distance(nearest, said);
    score->edits += edits;
    score->symbols += nearest->length;
    score->wrong += edits > 0;
    score->words++;
}
