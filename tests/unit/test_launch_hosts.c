/* test_launch_hosts.c - lists of hosts: what is read, what is refused and how, slots. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host_watch.h"
#include "run_suite.h"

static const struct {
    const char *text, *expected;
} lists[] = {
    {"n0", "n0"},
    {"n0,n1:2,n2", "n0,n1:2,n2"},
    {"n[0-3,7]", "n0,n1,n2,n3,n7"},
    {"n[0-1]:4", "n0:4,n1:4"},
    {"rack[1-2]n[01-03]", "rack1n01,rack1n02,rack1n03,rack2n01,rack2n02,rack2n03"},
    {"n[08-11].example.org", "n08.example.org,n09.example.org,n10.example.org,n11.example.org"},
    {"n[5]", "n5"},
    {"n[1-2],m[3,1]:1", "n1,n2,m3:1,m1:1"},
    {"127.0.0.1:2", "127.0.0.1:2"},
    {"n[999999998-999999999]", "n999999998,n999999999"},
};

START_TEST(reads_lists)
{
    struct hosts hosts = {.list = NULL};
    struct error error;
    ck_assert_msg(hosts_parse_list(lists[_i].text, "--hosts", &hosts, &error) == ONWARD_OK, "%s",
                  error.text);
    char *text = hosts_text(&hosts);
    ck_assert_str_eq(text, lists[_i].expected);
    free(text);
    hosts_clear(&hosts);
}
END_TEST

static const struct {
    const char *text, *found, *expected;
} bad_lists[] = {
    {"", "found no host", "at least one"},
    {"n0,", "\",\"", "a host after the last comma"},
    {"n0,,n1", "\"\"", "the name of a host"},
    {":2", "\"\"", "the name of a host"},
    {"-oProxyCommand=x", "-oProxyCommand=x", "letters, digits"},
    {"-n", "\"-n\"", "starts with a letter or digit"},
    {"n 0", "n 0", "letters, digits"},
    {"u@n0", "u@n0", "letters, digits"},
    {"n0,n0", "\"n0\"", "each host once"},
    {"n[0-3],n2:4", "\"n2\"", "each host once"},
    {"n[3-1]", "\"3-1\"", "the smaller number first"},
    {"n[0-4096]", "\"0-4096\"", "at most 4096"},
    {"n[1-70]m[1-70]", "\"n59m", "at most 4096 hosts"},
    {"n[1-2", "\"[1-2\"", "a ] that closes"},
    {"n1-2]", "n1-2]", "letters, digits"},
    {"n[]", "\"\"", "a number or a range"},
    {"n[a-b]", "a-b", "a number or a range"},
    {"n[1-]", "1-", "a number or a range"},
    {"n[-1]", "-1", "a number or a range"},
    {"n[1-2-3]", "1-2-3", "a number or a range"},
    {"n[1,]", "\"1\"", "a number after the comma"},
    {"n[1[2]]", "1[2", "a number or a range"},
    {"n[12345678901-12345678902]", "12345678901", "a number or a range"},
    {"n0:", "\"\"", "slots from 1 to 4096"},
    {"n0:0", "\"0\"", "slots from 1 to 4096"},
    {"n0:4097", "\"4097\"", "slots from 1 to 4096"},
    {"n0:2:3", "2:3", "slots from 1 to 4096"},
};

START_TEST(refuses_lists)
{
    struct hosts hosts = {.list = NULL};
    struct error error;
    ck_assert_int_eq(hosts_parse_list("before", "--hosts", &hosts, &error), ONWARD_OK);
    ck_assert_int_eq(hosts_parse_list(bad_lists[_i].text, "--hosts", &hosts, &error),
                     ONWARD_ERR_INPUT);
    ck_assert_msg(strstr(error.text, "--hosts: ") == error.text, "%s", error.text);
    ck_assert_msg(strstr(error.text, bad_lists[_i].found) != NULL, "%s", error.text);
    ck_assert_msg(strstr(error.text, bad_lists[_i].expected) != NULL, "%s", error.text);
    ck_assert_uint_eq(hosts.count, 1);
    hosts_clear(&hosts);
}
END_TEST

static const struct {
    const char *text, *expected; /* the hosts, or the message */
} files[] = {
    {"n0\nn1\n", "n0,n1"},
    {"n0 slots=2\nn1:3", "n0:2,n1:3"},
    {"# all\n\n  n[0-1]\tslots=4  # two\r\n", "n0:4,n1:4"},
    {"n0\n#n0\nn0\n", "f:3: \"n0\": expected each host once"},
    {"n0 n1\n", "f:1: \"n1\": expected slots=N"},
    {"n0 slots=2 max_slots=3\n", "f:1: \"max_slots=3\": expected a host and its slots"},
    {"n0:2 slots=2\n", "f:1: \"n0:2\": expected slots either"},
    {"n0\nn1 slots=two", "f:2: \"two\": expected a number of slots"},
    {"# nothing\n", "f: found no host"},
    {"", "f: found no host"},
    {"n[2-1]", "f:1: \"2-1\""},
};

