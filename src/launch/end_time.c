/* end_time.c - the value of --end-time: a time of day with its zone, or a number of seconds. */
#include "end_time.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double max_seconds = 1e11; /* the year 5138 */

static bool parse_seconds(const char *text, double *seconds)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    *seconds = strtod(text, &end);
    return *end == '\0' && isfinite(*seconds) && *seconds <= max_seconds;
}

/* Z, or hours and minutes east of Greenwich; the end of the text. */
static bool parse_zone(const char *text, int *east_s)
{
    char sign;
    int hours, minutes, length = 0;
    *east_s = 0;
    if ((text[0] == 'Z' || text[0] == 'z') && text[1] == '\0')
        return true;
    if (sscanf(text, "%c%2d:%2d%n", &sign, &hours, &minutes, &length) != 3 || length != 6 ||
        text[length] != '\0' || (sign != '+' && sign != '-') || hours < 0 || hours > 23 ||
        minutes < 0 || minutes > 59)
        return false;
    *east_s = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

/* ".25" or nothing; returns what is behind it. */
static const char *parse_fraction(const char *text, double *fraction)
{
    char *end = (char *)text;
    *fraction = 0;
    if (text[0] == '.' && isdigit((unsigned char)text[1]))
        *fraction = strtod(text, &end);
    return end;
}

static bool parse_moment(const char *text, double *seconds)
{
    struct tm parts = {0};
    double fraction;
    int east_s;
    const char *rest = strptime(text, "%Y-%m-%d", &parts);
    if (!rest || rest - text != 10 || (*rest != 'T' && *rest != 't' && *rest != ' '))
        return false;
    const char *clock = rest + 1;
    rest = strptime(clock, "%H:%M:%S", &parts);
    if (!rest || rest - clock != 8)
        return false;
    struct tm given = parts;
    time_t whole = timegm(&parts);
    if (parts.tm_mday != given.tm_mday || parts.tm_mon != given.tm_mon)
        return false; /* the 31st of April */
    if (!parse_zone(parse_fraction(rest, &fraction), &east_s))
        return false;
    *seconds = (double)whole + fraction - east_s;
    return *seconds >= 0;
}

bool end_time_parse(const char *text, double now_s, double *end_time_s)
{
    double seconds;
    bool is_relative = text[0] == '+';
    if (is_relative || text[0] == '@') {
        if (!parse_seconds(text + 1, &seconds))
            return false;
        *end_time_s = seconds + (is_relative ? now_s : 0);
        return true;
    }
    return parse_moment(text, end_time_s);
}
