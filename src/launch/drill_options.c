/* drill_options.c - the options of onward drill. */
#include "drill_options.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    KEY_MTBF = 256,
    KEY_KIND,
    KEY_SEED,
    KEY_FOR,
    KEY_COUNT,
    KEY_AGENT,
    KEY_HOST_COMMAND,
    MAX_FAULTS = 1000000
};

static const double max_mtbf_s = 1e7;

static void add_kind(struct drill_input *input, const char *name, size_t length)
{
    for (int kind = 0; kind < DRILL_KINDS; kind++) {
        const char *known = drill_kind_name((enum drill_kind)kind);
        if (strlen(known) != length || strncmp(known, name, length) != 0)
            continue;
        if (input->kind_count == DRILL_KINDS)
            options_refuse("drill: --kind: expected each kind once");
        input->kinds[input->kind_count++] = (enum drill_kind)kind;
        return;
    }
    options_refuse("drill: --kind %.*s: expected process, host, stop or cut, several separated by "
                   "commas",
                   (int)length, name);
}

static void parse_kinds(struct drill_input *input, const char *text)
{
    input->kind_count = 0;
    for (;; text++) {
        size_t length = strcspn(text, ",");
        add_kind(input, text, length);
        text += length;
        if (!*text)
            return;
    }
}

bool drill_wants(const struct drill_input *input, enum drill_kind kind)
{
    for (uint32_t i = 0; i < input->kind_count; i++)
        if (input->kinds[i] == kind)
            return true;
    return false;
}

static void check_input(const struct drill_input *input)
{
    if (!input->task.task)
        options_refuse("drill: expected a TASK; `onward status' lists them");
    if (!(input->mtbf_s > 0))
        options_refuse("drill: expected --mtbf SECONDS, the mean time between faults");
    if (drill_wants(input, DRILL_CUT) && !input->strike.host_command)
        options_refuse(
            "drill: --kind cut: expected --host-command, which cuts a host's network and "
            "heals it");
}

static error_t parse_drill(int key, char *text, struct argp_state *state)
{
    struct drill_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->task;
        return 0;
    case KEY_MTBF:
        input->mtbf_s = options_seconds("--mtbf", text, max_mtbf_s);
        return 0;
    case KEY_KIND:
        parse_kinds(input, text);
        return 0;
    case KEY_SEED:
        input->seed = (uint64_t)options_number("--seed", text, 0, INT64_MAX);
        return 0;
    case KEY_FOR:
        input->for_s = options_seconds("--for", text, max_mtbf_s);
        return 0;
    case KEY_COUNT:
        input->count = options_number("--count", text, 1, MAX_FAULTS);
        return 0;
    case KEY_AGENT:
        input->strike.agent = text;
        return 0;
    case KEY_HOST_COMMAND:
        input->strike.host_command = text;
        return 0;
    case 'y':
        input->yes = true;
        return 0;
    case ARGP_KEY_ARG:
        if (input->task.task)
            options_refuse("drill: %s: expected one TASK, which is %s", text, input->task.task);
        return ARGP_ERR_UNKNOWN; /* the child takes it */
    case ARGP_KEY_SUCCESS:
        check_input(input);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"mtbf", KEY_MTBF, "SECONDS", 0, "mean time between faults", 0},
    {"kind", KEY_KIND, "KINDS", 0,
     "process (SIGKILL, default), stop (SIGSTOP), host, cut; several separated by commas", 0},
    {"seed", KEY_SEED, "N", 0, "of the draws (default: from the time, and told)", 0},
    {"for", KEY_FOR, "SECONDS", 0, "end after so long (default: when the task ends)", 0},
    {"count", KEY_COUNT, "N", 0, "end after so many faults", 0},
    {"agent", KEY_AGENT, "CMD", 0, "what reaches another host (default ssh)", 0},
    {"host-command", KEY_HOST_COMMAND, "CMD", 0,
     "what takes a host down and up: CMD kill|boot|cut|heal HOST", 0},
    {"yes", 'y', NULL, 0, "do not ask before it begins", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp_child children[] = {{.argp = &task_argp}, {.argp = NULL}};
static const struct argp drill_argp = {
    .options = table,
    .parser = parse_drill,
    .args_doc = "TASK",
    .doc = "Lets random faults happen to a running TASK, and says what each of them cost.",
    .children = children,
};

void drill_options_parse(int argc, char **argv, struct drill_input *input)
{
    *input = (struct drill_input){.kinds = {DRILL_PROCESS},
                                  .kind_count = 1,
                                  .strike = {.agent = "ssh"},
                                  .seed = (uint64_t)time(NULL)};
    options_parse(&drill_argp, "onward drill", argc, argv, input);
    input->strike.task = input->task.task;
}
