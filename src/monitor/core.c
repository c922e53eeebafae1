/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watch's memory, and when it looks: at all VMs now and then, at one when
 * something happened. A VM in which nothing is watched is polled rarely.
 *
 * Looks that come back quickly are few at once, so that a poll is no storm on
 * libvirtd; one that hangs in its VM does not keep the others from theirs.
 */
#include "core.h"
#include <dray/base/util.h>

enum {
    POLL_MS = 2000,
    QUIET_POLLS = 5, /* of a VM without anything to watch */
    LOOKS_MAX = 8,
    LOOK_HANGS_MS = 1000,
    SOON_MS = 100, /* something waits for the clock */
    PLACE_UNUSED_MS = 60 * 1000,
};

void core_init(struct core *core, const struct monitor_options *options,
               int64_t now_ms)
{
    *core = (struct core){
        .policy = options->policy,
        .poll_ms = options->poll_ms > 0 ? options->poll_ms : POLL_MS,
        .list_ms = now_ms,
    };
    list_init(&core->vms);
    list_init(&core->places);
    list_init(&core->lanes);
    list_init(&core->acts);
}

void act_free(struct act *act)
{
    free(act->path);
    free(act);
}

void layer_free(struct layer *layer)
{
    list_remove(&layer->link);
    free(layer->path);
    free(layer);
}

void place_free(struct place *place)
{
    list_remove(&place->link);
    free(place->path);
    free(place);
}

void vm_forget(struct watched_vm *vm)
{
    list_for_each_safe (item, next, &vm->layers)
        layer_free(container_of(item, struct layer, link));
    vm->paused = vm->seen = false;
}

/* After vm_forget(). */
static void vm_free(struct watched_vm *vm)
{
    list_for_each_safe (item, next, &vm->jobs)
        job_free(container_of(item, struct watch_job, link));
    list_for_each_safe (item, next, &vm->begins) {
        free(container_of(item, struct begin, link)->answer);
        free(container_of(item, struct begin, link));
    }
    list_for_each_safe (item, next, &vm->holds)
        free(container_of(item, struct hold, link));
    list_remove(&vm->link);
    free(vm);
}

void core_deinit(struct core *core)
{
    list_for_each_safe (item, next, &core->acts)
        act_free(container_of(item, struct act, link));
    list_for_each_safe (item, next, &core->vms) {
        struct watched_vm *vm = container_of(item, struct watched_vm, link);
        vm_forget(vm);
        vm_free(vm);
    }
    list_for_each_safe (item, next, &core->places)
        place_free(container_of(item, struct place, link));
    list_for_each_safe (item, next, &core->lanes) {
        list_remove(item);
        free(container_of(item, struct lane, link));
    }
}

struct act *act_new(struct core *core, enum act_kind kind, const char *vm)
{
    struct act *act = calloc(1, sizeof(*act));
    if (!act)
        return NULL;
    act->kind = kind;
    act->err = (struct err)ERR_INIT;
    (void)str_copy(act->vm, sizeof(act->vm), vm);
    list_append(&core->acts, &act->link);
    return act;
}

struct act *core_next_act(struct core *core)
{
    if (list_is_empty(&core->acts))
        return NULL;
    struct list *item = core->acts.next;
    list_remove(item);
    return container_of(item, struct act, link);
}

/* --- looking up --- */

struct watched_vm *vm_find(const struct core *core, const char *uuid)
{
    list_for_each (item, &core->vms) {
        struct watched_vm *vm = container_of(item, struct watched_vm, link);
        if (str_equal(vm->uuid, uuid))
            return vm;
    }
    return NULL;
}

struct watched_vm *vm_get(struct core *core, const char *uuid)
{
    struct watched_vm *vm = vm_find(core, uuid);
    if (vm)
        return vm;
    vm = calloc(1, sizeof(*vm));
    if (!vm)
        return NULL;
    (void)str_copy(vm->uuid, sizeof(vm->uuid), uuid);
    list_init(&vm->layers);
    list_init(&vm->jobs);
    list_init(&vm->begins);
    list_init(&vm->holds);
    vm->skipped = QUIET_POLLS; /* it is looked at with the first poll */
    list_append(&core->vms, &vm->link);
    return vm;
}

