/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the XML of a VM says about its disks.
 *
 * Paths and targets are compared and acted upon, so one that does not fit is
 * an error and never cut off; a serial or an alias is for people and for
 * matching, where a cut-off one matches nothing.
 */
#include "xml-tree.h"
#include "xml.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* For values that may be cut off. */
static int attribute_cut(const xmlNode *node, const char *name, char *ret_value,
                         size_t size)
{
    int rc = xml_attribute(node, name, ret_value, size);
    return rc == -ENAMETOOLONG ? 0 : rc;
}

static int serial_of(const xmlNode *disk, char *ret_serial, size_t size)
{
    const xmlNode *serial = xml_child(disk, "serial");
    ret_serial[0] = '\0';
    if (!serial)
        return 0;
    xmlChar *text = xmlNodeGetContent(serial);
    if (!text)
        return -ENOMEM;
    (void)str_copy(ret_serial, size, (const char *)text);
    xmlFree(text);
    return 0;
}

/* Only a running VM's disk says where its chain ends. */
static bool chain_is_known(const xmlNode *disk)
{
    char index[16] = "";
    (void)xml_attribute(xml_child(disk, "source"), "index", index,
                        sizeof(index));
    return index[0] != '\0';
}

static enum mirror_phase phase_of(const char *ready)
{
    if (str_equal(ready, "yes"))
        return MIRROR_READY;
    if (str_equal(ready, "abort"))
        return MIRROR_ABORTING;
    if (str_equal(ready, "pivot"))
        return MIRROR_PIVOTING;
    return MIRROR_COPYING;
}

/* In the last step of a pivot libvirt has forgotten the kind. A commit writes
 * into one of the disk's own layers, a copy never does. */
static enum vm_job_kind guess_kind(const xmlNode *disk, const char *mirror_path)
{
    char path[PATH_MAX];
    for (const xmlNode *node = xml_child(disk, "backingStore"); node;
         node = xml_child(node, "backingStore")) {
        if (xml_source_path(node, path, sizeof(path)) == 0 && path[0] &&
            str_equal(path, mirror_path))
            return VM_JOB_ACTIVE_COMMIT;
    }
    return VM_JOB_COPY;
}

static enum vm_job_kind kind_of(const xmlNode *disk, const char *job,
                                const char *mirror_path)
{
    if (job[0] == '\0')
        return guess_kind(disk, mirror_path);
    if (str_equal(job, "copy"))
        return VM_JOB_COPY;
    if (str_equal(job, "active-commit"))
        return VM_JOB_ACTIVE_COMMIT;
    return VM_JOB_OTHER;
}

int xml_mirror_kind(const xmlNode *disk, enum vm_job_kind *ret_kind)
{
    const xmlNode *mirror = xml_child(disk, "mirror");
    char job[16], path[PATH_MAX];
    *ret_kind = VM_JOB_NONE;
    if (!mirror)
        return 0;
    int rc = attribute_cut(mirror, "job", job, sizeof(job));
    if (rc == 0)
        rc = xml_source_path(mirror, path, sizeof(path));
    if (rc == 0)
        *ret_kind = kind_of(disk, job, path);
    return rc;
}

static int read_mirror(const xmlNode *disk, struct xml_disk *ret_disk)
{
    const xmlNode *mirror = xml_child(disk, "mirror");
    if (!mirror)
        return 0;
    char ready[8];
    int rc = xml_mirror_kind(disk, &ret_disk->kind);
    if (rc == 0)
        rc = attribute_cut(mirror, "ready", ready, sizeof(ready));
    if (rc == 0)
        rc = xml_source_path(mirror, ret_disk->mirror_path,
                             sizeof(ret_disk->mirror_path));
    if (rc < 0)
        return rc;
    ret_disk->phase = phase_of(ready);
    if (ret_disk->kind != VM_JOB_COPY)
        return 0;
    struct vm_mirror *ret_mirror = &ret_disk->disk.mirror;
    ret_mirror->present = true;
    ret_mirror->ready = ret_disk->phase == MIRROR_READY;
    memcpy(ret_mirror->path, ret_disk->mirror_path, sizeof(ret_mirror->path));
    return 0;
}

