/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VM.*: the VMs of this host and where their disks are.
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

static int done(struct api_call *call, struct json_object *result,
                struct err *err)
{
    call->result = result;
    return result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

int verb_vm_list(struct api_call *call, struct err *err)
{
    _cleanup_free_ struct vm_info *vms = NULL;
    size_t n = 0;
    int r = API_PORT(call, hypervisor, vm_list, &vms, &n, err);
    if (r < 0)
        return r;
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < n; i++)
        ok = put_item(array, shape_vm(&vms[i]));
    return done(call, put_end(array, ok), err);
}

static struct json_object *place_disk(struct api_call *call,
                                      const struct vm_disk *disk)
{
    struct err foreign = ERR_INIT; /* in none of our domains: no error */
    struct volume_id place;
    bool ours = disk->path[0] && API_PORT(call, storage, locate, disk->path,
                                          &place, &foreign) == 0;
    return shape_disk(disk, ours ? &place : NULL);
}

int verb_vm_get_disks(struct api_call *call, struct err *err)
{
    _cleanup_free_ struct vm_disk *disks = NULL;
    struct vm_info vm;
    size_t n = 0;

    int r = API_PORT(call, hypervisor, vm_find,
                     params_text(call->params, "vmID"), &vm, err);
    if (r == 0)
        r = API_PORT(call, hypervisor, vm_disks, vm.uuid, &disks, &n, err);
    if (r < 0)
        return r;
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < n; i++)
        ok = put_item(array, place_disk(call, &disks[i]));
    return done(call, put_end(array, ok), err);
}

static int refresh(struct api_call *call, struct volume_info *ret_info,
                   struct err *err)
{
    const struct params *drive = params_item(call->params, "drive", 0);
    struct volume_id id;
    struct vm_info vm;
    struct vm_disk disk;

    (void)str_copy(id.sd, UUID_SIZE, params_text(drive, "domainID"));
    (void)str_copy(id.img, UUID_SIZE, params_text(drive, "imageID"));
    (void)str_copy(id.vol, UUID_SIZE, params_text(drive, "volumeID"));
    int r =
        migrate_find_drive(call->api->ports, params_text(call->params, "vmID"),
                           &id, &vm, &disk, err);
    return r < 0 ? r : API_PORT(call, storage, volume_info, &id, ret_info, err);
}

int verb_vm_refresh_disk(struct api_call *call, struct err *err)
{
    struct volume_info info;

    int r = refresh(call, &info, err);
    if (r < 0 && err->code != ERR_NO_VM && err->code != ERR_NOT_RESPONDING)
        err->code = ERR_DISK_REFRESH;
    return r < 0 ? r : done(call, shape_volume_size(&info), err);
}
