/* fake_onward.c - see fake_onward.h. The threads meet at a barrier at each sum and each step. */
#include "fake_onward.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lineup.h"
#include "sumtree.h"

enum { MAX_SUBTASKS = 64, MAX_ARRAYS = 8 };

/* As the real slots: a step reads data and writes next, which becomes data when it is complete. */
struct array {
    char name[ONWARD_MAX_NAME_BYTES];
    unsigned char *data, *next;
    unsigned char *before; /* as of the start of the step */
    size_t bytes;
    bool is_written;
};

struct onward {
    int rank;
    int64_t step;
    bool started, in_step, lost, gone;
    uint32_t sum_subtask; /* that the next contribution is for */
    struct array arrays[MAX_ARRAYS];
    int array_count;
};

/* What the threads share; changed by one of them between two barriers. */
static struct {
    struct fake_plan plan;
    struct fake_outcome outcome;
    struct onward members[FAKE_MAX_WORKERS];
    int living;
    pthread_mutex_t mutex;
    pthread_cond_t turned;
    int waiting;
    unsigned turn;
    size_t element_bytes, length;
    void *contributions[MAX_SUBTASKS];
    void *scratch[MAX_SUBTASKS]; /* sums of nodes */
    bool sum_fails;
    int (*program)(struct onward *ow, void *context);
    void *context;
} task;

static struct array kept[MAX_ARRAYS]; /* of worker 0, after the run */

static size_t type_bytes(enum onward_type type)
{
    return type == ONWARD_FLOAT || type == ONWARD_INT32 ? 4 : type == ONWARD_BYTE ? 1 : 8;
}

/* All living workers meet; the last to come does `work` alone. */
static void meet(void (*work)(void))
{
    pthread_mutex_lock(&task.mutex);
    unsigned turn = task.turn;
    if (++task.waiting == task.living) {
        if (work)
            work();
        task.waiting = 0;
        task.turn++;
        pthread_cond_broadcast(&task.turned);
    }
    while (turn == task.turn)
        pthread_cond_wait(&task.turned, &task.mutex);
    pthread_mutex_unlock(&task.mutex);
}

static void add_to(void *to, const void *from)
{
    if (task.element_bytes == sizeof(float)) {
        for (size_t i = 0; i < task.length; i++)
            ((float *)to)[i] += ((const float *)from)[i];
    } else {
        for (size_t i = 0; i < task.length; i++)
            ((double *)to)[i] += ((const double *)from)[i];
    }
}

/* Pushes a node whose sum is in `vector` (owned), folding as the tree says. */
static void push(struct sumtree_stack *stack, void **vectors, struct sumtree_node node,
                 void *vector)
{
    uint32_t before = stack->depth, folds = sumtree_push(stack, node);
    vectors[before] = vector;
    for (uint32_t top = before; folds > 0; folds--, top--) {
        add_to(vectors[top - 1], vectors[top]);
        free(vectors[top]);
    }
}

/* Adds what one worker has into the nodes of its range, and these onto the stack of all. */
static void add_worker(struct sumtree_stack *all, void **sums, int rank)
{
    uint32_t n = task.plan.subtask_count;
    struct lineup_range range = lineup_split(n, (uint32_t)task.living, (uint32_t)rank);
    struct sumtree_stack own;
    void *vectors[SUMTREE_MAX_NODES];
    sumtree_start(&own, n);
    for (uint32_t k = range.first; k < range.first + range.count; k++) {
        push(&own, vectors, (struct sumtree_node){0, k}, task.contributions[k]);
        task.contributions[k] = NULL;
    }
    for (uint32_t i = 0; i < own.depth; i++)
        push(all, sums, own.nodes[i], vectors[i]);
}

static void sum_all(void)
{
    struct sumtree_stack all;
    task.outcome.sums++;
    task.sum_fails = false;
    for (int i = 0; i < FAKE_MAX_LOSSES; i++)
        task.sum_fails = task.sum_fails || task.plan.lost_sums[i] == task.outcome.sums;
    if (task.sum_fails)
        return;
    sumtree_start(&all, task.plan.subtask_count);
    for (int rank = 0; rank < task.living; rank++)
        add_worker(&all, task.scratch, rank);
}

