/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The mirror: a copy job that qemu runs and libvirt watches.
 *
 * - It is started at one byte per second and let go afterwards, so that the
 *   caller is back in charge before it flows (up to a buffer full of data is
 *   copied all the same).
 * - That the start succeeded says little: a job may be dead, or ready, before
 *   the call is back.
 * - "Is there a mirror?" is answered by the live XML and by the job: during the
 *   last step of a pivot the job is gone and <mirror> is still there.
 * - The synchronous way to end a mirror holds the VM's lock in libvirt until
 *   the destination has answered, which may be never; so it is always the
 *   asynchronous one, and the caller watches.
 */
#include "call.h"
#include "ops.h"
#include "reasons.h"
#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <sys/stat.h>

enum {
    HELD_BYTES_PER_S = 1,
    /* Of a raw destination. What is dirty is copied in units of this size; with
     * qemu's own choice, 64 KiB, a sparse file that a guest wrote in scattered
     * blocks of 4 KiB takes 16 times the space on the other side. It costs
     * 32 MiB of memory in qemu for 1 TiB and no measurable time. */
    RAW_GRANULARITY = 4096,
    REASON_WAIT_MS = 300, /* for an event that is on its way */
};

static const char *name_of(const struct call *call)
{
    return virDomainGetName(call->vm);
}

/* libvirt's error, with @code where it has no better number. */
static int fail(const struct call *call, enum err_code code, const char *what,
                const char *target)
{
    int rc =
        call_fail(call, "%s of disk %s of VM %s", what, target, name_of(call));
    (void)err_default_code(call->err, code);
    return rc;
}

static int is_block_device(const char *path, bool *ret_block, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        int rc = -errno;
        (void)err_set(err, rc, "mirror's destination %s: %m", path);
        (void)err_default_code(err, ERR_REPLICA);
        return rc;
    }
    *ret_block = S_ISBLK(st.st_mode);
    if (*ret_block || S_ISREG(st.st_mode))
        return 0;
    return err_set_code(err, ERR_REPLICA,
                        "mirror's destination %s: neither a file nor a block "
                        "device",
                        path);
}

/* 1: a copy job runs, 0: none (or another kind of job). */
static int copy_job(const struct call *call, const char *target,
                    virDomainBlockJobInfo *ret_info)
{
    int rc = virDomainGetBlockJobInfo(
        call->vm, target, ret_info, VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES);
    return rc == 1 ? ret_info->type == VIR_DOMAIN_BLOCK_JOB_TYPE_COPY : rc;
}

static int set_speed(const struct call *call, const char *target,
                     uint64_t bytes_per_s)
{
    /* qemu's is signed */
    if (bytes_per_s > INT64_MAX)
        bytes_per_s = INT64_MAX;
    return virDomainBlockJobSetSpeed(
        call->vm, target, bytes_per_s,
        VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES);
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
    bool busy = call_error_number() == VIR_ERR_BLOCK_COPY_ACTIVE;
    int rc =
        fail(call, busy ? ERR_DISK_BUSY : ERR_REPLICA, "mirror", spec->target);
    if (busy)
        (void)err_next(call->err, "wait for the other block job of the disk, "
                                  "or end it");
    return rc;
}

/* The job may be gone by now: then say why, and else take it back, for it
 * would crawl on at a byte per second. */
static int let_go(const struct call *call, const struct vm_mirror_spec *spec)
{
    if (set_speed(call, spec->target, spec->bytes_per_s) == 0)
        return 0;
    int rc = fail(call, ERR_REPLICA, "speed of the mirror", spec->target);
    virDomainBlockJobInfo info;
    if (rc == -ENOTCONN)
        return rc;
    if (copy_job(call, spec->target, &info) != 0) {
        /* The first error is the one to tell. */
        (void)virDomainBlockJobAbort(call->vm, spec->target,
                                     VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC);
        return rc;
    }
    char reason[256];
    virt_mirror_failure(call->virt, spec->vm, spec->target, reason,
                        sizeof(reason));
    err_clear(call->err);
    return err_set_code(call->err, ERR_REPLICA,
                        "mirror of disk %s of VM %s ended at once: %s",
                        spec->target, name_of(call),
                        reason[0] ? reason : "qemu gives no reason");
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
    bool block = false;
    _cleanup_free_ char *xml = NULL;
    rc = is_block_device(spec->path, &block, err);
    if (rc == 0)
        rc = xml_copy_destination(spec->path, block, spec->format, &xml, err);
    if (rc < 0)
        return rc;
    char uuid[UUID_SIZE];
    call_uuid(call.vm, uuid);
    reasons_forget(connection_reasons(ctx), uuid, spec->target);
    rc = start_held(&call, spec, xml);
    return rc < 0 ? rc : let_go(&call, spec);
}

/* 1: a copy job runs. A VM that is off has none, and a disk that it does not
 * have the caller finds out about. */
