/* ridge_state.c - memory of the trainer `ridge`, its protection, and the layout of its parts. */
#include "ridge_state.h"

#include <stdlib.h>

/* Large enough for dgemm, small enough for a balanced share of a small system. */
enum { MOST_BLOCK = 128, LEAST_BLOCK = 4, BLOCKS_AT_LEAST = 16, ALIGNMENT_BYTES = 64 };

static uint64_t choose_block(uint64_t terms)
{
    uint64_t block = terms / BLOCKS_AT_LEAST;
    return block > MOST_BLOCK ? MOST_BLOCK : block < LEAST_BLOCK ? LEAST_BLOCK : block;
}

static struct blocks split_rows(const struct ridge *ridge, int rank, int size, uint64_t extent)
{
    int rows, columns;
    grid_shape(size, &rows, &columns);
    return (struct blocks){extent, ridge->block, (uint64_t)(rank / columns), (uint64_t)rows};
}

static struct blocks split_columns(const struct ridge *ridge, int rank, int size, uint64_t extent)
{
    int rows, columns;
    grid_shape(size, &rows, &columns);
    return (struct blocks){extent, ridge->block, (uint64_t)(rank % columns), (uint64_t)columns};
}

struct blocks ridge_rows(const struct ridge *ridge, int rank)
{
    return split_rows(ridge, rank, ridge->role.size, ridge->terms);
}

struct blocks ridge_columns(const struct ridge *ridge, int rank)
{
    return split_columns(ridge, rank, ridge->role.size, ridge->terms);
}

struct blocks ridge_right(const struct ridge *ridge, int rank)
{
    return split_columns(ridge, rank, ridge->role.size, ridge->targets);
}

struct ridge_share ridge_share_of(const struct ridge *ridge, int rank)
{
    struct blocks rows = ridge_rows(ridge, rank), columns = ridge_columns(ridge, rank);
    struct blocks right = ridge_right(ridge, rank);
    return (struct ridge_share){blocks_count(&rows), blocks_count(&columns), blocks_count(&right)};
}

/* Layouts: dims are {columns, rows}. */
static int lay_out(const struct ridge *ridge, const struct onward_role *role, uint64_t columns,
                   struct onward_slab *slab)
{
    struct blocks across = split_columns(ridge, role->rank, role->size, columns);
    struct blocks down = split_rows(ridge, role->rank, role->size, ridge->terms);
    onward_slab_cyclic(slab, 0, columns, ridge->block, (int)across.rank, (int)across.size);
    onward_slab_cyclic(slab, 1, ridge->terms, ridge->block, (int)down.rank, (int)down.size);
    return 1;
}

static int lay_out_gram(void *context, const struct onward_role *role, struct onward_slab *slabs)
{
    const struct ridge *ridge = context;
    return lay_out(ridge, role, ridge->terms, slabs);
}

static int lay_out_moments(void *context, const struct onward_role *role, struct onward_slab *slabs)
{
    const struct ridge *ridge = context;
    return lay_out(ridge, role, ridge->targets, slabs);
}

/* For who reads a checkpoint; all are numbers without a unit. */
static int describe_all(struct onward *ow)
{
    static const char *const names[][2] = {{"gram", "column,row"},
                                           {"moments", "target,row"},
                                           {"weights", "lambda,target,term"},
                                           {"scores", "lambda,score"}};
    int code = ONWARD_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && code == ONWARD_OK; i++)
        code = onward_describe(ow, names[i][0], names[i][1], "1");
    return code;
}

static int protect_all(struct ridge *ridge)
{
    const uint64_t gram[] = {ridge->terms, ridge->terms},
                   moments[] = {ridge->targets, ridge->terms};
    const uint64_t weights[] = {ridge->config->lambda_count, ridge->targets, ridge->terms};
    const uint64_t scores[] = {ridge->config->lambda_count, SCORE_COLUMNS};
    struct onward *ow = ridge->ow;
    int code = onward_shard(ow, "gram", ONWARD_DOUBLE, 2, gram, lay_out_gram, ridge, &ridge->gram);
    if (code == ONWARD_OK)
        code = onward_shard(ow, "moments", ONWARD_DOUBLE, 2, moments, lay_out_moments, ridge,
                            &ridge->moments);
    if (code == ONWARD_OK)
        code = onward_alloc(ow, "weights", ONWARD_DOUBLE, 3, weights, ONWARD_REPLICATED,
                            &ridge->weights);
    if (code == ONWARD_OK)
        code =
            onward_alloc(ow, "scores", ONWARD_DOUBLE, 2, scores, ONWARD_REPLICATED, &ridge->scores);
    return code == ONWARD_OK ? describe_all(ow) : code;
}

static int prepare(struct ridge *ridge, struct error *error)
{
    const struct config *config = ridge->config;
    const struct feature_plan plan = {.fourier = config->features == FEATURES_FOURIER,
                                      .inputs = ridge->dataset->features,
                                      .width = (uint32_t)config->width,
                                      .sigma = config->sigma,
                                      .seed = (uint64_t)config->seed};
    int code = features_create(&plan, &ridge->features, error);
    if (code != ONWARD_OK)
        return code;
    ridge->terms = features_terms(ridge->features);
    ridge->targets = config->target == TARGET_CLASS ? ridge->dataset->classes : 1;
    ridge->block = choose_block(ridge->terms);
    ridge->learn_rows = ridge->dataset->train_rows - config->held_rows;
    ridge->x = calloc((size_t)RIDGE_CHUNK * ridge->dataset->features, sizeof *ridge->x);
    ridge->y = calloc(RIDGE_CHUNK, sizeof *ridge->y);
    if (!ridge->x || !ridge->y)
        return error_set(error, ONWARD_ERR_MEMORY, "out of memory for %d samples", RIDGE_CHUNK);
    code = protect_all(ridge);
    return code == ONWARD_OK ? code : error_set(error, code, "%s", onward_text(ridge->ow));
}

