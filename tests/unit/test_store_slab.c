/* test_store_slab.c - parts of global arrays: what a layout selects, what two parts share, and that
 * any layout written by N workers is read by M with any other. */
#include "store_fixture.h"

#include <hdf5.h>
#include <time.h>

#include "run_suite.h"
#include "slab_fixture.h"

enum { MAX_WORKERS = 9, MAX_PARTS = 4 };

/* Which worker has an element: a grid of workers, block-cyclic in each dimension. */
struct deal {
    int grid[CHECKPOINT_MAX_DIMS], size;
    uint64_t block[CHECKPOINT_MAX_DIMS];
};

static struct deal random_deal(const struct checkpoint_array *array, uint64_t *seed)
{
    struct deal deal = {.size = 1};
    for (int d = 0; d < array->ndims; d++) {
        deal.grid[d] = 1 + (int)(random_next(seed) % 3);
        if (deal.size * deal.grid[d] > MAX_WORKERS)
            deal.grid[d] = 1;
        deal.size *= deal.grid[d];
        deal.block[d] = 1 + random_next(seed) % (array->dims[d] + 1);
    }
    return deal;
}

static struct onward_slab slab_of(const struct checkpoint_array *array, const struct deal *deal,
                                  int rank)
{
    struct onward_slab slab = slab_whole(array->ndims, array->dims);
    for (int d = array->ndims - 1; d >= 0; d--) {
        int place = rank % deal->grid[d];
        rank /= deal->grid[d];
        if (deal->block[d] > array->dims[d])
            onward_slab_block(&slab, d, array->dims[d], place, deal->grid[d]);
        else
            onward_slab_cyclic(&slab, d, array->dims[d], deal->block[d], place, deal->grid[d]);
    }
    ck_assert(slab_normalise(&slab, array->ndims, array->dims));
    return slab;
}

/* Splits a slab that is contiguous along dimension 0 in two, so that a part has several. */
static uint32_t split_rows(const struct checkpoint_array *array, struct onward_slab *slabs)
{
    if (slab_elements(&slabs[0], array->ndims, array->dims) == 0)
        return 0;
    if (slabs[0].count[0] != 1 || slabs[0].block[0] < 2)
        return 1;
    slabs[1] = slabs[0];
    slabs[0].block[0] = slabs[0].stride[0] = slabs[1].block[0] / 2;
    slabs[1].start[0] += slabs[0].block[0];
    slabs[1].block[0] -= slabs[0].block[0];
    slabs[1].stride[0] = slabs[1].block[0];
    return 2;
}

static bool is_within(const struct onward_slab *slab, int d, uint64_t at, uint64_t *local)
{
    if (slab->count[d] == 0 || at < slab->start[d])
        return false;
    uint64_t beyond = at - slab->start[d], stride = slab->stride[d] ? slab->stride[d] : 1;
    if (beyond / stride >= slab->count[d] || beyond % stride >= slab->block[d])
        return false;
    *local = beyond / stride * slab->block[d] + beyond % stride;
    return true;
}

/* Element by element, the definition: copies what the slab selects of whole to part, or back. */
static void copy_slab(const struct checkpoint_array *array, const struct onward_slab *slab,
                      char *whole, char *part, bool back)
{
    size_t bytes = type_bytes(array->type);
    uint64_t total = array_bytes(array) / bytes;
    for (uint64_t at = 0; at < total; at++) {
        uint64_t rest = at, place = 0, size = 1, local = 0;
        bool inside = true;
        for (int d = array->ndims - 1; d >= 0; d--) {
            inside = inside && is_within(slab, d, rest % array->dims[d], &local);
            rest /= array->dims[d];
            place += inside ? local * size : 0;
            size *= slab_extent(slab, d, array->dims);
        }
        if (inside && back)
            memcpy(whole + at * bytes, part + place * bytes, bytes);
        else if (inside)
            memcpy(part + place * bytes, whole + at * bytes, bytes);
    }
}

