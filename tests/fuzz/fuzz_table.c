/* fuzz_table.c - any bytes as the rows of a farm. Byte 0 is the separator (anything else than comma
 * and tab: lines), byte 1 says by its lowest bit whether there is a header; up to the first newline
 * stands the template ("": the lines are the commands), then the file. It is refused with one line,
 * or each command is read again from what was written. */
#include "commands.h"
#include "farm_input.h"
#include "fuzz_scratch.h"

static void check_command(struct commands *commands, uint32_t subtask)
{
    uint64_t offset;
    uint32_t length;
    fuzz_expect(commands_find(commands, subtask, &offset, &length, NULL) == ONWARD_OK, "found");
    char *text = malloc(length + 1);
    fuzz_expect(text != NULL, "memory");
    fuzz_expect(commands_read(commands, offset, length, text, NULL) == ONWARD_OK, "read");
    fuzz_expect(strlen(text) == length, "no NUL in a command");
    free(text);
}

static void check_written(struct commands_writer *writer)
{
    char path[96];
    struct commands *commands;
    snprintf(path, sizeof path, "%s/commands", scratch());
    unlink(path);
    fuzz_expect(commands_publish(writer, path, NULL) == ONWARD_OK, "published");
    fuzz_expect(commands_open(path, true, &commands, NULL) == ONWARD_OK, "opened");
    fuzz_expect(commands_count(commands) == commands_added(writer), "as many commands");
    for (uint32_t i = 0; i < commands_count(commands); i++)
        check_command(commands, i);
    commands_close(commands);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[96], template[1024];
    struct error error = {.text = ""};
    struct commands_writer *writer;
    const uint8_t *end = size > 2 ? memchr(data + 2, '\n', size - 2) : NULL;
    size_t length = end ? (size_t)(end - data) - 2 : 0;
    if (!end || length >= sizeof template)
        return 0;
    memcpy(template, data + 2, length);
    template[length] = '\0';
    snprintf(path, sizeof path, "%s/rows", scratch());
    scratch_write(path, end + 1, size - length - 3);
    struct farm_input input = {.template = *template ? template : NULL,
                               .file = path,
                               .separator = data[0] == ',' || data[0] == '\t' ? (char)data[0] : 0,
                               .header = data[1] & 1};
    if (!input.template)
        input.separator = 0; /* as the launcher has it */
    fuzz_expect(commands_begin(&writer, &error) == ONWARD_OK, "a writer");
    if (farm_input_read(&input, writer, &error) == ONWARD_OK)
        check_written(writer);
    else
        fuzz_expect(error.text[0] && !strchr(error.text, '\n'), "one line");
    commands_discard(writer);
    return 0;
}