int ridge_create(struct onward *ow, const struct config *config, const struct dataset *dataset,
                 struct ridge **ridge, struct error *error)
{
    *ridge = calloc(1, sizeof **ridge);
    if (!*ridge)
        return error_set(error, ONWARD_ERR_MEMORY, "out of memory for the trainer");
    (*ridge)->ow = ow;
    (*ridge)->config = config;
    (*ridge)->dataset = dataset;
    return prepare(*ridge, error);
}

static void release_work(struct ridge *ridge)
{
    double **all[] = {&ridge->z, &ridge->packed, &ridge->row_part, &ridge->column_part};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        free(*all[i]);
        *all[i] = NULL;
    }
}

void ridge_destroy(struct ridge *ridge)
{
    if (!ridge)
        return;
    release_work(ridge);
    grid_abandon(ridge->grid);
    features_destroy(ridge->features);
    free(ridge->x);
    free(ridge->y);
    free(ridge);
}

static double *numbers(uint64_t count)
{
    uint64_t bytes = (count * sizeof(double) / ALIGNMENT_BYTES + 1) * ALIGNMENT_BYTES;
    return aligned_alloc(ALIGNMENT_BYTES, bytes);
}

/* A worker alone needs no exchange: what it made is what it takes. */
static int make_work(struct ridge *ridge)
{
    uint64_t batch = (uint64_t)ridge->config->batch, first, own;
    uint32_t subtasks = (uint32_t)ridge->config->subtasks;
    const struct ridge_share *share = &ridge->share;
    dataset_part(batch, subtasks, 0, &first, &own); /* the largest subtask */
    own *= ridge->role.count;
    ridge->z = numbers(own * (ridge->terms + ridge->targets));
    if (ridge->role.size == 1)
        return ridge->z ? ONWARD_OK : ONWARD_ERR_MEMORY;
    uint64_t down = ridge->terms * (uint64_t)ridge->grid_columns;
    uint64_t across = (ridge->terms + ridge->targets) * (uint64_t)ridge->grid_rows;
    ridge->packed = numbers(own * (down > across ? down : across));
    ridge->row_part = numbers(batch * share->rows);
    ridge->column_part = numbers(batch * (share->columns + share->right));
    return ridge->z && ridge->packed && ridge->row_part && ridge->column_part ? ONWARD_OK
                                                                              : ONWARD_ERR_MEMORY;
}

int ridge_take_role(struct ridge *ridge, const struct onward_role *role, struct error *error)
{
    grid_abandon(ridge->grid);
    ridge->grid = NULL;
    ridge->role = *role;
    grid_shape(role->size, &ridge->grid_rows, &ridge->grid_columns);
    ridge->share = ridge_share_of(ridge, role->rank);
    release_work(ridge);
    if (make_work(ridge) != ONWARD_OK)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for the features of a batch of %lld",
                         (long long)ridge->config->batch);
    return ONWARD_OK;
}

void ridge_samples(const struct ridge *ridge, int64_t step, uint32_t first_subtask,
                   uint32_t subtask_count, uint64_t *first, uint64_t *count)
{
    uint64_t batch = (uint64_t)ridge->config->batch, begin = (uint64_t)step * batch;
    uint64_t left = ridge->learn_rows - begin, end = 0;
    *first = *count = 0;
    for (uint32_t k = first_subtask; k < first_subtask + subtask_count; k++) {
        uint64_t at, size;
        dataset_part(left < batch ? left : batch, (uint32_t)ridge->config->subtasks, k, &at, &size);
        if (k == first_subtask)
            *first = at;
        end = at + size;
    }
    *count = subtask_count > 0 ? end - *first : 0;
    *first += begin;
}

static void make_targets(const struct ridge *ridge, int32_t label, double *targets)
{
    if (ridge->config->target == TARGET_VALUE)
        targets[0] = label;
    else
        for (uint64_t c = 0; c < ridge->targets; c++)
            targets[c] = (uint64_t)label == c;
}

int ridge_make_rows(struct ridge *ridge, struct reader *reader, uint64_t first, uint64_t count,
                    double *z, struct error *error)
{
    uint64_t stride = ridge->terms + ridge->targets;
    for (uint64_t done = 0; done < count; done += RIDGE_CHUNK) {
        uint64_t rows = count - done < RIDGE_CHUNK ? count - done : RIDGE_CHUNK;
        double *part = z + done * stride;
        int code = reader_rows_range(reader, first + done, rows, ridge->x, ridge->y, error);
        if (code != ONWARD_OK)
            return code;
        features_make(ridge->features, ridge->x, rows, part, stride);
        for (uint64_t i = 0; i < rows; i++)
            make_targets(ridge, ridge->y[i], part + i * stride + ridge->terms);
        if (!onward_ok(ridge->ow))
            return ONWARD_ERR_LOST;
    }
    return ONWARD_OK;
}
