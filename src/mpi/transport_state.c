/* transport_state.c - what tasks with sharded state ask of MPI: lists of unequal length, parts from
 * one member to another, and an agreement between steps. */
#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "transport.h"
#include "transport_internal.h"

enum { PUT_CHUNK_BYTES = 16 * 1024 * 1024 };

static int code_of(int mpi_code)
{
    return mpi_code == MPI_SUCCESS ? ONWARD_OK : ONWARD_ERR_LOST;
}

int transport_max(struct transport *transport, int64_t *values, int count)
{
    return code_of(
        MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_INT64_T, MPI_MAX, transport->team));
}

/* Counts and places for MPI, from sizes. False: they do not fit. */
static bool lay_lists(const size_t *sizes, int count, int *counts, int *places)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        if (sizes[i] > INT_MAX - total)
            return false;
        counts[i] = (int)sizes[i];
        places[i] = (int)total;
        total += sizes[i];
    }
    return true;
}

int transport_gather_lists(struct transport *transport, const void *mine, size_t bytes, void *all,
                           const size_t *sizes)
{
    int size = 0, *counts = NULL, code = ONWARD_OK;
    assert(bytes <= INT_MAX);
    MPI_Comm_size(transport->candidate, &size);
    if (sizes) {
        counts = calloc(2 * (size_t)size, sizeof *counts);
        if (!counts || !lay_lists(sizes, size, counts, counts + size))
            code = counts ? ONWARD_ERR_LIMIT : ONWARD_ERR_MEMORY;
    }
    if (code == ONWARD_OK)
        code =
            code_of(MPI_Gatherv(mine, (int)bytes, MPI_BYTE, all, counts,
                                counts ? counts + size : NULL, MPI_BYTE, 0, transport->candidate));
    free(counts);
    return code;
}

int transport_put(struct transport *transport, int rank, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size; done += PUT_CHUNK_BYTES) {
        size_t chunk = size - done < PUT_CHUNK_BYTES ? size - done : PUT_CHUNK_BYTES;
        if (MPI_Send((const char *)bytes + done, (int)chunk, MPI_BYTE, rank, STATE_TAG,
                     transport->candidate) != MPI_SUCCESS)
            return ONWARD_ERR_LOST;
    }
    return ONWARD_OK;
}

int transport_take(struct transport *transport, int rank, void *bytes, size_t size)
{
    for (size_t done = 0; done < size; done += PUT_CHUNK_BYTES) {
        size_t chunk = size - done < PUT_CHUNK_BYTES ? size - done : PUT_CHUNK_BYTES;
        if (MPI_Recv((char *)bytes + done, (int)chunk, MPI_BYTE, rank, STATE_TAG,
                     transport->candidate, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return ONWARD_ERR_LOST;
    }
    return ONWARD_OK;
}
