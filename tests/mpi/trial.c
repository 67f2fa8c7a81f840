/* trial.c - a small task for the scenarios of tests/mpi: a float state that each step moves by a
 * sum of contributions which depend on the state, so that one lost, repeated or garbled step
 * changes the bits at the end.
 *
 *     trial [--steps N] [--subtasks N] [--length N] [--plain | --alloc] [--finish] [--pause US]
 *           [--spawned-dies US] [--spawned-waits US] [--spawned-late US] [--hang-at STEP]
 *           [--slow-at STEP] [--exit-at STEP] [--vanish-at STEP] [--stick-at STEP]
 *           [--poison SUBTASK] [--best-at STEP]
 *
 * Faults and the run directory come from the launcher's environment (ONWARD_INJECT, ...).
 * --plain protects without ONWARD_ATOMIC and then updates whatever the calls return; --alloc has
 * the state in the library's memory, and fills the next one whatever the calls return.
 * --hang-at, --slow-at, --exit-at, --vanish-at: in that step the worker of rank 1 does not come
 * back, takes 8 s more, calls exit, or ends without that, but once in a task. --stick-at: as
 * --hang-at, and the others wait for it in an MPI_Allreduce of the program. --poison: from step
 * POISON_STEP on, whoever is in that subtask dies of it. --best-at: a metric, how far it is to
 * there. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "onward.h"

enum { SLOW_S = 8, EXIT_STATUS = 3, POISON_STEP = 40 };

struct trial {
    size_t length;
    uint32_t subtasks;
    int64_t steps;
    int64_t hang_at, slow_at, exit_at, vanish_at, stick_at, best_at, poison; /* -1: in none */
    double reform_limit_s;                                                   /* 0: the usual one */
    long pause_us, spawned_waits_us, spawned_dies_us, spawned_late_us;
    bool plain, alloc, finish;
    int array;          /* --alloc: the state's number */
    const float *state; /* as of the last complete step */
    float *own, *total, *part;
};

static void read_arguments(struct trial *trial, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--steps") == 0)
            trial->steps = atoll(value);
        else if (strcmp(argv[i], "--subtasks") == 0)
            trial->subtasks = (uint32_t)atoi(value);
        else if (strcmp(argv[i], "--length") == 0)
            trial->length = (size_t)atoll(value);
        else if (strcmp(argv[i], "--pause") == 0)
            trial->pause_us = atol(value);
        else if (strcmp(argv[i], "--reform-limit") == 0)
            trial->reform_limit_s = atof(value);
        else if (strcmp(argv[i], "--spawned-waits") == 0)
            trial->spawned_waits_us = atol(value);
        else if (strcmp(argv[i], "--spawned-late") == 0)
            trial->spawned_late_us = atol(value);
        else if (strcmp(argv[i], "--spawned-dies") == 0)
            trial->spawned_dies_us = atol(value);
        else if (strcmp(argv[i], "--hang-at") == 0)
            trial->hang_at = atoll(value);
        else if (strcmp(argv[i], "--slow-at") == 0)
            trial->slow_at = atoll(value);
        else if (strcmp(argv[i], "--exit-at") == 0)
            trial->exit_at = atoll(value);
        else if (strcmp(argv[i], "--vanish-at") == 0)
            trial->vanish_at = atoll(value);
        else if (strcmp(argv[i], "--stick-at") == 0)
            trial->stick_at = atoll(value);
        else if (strcmp(argv[i], "--poison") == 0)
            trial->poison = atoll(value);
        else if (strcmp(argv[i], "--best-at") == 0)
            trial->best_at = atoll(value);
        trial->plain |= strcmp(argv[i], "--plain") == 0;
        trial->alloc |= strcmp(argv[i], "--alloc") == 0;
        trial->finish |= strcmp(argv[i], "--finish") == 0;
    }
}

static void contribute(const struct trial *trial, uint32_t subtask, int64_t step)
{
    if (step >= POISON_STEP && subtask == trial->poison)
        raise(SIGSEGV);
    for (size_t i = 0; i < trial->length; i++) {
        float x = trial->state[i] + (float)(subtask + 1) * 0.001f;
        trial->part[i] = x * (1.0f - x) * 0.37f + (float)((step * 7 + (int64_t)i) % 11) * 1e-3f;
    }
}

/* Who takes the role of a worker that was killed for it must not do the same. */
static bool is_first(const struct onward *ow)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/delayed", onward_run_directory(ow));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void delay(const struct onward *ow, const struct trial *trial,
                  const struct onward_role *role)
{
    bool hangs = role->step == trial->hang_at || role->step == trial->stick_at;
    bool is_slow = role->step == trial->slow_at;
    bool exits = role->step == trial->exit_at, vanishes = role->step == trial->vanish_at;
    if (role->rank != 1 || !(hangs || is_slow || exits || vanishes) || !is_first(ow))
        return;
    if (exits)
        exit(EXIT_STATUS);
    if (vanishes)
        _exit(EXIT_STATUS);
    while (hangs)
        usleep(1000);
    sleep(SLOW_S);
}

