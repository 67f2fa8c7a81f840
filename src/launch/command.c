/* command.c - the command line of mpirun, on one host or over several.
 *
 * Fault tolerance has to be asked for; only the point-to-point layer ob1 has it, and the collective
 * component han can deadlock after a loss. Ranks that wait yield their core, also where each has
 * one of its own: what shares it unseen (another task, a container's limit, threads) would cost a
 * tick of the scheduler at each message, 0.2 s at a start; where nobody does, a small message takes
 * 0.45 us instead of 0.31. A program without libonward yields on too few cores alone. MPI_Finalize
 * after a loss may hang unless it is asynchronous. Without state_base_recoverable PRRTE kills those
 * who were spawned together when one of them dies.
 *
 * Over hosts mpirun reaches each by the agent, from here (a tree of daemons would hang on one dead
 * host), and notices a silent one by the keepalive of its TCP connections. Its daemons are started
 * with the variables by which leftovers.h finds them, and with those that choose how OpenBLAS
 * computes: a host with other ones would get other bits. */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quick.h"

enum { FIXED_ARGUMENTS = 64, MAX_FORWARDED = 64, VARIABLES_BYTES = 1024, TEXT_BYTES = 2048 };

static const double info_limit_s = 5;

static const char *const fault_tolerant[] = {
    "--with-ft",          "ulfm", "--mca", "pml", "ob1", "--mca", "coll", "^han", "--mca",
    "async_mpi_finalize", "1"};

/* The arguments, and the text of those that are made here. */
struct list {
    char **items;
    size_t count;
    char *text;
    size_t text_bytes;
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

__attribute__((format(printf, 2, 3))) static void add_text(struct list *list, const char *format,
                                                           ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(list->text, list->text_bytes, format, arguments);
    va_end(arguments);
    add(list, list->text);
    size_t used = size < 0 ? 0 : (size_t)size + 1;
    used = used < list->text_bytes ? used : list->text_bytes;
    list->text += used;
    list->text_bytes -= used;
}

static void add_parameter(struct list *list, const char *name, const char *value)
{
    add(list, "--prtemca");
    add(list, name);
    add(list, value);
}

/* NAME:SLOTS,...; the first host has a slot more for the controller, where there is one. */
static void add_hosts(struct list *list, const struct hosts *hosts, bool has_controller)
{
    char *begin = list->text;
    add(list, "--host");
    add(list, begin);
    for (uint32_t i = 0; i < hosts->count; i++) {
        int size = snprintf(list->text, list->text_bytes, "%s%s:%u", i ? "," : "",
                            hosts->list[i].name, hosts->list[i].slots + (i == 0 && has_controller));
        list->text += size;
        list->text_bytes -= (size_t)size;
    }
    list->text++;
    list->text_bytes--;
}

/* Idle time, interval and number of probes of TCP's keepalive, which add up to detect_s. */
static void add_keepalive(struct list *list, const struct command_hosts *over)
{
    static const char *const names[] = {"time", "intvl", "probes"};
    int detect_s = over->detect_s < 3 ? 3 : over->detect_s > 86400 ? 86400 : (int)over->detect_s;
    int interval_s = detect_s < 8 ? 1 : detect_s / 4;
    int values[] = {detect_s - 1 - 2 * interval_s, interval_s, 2};
    values[0] = values[0] < 1 ? 1 : values[0];
    for (int i = 0; *over->keepalive && i < 3; i++) {
        add(list, "--prtemca");
        add_text(list, "%s_keepalive_%s", over->keepalive, names[i]);
        add_text(list, "%d", values[i]);
    }
}

/* " NAME=VALUE" of each variable that OpenBLAS or its threads look at as they start, which is
 * before a program could set it. All processes on a host inherit them from its daemon, those too
 * that are spawned later. One with signs that a shell knows is left out. */
static void list_variables(char *text, size_t text_bytes)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_=.,:-";
    size_t used = 0;
    text[0] = '\0';
    for (char **each = environ; *each; each++) {
        size_t length = strlen(*each);
        bool is_meant = !strncmp(*each, "OPENBLAS_", 9) || !strncmp(*each, "OMP_", 4);
        if (!is_meant || (*each)[strspn(*each, plain)] || used + length + 2 > text_bytes)
            continue;
        used += (size_t)snprintf(text + used, text_bytes - used, " %s", *each);
    }
}

/* PRRTE cuts this at blanks and joins it again, for the shell on the other side. */
static void add_daemon(struct list *list, const struct command_hosts *over)
{
    if (strchr(over->base, '\'') || strstr(over->base, "  "))
        return;
    char variables[VARIABLES_BYTES];
    list_variables(variables, sizeof variables);
    add(list, "--prtemca");
    add(list, "prte_launch_agent");
    add_text(list, "env ONWARD_TASK=%s 'ONWARD_DIR=%s' ONWARD_INCARNATION=%lld%s prted", over->task,
             over->base, (long long)over->incarnation, variables);
}

