/* room.c - see room.h. A disk at its limit fails and succeeds in turn: both are said only when they
 * have lasted. */
#include "room.h"

#include <stdio.h>
#include <string.h>

#include "say.h"
#include "supervise_internal.h"

static const double told_after_s = 1, calm_s = 3, default_limit_s = 300, retry_s = 0.5;

double room_limit_s(const struct supervisor *s)
{
    return s->settings->wait_s > 0 ? s->settings->wait_s : default_limit_s;
}

static void tell_problem(struct supervisor *s)
{
    char text[PROGRESS_LINE_BYTES];
    snprintf(text, sizeof text, "warning: cannot write into %s: %s; the training goes on",
             rundir_path(s->settings->rundir), strerror(s->room.problem));
    display_line(s->settings->display, text);
}

static void tell_recovery(struct supervisor *s)
{
    char text[PROGRESS_LINE_BYTES];
    snprintf(text, sizeof text, "%s can be written again; for %.0f s it could not be: %s",
             rundir_path(s->settings->rundir), s->room.bad_s - s->room.since_s,
             strerror(s->room.problem));
    supervise_warn(s, text);
}

/* Why the newest status is not in the run directory; 0: it is. */
static int current_problem(const struct supervisor *s)
{
    return s->plain.settings ? s->plain.disk_errno : beats_telling(s->detector.beats).disk_errno;
}

void room_look(struct supervisor *s)
{
    struct room *room = &s->room;
    int problem = current_problem(s);
    double now_s = clock_now_s();
    if (problem) {
        room->since_s = room->problem ? room->since_s : now_s;
        room->bad_s = now_s;
        room->problem = problem;
        if (!room->is_told && now_s - room->since_s >= told_after_s) {
            room->is_told = true;
            tell_problem(s);
        }
    } else if (room->problem && now_s - room->bad_s >= calm_s) {
        if (room->is_told)
            tell_recovery(s);
        *room = (struct room){.problem = 0};
    }
}

static int try(struct supervisor *s, int (*attempt)(struct supervisor *s, struct error *error),
               struct error *error)
{
    int code = attempt(s, error);
    if (code != ONWARD_OK && rundir_may_recover(error)) /* whichever file it was */
        error_set_errno(error, code, error->errno_value, "cannot write into %s",
                        rundir_path(s->settings->rundir));
    return code;
}

int room_wait(struct supervisor *s, int (*attempt)(struct supervisor *s, struct error *error),
              struct error *error)
{
    char text[PROGRESS_LINE_BYTES];
    double deadline_s = clock_now_s() + room_limit_s(s);
    int code = try(s, attempt, error);
    if (code == ONWARD_OK || !rundir_may_recover(error))
        return code;
    snprintf(text, sizeof text,
             "warning: %.400s: waiting at most %.0f s before the task is started again",
             error->text, room_limit_s(s));
    display_line(s->settings->display, text);
    while (code != ONWARD_OK && rundir_may_recover(error) && !s->signal &&
           clock_now_s() < deadline_s) {
        supervise_pause(s, retry_s);
        code = try(s, attempt, error);
    }
    return code;
}
