/* verb_farm.c - onward farm: independent commands on all workers. The input is read whole before
 * anything is started or written, and becomes a file of the run directory, from which the task goes
 * on whatever becomes of the input. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "farm_conclude.h"
#include "farm_input.h"
#include "farm_template.h"
#include "say.h"
#include "start.h"
#include "verb.h"

enum {
    KEY_RETRIES = 1024,
    KEY_TIMEOUT,
    KEY_GRACE,
    KEY_MAX_FAILS,
    KEY_MAX_LOSSES,
    KEY_CSV,
    KEY_TSV,
    KEY_HEADER,
    MAX_RETRIES = 100,
    MAX_LOSSES = 15,
    MAX_ARGUMENTS = 32
};

static const double max_seconds = 1e9;

struct farm_options {
    struct launch_options launch;
    char *program[MAX_ARGUMENTS]; /* arguments of onward-farm */
    uint32_t program_count;
    struct farm_input input;
    struct farm_text template;
};

static void add_argument(struct farm_options *options, const char *name, char *value)
{
    for (uint32_t i = 0; i < options->program_count; i++)
        if (!strcmp(options->program[i], name))
            options_refuse("farm: %s is given twice", name);
    options->program[options->program_count++] = (char *)name;
    if (value)
        options->program[options->program_count++] = value;
}

static void add_number(struct farm_options *options, const char *name, char *text, int64_t low,
                       int64_t high)
{
    options_number(name, text, low, high);
    add_argument(options, name, text);
}

static void add_seconds(struct farm_options *options, const char *name, char *text)
{
    options_seconds(name, text, max_seconds);
    add_argument(options, name, text);
}

/* FILE, or a template's words, then ::: and values, or :::: and a file. */
static void take_arguments(struct farm_options *options, char **words, uint32_t count)
{
    struct farm_input *input = &options->input;
    struct error error;
    uint32_t mark = 0;
    while (mark < count && strcmp(words[mark], ":::") != 0 && strcmp(words[mark], "::::") != 0)
        mark++;
    if (mark == count && count == 1) {
        input->file = words[0];
        return;
    }
    if (mark == count || mark == 0)
        options_refuse("farm: expected a FILE with a command a line, or `COMMAND ::: VALUE...', or "
                       "`COMMAND :::: FILE'");
    for (uint32_t i = 0; i < mark; i++)
        if ((i > 0 && farm_text_add(&options->template, " ", 1, &error) != ONWARD_OK) ||
            farm_text_add(&options->template, words[i], strlen(words[i]), &error) != ONWARD_OK)
            options_refuse("%s", error.text);
    input->template = options->template.bytes;
    if (!strcmp(words[mark], ":::")) {
        input->values = words + mark + 1;
        input->value_count = count - mark - 1;
    } else if (count == mark + 2) {
        input->file = words[mark + 1];
    } else {
        options_refuse("farm: expected one FILE behind `::::'");
    }
}

static void check_input(const struct farm_options *options)
{
    const struct farm_input *input = &options->input;
    if (input->separator && (!input->file || !input->template))
        options_refuse("farm: --csv and --tsv: expected `COMMAND :::: FILE'");
    if (input->header && !input->separator)
        options_refuse("farm: --header: expected --csv or --tsv beside it");
    if (options->launch.step_count >= 0)
        options_refuse("farm: --steps: a farm has a step for each command");
}

