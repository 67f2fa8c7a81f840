/* main.c - onward-farm: runs the commands of a task, as one member of it. Started by onward farm,
 * which puts the commands into the run directory. */
#include <argp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "farm.h"
#include "file.h"
#include "member.h"
#include "rundir.h"

enum { KEY_RETRIES = 256, KEY_TIMEOUT, KEY_GRACE, KEY_MAX_FAILS, KEY_MAX_LOSSES };

static const struct argp_option option_table[] = {
    {"retries", KEY_RETRIES, "N", 0, "run a subtask that failed again, N times", 0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "end an attempt after so long", 0},
    {"grace", KEY_GRACE, "SECONDS", 0, "between SIGTERM and SIGKILL", 0},
    {"max-fails", KEY_MAX_FAILS, "N", 0, "give up after so many subtasks that failed", 0},
    {"max-losses", KEY_MAX_LOSSES, "N", 0, "set a subtask aside that took down N workers", 0},
    {"keep-order", 'k', NULL, 0, "join the outputs in the order of the subtasks", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

static double seconds_of(struct argp_state *state, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= 1e9))
        argp_error(state, "%s: expected a number of seconds", text);
    return value;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct farm_settings *settings = state->input;
    switch (key) {
    case KEY_RETRIES:
        settings->retries = member_option_count(state, value, 0, 100);
        return 0;
    case KEY_TIMEOUT:
        settings->timeout_s = seconds_of(state, value);
        return 0;
    case KEY_GRACE:
        settings->grace_s = seconds_of(state, value);
        return 0;
    case KEY_MAX_FAILS:
        settings->max_fails = member_option_count(state, value, 0, INT_MAX);
        return 0;
    case KEY_MAX_LOSSES:
        settings->max_losses = member_option_count(state, value, 1, 15);
        return 0;
    case 'k':
        settings->keep_order = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

MEMBER_SERVICE(farm);

/* The number of commands, which every member has to know before it opens the task. */
static int count_commands(const struct onward_options *options, uint32_t *count,
                          struct error *error)
{
    char base[PATH_MAX], path[2 * PATH_MAX];
    struct commands *commands = NULL;
    int code = rundir_base(options->directory, base, sizeof base, error);
    if (code != ONWARD_OK)
        return code;
    snprintf(path, sizeof path, "%s/%s/commands", base, options->task ? options->task : "task");
    code = commands_open(path, false, &commands, error);
    if (code == ONWARD_OK)
        *count = commands_count(commands);
    commands_close(commands);
    return code;
}

static void open_parts(struct member *member, struct onward *ow)
{
    farm_control_open(member->control, ow);
    farm_worker_open(member->worker, ow);
}

static int work(struct member *member, struct onward *ow)
{
    return farm_work(member->worker, ow, member->settings);
}

static int start(const struct farm_settings *settings, const struct onward_options *options,
                 struct keeper *keeper)
{
    static const struct member_program program = {"onward-farm", &service, open_parts, work};
    struct member member = {farm_control_create(settings, options->subtask_count),
                            farm_worker_create(keeper), settings};
    int code = member_take_part(&program, &member, options);
    farm_control_destroy(member.control);
    farm_worker_destroy(member.worker);
    return code;
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "onward-farm %s\n", onward_version());
}

int main(int argc, char **argv)
{
    static const struct argp parser = {.options = option_table,
                                       .parser = parse_option,
                                       .doc = "Runs the commands of a task of onward farm, as one "
                                              "member of it."};
    struct farm_settings settings = {.grace_s = 5, .max_losses = 3};
    struct onward_options options;
    struct keeper *keeper = NULL;
    struct error error = {0};
    uint32_t count = 0;
    argp_err_exit_status = 2;
    argp_program_version_hook = print_version;
    argp_parse(&parser, argc, argv, 0, NULL, &settings);
    onward_options_init(&options);
    int code = count_commands(&options, &count, &error);
    struct farm_commands *commands = farm_commands_create();
    if (code == ONWARD_OK && !commands)
        code = error_set(&error, ONWARD_ERR_MEMORY, "no memory to start");
    const struct keeper_settings keeper_settings = {.order_bytes = sizeof(struct farm_item),
                                                    .timeout_s = settings.timeout_s,
                                                    .grace_s = settings.grace_s,
                                                    .context = commands,
                                                    .setup = farm_commands_setup,
                                                    .prepare = farm_commands_prepare};
    if (code == ONWARD_OK)
        code = keeper_start(&keeper_settings, &keeper, &error);
    farm_commands_destroy(commands);
    if (code != ONWARD_OK) {
        fprintf(stderr, "onward-farm: %s\n", error.text);
        return onward_exit_code(code);
    }
    options.subtask_count = count;
    options.step_count = count;
    options.wants_finish = true;
    options.program = "farm";
    code = start(&settings, &options, keeper);
    keeper_stop(keeper, true);
    return onward_exit_code(code);
}
