/* child.c - mpirun as a child: started in a process group of its own, and ended for certain.
 *
 * To end it, the process table is read for everything below the launcher, again and again until
 * nothing is left: ranks sit in process groups of their own, may be stopped, and may start others
 * while they are being killed. */
#include "child.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

enum { MAX_PROCESSES = 65536, STAT_BYTES = 512 };

int child_adopt_orphans(struct error *error)
{
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

struct process {
    pid_t pid, parent;
    bool ours;
};

/* The parent is the second word behind the command's name, which stands in parentheses and may
 * hold anything. Zombies do not count: they are dead. */
static bool read_process(const char *name, struct process *process)
{
    char path[64], text[STAT_BYTES], state;
    int parent;
    snprintf(path, sizeof path, "/proc/%.20s/stat", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    const char *close_parenthesis = strrchr(text, ')');
    if (!close_parenthesis || sscanf(close_parenthesis + 1, " %c %d", &state, &parent) != 2)
        return false;
    *process = (struct process){(pid_t)atoi(name), parent, false};
    return state != 'Z' && state != 'X';
}

static size_t read_processes(struct process *processes, size_t max)
{
    size_t count = 0;
    DIR *table = opendir("/proc");
    if (!table)
        return 0;
    const struct dirent *entry;
    while (count < max && (entry = readdir(table)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) &&
            read_process(entry->d_name, &processes[count]))
            count++;
    closedir(table);
    return count;
}

static bool is_ours(const struct process *processes, size_t count, pid_t parent)
{
    if (parent == getpid())
        return true;
    for (size_t i = 0; i < count; i++)
        if (processes[i].pid == parent)
            return processes[i].ours;
    return false;
}

/* Kills all below us; returns how many there were. One that stands before its parent in the table
 * is missed; it becomes our child when the parent is gone, and is found the next time. */
static size_t kill_descendants(struct process *processes)
{
    size_t count = read_processes(processes, MAX_PROCESSES), killed = 0;
    for (size_t i = 0; i < count; i++) {
        processes[i].ours = is_ours(processes, i, processes[i].parent);
        if (!processes[i].ours)
            continue;
        kill(processes[i].pid, SIGKILL);
        killed++;
    }
    return killed;
}

bool child_kill_all(struct child *child, double limit_s)
{
    double deadline_s = clock_now_s() + limit_s;
    struct process *processes = malloc(MAX_PROCESSES * sizeof *processes);
    if (!processes) {
        kill(-child->pid, SIGKILL);
        return false;
    }
    size_t left;
    while ((left = kill_descendants(processes)) > 0 && clock_now_s() < deadline_s) {
        child_reap(child);
        sleep_s(0.01);
    }
    free(processes);
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
