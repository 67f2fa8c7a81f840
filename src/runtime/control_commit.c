/* control_commit.c - the checkpoint in flight: the shards that came, and its commit. */
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "shards.h"

void control_free_shards(struct control *control)
{
    for (uint32_t i = 0; i < control->shard_count; i++)
        free(control->slabs[i].list);
    free(control->slabs);
    free(control->shards);
    control->slabs = NULL;
    control->shards = NULL;
    control->shard_count = 0;
}

/* Without the room no shard is taken, and the checkpoint fails by its deadline. */
void control_make_shards(struct onward *ow, uint32_t size)
{
    struct control *control = ow->control;
    control_free_shards(control);
    control->shards = calloc(size + 1, sizeof *control->shards);
    control->slabs = calloc(size + 1, sizeof *control->slabs);
    if (!control->shards || !control->slabs)
        return;
    control->shard_count = size;
    control->shard_epoch = control->opened.epoch;
}

void control_take_shard(struct onward *ow, const struct message *received, size_t size)
{
    struct control *control = ow->control;
    const struct message message = *received; /* feeding the core may come back here */
    const struct core_member *member = controller_find(control->core, message.member);
    size_t tail = message.slab_count * sizeof(struct checkpoint_slab);
    if (!member || member->rank < 0 || (uint32_t)member->rank >= control->shard_count ||
        message.epoch != control->shard_epoch || message.slab_count > SHARDS_MAX_ENTRIES ||
        size != sizeof message + tail)
        return;
    struct control_slabs *slabs = &control->slabs[member->rank];
    struct checkpoint_slab *list = realloc(slabs->list, tail + 1);
    if (!list)
        return;
    memcpy(list, received + 1, tail);
    *slabs = (struct control_slabs){message.slab_count, list};
    control->shards[member->rank] = message.shard;
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

static void remove_old_checkpoints(struct onward *ow)
{
    struct error error;
    struct checkpoint_keep keep = {.newest = (uint32_t)ow->options.checkpoint_keep,
                                   .every = ow->options.checkpoint_keep_every};
    if (!checkpoint_parse_best(ow->options.checkpoint_keep_best, &keep.best))
        keep.best.metric[0] = '\0';
    if (checkpoint_retain(ow->run, &keep, &error) != ONWARD_OK)
        control_warn(ow, "old checkpoints: %s", error.text);
}

static int write_master(struct onward *ow, int64_t step, struct error *error)
{
    struct control *control = ow->control;
    struct checkpoint_id id = state_checkpoint_id(ow, controller_epoch(control->core), step);
    struct checkpoint_metric metric = best_metric(ow);
    struct checkpoint_slab *slabs = NULL;
    uint32_t count = 0;
    int code = rundir_check_fence(control->rundir, error);
    if (code == ONWARD_OK)
        code = join_slabs(control, &slabs, &count, error);
    if (code == ONWARD_OK)
        code = checkpoint_commit_with_metric(
            ow->run, &id, &metric, control->arrays, control->array_count, control->shards,
            controller_worker_count(control->core), slabs, count, error);
    free(slabs);
    return code;
}

void control_commit(struct onward *ow, int64_t step)
{
    struct error error = {0};
    int64_t begin_ns = clock_ns();
    if (control_is_fenced(ow))
        return;
    int code = write_master(ow, step, &error);
    struct controller_event event = {.type = EVENT_CHECKPOINT_COMMITTED,
                                     .step = step,
                                     .cost_us = (clock_ns() - begin_ns) / 1000};
    if (code != ONWARD_OK) {
        control_warn(ow, "checkpoint of step %lld: %s", (long long)step, error.text);
        event.type = EVENT_CHECKPOINT_FAILED;
    } else {
        ow->control->checkpoint_incarnation = ow->incarnation;
        control_event(ow, "checkpoint", json_pack("{s:I}", "checkpoint_step", (json_int_t)step));
        remove_old_checkpoints(ow);
    }
    control_feed(ow, event);
}
