/* gang_command.c - from an order to what is executed: in the keeper. The variables are those of
 * torchrun, so that what runs under it runs here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gang.h"

enum { VARIABLES = 14, RUN_BYTES = 4000, VARIABLE_BYTES = RUN_BYTES + 64 };

struct gang_command {
    char *const *arguments;
    char **environment;
    const char *task;
    char run[RUN_BYTES];
    char variables[VARIABLES][VARIABLE_BYTES];
    char output[KEEPER_PATH_BYTES], error_output[KEEPER_PATH_BYTES];
};

struct gang_command *gang_command_create(const struct gang_settings *settings, const char *task)
{
    char *own[VARIABLES];
    struct gang_command *command = calloc(1, sizeof *command);
    if (!command)
        return NULL;
    for (int i = 0; i < VARIABLES; i++)
        own[i] = command->variables[i];
    command->arguments = settings->command;
    command->task = task;
    command->environment = keeper_environment(own, VARIABLES);
    if (command->environment)
        return command;
    free(command);
    return NULL;
}

void gang_command_destroy(struct gang_command *command)
{
    if (!command)
        return;
    free(command->environment);
    free(command);
}

void gang_command_setup(void *context, const void *run, size_t size)
{
    struct gang_command *command = context;
    snprintf(command->run, sizeof command->run, "%.*s", (int)size, (const char *)run);
}

void gang_log_path(const char *run, uint32_t rank, const char *kind, char *path, size_t path_bytes)
{
    snprintf(path, path_bytes, "%s/logs/rank-%u.%s", run, rank, kind);
}

static void set_numbers(struct gang_command *command, const struct gang_order *order)
{
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {{"RANK", order->name.id},
                   {"WORLD_SIZE", order->world_size},
                   {"LOCAL_RANK", order->local_rank},
                   {"LOCAL_WORLD_SIZE", order->local_world_size},
                   {"GROUP_RANK", order->group_rank},
                   {"GROUP_WORLD_SIZE", order->group_world_size},
                   {"MASTER_PORT", order->port},
                   {"TORCHELASTIC_RESTART_COUNT", order->restarts},
                   {"TORCHELASTIC_MAX_RESTARTS", order->max_restarts},
                   {"ONWARD_GENERATION", order->name.attempt}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        snprintf(command->variables[i], VARIABLE_BYTES, "%s=%u", numbers[i].name, numbers[i].value);
    char(*rest)[VARIABLE_BYTES] = command->variables + sizeof numbers / sizeof *numbers;
    snprintf(rest[0], VARIABLE_BYTES, "MASTER_ADDR=%.*s", GANG_ADDRESS_BYTES, order->address);
    snprintf(rest[1], VARIABLE_BYTES, "TORCHELASTIC_RUN_ID=%.255s", command->task);
    snprintf(rest[2], VARIABLE_BYTES, "ONWARD_RESTART_DIR=%s/restart", command->run);
    snprintf(rest[3], VARIABLE_BYTES, "ONWARD_RANK=%u", order->name.id);
}

int gang_command_prepare(void *context, const void *bytes, struct keeper_launch *launch,
                         struct error *error)
{
    struct gang_command *command = context;
    const struct gang_order *order = bytes;
    (void)error;
    set_numbers(command, order);
    gang_log_path(command->run, order->name.id, "out", command->output, sizeof command->output);
    gang_log_path(command->run, order->name.id, "err", command->error_output,
                  sizeof command->error_output);
    launch->arguments = command->arguments;
    launch->environment = command->environment;
    launch->output = command->output;
    launch->error_output = command->error_output;
    launch->appends = true;
    return ONWARD_OK;
}
