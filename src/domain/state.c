/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * domains.json: {"domains": [{"sd", "name", "path", "type", "joined"}]}, a
 * block domain's also {"block_size", "alignment", "devices": [...]}, one on an
 * export that we mount {"remote", "mount_options"}. It is ours alone, but
 * somebody may have edited it; what does not parse stops the start rather than
 * be forgotten at the next change.
 */
#include "json.h"
#include "known.h"
#include "nfs/export.h"
#include <dray/base/file.h>
#include <dray/base/lock.h>
#include <dray/format/block.h>
#include <errno.h>
#include <string.h>

enum {
    STATE_SIZE_MAX = 16 * 1024 * 1024,
    STATE_MODE = 0600,
};

static int wrong(const struct domains *domains, const char *what,
                 struct err *err)
{
    (void)err_set_code(err, ERR_METADATA_INVALID, "%s: %s", domains->state_path,
                       what);
    return err_next(err, "repair the file, or move it away and join the "
                         "domains again");
}

static bool get_string(struct json_object *object, const char *key,
                       char *ret_value, size_t size)
{
    struct json_object *value = NULL;
    return json_object_object_get_ex(object, key, &value) &&
           json_object_is_type(value, json_type_string) &&
           str_copy(ret_value, size, json_object_get_string(value));
}

static bool get_type(struct json_object *object, unsigned *ret_type)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, "type", &value) ||
        !json_object_is_type(value, json_type_int))
        return false;
    int64_t type = json_object_get_int64(value);
    if (type < 1 || type > 7)
        return false;
    *ret_type = (unsigned)type;
    return true;
}

static bool get_joined(struct json_object *object, bool *ret_joined)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, "joined", &value) ||
        !json_object_is_type(value, json_type_boolean))
        return false;
    *ret_joined = json_object_get_boolean(value);
    return true;
}

static bool get_unsigned(struct json_object *object, const char *key,
                         unsigned *ret_number)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, json_type_int) ||
        json_object_get_int64(value) < 0 ||
        json_object_get_int64(value) > INT32_MAX)
        return false;
    *ret_number = (unsigned)json_object_get_int64(value);
    return true;
}

/* Absent: a file domain. */
static bool get_block(struct json_object *object, struct domain_info *info)
{
    struct json_object *list = NULL;
    if (!json_object_object_get_ex(object, "devices", &list))
        return true;
    size_t n = json_object_is_type(list, json_type_array)
                   ? json_object_array_length(list)
                   : 0;
    if (n == 0 || n > DOMAIN_DEVICES_MAX ||
        !get_unsigned(object, "block_size", &info->block_size) ||
        !get_unsigned(object, "alignment", &info->alignment) ||
        !format_block_geometry_is_valid(info->block_size, info->alignment))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct json_object *device = json_object_array_get_idx(list, i);
        if (!json_object_is_type(device, json_type_string) ||
            !str_copy(info->devices[i], DOMAIN_DEVICE_SIZE,
                      json_object_get_string(device)))
            return false;
    }
    info->n_devices = n;
    info->block = true;
    return true;
}

/* Absent: nothing that we mount. */
static bool get_remote(struct json_object *object, struct domain_info *info)
{
    char remote[DOMAIN_REMOTE_SIZE];
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, "remote", &value))
        return true;
    return get_string(object, "remote", info->remote, sizeof(info->remote)) &&
           get_string(object, "mount_options", info->mount_options,
                      sizeof(info->mount_options)) &&
           nfs_export_read(info->remote, remote, NULL) == 0 &&
           str_equal(info->remote, remote) &&
           nfs_options_check(info->mount_options, NULL) == 0;
}

