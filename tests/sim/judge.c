/* judge.c - holds what the core decides against what really happened.
 *
 * Nothing here asks the core what it believes, but for the ranks it gave: who lives, what they hold
 * and which checkpoints are there is taken from the world itself. */
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>

static int64_t newest_stored(const struct world *world)
{
    int64_t newest = -1;
    for (uint32_t i = 0; i < world->store_count; i++)
        if (world->store[i].step > newest)
            newest = world->store[i].step;
    return newest;
}

static int64_t newest_clean(const struct world *world)
{
    int64_t newest = -1;
    for (uint32_t i = 0; i < world->process_count; i++) {
        const struct process *process = &world->processes[i];
        if (process->alive && process->clean && process->step > newest)
            newest = process->step;
    }
    return newest;
}

/* Marks what this process holds of the set; returns how many shards are new. */
static uint32_t mark_held(const struct process *process, const struct held_copy *set, bool *held)
{
    uint32_t count = 0;
    for (uint32_t k = 0; process->alive && k < process->held_count; k++) {
        const struct held_copy *copy = &process->held[k];
        if (copy->step != set->step || copy->shard_count != set->shard_count || held[copy->shard])
            continue;
        held[copy->shard] = true;
        count++;
    }
    return count;
}

static bool is_whole(const struct world *world, const struct held_copy *set)
{
    uint32_t count = 0;
    bool *held = calloc(set->shard_count, sizeof *held);
    if (held == NULL)
        abort();
    for (uint32_t i = 0; i < world->process_count; i++)
        count += mark_held(&world->processes[i], set, held);
    free(held);
    return count == set->shard_count;
}

/* Tries each copy's set in turn: slow, and plainly right. */
static int64_t newest_held(const struct world *world)
{
    int64_t newest = -1;
    for (uint32_t i = 0; i < world->process_count; i++)
        for (uint32_t k = 0; world->processes[i].alive && k < world->processes[i].held_count; k++) {
            const struct held_copy *copy = &world->processes[i].held[k];
            if (copy->step > newest && is_whole(world, copy))
                newest = copy->step;
        }
    return newest;
}

static int64_t newest_restorable(const struct world *world)
{
    int64_t memory = world->policy.sharded ? newest_held(world) : newest_clean(world);
    int64_t stored = newest_stored(world);
    return memory > stored ? memory : stored;
}

/* Some worked, and none of those who had the newest state is left. */
static bool is_better_started_again(const struct world *world)
{
    int64_t clean = newest_clean(world), stored = newest_stored(world);
    return world->policy.can_relaunch && !world->policy.sharded && world->epoch > 0 &&
           (clean < 0 || clean < stored) && stored < world->policy.step_count &&
           world->policy.step_count > 0;
}

static void judge_resume(struct world *world, const struct controller_action *action)
{
    int64_t newest = newest_restorable(world), resume = newest < 0 ? 0 : newest;
    if (action->step != resume)
        world_fail(world, "resumes at step %" PRId64 ", and step %" PRId64 " can be restored",
                   action->step, resume);
    if ((action->source == SOURCE_FRESH) != (newest < 0))
        world_fail(world, "begins from nothing although something can be restored");
    if (action->source == SOURCE_MEMBER) {
        uint32_t index = world_find(world, action->member);
        if (world->policy.sharded || index == UINT32_MAX || !world->processes[index].clean ||
            world->processes[index].step != action->step)
            world_fail(world, "member %u cannot send step %" PRId64, action->member, action->step);
    }
    if (action->source == SOURCE_CHECKPOINT && newest_stored(world) != action->step)
        world_fail(world, "there is no checkpoint of step %" PRId64, action->step);
    if (is_better_started_again(world) && world->takeovers == 0)
        world_fail(world, "goes back to step %" PRId64 ", which another start need not",
                   action->step);
    int64_t lost = world->known_step > action->step ? world->known_step - action->step : 0;
    if (action->steps_lost != world->lost_noted ||
        (world->takeovers == 0 && action->steps_lost < lost))
        world_fail(world, "%" PRId64 " steps are lost and not spoken of", lost);
}

static uint32_t usable_count(const struct world *world)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->process_count; i++) {
        const struct core_member *member = controller_find(world->core, world->processes[i].id);
        count += world->processes[i].alive && !world->processes[i].dedicated && member != NULL &&
                 member->state == MEMBER_READY;
    }
    return count;
}

static uint32_t ceiling(const struct world *world)
{
    uint32_t max = world->takeovers > 0 ? CONTROLLER_MAX_MEMBERS : world->max_workers;
    if (world->refused_size > 0 && max >= world->refused_size)
        max = world->refused_size - 1;
    return max < world->policy.subtask_count ? max : world->policy.subtask_count;
}

static void judge_size(struct world *world, uint32_t size)
{
    uint32_t usable = usable_count(world), least = world->policy.min_workers;
    uint32_t most = usable < ceiling(world) ? usable : ceiling(world);
    if (usable < world->policy.min_workers)
        world_fail(world, "opens with %u usable members, fewer than the minimum", usable);
    if (size > most || size == 0)
        world_fail(world, "a lineup of %u where at most %u may work", size, most);
    if (world->takeovers == 0 && size < least && size < most)
        world_fail(world, "a lineup of %u where %u could work", size, most);
    bool replaces = world->policy.replace != REPLACE_NONE && world->policy.spare_count == 0;
    if (replaces && world->takeovers == 0 && size < most)
        world_fail(world, "only %u work, and %u are there", size, most);
}

