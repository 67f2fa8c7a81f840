/* transport_join.c - how newcomers that are ready join the members, in a pass of a change.
 *
 *     members, the controller as their leader        newcomers
 *     go -----------------------------------------> (from the controller)
 *     are all there?                               <- word: here
 *     MPI_Intercomm_create over the bridge            the same
 *     did it go well?                              <- word: it did
 *     merge, one exchange                             the same
 *     did it go well?                              <- word: it did
 *
 * At each question the controller hears the newcomers, all members agree, and the controller tells
 * the newcomers the verdict: they take no part in the agreement, which runs over the communicator
 * that was there before them. The exchange connects everybody with everybody while all agree that
 * all live: a connection that is set up later, to a process that is gone by then, can hang.
 *
 * Somebody may be lost at any point, and others leave because of it. So whoever fails revokes all
 * that anybody may be waiting on for it: members the candidate, newcomers their own communicator;
 * the controller and the newcomers the bridge. Nobody goes on to the merge, which waits on the new
 * communicator, before all have that. What none of this frees is who waits inside of MPI for the
 * choice of a context ID: Open MPI 5.0.7 looks neither for a loss nor for a revoke there. The
 * caller bounds that, and the first question keeps it to losses within a few milliseconds. */
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "transport_internal.h"
#include "ulfm.h"

enum { LINGER_TURNS = 200, TURN_NS = 1000000 };
static const double word_limit_s = 4; /* below the time after which members kill themselves */
static const double verdict_limit_s = 30;

/* What is there of the join; the later ones come of the first. */
struct join {
    MPI_Comm inter, merged;
};

/* On behalf of this process nobody is to wait any more. */
static void call_off(struct transport *transport, const struct join *join)
{
    bool is_newcomer = transport->candidate == MPI_COMM_NULL;
    transport_revoke(join->merged);
    transport_revoke(join->inter);
    transport_revoke(transport->bridge);
    if (is_newcomer)
        transport_revoke(transport->own);
    else
        transport_revoke_all(transport);
}

static bool is_called_off(const struct transport *transport)
{
    if (transport->bridge != MPI_COMM_NULL && transport_bridge_is_broken(transport))
        return true;
    return transport->candidate != MPI_COMM_NULL &&
           (ulfm_is_revoked(transport->candidate) || ulfm_failed_count(transport->candidate) > 0);
}

/* local: the group on this side. */
static bool create(struct transport *transport, MPI_Comm local, int remote_leader,
                   struct join *join)
{
    MPI_Comm inter = MPI_COMM_NULL;
    if (MPI_Intercomm_create(local, 0, transport->bridge, remote_leader, BRIDGE_JOIN, &inter) !=
        MPI_SUCCESS)
        return false;
    MPI_Comm_set_errhandler(inter, transport->handler);
    join->inter = inter;
    return true;
}

/* One byte to and from everybody, so that every connection is there before it is needed. What is
 * under way when the join is called off is left alone, with its bytes. */
static bool connect_all(struct transport *transport, MPI_Comm comm)
{
    int size, done = 0;
    MPI_Comm_size(comm, &size);
    char *bytes = calloc(2, (size_t)size);
    MPI_Request *requests = calloc((size_t)size, 2 * sizeof *requests);
    bool good = bytes && requests;
    int count = 0;
    for (int i = 0; good && i < size; i++)
        good = MPI_Irecv(bytes + i, 1, MPI_BYTE, i, BRIDGE_JOIN, comm, &requests[count++]) ==
               MPI_SUCCESS;
    for (int i = 0; good && i < size; i++)
        good = MPI_Isend(bytes + size + i, 1, MPI_BYTE, i, BRIDGE_JOIN, comm, &requests[count++]) ==
               MPI_SUCCESS;
    while (good && !done) {
        good = MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE) == MPI_SUCCESS;
        if (good && !done) {
            good = !is_called_off(transport);
            sched_yield();
        }
    }
    if (good || count == 0) {
        free(bytes);
        free(requests);
    }
    return good;
}

