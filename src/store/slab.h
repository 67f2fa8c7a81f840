/* slab.h - hyperslabs: which elements of a global array a part holds, and what two parts share.
 *
 * A part is stored dense: in each dimension the selected elements get the numbers 0, 1, ... (local
 * indices), and the elements lie row-major by those. An overlap of two parts is, in each dimension,
 * a list of runs of elements that both hold; a walk visits its contiguous pieces. Memory is
 * proportional to the blocks along each dimension, never to the elements. No I/O. */
#ifndef STORE_SLAB_H
#define STORE_SLAB_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "onward.h"

/* The whole of an array. */
struct onward_slab slab_whole(int ndims, const uint64_t *dims);
/* Rows [first, first+count) of dimension 0. */
struct onward_slab slab_rows(int ndims, const uint64_t *dims, uint64_t first, uint64_t count);

/* Cuts off what is beyond the array and brings the description into one form: an empty dimension
 * makes the whole slab empty (all zeros); blocks that touch become one; no block begins outside.
 * False when blocks overlap (stride below block) or numbers are out of range. */
bool slab_normalise(struct onward_slab *slab, int ndims, const uint64_t *dims);

/* From here on slabs are normalised. Elements along one dimension, and in all. */
uint64_t slab_extent(const struct onward_slab *slab, int d, const uint64_t *dims);
uint64_t slab_elements(const struct onward_slab *slab, int ndims, const uint64_t *dims);

/* What a part weighs, for the question whether parts are each element of an array once, which takes
 * no longer for more elements: then, and as good as only then, the sum of their weights is the
 * weight of the whole. */
uint64_t slab_weight(const struct onward_slab *slab, int ndims, const uint64_t *dims);
uint64_t slab_weight_sum(uint64_t a, uint64_t b);

/* Elements from.. of part a along one dimension are elements to.. of part b. */
struct slab_run {
    uint64_t from, to, length;
};

struct slab_overlap {
    int ndims;         /* dimensions that both hold whole are folded into the one before */
    uint64_t unit;     /* elements that one step along the last dimension stands for */
    uint64_t elements; /* in all; 0: nothing is shared */
    uint64_t from_size[ONWARD_MAX_DIMS]; /* elements of a in one step along each dimension */
    uint64_t to_size[ONWARD_MAX_DIMS];
    uint32_t run_count[ONWARD_MAX_DIMS];
    struct slab_run *runs[ONWARD_MAX_DIMS];
};

/* What parts a and b share. ONWARD_OK or ONWARD_ERR_MEMORY; clear it in any case. */
int slab_meet(const struct onward_slab *a, const struct onward_slab *b, int ndims,
              const uint64_t *dims, struct slab_overlap *overlap, struct error *error);
void slab_overlap_clear(struct slab_overlap *overlap);

/* Visits the contiguous pieces in ascending order of `from`, in elements of the two parts; ends at
 * the first visit that does not return ONWARD_OK, and returns that. */
typedef int slab_visit(void *context, uint64_t from, uint64_t to, uint64_t length);
int slab_walk(const struct slab_overlap *overlap, slab_visit *visit, void *context);

/* Cuts a slab into such of at most max_elements (at least one), in halves along the outermost
 * dimension that has more than one element, and visits them; ends at the first visit that does not
 * return ONWARD_OK, and returns that. */
typedef int slab_piece_visit(void *context, const struct onward_slab *piece);
int slab_cut(const struct onward_slab *slab, int ndims, const uint64_t *dims, uint64_t max_elements,
             slab_piece_visit *visit, void *context);

/* A slab's tail is what is behind its last whole block: HDF5 has no cut blocks. Splits a slab into
 * at most 2^ndims slabs without cut blocks; part_start (may be NULL) is where each begins in the
 * dense part. Returns how many. */
enum { SLAB_MAX_PIECES = 1 << ONWARD_MAX_DIMS };
int slab_split(const struct onward_slab *slab, int ndims, const uint64_t *dims,
               struct onward_slab pieces[SLAB_MAX_PIECES],
               uint64_t part_start[SLAB_MAX_PIECES][ONWARD_MAX_DIMS]);

#endif
