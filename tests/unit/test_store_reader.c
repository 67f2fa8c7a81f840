/* test_store_reader.c - rows come out the same whether the split is cached or not, whatever the
 * layout of its datasets; data files that are not what they should be are refused. */
#include "store_fixture.h"

#include <hdf5.h>
#include <sys/resource.h>

#include "reader.h"
#include "run_suite.h"

enum { ROWS = 3000, FEATURES = 700 }; /* more than one piece of rows */

struct shape {
    hid_t x_type, y_type;
    hsize_t x_dims[3], y_dims[1];
    int x_ndims;
    int classes; /* below 0: no attribute */
    double scale;
    hsize_t chunk_rows; /* 0: contiguous */
};

static struct shape good(void)
{
    return (struct shape){
        H5T_NATIVE_UINT8, H5T_NATIVE_INT32, {ROWS, FEATURES}, {ROWS}, 2, 10, 0.5, 0};
}

static void put_number(hid_t group, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, value);
    H5Aclose(attribute);
    H5Sclose(space);
}

static hid_t put_dataset(hid_t group, const char *name, hid_t type, int ndims, const hsize_t *dims,
                         hsize_t chunk_rows)
{
    hid_t space = H5Screate_simple(ndims, dims, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[3] = {chunk_rows, dims[1], dims[2]};
    if (chunk_rows > 0) {
        H5Pset_chunk(creation, ndims, chunk);
        H5Pset_deflate(creation, 1);
    }
    hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Pclose(creation);
    H5Sclose(space);
    return dataset;
}

/* A data file of this shape: x is (row * 31 + i * 7) % 251, y is row % 10. */
static void make_data(const char *path, const struct shape *shape)
{
    static unsigned char bytes[ROWS * FEATURES];
    static int32_t labels[ROWS];
    for (int row = 0; row < ROWS; row++) {
        labels[row] = row % 10;
        for (int i = 0; i < FEATURES; i++)
            bytes[row * FEATURES + i] = (unsigned char)((row * 31 + i * 7) % 251);
    }
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t group = H5Gcreate2(file, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t x =
        put_dataset(group, "x", shape->x_type, shape->x_ndims, shape->x_dims, shape->chunk_rows);
    hid_t y = put_dataset(group, "y", shape->y_type, 1, shape->y_dims, 0);
    if (shape->x_ndims == 2 && shape->x_dims[0] == ROWS)
        H5Dwrite(x, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes);
    if (shape->y_dims[0] == ROWS)
        H5Dwrite(y, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels);
    if (shape->classes >= 0)
        put_number(group, "classes", H5T_NATIVE_INT, &shape->classes);
    put_number(group, "scale", H5T_NATIVE_DOUBLE, &shape->scale);
    H5Dclose(x);
    H5Dclose(y);
    H5Gclose(group);
    H5Fclose(file);
}

static float value_at(uint64_t row, uint64_t i)
{
    return (float)((row * 31 + i * 7) % 251) * 0.5f;
}

static void check_row(const float *x, int32_t y, uint64_t row)
{
    bool same = y == (int32_t)(row % 10);
    for (uint64_t i = 0; i < FEATURES; i++)
        same = same && x[i] == value_at(row, i);
    ck_assert_msg(same, "row %" PRIu64, row);
}

/* 0: bytes contiguous, 1: bytes in compressed chunks, 2: float32 */
static void make_kind(const char *path, int kind)
{
    struct shape shape = good();
    shape.chunk_rows = kind == 1 ? 100 : 0;
    shape.x_type = kind == 2 ? H5T_NATIVE_FLOAT : H5T_NATIVE_UINT8;
    make_data(path, &shape);
}

START_TEST(cached_and_not_are_the_same)
{
    struct reader *readers[2];
    uint64_t seed = (uint64_t)_i + 1, indices[300] = {0};
    make_kind(in_scratch("d.h5"), _i);
    ck_ok(reader_open(in_scratch("d.h5"), "train", 0, &readers[0], &failure));
    ck_ok(reader_open(in_scratch("d.h5"), "train", (size_t)1 << 30, &readers[1], &failure));
    for (uint64_t i = 0; i < 300; i++) /* scattered, runs, repeats */
        indices[i] = i < 100 ? random_next(&seed) % ROWS : i < 200 ? 2000 + i : indices[i - 200];
    float *x = malloc((size_t)ROWS * FEATURES * sizeof *x);
    int32_t *y = malloc(ROWS * sizeof *y);
    for (int k = 0; k < 2; k++) {
        memset(x, 0xff, (size_t)ROWS * FEATURES * sizeof *x);
        ck_ok(reader_rows_at(readers[k], indices, 300, x, y, &failure));
        for (int i = 0; i < 300; i++)
            check_row(x + i * FEATURES, y[i], indices[i]);
        ck_ok(reader_rows_range(readers[k], 0, ROWS, x, y, &failure));
        for (uint64_t row = 0; row < ROWS; row++)
            check_row(x + row * FEATURES, y[row], row);
        ck_ok(reader_rows_range(readers[k], ROWS, 0, x, y, &failure));
        ck_assert_int_eq(reader_rows_range(readers[k], ROWS - 1, 2, x, y, &failure),
                         ONWARD_ERR_ARGUMENT);
        ck_assert_int_eq(reader_rows_range(readers[k], 1, UINT64_MAX, x, y, &failure),
                         ONWARD_ERR_ARGUMENT);
        ck_assert_int_eq(reader_rows_at(readers[k], (uint64_t[]){ROWS}, 1, x, y, &failure),
                         ONWARD_ERR_ARGUMENT);
        reader_close(readers[k]);
    }
    free(x);
    free(y);
}
END_TEST

static struct shape bad_shape(int kind, const char **text)
{
    struct shape shape = good();
    static const char *const texts[] = {"x: expected uint8 or float32",
                                        "y: expected int32",
                                        "x has 3 dimensions, expected 2",
                                        "y has 2999 rows",
                                        "at least one row",
                                        "expected attributes classes",
                                        "expected 1 or more",
                                        "expected 0 to 8",
                                        "finite number",
                                        "x has 17179869184 rows of 1073741824 bytes"};
    *text = texts[kind];
    if (kind == 0)
        shape.x_type = H5T_NATIVE_INT64;
    if (kind == 1)
        shape.y_type = H5T_NATIVE_DOUBLE;
    if (kind == 2)
        shape = (struct shape){shape.x_type, shape.y_type, {2, 3, 4}, {2}, 3, 10, 1, 0};
    if (kind == 3)
        shape.y_dims[0] = ROWS - 1;
    if (kind == 4)
        shape.x_dims[0] = shape.y_dims[0] = 0;
    if (kind == 5)
        shape.classes = -1;
    if (kind == 6)
        shape.classes = 0;
    if (kind == 7)
        shape.classes = 9;
    if (kind == 9) /* as many bytes as 64 bits have no number for */
        shape = (struct shape){H5T_NATIVE_FLOAT,
                               shape.y_type,
                               {(hsize_t)1 << 34, 1 << 28},
                               {(hsize_t)1 << 34},
                               2,
                               10,
                               1,
                               1};
    if (kind == 8)
        shape.scale = 1e300 * 1e300;
    return shape;
}

START_TEST(wrong_shapes_are_refused)
{
    struct reader *reader = (struct reader *)&failure;
    const char *text = NULL;
    struct shape shape = bad_shape(_i, &text);
    make_data(in_scratch("d.h5"), &shape);
    ck_assert_int_eq(reader_open(in_scratch("d.h5"), "train", 1 << 30, &reader, &failure),
                     ONWARD_ERR_INPUT);
    ck_assert_ptr_null(reader);
    ck_assert_msg(strstr(failure.text, text) != NULL, "%s", failure.text);
    ck_assert_ptr_nonnull(strstr(failure.text, "d.h5"));
}
END_TEST

START_TEST(wrong_files_are_refused)
{
    struct reader *reader = NULL;
    ck_assert_int_eq(reader_open(in_scratch("none.h5"), "train", 0, &reader, &failure),
                     ONWARD_ERR_NOT_FOUND);
    write_file(in_scratch("text.h5"), "text\n", 5);
    ck_assert_int_eq(reader_open(in_scratch("text.h5"), "train", 0, &reader, &failure),
                     ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "expected an HDF5 data file"));
    make_kind(in_scratch("d.h5"), 0);
    ck_assert_int_eq(reader_open(in_scratch("d.h5"), "test", 0, &reader, &failure),
                     ONWARD_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(failure.text, "expected datasets test/x and test/y"));
    ck_assert_int_eq(truncate(in_scratch("d.h5"), 100000), 0);
    ck_assert_int_eq(reader_open(in_scratch("d.h5"), "train", 0, &reader, &failure),
                     ONWARD_ERR_INPUT);
    ck_assert_ptr_null(strchr(failure.text, '\n'));
    reader_close(NULL);
}
END_TEST

/* Where the index of x says how long its first chunk is, and how it says where: a length, a mask,
 * three offsets, all of them 0, and an address. */
enum { CHUNK_MASK = 4, CHUNK_ADDRESS = 32 };
static unsigned char *find_chunk(const char *path, unsigned char *bytes, size_t size)
{
    hsize_t offsets[2], length = 0;
    haddr_t address = 0;
    unsigned mask = 0;
    unsigned char entry[CHUNK_ADDRESS + sizeof address] = {0};
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t x = H5Dopen2(file, "train/x", H5P_DEFAULT);
    ck_assert_int_ge(H5Dget_chunk_info(x, H5S_ALL, 0, offsets, &mask, &address, &length), 0);
    H5Dclose(x);
    H5Fclose(file);
    uint32_t length_word = (uint32_t)length;
    memcpy(entry, &length_word, sizeof length_word);
    memcpy(entry + CHUNK_MASK, &mask, sizeof mask);
    memcpy(entry + CHUNK_ADDRESS, &address, sizeof address);
    unsigned char *found = memmem(bytes, size, entry, sizeof entry);
    ck_assert_ptr_nonnull(found);
    return found;
}

/* Room for so many bytes more, for this process; a child of the test's. */
static void limit_memory(uint64_t more_bytes)
{
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%" SCNu64, &pages), 1);
    fclose(file);
    rlim_t bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE) + more_bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){bytes, bytes}), 0);
}

