/* test_store_leave.c - the state that a stop leaves on a host for the start that follows. */
#include "local_fixture.h"

#include "run_suite.h"

/* The state after `step`, for the incarnation that follows. */
static struct local *leave_once(int64_t incarnation, int64_t step)
{
    static unsigned char bytes[ARRAYS][5000];
    const void *const data[ARRAYS] = {bytes[0], bytes[1], bytes[2]};
    struct local_id id = id_of(incarnation);
    struct local *local;
    for (uint32_t i = 0; i < ARRAYS; i++)
        fill(bytes[i], i, pattern_step(i, step));
    ck_ok(local_leave(&id, data, 1, step, &local, &failure));
    return local;
}

START_TEST(what_is_left_for_a_start_is_found)
{
    struct local *first = leave_once(1, 6);
    struct local *second = leave_once(1, 9);
    local_remove(first);
    local_close(second);
    struct local_copy *copy = find(2);
    ck_assert_ptr_nonnull(copy);
    ck_assert_int_eq(local_copy_step(copy), 9);
    check_content(copy);
    local_forget(copy);
    struct local_id id = id_of(2);
    local_remove_older(&id);
    ck_assert_ptr_null(find(3));
}
END_TEST

/* Each array once: the second slot of the large one is a hole. */
START_TEST(what_is_left_takes_the_room_of_the_state)
{
    enum { LARGE_BYTES = 4 << 20, BLOCK_BYTES = 512 };
    uint64_t bytes[] = {LARGE_BYTES, 8};
    void *data[] = {calloc(1, LARGE_BYTES), &bytes};
    struct local_id id = {scratch, "task-1", RUN, 5, 1, 2, bytes};
    struct local *local;
    struct stat status;
    ck_assert_ptr_nonnull(data[0]);
    ck_ok(local_leave(&id, (const void *const *)data, 1, 3, &local, &failure));
    const char *path = only_file();
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_ge(status.st_size, 2 * LARGE_BYTES);
    ck_assert_int_le(status.st_blocks * BLOCK_BYTES, LARGE_BYTES + LARGE_BYTES / 8);
    local_remove(local);
    ck_assert_int_ne(stat(path, &status), 0);
    free(data[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store leave");
    TCase *cases = tcase_create("leave");
    tcase_add_checked_fixture(cases, make_scratch, remove_scratch);
    tcase_add_test(cases, what_is_left_for_a_start_is_found);
    tcase_add_test(cases, what_is_left_takes_the_room_of_the_state);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
