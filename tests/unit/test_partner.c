/* test_partner.c - copies that go from one host to another, which are two directories here: what
 * comes is whole, and what it replaces goes. */
#include "store_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include "copy.h"
#include "partner_wire.h"
#include "run_suite.h"
#include "summed_file.h"

enum { LIMIT_S = 20, LOOK_US = 2000 };

static struct checkpoint_array state = {
    .name = "state", .type = ONWARD_DOUBLE, .ndims = 1, .dims = {20000}};
static const struct copy_id sent = {
    .incarnation = 2, .epoch = 7, .step = 120, .shard = 1, .shard_count = 2};
static struct copy_place here, there;
static char here_path[64], there_path[64];
static struct partner *sender, *receiver;
static struct partner_address address;

static void make_hosts(void)
{
    uint64_t seed = 5, bytes = 0;
    make_scratch_in_memory();
    snprintf(here_path, sizeof here_path, "%s/here", scratch);
    snprintf(there_path, sizeof there_path, "%s/there", scratch);
    ck_assert_int_eq(mkdir(here_path, 0700) | mkdir(there_path, 0700), 0);
    here = (struct copy_place){.directory = here_path, .task = "task-1", .run = 9};
    there = here;
    there.directory = there_path;
    fill_array(&state, &seed);
    ck_ok(copy_write(&here, &sent, &state, 1, &bytes, &failure));
    ck_ok(partner_start(&here, sent.incarnation, &sender, &failure));
    ck_ok(partner_start(&there, sent.incarnation, &receiver, &failure));
    partner_see_epoch(receiver, sent.epoch);
    partner_own_address(receiver, &address);
}

static void remove_hosts(void)
{
    partner_stop(sender);
    partner_stop(receiver);
    free(state.data);
    remove_scratch();
}

static const char *path_there(const struct copy_id *id)
{
    static char path[COPY_PATH_BYTES];
    char directory[COPY_PATH_BYTES];
    ck_ok(copy_directory(&there, directory, &failure));
    ck_ok(copy_path(&there, id, path, &failure));
    return path;
}

static bool is_there(const struct copy_id *id)
{
    return access(path_there(id), F_OK) == 0;
}

static enum partner_state await_end(struct partner *of)
{
    char text[256];
    enum partner_state now = PARTNER_SENDS;
    for (int i = 0; i < LIMIT_S * 1000000 / LOOK_US && now == PARTNER_SENDS; i++) {
        usleep(LOOK_US);
        now = partner_look(of, text);
    }
    return now;
}

static void deliver(int64_t drop_below)
{
    struct copy_id arrived = sent;
    arrived.is_partner = 1;
    partner_send(sender, &address, &sent, drop_below, (struct partner_turn){0});
    ck_assert_int_eq(await_end(sender), PARTNER_IDLE);
    ck_assert(is_there(&arrived));
    ck_ok(copy_check(path_there(&arrived)));
}

static const struct {
    struct copy_id id; /* incarnation, epoch, step, shard, of so many, of a worker elsewhere */
    bool is_old;       /* once all copies of step 110 of the epoch have arrived */
    bool is_replaced;  /* by the copy that comes, where none of before is known to be whole */
} held[] = {
    {{1, 9, 130, 0, 2, 0, 0}, true, false},
    {{2, 6, 130, 0, 1, 0, 0}, true, false},
    {{2, 6, 130, 1, 2, 1, 0}, true, false},
    {{2, 7, 100, 1, 2, 1, 0}, true, true},
    {{2, 7, 110, 1, 2, 1, 0}, false, true},
    {{2, 7, 100, 0, 2, 1, 0}, false, false}, /* its own worker sends word of it */
    {{2, 8, 100, 1, 2, 1, 0}, false, false},
    {{3, 1, 100, 1, 2, 1, 0}, false, false},
};
enum { HELD_COUNT = sizeof held / sizeof held[0] };

START_TEST(what_it_replaces_goes_once_a_set_has_arrived)
{
    for (size_t i = 0; i < HELD_COUNT; i++)
        write_file(path_there(&held[i].id), "x", 1);
    deliver(-1);
    for (size_t i = 0; i < HELD_COUNT; i++) {
        ck_assert_msg(is_there(&held[i].id) != held[i].is_replaced, "%zu, before a set arrived", i);
        write_file(path_there(&held[i].id), "x", 1);
    }
    deliver(110);
    for (size_t i = 0; i < HELD_COUNT; i++)
        ck_assert_msg(is_there(&held[i].id) != held[i].is_old, "%zu", i);
}
END_TEST

