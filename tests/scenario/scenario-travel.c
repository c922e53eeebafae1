/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VM goes to another host: each call of either daemon fails once, and each
 * daemon dies at each of its calls. In the end one VM lives, on a complete
 * copy, and both jobs have told the truth about it.
 */
#include <fake-travel.h>

#include <dray/base/log.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
    PATIENCE_MS = 900 * 1000,
    CALLS_MIN = 20, /* fewer: it did not walk */
};

static bool has_ended(const struct travel_host *host)
{
    return !host->migration && !host->restart_ms && !host->dead &&
           (!host->has_record || job_is_terminal(host->record.state));
}

static void complain(const struct travel *travel, const char *where,
                     const char *what)
{
    const struct job *here = &travel->hosts[HERE].record;
    const struct job *there = &travel->hosts[THERE].record;

    fail_msg("%s: %s; fault %d at %u (%s); here %s '%s' '%s', there %s '%s' "
             "'%s'",
             where, what, travel->fault, travel->fault_at, travel->faulted,
             job_state_name(here->state), here->error.message, here->warning,
             job_state_name(there->state), there->error.message,
             there->warning);
}

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition))                                                      \
            complain(travel, where, #condition);                               \
    } while (0)

static void judge_moved(const struct travel *travel, const char *where)
{
    const struct travel_host *here = &travel->hosts[HERE];
    const struct travel_host *there = &travel->hosts[THERE];

    CHECK(there->record.state == JOB_DONE);
    CHECK(there->running && there->defined && there->image && there->legal);
    CHECK(there->knows == travel->acknowledged);
    CHECK(!here->active && !here->defined);
    CHECK(!here->image || here->record.warning[0]);
    CHECK(!here->lv_active || here->record.warning[0]);
    CHECK(there->lv_active);
    CHECK(!here->watching && !there->watching);
    CHECK(!travel->chain ||
          (there->whole[TRAVEL_TEMPLATE] && there->whole[TRAVEL_INTERNAL]));
    CHECK(!travel->chain || here->layer[TRAVEL_TEMPLATE]);
}

static void judge_stayed(const struct travel *travel, const char *where)
{
    const struct travel_host *here = &travel->hosts[HERE];
    const struct travel_host *there = &travel->hosts[THERE];

    CHECK(here->running && here->defined && here->image);
    CHECK(here->knows == travel->acknowledged);
    CHECK(!there->active && !there->defined);
    CHECK(!there->image || there->record.warning[0]);
    CHECK(!there->lv_active || there->record.warning[0]);
    CHECK(here->lv_active == here->block);
    CHECK(!here->watching && !there->watching);
    CHECK(!there->legal);
    CHECK(!there->layer[TRAVEL_INTERNAL] || there->record.warning[0]);
    CHECK(there->layer[TRAVEL_TEMPLATE] ==
              (travel->template_there || travel->rival_came) ||
          there->record.warning[0]);
}

static void run(struct travel *travel, const char *where)
{
    const struct job job = travel_job(travel);
    int64_t until = travel->now_ms + PATIENCE_MS;

    log_setup((enum log_level)0, false);
    if (!travel->hosts[HERE].migration)
        travel_start(travel, HERE, &job);
    do {
        travel_pass(travel);
        if (travel->violation[0])
            complain(travel, where, travel->violation);
    } while (travel->now_ms < until && (!has_ended(&travel->hosts[HERE]) ||
                                        !has_ended(&travel->hosts[THERE])));
    CHECK(travel->now_ms < until);
    if (travel->hosts[HERE].record.state == JOB_DONE)
        judge_moved(travel, where);
    else
        judge_stayed(travel, where);
}

