/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The XML that we hand to libvirt. It is built as a tree and written by
 * libxml2. xml-source.c has what goes into a <source>.
 */
#include "xml-source.h"
#include "xml-tree.h"
#include "xml.h"
#include <errno.h>
#include <string.h>

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "VM's XML: out of memory");
}

/* The caller frees. */
static int text_of(xmlDoc *doc, char **ret_text, struct err *err)
{
    xmlChar *text = NULL;
    int len = 0;
    xmlDocDumpMemoryEnc(doc, &text, &len, "UTF-8");
    if (!text)
        return no_memory(err);
    char *copy = strndup((const char *)text, (size_t)len);
    xmlFree(text);
    if (!copy)
        return no_memory(err);
    *ret_text = copy;
    return 0;
}

/* A fresh document with this root; NULL when out of memory. The caller frees
 * *ret_doc. */
static xmlNode *new_document(const char *root, xmlDoc **ret_doc)
{
    *ret_doc = xmlNewDoc(BAD_CAST "1.0");
    xmlNode *node =
        *ret_doc ? xmlNewDocNode(*ret_doc, NULL, BAD_CAST root, NULL) : NULL;
    if (node)
        xmlDocSetRootElement(*ret_doc, node);
    return node;
}

/* What a <disk> of a copy and one of a snapshot have in common. */
static bool fill_disk(xmlNode *disk, const struct xml_source *source)
{
    xmlNode *node;
    return xmlNewProp(disk, BAD_CAST "type",
                      BAD_CAST xml_source_type(source)) &&
           xml_add_element(disk, "driver", "type", source->format) &&
           (node = xmlNewChild(disk, NULL, BAD_CAST "source", NULL)) != NULL &&
           xml_source_fill(node, source);
}

int xml_copy_destination(const struct xml_source *source, char **ret_text,
                         struct err *err)
{
    int rc = xml_source_check(source, err);
    if (rc < 0)
        return rc;
    _cleanup_doc_ xmlDoc *doc = NULL;
    xmlNode *disk = new_document("disk", &doc);
    if (!disk || !fill_disk(disk, source))
        return no_memory(err);
    return text_of(doc, ret_text, err);
}

static bool add_overlay(xmlNode *disks, const struct xml_overlay *overlay)
{
    xmlNode *disk = xml_add_element(disks, "disk", "name", overlay->target);
    bool takes_part = overlay->source.path != NULL;
    return disk &&
           xmlNewProp(disk, BAD_CAST "snapshot",
                      BAD_CAST(takes_part ? "external" : "no")) &&
           (!takes_part || fill_disk(disk, &overlay->source));
}

int xml_snapshot(const struct xml_overlay *overlays, size_t n, char **ret_text,
                 struct err *err)
{
    _cleanup_doc_ xmlDoc *doc = NULL;
    xmlNode *root = new_document("domainsnapshot", &doc);
    xmlNode *disks =
        root ? xmlNewChild(root, NULL, BAD_CAST "disks", NULL) : NULL;
    bool ok = disks != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        int rc = overlays[i].source.path
                     ? xml_source_check(&overlays[i].source, err)
                     : 0;
        if (rc < 0)
            return rc;
        ok = add_overlay(disks, &overlays[i]);
    }
    return ok ? text_of(doc, ret_text, err) : no_memory(err);
}

static void drop_child(xmlNode *node, const char *name)
{
    xmlNode *child;
    while ((child = xml_child(node, name)) != NULL) {
        xmlUnlinkNode(child);
        xmlFreeNode(child);
    }
}

/* The same path as file and as block device is not the same. */
static bool says_so_already(const xmlNode *disk,
                            const struct xml_source *source)
{
    char path[PATH_MAX], type[16], format[16];
    return xml_source_path(disk, path, sizeof(path)) == 0 &&
           xml_attribute(disk, "type", type, sizeof(type)) == 0 &&
           xml_attribute(xml_child(disk, "driver"), "type", format,
                         sizeof(format)) == 0 &&
           str_equal(path, source->path) && str_equal(format, source->format) &&
           str_equal(type, xml_source_type(source));
}

/* A label given by hand belongs to the VM, not to the old file; all else in
 * a <source> (slices, encryption, hosts, credentials) does describe the old
 * one. */
static bool move_labels(xmlNode *from, xmlNode *to)
{
    xmlNode *label;
    while ((label = xml_child(from, "seclabel")) != NULL) {
        xmlUnlinkNode(label);
        if (!xmlAddChild(to, label)) {
            xmlFreeNode(label);
            return false;
        }
    }
    return true;
}

static bool replace_source(xmlNode *disk, const struct xml_source *source)
{
    xmlNode *old = xml_child(disk, "source");
    xmlNode *fresh = xmlNewDocNode(disk->doc, NULL, BAD_CAST "source", NULL);
    if (!fresh)
        return false;
    /* In the tree at once: from here on it is freed with the rest. */
    if (old)
        (void)xmlAddNextSibling(old, fresh); /* plain pointer work */
    else
        (void)xmlAddChild(disk, fresh);
    if (!xml_source_fill(fresh, source))
        return false;
    if (!old)
        return true;
    if (!move_labels(old, fresh))
        return false;
    xmlUnlinkNode(old);
    xmlFreeNode(old);
    return true;
}

static bool set_format(xmlNode *disk, const char *format)
{
    xmlNode *driver = xml_child(disk, "driver");
    if (!driver)
        return xml_add_element(disk, "driver", "name", "qemu") &&
               xmlSetProp(xml_child(disk, "driver"), BAD_CAST "type",
                          BAD_CAST format);
    return xmlSetProp(driver, BAD_CAST "type", BAD_CAST format) != NULL;
}

static bool set_source(xmlNode *disk, const struct xml_source *source)
{
    drop_child(disk, "backingStore");
    drop_child(disk, "mirror");
    return xmlSetProp(disk, BAD_CAST "type",
                      BAD_CAST xml_source_type(source)) &&
           replace_source(disk, source) && set_format(disk, source->format);
}

int xml_set_source(const char *text, const char *target,
                   const struct xml_source *source, char **ret_text,
                   struct err *err)
{
    int rc = xml_source_check(source, err);
    if (rc < 0)
        return rc;
    _cleanup_doc_ xmlDoc *doc = NULL;
    rc = xml_tree_parse(text, &doc, err);
    if (rc < 0)
        return rc;
    xmlNode *disk = NULL;
    rc = xml_find_disk(doc, target, &disk);
    if (rc < 0)
        return no_memory(err);
    if (rc == XML_NO_DISK)
        return rc;
    if (says_so_already(disk, source))
        return XML_UNCHANGED;
    if (!set_source(disk, source))
        return no_memory(err);
    return text_of(doc, ret_text, err);
}
