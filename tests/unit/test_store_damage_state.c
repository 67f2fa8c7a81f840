/* test_store_damage_state.c - 5,000 random damages to the files of slots in a node-local directory
 * (5,000 more are to copies of shards, in test_store_damage_copies.c), through what the runtime
 * finds and loads them with: no file that is untouched is passed over for an older one, a damaged
 * head or length is always a warning that names the file, and what is loaded has the bits of the
 * step that it is said to be of.
 *
 * The slots themselves have no checksum (local.h): where a damage falls into one that is current,
 * it is seen by the copy of another member, of the same step; where there is none, what is loaded
 * is what the file holds there, and nothing else.
 *
 *     test_store_damage_state [SEED [ROUNDS]]      one seed alone, as a failure names it */
#include "damage_fixture.h"

#include "local_internal.h"

enum { STATES = 5, SIZES = 3, LARGEST_BYTES = 5000, RUN = 77, PRESENT = 3, ROUNDS = 500 };

static const uint64_t sizes[SIZES] = {100, LARGEST_BYTES, 8};

/* What a member left: the last step that it committed, and whether the one after it had begun. */
static const struct state {
    int64_t incarnation, step;
    bool has_begun;
} states[STATES] = {{2, 8, false}, {2, 8, false}, {2, 7, true}, {2, 6, false}, {1, 30, false}};

static struct local_id id_of(int64_t incarnation)
{
    return (struct local_id){scratch, "task-1", RUN, 5, incarnation, SIZES, sizes};
}

/* Of an array after a step. */
static void fill(unsigned char *data, uint32_t array, int64_t step)
{
    uint64_t seed = (uint64_t)step * SIZES + array;
    for (uint64_t i = 0; i < sizes[array]; i++)
        data[i] = (unsigned char)random_next(&seed);
}

static void leave(const struct state *state)
{
    struct local_id id = id_of(state->incarnation);
    struct local *local = NULL;
    ck_ok(local_create(&id, &local, &failure));
    for (int64_t step = state->step - 3; step <= state->step; step++) {
        for (uint32_t i = 0; i < SIZES; i++)
            fill(local_next(local, i), i, step);
        local_commit(local, 1, step);
    }
    if (state->has_begun)
        memset(local_next(local, 1), 0xEE, sizes[1]);
    local_close(local);
}

/* Of the state that a file holds, among those above that have no file yet. */
static int find_state(const struct kept_file *file, const struct kept_file *sorted)
{
    struct local_header header;
    struct local_control control;
    bool is_damaged = false;
    memcpy(&header, file->bytes, sizeof header);
    memcpy(&control, file->bytes + LOCAL_PAGE_BYTES, sizeof control);
    const struct local_record *newest = local_newest(&control, &is_damaged);
    ck_assert_ptr_nonnull(newest);
    for (int i = 0; i < STATES; i++)
        if (!sorted[i].bytes && states[i].incarnation == header.incarnation &&
            states[i].step == newest->step)
            return i;
    ck_abort_msg("%s is of step %" PRId64, file->path, newest->step);
}

/* files[i] is what states[i] left, whatever names they got, so that a seed does the same again. */
static void make_states(void)
{
    char directory[128];
    struct kept_file sorted[STATES] = {{.size = 0}};
    make_scratch_in_memory();
    for (int i = 0; i < STATES; i++)
        leave(&states[i]);
    snprintf(directory, sizeof directory, "onward-%lu/task-1.%016x", (unsigned long)geteuid(), RUN);
    keep_files(directory, STATES);
    for (int i = 0; i < STATES; i++)
        sorted[find_state(&files[i], sorted)] = files[i];
    memcpy(files, sorted, sizeof sorted);
    for (int i = 0; i < STATES; i++)
        ck_assert_ptr_nonnull(files[i].bytes);
}

/* Its length, or a bit of what is looked at of it, is seldom hit otherwise. */
static size_t damage_state(unsigned char *bytes, size_t size, uint64_t *seed)
{
    switch (below(seed, 4)) {
    case 0:
        flip_bits(bytes, sizeof(struct local_header), seed);
        return size;
    case 1:
        flip_bits(bytes + LOCAL_PAGE_BYTES, sizeof(struct local_control), seed);
        return size;
    case 2:
        overwrite_block(bytes, 2 * LOCAL_PAGE_BYTES, seed, below(seed, 2));
        return size;
    default:
        return damage(bytes, size, seed);
    }
}

