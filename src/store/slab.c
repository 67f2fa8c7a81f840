/* slab.c - hyperslabs and what two of them share; see slab.h. */
#include "slab.h"

#include <stdlib.h>
#include <string.h>

void onward_slab_block(struct onward_slab *slab, int d, uint64_t extent, int rank, int size)
{
    uint64_t each = extent / (uint64_t)size, larger = extent % (uint64_t)size;
    uint64_t place = (uint64_t)rank;
    slab->start[d] = place * each + (place < larger ? place : larger);
    slab->count[d] = 1;
    slab->block[d] = each + (place < larger);
    slab->stride[d] = slab->block[d];
}

void onward_slab_cyclic(struct onward_slab *slab, int d, uint64_t extent, uint64_t block, int rank,
                        int size)
{
    uint64_t first = (uint64_t)rank * block, round = (uint64_t)size * block;
    slab->start[d] = first;
    slab->stride[d] = round;
    slab->block[d] = block;
    slab->count[d] = first < extent && round > 0 ? (extent - first + round - 1) / round : 0;
}

struct onward_slab slab_whole(int ndims, const uint64_t *dims)
{
    struct onward_slab slab = {{0}, {0}, {0}, {0}};
    for (int d = 0; d < ndims; d++) {
        slab.stride[d] = slab.block[d] = dims[d];
        slab.count[d] = dims[d] > 0;
    }
    return slab;
}

struct onward_slab slab_rows(int ndims, const uint64_t *dims, uint64_t first, uint64_t count)
{
    struct onward_slab slab = slab_whole(ndims, dims);
    slab.start[0] = first;
    slab.stride[0] = slab.block[0] = count;
    slab.count[0] = count > 0;
    return slab;
}

/* One dimension; the extent of the array there. False: out of range. */
static bool normalise_dimension(struct onward_slab *slab, int d, uint64_t extent)
{
    uint64_t start = slab->start[d], stride = slab->stride[d];
    uint64_t count = slab->count[d], block = slab->block[d];
    if (count == 0 || block == 0 || start >= extent) {
        slab->start[d] = slab->stride[d] = slab->count[d] = slab->block[d] = 0;
        return true;
    }
    if (count > 1 && stride < block)
        return false;
    uint64_t room = extent - start;
    if (count > 1 && (room - 1) / stride + 1 < count)
        count = (room - 1) / stride + 1;
    if (count > 1 && stride == block) { /* blocks that touch */
        block = count > room / block ? room : count * block;
        count = 1;
    }
    if (block > room) {
        block = room;
    }
    slab->count[d] = count;
    slab->block[d] = block;
    slab->stride[d] = count > 1 ? stride : block;
    return true;
}

bool slab_normalise(struct onward_slab *slab, int ndims, const uint64_t *dims)
{
    bool is_empty = false;
    for (int d = 0; d < ndims; d++) {
        if (!normalise_dimension(slab, d, dims[d]))
            return false;
        is_empty = is_empty || slab->count[d] == 0;
    }
    if (is_empty)
        memset(slab, 0, sizeof *slab);
    for (int d = ndims; d < ONWARD_MAX_DIMS; d++)
        slab->start[d] = slab->stride[d] = slab->count[d] = slab->block[d] = 0;
    return true;
}

/* Block `i` along a dimension: its length, cut at the end of the array. */
static uint64_t block_length(const struct onward_slab *slab, int d, uint64_t extent, uint64_t i)
{
    uint64_t begin = slab->start[d] + i * slab->stride[d];
    return extent - begin < slab->block[d] ? extent - begin : slab->block[d];
}

uint64_t slab_extent(const struct onward_slab *slab, int d, const uint64_t *dims)
{
    uint64_t count = slab->count[d];
    if (count == 0)
        return 0;
    return (count - 1) * slab->block[d] + block_length(slab, d, dims[d], count - 1);
}

uint64_t slab_elements(const struct onward_slab *slab, int ndims, const uint64_t *dims)
{
    uint64_t elements = 1;
    for (int d = 0; d < ndims; d++)
        elements *= slab_extent(slab, d, dims);
    return elements;
}

/* Blocks from `first` up to `end` are all that can reach from `from` to `to`: of many blocks a
 * small piece meets few, and the others are not looked at. */
