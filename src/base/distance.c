/* distance.c - how far two words are apart. */
#include "base/distance.h"

#include <limits.h>

/* One row of the table is enough: row[j] is the distance between the first i of a and the
 * first j of b, and `corner` is what row[j - 1] was for one less of a. */
int edit_distance(const void *a, int a_length, const void *b, int b_length)
{
    const unsigned char *x = a, *y = b;
    int row[DISTANCE_MOST + 1];
    if (a_length > DISTANCE_MOST || b_length > DISTANCE_MOST)
        return INT_MAX;
    for (int j = 0; j <= b_length; j++)
        row[j] = j;
    for (int i = 1; i <= a_length; i++) {
        int corner = row[0]++;
        for (int j = 1; j <= b_length; j++) {
            int replaced = corner + (x[i - 1] != y[j - 1]);
            int shifted = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            corner = row[j];
            row[j] = replaced < shifted ? replaced : shifted;
        }
    }
    return row[b_length];
}