static bool merge(struct transport *transport, bool high, struct join *join)
{
    MPI_Comm merged = MPI_COMM_NULL;
    if (MPI_Intercomm_merge(join->inter, high, &merged) != MPI_SUCCESS)
        return false;
    MPI_Comm_set_errhandler(merged, transport->handler);
    join->merged = merged;
    return connect_all(transport, merged);
}

static void enter_merged(struct transport *transport, MPI_Comm merged)
{
    transport->candidate = merged;
    transport->candidate_team = transport->movers = MPI_COMM_NULL;
    transport->loss_seen = false;
    transport->ever_changed = true;
}

/* It ends now, and what it revoked has to be on its way before. */
static void linger(const struct transport *transport)
{
    int flag;
    for (int i = 0; i < LINGER_TURNS; i++) {
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, transport->own, &flag, MPI_STATUS_IGNORE);
        nanosleep(&(struct timespec){0, TURN_NS}, NULL);
    }
}

/* A newcomer's end of a stage. */
static bool say_word(struct transport *transport, bool good, const struct join *join)
{
    char word = 1, verdict = 0;
    good = good && MPI_Send(&word, 1, MPI_BYTE, 0, BRIDGE_WORD, transport->bridge) == MPI_SUCCESS &&
           transport_bridge_receive(transport, 0, BRIDGE_VERDICT, &verdict, 1, verdict_limit_s) ==
               ONWARD_OK;
    if (good && verdict)
        return true;
    call_off(transport, join);
    linger(transport);
    return false;
}

int transport_enter(struct transport *transport)
{
    struct join join = {MPI_COMM_NULL, MPI_COMM_NULL};
    if (!say_word(transport, true, &join) ||
        !say_word(transport, create(transport, transport->own, 0, &join), &join) ||
        !say_word(transport, merge(transport, true, &join), &join))
        return ONWARD_ERR_LOST;
    enter_merged(transport, join.merged);
    return ONWARD_OK;
}

static bool hear_newcomers(struct transport *transport)
{
    char word;
    for (uint32_t i = 1; i <= transport->newcomer_count; i++)
        if (transport_bridge_receive(transport, (int)i, BRIDGE_WORD, &word, 1, word_limit_s) !=
            ONWARD_OK)
            return false;
    return true;
}

/* A member's end of a stage: the same on every member that was there before. One that left at the
 * offer says no in this same agreement, by the lowest bit of its flags. */
static bool agree(struct transport *transport, bool is_controller, bool good,
                  const struct join *join)
{
    good = good && (!is_controller || hear_newcomers(transport));
    if (!good)
        call_off(transport, join);
    int agreed = good;
    ulfm_agree(transport->candidate, &agreed);
    char verdict = agreed != 0;
    if (is_controller)
        transport_tell_newcomers(transport, BRIDGE_VERDICT, &verdict, 1);
    if (!verdict)
        call_off(transport, join);
    return verdict;
}

static bool join_newcomers(struct transport *transport, bool is_controller, struct join *join)
{
    char go = 1;
    bool good =
        !is_controller || transport_tell_newcomers(transport, BRIDGE_GO, &go, 1) == ONWARD_OK;
    good = good && MPI_Barrier(transport->candidate) == MPI_SUCCESS;
    return agree(transport, is_controller, good, join) &&
           agree(transport, is_controller, create(transport, transport->candidate, 1, join),
                 join) &&
           agree(transport, is_controller, merge(transport, false, join), join);
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
    struct join join = {MPI_COMM_NULL, MPI_COMM_NULL};
    if (!join_newcomers(transport, is_controller, &join)) {
        if (is_controller)
            transport_dismiss(transport);
        return ONWARD_ERR_LOST;
    }
    transport->bridge = MPI_COMM_NULL; /* they are members now; it is of no use any more */
    transport->newcomer_count = transport->ready_count = 0;
    enter_merged(transport, join.merged);
    MPI_Comm_rank(join.merged, rank);
    MPI_Comm_size(join.merged, size);
    return ONWARD_OK;
}
