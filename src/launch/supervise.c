/* supervise.c - the parent of mpirun.
 *
 * mpirun's exit status says nothing: it is 0 after a node was lost and 137 after a loss that was
 * survived. What counts is the run directory: complete.json, or a status with an exit code. When
 * mpirun is gone without either, everything it left is killed and it is started again under the
 * next incarnation, which fences whatever may still be alive elsewhere.
 *
 * One loop waits for signals, output and time; every wait in it has a bound. */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "file.h"
#include "output.h"
#include "say.h"
#include "stopped.h"
#include "watch.h"

enum { TURN_MS = 50, PAUSE_S = 2, MAX_BACKOFF_S = 30 };

static const double kill_s = 5;
/* The controller writes no status while the lineup changes, which may take a while. */
static const double silent_detections = 12;

enum outcome {
    OUTCOME_COMPLETE, /* the completion record is there */
    OUTCOME_ENDED,    /* the controller says that the task ended otherwise */
    OUTCOME_GONE,     /* mpirun went away without either */
    OUTCOME_SILENT,   /* the controller says nothing any more, or never did */
    OUTCOME_SIGNAL    /* a signal, and it could not be stopped in time */
};

struct supervisor {
    const struct supervise_settings *settings;
    struct supervise_result *result;
    struct child child;
    struct watch watch;
    struct output output, error_output;
    struct progress_events events;
    struct stopped stopped;
    double turned_s; /* when the loop last came round */
    int signal_fd, log_fd;
    int64_t incarnation;
    int signal;       /* the first that asked us to end; 0: none */
    int signal_count; /* how many did */
    double stop_deadline_s;
    int64_t best_step, best_checkpoint; /* of the incarnations before */
};

void supervise_defaults(struct supervise_settings *settings)
{
    settings->detect_s = 5;
    settings->start_s = 600;
    settings->stop_s = 60;
    settings->settle_s = 10;
}

static void show_event(void *context, const json_t *event)
{
    struct supervisor *s = context;
    char text[PROGRESS_LINE_BYTES];
    if (progress_event(&s->events, event, text, sizeof text))
        display_line(s->settings->display, text);
}

/* The first signal asks the task to stop; a further one ends it. */
static void take_signal(struct supervisor *s, int number)
{
    struct run_request request = {.request = "stop"};
    struct error error;
    if (s->signal_count++ > 0)
        return;
    s->signal = number;
    s->stop_deadline_s = clock_now_s() + s->settings->stop_s;
    if (rundir_put_request(s->settings->rundir, &request, &error) != ONWARD_OK) {
        display_clear(s->settings->display);
        say("the task cannot be asked to stop: %s", error.text);
        s->stop_deadline_s = 0;
        return;
    }
    display_clear(s->settings->display);
    say("SIG%s: asked the task to stop; it has %.0f s; a second signal kills it",
        sigabbrev_np(number), s->settings->stop_s);
}

static void take_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            take_signal(s, (int)info.ssi_signo);
    child_reap(&s->child);
}

/* Waits for a signal, output, or a short time. */
static void turn(struct supervisor *s)
{
    struct pollfd fds[] = {{s->signal_fd, POLLIN, 0},
                           {s->child.output, POLLIN, 0},
                           {s->child.error_output, POLLIN, 0}};
    if (poll(fds, sizeof fds / sizeof *fds, TURN_MS) < 0 && errno != EINTR)
        sleep_s(TURN_MS / 1e3);
    take_signals(s);
    output_pump(&s->output, &s->child.output);
    output_pump(&s->error_output, &s->child.error_output);
}

static void look(struct supervisor *s)
{
    char text[PROGRESS_LINE_BYTES];
    watch_look(&s->watch, show_event, s);
    if (!s->watch.seen)
        return;
    progress_status(&s->watch.status, text, sizeof text);
    display_status(s->settings->display, text);
}

/* When the launcher was held up itself (a suspended job), so was the rest of it. */
static void excuse_pause(struct supervisor *s)
{
    double now_s = clock_now_s(), pause_s = now_s - s->turned_s;
    s->turned_s = now_s;
    if (pause_s < PAUSE_S)
        return;
    s->watch.changed_s += pause_s;
    stopped_excuse(&s->stopped, pause_s);
}

static void end_stopped(struct supervisor *s)
{
    char text[128];
    /* Sooner than a silent controller counts as dead: then another member takes over. */
    double limit_s = s->settings->detect_s / 2;
    pid_t killed = stopped_look(&s->stopped, limit_s);
    if (killed == 0)
        return;
    snprintf(text, sizeof text, "process %ld was stopped for %.3g s and was killed", (long)killed,
             limit_s);
    json_t *extra = json_pack("{s:s}", "text", text);
    rundir_event(s->settings->rundir, "warning", s->watch.status.epoch, s->watch.status.step, extra,
                 NULL);
    json_decref(extra);
}

static double silent_limit_s(const struct supervisor *s)
{
    return silent_detections * s->settings->detect_s;
}

