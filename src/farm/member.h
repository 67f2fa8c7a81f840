/* member.h - one member of a task whose work is given out in messages, as the programs onward-farm
 * and onward-gang are: a worker, and the controller too where it took over. */
#ifndef FARM_MEMBER_H
#define FARM_MEMBER_H

#include <argp.h>

#include "onward.h"

struct member {
    void *control, *worker; /* of the program */
    const void *settings;
};

/* The service of a program whose functions have this prefix: those of the controller take what is
 * `control` in the struct member that is the context, the others what is `worker`. */
#define MEMBER_SERVICE(prefix)                                                                     \
    static int64_t lead(void *context)                                                             \
    {                                                                                              \
        return prefix##_lead(((struct member *)context)->control);                                 \
    }                                                                                              \
    static void members(void *context, const struct onward_member *list, uint32_t count)           \
    {                                                                                              \
        prefix##_members(((struct member *)context)->control, list, count);                        \
    }                                                                                              \
    static void request(void *context, uint32_t member, const void *bytes, size_t size)            \
    {                                                                                              \
        prefix##_request(((struct member *)context)->control, member, bytes, size);                \
    }                                                                                              \
    static int64_t serve(void *context)                                                            \
    {                                                                                              \
        return prefix##_serve(((struct member *)context)->control);                                \
    }                                                                                              \
    static void answer(void *context, const void *bytes, size_t size)                              \
    {                                                                                              \
        prefix##_take_answer(((struct member *)context)->worker, bytes, size);                     \
    }                                                                                              \
    static void changed(void *context)                                                             \
    {                                                                                              \
        prefix##_changed(((struct member *)context)->worker);                                      \
    }                                                                                              \
    static void idle(void *context)                                                                \
    {                                                                                              \
        prefix##_idle(((struct member *)context)->worker);                                         \
    }                                                                                              \
    static const struct onward_service service = {NULL,  lead,   members, request,                 \
                                                  serve, answer, changed, idle}

/* Opens the task, hands the handle to `open`, controls or, as a worker, works, and closes. A
 * failure that the launcher does not tell is told on standard error under the program's name.
 * Returns enum onward_error. */
struct member_program {
    const char *name;
    const struct onward_service *service; /* its context is filled in */
    void (*open)(struct member *member, struct onward *ow);
    int (*work)(struct member *member, struct onward *ow);
};
int member_take_part(const struct member_program *program, struct member *member,
                     const struct onward_options *options);

/* The value of an option; another than a whole number from low to high ends the program. */
uint32_t member_option_count(struct argp_state *state, const char *text, long low, long high);

#endif
