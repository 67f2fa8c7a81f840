/* rundir_task.c - task.yaml: what was started, by a libcyaml schema of struct task_record. */
#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "rundir_internal.h"

enum { MAX_ARGUMENTS = 65536 };

static const cyaml_schema_value_t argument_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

#define TEXT(name)                                                                                 \
    CYAML_FIELD_STRING_PTR(#name, CYAML_FLAG_POINTER, struct task_record, name, 0, CYAML_UNLIMITED)
/* What older records do not have; then it is NULL or 0. */
#define LATER_TEXT(name)                                                                           \
    CYAML_FIELD_STRING_PTR(#name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct task_record,    \
                           name, 0, CYAML_UNLIMITED)
#define COUNT(name) CYAML_FIELD_UINT(#name, CYAML_FLAG_DEFAULT, struct task_record, name)

static const cyaml_schema_field_t record_fields[] = {
    TEXT(task),
    TEXT(program),
    CYAML_FIELD_SEQUENCE_COUNT("arguments", CYAML_FLAG_POINTER, struct task_record, arguments,
                               argument_count, &argument_schema, 0, MAX_ARGUMENTS),
    TEXT(config),
    TEXT(directory),
    COUNT(workers),
    COUNT(min_workers),
    COUNT(max_workers),
    COUNT(spares),
    COUNT(subtask_count),
    CYAML_FIELD_INT("step_count", CYAML_FLAG_DEFAULT, struct task_record, step_count),
    TEXT(checkpoint),
    COUNT(checkpoint_keep),
    CYAML_FIELD_INT("checkpoint_keep_every", CYAML_FLAG_OPTIONAL, struct task_record,
                    checkpoint_keep_every),
    LATER_TEXT(checkpoint_keep_best),
    LATER_TEXT(hosts),
    LATER_TEXT(agent),
    LATER_TEXT(local_dir),
    LATER_TEXT(replace),
    CYAML_FIELD_FLOAT("wait_s", CYAML_FLAG_OPTIONAL, struct task_record, wait_s),
    LATER_TEXT(restart_command),
    LATER_TEXT(restart_file),
    LATER_TEXT(done_file),
    TEXT(created),
    TEXT(version),
    CYAML_FIELD_END};

static const cyaml_schema_value_t record_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct task_record, record_fields),
};

/* Keeps the first message and the place that libcyaml names after it. */
struct yaml_problem {
    char text[256];
    int lines;
};

static void note_problem(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct yaml_problem *problem = context;
    if (level < CYAML_LOG_ERROR || problem->lines++ > 2)
        return;
    size_t used = strlen(problem->text);
    vsnprintf(problem->text + used, sizeof problem->text - used, format, arguments);
    for (char *c = problem->text; *c; c++)
        if (*c == '\n')
            *c = ' ';
}

static cyaml_config_t yaml_config(struct yaml_problem *problem)
{
    return (cyaml_config_t){.log_fn = note_problem,
                            .log_ctx = problem,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS | CYAML_CFG_DOCUMENT_DELIM};
}

int rundir_load_task(const char *path, struct task_record *record, struct error *error)
{
    char *bytes;
    size_t size;
    int code = rundir_read_bytes(path, &bytes, &size, error);
    if (code != ONWARD_OK)
        return code;
    struct yaml_problem problem = {"", 0};
    cyaml_config_t config = yaml_config(&problem);
    struct task_record *loaded = NULL;
    cyaml_err_t failed = cyaml_load_data((const uint8_t *)bytes, size, &config, &record_schema,
                                         (cyaml_data_t **)&loaded, NULL);
    free(bytes);
    if (failed != CYAML_OK || !loaded)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: %s", path,
                         problem.text[0] ? problem.text : cyaml_strerror(failed));
    *record = *loaded;
    free(loaded); /* what it points to is the record's now */
    return ONWARD_OK;
}

int rundir_save_task(const char *path, const struct task_record *record, struct error *error)
{
    struct task_record whole = *record;
    char empty[] = "";
    char **const texts[] = {&whole.checkpoint_keep_best,
                            &whole.task,
                            &whole.program,
                            &whole.config,
                            &whole.directory,
                            &whole.checkpoint,
                            &whole.hosts,
                            &whole.agent,
                            &whole.local_dir,
                            &whole.replace,
                            &whole.restart_command,
                            &whole.restart_file,
                            &whole.done_file,
                            &whole.created,
                            &whole.version};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!*texts[i])
            *texts[i] = empty;
    char *no_arguments[] = {NULL}; /* libcyaml refuses a sequence without an address */
    if (!whole.arguments)
        whole.arguments = no_arguments;
    char created[40];
    if (!*whole.created) {
        time_text(created, sizeof created);
        whole.created = created;
    }
    struct yaml_problem problem = {"", 0};
    cyaml_config_t config = yaml_config(&problem);
    char *yaml = NULL;
    size_t size = 0;
    cyaml_err_t failed =
        cyaml_save_data(&yaml, &size, &config, &record_schema, (cyaml_data_t *)&whole, 0);
    if (failed != CYAML_OK)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%s: %s", path,
                         problem.text[0] ? problem.text : cyaml_strerror(failed));
    int code = file_replace(path, yaml, size, error);
    cyaml_mem(NULL, yaml, 0);
    return code;
}

int rundir_read_task(const struct rundir *rundir, struct task_record *record, struct error *error)
{
    char path[PATH_MAX];
    int code = file_join(path, sizeof path, rundir->path, "task.yaml", error);
    return code == ONWARD_OK ? rundir_load_task(path, record, error) : code;
}

int rundir_update_task(const struct rundir *rundir, uint32_t subtask_count, int64_t step_count,
                       struct error *error)
{
    char path[PATH_MAX];
    struct task_record record;
    int code = file_join(path, sizeof path, rundir->path, "task.yaml", error);
    if (code == ONWARD_OK)
        code = rundir_load_task(path, &record, error);
    if (code != ONWARD_OK)
        return code;
    subtask_count = subtask_count ? subtask_count : record.subtask_count;
    step_count = step_count >= 0 ? step_count : record.step_count;
    if (record.subtask_count != subtask_count || record.step_count != step_count) {
        record.subtask_count = subtask_count;
        record.step_count = step_count;
        code = rundir_save_task(path, &record, error);
    }
    task_record_clear(&record);
    return code;
}

void task_record_clear(struct task_record *record)
{
    for (uint32_t i = 0; i < record->argument_count; i++)
        free(record->arguments[i]);
    free(record->arguments);
    free(record->task);
    free(record->program);
    free(record->config);
    free(record->directory);
    free(record->checkpoint);
    free(record->checkpoint_keep_best);
    free(record->hosts);
    free(record->agent);
    free(record->local_dir);
    free(record->replace);
    free(record->restart_command);
    free(record->restart_file);
    free(record->done_file);
    free(record->created);
    free(record->version);
    memset(record, 0, sizeof *record);
}

int rundir_number(const struct rundir *rundir, uint64_t *number, struct error *error)
{
    struct task_record record;
    int code = rundir_read_task(rundir, &record, error);
    if (code != ONWARD_OK)
        return code;
    *number = XXH64(record.created, strlen(record.created), 0);
    *number = XXH64(rundir->path, strlen(rundir->path), *number);
    task_record_clear(&record);
    return ONWARD_OK;
}