static enum outcome watch_task(struct supervisor *s)
{
    s->turned_s = clock_now_s();
    for (;;) {
        turn(s);
        excuse_pause(s);
        end_stopped(s);
        bool gone = s->child.ended; /* before the look: then the look sees all it wrote */
        look(s);
        double silent_s = clock_now_s() - s->watch.changed_s;
        double limit_s = s->watch.seen ? silent_limit_s(s) : s->settings->start_s;
        if (s->watch.complete)
            return OUTCOME_COMPLETE;
        if (s->watch.seen && s->watch.status.exit_code > 0)
            return OUTCOME_ENDED;
        if (gone)
            return OUTCOME_GONE;
        if (s->signal_count > 1 || (s->signal && clock_now_s() > s->stop_deadline_s))
            return OUTCOME_SIGNAL;
        if (silent_s > limit_s)
            return OUTCOME_SILENT;
    }
}

/* Gives mpirun its time to end, then ends whatever is left, and shows the last of its output. */
static void settle(struct supervisor *s, enum outcome outcome)
{
    bool waits = outcome == OUTCOME_COMPLETE || outcome == OUTCOME_ENDED;
    double deadline_s = clock_now_s() + (waits ? s->settings->settle_s : 0);
    int signals = s->signal_count;
    while (!s->child.ended && clock_now_s() < deadline_s && s->signal_count == signals)
        turn(s);
    if (!child_kill_all(&s->child, kill_s))
        say("some processes of the task could not be killed");
    turn(s);
    output_end(&s->output);
    output_end(&s->error_output);
    child_close(&s->child);
    watch_look(&s->watch, show_event, s);
}

static void open_log(struct supervisor *s, char *path, size_t path_bytes)
{
    char name[64];
    snprintf(name, sizeof name, "logs/mpirun.%lld.log", (long long)s->incarnation);
    s->log_fd = -1;
    if (file_join(path, path_bytes, rundir_path(s->settings->rundir), name, NULL) == ONWARD_OK)
        s->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

static void end_result(struct supervisor *s, int exit_code, const char *state, const char *text)
{
    struct supervise_result *result = s->result;
    result->exit_code = exit_code;
    snprintf(result->state, sizeof result->state, "%s", state);
    snprintf(result->text, sizeof result->text, "%.*s", (int)sizeof result->text - 1, text);
}

/* The controller did not say how it ended: the launcher does. */
static void record_end(struct supervisor *s)
{
    struct run_status status = s->watch.status;
    const struct supervise_result *result = s->result;
    snprintf(status.state, sizeof status.state, "%s", result->state);
    snprintf(status.text, sizeof status.text, "%.255s", result->text);
    status.exit_code = result->exit_code;
    status.incarnation = s->incarnation;
    if (!s->watch.seen) {
        status.step = s->best_step;
        status.checkpoint_step = s->best_checkpoint;
    }
    json_t *extra = json_pack("{s:s}", "text", result->text);
    rundir_write_status(s->settings->rundir, &status, NULL);
    rundir_event(s->settings->rundir, result->state, status.epoch, status.step, extra, NULL);
    json_decref(extra);
}

static enum outcome run_incarnation(struct supervisor *s, char *log, size_t log_bytes,
                                    struct error *error, int *code)
{
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)s->incarnation);
    setenv("ONWARD_INCARNATION", number, 1);
    open_log(s, log, log_bytes);
    output_init(&s->output, s->settings->display, STDOUT_FILENO, s->log_fd);
    output_init(&s->error_output, s->settings->display, STDERR_FILENO, s->log_fd);
    watch_start(&s->watch, s->settings->rundir, s->incarnation);
    *code = child_start(&s->child, s->settings->command, error);
    enum outcome outcome = OUTCOME_GONE;
    if (*code == ONWARD_OK) {
        outcome = watch_task(s);
        settle(s, outcome);
    }
    watch_end(&s->watch);
    if (s->log_fd >= 0)
        close(s->log_fd);
    if (s->watch.complete) /* it may have come while mpirun was settling */
        return OUTCOME_COMPLETE;
    return outcome;
}

/* Why it has to be started again, in a few words. */
static void describe_cause(const struct supervisor *s, enum outcome outcome, char *text,
                           size_t text_bytes)
{
    char how[96];
    child_describe(&s->child, how, sizeof how);
    if (outcome == OUTCOME_SILENT && s->watch.seen)
        snprintf(text, text_bytes, "the controller was silent for %g s", silent_limit_s(s));
    else if (outcome == OUTCOME_SILENT)
        snprintf(text, text_bytes, "the program did not open its task in %g s",
                 s->settings->start_s);
    else if (s->watch.seen)
        snprintf(text, text_bytes, "mpirun went down (%s)", how);
    else
        snprintf(text, text_bytes, "mpirun ended (%s) before the program opened its task", how);
}

static bool made_progress(const struct supervisor *s)
{
    return s->watch.seen && (s->watch.status.step > s->best_step ||
                             s->watch.status.checkpoint_step > s->best_checkpoint);
}

/* NULL when it may be started again, else why not. */
static const char *refuse_restart(const struct supervisor *s)
{
    if (!s->watch.seen && s->result->restarts == 0)
        return "it is not started again";
    if (s->result->restarts >= s->settings->max_restarts)
        return "no restart is left (--max-restarts)";
    if (s->result->restarts > 0 && !made_progress(s))
        return "no step was completed since the restart before";
    return NULL;
}

