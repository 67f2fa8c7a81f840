/* test_store_retain.c - which checkpoints stay: the newest, those of every so many steps, the best
 * by a metric; and what is no whole checkpoint of the task never pushes one out. */
#include "run_suite.h"
#include "store_fixture.h"

#include <math.h>
#include <sys/inotify.h>

static struct checkpoint_array array = {
    .name = "x", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {3}, .data = NULL};

static const struct checkpoint_id committed = {"task-1", 2, 7, 60};

static void save_of(const char *task, int64_t step, const char *metric, double value)
{
    struct checkpoint_id id = {.incarnation = 2, .epoch = 7, .step = step};
    struct checkpoint_metric with = {.value = value};
    struct checkpoint_shard shard;
    snprintf(id.task, sizeof id.task, "%s", task);
    snprintf(with.name, sizeof with.name, "%s", metric);
    ck_ok(checkpoint_write_shard(scratch, &id, &array, 1, 0, 1, &shard, &failure));
    ck_ok(checkpoint_commit_with_metric(scratch, &id, &with, &array, 1, &shard, 1, NULL, 0, NULL,
                                        &failure));
}

static void save(int64_t step, const char *metric, double value)
{
    save_of("task-1", step, metric, value);
}

/* Losses fall until step 30, and rise again. */
static void make_six(void)
{
    static const double losses[] = {6, 5, 3, 3, 4, 9};
    uint64_t seed = 1;
    make_scratch();
    fill_array(&array, &seed);
    for (int i = 0; i < 6; i++)
        save(10 * (i + 1), "loss", losses[i]);
}

static void remove_six(void)
{
    free(array.data);
    remove_scratch();
}

/* "60 50 " */
static const char *left(void)
{
    static char text[200];
    struct checkpoint_entry *entries = NULL;
    size_t count = 0, used = 0;
    ck_ok(checkpoint_list(scratch, NULL, &entries, &count, &failure));
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%lld ",
                                 (long long)entries[i].id.step);
    free(entries);
    return text;
}

static const struct {
    struct checkpoint_keep keep;
    const char *left;
} cases[] = {
    {{.newest = 1}, "60 "},
    {{.newest = 3}, "60 50 40 "},
    {{.newest = 99}, "60 50 40 30 20 10 "},
    {{.newest = 1, .every = 20}, "60 40 20 "},
    {{.newest = 2, .every = 40}, "60 50 40 "},
    {{.newest = 1, .every = 7}, "60 "},
    {{.newest = 1, .best = {"loss", false}}, "60 40 "}, /* of equals the newest */
    {{.newest = 1, .best = {"loss", true}}, "60 "},
    {{.newest = 2, .every = 30, .best = {"loss", false}}, "60 50 40 30 "},
    {{.newest = 1, .best = {"accuracy", true}}, "60 "}, /* none has it */
};

START_TEST(what_stays)
{
    struct checkpoint_listing *known = NULL;
    struct checkpoint_keep keep = cases[_i].keep;
    keep.known = &known;
    ck_ok(checkpoint_retain(scratch, &committed, &keep, &failure));
    ck_assert_str_eq(left(), cases[_i].left);
    ck_ok(checkpoint_retain(scratch, &committed, &keep, &failure));
    checkpoint_listing_free(known);
    ck_assert_str_eq(left(), cases[_i].left);
    ck_ok(checkpoint_verify(scratch, 60, "task-1", &failure));
}
END_TEST

