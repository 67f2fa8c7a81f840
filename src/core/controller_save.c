/* controller_save.c - the state of the controller as bytes, and back.
 *
 * Layout: header, struct controller_plain, the members, the member IDs of the lineup; each as it
 * lies in memory, since both sides are the same build. Loading believes nothing: sizes must fit to
 * the byte, bytes that become bool must be 0 or 1, and the loaded state must pass controller_check.
 */
#include "controller_state.h"

#include <stdlib.h>
#include <string.h>

struct header {
    char magic[8];
    uint32_t plain_bytes, member_bytes; /* sizes of the structs: a fence against another build */
    uint32_t member_count, lineup_size, next_id, zero;
};

static const char magic[8] = {'o', 'n', 'w', 'c', 'o', 'r', 'e', '1'};

static size_t total_bytes(uint32_t member_count, uint32_t lineup_size)
{
    return sizeof(struct header) + sizeof(struct controller_plain) +
           member_count * sizeof(struct roster_member) + lineup_size * sizeof(uint32_t);
}

/* Copies size bytes to or from a place that then moves on. */
static void put(unsigned char **at, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(*at, bytes, size);
    *at += size;
}

static void get(const unsigned char **at, void *bytes, size_t size)
{
    if (size > 0)
        memcpy(bytes, *at, size);
    *at += size;
}

size_t controller_save(const struct controller *state, void *bytes, size_t capacity)
{
    size_t size = total_bytes(state->roster.count, state->lineup_size);
    struct header header = {
        .plain_bytes = sizeof(struct controller_plain),
        .member_bytes = sizeof(struct roster_member),
        .member_count = state->roster.count,
        .lineup_size = state->lineup_size,
        .next_id = state->roster.next_id,
    };
    unsigned char *at = bytes;
    if (bytes == NULL || capacity < size)
        return size;
    memcpy(header.magic, magic, sizeof(magic));
    put(&at, &header, sizeof(header));
    put(&at, &state->plain, sizeof(state->plain));
    for (uint32_t i = 0; i < state->roster.count; i++)
        put(&at, state->roster.members[i], sizeof(*state->roster.members[i]));
    put(&at, state->lineup, state->lineup_size * sizeof(uint32_t));
    return size;
}

static bool header_is_valid(const struct header *header, size_t size)
{
    return memcmp(header->magic, magic, sizeof(magic)) == 0 &&
           header->plain_bytes == sizeof(struct controller_plain) &&
           header->member_bytes == sizeof(struct roster_member) && header->zero == 0 &&
           size == total_bytes(header->member_count, header->lineup_size);
}

static bool bytes_are_bool(const unsigned char *bytes, const size_t *offsets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[offsets[i]] > 1)
            return false;
    return true;
}

static bool load_plain(struct controller *state, const unsigned char **at)
{
    static const size_t bools[] = {
        offsetof(struct controller_plain, policy.can_spawn),
        offsetof(struct controller_plain, policy.can_relaunch),
        offsetof(struct controller_plain, policy.sharded),
        offsetof(struct controller_plain, policy.initial_kept),
        offsetof(struct controller_plain, policy.finish_checkpoint),
        offsetof(struct controller_plain, policy.checkpoint_auto),
    };
    if (!bytes_are_bool(*at, bools, sizeof(bools) / sizeof(bools[0])))
        return false;
    get(at, &state->plain, sizeof(state->plain));
    return controller_check_plain(&state->plain) == NULL;
}

static bool load_member(struct roster *roster, const unsigned char **at)
{
    static const size_t bools[] = {
        offsetof(struct roster_member, shown.is_controller),
        offsetof(struct roster_member, shown.reported),
        offsetof(struct roster_member, shown.clean),
    };
    uint32_t id;
    memcpy(&id, *at + offsetof(struct roster_member, shown.id), sizeof(id));
    if (!bytes_are_bool(*at, bools, sizeof(bools) / sizeof(bools[0])))
        return false;
    struct roster_member *member = roster_add(roster, id);
    if (member == NULL)
        return false;
    get(at, member, sizeof(*member));
    return true;
}

static bool load_lineup(struct controller *state, const struct header *header,
                        const unsigned char **at)
{
    if (header->lineup_size == 0)
        return true;
    state->lineup = malloc(header->lineup_size * sizeof(uint32_t));
    if (state->lineup == NULL)
        return false;
    state->lineup_size = header->lineup_size;
    get(at, state->lineup, header->lineup_size * sizeof(uint32_t));
    return true;
}

static bool load_all(struct controller *state, const struct header *header,
                     const unsigned char **at)
{
    if (!load_plain(state, at))
        return false;
    for (uint32_t i = 0; i < header->member_count; i++)
        if (!load_member(&state->roster, at))
            return false;
    if (!load_lineup(state, header, at) || header->next_id < state->roster.next_id)
        return false;
    state->roster.next_id = header->next_id;
    return controller_check(state) == NULL;
}

struct controller *controller_load(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    struct header header;
    if (bytes == NULL || size < sizeof(header))
        return NULL;
    get(&at, &header, sizeof(header));
    if (!header_is_valid(&header, size))
        return NULL;
    struct controller *state = calloc(1, sizeof(*state));
    if (state == NULL)
        return NULL;
    roster_start(&state->roster);
    state->waits_for_start = true;
    if (load_all(state, &header, &at))
        return state;
    controller_destroy(state);
    return NULL;
}
