/* change.c - the one path of an epoch change, as every member walks it.
 *
 * A pass: gather reports, let the controller decide, broadcast the opening, split the team, bring
 * the state, agree. A member that meets a failure in a pass skips to the agreement (its error
 * handler has revoked the candidate, so nobody waits for it), and everyone starts the next pass
 * with a smaller candidate. The agreement is the only place where a pass is left, so all members
 * are always in the same pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "change_pass.h"
#include "copies.h"
#include "local.h"
#include "shards.h"
#include "slots.h"
#include "watchdog.h"

enum { MAX_PASSES = 64, AWAIT_LIMIT_S = 600, JOIN_LIMIT_S = 6, STATE_BYTES_PER_S = 10 << 20 };

static void pass_clear(struct pass *pass)
{
    free(pass->seats);
    free(pass->core_bytes);
    free(pass->host_bytes);
    free(pass->holders);
    memset(pass, 0, sizeof *pass);
}

static struct change_report report_of(struct onward *ow)
{
    struct change_report report;
    memset(&report, 0, sizeof report);
    report.member = ow->member;
    report.pid = (uint32_t)getpid();
    report.complete_step = ow->complete_step;
    report.seen_epoch = ow->seen_epoch;
    report.sharded = shards_any(ow);
    report.clean = ow->clean && !report.sharded; /* a step may have changed a part in place */
    report.dedicated = ow->dedicated;
    report.may_leave = slots_may_leave(ow);
    report.signature = ow->dedicated ? 0 : state_signature(ow);
    memcpy(report.host, ow->host, sizeof report.host);
    memcpy(report.warning, ow->warning, sizeof report.warning);
    report.restore_code = ow->restore_code;
    state_sizes(ow, &report.replicated_bytes, &report.sharded_bytes);
    if (!ow->dedicated && !ow->opened && !ow->spawned)
        slots_find_held(ow);
    traces_of_dead(ow, &report);
    report.held = slots_held(ow);
    if (ow->held_ruled_out)
        report.held.step = -1;
    return report;
}

/* The controller's part between gather and broadcast. */
static int decide(struct onward *ow, struct pass *pass, const struct change_report *reports)
{
    pass->seats = calloc((size_t)pass->size, sizeof *pass->seats);
    if (!pass->seats)
        return ONWARD_ERR_MEMORY;
    control_decide(ow, reports, pass->size, &pass->opening, pass->seats);
    pass->opening.seat_count = (uint32_t)pass->size;
    pass->opening.core_size = controller_save(ow->control->core, NULL, 0);
    pass->core_bytes = malloc(pass->opening.core_size);
    if (!pass->core_bytes)
        return ONWARD_ERR_MEMORY;
    controller_save(ow->control->core, pass->core_bytes, pass->opening.core_size);
    size_t host_size;
    pass->host_bytes = control_save_hosts(ow, &host_size);
    pass->opening.host_size = host_size;
    pass->holders = control_copy_holders(ow);
    return pass->holders ? ONWARD_OK : ONWARD_ERR_MEMORY;
}

/* The lists of all members, one behind the other, at the controller. */
static int gather_copies(struct onward *ow, struct pass *pass, const struct change_report *all,
                         const struct copy_id *mine, uint32_t count)
{
    uint32_t total = 0;
    size_t *sizes = NULL;
    struct copy_id *lists = NULL;
    if (pass->rank == 0) {
        sizes = calloc((size_t)pass->size, sizeof *sizes);
        for (int i = 0; i < pass->size && sizes; i++) {
            sizes[i] = all[i].copy_count * sizeof *lists;
            total += all[i].copy_count;
        }
        lists = calloc((size_t)total + 1, sizeof *lists);
        if (!sizes || !lists) {
            free(sizes);
            free(lists);
            return ONWARD_ERR_MEMORY;
        }
    }
    int code = transport_gather_lists(ow->transport, mine, count * sizeof *mine, lists, sizes);
    if (code == ONWARD_OK && pass->rank == 0)
        code = control_take_copies(ow, all, pass->size, lists, total);
    free(sizes);
    free(lists);
    return code;
}

