/* transport_spawn.c - members that are spawned while the others work, and how they join.
 *
 *     controller                        newcomers
 *     MPI_Comm_spawn, merge: bridge     MPI_Init, merge: bridge
 *     news ---------------------------> run directory, incarnation ...
 *     (the team works on)               prepare: open data, protect arrays
 *     <------------------------- ready  sleep
 *     a change begins; in its pass, all members with the newcomers:
 *     go -----------------------------> MPI_Intercomm_create over the bridge, merge, one exchange
 *     all others agree whether it went well
 *     verdict ------------------------> part of the candidate, or dismissed
 *
 * The spawn is the controller's alone: it costs the team nothing, and one that hangs endangers
 * nobody else. The exchange connects everybody with everybody while all agree that all live: a
 * connection that is set up later, to a process that is gone by then, can hang. Newcomers take no
 * part in the agreement, since it runs over the communicator that was there before them; hence the
 * verdict. A bridge that saw a loss is given up with all newcomers on it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "transport_internal.h"
#include "ulfm.h"

enum { NEWS_TAG = 11, READY_TAG, GO_TAG, VERDICT_TAG, JOIN_TAG };
enum { PAUSE_NS = 1000000 };
static const double verdict_limit_s = 30;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool bridge_is_broken(const struct transport *transport)
{
    return ulfm_is_revoked(transport->bridge) || ulfm_failed_count(transport->bridge) > 0;
}

/* Asleep until a message from the controller is there. */
static int await_message(struct transport *transport, int tag, double limit_s)
{
    double deadline_s = now_s() + limit_s;
    for (;;) {
        int arrived = 0;
        if (MPI_Iprobe(0, tag, transport->bridge, &arrived, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return ONWARD_ERR_LOST;
        if (arrived)
            return ONWARD_OK;
        if (bridge_is_broken(transport))
            return ONWARD_ERR_LOST;
        if (now_s() > deadline_s)
            return ONWARD_ERR_TIMEOUT;
        nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
    }
}

static int receive(struct transport *transport, int tag, void *bytes, size_t size, double limit_s)
{
    int code = await_message(transport, tag, limit_s);
    if (code != ONWARD_OK)
        return code;
    code = MPI_Recv(bytes, (int)size, MPI_BYTE, 0, tag, transport->bridge, MPI_STATUS_IGNORE);
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}

/* From the controller to every newcomer. */
static int tell_newcomers(struct transport *transport, int tag, const void *bytes, size_t size)
{
    int code = MPI_SUCCESS;
    for (uint32_t i = 1; i <= transport->newcomer_count && code == MPI_SUCCESS; i++)
        code = MPI_Send(bytes, (int)size, MPI_BYTE, (int)i, tag, transport->bridge);
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}

static int build_bridge(struct transport *transport, MPI_Comm inter, bool high, struct error *error)
{
    MPI_Comm_set_errhandler(inter, MPI_ERRORS_RETURN);
    int code = MPI_Intercomm_merge(inter, high, &transport->bridge);
    if (code != MPI_SUCCESS)
        return transport_fail_mpi(error, "MPI_Intercomm_merge", code);
    MPI_Comm_set_errhandler(transport->bridge, MPI_ERRORS_RETURN);
    return ONWARD_OK;
}

int transport_greet(struct transport *transport, MPI_Comm base, struct error *error)
{
    MPI_Comm parent = MPI_COMM_NULL;
    MPI_Comm_get_parent(&parent);
    transport->rank = -1;
    transport->ever_changed = true; /* to end MPI, this process needs its parents to end it too */
    if (parent == MPI_COMM_NULL)
        return error_set(error, ONWARD_ERR_ORDER,
                         "ONWARD_SPAWNED is set, but this process was not spawned");
    int code = MPI_Comm_dup(base, &transport->own);
    if (code != MPI_SUCCESS)
        return transport_fail_mpi(error, "MPI_Comm_dup", code);
    MPI_Comm_set_errhandler(transport->own, transport->handler);
    return build_bridge(transport, parent, true, error);
}

static int make_own(struct transport *transport, struct error *error)
{
    if (transport->own != MPI_COMM_NULL)
        return ONWARD_OK;
    int code = MPI_Comm_dup(MPI_COMM_SELF, &transport->own);
    if (code != MPI_SUCCESS)
        return transport_fail_mpi(error, "MPI_Comm_dup", code);
    MPI_Comm_set_errhandler(transport->own, MPI_ERRORS_RETURN);
    return ONWARD_OK;
}

static MPI_Info describe_spawn(const struct transport_spawn *spawn)
{
    MPI_Info info;
    assert(strlen(spawn->environment) < TRANSPORT_INFO_BYTES);
    assert(!spawn->host || strlen(spawn->host) < TRANSPORT_INFO_BYTES);
    MPI_Info_create(&info);
    MPI_Info_set(info, "PMIX_ENVAR", spawn->environment);
    if (spawn->host)
        MPI_Info_set(info, "host", spawn->host);
    if (spawn->host && spawn->host_is_new) /* it makes the host one of the job, and no more */
        MPI_Info_set(info, "PMIX_ADD_HOST", spawn->host);
    return info;
}

int transport_spawn(struct transport *transport, const struct transport_spawn *spawn,
                    const void *news, size_t size, struct error *error)
{
    MPI_Comm inter = MPI_COMM_NULL;
    transport_dismiss(transport);
    int code = make_own(transport, error);
    if (code != ONWARD_OK)
        return code;
    MPI_Info info = describe_spawn(spawn);
    int *codes = calloc(spawn->count, sizeof *codes);
    code = codes ? MPI_Comm_spawn(spawn->program, spawn->arguments, (int)spawn->count, info, 0,
                                  transport->own, &inter, codes)
                 : MPI_ERR_NO_MEM;
    free(codes);
    MPI_Info_free(&info);
    transport->ever_changed = true;
    if (code != MPI_SUCCESS)
        return transport_fail_mpi(error, "MPI_Comm_spawn", code);
    code = build_bridge(transport, inter, false, error);
    transport->newcomer_count = spawn->count;
    transport->ready_count = 0;
    if (code == ONWARD_OK && tell_newcomers(transport, NEWS_TAG, news, size) != ONWARD_OK)
        code = error_set(error, ONWARD_ERR_LOST, "a spawned process died as it started");
    if (code != ONWARD_OK)
        transport_dismiss(transport);
    return code;
}

enum transport_newcomers transport_newcomers(struct transport *transport)
{
    int arrived = 1;
    if (transport->newcomer_count == 0)
        return NEWCOMERS_NONE;
    while (arrived && transport->ready_count < transport->newcomer_count) {
        MPI_Status status;
        char ready;
        if (MPI_Iprobe(MPI_ANY_SOURCE, READY_TAG, transport->bridge, &arrived, &status) !=
                MPI_SUCCESS ||
            (arrived && MPI_Recv(&ready, 1, MPI_BYTE, status.MPI_SOURCE, READY_TAG,
                                 transport->bridge, MPI_STATUS_IGNORE) != MPI_SUCCESS))
            return NEWCOMERS_LOST;
        transport->ready_count += arrived != 0;
    }
    if (bridge_is_broken(transport))
        return NEWCOMERS_LOST;
    return transport->ready_count == transport->newcomer_count ? NEWCOMERS_READY
                                                               : NEWCOMERS_PREPARE;
}

/* The bridge is not freed: a revoke can be lost when its communicator is freed at once. */
void transport_dismiss(struct transport *transport)
{
    transport_revoke(transport->bridge);
    transport->bridge = MPI_COMM_NULL;
    transport->newcomer_count = transport->ready_count = 0;
}

int transport_take_news(struct transport *transport, void *news, size_t size, double limit_s)
{
    return receive(transport, NEWS_TAG, news, size, limit_s);
}

/* Everybody with everybody, so that every connection is there before it is needed. */
static int connect_all(MPI_Comm comm)
{
    int size;
    MPI_Comm_size(comm, &size);
    char *bytes = calloc(2, (size_t)size);
    if (!bytes)
        return MPI_ERR_NO_MEM;
    int code = MPI_Alltoall(bytes, 1, MPI_BYTE, bytes + size, 1, MPI_BYTE, comm);
    free(bytes);
    return code;
}

static int merge_and_connect(struct transport *transport, MPI_Comm inter, bool high,
                             MPI_Comm *merged)
{
    MPI_Comm_set_errhandler(inter, transport->handler);
    int code = MPI_Intercomm_merge(inter, high, merged);
    if (code != MPI_SUCCESS) {
        transport_revoke(inter);
        return code;
    }
    MPI_Comm_set_errhandler(*merged, transport->handler);
    code = connect_all(*merged);
    if (code != MPI_SUCCESS)
        transport_revoke(*merged);
    return code;
}

/* local: the group on this side. *merged is set as soon as it is there, also when what follows
 * fails. Who fails revokes what the others may be waiting on for it. */
static int merge_groups(struct transport *transport, MPI_Comm local, int remote_leader, bool high,
                        MPI_Comm *merged)
{
    MPI_Comm inter = MPI_COMM_NULL;
    int code = MPI_Intercomm_create(local, 0, transport->bridge, remote_leader, JOIN_TAG, &inter);
    return code == MPI_SUCCESS ? merge_and_connect(transport, inter, high, merged) : code;
}

static void enter_merged(struct transport *transport, MPI_Comm merged)
{
    transport->candidate = merged;
    transport->candidate_team = transport->movers = MPI_COMM_NULL;
    transport->loss_seen = false;
    transport->ever_changed = true;
}

int transport_await_join(struct transport *transport, double limit_s)
{
    char go, ready = 1;
    if (MPI_Send(&ready, 1, MPI_BYTE, 0, READY_TAG, transport->bridge) != MPI_SUCCESS)
        return ONWARD_ERR_LOST;
    return receive(transport, GO_TAG, &go, 1, limit_s);
}

int transport_enter(struct transport *transport)
{
    char verdict = 0;
    MPI_Comm merged = MPI_COMM_NULL;
    int merge_code = merge_groups(transport, transport->own, 0, true, &merged);
    int code = receive(transport, VERDICT_TAG, &verdict, 1, verdict_limit_s);
    if (code != ONWARD_OK || !verdict || merge_code != MPI_SUCCESS)
        return ONWARD_ERR_LOST;
    enter_merged(transport, merged);
    return ONWARD_OK;
}

/* The verdict is the same on every member that was there before; a member that left at the
 * broadcast says no in this same agreement, by the lowest bit of its flags. */
static bool join_newcomers(struct transport *transport, bool is_controller, MPI_Comm *merged)
{
    char go = 1;
    int code = MPI_SUCCESS, agreed;
    if (is_controller && tell_newcomers(transport, GO_TAG, &go, 1) != ONWARD_OK)
        code = MPI_ERR_OTHER;
    if (code == MPI_SUCCESS)
        code = merge_groups(transport, transport->candidate, 1, false, merged);
    if (code != MPI_SUCCESS)
        transport_revoke_all(transport); /* nobody is to wait for this member */
    agreed = code == MPI_SUCCESS;
    ulfm_agree(transport->candidate, &agreed);
    return agreed != 0;
}

int transport_offer(struct transport *transport, bool *offers)
{
    int is_offered = *offers;
    int code = MPI_Bcast(&is_offered, 1, MPI_INT, 0, transport->candidate);
    *offers = is_offered;
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_MPI;
}

int transport_join(struct transport *transport, int *rank, int *size)
{
    bool is_controller = *rank == 0;
    MPI_Comm merged = MPI_COMM_NULL;
    char verdict = join_newcomers(transport, is_controller, &merged);
    if (is_controller)
        tell_newcomers(transport, VERDICT_TAG, &verdict, 1);
    if (!verdict) {
        transport_revoke(merged);
        if (is_controller)
            transport_dismiss(transport);
        return ONWARD_ERR_LOST;
    }
    transport->bridge = MPI_COMM_NULL; /* they are members now; it is of no use any more */
    transport->newcomer_count = transport->ready_count = 0;
    enter_merged(transport, merged);
    MPI_Comm_rank(merged, rank);
    MPI_Comm_size(merged, size);
    return ONWARD_OK;
}
