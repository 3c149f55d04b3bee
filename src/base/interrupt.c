/* interrupt.c - being asked to stop. */
#include "base/interrupt.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>

static const int asking[] = {SIGINT, SIGTERM, SIGHUP};
enum { ASKING = sizeof asking / sizeof asking[0] };

static volatile sig_atomic_t noted;
static struct sigaction before[ASKING];
static volatile sig_atomic_t caught[ASKING]; /* those that are ours now */

static void note(int signal)
{
    noted = signal;
    interrupts_release();
}

/* System calls go on after the signal: no write fails because of it. */
void interrupts_catch(void)
{
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_handler = note;
    ours.sa_flags = SA_RESTART;
    for (int i = 0; i < ASKING; i++)
        sigaddset(&ours.sa_mask, asking[i]);
    noted = 0;
    for (int i = 0; i < ASKING; i++)
        if (sigaction(asking[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
            caught[i] = sigaction(asking[i], &ours, NULL) == 0;
}

void interrupts_release(void)
{
    for (int i = 0; i < ASKING; i++)
        if (caught[i]) {
            caught[i] = false;
            sigaction(asking[i], &before[i], NULL);
        }
}

int interrupt_signal(void)
{
    return noted;
}
