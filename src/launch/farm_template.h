/* farm_template.h - a command with places for values, as in `convert {1} -resize {2} out-{#}.png`.
 *
 *     {}   all values of the row, with blanks between     {1} {2} ...  one of them
 *     {#}  the number of the command, from 1              {NAME}       a column of that name
 *
 * What else stands in braces is left as it is. A template without a place for values gets {} at its
 * end. Values are quoted for the shell where they need it, so that each is one word. */
#ifndef LAUNCH_FARM_TEMPLATE_H
#define LAUNCH_FARM_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct farm_template;

/* Text that grows. */
struct farm_text {
    char *bytes; /* with a NUL behind; NULL: nothing yet */
    size_t length, room;
};
int farm_text_add(struct farm_text *text, const char *bytes, size_t length, struct error *error);
void farm_text_clear(struct farm_text *text);

/* names: of the columns, or NULL. */
int farm_template_create(const char *text, const char *const *names, uint32_t name_count,
                         struct farm_template **created, struct error *error);
void farm_template_destroy(struct farm_template *farm_template); /* NULL is allowed */

/* Appends the command for this row. ERR_INPUT when the row has no such column; where: of the row,
 * for the text of that. */
int farm_template_expand(const struct farm_template *farm_template, const char *const *values,
                         uint32_t value_count, uint64_t number, const char *where,
                         struct farm_text *command, struct error *error);

#endif