static void fail(struct supervisor *s, const char *cause, const char *why, const char *log)
{
    char text[2 * PATH_MAX];
    const char *last = s->error_output.last[0] ? s->error_output.last : s->output.last;
    bool bad_input =
        !s->watch.seen && WIFEXITED(s->child.status) && WEXITSTATUS(s->child.status) == EXIT_USAGE;
    snprintf(text, sizeof text, "%s: %s; see %s%s%s", cause, why, log,
             *last ? ", which ends with: " : "", last);
    end_result(s, bad_input ? EXIT_USAGE : 1, "failed", text);
    record_end(s);
}

static void pause_before_restart(struct supervisor *s)
{
    int restarts = s->result->restarts;
    double pause_s = restarts == 0 ? 0 : restarts > 5 ? MAX_BACKOFF_S : 1 << (restarts - 1);
    double deadline_s = clock_now_s() + pause_s;
    while (clock_now_s() < deadline_s && !s->signal_count)
        turn(s);
}

static int claim_next(struct supervisor *s, const char *cause, struct error *error)
{
    const struct run_status *status = &s->watch.status;
    if (status->step > s->best_step)
        s->best_step = status->step;
    if (status->checkpoint_step > s->best_checkpoint)
        s->best_checkpoint = status->checkpoint_step;
    int code = rundir_claim(s->settings->rundir, &s->incarnation, error);
    if (code != ONWARD_OK)
        return code;
    s->result->restarts++;
    unsetenv("ONWARD_INJECT"); /* a rehearsed fault happens once */
    json_t *extra = json_pack("{s:s, s:i}", "cause", cause, "restarts", s->result->restarts);
    rundir_event(s->settings->rundir, "relaunch", status->epoch, s->best_step, extra, NULL);
    json_t *event =
        json_pack("{s:s, s:I, s:I, s:s}", "event", "relaunch", "incarnation",
                  (json_int_t)s->incarnation, "step", (json_int_t)s->best_step, "cause", cause);
    show_event(s, event);
    json_decref(event);
    json_decref(extra);
    return ONWARD_OK;
}

static void end_by_signal(struct supervisor *s)
{
    char text[128];
    snprintf(text, sizeof text, "killed after SIG%s, before it had stopped by itself",
             sigabbrev_np(s->signal));
    end_result(s, 128 + s->signal, "stopped", text);
    record_end(s);
}

/* True when the task ended, with the result filled in. */
static bool take_outcome(struct supervisor *s, enum outcome outcome, const char *cause,
                         const char *log)
{
    const struct run_status *status = &s->watch.status;
    const char *why;
    if (outcome == OUTCOME_COMPLETE)
        end_result(s, 0, "complete", "");
    else if (outcome == OUTCOME_ENDED)
        end_result(s, (int)status->exit_code,
                   status->exit_code == EXIT_RESUMABLE ? "stopped" : "failed", status->text);
    else if (s->signal)
        end_by_signal(s);
    else if ((why = refuse_restart(s)) != NULL)
        fail(s, cause, why, log);
    else
        return false;
    return true;
}

static int supervise_all(struct supervisor *s, struct error *error)
{
    for (;;) {
        char log[PATH_MAX] = "", cause[192];
        int code;
        enum outcome outcome = run_incarnation(s, log, sizeof log, error, &code);
        if (code != ONWARD_OK)
            return code;
        describe_cause(s, outcome, cause, sizeof cause);
        if (take_outcome(s, outcome, cause, log))
            return ONWARD_OK;
        pause_before_restart(s);
        if (s->signal_count) {
            end_by_signal(s);
            return ONWARD_OK;
        }
        code = claim_next(s, cause, error);
        if (code != ONWARD_OK)
            return code;
    }
}

static int catch_signals(struct supervisor *s, sigset_t *before, struct error *error)
{
    sigset_t caught;
    sigemptyset(&caught);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGHUP);
    sigaddset(&caught, SIGCHLD);
    sigprocmask(SIG_BLOCK, &caught, before);
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "signals cannot be received");
    return ONWARD_OK;
}

int supervise(const struct supervise_settings *settings, struct supervise_result *result,
              struct error *error)
{
    sigset_t before;
    struct supervisor *s = calloc(1, sizeof *s);
    *result = (struct supervise_result){.exit_code = 1};
    if (!s)
        return error_set(error, ONWARD_ERR_MEMORY, "supervisor: out of memory");
    s->settings = settings;
    s->result = result;
    s->incarnation = settings->incarnation;
    s->best_checkpoint = -1;
    s->child.output = s->child.error_output = -1;
    double begin_s = clock_now_s();
    int code = catch_signals(s, &before, error);
    if (code == ONWARD_OK)
        code = child_adopt_orphans(error);
    if (code == ONWARD_OK)
        code = supervise_all(s, error);
    result->seconds = clock_now_s() - begin_s;
    result->status = s->watch.status;
    display_clear(settings->display);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(s);
    return code;
}
