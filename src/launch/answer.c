/* answer.c - what came of a request for another lineup.
 *
 * The controller's answer is its `request` event of the same name. If that says that the lineup
 * changes, those who join or are drained follow, and then the event of the epoch. */
#include "answer.h"

#include <stdio.h>
#include <string.h>

#include "event.h"
#include "place.h"
#include "words.h"

void answer_start(struct answer *answer, const struct run_request *request)
{
    *answer = (struct answer){.request = *request};
}

static void take_answer(struct answer *answer, const json_t *event)
{
    answer->taken = true;
    answer->accepted = json_is_true(json_object_get(event, "accepted"));
    answer->changes = json_is_true(json_object_get(event, "changes"));
    answer->expected = event_number(event, "expected");
    answer->asked_epoch = event_number(event, "epoch");
    answer->step = event_number(event, "step");
    answer->done = !answer->accepted || !answer->changes;
    snprintf(answer->reason, sizeof answer->reason, "%s", event_text(event, "reason"));
}

static void take_epoch(struct answer *answer, const json_t *event)
{
    if (event_number(event, "epoch") <= answer->asked_epoch)
        return;
    bool is_started = answer->restarted && !strcmp(answer->request.request, "undrain");
    answer->done = event_number(event, "workers") >= answer->expected || is_started;
    answer->epoch = event_number(event, "epoch");
    answer->step = event_number(event, "step");
    answer->workers = event_number(event, "workers");
    answer->steps_lost = event_number(event, "steps_lost");
    answer->stall_s = json_number_value(json_object_get(event, "stall_s"));
}

static bool names_host(const struct answer *answer, const char *host)
{
    char name[PLACE_NAME_BYTES];
    uint32_t slots;
    const char *hosts = answer->request.hosts;
    if (answer->request.host[0] && place_same_host(answer->request.host, host))
        return true;
    while (place_next_host(&hosts, name, &slots))
        if (!strcmp(name, host))
            return true;
    return false;
}

static void remember(struct member_list *list, const json_t *event)
{
    if (list->count < ANSWER_LIST_MAX)
        list->member[list->count] = (uint32_t)event_number(event, "member");
    list->count++;
}

static bool is_end(const char *what)
{
    return !strcmp(what, "complete") || !strcmp(what, "stopped") || !strcmp(what, "failed");
}

void answer_event(struct answer *answer, const json_t *event)
{
    const char *what = event_text(event, "event");
    if (answer->done)
        return;
    if (is_end(what)) {
        answer->ended = true;
        answer->done = !strcmp(what, "complete");
        snprintf(answer->reason, sizeof answer->reason, "the task is %s", what);
    } else if (!strcmp(what, "relaunch")) {
        answer->ended = false;
        answer->restarted = true;
        answer->asked_epoch = 0; /* each incarnation counts its own */
    } else if (!strcmp(what, "request") &&
               !strcmp(event_text(event, "name"), answer->request.name)) {
        take_answer(answer, event);
    } else if (!answer->taken) {
        return;
    } else if (!strcmp(what, "warning") && names_host(answer, event_text(event, "host"))) {
        snprintf(answer->obstacle, sizeof answer->obstacle, "%s", event_text(event, "text"));
    } else if (!strcmp(what, "joined")) {
        remember(&answer->joined, event);
    } else if (!strcmp(what, "drained")) {
        remember(&answer->drained, event);
    } else if (!strcmp(what, "epoch")) {
        take_epoch(answer, event);
    }
}

void answer_end(struct answer *answer)
{
    if (!answer->ended)
        snprintf(answer->reason, sizeof answer->reason, "the launcher of the task is gone");
    answer->ended = answer->done = true;
}

void answer_request_text(const struct run_request *request, char *text, size_t text_bytes)
{
    if (request->hosts[0])
        snprintf(text, text_bytes, "scale %lld with %.120s", (long long)request->count,
                 request->hosts);
    else if (!strcmp(request->request, "scale"))
        snprintf(text, text_bytes, "scale %lld", (long long)request->count);
    else if (request->member)
        snprintf(text, text_bytes, "%s %lld", request->request, (long long)request->member);
    else
        snprintf(text, text_bytes, "%s %s", request->request, request->host);
}

static bool is_scale(const struct answer *answer)
{
    return !strcmp(answer->request.request, "scale") || answer->request.hosts[0];
}

