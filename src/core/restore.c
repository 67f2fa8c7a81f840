/* restore.c - the newest step that can be restored, and from where.
 *
 * For held copies: all of them are sorted by step, shard count and shard, so that each set of
 * shards is one run, and the first run from the newest end without a gap is the answer. */
#include "restore.h"

#include <stdlib.h>
#include <string.h>

int64_t restore_newest(const struct restore_checkpoints *checkpoints)
{
    return checkpoints->count == 0 ? -1 : checkpoints->steps[checkpoints->count - 1];
}

/* Index of the first step that is not below `step`. */
static uint32_t place_of(const struct restore_checkpoints *checkpoints, int64_t step)
{
    uint32_t index = 0;
    while (index < checkpoints->count && checkpoints->steps[index] < step)
        index++;
    return index;
}

void restore_add(struct restore_checkpoints *checkpoints, int64_t step)
{
    int64_t *steps = checkpoints->steps;
    uint32_t index = place_of(checkpoints, step);
    if (index < checkpoints->count && steps[index] == step)
        return;
    if (checkpoints->count == CONTROLLER_MAX_CHECKPOINTS) {
        if (index == 0)
            return;
        memmove(steps, steps + 1, (checkpoints->count - 1) * sizeof(*steps));
        checkpoints->count--;
        index--;
    }
    memmove(steps + index + 1, steps + index, (checkpoints->count - index) * sizeof(*steps));
    steps[index] = step;
    checkpoints->count++;
}

bool restore_remove(struct restore_checkpoints *checkpoints, int64_t step)
{
    int64_t *steps = checkpoints->steps;
    uint32_t index = place_of(checkpoints, step);
    if (index == checkpoints->count || steps[index] != step)
        return false;
    checkpoints->count--;
    memmove(steps + index, steps + index + 1, (checkpoints->count - index) * sizeof(*steps));
    return true;
}

/* A held copy and who holds it. */
struct candidate {
    int64_t step;
    uint32_t shard_count, shard, member;
};

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Newest step first, then sets of the same shard count, then by shard, then by member. */
static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare(b->step, a->step);
    if (order == 0)
        order = compare(a->shard_count, b->shard_count);
    if (order == 0)
        order = compare(a->shard, b->shard);
    return order == 0 ? compare(a->member, b->member) : order;
}

static bool outlives_memory(const struct held_copy *copy)
{
    return copy->level == LEVEL_LOCAL || copy->level == LEVEL_PARTNER;
}

static uint32_t collect(const struct roster *roster, struct candidate *candidates)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct core_member *member = &roster->members[i]->shown;
        for (uint32_t k = 0; member->reported && k < member->held_count; k++) {
            const struct held_copy *copy = &member->held[k];
            if (outlives_memory(copy))
                candidates[count++] = (struct candidate){.step = copy->step,
                                                         .shard_count = copy->shard_count,
                                                         .shard = copy->shard,
                                                         .member = member->id};
        }
    }
    return count;
}

/* Whether the run that begins at candidates[0] has every shard; *length is set to its length. */
static bool run_is_whole(const struct candidate *candidates, uint32_t count, uint32_t *length)
{
    uint32_t next_shard = 0, i = 0;
    for (; i < count && candidates[i].step == candidates[0].step &&
           candidates[i].shard_count == candidates[0].shard_count;
         i++)
        next_shard += candidates[i].shard == next_shard;
    *length = i;
    return next_shard == candidates[0].shard_count;
}

static void choose_held(struct candidate *candidates, uint32_t count, struct restore_choice *choice)
{
    uint32_t length = 0;
    qsort(candidates, count, sizeof(*candidates), compare_candidates);
    for (uint32_t i = 0; i < count && candidates[i].step > choice->step; i += length) {
        if (!run_is_whole(candidates + i, count - i, &length))
            continue;
        choice->source = SOURCE_HELD;
        choice->step = candidates[i].step;
        choice->member = candidates[i].shard_count == 1 ? candidates[i].member : 0;
        return;
    }
}

static uint32_t held_total(const struct roster *roster)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < roster->count; i++)
        total += roster->members[i]->shown.held_count;
    return total;
}

/* Of the most advanced clean members the lowest rank, else the first registered. */
static void choose_member(const struct roster *roster, struct restore_choice *choice)
{
    uint32_t best_rank = UINT32_MAX;
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct core_member *member = &roster->members[i]->shown;
        uint32_t rank = (uint32_t)member->rank; /* no rank comes last */
        bool better = member->complete_step > choice->step ||
                      (member->complete_step == choice->step && rank < best_rank);
        if (!member->reported || !member->clean || member->complete_step < 0 || !better)
            continue;
        *choice = (struct restore_choice){SOURCE_MEMBER, member->id, member->complete_step};
        best_rank = rank;
    }
}

int restore_choose(const struct roster *roster, const struct restore_checkpoints *checkpoints,
                   bool sharded, struct restore_choice *choice)
{
    uint32_t total = held_total(roster);
    struct candidate *candidates = total > 0 ? malloc(total * sizeof(*candidates)) : NULL;
    if (total > 0 && candidates == NULL)
        return -1;
    *choice = (struct restore_choice){.source = SOURCE_FRESH, .step = -1};
    if (!sharded)
        choose_member(roster, choice);
    if (total > 0)
        choose_held(candidates, collect(roster, candidates), choice);
    free(candidates);
    if (restore_newest(checkpoints) > choice->step)
        *choice = (struct restore_choice){SOURCE_CHECKPOINT, 0, restore_newest(checkpoints)};
    if (choice->source == SOURCE_FRESH)
        choice->step = 0;
    return 0;
}
