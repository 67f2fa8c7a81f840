/* control_commit.c - the checkpoint in flight: its order, the shards that came, its commit, and the
 * removal of old ones and of what failed.
 *
 * A thread, of the least priority where it takes long, writes the master and removes old
 * checkpoints, out of copies of all that it needs: the controller shares its cores with workers,
 * who would wait for the one of them that it holds up. Its end is looked for at each tick, and told
 * to the core. That thread may be held up for long; so the fence is asked again right before it
 * puts the master in place, and before it removes anything. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "background.h"
#include "control.h"
#include "shards.h"

enum { QUICK_SHARDS = 64, QUICK_BYTES = 1 << 26 };

void control_free_shards(struct control *control)
{
    for (uint32_t i = 0; i < control->shard_count; i++)
        free(control->slabs[i].list);
    free(control->slabs);
    free(control->shards);
    free(control->flights);
    control->slabs = NULL;
    control->shards = NULL;
    control->flights = NULL;
    control->shard_count = 0;
}

/* Without the room no shard is taken, and the checkpoint fails by its deadline. */
void control_make_shards(struct onward *ow, uint32_t size)
{
    struct control *control = ow->control;
    control_free_shards(control);
    control->shards = calloc(size + 1, sizeof *control->shards);
    control->slabs = calloc(size + 1, sizeof *control->slabs);
    control->flights = calloc(size + 1, sizeof *control->flights);
    if (!control->shards || !control->slabs || !control->flights)
        return;
    control->shard_count = size;
    control->shard_epoch = control->opened.epoch;
}

static void add_flight(struct run_flight *sum, const struct run_flight *one)
{
    if (one->bytes > 0 && one->step > sum->step)
        sum->step = one->step;
    sum->bytes += one->bytes;
}

void control_fill_flights(const struct onward *ow, struct run_status *status)
{
    const struct control *control = ow->control;
    for (uint32_t i = 0; i < control->shard_count; i++) {
        add_flight(&status->partner_flight, &control->flights[i].partner);
        add_flight(&status->shared_flight, &control->flights[i].shared);
    }
}

void control_take_flights(struct onward *ow, const struct message *message)
{
    struct control *control = ow->control;
    const struct core_member *member = controller_find(control->core, message->member);
    if (member && member->rank >= 0 && (uint32_t)member->rank < control->shard_count &&
        message->epoch == control->shard_epoch)
        control->flights[member->rank] =
            (struct control_flights){message->partner, message->shared};
}

bool control_is_of_attempt(const struct onward *ow, const struct message *message)
{
    return message->attempt == ow->control->attempt &&
           message->epoch == controller_epoch(ow->control->core);
}

/* The first of a shard take the place of what came for another attempt. */
static bool add_slabs(struct control_slabs *slabs, const struct message *message)
{
    uint32_t before = message->slab_first == 0 ? 0 : slabs->count;
    if (before != message->slab_first || message->slab_count > SHARDS_MAX_ENTRIES - before)
        return false;
    size_t count = before + message->slab_count;
    struct checkpoint_slab *list = realloc(slabs->list, count * sizeof *list + 1);
    if (!list)
        return false;
    memcpy(list + before, message + 1, message->slab_count * sizeof *list);
    slabs->count = (uint32_t)count;
    slabs->list = list;
    return true;
}

bool control_take_slabs(struct onward *ow, const struct message *message, size_t size)
{
    struct control *control = ow->control;
    const struct core_member *member = controller_find(control->core, message->member);
    size_t tail = message->slab_count * sizeof(struct checkpoint_slab);
    return member && member->rank >= 0 && (uint32_t)member->rank < control->shard_count &&
           message->epoch == control->shard_epoch && control_is_of_attempt(ow, message) &&
           message->slab_count <= SHARDS_ENTRIES_AT_ONCE && size == sizeof *message + tail &&
           add_slabs(&control->slabs[member->rank], message);
}

