/* farm_input.c - reads lines, rows and values, and makes a command of each; see farm_input.h.
 *
 * Rows of a table are as RFC 4180 has them: a value in double quotes may hold the separator,
 * newlines and, doubled, quotes. Empty lines are passed over. */
#include "farm_input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "farm_template.h"

enum { MAX_COLUMNS = 4096, MAX_GROUPS = 64, WHERE_BYTES = 300, NAME_BYTES = 256 };

static const size_t max_row_bytes = 16 << 20;

/* A file that is read row by row. */
struct reader {
    FILE *file;
    const char *name;
    uint64_t line; /* of the row's begin */
    uint64_t lines;
    struct farm_text row; /* the values, each with a NUL behind */
    const char *columns[MAX_COLUMNS];
    size_t begins[MAX_COLUMNS];
    uint32_t count;
};

static int fail_at(const struct reader *reader, const char *text, struct error *error)
{
    return error_set(error, ONWARD_ERR_INPUT, "%s: line %llu: %s", reader->name,
                     (unsigned long long)reader->line, text);
}

static int next_byte(struct reader *reader)
{
    int c = getc(reader->file);
    reader->lines += c == '\n';
    return c;
}

static int add_byte(struct reader *reader, int c, struct error *error)
{
    char byte = (char)c;
    if (reader->row.length >= max_row_bytes)
        return fail_at(reader, "expected at most 16 MiB in a row", error);
    return farm_text_add(&reader->row, &byte, 1, error);
}

static int end_column(struct reader *reader, size_t begin, struct error *error)
{
    if (reader->count == MAX_COLUMNS)
        return fail_at(reader, "expected at most 4096 columns", error);
    reader->begins[reader->count++] = begin;
    return farm_text_add(&reader->row, "", 1, error);
}

/* Up to the closing quote, behind the opening one; doubled quotes are one. *after: what follows. */
static int read_quoted(struct reader *reader, int *after, struct error *error)
{
    for (;;) {
        int c = next_byte(reader);
        if (c == EOF)
            return fail_at(reader, "a value in quotes has no end", error);
        if (c == '"' && (c = next_byte(reader)) != '"') {
            *after = c;
            return ONWARD_OK;
        }
        if (c == '\0')
            return fail_at(reader, "a NUL byte, which no command can hold", error);
        int code = add_byte(reader, c, error);
        if (code != ONWARD_OK)
            return code;
    }
}

/* One value; *end is what it ended with: the separator, a newline, or EOF. */
static int read_value(struct reader *reader, char separator, int *end, struct error *error)
{
    size_t begin = reader->row.length;
    int code = ONWARD_OK, c = next_byte(reader);
    if (separator && c == '"')
        code = read_quoted(reader, &c, error);
    while (code == ONWARD_OK && c != '\n' && c != EOF && !(separator && c == separator)) {
        if (c == '\0')
            code = fail_at(reader, "a NUL byte, which no command can hold", error);
        else
            code = add_byte(reader, c, error);
        c = code == ONWARD_OK ? next_byte(reader) : EOF;
    }
    if (code == ONWARD_OK && separator && c != separator && reader->row.length > begin &&
        reader->row.bytes[reader->row.length - 1] == '\r')
        reader->row.length--;
    *end = c;
    return code == ONWARD_OK ? end_column(reader, begin, error) : code;
}

/* The next row that is not empty; *found is false at the end. */
static int read_row(struct reader *reader, char separator, bool *found, struct error *error)
{
    *found = false;
    for (int end = 0; end != EOF && !*found;) {
        reader->row.length = reader->count = 0;
        reader->line = reader->lines + 1;
        do {
            int code = read_value(reader, separator, &end, error);
            if (code != ONWARD_OK)
                return code;
        } while (end != '\n' && end != EOF);
        *found = reader->row.length > 1;
    }
    if (ferror(reader->file))
        return error_set_errno(error, ONWARD_ERR_INPUT, errno, "%s", reader->name);
    for (uint32_t i = 0; i < reader->count; i++)
        reader->columns[i] = reader->row.bytes + reader->begins[i];
    return ONWARD_OK;
}

static int add_command(struct commands_writer *writer, const char *command, size_t length,
                       const char *where, struct error *error)
{
    struct error inner = {0};
    int code = commands_add(writer, command, length, &inner);
    if (code == ONWARD_OK)
        return code;
    return error_set(error, code, "%s: %s", where, inner.text);
}

