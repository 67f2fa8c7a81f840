/* options.c - settings: defaults, then what the launcher handed down in the environment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "options.h"

enum { DEFAULT_KEEP = 3, DEFAULT_REFORM_LIMIT_S = 30, DEFAULT_SPAWN_LIMIT_S = 30, DETECTIONS = 4 };

/* A whole number from the environment: false when it is absent; *bad when it is none. */
static bool number_from(const char *name, int64_t *value, const char **bad)
{
    const char *text = getenv(name);
    if (!text || !*text)
        return false;
    char *end;
    long long number = strtoll(text, &end, 10);
    if (*end != '\0' || number < 0 || number > INT32_MAX) {
        *bad = name;
        return false;
    }
    *value = number;
    return true;
}

static void int_from(const char *name, int *value, const char **bad)
{
    int64_t number;
    if (number_from(name, &number, bad))
        *value = (int)number;
}

/* auto, N steps, or Ts seconds. */
static bool parse_checkpoint(const char *text, struct onward_options *options)
{
    char *end;
    options->checkpoint_auto = strcmp(text, "auto") == 0;
    options->checkpoint_steps = 0;
    options->checkpoint_s = 0;
    if (options->checkpoint_auto)
        return true;
    double number = strtod(text, &end);
    if (end == text || !(number > 0) || number > 1e9)
        return false;
    if (strcmp(end, "s") == 0)
        options->checkpoint_s = number;
    else if (*end == '\0' && number == (double)(int64_t)number)
        options->checkpoint_steps = (int64_t)number;
    else
        return false;
    return true;
}

static bool parse_replace(const char *text, enum onward_replace *replace)
{
    static const char *const names[] = {
        [ONWARD_REPLACE_NONE] = "none",
        [ONWARD_REPLACE_SPARE] = "spare",
        [ONWARD_REPLACE_SPAWN] = "spawn",
    };
    if (!text || !*text)
        return true;
    for (int i = ONWARD_REPLACE_NONE; i <= ONWARD_REPLACE_SPAWN; i++)
        if (strcmp(text, names[i]) == 0) {
            *replace = (enum onward_replace)i;
            return true;
        }
    return false;
}

/* Seconds since 1970; what is absent or empty changes nothing. */
static bool read_end_time(const char *text, double *end_time_s)
{
    char *end;
    if (!text || !*text)
        return true;
    *end_time_s = strtod(text, &end);
    return end != text && *end == '\0' && *end_time_s >= 0;
}

static bool is_best(const char *text)
{
    struct checkpoint_best best;
    return !text || !*text || checkpoint_parse_best(text, &best);
}

static const char *expected_of(const char *name)
{
    if (strcmp(name, "ONWARD_END_TIME") == 0)
        return "seconds since 1970";
    if (strcmp(name, "ONWARD_CHECKPOINT_KEEP_BEST") == 0)
        return "NAME:min or NAME:max";
    return strcmp(name, "ONWARD_CHECKPOINT") == 0 ? "auto, a number of steps, or seconds as in 30s"
           : strcmp(name, "ONWARD_REPLACE") == 0  ? "none, spare or spawn"
                                                  : "a whole number";
}

static const char *read_environment(struct onward_options *options)
{
    const char *bad = NULL, *checkpoint = getenv("ONWARD_CHECKPOINT");
    int_from("ONWARD_MIN_WORKERS", &options->min_workers, &bad);
    int_from("ONWARD_MAX_WORKERS", &options->max_workers, &bad);
    int_from("ONWARD_SPARES", &options->spare_count, &bad);
    number_from("ONWARD_LOCAL_STEPS", &options->local_steps, &bad);
    int_from("ONWARD_CHECKPOINT_KEEP", &options->checkpoint_keep, &bad);
    number_from("ONWARD_CHECKPOINT_KEEP_EVERY", &options->checkpoint_keep_every, &bad);
    if (!read_end_time(getenv("ONWARD_END_TIME"), &options->end_time_s))
        bad = "ONWARD_END_TIME";
    options->checkpoint_keep_best = getenv("ONWARD_CHECKPOINT_KEEP_BEST");
    if (!is_best(options->checkpoint_keep_best))
        bad = "ONWARD_CHECKPOINT_KEEP_BEST";
    if (checkpoint && *checkpoint && !parse_checkpoint(checkpoint, options))
        bad = "ONWARD_CHECKPOINT";
    options->hosts = getenv("ONWARD_HOSTS");
    if (!parse_replace(getenv("ONWARD_REPLACE"), &options->replace))
        bad = "ONWARD_REPLACE";
    options->task = getenv("ONWARD_TASK");
    options->directory = getenv("ONWARD_DIR");
    options->local_directory = getenv("ONWARD_LOCAL_DIR");
    options->inject = getenv("ONWARD_INJECT");
    return bad;
}

double options_detect_s(void)
{
    const char *text = getenv("ONWARD_DETECT_S");
    double detect_s = text ? strtod(text, NULL) : 0;
    return detect_s > 0 ? detect_s : 0;
}

double options_spawn_limit_s(void)
{
    const char *text = getenv("ONWARD_SPAWN_LIMIT_S");
    double limit_s = text ? strtod(text, NULL) : 0;
    return limit_s > 0 && limit_s < 1e6 ? limit_s : DEFAULT_SPAWN_LIMIT_S;
}

