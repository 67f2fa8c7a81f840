/* test_store_copy.c - copies of shards on a host: their names, who finds which, what is swept, and
 * that a damaged one, one of another program and a full disk are errors. */
#include "store_fixture.h"

#include "copy.h"
#include "run_suite.h"

static struct checkpoint_array state = {
    .name = "state", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {100000}};
static struct copy_place place;
static const struct copy_id first = {.incarnation = 2, .epoch = 7, .step = 120, .shard_count = 1};

static void make_place(void)
{
    uint64_t seed = 5;
    make_scratch_in_memory();
    place = (struct copy_place){.directory = scratch, .task = "task-1", .run = 9};
    fill_array(&state, &seed);
}

static void remove_place(void)
{
    free(state.data);
    remove_scratch();
}

static const struct {
    const char *name;
    bool is_name;
} names[] = {
    {"step-00000120.r003-of-004.i0002.e0007.h5", true},
    {"step-00000120.r003-of-004.i0002.e0007.partner.h5", true},
    {"step-00000120.r003-of-004.i0002.e0007.h5.tmp-12-partner", false},
    {"step-00000120.r003-of-004.i0002.e0007.partner.h5x", false},
    {"step-00000120.r003-of-004.i0002.e0007.partner.partner.h5", false},
    {"step-00000120.r004-of-004.i0002.e0007.h5", false},
    {"step-120.r003-of-004.i0002.e0007.h5", false},
    {"step-00000120.r003-of-004.i0000.e0007.h5", false},
    {"step--0000120.r003-of-004.i0002.e0007.h5", false},
};

START_TEST(names_are_read_back)
{
    struct copy_id id;
    char name[COPY_NAME_BYTES];
    ck_assert_int_eq(copy_parse_name(names[_i].name, &id), names[_i].is_name);
    if (!names[_i].is_name)
        return;
    ck_assert_int_eq(id.step, 120);
    ck_assert_uint_eq(id.shard, 3);
    ck_assert_uint_eq(id.is_partner, strstr(names[_i].name, "partner") != NULL);
    copy_name(name, &id);
    ck_assert_str_eq(name, names[_i].name);
}
END_TEST

static int read_all(const struct copy_id *id, double *found)
{
    struct copy_source *source = NULL;
    struct onward_slab all = {.start = {0}, .stride = {1}, .count = {1}, .block = {100000}};
    uint64_t elements = 0;
    int code = copy_open(&place, id, 1, &source, &failure);
    if (code == ONWARD_OK)
        code = copy_read(source, &state, 0, &all, &all, found, &elements, &failure);
    copy_close(source);
    ck_assert(code != ONWARD_OK || elements == 100000);
    return code;
}

/* It is the same shard, whoever wrote it. */
START_TEST(a_copy_is_found_wherever_it_comes_from)
{
    struct copy_id sent = first, *list = NULL;
    char own_path[COPY_PATH_BYTES], sent_path[COPY_PATH_BYTES];
    double *found = calloc(100000, sizeof *found);
    uint64_t bytes = 0;
    uint32_t count = 0;
    sent.is_partner = 1;
    ck_ok(copy_write(&place, &first, &state, 1, &bytes, &failure));
    ck_ok(copy_path(&place, &first, own_path, &failure));
    ck_ok(copy_path(&place, &sent, sent_path, &failure));
    if (_i == 1)
        ck_assert_int_eq(rename(own_path, sent_path), 0);
    ck_ok(copy_list(&place, &list, &count, &failure));
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(list[0].is_partner, _i);
    ck_assert_int_eq(copy_check(_i ? sent_path : own_path), ONWARD_OK);
    ck_ok(read_all(&first, found));
    ck_assert_int_eq(memcmp(found, state.data, 100000 * sizeof *found), 0);
    copy_remove(&place, &first);
    ck_assert_int_eq(read_all(&first, found), ONWARD_ERR_NOT_FOUND);
    free(list);
    free(found);
}
END_TEST

START_TEST(a_damaged_copy_is_an_error)
{
    char path[COPY_PATH_BYTES];
    double *found = calloc(100000, sizeof *found);
    uint64_t bytes = 0;
    size_t size = 0;
    ck_ok(copy_write(&place, &first, &state, 1, &bytes, &failure));
    ck_ok(copy_path(&place, &first, path, &failure));
    unsigned char *whole = read_file(path, &size);
    ck_assert_uint_eq(size, bytes);
    for (size_t at = 3; at < size; at += size / 9) {
        whole[at] ^= 1;
        write_file(path, whole, size);
        ck_assert_int_eq(copy_check(path), ONWARD_ERR_CORRUPT);
        ck_assert_int_eq(read_all(&first, found), ONWARD_ERR_CORRUPT);
        whole[at] ^= 1;
    }
    write_file(path, whole, size - 1);
    ck_assert_int_eq(copy_check(path), ONWARD_ERR_CORRUPT);
    free(whole);
    free(found);
}
END_TEST

