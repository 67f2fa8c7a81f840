/* hosts.c - lists of hosts: a name with ranges is expanded from left to right, one bracket after
 * the other. Every number, name and list has a bound, so a slip of the pen (n[1-99999999]) is an
 * error and not a full memory. */
#include "hosts.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

enum { MAX_DIGITS = 9, SHOWN_BYTES = 80, FILE_BYTES = 1 << 20, WHERE_BYTES = 512 };

struct parse {
    const char *where; /* --hosts, or FILE:LINE */
    struct hosts hosts;
    struct error *error;
};

/* Some text that stands in what is being read. */
struct span {
    const char *text;
    size_t size;
};

static int refuse(const struct parse *parse, struct span found, const char *expected)
{
    char shown[SHOWN_BYTES];
    size_t size = found.size < sizeof shown - 1 ? found.size : sizeof shown - 1;
    for (size_t i = 0; i < size; i++)
        shown[i] = isprint((unsigned char)found.text[i]) ? found.text[i] : '?';
    shown[size] = '\0';
    return error_set(parse->error, ONWARD_ERR_INPUT, "%s: \"%s\": expected %s", parse->where, shown,
                     expected);
}

static int add_host(struct parse *parse, const char *name, size_t size, uint32_t slots)
{
    struct hosts *hosts = &parse->hosts;
    struct span found = {name, size};
    if (size == 0 || !isalnum((unsigned char)name[0]))
        return refuse(parse, found, "the name of a host, which starts with a letter or digit");
    for (uint32_t i = 0; i < hosts->count; i++)
        if (!strncmp(hosts->list[i].name, name, size) && hosts->list[i].name[size] == '\0')
            return refuse(parse, found, "each host once");
    if (hosts->count == HOSTS_MAX)
        return refuse(parse, found, "at most 4096 hosts");
    struct host *host = &hosts->list[hosts->count++];
    memcpy(host->name, name, size);
    host->name[size] = '\0';
    host->slots = slots;
    return ONWARD_OK;
}

/* Digits at the start of span, which move its start; how many, or 0 where they are no number. */
static size_t take_number(struct span *span, uint32_t *number)
{
    size_t digits = 0;
    *number = 0;
    while (digits < span->size && digits <= MAX_DIGITS &&
           isdigit((unsigned char)span->text[digits]))
        *number = *number * 10 + (uint32_t)(span->text[digits++] - '0');
    span->text += digits;
    span->size -= digits;
    return digits <= MAX_DIGITS ? digits : 0;
}

struct range {
    uint32_t low, high;
    int width; /* zeros in front make it up to so many digits */
};

/* A or A-B, up to a comma or the end; moves the start of span behind it. */
static int take_range(const struct parse *parse, struct span *span, struct range *range)
{
    struct span item = *span;
    const char *comma = memchr(span->text, ',', span->size);
    item.size = comma ? (size_t)(comma - span->text) : span->size;
    struct span whole = item;
    size_t digits = take_number(&item, &range->low);
    range->high = range->low;
    range->width = (int)digits;
    if (digits > 0 && item.size > 0 && item.text[0] == '-') {
        item.text++;
        item.size--;
        digits = take_number(&item, &range->high);
    }
    if (digits == 0 || item.size > 0)
        return refuse(parse, whole, "a number or a range in brackets, such as n[0-3,7]");
    if (range->low > range->high)
        return refuse(parse, whole, "a range with the smaller number first");
    if (range->high - range->low >= HOSTS_MAX)
        return refuse(parse, whole, "a range of at most 4096 hosts");
    size_t used = whole.size + (comma ? 1 : 0);
    span->text += used;
    span->size -= used;
    return comma && span->size == 0 ? refuse(parse, whole, "a number after the comma") : ONWARD_OK;
}

struct name {
    char text[HOSTS_NAME_BYTES];
    size_t size;
};

static int expand(struct parse *parse, struct span pattern, struct name *name, uint32_t slots);

/* Every number of one bracket, each with what stands behind the bracket. */
static int expand_bracket(struct parse *parse, struct span inside, struct span rest,
                          struct name *name, uint32_t slots)
{
    size_t before = name->size;
    do {
        struct range range;
        int code = take_range(parse, &inside, &range);
        for (uint32_t i = range.low; code == ONWARD_OK && i <= range.high; i++) {
            size_t room = sizeof name->text - before;
            int size = snprintf(name->text + before, room, "%0*u", range.width, i);
            if (size < 0 || (size_t)size >= room)
                return refuse(parse, rest, "a name of at most 255 characters");
            name->size = before + (size_t)size;
            code = expand(parse, rest, name, slots);
        }
        if (code != ONWARD_OK)
            return code;
    } while (inside.size > 0);
    name->size = before;
    return ONWARD_OK;
}

