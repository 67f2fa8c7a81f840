/* verb_run.c - onward run: a program under supervision until its task is complete. Whether it uses
 * libonward is told from its file (library_use.h), unless the user says it. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "find.h"
#include "library_use.h"
#include "say.h"
#include "start.h"
#include "verb.h"

enum { KEY_PLAIN = 1024, KEY_ELASTIC, KEY_RESTART_COMMAND, KEY_RESTART_FILE, KEY_DONE_FILE };

struct run_input {
    struct launch_options launch;
    bool is_plain, is_elastic; /* as it was said; neither: to be found out */
    const char *restart_command, *restart_file, *done_file;
    char **program;
    uint32_t program_count;
};

static const char *check_not_empty(const char *option, const char *text)
{
    if (!*text)
        options_refuse("run: %s: expected a text that is not empty", option);
    return text;
}

static error_t parse_run(int key, char *text, struct argp_state *state)
{
    struct run_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->launch;
        return 0;
    case KEY_PLAIN:
        input->is_plain = true;
        return 0;
    case KEY_ELASTIC:
        input->is_elastic = true;
        return 0;
    case KEY_RESTART_COMMAND:
        input->restart_command = check_not_empty("--restart-cmd", text);
        return 0;
    case KEY_RESTART_FILE:
        input->restart_file = check_not_empty("--restart-file", text);
        return 0;
    case KEY_DONE_FILE:
        input->done_file = check_not_empty("--done-file", text);
        return 0;
    case ARGP_KEY_ARGS: /* all from the first that is no option of ours */
        input->program = state->argv + state->next;
        input->program_count = (uint32_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_NO_ARGS:
        options_refuse("run: expected a program, as in `onward run -n 4 -- PROGRAM ARGUMENTS'");
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_table[] = {
    {"plain", KEY_PLAIN, NULL, 0,
     "PROGRAM does not use libonward (default: as its file and libraries tell)", 0},
    {"elastic", KEY_ELASTIC, NULL, 0, "PROGRAM uses libonward, or starts one that does", 0},
    {"restart-cmd", KEY_RESTART_COMMAND, "CMD", 0,
     "plain: after a restart or a resume run CMD by the shell in place of PROGRAM", 0},
    {"restart-file", KEY_RESTART_FILE, "PATTERN", 0,
     "plain: what PROGRAM restarts from; --restart-cmd is run only where such a file is", 0},
    {"done-file", KEY_DONE_FILE, "FILE", 0,
     "plain: the task is complete when FILE is there (default: when all ranks ended with 0)", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp_child children[] = {{.argp = &launch_argp}, {.argp = NULL}};
static const struct argp run_argp = {
    .options = option_table,
    .parser = parse_run,
    .args_doc = "PROGRAM [ARGUMENT...]",
    .doc = "Runs PROGRAM under mpirun, and keeps it going until its task is complete: one that "
           "uses libonward from the newest step, any other (plain) from its own restart files.",
    .children = children,
};

static void refuse_one(bool is_given, const char *option, const char *why)
{
    if (is_given)
        options_refuse("run: %s: %s", option, why);
}

static void check_plain(const struct run_input *input)
{
    static const char why[] = "expected a program that uses libonward (--elastic)";
    const struct launch_options *launch = &input->launch;
    refuse_one(launch->spares > 0, "--spares", why);
    refuse_one(launch->step_count >= 0, "--steps", why);
    refuse_one(launch->checkpoint != NULL, "--checkpoint", why);
    refuse_one(launch->checkpoint_keep > 0, "--keep", why);
    refuse_one(launch->checkpoint_keep_every >= 0, "--keep-every", why);
    refuse_one(launch->checkpoint_keep_best != NULL, "--keep-best", why);
    refuse_one(launch->replace != NULL, "--replace", why);
    refuse_one(launch->inject != NULL, "--inject", why);
}

static void check_elastic(const struct run_input *input)
{
    static const char why[] = "PROGRAM uses libonward: expected --plain with it";
    refuse_one(input->restart_command != NULL, "--restart-cmd", why);
    refuse_one(input->restart_file != NULL, "--restart-file", why);
    refuse_one(input->done_file != NULL, "--done-file", why);
}

/* Finds the program and what it is. */
static int find_kind(struct run_input *input, struct error *error)
{
    char path[PATH_MAX];
    int code = find_program(input->program[0], path, sizeof path, error);
    if (code != ONWARD_OK)
        return code;
    refuse_one(input->is_plain && input->is_elastic, "--plain with --elastic",
               "expected one of them");
    if (!input->is_elastic)
        input->is_plain = input->is_plain || !library_is_used(path);
    if (input->is_plain)
        check_plain(input);
    else
        check_elastic(input);
    return ONWARD_OK;
}

int verb_run(int argc, char **argv)
{
    struct run_input input = {.program = NULL};
    char task[RUNDIR_TASK_BYTES], here[PATH_MAX];
    struct error error;
    launch_options_init(&input.launch);
    options_parse(&run_argp, "onward run", argc, argv, &input);
    if (find_kind(&input, &error) != ONWARD_OK)
        return say_error(&error);
    start_make_task(input.program[0], task, sizeof task);
    struct task_record record = {.task = input.launch.task ? (char *)input.launch.task : task,
                                 .program = (char *)(input.is_plain ? "plain" : "run"),
                                 .arguments = input.program,
                                 .argument_count = input.program_count,
                                 .config = (char *)"",
                                 .directory = getcwd(here, sizeof here),
                                 .min_workers = 1,
                                 .step_count = -1,
                                 .checkpoint = (char *)"auto",
                                 .checkpoint_keep = 3,
                                 .restart_command = (char *)input.restart_command,
                                 .restart_file = (char *)input.restart_file,
                                 .done_file = (char *)input.done_file,
                                 .version = (char *)PACKAGE_VERSION};
    start_override(&input.launch, &record);
    int exit_code = start_task(&input.launch, &record, false);
    launch_options_clear(&input.launch);
    return exit_code;
}
