/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A running VM goes to another host with its disks: libvirt's peer-to-peer
 * migration, which goes on when we die. The disks are copied to volumes that
 * are there already; the VM arrives paused, so that never two of it run: a
 * destination's libvirtd that died after a resume would leave both.
 *
 * The call lasts as long as the migration. Its end is told by sends.h, its
 * truth by the VM's state.
 */
#include "answer.h"
#include "call.h"
#include "ops.h"
#include "room.h"
#include "sends.h"
#include "xml.h"
#include <errno.h>
#include <json-c/json.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

enum {
    BYTES_PER_MIB = 1024 * 1024
};

/* --- what libvirt gets -------------------------------------------------- */

/* The definition with the disks where they will be. The caller frees. */
static int moved_xml(const struct call *call, unsigned flags,
                     const struct vm_send_spec *spec, char **ret_xml)
{
    _cleanup_free_ char *xml = NULL;
    int rc = call_xml(
        call, flags | VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE, &xml);
    for (size_t i = 0; rc == 0 && i < spec->n_disks; i++) {
        const struct vm_send_disk *disk = &spec->disks[i];
        bool raw = str_equal(disk->format, "raw");
        const struct xml_source source = {
            .path = disk->path,
            .format = disk->format,
            .is_block = disk->block,
            .slice = disk->block && raw ? disk->capacity : 0,
        };
        char *moved = NULL;
        rc = xml_set_source(xml, disk->target, &source, &moved, call->err);
        if (rc == XML_NO_DISK)
            return call_no_disk(call, disk->target);
        if (rc == XML_UNCHANGED) {
            rc = 0;
        } else if (rc == 0) {
            free(xml);
            xml = moved;
        }
    }
    if (rc == 0)
        *ret_xml = TAKE(xml);
    return rc;
}

struct params {
    virTypedParameterPtr items;
    int n, size;
};

static void params_clear(struct params *params)
{
    virTypedParamsFree(params->items, params->n);
}

static bool add_text(struct params *params, const char *name, const char *text)
{
    return virTypedParamsAddString(&params->items, &params->n, &params->size,
                                   name, text) == 0;
}

/* At least 1 MiB/s: libvirt takes 0 for no limit. */
static unsigned long long mib_per_s(uint64_t bytes_per_s)
{
    uint64_t mib = bytes_per_s / BYTES_PER_MIB;
    return bytes_per_s && mib == 0 ? 1 : mib;
}

static bool fill_params(struct params *params, const struct vm_send_spec *spec,
                        const char *live, const char *persistent)
{
    bool ok = add_text(params, VIR_MIGRATE_PARAM_DEST_XML, live);
    if (ok && persistent)
        ok = add_text(params, VIR_MIGRATE_PARAM_PERSIST_XML, persistent);
    if (ok && spec->migrate_uri[0])
        ok = add_text(params, VIR_MIGRATE_PARAM_URI, spec->migrate_uri);
    for (size_t i = 0; ok && i < spec->n_disks; i++)
        ok = spec->disks[i].stays ||
             add_text(params, VIR_MIGRATE_PARAM_MIGRATE_DISKS,
                      spec->disks[i].target);
    return ok &&
           virTypedParamsAddULLong(&params->items, &params->n, &params->size,
                                   VIR_MIGRATE_PARAM_BANDWIDTH,
                                   mib_per_s(spec->bytes_per_s)) == 0;
}

/* libvirt takes a disk that stays for unsafe unless it knows its file system as
 * a shared one. Our caller knows better: both hosts have leases on it. */
static unsigned storage_flags(const struct vm_send_spec *spec)
{
    unsigned flags = 0;
    for (size_t i = 0; i < spec->n_disks; i++) {
        if (spec->disks[i].stays)
            flags |= VIR_MIGRATE_UNSAFE;
        else
            flags |= spec->shallow ? VIR_MIGRATE_NON_SHARED_INC
                                   : VIR_MIGRATE_NON_SHARED_DISK;
    }
    return flags;
}

static int migrate(const struct call *call, const struct vm_send_spec *spec)
{
    _cleanup_free_ char *live = NULL;
    _cleanup_free_ char *persistent = NULL;
    bool is_persistent = false;
    unsigned flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER |
                     VIR_MIGRATE_PAUSED | VIR_MIGRATE_AUTO_CONVERGE;
    int rc = moved_xml(call, 0, spec, &live);
    if (rc == 0)
        rc = call_is_persistent(call, &is_persistent);
    if (rc == 0 && is_persistent)
        rc = moved_xml(call, VIR_DOMAIN_XML_INACTIVE, spec, &persistent);
    if (rc < 0)
        return rc;
    flags |= storage_flags(spec);
    if (is_persistent)
        flags |= VIR_MIGRATE_PERSIST_DEST;

    _cleanup_(params_clear) struct params params = { 0 };
    if (!fill_params(&params, spec, live, persistent) ||
        virDomainMigrateToURI3(call->vm, spec->libvirt_uri, params.items,
                               (unsigned)params.n, flags) < 0)
        return call_fail(call, "migration of VM %s", call->name);
    return 0;
}

int virt_vm_send(void *ctx, const struct vm_send_spec *spec, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, spec->vm, err);
    return rc < 0 ? rc : migrate(&call, spec);
}

