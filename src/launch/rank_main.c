/* rank_main.c - onward-rank: the program of one rank, under mpirun, where the program does not use
 * libonward.
 *
 *     onward-rank PROGRAM [ARGUMENT...]
 *
 * It is two processes. The outer one is what mpirun knows: it hands signals on, and ends as the
 * program ended. The inner one is the program's parent, in a session of its own, so that what kills
 * the outer one and its process group leaves it time to clean up. All that the program starts stays
 * below it (PR_SET_CHILD_SUBREAPER) and is killed when the program has ended, or the outer process,
 * or mpirun's daemon. Then it reports how the program ended (ranks.h).
 *
 * ONWARD_RESTART_CMD, where it is not empty, is run by the shell in place of PROGRAM. SIGUSR2,
 * which mpirun hands on to all ranks, is how the launcher asks the program to stop: it gets
 * SIGTERM, for which mpirun itself would leave it no time. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "file.h"
#include "ranks.h"
#include "say.h"

enum { NOT_STARTED = 1, NOT_EXECUTED = 127, LOOK_MS = 1000 };

static const double kill_limit_s = 10;

struct program {
    char **arguments;
    const char *restart_command; /* NULL: none */
    uint32_t rank;
    int report;          /* where it is reported */
    char path[PATH_MAX]; /* of that */
};

static int open_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* As the program did; a second core file would be of no use. */
static void end_as(int status)
{
    const struct rlimit none = {0, 0};
    sigset_t own;
    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    int number = WTERMSIG(status);
    setrlimit(RLIMIT_CORE, &none);
    signal(number, SIG_DFL);
    sigemptyset(&own);
    sigaddset(&own, number);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &own, NULL);
    _exit(128 + number);
}

/* ---- the inner process ------------------------------------------------------------------------
 */

static void become(const struct program *program, pid_t parent)
{
    char *const shell[] = {(char *)"/bin/sh", (char *)"-c", (char *)program->restart_command, NULL};
    char *const *arguments = program->restart_command ? shell : program->arguments;
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (getppid() == parent)
        execvp(arguments[0], arguments);
    fprintf(stderr, "onward-rank: %s: %s\n", arguments[0], strerror(errno));
    _exit(NOT_EXECUTED);
}

/* In one write, so that lines of several ranks do not mix. */
static bool report(const struct program *program, const char *line, int size)
{
    if (write(program->report, line, (size_t)size) == size)
        return true;
    fprintf(stderr, "onward-rank: %s: %s\n", program->path, strerror(errno));
    return false;
}

static bool report_begun(const struct program *program, pid_t pid)
{
    char line[RANKS_LINE_BYTES];
    return report(program, line, ranks_begun_line(program->rank, (int32_t)pid, line));
}

static bool report_ended(const struct program *program, int status)
{
    struct timespec now;
    char line[RANKS_LINE_BYTES];
    clock_gettime(CLOCK_REALTIME, &now);
    struct rank how = {.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                       .ended_us = now.tv_sec * 1000000LL + now.tv_nsec / 1000};
    bool written = report(program, line, ranks_ended_line(program->rank, &how, line));
    return close(program->report) == 0 && written; /* a file server may refuse it only now */
}

