/* grid_guard.c - see grid_guard.h.
 *
 * A receive that the loss finds unmatched is cancelled; one whose message is on its way is waited
 * for, so that nothing writes into memory that ScaLAPACK has given back. A send is packed into
 * memory of this file, which is kept until all workers have left ScaLAPACK: from then on nobody
 * asks for its bytes. Collective calls are trees of these two, and so is the agreement: ULFM's own
 * waits for every living worker, also for one that saw the loss first and is in the epoch change
 * already. Each communicator is derived by all workers or used by none: Open MPI crashes on one
 * that only some have. */
#include "grid_guard.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "grid.h"
#include "ulfm.h"

enum { MOST_SENDS = 64, MOST_COMMS = 32 };

struct pending_send {
    MPI_Request request;
    void *bytes;
};

/* MPI's calls have no place for a context, hence static. */
static struct {
    MPI_Comm team;
    bool inside, failing;
    int derived;
    int tag; /* of collective calls: one that BLACS does not get to */
    int comm_count;
    MPI_Comm comms[MOST_COMMS]; /* in which another worker may wait for a derivation */
    struct pending_send sends[MOST_SENDS];
} guard;

/* Who derives a communicator waits inside of MPI, and is freed by a revocation alone. There are
 * only short messages where communicators are derived, and none are remembered elsewhere. */
static void fail(void)
{
    guard.failing = true;
    for (int i = 0; i < guard.comm_count; i++)
        if (!ulfm_is_revoked(guard.comms[i]))
            ulfm_revoke(guard.comms[i]);
    guard.comm_count = 0;
}

/* The handler of the team takes note of the loss and revokes the team. */
static void check(int code)
{
    if (code == MPI_SUCCESS || guard.failing)
        return;
    fail();
    ulfm_report_loss(guard.team);
}

static bool is_failing(void)
{
    if (!guard.failing && ulfm_is_revoked(guard.team))
        fail();
    return guard.failing;
}

/* Those that a loss left behind are of an epoch before: all workers have left ScaLAPACK since. */
static void release_sends(void)
{
    for (int i = 0; i < MOST_SENDS; i++) {
        free(guard.sends[i].bytes);
        guard.sends[i] = (struct pending_send){MPI_REQUEST_NULL, NULL};
    }
}

void grid_guard_enter(MPI_Comm team)
{
    int *bound = NULL, found = 0;
    PMPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, (void *)&bound, &found);
    release_sends();
    guard.team = team;
    guard.inside = true;
    guard.failing = false;
    guard.derived = guard.comm_count = 0;
    guard.tag = found && bound ? *bound : 32767;
}

int grid_guard_derived(void)
{
    return guard.derived;
}

/* Also where it failed: a request that is complete is MPI_REQUEST_NULL. */
static bool is_complete(MPI_Request *request)
{
    int complete = 0;
    check(PMPI_Test(request, &complete, MPI_STATUS_IGNORE));
    return complete;
}

/* Waits until one of the sends is complete; NULL: a loss came first. */
static struct pending_send *free_send(void)
{
    while (!is_failing())
        for (int i = 0; i < MOST_SENDS; i++)
            if (!guard.sends[i].bytes || is_complete(&guard.sends[i].request)) {
                free(guard.sends[i].bytes);
                guard.sends[i] = (struct pending_send){MPI_REQUEST_NULL, NULL};
                return &guard.sends[i];
            }
    return NULL;
}

static void finish_sends(void)
{
    for (int i = 0; i < MOST_SENDS; i++)
        while (guard.sends[i].bytes && !is_failing() && !is_complete(&guard.sends[i].request))
            continue;
}

/* Who is failing says nothing: the team is revoked, and so nobody waits for it. */
static int agree(bool healthy)
{
    int own = healthy, all = 0;
    MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_MIN, guard.team);
    finish_sends();
    if (!is_failing() && all)
        return ONWARD_OK;
    check(MPI_ERR_OTHER); /* else the step would count on those who did not see it */
    return ONWARD_ERR_LOST;
}

