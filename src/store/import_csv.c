/* import_csv.c - CSV files into a data file.
 *
 * Each file is read twice: a first pass checks every field, counts rows and finds the greatest
 * label; only then is the output made and a second pass fills it. Lines are bounded in length, so
 * memory is bounded whatever the file holds. */
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "import.h"
#include "import_internal.h"

enum { LINE_MAX_BYTES = 1 << 24, READ_BYTES = 1 << 17, SHOWN_BYTES = 24 };

struct csv_file {
    const char *path;
    gzFile file; /* reads plain files as well */
    uint64_t line;
    char *buffer; /* [begin, end) is read and not yet given out; one byte more for a NUL */
    size_t capacity, begin, end;
    bool at_end, seen_rows;
    uint64_t columns, label_column; /* known from the first row on */
    float *values;                  /* features of one row */
};

static int csv_open(struct csv_file *csv, const char *path, struct error *error)
{
    struct stat status;
    *csv = (struct csv_file){.path = path, .capacity = 2 * (size_t)READ_BYTES};
    if (stat(path, &status) != 0)
        return error_set_errno(error, errno == ENOENT ? ONWARD_ERR_NOT_FOUND : ONWARD_ERR_INPUT,
                               errno, "%s: cannot read", path);
    if (!S_ISREG(status.st_mode)) /* a pipe cannot be read twice */
        return error_set(error, ONWARD_ERR_INPUT, "%s: expected a regular file", path);
    errno = 0;
    csv->file = gzopen(path, "rb");
    if (!csv->file)
        return error_set_errno(error, ONWARD_ERR_INPUT, errno ? errno : ENOMEM, "%s: cannot read",
                               path);
    gzbuffer(csv->file, READ_BYTES);
    csv->buffer = malloc(csv->capacity + 1);
    if (csv->buffer)
        return ONWARD_OK;
    gzclose_r(csv->file);
    return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", path);
}

static void csv_close(struct csv_file *csv)
{
    gzclose_r(csv->file);
    free(csv->buffer);
    free(csv->values);
}

/* Makes room for READ_BYTES behind `end`: by moving what is left to the front, or by growing. */
static int make_room(struct csv_file *csv, struct error *error)
{
    memmove(csv->buffer, csv->buffer + csv->begin, csv->end - csv->begin);
    csv->end -= csv->begin;
    csv->begin = 0;
    if (csv->capacity - csv->end >= READ_BYTES)
        return ONWARD_OK;
    if (csv->end > LINE_MAX_BYTES)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s:%" PRIu64 ": the line is longer than %d bytes", csv->path,
                         csv->line + 1, LINE_MAX_BYTES);
    char *grown = realloc(csv->buffer, 2 * csv->capacity + 1);
    if (!grown)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", csv->path);
    csv->buffer = grown;
    csv->capacity *= 2;
    return ONWARD_OK;
}

static int read_more(struct csv_file *csv, struct error *error)
{
    int number = Z_OK;
    int code = make_room(csv, error);
    if (code != ONWARD_OK)
        return code;
    int got = gzread(csv->file, csv->buffer + csv->end, READ_BYTES);
    const char *reason = gzerror(csv->file, &number);
    if (got < 0 || (number != Z_OK && number != Z_STREAM_END))
        return error_set(error, ONWARD_ERR_INPUT, "%s: cannot read: %s", csv->path,
                         number == Z_ERRNO       ? strerror(errno)
                         : number == Z_BUF_ERROR ? "the gzip data is truncated"
                                                 : reason);
    csv->end += (size_t)got;
    csv->at_end = got == 0;
    return ONWARD_OK;
}