/* The environment reaches other hosts by name. */
static void add_environment(struct list *list)
{
    static const char prefix[] = "ONWARD_";
    int count = 0;
    for (char **each = environ; *each && count < MAX_FORWARDED; each++) {
        const char *equals = strchr(*each, '=');
        if (!equals || strncmp(*each, prefix, sizeof prefix - 1) != 0)
            continue;
        add(list, "-x");
        add_text(list, "%.*s", (int)(equals - *each), *each);
        count++;
    }
}

static void add_place(struct list *list, const struct command_settings *settings)
{
    const struct command_hosts *over = settings->over;
    if (!over) {
        static const char *const alone[] = {"--map-by", ":OVERSUBSCRIBE", "--mca",
                                            "btl_tcp_if_include", "lo"};
        add_all(list, alone, 5);
        return;
    }
    add_hosts(list, over->hosts, !settings->is_plain);
    add(list, "--map-by");
    add(list, "slot:OVERSUBSCRIBE");
    if (*over->subnets) {
        add(list, "--mca");
        add(list, "btl_tcp_if_include");
        add_text(list, "%s", over->subnets); /* the caller's does not live as long */
    }
    add_parameter(list, "plm", "ssh");
    add_parameter(list, "plm_ssh_agent", over->agent);
    add_parameter(list, "plm_ssh_no_tree_spawn", "1");
    add_keepalive(list, over);
    add_daemon(list, over);
    add_environment(list);
}

static size_t text_room(const struct command_settings *settings)
{
    size_t bytes = TEXT_BYTES;
    if (!settings->over)
        return bytes;
    for (char **each = environ; *each; each++)
        bytes += strcspn(*each, "=") + 1;
    return bytes + strlen(settings->over->base) + strlen(settings->over->subnets) +
           settings->over->hosts->count * (HOSTS_NAME_BYTES + 16);
}

/* The user says so; mpirun refuses a second one, or takes either. */
static bool has_argument(const struct command_settings *settings, const char *argument)
{
    for (uint32_t i = 0; i < settings->mpirun_argument_count; i++)
        if (!strcmp(settings->mpirun_arguments[i], argument))
            return true;
    return false;
}

static bool yields(const struct command_settings *settings)
{
    bool is_crowded = settings->rank_count > settings->core_count;
    return (!settings->is_plain || is_crowded) && !has_argument(settings, "mpi_yield_when_idle");
}

int command_build(const struct command_settings *settings, char ***command, struct error *error)
{
    static const char *const yielding[] = {"--mca", "mpi_yield_when_idle", "1"};
    static const char *const unbound[] = {"--bind-to", "none"};
    size_t room = FIXED_ARGUMENTS + 2 * MAX_FORWARDED + (size_t)settings->mpirun_argument_count +
                  settings->program_count;
    size_t text_bytes = text_room(settings);
    struct list list = {.items = malloc(room * sizeof(char *) + text_bytes),
                        .text_bytes = text_bytes};
    if (!list.items)
        return error_set(error, ONWARD_ERR_MEMORY, "command line of mpirun: out of memory");
    list.text = (char *)(list.items + room);
    add(&list, settings->mpirun);
    add(&list, "-n");
    add_text(&list, "%u", settings->rank_count);
    if (!settings->is_plain) {
        add_all(&list, fault_tolerant, sizeof fault_tolerant / sizeof *fault_tolerant);
        add_parameter(&list, "state_base_recoverable", "1");
    }
    if (!has_argument(settings, "--bind-to"))
        add_all(&list, unbound, 2);
    if (settings->session) {
        add(&list, "--prtemca");
        add(&list, "prte_local_tmpdir_base");
        add(&list, settings->session);
    }
    if (settings->in_allocation)
        add_parameter(&list, "ras", "^slurm");
    add_place(&list, settings);
    if (yields(settings))
        add_all(&list, yielding, 3);
    if (settings->is_root)
        add(&list, "--allow-run-as-root");
    add_all(&list, settings->mpirun_arguments, settings->mpirun_argument_count);
    add_all(&list, settings->program, settings->program_count);
    list.items[list.count] = NULL;
    *command = list.items;
    return ONWARD_OK;
}

void command_keepalive_prefix(const char *mpirun, char *prefix, size_t prefix_bytes)
{
    static const char script[] =
        "info=${0%/*}/prte_info; [ -x \"$info\" ] || info=prte_info\n"
        "\"$info\" -a 2>/dev/null | grep -o '\"[a-z_]*_keepalive_time\"' | head -n 1";
    static struct quick_result result;
    char *const command[] = {(char *)"sh", (char *)"-c", (char *)script, (char *)mpirun, NULL};
    prefix[0] = '\0';
    if (quick_run(command, info_limit_s, &result, NULL) != ONWARD_OK || result.output[0] != '"')
        return;
    char *end = strstr(result.output, "_keepalive_time");
    if (!end)
        return;
    *end = '\0';
    snprintf(prefix, prefix_bytes, "%s", result.output + 1);
}
