/* test_launch_plain.c - programs that do not use libonward: what their ranks report, which restart
 * file is chosen, and how such a program is told from one that uses the library. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library_use.h"
#include "ranks.h"
#include "restart_file.h"
#include "run_suite.h"

static char directory[] = "/tmp/onward-test-plain.XXXXXX";

static void enter(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
}

static void leave(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *name, const char *text, long mtime_s)
{
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    struct timespec times[] = {{mtime_s, 0}, {mtime_s, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, name, times, 0), 0);
}

/* Reads what the files of the hosts n0 and n1 hold. */
static void read_ranks(struct ranks *ranks, uint32_t count, const char *n0, const char *n1)
{
    ck_assert_int_eq(mkdir("ranks", 0777), 0);
    put("ranks/n0", n0, 1000);
    put("ranks/n1", n1, 1000);
    put("ranks/.hidden", "ended 0 9 0 1\n", 1000);
    ck_assert_int_eq(ranks_init(ranks, count, NULL), ONWARD_OK);
    ck_assert_int_eq(ranks_read(ranks, "ranks", NULL), ONWARD_OK);
}

START_TEST(what_ranks_report_is_counted)
{
    struct ranks ranks;
    char text[256];
    read_ranks(&ranks, 4, "begun 0 100\nbegun 2 102\nended 0 0 0 5\nended 2 3 0 9\n",
               "begun 1 7\nended 1 0 15 8\n");
    ck_assert_uint_eq(ranks.begun, 3);
    ck_assert_uint_eq(ranks.ended, 3);
    ck_assert_uint_eq(ranks.succeeded, 1);
    ck_assert_int_eq(ranks.list[2].pid, 102);
    ck_assert_str_eq(ranks.list[1].host, "n1");
    ck_assert_int_eq(ranks.first_bad, 1); /* it was the first in time */
    ranks_describe(&ranks, text, sizeof text);
    ck_assert_str_eq(text, "rank 1 on host n1 was ended by signal 15 (Terminated)");
    ranks_clear(&ranks);
}
END_TEST

START_TEST(what_is_no_report_is_passed_over)
{
    struct ranks ranks;
    char text[256];
    read_ranks(&ranks, 2, "begun 0 100\nended 0 0 0", /* no end of line: not whole yet */
               "begun 2 7\nended 9999999999 0 0 1\nended x\n\n\xff\nended 1 4 0 8\n");
    ck_assert_uint_eq(ranks.begun, 2);
    ck_assert_uint_eq(ranks.ended, 1);
    ck_assert_uint_eq(ranks.succeeded, 0);
    ranks_describe(&ranks, text, sizeof text);
    ck_assert_str_eq(text, "rank 1 on host n1 ended with exit status 4");
    ck_assert_int_ne(ranks_read(&ranks, "none", NULL), ONWARD_OK);
    ranks_clear(&ranks);
    ranks_describe(&ranks, text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(lines_are_read_as_they_were_written)
{
    struct ranks ranks;
    struct rank how = {.exit_status = 255, .ended_us = 1789000000000001};
    char lines[2 * RANKS_LINE_BYTES];
    int size = ranks_begun_line(4294967294u, 2147483647, lines);
    ck_assert_int_lt(size, RANKS_LINE_BYTES);
    size = ranks_begun_line(0, 4194304, lines);
    ranks_ended_line(0, &how, lines + size);
    read_ranks(&ranks, 1, lines, "");
    ck_assert_int_eq(ranks.list[0].pid, 4194304);
    ck_assert_int_eq(ranks.list[0].exit_status, 255);
    ck_assert_int_eq(ranks.list[0].ended_us, how.ended_us);
    ranks_clear(&ranks);
}
END_TEST

START_TEST(the_newest_restart_file_is_chosen)
{
    char path[64] = "";
    ck_assert(!restart_file_pick("ckpt.*", 0, path, sizeof path));
    ck_assert_int_eq(restart_file_newest_ns("ckpt.*"), 0);
    put("ckpt.b", "x", 2000);
    put("ckpt.a", "x", 3000);
    put("ckpt.c", "", 9000); /* empty: not written yet */
    put("other", "x", 9000);
    ck_assert(restart_file_pick("ckpt.*", 0, path, sizeof path));
    ck_assert_str_eq(path, "ckpt.a");
    ck_assert(restart_file_pick("ckpt.*", 1, path, sizeof path));
    ck_assert_str_eq(path, "ckpt.b");
    ck_assert(restart_file_pick("ckpt.*", 7, path, sizeof path)); /* there is none before */
    ck_assert_str_eq(path, "ckpt.b");
    ck_assert(restart_file_pick("{none,ckpt.b}", 0, path, sizeof path));
    ck_assert_str_eq(path, "ckpt.b");
    ck_assert_int_eq(restart_file_newest_ns("ckpt.*"), 3000000000000);
}
END_TEST

START_TEST(a_directory_of_any_name_is_looked_into)
{
    char pattern[128], path[128];
    ck_assert_int_eq(mkdir("a*[b]{c,d}?\\", 0777), 0);
    put("a*[b]{c,d}?\\/file", "x", 1000);
    ck_assert_int_eq(mkdir("axb", 0777), 0);
    put("axb/wrong", "x", 2000);
    restart_file_all_in("a*[b]{c,d}?\\", pattern, sizeof pattern);
    ck_assert(restart_file_pick(pattern, 0, path, sizeof path));
    ck_assert_str_eq(path, "a*[b]{c,d}?\\/file");
}
END_TEST

START_TEST(programs_are_told_by_their_file)
{
    put("uses", "#!/bin/sh\nexec ./program # which is linked with libonward\n", 1000);
    put("plain", "#!/bin/sh\nexec mpi-program\n", 1000);
    put("empty", "", 1000);
    put("elf", "\177ELF\2", 1000);
    ck_assert(library_is_used("uses"));
    ck_assert(!library_is_used("plain"));
    ck_assert(!library_is_used("empty"));
    ck_assert(!library_is_used("elf"));
    ck_assert(!library_is_used("none"));
    ck_assert(!library_is_used("/bin/sh"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("launch_plain");
    TCase *tcase = tcase_create("plain");
    tcase_add_checked_fixture(tcase, enter, leave);
    tcase_add_test(tcase, what_ranks_report_is_counted);
    tcase_add_test(tcase, what_is_no_report_is_passed_over);
    tcase_add_test(tcase, lines_are_read_as_they_were_written);
    tcase_add_test(tcase, the_newest_restart_file_is_chosen);
    tcase_add_test(tcase, a_directory_of_any_name_is_looked_into);
    tcase_add_test(tcase, programs_are_told_by_their_file);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
