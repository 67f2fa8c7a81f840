/* h5.c - small helpers around the HDF5 library; see h5.h. */
#include "h5.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct h5_quiet h5_quiet_begin(void)
{
    struct h5_quiet quiet = {NULL, NULL};
    H5Eget_auto2(H5E_DEFAULT, &quiet.function, &quiet.data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return quiet;
}

void h5_quiet_end(struct h5_quiet *quiet)
{
    H5Eset_auto2(H5E_DEFAULT, quiet->function, quiet->data);
}

/* Any call of HDF5 forgets why the one before failed, which h5_fail is still to tell. */
void h5_close(hid_t *id)
{
    if (*id < 0)
        return;
    hid_t errors = H5Eget_num(H5E_DEFAULT) > 0 ? H5Eget_current_stack() : H5I_INVALID_HID;
    H5Idec_ref(*id);
    if (errors >= 0)
        H5Eset_current_stack(errors); /* and closes it */
    *id = H5I_INVALID_HID;
}

struct cause {
    int code; /* what the system is to blame for; ONWARD_OK: what HDF5 was given is */
    char text[ERROR_TEXT_BYTES];
};

/* HDF5 asked the system for memory, an open file or its bytes, and did not get them. Where a file
 * names a place that no file has, it did not ask. */
static int blame(const H5E_error2_t *entry)
{
    if (entry->maj_num == H5E_RESOURCE)
        return ONWARD_ERR_MEMORY;
    if ((entry->maj_num == H5E_IO && entry->min_num != H5E_BADRANGE) ||
        (entry->maj_num == H5E_FILE && entry->min_num == H5E_CANTOPENFILE))
        return ONWARD_ERR_IO;
    return ONWARD_OK;
}

/* The innermost entry of the error stack is the cause; the others say who called whom. */
static herr_t take_cause(unsigned depth, const H5E_error2_t *entry, void *context)
{
    struct cause *cause = context;
    if (depth == 0)
        cause->code = blame(entry);
    if (depth == 0 && entry->desc)
        snprintf(cause->text, sizeof cause->text, "%s", entry->desc);
    return 0;
}

static int fail(struct error *error, int code, bool may_blame, const char *format,
                va_list arguments)
{
    char what[ERROR_TEXT_BYTES];
    struct cause cause = {ONWARD_OK, ""};
    vsnprintf(what, sizeof what, format, arguments);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_cause, &cause);
    H5Eclear2(H5E_DEFAULT);
    for (char *c = cause.text; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = ' ';
    if (may_blame && cause.code != ONWARD_OK)
        code = cause.code;
    return error_set(error, code, "%.400s%s%.300s", what, cause.text[0] ? ": HDF5: " : "",
                     cause.text);
}

int h5_fail(struct error *error, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    code = fail(error, code, false, format, arguments);
    va_end(arguments);
    return code;
}

int h5_fail_reading(struct error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int code = fail(error, ONWARD_ERR_CORRUPT, true, format, arguments);
    va_end(arguments);
    return code;
}

hid_t h5_open_file(const char *path)
{
    H5_AUTO hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0 || H5Pset_file_locking(access, false, true) < 0)
        return H5I_INVALID_HID;
    return H5Fopen(path, H5F_ACC_RDONLY, access);
}

/* Groups that are there already are left alone. */
static int create_groups(hid_t file, const char *name, hid_t links)
{
    char path[NAME_MAX];
    H5_AUTO hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    if (strlen(name) >= sizeof path || creation < 0 || H5Pset_obj_track_times(creation, false) < 0)
        return -1;
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
        if (path[0] == '\0' || H5Lexists(file, path, H5P_DEFAULT) > 0)
            continue;
        H5_AUTO hid_t group = H5Gcreate2(file, path, links, creation, H5P_DEFAULT);
        if (group < 0)
            return -1;
    }
    return 0;
}

