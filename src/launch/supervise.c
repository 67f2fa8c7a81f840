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
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "joins.h"
#include "say.h"
#include "segments.h"
#include "supervise_internal.h"

enum { TURN_MS = 50, PAUSE_S = 2 };

static const double told_s = 3, untold_s = 0.3, epoch_limit_s = 5;
/* The members of a planned start have left in order; an mpirun that hangs then has nothing to do.
 */
static const double move_settle_s = 0.5;
/* A task that has begun to stop ends its step and writes its state, which may take long; its
 * controller gives up what comes to nothing, and is watched. */
static const double taken_stop_s = 3600;
/* Behind the end of the job's time Slurm leaves 30 s (KillWait): the second half of them is to end
 * what is left and to put the job back into the queue. One that is there still longer was given
 * more time. */
static const double job_grace_s = 15, more_time_s = 60;
static const double kill_s = 5, again_limit_s = 20, again_factor = 5;
/* The controller writes no status while the lineup changes, which may take a while. */
static const double silent_detections = 12;

void supervise_defaults(struct supervise_settings *settings)
{
    settings->detect_s = 5;
    settings->hang_s = -1;
    settings->start_s = 600;
    settings->stop_s = 60;
    settings->settle_s = 10;
}

/* What the relaunch cost is told with the first epoch of the new incarnation. */
static void note_first_status(struct supervisor *s)
{
    s->seen_s = clock_now_s();
    if (s->seen_s - s->begun_s > s->opened_s)
        s->opened_s = s->seen_s - s->begun_s;
    if (s->down_s > 0)
        s->events.restart_s = s->seen_s - s->down_s;
}

/* Its event may be there a moment before the status. */
static void note_epoch(struct supervisor *s)
{
    s->epoch_shown = true;
    s->restores_until_s = 0;
    if (s->seen_s == 0)
        note_first_status(s);
}

static void show_event(void *context, const json_t *event)
{
    struct supervisor *s = context;
    char text[PROGRESS_LINE_BYTES];
    const char *name = json_string_value(json_object_get(event, "event"));
    const char *what = name ? name : "";
    if (!strcmp(what, "epoch"))
        note_epoch(s); /* its line says what a relaunch took */
    else if (!strcmp(what, "restore"))
        s->restores_until_s = clock_now_s() + json_number_value(json_object_get(event, "limit_s"));
    else if (!strcmp(what, "leave"))
        s->leaves_until_s = clock_now_s() + json_number_value(json_object_get(event, "limit_s"));
    s->events.in_seconds = s->watch.seen && s->watch.status.step_count >= RUNDIR_ENDLESS_STEPS;
    losses_note(&s->losses, event);
    host_changes_event(s, event);
    detector_event(&s->detector, event);
    if (progress_event(&s->events, event, text, sizeof text))
        display_line(s->settings->display, text);
}

void supervise_ask_to_stop(struct supervisor *s)
{
    struct run_request request = {.request = "stop"};
    struct error error;
    if (rundir_put_request(s->settings->rundir, &request, &error) == ONWARD_OK)
        return;
    display_clear(s->settings->display);
    say("the task cannot be asked to stop: %s", error.text);
    s->stop_fails = true;
}

void supervise_take_signal(struct supervisor *s, int number, bool is_own)
{
    s->signal_count += is_own ? 1 : 0;
    if (s->signal)
        return;
    s->signal = number;
    s->stop_asked_s = clock_now_s();
    supervise_ask_to_stop(s);
    display_clear(s->settings->display);
    if (!s->stop_fails)
        say("SIG%s: asked the task to stop, with a checkpoint; a second signal kills it",
            sigabbrev_np(number));
}

double supervise_stop_limit_s(const struct supervisor *s, bool is_taken)
{
    return is_taken ? taken_stop_s : s->settings->stop_s;
}

bool supervise_must_end(const struct supervisor *s)
{
    double past_end_s = clock_since_1970_s() - s->settings->end_time_s;
    bool job_ends =
        s->settings->end_time_s > 0 && past_end_s > job_grace_s && past_end_s < more_time_s;
    bool is_overdue =
        job_ends || clock_now_s() - s->stop_asked_s > supervise_stop_limit_s(s, s->stop_is_taken);
    return s->signal_count > 1 || (s->signal && (s->stop_fails || is_overdue));
}

