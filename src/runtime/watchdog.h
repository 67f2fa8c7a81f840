/* watchdog.h - bounds MPI calls that nothing else can bound.
 *
 * A thread sleeps until it is armed. If it is not disarmed in time it ends the process: a member
 * that is stuck in shrink or in connection set-up would otherwise hold all others up for ever, and
 * they treat its end like any other loss. That takes a signal: of a process that exits, whatever
 * with, PRRTE 3.0.8 tells nobody. */
#ifndef RUNTIME_WATCHDOG_H
#define RUNTIME_WATCHDOG_H

enum { WATCHDOG_KILL = -1 };

struct watchdog;

struct watchdog *watchdog_create(void); /* NULL: no thread could be had */
void watchdog_destroy(struct watchdog *watchdog);
/* limit_s from now; arming again moves the deadline. exit_code: what to end with, or WATCHDOG_KILL.
 */
void watchdog_arm(struct watchdog *watchdog, double limit_s, int exit_code);
void watchdog_disarm(struct watchdog *watchdog);

#endif
