/* run_suite.h - the end of each test program of Check: runs the suite, and says how it went as an
 * exit status. */
#ifndef TESTS_RUN_SUITE_H
#define TESTS_RUN_SUITE_H

#include "config.h"

#include <check.h>
#include <stdlib.h>

/* Of so many loops of a test that draws at random, those to be run: a build with sanitizers is
 * several times as slow, and looks for other faults. */
static inline int random_loops(int count)
{
#ifdef HAVE_SANITIZERS
    return (count + 3) / 4;
#else
    return count;
#endif
}

/* The suite is freed. What is printed is for CK_VERBOSITY to say. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
