/* profile.h - where the time goes.
 *
 * Time is counted for one name at a time; profile_turn says for which from now on. A tape
 * calls it for every operation, forward and backward. */
#ifndef LINEAGE_PROFILE_H
#define LINEAGE_PROFILE_H

#include <stdio.h>

typedef struct Profile Profile;
typedef enum { PROFILE_FORWARD, PROFILE_BACKWARD } ProfileWay;

double seconds_now(void); /* from a clock that never goes back */

Profile *profile_new(void);
void profile_free(Profile *profile);

/* From now on time counts for `name`, until the next turn; for nothing when it is NULL. A
 * profile that is NULL does nothing. The name must stay where it is. */
void profile_turn(Profile *profile, const char *name, ProfileWay way);

/* A table of how long each name took, divided by `steps`, the longest first. */
void profile_print(FILE *out, const Profile *profile, long steps);

#endif
