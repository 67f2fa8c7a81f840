/* partner_message.h - for the fuzzer and the test of the partner level: a receiver without threads,
 * the messages that it is given over a socket, and what has to hold behind each. */
#ifndef TESTS_FUZZ_PARTNER_MESSAGE_H
#define TESTS_FUZZ_PARTNER_MESSAGE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "partner_wire.h"
#include "summed_file.h"

/* A message is in the socket before anybody reads it: it has to fit there. */
enum { MESSAGE_BYTES = 1 << 15 };

static const uint64_t message_token = 0x5ca1ab1e0ddba11u;
static const struct copy_id message_id = {
    .incarnation = 2, .epoch = 7, .step = 120, .shard = 1, .shard_count = 2};

/* What is there before each message: no message may remove the first ones, and one that is refused
 * by its head none at all. */
static const struct copy_id message_held[] = {
    {2, 7, 100, 1, 2, 0, 0}, /* of a worker of this host */
    {3, 1, 100, 1, 2, 1, 0}, {2, 7, 100, 0, 2, 1, 0},
    {2, 7, 100, 1, 2, 1, 0}, {2, 6, 130, 1, 2, 1, 0},
};
enum { MESSAGE_HELD = sizeof message_held / sizeof message_held[0], MESSAGE_KEPT = 2 };

static struct partner message_receiver = {.listen_fd = -1, .fd = -1, .receive_fd = -1};
static char message_held_paths[MESSAGE_HELD][COPY_PATH_BYTES];
static char message_directory[COPY_PATH_BYTES];

static void message_fill_held(void)
{
    for (int i = 0; i < MESSAGE_HELD; i++)
        if (access(message_held_paths[i], F_OK) != 0)
            close(open(message_held_paths[i], O_CREAT | O_WRONLY, 0600));
}

/* directory: node-local; it must outlive the messages. */
static void message_begin(const char *directory)
{
    struct partner *partner = &message_receiver;
    partner->place = (struct copy_place){directory, "task-1", 9};
    partner->incarnation = message_id.incarnation;
    atomic_store(&partner->newest_epoch, message_id.epoch);
    partner->address.token = message_token;
    pthread_mutex_init(&partner->placing, NULL);
    copy_directory(&partner->place, message_directory, NULL);
    for (int i = 0; i < MESSAGE_HELD; i++)
        copy_path(&partner->place, &message_held[i], message_held_paths[i], NULL);
    message_fill_held();
}

/* Puts table and foot behind size bytes, which have room for them. Returns the length of all. */
static size_t message_seal(uint8_t *file, size_t size)
{
    char path[COPY_PATH_BYTES], sum[SUMMED_SUM_BYTES];
    uint64_t bytes = 0;
    struct block_sums *sums = block_sums_begin();
    snprintf(path, sizeof path, "%s/sealed", message_receiver.place.directory);
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    if (!sums || fd < 0 || block_sums_add(sums, file, size, NULL) != ONWARD_OK ||
        block_sums_write(sums, fd, path, &bytes, sum, NULL) != ONWARD_OK ||
        pread(fd, file + size, bytes - size, (off_t)size) != (ssize_t)(bytes - size))
        abort();
    block_sums_end(sums);
    close(fd);
    unlink(path);
    return bytes;
}

/* What the receiver answers. */
static size_t message_deliver(const uint8_t *message, size_t size, char answers[4])
{
    int ends[2];
    if (size > MESSAGE_BYTES || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 ||
        send(ends[0], message, size, MSG_NOSIGNAL) != (ssize_t)size)
        abort();
    shutdown(ends[0], SHUT_WR);
    partner_serve(&message_receiver, ends[1]);
    close(ends[1]);
    ssize_t got = recv(ends[0], answers, 4, 0);
    close(ends[0]);
    return got > 0 ? (size_t)got : 0;
}

static bool message_is_stored(const char *path, const uint8_t *file, size_t size)
{
    static uint8_t stored[MESSAGE_BYTES + 1];
    int fd = open(path, O_RDONLY);
    ssize_t got = fd >= 0 ? read(fd, stored, sizeof stored) : -1;
    close(fd);
    return got == (ssize_t)size && memcmp(stored, file, size) == 0;
}

static int message_count_files(void)
{
    int count = 0;
    DIR *list = opendir(message_directory);
    for (const struct dirent *entry; list && (entry = readdir(list));)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

static int message_count_held(int end)
{
    int count = 0;
    for (int i = 0; i < end; i++)
        count += access(message_held_paths[i], F_OK) == 0;
    return count;
}

/* The copy that was taken; it may have replaced one of those that were there. It is gone then. */
static bool message_take_away(const uint8_t *message, size_t size)
{
    struct partner_head head;
    char path[COPY_PATH_BYTES];
    memcpy(&head, message, sizeof head);
    head.id.is_partner = 1;
    copy_path(&message_receiver.place, &head.id, path, NULL);
    bool is_stored = size >= sizeof head + head.bytes &&
                     message_is_stored(path, message + sizeof head, head.bytes);
    return unlink(path) == 0 && is_stored;
}

/* Gives the receiver a message of any bytes. NULL: all holds that has to, and *is_taken says
 * whether it took a copy; else what was expected. */
static const char *message_check(const uint8_t *message, size_t size, bool *is_taken)
{
    char answers[4] = "";
    size_t count = message_deliver(message, size, answers);
    bool is_let_in = count > 0 && answers[0] == PARTNER_YES;
    *is_taken = is_let_in && count == 2 && answers[1] == PARTNER_YES;
    if (count > 2 || (count == 2 && !is_let_in))
        return "one answer to the head, and one to a file that was let in";
    if (!is_let_in && message_count_held(MESSAGE_HELD) != MESSAGE_HELD)
        return "nothing to be removed for a head that is refused";
    if (*is_taken && !message_take_away(message, size))
        return "a copy that was taken to be there, each byte of it";
    if (message_count_held(MESSAGE_KEPT) != MESSAGE_KEPT)
        return "nothing of a worker of this host, or of another start, to be removed";
    if (message_count_files() != message_count_held(MESSAGE_HELD))
        return "no file but those that were there, and the copy that was taken";
    message_fill_held();
    return NULL;
}

#endif
