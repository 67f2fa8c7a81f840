/* train_config.c - the keys of the config: one table with kind, range, default and place of each,
 * and the checks that join several keys.
 *
 * The text is read whole, parsed into strings (config_yaml.c), converted strictly here, and copied
 * to the caller when all of it is right. */
#include "train_config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_yaml.h"

enum kind { KIND_FILE, KIND_NAME, KIND_WHOLE, KIND_NUMBER, KIND_BOOL, KIND_CHOICE };

/* Words of KIND_CHOICE in the order of the enum's values. */
static const char *const trainers[] = {"mlp", "ridge", NULL};
static const char *const optimizers[] = {"sgd", "adam", NULL};
static const char *const features[] = {"raw", "fourier", NULL};
static const char *const targets[] = {"class", "value", NULL};
static const char *const schedules[] = {"constant", "step", "cosine", NULL};

struct key {
    const char *path;
    size_t from, to; /* offsets in struct config_yaml and struct config */
    enum kind kind;
    double least, most;         /* of KIND_WHOLE and KIND_NUMBER */
    const char *otherwise;      /* text of the default; NULL: the key is required */
    const char *const *choices; /* of KIND_CHOICE */
    int trainer;                /* whose key it is; ANY_TRAINER */
};
enum { ANY_TRAINER = -1 };

#define PLACE(from, to) offsetof(struct config_yaml, from), offsetof(struct config, to)
#define OPTIMIZER(member) PLACE(train.optimizer.member, optimizer.member)

static const struct key keys[] = {
    {"trainer", PLACE(trainer, trainer), KIND_CHOICE, 0, 0, NULL, trainers, ANY_TRAINER},
    {"data.file", PLACE(data.file, data_file), KIND_FILE, 0, 0, NULL, NULL, ANY_TRAINER},
    {"data.train", PLACE(data.train, train_split), KIND_NAME, 0, 0, "train", NULL, ANY_TRAINER},
    {"data.test", PLACE(data.test, test_split), KIND_NAME, 0, 0, "test", NULL, ANY_TRAINER},
    {"model.seed", PLACE(model.seed, seed), KIND_WHOLE, 0, 1e15, "1", NULL, ANY_TRAINER},
    {"train.batch", PLACE(train.batch, batch), KIND_WHOLE, 1, 1 << 24, NULL, NULL, ANY_TRAINER},
    {"train.epochs", PLACE(train.epochs, epochs), KIND_WHOLE, 1, 1e9, "0", NULL, TRAINER_MLP},
    {"train.steps", PLACE(train.steps, steps), KIND_WHOLE, 1, 1e11, "0", NULL, TRAINER_MLP},
    {"train.subtasks", PLACE(train.subtasks, subtasks), KIND_WHOLE, 1, 1 << 20, "16", NULL,
     ANY_TRAINER},
    {"train.evaluate_every", PLACE(train.evaluate_every, evaluate_every), KIND_WHOLE, 0, 1e15, "0",
     NULL, TRAINER_MLP},
    {"train.keep_best", PLACE(train.keep_best, keep_best), KIND_BOOL, 0, 0, "false", NULL,
     TRAINER_MLP},
    {"train.optimizer.name", OPTIMIZER(name), KIND_CHOICE, 0, 0, "sgd", optimizers, TRAINER_MLP},
    {"train.optimizer.learning_rate", OPTIMIZER(learning_rate), KIND_NUMBER, 1e-12, 1e6, NULL, NULL,
     TRAINER_MLP},
    {"train.optimizer.momentum", OPTIMIZER(momentum), KIND_NUMBER, 0, 0.999999, "0.9", NULL,
     TRAINER_MLP},
    {"train.optimizer.beta1", OPTIMIZER(beta1), KIND_NUMBER, 0, 0.999999, "0.9", NULL, TRAINER_MLP},
    {"train.optimizer.beta2", OPTIMIZER(beta2), KIND_NUMBER, 0, 0.999999999, "0.999", NULL,
     TRAINER_MLP},
    {"train.optimizer.epsilon", OPTIMIZER(epsilon), KIND_NUMBER, 1e-30, 1, "1e-8", NULL,
     TRAINER_MLP},
    {"train.optimizer.weight_decay", OPTIMIZER(weight_decay), KIND_NUMBER, 0, 1e3, "0", NULL,
     TRAINER_MLP},
    {"train.optimizer.schedule", OPTIMIZER(schedule), KIND_CHOICE, 0, 0, "constant", schedules,
     TRAINER_MLP},
    {"train.optimizer.warmup_steps", OPTIMIZER(warmup_steps), KIND_WHOLE, 0, 1e15, "0", NULL,
     TRAINER_MLP},
    {"train.optimizer.decay_steps", OPTIMIZER(decay_steps), KIND_WHOLE, 1, 1e15, "1000", NULL,
     TRAINER_MLP},
    {"train.optimizer.decay_factor", OPTIMIZER(decay_factor), KIND_NUMBER, 1e-9, 1, "0.1", NULL,
     TRAINER_MLP},
    {"model.features", PLACE(model.features, features), KIND_CHOICE, 0, 0, "fourier", features,
     TRAINER_RIDGE},
    {"model.width", PLACE(model.width, width), KIND_WHOLE, 1, 1 << 17, "0", NULL, TRAINER_RIDGE},
    {"model.sigma", PLACE(model.sigma, sigma), KIND_NUMBER, 1e-12, 1e12, "0", NULL, TRAINER_RIDGE},
    {"model.target", PLACE(model.target, target), KIND_CHOICE, 0, 0, "class", targets,
     TRAINER_RIDGE},
    {"train.held_out", PLACE(train.held_out, held_out), KIND_NUMBER, 0, 0.9, "0.1", NULL,
     TRAINER_RIDGE},
};

