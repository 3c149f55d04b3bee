/* pieces.c - a C file taken apart into the pieces that the book shows of it.
 *
 * First the text becomes words and brackets, so that a brace in a string is no brace. Then
 * come the paragraphs, which the empty lines outside of brackets separate; then the names
 * in each of them. Nothing here knows C's grammar: the last word before a parenthesis, a
 * bracket, an equals sign, a comma or a semicolon is what is being declared. */
#include "pieces.h"
#include "base/files.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- Lines ---- */

bool lines_read(Lines *lines, const char *path, Error *error)
{
    *lines = (Lines){0};
    if (strlen(path) >= sizeof lines->path)
        return fail(error, "the name of the file is too long: %.80s...", path);
    strcpy(lines->path, path);
    char *bytes = file_read(path, &lines->size, error);
    if (!bytes)
        return false;

    lines->text = allocate((size_t)lines->size + 2, 1);
    memcpy(lines->text, bytes, (size_t)lines->size);
    free(bytes);
    if (lines->size && lines->text[lines->size - 1] != '\n')
        lines->text[lines->size++] = '\n';

    for (long i = 0; i < lines->size; i++)
        lines->count += lines->text[i] == '\n';
    lines->start = allocate((size_t)lines->count + 2, sizeof *lines->start);
    int line = 1;
    for (long i = 0; i < lines->size; i++)
        if (lines->text[i] == '\n')
            lines->start[++line] = i + 1;
    return true;
}

void lines_free(Lines *lines)
{
    free(lines->text);
    free(lines->start);
}

bool line_is_empty(const Lines *lines, int i)
{
    const char *at = lines->text + lines->start[i];
    return at[strspn(at, " \t\r")] == '\n';
}

/* ---- Words and brackets ---- */

typedef struct {
    char kind;      /* 'a' a word, '#' a directive, '0' a literal; all else is itself */
    const char *at; /* of a directive, the word behind the '#' */
    int length, line;
    int close; /* of an opening bracket: the number of the token that closes it */
} Token;

/* An #if: where it is, and how many brackets were open there. */
typedef struct {
    int line, depth;
} Branch;

typedef struct {
    const char *at;
    int line, tokens;
    Token *token;
    int *open, depth; /* the opening brackets around this place */
    Branch *branch;   /* for each #if around this place */
    int ifs;
    bool *inside; /* of each line: it begins inside of something */
    int top;      /* the last line with an #include or the guard's #define; 0 if none */
} Lexer;

static bool is_word(const Token *token, const char *word)
{
    return token->length == (int)strlen(word) && memcmp(token->at, word, strlen(word)) == 0;
}

static int word_length(const char *at)
{
    int length = 0;
    while (isalnum((unsigned char)at[length]) || at[length] == '_')
        length++;
    return length;
}

/* One character on. */
static void step(Lexer *x, bool inside)
{
    if (*x->at++ == '\n')
        x->inside[++x->line] = inside || x->depth > 0 || x->ifs > 0;
}

static const Token *add_token(Lexer *x, char kind, const char *at, int length)
{
    Token *token = &x->token[x->tokens++];
    *token = (Token){kind, at, length, x->line, 0};
    return token;
}

/* Steps over a comment, if one begins here. */
static bool skip_comment(Lexer *x)
{
    const char *from = x->at;
    if (strncmp(from, "//", 2) == 0)
        while (*x->at && *x->at != '\n')
            step(x, false);
    else if (strncmp(from, "/*", 2) == 0)
        while (*x->at && (x->at < from + 4 || strncmp(x->at - 2, "*/", 2) != 0))
            step(x, true);
    return x->at != from;
}

/* Steps over a string or a character, if one begins here. One that is not closed ends with
 * its line: the apostrophe in the sentence of an #error begins nothing. */
static bool skip_literal(Lexer *x)
{
    char quote = *x->at;
    if (quote != '"' && quote != '\'')
        return false;
    step(x, false);
    while (*x->at && *x->at != quote && *x->at != '\n') {
        if (*x->at == '\\' && x->at[1])
            step(x, true);
        step(x, true);
    }
    if (*x->at == quote)
        step(x, false);
    return true;
}

