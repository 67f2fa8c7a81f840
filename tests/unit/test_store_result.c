/* test_store_result.c - a result as any HDF5 program reads it; and the file helpers below it. */
#include "store_fixture.h"

#include <hdf5.h>

#include "file.h"
#include "result.h"
#include "run_suite.h"

static void check_text(hid_t object, const char *name, const char *expected)
{
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    ck_assert_msg(attribute >= 0, "%s", name);
    hid_t type = H5Aget_type(attribute);
    char *text = calloc(1, H5Tget_size(type) + 1);
    ck_assert_int_ge(H5Aread(attribute, type, text), 0);
    ck_assert_str_eq(text, expected);
    free(text);
    H5Tclose(type);
    H5Aclose(attribute);
}

static void check_labels(hid_t dataset, int count, const char *const *expected)
{
    char *labels[8];
    hid_t attribute = H5Aopen(dataset, "DIMENSION_LABELS", H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    ck_assert_int_eq(H5Sget_simple_extent_npoints(space), count);
    ck_assert_int_ge(H5Aread(attribute, type, labels), 0);
    for (int i = 0; i < count; i++)
        ck_assert_str_eq(labels[i], expected[i]);
    H5Treclaim(type, space, H5P_DEFAULT, labels);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
}

static const uint64_t dims[] = {3, 2};
static const char *const dim_names[] = {"output", "input"};
static const float weights[6] = {1, 2, 3, 4, 5, 6};
static const int64_t steps[] = {0, 10, 20};
static const double losses[] = {2.5, 1.5, 0.5};

static struct result *make_result(const char *config)
{
    struct result *result = NULL;
    const struct result_array array = {
        "model/layer0/weights", ONWARD_FLOAT, 2, dims, dim_names, "1", "of it", weights};
    const struct result_column columns[] = {{"step", ONWARD_INT64, "1", "steps done", steps},
                                            {"loss", ONWARD_DOUBLE, "nat", "of the test", losses}};
    ck_ok(result_open("task-1", config, &result, &failure));
    ck_ok(result_put_number(result, "accuracy", 0.875, &failure));
    ck_ok(result_put_integer(result, "step", 20, &failure));
    ck_ok(result_put_text(result, "trainer", "mlp", &failure));
    ck_ok(result_put_array(result, &array, &failure));
    ck_ok(result_put_table(result, "history", columns, 2, 3, &failure));
    return result;
}

START_TEST(result_is_read_back)
{
    float found[6];
    double found_losses[3];
    static char config[200001];
    memset(config, 'c', sizeof config - 1);
    struct result *result = make_result(config);
    ck_ok(result_save(result, in_scratch("result.h5"), &failure));
    ck_assert_int_eq(result_save(result, in_scratch("again.h5"), &failure), ONWARD_ERR_ORDER);
    result_close(result);
    ck_assert_int_eq(count_entries(scratch), 1);
    hid_t file = H5Fopen(in_scratch("result.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    check_text(file, "task", "task-1");
    check_text(file, "config", config);
    check_text(file, "trainer", "mlp");
    hid_t dataset = H5Dopen2(file, "model/layer0/weights", H5P_DEFAULT);
    check_text(dataset, "units", "1");
    check_text(dataset, "description", "of it");
    check_labels(dataset, 2, dim_names);
    H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, found);
    ck_assert_mem_eq(found, weights, sizeof weights);
    H5Dclose(dataset);
    dataset = H5Dopen2(file, "history/loss", H5P_DEFAULT);
    check_text(dataset, "units", "nat");
    check_labels(dataset, 1, (const char *const[]){"row"});
    H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, found_losses);
    ck_assert_mem_eq(found_losses, losses, sizeof losses);
    H5Dclose(dataset);
    H5Fclose(file);
}
END_TEST

START_TEST(a_failed_save_leaves_the_old_file)
{
    char small[64], path[80];
    size_t size = 0;
    static float big[100000];
    const uint64_t big_dims[] = {100000};
    const struct result_array array = {"big", ONWARD_FLOAT, 1, big_dims, dim_names, "1", "", big};
    snprintf(small, sizeof small, "%s/small", scratch);
    snprintf(path, sizeof path, "%s/result.h5", small);
    if (!mount_small(small, 200))
        return;
    write_file(path, "old", 3);
    struct result *result = make_result("");
    ck_ok(result_put_array(result, &array, &failure));
    ck_assert_int_eq(result_save(result, path, &failure), ONWARD_ERR_NO_SPACE);
    result_close(result);
    free(read_file(path, &size));
    ck_assert_uint_eq(size, 3);
    ck_assert_int_eq(count_entries(small), 1);
    umount(small);
}
END_TEST

START_TEST(bad_arrays_are_refused)
{
    struct result *result = make_result("");
    struct result_array array = {"a", ONWARD_FLOAT, 2, dims, dim_names, "1", "", weights};
    array.ndims = 9;
    ck_assert_int_eq(result_put_array(result, &array, &failure), ONWARD_ERR_ARGUMENT);
    array.ndims = 2;
    array.type = 99;
    ck_assert_int_eq(result_put_array(result, &array, &failure), ONWARD_ERR_ARGUMENT);
    array.type = ONWARD_FLOAT;
    array.data = NULL;
    ck_assert_int_eq(result_put_array(result, &array, &failure), ONWARD_ERR_ARGUMENT);
    result_close(result);
    result_close(NULL);
}
END_TEST

START_TEST(replace_is_whole)
{
    size_t size = 0;
    char path[64];
    snprintf(path, sizeof path, "%s/f", scratch);
    ck_ok(file_replace(path, "first", 5, &failure));
    ck_ok(file_replace(path, "2nd", 3, &failure));
    unsigned char *bytes = read_file(path, &size);
    ck_assert(size == 3 && memcmp(bytes, "2nd", 3) == 0);
    ck_assert_int_eq(count_entries(scratch), 1);
    ck_assert_int_eq(file_replace(in_scratch("none/f"), "x", 1, &failure), ONWARD_ERR_IO);
    free(bytes);
}
END_TEST

START_TEST(directories_and_paths)
{
    char path[32], long_name[300], parent[64];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_ok(file_make_directories(in_scratch("a//b/c/"), &failure));
    ck_ok(file_make_directories(in_scratch("a/b/c"), &failure));
    ck_ok(file_sync_directory(in_scratch("a/b/c"), &failure));
    write_file(in_scratch("a/file"), "", 0);
    ck_assert_int_eq(file_make_directories(in_scratch("a/file/x"), &failure), ONWARD_ERR_IO);
    ck_assert_int_eq(file_make_directories("", &failure), ONWARD_ERR_ARGUMENT);
    ck_ok(file_join(path, sizeof path, "a", "b", &failure));
    ck_assert_str_eq(path, "a/b");
    ck_assert_int_eq(file_join(path, sizeof path, "a", long_name, &failure), ONWARD_ERR_ARGUMENT);
    static const char *const parents[][2] = {
        {"a/b", "a"}, {"/a", "/"}, {"a", "."}, {"/a/b/c", "/a/b"}};
    for (int i = 0; i < 4; i++) {
        ck_ok(file_parent(parent, sizeof parent, parents[i][0], &failure));
        ck_assert_str_eq(parent, parents[i][1]);
    }
}
END_TEST

START_TEST(time_is_rfc_3339)
{
    char text[40];
    int fields[7];
    time_text(text, sizeof text);
    ck_assert_int_eq(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ", &fields[0], &fields[1],
                            &fields[2], &fields[3], &fields[4], &fields[5], &fields[6]),
                     7);
    ck_assert_uint_eq(strlen(text), strlen("2026-01-01T00:00:00.000000Z"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store result");
    TCase *tests = tcase_create("result");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, result_is_read_back);
    tcase_add_test(tests, a_failed_save_leaves_the_old_file);
    tcase_add_test(tests, bad_arrays_are_refused);
    tcase_add_test(tests, replace_is_whole);
    tcase_add_test(tests, directories_and_paths);
    tcase_add_test(tests, time_is_rfc_3339);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