static void moves(void **state)
{
    struct travel travel;

    (void)state;
    travel_init(&travel);
    run(&travel, "well");
    assert_int_equal(travel.hosts[HERE].record.state, JOB_DONE);
    assert_string_equal(travel.hosts[HERE].record.warning, "");
    assert_string_equal(travel.hosts[THERE].record.warning, "");
    assert_int_equal(travel.hosts[HERE].record.disks[0].total, 3000);
    assert_int_equal(travel.hosts[HERE].record.disks[0].done, 3000);
    assert_int_equal(travel.hosts[HERE].record.progress.memory_total, 1500);
    assert_false(travel.hosts[HERE].image);
    travel_deinit(&travel);
}

/* Nobody knows what that file is: then it is not the only copy. */
static void what_was_not_found_there_is_kept_here(void **state)
{
    struct travel travel;

    (void)state;
    travel_init(&travel);
    travel.other_file = true;
    run(&travel, "another file");
    assert_int_equal(travel.hosts[HERE].record.state, JOB_DONE);
    assert_true(travel.hosts[HERE].image);
    assert_non_null(strstr(travel.hosts[HERE].record.warning, "kept"));
    assert_non_null(strstr(travel.hosts[THERE].record.warning, "another file"));
    travel_deinit(&travel);
}

static void run_for(struct travel *travel, int64_t ms)
{
    const struct job job = travel_job(travel);

    if (!travel->hosts[HERE].migration)
        travel_start(travel, HERE, &job);
    for (int64_t i = 0; i < ms; i++)
        travel_pass(travel);
}

/* --- LVs --------------------------------------------------------------- */

static void a_thin_lv_grows_while_it_is_filled(void **state)
{
    struct travel travel;
    uint64_t first;

    (void)state;
    travel_init(&travel);
    log_setup((enum log_level)0, false);
    travel_on_lvs(&travel);
    run_for(&travel, 1000);
    assert_true(travel.sending);
    first = travel.hosts[THERE].lv_bytes;
    run(&travel, "LVs");
    assert_int_equal(travel.hosts[HERE].record.state, JOB_DONE);
    assert_string_equal(travel.hosts[HERE].record.warning, "");
    assert_false(travel.starved);
    assert_true(travel.hosts[THERE].lv_bytes > first);
    assert_false(travel.hosts[HERE].image);
    travel_deinit(&travel);
}

static void a_kept_lv_is_not_active_any_more(void **state)
{
    struct travel travel;
    struct job job;

    (void)state;
    travel_init(&travel);
    travel_on_lvs(&travel);
    job = travel_job(&travel);
    job.keep_source = true;
    travel_start(&travel, HERE, &job);
    log_setup((enum log_level)0, false);
    run_for(&travel, 60 * 1000);
    assert_int_equal(travel.hosts[HERE].record.state, JOB_DONE);
    assert_true(travel.hosts[HERE].image);
    assert_false(travel.hosts[HERE].lv_active);
    travel_deinit(&travel);
}

static void a_full_vg_is_told_and_the_vm_stays(void **state)
{
    struct travel travel;

    (void)state;
    travel_init(&travel);
    log_setup((enum log_level)0, false);
    travel_on_lvs(&travel);
    travel.vg_full = true;
    run(&travel, "full VG");
    assert_int_equal(travel.hosts[HERE].record.state, JOB_FAILED);
    assert_int_equal(travel.hosts[HERE].record.error.code, ERR_NO_SPACE);
    assert_false(travel.starved);
    assert_false(travel.hosts[THERE].image);
    travel_deinit(&travel);
}

/* --- faults at each call ----------------------------------------------- */

static void nothing(struct travel *travel)
{
    (void)travel;
}

/* What was begun has ended when the daemon is back. */
static void dies_for_long(struct travel *travel)
{
    travel->dead_ms = 10000;
}

static void breaks(struct travel *travel)
{
    travel->send_breaks = true;
}

static void loses_the_confirmation(struct travel *travel)
{
    travel->confirm_lost = true;
}

static void has_chain(struct travel *travel)
{
    travel_has_chain(travel, false);
}

static void has_template(struct travel *travel)
{
    travel_has_chain(travel, true);
}

static void has_chain_and_breaks(struct travel *travel)
{
    travel_has_chain(travel, false);
    travel->send_breaks = true;
}

