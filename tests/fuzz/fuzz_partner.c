/* fuzz_partner.c - what comes in at the port of the partner level. The first byte says what of the
 * message is made right, since no fuzzer guesses a token, a checksum or a length: the rest of it is
 * as the fuzzer has it. */
#include "fuzz_scratch.h"
#include "partner_message.h"

enum { RIGHT_TOKEN = 1, RIGHT_ID = 2, RIGHT_SEAL = 4, RIGHT_LENGTH = 8, SEAL_BYTES = 256 };

/* Returns the length of the message. */
static size_t mend(uint8_t message[MESSAGE_BYTES], size_t size, uint8_t what)
{
    struct partner_head head;
    memcpy(&head, message, sizeof head);
    if (what & RIGHT_TOKEN) {
        memcpy(head.magic, PARTNER_MAGIC, sizeof head.magic);
        head.token = message_token;
    }
    if (what & RIGHT_ID)
        head.id = message_id;
    if ((what & RIGHT_SEAL) && size > sizeof head)
        size = sizeof head + message_seal(message + sizeof head, size - sizeof head);
    if (what & RIGHT_LENGTH)
        head.bytes = size - sizeof head;
    memcpy(message, &head, sizeof head);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool has_begun;
    static uint8_t message[MESSAGE_BYTES];
    bool is_taken;
    if (!has_begun)
        message_begin(scratch());
    has_begun = true;
    if (size == 0 || size - 1 > MESSAGE_BYTES - SEAL_BYTES)
        return 0;
    memcpy(message, data + 1, size - 1);
    size_t length = size - 1;
    if (length >= sizeof(struct partner_head))
        length = mend(message, length, data[0]);
    const char *problem = message_check(message, length, &is_taken);
    fuzz_expect(problem == NULL, problem);
    return 0;
}
