/* launch_options.c - the options that run, train and resume share. Each value is checked as it is
 * read, so that nothing starts on a bad one; what needs two options is checked at the end. */
#include "launch_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checkpoint.h"
#include "end_time.h"
#include "find.h"
#include "hosts.h"
#include "inject.h"
#include "rundir.h"
#include "say.h"
#include "verb.h"

enum {
    KEY_TASK = 256,
    KEY_MIN,
    KEY_MAX,
    KEY_SPARES,
    KEY_STEPS,
    KEY_CHECKPOINT,
    KEY_KEEP,
    KEY_KEEP_EVERY,
    KEY_KEEP_BEST,
    KEY_END_TIME,
    KEY_MAX_RESTARTS,
    KEY_DETECT,
    KEY_HANG,
    KEY_INJECT,
    KEY_MPIRUN,
    KEY_MPIRUN_ARGUMENT,
    KEY_HOSTS,
    KEY_HOSTFILE,
    KEY_AGENT,
    KEY_LOCAL_DIRECTORY,
    KEY_REPLACE,
    KEY_WAIT,
    KEY_REQUEUE,
    KEY_GIVE_BACK,
    KEY_BY_CPUS
};

/* Heartbeats come every 0.2 s at most (runtime/heart.c): one that is late is no loss yet. */
static const double min_detect_s = 0.5;
static const double default_detect_s = 5, max_detect_s = 86400, max_wait_s = 30 * 86400;

enum { DEFAULT_MAX_RESTARTS = 3, MAX_RESTARTS = 1000000, MAX_KEEP = 1000, MAX_FAULTS = 64 };

/* where: the option, or the variable. */
static const char *check_local_directory(const char *where, const char *text)
{
    if (text[0] != '/')
        options_refuse("%s %s: expected an absolute path", where, text);
    return text;
}

void launch_options_init(struct launch_options *options)
{
    *options = (struct launch_options){.spares = -1,
                                       .step_count = -1,
                                       .checkpoint_keep_every = -1,
                                       .max_restarts = DEFAULT_MAX_RESTARTS,
                                       .detect_s = default_detect_s,
                                       .hang_s = -1,
                                       .wait_s = -1};
    const char *local = getenv("ONWARD_LOCAL_DIR");
    if (local && *local)
        options->local_directory = check_local_directory("$ONWARD_LOCAL_DIR", local);
}

void launch_options_clear(struct launch_options *options)
{
    free(options->host_list);
    options->host_list = NULL;
    free(options->hostfile);
    options->hostfile = NULL;
}

bool launch_is_checkpoint(const char *text)
{
    if (!strcmp(text, "auto"))
        return true;
    char *end;
    double value = strtod(text, &end);
    if (end == text || !isfinite(value) || value <= 0 || value > 1e9)
        return false;
    return (*end == '\0' && value == floor(value)) || !strcmp(end, "s");
}

static const char *check_checkpoint(const char *text)
{
    if (!launch_is_checkpoint(text))
        options_refuse("--checkpoint %s: expected auto, a number of steps, or seconds as in 30s",
                       text);
    return text;
}

static const char *check_best(const char *text)
{
    struct checkpoint_best best;
    if (!checkpoint_parse_best(text, &best))
        options_refuse("--keep-best %s: expected NAME:min or NAME:max, as in loss:min", text);
    return text;
}

static double read_end_time(const char *text)
{
    double end_time_s;
    if (!end_time_parse(text, (double)time(NULL), &end_time_s))
        options_refuse("--end-time %s: expected a time as in 2026-11-25T18:00:00Z, @SECONDS since "
                       "1970, or +SECONDS from now",
                       text);
    return end_time_s;
}

static const char *check_inject(const char *text)
{
    struct inject_fault faults[MAX_FAULTS];
    struct error error;
    int count;
    if (inject_parse(text, faults, MAX_FAULTS, &count, &error) != ONWARD_OK)
        options_refuse("%s", error.text);
    return text;
}

static const char *check_task(const char *text)
{
    struct error error;
    if (rundir_check_task(text, &error) != ONWARD_OK)
        options_refuse("--task: %s", error.text);
    return text;
}

static void read_hosts(struct launch_options *options, const char *option, const char *text)
{
    struct hosts hosts = {.list = NULL};
    struct error error;
    if (options->hosts_option && strcmp(options->hosts_option, option) != 0)
        options_refuse("--hosts with --hostfile: expected one of them");
    options->hosts_option = option;
    int code = !strcmp(option, "--hosts") ? hosts_parse_list(text, option, &hosts, &error)
                                          : hosts_read_file(text, &hosts, &error);
    if (code != ONWARD_OK)
        options_refuse("%s", error.text);
    free(options->hostfile);
    options->hostfile = !strcmp(option, "--hostfile") ? realpath(text, NULL) : NULL;
    free(options->host_list);
    options->host_list = hosts_text(&hosts);
    hosts_clear(&hosts);
    if (!options->host_list)
        options_refuse("%s: out of memory", option);
}