static void take_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            supervise_take_signal(s, (int)info.ssi_signo, true);
    child_reap(&s->child);
}

/* Waits for a signal, output, or a short time. */
void supervise_turn(struct supervisor *s)
{
    struct pollfd fds[] = {{s->signal_fd, POLLIN, 0},
                           {s->child.output, POLLIN, 0},
                           {s->child.error_output, POLLIN, 0}};
    if (poll(fds, sizeof fds / sizeof *fds, TURN_MS) < 0 && errno != EINTR)
        sleep_s(TURN_MS / 1e3);
    take_signals(s);
    output_pump(&s->output, &s->child.output);
    output_pump(&s->error_output, &s->child.error_output);
    host_changes_slurm(s);
}

void supervise_pause(struct supervisor *s, double seconds)
{
    double deadline_s = clock_now_s() + seconds;
    while (clock_now_s() < deadline_s && !supervise_must_end(s))
        supervise_turn(s);
}

static void look(struct supervisor *s)
{
    char text[PROGRESS_LINE_BYTES];
    watch_look(&s->watch, show_event, s);
    if (!s->watch.seen)
        return;
    if (s->seen_s == 0)
        note_first_status(s);
    if (!s->epoch_shown && clock_now_s() - s->seen_s < epoch_limit_s)
        return; /* who begins is said first */
    progress_status(&s->watch.status, text, sizeof text);
    display_status(s->settings->display, text);
}

/* When the launcher was held up itself (a suspended job), so was the rest of it. A part of each
 * pause counts all the same: else a slow run directory, which holds up every turn, would hide a
 * controller that is silent. */
static void excuse_pause(struct supervisor *s)
{
    double now_s = clock_now_s(), pause_s = now_s - s->turned_s;
    s->turned_s = now_s;
    if (pause_s > PAUSE_S)
        s->watch.changed_s = fmin(s->watch.changed_s + pause_s - PAUSE_S, now_s);
}

double supervise_silent_limit_s(const struct supervisor *s)
{
    return silent_detections * s->settings->detect_s;
}

bool supervise_has_opened(const struct supervisor *s)
{
    return s->watch.seen || beats_telling(s->detector.beats).when_s > 0;
}

/* A controller that lives says how the task stands: in the run directory, and in its beats where
 * that cannot be written. */
static bool is_silent(const struct supervisor *s)
{
    double beat_s = beats_telling(s->detector.beats).when_s;
    double newest_s = beat_s > s->watch.changed_s ? beat_s : s->watch.changed_s;
    double limit_s =
        supervise_has_opened(s) ? supervise_silent_limit_s(s) : supervise_start_limit_s(s);
    return clock_now_s() - newest_s > limit_s && clock_now_s() > s->restores_until_s;
}

/* Once it is known how long a start takes, an mpirun that hangs as it starts is found sooner. */
double supervise_start_limit_s(const struct supervisor *s)
{
    double limit_s = again_limit_s + again_factor * s->opened_s;
    return s->opened_s > 0 && limit_s < s->settings->start_s ? limit_s : s->settings->start_s;
}

static enum outcome watch_task(struct supervisor *s)
{
    s->turned_s = clock_now_s();
    for (;;) {
        supervise_turn(s);
        if (s->settings->look)
            s->settings->look(s->settings->look_context, s->settings->display);
        excuse_pause(s);
        bool gone = s->child.ended; /* before the look: then the look sees all it wrote */
        bool is_over = plain_turn(s, gone);
        look(s);
        host_changes_look(s);
        joins_look(s, false);
        move_settle(s);
        returns_look(s);
        bool overdue = move_look(s);
        bool cut_off = detector_look(&s->detector, &s->watch.status, s->cut_off, sizeof s->cut_off);
        room_look(s);
        if (s->watch.complete)
            return OUTCOME_COMPLETE;
        if (s->watch.seen && s->watch.status.exit_code > 0)
            return OUTCOME_ENDED;
        if (restart_is_poisoned(s))
            return OUTCOME_POISON;
        if (gone && !plain_waits(s))
            return OUTCOME_GONE;
        if (supervise_must_end(s))
            return OUTCOME_SIGNAL;
        if (overdue)
            return OUTCOME_MOVE;
        if (cut_off || is_over)
            return OUTCOME_CUT_OFF;
        if (is_silent(s))
            return OUTCOME_SILENT;
    }
}