/* Keys that mean something beside one choice of another key alone. */
static const struct {
    const char *path, *beside;
    size_t from, beside_at; /* offsets in struct config_yaml and of the int in struct config */
    int choice;
} companions[] = {
#define BESIDE(member, other, choice)                                                              \
    {                                                                                              \
        "train.optimizer." #member, "train.optimizer." #other,                                     \
            offsetof(struct config_yaml, train.optimizer.member),                                  \
            offsetof(struct config, optimizer.other), choice                                       \
    }
    BESIDE(momentum, name, OPTIMIZER_SGD),        BESIDE(beta1, name, OPTIMIZER_ADAM),
    BESIDE(beta2, name, OPTIMIZER_ADAM),          BESIDE(epsilon, name, OPTIMIZER_ADAM),
    BESIDE(decay_steps, schedule, SCHEDULE_STEP), BESIDE(decay_factor, schedule, SCHEDULE_STEP),
#undef BESIDE
};

/* What every check needs to name a place. */
struct source {
    const char *name, *text;
    size_t size;
};

/* "FILE:LINE: KEY", or "FILE: KEY" for a key that does not stand in it. */
static const char *place(const struct source *source, const char *path, char *out, size_t bytes)
{
    unsigned line = config_yaml_line(source->text, source->size, path);
    if (line)
        snprintf(out, bytes, "%s:%u: %s", source->name, line, path);
    else
        snprintf(out, bytes, "%s: %s", source->name, path);
    return out;
}

static int refuse(const struct source *source, const char *path, struct error *error,
                  const char *problem, const char *value)
{
    char where[256];
    return error_set(error, ONWARD_ERR_INPUT, "%s: %s%.80s%s", place(source, path, where, 256),
                     problem, value ? value : "", value ? "\"" : "");
}

static bool to_number(const char *text, double *number)
{
    char *end;
    errno = 0;
    *number = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0 && isfinite(*number);
}

static bool to_whole(const char *text, int64_t *whole)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *whole = value;
    return end != text && *end == '\0' && errno == 0;
}

static bool to_bool(const char *text, bool *value)
{
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0;
}

static bool to_choice(const char *text, const char *const *choices, int *choice)
{
    for (*choice = 0; choices[*choice]; (*choice)++)
        if (strcmp(text, choices[*choice]) == 0)
            return true;
    return false;
}

static bool to_text(const char *text, char *out, size_t bytes)
{
    int wrote = snprintf(out, bytes, "%s", text);
    return wrote > 0 && (size_t)wrote < bytes;
}

/* Writes the value to its place; false: it is not of the kind or not in the range. The default of
 * a key may lie outside of the range, as 0 for "not given". */
