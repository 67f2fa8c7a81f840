/* test_launch_keepalive.c - what bounds the silence of a host has the name that this mpirun's
 * prte_info gives it, or none. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "run_suite.h"

/* A directory with a prte_info that prints this. */
static void make_bin(char *directory, const char *printed)
{
    char path[128];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/prte_info", directory);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "#!/bin/sh\n[ \"$1\" = -a ] || exit 1\ncat <<'END'\n%sEND\n", printed);
    fclose(file);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

static void remove_bin(const char *directory)
{
    char path[128];
    snprintf(path, sizeof path, "%s/prte_info", directory);
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
}

static const struct {
    const char *printed, *prefix;
    bool in_path; /* not beside mpirun */
} infos[] = {
    {"    MCA prte: parameter \"prte_keepalive_time\" (current value: \"5\")\n", "prte", false},
    {"     MCA oob: parameter \"oob_tcp_keepalive_intvl\" (current value: \"20\")\n"
     "     MCA oob: parameter \"oob_tcp_keepalive_time\" (current value: \"300\")\n",
     "oob_tcp", false},
    {"     MCA oob: parameter \"oob_tcp_keepalive_time\" (current value: \"300\")\n", "oob_tcp",
     true},
    {"     MCA oob: parameter \"oob_tcp_if_include\" (current value: \"\")\n", "", false},
    {"", "", false},
};

START_TEST(finds_the_keepalive_of_an_mpirun)
{
    char directory[] = "/tmp/onward-keepalive.XXXXXX", mpirun[128], path[4096];
    char prefix[COMMAND_PREFIX_BYTES];
    make_bin(directory, infos[_i].printed);
    snprintf(mpirun, sizeof mpirun, "%s/mpirun", infos[_i].in_path ? "/nowhere" : directory);
    if (infos[_i].in_path) {
        snprintf(path, sizeof path, "%s:%s", directory, getenv("PATH"));
        setenv("PATH", path, 1);
    }
    command_keepalive_prefix(mpirun, prefix, sizeof prefix);
    remove_bin(directory);
    ck_assert_str_eq(prefix, infos[_i].prefix);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("launch keepalive");
    TCase *tests = tcase_create("keepalive");
    tcase_add_loop_test(tests, finds_the_keepalive_of_an_mpirun, 0,
                        (int)(sizeof infos / sizeof *infos));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
