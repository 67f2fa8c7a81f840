/* transport.c - control and team, their error handler, messages, and the parts of an epoch change
 * that are MPI calls. How they fit together is in transport.h. */
#include "transport.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "transport_internal.h"
#include "ulfm.h"

enum { MOVE_CHUNK_BYTES = 16 * 1024 * 1024 };

/* MPI hands an error handler nothing but the communicator, and that may be one that the user
 * derived from the team; hence the one static pointer. */
static struct transport *the_transport;

void transport_revoke(MPI_Comm comm)
{
    if (comm != MPI_COMM_NULL && !ulfm_is_revoked(comm))
        ulfm_revoke(comm);
}

void transport_revoke_all(struct transport *transport)
{
    transport_revoke(transport->team);
    transport_revoke(transport->movers);
    transport_revoke(transport->candidate_team);
    transport_revoke(transport->candidate);
    transport_revoke(transport->control);
}

static void on_error(MPI_Comm *comm, int *error, ...)
{
    (void)comm;
    if (!the_transport || the_transport->loss_seen)
        return;
    the_transport->loss_seen = true;
    if (the_transport->fault_tolerant && ulfm_is_loss(*error))
        transport_revoke_all(the_transport);
}

int transport_fail_mpi(struct error *error, const char *call, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    return error_set(error, ONWARD_ERR_MPI, "%s failed: %s", call, text);
}

static int begin_mpi(MPI_Comm *base, bool *owns_mpi, struct error *error)
{
    int initialized = 0, code;
    MPI_Initialized(&initialized);
    if (*base != MPI_COMM_NULL)
        return initialized ? ONWARD_OK
                           : error_set(error, ONWARD_ERR_ORDER,
                                       "onward_open got a communicator before MPI_Init");
    if (!initialized) {
        int provided;
        code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
        if (code != MPI_SUCCESS)
            return transport_fail_mpi(error, "MPI_Init_thread", code);
        *owns_mpi = true;
    }
    *base = MPI_COMM_WORLD;
    return ONWARD_OK;
}

static int create_handler(struct transport *transport, struct error *error)
{
    int code = MPI_Comm_create_errhandler(on_error, &transport->handler);
    return code == MPI_SUCCESS ? ONWARD_OK
                               : transport_fail_mpi(error, "MPI_Comm_create_errhandler", code);
}

static int duplicate_base(struct transport *transport, MPI_Comm base, struct error *error)
{
    int code = MPI_Comm_dup(base, &transport->control);
    if (code != MPI_SUCCESS)
        return transport_fail_mpi(error, "MPI_Comm_dup", code);
    MPI_Comm_set_errhandler(transport->control, transport->handler);
    MPI_Comm_rank(transport->control, &transport->rank);
    MPI_Comm_size(transport->control, &transport->size);
    return ONWARD_OK;
}

/* The TCP layer of Open MPI writes to sockets of processes that may be dead by then; the signal of
 * that would end this one. A handler of the program's own stays. */
