/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The XML that we hand to libvirt. It is built as a tree and written by
 * libxml2, which escapes: no value can end an attribute. Control characters
 * are refused all the same, since a path with a newline in it is more likely
 * an attack on some log or script behind us than a disk.
 */
#include "xml-tree.h"
#include "xml.h"
#include <errno.h>
#include <string.h>

static bool has_control(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    }
    return false;
}

static int check_value(const char *what, const char *value, struct err *err)
{
    if (!str_is_utf8(value, strlen(value)) || has_control(value))
        return err_set(err, -EINVAL, "%s %s: control characters or not UTF-8",
                       what, value);
    return 0;
}

static int check_source(const char *path, const char *format, struct err *err)
{
    if (path[0] != '/')
        return err_set(err, -EINVAL, "path %s: not absolute", path);
    if (!format[0])
        return err_set(err, -EINVAL, "path %s: no format given", path);
    int rc = check_value("path", path, err);
    if (rc == 0)
        rc = check_value("format", format, err);
    return rc;
}

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

static const char *type_name(bool is_block)
{
    return is_block ? "block" : "file";
}

static const char *source_attribute(bool is_block)
{
    return is_block ? "dev" : "file";
}

/* Appends <name attribute='value'/>. */
static bool add_element(xmlNode *parent, const char *name,
                        const char *attribute, const char *value)
{
    xmlNode *node = xmlNewChild(parent, NULL, BAD_CAST name, NULL);
    return node && xmlNewProp(node, BAD_CAST attribute, BAD_CAST value);
}

int xml_copy_destination(const char *path, bool is_block, const char *format,
                         char **ret_text, struct err *err)
{
    int rc = check_source(path, format, err);
    if (rc < 0)
        return rc;
    _cleanup_doc_ xmlDoc *doc = xmlNewDoc(BAD_CAST "1.0");
    xmlNode *disk =
        doc ? xmlNewDocNode(doc, NULL, BAD_CAST "disk", NULL) : NULL;
    if (!disk)
        return no_memory(err);
    xmlDocSetRootElement(doc, disk);
    bool ok = xmlNewProp(disk, BAD_CAST "type", BAD_CAST type_name(is_block)) &&
              add_element(disk, "driver", "type", format) &&
              add_element(disk, "source", source_attribute(is_block), path);
    return ok ? text_of(doc, ret_text, err) : no_memory(err);
}

static int find_disk(const xmlDoc *doc, const char *target, xmlNode **ret_disk)
{
    for (xmlNode *disk = xml_first_disk(doc); disk;
         disk = xml_next_disk(disk)) {
        char name[DISK_TARGET_SIZE];
        int rc =
            xml_attribute(xml_child(disk, "target"), "dev", name, sizeof(name));
        if (rc < 0 && rc != -ENAMETOOLONG)
            return rc;
        if (rc == 0 && str_equal(name, target)) {
            *ret_disk = disk;
            return 0;
        }
    }
    return XML_NO_DISK;
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
           str_equal(type, type_name(source->is_block));
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
    if (!xmlNewProp(fresh, BAD_CAST source_attribute(source->is_block),
                    BAD_CAST source->path))
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
        return add_element(disk, "driver", "name", "qemu") &&
               xmlSetProp(xml_child(disk, "driver"), BAD_CAST "type",
                          BAD_CAST format);
    return xmlSetProp(driver, BAD_CAST "type", BAD_CAST format) != NULL;
}

static bool set_source(xmlNode *disk, const struct xml_source *source)
{
    drop_child(disk, "backingStore");
    drop_child(disk, "mirror");
    return xmlSetProp(disk, BAD_CAST "type",
                      BAD_CAST type_name(source->is_block)) &&
           replace_source(disk, source) && set_format(disk, source->format);
}

int xml_set_source(const char *text, const char *target,
                   const struct xml_source *source, char **ret_text,
                   struct err *err)
{
    int rc = check_source(source->path, source->format, err);
    if (rc < 0)
        return rc;
    _cleanup_doc_ xmlDoc *doc = NULL;
    rc = xml_tree_parse(text, &doc, err);
    if (rc < 0)
        return rc;
    xmlNode *disk = NULL;
    rc = find_disk(doc, target, &disk);
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
