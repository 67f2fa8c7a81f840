/* verb_train.c - onward train: the built-in trainers. The config and its data are checked first, so
 * that bad input ends with one line before any worker starts. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "find.h"
#include "quick.h"
#include "say.h"
#include "start.h"
#include "verb.h"

static const double check_limit_s = 600;

struct train_input {
    struct launch_options launch;
    const char *config;
};

static error_t parse_train(int key, char *text, struct argp_state *state)
{
    struct train_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->launch;
        return 0;
    case ARGP_KEY_ARG:
        if (input->config)
            options_refuse("train: %s: expected one CONFIG, which is %s", text, input->config);
        input->config = text;
        return 0;
    case ARGP_KEY_END:
        if (!input->config)
            options_refuse("train: expected a CONFIG, as in `onward train -n 4 mnist.yaml'");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{.argp = &launch_argp}, {.argp = NULL}};
static const struct argp train_argp = {
    .parser = parse_train,
    .args_doc = "CONFIG",
    .doc = "Trains the model that CONFIG (YAML) describes, and keeps going when workers fail.",
    .children = children,
};

/* 0, or the exit status after one line. */
static int check_config(const char *config)
{
    char train[PATH_MAX];
    static struct quick_result result;
    struct error error;
    if (find_own("onward-train", "ONWARD_TRAIN", train, sizeof train, &error) != ONWARD_OK)
        return say_error(&error);
    char *const command[] = {train, (char *)"--check", (char *)config, NULL};
    if (quick_run(command, check_limit_s, &result, &error) != ONWARD_OK)
        return say_error(&error);
    if (result.timed_out) {
        say("%s: the check of the config did not end in %.0f s", config, check_limit_s);
        return 1;
    }
    if (result.exit_status == 0)
        return 0;
    fprintf(stderr, "%s\n",
            result.error_line[0] ? result.error_line : "onward: the check of the config failed");
    return result.exit_status == EXIT_USAGE ? EXIT_USAGE : 1;
}

int verb_train(int argc, char **argv)
{
    struct train_input input = {.config = NULL};
    char task[RUNDIR_TASK_BYTES], here[PATH_MAX], config[PATH_MAX];
    launch_options_init(&input.launch);
    options_parse(&train_argp, "onward train", argc, argv, &input);
    int failed = check_config(input.config);
    if (failed)
        return failed;
    if (!realpath(input.config, config)) {
        say("%s: expected a file that can be read", input.config);
        return EXIT_USAGE;
    }
    start_make_task(config, task, sizeof task);
    struct task_record record = {.task = input.launch.task ? (char *)input.launch.task : task,
                                 .program = (char *)"train",
                                 .config = config,
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
