/* copy.c - copies of shards in the node-local directory; see copy.h. */
#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "checkpoint_internal.h"
#include "file.h"
#include "h5.h"
#include "image.h"
#include "local_internal.h"

enum { MAX_COPIES = 65536 };

bool copy_is_before(const struct copy_id *id, int64_t incarnation, int64_t epoch)
{
    return id->incarnation < incarnation || (id->incarnation == incarnation && id->epoch < epoch);
}

void copy_name(char *name, const struct copy_id *id)
{
    snprintf(name, COPY_NAME_BYTES,
             "step-%08" PRId64 ".r%03" PRIu32 "-of-%03" PRIu32 ".i%04" PRId64 ".e%04" PRId64
             "%s.h5",
             id->step, id->shard, id->shard_count, id->incarnation, id->epoch,
             id->is_partner ? ".partner" : "");
}

bool copy_parse_name(const char *name, struct copy_id *id)
{
    char canonical[COPY_NAME_BYTES];
    id->is_partner = strstr(name, ".partner.h5") != NULL;
    id->is_unread = 0;
    if (sscanf(name, "step-%" SCNd64 ".r%" SCNu32 "-of-%" SCNu32 ".i%" SCNd64 ".e%" SCNd64,
               &id->step, &id->shard, &id->shard_count, &id->incarnation, &id->epoch) != 5)
        return false;
    copy_name(canonical, id);
    return strcmp(canonical, name) == 0 && id->step >= 0 && id->incarnation > 0 && id->epoch > 0 &&
           id->shard < id->shard_count && id->shard_count <= CHECKPOINT_MAX_SHARDS;
}

static struct local_id local_of(const struct copy_place *place)
{
    return (struct local_id){.directory = place->directory, .task = place->task, .run = place->run};
}

int copy_directory(const struct copy_place *place, char *path, struct error *error)
{
    struct local_id local = local_of(place);
    return local_directory(&local, true, path, COPY_PATH_BYTES, error);
}

int copy_path(const struct copy_place *place, const struct copy_id *id, char *path,
              struct error *error)
{
    char directory[COPY_PATH_BYTES], name[COPY_NAME_BYTES];
    struct local_id local = local_of(place);
    copy_name(name, id);
    int code = local_directory(&local, false, directory, sizeof directory, error);
    return code == ONWARD_OK ? file_join(path, COPY_PATH_BYTES, directory, name, error) : code;
}

/* Under its name once it is whole. */
static int save(struct image *image, const char *path, uint64_t *bytes, struct error *error)
{
    char temporary[PATH_MAX];
    int fd = -1;
    int code = file_temporary(path, temporary, sizeof temporary, &fd, error);
    if (code != ONWARD_OK)
        return code;
    code = image_store(image, fd, path, error);
    off_t end = lseek(fd, 0, SEEK_END);
    close(fd);
    if (code == ONWARD_OK && rename(temporary, path) != 0)
        code = error_set_errno(error, ONWARD_ERR_IO, errno, "%s: cannot put it in place", path);
    if (code != ONWARD_OK)
        unlink(temporary);
    *bytes = end > 0 ? (uint64_t)end : 0;
    return code;
}

/* What a copy is of, as it says itself. */
static struct checkpoint_id state_of(const struct copy_place *place, const struct copy_id *id)
{
    struct checkpoint_id state = {"", id->incarnation, id->epoch, id->step};
    snprintf(state.task, sizeof state.task, "%s", place->task);
    return state;
}

int copy_write(const struct copy_place *place, const struct copy_id *id,
               const struct checkpoint_array *arrays, uint32_t array_count, uint64_t *bytes,
               struct error *error)
{
    H5_QUIET;
    char directory[COPY_PATH_BYTES], path[COPY_PATH_BYTES];
    struct checkpoint_id whole = state_of(place, id);
    struct image image;
    int code = copy_directory(place, directory, error);
    if (code == ONWARD_OK)
        code = copy_path(place, id, path, error);
    if (code == ONWARD_OK)
        code = image_open(&image, IMAGE_BLOCKS, error);
    if (code != ONWARD_OK)
        return code;
    code = checkpoint_fill_shard(&image, &whole, arrays, array_count, id->shard, id->shard_count,
                                 error);
    if (code == ONWARD_OK)
        code = save(&image, path, bytes, error);
    image_close(&image);
    return code;
}

bool copy_has_room(const struct copy_place *place, uint64_t bytes)
{
    struct statvfs status;
    return statvfs(place->directory, &status) != 0 || status.f_blocks == 0 ||
           bytes <= (uint64_t)status.f_bavail * status.f_frsize;
}

/* Calls visit for each name in the directory; there may be none. What the system says of it; 0: it
 * could be read. */
static int walk(const struct copy_place *place,
                void (*visit)(void *context, int directory, const char *name), void *context)
{
    char path[COPY_PATH_BYTES];
    struct local_id local = local_of(place);
    if (local_directory(&local, false, path, sizeof path, NULL) != ONWARD_OK)
        return ENAMETOOLONG;
    DIR *list = opendir(path);
    if (!list)
        return errno;
    const struct dirent *entry = NULL;
    for (int i = 0; i < MAX_COPIES && (entry = file_next_entry(list)) != NULL; i++)
        visit(context, dirfd(list), entry->d_name);
    int failed = entry ? 0 : errno;
    closedir(list);
    return failed;
}

