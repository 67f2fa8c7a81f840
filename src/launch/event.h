/* event.h - what an event of the task's log says. */
#ifndef LAUNCH_EVENT_H
#define LAUNCH_EVENT_H

#include <jansson.h>

/* The event's, as long as it lives; "" where there is no such text. */
const char *event_text(const json_t *event, const char *key);
/* 0 where there is no such whole number. */
long long event_number(const json_t *event, const char *key);

#endif
