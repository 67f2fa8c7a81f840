/* restart_file.c - see restart_file.h. */
#include "restart_file.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct candidate {
    const char *path;
    int64_t written_ns;
};

/* The newest first; of two from the same moment the one whose name is the last. */
static int compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->written_ns != b->written_ns)
        return a->written_ns < b->written_ns ? 1 : -1;
    return strcmp(b->path, a->path);
}

/* The candidates among the paths, sorted; NULL: out of memory. */
static struct candidate *list_candidates(const glob_t *found, size_t *count)
{
    struct candidate *list = calloc(found->gl_pathc + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < found->gl_pathc; i++) {
        struct stat status;
        if (stat(found->gl_pathv[i], &status) == 0 && status.st_size > 0)
            list[(*count)++] = (struct candidate){
                found->gl_pathv[i], status.st_mtim.tv_sec * 1000000000LL + status.st_mtim.tv_nsec};
    }
    if (list)
        qsort(list, *count, sizeof *list, compare);
    return list;
}

/* Its moment; 0: there is none. */
static int64_t pick(const char *pattern, uint32_t skip, char *path, size_t path_bytes)
{
    glob_t found = {0};
    size_t count = 0;
    int64_t written_ns = 0;
    struct candidate *list = NULL;
    if (glob(pattern, GLOB_BRACE, NULL, &found) == 0)
        list = list_candidates(&found, &count);
    if (count > 0) {
        const struct candidate *chosen = &list[skip < count ? skip : count - 1];
        snprintf(path, path_bytes, "%s", chosen->path);
        written_ns = chosen->written_ns;
    }
    free(list);
    globfree(&found);
    return written_ns;
}

bool restart_file_pick(const char *pattern, uint32_t skip, char *path, size_t path_bytes)
{
    return pick(pattern, skip, path, path_bytes) != 0;
}

int64_t restart_file_newest_ns(const char *pattern)
{
    char path[1];
    return pick(pattern, 0, path, sizeof path);
}

void restart_file_all_in(const char *directory, char *pattern, size_t pattern_bytes)
{
    size_t used = 0;
    for (const char *c = directory; *c && used + 5 < pattern_bytes; c++) {
        if (strchr("*?[]\\{},", *c))
            pattern[used++] = '\\';
        pattern[used++] = *c;
    }
    snprintf(pattern + used, pattern_bytes - used, "/*");
}
