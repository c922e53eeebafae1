/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes what a disk is made of. A path in a <source> is a file or a block
 * device; a URI comes apart again into what libvirt has an element for each.
 *
 * libxml2 escapes: no value can end an attribute. Control characters are
 * refused all the same, since a path with a newline in it is more likely an
 * attack on some log or script behind us than a disk.
 */
#include "xml-source.h"
#include "place.h"
#include <errno.h>
#include <inttypes.h>
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

int xml_source_check(const struct xml_source *source, struct err *err)
{
    struct place ignored;
    const char *path = source->path, *format = source->format;
    int rc = place_is_uri(path) ? place_parse(path, &ignored, err)
                                : check_value("path", path, err);
    if (rc < 0)
        return rc;
    if (!format[0])
        return err_set(err, -EINVAL, "path %s: no format given", path);
    return check_value("format", format, err);
}

const char *xml_source_type(const struct xml_source *source)
{
    if (place_is_uri(source->path))
        return "network";
    return source->is_block ? "block" : "file";
}

static bool add_attribute(xmlNode *node, const char *name, const char *value)
{
    return !value[0] || xmlNewProp(node, BAD_CAST name, BAD_CAST value);
}

xmlNode *xml_add_element(xmlNode *parent, const char *name,
                         const char *attribute, const char *value)
{
    xmlNode *node = xmlNewChild(parent, NULL, BAD_CAST name, NULL);
    return node && xmlNewProp(node, BAD_CAST attribute, BAD_CAST value) ? node
                                                                        : NULL;
}

static bool add_host(xmlNode *source, const struct place *place)
{
    xmlNode *host = xmlNewChild(source, NULL, BAD_CAST "host", NULL);
    return host && add_attribute(host, "name", place->host) &&
           add_attribute(host, "port", place->port) &&
           add_attribute(host, "transport", place->transport) &&
           add_attribute(host, "socket", place->socket);
}

/* Names that are paths lose their first slash in a URI. */
static bool add_name(xmlNode *source, const struct place *place)
{
    char path[PLACE_NAME_SIZE + 1];
    bool is_path =
        str_equal(place->protocol, "nfs") || str_equal(place->protocol, "ssh");
    return str_format(path, sizeof(path), "%s%s", is_path ? "/" : "",
                      place->name) &&
           add_attribute(source, "name", path);
}

static bool fill_network(xmlNode *node, const char *uri)
{
    struct place place;
    if (place_parse(uri, &place, NULL) < 0)
        return false; /* cannot be: it was checked */
    return add_attribute(node, "protocol", place.protocol) &&
           add_name(node, &place) &&
           add_attribute(node, "query", place.query) &&
           ((!place.host[0] && !place.socket[0]) || add_host(node, &place));
}

/* <slices><slice type='storage' offset='0' size='...'/></slices> */
static bool add_slice(xmlNode *node, uint64_t size)
{
    char digits[24];
    if (!str_format(digits, sizeof(digits), "%" PRIu64, size))
        return false;
    xmlNode *slices = xmlNewChild(node, NULL, BAD_CAST "slices", NULL);
    xmlNode *slice =
        slices ? xml_add_element(slices, "slice", "type", "storage") : NULL;
    return slice && add_attribute(slice, "offset", "0") &&
           add_attribute(slice, "size", digits);
}

bool xml_source_fill(xmlNode *node, const struct xml_source *source)
{
    bool ok;
    if (place_is_uri(source->path))
        ok = fill_network(node, source->path);
    else
        ok = xmlNewProp(node, BAD_CAST(source->is_block ? "dev" : "file"),
                        BAD_CAST source->path) != NULL;
    return ok && (source->slice == 0 || add_slice(node, source->slice));
}
