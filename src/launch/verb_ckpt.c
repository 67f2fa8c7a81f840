/* verb_ckpt.c - onward ckpt: the committed checkpoints of a task. Those that only look are here,
 * rm and export in checkpoint_change.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "checkpoint_verb.h"
#include "say.h"
#include "standing.h"

enum { KEY_STEP = 256, MAX_STEPS = 10000 };

struct subverb {
    const char *name;
    int (*run)(const struct ckpt_input *input, const struct rundir *rundir);
    size_t max_steps;
};

static void add_step(struct ckpt_input *input, const char *option, const char *text)
{
    int64_t step = options_number(option, text, 0, INT64_MAX);
    for (size_t i = 0; i < input->step_count; i++)
        if (input->steps[i] == step)
            return;
    if (input->step_count == MAX_STEPS)
        options_refuse("ckpt %s: expected at most %d steps", input->subverb, MAX_STEPS);
    int64_t *grown = realloc(input->steps, (input->step_count + 1) * sizeof *grown);
    if (!grown)
        options_refuse("ckpt %s: out of memory", input->subverb);
    input->steps = grown;
    input->steps[input->step_count++] = step;
}

static error_t parse_ckpt(int key, char *text, struct argp_state *state)
{
    struct ckpt_input *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &input->task;
        return 0;
    case KEY_STEP:
        add_step(input, "--step", text);
        return 0;
    case 'o':
        input->output = text;
        return 0;
    case 'f':
        input->force = true;
        return 0;
    case ARGP_KEY_ARG:
        if (!input->task.task)
            return ARGP_ERR_UNKNOWN; /* the child takes it */
        add_step(input, "STEP", text);
        return 0;
    case ARGP_KEY_SUCCESS:
        if (!input->task.task)
            options_refuse("ckpt: expected a TASK; `onward status' lists them");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"step", KEY_STEP, "N", 0, "the same as the argument STEP", 0},
    {"output", 'o', "FILE", 0, "export: the file to write", 0},
    {"force", 'f', NULL, 0, "rm: the last whole one too; export: replace a plain FILE", 0},
    {NULL, 0, NULL, 0, NULL, 0}};
static const struct argp_child children[] = {{.argp = &task_argp}, {.argp = NULL}};
static const struct argp ckpt_argp = {
    .options = table,
    .parser = parse_ckpt,
    .args_doc = "ls TASK\nshow TASK [STEP]\nsum TASK [STEP]\nverify TASK [STEP]\nrm TASK "
                "STEP...\nexport TASK [STEP] -o FILE.h5",
    .doc = "Lists the checkpoints of TASK, shows what one holds, prints the xxHash128 of each "
           "array and of all, reads everything to verify it, removes some, or writes one to a "
           "plain HDF5 file. Without STEP it is the newest whole one (verify: all). `complete' "
           "says that every file is there with its length; only verify tells whether what they "
           "hold is whole.",
    .children = children,
};

static const char *entry_state(const struct checkpoint_entry *entry)
{
    return entry->foreign    ? "other task"
           : entry->failed   ? "failed"
           : entry->complete ? "complete"
           : entry->readable ? "incomplete"
                             : "not readable";
}

static json_t *entry_json(const struct checkpoint_entry *entry)
{
    json_t *root =
        json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:s, s:{}}", "step",
                  (json_int_t)entry->id.step, "state", entry_state(entry), "task", entry->id.task,
                  "time", entry->time, "incarnation", (json_int_t)entry->id.incarnation, "epoch",
                  (json_int_t)entry->id.epoch, "shards", (json_int_t)entry->shard_count, "bytes",
                  (json_int_t)entry->bytes, "complete", entry->complete, "problem", entry->problem,
                  "metrics");
    if (entry->metric.name[0]) /* a value that JSON does not know is left out */
        json_object_set_new(json_object_get(root, "metrics"), entry->metric.name,
                            json_real(entry->metric.value));
    return root;
}

/* By which the best one is known, where there is one. */
static const char *metric_text(const struct checkpoint_entry *entry, char *text, size_t text_bytes)
{
    snprintf(text, text_bytes, "-");
    if (entry->metric.name[0])
        snprintf(text, text_bytes, "%s %.6g", entry->metric.name, entry->metric.value);
    return text;
}

static void print_entry(const struct checkpoint_entry *entry)
{
    char metric[64];
    if (entry->readable)
        printf("%10" PRId64 "  %-27s %5" PRId64 " %5" PRId64 " %6u %14" PRIu64 "  %-18s %s%s%s\n",
               entry->id.step, entry->time, entry->id.incarnation, entry->id.epoch,
               entry->shard_count, entry->bytes, metric_text(entry, metric, sizeof metric),
               entry_state(entry), entry->problem[0] ? ": " : "", entry->problem);
    else
        printf("%10" PRId64 "  %s: %s\n", entry->id.step, entry_state(entry), entry->problem);
}