static int open_and_read(size_t cache_bytes)
{
    static float x[FEATURES];
    int32_t y = 0;
    struct reader *reader = NULL;
    int code = reader_open(in_scratch("d.h5"), "train", cache_bytes, &reader, &failure);
    if (code == ONWARD_OK)
        code = reader_rows_range(reader, 0, 1, x, &y, &failure);
    if (code == ONWARD_OK)
        check_row(x, y, 0);
    reader_close(reader);
    return code;
}

/* A chunk of 3.5 GiB in a file of some KiB, where half a GiB is there; cached, and not. */
START_TEST(a_chunk_of_an_absurd_size_is_bad_input)
{
    const uint32_t absurd = 0xe0000000;
    size_t size;
    if (HAS_ADDRESS_SANITIZER)
        return; /* it has taken more memory than any limit leaves */
    make_kind(in_scratch("d.h5"), 1);
    limit_memory((uint64_t)1 << 29);
    ck_ok(open_and_read(_i ? 1 << 30 : 0));
    unsigned char *bytes = read_file(in_scratch("d.h5"), &size);
    memcpy(find_chunk(in_scratch("d.h5"), bytes, size), &absurd, sizeof absurd);
    write_file(in_scratch("d.h5"), bytes, size);
    free(bytes);
    int code = open_and_read(_i ? 1 << 30 : 0);
    ck_assert_msg(code == ONWARD_ERR_INPUT, "%d: %s", code, failure.text);
    ck_assert_msg(strstr(failure.text, "d.h5: train: dataset x: cannot read rows 0 + ") &&
                      strstr(failure.text, "bytes of memory to be enough"),
                  "%s", failure.text);
    ck_assert_ptr_null(strchr(failure.text, '\n'));
}
END_TEST

