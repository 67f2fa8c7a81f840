/* probe.c - onward-probe: does recovery really work here?
 *
 * Run by `onward doctor` as `mpirun --with-ft ulfm -n 3 onward-probe`. The last rank kills itself;
 * the others notice, revoke, shrink, agree, and one of them says how it went on standard output:
 *     ulfm yes|no DETAIL
 *     recovery yes MILLISECONDS
 * It leaves by _exit, since MPI_Finalize may hang after a failure.
 *
 * Two more trials have an argument, each its own start, since what hangs hangs for good:
 *     start          the ranks meet once, and end:  start yes SIZE
 *     spawn          rank 0 spawns this program, and merges:
 *                                                   spawn yes MILLISECONDS | spawn no REASON
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "heart.h"
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

static int lose_one(void)
{
    int rank, size;
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

/* As a member does: whoever started this sees from which hosts heartbeats arrive. */
static void beat(void)
{
    static const struct heart_marks marks;
    char host[BEAT_HOST_BYTES] = "";
    struct heart *heart;
    struct error error;
    gethostname(host, sizeof host - 1);
    if (heart_start(&marks, host, 1, &heart, &error) == ONWARD_OK)
        heart_stop(heart);
}

static int meet(void)
{
    int rank, size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    beat();
    int code = MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0 && code == MPI_SUCCESS)
        printf("start yes %d\n", size);
    MPI_Finalize();
    return 0;
}

/* Both sides of a spawn: they merge, and meet in what they merged to. */
static int join(MPI_Comm inter, int high)
{
    MPI_Comm both = MPI_COMM_NULL;
    MPI_Comm_set_errhandler(inter, MPI_ERRORS_RETURN);
    int code = MPI_Intercomm_merge(inter, high, &both);
    if (code != MPI_SUCCESS)
        return code;
    MPI_Comm_set_errhandler(both, MPI_ERRORS_RETURN);
    return MPI_Barrier(both);
}

static int spawn(const char *program)
{
    char child[] = "child", *arguments[] = {child, NULL}, reason[MPI_MAX_ERROR_STRING] = "";
    MPI_Comm inter = MPI_COMM_NULL;
    int launched = 0, length = 0;
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    double begin_s = now_s();
    int code =
        MPI_Comm_spawn(program, arguments, 1, MPI_INFO_NULL, 0, MPI_COMM_SELF, &inter, &launched);
    if (code == MPI_SUCCESS)
        code = join(inter, 0);
    if (code == MPI_SUCCESS) {
        printf("spawn yes %.0f\n", (now_s() - begin_s) * 1e3);
    } else {
        MPI_Error_string(code, reason, &length);
        printf("spawn no %s\n", reason);
    }
    fflush(stdout);
    return code;
}

/* The ranks but the first wait for the end, since a job is over when its processes are. */
static int spawn_one(const char *program)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0)
        spawn(program);
    MPI_Barrier(MPI_COMM_WORLD);
    usleep(200000);
    _exit(0);
}

static int be_spawned(void)
{
    MPI_Comm parent = MPI_COMM_NULL;
    MPI_Comm_get_parent(&parent);
    if (parent != MPI_COMM_NULL)
        join(parent, 1);
    usleep(200000);
    _exit(0);
}

int main(int argc, char **argv)
{
    if (MPI_Init(&argc, &argv) != MPI_SUCCESS)
        return 1;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    const char *trial = argc > 1 ? argv[1] : "";
    if (!strcmp(trial, "start"))
        return meet();
    if (!strcmp(trial, "spawn"))
        return spawn_one(argv[0]);
    if (!strcmp(trial, "child"))
        return be_spawned();
    return lose_one();
}