/* next may be state itself. */
static void update(const struct trial *trial, float *next)
{
    for (size_t i = 0; i < trial->length; i++)
        next[i] = trial->state[i] + 0.05f * trial->total[i] / (float)trial->subtasks -
                  0.01f * trial->state[i];
}

static void step(struct onward *ow, const struct trial *trial, const struct onward_role *role)
{
    int here = 1, all;
    delay(ow, trial, role);
    if (role->step == trial->stick_at)
        MPI_Allreduce(&here, &all, 1, MPI_INT, MPI_SUM, role->comm);
    onward_sum_begin(ow, ONWARD_FLOAT, trial->length);
    for (uint32_t k = role->first; k < role->first + role->count; k++) {
        contribute(trial, k, role->step);
        onward_sum_add(ow, k, trial->part);
    }
    if (trial->pause_us > 0)
        usleep((useconds_t)trial->pause_us);
    int code = onward_sum_end(ow, trial->total);
    if (code != ONWARD_OK && !trial->plain && !trial->alloc)
        return;
    float *next = trial->alloc ? onward_write(ow, trial->array) : trial->own;
    if (!next)
        return;
    update(trial, next);
    if (role->rank == 0)
        onward_metric(ow, "loss", next[0]);
    if (role->rank == 0 && trial->best_at >= 0)
        onward_metric(ow, "distance", (double)llabs(role->step - trial->best_at));
}

static void final_work(struct onward *ow, const struct trial *trial, const struct onward_role *role)
{
    char path[4200];
    if (role->rank != 0)
        return;
    snprintf(path, sizeof path, "%s/final.txt", onward_run_directory(ow));
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    fprintf(file, "%a\n", (double)trial->state[trial->length - 1]);
    fclose(file);
}

/* What a spawned member does before its first onward_next: waits, and sets the clock of its death,
 * which may strike before, in and after its join. */
static void begin_as_spawned(const struct trial *trial)
{
    struct itimerval death = {{0, 0},
                              {trial->spawned_dies_us / 1000000, trial->spawned_dies_us % 1000000}};
    if (!getenv("ONWARD_SPAWNED"))
        return;
    if (trial->spawned_waits_us > 0)
        usleep((useconds_t)trial->spawned_waits_us);
    if (trial->spawned_dies_us > 0)
        setitimer(ITIMER_REAL, &death, NULL);
}

static int protect(struct onward *ow, struct trial *trial)
{
    uint64_t dims[] = {trial->length};
    unsigned flags = ONWARD_REPLICATED | (trial->plain ? 0 : ONWARD_ATOMIC);
    if (trial->alloc)
        return onward_alloc(ow, "state", ONWARD_FLOAT, 1, dims, ONWARD_REPLICATED, &trial->array);
    return onward_protect(ow, "state", trial->own, ONWARD_FLOAT, 1, dims, flags);
}

static int work(struct onward *ow, struct trial *trial)
{
    struct onward_role role;
    begin_as_spawned(trial);
    int verdict = protect(ow, trial);
    if (verdict != ONWARD_OK)
        return verdict;
    while ((verdict = onward_next(ow, &role)) > ONWARD_DONE) {
        trial->state = trial->alloc ? onward_read(ow, trial->array) : trial->own;
        if (verdict == ONWARD_FINISH)
            final_work(ow, trial, &role);
        else
            step(ow, trial, &role);
    }
    return verdict;
}

int main(int argc, char **argv)
{
    struct trial trial = {.length = 1000,
                          .subtasks = 16,
                          .steps = 100,
                          .hang_at = -1,
                          .slow_at = -1,
                          .exit_at = -1,
                          .vanish_at = -1,
                          .stick_at = -1,
                          .poison = -1,
                          .best_at = -1};
    struct onward_options options;
    struct onward *ow;
    read_arguments(&trial, argc, argv);
    trial.own = calloc(trial.length, sizeof(float));
    trial.total = calloc(trial.length, sizeof(float));
    trial.part = calloc(trial.length, sizeof(float));
    onward_options_init(&options);
    options.subtask_count = trial.subtasks;
    options.step_count = trial.steps;
    options.wants_finish = trial.finish;
    if (trial.reform_limit_s > 0)
        options.reform_limit_s = trial.reform_limit_s;
    options.program = "trial";
    if (getenv("ONWARD_SPAWNED")) /* who spawns it waits until it calls MPI */
        usleep((useconds_t)trial.spawned_late_us);
    int code = onward_open(MPI_COMM_NULL, &options, &ow);
    if (code != ONWARD_OK) {
        fprintf(stderr, "trial: %s\n", onward_text(NULL));
        return onward_exit_code(code);
    }
    if (onward_is_controller(ow))
        code = onward_control(ow);
    else
        code = work(ow, &trial);
    if (code < 0)
        fprintf(stderr, "trial: %s\n", onward_text(ow));
    code = onward_exit_code(onward_close(ow));
    free(trial.own);
    free(trial.total);
    free(trial.part);
    return code;
}