static int gather_and_decide(struct onward *ow, struct pass *pass)
{
    struct change_report mine = report_of(ow), *all = NULL;
    struct copy_id *copies = NULL;
    copies_listen(ow, &mine.partner);
    copies_find(ow, &copies, &mine.copy_count);
    memcpy(mine.unread, ow->unread_text, sizeof mine.unread);
    mine.unread_code = ow->unread_code;
    if (!mine.warning[0]) /* what was found just now may be one */
        memcpy(mine.warning, ow->warning, sizeof mine.warning);
    int code = ONWARD_OK;
    if (pass->rank == 0) {
        all = calloc((size_t)pass->size, sizeof *all);
        code = all ? ONWARD_OK : ONWARD_ERR_MEMORY;
    }
    if (code == ONWARD_OK)
        code = transport_gather(ow->transport, &mine, sizeof mine, all);
    if (code == ONWARD_OK) { /* both were in the report */
        ow->warning[0] = '\0';
        ow->restore_code = ONWARD_OK;
    }
    if (code == ONWARD_OK && pass->rank == 0)
        control_take_warnings(ow, all, pass->size);
    fault_at_phase(ow, INJECT_PHASE_REFORM);
    if (code == ONWARD_OK)
        code = gather_copies(ow, pass, all, copies, mine.copy_count);
    if (code == ONWARD_OK && pass->rank == 0) {
        control_lead_service(ow, all, pass->size);
        code = decide(ow, pass, all);
    }
    free(all);
    free(copies);
    return code;
}

static int make_room(struct pass *pass)
{
    if (pass->opening.magic != OPENING_MAGIC)
        return ONWARD_ERR_LOST;
    if (pass->rank == 0)
        return ONWARD_OK;
    pass->seats = calloc(pass->opening.seat_count, sizeof *pass->seats);
    pass->core_bytes = malloc(pass->opening.core_size);
    pass->host_bytes = malloc(pass->opening.host_size + 1); /* never of 0 bytes */
    pass->holders = calloc((size_t)pass->opening.copy.shard_count + 1, sizeof *pass->holders);
    return pass->seats && pass->core_bytes && pass->host_bytes && pass->holders ? ONWARD_OK
                                                                                : ONWARD_ERR_MEMORY;
}

static int share_opening(struct onward *ow, struct pass *pass)
{
    struct transport *transport = ow->transport;
    int code = transport_broadcast(transport, &pass->opening, sizeof pass->opening);
    if (code == ONWARD_OK)
        code = make_room(pass);
    if (code == ONWARD_OK)
        code = transport_broadcast(transport, pass->seats,
                                   pass->opening.seat_count * sizeof *pass->seats);
    if (code == ONWARD_OK)
        code = transport_broadcast(transport, pass->core_bytes, pass->opening.core_size);
    if (code == ONWARD_OK && pass->opening.host_size > 0)
        code = transport_broadcast(transport, pass->host_bytes, pass->opening.host_size);
    if (code == ONWARD_OK)
        code = transport_broadcast(transport, pass->holders,
                                   pass->opening.copy.shard_count * sizeof *pass->holders);
    if (pass->opening.epoch > ow->seen_epoch)
        ow->seen_epoch = pass->opening.epoch;
    partner_see_epoch(ow->partner, ow->seen_epoch);
    if (code == ONWARD_OK)
        pass->lineup_rank = pass->seats[pass->rank].rank;
    return code;
}

/* Who failed says so, and frees those who wait for it. */
static int end_pass(struct onward *ow, struct pass *pass, int code)
{
    if (code != ONWARD_OK) {
        pass->flags &= ~FLAG_PASS;
        transport_interrupt(ow->transport);
    }
    return transport_agree(ow->transport, pass->flags);
}

double change_limit_s(const struct onward *ow, uint64_t state_bytes)
{
    return ow->options.reform_limit_s + (double)state_bytes / STATE_BYTES_PER_S;
}

static void leave_state(struct onward *ow, const struct pass *pass)
{
    if (pass->seats[pass->rank].leaves)
        slots_leave(ow);
}