static int load_entry(struct domains *domains, struct json_object *object,
                      struct err *err)
{
    struct domain_info info = { .version = 5 };
    bool joined = false;
    if (!get_string(object, "sd", info.sd, sizeof(info.sd)) ||
        !uuid_is_valid(info.sd))
        return wrong(domains, "a domain's \"sd\" is no UUID", err);
    if (!get_string(object, "name", info.name, sizeof(info.name)) ||
        !get_string(object, "path", info.path, sizeof(info.path)) ||
        info.path[0] != '/')
        return wrong(domains, "a domain has no \"name\" or \"path\"", err);
    if (!get_type(object, &info.type) || !get_joined(object, &joined))
        return wrong(domains, "a domain has no \"type\" or \"joined\"", err);
    if (!get_block(object, &info))
        return wrong(domains, "a domain's \"devices\" are wrong", err);
    if (!get_remote(object, &info))
        return wrong(domains, "a domain's \"remote\" is wrong", err);
    if (joined) {
        info.status = DOMAIN_MISSING;
        (void)str_copy(info.problem, sizeof(info.problem),
                       "not yet joined again since the start");
    }
    return domain_known_add(domains, &info, err);
}

static int load_all(struct domains *domains, struct json_object *top,
                    struct err *err)
{
    struct json_object *list = NULL;
    if (!json_object_is_type(top, json_type_object) ||
        !json_object_object_get_ex(top, "domains", &list) ||
        !json_object_is_type(list, json_type_array))
        return wrong(domains, "there is no list \"domains\"", err);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        int rc = load_entry(domains, json_object_array_get_idx(list, i), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int domain_known_load(struct domains *domains, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    if (access(domains->state_path, F_OK) < 0 && errno == ENOENT)
        return 0;
    int rc = file_read(domains->state_path, STATE_SIZE_MAX, &text, &size, err);
    if (rc < 0)
        return rc;
    _cleanup_json_ struct json_object *top = json_tokener_parse(text);
    if (!top)
        return wrong(domains, "this is no JSON", err);
    return load_all(domains, top, err);
}

static bool add_block(struct json_object *object,
                      const struct domain_info *info)
{
    if (!info->block)
        return true;
    _cleanup_json_ struct json_object *list = json_object_new_array();
    for (size_t i = 0; list && i < info->n_devices; i++) {
        struct json_object *device = json_object_new_string(info->devices[i]);
        if (!device || json_object_array_add(list, device) < 0) {
            json_object_put(device);
            return false;
        }
    }
    return json_add(object, "devices", TAKE(list)) &&
           json_add(object, "block_size",
                    json_object_new_int((int32_t)info->block_size)) &&
           json_add(object, "alignment",
                    json_object_new_int((int32_t)info->alignment));
}

static bool add_remote(struct json_object *object,
                       const struct domain_info *info)
{
    return !info->remote[0] ||
           (json_add(object, "remote", json_object_new_string(info->remote)) &&
            json_add(object, "mount_options",
                     json_object_new_string(info->mount_options)));
}

static struct json_object *entry_to_json(const struct domain_info *info)
{
    _cleanup_json_ struct json_object *object = json_object_new_object();
    bool joined = info->status != DOMAIN_LEFT;
    if (!object || !json_add(object, "sd", json_object_new_string(info->sd)) ||
        !json_add(object, "name", json_object_new_string(info->name)) ||
        !json_add(object, "path", json_object_new_string(info->path)) ||
        !json_add(object, "type", json_object_new_int((int32_t)info->type)) ||
        !json_add(object, "joined", json_object_new_boolean(joined)) ||
        !add_block(object, info) || !add_remote(object, info))
        return NULL;
    return TAKE(object);
}

static struct json_object *list_to_json(const struct domain_info *infos,
                                        size_t n)
{
    _cleanup_json_ struct json_object *list = json_object_new_array();
    for (size_t i = 0; list && i < n; i++) {
        struct json_object *entry = entry_to_json(&infos[i]);
        if (!entry || json_object_array_add(list, entry) < 0) {
            json_object_put(entry);
            return NULL;
        }
    }
    return TAKE(list);
}

int domain_known_save(struct domains *domains, struct err *err)
{
    SCOPED_LOCK(&domains->save_lock);
    _cleanup_free_ struct domain_info *infos = NULL;
    size_t n = 0;
    int rc = domain_known_all(domains, &infos, &n, err);
    if (rc < 0)
        return rc;
    _cleanup_json_ struct json_object *top = json_object_new_object();
    const char *text = NULL;
    if (top && json_add(top, "domains", list_to_json(infos, n)))
        text = json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY);
    if (!text)
        return err_set(err, -ENOMEM, "%s: out of memory", domains->state_path);
    return file_replace(domains->state_path, text, strlen(text), STATE_MODE,
                        err);
}
