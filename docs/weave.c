/* weave.c - puts the program into the text, and sees to it that the two agree.
 *
 * In a chapter's README.md, and in docs/, a comment directly above a block of code
 *
 *     <!-- weave: gpt.c remember self_attention -->
 *
 * names a file (beside the text, or from the root of the repository) and pieces of it; see
 * pieces.h for what a piece is. The block is written from the file. It is made when there
 * is none, and nobody needs to edit it.
 *
 * - Each piece of a chapter's files is shown in the chapter's README.md exactly once.
 * - A block of C without such a comment is a quotation: its lines follow one another, but
 * for indentation, in a file of the chapter or of src/; what docs/ quotes, anywhere.
 * - Once docs/library.md exists, it and chapter 00 show all of scalar.h, tensor.h and
 * ops.h.
 *
 * All that is wrong is listed, and then the status is 1. */
#include "files.h"
#include "pieces.h"

#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const Source *source;
    int piece;
    const char *document;
    int line;
} Showing;

typedef struct {
    glob_t documents;
    Source *source;
    Showing *showing;
    int sources, showings, complaints;
    bool check; /* change nothing */
} Book;

/* Says what is wrong and where, and what to do about it. */
__attribute__((format(printf, 4, 5))) static void
complain(Book *book, const char *path, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", path, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    book->complaints++;
}

static void complain_of(Book *book, const Error *error)
{
    fprintf(stderr, "%s\n", error->text);
    book->complaints++;
}

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

/* ---- Files and folders ---- */

/* Of a path, the folder: "chapters/04-gpt/". */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

static bool same_folder(const char *a, const char *b)
{
    return folder_length(a) == folder_length(b) &&
           memcmp(a, b, (size_t)folder_length(a)) == 0;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char *find_document(const Book *book, const char *path)
{
    for (size_t i = 0; i < book->documents.gl_pathc; i++)
        if (strcmp(book->documents.gl_pathv[i], path) == 0)
            return book->documents.gl_pathv[i];
    return NULL;
}

/* The file that `name` means in a document: one beside it, or else from the root. */
static const Source *find_source(const Book *book, const char *document, const char *name)
{
    for (int i = 0; i < book->sources; i++) {
        const char *path = book->source[i].lines.path;
        if (same_folder(path, document) && strcmp(path + folder_length(path), name) == 0)
            return &book->source[i];
    }
    for (int i = 0; i < book->sources; i++)
        if (strcmp(book->source[i].lines.path, name) == 0)
            return &book->source[i];
    return NULL;
}

/* All paths that match any of the patterns, a NULL behind the last. */
static glob_t find_paths(const char *const *patterns)
{
    glob_t found = {0};
    for (int i = 0; patterns[i]; i++)
        if (glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, &found) == GLOB_NOSPACE)
            out_of_memory(0, "the names of the files");
    return found;
}

static void open_book(Book *book)
{
    static const char *const texts[] = {"chapters/*/README.md", "docs/*.md", NULL};
    static const char *const sources[] = {"chapters/*/*.[ch]",    "src/*.[ch]",
                                          "docs/*.[ch]",          "tests/*.[ch]",
                                          "tests/support/*.[ch]", NULL};
    book->documents = find_paths(texts);
    glob_t paths = find_paths(sources);
    book->source = allocate(paths.gl_pathc, sizeof *book->source);
    for (size_t i = 0; i < paths.gl_pathc; i++) {
        Error error;
        if (source_read(&book->source[book->sources], paths.gl_pathv[i], &error))
            book->sources++;
        else
            complain_of(book, &error);
    }
    globfree(&paths);
    if (book->sources == 0 && book->complaints == 0) {
        Error error;
        fail(&error, "there is no code here: name the root of the repository");
        complain_of(book, &error);
    }
}

static void close_book(Book *book)
{
    for (int i = 0; i < book->sources; i++)
        source_free(&book->source[i]);
    free(book->source);
    free(book->showing);
    globfree(&book->documents);
}

/* ---- What has been shown ---- */

static const Showing *find_showing(const Book *book, const Source *source, int piece,
                                   const char *document)
{
    for (int i = 0; i < book->showings; i++) {
        const Showing *showing = &book->showing[i];
        if (showing->source == source && showing->piece == piece &&
            (!document || begins(showing->document, document)))
            return showing;
    }
    return NULL;
}

