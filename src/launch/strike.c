/* strike.c - how a fault is done. A process is signalled only when ONWARD_TASK in its environment
 * names the task: its number may have passed to another one meanwhile. */
#include "strike.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host_names.h"
#include "process.h"
#include "say.h"
#include "words.h"

enum { ENVIRONMENT_BYTES = 1 << 20, COMMAND_BYTES = 1 << 16, MAX_DAEMONS = 64 };

static const double command_limit_s = 60;

extern char **environ;

static bool is_here(const char *host)
{
    char own[RUNDIR_HOST_BYTES] = "";
    gethostname(own, sizeof own - 1);
    return !strcmp(host, own);
}

static bool is_of_task(const struct strike *strike, int64_t pid)
{
    static char text[ENVIRONMENT_BYTES];
    char wanted[RUNDIR_TASK_BYTES + 16];
    size_t size = process_read_file((pid_t)pid, "environ", text, sizeof text);
    snprintf(wanted, sizeof wanted, "ONWARD_TASK=%s", strike->task);
    for (const char *at = text; at < text + size; at += strlen(at) + 1)
        if (!strcmp(at, wanted))
            return true;
    return false;
}

/* The descriptor keeps meaning the process that was looked at. */
static int signal_here(const struct strike *strike, int64_t pid, int signal, struct error *error)
{
    int process = pidfd_open((pid_t)pid, 0);
    bool found = process >= 0 && is_of_task(strike, pid);
    int failed = found && pidfd_send_signal(process, signal, NULL, 0) != 0;
    int problem = errno;
    if (process >= 0)
        close(process);
    if (!found || (failed && problem == ESRCH))
        return error_set(error, ONWARD_ERR_NOT_FOUND, "process %lld is gone", (long long)pid);
    return failed ? error_set_errno(error, ONWARD_ERR_IO, problem, "process %lld", (long long)pid)
                  : ONWARD_OK;
}

/* Waits for the child, bounded; its exit status, or -1. What it left running is left alone: it may
 * be the host that it booted. */
static int wait_bounded(pid_t pid)
{
    int status = 0;
    double deadline_s = clock_now_s() + command_limit_s;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_now_s() > deadline_s) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
        sleep_s(0.01);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The first two {} become the two words; without any they come behind. */
static void make_script(const char *command, char *script, size_t script_bytes)
{
    struct words words = words_start(script, script_bytes);
    const char *rest = command, *place;
    for (int i = 1; i <= 2 && (place = strstr(rest, "{}")) != NULL; i++) {
        words_add(&words, "%.*s\"$%d\"", (int)(place - rest), rest, i);
        rest = place + 2;
    }
    words_add(&words, "%s%s", rest, rest == command ? " \"$@\"" : "");
}

/* A command of the operator's with two words, by the shell: it may have options. */
static int run_command(const char *command, const char *first, const char *second,
                       struct error *error)
{
    char script[COMMAND_BYTES];
    pid_t pid;
    if (strlen(command) > COMMAND_BYTES / 2)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%.64s...: expected a shorter command",
                         command);
    make_script(command, script, sizeof script);
    char *const arguments[] = {"sh", "-c", script, "sh", (char *)first, (char *)second, NULL};
    int problem = posix_spawnp(&pid, "sh", NULL, NULL, arguments, environ);
    if (problem != 0)
        return error_set_errno(error, ONWARD_ERR_IO, problem, "sh");
    int status = wait_bounded(pid);
    return status == 0 ? ONWARD_OK
                       : error_set(error, ONWARD_ERR_IO, "%s %s %.64s: exit status %d, expected 0",
                                   command, first, second, status);
}

/* The one way to another host, which is called as the task's list has it. */
static int run_on_host(const struct strike *strike, const char *host, const char *script,
                       struct error *error)
{
    return run_command(strike->agent, host_names_listed(strike->names, host), script, error);
}

int strike_member(const struct strike *strike, const struct run_member *member, int signal,
                  struct error *error)
{
    char script[256];
    if (is_here(member->host))
        return signal_here(strike, member->pid, signal, error);
    snprintf(script, sizeof script,
             "grep -qszFx 'ONWARD_TASK=%s' /proc/%lld/environ && kill -%d %lld", strike->task,
             (long long)member->pid, signal, (long long)member->pid);
    return run_on_host(strike, member->host, script, error);
}

static int64_t daemon_above(int64_t pid)
{
    char text[4096];
    process_read_file((pid_t)pid, "status", text, sizeof text);
    const char *line = strstr(text, "\nPPid:");
    int64_t parent = line ? atoll(line + strlen("\nPPid:")) : 0;
    process_read_file((pid_t)parent, "comm", text, sizeof text);
    return parent > 1 && !strcmp(text, "prted\n") ? parent : 0;
}

static int strike_this_host(const struct strike *strike, const struct run_members *members,
                            const char *host, struct error *error)
{
    int64_t daemons[MAX_DAEMONS];
    int count = 0, code = ONWARD_ERR_NOT_FOUND;
    for (uint32_t i = 0; i < members->count; i++) {
        int64_t pid = members->list[i].pid;
        if (strcmp(members->list[i].host, host) != 0)
            continue;
        int64_t daemon = daemon_above(pid);
        int struck = signal_here(strike, pid, SIGKILL, error);
        if (struck == ONWARD_OK && daemon && count < MAX_DAEMONS)
            daemons[count++] = daemon;
        if (struck != ONWARD_ERR_NOT_FOUND)
            code = struck;
    }
    for (int i = 0; i < count; i++)
        kill((pid_t)daemons[i], SIGKILL);
    return code;
}

int strike_host(const struct strike *strike, const struct run_members *members, const char *host,
                struct error *error)
{
    static char script[COMMAND_BYTES];
    struct words words = words_start(script, sizeof script);
    if (is_here(host))
        return strike_this_host(strike, members, host, error);
    words_add(&words, "for p in");
    for (uint32_t i = 0; i < members->count; i++)
        if (!strcmp(members->list[i].host, host))
            words_add(&words, " %lld", (long long)members->list[i].pid);
    words_add(&words,
              "; do grep -qszFx 'ONWARD_TASK=%s' /proc/$p/environ || continue; "
              "d=\"$d $(sed -n 's/^PPid:[^0-9]*//p' /proc/$p/status)\"; kill -9 $p; done; "
              "for p in $d; do grep -qsx prted /proc/$p/comm && kill -9 $p; done; test -n \"$d\"",
              strike->task);
    return run_on_host(strike, host, script, error);
}

int strike_by_command(const struct strike *strike, const char *action, const char *host,
                      struct error *error)
{
    return run_command(strike->host_command, action, host, error);
}
