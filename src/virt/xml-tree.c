/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parses the XML of a VM with libxml2 and finds its disks. libvirt never
 * writes a DTD, so one is refused as soon as the parser meets it: that leaves
 * no entity to expand and nothing to load. libxml2's own limits (depth 256)
 * stay on.
 */
#include "xml-tree.h"
#include "place.h"
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

uint64_t xml_number(const xmlNode *node, const char *name)
{
    char digits[24];
    uint64_t value = 0;
    if (xml_attribute(node, name, digits, sizeof(digits)) < 0 ||
        str_to_u64(digits, &value) < 0)
        return 0;
    return value;
}

int xml_find_disk(const xmlDoc *doc, const char *target, xmlNode **ret_disk)
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

/* libvirt calls the path differently for each type of source. */
static const char *path_attribute(const char *type)
{
    static const char *const names[][2] = {
        {"",       "file"},
        { "file",  "file"},
        { "block", "dev" },
        { "dir",   "dir" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (str_equal(type, names[i][0]))
            return names[i][1];
    }
    return NULL;
}

/* The first server; where there are several, they are of one cluster. */
static int read_host(const xmlNode *host, struct place *place)
{
    int rc = xml_attribute(host, "name", place->host, sizeof(place->host));
    if (rc == 0)
        rc = xml_attribute(host, "port", place->port, sizeof(place->port));
    if (rc == 0)
        rc = xml_attribute(host, "transport", place->transport,
                           sizeof(place->transport));
    if (rc == 0)
        rc =
            xml_attribute(host, "socket", place->socket, sizeof(place->socket));
    if (str_equal(place->transport, "tcp"))
        place->transport[0] = '\0';
    return rc;
}

static int network_path(const xmlNode *source, char *ret_path, size_t size)
{
    struct place place = { 0 };
    char uri[PATH_MAX];
    int rc = xml_attribute(source, "protocol", place.protocol,
                           sizeof(place.protocol));
    if (rc == 0)
        rc = xml_attribute(source, "name", place.name, sizeof(place.name));
    if (rc == 0)
        rc = xml_attribute(source, "query", place.query, sizeof(place.query));
    if (rc == 0)
        rc = read_host(xml_child(source, "host"), &place);
    if (rc == 0)
        rc = place_format(&place, uri);
    if (rc < 0)
        return rc;
    return str_copy(ret_path, size, uri) ? 0 : -ENAMETOOLONG;
}

int xml_source_path(const xmlNode *node, char *ret_path, size_t size)
{
    char type[16];
    ret_path[0] = '\0';
    int rc = xml_attribute(node, "type", type, sizeof(type));
    if (rc < 0)
        return rc == -ENAMETOOLONG ? 0 : rc;
    const xmlNode *source = xml_child(node, "source");
    if (source && str_equal(type, "network"))
        return network_path(source, ret_path, size);
    const char *attribute = path_attribute(type);
    return attribute ? xml_attribute(source, attribute, ret_path, size) : 0;
}
