/* farm_h5.c - result.h5 of a farm: one dataset a column, one row a subtask, and the commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "farm_result.h"
#include "file.h"
#include "onward.h"
#include "result.h"

/* Commands of more bytes in all are left to the file `commands'. */
static const uint64_t max_command_bytes = 1ull << 30;

struct texts {
    int64_t *end;
    unsigned char *bytes;
};

/* Where each ends, and all of them one behind the other. */
static int read_commands(struct farm_table *table, struct texts *texts, struct error *error)
{
    uint64_t total = 0, offset;
    uint32_t length;
    texts->end = malloc(table->rows * sizeof *texts->end);
    for (uint32_t row = 0; texts->end && row < table->rows; row++) {
        int code = commands_find(table->commands, row, &offset, &length, error);
        if (code != ONWARD_OK)
            return code;
        total += length;
        texts->end[row] = (int64_t)total;
    }
    if (total > max_command_bytes)
        return ONWARD_OK;
    texts->bytes = texts->end ? malloc(total + 1) : NULL;
    if (!texts->bytes)
        return error_set(error, ONWARD_ERR_MEMORY, "result.h5: out of memory");
    int code = ONWARD_OK;
    for (uint32_t row = 0; row < table->rows && code == ONWARD_OK; row++) {
        code = commands_find(table->commands, row, &offset, &length, error);
        if (code == ONWARD_OK) /* with its NUL, which the next one overwrites */
            code = commands_read(table->commands, offset, length,
                                 (char *)texts->bytes + texts->end[row] - length, error);
    }
    return code;
}

static int put_commands(struct result *result, const struct farm_table *table,
                        const struct texts *texts, struct error *error)
{
    static const char *const row[] = {"row"}, *const byte[] = {"byte"};
    const uint64_t rows = table->rows, total = (uint64_t)texts->end[rows - 1];
    int code = result_put_array(
        result,
        &(struct result_array){"commands/end", ONWARD_INT64, 1, &rows, row, "byte",
                               "where each command ends in commands/bytes", texts->end},
        error);
    if (code == ONWARD_OK && texts->bytes && total > 0)
        code = result_put_array(
            result,
            &(struct result_array){"commands/bytes", ONWARD_BYTE, 1, &total, byte, "1",
                                   "the commands, one behind the other", texts->bytes},
            error);
    return code;
}

static int put_columns(struct result *result, const struct farm_table *table, struct error *error)
{
    const struct farm_columns *columns = &table->columns;
    const struct result_column list[] = {
        {"host", ONWARD_INT32, "1", "place in the list of attribute hosts, from 0", columns->host},
        {"start", ONWARD_DOUBLE, "s", "begin of the last attempt, since 1970", columns->start_s},
        {"seconds", ONWARD_DOUBLE, "s", "time it took", columns->run_s},
        {"stdout_bytes", ONWARD_INT64, "byte", "standard output", columns->out_bytes},
        {"stderr_bytes", ONWARD_INT64, "byte", "error output", columns->err_bytes},
        {"exit", ONWARD_INT32, "1", "exit status; -1: timed out, or set aside",
         columns->exit_status},
        {"signal", ONWARD_INT32, "1", "signal that ended it; 0: none", columns->signal},
        {"attempts", ONWARD_INT32, "1", "attempts, with those that took down a worker",
         columns->attempts},
        {"state", ONWARD_INT32, "1", "1 done, 2 failed, 3 set aside", columns->state}};
    return result_put_table(result, "subtasks", list, sizeof list / sizeof *list, table->rows,
                            error);
}

static int put_head(struct result *result, const struct farm_table *table, struct error *error)
{
    char *hosts = calloc(table->host_count + 1, JOURNAL_HOST_BYTES + 1);
    if (!hosts)
        return error_set(error, ONWARD_ERR_MEMORY, "result.h5: out of memory");
    size_t used = 0;
    for (uint32_t i = 0; i < table->host_count; i++)
        used += (size_t)sprintf(hosts + used, "%s%s", i ? "," : "", table->hosts[i]);
    int code = result_put_text(result, "hosts", hosts, error);
    free(hosts);
    if (code == ONWARD_OK)
        code = result_put_integer(result, "done", table->counts[FARM_DONE], error);
    if (code == ONWARD_OK)
        code = result_put_integer(result, "failed", table->counts[FARM_FAILED], error);
    if (code == ONWARD_OK)
        code = result_put_integer(result, "set_aside", table->counts[FARM_SET_ASIDE], error);
    return code;
}

int farm_write_h5(struct farm_table *table, const char *run, const char *task, struct error *error)
{
    char path[4096];
    struct texts texts = {NULL, NULL};
    struct result *result = NULL;
    int code = file_join(path, sizeof path, run, "result.h5", error);
    if (code == ONWARD_OK)
        code = read_commands(table, &texts, error);
    if (code == ONWARD_OK)
        code = result_open(task, "", &result, error);
    if (code == ONWARD_OK)
        code = put_head(result, table, error);
    if (code == ONWARD_OK)
        code = put_columns(result, table, error);
    if (code == ONWARD_OK)
        code = put_commands(result, table, &texts, error);
    if (code == ONWARD_OK)
        code = result_save(result, path, error);
    result_close(result);
    free(texts.end);
    free(texts.bytes);
    return code;
}