static void on_lvs(struct travel *travel)
{
    travel_on_lvs(travel);
}

static void on_lvs_and_breaks(struct travel *travel)
{
    travel_on_lvs(travel);
    travel->send_breaks = true;
}

static void on_lvs_dies_for_long(struct travel *travel)
{
    travel_on_lvs(travel);
    travel->dead_ms = 10000;
}

static void has_another_template(struct travel *travel)
{
    travel_has_chain(travel, true);
    travel->template_differs = true;
}

static void has_rival_and_breaks(struct travel *travel)
{
    has_chain_and_breaks(travel);
    travel->rival = TRAVEL_RIVAL_FIRST;
}

static void has_rival_that_fills(struct travel *travel)
{
    travel_has_chain(travel, false);
    travel->rival = TRAVEL_RIVAL_FILLS;
}

static void walk(const char *name, void (*setup)(struct travel *travel))
{
    for (int fault = 0; fault < TRAVEL_FAULTS; fault++) {
        unsigned n = 0;
        bool faulted = true;

        while (faulted) {
            struct travel travel;

            travel_init(&travel);
            setup(&travel);
            travel.fault = (enum travel_fault)fault;
            travel.fault_at = ++n;
            run(&travel, name);
            faulted = travel.faulted[0] != '\0';
            travel_deinit(&travel);
        }
        assert_true(n > CALLS_MIN);
    }
}

static void survives_faults_on_the_way(void **state)
{
    (void)state;
    walk("move", nothing);
    walk("long absence", dies_for_long);
}

static void survives_faults_on_the_way_back(void **state)
{
    (void)state;
    walk("broken send", breaks);
}

static void survives_faults_with_a_copy_standing_there(void **state)
{
    (void)state;
    walk("lost confirmation", loses_the_confirmation);
}

static void survives_faults_while_layers_go(void **state)
{
    (void)state;
    walk("chain", has_chain);
    walk("linked clone", has_template);
}

static void survives_faults_while_layers_come_back(void **state)
{
    (void)state;
    walk("broken chain", has_chain_and_breaks);
    walk("another template", has_another_template);
    walk("another's template", has_rival_and_breaks);
    walk("another's half", has_rival_that_fills);
}

static void what_another_has_made_is_used(void **state)
{
    struct travel travel;

    (void)state;
    travel_init(&travel);
    log_setup((enum log_level)0, false);
    travel_has_chain(&travel, false);
    travel.rival = TRAVEL_RIVAL_FIRST;
    run(&travel, "rival");
    assert_int_equal(travel.hosts[HERE].record.state, JOB_DONE);
    assert_false(travel.hosts[THERE].record.disks[0].template_made);
    travel_deinit(&travel);
}

static void survives_faults_on_lvs(void **state)
{
    (void)state;
    walk("LVs", on_lvs);
    walk("broken send of LVs", on_lvs_and_breaks);
    walk("long absence with LVs", on_lvs_dies_for_long);
}

static void another_template_is_told(void **state)
{
    struct travel travel;

    (void)state;
    travel_init(&travel);
    log_setup((enum log_level)0, false);
    has_another_template(&travel);
    run(&travel, "another template");
    assert_int_equal(travel.hosts[HERE].record.state, JOB_FAILED);
    assert_non_null(
        strstr(travel.hosts[HERE].record.error.message, "is another on host"));
    assert_true(travel.hosts[THERE].layer[TRAVEL_TEMPLATE]);
    travel_deinit(&travel);
}

/* --- what happens in between ------------------------------------------- */

