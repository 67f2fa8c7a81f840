/* state.c - protected arrays: their registration, and how a program reads and writes those that the
 * library allocated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "shards.h"
#include "slots.h"

enum { ALIGNMENT_BYTES = 64 };

uint64_t state_type_bytes(int type)
{
    switch (type) {
    case ONWARD_FLOAT:
    case ONWARD_INT32:
        return 4;
    case ONWARD_DOUBLE:
    case ONWARD_INT64:
    case ONWARD_UINT64:
        return 8;
    case ONWARD_BYTE:
        return 1;
    }
    return 0;
}

/* Size in bytes, or 0 when a description is out of range. */
static uint64_t array_bytes(enum onward_type type, int ndims, const uint64_t *dims)
{
    uint64_t bytes = state_type_bytes(type);
    if (ndims < 1 || ndims > ONWARD_MAX_DIMS || !dims)
        return 0;
    for (int i = 0; i < ndims; i++)
        if (dims[i] == 0 || __builtin_mul_overflow(bytes, dims[i], &bytes))
            return 0;
    return bytes;
}

static int check_name(struct onward *ow, const char *call, const char *name)
{
    if (!name || !*name || strlen(name) >= ONWARD_MAX_NAME_BYTES)
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT, "%s: the name has to have 1 to %d bytes",
                         call, ONWARD_MAX_NAME_BYTES - 1);
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (strcmp(ow->arrays[i].name, name) == 0)
            return error_set(&ow->error, ONWARD_ERR_ARGUMENT, "%s: '%s' is protected already", call,
                             name);
    return ONWARD_OK;
}

static int check_array(struct onward *ow, const char *call, const char *name, uint64_t bytes)
{
    if (ow->opened)
        return error_set(&ow->error, ONWARD_ERR_ORDER, "%s: '%s' comes after the first onward_next",
                         call, name ? name : "(null)");
    if (ow->array_count == ONWARD_MAX_ARRAYS)
        return error_set(&ow->error, ONWARD_ERR_LIMIT, "%s: more than %d arrays", call,
                         ONWARD_MAX_ARRAYS);
    if (bytes == 0)
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "%s: '%s' needs memory, a type, 1 to %d dims, none of them 0", call,
                         name ? name : "(null)", ONWARD_MAX_DIMS);
    return check_name(ow, call, name);
}

static struct checkpoint_array *add_array(struct onward *ow, const char *name, void *data,
                                          enum onward_type type, int ndims, const uint64_t *dims)
{
    struct checkpoint_array *array = &ow->arrays[ow->array_count++];
    memset(array, 0, sizeof *array);
    strcpy(array->name, name);
    array->type = type;
    array->ndims = ndims;
    memcpy(array->dims, dims, (size_t)ndims * sizeof *dims);
    array->data = data;
    return array;
}

int onward_protect(struct onward *ow, const char *name, void *data, enum onward_type type,
                   int ndims, const uint64_t *dims, unsigned flags)
{
    uint64_t bytes = array_bytes(type, ndims, dims);
    int code = check_array(ow, "onward_protect", name, data ? bytes : 0);
    if (code != ONWARD_OK)
        return code;
    if (flags != ONWARD_REPLICATED && flags != (ONWARD_REPLICATED | ONWARD_ATOMIC))
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_protect: '%s': flags 0x%x, expected ONWARD_REPLICATED with or "
                         "without ONWARD_ATOMIC",
                         name, flags);
    ow->protected[ow->array_count] = (struct protected_array){.bytes = bytes, .flags = flags};
    add_array(ow, name, data, type, ndims, dims);
    return ONWARD_OK;
}

int onward_alloc(struct onward *ow, const char *name, enum onward_type type, int ndims,
                 const uint64_t *dims, unsigned flags, int *array)
{
    uint64_t bytes = array_bytes(type, ndims, dims);
    void *initial = NULL;
    int code = check_array(ow, "onward_alloc", name, array ? bytes : 0);
    if (code != ONWARD_OK)
        return code;
    if (flags != ONWARD_REPLICATED)
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_alloc: '%s': flags 0x%x, expected ONWARD_REPLICATED", name, flags);
    if (posix_memalign(&initial, ALIGNMENT_BYTES, bytes) != 0)
        return error_set(&ow->error, ONWARD_ERR_MEMORY,
                         "onward_alloc: no memory for the %llu bytes of '%s'",
                         (unsigned long long)bytes, name);
    memset(initial, 0, bytes);
    *array = (int)ow->array_count;
    ow->protected[ow->array_count] = (struct protected_array){
        .bytes = bytes, .flags = flags, .is_ours = true, .initial = initial};
    add_array(ow, name, initial, type, ndims, dims);
    return ONWARD_OK;
}

