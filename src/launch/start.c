/* start.c - from what was asked for to a supervised task: finds the programs, opens and claims the
 * run directory, hands the settings down in the environment, supervises, says what it came to. */
#include "start.h"

#include <ctype.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "allot.h"
#include "display.h"
#include "ending.h"
#include "find.h"
#include "plain.h"
#include "say.h"
#include "settings.h"
#include "slurm.h"
#include "slurm_task.h"
#include "supervise.h"

enum { MAX_STALE_REQUESTS = 1000, NAME_BYTES = 32 };

static const double answer_limit_s = 5;

/* Programs that a start needs, and what the allocation gives that it runs in. */
struct start_paths {
    char mpirun[PATH_MAX], helper[PATH_MAX]; /* helper: onward-host, where there are hosts */
    char *hosts, *agent;                     /* of the allocation; NULL: there is none */
    uint32_t recorded_workers;               /* 0: as many as fit */
};

uint32_t start_core_count(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) > 0)
        return (uint32_t)CPU_COUNT(&cores);
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

void start_make_task(const char *program, char *task, size_t task_bytes)
{
    const char *slash = strrchr(program, '/');
    char name[NAME_BYTES], moment[32];
    struct tm parts;
    time_t now = time(NULL);
    snprintf(name, sizeof name, "%.31s", slash ? slash + 1 : program);
    name[strcspn(name, ".")] = '\0';
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            *c = '-';
    if (!isalnum((unsigned char)name[0]))
        snprintf(name, sizeof name, "task");
    localtime_r(&now, &parts);
    strftime(moment, sizeof moment, "%Y%m%d-%H%M%S", &parts);
    if (slurm_job()) /* a job that is started again goes on with its task */
        snprintf(task, task_bytes, "%s-%s", name, slurm_job());
    else
        snprintf(task, task_bytes, "%s-%s-%ld", name, moment, (long)getpid());
}

/* What was given, else what is recorded, else the default. */
static void override_text(char **recorded, const char *given, const char *otherwise)
{
    if (given)
        *recorded = (char *)given;
    else if (!*recorded || !**recorded)
        *recorded = (char *)otherwise;
}

void start_override(const struct launch_options *options, struct task_record *record)
{
    if (options->workers)
        record->workers = options->workers;
    if (options->min_workers)
        record->min_workers = options->min_workers;
    if (options->max_workers)
        record->max_workers = options->max_workers;
    if (options->spares >= 0)
        record->spares = (uint32_t)options->spares;
    if (options->step_count >= 0)
        record->step_count = options->step_count;
    if (options->checkpoint)
        record->checkpoint = (char *)options->checkpoint;
    if (options->checkpoint_keep)
        record->checkpoint_keep = options->checkpoint_keep;
    if (options->checkpoint_keep_every >= 0)
        record->checkpoint_keep_every = options->checkpoint_keep_every;
    override_text(&record->checkpoint_keep_best, options->checkpoint_keep_best, "");
    override_text(&record->hosts, options->host_list, "");
    override_text(&record->agent, options->agent, "ssh");
    override_text(&record->local_dir, options->local_directory, "/dev/shm");
    override_text(&record->replace, options->replace, "spawn");
    override_text(&record->restart_command, NULL, "");
    override_text(&record->restart_file, NULL, "");
    override_text(&record->done_file, NULL, "");
    if (options->wait_s >= 0)
        record->wait_s = options->wait_s;
}

/* The same program with the same arguments: then a second start goes on with the first. */
static int check_same_start(const struct rundir *rundir, const struct task_record *record,
                            int64_t *step_count, struct error *error)
{
    struct task_record there;
    int code = rundir_read_task(rundir, &there, error);
    if (code != ONWARD_OK)
        return code;
    bool same = !strcmp(there.program, record->program) && !strcmp(there.config, record->config) &&
                there.argument_count == record->argument_count;
    for (uint32_t i = 0; same && i < there.argument_count; i++)
        same = !strcmp(there.arguments[i], record->arguments[i]);
    *step_count = there.step_count;
    task_record_clear(&there);
    if (!same)
        return error_set(error, ONWARD_ERR_OTHER_TASK,
                         "%s: task %s was started with another program, config or arguments: "
                         "expected another --task, or `onward resume %s'",
                         rundir_path(rundir), record->task, record->task);
    return ONWARD_OK;
}

