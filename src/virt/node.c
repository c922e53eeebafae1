/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of nodes. qemu prints a name of one of three forms:
 *
 *   /dir/leaf.qcow2                   a file or device
 *   nbd://host:10809/name             what is on the network and has no other
 *                                     options
 *   json:{"driver":"qcow2","file":{"driver":"file","filename":"/dir/..."},
 *         "backing":{...}}            the rest: when libvirt named the backing
 *                                     chain, or when only a part is used
 *
 * The json form is walked down to the node that does the I/O; that has a file
 * name, or says where its server is.
 */
#include "node.h"
#include "answer.h"
#include "place.h"
#include <string.h>

/* Filters that have what they filter as backing, not as file. */
static bool filters_backing(const char *driver)
{
    return str_equal(driver, "mirror_top") || str_equal(driver, "commit_top");
}

/* "server": {...}, or the first of a list of them. */
static const struct json_object *server_of(const struct json_object *node)
{
    const struct json_object *server =
        answer_member(node, "server", json_type_object);
    struct json_object *list = answer_member(node, "server", json_type_array);
    if (!server && list)
        server = json_object_array_get_idx(list, 0);
    return server;
}

/* A string, or a number as one. */
static const char *scalar_member(const struct json_object *node,
                                 const char *name)
{
    struct json_object *number = answer_member(node, name, json_type_int);
    return number ? json_object_get_string(number) : answer_string(node, name);
}

/* The member of the server; the flat spellings "server.host" and
 * "server.0.host" do as well. */
static const char *server_member(const struct json_object *node,
                                 const char *name)
{
    char flat[32];
    const struct json_object *server = server_of(node);
    const char *value = scalar_member(server ? server : node, name);
    if (value || server)
        return value;
    if (str_format(flat, sizeof(flat), "server.%s", name))
        value = scalar_member(node, flat);
    if (!value && str_format(flat, sizeof(flat), "server.0.%s", name))
        value = scalar_member(node, flat);
    return value;
}

static bool copy(char *dst, size_t size, const char *value)
{
    return !value || str_copy(dst, size, value);
}

/* Names that are made of several members: "volume" / "path". */
static bool copy_name(struct place *place, const struct json_object *node,
                      const char *const members[3])
{
    size_t used = 0;
    for (int i = 0; i < 3 && members[i]; i++) {
        const char *part = scalar_member(node, members[i]);
        if (!part)
            continue;
        if (!str_format(place->name + used, sizeof(place->name) - used, "%s%s",
                        used ? "/" : "", part))
            return false;
        used = strlen(place->name);
    }
    return true;
}

/* How each driver calls its parts. */
static const struct driver {
    const char *name;
    const char *members[3];
} drivers[] = {
    {"nbd",      { "export" }                    },
    { "ssh",     { "path" }                      },
    { "nfs",     { "path" }                      },
    { "gluster", { "volume", "path" }            },
    { "rbd",     { "pool", "namespace", "image" }},
    { "iscsi",   { "target", "lun" }             },
};

static const struct driver *driver_of(const struct json_object *node)
{
    const char *name = answer_string(node, "driver");
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
        if (str_equal(drivers[i].name, name))
            return &drivers[i];
    }
    return NULL;
}

/* NBD has its socket in "path" where there is no "server", but an ssh file
 * is one as well. */
static const char *socket_of(const struct json_object *node,
                             const struct driver *driver)
{
    const char *type = server_member(node, "type");
    if (str_equal(driver->name, "nbd") || str_equal(type, "unix"))
        return server_member(node, "path");
    return NULL;
}

static bool server_place(const struct json_object *node,
                         const struct driver *driver, struct place *place)
{
    const char *socket = socket_of(node, driver);
    if (socket)
        return str_copy(place->transport, sizeof(place->transport), "unix") &&
               str_copy(place->socket, sizeof(place->socket), socket);
    return copy(place->host, sizeof(place->host),
                server_member(node, "host")) &&
           copy(place->port, sizeof(place->port), server_member(node, "port"));
}

/* iSCSI's "portal" is "host:port", or "[address]:port". */
static bool portal_place(const char *portal, struct place *place)
{
    struct place server;
    char uri[PATH_MAX];
    if (!str_format(uri, sizeof(uri), "iscsi://%s/", portal) ||
        place_parse_qemu(uri, &server) < 0)
        return false;
    memcpy(place->host, server.host, sizeof(place->host));
    memcpy(place->port, server.port, sizeof(place->port));
    return true;
}

/* A node that has no file name: is it on the network? */
static bool network_place(const struct json_object *node,
                          char ret_place[PATH_MAX])
{
    struct place place = { 0 };
    const struct driver *driver = driver_of(node);
    const char *portal = answer_string(node, "portal");
    if (!driver)
        return false;
    (void)str_copy(place.protocol, sizeof(place.protocol), driver->name);
    if (!copy_name(&place, node, driver->members))
        return false;
    return (portal ? portal_place(portal, &place)
                   : server_place(node, driver, &place)) &&
           place_format(&place, ret_place) == 0;
}

static bool printed_place(const char *name, char ret_place[PATH_MAX])
{
    struct place place;
    if (name[0] != '/' && place_parse_qemu(name, &place) == 0)
        return place_format(&place, ret_place) == 0;
    return str_copy(ret_place, PATH_MAX, name);
}

/* From the top node of a json: name down to the file. */
static bool walk_down(const struct json_object *node, char ret_place[PATH_MAX])
{
    for (int depth = 0; node && depth < ANSWER_DEPTH_MAX; depth++) {
        const char *path = answer_string(node, "filename");
        if (!path)
            path = answer_string(node, "url");
        if (path)
            return printed_place(path, ret_place);
        if (network_place(node, ret_place))
            return true;
        bool below = filters_backing(answer_string(node, "driver"));
        node =
            answer_member(node, below ? "backing" : "file", json_type_object);
    }
    return false;
}

bool node_place(const char *name, char ret_place[PATH_MAX])
{
    static const char json[] = "json:";
    if (!str_starts_with(name, json))
        return printed_place(name, ret_place);
    _cleanup_json_ struct json_object *top = answer_parse(name + strlen(json));
    return walk_down(top, ret_place);
}
