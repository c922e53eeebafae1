/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parses the XML of a VM with libxml2 and finds its disks. libvirt never
 * writes a DTD, so one is refused as soon as the parser meets it: that leaves
 * no entity to expand and nothing to load. libxml2's own limits (depth 256)
 * stay on.
 */
#include "xml-tree.h"
#include "xml.h"
#include <errno.h>
#include <libxml/parser.h>
#include <string.h>

void xml_tree_freep(xmlDoc **doc)
{
    xmlFreeDoc(*doc);
}

static void free_parser(xmlParserCtxt **parser)
{
    xmlFreeParserCtxt(*parser);
}

/* SAX: <!DOCTYPE met. A stopped parser gives no document. */
static void refuse_dtd(void *context, const xmlChar *name,
                       const xmlChar *external_id, const xmlChar *system_id)
{
    (void)name;
    (void)external_id;
    (void)system_id;
    xmlStopParser(context);
}

int xml_tree_parse(const char *text, xmlDoc **ret_doc, struct err *err)
{
    size_t len = strlen(text);
    if (len > XML_SIZE_MAX)
        return err_set(err, -EBADMSG, "VM's XML: %zu bytes, more than %d", len,
                       XML_SIZE_MAX);
    _cleanup_(free_parser) xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return err_set(err, -ENOMEM, "VM's XML: out of memory");
    parser->sax->internalSubset = refuse_dtd;
    _cleanup_doc_ xmlDoc *doc = xmlCtxtReadMemory(
        parser, text, (int)len, NULL, NULL,
        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!doc && parser->errNo == XML_ERR_NO_MEMORY)
        return err_set(err, -ENOMEM, "VM's XML: out of memory");
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!root)
        return err_set(err, -EBADMSG, "VM's XML: not well-formed, or a DTD");
    if (!xmlStrEqual(root->name, BAD_CAST "domain"))
        return err_set(err, -EBADMSG, "VM's XML: <%s> instead of <domain>",
                       (const char *)root->name);
    *ret_doc = TAKE(doc);
    return 0;
}

/* @node or the first element after it that has the name. */
static xmlNode *element_from(xmlNode *node, const char *name)
{
    while (node && (node->type != XML_ELEMENT_NODE || node->ns ||
                    !xmlStrEqual(node->name, BAD_CAST name)))
        node = node->next;
    return node;
}

xmlNode *xml_child(const xmlNode *node, const char *name)
{
    return node ? element_from(node->children, name) : NULL;
}

xmlNode *xml_first_disk(const xmlDoc *doc)
{
    return xml_child(xml_child(xmlDocGetRootElement(doc), "devices"), "disk");
}

xmlNode *xml_next_disk(const xmlNode *disk)
{
    return element_from(disk->next, "disk");
}

int xml_attribute(const xmlNode *node, const char *name, char *ret_value,
                  size_t size)
{
    if (!node || !xmlHasNsProp(node, BAD_CAST name, NULL)) {
        ret_value[0] = '\0';
        return 0;
    }
    xmlChar *value = xmlGetNoNsProp(node, BAD_CAST name);
    if (!value)
        return -ENOMEM;
    bool fits = str_copy(ret_value, size, (const char *)value);
    xmlFree(value);
    return fits ? 0 : -ENAMETOOLONG;
}

/* libvirt calls the name differently for each type of source. */
static const char *path_attribute(const char *type)
{
    static const char *const names[][2] = {
        {"",         "file"},
        { "file",    "file"},
        { "block",   "dev" },
        { "network", "name"},
        { "dir",     "dir" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (str_equal(type, names[i][0]))
            return names[i][1];
    }
    return NULL;
}

int xml_source_path(const xmlNode *node, char *ret_path, size_t size)
{
    char type[16];
    int rc = xml_attribute(node, "type", type, sizeof(type));
    if (rc < 0 && rc != -ENAMETOOLONG)
        return rc;
    const char *attribute = rc == 0 ? path_attribute(type) : NULL;
    const xmlNode *source = attribute ? xml_child(node, "source") : NULL;
    return xml_attribute(source, attribute ? attribute : "file", ret_path,
                         size);
}