hid_t h5_create_dataset(hid_t file, const char *name, hid_t type, hid_t space, hid_t creation)
{
    H5_AUTO hid_t links = H5Pcreate(H5P_LINK_CREATE);
    if (links < 0 || H5Pset_char_encoding(links, H5T_CSET_UTF8) < 0 ||
        H5Pset_obj_track_times(creation, false) < 0 || create_groups(file, name, links) != 0)
        return H5I_INVALID_HID;
    return H5Dcreate2(file, name, type, space, links, creation, H5P_DEFAULT);
}

hid_t h5_type(int type)
{
    switch (type) {
    case ONWARD_FLOAT:
        return H5T_NATIVE_FLOAT;
    case ONWARD_DOUBLE:
        return H5T_NATIVE_DOUBLE;
    case ONWARD_INT32:
        return H5T_NATIVE_INT32;
    case ONWARD_INT64:
        return H5T_NATIVE_INT64;
    case ONWARD_UINT64:
        return H5T_NATIVE_UINT64;
    case ONWARD_BYTE:
        return H5T_NATIVE_UINT8;
    default:
        return H5I_INVALID_HID;
    }
}

size_t h5_type_bytes(int type)
{
    static const size_t bytes[] = {[ONWARD_FLOAT] = 4, [ONWARD_DOUBLE] = 8, [ONWARD_INT32] = 4,
                                   [ONWARD_INT64] = 8, [ONWARD_UINT64] = 8, [ONWARD_BYTE] = 1};
    return type >= ONWARD_FLOAT && type <= ONWARD_BYTE ? bytes[type] : 0;
}

int h5_type_of(hid_t type)
{
    for (int candidate = ONWARD_FLOAT; candidate <= ONWARD_BYTE; candidate++)
        if (H5Tequal(type, h5_type(candidate)) > 0)
            return candidate;
    return 0;
}

const char *h5_type_name(int type)
{
    static const char *const names[] = {
        [ONWARD_FLOAT] = "float32", [ONWARD_DOUBLE] = "float64", [ONWARD_INT32] = "int32",
        [ONWARD_INT64] = "int64",   [ONWARD_UINT64] = "uint64",  [ONWARD_BYTE] = "uint8"};
    return type >= ONWARD_FLOAT && type <= ONWARD_BYTE ? names[type] : "unknown";
}

bool h5_array_bytes(int type, int ndims, const uint64_t *dims, uint64_t *bytes)
{
    uint64_t total = h5_type_bytes(type);
    bool empty = false;
    if (total == 0 || ndims < 1 || ndims > H5S_MAX_RANK)
        return false;
    for (int i = 0; i < ndims; i++) {
        empty = empty || dims[i] == 0;
        if (dims[i] > INT64_MAX || (dims[i] > 0 && total > (uint64_t)INT64_MAX / dims[i]))
            return false;
        total *= dims[i] > 0 ? dims[i] : 1;
    }
    *bytes = empty ? 0 : total;
    return true;
}

static int put(hid_t object, const char *name, hid_t type, hid_t space, const void *value,
               struct error *error)
{
    H5_AUTO hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0 || H5Awrite(attribute, type, value) < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot write attribute %s", name);
    return ONWARD_OK;
}

static int put_scalar(hid_t object, const char *name, hid_t type, const void *value,
                      struct error *error)
{
    H5_AUTO hid_t space = H5Screate(H5S_SCALAR);
    return put(object, name, type, space, value, error);
}

int h5_put_int(hid_t object, const char *name, int64_t value, struct error *error)
{
    return put_scalar(object, name, H5T_NATIVE_INT64, &value, error);
}

int h5_put_double(hid_t object, const char *name, double value, struct error *error)
{
    return put_scalar(object, name, H5T_NATIVE_DOUBLE, &value, error);
}

int h5_put_text(hid_t object, const char *name, const char *text, struct error *error)
{
    H5_AUTO hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, strlen(text) + 1) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        return h5_fail(error, ONWARD_ERR_IO, "cannot write attribute %s", name);
    return put_scalar(object, name, type, text, error);
}

