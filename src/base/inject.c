/* inject.c - parses the grammar of inject.h, one fault at a time, on a bounded copy of each. */
#include "inject.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FAULT_BYTES = 160 };

static bool take_number(const char *text, int64_t limit, int64_t *number)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < 0 || value > limit)
        return false;
    *number = value;
    return true;
}

/* The text behind `prefix`, or NULL. */
static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static bool parse_target(const char *text, struct inject_fault *fault)
{
    static const struct {
        const char *name;
        enum inject_target target;
    } named[] = {
        {"controller", INJECT_CONTROLLER}, {"spare", INJECT_SPARE}, {"newcomer", INJECT_NEWCOMER}};
    const char *value;
    int64_t number;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcmp(text, named[i].name) == 0) {
            fault->target = named[i].target;
            return true;
        }
    if ((value = after(text, "worker=")) && take_number(value, INT32_MAX, &number)) {
        fault->target = INJECT_WORKER;
        fault->index = (int32_t)number;
        return true;
    }
    if ((value = after(text, "host=")) && *value && strlen(value) < sizeof fault->host) {
        fault->target = INJECT_HOST;
        strcpy(fault->host, value);
        return true;
    }
    return false;
}

static bool parse_phase(const char *text, struct inject_fault *fault)
{
    static const char *const names[] = {
        [INJECT_PHASE_SUM] = "sum",       [INJECT_PHASE_CHECKPOINT] = "checkpoint",
        [INJECT_PHASE_FINISH] = "finish", [INJECT_PHASE_SHRINK] = "shrink",
        [INJECT_PHASE_JOIN] = "join",     [INJECT_PHASE_REFORM] = "reform",
        [INJECT_PHASE_OPEN] = "open",     [INJECT_PHASE_SPLIT] = "split",
        [INJECT_PHASE_STATE] = "state",   [INJECT_PHASE_AGREE] = "agree",
        [INJECT_PHASE_COMMIT] = "commit", [INJECT_PHASE_SPAWN] = "spawn",
    };
    for (int phase = INJECT_PHASE_SUM; phase <= INJECT_PHASE_LAST; phase++)
        if (strcmp(text, names[phase]) == 0) {
            fault->trigger = INJECT_AT_PHASE;
            fault->phase = (enum inject_phase)phase;
            return true;
        }
    return false;
}

static bool parse_trigger(const char *text, struct inject_fault *fault)
{
    const char *value;
    if ((value = after(text, "step=")) && take_number(value, INT64_MAX, &fault->step)) {
        fault->trigger = INJECT_AT_STEP;
        return true;
    }
    return (value = after(text, "phase=")) && parse_phase(value, fault);
}

static bool parse_fault(char *text, struct inject_fault *fault)
{
    memset(fault, 0, sizeof *fault);
    char *target = strchr(text, ':'), *trigger = strchr(text, '@');
    if (!target || !trigger || trigger < target)
        return false;
    *target++ = '\0';
    *trigger++ = '\0';
    fault->kind = strcmp(text, "kill") == 0 ? INJECT_KILL : INJECT_STOP;
    if (fault->kind == INJECT_STOP && strcmp(text, "stop") != 0)
        return false;
    if (!parse_target(target, fault) || !parse_trigger(trigger, fault))
        return false;
    bool has_steps = fault->target != INJECT_SPARE && fault->target != INJECT_NEWCOMER;
    bool is_of_change = fault->trigger == INJECT_AT_PHASE && fault->phase >= INJECT_PHASE_SHRINK &&
                        fault->phase <= INJECT_PHASE_COMMIT;
    return has_steps || is_of_change;
}

int inject_parse(const char *text, struct inject_fault *faults, int max, int *count,
                 struct error *error)
{
    int parsed = 0;
    *count = 0;
    for (const char *rest = text; rest; parsed++) {
        const char *comma = strchr(rest, ',');
        size_t length = comma ? (size_t)(comma - rest) : strlen(rest);
        char one[FAULT_BYTES] = "";
        if (parsed == max)
            return error_set(error, ONWARD_ERR_INPUT, "--inject: more than %d faults", max);
        if (length < sizeof one)
            memcpy(one, rest, length);
        if (length >= sizeof one || !parse_fault(one, &faults[parsed]))
            return error_set(error, ONWARD_ERR_INPUT,
                             "--inject: '%.*s': expected kill|stop:worker=RANK|controller|spare|"
                             "newcomer|host=NAME@step=STEP|phase=sum|checkpoint|finish|shrink|"
                             "join|reform|open|split|state|agree|commit|spawn",
                             (int)(length < FAULT_BYTES ? length : FAULT_BYTES), rest);
        rest = comma ? comma + 1 : NULL;
    }
    *count = parsed;
    return ONWARD_OK;
}
