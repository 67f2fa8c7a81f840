/* power_plain.c - the largest eigenvalue of a matrix by power iteration: an ordinary MPI loop, in
 * which the loss of one process is the loss of all. power.c is the same with onward.
 *
 *     mpirun -n 4 power_plain */
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "power.h"

static double x[ORDER], part[ORDER], total[ORDER];

int main(int argc, char **argv)
{
    int rank, size;
    double eigenvalue = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    start_vector(x);
    for (int step = 0; step < STEPS; step++) {
        memset(part, 0, sizeof part);
        for (int block = rank; block < BLOCKS; block += size)
            multiply_block(block, x, part);
        MPI_Allreduce(part, total, ORDER, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
        eigenvalue = normalise(total, x);
    }
    if (rank == 0)
        printf("largest eigenvalue %.12f\n", eigenvalue);
    MPI_Finalize();
    return 0;
}
