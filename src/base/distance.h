/* distance.h - how far two words are apart. */
#ifndef LINEAGE_DISTANCE_H
#define LINEAGE_DISTANCE_H

enum { DISTANCE_MOST = 255 /* the longest that can be compared */ };

/* Levenshtein's distance: the least number of bytes to insert, delete or replace that turns
 * one sequence into the other. INT_MAX if one of them is longer than DISTANCE_MOST. */
int edit_distance(const void *a, int a_length, const void *b, int b_length);

#endif
