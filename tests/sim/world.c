/* world.c - sets up a schedule, feeds the core, carries out its actions. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

enum { EXACT_ABOVE = 256, CHECK_ALWAYS_UP_TO = 64, CHECK_EVERY = 499 };

uint64_t world_random(struct world *world)
{
    uint64_t z = (world->random += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t world_below(struct world *world, uint32_t n)
{
    return (uint32_t)((world_random(world) >> 32) * n >> 32);
}

bool world_chance(struct world *world, uint32_t percent)
{
    return world_below(world, 100) < percent;
}

void world_fail(struct world *world, const char *format, ...)
{
    va_list arguments;
    if (world->failure[0] != 0)
        return; /* the first is the cause */
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof(world->failure), format, arguments);
    va_end(arguments);
    world->ended = true;
}

void world_say(const struct world *world, const char *format, ...)
{
    va_list arguments;
    if (!world->verbose)
        return;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

uint32_t world_add_process(struct world *world, uint32_t host)
{
    if (world->process_count == world->process_capacity) {
        uint32_t capacity = 2 * world->process_capacity + 16;
        struct process *processes = realloc(world->processes, capacity * sizeof(*processes));
        if (processes == NULL)
            abort();
        world->processes = processes;
        world->process_capacity = capacity;
    }
    world->processes[world->process_count] = (struct process){.host = host,
                                                              .alive = true,
                                                              .rank = -1,
                                                              .given_rank = -1,
                                                              .step = -1,
                                                              .order = -1,
                                                              .shard_step = -1,
                                                              .slow = world_chance(world, 5)};
    return world->process_count++;
}

static void choose_policy(struct world *world, uint32_t members)
{
    struct controller_policy *policy = &world->policy;
    policy->subtask_count = 1 + world_below(world, 2 * members + 4);
    policy->step_count = world_chance(world, 2) ? 0 : 1 + world_below(world, 24);
    policy->min_workers = 1 + (world_chance(world, 30) ? world_below(world, members) : 0);
    policy->max_workers = policy->min_workers + world_below(world, 2 * members + 1);
    policy->spare_count = world_chance(world, 30) ? world_below(world, members) : 0;
    policy->replace = (uint8_t)world_below(world, 3);
    policy->can_spawn = world_chance(world, 60);
    policy->sharded = world_chance(world, 20);
    policy->finish_checkpoint = world_chance(world, 70);
    policy->checkpoint_steps = world_chance(world, 40) ? 1 + world_below(world, 8) : 0;
    policy->checkpoint_us = world_chance(world, 30) ? 50000 + world_below(world, 2000000) : 0;
    policy->checkpoint_auto = world_chance(world, 20);
    policy->checkpoint_min_us = 10000;
    policy->checkpoint_max_us = 5000000;
    policy->restart_budget = world_below(world, 8);
    policy->backoff_us = 1000 + world_below(world, 1000000);
    policy->no_progress_limit = 1 + world_below(world, 12);
    policy->can_relaunch = world_chance(world, 50);
    policy->seed = world->seed;
    world->max_workers = policy->max_workers;
}

static void choose_faults(struct world *world)
{
    world->faults_left = world_chance(world, 10) ? 0 : world_below(world, 12);
    world->disk_fails = world_chance(world, 15);
    world->spawn_fails = world_chance(world, 40);
    world->tears = world_chance(world, 20);
    world->loses_messages = world_chance(world, 5);
    world->unclean = world_chance(world, 25);
}

/* Small schedules are the more likely ones: they are fast, and most mistakes are in them. */
static uint32_t choose_members(struct world *world, uint32_t max_members)
{
    if (max_members > EXACT_ABOVE)
        return max_members;
    uint32_t bound = 1 + world_below(world, max_members);
    return 1 + world_below(world, 1 + world_below(world, bound));
}

struct world *world_create(uint64_t seed, uint32_t max_members, bool verbose)
{
    struct world *world = calloc(1, sizeof(*world));
    if (world == NULL)
        return NULL;
    world->seed = world->random = seed;
    world->verbose = verbose;
    world->best_step = world->known_step = world->progress_step = -1;
    uint32_t members = choose_members(world, max_members);
    choose_policy(world, members);
    choose_faults(world);
    for (uint32_t i = 0; i < members; i++)
        world_add_process(world, 1 + i / 4);
    world->processes[0].dedicated = members > 1;
    world->core = controller_create(&world->policy);
    world->change_due = true;
    world_say(world, "policy subtasks=%u steps=%lld min=%u max=%u spares=%u replace=%u sharded=%d",
              world->policy.subtask_count, (long long)world->policy.step_count,
              world->policy.min_workers, world->policy.max_workers, world->policy.spare_count,
              world->policy.replace, world->policy.sharded);
    if (world->core == NULL)
        world_fail(world, "the policy was refused");
    return world;
}

void world_blob_drop(struct process *process)
{
    struct blob *blob = process->blob;
    process->blob = NULL;
    if (blob == NULL || --blob->holders > 0)
        return;
    free(blob->bytes);
    free(blob);
}

void world_destroy(struct world *world)
{
    for (uint32_t i = 0; i < world->process_count; i++)
        world_blob_drop(&world->processes[i]);
    controller_destroy(world->core);
    free(world->processes);
    free(world->lineup);
    free(world->messages);
    free(world);
}

uint32_t world_find(const struct world *world, uint32_t id)
{
    for (uint32_t i = 0; i < world->process_count; i++)
        if (world->processes[i].id == id && world->processes[i].alive)
            return i;
    return UINT32_MAX;
}

void world_crash(struct world *world, uint32_t process)
{
    world_say(world, "! process %u (member %u) dies", process, world->processes[process].id);
    world->processes[process].alive = false;
    world->change_due = true;
}

static void grow_ring(struct world *world)
{
    uint32_t capacity = 2 * world->message_capacity + 64;
    struct message *messages = malloc(capacity * sizeof(*messages));
    if (messages == NULL)
        abort();
    for (uint32_t i = 0; i < world->message_count; i++)
        messages[i] = world->messages[(world->message_first + i) % world->message_capacity];
    free(world->messages);
    world->messages = messages;
    world->message_first = 0;
    world->message_capacity = capacity;
}

static void push(struct world *world, const struct message *message)
{
    if (world->message_count == world->message_capacity)
        grow_ring(world);
    world->messages[(world->message_first + world->message_count++) % world->message_capacity] =
        *message;
}

void world_send(struct world *world, uint32_t process, struct controller_event event)
{
    struct message message = {.event = event, .slow = world->processes[process].slow};
    message.event.member = world->processes[process].id;
    message.event.epoch = world->epoch;
    if (world->loses_messages && event.type == EVENT_CHECKPOINT_SHARD && world_chance(world, 10))
        return; /* the deadline has to notice */
    push(world, &message);
}

void world_forget_messages(struct world *world)
{
    world->message_count = 0;
}

/* Some messages, in order but for those of slow members, which are put off now and then. */
void world_deliver(struct world *world, uint32_t limit)
{
    uint32_t first_pass = world->message_count;
    for (uint32_t i = 0; i < limit && i < first_pass && !world->change_due && !world->ended; i++) {
        struct message message = world->messages[world->message_first];
        world->message_first = (world->message_first + 1) % world->message_capacity;
        world->message_count--;
        if (message.slow && world_chance(world, 50))
            push(world, &message);
        else
            world_feed(world, message.event);
    }
}

void world_deliver_local(struct world *world)
{
    for (uint32_t i = 0; i < world->message_count; i++) {
        struct message *message =
            &world->messages[(world->message_first + i) % world->message_capacity];
        if (!message->local)
            continue;
        struct controller_event event = message->event;
        message->event = (struct controller_event){.type = EVENT_TICK};
        message->local = false;
        world_feed(world, event);
    }
}

static void order_checkpoint(struct world *world, int64_t step)
{
    for (uint32_t rank = 0; rank < world->lineup_size; rank++) {
        struct process *process = &world->processes[world->lineup[rank]];
        process->order = step;
        process->order_wait = world_chance(world, 80) ? 0 : 1 + world_below(world, 3);
    }
}

static void store_add(struct world *world, int64_t step)
{
    if (world->store_count == STORE_CAPACITY) {
        memmove(world->store, world->store + 1, (STORE_CAPACITY - 1) * sizeof(world->store[0]));
        world->store_count--;
    }
    world->store[world->store_count++] = (struct stored){
        .step = step, .torn = world->tears && world->faults_left > 0 && world_chance(world, 30)};
}

void world_push_local(struct world *world, struct controller_event event)
{
    push(world, &(struct message){.event = event, .local = true});
}

static void commit_checkpoint(struct world *world, int64_t step)
{
    struct controller_event event = {.type = EVENT_CHECKPOINT_COMMITTED, .step = step};
    judge_commit(world, step);
    if (world->disk_fails && world->faults_left > 0 && world_chance(world, 50)) {
        event.type = EVENT_CHECKPOINT_FAILED;
        world->commit_failures++;
    } else {
        store_add(world, step);
    }
    if (world_chance(world, 50))
        world_feed(world, event);
    else
        world_push_local(world, event);
}

static void begin_final_work(struct world *world)
{
    judge_finish(world);
    world->finish_seen = true;
    for (uint32_t rank = 0; rank < world->lineup_size; rank++)
        world->processes[world->lineup[rank]].finishing = true;
}

static void carry_out(struct world *world, const struct controller_action *action)
{
    switch (action->type) {
    case ACTION_REFORM:
        world->change_due = true;
        break;
    case ACTION_OPEN_EPOCH:
        world->opened = *action;
        break;
    case ACTION_NOTE:
        if (action->note == NOTE_STEPS_LOST)
            world->lost_noted = action->count;
        break;
    case ACTION_SPAWN:
        if (world->is_barred)
            world_fail(world, "spawns although spawns are barred");
        if (controller_in_change(world->core))
            world->spawn_asked = action->count; /* the pass goes on with it */
        else
            passes_spawn(world, action->count);
        break;
    case ACTION_TAKE_CHECKPOINT:
        order_checkpoint(world, action->step);
        break;
    case ACTION_COMMIT_CHECKPOINT:
        commit_checkpoint(world, action->step);
        break;
    case ACTION_ABANDON_CHECKPOINT:
        for (uint32_t i = 0; i < world->process_count; i++)
            world->processes[i].order = -1;
        break;
    case ACTION_FINISH:
        begin_final_work(world);
        break;
    case ACTION_COMPLETE:
    case ACTION_GIVE_UP:
        world->end = *action;
        world->ended = true;
        judge_end(world, action);
        break;
    default:
        break;
    }
}

void world_bar_spawns(struct world *world)
{
    world_say(world, "! spawns are barred");
    controller_stop_spawns(world->core);
    world->is_barred = true;
}

static void check_core(struct world *world)
{
    bool small = controller_member_count(world->core) <= CHECK_ALWAYS_UP_TO;
    const char *wrong = NULL;
    if (small || world->events % CHECK_EVERY == 0)
        wrong = controller_check(world->core);
    if (wrong != NULL)
        world_fail(world, "invariant: %s", wrong);
}

static bool is_in_lineup(const struct world *world, uint32_t member)
{
    for (uint32_t rank = 0; rank < world->lineup_size; rank++)
        if (world->processes[world->lineup[rank]].id == member)
            return true;
    return false;
}

/* What was lost by going back before this epoch is not lost again. */
static void note_known_step(struct world *world, const struct controller_event *event, int answer)
{
    if (answer != 0)
        return;
    if (event->type == EVENT_OPENED)
        world->known_step = world->resumed_step;
    if (event->type == EVENT_REPORT && event->step > world->known_step &&
        is_in_lineup(world, event->member))
        world->known_step = event->step;
}

int world_feed(struct world *world, struct controller_event event)
{
    struct controller_actions actions;
    event.now_us = world->now_us + world->clock_offset_us;
    if (world->ended)
        return -1;
    if (world->verbose)
        show_event(stdout, &event);
    int answer = controller_step(world->core, &event, &actions);
    if (world->verbose && answer != 0)
        puts("< refused");
    for (uint32_t i = 0; i < actions.count && world->verbose; i++)
        show_action(stdout, world->core, &actions.items[i]);
    world->events++;
    check_core(world);
    if (answer == 0 && event.type == EVENT_REPORT && event.step > world->best_step) {
        world->best_step = event.step;
        world->changes_stalled = event.step == 0 ? world->changes_stalled : 0;
    }
    note_known_step(world, &event, answer);
    for (uint32_t i = 0; i < actions.count && world->failure[0] == 0; i++)
        carry_out(world, &actions.items[i]);
    return answer;
}