static int pass_body(struct onward *ow, struct pass *pass)
{
    int code = gather_and_decide(ow, pass);
    if (code == ONWARD_OK)
        code = share_opening(ow, pass);
    if (code == ONWARD_OK && pass->opening.again)
        return ONWARD_ERR_LOST;
    if (code != ONWARD_OK)
        return code;
    if (pass->opening.state_bytes > 0)
        watchdog_arm(ow->watchdog, change_limit_s(ow, pass->opening.state_bytes), WATCHDOG_KILL);
    if (pass->opening.end) {
        leave_state(ow, pass); /* all wait for it in the agreement, and end then */
        return ONWARD_OK;
    }
    fault_at_phase(ow, INJECT_PHASE_OPEN);
    ow->incarnation = pass->opening.incarnation;
    ow->run_number = pass->opening.run_number;
    code = transport_split(ow->transport, pass->lineup_rank);
    if (code == ONWARD_OK && pass->opening.move_to_all)
        code = transport_split_movers(ow->transport, !ow->dedicated);
    fault_at_phase(ow, INJECT_PHASE_SPLIT);
    if (code == ONWARD_OK && !ow->dedicated)
        code = slots_create(ow);
    if (code == ONWARD_OK && !ow->dedicated)
        code = shards_keep_initial(ow);
    return code == ONWARD_OK && pass->lineup_rank >= 0 ? change_lay_out(ow, pass) : code;
}

/* What all agreed on at the end of the pass. State moves over communicators that a member whose
 * split failed does not have, and to parts that one whose layout is wrong does not have: it could
 * not free those who would wait for it there. So all agree before that they have them; who failed
 * already takes it for the agreement at the end. */
static int walk_pass(struct onward *ow, struct pass *pass)
{
    int code = pass_body(ow, pass);
    bool is_brought = pass->opening.move_state || pass->opening.copy.shard_count > 0 ||
                      pass->opening.source == SOURCE_CHECKPOINT;
    if (code == ONWARD_OK && is_brought) {
        int agreed = transport_agree(ow->transport, pass->flags);
        if (!(agreed & FLAG_PASS) || !(agreed & FLAG_LAYOUT))
            return agreed;
    }
    if (code == ONWARD_OK && !pass->opening.end) {
        control_count_restore(ow, &pass->opening);
        fault_at_phase(ow, INJECT_PHASE_STATE);
        code = change_bring_state(ow, pass);
        fault_at_phase(ow, INJECT_PHASE_AGREE);
    }
    return end_pass(ow, pass, code);
}

static void take_role(struct onward *ow, const struct pass *pass)
{
    const struct opening *opening = &pass->opening;
    struct lineup_range range = {0, 0};
    ow->in_lineup = pass->lineup_rank >= 0;
    if (ow->gave_up) /* perhaps not on this lineup: it does the step again, and says it again */
        ow->give_up_code = ONWARD_OK;
    ow->gave_up = false;
    if (ow->in_lineup)
        range = lineup_split(ow->options.subtask_count, opening->size, (uint32_t)pass->lineup_rank);
    ow->role = (struct onward_role){.comm = transport_team(ow->transport),
                                    .rank = pass->lineup_rank,
                                    .size = (int)opening->size,
                                    .first = range.first,
                                    .count = range.count,
                                    .step = opening->step,
                                    .epoch = opening->epoch,
                                    .changed = true};
    if (ow->in_lineup || (opening->move_state && opening->move_to_all && !ow->dedicated)) {
        ow->clean = true;
        ow->dirty = false;
        ow->complete_step = opening->step;
        slots_commit(ow);
        shards_commit(ow);
    }
    traces_open(ow);
    slots_forget_held(ow);
    if (ow->in_lineup && (ow->outlives || opening->saved))
        slots_remove_older(ow);
}

/* Nothing of the epoch before is valid in the new one. */
static void forget_orders(struct onward *ow)
{
    ow->checkpoint_step = -1;
    ow->hold_until_ns = 0;
    ow->finish_ordered = ow->complete_ordered = false;
    ow->finishing = ow->final_done_sent = ow->in_step = false;
    ow->poll_ns = ow->report_ns = 0;
    sum_cancel(ow->sum);
}