struct block_range {
    uint64_t first, end;
};

static struct block_range reaching(const struct onward_slab *slab, int d,
                                   const struct onward_slab *other)
{
    uint64_t from = other->start[d], start = slab->start[d], stride = slab->stride[d];
    if (slab->count[d] == 0 || other->count[d] == 0)
        return (struct block_range){0, 0};
    uint64_t to = from + (other->count[d] - 1) * other->stride[d] + other->block[d];
    uint64_t first = from > start ? (from - start) / stride : 0;
    uint64_t end = to > start ? (to - start - 1) / stride + 1 : 0;
    end = end < slab->count[d] ? end : slab->count[d];
    return (struct block_range){first < end ? first : end, end};
}

/* The runs along one dimension, ascending; runs that touch on both sides become one. */
static int meet_dimension(const struct onward_slab *a, const struct onward_slab *b, int d,
                          uint64_t extent, struct slab_overlap *overlap)
{
    struct block_range of_a = reaching(a, d, b), of_b = reaching(b, d, a);
    uint64_t i = of_a.first, k = of_b.first, room = of_a.end - i + of_b.end - k;
    struct slab_run *runs = calloc(room > 0 ? room : 1, sizeof *runs), *last = NULL;
    overlap->runs[d] = runs;
    if (!runs)
        return ONWARD_ERR_MEMORY;
    while (i < of_a.end && k < of_b.end) {
        uint64_t a_begin = a->start[d] + i * a->stride[d], b_begin = b->start[d] + k * b->stride[d];
        uint64_t a_end = a_begin + block_length(a, d, extent, i);
        uint64_t b_end = b_begin + block_length(b, d, extent, k);
        uint64_t begin = a_begin > b_begin ? a_begin : b_begin;
        uint64_t end = a_end < b_end ? a_end : b_end;
        if (begin < end) {
            struct slab_run run = {i * a->block[d] + (begin - a_begin),
                                   k * b->block[d] + (begin - b_begin), end - begin};
            if (last && last->from + last->length == run.from && last->to + last->length == run.to)
                last->length += run.length;
            else
                *(last = &runs[overlap->run_count[d]++]) = run;
        }
        if (a_end <= b_end)
            i++;
        if (b_end <= a_end)
            k++;
    }
    return ONWARD_OK;
}

/* Dimensions behind the first that both parts hold whole make longer pieces. */
static void fold(struct slab_overlap *overlap, const uint64_t *from_extent,
                 const uint64_t *to_extent)
{
    for (int d = overlap->ndims - 1; d > 0; d--) {
        const struct slab_run *run = overlap->runs[d];
        if (overlap->run_count[d] != 1 || run->length != from_extent[d] ||
            run->length != to_extent[d])
            return;
        overlap->unit *= run->length;
        overlap->ndims--;
    }
}

int slab_meet(const struct onward_slab *a, const struct onward_slab *b, int ndims,
              const uint64_t *dims, struct slab_overlap *overlap, struct error *error)
{
    uint64_t from_extent[ONWARD_MAX_DIMS], to_extent[ONWARD_MAX_DIMS];
    *overlap = (struct slab_overlap){.ndims = ndims, .unit = 1, .elements = 1};
    for (int d = 0; d < ndims; d++) {
        uint64_t shared = 0;
        if (meet_dimension(a, b, d, dims[d], overlap) != ONWARD_OK)
            return error_set(error, ONWARD_ERR_MEMORY, "out of memory to compare two parts");
        for (uint32_t i = 0; i < overlap->run_count[d]; i++)
            shared += overlap->runs[d][i].length;
        overlap->elements *= shared;
        from_extent[d] = slab_extent(a, d, dims);
        to_extent[d] = slab_extent(b, d, dims);
    }
    uint64_t from = 1, to = 1;
    for (int d = ndims - 1; d >= 0; d--) {
        overlap->from_size[d] = from;
        overlap->to_size[d] = to;
        from *= from_extent[d];
        to *= to_extent[d];
    }
    if (overlap->elements > 0)
        fold(overlap, from_extent, to_extent);
    return ONWARD_OK;
}

void slab_overlap_clear(struct slab_overlap *overlap)
{
    for (int d = 0; d < ONWARD_MAX_DIMS; d++) {
        free(overlap->runs[d]);
        overlap->runs[d] = NULL;
    }
}

