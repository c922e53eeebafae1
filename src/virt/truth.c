/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which file a disk is, by the three who say so: libvirt's live XML, the
 * persistent XML that the next start will use, and qemu itself. They agree,
 * except when libvirtd died at the wrong moment of a pivot; then qemu is right.
 */
#include "call.h"
#include "graph.h"
#include "ops.h"
#include <errno.h>
#include <libvirt/libvirt-qemu.h>
#include <sys/stat.h>

static int ask_qemu(const struct call *call, const char *question,
                    char **ret_answer)
{
    if (virDomainQemuMonitorCommand(call->vm, question, ret_answer,
                                    VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT))
        return call_fail(call, "qemu's monitor of VM %s",
                         virDomainGetName(call->vm));
    return 0;
}

static int qemu_path(const struct call *call, const struct vm_disk *disk,
                     char ret_path[PATH_MAX])
{
    _cleanup_free_ char *blocks = NULL, *nodes = NULL;
    int rc = ask_qemu(call, "{\"execute\":\"query-block\"}", &blocks);
    if (rc == 0)
        rc = graph_disk_path(blocks, NULL, disk->alias, ret_path, call->err);
    if (rc == GRAPH_NEED_NODES) {
        /* flat: without the chain of each node in each node */
        rc = ask_qemu(call,
                      "{\"execute\":\"query-named-block-nodes\","
                      "\"arguments\":{\"flat\":true}}",
                      &nodes);
        if (rc == 0)
            rc = graph_disk_path(blocks, nodes, disk->alias, ret_path,
                                 call->err);
    }
    if (rc == GRAPH_NO_DISK)
        return err_set_code(
            call->err, ERR_NO_DISK, "qemu of VM %s has no device %s (disk %s)",
            virDomainGetName(call->vm), disk->alias, disk->target);
    return rc;
}

static int live_paths(const struct call *call, const char *target,
                      struct vm_disk_truth *truth)
{
    struct xml_disk disk;
    int rc = call_disk(call, 0, target, &disk);
    if (rc < 0)
        return rc;
    (void)str_copy(truth->xml_path, sizeof(truth->xml_path), disk.disk.path);
    return qemu_path(call, &disk.disk, truth->qemu_path);
}

/* A disk that is in the live XML only is as good as one of a VM that is not
 * persistent. */
static int persistent_path(const struct call *call, const char *target,
                           struct vm_disk_truth *truth)
{
    struct err err = ERR_INIT;
    struct call quiet = *call; /* borrows the references */
    quiet.err = &err;
    struct xml_disk disk;
    int rc = call_disk(&quiet, VIR_DOMAIN_XML_INACTIVE, target, &disk);
    if (rc < 0 && err.code == ERR_NO_DISK)
        return 0;
    if (rc < 0) {
        if (call->err)
            *call->err = err;
        return rc;
    }
    (void)str_copy(truth->persistent_path, sizeof(truth->persistent_path),
                   disk.disk.path);
    return 0;
}

int virt_disk_truth(void *ctx, const char *vm, const char *target,
                    struct vm_disk_truth *ret_truth, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    struct vm_disk_truth truth = { 0 };
    bool active = false, persistent = false;
    rc = call_is_active(&call, &active);
    if (rc == 0)
        rc = call_is_persistent(&call, &persistent);
    if (rc == 0 && active)
        rc = live_paths(&call, target, &truth);
    if (rc == 0 && persistent)
        rc = persistent_path(&call, target, &truth);
    if (rc < 0)
        return rc;
    if (!active && !truth.persistent_path[0]) {
        struct xml_disk disk; /* ERR_NO_DISK, unless it has no medium */
        rc = call_disk(&call, VIR_DOMAIN_XML_INACTIVE, target, &disk);
        if (rc < 0)
            return rc;
    }
    *ret_truth = truth;
    return 0;
}

static int define(const struct call *call, const char *xml)
{
    virDomainPtr vm = virDomainDefineXML(call->conn, xml);
    if (!vm) {
        int rc =
            call_fail(call, "definition of VM %s", virDomainGetName(call->vm));
        (void)err_default_code(call->err, ERR_CHANGE_DISK);
        return rc;
    }
    (void)virDomainFree(vm); /* drops a reference */
    return 0;
}

int virt_disk_set_persistent(void *ctx, const char *vm, const char *target,
                             const char *path, const char *format,
                             struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    bool persistent = false;
    rc = call_is_persistent(&call, &persistent);
    /* Defining it would make it persistent. */
    if (rc < 0 || !persistent)
        return rc;
    struct stat st;
    if (stat(path, &st) < 0)
        return err_set(err, -errno, "new source %s: %m", path);
    const struct xml_source source = {
        .path = path,
        .format = format,
        .is_block = S_ISBLK(st.st_mode),
    };
    /* Secure: with the passwords in it, for it is defined again. */
    _cleanup_free_ char *old = NULL, *fresh = NULL;
    rc = call_xml(&call, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, &old);
    if (rc == 0)
        rc = xml_set_source(old, target, &source, &fresh, err);
    if (rc == 0)
        rc = define(&call, fresh);
    /* Neither needs a change: it names this source, or not this disk. */
    return rc == XML_UNCHANGED || rc == XML_NO_DISK ? 0 : rc;
}
