/* waiting.c - fewer hosts answer than the task needs, and it waits for others: those that were lost
 * may be back, the file of --hostfile or an operator may name new ones. There is no controller
 * meanwhile, so the launcher answers requests itself. */
#include <stdio.h>
#include <string.h>

#include "joins.h"
#include "say.h"
#include "supervise_internal.h"

enum { MAX_PAUSE_S = 15 };

static const double turn_s = 0.5;

/* Readers of the status see that nothing runs, and why. */
static void tell(struct supervisor *s, const char *text)
{
    struct run_status status;
    display_line(s->settings->display, text);
    if (rundir_read_status(s->settings->rundir, &status, NULL) != ONWARD_OK)
        return;
    snprintf(status.state, sizeof status.state, "waiting");
    snprintf(status.text, sizeof status.text, "%.255s", text);
    status.exit_code = -1;
    rundir_write_status(s->settings->rundir, &status, NULL); /* without room it stays as it was */
}

static bool is_list_of_hosts(const char *text)
{
    struct hosts hosts = {.list = NULL};
    bool is_one = host_changes_parse(text, &hosts);
    hosts_clear(&hosts);
    return is_one;
}

/* Why it cannot be done; NULL: it is done. */
static const char *refusal(const struct supervisor *s, const struct run_request *request)
{
    bool has_hosts = !strcmp(request->request, "hosts");
    if (!strcmp(request->request, "stop"))
        return NULL;
    if (!has_hosts && strcmp(request->request, "scale") != 0)
        return "the task waits for hosts";
    if (request->count < s->settings->allotment->min_workers)
        return "expected at least as many workers as --min";
    return has_hosts && !is_list_of_hosts(request->hosts) ? "expected NAME:SLOTS,..." : NULL;
}

static void answer(struct supervisor *s, const struct run_request *request)
{
    const char *reason = refusal(s, request);
    host_changes_answer(s, request, reason);
    s->stops_waiting |= !reason && !strcmp(request->request, "stop");
}

/* Whether there is a reason to ask the hosts at once. */
static bool hears_news(struct supervisor *s)
{
    struct run_request request;
    uint32_t before = s->settings->allotment->places.count;
    host_changes_look(s);
    joins_look(s, false);
    bool found = supervise_take_request(s, &request);
    if (found)
        answer(s, &request);
    return found || s->settings->allotment->places.count != before;
}

/* A stop from before the wait is for the next incarnation, which has the state to be saved. */
static bool is_to_end(const struct supervisor *s)
{
    return s->signal || s->stops_waiting ||
           rundir_check_fence(s->settings->rundir, NULL) == ONWARD_ERR_FENCED;
}

uint32_t waiting_for_hosts(struct supervisor *s, int64_t incarnation, uint32_t members)
{
    struct allotment *allotment = s->settings->allotment;
    double deadline_s = clock_now_s() + s->settings->wait_s, pause_s = 1;
    char text[160];
    snprintf(text, sizeof text,
             "only %u worker%s fit on the hosts that answer, expected at least %u: waiting %g s",
             members, members == 1 ? "" : "s", allotment->min_workers, s->settings->wait_s);
    s->is_waiting = true;
    for (tell(s, text); members < allotment->min_workers; pause_s *= 2) {
        double now_s = clock_now_s();
        pause_s = pause_s < MAX_PAUSE_S ? pause_s : MAX_PAUSE_S;
        double ask_s = now_s + pause_s < deadline_s ? now_s + pause_s : deadline_s;
        if (now_s >= deadline_s || is_to_end(s))
            break;
        do
            supervise_pause(s, turn_s);
        while (!hears_news(s) && !is_to_end(s) && clock_now_s() < ask_s);
        members = allot_probe(allotment, incarnation, true);
    }
    s->is_waiting = false;
    return members;
}
