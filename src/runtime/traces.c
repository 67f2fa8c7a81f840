/* traces.c - which subtask a lost worker was in: each leaves a trace on its host (store's trace.h),
 * and in a change those who live there tell what the dead left. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "process.h"

enum { CLOSE_LOOKS = 16 };

static struct local_id trace_id(const struct onward *ow)
{
    return (struct local_id){.directory = ow->options.local_directory,
                             .task = ow->options.task,
                             .run = ow->run_number,
                             .incarnation = ow->incarnation};
}

void traces_open(struct onward *ow)
{
    struct local_id id = trace_id(ow);
    if (!ow->trace && !ow->dedicated)
        trace_open(&id, &ow->trace, NULL); /* without it, it will not be known */
}

/* One that is dead and not waited for by mpirun's daemon yet is gone, too: its sockets told of it
 * already. */
static bool is_gone(uint32_t pid, uint32_t *looks_left)
{
    if (kill((pid_t)pid, 0) != 0)
        return errno == ESRCH;
    if (*looks_left == 0)
        return false;
    --*looks_left;
    struct process process;
    return !process_read((pid_t)pid, &process);
}

/* To open the trace of every neighbour would cost more than to ask the kernel who is gone; and of
 * many neighbours only some are looked at closely. */
void traces_of_dead(const struct onward *ow, struct change_report *report)
{
    struct local_id id = trace_id(ow);
    uint32_t looks_left = CLOSE_LOOKS;
    for (uint32_t i = 0; i < ow->seat_count && report->trace_count < REPORT_TRACES; i++) {
        const struct seat *seat = &ow->seats[i];
        struct dead_trace *dead = &report->traces[report->trace_count];
        struct trace_point point;
        if (seat->member == ow->member || strcmp(seat->host, ow->host) != 0 ||
            !is_gone(seat->pid, &looks_left) ||
            trace_read(&id, (int32_t)seat->pid, &point) != ONWARD_OK)
            continue;
        *dead = (struct dead_trace){seat->pid, point.step, point.subtask};
        report->trace_count++;
    }
}

static bool find(const struct change_report *reports, int count, const char *host, uint32_t pid,
                 struct trace_point *point)
{
    for (int i = 0; i < count; i++)
        for (uint32_t k = 0; k < reports[i].trace_count && k < REPORT_TRACES; k++) {
            const struct dead_trace *dead = &reports[i].traces[k];
            if (dead->pid != pid || strcmp(reports[i].host, host) != 0)
                continue;
            *point = (struct trace_point){dead->step, dead->subtask};
            return true;
        }
    return false;
}

bool traces_find(const struct onward *ow, const struct change_report *reports, int count,
                 const struct seat *lost, struct trace_point *point)
{
    struct local_id id = trace_id(ow);
    return find(reports, count, lost->host, lost->pid, point) ||
           (strcmp(lost->host, ow->host) == 0 &&
            trace_read(&id, (int32_t)lost->pid, point) == ONWARD_OK);
}
