/* test_launch_listen.c - which heartbeats the launcher's socket takes. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listen.h"
#include "run_suite.h"

static void send_beat(int fd, const struct sockaddr_in *to, uint64_t token)
{
    unsigned char bytes[BEAT_BYTES];
    struct beat beat = {.incarnation = 2,
                        .epoch = 1,
                        .member = 1,
                        .pid = 100,
                        .rank = -1,
                        .token = token,
                        .host = "a"};
    beat_encode(&beat, bytes);
    ck_assert_int_eq(sendto(fd, bytes, sizeof bytes, 0, (const struct sockaddr *)to, sizeof *to),
                     (ssize_t)sizeof bytes);
}

/* On the loopback a datagram is there when sendto returns. */
START_TEST(hears_its_own_token_alone)
{
    struct listener listener;
    struct beat_target target;
    struct beat beat;
    struct error error;
    int budget = 8;
    ck_assert_int_eq(listen_open(&listener, &error), ONWARD_OK);
    ck_assert(beat_target_parse(getenv("ONWARD_BEAT"), &target));
    ck_assert(target.token == listener.token);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(target.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    send_beat(fd, &to, target.token + 1);
    ck_assert_int_eq(sendto(fd, "beat", 4, 0, (struct sockaddr *)&to, sizeof to), 4);
    ck_assert(!listen_take(&listener, &budget, &beat));
    ck_assert_int_eq(budget, 6);
    send_beat(fd, &to, target.token);
    ck_assert(listen_take(&listener, &budget, &beat));
    ck_assert_int_eq(beat.pid, 100);
    close(fd);
    listen_close(&listener);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listen");
    TCase *test = tcase_create("all");
    tcase_add_test(test, hears_its_own_token_alone);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