static bool is_drain(const struct answer *answer)
{
    return !strcmp(answer->request.request, "drain");
}

static void add_members(struct words *words, const struct member_list *list)
{
    uint32_t shown = list->count < ANSWER_LIST_MAX ? list->count : ANSWER_LIST_MAX;
    uint32_t beyond = list->count - shown;
    words_add(words, list->count == 1 ? "member" : "members");
    for (uint32_t i = 0; i < shown; i++)
        words_add(words, "%s %u",
                  i == 0                ? ""
                  : i + 1 < list->count ? ","
                                        : " and",
                  list->member[i]);
    if (beyond > 0)
        words_add(words, " and %u more", beyond);
}

static void add_workers(struct words *words, const struct answer *answer, int64_t workers)
{
    words_add(words, "%lld worker%s on", (long long)workers, workers == 1 ? " goes" : "s go");
    if (is_scale(answer) && workers < answer->request.count)
        words_add(words, ", as many as there are%s", answer->expected > workers ? " by now" : "");
    if (answer->obstacle[0] && workers < answer->expected)
        words_add(words, ": %s", answer->obstacle);
}

static int add_change(struct words *words, const struct answer *answer)
{
    bool is_quiet = is_drain(answer) && answer->drained.count == 0;
    if (is_quiet && !answer->restarted) {
        words_add(words, "forgotten, since the controller was lost meanwhile; ask again");
        return 1;
    }
    if (is_drain(answer) && !is_quiet) {
        add_members(words, &answer->drained);
        words_add(words, " left the lineup at step %lld, ", (long long)answer->step);
    }
    if (answer->joined.count > 0) {
        add_members(words, &answer->joined);
        words_add(words, " joined the lineup at step %lld, ", (long long)answer->step);
    }
    bool is_undrain = !is_scale(answer) && !is_drain(answer);
    if (is_quiet || (answer->joined.count == 0 && (is_scale(answer) || answer->restarted)))
        words_add(words, "from step %lld ", (long long)answer->step);
    else if (is_undrain && answer->joined.count == 0)
        words_add(words, "nobody is needed in the lineup, ");
    add_workers(words, answer, answer->workers);
    return answer->obstacle[0] && answer->workers < answer->expected;
}

int answer_text(const struct answer *answer, const struct run_status *status, char *text,
                size_t text_bytes)
{
    char asked[RUNDIR_HOST_BYTES + 32];
    struct words words = words_start(text, text_bytes);
    answer_request_text(&answer->request, asked, sizeof asked);
    words_add(&words, "%s: ", asked);
    if (answer->ended) {
        words_add(&words, "not done: %s", answer->reason);
        return 1;
    }
    if (!answer->accepted) {
        words_add(&words, "refused: %s", answer->reason);
        return 1;
    }
    if (answer->changes)
        return add_change(&words, answer);
    if (!is_scale(answer) && answer->reason[0])
        words_add(&words, "%s, ", answer->reason);
    else if (!is_scale(answer))
        words_add(&words, is_drain(answer) ? "is drained already, " : "is not drained, ");
    add_workers(&words, answer, status->workers);
    return 0;
}

static json_t *list_json(const struct member_list *list)
{
    json_t *root = json_array();
    for (uint32_t i = 0; i < list->count && i < ANSWER_LIST_MAX; i++)
        json_array_append_new(root, json_integer(list->member[i]));
    return root;
}

json_t *answer_json(const struct answer *answer, const char *task, const char *text)
{
    json_t *root = json_pack("{s:s, s:s, s:b, s:b, s:b, s:s}", "task", task, "request",
                             answer->request.request, "taken", answer->taken, "accepted",
                             answer->accepted, "changes", answer->changes, "text", text);
    if (!answer->accepted && answer->reason[0])
        json_object_set_new(root, "reason", json_string(answer->reason));
    if (answer->epoch == 0)
        return root;
    json_t *more =
        json_pack("{s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "epoch", (json_int_t)answer->epoch, "step",
                  (json_int_t)answer->step, "workers", (json_int_t)answer->workers, "steps_lost",
                  (json_int_t)answer->steps_lost, "stall_s", answer->stall_s, "joined",
                  list_json(&answer->joined), "drained", list_json(&answer->drained));
    json_object_update(root, more);
    json_decref(more);
    return root;
}