static bool convert(const struct key *key, const char *text, bool given, void *to)
{
    double *number = to;
    int64_t *whole = to;
    switch (key->kind) {
    case KIND_FILE:
        return to_text(text, to, PATH_MAX);
    case KIND_NAME:
        return to_text(text, to, CONFIG_NAME_BYTES);
    case KIND_WHOLE:
        return to_whole(text, whole) &&
               (!given || ((double)*whole >= key->least && (double)*whole <= key->most));
    case KIND_NUMBER:
        return to_number(text, number) &&
               (!given || (*number >= key->least && *number <= key->most));
    case KIND_BOOL:
        return to_bool(text, to);
    case KIND_CHOICE:
        return to_choice(text, key->choices, to);
    }
    return false;
}

/* What a key takes, in words. */
static const char *expected(const struct key *key, char *out, size_t bytes)
{
    switch (key->kind) {
    case KIND_WHOLE:
        snprintf(out, bytes, "a whole number from %.0f to %.0f", key->least, key->most);
        break;
    case KIND_NUMBER:
        snprintf(out, bytes, "a number from %.9g to %.9g", key->least, key->most);
        break;
    case KIND_BOOL:
        snprintf(out, bytes, "true or false");
        break;
    case KIND_CHOICE:
        out[0] = '\0';
        for (int i = 0; key->choices[i]; i++) {
            size_t used = strlen(out);
            snprintf(out + used, bytes - used, "%s%s", used ? " or " : "", key->choices[i]);
        }
        break;
    case KIND_FILE:
        snprintf(out, bytes, "the path of a data file made by onward import");
        break;
    case KIND_NAME:
        snprintf(out, bytes, "a name of 1 to %d bytes", CONFIG_NAME_BYTES - 1);
        break;
    }
    return out;
}

static int other_trainer(const struct source *source, const char *path, int trainer,
                         struct error *error)
{
    char where[256];
    return error_set(error, ONWARD_ERR_INPUT, "%s: is for trainer: %s, and that is %s",
                     place(source, path, where, sizeof where), trainers[trainer],
                     trainers[!trainer]);
}

static int convert_key(const struct source *source, const struct key *key,
                       const struct config_yaml *yaml, struct config *config, struct error *error)
{
    char where[256], wanted[128];
    const char *given = *(char *const *)((const char *)yaml + key->from);
    const char *text = given ? given : key->otherwise;
    expected(key, wanted, sizeof wanted);
    if (key->trainer != ANY_TRAINER && key->trainer != config->trainer)
        return given ? other_trainer(source, key->path, key->trainer, error) : ONWARD_OK;
    if (!text)
        return error_set(error, ONWARD_ERR_INPUT, "%s: %s: is missing, expected %s", source->name,
                         key->path, wanted);
    if (convert(key, text, given != NULL, (char *)config + key->to))
        return ONWARD_OK;
    return error_set(error, ONWARD_ERR_INPUT, "%s: \"%.80s\", expected %s",
                     place(source, key->path, where, sizeof where), text, wanted);
}

static int convert_hidden(const struct source *source, const struct config_yaml *yaml,
                          struct config *config, struct error *error)
{
    char where[256];
    const char *path = "model.hidden";
    config->hidden_count = yaml->model.hidden_count;
    if (yaml->model.hidden && config->trainer != TRAINER_MLP)
        return other_trainer(source, path, TRAINER_MLP, error);
    if (config->hidden_count >= NETWORK_MAX_LAYERS)
        return error_set(error, ONWARD_ERR_INPUT, "%s: %u layers, expected at most %d",
                         place(source, path, where, sizeof where), config->hidden_count,
                         NETWORK_MAX_LAYERS - 1);
    for (uint32_t i = 0; i < config->hidden_count; i++) {
        const char *text = yaml->model.hidden[i];
        int64_t width;
        if (!to_whole(text, &width) || width < 1 || width > CONFIG_MAX_WIDTH)
            return error_set(error, ONWARD_ERR_INPUT,
                             "%s: \"%.80s\", expected whole numbers from 1 to %d",
                             place(source, path, where, sizeof where), text, CONFIG_MAX_WIDTH);
        config->hidden[i] = (uint32_t)width;
    }
    return ONWARD_OK;
}

