/* main.c - onward-gang: runs a command once a rank, as one member of a task. Started by onward
 * gang. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gang.h"
#include "rundir.h"
#include "told.h"

enum { KEY_PER_WORKER = 256, KEY_RESTARTS, KEY_GRACE, KEY_TEE, SUBTASKS = GANG_MAX_MEMBERS };

static const struct argp_option option_table[] = {
    {"nproc-per-worker", KEY_PER_WORKER, "K", 0, "ranks at each worker", 0},
    {"gang-restarts", KEY_RESTARTS, "N", 0, "start all again at most N times", 0},
    {"grace", KEY_GRACE, "SECONDS", 0, "between SIGTERM and SIGKILL", 0},
    {"tee", KEY_TEE, NULL, 0, "show the outputs too", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

static uint32_t count_of(struct argp_state *state, const char *text, long low, long high)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < low || value > high)
        argp_error(state, "%s: expected a whole number from %ld to %ld", text, low, high);
    return (uint32_t)value;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct gang_settings *settings = state->input;
    switch (key) {
    case KEY_PER_WORKER:
        settings->per_worker = count_of(state, value, 1, GANG_MAX_PER_WORKER);
        return 0;
    case KEY_RESTARTS:
        settings->max_restarts = count_of(state, value, 0, 1000000);
        return 0;
    case KEY_GRACE:
        settings->grace_s = strtod(value, NULL); /* the launcher has looked at it */
        return 0;
    case KEY_TEE:
        settings->tee = true;
        return 0;
    case ARGP_KEY_ARGS:
        settings->command = state->argv + state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "expected a command");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* One member is both where a worker took over. */
struct gang {
    struct gang_control *control;
    struct gang_worker *worker;
};

static int64_t lead(void *gang)
{
    return gang_lead(((struct gang *)gang)->control);
}

static void members(void *gang, const struct onward_member *list, uint32_t count)
{
    gang_members(((struct gang *)gang)->control, list, count);
}

static void request(void *gang, uint32_t member, const void *bytes, size_t size)
{
    gang_request(((struct gang *)gang)->control, member, bytes, size);
}

static int64_t serve(void *gang)
{
    return gang_serve(((struct gang *)gang)->control);
}

static void answer(void *gang, const void *bytes, size_t size)
{
    gang_take_wish(((struct gang *)gang)->worker, bytes, size);
}

static void changed(void *gang)
{
    (void)gang; /* what was lost is said again anyway */
}

static void idle(void *gang)
{
    gang_idle(((struct gang *)gang)->worker);
}

static int take_part(struct gang *gang, const struct onward_options *options)
{
    struct onward *ow;
    int code = onward_open(MPI_COMM_NULL, options, &ow);
    if (code != ONWARD_OK) {
        fprintf(stderr, "onward-gang: %s\n", onward_text(NULL));
        return code;
    }
    gang_control_open(gang->control, ow);
    gang_worker_open(gang->worker, ow);
    code = onward_is_controller(ow) ? onward_control(ow) : gang_work(gang->worker, ow);
    if (code != ONWARD_OK && !end_is_told(code))
        fprintf(stderr, "onward-gang: %s\n", onward_text(ow));
    int came_to = onward_close(ow);
    return code != ONWARD_OK ? code : came_to;
}

static int start(const struct gang_settings *settings, const struct onward_options *defaults,
                 struct keeper **keepers)
{
    struct onward_options options = *defaults;
    struct gang gang = {gang_control_create(settings), gang_worker_create(settings, keepers)};
    const struct onward_service service = {.context = &gang,
                                           .lead = lead,
                                           .members = members,
                                           .request = request,
                                           .serve = serve,
                                           .answer = answer,
                                           .changed = changed,
                                           .idle = idle};
    options.service = &service;
    options.subtask_count = SUBTASKS; /* as many workers as there are */
    options.step_count = RUNDIR_ENDLESS_STEPS;
    options.program = "gang";
    int code = gang.control && gang.worker ? take_part(&gang, &options) : ONWARD_ERR_MEMORY;
    gang_control_destroy(gang.control);
    gang_worker_destroy(gang.worker);
    return code;
}

static int start_keepers(const struct gang_settings *settings, const char *task,
                         struct keeper **keepers, struct error *error)
{
    for (uint32_t i = 0; i < settings->per_worker; i++) {
        struct keeper_settings keeper = {.order_bytes = sizeof(struct gang_order),
                                         .grace_s = settings->grace_s,
                                         .context = gang_command_create(settings, task),
                                         .setup = gang_command_setup,
                                         .prepare = gang_command_prepare};
        if (!keeper.context)
            return error_set(error, ONWARD_ERR_MEMORY, "no memory to start");
        int code = keeper_start(&keeper, &keepers[i], error);
        if (code != ONWARD_OK)
            return code;
    }
    return ONWARD_OK;
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "onward-gang %s\n", onward_version());
}

int main(int argc, char **argv)
{
    static const struct argp parser = {.options = option_table,
                                       .parser = parse_option,
                                       .args_doc = "COMMAND [ARGUMENT...]",
                                       .doc = "Runs COMMAND once a rank, as one member of a task "
                                              "of onward gang."};
    static struct keeper *keepers[GANG_MAX_PER_WORKER];
    struct gang_settings settings = {.per_worker = 1, .max_restarts = 3, .grace_s = 10};
    struct onward_options options;
    struct error error = {0};
    argp_err_exit_status = 2;
    argp_program_version_hook = print_version;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &settings);
    onward_options_init(&options);
    const char *task = options.task ? options.task : "task";
    int code = start_keepers(&settings, task, keepers, &error);
    if (code == ONWARD_OK)
        code = start(&settings, &options, keepers);
    else
        fprintf(stderr, "onward-gang: %s\n", error.text);
    for (uint32_t i = 0; i < settings.per_worker; i++)
        keeper_stop(keepers[i], true);
    return onward_exit_code(code);
}