/* One call of MPI may have to wait for several silent members in turn, each of whom the launcher
 * kills when it has found it. */
static double default_reform_limit_s(void)
{
    return DEFAULT_REFORM_LIMIT_S + DETECTIONS * options_detect_s();
}

/* A spawned member's environment, NAME=VALUE lines: the file that ONWARD_SPAWNED names. What cannot
 * be read is missed by whoever wants it. */
static void take_spawned_environment(void)
{
    const char *path = getenv("ONWARD_SPAWNED");
    FILE *file = path ? fopen(path, "re") : NULL;
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while (file && (length = getline(&line, &room, file)) > 0) {
        char *value = strchr(line, '=');
        if (!value || line[length - 1] != '\n')
            continue;
        line[length - 1] = '\0';
        *value++ = '\0';
        setenv(line, value, 1);
    }
    free(line);
    if (file)
        fclose(file);
}

void onward_options_init(struct onward_options *options)
{
    take_spawned_environment();
    *options = (struct onward_options){.min_workers = 1,
                                       .checkpoint_auto = true,
                                       .checkpoint_keep = DEFAULT_KEEP,
                                       .wants_ft = true,
                                       .replace = ONWARD_REPLACE_SPARE,
                                       .reform_limit_s = default_reform_limit_s(),
                                       .program = "mpirun"};
    read_environment(options);
}

int options_check(struct onward_options *options, struct error *error)
{
    struct onward_options scratch = *options;
    const char *bad = read_environment(&scratch);
    if (!bad)
        number_from("ONWARD_STEPS", &options->step_count, &bad);
    if (bad)
        return error_set(error, ONWARD_ERR_INPUT, "environment variable %s is '%s', expected %s",
                         bad, getenv(bad), expected_of(bad));
    if (options->subtask_count == 0)
        return error_set(error, ONWARD_ERR_ARGUMENT, "subtask_count is 0, expected at least 1");
    if (options->step_count < 0 || options->min_workers < 1 || options->spare_count < 0 ||
        options->checkpoint_keep < 1 || options->checkpoint_keep_every < 0 ||
        !(options->reform_limit_s > 0))
        return error_set(error, ONWARD_ERR_ARGUMENT,
                         "options: expected step_count >= 0, min_workers >= 1, spare_count >= 0, "
                         "checkpoint_keep >= 1, checkpoint_keep_every >= 0, reform_limit_s > 0");
    if (!is_best(options->checkpoint_keep_best))
        return error_set(error, ONWARD_ERR_ARGUMENT,
                         "checkpoint_keep_best is %s, expected NAME:min or NAME:max",
                         options->checkpoint_keep_best);
    if (options->max_workers > 0 && options->max_workers < options->min_workers)
        return error_set(error, ONWARD_ERR_INPUT, "at most %d workers but at least %d were asked",
                         options->max_workers, options->min_workers);
    return ONWARD_OK;
}

static char *copy(const char *text)
{
    return strdup(text ? text : "");
}

int options_own(struct onward_options *options, struct error *error)
{
    options->task = copy(options->task && *options->task ? options->task : "task");
    options->directory = copy(options->directory);
    options->local_directory =
        copy(options->local_directory && *options->local_directory ? options->local_directory
                                                                   : "/dev/shm");
    options->inject = copy(options->inject);
    options->program = copy(options->program);
    options->hosts = copy(options->hosts);
    options->checkpoint_keep_best = copy(options->checkpoint_keep_best);
    if (!options->hosts || !options->checkpoint_keep_best || !options->task ||
        !options->directory || !options->local_directory || !options->inject || !options->program) {
        options_release(options);
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for the options");
    }
    return ONWARD_OK;
}

void options_release(struct onward_options *options)
{
    free((char *)options->task);
    free((char *)options->directory);
    free((char *)options->local_directory);
    free((char *)options->inject);
    free((char *)options->program);
    free((char *)options->hosts);
    free((char *)options->checkpoint_keep_best);
    options->task = options->directory = options->local_directory = NULL;
    options->inject = options->program = options->hosts = options->checkpoint_keep_best = NULL;
}

struct controller_policy options_policy(const struct onward_options *options)
{
    uint32_t max =
        options->max_workers > 0 ? (uint32_t)options->max_workers : options->subtask_count;
    if (max < (uint32_t)options->min_workers)
        max = (uint32_t)options->min_workers;
    bool has_state = !options->service; /* else there is nothing for a checkpoint to hold */
    int64_t checkpoint_us = (int64_t)(options->checkpoint_s * 1e6);
    return (struct controller_policy){.subtask_count = options->subtask_count,
                                      .step_count = options->step_count,
                                      .min_workers = (uint32_t)options->min_workers,
                                      .max_workers = max,
                                      .spare_count = (uint32_t)options->spare_count,
                                      .replace = (uint8_t)options->replace,
                                      .can_spawn = true,
                                      .finish_checkpoint = has_state,
                                      .checkpoint_steps = has_state ? options->checkpoint_steps : 0,
                                      .checkpoint_us = has_state ? checkpoint_us : 0,
                                      .checkpoint_auto = has_state && options->checkpoint_auto,
                                      .checkpoint_min_us = 10000000,
                                      .checkpoint_max_us = 3600000000,
                                      .restart_budget = 1000,
                                      .backoff_us = 1000000,
                                      .no_progress_limit = 32,
                                      .seed = 1};
}
