/* move.c - looks at the places: one that is wanted and not in use, or in use and to be left, is a
 * reason to start again. What comes within a second is done by one start.
 *
 * So is a lineup that lacks members that were asked for and cannot spawn anybody; the start has all
 * of them. That waits, since a host may come, or mpirun go down, which fills it up for nothing; and
 * longer each time, so that a task that loses workers all the time still gets on (refill.h). A farm
 * is never started again for that: its commands would be begun anew. */
#include "move.h"

#include <stdio.h>
#include <string.h>

#include "joins.h"
#include "say.h"
#include "slurm.h"
#include "supervise_internal.h"

static const double gather_s = 1;

static bool comes(const struct allotment *allotment, const struct place *place)
{
    return place->usable && place->job[0] && !allot_uses(allotment, place->host.name);
}

static bool goes(const struct allotment *allotment, const struct place *place)
{
    return place->leaves && allot_uses(allotment, place->host.name);
}

static bool is_back(const struct allotment *allotment, const struct place *place)
{
    return place->returned && !allot_uses(allotment, place->host.name);
}

static void add_names(struct words *words, const struct allotment *allotment, const char *what,
                      bool (*is_meant)(const struct allotment *, const struct place *))
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < allotment->places.count; i++)
        if (is_meant(allotment, &allotment->places.list[i]))
            words_add(words, "%s%s",
                      count++       ? ", "
                      : words->used ? "; "
                                    : "",
                      allotment->places.list[i].host.name);
    if (count)
        words_add(words, " %s%s", what, count == 1 ? "s" : "");
}

/* Those that were asked for, and no more than there is room for: on all hosts, or on those that
 * answered when they were asked last. */
static uint32_t asked_members(const struct allotment *allotment, bool on_all)
{
    const struct places *places = &allotment->places;
    uint32_t slots = 0;
    for (uint32_t i = 0; i < places->count; i++) {
        const struct place *place = &places->list[i];
        bool counts = place->usable || place->returned || on_all;
        if (counts && place_is_listed(place) && !place->drained)
            slots += place->host.slots;
    }
    bool is_bound = places->count > 0 && slots < allotment->member_count;
    return is_bound ? slots : allotment->member_count;
}

static uint32_t usable_slots(const struct places *places, bool unlisted)
{
    uint32_t slots = 0;
    for (uint32_t i = 0; i < places->count; i++) {
        const struct place *place = &places->list[i];
        if (place->usable && (unlisted ? place->unlisted : place_is_listed(place)))
            slots += place->host.slots;
    }
    return slots;
}

/* Members on hosts that are to go once others can take their place: those for whom there is no room
 * elsewhere, so that nobody counts as missing whose place is taken by one of them. */
static uint32_t leaving_members(const struct places *places, uint32_t present)
{
    uint32_t stay = usable_slots(places, false), leave = usable_slots(places, true);
    uint32_t beyond = present > stay ? present - stay : 0;
    return leave < beyond ? leave : beyond;
}

static uint32_t missing_members(const struct supervisor *s, bool on_all)
{
    const struct allotment *allotment = s->settings->allotment;
    uint32_t present = s->watch.status.workers + s->watch.status.spares;
    uint32_t asked = asked_members(allotment, on_all);
    present -= leaving_members(&allotment->places, present);
    return asked > present ? asked - present : 0;
}

uint32_t move_missing_members(const struct supervisor *s)
{
    return missing_members(s, true);
}

static void add_refill(struct supervisor *s, struct words *words)
{
    struct refill *refill = &s->refill;
    double now_s = clock_now_s();
    uint32_t missing = missing_members(s, false);
    uint32_t asked = asked_members(s->settings->allotment, false);
    const struct supervise_settings *settings = s->settings;
    bool is_wanted = refill->is_asked || (settings->respawns && !settings->has_commands);
    refill->is_asked &= move_missing_members(s) > 0;
    if (!s->watch.status.spawns_barred || !is_wanted || missing == 0) {
        refill->since_s = 0;
        return;
    }
    double wait_s = refill_wait_for_s(refill_wait_s(refill, now_s - s->begun_s), missing, asked);
    if (refill->is_asked)
        wait_s = 0;
    if (refill->since_s == 0) {
        refill->since_s = now_s;
    } else if (now_s - refill->since_s > wait_s && words->used == 0) {
        words_add(words, "%u of %u members are missing, and none can be spawned", missing, asked);
    }
}

static void ask_to_stop(struct supervisor *s)
{
    struct run_request request = {.request = "restart"};
    struct error error;
    if (rundir_put_request(s->settings->rundir, &request, &error) != ONWARD_OK) {
        supervise_warn(s, error.text);
        s->move.due_s = clock_now_s() + s->settings->stop_s;
        return;
    }
    s->move.asked_s = clock_now_s();
    snprintf(s->move.request, sizeof s->move.request, "%s", request.name);
}