/* The next line without its end, NUL-terminated, in the buffer; NULL at the end of the file. */
static int next_line(struct csv_file *csv, char **line, size_t *length, struct error *error)
{
    size_t searched = 0;
    for (;;) {
        char *start = csv->buffer + csv->begin;
        size_t have = csv->end - csv->begin;
        char *newline = have > searched ? memchr(start + searched, '\n', have - searched) : NULL;
        if (newline || (csv->at_end && have > 0)) {
            *length = newline ? (size_t)(newline - start) : have;
            csv->begin += *length + (newline ? 1 : 0);
            csv->line++;
            if (*length > 0 && start[*length - 1] == '\r')
                --*length;
            start[*length] = '\0';
            *line = start;
            return ONWARD_OK;
        }
        if (csv->at_end) {
            *line = NULL;
            return ONWARD_OK;
        }
        searched = have;
        int code = read_more(csv, error);
        if (code != ONWARD_OK)
            return code;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The whole of [field, end) as a number; what strtod knows beyond decimal numbers (hexadecimal,
 * nan, inf) is none. Whole numbers, the most frequent by far, take a short way. */
static bool parse_number(const char *field, const char *end, double *value)
{
    char *stop = NULL;
    while (field < end && is_blank(*field))
        field++;
    while (end > field && is_blank(end[-1]))
        end--;
    size_t length = (size_t)(end - field);
    if (length == 0 || strspn(field, "0123456789+-.eE") < length)
        return false;
    if (length <= 9 && strspn(field, "0123456789") >= length) {
        uint32_t whole = 0;
        for (const char *c = field; c < end; c++)
            whole = 10 * whole + (uint32_t)(*c - '0');
        *value = whole;
        return true;
    }
    *value = strtod(field, &stop);
    return stop == end;
}

/* Text of a field for a message: bounded, printable. */
static const char *shown(char text[SHOWN_BYTES + 4], const char *field, const char *end)
{
    size_t length = (size_t)(end - field);
    size_t taken = length < SHOWN_BYTES ? length : SHOWN_BYTES;
    for (size_t i = 0; i < taken; i++)
        text[i] = field[i] < ' ' || field[i] == 127 ? '?' : field[i];
    snprintf(text + taken, 4, "%s", length > taken ? "..." : "");
    return text;
}

static const char *field_end(const char *field, const char *line_end)
{
    const char *comma = memchr(field, ',', (size_t)(line_end - field));
    return comma ? comma : line_end;
}

static uint64_t count_columns(const char *line, const char *line_end)
{
    uint64_t columns = 1;
    for (const char *c = line; (c = memchr(c, ',', (size_t)(line_end - c))) != NULL; c++)
        columns++;
    return columns;
}

/* A first line is a header when none of its fields is a number. */
static bool is_header(const char *line, const char *line_end)
{
    double value = 0;
    for (const char *field = line;; field++) {
        const char *end = field_end(field, line_end);
        if (parse_number(field, end, &value))
            return false;
        field = end;
        if (end == line_end)
            return true;
    }
}

/* Columns of the file, from its first row. */
static int take_columns(struct csv_file *csv, uint64_t columns, int label_column,
                        struct error *error)
{
    int64_t label = label_column < 0 ? (int64_t)columns + label_column : label_column;
    if (columns < 2 || columns - 1 > IMPORT_MAX_FEATURES)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s:%" PRIu64 ": has %" PRIu64 " columns, expected features and a label",
                         csv->path, csv->line, columns);
    if (label < 0 || label >= (int64_t)columns)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s:%" PRIu64 ": has %" PRIu64 " columns, expected one with number %d for "
                         "the label",
                         csv->path, csv->line, columns, label_column);
    csv->columns = columns;
    csv->label_column = (uint64_t)label;
    csv->values = malloc((columns - 1) * sizeof *csv->values);
    if (!csv->values)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", csv->path);
    return ONWARD_OK;
}

/* One field into its place: the label, or the next feature. */
static int take_field(struct csv_file *csv, uint64_t column, const char *field, const char *end,
                      int32_t *label, struct error *error)
{
    char text[SHOWN_BYTES + 4];
    double value = 0;
    const char *expected = NULL;
    bool is_label = column == csv->label_column;
    if (!parse_number(field, end, &value))
        expected = "a number";
    else if (is_label && (value < 0 || value > IMPORT_MAX_LABEL || value != floor(value)))
        expected = "a class from 0 to 65535";
    else if (!is_label && !(fabs(value) <= FLT_MAX))
        expected = "a number that fits float32";
    if (expected)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s:%" PRIu64 ": column %" PRIu64 ": expected %s, found \"%s\"", csv->path,
                         csv->line, column + 1, expected, shown(text, field, end));
    if (is_label)
        *label = (int32_t)value;
    else
        csv->values[column - (column > csv->label_column ? 1 : 0)] = (float)value;
    return ONWARD_OK;
}

static int take_row(struct csv_file *csv, const char *line, const char *line_end, int32_t *label,
                    struct error *error)
{
    uint64_t columns = count_columns(line, line_end);
    if (columns != csv->columns)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s:%" PRIu64 ": has %" PRIu64 " columns, expected %" PRIu64
                         " as in the rows before",
                         csv->path, csv->line, columns, csv->columns);
    for (uint64_t column = 0; column < columns; column++) {
        const char *end = field_end(line, line_end);
        int code = take_field(csv, column, line, end, label, error);
        if (code != ONWARD_OK)
            return code;
        line = end + 1;
    }
    return ONWARD_OK;
}

static char *skip_byte_order_mark(const struct csv_file *csv, char *line)
{
    return csv->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line;
}

/* The next row: its features in csv->values, its class in *label; *found is false at the end. */
static int next_row(struct csv_file *csv, int label_column, int32_t *label, bool *found,
                    struct error *error)
{
    for (;;) {
        char *line = NULL;
        size_t length = 0;
        int code = next_line(csv, &line, &length, error);
        *found = line != NULL;
        if (code != ONWARD_OK || !line)
            return code;
        const char *line_end = line + length;
        line = skip_byte_order_mark(csv, line);
        if (line + strspn(line, " \t") == line_end)
            continue;
        bool is_first = !csv->seen_rows;
        csv->seen_rows = true;
        if (is_first && is_header(line, line_end))
            continue;
        if (csv->columns == 0)
            code = take_columns(csv, count_columns(line, line_end), label_column, error);
        return code == ONWARD_OK ? take_row(csv, line, line_end, label, error) : code;
    }
}

