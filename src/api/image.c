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

/* Both are about what the storage below keeps of deleted data; a file system
 * gives no promise about that. */
static int check_wiping(const struct api_call *call, struct err *err)
{
    if (!params_flag(call->params, "postZero") &&
        !params_flag(call->params, "discard"))
        return 0;
    (void)err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                       "file domains cannot zero or discard what is deleted");
    return err_next(err, "leave postZero and discard out");
}

int verb_image_delete(struct api_call *call, struct err *err)
{
    int r = check_wiping(call, err);
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
    int r = check_wiping(call, err);
    if (r == 0)
        r = guard_unused(call, id.vol, err);
    return r < 0 ? r : API_PORT(call, storage, volume_delete, &id, err);
}
