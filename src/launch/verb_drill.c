/* verb_drill.c - onward drill: random faults on a running task, and what each of them cost.
 *
 * Faults come at exponential times, as independent ones do. What a fault cost is told by the next
 * epoch of the event log; faults that come before that epoch are answered by it together. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "draw.h"
#include "drill_options.h"
#include "progress.h"
#include "say.h"
#include "standing.h"
#include "watch.h"

static const double look_s = 0.05, last_epoch_s = 10;

struct drill_run {
    const struct drill_input *input;
    struct rundir *rundir;
    struct standing standing;
    struct watch watch;
    struct drill drill;
    struct draw draw;
    struct draw_fault next;
    double begin_s, next_s, last_s;
    int64_t faults, skipped, by_kind[DRILL_KINDS];
    int64_t unanswered; /* faults since the newest epoch */
    int64_t epochs, steps_lost, relaunches;
    double stall_s, longest_stall_s;
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
    const char *what = json_string_value(json_object_get(event, "event"));
    if (what && !strcmp(what, "relaunch")) {
        run->relaunches++;
        run->unanswered += run->unanswered == 0; /* an epoch before was not the end of it */
    }
    if (!what || strcmp(what, "epoch") != 0 || run->unanswered == 0)
        return;
    double stall_s = json_number_value(json_object_get(event, "stall_s"));
    int64_t lost = json_integer_value(json_object_get(event, "steps_lost"));
    char stall[32];
    progress_duration(stall_s, stall, sizeof stall);
    tell(run, "    epoch %lld: %lld workers from step %lld, %s, %lld steps lost",
         json_integer_value(json_object_get(event, "epoch")),
         json_integer_value(json_object_get(event, "workers")),
         json_integer_value(json_object_get(event, "step")), stall, (long long)lost);
    run->unanswered = 0;
    run->epochs++;
    run->steps_lost += lost;
    run->stall_s += stall_s;
    run->longest_stall_s = fmax(run->longest_stall_s, stall_s);
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
}

static void hit_host(struct drill_run *run, const char *host)
{
    for (uint32_t i = 0; i < run->drill.members.count; i++)
        if (!strcmp(run->drill.members.list[i].host, host))
            drill_note_hit(&run->drill, run->drill.members.list[i].member);
}

/* A host that the operator's command took down comes back after a while. */
static void expect_back(struct drill_run *run, const char *host, const char *remedy, double now_s)
{
    struct drill_down *down = &run->drill.down[run->drill.down_count++];
    snprintf(down->host, sizeof down->host, "%s", host);
    down->remedy = remedy;
    down->due_s = now_s + run->next.until_back * run->input->mtbf_s;
}

static int strike_whole_host(struct drill_run *run, const char *host, bool cut, double now_s,
                             struct error *error)
{
    const struct strike *strike = &run->input->strike;
    if (!strike->host_command) {
        int code = strike_host(strike, &run->drill.members, host, error);
        hit_host(run, host);
        return code;
    }
    if (run->drill.down_count == DRILL_MAX_DOWN)
        return error_set(error, ONWARD_ERR_LIMIT, "%d hosts are down", DRILL_MAX_DOWN);
    int code = strike_by_command(strike, cut ? "cut" : "kill", host, error);
    if (!cut) /* who was cut off for a moment may be as good as before, and is left alone until then
               */
        hit_host(run, host);
    if (code == ONWARD_OK)
        expect_back(run, host, cut ? "heal" : "boot", now_s);
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
    int code =
        strike_member(&run->input->strike, member, kind == DRILL_STOP ? SIGSTOP : SIGKILL, error);
    drill_note_hit(&run->drill, member->member);
    return code;
}

static void skip(struct drill_run *run, const char *why)
{
    run->skipped++;
    tell(run, "no fault: %s", why);
}