/* What a round has made of a file, and of which states the head and the records that it now has
 * are, bit for bit: members of one incarnation have the same head. */
struct outcome {
    unsigned char bytes[MAX_FILE_BYTES];
    size_t size;
    bool is_touched, has_head[STATES], has_records[STATES];
};
static struct outcome outcomes[STATES];
static int warnings_of[STATES];

static void judge(struct outcome *outcome)
{
    for (int i = 0; i < STATES; i++) {
        const unsigned char *bytes = files[i].bytes;
        outcome->has_head[i] = outcome->size == files[i].size &&
                               memcmp(outcome->bytes, bytes, sizeof(struct local_header)) == 0;
        outcome->has_records[i] = outcome->has_head[i] && memcmp(outcome->bytes + LOCAL_PAGE_BYTES,
                                                                 bytes + LOCAL_PAGE_BYTES,
                                                                 sizeof(struct local_control)) == 0;
    }
}

static void damage_states(uint64_t *seed)
{
    for (int i = 0; i < STATES; i++) {
        outcomes[i].is_touched = false;
        outcomes[i].size = files[i].size;
        memcpy(outcomes[i].bytes, files[i].bytes, files[i].size);
    }
    for (size_t count = 1 + below(seed, 3); count > 0; count--) {
        int i = (int)below(seed, STATES);
        outcomes[i].size = damage_state(outcomes[i].bytes, outcomes[i].size, seed);
        outcomes[i].is_touched = true;
        write_file(files[i].path, outcomes[i].bytes, outcomes[i].size);
    }
    for (int i = 0; i < STATES; i++)
        judge(&outcomes[i]);
}

static void take_warning(void *context, const struct error *problem)
{
    (void)context;
    ck_assert_msg(problem->code == ONWARD_ERR_CORRUPT, "%d: %s", problem->code, problem->text);
    ck_assert_ptr_null(strchr(problem->text, '\n'));
    for (int i = 0; i < STATES; i++)
        warnings_of[i] += strstr(problem->text, strrchr(files[i].path, '/')) != NULL;
}

static bool is_newer(const struct state *a, int64_t incarnation, int64_t step)
{
    return a->incarnation != incarnation ? a->incarnation > incarnation : a->step > step;
}

static bool has_any_head(const struct outcome *outcome)
{
    for (int k = 0; k < STATES; k++)
        if (outcome->has_head[k])
            return true;
    return false;
}

static void expect_warnings(uint64_t seed, int round)
{
    for (int i = 0; i < STATES; i++) {
        const struct outcome *outcome = &outcomes[i];
        ck_assert_msg(warnings_of[i] <= outcome->is_touched,
                      "seed %" PRIu64 ", round %d: %d warnings of a file that is whole", seed,
                      round, warnings_of[i]);
        ck_assert_msg(has_any_head(outcome) || warnings_of[i] == 1,
                      "seed %" PRIu64 ", round %d: nothing is said of %s", seed, round,
                      files[i].path);
    }
}

/* Nothing that is whole is passed over, and only what was committed is found: the newest step of a
 * member, or, where its newest record alone is damaged, the one before, whose slots are whole. */
static void expect_found(const struct local_copy *copy, uint64_t seed, int round)
{
    int64_t incarnation = copy ? local_copy_incarnation(copy) : 0;
    int64_t step = copy ? local_copy_step(copy) : -1;
    bool was_committed = !copy;
    for (int i = 0; i < STATES * STATES; i++) {
        const struct outcome *outcome = &outcomes[i / STATES];
        const struct state *like = &states[i % STATES];
        ck_assert_msg(!outcome->has_records[i % STATES] || !is_newer(like, incarnation, step),
                      "seed %" PRIu64 ", round %d: %" PRId64 " of %" PRId64
                      " is found, and %" PRId64 " is there",
                      seed, round, step, incarnation, like->step);
        bool is_like = outcome->has_head[i % STATES] && incarnation == like->incarnation &&
                       (step == like->step || (step == like->step - 1 && !like->has_begun));
        was_committed = was_committed || is_like;
    }
    ck_assert_msg(was_committed, "seed %" PRIu64 ", round %d: %" PRId64 " of %" PRId64 " is found",
                  seed, round, step, incarnation);
}

