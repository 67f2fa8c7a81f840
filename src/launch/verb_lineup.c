/* verb_lineup.c - onward scale, drain and undrain: put a request for another lineup into the run
 * directory, and wait, bounded, until the event log says what came of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "host_names.h"
#include "hosts.h"
#include "say.h"
#include "standing.h"
#include "watch.h"
#include "words.h"

enum { KEY_NO_WAIT = 256, KEY_HOSTS, MAX_WORKERS = 16384, HOSTS_SHOWN = 8 };

static const double default_wait_s = 10, look_s = 0.05;

struct lineup_input {
    struct task_options task;
    struct wait_options wait; /* 0 s: do not wait */
    const char *verb, *target;
    int32_t count;         /* scale: of workers */
    const char *host_list; /* scale: hosts that come in; NULL: none */
};

static bool is_scale(const struct lineup_input *input)
{
    return !strcmp(input->verb, "scale");
}

static error_t take_argument(struct lineup_input *input, char *text)
{
    if (!input->task.task)
        return ARGP_ERR_UNKNOWN; /* the child takes it */
    if (input->target)
        options_refuse("%s: %s: expected nothing behind %s", input->verb, text, input->target);
    input->target = text;
    return 0;
}

static error_t parse_lineup(int key, char *text, struct argp_state *state)
{
    struct lineup_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->task;
        state->child_inputs[1] = &input->wait;
        return 0;
    case KEY_NO_WAIT:
        input->wait.wait_s = 0;
        return 0;
    case KEY_HOSTS:
        input->host_list = text;
        return 0;
    case ARGP_KEY_ARG:
        return take_argument(input, text);
    case ARGP_KEY_SUCCESS:
        if (!input->task.task || !input->target || !*input->target)
            options_refuse("%s: expected a TASK and %s; `onward status' lists tasks, `onward "
                           "status --members TASK' who is in one",
                           input->verb, is_scale(input) ? "how many workers" : "a HOST or MEMBER");
        if (is_scale(input))
            input->count = options_number("scale", input->target, 1, MAX_WORKERS);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"no-wait", KEY_NO_WAIT, NULL, 0, "ask, and do not wait for the answer", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp_child children[] = {
    {.argp = &task_argp}, {.argp = &wait_argp}, {.argp = NULL}};
static const struct argp_option scale_table[] = {
    {"no-wait", KEY_NO_WAIT, NULL, 0, "ask, and do not wait for the answer", 0},
    {"hosts", KEY_HOSTS, "LIST", 0, "use these hosts too: NAME[:SLOTS],... (slots default 1)", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp scale_argp = {
    .options = scale_table,
    .parser = parse_lineup,
    .args_doc = "TASK N",
    .doc = "Makes TASK go on with N workers, or as many as there are members, and waits "
           "until it does (--wait, default 10 s).",
    .children = children,
};
static const struct argp drain_argp = {
    .options = table,
    .parser = parse_lineup,
    .args_doc = "TASK HOST|MEMBER",
    .doc =
        "Takes a member, or all members of a host, out of the lineup of TASK. They stay, asleep, "
        "until they are undrained.",
    .children = children,
};
static const struct argp undrain_argp = {
    .options = table,
    .parser = parse_lineup,
    .args_doc = "TASK HOST|MEMBER",
    .doc = "Lets a member, or all members of a host, into the lineup of TASK again.",
    .children = children,
};

static bool is_number(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0' && strlen(text) <= 9;
}

static bool can_work(const struct run_member *member)
{
    return strcmp(member->role, "controller") != 0;
}

static void name_hosts(struct words *words, const struct run_members *members)
{
    uint32_t shown = 0;
    for (uint32_t i = 0; i < members->count && shown < HOSTS_SHOWN; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = !strcmp(members->list[k].host, members->list[i].host);
        if (!seen && shown++ < HOSTS_SHOWN)
            words_add(words, "%s%s", shown > 1 ? ", " : "", members->list[i].host);
    }
}

static void name_members(struct words *words, const struct run_members *members)
{
    uint32_t shown = 0;
    for (uint32_t i = 0; i < members->count && shown < HOSTS_SHOWN; i++)
        if (can_work(&members->list[i]) && shown++ < HOSTS_SHOWN)
            words_add(words, "%s%u", shown > 1 ? ", " : "", members->list[i].member);
    if (shown == HOSTS_SHOWN)
        words_add(words, " ...");
}

static int refuse_target(const struct lineup_input *input, const struct run_members *members,
                         struct error *error)
{
    char text[400];
    struct words words = words_start(text, sizeof text);
    words_add(&words, "expected a host of task %s (", input->task.task);
    name_hosts(&words, members);
    words_add(&words, ") or the member ID of a worker or spare (");
    name_members(&words, members);
    words_add(&words, ")");
    return error_set(error, ONWARD_ERR_INPUT, "%s %.64s: %s", input->verb, input->target, text);
}

static bool is_host_of(const struct run_members *members, const char *host)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (host_names_same(members->host_names, members->list[i].host, host))
            return true;
    return false;
}

/* They have nobody there, since mpirun was started without it. */
static bool is_drained_of(const struct run_members *members, const char *host)
{
    size_t i;
    json_t *each;
    json_array_foreach(members->drained_hosts, i, each)
    {
        const char *name = json_string_value(each);
        if (name && host_names_same(members->host_names, name, host))
            return true;
    }
    return false;
}

static bool is_member_of(const struct run_members *members, uint32_t member)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->list[i].member == member)
            return can_work(&members->list[i]);
    return false;
}

