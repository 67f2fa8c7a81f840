/* verb_ckpt.c - onward ckpt ls|show|sum|verify: the committed checkpoints of a task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "say.h"
#include "standing.h"

enum { KEY_STEP = 256 };

struct ckpt_input {
    struct task_options task;
    int64_t step; /* -1: the newest whole one */
};

static error_t parse_ckpt(int key, char *text, struct argp_state *state)
{
    struct ckpt_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->task;
        return 0;
    case KEY_STEP:
        input->step = options_number("--step", text, 0, INT64_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (input->task.task)
            options_refuse("ckpt: %s: expected one TASK, which is %s", text, input->task.task);
        return ARGP_ERR_UNKNOWN; /* the child takes it */
    case ARGP_KEY_SUCCESS:
        if (!input->task.task)
            options_refuse("ckpt: expected a TASK; `onward status' lists them");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"step", KEY_STEP, "N", 0, "the checkpoint of step N (default: the newest whole one)", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp_child children[] = {{.argp = &task_argp}, {.argp = NULL}};
static const struct argp ckpt_argp = {
    .options = table,
    .parser = parse_ckpt,
    .args_doc = "ls TASK\nshow TASK\nsum TASK\nverify TASK",
    .doc = "Lists the checkpoints of TASK, shows what arrays one holds, prints the xxHash128 of "
           "each array and of all, or reads everything to verify it.",
    .children = children,
};

static json_t *entry_json(const struct checkpoint_entry *entry)
{
    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:b, s:s}", "step", (json_int_t)entry->id.step,
                     "time", entry->time, "incarnation", (json_int_t)entry->id.incarnation, "epoch",
                     (json_int_t)entry->id.epoch, "shards", (json_int_t)entry->shard_count, "bytes",
                     (json_int_t)entry->bytes, "whole", entry->whole && entry->readable, "problem",
                     entry->problem);
}

static void print_entry(const struct checkpoint_entry *entry)
{
    if (entry->readable)
        printf("%10lld  %-27s %5lld %5lld %6u %14llu  %s%s\n", (long long)entry->id.step,
               entry->time, (long long)entry->id.incarnation, (long long)entry->id.epoch,
               entry->shard_count, (unsigned long long)entry->bytes,
               entry->whole ? "whole" : "not whole: ", entry->whole ? "" : entry->problem);
    else
        printf("%10lld  not readable: %s\n", (long long)entry->id.step, entry->problem);
}

static int list(const struct ckpt_input *input, const char *run, struct error *error)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    int code = checkpoint_list(run, &entries, &count, error);
    if (code != ONWARD_OK)
        return say_error(error);
    json_t *array = json_array();
    if (!input->task.json)
        printf("%10s  %-27s %5s %5s %6s %14s\n", "STEP", "TIME", "INC", "EPOCH", "SHARDS", "BYTES");
    for (size_t i = 0; i < count; i++) {
        if (input->task.json)
            json_array_append_new(array, entry_json(&entries[i]));
        else
            print_entry(&entries[i]);
    }
    free(entries);
    if (input->task.json)
        return print_json(array);
    json_decref(array);
    return finish_output(0);
}

static void warn(void *context, const char *text)
{
    (void)context;
    say("warning: %s", text);
}

/* The step that is meant: the one given, else the newest whole one. */
static int choose_step(const struct ckpt_input *input, const char *run, int64_t *step,
                       struct error *error)
{
    *step = input->step;
    if (*step >= 0)
        return ONWARD_OK;
    int code = checkpoint_newest(run, input->task.task, step, warn, NULL, error);
    if (code == ONWARD_OK && *step < 0)
        code = error_set(error, ONWARD_ERR_NOT_FOUND, "%s/ckpt: expected a whole checkpoint", run);
    return code;
}

static const char *type_name(int type)
{
    static const char *const names[] = {
        [ONWARD_FLOAT] = "float32", [ONWARD_DOUBLE] = "float64", [ONWARD_INT32] = "int32",
        [ONWARD_INT64] = "int64",   [ONWARD_UINT64] = "uint64",  [ONWARD_BYTE] = "uint8"};
    return type >= ONWARD_FLOAT && type <= ONWARD_BYTE ? names[type] : "unknown";
}

static void print_array(const struct checkpoint_array *array)
{
    printf("%-32s %-8s [", array->name, type_name(array->type));
    for (int i = 0; i < array->ndims; i++)
        printf("%s%llu", i ? ", " : "", (unsigned long long)array->dims[i]);
    puts("]");
}