int grid_guard_leave(void)
{
    finish_sends();
    int code = agree(true);
    if (code == ONWARD_OK)
        release_sends();
    guard.inside = false;
    return code;
}

int grid_agree(MPI_Comm team, bool healthy)
{
    grid_guard_enter(team);
    int code = agree(healthy);
    guard.inside = false;
    return code;
}

static void send(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm)
{
    int size, used = 0;
    struct pending_send *slot = free_send();
    if (!slot || PMPI_Pack_size(count, type, comm, &size) != MPI_SUCCESS)
        return;
    slot->bytes = malloc((size_t)size + 1);
    if (!slot->bytes) {
        check(MPI_ERR_NO_MEM);
        return;
    }
    check(PMPI_Pack(data, count, type, slot->bytes, size, &used, comm));
    check(PMPI_Isend(slot->bytes, used, MPI_PACKED, to, tag, comm, &slot->request));
}

static void finish_receive(MPI_Request *request)
{
    bool cancelled = false;
    while (!is_complete(request))
        if (!cancelled && is_failing()) {
            PMPI_Cancel(request);
            cancelled = true;
        }
}

/* Whose message is the next. A receive from any worker will not do: after a loss Open MPI neither
 * completes it nor lets it go once its message has come. */
static int next_source(int tag, MPI_Comm comm)
{
    MPI_Status status;
    int arrived = 0;
    while (!is_failing()) {
        check(PMPI_Iprobe(MPI_ANY_SOURCE, tag, comm, &arrived, &status));
        if (arrived)
            return status.MPI_SOURCE;
        if (ulfm_failed_count(comm) > 0)
            check(MPI_ERR_OTHER);
    }
    return MPI_PROC_NULL;
}

static void receive(void *data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm)
{
    MPI_Request request = MPI_REQUEST_NULL;
    if (from == MPI_ANY_SOURCE)
        from = next_source(tag, comm);
    if (is_failing())
        return;
    check(PMPI_Irecv(data, count, type, from, tag, comm, &request));
    finish_receive(&request);
}

/* From here on: what BLACS calls. */

int MPI_Send(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm)
{
    if (!guard.inside)
        return PMPI_Send(data, count, type, to, tag, comm);
    send(data, count, type, to, tag, comm);
    return MPI_SUCCESS;
}

int MPI_Rsend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm)
{
    if (!guard.inside)
        return PMPI_Rsend(data, count, type, to, tag, comm);
    send(data, count, type, to, tag, comm);
    return MPI_SUCCESS;
}

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    if (!guard.inside)
        return PMPI_Isend(data, count, type, to, tag, comm, request);
    send(data, count, type, to, tag, comm);
    *request = MPI_REQUEST_NULL;
    return MPI_SUCCESS;
}

int MPI_Recv(void *data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
             MPI_Status *status)
{
    if (!guard.inside)
        return PMPI_Recv(data, count, type, from, tag, comm, status);
    receive(data, count, type, from, tag, comm); /* BLACS does not read the status */
    return MPI_SUCCESS;
}

int MPI_Irecv(void *data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    if (!guard.inside)
        return PMPI_Irecv(data, count, type, from, tag, comm, request);
    *request = MPI_REQUEST_NULL;
    if (!is_failing())
        check(PMPI_Irecv(data, count, type, from, tag, comm, request));
    return MPI_SUCCESS;
}

/* Of BLACS' requests only those of receives are not null. */
int MPI_Waitall(int count, MPI_Request requests[], MPI_Status statuses[])
{
    if (!guard.inside)
        return PMPI_Waitall(count, requests, statuses);
    for (int i = 0; i < count; i++)
        finish_receive(&requests[i]);
    return MPI_SUCCESS;
}