static int count_opens(int watch)
{
    int count = 0;
    char bytes[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    const struct inotify_event *event;
    for (ssize_t got; (got = read(watch, bytes, sizeof bytes)) > 0;)
        for (char *at = bytes; at < bytes + got; at += sizeof *event + event->len) {
            event = (const void *)at;
            ck_assert_int_eq(event->mask & IN_Q_OVERFLOW, 0);
            count += event->len > 3 && strstr(event->name, ".h5") != NULL;
        }
    return count;
}

/* As often as it takes to list them: a master of many shards takes its time. */
START_TEST(a_master_is_read_once)
{
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ck_assert_int_ge(watch, 0);
    ck_assert_int_ge(inotify_add_watch(watch, in_scratch("ckpt"), IN_OPEN), 0);
    left();
    int once = count_opens(watch);
    ck_assert_int_ge(once, 6);
    ck_ok(retain(60, 99, &failure));
    ck_assert_int_eq(count_opens(watch), once);
    close(watch);
}
END_TEST

/* Nor is the one that was committed right now; one that was replaced is. */
START_TEST(a_master_that_is_known_is_not_read_again)
{
    struct checkpoint_listing *known = NULL;
    struct checkpoint_keep keep = {.newest = 5, .known = &known, .best = {"loss", true}};
    struct checkpoint_id next = {"task-1", 2, 7, 70};
    struct checkpoint_metric loss = {"loss", 1};
    struct checkpoint_shard shard;
    ck_ok(checkpoint_retain(scratch, &committed, &keep, &failure));
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ck_assert_int_ge(inotify_add_watch(watch, in_scratch("ckpt"), IN_OPEN), 0);
    ck_ok(checkpoint_write_shard(scratch, &next, &array, 1, 0, 1, &shard, &failure));
    ck_ok(checkpoint_commit_with_metric(scratch, &next, &loss, &array, 1, &shard, 1, NULL, 0, NULL,
                                        &failure));
    count_opens(watch);
    checkpoint_listing_add(&known, scratch, &next, &loss, &shard, 1);
    ck_ok(checkpoint_retain(scratch, &next, &keep, &failure));
    ck_assert_int_eq(count_opens(watch), 0);
    ck_assert_str_eq(left(), "70 60 50 40 30 ");
    count_opens(watch);
    keep.newest = 1;
    save(40, "loss", 12); /* the best one now */
    count_opens(watch);
    ck_ok(checkpoint_retain(scratch, &next, &keep, &failure));
    ck_assert_int_gt(count_opens(watch), 0);
    ck_assert_str_eq(left(), "70 40 ");
    ck_ok(checkpoint_verify(scratch, 40, "task-1", &failure));
    checkpoint_listing_free(known);
    close(watch);
}
END_TEST

/* The facts of the files are looked at each time: a shard that went, a mark. */
START_TEST(what_is_known_does_not_hide_damage)
{
    struct checkpoint_listing *known = NULL;
    struct checkpoint_keep keep = {.newest = 99, .known = &known};
    ck_ok(checkpoint_retain(scratch, &committed, &keep, &failure));
    ck_assert_int_eq(unlink(in_scratch("ckpt/step-00000050.shards/r000-of-001.i0002.e0007.h5")), 0);
    ck_ok(checkpoint_mark_failed(scratch, 40, "no good", &failure));
    keep.newest = 2;
    ck_ok(checkpoint_retain(scratch, &committed, &keep, &failure));
    ck_assert_str_eq(left(), "60 50 40 30 ");
    checkpoint_listing_free(known);
}
END_TEST

START_TEST(a_value_that_is_no_number_is_not_the_best)
{
    struct checkpoint_keep keep = {.newest = 1, .best = {"loss", true}};
    save(50, "loss", NAN);
    save(40, "loss", INFINITY);
    save(60, "loss", 1);
    ck_ok(checkpoint_retain(scratch, &committed, &keep, &failure));
    ck_assert_str_eq(left(), "60 10 ");
}
END_TEST

START_TEST(the_best_that_is_not_whole_is_not_kept)
{
    struct checkpoint_keep keep = {.newest = 1, .best = {"loss", false}};
    ck_assert_int_eq(unlink(in_scratch("ckpt/step-00000040.shards/r000-of-001.i0002.e0007.h5")), 0);
    ck_ok(checkpoint_mark_failed(scratch, 30, "no good", &failure));
    ck_ok(checkpoint_retain(scratch, &committed, &keep, &failure));
    ck_assert_str_eq(left(), "60 50 ");
}
END_TEST

/* Newer, of the same step as one that goes, and the best. */
START_TEST(one_of_another_task_takes_no_slot_and_stays)
{
    struct checkpoint_keep keep = {.newest = 2, .every = 200, .best = {"loss", false}};
    save_of("task-2", 200, "loss", 1);
    save_of("task-2", 55, "loss", 0);
    save_of("task-2", 10, "loss", 2);
    ck_ok(checkpoint_retain(scratch, &committed, &keep, &failure));
    ck_assert_str_eq(left(), "200 60 55 50 40 10 ");
    ck_ok(checkpoint_verify(scratch, 60, "task-1", &failure));
    ck_ok(checkpoint_verify(scratch, 10, "task-2", &failure));
    ck_ok(checkpoint_verify(scratch, 200, "task-2", &failure));
}
END_TEST

/* The task runs below the foreign one: its shards of the step under way are no left-over. */
START_TEST(one_of_another_task_does_not_sweep)
{
    struct checkpoint_id under_way = {"task-1", 2, 7, 70};
    struct checkpoint_shard shard;
    save_of("task-2", 200, "", 0);
    ck_ok(checkpoint_write_shard(scratch, &under_way, &array, 1, 0, 1, &shard, &failure));
    ck_ok(retain(60, 1, &failure));
    ck_ok(checkpoint_commit(scratch, &under_way, &array, 1, &shard, 1, &failure));
    ck_ok(checkpoint_verify(scratch, 70, "task-1", &failure));
}
END_TEST

/* The task could not get at what is newer, went back, and may get at it again. */
START_TEST(the_one_that_was_committed_stays)
{
    ck_ok(retain(40, 1, &failure));
    ck_assert_str_eq(left(), "60 50 40 ");
    save(50, "", 0);
    ck_ok(retain(50, 1, &failure));
    ck_assert_str_eq(left(), "60 50 ");
}
END_TEST

static const char *aside_of(const char *path)
{
    return in_scratch(strrchr(path, '/') + 1);
}

static void make_unreachable(const char *path)
{
    ck_assert_int_eq(rename(path, aside_of(path)), 0);
    ck_assert_int_eq(symlink(path, path), 0); /* cannot be opened, and is there */
}

static void make_reachable(const char *path)
{
    ck_assert_int_eq(rename(aside_of(path), path), 0);
}

START_TEST(what_cannot_be_got_at_takes_no_slot_and_stays)
{
    char shard[512], master[512];
    snprintf(shard, sizeof shard, "%s/ckpt/step-00000060.shards/r000-of-001.i0002.e0007.h5",
             scratch);
    snprintf(master, sizeof master, "%s/ckpt/step-00000020.h5", scratch);
    make_unreachable(shard);
    make_unreachable(master);
    ck_ok(retain(60, 1, &failure));
    ck_assert_str_eq(left(), "60 50 20 ");
    make_reachable(shard);
    make_reachable(master);
    ck_ok(retain(60, 1, &failure));
    ck_assert_str_eq(left(), "60 ");
    ck_ok(checkpoint_verify(scratch, 60, "task-1", &failure));
}
END_TEST

static bool is_there(const char *name)
{
    return access(in_scratch(name), F_OK) == 0;
}

static void write_one_shard(int64_t incarnation, int64_t step)
{
    struct checkpoint_id id = {"task-1", incarnation, 7, step};
    struct checkpoint_shard shard;
    ck_ok(checkpoint_write_shard(scratch, &id, &array, 1, 0, 2, &shard, &failure));
}

START_TEST(what_attempts_left_is_swept)
{
    const char *temporary = "ckpt/step-00000070.shards/r001-of-002.i0001.e0007.h5.tmp-1-00000000";
    write_one_shard(1, 25);
    write_one_shard(2, 70);
    write_one_shard(3, 80);
    write_one_shard(2, 80);
    write_file(in_scratch(temporary), "x", 1);
    ck_ok(checkpoint_sweep(scratch, 2, 60, &failure));
    ck_assert(is_there("ckpt/step-00000025.shards") && !is_there("ckpt/step-00000070.shards"));
    ck_ok(checkpoint_sweep(scratch, 2, -1, &failure));
    ck_assert(!is_there("ckpt/step-00000025.shards"));
    /* a later one goes on while this one does not know yet that it is cut off */
    ck_assert_int_eq(count_entries(in_scratch("ckpt/step-00000080.shards")), 1);
    ck_assert_str_eq(left(), "60 50 40 30 20 10 ");
    for (int64_t step = 10; step <= 60; step += 10)
        ck_ok(checkpoint_verify(scratch, step, "task-1", &failure));
}
END_TEST

/* Of the step itself that is committed at last: the next one needs the room. */
START_TEST(what_attempts_left_in_the_committed_step_is_swept)
{
    write_one_shard(1, 60);
    write_one_shard(3, 60);
    ck_ok(checkpoint_sweep(scratch, 2, -1, &failure));
    ck_assert_int_eq(count_entries(in_scratch("ckpt/step-00000060.shards")), 3);
    ck_ok(checkpoint_retain(scratch, &committed, &(struct checkpoint_keep){.newest = 1}, &failure));
    ck_assert_int_eq(count_entries(in_scratch("ckpt/step-00000060.shards")), 2);
    ck_ok(checkpoint_verify(scratch, 60, "task-1", &failure));
}
END_TEST

/* What cannot be read may name them. */
START_TEST(shards_of_a_damaged_master_stay)
{
    write_file(in_scratch("ckpt/step-00000050.h5"), "x", 1);
    make_unreachable(in_scratch("ckpt/step-00000040.h5"));
    for (int i = 0; i < 2; i++) {
        ck_ok(i == 0 ? checkpoint_sweep(scratch, 2, -1, &failure) : retain(60, 99, &failure));
        ck_assert(is_there("ckpt/step-00000050.shards/r000-of-001.i0002.e0007.h5"));
        ck_assert(is_there("ckpt/step-00000040.shards/r000-of-001.i0002.e0007.h5"));
    }
}
END_TEST

START_TEST(the_list_says_whose_it_is)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    save_of("task-2", 70, "", 0);
    ck_ok(checkpoint_list(scratch, "task-1", &entries, &count, &failure));
    ck_assert(entries[0].foreign && entries[0].complete && !entries[0].usable);
    ck_assert_str_eq(entries[0].problem, "is of task task-2");
    ck_assert(!entries[1].foreign && entries[1].usable);
    free(entries);
    ck_ok(checkpoint_list(scratch, NULL, &entries, &count, &failure));
    ck_assert(!entries[0].foreign && entries[0].usable);
    free(entries);
}
END_TEST

