/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Starting a mirror: a copy job that qemu runs and libvirt watches.
 *
 * - It is started at one byte per second and let go afterwards, so that the
 *   caller is back in charge before it flows (up to a buffer full of data is
 *   copied all the same).
 * - That the start succeeded says little: a job may be dead, or ready, before
 *   the call is back.
 */
#include "blockjob.h"
#include "call.h"
#include "ops.h"
#include "place.h"
#include "reasons.h"
#include "truth.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    HELD_BYTES_PER_S = 1,
    /* Of a raw destination. What is dirty is copied in units of this size; with
     * qemu's own choice, 64 KiB, a sparse file that a guest wrote in scattered
     * blocks of 4 KiB takes 16 times the space on the other side. It costs
     * 32 MiB of memory in qemu for 1 TiB and no measurable time. */
    RAW_GRANULARITY = 4096,
};

/* What qemu is to make of the destination. Of a larger block device it would
 * otherwise mirror all, or refuse. */
static int look_at_destination(const struct vm_mirror_spec *spec,
                               struct xml_source *source, struct err *err)
{
    struct stat st;
    _cleanup_close_ int fd = open(source->path, O_RDONLY | O_CLOEXEC);
    off_t size = 0;
    if (fd < 0 || fstat(fd, &st) < 0 || (size = lseek(fd, 0, SEEK_END)) < 0)
        return err_set(err, -errno, "mirror's destination %s: %m",
                       source->path);
    source->is_block = S_ISBLK(st.st_mode);
    if (!source->is_block && !S_ISREG(st.st_mode))
        return err_set(err, -EINVAL,
                       "mirror's destination %s: neither a file nor a block "
                       "device",
                       source->path);
    if (source->is_block && str_equal(spec->format, "raw") &&
        spec->capacity < (uint64_t)size)
        source->slice = spec->capacity;
    return 0;
}

/* The caller frees *ret_xml. */
static int destination(const struct vm_mirror_spec *spec, char **ret_xml,
                       struct err *err)
{
    char path[PATH_MAX];
    struct xml_source source = { .path = path, .format = spec->format };
    int rc = place_normalize(spec->path, path, err);
    /* libvirt does not look for a backing file there, and the pivot would
     * drop the data below the leaf. */
    if (rc == 0 && place_is_uri(path) && spec->shallow)
        rc = err_set(err, -EOPNOTSUPP,
                     "mirror's destination %s: what is on the network cannot "
                     "have a backing chain",
                     path);
    if (rc == 0 && !place_is_uri(path))
        rc = look_at_destination(spec, &source, err);
    if (rc == 0)
        rc = xml_copy_destination(&source, ret_xml, err);
    return rc;
}

static void add_param(virTypedParameter *param, const char *name, int type)
{
    memset(param, 0, sizeof(*param));
    (void)str_copy(param->field, sizeof(param->field), name);
    param->type = type;
}

static int mirror_params(const struct vm_mirror_spec *spec,
                         virTypedParameter ret_params[3])
{
    int n = 0;

    add_param(&ret_params[n], VIR_DOMAIN_BLOCK_COPY_BANDWIDTH,
              VIR_TYPED_PARAM_ULLONG);
    ret_params[n++].value.ul = HELD_BYTES_PER_S;
    if (spec->buffer_bytes) {
        add_param(&ret_params[n], VIR_DOMAIN_BLOCK_COPY_BUF_SIZE,
                  VIR_TYPED_PARAM_ULLONG);
        ret_params[n++].value.ul = spec->buffer_bytes;
    }
    if (strcmp(spec->format, "raw") == 0) {
        add_param(&ret_params[n], VIR_DOMAIN_BLOCK_COPY_GRANULARITY,
                  VIR_TYPED_PARAM_UINT);
        ret_params[n++].value.ui = RAW_GRANULARITY;
    }
    return n;
}

static int start_held(const struct call *call,
                      const struct vm_mirror_spec *spec, const char *xml)
{
    virTypedParameter params[3];
    int n = mirror_params(spec, params);
    unsigned flags =
        VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB;
    if (spec->shallow)
        flags |= VIR_DOMAIN_BLOCK_COPY_SHALLOW;
    if (virDomainBlockCopy(call->vm, spec->target, xml, params, n, flags) == 0)
        return 0;
    return blockjob_fail(call, ERR_REPLICA, "mirror", spec->target);
}

/* The job may be gone by now: then say why, and else take it back, for it
 * would crawl on at a byte per second. */
static int let_go(const struct call *call, const struct vm_mirror_spec *spec)
{
    if (blockjob_set_speed(call, spec->target, spec->bytes_per_s) == 0)
        return 0;
    int rc =
        call_fail_disk(call, ERR_REPLICA, "speed of the mirror", spec->target);
    virDomainBlockJobInfo info;
    if (rc == -ENOTCONN)
        return rc;
    int kind = blockjob_running(call, spec->target, &info);
    if (kind < 0 || kind == VM_JOB_COPY) {
        /* The first error is the one to tell. */
        (void)virDomainBlockJobAbort(call->vm, spec->target,
                                     VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC);
        return rc;
    }
    char reason[256];
    virt_mirror_failure(call->virt, spec->vm, spec->target, reason,
                        sizeof(reason));
    err_clear(call->err);
    return err_set_code(
        call->err, ERR_REPLICA, "mirror of disk %s of VM %s ended at once: %s",
        spec->target, call->name, reason[0] ? reason : "qemu gives no reason");
}

static int check_source(const struct call *call,
                        const struct vm_mirror_spec *spec,
                        const struct vm_disk *disk)
{
    char from[PATH_MAX];
    int rc = spec->from[0] ? place_normalize(spec->from, from, call->err) : 0;
    if (rc < 0 || !spec->from[0] || str_equal(from, disk->path))
        return rc;
    return err_set_code(call->err, ERR_CHANGE_DISK,
                        "disk %s of VM %s is on %s, not on %s", spec->target,
                        call->name, disk->path, from);
}

int virt_mirror_start(void *ctx, const struct vm_mirror_spec *spec,
                      struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, spec->vm, err);
    if (rc < 0)
        return rc;
    struct xml_disk disk;
    rc = call_disk(&call, 0, spec->target, &disk);
    if (rc < 0)
        return rc;
    _cleanup_free_ char *xml = NULL;
    rc = destination(spec, &xml, err);
    if (rc == 0)
        rc = truth_check(&call, &disk.disk);
    if (rc == 0)
        rc = check_source(&call, spec, &disk.disk);
    if (rc < 0)
        return err_default_code(err, ERR_REPLICA);
    char uuid[UUID_SIZE];
    call_uuid(call.vm, uuid);
    reasons_forget(connection_reasons(ctx), uuid, spec->target);
    rc = start_held(&call, spec, xml);
    return rc < 0 ? rc : let_go(&call, spec);
}
