/* checkpoint_export.c - a checkpoint as one plain HDF5 file that needs no other.
 *
 * The file is laid out in memory (image.h), its room is taken on the disk, and each array is read
 * from the shards straight into its place by a mapping of the file, so that no array is ever held
 * in memory of our own. What describes the checkpoint and its arrays is taken over from the master:
 * its attributes, but for those that name shards. Then it is synced and renamed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_internal.h"
#include "file.h"
#include "h5.h"
#include "image.h"
#include "rundir.h"

/* Attributes of the root of a master that mean nothing without its shards. */
static bool is_of_master_alone(const char *name)
{
    return strncmp(name, "shard_", 6) == 0 || strncmp(name, "array_", 6) == 0 ||
           strcmp(name, "format_version") == 0;
}

/* Reads an attribute as it is stored, and writes it so. */
static herr_t copy_value(hid_t from, hid_t to, const char *name, hid_t type, hid_t space)
{
    hssize_t count = H5Sget_simple_extent_npoints(space);
    size_t bytes = H5Tget_size(type);
    void *value = count < 0 ? NULL : calloc((size_t)count + 1, bytes);
    if (!value)
        return -1;
    H5_AUTO hid_t copy = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    herr_t failed = copy < 0 || H5Aread(from, type, value) < 0 ? -1 : H5Awrite(copy, type, value);
    if (copy >= 0 && H5Tdetect_class(type, H5T_VLEN) + H5Tis_variable_str(type) > 0)
        H5Treclaim(type, space, H5P_DEFAULT, value);
    free(value);
    return failed;
}

struct copying {
    hid_t to;
    bool is_root;
};

/* References, which would point into the other file, are left out. */
static herr_t copy_attribute(hid_t from, const char *name, const H5A_info_t *info, void *context)
{
    const struct copying *copying = context;
    (void)info;
    if (copying->is_root && is_of_master_alone(name))
        return 0;
    H5_AUTO hid_t attribute = H5Aopen(from, name, H5P_DEFAULT);
    H5_AUTO hid_t type = attribute < 0 ? H5I_INVALID_HID : H5Aget_type(attribute);
    H5_AUTO hid_t space = attribute < 0 ? H5I_INVALID_HID : H5Aget_space(attribute);
    if (type < 0 || space < 0)
        return -1;
    if (H5Tdetect_class(type, H5T_REFERENCE) > 0)
        return 0;
    return copy_value(attribute, copying->to, name, type, space);
}

static int copy_attributes(hid_t from, hid_t to, bool is_root, const char *where,
                           struct error *error)
{
    struct copying copying = {to, is_root};
    hsize_t next = 0;
    if (from < 0 ||
        H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, &next, copy_attribute, &copying) < 0)
        return h5_fail_reading(error, "%s: cannot read its attributes", where);
    return ONWARD_OK;
}

/* Adds the array; *offset is where its bytes go. */
static int lay_out_array(struct image *image, hid_t master, const char *path,
                         const struct checkpoint_array *array, uint64_t *offset,
                         struct error *error)
{
    H5_AUTO hid_t dataset = H5I_INVALID_HID;
    int code = image_array(image, array->name, array->type, array->ndims, array->dims, NULL, offset,
                           &dataset, error);
    if (code != ONWARD_OK)
        return code;
    H5_AUTO hid_t original = H5Dopen2(master, array->name, H5P_DEFAULT);
    return copy_attributes(original, dataset, false, path, error);
}

static int lay_out(struct image *image, const char *master_path,
                   const struct checkpoint_array *arrays, uint32_t array_count, uint64_t *offsets,
                   struct error *error)
{
    H5_AUTO hid_t master = h5_open_file(master_path);
    if (master < 0)
        return h5_fail_reading(error, "%s: cannot open it", master_path);
    int code = copy_attributes(master, image->file, true, master_path, error);
    for (uint32_t i = 0; i < array_count && code == ONWARD_OK; i++)
        code = lay_out_array(image, master, master_path, &arrays[i], &offsets[i], error);
    return code;
}

/* Takes the room on the disk, so that a full one is an error here and not a signal later. */
static int map_file(int fd, const char *path, char **bytes, size_t *size, struct error *error)
{
    off_t end = lseek(fd, 0, SEEK_END);
    if (end <= 0)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot write", path);
    int failed = posix_fallocate(fd, 0, end);
    if (failed)
        return error_set_errno(error, ONWARD_ERR_IO, failed, "%s: cannot write", path);
    *size = (size_t)end;
    *bytes = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (*bytes == MAP_FAILED)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot write", path);
    return ONWARD_OK;
}

static int fill_arrays(const char *run, int64_t step, struct checkpoint_array *arrays,
                       uint32_t array_count, const uint64_t *offsets, int fd, const char *path,
                       struct error *error)
{
    char *bytes = NULL;
    size_t size = 0;
    int code = map_file(fd, path, &bytes, &size, error);
    if (code != ONWARD_OK)
        return code;
    for (uint32_t i = 0; i < array_count; i++) {
        arrays[i].data = bytes + offsets[i];
        arrays[i].sharded = false; /* all of it */
    }
    code = checkpoint_read(run, step, arrays, array_count, error);
    munmap(bytes, size);
    return code;
}

