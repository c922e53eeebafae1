/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events of VMs become hints and alarms: that something happened. None is
 * replayed after a reconnect, and a VM that dies sends none for its jobs, so
 * whoever is told looks for himself, and looks anyway from time to time. That
 * is also why a driver that does not offer an event is no error.
 *
 * - A VM that runs out of space sends two events: an I/O error, which has the
 *   cause, and that it is suspended, which comes after it and has none.
 * - A threshold of a leaf that somebody armed as "vda" is told twice, as "vda"
 *   and as "vda[3]"; all others once, by their number.
 * - Why a block job failed is in qemu's own BLOCK_JOB_COMPLETED only.
 *
 * The callbacks run on libvirt's event thread.
 */
#include "events.h"
#include "connection.h"
#include "listeners.h"
#include "reasons.h"
#include <libvirt/libvirt-qemu.h>
#include <string.h>

/* libvirt's signatures are not ours to make const. */
/* NOLINTBEGIN(readability-non-const-parameter) */

/* @node: a disk, one of its layers, or NULL for the VM. */
static void tell(struct virt *virt, virDomainPtr vm, enum vm_alarm_kind kind,
                 const char *node, uint64_t excess)
{
    struct vm_alarm alarm = { .kind = kind, .excess = excess };
    if (virDomainGetUUIDString(vm, alarm.vm) < 0)
        return;
    /* No layer has a name that is cut off. */
    (void)str_copy(alarm.node, sizeof(alarm.node), node ? node : "");
    listeners_tell(connection_listeners(virt), &alarm);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr vm, int event,
                        int detail, void *arg)
{
    (void)conn;
    (void)event;
    (void)detail;
    tell(arg, vm, VM_ALARM_CHANGED, NULL, 0);
    return 0;
}

static void on_block_job(virConnectPtr conn, virDomainPtr vm,
                         const char *target, int type, int status, void *arg)
{
    (void)conn;
    (void)type;
    (void)status;
    tell(arg, vm, VM_ALARM_CHANGED, target, 0);
}

/* Seven parameters are libvirt's choice. */
static void /* NOLINTNEXTLINE(readability-function-size) */
on_io_error(virConnectPtr conn, virDomainPtr vm, const char *path,
            const char *alias, int action, const char *reason, void *arg)
{
    (void)conn;
    (void)path;
    (void)alias;
    (void)action;
    bool no_space = str_equal(reason, "enospc");
    tell(arg, vm, no_space ? VM_ALARM_NO_SPACE : VM_ALARM_CHANGED, NULL, 0);
}

static void /* NOLINTNEXTLINE(readability-function-size) */
on_threshold(virConnectPtr conn, virDomainPtr vm, const char *node,
             const char *path, unsigned long long threshold,
             unsigned long long excess, void *arg)
{
    (void)conn;
    (void)path;
    (void)threshold;
    if (node && strchr(node, '['))
        tell(arg, vm, VM_ALARM_THRESHOLD, node, excess);
}

static void /* NOLINTNEXTLINE(readability-function-size) */
on_job_completed(virConnectPtr conn, virDomainPtr vm, const char *event,
                 long long seconds, unsigned micros, const char *details,
                 void *arg)
{
    (void)conn;
    (void)event;
    (void)seconds;
    (void)micros;
    char uuid[VIR_UUID_STRING_BUFLEN], target[DISK_TARGET_SIZE];
    if (!details || virDomainGetUUIDString(vm, uuid) < 0)
        return;
    bool no_space =
        reasons_note(connection_reasons(arg), uuid, details, target);
    tell(arg, vm, no_space ? VM_ALARM_NO_SPACE : VM_ALARM_CHANGED, target, 0);
}

/* NOLINTEND(readability-non-const-parameter) */

static const struct {
    int id;
    virConnectDomainEventGenericCallback callback;
} subscriptions[EVENTS_N - 1] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE,        VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
    { VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
     VIR_DOMAIN_EVENT_CALLBACK(on_block_job)                                      },
    { VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
     VIR_DOMAIN_EVENT_CALLBACK(on_io_error)                                       },
    { VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD,
     VIR_DOMAIN_EVENT_CALLBACK(on_threshold)                                      },
};

void events_start(struct events *events, virConnectPtr conn, struct virt *virt)
{
    for (int i = 0; i < EVENTS_N - 1; i++)
        events->ids[i] = virConnectDomainEventRegisterAny(
            conn, NULL, subscriptions[i].id, subscriptions[i].callback, virt,
            NULL);
    events->ids[EVENTS_N - 1] = virConnectDomainQemuMonitorEventRegister(
        conn, NULL, "BLOCK_JOB_COMPLETED", on_job_completed, virt, NULL, 0);
}

void events_stop(const struct events *events, virConnectPtr conn)
{
    /* On a dead connection these fail after the callback is gone. */
    for (int i = 0; i < EVENTS_N - 1; i++) {
        if (events->ids[i] >= 0)
            (void)virConnectDomainEventDeregisterAny(conn, events->ids[i]);
    }
    if (events->ids[EVENTS_N - 1] >= 0)
        (void)virConnectDomainQemuMonitorEventDeregister(
            conn, events->ids[EVENTS_N - 1]);
}