void control_take_shard(struct onward *ow, const struct message *received, size_t size)
{
    struct control *control = ow->control;
    const struct message message = *received; /* feeding the core may come back here */
    if (!control_take_slabs(ow, received, size))
        return;
    const struct core_member *member = controller_find(control->core, message.member);
    control->shards[member->rank] = message.shard;
    control->flights[member->rank].shared = (struct run_flight){0};
    if (member->rank == 0 && message.metric_count <= RUNDIR_METRICS) {
        memcpy(control->shard_metrics, message.metrics, sizeof control->shard_metrics);
        control->shard_metric_count = message.metric_count;
    }
    control_feed(ow, (struct controller_event){.type = EVENT_CHECKPOINT_SHARD,
                                               .member = message.member,
                                               .step = message.step,
                                               .epoch = message.epoch,
                                               .cost_us = (int64_t)(message.cost_s * 1e6),
                                               .took_us = (int64_t)(message.took_s * 1e6)});
}

/* The slabs of all shards, one shard behind the other; *slabs is the caller's to free. */
static int join_slabs(const struct control *control, struct checkpoint_slab **slabs,
                      uint32_t *count, struct error *error)
{
    *count = 0;
    for (uint32_t i = 0; i < control->shard_count; i++)
        *count += control->slabs[i].count;
    *slabs = calloc((size_t)*count + 1, sizeof **slabs);
    if (!*slabs)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for %u hyperslabs", *count);
    struct checkpoint_slab *next = *slabs;
    for (uint32_t i = 0; i < control->shard_count; i++) {
        const struct control_slabs *some = &control->slabs[i];
        if (some->count > 0)
            memcpy(next, some->list, some->count * sizeof *next);
        next += some->count;
    }
    return ONWARD_OK;
}

/* The metric by which the best one is kept, as rank 0 saw it with its shard. */
static struct checkpoint_metric best_metric(const struct onward *ow)
{
    const struct control *control = ow->control;
    struct checkpoint_metric metric = {.name = ""};
    struct checkpoint_best best;
    if (!checkpoint_parse_best(ow->options.checkpoint_keep_best, &best))
        return metric;
    for (uint32_t i = 0; i < control->shard_metric_count; i++)
        if (strcmp(control->shard_metrics[i].name, best.metric) == 0) {
            memcpy(metric.name, best.metric, sizeof metric.name);
            metric.value = control->shard_metrics[i].value;
        }
    return metric;
}

/* Of the thread from when it begins until it is done. */
struct commit {
    struct background_task task;
    bool is_behind; /* there is such a thread */
    bool is_there;  /* the checkpoint was committed before: it only removes the old ones */
    bool is_told;   /* to the core: it is committed, and the thread may still remove the old ones */
    atomic_bool is_written; /* the same, of the thread: what it removes, it removes after that */
    const char *run;
    int64_t attempt;
    struct fence fence; /* of the run directory, which stays open until the thread has ended */
    struct checkpoint_id id;
    struct checkpoint_metric metric;
    struct checkpoint_array arrays[ONWARD_MAX_ARRAYS];
    uint32_t array_count, shard_count, slab_count;
    struct checkpoint_shard *shards;
    struct checkpoint_slab *slabs;
    struct checkpoint_keep keep;
    int code, keep_code;
    struct error error, keep_error;
};

static void free_commit(struct commit *commit)
{
    free(commit->shards);
    free(commit->slabs);
    free(commit);
}

static void remove_old(void *argument)
{
    struct commit *commit = argument;
    commit->keep_code =
        checkpoint_retain(commit->run, &commit->id, &commit->keep, &commit->keep_error);
}

static void write_master(void *argument)
{
    struct commit *commit = argument;
    const struct checkpoint_commit all = {.run = commit->run,
                                          .id = &commit->id,
                                          .metric = &commit->metric,
                                          .arrays = commit->arrays,
                                          .shards = commit->shards,
                                          .slabs = commit->slabs,
                                          .array_count = commit->array_count,
                                          .shard_count = commit->shard_count,
                                          .slab_count = commit->slab_count,
                                          .keep = &commit->keep,
                                          .is_written = &commit->is_written};
    commit->code =
        checkpoint_commit_and_retain(&all, &commit->error, &commit->keep_code, &commit->keep_error);
}

static struct checkpoint_keep what_to_keep(const struct onward *ow)
{
    struct checkpoint_keep keep = {.newest = (uint32_t)ow->options.checkpoint_keep,
                                   .every = ow->options.checkpoint_keep_every};
    if (!checkpoint_parse_best(ow->options.checkpoint_keep_best, &keep.best))
        keep.best.metric[0] = '\0';
    return keep;
}