static void clear_sum(void)
{
    for (uint32_t k = 0; k < task.plan.subtask_count; k++) {
        free(task.contributions[k]);
        task.contributions[k] = NULL;
    }
    if (!task.sum_fails)
        free(task.scratch[0]);
}

int onward_sum_begin(struct onward *ow, enum onward_type type, size_t length)
{
    struct lineup_range range =
        lineup_split(task.plan.subtask_count, (uint32_t)task.living, (uint32_t)ow->rank);
    ow->sum_subtask = range.first;
    meet(NULL); /* nobody still reads the sum before */
    task.element_bytes = type_bytes(type);
    task.length = length;
    meet(NULL);
    return ONWARD_OK;
}

void *onward_sum_buffer(struct onward *ow)
{
    size_t bytes = (task.length * task.element_bytes + 63) / 64 * 64;
    void **slot = &task.contributions[ow->sum_subtask];
    if (!*slot) {
        *slot = aligned_alloc(64, bytes);
        memset(*slot, 0xA5, bytes); /* nobody may count on zeros */
    }
    return *slot;
}

int onward_sum_add(struct onward *ow, uint32_t subtask, const void *contribution)
{
    if (subtask != ow->sum_subtask)
        return ONWARD_ERR_ORDER;
    void *buffer = onward_sum_buffer(ow);
    if (contribution != buffer)
        memcpy(buffer, contribution, task.length * task.element_bytes);
    ow->sum_subtask++;
    return ONWARD_OK;
}

int onward_sum_end(struct onward *ow, void *total)
{
    meet(sum_all);
    ow->lost = task.sum_fails;
    if (!ow->lost)
        memcpy(total, task.scratch[0], task.length * task.element_bytes);
    meet(clear_sum);
    return ow->lost ? ONWARD_ERR_LOST : ONWARD_OK;
}

int onward_alloc(struct onward *ow, const char *name, enum onward_type type, int ndims,
                 const uint64_t *dims, unsigned flags, int *number)
{
    if (ow->array_count == MAX_ARRAYS || flags != ONWARD_REPLICATED || ow->started)
        return ONWARD_ERR_ARGUMENT;
    struct array *array = &ow->arrays[ow->array_count];
    strncpy(array->name, name, sizeof array->name - 1);
    array->bytes = type_bytes(type);
    for (int i = 0; i < ndims; i++)
        array->bytes *= dims[i];
    size_t room = (array->bytes + 63) / 64 * 64;
    array->data = aligned_alloc(64, room);
    array->next = aligned_alloc(64, room);
    array->before = malloc(array->bytes);
    memset(array->data, 0, array->bytes);
    *number = ow->array_count++;
    return ONWARD_OK;
}

int onward_describe(struct onward *ow, const char *name, const char *dimensions, const char *unit)
{
    (void)dimensions, (void)unit;
    for (int i = 0; i < ow->array_count && !ow->started; i++)
        if (strcmp(ow->arrays[i].name, name) == 0)
            return ONWARD_OK;
    return ONWARD_ERR_ARGUMENT;
}

const void *onward_read(const struct onward *ow, int array)
{
    return array < 0 ? NULL : ow->arrays[array].data;
}

void *onward_write(struct onward *ow, int number)
{
    struct array *array = &ow->arrays[number];
    if (number < 0 || (ow->started && !ow->in_step))
        return NULL;
    if (!ow->started)
        return array->data;
    if (!array->is_written)
        memset(array->next, 0xA5, array->bytes); /* it has to be written wholly */
    array->is_written = true;
    return array->next;
}

/* What was written counts, or is dropped with the step. */
static void end_step(struct onward *ow)
{
    for (int i = 0; i < ow->array_count; i++) {
        struct array *array = &ow->arrays[i];
        unsigned char *data = array->data;
        if (array->is_written && !ow->lost) {
            array->data = array->next;
            array->next = data;
        }
        array->is_written = false;
    }
}

/* Between steps: promises are checked, and after a loss the lineup loses its last worker. */
static void between_steps(void)
{
    struct onward *first = &task.members[0];
    bool differs = false, broken = false;
    for (int rank = 0; rank < task.living; rank++)
        for (int i = 0; i < first->array_count; i++) {
            struct array *array = &task.members[rank].arrays[i];
            differs = differs || memcmp(array->data, first->arrays[i].data, array->bytes) != 0;
            broken = broken || (task.members[rank].lost &&
                                memcmp(array->data, array->before, array->bytes) != 0);
        }
    task.outcome.different += differs;
    task.outcome.broken_atomic += broken;
    if (first->lost && task.living > 1)
        task.members[--task.living].gone = true;
}

