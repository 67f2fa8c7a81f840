/* early.c - mpirun is started again while the hosts are still being asked.
 *
 * To ask first and to start then would cost two round trips of the agent one after the other. So
 * the start goes to the hosts that are believed to live: they sent heartbeats to the last, and
 * mpirun did not name them as lost. Its controller waits until the incarnation is claimed, and that
 * happens when all have answered and nothing of the incarnation before is left on them. Where the
 * answers are others than was believed, the start is ended, and the next one follows from the
 * answers. The claim names the start that it is for: members of the other one may live for a moment
 * after it, and would take what the hosts hold and begin.
 *
 * A program that does not use libonward waits for nothing: it is started when nothing of the
 * incarnation before can write its restart files any more. */
#include "supervise_internal.h"

/* Makes the hosts that are believed in those that can be used. Are there enough? */
static bool choose(struct supervisor *s)
{
    struct allotment *allotment = s->settings->allotment;
    struct places *places = &allotment->places;
    for (uint32_t i = 0; i < places->count; i++) {
        struct place *place = &places->list[i];
        place->usable = place->is_expected && !place->retired && !place->drained;
    }
    uint32_t slots = places_spare_unlisted(places, allotment->min_workers);
    return places->count > 0 && slots >= allotment->min_workers;
}

bool early_begin(struct supervisor *s)
{
    int64_t next = s->incarnation + 1;
    if (s->plain.settings || s->signal_count || !choose(s))
        return false;
    supervise_name_start(s);
    if (allot_command(s->settings->allotment, next, NULL) != ONWARD_OK)
        return false;
    s->is_started = supervise_start(s, next, NULL) == ONWARD_OK;
    return s->is_started;
}

bool early_settle(struct supervisor *s, bool wanted)
{
    if (wanted && !s->signal_count && allot_fits(s->settings->allotment))
        return true;
    supervise_kill(s);
    s->is_started = false;
    return false;
}
