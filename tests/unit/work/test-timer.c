/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Timers on the loop: in order, once, stoppable.
 */
#include <dray/base/util.h>
#include <dray/work.h>
#include <setjmp.h>
#include <stdarg.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

static sd_event *loop;
static struct work *work;
static unsigned fired[8]; /* in this order */
static unsigned n_fired;

static unsigned numbers[] = { 0, 1, 2, 3 };

static int set_up(void **state)
{
    (void)state;
    n_fired = 0;
    if (sd_event_new(&loop) < 0)
        return -1;
    return work_new(loop, 1, &work, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    work_free(work);
    sd_event_unref(loop);
    return 0;
}

static void note(void *arg)
{
    fired[n_fired++] = *(const unsigned *)arg;
}

static void note_and_end(void *arg)
{
    note(arg);
    (void)sd_event_exit(loop, 0); /* cannot fail in its own callback */
}

static void start(int64_t delay_ms, work_fn fn, unsigned *number)
{
    assert_int_equal(work_after(work, delay_ms, fn, number, NULL), 0);
}

static void fire_in_the_order_of_their_delays(void **state)
{
    (void)state;
    start(40, note_and_end, &numbers[3]);
    start(20, note, &numbers[2]);
    start(0, note, &numbers[0]);
    start(-5, note, &numbers[1]);
    int64_t before_ms = time_now_ms();
    assert_int_equal(sd_event_loop(loop), 0);
    assert_int_equal(n_fired, 4);
    assert_int_equal(fired[2], 2);
    assert_int_equal(fired[3], 3);
    int64_t took_ms = time_now_ms() - before_ms;
    assert_in_range(took_ms, 39, 5000);
}

static void do_not_fire_once_stopped(void **state)
{
    (void)state;
    struct work_timer *timer = NULL;
    assert_int_equal(work_after(work, 1, note, &numbers[1], &timer), 0);
    start(20, note_and_end, &numbers[2]);
    work_timer_stop(timer);
    work_timer_stop(NULL);
    assert_int_equal(sd_event_loop(loop), 0);
    assert_int_equal(n_fired, 1);
    assert_int_equal(fired[0], 2);
}

static void start_another(void *arg)
{
    note(arg);
    start(0, note_and_end, &numbers[2]);
}

static void may_start_the_next_one(void **state)
{
    (void)state;
    start(0, start_another, &numbers[1]);
    assert_int_equal(sd_event_loop(loop), 0);
    assert_int_equal(n_fired, 2);
}

/* What is left of them shows under the sanitizers. */
static void go_with_the_pool(void **state)
{
    (void)state;
    start(60000, note, &numbers[1]);
    start(0, note, &numbers[1]);
}

#define ON_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_LOOP(fire_in_the_order_of_their_delays),
        ON_LOOP(do_not_fire_once_stopped),
        ON_LOOP(may_start_the_next_one),
        ON_LOOP(go_with_the_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
