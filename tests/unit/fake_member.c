/* fake_member.c - stands in for a member in the supervise scripts: sends heartbeats to the launcher
 * and says no more.
 *
 *     fake_member HOST PID SECONDS [ends]
 *
 * claims to be process PID on HOST for so long; with "ends" it says at last that it leaves. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "beat.h"

enum { BEATS_PER_S = 10, TURN_US = 1000000 / BEATS_PER_S };

static int fd;
static struct sockaddr_in launcher = {.sin_family = AF_INET};

static int open_target(const char *text, struct beat *beat)
{
    struct beat_target target;
    if (!text || !beat_target_parse(text, &target) || strcmp(target.addresses[0], "127.0.0.1") != 0)
        return -1;
    beat->token = target.token;
    launcher.sin_port = htons(target.port);
    launcher.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    return fd < 0 ? -1 : 0;
}

static void send_beat(struct beat *beat)
{
    unsigned char bytes[BEAT_BYTES];
    beat->sequence++;
    beat_encode(beat, bytes);
    if (sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&launcher, sizeof launcher) < 0)
        perror("fake_member");
}

int main(int argc, char **argv)
{
    const char *incarnation = getenv("ONWARD_INCARNATION");
    struct beat beat = {.rank = -1, .complete_step = -1};
    if (argc < 4 || !incarnation || open_target(getenv("ONWARD_BEAT"), &beat) != 0)
        return EXIT_FAILURE;
    snprintf(beat.host, sizeof beat.host, "%s", argv[1]);
    beat.pid = atoi(argv[2]);
    beat.incarnation = atoll(incarnation);
    int count = (int)(atof(argv[3]) * BEATS_PER_S);
    for (int i = 0; i < count; i++) {
        send_beat(&beat);
        usleep(TURN_US);
    }
    beat.ends = argc > 4;
    if (beat.ends)
        send_beat(&beat);
    return EXIT_SUCCESS;
}
