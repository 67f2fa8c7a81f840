/* quick.c - runs a program for its answer, as a child in the sense of child.h. */
#include "quick.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "say.h"

struct capture {
    char *text;
    size_t bytes, room;
};

static void capture(struct capture *capture, int *fd)
{
    char bytes[4096];
    ssize_t got;
    while (*fd >= 0 && (got = read(*fd, bytes, sizeof bytes)) != -1) {
        if (got == 0) {
            close(*fd);
            *fd = -1;
            break;
        }
        size_t room = capture->room - 1 - capture->bytes;
        size_t size = (size_t)got < room ? (size_t)got : room;
        memcpy(capture->text + capture->bytes, bytes, size);
        capture->bytes += size;
    }
    capture->text[capture->bytes] = '\0';
}

static void keep_last_line(char *text, char *line, size_t line_bytes)
{
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    const char *newline = strrchr(text, '\n');
    const char *last = newline ? newline + 1 : text;
    size_t size = strlen(last) < line_bytes ? strlen(last) : line_bytes - 1;
    memcpy(line, last, size);
    line[size] = '\0';
}

int quick_run(char *const *command, double limit_s, struct quick_result *result,
              struct error *error)
{
    char errors[8192] = "";
    struct capture output = {result->output, 0, sizeof result->output};
    struct capture error_output = {errors, 0, sizeof errors};
    struct child child;
    *result = (struct quick_result){.exit_status = -1};
    int code = child_adopt_orphans(error);
    if (code == ONWARD_OK)
        code = child_start(&child, command, error);
    if (code != ONWARD_OK)
        return code;
    double deadline_s = clock_now_s() + limit_s;
    while (!child.ended && clock_now_s() < deadline_s) {
        struct pollfd fds[] = {{child.output, POLLIN, 0}, {child.error_output, POLLIN, 0}};
        poll(fds, 2, 20);
        capture(&output, &child.output);
        capture(&error_output, &child.error_output);
        child_reap(&child);
    }
    result->timed_out = !child.ended;
    child_kill_all(&child, 5);
    capture(&output, &child.output);
    capture(&error_output, &child.error_output);
    child_close(&child);
    if (!result->timed_out && WIFEXITED(child.status))
        result->exit_status = WEXITSTATUS(child.status);
    keep_last_line(errors, result->error_line, sizeof result->error_line);
    return ONWARD_OK;
}