/* Ours, and those that others made the same way: from the start on. */
static uint64_t slice_of(const xmlNode *disk)
{
    const xmlNode *slice =
        xml_child(xml_child(xml_child(disk, "source"), "slices"), "slice");
    return xml_number(slice, "offset") == 0 ? xml_number(slice, "size") : 0;
}

static int read_names(const xmlNode *node, struct vm_disk *ret_disk)
{
    int rc = xml_attribute(xml_child(node, "target"), "dev", ret_disk->target,
                           sizeof(ret_disk->target));
    if (rc == 0)
        rc = attribute_cut(node, "device", ret_disk->device,
                           sizeof(ret_disk->device));
    if (rc == 0)
        rc =
            attribute_cut(node, "type", ret_disk->type, sizeof(ret_disk->type));
    if (rc == 0)
        rc = attribute_cut(xml_child(node, "driver"), "type", ret_disk->format,
                           sizeof(ret_disk->format));
    if (rc == 0)
        rc = attribute_cut(xml_child(node, "alias"), "name", ret_disk->alias,
                           sizeof(ret_disk->alias));
    if (rc == 0)
        rc = serial_of(node, ret_disk->serial, sizeof(ret_disk->serial));
    if (!ret_disk->device[0])
        (void)str_copy(ret_disk->device, sizeof(ret_disk->device), "disk");
    return rc;
}

static int read_disk(const xmlNode *node, struct xml_disk *ret_disk,
                     struct err *err)
{
    *ret_disk = (struct xml_disk){ 0 };
    struct vm_disk *disk = &ret_disk->disk;
    int rc = read_names(node, disk);
    if (rc == 0)
        rc = xml_source_path(node, disk->path, sizeof(disk->path));
    if (rc == 0)
        rc = read_mirror(node, ret_disk);
    if (rc < 0)
        return err_set(err, rc, "VM's XML: disk %s: %s", disk->target,
                       rc == -ENOMEM ? "out of memory" : "name too long");
    disk->read_only = xml_child(node, "readonly") != NULL;
    disk->shareable = xml_child(node, "shareable") != NULL;
    disk->transient = xml_child(node, "transient") != NULL;
    ret_disk->slice = slice_of(node);
    if (chain_is_known(node))
        disk->chain_n = xml_chain_length(node);
    return 0;
}

int xml_disks(const char *text, struct xml_disk **ret_disks, size_t *ret_n,
              struct err *err)
{
    _cleanup_doc_ xmlDoc *doc = NULL;
    int rc = xml_tree_parse(text, &doc, err);
    if (rc < 0)
        return rc;
    size_t n = 0;
    for (xmlNode *node = xml_first_disk(doc); node; node = xml_next_disk(node))
        n++;
    _cleanup_free_ struct xml_disk *disks = calloc(n + 1, sizeof(*disks));
    if (!disks)
        return err_set(err, -ENOMEM, "VM's XML: out of memory");
    size_t i = 0;
    for (xmlNode *node = xml_first_disk(doc); node;
         node = xml_next_disk(node)) {
        rc = read_disk(node, &disks[i++], err);
        if (rc < 0)
            return rc;
    }
    *ret_disks = TAKE(disks);
    *ret_n = n;
    return 0;
}

int xml_disk(const char *text, const char *target, struct xml_disk *ret_disk,
             struct err *err)
{
    _cleanup_doc_ xmlDoc *doc = NULL;
    int rc = xml_tree_parse(text, &doc, err);
    if (rc < 0)
        return rc;
    for (xmlNode *node = xml_first_disk(doc); node;
         node = xml_next_disk(node)) {
        struct xml_disk disk;
        rc = read_disk(node, &disk, err);
        if (rc < 0)
            return rc;
        if (str_equal(disk.disk.target, target)) {
            *ret_disk = disk;
            return 0;
        }
    }
    return XML_NO_DISK;
}
