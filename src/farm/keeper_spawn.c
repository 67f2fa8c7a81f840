/* keeper_spawn.c - starts a command, and kills what is below the keeper.
 *
 * vfork, since it is what a rate of thousands a second needs: the child borrows the keeper's memory
 * until it executes the command, so it touches nothing but its own stack and *problem. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper_internal.h"
#include "processes.h"

enum { LOOK_NS = 2000000 };

/* In the child, until it is the command. PR_SET_PDEATHSIG counts from here: a keeper that died
 * before has another one as the parent. */
static void become(const struct keeper_launch *launch, const int *fds, pid_t keeper,
                   volatile int *problem)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == keeper && dup2(fds[0], STDIN_FILENO) >= 0 &&
        dup2(fds[1], STDOUT_FILENO) >= 0 && dup2(fds[2], STDERR_FILENO) >= 0 &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execvpe(launch->arguments[0], launch->arguments, launch->environment);
    *problem = errno;
    _exit(127);
}

pid_t keeper_spawn(const struct keeper_launch *launch, int input, int output, int error_output,
                   int *problem)
{
    const int fds[] = {input, output, error_output};
    volatile int failed = 0;
    const pid_t keeper = getpid();
    const pid_t pid = vfork();
    if (pid == 0)
        become(launch, fds, keeper, &failed);
    *problem = pid < 0 ? errno : failed;
    if (pid > 0 && failed)
        waitpid(pid, NULL, 0);
    return pid > 0 && failed ? -1 : pid;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Whether any child is left, dead or alive. */
static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static void kill_once(void)
{
    struct process *list;
    int count = processes_below(&list);
    for (int i = 0; i < count; i++)
        kill(list[i].pid, SIGKILL);
    free(list);
}

bool keeper_kill_below(double limit_s)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    int64_t deadline_ns = now_ns() + (int64_t)(limit_s * 1e9);
    while (has_children()) {
        kill_once();
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (!has_children())
            return true;
        if (now_ns() > deadline_ns)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}
