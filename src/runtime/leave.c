/* leave.c - a member that exits in the middle of its task is a loss as any other.
 *
 * Of a process that ends by a signal PRRTE 3.0.8 tells the others, of one that exits it tells
 * nobody: they would wait for it for ever. So an exit that the task does not know of ends in
 * SIGKILL. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handle.h"

static pid_t member; /* 0: none that others wait for */
static bool is_registered;

static void at_exit(void)
{
    if (member != getpid()) /* a child of the member has what was registered, too */
        return;
    fflush(NULL);
    kill(member, SIGKILL);
}

void leave_guard(void)
{
    member = getpid();
    is_registered = is_registered || atexit(at_exit) == 0;
}

void leave_release(void)
{
    member = 0;
}
