/* open.c - opens and closes a member's handle, and makes a member the controller. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "copies.h"
#include "handle.h"
#include "options.h"
#include "shards.h"
#include "slots.h"
#include "trace.h"
#include "watchdog.h"

enum { LEAVE_LIMIT_S = 5, NEWS_LIMIT_S = 30 };

static const int64_t claim_limit_ns = 20000000000, claim_poll_ns = 5000000;

static struct error open_error; /* of the last failed onward_open, which has no handle to keep it */

const char *onward_text(const struct onward *ow)
{
    return ow ? ow->error.text : open_error.text;
}

const char *onward_version(void)
{
    return ONWARD_VERSION;
}

const char *onward_run_directory(const struct onward *ow)
{
    return ow->run;
}

bool onward_is_controller(const struct onward *ow)
{
    return ow->dedicated;
}

/* By this the launcher knows a program that has the library in it (src/launch/library_use.h). */
static const char mark[] __attribute__((used)) = "libonward " ONWARD_VERSION;

static int open_run_directory(struct onward *ow, bool create, struct rundir **rundir)
{
    char base[4096];
    struct task_record record = {.task = (char *)ow->options.task,
                                 .program = (char *)ow->options.program,
                                 .config = "",
                                 .directory = "",
                                 .checkpoint = "auto",
                                 .created = "",
                                 .version = ONWARD_VERSION,
                                 .workers = (uint32_t)transport_size(ow->transport) - 1,
                                 .min_workers = (uint32_t)ow->options.min_workers,
                                 .max_workers = (uint32_t)ow->options.max_workers,
                                 .spares = (uint32_t)ow->options.spare_count,
                                 .subtask_count = ow->options.subtask_count,
                                 .step_count = -1, /* --steps may differ from run to run */
                                 .checkpoint_keep = (uint32_t)ow->options.checkpoint_keep};
    int code = rundir_base(ow->options.directory, base, sizeof base, &ow->error);
    if (code == ONWARD_OK)
        code = rundir_open(base, ow->options.task, create ? &record : NULL, rundir, &ow->error);
    return code;
}

/* The launcher starts mpirun while it still asks the hosts what is left of the incarnation before,
 * and claims the new one when nothing is. */
static int join_task(struct onward *ow, struct rundir *rundir)
{
    const char *start = getenv("ONWARD_START");
    int64_t newest, deadline_ns = clock_ns() + claim_limit_ns;
    while (rundir_newest_incarnation(rundir, &newest, &ow->error) == ONWARD_OK &&
           newest < ow->incarnation && clock_ns() < deadline_ns)
        sleep_ns(claim_poll_ns);
    return rundir_join(rundir, ow->incarnation, start ? strtoll(start, NULL, 10) : 0, &ow->error);
}

/* Under a launcher, which holds the lock, its incarnation; else this process takes the task. */
static int take_task(struct onward *ow, struct rundir *rundir)
{
    const char *incarnation = getenv("ONWARD_INCARNATION");
    if (ow->incarnation == 0 && incarnation && *incarnation)
        ow->incarnation = strtoll(incarnation, NULL, 10);
    if (ow->incarnation > 0)
        return join_task(ow, rundir);
    int code =
        rundir_update_task(rundir, ow->options.subtask_count, ow->options.step_count, &ow->error);
    return code == ONWARD_OK ? rundir_claim(rundir, &ow->incarnation, &ow->error) : code;
}

static void init_status(struct onward *ow, struct control *control)
{
    struct run_status *status = &control->status;
    snprintf(status->task, sizeof status->task, "%s", ow->options.task);
    snprintf(status->host, sizeof status->host, "%s", ow->host);
    status->pid = getpid();
    status->exit_code = -1;
    status->checkpoint_step = -1;
    status->detect_s = options_detect_s();
    control->rate_step = control->bad_step = control->ordered_step = -1;
    control->restored_step = -1;
    control->copy_step = -1;
    control->tried_step = INT64_MAX;
    control->epoch_told = true; /* there is none yet */
    control->start_ns = clock_ns();
}

static int install_control(struct onward *ow, struct controller *core, bool create)
{
    struct control *control = calloc(1, sizeof *control);
    if (!core || !control) {
        controller_destroy(core);
        free(control);
        return error_set(&ow->error, core ? ONWARD_ERR_MEMORY : ONWARD_ERR_ARGUMENT,
                         "the controller could not be made: its settings are out of range");
    }
    control->core = core;
    init_status(ow, control);
    int code = open_run_directory(ow, create, &control->rundir);
    if (code == ONWARD_OK)
        code = take_task(ow, control->rundir);
    if (code != ONWARD_OK) {
        rundir_close(control->rundir);
        controller_destroy(core);
        free(control);
        return code;
    }
    ow->control = control;
    return ONWARD_OK;
}

