/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads qemu's query-block. The device is found by the alias that libvirt gave
 * it, its file in inserted.file, which has one of two forms:
 *
 *   /dir/leaf.qcow2                   the usual one
 *   json:{"driver":"qcow2","file":{"driver":"file","filename":"/dir/..."},
 *         "backing":{...}}            when libvirt named the backing chain
 *
 * While a mirror or an active commit runs, qemu shows the node below its
 * filter: still the source, where acknowledged writes are. Should a filter be
 * shown all the same, its json form leads to the file as well.
 *
 * qemu cuts the json form off after 4 KiB ("...": chains of a dozen layers with
 * long names get there) and the file comes last in it. Then the file is looked
 * up by node name: libvirt calls the node that opened the file of
 * "libvirt-7-format" "libvirt-7-storage".
 */
#include "graph.h"
#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

enum {
    /* image.backing-image nests one level per layer */
    DEPTH_MAX = 512,
    NODE_NAME_SIZE = 128,
};

#define _cleanup_json_ _cleanup_(put_json)

static void put_json(struct json_object **object)
{
    json_object_put(*object);
}

/* The caller puts the result; NULL when @text is no JSON. */
static struct json_object *parse(const char *text)
{
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    if (!tokener)
        return NULL;
    size_t len = strlen(text);
    struct json_object *object = NULL;
    if (len < INT_MAX)
        object = json_tokener_parse_ex(tokener, text, (int)len + 1);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        json_object_put(object);
        object = NULL;
    }
    json_tokener_free(tokener);
    return object;
}

/* Borrowed; NULL when there is none of that type. */
static struct json_object *member(const struct json_object *object,
                                  const char *name, enum json_type type)
{
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &value) ||
        !json_object_is_type(value, type))
        return NULL;
    return value;
}

static const char *string_member(const struct json_object *object,
                                 const char *name)
{
    struct json_object *value = member(object, name, json_type_string);
    return value ? json_object_get_string(value) : NULL;
}

/* The array that the monitor answered. *ret_answer is the caller's. */
static int read_answer(const char *text, struct json_object **ret_answer,
                       struct json_object **ret_items, struct err *err)
{
    struct json_object *answer = parse(text);
    struct json_object *items = member(answer, "return", json_type_array);
    if (!items) {
        const char *reason =
            string_member(member(answer, "error", json_type_object), "desc");
        int rc = err_set(err, -EBADMSG, "qemu's monitor: %s",
                         reason ? reason : "no answer that we understand");
        json_object_put(answer);
        return rc;
    }
    *ret_answer = answer;
    *ret_items = items;
    return 0;
}

/* qdev is the alias itself, or its path in qemu's object tree
 * ("/machine/peripheral/virtio-disk0/virtio-backend"). */
static bool names_alias(const char *qdev, const char *alias)
{
    size_t len = strlen(alias);
    while (len && qdev) {
        const char *end = strchrnul(qdev, '/');
        if ((size_t)(end - qdev) == len && memcmp(qdev, alias, len) == 0)
            return true;
        qdev = *end ? end + 1 : NULL;
    }
    return false;
}

static bool is_device(const struct json_object *block, const char *alias)
{
    const char *qdev = string_member(block, "qdev");
    if (qdev)
        return names_alias(qdev, alias);
    const char *device = string_member(block, "device");
    return device && str_starts_with(device, "drive-") &&
           str_equal(device + strlen("drive-"), alias);
}

static struct json_object *find_device(struct json_object *blocks,
                                       const char *alias)
{
    for (size_t i = 0; i < json_object_array_length(blocks); i++) {
        struct json_object *block = json_object_array_get_idx(blocks, i);
        if (is_device(block, alias))
            return block;
    }
    return NULL;
}

/* Filters that have what they filter as backing, not as file. */
static bool filters_backing(const char *driver)
{
    return str_equal(driver, "mirror_top") || str_equal(driver, "commit_top");
}

/* From the top node of a json: name down to the file; NULL if it has none. */
static const char *walk_down(const struct json_object *node)
{
    for (int depth = 0; node && depth < DEPTH_MAX; depth++) {
        const char *path = string_member(node, "filename");
        if (path)
            return path;
        bool below = filters_backing(string_member(node, "driver"));
        node = member(node, below ? "backing" : "file", json_type_object);
    }
    return NULL;
}

static bool copy_path(char ret_path[PATH_MAX], const char *path)
{
    return path && str_copy(ret_path, PATH_MAX, path);
}

/* False for what qemu cut off. */
static bool path_of_name(const char *name, char ret_path[PATH_MAX])
{
    if (!str_starts_with(name, "json:"))
        return copy_path(ret_path, name);
    _cleanup_json_ struct json_object *top = parse(name + strlen("json:"));
    return copy_path(ret_path, walk_down(top));
}

/* "libvirt-7-format" -> "libvirt-7-storage"; false for other names. */
static bool storage_node(const char *node, char *ret_name, size_t size)
{
    static const char suffix[] = "-format";
    return node && str_ends_with(node, suffix) &&
           str_format(ret_name, size, "%.*s-storage",
                      (int)(strlen(node) - strlen(suffix)), node);
}

static bool path_of_node(struct json_object *nodes, const char *name,
                         char ret_path[PATH_MAX])
{
    for (size_t i = 0; i < json_object_array_length(nodes); i++) {
        struct json_object *node = json_object_array_get_idx(nodes, i);
        const char *file = string_member(node, "file");
        if (file && str_equal(string_member(node, "node-name"), name))
            return path_of_name(file, ret_path);
    }
    return false;
}

static int look_up_node(const struct json_object *inserted, const char *nodes,
                        char ret_path[PATH_MAX], struct err *err)
{
    char name[NODE_NAME_SIZE];
    const char *top = string_member(inserted, "node-name");
    if (!storage_node(top, name, sizeof(name)))
        return err_set(err, -EBADMSG, "qemu's monitor: node %s has no file",
                       top ? top : "(none)");
    if (!nodes)
        return GRAPH_NEED_NODES;
    _cleanup_json_ struct json_object *answer = NULL;
    struct json_object *items = NULL;
    int rc = read_answer(nodes, &answer, &items, err);
    if (rc < 0)
        return rc;
    if (!path_of_node(items, name, ret_path))
        return err_set(err, -EBADMSG, "qemu's monitor: no file for node %s",
                       name);
    return 0;
}

int graph_disk_path(const char *blocks, const char *nodes, const char *alias,
                    char ret_path[PATH_MAX], struct err *err)
{
    _cleanup_json_ struct json_object *answer = NULL;
    struct json_object *items = NULL;
    int rc = read_answer(blocks, &answer, &items, err);
    if (rc < 0)
        return rc;
    const struct json_object *device = find_device(items, alias);
    if (!device)
        return GRAPH_NO_DISK;
    const struct json_object *inserted =
        member(device, "inserted", json_type_object);
    if (!inserted) {
        ret_path[0] = '\0';
        return 0;
    }
    const char *file = string_member(inserted, "file");
    if (file && path_of_name(file, ret_path))
        return 0;
    return look_up_node(inserted, nodes, ret_path, err);
}
