/* test_record.h - what a test says of a task of its own, where none of it matters but the name. */
#ifndef TESTS_TEST_RECORD_H
#define TESTS_TEST_RECORD_H

#include "rundir.h"

static __attribute__((unused)) struct task_record plain_record(const char *task)
{
    return (struct task_record){.task = (char *)task,
                                .program = (char *)"run",
                                .config = (char *)"",
                                .directory = (char *)"/",
                                .workers = 1,
                                .min_workers = 1,
                                .step_count = -1,
                                .checkpoint = (char *)"auto",
                                .checkpoint_keep = 3,
                                .version = (char *)"1"};
}

#endif
