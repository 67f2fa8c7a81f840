/* verb_drill.c - onward drill: random faults on a running task, and what each of them cost.
 *
 * Faults come at exponential times, as independent ones do. What a fault cost is told by the epoch
 * of the event log that answers it; one epoch may answer several. After the last fault its answer
 * is waited for, the longer, the later the task takes who is silent for lost. However the drill
 * ends, it first brings back the hosts that it took down. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "draw.h"
#include "drill_costs.h"
#include "drill_options.h"
#include "drill_story.h"
#include "host_names.h"
#include "progress.h"
#include "say.h"
#include "standing.h"
#include "watch.h"

static const double look_s = 0.05;

struct drill_run {
    const struct drill_input *input;
    struct strike strike;
    struct rundir *rundir;
    struct standing standing;
    struct watch watch;
    struct drill drill;
    struct draw draw;
    struct draw_fault next;
    double begin_s, next_s, last_s;
    int64_t faults, skipped, by_kind[DRILL_KINDS];
    struct drill_costs costs;
    struct drill_cost cost; /* the newest that was told */
    struct drill_story story;
    bool waits; /* for what the last ones cost, and has said so */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* A line for the person; with --json standard output is for the summary alone. */
__attribute__((format(printf, 2, 3))) static void tell(const struct drill_run *run,
                                                       const char *format, ...)
{
    va_list arguments;
    FILE *stream = run->input->task.json ? stderr : stdout;
    va_start(arguments, format);
    vfprintf(stream, format, arguments);
    va_end(arguments);
    fputc('\n', stream);
    fflush(stream);
}

/* The log is to explain the losses that follow. */
static void log_fault(struct drill_run *run, const char *text)
{
    char line[512];
    snprintf(line, sizeof line, "drill: %s", text);
    json_t *extra = json_pack("{s:s}", "text", line);
    const struct run_status *status = &run->standing.status;
    if (rundir_join(run->rundir, status->incarnation, 0, NULL) == ONWARD_OK)
        rundir_event(run->rundir, "warning", status->epoch, status->step, extra, NULL);
    json_decref(extra);
}

static void take_event(void *context, const json_t *event)
{
    struct drill_run *run = context;
    char text[DRILL_STORY_BYTES];
    if (!drill_costs_event(&run->costs, event, &run->cost))
        return;
    drill_story_cost(&run->story, &run->cost);
    drill_story_cost_text(&run->cost, text, sizeof text);
    tell(run, "    %s", text);
}

static void draw(struct drill_run *run, double now_s)
{
    run->next = draw_next(&run->draw);
    run->next_s = now_s + run->next.gap * run->input->mtbf_s;
}

/* Members of this incarnation; what cannot be read is looked at again the next time. */
static void look(struct drill_run *run)
{
    struct run_members members;
    struct standing standing;
    watch_look(&run->watch, take_event, run);
    if (standing_read(run->rundir, &standing, NULL) == ONWARD_OK)
        run->standing = standing;
    if (rundir_read_members(run->rundir, &members, NULL) == ONWARD_OK &&
        members.incarnation == run->standing.status.incarnation)
        drill_take_members(&run->drill, &members);
    run_members_clear(&members);
    run->strike.names = run->drill.members.host_names;
}

static void hit_host(struct drill_run *run, const char *host)
{
    for (uint32_t i = 0; i < run->drill.members.count; i++)
        if (!strcmp(run->drill.members.list[i].host, host))
            drill_note_hit(&run->drill, run->drill.members.list[i].member);
}

/* A command that failed may have taken the host down all the same: then it comes back at once. */
static int strike_by_host_command(struct drill_run *run, const char *host, bool cut, double now_s,
                                  struct error *error)
{
    if (run->drill.down_count == DRILL_MAX_DOWN)
        return error_set(error, ONWARD_ERR_LIMIT, "%d hosts are down", DRILL_MAX_DOWN);
    double until_back_s = run->next.until_back * run->input->mtbf_s;
    const char *name = host_names_listed(run->strike.names, host);
    struct drill_down *down =
        drill_expect_back(&run->drill, host, name, cut ? "heal" : "boot", now_s + until_back_s);
    int code = strike_by_command(&run->strike, cut ? "cut" : "kill", name, error);
    if (code != ONWARD_OK)
        down->due_s = now_s;
    return code;
}