static int list(const struct ckpt_input *input, const struct rundir *rundir)
{
    struct checkpoint_entry *entries = NULL;
    struct error error;
    size_t count = 0;
    int code = checkpoint_list(rundir_path(rundir), input->task.task, &entries, &count, &error);
    if (code != ONWARD_OK)
        return say_error(&error);
    json_t *array = json_array();
    if (!input->task.json)
        printf("%10s  %-27s %5s %5s %6s %14s  %-18s %s\n", "STEP", "TIME", "INC", "EPOCH", "SHARDS",
               "BYTES", "METRIC", "STATE");
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

int ckpt_choose_step(const struct ckpt_input *input, const char *run, int64_t *step,
                     struct error *error)
{
    if (input->step_count > 0) {
        *step = input->steps[0];
        return ONWARD_OK;
    }
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

/* What the list says of one step; false when it is not in it. */
static bool find_entry(const char *run, const char *task, int64_t step,
                       struct checkpoint_entry *entry)
{
    struct checkpoint_entry *entries = NULL;
    size_t count = 0, i = 0;
    if (checkpoint_list(run, task, &entries, &count, NULL) != ONWARD_OK)
        return false;
    while (i < count && entries[i].id.step != step)
        i++;
    bool found = i < count;
    if (found)
        *entry = entries[i];
    free(entries);
    return found;
}

static void print_description(const struct checkpoint_entry *entry,
                              const struct checkpoint_array *arrays, uint32_t count)
{
    char metric[64];
    printf("step %" PRId64 "\n", entry->id.step);
    printf("%s, written %s by incarnation %" PRId64 ", epoch %" PRId64 ", %u shard%s, %" PRIu64
           " bytes, metric: %s\n",
           entry_state(entry), entry->time, entry->id.incarnation, entry->id.epoch,
           entry->shard_count, entry->shard_count == 1 ? "" : "s", entry->bytes,
           metric_text(entry, metric, sizeof metric));
    for (uint32_t i = 0; i < count; i++)
        print_array(&arrays[i]);
}

static int show(const struct ckpt_input *input, const struct rundir *rundir)
{
    const char *run = rundir_path(rundir);
    struct checkpoint_array *arrays = NULL;
    struct checkpoint_entry entry = {.time = ""};
    struct error error;
    uint32_t count = 0;
    int64_t step;
    int code = ckpt_choose_step(input, run, &step, &error);
    if (code == ONWARD_OK)
        code = checkpoint_describe(run, step, &arrays, &count, &error);
    if (code == ONWARD_OK && !find_entry(run, input->task.task, step, &entry))
        code = error_set(&error, ONWARD_ERR_NOT_FOUND, "%s/ckpt: the checkpoint is gone", run);
    if (code != ONWARD_OK) {
        free(arrays);
        return say_error(&error);
    }
    int exit_code = 0;
    if (input->task.json) {
        json_t *root = entry_json(&entry), *list = json_array();
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(list, array_json(&arrays[i]));
        json_object_set_new(root, "arrays", list);
        exit_code = print_json(root);
    } else {
        print_description(&entry, arrays, count);
        exit_code = finish_output(0);
    }
    free(arrays);
    return exit_code;
}

struct summing {
    json_t *root; /* NULL: lines are wanted */
    bool failed;
};

/* The total stands beside the sums of the arrays, and under a name that no array can have. */
static void print_sum(void *context, const char *sum, const char *name)
{
    struct summing *summing = context;
    json_t *object = name ? json_object_get(summing->root, "sums") : summing->root;
    if (!summing->root)
        printf("%s  %s\n", sum, name ? name : "/ (all)");
    else if (json_object_set_new(object, name ? name : "all", json_string(sum)) != 0)
        summing->failed = true;
}

static int sum(const struct ckpt_input *input, const struct rundir *rundir)
{
    const char *run = rundir_path(rundir);
    struct error error;
    int64_t step;
    struct summing summing = {.root = NULL};
    int code = ckpt_choose_step(input, run, &step, &error);
    if (code == ONWARD_OK && input->task.json)
        summing.root = json_pack("{s:I, s:{}}", "step", (json_int_t)step, "sums");
    if (code == ONWARD_OK && input->task.json && !summing.root)
        code = error_set(&error, ONWARD_ERR_MEMORY, "out of memory to sum a checkpoint");
    if (code == ONWARD_OK)
        code = checkpoint_sum(run, step, print_sum, &summing, &error);
    if (code == ONWARD_OK && summing.root && !summing.failed)
        return print_json(summing.root);
    json_decref(summing.root);
    if (code != ONWARD_OK)
        return say_error(&error);
    return summing.failed ? print_json(NULL) : finish_output(0);
}

/* Reads it whole. One that is whole after all loses its mark. False: it is not whole. */
static bool verify_one(const struct ckpt_input *input, const char *run,
                       const struct checkpoint_entry *entry, json_t *list)
{
    struct error error = {.text = ""};
    int64_t step = entry->id.step;
    int code = checkpoint_verify(run, step, input->task.task, &error);
    bool clears = code == ONWARD_OK && entry->failed;
    if (clears)
        code = checkpoint_clear_mark(run, step, &error);
    if (!input->task.json)
        printf("%10" PRId64 "  %s%s%s\n", step, code == ONWARD_OK ? "ok" : "no: ", error.text,
               clears && code == ONWARD_OK ? "; it failed before, and is used again" : "");
    json_array_append_new(list, json_pack("{s:I, s:b, s:s}", "step", (json_int_t)step, "ok",
                                          code == ONWARD_OK, "text", error.text));
    return code == ONWARD_OK;
}

/* All of them, or the one that is given. */
static int verify(const struct ckpt_input *input, const struct rundir *rundir)
{
    const char *run = rundir_path(rundir);
    struct checkpoint_entry *entries = NULL;
    struct error error;
    size_t count = 0, looked = 0;
    int bad = 0, code = checkpoint_list(run, input->task.task, &entries, &count, &error);
    if (code != ONWARD_OK)
        return say_error(&error);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (input->step_count > 0 && entries[i].id.step != input->steps[0])
            continue;
        looked++;
        bad += !verify_one(input, run, &entries[i], list);
    }
    free(entries);
    if (!looked) {
        json_decref(list);
        say("%s/ckpt: expected a checkpoint%s", run, input->step_count ? " of that step" : "");
        return EXIT_USAGE;
    }
    if (input->task.json)
        bad += print_json(list);
    else
        json_decref(list);
    return finish_output(bad ? 1 : 0);
}

static const struct subverb subverbs[] = {{"ls", list, 0},
                                          {"show", show, 1},
                                          {"sum", sum, 1},
                                          {"verify", verify, 1},
                                          {"rm", ckpt_remove, MAX_STEPS},
                                          {"export", ckpt_export, 1}};

static void check_input(const struct ckpt_input *input, const struct subverb *subverb)
{
    bool exports = subverb->run == ckpt_export, removes = subverb->run == ckpt_remove;
    if (input->step_count > subverb->max_steps)
        options_refuse("ckpt %s: %zu steps, expected at most %zu", subverb->name, input->step_count,
                       subverb->max_steps);
    if (removes && input->step_count == 0)
        options_refuse("ckpt rm: expected one or more STEPs; `onward ckpt ls' lists them");
    if (exports && !input->output)
        options_refuse("ckpt export: expected -o FILE.h5");
    if (input->output && !exports)
        options_refuse("ckpt %s: -o: only export has it", subverb->name);
    if (input->force && !exports && !removes)
        options_refuse("ckpt %s: --force: only rm and export have it", subverb->name);
}

static const struct subverb *find_subverb(const char *name)
{
    for (size_t i = 0; i < sizeof subverbs / sizeof *subverbs; i++)
        if (strcmp(name, subverbs[i].name) == 0)
            return &subverbs[i];
    return NULL;
}

int verb_ckpt(int argc, char **argv)
{
    struct ckpt_input input = {.subverb = ""};
    struct rundir *rundir;
    struct error error;
    bool is_help = argc > 1 && !strcmp(argv[1], "--help");
    const struct subverb *subverb = argc > 1 ? find_subverb(argv[1]) : NULL;
    if (!subverb && !is_help) {
        say("ckpt: expected ls, show, sum, verify, rm or export, as in `onward ckpt sum TASK'");
        return EXIT_USAGE;
    }
    if (subverb)
        input.subverb = subverb->name;
    options_parse(&ckpt_argp, "onward ckpt", argc - !is_help, argv + !is_help, &input);
    if (!subverb) /* --help has ended it */
        return EXIT_USAGE;
    check_input(&input, subverb);
    if (standing_open(&input.task, &rundir, &error) != ONWARD_OK)
        return say_error(&error);
    int exit_code = subverb->run(&input, rundir);
    rundir_close(rundir);
    free(input.steps);
    return exit_code;
}
