/* weave.c - puts the program into the text, and sees to it that the two agree.
 *
 * In a chapter's README.md, variants.md and program.md, and in docs/, a comment directly
 * above a block of code
 *
 *     <!-- weave: gpt.c remember self_attention -->
 *
 * names a file, beside the text or from the root of the repository, and pieces of it; what
 * a piece is, pieces.h says. The block is written from the file, and made when there is
 * none. The pieces stand in the order of their names, an empty line between them; one that
 * is called by two of its names stands there once.
 *
 * Every piece of a chapter's files is shown in one of these texts, by one comment only. Once
 * docs/library.md exists, it and chapter 00 show all of scalar.h, tensor.h and ops.h.
 *
 * A block of C without such a comment is a quotation: its lines stand in a file, one behind
 * the other, perhaps indented otherwise. A chapter quotes its own files and src/; docs/
 * quotes any. Blocks of other languages are left alone.
 *
 * All that is wrong is listed, and then the status is 1. */
#include "showings.h"
#include "base/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A stream into memory: `text` and `size` are known once it is closed. */
static FILE *open_memory(char **text, size_t *size)
{
    FILE *stream = open_memstream(text, size);
    if (!stream)
        out_of_memory(0, "a text");
    return stream;
}

static void close_memory(FILE *stream)
{
    if (fclose(stream) != 0)
        out_of_memory(0, "a text");
}

/* One document on its way from what it was to what it will be. */
typedef struct {
    Book *book;
    const char *document; /* its path */
    Lines text;           /* what it was */
    FILE *out;            /* what it will be */
    bool check;           /* complain of what is stale; it will not be written */
} Weaver;

/* ---- Fences ---- */

typedef struct {
    char mark;
    int length;
    const char *language; /* the rest of the line */
} Fence;

/* Does a line of ``` or ~~~ stand here? */
static bool fence_at(const Lines *lines, int i, Fence *fence)
{
    if (i > lines->count)
        return false;
    const char *at = lines->text + lines->start[i];
    at += strspn(at, " \t");
    fence->mark = *at;
    fence->length = (int)strspn(at, *at == '`' ? "`" : "~");
    at += fence->length;
    fence->language = at + strspn(at, " \t");
    bool closed_at_once = fence->mark == '`' && at[strcspn(at, "`\n")] == '`';
    return fence->length >= 3 && !closed_at_once;
}

static bool is_c(const Fence *fence)
{
    return *fence->language == 'c' && strchr(" \t\r\n", fence->language[1]);
}

/* The line that closes the fence on line i; 0, with a complaint, if there is none. */
static int fence_end(Weaver *w, int i, const Fence *opened)
{
    Fence fence;
    for (int end = i + 1; end <= w->text.count; end++)
        if (fence_at(&w->text, end, &fence) && fence.mark == opened->mark &&
            fence.length >= opened->length) {
            if (strchr("\r\n", *fence.language))
                return end;
            if (is_c(opened)) /* the next block begins: do not take the prose for code */
                break;
        }
    complain(w->book, w->document, i, "the block that begins here is never closed");
    return 0;
}

static void copy_lines(const Lines *lines, int first, int last, FILE *out)
{
    const char *from = lines->text + lines->start[first];
    fwrite(from, 1, (size_t)(lines->start[last + 1] - lines->start[first]), out);
}

/* Equal but for indentation. */
static bool same_line(const Lines *a, int i, const Lines *b, int j)
{
    const char *p = a->text + a->start[i], *q = b->text + b->start[j];
    p += strspn(p, " \t");
    q += strspn(q, " \t");
    size_t length = strcspn(p, "\r\n");
    return length == strcspn(q, "\r\n") && memcmp(p, q, length) == 0;
}

/* How many of the lines first .. last stand in the source one behind the other; at best,
 * and where. */
static int longest_match(const Lines *text, int first, int last, const Lines *source,
                         int *where)
{
    int longest = 0;
    for (int i = 1; i <= source->count; i++) {
        int count = 0;
        while (first + count <= last && i + count <= source->count &&
               same_line(text, first + count, source, i + count))
            count++;
        if (count > longest) {
            longest = count;
            *where = i;
        }
    }
    return longest;
}

/* May this text quote that file? A chapter quotes itself and the library. */
static bool may_quote(const char *document, const char *path)
{
    return !begins(document, "chapters/") || begins(path, "src/") ||
           same_folder(path, document);
}