/* Requests that nobody answered were meant for an earlier start. */
static void drop_stale_requests(struct rundir *rundir)
{
    struct run_request request;
    struct error error;
    for (int i = 0; i < MAX_STALE_REQUESTS; i++) {
        bool found = false;
        int code = rundir_take_request(rundir, &request, &found, &error);
        if (code == ONWARD_OK && !found)
            return;
    }
}

/* The hosts of the record, with slots, or none. */
static int open_places(struct places *places, const struct task_record *record, const char *base,
                       const char *helper, struct error *error)
{
    struct hosts hosts = {.list = NULL};
    int code = ONWARD_OK;
    if (*record->hosts)
        code = hosts_parse_list(record->hosts, "hosts", &hosts, error);
    if (code != ONWARD_OK)
        return code;
    hosts_fill_slots(&hosts, record->workers + record->spares);
    *places = (struct places){.agent = record->agent,
                              .program = helper,
                              .task = record->task,
                              .base = base,
                              .local_directory = record->local_dir,
                              .limit_s = answer_limit_s};
    code = places_open(places, &hosts, error);
    hosts_clear(&hosts);
    if (code == ONWARD_OK) /* it is one that is recorded, or nobody's choice */
        code = places_find_agent(places, error);
    return code;
}

static int open_allotment(const struct launch_options *options, const struct task_record *record,
                          const char *base, const struct start_paths *paths,
                          struct allotment *allotment, struct error *error)
{
    *allotment = (struct allotment){
        .command = {.mpirun = paths->mpirun,
                    .is_root = geteuid() == 0,
                    .is_plain = !strcmp(record->program, "plain"),
                    .in_allocation = slurm_is_inside(),
                    .mpirun_arguments = options->mpirun_arguments,
                    .mpirun_argument_count = options->mpirun_argument_count},
        .member_count = record->workers + record->spares,
        .spare_count = record->spares,
        .most_members =
            (record->max_workers ? record->max_workers : LAUNCH_MAX_WORKERS) + record->spares,
        .min_workers = record->min_workers,
        .core_count = start_core_count(),
        .detect_s = options->detect_s,
    };
    if (*record->hosts)
        command_keepalive_prefix(paths->mpirun, allotment->keepalive, sizeof allotment->keepalive);
    return open_places(&allotment->places, record, base, paths->helper, error);
}

/* A signal, the end of the job's time, and the loss of too many hosts are nobody's wish to stop the
 * task; `onward stop' is. */
static bool has_more_to_do(const struct supervise_result *result, int exit_code)
{
    if (result->signal)
        return exit_code != 0;
    return exit_code == EXIT_TOO_FEW || (exit_code == EXIT_RESUMABLE && !result->was_asked_to_stop);
}

static int supervise_claimed(const struct launch_options *options, struct rundir *rundir,
                             int64_t incarnation, const struct task_record *record,
                             struct allotment *allotment, struct error *error)
{
    struct display display;
    struct supervise_result result;
    char line[2 * PATH_MAX];
    const char *begins = options->quiet ? NULL : line;
    snprintf(line, sizeof line, "task %s in %s, %u worker%s", record->task, rundir_path(rundir),
             record->workers, record->workers == 1 ? "" : "s");
    struct supervise_settings settings = {.allotment = allotment,
                                          .rundir = rundir,
                                          .incarnation = incarnation,
                                          .max_restarts = options->max_restarts,
                                          .display = &display};
    display_init(&display, options->quiet);
    supervise_defaults(&settings);
    settings.detect_s = options->detect_s;
    settings.wait_s = record->wait_s;
    settings.hang_s = options->hang_s;
    settings.end_time_s = options->end_time_s;
    settings.hostfile = options->hostfile;
    settings.hosts_where = options->hostfile       ? options->hostfile
                           : options->hosts_option ? options->hosts_option
                                                   : "hosts";
    settings.begins = begins;
    settings.respawns = !strcmp(record->replace, "spawn");
    settings.has_commands = !strcmp(record->program, "farm");
    settings.give_back = options->give_back;
    settings.look = options->look;
    settings.look_context = options->look_context;
    struct plain_settings plain = {.restart_command = record->restart_command,
                                   .restart_file = record->restart_file,
                                   .done_file = record->done_file,
                                   .end_time_s = options->end_time_s};
    if (allotment->command.is_plain)
        settings.plain = &plain;
    int code = supervise(&settings, &result, error);
    if (code != ONWARD_OK)
        return say_error(error);
    int exit_code = ending_report(options, &result, rundir, record->task);
    ending_tell_faults(options, rundir, incarnation, &result);
    if (options->requeue && has_more_to_do(&result, exit_code))
        slurm_requeue();
    return exit_code;
}

