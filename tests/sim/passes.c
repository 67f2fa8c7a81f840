/* passes.c - an epoch change, pass by pass, as the members of a real job walk it.
 *
 * Each pass: the controller, or the first living member in its place, gathers reports and lets the
 * core decide; the opening is broadcast; the state is brought; all agree. Somebody may die at each
 * of these points, and then the next pass begins with who is left. */
#include "world.h"

#include <stdlib.h>

enum { MAX_PASSES = 4096, MAX_SPAWNS = 64 };

/* Somebody may die at this point; true when somebody did. */
static bool somebody_dies(struct world *world)
{
    if (world->faults_left == 0 || !world_chance(world, 6))
        return false;
    uint32_t victim =
        world_chance(world, 25) ? world->controller : world_below(world, world->process_count);
    if (!world->processes[victim].alive)
        return false;
    world->faults_left--;
    world_crash(world, victim);
    return true;
}

static uint32_t first_alive(const struct world *world)
{
    for (uint32_t i = 0; i < world->process_count; i++)
        if (world->processes[i].alive)
            return i;
    return UINT32_MAX;
}

static bool is_registered(const struct world *world, const struct process *process)
{
    return process->id != 0 && controller_find(world->core, process->id) != NULL;
}

static void register_one(struct world *world, uint32_t index)
{
    struct process *process = &world->processes[index];
    uint32_t next = controller_next_member_id(world->core);
    process->id = process->id >= next ? process->id : next;
    if (world_feed(world, (struct controller_event){.type = EVENT_REGISTERED,
                                                    .member = process->id,
                                                    .host = process->host,
                                                    .is_controller = process->dedicated,
                                                    .step = process->step}) != 0)
        world_fail(world, "member %u could not be registered", process->id);
}

/* Those who know their ID from an opening that the controller did not see come first. */
static void register_missing(struct world *world)
{
    if (world->ended)
        return;
    for (uint32_t i = 0; i < world->process_count; i++)
        if (world->processes[i].alive && world->processes[i].id != 0 &&
            !is_registered(world, &world->processes[i]))
            register_one(world, i);
    for (uint32_t i = 0; i < world->process_count; i++)
        if (world->processes[i].alive && !is_registered(world, &world->processes[i]))
            register_one(world, i);
}

/* A new controller reads the run directory: what is damaged goes, the newest whole one is found. */
static void find_checkpoints(struct world *world)
{
    uint32_t kept = 0;
    int64_t newest = -1;
    for (uint32_t i = 0; i < world->store_count; i++) {
        if (world->store[i].torn) {
            world_feed(world, (struct controller_event){.type = EVENT_CHECKPOINT_BAD,
                                                        .step = world->store[i].step});
            continue;
        }
        world->store[kept++] = world->store[i];
        if (world->store[i].step > newest)
            newest = world->store[i].step;
    }
    world->store_count = kept;
    if (newest >= 0)
        world_feed(world,
                   (struct controller_event){.type = EVENT_CHECKPOINT_COMMITTED, .step = newest});
}

/* The whole core anew from the newest opening that this member received. */
static void take_over(struct world *world, uint32_t index)
{
    struct process *process = &world->processes[index];
    world_say(world, "! process %u takes over", index);
    world->refused_size = 0; /* the opening may be from before */
    controller_destroy(world->core);
    world->core = process->blob == NULL
                      ? controller_create(&world->policy)
                      : controller_load(process->blob->bytes, process->blob->size);
    if (world->core == NULL) {
        world_fail(world, "the opening's state could not be loaded");
        return;
    }
    world->controller = index;
    world->is_barred = process->blob != NULL && process->blob->is_barred;
    if (world_chance(world, 20)) /* the one before did not return from a spawn */
        world_bar_spawns(world);
    world->takeovers++;
    world->clock_offset_us = world_below(world, 1000000000);
    world_forget_messages(world);
    if (process->blob != NULL && process->agreed)
        world_feed(world, (struct controller_event){.type = EVENT_OPENED, .epoch = process->epoch});
    world_feed(world, (struct controller_event){.type = EVENT_START, .member = process->id});
    find_checkpoints(world);
}

