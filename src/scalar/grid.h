/* grid.h - a matrix of scalars, for the specifications of the chapters. */
#ifndef LINEAGE_GRID_H
#define LINEAGE_GRID_H

#include "scalar/scalar.h"

/* Element (i, j) is at[i * columns + j]. */
typedef struct {
    int rows, columns;
    Scalar **at;
} Grid;

/* A grid with room for its numbers, which are still to be filled in; the tape owns it. */
static inline Grid grid_new(Scalars *tape, int rows, int columns)
{
    return (Grid){rows, columns, s_array(tape, (long)rows * columns)};
}

static inline Scalar **grid_row(Grid m, int i)
{
    return &m.at[i * m.columns];
}

/* Rows from .. to - 1, which are the same numbers. */
static inline Grid grid_rows(Grid m, int from, int to)
{
    return (Grid){to - from, m.columns, grid_row(m, from)};
}

#endif
