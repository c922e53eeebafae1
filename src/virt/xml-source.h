/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A <source> as we write it: for xml-write.c.
 */
#ifndef DRAY_VIRT_XML_SOURCE_H
#define DRAY_VIRT_XML_SOURCE_H

#include "xml.h"
#include <libxml/tree.h>

/* -EINVAL for a path or a format that cannot be. */
int xml_source_check(const struct xml_source *source, struct err *err);

/* The disk's type for it: file, block, network. */
const char *xml_source_type(const struct xml_source *source);

/* Fills in an empty <source>. False: out of memory. */
bool xml_source_fill(xmlNode *node, const struct xml_source *source);

/* Appends <name attribute='value'/>; NULL: out of memory. */
xmlNode *xml_add_element(xmlNode *parent, const char *name,
                         const char *attribute, const char *value);

#endif