static struct checkpoint_array random_array(uint64_t *seed, int index)
{
    struct checkpoint_array array = {.type = 1 + (int)(random_next(seed) % 6),
                                     .ndims = 1 + (int)(random_next(seed) % 4)};
    snprintf(array.name, sizeof array.name, "z%d/a", 9 - index);
    for (int d = 0; d < array.ndims; d++)
        array.dims[d] = 1 + random_next(seed) % (d == 0 ? 40 : 9);
    return array;
}

/* The array as one worker holds it: slabs and data of its own. */
static struct checkpoint_array part_of(const struct checkpoint_array *array,
                                       const struct deal *deal, int rank, bool filled)
{
    static struct onward_slab slabs[64][2];
    static int next;
    struct checkpoint_array part = *array;
    struct onward_slab *own = slabs[next++ % 64];
    char *data = malloc(array_bytes(array) + 1);
    ck_assert_ptr_nonnull(data);
    memset(data, 0xee, array_bytes(array) + 1);
    own[0] = slab_of(array, deal, rank);
    part.sharded = true;
    part.slabs = own;
    part.slab_count = split_rows(array, own);
    part.data = data;
    for (uint32_t i = 0; i < part.slab_count && filled; i++) {
        copy_slab(array, &own[i], array->data, data, false);
        data += slab_elements(&own[i], array->ndims, array->dims) * type_bytes(array->type);
    }
    return part;
}

static uint32_t write_parts(const struct checkpoint_array *arrays, const struct deal *deals,
                            int size, struct checkpoint_shard *shards,
                            struct checkpoint_slab *slabs)
{
    struct checkpoint_id id = {"task-1", 2, 7, 120};
    uint32_t slab_count = 0;
    for (int rank = 0; rank < size; rank++) {
        struct checkpoint_array parts[2] = {part_of(&arrays[0], &deals[0], rank, true), arrays[1]};
        ck_ok(checkpoint_write_shard(scratch, &id, parts, 2, (uint32_t)rank, (uint32_t)size,
                                     &shards[rank], &failure));
        for (uint32_t i = 0; i < parts[0].slab_count; i++)
            slabs[slab_count++] = (struct checkpoint_slab){0, (uint32_t)rank, parts[0].slabs[i]};
        free(parts[0].data);
    }
    return slab_count;
}

static void check_parts(const struct checkpoint_array *arrays, const struct deal *deal)
{
    char *found = malloc(array_bytes(&arrays[0]) + 1);
    memset(found, 0xdd, array_bytes(&arrays[0]));
    for (int rank = 0; rank < deal->size; rank++) {
        struct checkpoint_array parts[2];
        parts[0] = part_of(&arrays[0], deal, rank, false);
        like_arrays(&parts[1], &arrays[1], 1, 0xcc);
        ck_ok(checkpoint_read(scratch, 120, parts, 2, &failure));
        ck_assert(same_arrays(&parts[1], &arrays[1], 1));
        char *data = parts[0].data;
        for (uint32_t i = 0; i < parts[0].slab_count; i++) {
            copy_slab(&arrays[0], &parts[0].slabs[i], found, data, true);
            data += slab_elements(&parts[0].slabs[i], arrays[0].ndims, arrays[0].dims) *
                    type_bytes(arrays[0].type);
        }
        free_arrays(parts, 2);
    }
    ck_assert(memcmp(found, arrays[0].data, array_bytes(&arrays[0])) == 0);
    free(found);
}

