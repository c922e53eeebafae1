/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Snapshots of disks: each gets a new leaf that is there already. qemu does all
 * of them in one transaction, and libvirt keeps no record of it.
 *
 * A disk that is on its overlay by now (an earlier call did it, and nobody
 * heard of that) is left out; so the call may be repeated.
 */
#include "call.h"
#include "ops.h"
#include "place.h"
#include "truth.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The overlays of the call, in the XML's order: one entry for each disk of the
 * VM. */
struct plan {
    struct xml_disk *disks;
    struct xml_overlay *entries;
    char (*paths)[PATH_MAX]; /* of each entry that takes part */
    size_t n;
    size_t wanted; /* entries that take part */
};

static void plan_deinit(struct plan *plan)
{
    free(plan->disks);
    free(plan->entries);
    free(plan->paths);
}

static int plan_init(struct plan *plan, const struct call *call)
{
    _cleanup_free_ char *text = NULL;
    int rc = call_xml(call, 0, &text);
    if (rc == 0)
        rc = xml_disks(text, &plan->disks, &plan->n, call->err);
    if (rc < 0)
        return rc;
    plan->entries = calloc(plan->n + 1, sizeof(*plan->entries));
    plan->paths = calloc(plan->n + 1, sizeof(*plan->paths));
    if (!plan->entries || !plan->paths)
        return err_set(call->err, -ENOMEM, "snapshot: out of memory");
    for (size_t i = 0; i < plan->n; i++)
        plan->entries[i].target = plan->disks[i].disk.target;
    return 0;
}

static int is_block_device(const char *path, bool *ret_block, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_set(err, -errno, "overlay %s: %m", path);
    *ret_block = S_ISBLK(st.st_mode);
    return 0;
}

static int plan_add(struct plan *plan, const struct call *call,
                    const struct vm_overlay *overlay)
{
    size_t i = 0;
    while (i < plan->n &&
           !str_equal(plan->disks[i].disk.target, overlay->target))
        i++;
    if (i == plan->n)
        return err_set(call->err, -ENOENT, "VM %s has no disk %s", call->name,
                       overlay->target);
    struct xml_source source = { .path = plan->paths[i], .format = "qcow2" };
    int rc = place_normalize(overlay->path, plan->paths[i], call->err);
    if (rc < 0 || str_equal(plan->disks[i].disk.path, source.path))
        return rc;
    if (!place_is_uri(source.path))
        rc = is_block_device(source.path, &source.is_block, call->err);
    if (rc < 0)
        return rc;
    plan->entries[i].source = source;
    plan->wanted++;
    return 0;
}

static int make_plan(struct plan *plan, const struct call *call,
                     const struct vm_overlay *overlays, size_t n)
{
    bool active = false;
    int rc = call_is_active(call, &active);
    if (rc == 0 && !active)
        rc = err_set(call->err, -ENOENT, "VM %s is not running", call->name);
    if (rc == 0)
        rc = plan_init(plan, call);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = plan_add(plan, call, &overlays[i]);
    return rc;
}

static int take(const struct call *call, const char *xml, bool quiesce)
{
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                     VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
                     VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC |
                     VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT;
    if (quiesce)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE;
    virDomainSnapshotPtr snapshot =
        virDomainSnapshotCreateXML(call->vm, xml, flags);
    if (!snapshot)
        return call_fail(call, "disks of VM %s", call->name);
    (void)virDomainSnapshotFree(snapshot); /* drops a reference */
    return 0;
}

static int carry_out(const struct plan *plan, const struct call *call,
                     bool quiesce)
{
    _cleanup_free_ char *xml = NULL;
    int rc = xml_snapshot(plan->entries, plan->n, &xml, call->err);
    for (size_t i = 0; i < plan->n && rc == 0; i++)
        rc = plan->entries[i].source.path
                 ? truth_check(call, &plan->disks[i].disk)
                 : 0;
    return rc < 0 ? rc : take(call, xml, quiesce);
}

static int snapshot(const struct call *call, const struct vm_overlay *overlays,
                    size_t n, bool quiesce)
{
    struct plan plan = { 0 };
    int rc = make_plan(&plan, call, overlays, n);
    if (rc == 0 && plan.wanted > 0)
        rc = carry_out(&plan, call, quiesce);
    plan_deinit(&plan);
    return rc;
}

int virt_snapshot(void *ctx, const char *vm, const struct vm_overlay *overlays,
                  size_t n, bool quiesce, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    rc = snapshot(&call, overlays, n, quiesce);
    if (rc == 0)
        return 0;
    (void)err_default_code(err, ERR_SNAPSHOT);
    (void)err_wrap(err, "snapshot");
    if (quiesce)
        (void)err_next(err, "does the guest's agent answer? without quiesce "
                            "the snapshot is as after a power cut");
    return rc;
}
