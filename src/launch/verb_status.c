/* verb_status.c - onward status: how a task stands, or the tasks there are. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "say.h"
#include "standing.h"

enum { MAX_TASKS = 100000 };

struct status_input {
    struct task_options task;
    bool members;
};

static error_t parse_status(int key, char *text, struct argp_state *state)
{
    struct status_input *input = state->input;
    const struct task_options *options = &input->task;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->task;
        return 0;
    case 'm':
        input->members = true;
        return 0;
    case ARGP_KEY_SUCCESS:
        if (input->members && !options->task)
            options_refuse("status: --members: expected a TASK");
        return 0;
    case ARGP_KEY_ARG:
        if (options->task)
            options_refuse("status: %s: expected one TASK, which is %s", text, options->task);
        return ARGP_ERR_UNKNOWN; /* the child takes it */
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{.argp = &task_argp}, {.argp = NULL}};
static const struct argp_option table[] = {
    {"members", 'm', NULL, 0, "show who the members of TASK are", 0}, {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp status_argp = {
    .options = table,
    .parser = parse_status,
    .args_doc = "[TASK]",
    .doc = "Shows how TASK stands, or lists the tasks.",
    .children = children,
};

static void row(const char *name, const char *text)
{
    printf("%-12s %s\n", name, text);
}

static void number_row(const char *name, int64_t number)
{
    printf("%-12s %lld\n", name, (long long)number);
}

static void print_metrics(const struct run_status *status)
{
    for (uint32_t i = 0; i < status->metric_count; i++)
        printf("%-12s %.6g\n", status->metrics[i].name, status->metrics[i].value);
}

/* A task that keeps its state by itself (a farm, a gang) gives no reason, and has none. */
static void print_checkpoints(const struct run_status *status, bool owned)
{
    char text[64];
    if (status->checkpoint_interval_s > 0)
        progress_duration(status->checkpoint_interval_s, text, sizeof text);
    else
        snprintf(text, sizeof text, "not by time");
    if (status->checkpoint_reason[0] && status->checkpoint_step >= 0)
        number_row("checkpoint", status->checkpoint_step);
    else if (status->checkpoint_reason[0])
        row("checkpoint", "none");
    if (status->checkpoint_reason[0])
        printf("%-12s %s (%s)\n", "interval", text, status->checkpoint_reason);
    if (!owned || !(status->stop_in_s >= 0))
        return;
    progress_duration(status->stop_in_s, text, sizeof text);
    printf("%-12s in %s, before the job's time is over\n", "stops", text);
}

static void print_flight(const char *level, const struct run_flight *flight, const char *end)
{
    if (flight->bytes > 0)
        printf("%s: step %lld, %llu bytes%s", level, (long long)flight->step,
               (unsigned long long)flight->bytes, end);
    else
        printf("%s: none%s", level, end);
}

static void print_running(const struct run_status *status)
{
    char text[64];
    printf("%-12s %u, %u spare, ", "workers", status->workers, status->spares);
    if (status->draining)
        printf("%u drained, ", status->draining);
    printf("%u lost\n", status->losses);
    printf("%-12s ", "in flight");
    print_flight("partner", &status->partner_flight, "; ");
    print_flight("shared", &status->shared_flight, "\n");
    printf("%-12s process %lld on %s\n", "controller", (long long)status->pid, status->host);
    if (status->eta_s >= 0) {
        progress_duration(status->eta_s, text, sizeof text);
        row("time left", text);
    }
}

static int print_table(const struct rundir *rundir, const char *task,
                       const struct standing *standing)
{
    const struct run_status *status = &standing->status;
    row("task", task);
    row("state", standing->state);
    row("directory", rundir_path(rundir));
    if (standing->has_status) {
        if (status->step_count < RUNDIR_ENDLESS_STEPS)
            printf("%-12s %lld of %lld\n", "step", (long long)status->step,
                   (long long)status->step_count);
        else if (status->step < RUNDIR_ENDLESS_STEPS)
            printf("%-12s %lld s\n", "running for", (long long)status->step);
        number_row("incarnation", status->incarnation);
        number_row("epoch", status->epoch);
        print_checkpoints(status, standing->owned);
        print_metrics(status);
        if (standing->owned)
            print_running(status);
        row("updated", status->time);
        if (status->text[0])
            row("text", status->text);
    }
    return finish_output(0);
}

static json_t *number_json(double value)
{
    return value == value ? json_real(value) : json_null();
}

static json_t *standing_json(const struct rundir *rundir, const char *task,
                             const struct standing *standing)
{
    const struct run_status *status = &standing->status;
    json_t *root = json_pack("{s:s, s:s, s:b, s:b, s:s}", "task", task, "state", standing->state,
                             "owned", standing->owned, "complete", standing->complete, "directory",
                             rundir_path(rundir));
    if (!root || !standing->has_status)
        return root;
    json_t *metrics = json_object();
    for (uint32_t i = 0; i < status->metric_count; i++)
        json_object_set_new(metrics, status->metrics[i].name,
                            number_json(status->metrics[i].value));
    json_t *more = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:s, s:o, s:s, "
        "s:I, s:o, s:s, s:o, s:I, s:o, s:o, s:o}",
        "time", status->time, "incarnation", (json_int_t)status->incarnation, "epoch",
        (json_int_t)status->epoch, "step", (json_int_t)status->step, "step_count",
        (json_int_t)status->step_count, "checkpoint_step", (json_int_t)status->checkpoint_step,
        "workers", (json_int_t)status->workers, "spares", (json_int_t)status->spares, "draining",
        (json_int_t)status->draining, "losses", (json_int_t)status->losses, "progress",
        number_json(status->progress), "eta_s", number_json(status->eta_s), "steps_per_s",
        number_json(status->steps_per_s), "exit_code", (json_int_t)status->exit_code, "text",
        status->text, "metrics", metrics, "host", status->host, "pid", (json_int_t)status->pid,
        "checkpoint_interval_s", number_json(status->checkpoint_interval_s), "checkpoint_reason",
        status->checkpoint_reason, "checkpoint_cost_s", number_json(status->checkpoint_cost_s),
        "failures", (json_int_t)status->failures, "observed_s", number_json(status->observed_s),
        "stop_in_s", number_json(status->stop_in_s), "in_flight", rundir_encode_flights(status));
    json_object_update(root, more);
    json_decref(more);
    return root;
}

static json_t *members_json(const struct run_members *members)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < members->count; i++) {
        const struct run_member *one = &members->list[i];
        json_array_append_new(list, json_pack("{s:I, s:i, s:s, s:b, s:s, s:I, s:I}", "member",
                                              (json_int_t)one->member, "rank", (int)one->rank,
                                              "role", one->role, "controller", one->is_controller,
                                              "host", one->host, "pid", (json_int_t)one->pid,
                                              "epoch", (json_int_t)one->epoch));
    }
    return list;
}