static int strike_whole_host(struct drill_run *run, const char *host, bool cut, double now_s,
                             struct error *error)
{
    const struct strike *strike = &run->strike;
    int code = strike->host_command ? strike_by_host_command(run, host, cut, now_s, error)
                                    : strike_host(strike, &run->drill.members, host, error);
    if (!cut) /* who is cut off for a moment may be as good as before */
        hit_host(run, host);
    return code;
}

static void describe(enum drill_kind kind, const struct run_member *member, char *text,
                     size_t text_bytes)
{
    static const char *const what[DRILL_KINDS] = {[DRILL_PROCESS] = "kill",
                                                  [DRILL_STOP] = "stop",
                                                  [DRILL_HOST] = "kill",
                                                  [DRILL_CUT] = "cut"};
    bool whole = kind == DRILL_HOST || kind == DRILL_CUT;
    if (whole)
        snprintf(text, text_bytes, "%s host %.64s", what[kind], member->host);
    else
        snprintf(text, text_bytes, "%s member %u (%s%s, process %lld on %.64s)", what[kind],
                 member->member, member->role,
                 member->is_controller && strcmp(member->role, "controller") != 0
                     ? ", the controller"
                     : "",
                 (long long)member->pid, member->host);
}

static int strike(struct drill_run *run, enum drill_kind kind, const struct run_member *member,
                  double now_s, struct error *error)
{
    if (kind == DRILL_HOST || kind == DRILL_CUT)
        return strike_whole_host(run, member->host, kind == DRILL_CUT, now_s, error);
    int code = strike_member(&run->strike, member, kind == DRILL_STOP ? SIGSTOP : SIGKILL, error);
    drill_note_hit(&run->drill, member->member);
    return code;
}

static void skip(struct drill_run *run, const char *why)
{
    run->skipped++;
    tell(run, "no fault: %s", why);
}

static const struct run_member *choose_host(struct drill_run *run, struct error *error)
{
    struct drill *drill = &run->drill;
    int64_t pid;
    if (rundir_read_owner(run->rundir, drill->owner_host, &pid, error) != ONWARD_OK)
        return NULL;
    const struct run_member *member = drill_choose_host(drill, run->next.victim);
    if (!member)
        error_set(error, ONWARD_ERR_NOT_FOUND,
                  "all hosts that are left are needed (by --min, the launcher or the drill)");
    return member;
}

static const struct run_member *choose_member(struct drill_run *run, struct error *error)
{
    const struct run_member *member = drill_choose_member(&run->drill, run->next.victim);
    if (!member)
        error_set(error, ONWARD_ERR_NOT_FOUND, "all who are left are needed (--min)");
    return member;
}

static void fault(struct drill_run *run, double now_s)
{
    const struct drill_input *input = run->input;
    enum drill_kind kind = input->kinds[draw_index(run->next.kind, input->kind_count)];
    bool whole = kind == DRILL_HOST || kind == DRILL_CUT;
    char text[256];
    struct error error;
    const struct run_member *victim = whole ? choose_host(run, &error) : choose_member(run, &error);
    if (!victim) {
        skip(run, error.text);
        return;
    }
    struct run_member member = *victim;
    describe(kind, &member, text, sizeof text);
    log_fault(run, text);
    if (strike(run, kind, &member, now_s, &error) != ONWARD_OK) {
        skip(run, error.text);
        return;
    }
    run->faults++;
    run->by_kind[kind]++;
    run->last_s = clock_now_s();
    drill_costs_add(&run->costs, run->faults, run->drill.members.incarnation,
                    whole ? 0 : member.member, member.host);
    drill_story_fault(&run->story, now_s - run->begin_s, kind, text);
    tell(run, "%3lld  %.1f s: %s", (long long)run->faults, now_s - run->begin_s, text);
}

