/* copies_keep.c - which copies of shards stay, and which go; see copies.h.
 *
 * At any time there is a set that is whole: the newest of which all workers know that it is, and
 * where there are other hosts the newest that has arrived there, with what its own workers have of
 * it. Older ones go as soon as that is agreed on. Where there is no room for a new set beside these
 * a checkpoint that is as new takes their place. */
#include "copies_keep.h"

#include "copies.h"

/* Until so many sets in a row failed to arrive, the one of an epoch before is kept. */
enum { FLIGHT_TRIES = 3 };

static bool is_of_epoch(const struct onward *ow, const struct copy_id *id)
{
    return id->incarnation == ow->incarnation && id->epoch == ow->role.epoch;
}

static bool is_of_epoch_before(void *context, const struct copy_id *id)
{
    const struct onward *ow = context;
    return copy_is_before(id, ow->incarnation, ow->role.epoch);
}

/* A copy of this worker that no set needs any more; or one that was sent to this host, of a set
 * before the newest that has arrived whole. */
static bool is_done_with(void *context, const struct copy_id *id)
{
    const struct onward *ow = context;
    const struct copies *copies = &ow->copies;
    if (!is_of_epoch(ow, id))
        return false;
    if (id->is_partner)
        return id->step < copies->sent_step;
    return id->shard == (uint32_t)ow->role.rank && id->step != copies->whole_step &&
           id->step != copies->sent_step && id->step != copies->flight_step;
}

struct making_room {
    struct onward *ow;
    int64_t saved_step; /* all know of a committed checkpoint of that step; -1: of none */
};

static bool is_in_the_way(void *context, const struct copy_id *id)
{
    struct making_room *making = context;
    const struct copy_id *from = &making->ow->copies.from;
    bool is_of_set = from->shard_count > 0 && id->incarnation == from->incarnation &&
                     id->epoch == from->epoch && id->step == from->step;
    return is_of_epoch_before(making->ow, id) && !(is_of_set && from->step > making->saved_step);
}

/* Of the sets of epochs before, the one that this epoch began from is enough, and, where for want
 * of room no set of this epoch is whole yet, none is needed where a checkpoint is as new. */
static void remove_those_before(struct onward *ow, int64_t saved_step)
{
    struct copy_place place = copies_place(ow);
    struct making_room making = {ow, saved_step};
    if (!ow->copies.is_swept)
        copy_sweep(&place, is_in_the_way, &making);
}

static bool is_saved(void *context, const struct copy_id *id)
{
    struct making_room *making = context;
    return is_of_epoch(making->ow, id) && id->step <= making->saved_step;
}

/* The sets of this epoch go where a checkpoint is as new as each of them. */
static void remove_those_saved(struct onward *ow, int64_t saved_step)
{
    struct copies *copies = &ow->copies;
    struct copy_place place = copies_place(ow);
    struct making_room making = {ow, saved_step};
    if (saved_step < copies->whole_step || saved_step < copies->sent_step)
        return;
    copy_sweep(&place, is_saved, &making);
    copies->whole_step = copies->sent_step = -1;
}

void copies_make_room(struct onward *ow, const struct copies_agreement *agreed)
{
    struct copies *copies = &ow->copies;
    if (agreed->lacks_room) {
        remove_those_before(ow, agreed->saved_step);
        remove_those_saved(ow, agreed->saved_step);
    } else if (!copies->is_trimmed && copies->from.shard_count > 0) {
        remove_those_before(ow, -1);
    }
    copies->is_trimmed = true;
}

void copies_settle(struct onward *ow, const struct copies_agreement *agreed)
{
    struct copies *copies = &ow->copies;
    struct copy_place place = copies_place(ow);
    if (copies->newest_step >= 0 && agreed->newest_is_whole)
        copies->whole_step = copies->newest_step;
    copies->newest_step = -1;
    if (copies->flight_step >= 0 && agreed->flight_ended) {
        copies->failures = agreed->flight_is_whole ? 0 : copies->failures + 1;
        if (agreed->flight_is_whole)
            copies->sent_step = copies->flight_step;
        copies->flight_step = -1;
    }
    copy_sweep(&place, is_done_with, ow);
    bool is_alone = !copies->has_partner && !copies->lacks_partner;
    bool is_safe = copies->whole_step >= 0 &&
                   (is_alone || copies->sent_step >= 0 || copies->failures >= FLIGHT_TRIES);
    if (is_safe && !copies->is_swept) {
        copy_sweep(&place, is_of_epoch_before, ow);
        copies->is_swept = true;
    }
}