/* A controller that does not take the request is busy with a change, which others watch over: it is
 * asked again later. */
static bool is_overdue(struct supervisor *s)
{
    struct move *move = &s->move;
    double now_s = clock_now_s();
    if (now_s - move->asked_s <= supervise_stop_limit_s(s, move->is_taken))
        return false;
    if (move->is_taken)
        return true;
    move->is_taken = !move_withdraw(s); /* it was taken, and the event is not seen yet */
    if (!move->is_taken) {
        move->request[0] = '\0';
        move->due_s = now_s + s->settings->stop_s;
    }
    return false;
}

bool move_look(struct supervisor *s)
{
    struct move *move = &s->move;
    double now_s = clock_now_s();
    if (s->signal || !s->watch.seen || s->watch.status.epoch == 0)
        return false;
    if (move->request[0])
        return is_overdue(s);
    struct words words = words_start(move->cause, sizeof move->cause);
    add_names(&words, s->settings->allotment, "come", comes);
    add_names(&words, s->settings->allotment, "leave", goes);
    double ran_s = now_s - s->begun_s;
    bool is_due = s->refill.is_asked ||
                  (!s->settings->has_commands && ran_s > refill_wait_s(&s->refill, ran_s));
    if (is_due && missing_members(s, false) > 0)
        add_names(&words, s->settings->allotment, s->refill.is_asked ? "come" : "return", is_back);
    add_refill(s, &words);
    if (words.used == 0)
        move->due_s = 0;
    else if (move->due_s == 0)
        move->due_s = now_s + gather_s;
    else if (now_s > move->due_s)
        ask_to_stop(s);
    return false;
}

bool move_is_made(const struct supervisor *s)
{
    return s->move.request[0] && !s->signal && !s->result->was_asked_to_stop &&
           s->watch.status.exit_code == EXIT_RESUMABLE;
}

void move_tell(struct supervisor *s, bool is_on)
{
    struct run_status status = s->watch.status;
    if (is_on) {
        snprintf(status.state, sizeof status.state, "restarting");
        snprintf(status.text, sizeof status.text, "%s", s->move.cause);
        status.exit_code = -1;
    }
    rundir_write_status(s->settings->rundir, &status, NULL); /* without room it stays as it was */
}

bool move_withdraw(struct supervisor *s)
{
    return s->move.request[0] && rundir_withdraw_request(s->settings->rundir, s->move.request);
}

/* One of the task's own job: back to Slurm. */
static void give_back(struct supervisor *s, const char *host)
{
    char text[MOVE_CAUSE_BYTES + 256];
    struct error error;
    if (slurm_give_host(&s->settings->allotment->places, host, &error) == ONWARD_OK)
        snprintf(text, sizeof text, "host %.100s was given back to Slurm", host);
    else
        snprintf(text, sizeof text, "host %.100s could not be given back to Slurm: %.200s", host,
                 error.text);
    supervise_warn(s, text);
}

void move_begin(struct supervisor *s)
{
    bool fills = s->refill.since_s > 0;
    for (uint32_t i = 0; i < s->settings->allotment->places.count; i++)
        fills |= s->settings->allotment->places.list[i].returned;
    refill_begin(&s->refill, s->is_planned && fills);
    returns_end(s);
    s->move = (struct move){.due_s = 0};
}

/* A restart leaves the copies where they are. Once the start has an epoch it has the state, and
 * those on hosts that it is without are of no use. A host that was lost is not asked: it may not
 * answer. */
static void clear_left(struct supervisor *s, struct place *place)
{
    bool is_left = place->has_copies && (place->leaves || place->drained || place->retired) &&
                   !allot_uses(s->settings->allotment, place->host.name);
    if (!is_left || s->watch.status.epoch == 0)
        return;
    place->has_copies = false;
    if (!places_clear(&s->settings->allotment->places, place->host.name, s->incarnation))
        supervise_warn_of_host(s, place->host.name, "copies of the state may be left there");
}

void move_settle(struct supervisor *s)
{
    struct places *places = &s->settings->allotment->places;
    for (uint32_t i = 0; s->watch.seen && i < places->count; i++)
        clear_left(s, &places->list[i]);
    for (uint32_t i = 0; s->watch.seen && i < places->count;) {
        struct place place = places->list[i++];
        if (!place.leaves || place.has_copies ||
            allot_uses(s->settings->allotment, place.host.name))
            continue;
        if (!place.job[0])
            give_back(s, place.host.name);
        places_remove(places, place.host.name);
        if (place.job[0])
            joins_left(s, place.job);
        i = 0;
    }
}
