/* farm_result.c - what a farm came to, from its journal: results.tsv (the columns of a GNU parallel
 * joblog), result.h5, summary.json, and the outputs in the order of the subtasks. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "farm.h"
#include "farm_result.h"
#include "file.h"
#include "journal.h"

enum { COPY_BYTES = 1 << 20, ROWS_AT_ONCE = 1024 };

/* Who does this must not be taken for one that hangs. */
static void give_time(const struct farm_table *table, uint32_t row)
{
    if (table->ow && row % ROWS_AT_ONCE == 0)
        onward_poll(table->ow);
}

static void take_host(struct farm_table *table, const struct journal_record *record)
{
    if (record->host >= FARM_MAX_HOSTS)
        return;
    if (record->host >= table->host_count) {
        void *hosts = realloc(table->hosts, (record->host + 1) * sizeof *table->hosts);
        if (!hosts)
            return;
        table->hosts = hosts;
        memset(table->hosts[table->host_count], 0,
               (record->host + 1 - table->host_count) * sizeof *table->hosts);
        table->host_count = record->host + 1;
    }
    memcpy(table->hosts[record->host], record->name, JOURNAL_HOST_BYTES);
    table->hosts[record->host][JOURNAL_HOST_BYTES - 1] = '\0';
}

/* The first final record of a subtask counts, and until there is one the newest attempt. */
static void take(void *context, const struct journal_record *record)
{
    struct farm_table *table = context;
    if (record->kind == JOURNAL_HOST)
        take_host(table, record);
    if (record->kind < JOURNAL_DONE)
        return;
    struct farm_columns *columns = &table->columns;
    uint32_t row = record->subtask;
    if (columns->state[row] != 0)
        return;
    columns->attempts[row] += record->kind != JOURNAL_POISON;
    if (record->kind == JOURNAL_LOST) {
        columns->host[row] = (int32_t)record->host;
        return;
    }
    columns->state[row] = record->kind == JOURNAL_DONE     ? FARM_DONE
                          : record->kind == JOURNAL_FAILED ? FARM_FAILED
                          : record->kind == JOURNAL_POISON ? FARM_SET_ASIDE
                                                           : 0;
    table->counts[columns->state[row]] += columns->state[row] != 0;
    if (record->kind == JOURNAL_POISON) {
        columns->exit_status[row] = -1;
        columns->signal[row] = 9;
        return;
    }
    columns->host[row] = (int32_t)record->host;
    columns->start_s[row] = (double)record->start_us / 1e6;
    columns->run_s[row] = (double)record->run_us / 1e6;
    columns->out_bytes[row] = (int64_t)record->out_bytes;
    columns->err_bytes[row] = (int64_t)record->err_bytes;
    columns->exit_status[row] = record->timed_out ? -1 : record->exit_status;
    columns->signal[row] = record->signal;
}

static void clear(struct farm_table *table)
{
    struct farm_columns *columns = &table->columns;
    free(columns->start_s);
    free(columns->run_s);
    free(columns->out_bytes);
    free(columns->err_bytes);
    free(columns->host);
    free(columns->exit_status);
    free(columns->signal);
    free(columns->attempts);
    free(columns->state);
    free(table->hosts);
    commands_close(table->commands);
}

static bool make_columns(struct farm_table *table)
{
    size_t rows = table->rows;
    struct farm_columns *columns = &table->columns;
    columns->start_s = calloc(rows, sizeof *columns->start_s);
    columns->run_s = calloc(rows, sizeof *columns->run_s);
    columns->out_bytes = calloc(rows, sizeof *columns->out_bytes);
    columns->err_bytes = calloc(rows, sizeof *columns->err_bytes);
    columns->host = calloc(rows, sizeof *columns->host);
    columns->exit_status = calloc(rows, sizeof *columns->exit_status);
    columns->signal = calloc(rows, sizeof *columns->signal);
    columns->attempts = calloc(rows, sizeof *columns->attempts);
    columns->state = calloc(rows, sizeof *columns->state);
    return columns->start_s && columns->run_s && columns->out_bytes && columns->err_bytes &&
           columns->host && columns->exit_status && columns->signal && columns->attempts &&
           columns->state;
}

static int read_table(const char *run, struct farm_table *table, struct error *error)
{
    char path[4096];
    int code = file_join(path, sizeof path, run, "commands", error);
    if (code == ONWARD_OK)
        code = commands_open(path, true, &table->commands, error);
    if (code != ONWARD_OK)
        return code;
    table->rows = commands_count(table->commands);
    if (!make_columns(table))
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for the results of %u subtasks",
                         table->rows);
    code = file_join(path, sizeof path, run, "journal", error);
    return code == ONWARD_OK ? journal_read(path, table->rows, take, table, NULL, error) : code;
}

/* Tab, newline and backslash as \t, \n and \\; other bytes as they are. */
static void put_escaped(FILE *file, const char *text)
{
    for (; *text; text++)
        if (*text == '\t' || *text == '\n' || *text == '\\') {
            putc('\\', file);
            putc(*text == '\t' ? 't' : *text == '\n' ? 'n' : '\\', file);
        } else {
            putc(*text, file);
        }
    putc('\n', file);
}

static const char *host_of(const struct farm_table *table, uint32_t row)
{
    uint32_t host = (uint32_t)table->columns.host[row];
    return host < table->host_count ? table->hosts[host] : "";
}