/* Whoever orders it at the last moment comes too late: then it has moved. */
static void a_cancel_leaves_it_here_or_comes_too_late(void **state)
{
    unsigned late = 0;

    (void)state;
    for (int64_t ms = 1; ms < 4000; ms += ms < 2900 ? 170 : 3) {
        struct travel travel;
        enum job_state end;

        travel_init(&travel);
        log_setup((enum log_level)0, false);
        run_for(&travel, ms);
        travel.hosts[HERE].orders.cancel = true;
        run(&travel, "cancel");
        end = travel.hosts[HERE].record.state;
        late += end == JOB_DONE;
        assert_true(end == JOB_CANCELLED || end == JOB_DONE);
        assert_true(end == JOB_CANCELLED || ms > 2900);
        assert_true(travel.hosts[THERE].image == (end == JOB_DONE));
        travel_deinit(&travel);
    }
    assert_true(late > 0);
}

static void too_long_is_given_up(void **state)
{
    struct travel travel;
    struct job job;

    (void)state;
    travel_init(&travel);
    job = travel_job(&travel);
    job.wait_s = 1;
    travel_start(&travel, HERE, &job);
    run(&travel, "timeout");
    assert_int_equal(travel.hosts[HERE].record.state, JOB_FAILED);
    assert_int_equal(travel.hosts[HERE].record.error.code, ERR_TIMEOUT);
    assert_false(travel.hosts[THERE].image);
    travel_deinit(&travel);
}

static void what_died_there_before_it_ran_ends_both_jobs(void **state)
{
    const char *const causes[] = { "libvirt does not know it", "virsh start" };

    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        struct travel travel;
        const struct travel_host *here = &travel.hosts[HERE];
        const struct travel_host *there = &travel.hosts[THERE];

        travel_init(&travel);
        log_setup((enum log_level)0, false);
        travel.transient = !persistent;
        travel.hosts[HERE].defined = persistent;
        travel.dies_there = true;
        run_for(&travel, 60 * 1000);
        assert_string_equal(travel.violation, "");
        assert_true(has_ended(here) && has_ended(there));
        assert_int_equal(here->record.state, JOB_DONE);
        assert_int_equal(there->record.state, JOB_DONE);
        assert_non_null(strstr(there->record.warning, causes[persistent]));
        assert_non_null(strstr(here->record.warning, causes[persistent]));
        assert_true(there->image && there->legal && here->image);
        travel_deinit(&travel);
    }
}

/* Nobody here speaks any more once the VM stands there. */
static void a_lost_host_leaves_an_instruction(void **state)
{
    struct travel travel;

    (void)state;
    travel_init(&travel);
    log_setup((enum log_level)0, false);
    run_for(&travel, 2900);
    assert_true(travel.sending);
    travel.hosts[HERE].restart_ms = INT64_MAX;
    migration_free(travel.hosts[HERE].migration);
    travel.hosts[HERE].migration = NULL;
    for (int i = 0; i < 60000; i++)
        travel_pass(&travel);
    assert_string_equal(travel.violation, "");
    assert_true(travel.hosts[THERE].active && !travel.hosts[THERE].running);
    assert_non_null(strstr(
        migration_job(travel.hosts[THERE].migration)->warning, "Peer.finish"));
    travel_deinit(&travel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves),
        cmocka_unit_test(what_was_not_found_there_is_kept_here),
        cmocka_unit_test(survives_faults_on_the_way),
        cmocka_unit_test(survives_faults_on_the_way_back),
        cmocka_unit_test(survives_faults_with_a_copy_standing_there),
        cmocka_unit_test(survives_faults_while_layers_go),
        cmocka_unit_test(survives_faults_while_layers_come_back),
        cmocka_unit_test(survives_faults_on_lvs),
        cmocka_unit_test(a_thin_lv_grows_while_it_is_filled),
        cmocka_unit_test(a_kept_lv_is_not_active_any_more),
        cmocka_unit_test(a_full_vg_is_told_and_the_vm_stays),
        cmocka_unit_test(another_template_is_told),
        cmocka_unit_test(what_another_has_made_is_used),
        cmocka_unit_test(a_cancel_leaves_it_here_or_comes_too_late),
        cmocka_unit_test(too_long_is_given_up),
        cmocka_unit_test(what_died_there_before_it_ran_ends_both_jobs),
        cmocka_unit_test(a_lost_host_leaves_an_instruction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
