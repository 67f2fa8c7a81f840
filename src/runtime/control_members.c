/* control_members.c - who the members are: the seats that an opening gives to all, members.json,
 * and the events of those who came into the lineup or were drained. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

const struct seat *control_find_seat(const struct seat *seats, uint32_t count, uint32_t member)
{
    for (uint32_t i = 0; i < count; i++)
        if (seats[i].member == member)
            return &seats[i];
    return NULL;
}

void control_fill_seats(const struct onward *ow, const struct change_report *reports, int count,
                        struct seat *seats)
{
    const struct control *control = ow->control;
    for (int i = 0; i < count; i++) {
        const struct core_member *member = controller_find(control->core, seats[i].member);
        const struct seat *before = control_find_seat(ow->seats, ow->seat_count, seats[i].member);
        seats[i].rank = member ? member->rank : CONTROLLER_NO_RANK;
        seats[i].draining = member && member->state == MEMBER_DRAINING;
        seats[i].dedicated = reports[i].dedicated;
        seats[i].pid = reports[i].pid;
        seats[i].epoch = before ? before->epoch : control->opened.epoch;
    }
}

static const char *role_of(const struct seat *seat)
{
    return seat->dedicated   ? "controller"
           : seat->draining  ? "draining"
           : seat->rank >= 0 ? "worker"
                             : "spare";
}

void control_write_members(struct onward *ow)
{
    struct run_members members = {.epoch = ow->control->opened.epoch, .count = ow->seat_count};
    members.list = calloc(ow->seat_count, sizeof *members.list);
    if (!members.list)
        return;
    members.host_names = control_host_names();
    members.drained_hosts = control_drained_hosts();
    for (uint32_t i = 0; i < ow->seat_count; i++) {
        const struct seat *seat = &ow->seats[i];
        struct run_member *one = &members.list[i];
        *one = (struct run_member){.member = seat->member,
                                   .rank = seat->rank,
                                   .is_controller = seat->member == ow->member,
                                   .pid = seat->pid,
                                   .epoch = seat->epoch};
        snprintf(one->role, sizeof one->role, "%s", role_of(seat));
        snprintf(one->host, sizeof one->host, "%s", seat->host);
    }
    /* As the status: a full disk must not stop the training. */
    int code = rundir_write_members(ow->control->rundir, &members, NULL);
    ow->control->members_unwritten = code != ONWARD_OK;
    run_members_clear(&members);
}

static void tell_seat(struct onward *ow, const char *event, const struct seat *seat)
{
    control_event(ow, event,
                  json_pack("{s:I, s:s}", "member", (json_int_t)seat->member, "host", seat->host));
}

void control_tell_members(struct onward *ow, const struct seat *before, uint32_t before_count)
{
    for (uint32_t i = 0; before_count > 0 && i < ow->seat_count; i++) {
        const struct seat *now = &ow->seats[i];
        const struct seat *was = control_find_seat(before, before_count, now->member);
        if (now->draining && !(was && was->draining))
            tell_seat(ow, "drained", now);
        else if (now->rank >= 0 && !(was && was->rank >= 0))
            tell_seat(ow, "joined", now);
    }
    control_write_members(ow);
}