/* The lines first .. last are quoted: do they stand like this in a file? */
static void check_quotation(Weaver *w, int first, int last)
{
    const char *path = NULL;
    int longest = 0, where = 0;
    for (int i = 0; i < w->book->sources; i++) {
        const Lines *source = &w->book->source[i].lines;
        int at, count = 0;
        if (may_quote(w->document, source->path))
            count = longest_match(&w->text, first, last, source, &at);
        if (count > longest) {
            longest = count;
            path = source->path;
            where = at;
        }
    }
    int wrong = first + longest;
    if (wrong <= last && longest == 0)
        complain(w->book, w->document, wrong,
                 "no file has this line to quote: correct it, or make it a ```text block");
    else if (wrong <= last)
        complain(w->book, w->document, wrong,
                 "this line does not follow %s:%d: correct it, or make it a ```text block",
                 path, where + longest - 1);
}

/* ---- Woven blocks ---- */

static const char comment_begin[] = "<!-- weave:";

/* What the comment on line i says, "gpt.c self_attention"; the caller frees it. NULL, with
 * a complaint, unless the comment fills its line. */
static char *read_comment(Weaver *w, int i)
{
    const char *line = w->text.text + w->text.start[i], *end = strstr(line, "-->");
    if (!begins(line, comment_begin) || !end ||
        end + 3 + strspn(end + 3, " \t\r") + 1 != w->text.text + w->text.start[i + 1]) {
        complain(w->book, w->document, i,
                 "a weave comment fills its line, from <!-- to -->");
        return NULL;
    }
    line += strlen(comment_begin);
    line += strspn(line, " \t");
    while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    char *words = allocate((size_t)(end - line) + 1, 1);
    return memcpy(words, line, (size_t)(end - line));
}

/* Copies the first word, cut to fit; returns what follows it. */
static const char *take_word(const char *words, char *word, size_t size)
{
    words += strspn(words, " \t");
    size_t length = strcspn(words, " \t");
    snprintf(word, size, "%.*s", (int)length, words);
    return words + length;
}

/* The code of the pieces, an empty line between them; the caller frees it. NULL, with
 * complaints, if one of them is not there. */
static char *collect_code(Weaver *w, int line, const Source *source, const char *names)
{
    char *code, name[256];
    size_t size;
    bool complete = true;
    FILE *out = open_memory(&code, &size);
    while (names = take_word(names, name, sizeof name), *name) {
        int piece = book_piece(w->book, w->document, line, source, name);
        if (piece < 0) {
            complete = false;
            continue;
        }
        if (!book_show(w->book, w->document, line, source, piece))
            continue;
        if (ftell(out) > 0)
            fputc('\n', out);
        copy_lines(&source->lines, source->piece[piece].first, source->piece[piece].last,
                   out);
    }
    close_memory(out);
    if (complete)
        return code;
    free(code);
    return NULL;
}

/* The block that a comment asks for; the caller frees it. NULL, with complaints, if it asks
 * for what is not there. */
static char *make_block(Weaver *w, int line, const char *words)
{
    char file[256];
    const char *names = take_word(words, file, sizeof file);
    if (!*names) {
        complain(w->book, w->document, line,
                 "name a file and its pieces, as in <!-- weave: gpt.c self_attention -->");
        return NULL;
    }
    const Source *source = book_source(w->book, w->document, line, file);
    char *code = source ? collect_code(w, line, source, names) : NULL;
    if (!code)
        return NULL;
    const char *fence = strstr(code, "```") ? "````" : "```";
    char *block = allocate(strlen(code) + 16, 1);
    sprintf(block, "%sc\n%s%s\n", fence, code, fence);
    free(code);
    return block;
}

/* Writes the comment on line i and the block that belongs to it. Returns the number of the
 * line that follows. */
static int weave_block(Weaver *w, int i)
{
    const Lines *text = &w->text;
    Fence fence;
    int last = i; /* of the block that is there */
    if (fence_at(text, i + 1, &fence) && is_c(&fence))
        last = fence_end(w, i + 1, &fence);
    char *words = read_comment(w, i);
    char *block = words ? make_block(w, i, words) : NULL;
    if (!block || last == 0) {
        last = last ? last : text->count;
        copy_lines(text, i, last, w->out);
    } else {
        const char *old = text->text + text->start[i + 1];
        size_t size = (size_t)(text->start[last + 1] - text->start[i + 1]);
        bool same = size == strlen(block) && memcmp(old, block, size) == 0;
        if (w->check && !same)
            complain(w->book, w->document, i, "the block of %s is %s: run make weave",
                     words, last == i ? "missing" : "stale");
        copy_lines(text, i, i, w->out);
        fputs(block, w->out);
    }
    free(words);
    free(block);
    return last + 1;
}