static void keep_before(struct onward *ow)
{
    for (int i = 0; i < ow->array_count; i++)
        memcpy(ow->arrays[i].before, ow->arrays[i].data, ow->arrays[i].bytes);
}

int onward_next(struct onward *ow, struct onward_role *role)
{
    end_step(ow);
    meet(between_steps);
    ow->in_step = false;
    if (ow->gone)
        return ONWARD_DONE;
    if (ow->started && !ow->lost)
        ow->step++;
    struct lineup_range range =
        lineup_split(task.plan.subtask_count, (uint32_t)task.living, (uint32_t)ow->rank);
    *role = (struct onward_role){.rank = ow->rank,
                                 .size = task.living,
                                 .first = range.first,
                                 .count = range.count,
                                 .step = ow->step,
                                 .epoch = 1,
                                 .changed = !ow->started || ow->lost};
    ow->started = true;
    ow->lost = false;
    keep_before(ow);
    ow->in_step = ow->step < task.plan.step_count;
    if (ow->step > task.plan.step_count)
        return ONWARD_DONE;
    return ow->step == task.plan.step_count ? ONWARD_FINISH : ONWARD_STEP;
}

bool onward_ok(const struct onward *ow)
{
    return !ow->lost;
}

int onward_metric(struct onward *ow, const char *name, double value)
{
    if (ow->rank != 0)
        return ONWARD_OK;
    if (strcmp(name, "accuracy") == 0)
        task.outcome.accuracy = value;
    else if (strcmp(name, "loss") == 0)
        task.outcome.loss = value;
    else if (strcmp(name, "samples_per_step") == 0)
        task.outcome.samples_per_step = value;
    return ONWARD_OK;
}

const char *onward_run_directory(const struct onward *ow)
{
    (void)ow;
    return task.plan.run_directory;
}

const char *onward_text(const struct onward *ow)
{
    (void)ow;
    return "the double failed";
}

static void free_array(const struct array *array)
{
    free(array->data);
    free(array->next);
    free(array->before);
}

static void keep_arrays(const struct onward *ow)
{
    for (int i = 0; i < MAX_ARRAYS; i++) {
        free_array(&kept[i]);
        kept[i] = i < ow->array_count ? ow->arrays[i] : (struct array){.data = NULL};
    }
}

static void *run_member(void *member)
{
    struct onward *ow = member;
    return (void *)(intptr_t)task.program(ow, task.context);
}

static int join_all(pthread_t *threads, int count)
{
    int code = ONWARD_OK;
    for (int rank = 0; rank < count; rank++) {
        void *returned;
        pthread_join(threads[rank], &returned);
        if (code == ONWARD_OK)
            code = (int)(intptr_t)returned;
    }
    return code;
}

int fake_run(const struct fake_plan *plan, int (*program)(struct onward *ow, void *context),
             void *context, struct fake_outcome *outcome)
{
    pthread_t threads[FAKE_MAX_WORKERS];
    memset(&task, 0, sizeof task);
    task.plan = *plan;
    task.living = plan->workers;
    task.program = program;
    task.context = context;
    pthread_mutex_init(&task.mutex, NULL);
    pthread_cond_init(&task.turned, NULL);
    for (int rank = 0; rank < plan->workers; rank++) {
        task.members[rank].rank = rank;
        pthread_create(&threads[rank], NULL, run_member, &task.members[rank]);
    }
    int code = join_all(threads, plan->workers);
    keep_arrays(&task.members[0]);
    for (int rank = 1; rank < plan->workers; rank++)
        for (int i = 0; i < task.members[rank].array_count; i++)
            free_array(&task.members[rank].arrays[i]);
    *outcome = task.outcome;
    return code;
}

void *fake_array(const char *name, size_t *bytes)
{
    for (int i = 0; i < MAX_ARRAYS; i++)
        if (kept[i].before && strcmp(kept[i].name, name) == 0) {
            void *copy = malloc(kept[i].bytes);
            *bytes = kept[i].bytes;
            return memcpy(copy, kept[i].before, kept[i].bytes);
        }
    return NULL;
}