static void commit(struct onward *ow, struct pass *pass)
{
    epoch_remember(ow, &pass->opening, pass->seats); /* while this is the epoch before */
    ow->member = pass->seats[pass->rank].member;
    struct seat *before = ow->seats;
    uint32_t before_count = ow->seat_count;
    free(ow->core_bytes);
    free(ow->host_bytes);
    ow->seats = pass->seats;
    ow->seat_count = pass->opening.seat_count;
    ow->core_bytes = pass->core_bytes;
    ow->core_size = pass->opening.core_size;
    ow->host_bytes = pass->host_bytes;
    ow->host_size = pass->opening.host_size;
    pass->seats = NULL;
    pass->core_bytes = pass->host_bytes = NULL;
    transport_adopt(ow->transport);
    bool first = !ow->opened;
    ow->opened = true;
    if (first && transport_has_fault_tolerance(ow->transport))
        leave_guard();
    ow->changing = false;
    forget_orders(ow);
    take_role(ow, pass);
    copies_opened(ow, &pass->opening.copy);
    worker_checkpoint_give_up(ow);
    mark_place(ow, BEAT_INSIDE);
    ow->spawned = ow->controller_spawns = false;
    ow->step_end_ns = clock_ns();
    if (ow->control)
        control_opened(ow, before, before_count);
    service_changed(ow);
    free(before);
    if (ow->in_lineup && ow->role.rank == 0)
        worker_send_arrays(ow);
    if (ow->in_lineup)
        worker_report(ow);
    worker_send_warning(ow);
}

static int end(struct onward *ow, const struct pass *pass)
{
    ow->ended = true;
    ow->end_code = pass->opening.end_code;
    ow->saved = pass->opening.saved;
    ow->restarts = pass->opening.restarts;
    error_set(&ow->error, ow->end_code, "%s", pass->opening.text);
    transport_adopt(ow->transport);
    return ONWARD_OK;
}

static int end_bad_input(struct onward *ow, const struct pass *pass)
{
    change_gather_reason(ow, pass);
    ow->ended = true;
    ow->end_code = ONWARD_ERR_INPUT;
    if (ow->control) {
        if (ow->error.code != ONWARD_ERR_INPUT)
            error_set(&ow->error, ONWARD_ERR_INPUT,
                      "task %s: the state could not be restored; a worker's log says why: what is "
                      "stored holds other arrays than the program protects, or is damaged",
                      ow->options.task);
        control_write_end(ow, ONWARD_ERR_INPUT, ow->error.text);
    }
    transport_adopt(ow->transport);
    return ONWARD_OK;
}

/* ONWARD_ERR_LOST: another pass. */
static int settle(struct onward *ow, struct pass *pass, int agreed)
{
    if (!(agreed & FLAG_PASS))
        return ONWARD_ERR_LOST;
    if (pass->opening.end)
        return end(ow, pass);
    bool fits = agreed & FLAG_LAYOUT, has_state = agreed & FLAG_STATE;
    if (!(agreed & FLAG_INPUT) || (!fits && !pass->opening.may_shrink))
        return end_bad_input(ow, pass);
    bool is_ruled_out = !fits || !has_state;
    if (!fits)
        change_rule_out_size(ow, pass);
    else if (!has_state)
        change_rule_out_source(ow, pass);
    else
        is_ruled_out = change_rule_out_held(ow, pass, agreed);
    if (is_ruled_out) {
        ow->passes_left++; /* nobody was lost, and a source or size is ruled out once */
        return ONWARD_ERR_LOST;
    }
    fault_at_phase(ow, INJECT_PHASE_COMMIT);
    commit(ow, pass);
    return ONWARD_OK;
}

/* Only those of whom the core knows: it counts on them in the decision of this pass. */
static bool offers_newcomers(struct onward *ow)
{
    if (!ow->control)
        return false;
    control_look_at_newcomers(ow);
    return ow->control->newcomer_count == 0 &&
           transport_newcomers(ow->transport) == NEWCOMERS_READY;
}