static int walk(const struct slab_overlap *overlap, int d, uint64_t from, uint64_t to,
                slab_visit *visit, void *context)
{
    int code = ONWARD_OK;
    for (uint32_t r = 0; r < overlap->run_count[d] && code == ONWARD_OK; r++) {
        const struct slab_run *run = &overlap->runs[d][r];
        uint64_t from_size = overlap->from_size[d], to_size = overlap->to_size[d];
        if (d == overlap->ndims - 1) {
            code = visit(context, from + run->from * from_size, to + run->to * to_size,
                         run->length * overlap->unit);
            continue;
        }
        for (uint64_t i = 0; i < run->length && code == ONWARD_OK; i++)
            code = walk(overlap, d + 1, from + (run->from + i) * from_size,
                        to + (run->to + i) * to_size, visit, context);
    }
    return code;
}

int slab_walk(const struct slab_overlap *overlap, slab_visit *visit, void *context)
{
    return overlap->elements > 0 ? walk(overlap, 0, 0, 0, visit, context) : ONWARD_OK;
}

/* Along one dimension: the whole blocks (which 0) or the cut one (which 1). False: none. */
static bool take_piece(const struct onward_slab *slab, int d, uint64_t extent, int which,
                       struct onward_slab *piece, uint64_t *part_start)
{
    uint64_t count = slab->count[d], last = block_length(slab, d, extent, count - 1);
    bool is_cut = last < slab->block[d];
    uint64_t whole = is_cut ? count - 1 : count;
    if (which == 0 ? whole == 0 : !is_cut)
        return false;
    piece->start[d] = slab->start[d] + (which ? whole * slab->stride[d] : 0);
    piece->block[d] = which ? last : slab->block[d];
    piece->count[d] = which ? 1 : whole;
    piece->stride[d] = piece->count[d] > 1 ? slab->stride[d] : piece->block[d];
    *part_start = which ? whole * slab->block[d] : 0;
    return true;
}

int slab_split(const struct onward_slab *slab, int ndims, const uint64_t *dims,
               struct onward_slab pieces[SLAB_MAX_PIECES],
               uint64_t part_start[SLAB_MAX_PIECES][ONWARD_MAX_DIMS])
{
    int count = 0;
    if (slab_elements(slab, ndims, dims) == 0)
        return 0;
    for (int mask = 0; mask < 1 << ndims; mask++) {
        struct onward_slab piece = {{0}, {0}, {0}, {0}};
        uint64_t start[ONWARD_MAX_DIMS] = {0};
        bool is_there = true;
        for (int d = 0; d < ndims && is_there; d++)
            is_there = take_piece(slab, d, dims[d], mask >> d & 1, &piece, &start[d]);
        if (!is_there)
            continue;
        memcpy(part_start[count], start, sizeof start);
        pieces[count++] = piece;
    }
    return count;
}

/* Between two blocks where there are several, else in the middle of the one. */
static void halve(const struct onward_slab *slab, int d, struct onward_slab halves[2])
{
    halves[0] = halves[1] = *slab;
    if (slab->count[d] > 1) {
        halves[0].count[d] = slab->count[d] / 2;
        halves[1].count[d] -= halves[0].count[d];
        halves[1].start[d] += halves[0].count[d] * slab->stride[d];
    } else {
        halves[0].block[d] = slab->block[d] / 2;
        halves[1].block[d] -= halves[0].block[d];
        halves[1].start[d] += halves[0].block[d];
    }
}

int slab_cut(const struct onward_slab *slab, int ndims, const uint64_t *dims, uint64_t max_elements,
             slab_piece_visit *visit, void *context)
{
    struct onward_slab halves[2];
    uint64_t elements = slab_elements(slab, ndims, dims);
    int d = 0, code = ONWARD_OK;
    if (elements <= max_elements || elements <= 1)
        return elements > 0 ? visit(context, slab) : ONWARD_OK;
    while (slab_extent(slab, d, dims) == 1)
        d++;
    halve(slab, d, halves);
    for (int i = 0; i < 2 && code == ONWARD_OK; i++) {
        slab_normalise(&halves[i], ndims, dims);
        code = slab_cut(&halves[i], ndims, dims, max_elements, visit, context);
    }
    return code;
}
