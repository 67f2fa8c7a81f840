/* ckpt.c - what the shared and the local level of checkpoints cost beside the file system itself.
 *
 *     bench-ckpt local DIR BYTES ROUNDS     prints "local ONWARD_S RAW_S EXTRA_BYTES LIMIT_BYTES"
 *     bench-ckpt write DIR BYTES ROUNDS     prints "write ONWARD_S RAW_S PEAK_BYTES LIMIT_BYTES"
 *     bench-ckpt read DIR BYTES ROUNDS      prints "read ONWARD_S RAW_S"
 *     bench-ckpt blocks DIR BYTES ROUNDS    prints "read ONWARD_S RAW_S"
 *
 * local: one worker's copy of BYTES on its host, against the same bytes written to one file there,
 * neither synced; rounds of the two alternate, medians. EXTRA_BYTES is what a checkpoint behind the
 * steps takes in memory over the state: how much the process grows from before it to its end, and,
 * where DIR is in memory, the copy from which it is written; LIMIT_BYTES what is aimed at.
 * write: one worker's shard of BYTES and the commit, against the same bytes written and synced to
 * one file; rounds of the two alternate, medians. PEAK_BYTES is how much more memory the process
 * had at its peak than before with the state in it, state included, in a process of its own;
 * LIMIT_BYTES what is aimed at. read: a checkpoint that 4 workers wrote, of BYTES in all, as 3
 * workers read it, each its own third and one after the other, against plain reads of the same
 * bytes from the shards. What was read before is in the page cache for both. blocks: the same of a
 * field that 4 workers wrote in blocks of two by two, and 3 read in bands of rows. */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "checkpoint.h"
#include "copy.h"
#include "slab.h"

enum {
    MAX_ROUNDS = 100,
    WRITERS = 4,
    READERS = 3,
    PIECE_BYTES = 1 << 22,
    COLUMNS = 1024,
    FIELD_COLUMNS = 16384
};

struct bench {
    const char *directory;
    size_t bytes;
    int rounds;
    struct checkpoint_array array;
};

static struct error error;

static void expect(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench-ckpt: %s: %s\n", what, error.text);
    exit(1);
}

static void fill(struct bench *bench, size_t columns)
{
    size_t count = bench->bytes / sizeof(float);
    float *values = malloc(bench->bytes);
    expect(values != NULL, "out of memory");
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(i * 2654435761u % 1000003u);
    bench->array = (struct checkpoint_array){
        .name = "state", .type = ONWARD_FLOAT, .ndims = 2, .dims = {count / columns, columns}};
    bench->array.data = values;
}

static void save(const struct bench *bench, int64_t step, uint32_t size)
{
    struct checkpoint_id id = {.task = "bench", .incarnation = 1, .epoch = 1, .step = step};
    struct checkpoint_shard shards[WRITERS];
    for (uint32_t rank = 0; rank < size; rank++)
        expect(checkpoint_write_shard(bench->directory, &id, &bench->array, 1, rank, size,
                                      &shards[rank], &error) == ONWARD_OK,
               "write");
    expect(checkpoint_commit(bench->directory, &id, &bench->array, 1, shards, size, &error) ==
               ONWARD_OK,
           "commit");
}

/* Returns the time it takes, but for the removal of the file. */
static double write_raw(const struct bench *bench, bool is_synced)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/raw", bench->directory);
    double begin_s = bench_now_s();
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    expect(fd >= 0, path);
    for (size_t done = 0; done < bench->bytes; done += PIECE_BYTES) {
        size_t piece = bench->bytes - done < PIECE_BYTES ? bench->bytes - done : PIECE_BYTES;
        expect(write(fd, (const char *)bench->array.data + done, piece) == (ssize_t)piece, path);
    }
    expect((!is_synced || fsync(fd) == 0) && close(fd) == 0, path);
    double took_s = bench_now_s() - begin_s;
    expect(unlink(path) == 0, path);
    return took_s;
}

static double peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024;
}

static double limit_bytes(const struct bench *bench)
{
    return 1.1 * (double)bench->bytes + (64 << 20);
}

