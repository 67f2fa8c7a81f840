/* image.c - HDF5 files laid out in memory and written by plain writes; see image.h. */
#define _GNU_SOURCE 1 /* memfd_create */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "h5.h"
#include "hash.h"
#include "image_driver.h"
#include "summed_file.h"

/* Small enough that the bytes which were written are still in a near cache when they are hashed. A
 * disk's file system is quicker with larger writes, for which it makes larger folios. */
enum { PIECE_BYTES = 1 << 18, DISK_PIECE_BYTES = 1 << 20 };

/* What is saved behind the steps gets a fiftieth of a core, for a step waits for the slowest
 * worker, whose core, caches or other hardware thread it may take. Its pauses add up to no more
 * than this, spread over the file, so that a large state is not held up.
 *
 * Where there is time for it each pause ends with a slot of the clock, so that the workers of a
 * host, and of hosts whose clocks agree, are held up together: a step that waits for one of them
 * and the next step for another one would pay twice. */
enum { PAUSES_PER_WORK = 49, SLOT_NS = 10000000 };
static const int64_t max_pauses_ns = 2000000000;

int image_open(struct image *image, enum image_guard guard, struct error *error)
{
    return image_open_in(image, guard, NULL, error);
}

int image_open_in(struct image *image, enum image_guard guard, const char *directory,
                  struct error *error)
{
    hsize_t user_block = guard == IMAGE_SEALED ? IMAGE_SEAL_BYTES : 0;
    *image = (struct image){.memory_fd = -1, .file = H5I_INVALID_HID, .guard = guard};
    if (directory)
        image->memory_fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (image->memory_fd < 0)
        image->memory_fd = memfd_create("hdf5-image", MFD_CLOEXEC);
    if (image->memory_fd < 0)
        return error_set_errno(error, ONWARD_ERR_MEMORY, errno, "cannot lay out a file in memory");
    H5_AUTO hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    if (creation >= 0 && H5Pset_userblock(creation, user_block) >= 0 &&
        H5Pset_obj_track_times(creation, false) >= 0)
        image->file = image_driver_create(image->memory_fd, creation);
    if (image->file >= 0)
        return ONWARD_OK;
    image_close(image);
    return h5_fail(error, ONWARD_ERR_IO, "cannot lay out a file in memory");
}

void image_close(struct image *image)
{
    h5_close(&image->file);
    if (image->memory_fd >= 0)
        close(image->memory_fd);
    image->memory_fd = -1;
    free(image->regions);
    image->regions = NULL;
    image->region_count = image->region_capacity = 0;
}

static int add_region(struct image *image, struct image_region region, struct error *error)
{
    if (image->region_count == image->region_capacity) {
        uint32_t capacity = image->region_capacity ? 2 * image->region_capacity : 16;
        struct image_region *grown = realloc(image->regions, capacity * sizeof *grown);
        if (!grown)
            return error_set(error, ONWARD_ERR_MEMORY, "out of memory for %u datasets", capacity);
        image->regions = grown;
        image->region_capacity = capacity;
    }
    image->regions[image->region_count++] = region;
    return ONWARD_OK;
}

static hid_t create_dataset(struct image *image, const char *name, int type, int ndims,
                            const uint64_t *dims)
{
    hsize_t extents[H5S_MAX_RANK];
    for (int i = 0; i < ndims; i++)
        extents[i] = dims[i];
    H5_AUTO hid_t space = H5Screate_simple(ndims, extents, NULL);
    H5_AUTO hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (space < 0 || creation < 0 || H5Pset_layout(creation, H5D_CONTIGUOUS) < 0 ||
        H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) < 0)
        return H5I_INVALID_HID;
    return h5_create_dataset(image->file, name, h5_type(type), space, creation);
}

