/* local_fixture.h - for the tests of the local level: three arrays of a task whose bits follow from
 * the step, and what is found of them. Included by one program a time. */
#ifndef TESTS_LOCAL_FIXTURE_H
#define TESTS_LOCAL_FIXTURE_H

#include "local_internal.h"
#include "store_fixture.h"

enum { ARRAYS = 3, RUN = 77 };

static const uint64_t sizes[ARRAYS] = {100, 5000, 8};
static int warnings;

static struct local_id id_of(int64_t incarnation)
{
    return (struct local_id){scratch, "task-1", RUN, 5, incarnation, ARRAYS, sizes};
}

static const char *task_directory(void)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/onward-%d/task-1.%016x", scratch, (int)geteuid(), RUN);
    return path;
}

static int warned_code;

static void count_warning(void *context, const struct error *problem)
{
    (void)context;
    ck_assert_int_ne(problem->code, ONWARD_ERR_IO);
    ck_assert_ptr_nonnull(strstr(problem->text, "this local copy is not used"));
    warned_code = problem->code;
    warnings++;
}

static unsigned char pattern(uint32_t array, int64_t step, uint64_t byte)
{
    return (unsigned char)((uint64_t)step * 131 + array * 7 + byte * 13 + (byte >> 8));
}

static void fill(unsigned char *data, uint32_t array, int64_t step)
{
    for (uint64_t i = 0; i < sizes[array]; i++)
        data[i] = pattern(array, step, i);
}

/* Array 2 changes at every fourth step alone. */
static int64_t pattern_step(uint32_t array, int64_t step)
{
    return array == 2 ? step / 4 * 4 : step;
}

static struct local_copy *find(int64_t incarnation)
{
    struct local_copy *copy;
    struct local_id id = id_of(incarnation);
    warnings = 0;
    ck_ok(local_find(&id, count_warning, NULL, &copy, &failure));
    return copy;
}

static void check_content(const struct local_copy *copy)
{
    static unsigned char bytes[ARRAYS][5000];
    void *const data[ARRAYS] = {bytes[0], bytes[1], bytes[2]};
    int64_t step = local_copy_step(copy);
    unsigned verdict;
    ck_ok(local_load(copy, data, &verdict, &failure));
    for (uint32_t i = 0; i < ARRAYS; i++)
        for (uint64_t k = 0; k < sizes[i]; k++)
            ck_assert_msg(bytes[i][k] == pattern(i, pattern_step(i, step), k),
                          "array %u, byte %" PRIu64 " is not of step %" PRId64, i, k, step);
}

/* The only file of the task. */
static const char *only_file(void)
{
    static char path[1024];
    char command[600];
    snprintf(command, sizeof command, "ls '%s'/*.state", task_directory());
    FILE *list = popen(command, "r");
    ck_assert_ptr_nonnull(list);
    ck_assert_ptr_nonnull(fgets(path, sizeof path, list));
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    return path;
}

#endif
