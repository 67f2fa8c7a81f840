/* farm_command.c - from an item to what is executed: in the keeper.
 *
 * As make does, a command in which a shell would find nothing to do but cut it into words is
 * executed without one, which halves the time of a short one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "farm.h"
#include "file.h"

enum { MAX_WORDS = 1024, NUMBER_BYTES = 48, RUN_BYTES = 4000 };

struct farm_commands {
    struct commands *commands;
    struct error error; /* of the setup */
    char run[RUN_BYTES];
    char output[KEEPER_PATH_BYTES], error_output[KEEPER_PATH_BYTES];
    char subtask[NUMBER_BYTES], attempt[NUMBER_BYTES];
    char **environment;
    char *words[MAX_WORDS + 1];
    char *shell[4];
    char text[COMMANDS_MAX_BYTES + 1], copy[COMMANDS_MAX_BYTES + 1];
};

struct farm_commands *farm_commands_create(void)
{
    static char shell[] = "/bin/sh", option[] = "-c";
    struct farm_commands *commands = calloc(1, sizeof *commands);
    if (!commands)
        return NULL;
    char *const own[] = {commands->subtask, commands->attempt};
    commands->environment = keeper_environment(own, 2);
    commands->shell[0] = shell;
    commands->shell[1] = option;
    commands->shell[2] = commands->text;
    if (commands->environment)
        return commands;
    free(commands);
    return NULL;
}

void farm_commands_destroy(struct farm_commands *commands)
{
    if (!commands)
        return;
    commands_close(commands->commands);
    free(commands->environment);
    free(commands);
}

void farm_commands_setup(void *context, const void *run, size_t size)
{
    struct farm_commands *commands = context;
    char path[KEEPER_PATH_BYTES];
    snprintf(commands->run, sizeof commands->run, "%.*s", (int)size, (const char *)run);
    int code = file_join(path, sizeof path, commands->run, "commands", &commands->error);
    if (code == ONWARD_OK)
        commands_open(path, false, &commands->commands, &commands->error);
}

/* Words that the shell does not look for in PATH, or that mean something to it. */
static bool is_builtin(const char *word)
{
    static const char *const builtins[] = {
        ".",       ":",        "alias",  "bg",     "break",  "builtin", "case",    "cd",
        "command", "continue", "do",     "done",   "echo",   "elif",    "else",    "esac",
        "eval",    "exec",     "exit",   "export", "fc",     "fg",      "fi",      "for",
        "getopts", "hash",     "if",     "jobs",   "kill",   "local",   "printf",  "pwd",
        "read",    "readonly", "return", "set",    "shift",  "source",  "test",    "then",
        "time",    "times",    "trap",   "type",   "ulimit", "umask",   "unalias", "unset",
        "until",   "wait",     "while"};
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (strcmp(word, builtins[i]) == 0)
            return true;
    return false;
}

bool farm_split(char *command, char **words, int max)
{
    int count = 0;
    if (command[strcspn(command, "\"'\\$`|&;<>()*?[]{}~#!\n")] != '\0')
        return false;
    for (char *rest = command; rest;) {
        char *word = strsep(&rest, " \t");
        if (*word == '\0')
            continue;
        if (count == max)
            return false;
        words[count++] = word;
    }
    words[count] = NULL;
    return count > 0 && !strchr(words[0], '=') && !is_builtin(words[0]);
}

int farm_commands_prepare(void *context, const void *order, struct keeper_launch *launch,
                          struct error *error)
{
    struct farm_commands *commands = context;
    const struct farm_item *item = order;
    commands_output_path(commands->run, item->name.id + 1, "out", commands->output,
                         sizeof commands->output);
    commands_output_path(commands->run, item->name.id + 1, "err", commands->error_output,
                         sizeof commands->error_output);
    launch->output = commands->output;
    launch->error_output = commands->error_output;
    snprintf(commands->subtask, sizeof commands->subtask, "ONWARD_SUBTASK=%u", item->name.id + 1);
    snprintf(commands->attempt, sizeof commands->attempt, "ONWARD_ATTEMPT=%u", item->name.attempt);
    launch->environment = commands->environment;
    *error = commands->error;
    if (!commands->commands)
        return error->code ? error->code : error_set(error, ONWARD_ERR_ORDER, "no commands");
    if (item->length >= COMMANDS_MAX_BYTES)
        return error_set(error, ONWARD_ERR_CORRUPT, "a command of %u bytes", item->length);
    int code = commands_read(commands->commands, item->offset, item->length, commands->text, error);
    memcpy(commands->copy, commands->text, code == ONWARD_OK ? item->length + 1u : 0);
    launch->arguments = code == ONWARD_OK && farm_split(commands->copy, commands->words, MAX_WORDS)
                            ? commands->words
                            : commands->shell;
    return code;
}