static int convert_lambdas(const struct source *source, const struct config_yaml *yaml,
                           struct config *config, struct error *error)
{
    char where[256];
    const char *path = "train.lambda";
    uint32_t count = yaml->train.lambda_count;
    config->lambda_count = count;
    if (config->trainer != TRAINER_RIDGE)
        return yaml->train.lambda ? other_trainer(source, path, TRAINER_RIDGE, error) : ONWARD_OK;
    if (count < 1) /* libcyaml does not tell these apart */
        return refuse(source, path, error, "is missing or empty, expected a list of numbers", NULL);
    if (count > CONFIG_MAX_LAMBDAS)
        return error_set(error, ONWARD_ERR_INPUT, "%s: %u numbers, expected a list of 1 to %d",
                         place(source, path, where, sizeof where), count, CONFIG_MAX_LAMBDAS);
    for (uint32_t i = 0; i < count; i++)
        if (!to_number(yaml->train.lambda[i], &config->lambdas[i]) || config->lambdas[i] < 0 ||
            config->lambdas[i] > 1e15)
            return error_set(error, ONWARD_ERR_INPUT,
                             "%s: \"%.80s\", expected numbers from 0 to 1e+15",
                             place(source, path, where, sizeof where), yaml->train.lambda[i]);
    return ONWARD_OK;
}

static int check_companions(const struct source *source, const struct config_yaml *yaml,
                            const struct config *config, struct error *error)
{
    char where[256];
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        bool given = *(char *const *)((const char *)yaml + companions[i].from) != NULL;
        int choice = *(const int *)((const char *)config + companions[i].beside_at);
        const char *const *words = strstr(companions[i].beside, "name") ? optimizers : schedules;
        if (given && choice != companions[i].choice)
            return error_set(error, ONWARD_ERR_INPUT, "%s: is for %s: %s, and that is %s",
                             place(source, companions[i].path, where, sizeof where),
                             companions[i].beside, words[companions[i].choice], words[choice]);
    }
    return ONWARD_OK;
}

static int check_mlp(const struct source *source, const struct config_yaml *yaml,
                     const struct config *config, struct error *error)
{
    if (config->epochs > 0 && config->steps > 0)
        return refuse(source, "train.steps", error,
                      "given beside train.epochs, expected one of the two", NULL);
    if (config->epochs == 0 && config->steps == 0)
        return refuse(source, "train.epochs", error,
                      "is missing, and so is train.steps, expected one of the two", NULL);
    if (config->keep_best && config->evaluate_every == 0)
        return refuse(source, "train.keep_best", error,
                      "true, expected train.evaluate_every above 0 beside it", NULL);
    return check_companions(source, yaml, config, error);
}

static int check_ridge(const struct source *source, const struct config_yaml *yaml,
                       const struct config *config, struct error *error)
{
    bool fourier = config->features == FEATURES_FOURIER;
    if (fourier && config->width == 0)
        return refuse(source, "model.width", error,
                      "is missing, expected the number of random Fourier features", NULL);
    if (fourier && config->sigma == 0)
        return refuse(source, "model.sigma", error,
                      "is missing, expected the width of the kernel, above 0", NULL);
    if (!fourier && (yaml->model.width || yaml->model.sigma))
        return refuse(source, yaml->model.width ? "model.width" : "model.sigma", error,
                      "is for model.features: fourier, and that is raw", NULL);
    if (config->lambda_count > 1 && config->held_out == 0)
        return refuse(source, "train.held_out", error,
                      "0, expected a part above 0 to choose from several train.lambda by", NULL);
    return ONWARD_OK;
}

static int check_together(const struct source *source, const struct config_yaml *yaml,
                          const struct config *config, struct error *error)
{
    char where[256];
    int code = config->trainer == TRAINER_MLP ? check_mlp(source, yaml, config, error)
                                              : check_ridge(source, yaml, config, error);
    if (code != ONWARD_OK)
        return code;
    if (config->subtasks > config->batch)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: %lld, expected at most the batch of %lld samples",
                         place(source, "train.subtasks", where, sizeof where),
                         (long long)config->subtasks, (long long)config->batch);
    if (strcmp(config->train_split, config->test_split) == 0)
        return refuse(source, "data.test", error, "the same split as data.train: \"",
                      config->test_split);
    return ONWARD_OK;
}