int MPI_Bcast(void *data, int count, MPI_Datatype type, int root, MPI_Comm comm)
{
    int rank, size, bit = 1;
    if (!guard.inside)
        return PMPI_Bcast(data, count, type, root, comm);
    PMPI_Comm_rank(comm, &rank);
    PMPI_Comm_size(comm, &size);
    int place = (rank - root + size) % size;
    while (bit < size && !(place & bit))
        bit <<= 1;
    if (place != 0)
        receive(data, count, type, (rank - bit + size) % size, guard.tag, comm);
    for (bit >>= 1; bit > 0; bit >>= 1)
        if (place + bit < size)
            send(data, count, type, (rank + bit) % size, guard.tag, comm);
    return MPI_SUCCESS;
}

/* The operations of BLACS are commutative. */
int MPI_Reduce(const void *data, void *result, int count, MPI_Datatype type, MPI_Op op, int root,
               MPI_Comm comm)
{
    int rank, size;
    MPI_Aint lowest, extent;
    if (!guard.inside)
        return PMPI_Reduce(data, result, count, type, op, root, comm);
    PMPI_Comm_rank(comm, &rank);
    PMPI_Comm_size(comm, &size);
    PMPI_Type_get_extent(type, &lowest, &extent);
    size_t bytes = (size_t)extent * (size_t)count;
    char *own = malloc(2 * bytes + 1);
    if (!own) {
        check(MPI_ERR_NO_MEM);
        return MPI_SUCCESS;
    }
    char *other = own + bytes;
    memcpy(own, data, bytes);
    int place = (rank - root + size) % size, bit = 1;
    for (; bit < size && !(place & bit); bit <<= 1) {
        if (place + bit >= size)
            continue;
        receive(other, count, type, (rank + bit) % size, guard.tag, comm);
        if (!is_failing())
            check(PMPI_Reduce_local(other, own, count, type, op));
    }
    if (place == 0)
        memcpy(result, own, bytes);
    else
        send(own, count, type, (rank - bit + size) % size, guard.tag, comm);
    free(own);
    return MPI_SUCCESS;
}

int MPI_Allreduce(const void *data, void *result, int count, MPI_Datatype type, MPI_Op op,
                  MPI_Comm comm)
{
    if (!guard.inside)
        return PMPI_Allreduce(data, result, count, type, op, comm);
    MPI_Reduce(data, result, count, type, op, 0, comm);
    return MPI_Bcast(result, count, type, 0, comm);
}

static void remember(MPI_Comm comm)
{
    if (comm != MPI_COMM_NULL && guard.comm_count < MOST_COMMS)
        guard.comms[guard.comm_count++] = comm;
}

/* Whether the next communicator may be derived. */
static bool may_derive(MPI_Comm parent, MPI_Comm *made)
{
    *made = MPI_COMM_NULL;
    if (guard.derived++ == 0)
        remember(parent);
    return !is_failing();
}

static int derived(int code, MPI_Comm *made)
{
    check(code);
    if (agree(true) == ONWARD_OK)
        remember(*made);
    else
        *made = MPI_COMM_NULL;
    return MPI_SUCCESS;
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *made)
{
    if (!guard.inside)
        return PMPI_Comm_dup(comm, made);
    return may_derive(comm, made) ? derived(PMPI_Comm_dup(comm, made), made) : MPI_SUCCESS;
}

int MPI_Comm_create(MPI_Comm comm, MPI_Group group, MPI_Comm *made)
{
    if (!guard.inside)
        return PMPI_Comm_create(comm, group, made);
    return may_derive(comm, made) ? derived(PMPI_Comm_create(comm, group, made), made)
                                  : MPI_SUCCESS;
}

int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm *made)
{
    if (!guard.inside)
        return PMPI_Comm_split(comm, color, key, made);
    return may_derive(comm, made) ? derived(PMPI_Comm_split(comm, color, key, made), made)
                                  : MPI_SUCCESS;
}

/* BLACS takes the size of MPI_COMM_WORLD for the most workers that there can be; but others may
 * have been spawned. */
int MPI_Comm_size(MPI_Comm comm, int *size)
{
    int code = PMPI_Comm_size(comm, size);
    if (guard.inside && comm == MPI_COMM_WORLD)
        *size = GRID_GUARD_MOST_WORKERS;
    return code;
}
