/* image_driver.c - an HDF5 file driver over a memfd.
 *
 * HDF5's own drivers will not do: the one for files insists on a path that can be resolved, which a
 * memfd has not, and the one for memory takes real memory for every byte of every dataset. In a
 * memfd what was never written is a hole. The driver is registered for the time of one
 * image_driver_create; the open file keeps it alive. */
#include "image_driver.h"

#include <errno.h>
#include <H5FDdevelop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "h5.h"

/* The number is from the range that HDF5 leaves to others. Large datasets begin on a page, since
 * writes to the page cache that straddle pages are slower. */
enum { DRIVER_NUMBER = 600, PAGE_BYTES = 4096, LARGE_BYTES = 64 * PAGE_BYTES };

struct memory_file {
    H5FD_t base; /* first: HDF5 knows the rest by it */
    int fd;
    haddr_t end_of_space;
};

static herr_t fail(const char *what)
{
    H5Epush2(H5E_DEFAULT, __FILE__, __func__, __LINE__, H5E_ERR_CLS, H5E_VFL, H5E_WRITEERROR, "%s",
             what);
    return -1;
}

/* The name is the number of the descriptor. */
static H5FD_t *memory_open(const char *name, unsigned flags, hid_t access, haddr_t max_address)
{
    struct memory_file *file = calloc(1, sizeof *file);
    (void)flags, (void)access, (void)max_address;
    if (!file) {
        fail("out of memory");
        return NULL;
    }
    file->fd = (int)strtol(name, NULL, 10);
    return &file->base;
}

static herr_t memory_close(H5FD_t *base)
{
    free(base);
    return 0;
}

static haddr_t memory_get_eoa(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const struct memory_file *)base)->end_of_space;
}

static herr_t memory_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((struct memory_file *)base)->end_of_space = address;
    return 0;
}

static haddr_t memory_get_eof(const H5FD_t *base, H5FD_mem_t type)
{
    struct stat status;
    (void)type;
    if (fstat(((const struct memory_file *)base)->fd, &status) != 0)
        return HADDR_UNDEF;
    return (haddr_t)status.st_size;
}

static herr_t memory_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                          size_t size, void *buffer)
{
    char *next = buffer;
    (void)type, (void)transfer;
    while (size > 0) {
        ssize_t got = pread(((struct memory_file *)base)->fd, next, size, (off_t)address);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail("cannot read what was laid out");
        next += got;
        address += (haddr_t)got;
        size -= (size_t)got;
    }
    return 0;
}

static herr_t memory_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                           size_t size, const void *buffer)
{
    const char *next = buffer;
    (void)type, (void)transfer;
    while (size > 0) {
        ssize_t put = pwrite(((struct memory_file *)base)->fd, next, size, (off_t)address);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail("out of memory to lay out a file");
        next += put;
        address += (haddr_t)put;
        size -= (size_t)put;
    }
    return 0;
}

/* Gives the file its whole length, holes for datasets included. */
static herr_t memory_truncate(H5FD_t *base, hid_t transfer, hbool_t closing)
{
    const struct memory_file *file = (const struct memory_file *)base;
    (void)transfer, (void)closing;
    if (ftruncate(file->fd, (off_t)file->end_of_space) != 0)
        return fail("cannot give a file in memory its length");
    return 0;
}

static const H5FD_class_t memory_driver = {
    .version = H5FD_CLASS_VERSION,
    .value = DRIVER_NUMBER,
    .name = "onward_image",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .open = memory_open,
    .close = memory_close,
    .get_eoa = memory_get_eoa,
    .set_eoa = memory_set_eoa,
    .get_eof = memory_get_eof,
    .read = memory_read,
    .write = memory_write,
    .truncate = memory_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* HDF5 takes no alignment that is larger than the user block. */
static herr_t align_large(hid_t access, hid_t creation)
{
    hsize_t user_block = 0;
    if (H5Pget_userblock(creation, &user_block) < 0)
        return -1;
    return user_block > 0 ? 0 : H5Pset_alignment(access, LARGE_BYTES, PAGE_BYTES);
}

hid_t image_driver_create(int fd, hid_t creation)
{
    char name[16];
    H5_AUTO hid_t driver = H5FDregister(&memory_driver);
    H5_AUTO hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (driver < 0 || access < 0 || H5Pset_driver(access, driver, NULL) < 0 ||
        align_large(access, creation) < 0 ||
        H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0)
        return H5I_INVALID_HID;
    snprintf(name, sizeof name, "%d", fd);
    return H5Fcreate(name, H5F_ACC_TRUNC, creation, access);
}