/* And no file is blamed where there is none for what is in it: a chunk of 2 MiB. */
START_TEST(a_shortage_of_memory_is_not_bad_input)
{
    static float x[FEATURES];
    int32_t y = 0;
    struct shape shape = good();
    struct reader *reader = NULL;
    if (HAS_ADDRESS_SANITIZER)
        return;
    shape.chunk_rows = ROWS;
    make_data(in_scratch("d.h5"), &shape);
    ck_ok(reader_open(in_scratch("d.h5"), "train", 0, &reader, &failure));
    limit_memory(1 << 20);
    int code = reader_rows_range(reader, 0, 1, x, &y, &failure);
    ck_assert_msg(code == ONWARD_ERR_MEMORY, "%d: %s", code, failure.text);
    reader_close(reader);
}
END_TEST

START_TEST(a_chunk_in_no_place_of_the_file_is_damage)
{
    const uint64_t nowhere = UINT64_MAX - 4096;
    size_t size;
    make_kind(in_scratch("d.h5"), 1);
    unsigned char *bytes = read_file(in_scratch("d.h5"), &size);
    memcpy(find_chunk(in_scratch("d.h5"), bytes, size) + CHUNK_ADDRESS, &nowhere, sizeof nowhere);
    write_file(in_scratch("d.h5"), bytes, size);
    free(bytes);
    int code = open_and_read(0);
    ck_assert_msg(code == ONWARD_ERR_CORRUPT, "%d: %s", code, failure.text);
    ck_assert_msg(strstr(failure.text, "d.h5: train: dataset x: ") != NULL, "%s", failure.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store reader");
    TCase *tests = tcase_create("reader");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, cached_and_not_are_the_same, 0, 3);
    tcase_add_loop_test(tests, wrong_shapes_are_refused, 0, 10);
    tcase_add_test(tests, wrong_files_are_refused);
    tcase_add_loop_test(tests, a_chunk_of_an_absurd_size_is_bad_input, 0, 2);
    tcase_add_test(tests, a_shortage_of_memory_is_not_bad_input);
    tcase_add_test(tests, a_chunk_in_no_place_of_the_file_is_damage);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