int control_create(struct onward *ow)
{
    const char *incarnation = getenv("ONWARD_INCARNATION"); /* of a launcher */
    struct controller_policy policy = options_policy(&ow->options);
    policy.can_relaunch = incarnation && *incarnation;
    int code = install_control(ow, controller_create(&policy), true);
    if (code != ONWARD_OK)
        return code;
    snprintf(ow->run, sizeof ow->run, "%s", rundir_path(ow->control->rundir));
    code = rundir_number(ow->control->rundir, &ow->run_number, &ow->error);
    if (code != ONWARD_OK)
        return code;
    if (policy.can_relaunch) /* how many steps there are the launcher says */
        rundir_update_task(ow->control->rundir, ow->options.subtask_count, -1, NULL);
    if (rundir_read_status(ow->control->rundir, &ow->control->before, NULL) != ONWARD_OK)
        ow->control->before = (struct run_status){.task = ""};
    control_event(ow, "start",
                  json_pack("{s:s, s:i, s:s}", "program", ow->options.program, "members",
                            transport_size(ow->transport), "inject", ow->options.inject));
    return ONWARD_OK;
}

int control_take_over(struct onward *ow)
{
    struct controller *core = controller_load(ow->core_bytes, ow->core_size);
    int code = install_control(ow, core, false);
    if (code != ONWARD_OK)
        return code;
    struct control *control = ow->control;
    if ((code = control_load_hosts(ow)) != ONWARD_OK) {
        control_destroy(ow);
        return code;
    }
    control->started = true;
    if (ow->story.action.source == SOURCE_CHECKPOINT) /* whose readers may not all have reported */
        control->restored_step = ow->story.action.step;
    control_inherit_spawn(ow);
    /* What the one before told of a change that it did not finish is decided anew, and not told. */
    rundir_read_told(control->rundir, &control->told, NULL);
    control->status.losses = control->told.loss_count;
    memcpy(control->arrays, ow->arrays, ow->array_count * sizeof *ow->arrays);
    control->array_count = ow->array_count;
    /* The bytes are from before the opening was agreed to; it was, or this member had none. */
    control_feed(ow, (struct controller_event){.type = EVENT_OPENED, .epoch = ow->role.epoch});
    control->epoch_told = control->told.epoch >= ow->role.epoch;
    control_tell_epoch(ow);
    struct controller_event start = {.type = EVENT_START, .member = ow->member};
    control_fill_start(ow, &start);
    control_feed(ow, start);
    struct run_completion completion;
    bool complete = false;
    rundir_read_completion(control->rundir, &completion, &complete, NULL);
    if (complete && completion.incarnation == ow->incarnation) {
        control->give_up = true; /* it ended well just before it died; tell everyone */
        control->end_code = ONWARD_OK;
    }
    return ONWARD_OK;
}

void control_destroy(struct onward *ow)
{
    if (!ow->control)
        return;
    control_release_commit(ow->control);
    rundir_close(ow->control->rundir);
    controller_destroy(ow->control->core);
    control_free_shards(ow->control);
    free(ow->control->copyset);
    free(ow->control->given);
    free(ow->control->told.losses);
    free(ow->control);
    ow->control = NULL;
}

void open_fill_news(const struct onward *ow, struct open_news *news, int code)
{
    memset(news, 0, sizeof *news);
    news->code = code;
    news->incarnation = ow->incarnation;
    news->run_number = ow->run_number;
    news->error = ow->error;
    memcpy(news->run, ow->run, sizeof news->run);
}

static int exchange_news(struct onward *ow, struct open_news *news)
{
    int rank, size;
    if (ow->spawned)
        return transport_take_news(ow->transport, news, sizeof *news, NEWS_LIMIT_S);
    transport_candidate(ow->transport, true, &rank, &size);
    return transport_broadcast(ow->transport, news, sizeof *news);
}

/* Rank 0 opens the run directory; all learn how it went, those who are spawned later too. */
static int share_news(struct onward *ow, int code)
{
    struct open_news *news = malloc(sizeof *news);
    if (!news)
        return error_set(&ow->error, ONWARD_ERR_MEMORY, "no memory to open");
    open_fill_news(ow, news, code);
    int sent = exchange_news(ow, news);
    if (sent != ONWARD_OK) {
        free(news);
        return error_set(&ow->error, sent, "the controller did not answer as this member opened");
    }
    code = news->code;
    ow->incarnation = news->incarnation;
    ow->run_number = news->run_number;
    ow->error = news->error;
    memcpy(ow->run, news->run, sizeof ow->run);
    free(news);
    return code;
}

