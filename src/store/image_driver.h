/* image_driver.h - an HDF5 file driver over a memfd, for image.c. */
#ifndef STORE_IMAGE_DRIVER_H
#define STORE_IMAGE_DRIVER_H

#include <hdf5.h>

/* Makes an empty HDF5 file in fd with these creation properties, the newest format that carries
 * checksums on all metadata, and nothing on any disk. fd stays the caller's and must outlive the
 * file. Negative: failed, HDF5's error stack says why. */
hid_t image_driver_create(int fd, hid_t creation);

#endif