int h5_put_list(hid_t object, const char *name, hid_t type, uint64_t count, const void *values,
                struct error *error)
{
    hsize_t length = count;
    H5_AUTO hid_t space = H5Screate_simple(1, &length, NULL);
    return put(object, name, type, space, values, error);
}

static int open_attribute(hid_t object, const char *name, const char *where, hid_t *attribute,
                          struct error *error)
{
    *attribute = H5Aopen(object, name, H5P_DEFAULT);
    return *attribute >= 0 ? ONWARD_OK : h5_fail_reading(error, "%s: no attribute %s", where, name);
}

/* The class must fit, so that a text is never read as a number. */
static int read_attribute(hid_t attribute, const char *name, const char *where, hid_t type,
                          uint64_t count, void *values, struct error *error)
{
    H5_AUTO hid_t space = H5Aget_space(attribute);
    H5_AUTO hid_t stored = H5Aget_type(attribute);
    hssize_t length = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    if (stored < 0 || length < 0)
        return h5_fail_reading(error, "%s: cannot read attribute %s", where, name);
    if ((uint64_t)length != count || H5Tget_class(stored) != H5Tget_class(type))
        return error_set(error, ONWARD_ERR_CORRUPT,
                         "%s: attribute %s has another type or length than expected", where, name);
    if (H5Aread(attribute, type, values) < 0)
        return h5_fail_reading(error, "%s: cannot read attribute %s", where, name);
    return ONWARD_OK;
}

int h5_get_list(hid_t object, const char *name, const char *where, hid_t type, uint64_t count,
                void *values, struct error *error)
{
    H5_AUTO hid_t attribute = H5I_INVALID_HID;
    int code = open_attribute(object, name, where, &attribute, error);
    return code != ONWARD_OK ? code
                             : read_attribute(attribute, name, where, type, count, values, error);
}

int h5_get_int(hid_t object, const char *name, const char *where, int64_t *value,
               struct error *error)
{
    return h5_get_list(object, name, where, H5T_NATIVE_INT64, 1, value, error);
}

int h5_get_double(hid_t object, const char *name, const char *where, double *value,
                  struct error *error)
{
    return h5_get_list(object, name, where, H5T_NATIVE_DOUBLE, 1, value, error);
}

int h5_get_length(hid_t object, const char *name, const char *where, uint64_t *length,
                  struct error *error)
{
    H5_AUTO hid_t attribute = H5I_INVALID_HID;
    int code = open_attribute(object, name, where, &attribute, error);
    if (code != ONWARD_OK)
        return code;
    H5_AUTO hid_t space = H5Aget_space(attribute);
    hssize_t points = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    if (points < 0)
        return h5_fail_reading(error, "%s: cannot read attribute %s", where, name);
    *length = (uint64_t)points;
    return ONWARD_OK;
}

int h5_get_text(hid_t object, const char *name, const char *where, char *text, size_t text_bytes,
                struct error *error)
{
    H5_AUTO hid_t attribute = H5I_INVALID_HID;
    int code = open_attribute(object, name, where, &attribute, error);
    if (code != ONWARD_OK)
        return code;
    H5_AUTO hid_t stored = H5Aget_type(attribute);
    if (stored < 0)
        return h5_fail_reading(error, "%s: cannot read attribute %s", where, name);
    if (H5Tget_class(stored) != H5T_STRING || H5Tis_variable_str(stored) != 0 ||
        H5Tget_size(stored) == 0 || H5Tget_size(stored) > text_bytes)
        return error_set(error, ONWARD_ERR_CORRUPT,
                         "%s: attribute %s: expected a text of at most %zu bytes", where, name,
                         text_bytes - 1);
    code = read_attribute(attribute, name, where, stored, 1, text, error);
    if (code == ONWARD_OK && !memchr(text, '\0', H5Tget_size(stored)))
        code = error_set(error, ONWARD_ERR_CORRUPT, "%s: attribute %s has no end", where, name);
    return code;
}
