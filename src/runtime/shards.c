/* shards.c - the parts of sharded arrays; see shards.h. */
#include "shards.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "slab.h"
#include "slots.h"

enum { ALIGNMENT_BYTES = 64 };

bool shards_any(const struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (ow->arrays[i].sharded)
            return true;
    return false;
}

int shards_keep_initial(struct onward *ow)
{
    for (uint32_t i = 0; shards_any(ow) && i < ow->array_count; i++) {
        struct protected_array *array = &ow->protected[i];
        if (ow->arrays[i].sharded || array->initial)
            continue;
        array->initial = malloc(array->bytes);
        if (!array->initial)
            return error_set(&ow->error, ONWARD_ERR_MEMORY,
                             "no memory for the initial values of '%s'", ow->arrays[i].name);
        memcpy(array->initial, ow->arrays[i].data, array->bytes);
    }
    return ONWARD_OK;
}

void shards_put_initial(struct onward *ow)
{
    for (uint32_t i = 0; shards_any(ow) && i < ow->array_count; i++)
        if (!ow->arrays[i].sharded)
            memcpy(slots_incoming(ow, i), ow->protected[i].initial, ow->protected[i].bytes);
}

int shards_ask(struct onward *ow, uint32_t index, int rank, int size, struct array_part *part)
{
    const struct checkpoint_array *array = &ow->arrays[index];
    const struct onward_slab whole = slab_whole(array->ndims, array->dims);
    const struct onward_role role = {
        .comm = MPI_COMM_NULL, .rank = rank, .size = size, .changed = true};
    struct onward_slab slabs[ONWARD_MAX_SLABS];
    for (int i = 0; i < ONWARD_MAX_SLABS; i++)
        slabs[i] = whole;
    int count = ow->protected[index].layout(ow->protected[index].context, &role, slabs);
    if (count < 0)
        return error_set(&ow->error, ONWARD_ERR_INPUT,
                         "array '%s': the program has no layout for %d workers: %s", array->name,
                         size, onward_error_message(count));
    if (count > ONWARD_MAX_SLABS)
        return error_set(&ow->error, ONWARD_ERR_INPUT,
                         "array '%s': the layout of rank %d of %d returned %d, expected 0 to %d "
                         "hyperslabs",
                         array->name, rank, size, count, ONWARD_MAX_SLABS);
    *part = (struct array_part){0};
    for (int i = 0; i < count; i++) {
        if (!slab_normalise(&slabs[i], array->ndims, array->dims))
            return error_set(&ow->error, ONWARD_ERR_INPUT,
                             "array '%s': hyperslab %d of rank %d of %d has blocks that overlap: "
                             "expected a stride of at least the block",
                             array->name, i, rank, size);
        uint64_t elements = slab_elements(&slabs[i], array->ndims, array->dims);
        if (elements == 0)
            continue;
        part->slabs[part->slab_count++] = slabs[i];
        part->elements += elements;
    }
    return ONWARD_OK;
}

/* How many elements two parts share; a part with itself: its slabs with each other. */
static int shared_elements(const struct checkpoint_array *array, const struct array_part *a,
                           const struct array_part *b, uint64_t *shared, struct error *error)
{
    int code = ONWARD_OK;
    *shared = 0;
    for (uint32_t i = 0; i < a->slab_count; i++)
        for (uint32_t k = a == b ? i + 1 : 0; k < b->slab_count && code == ONWARD_OK; k++) {
            struct slab_overlap overlap;
            code =
                slab_meet(&a->slabs[i], &b->slabs[k], array->ndims, array->dims, &overlap, error);
            *shared += overlap.elements;
            slab_overlap_clear(&overlap);
        }
    return code;
}

/* Every worker compares its own part with those of all others, so that together they compare all
 * pairs; with the right number of elements in all, each is in one part. *slabs grows by how many
 * the parts have. */
static int check_cover(struct onward *ow, uint32_t index, const struct array_part *own,
                       int own_rank, int size, uint64_t *slabs)
{
    const struct checkpoint_array *array = &ow->arrays[index];
    uint64_t total = 0, expected = 1, shared = 0;
    int code = ONWARD_OK;
    struct array_part other;
    for (int rank = 0; rank < size && code == ONWARD_OK; rank++) {
        code = shards_ask(ow, index, rank, size, &other);
        if (code == ONWARD_OK)
            code =
                shared_elements(array, own, rank == own_rank ? own : &other, &shared, &ow->error);
        total += other.elements;
        *slabs += other.slab_count;
        if (code == ONWARD_OK && shared > 0)
            code = error_set(&ow->error, ONWARD_ERR_INPUT,
                             "array '%s': the parts of ranks %d and %d of %d share %" PRIu64
                             " elements, expected none",
                             array->name, own_rank, rank, size, shared);
    }
    for (int d = 0; d < array->ndims; d++)
        expected *= array->dims[d];
    if (code == ONWARD_OK && total != expected)
        code = error_set(&ow->error, ONWARD_ERR_INPUT,
                         "array '%s': the parts of %d workers have %" PRIu64 " of %" PRIu64
                         " elements, expected all",
                         array->name, size, total, expected);
    return code;
}

