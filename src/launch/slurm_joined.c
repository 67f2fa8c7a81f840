/* slurm_joined.c - the variable ONWARD_JOINED: read from left to right, written whole. */
#include "slurm_joined.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char variable[] = "ONWARD_JOINED";

/* One HOST=JOB of the text. */
struct entry {
    const char *host, *job;
    size_t host_size, job_size;
};

/* The entry at *text, which moves behind it; false: there is none. What is no entry is passed
 * over. */
static bool take_entry(const char **text, struct entry *entry)
{
    while (*text && **text) {
        size_t size = strcspn(*text, ",");
        const char *equals = memchr(*text, '=', size);
        entry->host = *text;
        *text += size + ((*text)[size] ? 1 : 0);
        if (!equals)
            continue;
        entry->host_size = (size_t)(equals - entry->host);
        entry->job = equals + 1;
        entry->job_size = size - entry->host_size - 1;
        return true;
    }
    return false;
}

static bool is_text(const char *found, size_t size, const char *text)
{
    return strlen(text) == size && !memcmp(found, text, size);
}

/* What the variable holds, without the job `dropped`, and with the hosts of `job`. */
static int rewrite(const char *dropped, const struct hosts *hosts, const char *job,
                   struct error *error)
{
    char *text = NULL;
    size_t size;
    struct entry entry;
    const char *before = getenv(variable);
    FILE *stream = open_memstream(&text, &size);
    const char *comma = "";
    while (stream && take_entry(&before, &entry)) {
        if (is_text(entry.job, entry.job_size, dropped))
            continue;
        fprintf(stream, "%s%.*s=%.*s", comma, (int)entry.host_size, entry.host, (int)entry.job_size,
                entry.job);
        comma = ",";
    }
    for (uint32_t i = 0; stream && hosts && i < hosts->count; i++) {
        fprintf(stream, "%s%s=%s", comma, hosts->list[i].name, job);
        comma = ",";
    }
    bool written = stream && fclose(stream) == 0 &&
                   (*text ? setenv(variable, text, 1) : unsetenv(variable)) == 0;
    free(text);
    return written ? ONWARD_OK : error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", variable);
}

int slurm_joined_add(const struct hosts *hosts, const char *job, struct error *error)
{
    return rewrite(job, hosts, job, error);
}

int slurm_joined_drop(const char *job, struct error *error)
{
    return rewrite(job, NULL, job, error);
}

bool slurm_joined_find(const char *host, char job[SLURM_JOINED_JOB_BYTES])
{
    struct entry entry;
    const char *text = getenv(variable);
    while (take_entry(&text, &entry)) {
        if (!is_text(entry.host, entry.host_size, host) || entry.job_size >= SLURM_JOINED_JOB_BYTES)
            continue;
        memcpy(job, entry.job, entry.job_size);
        job[entry.job_size] = '\0';
        return true;
    }
    return false;
}

char *slurm_joined_names(void)
{
    char *names = NULL;
    size_t size;
    struct entry entry;
    const char *text = getenv(variable);
    FILE *stream = open_memstream(&names, &size);
    while (stream && take_entry(&text, &entry))
        fprintf(stream, ",%.*s", (int)entry.host_size, entry.host);
    if (stream && fclose(stream) == 0)
        return names;
    free(names);
    return NULL;
}