/* A signal of Slurm's to the steps of the job ends the daemons, and mpirun after them; that it was
 * no accident is known a moment later. */
static void await_news(struct supervisor *s)
{
    bool by_signal = WIFEXITED(s->child.status) && WEXITSTATUS(s->child.status) == 128 + SIGTERM;
    double deadline_s = clock_now_s() + (by_signal ? told_s : untold_s);
    while (slurm_news_may_come(&s->slurm_news) && !s->signal && clock_now_s() < deadline_s)
        supervise_turn(s);
}

/* Gives mpirun its time to end, then ends whatever is left, and shows the last of its output. */
static void settle(struct supervisor *s, enum outcome outcome)
{
    bool waits = outcome == OUTCOME_COMPLETE || outcome == OUTCOME_ENDED;
    bool moves = outcome == OUTCOME_ENDED && move_is_made(s);
    double limit_s = moves ? move_settle_s : s->settings->settle_s;
    double deadline_s = clock_now_s() + limit_s;
    int signals = s->signal_count;
    struct run_status last = s->watch.status;
    if (moves)
        move_tell(s, true);
    while (waits && !s->child.ended && s->signal_count == signals &&
           clock_now_s() < fmax(deadline_s, s->leaves_until_s)) {
        supervise_turn(s);
        watch_look(&s->watch, show_event, s);
    }
    if (outcome == OUTCOME_GONE)
        await_news(s);
    supervise_kill(s);
    watch_look(&s->watch, show_event, s);
    if (moves)
        s->watch.status = last;
    if (moves && !move_is_made(s)) /* somebody else wants it to stop by now */
        move_tell(s, false);
}

static void close_log(struct supervisor *s)
{
    if (s->log_fd >= 0)
        close(s->log_fd);
    s->log_fd = -1;
}

void supervise_kill(struct supervisor *s)
{
    if (!child_kill_all(&s->child, kill_s))
        say("some processes of the task could not be killed");
    supervise_turn(s);
    output_end(&s->output);
    output_end(&s->error_output);
    child_close(&s->child);
    close_log(s);
}

static void open_log(struct supervisor *s, const char *incarnation)
{
    char name[64];
    snprintf(name, sizeof name, "logs/mpirun.%.32s.log", incarnation);
    s->log_fd = -1;
    if (file_join(s->log, sizeof s->log, rundir_path(s->settings->rundir), name, NULL) == ONWARD_OK)
        s->log_fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

void supervise_name_start(struct supervisor *s)
{
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)++s->start_count);
    setenv("ONWARD_START", number, 1);
    rundir_name_start(s->settings->rundir, s->start_count);
}

int supervise_start(struct supervisor *s, int64_t incarnation, struct error *error)
{
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)incarnation);
    setenv("ONWARD_INCARNATION", number, 1);
    int code = plain_prepare(s, incarnation, error);
    if (code != ONWARD_OK)
        return code;
    open_log(s, number);
    output_init(&s->output, s->settings->display, STDOUT_FILENO, s->log_fd);
    output_init(&s->error_output, s->settings->display, STDERR_FILENO, s->log_fd);
    s->begun_s = clock_now_s();
    code = child_start(&s->child, s->settings->allotment->argv, error);
    if (code != ONWARD_OK)
        close_log(s);
    s->has_started |= code == ONWARD_OK;
    return code;
}

/* What the loss cost is for the next incarnation to say, whose ranks find it in the environment. */
static void hand_on_last_step(const struct watch *watch)
{
    char text[32];
    snprintf(text, sizeof text, "%.3f", watch->stepped_at_s);
    if (watch->stepped_at_s > 0)
        setenv("ONWARD_STEPPED_AT", text, 1);
}