/* Notes that a document shows a piece. What belongs to a chapter is shown in it once. */
static void note_showing(Book *book, Showing showing)
{
    const Lines *file = &showing.source->lines;
    const Showing *before = find_showing(book, showing.source, showing.piece,
                                         showing.document);
    if (before && begins(file->path, "chapters/") &&
        same_folder(file->path, showing.document))
        complain(book, showing.document, showing.line,
                 "%s %s was shown on line %d already: name it in one place only",
                 file->path + folder_length(file->path),
                 showing.source->piece[showing.piece].name, before->line);

    int count = book->showings;
    if ((count & (count - 1)) == 0) { /* full, at each power of two */
        size_t size = (size_t)(count ? 2 * count : 1) * sizeof *book->showing;
        Showing *larger = realloc(book->showing, size);
        if (!larger)
            out_of_memory(size, "what is shown");
        book->showing = larger;
    }
    book->showing[book->showings++] = showing;
}

/* How many letters are left of the longer word without what both begin and end with. */
static int difference(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), front = 0, back = 0, least = n < m ? n : m;
    while (front < least && a[front] == b[front])
        front++;
    while (back < least - front && a[n - 1 - back] == b[m - 1 - back])
        back++;
    return (int)((n > m ? n : m) - front - back);
}

/* The piece of that name; complains and returns -1 if there is not exactly one. */
static int find_piece(Book *book, const Source *source, const char *name,
                      const char *document, int line)
{
    int piece = source_find(source, name);
    const char *path = source->lines.path, *nearest = NULL;
    if (piece >= 0)
        return piece;
    if (piece == MANY_PIECES) {
        complain(book, document, line,
                 "%s is in several pieces of %s: build/weave --pieces %s "
                 "lists the names of each",
                 name, path, path);
        return -1;
    }
    int least = 3;
    for (int i = 0; i < source->name_count; i++)
        if (difference(name, source->name[i].text) < least) {
            nearest = source->name[i].text;
            least = difference(name, nearest);
        }
    if (nearest)
        complain(book, document, line, "there is no %s in %s; did you mean %s?", name, path,
                 nearest);
    else
        complain(book, document, line,
                 "there is no %s in %s: build/weave --pieces %s lists "
                 "what there is",
                 name, path, path);
    return -1;
}

/* ---- The blocks of a document ---- */

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

/* The line that closes the fence on line i; 0, with a complaint, if there is none. */
static int fence_end(Book *book, const Lines *lines, int i, const Fence *opened)
{
    Fence fence;
    for (int end = i + 1; end <= lines->count; end++)
        if (fence_at(lines, end, &fence) && fence.mark == opened->mark &&
            fence.length >= opened->length && strchr("\r\n", *fence.language))
            return end;
    complain(book, lines->path, i, "the block that begins here is never closed");
    return 0;
}