static const char *check_replace(const char *text)
{
    if (strcmp(text, "none") != 0 && strcmp(text, "spare") != 0 && strcmp(text, "spawn") != 0)
        options_refuse("--replace %s: expected none, spare or spawn", text);
    return text;
}

const char *launch_check_agent(const char *text)
{
    struct error error;
    if (text[strspn(text, " ")] == '\0')
        options_refuse("--agent: expected a command that reaches a host, such as ssh");
    if (find_agent(text, &error) != ONWARD_OK)
        options_refuse("%s", error.text);
    return text;
}

/* Where the task is to run. */
static bool parse_place(int key, const char *text, struct launch_options *options)
{
    switch (key) {
    case KEY_HOSTS:
        read_hosts(options, "--hosts", text);
        return true;
    case KEY_HOSTFILE:
        read_hosts(options, "--hostfile", text);
        return true;
    case KEY_AGENT:
        options->agent = launch_check_agent(text);
        return true;
    case KEY_LOCAL_DIRECTORY:
        options->local_directory = check_local_directory("--local-dir", text);
        return true;
    case KEY_REPLACE:
        options->replace = check_replace(text);
        return true;
    case KEY_WAIT:
        options->wait_s = !strcmp(text, "0") ? 0 : options_seconds("--wait", text, max_wait_s);
        return true;
    default:
        return false;
    }
}

/* What concerns a job of Slurm alone. */
static bool parse_slurm(int key, struct launch_options *options)
{
    switch (key) {
    case KEY_REQUEUE:
        options->requeue = true;
        return true;
    case KEY_GIVE_BACK:
        options->give_back = true;
        return true;
    case KEY_BY_CPUS:
        options->by_cpus = true;
        return true;
    default:
        return false;
    }
}

static void add_mpirun_argument(struct launch_options *options, const char *text)
{
    if (options->mpirun_argument_count == LAUNCH_MAX_MPIRUN_ARGUMENTS)
        options_refuse("--mpirun-arg: expected at most %d", LAUNCH_MAX_MPIRUN_ARGUMENTS);
    options->mpirun_arguments[options->mpirun_argument_count++] = text;
}

static uint32_t workers_of(const char *option, const char *text)
{
    return (uint32_t)options_number(option, text, 1, LAUNCH_MAX_WORKERS);
}

/* When checkpoints are taken, and which of them stay. */
static bool parse_checkpoint(int key, const char *text, struct launch_options *options)
{
    switch (key) {
    case KEY_CHECKPOINT:
        options->checkpoint = check_checkpoint(text);
        return true;
    case KEY_KEEP:
        options->checkpoint_keep = (uint32_t)options_number("--keep", text, 1, MAX_KEEP);
        return true;
    case KEY_KEEP_EVERY:
        options->checkpoint_keep_every = options_number("--keep-every", text, 0, INT32_MAX);
        return true;
    case KEY_KEEP_BEST:
        options->checkpoint_keep_best = check_best(text);
        return true;
    case KEY_END_TIME:
        options->end_time_s = read_end_time(text);
        return true;
    default:
        return false;
    }
}

/* How the task is to run. */
static bool parse_policy(int key, const char *text, struct launch_options *options)
{
    switch (key) {
    case 'n':
        options->workers = workers_of("-n", text);
        return true;
    case KEY_MIN:
        options->min_workers = workers_of("--min", text);
        return true;
    case KEY_MAX:
        options->max_workers = workers_of("--max", text);
        return true;
    case KEY_SPARES:
        options->spares = options_number("--spares", text, 0, LAUNCH_MAX_WORKERS);
        return true;
    case KEY_STEPS:
        options->step_count = options_number("--steps", text, 0, INT32_MAX);
        return true;
    case KEY_MAX_RESTARTS:
        options->max_restarts = (int)options_number("--max-restarts", text, 0, MAX_RESTARTS);
        return true;
    case KEY_DETECT:
        options->detect_s = options_seconds("--detect", text, max_detect_s);
        if (options->detect_s < min_detect_s)
            options_refuse("--detect %s: expected at least %g s", text, min_detect_s);
        return true;
    case KEY_HANG:
        options->hang_s = !strcmp(text, "0") ? 0 : options_seconds("--hang", text, max_detect_s);
        return true;
    default:
        return false;
    }
}

static void check_together(const struct launch_options *options)
{
    if (options->max_workers && options->min_workers > options->max_workers)
        options_refuse("--min %u: expected at most --max, which is %u", options->min_workers,
                       options->max_workers);
    if (options->workers && options->min_workers > options->workers)
        options_refuse("--min %u: expected at most -n, which is %u", options->min_workers,
                       options->workers);
    if (options->quiet && options->json)
        options_refuse("--quiet with --json: expected one of them");
}

