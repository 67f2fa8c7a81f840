/* test_store_journal.c - a farm's journal and commands: what was flushed is there whatever became
 * of the rest. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "journal.h"
#include "run_suite.h"

static char directory[] = "/tmp/onward-test-journal.XXXXXX";
static char path[128];

struct seen {
    uint32_t count;
    struct journal_record last;
    uint32_t subtasks; /* sum of their numbers */
};

static void see(void *context, const struct journal_record *record)
{
    struct seen *seen = context;
    seen->count++;
    seen->subtasks += record->subtask;
    seen->last = *record;
}

static struct journal *open_journal(uint32_t subtasks)
{
    struct journal *journal;
    struct error error;
    ck_assert_msg(journal_open(path, subtasks, &journal, &error) == ONWARD_OK, "%s", error.text);
    return journal;
}

static void add(struct journal *journal, uint32_t subtask, enum journal_kind kind)
{
    struct journal_record record = {
        .subtask = subtask, .kind = (uint8_t)kind, .run_us = 7, .reserved = UINT64_MAX};
    ck_assert_int_eq(journal_add(journal, &record), ONWARD_OK);
}

static struct seen read_all(uint32_t subtasks, uint32_t expected_damaged)
{
    struct seen seen = {0};
    struct error error;
    uint32_t damaged;
    ck_assert_msg(journal_read(path, subtasks, see, &seen, &damaged, &error) == ONWARD_OK, "%s",
                  error.text);
    ck_assert_uint_eq(damaged, expected_damaged);
    return seen;
}

static off_t size_of_file(void)
{
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    return status.st_size;
}

START_TEST(what_was_flushed_is_there)
{
    unlink(path);
    ck_assert_uint_eq(read_all(9, 0).count, 0); /* no file yet */
    struct journal *journal = open_journal(9);
    struct error error;
    add(journal, 3, JOURNAL_TRIED);
    add(journal, 4, JOURNAL_DONE);
    ck_assert_int_eq(journal_flush(journal, &error), ONWARD_OK);
    ck_assert_int_eq(journal_sync(journal, &error), ONWARD_OK);
    add(journal, 8, JOURNAL_DONE); /* and this is not */
    journal_close(journal);
    struct seen seen = read_all(9, 0);
    ck_assert_uint_eq(seen.count, 2);
    ck_assert_uint_eq(seen.last.subtask, 4);
    ck_assert_int_eq(seen.last.run_us, 7);
}
END_TEST

/* Cut at every byte, it loses the record that was cut and nothing else, and goes on. */
START_TEST(a_torn_end_costs_what_was_torn)
{
    struct error error;
    unlink(path);
    struct journal *journal = open_journal(9);
    for (uint32_t i = 0; i < 3; i++)
        add(journal, i + 1, JOURNAL_DONE);
    ck_assert_int_eq(journal_flush(journal, &error), ONWARD_OK);
    journal_close(journal);
    off_t whole = size_of_file(), cut = whole - 64 * 4 + _i;
    ck_assert_int_eq(truncate(path, cut), 0);
    journal = open_journal(9);
    add(journal, 5, JOURNAL_DONE);
    ck_assert_int_eq(journal_flush(journal, &error), ONWARD_OK);
    journal_close(journal);
    uint32_t left = _i < 64 ? 0 : (uint32_t)(_i / 64 - 1), torn = _i >= 64 && _i % 64 != 0;
    struct seen seen = read_all(9, torn);
    ck_assert_uint_eq(seen.count, left + 1);
    ck_assert_uint_eq(seen.subtasks, left * (left + 1) / 2 + 5);
    ck_assert_int_eq(size_of_file() % 64, 0);
}
END_TEST

START_TEST(a_damaged_record_is_passed_over)
{
    struct error error;
    unlink(path);
    struct journal *journal = open_journal(9);
    for (uint32_t i = 0; i < 3; i++)
        add(journal, i, JOURNAL_DONE);
    add(journal, 9, JOURNAL_DONE); /* there is no such subtask */
    ck_assert_int_eq(journal_flush(journal, &error), ONWARD_OK);
    journal_close(journal);
    int fd = open(path, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "x", 1, 64 * 2 + 20 + _i % 40), 1);
    close(fd);
    ck_assert_uint_eq(read_all(9, 2).count, 2);
}
END_TEST

START_TEST(another_farms_journal_is_refused)
{
    struct error error;
    unlink(path);
    journal_close(open_journal(9));
    ck_assert_int_eq(journal_read(path, 8, see, NULL, NULL, &error), ONWARD_ERR_OTHER_TASK);
    FILE *file = fopen(path, "w");
    fprintf(file, "%0200d", 1);
    fclose(file);
    ck_assert_int_eq(journal_read(path, 9, see, NULL, NULL, &error), ONWARD_ERR_CORRUPT);
}
END_TEST

START_TEST(many_commands_are_found)
{
    enum { COUNT = 100000 };
    struct commands_writer *writer;
    struct commands *commands;
    struct error error;
    uint64_t offset;
    uint32_t length;
    char text[64], expected[64];
    unlink(path);
    ck_assert_int_eq(commands_begin(&writer, &error), ONWARD_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        int size = snprintf(text, sizeof text, "%u\n", i * i);
        ck_assert_int_eq(commands_add(writer, text, (size_t)size, &error), ONWARD_OK);
    }
    ck_assert_int_eq(commands_publish(writer, path, &error), ONWARD_OK);
    ck_assert_int_eq(commands_publish(writer, path, &error), ONWARD_OK); /* the same again */
    ck_assert_int_eq(commands_add(writer, "x", 1, &error), ONWARD_OK);
    ck_assert_int_eq(commands_publish(writer, path, &error), ONWARD_ERR_OTHER_TASK);
    commands_discard(writer);
    ck_assert_int_eq(commands_open(path, true, &commands, &error), ONWARD_OK);
    ck_assert_uint_eq(commands_count(commands), COUNT);
    for (uint32_t i = 0, at = 0; i < COUNT; i++, at = (at + (i % 7 ? 1 : 7919)) % COUNT) {
        ck_assert_int_eq(commands_find(commands, at, &offset, &length, &error), ONWARD_OK);
        ck_assert_int_eq(commands_read(commands, offset, length, text, &error), ONWARD_OK);
        snprintf(expected, sizeof expected, "%u\n", at * at);
        ck_assert_str_eq(text, expected);
    }
    ck_assert_int_ne(commands_find(commands, COUNT, &offset, &length, &error), ONWARD_OK);
    commands_close(commands);
    ck_assert_int_eq(truncate(path, size_of_file() - 1), 0);
    ck_assert_int_eq(commands_open(path, true, &commands, &error), ONWARD_ERR_CORRUPT);
}
END_TEST

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    snprintf(path, sizeof path, "%s/file", directory);
    Suite *suite = suite_create("store journal");
    TCase *cases = tcase_create("journal");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, what_was_flushed_is_there);
    tcase_add_loop_test(cases, a_torn_end_costs_what_was_torn, 0, 4 * 64);
    tcase_add_loop_test(cases, a_damaged_record_is_passed_over, 0, 40);
    tcase_add_test(cases, another_farms_journal_is_refused);
    tcase_add_test(cases, many_commands_are_found);
    suite_add_tcase(suite, cases);
    int failed = run_suite(suite);
    unlink(path);
    return failed || rmdir(directory) != 0;
}
