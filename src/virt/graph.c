/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads qemu's query-block. The device is found by the alias that libvirt gave
 * it, its file in inserted.file, and the layers below it in
 * inserted.image.backing-image.backing-image...filename; node.c knows what
 * names look like.
 *
 * While a mirror or an active commit runs, qemu shows the node below its
 * filter: still the source, where acknowledged writes are. Filters that stay
 * (copy-on-read) are shown as a layer of their own by the name of what they
 * filter.
 *
 * qemu cuts the json form of a name off after 4 KiB ("...": chains of a dozen
 * layers with long names get there) and the file comes last in it. Then the
 * file is looked up by node name: libvirt calls the node that opened the file
 * of "libvirt-7-format" "libvirt-7-storage". Of a lower layer the node's name
 * is not told, but it is the one with the same name, cut off at the same place:
 * each begins with as many "backing" as there are layers below it.
 */
#include "graph.h"
#include "answer.h"
#include "node.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
    NODE_NAME_SIZE = 128,
};

/* --- the device -------------------------------------------------------- */

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
    const char *qdev = answer_string(block, "qdev");
    if (qdev)
        return names_alias(qdev, alias);
    const char *device = answer_string(block, "device");
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

/* --- nodes ------------------------------------------------------------- */

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
        const char *file = answer_string(node, "file");
        if (file && str_equal(answer_string(node, "node-name"), name))
            return node_place(file, ret_path);
    }
    return false;
}

/* The node of a format that has this file name. */
static const char *node_of_file(struct json_object *nodes, const char *file)
{
    for (size_t i = 0; i < json_object_array_length(nodes); i++) {
        struct json_object *node = json_object_array_get_idx(nodes, i);
        const char *name = answer_string(node, "node-name");
        if (name && str_ends_with(name, "-format") &&
            str_equal(answer_string(node, "file"), file))
            return name;
    }
    return NULL;
}

/* The place of a node that has this name. @format: the node of its format, or
 * NULL where that is not known. */
static bool place_among(struct json_object *nodes, const char *name,
                        const char *format, char ret_path[PATH_MAX])
{
    char storage[NODE_NAME_SIZE];
    if (name && node_place(name, ret_path))
        return true;
    if (name && !format)
        format = node_of_file(nodes, name);
    return storage_node(format, storage, sizeof(storage)) &&
           path_of_node(nodes, storage, ret_path);
}

/* The same, with the nodes' answer only if it is needed. */
static int layer_place(const char *name, const char *format, const char *nodes,
                       char ret_path[PATH_MAX], struct err *err)
{
    if (name && node_place(name, ret_path))
        return 0;
    if (format && !str_ends_with(format, "-format"))
        return err_set(err, -EBADMSG, "qemu's monitor: node %s has no file",
                       format);
    if (!nodes)
        return GRAPH_NEED_NODES;
    _cleanup_json_ struct json_object *answer = NULL;
    struct json_object *items = NULL;
    int rc = answer_items(nodes, &answer, &items, err);
    if (rc < 0)
        return rc;
    if (!place_among(items, name, format, ret_path))
        return err_set(err, -EBADMSG, "qemu's monitor: no file for node %s",
                       format ? format : "(none)");
    return 0;
}

static int leaf_place(const struct json_object *inserted, const char *nodes,
                      char ret_path[PATH_MAX], struct err *err)
{
    const char *node = answer_string(inserted, "node-name");
    return layer_place(answer_string(inserted, "file"), node ? node : "(none)",
                       nodes, ret_path, err);
}

/* *ret_inserted, of *ret_answer: NULL when nothing is in the device. */
static int find_inserted(const char *blocks, const char *alias,
                         struct json_object **ret_answer,
                         const struct json_object **ret_inserted,
                         struct err *err)
{
    struct json_object *items = NULL;
    int rc = answer_items(blocks, ret_answer, &items, err);
    if (rc < 0)
        return rc;
    const struct json_object *device = find_device(items, alias);
    if (!device)
        return GRAPH_NO_DISK;
    *ret_inserted = answer_member(device, "inserted", json_type_object);
    return 0;
}

