/* child.c - mpirun as a child: started in a process group of its own, and ended for certain.
 *
 * To end it, the process table is read for everything below the launcher, again and again until
 * nothing is left: ranks sit in process groups of their own, may be stopped, and may start others
 * while they are being killed. What was below this process already before it started anything, as
 * is what a job script left in the background when it said `exec onward', is none of ours. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "processes.h"
#include "say.h"

/* The processes that were below us already. */
static struct {
    bool known;
    struct process *list;
    int count;
} bystanders;

static bool is_bystander(pid_t pid)
{
    for (int i = 0; i < bystanders.count; i++)
        if (bystanders.list[i].pid == pid)
            return true;
    return false;
}

int child_adopt_orphans(struct error *error)
{
    if (!bystanders.known) {
        bystanders.known = true;
        bystanders.count = processes_below(&bystanders.list);
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "cannot adopt orphaned processes");
    return ONWARD_OK;
}

/* In the child: never returns; errno goes to `report` when the command cannot be executed. */
static void become(char *const *command, int output, int error_output, int report, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int nothing = open("/dev/null", O_RDONLY);
    if (getppid() == parent && nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 &&
        dup2(output, STDOUT_FILENO) >= 0 && dup2(error_output, STDERR_FILENO) >= 0)
        execvp(command[0], command);
    int problem = errno;
    ssize_t written = write(report, &problem, sizeof problem);
    _exit(written == (ssize_t)sizeof problem ? 127 : 126);
}

static int open_pipes(int pipes[3][2], struct error *error)
{
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) == 0)
            continue;
        int problem = errno;
        while (i-- > 0) {
            close(pipes[i][0]);
            close(pipes[i][1]);
        }
        return error_set_errno(error, ONWARD_ERR_IO, problem, "pipe");
    }
    return ONWARD_OK;
}

/* 0 when the command was executed, else its errno. */
static int executed(int report)
{
    int problem = 0;
    ssize_t got;
    do
        got = read(report, &problem, sizeof problem);
    while (got < 0 && errno == EINTR);
    close(report);
    return got == (ssize_t)sizeof problem ? problem : 0;
}

int child_start(struct child *child, char *const *command, struct error *error)
{
    int pipes[3][2];
    int code = open_pipes(pipes, error);
    if (code != ONWARD_OK)
        return code;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(command, pipes[0][1], pipes[1][1], pipes[2][1], parent);
    int problem = errno;
    for (int i = 0; i < 3; i++)
        close(pipes[i][1]);
    if (pid > 0)
        problem = executed(pipes[2][0]);
    else
        close(pipes[2][0]);
    *child = (struct child){.pid = pid, .output = pipes[0][0], .error_output = pipes[1][0]};
    if (pid > 0 && problem == 0) {
        setpgid(pid, pid);
        fcntl(child->output, F_SETFL, O_NONBLOCK);
        fcntl(child->error_output, F_SETFL, O_NONBLOCK);
        return ONWARD_OK;
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
    child_close(child);
    return error_set_errno(error, pid > 0 ? ONWARD_ERR_NOT_FOUND : ONWARD_ERR_IO, problem,
                           "%s cannot be started", command[0]);
}

bool child_may_start_later(const struct error *error)
{
    int number = error->errno_value;
    return number == EAGAIN || number == ENOMEM || number == EMFILE || number == ENFILE;
}

void child_reap(struct child *child)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == child->pid) {
            child->ended = true;
            child->status = status;
        }
}

/* A bystander, or below one: parents stand before their children in the list. */
static bool is_spared(const struct process *list, const bool *spared, int index)
{
    if (is_bystander(list[index].pid))
        return true;
    for (int i = 0; i < index; i++)
        if (list[i].pid == list[index].parent)
            return spared[i];
    return false;
}

/* Kills all of ours below us; returns how many there were, at least one when that is not known. */
static int kill_descendants(const struct child *child)
{
    struct process *list;
    int count = processes_below(&list), killed = 0;
    bool *spared = calloc(count > 0 ? (size_t)count : 1, sizeof *spared);
    for (int i = 0; spared && i < count; i++) {
        spared[i] = is_spared(list, spared, i);
        if (!spared[i]) {
            kill(list[i].pid, SIGKILL);
            killed++;
        }
    }
    bool known = spared && count >= 0;
    free(spared);
    free(list);
    if (!known && child->pid > 0)
        kill(-child->pid, SIGKILL);
    return known ? killed : 1;
}

bool child_kill_all(struct child *child, double limit_s)
{
    double deadline_s = clock_now_s() + limit_s;
    int left;
    while ((left = kill_descendants(child)) > 0 && clock_now_s() < deadline_s) {
        child_reap(child);
        sleep_s(0.01);
    }
    child_reap(child);
    return left == 0;
}

void child_describe(const struct child *child, char *text, size_t text_bytes)
{
    if (WIFSIGNALED(child->status))
        snprintf(text, text_bytes, "signal %d (%s)", WTERMSIG(child->status),
                 strsignal(WTERMSIG(child->status)));
    else
        snprintf(text, text_bytes, "exit status %d", WEXITSTATUS(child->status));
}

void child_close(struct child *child)
{
    if (child->output >= 0)
        close(child->output);
    if (child->error_output >= 0)
        close(child->error_output);
    child->output = child->error_output = -1;
}
