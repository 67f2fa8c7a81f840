/* lineup.h - which worker does which subtasks. */
#ifndef CORE_LINEUP_H
#define CORE_LINEUP_H

#include <stdint.h>

/* A contiguous range of subtasks: first .. first+count-1. */
struct lineup_range {
    uint32_t first, count;
};

/* The range of worker `rank` of `size` (size >= 1, 0 <= rank < size): contiguous, in order of rank,
 * balanced to within one subtask, the larger ranges first. Workers beyond subtask_count get 0. */
struct lineup_range lineup_split(uint32_t subtask_count, uint32_t size, uint32_t rank);

/* The worker that has `subtask` under lineup_split. */
uint32_t lineup_owner(uint32_t subtask_count, uint32_t size, uint32_t subtask);

#endif
