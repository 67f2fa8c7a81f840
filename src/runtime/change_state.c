/* change_state.c - how the state comes to the workers of a new lineup: from the memory of a member,
 * from copies on the hosts, or from a checkpoint. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change_pass.h"
#include "copies.h"
#include "shards.h"
#include "slots.h"

/* Bits come in, and may be cut in the middle: until the agreement an ONWARD_ATOMIC array is neither
 * the state after complete_step nor as it was at the start. */
static void expose(struct onward *ow, uint8_t source)
{
    if (slots_have_all(ow))
        return;
    ow->clean = false;
    if (shards_any(ow)) /* initial values were kept */
        return;
    ow->dirty = ow->dirty || source != SOURCE_FRESH;
}

static bool is_source(const struct pass *pass)
{
    return pass->opening.move_state && pass->rank == pass->opening.source_seat;
}

/* The source's, among those to whom the state goes. */
static int source_rank(const struct pass *pass)
{
    int rank = pass->opening.source_seat;
    if (!pass->opening.move_to_all)
        return pass->seats[rank].rank;
    for (int i = 0; i < pass->opening.source_seat; i++)
        rank -= pass->seats[i].dedicated;
    return rank;
}

static void take_verdict(struct pass *pass, unsigned verdict)
{
    if (verdict & LOCAL_DIFFERS)
        pass->flags &= ~FLAG_UNDISPUTED;
    if (verdict & LOCAL_EQUAL)
        pass->flags &= ~FLAG_UNCONFIRMED;
}

static bool holds_opened_step(const struct onward *ow, const struct opening *opening)
{
    struct held_id held = slots_held(ow);
    return opening->source == SOURCE_HELD && memcmp(&held, &opening->held, sizeof held) == 0;
}

/* The state of the task is the same on all workers, so the copy of the step on this host says
 * whether the one that came in is right; one member looks for all of a host. Those of the source's
 * host were compared where they were loaded. */
static void compare_held(struct onward *ow, struct pass *pass)
{
    const struct seat *source = &pass->seats[pass->opening.source_seat];
    if (holds_opened_step(ow, &pass->opening) && strcmp(source->host, ow->host) != 0 &&
        slots_is_first_of_host(pass->seats, pass->opening.seat_count, ow->host, pass->lineup_rank))
        take_verdict(pass, slots_compare_held(ow));
}

/* Every array from the source to the others. Members outside of the lineup take part only when the
 * source is one of them; they take the bits too, and are as good as any worker then. A dedicated
 * controller has no room for them. */
static int move_state(struct onward *ow, struct pass *pass)
{
    bool to_all = pass->opening.move_to_all;
    uint8_t source = pass->opening.source;
    bool from_memory = is_source(pass) && source != SOURCE_HELD &&
                       !(source == SOURCE_FRESH && shards_any(ow)); /* put to where bits come in */
    if (!pass->opening.move_state || (to_all ? ow->dedicated : pass->lineup_rank < 0))
        return ONWARD_OK;
    if (!is_source(pass))
        expose(ow, pass->opening.source);
    int code = ONWARD_OK;
    for (uint32_t i = 0; i < ow->array_count && code == ONWARD_OK; i++)
        if (!ow->arrays[i].sharded)
            code = transport_move(ow->transport, to_all, source_rank(pass),
                                  from_memory ? ow->arrays[i].data : slots_incoming(ow, i),
                                  ow->protected[i].bytes);
    if (code == ONWARD_OK)
        compare_held(ow, pass);
    return code;
}

/* It is in the report of the next pass, and so in the event log, that a file could not be used. */
static void report_error(struct onward *ow)
{
    snprintf(ow->warning, sizeof ow->warning, "%.255s", ow->error.text);
}

