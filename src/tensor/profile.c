/* profile.c - where the time goes. */
#include "tensor/profile.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_NAMES = 64 };

typedef struct {
    const char *name;
    double seconds[2]; /* forward, backward */
    long turns;        /* forward */
} Account;

struct Profile {
    Account account[MOST_NAMES];
    int count;
    double *running; /* whose time it is; NULL: nobody's */
    double since;
};

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

Profile *profile_new(void)
{
    return allocate(1, sizeof(Profile));
}

void profile_free(Profile *profile)
{
    free(profile);
}

/* Beyond the last account everything goes into it. */
static Account *account_of(Profile *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->account[i].name, name) == 0)
            return &p->account[i];
    if (p->count == MOST_NAMES)
        return &p->account[MOST_NAMES - 1];
    p->account[p->count].name = name;
    return &p->account[p->count++];
}

void profile_turn(Profile *p, const char *name, ProfileWay way)
{
    if (!p)
        return;
    double now = seconds_now();
    if (p->running)
        *p->running += now - p->since;
    p->since = now;
    p->running = NULL;
    if (name) {
        Account *a = account_of(p, name);
        a->turns += way == PROFILE_FORWARD;
        p->running = &a->seconds[way];
    }
}

static double total(const Account *a)
{
    return a->seconds[PROFILE_FORWARD] + a->seconds[PROFILE_BACKWARD];
}

static int longest_first(const void *a, const void *b)
{
    double difference = total(b) - total(a);
    return (difference > 0) - (difference < 0);
}

void profile_print(FILE *out, const Profile *profile, long steps)
{
    Profile p = *profile;
    double all = 0, n = steps > 0 ? (double)steps : 1;
    for (int i = 0; i < p.count; i++)
        all += total(&p.account[i]);
    qsort(p.account, (size_t)p.count, sizeof p.account[0], longest_first);
    fprintf(out, "%-20s %8s %12s %12s %8s\n", "of a step", "times", "forward, ms",
            "backward, ms", "share");
    for (int i = 0; i < p.count; i++) {
        const Account *a = &p.account[i];
        fprintf(out, "%-20s %8.1f %12.3f %12.3f %7.1f%%\n", a->name, (double)a->turns / n,
                1e3 * a->seconds[PROFILE_FORWARD] / n,
                1e3 * a->seconds[PROFILE_BACKWARD] / n, 100 * total(a) / all);
    }
    fprintf(out, "%-20s %8s %12.3f ms\n", "all", "", 1e3 * all / n);
}
