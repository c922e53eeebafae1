/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A guest that stands still for want of space in a layer of ours: the layer
 * grows, then the VM runs again. It is resumed by nobody else, and by us for no
 * other reason: the act asks once more why it is paused before it does so, and
 * those who need it to stand still (a pivot) hold it.
 */
#include "core.h"
#include <dray/base/util.h>

/* Where it is not known which disk it was: the one with the least left. */
static struct layer *fullest(const struct watched_vm *vm)
{
    struct layer *found = NULL;
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (layer->watched && layer->role == WATERMARK_SOURCE &&
            (!found || layer_left(layer) < layer_left(found)))
            found = layer;
    }
    return found;
}

static void begin_pause(struct core *core, struct watched_vm *vm,
                        struct layer *layer, int64_t now_ms)
{
    vm->paused = true;
    vm->relieved = false;
    vm->paused_ms = vm->space_alarmed ? vm->space_alarm_ms : now_ms;
    (void)str_copy(vm->paused_target, DISK_TARGET_SIZE, layer->target);
    core->pauses++;
    (void)layer_event(core, MONITOR_PAUSED, vm, layer);
    watermark_backoff_succeed(&layer->backoff); /* no time to lose */
}

struct layer *vm_paused_layer(struct core *core, struct watched_vm *vm,
                              const struct sight *sight, int64_t now_ms)
{
    struct layer *layer = NULL;
    bool stale = vm->resumed;
    vm->resumed = false;
    if (sight->paused && !stale)
        layer = sight->paused_target[0] ? layer_source(vm, sight->paused_target)
                                        : fullest(vm);
    vm->paused = vm->paused && layer;
    if (!layer)
        return NULL;
    layer_stopped(core, layer);
    if (!vm->paused)
        begin_pause(core, vm, layer, now_ms);
    return layer;
}

void vm_resume_if_relieved(struct core *core, struct watched_vm *vm)
{
    if (!vm->paused || !vm->relieved || vm->resuming ||
        !list_is_empty(&vm->holds))
        return;
    vm->resuming = act_new(core, ACT_RESUME, vm->uuid) != NULL;
}

static void tell_resumed(struct core *core, const struct watched_vm *vm,
                         const struct layer *layer, int64_t now_ms)
{
    struct monitor_event *event = layer_event(core, MONITOR_RESUMED, vm, layer);
    if (event)
        event->took_ms = now_ms - vm->paused_ms;
}

void core_resumed(struct core *core, const char *uuid, bool did,
                  const struct err *err, int64_t now_ms)
{
    struct watched_vm *vm = vm_find(core, uuid);
    if (!vm)
        return;
    struct layer *layer = layer_source(vm, vm->paused_target);
    vm->resuming = false;
    /* What a look says that is under way may be from before. */
    vm->resumed = !err->rc && vm->looking;
    if (did && layer)
        tell_resumed(core, vm, layer, now_ms);
    if (err->rc && layer)
        layer_tell_problem(core, vm, layer, err->message, now_ms);
    if (!err->rc) {
        vm->paused = vm->relieved = false;
        vm_look(vm, true);
    }
    holds_answer(core, vm);
    core_pump(core, now_ms);
}
