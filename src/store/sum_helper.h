/* sum_helper.h - a second thread for the checksums of blocks that lie in memory.
 *
 * Who writes the blocks to a file comes from the front, and sums each as it passes; the helper sums
 * from the end, until the two meet. A core that has nothing else to do so takes most of the sums
 * off the writer; where there is none the writer sums as it would without, while the bytes are in
 * its cache. */
#ifndef STORE_SUM_HELPER_H
#define STORE_SUM_HELPER_H

#include <stdbool.h>
#include <stdint.h>

#include "summed_file.h"

struct sum_helper;

/* bytes: block_count blocks of SUMMED_BLOCK_BYTES, borrowed until the end. sums: of as many, of
 * which the helper writes those that it takes. NULL where one is of no use or cannot be had: few
 * blocks, one core, no thread, no memory. */
struct sum_helper *sum_helper_begin(const void *bytes, uint64_t block_count, block_sum *sums);
/* The writer is at this block, each time behind the one before. False: it is the helper's, as all
 * behind it are. */
bool sum_helper_leaves(struct sum_helper *helper, uint64_t block);
/* Waits until all that it took is summed. NULL is allowed. */
void sum_helper_end(struct sum_helper *helper);

#endif
