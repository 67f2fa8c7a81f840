/* config_yaml.c - the schema, and libcyaml's log turned into one line.
 *
 * libcyaml reports a failure as log lines, "Load: Unexpected key: x" and then a backtrace from the
 * innermost mapping outwards, "in mapping field 'train' (line: 3, column: 9)". The log function
 * keeps the first message and builds the path from the backtrace. The line of a key is looked up
 * in the text, since libcyaml's is that of the value read last. Conversion of values is left to
 * train_config.c: libcyaml takes "1.5" for an integer and any word for a boolean. */
#include "config_yaml.h"

#include <ctype.h>
#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 192, MESSAGE_BYTES = 192 };

#define TEXT_FIELD(key, member)                                                                    \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, __typeof__(PARENT),      \
                           member, 0, CYAML_UNLIMITED)

static const cyaml_schema_value_t text_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED)};

#define PARENT (((struct config_yaml *)0)->data)
static const cyaml_schema_field_t data_fields[] = {TEXT_FIELD("file", file),
                                                   TEXT_FIELD("train", train),
                                                   TEXT_FIELD("test", test), CYAML_FIELD_END};
#undef PARENT

#define PARENT (((struct config_yaml *)0)->model)
static const cyaml_schema_field_t model_fields[] = {
    CYAML_FIELD_SEQUENCE("hidden", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, __typeof__(PARENT),
                         hidden, &text_value, 0, CYAML_UNLIMITED),
    TEXT_FIELD("seed", seed),
    TEXT_FIELD("features", features),
    TEXT_FIELD("width", width),
    TEXT_FIELD("sigma", sigma),
    TEXT_FIELD("target", target),
    CYAML_FIELD_END};
#undef PARENT

#define PARENT (((struct config_yaml *)0)->train.optimizer)
static const cyaml_schema_field_t optimizer_fields[] = {TEXT_FIELD("name", name),
                                                        TEXT_FIELD("learning_rate", learning_rate),
                                                        TEXT_FIELD("momentum", momentum),
                                                        TEXT_FIELD("beta1", beta1),
                                                        TEXT_FIELD("beta2", beta2),
                                                        TEXT_FIELD("epsilon", epsilon),
                                                        TEXT_FIELD("weight_decay", weight_decay),
                                                        TEXT_FIELD("schedule", schedule),
                                                        TEXT_FIELD("warmup_steps", warmup_steps),
                                                        TEXT_FIELD("decay_steps", decay_steps),
                                                        TEXT_FIELD("decay_factor", decay_factor),
                                                        CYAML_FIELD_END};
#undef PARENT

#define PARENT (((struct config_yaml *)0)->train)
static const cyaml_schema_field_t train_fields[] = {
    TEXT_FIELD("batch", batch),
    TEXT_FIELD("epochs", epochs),
    TEXT_FIELD("steps", steps),
    TEXT_FIELD("subtasks", subtasks),
    TEXT_FIELD("evaluate_every", evaluate_every),
    TEXT_FIELD("keep_best", keep_best),
    CYAML_FIELD_SEQUENCE("lambda", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, __typeof__(PARENT),
                         lambda, &text_value, 0, CYAML_UNLIMITED),
    TEXT_FIELD("held_out", held_out),
    CYAML_FIELD_MAPPING("optimizer", CYAML_FLAG_OPTIONAL, __typeof__(PARENT), optimizer,
                        optimizer_fields),
    CYAML_FIELD_END};
#undef PARENT

#define PARENT (*(struct config_yaml *)0)
static const cyaml_schema_field_t top_fields[] = {
    TEXT_FIELD("trainer", trainer),
    CYAML_FIELD_MAPPING("data", CYAML_FLAG_OPTIONAL, struct config_yaml, data, data_fields),
    CYAML_FIELD_MAPPING("model", CYAML_FLAG_OPTIONAL, struct config_yaml, model, model_fields),
    CYAML_FIELD_MAPPING("train", CYAML_FLAG_OPTIONAL, struct config_yaml, train, train_fields),
    CYAML_FIELD_END};