struct layer *layer_find(const struct watched_vm *vm, uint64_t id)
{
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (layer->id == id)
            return layer;
    }
    return NULL;
}

struct layer *layer_source(const struct watched_vm *vm, const char *target)
{
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (layer->watched && layer->role == WATERMARK_SOURCE &&
            str_equal(layer->target, target))
            return layer;
    }
    return NULL;
}

struct lane *lane_of(struct core *core, const char *sd)
{
    list_for_each (item, &core->lanes) {
        struct lane *lane = container_of(item, struct lane, link);
        if (str_equal(lane->sd, sd))
            return lane;
    }
    struct lane *lane = calloc(1, sizeof(*lane));
    if (!lane)
        return NULL;
    (void)str_copy(lane->sd, sizeof(lane->sd), sd);
    list_append(&core->lanes, &lane->link);
    return lane;
}

/* --- looking at VMs --- */

void vm_look(struct watched_vm *vm, bool urgent)
{
    vm->dirty = true;
    vm->calm = false;
    vm->urgent = vm->urgent || urgent;
}

static void start_look(struct core *core, struct watched_vm *vm, int64_t now_ms)
{
    if (!act_new(core, ACT_LOOK, vm->uuid))
        return; /* with the next poll */
    vm->looking = true;
    vm->dirty = vm->urgent = false;
    vm->look_ms = now_ms;
    vm->skipped = 0;
    list_for_each (item, &vm->begins)
        container_of(item, struct begin, link)->looked = true;
}

static unsigned n_looking(const struct core *core, int64_t now_ms)
{
    unsigned n = 0;
    list_for_each (item, &core->vms) {
        const struct watched_vm *vm =
            container_of(item, struct watched_vm, link);
        n += vm->looking && now_ms - vm->look_ms < LOOK_HANGS_MS;
    }
    return n;
}

static void start_looks(struct core *core, bool urgent, int64_t now_ms)
{
    unsigned n = n_looking(core, now_ms);
    list_for_each (item, &core->vms) {
        struct watched_vm *vm = container_of(item, struct watched_vm, link);
        if (n >= LOOKS_MAX)
            return;
        if (!vm->dirty || vm->looking || vm_is_calm(vm, now_ms) ||
            (urgent && !vm->urgent))
            continue;
        start_look(core, vm, now_ms);
        n++;
    }
}

static void start_list(struct core *core, int64_t now_ms)
{
    if (core->listing || (!core->list_again && now_ms < core->list_ms) ||
        !act_new(core, ACT_LIST, ""))
        return;
    core->listing = true;
    core->list_again = false;
    core->list_ms = now_ms + core->poll_ms;
}

void core_pump(struct core *core, int64_t now_ms)
{
    start_list(core, now_ms);
    list_for_each (item, &core->vms)
        layers_grow(core, container_of(item, struct watched_vm, link), now_ms);
    start_looks(core, true, now_ms);
    start_looks(core, false, now_ms);
}

static void list_vm(struct core *core, const char *uuid)
{
    struct watched_vm *vm = vm_get(core, uuid);
    if (!vm)
        return; /* the next list has it again */
    vm->active = true;
    if (!vm_is_quiet(vm) || ++vm->skipped >= QUIET_POLLS)
        vm_look(vm, false);
}

/* Who waits gets an answer from a look; a job's record stays until somebody
 * says that it is over. */
static void drop_vm(struct watched_vm *vm)
{
    vm_forget(vm);
    if (!list_is_empty(&vm->begins))
        return;
    vm->dirty = vm->urgent = false;
    if (list_is_empty(&vm->jobs) && list_is_empty(&vm->holds))
        vm_free(vm);
}

