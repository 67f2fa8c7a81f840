/* copies_bring.c - the state of copies on several hosts, laid out for a new lineup; see copies.h.
 *
 * The layout follows from rank and size, so every member knows without asking what each shard holds
 * and what each worker wants. A worker reads the copies on its host itself. Shard after shard, who
 * holds one for the others sends to each worker of another host what that wants of it: all go
 * through the shards in the same order, so nobody waits for somebody who waits for him. */
#include "copies.h"

#include <stdlib.h>
#include <string.h>

#include "shards.h"
#include "slab.h"
#include "slots.h"

/* One shard while it is brought. */
struct bringing {
    struct onward *ow;
    const struct copies_plan *plan;
    struct copy_id id;
    int holder;
    bool is_near;     /* its holder is on this host, or is this member */
    bool is_given_up; /* it cannot be used */
    struct copy_source *source;
    uint64_t found;     /* elements that this member got, of all shards and arrays */
    uint32_t failed;    /* copies that could not be used */
    bool has_waited;    /* for what stumbled to come back */
    struct error error; /* of the first of them */
};

static bool shares_host(const struct copies_plan *plan, int a, int b)
{
    return a == b || strcmp(plan->seats[a].host, plan->seats[b].host) == 0;
}

/* How much there is to tell of a failure. A copy that is gone is no news: who shares the host met
 * it first, removed it, and names it. With one that the program does not fit the task ends. */
static int weight(int code)
{
    return code == ONWARD_OK              ? 0
           : code == ONWARD_ERR_NOT_FOUND ? 1
           : code == ONWARD_ERR_INPUT     ? 3
                                          : 2;
}

/* Damage is there for good; that this member could not get at the file, or had no memory for it,
 * says nothing of the copy, which a later start may read; nor does a program that it is not of. */
static void fail_copy(struct bringing *bringing, const struct error *error)
{
    struct copy_place place = copies_place(bringing->ow);
    bool is_news = error->code != ONWARD_ERR_NOT_FOUND;
    bringing->failed += is_news;
    if (weight(error->code) > weight(bringing->error.code))
        bringing->error = *error;
    copy_close(bringing->source);
    bringing->source = NULL;
    bringing->is_given_up = true; /* nothing more of it is read */
    if (error->code == ONWARD_ERR_CORRUPT)
        copy_remove(&place, &bringing->id);
    else if (is_news && error->code != ONWARD_ERR_INPUT &&
             copies_leave_unread(bringing->ow, &bringing->id, error->text) != ONWARD_OK)
        bringing->error.code = ONWARD_ERR_MEMORY; /* or it would be tried for ever */
}

static int read_once(struct bringing *bringing, const struct checkpoint_array *array,
                     uint32_t index, const struct onward_slab *part,
                     const struct onward_slab *wanted, void *data, uint64_t *elements,
                     struct error *error)
{
    struct copy_place place = copies_place(bringing->ow);
    int code = ONWARD_OK;
    *elements = 0;
    if (!bringing->source)
        code =
            copy_open(&place, &bringing->id, bringing->ow->array_count, &bringing->source, error);
    if (code == ONWARD_OK)
        code = copy_read(bringing->source, array, index, part, wanted, data, elements, error);
    return code;
}

/* A file system that stumbled gets a second chance, and others that wait do so once. */
static void await_second_chance(struct bringing *bringing)
{
    if (!bringing->has_waited)
        sleep_ns(READ_AGAIN_NS);
    bringing->has_waited = true;
    copy_close(bringing->source);
    bringing->source = NULL;
}

/* Of the part number `index` of an array what `wanted` shares with it, to data; nothing where the
 * copy cannot be used. */
static void read_near(struct bringing *bringing, const struct checkpoint_array *array,
                      uint32_t index, const struct onward_slab *part,
                      const struct onward_slab *wanted, void *data, uint64_t *elements)
{
    struct error error = {0};
    uint64_t got = 0;
    if (bringing->is_given_up)
        return;
    int code = read_once(bringing, array, index, part, wanted, data, &got, &error);
    if (code == ONWARD_ERR_IO) {
        await_second_chance(bringing);
        code = read_once(bringing, array, index, part, wanted, data, &got, &error);
    }
    *elements += got;
    if (code != ONWARD_OK)
        fail_copy(bringing, &error);
}

struct packing {
    const char *dense;
    char *data, *packed;
    uint64_t type_bytes;
};

