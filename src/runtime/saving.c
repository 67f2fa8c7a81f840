/* saving.c - a shard on its way to the shared level; see saving.h. */
#include "saving.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "background.h"

struct saving {
    struct background_task task;
    const char *run;
    struct checkpoint_staged *staged;
    atomic_bool stop;
    struct checkpoint_shard shard; /* of the thread until it is done, as are the next two */
    int code;
    struct error error;
};

static void save(void *argument)
{
    struct saving *saving = argument;
    saving->code = checkpoint_save_staged(saving->staged, saving->run, &saving->stop,
                                          &saving->shard, &saving->error);
}

int saving_begin(const char *run, struct checkpoint_staged *staged, struct saving **result,
                 struct error *error)
{
    struct saving *saving = calloc(1, sizeof *saving);
    *result = NULL;
    int code =
        saving ? ONWARD_OK : error_set(error, ONWARD_ERR_MEMORY, "no memory to save a checkpoint");
    if (code == ONWARD_OK) {
        saving->run = run;
        saving->staged = staged;
        code = background_begin(&saving->task,
                                checkpoint_staged_has_slots(staged) ? BACKGROUND_NORMAL
                                                                    : BACKGROUND_LEAST,
                                save, saving, error);
    }
    if (code == ONWARD_OK) {
        *result = saving;
        return code;
    }
    checkpoint_free_staged(staged);
    free(saving);
    return code;
}

bool saving_is_done(const struct saving *saving)
{
    return background_is_done(&saving->task);
}

void saving_give_up(struct saving *saving)
{
    atomic_store(&saving->stop, true);
}

int saving_end(struct saving *saving, struct checkpoint_shard *shard, struct error *error)
{
    background_end(&saving->task);
    int code = saving->code;
    if (code == ONWARD_OK)
        *shard = saving->shard;
    else
        *error = saving->error;
    checkpoint_free_staged(saving->staged);
    free(saving);
    return code;
}
