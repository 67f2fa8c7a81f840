/* rounds.c - a while of work between two changes: steps, messages, requests, and what goes wrong.
 *
 * A step is done by all workers together or, when somebody dies in it, by some or none of them,
 * for the last communication of a step may have ended for some and not for others. */
#include "world.h"

#include <stdlib.h>

enum { LOCAL_COPY_STEPS = 3, IDLE_US = 20000000 };

static bool lineup_is_whole(const struct world *world)
{
    for (uint32_t rank = 0; rank < world->lineup_size; rank++)
        if (!world->processes[world->lineup[rank]].alive)
            return false;
    return world->lineup_size > 0;
}

/* An order that came: in time, just now, or too late. */
void rounds_take_orders(struct world *world, struct process *process)
{
    struct controller_event event = {.step = process->order};
    uint32_t index = (uint32_t)(process - world->processes);
    if (process->order < 0 || process->order_wait > 0 || process->order > process->step)
        return;
    if (process->order == process->step) {
        bool full = world->disk_fails && world->faults_left > 0 && world_chance(world, 10);
        process->shard_step = process->step;
        process->shard_epoch = world->epoch;
        event.type = full ? EVENT_CHECKPOINT_FAILED : EVENT_CHECKPOINT_SHARD;
        event.cost_us = 1000 + world_below(world, 50000);
        world->commit_failures += full;
    } else {
        event.type = EVENT_CHECKPOINT_FAILED; /* missed */
    }
    process->order = -1;
    world_send(world, index, event);
}

static void hold(struct process *process, struct held_copy copy)
{
    if (process->held_count == 6) { /* the oldest goes */
        for (uint32_t i = 1; i < process->held_count; i++)
            process->held[i - 1] = process->held[i];
        process->held_count--;
    }
    process->held[process->held_count++] = copy;
}

static void copy_locally(struct world *world, uint32_t rank)
{
    uint32_t size = world->lineup_size;
    struct process *process = &world->processes[world->lineup[rank]];
    struct process *partner = &world->processes[world->lineup[(rank + 1) % size]];
    struct held_copy copy = {process->step, rank, size, LEVEL_LOCAL};
    hold(process, copy);
    copy.level = LEVEL_PARTNER;
    if (size > 1 && world_chance(world, 90))
        hold(partner, copy);
}

static void complete_step(struct world *world, uint32_t rank)
{
    uint32_t index = world->lineup[rank];
    struct process *process = &world->processes[index];
    process->step++;
    if (world->policy.sharded && process->step % LOCAL_COPY_STEPS == 0)
        copy_locally(world, rank);
    rounds_take_orders(world, process);
    if (process->step == world->policy.step_count || world_chance(world, 60))
        world_send(
            world, index,
            (struct controller_event){.type = EVENT_REPORT, .step = process->step, .clean = true});
}

/* Somebody died in it: who got the result before has completed it, the others have not. */
static void break_step(struct world *world)
{
    bool nobody = world_chance(world, 40);
    for (uint32_t rank = 0; rank < world->lineup_size; rank++) {
        struct process *process = &world->processes[world->lineup[rank]];
        if (!process->alive || nobody)
            continue;
        if (world_chance(world, 50))
            complete_step(world, rank);
        else if (world->unclean && world_chance(world, 20))
            process->clean = false; /* cut in the middle of its update */
    }
}

static bool all_at_end(const struct world *world)
{
    return world->processes[world->lineup[0]].step >= world->policy.step_count;
}

static void work(struct world *world)
{
    for (uint32_t rank = 0; rank < world->lineup_size; rank++) {
        struct process *process = &world->processes[world->lineup[rank]];
        if (process->order >= 0 && process->order_wait > 0)
            process->order_wait--;
        rounds_take_orders(world, process);
        if (process->finishing && world_chance(world, 80)) {
            process->finishing = false;
            world_send(world, world->lineup[rank],
                       (struct controller_event){.type = EVENT_FINAL_WORK_DONE});
        }
    }
    if (all_at_end(world)) {
        world->now_us += world->loses_messages || world->message_count == 0 ? IDLE_US : 0;
        return;
    }
    for (uint32_t rank = 0; rank < world->lineup_size; rank++)
        complete_step(world, rank);
}

static uint32_t random_alive(struct world *world)
{
    for (uint32_t attempt = 0; attempt < 64; attempt++) {
        uint32_t index = world_below(world, world->process_count);
        if (world->processes[index].alive)
            return index;
    }
    return UINT32_MAX;
}

static void crash_some(struct world *world, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t victim = random_alive(world);
        if (victim != UINT32_MAX)
            world_crash(world, victim);
    }
}

static void crash_host(struct world *world, uint32_t host)
{
    for (uint32_t i = 0; i < world->process_count; i++)
        if (world->processes[i].alive && world->processes[i].host == host)
            world_crash(world, i);
}

static void lose_somebody(struct world *world)
{
    uint32_t kind = world_below(world, 100);
    if (kind < 55)
        crash_some(world, 1);
    else if (kind < 70)
        crash_some(world, 1 + world_below(world, world->process_count));
    else if (kind < 80)
        crash_host(world, 1 + world_below(world, 1 + world->process_count / 4));
    else
        world_crash(world, world->controller);
    if (world->change_due && world->lineup_size > 0 && !all_at_end(world))
        break_step(world);
}

static void ask(struct world *world)
{
    static const uint8_t types[] = {REQUEST_CHECKPOINT, REQUEST_CHECKPOINT, REQUEST_SCALE,
                                    REQUEST_SCALE,      REQUEST_DRAIN,      REQUEST_DRAIN,
                                    REQUEST_UNDRAIN,    REQUEST_UNDRAIN,    REQUEST_STOP};
    uint32_t who = random_alive(world);
    struct controller_event event = {.type = EVENT_REQUEST};
    event.request = types[world_below(world, sizeof(types))];
    event.count = 1 + world_below(world, world->process_count + 4);
    if (who == UINT32_MAX || (event.request == REQUEST_STOP && world_chance(world, 50)))
        return;
    if (world_chance(world, 70))
        event.member = world->processes[who].id;
    else
        event.host = world->processes[who].host;
    world->accepted_stops += event.request == REQUEST_STOP; /* it may end here */
    if (world_feed(world, event) == 0 && event.request == REQUEST_SCALE)
        world->max_workers = event.count;
}

static void go_wrong(struct world *world)
{
    uint32_t kind = world_below(world, 100);
    world->faults_left--;
    if (kind < 5)
        world_bar_spawns(world);
    else if (kind < 60)
        lose_somebody(world);
    else if (kind < 90)
        ask(world);
    else { /* a process joins: it is registered in the change that this begins */
        world_add_process(world, 100 + world_below(world, 4));
        world->change_due = true;
    }
}

void rounds_run(struct world *world)
{
    world->now_us += 1 + world_below(world, 120000);
    if (world->faults_left > 0 && world_chance(world, 30))
        go_wrong(world);
    if (world->ended)
        return;
    if (!world->processes[world->controller].alive)
        return; /* nobody to deliver to */
    if (!world->change_due && lineup_is_whole(world))
        work(world);
    bool all = world_chance(world, 50);
    world_deliver(world, all ? UINT32_MAX : world_below(world, 1 + world->message_count));
    if (!world->change_due || world_chance(world, 50))
        world_feed(world, (struct controller_event){.type = EVENT_TICK});
}