/* What HDF5 itself makes of the master. */
static void check_file(const char *name, const struct checkpoint_array *array)
{
    static const hid_t *const types[] = {
        [ONWARD_FLOAT] = &H5T_NATIVE_FLOAT_g,   [ONWARD_DOUBLE] = &H5T_NATIVE_DOUBLE_g,
        [ONWARD_INT32] = &H5T_NATIVE_INT32_g,   [ONWARD_INT64] = &H5T_NATIVE_INT64_g,
        [ONWARD_UINT64] = &H5T_NATIVE_UINT64_g, [ONWARD_BYTE] = &H5T_NATIVE_UINT8_g};
    void *found = malloc(array_bytes(array) + 1);
    hid_t file = H5Fopen(in_scratch(name), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, array->name, H5P_DEFAULT);
    ck_assert(H5Dread(dataset, *types[array->type], H5S_ALL, H5S_ALL, H5P_DEFAULT, found) >= 0);
    ck_assert(memcmp(found, array->data, array_bytes(array)) == 0);
    H5Dclose(dataset);
    H5Fclose(file);
    free(found);
}

static void check_virtual(const struct checkpoint_array *array)
{
    check_file("ckpt/step-00000120.h5", array);
}

START_TEST(any_layout_is_read_by_any_other)
{
    uint64_t seed = (uint64_t)_i * 7919 + 1;
    struct checkpoint_array arrays[2], all[2], whole[2];
    struct checkpoint_shard shards[MAX_WORKERS];
    struct checkpoint_slab slabs[MAX_WORKERS * 2];
    struct checkpoint_id id = {"task-1", 2, 7, 120};
    for (int i = 0; i < 2; i++) {
        arrays[i] = random_array(&seed, i);
        fill_array(&arrays[i], &seed);
        all[i] = arrays[i];
    }
    all[0].sharded = true;
    strcpy(all[0].unit, "m/s");
    struct deal written = random_deal(&arrays[0], &seed), read = random_deal(&arrays[0], &seed);
    printf("seed %d: %d workers, then %d\n", _i, written.size, read.size);
    uint32_t slab_count = write_parts(arrays, &written, written.size, shards, slabs);
    ck_ok(checkpoint_commit_slabs(scratch, &id, all, 2, shards, (uint32_t)written.size, slabs,
                                  slab_count, &failure));
    ck_ok(checkpoint_verify(scratch, 120, "task-1", &failure));
    check_parts(arrays, &written);
    check_parts(arrays, &read);
    ck_ok(checkpoint_export(scratch, 120, in_scratch("whole.h5"), true, &failure));
    for (int i = 0; i < 2; i++) {
        check_virtual(&arrays[i]);
        check_file("whole.h5", &arrays[i]);
    }
    like_arrays(whole, arrays, 2, 0xbb);
    ck_ok(checkpoint_read(scratch, 120, whole, 2, &failure)); /* as if it were replicated */
    ck_assert(same_arrays(whole, arrays, 2));
    free_arrays(whole, 2);
    free_arrays(arrays, 2);
}
END_TEST

static void keep_line(void *context, const char *sum, const char *name)
{
    (void)name;
    strcat(context, sum);
}

/* The sum is of the array, not of who wrote it. */
START_TEST(sum_does_not_depend_on_layout)
{
    char sums[2][300] = {"", ""};
    uint64_t seed = 5;
    for (int i = 0; i < 2; i++) {
        struct checkpoint_array arrays[2] = {{"f", ONWARD_DOUBLE, 2, {40, 30}, .data = NULL},
                                             {"r", ONWARD_FLOAT, 1, {7}, .data = NULL}};
        struct checkpoint_array all[2];
        struct checkpoint_shard shards[MAX_WORKERS];
        struct checkpoint_slab slabs[MAX_WORKERS * 2];
        struct checkpoint_id id = {"task-1", 2, 7, 120};
        uint64_t same = 77;
        fill_array(&arrays[0], &same);
        fill_array(&arrays[1], &same);
        memcpy(all, arrays, sizeof all);
        all[0].sharded = true;
        struct deal deal = random_deal(&arrays[0], &seed);
        uint32_t count = write_parts(arrays, &deal, deal.size, shards, slabs);
        ck_ok(checkpoint_commit_slabs(scratch, &id, all, 2, shards, (uint32_t)deal.size, slabs,
                                      count, &failure));
        ck_ok(checkpoint_sum(scratch, 120, keep_line, sums[i], &failure));
        free_arrays(arrays, 2);
    }
    ck_assert_str_eq(sums[0], sums[1]);
}
END_TEST