/* The branches of an #if may each open a bracket that is closed once, behind them. */
static void forget_branch(Lexer *x)
{
    while (x->ifs > 0 && x->depth > x->branch[x->ifs - 1].depth)
        x->token[x->open[--x->depth]].close = x->tokens - 1;
}

/* An #ifndef before everything else is an include guard, which nothing is inside of; its
 * #endif finds no #if to end. */
static void take_directive(Lexer *x)
{
    do
        step(x, false);
    while (*x->at == ' ' || *x->at == '\t');
    const Token *word = add_token(x, '#', x->at, word_length(x->at));
    bool guarded = is_word(&x->token[0], "ifndef") && x->token[0].kind == '#';
    if (strncmp(word->at, "if", 2) == 0 && !(guarded && x->tokens == 1))
        x->branch[x->ifs++] = (Branch){x->line, x->depth};
    else if (is_word(word, "else") || is_word(word, "elif"))
        forget_branch(x);
    else if (is_word(word, "endif") && x->ifs > 0)
        x->ifs--;
    else if (is_word(word, "include") && x->depth == 0)
        x->top = x->line;
    else if (guarded && x->tokens <= 2)
        x->top = x->line;

    while (*x->at && *x->at != '\n') {
        if (skip_comment(x) || skip_literal(x))
            continue;
        if (*x->at == '\\' && x->at[1])
            step(x, true);
        step(x, true);
    }
}

static void take_token(Lexer *x)
{
    int length = word_length(x->at);
    if (length == 0)
        length = 1;
    bool word = isalpha((unsigned char)*x->at) || *x->at == '_';
    bool number = isdigit((unsigned char)*x->at);
    add_token(x, word ? 'a' : number ? '0' : *x->at, x->at, length);
    if (strchr("({[", *x->at))
        x->open[x->depth++] = x->tokens - 1;
    else if (strchr(")}]", *x->at) && x->depth > 0)
        x->token[x->open[--x->depth]].close = x->tokens - 1;
    x->at += length;
}

static void take_all(Lexer *x, const char *text)
{
    for (x->at = text, x->line = 1; *x->at;)
        if (isspace((unsigned char)*x->at)) {
            step(x, false);
        } else if (*x->at == '"' || *x->at == '\'') {
            add_token(x, '0', x->at, 1);
            skip_literal(x);
        } else if (*x->at == '#') {
            take_directive(x);
        } else if (!skip_comment(x)) {
            take_token(x);
        }
}

/* ---- Names ---- */

/* The tokens of a paragraph, and the number of the piece that its names will belong to. */
typedef struct {
    Source *source;
    const Token *token;
    int end, piece;
    char **free_word;
} Namer;

static const char *keep_word(char **free_word, const char *at, int length, const char *tail)
{
    char *word = *free_word;
    *free_word += sprintf(word, "%.*s%s", length, at, tail) + 1;
    return word;
}

static void add_name(Namer *n, const Token *word, bool defined)
{
    Source *s = n->source;
    for (int i = 0; i < s->name_count; i++)
        if (s->name[i].piece == n->piece && is_word(word, s->name[i].text)) {
            s->name[i].defined |= defined;
            return;
        }
    const char *text = keep_word(n->free_word, word->at, word->length, "");
    s->name[s->name_count++] = (Name){text, n->piece, defined};
}

static void name_macro(Namer *n, const Token *directive)
{
    if (!is_word(directive, "define"))
        return;
    const char *at = directive->at + directive->length;
    at += strspn(at, " \t");
    add_name(n, &(Token){.at = at, .length = word_length(at)}, true);
}

/* __attribute__((...)) and its kind: says more about a declaration but names nothing. */
static bool is_remark(const Token *word)
{
    static const char *const remarks[] = {"__attribute__",  "_Alignas", "typeof",
                                          "_Static_assert", "_Pragma",  "__asm__"};
    for (size_t i = 0; i < sizeof remarks / sizeof remarks[0]; i++)
        if (is_word(word, remarks[i]))
            return word[1].kind == '(';
    return false;
}

/* MACRO(name, ...), perhaps with a body or a semicolon behind it. Returns the number of the
 * token that follows. */
static int name_macro_use(Namer *n, int i)
{
    const Token *macro = &n->token[i], *first = macro + 2;
    bool named = first->kind == 'a' && strchr(",)", first[1].kind);
    add_name(n, named ? first : macro, named);
    i = macro[1].close + 1;
    if (i < n->end && n->token[i].kind == '{')
        i = n->token[i].close + 1;
    return i;
}

