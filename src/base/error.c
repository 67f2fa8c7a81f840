/* error.c - texts for failures: names and messages from the one table of onward.h, and the
 * formatting of a struct error. */
#include "error.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *onward_error_name(int error)
{
    switch (error) {
#define NAME_CASE(name, number, message)                                                           \
    case number:                                                                                   \
        return "ONWARD_" #name;
        ONWARD_ERROR_MAP(NAME_CASE)
#undef NAME_CASE
    default:
        return "ONWARD_ERR_UNKNOWN";
    }
}

const char *onward_error_message(int error)
{
    switch (error) {
#define MESSAGE_CASE(name, number, message)                                                        \
    case number:                                                                                   \
        return message;
        ONWARD_ERROR_MAP(MESSAGE_CASE)
#undef MESSAGE_CASE
    default:
        return "unknown error";
    }
}

int onward_exit_code(int error)
{
    switch (error) {
    case ONWARD_OK:
        return 0;
    case ONWARD_ERR_ARGUMENT:
    case ONWARD_ERR_INPUT:
    case ONWARD_ERR_NOT_FOUND:
    case ONWARD_ERR_IN_USE:
    case ONWARD_ERR_OTHER_TASK:
    case ONWARD_ERR_CORRUPT:
        return 2;
    case ONWARD_ERR_TOO_FEW:
        return 69;
    case ONWARD_ERR_STOPPED:
        return 75;
    default:
        return 1;
    }
}

static void set_text(struct error *error, int code, const char *format, va_list arguments)
{
    error->code = code;
    error->errno_value = 0;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    for (char *c = error->text; *c; c++) /* a value or a path that is quoted may have any */
        if (iscntrl((unsigned char)*c))
            *c = '?';
}

int error_set(struct error *error, int code, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        set_text(error, code, format, arguments);
        va_end(arguments);
    }
    return code;
}

int error_set_errno(struct error *error, int code, int errno_value, const char *format, ...)
{
    if (errno_value == ENOSPC || errno_value == EDQUOT)
        code = ONWARD_ERR_NO_SPACE;
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        set_text(error, code, format, arguments);
        va_end(arguments);
        error->errno_value = errno_value;
        size_t used = strlen(error->text);
        snprintf(error->text + used, sizeof error->text - used, ": %s", strerror(errno_value));
    }
    return code;
}
