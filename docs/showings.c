/* showings.c - the book as a whole. Its texts and its code are few: whatever is looked for
 * is looked for from the beginning. */
#include "showings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Showing {
    const char *document;
    int line, piece;
    const Source *source;
};

void complain(Book *book, const char *path, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", path, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    book->complaints++;
}

void complain_of(Book *book, const Error *error)
{
    fprintf(stderr, "%s\n", error->text);
    book->complaints++;
}

/* ---- Files and folders ---- */

int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

bool same_folder(const char *a, const char *b)
{
    return folder_length(a) == folder_length(b) &&
           memcmp(a, b, (size_t)folder_length(a)) == 0;
}

bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool has_document(const Book *book, const char *path)
{
    for (size_t i = 0; i < book->documents.gl_pathc; i++)
        if (strcmp(book->documents.gl_pathv[i], path) == 0)
            return true;
    return false;
}

/* All paths that match any of the patterns; behind the last of them is NULL. */
static glob_t find_paths(const char *const *patterns)
{
    glob_t found = {0};
    for (int i = 0; patterns[i]; i++)
        if (glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, &found) == GLOB_NOSPACE)
            out_of_memory(0, "the names of the files");
    return found;
}

void book_open(Book *book)
{
    static const char *const texts[] = {"chapters/*/README.md", "docs/*.md", NULL};
    static const char *const sources[] = {
        "chapters/*/*.[ch]",    "src/*/*.[ch]",       "docs/*.[ch]", "tests/*.[ch]",
        "tests/support/*.[ch]", "tests/bench/*.[ch]", NULL};
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

void book_close(Book *book)
{
    for (int i = 0; i < book->sources; i++)
        source_free(&book->source[i]);
    free(book->source);
    free(book->showing);
    globfree(&book->documents);
}

/* ---- What a comment means ---- */

const Source *book_source(Book *book, const char *document, int line, const char *name)
{
    const Source *found = NULL;
    for (int i = 0; i < book->sources; i++) {
        const char *path = book->source[i].lines.path;
        if (same_folder(path, document) && strcmp(path + folder_length(path), name) == 0)
            return &book->source[i];
        if (strcmp(path, name) == 0)
            found = &book->source[i];
    }
    if (!found)
        complain(book, document, line,
                 "there is no file %s, neither in %.*s nor from the root", name,
                 folder_length(document), document);
    return found;
}

/* How many letters the longer word has besides what both begin and end with. */
static int difference(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), front = 0, back = 0, least = n < m ? n : m;
    while (front < least && a[front] == b[front])
        front++;
    while (back < least - front && a[n - 1 - back] == b[m - 1 - back])
        back++;
    return (int)((n > m ? n : m) - front - back);
}

/* The name that may have been meant, or NULL. */
static const char *nearest_name(const Source *source, const char *name)
{
    const char *nearest = NULL;
    int least = 3;
    for (int i = 0; i < source->name_count; i++) {
        int distance = difference(name, source->name[i].text);
        if (distance < least && distance < (int)strlen(name)) {
            nearest = source->name[i].text;
            least = distance;
        }
    }
    return nearest;
}

int book_piece(Book *book, const char *document, int line, const Source *source,
               const char *name)
{
    int piece = source_find(source, name);
    const char *path = source->lines.path, *nearest = nearest_name(source, name);
    if (piece == MANY_PIECES)
        complain(book, document, line,
                 "%s is in several pieces of %s: see weave --pieces %s", name, path, path);
    else if (piece == NO_PIECE && nearest)
        complain(book, document, line, "there is no %s in %s; did you mean %s?", name, path,
                 nearest);
    else if (piece == NO_PIECE)
        complain(book, document, line, "there is no %s in %s: see weave --pieces %s", name,
                 path, path);
    return piece;
}

/* ---- What is shown ---- */

/* The first showing in a document whose path begins like this, on that line or, if it is 0,
 * on any. */
static const Showing *find_showing(const Book *book, const char *document, int line,
                                   const Source *source, int piece)
{
    for (int i = 0; i < book->showings; i++) {
        const Showing *showing = &book->showing[i];
        if (showing->source == source && showing->piece == piece &&
            begins(showing->document, document) && (line == 0 || showing->line == line))
            return showing;
    }
    return NULL;
}

