/* worker_checkpoint.c - a worker's part in a checkpoint of the shared level.
 *
 * When the step that was ordered is complete, the worker copies its shard to the node-local
 * directory, which is all that the step waits for; saving.h writes it to the run directory from
 * there. Its end is looked for between two steps, and told to the controller, which commits. Where
 * there is no room for the copy, and before the task stops, the step waits for the whole; and
 * before the task stops, no other step is begun.
 *
 * A save that is of no use any more is given up, but a write or a sync under way may still take any
 * time, and no step waits for that: until it has ended, an order is answered with a failure, and
 * the core orders another one later. Where there is no step to hold up, the order waits. */
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "handle.h"
#include "saving.h"
#include "shards.h"
#include "slots.h"

/* One who began a step before the order came waits in it for those who hold. */
enum { HOLD_NS = 1000000000 };
/* Of a save that was given up: nobody is told how it ended. */
enum { NO_EPOCH = -1 };

static double seconds_since(int64_t begin_ns)
{
    return (double)(clock_ns() - begin_ns) / 1e9;
}

/* One message of the hyperslabs from slab_first on; false: it cannot be sent. */
static bool tell_slabs(struct onward *ow, struct message *message)
{
    static struct {
        struct message message;
        struct checkpoint_slab slabs[SHARDS_ENTRIES_AT_ONCE];
    } sent;
    _Static_assert(sizeof sent <= TRANSPORT_MAX_MESSAGE_BYTES,
                   "a shard and its slabs are a message");
    _Static_assert(SHARDS_MAX_ENTRIES / SHARDS_ENTRIES_AT_ONCE < TRANSPORT_SEND_SLOTS / 4 * 3,
                   "all slabs are under way at once, and leave room for others");
    message->slab_count =
        shards_entries(ow, (uint32_t)ow->role.rank, message->slab_first, sent.slabs);
    message->kind = message->slab_count < SHARDS_ENTRIES_AT_ONCE ? MESSAGE_SHARD : MESSAGE_SLABS;
    sent.message = *message;
    return worker_send_bytes(ow, &sent,
                             sizeof sent.message + message->slab_count * sizeof *sent.slabs);
}

/* The last of them says that the shard is written. */
static int tell_shard(struct onward *ow, struct message *message, struct error *error)
{
    message->member = ow->member;
    message->epoch = ow->role.epoch;
    do {
        if (!tell_slabs(ow, message))
            return error_set(error, ONWARD_ERR_LIMIT, "too many messages are under way");
        message->slab_first += message->slab_count;
    } while (message->kind == MESSAGE_SLABS);
    return ONWARD_OK;
}

/* Its own shard is written, or failed to be. */
static void tell_end(struct onward *ow, struct message *message, int code, struct error *error)
{
    message->code = code;
    if (code == ONWARD_OK)
        code = tell_shard(ow, message, error);
    if (code == ONWARD_OK)
        return;
    message->kind = MESSAGE_FAILED;
    message->code = code;
    snprintf(message->text, sizeof message->text, "%.255s", error->text);
    worker_send(ow, message);
}

void worker_checkpoint_release(struct onward *ow)
{
    struct checkpoint_shard shard;
    struct error error;
    if (!ow->saving)
        return;
    saving_give_up(ow->saving);
    saving_end(ow->saving, &shard, &error);
    ow->saving = NULL;
    ow->saving_bytes = 0;
}

struct run_flight worker_shared_flight(const struct onward *ow)
{
    return ow->saving ? (struct run_flight){ow->saving_message.step, ow->saving_bytes}
                      : (struct run_flight){0};
}

/* Does not wait: neither a change of the lineup nor a step has time for it. */
void worker_checkpoint_give_up(struct onward *ow)
{
    if (!ow->saving)
        return;
    saving_give_up(ow->saving);
    ow->saving_message.epoch = NO_EPOCH;
}

static void look_at_saving(struct onward *ow)
{
    struct error error = {0};
    if (!ow->saving || !saving_is_done(ow->saving))
        return;
    struct message message = ow->saving_message;
    int code = saving_end(ow->saving, &message.shard, &error);
    ow->saving = NULL;
    ow->saving_bytes = 0;
    message.took_s = seconds_since(ow->saving_begin_ns);
    if (message.epoch == ow->role.epoch)
        tell_end(ow, &message, code, &error);
}