/* First pass: every field is checked. */
static int survey(const struct import_split *split, const struct import_options *options,
                  struct import_layout *layout, struct error *error)
{
    struct csv_file csv;
    int32_t label = 0;
    bool found = true;
    int64_t reported_us = 0;
    int code = csv_open(&csv, split->features, error);
    if (code != ONWARD_OK)
        return code;
    *layout = (struct import_layout){.name = split->name, .x_type = ONWARD_FLOAT, .shape_ndims = 1};
    while (code == ONWARD_OK && found) {
        code = next_row(&csv, options->label_column, &label, &found, error);
        if (code != ONWARD_OK || !found)
            break;
        layout->rows++;
        if ((uint32_t)label > layout->max_label)
            layout->max_label = (uint32_t)label;
        import_report(options, split->name, layout->rows, 0, &reported_us);
    }
    layout->features = layout->shape[0] = csv.columns - 1;
    if (code == ONWARD_OK && layout->rows == 0)
        code = error_set(error, ONWARD_ERR_INPUT, "%s: has no rows, expected one or more",
                         split->features);
    csv_close(&csv);
    return code;
}

static int survey_all(const struct import_split *splits, uint32_t split_count,
                      const struct import_options *options, struct import_layout *layouts,
                      struct error *error)
{
    for (uint32_t i = 0; i < split_count; i++) {
        int code = survey(&splits[i], options, &layouts[i], error);
        if (code != ONWARD_OK)
            return code;
        if (layouts[i].features != layouts[0].features)
            return error_set(
                error, ONWARD_ERR_INPUT, "%s: has %" PRIu64 " features, expected %" PRIu64 " as %s",
                splits[i].features, layouts[i].features, layouts[0].features, splits[0].features);
    }
    return ONWARD_OK;
}

/* Rows gathered until there are enough for one write. */
struct piece {
    uint64_t first, count, capacity;
    float *x;
    int32_t *y;
};

static int flush(struct piece *piece, const struct import_layout *layout,
                 struct import_output *output, struct error *error)
{
    int code = import_write(output, layout, piece->first, piece->count, piece->x, piece->y, error);
    piece->first += piece->count;
    piece->count = 0;
    return code;
}

static int copy_rows(struct csv_file *csv, const struct import_layout *layout, struct piece *piece,
                     struct import_output *output, const struct import_options *options,
                     struct error *error)
{
    int64_t reported_us = 0;
    for (uint64_t row = 0;; row++) {
        bool found = false;
        int32_t label = 0;
        int code = next_row(csv, options->label_column, &label, &found, error);
        if (code == ONWARD_OK &&
            (!found != (row == layout->rows) || (found && csv->columns != layout->features + 1) ||
             (uint32_t)label > layout->max_label))
            code = error_set(error, ONWARD_ERR_INPUT, "%s: changed while it was read", csv->path);
        if (code != ONWARD_OK)
            return code;
        if (!found)
            return flush(piece, layout, output, error);
        memcpy(piece->x + piece->count * layout->features, csv->values,
               layout->features * sizeof *piece->x);
        piece->y[piece->count++] = label;
        if (piece->count == piece->capacity)
            code = flush(piece, layout, output, error);
        if (code != ONWARD_OK)
            return code;
        import_report(options, layout->name, row + 1, layout->rows, &reported_us);
    }
}

/* Second pass. */
static int copy_split(const struct import_split *split, const struct import_layout *layout,
                      struct import_output *output, const struct import_options *options,
                      struct error *error)
{
    struct csv_file csv;
    struct piece piece = {.capacity = import_piece_rows(layout)};
    int code = csv_open(&csv, split->features, error);
    if (code != ONWARD_OK)
        return code;
    piece.x = malloc(piece.capacity * layout->features * sizeof *piece.x);
    piece.y = malloc(piece.capacity * sizeof *piece.y);
    if (piece.x && piece.y)
        code = copy_rows(&csv, layout, &piece, output, options, error);
    else
        code = error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", split->features);
    free(piece.x);
    free(piece.y);
    csv_close(&csv);
    return code;
}

int import_csv(const struct import_split *splits, uint32_t split_count, const char *output,
               const struct import_options *options, struct error *error)
{
    struct import_layout layouts[IMPORT_MAX_SPLITS];
    struct import_output file;
    int code = import_check_splits(splits, split_count, false, options, error);
    if (code == ONWARD_OK)
        code = survey_all(splits, split_count, options, layouts, error);
    if (code == ONWARD_OK)
        code = import_create(&file, output, layouts, split_count,
                             options->scale != 0 ? options->scale : 1.0, error);
    if (code != ONWARD_OK)
        return code;
    for (uint32_t i = 0; i < split_count && code == ONWARD_OK; i++)
        code = copy_split(&splits[i], &layouts[i], &file, options, error);
    if (code == ONWARD_OK)
        return import_finish(&file, error);
    import_abandon(&file);
    return code;
}