bool book_show(Book *book, const char *document, int line, const Source *source, int piece)
{
    const char *path = source->lines.path;
    if (find_showing(book, document, line, source, piece))
        return false;
    const Showing *before = find_showing(book, document, 0, source, piece);
    if (before && same_folder(path, document))
        complain(book, document, line, "%s %s was shown on line %d already: show it once",
                 path + folder_length(path), source->piece[piece].name, before->line);

    int count = book->showings;
    if ((count & (count - 1)) == 0) { /* full, as it is at each power of two */
        size_t size = (size_t)(count ? 2 * count : 1) * sizeof *book->showing;
        Showing *larger = realloc(book->showing, size);
        if (!larger)
            out_of_memory(size, "what is shown");
        book->showing = larger;
    }
    book->showing[book->showings++] = (Showing){document, line, piece, source};
    return true;
}

/* Each piece of a chapter's file is shown in the chapter's README.md. */
static void check_chapter_file(Book *book, const Source *source, const char *readme)
{
    const char *path = source->lines.path, *file = path + folder_length(path);
    for (int i = 0; i < source->piece_count; i++) {
        const Piece *piece = &source->piece[i];
        if (!find_showing(book, readme, 0, source, i))
            complain(book, path, piece->first,
                     "%s is shown nowhere in README.md: add "
                     "<!-- weave: %s %s --> and a ```c block",
                     piece->name, file, piece->name);
    }
}

/* A chapter without a README.md is complained of once. */
static void check_chapters(Book *book)
{
    const char *missing = "";
    for (int i = 0; i < book->sources; i++) {
        const char *path = book->source[i].lines.path;
        char readme[sizeof book->source->lines.path + 16];
        if (!begins(path, "chapters/"))
            continue;
        snprintf(readme, sizeof readme, "%.*sREADME.md", folder_length(path), path);
        if (has_document(book, readme)) {
            check_chapter_file(book, &book->source[i], readme);
        } else if (path[strlen(path) - 1] == 'c' && !same_folder(path, missing)) {
            complain(book, readme, 1, "the chapter has a program and no text: write it");
            missing = path;
        }
    }
}

/* What the library offers to a chapter is shown in the tour of it, or in chapter 00. */
static void check_tour(Book *book, const char *path)
{
    static const char tour[] = "docs/library.md";
    if (!has_document(book, tour))
        return;
    const Source *source = book_source(book, tour, 1, path);
    for (int i = 0; source && i < source->piece_count; i++) {
        const Piece *piece = &source->piece[i];
        if (strcmp(piece->name, "(top)") != 0 && !find_showing(book, tour, 0, source, i) &&
            !find_showing(book, "chapters/00-", 0, source, i))
            complain(book, path, piece->first,
                     "%s is shown neither in %s nor in chapter 00: add "
                     "<!-- weave: %s %s --> and a ```c block",
                     piece->name, tour, path, piece->name);
    }
}

void book_check_complete(Book *book)
{
    check_chapters(book);
    check_tour(book, "src/scalar/scalar.h");
    check_tour(book, "src/tensor/tensor.h");
    check_tour(book, "src/tensor/op.h");
    check_tour(book, "src/tensor/ops.h");
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

void book_report(const Book *book)
{
    int shown = 0, all = 0;
    for (int i = 0; i < book->sources; i++) {
        const Source *source = &book->source[i];
        const char *path = source->lines.path;
        for (int p = 0; p < source->piece_count; p++) {
            int lines = source->piece[p].last - source->piece[p].first + 1;
            all += lines;
            shown += find_showing(book, "", 0, source, p) ? lines : 0;
        }
        if (i + 1 < book->sources && same_folder(path, book->source[i + 1].lines.path))
            continue;
        char part[32], whole[32];
        if (all > 0 && (begins(path, "src/") || begins(path, "chapters/")))
            printf("%.*s: %s of %s lines are shown (%d%%)\n", folder_length(path) - 1, path,
                   grouped(shown, part, sizeof part), grouped(all, whole, sizeof whole),
                   (int)(100L * shown / all));
        shown = all = 0;
    }
}
