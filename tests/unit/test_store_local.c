/* test_store_local.c - the local level: what was committed is found whole, whenever its owner was
 * killed; what cannot be trusted is not found. */
#include "local_fixture.h"

#include <glob.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "run_suite.h"

enum { KILLS = 300, CONTROL = 4096, RECORD_BYTES = 64, BEGUN = 128 };

static void do_step(struct local *local, int64_t step)
{
    for (uint32_t i = 0; i < ARRAYS; i++)
        if (pattern_step(i, step) == step)
            fill(local_next(local, i), i, step);
    local_commit(local, 1, step);
}

static struct local *create(int64_t incarnation)
{
    struct local *local;
    struct local_id id = id_of(incarnation);
    ck_ok(local_create(&id, &local, &failure));
    return local;
}

/* A file of that incarnation whose owner committed so many steps and is gone. */
static void leave(int64_t incarnation, int64_t steps)
{
    struct local *local = create(incarnation);
    for (int64_t step = 0; step <= steps; step++)
        do_step(local, step);
    local_close(local);
}

START_TEST(what_was_committed_is_found)
{
    struct local *local = create(1);
    struct local_copy *copy;
    ck_assert_ptr_null(find(2)); /* nothing is committed yet */
    for (int64_t step = 0; step < 10; step++) {
        do_step(local, step);
        copy = find(2);
        ck_assert_ptr_nonnull(copy);
        ck_assert_int_eq(local_copy_step(copy), step);
        ck_assert_int_eq(local_copy_incarnation(copy), 1);
        check_content(copy);
        local_forget(copy);
    }
    ck_assert_int_eq(warnings, 0);
    local_close(local);
}
END_TEST

START_TEST(what_was_not_committed_is_dropped)
{
    struct local *local = create(1);
    do_step(local, 0);
    do_step(local, 1);
    memset(local_next(local, 0), 0xEE, sizes[0]);
    ck_assert(local_is_written(local, 0) && !local_is_written(local, 1));
    local_discard(local);
    ck_assert(!local_is_written(local, 0));
    ck_assert_uint_eq(*(unsigned char *)local_current(local, 0), pattern(0, 1, 0));
    local_commit(local, 2, 1);
    local_close(local);
    struct local_copy *copy = find(2);
    ck_assert_ptr_nonnull(copy);
    check_content(copy);
    local_forget(copy);
}
END_TEST

START_TEST(without_a_directory_it_is_memory)
{
    struct local_id id = id_of(1);
    struct local *local;
    id.directory = NULL;
    ck_ok(local_create(&id, &local, &failure));
    do_step(local, 0);
    do_step(local, 1);
    ck_assert_uint_eq(((unsigned char *)local_current(local, 1))[4999], pattern(1, 1, 4999));
    ck_assert_uint_eq((uintptr_t)local_current(local, 1) % 64, 0);
    local_close(local);
    local_close(NULL);
    ck_assert_int_eq(count_entries(scratch), 0);
}
END_TEST

