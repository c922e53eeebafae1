/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events of VMs become hints: that something happened, never what. None is
 * replayed after a reconnect, and a VM that dies sends none for its jobs, so
 * whoever gets a hint looks for himself, and looks anyway from time to time.
 * That is also why a driver that does not offer an event is no error.
 *
 * The one event that carries something is qemu's BLOCK_JOB_COMPLETED: why a
 * block job failed is said nowhere else.
 *
 * The callbacks run on libvirt's event thread.
 */
#include "events.h"
#include "connection.h"
#include "reasons.h"
#include <libvirt/libvirt-qemu.h>

/* libvirt's signatures are not ours to make const. */
/* NOLINTBEGIN(readability-non-const-parameter) */

static void hint(virDomainPtr vm, struct virt *virt)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString(vm, uuid) == 0)
        connection_hint(virt, uuid);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr vm, int event,
                        int detail, void *arg)
{
    (void)conn;
    (void)event;
    (void)detail;
    hint(vm, arg);
    return 0;
}

static void on_block_job(virConnectPtr conn, virDomainPtr vm,
                         const char *target, int type, int status, void *arg)
{
    (void)conn;
    (void)target;
    (void)type;
    (void)status;
    hint(vm, arg);
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
    (void)reason;
    hint(vm, arg);
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
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (!details || virDomainGetUUIDString(vm, uuid) < 0)
        return;
    reasons_note(connection_reasons(arg), uuid, details);
    connection_hint(arg, uuid);
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
