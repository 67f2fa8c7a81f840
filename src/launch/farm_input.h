/* farm_input.h - the commands of a farm, from what the user gives: a file of commands, or a
 * template with values from the command line, from the lines of a file, or from the rows of a
 * table. */
#ifndef LAUNCH_FARM_INPUT_H
#define LAUNCH_FARM_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "commands.h"
#include "error.h"

struct farm_input {
    const char *template; /* NULL: the lines of file are the commands */
    const char *file;     /* "-": standard input; NULL: values */
    char separator;       /* between the columns of a row of file; 0: a line is one value */
    bool header;          /* the first row has the columns' names */
    char *const *values;  /* groups, with ":::" between them; each combination is a row */
    uint32_t value_count;
};

/* Appends all commands to writer. Errors name the file and line. */
int farm_input_read(const struct farm_input *input, struct commands_writer *writer,
                    struct error *error);

#endif
