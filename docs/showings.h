/* showings.h - the book as a whole: its texts, its code, what has been shown of the code,
 * and what is wrong with it. */
#ifndef LINEAGE_SHOWINGS_H
#define LINEAGE_SHOWINGS_H

#include "pieces.h"
#include <glob.h>

typedef struct Showing Showing;

typedef struct {
    glob_t documents; /* the texts of chapters and docs/: their paths */
    Source *source;   /* the chapters, src/, docs/ and tests/ */
    Showing *showing;
    int sources, showings;
    int complaints; /* how many things are wrong */
} Book;

/* Reads the code below the folder that the program is in. */
void book_open(Book *book);
void book_close(Book *book);

/* Prints "path:line: sentence": what is wrong, and what to do about it. */
void complain(Book *book, const char *path, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a sentence that names its place itself. */
void complain_of(Book *book, const Error *error);

/* What the comment on a line of a document means: the file of that name, beside the
 * document or else from the root, and a piece of it. Where there is none, they complain and
 * return NULL, or a number below 0. */
const Source *book_source(Book *book, const char *document, int line, const char *name);
int book_piece(Book *book, const char *document, int line, const Source *source,
               const char *name);

/* Notes that the comment on that line shows a piece; complains if another one has shown it.
 * False if this one has: it may call a piece by several of its names. */
bool book_show(Book *book, const char *document, int line, const Source *source, int piece);

/* Complains of what should have been shown, and was not. */
void book_check_complete(Book *book);

/* Prints how much of the code has been shown. */
void book_report(const Book *book);

/* Of "chapters/04-gpt/gpt.c": 16. */
int folder_length(const char *path);
bool same_folder(const char *a, const char *b);
bool begins(const char *text, const char *with);

#endif
