/* show.h - events and actions of the decision core as text, one line each. */
#ifndef SIM_SHOW_H
#define SIM_SHOW_H

#include <stdio.h>

#include "controller.h"

/* Names as in transcripts; NULL beyond the last. */
const char *show_event_name(uint8_t type);
const char *show_level_name(uint8_t level);

void show_event(FILE *out, const struct controller_event *event);
/* One line for the action; for ACTION_OPEN_EPOCH a second one with the member IDs by rank. */
void show_action(FILE *out, const struct controller *state, const struct controller_action *action);

#endif