/* NULL: memory is short. */
static struct commit *make_commit(const struct onward *ow, int64_t step)
{
    struct commit *commit = calloc(1, sizeof *commit);
    if (!commit)
        return NULL;
    commit->run = ow->run;
    commit->attempt = ow->control->attempt;
    commit->id = state_checkpoint_id(ow, controller_epoch(ow->control->core), step);
    commit->fence = rundir_fence(ow->control->rundir);
    commit->keep = what_to_keep(ow);
    commit->keep.fence = &commit->fence;
    commit->keep.known = &ow->control->listed;
    return commit;
}

static int fill_commit(const struct onward *ow, struct commit *commit, struct error *error)
{
    const struct control *control = ow->control;
    uint32_t size = controller_worker_count(control->core);
    commit->metric = best_metric(ow);
    commit->array_count = control->array_count;
    memcpy(commit->arrays, control->arrays, sizeof commit->arrays);
    commit->shard_count = size < control->shard_count ? size : control->shard_count;
    commit->shards = calloc((size_t)size + 1, sizeof *commit->shards);
    if (!commit->shards)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for %u shards", size);
    memcpy(commit->shards, control->shards, commit->shard_count * sizeof *commit->shards);
    return join_slabs(control, &commit->slabs, &commit->slab_count, error);
}

/* Two milliseconds, in which a core is better taken than shared: at the least priority the thread
 * comes back to cold caches a dozen times. Not where masters are to be read, or much is removed. */
static bool is_quick(const struct commit *commit)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < commit->shard_count; i++)
        bytes += commit->shards[i].bytes;
    return !commit->is_there && *commit->keep.known && commit->shard_count <= QUICK_SHARDS &&
           bytes <= QUICK_BYTES;
}

/* With the last one before the end all wait for it, and so does this thread. */
static void run_commit(struct onward *ow, struct commit *commit, void (*work)(void *argument),
                       bool is_last)
{
    enum background_priority priority = is_quick(commit) ? BACKGROUND_NORMAL : BACKGROUND_LEAST;
    commit->is_behind = checkpoint_may_thread() && !is_last &&
                        background_begin(&commit->task, priority, work, commit, NULL) == ONWARD_OK;
    if (!commit->is_behind)
        work(commit);
    ow->control->commit = commit;
}

static int begin_commit(struct onward *ow, int64_t step, struct error *error)
{
    const struct commit *before = ow->control->commit;
    if (before) /* it takes its time: this one is tried again later */
        return error_set(error, ONWARD_ERR_LIMIT,
                         before->is_there || before->is_told
                             ? "old ones are being removed still"
                             : "the one before is being committed still");
    struct commit *commit = make_commit(ow, step);
    if (!commit)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory to commit it");
    int code = rundir_check_fence(ow->control->rundir, error);
    if (code == ONWARD_OK)
        code = fill_commit(ow, commit, error);
    if (code != ONWARD_OK) {
        free_commit(commit);
        return code;
    }
    run_commit(ow, commit, write_master, controller_is_stopping(ow->control->core));
    return ONWARD_OK;
}

static void fail(struct onward *ow, int64_t step, const char *text)
{
    control_warn(ow, "checkpoint of step %lld: %s", (long long)step, text);
    control_feed(ow, (struct controller_event){.type = EVENT_CHECKPOINT_FAILED, .step = step});
}

static void tell_success(struct onward *ow, int64_t step)
{
    ow->control->checkpoint_incarnation = ow->incarnation;
    control_event(ow, "checkpoint", json_pack("{s:I}", "checkpoint_step", (json_int_t)step));
    if (!ow->changing)
        control_order(ow, (struct message){.kind = ORDER_SAVED, .step = step}, true);
    control_feed(ow, (struct controller_event){.type = EVENT_CHECKPOINT_COMMITTED, .step = step});
}

static void tell_commit(struct onward *ow, const struct commit *commit)
{
    int64_t step = commit->id.step;
    if (commit->is_there || commit->is_told)
        return;
    if (commit->code != ONWARD_OK && commit->attempt != ow->control->attempt) {
        control_warn(ow, "checkpoint of step %lld: %s", (long long)step, commit->error.text);
        return; /* the core gave it up before */
    }
    if (commit->code == ONWARD_ERR_INPUT) { /* the parts themselves: no other attempt does better */
        control_end(ow, commit->code, commit->error.text);
        return;
    }
    if (commit->code != ONWARD_OK) {
        control_make_room(ow, commit->code, step);
        fail(ow, step, commit->error.text);
        return;
    }
    tell_success(ow, step);
}

