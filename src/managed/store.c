/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A managed volume as a file: one JSON object, replaced as a whole and durable
 * before what it announces is done. A file that is not understood may be all
 * that tells of a device that is attached, so it is left for a person to see.
 */
#include "store.h"

#include <dirent.h>
#include <dray/base/file.h>
#include <dray/base/log.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

enum {
    RECORD_MAX = 16384,
    LUN_MAX = 16383,
};

static void json_putp(struct json_object **object)
{
    json_object_put(*object);
}

#define _cleanup_json_ _cleanup_(json_putp)

static const char *const driver_names[MANAGED_DRIVERS] = {
    [MANAGED_LOCAL] = "local",
    [MANAGED_NBD] = "nbd",
    [MANAGED_RBD] = "rbd",
    [MANAGED_ISCSI] = "iscsi",
};

static const char *const state_names[MANAGED_STATES] = {
    [MANAGED_ATTACHING] = "attaching",
    [MANAGED_ATTACHED] = "attached",
    [MANAGED_DETACHING] = "detaching",
};

static int find(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -EINVAL;
}

const char *managed_driver_name(enum managed_driver driver)
{
    return driver_names[driver];
}

int managed_driver_parse(const char *name, enum managed_driver *ret_driver)
{
    int i = find(driver_names, MANAGED_DRIVERS, name);

    if (i >= 0)
        *ret_driver = (enum managed_driver)i;
    return i < 0 ? i : 0;
}

const char *managed_state_name(enum managed_state state)
{
    return state_names[state];
}

/* --- to a file --------------------------------------------------------- */

static bool add_text(struct json_object *object, const char *key,
                     const char *text)
{
    struct json_object *value = json_object_new_string(text);

    return value && json_object_object_add(object, key, value) == 0;
}

static bool add_flag(struct json_object *object, const char *key, bool flag)
{
    struct json_object *value = json_object_new_boolean(flag);

    return value && json_object_object_add(object, key, value) == 0;
}

static bool fill(struct json_object *object,
                 const struct managed_volume *volume)
{
    const struct managed_connection *connection = &volume->connection;
    struct json_object *lun = json_object_new_int((int)connection->lun);

    return object && lun && json_object_object_add(object, "lun", lun) == 0 &&
           add_text(object, "sd", volume->sd) &&
           add_text(object, "vol", volume->vol) &&
           add_text(object, "driver", driver_names[connection->driver]) &&
           add_text(object, "place", connection->place) &&
           add_text(object, "portal", connection->portal) &&
           add_text(object, "iqn", connection->iqn) &&
           add_text(object, "state", state_names[volume->state]) &&
           add_text(object, "path", volume->path) &&
           add_text(object, "problem", volume->problem) &&
           add_flag(object, "own_node", volume->own_node) &&
           add_flag(object, "own_session", volume->own_session);
}

static int path_of(const char *dir, const struct managed_volume *volume,
                   char ret_path[PATH_MAX], struct err *err)
{
    if (str_format(ret_path, PATH_MAX, "%s/%s_%s.json", dir, volume->sd,
                   volume->vol))
        return 0;
    return err_set(err, -ENAMETOOLONG, "%s: too long", dir);
}

int store_put(const char *dir, const struct managed_volume *volume,
              struct err *err)
{
    _cleanup_json_ struct json_object *object = json_object_new_object();
    char path[PATH_MAX];
    int rc = path_of(dir, volume, path, err);

    if (rc)
        return rc;
    if (!fill(object, volume))
        return err_set(err, -ENOMEM, "%s: out of memory", path);

    const char *text =
        json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY);

    return file_replace(path, text, strlen(text), 0600, err);
}

int store_remove(const char *dir, const struct managed_volume *volume,
                 struct err *err)
{
    char path[PATH_MAX];
    int rc = path_of(dir, volume, path, err);

