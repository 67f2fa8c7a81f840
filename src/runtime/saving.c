/* saving.c - a shard on its way to the shared level; see saving.h. */
#include "saving.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "background.h"

struct saving {
    pthread_t thread;
    const char *run;
    struct checkpoint_staged *staged;
    atomic_bool stop, is_done;
    struct checkpoint_shard shard; /* of the thread until it is done, as are the next two */
    int code;
    struct error error;
};

static void *save(void *argument)
{
    struct saving *saving = argument;
    background_lower_priority(BACKGROUND_LEAST);
    saving->code = checkpoint_save_staged(saving->staged, saving->run, &saving->stop,
                                          &saving->shard, &saving->error);
    atomic_store(&saving->is_done, true);
    return NULL;
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
        code = background_start(&saving->thread, save, saving, error);
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
    return atomic_load(&saving->is_done);
}

void saving_give_up(struct saving *saving)
{
    atomic_store(&saving->stop, true);
}

int saving_end(struct saving *saving, struct checkpoint_shard *shard, struct error *error)
{
    pthread_join(saving->thread, NULL);
    int code = saving->code;
    if (code == ONWARD_OK)
        *shard = saving->shard;
    else
        *error = saving->error;
    checkpoint_free_staged(saving->staged);
    free(saving);
    return code;
}