/* A host that is called like a number is a host. Whom the run directory does not know yet the
 * controller judges. */
static int find_target(const struct lineup_input *input, struct rundir *rundir, int64_t incarnation,
                       struct run_request *request, struct error *error)
{
    struct run_members members;
    int code = rundir_read_members(rundir, &members, error);
    bool known = code == ONWARD_OK && members.incarnation == incarnation;
    if (code == ONWARD_ERR_NOT_FOUND)
        code = ONWARD_OK;
    bool is_host = is_host_of(&members, input->target) || is_drained_of(&members, input->target);
    if (code == ONWARD_OK && is_number(input->target) && !is_host)
        request->member = atoll(input->target);
    else if (code == ONWARD_OK)
        snprintf(request->host, sizeof request->host, "%s", input->target);
    if (code == ONWARD_OK && known &&
        !(request->member ? is_member_of(&members, (uint32_t)request->member) : is_host))
        code = refuse_target(input, &members, error);
    run_members_clear(&members);
    return code;
}

static int name_new_hosts(const char *list, struct run_request *request, struct error *error)
{
    struct hosts hosts = {.list = NULL};
    int code = hosts_parse_list(list, "--hosts", &hosts, error);
    if (code != ONWARD_OK)
        return code;
    hosts_fill_slots(&hosts, 1);
    char *text = hosts_text(&hosts);
    hosts_clear(&hosts);
    if (!text || strlen(text) >= sizeof request->hosts)
        code = error_set(error, ONWARD_ERR_INPUT, "--hosts: expected a list of at most %d bytes",
                         RUNDIR_HOSTS_BYTES - 1);
    else
        strcpy(request->hosts, text);
    free(text);
    snprintf(request->request, sizeof request->request, "hosts");
    return code;
}

static int make_request(const struct lineup_input *input, struct rundir *rundir,
                        int64_t incarnation, struct run_request *request, struct error *error)
{
    *request = (struct run_request){.count = 0};
    snprintf(request->request, sizeof request->request, "%s", input->verb);
    if (!is_scale(input))
        return find_target(input, rundir, incarnation, request, error);
    request->count = input->count;
    return input->host_list ? name_new_hosts(input->host_list, request, error) : ONWARD_OK;
}

static void take_event(void *context, const json_t *event)
{
    answer_event(context, event);
}

