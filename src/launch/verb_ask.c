/* verb_ask.c - onward stop and onward checkpoint: put a request into the run directory, and wait,
 * bounded, until the answer shows there. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "say.h"
#include "standing.h"
#include "watch.h"

static const double default_wait_s = 120, look_s = 0.1;

struct ask_input {
    struct task_options task;
    struct wait_options wait;
    const char *verb;
};

static error_t parse_ask(int key, char *text, struct argp_state *state)
{
    struct ask_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->task;
        state->child_inputs[1] = &input->wait;
        return 0;
    case ARGP_KEY_ARG:
        if (input->task.task)
            options_refuse("%s: %s: expected one TASK, which is %s", input->verb, text,
                           input->task.task);
        return ARGP_ERR_UNKNOWN; /* the child takes it */
    case ARGP_KEY_SUCCESS:
        if (!input->task.task)
            options_refuse("%s: expected a TASK; `onward status' lists them", input->verb);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {.argp = &task_argp}, {.argp = &wait_argp}, {.argp = NULL}};
static const struct argp stop_argp = {
    .parser = parse_ask,
    .args_doc = "TASK",
    .doc = "Asks TASK to stop after a checkpoint, and waits until it has (--wait, default 120 s). "
           "It can "
           "be resumed.",
    .children = children,
};
static const struct argp checkpoint_argp = {
    .parser = parse_ask,
    .args_doc = "TASK",
    .doc = "Asks TASK for a checkpoint now, and waits until it is committed (--wait, default 120 "
           "s).",
    .children = children,
};

static int tell(const struct ask_input *input, const struct standing *now, int exit_code,
                const char *text)
{
    if (input->task.json)
        return print_json(json_pack("{s:s, s:s, s:s, s:I, s:I}", "task", input->task.task, "state",
                                    now->state, "text", text, "step", (json_int_t)now->status.step,
                                    "checkpoint_step", (json_int_t)now->status.checkpoint_step)) ||
               exit_code;
    if (exit_code)
        say("task %s %s", input->task.task, text);
    else
        printf("task %s %s\n", input->task.task, text);
    return finish_output(exit_code);
}

static bool is_refused(const struct answer *answer)
{
    return answer->taken && !answer->accepted;
}

/* Whether what was asked for is there, or never will be. */
static bool is_answered(const struct ask_input *input, const struct answer *answer,
                        const struct standing *before, const struct standing *now)
{
    if (!now->owned || is_refused(answer))
        return true;
    return !strcmp(input->verb, "checkpoint") &&
           (now->status.checkpoint_step > before->status.checkpoint_step ||
            now->status.checkpoint_step >= now->status.step);
}

static void take_event(void *answer, const json_t *event)
{
    answer_event(answer, event);
}

static int ask_and_wait(const struct ask_input *input, struct rundir *rundir,
                        const struct standing *before, struct answer *answer, struct standing *now,
                        struct error *error)
{
    struct run_request request = {.count = 0};
    struct watch watch;
    double deadline_s = clock_now_s() + input->wait.wait_s;
    snprintf(request.request, sizeof request.request, "%s", input->verb);
    answer_start(answer, &request);
    watch_start(&watch, rundir, before->status.incarnation);
    int code = rundir_put_request(rundir, &answer->request, error);
    bool answered = false;
    while (code == ONWARD_OK && !answered && clock_now_s() < deadline_s) {
        sleep_s(look_s);
        watch_look(&watch, take_event, answer);
        code = standing_read(rundir, now, error);
        answered = code == ONWARD_OK && is_answered(input, answer, before, now);
    }
    watch_end(&watch);
    if (code == ONWARD_OK && !answered)
        code = error_set(error, ONWARD_ERR_TIMEOUT,
                         "task %s did not %s in %g s; it was asked and may do so later (--wait)",
                         input->task.task, input->verb, input->wait.wait_s);
    return code;
}

static int tell_answer(const struct ask_input *input, const struct answer *answer,
                       const struct standing *before, const struct standing *now)
{
    char text[256];
    bool stops = !strcmp(input->verb, "stop");
    if (now->complete && !now->owned)
        return tell(input, now, 0, "is complete");
    if (is_refused(answer)) {
        snprintf(text, sizeof text, "refuses to %s: %s", input->verb, answer->reason);
        return tell(input, now, 1, text);
    }
    if (stops && now->status.step_count >= RUNDIR_ENDLESS_STEPS)
        snprintf(text, sizeof text, "is %s", now->state);
    else if (stops)
        snprintf(text, sizeof text, "%s at step %lld, checkpoint of step %lld", now->state,
                 (long long)now->status.step, (long long)now->status.checkpoint_step);
    else if (now->owned || now->status.checkpoint_step > before->status.checkpoint_step)
        snprintf(text, sizeof text, "has a checkpoint of step %lld",
                 (long long)now->status.checkpoint_step);
    else
        return tell(input, now, 1, "ended before it took a checkpoint");
    return tell(input, now, stops && strcmp(now->state, "stopped") != 0, text);
}

static int ask(const struct ask_input *input)
{
    struct rundir *rundir;
    struct standing before = {0}, now = {0};
    struct answer answer;
    struct error error;
    int exit_code, code = standing_open(&input->task, &rundir, &error);
    if (code == ONWARD_OK)
        code = standing_read(rundir, &before, &error);
    if (code == ONWARD_OK && !before.owned) {
        bool fine = before.complete || !strcmp(input->verb, "stop");
        exit_code =
            tell(input, &before, fine ? 0 : 1, before.complete ? "is complete" : "is not running");
        rundir_close(rundir);
        return exit_code;
    }
    if (code == ONWARD_OK)
        code = ask_and_wait(input, rundir, &before, &answer, &now, &error);
    exit_code = code == ONWARD_OK ? tell_answer(input, &answer, &before, &now) : say_error(&error);
    rundir_close(rundir);
    return exit_code;
}

int verb_stop(int argc, char **argv)
{
    struct ask_input input = {.verb = "stop", .wait = {default_wait_s}};
    options_parse(&stop_argp, "onward stop", argc, argv, &input);
    return ask(&input);
}

int verb_checkpoint(int argc, char **argv)
{
    struct ask_input input = {.verb = "checkpoint", .wait = {default_wait_s}};
    options_parse(&checkpoint_argp, "onward checkpoint", argc, argv, &input);
    return ask(&input);
}
