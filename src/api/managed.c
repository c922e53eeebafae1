/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ManagedVolume.*, as VDSM has it. What could not be detached is tried again
 * every half minute, and after a restart.
 */
#include "params.h"
#include "put.h"
#include "verb.h"

#include <dray/base/log.h>
#include <dray/managed.h>
#include <dray/work.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

enum {
    RETRY_MS = 30 * 1000,
    SOON_MS = 1000, /* after a start: libvirtd may start, too */
};

/* --- retries ----------------------------------------------------------- */

static int check_no_vm(void *arg, const struct managed_volume *volume,
                       struct err *err)
{
    const struct hypervisor_port *port =
        &((struct api *)arg)->ports->hypervisor;
    struct vm_info user = { .uuid = "" };
    int r = 0;

    if (volume->path[0] == '/')
        r = port->ops->path_user(port->ctx, volume->path, &user, err);
    if (r < 0 || !user.uuid[0])
        return r;
    return err_set_code(err, ERR_VOLUME_BUSY, "VM %s has managed volume %s",
                        user.name, volume->vol);
}

static void retry_run(void *arg)
{
    struct api *api = arg;

    /* Those that are left tell themselves. */
    (void)managed_retry(api->options.managed, check_no_vm, api);
}

static void retry_start(void *arg);

static void retry_later(struct api *api, int64_t delay_ms)
{
    if (api->options.managed &&
        work_after(api->work, delay_ms, retry_start, api, NULL) < 0)
        log_error("managed volumes that could not be detached wait for the "
                  "next start: out of memory");
}

static void retry_done(void *arg)
{
    struct api *api = arg;

    retry_later(api, api->managed_retry_ms);
    api->managed_retry_ms *= 2;
    if (api->managed_retry_ms > RETRY_MS)
        api->managed_retry_ms = RETRY_MS;
}

static void retry_start(void *arg)
{
    struct api *api = arg;

    if (work_submit(api->work, "managed", retry_run, retry_done, api) < 0)
        retry_later(api, RETRY_MS);
}

void managed_ready(struct api *api)
{
    api->managed_retry_ms = SOON_MS;
    retry_later(api, 0);
}

/* --- connections ------------------------------------------------------- */

static int missing(const char *what, const char *driver, struct err *err)
{
    return err_set_code(err, ERR_PARAMS,
                        "connection_info.data.%s: missing, or wrong for %s",
                        what, driver);
}

/* Nothing of a command line: letters, digits, and what names are made of. */
static bool is_name(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_.:-[]";

    return text && *text && *text != '-' &&
           strspn(text, letters) == strlen(text);
}

static int take_iscsi(const struct params *data,
                      struct managed_connection *connection, struct err *err)
{
    const char *portal = params_text(data, "target_portal");
    const char *iqn = params_text(data, "target_iqn");

    if (!is_name(portal))
        return missing("target_portal", "iscsi", err);
    if (!is_name(iqn))
        return missing("target_iqn", "iscsi", err);
    (void)str_copy(connection->portal, sizeof(connection->portal), portal);
    (void)str_copy(connection->iqn, sizeof(connection->iqn), iqn);
    connection->lun = (unsigned)params_number(data, "target_lun");
    return 0;
}

static int take_place(const struct params *data, const char *name,
                      const char *prefix, const char *driver,
                      struct managed_connection *connection, struct err *err)
{
    const char *text = params_text(data, name);
    char url[MANAGED_PATH_SIZE];

    if (!text || !str_format(url, sizeof(url), "%s%s", prefix, text) ||
        place_url_problem(url) ||
        (str_equal(driver, "nbd") && !str_starts_with(url, "nbd")))
        return missing(name, driver, err);
    (void)str_copy(connection->place, sizeof(connection->place), text);
    return 0;
}

static int take_connection(const struct api_call *call,
                           struct managed_connection *connection,
                           struct err *err)
{
    const struct params *info = params_item(call->params, "connection_info", 0);
    const struct params *data = params_item(info, "data", 0);
    const char *driver = params_text(info, "driver_volume_type");

    memset(connection, 0, sizeof(*connection));
    /* Cannot fail: the table has the same words. */
    (void)managed_driver_parse(driver, &connection->driver);
    switch (connection->driver) {
    case MANAGED_ISCSI:
        return take_iscsi(data, connection, err);
    case MANAGED_NBD:
        return take_place(data, "url", "", driver, connection, err);
    case MANAGED_RBD:
        return take_place(data, "name", "rbd:", driver, connection, err);
    default:
        return take_place(data, "device_path", "", driver, connection, err);
    }
}

/* --- answers ----------------------------------------------------------- */

static struct json_object *shape_data(const struct managed_connection *from)
{
    struct json_object *object = json_object_new_object();

    switch (from->driver) {
    case MANAGED_ISCSI:
        return put_end(object,
                       put_text(object, "target_portal", from->portal) &&
                           put_text(object, "target_iqn", from->iqn) &&
                           put_u64(object, "target_lun", from->lun));
    case MANAGED_NBD:
        return put_end(object, put_text(object, "url", from->place));
    case MANAGED_RBD:
        return put_end(object, put_text(object, "name", from->place));
    default:
        return put_end(object, put_text(object, "device_path", from->place));
    }
}