static int bench_write(struct bench *bench)
{
    double onward_s[MAX_ROUNDS] = {0}, raw_s[MAX_ROUNDS] = {0};
    double before = peak_bytes();
    fill(bench, COLUMNS);
    save(bench, 1, 1);
    double peak = peak_bytes() - before;
    checkpoint_remove(bench->directory, 1, NULL);
    for (int i = 0; i < bench->rounds; i++) {
        double begin_s = bench_now_s();
        save(bench, 2, 1);
        onward_s[i] = bench_now_s() - begin_s;
        checkpoint_remove(bench->directory, 2, NULL);
        raw_s[i] = write_raw(bench, true);
    }
    printf("write %.6f %.6f %.0f %.0f\n", bench_median(onward_s, bench->rounds),
           bench_median(raw_s, bench->rounds), peak, limit_bytes(bench));
    return 0;
}

/* A checkpoint behind the steps, and how much more memory there was for it. */
static double extra_bytes(const struct bench *bench)
{
    struct checkpoint_id id = {.task = "bench", .incarnation = 1, .epoch = 1, .step = 1};
    struct checkpoint_staged *staged;
    struct checkpoint_shard shard;
    struct statfs status;
    double before = peak_bytes();
    expect(checkpoint_stage_shard(bench->directory, &id, &bench->array, 1, 0, 1, &staged, &error) ==
               ONWARD_OK,
           "copy");
    double copy = (double)checkpoint_staged_bytes(staged);
    expect(checkpoint_save_staged(staged, bench->directory, NULL, &shard, &error) == ONWARD_OK,
           "save");
    checkpoint_free_staged(staged);
    expect(statfs(bench->directory, &status) == 0, bench->directory);
    return peak_bytes() - before + (status.f_type == TMPFS_MAGIC ? copy : 0);
}

static int bench_local(struct bench *bench)
{
    double onward_s[MAX_ROUNDS] = {0}, raw_s[MAX_ROUNDS] = {0};
    struct copy_place place = {.directory = bench->directory, .task = "bench", .run = 1};
    struct copy_id id = {.incarnation = 1, .epoch = 1, .shard_count = 1};
    uint64_t bytes = 0;
    fill(bench, COLUMNS);
    double extra = extra_bytes(bench);
    for (int i = 0; i < bench->rounds; i++) {
        id.step = i + 1;
        double begin_s = bench_now_s();
        expect(copy_write(&place, &id, &bench->array, 1, &bytes, &error) == ONWARD_OK, "copy");
        onward_s[i] = bench_now_s() - begin_s;
        copy_remove(&place, &id);
        raw_s[i] = write_raw(bench, false);
    }
    printf("local %.6f %.6f %.0f %.0f\n", bench_median(onward_s, bench->rounds),
           bench_median(raw_s, bench->rounds), extra, limit_bytes(bench));
    return 0;
}

/* Seconds of the reading alone, as below. */
static double read_thirds(const struct bench *bench, char *into)
{
    double begin_s = bench_now_s();
    for (uint32_t rank = 0; rank < READERS; rank++) {
        uint64_t first, count;
        checkpoint_rows(bench->array.dims[0], READERS, rank, &first, &count);
        expect(checkpoint_read_rows(bench->directory, 1, &bench->array, first, count,
                                    into + first * COLUMNS * sizeof(float), &error) == ONWARD_OK,
               "read");
    }
    double took_s = bench_now_s() - begin_s;
    expect(memcmp(into, bench->array.data, bench->bytes) == 0, "wrong bytes were read");
    return took_s;
}

/* Block (row, column) of so many, and room for what is in it. */
static struct checkpoint_array part_of(const struct bench *bench, struct onward_slab *slab, int row,
                                       int rows, int column, int columns)
{
    struct checkpoint_array part = bench->array;
    *slab = slab_whole(part.ndims, part.dims);
    onward_slab_block(slab, 0, part.dims[0], row, rows);
    onward_slab_block(slab, 1, part.dims[1], column, columns);
    expect(slab_normalise(slab, part.ndims, part.dims), "layout");
    part.sharded = true;
    part.slab_count = 1;
    part.slabs = slab;
    part.data = malloc(slab_elements(slab, part.ndims, part.dims) * sizeof(float));
    expect(part.data != NULL, "out of memory");
    return part;
}

static void copy_block(const struct bench *bench, const struct checkpoint_array *part)
{
    const struct onward_slab *slab = part->slabs;
    uint64_t rows = slab_extent(slab, 0, part->dims), columns = slab_extent(slab, 1, part->dims);
    for (uint64_t i = 0; i < rows; i++)
        memcpy((float *)part->data + i * columns,
               (const float *)bench->array.data + (slab->start[0] + i) * part->dims[1] +
                   slab->start[1],
               columns * sizeof(float));
}

