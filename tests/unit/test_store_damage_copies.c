/* test_store_damage_copies.c - 5,000 random damages to the copies of shards in a node-local
 * directory, a worker's own and those that another host sent (5,000 more are to files of slots, in
 * test_store_damage_state.c). As a change of the lineup does (runtime/copies_bring.c), a round
 * takes the newest set that is there and reads all of it, for workers of another layout; a copy
 * that is damaged is removed, and the set before is taken.
 *
 * A set that is untouched is restored, what is restored is exactly right, a damage is never taken
 * for another program, whose copies would end the task, and nothing that is whole is removed. What
 * a partner takes in passes its check only where it is whole.
 *
 *     test_store_damage_copies [SEED [ROUNDS]]      one seed alone, as a failure names it */
#include "slab_fixture.h"

#include "copy.h"
#include "copyset.h"

#include "damage_fixture.h"

enum { FIELD, ROUNDS_DONE, ARRAYS, ROWS = 400, COLUMNS = 400, NUMBERS = 50, RUN = 9 };
enum { WORKERS = 2, ROUNDS = 500 };

static const uint64_t dims[] = {ROWS, COLUMNS}, number_dims[] = {NUMBERS};
static struct copy_place place;

/* Both sets are of one epoch: a shard of one has the shape of the same shard of the other. */
static struct copy_id id_of(int set, uint32_t shard)
{
    return (struct copy_id){.incarnation = 2,
                            .epoch = 7,
                            .step = 10 * (set + 1),
                            .shard = shard,
                            .shard_count = WORKERS};
}

/* Each worker has every second block of columns: so of a part in three blocks with a checksum each,
 * who wants few rows of it wants one or two. */
static struct onward_slab lay_out(uint32_t rank)
{
    struct onward_slab slab = slab_whole(2, dims);
    onward_slab_cyclic(&slab, 1, COLUMNS, 50, (int)rank, WORKERS);
    ck_assert(slab_normalise(&slab, 2, dims));
    return slab;
}

/* Of shard 1 it is what another host sent. */
static void write_set(int set)
{
    static double part[ROWS * COLUMNS];
    struct checkpoint_array arrays[ARRAYS];
    memcpy(arrays, written[set], sizeof arrays);
    for (uint32_t shard = 0; shard < WORKERS; shard++) {
        struct copy_id id = id_of(set, shard);
        struct onward_slab slab = lay_out(shard);
        uint64_t bytes = 0;
        id.is_partner = shard == 1;
        slab_gather(&slab, dims, written[set][FIELD].data, part);
        arrays[FIELD].slabs = &slab;
        arrays[FIELD].slab_count = 1;
        arrays[FIELD].data = part;
        ck_ok(copy_write(&place, &id, arrays, ARRAYS, &bytes, &failure));
        ck_assert_uint_gt(bytes, 2 * SUMMED_BLOCK_BYTES);
    }
}

static void make_copies(void)
{
    static const struct checkpoint_array shapes[ARRAYS] = {
        {.name = "field",
         .type = ONWARD_DOUBLE,
         .ndims = 2,
         .dims = {ROWS, COLUMNS},
         .sharded = true},
        {.name = "rounds", .type = ONWARD_INT64, .ndims = 1, .dims = {NUMBERS}}};
    char directory[128];
    make_arrays(shapes, ARRAYS);
    place = (struct copy_place){.directory = scratch, .task = "task-1", .run = RUN};
    write_set(0);
    write_set(1);
    snprintf(directory, sizeof directory, "onward-%lu/task-1.%016x", (unsigned long)geteuid(), RUN);
    keep_files(directory, 2 * WORKERS);
}

/* A worker of the lineup that the state is brought to, with all that it gets. */
struct reader {
    struct onward_slab slab;
    uint64_t wanted, found; /* elements, of both arrays */
    double field[ROWS * COLUMNS];
    int64_t numbers[NUMBERS];
};

static void make_reader(struct reader *reader, uint64_t *seed)
{
    reader->slab = slab_whole(2, dims);
    for (int d = 0; d < 2; d++) {
        int size = 1 + (int)below(seed, d == 0 ? 9 : 2), rank = (int)below(seed, (size_t)size);
        if (below(seed, 4))
            onward_slab_block(&reader->slab, d, dims[d], rank, size);
        else
            onward_slab_cyclic(&reader->slab, d, dims[d], 1 + below(seed, 60), rank, size);
    }
    ck_assert(slab_normalise(&reader->slab, 2, dims));
    reader->wanted = slab_elements(&reader->slab, 2, dims) + NUMBERS;
    reader->found = 0;
    memset(reader->field, 0, sizeof reader->field);
    memset(reader->numbers, 0, sizeof reader->numbers);
}

/* What one copy has for the reader. */
static int read_copy(struct copy_source *source, const struct copy_id *id, struct reader *reader)
{
    struct onward_slab slab = lay_out(id->shard), all = slab_whole(1, number_dims);
    uint64_t first = 0, rows = 0;
    int code = copy_read(source, &written[0][FIELD], 0, &slab, &reader->slab, reader->field,
                         &reader->found, &failure);
    checkpoint_rows(NUMBERS, WORKERS, id->shard, &first, &rows);
    struct onward_slab part = slab_rows(1, number_dims, first, rows);
    if (code == ONWARD_OK)
        code = copy_read(source, &written[0][ROUNDS_DONE], 0, &part, &all, reader->numbers,
                         &reader->found, &failure);
    return code;
}

