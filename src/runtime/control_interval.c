/* control_interval.c - how often checkpoints are taken, in words for the status, and what the core
 * is told at a start: what the incarnation before had measured, and when the job is over. */
#include <stdio.h>

#include "clock.h"
#include "control.h"

static const double max_end_s = 1e9; /* from now: beyond it there is no end */

/* When the job is over, on the clock of this host that does not jump. 0: never. */
static int64_t end_us(const struct onward *ow)
{
    if (!(ow->options.end_time_s > 0))
        return 0;
    double left_s = ow->options.end_time_s - clock_since_1970_s();
    if (left_s > max_end_s)
        return 0;
    int64_t now_us = clock_ns() / 1000;
    return left_s > 0 ? now_us + (int64_t)(left_s * 1e6) : now_us > 0 ? now_us : 1;
}

static int64_t us_of(double seconds)
{
    return seconds > 0 && seconds < max_end_s ? (int64_t)(seconds * 1e6) : 0;
}

/* Where nothing is left of the state that the incarnation before had reached, the steps are done
 * again, and the event log has to tell how many. One that ended without a word ended by a failure.
 */
void control_fill_start(const struct onward *ow, struct controller_event *start)
{
    const struct run_status *before = &ow->control->before;
    start->end_us = end_us(ow);
    if (before->task[0] == '\0')
        return;
    start->step = before->step > 0 ? before->step : 0;
    start->cost_us = us_of(before->checkpoint_cost_s);
    start->observed_us = us_of(before->observed_s);
    start->count = before->failures + (before->exit_code < 0);
}

static const char *bound_of(const struct controller_interval *interval)
{
    return interval->interval_us <= interval->low_us                             ? ", the least"
           : interval->high_us > 0 && interval->interval_us >= interval->high_us ? ", the most"
                                                                                 : "";
}

void control_fill_interval(const struct onward *ow, struct run_status *status)
{
    const struct onward_options *options = &ow->options;
    struct controller_interval interval = controller_get_interval(ow->control->core);
    char *text = status->checkpoint_reason;
    size_t room = sizeof status->checkpoint_reason;
    status->checkpoint_interval_s = (double)interval.interval_us / 1e6;
    status->checkpoint_cost_s = (double)interval.cost_us / 1e6;
    status->failures = (uint32_t)(interval.failures < UINT32_MAX ? interval.failures : UINT32_MAX);
    status->observed_s = (double)interval.observed_us / 1e6;
    status->stop_in_s =
        interval.stop_us > 0 ? (double)(interval.stop_us - clock_ns() / 1000) / 1e6 : -1;
    if (ow->control->array_count == 0)
        text[0] = '\0'; /* there is nothing to be saved */
    else if (options->checkpoint_auto)
        snprintf(text, room,
                 "auto: root of 2 x %.3g s cost (%s) x %.3g s between failures (%u seen)%s",
                 interval.cost_us > 0 ? status->checkpoint_cost_s : 1,
                 interval.cost_us > 0 ? "measured" : "assumed", (double)interval.mtbf_us / 1e6,
                 status->failures, bound_of(&interval));
    else if (options->checkpoint_s > 0)
        snprintf(text, room, "as asked for: every %g s", options->checkpoint_s);
    else if (options->checkpoint_steps > 0)
        snprintf(text, room, "as asked for: every %lld steps",
                 (long long)options->checkpoint_steps);
    else
        snprintf(text, room, "at the end only");
}
