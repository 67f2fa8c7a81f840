/* failing_read.h - for a program that failing_read.c is linked to: how many calls it made fail. A
 * test that saw none fail has shown nothing. */
#ifndef TESTS_FAILING_READ_H
#define TESTS_FAILING_READ_H

extern int failing_read_count;

#endif
