/* heat.c - an MPI program that never heard of onward, for run_plain.mpi: heat spreads along a rod,
 * explicit steps, each rank a piece of it. It writes a restart file of its own now and then, starts
 * again from it on any number of ranks, and comes to the same bits then.
 *
 *     heat STEPS PAUSE_US [die RANK STEP | exit RANK STEP]
 *
 * die, exit: in the first incarnation that rank kills itself, or exits with 3, before that step. On
 * SIGTERM it writes the restart file and ends. Files: heat.restart (step and all cells), and
 * heat.result (the sum of the cells, in hexadecimal) in the working directory. */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CELLS = 240, RESTART_STEPS = 10 };

static volatile sig_atomic_t is_asked;
static int rank, size, counts[CELLS], first[CELLS];
static double rod[CELLS]; /* all of it, on each rank; its own piece is the newest */

static void take_signal(int number)
{
    (void)number;
    is_asked = 1;
}

static void split(void)
{
    for (int i = 0; i < size; i++) {
        first[i] = (int)((long)CELLS * i / size);
        counts[i] = (int)((long)CELLS * (i + 1) / size) - first[i];
    }
}

static long read_restart(void)
{
    long step = 0;
    FILE *file = rank == 0 ? fopen("heat.restart", "rb") : NULL;
    if (file && (fread(&step, sizeof step, 1, file) != 1 || fread(rod, sizeof rod, 1, file) != 1))
        MPI_Abort(MPI_COMM_WORLD, 4);
    if (file)
        fclose(file);
    MPI_Bcast(&step, 1, MPI_LONG, 0, MPI_COMM_WORLD);
    MPI_Bcast(rod, CELLS, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    return step;
}

static void write_restart(long step)
{
    FILE *file = rank == 0 ? fopen("heat.restart.new", "wb") : NULL;
    if (rank != 0)
        return;
    if (!file || fwrite(&step, sizeof step, 1, file) != 1 ||
        fwrite(rod, sizeof rod, 1, file) != 1 || fclose(file) != 0 ||
        rename("heat.restart.new", "heat.restart") != 0)
        MPI_Abort(MPI_COMM_WORLD, 5);
}

static void do_step(void)
{
    double next[CELLS];
    for (int i = first[rank]; i < first[rank] + counts[rank]; i++) {
        double left = i > 0 ? rod[i - 1] : 1, right = i < CELLS - 1 ? rod[i + 1] : 0;
        next[i] = rod[i] + 0.25 * (left - 2 * rod[i] + right);
    }
    MPI_Allgatherv(next + first[rank], counts[rank], MPI_DOUBLE, rod, counts, first, MPI_DOUBLE,
                   MPI_COMM_WORLD);
}

static void write_result(void)
{
    double sum = 0;
    for (int i = 0; i < CELLS; i++)
        sum += rod[i];
    FILE *file = fopen("heat.result", "w");
    if (!file || fprintf(file, "%a\n", sum) < 0 || fclose(file) != 0)
        MPI_Abort(MPI_COMM_WORLD, 6);
}

static void fail_where_asked(int argc, char **argv, long step)
{
    const char *incarnation = getenv("ONWARD_INCARNATION");
    if (argc < 6 || (incarnation && strcmp(incarnation, "1") != 0) || atoi(argv[4]) != rank ||
        atol(argv[5]) != step)
        return;
    if (!strcmp(argv[3], "die"))
        kill(getpid(), SIGKILL);
    exit(3);
}

int main(int argc, char **argv)
{
    long steps = argc > 2 ? atol(argv[1]) : 100;
    useconds_t pause_us = argc > 2 ? (useconds_t)atol(argv[2]) : 0;
    int all_asked = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    signal(SIGTERM, take_signal);
    split();
    long step = read_restart();
    if (rank == 0) {
        printf("%d ranks from step %ld\n", size, step);
        fflush(stdout);
    }
    for (; step < steps && !all_asked; step++) {
        int asked = is_asked;
        if (step % RESTART_STEPS == 0)
            write_restart(step);
        fail_where_asked(argc, argv, step);
        do_step();
        usleep(pause_us);
        MPI_Allreduce(&asked, &all_asked, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    }
    write_restart(step);
    if (rank == 0 && step == steps)
        write_result();
    MPI_Finalize();
    return 0;
}
