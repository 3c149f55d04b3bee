/* profile.h - where the time goes.
 *
 * A clock that is always running for somebody: profile_turn says who it is from now on. The
 * tape tells it of every operation, forward and backward. */
#ifndef LINEAGE_PROFILE_H
#define LINEAGE_PROFILE_H

#include <stdio.h>

typedef struct Profile Profile;
typedef enum { PROFILE_FORWARD, PROFILE_BACKWARD } ProfileWay;

double seconds_now(void); /* since some moment in the past */

Profile *profile_new(void);
void profile_free(Profile *profile);

/* From now on time counts for `name`, until the next turn. NULL: for nobody. A profile that
 * is NULL does nothing. The name must stay where it is. */
void profile_turn(Profile *profile, const char *name, ProfileWay way);

/* A table of who took how long, divided by `steps`, the longest first. */
void profile_print(FILE *out, const Profile *profile, long steps);

#endif
