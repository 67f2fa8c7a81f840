/* test_rundir_files.c - status, events, requests and completion: what others left in a file is
 * refused by name instead of being believed, and a failed write leaves the old file. */
#include <errno.h>

#include "run_suite.h"
#include "rundir_fixture.h"

START_TEST(gives_back_the_status)
{
    struct rundir *rundir = make("t");
    struct run_status read, status = {.task = "t",
                                      .state = "running",
                                      .incarnation = 3,
                                      .epoch = 2,
                                      .step = 1LL << 40,
                                      .step_count = 1LL << 41,
                                      .checkpoint_step = -1,
                                      .workers = 4,
                                      .spares = 1,
                                      .draining = 3,
                                      .spawns_barred = true,
                                      .members = 6,
                                      .losses = 2,
                                      .shared_flight = {1LL << 35, 1ULL << 50},
                                      .progress = 0.5,
                                      .eta_s = -1,
                                      .detect_s = 7.5,
                                      .exit_code = -1,
                                      .pid = 77,
                                      .host = "n1",
                                      .text = "\"quoted\"",
                                      .metric_count = 2,
                                      .metrics = {{"loss", 0.25}, {"bad", 0.0 / 0.0}}};
    int64_t incarnation;
    ck_assert_int_eq(rundir_read_status(rundir, &read, &error), ONWARD_ERR_NOT_FOUND);
    ck_assert_int_eq(rundir_write_status(rundir, &status, &error), ONWARD_ERR_ORDER);
    ck_assert_int_eq(rundir_claim(rundir, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_write_status(rundir, &status, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_status(rundir, &read, &error), ONWARD_OK);
    ck_assert_int_eq(read.step, status.step);
    ck_assert_int_eq(read.checkpoint_step, -1);
    ck_assert_uint_eq(read.partner_flight.bytes, 0);
    ck_assert_uint_eq(read.shared_flight.bytes, 1ULL << 50);
    ck_assert_int_eq(read.shared_flight.step, 1LL << 35);
    ck_assert_int_eq(read.exit_code, -1);
    ck_assert_uint_eq(read.losses, 2);
    ck_assert_uint_eq(read.draining, 3);
    ck_assert(read.spawns_barred);
    ck_assert_double_eq(read.detect_s, 7.5);
    ck_assert_str_eq(read.text, status.text);
    ck_assert_str_eq(read.host, "n1");
    ck_assert_uint_eq(read.metric_count, 2);
    for (uint32_t i = 0; i < 2; i++)
        ck_assert(!strcmp(read.metrics[i].name, "bad")
                      ? read.metrics[i].value != read.metrics[i].value
                      : read.metrics[i].value == 0.25);
    rundir_close(rundir);
}
END_TEST

START_TEST(gives_back_the_members)
{
    struct rundir *rundir = make("t");
    int64_t incarnation;
    struct run_member list[] = {
        {.member = 1, .rank = -1, .is_controller = true, .role = "controller", .host = "n1"},
        {.member = 4000000000u, .rank = 7, .role = "worker", .host = "n2", .pid = 77, .epoch = 5},
    };
    struct run_members read, members = {.epoch = 5, .count = 2, .list = list};
    ck_assert_int_eq(rundir_read_members(rundir, &read, &error), ONWARD_ERR_NOT_FOUND);
    ck_assert_ptr_null(read.list);
    ck_assert_int_eq(rundir_claim(rundir, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_write_members(rundir, &members, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_members(rundir, &read, &error), ONWARD_OK);
    ck_assert_int_eq(read.incarnation, incarnation);
    ck_assert_int_eq(read.epoch, 5);
    ck_assert_uint_eq(read.count, 2);
    ck_assert(read.list[0].is_controller && read.list[0].rank == -1);
    ck_assert_str_eq(read.list[0].role, "controller");
    ck_assert(!read.list[1].is_controller && read.list[1].rank == 7);
    ck_assert_uint_eq(read.list[1].member, 4000000000u);
    ck_assert_str_eq(read.list[1].host, "n2");
    ck_assert(read.list[1].pid == 77 && read.list[1].epoch == 5);
    run_members_clear(&read);
    ck_assert_ptr_null(read.list);
    rundir_close(rundir);
}
END_TEST

/* As many as a task may have fit, with names of some length. */
START_TEST(gives_back_many_members)
{
    struct rundir *rundir = make("t");
    struct run_members read, members = {.epoch = 1, .count = 16384};
    int64_t incarnation;
    ck_assert_int_eq(rundir_claim(rundir, &incarnation, &error), ONWARD_OK);
    members.list = calloc(members.count, sizeof *members.list);
    ck_assert_ptr_nonnull(members.list);
    for (uint32_t i = 0; i < members.count; i++)
        members.list[i] = (struct run_member){.member = i + 1,
                                              .rank = (int32_t)i,
                                              .role = "worker",
                                              .host = "node-with-a-long-name-01234.cluster.example",
                                              .pid = 4000000};
    ck_assert_int_eq(rundir_write_members(rundir, &members, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_members(rundir, &read, &error), ONWARD_OK);
    ck_assert_uint_eq(read.count, members.count);
    ck_assert_uint_eq(read.list[16383].member, 16384);
    run_members_clear(&read);
    run_members_clear(&members);
    rundir_close(rundir);
}
END_TEST

static const char *const bad_members[] = {
    "",
    "{}",
    "{\"incarnation\": 1, \"epoch\": 1}",
    "{\"incarnation\": 1, \"epoch\": 1, \"members\": [7]}",
    "{\"incarnation\": 1, \"epoch\": 1, \"members\": [{\"member\": 1, \"rank\": \"x\"}]}",
};

START_TEST(refuses_damaged_members)
{
    struct rundir *rundir = make("t");
    struct run_members members;
    write_text("t/members.json", bad_members[_i]);
    ck_assert_int_eq(rundir_read_members(rundir, &members, &error), ONWARD_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.text, "members.json"));
    run_members_clear(&members);
    rundir_close(rundir);
}
END_TEST

static const char *const bad_json[] = {
    "", "{", "[]", "3", "{\"step\": \"x\"}", "{\"a\":1,\"a\":2}", "{}", "\xff\xfe",
};

START_TEST(refuses_damaged_files)
{
    struct rundir *rundir = make("t");
    struct run_status status;
    struct run_completion completion;
    int64_t incarnation = 7;
    bool complete;
    write_text("t/status.json", bad_json[_i]);
    write_text("t/complete.json", bad_json[_i]);
    write_text("t/incarnation.json", bad_json[_i]);
    ck_assert_int_eq(rundir_read_status(rundir, &status, &error), ONWARD_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.text, "status.json"));
    ck_assert_int_eq(rundir_read_completion(rundir, &completion, &complete, &error),
                     ONWARD_ERR_CORRUPT);
    ck_assert(!complete);
    ck_assert_int_eq(rundir_claim(rundir, &incarnation, &error), ONWARD_ERR_CORRUPT);
    ck_assert_int_eq(incarnation, 7);
    bool owned = true;
    ck_assert_int_eq(rundir_is_owned(rundir, &owned, &error), ONWARD_OK);
    ck_assert(!owned);
    rundir_close(rundir);
}
END_TEST

START_TEST(bounds_what_it_reads)
{
    struct rundir *rundir = make("t");
    struct run_status status;
    char path[128];
    snprintf(path, sizeof path, "%s/t/status.json", base);
    write_text("t/status.json", "{");
    ck_assert_int_eq(truncate(path, 1LL << 34), 0);
    ck_assert_int_eq(rundir_read_status(rundir, &status, &error), ONWARD_ERR_CORRUPT);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(rundir_read_status(rundir, &status, &error), ONWARD_ERR_CORRUPT);
    rundir_close(rundir);
}
END_TEST

static int count_lines(const char *name, int *objects)
{
    char path[256], line[4096];
    snprintf(path, sizeof path, "%s/%s", base, name);
    FILE *file = fopen(path, "r");
    int lines = 0;
    *objects = 0;
    while (file && fgets(line, sizeof line, file)) {
        json_t *root = json_loads(line, 0, NULL);
        *objects += json_is_object(root);
        json_decref(root);
        lines++;
    }
    if (file)
        fclose(file);
    return lines;
}

START_TEST(appends_events)
{
    struct rundir *rundir = make("t");
    int objects;
    json_t *extra = json_pack("{s:i, s:s}", "member", 4, "event", "not this");
    ck_assert_int_eq(rundir_event(rundir, "lost", 1, 2, extra, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_event(rundir, "nonsense", 1, 2, NULL, &error), ONWARD_ERR_ARGUMENT);
    json_decref(extra);
    char path[128];
    snprintf(path, sizeof path, "%s/t/events.jsonl", base);
    int fd = open(path, O_WRONLY | O_APPEND);
    ck_assert_int_eq(write(fd, "{\"torn", 6), 6);
    close(fd);
    ck_assert_int_eq(rundir_event(rundir, "complete", 1, 3, NULL, &error), ONWARD_OK);
    ck_assert_int_eq(count_lines("t/events.jsonl", &objects), 3);
    ck_assert_int_eq(objects, 2);
    rundir_close(rundir);
}
END_TEST

START_TEST(knows_what_was_told_in_this_incarnation)
{
    struct rundir *rundir = make("t");
    struct run_told told;
    json_t *lost = json_pack("{s:i}", "member", 4), *other = json_pack("{s:i}", "member", 5);
    json_t *text = json_pack("{s:s}", "text", "\"lost\"");
    json_t *opened = json_pack("{s:i}", "workers", 2), *no_line = json_pack("{s:i}", "workers", 3);
    ck_assert_int_eq(rundir_read_told(rundir, &told, &error), ONWARD_ERR_IO);
    ck_assert_int_eq(rundir_event(rundir, "epoch", 1, 2, opened, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_event(rundir, "lost", 1, 2, lost, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_event(rundir, "joined", 3, 2, other, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_event(rundir, "warning", 3, 2, text, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_event(rundir, "request", 3, 2, no_line, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_event(rundir, "lost", 3, 2, other, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_told(rundir, &told, &error), ONWARD_OK);
    ck_assert_uint_eq(told.loss_count, 2);
    ck_assert_uint_eq(told.losses[0], 4);
    ck_assert_uint_eq(told.losses[1], 5);
    ck_assert_int_eq(told.epoch, 1);
    free(told.losses);
    ck_assert_int_eq(rundir_event(rundir, "epoch", 3, 2, opened, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_told(rundir, &told, &error), ONWARD_OK);
    ck_assert_int_eq(told.epoch, 3);
    free(told.losses);
    int64_t incarnation;
    ck_assert_int_eq(rundir_claim(rundir, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_told(rundir, &told, &error), ONWARD_OK);
    ck_assert_uint_eq(told.loss_count, 0);
    ck_assert_int_eq(told.epoch, 0);
    free(told.losses);
    json_t *extras[] = {lost, other, text, opened, no_line};
    for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++)
        json_decref(extras[i]);
    rundir_close(rundir);
}
END_TEST

START_TEST(hands_over_requests_in_order)
{
    struct rundir *rundir = make("t");
    struct run_request request = {.request = "checkpoint"}, taken;
    bool found = true;
    ck_assert_int_eq(rundir_take_request(rundir, &taken, &found, &error), ONWARD_OK);
    ck_assert(!found);
    ck_assert_int_eq(rundir_put_request(rundir, &request, &error), ONWARD_OK);
    ck_assert_ptr_nonnull(strchr(request.by, '@'));
    request = (struct run_request){.request = "scale", .count = 5, .host = "n2", .hosts = "n3:2"};
    ck_assert_int_eq(rundir_put_request(rundir, &request, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_take_request(rundir, &taken, &found, &error), ONWARD_OK);
    ck_assert(found);
    ck_assert_str_eq(taken.request, "checkpoint");
    ck_assert_int_eq(rundir_take_request(rundir, &taken, &found, &error), ONWARD_OK);
    ck_assert(found);
    ck_assert_str_eq(taken.name, request.name);
    ck_assert_str_eq(taken.hosts, "n3:2");
    ck_assert_int_eq(taken.count, 5);
    ck_assert_str_eq(taken.host, "n2");
    ck_assert_int_eq(rundir_take_request(rundir, &taken, &found, &error), ONWARD_OK);
    ck_assert(!found);
    request = (struct run_request){.request = "dance"};
    ck_assert_int_eq(rundir_put_request(rundir, &request, &error), ONWARD_ERR_ARGUMENT);
    rundir_close(rundir);
}
END_TEST

static const char *const bad_requests[] = {
    "",
    "[]",
    "{}",
    "{\"request\": 1}",
    "{\"request\": \"dance\"}",
    "{\"request\": \"scale\", \"count\": -1}",
    "{\"request\": \"scale\", \"count\": 1.5}",
    "{\"request\": \"drain\", \"member\": -4}",
    "{\"request\": \"hosts\"}",
    "{\"request\": \"hosts\", \"hosts\": 3}",
    "{\"request\": \"drain\", \"member\": 4, \"task\": \"another\"}",
    "{\"request\": \"stop\", \"task\": 7}",
};

START_TEST(moves_away_what_is_no_request)
{
    struct rundir *rundir = make("t");
    struct run_request request;
    bool found = true;
    write_text("t/requests/x.json", bad_requests[_i]);
    ck_assert_int_eq(rundir_take_request(rundir, &request, &found, &error), ONWARD_ERR_INPUT);
    ck_assert(!found);
    ck_assert_ptr_nonnull(strstr(error.text, "x.rejected"));
    ck_assert(is_there("t/requests/x.rejected"));
    ck_assert_int_eq(rundir_take_request(rundir, &request, &found, &error), ONWARD_OK);
    ck_assert(!found);
    rundir_close(rundir);
}
END_TEST

START_TEST(gives_back_the_completion)
{
    struct rundir *rundir = make("t");
    struct run_completion read, completion = {1, 4, 600, 41.5};
    int64_t incarnation;
    bool complete = true;
    ck_assert_int_eq(rundir_read_completion(rundir, &read, &complete, &error), ONWARD_OK);
    ck_assert(!complete);
    ck_assert_int_eq(rundir_write_completion(rundir, &completion, &error), ONWARD_ERR_ORDER);
    rundir_claim(rundir, &incarnation, &error);
    ck_assert_int_eq(rundir_write_completion(rundir, &completion, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_read_completion(rundir, &read, &complete, &error), ONWARD_OK);
    ck_assert(complete);
    ck_assert_int_eq(read.step, 600);
    ck_assert(read.seconds == 41.5);
    rundir_close(rundir);
}
END_TEST

/* Files may grow to `bytes`; 0: to any size. Nothing is asserted until that is so again: Check
 * writes each assertion to a file, too. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        abort();
}

/* A limit on the size of files stands in for a full disk: a write stops short in the same way. */
START_TEST(keeps_the_old_file_when_there_is_no_space)
{
    struct rundir *rundir = make("t");
    struct run_status read, status = {.task = "t", .step = 1, .exit_code = -1};
    int64_t incarnation;
    ck_assert_int_eq(rundir_claim(rundir, &incarnation, &error), ONWARD_OK);
    ck_assert_int_eq(rundir_write_status(rundir, &status, &error), ONWARD_OK);
    limit_files(100);
    status.step = 2;
    int status_code = rundir_write_status(rundir, &status, &error);
    int task_code = rundir_update_task(rundir, 8, 100, &error);
    limit_files(0);
    ck_assert_int_ne(status_code, ONWARD_OK);
    ck_assert_int_ne(task_code, ONWARD_OK);
    ck_assert_int_eq(rundir_read_status(rundir, &read, &error), ONWARD_OK);
    ck_assert_int_eq(read.step, 1);
    struct task_record record;
    ck_assert_int_eq(rundir_read_task(rundir, &record, &error), ONWARD_OK);
    ck_assert_uint_eq(record.subtask_count, 0);
    task_record_clear(&record);
    rundir_close(rundir);
}
END_TEST

/* The steps of the events in events.jsonl, in its order, and the text of its last warning; returns
 * how many there are. Lines that are none are passed over. */
static int read_steps(int steps[], int capacity, char *warning, size_t warning_bytes)
{
    char path[128], line[512];
    int count = 0;
    snprintf(path, sizeof path, "%s/t/events.jsonl", base);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (count < capacity && fgets(line, sizeof line, file)) {
        json_t *root = json_loads(line, 0, NULL);
        const char *text = json_string_value(json_object_get(root, "text"));
        if (text)
            snprintf(warning, warning_bytes, "%s", text);
        else if (root)
            steps[count++] = (int)json_integer_value(json_object_get(root, "step"));
        json_decref(root);
    }
    fclose(file);
    return count;
}

/* Room for that many bytes after the first event, which is half a line, some lines, or none. */
static const int rooms[] = {0, 1, 60, 250, 400};

START_TEST(writes_an_event_once_when_there_is_room)
{
    struct rundir *rundir = make("t");
    struct stat status;
    char path[128], warning[80];
    int steps[32], failures = 0;
    snprintf(path, sizeof path, "%s/t/events.jsonl", base);
    ck_assert_int_eq(rundir_event(rundir, "lost", 1, 0, NULL, &error), ONWARD_OK);
    ck_assert_int_eq(stat(path, &status), 0);
    limit_files((rlim_t)(status.st_size + rooms[_i]));
    for (int step = 1; step < 9; step++)
        failures += rundir_event(rundir, "lost", 1, step, NULL, &error) != ONWARD_OK;
    limit_files(0);
    ck_assert_int_ge(failures, 4);
    ck_assert_int_eq(rundir_event(rundir, "lost", 1, 9, NULL, &error), ONWARD_OK);
    ck_assert_int_eq(read_steps(steps, 32, warning, sizeof warning), 10);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(steps[i], i);
    rundir_close(rundir);
}
END_TEST

START_TEST(says_how_many_events_were_too_many)
{
    enum { MANY = 4000 };
    struct rundir *rundir = make("t");
    static int steps[MANY + 2];
    char warning[80] = "", expected[80];
    ck_assert_int_eq(rundir_event(rundir, "lost", 1, 0, NULL, &error), ONWARD_OK);
    int failures = 0;
    limit_files(1);
    for (int step = 1; step < MANY; step++)
        failures += rundir_event(rundir, "lost", 1, step, NULL, &error) != ONWARD_OK;
    limit_files(0);
    ck_assert_int_eq(failures, MANY - 1);
    ck_assert_int_eq(rundir_write_kept(rundir, &error), ONWARD_OK);
    int count = read_steps(steps, MANY + 2, warning, sizeof warning);
    ck_assert_int_gt(count, MANY / 4);
    ck_assert_int_lt(count, MANY);
    snprintf(expected, sizeof expected, "%d events before this one could not be written",
             MANY - count);
    ck_assert_str_eq(warning, expected);
    rundir_close(rundir);
}
END_TEST

START_TEST(knows_what_may_recover)
{
    static const int passing[] = {ENOSPC, EDQUOT, EROFS};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        error_set_errno(&error, ONWARD_ERR_IO, passing[i], "x");
        ck_assert(rundir_may_recover(&error));
    }
    error_set_errno(&error, ONWARD_ERR_IO, EACCES, "x");
    ck_assert(!rundir_may_recover(&error));
    error_set(&error, ONWARD_ERR_NO_SPACE, "x");
    ck_assert(!rundir_may_recover(&error));
}
END_TEST

START_TEST(leaves_nothing_of_a_trial)
{
    struct rundir *rundir = make("t");
    char path[128];
    snprintf(path, sizeof path, "%s/t/.room", base);
    ck_assert_int_eq(rundir_try_write(rundir, &error), ONWARD_OK);
    ck_assert_int_ne(access(path, F_OK), 0);
    limit_files(1);
    int code = rundir_try_write(rundir, &error);
    limit_files(0);
    ck_assert_int_ne(code, ONWARD_OK);
    ck_assert_int_eq(error.errno_value, EFBIG);
    rundir_close(rundir);
}
END_TEST

static TCase *file_tests(void)
{
    TCase *tests = tcase_create("files");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_base, remove_base);
    tcase_add_test(tests, gives_back_the_status);
    tcase_add_test(tests, gives_back_the_members);
    tcase_add_test(tests, gives_back_many_members);
    LOOP(tests, refuses_damaged_members, bad_members);
    LOOP(tests, refuses_damaged_files, bad_json);
    tcase_add_test(tests, bounds_what_it_reads);
    tcase_add_test(tests, appends_events);
    tcase_add_test(tests, knows_what_was_told_in_this_incarnation);
    tcase_add_test(tests, hands_over_requests_in_order);
    LOOP(tests, moves_away_what_is_no_request, bad_requests);
    tcase_add_test(tests, gives_back_the_completion);
    tcase_add_test(tests, keeps_the_old_file_when_there_is_no_space);
    LOOP(tests, writes_an_event_once_when_there_is_room, rooms);
    tcase_add_test(tests, says_how_many_events_were_too_many);
    tcase_add_test(tests, knows_what_may_recover);
    tcase_add_test(tests, leaves_nothing_of_a_trial);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("rundir files");
    suite_add_tcase(suite, file_tests());
    return run_suite(suite);
}
