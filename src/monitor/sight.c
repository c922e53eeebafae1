/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A look's result: which layers there are, which of them are watched and as
 * what; then each is judged and what follows is begun.
 */
#include "core.h"
#include <dray/base/util.h>
#include <string.h>

enum {
    IMPLAUSIBLE_LOOKS = 2, /* one may have fallen between two numbers */
};

/* --- layers --- */

static struct layer *layer_get(struct core *core, struct watched_vm *vm,
                               const struct vm_layer *seen)
{
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (str_equal(layer->path, seen->path) &&
            str_equal(layer->target, seen->target))
            return layer;
    }
    struct layer *layer = calloc(1, sizeof(*layer));
    char *path = strdup(seen->path);
    if (!layer || !path) {
        free(layer);
        free(path);
        return NULL;
    }
    layer->path = path;
    layer->id = ++core->last_layer;
    (void)str_copy(layer->target, sizeof(layer->target), seen->target);
    list_append(&vm->layers, &layer->link);
    return layer;
}

static bool same_volume(const struct place *a, const struct place *b)
{
    return a && b && a->state == PLACE_OURS && b->state == PLACE_OURS &&
           str_equal(a->volume.sd, b->volume.sd) &&
           str_equal(a->volume.vol, b->volume.vol);
}

/* qemu and libvirt may spell it differently. */
static bool is_base(struct core *core, const struct watched_vm *vm,
                    const struct vm_layer *seen, int64_t now_ms)
{
    const struct watch_job *job = job_of(vm, seen->target);
    if (!job || !job->base || seen->replica)
        return false;
    return str_equal(job->base, seen->path) ||
           same_volume(place_of(core, job->base, now_ms),
                       place_of(core, seen->path, now_ms));
}

static void take_layer(struct core *core, struct watched_vm *vm,
                       const struct vm_layer *seen, int64_t now_ms)
{
    if (!seen->path[0] || (seen->depth > 0 && !is_base(core, vm, seen, now_ms)))
        return;
    struct layer *layer = layer_get(core, vm, seen);
    if (!layer)
        return; /* it is there at the next look */
    layer->seen = true;
    layer->replica = seen->replica;
    layer->leaf = seen->depth == 0;
    layer->cow = str_equal(seen->format, "qcow2");
    if (!str_equal(layer->node, seen->node))
        layer->set_bytes = 0;
    (void)str_copy(layer->node, sizeof(layer->node), seen->node);
    layer_sample(core, layer, seen, now_ms);
}

static void take_layers(struct core *core, struct watched_vm *vm,
                        const struct sight *sight, int64_t now_ms)
{
    list_for_each (item, &vm->layers)
        container_of(item, struct layer, link)->seen = false;
    for (size_t i = 0; i < sight->n; i++)
        take_layer(core, vm, &sight->layers[i], now_ms);
    list_for_each_safe (item, next, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (layer->seen)
            continue;
        place_forget(core, layer->path);
        layer_free(layer);
    }
}

/* --- roles --- */

/* The layers of one disk, by enum watermark_target. */
struct disk {
    struct layer *layers[WATERMARK_BASE + 1];
    struct watermark_disk is[WATERMARK_BASE + 1];
};

static enum watermark_target role_of(const struct layer *layer)
{
    if (layer->replica)
        return WATERMARK_REPLICA;
    return layer->leaf ? WATERMARK_SOURCE : WATERMARK_BASE;
}

static void add_to_disk(struct core *core, struct disk *disk,
                        struct layer *layer, int64_t now_ms)
{
    const struct place *place = place_of(core, layer->path, now_ms);
    enum watermark_target role = role_of(layer);
    bool ours = place && place->state == PLACE_OURS;
    disk->layers[role] = layer;
    disk->is[role].cow = layer->cow;
    disk->is[role].block = ours && place->block;
    layer->asked = place && place->state == PLACE_ASKED;
    layer->unknown = !place || place->state == PLACE_UNKNOWN;
    if (ours) {
        layer->volume = place->volume;
        layer->extent_bytes = place->extent_bytes;
    }
}

static void find_disk(struct core *core, struct watched_vm *vm,
                      const char *target, struct disk *ret_disk, int64_t now_ms)
{
    *ret_disk = (struct disk){ 0 };
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (str_equal(layer->target, target))
            add_to_disk(core, ret_disk, layer, now_ms);
    }
}

static void set_role(struct layer *layer, enum watermark_target role,
                     size_t rank)
{
    /* Nobody has seen a write to a base, and all of it may be full. */
    if (role == WATERMARK_BASE &&
        (!layer->watched || layer->role != WATERMARK_BASE))
        layer->floor_bytes = layer->is.allocation_bytes = layer->is.size_bytes;
    layer->watched = true;
    layer->role = role;
    layer->rank = rank;
}