static error_t parse_farm(int key, char *text, struct argp_state *state)
{
    struct farm_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->launch;
        return 0;
    case KEY_RETRIES:
        add_number(options, "--retries", text, 0, MAX_RETRIES);
        return 0;
    case KEY_TIMEOUT:
        add_seconds(options, "--timeout", text);
        return 0;
    case KEY_GRACE:
        add_seconds(options, "--grace", text);
        return 0;
    case KEY_MAX_FAILS:
        add_number(options, "--max-fails", text, 1, INT_MAX);
        return 0;
    case KEY_MAX_LOSSES:
        add_number(options, "--max-losses", text, 1, MAX_LOSSES);
        return 0;
    case 'k':
        add_argument(options, "--keep-order", NULL);
        return 0;
    case KEY_CSV:
        options->input.separator = ',';
        return 0;
    case KEY_TSV:
        options->input.separator = '\t';
        return 0;
    case KEY_HEADER:
        options->input.header = true;
        return 0;
    case ARGP_KEY_ARGS:
        take_arguments(options, state->argv + state->next, (uint32_t)(state->argc - state->next));
        return 0;
    case ARGP_KEY_NO_ARGS:
        options_refuse("farm: expected a FILE with a command a line (- for standard input), or "
                       "`COMMAND ::: VALUE...'");
    case ARGP_KEY_SUCCESS:
        check_input(options);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_table[] = {
    {"retries", KEY_RETRIES, "N", 0, "run a command that failed again, N times (default 0)", 0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "end a command that runs longer", 0},
    {"grace", KEY_GRACE, "SECONDS", 0, "between SIGTERM and SIGKILL to it (default 5)", 0},
    {"max-fails", KEY_MAX_FAILS, "N", 0, "give up, resumable, when N commands have failed", 0},
    {"max-losses", KEY_MAX_LOSSES, "N", 0,
     "set a command aside that took down N workers (default 3)", 0},
    {"keep-order", 'k', NULL, 0, "print the outputs in the order of the commands", 0},
    {"csv", KEY_CSV, NULL, 0, "the lines of FILE are rows, with commas between the columns", 0},
    {"tsv", KEY_TSV, NULL, 0, "the same with tabs", 0},
    {"header", KEY_HEADER, NULL, 0, "the first row has the columns' names, for {NAME}", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp_child children[] = {{.argp = &launch_argp}, {.argp = NULL}};
static const struct argp farm_argp = {
    .options = option_table,
    .parser = parse_farm,
    .args_doc = "FILE\nCOMMAND ::: VALUE...\nCOMMAND :::: FILE",
    .doc = "Runs independent commands on all workers, each to its end exactly once: the lines of "
           "FILE (- for standard input), or COMMAND with {} for each value, {1} {2} ... for the "
           "columns, and {#} for the number.",
    .children = children,
};

static int publish(void *writer, const char *run, struct error *error)
{
    char path[PATH_MAX];
    int code = file_join(path, sizeof path, run, "commands", error);
    return code == ONWARD_OK ? commands_publish(writer, path, error) : code;
}

static int start_farm(struct farm_options *options, struct commands_writer *writer)
{
    char task[RUNDIR_TASK_BYTES], here[PATH_MAX];
    uint32_t count = commands_added(writer);
    start_make_task("farm", task, sizeof task);
    struct task_record record = {.task = options->launch.task ? (char *)options->launch.task : task,
                                 .program = (char *)"farm",
                                 .arguments = options->program,
                                 .argument_count = options->program_count,
                                 .config = (char *)"",
                                 .directory = getcwd(here, sizeof here),
                                 .min_workers = 1,
                                 .subtask_count = count,
                                 .step_count = count,
                                 .checkpoint = (char *)"auto",
                                 .checkpoint_keep = 3,
                                 .version = (char *)PACKAGE_VERSION};
    options->launch.prepare = publish;
    options->launch.prepare_context = writer;
    start_override(&options->launch, &record);
    return farm_start(&options->launch, &record, false);
}

int verb_farm(int argc, char **argv)
{
    struct farm_options options = {.program_count = 0};
    struct commands_writer *writer = NULL;
    struct error error;
    launch_options_init(&options.launch);
    options_parse(&farm_argp, "onward farm", argc, argv, &options);
    int code = commands_begin(&writer, &error);
    if (code == ONWARD_OK)
        code = farm_input_read(&options.input, writer, &error);
    int exit_code = code == ONWARD_OK ? start_farm(&options, writer) : say_error(&error);
    commands_discard(writer);
    farm_text_clear(&options.template);
    launch_options_clear(&options.launch);
    return exit_code;
}
