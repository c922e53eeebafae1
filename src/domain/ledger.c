/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * outside.json: {"made": [{"path", "inode", "born", "size", "mtime"}]}, read
 * anew each time: it is asked for once per job. An entry is written before its
 * file gets the name, so that a file which is there and ours always has one; a
 * name alone proves nothing, somebody may have put another file there.
 */
#include "ledger.h"
#include "json.h"
#include <assert.h>
#include <dray/base/file.h>
#include <dray/base/lock.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    LEDGER_SIZE_MAX = 16 * 1024 * 1024,
    LEDGER_MODE = 0600,
};

/* --- entries --- */

static int64_t to_ns(const struct statx_timestamp *time)
{
    return time->tv_sec * 1000000000 + time->tv_nsec;
}

int domain_ledger_entry(int fd, const char *path,
                        struct ledger_entry *ret_entry)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
        return -errno;
    *ret_entry = (struct ledger_entry){
        .inode = (int64_t)st.stx_ino,
        .born_ns = st.stx_mask & STATX_BTIME ? to_ns(&st.stx_btime) : 0,
        .size = (int64_t)st.stx_size,
        .mtime_ns = to_ns(&st.stx_mtime),
    };
    (void)str_copy(ret_entry->path, sizeof(ret_entry->path), path);
    return 0;
}

bool domain_ledger_is_same(const struct ledger_entry *a,
                           const struct ledger_entry *b)
{
    return a->inode == b->inode && a->born_ns == b->born_ns &&
           str_equal(a->path, b->path);
}

bool domain_ledger_is_fresh(const struct ledger_entry *a,
                            const struct ledger_entry *b)
{
    return domain_ledger_is_same(a, b) && a->size == b->size &&
           a->mtime_ns == b->mtime_ns;
}

/* --- JSON --- */

static bool get_int(struct json_object *object, const char *key,
                    int64_t *ret_value)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, json_type_int))
        return false;
    *ret_value = json_object_get_int64(value);
    return true;
}

static bool parse_entry(struct json_object *object, struct ledger_entry *entry)
{
    struct json_object *path = NULL;
    return json_object_is_type(object, json_type_object) &&
           json_object_object_get_ex(object, "path", &path) &&
           json_object_is_type(path, json_type_string) &&
           str_copy(entry->path, sizeof(entry->path),
                    json_object_get_string(path)) &&
           get_int(object, "inode", &entry->inode) &&
           get_int(object, "born", &entry->born_ns) &&
           get_int(object, "size", &entry->size) &&
           get_int(object, "mtime", &entry->mtime_ns);
}

static struct json_object *entry_to_json(const struct ledger_entry *entry)
{
    _cleanup_json_ struct json_object *object = json_object_new_object();
    if (!object ||
        !json_add(object, "path", json_object_new_string(entry->path)) ||
        !json_add(object, "inode", json_object_new_int64(entry->inode)) ||
        !json_add(object, "born", json_object_new_int64(entry->born_ns)) ||
        !json_add(object, "size", json_object_new_int64(entry->size)) ||
        !json_add(object, "mtime", json_object_new_int64(entry->mtime_ns)))
        return NULL;
    return TAKE(object);
}

/* --- the file --- */

struct ledger {
    size_t n;
    struct ledger_entry *entries;
};

static void ledger_deinit(struct ledger *ledger)
{
    free(ledger->entries);
}

static int parse(const struct domains *domains, struct json_object *top,
                 struct ledger *ledger, struct err *err)
{
    struct json_object *list = NULL;
    bool good = json_object_is_type(top, json_type_object) &&
                json_object_object_get_ex(top, "made", &list) &&
                json_object_is_type(list, json_type_array);
    size_t n = good ? json_object_array_length(list) : 0;
    ledger->entries = calloc(n + 1, sizeof(*ledger->entries)); /* one to add */
    if (!ledger->entries)
        return err_set(err, -ENOMEM, "%s: out of memory", domains->ledger_path);
    for (size_t i = 0; good && i < n; i++)
        good = parse_entry(json_object_array_get_idx(list, i),
                           &ledger->entries[i]);
    ledger->n = n;
    if (good)
        return 0;
    (void)err_set_code(err, ERR_METADATA_INVALID, "%s: it is damaged",
                       domains->ledger_path);
    return err_next(err, "move it away; files of cancelled exports then stay "
                         "where they are");
}

