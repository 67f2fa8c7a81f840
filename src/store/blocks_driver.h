/* blocks_driver.h - HDF5 reads a file of blocks.h, and sees only bytes that fit their checksum. */
#ifndef STORE_BLOCKS_DRIVER_H
#define STORE_BLOCKS_DRIVER_H

#include <hdf5.h>

#include "blocks.h"

/* Opens the HDF5 file that is protected; blocks stays the caller's and must outlive it. Negative:
 * failed. Where a block could not be read the error is in *error, from then on as well; else HDF5's
 * error stack says why. */
hid_t blocks_driver_open(struct blocks *blocks, struct error *error);

#endif
