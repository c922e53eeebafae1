/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Watching and ending a block job: a mirror (copy), or a commit of the leaf or
 * of a layer below it. All end alike, so all are handled alike; jobs of other
 * kinds are somebody else's and are seen but not touched.
 *
 * - "Is there a mirror?" is answered by the live XML and by the job: during the
 *   last step of a pivot the job is gone and <mirror> is still there. The
 *   commit of a layer below the leaf has no <mirror>.
 * - The synchronous way to end a job holds the VM's lock in libvirt until the
 *   destination has answered, which may be never; so it is always the
 *   asynchronous one, and the caller watches.
 */
#include "blockjob.h"
#include "call.h"
#include "commit.h"
#include "ops.h"
#include "reasons.h"
#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>

enum {
    REASON_WAIT_MS = 300, /* for an event that is on its way */
};

/* What the disk and its job are like now. */
struct look {
    struct xml_disk disk;
    enum vm_job_kind kind;
    virDomainBlockJobInfo job; /* zero when it is known from the XML only */
};

static enum vm_job_kind kind_of(int type)
{
    switch (type) {
    case VIR_DOMAIN_BLOCK_JOB_TYPE_COPY:
        return VM_JOB_COPY;
    case VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT:
        return VM_JOB_COMMIT;
    case VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT:
        return VM_JOB_ACTIVE_COMMIT;
    default:
        return VM_JOB_OTHER;
    }
}

static const char *noun_of(enum vm_job_kind kind)
{
    return kind == VM_JOB_COPY ? "mirror" : "commit";
}

static enum err_code code_of(enum vm_job_kind kind)
{
    return kind == VM_JOB_COPY ? ERR_REPLICA : ERR_MERGE;
}

int blockjob_running(const struct call *call, const char *target,
                     virDomainBlockJobInfo *ret_info)
{
    int rc = virDomainGetBlockJobInfo(
        call->vm, target, ret_info, VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES);
    if (rc == 1)
        return (int)kind_of(ret_info->type);
    memset(ret_info, 0, sizeof(*ret_info));
    return rc < 0 ? -1 : (int)VM_JOB_NONE;
}

/* libvirt has a number for jobs with a <mirror> only. */
int blockjob_fail(const struct call *call, enum err_code code, const char *what,
                  const char *target)
{
    virDomainBlockJobInfo ignored;
    int number = call_error_number();
    int rc = call_fail_disk(call, ERR_GENERAL, what, target);
    bool busy = number == VIR_ERR_BLOCK_COPY_ACTIVE ||
                (number == VIR_ERR_OPERATION_UNSUPPORTED &&
                 blockjob_running(call, target, &ignored) > 0);
    (void)err_default_code(call->err, busy ? ERR_DISK_BUSY : code);
    if (busy)
        (void)err_next(call->err, "wait for the other block job of the disk, "
                                  "or end it");
    return rc;
}

uint64_t blockjob_speed(uint64_t bytes_per_s)
{
    return bytes_per_s > INT64_MAX ? INT64_MAX : bytes_per_s;
}

int blockjob_set_speed(const struct call *call, const char *target,
                       uint64_t bytes_per_s)
{
    return virDomainBlockJobSetSpeed(
        call->vm, target, blockjob_speed(bytes_per_s),
        VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES);
}

/* The kind of the job. A VM that is off has none, and a disk that it does not
 * have the caller finds out about. */
static int running_if_any(const struct call *call, const char *target,
                          virDomainBlockJobInfo *ret_info)
{
    int kind = blockjob_running(call, target, ret_info);
    if (kind >= 0)
        return kind;
    bool no_disk = call_error_number() == VIR_ERR_INVALID_ARG;
    int rc = call_fail_disk(call, ERR_REPLICA, "block job", target);
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
    return asked < 0 ? asked : (int)VM_JOB_NONE;
}

static int look_at(const struct call *call, const char *target,
                   struct look *ret_look)
{
    int kind = running_if_any(call, target, &ret_look->job);
    if (kind < 0)
        return kind;
    int rc = call_disk(call, 0, target, &ret_look->disk);
    if (rc < 0)
        return rc;
    ret_look->kind = ret_look->disk.kind != VM_JOB_NONE
                         ? ret_look->disk.kind
                         : (enum vm_job_kind)kind;
    return 0;
}

