/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who grows now, and what comes of it.
 *
 * - Of one disk the mirror's destination goes first, then the source, then a
 *   commit's base; but one that hangs does not keep the next one for long.
 * - Of one domain many grow at once, dray-lvm makes one of them; a domain whose
 *   storage timed out gets one at a time until one succeeds.
 * - What failed is tried again later; the first failure is told, and then now
 *   and then. A layer that is about to stop its guest takes an extent where
 *   there is no more.
 */
#include "core.h"
#include <dray/base/util.h>
#include <errno.h>

enum {
    LANE_MAX = 64,
    LANE_SICK_MAX = 1,
    ORDER_MS = 1000, /* at least, or twice the longest extension */
    ORDER_MAX_MS = 10 * 1000,
    REPEAT_MS = 60 * 1000,
};

/* --- events --- */

struct monitor_event *layer_event(struct core *core,
                                  enum monitor_event_kind kind,
                                  const struct watched_vm *vm,
                                  const struct layer *layer)
{
    struct act *act = act_new(core, ACT_EVENT, vm->uuid);
    if (!act)
        return NULL;
    act->event = (struct monitor_event){
        .kind = kind,
        .volume = layer->volume,
        .size_bytes = layer->is.size_bytes,
        .wanted_bytes = layer->wanted_bytes,
        .free_bytes = layer_left(layer),
    };
    (void)str_copy(act->event.vm, UUID_SIZE, vm->uuid);
    (void)str_copy(act->event.target, DISK_TARGET_SIZE, layer->target);
    return &act->event;
}

void layer_tell_problem(struct core *core, struct watched_vm *vm,
                        struct layer *layer, const char *text, int64_t now_ms)
{
    (void)str_copy(layer->problem, sizeof(layer->problem), text);
    if (layer->told && now_ms - layer->told_ms < REPEAT_MS)
        return;
    struct monitor_event *event = layer_event(core, MONITOR_FAILED, vm, layer);
    if (!event)
        return; /* the next failure tells */
    layer->told = true;
    layer->told_ms = now_ms;
    if (layer->needed)
        event->took_ms = now_ms - layer->need_ms;
    (void)str_copy(event->text, sizeof(event->text), text);
}

static void clear_problem(struct layer *layer)
{
    layer->problem[0] = '\0';
    layer->told = false;
    watermark_backoff_succeed(&layer->backoff);
}

/* --- need --- */

/* Its LV has grown, but the VM's host does not show it: asking for the same at
 * once again would be all that we do. */
static void check_effect(struct core *core, struct watched_vm *vm,
                         struct layer *layer, int64_t now_ms)
{
    char text[sizeof(layer->problem)];
    if (layer->wanted_bytes > layer->grown_bytes || layer->backoff.failures > 0)
        return;
    (void)str_format(text, sizeof(text),
                     "disk %s: its LV %s was extended to %llu bytes, but the "
                     "VM sees %llu",
                     layer->target, layer->volume.vol,
                     (unsigned long long)layer->grown_bytes,
                     (unsigned long long)layer->is.size_bytes);
    watermark_backoff_fail(&layer->backoff, now_ms);
    layer_tell_problem(core, vm, layer, text, now_ms);
}

static void no_need(struct watched_vm *vm, struct layer *layer, bool paused)
{
    /* It has space, but its guest does not run yet. */
    if (layer->verdict != WATERMARK_IMPLAUSIBLE && !paused)
        clear_problem(layer);
    if (layer->state == LAYER_WAITING)
        layer->state = LAYER_IDLE;
    layer->needed = false;
    if (!vm->dirty) /* else its alarm may be younger than this look */
        layer->alarmed = false;
}

static void begin_need(const struct watched_vm *vm, struct layer *layer,
                       bool paused, int64_t now_ms)
{
    bool by_pause = paused && vm->space_alarmed;
    layer->needed = true;
    layer->by_alarm = layer->alarmed || by_pause;
    layer->need_ms = now_ms;
    if (by_pause)
        layer->need_ms = vm->space_alarm_ms;
    if (layer->alarmed)
        layer->need_ms = layer->alarm_ms;
    layer->tried_ms = layer->need_ms;
    layer->alarmed = false;
}

void layer_need(struct core *core, struct watched_vm *vm, struct layer *layer,
                bool paused, int64_t now_ms)
{
    if (layer->state == LAYER_GROWING)
        return;
    if (layer->verdict != WATERMARK_GROW) {
        no_need(vm, layer, paused);
        return;
    }
    if (!layer->needed)
        begin_need(vm, layer, paused, now_ms);
    if (!paused)
        check_effect(core, vm, layer, now_ms);
    if (layer->state == LAYER_IDLE &&
        watermark_backoff_may_try(&layer->backoff, now_ms))
        layer->state = LAYER_WAITING;
}

/* --- growing --- */