START_TEST(the_list_has_the_metric)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    save_checkpoint(scratch, 70, &array, 1, 1);
    ck_ok(checkpoint_list(scratch, NULL, &entries, &count, &failure));
    ck_assert_str_eq(entries[0].metric.name, "");
    ck_assert_str_eq(entries[1].metric.name, "loss");
    ck_assert(entries[1].metric.value == 9);
    free(entries);
}
END_TEST

START_TEST(rules_for_the_best)
{
    struct checkpoint_best best;
    ck_assert(checkpoint_parse_best("loss:min", &best));
    ck_assert_str_eq(best.metric, "loss");
    ck_assert(!best.highest);
    ck_assert(checkpoint_parse_best("a:b:max", &best));
    ck_assert_str_eq(best.metric, "a:b");
    ck_assert(best.highest);
    ck_assert(!checkpoint_parse_best("", &best));
    ck_assert(!checkpoint_parse_best("loss", &best));
    ck_assert(!checkpoint_parse_best(":min", &best));
    ck_assert(!checkpoint_parse_best("loss:mi", &best));
    ck_assert(!checkpoint_parse_best("loss-of-a-name-that-has-32-letters:min", &best));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store retain");
    TCase *tests = tcase_create("retain");
    tcase_add_checked_fixture(tests, make_six, remove_six);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, what_stays, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(tests, a_master_is_read_once);
    tcase_add_test(tests, a_master_that_is_known_is_not_read_again);
    tcase_add_test(tests, what_is_known_does_not_hide_damage);
    tcase_add_test(tests, a_value_that_is_no_number_is_not_the_best);
    tcase_add_test(tests, the_best_that_is_not_whole_is_not_kept);
    tcase_add_test(tests, one_of_another_task_takes_no_slot_and_stays);
    tcase_add_test(tests, one_of_another_task_does_not_sweep);
    tcase_add_test(tests, the_one_that_was_committed_stays);
    tcase_add_test(tests, what_cannot_be_got_at_takes_no_slot_and_stays);
    tcase_add_test(tests, what_attempts_left_is_swept);
    tcase_add_test(tests, what_attempts_left_in_the_committed_step_is_swept);
    tcase_add_test(tests, shards_of_a_damaged_master_stay);
    tcase_add_test(tests, the_list_says_whose_it_is);
    tcase_add_test(tests, the_list_has_the_metric);
    tcase_add_test(tests, rules_for_the_best);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