static void set_roles(struct core *core, struct watched_vm *vm,
                      const char *target, int64_t now_ms)
{
    enum watermark_target targets[WATERMARK_BASE + 1];
    bool watched[WATERMARK_BASE + 1] = { false };
    struct watch_job *job = job_of(vm, target);
    struct disk disk;
    find_disk(core, vm, target, &disk, now_ms);
    size_t n = watermark_targets(&disk.is[WATERMARK_SOURCE],
                                 &disk.is[WATERMARK_REPLICA],
                                 &disk.is[WATERMARK_BASE], targets);
    for (size_t i = 0; i < n; i++) {
        watched[targets[i]] = true;
        set_role(disk.layers[targets[i]], targets[i], i);
    }
    if (job && disk.layers[WATERMARK_REPLICA])
        job->replica_seen = true;
    for (size_t i = 0; i <= WATERMARK_BASE; i++) {
        struct layer *layer = disk.layers[i];
        if (!layer)
            continue;
        layer->watched = watched[i];
        layer->replicating = job || disk.layers[WATERMARK_REPLICA];
        if (!layer->watched && layer->state == LAYER_WAITING)
            layer->state = LAYER_IDLE;
    }
}

static bool is_first_of_disk(const struct watched_vm *vm,
                             const struct layer *layer)
{
    list_for_each (item, &vm->layers) {
        const struct layer *other = container_of(item, struct layer, link);
        if (str_equal(other->target, layer->target))
            return other == layer;
    }
    return false;
}

/* --- judging --- */

static void check_plausible(struct core *core, struct watched_vm *vm,
                            struct layer *layer, int64_t now_ms)
{
    char text[sizeof(layer->problem)];
    if (layer->verdict != WATERMARK_IMPLAUSIBLE ||
        ++layer->implausible != IMPLAUSIBLE_LOOKS)
        return;
    (void)str_format(text, sizeof(text),
                     "disk %s: statistics cannot be true, nothing is "
                     "extended: %llu bytes written of %llu, capacity %llu",
                     layer->target,
                     (unsigned long long)layer->is.allocation_bytes,
                     (unsigned long long)layer->is.size_bytes,
                     (unsigned long long)layer->is.capacity_bytes);
    layer->told = false; /* once, and whatever was told before */
    layer_tell_problem(core, vm, layer, text, now_ms);
}

static void judge_all(struct core *core, struct watched_vm *vm,
                      const struct layer *stopped)
{
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        bool paused = layer == stopped && !vm->relieved;
        if (layer->watched)
            layer_judge(core, layer, paused);
    }
    /* What the source gets to hold, its destination must hold as well: it is
     * extended first, and does not wait for its own threshold. */
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        const struct layer *source = layer_source(vm, layer->target);
        if (layer->watched && layer->role == WATERMARK_REPLICA && source &&
            source->verdict == WATERMARK_GROW)
            layer_keep_up(core, layer, source);
    }
}

static void act_on_all(struct core *core, struct watched_vm *vm,
                       const struct layer *stopped, int64_t now_ms)
{
    judge_all(core, vm, stopped);
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (!layer->watched)
            continue;
        check_plausible(core, vm, layer, now_ms);
        layer_need(core, vm, layer, layer == stopped, now_ms);
    }
    layers_arm(core, vm, now_ms);
    vm_resume_if_relieved(core, vm);
}

static void take_sight(struct core *core, struct watched_vm *vm,
                       const struct sight *sight, int64_t now_ms)
{
    take_layers(core, vm, sight, now_ms);
    list_for_each (item, &vm->layers) {
        const struct layer *layer = container_of(item, struct layer, link);
        if (is_first_of_disk(vm, layer))
            set_roles(core, vm, layer->target, now_ms);
    }
    act_on_all(core, vm, vm_paused_layer(core, vm, sight, now_ms), now_ms);
    if (!vm->dirty) /* else the alarm may be younger than this look */
        vm->space_alarmed = false;
    begins_check(core, vm, now_ms);
}

void core_seen(struct core *core, const char *uuid, const struct sight *sight,
               int64_t now_ms)
{
    struct watched_vm *vm = vm_find(core, uuid);
    if (!vm)
        return;
    vm->looking = false;
    vm->seen = sight->rc == 0;
    if (vm->seen) {
        take_sight(core, vm, sight, now_ms);
    } else {
        if (sight->err.code == ERR_NO_VM)
            vm_forget(vm);
        begins_fail(core, vm, NULL, &sight->err);
    }
    core_pump(core, now_ms);
}