static enum outcome run_incarnation(struct supervisor *s, struct error *error, int *code)
{
    watch_start(&s->watch, s->settings->rundir, s->incarnation);
    s->seen_s = s->restores_until_s = s->leaves_until_s = 0;
    s->epoch_shown = false;
    s->events.restart_s = 0;
    s->events.step_before = s->best_step;
    detector_begin(&s->detector, s->incarnation);
    slurm_news_start(&s->slurm_news, &s->settings->allotment->places);
    *code = s->is_started ? ONWARD_OK : supervise_start(s, s->incarnation, error);
    s->is_started = false;
    enum outcome outcome = OUTCOME_GONE;
    if (*code == ONWARD_OK) {
        outcome = watch_task(s);
        s->down_s = clock_now_s();
        settle(s, outcome);
        hand_on_last_step(&s->watch);
    } else if (child_may_start_later(error)) {
        *code = ONWARD_OK;
        outcome = OUTCOME_UNSTARTED;
        snprintf(s->cut_off, sizeof s->cut_off, "%.*s", (int)sizeof s->cut_off - 1, error->text);
    }
    slurm_news_stop(&s->slurm_news);
    watch_end(&s->watch);
    if (s->watch.complete) /* it may have come while mpirun was settling */
        return OUTCOME_COMPLETE;
    return outcome;
}

static int supervise_all(struct supervisor *s, struct error *error)
{
    unsetenv("ONWARD_START");
    unsetenv("ONWARD_STEPPED_AT"); /* of a task that this one may run in */
    bool again;
    int code = restart_begin(s, &again, error);
    while (code == ONWARD_OK && again) {
        enum outcome outcome = run_incarnation(s, error, &code);
        if (code == ONWARD_OK)
            code = restart_decide(s, outcome, &again, error);
        if (code != ONWARD_OK)
            restart_fail(s, error);
    }
    return code;
}

/* It stopped for a start that does not come, since somebody wants it to stop for good by now: the
 * copies that wait for it are of no more use. */
static bool has_saved_all(const struct supervisor *s)
{
    const struct run_status *status = &s->watch.status;
    return s->move.request[0] && status->exit_code == EXIT_RESUMABLE &&
           status->checkpoint_step >= status->step;
}

/* However the task ended, no process of it stays anywhere, and of one that is complete no copy of
 * its state either. Where another launcher took over, what runs since then is not touched. */
static void sweep(struct supervisor *s)
{
    char names[256];
    bool is_ours = rundir_check_fence(s->settings->rundir, NULL) == ONWARD_OK; /* else who knows */
    bool cleans = is_ours && (s->watch.complete || has_saved_all(s));
    int64_t before = is_ours ? 0 : s->incarnation + 1;
    if (s->settings->allotment->places.count == 0)
        segments_remove();
    if (places_sweep(&s->settings->allotment->places, before, cleans, names, sizeof names) > 0)
        say("no answer from %s: what may be left of the task there was not ended", names);
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

static bool kill_on_host(void *context, const char *host, int32_t pid)
{
    const struct supervisor *s = context;
    return places_kill(&s->settings->allotment->places, host, pid);
}

static int open_detector(struct supervisor *s, struct error *error)
{
    struct detector_settings settings = {.detect_s = s->settings->detect_s,
                                         .hang_s = s->settings->hang_s,
                                         .rundir = s->settings->rundir,
                                         .hears_nobody = s->settings->plain != NULL,
                                         .kill_on_host = kill_on_host,
                                         .context = s};
    return detector_open(&s->detector, &settings, error);
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
    s->budget.max = settings->max_restarts;
    s->host_watch.path = settings->hostfile;
    host_watch_start(&s->host_watch);
    returns_start(&s->returns);
    s->child.output = s->child.error_output = s->detector.listener.fd = s->log_fd = -1;
    double begin_s = clock_now_s();
    int code = catch_signals(s, &before, error);
    if (code == ONWARD_OK)
        code = child_adopt_orphans(error);
    if (code == ONWARD_OK)
        code = open_detector(s, error);
    if (code == ONWARD_OK)
        code = plain_open(s, error);
    if (code == ONWARD_OK)
        code = supervise_all(s, error);
    display_clear(settings->display);
    returns_end(s);
    if (s->has_started)
        sweep(s);
    result->seconds = clock_now_s() - begin_s;
    result->status = s->watch.status;
    result->incarnation = s->incarnation;
    result->signal = s->signal;
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    detector_close(&s->detector);
    plain_close(&s->plain);
    free(s);
    return code;
}
