/* loss.c - the floor of rung 1: a bare ULFM program that loses a process and forms its
 * communicator again, as little as can be: revoke, shrink, agree, split.
 *
 *     mpirun --with-ft ulfm -n W+1 bench-loss    prints "loss SECONDS"
 *
 * Rank 0 stands apart as a controller would (its part of the split is its own). Time runs on the
 * first worker, from the end of the last allreduce that succeeded to the begin of the next, as
 * onward's stall_s does. The victim is the last rank. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "ulfm.h"

enum { STEPS = 40, LENGTH = 1000 };

static float data[LENGTH], total[LENGTH];

static double recover(MPI_Comm *control, MPI_Comm *team, double last_s)
{
    MPI_Comm shrunk, split;
    int flag = 1, rank;
    if (*team != MPI_COMM_NULL)
        ulfm_revoke(*team);
    ulfm_revoke(*control);
    if (ulfm_shrink(*control, &shrunk) != MPI_SUCCESS)
        return -1;
    MPI_Comm_rank(shrunk, &rank);
    MPI_Comm_split(shrunk, rank == 0 ? MPI_UNDEFINED : 0, rank, &split);
    ulfm_agree(shrunk, &flag);
    *control = shrunk;
    *team = split;
    return bench_now_s() - last_s;
}

static double work(MPI_Comm control, MPI_Comm team, int victim)
{
    double last_s = bench_now_s();
    for (int step = 0; step < STEPS; step++) {
        if (step == STEPS / 2 && victim)
            kill(getpid(), SIGKILL);
        for (int i = 0; i < LENGTH; i++)
            data[i] = data[i] * 0.5f + 1.0f;
        if (MPI_Allreduce(data, total, LENGTH, MPI_FLOAT, MPI_SUM, team) != MPI_SUCCESS)
            return recover(&control, &team, last_s);
        last_s = bench_now_s();
    }
    return -1;
}

int main(int argc, char **argv)
{
    int rank, size;
    MPI_Comm control, team;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_dup(MPI_COMM_WORLD, &control);
    MPI_Comm_split(control, rank == 0 ? MPI_UNDEFINED : 0, rank, &team);
    if (rank == 0) {
        while (!ulfm_is_revoked(control) && ulfm_failed_count(control) == 0) {
            int flag;
            MPI_Iprobe(MPI_ANY_SOURCE, 0, control, &flag, MPI_STATUS_IGNORE);
        }
        recover(&control, &team, 0);
    } else {
        double loss_s = work(control, team, rank == size - 1);
        if (rank == 1)
            printf("loss %.6f\n", loss_s);
        fflush(stdout);
    }
    usleep(100000);
    _exit(0);
}