static void tell_losses(struct world *world)
{
    for (uint32_t i = 0; i < controller_member_count(world->core) && !world->ended;) {
        uint32_t id = controller_member(world->core, i)->id;
        if (world_find(world, id) != UINT32_MAX)
            i++;
        else if (world_feed(world, (struct controller_event){.type = EVENT_LOST, .member = id}) !=
                 0)
            return world_fail(world, "the loss of member %u was refused", id);
    }
}

static void report_all(struct world *world)
{
    uint32_t count = world->process_count, start = world_below(world, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct process *process = &world->processes[(start + i) % count];
        struct controller_event event = {.type = EVENT_REPORT,
                                         .member = process->id,
                                         .step = process->step,
                                         .clean = process->clean,
                                         .epoch = process->epoch,
                                         .held_count = process->held_count,
                                         .in_change = true};
        for (uint32_t k = 0; k < process->held_count; k++)
            event.held[k] = process->held[k];
        if (process->alive && !world->ended && world_feed(world, event) != 0)
            world_fail(world, "the report of member %u was refused", process->id);
    }
}

/* As many processes as are asked for, or fewer; or a part of them was tried, of whom as many came
 * or fewer. */
static struct controller_event spawn_processes(struct world *world, uint32_t asked)
{
    uint32_t tried = world_chance(world, 50) ? 1 + world_below(world, asked) : 0;
    uint32_t came = tried > 0 ? tried : asked;
    if (world->spawn_fails && world->faults_left > 0 && world_chance(world, 60)) {
        came = world_below(world, came);
        world->faults_left--;
    }
    for (uint32_t i = 0; i < came; i++)
        world_add_process(world, 200 + world_below(world, 8));
    return (struct controller_event){.type = EVENT_SPAWN_RESULT, .count = came, .tried = tried};
}

/* While the others work: they are registered in the change that the result begins. */
void passes_spawn(struct world *world, uint32_t count)
{
    uint32_t first = world->process_count;
    struct controller_event result = spawn_processes(world, count);
    if (result.count > 0 && world->spawn_fails && world->faults_left > 0 &&
        world_chance(world, 30)) {
        world->faults_left--;
        world_crash(world, first); /* before it was registered */
    }
    if (world_chance(world, 50))
        world_feed(world, result);
    else
        world_push_local(world, result); /* it takes its time; a change may come between */
}

/* In a change, since too few are left without. */
static void spawn(struct world *world)
{
    struct controller_event result = spawn_processes(world, world->spawn_asked);
    world->spawn_asked = 0;
    bool registers_first = world_chance(world, 50);
    if (registers_first)
        register_missing(world);
    if (world_chance(world, 95)) /* else the pass is cut before the result comes */
        world_feed(world, result);
    register_missing(world);
    world_feed(world, (struct controller_event){.type = EVENT_GATHERED});
}

/* The decision, with as many spawns as the core asks for. */
static void decide(struct world *world)
{
    world->opened = (struct controller_action){0};
    world->lost_noted = 0;
    world_deliver_local(world);
    tell_losses(world);
    register_missing(world);
    report_all(world);
    world_feed(world, (struct controller_event){.type = EVENT_GATHERED});
    for (uint32_t i = 0; i < MAX_SPAWNS && world->spawn_asked > 0 && !world->ended; i++)
        spawn(world);
    if (world->ended)
        return;
    if (world->opened.type != ACTION_OPEN_EPOCH)
        world_fail(world, "everybody has reported, and the core neither opens nor ends");
    else
        judge_open(world, &world->opened);
}

/* The opening reaches all, or, when the pass is cut in it, some. */
static void broadcast(struct world *world, bool cut)
{
    struct blob *blob = calloc(1, sizeof(*blob));
    if (blob == NULL)
        abort();
    blob->size = controller_save(world->core, NULL, 0);
    blob->bytes = malloc(blob->size);
    if (blob->bytes == NULL || controller_save(world->core, blob->bytes, blob->size) != blob->size)
        abort();
    blob->holders = 1;
    blob->is_barred = world->is_barred;
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *process = &world->processes[i];
        if (!process->alive || (cut && world_chance(world, 50)))
            continue;
        world_blob_drop(process);
        blob->holders++;
        process->blob = blob;
        process->epoch = world->opened.epoch;
        process->agreed = false;
    }
    struct process holder = {.blob = blob};
    world_blob_drop(&holder);
}

