/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watch's thread: a loop of its own that owns the core, and workers that
 * call the ports. Alarms and other threads' calls come through a mailbox; what
 * the core wants done goes to the workers, and their results back to it. The
 * loop never blocks, so that who waits for an answer gets one.
 */
#include "loop.h"
#include <dray/base/lock.h>
#include <dray/base/util.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <systemd/sd-event.h>

enum {
    THREADS = 256, /* at most; most of them would wait for storage */
};

int64_t monitor_now(const struct monitor *monitor)
{
    const struct clock_port *clock = &monitor->ports.clock;
    return clock->ops->now_ms(clock->ctx);
}

static void answer(struct monitor *monitor, struct call *call, int rc)
{
    SCOPED_LOCK(&monitor->lock);
    call->rc = rc;
    call->done = true;
    (void)pthread_cond_broadcast(&monitor->answered);
}

/* --- on the loop --- */

static void go_on(struct monitor *monitor);

static void run_task(void *arg)
{
    task_run(arg);
}

static void task_done(void *arg)
{
    struct task *task = arg;
    struct monitor *monitor = task->owner;
    task_tell(task, &monitor->core, monitor_now(monitor));
    task_deinit(task);
    free(task);
    go_on(monitor);
}

/* Without memory for it the core is told what it is told of a failure. */
static void start_task(struct monitor *monitor, struct act *act)
{
    char key[WORK_KEY_SIZE];
    struct task *task = calloc(1, sizeof(*task));
    if (task) {
        task_init(task, &monitor->ports, act, monitor);
        if (work_submit(monitor->work, task_key(task, key, sizeof(key)),
                        run_task, task_done, task) == 0) {
            list_append(&monitor->tasks, &task->link);
            return;
        }
        free(task);
    }
    task_init(&monitor->spare, &monitor->ports, act, monitor);
    task_tell(&monitor->spare, &monitor->core, monitor_now(monitor));
    task_deinit(&monitor->spare);
}

static void do_act(struct monitor *monitor, struct act *act)
{
    if (act->kind == ACT_EVENT) {
        if (monitor->event)
            monitor->event(monitor->arg, &act->event);
        act_free(act);
    } else if (act->kind == ACT_ANSWER) {
        struct call *call = act->tag;
        if (act->err.rc && call->err && !call->err->rc)
            *call->err = act->err;
        answer(monitor, call, act->err.rc);
        act_free(act);
    } else {
        start_task(monitor, act);
    }
}

static void on_timer(void *arg)
{
    struct monitor *monitor = arg;
    monitor->timer = NULL;
    core_tick(&monitor->core, monitor_now(monitor));
    go_on(monitor);
}

static void set_timer(struct monitor *monitor)
{
    int64_t now = monitor_now(monitor);
    int64_t next = core_next_ms(&monitor->core, now);
    if (monitor->timer)
        work_timer_stop(monitor->timer);
    monitor->timer = NULL;
    /* Out of memory: the next result or alarm sets it. */
    (void)work_after(monitor->work, next > now ? next - now : 0, on_timer,
                     monitor, &monitor->timer);
}

static void go_on(struct monitor *monitor)
{
    struct act *act = NULL;
    while ((act = core_next_act(&monitor->core)) != NULL)
        do_act(monitor, act);
    set_timer(monitor);
}

static struct list *take(struct monitor *monitor, struct list *from)
{
    SCOPED_LOCK(&monitor->lock);
    monitor->posted = false;
    if (list_is_empty(from))
        return NULL;
    struct list *item = from->next;
    list_remove(item);
    return item;
}

static void on_mail(void *arg)
{
    struct monitor *monitor = arg;
    struct list *item = NULL;
    while ((item = take(monitor, &monitor->alarms)) != NULL) {
        struct alarm *alarm = container_of(item, struct alarm, link);
        core_alarm(&monitor->core, &alarm->alarm, alarm->now_ms);
        free(alarm);
    }
    while ((item = take(monitor, &monitor->calls)) != NULL) {
        struct call *call = container_of(item, struct call, link);
        int rc = call->run(monitor, call);
        if (rc != CALL_LATER)
            answer(monitor, call, rc);
    }
    go_on(monitor);
}

