/* transcript.c - golden transcripts: failure stories as events in, actions out.
 *
 *     transcript [--update] [FILE...]     (no FILE: all of $ONWARD_SOURCE/tests/data)
 *
 * A file has comments (#), one `policy key=value ...` line, events (`> name key=value ...`), and
 * behind each event the actions that the core answers with (`< ...`). The program runs the events
 * and compares the whole text; --update writes the text that the core gives now. Beyond the core's
 * own events, `> takeover member=N` replaces the core by the state that the newest opening carried,
 * as another member does when the controller died, and `> stop-spawns` bars all spawns.
 * `at=SECONDS` holds for the following lines as well. member=2-4 or member=2,4 stands for one event
 * each. */
#define _GNU_SOURCE
#include <argp.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

enum { MAX_BLOB_BYTES = 1 << 20 };

struct story {
    const char *file;
    FILE *out;
    int line;
    int wrong; /* lines that are not understood, invariants that do not hold */
    struct controller *core;
    struct controller_policy policy;
    int64_t now_us;
    size_t opening_bytes;
    unsigned char opening[MAX_BLOB_BYTES];
};

static void complain(struct story *story, const char *what, const char *text)
{
    fprintf(stderr, "%s:%d: %s: %s\n", story->file, story->line, what, text);
    story->wrong++;
}

static int64_t seconds(const char *text)
{
    return (int64_t)(strtod(text, NULL) * 1e6 + 0.5);
}

static bool set_policy(struct controller_policy *policy, const char *key, const char *value)
{
    int64_t number = strtoll(value, NULL, 10);
    struct {
        const char *key;
        uint32_t *small;
        int64_t *large;
        bool *flag;
    } keys[] = {
        {"subtasks", &policy->subtask_count, NULL, NULL},
        {"steps", NULL, &policy->step_count, NULL},
        {"min", &policy->min_workers, NULL, NULL},
        {"max", &policy->max_workers, NULL, NULL},
        {"spares", &policy->spare_count, NULL, NULL},
        {"can-spawn", NULL, NULL, &policy->can_spawn},
        {"can-relaunch", NULL, NULL, &policy->can_relaunch},
        {"sharded", NULL, NULL, &policy->sharded},
        {"finish-checkpoint", NULL, NULL, &policy->finish_checkpoint},
        {"checkpoint-steps", NULL, &policy->checkpoint_steps, NULL},
        {"auto", NULL, NULL, &policy->checkpoint_auto},
        {"budget", &policy->restart_budget, NULL, NULL},
        {"no-progress", &policy->no_progress_limit, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].key, key) != 0)
            continue;
        if (keys[i].small != NULL)
            *keys[i].small = (uint32_t)number;
        else if (keys[i].large != NULL)
            *keys[i].large = number;
        else
            *keys[i].flag = number != 0;
        return true;
    }
    if (strcmp(key, "replace") == 0)
        policy->replace = value[1] == 'o'               ? REPLACE_NONE
                          : strcmp(value, "spare") == 0 ? REPLACE_SPARE
                                                        : REPLACE_SPAWN;
    else if (strcmp(key, "checkpoint-s") == 0)
        policy->checkpoint_us = seconds(value);
    else if (strcmp(key, "backoff-s") == 0)
        policy->backoff_us = seconds(value);
    else
        return false;
    return true;
}

static void take_policy(struct story *story, char *text)
{
    story->policy = (struct controller_policy){.subtask_count = 16,
                                               .step_count = 100,
                                               .min_workers = 1,
                                               .max_workers = 16,
                                               .replace = REPLACE_NONE,
                                               .restart_budget = 10,
                                               .backoff_us = 1000000,
                                               .no_progress_limit = 10};
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        if (value != NULL)
            *value++ = 0;
        if (value == NULL || !set_policy(&story->policy, word, value))
            complain(story, "unknown key of the policy", word);
    }
    story->core = controller_create(&story->policy);
    if (story->core == NULL)
        complain(story, "policy out of range", "");
}

static void take_over(struct story *story, uint32_t member)
{
    controller_destroy(story->core);
    story->core = controller_load(story->opening, story->opening_bytes);
    if (story->core == NULL) {
        complain(story, "the opening cannot be loaded", "");
        exit(1);
    }
    fprintf(story->out, "# member %u goes on from the opening before\n", member);
}