static int put_rows(struct farm_table *table, FILE *file, struct error *error)
{
    const struct farm_columns *columns = &table->columns;
    char *text = malloc(COMMANDS_MAX_BYTES + 1);
    int code = text ? ONWARD_OK : error_set(error, ONWARD_ERR_MEMORY, "results: out of memory");
    fputs("Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n", file);
    for (uint32_t row = 0; row < table->rows && code == ONWARD_OK; row++) {
        uint64_t offset;
        uint32_t length;
        give_time(table, row);
        code = commands_find(table->commands, row, &offset, &length, error);
        if (code == ONWARD_OK)
            code = commands_read(table->commands, offset, length, text, error);
        if (code != ONWARD_OK)
            break;
        fprintf(file, "%u\t%s\t%.3f\t%10.3f\t0\t%lld\t%d\t%d\t", row + 1, host_of(table, row),
                columns->start_s[row], columns->run_s[row], (long long)columns->out_bytes[row],
                columns->exit_status[row], columns->signal[row]);
        put_escaped(file, text);
    }
    free(text);
    return code;
}

static int write_tsv(struct farm_table *table, const char *run, struct error *error)
{
    char path[4096], temporary[4200];
    int fd;
    int code = file_join(path, sizeof path, run, "results.tsv", error);
    if (code == ONWARD_OK)
        code = file_temporary(path, temporary, sizeof temporary, &fd, error);
    if (code != ONWARD_OK)
        return code;
    FILE *file = fdopen(dup(fd), "w");
    code = file ? put_rows(table, file, error)
                : error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    if (file && (ferror(file) || fclose(file) != 0) && code == ONWARD_OK)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    if (code == ONWARD_OK)
        return file_publish(fd, temporary, path, error);
    close(fd);
    unlink(temporary);
    return code;
}

static int write_summary(const struct farm_table *table, const char *run, struct error *error)
{
    char path[4096];
    int code = file_join(path, sizeof path, run, "summary.json", error);
    json_t *summary = json_pack("{s:I, s:I, s:I, s:I}", "subtasks", (json_int_t)table->rows, "done",
                                (json_int_t)table->counts[FARM_DONE], "failed",
                                (json_int_t)table->counts[FARM_FAILED], "set_aside",
                                (json_int_t)table->counts[FARM_SET_ASIDE]);
    char *text = summary ? json_dumps(summary, JSON_COMPACT) : NULL;
    if (code == ONWARD_OK)
        code = text ? file_replace(path, text, strlen(text), error)
                    : error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    free(text);
    json_decref(summary);
    return code;
}

/* ---- outputs in order -------------------------------------------------------------------------
 */

static int append(const struct farm_table *table, int to, uint64_t *at, const char *from,
                  const char *path, struct error *error)
{
    static char bytes[COPY_BYTES];
    ssize_t got;
    int code = ONWARD_OK;
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0) /* what the journal says was written is not there: the host's disk may be gone */
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", from);
    while (code == ONWARD_OK && (got = read(fd, bytes, sizeof bytes)) > 0) {
        give_time(table, 0);
        code = file_write_at(to, bytes, (size_t)got, *at, path, error);
        *at += (uint64_t)got;
    }
    close(fd);
    return code;
}

static int join_pieces(const struct farm_table *table, const char *run, const char *kind, int fd,
                       const char *path, struct error *error)
{
    const int64_t *sizes =
        strcmp(kind, "out") == 0 ? table->columns.out_bytes : table->columns.err_bytes;
    uint64_t at = 0;
    int code = ONWARD_OK;
    for (uint32_t row = 0; row < table->rows && code == ONWARD_OK; row++) {
        char piece[4200];
        give_time(table, row);
        if (sizes[row] == 0)
            continue;
        commands_output_path(run, row + 1, kind, piece, sizeof piece);
        code = append(table, fd, &at, piece, path, error);
    }
    return code;
}

static void remove_pieces(const struct farm_table *table, const char *run, const char *kind)
{
    for (uint32_t row = 0; row < table->rows; row++) {
        char piece[4200];
        commands_output_path(run, row + 1, kind, piece, sizeof piece);
        if (table->columns.out_bytes[row] || table->columns.err_bytes[row])
            unlink(piece);
    }
}

/* The pieces go when the whole is in its place. */
static int join_output(const struct farm_table *table, const char *run, const char *kind,
                       const char *name, struct error *error)
{
    char path[4096], temporary[4200];
    int fd;
    int code = file_join(path, sizeof path, run, name, error);
    if (code == ONWARD_OK && access(path, F_OK) != 0) {
        code = file_temporary(path, temporary, sizeof temporary, &fd, error);
        if (code != ONWARD_OK)
            return code;
        code = join_pieces(table, run, kind, fd, path, error);
        if (code == ONWARD_OK) {
            code = file_publish(fd, temporary, path, error);
        } else {
            close(fd);
            unlink(temporary);
        }
    }
    if (code == ONWARD_OK)
        remove_pieces(table, run, kind);
    return code;
}

int farm_write_results(struct onward *ow, const char *run, const char *task,
                       const struct farm_settings *settings, struct error *error)
{
    struct farm_table table = {.ow = ow};
    int code = read_table(run, &table, error);
    if (code == ONWARD_OK)
        code = write_tsv(&table, run, error);
    if (code == ONWARD_OK)
        code = farm_write_h5(&table, run, task, error);
    if (code == ONWARD_OK && settings->keep_order)
        code = join_output(&table, run, "out", "stdout", error);
    if (code == ONWARD_OK && settings->keep_order)
        code = join_output(&table, run, "err", "stderr", error);
    if (code == ONWARD_OK)
        code = write_summary(&table, run, error);
    clear(&table);
    return code;
}