/* Begins to save behind the steps; false where this cannot be. */
static bool begin_saving(struct onward *ow, const struct checkpoint_id *id)
{
    struct checkpoint_staged *staged = NULL;
    struct error error;
    if (checkpoint_stage_shard(ow->options.local_directory, id, ow->arrays, ow->array_count,
                               (uint32_t)ow->role.rank, (uint32_t)ow->role.size, &staged,
                               &error) != ONWARD_OK)
        return false;
    uint64_t bytes = checkpoint_staged_bytes(staged);
    if (saving_begin(ow->run, staged, &ow->saving, &error) != ONWARD_OK)
        return false;
    ow->saving_bytes = bytes;
    return true;
}

/* The step that was ordered is the newest complete one. */
static void take_checkpoint(struct onward *ow, struct message *message)
{
    struct checkpoint_id id = state_checkpoint_id(ow, ow->role.epoch, ow->complete_step);
    if (ow->checkpoint_leaves && /* the start may come as soon as the checkpoint is committed */
        slots_is_first_of_host(ow->seats, ow->seat_count, ow->host, ow->role.rank))
        slots_leave(ow);
    int64_t begin_ns = clock_ns();
    bool is_behind = !ow->checkpoint_waits && begin_saving(ow, &id);
    fault_at_phase(ow, INJECT_PHASE_CHECKPOINT);
    if (is_behind) {
        message->cost_s = seconds_since(begin_ns);
        message->epoch = ow->role.epoch;
        ow->saving_begin_ns = begin_ns;
        ow->saving_message = *message;
        return;
    }
    struct error error = {0};
    int code =
        checkpoint_write_shard(ow->run, &id, ow->arrays, ow->array_count, (uint32_t)ow->role.rank,
                               (uint32_t)ow->role.size, &message->shard, &error);
    message->cost_s = message->took_s = seconds_since(begin_ns);
    tell_end(ow, message, code, &error);
    ow->hold_until_ns = ow->checkpoint_waits ? clock_ns() + HOLD_NS : 0;
}

static bool is_due(const struct onward *ow)
{
    return ow->checkpoint_step >= 0 && ow->checkpoint_step == ow->complete_step;
}

/* The one before is still being written, and this one is the last for now: then no step is held up
 * by waiting for that, and a failure would leave the task without. */
static bool is_put_off(const struct onward *ow)
{
    bool is_last = ow->checkpoint_waits || ow->complete_step >= ow->options.step_count;
    return is_due(ow) && ow->saving && is_last;
}

static void refuse(struct onward *ow, struct message *message)
{
    struct error error;
    int code = error_set(&error, ONWARD_ERR_LIMIT, "the one of step %lld is still being written",
                         (long long)ow->saving_message.step);
    tell_end(ow, message, code, &error);
}

/* A step behind the last checkpoint would be lost with the end that comes once it is committed;
 * where that fails, another one is ordered, or nothing comes. */
bool worker_holds(const struct onward *ow)
{
    if (is_put_off(ow) && ow->complete_step < ow->options.step_count)
        return true;
    return ow->hold_until_ns > 0 && ow->checkpoint_step < 0 && clock_ns() < ow->hold_until_ns;
}

void worker_checkpoint(struct onward *ow)
{
    look_at_saving(ow);
    if (ow->checkpoint_step < 0 || ow->checkpoint_step > ow->complete_step || is_put_off(ow))
        return;
    struct message message = {
        .kind = MESSAGE_MISSED, .step = ow->checkpoint_step, .attempt = ow->checkpoint_attempt};
    bool is_now = is_due(ow);
    ow->checkpoint_step = -1;
    ow->hold_until_ns = 0;
    worker_add_metrics(ow, &message);
    worker_report(ow); /* the core is to know the step before its shard comes */
    if (!is_now)
        worker_send(ow, &message);
    else if (ow->saving)
        refuse(ow, &message);
    else
        take_checkpoint(ow, &message);
}