static int run_opened(const struct launch_options *options, struct rundir *rundir, const char *base,
                      struct task_record *record, struct allotment *allotment)
{
    struct error error;
    int64_t incarnation;
    int exit_code;
    if (ending_is_there(options, rundir, record, &exit_code))
        return exit_code;
    if (rundir_claim(rundir, &incarnation, &error) != ONWARD_OK)
        return say_error(&error);
    drop_stale_requests(rundir);
    slurm_task_record(rundir);
    if (options->step_count >= 0 &&
        rundir_update_task(rundir, record->subtask_count, record->step_count, &error) != ONWARD_OK)
        return say_error(&error);
    settings_export(options, base, record);
    return supervise_claimed(options, rundir, incarnation, record, allotment, &error);
}

/* Opens the run directory; a task that is there must be the same. What came from an allocation is
 * not recorded: the next start has another one. */
static int open_task(const struct launch_options *options, struct task_record *record,
                     const struct start_paths *paths, const char *base, bool again,
                     struct rundir **rundir, struct error *error)
{
    int64_t step_count = -1;
    struct task_record kept = *record;
    kept.hosts = paths->hosts ? (char *)"" : kept.hosts;
    kept.workers = paths->hosts ? paths->recorded_workers : kept.workers;
    kept.agent = paths->agent ? (char *)"ssh" : kept.agent;
    int code = rundir_open(base, record->task, again ? NULL : &kept, rundir, error);
    if (code == ONWARD_OK && !again)
        code = check_same_start(*rundir, record, &step_count, error);
    if (code == ONWARD_OK && options->prepare)
        code = options->prepare(options->prepare_context, rundir_path(*rundir), error);
    if (code == ONWARD_OK && record->step_count < 0)
        record->step_count = step_count;
    return code;
}

static int start_program(const struct launch_options *options, struct task_record *record,
                         bool again, struct start_paths *paths, const char *const *program,
                         uint32_t program_count)
{
    char path[PATH_MAX], base[PATH_MAX];
    struct rundir *rundir = NULL;
    struct allotment allotment = {.argv = NULL};
    struct error error;
    int code = find_mpirun(options->mpirun, paths->mpirun, sizeof paths->mpirun, &error);
    if (code == ONWARD_OK)
        code = find_program(program[0], path, sizeof path, &error);
    if (code == ONWARD_OK)
        code = rundir_base(options->directory, base, sizeof base, &error);
    if (code == ONWARD_OK)
        code = open_allotment(options, record, base, paths, &allotment, &error);
    allotment.command.program = program;
    allotment.command.program_count = program_count;
    if (code == ONWARD_OK)
        code = open_task(options, record, paths, base, again, &rundir, &error);
    int exit_code = code == ONWARD_OK ? run_opened(options, rundir, base, record, &allotment)
                                      : say_error(&error);
    if (exit_code == EXIT_USAGE)
        rundir_discard(rundir);
    rundir_close(rundir);
    allot_clear(&allotment);
    return exit_code;
}