static bool is_c(const Fence *fence)
{
    return *fence->language == 'c' && strchr(" \t\r\n", fence->language[1]);
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

/* The lines first .. last are quoted: from a file of this folder or of src/, if this is a
 * chapter. */
static void check_quotation(Book *book, const Lines *text, int first, int last)
{
    const char *path = NULL;
    int longest = 0, where = 0;
    for (int i = 0; i < book->sources; i++) {
        const Lines *source = &book->source[i].lines;
        if (begins(text->path, "chapters/") && !begins(source->path, "src/") &&
            !same_folder(source->path, text->path))
            continue;
        int at, count = longest_match(text, first, last, source, &at);
        if (count <= longest)
            continue;
        longest = count;
        path = source->path;
        where = at;
    }
    if (first + longest > last)
        return;
    if (longest == 0)
        complain(book, text->path, first,
                 "this line is quoted from no file: correct it, or "
                 "call the block ```text");
    else
        complain(book, text->path, first + longest,
                 "this line does not follow %s:%d, from where the quotation seems to be: "
                 "correct it, or call the block ```text",
                 path, where + longest - 1);
}

static const char comment_begin[] = "<!-- weave:";

/* What the comment on line i says, "gpt.c self_attention"; the caller frees it. NULL, with
 * a complaint, unless the comment fills its line. */
static char *read_comment(Book *book, const Lines *text, int i)
{
    const char *line = text->text + text->start[i], *next = text->text + text->start[i + 1];
    const char *end = strstr(line, "-->");
    if (!begins(line, comment_begin) || !end || end + strcspn(end, "\n") >= next ||
        end[3 + strspn(end + 3, " \t\r")] != '\n') {
        complain(book, text->path, i, "a weave comment fills its line, from <!-- to -->");
        return NULL;
    }
    const char *from = line + strlen(comment_begin);
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    char *words = allocate((size_t)(end - from) + 1, 1);
    return memcpy(words, from, (size_t)(end - from));
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
static char *collect_code(Book *book, const Source *source, const char *names,
                          const char *document, int line)
{
    char *code, name[256];
    size_t size;
    bool complete = true;
    FILE *out = open_memory(&code, &size);
    while (names = take_word(names, name, sizeof name), *name) {
        int piece = find_piece(book, source, name, document, line);
        if (piece < 0) {
            complete = false;
            continue;
        }
        if (ftell(out) > 0)
            fputc('\n', out);
        copy_lines(&source->lines, source->piece[piece].first, source->piece[piece].last,
                   out);
        note_showing(book, (Showing){source, piece, document, line});
    }
    close_memory(out);
    if (complete)
        return code;
    free(code);
    return NULL;
}

/* The block that a comment asks for; the caller frees it. NULL, with complaints, if it asks
 * for what is not there. */
static char *make_block(Book *book, const char *words, const char *document, int line)
{
    char file[256];
    const char *names = take_word(words, file, sizeof file);
    const Source *source = find_source(book, document, file);
    if (!*names) {
        complain(book, document, line,
                 "name a file and pieces of it, as in "
                 "<!-- weave: gpt.c self_attention -->");
        return NULL;
    }
    if (!source) {
        complain(book, document, line,
                 "there is no file %s, neither in %.*s nor from the root of the repository",
                 file, folder_length(document), document);
        return NULL;
    }
    char *code = collect_code(book, source, names, document, line);
    if (!code)
        return NULL;
    const char *fence = strstr(code, "```") ? "````" : "```";
    char *block = allocate(strlen(code) + 16, 1);
    sprintf(block, "%sc\n%s%s\n", fence, code, fence);
    free(code);
    return block;
}

/* Copies the comment on line i, and behind it the block that belongs there. Returns the
 * number of the line that follows. */
static int weave_block(Book *book, const Lines *text, const char *document, int i,
                       FILE *out)
{
    Fence fence;
    int last = i; /* of the block that is there */
    if (fence_at(text, i + 1, &fence) && is_c(&fence))
        last = fence_end(book, text, i + 1, &fence);
    char *words = read_comment(book, text, i);
    char *block = words ? make_block(book, words, document, i) : NULL;
    if (!block || last == 0) {
        last = last ? last : text->count;
        copy_lines(text, i, last, out);
    } else {
        const char *old = text->text + text->start[i + 1];
        size_t size = (size_t)(text->start[last + 1] - text->start[i + 1]);
        bool same = size == strlen(block) && memcmp(old, block, size) == 0;
        if (book->check && !same)
            complain(book, document, i, "the block of %s %s: run make weave", words,
                     last == i ? "is missing" : "is stale");
        copy_lines(text, i, i, out);
        fputs(block, out);
    }
    free(words);
    free(block);
    return last + 1;
}

/* ---- Documents ---- */

/* Copies line i and what belongs to it. Returns the number of the line that follows. */
static int weave_line(Book *book, const Lines *text, const char *document, int i, FILE *out)
{
    Fence fence;
    const char *line = text->text + text->start[i];
    if (begins(line + strspn(line, " \t"), comment_begin))
        return weave_block(book, text, document, i, out);
    int last = i;
    if (fence_at(text, i, &fence)) {
        last = fence_end(book, text, i, &fence);
        if (last == 0)
            last = text->count;
        else if (is_c(&fence))
            check_quotation(book, text, i + 1, last - 1);
    }
    copy_lines(text, i, last, out);
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

static void weave_document(Book *book, const char *path)
{
    Lines text;
    Error error;
    if (!lines_read(&text, path, &error)) {
        complain_of(book, &error);
        return;
    }
    char *fresh;
    size_t size;
    FILE *out = open_memory(&fresh, &size);
    for (int i = 1; i <= text.count;)
        i = weave_line(book, &text, path, i, out);
    close_memory(out);
    bool same = size == (size_t)text.size && memcmp(fresh, text.text, size) == 0;
    if (!book->check && !same) {
        if (write_text(path, fresh, size, &error))
            printf("%s has new code\n", path);
        else
            complain_of(book, &error);
    }
    free(fresh);
    lines_free(&text);
}

/* ---- What must be shown ---- */

/* Each piece of a chapter, in its README.md. */
static void check_chapter_file(Book *book, const Source *source)
{
    const char *path = source->lines.path;
    int folder = folder_length(path);
    char readme[sizeof source->lines.path + 16];
    snprintf(readme, sizeof readme, "%.*sREADME.md", folder, path);
    if (!find_document(book, readme)) {
        complain(book, path, 1, "there is no %s to show it: write the chapter", readme);
        return;
    }
    for (int i = 0; i < source->piece_count; i++)
        if (!find_showing(book, source, i, readme))
            complain(book, path, source->piece[i].first,
                     "%s is shown nowhere in README.md: add <!-- weave: %s %s --> and a "
                     "```c block",
                     source->piece[i].name, path + folder, source->piece[i].name);
}

/* What the library offers to a chapter, in the tour of it or in chapter 00. */
static void check_tour(Book *book, const char *path)
{
    const char *tour = "docs/library.md";
    const Source *source = find_source(book, tour, path);
    if (!source || !find_document(book, tour))
        return;
    for (int i = 0; i < source->piece_count; i++) {
        const Piece *piece = &source->piece[i];
        if (strcmp(piece->name, "(top)") != 0 && !find_showing(book, source, i, tour) &&
            !find_showing(book, source, i, "chapters/00-"))
            complain(
                book, path, piece->first,
                "%s is shown neither in %s nor in chapter 00: add <!-- weave: %s %s --> "
                "and a ```c block",
                piece->name, tour, path, piece->name);
    }
}

static void check_completeness(Book *book)
{
    for (int i = 0; i < book->sources; i++)
        if (begins(book->source[i].lines.path, "chapters/"))
            check_chapter_file(book, &book->source[i]);
    check_tour(book, "src/scalar.h");
    check_tour(book, "src/tensor.h");
    check_tour(book, "src/ops.h");
}

/* "1,234" */
static const char *grouped(int number, char *text, size_t size)
{
    if (number < 1000)
        snprintf(text, size, "%d", number);
    else
        snprintf(text, size, "%d,%03d", number / 1000, number % 1000);
    return text;
}

/* How much of the code is shown anywhere in the book, folder by folder. */
static void report(const Book *book)
{
    int shown = 0, all = 0;
    for (int i = 0; i < book->sources; i++) {
        const Source *source = &book->source[i];
        const char *path = source->lines.path;
        for (int p = 0; p < source->piece_count; p++) {
            int lines = source->piece[p].last - source->piece[p].first + 1;
            all += lines;
            shown += find_showing(book, source, p, NULL) ? lines : 0;
        }
        if (i + 1 < book->sources && same_folder(path, book->source[i + 1].lines.path))
            continue;
        char a[32], b[32];
        if (begins(path, "src/") || begins(path, "chapters/"))
            printf("%.*s: %s of %s lines are shown (%d%%)\n", folder_length(path) - 1, path,
                   grouped(shown, a, sizeof a), grouped(all, b, sizeof b),
                   100 * shown / all);
        shown = all = 0;
    }
}

/* ---- The program ---- */

static const char usage[] =
    "usage: weave [--check] [FOLDER]\n"
    "       weave --pieces FILE\n"
    "\n"
    "Writes the code that comments such as <!-- weave: gpt.c self_attention --> ask for "
    "into\n"
    "chapters/*/README.md and docs/*.md of the repository in FOLDER (here, unless given).\n"
    "\n"
    "  --check        changes nothing, and fails if anything would have to be changed\n"
    "  --pieces FILE  lists the pieces of a C file: their lines, and the names that find "
    "them\n"
    "\n"
    "A piece is what stands between empty lines that are outside of braces, parentheses,\n"
    "comments and #if ... #endif: a definition with its comment, or a run of "
    "declarations.\n"
    "What defines nothing belongs to the next piece. (top) ends with the last #include. "
    "Where\n"
    "a name is both declared and defined, `name` means the definition, `name;` the "
    "other.\n";

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
    Book book = {.check = check};
    open_book(&book);
    if (book.complaints == 0) {
        for (size_t i = 0; i < book.documents.gl_pathc; i++)
            weave_document(&book, book.documents.gl_pathv[i]);
        check_completeness(&book);
        if (!check)
            report(&book);
    }
    close_book(&book);
    return book.complaints == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";
    bool check = strcmp(first, "--check") == 0;
    if (argc == 2 && strcmp(first, "--help") == 0) {
        printf("%s", usage);
        return 0;
    }
    if (argc == 3 && strcmp(first, "--pieces") == 0)
        return list_pieces(argv[2]);
    const char *folder = check ? (argc > 2 ? argv[2] : ".") : argc > 1 ? first : ".";
    if (argc > 2 + check || *folder == '-') {
        fprintf(stderr, "%s", usage);
        return 1;
    }
    return weave(folder, check);
}