START_TEST(parts_that_do_not_cover_are_refused)
{
    struct checkpoint_array arrays[2] = {{"f", ONWARD_DOUBLE, 2, {8, 3}, .data = NULL},
                                         {"r", ONWARD_FLOAT, 1, {7}, .data = NULL}};
    struct checkpoint_shard shards[MAX_WORKERS];
    struct checkpoint_slab slabs[MAX_WORKERS * 2];
    struct checkpoint_id id = {"task-1", 2, 7, 120};
    uint64_t seed = 1;
    struct deal deal = {{2, 1}, 2, {1, 3}};
    fill_array(&arrays[0], &seed);
    fill_array(&arrays[1], &seed);
    uint32_t count = write_parts(arrays, &deal, 2, shards, slabs);
    arrays[0].sharded = true;
    ck_assert_int_eq(
        checkpoint_commit_slabs(scratch, &id, arrays, 2, shards, 2, slabs, count - 1, &failure),
        ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "12 elements, expected each of the 24 once"));
    slabs[1].slab = slabs[0].slab; /* as if both had written it */
    ck_assert_int_eq(
        checkpoint_commit_slabs(scratch, &id, arrays, 2, shards, 2, slabs, count, &failure),
        ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "array f: the parts of the workers share elements"));
    ck_assert_int_eq(checkpoint_verify(scratch, 120, NULL, &failure), ONWARD_ERR_NOT_FOUND);
    free_arrays(arrays, 2);
}
END_TEST

/* Whether each element is in one of the slabs. */
static bool is_covered_once(const struct onward_slab *slabs, int count, const uint64_t *dims)
{
    int times[8][8] = {{0}};
    uint64_t rows[MAX_EXTENT], columns[MAX_EXTENT];
    for (int i = 0; i < count; i++) {
        uint64_t row_count = slab_indices(&slabs[i], 0, dims[0], rows);
        uint64_t column_count = slab_indices(&slabs[i], 1, dims[1], columns);
        for (uint64_t r = 0; r < row_count; r++)
            for (uint64_t c = 0; c < column_count; c++)
                times[rows[r]][columns[c]]++;
    }
    for (uint64_t r = 0; r < dims[0]; r++)
        for (uint64_t c = 0; c < dims[1]; c++)
            if (times[r][c] != 1)
                return false;
    return true;
}

static struct onward_slab small_slab(const uint64_t *dims, uint64_t *seed)
{
    struct onward_slab slab = slab_whole(2, dims);
    for (int d = 0; d < 2; d++) {
        int size = 1 + (int)(random_next(seed) % 3), rank = (int)(random_next(seed) % 3) % size;
        if (random_next(seed) % 2)
            onward_slab_block(&slab, d, dims[d], rank, size);
        else
            onward_slab_cyclic(&slab, d, dims[d], 1 + random_next(seed) % 3, rank, size);
    }
    ck_assert(slab_normalise(&slab, 2, dims));
    return slab;
}

START_TEST(weights_say_whether_parts_cover)
{
    uint64_t seed = 3, dims[2];
    int covered = 0, others = 0;
    for (int round = 0; round < 30000; round++) {
        struct onward_slab slabs[4];
        int count = 1 + (int)(random_next(&seed) % 4);
        dims[0] = 1 + random_next(&seed) % 4;
        dims[1] = 1 + random_next(&seed) % 4;
        uint64_t weight = 0, elements = 0;
        for (int i = 0; i < count; i++) {
            slabs[i] = small_slab(dims, &seed);
            weight = slab_weight_sum(weight, slab_weight(&slabs[i], 2, dims));
            elements += slab_elements(&slabs[i], 2, dims);
        }
        struct onward_slab all = slab_whole(2, dims);
        bool is_covered = is_covered_once(slabs, count, dims);
        ck_assert_msg((weight == slab_weight(&all, 2, dims)) == is_covered, "round %d", round);
        covered += is_covered && count > 1;
        others += !is_covered && elements == dims[0] * dims[1];
    }
    printf("%d times covered, %d times by as many elements only\n", covered, others);
    ck_assert(covered > 1000 && others > 1000);
}
END_TEST

