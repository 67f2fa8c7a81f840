/* state.c - protected arrays: their registration, and the copies of those whose step may change
 * them at any time (not ONWARD_ATOMIC). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "handle.h"

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

static int check_name(struct onward *ow, const char *name)
{
    if (!name || !*name || strlen(name) >= ONWARD_MAX_NAME_BYTES)
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_protect: the name has to have 1 to %d bytes",
                         ONWARD_MAX_NAME_BYTES - 1);
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (strcmp(ow->arrays[i].name, name) == 0)
            return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                             "onward_protect: '%s' is protected already", name);
    return ONWARD_OK;
}

static int check_array(struct onward *ow, const char *name, const void *data, uint64_t bytes,
                       unsigned flags)
{
    if (ow->opened)
        return error_set(&ow->error, ONWARD_ERR_ORDER,
                         "onward_protect: '%s' comes after the first onward_next", name);
    if (ow->array_count == ONWARD_MAX_ARRAYS)
        return error_set(&ow->error, ONWARD_ERR_LIMIT, "onward_protect: more than %d arrays",
                         ONWARD_MAX_ARRAYS);
    if (!data || bytes == 0)
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_protect: '%s' needs data, a type, 1 to %d dims, none of them 0",
                         name, ONWARD_MAX_DIMS);
    if (flags != ONWARD_REPLICATED && flags != (ONWARD_REPLICATED | ONWARD_ATOMIC))
        return error_set(&ow->error, ONWARD_ERR_ARGUMENT,
                         "onward_protect: '%s': flags 0x%x, expected ONWARD_REPLICATED with or "
                         "without ONWARD_ATOMIC",
                         name, flags);
    return check_name(ow, name);
}

int onward_protect(struct onward *ow, const char *name, void *data, enum onward_type type,
                   int ndims, const uint64_t *dims, unsigned flags)
{
    uint64_t bytes = array_bytes(type, ndims, dims);
    int code = check_array(ow, name ? name : "(null)", data, bytes, flags);
    if (code != ONWARD_OK)
        return code;
    void *copy = NULL;
    if (!(flags & ONWARD_ATOMIC)) {
        copy = malloc(bytes);
        if (!copy)
            return error_set(&ow->error, ONWARD_ERR_MEMORY, "no memory for the copy of '%s'", name);
        memcpy(copy, data, bytes);
    }
    struct checkpoint_array *array = &ow->arrays[ow->array_count];
    memset(array, 0, sizeof *array);
    strcpy(array->name, name);
    array->type = type;
    array->ndims = ndims;
    memcpy(array->dims, dims, (size_t)ndims * sizeof *dims);
    array->data = data;
    ow->protected[ow->array_count++] = (struct protected_array){bytes, flags, copy};
    return ONWARD_OK;
}

void state_keep_copies(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (ow->protected[i].copy)
            memcpy(ow->protected[i].copy, ow->arrays[i].data, ow->protected[i].bytes);
}

void state_restore_copies(struct onward *ow)
{
    for (uint32_t i = 0; i < ow->array_count; i++)
        if (ow->protected[i].copy)
            memcpy(ow->arrays[i].data, ow->protected[i].copy, ow->protected[i].bytes);
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