/* Signals for the program; false: the outer process is gone. */
static bool hand_on(int orders, pid_t pid)
{
    unsigned char numbers[64];
    ssize_t got;
    while ((got = read(orders, numbers, sizeof numbers)) > 0)
        for (ssize_t i = 0; i < got; i++)
            kill(-pid, numbers[i]);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

static void await_end(struct child *child, int signals, int orders)
{
    struct signalfd_siginfo info;
    struct pollfd fds[] = {{signals, POLLIN, 0}, {orders, POLLIN, 0}};
    while (!child->ended) {
        if (poll(fds, 2, LOOK_MS) < 0 && errno != EINTR)
            sleep_s(LOOK_MS / 1e3);
        while (read(signals, &info, sizeof info) > 0)
            ;
        if (fds[1].revents && !hand_on(orders, child->pid))
            child_kill_all(child, kill_limit_s);
        child_reap(child);
    }
}

/* Never returns. */
static void keep(const struct program *program, int orders)
{
    struct error error;
    struct child child = {.output = -1, .error_output = -1};
    setsid();
    int signals = open_signals();
    if (signals < 0 || child_adopt_orphans(&error) != ONWARD_OK)
        _exit(NOT_STARTED);
    pid_t parent = getpid();
    child.pid = fork();
    if (child.pid == 0)
        become(program, parent);
    if (child.pid < 0 || !report_begun(program, child.pid)) {
        child_kill_all(&child, kill_limit_s);
        _exit(NOT_STARTED);
    }
    setpgid(child.pid, child.pid);
    await_end(&child, signals, orders);
    child_kill_all(&child, kill_limit_s);
    if (!report_ended(program, child.status))
        _exit(NOT_STARTED);
    end_as(child.status);
}

/* ---- the outer process ------------------------------------------------------------------------
 */

/* What came goes to the program; true: the inner process ended, with that status. */
static bool take_signals(int signals, int orders, pid_t inner, int *status)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        unsigned char number = info.ssi_signo == SIGUSR2 ? SIGTERM : (unsigned char)info.ssi_signo;
        if (info.ssi_signo != SIGCHLD && write(orders, &number, 1) < 0 && errno != EAGAIN)
            break; /* it is about to end */
    }
    return waitpid(inner, status, WNOHANG) == inner;
}

/* Ends with the program, and takes it along when mpirun's daemon is gone. */
static void watch(pid_t inner, int orders, pid_t daemon)
{
    int status, signals = open_signals(), parent = pidfd_open(daemon, 0);
    struct pollfd fds[] = {{signals, POLLIN, 0}, {parent, POLLIN, 0}};
    if (signals < 0)
        _exit(NOT_STARTED);
    while (!take_signals(signals, orders, inner, &status)) {
        if (getppid() != daemon)
            _exit(NOT_STARTED); /* closes the pipe: the inner process kills all */
        poll(fds, parent >= 0 ? 2 : 1, LOOK_MS);
    }
    end_as(status);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    if (value && *value)
        return value;
    say("onward-rank: expected to be started by onward run: no %s in the environment", name);
    exit(EXIT_USAGE);
}

static uint32_t own_rank(void)
{
    const char *text = getenv("OMPI_COMM_WORLD_RANK");
    return (uint32_t)strtoul(text && *text ? text : variable("PMIX_RANK"), NULL, 10);
}

/* Opens the file of this host. */
static int open_report(struct program *program, struct error *error)
{
    char run[PATH_MAX], directory[PATH_MAX], host[RANKS_HOST_BYTES] = "";
    gethostname(host, sizeof host - 1);
    int code = file_join(run, sizeof run, variable("ONWARD_DIR"), variable("ONWARD_TASK"), error);
    if (code == ONWARD_OK)
        code = ranks_directory(run, strtoll(variable("ONWARD_INCARNATION"), NULL, 10), directory,
                               sizeof directory, error);
    if (code == ONWARD_OK)
        code = file_join(program->path, sizeof program->path, directory, host, error);
    if (code != ONWARD_OK)
        return code;
    program->report = open(program->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (program->report < 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "onward-rank: %s", program->path);
    return ONWARD_OK;
}

int main(int argc, char **argv)
{
    int orders[2];
    struct error error;
    const char *restart_command = getenv("ONWARD_RESTART_CMD");
    pid_t daemon = getppid();
    struct program program = {.arguments = argv + 1, .rank = own_rank()};
    if (restart_command && *restart_command)
        program.restart_command = restart_command;
    if (argc < 2) {
        say("onward-rank: expected a program");
        return EXIT_USAGE;
    }
    if (open_report(&program, &error) != ONWARD_OK)
        return say_error(&error);
    if (pipe2(orders, O_CLOEXEC | O_NONBLOCK) != 0) {
        say("onward-rank: pipe: %s", strerror(errno));
        return NOT_STARTED;
    }
    pid_t inner = fork();
    if (inner == 0) {
        close(orders[1]);
        keep(&program, orders[0]);
    }
    close(orders[0]);
    close(program.report);
    if (inner < 0) {
        say("onward-rank: fork: %s", strerror(errno));
        return NOT_STARTED;
    }
    watch(inner, orders[1], daemon);
    return NOT_STARTED; /* never */
}