/* --- how it goes -------------------------------------------------------- */

static uint64_t number(const struct params *params, const char *name)
{
    unsigned long long value = 0;
    /* 1: found */
    return virTypedParamsGetULLong(params->items, params->n, name, &value) == 1
               ? value
               : 0;
}

static uint64_t done(const struct params *params, uint64_t total,
                     const char *remaining)
{
    uint64_t left = number(params, remaining);
    return left < total ? total - left : 0;
}

static int read_stats(const struct call *call, struct vm_send_info *info)
{
    _cleanup_(params_clear) struct params params = { 0 };
    int type = VIR_DOMAIN_JOB_NONE;
    if (virDomainGetJobStats(call->vm, &type, &params.items, &params.n, 0) < 0)
        return call_fail(call, "migration of VM %s", call->name);
    if (type == VIR_DOMAIN_JOB_NONE)
        return 0;
    info->active = true;
    info->disk_total = number(&params, VIR_DOMAIN_JOB_DISK_TOTAL);
    info->memory_total = number(&params, VIR_DOMAIN_JOB_MEMORY_TOTAL);
    info->disk_done =
        done(&params, info->disk_total, VIR_DOMAIN_JOB_DISK_REMAINING);
    info->memory_done =
        done(&params, info->memory_total, VIR_DOMAIN_JOB_MEMORY_REMAINING);
    return 0;
}

/* A disk is a block job of its own until the VM changes over. */
static void read_disk(const struct call *call, struct vm_send_progress *disk)
{
    virDomainBlockJobInfo job;
    if (virDomainGetBlockJobInfo(call->vm, disk->target, &job, 0) != 1)
        return;
    disk->done = job.cur;
    disk->total = job.end;
}

/* Whether our call is under way is asked first: it may end meanwhile, and then
 * the state that follows is the one it left. */
int virt_vm_send_info(void *ctx, const char *vm, struct vm_send_info *ret_info,
                      struct err *err)
{
    struct virt *virt = ctx;
    struct vm_send_info info = { .state = VM_SHUTOFF,
                                 .n_disks = ret_info->n_disks };
    struct err find = ERR_INIT;
    _cleanup_call_ struct call call = { 0 };
    memcpy(info.disks, ret_info->disks, sizeof(info.disks));
    info.active =
        sends_look(virt->sends, vm, info.failure, sizeof(info.failure));
    int rc = call_begin_vm(&call, ctx, vm, &find);
    if (rc < 0 && find.code == ERR_NO_VM) {
        *ret_info = info; /* a transient one that has gone */
        return 0;
    }
    if (rc == 0)
        rc = call_state(&call, &info.state);
    if (rc == 0 && info.state != VM_SHUTOFF)
        rc = read_stats(&call, &info);
    for (size_t i = 0; rc == 0 && info.active && i < info.n_disks; i++)
        read_disk(&call, &info.disks[i]);
    if (rc == 0)
        *ret_info = info;
    else if (err)
        *err = find;
    return rc;
}

/* --- orders ------------------------------------------------------------- */

int virt_vm_send_abort(void *ctx, const char *vm, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    if (virDomainAbortJob(call.vm) == 0 ||
        call_error_number() == VIR_ERR_OPERATION_INVALID)
        return 0; /* or there was nothing to abort */
    return call_fail(&call, "end of the migration of VM %s", call.name);
}

static void limit_job(const struct call *call, const char *device,
                      uint64_t bytes_per_s)
{
    char command[512];
    char *answer = NULL;
    if (!str_format(command, sizeof(command),
                    "{\"execute\":\"block-job-set-speed\",\"arguments\":"
                    "{\"device\":\"%s\",\"speed\":%llu}}",
                    device, (unsigned long long)bytes_per_s))
        return;
    /* A job that has just ended needs no limit. */
    (void)call_monitor(call, command, &answer);
    free(answer);
}

/* libvirt lets nobody touch the disks' jobs while it migrates: qemu does. */
static int limit_disks(const struct call *call, uint64_t bytes_per_s)
{
    _cleanup_free_ char *text = NULL;
    int rc = call_monitor(call, "{\"execute\":\"query-block-jobs\"}", &text);
    if (rc < 0)
        return rc;
    struct json_object *whole = answer_parse(text);
    struct json_object *jobs = answer_member(whole, "return", json_type_array);
    size_t n = jobs ? json_object_array_length(jobs) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *device = answer_member(
            json_object_array_get_idx(jobs, i), "device", json_type_string);
        if (device)
            limit_job(call, json_object_get_string(device), bytes_per_s);
    }
    (void)json_object_put(whole);
    return jobs ? 0
                : err_set(call->err, -EBADMSG, "qemu of VM %s: no list of jobs",
                          call->name);
}

int virt_vm_send_limit(void *ctx, const char *vm, uint64_t bytes_per_s,
                       struct err *err)
{
    static const unsigned long unlimited = 8796093022207; /* libvirt's most */
    unsigned long long mib = mib_per_s(bytes_per_s);
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    if (virDomainMigrateSetMaxSpeed(call.vm, mib ? mib : unlimited, 0) < 0)
        return call_fail(&call, "limit of the migration of VM %s", call.name);
    return limit_disks(&call, bytes_per_s);
}
