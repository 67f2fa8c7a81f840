/* slots.c - the state after the newest complete step, and where the next one grows; see slots.h. */
#include "slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copies.h"
#include "shards.h"

/* The program keeps to its own contract, or the array has no state of a single step to go back to.
 */
static bool has_no_slots(const struct onward *ow, uint32_t array)
{
    return ow->protected[array].flags & (ONWARD_ATOMIC | ONWARD_SHARDED);
}

bool slots_have_all(const struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (has_no_slots(ow, i))
            return false;
    return true;
}

/* bytes: room for ONWARD_MAX_ARRAYS; a sharded array has size 0 there. */
static struct local_id local_id_of(const struct onward *ow, uint64_t *bytes)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        bytes[i] = ow->protected[i].bytes;
    return (struct local_id){.directory = ow->options.local_directory,
                             .task = ow->options.task,
                             .run = ow->run_number,
                             .signature = state_signature(ow),
                             .incarnation = ow->incarnation,
                             .array_count = ow->array_count,
                             .bytes = bytes};
}

static void note(struct onward *ow, const char *text)
{
    snprintf(ow->warning, sizeof ow->warning, "%.255s", text);
}

static void note_problem(void *context, const struct error *problem)
{
    if (problem->code == ONWARD_ERR_IO || problem->code == ONWARD_ERR_INPUT)
        copies_note_unread(context, problem->code, problem->text);
    else
        note(context, problem->text);
}

/* What is the program's memory was given its initial values there, the rest in `initial`. */
static void take_initial_values(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++) {
        struct protected_array *array = &ow->protected[i];
        if (has_no_slots(ow, i))
            continue;
        memcpy(local_current(ow->local, i), ow->arrays[i].data, array->bytes);
        if (!array->is_ours)
            continue;
        ow->arrays[i].data = local_current(ow->local, i);
        if (shards_any(ow))
            continue;
        free(array->initial);
        array->initial = NULL;
    }
}

int slots_create(struct onward *ow)
{
    uint64_t bytes[ONWARD_MAX_ARRAYS];
    struct local_id id = local_id_of(ow, bytes);
    struct error error = {0};
    if (ow->local)
        return ONWARD_OK;
    ow->outlives = ow->array_count > 0 && slots_have_all(ow);
    if (ow->outlives && local_create(&id, &ow->local, &error) != ONWARD_OK) {
        ow->outlives = false;
        note(ow, error.text);
    }
    id.directory = NULL;
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (has_no_slots(ow, i))
            bytes[i] = 0;
    int code = ow->local ? ONWARD_OK : local_create(&id, &ow->local, &ow->error);
    if (code == ONWARD_OK)
        take_initial_values(ow);
    return code;
}

void slots_release(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        free(ow->protected[i].initial);
    local_close(ow->local);
    local_close(ow->left);
    slots_forget_held(ow);
}

void *slots_incoming(struct onward *ow, uint32_t array)
{
    return ow->protected[array].is_ours ? local_next(ow->local, array) : ow->arrays[array].data;
}

void slots_commit(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (!has_no_slots(ow, i) && !ow->protected[i].is_ours)
            memcpy(local_next(ow->local, i), ow->arrays[i].data, ow->protected[i].bytes);
    local_commit(ow->local, ow->role.epoch, ow->complete_step);
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (ow->protected[i].is_ours)
            ow->arrays[i].data = local_current(ow->local, i);
}

void slots_discard(struct onward *ow)
{
    if (!ow->local)
        return;
    local_discard(ow->local);
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (!has_no_slots(ow, i) && !ow->protected[i].is_ours)
            memcpy(ow->arrays[i].data, local_current(ow->local, i), ow->protected[i].bytes);
}

static void find_held(struct onward *ow)
{
    uint64_t bytes[ONWARD_MAX_ARRAYS];
    struct local_id id = local_id_of(ow, bytes);
    struct error error;
    if (local_find(&id, note_problem, ow, &ow->held, &error) != ONWARD_OK)
        note(ow, error.text);
}

void slots_find_held(struct onward *ow)
{
    if (ow->held_sought)
        return;
    ow->held_sought = true;
    if (ow->array_count == 0)
        return;
    find_held(ow); /* without slots nothing that is there fits: it is another program's */
    if (ow->unread_text[0]) { /* a disk that stumbled gets a second chance */
        sleep_ns(READ_AGAIN_NS);
        slots_forget_held(ow);
        copies_forget_unread(ow);
        find_held(ow);
    }
    if (ow->unread_text[0])
        note(ow, ow->unread_text);
}

/* data: room for ONWARD_MAX_ARRAYS. */
static void find_incoming(struct onward *ow, void **data)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        data[i] = slots_incoming(ow, i);
}

int slots_load_held(struct onward *ow, unsigned *verdict)
{
    void *data[ONWARD_MAX_ARRAYS];
    *verdict = LOCAL_ALONE;
    if (!ow->held)
        return error_set(&ow->error, ONWARD_ERR_NOT_FOUND, "no local copy of the state is held");
    find_incoming(ow, data);
    return local_load(ow->held, data, verdict, &ow->error);
}

unsigned slots_compare_held(struct onward *ow)
{
    void *data[ONWARD_MAX_ARRAYS];
    find_incoming(ow, data);
    return local_compare(ow->held, data);
}

struct held_id slots_held(const struct onward *ow)
{
    if (!ow->held)
        return (struct held_id){0, 0, -1};
    return (struct held_id){local_copy_incarnation(ow->held), local_copy_epoch(ow->held),
                            local_copy_step(ow->held)};
}

void slots_forget_held(struct onward *ow)
{
    local_forget(ow->held);
    ow->held = NULL;
    ow->held_ruled_out = false;
}

bool slots_is_first_of_host(const struct seat *seats, uint32_t count, const char *host,
                            int32_t rank)
{
    for (uint32_t i = 0; i < count; i++)
        if ((uint32_t)seats[i].rank < (uint32_t)rank && strcmp(seats[i].host, host) == 0)
            return false;
    return true;
}

bool slots_may_leave(const struct onward *ow)
{
    return !ow->dedicated && !ow->outlives && !shards_any(ow) && ow->array_count > 0;
}

void slots_leave(struct onward *ow)
{
    uint64_t bytes[ONWARD_MAX_ARRAYS];
    struct local_id id = local_id_of(ow, bytes);
    const void *data[ONWARD_MAX_ARRAYS];
    struct error error;
    if (!slots_may_leave(ow))
        return;
    for (uint32_t i = 0; i < ow->array_count; i++)
        data[i] = ow->arrays[i].data;
    local_remove(ow->left); /* of an attempt before: there may be room for one */
    if (local_leave(&id, data, ow->role.epoch, ow->complete_step, &ow->left, &error) == ONWARD_OK)
        slots_remove_older(ow); /* only now, since there may be no room for this one */
    else
        note(ow, error.text);
}

void slots_remove_older(const struct onward *ow)
{
    uint64_t bytes[ONWARD_MAX_ARRAYS];
    struct local_id id = local_id_of(ow, bytes);
    local_remove_older(&id);
}

void slots_saved(const struct onward *ow)
{
    if (ow->in_lineup && slots_may_leave(ow))
        slots_remove_older(ow);
}

void slots_remove_all(const struct onward *ow)
{
    uint64_t bytes[ONWARD_MAX_ARRAYS];
    struct local_id id = local_id_of(ow, bytes);
    local_remove_all(&id);
}
