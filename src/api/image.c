/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Image.*, as VDSM has it. What VDSM does in a task is done when we answer.
 */
#include "params.h"
#include "put.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

static const char *text(const struct api_call *call, const char *name)
{
    return params_text(call->params, name);
}

int verb_image_prepare(struct api_call *call, struct err *err)
{
    struct volume_id id;
    char path[PATH_MAX];

    (void)str_copy(id.sd, UUID_SIZE, text(call, "storagedomainID"));
    (void)str_copy(id.img, UUID_SIZE, text(call, "imageID"));
    (void)str_copy(id.vol, UUID_SIZE, text(call, "volumeID"));
    int r = API_PORT(call, storage, image_prepare, &id,
                     params_flag(call->params, "allowIllegal"), path, err);
    if (r < 0)
        return r;
    struct json_object *object = json_object_new_object();
    call->result = put_end(object, put_text(object, "path", path));
    return call->result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

int verb_image_teardown(struct api_call *call, struct err *err)
{
    return API_PORT(call, storage, image_teardown,
                    text(call, "storagedomainID"), text(call, "imageID"), err);
}

int verb_image_delete(struct api_call *call, struct err *err)
{
    int r = guard_wiping(call, err);
    if (r == 0)
        r = guard_unused(call, NULL, err);
    if (r < 0)
        return r;
    return API_PORT(call, storage, image_delete, text(call, "storagedomainID"),
                    text(call, "imageID"), err);
}

int verb_volume_delete(struct api_call *call, struct err *err)
{
    struct volume_id id;

    (void)str_copy(id.sd, UUID_SIZE, text(call, "storagedomainID"));
    (void)str_copy(id.img, UUID_SIZE, text(call, "imageID"));
    (void)str_copy(id.vol, UUID_SIZE, text(call, "volumeID"));
    int r = guard_wiping(call, err);
    if (r == 0)
        r = guard_unused(call, id.vol, err);
    return r < 0 ? r : API_PORT(call, storage, volume_delete, &id, err);
}

int verb_image_delete_volumes(struct api_call *call, struct err *err)
{
    const struct uuid_list *vols = params_uuids(call->params, "volumeList");
    struct volume_id id;

    (void)str_copy(id.sd, UUID_SIZE, text(call, "storagedomainID"));
    (void)str_copy(id.img, UUID_SIZE, text(call, "imageID"));
    int r = guard_wiping(call, err);
    for (size_t i = 0; r == 0 && i < vols->n; i++) {
        (void)str_copy(id.vol, UUID_SIZE, vols->uuids[i]);
        r = guard_unused(call, id.vol, err);
        if (r == 0)
            r = API_PORT(call, storage, volume_delete, &id, err);
    }
    return r;
}
