/* verb_resume.c - onward resume: starts a task again as its task.yaml says, from its newest
 * checkpoint. Options go before the record; faults are not rehearsed again unless asked for. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "farm_conclude.h"
#include "gang_conclude.h"
#include "say.h"
#include "standing.h"
#include "start.h"
#include "verb.h"

static error_t parse_resume(int key, char *text, struct argp_state *state)
{
    struct launch_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options;
        return 0;
    case ARGP_KEY_ARG:
        if (options->task)
            options_refuse("resume: %s: expected one TASK, which is %s", text, options->task);
        options->task = text;
        return 0;
    case ARGP_KEY_END:
        if (!options->task)
            options_refuse("resume: expected a TASK; `onward status' lists them");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{.argp = &launch_argp}, {.argp = NULL}};
static const struct argp resume_argp = {
    .parser = parse_resume,
    .args_doc = "TASK",
    .doc = "Goes on with TASK from its newest checkpoint, as it was started, except for what the "
           "options say.",
    .children = children,
};

static int read_record(const struct launch_options *options, char *base, size_t base_bytes,
                       struct task_record *record, struct error *error)
{
    const struct task_options task = {.directory = options->directory, .task = options->task};
    struct rundir *rundir = NULL;
    int code = rundir_base(options->directory, base, base_bytes, error);
    if (code == ONWARD_OK)
        code = standing_open(&task, &rundir, error);
    if (code == ONWARD_OK)
        code = rundir_read_task(rundir, record, error);
    rundir_close(rundir);
    return code;
}

static int resume_recorded(struct launch_options *options, const char *base,
                           const struct task_record *record)
{
    struct task_record again = *record;
    bool is_ours = !strcmp(record->program, "train") || !strcmp(record->program, "farm") ||
                   !strcmp(record->program, "gang") ||
                   ((!strcmp(record->program, "run") || !strcmp(record->program, "plain")) &&
                    record->argument_count > 0);
    if (!is_ours) {
        say("task %s was not started by onward: start it again in the way it was started",
            record->task);
        return EXIT_USAGE;
    }
    options->directory = base; /* absolute: the working directory changes */
    if (chdir(record->directory) != 0) {
        say("%s: %s: expected the directory in which task %s was started", record->directory,
            strerror(errno), record->task);
        return EXIT_USAGE;
    }
    start_override(options, &again);
    if (!strcmp(record->program, "farm"))
        return farm_start(options, &again, true);
    int exit_code = start_task(options, &again, true);
    return !strcmp(record->program, "gang") ? gang_conclude(options, &again, exit_code) : exit_code;
}

int verb_resume(int argc, char **argv)
{
    struct launch_options options;
    struct task_record record;
    struct error error;
    char base[PATH_MAX];
    launch_options_init(&options);
    options_parse(&resume_argp, "onward resume", argc, argv, &options);
    if (read_record(&options, base, sizeof base, &record, &error) != ONWARD_OK)
        return say_error(&error);
    int exit_code = resume_recorded(&options, base, &record);
    task_record_clear(&record);
    launch_options_clear(&options);
    return exit_code;
}
