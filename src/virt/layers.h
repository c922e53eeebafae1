/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Statistics of layers as libvirt hands them out. Pure.
 */
#ifndef DRAY_VIRT_LAYERS_H
#define DRAY_VIRT_LAYERS_H

#include <dray/ports/hypervisor.h>
#include <libvirt/libvirt.h>
#include <stddef.h>

enum {
    LAYERS_SILENT = 1,  /* qemu was not asked: somebody else's call is */
    LAYERS_CHANGED = 2, /* they are of other layers than these */
};

/* Adds to each layer what "block.N.*" says about it. 0 or an outcome. */
int layers_add_stats(struct vm_layer *layers, size_t n,
                     virTypedParameterPtr params, int n_params);

#endif
