/* words.h - puts a line together from left to right in a bounded buffer; what does not fit is cut
 * off at its end. */
#ifndef LAUNCH_WORDS_H
#define LAUNCH_WORDS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct words {
    char *text;
    size_t used, room;
};

static inline struct words words_start(char *text, size_t text_bytes)
{
    text[0] = '\0';
    return (struct words){text, 0, text_bytes};
}

__attribute__((format(printf, 2, 3))) static inline void words_add(struct words *words,
                                                                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(words->text + words->used, words->room - words->used, format, arguments);
    va_end(arguments);
    words->used += size > 0 ? (size_t)size : 0;
    if (words->used >= words->room)
        words->used = words->room - 1;
}

#endif