/* @other has to grow, or it is not known yet whether it will have to. */
static bool goes_first(const struct layer *other, const struct layer *layer)
{
    if (other->watched)
        return other->state != LAYER_IDLE && other->rank < layer->rank;
    return other->asked && other->replica && other->cow;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How long @other may take: on slow storage a source that waits no longer
 * than on fast storage would overtake it each time. Where nothing has grown
 * yet, storage is held to be as slow as the source's. */
static int64_t order_ms(struct core *core, const struct layer *layer,
                        const struct layer *other)
{
    int64_t ms = layer_pace(core, layer).extension_ms;
    if (other->watched)
        ms = longer(ms, layer_pace(core, other).extension_ms);
    ms = longer(2 * ms, ORDER_MS);
    return ms < ORDER_MAX_MS ? ms : ORDER_MAX_MS;
}

static bool is_held(struct core *core, const struct watched_vm *vm,
                    const struct layer *layer, int64_t now_ms)
{
    list_for_each (item, &vm->layers) {
        const struct layer *other = container_of(item, struct layer, link);
        if (str_equal(other->target, layer->target) &&
            goes_first(other, layer) &&
            now_ms - layer->tried_ms < order_ms(core, layer, other))
            return true;
    }
    return false;
}

/* One extent, for a guest that is about to stop. */
static uint64_t least_bytes(const struct core *core,
                            const struct watched_vm *vm,
                            const struct layer *layer)
{
    const struct watermark_policy policy = layer_policy(core, layer);
    bool stopped = vm->paused && str_equal(vm->paused_target, layer->target);
    bool soon = stopped || layer_left(layer) < policy.extent_bytes;
    uint64_t bytes = layer->is.size_bytes + policy.extent_bytes;
    return soon && bytes < layer->wanted_bytes ? bytes : 0;
}

static void start_growing(struct core *core, struct watched_vm *vm,
                          struct layer *layer)
{
    struct lane *lane = lane_of(core, layer->volume.sd);
    if (!lane || lane->running >= (lane->sick ? LANE_SICK_MAX : LANE_MAX))
        return;
    struct act *act = act_new(core, ACT_GROW, vm->uuid);
    if (!act)
        return; /* at the next occasion */
    act->layer = layer->id;
    act->volume = layer->volume;
    act->bytes = layer->wanted_bytes;
    act->least_bytes = least_bytes(core, vm, layer);
    layer->state = LAYER_GROWING;
    lane->running++;
}

/* In the order in which they are extended. */
void layers_grow(struct core *core, struct watched_vm *vm, int64_t now_ms)
{
    for (size_t rank = 0; rank <= WATERMARK_BASE; rank++) {
        list_for_each (item, &vm->layers) {
            struct layer *layer = container_of(item, struct layer, link);
            if (layer->state == LAYER_WAITING && layer->rank == rank &&
                !is_held(core, vm, layer, now_ms))
                start_growing(core, vm, layer);
        }
    }
}

/* --- what came of it --- */

static void note_lane(struct core *core, const struct growth *growth,
                      const struct layer *layer, int64_t now_ms)
{
    struct lane *lane = lane_of(core, growth->sd);
    if (!lane)
        return;
    if (lane->running > 0)
        lane->running--;
    if (growth->rc == 0 || growth->rc == -ETIMEDOUT)
        lane->sick = growth->rc != 0;
    if (growth->rc == 0 && layer)
        watermark_times_add(&lane->times, now_ms - layer->tried_ms);
}

static void grew(struct core *core, struct watched_vm *vm, struct layer *layer,
                 const struct growth *growth, int64_t now_ms)
{
    core->extensions++;
    core->alarms += layer->by_alarm;
    core->polled += !layer->by_alarm;
    core_took(core, now_ms - layer->need_ms);
    layer->grown_bytes = growth->bytes;
    if (growth->bytes > layer->is.size_bytes)
        layer->is.size_bytes = growth->bytes;
    struct monitor_event *event =
        layer_event(core, MONITOR_EXTENDED, vm, layer);
    if (event)
        event->took_ms = now_ms - layer->need_ms;
    if (growth->least)
        layer_tell_problem(core, vm, layer, growth->err.message, now_ms);
    else
        clear_problem(layer);
    layer->needed = false;
    if (vm->paused && layer->role == WATERMARK_SOURCE &&
        str_equal(vm->paused_target, layer->target))
        vm->relieved = true;
}

/* Not before check_effect() told. */
static bool had_no_effect(const struct layer *layer,
                          const struct growth *growth)
{
    return layer->grown_bytes > 0 && growth->bytes <= layer->grown_bytes;
}

/* It is not there any more: whose the path is has to be asked again. */
static bool is_gone(enum err_code code)
{
    return code == ERR_NO_DOMAIN || code == ERR_NO_IMAGE ||
           code == ERR_NO_VOLUME || code == ERR_NO_DISK;
}

static void failed(struct core *core, struct watched_vm *vm,
                   struct layer *layer, const struct growth *growth,
                   int64_t now_ms)
{
    core->failures++;
    watermark_backoff_fail(&layer->backoff, now_ms);
    layer->tried_ms = layer->backoff.not_before_ms;
    layer_tell_problem(core, vm, layer, growth->err.message, now_ms);
    if (is_gone(growth->err.code))
        place_forget(core, layer->path);
    if (layer->role != WATERMARK_SOURCE)
        begins_fail(core, vm, layer->target, &growth->err);
}

void core_grown(struct core *core, const struct growth *growth, int64_t now_ms)
{
    struct watched_vm *vm = vm_find(core, growth->vm);
    struct layer *layer = vm ? layer_find(vm, growth->layer) : NULL;
    note_lane(core, growth, layer, now_ms);
    if (layer) {
        layer->state = LAYER_IDLE;
        if (growth->rc != 0)
            failed(core, vm, layer, growth, now_ms);
        else if (had_no_effect(layer, growth))
            watermark_backoff_fail(&layer->backoff, now_ms);
        else
            grew(core, vm, layer, growth, now_ms);
        vm_resume_if_relieved(core, vm);
        vm_look(vm, true);
    }
    core_pump(core, now_ms);
}