static int pack(void *context, uint64_t from, uint64_t to, uint64_t length)
{
    struct packing *packing = context;
    (void)to;
    memcpy(packing->packed, packing->dense + from * packing->type_bytes,
           length * packing->type_bytes);
    packing->packed += length * packing->type_bytes;
    return ONWARD_OK;
}

static int unpack(void *context, uint64_t from, uint64_t to, uint64_t length)
{
    struct packing *packing = context;
    (void)from;
    memcpy(packing->data + to * packing->type_bytes, packing->packed, length * packing->type_bytes);
    packing->packed += length * packing->type_bytes;
    return ONWARD_OK;
}

/* What a far worker shares with a part, in the order of a walk: sent from the dense part, or
 * received to data. */
static int exchange(struct bringing *bringing, const struct checkpoint_array *array,
                    const struct onward_slab *part, const struct onward_slab *wanted, int peer,
                    const void *dense, void *data)
{
    struct transport *transport = bringing->ow->transport;
    struct slab_overlap overlap;
    struct packing packing = {dense, data, NULL, state_type_bytes(array->type)};
    int code = slab_meet(part, wanted, array->ndims, array->dims, &overlap, &bringing->ow->error);
    uint64_t bytes = overlap.elements * packing.type_bytes;
    char *buffer = code == ONWARD_OK && bytes > 0 ? malloc(bytes) : NULL;
    if (code == ONWARD_OK && bytes > 0 && !buffer)
        code = ONWARD_ERR_MEMORY;
    packing.packed = buffer;
    if (code == ONWARD_OK && bytes > 0 && dense) {
        slab_walk(&overlap, pack, &packing);
        code = transport_put(transport, peer, buffer, bytes);
    } else if (code == ONWARD_OK && bytes > 0) {
        code = transport_take(transport, peer, buffer, bytes);
        slab_walk(&overlap, unpack, &packing);
        bringing->found += overlap.elements;
    }
    free(buffer);
    slab_overlap_clear(&overlap);
    return code;
}

/* The slabs of an array that worker `rank` of the new lineup wants; the data of this member's. */
static int want(struct onward *ow, uint32_t index, int rank, const struct copies_plan *plan,
                struct array_part *wanted)
{
    const struct checkpoint_array *array = &ow->arrays[index];
    if (array->sharded)
        return shards_ask(ow, index, rank, (int)plan->size, wanted);
    *wanted = (struct array_part){.slab_count = 1};
    wanted->slabs[0] = slab_whole(array->ndims, array->dims);
    return ONWARD_OK;
}

static int send_part(struct bringing *bringing, uint32_t index, uint32_t number,
                     const struct onward_slab *part, struct array_part *wanted)
{
    struct onward *ow = bringing->ow;
    const struct copies_plan *plan = bringing->plan;
    const struct checkpoint_array *array = &ow->arrays[index];
    uint64_t elements = slab_elements(part, array->ndims, array->dims), got = 0;
    char *dense = NULL;
    int code = ONWARD_OK;
    for (uint32_t i = 0; i < plan->seat_count && code == ONWARD_OK; i++) {
        if (plan->seats[i].rank < 0 || shares_host(plan, plan->rank, (int)i))
            continue;
        if (!dense) { /* zeros where the copy cannot be used: the others are waiting */
            dense = calloc(elements, state_type_bytes(array->type));
            if (!dense)
                return ONWARD_ERR_MEMORY;
            read_near(bringing, array, number, part, part, dense, &got);
        }
        code = want(ow, index, plan->seats[i].rank, plan, wanted);
        for (uint32_t k = 0; k < wanted->slab_count && code == ONWARD_OK; k++)
            code = exchange(bringing, array, part, &wanted->slabs[k], (int)i, dense, NULL);
    }
    free(dense);
    return code;
}

/* What this worker needs of a part. */
static int take_part(struct bringing *bringing, uint32_t index, uint32_t number,
                     const struct onward_slab *part)
{
    struct onward *ow = bringing->ow;
    struct checkpoint_array array = ow->arrays[index];
    struct onward_slab whole = slab_whole(array.ndims, array.dims);
    int code = ONWARD_OK;
    if (array.sharded) {
        shards_want(ow, index, &array);
    } else {
        array.slabs = &whole;
        array.slab_count = 1;
        array.data = slots_incoming(ow, index);
    }
    char *data = array.data;
    for (uint32_t i = 0; i < array.slab_count && code == ONWARD_OK; i++) {
        if (bringing->is_near)
            read_near(bringing, &array, number, part, &array.slabs[i], data, &bringing->found);
        else
            code = exchange(bringing, &array, part, &array.slabs[i], bringing->holder, NULL, data);
        data +=
            slab_elements(&array.slabs[i], array.ndims, array.dims) * state_type_bytes(array.type);
    }
    return code;
}