static void ignore_broken_pipes(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

int transport_start(MPI_Comm base, bool spawned, struct transport **result, struct error *error)
{
    if (the_transport)
        return error_set(error, ONWARD_ERR_ORDER, "onward is open in this process already");
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        return error_set(error, ONWARD_ERR_MEMORY, "no memory for the transport");
    transport->control = transport->team = MPI_COMM_NULL;
    transport->candidate = transport->candidate_team = transport->movers = MPI_COMM_NULL;
    transport->own = transport->bridge = MPI_COMM_NULL;
    for (int i = 0; i < TRANSPORT_SEND_SLOTS; i++)
        transport->slots[i].request = MPI_REQUEST_NULL;
    ignore_broken_pipes();
    int code = begin_mpi(&base, &transport->owns_mpi, error);
    if (code == ONWARD_OK) {
        transport->fault_tolerant = ulfm_is_on();
        code = create_handler(transport, error);
    }
    if (code == ONWARD_OK)
        code = spawned ? transport_greet(transport, base, error)
                       : duplicate_base(transport, base, error);
    if (code != ONWARD_OK) {
        free(transport);
        return code;
    }
    *result = the_transport = transport;
    return ONWARD_OK;
}

void transport_finish(struct transport *transport)
{
    if (!transport)
        return;
    /* A newcomer that never joined has no control. */
    bool quiet =
        !transport->ever_changed && !transport->loss_seen && transport->control != MPI_COMM_NULL;
    for (int i = 0; i < TRANSPORT_SEND_SLOTS; i++) {
        if (quiet && transport->slots[i].request != MPI_REQUEST_NULL)
            MPI_Wait(&transport->slots[i].request, MPI_STATUS_IGNORE);
        if (quiet) /* else a send that never ended may still read it */
            free(transport->slots[i].bytes);
    }
    if (quiet) {
        if (transport->team != MPI_COMM_NULL)
            MPI_Comm_free(&transport->team);
        MPI_Comm_free(&transport->control);
        MPI_Errhandler_free(&transport->handler);
        if (transport->owns_mpi)
            MPI_Finalize();
    }
    the_transport = NULL;
    free(transport);
}

bool transport_has_fault_tolerance(const struct transport *transport)
{
    return transport->fault_tolerant;
}

int transport_rank(const struct transport *transport)
{
    return transport->rank;
}

int transport_size(const struct transport *transport)
{
    return transport->size;
}

MPI_Comm transport_team(const struct transport *transport)
{
    return transport->team;
}

bool transport_loss_seen(const struct transport *transport)
{
    return transport->loss_seen;
}

void transport_note_loss(struct transport *transport)
{
    transport->loss_seen = true;
}

bool transport_change_due(struct transport *transport)
{
    if (transport->loss_seen)
        return true;
    if (!transport->fault_tolerant)
        return false;
    return ulfm_is_revoked(transport->control) || ulfm_failed_count(transport->control) > 0;
}

void transport_interrupt(struct transport *transport)
{
    transport->loss_seen = true;
    if (transport->fault_tolerant)
        transport_revoke_all(transport);
}

static struct send_slot *free_slot(struct transport *transport)
{
    for (int i = 0; i < TRANSPORT_SEND_SLOTS; i++) {
        struct send_slot *slot = &transport->slots[i];
        int done = 1;
        if (slot->request != MPI_REQUEST_NULL)
            MPI_Test(&slot->request, &done, MPI_STATUS_IGNORE);
        if (done)
            return slot;
    }
    return NULL;
}

int transport_send(struct transport *transport, int rank, const void *bytes, size_t size)
{
    assert(size <= TRANSPORT_MAX_MESSAGE_BYTES);
    struct send_slot *slot = free_slot(transport);
    if (!slot)
        return ONWARD_ERR_LIMIT;
    if (!slot->bytes && !(slot->bytes = malloc(TRANSPORT_MAX_MESSAGE_BYTES)))
        return ONWARD_ERR_MEMORY;
    memcpy(slot->bytes, bytes, size);
    int code = MPI_Isend(slot->bytes, (int)size, MPI_BYTE, rank, CONTROL_TAG, transport->control,
                         &slot->request);
    return code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}

bool transport_receive(struct transport *transport, void *bytes, size_t *size, int *source)
{
    int arrived = 0, count = 0;
    MPI_Status status;
    if (transport->loss_seen ||
        MPI_Iprobe(MPI_ANY_SOURCE, CONTROL_TAG, transport->control, &arrived, &status) !=
            MPI_SUCCESS ||
        !arrived)
        return false;
    MPI_Get_count(&status, MPI_BYTE, &count);
    if (count > TRANSPORT_MAX_MESSAGE_BYTES)
        return false;
    if (MPI_Recv(bytes, count, MPI_BYTE, status.MPI_SOURCE, CONTROL_TAG, transport->control,
                 MPI_STATUS_IGNORE) != MPI_SUCCESS)
        return false;
    *size = (size_t)count;
    *source = status.MPI_SOURCE;
    return true;
}

static int code_of(int mpi_code)
{
    return mpi_code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}

int transport_candidate(struct transport *transport, bool first, int *rank, int *size)
{
    if (first && transport->candidate == MPI_COMM_NULL) { /* a newcomer has joined one already */
        transport->candidate = transport->control;
    } else if (!first) {
        if (!transport->fault_tolerant)
            return ONWARD_ERR_NO_FAULT_TOLERANCE;
        MPI_Comm from =
            transport->candidate != MPI_COMM_NULL ? transport->candidate : transport->control;
        transport_revoke_all(transport);
        transport->ever_changed = true;
        MPI_Comm shrunk = MPI_COMM_NULL;
        int code = ulfm_shrink(from, &shrunk);
        if (code != MPI_SUCCESS || shrunk == MPI_COMM_NULL)
            return ONWARD_ERR_LOST;
        transport->candidate = shrunk;
        MPI_Comm_set_errhandler(shrunk, transport->handler);
    }
    transport->candidate_team = transport->movers = MPI_COMM_NULL;
    transport->loss_seen = false; /* of the candidate, from here on */
    MPI_Comm_rank(transport->candidate, rank);
    MPI_Comm_size(transport->candidate, size);
    return ONWARD_OK;
}

int transport_gather(struct transport *transport, const void *mine, size_t bytes, void *all)
{
    assert(bytes <= INT_MAX);
    return code_of(
        MPI_Gather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, 0, transport->candidate));
}

