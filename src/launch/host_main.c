/* host_main.c - onward-host: what the launcher wants done on a host, through its agent. It prints
 * one line of JSON; see print_help.
 *
 * A probe kills what is left of older incarnations on the way: to ask twice would cost a second
 * connection, in the middle of a relaunch. What killed processes shared with each other goes, too.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "copy.h"
#include "leftovers.h"
#include "local.h"
#include "rundir.h"
#include "say.h"
#include "segments.h"
#include "slurm.h"
#include "slurm_news.h"
#include "start.h"
#include "verb.h"

static const double kill_limit_s = 3;

enum { MAX_ARGUMENTS = 4, ADDRESSES_BYTES = 512 };

struct input {
    const char *arguments[MAX_ARGUMENTS]; /* VERB TASK DIR LOCALDIR */
    const char *cleaned;                  /* a LOCALDIR; NULL: none */
    int count, signal;
    struct leftover_choice choice;
};

static int signal_of(const char *text)
{
    if (!strncmp(text, "SIG", 3))
        text += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *name = sigabbrev_np(i);
        if (name && !strcmp(name, text))
            return i;
    }
    return (int)options_number("--signal", text, 1, NSIG - 1);
}

static error_t parse_input(int key, char *text, struct argp_state *state)
{
    struct input *input = state->input;
    switch (key) {
    case 'b':
        input->choice.before = options_number("--before", text, 1, INT64_MAX);
        return 0;
    case 'c':
        input->cleaned = text;
        return 0;
    case 'p':
        input->choice.pid = (pid_t)options_number("--pid", text, 1, INT32_MAX);
        return 0;
    case 's':
        input->signal = signal_of(text);
        return 0;
    case ARGP_KEY_ARG:
        if (input->count == MAX_ARGUMENTS)
            options_refuse("onward-host: %s: expected at most %d arguments", text, MAX_ARGUMENTS);
        input->arguments[input->count++] = text;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"before", 'b', "INCARNATION", 0, "processes of older incarnations alone", 0},
    {"clean", 'c', "LOCALDIR", 0, "then remove the task's copies of its state there, too", 0},
    {"pid", 'p', "PID", 0, "this process alone", 0},
    {"signal", 's', "SIGNAL", 0, "another signal than KILL", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp host_argp = {
    .options = table,
    .parser = parse_input,
    .args_doc = "probe TASK DIR LOCALDIR\nlist TASK DIR\nkill TASK DIR\nreach HOST "
                "COMMAND...\nhear\nwatch\ndeputize\ngive-back HOST",
    .doc =
        "Tells about this host, or about the processes of a task on it, in one line of JSON. A "
        "probe with --before kills what older incarnations left. Inside of a job of Slurm, reach "
        "runs COMMAND on a host of the job by srun, hear waits for a signal to the job's steps, "
        "watch tells which nodes are drained, deputize puts a job back into the queue that has "
        "lost "
        "the node of its script, and give-back takes a host out of the job.",
};

/* In one line, which the launcher finds whatever a shell says before it. */
static int print_line(json_t *root)
{
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text) {
        say("onward-host: out of memory, or a text is not UTF-8");
        return 1;
    }
    puts(text);
    free(text);
    return finish_output(0);
}

/* Can a file be made in the run directory? access() does not know what a server allows. */
static bool is_writable(const char *directory)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.3900s/.probe-XXXXXX", directory);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return false;
    close(fd);
    return unlink(path) == 0;
}

static double free_bytes(const char *directory)
{
    struct statvfs status;
    if (statvfs(directory, &status) != 0)
        return -1;
    return (double)status.f_bavail * (double)status.f_frsize;
}

/* IPv4 addresses of this host as "ADDRESS/BITS ADDRESS/BITS ...", without loopback. */
static void list_addresses(char *text, size_t text_bytes)
{
    struct ifaddrs *all = NULL;
    size_t used = 0;
    text[0] = '\0';
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *each = all; each; each = each->ifa_next) {
        char name[INET_ADDRSTRLEN];
        if (!each->ifa_addr || !each->ifa_netmask || each->ifa_addr->sa_family != AF_INET ||
            (each->ifa_flags & IFF_LOOPBACK) || !(each->ifa_flags & IFF_UP) ||
            used + sizeof name + 4 >= text_bytes)
            continue;
        const struct sockaddr_in *address = (const void *)each->ifa_addr;
        const struct sockaddr_in *mask = (const void *)each->ifa_netmask;
        inet_ntop(AF_INET, &address->sin_addr, name, sizeof name);
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%s/%d", used ? " " : "", name,
                                 __builtin_popcount((unsigned)mask->sin_addr.s_addr));
    }
    freeifaddrs(all);
}

