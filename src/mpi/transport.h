/* transport.h - the communicators of a task, and everything that onward asks of MPI but the sum.
 *
 * Two communicators live: `control` over all members, and `team` over the workers of the epoch.
 * An error handler on both notes that a loss was seen and revokes both, so that no member waits
 * for one that has left. An epoch change builds the next pair beside them:
 *
 *     transport_shrink -> (candidate) gather, broadcast, split, move state -> transport_agree
 *     -> transport_adopt, or transport_shrink again
 *
 * Communicators of a dead epoch are never freed: a revoke can be lost when its communicator is
 * freed at once (measured), a few kilobytes an epoch are the price, and restarts are bounded.
 *
 * One transport a process (the error handler finds it there). Not thread-safe. Functions return
 * enum onward_error; ONWARD_ERR_LOST wherever a loss came between. */
#ifndef MPI_TRANSPORT_H
#define MPI_TRANSPORT_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum {
    TRANSPORT_MAX_MESSAGE_BYTES = 64 * 1024,
    TRANSPORT_SEND_SLOTS = 128,
    TRANSPORT_INFO_BYTES = 250 /* of a text that goes to MPI_Comm_spawn, with NUL */
};

struct transport;

/* base: the caller's, or MPI_COMM_NULL to initialise MPI here. Collective over base. spawned: this
 * process was started by transport_spawn; it meets the controller, and has no rank yet. */
int transport_start(MPI_Comm base, bool spawned, struct transport **transport, struct error *error);

/* Ends MPI where transport_start began it: with MPI_Finalize if nothing was ever lost, else by
 * leaving it alone, since it may hang. Frees the handle. NULL is allowed. */
void transport_finish(struct transport *transport);

bool transport_has_fault_tolerance(const struct transport *transport);
int transport_rank(const struct transport *transport); /* in control */
int transport_size(const struct transport *transport);
MPI_Comm transport_team(const struct transport *transport); /* MPI_COMM_NULL: not in the lineup */

/* Whether an MPI call on control or team reported a loss since the last adopt. Does not progress.
 */
bool transport_loss_seen(const struct transport *transport);
void transport_note_loss(struct transport *transport);
/* Whether the lineup is to change: control was revoked, or a member is known to be lost. Does not
 * progress either: it comes behind transport_receive, which does. */
bool transport_change_due(struct transport *transport);
/* Makes every member notice: revokes team and control. */
void transport_interrupt(struct transport *transport);

/* The largest of each value over the team, on all of it. Collective over the team. */
int transport_max(struct transport *transport, int64_t *values, int count);

/* Messages on control. send copies and does not wait; ONWARD_ERR_LIMIT when too many are under way.
 */
int transport_send(struct transport *transport, int rank, const void *bytes, size_t size);
/* One message if there is one: true, with its size and source. bytes: TRANSPORT_MAX_MESSAGE_BYTES.
 */
bool transport_receive(struct transport *transport, void *bytes, size_t *size, int *source);

/* The epoch change. first: begin takes control as the candidate; later ones shrink. */
int transport_candidate(struct transport *transport, bool first, int *rank, int *size);
int transport_gather(struct transport *transport, const void *mine, size_t bytes, void *all);
/* Of each rank so many bytes, to rank 0, one behind the other; sizes: there, of all. */
int transport_gather_lists(struct transport *transport, const void *mine, size_t bytes, void *all,
                           const size_t *sizes);
/* Bytes from one rank of the candidate to another; both wait. */
int transport_put(struct transport *transport, int rank, const void *bytes, size_t size);
int transport_take(struct transport *transport, int rank, void *bytes, size_t size);
int transport_broadcast(struct transport *transport, void *bytes, size_t size);
int transport_split(struct transport *transport, int lineup_rank); /* -1: not in the lineup */
/* Collective over the candidate: who takes part gets a place among the movers. */
int transport_split_movers(struct transport *transport, bool takes_part);
/* Sends bytes from root to all of the new team, or of the movers. */
int transport_move(struct transport *transport, bool over_movers, int root, void *bytes,
                   size_t size);
/* Bitwise and of flags over the survivors: the same value on each, whatever failed meanwhile. */
int transport_agree(struct transport *transport, int flags);
/* The candidate and its team become control and team; the loss is forgotten. */
void transport_adopt(struct transport *transport);
/* Newcomers: processes that the controller spawns alone, while the others work (transport_spawn.c).
 * They meet it on a communicator of their own, the bridge, get ready in their own time, and are
 * joined to the others in a later pass. One group of them at a time. */
struct transport_spawn {
    const char *program;
    char **arguments; /* without the program's name; NULL at the end */
    uint32_t count;
    const char *host;        /* where: comma separated, as mpirun's --host; NULL: anywhere */
    const char *environment; /* NAME=VALUE; both texts below TRANSPORT_INFO_BYTES */
};
enum transport_newcomers { NEWCOMERS_NONE, NEWCOMERS_PREPARE, NEWCOMERS_READY, NEWCOMERS_LOST };
/* Controller: starts them and hands each the news. Blocks until they have started MPI; the caller
 * bounds it from outside. ONWARD_ERR_MPI with MPI's text. */
int transport_spawn(struct transport *transport, const struct transport_spawn *spawn,
                    const void *news, size_t size, struct error *error);
enum transport_newcomers transport_newcomers(struct transport *transport); /* controller */
void transport_dismiss(struct transport *transport); /* controller: they end themselves */
/* Newcomer: the news, then that it is ready and the wait (asleep) for its turn, then the join. LOST
 * when the controller is gone, TIMEOUT after limit_s. */
int transport_take_news(struct transport *transport, void *news, size_t size, double limit_s);
int transport_await_join(struct transport *transport, double limit_s);
int transport_enter(struct transport *transport);
/* In a pass, behind transport_candidate, on all but newcomers: whether the controller offers any,
 * all of whom are ready. MPI: this member has to say in the agreement that it failed. */
int transport_offer(struct transport *transport, bool *offers);
/* Then, where it does, joins them: the candidate holds them too, behind the others. LOST: all have
 * agreed that this pass fails. */
int transport_join(struct transport *transport, int *rank, int *size);

/* Waits for all living members of control; bounded by the caller's watchdog. */
void transport_leave_together(struct transport *transport);

#endif
