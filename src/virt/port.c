/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of operations that the use cases see.
 */
#include "port.h"
#include "connection.h"
#include "listeners.h"
#include "ops.h"
#include "place.h"
#include <dray/virt.h>

static void set_hint(void *ctx, hypervisor_hint_fn fn, void *arg)
{
    listeners_set_hint(connection_listeners(ctx), fn, arg);
}

static void set_alarm(void *ctx, hypervisor_alarm_fn fn, void *arg)
{
    listeners_set_alarm(connection_listeners(ctx), fn, arg);
}

static int connected(void *ctx)
{
    return connection_is_up(ctx);
}

static int place(void *ctx, const char *text, char ret_place[PATH_MAX],
                 struct err *err)
{
    (void)ctx;
    int rc = place_normalize(text, ret_place, err);
    if (rc < 0)
        (void)err_default_code(err, ERR_PARAMETER);
    return rc;
}

static const struct hypervisor_ops ops_table = {
    .vm_list = port_vm_list,
    .vm_find = port_vm_find,
    .vm_disk_names = port_vm_disk_names,
    .vm_disks = port_vm_disks,
    .vm_suspend = port_vm_suspend,
    .vm_resume = port_vm_resume,
    .path_user = port_path_user,
    .mirror_start = port_mirror_start,
    .mirror_info = port_mirror_info,
    .mirror_limit = port_mirror_limit,
    .mirror_abort = port_mirror_abort,
    .mirror_pivot = port_mirror_pivot,
    .mirror_failure = virt_mirror_failure,
    .disk_truth = port_disk_truth,
    .disk_persistent = port_disk_persistent,
    .disk_set_persistent = port_disk_set_persistent,
    .set_hint = set_hint,
    .connected = connected,
    .snapshot = port_snapshot,
    .commit_start = port_commit_start,
    .disk_layers = port_disk_layers,
    .disk_io = port_disk_io,
    .place = place,
    .layer_stats = port_layer_stats,
    .threshold_set = port_threshold_set,
    .paused_for_space = port_paused_for_space,
    .set_alarm = set_alarm,
    .vm_definition = port_vm_definition,
    .vm_fits = port_vm_fits,
    .vm_send = port_vm_send,
    .vm_send_info = port_vm_send_info,
    .vm_send_limit = port_vm_send_limit,
    .vm_send_abort = port_vm_send_abort,
    .vm_arrival = port_vm_arrival,
    .vm_drop = port_vm_drop,
};

struct hypervisor_port virt_port(struct virt *virt)
{
    return (struct hypervisor_port){ .ctx = virt, .ops = &ops_table };
}

const char *vm_state_name(enum vm_state state)
{
    switch (state) {
    case VM_SHUTOFF:
        return "shutoff";
    case VM_RUNNING:
        return "running";
    case VM_PAUSED:
        return "paused";
    case VM_OTHER:
        break;
    }
    return "other";
}
