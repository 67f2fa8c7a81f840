/* state.c - protected arrays: their registration, and how a program reads and writes those that the
 * library allocated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "slots.h"

enum { ALIGNMENT_BYTES = 64 };

static uint64_t type_bytes(enum onward_type type)
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
    uint64_t bytes = type_bytes(type);
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

static void add_array(struct onward *ow, const char *name, void *data, enum onward_type type,
                      int ndims, const uint64_t *dims)
{
    struct checkpoint_array *array = &ow->arrays[ow->array_count++];
    memset(array, 0, sizeof *array);
    strcpy(array->name, name);
    array->type = type;
    array->ndims = ndims;
    memcpy(array->dims, dims, (size_t)ndims * sizeof *dims);
    array->data = data;
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
        signature = XXH64(&array, sizeof array, signature);
    }
    return signature;
}

struct checkpoint_id state_checkpoint_id(const struct onward *ow, int64_t epoch, int64_t step)
{
    struct checkpoint_id id = {"", ow->incarnation, epoch, step};
    snprintf(id.task, sizeof id.task, "%s", ow->options.task);
    return id;
}
