/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which VM uses a file, or a file in a directory. The answer decides whether
 * something may be deleted, so doubt counts as use: the live and the
 * persistent definition are looked at, the layers below a disk, and the
 * destination of its mirror.
 *
 * Names are compared as they are and after resolving links. Of a VM that is
 * off libvirt knows the top layer only; the headers tell the rest. A storage
 * that has not answered for long is taken by its names: else it would keep all
 * others from being tidied up. But for the headers of a VM that is off: there
 * is no other way to know, so nothing is deleted until they can be read.
 */
#include "backing.h"
#include "call.h"
#include "ops.h"
#include "place.h"
#include "vms.h"
#include <dray/base/reach.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct wanted {
    struct reach *reach;
    const char *path;    /* as given */
    char real[PATH_MAX]; /* resolved */
    bool hangs;          /* a storage that was asked does not answer */
};

/* Links resolved, as far as the storage answers; of a file that does not exist
 * those of its directory; else the name itself. */
static void resolve(struct wanted *wanted, const char *path,
                    char ret_real[PATH_MAX])
{
    struct reach *reach = wanted->reach;
    int rc = reach_real(reach, path, ret_real);
    wanted->hangs = wanted->hangs || rc == REACH_HANGS;
    if (rc >= 0)
        return;
    char dir[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash && slash != path &&
        str_format(dir, sizeof(dir), "%.*s", (int)(slash - path), path) &&
        reach_real(reach, dir, real) >= 0 &&
        str_format(ret_real, PATH_MAX, "%s%s", real, slash))
        return;
    (void)str_copy(ret_real, PATH_MAX, path); /* cut off: matches nothing */
}

/* xml_layer_fn */
static bool matches(void *arg, const char *path)
{
    struct wanted *wanted = arg;
    if (path_is_within(path, wanted->path) ||
        path_is_within(path, wanted->real))
        return true;
    if (place_is_uri(path) || place_is_uri(wanted->path))
        return false;
    char real[PATH_MAX];
    resolve(wanted, path, real);
    return path_is_within(real, wanted->real);
}

/* 1: it does. @flags: virDomainXMLFlags. */
static int definition_uses(const struct call *call, unsigned flags,
                           struct wanted *wanted)
{
    _cleanup_free_ char *text = NULL;
    int rc = call_xml(call, flags, &text);
    return rc < 0 ? rc : xml_layers(text, matches, wanted, call->err);
}

static int unknown(const struct call *call, const char *path,
                   struct wanted *wanted)
{
    wanted->hangs = true;
    int rc = err_set_code(call->err, ERR_NOT_RESPONDING,
                          "VM %s is off, and the storage of its disk %s does "
                          "not answer: what is below that disk is not known",
                          call->name, path);
    (void)err_next(call->err, "when it answers again, repeat this");
    return rc;
}

/* 1: a layer below one of the disks is it. */
static int headers_use(const struct call *call, struct wanted *wanted)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_free_ struct xml_disk *disks = NULL;
    size_t n = 0;
    int rc = call_xml(call, VIR_DOMAIN_XML_INACTIVE, &text);
    if (rc == 0)
        rc = xml_disks(text, &disks, &n, call->err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        /* What a guest wrote into a raw disk is no header. */
        if (str_equal(disks[i].disk.format, "qcow2"))
            rc = backing_walk(wanted->reach, disks[i].disk.path, matches,
                              wanted);
        if (rc == BACKING_HANGS)
            rc = virDomainIsActive(call->vm) == 1
                     ? 0
                     : unknown(call, disks[i].disk.path, wanted);
    }
    return rc;
}

/* The persistent definition counts while the VM runs as well: by it the next
 * start goes. */
static int vm_uses(const struct call *call, struct wanted *wanted)
{
    int rc = definition_uses(call, 0, wanted);
    if (rc == 0)
        rc = definition_uses(call, VIR_DOMAIN_XML_INACTIVE, wanted);
    if (rc == 0)
        rc = headers_use(call, wanted);
    return rc;
}

/* 1: ret_vm was filled in; also 0 for a VM that has gone meanwhile. */
static int check_vm(const struct call *call, virDomainPtr vm,
                    struct wanted *wanted, struct vm_info *ret_vm)
{
    struct err err = ERR_INIT;
    struct call mine = *call; /* borrows the references */
    mine.vm = vm;
    mine.name = virDomainGetName(vm);
    mine.err = &err;
    int rc = vm_uses(&mine, wanted);
    if (rc > 0) {
        rc = vm_describe(&mine, vm, ret_vm);
        if (rc == 0)
            return 1;
    }
    if (rc < 0 && err.code == ERR_NO_VM)
        return 0;
    if (rc < 0 && call->err)
        *call->err = err;
    return rc;
}

static int look(const struct call *call, struct wanted *wanted,
                struct vm_info *ret_vm)
{
    _cleanup_(vm_handles_put) struct vm_handles handles = { 0 };
    int rc = vm_handles_get(call, &handles);
    wanted->hangs = false;
    resolve(wanted, wanted->path, wanted->real);
    for (size_t i = 0; i < handles.n && rc == 0; i++)
        rc = check_vm(call, handles.vms[i], wanted, ret_vm);
    return rc;
}

int virt_path_user(void *ctx, const char *path, struct vm_info *ret_vm,
                   struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    struct err found;
    struct vm_info user;
    int rc = call_begin(&call, ctx, err);
    if (rc < 0)
        return rc;
    struct wanted wanted = { .reach = connection_reach(ctx), .path = path };
    call.err = &found;
    do {
        found = (struct err)ERR_INIT;
        user = (struct vm_info){ 0 };
        rc = look(&call, &wanted, &user);
    } while (wanted.hangs && reach_settle(wanted.reach));
    if (rc < 0 && err)
        *err = found;
    if (rc < 0)
        return rc;
    *ret_vm = user;
    return 0;
}