static void read_checkpoint(struct onward *ow, struct pass *pass)
{
    struct checkpoint_array incoming[ONWARD_MAX_ARRAYS];
    if (pass->lineup_rank < 0)
        return;
    expose(ow, SOURCE_CHECKPOINT);
    for (uint32_t i = 0; i < ow->array_count; i++) {
        incoming[i] = ow->arrays[i];
        incoming[i].data = slots_incoming(ow, i);
        if (ow->arrays[i].sharded)
            shards_want(ow, i, &incoming[i]);
    }
    int code = checkpoint_read(ow->run, pass->opening.step, incoming, ow->array_count, &ow->error);
    if (code == ONWARD_ERR_IO) { /* a file server that stumbled gets a second chance */
        sleep_ns(READ_AGAIN_NS);
        code = checkpoint_read(ow->run, pass->opening.step, incoming, ow->array_count, &ow->error);
    }
    if (code == ONWARD_ERR_INPUT)
        pass->flags &= ~FLAG_INPUT;
    else if (code != ONWARD_OK) {
        pass->flags &= ~FLAG_STATE;
        ow->restore_code = code;
        report_error(ow);
    }
}

static int bring_copies(struct onward *ow, struct pass *pass)
{
    struct copies_plan plan = {.state = pass->opening.copy,
                               .holders = pass->holders,
                               .seats = pass->seats,
                               .seat_count = pass->opening.seat_count,
                               .rank = pass->rank,
                               .lineup_rank = pass->lineup_rank,
                               .size = pass->opening.size};
    if (ow->dedicated)
        return ONWARD_OK;
    expose(ow, SOURCE_HELD);
    int code = copies_bring(ow, &plan);
    if (code == ONWARD_OK || code == ONWARD_ERR_LOST)
        return code;
    if (code == ONWARD_ERR_INPUT) {
        pass->flags &= ~FLAG_INPUT;
        return ONWARD_OK;
    }
    pass->flags &= ~FLAG_STATE;
    if (code == ONWARD_ERR_MEMORY)
        ow->restore_code = code;
    if (code != ONWARD_ERR_NOT_FOUND) /* it is gone: who removed it names it */
        report_error(ow);
    return ONWARD_OK;
}

static int load_held(struct onward *ow, struct pass *pass)
{
    unsigned verdict;
    int code = slots_load_held(ow, &verdict);
    if (code == ONWARD_ERR_IO) {
        sleep_ns(READ_AGAIN_NS);
        code = slots_load_held(ow, &verdict);
    }
    if (code == ONWARD_ERR_IO || (code != ONWARD_OK && verdict != LOCAL_ALONE))
        copies_note_unread(ow, code, ow->error.text);
    if (code != ONWARD_OK && code != ONWARD_ERR_NOT_FOUND)
        report_error(ow);
    take_verdict(pass, verdict);
    return code;
}

int change_bring_state(struct onward *ow, struct pass *pass)
{
    if (pass->opening.source == SOURCE_CHECKPOINT) {
        read_checkpoint(ow, pass);
        return ONWARD_OK;
    }
    if (pass->opening.source == SOURCE_HELD && pass->opening.copy.shard_count > 0)
        return bring_copies(ow, pass);
    /* Where the holder cannot load it, it sends what it has and says so in the agreement. */
    if (pass->opening.source == SOURCE_HELD && is_source(pass)) {
        expose(ow, SOURCE_HELD);
        if (load_held(ow, pass) != ONWARD_OK)
            pass->flags &= ~FLAG_STATE;
    }
    if (pass->opening.source == SOURCE_FRESH)
        shards_put_initial(ow);
    if (pass->opening.source == SOURCE_FRESH && ow->dirty) {
        error_set(&ow->error, ONWARD_ERR_INPUT,
                  "task %s: no checkpoint could be read whole, and the initial values are "
                  "overwritten; start it again",
                  ow->options.task);
        pass->flags &= ~FLAG_INPUT;
    }
    return move_state(ow, pass);
}

