/* commands.h - what a farm is to run: one file of the run directory, so that a task goes on with
 * the same commands whatever becomes of the input that they were made from.
 *
 *     onward-commands 1 COUNT\n     COUNT right-aligned to 10 columns
 *     COMMAND\0 COMMAND\0 ...
 *
 * A command holds any bytes but NUL (newlines too). Subtask k, from 0, is the command behind k
 * NULs. Readers find it by its offset, so that only short messages pass between them. */
#ifndef STORE_COMMANDS_H
#define STORE_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum { COMMANDS_MAX_BYTES = 131071 }; /* of one command with its NUL; what execve(2) takes */

/* Writing: to an anonymous file first, so that bad input leaves nothing behind. */
struct commands_writer;
int commands_begin(struct commands_writer **writer, struct error *error);
/* Appends one command of length bytes, which may not hold NUL. ERR_INPUT when it is too long. */
int commands_add(struct commands_writer *writer, const char *command, size_t length,
                 struct error *error);
uint32_t commands_added(const struct commands_writer *writer);
/* Puts all of it at path, atomically; what is there already stays when it is the same, and is
 * ERR_OTHER_TASK when it is not. */
int commands_publish(struct commands_writer *writer, const char *path, struct error *error);
void commands_discard(struct commands_writer *writer); /* NULL is allowed */

/* Where what a subtask (here from 1) wrote is: RUN/logs/T/N.KIND, KIND being out or err, T being N
 * divided by 1000. */
void commands_output_path(const char *run, uint32_t subtask, const char *kind, char *path,
                          size_t path_bytes);

/* Reading. */
struct commands;
/* with_index: for commands_find; reads the whole file once, and keeps 8 bytes for each 64
 * commands. */
int commands_open(const char *path, bool with_index, struct commands **commands,
                  struct error *error);
void commands_close(struct commands *commands); /* NULL is allowed */
uint32_t commands_count(const struct commands *commands);
/* Where the command of a subtask is, and its length without the NUL. */
int commands_find(struct commands *commands, uint32_t subtask, uint64_t *offset, uint32_t *length,
                  struct error *error);
/* Reads a command into text (length + 1 bytes). */
int commands_read(const struct commands *commands, uint64_t offset, uint32_t length, char *text,
                  struct error *error);

#endif