/* Of a struct, union or enum at token i: the tag, if it is described or announced here.
 * Returns its last token. An enum that has no tag puts its first constant into `name`. */
static int name_record(Namer *n, int i, const Token **name, bool *defined)
{
    const Token *record = &n->token[i++];
    if (is_remark(&n->token[i]))
        i = n->token[i + 1].close + 1;
    const Token *tag = n->token[i].kind == 'a' ? &n->token[i++] : NULL;
    if (n->token[i].kind != '{') {
        if (tag && n->token[i].kind == ';')
            add_name(n, tag, false);
        return i - 1;
    }
    *defined = true;
    if (tag)
        add_name(n, tag, true);
    else if (is_word(record, "enum"))
        *name = &n->token[i + 1];
    return n->token[i].close;
}

/* In `(*name)(...)` and its like, from the parenthesis on. */
static const Token *name_of_pointer(const Token *token)
{
    const Token *name = NULL;
    for (token++; token->kind == '*' || token->kind == 'a'; token++)
        if (token->kind == 'a')
            name = token;
    return name;
}

static bool is_record(const Token *word)
{
    return is_word(word, "struct") || is_word(word, "union") || is_word(word, "enum");
}

/* Adds what is declared from token i on. Returns the number of the token that follows. */
static int name_declaration(Namer *n, int i)
{
    const Token *token = n->token, *name = NULL;
    bool past = false, has_value = false, defined = false; /* past: the name is behind us */
    for (; i < n->end; i++) {
        char kind = token[i].kind;
        if (kind == '#') {
            name_macro(n, &token[i]);
        } else if (kind == 'a' && is_remark(&token[i])) {
            i = token[i + 1].close;
        } else if (kind == 'a' && is_record(&token[i])) {
            i = name_record(n, i, &name, &defined);
        } else if (kind == 'a' && !past) {
            name = &token[i];
        } else if (kind == '(' || kind == '[') {
            if (!past && kind == '(' && token[i + 1].kind == '*')
                name = name_of_pointer(&token[i]);
            past = true;
            i = token[i].close;
        } else if (kind == '=') {
            past = has_value = defined = true;
        } else if (kind == '{') {
            i = token[i].close;
            if (!has_value && name) {
                add_name(n, name, true);
                return i + 1;
            }
        } else if (kind == ',' || kind == ';') {
            if (name)
                add_name(n, name, defined);
            if (kind == ';')
                return i + 1;
            name = NULL;
            past = false;
        }
    }
    return i;
}

static void name_paragraph(Namer *n, int i)
{
    while (i < n->end) {
        const Token *token = &n->token[i];
        if (token->kind == 'a' && token[1].kind == '(' && token[2].kind != '*' &&
            !is_remark(token))
            i = name_macro_use(n, i);
        else
            i = name_declaration(n, i);
    }
}

/* ---- Pieces ---- */

static int find_among(const Source *source, const char *name, size_t length, bool defined)
{
    int found = NO_PIECE;
    for (int i = 0; i < source->name_count; i++) {
        const Name *known = &source->name[i];
        if (known->defined != defined || strlen(known->text) != length ||
            memcmp(known->text, name, length) != 0)
            continue;
        found = found == NO_PIECE ? known->piece : MANY_PIECES;
    }
    return found;
}

int source_find(const Source *source, const char *name)
{
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == ';')
        return find_among(source, name, length - 1, false);
    int found = find_among(source, name, length, true);
    return found == NO_PIECE ? find_among(source, name, length, false) : found;
}

/* The last line of the paragraph that begins on line `first`. */
static int paragraph_end(const Lines *lines, const bool *inside, int first)
{
    int i = first;
    while (i < lines->count && (inside[i + 1] || !line_is_empty(lines, i + 1)))
        i++;
    return i;
}

/* Where (top) ends, which begins on line `first`: after the last #include, or without one after
 * a comment that stands alone. 0 if there is neither. */
static int top_end(const Lines *lines, const Lexer *x, int first)
{
    int top = x->top, end = paragraph_end(lines, x->inside, first);
    if (top == 0)
        return x->tokens == 0 || x->token[0].line > end ? end : 0;
    while (x->inside[top + 1])
        top++;
    return top;
}