#undef PARENT

static const cyaml_schema_value_t top_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_yaml, top_fields)};

/* What the log said. */
struct report {
    char message[MESSAGE_BYTES]; /* the first complaint, without "Load: " */
    char path[PATH_BYTES];       /* from the backtrace, "train.optimizer" */
};

static void prepend(char path[PATH_BYTES], const char *name, size_t size)
{
    size_t used = strlen(path), gap = used > 0;
    if (size + gap + used >= PATH_BYTES)
        return;
    memmove(path + size + gap, path, used + 1);
    memcpy(path, name, size);
    if (gap)
        path[size] = '.';
}

/* libcyaml's log function: one call is one line. */
static void __attribute__((format(printf, 3, 0)))
listen(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    static const char in_field[] = "in mapping field '";
    struct report *report = context;
    char line[MESSAGE_BYTES];
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = '\0';
    const char *field = strstr(line, in_field);
    if (level < CYAML_LOG_WARNING)
        return;
    if (!report->message[0])
        memcpy(report->message, line, sizeof line);
    else if (field) {
        const char *name = field + sizeof in_field - 1;
        prepend(report->path, name, strcspn(name, "'"));
    }
}

/* Skips blanks, quotes, and the openings of a mapping on one line. */
static const char *skip_opening(const char *at, const char *end)
{
    while (at < end && strchr(" \t'\"{,", *at))
        at++;
    return at;
}

/* Does a key stand at `at`? */
static bool is_key(const char *at, const char *end, const char *key, size_t size)
{
    if ((size_t)(end - at) <= size || memcmp(at, key, size) != 0)
        return false;
    at = skip_opening(at + size, end);
    return at < end && *at == ':';
}

static const char *next_after(const char *at, const char *end, const char *any)
{
    while (at < end && !strchr(any, *at))
        at++;
    return at < end ? at + 1 : end;
}

/* Where the key stands, behind `at`, at the start of a line or of an entry of a mapping. */
static const char *find_key(const char *at, const char *end, const char *key, size_t size)
{
    while (at < end) {
        const char *start = skip_opening(at, end);
        if (is_key(start, end, key, size))
            return start;
        at = start < end && *start == '#' ? next_after(start, end, "\n")
                                          : next_after(start, end, "\n{,");
    }
    return NULL;
}

unsigned config_yaml_line(const char *text, size_t size, const char *path)
{
    const char *at = text, *end = text + size;
    while (at && *path) {
        size_t length = strcspn(path, ".");
        at = find_key(at, end, path, length);
        path += length;
        if (*path == '.') {
            path++;
            at = at ? next_after(at, end, ":") : NULL;
        }
    }
    if (!at)
        return 0;
    unsigned line = 1;
    for (const char *c = text; c < at; c++)
        line += *c == '\n';
    return line;
}

/* The keys of the mapping that `path` names, or NULL. */
static const cyaml_schema_field_t *fields_of(const char *path)
{
    const cyaml_schema_field_t *fields = top_fields;
    while (*path) {
        size_t length = strcspn(path, ".");
        const cyaml_schema_field_t *field = fields;
        while (field->key && (strlen(field->key) != length || strncmp(field->key, path, length)))
            field++;
        if (!field->key || field->value.type != CYAML_MAPPING)
            return NULL;
        fields = field->value.mapping.fields;
        path += length + (path[length] == '.');
    }
    return fields;
}

static void list_keys(const char *path, char *list, size_t list_bytes)
{
    size_t used = 0;
    list[0] = '\0';
    for (const cyaml_schema_field_t *field = fields_of(path); field && field->key; field++) {
        int wrote = snprintf(list + used, list_bytes - used, "%s%s", used ? ", " : "", field->key);
        if (wrote < 0 || (size_t)wrote >= list_bytes - used)
            return;
        used += (size_t)wrote;
    }
}

