/* sim.c - the seeded simulator: many lives of a task, each with its own failures.
 *
 *     sim [--schedules N] [--members M] [--jobs J] [--first-seed S]
 *     sim --seed S [--members M]         replays one schedule and tells all
 *
 * Safety is judged after every event. Liveness: once the faults of a schedule are used up it must
 * end within a bound of rounds. A failing seed is printed; exit status 1. */
#define _GNU_SOURCE
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

enum { ROUNDS_PER_STEP = 40, ROUNDS_AT_LEAST = 2000, MAX_JOBS = 64, MAX_FAILURES = 10 };

struct arguments {
    uint64_t schedules, first_seed, seed;
    uint32_t members, jobs;
    bool replay;
};

struct tally {
    uint64_t complete, gave_up, nobody, failed, events;
};

static void live(struct world *world)
{
    int64_t limit = ROUNDS_AT_LEAST + ROUNDS_PER_STEP * world->policy.step_count;
    for (int64_t round = 0; round < limit && !world->ended; round++) {
        if (world->change_due)
            passes_run(world);
        else
            rounds_run(world);
    }
    if (!world->ended)
        world_fail(world, "the task did not end");
}

/* Returns false when the schedule failed. */
static bool run_one(uint64_t seed, uint32_t members, bool verbose, struct tally *tally)
{
    struct world *world = world_create(seed, members, verbose);
    if (world == NULL)
        return false;
    live(world);
    bool good = world->failure[0] == 0;
    if (!good)
        fprintf(stderr, "seed %llu, members %u: %s (replay: sim --seed %llu --members %u)\n",
                (unsigned long long)seed, members, world->failure, (unsigned long long)seed,
                members);
    tally->events += world->events;
    tally->complete += world->end.type == ACTION_COMPLETE;
    tally->gave_up += world->end.type == ACTION_GIVE_UP;
    tally->nobody += world->end.type == 0;
    tally->failed += !good;
    world_destroy(world);
    return good;
}

/* Every jobs-th schedule, from the job's own on. */
static struct tally run_share(const struct arguments *arguments, uint32_t job)
{
    struct tally tally = {0};
    for (uint64_t i = job; i < arguments->schedules && tally.failed < MAX_FAILURES;
         i += arguments->jobs)
        run_one(arguments->first_seed + i, arguments->members, false, &tally);
    return tally;
}

static int start_job(const struct arguments *arguments, uint32_t job)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct tally tally = run_share(arguments, job);
        bool written = write(ends[1], &tally, sizeof(tally)) == sizeof(tally);
        _exit(written ? 0 : 1);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -1;
    }
    return ends[0];
}

/* What the job found; a job that did not answer is a failure of its own. */
static struct tally collect(int end)
{
    struct tally tally = {.failed = 1};
    if (end >= 0 && read(end, &tally, sizeof(tally)) != sizeof(tally))
        tally = (struct tally){.failed = 1};
    if (end >= 0)
        close(end);
    return tally;
}

static int run_many(const struct arguments *arguments)
{
    int ends[MAX_JOBS];
    struct tally sum = {0};
    for (uint32_t job = 0; job < arguments->jobs; job++)
        ends[job] = start_job(arguments, job);
    for (uint32_t job = 0; job < arguments->jobs; job++) {
        struct tally tally = collect(ends[job]);
        sum.complete += tally.complete;
        sum.gave_up += tally.gave_up;
        sum.nobody += tally.nobody;
        sum.failed += tally.failed;
        sum.events += tally.events;
    }
    while (wait(NULL) > 0)
        continue;
    printf("%llu schedules: %llu completed, %llu gave up, %llu had nobody left, %llu failed; "
           "%llu events\n",
           (unsigned long long)arguments->schedules, (unsigned long long)sum.complete,
           (unsigned long long)sum.gave_up, (unsigned long long)sum.nobody,
           (unsigned long long)sum.failed, (unsigned long long)sum.events);
    return sum.failed > 0;
}

static uint64_t number(const char *text, uint64_t least, uint64_t most, struct argp_state *argp)
{
    char *end = NULL;
    uint64_t value = strtoull(text, &end, 10);
    if (*text == 0 || *end != 0 || value < least || value > most)
        argp_error(argp, "%s is not a number from %llu to %llu", text, (unsigned long long)least,
                   (unsigned long long)most);
    return value;
}

static error_t take_argument(int key, char *value, struct argp_state *argp)
{
    struct arguments *arguments = argp->input;
    switch (key) {
    case 'n':
        arguments->schedules = number(value, 1, UINT32_MAX, argp);
        break;
    case 'm':
        arguments->members = (uint32_t)number(value, 1, 10000, argp);
        break;
    case 'j':
        arguments->jobs = (uint32_t)number(value, 1, MAX_JOBS, argp);
        break;
    case 'f':
        arguments->first_seed = number(value, 0, UINT64_MAX, argp);
        break;
    case 's':
        arguments->seed = number(value, 0, UINT64_MAX, argp);
        arguments->replay = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"schedules", 'n', "N", 0, "How many schedules to run (10000)", 0},
        {"members", 'm', "M", 0, "At most so many members each; above 256 exactly so many (64)", 0},
        {"jobs", 'j', "J", 0, "Processes to share the work among (2)", 0},
        {"first-seed", 'f', "S", 0, "Seed of the first schedule (1)", 0},
        {"seed", 's', "S", 0, "Replay this schedule and tell every event", 0},
        {0}};
    struct argp argp = {
        options, take_argument, "",  "Runs the decision core through seeded schedules of failures.",
        NULL,    NULL,          NULL};
    struct arguments arguments = {.schedules = 10000, .first_seed = 1, .members = 64, .jobs = 2};
    struct tally tally = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0)
        return 2;
    if (arguments.replay)
        return run_one(arguments.seed, arguments.members, true, &tally) ? 0 : 1;
    return run_many(&arguments);
}