/* The first line, from i on, that is not empty; behind the last if there is none. */
static int skip_empty(const Lines *lines, int i)
{
    while (i <= lines->count && line_is_empty(lines, i))
        i++;
    return i;
}

static int tokens_until(const Lexer *x, int token, int line)
{
    while (token < x->tokens && x->token[token].line <= line)
        token++;
    return token;
}

/* Cuts at the empty lines, and joins what defines nothing to what follows. */
static void cut(Source *source, const Lexer *x, char **free_word)
{
    const Lines *lines = &source->lines;
    int token = 0, from = skip_empty(lines, 1), last = top_end(lines, x, from);
    if (last > 0) {
        source->name[source->name_count++] = (Name){"(top)", 0, true};
        source->piece[source->piece_count++] = (Piece){from, last, NULL};
        token = tokens_until(x, 0, last);
        from = skip_empty(lines, last + 1);
    }
    for (int i = from; i <= lines->count; i = skip_empty(lines, last + 1)) {
        last = paragraph_end(lines, x->inside, i);
        int end = tokens_until(x, token, last), names = source->name_count;
        Namer namer = {source, x->token, end, source->piece_count, free_word};
        name_paragraph(&namer, token);
        token = end;
        if (source->name_count > names) {
            source->piece[source->piece_count++] = (Piece){from, last, NULL};
            from = skip_empty(lines, last + 1);
        }
    }
    if (from <= lines->count && source->piece_count > 0)
        source->piece[source->piece_count - 1].last = last;
}

/* Calls each piece by the first name that finds it. */
static void call_pieces(Source *source, char **free_word)
{
    for (int declared = 0; declared < 2; declared++)
        for (int i = 0; i < source->name_count; i++) {
            const Name *name = &source->name[i];
            Piece *piece = &source->piece[name->piece];
            if (piece->name)
                continue;
            int length = (int)strlen(name->text);
            piece->name = declared ? keep_word(free_word, name->text, length, ";")
                                   : name->text;
            if (source_find(source, piece->name) != name->piece)
                piece->name = NULL;
        }
}

static bool all_called(const Source *source, Error *error)
{
    for (int i = 0; i < source->name_count; i++) {
        const Piece *piece = &source->piece[source->name[i].piece];
        if (!piece->name)
            return fail(error, "%s:%d: %s is in two pieces: rename one, or join them",
                        source->lines.path, piece->first, source->name[i].text);
    }
    return true;
}

static bool all_closed(const Lexer *x, const char *path, Error *error)
{
    if (x->ifs > 0)
        return fail(error, "%s:%d: the #if that opens here is never closed", path,
                    x->branch[x->ifs - 1].line);
    if (x->depth > 0)
        return fail(error, "%s:%d: the %c that opens here is never closed", path,
                    x->token[x->open[x->depth - 1]].line,
                    x->token[x->open[x->depth - 1]].kind);
    return true;
}

bool source_read(Source *source, const char *path, Error *error)
{
    *source = (Source){0};
    if (!lines_read(&source->lines, path, error))
        return false;

    /* There are no more tokens and names than characters, and no more pieces than lines. */
    size_t size = (size_t)source->lines.size, lines = (size_t)source->lines.count;
    source->piece = allocate(lines + 1, sizeof *source->piece);
    source->name = allocate(size + 1, sizeof *source->name);
    source->words = allocate(3 * size + 1, 1);
    char *free_word = source->words;
    Lexer x = {.token = allocate(size + 4, sizeof *x.token),
               .open = allocate(size, sizeof *x.open),
               .branch = allocate(size, sizeof *x.branch),
               .inside = allocate(lines + 3, sizeof *x.inside)};

    take_all(&x, source->lines.text);
    bool fine = all_closed(&x, path, error);
    if (fine) {
        cut(source, &x, &free_word);
        call_pieces(source, &free_word);
        fine = all_called(source, error);
    }
    free(x.token);
    free(x.open);
    free(x.branch);
    free(x.inside);
    if (!fine)
        source_free(source);
    return fine;
}

void source_free(Source *source)
{
    lines_free(&source->lines);
    free(source->piece);
    free(source->name);
    free(source->words);
}