/* Each role is held by one living member; those who stay keep their order. */
static void judge_roles(struct world *world, uint32_t size)
{
    uint32_t *holder = malloc(size * sizeof(*holder));
    int32_t last = -1;
    if (holder == NULL)
        abort();
    for (uint32_t rank = 0; rank < size; rank++)
        holder[rank] = UINT32_MAX;
    for (uint32_t i = 0; i < world->process_count; i++) {
        const struct process *process = &world->processes[i];
        const struct core_member *member = controller_find(world->core, process->id);
        if (!process->alive || member == NULL || member->rank < 0)
            continue;
        if ((uint32_t)member->rank >= size || holder[member->rank] != UINT32_MAX)
            world_fail(world, "two members have the role %d", member->rank);
        else
            holder[member->rank] = i;
        if (process->dedicated || member->state != MEMBER_READY)
            world_fail(world, "member %u must not work", member->id);
    }
    for (uint32_t rank = 0; rank < size; rank++)
        if (holder[rank] == UINT32_MAX)
            world_fail(world, "nobody living has the role %u", rank);
    for (uint32_t rank = 0; rank < size && world->failure[0] == 0; rank++) {
        int32_t before = world->processes[holder[rank]].given_rank;
        if (before >= 0 && before <= last && world->takeovers == 0)
            world_fail(world, "survivors do not keep their order");
        last = before >= 0 ? before : last;
    }
    for (uint32_t i = 0; i < world->process_count; i++)
        world->processes[i].given_rank = -1;
    for (uint32_t rank = 0; rank < size && world->failure[0] == 0; rank++)
        world->processes[holder[rank]].given_rank = (int32_t)rank;
    free(holder);
}

void judge_open(struct world *world, const struct controller_action *action)
{
    if (action->epoch <= world->newest_epoch && world->takeovers == 0)
        world_fail(world, "epoch %" PRId64 " was given out before", action->epoch);
    for (uint32_t i = 0; i < world->process_count; i++)
        if (world->processes[i].alive && world->processes[i].epoch >= action->epoch)
            world_fail(world, "member %u has seen epoch %" PRId64 " already",
                       world->processes[i].id, action->epoch);
    world->newest_epoch = action->epoch;
    judge_size(world, action->size);
    judge_roles(world, action->size);
    judge_resume(world, action);
    if (action->step > world->best_step)
        world->best_step = action->step;
    world->resumed_step = action->step;
}

void judge_commit(struct world *world, int64_t step)
{
    for (uint32_t rank = 0; rank < world->lineup_size; rank++) {
        const struct process *process = &world->processes[world->lineup[rank]];
        if (process->shard_step != step || process->shard_epoch != world->epoch ||
            process->step < step)
            world_fail(world, "commits step %" PRId64 " without the shard of rank %u", step, rank);
    }
}

void judge_finish(struct world *world)
{
    for (uint32_t rank = 0; rank < world->lineup_size; rank++)
        if (world->processes[world->lineup[rank]].step < world->policy.step_count)
            world_fail(world, "finishes before rank %u is at the last step", rank);
    if (world->policy.finish_checkpoint && world->commit_failures == 0 && !world->loses_messages &&
        newest_stored(world) < world->policy.step_count)
        world_fail(world, "finishes without the last checkpoint");
}

static void judge_give_up(struct world *world, const struct controller_action *action)
{
    const struct controller_policy *policy = &world->policy;
    bool too_few = usable_count(world) < policy->min_workers;
    switch (action->reason) {
    case GIVE_UP_TOO_FEW:
        if (!too_few || action->exit_code != 69)
            world_fail(world, "gives up although enough are there");
        break;
    case GIVE_UP_STOPPED:
        if (world->accepted_stops == 0 || action->exit_code != 75)
            world_fail(world, "stops although nobody asked");
        if (!too_few && world->commit_failures == 0 && !world->loses_messages && !world->tears &&
            world->epoch > 0 && newest_stored(world) < 0)
            world_fail(world, "stops without a checkpoint");
        break;
    case GIVE_UP_NO_PROGRESS:
        /* a new controller knows of no step whose every witness died */
        if (world->changes_stalled + world->takeovers < policy->no_progress_limit)
            world_fail(world, "gives up although steps are completed");
        break;
    case GIVE_UP_BUDGET:
        if (!too_few || !policy->can_spawn || world->is_barred || policy->replace != REPLACE_SPAWN)
            world_fail(world, "the budget is no reason to give up");
        break;
    case GIVE_UP_STATE_ON_HOSTS:
        if (!is_better_started_again(world) || action->exit_code != 69)
            world_fail(world, "asks for another start although the state is at hand");
        break;
    default:
        if (!policy->sharded || newest_restorable(world) >= 0 || world->best_step <= 0)
            world_fail(world, "gives up although something can be restored");
        break;
    }
}

void judge_end(struct world *world, const struct controller_action *action)
{
    if (action->type == ACTION_GIVE_UP) {
        judge_give_up(world, action);
        return;
    }
    for (uint32_t rank = 0; rank < world->lineup_size; rank++) {
        const struct process *process = &world->processes[world->lineup[rank]];
        if (process->step < world->policy.step_count || process->finishing)
            world_fail(world, "completes before rank %u has done its final work", rank);
    }
    if (!world->finish_seen)
        world_fail(world, "completes without having finished");
}