START_TEST(reads_files)
{
    struct hosts hosts = {.list = NULL};
    struct error error = {.text = ""};
    const char *text = files[_i].text;
    bool read = hosts_parse_file(text, strlen(text), "f", &hosts, &error) == ONWARD_OK;
    char *found = read ? hosts_text(&hosts) : strdup(error.text);
    if (read)
        ck_assert_str_eq(found, files[_i].expected);
    else
        ck_assert_msg(!strncmp(found, files[_i].expected, strlen(files[_i].expected)), "%s", found);
    free(found);
    hosts_clear(&hosts);
}
END_TEST

START_TEST(reads_from_disk)
{
    char path[] = "/tmp/onward-hosts.XXXXXX";
    struct hosts hosts = {.list = NULL};
    struct error error;
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, "a\nb:2\n", 6), 6);
    close(fd);
    ck_assert_int_eq(hosts_read_file(path, &hosts, &error), ONWARD_OK);
    ck_assert_uint_eq(hosts.count, 2);
    unlink(path);
    ck_assert_int_ne(hosts_read_file(path, &hosts, &error), ONWARD_OK);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_int_ne(hosts_read_file("/tmp", &hosts, &error), ONWARD_OK);
    hosts_clear(&hosts);
}
END_TEST

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

/* At `now_s`, with the number of hosts when it changed. */
static enum host_watch_result look(struct host_watch *watch, double now_s, uint32_t *count)
{
    struct hosts hosts = {.list = NULL};
    struct error error;
    enum host_watch_result result = host_watch_look(watch, now_s, &hosts, &error);
    *count = hosts.count;
    if (result == HOST_WATCH_BAD)
        ck_assert_ptr_nonnull(strstr(error.text, watch->path));
    hosts_clear(&hosts);
    return result;
}

START_TEST(watches_a_file)
{
    char path[] = "/tmp/test_hosts.XXXXXX", other[sizeof path + 4];
    uint32_t count;
    struct host_watch watch = {.path = path}, none = {.path = NULL};
    close(mkstemp(path));
    snprintf(other, sizeof other, "%s.new", path);
    write_file(path, "n0\n");
    host_watch_start(&watch);
    ck_assert_int_eq(look(&watch, 10, &count), HOST_WATCH_SAME);
    write_file(path, "n0\nn1\n");
    ck_assert_int_eq(look(&watch, 10.5, &count), HOST_WATCH_SAME); /* not yet */
    ck_assert_int_eq(look(&watch, 12, &count), HOST_WATCH_CHANGED);
    ck_assert_uint_eq(count, 2);
    write_file(path, "n0 slots=many\n");
    ck_assert_int_eq(look(&watch, 14, &count), HOST_WATCH_BAD);
    ck_assert_int_eq(look(&watch, 16, &count), HOST_WATCH_SAME); /* said once */
    write_file(other, "n2 slots=3   #\n");
    ck_assert_int_eq(rename(other, path), 0);
    ck_assert_int_eq(look(&watch, 18, &count), HOST_WATCH_CHANGED);
    ck_assert_uint_eq(count, 1);
    unlink(path);
    ck_assert_int_eq(look(&watch, 20, &count), HOST_WATCH_BAD);
    ck_assert_int_eq(look(&watch, 22, &count), HOST_WATCH_SAME);
    host_watch_start(&none);
    ck_assert_int_eq(look(&none, 10, &count), HOST_WATCH_SAME);
}
END_TEST

START_TEST(shares_out_slots)
{
    struct hosts hosts = {.list = NULL};
    ck_assert_int_eq(hosts_parse_list("a,b:1,c", "--hosts", &hosts, NULL), ONWARD_OK);
    hosts_fill_slots(&hosts, 7);
    ck_assert_uint_eq(hosts.list[0].slots, 3);
    ck_assert_uint_eq(hosts.list[1].slots, 1);
    ck_assert_uint_eq(hosts_slots(&hosts), 7);
    hosts_clear(&hosts);
}
END_TEST

#define LOOP(tests, test, table)                                                                   \
    tcase_add_loop_test(tests, test, 0, (int)(sizeof table / sizeof *table))

int main(void)
{
    Suite *suite = suite_create("hosts");
    TCase *tests = tcase_create("hosts");
    LOOP(tests, reads_lists, lists);
    LOOP(tests, refuses_lists, bad_lists);
    LOOP(tests, reads_files, files);
    tcase_add_test(tests, reads_from_disk);
    tcase_add_test(tests, watches_a_file);
    tcase_add_test(tests, shares_out_slots);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