/* ---- Documents ---- */

/* Writes line i, woven, and the block that it begins. Returns the number of the line that
 * follows. */
static int weave_line(Weaver *w, int i)
{
    Fence fence;
    const char *line = w->text.text + w->text.start[i];
    if (begins(line + strspn(line, " \t"), comment_begin))
        return weave_block(w, i);
    int last = i;
    if (fence_at(&w->text, i, &fence)) {
        last = fence_end(w, i, &fence);
        if (last == 0)
            last = w->text.count;
        else if (is_c(&fence))
            check_quotation(w, i + 1, last - 1);
    }
    copy_lines(&w->text, i, last, w->out);
    return last + 1;
}

static bool write_text(const char *path, const char *text, size_t size, Error *error)
{
    NewFile file;
    if (!newfile_open(&file, path, error))
        return false;
    fwrite(text, 1, size, file.stream);
    return newfile_commit(&file, error);
}

static void weave_document(Book *book, const char *path, bool check)
{
    Error error;
    Weaver w = {.book = book, .document = path, .check = check};
    if (!lines_read(&w.text, path, &error)) {
        complain_of(book, &error);
        return;
    }
    char *woven;
    size_t size;
    w.out = open_memory(&woven, &size);
    for (int i = 1; i <= w.text.count;)
        i = weave_line(&w, i);
    close_memory(w.out);

    bool same = size == (size_t)w.text.size && memcmp(woven, w.text.text, size) == 0;
    if (!check && !same) {
        if (write_text(path, woven, size, &error))
            printf("%s is woven anew\n", path);
        else
            complain_of(book, &error);
    }
    free(woven);
    lines_free(&w.text);
}

/* ---- The program ---- */

static const char usage[] =
    "usage: weave [--check] [FOLDER]\n"
    "       weave --pieces FILE\n"
    "\n"
    "Writes the code that comments like <!-- weave: gpt.c self_attention --> ask for into\n"
    "chapters/*/README.md and docs/*.md, below the FOLDER or below this one.\n"
    "\n"
    "  --check        changes nothing, and fails if anything has to be changed\n"
    "  --pieces FILE  lists the pieces of a C file: lines, and the names that find them\n"
    "\n"
    "An empty line ends a piece, unless it is inside of braces, parentheses, a comment or\n"
    "#if ... #endif. What defines nothing belongs to the piece that follows. All until\n"
    "the last #include is (top). A name that is both declared and defined in a file means\n"
    "the definition; with a semicolon behind it, name; means the declaration.\n";

static int list_pieces(const char *path)
{
    Source source;
    Error error;
    if (!source_read(&source, path, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    for (int i = 0; i < source.piece_count; i++) {
        const Piece *piece = &source.piece[i];
        printf("%5d %5d  %s", piece->first, piece->last, piece->name);
        for (int n = 0; n < source.name_count; n++)
            if (source.name[n].piece == i && strcmp(source.name[n].text, piece->name) != 0)
                printf(" %s", source.name[n].text);
        printf("\n");
    }
    source_free(&source);
    return 0;
}

static int weave(const char *folder, bool check)
{
    if (chdir(folder) != 0) {
        fprintf(stderr, "cannot enter %s: %s\n", folder, strerror(errno));
        return 1;
    }
    Book book = {0};
    book_open(&book);
    if (book.complaints == 0) {
        for (size_t i = 0; i < book.documents.gl_pathc; i++)
            weave_document(&book, book.documents.gl_pathv[i], check);
        book_check_complete(&book);
        if (!check)
            book_report(&book);
    }
    book_close(&book);
    return book.complaints == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";
    if (argc == 2 && strcmp(first, "--help") == 0) {
        printf("%s", usage);
        return 0;
    }
    if (argc == 3 && strcmp(first, "--pieces") == 0)
        return list_pieces(argv[2]);
    bool check = strcmp(first, "--check") == 0;
    int used = check ? 2 : 1;
    if (argc > used + 1 || (argc > used && argv[used][0] == '-')) {
        fprintf(stderr, "%s", usage);
        return 1;
    }
    return weave(argc > used ? argv[used] : ".", check);
}
