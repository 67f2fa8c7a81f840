/* verb_gang.c - onward gang: one command a rank, with the environment of torchrun. */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "find.h"
#include "gang_conclude.h"
#include "say.h"
#include "start.h"
#include "verb.h"

enum { KEY_PER_WORKER = 1024, KEY_RESTARTS, KEY_GRACE, KEY_TEE, MAX_PER_WORKER = 256 };
enum { OWN_ARGUMENTS = 8, MAX_GANG_RESTARTS = 1000000 };

static const double max_seconds = 1e6;

struct gang_options {
    struct launch_options launch;
    char *own[OWN_ARGUMENTS]; /* arguments of onward-gang */
    uint32_t own_count;
    char **command;
    uint32_t command_count;
};

static void add_argument(struct gang_options *options, const char *name, char *value)
{
    for (uint32_t i = 0; i < options->own_count; i++)
        if (!strcmp(options->own[i], name))
            options_refuse("gang: %s is given twice", name);
    options->own[options->own_count++] = (char *)name;
    if (value)
        options->own[options->own_count++] = value;
}

static error_t parse_gang(int key, char *text, struct argp_state *state)
{
    struct gang_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->launch;
        return 0;
    case KEY_PER_WORKER:
        options_number("--nproc-per-worker", text, 1, MAX_PER_WORKER);
        add_argument(options, "--nproc-per-worker", text);
        return 0;
    case KEY_RESTARTS:
        options_number("--gang-restarts", text, 0, MAX_GANG_RESTARTS);
        add_argument(options, "--gang-restarts", text);
        return 0;
    case KEY_GRACE:
        options_seconds("--grace", text, max_seconds);
        add_argument(options, "--grace", text);
        return 0;
    case KEY_TEE:
        add_argument(options, "--tee", NULL);
        return 0;
    case ARGP_KEY_ARGS:
        options->command = state->argv + state->next;
        options->command_count = (uint32_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_NO_ARGS:
        options_refuse("gang: expected a command, as in `onward gang -n 2 -- python3 train.py'");
    case ARGP_KEY_SUCCESS:
        if (options->launch.step_count >= 0)
            options_refuse("gang: --steps: a gang runs until its command ends");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_table[] = {
    {"nproc-per-worker", KEY_PER_WORKER, "K", 0, "run K ranks at each worker (default 1)", 0},
    {"gang-restarts", KEY_RESTARTS, "N", 0,
     "start all again when a rank failed, at most N times (default 3)", 0},
    {"grace", KEY_GRACE, "SECONDS", 0, "between SIGTERM and SIGKILL (default 10)", 0},
    {"tee", KEY_TEE, NULL, 0, "show the outputs too, each line with its rank", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp_child children[] = {{.argp = &launch_argp}, {.argp = NULL}};
static const struct argp gang_argp = {
    .options = option_table,
    .parser = parse_gang,
    .args_doc = "COMMAND [ARGUMENT...]",
    .doc = "Runs COMMAND once a rank, with the environment of torchrun, and starts all again under "
           "new ranks when one fails or the lineup changes.",
    .children = children,
};

int verb_gang(int argc, char **argv)
{
    struct gang_options options = {.own_count = 0};
    char task[RUNDIR_TASK_BYTES], here[PATH_MAX], path[PATH_MAX];
    struct error error;
    launch_options_init(&options.launch);
    options_parse(&gang_argp, "onward gang", argc, argv, &options);
    if (find_program(options.command[0], path, sizeof path, &error) != ONWARD_OK)
        return say_error(&error);
    uint32_t count = options.own_count + 1 + options.command_count;
    char **arguments = calloc(count, sizeof *arguments);
    if (!arguments)
        options_refuse("gang: out of memory");
    memcpy(arguments, options.own, options.own_count * sizeof *arguments);
    arguments[options.own_count] = (char *)"--";
    memcpy(arguments + options.own_count + 1, options.command,
           options.command_count * sizeof *arguments);
    start_make_task(options.command[0], task, sizeof task);
    struct task_record record = {.task = options.launch.task ? (char *)options.launch.task : task,
                                 .program = (char *)"gang",
                                 .arguments = arguments,
                                 .argument_count = count,
                                 .config = (char *)"",
                                 .directory = getcwd(here, sizeof here),
                                 .min_workers = 1,
                                 .step_count = -1,
                                 .checkpoint = (char *)"auto",
                                 .checkpoint_keep = 3,
                                 .version = (char *)PACKAGE_VERSION};
    start_override(&options.launch, &record);
    int exit_code = start_task(&options.launch, &record, false);
    exit_code = gang_conclude(&options.launch, &record, exit_code);
    launch_options_clear(&options.launch);
    free(arguments);
    return exit_code;
}
