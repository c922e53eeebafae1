/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Acts that call a port. Each may hang in its storage or its VM: of those that
 * no one else bounds, the workers get two at once per VM or place.
 */
#include "task.h"
#include <dray/base/util.h>
#include <errno.h>

enum {
    GROW_MS = 30 * 1000,
    PLACE_KEY = 60, /* of a path: in V5's trees it ends after the domain */
};

#define PORT(task, name, op, ...)                                              \
    ((task)->ports->name.ops->op((task)->ports->name.ctx, __VA_ARGS__))

void task_init(struct task *task, const struct monitor_ports *ports,
               struct act *act, void *owner)
{
    *task = (struct task){
        .owner = owner, .ports = ports, .act = act, .err = ERR_INIT
    };
    list_init(&task->link);
    task->sight.rc = task->growth.rc =
        err_set(&task->err, -ENOMEM, "watermark monitor: out of memory");
    task->growth.err = task->sight.err = task->err;
    task->place.state = PLACE_UNKNOWN;
}

void task_deinit(struct task *task)
{
    list_remove(&task->link);
    act_free(task->act);
    free(task->vms);
    free(task->sight.layers);
}

/* --- on a worker --- */

static void run_list(struct task *task)
{
    (void)PORT(task, hypervisor, vm_list, &task->vms, &task->n_vms, &task->err);
}

static void run_look(struct task *task)
{
    struct sight *sight = &task->sight;
    sight->err = (struct err)ERR_INIT;
    sight->rc = PORT(task, hypervisor, layer_stats, task->act->vm,
                     &sight->layers, &sight->n, &sight->err);
    /* In this order: a pause that this misses sends its alarm after it. */
    if (sight->rc == 0 && sight->n > 0)
        sight->rc = PORT(task, hypervisor, paused_for_space, task->act->vm,
                         &sight->paused, sight->paused_target, &sight->err);
}

/* The domain's own numbers; from what is known, its storage is not touched. */
static void find_domain(struct task *task)
{
    _cleanup_free_ struct domain_info *infos = NULL;
    size_t n = 0;
    if (PORT(task, storage, domain_list, &infos, &n, &task->err) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!str_equal(infos[i].sd, task->place.volume.sd))
            continue;
        task->place.state = PLACE_OURS;
        task->place.block = infos[i].block;
        task->place.extent_bytes = infos[i].extent_bytes;
    }
}

static void run_locate(struct task *task)
{
    int rc = PORT(task, storage, locate, task->act->path, &task->place.volume,
                  &task->err);
    if (rc == 0)
        find_domain(task);
    else if (task->err.code == ERR_NO_DISK)
        task->place.state = PLACE_FOREIGN;
}

static int grow(struct task *task, uint64_t bytes, struct err *err)
{
    const struct clock_port *clock = &task->ports->clock;
    return PORT(task, storage, volume_grow, &task->act->volume, bytes,
                clock->ops->now_ms(clock->ctx) + GROW_MS, &task->growth.bytes,
                err);
}

static void run_grow(struct task *task)
{
    struct growth *growth = &task->growth;
    growth->err = (struct err)ERR_INIT;
    growth->rc = grow(task, task->act->bytes, &growth->err);
    if (growth->rc == 0 || growth->err.code != ERR_NO_SPACE ||
        task->act->least_bytes == 0)
        return;
    growth->least = grow(task, task->act->least_bytes, NULL) == 0;
    if (growth->least)
        growth->rc = 0;
}

static void run_arm(struct task *task)
{
    (void)PORT(task, hypervisor, threshold_set, task->act->vm, task->act->node,
               task->act->bytes, &task->err);
}

/* Somebody may have resumed or destroyed it, or stopped it for another reason:
 * then it is none of ours any more. */
static void run_resume(struct task *task)
{
    char target[DISK_TARGET_SIZE];
    bool paused = false;
    int rc = PORT(task, hypervisor, paused_for_space, task->act->vm, &paused,
                  target, &task->err);
    if (rc == 0 && paused)
        task->did =
            PORT(task, hypervisor, vm_resume, task->act->vm, &task->err) == 0;
}

void task_run(struct task *task)
{
    task->err = (struct err)ERR_INIT;
    switch (task->act->kind) {
    case ACT_LIST:
        run_list(task);
        break;
    case ACT_LOOK:
        run_look(task);
        break;
    case ACT_LOCATE:
        run_locate(task);
        break;
    case ACT_GROW:
        run_grow(task);
        break;
    case ACT_ARM:
        run_arm(task);
        break;
    case ACT_RESUME:
        run_resume(task);
        break;
    case ACT_EVENT:
    case ACT_ANSWER:
        break; /* no ports */
    }
}

const char *task_key(const struct task *task, char *ret_key, size_t size)
{
    if (task->act->kind == ACT_ARM)
        return task->act->vm;
    if (task->act->kind != ACT_LOCATE)
        return NULL;
    (void)str_format(ret_key, size, "%.*s", PLACE_KEY, task->act->path);
    return ret_key;
}

/* --- on the loop --- */

static void tell_grown(const struct task *task, struct core *core,
                       int64_t now_ms)
{
    struct growth growth = task->growth;
    growth.layer = task->act->layer;
    (void)str_copy(growth.vm, UUID_SIZE, task->act->vm);
    (void)str_copy(growth.sd, UUID_SIZE, task->act->volume.sd);
    core_grown(core, &growth, now_ms);
}

void task_tell(const struct task *task, struct core *core, int64_t now_ms)
{
    const struct act *act = task->act;
    switch (act->kind) {
    case ACT_LIST:
        core_listed(core, task->err.rc == 0, task->vms, task->n_vms, now_ms);
        break;
    case ACT_LOOK:
        core_seen(core, act->vm, &task->sight, now_ms);
        break;
    case ACT_LOCATE:
        core_located(core, act->path, &task->place, now_ms);
        break;
    case ACT_GROW:
        tell_grown(task, core, now_ms);
        break;
    case ACT_ARM:
        core_armed(core, act->vm, act->layer, &task->err, now_ms);
        break;
    case ACT_RESUME:
        core_resumed(core, act->vm, task->did, &task->err, now_ms);
        break;
    case ACT_EVENT:
    case ACT_ANSWER:
        break;
    }
}
