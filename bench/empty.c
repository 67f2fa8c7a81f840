/* empty.c - an MPI program that does nothing: what a start of mpirun costs at least.
 *
 *     mpirun -n N bench-empty */
#include <mpi.h>

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Finalize();
    return 0;
}
