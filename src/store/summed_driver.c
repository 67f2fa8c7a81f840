/* summed_driver.c - an HDF5 file driver, for reading alone, over a file of summed_file.h. It is
 * registered for the time of one summed_driver_open; the open file keeps it alive. */
#include "summed_driver.h"

#include <H5FDdevelop.h>
#include <stdlib.h>

#include "h5.h"

enum { DRIVER_NUMBER = 601 }; /* from the range that HDF5 leaves to others */

/* What goes with the properties of an access. */
struct access {
    struct summed_file *summed;
    struct error *error;
};

struct summed_hdf5 {
    H5FD_t base; /* first: HDF5 knows the rest by it */
    struct access access;
    haddr_t end_of_space;
};

static void tell_hdf5(hid_t blamed, const char *what)
{
    H5Epush2(H5E_DEFAULT, __FILE__, __func__, __LINE__, H5E_ERR_CLS, blamed, H5E_READERROR, "%s",
             what);
}

static H5FD_t *open_summed(const char *name, unsigned flags, hid_t access, haddr_t max_address)
{
    const struct access *given = H5Pget_driver_info(access);
    struct summed_hdf5 *file = calloc(1, sizeof *file);
    (void)name, (void)max_address;
    if (!file || !given || (flags & H5F_ACC_RDWR)) {
        tell_hdf5(file ? H5E_VFL : H5E_RESOURCE, "out of memory, or not for reading");
        free(file);
        return NULL;
    }
    file->access = *given;
    return &file->base;
}

static herr_t close_summed(H5FD_t *base)
{
    free(base);
    return 0;
}

static haddr_t get_end_of_space(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const struct summed_hdf5 *)base)->end_of_space;
}

static herr_t set_end_of_space(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((struct summed_hdf5 *)base)->end_of_space = address;
    return 0;
}

static haddr_t get_end_of_file(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const struct summed_hdf5 *)base)->access.summed->bytes;
}

static herr_t read_summed(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                          size_t size, void *buffer)
{
    const struct access *access = &((struct summed_hdf5 *)base)->access;
    (void)type, (void)transfer;
    if (summed_file_read(access->summed, buffer, size, address, access->error) == ONWARD_OK)
        return 0;
    tell_hdf5(H5E_VFL, "its bytes cannot be read");
    return -1;
}

/* HDF5 asks for this one of every driver. */
static herr_t write_summed(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                           size_t size, const void *buffer)
{
    (void)base, (void)type, (void)transfer, (void)address, (void)size, (void)buffer;
    return -1;
}

static const H5FD_class_t driver = {
    .version = H5FD_CLASS_VERSION,
    .value = DRIVER_NUMBER,
    .name = "onward_summed",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(struct access),
    .open = open_summed,
    .close = close_summed,
    .get_eoa = get_end_of_space,
    .set_eoa = set_end_of_space,
    .get_eof = get_end_of_file,
    .read = read_summed,
    .write = write_summed,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t summed_driver_open(struct summed_file *summed, struct error *error)
{
    struct access given = {summed, error};
    H5_AUTO hid_t registered = H5FDregister(&driver);
    H5_AUTO hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (registered < 0 || access < 0 || H5Pset_driver(access, registered, &given) < 0)
        return H5I_INVALID_HID;
    return H5Fopen(summed->path, H5F_ACC_RDONLY, access);
}
