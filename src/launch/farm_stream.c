/* farm_stream.c - follows the journal for what is settled. */
#include "farm_stream.h"

#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "journal.h"
#include "say.h"

enum { MARK_SETTLED = 1, MARK_OUTPUT = 2 }; /* and the kinds after it: MARK_OUTPUT << kind */
enum { PIECE_BYTES = 1 << 16, MOST_BYTES = 1 << 24 };

static const double look_every_s = 0.1;

bool farm_keeps_order(const struct task_record *record)
{
    for (uint32_t i = 0; i < record->argument_count; i++)
        if (!strcmp(record->arguments[i], "--keep-order"))
            return true;
    return false;
}

void farm_stream_open(struct farm_stream *stream, const struct launch_options *options,
                      const struct task_record *record)
{
    char base[PATH_MAX];
    *stream = (struct farm_stream){.count = record->subtask_count};
    if (!farm_keeps_order(record) || options->json ||
        rundir_base(options->directory, base, sizeof base, NULL) != ONWARD_OK ||
        file_join(stream->run, sizeof stream->run, base, record->task, NULL) != ONWARD_OK)
        return;
    stream->marks = calloc(stream->count ? stream->count : 1, 1); /* without it, all at the end */
}

void farm_stream_close(struct farm_stream *stream)
{
    if (stream->piece)
        fclose(stream->piece);
    free(stream->marks);
    stream->piece = NULL;
    stream->marks = NULL;
}

/* As the results have it: the first final record counts. */
static void take(void *context, const struct journal_record *record)
{
    struct farm_stream *stream = context;
    if (record->kind < JOURNAL_DONE || (stream->marks[record->subtask] & MARK_SETTLED))
        return;
    unsigned char *mark = &stream->marks[record->subtask];
    if (record->kind != JOURNAL_LOST && record->kind != JOURNAL_POISON)
        *mark = (unsigned char)((record->out_bytes ? MARK_OUTPUT : 0) |
                                (record->err_bytes ? MARK_OUTPUT << 1 : 0));
    if (record->kind != JOURNAL_LOST && record->kind != JOURNAL_TRIED)
        *mark |= MARK_SETTLED;
}

/* Some of the piece that is next. False: it is not to be had now. */
static bool print_piece(struct farm_stream *stream, size_t *left)
{
    static const char *const kinds[FARM_STREAM_KINDS] = {"out", "err"};
    char path[PATH_MAX + 64], bytes[PIECE_BYTES];
    FILE *to = stream->kind == 0 ? stdout : stderr;
    if (!stream->piece) {
        commands_output_path(stream->run, stream->next + 1, kinds[stream->kind], path, sizeof path);
        stream->piece = fopen(path, "re");
    }
    if (!stream->piece)
        return false;
    size_t got = fread(bytes, 1, sizeof bytes, stream->piece);
    stream->printed[stream->kind] += fwrite(bytes, 1, got, to);
    *left -= got < *left ? got : *left;
    if (got == sizeof bytes)
        return true;
    fclose(stream->piece);
    stream->piece = NULL;
    stream->kind++;
    return true;
}

static bool has_next(const struct farm_stream *stream)
{
    return stream->next < stream->count && (stream->marks[stream->next] & MARK_SETTLED);
}

void farm_stream_look(void *farm_stream, struct display *display)
{
    struct farm_stream *stream = farm_stream;
    char path[PATH_MAX + 16];
    size_t left = MOST_BYTES;
    if (!stream->marks || clock_now_s() < stream->look_s)
        return;
    snprintf(path, sizeof path, "%s/journal", stream->run);
    if (journal_follow(path, stream->count, &stream->offset, take, stream, NULL) != ONWARD_OK)
        return;
    if (has_next(stream))
        display_clear(display);
    while (left > 0 && has_next(stream)) {
        if (stream->kind == FARM_STREAM_KINDS) {
            stream->kind = 0;
            stream->next++;
        } else if (!(stream->marks[stream->next] & MARK_OUTPUT << stream->kind)) {
            stream->kind++;
        } else if (!print_piece(stream, &left)) {
            break;
        }
    }
    fflush(stdout);
    stream->look_s = clock_now_s() + (left > 0 ? look_every_s : 0);
}
