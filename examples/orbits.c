/* orbits.c - many bodies under their own gravity, with HDF5 files of the program's own: every so
 * many steps a snapshot orbits-STEP.h5. Any process may die, in the middle of a snapshot too.
 *
 *     onward run -n 4 -- ./orbits [BODIES STEPS]
 *     onward run -n 4 --inject kill:worker=0@step=100 -- ./orbits
 *     h5dump -d energy orbits-00000100.h5
 *
 * What a program that writes its own files has to do is in write_snapshot(): a file is named by its
 * step, so that a step that is done twice writes the same file with the same bits again; it is
 * written under another name, and gets its own when it is whole; and it is written by serial HDF5,
 * by one worker, from the state of complete steps. No file stays open from step to step. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "onward.h"

enum { SUBTASKS = 16, SNAPSHOT_STEPS = 50, MAX_BODIES = 100000 };

static const double time_step = 1e-3, softening = 1e-2;

struct system {
    uint64_t dims[2];       /* bodies, 3 */
    int position, velocity; /* arrays of onward_alloc */
    double *part, *force;   /* of one subtask, of all */
};

static double square(double x)
{
    return x * x;
}

/* Bodies on a spiral, turning; each has the mass 1 / BODIES. */
static void start(struct onward *ow, const struct system *system)
{
    double(*x)[3] = onward_write(ow, system->position),
    (*v)[3] = onward_write(ow, system->velocity);
    for (uint64_t i = 0; i < system->dims[0]; i++) {
        double share = (double)(i + 1) / (double)system->dims[0], angle = 2.4 * (double)i;
        double radius = sqrt(share), speed = 0.7 * share;
        memcpy(x[i], (double[]){radius * cos(angle), radius * sin(angle), 0.1 * cos(7 * angle)},
               sizeof x[i]);
        memcpy(v[i], (double[]){-speed * sin(angle), speed * cos(angle), 0}, sizeof v[i]);
    }
}

/* Of the bodies of one subtask; zero for the others, so that the sum over all subtasks is all. */
static void pull(const struct system *system, const double (*x)[3], uint32_t subtask)
{
    uint64_t bodies = system->dims[0];
    uint64_t first = bodies * subtask / SUBTASKS, end = bodies * (subtask + 1) / SUBTASKS;
    memset(system->part, 0, bodies * 3 * sizeof(double));
    for (uint64_t i = first; i < end; i++)
        for (uint64_t j = 0; j < bodies; j++) {
            double d[3], r2 = square(softening);
            for (int k = 0; k < 3; k++)
                r2 += square(d[k] = x[j][k] - x[i][k]);
            for (int k = 0; k < 3; k++)
                system->part[3 * i + k] += d[k] / (r2 * sqrt(r2) * (double)bodies);
        }
}

static void do_step(struct onward *ow, const struct system *system, const struct onward_role *role)
{
    uint64_t length = system->dims[0] * 3;
    const double *x = onward_read(ow, system->position), *v = onward_read(ow, system->velocity);
    onward_sum_begin(ow, ONWARD_DOUBLE, length);
    for (uint32_t subtask = role->first; subtask < role->first + role->count; subtask++) {
        pull(system, onward_read(ow, system->position), subtask);
        onward_sum_add(ow, subtask, system->part);
    }
    if (onward_sum_end(ow, system->force) != ONWARD_OK)
        return; /* a worker was lost: the step will be done again */
    double *new_x = onward_write(ow, system->position), *new_v = onward_write(ow, system->velocity);
    for (uint64_t i = 0; i < length; i++) {
        new_v[i] = v[i] + time_step * system->force[i];
        new_x[i] = x[i] + time_step * new_v[i];
    }
}

