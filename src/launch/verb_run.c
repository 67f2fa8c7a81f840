/* verb_run.c - onward run: a program under supervision until its task is complete. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "say.h"
#include "start.h"
#include "verb.h"

struct run_input {
    struct launch_options launch;
    char **program;
    uint32_t program_count;
};

static error_t parse_run(int key, char *text, struct argp_state *state)
{
    (void)text;
    struct run_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->launch;
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

static const struct argp_child children[] = {{.argp = &launch_argp}, {.argp = NULL}};
static const struct argp run_argp = {
    .parser = parse_run,
    .args_doc = "PROGRAM [ARGUMENT...]",
    .doc = "Runs PROGRAM, which uses libonward, under mpirun, and keeps it going until its task is "
           "complete.",
    .children = children,
};

int verb_run(int argc, char **argv)
{
    struct run_input input = {.program = NULL};
    char task[RUNDIR_TASK_BYTES], here[PATH_MAX];
    launch_options_init(&input.launch);
    options_parse(&run_argp, "onward run", argc, argv, &input);
    start_make_task(input.program[0], task, sizeof task);
    struct task_record record = {.task = input.launch.task ? (char *)input.launch.task : task,
                                 .program = (char *)"run",
                                 .arguments = input.program,
                                 .argument_count = input.program_count,
                                 .config = (char *)"",
                                 .directory = getcwd(here, sizeof here),
                                 .min_workers = 1,
                                 .step_count = -1,
                                 .checkpoint = (char *)"auto",
                                 .checkpoint_keep = 3,
                                 .version = (char *)PACKAGE_VERSION};
    start_override(&input.launch, &record);
    int exit_code = start_task(&input.launch, &record, false);
    launch_options_clear(&input.launch);
    return exit_code;
}
