/* sum_exchange.c - see sum_exchange.h; doc/sum.md has the figures and the reasons.
 *
 * Vectors live in a pool, as many as the tree is deep, 64-byte aligned. A contribution is built in
 * the vector above the top of the stack, so adding it costs nothing but the folds that it closes.
 */
#include "sum_exchange.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lineup.h"
#include "onward.h"
#include "sumtree.h"

enum { SUM_TAG = 7, ALIGNMENT_BYTES = 64, PIECE_LENGTH = 1024, SETTLE_LIMIT_S = 5 };

struct sum {
    bool active;
    bool is_double;
    size_t length, element_bytes;
    uint32_t subtask_count, first, count, added;
    struct sumtree_stack stack;
    void *vectors[SUMTREE_MAX_NODES];
    size_t vector_bytes; /* capacity of each that is there */
    void *received;      /* slices of the others' subtrees */
    size_t received_bytes;
};

struct sum *sum_create(void)
{
    return calloc(1, sizeof(struct sum));
}

static void free_vectors(struct sum *sum)
{
    for (int i = 0; i < SUMTREE_MAX_NODES; i++) {
        free(sum->vectors[i]);
        sum->vectors[i] = NULL;
    }
}

void sum_destroy(struct sum *sum)
{
    if (!sum)
        return;
    free_vectors(sum);
    free(sum->received);
    free(sum);
}