static void feed(struct story *story, const struct controller_event *event)
{
    struct controller_actions actions;
    if (controller_step(story->core, event, &actions) != 0)
        fprintf(story->out, "< refused\n");
    for (uint32_t i = 0; i < actions.count; i++) {
        show_action(story->out, story->core, &actions.items[i]);
        if (actions.items[i].type == ACTION_OPEN_EPOCH)
            story->opening_bytes =
                controller_save(story->core, story->opening, sizeof(story->opening));
    }
    const char *wrong = controller_check(story->core);
    if (wrong != NULL)
        complain(story, "invariant", wrong);
}

static bool set_held(struct controller_event *event, char *value)
{
    char *rest = NULL;
    for (char *copy = strtok_r(value, ",", &rest); copy != NULL;
         copy = strtok_r(NULL, ",", &rest)) {
        struct held_copy *held = &event->held[event->held_count];
        char level[16];
        long long step;
        if (event->held_count == CONTROLLER_MAX_HELD ||
            sscanf(copy, "%lld/%u/%u/%15s", &step, &held->shard, &held->shard_count, level) != 4)
            return false;
        held->step = step;
        for (uint8_t i = LEVEL_MEMORY; i <= LEVEL_SHARED; i++)
            if (strcmp(level, show_level_name(i)) == 0)
                held->level = i;
        event->held_count++;
    }
    return true;
}

static uint8_t request_of(const char *value)
{
    static const char *const names[] = {"checkpoint", "stop", "scale", "drain", "undrain"};
    for (uint8_t i = 0; i < 5; i++)
        if (strcmp(value, names[i]) == 0)
            return (uint8_t)(i + 1);
    return 0;
}

static bool set_event(struct story *story, struct controller_event *event, const char *key,
                      char *value)
{
    if (strcmp(key, "at") == 0)
        story->now_us = seconds(value);
    else if (strcmp(key, "step") == 0)
        event->step = strtoll(value, NULL, 10);
    else if (strcmp(key, "epoch") == 0)
        event->epoch = strtoll(value, NULL, 10);
    else if (strcmp(key, "host") == 0)
        event->host = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "count") == 0)
        event->count = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "tried") == 0)
        event->tried = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "cost-s") == 0)
        event->cost_us = seconds(value);
    else if (strcmp(key, "end") == 0)
        event->end_us = seconds(value);
    else if (strcmp(key, "observed-s") == 0)
        event->observed_us = seconds(value);
    else if (strcmp(key, "request") == 0)
        event->request = request_of(value);
    else if (strcmp(key, "held") == 0)
        return set_held(event, value);
    else
        return false;
    return true;
}

static bool set_flag(struct controller_event *event, const char *word)
{
    if (strcmp(word, "clean") == 0)
        event->clean = true;
    else if (strcmp(word, "controller") == 0)
        event->is_controller = true;
    else if (strcmp(word, "in-change") == 0)
        event->in_change = true;
    else
        return false;
    return true;
}

/* One event for each member that the text names. */
static void feed_members(struct story *story, struct controller_event *event, char *members)
{
    char *rest = NULL;
    for (char *word = strtok_r(members, ",", &rest); word != NULL;
         word = strtok_r(NULL, ",", &rest)) {
        uint32_t first = 0, last = 0;
        if (sscanf(word, "%u-%u", &first, &last) == 1)
            last = first;
        for (uint32_t member = first; member <= last; member++) {
            event->member = member;
            feed(story, event);
        }
    }
}

