/* test_partner_wire.c - what another host sends is outside bytes: 100,000 random messages, most of
 * them a whole one that was changed somewhere. What is no whole copy of this task is refused and
 * changes nothing, and what is one is taken as it is.
 *
 *     test_partner_wire [SEED [ROUNDS]]      one seed alone, as a failure names it */
#include "store_fixture.h"

#include <stddef.h>

#include "../fuzz/partner_message.h"
#include "run_suite.h"

enum { ROUNDS = 100000, LIMIT_S = 300, PAYLOAD_BYTES = 700 };

static uint64_t first_seed = 1;
static int rounds = ROUNDS;
static uint8_t whole[MESSAGE_BYTES], message[MESSAGE_BYTES];
static size_t whole_bytes;

/* As a sender makes it. Returns its length. */
static size_t make_whole(void)
{
    struct partner_head head = {.token = message_token, .id = message_id, .drop_below = 110};
    memcpy(head.magic, PARTNER_MAGIC, sizeof head.magic);
    for (int i = 0; i < PAYLOAD_BYTES; i++)
        whole[sizeof head + (size_t)i] = (uint8_t)(i * 7);
    head.bytes = message_seal(whole + sizeof head, PAYLOAD_BYTES);
    memcpy(whole, &head, sizeof head);
    return sizeof head + head.bytes;
}

/* What somebody may put there who means it. */
static uint64_t extreme(uint64_t *seed)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      7,
                                      120,
                                      65535,
                                      65536,
                                      UINT32_MAX,
                                      INT32_MAX,
                                      INT64_MAX,
                                      (uint64_t)INT64_MIN,
                                      UINT64_MAX};
    uint64_t value = values[random_next(seed) % (sizeof values / sizeof values[0])];
    return random_next(seed) % 2 ? value : value + random_next(seed) % 5 - 2;
}

static void change_field(struct partner_head *head, uint64_t *seed)
{
    uint64_t value = extreme(seed);
    switch (random_next(seed) % 9) {
    case 0:
        head->bytes = random_next(seed) % 2 ? value : head->bytes + value;
        break;
    case 1:
        head->drop_below = (int64_t)value;
        break;
    case 2:
        head->id.incarnation = (int64_t)value;
        break;
    case 3:
        head->id.epoch = (int64_t)value;
        break;
    case 4:
        head->id.step = (int64_t)value;
        break;
    case 5:
        head->id.shard = (uint32_t)value;
        break;
    case 6:
        head->id.shard_count = (uint32_t)value;
        break;
    case 7:
        head->id.is_partner = (uint32_t)value;
        break;
    default:
        head->id.is_unread = (uint32_t)value;
        break;
    }
}

static void flip(uint8_t *bytes, size_t size, uint64_t *seed)
{
    bytes[random_next(seed) % size] ^= (uint8_t)(1 << random_next(seed) % 8);
}

/* Returns the length of the message of this seed. */
static size_t make_message(uint64_t seed)
{
    struct partner_head *head = (struct partner_head *)(void *)message;
    size_t size = whole_bytes;
    memcpy(message, whole, whole_bytes);
    switch (random_next(&seed) % 8) {
    case 0:
        for (size = random_next(&seed) % 2048; size > 0 && random_next(&seed) % 64; size--)
            ;
        for (size_t i = 0; i < size; i++)
            message[i] = (uint8_t)random_next(&seed);
        break;
    case 1:
        flip(message, sizeof *head, &seed);
        break;
    case 2:
        flip(message + sizeof *head, size - sizeof *head, &seed);
        break;
    case 3:
        size = random_next(&seed) % whole_bytes;
        break;
    case 4: /* more than it says */
        size += random_next(&seed) % 512;
        break;
    case 5:
        break;
    default:
        for (uint64_t changes = random_next(&seed) % 3 + 1; changes > 0; changes--)
            change_field(head, &seed);
        break;
    }
    return size;
}

/* As whoever reads the names of files has it. */
static bool may_be(const struct copy_id *id)
{
    return id->incarnation == message_id.incarnation && id->epoch > 0 &&
           id->epoch <= message_id.epoch && id->step >= 0 && id->shard < id->shard_count &&
           id->shard_count <= CHECKPOINT_MAX_SHARDS && id->is_partner == 0 && id->is_unread == 0;
}

/* Whether it is a whole copy that a member may have sent. */
static bool is_good(size_t size)
{
    struct partner_head head, sent;
    memcpy(&head, message, sizeof head);
    memcpy(&sent, whole, sizeof sent);
    return size >= whole_bytes && memcmp(head.magic, sent.magic, sizeof sent.magic) == 0 &&
           head.token == sent.token && head.bytes == sent.bytes && may_be(&head.id) &&
           head.drop_below >= -1 && head.drop_below < head.id.step &&
           memcmp(message + sizeof head, whole + sizeof head, sent.bytes) == 0;
}

START_TEST(what_is_no_whole_copy_is_refused_and_changes_nothing)
{
    int taken = 0;
    make_scratch_in_memory();
    message_begin(scratch);
    whole_bytes = make_whole();
    for (int i = 0; i < rounds; i++) {
        bool is_taken = false;
        uint64_t seed = first_seed + (uint64_t)i;
        size_t size = make_message(seed);
        const char *problem = message_check(message, size, &is_taken);
        ck_assert_msg(problem == NULL, "seed %" PRIu64 ": expected %s", seed, problem);
        ck_assert_msg(is_taken == is_good(size), "seed %" PRIu64 ": it was %s", seed,
                      is_taken ? "taken" : "refused");
        taken += is_taken;
    }
    ck_assert_msg(rounds < 1000 || (taken > rounds / 8 && taken < rounds / 2),
                  "%d of %d messages were taken", taken, rounds);
    remove_scratch();
}
END_TEST

/* However small its own is: the parts of a state may differ in size. */
START_TEST(a_turn_is_waited_for_as_long_as_those_before_may_take)
{
    const uint64_t large = (uint64_t)100 << 30;
    struct partner_turn first = {0}, behind = {.count = 3, .bytes = large};
    ck_assert_int_eq(partner_turn_limit_s(&first), PARTNER_LIMIT_S);
    ck_assert_int_ge(partner_turn_limit_s(&behind), 3 * partner_copy_limit_s(large));
    ck_assert_int_gt(partner_copy_limit_s(large), (int64_t)(large / PARTNER_BYTES_PER_S));
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("partner_wire");
    TCase *all = tcase_create("partner_wire");
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        rounds = argc > 2 ? atoi(argv[2]) : 1;
    }
    tcase_set_timeout(all, LIMIT_S);
    tcase_add_test(all, what_is_no_whole_copy_is_refused_and_changes_nothing);
    tcase_add_test(all, a_turn_is_waited_for_as_long_as_those_before_may_take);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
