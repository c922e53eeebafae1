/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * StorageDomain.*: named and shaped as VDSM's, plus join, leave and list, which
 * stand for what an oVirt pool does there.
 */
#include "params.h"
#include "put.h"
#include "shape.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>

enum {
    DOMAIN_CLASS_DATA = 1
};

static int done(struct api_call *call, struct json_object *result,
                struct err *err)
{
    call->result = result;
    return result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

static const char *sd_of(const struct api_call *call)
{
    return params_text(call->params, "storagedomainID");
}

/* Valid numbers for VDSM that we have nothing for. */
static int check_kind(const struct api_call *call, bool block, struct err *err)
{
    uint64_t type = params_number(call->params, "domainType");
    uint64_t block_size = params_number(call->params, "blockSize");
    bool is_block = type == DOMAIN_TYPE_FCP || type == DOMAIN_TYPE_ISCSI;

    if (block ? !is_block
              : type != DOMAIN_TYPE_NFS && type != DOMAIN_TYPE_LOCALFS &&
                    type != DOMAIN_TYPE_POSIXFS) {
        (void)err_set_code(err, ERR_DOMAIN_TYPE,
                           "domainType %d is not supported%s", (int)type,
                           is_block ? " without devices"
                           : block  ? " on devices"
                                    : "");
        return err_next(err, "use 1 (NFS) or 6 (POSIXFS), and on devices 2 "
                             "(FCP) or 3 (ISCSI)");
    }
    if (params_number(call->params, "domainClass") != DOMAIN_CLASS_DATA) {
        (void)err_set_code(err, ERR_DOMAIN_CLASS,
                           "only domains of class 1 (Data) can be made");
        return err_next(err, "leave domainClass out");
    }
    if (block_size != 0 && block_size != 512 && block_size != 4096) {
        (void)err_set_code(err, ERR_PARAMS, "blockSize: must be 512 or 4096");
        return err_next(err, "leave it out");
    }
    return 0;
}

/* What is not absolute is an export: check.c. */
static bool is_export(const char *place)
{
    return place && place[0] != '/';
}

static int check_mount(const struct api_call *call, struct err *err)
{
    if (!params_has(call->params, "mountOptions") ||
        is_export(params_text(call->params, "typeArgs")))
        return 0;
    return err_set_code(err, ERR_PARAMS,
                        "mountOptions: only with an export, SERVER:/PATH, in "
                        "typeArgs");
}

static int check_place(const struct api_call *call, bool block, struct err *err)
{
    bool path = params_has(call->params, "typeArgs");
    if (path == block)
        return err_set_code(err, ERR_PARAMS,
                            block ? "typeArgs and devices: only one can be "
                                    "given"
                                  : "typeArgs is missing, or devices");
    return check_mount(call, err);
}

static void put_place(const struct api_call *call, struct domain_create *spec)
{
    const char *options = params_text(call->params, "mountOptions");
    (void)str_copy(spec->path, sizeof(spec->path),
                   params_text(call->params, "typeArgs"));
    (void)str_copy(spec->mount_options, sizeof(spec->mount_options),
                   options ? options : "");
}

int verb_domain_create(struct api_call *call, struct err *err)
{
    struct domain_create spec = {
        .type = (unsigned)params_number(call->params, "domainType"),
        .class_name = "Data",
        .block_size = (unsigned)params_number(call->params, "blockSize"),
        .max_hosts = (unsigned)params_number(call->params, "maxHosts"),
        .force = params_flag(call->params, "force"),
    };
    spec.devices = params_paths(call->params, "devices", &spec.n_devices);
    bool block = spec.n_devices > 0;
    int r = check_kind(call, block, err);
    if (r == 0)
        r = check_place(call, block, err);
    if (r < 0)
        return r;
    if (!block && spec.block_size == 0)
        spec.block_size = 512;
    (void)str_copy(spec.sd, sizeof(spec.sd), sd_of(call));
    (void)str_copy(spec.name, sizeof(spec.name),
                   params_text(call->params, "name"));
    if (!block)
        put_place(call, &spec);
    r = API_PORT(call, storage, domain_create, &spec, err);
    return r < 0 ? err_default_code(err, ERR_DOMAIN_CREATE) : 0;
}

int verb_domain_join(struct api_call *call, struct err *err)
{
    const struct domain_place place = {
        .path = params_text(call->params, "typeArgs"),
        .mount_options = params_text(call->params, "mountOptions"),
    };
    const char *which = sd_of(call);
    char sd[UUID_SIZE];

    if (!which)
        which = params_text(call->params, "name");
    if (!which && !place.path)
        return err_set_code(err, ERR_PARAMS,
                            "storagedomainID, typeArgs or name must be given");
    if (place.path && params_has(call->params, "name"))
        return err_set_code(err, ERR_PARAMS,
                            "name: not together with typeArgs");
    int r = check_mount(call, err);
    if (r == 0)
        r = API_PORT(call, storage, domain_join, which, &place, sd, err);
    if (r < 0)
        return err_default_code(err, ERR_DOMAIN_ACTION);
    return done(call, put_new_text(sd), err);
}

int verb_domain_extend(struct api_call *call, struct err *err)
{
    size_t n = 0;
    const char *const *devices = params_paths(call->params, "devlist", &n);
    int r = API_PORT(call, storage, domain_grow, sd_of(call), devices, n,
                     params_flag(call->params, "force"), err);
    return r < 0 ? err_default_code(err, ERR_DOMAIN_ACTION) : 0;
}

int verb_domain_audit(struct api_call *call, struct err *err)
{
    struct domain_audit audit = { 0 };
    int r = API_PORT(call, storage, domain_audit, sd_of(call),
                     params_flag(call->params, "repair"), &audit, err);
    if (r == 0)
        r = done(call, shape_domain_audit(&audit), err);
    domain_audit_deinit(&audit);
    return r;
}

/* A job has volumes of this domain open. */
static bool uses_domain(const struct job *job, const char *sd)
{
    if (job_is_terminal(job->state))
        return false;
    for (size_t i = 0; i < job->n_disks; i++)
        if (str_equal(job->disks[i].src_sd, sd) ||
            str_equal(job->disks[i].dst_sd, sd))
            return true;
    return false;
}

int verb_domain_leave_before(struct api_call *call, struct err *err)
{
    const struct migrate_jobs *jobs = call->api->jobs;
    for (size_t i = 0; i < migrate_jobs_count(jobs); i++) {
        const struct job *job = migrate_jobs_at(jobs, i);
        if (!uses_domain(job, sd_of(call)))
            continue;
        (void)err_set_code(err, ERR_RELEASE_HOST_ID,
                           "job %s moves a disk of domain %s", job->id,
                           sd_of(call));
        return err_next(err, "wait for it (drayctl job watch %s) or cancel it",
                        job->id);
    }
    return 0;
}

int verb_domain_leave(struct api_call *call, struct err *err)
{
    int r = API_PORT(call, storage, domain_leave, sd_of(call), err);
    return r < 0 ? err_default_code(err, ERR_DOMAIN_ACTION) : 0;
}

int verb_domain_list(struct api_call *call, struct err *err)
{
    _cleanup_free_ struct domain_info *infos = NULL;
    size_t n = 0;
    int r = API_PORT(call, storage, domain_list, &infos, &n, err);
    if (r < 0)
        return r;
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < n; i++)
        ok = put_item(array, shape_domain_item(&infos[i]));
    return done(call, put_end(array, ok), err);
}

int verb_domain_get_info(struct api_call *call, struct err *err)
{
    struct domain_info info;
    int r = API_PORT(call, storage, domain_info, sd_of(call), &info, err);
    return r < 0 ? r : done(call, shape_domain(&info), err);
}

int verb_domain_get_stats(struct api_call *call, struct err *err)
{
    struct domain_stats stats;
    int r = API_PORT(call, storage, domain_stats, sd_of(call), &stats, err);
    return r < 0 ? r : done(call, shape_domain_stats(&stats), err);
}

int verb_domain_get_images(struct api_call *call, struct err *err)
{
    struct uuid_list list = { 0 };
    int r = API_PORT(call, storage, domain_images, sd_of(call), &list, err);
    if (r == 0)
        r = done(call, shape_uuids(&list), err);
    uuid_list_deinit(&list);
    return r;
}

int verb_domain_get_volumes(struct api_call *call, struct err *err)
{
    const char *img = params_text(call->params, "imageID");
    struct uuid_list list = { 0 };
    int r =
        API_PORT(call, storage, domain_volumes, sd_of(call), img, &list, err);
    if (r == 0)
        r = done(call, shape_uuids(&list), err);
    uuid_list_deinit(&list);
    return r;
}