static size_t padded(size_t bytes)
{
    return (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
}

int sum_begin(struct sum *sum, int is_double, size_t length, uint32_t subtask_count, uint32_t first,
              uint32_t count)
{
    size_t element_bytes = is_double ? sizeof(double) : sizeof(float);
    if (length > SIZE_MAX / 2 / element_bytes)
        return ONWARD_ERR_ARGUMENT;
    size_t bytes = padded(length * element_bytes);
    if (bytes != sum->vector_bytes) {
        free_vectors(sum);
        sum->vector_bytes = bytes;
    }
    sum->active = true;
    sum->is_double = is_double;
    sum->length = length;
    sum->element_bytes = element_bytes;
    sum->subtask_count = subtask_count;
    sum->first = first;
    sum->count = count;
    sum->added = 0;
    sumtree_start(&sum->stack, subtask_count);
    return ONWARD_OK;
}

void sum_cancel(struct sum *sum)
{
    sum->active = false;
}

static void *vector_at(struct sum *sum, uint32_t position)
{
    if (!sum->vectors[position])
        sum->vectors[position] =
            aligned_alloc(ALIGNMENT_BYTES, sum->vector_bytes + ALIGNMENT_BYTES);
    return sum->vectors[position];
}

void *sum_buffer(struct sum *sum)
{
    if (!sum->active || sum->added == sum->count)
        return NULL;
    return vector_at(sum, sum->stack.depth);
}

/* out = left + right, where out may be left; the one place where the additions of the canonical sum
 * happen. gcc vectorizes it at -O2 only when told to. */
static void add(bool is_double, void *out, const void *left, const void *right, size_t length)
{
    if (is_double) {
        double *sum = out;
        const double *a = left, *b = right;
#pragma omp simd
        for (size_t i = 0; i < length; i++)
            sum[i] = a[i] + b[i];
    } else {
        float *sum = out;
        const float *a = left, *b = right;
#pragma omp simd
        for (size_t i = 0; i < length; i++)
            sum[i] = a[i] + b[i];
    }
}

/* The topmost folds + 1 vectors become one, from the top down. A piece goes through all folds while
 * it is in the cache: one pass over memory, however many folds there are. */
static void fold(struct sum *sum, uint32_t folds)
{
    uint32_t bottom = sum->stack.depth - 1;
    size_t size = sum->element_bytes;
    for (size_t begin = 0; folds > 0 && begin < sum->length; begin += PIECE_LENGTH) {
        size_t left = sum->length - begin, length = left < PIECE_LENGTH ? left : PIECE_LENGTH;
        for (uint32_t top = bottom + folds; top > bottom; top--) {
            void *out = (char *)sum->vectors[top - 1] + begin * size;
            add(sum->is_double, out, out, (char *)sum->vectors[top] + begin * size, length);
        }
    }
}

int sum_add(struct sum *sum, uint32_t subtask, const void *contribution)
{
    if (!sum->active || sum->added == sum->count || subtask != sum->first + sum->added)
        return ONWARD_ERR_ORDER;
    void *buffer = sum_buffer(sum);
    if (!buffer)
        return ONWARD_ERR_MEMORY;
    if (contribution != buffer)
        memcpy(buffer, contribution, sum->length * sum->element_bytes);
    fold(sum, sumtree_push(&sum->stack, (struct sumtree_node){0, subtask}));
    sum->added++;
    return ONWARD_OK;
}

/* One slice of the vector: elements [begin, begin+length). */
struct slice {
    size_t begin, length;
};

static struct slice slice_of(const struct sum *sum, int size, int rank)
{
    /* Whole cache lines, so that no two workers' slices share one. */
    size_t line = ALIGNMENT_BYTES / sum->element_bytes;
    size_t lines = (sum->length + line - 1) / line;
    size_t begin = lines * (size_t)rank / (size_t)size * line;
    size_t end = lines * ((size_t)rank + 1) / (size_t)size * line;
    if (begin > sum->length)
        begin = sum->length;
    if (end > sum->length)
        end = sum->length;
    return (struct slice){begin, end - begin};
}

struct exchange {
    struct sum *sum;
    MPI_Comm comm;
    int rank, size;
    struct slice mine;
    uint32_t *node_count;       /* of each worker */
    struct sumtree_node *nodes; /* of each worker: SUMTREE_MAX_NODES apart */
    MPI_Request *requests;
    int request_count;
};

static void *element(void *base, size_t index, const struct sum *sum)
{
    return (char *)base + index * sum->element_bytes;
}

/* After a loss: a request that is still under way could write into memory that is used again. The
 * revoked communicator completes them with an error; wait for that, bounded. */
static int settle(struct exchange *exchange)
{
    time_t limit = time(NULL) + SETTLE_LIMIT_S;
    for (int i = 0; i < exchange->request_count; i++) {
        int done = exchange->requests[i] == MPI_REQUEST_NULL;
        while (!done && time(NULL) <= limit)
            if (MPI_Test(&exchange->requests[i], &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
                break;
    }
    return ONWARD_ERR_LOST;
}

static int wait_all(struct exchange *exchange)
{
    int code = MPI_Waitall(exchange->request_count, exchange->requests, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS)
        return settle(exchange);
    exchange->request_count = 0;
    return ONWARD_OK;
}

static int post_slice(struct exchange *exchange, bool send, void *bytes, size_t length, int peer)
{
    MPI_Datatype type = exchange->sum->is_double ? MPI_DOUBLE : MPI_FLOAT;
    MPI_Request *request = &exchange->requests[exchange->request_count];
    *request = MPI_REQUEST_NULL;
    int code = send ? MPI_Isend(bytes, (int)length, type, peer, SUM_TAG, exchange->comm, request)
                    : MPI_Irecv(bytes, (int)length, type, peer, SUM_TAG, exchange->comm, request);
    exchange->request_count++;
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}

/* Slice j of each of my subtrees to worker j; my slice of theirs from them. */
static int post_scatter(struct exchange *exchange)
{
    struct sum *sum = exchange->sum;
    int code = ONWARD_OK;
    size_t at = 0;
    for (int peer = 0; peer < exchange->size; peer++) {
        for (uint32_t i = 0; peer != exchange->rank && i < exchange->node_count[peer]; i++) {
            if (code == ONWARD_OK && exchange->mine.length > 0)
                code = post_slice(exchange, false, element(sum->received, at, sum),
                                  exchange->mine.length, peer);
            at += exchange->mine.length;
        }
    }
    for (int step = 1; step < exchange->size; step++) {
        int peer = (exchange->rank + step) % exchange->size;
        struct slice theirs = slice_of(sum, exchange->size, peer);
        for (uint32_t i = 0; i < sum->stack.depth && code == ONWARD_OK && theirs.length > 0; i++)
            code = post_slice(exchange, true, element(sum->vectors[i], theirs.begin, sum),
                              theirs.length, peer);
    }
    return code;
}

/* My slice of the total: all subtrees from left to right through the stack machine. The folds go
 * into the received slices and into my own vectors, neither of which anyone needs afterwards; the
 * last one, of two entries into the root, goes into the total itself. */
static void fold_slice(struct exchange *exchange, void *total)
{
    struct sum *sum = exchange->sum;
    struct sumtree_stack stack;
    void *operands[SUMTREE_MAX_NODES] = {NULL};
    void *result = element(total, exchange->mine.begin, sum);
    size_t at = 0, length = exchange->mine.length;
    bool done = false;
    sumtree_start(&stack, sum->subtask_count);
    for (int peer = 0; peer < exchange->size; peer++) {
        for (uint32_t i = 0; i < exchange->node_count[peer]; i++) {
            void *slice = peer == exchange->rank
                              ? element(sum->vectors[i], exchange->mine.begin, sum)
                              : element(sum->received, at, sum);
            if (peer != exchange->rank)
                at += exchange->mine.length;
            operands[stack.depth] = slice;
            uint32_t folds =
                sumtree_push(&stack, exchange->nodes[peer * SUMTREE_MAX_NODES + (int)i]);
            bool last = sumtree_end(stack.nodes[stack.depth - 1], sum->subtask_count) ==
                            sum->subtask_count &&
                        stack.depth == 1;
            for (uint32_t top = stack.depth - 1 + folds; folds > 0; folds--, top--) {
                done = last && top == 1;
                add(sum->is_double, done ? result : operands[top - 1], operands[top - 1],
                    operands[top], length);
            }
        }
    }
    if (!done)
        memcpy(result, operands[0], length * sum->element_bytes);
}

static int gather_slices(struct exchange *exchange, void *total)
{
    struct sum *sum = exchange->sum;
    int code = ONWARD_OK;
    exchange->request_count = 0;
    for (int step = 1; step < exchange->size && code == ONWARD_OK; step++) {
        int peer = (exchange->rank + exchange->size - step) % exchange->size;
        struct slice theirs = slice_of(sum, exchange->size, peer);
        if (theirs.length > 0)
            code =
                post_slice(exchange, false, element(total, theirs.begin, sum), theirs.length, peer);
    }
    for (int step = 1; step < exchange->size && code == ONWARD_OK; step++) {
        int peer = (exchange->rank + step) % exchange->size;
        if (exchange->mine.length > 0)
            code = post_slice(exchange, true, element(total, exchange->mine.begin, sum),
                              exchange->mine.length, peer);
    }
    return code == ONWARD_OK ? wait_all(exchange) : settle(exchange);
}

/* The subtrees of every worker, and room for what the others send. */
static int plan(struct exchange *exchange)
{
    struct sum *sum = exchange->sum;
    size_t all_nodes = 0, size = (size_t)exchange->size;
    for (int peer = 0; peer < exchange->size; peer++) {
        struct lineup_range range =
            lineup_split(sum->subtask_count, (uint32_t)exchange->size, (uint32_t)peer);
        exchange->node_count[peer] = sumtree_cover(sum->subtask_count, range.first, range.count,
                                                   exchange->nodes + peer * SUMTREE_MAX_NODES);
        if (peer != exchange->rank)
            all_nodes += exchange->node_count[peer];
    }
    size_t own = exchange->node_count[exchange->rank];
    size_t bytes = all_nodes * exchange->mine.length * sum->element_bytes + 1;
    if (bytes > sum->received_bytes) {
        free(sum->received);
        sum->received_bytes = 0;
        sum->received = aligned_alloc(ALIGNMENT_BYTES, padded(bytes));
        if (!sum->received)
            return ONWARD_ERR_MEMORY;
        sum->received_bytes = bytes;
    }
    exchange->requests = calloc(all_nodes + (own + 2) * size, sizeof *exchange->requests);
    return exchange->requests ? ONWARD_OK : ONWARD_ERR_MEMORY;
}

static int run(struct exchange *exchange, void *total)
{
    int code = post_scatter(exchange);
    code = code == ONWARD_OK ? wait_all(exchange) : settle(exchange);
    if (code != ONWARD_OK)
        return code;
    fold_slice(exchange, total);
    return gather_slices(exchange, total);
}

int sum_end(struct sum *sum, MPI_Comm comm, void *total)
{
    if (!sum->active || sum->added != sum->count)
        return ONWARD_ERR_ORDER;
    sum->active = false;
    struct exchange exchange = {.sum = sum, .comm = comm};
    if (MPI_Comm_rank(comm, &exchange.rank) != MPI_SUCCESS ||
        MPI_Comm_size(comm, &exchange.size) != MPI_SUCCESS)
        return ONWARD_ERR_LOST;
    if (exchange.size == 1) {
        memcpy(total, sum->vectors[0], sum->length * sum->element_bytes);
        return ONWARD_OK;
    }
    exchange.mine = slice_of(sum, exchange.size, exchange.rank);
    exchange.node_count = calloc((size_t)exchange.size, sizeof *exchange.node_count);
    exchange.nodes = calloc((size_t)exchange.size * SUMTREE_MAX_NODES, sizeof *exchange.nodes);
    int code = exchange.node_count && exchange.nodes ? plan(&exchange) : ONWARD_ERR_MEMORY;
    if (code == ONWARD_OK)
        code = run(&exchange, total);
    free(exchange.node_count);
    free(exchange.nodes);
    free(exchange.requests);
    return code;
}