int transport_broadcast(struct transport *transport, void *bytes, size_t size)
{
    assert(size <= INT_MAX);
    return code_of(MPI_Bcast(bytes, (int)size, MPI_BYTE, 0, transport->candidate));
}

/* *part is set when all is well: the error handler, which may be called inside of the split,
 * revokes what it finds there. */
static int split_candidate(struct transport *transport, bool takes_part, int key, MPI_Comm *part)
{
    MPI_Comm split = MPI_COMM_NULL;
    int color = takes_part ? 0 : MPI_UNDEFINED;
    if (MPI_Comm_split(transport->candidate, color, key, &split) != MPI_SUCCESS)
        return ONWARD_ERR_LOST;
    if (split != MPI_COMM_NULL)
        MPI_Comm_set_errhandler(split, transport->handler);
    *part = split;
    return ONWARD_OK;
}

int transport_split(struct transport *transport, int lineup_rank)
{
    return split_candidate(transport, lineup_rank >= 0, lineup_rank, &transport->candidate_team);
}

int transport_split_movers(struct transport *transport, bool takes_part)
{
    return split_candidate(transport, takes_part, 0, &transport->movers);
}

int transport_move(struct transport *transport, bool over_movers, int root, void *bytes,
                   size_t size)
{
    MPI_Comm comm = over_movers ? transport->movers : transport->candidate_team;
    for (size_t done = 0; done < size; done += MOVE_CHUNK_BYTES) {
        size_t chunk = size - done < MOVE_CHUNK_BYTES ? size - done : MOVE_CHUNK_BYTES;
        int code = MPI_Bcast((char *)bytes + done, (int)chunk, MPI_BYTE, root, comm);
        if (code != MPI_SUCCESS)
            return ONWARD_ERR_LOST;
    }
    return ONWARD_OK;
}

int transport_agree(struct transport *transport, int flags)
{
    /* The flag is the same on every survivor even when the call reports a new failure; its return
     * code need not be. A new failure comes back at the next operation. */
    ulfm_agree(transport->candidate, &flags);
    return flags;
}

/* Sends on the communicator that ends now. One that is still under way may still read its bytes:
 * both are left alone. This comes before the new pair is in place, since the error that such a
 * request reports must not be taken for one of the new epoch. */
static void settle_sends(struct transport *transport)
{
    for (int i = 0; i < TRANSPORT_SEND_SLOTS; i++) {
        struct send_slot *slot = &transport->slots[i];
        int done = 1;
        if (slot->request != MPI_REQUEST_NULL &&
            MPI_Test(&slot->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            done = slot->request == MPI_REQUEST_NULL;
        if (!done) {
            slot->request = MPI_REQUEST_NULL;
            slot->bytes = NULL;
        }
    }
}

void transport_adopt(struct transport *transport)
{
    if (transport->candidate != transport->control) {
        transport->loss_seen = true; /* keeps the error handler quiet about the dead pair */
        settle_sends(transport);
    }
    transport->control = transport->candidate;
    transport->team = transport->candidate_team;
    transport->candidate = transport->candidate_team = transport->movers = MPI_COMM_NULL;
    transport->loss_seen = false;
    MPI_Comm_rank(transport->control, &transport->rank);
    MPI_Comm_size(transport->control, &transport->size);
}

void transport_leave_together(struct transport *transport)
{
    int flags = 1;
    ulfm_agree(transport->control, &flags);
}
