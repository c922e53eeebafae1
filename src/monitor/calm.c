/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Several hints, one look. A VM is asked one thing at a time, so a job on its
 * disk would wait for a look after each of its own steps. Of a VM in which
 * nothing was watched when it was seen last, a look can wait for a moment: what
 * could make it interesting is a block job that fills an LV, and who begins one
 * says so, or it is somebody else's, who has not asked for us at all.
 */
#include "core.h"

enum {
    CALM_MS = 250,
};

bool vm_is_quiet(const struct watched_vm *vm)
{
    list_for_each (item, &vm->layers) {
        const struct layer *layer = container_of(item, struct layer, link);
        if (layer->watched || layer->unknown)
            return false;
    }
    return list_is_empty(&vm->jobs) && !vm->paused;
}

static bool may_wait(const struct watched_vm *vm)
{
    return vm->seen && vm_is_quiet(vm) && list_is_empty(&vm->begins);
}

void vm_hint(struct watched_vm *vm, bool urgent, int64_t now_ms)
{
    if (!may_wait(vm)) {
        vm_look(vm, urgent);
    } else if (!vm->dirty) {
        vm_look(vm, false);
        vm->calm = true;
        vm->calm_ms = now_ms;
    }
}

bool vm_is_calm(const struct watched_vm *vm, int64_t now_ms)
{
    return vm->calm && now_ms - vm->calm_ms < CALM_MS;
}