struct listing {
    struct copy_id *list;
    uint32_t count, room;
    bool failed;
};

static void add(void *context, int directory, const char *name)
{
    struct listing *listing = context;
    struct copy_id id;
    (void)directory;
    if (!copy_parse_name(name, &id) || listing->failed)
        return;
    if (listing->count == listing->room) {
        uint32_t room = listing->room ? 2 * listing->room : 64;
        struct copy_id *grown = realloc(listing->list, room * sizeof *grown);
        if (!grown) {
            listing->failed = true;
            return;
        }
        listing->list = grown;
        listing->room = room;
    }
    listing->list[listing->count++] = id;
}

int copy_list(const struct copy_place *place, struct copy_id **list, uint32_t *count,
              struct error *error)
{
    struct listing listing = {0};
    struct local_id local = local_of(place);
    char path[COPY_PATH_BYTES] = "";
    int failed = walk(place, add, &listing);
    *list = listing.list;
    *count = listing.count;
    if (failed == EIO) {
        local_directory(&local, false, path, sizeof path, NULL);
        return error_set_errno(error, ONWARD_ERR_IO, failed, "%s: cannot read", path);
    }
    if (!listing.failed)
        return ONWARD_OK;
    free(listing.list);
    *list = NULL;
    *count = 0;
    return error_set(error, ONWARD_ERR_MEMORY, "out of memory to list local copies");
}

int copy_check(const char *path)
{
    struct summed_file summed;
    int code = summed_file_open(&summed, path, NULL, NULL, NULL);
    if (code != ONWARD_OK)
        return code;
    code = summed_file_check(&summed, NULL);
    summed_file_close(&summed);
    return code;
}

void copy_remove(const struct copy_place *place, const struct copy_id *id)
{
    struct copy_id either = *id;
    char path[COPY_PATH_BYTES];
    for (either.is_partner = 0; either.is_partner <= 1; either.is_partner++)
        if (copy_path(place, &either, path, NULL) == ONWARD_OK)
            unlink(path);
}

struct sweeping {
    bool (*is_old)(void *context, const struct copy_id *id);
    void *context;
};

/* A temporary file is as old as what it was to become. */
static void sweep(void *context, int directory, const char *name)
{
    const struct sweeping *sweeping = context;
    char whole[COPY_NAME_BYTES];
    struct copy_id id;
    const char *temporary = strstr(name, ".tmp-");
    int length = temporary ? (int)(temporary - name) : (int)strlen(name);
    if (length >= COPY_NAME_BYTES)
        return;
    snprintf(whole, sizeof whole, "%.*s", length, name);
    if (copy_parse_name(whole, &id) && sweeping->is_old(sweeping->context, &id))
        unlinkat(directory, name, 0);
}

void copy_sweep(const struct copy_place *place,
                bool (*is_old)(void *context, const struct copy_id *), void *context)
{
    struct sweeping sweeping = {is_old, context};
    walk(place, sweep, &sweeping);
}

static void remove_any(void *context, int directory, const char *name)
{
    struct copy_id id;
    (void)context;
    if (copy_parse_name(name, &id) || strstr(name, ".h5.tmp-"))
        unlinkat(directory, name, 0);
}

void copy_remove_all(const struct copy_place *place)
{
    walk(place, remove_any, NULL);
}

struct copy_source {
    struct checkpoint_source source;
};

static int find(const struct copy_place *place, const struct copy_id *id, char *path,
                struct error *error)
{
    struct copy_id either = *id;
    int code = ONWARD_OK;
    for (either.is_partner = 0; either.is_partner <= 1 && code == ONWARD_OK; either.is_partner++) {
        code = copy_path(place, &either, path, error);
        if (code == ONWARD_OK && access(path, F_OK) == 0)
            break;
    }
    return code;
}

void copy_close(struct copy_source *source)
{
    if (source)
        checkpoint_source_close(&source->source);
    free(source);
}

int copy_open(const struct copy_place *place, const struct copy_id *id, uint32_t array_count,
              struct copy_source **source, struct error *error)
{
    H5_QUIET;
    char path[COPY_PATH_BYTES];
    *source = NULL;
    int code = find(place, id, path, error);
    if (code != ONWARD_OK)
        return code;
    struct copy_source *opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory to read it", path);
    code = checkpoint_source_open(&opened->source, path, NULL, error);
    if (code != ONWARD_OK) {
        free(opened);
        return code;
    }
    const struct checkpoint_id state = state_of(place, id);
    code = checkpoint_source_check_id(&opened->source, &state, id->shard, id->shard_count, error);
    if (code == ONWARD_OK)
        code = checkpoint_source_check_count(&opened->source, array_count, error);
    if (code == ONWARD_OK)
        *source = opened;
    else
        copy_close(opened);
    return code;
}

int copy_read(struct copy_source *source, const struct checkpoint_array *array, uint32_t index,
              const struct onward_slab *part, const struct onward_slab *wanted, void *data,
              uint64_t *elements, struct error *error)
{
    H5_QUIET;
    struct checkpoint_part whole = {index, *part};
    return checkpoint_source_read(&source->source, array, &whole, wanted, data, elements, error);
}