/* What a program takes shard 1 of 4 for, and what is said where it is something else. */
static const struct {
    const char *name;
    int type, ndims;
    uint64_t dims[2];
    bool sharded;
    struct onward_slab part;
    uint32_t array_count;
    const char *text; /* NULL: the copy is read */
} programs[] = {
    {"field", ONWARD_DOUBLE, 1, {100}, true, {{25}, {25}, {1}, {25}}, 2, NULL},
    {"field",
     ONWARD_DOUBLE,
     1,
     {100},
     true,
     {{5}, {20}, {5}, {5}},
     2,
     "another layout of array field"},
    {"field",
     ONWARD_DOUBLE,
     1,
     {100},
     true,
     {{50}, {25}, {1}, {25}},
     2,
     "another layout of array field"},
    {"field",
     ONWARD_DOUBLE,
     1,
     {104},
     true,
     {{25}, {25}, {1}, {25}},
     2,
     "array field is float64 100, expected float64 104"},
    {"field",
     ONWARD_DOUBLE,
     2,
     {100, 1},
     true,
     {{25, 0}, {25, 1}, {1, 1}, {25, 1}},
     2,
     "array field is float64 100, expected float64 100 x 1"},
    {"field",
     ONWARD_INT64,
     1,
     {100},
     true,
     {{25}, {25}, {1}, {25}},
     2,
     "array field is float64 100, expected int64 100"},
    {"field", ONWARD_DOUBLE, 1, {100}, false, {{25}, {25}, {1}, {25}}, 2, "holds no array field"},
    {"plate", ONWARD_DOUBLE, 1, {100}, true, {{25}, {25}, {1}, {25}}, 2, "holds no array plate"},
    {"field",
     ONWARD_DOUBLE,
     1,
     {100},
     true,
     {{25}, {25}, {1}, {25}},
     1,
     "holds 2 arrays, the program protects 1"},
    {"rows", ONWARD_DOUBLE, 1, {100}, false, {{25}, {25}, {1}, {25}}, 2, NULL},
    {"rows",
     ONWARD_DOUBLE,
     1,
     {101},
     false,
     {{26}, {25}, {1}, {25}},
     2,
     "array rows is float64 100, expected float64 101"},
    {"rows", ONWARD_DOUBLE, 1, {100}, true, {{25}, {25}, {1}, {25}}, 2, "holds no array rows"},
    {"rows",
     ONWARD_DOUBLE,
     1,
     {100},
     false,
     {{50}, {25}, {1}, {25}},
     2,
     "another layout of array rows"},
};

static void write_shard_1(const struct copy_id *id)
{
    static double numbers[100];
    static const struct onward_slab part = {{25}, {25}, {1}, {25}};
    struct checkpoint_array arrays[] = {{"field",
                                         ONWARD_DOUBLE,
                                         1,
                                         {100},
                                         numbers,
                                         .sharded = true,
                                         .slab_count = 1,
                                         .slabs = &part},
                                        {"rows", ONWARD_DOUBLE, 1, {100}, .data = numbers}};
    uint64_t bytes = 0;
    for (int i = 0; i < 100; i++)
        numbers[i] = i;
    ck_ok(copy_write(&place, id, arrays, 2, &bytes, &failure));
}

/* It is whole, and holds what another program protected, whatever the number of elements. */
START_TEST(a_copy_of_another_program_is_no_damage)
{
    const struct copy_id id = {
        .incarnation = 2, .epoch = 7, .step = 120, .shard = 1, .shard_count = 4};
    struct checkpoint_array array = {.type = programs[_i].type,
                                     .ndims = programs[_i].ndims,
                                     .dims = {programs[_i].dims[0], programs[_i].dims[1]},
                                     .sharded = programs[_i].sharded};
    struct copy_source *source = NULL;
    double found[25] = {0};
    uint64_t elements = 0;
    snprintf(array.name, sizeof array.name, "%s", programs[_i].name);
    write_shard_1(&id);
    int code = copy_open(&place, &id, programs[_i].array_count, &source, &failure);
    if (code == ONWARD_OK)
        code = copy_read(source, &array, 0, &programs[_i].part, &programs[_i].part, found,
                         &elements, &failure);
    copy_close(source);
    if (programs[_i].text) {
        ck_assert_msg(code == ONWARD_ERR_INPUT, "%d: %s", code, failure.text);
        ck_assert_msg(strstr(failure.text, programs[_i].text) != NULL, "%s", failure.text);
        ck_assert_ptr_nonnull(strstr(failure.text, "r001-of-004"));
        ck_assert_double_eq(found[1], 0);
        return;
    }
    ck_ok(code);
    ck_assert_uint_eq(elements, 25);
    ck_assert_double_eq(found[1], programs[_i].sharded ? 1 : 26);
}
END_TEST

/* What another copy would have to be, to be the one below. */
static const struct {
    struct copy_id id;
    const char *text;
} others[] = {
    {{.incarnation = 2, .epoch = 7, .step = 110, .shard = 1, .shard_count = 4},
     "step 120, expected 110"},
    {{.incarnation = 2, .epoch = 6, .step = 120, .shard = 1, .shard_count = 4},
     "epoch 7, expected 6"},
    {{.incarnation = 3, .epoch = 7, .step = 120, .shard = 1, .shard_count = 4},
     "incarnation 2, expected 3"},
    {{.incarnation = 2, .epoch = 7, .step = 120, .shard = 2, .shard_count = 4},
     "rank 1, expected 2"},
    {{.incarnation = 2, .epoch = 7, .step = 120, .shard = 1, .shard_count = 5},
     "size 4, expected 5"},
};