/* The bits on their way to those who do not have them: a cut leaves these without a clean state. */
static bool bring_state(struct world *world)
{
    const struct controller_action *opened = &world->opened;
    bool cut = somebody_dies(world);
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *process = &world->processes[i];
        const struct core_member *member = controller_find(world->core, process->id);
        bool has_it =
            opened->source == SOURCE_MEMBER && process->clean && process->step == opened->step;
        if (cut && member != NULL && member->rank >= 0 && !has_it && world_chance(world, 50))
            process->clean = false;
    }
    return !cut;
}

/* False when the checkpoint to read is damaged: the core hears of it, and of the one before. */
static bool checkpoint_reads(struct world *world)
{
    if (world->opened.source != SOURCE_CHECKPOINT)
        return true;
    for (uint32_t i = 0; i < world->store_count; i++)
        if (world->store[i].step == world->opened.step && world->store[i].torn) {
            find_checkpoints(world);
            return false;
        }
    return true;
}

/* True when the program cannot be laid out for the lineup: the next one has to be smaller. */
static bool size_is_refused(struct world *world)
{
    uint32_t size = world->opened.size;
    if (size <= world->policy.min_workers || !world_chance(world, 4))
        return false;
    if (world_feed(world, (struct controller_event){.type = EVENT_SIZE_REFUSED, .count = size}) !=
        0)
        world_fail(world, "that %u workers cannot be laid out was refused", size);
    world->refused_size = size;
    return true;
}

static void enter_epoch(struct world *world)
{
    const struct controller_action *opened = &world->opened;
    uint32_t *lineup = realloc(world->lineup, opened->size * sizeof(*lineup));
    if (lineup == NULL)
        abort();
    world->lineup = lineup;
    world->lineup_size = opened->size;
    world->epoch = opened->epoch;
    for (uint32_t i = 0; i < world->process_count; i++) {
        struct process *process = &world->processes[i];
        const struct core_member *member = controller_find(world->core, process->id);
        if (!process->alive || member == NULL)
            continue;
        process->agreed = true;
        process->order = -1;
        process->finishing = false;
        process->rank = member->rank;
        if (process->rank < 0)
            continue;
        lineup[process->rank] = i;
        process->step = opened->step;
        process->clean = true;
    }
}

static void start(struct world *world)
{
    if (controller_member_count(world->core) > 0 || world->takeovers > 0)
        return;
    world_feed(world, (struct controller_event){.type = EVENT_START, .member = 1});
    if (world_chance(world, 10)) { /* a run before left one */
        world->store[world->store_count++] =
            (struct stored){world_below(world, 40), world_chance(world, 20)};
    }
    find_checkpoints(world);
}

/* True when all agreed, or the task ended. */
static bool run_pass(struct world *world)
{
    uint32_t first = first_alive(world);
    if (first == UINT32_MAX) {
        world->ended = true; /* nobody is left: the launcher's business */
        return true;
    }
    if (!world->processes[world->controller].alive)
        take_over(world, first);
    start(world);
    decide(world);
    if (world->ended)
        return true;
    bool cut = somebody_dies(world);
    broadcast(world, cut);
    if (cut || size_is_refused(world) || !checkpoint_reads(world) || !bring_state(world))
        return false;
    enter_epoch(world);
    world->change_due = false;
    if (world_feed(world, (struct controller_event){.type = EVENT_OPENED,
                                                    .epoch = world->opened.epoch}) != 0)
        world_fail(world, "the epoch that all agreed to was refused");
    return true;
}

void passes_run(struct world *world)
{
    world->changes_stalled++;
    world->refused_size = 0;
    for (uint32_t pass = 0; pass < MAX_PASSES && !world->ended; pass++) {
        world->now_us += 1 + world_below(world, 30000);
        if (run_pass(world))
            return;
        if (world_chance(world, 30))
            world_forget_messages(world);
    }
    if (!world->ended)
        world_fail(world, "a change did not end in %d passes", MAX_PASSES);
}