/* All of a set; *id: of the copy that could not be used. */
static int read_set(struct copy_id *id, struct reader *reader)
{
    int code = ONWARD_OK;
    reader->found = 0;
    for (id->shard = 0; id->shard < id->shard_count && code == ONWARD_OK; id->shard++) {
        struct copy_source *source = NULL;
        code = copy_open(&place, id, ARRAYS, &source, &failure);
        if (code == ONWARD_OK)
            code = read_copy(source, id, reader);
        copy_close(source);
    }
    id->shard -= code != ONWARD_OK;
    return code;
}

/* The newest set of those of which each copy is there. False: there is none. */
static bool choose_set(struct copy_id *set)
{
    struct copyset_entry entries[FILES];
    struct copy_id *list = NULL;
    uint32_t count = 0, first = 0;
    ck_ok(copy_list(&place, &list, &count, &failure));
    ck_assert_uint_le(count, FILES);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct copyset_entry){list[i].incarnation, list[i].epoch,       list[i].step,
                                            list[i].shard,       list[i].shard_count, 0};
    free(list);
    if (!copyset_choose(entries, count, 1, &first))
        return false;
    *set = (struct copy_id){.incarnation = entries[first].incarnation,
                            .epoch = entries[first].epoch,
                            .step = entries[first].step,
                            .shard_count = entries[first].shard_count};
    return true;
}

/* How many sets were restored beside a damage in one of their copies, and refused for one. */
static int right_sets, refused_sets;

static void expect_right(const struct reader *reader, int set, uint64_t seed, int round)
{
    static double expected[ROWS * COLUMNS];
    slab_gather(&reader->slab, dims, written[set][FIELD].data, expected);
    bool is_right =
        memcmp(expected, reader->field, (reader->wanted - NUMBERS) * 8) == 0 &&
        memcmp(written[set][ROUNDS_DONE].data, reader->numbers, sizeof reader->numbers) == 0;
    ck_assert_msg(is_right && reader->found == reader->wanted,
                  "seed %" PRIu64 ", round %d: step %d is restored wrong", seed, round,
                  10 * (set + 1));
}

/* Returns which set was restored; -1: none. */
static int restore(const struct damages *damages, uint64_t *draw, uint64_t seed, int round)
{
    static struct reader reader;
    struct copy_id id;
    make_reader(&reader, draw);
    while (choose_set(&id)) {
        int set = (int)id.step / 10 - 1;
        bool is_whole = damages->is_whole[set];
        int code = read_set(&id, &reader);
        right_sets += code == ONWARD_OK && !is_whole;
        refused_sets += code != ONWARD_OK;
        if (code == ONWARD_OK) {
            expect_right(&reader, set, seed, round);
            return set;
        }
        ck_assert_msg(!is_whole && code == ONWARD_ERR_CORRUPT && is_named(damages, set),
                      "seed %" PRIu64 ", round %d: %d: %s", seed, round, code, failure.text);
        copy_remove(&place, &id);
    }
    return -1;
}

static bool is_damaged(const struct damages *damages, const struct kept_file *file)
{
    for (int i = 0; i < damages->count; i++)
        if (damages->files[i] == file)
            return true;
    return false;
}

/* Another copy, whole, is no damage to a check that knows no names. */
static void expect_checked(const struct kept_file *file, uint64_t seed, int round)
{
    size_t size = 0;
    bool is_whole = false;
    if (access(file->path, F_OK) != 0)
        return;
    unsigned char *bytes = read_file(file->path, &size);
    for (int i = 0; i < file_count && !is_whole; i++)
        is_whole = size == files[i].size && memcmp(bytes, files[i].bytes, size) == 0;
    free(bytes);
    ck_assert_msg((copy_check(file->path) == ONWARD_OK) == is_whole,
                  "seed %" PRIu64 ", round %d: the check of %s", seed, round, file->name);
}

static void damage_once(uint64_t seed, int round)
{
    uint64_t draw = seed * 1000003 + (uint64_t)round;
    struct damages damages = damage_some(&draw);
    for (int i = 0; i < damages.count; i++)
        expect_checked(damages.files[i], seed, round);
    int set = restore(&damages, &draw, seed, round);
    int least = damages.is_whole[1] ? 1 : damages.is_whole[0] ? 0 : -1;
    ck_assert_msg(set >= least, "seed %" PRIu64 ", round %d: step %d is passed over", seed, round,
                  10 * (least + 1));
    for (int i = 0; i < file_count; i++)
        ck_assert_msg(is_damaged(&damages, &files[i]) || access(files[i].path, F_OK) == 0,
                      "seed %" PRIu64 ", round %d: %s is gone", seed, round, files[i].name);
    mend(&damages);
}

START_TEST(random_damages)
{
    uint64_t seed = seed_given ? seed_given : (uint64_t)_i + 1;
    right_sets = refused_sets = 0;
    for (int round = 0; round < rounds; round++)
        damage_once(seed, round);
    printf("seed %" PRIu64 ": %d sets were restored beside a damage, %d refused for one\n", seed,
           right_sets, refused_sets);
    if (rounds >= ROUNDS)
        ck_assert(right_sets > 0 && refused_sets >= ROUNDS / 4);
}
END_TEST

int main(int argc, char **argv)
{
    return run_seeds(argc, argv, "store damage copies", random_damages, make_copies, ROUNDS);
}
