/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Before a volume is made or deleted: no job may work on its image, and before
 * it is deleted no VM may name it, and no job have ended in doubt whether one
 * uses it. A job that starts in between finds the call
 * in api->calls (Disk.migrate looks there), so neither can slip past the other.
 */
#include "params.h"
#include "verb.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    USER_PATIENCE_MS = 1000,
    USER_POLL_MS = 50,
};

/* --- jobs that ended without knowing where the VM's disk is --- */

/* call->state */
struct doubt {
    char job[UUID_SIZE];
    char vm[UUID_SIZE];
    char vm_name[VM_NAME_SIZE];
    char target[DISK_TARGET_SIZE];
};

static const struct job_disk *find_doubt(const struct job *job, const char *sd,
                                         const char *img)
{
    for (size_t i = 0; job_is_terminal(job->state) && i < job->n_disks; i++) {
        const struct job_disk *disk = &job->disks[i];
        if (disk->in_doubt && str_equal(disk->img, img) &&
            (str_equal(disk->src_sd, sd) || str_equal(disk->dst_sd, sd)))
            return disk;
    }
    return NULL;
}

static int keep(struct api_call *call, const struct job *job,
                const struct job_disk *disk, struct err *err)
{
    struct doubt *doubt = calloc(1, sizeof(*doubt));
    if (!doubt)
        return err_set(err, -ENOMEM, "out of memory");
    (void)str_copy(doubt->job, sizeof(doubt->job), job->id);
    (void)str_copy(doubt->vm, sizeof(doubt->vm), job->vm);
    (void)str_copy(doubt->vm_name, sizeof(doubt->vm_name), job->vm_name);
    (void)str_copy(doubt->target, sizeof(doubt->target), disk->target);
    call->state = doubt;
    return 0;
}

int guard_doubt_before(struct api_call *call, struct err *err)
{
    const struct migrate_jobs *jobs = call->api->jobs;
    const char *sd = params_text(call->params, "storagedomainID");
    const char *img = params_text(call->params, "imageID");
    for (size_t i = migrate_jobs_count(jobs); i-- > 0;) {
        const struct job *job = migrate_jobs_at(jobs, i);
        const struct job_disk *disk = find_doubt(job, sd, img);
        if (disk)
            return keep(call, job, disk, err);
    }
    return 0;
}

/* Whoever is seen running needs no more than the look at what it has open. */
int guard_doubt(struct api_call *call, struct err *err)
{
    const struct doubt *doubt = call->state;
    struct vm_disk_truth truth = { .state = VM_SHUTOFF };
    struct err unknown = ERR_INIT;
    if (!doubt)
        return 0;
    int r = API_PORT(call, hypervisor, disk_truth, doubt->vm, doubt->target,
                     false, &truth, &unknown);
    if (r == 0 && truth.state != VM_SHUTOFF && truth.qemu_path[0])
        return 0;
    r = err_set_code(err, ERR_VOLUME_BUSY,
                     "job %s could not find out on which side VM %s has disk "
                     "%s: this may be the only right copy",
                     doubt->job, doubt->vm_name, doubt->target);
    (void)err_next(err,
                   "see drayctl job list; when you know that the VM does "
                   "not need it: drayctl rpc Host.deleteJobs "
                   "'{\"job_ids\":[\"%s\"]}'",
                   doubt->job);
    return r;
}

/* --- jobs that work on it --- */

int guard_image_before(struct api_call *call, struct err *err)
{
    const char *img = params_text(call->params, "imageID");
    const struct job *job = migrate_jobs_of_image(call->api->jobs, img);
    if (!job)
        return guard_doubt_before(call, err);
    int r = err_set_code(err, ERR_DISK_BUSY, "job %s works on image %s",
                         job->id, img);
    (void)err_next(err,
                   "wait for it (drayctl job watch %s) or cancel it "
                   "(drayctl job cancel %s)",
                   job->id, job->id);
    return r;
}

const struct api_call *guard_changing(const struct api *api, const char *img)
{
    list_for_each (item, &api->calls) {
        const struct api_call *call = container_of(item, struct api_call, link);
        if (call->verb->changes_image &&
            str_equal(params_text(call->params, "imageID"), img))
            return call;
    }
    return NULL;
}

/* When qemu has ended a block job libvirt's XML names its layers for some more
 * milliseconds, so a user is asked for again before it is believed. */