static bool is_of_name(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

/* Puts `pattern` behind `name`, in every way that its ranges allow. Each bracket makes the name
 * longer, so its bound is that of the recursion too. */
static int expand(struct parse *parse, struct span pattern, struct name *name, uint32_t slots)
{
    size_t before = name->size, plain = 0;
    while (plain < pattern.size && is_of_name(pattern.text[plain]))
        plain++;
    if (before + plain >= sizeof name->text)
        return refuse(parse, pattern, "a name of at most 255 characters");
    memcpy(name->text + before, pattern.text, plain);
    name->size = before + plain;
    struct span rest = {pattern.text + plain, pattern.size - plain};
    if (rest.size == 0)
        return add_host(parse, name->text, name->size, slots);
    const char *end = memchr(rest.text, ']', rest.size);
    if (rest.text[0] != '[')
        return refuse(parse, pattern, "letters, digits, dot, underscore, hyphen, ranges");
    if (!end)
        return refuse(parse, rest, "a ] that closes the [");
    struct span inside = {rest.text + 1, (size_t)(end - rest.text) - 1};
    rest.size -= inside.size + 2;
    rest.text = end + 1;
    return expand_bracket(parse, inside, rest, name, slots);
}

static int read_slots(const struct parse *parse, struct span text, uint32_t *slots)
{
    struct span rest = text;
    if (take_number(&rest, slots) == 0 || rest.size > 0 || *slots < 1 || *slots > HOSTS_MAX_SLOTS)
        return refuse(parse, text, "a number of slots from 1 to 4096");
    return ONWARD_OK;
}

/* NAME or NAME:SLOTS; slots: what was said of them elsewhere, else 0. */
static int take_entry(struct parse *parse, struct span entry, uint32_t slots)
{
    struct name name = {.size = 0};
    const char *colon = memchr(entry.text, ':', entry.size);
    if (colon && slots)
        return refuse(parse, entry, "slots either behind a colon or as slots=N");
    if (colon) {
        size_t before = (size_t)(colon - entry.text);
        int code = read_slots(parse, (struct span){colon + 1, entry.size - before - 1}, &slots);
        if (code != ONWARD_OK)
            return code;
        entry.size = before;
    }
    return expand(parse, entry, &name, slots);
}

static int begin(struct parse *parse)
{
    parse->hosts.list = malloc(HOSTS_MAX * sizeof *parse->hosts.list);
    if (!parse->hosts.list)
        return error_set(parse->error, ONWARD_ERR_MEMORY, "%s: out of memory", parse->where);
    return ONWARD_OK;
}

static int finish(struct parse *parse, int code, struct hosts *hosts)
{
    if (code == ONWARD_OK && parse->hosts.count == 0)
        code = error_set(parse->error, ONWARD_ERR_INPUT, "%s: found no host: expected at least one",
                         parse->where);
    if (code != ONWARD_OK) {
        hosts_clear(&parse->hosts);
        return code;
    }
    struct host *fitting =
        realloc(parse->hosts.list, parse->hosts.count * sizeof *parse->hosts.list);
    hosts_clear(hosts);
    *hosts = parse->hosts;
    if (fitting)
        hosts->list = fitting;
    return ONWARD_OK;
}

/* How long the first entry of text is: up to a comma that stands in no bracket. */
static size_t entry_size(const char *text)
{
    size_t size = 0;
    bool inside = false;
    for (; text[size] && (inside || text[size] != ','); size++)
        inside = text[size] == '[' || (inside && text[size] != ']');
    return size;
}

int hosts_parse_list(const char *text, const char *where, struct hosts *hosts, struct error *error)
{
    struct parse parse = {.where = where, .error = error};
    int code = begin(&parse);
    while (code == ONWARD_OK && *text) {
        size_t size = entry_size(text);
        code = take_entry(&parse, (struct span){text, size}, 0);
        text += size;
        if (code == ONWARD_OK && *text == ',' && *++text == '\0')
            code = refuse(&parse, (struct span){",", 1}, "a host after the last comma");
    }
    return finish(&parse, code, hosts);
}

static struct span take_word(struct span *line)
{
    static const char blanks[] = " \t\r";
    while (line->size > 0 && memchr(blanks, line->text[0], 3)) {
        line->text++;
        line->size--;
    }
    struct span word = {line->text, 0};
    while (word.size < line->size && !memchr(blanks, line->text[word.size], 3))
        word.size++;
    line->text += word.size;
    line->size -= word.size;
    return word;
}

static int take_line(struct parse *parse, struct span line)
{
    static const char key[] = "slots=";
    uint32_t slots = 0;
    const char *comment = memchr(line.text, '#', line.size);
    if (comment)
        line.size = (size_t)(comment - line.text);
    struct span entry = take_word(&line), word = take_word(&line), end = take_word(&line);
    if (entry.size == 0)
        return ONWARD_OK;
    if (end.size > 0)
        return refuse(parse, end, "a host and its slots, and nothing behind");
    if (word.size > 0) {
        size_t key_size = sizeof key - 1;
        if (word.size < key_size || memcmp(word.text, key, key_size) != 0)
            return refuse(parse, word, "slots=N");
        word.text += key_size;
        word.size -= key_size;
        int code = read_slots(parse, word, &slots);
        if (code != ONWARD_OK)
            return code;
    }
    return take_entry(parse, entry, slots);
}

int hosts_parse_file(const char *text, size_t size, const char *path, struct hosts *hosts,
                     struct error *error)
{
    char where[WHERE_BYTES];
    struct parse parse = {.where = where, .error = error};
    snprintf(where, sizeof where, "%s", path);
    int code = begin(&parse);
    for (unsigned number = 1; code == ONWARD_OK && size > 0; number++) {
        const char *newline = memchr(text, '\n', size);
        size_t line_size = newline ? (size_t)(newline - text) : size;
        snprintf(where, sizeof where, "%.480s:%u", path, number);
        code = take_line(&parse, (struct span){text, line_size});
        size_t used = line_size + (newline ? 1 : 0);
        text += used;
        size -= used;
    }
    if (code == ONWARD_OK)
        snprintf(where, sizeof where, "%.480s", path);
    return finish(&parse, code, hosts);
}

static int read_bytes(int fd, const char *path, char *text, size_t *size, struct error *error)
{
    ssize_t got;
    *size = 0;
    while (*size < FILE_BYTES && (got = read(fd, text + *size, FILE_BYTES - *size)) != 0) {
        if (got < 0)
            return error_set(error, ONWARD_ERR_INPUT, "%s: %m", path);
        *size += (size_t)got;
    }
    if (*size == FILE_BYTES)
        return error_set(error, ONWARD_ERR_INPUT, "%s: expected a list of hosts below 1 MiB", path);
    return ONWARD_OK;
}

int hosts_read_file(const char *path, struct hosts *hosts, struct error *error)
{
    int fd;
    size_t size = 0;
    int code = file_open(path, &fd, error);
    if (code != ONWARD_OK)
        return code;
    char *text = malloc(FILE_BYTES);
    code = text ? read_bytes(fd, path, text, &size, error)
                : error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    close(fd);
    if (code == ONWARD_OK)
        code = hosts_parse_file(text, size, path, hosts, error);
    free(text);
    return code;
}

char *hosts_text(const struct hosts *hosts)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return NULL;
    for (uint32_t i = 0; i < hosts->count; i++) {
        fprintf(stream, "%s%s", i ? "," : "", hosts->list[i].name);
        if (hosts->list[i].slots)
            fprintf(stream, ":%u", hosts->list[i].slots);
    }
    if (fclose(stream) == 0)
        return text;
    free(text);
    return NULL;
}

uint32_t hosts_slots(const struct hosts *hosts)
{
    uint32_t slots = 0;
    for (uint32_t i = 0; i < hosts->count; i++)
        slots += hosts->list[i].slots;
    return slots;
}

int hosts_text_slots(const char *text, uint32_t otherwise, uint32_t *slots, struct error *error)
{
    struct hosts hosts = {.list = NULL};
    int code = hosts_parse_list(text, "hosts", &hosts, error);
    if (code != ONWARD_OK)
        return code;
    *slots = hosts_slots(&hosts);
    for (uint32_t i = 0; i < hosts.count; i++)
        *slots += hosts.list[i].slots ? 0 : otherwise;
    hosts_clear(&hosts);
    return ONWARD_OK;
}

void hosts_fill_slots(struct hosts *hosts, uint32_t rank_count)
{
    for (uint32_t i = 0; i < hosts->count; i++)
        if (!hosts->list[i].slots)
            hosts->list[i].slots = (rank_count + hosts->count - 1) / hosts->count;
}

void hosts_clear(struct hosts *hosts)
{
    free(hosts->list);
    *hosts = (struct hosts){.list = NULL};
}