/* All its checksums fit. */
START_TEST(a_copy_that_is_not_what_its_name_says_is_damaged)
{
    const struct copy_id id = {
        .incarnation = 2, .epoch = 7, .step = 120, .shard = 1, .shard_count = 4};
    struct copy_source *source = NULL;
    char from[COPY_PATH_BYTES], to[COPY_PATH_BYTES];
    write_shard_1(&id);
    ck_ok(copy_path(&place, &id, from, &failure));
    ck_ok(copy_path(&place, &others[_i].id, to, &failure));
    ck_assert_int_eq(rename(from, to), 0);
    ck_assert_int_eq(copy_check(to), ONWARD_OK);
    ck_assert_int_eq(copy_open(&place, &others[_i].id, 2, &source, &failure), ONWARD_ERR_CORRUPT);
    ck_assert_msg(strstr(failure.text, to) && strstr(failure.text, others[_i].text), "%s",
                  failure.text);
}
END_TEST

/* Three MiB have room for one copy of two MiB, so that the next one fails in its middle. */
START_TEST(a_full_disk_leaves_nothing_and_loses_nothing)
{
    struct checkpoint_array big = {"big", ONWARD_DOUBLE, 1, {1 << 18}, .data = NULL};
    struct copy_id next = first;
    char path[COPY_PATH_BYTES], directory[COPY_PATH_BYTES], small[64];
    uint64_t seed = 8, bytes = 0;
    snprintf(small, sizeof small, "%s/small", scratch);
    if (!mount_small(small, 3 * 1024))
        return;
    place.directory = small;
    fill_array(&big, &seed);
    ck_ok(copy_write(&place, &first, &big, 1, &bytes, &failure));
    ck_ok(copy_path(&place, &first, path, &failure));
    ck_ok(copy_directory(&place, directory, &failure));
    uint64_t free_before = free_blocks(small);
    for (next.step = first.step; next.step <= first.step + 10; next.step += 10) {
        ck_assert_int_eq(copy_write(&place, &next, &big, 1, &bytes, &failure), ONWARD_ERR_NO_SPACE);
        ck_assert_msg(strstr(failure.text, directory) != NULL, "%s", failure.text);
        ck_assert_int_eq(count_entries(directory), 1);
        ck_assert_uint_eq(free_blocks(small), free_before);
        ck_assert_int_eq(copy_check(path), ONWARD_OK);
    }
    umount(small);
    free(big.data);
}
END_TEST

static bool is_of_epoch_7(void *context, const struct copy_id *id)
{
    (void)context;
    return id->epoch == 7;
}

START_TEST(what_is_old_is_swept_with_its_temporary_files)
{
    static const char *const kept[] = {"step-00000130.r000-of-001.i0002.e0008.h5",
                                       "step-00000130.r000-of-001.i0002.e0008.h5.tmp-5-partner",
                                       "i0002.abc.state"};
    static const char *const old[] = {
        "step-00000120.r000-of-001.i0002.e0007.h5",
        "step-00000120.r000-of-001.i0002.e0007.partner.h5",
        "step-00000120.r000-of-001.i0002.e0007.partner.h5.tmp-5-partner",
        "step-00000120.r000-of-001.i0002.e0007.h5.tmp-5-abcdef01"};
    char directory[COPY_PATH_BYTES], path[COPY_PATH_BYTES + 128];
    ck_ok(copy_directory(&place, directory, &failure));
    for (int i = 0; i < 7; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, i < 3 ? kept[i] : old[i - 3]);
        write_file(path, "x", 1);
    }
    copy_sweep(&place, is_of_epoch_7, NULL);
    for (int i = 0; i < 7; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, i < 3 ? kept[i] : old[i - 3]);
        ck_assert_msg((access(path, F_OK) == 0) == (i < 3), "%s", path);
    }
    copy_remove_all(&place);
    ck_assert_int_eq(count_entries(directory), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store copy");
    TCase *tests = tcase_create("copy");
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, names_are_read_back, 0, (int)(sizeof names / sizeof *names));
    tcase_add_loop_test(tests, a_copy_is_found_wherever_it_comes_from, 0, 2);
    tcase_add_test(tests, a_damaged_copy_is_an_error);
    tcase_add_loop_test(tests, a_copy_of_another_program_is_no_damage, 0,
                        (int)(sizeof programs / sizeof *programs));
    tcase_add_loop_test(tests, a_copy_that_is_not_what_its_name_says_is_damaged, 0,
                        (int)(sizeof others / sizeof *others));
    tcase_add_test(tests, a_full_disk_leaves_nothing_and_loses_nothing);
    tcase_add_test(tests, what_is_old_is_swept_with_its_temporary_files);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
