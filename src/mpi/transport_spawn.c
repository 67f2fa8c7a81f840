/* transport_spawn.c - members that are spawned while the others work, until they are ready to join.
 *
 *     controller                        newcomers
 *     MPI_Comm_spawn, merge: bridge     MPI_Init, merge: bridge
 *     news ---------------------------> run directory, incarnation ...
 *     (the team works on)               prepare: open data, protect arrays
 *     <------------------------- ready  sleep
 *     a change begins: transport_join.c
 *
 * The spawn is the controller's alone: it costs the team nothing, and one that hangs endangers
 * nobody else. A bridge that saw a loss is given up with all newcomers on it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "transport_internal.h"
#include "ulfm.h"

enum { PAUSE_NS = 1000000 };

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

bool transport_bridge_is_broken(const struct transport *transport)
{
    return ulfm_is_revoked(transport->bridge) || ulfm_failed_count(transport->bridge) > 0;
}

/* Asleep until a message from there is there. */
static int await_message(struct transport *transport, int from, int tag, double limit_s)
{
    double deadline_s = now_s() + limit_s;
    for (;;) {
        int arrived = 0;
        if (MPI_Iprobe(from, tag, transport->bridge, &arrived, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return ONWARD_ERR_LOST;
        if (arrived)
            return ONWARD_OK;
        if (transport_bridge_is_broken(transport))
            return ONWARD_ERR_LOST;
        if (now_s() > deadline_s)
            return ONWARD_ERR_TIMEOUT;
        nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
    }
}

int transport_bridge_receive(struct transport *transport, int from, int tag, void *bytes,
                             size_t size, double limit_s)
{
    int code = await_message(transport, from, tag, limit_s);
    if (code != ONWARD_OK)
        return code;
    code = MPI_Recv(bytes, (int)size, MPI_BYTE, from, tag, transport->bridge, MPI_STATUS_IGNORE);
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}

int transport_tell_newcomers(struct transport *transport, int tag, const void *bytes, size_t size)
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
    if (code == ONWARD_OK &&
        transport_tell_newcomers(transport, BRIDGE_NEWS, news, size) != ONWARD_OK)
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
        if (MPI_Iprobe(MPI_ANY_SOURCE, BRIDGE_READY, transport->bridge, &arrived, &status) !=
                MPI_SUCCESS ||
            (arrived && MPI_Recv(&ready, 1, MPI_BYTE, status.MPI_SOURCE, BRIDGE_READY,
                                 transport->bridge, MPI_STATUS_IGNORE) != MPI_SUCCESS))
            return NEWCOMERS_LOST;
        transport->ready_count += arrived != 0;
    }
    if (transport_bridge_is_broken(transport))
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
    return transport_bridge_receive(transport, 0, BRIDGE_NEWS, news, size, limit_s);
}

int transport_await_join(struct transport *transport, double limit_s)
{
    char go, ready = 1;
    if (MPI_Send(&ready, 1, MPI_BYTE, 0, BRIDGE_READY, transport->bridge) != MPI_SUCCESS)
        return ONWARD_ERR_LOST;
    return transport_bridge_receive(transport, 0, BRIDGE_GO, &go, 1, limit_s);
}
