/* rundir_fixture.h - for the tests of the run directory: a scratch base, a task in it, and files as
 * others may have left them. Included by one program a time. */
#ifndef TESTS_RUNDIR_FIXTURE_H
#define TESTS_RUNDIR_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "test_record.h"

static char base[64];
static struct error error;

static __attribute__((unused)) void make_base(void)
{
    snprintf(base, sizeof base, "/tmp/onward-rundir-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
}

static __attribute__((unused)) void remove_base(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", base);
    ck_assert_int_eq(system(command), 0);
}

static char *arguments[] = {(char *)"prog", (char *)"a: b", (char *)"", (char *)"x\ny",
                            (char *)"'q\" #"};

static __attribute__((unused)) struct task_record record_of(const char *task)
{
    struct task_record record = plain_record(task);
    record.arguments = arguments;
    record.argument_count = 5;
    record.directory = (char *)"/tmp";
    record.workers = 4;
    return record;
}

static __attribute__((unused)) struct rundir *make(const char *task)
{
    struct rundir *rundir;
    struct task_record record = record_of(task);
    ck_assert_int_eq(rundir_open(base, task, &record, &rundir, &error), ONWARD_OK);
    return rundir;
}

static __attribute__((unused)) struct rundir *reopen(const char *task)
{
    struct rundir *rundir;
    ck_assert_int_eq(rundir_open(base, task, NULL, &rundir, &error), ONWARD_OK);
    return rundir;
}

static __attribute__((unused)) void write_text(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", base, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static __attribute__((unused)) bool is_there(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", base, name);
    return access(path, F_OK) == 0;
}

#define LOOP(tests, test, table)                                                                   \
    tcase_add_loop_test(tests, test, 0, (int)(sizeof table / sizeof *table))

#endif