static int convert_all(const struct source *source, const struct config_yaml *yaml,
                       struct config *config, struct error *error)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (convert_key(source, &keys[i], yaml, config, error) != ONWARD_OK)
            return ONWARD_ERR_INPUT;
    int code = convert_hidden(source, yaml, config, error);
    if (code == ONWARD_OK)
        code = convert_lambdas(source, yaml, config, error);
    return code == ONWARD_OK ? check_together(source, yaml, config, error) : code;
}

int config_parse(const char *text, size_t size, const char *name, struct config *config,
                 struct error *error)
{
    struct source source = {name, text, size};
    struct config_yaml *yaml;
    int code = config_yaml_parse(text, size, name, &yaml, error);
    if (code != ONWARD_OK)
        return code;
    struct config *made = calloc(1, sizeof *made);
    code = made ? convert_all(&source, yaml, made, error)
                : error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", name);
    config_yaml_free(yaml);
    if (code == ONWARD_OK &&
        (!to_text(name, made->path, sizeof made->path) || size > CONFIG_MAX_BYTES))
        code = error_set(error, ONWARD_ERR_INPUT, "%.80s: name or text is too long", name);
    if (code == ONWARD_OK) {
        memcpy(made->text, text, size);
        *config = *made;
    }
    free(made);
    return code;
}

int config_load(const char *path, struct config *config, struct error *error)
{
    char *text = malloc(CONFIG_MAX_BYTES + 1);
    if (!text)
        return error_set(error, ONWARD_ERR_MEMORY, "%s: out of memory", path);
    FILE *file = fopen(path, "re");
    int code = ONWARD_OK;
    size_t size = 0;
    if (file)
        size = fread(text, 1, CONFIG_MAX_BYTES + 1, file);
    if (!file || ferror(file))
        code = error_set_errno(error, ONWARD_ERR_INPUT, errno, "%s: cannot read the config", path);
    else if (size > CONFIG_MAX_BYTES)
        code = error_set(error, ONWARD_ERR_INPUT, "%s: larger than %d bytes, expected a config",
                         path, CONFIG_MAX_BYTES);
    else
        code = config_parse(text, size, path, config, error);
    if (file)
        fclose(file);
    free(text);
    return code;
}

int64_t config_batch_steps(const struct config *config)
{
    return config->steps - config->lambda_count - 1;
}

/* The last rows of the split are held out. */
static int set_ridge_steps(struct config *config, uint64_t rows, struct error *error)
{
    uint64_t batch = (uint64_t)config->batch;
    config->held_rows = (uint64_t)(config->held_out * (double)rows);
    if (config->lambda_count > 1 && config->held_rows == 0)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: train.held_out: %g of %llu rows is none, expected at least one to "
                         "choose from several train.lambda by",
                         config->path, config->held_out, (unsigned long long)rows);
    uint64_t learned = rows - config->held_rows;
    config->steps = (int64_t)((learned + batch - 1) / batch) + config->lambda_count + 1;
    return ONWARD_OK;
}

int config_set_steps(struct config *config, uint64_t rows, struct error *error)
{
    if (config->trainer == TRAINER_RIDGE)
        return set_ridge_steps(config, rows, error);
    if (config->steps == 0) {
        uint64_t batch = (uint64_t)config->batch, epochs = (uint64_t)config->epochs;
        if (rows > (uint64_t)1e15 / epochs)
            return error_set(
                error, ONWARD_ERR_INPUT,
                "%s: train.epochs: %llu over %llu rows, expected fewer than 1e15 samples",
                config->path, (unsigned long long)epochs, (unsigned long long)rows);
        config->steps = (int64_t)((epochs * rows + batch - 1) / batch);
    }
    if (config_evaluation_count(config, config->steps) > CONFIG_MAX_EVALUATIONS)
        return error_set(error, ONWARD_ERR_INPUT,
                         "%s: train.evaluate_every: %lld over %lld steps, expected at most %d "
                         "evaluations",
                         config->path, (long long)config->evaluate_every, (long long)config->steps,
                         CONFIG_MAX_EVALUATIONS);
    config->optimizer.step_count = config->steps;
    return ONWARD_OK;
}

uint64_t config_evaluation_count(const struct config *config, int64_t step_count)
{
    if (config->evaluate_every == 0 || step_count < 1)
        return 0;
    return (uint64_t)((step_count - 1) / config->evaluate_every) + 1;
}
