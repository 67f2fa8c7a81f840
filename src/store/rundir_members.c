/* rundir_members.c - members.json: who the members are, replaced when an epoch opens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rundir_internal.h"

static json_t *encode_member(const struct run_member *member)
{
    return json_pack("{s:I, s:i, s:s, s:b, s:s, s:I, s:I}", "member", (json_int_t)member->member,
                     "rank", (int)member->rank, "role", member->role, "controller",
                     member->is_controller, "host", member->host, "pid", (json_int_t)member->pid,
                     "epoch", (json_int_t)member->epoch);
}

int rundir_write_members(struct rundir *rundir, const struct run_members *members,
                         struct error *error)
{
    char time[40];
    json_t *list = json_array();
    struct fence fence = rundir_fence(rundir);
    time_text(time, sizeof time);
    for (uint32_t i = 0; i < members->count; i++)
        if (json_array_append_new(list, encode_member(&members->list[i])) != 0) {
            json_decref(list);
            list = NULL;
            break;
        }
    json_t *root = json_pack("{s:s, s:s, s:I, s:I, s:o}", "task", rundir->task, "time", time,
                             "incarnation", (json_int_t)rundir->incarnation, "epoch",
                             (json_int_t)members->epoch, "members", list);
    if (json_array_size(members->drained_hosts) > 0)
        json_object_set(root, "drained_hosts", members->drained_hosts);
    if (json_object_size(members->host_names) > 0)
        json_object_set(root, "host_names", members->host_names);
    return rundir_write_unsynced(rundir, "members.json", root, &fence, error);
}

static int decode_member(json_t *root, struct run_member *member, json_error_t *problem)
{
    const char *role, *host;
    json_int_t number, pid, epoch;
    int rank, is_controller;
    if (json_unpack_ex(root, problem, 0, "{s:I, s:i, s:s, s:b, s:s, s:I, s:I}", "member", &number,
                       "rank", &rank, "role", &role, "controller", &is_controller, "host", &host,
                       "pid", &pid, "epoch", &epoch) != 0)
        return -1;
    *member = (struct run_member){.member = (uint32_t)number,
                                  .rank = rank,
                                  .is_controller = is_controller,
                                  .pid = pid,
                                  .epoch = epoch};
    snprintf(member->role, sizeof member->role, "%s", role);
    snprintf(member->host, sizeof member->host, "%s", host);
    return 0;
}

static int decode_list(json_t *list, struct run_members *members, json_error_t *problem)
{
    size_t count = json_array_size(list);
    members->list = calloc(count + 1, sizeof *members->list);
    if (!members->list) {
        snprintf(problem->text, sizeof problem->text, "out of memory");
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (decode_member(json_array_get(list, i), &members->list[i], problem) != 0)
            return -1;
        members->count++;
    }
    return 0;
}

int rundir_read_members(const struct rundir *rundir, struct run_members *members,
                        struct error *error)
{
    json_t *root, *list;
    json_int_t incarnation, epoch;
    json_error_t problem;
    *members = (struct run_members){.list = NULL};
    int code = rundir_read_json(rundir, "members.json", &root, error);
    if (code != ONWARD_OK)
        return code;
    int failed = json_unpack_ex(root, &problem, 0, "{s:I, s:I, s:o}", "incarnation", &incarnation,
                                "epoch", &epoch, "members", &list);
    if (!failed) {
        members->incarnation = incarnation;
        members->epoch = epoch;
        members->host_names = json_incref(json_object_get(root, "host_names"));
        members->drained_hosts = json_incref(json_object_get(root, "drained_hosts"));
        failed = decode_list(list, members, &problem);
    }
    json_decref(root);
    if (failed)
        return error_set(error, ONWARD_ERR_CORRUPT, "%s/members.json: %s", rundir->path,
                         problem.text);
    return ONWARD_OK;
}

void run_members_clear(struct run_members *members)
{
    free(members->list);
    json_decref(members->host_names);
    json_decref(members->drained_hosts);
    *members = (struct run_members){.list = NULL};
}