static int probe(const struct input *input)
{
    char host[256] = "", directory[PATH_MAX], addresses[ADDRESSES_BYTES];
    double load = 0;
    int killed = 0;
    const struct leftover_choice *choice = &input->choice;
    snprintf(directory, sizeof directory, "%.2000s/%.2000s", choice->base, choice->task);
    gethostname(host, sizeof host - 1);
    list_addresses(addresses, sizeof addresses);
    if (getloadavg(&load, 1) != 1)
        load = -1;
    bool visible = access(directory, R_OK | X_OK) == 0;
    int left = choice->before ? leftovers_signal(choice, SIGKILL, kill_limit_s, &killed) : 0;
    if (choice->before)
        segments_remove();
    return print_line(json_pack("{s:s, s:i, s:f, s:f, s:b, s:b, s:s, s:i, s:i}", "host", host,
                                "cores", (int)start_core_count(), "load", load, "local_free_bytes",
                                free_bytes(input->arguments[3]), "visible", visible, "writable",
                                visible && is_writable(directory), "addresses", addresses, "killed",
                                killed, "left", left));
}

static int list(const struct input *input)
{
    struct leftover *found;
    int count = leftovers_find(&input->choice, &found);
    json_t *processes = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(processes,
                              json_pack("{s:i, s:I, s:s}", "pid", (int)found[i].pid, "incarnation",
                                        (json_int_t)found[i].incarnation, "kind", found[i].kind));
    free(found);
    int exit_code = print_line(json_pack("{s:o}", "processes", processes));
    return count < 0 ? 1 : exit_code;
}

/* No member is left that could want them. */
static void clean(const struct input *input)
{
    struct rundir *rundir = NULL;
    struct local_id id = {.directory = input->cleaned, .task = input->choice.task};
    struct copy_place place = {.directory = input->cleaned, .task = input->choice.task};
    if (rundir_open(input->choice.base, input->choice.task, NULL, &rundir, NULL) != ONWARD_OK)
        return;
    if (rundir_number(rundir, &id.run, NULL) == ONWARD_OK) {
        place.run = id.run;
        copy_remove_all(&place);
        local_remove_all(&id);
    }
    rundir_close(rundir);
}

static int signal_them(const struct input *input)
{
    int signalled;
    int left = leftovers_signal(&input->choice, input->signal, kill_limit_s, &signalled);
    if (input->cleaned && left == 0)
        clean(input);
    if (input->signal == SIGKILL && !input->choice.pid)
        segments_remove();
    int exit_code = print_line(json_pack("{s:i, s:i}", "signalled", signalled, "left", left));
    bool ends = input->signal == SIGKILL || input->signal == SIGTERM;
    return left < 0 || (ends && left > 0) ? 1 : exit_code;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        int (*run)(const struct input *input);
    } verbs[] = {{"probe", 4, probe}, {"list", 3, list}, {"kill", 3, signal_them}};
    struct input input = {.signal = SIGKILL};
    if (argc > 1 && !strcmp(argv[1], "reach"))
        return slurm_reach(argc - 2, argv + 2);
    if (argc == 2 && !strcmp(argv[1], "hear"))
        return slurm_hear();
    if (argc == 2 && !strcmp(argv[1], "watch"))
        return slurm_watch();
    if (argc == 2 && !strcmp(argv[1], "deputize"))
        return slurm_deputize();
    if (argc == 3 && !strcmp(argv[1], "give-back"))
        return slurm_give_back(argv[2]);
    options_parse(&host_argp, "onward-host", argc, argv, &input);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (input.count == verbs[i].arguments && !strcmp(input.arguments[0], verbs[i].name)) {
            input.choice.task = input.arguments[1];
            input.choice.base = input.arguments[2];
            return verbs[i].run(&input);
        }
    say("onward-host: expected probe TASK DIR LOCALDIR, list TASK DIR or kill TASK DIR");
    return EXIT_USAGE;
}