    if (rc == 0)
        rc = file_remove(path, err);
    return rc ? rc : file_sync_dir(dir, err);
}

/* --- from a file ------------------------------------------------------- */

static const char *text_of(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, json_type_string))
        return NULL;
    return json_object_get_string(value);
}

static bool take(struct json_object *object, const char *key, char *to,
                 size_t size)
{
    const char *text = text_of(object, key);

    return text && str_copy(to, size, text);
}

/* Not there: false. */
static bool flag_of(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    return json_object_object_get_ex(object, key, &value) &&
           json_object_get_boolean(value);
}

#define TAKE_TEXT(object, key, member)                                         \
    take(object, key, (member), sizeof(member))

static bool take_words(struct json_object *object,
                       struct managed_volume *volume)
{
    struct json_object *lun = NULL;
    const char *driver = text_of(object, "driver");
    const char *state = text_of(object, "state");
    int i = state ? find(state_names, MANAGED_STATES, state) : -EINVAL;

    if (i < 0 || !driver ||
        managed_driver_parse(driver, &volume->connection.driver) < 0 ||
        !json_object_object_get_ex(object, "lun", &lun) ||
        !json_object_is_type(lun, json_type_int))
        return false;
    int64_t number = json_object_get_int64(lun);

    volume->state = (enum managed_state)i;
    volume->connection.lun = (unsigned)number;
    volume->own_node = flag_of(object, "own_node");
    volume->own_session = flag_of(object, "own_session");
    return number >= 0 && number <= LUN_MAX;
}

static bool parse(const char *text, struct managed_volume *volume)
{
    _cleanup_json_ struct json_object *object = json_tokener_parse(text);
    struct managed_connection *connection = &volume->connection;

    return json_object_is_type(object, json_type_object) &&
           TAKE_TEXT(object, "sd", volume->sd) &&
           TAKE_TEXT(object, "vol", volume->vol) &&
           TAKE_TEXT(object, "place", connection->place) &&
           TAKE_TEXT(object, "portal", connection->portal) &&
           TAKE_TEXT(object, "iqn", connection->iqn) &&
           TAKE_TEXT(object, "path", volume->path) &&
           TAKE_TEXT(object, "problem", volume->problem) &&
           uuid_is_valid(volume->sd) && uuid_is_valid(volume->vol) &&
           take_words(object, volume);
}

static int load(const char *dir, const char *name,
                int (*found)(void *arg, const struct managed_volume *volume),
                void *arg)
{
    struct managed_volume volume = { .problem = "" };
    _cleanup_free_ char *text = NULL;
    char path[PATH_MAX], own[PATH_MAX];
    struct err err = ERR_INIT;
    size_t len = 0;

    if (!str_format(path, sizeof(path), "%s/%s", dir, name))
        return 0;
    int rc = file_read(path, RECORD_MAX, &text, &len, &err);

    if (rc == 0 && parse(text, &volume) &&
        path_of(dir, &volume, own, &err) == 0 && str_equal(path, own))
        return found(arg, &volume);
    log_warning("%s: no record of a managed volume: it is left alone%s%s", path,
                rc ? ": " : "", rc ? err.message : "");
    return 0;
}

int store_load(const char *dir,
               int (*found)(void *arg, const struct managed_volume *volume),
               void *arg, struct err *err)
{
    DIR *entries = opendir(dir);
    const struct dirent *entry = NULL;
    int rc = 0;

    if (!entries)
        return err_set(err, -errno, "open %s: %m", dir);
    /* One stream, one thread: readdir() is safe. NOLINTNEXTLINE */
    while (rc == 0 && (entry = readdir(entries))) {
        const char *end = strrchr(entry->d_name, '.');

        if (end && strcmp(end, ".json") == 0)
            rc = load(dir, entry->d_name, found, arg);
    }
    (void)closedir(entries);
    return rc ? err_set(err, rc, "%s: out of memory", dir) : 0;
}
