/* farm_template.c - cuts a template into literal text and places, and fills them in. */
#include "farm_template.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_LITERAL, PLACE_ALL, PLACE_NUMBER, PLACE_COLUMN };
enum { MAX_COLUMN = 1000000 };

struct piece {
    int place;
    uint32_t column;  /* PLACE_COLUMN: from 0 */
    const char *text; /* PLACE_LITERAL */
    size_t length;
};

struct farm_template {
    char *text;
    struct piece *pieces;
    uint32_t count;
};

int farm_text_add(struct farm_text *text, const char *bytes, size_t length, struct error *error)
{
    if (text->length + length + 1 > text->room) {
        size_t room = 2 * (text->length + length) + 256;
        char *grown = realloc(text->bytes, room);
        if (!grown)
            return error_set(error, ONWARD_ERR_MEMORY, "a command: out of memory");
        text->bytes = grown;
        text->room = room;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
    return ONWARD_OK;
}

void farm_text_clear(struct farm_text *text)
{
    free(text->bytes);
    *text = (struct farm_text){NULL, 0, 0};
}

/* What {...} means; false: nothing of ours. */
static bool read_place(const char *inside, size_t length, const char *const *names,
                       uint32_t name_count, struct piece *piece)
{
    *piece = (struct piece){.place = PLACE_ALL};
    if (length == 0)
        return true;
    piece->place = PLACE_NUMBER;
    if (length == 1 && *inside == '#')
        return true;
    piece->place = PLACE_COLUMN;
    for (uint32_t i = 0; i < name_count; i++)
        if (strlen(names[i]) == length && !strncmp(names[i], inside, length)) {
            piece->column = i;
            return true;
        }
    uint32_t number = 0;
    for (size_t i = 0; i < length && number <= MAX_COLUMN; i++) {
        if (!isdigit((unsigned char)inside[i]))
            return false;
        number = 10 * number + (uint32_t)(inside[i] - '0');
    }
    piece->column = number - 1;
    return number >= 1 && number <= MAX_COLUMN;
}

static bool cut(struct farm_template *made, const char *const *names, uint32_t name_count)
{
    const char *literal = made->text, *at = literal;
    bool has_values = false;
    while (*at) {
        const char *end = *at == '{' ? strpbrk(at + 1, "{}") : NULL;
        struct piece piece;
        if (!end || *end != '}' ||
            !read_place(at + 1, (size_t)(end - at - 1), names, name_count, &piece)) {
            at++;
            continue;
        }
        if (at > literal)
            made->pieces[made->count++] =
                (struct piece){.text = literal, .length = (size_t)(at - literal)};
        made->pieces[made->count++] = piece;
        has_values |= piece.place != PLACE_NUMBER;
        literal = at = end + 1;
    }
    if (at > literal)
        made->pieces[made->count++] =
            (struct piece){.text = literal, .length = (size_t)(at - literal)};
    return has_values;
}

int farm_template_create(const char *text, const char *const *names, uint32_t name_count,
                         struct farm_template **created, struct error *error)
{
    struct farm_template *made = calloc(1, sizeof *made);
    *created = NULL;
    if (made) {
        made->text = strdup(text);
        made->pieces = calloc(strlen(text) + 3, sizeof *made->pieces);
    }
    if (!made || !made->text || !made->pieces) {
        farm_template_destroy(made);
        return error_set(error, ONWARD_ERR_MEMORY, "the command: out of memory");
    }
    if (!cut(made, names, name_count)) {
        made->pieces[made->count++] = (struct piece){.text = " ", .length = 1};
        made->pieces[made->count++] = (struct piece){.place = PLACE_ALL};
    }
    *created = made;
    return ONWARD_OK;
}

void farm_template_destroy(struct farm_template *made)
{
    if (!made)
        return;
    free(made->text);
    free(made->pieces);
    free(made);
}

static bool is_plain(const char *value)
{
    return *value && value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789_./:@%+,-=")] == '\0';
}

/* In single quotes, with each of its own as '\''. */
static int add_quoted(struct farm_text *command, const char *value, struct error *error)
{
    if (is_plain(value))
        return farm_text_add(command, value, strlen(value), error);
    int code = farm_text_add(command, "'", 1, error);
    while (code == ONWARD_OK && *value) {
        size_t length = strcspn(value, "'");
        code = farm_text_add(command, value, length, error);
        value += length;
        if (code == ONWARD_OK && *value) {
            code = farm_text_add(command, "'\\''", 4, error);
            value++;
        }
    }
    return code == ONWARD_OK ? farm_text_add(command, "'", 1, error) : code;
}

static int add_all(struct farm_text *command, const char *const *values, uint32_t count,
                   struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t i = 0; i < count && code == ONWARD_OK; i++) {
        if (i > 0)
            code = farm_text_add(command, " ", 1, error);
        if (code == ONWARD_OK)
            code = add_quoted(command, values[i], error);
    }
    return code;
}

static int add_piece(const struct piece *piece, const char *const *values, uint32_t value_count,
                     uint64_t number, const char *where, struct farm_text *command,
                     struct error *error)
{
    char digits[24];
    switch (piece->place) {
    case PLACE_LITERAL:
        return farm_text_add(command, piece->text, piece->length, error);
    case PLACE_ALL:
        return add_all(command, values, value_count, error);
    case PLACE_NUMBER:
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
        return farm_text_add(command, digits, strlen(digits), error);
    default:
        if (piece->column >= value_count)
            return error_set(error, ONWARD_ERR_INPUT,
                             "%s: %u column%s, expected at least %u, for {%u}", where, value_count,
                             value_count == 1 ? "" : "s", piece->column + 1, piece->column + 1);
        return add_quoted(command, values[piece->column], error);
    }
}

int farm_template_expand(const struct farm_template *made, const char *const *values,
                         uint32_t value_count, uint64_t number, const char *where,
                         struct farm_text *command, struct error *error)
{
    int code = ONWARD_OK;
    for (uint32_t i = 0; i < made->count && code == ONWARD_OK; i++)
        code = add_piece(&made->pieces[i], values, value_count, number, where, command, error);
    return code;
}
