/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See table.h.
 */
#include "table.h"

#include <dray/base/log.h>
#include <dray/work.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

enum {
    PATIENCE_MS = 20000
};

/* The loop and the workers ask for the time, so it is not the world's. */
static int64_t real_ms(void *ctx)
{
    (void)ctx;
    return time_now_ms();
}

static int64_t real_us(void *ctx)
{
    (void)ctx;
    return time_now_ms() * 1000;
}

static int64_t fixed_wall_ms(void *ctx)
{
    const struct fixture *fixture = ctx;

    return fixture->wall_ms;
}

static const struct clock_ops clock_ops = { .now_ms = real_ms,
                                            .now_us = real_us,
                                            .wall_ms = fixed_wall_ms };

static void on_change(void *arg, const struct job *job, bool state_changed)
{
    struct fixture *fixture = arg;

    fixture->changes++;
    fixture->state_changes += state_changed;
    if (job_is_terminal(job->state))
        fixture->done = true;
}

void start_with(struct fixture *fixture, unsigned threads)
{
    struct err err = ERR_INIT;

    memset(fixture, 0, sizeof(*fixture));
    log_setup((enum log_level)0, false);
    world_init(&fixture->world, 1);
    fixture->world.mirror_per_ms = 1000;
    fixture->world.ready_after_ms = 1;
    fixture->wall_ms = 1000;
    fixture->wish = world_job(&fixture->world);
    fixture->world.ports.clock =
        (struct clock_port){ .ctx = fixture, .ops = &clock_ops };
    assert_int_equal(sd_event_new(&fixture->loop), 0);
    assert_int_equal(work_new(fixture->loop, threads, &fixture->work, &err), 0);
}

void open_table(struct fixture *fixture)
{
    struct err err = ERR_INIT;

    assert_int_equal(migrate_jobs_new(fixture->work, &fixture->world.ports,
                                      on_change, fixture, &fixture->jobs, &err),
                     0);
}

void start(struct fixture *fixture)
{
    start_with(fixture, 4);
    open_table(fixture);
}

void stop(struct fixture *fixture)
{
    work_free(fixture->work);
    migrate_jobs_free(fixture->jobs);
    sd_event_unref(fixture->loop);
    world_deinit(&fixture->world);
    assert_string_equal(fixture->world.violation, "");
}

/* Runs the loop until *@flag, at most PATIENCE_MS. */
void run_until(struct fixture *fixture, const bool *flag)
{
    int64_t deadline_ms = time_now_ms() + PATIENCE_MS;

    while (!*flag && time_now_ms() < deadline_ms)
        assert_true(sd_event_run(fixture->loop, 50000) >= 0);
    assert_true(*flag);
}

/* Until the job's copy is in @state or beyond. */
void run_until_state(struct fixture *fixture, const struct job *job,
                     enum job_state state)
{
    int64_t deadline_ms = time_now_ms() + PATIENCE_MS;

    while (job->state < state && time_now_ms() < deadline_ms)
        assert_true(sd_event_run(fixture->loop, 50000) >= 0);
    assert_true(job->state >= state);
}

const struct job *start_job(struct fixture *fixture, const struct job *wish)
{
    const struct job *job = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(migrate_jobs_start(fixture->jobs, wish, &job, &err), 0);
    return job;
}

enum err_code start_error(struct fixture *fixture, const struct job *wish)
{
    const struct job *job = NULL;
    struct err err = ERR_INIT;

    assert_true(migrate_jobs_start(fixture->jobs, wish, &job, &err) < 0);
    assert_null(job);
    return err.code;
}
