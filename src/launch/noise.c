/* noise.c - tells Open MPI's own messages from the program's output.
 *
 * Its help messages stand between two lines of 74 dashes; such a block is held until the second
 * one and dropped if a word in it is one of Open MPI's. Single lines are known by their beginning
 * "[host:pid]" with one of its words behind, or by a fixed beginning. When in doubt a line is
 * shown: to hide what a program says would be worse than to show what Open MPI says. */
#include "noise.h"

#include <stdio.h>
#include <string.h>

enum { DASHES = 74 };

static const char *const block_words[] = {"prterun", "mpirun",   "PRTE",      "PRRTE",   "PMIx",
                                          "PMIX",    "Open MPI", "MPI_ABORT", "MPI job", "prted"};
static const char *const line_words[] = {"PRTE",       "PMIX",       "PMIx",      "prterun",
                                         "mca_",       "help-",      "orte_base", "prte_base",
                                         "btl_tcp",    "OPAL ERROR", "show_help", "help message",
                                         "[[prterun-", "PML ob1",    "revoke",    "plm:ssh:"};
static const char *const line_beginnings[] = {"PRTE has lost communication",
                                              "[warn] Epoll ",
                                              "prterun:",
                                              "mpirun:",
                                              "prterun noticed",
                                              "prted:",
                                              "NBC_Progress: an error",
                                              "LAUNCHER JOB OBJECT NOT FOUND"};

static bool contains_any(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(text, words[i]))
            return true;
    return false;
}

static bool is_dashed(const char *line, size_t bytes)
{
    return bytes == DASHES && strspn(line, "-") >= DASHES;
}

/* line ends with a NUL. */
static bool is_noise(const char *line)
{
    for (size_t i = 0; i < sizeof line_beginnings / sizeof *line_beginnings; i++)
        if (!strncmp(line, line_beginnings[i], strlen(line_beginnings[i])))
            return true;
    const char *close = line[0] == '[' ? strchr(line, ']') : NULL;
    const char *colon = close ? strchr(line, ':') : NULL;
    return colon && colon < close &&
           contains_any(close, line_words, sizeof line_words / sizeof *line_words);
}

bool noise_lost_host(const char *line, char *host, size_t host_bytes)
{
    static const char daemon[] = "Remote daemon:", place[] = " on node ";
    const char *begin = line + strspn(line, " ");
    const char *name = strncmp(begin, daemon, sizeof daemon - 1) == 0 ? strstr(begin, place) : NULL;
    if (!name)
        return false;
    name += sizeof place - 1;
    size_t length = strcspn(name, " \t\r\n");
    if (length == 0 || length >= host_bytes)
        return false;
    snprintf(host, host_bytes, "%.*s", (int)length, name);
    return true;
}

static void hold(struct noise *noise, const char *line, size_t bytes)
{
    memcpy(noise->block + noise->block_bytes, line, bytes);
    noise->block_bytes += bytes;
    noise->block[noise->block_bytes++] = '\n';
    noise->block[noise->block_bytes] = '\0';
}

void noise_end(struct noise *noise, void (*show)(void *context, const char *text, size_t bytes),
               void *context)
{
    if (noise->block_bytes)
        show(context, noise->block, noise->block_bytes - 1);
    noise->block_bytes = 0;
}

static void close_block(struct noise *noise,
                        void (*show)(void *context, const char *text, size_t bytes), void *context)
{
    if (!contains_any(noise->block, block_words, sizeof block_words / sizeof *block_words))
        noise_end(noise, show, context);
    noise->block_bytes = 0;
}

void noise_line(struct noise *noise, const char *line, size_t bytes,
                void (*show)(void *context, const char *text, size_t bytes), void *context)
{
    if (noise->block_bytes) {
        if (noise->block_bytes + bytes + 2 <= sizeof noise->block) {
            hold(noise, line, bytes);
            if (is_dashed(line, bytes))
                close_block(noise, show, context);
            return;
        }
        noise_end(noise, show, context);
    }
    bool belongs = noise->empty_follows && bytes == 0;
    noise->empty_follows = false;
    if (is_dashed(line, bytes))
        hold(noise, line, bytes);
    else if (is_noise(line)) /* what libnbc says ends with two newlines */
        noise->empty_follows = !strncmp(line, "NBC_", 4);
    else if (!belongs && (*line || bytes == 0)) /* mpirun ends a message with a NUL */
        show(context, line, bytes);
}