/* That a layout cannot be all others learn from the agreement. */
int change_lay_out(struct onward *ow, struct pass *pass)
{
    int code = shards_lay_out(ow, pass->lineup_rank, (int)pass->opening.size);
    if (code == ONWARD_ERR_INPUT)
        pass->flags &= ~FLAG_LAYOUT;
    return code == ONWARD_ERR_INPUT ? ONWARD_OK : code;
}

void change_rule_out_size(struct onward *ow, const struct pass *pass)
{
    change_gather_reason(ow, pass);
    transport_agree(ow->transport, 0); /* nobody begins the next pass before it is gathered */
    if (ow->control)
        control_refuse_size(ow, pass->opening.size);
    ow->error = (struct error){0}; /* it was not the end */
}

/* The state could not be had from where the opening said: the next pass goes without it. All who
 * share the host of a local copy forget it, since it is the same one. */
void change_rule_out_source(struct onward *ow, const struct pass *pass)
{
    const struct opening *opening = &pass->opening;
    const struct seat *source = &pass->seats[opening->source_seat];
    if (opening->source != SOURCE_HELD) {
        if (ow->control)
            control_checkpoint_bad(ow, opening->step);
        return;
    }
    if (opening->copy.shard_count > 0) { /* whoever could not use a copy removed it, or says so */
        if (ow->control)
            control_warn(ow, "the local copies of step %lld could not all be used",
                         (long long)opening->step);
        return;
    }
    if (strcmp(source->host, ow->host) == 0)
        slots_forget_held(ow);
    if (ow->control)
        control_warn(ow, "the local copy of step %lld on host %s could not be loaded",
                     (long long)opening->step, source->host);
}

static void tell_difference(struct onward *ow)
{
    char more[40] = "";
    uint32_t count = local_copy_count(ow->held);
    if (count > 1)
        snprintf(more, sizeof more, " (or one of %u more there)", count - 1);
    error_set(&ow->error, ONWARD_ERR_CORRUPT,
              "%.120s%s: other members hold other bits of step %lld", local_copy_path(ow->held),
              more, (long long)local_copy_step(ow->held));
    report_error(ow);
    copies_note_unread(ow, ONWARD_ERR_CORRUPT, ow->error.text);
}

/* The copies of its host are kept: one of them may say the same as the next source. */
bool change_rule_out_held(struct onward *ow, const struct pass *pass, int agreed)
{
    const struct opening *opening = &pass->opening;
    const char *host = pass->seats[opening->source_seat].host;
    bool is_disputed = !(agreed & FLAG_UNDISPUTED) || opening->is_disputed;
    bool is_ruled_out = is_disputed && (agreed & FLAG_UNCONFIRMED);
    if (is_ruled_out ? holds_opened_step(ow, opening) : !(pass->flags & FLAG_UNDISPUTED))
        tell_difference(ow);
    if (!is_ruled_out)
        return false;
    ow->disputed = opening->held;
    ow->held_ruled_out = ow->held_ruled_out || (ow->held && strcmp(host, ow->host) == 0);
    if (ow->control)
        control_warn(ow, "the local copy of step %lld on host %s is not used: none is the same",
                     (long long)opening->step, host);
    return true;
}

void change_gather_reason(struct onward *ow, const struct pass *pass)
{
    struct error mine = {0}, *all = NULL;
    if ((pass->flags & (FLAG_INPUT | FLAG_LAYOUT)) != (FLAG_INPUT | FLAG_LAYOUT))
        mine = ow->error;
    if (pass->rank == 0 && !(all = calloc((size_t)pass->size, sizeof *all)))
        transport_interrupt(ow->transport); /* the others are not to wait */
    else                                    /* who was lost just now tells nothing */
        transport_gather(ow->transport, &mine, sizeof mine, all);
    for (int i = pass->size - 1; i >= 0 && all; i--)
        if (all[i].code == ONWARD_ERR_INPUT)
            ow->error = all[i];
    free(all);
}
