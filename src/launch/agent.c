/* agent.c - one command on many hosts at once. A window of them runs at a time, so that a thousand
 * hosts do not need a thousand descriptors. One that has not answered within its share of the time
 * does not keep the next one waiting any more, so that those that hang never cost others their
 * turn: all are begun in the first half of the time. Each is a process group of its own, which is
 * killed as a whole when its time is over. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

#ifndef AGENT_AT_ONCE /* a test has fewer */
#define AGENT_AT_ONCE 256
#endif
enum {
    MAX_AT_ONCE = AGENT_AT_ONCE,
    MAX_IN_ALL = 2 * MAX_AT_ONCE,
    MAX_AGENT_WORDS = 64,
    TURN_MS = 10,
    NOT_EXECUTED = 127
};

static const double least_grace_s = 0.5;

/* The command as a shell on the other side reads it: every word in quotes. NULL: out of memory. */
static char *quote(char *const *command)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return NULL;
    for (int i = 0; command[i]; i++) {
        fputs(i ? " '" : "'", stream);
        for (const char *c = command[i]; *c; c++)
            fputs(*c == '\'' ? "'\\''" : (char[]){*c, '\0'}, stream);
        fputc('\'', stream);
    }
    if (fclose(stream) == 0)
        return text;
    free(text);
    return NULL;
}

/* In the child: never returns. It must not be taken for a process of the task (leftovers.h). */
static void become(char *agent, char *const *command, char *quoted, const struct agent_call *call,
                   int output)
{
    char *words[MAX_AGENT_WORDS + 3], *rest;
    int count = 0;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    unsetenv("ONWARD_INCARNATION");
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        _exit(NOT_EXECUTED);
    if (call->is_local) {
        execvp(command[0], command);
        dprintf(STDERR_FILENO, "%s: %m\n", command[0]);
        _exit(NOT_EXECUTED);
    }
    for (char *word = strtok_r(agent, " ", &rest); word && count < MAX_AGENT_WORDS;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    words[count++] = (char *)call->host;
    words[count++] = quoted;
    words[count] = NULL;
    execvp(words[0], words);
    dprintf(STDERR_FILENO, "agent %s: %m\n", words[0]);
    _exit(NOT_EXECUTED);
}

/* False: the system has no process or descriptor for it; it may have one soon, which is no fault of
 * the host's. */
static bool start(char *agent, char *const *command, char *quoted, struct agent_call *call)
{
    int pipe_fds[2];
    call->pid = -1;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        snprintf(call->output, sizeof call->output, "no pipe: %s", strerror(errno));
        return false;
    }
    call->pid = fork();
    if (call->pid == 0)
        become(agent, command, quoted, call, pipe_fds[1]);
    close(pipe_fds[1]);
    call->fd = pipe_fds[0];
    fcntl(call->fd, F_SETFL, O_NONBLOCK);
    if (call->pid > 0) {
        setpgid(call->pid, call->pid);
        call->output[0] = '\0';
        return true;
    }
    snprintf(call->output, sizeof call->output, "no process: %s", strerror(errno));
    close(call->fd);
    call->fd = -1;
    return false;
}

/* Keeps the last of what it says. */
static void take_output(struct agent_call *call)
{
    char bytes[1024];
    ssize_t got;
    while (call->fd >= 0 && (got = read(call->fd, bytes, sizeof bytes)) > 0) {
        uint32_t size = (uint32_t)got, room = AGENT_OUTPUT_BYTES - 1;
        uint32_t excess = call->output_bytes + size > room ? call->output_bytes + size - room : 0;
        memmove(call->output, call->output + excess, call->output_bytes - excess);
        call->output_bytes -= excess;
        memcpy(call->output + call->output_bytes, bytes, size);
        call->output_bytes += size;
        call->output[call->output_bytes] = '\0';
    }
}

/* True when it ended. */
static bool has_ended(struct agent_call *call)
{
    take_output(call);
    if (call->pid > 0 && waitpid(call->pid, &call->status, WNOHANG) != call->pid)
        return false;
    take_output(call);
    if (call->fd >= 0)
        close(call->fd);
    call->fd = -1;
    call->pid = -1;
    return true;
}

static void give_up(struct agent_call *call)
{
    call->timed_out = true;
    if (call->pid > 0) {
        kill(-call->pid, SIGKILL);
        kill(call->pid, SIGKILL);
        waitpid(call->pid, NULL, 0);
    }
    if (call->fd >= 0)
        close(call->fd);
    call->fd = -1;
    call->pid = -1;
    call->status = -1;
}

/* The calls that are on their way, in the order in which they were begun. */
struct window {
    struct agent_call *calls[MAX_IN_ALL];
    double begun_s[MAX_IN_ALL];
    uint32_t count;
    double share_s; /* so long one keeps its place */
};

