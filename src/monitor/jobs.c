/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Block jobs that somebody announced, and those who wait until all that such a
 * job writes to has room and a threshold. What the job's own layers cannot get
 * is the answer; that the source has no more room is no reason to keep a disk
 * from being moved away from there.
 */
#include "core.h"
#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

enum {
    REPLICA_MS = 2000, /* until a new mirror is in the statistics */
    BEGIN_MS = 60 * 1000,
};

struct watch_job *job_of(const struct watched_vm *vm, const char *target)
{
    list_for_each (item, &vm->jobs) {
        struct watch_job *job = container_of(item, struct watch_job, link);
        if (str_equal(job->target, target))
            return job;
    }
    return NULL;
}

void job_free(struct watch_job *job)
{
    list_remove(&job->link);
    free(job->base);
    free(job);
}

static struct watch_job *job_get(struct watched_vm *vm, const char *target,
                                 const char *base)
{
    struct watch_job *job = job_of(vm, target);
    if (job && str_equal(job->base, base))
        return job;
    if (job)
        job_free(job);
    job = calloc(1, sizeof(*job));
    char *copy = base ? strdup(base) : NULL;
    if (!job || (base && !copy)) {
        free(job);
        free(copy);
        return NULL;
    }
    job->base = copy;
    (void)str_copy(job->target, sizeof(job->target), target);
    list_append(&vm->jobs, &job->link);
    return job;
}

static void end_begin(struct core *core, struct begin *begin,
                      const struct err *err)
{
    begin->answer->err = *err;
    list_append(&core->acts, &begin->answer->link);
    list_remove(&begin->link);
    free(begin);
}

/* With all that its answer needs. */
static struct begin *begin_new(struct watched_vm *vm, const char *target,
                               void *tag)
{
    struct begin *begin = calloc(1, sizeof(*begin));
    struct act *answer = calloc(1, sizeof(*answer));
    if (!begin || !answer) {
        free(begin);
        free(answer);
        return NULL;
    }
    answer->kind = ACT_ANSWER;
    answer->tag = tag;
    begin->answer = answer;
    (void)str_copy(begin->target, sizeof(begin->target), target);
    list_append(&vm->begins, &begin->link);
    return begin;
}

int core_begin(struct core *core, const char *uuid, const char *target,
               const char *base, void *tag, int64_t now_ms)
{
    struct watched_vm *vm = vm_get(core, uuid);
    if (!vm || !job_get(vm, target, base))
        return -ENOMEM;
    struct begin *begin = begin_new(vm, target, tag);
    if (!begin)
        return -ENOMEM;
    begin->since_ms = now_ms;
    vm_look(vm, true);
    core_pump(core, now_ms);
    return 0;
}

void core_end(struct core *core, const char *uuid, const char *target,
              int64_t now_ms)
{
    struct watched_vm *vm = vm_find(core, uuid);
    struct watch_job *job = vm ? job_of(vm, target) : NULL;
    struct err err = ERR_INIT;
    if (!job)
        return;
    job_free(job);
    (void)err_set(&err, -ECANCELED, "disk %s: its block job is over", target);
    begins_fail(core, vm, target, &err);
    vm_look(vm, false);
    core_pump(core, now_ms);
}

/* --- those who wait --- */

/* A source that cannot grow now is no obstacle. */
static bool has_room(struct core *core, const struct layer *layer,
                     int64_t now_ms)
{
    if (layer->asked || (layer->unknown && (layer->replica || !layer->leaf)))
        return false;
    if (!layer->watched)
        return true;
    if (layer->verdict == WATERMARK_IMPLAUSIBLE ||
        (layer->role == WATERMARK_SOURCE && layer->backoff.failures > 0))
        return true;
    return layer->verdict != WATERMARK_GROW && layer->state == LAYER_IDLE &&
           !layer->setting && layer_is_armed(core, layer, now_ms);
}

static bool is_ready(struct core *core, const struct watched_vm *vm,
                     const struct begin *begin, int64_t now_ms)
{
    const struct watch_job *job = job_of(vm, begin->target);
    if (!begin->looked)
        return false;
    if (job && !job->base && !job->replica_seen &&
        now_ms - begin->since_ms < REPLICA_MS)
        return false;
    list_for_each (item, &vm->layers) {
        const struct layer *layer = container_of(item, struct layer, link);
        if (str_equal(layer->target, begin->target) &&
            !has_room(core, layer, now_ms))
            return false;
    }
    return true;
}

void begins_check(struct core *core, struct watched_vm *vm, int64_t now_ms)
{
    const struct err fine = ERR_INIT;
    list_for_each_safe (item, next, &vm->begins) {
        struct begin *begin = container_of(item, struct begin, link);
        if (!begin->hold && is_ready(core, vm, begin, now_ms))
            end_begin(core, begin, &fine);
    }
}

void begins_fail(struct core *core, struct watched_vm *vm, const char *target,
                 const struct err *err)
{
    list_for_each_safe (item, next, &vm->begins) {
        struct begin *begin = container_of(item, struct begin, link);
        if (!begin->hold && (!target || str_equal(begin->target, target)))
            end_begin(core, begin, err);
    }
}

void begins_tick(struct core *core, struct watched_vm *vm, int64_t now_ms)
{
    list_for_each_safe (item, next, &vm->begins) {
        struct begin *begin = container_of(item, struct begin, link);
        struct err err = ERR_INIT;
        if (begin->hold)
            continue;
        vm_look(vm, true);
        if (now_ms - begin->since_ms < BEGIN_MS)
            continue;
        (void)err_set_code(&err, ERR_TIMEOUT,
                           "disk %s: no room for its block job after %d s",
                           begin->target, BEGIN_MS / 1000);
        (void)err_next(&err, "drayctl vm watermarks %s tells what is missing",
                       vm->uuid);
        end_begin(core, begin, &err);
    }
}

/* --- those who need a VM to stand still --- */

static struct hold *hold_of(const struct watched_vm *vm, const char *who)
{
    list_for_each (item, &vm->holds) {
        struct hold *hold = container_of(item, struct hold, link);
        if (str_equal(hold->who, who))
            return hold;
    }
    return NULL;
}

static int add_hold(struct watched_vm *vm, const char *who)
{
    if (hold_of(vm, who))
        return 0;
    struct hold *hold = calloc(1, sizeof(*hold));
    if (!hold)
        return -ENOMEM;
    (void)str_copy(hold->who, sizeof(hold->who), who);
    list_append(&vm->holds, &hold->link);
    return 0;
}

int core_hold(struct core *core, const char *uuid, const char *who, void *tag)
{
    struct watched_vm *vm = vm_get(core, uuid);
    if (!vm || add_hold(vm, who) < 0)
        return -ENOMEM;
    struct begin *begin = begin_new(vm, "", tag);
    if (!begin)
        return -ENOMEM; /* it is let go by who asked */
    begin->hold = true;
    if (!vm->resuming)
        holds_answer(core, vm);
    return 0;
}

void holds_answer(struct core *core, struct watched_vm *vm)
{
    const struct err fine = ERR_INIT;
    list_for_each_safe (item, next, &vm->begins) {
        struct begin *begin = container_of(item, struct begin, link);
        if (begin->hold)
            end_begin(core, begin, &fine);
    }
}

void core_release(struct core *core, const char *uuid, const char *who,
                  int64_t now_ms)
{
    struct watched_vm *vm = vm_find(core, uuid);
    struct hold *hold = vm ? hold_of(vm, who) : NULL;
    if (!hold)
        return;
    list_remove(&hold->link);
    free(hold);
    vm_hint(vm, true, now_ms);
    core_pump(core, now_ms);
}