static int bring_part(struct bringing *bringing, uint32_t index, uint32_t number,
                      const struct onward_slab *part, struct array_part *scratch)
{
    const struct copies_plan *plan = bringing->plan;
    int code = ONWARD_OK;
    if (bringing->holder == plan->rank)
        code = send_part(bringing, index, number, part, scratch);
    if (code == ONWARD_OK && plan->lineup_rank >= 0)
        code = take_part(bringing, index, number, part);
    return code;
}

/* The parts of an array that a shard holds, each to all who need some of it. */
static int bring_array(struct bringing *bringing, uint32_t index, struct array_part *held,
                       struct array_part *scratch)
{
    struct onward *ow = bringing->ow;
    const struct checkpoint_array *array = &ow->arrays[index];
    const struct copy_id *id = &bringing->id;
    uint64_t first = 0, count = 0;
    int code = ONWARD_OK;
    if (array->sharded) {
        code = shards_ask(ow, index, (int)id->shard, (int)id->shard_count, held);
    } else {
        checkpoint_rows(array->dims[0], id->shard_count, id->shard, &first, &count);
        held->slab_count = count > 0;
        held->slabs[0] = slab_rows(array->ndims, array->dims, first, count);
    }
    for (uint32_t k = 0; k < held->slab_count && code == ONWARD_OK; k++)
        code = bring_part(bringing, index, k, &held->slabs[k], scratch);
    return code;
}

static uint64_t expected_elements(const struct onward *ow)
{
    uint64_t expected = 0;
    for (uint32_t i = 0; i < ow->array_count; i++)
        expected += ow->arrays[i].sharded
                        ? shards_incoming_elements(ow, i)
                        : ow->protected[i].bytes / state_type_bytes(ow->arrays[i].type);
    return expected;
}

static int bring_shards(struct bringing *bringing, struct array_part *scratch)
{
    const struct copies_plan *plan = bringing->plan;
    int code = ONWARD_OK;
    for (uint32_t shard = 0; shard < plan->state.shard_count && code == ONWARD_OK; shard++) {
        bringing->id.shard = shard;
        bringing->holder = plan->holders[shard];
        bringing->is_near = shares_host(plan, plan->rank, bringing->holder);
        bringing->is_given_up = false;
        bringing->source = NULL;
        for (uint32_t i = 0; i < bringing->ow->array_count && code == ONWARD_OK; i++)
            code = bring_array(bringing, i, &scratch[0], &scratch[1]);
        copy_close(bringing->source);
    }
    return code;
}

/* What this member has to say of the copies: all that it needs is there, or why not. Elements that
 * are in no copy, all of which could be read, are in none of the parts that the program describes
 * for as many workers as wrote them. */
static int judge(struct onward *ow, const struct bringing *bringing)
{
    static const char advice[] = "the copies stay: resume with the program and the arguments of "
                                 "before, or with another --local-dir";
    const struct error *first = &bringing->error;
    if (first->code == ONWARD_ERR_INPUT)
        return error_set(&ow->error, first->code, "%.500s; %s", first->text, advice);
    if (bringing->failed > 1)
        return error_set(&ow->error, first->code,
                         "%u local copies cannot be used, the first: %.400s", bringing->failed,
                         first->text);
    if (first->code != ONWARD_OK)
        return error_set(&ow->error, first->code, "%s", first->text);
    if (bringing->plan->lineup_rank >= 0 && bringing->found != expected_elements(ow))
        return error_set(&ow->error, ONWARD_ERR_INPUT,
                         "local copies of step %lld: the parts that the program describes for %u "
                         "workers lack elements; %s",
                         (long long)bringing->plan->state.step, bringing->plan->state.shard_count,
                         advice);
    return ONWARD_OK;
}

int copies_bring(struct onward *ow, const struct copies_plan *plan)
{
    struct bringing bringing = {.ow = ow, .plan = plan, .id = plan->state};
    struct array_part *scratch = calloc(2, sizeof *scratch);
    int code = scratch ? bring_shards(&bringing, scratch) : ONWARD_ERR_MEMORY;
    free(scratch);
    if (code == ONWARD_ERR_INPUT) /* a layout, and all asked it the same: nobody waits */
        return code;
    return code == ONWARD_OK ? judge(ow, &bringing) : ONWARD_ERR_LOST;
}