int virt_mirror_info(void *ctx, const char *vm, const char *target,
                     struct vm_mirror_info *ret_info, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    struct look look = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc == 0)
        rc = look_at(&call, target, &look);
    if (rc < 0)
        return rc;
    struct vm_mirror_info info = {
        .job = look.kind == VM_JOB_COPY,
        .kind = look.kind,
        .ready = look.disk.phase == MIRROR_READY,
        .done = look.job.cur,
        .total = look.job.end,
    };
    (void)str_copy(info.disk_path, sizeof(info.disk_path), look.disk.disk.path);
    (void)str_copy(info.mirror_path, sizeof(info.mirror_path),
                   look.disk.mirror_path);
    if (look.kind == VM_JOB_COMMIT) {
        rc = commit_base_path(&call, target, info.mirror_path);
        if (rc < 0)
            return rc;
    }
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
    if (blockjob_set_speed(&call, target, bytes_per_s) < 0)
        return call_fail_disk(&call, ERR_REPLICA, "speed of the block job",
                              target);
    return 0;
}

static bool is_ended(const struct look *look)
{
    return look->kind == VM_JOB_NONE || look->kind == VM_JOB_OTHER ||
           look->disk.phase == MIRROR_ABORTING;
}

static int end_job(struct call *call, const char *target,
                   const struct look *before)
{
    if (virDomainBlockJobAbort(call->vm, target,
                               VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC) == 0)
        return 0;
    int rc = call_fail_disk(call, code_of(before->kind), "end of the block job",
                            target);
    /* It may have ended by itself between our question and our call. */
    struct err ignored = ERR_INIT;
    struct call again = *call; /* borrows the references */
    struct look look;
    again.err = &ignored;
    if (look_at(&again, target, &look) < 0 || !is_ended(&look))
        return rc;
    err_clear(call->err);
    return 0;
}

int virt_mirror_abort(void *ctx, const char *vm, const char *target,
                      struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    struct look look = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc == 0)
        rc = call_disk(&call, 0, target, &look.disk);
    if (rc < 0)
        return rc;
    int kind = (int)look.disk.kind;
    if (kind == VM_JOB_NONE)
        kind = running_if_any(&call, target, &look.job);
    if (kind < 0)
        return kind;
    look.kind = (enum vm_job_kind)kind;
    if (is_ended(&look))
        return 0;
    if (look.disk.phase == MIRROR_PIVOTING)
        return err_set_code(err, ERR_DISK_BUSY,
                            "%s of disk %s of VM %s: its pivot is under way",
                            noun_of(look.kind), target, vm);
    return end_job(&call, target, &look);
}

static int not_ready(const struct call *call, const char *target,
                     enum vm_job_kind kind)
{
    int rc = err_set_code(call->err, ERR_NOT_READY,
                          "%s of disk %s of VM %s: not converged yet",
                          noun_of(kind), target, call->name);
    (void)err_next(call->err, "try again when it is ready");
    return rc;
}

static int pivot(const struct call *call, const char *target,
                 enum vm_job_kind kind)
{
    if (virDomainBlockJobAbort(call->vm, target,
                               VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT |
                                   VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC) == 0)
        return 0;
    if (call_error_number() == VIR_ERR_BLOCK_COPY_ACTIVE)
        return not_ready(call, target, kind);
    return call_fail_disk(call, ERR_CHANGE_DISK, "pivot", target);
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
    const char *why = "it has no job that ends with one";
    if (disk.kind == VM_JOB_COPY || disk.kind == VM_JOB_ACTIVE_COMMIT) {
        if (disk.phase == MIRROR_READY)
            return pivot(&call, target, disk.kind);
        if (disk.phase == MIRROR_PIVOTING)
            return 0; /* asked for already */
        if (disk.phase == MIRROR_COPYING)
            return not_ready(&call, target, disk.kind);
        why = "its job is being ended";
    } else {
        bool ignored;
        rc = call_is_active(&call, &ignored);
        if (rc < 0)
            return rc;
    }
    return err_set_code(err, ERR_CHANGE_DISK, "pivot of disk %s of VM %s: %s",
                        target, call.name, why);
}

void virt_mirror_failure(void *ctx, const char *vm, const char *target,
                         char *ret_text, size_t size)
{
    reasons_get(connection_reasons(ctx), vm, target, REASON_WAIT_MS, ret_text,
                size);
}