static void fault(struct drill_run *run, double now_s)
{
    const struct drill_input *input = run->input;
    enum drill_kind kind = input->kinds[draw_index(run->next.kind, input->kind_count)];
    bool whole = kind == DRILL_HOST || kind == DRILL_CUT;
    const struct run_member *victim = whole ? drill_choose_host(&run->drill, run->next.victim)
                                            : drill_choose_member(&run->drill, run->next.victim);
    char text[256];
    struct error error;
    if (!victim) {
        skip(run, "all who are left are needed (--min)");
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
    run->unanswered++;
    run->last_s = now_s;
    tell(run, "%3lld  %.1f s: %s", (long long)run->faults, now_s - run->begin_s, text);
}

/* All whose time has come, or (at_end) all. */
static void bring_back(struct drill_run *run, bool at_end)
{
    double now_s = clock_now_s();
    struct drill *drill = &run->drill;
    for (uint32_t i = 0; i < drill->down_count;) {
        struct drill_down down = drill->down[i];
        struct error error;
        char text[RUNDIR_HOST_BYTES + 32];
        if (!at_end && now_s < down.due_s) {
            i++;
            continue;
        }
        drill->down[i] = drill->down[--drill->down_count];
        snprintf(text, sizeof text, "%s host %s", down.remedy, down.host);
        log_fault(run, text);
        tell(run, "     %.1f s: %s", now_s - run->begin_s, text);
        if (strike_by_command(&run->input->strike, down.remedy, down.host, &error) != ONWARD_OK)
            tell(run, "     %s", error.text);
    }
}

static bool is_over(const struct drill_run *run, double now_s)
{
    const struct drill_input *input = run->input;
    bool enough = input->count > 0 && run->faults + run->skipped >= input->count;
    if (!run->standing.owned || interrupted)
        return true;
    if (enough) /* what the last one cost is still to come */
        return run->unanswered == 0 || now_s > run->last_s + last_epoch_s;
    return input->for_s > 0 && now_s > run->begin_s + input->for_s;
}

static void drill_task(struct drill_run *run)
{
    const struct drill_input *input = run->input;
    run->begin_s = clock_now_s();
    draw(run, run->begin_s);
    for (;;) {
        look(run);
        double now_s = clock_now_s();
        if (is_over(run, now_s))
            break;
        bool enough = input->count > 0 && run->faults + run->skipped >= input->count;
        if (!enough && now_s >= run->next_s && !strcmp(run->standing.state, "running")) {
            fault(run, now_s);
            draw(run, now_s);
        }
        bring_back(run, false);
        sleep_s(look_s);
    }
    bring_back(run, true); /* no host stays down because the drill ended */
}

static int summarize(const struct drill_run *run)
{
    const struct drill_input *input = run->input;
    const struct standing *now = &run->standing;
    int exit_code = now->owned || now->complete ? 0 : 1;
    double seconds = clock_now_s() - run->begin_s;
    if (input->task.json)
        return print_json(json_pack(
                   "{s:s, s:s, s:I, s:f, s:I, s:{s:I, s:I, s:I, s:I}, s:I, s:I, s:f, s:f, s:I, "
                   "s:I}",
                   "task", input->task.task, "state", now->state, "seed", (json_int_t)input->seed,
                   "seconds", seconds, "faults", (json_int_t)run->faults, "kinds", "process",
                   (json_int_t)run->by_kind[DRILL_PROCESS], "host",
                   (json_int_t)run->by_kind[DRILL_HOST], "stop",
                   (json_int_t)run->by_kind[DRILL_STOP], "cut", (json_int_t)run->by_kind[DRILL_CUT],
                   "skipped", (json_int_t)run->skipped, "epochs", (json_int_t)run->epochs,
                   "stall_s", run->stall_s, "longest_stall_s", run->longest_stall_s, "steps_lost",
                   (json_int_t)run->steps_lost, "relaunches", (json_int_t)run->relaunches)) ||
               exit_code;
    char total[32], longest[32], duration[32];
    progress_duration(seconds, duration, sizeof duration);
    progress_duration(run->stall_s, total, sizeof total);
    progress_duration(run->longest_stall_s, longest, sizeof longest);
    printf("task %s %s after %s and %lld fault%s (seed %" PRIu64 "): %lld steps lost, %s of stall, "
           "at most %s at once, %lld relaunch%s\n",
           input->task.task, now->state, duration, (long long)run->faults,
           run->faults == 1 ? "" : "s", input->seed, (long long)run->steps_lost, total, longest,
           (long long)run->relaunches, run->relaunches == 1 ? "" : "es");
    return finish_output(exit_code);
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

static int run_drill(struct drill_run *run)
{
    struct error error;
    struct sigaction action = {.sa_handler = on_signal};
    if (prepare(run, &error) != ONWARD_OK)
        return say_error(&error);
    if (!is_meant(run->input))
        return 1;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
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
    int exit_code = run_drill(run);
    drill_clear(&run->drill);
    rundir_close(run->rundir);
    free(run);
    return exit_code;
}
