/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the XML of a VM says about the layers below its disks. Each is the child
 * of the one above it; the disk itself, or its <mirror>, is the leaf.
 */
#include "xml-tree.h"
#include "xml.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* A running VM's XML ends each chain with an empty <backingStore/>. */
static bool is_layer(const xmlNode *node)
{
    return xml_child(node, "source") != NULL;
}

size_t xml_chain_length(const xmlNode *disk)
{
    size_t n = 0;
    for (const xmlNode *node = disk; node && is_layer(node);
         node = xml_child(node, "backingStore"))
        n++;
    return n;
}

/* Of the disk itself the index is with its source. */
static unsigned index_of(const xmlNode *layer)
{
    uint64_t index = xml_number(layer, "index");
    if (index == 0)
        index = xml_number(xml_child(layer, "source"), "index");
    return index <= UINT_MAX ? (unsigned)index : 0;
}

static int read_chain(const xmlNode *disk, struct xml_layer **ret_layers,
                      size_t *ret_n, struct err *err)
{
    size_t n = xml_chain_length(disk), i = 0;
    _cleanup_free_ struct xml_layer *layers = calloc(n + 1, sizeof(*layers));
    if (!layers)
        return err_set(err, -ENOMEM, "VM's XML: out of memory");
    for (const xmlNode *node = disk; i < n;
         node = xml_child(node, "backingStore")) {
        layers[i].index = index_of(node);
        int rc = xml_source_path(node, layers[i].path, PATH_MAX);
        if (rc < 0)
            return err_set(err, rc, "VM's XML: a path is too long");
        i++;
    }
    *ret_layers = TAKE(layers);
    *ret_n = n;
    return 0;
}

int xml_chain(const char *text, const char *target,
              struct xml_layer **ret_layers, size_t *ret_n, struct err *err)
{
    _cleanup_doc_ xmlDoc *doc = NULL;
    int rc = xml_tree_parse(text, &doc, err);
    xmlNode *disk = NULL;
    if (rc == 0)
        rc = xml_find_disk(doc, target, &disk);
    if (rc < 0)
        return err_set(err, rc, "VM's XML: out of memory");
    return rc == XML_NO_DISK ? rc : read_chain(disk, ret_layers, ret_n, err);
}

static int read_layer(const xmlNode *node, struct vm_layer *layer)
{
    char type[16];
    const xmlNode *format = xml_child(node, "driver");
    if (!format)
        format = xml_child(node, "format");
    if (!str_format(layer->node, sizeof(layer->node), "%s[%u]", layer->target,
                    index_of(node)))
        return -ENAMETOOLONG;
    int rc =
        xml_attribute(format, "type", layer->format, sizeof(layer->format));
    if (rc == 0)
        rc = xml_attribute(node, "type", type, sizeof(type));
    if (rc == 0)
        layer->block = str_equal(type, "block");
    return rc ? rc : xml_source_path(node, layer->path, sizeof(layer->path));
}

/* Appends the layers from @leaf down; one without an index cannot be asked
 * about. */
static int read_layers(const char *target, const xmlNode *leaf, bool replica,
                       struct vm_layer *layers, size_t *n)
{
    size_t depth = 0, end = xml_chain_length(leaf);
    for (const xmlNode *node = leaf; depth < end;
         node = xml_child(node, "backingStore"), depth++) {
        if (index_of(node) == 0)
            continue;
        struct vm_layer *layer = &layers[(*n)++];
        layer->replica = replica;
        layer->depth = depth;
        (void)str_copy(layer->target, sizeof(layer->target), target);
        int rc = read_layer(node, layer);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_disk_layers(const xmlNode *disk, struct vm_layer *layers,
                            size_t *n)
{
    char target[DISK_TARGET_SIZE];
    enum vm_job_kind kind = VM_JOB_NONE;
    int rc =
        xml_attribute(xml_child(disk, "target"), "dev", target, sizeof(target));
    if (rc == 0)
        rc = xml_mirror_kind(disk, &kind);
    if (rc == 0)
        rc = read_layers(target, disk, false, layers, n);
    if (rc == 0 && kind == VM_JOB_COPY)
        rc = read_layers(target, xml_child(disk, "mirror"), true, layers, n);
    return rc;
}

static int read_all_layers(const xmlDoc *doc, struct vm_layer *layers,
                           size_t *n)
{
    int rc = 0;
    for (xmlNode *disk = xml_first_disk(doc); disk && rc == 0;
         disk = xml_next_disk(disk))
        rc = read_disk_layers(disk, layers, n);
    return rc;
}

static size_t count_all_layers(const xmlDoc *doc)
{
    size_t n = 0;
    for (xmlNode *disk = xml_first_disk(doc); disk; disk = xml_next_disk(disk))
        n += xml_chain_length(disk) +
             xml_chain_length(xml_child(disk, "mirror"));
    return n;
}

int xml_open_layers(const char *text, struct vm_layer **ret_layers,
                    size_t *ret_n, struct err *err)
{
    _cleanup_doc_ xmlDoc *doc = NULL;
    int rc = xml_tree_parse(text, &doc, err);
    if (rc < 0)
        return rc;
    size_t n = 0;
    struct vm_layer *layers =
        calloc(count_all_layers(doc) + 1, sizeof(*layers));
    if (!layers)
        return err_set(err, -ENOMEM, "VM's XML: out of memory");
    rc = read_all_layers(doc, layers, &n);
    if (rc < 0) {
        free(layers);
        return err_set(err, rc, "VM's XML: %s",
                       rc == -ENOMEM ? "out of memory" : "a name is too long");
    }
    *ret_layers = layers;
    *ret_n = n;
    return 0;
}

/* @node and the layers below it. */
static int walk_layers(const xmlNode *node, xml_layer_fn fn, void *arg)
{
    for (; node; node = xml_child(node, "backingStore")) {
        char path[PATH_MAX];
        int rc = xml_source_path(node, path, sizeof(path));
        if (rc < 0)
            return rc;
        if (path[0] && fn(arg, path))
            return 1;
    }
    return 0;
}

int xml_layers(const char *text, xml_layer_fn fn, void *arg, struct err *err)
{
    _cleanup_doc_ xmlDoc *doc = NULL;
    int rc = xml_tree_parse(text, &doc, err);
    for (xmlNode *disk = rc == 0 ? xml_first_disk(doc) : NULL; disk && rc == 0;
         disk = xml_next_disk(disk)) {
        rc = walk_layers(disk, fn, arg);
        if (rc == 0)
            rc = walk_layers(xml_child(disk, "mirror"), fn, arg);
    }
    if (rc < 0)
        return err_set(err, rc, "VM's XML: a path is too long");
    return rc;
}