static int find_user(struct api_call *call, const char *path,
                     struct vm_info *ret_vm, struct err *err)
{
    int64_t end_ms = time_now_ms() + USER_PATIENCE_MS;

    for (;;) {
        memset(ret_vm, 0, sizeof(*ret_vm));
        int r = API_PORT(call, hypervisor, path_user, path, ret_vm, err);
        if (r < 0)
            return err_wrap(err, "cannot tell whether a VM uses it");
        bool used = ret_vm->name[0] || ret_vm->uuid[0];
        if (!used || time_now_ms() >= end_ms)
            return 0;
        (void)poll(NULL, 0, USER_POLL_MS);
    }
}

static int check_path(struct api_call *call, const char *path, struct err *err)
{
    struct vm_info vm;

    int r = find_user(call, path, &vm, err);
    if (r < 0 || (!vm.name[0] && !vm.uuid[0]))
        return r;
    r = err_set_code(err, ERR_VOLUME_BUSY, "VM %s uses %s", vm.name, path);
    (void)err_next(err, "detach the disk from VM %s first (virsh detach-disk)",
                   vm.name);
    return r;
}

/* V5's layout of a file domain; @vol NULL: the whole image. */
static int check_file(struct api_call *call, const char *top, const char *vol,
                      struct err *err)
{
    const char *sd = params_text(call->params, "storagedomainID");
    const char *img = params_text(call->params, "imageID");
    char path[PATH_MAX];

    if (!str_format(path, sizeof(path), "%s/%s/images/%s%s%s", top, sd, img,
                    vol ? "/" : "", vol ? vol : ""))
        return err_set_code(err, ERR_IMAGE_PATH,
                            "the path of image %s is too long", img);
    return check_path(call, path, err);
}

/* A VM that is off may name an LV that is not active, so both of its names are
 * looked for. What is not there the verb itself finds out. */
static int check_lv(struct api_call *call, const char *vol, struct err *err)
{
    struct volume_id id = { 0 };
    struct volume_info info;
    struct err ask = ERR_INIT;
    char path[PATH_MAX];

    (void)str_copy(id.sd, UUID_SIZE,
                   params_text(call->params, "storagedomainID"));
    (void)str_copy(id.img, UUID_SIZE, params_text(call->params, "imageID"));
    (void)str_copy(id.vol, UUID_SIZE, vol);
    int r = API_PORT(call, storage, volume_info, &id, &info, &ask);
    if (r < 0 && (ask.code == ERR_NO_VOLUME || ask.code == ERR_NO_IMAGE))
        return 0;
    if (r < 0) {
        *err = ask;
        return r;
    }
    r = check_path(call, info.path, err);
    (void)str_format(path, sizeof(path), "/dev/%s/%s", id.sd, id.vol);
    return r < 0 ? r : check_path(call, path, err);
}

static int check_lvs(struct api_call *call, struct err *err)
{
    const char *sd = params_text(call->params, "storagedomainID");
    const char *img = params_text(call->params, "imageID");
    struct uuid_list vols = { 0 };
    struct err ask = ERR_INIT;

    int r = API_PORT(call, storage, domain_volumes, sd, img, &vols, &ask);
    if (r < 0 && ask.code == ERR_NO_IMAGE)
        return 0;
    if (r < 0)
        *err = ask;
    for (size_t i = 0; r == 0 && i < vols.n; i++)
        r = check_lv(call, vols.uuids[i], err);
    uuid_list_deinit(&vols);
    return r;
}

int guard_unused(struct api_call *call, const char *vol, struct err *err)
{
    const char *sd = params_text(call->params, "storagedomainID");
    struct domain_info info = { .block = false };

    int r = guard_doubt(call, err);
    if (r == 0)
        r = API_PORT(call, storage, domain_info, sd, &info, err);
    if (r < 0)
        return r;
    if (!info.block)
        return check_file(call, info.path, vol, err);
    return vol ? check_lv(call, vol, err) : check_lvs(call, err);
}

/* Both are about what the storage below keeps of deleted data; a file system
 * gives no promise about that. */
int guard_wiping(const struct api_call *call, struct err *err)
{
    if (!params_flag(call->params, "postZero") &&
        !params_flag(call->params, "discard"))
        return 0;
    (void)err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                       "file domains cannot zero or discard what is deleted");
    return err_next(err, "leave postZero and discard out");
}