static int print_members(const struct run_members *members)
{
    bool leads = false;
    printf("%8s %6s %-12s %8s %6s %s\n", "MEMBER", "RANK", "ROLE", "PROCESS", "EPOCH", "HOST");
    for (uint32_t i = 0; i < members->count; i++) {
        const struct run_member *one = &members->list[i];
        char rank[16] = "-", role[32];
        if (one->rank >= 0)
            snprintf(rank, sizeof rank, "%d", (int)one->rank);
        bool took_over = one->is_controller && strcmp(one->role, "controller") != 0;
        snprintf(role, sizeof role, "%s%s", one->role, took_over ? "*" : "");
        leads |= took_over;
        printf("%8u %6s %-12s %8lld %6lld %s\n", one->member, rank, role, (long long)one->pid,
               (long long)one->epoch, one->host);
    }
    if (leads)
        puts("* took over as the controller");
    return finish_output(0);
}

static int show_standing(const struct status_input *input, const struct rundir *rundir,
                         const struct standing *standing, const struct run_members *members)
{
    if (!input->task.json)
        return input->members ? print_members(members)
                              : print_table(rundir, input->task.task, standing);
    json_t *root = standing_json(rundir, input->task.task, standing);
    if (input->members)
        json_object_set_new(root, "members", members_json(members));
    return print_json(root);
}

static int show_task(const struct status_input *input)
{
    struct rundir *rundir;
    struct standing standing;
    struct run_members members = {.list = NULL};
    struct error error;
    int code = standing_open(&input->task, &rundir, &error);
    if (code == ONWARD_OK)
        code = standing_read(rundir, &standing, &error);
    if (code == ONWARD_OK && input->members)
        code = rundir_read_members(rundir, &members, &error);
    int exit_code =
        code == ONWARD_OK ? show_standing(input, rundir, &standing, &members) : say_error(&error);
    run_members_clear(&members);
    rundir_close(rundir);
    return exit_code;
}

/* A task that has no steps shows none. */
static void print_line(const char *name, const struct standing *standing)
{
    const struct run_status *status = &standing->status;
    char step[24] = "-", step_count[24] = "-";
    if (status->step_count < RUNDIR_ENDLESS_STEPS) {
        snprintf(step, sizeof step, "%lld", (long long)status->step);
        snprintf(step_count, sizeof step_count, "%lld", (long long)status->step_count);
    }
    printf("%-36s %-12s %10s %10s %8u\n", name, standing->state, step, step_count,
           standing->owned ? status->workers : 0);
}

/* One line, or one element of list, for a directory that holds a task. */
static void list_task(const struct task_options *options, const char *name, json_t *list)
{
    struct task_options one = {.directory = options->directory, .task = name};
    struct rundir *rundir;
    struct standing standing;
    struct error error;
    if (rundir_check_task(name, NULL) != ONWARD_OK)
        return;
    int code = standing_open(&one, &rundir, &error);
    if (code == ONWARD_ERR_NOT_FOUND)
        return;
    if (code == ONWARD_OK)
        code = standing_read(rundir, &standing, &error);
    if (code != ONWARD_OK)
        say("%s", error.text);
    else if (options->json)
        json_array_append_new(list, standing_json(rundir, name, &standing));
    else
        print_line(name, &standing);
    rundir_close(rundir);
}

static int list_tasks(const struct task_options *options)
{
    char base[PATH_MAX];
    struct error error;
    struct dirent **names = NULL;
    if (rundir_base(options->directory, base, sizeof base, &error) != ONWARD_OK)
        return say_error(&error);
    int count = scandir(base, &names, NULL, alphasort);
    if (count < 0 && (errno != ENOENT || options->directory)) {
        int exit_code = errno == ENOENT || errno == ENOTDIR ? 2 : 1;
        say("%s: %s", base, strerror(errno));
        return exit_code;
    }
    json_t *list = json_array();
    if (!options->json)
        printf("%-36s %-12s %10s %10s %8s\n", "TASK", "STATE", "STEP", "OF", "WORKERS");
    for (int i = 0; i < count; i++) {
        if (i < MAX_TASKS)
            list_task(options, names[i]->d_name, list);
        free(names[i]);
    }
    free(names);
    if (options->json)
        return print_json(list);
    json_decref(list);
    return finish_output(0);
}

int verb_status(int argc, char **argv)
{
    struct status_input input = {.members = false};
    options_parse(&status_argp, "onward status", argc, argv, &input);
    return input.task.task ? show_task(&input) : list_tasks(&input.task);
}
