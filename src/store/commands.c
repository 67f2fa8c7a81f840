/* commands.c - writes and reads a farm's commands; see commands.h. */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

enum {
    HEAD_BYTES = 29, /* of the first line */
    BUFFER_BYTES = 1 << 18,
    EVERY = 64, /* subtasks of which one offset is kept */
    MAX_COMMANDS = 1 << 28,
    PER_DIRECTORY = 1000
};

static const char head_format[] = "onward-commands 1 %10u\n";

struct commands_writer {
    FILE *file;
    uint32_t count;
};

int commands_begin(struct commands_writer **writer, struct error *error)
{
    *writer = calloc(1, sizeof **writer);
    if (*writer && ((*writer)->file = tmpfile()) != NULL &&
        fprintf((*writer)->file, head_format, 0u) == HEAD_BYTES)
        return ONWARD_OK;
    int problem = errno;
    commands_discard(*writer);
    *writer = NULL;
    return error_set_errno(error, ONWARD_ERR_IO, problem, "a temporary file for the commands");
}

static int fail_write(struct error *error)
{
    return error_set_errno(error, ONWARD_ERR_IO, errno, "the temporary file of the commands");
}

int commands_add(struct commands_writer *writer, const char *command, size_t length,
                 struct error *error)
{
    if (length >= COMMANDS_MAX_BYTES)
        return error_set(error, ONWARD_ERR_INPUT,
                         "a command of %zu bytes: expected at most %d, which is what can be run",
                         length, COMMANDS_MAX_BYTES - 1);
    if (writer->count == MAX_COMMANDS)
        return error_set(error, ONWARD_ERR_INPUT, "more than %d commands", MAX_COMMANDS);
    if (fwrite(command, 1, length, writer->file) != length || putc('\0', writer->file) == EOF)
        return fail_write(error);
    writer->count++;
    return ONWARD_OK;
}

uint32_t commands_added(const struct commands_writer *writer)
{
    return writer->count;
}

void commands_discard(struct commands_writer *writer)
{
    if (writer && writer->file)
        fclose(writer->file);
    free(writer);
}

/* All of `from`, to `to`, or compared with it: *same. */
static int copy_all(int from, int to, bool compare, bool *same, const char *path,
                    struct error *error)
{
    char *bytes = malloc(2 * (size_t)BUFFER_BYTES);
    ssize_t got = 1;
    uint64_t offset = 0;
    int code = bytes ? ONWARD_OK : error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    *same = true;
    while (code == ONWARD_OK && *same &&
           (got = pread(from, bytes, BUFFER_BYTES, (off_t)offset)) > 0) {
        if (compare)
            *same = pread(to, bytes + BUFFER_BYTES, (size_t)got, (off_t)offset) == got &&
                    memcmp(bytes, bytes + BUFFER_BYTES, (size_t)got) == 0;
        else
            code = file_write_at(to, bytes, (size_t)got, offset, path, error);
        offset += (uint64_t)got;
    }
    if (got < 0)
        code = fail_write(error);
    free(bytes);
    return code;
}

static int compare_with(int fd, const char *path, struct error *error)
{
    struct stat ours, theirs;
    int there;
    bool same = false;
    int code = file_open(path, &there, error);
    if (code != ONWARD_OK)
        return code;
    if (fstat(fd, &ours) == 0 && fstat(there, &theirs) == 0 && ours.st_size == theirs.st_size)
        code = copy_all(fd, there, true, &same, path, error);
    close(there);
    if (code == ONWARD_OK && !same)
        code = error_set(error, ONWARD_ERR_OTHER_TASK,
                         "%s: this task has other commands: expected another --task, or "
                         "`onward resume' to go on with those",
                         path);
    return code;
}

int commands_publish(struct commands_writer *writer, const char *path, struct error *error)
{
    char temporary[4096];
    int fd;
    bool same;
    if (fseek(writer->file, 0, SEEK_SET) != 0 ||
        fprintf(writer->file, head_format, writer->count) != HEAD_BYTES ||
        fflush(writer->file) != 0)
        return fail_write(error);
    int from = fileno(writer->file);
    if (access(path, F_OK) == 0)
        return compare_with(from, path, error);
    int code = file_temporary(path, temporary, sizeof temporary, &fd, error);
    if (code != ONWARD_OK)
        return code;
    code = copy_all(from, fd, false, &same, path, error);
    if (code == ONWARD_OK)
        return file_publish(fd, temporary, path, error);
    close(fd);
    unlink(temporary);
    return code;
}

struct commands {
    int fd;
    uint32_t count;
    uint64_t size;
    uint64_t *index; /* the offset of each EVERYth; NULL: none */
    char *buffer;    /* what was read last: bytes of it at offset at */
    uint64_t at;
    size_t bytes;
    uint32_t next;        /* the subtask behind the one that was found last, */
    uint64_t next_offset; /* and where it begins */
    char path[4096];
};

/* The bytes from offset on, as many as are at hand; 0 at the end of the file. */
static int look_at(struct commands *commands, uint64_t offset, const char **bytes, size_t *count,
                   struct error *error)
{
    if (offset < commands->at || offset >= commands->at + commands->bytes) {
        ssize_t got = pread(commands->fd, commands->buffer, BUFFER_BYTES, (off_t)offset);
        if (got < 0)
            return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", commands->path);
        commands->at = offset;
        commands->bytes = (size_t)got;
    }
    *bytes = commands->buffer + (offset - commands->at);
    *count = commands->at + commands->bytes - offset;
    return ONWARD_OK;
}