int image_array(struct image *image, const char *name, int type, int ndims, const uint64_t *dims,
                const void *data, uint64_t *offset, hid_t *dataset, struct error *error)
{
    uint64_t bytes = 0;
    if (!h5_array_bytes(type, ndims, dims, &bytes))
        return error_set(error, ONWARD_ERR_ARGUMENT, "dataset %s: the shape is out of range", name);
    H5_AUTO hid_t created = create_dataset(image, name, type, ndims, dims);
    if (created < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot lay out dataset %s", name);
    haddr_t place = bytes > 0 ? H5Dget_offset(created) : 0;
    if (place == HADDR_UNDEF)
        return h5_fail(error, ONWARD_ERR_IO, "dataset %s has no place in the file", name);
    int code = ONWARD_OK;
    if (bytes > 0)
        code = add_region(image, (struct image_region){place, bytes, data}, error);
    if (code != ONWARD_OK)
        return code;
    if (offset)
        *offset = place;
    if (dataset) {
        *dataset = created;
        created = H5I_INVALID_HID;
    }
    return ONWARD_OK;
}

static int compare_offsets(const void *left, const void *right)
{
    const struct image_region *a = left, *b = right;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* After this the memfd holds the file, holes where the datasets are. */
static int lay_out(struct image *image, uint64_t *bytes, struct error *error)
{
    struct stat status;
    hid_t file = image->file;
    image->file = H5I_INVALID_HID;
    if (H5Fclose(file) < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot lay out a file in memory");
    if (fstat(image->memory_fd, &status) != 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "cannot lay out a file in memory");
    *bytes = (uint64_t)status.st_size;
    if (image->region_count > 0)
        qsort(image->regions, image->region_count, sizeof *image->regions, compare_offsets);
    return ONWARD_OK;
}

int image_take_in(struct image *image, struct error *error)
{
    uint64_t bytes = 0;
    int code = lay_out(image, &bytes, error);
    if (code == ONWARD_OK)
        code = file_reserve(image->memory_fd, bytes, "the copy of a checkpoint", error);
    for (uint32_t i = 0; i < image->region_count && code == ONWARD_OK; i++) {
        const struct image_region *region = &image->regions[i];
        code = file_write_at(image->memory_fd, region->data, region->bytes, region->offset,
                             "the copy of a checkpoint", error);
    }
    image->region_count = 0;
    if (code == ONWARD_OK)
        image->taken_bytes = bytes;
    return code;
}

/* What one pass over the file carries along. */
struct pass {
    int fd;
    const char *path;
    XXH3_state_t *hash;      /* of a sealed image, else NULL */
    struct block_sums *sums; /* of one with blocks, else NULL */
    uint8_t *buffer;         /* PIECE_BYTES */
    uint64_t piece_bytes;    /* of what is not read to the buffer before */
    const atomic_bool *stop; /* of the image */
    double pauses_per_byte;  /* in ns, at most */
    bool has_slots;
};

static int64_t worked_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double longest_pauses(uint64_t bytes) /* in ns, after each byte of so many */
{
    return (double)max_pauses_ns / (double)bytes;
}

bool image_has_slots(const struct image *image)
{
    return image->taken_bytes > 0 &&
           longest_pauses(image->taken_bytes) * PIECE_BYTES >= 2 * SLOT_NS;
}

/* For so long, and to the end of the slot in which that ends. */
static void pause_to_slot(int64_t pause_ns, bool has_slots)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (has_slots)
        pause_ns += SLOT_NS - (now.tv_nsec + pause_ns) % SLOT_NS;
    struct timespec pause = {pause_ns / 1000000000, pause_ns % 1000000000};
    if (pause_ns > 0)
        nanosleep(&pause, NULL);
}

void image_await_slot(const struct image *image)
{
    if (image->is_behind && image_has_slots(image))
        pause_to_slot(0, true);
}

static void pause_after(const struct pass *pass, int64_t work_ns, uint64_t bytes)
{
    int64_t pause_ns = PAUSES_PER_WORK * work_ns;
    int64_t most_ns = (int64_t)(pass->pauses_per_byte * (double)bytes);
    most_ns -= pass->has_slots && most_ns > SLOT_NS ? SLOT_NS : 0; /* that the slot may add */
    pause_to_slot(pause_ns < most_ns ? pause_ns : most_ns, pass->has_slots);
}

/* Writing comes first: where memory is slow, what it reads comes beside what it writes. */
static int pass_bytes(struct pass *pass, const uint8_t *data, uint64_t bytes, uint64_t offset,
                      struct error *error)
{
    for (uint64_t done = 0, piece; done < bytes; done += piece) {
        piece = bytes - done < pass->piece_bytes ? bytes - done : pass->piece_bytes;
        if (pass->stop && atomic_load(pass->stop))
            return error_set(error, ONWARD_ERR_LOST, "%s: was given up", pass->path);
        int code = file_write_at(pass->fd, data + done, piece, offset + done, pass->path, error);
        if (code == ONWARD_OK && pass->hash)
            XXH3_128bits_update(pass->hash, data + done, piece);
        if (code == ONWARD_OK && pass->sums)
            code = block_sums_add(pass->sums, data + done, piece, error);
        if (code != ONWARD_OK)
            return code;
    }
    return ONWARD_OK;
}

/* Between the datasets lies what HDF5 wrote. */
static int pass_gap(struct pass *pass, int memory_fd, uint64_t begin, uint64_t end,
                    struct error *error)
{
    while (begin < end) {
        size_t piece = end - begin < PIECE_BYTES ? (size_t)(end - begin) : PIECE_BYTES;
        int64_t begin_ns = worked_ns();
        ssize_t got = pread(memory_fd, pass->buffer, piece, (off_t)begin);
        if (got <= 0)
            return error_set(error, ONWARD_ERR_IO, "%s: cannot read its layout", pass->path);
        int code = pass_bytes(pass, pass->buffer, (uint64_t)got, begin, error);
        if (code != ONWARD_OK)
            return code;
        begin += (uint64_t)got;
        pause_after(pass, worked_ns() - begin_ns, (uint64_t)got);
    }
    return ONWARD_OK;
}

static int pass_file(struct image *image, struct pass *pass, uint64_t bytes, struct error *error)
{
    uint64_t at = image->guard == IMAGE_SEALED ? IMAGE_SEAL_BYTES : 0;
    for (uint32_t i = 0; i < image->region_count; i++) {
        const struct image_region *region = &image->regions[i];
        if (region->offset < at || region->bytes > bytes - region->offset)
            return error_set(error, ONWARD_ERR_IO, "%s: its layout is not usable", pass->path);
        int code = pass_gap(pass, image->memory_fd, at, region->offset, error);
        if (code == ONWARD_OK && region->data && pass->sums && !image->is_behind)
            block_sums_expect(pass->sums, region->data, region->bytes);
        if (code == ONWARD_OK && region->data)
            code = pass_bytes(pass, region->data, region->bytes, region->offset, error);
        if (code != ONWARD_OK)
            return code;
        at = region->offset + region->bytes;
    }
    return pass_gap(pass, image->memory_fd, at, bytes, error);
}

void image_sum_text(const struct XXH3_state_s *hash, char *sum)
{
    XXH128_hash_t digest = XXH3_128bits_digest(hash);
    snprintf(sum, IMAGE_SUM_BYTES, "%016" PRIx64 "%016" PRIx64, (uint64_t)digest.high64,
             (uint64_t)digest.low64);
}

/* Text, then NULs up to IMAGE_SEAL_BYTES. */
static void make_seal(char seal[IMAGE_SEAL_BYTES], uint64_t bytes, const char *sum)
{
    memset(seal, 0, IMAGE_SEAL_BYTES);
    snprintf(seal, IMAGE_SEAL_BYTES,
             "onward sealed HDF5 file\n"
             "The first %d bytes are a user block; of what follows:\n"
             "bytes %" PRIu64 "\nxxh3_128 %s\n",
             IMAGE_SEAL_BYTES, bytes, sum);
}

static int write_seal(const struct pass *pass, uint64_t bytes, struct error *error)
{
    char seal[IMAGE_SEAL_BYTES], sum[IMAGE_SUM_BYTES];
    image_sum_text(pass->hash, sum);
    make_seal(seal, bytes - IMAGE_SEAL_BYTES, sum);
    return file_write_at(pass->fd, seal, sizeof seal, 0, pass->path, error);
}

/* *bytes and sum (SUMMED_SUM_BYTES): of an image with blocks. */
static int write_all(struct image *image, struct pass *pass, uint64_t *bytes, char *sum,
                     struct error *error)
{
    *bytes = image->taken_bytes;
    int code = *bytes > 0 ? ONWARD_OK : lay_out(image, bytes, error);
    if (image->is_behind && *bytes > 0) {
        pass->pauses_per_byte = longest_pauses(*bytes);
        pass->has_slots = image_has_slots(image);
    }
    if (code == ONWARD_OK)
        code = file_reserve(pass->fd, *bytes, pass->path, error);
    if (code == ONWARD_OK)
        code = pass_file(image, pass, *bytes, error);
    if (code == ONWARD_OK && pass->hash)
        code = write_seal(pass, *bytes, error);
    if (code == ONWARD_OK && pass->sums)
        return block_sums_write(pass->sums, pass->fd, pass->path, bytes, sum, error);
    /* A file that ends in a region without data has its whole length all the same. */
    if (code == ONWARD_OK && ftruncate(pass->fd, (off_t)*bytes) != 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot write", pass->path);
    return code;
}

static int write_image(struct image *image, int fd, const char *path, uint64_t *bytes, char *sum,
                       struct error *error)
{
    bool is_sealed = image->guard == IMAGE_SEALED, has_blocks = image->guard == IMAGE_BLOCKS;
    struct pass pass = {.fd = fd, .path = path, .buffer = malloc(PIECE_BYTES), .stop = image->stop};
    pass.piece_bytes = file_is_in_memory(fd) ? PIECE_BYTES : DISK_PIECE_BYTES;
    int code = ONWARD_ERR_MEMORY;
    if (is_sealed && (pass.hash = XXH3_createState()))
        XXH3_128bits_reset(pass.hash);
    if (has_blocks)
        pass.sums = block_sums_begin();
    if (pass.buffer && (pass.hash || !is_sealed) && (pass.sums || !has_blocks))
        code = write_all(image, &pass, bytes, sum, error);
    else
        error_set(error, code, "%s: out of memory to write it", path);
    free(pass.buffer);
    block_sums_end(pass.sums);
    XXH3_freeState(pass.hash);
    return code;
}

int image_store(struct image *image, int fd, const char *path, struct error *error)
{
    uint64_t bytes = 0;
    char sum[SUMMED_SUM_BYTES];
    return write_image(image, fd, path, &bytes, sum, error);
}

int image_save(struct image *image, const char *path, uint64_t *bytes, char *sum,
               struct error *error)
{
    char temporary[PATH_MAX];
    char own_sum[SUMMED_SUM_BYTES] = "";
    uint64_t own_bytes = 0;
    int fd = -1;
    int code = file_temporary(path, temporary, sizeof temporary, &fd, error);
    if (code != ONWARD_OK)
        return code;
    code = write_image(image, fd, path, &own_bytes, own_sum, error);
    if (code != ONWARD_OK) {
        close(fd);
        unlink(temporary);
        return code;
    }
    code = file_publish_fenced(fd, temporary, path, image->fence, error);
    if (code == ONWARD_OK && bytes)
        *bytes = own_bytes;
    if (code == ONWARD_OK && sum)
        memcpy(sum, own_sum, sizeof own_sum);
    return code;
}

/* Hashes from `begin` to the end of the file. */
static int hash_file(int fd, const char *path, uint64_t begin, uint64_t *bytes, char *sum,
                     struct error *error)
{
    XXH3_state_t *hash = XXH3_createState();
    uint8_t *buffer = malloc(PIECE_BYTES);
    int code = ONWARD_OK;
    ssize_t got = 0;
    *bytes = 0;
    if (!hash || !buffer || XXH3_128bits_reset(hash) != XXH_OK)
        code = error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", path);
    while (code == ONWARD_OK &&
           (got = pread(fd, buffer, PIECE_BYTES, (off_t)(begin + *bytes))) != 0) {
        if (got < 0 && errno != EINTR)
            code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot read", path);
        if (got > 0) {
            XXH3_128bits_update(hash, buffer, (size_t)got);
            *bytes += (uint64_t)got;
        }
    }
    if (code == ONWARD_OK)
        image_sum_text(hash, sum);
    free(buffer);
    XXH3_freeState(hash);
    return code;
}

int image_check_seal(const char *path, struct error *error)
{
    char seal[IMAGE_SEAL_BYTES], expected[IMAGE_SEAL_BYTES], sum[IMAGE_SUM_BYTES];
    uint64_t bytes = 0, size = 0;
    int fd = -1;
    int code = file_open_plain(path, &fd, &size, error);
    if (code != ONWARD_OK)
        return code;
    bool has_seal = size >= sizeof seal;
    if (has_seal)
        code = file_read_at(fd, seal, sizeof seal, 0, path, error);
    if (code == ONWARD_OK)
        code = hash_file(fd, path, IMAGE_SEAL_BYTES, &bytes, sum, error);
    close(fd);
    if (code != ONWARD_OK)
        return code;
    make_seal(expected, bytes, sum);
    if (!has_seal || memcmp(seal, expected, sizeof seal) != 0)
        return error_set(error, ONWARD_ERR_CORRUPT,
                         "%s: is damaged: length or checksum differ from what its head names",
                         path);
    return ONWARD_OK;
}
