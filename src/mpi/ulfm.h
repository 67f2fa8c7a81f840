/* ulfm.h - the one place that knows under which names this MPI has user-level failure mitigation.
 *
 * configure looks for each call by compiling and linking it, under its standard name (MPI 5) and
 * under the MPIX_ name. Without them everything builds, ulfm_is_on() is false, and the library
 * runs without rungs 1 and 2 or refuses to open, as the caller asked. */
#ifndef MPI_ULFM_H
#define MPI_ULFM_H

#include <mpi.h>
#include <stdbool.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#if defined(HAVE_MPIX_COMM_REVOKE) && !defined(HAVE_MPI_COMM_REVOKE)
#include <mpi-ext.h>
#endif

#if defined(HAVE_MPI_COMM_REVOKE)
#define ULFM_CALL(name) MPI_Comm_##name
#define ULFM_PRESENT 1
#elif defined(HAVE_MPIX_COMM_REVOKE)
#define ULFM_CALL(name) MPIX_Comm_##name
#define ULFM_PRESENT 1
#else
#define ULFM_PRESENT 0
#endif

#if defined(MPIX_FT)
#define ULFM_ATTRIBUTE MPIX_FT
#elif defined(MPI_FT)
#define ULFM_ATTRIBUTE MPI_FT
#endif

/* Whether failures are really handled in this run: the calls are dummies when `mpirun` was not
 * given --with-ft ulfm, and then the attribute is there with the value 0. */
static inline bool ulfm_is_on(void)
{
#if ULFM_PRESENT && defined(ULFM_ATTRIBUTE)
    int *value = NULL, found = 0;
    MPI_Comm_get_attr(MPI_COMM_WORLD, ULFM_ATTRIBUTE, (void *)&value, &found);
    return found && value && *value;
#else
    return false;
#endif
}

static inline int ulfm_revoke(MPI_Comm comm)
{
#if ULFM_PRESENT
    return ULFM_CALL(revoke)(comm);
#else
    (void)comm;
    return MPI_ERR_OTHER;
#endif
}

static inline bool ulfm_is_revoked(MPI_Comm comm)
{
    int flag = 0;
#if ULFM_PRESENT
    if (ULFM_CALL(is_revoked)(comm, &flag) != MPI_SUCCESS)
        return true;
#else
    (void)comm;
#endif
    return flag != 0;
}

static inline int ulfm_shrink(MPI_Comm comm, MPI_Comm *shrunk)
{
#if ULFM_PRESENT
    return ULFM_CALL(shrink)(comm, shrunk);
#else
    (void)comm, (void)shrunk;
    return MPI_ERR_OTHER;
#endif
}

static inline int ulfm_agree(MPI_Comm comm, int *flag)
{
#if ULFM_PRESENT
    return ULFM_CALL(agree)(comm, flag);
#else
    return MPI_Allreduce(MPI_IN_PLACE, flag, 1, MPI_INT, MPI_BAND, comm);
#endif
}

/* How many members of comm this process knows to have failed. */
static inline int ulfm_failed_count(MPI_Comm comm)
{
    int count = 0;
#if ULFM_PRESENT
    MPI_Group group = MPI_GROUP_NULL;
#if defined(HAVE_MPI_COMM_GET_FAILED) || defined(HAVE_MPIX_COMM_GET_FAILED)
    if (ULFM_CALL(get_failed)(comm, &group) != MPI_SUCCESS)
        return 0;
#else
    if (ULFM_CALL(failure_ack)(comm) != MPI_SUCCESS ||
        ULFM_CALL(failure_get_acked)(comm, &group) != MPI_SUCCESS)
        return 0;
#endif
    MPI_Group_size(group, &count);
    if (group != MPI_GROUP_EMPTY)
        MPI_Group_free(&group);
#else
    (void)comm;
#endif
    return count;
}

/* Whether an MPI error means that a member was lost (here or, by a revoke, somewhere else). */
static inline bool ulfm_is_loss(int error)
{
#if ULFM_PRESENT
    int class = MPI_SUCCESS;
    MPI_Error_class(error, &class);
    return class == MPIX_ERR_PROC_FAILED || class == MPIX_ERR_PROC_FAILED_PENDING ||
           class == MPIX_ERR_REVOKED;
#else
    (void)error;
    return false;
#endif
}

/* As if a call on comm had failed with it: its error handler is called. */
static inline void ulfm_report_loss(MPI_Comm comm)
{
#if ULFM_PRESENT
    MPI_Comm_call_errhandler(comm, MPIX_ERR_REVOKED);
#else
    MPI_Comm_call_errhandler(comm, MPI_ERR_OTHER);
#endif
}

#endif
