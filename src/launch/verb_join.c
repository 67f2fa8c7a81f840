/* verb_join.c - onward join: lends the hosts of the job of Slurm that it runs in to a running task,
 * until the task ends, the job is to end, or a signal says so; then it takes them back in order.
 *
 * The launcher of the task does the rest (joins.h); what it answers stands in the event log. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "join_check.h"
#include "joins.h"
#include "say.h"
#include "slurm.h"
#include "standing.h"
#include "watch.h"

static const double look_s = 0.2, answer_limit_s = 300, leave_limit_s = 120;
/* Before the end of the job, beside twice what a checkpoint costs. */
static const double reserve_s = 30;

struct join {
    const struct task_options *task;
    const char *job;
    char *hosts;
    bool answered, accepted, left;
    char reason[256];
    struct standing now;
};

static volatile sig_atomic_t asked_to_leave;

static void take_signal(int number)
{
    (void)number;
    asked_to_leave = 1;
}

static error_t parse_join(int key, char *text, struct argp_state *state)
{
    struct task_options *task = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = task;
        return 0;
    case ARGP_KEY_ARG:
        if (task->task)
            options_refuse("join: %s: expected one TASK, which is %s", text, task->task);
        return ARGP_ERR_UNKNOWN; /* the child takes it */
    case ARGP_KEY_SUCCESS:
        if (!task->task)
            options_refuse("join: expected a TASK; `onward status' lists them");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{.argp = &task_argp}, {.argp = NULL}};
static const struct argp join_argp = {
    .parser = parse_join,
    .args_doc = "TASK",
    .doc =
        "In a job of Slurm: lends its hosts to TASK, which runs in another job, until TASK ends, "
        "a signal comes, or this job's time is nearly over. `onward submit --join TASK' submits "
        "such a job.",
    .children = children,
};

static void take_event(void *context, const json_t *event)
{
    struct join *join = context;
    const char *what = json_string_value(json_object_get(event, "event"));
    const char *request = json_string_value(json_object_get(event, "request"));
    const char *job = json_string_value(json_object_get(event, "job"));
    const char *reason = json_string_value(json_object_get(event, "reason"));
    if (!what || strcmp(what, "request") != 0 || !request || !job || strcmp(job, join->job) != 0)
        return;
    join->left = join->left || !strcmp(request, "leave");
    if (strcmp(request, "join") != 0)
        return;
    join->answered = true;
    join->accepted = json_is_true(json_object_get(event, "accepted"));
    snprintf(join->reason, sizeof join->reason, "%s", reason ? reason : "");
}

/* The job is to end so soon that the task has just time for a checkpoint without it. */
static bool is_nearly_over(const struct join *join)
{
    double end_s = slurm_end_time_s(), cost_s = join->now.status.checkpoint_cost_s;
    return end_s > 0 && (double)time(NULL) > end_s - reserve_s - 2 * cost_s;
}

/* One look at the task; false: it runs no more. */
static bool look(struct join *join, struct rundir *rundir, struct watch *watch)
{
    sleep_s(look_s);
    watch_look(watch, take_event, join);
    return standing_read(rundir, &join->now, NULL) == ONWARD_OK && join->now.owned;
}

static int tell_end(const struct join *join, bool runs)
{
    if (runs && join->left) {
        printf("job %s: %s left task %s, which goes on\n", join->job, join->hosts,
               join->task->task);
        return finish_output(0);
    }
    if (runs) {
        say("job %s: task %s did not let go of %s in %g s", join->job, join->task->task,
            join->hosts, leave_limit_s);
        return 1;
    }
    printf("job %s: task %s is %s\n", join->job, join->task->task, join->now.state);
    return finish_output(join->now.complete ? 0 : EXIT_RESUMABLE);
}

static int lend(struct join *join, struct rundir *rundir, struct watch *watch)
{
    double deadline_s = clock_now_s() + answer_limit_s;
    bool runs = true;
    while (runs && !join->answered && !asked_to_leave && clock_now_s() < deadline_s)
        runs = look(join, rundir, watch);
    if (runs && join->answered && !join->accepted) {
        say("job %s cannot join task %s: %s", join->job, join->task->task, join->reason);
        return EXIT_USAGE;
    }
    if (runs && join->accepted) {
        printf("job %s: %s joined task %s\n", join->job, join->hosts, join->task->task);
        fflush(stdout);
    }
    while (runs && join->accepted && !asked_to_leave && !is_nearly_over(join))
        runs = look(join, rundir, watch);
    joins_withdraw(rundir, join->job);
    deadline_s = clock_now_s() + leave_limit_s;
    while (runs && join->accepted && !join->left && clock_now_s() < deadline_s)
        runs = look(join, rundir, watch);
    return tell_end(join, runs);
}

static void catch_signals(void)
{
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    struct sigaction action = {.sa_handler = take_signal};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}

static int list_hosts(struct join *join, struct error *error)
{
    struct hosts hosts = {.list = NULL};
    if (!slurm_is_inside())
        return error_set(error, ONWARD_ERR_INPUT,
                         "join: expected to run in a job of Slurm (SLURM_JOB_ID): `onward submit "
                         "--join %s' submits one",
                         join->task->task);
    join->job = slurm_job();
    int code = slurm_hosts(false, &hosts, error);
    if (code != ONWARD_OK)
        return code;
    join->hosts = hosts_text(&hosts);
    hosts_clear(&hosts);
    return join->hosts ? ONWARD_OK : error_set(error, ONWARD_ERR_MEMORY, "hosts: out of memory");
}

int verb_join(int argc, char **argv)
{
    struct task_options options = {.task = NULL};
    struct join join = {.task = &options};
    struct rundir *rundir = NULL;
    struct watch watch;
    struct error error;
    options_parse(&join_argp, "onward join", argc, argv, &options);
    int code = list_hosts(&join, &error);
    if (code == ONWARD_OK)
        code = join_check(&options, &rundir, &error);
    if (code == ONWARD_OK)
        code = standing_read(rundir, &join.now, &error);
    if (code == ONWARD_OK) {
        catch_signals();
        watch_start(&watch, rundir, join.now.status.incarnation);
        code = joins_put(rundir, join.job, join.hosts, &error);
    }
    int exit_code = 0;
    if (code == ONWARD_OK) {
        exit_code = lend(&join, rundir, &watch);
        watch_end(&watch);
    }
    rundir_close(rundir);
    free(join.hosts);
    return code == ONWARD_OK ? exit_code : say_error(&error);
}