/* The row becomes a command, by the template or as it is. */
static int add_row(const struct farm_template *made, const char *const *values, uint32_t count,
                   const char *where, struct farm_text *command, struct commands_writer *writer,
                   struct error *error)
{
    command->length = 0;
    if (!made)
        return add_command(writer, values[0], strlen(values[0]), where, error);
    int code = farm_template_expand(made, values, count, commands_added(writer) + 1ull, where,
                                    command, error);
    return code == ONWARD_OK ? add_command(writer, command->bytes, command->length, where, error)
                             : code;
}

static int make_template(const struct farm_input *input, struct reader *reader,
                         struct farm_template **made, struct error *error)
{
    bool found = false;
    int code = ONWARD_OK;
    *made = NULL;
    if (input->header && input->separator)
        code = read_row(reader, input->separator, &found, error);
    if (code == ONWARD_OK && input->template)
        code = farm_template_create(input->template, reader->columns, found ? reader->count : 0,
                                    made, error);
    return code;
}

static int read_rows(const struct farm_input *input, struct reader *reader,
                     struct commands_writer *writer, struct error *error)
{
    struct farm_template *made;
    struct farm_text command = {NULL, 0, 0};
    char where[WHERE_BYTES + 32];
    bool found = true;
    int code = make_template(input, reader, &made, error);
    while (code == ONWARD_OK) {
        code = read_row(reader, input->separator, &found, error);
        if (code != ONWARD_OK || !found)
            break;
        snprintf(where, sizeof where, "%.*s: line %llu", NAME_BYTES, reader->name,
                 (unsigned long long)reader->line);
        code = add_row(made, reader->columns, reader->count, where, &command, writer, error);
    }
    farm_template_destroy(made);
    farm_text_clear(&command);
    return code;
}

static int read_file(const struct farm_input *input, struct commands_writer *writer,
                     struct error *error)
{
    bool is_standard = !strcmp(input->file, "-");
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", input->file);
    reader->name = is_standard ? "standard input" : input->file;
    reader->file = is_standard ? stdin : fopen(input->file, "re");
    int code = reader->file ? read_rows(input, reader, writer, error)
                            : error_set_errno(error, ONWARD_ERR_INPUT, errno,
                                              "%s: expected a file that can be read", input->file);
    if (code == ONWARD_OK && commands_added(writer) == 0)
        code = error_set(error, ONWARD_ERR_INPUT, "%s: no commands, expected at least one",
                         reader->name);
    if (reader->file && !is_standard)
        fclose(reader->file);
    farm_text_clear(&reader->row);
    free(reader);
    return code;
}

/* The values of one place in all rows. */
struct group {
    char *const *values;
    uint32_t count, at;
};

static uint32_t split_groups(const struct farm_input *input, struct group *groups)
{
    uint32_t count = 1;
    groups[0] = (struct group){input->values, 0, 0};
    for (uint32_t i = 0; i < input->value_count; i++) {
        if (strcmp(input->values[i], ":::") != 0)
            groups[count - 1].count++;
        else if (count < MAX_GROUPS)
            groups[count++] = (struct group){input->values + i + 1, 0, 0};
        else
            return 0;
    }
    return count;
}

/* The last group moves fastest. False behind the last combination. */
static bool next_combination(struct group *groups, uint32_t count)
{
    while (count-- > 0) {
        if (++groups[count].at < groups[count].count)
            return true;
        groups[count].at = 0;
    }
    return false;
}

static int read_values(const struct farm_input *input, struct commands_writer *writer,
                       struct error *error)
{
    struct group groups[MAX_GROUPS];
    const char *row[MAX_GROUPS];
    struct farm_template *made = NULL;
    struct farm_text command = {NULL, 0, 0};
    uint32_t count = split_groups(input, groups);
    if (count == 0)
        return error_set(error, ONWARD_ERR_INPUT, "::: expected at most %d groups of values",
                         MAX_GROUPS);
    for (uint32_t i = 0; i < count; i++)
        if (groups[i].count == 0)
            return error_set(error, ONWARD_ERR_INPUT, "::: expected values behind it");
    int code = farm_template_create(input->template, NULL, 0, &made, error);
    do {
        for (uint32_t i = 0; i < count; i++)
            row[i] = groups[i].values[groups[i].at];
        if (code == ONWARD_OK)
            code = add_row(made, row, count, "values of `:::'", &command, writer, error);
    } while (code == ONWARD_OK && next_combination(groups, count));
    farm_template_destroy(made);
    farm_text_clear(&command);
    return code;
}

int farm_input_read(const struct farm_input *input, struct commands_writer *writer,
                    struct error *error)
{
    return input->file ? read_file(input, writer, error) : read_values(input, writer, error);
}
