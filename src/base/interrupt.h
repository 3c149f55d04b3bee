/* interrupt.h - being asked to stop: by Ctrl-C (SIGINT), by the system or a batch queue
 * (SIGTERM), by a terminal that was closed (SIGHUP). */
#ifndef LINEAGE_INTERRUPT_H
#define LINEAGE_INTERRUPT_H

/* From now on the first of these signals is only noted; a second one, of whatever kind,
 * does what it would have done without us. A signal that the parent of this process ignores
 * (nohup, trap '' INT) stays ignored. */
void interrupts_catch(void);

/* Puts back what was before. */
void interrupts_release(void);

/* The signal that came since interrupts_catch was called last; 0 if none. */
int interrupt_signal(void);

#endif
