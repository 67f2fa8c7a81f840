/* sum_helper.c - a second thread for checksums of blocks; see sum_helper.h. */
#include "sum_helper.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "background.h"

/* Below 16 MiB the writer is done before a thread has begun. */
enum { MIN_BLOCKS = (16 << 20) / SUMMED_BLOCK_BYTES };

struct sum_helper {
    const unsigned char *bytes;
    block_sum *sums;
    pthread_t thread;
    pthread_mutex_t mutex;
    uint64_t next; /* of the writer: what is before it is not the helper's */
    uint64_t end;  /* this block and all behind it are the helper's */
};

static bool is_of_use(uint64_t block_count)
{
    cpu_set_t cores;
    return block_count >= MIN_BLOCKS && sched_getaffinity(0, sizeof cores, &cores) == 0 &&
           CPU_COUNT(&cores) > 1;
}

static bool take_from_end(struct sum_helper *helper, uint64_t *block)
{
    pthread_mutex_lock(&helper->mutex);
    bool is_left = helper->next < helper->end;
    if (is_left)
        *block = --helper->end;
    pthread_mutex_unlock(&helper->mutex);
    return is_left;
}

static void *help(void *argument)
{
    struct sum_helper *helper = argument;
    for (uint64_t block; take_from_end(helper, &block);)
        block_sum_make(helper->bytes + block * SUMMED_BLOCK_BYTES, SUMMED_BLOCK_BYTES,
                       helper->sums[block]);
    return NULL;
}

struct sum_helper *sum_helper_begin(const void *bytes, uint64_t block_count, block_sum *sums)
{
    struct sum_helper *helper = is_of_use(block_count) ? calloc(1, sizeof *helper) : NULL;
    if (!helper)
        return NULL;
    helper->bytes = bytes;
    helper->sums = sums;
    helper->end = block_count;
    pthread_mutex_init(&helper->mutex, NULL);
    if (background_start(&helper->thread, help, helper, NULL) == ONWARD_OK)
        return helper;
    pthread_mutex_destroy(&helper->mutex);
    free(helper);
    return NULL;
}

bool sum_helper_leaves(struct sum_helper *helper, uint64_t block)
{
    pthread_mutex_lock(&helper->mutex);
    assert(block >= helper->next);
    bool is_left = block < helper->end;
    if (is_left)
        helper->next = block + 1;
    pthread_mutex_unlock(&helper->mutex);
    return is_left;
}

void sum_helper_end(struct sum_helper *helper)
{
    if (!helper)
        return;
    pthread_join(helper->thread, NULL);
    pthread_mutex_destroy(&helper->mutex);
    free(helper);
}
