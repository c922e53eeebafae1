/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The little of libxml2 that the xml-*.c share.
 */
#ifndef DRAY_VIRT_XML_TREE_H
#define DRAY_VIRT_XML_TREE_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <dray/ports/hypervisor.h>
#include <libxml/tree.h>
#include <stddef.h>

#define _cleanup_doc_ _cleanup_(xml_tree_freep)

/* Parses a VM's definition; no network, no DTD. The caller frees it. */
int xml_tree_parse(const char *text, xmlDoc **ret_doc, struct err *err);
void xml_tree_freep(xmlDoc **doc);

/* The first child element of that name, or NULL. @node may be NULL. */
xmlNode *xml_child(const xmlNode *node, const char *name);

/* The first <disk> of the VM and the one after @disk; NULL at the end. */
xmlNode *xml_first_disk(const xmlDoc *doc);
xmlNode *xml_next_disk(const xmlNode *disk);

/* The <disk> with that target. 0, XML_NO_DISK (xml.h), or -ENOMEM. */
int xml_find_disk(const xmlDoc *doc, const char *target, xmlNode **ret_disk);

/* Copies an attribute, "" when there is none or no @node. 0, -ENOMEM, or
 * -ENAMETOOLONG. */
int xml_attribute(const xmlNode *node, const char *name, char *ret_value,
                  size_t size);

/* The same as a number; 0 when it is none. */
uint64_t xml_number(const xmlNode *node, const char *name);

/* The place that @node's <source> names, by @node's type: a path, or a URI in
 * its one spelling; "" when it is of another type, or has none. As
 * xml_attribute(). */
int xml_source_path(const xmlNode *node, char *ret_path, size_t size);

/* The layers from @disk (or a <mirror>) down. */
size_t xml_chain_length(const xmlNode *disk);

/* Of the job that the disk has a <mirror> for; VM_JOB_NONE without. As
 * xml_attribute(). */
int xml_mirror_kind(const xmlNode *disk, enum vm_job_kind *ret_kind);

#endif
