/* summed_driver.h - HDF5 reads a file of summed_file.h, and sees only bytes that fit their
 * checksum. */
#ifndef STORE_SUMMED_DRIVER_H
#define STORE_SUMMED_DRIVER_H

#include <hdf5.h>

#include "summed_file.h"

/* Opens the HDF5 file that is protected; summed stays the caller's and must outlive it. Negative:
 * failed. Where a block could not be read the error is in *error, from then on as well; else HDF5's
 * error stack says why. */
hid_t summed_driver_open(struct summed_file *summed, struct error *error);

#endif
