/* command.c - the command line of mpirun, on one host.
 *
 * Fault tolerance has to be asked for; only the point-to-point layer ob1 has it, and the collective
 * component han can deadlock after a loss. With more ranks than cores, ranks that wait must yield.
 * MPI_Finalize after a loss may hang unless it is asynchronous. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIXED_ARGUMENTS = 32, NUMBER_BYTES = 16 };

static const char *const common[] = {"--map-by", ":OVERSUBSCRIBE", "--bind-to",
                                     "none",     "--mca",          "pml",
                                     "ob1",      "--mca",          "coll",
                                     "^han",     "--mca",          "btl_tcp_if_include",
                                     "lo",       "--mca",          "async_mpi_finalize",
                                     "1"};

struct list {
    char **items;
    size_t count;
};

static void add(struct list *list, const char *text)
{
    list->items[list->count++] = (char *)text;
}

static void add_all(struct list *list, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(list, texts[i]);
}

int command_build(const struct command_settings *settings, char ***command, struct error *error)
{
    static const char *const fault_tolerant[] = {"--with-ft", "ulfm", "-n"};
    static const char *const yielding[] = {"--mca", "mpi_yield_when_idle", "1"};
    size_t room =
        FIXED_ARGUMENTS + (size_t)settings->mpirun_argument_count + settings->program_count;
    struct list list = {malloc(room * sizeof(char *) + NUMBER_BYTES), 0};
    if (!list.items)
        return error_set(error, ONWARD_ERR_MEMORY, "command line of mpirun: out of memory");
    char *number = (char *)(list.items + room);
    snprintf(number, NUMBER_BYTES, "%u", settings->rank_count);
    add(&list, settings->mpirun);
    add_all(&list, fault_tolerant, 3);
    add(&list, number);
    add_all(&list, common, sizeof common / sizeof *common);
    if (settings->rank_count > settings->core_count)
        add_all(&list, yielding, 3);
    if (settings->is_root)
        add(&list, "--allow-run-as-root");
    add_all(&list, settings->mpirun_arguments, settings->mpirun_argument_count);
    add_all(&list, settings->program, settings->program_count);
    list.items[list.count] = NULL;
    *command = list.items;
    return ONWARD_OK;
}
