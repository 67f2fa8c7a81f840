/* farm_result.h - the table of a farm's results, as the files that are made of it share it. */
#ifndef FARM_FARM_RESULT_H
#define FARM_FARM_RESULT_H

#include <stdint.h>

#include "error.h"
#include "journal.h"

enum { FARM_MAX_HOSTS = 65536 };

enum farm_state { FARM_DONE = 1, FARM_FAILED, FARM_SET_ASIDE };

struct farm_columns {
    double *start_s, *run_s;
    int64_t *out_bytes, *err_bytes;
    int32_t *host; /* its number */
    int32_t *exit_status, *signal, *attempts;
    int32_t *state; /* enum farm_state; 0: none yet */
};

struct farm_table {
    struct onward *ow; /* gets time, since a large table takes a while; NULL: none */
    uint32_t rows;
    struct farm_columns columns;
    char (*hosts)[JOURNAL_HOST_BYTES];
    uint32_t host_count;
    uint32_t counts[FARM_SET_ASIDE + 1]; /* by state */
    struct commands *commands;
};

/* farm_h5.c: result.h5 */
int farm_write_h5(struct farm_table *table, const char *run, const char *task, struct error *error);

#endif