static void take_event(struct story *story, char *text)
{
    struct controller_event event = {0};
    char *rest = NULL, *members = NULL;
    char *name = strtok_r(text, " ", &rest);
    bool takes_over = name != NULL && strcmp(name, "takeover") == 0;
    if (name != NULL && strcmp(name, "stop-spawns") == 0 && story->core != NULL) {
        controller_stop_spawns(story->core);
        return;
    }
    for (uint8_t type = EVENT_START; name != NULL && show_event_name(type) != NULL; type++)
        if (strcmp(name, show_event_name(type)) == 0)
            event.type = type;
    if (takes_over)
        event.type = EVENT_START;
    for (char *word = strtok_r(NULL, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        if (value != NULL)
            *value++ = 0;
        if (value != NULL && strcmp(word, "member") == 0)
            members = value;
        else if (value != NULL ? !set_event(story, &event, word, value) : !set_flag(&event, word))
            complain(story, "unknown word", word);
    }
    event.now_us = story->now_us;
    if (event.type == 0 || story->core == NULL) {
        complain(story, "no such event, or no policy before it", name == NULL ? "" : name);
        return;
    }
    if (takes_over)
        take_over(story, (uint32_t)strtoul(members == NULL ? "0" : members, NULL, 10));
    if (members != NULL)
        feed_members(story, &event, members);
    else
        feed(story, &event);
}

static void take_line(struct story *story, char *line)
{
    line[strcspn(line, "\n")] = 0;
    story->line++;
    if (line[0] == '<' || strncmp(line, "# member ", 9) == 0)
        return; /* what the core answered before */
    fprintf(story->out, "%s\n", line);
    if (strncmp(line, "policy", 6) == 0)
        take_policy(story, line + 6);
    else if (line[0] == '>')
        take_event(story, line + 1);
    else if (line[0] != '#' && line[0] != 0)
        complain(story, "a line is an event (>), an action (<), a comment (#) or the policy", line);
}

static char *read_all(const char *file, size_t *size)
{
    char *text = NULL;
    size_t capacity = 0;
    FILE *in = fopen(file, "r");
    if (in == NULL)
        return NULL;
    ssize_t got = getdelim(&text, &capacity, 0, in);
    *size = got > 0 ? (size_t)got : 0;
    fclose(in);
    return text;
}

/* The text that the core gives now; the caller frees it. */
static char *play(struct story *story, char *text)
{
    char *given = NULL, *rest = text, *line;
    size_t size = 0;
    story->out = open_memstream(&given, &size);
    if (story->out == NULL)
        return NULL;
    while ((line = strsep(&rest, "\n")) != NULL)
        if (rest != NULL || line[0] != 0)
            take_line(story, line);
    fclose(story->out);
    controller_destroy(story->core);
    return given;
}

static void show_difference(const char *file, const char *expected, const char *given)
{
    int line = 1;
    while (*expected != 0 && *expected == *given) {
        line += *expected == '\n';
        expected++;
        given++;
    }
    fprintf(stderr, "%s:%d: the core answers otherwise from here on: ...%.*s\n", file, line,
            (int)strcspn(given, "\n"), given);
}

static bool write_all(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");
    if (out == NULL)
        return false;
    bool good = fputs(text, out) >= 0;
    return fclose(out) == 0 && good;
}

static bool run_file(const char *file, bool update)
{
    struct story *story = calloc(1, sizeof(*story));
    size_t size = 0;
    char *expected = read_all(file, &size);
    char *text = expected == NULL ? NULL : strdup(expected);
    char *given = story == NULL || text == NULL ? NULL : (story->file = file, play(story, text));
    bool good = given != NULL && story->wrong == 0;
    if (given == NULL)
        fprintf(stderr, "%s: cannot be read\n", file);
    else if (update)
        good = good && write_all(file, given);
    else if (strcmp(expected, given) != 0)
        good = false, show_difference(file, expected, given);
    free(expected);
    free(text);
    free(given);
    free(story);
    return good;
}

struct arguments {
    bool update;
    int files, failures;
};

static error_t take_argument(int key, char *value, struct argp_state *argp)
{
    struct arguments *arguments = argp->input;
    if (key == 'u')
        arguments->update = true;
    else if (key == ARGP_KEY_ARG) {
        arguments->files++;
        arguments->failures += !run_file(value, arguments->update);
    } else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static void run_all(struct arguments *arguments)
{
    const char *source = getenv("ONWARD_SOURCE");
    char pattern[4096];
    glob_t found = {0};
    snprintf(pattern, sizeof(pattern), "%s/tests/data/*.txt", source == NULL ? "." : source);
    if (glob(pattern, 0, NULL, &found) != 0)
        arguments->failures++;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        arguments->files++;
        arguments->failures += !run_file(found.gl_pathv[i], arguments->update);
    }
    globfree(&found);
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"update", 'u', NULL, 0, "Write what the core answers now into the files", 0}, {0}};
    struct argp argp = {
        options,     take_argument,
        "[FILE...]", "Plays failure stories to the decision core and compares its answers.",
        NULL,        NULL,
        NULL};
    struct arguments arguments = {0};
    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments) != 0)
        return 2;
    if (arguments.files == 0)
        run_all(&arguments);
    printf("%d stories, %d failed\n", arguments.files, arguments.failures);
    return arguments.failures > 0;
}
