/* drill_costs.c - a fault is answered by the first epoch that is newer than the loss of its member
 * in the log, or that follows a relaunch. Any other epoch, a join's say, has nothing to do with it,
 * and the cause of an epoch does not tell: it names one of several changes that came together. */
#include "drill_costs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "event.h"
#include "place.h"

void drill_costs_add(struct drill_costs *costs, int64_t number, int64_t incarnation,
                     uint32_t member, const char *host)
{
    if (costs->open_count == DRILL_MAX_OPEN) { /* the oldest will hardly be answered any more */
        memmove(costs->open, costs->open + 1, sizeof costs->open - sizeof *costs->open);
        costs->open_count--;
        costs->given_up++;
    }
    struct drill_open *fault = &costs->open[costs->open_count++];
    *fault = (struct drill_open){.number = number, .incarnation = incarnation, .member = member};
    snprintf(fault->host, sizeof fault->host, "%s", host);
}

static void notice(struct drill_open *fault, const json_t *event, int64_t epoch)
{
    fault->is_noticed = true;
    fault->noticed_incarnation = event_number(event, "incarnation");
    fault->noticed_epoch = epoch;
}

static void take_loss(struct drill_costs *costs, const json_t *event)
{
    for (uint32_t i = 0; i < costs->open_count; i++) {
        struct drill_open *fault = &costs->open[i];
        bool is_meant = fault->member != 0
                            ? event_number(event, "member") == fault->member
                            : place_same_host(fault->host, event_text(event, "host"));
        if (is_meant && !fault->is_noticed &&
            event_number(event, "incarnation") == fault->incarnation)
            notice(fault, event, event_number(event, "epoch"));
    }
}

/* Nothing of the incarnations before is left, noticed or not. */
static void take_relaunch(struct drill_costs *costs, const json_t *event)
{
    costs->relaunches++;
    costs->is_relaunched = true;
    for (uint32_t i = 0; i < costs->open_count; i++)
        if (costs->open[i].incarnation < event_number(event, "incarnation"))
            notice(&costs->open[i], event, -1);
}

static bool is_answer(const struct drill_open *fault, const json_t *event)
{
    int64_t incarnation = event_number(event, "incarnation");
    return fault->is_noticed && (incarnation > fault->noticed_incarnation ||
                                 (incarnation == fault->noticed_incarnation &&
                                  event_number(event, "epoch") > fault->noticed_epoch));
}

static bool take_epoch(struct drill_costs *costs, const json_t *event, struct drill_cost *cost)
{
    uint32_t left = 0;
    cost->fault_count = 0;
    for (uint32_t i = 0; i < costs->open_count; i++)
        if (is_answer(&costs->open[i], event))
            cost->faults[cost->fault_count++] = costs->open[i].number;
        else
            costs->open[left++] = costs->open[i];
    if (cost->fault_count == 0 && !costs->is_relaunched)
        return false;
    costs->open_count = left;
    costs->is_relaunched = false;
    cost->epoch = event_number(event, "epoch");
    cost->workers = event_number(event, "workers");
    cost->step = event_number(event, "step");
    cost->steps_lost = event_number(event, "steps_lost");
    cost->stall_s = json_number_value(json_object_get(event, "stall_s"));
    snprintf(cost->cause, sizeof cost->cause, "%s", event_text(event, "cause"));
    costs->epochs++;
    costs->steps_lost += cost->steps_lost;
    costs->stall_s += cost->stall_s;
    costs->longest_stall_s = fmax(costs->longest_stall_s, cost->stall_s);
    return true;
}

bool drill_costs_event(struct drill_costs *costs, const json_t *event, struct drill_cost *cost)
{
    const char *what = event_text(event, "event");
    if (!strcmp(what, "lost"))
        take_loss(costs, event);
    else if (!strcmp(what, "relaunch"))
        take_relaunch(costs, event);
    return !strcmp(what, "epoch") && take_epoch(costs, event, cost);
}

int64_t drill_costs_unanswered(const struct drill_costs *costs)
{
    return costs->given_up + costs->open_count;
}