static int connect_there(void)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(address.port), .sin_addr = {address.hosts[0]}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    partner_limit(fd, LIMIT_S / 4);
    return fd;
}

/* What is said to the head of a copy of so many bytes, and, where that was yes, before any of them
 * was sent. */
static void announce(uint64_t bytes, char *first, char *second)
{
    struct partner_head head = {.magic = PARTNER_MAGIC,
                                .token = address.token,
                                .bytes = bytes,
                                .id = sent,
                                .drop_below = -1};
    int fd = connect_there();
    *first = *second = '?';
    ck_assert(partner_write(fd, &head, sizeof head));
    ck_assert_int_eq(read(fd, first, 1), 1);
    if (*first == PARTNER_YES && read(fd, second, 1) != 1)
        *second = '?';
    close(fd);
}

static int count_there(void)
{
    char directory[COPY_PATH_BYTES];
    ck_ok(copy_directory(&there, directory, &failure));
    return count_entries(directory);
}

START_TEST(sizes_that_no_copy_has_are_refused)
{
    static const uint64_t sizes[] = {0, SUMMED_FOOT_BYTES, PARTNER_MAX_BYTES + 1, UINT64_MAX};
    char first, second;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        announce(sizes[i], &first, &second);
        ck_assert_msg(first == PARTNER_NO, "%" PRIu64 " bytes: '%c'", sizes[i], first);
    }
    ck_assert_int_eq(count_there(), 0);
    deliver(-1);
}
END_TEST

START_TEST(what_finds_no_room_is_not_begun)
{
    struct statvfs status;
    char first, second;
    ck_assert_int_eq(statvfs(there_path, &status), 0);
    announce((uint64_t)status.f_bavail * status.f_frsize + (1 << 30), &first, &second);
    ck_assert_int_eq(first, PARTNER_YES);
    ck_assert_int_eq(second, PARTNER_NO);
    ck_assert_int_eq(count_there(), 0);
    deliver(-1);
}
END_TEST

/* A scan of ports, or a member that is stopped there. */
START_TEST(who_says_nothing_keeps_nobody_out)
{
    int silent[2];
    for (int i = 0; i < 2; i++)
        silent[i] = connect_there();
    ck_assert_int_eq(write(silent[1], "onward", 6), 6);
    deliver(-1);
    for (int i = 0; i < 2; i++)
        close(silent[i]);
}
END_TEST

/* The workers of a large host send to the only member of a small one: parts of any size. */
START_TEST(those_who_send_at_once_all_arrive)
{
    enum { WORKERS = 5 };
    struct partner *workers[WORKERS];
    struct copy_id ids[WORKERS];
    struct checkpoint_array part = state;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        ids[i] = (struct copy_id){2, 7, 120, i, WORKERS, 0, 0};
        part.dims[0] = i % 2 ? 50 : state.dims[0];
        ck_ok(copy_write(&here, &ids[i], &part, 1, &bytes, &failure));
        ck_ok(partner_start(&here, sent.incarnation, &workers[i], &failure));
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        partner_send(workers[i], &address, &ids[i], -1,
                     (struct partner_turn){WORKERS - 1, state.dims[0] * sizeof(double)});
    for (uint32_t i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(await_end(workers[i]), PARTNER_IDLE);
        ids[i].is_partner = 1;
        ck_assert(is_there(&ids[i]));
        ck_ok(copy_check(path_there(&ids[i])));
        partner_stop(workers[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("partner");
    TCase *all = tcase_create("partner");
    tcase_add_checked_fixture(all, make_hosts, remove_hosts);
    tcase_set_timeout(all, 3 * LIMIT_S);
    tcase_add_test(all, what_it_replaces_goes_once_a_set_has_arrived);
    tcase_add_test(all, sizes_that_no_copy_has_are_refused);
    tcase_add_test(all, what_finds_no_room_is_not_begun);
    tcase_add_test(all, who_says_nothing_keeps_nobody_out);
    tcase_add_test(all, those_who_send_at_once_all_arrive);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