/* All whose time has come. */
static void bring_back(struct drill_run *run)
{
    struct drill_down *down;
    double now_s = clock_now_s();
    while ((down = drill_due(&run->drill, now_s)) != NULL) {
        struct error error;
        char text[RUNDIR_HOST_BYTES + 32];
        snprintf(text, sizeof text, "%s host %s", down->remedy, down->host);
        log_fault(run, text);
        tell(run, "     %.1f s: %s", clock_now_s() - run->begin_s, text);
        if (strike_by_command(&run->strike, down->remedy, down->name, &error) == ONWARD_OK) {
            drill_is_back(&run->drill, down);
            continue;
        }
        drill_is_not_back(down, clock_now_s());
        tell(run, "     %s", error.text);
    }
}

/* No host stays down because the drill ended. */
static void bring_all_back(struct drill_run *run)
{
    drill_hurry(&run->drill, clock_now_s());
    for (bring_back(run); drill_has_tries(&run->drill); bring_back(run))
        sleep_s(look_s);
}

static bool has_enough(const struct drill_run *run, double now_s)
{
    const struct drill_input *input = run->input;
    return (input->count > 0 && run->faults + run->skipped >= input->count) ||
           (input->for_s > 0 && now_s > run->begin_s + input->for_s);
}

/* What the last one cost is still to come. */
static bool is_answered(struct drill_run *run, double now_s)
{
    double limit_s = drill_answer_limit_s(run->standing.status.detect_s);
    if (run->costs.open_count == 0)
        return true;
    if (!run->waits)
        tell(run, "    waiting %g s at most for what %s cost", limit_s,
             run->costs.open_count == 1 ? "the last one" : "the last ones");
    run->waits = true;
    return now_s > run->last_s + limit_s;
}

static bool is_over(struct drill_run *run, double now_s)
{
    if (!run->standing.owned || interrupted)
        return true;
    return has_enough(run, now_s) && is_answered(run, now_s);
}

static void drill_task(struct drill_run *run)
{
    run->begin_s = clock_now_s();
    tell(run, "seed %" PRIu64 ", a fault about every %g s", run->input->seed, run->input->mtbf_s);
    draw(run, run->begin_s);
    for (;;) {
        look(run);
        double now_s = clock_now_s();
        if (is_over(run, now_s))
            break;
        if (!has_enough(run, now_s) && now_s >= run->next_s &&
            !strcmp(run->standing.state, "running")) {
            fault(run, now_s);
            draw(run, now_s);
        }
        bring_back(run);
        sleep_s(look_s);
    }
    bring_all_back(run);
    look(run);
}

/* True when there is one. */
static bool tell_hosts_down(const struct drill_run *run)
{
    const char *command = run->input->strike.host_command;
    for (uint32_t i = 0; i < run->drill.down_count; i++) {
        const struct drill_down *down = &run->drill.down[i];
        say("drill: host %s could not be brought back: `%s %s %s' failed %d times", down->host,
            command, down->remedy, down->name, DRILL_TRIES);
    }
    return run->drill.down_count > 0;
}

static json_t *name_hosts_down(const struct drill_run *run)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < run->drill.down_count; i++)
        json_array_append_new(names, json_string(run->drill.down[i].host));
    return names;
}

static json_t *summary_json(const struct drill_run *run)
{
    const struct drill_costs *costs = &run->costs;
    json_t *kinds = json_object();
    for (int kind = 0; kind < DRILL_KINDS; kind++)
        json_object_set_new(kinds, drill_kind_name((enum drill_kind)kind),
                            json_integer(run->by_kind[kind]));
    return json_pack(
        "{s:s, s:s, s:I, s:f, s:I, s:o, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:o, s:o}", "task",
        run->input->task.task, "state", run->standing.state, "seed", (json_int_t)run->input->seed,
        "seconds", clock_now_s() - run->begin_s, "faults", (json_int_t)run->faults, "kinds", kinds,
        "skipped", (json_int_t)run->skipped, "unanswered",
        (json_int_t)drill_costs_unanswered(costs), "epochs", (json_int_t)costs->epochs, "stall_s",
        costs->stall_s, "longest_stall_s", costs->longest_stall_s, "steps_lost",
        (json_int_t)costs->steps_lost, "relaunches", (json_int_t)costs->relaunches, "hosts_down",
        name_hosts_down(run), "story", drill_story_json(&run->story));
}

