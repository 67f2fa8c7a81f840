/* keeper_environment.c - what commands find in their environment. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"

/* What MPI gave the worker would make an MPI program among the commands take itself for the worker;
 * what onward gave it is the worker's too, but for what marks the processes of the task. */
static bool is_handed_on(const char *variable)
{
    static const char *const ours[] = {"OMPI_", "PMIX_", "PRTE_", "PMI_", "ONWARD_"};
    static const char *const marks[] = {"ONWARD_TASK=", "ONWARD_DIR=", "ONWARD_INCARNATION="};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (strncmp(variable, marks[i], strlen(marks[i])) == 0)
            return true;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
            return false;
    return true;
}

char **keeper_environment(char *const *own, size_t own_count)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **environment = malloc((count + own_count + 1) * sizeof *environment);
    for (size_t i = 0; environment && i < count; i++)
        if (is_handed_on(environ[i]))
            environment[kept++] = environ[i];
    for (size_t i = 0; environment && i < own_count; i++)
        environment[kept++] = own[i];
    if (environment)
        environment[kept] = NULL;
    return environment;
}