START_TEST(the_newest_incarnation_and_step_win)
{
    leave(1, 90);
    leave(3, 20);
    leave(3, 50);
    leave(3, 30);
    leave(4, 99);
    leave(7, 99);
    struct local_copy *copy = find(4); /* 4 is the present one, 7 is nobody's yet */
    ck_assert_ptr_nonnull(copy);
    ck_assert_int_eq(local_copy_incarnation(copy), 3);
    ck_assert_int_eq(local_copy_step(copy), 50);
    check_content(copy);
    local_forget(copy);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(of_another_task_or_run_or_with_other_arrays_is_not_found)
{
    static const uint64_t other_sizes[ARRAYS] = {100, 5000, 9};
    struct local_copy *copy;
    leave(1, 5);
    struct local_id ids[4] = {id_of(2), id_of(2), id_of(2), id_of(2)};
    ids[0].task = "task-2";
    ids[1].run = RUN + 1;
    ids[2].signature = 6;
    ids[3].bytes = other_sizes;
    for (int i = 0; i < 4; i++) {
        warnings = 0;
        ck_ok(local_find(&ids[i], count_warning, NULL, &copy, &failure));
        ck_assert_ptr_null(copy);
        ck_assert_int_eq(warnings, i >= 2);
        ck_assert(i < 2 || warned_code == ONWARD_ERR_INPUT);
    }
}
END_TEST

/* After step 10 commit 11 is the newest, in record 1; commit 10 is in record 0. */
static const struct {
    const char *what;
    size_t offset;
    int found; /* the step; -1: none */
    int warned;
} damages[] = {
    {"magic", 0, -1, 1},
    {"format", 8, -1, 1},
    {"incarnation, still an earlier one", 40, -1, 1},
    {"incarnation, a later one", 47, -1, 1},
    {"the boot", 48, -1, 1},
    {"the table", 48 + 40 + 64 + 8, -1, 1},
    {"the unused part of the table", 48 + 40 + 64 + 800, -1, 1},
    {"the older record", CONTROL + 8, 10, 0},
    {"the newest record, but the step after it had not begun", CONTROL + RECORD_BYTES + 16, 9, 0},
    {"the sum of the newest", CONTROL + RECORD_BYTES + 56, 9, 0},
    {"begun", CONTROL + BEGUN, -1, 1},
    {"its complement", CONTROL + BEGUN + 8, -1, 1},
};

START_TEST(damage_is_seen)
{
    size_t size;
    leave(2, 10);
    const char *path = only_file();
    unsigned char *bytes = read_file(path, &size);
    bytes[damages[_i].offset] ^= damages[_i].offset == 40 ? 3 : 0x10;
    write_file(path, bytes, size);
    struct local_copy *copy = find(9);
    ck_assert_msg((copy ? local_copy_step(copy) : -1) == damages[_i].found, "%s", damages[_i].what);
    ck_assert_msg(warnings == damages[_i].warned, "%s: %d warnings", damages[_i].what, warnings);
    if (copy)
        check_content(copy);
    local_forget(copy);
    free(bytes);
}
END_TEST

/* It is whole, and what it names may not have come through. */
START_TEST(a_file_of_an_earlier_boot_is_not_used)
{
    size_t size;
    struct local_header header;
    leave(2, 10);
    const char *path = only_file();
    unsigned char *bytes = read_file(path, &size);
    memcpy(&header, bytes, sizeof header);
    header.boot[0] ^= 1;
    header.sum = local_header_sum(&header);
    memcpy(bytes, &header, sizeof header);
    write_file(path, bytes, size);
    free(bytes);
    ck_assert_ptr_null(find(9));
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* The other record names slots that the step under way has begun to overwrite. */
START_TEST(an_older_record_is_not_used_once_the_next_step_has_begun)
{
    size_t size;
    struct local *local = create(1);
    do_step(local, 0);
    do_step(local, 1);
    memset(local_next(local, 0), 0xEE, sizes[0]);
    local_close(local);
    const char *path = only_file();
    unsigned char *bytes = read_file(path, &size);
    bytes[CONTROL + 8] ^= 1; /* commit 2 */
    write_file(path, bytes, size);
    free(bytes);
    ck_assert_ptr_null(find(2));
    ck_assert_int_eq(warnings, 1);
}
END_TEST

START_TEST(a_file_of_another_length_is_not_used)
{
    static const long changes[] = {-1, 1, -5000, -20000, -30000};
    leave(1, 3);
    const char *path = only_file();
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(truncate(path, status.st_size + changes[_i]), 0);
    ck_assert_ptr_null(find(2));
    ck_assert_int_eq(warnings, 1);
}
END_TEST

START_TEST(links_and_other_things_are_passed_over)
{
    char command[2048];
    leave(1, 3);
    snprintf(command, sizeof command,
             "cd '%s' && mv *.state /tmp/moved-$$ && mkdir a.state && mkfifo b.state && ln -s "
             "/tmp/moved-$$ c.state && rm -f /tmp/moved-$$; ln -s /dev/zero d.state; : >x",
             task_directory());
    ck_assert_int_eq(system(command), 0);
    ck_assert_ptr_null(find(2));
}
END_TEST

static unsigned char loaded[ARRAYS][5000];
static void *const loaded_data[ARRAYS] = {loaded[0], loaded[1], loaded[2]};

static int load(const struct local_copy *copy, unsigned expected)
{
    unsigned verdict;
    int code = local_load(copy, loaded_data, &verdict, &failure);
    ck_assert_int_eq(verdict, expected);
    return code;
}

START_TEST(a_file_that_changes_is_not_loaded)
{
    struct local *local = create(1);
    do_step(local, 0);
    struct local_copy *copy = find(2);
    ck_assert_ptr_nonnull(copy);
    ck_ok(load(copy, LOCAL_ALONE));
    do_step(local, 1);
    ck_assert_int_eq(load(copy, LOCAL_ALONE), ONWARD_ERR_CORRUPT);
    local_forget(copy);
    local_close(local);
}
END_TEST

/* Changes the last byte of array 1 as it is after the step, to one that no other file has. */
static void spoil(const char *path, int64_t step, unsigned char by)
{
    uint64_t at = local_offset(sizes, 1, step % 2 == 0) + sizes[1] - 1;
    unsigned char byte = pattern(1, step, sizes[1] - 1) ^ by;
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* So many members with the same step, of which some files are spoilt, each in another way. */
static struct local_copy *leave_several(int count, unsigned spoilt)
{
    char pattern_of_paths[600];
    glob_t found;
    for (int i = 0; i < count; i++)
        leave(1, 7);
    snprintf(pattern_of_paths, sizeof pattern_of_paths, "%s/*.state", task_directory());
    ck_assert_int_eq(glob(pattern_of_paths, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, count);
    for (int i = 0; i < count; i++)
        if (spoilt >> i & 1)
            spoil(found.gl_pathv[i], 7, (unsigned char)(1 << i));
    globfree(&found);
    return find(2);
}

START_TEST(what_two_members_have_is_right)
{
    for (unsigned spoilt = 0; spoilt < 8; spoilt++) {
        struct local_copy *copy = leave_several(3, spoilt);
        int right = 3 - __builtin_popcount(spoilt);
        unsigned verdict;
        ck_ok(local_load(copy, loaded_data, &verdict, &failure));
        if (right == 3)
            ck_assert_int_eq(verdict, LOCAL_EQUAL);
        else if (right == 2)
            ck_assert_int_ne(verdict & LOCAL_EQUAL, 0);
        else
            ck_assert_int_eq(verdict, LOCAL_DIFFERS);
        if (right >= 2)
            ck_assert_uint_eq(loaded[1][4999], pattern(1, 7, 4999));
        local_forget(copy);
        struct local_id id = id_of(2);
        local_remove_all(&id);
    }
}
END_TEST

START_TEST(two_members_that_differ)
{
    struct local_copy *copy = leave_several(2, 2);
    ck_ok(load(copy, LOCAL_DIFFERS));
    ck_assert_int_eq(local_compare(copy, loaded_data),
                     LOCAL_EQUAL); /* one of them is what it was */
    local_forget(copy);
    leave(1, 8); /* a step that one of them has alone is taken from it */
    copy = find(2);
    ck_assert_int_eq(local_copy_step(copy), 8);
    ck_ok(load(copy, LOCAL_ALONE));
    local_forget(copy);
}
END_TEST

START_TEST(one_that_cannot_be_compared_says_nothing)
{
    struct local *local = create(1);
    for (int64_t step = 0; step <= 7; step++)
        do_step(local, step);
    struct local_copy *copy = find(2);
    ck_ok(load(copy, LOCAL_ALONE));
    ck_assert_int_eq(local_compare(copy, loaded_data), LOCAL_EQUAL);
    loaded[1][4999] ^= 1;
    ck_assert_int_eq(local_compare(copy, loaded_data), LOCAL_DIFFERS);
    do_step(local, 8); /* its owner lives */
    ck_assert_int_eq(local_compare(copy, loaded_data), LOCAL_ALONE);
    ck_assert_int_eq(truncate(only_file(), 4096), 0);
    ck_assert_int_eq(local_compare(copy, loaded_data), LOCAL_ALONE);
    local_forget(copy);
    local_close(local);
}
END_TEST

/* Commits step after step until it is killed; *reached follows each commit. */
static void commit_until_killed(int64_t incarnation, volatile int64_t *reached)
{
    struct local *local;
    struct local_id id = id_of(incarnation);
    if (local_create(&id, &local, &failure) != ONWARD_OK)
        _exit(1);
    for (int64_t step = 0;; step++) {
        do_step(local, step);
        *reached = step;
    }
}

START_TEST(a_kill_leaves_the_newest_step_whole)
{
    volatile int64_t *reached =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t seed = 1;
    int between = 0;
    for (int64_t kill_number = 1; kill_number <= KILLS; kill_number++) {
        *reached = -1;
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            commit_until_killed(kill_number, reached);
        while (*reached < 0)
            usleep(20);
        usleep((useconds_t)(random_next(&seed) % 700));
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        struct local_copy *copy = find(kill_number + 1);
        ck_assert_ptr_nonnull(copy);
        ck_assert_int_eq(local_copy_incarnation(copy), kill_number);
        ck_assert_int_ge(local_copy_step(copy), *reached);
        ck_assert_int_le(local_copy_step(copy), *reached + 1);
        check_content(copy);
        between += local_copy_step(copy) > 0;
        local_forget(copy);
        struct local_id next = id_of(kill_number + 1);
        local_remove_older(&next);
    }
    ck_assert_int_eq(count_entries(task_directory()), 0);
    ck_assert_int_gt(between, KILLS / 2);
}
END_TEST

START_TEST(what_is_left_over_is_removed)
{
    leave(1, 3);
    leave(2, 3);
    leave(3, 3);
    leave(4, 3);
    struct local *own = create(3), *neighbour = create(3);
    struct local_id id = id_of(3);
    write_file(in_scratch("other"), "x", 1);
    local_remove_older(&id); /* 1, 2, and the dead one of 3 */
    ck_assert_int_eq(count_entries(task_directory()), 3);
    local_close(neighbour);
    local_remove_older(&id);
    ck_assert_int_eq(count_entries(task_directory()), 2);
    local_remove_all(&id);
    ck_assert_int_eq(count_entries(scratch), 1); /* not ours */
    local_close(own);
    local_remove_all(&id);
}
END_TEST

START_TEST(a_missing_directory_is_named)
{
    struct local_id id = id_of(1);
    struct local *local;
    id.directory = "/nowhere/at/all";
    ck_assert_int_eq(local_create(&id, &local, &failure), ONWARD_ERR_IO);
    ck_assert_ptr_null(local);
    ck_assert_ptr_nonnull(strstr(failure.text, "/nowhere/at/all"));
}
END_TEST

START_TEST(a_directory_that_others_can_enter_is_refused)
{
    struct local_id id = id_of(1);
    struct local *local;
    char path[600];
    snprintf(path, sizeof path, "%s/onward-%d", scratch, (int)geteuid());
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(local_create(&id, &local, &failure), ONWARD_ERR_IO);
    ck_assert_ptr_nonnull(strstr(failure.text, path));
    ck_assert_int_eq(count_entries(path), 0);
}
END_TEST

START_TEST(a_full_directory_is_an_error_at_once)
{
    static const uint64_t large[1] = {300000};
    const char *small = in_scratch("small");
    struct local_id id = id_of(1);
    struct local *local;
    if (!mount_small(small, 512))
        return;
    id.directory = small;
    id.array_count = 1;
    id.bytes = large;
    ck_assert_int_eq(local_create(&id, &local, &failure), ONWARD_ERR_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(failure.text, small));
    ck_assert_ptr_nonnull(strstr(failure.text, "614400"));
    local_remove_all(&id);
    ck_assert_int_eq(count_entries(small), 0);
    id.bytes = sizes;
    ck_ok(local_create(&id, &local, &failure));
    local_close(local);
    umount(small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store local");
    TCase *cases = tcase_create("local");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, make_scratch, remove_scratch);
    tcase_add_test(cases, what_was_committed_is_found);
    tcase_add_test(cases, what_was_not_committed_is_dropped);
    tcase_add_test(cases, without_a_directory_it_is_memory);
    tcase_add_test(cases, the_newest_incarnation_and_step_win);
    tcase_add_test(cases, of_another_task_or_run_or_with_other_arrays_is_not_found);
    tcase_add_loop_test(cases, damage_is_seen, 0, sizeof damages / sizeof damages[0]);
    tcase_add_test(cases, a_file_of_an_earlier_boot_is_not_used);
    tcase_add_test(cases, an_older_record_is_not_used_once_the_next_step_has_begun);
    tcase_add_loop_test(cases, a_file_of_another_length_is_not_used, 0, 5);
    tcase_add_test(cases, links_and_other_things_are_passed_over);
    tcase_add_test(cases, a_file_that_changes_is_not_loaded);
    tcase_add_test(cases, what_two_members_have_is_right);
    tcase_add_test(cases, two_members_that_differ);
    tcase_add_test(cases, one_that_cannot_be_compared_says_nothing);
    tcase_add_test(cases, a_kill_leaves_the_newest_step_whole);
    tcase_add_test(cases, what_is_left_over_is_removed);
    tcase_add_test(cases, a_missing_directory_is_named);
    tcase_add_test(cases, a_directory_that_others_can_enter_is_refused);
    tcase_add_test(cases, a_full_directory_is_an_error_at_once);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