static struct json_object *shape_connection(
    const struct managed_connection *from)
{
    struct json_object *object = json_object_new_object();

    return put_end(object, put_text(object, "driver_volume_type",
                                    managed_driver_name(from->driver)) &&
                               put_value(object, "data", shape_data(from)));
}

static bool put_paths(struct json_object *object,
                      const struct managed_volume *volume)
{
    return put_text(object, "vol_id", volume->vol) &&
           put_text(object, "sd_id", volume->sd) &&
           put_text(object, "path", volume->path) &&
           put_text(object, "managed_path", volume->path);
}

static struct json_object *shape_attached(const struct managed_volume *volume)
{
    struct json_object *object = json_object_new_object();

    return put_end(object, put_paths(object, volume) &&
                               put_value(object, "attachment",
                                         shape_data(&volume->connection)));
}

static struct json_object *shape_volume(const struct managed_volume *volume)
{
    struct json_object *object = json_object_new_object();

    return put_end(
        object,
        put_paths(object, volume) &&
            put_value(object, "connection_info",
                      shape_connection(&volume->connection)) &&
            put_flag(object, "exists", managed_exists(volume)) &&
            put_text(object, "state", managed_state_name(volume->state)) &&
            (!volume->problem[0] ||
             put_text(object, "problem", volume->problem)));
}

static int answer(struct api_call *call, struct json_object *result,
                  struct err *err)
{
    call->result = result;
    return result ? 0 : err_set(err, -ENOMEM, "no memory for the answer");
}

/* --- the verbs --------------------------------------------------------- */

static int check_can(const struct api_call *call, struct err *err)
{
    if (call->api->options.managed)
        return 0;
    return err_set_code(err, ERR_MANAGED_NONE,
                        "this drayd has no table of managed volumes");
}

int verb_managed_attach(struct api_call *call, struct err *err)
{
    struct managed_connection connection;
    struct managed_volume volume;
    int r = check_can(call, err);

    if (r == 0)
        r = take_connection(call, &connection, err);
    if (r == 0)
        r = managed_attach(
            call->api->options.managed, params_text(call->params, "sd_id"),
            params_text(call->params, "vol_id"), &connection, &volume, err);
    return r < 0 ? r : answer(call, shape_attached(&volume), err);
}

static bool is_used_by(const struct job *job, const char *path)
{
    const struct job_disk *disk = &job->disks[0];

    return !job_is_terminal(job->state) &&
           (str_equal(disk->src_path, path) || str_equal(disk->dst_path, path));
}

/* No job works on it. */
int verb_managed_detach_before(struct api_call *call, struct err *err)
{
    struct managed_volume volume;
    struct err unknown = ERR_INIT; /* then nothing is to be done */
    struct migrate_jobs *jobs = call->api->jobs;

    if (!call->api->options.managed ||
        managed_find(call->api->options.managed,
                     params_text(call->params, "sd_id"),
                     params_text(call->params, "vol_id"), &volume, &unknown))
        return 0;
    for (size_t i = 0; i < migrate_jobs_count(jobs); i++) {
        const struct job *job = migrate_jobs_at(jobs, i);
        if (!is_used_by(job, volume.path))
            continue;
        (void)err_set_code(err, ERR_DISK_BUSY,
                           "job %s works on managed volume %s", job->id,
                           volume.vol);
        return err_next(err, "wait for it: drayctl job watch %s", job->id);
    }
    return 0;
}

int verb_managed_detach(struct api_call *call, struct err *err)
{
    int r = check_can(call, err);

    return r < 0 ? r
                 : managed_detach(call->api->options.managed,
                                  params_text(call->params, "sd_id"),
                                  params_text(call->params, "vol_id"),
                                  check_no_vm, call->api, err);
}

static bool is_asked_for(const struct uuid_list *wanted, const char *vol)
{
    for (size_t i = 0; i < wanted->n; i++)
        if (str_equal(wanted->uuids[i], vol))
            return true;
    return false;
}

static struct json_object *shape_volumes(const struct api_call *call,
                                         const struct managed_volume *volumes,
                                         size_t n)
{
    bool all = !params_has(call->params, "vol_ids");
    struct json_object *array = json_object_new_array();
    bool ok = array;

    for (size_t i = 0; ok && i < n; i++)
        if (all ||
            is_asked_for(params_uuids(call->params, "vol_ids"), volumes[i].vol))
            ok = put_item(array, shape_volume(&volumes[i]));
    return put_end(array, ok);
}

int verb_managed_info(struct api_call *call, struct err *err)
{
    _cleanup_free_ struct managed_volume *volumes = NULL;
    size_t n = 0;
    int r = check_can(call, err);

    if (r == 0)
        r = managed_list(call->api->options.managed, &volumes, &n, err);
    return r < 0 ? r : answer(call, shape_volumes(call, volumes, n), err);
}
