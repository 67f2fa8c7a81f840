/* control_copies.c - what the controller makes of the copies of shards that all hosts hold: which
 * state can be put together from them, and who is to give which shard. */
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "copy.h"

/* What a holder is to copyset, which takes the lowest: its rank in the candidate, and more than any
 * where the copy is of a worker of another host, so that a worker's own copy comes first. */
#define SENT_HERE 0x80000000u

static uint32_t holder_at(uint32_t rank, bool is_partner)
{
    return rank | (is_partner ? SENT_HERE : 0);
}

static uint32_t rank_of(const struct copyset_entry *entry)
{
    return entry->holder & ~SENT_HERE;
}

/* Every member of a host lists the same files: the first of each host speaks for it. */
static bool speaks_for_host(const struct change_report *reports, int rank)
{
    for (int i = 0; i < rank; i++)
        if (reports[i].copy_count > 0 && strcmp(reports[i].host, reports[rank].host) == 0)
            return false;
    return true;
}

static uint32_t collect(const struct change_report *reports, int count, const struct copy_id *lists,
                        struct copyset_entry *entries)
{
    uint32_t total = 0;
    for (int i = 0; i < count; i++) {
        bool speaks = speaks_for_host(reports, i);
        for (uint32_t k = 0; k < reports[i].copy_count; k++, lists++)
            if (speaks)
                entries[total++] = (struct copyset_entry){
                    .incarnation = lists->incarnation,
                    .epoch = lists->epoch,
                    .step = lists->step,
                    .shard = lists->shard,
                    .shard_count = lists->shard_count,
                    .holder = holder_at((uint32_t)i, lists->is_partner != 0)};
    }
    return total;
}

/* One file for all members of a host: what one of them could not get at, none is asked for. */
static uint32_t leave_out(const struct change_report *reports, int rank, const struct copy_id *copy,
                          struct copyset_entry *entries, uint32_t total)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < total; i++) {
        const struct copyset_entry *entry = &entries[i];
        bool is_it = entry->incarnation == copy->incarnation && entry->epoch == copy->epoch &&
                     entry->step == copy->step && entry->shard == copy->shard &&
                     strcmp(reports[rank_of(entry)].host, reports[rank].host) == 0;
        if (!is_it)
            entries[kept++] = *entry;
    }
    return kept;
}

static uint32_t leave_out_unread(const struct change_report *reports, int count,
                                 const struct copy_id *lists, struct copyset_entry *entries,
                                 uint32_t total)
{
    for (int i = 0; i < count; i++)
        for (uint32_t k = 0; k < reports[i].copy_count; k++, lists++)
            if (lists->is_unread)
                total = leave_out(reports, i, lists, entries, total);
    return total;
}

int control_take_copies(struct onward *ow, const struct change_report *reports, int count,
                        const struct copy_id *lists, uint32_t list_count)
{
    struct control *control = ow->control;
    free(control->copyset);
    control->copyset_size = 0;
    control->copyset = calloc((size_t)list_count + 1, sizeof *control->copyset);
    if (!control->copyset)
        return ONWARD_ERR_MEMORY;
    uint32_t total = collect(reports, count, lists, control->copyset);
    control->copyset_size = leave_out_unread(reports, count, lists, control->copyset, total);
    return ONWARD_OK;
}

void control_choose_copies(struct onward *ow)
{
    struct control *control = ow->control;
    uint32_t first = 0, count = control->copyset_size;
    control->copyset_size = 0;
    if (!copyset_choose(control->copyset, count, control->checkpoint_incarnation, &first))
        return;
    control->copyset_size = control->copyset[first].shard_count;
    memmove(control->copyset, control->copyset + first,
            control->copyset_size * sizeof *control->copyset);
}

/* The set as one copy of the whole state that the holder of its first shard has. */
bool control_copies_held(const struct onward *ow, int rank, int64_t *step)
{
    const struct control *control = ow->control;
    if (control->copyset_size == 0 || rank_of(&control->copyset[0]) != (uint32_t)rank)
        return false;
    *step = control->copyset[0].step;
    return true;
}

/* NULL: memory is short. */
int32_t *control_copy_holders(const struct onward *ow)
{
    const struct control *control = ow->control;
    int32_t *holders = calloc((size_t)control->copyset_size + 1, sizeof *holders);
    for (uint32_t i = 0; i < control->copyset_size && holders; i++)
        holders[i] = (int32_t)rank_of(&control->copyset[i]);
    return holders;
}

static json_t *shards_of(const struct control *control, uint32_t holder)
{
    json_t *shards = json_array();
    for (uint32_t i = 0; i < control->copyset_size; i++)
        if (control->copyset[i].holder == holder)
            json_array_append_new(shards, json_integer((json_int_t)i));
    return shards;
}

/* The rank of a holder is its seat. */
json_t *control_tell_copies(const struct onward *ow)
{
    const struct control *control = ow->control;
    json_t *hosts = json_array();
    for (uint32_t i = 0; i < ow->seat_count; i++) {
        json_t *own = shards_of(control, holder_at(i, false)),
               *sent = shards_of(control, holder_at(i, true));
        if (json_array_size(own) + json_array_size(sent) > 0)
            json_array_append_new(hosts, json_pack("{s:s, s:O, s:O}", "host", ow->seats[i].host,
                                                   "local", own, "partner", sent));
        json_decref(own);
        json_decref(sent);
    }
    return hosts;
}