static json_t *array_json(const struct checkpoint_array *array)
{
    json_t *shape = json_array();
    for (int i = 0; i < array->ndims; i++)
        json_array_append_new(shape, json_integer((json_int_t)array->dims[i]));
    return json_pack("{s:s, s:s, s:o}", "name", array->name, "type", type_name(array->type),
                     "shape", shape);
}

static int show(const struct ckpt_input *input, const char *run, struct error *error)
{
    struct checkpoint_array *arrays = NULL;
    uint32_t count = 0;
    int64_t step;
    int code = choose_step(input, run, &step, error);
    if (code == ONWARD_OK)
        code = checkpoint_describe(run, step, &arrays, &count, error);
    if (code != ONWARD_OK)
        return say_error(error);
    json_t *list = json_array();
    if (!input->task.json)
        printf("step %lld\n", (long long)step);
    for (uint32_t i = 0; i < count; i++) {
        if (input->task.json)
            json_array_append_new(list, array_json(&arrays[i]));
        else
            print_array(&arrays[i]);
    }
    free(arrays);
    if (input->task.json)
        return print_json(json_pack("{s:I, s:o}", "step", (json_int_t)step, "arrays", list));
    json_decref(list);
    return finish_output(0);
}

static void print_sum(void *context, const char *sum, const char *name)
{
    json_t *sums = context;
    if (sums)
        json_object_set_new(sums, name, json_string(sum));
    else
        printf("%s  %s\n", sum, name);
}

static int sum(const struct ckpt_input *input, const char *run, struct error *error)
{
    int64_t step;
    json_t *sums = input->task.json ? json_object() : NULL;
    int code = choose_step(input, run, &step, error);
    if (code == ONWARD_OK)
        code = checkpoint_sum(run, step, print_sum, sums, error);
    if (code != ONWARD_OK) {
        json_decref(sums);
        return say_error(error);
    }
    if (sums)
        return print_json(json_pack("{s:I, s:o}", "step", (json_int_t)step, "sums", sums));
    return finish_output(0);
}

/* All of them, or the one of --step. */
static int verify(const struct ckpt_input *input, const char *run, struct error *error)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0;
    int bad = 0, code = checkpoint_list(run, &entries, &count, error);
    if (code != ONWARD_OK)
        return say_error(error);
    json_t *list = json_array();
    size_t looked = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t step = entries[i].id.step;
        if (input->step >= 0 && step != input->step)
            continue;
        looked++;
        code = checkpoint_verify(run, step, input->task.task, error);
        bad += code != ONWARD_OK;
        const char *text = code == ONWARD_OK ? "" : error->text;
        if (input->task.json)
            json_array_append_new(list, json_pack("{s:I, s:b, s:s}", "step", (json_int_t)step, "ok",
                                                  code == ONWARD_OK, "text", text));
        else
            printf("%10lld  %s%s\n", (long long)step, code == ONWARD_OK ? "ok" : "no: ", text);
    }
    free(entries);
    if (input->task.json)
        bad += print_json(list);
    else
        json_decref(list);
    if (!looked)
        say("%s/ckpt: expected a checkpoint%s", run, input->step >= 0 ? " of that step" : "");
    return finish_output(!looked ? EXIT_USAGE : bad ? 1 : 0);
}

static const struct {
    const char *name;
    int (*run)(const struct ckpt_input *input, const char *run, struct error *error);
} subverbs[] = {{"ls", list}, {"show", show}, {"sum", sum}, {"verify", verify}};

int verb_ckpt(int argc, char **argv)
{
    struct ckpt_input input = {.step = -1};
    struct rundir *rundir;
    struct error error;
    size_t i = 0, count = sizeof subverbs / sizeof *subverbs;
    while (i < count && (argc < 2 || strcmp(argv[1], subverbs[i].name) != 0))
        i++;
    bool is_help = argc > 1 && !strcmp(argv[1], "--help");
    if (i == count && !is_help) {
        say("ckpt: expected ls, show, sum or verify, as in `onward ckpt sum TASK'");
        return EXIT_USAGE;
    }
    options_parse(&ckpt_argp, "onward ckpt", argc - !is_help, argv + !is_help, &input);
    if (standing_open(&input.task, &rundir, &error) != ONWARD_OK)
        return say_error(&error);
    int exit_code = subverbs[i].run(&input, rundir_path(rundir), &error);
    rundir_close(rundir);
    return exit_code;
}
