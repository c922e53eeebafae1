/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which place a disk is, by the three who say so: libvirt's live XML, the
 * persistent XML that the next start will use, and qemu itself. They agree,
 * except when libvirtd died at the wrong moment of a pivot; then qemu is right.
 */
#include "truth.h"
#include "call.h"
#include "graph.h"
#include "ops.h"
#include "place.h"
#include <errno.h>
#include <sys/stat.h>

/* flat: without the chain of each node in each node */
static const char query_blocks[] = "{\"execute\":\"query-block\"}";
static const char query_nodes[] = "{\"execute\":\"query-named-block-nodes\","
                                  "\"arguments\":{\"flat\":true}}";

/* Reads qemu's answers. @nodes is NULL as long as they are not asked for. */
typedef int (*read_fn)(const char *blocks, const char *nodes, const char *alias,
                       void *ret_result, struct err *err);

static int read_path(const char *blocks, const char *nodes, const char *alias,
                     void *ret_result, struct err *err)
{
    return graph_disk_path(blocks, nodes, alias, ret_result, err);
}

static int read_layers(const char *blocks, const char *nodes, const char *alias,
                       void *ret_result, struct err *err)
{
    return graph_disk_layers(blocks, nodes, alias, ret_result, err);
}

static int ask_qemu(const struct call *call, const struct vm_disk *disk,
                    read_fn read, void *ret_result)
{
    _cleanup_free_ char *blocks = NULL, *nodes = NULL;
    int rc = call_monitor(call, query_blocks, &blocks);
    if (rc == 0)
        rc = read(blocks, NULL, disk->alias, ret_result, call->err);
    if (rc == GRAPH_NEED_NODES) {
        rc = call_monitor(call, query_nodes, &nodes);
        if (rc == 0)
            rc = read(blocks, nodes, disk->alias, ret_result, call->err);
    }
    if (rc == GRAPH_NO_DISK)
        return err_set_code(call->err, ERR_NO_DISK,
                            "qemu of VM %s has no device %s (disk %s)",
                            call->name, disk->alias, disk->target);
    return rc;
}

/* Not all of libvirt's network disks have a spelling that we can compare. */
static bool is_comparable(const char *path)
{
    return path[0] == '/' || str_starts_with(path, "nbd");
}

/* A libvirtd that died at the wrong moment of a snapshot or a pivot believes in
 * the old leaf after its restart, and would copy or commit that stale one
 * without a word. */
int truth_check(const struct call *call, const struct vm_disk *disk)
{
    char path[PATH_MAX] = "";
    if (!is_comparable(disk->path))
        return 0;
    int rc = ask_qemu(call, disk, read_path, path);
    if (rc < 0 || !is_comparable(path) || str_equal(path, disk->path))
        return rc;
    rc = err_set(call->err, -EUCLEAN,
                 "disk %s of VM %s: libvirt takes %s for its file, but qemu "
                 "writes to %s",
                 disk->target, call->name, disk->path, path);
    (void)err_next(call->err, "libvirtd died while it changed the disk: shut "
                              "the VM down, see that its definition names the "
                              "file that qemu writes to, and start it");
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
    return ask_qemu(call, &disk.disk, read_path, truth->qemu_path);
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
                    bool persistent, struct vm_disk_truth *ret_truth,
                    struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    struct vm_disk_truth truth = { 0 };
    bool defined = false;
    rc = call_state(&call, &truth.state);
    bool active = truth.state != VM_SHUTOFF;
    if (rc == 0 && (persistent || !active))
        rc = call_is_persistent(&call, &defined);
    if (rc == 0 && active)
        rc = live_paths(&call, target, &truth);
    if (rc == 0 && defined)
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

int virt_disk_persistent(void *ctx, const char *vm, const char *target,
                         char ret_path[PATH_MAX], struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    struct vm_disk_truth truth = { .persistent_path = "" };
    bool defined = false;
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc == 0)
        rc = call_is_persistent(&call, &defined);
    if (rc == 0 && defined)
        rc = persistent_path(&call, target, &truth);
    if (rc == 0)
        (void)str_copy(ret_path, PATH_MAX, truth.persistent_path);
    return rc;
}

int virt_disk_layers(void *ctx, const char *vm, const char *target,
                     struct vm_layers *ret_layers, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    struct vm_layers layers = { 0 };
    struct xml_disk disk;
    enum vm_state state = VM_SHUTOFF;
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc == 0)
        rc = call_state(&call, &state);
    bool active = state != VM_SHUTOFF;
    if (rc == 0 && active)
        rc = call_disk(&call, 0, target, &disk);
    if (rc == 0 && active)
        rc = ask_qemu(&call, &disk.disk, read_layers, &layers);
    layers.state = state;
    if (rc == 0)
        *ret_layers = layers;
    return rc;
}

static int define(const struct call *call, const char *xml)
{
    virDomainPtr vm = virDomainDefineXML(call->conn, xml);
    if (!vm) {
        int rc = call_fail(call, "definition of VM %s", call->name);
        (void)err_default_code(call->err, ERR_CHANGE_DISK);
        return rc;
    }
    (void)virDomainFree(vm); /* drops a reference */
    return 0;
}

/* A block device of which the running VM uses a part is defined with that
 * part, else the disk would have grown at the next start. */
static void keep_slice(const struct call *call, const char *target,
                       struct xml_source *source)
{
    struct err ignored = ERR_INIT;
    struct call quiet = *call; /* borrows the references */
    struct xml_disk disk;
    quiet.err = &ignored;
    if (call_disk(&quiet, 0, target, &disk) == 0 &&
        str_equal(disk.disk.path, source->path))
        source->slice = disk.slice;
}

static int new_source(const struct call *call, const char *target,
                      struct xml_source *source)
{
    struct stat st;
    if (place_is_uri(source->path))
        return 0;
    if (stat(source->path, &st) < 0)
        return err_set(call->err, -errno, "new source %s: %m", source->path);
    source->is_block = S_ISBLK(st.st_mode);
    if (source->is_block)
        keep_slice(call, target, source);
    return 0;
}

int virt_disk_set_persistent(void *ctx, const char *vm, const char *target,
                             const char *path, const char *format,
                             struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    char place[PATH_MAX];
    struct xml_source source = { .path = place, .format = format };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    bool persistent = false;
    rc = call_is_persistent(&call, &persistent);
    /* Defining it would make it persistent. */
    if (rc < 0 || !persistent)
        return rc;
    rc = place_normalize(path, place, err);
    if (rc == 0)
        rc = new_source(&call, target, &source);
    /* Secure: with the passwords in it, for it is defined again. */
    _cleanup_free_ char *old = NULL, *fresh = NULL;
    if (rc == 0)
        rc = call_xml(&call, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE,
                      &old);
    if (rc == 0)
        rc = xml_set_source(old, target, &source, &fresh, err);
    if (rc == 0)
        rc = define(&call, fresh);
    /* Neither needs a change: it names this source, or not this disk. */
    return rc == XML_UNCHANGED || rc == XML_NO_DISK ? 0 : rc;
}