static int copy_job_if_any(const struct call *call, const char *target,
                           virDomainBlockJobInfo *ret_info)
{
    int runs = copy_job(call, target, ret_info);
    if (runs >= 0)
        return runs;
    bool no_disk = call_error_number() == VIR_ERR_INVALID_ARG;
    int rc = fail(call, ERR_REPLICA, "mirror", target);
    if (rc == -ENOTCONN)
        return rc;
    struct err err = ERR_INIT;
    struct call again = *call; /* borrows the references */
    again.err = &err;
    bool active = false;
    int asked = no_disk ? 0 : call_is_active(&again, &active);
    if (asked == 0 && active)
        return rc;
    err_clear(call->err);
    if (asked < 0 && call->err)
        *call->err = err;
    return asked;
}

int virt_mirror_info(void *ctx, const char *vm, const char *target,
                     struct vm_mirror_info *ret_info, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    virDomainBlockJobInfo job = { 0 };
    int runs = copy_job_if_any(&call, target, &job);
    if (runs < 0)
        return runs;
    struct xml_disk disk;
    rc = call_disk(&call, 0, target, &disk);
    if (rc < 0)
        return rc;
    struct vm_mirror_info info = {
        .job = runs == 1 || disk.phase != MIRROR_NONE,
        .ready = disk.phase == MIRROR_READY,
        .done = runs == 1 ? job.cur : 0,
        .total = runs == 1 ? job.end : 0,
    };
    (void)str_copy(info.disk_path, sizeof(info.disk_path), disk.disk.path);
    (void)str_copy(info.mirror_path, sizeof(info.mirror_path),
                   disk.disk.mirror.path);
    *ret_info = info;
    return 0;
}

int virt_mirror_limit(void *ctx, const char *vm, const char *target,
                      uint64_t bytes_per_s, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    if (set_speed(&call, target, bytes_per_s) < 0)
        return fail(&call, ERR_REPLICA, "speed of the mirror", target);
    return 0;
}

int virt_mirror_abort(void *ctx, const char *vm, const char *target,
                      struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    struct xml_disk disk;
    rc = call_disk(&call, 0, target, &disk);
    if (rc < 0)
        return rc;
    if (disk.phase == MIRROR_ABORTING)
        return 0;
    if (disk.phase == MIRROR_PIVOTING)
        return err_set_code(err, ERR_DISK_BUSY,
                            "mirror of disk %s of VM %s: its pivot is under "
                            "way",
                            target, vm);
    /* Jobs of another kind are not ours to end. */
    virDomainBlockJobInfo job;
    int runs =
        disk.phase == MIRROR_NONE ? copy_job_if_any(&call, target, &job) : 1;
    if (runs <= 0)
        return runs;
    if (virDomainBlockJobAbort(call.vm, target,
                               VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC) == 0)
        return 0;
    rc = fail(&call, ERR_REPLICA, "end of the mirror", target);
    /* It may have ended by itself between our question and our call. */
    struct err ignored = ERR_INIT;
    call.err = &ignored;
    if (call_disk(&call, 0, target, &disk) < 0 ||
        (disk.phase != MIRROR_NONE && disk.phase != MIRROR_ABORTING))
        return rc;
    err_clear(err);
    return 0;
}

static int not_ready(const struct call *call, const char *target)
{
    int rc = err_set_code(call->err, ERR_NOT_READY,
                          "mirror of disk %s of VM %s: not converged yet",
                          target, name_of(call));
    (void)err_next(call->err, "try again when it is ready");
    return rc;
}

static int pivot(const struct call *call, const char *target)
{
    if (virDomainBlockJobAbort(call->vm, target,
                               VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT |
                                   VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC) == 0)
        return 0;
    if (call_error_number() == VIR_ERR_BLOCK_COPY_ACTIVE)
        return not_ready(call, target);
    return fail(call, ERR_CHANGE_DISK, "pivot", target);
}

int virt_mirror_pivot(void *ctx, const char *vm, const char *target,
                      struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    struct xml_disk disk;
    rc = call_disk(&call, 0, target, &disk);
    if (rc < 0)
        return rc;
    switch (disk.phase) {
    case MIRROR_READY:
        return pivot(&call, target);
    case MIRROR_PIVOTING:
        return 0; /* asked for already */
    case MIRROR_COPYING:
        return not_ready(&call, target);
    default:
        return err_set_code(
            err, ERR_CHANGE_DISK, "pivot of disk %s of VM %s: %s", target,
            name_of(&call),
            disk.phase == MIRROR_ABORTING ? "its mirror is being ended"
                                          : "it has no mirror");
    }
}

void virt_mirror_failure(void *ctx, const char *vm, const char *target,
                         char *ret_text, size_t size)
{
    reasons_get(connection_reasons(ctx), vm, target, REASON_WAIT_MS, ret_text,
                size);
}
