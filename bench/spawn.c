/* spawn.c - the floor of rung 2: a bare program that spawns one process of its own kind, merges the
 * two sides, and goes through one barrier with it.
 *
 *     mpirun -n N bench-spawn    prints "spawn SECONDS"
 *
 * Time runs on rank 0, from a barrier of the N before MPI_Comm_spawn to the end of the barrier of
 * all N+1; the start of the new process is part of it. */
#include <mpi.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"

/* MPI's own error handler ends the program where a call fails. */
static void join_parents(MPI_Comm parent)
{
    MPI_Comm merged;
    MPI_Intercomm_merge(parent, 1, &merged);
    MPI_Barrier(merged);
}

static double spawn_one(char *program)
{
    MPI_Comm inter, merged;
    int code;
    MPI_Barrier(MPI_COMM_WORLD);
    double begin_s = bench_now_s();
    MPI_Comm_spawn(program, MPI_ARGV_NULL, 1, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &inter, &code);
    MPI_Intercomm_merge(inter, 0, &merged);
    MPI_Barrier(merged);
    return bench_now_s() - begin_s;
}

int main(int argc, char **argv)
{
    MPI_Comm parent;
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_get_parent(&parent);
    if (parent != MPI_COMM_NULL) {
        join_parents(parent);
    } else {
        double spawn_s = spawn_one(argv[0]);
        if (rank == 0)
            printf("spawn %.6f\n", spawn_s);
    }
    fflush(stdout);
    usleep(100000); /* nobody is to see it leave */
    _exit(0);       /* MPI_Finalize of joined jobs hangs now and then */
}