/* When to stop waiting for the rest. */
struct haste {
    double begin_s, grace_s, deadline_s;
    double limit_s; /* the last moment, as the others on the clock */
    uint32_t left;
};

static void wait_for_output(const struct window *window)
{
    struct pollfd fds[MAX_IN_ALL];
    for (uint32_t i = 0; i < window->count; i++)
        fds[i] = (struct pollfd){window->calls[i]->fd, POLLIN, 0};
    poll(fds, window->count, TURN_MS);
    for (uint32_t i = 0; i < window->count; i++)
        if (fds[i].revents & POLLHUP) { /* it closed its output, and ends any moment */
            sleep_s(0.001);
            return;
        }
}

static void drop_ended(struct window *window)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < window->count; i++) {
        if (has_ended(window->calls[i]))
            continue;
        window->calls[kept] = window->calls[i];
        window->begun_s[kept++] = window->begun_s[i];
    }
    window->count = kept;
}

/* Is there room for one more? Those that had their share make room; where even these are too many,
 * the first of them is given up. */
static bool has_room(struct window *window)
{
    double now_s = clock_now_s();
    uint32_t slow = 0;
    while (slow < window->count && now_s - window->begun_s[slow] > window->share_s)
        slow++;
    if (window->count - slow >= MAX_AT_ONCE)
        return false;
    if (window->count < MAX_IN_ALL)
        return true;
    give_up(window->calls[0]);
    drop_ended(window);
    return true;
}

static void begin_more(struct window *window, char *agent, char *const *command, char *quoted,
                       struct agent_call *calls, uint32_t *next, uint32_t count)
{
    while (*next < count && has_room(window) && start(agent, command, quoted, &calls[*next])) {
        window->begun_s[window->count] = clock_now_s();
        window->calls[window->count++] = &calls[(*next)++];
    }
}

/* Of those under way, or of those that are not begun yet. */
static bool is_any_expected(const struct window *window, const struct agent_call *next,
                            uint32_t next_count)
{
    for (uint32_t i = 0; i < window->count; i++)
        if (window->calls[i]->is_expected)
            return true;
    for (uint32_t i = 0; i < next_count; i++)
        if (next[i].is_expected)
            return true;
    return false;
}

/* Without patience: each answer from the second half on gives the others a little more time. */
static void hasten(struct haste *haste, uint32_t left, uint32_t count)
{
    double now_s = clock_now_s();
    if (left > count / 2 || left == haste->left)
        return;
    haste->left = left;
    if (haste->grace_s == 0)
        haste->grace_s =
            now_s - haste->begin_s > least_grace_s ? now_s - haste->begin_s : least_grace_s;
    double next_s = now_s + haste->grace_s;
    haste->deadline_s = next_s < haste->limit_s ? next_s : haste->limit_s;
}

int agent_run(const char *agent, char *const *command, struct agent_call *calls, uint32_t count,
              double limit_s, enum agent_patience patience, struct error *error)
{
    uint32_t turns = count / MAX_AT_ONCE + 1;
    struct window window = {.count = 0, .share_s = limit_s / (2 * turns)};
    struct haste haste = {.begin_s = clock_now_s(), .left = count};
    haste.deadline_s = haste.limit_s = haste.begin_s + limit_s;
    char *quoted = quote(command), *words = strdup(agent);
    int code = ONWARD_OK;
    if (!quoted || !words)
        code = error_set(error, ONWARD_ERR_MEMORY, "agent: out of memory");
    for (uint32_t i = 0; i < count; i++) {
        calls[i].fd = calls[i].pid = calls[i].status = -1;
        calls[i].timed_out = false;
        calls[i].output[0] = '\0';
        calls[i].output_bytes = 0;
    }
    uint32_t next = 0;
    while (code == ONWARD_OK && (next < count || window.count) &&
           clock_now_s() < haste.deadline_s) {
        begin_more(&window, words, command, quoted, calls, &next, count);
        wait_for_output(&window);
        drop_ended(&window);
        if (patience == AGENT_QUICK && !is_any_expected(&window, calls + next, count - next))
            hasten(&haste, window.count + count - next, count);
    }
    for (uint32_t i = 0; i < window.count; i++)
        give_up(window.calls[i]);
    for (; code == ONWARD_OK && next < count; next++)
        calls[next].timed_out = !calls[next].output[0];
    free(quoted);
    free(words);
    return code;
}

void agent_last_line(const struct agent_call *call, char *text, size_t text_bytes)
{
    size_t end = strlen(call->output);
    while (end > 0 && strchr("\r\n ", call->output[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && call->output[begin - 1] != '\n')
        begin--;
    snprintf(text, text_bytes, "%.*s", (int)(end - begin), call->output + begin);
}
