/* main.c - onward-gang: runs a command once a rank, as one member of a task. Started by onward
 * gang. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gang.h"
#include "member.h"
#include "rundir.h"

enum { KEY_PER_WORKER = 256, KEY_RESTARTS, KEY_GRACE, KEY_TEE, SUBTASKS = GANG_MAX_MEMBERS };

static const struct argp_option option_table[] = {
    {"nproc-per-worker", KEY_PER_WORKER, "K", 0, "ranks at each worker", 0},
    {"gang-restarts", KEY_RESTARTS, "N", 0, "start all again at most N times", 0},
    {"grace", KEY_GRACE, "SECONDS", 0, "between SIGTERM and SIGKILL", 0},
    {"tee", KEY_TEE, NULL, 0, "show the outputs too", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct gang_settings *settings = state->input;
    switch (key) {
    case KEY_PER_WORKER:
        settings->per_worker = member_option_count(state, value, 1, GANG_MAX_PER_WORKER);
        return 0;
    case KEY_RESTARTS:
        settings->max_restarts = member_option_count(state, value, 0, 1000000);
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

static void gang_changed(struct gang_worker *worker)
{
    (void)worker; /* what was lost is said again anyway */
}

MEMBER_SERVICE(gang);

static void open_parts(struct member *member, struct onward *ow)
{
    gang_control_open(member->control, ow);
    gang_worker_open(member->worker, ow);
}

static int work(struct member *member, struct onward *ow)
{
    return gang_work(member->worker, ow);
}

static int start(const struct gang_settings *settings, const struct onward_options *defaults,
                 struct keeper **keepers)
{
    static const struct member_program program = {"onward-gang", &service, open_parts, work};
    struct onward_options options = *defaults;
    struct member member = {gang_control_create(settings), gang_worker_create(settings, keepers),
                            settings};
    options.subtask_count = SUBTASKS; /* as many workers as there are */
    options.step_count = RUNDIR_ENDLESS_STEPS;
    options.program = "gang";
    int code = member_take_part(&program, &member, &options);
    gang_control_destroy(member.control);
    gang_worker_destroy(member.worker);
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
        gang_command_destroy(keeper.context);
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
