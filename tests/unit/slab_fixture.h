/* slab_fixture.h - for the tests of sharded arrays: the elements of a hyperslab, one by one, in the
 * plainest way there is. Included by one program a time, behind store_fixture.h. */
#ifndef TESTS_SLAB_FIXTURE_H
#define TESTS_SLAB_FIXTURE_H

#include "store_fixture.h"

#include "slab.h"

enum { MAX_EXTENT = 512 };

/* Which indices a slab has along a dimension. Returns how many. */
static __attribute__((unused)) uint64_t slab_indices(const struct onward_slab *slab, int d,
                                                     uint64_t extent, uint64_t list[MAX_EXTENT])
{
    uint64_t count = 0;
    for (uint64_t block = 0; block < slab->count[d]; block++)
        for (uint64_t i = 0; i < slab->block[d]; i++)
            if (slab->start[d] + block * slab->stride[d] + i < extent)
                list[count++] = slab->start[d] + block * slab->stride[d] + i;
    return count;
}

/* The elements of a slab of a whole field, as a dense part. Returns how many. */
static __attribute__((unused)) uint64_t slab_gather(const struct onward_slab *slab,
                                                    const uint64_t dims[2], const double *field,
                                                    double *dense)
{
    uint64_t rows[MAX_EXTENT], columns[MAX_EXTENT];
    uint64_t row_count = slab_indices(slab, 0, dims[0], rows);
    uint64_t column_count = slab_indices(slab, 1, dims[1], columns);
    for (uint64_t i = 0; i < row_count; i++)
        for (uint64_t k = 0; k < column_count; k++)
            *dense++ = field[rows[i] * dims[1] + columns[k]];
    return row_count * column_count;
}

#endif