static void *monitor_main(void *arg)
{
    struct monitor *monitor = arg;
    go_on(monitor);
    /* An error ends the watch; there is none that can be foreseen. */
    (void)sd_event_loop(monitor->loop);
    return NULL;
}

/* --- mail, from any thread --- */

void monitor_post_locked(struct monitor *monitor)
{
    if (!monitor->posted)
        monitor->posted = work_post(monitor->work, on_mail, monitor) == 0;
}

/* On libvirt's event thread. Out of memory: the poll will see. */
static void on_alarm(void *arg, const struct vm_alarm *what)
{
    struct monitor *monitor = arg;
    struct alarm *alarm = calloc(1, sizeof(*alarm));
    if (!alarm)
        return;
    alarm->alarm = *what;
    alarm->now_ms = monitor_now(monitor);
    SCOPED_LOCK(&monitor->lock);
    list_append(&monitor->alarms, &alarm->link);
    monitor_post_locked(monitor);
}

/* --- life --- */

/* A new thread inherits the mask: signals are the owner loop's. */
static int start_thread(struct monitor *monitor, struct err *err)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* these three cannot fail with these arguments */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&monitor->thread, NULL, monitor_main, monitor);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set(err, -rc, "watermark monitor: no thread");
    monitor->running = true;
    return 0;
}

static int open_loop(struct monitor *monitor, struct err *err)
{
    int rc = sd_event_new(&monitor->loop);
    if (rc < 0)
        return err_set(err, rc, "watermark monitor: no event loop");
    return work_new(monitor->loop, THREADS, &monitor->work, err);
}

int monitor_new(const struct monitor_options *options,
                const struct monitor_ports *ports, monitor_event_fn event,
                void *arg, struct monitor **ret_monitor, struct err *err)
{
    struct monitor *monitor = calloc(1, sizeof(*monitor));
    if (!monitor)
        return err_set(err, -ENOMEM, "watermark monitor: out of memory");
    monitor->ports = *ports;
    monitor->event = event;
    monitor->arg = arg;
    list_init(&monitor->tasks);
    list_init(&monitor->alarms);
    list_init(&monitor->calls);
    /* Default attributes: these do not fail in glibc. */
    (void)pthread_mutex_init(&monitor->lock, NULL);
    (void)pthread_cond_init(&monitor->answered, NULL);
    core_init(&monitor->core, options, monitor_now(monitor));
    int rc = open_loop(monitor, err);
    if (rc == 0)
        rc = start_thread(monitor, err);
    if (rc < 0) {
        monitor_free(monitor);
        return rc;
    }
    const struct hypervisor_port *virt = &monitor->ports.hypervisor;
    virt->ops->set_alarm(virt->ctx, on_alarm, monitor);
    *ret_monitor = monitor;
    return 0;
}

static int run_stop(struct monitor *monitor, struct call *call)
{
    (void)call;
    return sd_event_exit(monitor->loop, 0);
}

static void stop(struct monitor *monitor)
{
    struct call call = { .run = run_stop };
    const struct hypervisor_port *virt = &monitor->ports.hypervisor;
    virt->ops->set_alarm(virt->ctx, NULL, NULL);
    while (monitor_call(monitor, &call) == -ENOMEM)
        (void)sched_yield();                   /* there is no end without it */
    (void)pthread_join(monitor->thread, NULL); /* ours, joinable, once */
}

void monitor_free(struct monitor *monitor)
{
    if (!monitor)
        return;
    if (monitor->running)
        stop(monitor);
    work_free(monitor->work);
    list_for_each_safe (item, next, &monitor->tasks) {
        struct task *task = container_of(item, struct task, link);
        task_deinit(task);
        free(task);
    }
    list_for_each_safe (item, next, &monitor->alarms) {
        list_remove(item);
        free(container_of(item, struct alarm, link));
    }
    core_deinit(&monitor->core);
    sd_event_unref(monitor->loop);
    (void)pthread_cond_destroy(&monitor->answered); /* nobody waits any more */
    (void)pthread_mutex_destroy(&monitor->lock);
    free(monitor);
}
