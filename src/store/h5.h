/* h5.h - small helpers around the HDF5 library for the rest of store.
 *
 * H5_QUIET at the head of a function keeps HDF5 from printing until the function returns; H5_AUTO
 * before a hid_t closes it then, whatever kind of object it is. h5_fail turns what HDF5 has to say
 * into the one line of a struct error. Nothing here needs a thread-safe HDF5. */
#ifndef STORE_H5_H
#define STORE_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct h5_quiet {
    H5E_auto2_t function;
    void *data;
};

struct h5_quiet h5_quiet_begin(void);
void h5_quiet_end(struct h5_quiet *quiet);
void h5_close(hid_t *id);

#define H5_QUIET                                                                                   \
    __attribute__((cleanup(h5_quiet_end), unused)) struct h5_quiet h5_quiet_here = h5_quiet_begin()
#define H5_AUTO __attribute__((cleanup(h5_close)))

/* Sets code and "WHAT: cause that HDF5 gives", and returns code. */
int h5_fail(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same of a file that could not be read: ONWARD_ERR_MEMORY or ONWARD_ERR_IO where the system
 * did not give HDF5 what it asked for, else ONWARD_ERR_CORRUPT. */
int h5_fail_reading(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Opens an HDF5 file for reading, without HDF5's file locks (they fail on some shared file
 * systems, and what is read here is never written in place). Negative: failed. */
hid_t h5_open_file(const char *path);

/* Creates a dataset and the groups on the way to it. None of them notes the time, as HDF5 would
 * have it: the bytes of a file depend on what is in it alone. Negative: failed. */
hid_t h5_create_dataset(hid_t file, const char *name, hid_t type, hid_t space, hid_t creation);

/* The HDF5 type in memory (and, since files are written as on this machine, in the file) of an
 * enum onward_type; negative: there is none. Not to be closed. */
hid_t h5_type(int type);
/* Bytes of one element; 0: no such type. */
size_t h5_type_bytes(int type);
/* The enum onward_type of an HDF5 type; 0: none. */
int h5_type_of(hid_t type);
/* Name of an enum onward_type, for texts. */
const char *h5_type_name(int type);

/* Elements and bytes of an array; false when it has no such number of dimensions or is larger than
 * what a file can hold. */
bool h5_array_bytes(int type, int ndims, const uint64_t *dims, uint64_t *bytes);

/* Attributes on an open object. Writers return ONWARD_OK or ONWARD_ERR_IO. */
int h5_put_int(hid_t object, const char *name, int64_t value, struct error *error);
int h5_put_double(hid_t object, const char *name, double value, struct error *error);
int h5_put_text(hid_t object, const char *name, const char *text, struct error *error);
/* count elements of `type`, one-dimensional. */
int h5_put_list(hid_t object, const char *name, hid_t type, uint64_t count, const void *values,
                struct error *error);

/* Readers return ONWARD_OK or what h5_fail_reading does, with the attribute in the text; `where`
 * names the file (and object). What is read never exceeds what the caller has room for. */
int h5_get_int(hid_t object, const char *name, const char *where, int64_t *value,
               struct error *error);
int h5_get_double(hid_t object, const char *name, const char *where, double *value,
                  struct error *error);
int h5_get_text(hid_t object, const char *name, const char *where, char *text, size_t text_bytes,
                struct error *error);
/* How many elements an attribute has (scalar: 1). */
int h5_get_length(hid_t object, const char *name, const char *where, uint64_t *length,
                  struct error *error);
/* All elements, converted to `type`; there must be exactly `count`. */
int h5_get_list(hid_t object, const char *name, const char *where, hid_t type, uint64_t count,
                void *values, struct error *error);

#endif
