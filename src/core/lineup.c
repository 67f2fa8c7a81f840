/* lineup.c - which worker does which subtasks.
 *
 * n subtasks over `size` workers: every worker gets n / size, and the first n % size workers one
 * more. Both directions are closed formulas, so nothing has to be stored or sent. */
#include "lineup.h"

#include <assert.h>

struct lineup_range lineup_split(uint32_t subtask_count, uint32_t size, uint32_t rank)
{
    assert(size >= 1 && rank < size);
    uint32_t base = subtask_count / size, larger = subtask_count % size;
    struct lineup_range range = {
        .first = rank * base + (rank < larger ? rank : larger),
        .count = base + (rank < larger),
    };
    return range;
}

uint32_t lineup_owner(uint32_t subtask_count, uint32_t size, uint32_t subtask)
{
    assert(size >= 1 && subtask < subtask_count);
    uint32_t base = subtask_count / size, larger = subtask_count % size;
    uint64_t in_larger = (uint64_t)larger * ((uint64_t)base + 1);
    if (subtask < in_larger)
        return (uint32_t)(subtask / ((uint64_t)base + 1));
    return larger + (uint32_t)((subtask - in_larger) / base);
}