static void save_blocks(const struct bench *bench)
{
    struct checkpoint_id id = {.task = "bench", .incarnation = 1, .epoch = 1, .step = 1};
    struct checkpoint_shard shards[WRITERS];
    struct checkpoint_slab slabs[WRITERS];
    struct checkpoint_array whole = bench->array;
    for (uint32_t rank = 0; rank < WRITERS; rank++) {
        slabs[rank] = (struct checkpoint_slab){.shard = rank};
        struct checkpoint_array part =
            part_of(bench, &slabs[rank].slab, (int)rank / 2, 2, (int)rank % 2, 2);
        copy_block(bench, &part);
        expect(checkpoint_write_shard(bench->directory, &id, &part, 1, rank, WRITERS, &shards[rank],
                                      &error) == ONWARD_OK,
               "write");
        free(part.data);
    }
    whole.sharded = true;
    expect(checkpoint_commit_slabs(bench->directory, &id, &whole, 1, shards, WRITERS, slabs,
                                   WRITERS, &error) == ONWARD_OK,
           "commit");
}

static double read_bands(const struct bench *bench)
{
    double took_s = 0;
    for (int rank = 0; rank < READERS; rank++) {
        struct onward_slab slab;
        struct checkpoint_array part = part_of(bench, &slab, rank, READERS, 0, 1);
        uint64_t elements = slab_elements(&slab, part.ndims, part.dims);
        memset(part.data, 0, elements * sizeof(float));
        double begin_s = bench_now_s();
        expect(checkpoint_read(bench->directory, 1, &part, 1, &error) == ONWARD_OK, "read");
        took_s += bench_now_s() - begin_s;
        expect(memcmp(part.data, (const float *)bench->array.data + slab.start[0] * part.dims[1],
                      elements * sizeof(float)) == 0,
               "wrong bytes were read");
        free(part.data);
    }
    return took_s;
}

static void read_raw(const struct bench *bench, char *into)
{
    size_t at = 0;
    for (int rank = 0; rank < WRITERS; rank++) {
        char path[4096];
        ssize_t got;
        snprintf(path, sizeof path, "%s/ckpt/step-00000001.shards/r%03d-of-%03d.i0001.e0001.h5",
                 bench->directory, rank, WRITERS);
        int fd = open(path, O_RDONLY);
        expect(fd >= 0, path);
        while ((got = read(fd, into + at, PIECE_BYTES)) > 0)
            at += (size_t)got;
        close(fd);
    }
    expect(at >= bench->bytes, "the shards are shorter than the state");
}

static int bench_read(struct bench *bench, bool has_blocks)
{
    double onward_s[MAX_ROUNDS] = {0}, raw_s[MAX_ROUNDS] = {0};
    fill(bench, has_blocks ? FIELD_COLUMNS : COLUMNS);
    if (has_blocks)
        save_blocks(bench);
    else
        save(bench, 1, WRITERS);
    char *into = malloc(bench->bytes + WRITERS * (size_t)PIECE_BYTES);
    expect(into != NULL, "out of memory");
    memset(into, 0, bench->bytes + WRITERS * (size_t)PIECE_BYTES);
    for (int i = 0; i < bench->rounds; i++) {
        onward_s[i] = has_blocks ? read_bands(bench) : read_thirds(bench, into);
        double begin_s = bench_now_s();
        read_raw(bench, into);
        raw_s[i] = bench_now_s() - begin_s;
    }
    checkpoint_remove(bench->directory, 1, NULL);
    printf("read %.6f %.6f\n", bench_median(onward_s, bench->rounds),
           bench_median(raw_s, bench->rounds));
    return 0;
}

int main(int argc, char **argv)
{
    struct bench bench = {.directory = argc > 2 ? argv[2] : "",
                          .bytes = argc > 3 ? strtoull(argv[3], NULL, 10) : 0,
                          .rounds = argc > 4 ? atoi(argv[4]) : 0};
    if (bench.bytes == 0 || bench.bytes % (FIELD_COLUMNS * sizeof(float)) != 0 ||
        bench.rounds < 1 || bench.rounds > MAX_ROUNDS)
        return 2;
    return strcmp(argv[1], "local") == 0    ? bench_local(&bench)
           : strcmp(argv[1], "write") == 0  ? bench_write(&bench)
           : strcmp(argv[1], "read") == 0   ? bench_read(&bench, false)
           : strcmp(argv[1], "blocks") == 0 ? bench_read(&bench, true)
                                            : 2;
}