static int write_export(const char *run, int64_t step, struct checkpoint_array *arrays,
                        uint32_t array_count, uint64_t *offsets, int fd, const char *path,
                        struct error *error)
{
    char master[PATH_MAX];
    struct image image;
    int code = checkpoint_master_path(master, run, step, error);
    if (code == ONWARD_OK)
        code = image_open(&image, IMAGE_UNGUARDED, error);
    if (code != ONWARD_OK)
        return code;
    code = lay_out(&image, master, arrays, array_count, offsets, error);
    if (code == ONWARD_OK)
        code = image_store(&image, fd, path, error);
    image_close(&image);
    return code == ONWARD_OK ? fill_arrays(run, step, arrays, array_count, offsets, fd, path, error)
                             : code;
}

static int export_arrays(const char *run, int64_t step, struct checkpoint_array *arrays,
                         uint32_t array_count, const char *path, struct error *error)
{
    char temporary[PATH_MAX];
    int fd = -1;
    uint64_t *offsets = calloc((size_t)array_count + 1, sizeof *offsets);
    if (!offsets)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to write it", path);
    int code = file_temporary(path, temporary, sizeof temporary, &fd, error);
    if (code == ONWARD_OK) {
        code = write_export(run, step, arrays, array_count, offsets, fd, path, error);
        if (code == ONWARD_OK) {
            code = file_publish(fd, temporary, path, error);
        } else {
            close(fd);
            unlink(temporary);
        }
    }
    free(offsets);
    return code;
}

/* Of what is there, only a plain file may be replaced: the rename would take the place of a device,
 * and fail on a directory after all was written. */
static int check_there(const char *path, const struct stat *status, bool replace,
                       struct error *error)
{
    if (!replace)
        return error_set(error, ONWARD_ERR_INPUT, "%s: is there already", path);
    if (!S_ISREG(status->st_mode))
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: is no plain file; expected one, or a name that is free", path);
    return ONWARD_OK;
}

/* A name that is free, in a directory that is there. */
static int resolve_free(char *place, const char *path, struct error *error)
{
    char parent[PATH_MAX], directory[PATH_MAX];
    struct stat status;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (*name == '\0')
        return error_set(error, ONWARD_ERR_INPUT, "export to \"%s\": expected the name of a file",
                         path);
    if (lstat(path, &status) == 0)
        return error_set(error, ONWARD_ERR_INPUT, "%s: is a link to what is not there", path);
    int code = file_parent(parent, sizeof parent, path, error);
    if (code != ONWARD_OK)
        return code;
    if (!realpath(parent, directory))
        return error_set_errno(error, ONWARD_ERR_INPUT, errno, "%s: expected a directory", parent);
    return file_join(place, PATH_MAX, strcmp(directory, "/") == 0 ? "" : directory, name, error);
}

/* The directory has to be one that can be written, and in no run directory, where a name may be
 * that of a file which a task lives on. */
static int check_directory(const char *place, struct error *error)
{
    char directory[PATH_MAX], parent[PATH_MAX];
    int code = file_parent(directory, sizeof directory, place, error);
    if (code == ONWARD_OK && access(directory, W_OK | X_OK) != 0)
        code = error_set(error, ONWARD_ERR_INPUT, "%s: expected a directory that can be written",
                         directory);
    while (code == ONWARD_OK && !rundir_is_at(directory) && strcmp(directory, "/") != 0) {
        code = file_parent(parent, sizeof parent, directory, error);
        memcpy(directory, parent, sizeof directory);
    }
    if (code == ONWARD_OK && strcmp(directory, "/") != 0)
        code = error_set(error, ONWARD_ERR_INPUT,
                         "%s: is in the run directory %s; expected a place outside of it", place,
                         directory);
    return code;
}

int checkpoint_export_place(char *place, const char *path, bool replace, struct error *error)
{
    struct stat status;
    int code = ONWARD_OK;
    if (stat(path, &status) == 0) {
        code = check_there(path, &status, replace, error);
        if (code == ONWARD_OK && !realpath(path, place))
            code = error_set_errno(error, ONWARD_ERR_INPUT, errno, "%s: cannot be found", path);
    } else if (errno == ENOENT) {
        code = resolve_free(place, path, error);
    } else {
        code = error_set_errno(error, ONWARD_ERR_INPUT, errno, "%s: expected the name of a file",
                               path);
    }
    return code == ONWARD_OK ? check_directory(place, error) : code;
}

int checkpoint_export(const char *run, int64_t step, const char *path, bool replace,
                      struct error *error)
{
    H5_QUIET;
    struct checkpoint_array *arrays = NULL;
    uint32_t array_count = 0;
    char place[PATH_MAX];
    int code = checkpoint_export_place(place, path, replace, error);
    if (code == ONWARD_OK)
        code = checkpoint_describe(run, step, &arrays, &array_count, error);
    if (code == ONWARD_OK)
        code = export_arrays(run, step, arrays, array_count, place, error);
    free(arrays);
    return code;
}
