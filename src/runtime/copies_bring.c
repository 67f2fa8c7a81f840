/* copies_bring.c - the state of copies on several hosts, laid out for a new lineup; see copies.h.
 *
 * The layout follows from rank and size, so every member knows without asking what each shard holds
 * and what each worker wants. A worker reads the copies on its host itself. Shard after shard, who
 * holds one for the others sends to each worker of another host what that wants of it: all go
 * through the shards in the same order, so nobody waits for somebody who waits for him. What is
 * sent goes in pieces, all of which know, too: so a member needs two buffers of PIECE_BYTES beside
 * the state, however large that is. */
#include "copies.h"

#include <stdlib.h>
#include <string.h>

#include "shards.h"
#include "slab.h"
#include "slots.h"

enum { PIECE_BYTES = 4 << 20 };

/* One shard while it is brought. */
struct bringing {
    struct onward *ow;
    const struct copies_plan *plan;
    struct copy_id id;
    int holder;
    bool is_near;     /* its holder is on this host, or is this member */
    bool is_given_up; /* it cannot be used */
    struct copy_source *source;
    char *dense, *packed; /* a piece, as it is in the copy; what somebody wants of it */
    uint64_t found;       /* elements that this member got, of all shards and arrays */
    uint32_t failed;      /* copies that could not be used */
    bool has_waited;      /* for what stumbled to come back */
    struct error error;   /* of the first of them */
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

/* What a far worker shares with a piece, in the order of a walk: sent from the dense piece, or
 * received to data (NULL: sent). */
static int exchange(struct bringing *bringing, const struct checkpoint_array *array,
                    const struct onward_slab *piece, const struct onward_slab *wanted, int peer,
                    void *data)
{
    struct transport *transport = bringing->ow->transport;
    struct slab_overlap overlap;
    struct packing packing = {bringing->dense, data, bringing->packed,
                              state_type_bytes(array->type)};
    int code = slab_meet(piece, wanted, array->ndims, array->dims, &overlap, &bringing->ow->error);
    uint64_t bytes = overlap.elements * packing.type_bytes;
    if (code == ONWARD_OK && bytes > 0 && !data) {
        slab_walk(&overlap, pack, &packing);
        code = transport_put(transport, peer, bringing->packed, bytes);
    } else if (code == ONWARD_OK && bytes > 0) {
        code = transport_take(transport, peer, bringing->packed, bytes);
        slab_walk(&overlap, unpack, &packing);
        bringing->found += overlap.elements;
    }
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

/* A part that a shard holds while its pieces are sent. */
struct portion {
    struct bringing *bringing;
    uint32_t index, number; /* of its array, and of the part in the shard */
    const struct onward_slab *part;
    struct array_part *wanted; /* by somebody */
};

/* To each worker of another host what that wants of a piece. */
static int send_piece(const struct portion *portion, const struct onward_slab *piece)
{
    struct bringing *bringing = portion->bringing;
    struct onward *ow = bringing->ow;
    const struct copies_plan *plan = bringing->plan;
    const struct checkpoint_array *array = &ow->arrays[portion->index];
    struct array_part *wanted = portion->wanted;
    bool is_read = false;
    uint64_t got = 0;
    int code = ONWARD_OK;
    for (uint32_t i = 0; i < plan->seat_count && code == ONWARD_OK; i++) {
        if (plan->seats[i].rank < 0 || shares_host(plan, plan->rank, (int)i))
            continue;
        if (!is_read) /* where the copy cannot be used any bytes go: the others are waiting */
            read_near(bringing, array, portion->number, portion->part, piece, bringing->dense,
                      &got);
        is_read = true;
        code = want(ow, portion->index, plan->seats[i].rank, plan, wanted);
        for (uint32_t k = 0; k < wanted->slab_count && code == ONWARD_OK; k++)
            code = exchange(bringing, array, piece, &wanted->slabs[k], (int)i, NULL);
    }
    return code;
}

/* An array with the slabs that this worker wants, and where they go; whole: room for a slab. */
static struct checkpoint_array incoming_array(struct onward *ow, uint32_t index,
                                              struct onward_slab *whole)
{
    struct checkpoint_array array = ow->arrays[index];
    *whole = slab_whole(array.ndims, array.dims);
    if (array.sharded) {
        shards_want(ow, index, &array);
    } else {
        array.slabs = whole;
        array.slab_count = 1;
        array.data = slots_incoming(ow, index);
    }
    return array;
}

/* What this worker needs of a part on its host (piece NULL), or of a piece that comes from another
 * one. */
static int take(const struct portion *portion, const struct onward_slab *piece)
{
    struct bringing *bringing = portion->bringing;
    struct onward_slab whole;
    struct checkpoint_array array = incoming_array(bringing->ow, portion->index, &whole);
    char *data = array.data;
    int code = ONWARD_OK;
    for (uint32_t i = 0; i < array.slab_count && code == ONWARD_OK; i++) {
        const struct onward_slab *wanted = &array.slabs[i];
        if (piece)
            code = exchange(bringing, &array, piece, wanted, bringing->holder, data);
        else
            read_near(bringing, &array, portion->number, portion->part, wanted, data,
                      &bringing->found);
        data += slab_elements(wanted, array.ndims, array.dims) * state_type_bytes(array.type);
    }
    return code;
}

static int bring_piece(void *context, const struct onward_slab *piece)
{
    const struct portion *portion = context;
    const struct bringing *bringing = portion->bringing;
    return bringing->holder == bringing->plan->rank ? send_piece(portion, piece)
                                                    : take(portion, piece);
}

static int bring_part(struct portion *portion)
{
    const struct bringing *bringing = portion->bringing;
    const struct checkpoint_array *array = &bringing->ow->arrays[portion->index];
    bool is_holder = bringing->holder == bringing->plan->rank;
    bool takes = bringing->plan->lineup_rank >= 0;
    int code = ONWARD_OK;
    if (is_holder || (takes && !bringing->is_near))
        code = slab_cut(portion->part, array->ndims, array->dims,
                        PIECE_BYTES / state_type_bytes(array->type), bring_piece, portion);
    if (code == ONWARD_OK && takes && bringing->is_near)
        code = take(portion, NULL);
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
    for (uint32_t k = 0; k < held->slab_count && code == ONWARD_OK; k++) {
        struct portion portion = {bringing, index, k, &held->slabs[k], scratch};
        code = bring_part(&portion);
    }
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
    bringing.dense = calloc(1, PIECE_BYTES);
    bringing.packed = malloc(PIECE_BYTES);
    bool has_room = scratch && bringing.dense && bringing.packed;
    int code = has_room ? bring_shards(&bringing, scratch) : ONWARD_ERR_MEMORY;
    free(bringing.dense);
    free(bringing.packed);
    free(scratch);
    if (code == ONWARD_ERR_INPUT) /* a layout, and all asked it the same: nobody waits */
        return code;
    return code == ONWARD_OK ? judge(ow, &bringing) : ONWARD_ERR_LOST;
}
