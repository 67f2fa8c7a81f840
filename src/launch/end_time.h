/* end_time.h - the value of --end-time. */
#ifndef LAUNCH_END_TIME_H
#define LAUNCH_END_TIME_H

#include <stdbool.h>

/* From text to seconds since 1970: RFC 3339 as in 2026-11-25T18:00:00Z or ...+01:00, @SECONDS since
 * 1970, or +SECONDS from now_s on. False when it is none of them. */
bool end_time_parse(const char *text, double now_s, double *end_time_s);

#endif
