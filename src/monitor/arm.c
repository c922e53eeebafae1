/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Thresholds: set where there is none, or none that fits any more, after which
 * the VM is looked at again: the guest may have passed it meanwhile, and qemu
 * tells of writes that come after only.
 *
 * The right place moves with every measurement. A threshold that is a little
 * off stays: too low costs a look, too high some of the safety.
 */
#include "core.h"
#include <dray/base/util.h>

enum {
    TRUST_MS = 1000, /* what we set holds, until the statistics show it */
    HIGH_PART = 16,
    LOW_PART = 4,
};

static bool fits(uint64_t armed, uint64_t right, uint64_t limit)
{
    if (armed == 0 || right == 0)
        return armed == right;
    return armed >= right ? armed - right <= limit / HIGH_PART
                          : right - armed <= limit / LOW_PART;
}

bool layer_is_armed(struct core *core, const struct layer *layer,
                    int64_t now_ms)
{
    const struct watermark_policy policy = layer_policy(core, layer);
    const struct watermark_pace pace = layer_pace(core, layer);
    uint64_t limit = watermark_limit(&policy, &pace);
    if (fits(layer->threshold_bytes, layer->right_bytes, limit))
        return true;
    return layer->set_bytes > 0 && now_ms - layer->set_ms < TRUST_MS &&
           fits(layer->set_bytes, layer->right_bytes, limit);
}

static bool needs_arming(struct core *core, const struct layer *layer,
                         int64_t now_ms)
{
    if (!layer->watched || layer->setting || layer->state != LAYER_IDLE)
        return false;
    if (layer->verdict != WATERMARK_ENOUGH &&
        layer->verdict != WATERMARK_FULL_GROWN)
        return false;
    return !layer_is_armed(core, layer, now_ms);
}

void layers_arm(struct core *core, struct watched_vm *vm, int64_t now_ms)
{
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (!needs_arming(core, layer, now_ms))
            continue;
        struct act *act = act_new(core, ACT_ARM, vm->uuid);
        if (!act)
            return; /* with the next look */
        act->layer = layer->id;
        act->bytes = layer->set_bytes = layer->right_bytes;
        (void)str_copy(act->node, sizeof(act->node), layer->node);
        layer->setting = true;
    }
}

void core_armed(struct core *core, const char *uuid, uint64_t id,
                const struct err *err, int64_t now_ms)
{
    struct watched_vm *vm = vm_find(core, uuid);
    struct layer *layer = vm ? layer_find(vm, id) : NULL;
    if (!layer)
        return;
    layer->setting = false;
    layer->set_ms = now_ms;
    /* It failed: the poll sees to it; no such node: so it does. */
    if (err->rc)
        layer->set_bytes = 0;
    else
        vm_look(vm, true);
    core_pump(core, now_ms);
}