static int write_array(hid_t file, const char *name, int ndims, const uint64_t *dims,
                       const void *data)
{
    hsize_t extents[2] = {dims[0], ndims > 1 ? dims[1] : 0};
    hid_t space = H5Screate_simple(ndims, extents, NULL);
    hid_t set =
        H5Dcreate2(file, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int failed = H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0;
    failed |= H5Dclose(set) < 0;
    failed |= H5Sclose(space) < 0;
    return failed;
}

static double kinetic_energy(const struct system *system, const double *v)
{
    double sum = 0;
    for (uint64_t i = 0; i < system->dims[0] * 3; i++)
        sum += 0.5 * square(v[i]) / (double)system->dims[0];
    return sum;
}

/* The state before that step. Returns 0, or 1 after saying what failed: the program goes on. */
static int write_snapshot(struct onward *ow, const struct system *system, int64_t step)
{
    const uint64_t one[] = {1};
    char path[64], temporary[96];
    const double *v = onward_read(ow, system->velocity);
    double energy = kinetic_energy(system, v);
    snprintf(path, sizeof path, "orbits-%08lld.h5", (long long)step);
    snprintf(temporary, sizeof temporary, ".%s.%ld", path, (long)getpid());
    hid_t file = H5Fcreate(temporary, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    int failed = file < 0;
    failed =
        failed || write_array(file, "position", 2, system->dims, onward_read(ow, system->position));
    failed = failed || write_array(file, "velocity", 2, system->dims, v);
    failed = failed || write_array(file, "energy", 1, one, &energy);
    failed = (file >= 0 && H5Fclose(file) < 0) || failed;
    failed = failed || rename(temporary, path) != 0;
    if (failed) {
        remove(temporary);
        fprintf(stderr, "orbits: %s cannot be written\n", path);
    }
    return failed;
}

/* Lengths and times have no unit: the gravity and the mass of all bodies are 1. */
static int protect(struct onward *ow, struct system *system)
{
    int code = onward_alloc(ow, "position", ONWARD_DOUBLE, 2, system->dims, ONWARD_REPLICATED,
                            &system->position);
    if (code == ONWARD_OK)
        code = onward_alloc(ow, "velocity", ONWARD_DOUBLE, 2, system->dims, ONWARD_REPLICATED,
                            &system->velocity);
    if (code == ONWARD_OK)
        code = onward_describe(ow, "position", "body,axis", "1");
    return code == ONWARD_OK ? onward_describe(ow, "velocity", "body,axis", "1") : code;
}

static void work(struct onward *ow, struct system *system)
{
    struct onward_role role;
    int verdict;
    if (protect(ow, system) != ONWARD_OK)
        return;
    start(ow, system);
    while ((verdict = onward_next(ow, &role)) > ONWARD_DONE) {
        if (role.rank == 0 && (role.step % SNAPSHOT_STEPS == 0 || verdict == ONWARD_FINISH))
            write_snapshot(ow, system, role.step);
        if (verdict == ONWARD_STEP)
            do_step(ow, system, &role);
    }
}

int main(int argc, char **argv)
{
    struct system system = {.dims = {argc > 2 ? strtoull(argv[1], NULL, 10) : 500, 3}};
    struct onward_options options;
    struct onward *ow;
    onward_options_init(&options);
    options.subtask_count = SUBTASKS;
    options.step_count = argc > 2 ? strtoll(argv[2], NULL, 10) : 300;
    options.wants_finish = true;
    if (system.dims[0] < 2 || system.dims[0] > MAX_BODIES || options.step_count < 1) {
        fprintf(stderr, "orbits: expected 2 to %d bodies and at least 1 step\n", MAX_BODIES);
        return 2;
    }
    if (onward_open(MPI_COMM_NULL, &options, &ow) != ONWARD_OK) {
        fprintf(stderr, "orbits: %s\n", onward_text(NULL));
        return 1;
    }
    system.part = calloc(system.dims[0] * 3, sizeof(double));
    system.force = calloc(system.dims[0] * 3, sizeof(double));
    if (onward_is_controller(ow))
        onward_control(ow);
    else if (system.part && system.force)
        work(ow, &system);
    free(system.part);
    free(system.force);
    return onward_exit_code(onward_close(ow));
}
