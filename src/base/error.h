/* error.h - how every layer outside of core reports a failure: a number and a text.
 *
 * A function that can fail takes a struct error as its last argument and returns the number, which
 * is one of enum onward_error. The text is one line: what failed, where (file, key, line), what was
 * expected; control characters in what it quotes are shown as "?". error may be NULL where the
 * caller needs the number alone. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "onward.h" /* with ONWARD_WITHOUT_MPI outside of src/mpi and src/runtime */

enum { ERROR_TEXT_BYTES = 768 };

struct error {
    int code;
    char text[ERROR_TEXT_BYTES];
    int errno_value; /* what the system said; 0: it was not asked */
};

/* Sets code and text, and returns code. Thread-safe for distinct errors. */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and strerror(errno_value) behind; ENOSPC and EDQUOT become
 * ONWARD_ERR_NO_SPACE whatever the code. */
int error_set_errno(struct error *error, int code, int errno_value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