static int unknown_key(const char *text, size_t size, const char *name, const struct report *report,
                       struct error *error)
{
    char path[2 * PATH_BYTES], expected[256];
    const char *colon = strstr(report->message, "key: ");
    snprintf(path, sizeof path, "%s%s%s", report->path, report->path[0] ? "." : "",
             colon ? colon + strlen("key: ") : "?");
    list_keys(report->path, expected, sizeof expected);
    return error_set(error, ONWARD_ERR_INPUT, "%s:%u: %s: unknown key, expected one of %s", name,
                     config_yaml_line(text, size, path), path, expected);
}

/* What libcyaml calls the shapes of a value, in plain words. */
static const char *shape_of(const char *word)
{
    static const struct {
        const char *word, *plain;
    } shapes[] = {{"STRING", "a single value"}, {"SCALAR", "a single value"},
                  {"SEQUENCE", "a list"},       {"MAPPING", "a mapping of keys to values"},
                  {"ALIAS", "an alias"},        {"DOC", "nothing"}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strncmp(word, shapes[i].word, strlen(shapes[i].word)) == 0)
            return shapes[i].plain;
    return "something else";
}

static int complain(const char *text, size_t size, const char *name, cyaml_err_t code,
                    const struct report *report, struct error *error)
{
    static const char expecting[] = "Load: Expecting ", got[] = "got event: ";
    const char *event = strstr(report->message, got);
    const char *path = report->path[0] ? report->path : "the file";
    const char *message = report->message;
    if (code == CYAML_ERR_INVALID_KEY)
        return unknown_key(text, size, name, report, error);
    if (strncmp(message, expecting, sizeof expecting - 1) == 0 && event)
        return error_set(error, ONWARD_ERR_INPUT, "%s:%u: %s: expected %s, found %s", name,
                         config_yaml_line(text, size, report->path), path,
                         shape_of(message + sizeof expecting - 1),
                         shape_of(event + sizeof got - 1));
    if (strstr(message, "already seen"))
        return error_set(error, ONWARD_ERR_INPUT, "%s:%u: %s: given twice, expected once", name,
                         config_yaml_line(text, size, report->path), path);
    if (strncmp(message, "Load: ", strlen("Load: ")) == 0)
        message += strlen("Load: ");
    return error_set(error, ONWARD_ERR_INPUT, "%s: %s: %s", name, path,
                     message[0] ? message : cyaml_strerror(code));
}

int config_yaml_parse(const char *text, size_t size, const char *name, struct config_yaml **yaml,
                      struct error *error)
{
    struct report report = {.message = ""};
    cyaml_config_t settings = {.log_fn = listen,
                               .log_ctx = &report,
                               .log_level = CYAML_LOG_WARNING,
                               .mem_fn = cyaml_mem,
                               .flags = CYAML_CFG_NO_ALIAS};
    *yaml = NULL;
    cyaml_err_t code = cyaml_load_data((const uint8_t *)text, size, &settings, &top_value,
                                       (cyaml_data_t **)yaml, NULL);
    if (code != CYAML_OK) {
        *yaml = NULL;
        return complain(text, size, name, code, &report, error);
    }
    if (!*yaml)
        return error_set(error, ONWARD_ERR_INPUT, "%s: is empty, expected a mapping with data",
                         name);
    if (report.message[0]) { /* the one warning there is: more than one document */
        config_yaml_free(*yaml);
        *yaml = NULL;
        return error_set(error, ONWARD_ERR_INPUT, "%s: more than one document, expected one", name);
    }
    return ONWARD_OK;
}

void config_yaml_free(struct config_yaml *yaml)
{
    cyaml_config_t settings = {.mem_fn = cyaml_mem};
    cyaml_free(&settings, &top_value, yaml, 0);
}
