/* transport_internal.h - what the files of the transport share. */
#ifndef MPI_TRANSPORT_INTERNAL_H
#define MPI_TRANSPORT_INTERNAL_H

#include "transport.h"

enum { CONTROL_TAG = 1, STATE_TAG };
enum bridge_tag { /* of messages on the bridge */
                  BRIDGE_NEWS = 11,
                  BRIDGE_READY,
                  BRIDGE_GO,
                  BRIDGE_WORD,
                  BRIDGE_VERDICT,
                  BRIDGE_JOIN
};

struct send_slot {
    MPI_Request request;
    unsigned char *bytes;
};

struct transport {
    MPI_Comm control, team;
    MPI_Comm candidate, candidate_team;
    MPI_Comm movers; /* of the candidate: those who move the state, where not just the team does */
    MPI_Comm own;    /* of this process alone (controller), or of its group (newcomer) */
    MPI_Comm bridge; /* controller and newcomers, while there are any */
    uint32_t newcomer_count, ready_count;
    MPI_Errhandler handler;
    bool owns_mpi; /* transport_start initialised MPI */
    bool fault_tolerant;
    bool loss_seen;    /* since the last adopt */
    bool ever_changed; /* MPI_Finalize may hang from now on */
    int rank, size;    /* in control */
    struct send_slot slots[TRANSPORT_SEND_SLOTS];
};

/* Unless it is MPI_COMM_NULL, or revoked already. */
void transport_revoke(MPI_Comm comm);
void transport_revoke_all(struct transport *transport);
int transport_fail_mpi(struct error *error, const char *call, int code);
/* Of the bridge: whether it saw a loss; one message from a rank there, asleep until it comes; from
 * the controller to every newcomer. */
bool transport_bridge_is_broken(const struct transport *transport);
int transport_bridge_receive(struct transport *transport, int from, int tag, void *bytes,
                             size_t size, double limit_s);
int transport_tell_newcomers(struct transport *transport, int tag, const void *bytes, size_t size);
/* A newcomer's side of transport_start. */
int transport_greet(struct transport *transport, MPI_Comm base, struct error *error);

#endif