int onward_shard(struct onward *ow, const char *name, enum onward_type type, int ndims,
                 const uint64_t *dims, onward_layout *layout, void *context, int *array)
{
    uint64_t bytes = array_bytes(type, ndims, dims);
    int code = check_array(ow, "onward_shard", name, array && layout ? bytes : 0);
    if (code != ONWARD_OK)
        return code;
    *array = (int)ow->array_count;
    ow->protected[ow->array_count] =
        (struct protected_array){.flags = ONWARD_SHARDED, .layout = layout, .context = context};
    add_array(ow, name, NULL, type, ndims, dims)->sharded = true;
    return ONWARD_OK;
}

void *onward_part(const struct onward *ow, int array, uint64_t *count)
{
    bool is_there = array >= 0 && (uint32_t)array < ow->array_count;
    const struct array_part *held = is_there ? ow->protected[array].held : NULL;
    if (count)
        *count = held ? held->elements : 0;
    return held ? held->data : NULL;
}

/* Commas between names, one fewer than dimensions. */
static bool names_each(const char *dimensions, int ndims)
{
    int commas = 0;
    for (const char *c = dimensions; *c; c++)
        commas += *c == ',';
    return commas == ndims - 1;
}

int onward_describe(struct onward *ow, const char *name, const char *dimensions, const char *unit)
{
    struct checkpoint_array *array = NULL;
    dimensions = dimensions ? dimensions : "";
    unit = unit ? unit : "";
    if (ow->opened)
        return error_set(&ow->error, ONWARD_ERR_ORDER,
                         "onward_describe: '%s' comes after the first onward_next",
                         name ? name : "(null)");
    for (uint32_t i = 0; i < ow->array_count && name; i++)
        if (strcmp(ow->arrays[i].name, name) == 0)
            array = &ow->arrays[i];
    if (!array)
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_describe: no array '%s' is protected", name ? name : "(null)");
    if (strlen(dimensions) >= sizeof array->labels || strlen(unit) >= sizeof array->unit ||
        (*dimensions && !names_each(dimensions, array->ndims)))
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_describe: '%s': expected %d names with commas between, of at most "
                         "%zu bytes, and a unit of at most %zu",
                         name, array->ndims, sizeof array->labels - 1, sizeof array->unit - 1);
    strcpy(array->labels, dimensions);
    strcpy(array->unit, unit);
    return ONWARD_OK;
}

const void *onward_read(const struct onward *ow, int array)
{
    return array >= 0 && (uint32_t)array < ow->array_count ? ow->arrays[array].data : NULL;
}

void *onward_write(struct onward *ow, int array)
{
    if (array < 0 || (uint32_t)array >= ow->array_count || !ow->protected[array].is_ours) {
        error_set(&ow->error, ONWARD_ERR_ARGUMENT, "onward_write: %d is no array of onward_alloc",
                  array);
        return NULL;
    }
    if (!ow->local)
        return ow->arrays[array].data;
    if (!ow->in_step) {
        error_set(&ow->error, ONWARD_ERR_ORDER, "onward_write: '%s' is written outside of a step",
                  ow->arrays[array].name);
        return NULL;
    }
    return slots_incoming(ow, (uint32_t)array);
}

/* Names, types and shapes, so that members which disagree are found before they exchange bits. */
uint64_t state_signature(const struct onward *ow)
{
    uint64_t signature = 0;
    for (uint32_t i = 0; i < ow->array_count; i++) {
        struct checkpoint_array array = ow->arrays[i];
        array.data = NULL;
        array.slabs = NULL;
        array.slab_count = 0;
        memset(array.labels, 0, sizeof array.labels); /* what is said of it is not what it is */
        memset(array.unit, 0, sizeof array.unit);
        signature = XXH64(&array, sizeof array, signature);
    }
    return signature;
}

void state_sizes(const struct onward *ow, uint64_t *replicated_bytes, uint64_t *sharded_bytes)
{
    *replicated_bytes = *sharded_bytes = 0;
    for (uint32_t i = 0; i < ow->array_count; i++) {
        const struct checkpoint_array *array = &ow->arrays[i];
        uint64_t *sum = array->sharded ? sharded_bytes : replicated_bytes;
        *sum += array_bytes(array->type, array->ndims, array->dims);
    }
}

struct checkpoint_id state_checkpoint_id(const struct onward *ow, int64_t epoch, int64_t step)
{
    struct checkpoint_id id = {"", ow->incarnation, epoch, step};
    snprintf(id.task, sizeof id.task, "%s", ow->options.task);
    return id;
}
