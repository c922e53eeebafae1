/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Before a volume is made or deleted: no job may work on its image, and before
 * it is deleted no VM may name it. A job that starts in between finds the call
 * in api->calls (Disk.migrate looks there), so neither can slip past the other.
 */
#include "params.h"
#include "verb.h"

#include <poll.h>
#include <string.h>

enum {
    USER_PATIENCE_MS = 1000,
    USER_POLL_MS = 50,
};

int guard_image_before(struct api_call *call, struct err *err)
{
    const char *img = params_text(call->params, "imageID");
    const struct job *job = migrate_jobs_of_image(call->api->jobs, img);
    if (!job)
        return 0;
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

/* V5's layout of a file domain. */
static int make_path(struct api_call *call, const char *vol,
                     char ret_path[PATH_MAX], struct err *err)
{
    const char *sd = params_text(call->params, "storagedomainID");
    const char *img = params_text(call->params, "imageID");
    struct domain_info info;

    int r = API_PORT(call, storage, domain_info, sd, &info, err);
    if (r < 0)
        return r;
    if (!str_format(ret_path, PATH_MAX, "%s/%s/images/%s%s%s", info.path, sd,
                    img, vol ? "/" : "", vol ? vol : ""))
        return err_set_code(err, ERR_IMAGE_PATH,
                            "the path of image %s is too long", img);
    return 0;
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

int guard_unused(struct api_call *call, const char *vol, struct err *err)
{
    char path[PATH_MAX];
    struct vm_info vm = { 0 };

    int r = make_path(call, vol, path, err);
    if (r == 0)
        r = find_user(call, path, &vm, err);
    if (r < 0 || (!vm.name[0] && !vm.uuid[0]))
        return r;
    r = err_set_code(err, ERR_VOLUME_BUSY, "VM %s uses %s", vm.name, path);
    (void)err_next(err, "detach the disk from VM %s first (virsh detach-disk)",
                   vm.name);
    return r;
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