/* Of extents that no test could visit: a half and the other, and one that is one off. */
START_TEST(weights_of_long_arrays)
{
    const uint64_t dims[] = {(uint64_t)1 << 40, 3, ((uint64_t)1 << 20) + 7};
    struct onward_slab all = slab_whole(3, dims), parts[3];
    for (int i = 0; i < 3; i++) {
        parts[i] = all;
        onward_slab_cyclic(&parts[i], 2, dims[2], 1000, i < 2 ? i : 0, 2);
        parts[i].start[2] += i == 2;
        ck_assert(slab_normalise(&parts[i], 3, dims));
    }
    uint64_t whole = slab_weight(&all, 3, dims), other = slab_weight(&parts[1], 3, dims);
    ck_assert(slab_weight_sum(slab_weight(&parts[0], 3, dims), other) == whole);
    ck_assert(slab_weight_sum(slab_weight(&parts[2], 3, dims), other) != whole);
}
END_TEST

/* So many simulated writers: the master opens fast. */
START_TEST(a_thousand_shards_open_in_a_second)
{
    enum { WRITERS = 1024 };
    struct checkpoint_array whole = {"f", ONWARD_DOUBLE, 2, {512, 512}, .data = NULL};
    struct checkpoint_shard *shards = calloc(WRITERS, sizeof *shards);
    struct checkpoint_slab *slabs = calloc(WRITERS, sizeof *slabs);
    struct checkpoint_id id = {"task-1", 2, 7, 120};
    struct deal deal = {{32, 32}, WRITERS, {8, 8}};
    uint64_t seed = 1;
    fill_array(&whole, &seed);
    for (int rank = 0; rank < WRITERS; rank++) {
        struct checkpoint_array part = part_of(&whole, &deal, rank, true);
        ck_ok(checkpoint_write_shard(scratch, &id, &part, 1, (uint32_t)rank, WRITERS, &shards[rank],
                                     &failure));
        slabs[rank] = (struct checkpoint_slab){0, (uint32_t)rank, part.slabs[0]};
        free(part.data);
    }
    whole.sharded = true;
    ck_ok(checkpoint_commit_slabs(scratch, &id, &whole, 1, shards, WRITERS, slabs, WRITERS,
                                  &failure));
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    hid_t file = H5Fopen(in_scratch("ckpt/step-00000120.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "f", H5P_DEFAULT);
    ck_assert(dataset >= 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double took_s =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    H5Dclose(dataset);
    H5Fclose(file);
    printf("%d shards: opened in %.3f s\n", WRITERS, took_s);
    ck_assert(took_s < 1);
    check_virtual(&whole);
    free(whole.data);
    free(shards);
    free(slabs);
}
END_TEST

START_TEST(slabs_come_into_one_form)
{
    static const uint64_t dims[] = {10, 7};
    struct onward_slab touching = {{2, 0}, {3, 7}, {9, 1}, {3, 7}};
    struct onward_slab cut = {{1, 0}, {4, 7}, {9, 1}, {3, 7}};
    struct onward_slab overlapping = {{0, 0}, {2, 7}, {2, 1}, {3, 7}};
    struct onward_slab beyond = {{10, 0}, {2, 7}, {2, 1}, {1, 7}};
    struct onward_slab huge = {{1, 0}, {UINT64_MAX, 7}, {UINT64_MAX, 1}, {UINT64_MAX, 7}};
    ck_assert(slab_normalise(&touching, 2, dims));
    ck_assert_uint_eq(touching.count[0], 1);
    ck_assert_uint_eq(touching.block[0], 8);
    ck_assert(slab_normalise(&cut, 2, dims));
    ck_assert_uint_eq(cut.count[0], 3); /* 1..3, 5..7, 9 */
    ck_assert_uint_eq(slab_elements(&cut, 2, dims), 7 * 7);
    ck_assert(!slab_normalise(&overlapping, 2, dims));
    ck_assert(slab_normalise(&beyond, 2, dims));
    ck_assert_uint_eq(slab_elements(&beyond, 2, dims), 0);
    ck_assert(slab_normalise(&huge, 2, dims));
    ck_assert_uint_eq(slab_elements(&huge, 2, dims), 9 * 7);
}
END_TEST

struct cutting {
    struct checkpoint_array array; /* of bytes: how often a piece had each element */
    uint64_t max_elements;
    int pieces;
};

static int count_piece(void *context, const struct onward_slab *piece)
{
    struct cutting *cutting = context;
    const struct checkpoint_array *array = &cutting->array;
    struct onward_slab same = *piece;
    char part[40 * 9 * 9 * 9];
    uint64_t elements = slab_elements(piece, array->ndims, array->dims);
    ck_assert(elements > 0 && elements <= cutting->max_elements);
    ck_assert(slab_normalise(&same, array->ndims, array->dims));
    ck_assert_int_eq(memcmp(&same, piece, sizeof same), 0);
    copy_slab(array, piece, array->data, part, false);
    for (uint64_t i = 0; i < elements; i++)
        part[i]++;
    copy_slab(array, piece, array->data, part, true);
    cutting->pieces++;
    return cutting->pieces == 40 ? ONWARD_ERR_LOST : ONWARD_OK;
}

/* Each element is in one piece, as it is in the slab. */
START_TEST(pieces_of_a_slab_are_small_and_all_of_it)
{
    uint64_t seed = 100 + (uint64_t)_i;
    struct cutting cutting = {.array = random_array(&seed, 0)};
    struct checkpoint_array *array = &cutting.array;
    array->type = ONWARD_BYTE;
    struct deal deal = random_deal(array, &seed);
    char *slab_only = calloc(1, array_bytes(array) + 1);
    for (int rank = 0; rank < deal.size; rank++) {
        struct onward_slab slab = slab_of(array, &deal, rank);
        uint64_t elements = slab_elements(&slab, array->ndims, array->dims);
        char *ones = memset(malloc(elements + 1), 1, elements + 1);
        array->data = calloc(1, array_bytes(array) + 1);
        memset(slab_only, 0, array_bytes(array));
        copy_slab(array, &slab, slab_only, ones, true);
        cutting.max_elements = 1 + random_next(&seed) % (elements + 2);
        cutting.pieces = 0;
        int code =
            slab_cut(&slab, array->ndims, array->dims, cutting.max_elements, count_piece, &cutting);
        ck_assert_int_eq(code, cutting.pieces == 40 ? ONWARD_ERR_LOST : ONWARD_OK);
        ck_assert_int_le(cutting.pieces, 40);
        if (code == ONWARD_OK)
            ck_assert_int_eq(memcmp(array->data, slab_only, array_bytes(array)), 0);
        free(array->data);
        free(ones);
    }
    free(slab_only);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store slab");
    TCase *tests = tcase_create("slab");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, slabs_come_into_one_form);
    tcase_add_loop_test(tests, any_layout_is_read_by_any_other, 0, random_loops(200));
    tcase_add_loop_test(tests, pieces_of_a_slab_are_small_and_all_of_it, 0, random_loops(500));
    tcase_add_test(tests, sum_does_not_depend_on_layout);
    tcase_add_test(tests, weights_say_whether_parts_cover);
    tcase_add_test(tests, weights_of_long_arrays);
    tcase_add_test(tests, parts_that_do_not_cover_are_refused);
    tcase_add_test(tests, a_thousand_shards_open_in_a_second);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
