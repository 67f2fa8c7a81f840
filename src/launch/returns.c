/* returns.c - see returns.h. The process that asks writes the names of the hosts that can be used
 * to a pipe, then why those cannot that an operator named, and ends; whoever reaps the launcher's
 * children may reap it, its end is that of the pipe. */
#include "returns.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "say.h"
#include "supervise_internal.h"

static const double ask_every_s = 10, grace_s = 5;

void returns_start(struct returns *returns)
{
    *returns = (struct returns){.answers = -1};
}

static bool is_lost(const struct place *place)
{
    return !place->usable && !place->returned && place_is_listed(place) && !place->drained &&
           !place->leaves;
}

static uint32_t count_lost(const struct places *places)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < places->count; i++)
        count += is_lost(&places->list[i]);
    return count;
}

/* In the process that asks. Its parent has the lock of the task, which must not outlive it. */
__attribute__((noreturn)) static void ask(const struct supervisor *s, int answers, pid_t parent)
{
    struct places lost = s->settings->allotment->places;
    const struct place *all = lost.list;
    uint32_t count = lost.count;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    lost.list = calloc(count, sizeof *lost.list);
    if (!lost.list)
        _exit(1);
    lost.count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (is_lost(&all[i]))
            lost.list[lost.count++] = all[i];
    places_probe(&lost, s->incarnation, true);
    for (uint32_t i = 0; i < lost.count; i++)
        if (lost.list[i].usable)
            dprintf(answers, "%s\n", lost.list[i].host.name);
    for (uint32_t i = 0; i < lost.count; i++)
        if (!lost.list[i].usable && lost.list[i].is_asked_for)
            dprintf(answers, "! %s %s\n", lost.list[i].host.name, lost.list[i].reason);
    _exit(0);
}

static void begin(struct supervisor *s)
{
    struct returns *returns = &s->returns;
    int ends[2];
    returns->next_s = clock_now_s() + ask_every_s;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        close(ends[0]);
        ask(s, ends[1], parent);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return;
    }
    returns->answers = ends[0];
    returns->pid = pid;
    returns->used_bytes = 0;
    returns->deadline_s = clock_now_s() + s->settings->allotment->places.limit_s + grace_s;
}

/* Said once: it may answer later, and is taken in then. False: it was said. */
static bool take_reason(struct supervisor *s, char *line)
{
    const char *name = strsep(&line, " ");
    struct place *place = line ? places_find(&s->settings->allotment->places, name) : NULL;
    if (!place || !place->is_asked_for)
        return false;
    place->is_asked_for = false;
    supervise_warn_of_host(s, name, line);
    return true;
}

/* An operator who hears that no host that was named can be used waits no more. */
static void take_names(struct supervisor *s)
{
    struct returns *returns = &s->returns;
    char *rest = returns->answer;
    bool has_reason = false, has_answer = false;
    returns->answer[returns->used_bytes] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) && rest;) {
        struct place *place = places_find(&s->settings->allotment->places, line);
        if (!strncmp(line, "! ", 2))
            has_reason |= take_reason(s, line + 2);
        else if (place && !place->drained && !place->retired)
            has_answer = place->returned = true;
    }
    s->refill.is_asked &= has_answer || !has_reason;
}

/* True at the end of the answer. */
static bool read_answer(struct returns *returns)
{
    ssize_t got = 1;
    while (got > 0 && returns->used_bytes < sizeof returns->answer - 1) {
        got = read(returns->answers, returns->answer + returns->used_bytes,
                   sizeof returns->answer - 1 - returns->used_bytes);
        returns->used_bytes += got > 0 ? (uint32_t)got : 0;
    }
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) ||
           returns->used_bytes == sizeof returns->answer - 1;
}

void returns_hurry(struct returns *returns)
{
    returns->next_s = 0;
}

void returns_end(struct supervisor *s)
{
    struct places *places = &s->settings->allotment->places;
    for (uint32_t i = 0; i < places->count; i++)
        places->list[i].returned = false;
    if (s->returns.answers >= 0) {
        kill(s->returns.pid, SIGKILL); /* it holds the pipe open, so it was not reaped */
        close(s->returns.answers);
    }
    returns_start(&s->returns);
}

void returns_look(struct supervisor *s)
{
    struct returns *returns = &s->returns;
    double now_s = clock_now_s();
    if (returns->answers < 0) {
        if (now_s > returns->next_s && !s->plain.settings && move_missing_members(s) > 0 &&
            count_lost(&s->settings->allotment->places) > 0)
            begin(s);
        return;
    }
    bool ended = read_answer(returns);
    if (!ended && now_s < returns->deadline_s)
        return;
    if (ended)
        take_names(s);
    else
        kill(returns->pid, SIGKILL);
    close(returns->answers);
    returns->answers = -1;
}
