/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * URIs of network disks in one spelling. A URI is
 *
 *   protocol[+transport]://[host][:port][/name][?query]
 *
 * where name and host may have %XX in them. In the one spelling
 *   - protocol and host are lower case;
 *   - the transport tcp and the protocol's own port are left out, except
 *     that nbd always has its port, as qemu prints it;
 *   - what is not a letter, a digit or one of "-._~/:@,=" is %XX, and a host
 *     has none of "/@,=" either;
 *   - the name begins after exactly one slash (an NBD export may begin with
 *     one of its own).
 */
#include "place.h"
#include <ctype.h>
#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

static const struct protocol {
    const char *name;
    const char *port;
    bool is_path; /* its names are paths from the root */
} protocols[] = {
    {"nbd",       "10809", false},
    { "iscsi",    "3260",  false},
    { "rbd",      "",      false},
    { "gluster",  "24007", false},
    { "ssh",      "22",    true },
    { "nfs",      "",      true },
    { "http",     "80",    false},
    { "https",    "443",   false},
    { "ftp",      "21",    false},
    { "ftps",     "990",   false},
    { "tftp",     "69",    false},
    { "sheepdog", "7000",  false},
    { "vxhs",     "9999",  false},
};

/* Beside letters and digits. */
static const char name_marks[] = "-._~/:@,=", host_marks[] = "-._~:";

static bool is_plain(char c, const char *marks)
{
    return isalnum((unsigned char)c) || (c && strchr(marks, c));
}

static const struct protocol *protocol_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        if (str_equal(protocols[i].name, name))
            return &protocols[i];
    }
    return NULL;
}

void place_lower(char *text)
{
    for (; *text; text++) {
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text | 0x20);
    }
}

void place_simplify(struct place *place)
{
    const struct protocol *protocol = protocol_of(place->protocol);
    bool is_unix = str_equal(place->transport, "unix");
    place_lower(place->host);
    if (!protocol)
        return;
    if (is_unix || str_equal(place->port, protocol->port))
        place->port[0] = '\0';
    if (is_unix)
        place->host[0] = '\0';
    if (protocol->is_path) {
        const char *name = place->name + strspn(place->name, "/");
        memmove(place->name, name, strlen(name) + 1);
    }
    /* the unit of an iSCSI target that names none */
    size_t len = strlen(place->name);
    if (str_equal(place->protocol, "iscsi") && len &&
        !strchr(place->name, '/') && len + 2 < sizeof(place->name))
        memcpy(place->name + len, "/0", sizeof("/0"));
}

bool place_is_usable(const struct place *place, const char **ret_why)
{
    *ret_why = NULL;
    if (!protocol_of(place->protocol))
        *ret_why = "qemu knows no such protocol";
    else if (!place->host[0] && !place->socket[0] &&
             !str_equal(place->protocol, "rbd"))
        *ret_why = "no host";
    for (const char *c = place->host; *c && !*ret_why; c++) {
        if (!is_plain(*c, host_marks))
            *ret_why = "odd characters in the name of the host";
    }
    return !*ret_why;
}

bool place_is_uri(const char *text)
{
    return text[0] != '/';
}

/* Appends @text; what is no letter, no digit and none of @marks is escaped.
 * False when it does not fit. */
static bool append(char *uri, const char *text, const char *marks)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = uri + strlen(uri);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (to - uri + 4 > PATH_MAX)
            return false;
        if (is_plain(*text, marks)) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c / 16];
        *to++ = digits[c % 16];
    }
    *to = '\0';
    return true;
}

/* Appends what needs no escaping. */
static bool append_raw(char *uri, const char *text)
{
    size_t used = strlen(uri);
    return str_copy(uri + used, PATH_MAX - used, text);
}

static bool append_server(char *uri, const struct place *place)
{
    bool brackets = strchr(place->host, ':') != NULL;
    bool is_nbd = str_equal(place->protocol, "nbd");
    const char *port = place->port;
    if (!port[0] && is_nbd && !place->transport[0])
        port = protocol_of("nbd")->port;
    return append_raw(uri, brackets ? "[" : "") &&
           append(uri, place->host, host_marks) &&
           append_raw(uri, brackets ? "]" : "") &&
           append_raw(uri, port[0] ? ":" : "") && append_raw(uri, port);
}

static bool append_query(char *uri, const struct place *place)
{
    if (str_equal(place->transport, "unix"))
        return append_raw(uri, "?socket=") &&
               append(uri, place->socket, name_marks);
    return !place->query[0] ||
           (append_raw(uri, "?") && append_raw(uri, place->query));
}

int place_format(const struct place *place, char ret_uri[PATH_MAX])
{
    struct place simple = *place;
    char uri[PATH_MAX] = "";
    place_simplify(&simple);
    bool ok = append(uri, simple.protocol, host_marks) &&
              append_raw(uri, simple.transport[0] ? "+" : "") &&
              append(uri, simple.transport, host_marks) &&
              append_raw(uri, "://") && append_server(uri, &simple) &&
              append_raw(uri, "/") && append(uri, simple.name, name_marks) &&
              append_query(uri, &simple);
    if (!ok)
        return -ENAMETOOLONG;
    memcpy(ret_uri, uri, strlen(uri) + 1);
    return 0;
}

int place_normalize(const char *text, char ret_place[PATH_MAX], struct err *err)
{
    struct place place;
    if (!place_is_uri(text)) {
        if (!str_copy(ret_place, PATH_MAX, text))
            return err_set(err, -ENAMETOOLONG, "path %.64s...: too long", text);
        return 0;
    }
    int rc = place_parse(text, &place, err);
    if (rc < 0)
        return rc;
    rc = place_format(&place, ret_place);
    return rc < 0 ? err_set(err, rc, "address %.64s...: too long", text) : 0;
}
