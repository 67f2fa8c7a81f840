/* options.c - reading options: argp, with each failure in one line and exit status 2, and numbers
 * that are refused with their option, the bad text, and what was expected. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"
#include "slurm_task.h"
#include "verb.h"

enum { KEY_WAIT = 1000 }; /* of no verb */

static const double max_wait_s = 86400;

void options_refuse(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say("%s", text);
    exit(EXIT_USAGE);
}

int64_t options_number(const char *option, const char *text, int64_t low, int64_t high)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high)
        options_refuse("%s %s: expected a whole number from %lld to %lld", option, text,
                       (long long)low, (long long)high);
    return value;
}

double options_seconds(const char *option, const char *text, double high)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value <= 0 || value > high)
        options_refuse("%s %s: expected a number of seconds above 0, at most %g", option, text,
                       high);
    return value;
}

struct outer {
    const char *name;
    void *input;
};

/* Wraps every verb's parser. getopt says in one line what is wrong with an option; the second line
 * that argp adds ("Try ...") goes nowhere. Help is our own, for it names the verb. */
static error_t parse_outer(int key, char *text, struct argp_state *state)
{
    (void)text;
    struct outer *outer = state->input;
    if (key == '?') {
        state->name = (char *)outer->name;
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
        return 0;
    }
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    FILE *nowhere = fopen("/dev/null", "w");
    if (nowhere)
        state->err_stream = nowhere;
    state->child_inputs[0] = outer->input;
    return 0;
}

static const struct argp_option help_option[] = {{"help", '?', NULL, 0, "show this help", -1},
                                                 {NULL, 0, NULL, 0, NULL, 0}};

void options_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input)
{
    static char program[] = "onward";
    struct outer outer = {name, input};
    const struct argp_child children[] = {{.argp = argp}, {.argp = NULL}};
    const struct argp whole = {.options = help_option, .parser = parse_outer, .children = children};
    argp_err_exit_status = EXIT_USAGE;
    argv[0] = program; /* what getopt begins its line with */
    error_t failed = argp_parse(&whole, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, &outer);
    if (failed)
        options_refuse("%s", strerror(failed));
}

static error_t parse_task(int key, char *text, struct argp_state *state)
{
    static char found[RUNDIR_TASK_BYTES];
    struct task_options *options = state->input;
    switch (key) {
    case 'd':
        options->directory = text;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->task)
            return ARGP_ERR_UNKNOWN;
        options->task = text;
        return 0;
    case ARGP_KEY_SUCCESS:
        if (options->task && slurm_task_find(options->directory, options->task, found))
            options->task = found;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option task_option_table[] = {
    {"dir", 'd', "DIR", 0, "where run directories are (default $ONWARD_DIR or ./onward-runs)", 0},
    {"json", 'j', NULL, 0, "print JSON", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

const struct argp task_argp = {.options = task_option_table, .parser = parse_task};

static error_t parse_wait(int key, char *text, struct argp_state *state)
{
    struct wait_options *options = state->input;
    if (key != KEY_WAIT)
        return ARGP_ERR_UNKNOWN;
    options->wait_s = options_seconds("--wait", text, max_wait_s);
    return 0;
}

static const struct argp_option wait_option_table[] = {
    {"wait", KEY_WAIT, "SECONDS", 0, "wait at most so long for the answer", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

const struct argp wait_argp = {.options = wait_option_table, .parser = parse_wait};
