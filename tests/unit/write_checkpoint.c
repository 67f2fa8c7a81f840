/* write_checkpoint.c - a task with checkpoints, for the tests of onward ckpt:
 *
 *     write_checkpoint DIR TASK SHARDS STEP...
 *     write_checkpoint DIR TASK mark STEP...     marks them as those that failed to be restored
 *
 * makes the run directory DIR/TASK where there is none, and a checkpoint of each STEP in so many
 * shards: "layer0/weights", 6 x 5 floats, element i is STEP + i / 8; "count", 3 integers, STEP + i;
 * "all", one integer, STEP, which is not the sum of all; "empty", no bytes. A metric "loss" goes
 * with each: the distance of STEP from 20. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "test_record.h"

enum { WEIGHTS = 30, COUNTS = 3, MAX_SHARDS = 16 };

static float weights[WEIGHTS];
static int64_t counts[COUNTS];
static struct checkpoint_array arrays[] = {
    {.name = "layer0/weights", .type = ONWARD_FLOAT, .ndims = 2, .dims = {6, 5}, .data = weights},
    {.name = "count", .type = ONWARD_INT64, .ndims = 1, .dims = {COUNTS}, .data = counts},
    {.name = "all", .type = ONWARD_INT64, .ndims = 1, .dims = {1}, .data = counts},
    {.name = "empty", .type = ONWARD_BYTE, .ndims = 1, .dims = {0}, .data = NULL}};
enum { ARRAYS = sizeof arrays / sizeof *arrays };

static int write_step(const char *run, const char *task, uint32_t size, int64_t step,
                      struct error *error)
{
    struct checkpoint_id id = {.incarnation = 1, .epoch = 2, .step = step};
    struct checkpoint_metric metric = {"loss", step > 20 ? (double)(step - 20) : 20 - (double)step};
    struct checkpoint_shard shards[MAX_SHARDS];
    int code = ONWARD_OK;
    snprintf(id.task, sizeof id.task, "%s", task);
    for (int i = 0; i < WEIGHTS; i++)
        weights[i] = (float)step + (float)i / 8;
    for (int i = 0; i < COUNTS; i++)
        counts[i] = step + i;
    for (uint32_t rank = 0; rank < size && code == ONWARD_OK; rank++)
        code = checkpoint_write_shard(run, &id, arrays, ARRAYS, rank, size, &shards[rank], error);
    if (code == ONWARD_OK)
        code = checkpoint_commit_with_metric(run, &id, &metric, arrays, ARRAYS, shards, size, NULL,
                                             0, NULL, error);
    return code;
}

int main(int argc, char **argv)
{
    struct error error = {.text = ""};
    struct rundir *rundir = NULL;
    bool marks = argc > 3 && strcmp(argv[3], "mark") == 0;
    if (argc < 4 || (!marks && atoi(argv[3]) < 1) || atoi(argv[3]) > MAX_SHARDS)
        return 2;
    struct task_record record = plain_record(argv[2]);
    int code = rundir_open(argv[1], argv[2], &record, &rundir, &error);
    for (int i = 4; i < argc && code == ONWARD_OK; i++)
        code = marks ? checkpoint_mark_failed(rundir_path(rundir), atoll(argv[i]), "a test", &error)
                     : write_step(rundir_path(rundir), argv[2], (uint32_t)atoi(argv[3]),
                                  atoll(argv[i]), &error);
    if (code != ONWARD_OK)
        fprintf(stderr, "write_checkpoint: %s\n", error.text);
    rundir_close(rundir);
    return code == ONWARD_OK ? 0 : 1;
}
