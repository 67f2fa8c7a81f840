/* probe.c - onward-probe: does recovery really work here?
 *
 * Run by `onward doctor` as `mpirun --with-ft ulfm -n 3 onward-probe`. The last rank kills itself;
 * the others notice, revoke, shrink, agree, and one of them says how it went on standard output:
 *     ulfm yes|no DETAIL
 *     recovery yes MILLISECONDS
 * It leaves by _exit, since MPI_Finalize may hang after a failure. */
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ulfm.h"

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Barriers until the loss shows; bounded by count and by time. */
static int wait_for_loss(void)
{
    double limit_s = now_s() + 10;
    int code = MPI_SUCCESS;
    while (code == MPI_SUCCESS && now_s() < limit_s)
        code = MPI_Barrier(MPI_COMM_WORLD);
    return ulfm_is_loss(code);
}

static int recover(int expected)
{
    MPI_Comm shrunk = MPI_COMM_NULL;
    int flag = 1, size = 0;
    ulfm_revoke(MPI_COMM_WORLD);
    if (ulfm_shrink(MPI_COMM_WORLD, &shrunk) != MPI_SUCCESS || shrunk == MPI_COMM_NULL)
        return 0;
    MPI_Comm_size(shrunk, &size);
    return ulfm_agree(shrunk, &flag) == MPI_SUCCESS && flag == 1 && size == expected;
}

int main(int argc, char **argv)
{
    int rank, size;
    if (MPI_Init(&argc, &argv) != MPI_SUCCESS)
        return 1;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (!ulfm_is_on() || size < 3) {
        if (rank == 0)
            puts(size < 3 ? "ulfm no the probe needs 3 processes"
                          : "ulfm no MPI runs without fault tolerance");
        MPI_Finalize();
        return 0;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    double begin_s = now_s();
    if (rank == size - 1)
        kill(getpid(), SIGKILL);
    int works = wait_for_loss() && recover(size - 1);
    if (rank == 0) {
        printf("ulfm yes revoke, shrink and agree are there\n");
        if (works)
            printf("recovery yes %.0f\n", (now_s() - begin_s) * 1e3);
        else
            printf("recovery no a killed process was not survived\n");
        fflush(stdout);
    }
    usleep(200000); /* the others leave the agreement before this process is gone */
    _exit(0);
}