/* Of what it came to, a side that is fenced has nothing to say: the log is another's. */
static void end_commit(struct onward *ow)
{
    struct commit *commit = ow->control->commit;
    if (commit->is_behind)
        background_end(&commit->task);
    ow->control->commit = NULL; /* feeding the core may come back here */
    if (!control_is_fenced(ow) && commit->code != ONWARD_ERR_FENCED) {
        if (commit->keep_code != ONWARD_OK)
            control_warn(ow, "old checkpoints: %s", commit->keep_error.text);
        tell_commit(ow, commit);
    }
    free_commit(commit);
}

void control_settle_commit(struct onward *ow)
{
    struct commit *commit = ow->control->commit;
    if (!commit || commit->is_told || !atomic_load(&commit->is_written) || control_is_fenced(ow))
        return;
    commit->is_told = true; /* feeding the core may come back here */
    tell_success(ow, commit->id.step);
}

/* What an attempt that failed left, or the incarnation before that was cut in one, could be in the
 * way of all that come. Workers give up what they still write when they take the next. What is
 * under way beside this may be committing any step, or removes those below the newest one. */
static void sweep_attempts(struct onward *ow, int64_t newest)
{
    const struct commit *beside = ow->control->commit;
    struct error error = {0};
    if ((beside && !beside->is_there && !beside->is_told) || control_is_fenced(ow))
        return;
    if (checkpoint_sweep(ow->run, ow->incarnation, beside ? newest : -1, &error) != ONWARD_OK)
        control_warn(ow, "what is left of checkpoints that failed: %s", error.text);
}

static bool is_last(const struct onward *ow, int64_t step)
{
    return controller_is_stopping(ow->control->core) || step >= ow->options.step_count;
}

static enum behind behind(const struct control *control)
{
    if (!controller_is_stopping(control->core))
        return BEHIND_STEPS;
    return control->restarts ? BEHIND_START : BEHIND_STOP;
}

/* An attempt at the last one would find no room, or be refused, while others are being removed, and
 * it has few; the core's deadline bounds the wait. */
static void give_order(struct onward *ow, bool may_have_failed)
{
    struct control *control = ow->control;
    int64_t step = control->ordered_step;
    control->order_waits = control->commit && is_last(ow, step);
    if (control->order_waits)
        return;
    if (may_have_failed)
        sweep_attempts(ow, controller_checkpoint_step(control->core));
    control_order(ow,
                  (struct message){.kind = ORDER_CHECKPOINT,
                                   .step = step,
                                   .attempt = control->attempt,
                                   .code = behind(control)},
                  true);
}

void control_order_checkpoint(struct onward *ow, int64_t step)
{
    struct control *control = ow->control;
    int64_t before = control->ordered_step;
    control->ordered_step = step;
    control->attempt++;
    give_order(ow, before < 0 || before != controller_checkpoint_step(control->core));
}

void control_look_at_commit(struct onward *ow)
{
    const struct commit *commit = ow->control->commit;
    if (commit && (!commit->is_behind || background_is_done(&commit->task)))
        end_commit(ow);
    if (ow->control->order_waits)
        give_order(ow, true);
}

void control_release_commit(struct control *control)
{
    if (control->commit && control->commit->is_behind)
        background_end(&control->commit->task);
    if (control->commit)
        free_commit(control->commit);
    control->commit = NULL;
    checkpoint_listing_free(control->listed);
    control->listed = NULL;
}

void control_make_room(struct onward *ow, int code, int64_t step)
{
    const struct controller *core = ow->control->core;
    int64_t newest = controller_checkpoint_step(core);
    struct control *control = ow->control;
    if (code != ONWARD_ERR_NO_SPACE || newest < 0 || control->commit ||
        control->room_attempt == control->attempt || control_is_fenced(ow))
        return;
    struct commit *commit = make_commit(ow, newest);
    if (!commit) /* the next one that fails tries it again */
        return;
    commit->is_there = true;
    control->room_attempt = control->attempt;
    run_commit(ow, commit, remove_old, is_last(ow, step));
    control_look_at_commit(ow);
}

void control_commit(struct onward *ow, int64_t step)
{
    struct error error = {0};
    if (control_is_fenced(ow))
        return;
    if (begin_commit(ow, step, &error) != ONWARD_OK)
        fail(ow, step, error.text);
    else
        control_look_at_commit(ow);
}
