/* pieces.h - a C file taken apart into the pieces that the book shows of it.
 *
 * An empty line ends a piece, unless it stands inside of something: braces, parentheses, a
 * comment, or #if ... #endif. So a definition and the comment above it are one piece, and
 * so is a run of declarations, or of definitions, without an empty line in between.
 *
 * - From the opening comment to the last #include is the piece `(top)`; without an #include
 *   it ends with the comment, or with the include guard, which belongs to it.
 * - What defines nothing (a comment that stands alone, such as a headline; an #error)
 *   belongs to the piece that follows, or at the end of the file, as the last #endif of a
 *   header does, to the piece before.
 *
 * Every line thus belongs to exactly one piece; empty lines between pieces belong to none.
 *
 * A piece is called by its first name, and found by any name in it: that of a function, a
 * variable, a typedef, the tag of a struct, union or enum, a macro. An enum that has no
 * name goes by its first constant. A macro that is used to define something, as in
 * `ROW_FUNCTION(product, IN(0) * IN(1))`, gives it the name of its first argument.
 *
 * What is declared in one piece and defined in another means the definition. `name;`, as C
 * would write it, means the declaration; a run of declarations is called by the first of
 * its names that is defined nowhere in the file. */
#ifndef LINEAGE_PIECES_H
#define LINEAGE_PIECES_H

#include "base/error.h"

/* A text file. Line i, counted from 1, is the bytes from text[start[i]] up to, but without,
 * text[start[i + 1]]: its newline belongs to it. A last line without one is given one. */
typedef struct {
    char path[1024], *text;
    long size, *start; /* start[count + 1] == size */
    int count;
} Lines;

bool lines_read(Lines *lines, const char *path, Error *error);
void lines_free(Lines *lines);

/* Whether there is nothing but blanks in it. */
bool line_is_empty(const Lines *lines, int i);

typedef struct {
    int first, last;  /* lines */
    const char *name; /* that it is called by, and that pieces_find finds it by */
} Piece;

typedef struct {
    const char *text;
    int piece;
    bool defined; /* and not only declared */
} Name;

typedef struct {
    Lines lines;
    int piece_count, name_count;
    Piece *piece; /* in the order of the file */
    Name *name;   /* likewise */
    char *words;  /* where the names are kept */
} Source;

/* Reads a file and takes it apart. Fails when it cannot be read, when something in it is
 * opened and never closed, and when a piece cannot be told from another by any name; then
 * the sentence begins with the path, and the line if there is one. */
bool source_read(Source *source, const char *path, Error *error);
void source_free(Source *source);

/* The number of the piece that a name means; or one of: */
enum { NO_PIECE = -1, MANY_PIECES = -2 };
int source_find(const Source *source, const char *name);

#endif