static void forget_unused_places(struct core *core, int64_t now_ms)
{
    list_for_each_safe (item, next, &core->places) {
        struct place *place = container_of(item, struct place, link);
        if (!place->asking && now_ms - place->used_ms > PLACE_UNUSED_MS)
            place_free(place);
    }
}

static void take_list(struct core *core, const struct vm_info *vms, size_t n)
{
    list_for_each (item, &core->vms)
        container_of(item, struct watched_vm, link)->active = false;
    for (size_t i = 0; i < n; i++) {
        if (vms[i].state != VM_SHUTOFF)
            list_vm(core, vms[i].uuid);
    }
    list_for_each_safe (item, next, &core->vms) {
        struct watched_vm *vm = container_of(item, struct watched_vm, link);
        if (!vm->active)
            drop_vm(vm);
    }
}

void core_listed(struct core *core, bool ok, const struct vm_info *vms,
                 size_t n, int64_t now_ms)
{
    core->listing = false;
    if (ok) {
        take_list(core, vms, n);
        forget_unused_places(core, now_ms);
    }
    core_pump(core, now_ms);
}

/* --- what happens --- */

static void note_threshold(struct watched_vm *vm, const char *node,
                           int64_t now_ms)
{
    list_for_each (item, &vm->layers) {
        struct layer *layer = container_of(item, struct layer, link);
        if (!str_equal(layer->node, node) || layer->alarmed)
            continue;
        layer->alarmed = true;
        layer->alarm_ms = now_ms;
    }
}

static void note_no_space(struct watched_vm *vm, int64_t now_ms)
{
    if (vm->space_alarmed)
        return;
    vm->space_alarmed = true;
    vm->space_alarm_ms = now_ms;
}

/* Whatever was armed may have fired while nobody listened. */
static void look_at_all(struct core *core)
{
    core->list_again = true;
    list_for_each (item, &core->vms)
        vm_look(container_of(item, struct watched_vm, link), false);
}

void core_alarm(struct core *core, const struct vm_alarm *alarm, int64_t now_ms)
{
    struct watched_vm *vm = alarm->vm[0] ? vm_get(core, alarm->vm) : NULL;
    if (!vm) {
        look_at_all(core);
    } else {
        if (alarm->kind == VM_ALARM_THRESHOLD)
            note_threshold(vm, alarm->node, now_ms);
        if (alarm->kind == VM_ALARM_NO_SPACE)
            note_no_space(vm, now_ms);
        if (alarm->kind == VM_ALARM_CHANGED)
            vm_hint(vm, false, now_ms);
        else
            vm_look(vm, true);
    }
    core_pump(core, now_ms);
}

/* --- time --- */

static bool may_try_again(const struct layer *layer, int64_t now_ms)
{
    return layer->watched && layer->state == LAYER_IDLE &&
           layer->backoff.failures > 0 &&
           watermark_backoff_may_try(&layer->backoff, now_ms);
}

void core_tick(struct core *core, int64_t now_ms)
{
    list_for_each (item, &core->vms) {
        struct watched_vm *vm = container_of(item, struct watched_vm, link);
        list_for_each (other, &vm->layers) {
            if (may_try_again(container_of(other, struct layer, link), now_ms))
                vm_look(vm, true);
        }
        begins_tick(core, vm, now_ms);
    }
    core_pump(core, now_ms);
}

static bool is_waiting(const struct watched_vm *vm)
{
    list_for_each (item, &vm->layers) {
        const struct layer *layer = container_of(item, struct layer, link);
        if (layer->state == LAYER_WAITING || layer->backoff.failures > 0)
            return true;
    }
    return (vm->dirty && !vm->looking) || !list_is_empty(&vm->begins);
}

int64_t core_next_ms(const struct core *core, int64_t now_ms)
{
    list_for_each (item, &core->vms) {
        if (is_waiting(container_of(item, struct watched_vm, link)))
            return now_ms + SOON_MS;
    }
    /* A list that hangs comes to its end by itself. */
    return core->listing || core->list_ms > now_ms + core->poll_ms
               ? now_ms + core->poll_ms
               : core->list_ms;
}
