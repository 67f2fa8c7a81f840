/* segments.c - finds the segments first, then looks through all processes: whoever made one before
 * has it open or mapped for as long as it lives. It is opened, then mapped, then closed; so what a
 * process has open is looked at before what it has mapped. */
#include "segments.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MAX_SEGMENTS = 4096, PATH_BYTES = 512 };

#define PREFIX "sm_segment."
static const char directory[] = "/dev/shm";

struct segment {
    char path[PATH_BYTES];
    dev_t device;
    ino_t inode;
    bool used;
};

struct segments {
    struct segment *list;
    uint32_t count, used;
};

/* Of this host: another that shares the memory has processes that are not seen here. */
static bool is_ours(const char *name)
{
    char host[HOST_NAME_MAX + 1] = "";
    size_t prefix = strlen(PREFIX);
    gethostname(host, sizeof host - 1);
    size_t length = strcspn(host, ".");
    return !strncmp(name, PREFIX, prefix) && !strncmp(name + prefix, host, length) &&
           name[prefix + length] == '.';
}

static void find(struct segments *segments)
{
    const struct dirent *entry;
    DIR *entries = opendir(directory);
    while (entries && segments->count < MAX_SEGMENTS && (entry = readdir(entries)) != NULL) {
        struct segment *segment = &segments->list[segments->count];
        struct stat status;
        int length =
            snprintf(segment->path, sizeof segment->path, "%s/%s", directory, entry->d_name);
        if (!is_ours(entry->d_name) || length >= PATH_BYTES || lstat(segment->path, &status) != 0 ||
            !S_ISREG(status.st_mode) || status.st_uid != geteuid())
            continue;
        segment->device = status.st_dev;
        segment->inode = status.st_ino;
        segment->used = false;
        segments->count++;
    }
    if (entries)
        closedir(entries);
}

static void note_use(struct segments *segments, dev_t device, ino_t inode)
{
    for (uint32_t i = 0; i < segments->count; i++) {
        struct segment *segment = &segments->list[i];
        if (segment->used || segment->device != device || segment->inode != inode)
            continue;
        segment->used = true;
        segments->used++;
    }
}

static void note_open(struct segments *segments, const char *process)
{
    char path[PATH_BYTES], target[PATH_BYTES];
    const struct dirent *entry;
    snprintf(path, sizeof path, "/proc/%.20s/fd", process);
    DIR *entries = opendir(path);
    while (entries && (entry = readdir(entries)) != NULL) {
        struct stat status;
        snprintf(path, sizeof path, "/proc/%.20s/fd/%.20s", process, entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        if (strstr(target, PREFIX) && stat(path, &status) == 0)
            note_use(segments, status.st_dev, status.st_ino);
    }
    if (entries)
        closedir(entries);
}

static void note_mapped(struct segments *segments, const char *process)
{
    char path[PATH_BYTES], *line = NULL;
    size_t line_bytes = 0;
    snprintf(path, sizeof path, "/proc/%.20s/maps", process);
    FILE *maps = fopen(path, "re");
    while (maps && getline(&line, &line_bytes, maps) > 0) {
        unsigned high, low;
        unsigned long inode;
        if (strstr(line, PREFIX) && sscanf(line, "%*s %*s %*s %x:%x %lu", &high, &low, &inode) == 3)
            note_use(segments, makedev(high, low), inode);
    }
    free(line);
    if (maps)
        fclose(maps);
}

/* False when the process table cannot be read. */
static bool look_at_processes(struct segments *segments)
{
    const struct dirent *entry;
    DIR *table = opendir("/proc");
    while (table && segments->used < segments->count && (entry = readdir(table)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        note_open(segments, entry->d_name);
        note_mapped(segments, entry->d_name);
    }
    if (table)
        closedir(table);
    return table != NULL;
}

uint32_t segments_remove(void)
{
    struct segments segments = {.list = calloc(MAX_SEGMENTS, sizeof *segments.list)};
    uint32_t removed = 0;
    if (!segments.list)
        return 0;
    find(&segments);
    bool is_known = segments.count > 0 && look_at_processes(&segments);
    for (uint32_t i = 0; is_known && i < segments.count; i++)
        if (!segments.list[i].used && unlink(segments.list[i].path) == 0)
            removed++;
    free(segments.list);
    return removed;
}