/* A loss inside of MPI's part of a join leaves all waiting there for ever: Open MPI 5.0.7 looks for
 * none while it chooses a context ID. Then the next rung is faster than the usual limit, and a
 * relaunch finds the newest complete step. */
static void limit_join(struct onward *ow)
{
    double limit_s = ow->options.reform_limit_s;
    watchdog_arm(ow->watchdog, limit_s < JOIN_LIMIT_S ? limit_s : JOIN_LIMIT_S, WATCHDOG_KILL);
}

static int join_newcomers(struct onward *ow, struct pass *pass)
{
    limit_join(ow);
    bool offers = offers_newcomers(ow);
    int code = transport_offer(ow->transport, &offers);
    if (code == ONWARD_OK && offers) {
        fault_at_phase(ow, INJECT_PHASE_JOIN);
        code = transport_join(ow->transport, &pass->rank, &pass->size);
    }
    if (code == ONWARD_ERR_LOST && ow->control)
        control_warn(ow, "a member was lost while those who were spawned joined");
    watchdog_arm(ow->watchdog, ow->options.reform_limit_s, WATCHDOG_KILL);
    return code;
}

static int run_pass(struct onward *ow, bool first)
{
    struct pass pass = {.flags = FLAGS_ALL, .lineup_rank = -1};
    slots_discard(ow);
    shards_drop(ow);
    int code = transport_candidate(ow->transport, first, &pass.rank, &pass.size);
    if (code != ONWARD_OK)
        return code;
    fault_at_phase(ow, INJECT_PHASE_SHRINK);
    if (pass.rank == 0 && !ow->control && (code = control_take_over(ow)) != ONWARD_OK)
        return code; /* this member cannot be the controller; its end makes the next one try */
    code = first ? ONWARD_OK : join_newcomers(ow, &pass);
    if (code == ONWARD_ERR_LOST)
        return code;
    int agreed = code == ONWARD_OK ? walk_pass(ow, &pass) : end_pass(ow, &pass, code);
    code = settle(ow, &pass, agreed);
    if (code == ONWARD_ERR_LOST && pass.opening.state_bytes > 0)
        watchdog_arm(ow->watchdog, ow->options.reform_limit_s, WATCHDOG_KILL);
    pass_clear(&pass);
    return code;
}

/* A member that was spawned waits until the others take it in. */
static int await_join(struct onward *ow)
{
    int code = transport_await_join(ow->transport, AWAIT_LIMIT_S);
    if (code == ONWARD_OK) {
        fault_at_phase(ow, INJECT_PHASE_JOIN);
        limit_join(ow);
        code = transport_enter(ow->transport);
    }
    if (code != ONWARD_OK)
        error_set(&ow->error, code, "the controller that spawned this member is gone");
    return code;
}

int change_run(struct onward *ow)
{
    if (ow->spawned && !ow->opened && await_join(ow) != ONWARD_OK)
        return ow->error.code;
    if (ow->opened && !transport_has_fault_tolerance(ow->transport))
        return error_set(&ow->error, ONWARD_ERR_NO_FAULT_TOLERANCE,
                         "a member was lost, and MPI runs without fault tolerance: start with "
                         "mpirun --with-ft ulfm");
    watchdog_arm(ow->watchdog, ow->options.reform_limit_s, WATCHDOG_KILL);
    int code = ONWARD_ERR_LOST;
    if (ow->control)
        control_tell_epoch(ow);
    ow->changing = true;
    ow->change_ns = clock_ns();
    bool first = !ow->opened;
    for (ow->passes_left = MAX_PASSES; ow->passes_left > 0 && code == ONWARD_ERR_LOST;
         first = false) {
        ow->passes_left--;
        code = run_pass(ow, first);
    }
    ow->changing = false;
    watchdog_disarm(ow->watchdog);
    if (code == ONWARD_OK || ow->error.code == code)
        return code;
    return error_set(&ow->error, code, "the lineup could not be formed again in %d passes: %s",
                     MAX_PASSES, onward_error_message(code));
}