static int lay_out(struct onward *ow, uint32_t index, int rank, int size, uint64_t *slabs)
{
    const struct checkpoint_array *array = &ow->arrays[index];
    struct array_part *part = calloc(1, sizeof *part);
    ow->protected[index].incoming = part;
    if (!part)
        return error_set(&ow->error, ONWARD_ERR_MEMORY, "no memory for a part of '%s'",
                         array->name);
    int code = shards_ask(ow, index, rank, size, part);
    if (code == ONWARD_OK)
        code = check_cover(ow, index, part, rank, size, slabs);
    if (code != ONWARD_OK)
        return code;
    uint64_t bytes = part->elements * state_type_bytes(array->type);
    if (bytes > 0 && posix_memalign(&part->data, ALIGNMENT_BYTES, bytes) != 0) {
        part->data = NULL;
        return error_set(&ow->error, ONWARD_ERR_MEMORY,
                         "no memory for the %" PRIu64 " bytes of the part of '%s'", bytes,
                         array->name);
    }
    if (bytes > 0)
        memset(part->data, 0, bytes);
    return ONWARD_OK;
}

int shards_lay_out(struct onward *ow, int rank, int size)
{
    int code = ONWARD_OK;
    uint64_t slabs = 0;
    for (uint32_t i = 0; i < ow->array_count && code == ONWARD_OK; i++)
        if (ow->arrays[i].sharded)
            code = lay_out(ow, i, rank, size, &slabs);
    if (code == ONWARD_OK && slabs > ONWARD_MAX_ALL_SLABS)
        code = error_set(&ow->error, ONWARD_ERR_INPUT,
                         "the parts of %d workers have %" PRIu64 " hyperslabs, expected at most %d",
                         size, slabs, ONWARD_MAX_ALL_SLABS);
    return code;
}

uint64_t shards_incoming_elements(const struct onward *ow, uint32_t index)
{
    const struct array_part *part = ow->protected[index].incoming;
    return part ? part->elements : 0;
}

void shards_want(const struct onward *ow, uint32_t index, struct checkpoint_array *array)
{
    const struct array_part *part = ow->protected[index].incoming;
    array->data = part ? part->data : NULL;
    array->slabs = part ? part->slabs : NULL;
    array->slab_count = part ? part->slab_count : 0;
}

static void drop(struct array_part **part)
{
    if (*part)
        free((*part)->data);
    free(*part);
    *part = NULL;
}

void shards_drop(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        drop(&ow->protected[i].incoming);
}

void shards_commit(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++) {
        struct protected_array *array = &ow->protected[i];
        if (!ow->arrays[i].sharded)
            continue;
        drop(&array->held);
        array->held = array->incoming;
        array->incoming = NULL;
        ow->arrays[i].data = array->held ? array->held->data : NULL;
        ow->arrays[i].slabs = array->held ? array->held->slabs : NULL;
        ow->arrays[i].slab_count = array->held ? array->held->slab_count : 0;
    }
}

void shards_release(struct onward *ow)
{
    shards_drop(ow);
    for (uint32_t i = 0; i < ow->array_count; i++)
        drop(&ow->protected[i].held);
}

uint64_t shards_copy_bytes(const struct onward *ow)
{
    uint64_t bytes = 0, first, count;
    for (uint32_t i = 0; i < ow->array_count; i++) {
        const struct checkpoint_array *array = &ow->arrays[i];
        const struct array_part *held = ow->protected[i].held;
        checkpoint_rows(array->dims[0], (uint32_t)ow->role.size, (uint32_t)ow->role.rank, &first,
                        &count);
        if (array->sharded)
            bytes += held ? held->elements * state_type_bytes(array->type) : 0;
        else if (count > 0)
            bytes += ow->protected[i].bytes / array->dims[0] * count;
    }
    return bytes;
}

uint32_t shards_entries(const struct onward *ow, uint32_t rank, uint32_t first,
                        struct checkpoint_slab *entries)
{
    uint32_t count = 0, before = 0;
    for (uint32_t i = 0; i < ow->array_count; i++) {
        const struct checkpoint_array *array = &ow->arrays[i];
        uint32_t skipped = first > before ? first - before : 0;
        for (uint32_t k = skipped; k < array->slab_count && count < SHARDS_ENTRIES_AT_ONCE; k++)
            entries[count++] = (struct checkpoint_slab){i, rank, array->slabs[k]};
        before += array->slab_count;
    }
    return count;
}