/* Of an array: whether a slot of some file that was touched holds these bytes, and held others. */
static bool is_damaged_slot(const unsigned char *found, uint32_t array)
{
    for (int i = 0; i < STATES; i++)
        for (int second = 0; second < 2; second++) {
            uint64_t at = local_offset(sizes, array, second);
            if (outcomes[i].is_touched && outcomes[i].size == files[i].size &&
                memcmp(outcomes[i].bytes + at, found, sizes[array]) == 0 &&
                memcmp(files[i].bytes + at, found, sizes[array]) != 0)
                return true;
        }
    return false;
}

/* A member has a whole copy of what is found; *others: another one has one, too. */
static bool is_held_whole(const struct local_copy *copy, bool *others)
{
    int whole = 0;
    for (int i = 0; i < STATES; i++)
        whole += !outcomes[i].is_touched && states[i].step == local_copy_step(copy) &&
                 states[i].incarnation == local_copy_incarnation(copy);
    *others = whole > 1;
    return whole > 0;
}

/* How many loads a round proved something by, how many were of two copies that differ, and how many
 * a slot spoilt that nothing says it of. */
static int right_loads, refused, differing, spoilt;

static void expect_loaded(const struct local_copy *copy, uint64_t seed, int round)
{
    static unsigned char found[SIZES][LARGEST_BYTES + 1], expected[LARGEST_BYTES];
    void *const data[SIZES] = {found[0], found[1], found[2]};
    bool is_right = true;
    for (uint32_t i = 0; i < SIZES; i++)
        found[i][sizes[i]] = 0x77;
    bool others, is_whole = is_held_whole(copy, &others);
    unsigned verdict;
    ck_ok(local_load(copy, data, &verdict, &failure));
    if (verdict == LOCAL_DIFFERS) {
        ck_assert_msg(!others, "seed %" PRIu64 ", round %d: two copies are whole", seed, round);
        differing++;
        return;
    }
    for (uint32_t i = 0; i < SIZES; i++) {
        fill(expected, i, local_copy_step(copy));
        bool is_same = memcmp(found[i], expected, sizes[i]) == 0;
        ck_assert_msg(found[i][sizes[i]] == 0x77 && (is_same || is_damaged_slot(found[i], i)),
                      "seed %" PRIu64 ", round %d: array %u has wrong bytes", seed, round, i);
        is_right = is_right && is_same;
    }
    ck_assert_msg(is_right || !is_whole, "seed %" PRIu64 ", round %d: wrong beside a whole copy",
                  seed, round);
    right_loads += is_right;
    spoilt += !is_right;
}

static void damage_once(uint64_t seed, int round)
{
    uint64_t draw = seed * 1000003 + (uint64_t)round;
    struct local_id id = id_of(PRESENT);
    struct local_copy *copy = NULL;
    damage_states(&draw);
    memset(warnings_of, 0, sizeof warnings_of);
    ck_ok(local_find(&id, take_warning, NULL, &copy, &failure));
    expect_warnings(seed, round);
    expect_found(copy, seed, round);
    if (copy)
        expect_loaded(copy, seed, round);
    local_forget(copy);
    for (int i = 0; i < STATES; i++) {
        refused += warnings_of[i];
        if (outcomes[i].is_touched)
            write_file(files[i].path, files[i].bytes, files[i].size);
    }
}

START_TEST(random_damages)
{
    uint64_t seed = seed_given ? seed_given : (uint64_t)_i + 1;
    for (int round = 0; round < rounds; round++)
        damage_once(seed, round);
    printf("seed %" PRIu64 ": %d loads are right, %d of copies that differ, %d of a damaged slot; "
           "%d files were refused\n",
           seed, right_loads, differing, spoilt, refused);
    if (rounds >= ROUNDS)
        ck_assert(right_loads > ROUNDS / 2 && refused > ROUNDS / 4 && differing > 0 &&
                  spoilt < ROUNDS / 4);
}
END_TEST

int main(int argc, char **argv)
{
    return run_seeds(argc, argv, "store damage state", random_damages, make_states, ROUNDS);
}