/* The offset behind the NUL that ends the command at offset. */
static int skip_one(struct commands *commands, uint64_t offset, uint64_t *behind,
                    struct error *error)
{
    for (uint64_t from = offset;;) {
        const char *bytes = NULL;
        size_t count = 0;
        int code = look_at(commands, from, &bytes, &count, error);
        if (code != ONWARD_OK)
            return code;
        if (count == 0 || from - offset > COMMANDS_MAX_BYTES)
            return error_set(error, ONWARD_ERR_CORRUPT, "%s: expected %u commands that end in NUL",
                             commands->path, commands->count);
        const char *end = memchr(bytes, '\0', count);
        if (end) {
            *behind = from + (uint64_t)(end - bytes) + 1;
            return ONWARD_OK;
        }
        from += count;
    }
}

static int build_index(struct commands *commands, struct error *error)
{
    uint64_t offset = HEAD_BYTES;
    commands->index = malloc((commands->count / EVERY + 1) * sizeof *commands->index);
    if (!commands->index)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", commands->path);
    for (uint32_t i = 0; i < commands->count; i++) {
        if (i % EVERY == 0)
            commands->index[i / EVERY] = offset;
        int code = skip_one(commands, offset, &offset, error);
        if (code != ONWARD_OK)
            return code;
    }
    return offset == commands->size ? ONWARD_OK
                                    : error_set(error, ONWARD_ERR_CORRUPT,
                                                "%s: more than the %u commands of its first line",
                                                commands->path, commands->count);
}

static int read_head(struct commands *commands, struct error *error)
{
    char head[HEAD_BYTES + 1] = "", expected[HEAD_BYTES + 1];
    struct stat status;
    if (fstat(commands->fd, &status) != 0 ||
        pread(commands->fd, head, HEAD_BYTES, 0) != HEAD_BYTES ||
        sscanf(head, "onward-commands 1 %10u", &commands->count) != 1 ||
        snprintf(expected, sizeof expected, head_format, commands->count) != HEAD_BYTES ||
        strcmp(head, expected) != 0)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s: expected the commands of a farm",
                         commands->path);
    commands->size = (uint64_t)status.st_size;
    commands->next_offset = HEAD_BYTES;
    return ONWARD_OK;
}

int commands_open(const char *path, bool with_index, struct commands **result, struct error *error)
{
    struct commands *commands = calloc(1, sizeof *commands);
    *result = NULL;
    if (!commands || !(commands->buffer = malloc(BUFFER_BYTES))) {
        free(commands);
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    }
    snprintf(commands->path, sizeof commands->path, "%s", path);
    int code = file_open(path, &commands->fd, error);
    if (code != ONWARD_OK)
        commands->fd = -1;
    if (code == ONWARD_OK)
        code = read_head(commands, error);
    if (code == ONWARD_OK && with_index)
        code = build_index(commands, error);
    if (code == ONWARD_OK)
        *result = commands;
    else
        commands_close(commands);
    return code;
}

void commands_close(struct commands *commands)
{
    if (!commands)
        return;
    if (commands->fd >= 0)
        close(commands->fd);
    free(commands->index);
    free(commands->buffer);
    free(commands);
}

uint32_t commands_count(const struct commands *commands)
{
    return commands->count;
}

int commands_find(struct commands *commands, uint32_t subtask, uint64_t *offset, uint32_t *length,
                  struct error *error)
{
    int code = ONWARD_OK;
    if (!commands->index || subtask >= commands->count)
        return error_set(error, ONWARD_ERR_ARGUMENT, "%s: command %u of %u", commands->path,
                         subtask, commands->count);
    uint32_t at = commands->next;
    if (subtask < at || subtask - at >= EVERY) { /* not a little ahead of the one before */
        at = subtask / EVERY * EVERY;
        commands->next_offset = commands->index[subtask / EVERY];
    }
    for (*offset = commands->next_offset; at < subtask && code == ONWARD_OK; at++)
        code = skip_one(commands, *offset, offset, error);
    if (code == ONWARD_OK)
        code = skip_one(commands, *offset, &commands->next_offset, error);
    commands->next = code == ONWARD_OK ? subtask + 1 : 0;
    if (code != ONWARD_OK)
        commands->next_offset = HEAD_BYTES;
    *length = (uint32_t)(commands->next_offset - *offset - 1);
    return code;
}

int commands_read(const struct commands *commands, uint64_t offset, uint32_t length, char *text,
                  struct error *error)
{
    int code = file_read_at(commands->fd, text, (size_t)length + 1, offset, commands->path, error);
    if (code == ONWARD_OK && (text[length] != '\0' || strlen(text) != length))
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: no command of %u bytes at %llu",
                         commands->path, length, (unsigned long long)offset);
    return code;
}

void commands_output_path(const char *run, uint32_t subtask, const char *kind, char *path,
                          size_t path_bytes)
{
    snprintf(path, path_bytes, "%s/logs/%u/%u.%s", run, subtask / PER_DIRECTORY, subtask, kind);
}