static error_t parse_launch(int key, char *text, struct argp_state *state)
{
    struct launch_options *options = state->input;
    if (parse_policy(key, text, options) || parse_place(key, text, options) ||
        parse_checkpoint(key, text, options) || parse_slurm(key, options))
        return 0;
    switch (key) {
    case KEY_TASK:
        options->task = check_task(text);
        return 0;
    case 'd':
        options->directory = text;
        return 0;
    case KEY_INJECT:
        options->inject = check_inject(text);
        return 0;
    case KEY_MPIRUN:
        options->mpirun = text;
        return 0;
    case KEY_MPIRUN_ARGUMENT:
        add_mpirun_argument(options, text);
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    case ARGP_KEY_SUCCESS:
        check_together(options);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"workers", 'n', "N", 0, "number of workers (default: number of cores)", 0},
    {"task", KEY_TASK, "ID", 0, "task ID (default: from program, time and process)", 0},
    {"dir", 'd', "DIR", 0, "where run directories are (default $ONWARD_DIR or ./onward-runs)", 0},
    {"steps", KEY_STEPS, "N", 0, "the task is complete after N steps", 0},
    {"min", KEY_MIN, "N", 0, "give up, resumable, with fewer than N workers (default 1)", 0},
    {"max", KEY_MAX, "N", 0, "more than N workers stay spare", 0},
    {"spares", KEY_SPARES, "K", 0, "start K more members, which replace lost workers", 0},
    {"checkpoint", KEY_CHECKPOINT, "auto|N|Ts", 0,
     "checkpoint by cost and failures, every N steps, or every T seconds (default auto)", 0},
    {"keep", KEY_KEEP, "K", 0, "keep the newest K checkpoints (default 3)", 0},
    {"keep-every", KEY_KEEP_EVERY, "N", 0, "keep those of every N steps too; 0: none (default)", 0},
    {"keep-best", KEY_KEEP_BEST, "NAME:min|max", 0, "keep the best by the metric NAME too", 0},
    {"end-time", KEY_END_TIME, "TIME", 0,
     "take a checkpoint and stop, resumable, before TIME: RFC 3339, @SECONDS or +SECONDS", 0},
    {"max-restarts", KEY_MAX_RESTARTS, "K", 0, "start mpirun again at most K times (default 3)", 0},
    {"detect", KEY_DETECT, "SECONDS", 0,
     "take a host or process that is silent or stopped for so long (at least 0.5) for lost "
     "(default 5)",
     0},
    {"hosts", KEY_HOSTS, "LIST", 0, "run on these hosts: NAME[:SLOTS],..., as in n[0-3]:2", 0},
    {"hostfile", KEY_HOSTFILE, "FILE", 0, "run on the hosts of FILE: NAME [slots=N], one a line",
     0},
    {"hosts-file", 0, NULL, OPTION_ALIAS, NULL, 0},
    {"agent", KEY_AGENT, "CMD", 0, "what runs a command on another host (default ssh)", 0},
    {"local-dir", KEY_LOCAL_DIRECTORY, "DIR", 0,
     "where each host keeps its own copies (default /dev/shm)", 0},
    {"replace", KEY_REPLACE, "none|spare|spawn", 0, "what takes the place of lost workers", 0},
    {"wait", KEY_WAIT, "SECONDS", 0, "wait so long for hosts when there are too few (default 0)",
     0},
    {"hang", KEY_HANG, "SECONDS", 0,
     "kill a worker whose step the others wait for so long; 0: never (default 60, or 20 steps)", 0},
    {"requeue", KEY_REQUEUE, NULL, 0,
     "in a job of Slurm: put it back into the queue when it was stopped or has too few hosts", 0},
    {"give-back", KEY_GIVE_BACK, NULL, 0,
     "in a job of Slurm: start again without hosts that are drained, and give them back", 0},
    {"by-cpus", KEY_BY_CPUS, NULL, 0,
     "in a job of Slurm: a slot for each CPU of the job, not for each task", 0},
    {"inject", KEY_INJECT, "FAULTS", 0, "rehearse faults, such as kill:worker=2@step=300", 0},
    {"mpirun", KEY_MPIRUN, "PATH", 0, "the mpirun to use (default $ONWARD_MPIRUN)", 0},
    {"mpirun-arg", KEY_MPIRUN_ARGUMENT, "A", 0, "hand A to mpirun; may be given several times", 0},
    {"quiet", 'q', NULL, 0, "no progress", 0},
    {"json", 'j', NULL, 0, "print what it came to as JSON", 0},
    {NULL, 0, NULL, 0, NULL, 0}};

const struct argp launch_argp = {.options = table, .parser = parse_launch};