static int check_start(struct onward *ow)
{
    struct error *error = &ow->error;
    if (!ow->spawned && transport_size(ow->transport) < 2)
        return error_set(error, ONWARD_ERR_INPUT,
                         "1 process was started, expected at least 2: rank 0 is the controller, "
                         "the others are workers (mpirun -n 2 or more)");
    if (ow->options.wants_ft && !transport_has_fault_tolerance(ow->transport))
        return error_set(error, ONWARD_ERR_NO_FAULT_TOLERANCE,
                         "MPI runs without fault tolerance; start with mpirun --with-ft ulfm");
    int count = 0;
    int code = *ow->options.inject
                   ? inject_parse(ow->options.inject, ow->faults, RUNTIME_MAX_FAULTS, &count, error)
                   : ONWARD_OK;
    ow->fault_count = (uint32_t)count;
    fault_begin(ow);
    return code == ONWARD_OK ? rundir_check_task(ow->options.task, error) : code;
}

static int open_on_rank(struct onward *ow)
{
    int code = check_start(ow);
    ow->dedicated = !ow->spawned && transport_rank(ow->transport) == 0;
    ow->role.rank = -1;
    mark_place(ow, BEAT_INSIDE);
    if (code == ONWARD_OK && ow->dedicated)
        code = control_create(ow);
    code = share_news(ow, code);
    if (code != ONWARD_OK)
        return code;
    ow->sum = sum_create();
    ow->watchdog = watchdog_create();
    if (!ow->sum || !ow->watchdog)
        return error_set(&ow->error, ONWARD_ERR_MEMORY, "no memory or thread to open");
    return heart_start(&ow->marks, ow->host, ow->incarnation, &ow->heart, &ow->error);
}

static void release(struct onward *ow)
{
    worker_checkpoint_release(ow); /* while the watchdog bounds it */
    control_destroy(ow);
    transport_finish(ow->transport);
    heart_stop(ow->heart); /* only now: to end MPI may take a while */
    partner_stop(ow->partner);
    watchdog_destroy(ow->watchdog);
    sum_destroy(ow->sum);
    trace_close(ow->trace);
    slots_release(ow);
    copies_forget_unread(ow);
    shards_release(ow);
    free(ow->seats);
    free(ow->core_bytes);
    free(ow->host_bytes);
    options_release(&ow->options);
    free(ow);
}

int onward_open(MPI_Comm base, const struct onward_options *options, struct onward **result)
{
    *result = NULL;
    struct onward *ow = calloc(1, sizeof *ow);
    if (!ow)
        return error_set(&open_error, ONWARD_ERR_MEMORY, "no memory to open");
    ow->options = *options;
    ow->complete_step = ow->started_step = ow->checkpoint_step = ow->saved_step = -1;
    ow->disputed.step = -1;
    gethostname(ow->host, sizeof ow->host - 1);
    ow->spawned = getenv("ONWARD_SPAWNED") != NULL;
    int code = options_own(&ow->options, &open_error);
    if (code != ONWARD_OK) {
        free(ow);
        return code;
    }
    code = options_check(&ow->options, &ow->error);
    if (code == ONWARD_OK)
        code = transport_start(base, ow->spawned, &ow->transport, &ow->error);
    if (code == ONWARD_OK)
        code = open_on_rank(ow);
    if (code != ONWARD_OK) {
        open_error = ow->error;
        release(ow);
        return code;
    }
    *result = ow;
    return ONWARD_OK;
}

/* A start that follows at once takes the state from where it is: the slots of the newest step. Its
 * launcher clears the hosts that it leaves. */
static void remove_copies(struct onward *ow)
{
    partner_end(ow->partner); /* or what waits to be taken in comes behind the removal */
    copies_remove_all(ow);
    if (!ow->restarts)
        slots_remove_all(ow);
}

int onward_close(struct onward *ow)
{
    if (!ow)
        return ONWARD_OK;
    int code = ow->ended                     ? ow->end_code
               : ow->error.code != ONWARD_OK ? ow->error.code
                                             : ONWARD_ERR_ORDER;
    /* What MPI does here is bounded by nothing of its own, and the work is done. */
    watchdog_arm(ow->watchdog, LEAVE_LIMIT_S, onward_exit_code(code));
    if (ow->ended) {
        transport_leave_together(ow->transport);
        leave_release();
    }
    if (ow->ended && (ow->end_code == ONWARD_OK || ow->saved))
        remove_copies(ow);
    release(ow);
    return code;
}
