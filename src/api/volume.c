/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Volume.*, as VDSM has it, but that Volume.create is done when we answer, and
 * answers with the volume's id where VDSM gives a task's. (Volume.delete is in
 * image.c, beside what it shares with Image.delete.)
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

static const char *text(const struct api_call *call, const char *name)
{
    return params_text(call->params, name);
}

static void fill_id(const struct api_call *call, struct volume_id *ret_id)
{
    (void)str_copy(ret_id->sd, UUID_SIZE, text(call, "storagedomainID"));
    (void)str_copy(ret_id->img, UUID_SIZE, text(call, "imageID"));
    (void)str_copy(ret_id->vol, UUID_SIZE, text(call, "volumeID"));
}

static int done(struct api_call *call, struct json_object *result,
                struct err *err)
{
    call->result = result;
    return result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

/* VDSM's options that a file domain has no use for, or that we lack. */
static int check_options(const struct api_call *call, struct err *err)
{
    const char *parent = text(call, "srcVolUUID");

    if (params_flag(call->params, "addBitmaps") ||
        params_has(call->params, "bitmap")) {
        (void)err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                           "bitmaps are not supported");
        return err_next(err, "leave addBitmaps and bitmap out");
    }
    if (params_has(call->params, "initialSize") &&
        str_equal(text(call, "volFormat"), "RAW")) {
        (void)err_set_code(err, ERR_VALUE,
                           "only COW volumes have an initial size");
        return err_next(err, "leave initialSize out");
    }
    if (!str_equal(parent, UUID_BLANK) &&
        !str_equal(text(call, "volFormat"), "COW")) {
        (void)err_set_code(err, ERR_VOLUME_FORMAT,
                           "a volume with a parent must be COW");
        return err_next(err, "use volFormat COW, or no srcVolUUID");
    }
    return 0;
}

static void fill_spec(const struct api_call *call,
                      struct volume_create *ret_spec)
{
    const struct params *params = call->params;
    *ret_spec = (struct volume_create){
        .format =
            str_equal(text(call, "volFormat"), "COW") ? VOLUME_COW : VOLUME_RAW,
        .allocation = str_equal(text(call, "preallocate"), "SPARSE")
                          ? VOLUME_SPARSE
                          : VOLUME_PREALLOCATED,
        .legality =
            params_flag(params, "legal") ? VOLUME_LEGAL : VOLUME_ILLEGAL,
        .capacity = params_number(params, "size"),
        .sequence = (uint32_t)params_number(params, "sequence"),
    };
    /* As VDSM has it: of a thin one a tenth more. */
    uint64_t initial = params_has(params, "initialSize")
                           ? params_number(params, "initialSize")
                           : 0;
    ret_spec->initial_bytes = ret_spec->allocation == VOLUME_SPARSE
                                  ? initial + initial / 10
                                  : initial;
    fill_id(call, &ret_spec->id);
    (void)str_copy(ret_spec->parent_img, UUID_SIZE, text(call, "srcImgUUID"));
    (void)str_copy(ret_spec->parent, UUID_SIZE, text(call, "srcVolUUID"));
    (void)str_copy(ret_spec->disk_type, sizeof(ret_spec->disk_type),
                   text(call, "diskType"));
    (void)str_copy(ret_spec->description, sizeof(ret_spec->description),
                   text(call, "desc"));
}

int verb_volume_create(struct api_call *call, struct err *err)
{
    struct volume_create spec;

    int r = check_options(call, err);
    if (r < 0)
        return r;
    fill_spec(call, &spec);
    r = API_PORT(call, storage, volume_create, &spec, err);
    if (r < 0)
        return err_default_code(err, ERR_VOLUME_CREATE);
    return done(call, put_new_text(spec.id.vol), err);
}

int verb_volume_get_info(struct api_call *call, struct err *err)
{
    struct volume_id id;
    struct volume_info info;
    struct lease_state lease;
    struct err unread = ERR_INIT;

    fill_id(call, &id);
    int r = API_PORT(call, storage, volume_info, &id, &info, err);
    if (r < 0)
        return r;
    /* Like VDSM: a volume whose lease needs repair has none. */
    r = API_PORT(call, storage, volume_lease, &id, &lease, &unread);
    bool readable = r == 0 && lease.present;
    return done(call, shape_volume(&info, readable ? &lease : NULL), err);
}

int verb_volume_get_size(struct api_call *call, struct err *err)
{
    struct volume_id id;
    struct volume_info info;

    fill_id(call, &id);
    int r = API_PORT(call, storage, volume_info, &id, &info, err);
    return r < 0 ? r : done(call, shape_volume_size(&info), err);
}
