/* member.c - see member.h. */
#include "member.h"

#include <stdio.h>
#include <stdlib.h>

#include "told.h"

static int open_and_work(const struct member_program *program, struct member *member,
                         const struct onward_options *options)
{
    struct onward *ow;
    int code = onward_open(MPI_COMM_NULL, options, &ow);
    if (code != ONWARD_OK) {
        fprintf(stderr, "%s: %s\n", program->name, onward_text(NULL));
        return code;
    }
    program->open(member, ow);
    code = onward_is_controller(ow) ? onward_control(ow) : program->work(member, ow);
    if (code != ONWARD_OK && !end_is_told(code))
        fprintf(stderr, "%s: %s\n", program->name, onward_text(ow));
    int came_to = onward_close(ow);
    return code != ONWARD_OK ? code : came_to;
}

int member_take_part(const struct member_program *program, struct member *member,
                     const struct onward_options *options)
{
    struct onward_options mine = *options;
    struct onward_service service = *program->service;
    if (!member->control || !member->worker)
        return ONWARD_ERR_MEMORY;
    service.context = member;
    mine.service = &service;
    return open_and_work(program, member, &mine);
}

uint32_t member_option_count(struct argp_state *state, const char *text, long low, long high)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < low || value > high)
        argp_error(state, "%s: expected a whole number from %ld to %ld", text, low, high);
    return (uint32_t)value;
}