static int print_summary(const struct drill_run *run)
{
    const struct drill_costs *costs = &run->costs;
    char total[32], longest[32], duration[32], unanswered[DRILL_STORY_BYTES];
    if (run->input->task.json)
        return print_json(summary_json(run));
    drill_story_unanswered_text(costs, unanswered, sizeof unanswered);
    if (*unanswered)
        printf("    %s\n", unanswered);
    progress_duration(clock_now_s() - run->begin_s, duration, sizeof duration);
    progress_duration(costs->stall_s, total, sizeof total);
    progress_duration(costs->longest_stall_s, longest, sizeof longest);
    printf("task %s %s after %s and %lld fault%s (seed %" PRIu64 "): %lld steps lost, %s of stall, "
           "at most %s at once, %lld relaunch%s\n",
           run->input->task.task, run->standing.state, duration, (long long)run->faults,
           run->faults == 1 ? "" : "s", run->input->seed, (long long)costs->steps_lost, total,
           longest, (long long)costs->relaunches, costs->relaunches == 1 ? "" : "es");
    return finish_output(0);
}

static int summarize(const struct drill_run *run)
{
    bool is_well = run->standing.owned || run->standing.complete;
    int exit_code = print_summary(run);
    return tell_hosts_down(run) || !is_well ? 1 : exit_code;
}

/* Only a person at a terminal is asked. */
static bool is_meant(const struct drill_input *input)
{
    char answer[16] = "";
    if (input->yes || !isatty(STDIN_FILENO))
        return true;
    fprintf(stderr,
            "onward: drill: faults will happen to task %s, one about every %g s; go on? [y/N] ",
            input->task.task, input->mtbf_s);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int prepare(struct drill_run *run, struct error *error)
{
    struct task_record record;
    const struct drill_input *input = run->input;
    int code = standing_open(&input->task, &run->rundir, error);
    if (code == ONWARD_OK)
        code = standing_read(run->rundir, &run->standing, error);
    if (code == ONWARD_OK && !run->standing.owned)
        code = error_set(error, ONWARD_ERR_ORDER, "task %s is %s", input->task.task,
                         run->standing.complete ? "complete" : "not running");
    if (code == ONWARD_OK)
        code = rundir_read_task(run->rundir, &record, error);
    if (code != ONWARD_OK)
        return code;
    run->drill.min_workers = record.min_workers > 0 ? record.min_workers : 1;
    task_record_clear(&record);
    struct run_members members;
    code = rundir_read_members(run->rundir, &members, error);
    run_members_clear(&members);
    return code == ONWARD_ERR_NOT_FOUND ? ONWARD_OK : code; /* it is starting */
}

/* One that is ignored from the start, as nohup has it, stays so. A closed pipe too is only a reason
 * to end: hosts may be down. What the drill starts has none of these handlers. */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    struct sigaction action = {.sa_handler = on_signal}, before;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
}

static int run_drill(struct drill_run *run)
{
    struct error error;
    if (prepare(run, &error) != ONWARD_OK)
        return say_error(&error);
    if (!is_meant(run->input))
        return 1;
    catch_signals();
    gethostname(run->drill.own_host, sizeof run->drill.own_host - 1);
    draw_start(&run->draw, run->input->seed);
    watch_start(&run->watch, run->rundir, run->standing.status.incarnation);
    drill_task(run);
    watch_end(&run->watch);
    return summarize(run);
}

int verb_drill(int argc, char **argv)
{
    struct drill_input input;
    drill_options_parse(argc, argv, &input);
    struct drill_run *run = calloc(1, sizeof *run);
    if (!run) {
        say("drill: out of memory");
        return 1;
    }
    run->input = &input;
    run->strike = input.strike;
    int exit_code = run_drill(run);
    drill_clear(&run->drill);
    drill_story_clear(&run->story);
    rundir_close(run->rundir);
    free(run);
    return exit_code;
}
