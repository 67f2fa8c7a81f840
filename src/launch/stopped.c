/* stopped.c - finds processes that stay stopped. A process that a debugger holds is in another
 * state ('t') and is left alone. */
#include "stopped.h"

#include <signal.h>
#include <stdlib.h>

#include "processes.h"
#include "say.h"

static const double interval_s = 1;

static double since(const struct stopped *stopped, pid_t pid, double now_s)
{
    for (uint32_t i = 0; i < stopped->count; i++)
        if (stopped->seen[i].pid == pid)
            return stopped->seen[i].since_s;
    return now_s;
}

uint32_t stopped_look(struct stopped *stopped, double limit_s, pid_t *killed)
{
    double now_s = clock_now_s();
    if (now_s < stopped->next_s)
        return 0;
    struct stopped now = {.next_s = now_s + interval_s};
    struct process *list;
    uint32_t killed_count = 0;
    int count = processes_below(&list);
    for (int i = 0; i < count && now.count < STOPPED_MAX; i++) {
        if (list[i].state != 'T')
            continue;
        double since_s = since(stopped, list[i].pid, now_s);
        now.seen[now.count].pid = list[i].pid;
        now.seen[now.count++].since_s = since_s;
        if (now_s - since_s > limit_s && kill(list[i].pid, SIGKILL) == 0) {
            *killed = list[i].pid;
            killed_count++;
        }
    }
    free(list);
    *stopped = now;
    return killed_count;
}

void stopped_excuse(struct stopped *stopped, double seconds)
{
    for (uint32_t i = 0; i < stopped->count; i++)
        stopped->seen[i].since_s += seconds;
}