/* As many as the hosts have slots; without hosts, as many as there are cores. */
static int default_workers(struct task_record *record, struct error *error)
{
    uint32_t slots = start_core_count();
    if (record->workers)
        return ONWARD_OK;
    if (*record->hosts) {
        int code = hosts_text_slots(record->hosts, start_core_count(), &slots, error);
        if (code != ONWARD_OK)
            return code;
        slots = slots > record->spares ? slots - record->spares : 1;
    }
    record->workers = slots < LAUNCH_MAX_WORKERS ? slots : LAUNCH_MAX_WORKERS;
    return ONWARD_OK;
}

/* A program of onward's own, and how it is started: with the config, or with arguments. */
static int start_own(const struct launch_options *options, struct task_record *record, bool again,
                     struct start_paths *paths, const char *name, const char *variable)
{
    char path[PATH_MAX];
    struct error error;
    bool has_config = *record->config != '\0';
    uint32_t count = 1 + (has_config ? 1 : record->argument_count);
    if (find_own(name, variable, path, sizeof path, &error) != ONWARD_OK)
        return say_error(&error);
    const char **program = calloc(count + 1, sizeof *program);
    if (!program) {
        error_set(&error, ONWARD_ERR_MEMORY, "%s: out of memory", name);
        return say_error(&error);
    }
    program[0] = path;
    for (uint32_t i = 1; i < count; i++)
        program[i] = has_config ? record->config : record->arguments[i - 1];
    int exit_code = start_program(options, record, again, paths, program, count);
    free(program);
    return exit_code;
}

/* Inside of a job of Slurm the hosts are those of the job, unless others were named, and the end of
 * its time is the task's. */
static int take_allocation(struct launch_options *options, struct task_record *record,
                           struct start_paths *paths, struct error *error)
{
    if (options->end_time_s <= 0)
        options->end_time_s = slurm_end_time_s();
    if (*record->hosts || !slurm_is_inside())
        return ONWARD_OK;
    bool needs_agent = !options->agent && !strcmp(record->agent, "ssh");
    int code = slurm_place(paths->helper, options->by_cpus, &paths->hosts,
                           needs_agent ? &paths->agent : NULL, error);
    record->hosts = paths->hosts ? paths->hosts : record->hosts;
    record->agent = paths->agent ? paths->agent : record->agent;
    return code;
}

/* Where the task is to run and how many workers that makes. */
static int find_place(struct launch_options *options, struct task_record *record,
                      struct start_paths *paths, struct error *error)
{
    paths->recorded_workers = record->workers;
    int code = ONWARD_OK;
    if (*record->hosts || slurm_is_inside())
        code = find_own("onward-host", "ONWARD_HOST", paths->helper, sizeof paths->helper, error);
    if (code == ONWARD_OK)
        code = take_allocation(options, record, paths, error);
    return code == ONWARD_OK ? default_workers(record, error) : code;
}

static int start_placed(const struct launch_options *options, struct task_record *record,
                        bool again, struct start_paths *paths)
{
    if (record->min_workers > record->workers) {
        say("--min %u: expected at most %u, the workers that are to be started (-n)",
            record->min_workers, record->workers);
        return EXIT_USAGE;
    }
    if (!strcmp(record->program, "train"))
        return start_own(options, record, again, paths, "onward-train", "ONWARD_TRAIN");
    if (!strcmp(record->program, "farm"))
        return start_own(options, record, again, paths, "onward-farm", "ONWARD_FARM");
    if (!strcmp(record->program, "gang"))
        return start_own(options, record, again, paths, "onward-gang", "ONWARD_GANG");
    if (!strcmp(record->program, "plain"))
        return start_own(options, record, again, paths, "onward-rank", "ONWARD_RANK_PROGRAM");
    return start_program(options, record, again, paths, (const char *const *)record->arguments,
                         record->argument_count);
}

int start_task(const struct launch_options *options, struct task_record *record, bool again)
{
    struct start_paths paths = {.hosts = NULL};
    struct launch_options here = *options; /* the caller's are as they were */
    struct task_record placed = *record;
    struct error error;
    bool found = find_place(&here, &placed, &paths, &error) == ONWARD_OK;
    int exit_code = found ? start_placed(&here, &placed, again, &paths) : say_error(&error);
    free(paths.hosts);
    free(paths.agent);
    return exit_code;
}
