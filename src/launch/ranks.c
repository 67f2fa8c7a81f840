/* ranks.c - see ranks.h. A rank whose line is not whole yet has not reported it. */
#include "ranks.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

int ranks_init(struct ranks *ranks, uint32_t count, struct error *error)
{
    *ranks = (struct ranks){.count = count, .first_bad = -1};
    ranks->list = calloc(count ? count : 1, sizeof *ranks->list);
    if (ranks->list)
        return ONWARD_OK;
    ranks->count = 0;
    return error_set(error, ONWARD_ERR_MEMORY, "%u ranks: out of memory", count);
}

void ranks_clear(struct ranks *ranks)
{
    free(ranks->list);
    *ranks = (struct ranks){.first_bad = -1};
}

int ranks_directory(const char *run, int64_t incarnation, char *path, size_t path_bytes,
                    struct error *error)
{
    char name[64];
    snprintf(name, sizeof name, "ranks/%" PRId64, incarnation);
    return file_join(path, path_bytes, run, name, error);
}

int ranks_begun_line(uint32_t rank, int32_t pid, char *text)
{
    return snprintf(text, RANKS_LINE_BYTES, "begun %" PRIu32 " %" PRId32 "\n", rank, pid);
}

int ranks_ended_line(uint32_t rank, const struct rank *how, char *text)
{
    return snprintf(text, RANKS_LINE_BYTES,
                    "ended %" PRIu32 " %" PRId32 " %" PRId32 " %" PRId64 "\n", rank,
                    how->exit_status, how->signal, how->ended_us);
}

static void take_line(struct ranks *ranks, const char *line, const char *host)
{
    uint32_t rank;
    struct rank how = {.ended = true};
    int32_t pid;
    if (!strchr(line, '\n'))
        return;
    if (sscanf(line, "begun %" SCNu32 " %" SCNd32, &rank, &pid) == 2 && rank < ranks->count) {
        ranks->list[rank].begun = true;
        ranks->list[rank].pid = pid;
        snprintf(ranks->list[rank].host, sizeof ranks->list[rank].host, "%.255s", host);
    } else if (sscanf(line, "ended %" SCNu32 " %" SCNd32 " %" SCNd32 " %" SCNd64, &rank,
                      &how.exit_status, &how.signal, &how.ended_us) == 4 &&
               rank < ranks->count) {
        how.begun = ranks->list[rank].begun;
        how.pid = ranks->list[rank].pid;
        snprintf(how.host, sizeof how.host, "%.255s", host);
        ranks->list[rank] = how;
    }
}

static int read_host(struct ranks *ranks, const char *directory, const char *host,
                     struct error *error)
{
    char path[PATH_MAX], line[RANKS_LINE_BYTES];
    int code = file_join(path, sizeof path, directory, host, error);
    if (code != ONWARD_OK)
        return code;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", path);
    while (fgets(line, sizeof line, file))
        take_line(ranks, line, host);
    bool failed = ferror(file) != 0;
    fclose(file);
    return failed ? error_set(error, ONWARD_ERR_IO, "%s: cannot be read", path) : ONWARD_OK;
}

static void count(struct ranks *ranks)
{
    ranks->begun = ranks->ended = ranks->succeeded = 0;
    ranks->first_bad = -1;
    for (uint32_t i = 0; i < ranks->count; i++) {
        const struct rank *rank = &ranks->list[i];
        bool good = rank->exit_status == 0 && rank->signal == 0;
        ranks->begun += rank->begun || rank->ended;
        ranks->ended += rank->ended;
        ranks->succeeded += rank->ended && good;
        if (rank->ended && !good &&
            (ranks->first_bad < 0 || rank->ended_us < ranks->list[ranks->first_bad].ended_us))
            ranks->first_bad = i;
    }
}

int ranks_read(struct ranks *ranks, const char *directory, struct error *error)
{
    const struct dirent *entry;
    int code = ONWARD_OK;
    DIR *hosts = opendir(directory);
    if (!hosts)
        return error_set_errno(error, ONWARD_ERR_IO, errno, "%s", directory);
    memset(ranks->list, 0, ranks->count * sizeof *ranks->list);
    while (code == ONWARD_OK && (entry = readdir(hosts)) != NULL)
        if (entry->d_name[0] != '.')
            code = read_host(ranks, directory, entry->d_name, error);
    closedir(hosts);
    count(ranks);
    return code;
}

void ranks_describe(const struct ranks *ranks, char *text, size_t text_bytes)
{
    text[0] = '\0';
    if (ranks->first_bad < 0 || ranks->first_bad >= ranks->count)
        return;
    const struct rank *rank = &ranks->list[ranks->first_bad];
    if (rank->signal)
        snprintf(text, text_bytes, "rank %" PRId64 " on host %.100s was ended by signal %d (%s)",
                 ranks->first_bad, rank->host, rank->signal, strsignal(rank->signal));
    else
        snprintf(text, text_bytes, "rank %" PRId64 " on host %.100s ended with exit status %d",
                 ranks->first_bad, rank->host, rank->exit_status);
}
