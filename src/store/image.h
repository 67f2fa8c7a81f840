/* image.h - writing an HDF5 file without HDF5 ever writing to the disk.
 *
 * HDF5 lays the file out in memory (a memfd): groups, attributes, and contiguous datasets that are
 * given a place but no bytes, so that a dataset of many GiB costs a hole. The bytes then go to the
 * real file by plain writes in one pass: what HDF5 wrote from the memfd, what belongs to datasets
 * straight from the caller's memory. So a full disk is an errno like any other (HDF5 cannot close a
 * file that it cannot flush), the checksum is computed while the bytes pass, and nothing is copied.
 *
 *     image_open, image_array / h5_put_* on image.file ..., image_save or image_store, image_close
 *
 * image_take_in puts the bytes of the datasets into the file without a name as well, so that what
 * was borrowed may change before the image is saved, and another thread may save it.
 *
 * Sealed images begin with a user block of IMAGE_SEAL_BYTES bytes, which HDF5 readers skip, that
 * names length and checksum of all the rest: damage is seen before HDF5 parses anything. */
#ifndef STORE_IMAGE_H
#define STORE_IMAGE_H

#include <hdf5.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "fence.h"

enum { IMAGE_SEAL_BYTES = 512, IMAGE_SUM_BYTES = 33 };

/* How damage to the file is found. */
enum image_guard {
    IMAGE_UNGUARDED,
    IMAGE_SEALED, /* by one checksum in front, before anything of it is read */
    IMAGE_BLOCKS  /* by one for each block, behind the HDF5 file, see summed_file.h */
};

/* Where the bytes of a dataset go. data NULL: the caller writes them itself, see image_store. */
struct image_region {
    uint64_t offset, bytes;
    const void *data;
};

struct image {
    int memory_fd;
    hid_t file; /* open for groups, attributes and small datasets until it is saved */
    enum image_guard guard;
    uint64_t taken_bytes;         /* all is in the memfd, which has so many; 0: not taken in */
    const atomic_bool *stop;      /* saving is given up soon after it became true; NULL: never */
    const struct fence *fence;    /* asked before it is put in place; NULL: none */
    bool is_behind;               /* others work meanwhile: saving it makes pauses for them */
    struct image_region *regions; /* in order of offset once laid out */
    uint32_t region_count, region_capacity;
};

/* On failure there is nothing to close. directory: where the file without a name is to be, so that
 * it takes no memory when that is a disk; NULL, or one that has no such files: in memory. */
int image_open(struct image *image, enum image_guard guard, struct error *error);
int image_open_in(struct image *image, enum image_guard guard, const char *directory,
                  struct error *error);
void image_close(struct image *image);

/* Adds a contiguous dataset, with the groups that its name needs. data: its bytes, borrowed until
 * the image is saved, or NULL; offset (may be NULL): where they go in the file (0: it has none).
 * *dataset (may be NULL) is the caller's to close, for attributes. */
int image_array(struct image *image, const char *name, int type, int ndims, const uint64_t *dims,
                const void *data, uint64_t *offset, hid_t *dataset, struct error *error);

/* Takes the bytes of all datasets in. From then on nothing of the image is borrowed, and
 * image_save, image_store and image_close call no HDF5. ONWARD_ERR_NO_SPACE when there is no room.
 */
int image_take_in(struct image *image, struct error *error);

/* Whether saving it behind others is of pauses alone, with short pieces of work between them, at
 * the same time as on other workers: such a thread needs no low priority, which would have each
 * piece wait for the scheduler to come to it. For one that was taken in. */
bool image_has_slots(const struct image *image);
/* Waits for the next of them, if it is saved behind others and has slots. */
void image_await_slot(const struct image *image);

/* Writes the file atomically. Of an image with blocks bytes and sum (SUMMED_SUM_BYTES) are those of
 * block_sums_write; they may be NULL. */
int image_save(struct image *image, const char *path, uint64_t *bytes, char *sum,
               struct error *error);

/* Writes all but the regions without data to fd (an image with blocks has none such). `path` is for
 * texts. */
int image_store(struct image *image, int fd, const char *path, struct error *error);

/* Is this a sealed file with the length and checksum that its seal names? OK, ONWARD_ERR_CORRUPT,
 * ONWARD_ERR_NOT_FOUND or ONWARD_ERR_IO. */
int image_check_seal(const char *path, struct error *error);

/* The 128-bit digest of an XXH3 state in hexadecimal, IMAGE_SUM_BYTES with its NUL. */
struct XXH3_state_s;
void image_sum_text(const struct XXH3_state_s *hash, char *sum);

#endif