static int load(const struct domains *domains, struct ledger *ledger,
                struct err *err)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ struct json_object *top = NULL;
    size_t size = 0;
    if (access(domains->ledger_path, F_OK) < 0 && errno == ENOENT) {
        top = json_object_new_object();
        if (!top || !json_add(top, "made", json_object_new_array()))
            return err_set(err, -ENOMEM, "%s: out of memory",
                           domains->ledger_path);
        return parse(domains, top, ledger, err);
    }
    int rc =
        file_read(domains->ledger_path, LEDGER_SIZE_MAX, &text, &size, err);
    if (rc < 0)
        return rc;
    top = json_tokener_parse(text);
    return parse(domains, top, ledger, err);
}

static struct json_object *to_json(const struct ledger *ledger)
{
    _cleanup_json_ struct json_object *top = json_object_new_object();
    struct json_object *list = json_object_new_array();
    if (!top || !json_add(top, "made", list))
        return NULL;
    for (size_t i = 0; i < ledger->n; i++) {
        struct json_object *entry = entry_to_json(&ledger->entries[i]);
        if (!entry || json_object_array_add(list, entry) < 0) {
            json_object_put(entry);
            return NULL;
        }
    }
    return TAKE(top);
}

static int save(const struct domains *domains, const struct ledger *ledger,
                struct err *err)
{
    _cleanup_json_ struct json_object *top = to_json(ledger);
    const char *text =
        top ? json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY)
            : NULL;
    if (!text)
        return err_set(err, -ENOMEM, "%s: out of memory", domains->ledger_path);
    return file_replace(domains->ledger_path, text, strlen(text), LEDGER_MODE,
                        err);
}

static size_t find(const struct ledger *ledger, const char *path)
{
    size_t i = 0;
    while (i < ledger->n && !str_equal(ledger->entries[i].path, path))
        i++;
    return i;
}

int domain_ledger_find(struct domains *domains, const char *path,
                       struct ledger_entry *ret_entry, struct err *err)
{
    SCOPED_LOCK(&domains->save_lock);
    struct ledger ledger = { 0 };
    int rc = load(domains, &ledger, err);
    if (rc == 0) {
        assert(ledger.entries);
        size_t i = find(&ledger, path);
        if (i < ledger.n)
            *ret_entry = ledger.entries[i];
        else
            rc = DOMAIN_NONE;
    }
    ledger_deinit(&ledger);
    return rc;
}

int domain_ledger_put(struct domains *domains, const struct ledger_entry *entry,
                      struct err *err)
{
    SCOPED_LOCK(&domains->save_lock);
    struct ledger ledger = { 0 };
    int rc = load(domains, &ledger, err);
    if (rc == 0) {
        assert(ledger.entries); /* with room for one more */
        size_t i = find(&ledger, entry->path);
        if (i == ledger.n)
            ledger.n++;
        ledger.entries[i] = *entry;
        rc = save(domains, &ledger, err);
    }
    ledger_deinit(&ledger);
    return rc;
}

int domain_ledger_drop(struct domains *domains, const char *path,
                       struct err *err)
{
    SCOPED_LOCK(&domains->save_lock);
    struct ledger ledger = { 0 };
    int rc = load(domains, &ledger, err);
    if (rc == 0) {
        assert(ledger.entries);
        size_t i = find(&ledger, path);
        if (i < ledger.n) {
            ledger.entries[i] = ledger.entries[--ledger.n];
            rc = save(domains, &ledger, err);
        }
    }
    ledger_deinit(&ledger);
    return rc;
}