static int put_and_wait(const struct lineup_input *input, struct rundir *rundir,
                        struct answer *answer, struct standing *now, struct error *error)
{
    struct watch watch;
    double deadline_s = clock_now_s() + input->wait.wait_s;
    watch_start(&watch, rundir, now->status.incarnation);
    int code = rundir_put_request(rundir, &answer->request, error);
    while (code == ONWARD_OK && !answer->done && clock_now_s() < deadline_s) {
        sleep_s(look_s);
        watch_look(&watch, take_event, answer);
        code = standing_read(rundir, now, error);
        if (code == ONWARD_OK && !now->owned && !answer->done) {
            watch_look(&watch, take_event, answer); /* its last words */
            if (!answer->done)
                answer_end(answer);
        }
    }
    watch_end(&watch);
    return code;
}

static int tell(const struct lineup_input *input, const struct answer *answer,
                const struct standing *now)
{
    char text[ANSWER_TEXT_BYTES], asked[RUNDIR_HOST_BYTES + 32];
    int exit_code = 0;
    answer_request_text(&answer->request, asked, sizeof asked);
    if (answer->done || answer->epoch > 0) { /* some came, and others may come yet */
        exit_code = answer_text(answer, &now->status, text, sizeof text);
    } else if (input->wait.wait_s > 0) {
        exit_code = 1;
        snprintf(text, sizeof text, "%s: %s in %g s; it may be done later (--wait)%s%s", asked,
                 answer->taken ? "accepted, but the lineup did not change" : "no answer",
                 input->wait.wait_s, answer->obstacle[0] ? ": " : "", answer->obstacle);
    } else {
        snprintf(text, sizeof text, "%s: asked for", asked);
    }
    if (input->task.json)
        return print_json(answer_json(answer, input->task.task, text)) || exit_code;
    if (exit_code)
        say("%s", text);
    else
        puts(text);
    return finish_output(exit_code);
}

static int tell_not_running(const struct lineup_input *input, const struct standing *now)
{
    char text[128];
    snprintf(text, sizeof text, "task %s is %s", input->task.task,
             now->complete ? "complete" : "not running");
    if (input->task.json)
        return print_json(json_pack("{s:s, s:s, s:b, s:s}", "task", input->task.task, "request",
                                    input->verb, "accepted", 0, "text", text)) ||
               1;
    say("%s", text);
    return 1;
}

static int ask(const struct lineup_input *input)
{
    struct rundir *rundir;
    struct standing now = {0};
    struct run_request request;
    struct error error;
    int exit_code, code = standing_open(&input->task, &rundir, &error);
    if (code == ONWARD_OK)
        code = standing_read(rundir, &now, &error);
    if (code == ONWARD_OK && !now.owned) {
        exit_code = tell_not_running(input, &now);
        rundir_close(rundir);
        return exit_code;
    }
    if (code == ONWARD_OK)
        code = make_request(input, rundir, now.status.incarnation, &request, &error);
    struct answer answer;
    if (code == ONWARD_OK) {
        answer_start(&answer, &request);
        code = put_and_wait(input, rundir, &answer, &now, &error);
    }
    exit_code = code == ONWARD_OK ? tell(input, &answer, &now) : say_error(&error);
    rundir_close(rundir);
    return exit_code;
}

static int run_verb(const struct argp *argp, const char *name, int argc, char **argv)
{
    struct lineup_input input = {.verb = strrchr(name, ' ') + 1, .wait = {default_wait_s}};
    options_parse(argp, name, argc, argv, &input);
    return ask(&input);
}

int verb_scale(int argc, char **argv)
{
    return run_verb(&scale_argp, "onward scale", argc, argv);
}

int verb_drain(int argc, char **argv)
{
    return run_verb(&drain_argp, "onward drain", argc, argv);
}

int verb_undrain(int argc, char **argv)
{
    return run_verb(&undrain_argp, "onward undrain", argc, argv);
}