int graph_disk_path(const char *blocks, const char *nodes, const char *alias,
                    char ret_path[PATH_MAX], struct err *err)
{
    _cleanup_json_ struct json_object *answer = NULL;
    const struct json_object *inserted = NULL;
    int rc = find_inserted(blocks, alias, &answer, &inserted, err);
    if (rc != 0)
        return rc;
    if (inserted)
        return leaf_place(inserted, nodes, ret_path, err);
    ret_path[0] = '\0';
    return 0;
}

/* --- layers ------------------------------------------------------------ */

static const struct json_object *backing_of(const struct json_object *image)
{
    return answer_member(image, "backing-image", json_type_object);
}

static size_t count_layers(const struct json_object *image)
{
    size_t n = 1;
    while ((image = backing_of(image)) != NULL)
        n++;
    return n;
}

/* A filter has the name of what it filters. */
static void add_layer(struct vm_layers *layers, const char *path)
{
    if (layers->n == 0 || !str_equal(layers->paths[layers->n - 1], path))
        (void)str_copy(layers->paths[layers->n++], PATH_MAX, path); /* fits */
}

static int read_layers(const struct json_object *inserted, const char *nodes,
                       struct vm_layers *layers, struct err *err)
{
    char path[PATH_MAX];
    const struct json_object *image =
        answer_member(inserted, "image", json_type_object);
    layers->paths = calloc(count_layers(image), sizeof(*layers->paths));
    if (!layers->paths)
        return err_set(err, -ENOMEM, "qemu's monitor: out of memory");
    int rc = leaf_place(inserted, nodes, path, err);
    while (rc == 0) {
        add_layer(layers, path);
        image = backing_of(image);
        if (!image)
            return 0;
        rc = layer_place(answer_string(image, "filename"), NULL, nodes, path,
                         err);
    }
    return rc;
}

int graph_disk_layers(const char *blocks, const char *nodes, const char *alias,
                      struct vm_layers *ret_layers, struct err *err)
{
    _cleanup_json_ struct json_object *answer = NULL;
    const struct json_object *inserted = NULL;
    int rc = find_inserted(blocks, alias, &answer, &inserted, err);
    if (rc != 0)
        return rc;
    struct vm_layers layers = { 0 };
    if (inserted)
        rc = read_layers(inserted, nodes, &layers, err);
    if (rc != 0) {
        vm_layers_deinit(&layers);
        return rc;
    }
    *ret_layers = layers;
    return 0;
}

/* --- commits ------------------------------------------------------------ */

/* "commit-vda-libvirt-3-format" -> 3 for vda */
static bool top_of_job(const char *job, const char *target, unsigned *ret_index)
{
    char head[64], digits[16];
    uint64_t index = 0;
    if (!str_format(head, sizeof(head), "commit-%s-libvirt-", target) ||
        !str_starts_with(job, head))
        return false;
    const char *start = job + strlen(head);
    const char *end = strchrnul(start, '-');
    if (!str_equal(end, "-format") ||
        !str_format(digits, sizeof(digits), "%.*s", (int)(end - start),
                    start) ||
        str_to_u64(digits, &index) < 0 || index > UINT_MAX)
        return false;
    *ret_index = (unsigned)index;
    return true;
}

int graph_commit_top(const char *jobs, const char *target, unsigned *ret_index,
                     struct err *err)
{
    _cleanup_json_ struct json_object *answer = NULL;
    struct json_object *items = NULL;
    int rc = answer_items(jobs, &answer, &items, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        const char *job =
            answer_string(json_object_array_get_idx(items, i), "device");
        if (job && top_of_job(job, target, ret_index))
            return 0;
    }
    return GRAPH_NO_JOB;
}

int graph_is_writable(const char *nodes, unsigned index, struct err *err)
{
    char name[NODE_NAME_SIZE];
    _cleanup_json_ struct json_object *answer = NULL;
    struct json_object *items = NULL;
    int rc = answer_items(nodes, &answer, &items, err);
    if (rc < 0)
        return rc;
    (void)str_format(name, sizeof(name), "libvirt-%u-format", index); /* fits */
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        const struct json_object *node = json_object_array_get_idx(items, i);
        struct json_object *ro = answer_member(node, "ro", json_type_boolean);
        if (ro && str_equal(answer_string(node, "node-name"), name))
            return !json_object_get_boolean(ro);
    }
    return 0;
}
