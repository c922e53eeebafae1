/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * URIs of network disks. A URI is
 *
 *   protocol[+transport]://[host][:port][/name][?query]
 *
 * where name and host may have %XX in them. In the one spelling
 *   - protocol and host are lower case;
 *   - the transport tcp and the protocol's own port are left out, except
 *     that nbd always has its port, as qemu prints it;
 *   - what is not a letter, a digit or one of "-._~/:@,=" is %XX;
 *   - the name begins after exactly one slash (an NBD export may begin with
 *     one of its own).
 *
 * Beside URIs there is qemu's old way: nbd:HOST:PORT[:exportname=NAME] and
 * nbd:unix:PATH[:exportname=NAME]. And qemu prints nbd URIs without escaping,
 * so "%41" from qemu are three characters of a name.
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

static const struct protocol *protocol_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        if (str_equal(protocols[i].name, name))
            return &protocols[i];
    }
    return NULL;
}

static bool is_web(const char *protocol)
{
    return str_equal(protocol, "http") || str_equal(protocol, "https") ||
           str_equal(protocol, "ftp") || str_equal(protocol, "ftps") ||
           str_equal(protocol, "tftp");
}

/* --- parts ------------------------------------------------------------- */

/* A piece of the text; false when it does not fit. */
static bool copy_part(char *dst, size_t size, const char *start,
                      const char *end)
{
    size_t len = (size_t)(end - start);
    if (len >= size)
        return false;
    memcpy(dst, start, len);
    dst[len] = '\0';
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* %XX resolved, in place. False for a bad %XX, and for control characters
 * that come that way. */
static bool unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++, to++) {
        *to = *from;
        if (*from != '%')
            continue;
        int high = hex_digit(from[1]);
        int low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0 || is_control((unsigned char)(high * 16 + low)))
            return false;
        *to = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return str_is_utf8(text, strlen(text));
}

static void lower(char *text)
{
    for (; *text; text++) {
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text | 0x20);
    }
}

/* Decimal, without leading zeros; "" for none. */
static bool take_port(const char *start, const char *end,
                      char ret_port[PLACE_PORT_SIZE])
{
    char text[PLACE_PORT_SIZE];
    uint64_t port = 0;
    ret_port[0] = '\0';
    if (start == end)
        return true;
    return copy_part(text, sizeof(text), start, end) &&
           str_to_u64(text, &port) == 0 && port > 0 && port <= UINT16_MAX &&
           str_format(ret_port, PLACE_PORT_SIZE, "%u", (unsigned)port);
}

/* "host", "host:port", "[address]:port". */
static bool take_server(const char *start, const char *end, struct place *place)
{
    const char *host_end = memchr(start, ':', (size_t)(end - start));
    const char *port = host_end ? host_end + 1 : end;
    if (start < end && *start == '[') {
        host_end = memchr(start, ']', (size_t)(end - start));
        if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
            return false;
        port = host_end + 1 < end ? host_end + 2 : end;
        start++;
    }
    if (!copy_part(place->host, sizeof(place->host), start,
                   host_end ? host_end : end) ||
        !take_port(port, end, place->port) || !unescape(place->host))
        return false;
    lower(place->host);
    return true;
}

/* "nbd+unix" -> nbd, unix */
static bool take_scheme(const char *start, const char *end, struct place *place)
{
    for (const char *c = start; c < end; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("+-.", *c))
            return false;
    }
    const char *plus = memchr(start, '+', (size_t)(end - start));
    if (!copy_part(place->protocol, sizeof(place->protocol), start,
                   plus ? plus : end) ||
        (plus &&
         !copy_part(place->transport, sizeof(place->transport), plus + 1, end)))
        return false;
    lower(place->protocol);
    lower(place->transport);
    if (str_equal(place->transport, "tcp"))
        place->transport[0] = '\0';
    return place->protocol[0] != '\0';
}

/* The value of "socket" among a=b&c=d. False when there is something else and
 * @strict. */
static bool take_socket(const char *query, bool strict, struct place *place)
{
    static const char wanted[] = "socket=";
    while (*query) {
        const char *end = strchrnul(query, '&');
        if (str_starts_with(query, wanted)) {
            if (place->socket[0] ||
                !copy_part(place->socket, sizeof(place->socket),
                           query + strlen(wanted), end))
                return false;
        } else if (strict && end > query) {
            return false;
        }
        query = *end ? end + 1 : end;
    }
    return unescape(place->socket);
}

static bool take_query(const char *query, bool strict, struct place *place)
{
    if (str_equal(place->transport, "unix"))
        return take_socket(query, strict, place) && place->socket[0];
    if (is_web(place->protocol))
        return str_copy(place->query, sizeof(place->query), query);
    return !strict || !*query;
}

/* --- what is common to all spellings ----------------------------------- */

/* Leaves out what is understood anyway. */
static void simplify(struct place *place)
{
    const struct protocol *protocol = protocol_of(place->protocol);
    bool is_unix = str_equal(place->transport, "unix");
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

static bool is_clean(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (is_control((unsigned char)text[i]))
            return false;
    }
    return len < PATH_MAX && str_is_utf8(text, len);
}

/* --- URIs -------------------------------------------------------------- */

static bool parse_uri(const char *uri, bool strict, struct place *place)
{
    const char *scheme_end = strstr(uri, "://");
    if (!scheme_end || !take_scheme(uri, scheme_end, place))
        return false;
    const char *server = scheme_end + strlen("://");
    const char *server_end = server + strcspn(server, "/?#");
    const char *user_end = memrchr(server, '@', (size_t)(server_end - server));
    if (user_end && strict)
        return false;
    if (!take_server(user_end ? user_end + 1 : server, server_end, place))
        return false;
    const char *name = server_end + (*server_end == '/');
    const char *name_end = name + strcspn(name, "?#");
    if (*strchrnul(name_end, '#'))
        return false;
    return copy_part(place->name, sizeof(place->name), name, name_end) &&
           unescape(place->name) &&
           take_query(name_end + (*name_end == '?'), strict, place);
}

/* "unix:PATH[:exportname=NAME]", "HOST:PORT[:exportname=NAME]" */
static bool parse_old_nbd(const char *text, struct place *place)
{
    static const char name_mark[] = ":exportname=", unix_mark[] = "unix:";
    const char *end = strstr(text, name_mark);
    (void)str_copy(place->protocol, sizeof(place->protocol), "nbd");
    if (end &&
        !str_copy(place->name, sizeof(place->name), end + strlen(name_mark)))
        return false;
    if (!end)
        end = text + strlen(text);
    if (!str_starts_with(text, unix_mark))
        return take_server(text, end, place) && place->host[0];
    (void)str_copy(place->transport, sizeof(place->transport), "unix");
    return copy_part(place->socket, sizeof(place->socket),
                     text + strlen(unix_mark), end) &&
           place->socket[0];
}

/* qemu: "nbd+unix://[/NAME]?socket=PATH"; the mark that counts is the last. */
static bool parse_printed_unix(const char *text, struct place *place)
{
    static const char mark[] = "?socket=";
    const char *end = NULL;
    for (const char *at = text; (at = strstr(at, mark)) != NULL; at++)
        end = at;
    text += *text == '/';
    (void)str_copy(place->protocol, sizeof(place->protocol), "nbd");
    (void)str_copy(place->transport, sizeof(place->transport), "unix");
    return end &&
           (end < text ||
            copy_part(place->name, sizeof(place->name), text, end)) &&
           str_copy(place->socket, sizeof(place->socket), end + strlen(mark)) &&
           place->socket[0];
}

/* qemu: "nbd://HOST:PORT[/NAME]"; an address has no brackets. */
static bool parse_printed_tcp(const char *text, struct place *place)
{
    const char *end = strchrnul(text, '/');
    const char *colon = memrchr(text, ':', (size_t)(end - text));
    (void)str_copy(place->protocol, sizeof(place->protocol), "nbd");
    if (*end && !str_copy(place->name, sizeof(place->name), end + 1))
        return false;
    if (*text == '[')
        return take_server(text, end, place);
    if (!colon || !copy_part(place->host, sizeof(place->host), text, colon) ||
        !take_port(colon + 1, end, place->port))
        return false;
    lower(place->host);
    return true;
}

static const char *after(const char *text, const char *prefix)
{
    return str_starts_with(text, prefix) ? text + strlen(prefix) : NULL;
}

/* "rbd:POOL/IMAGE[@SNAPSHOT][:OPTION=VALUE...]" */
static bool parse_old_rbd(const char *text, struct place *place)
{
    (void)str_copy(place->protocol, sizeof(place->protocol), "rbd");
    return copy_part(place->name, sizeof(place->name), text,
                     strchrnul(text, ':')) &&
           place->name[0];
}

static bool parse_any(const char *text, bool strict, struct place *place)
{
    bool is_uri = strstr(text, "://") != NULL;
    if (!is_uri && after(text, "nbd:"))
        return parse_old_nbd(after(text, "nbd:"), place);
    if (!is_uri && !strict && after(text, "rbd:"))
        return parse_old_rbd(after(text, "rbd:"), place);
    return parse_uri(text, strict, place);
}

bool place_is_uri(const char *text)
{
    return text[0] != '/';
}

int place_parse(const char *uri, struct place *ret_place, struct err *err)
{
    struct place place = { 0 };
    if (!is_clean(uri))
        return err_set(err, -EINVAL,
                       "address: too long, control characters, or not UTF-8");
    if (!parse_any(uri, true, &place)) {
        int rc =
            err_set(err, -EINVAL, "address %s: not one that we can use", uri);
        (void)err_next(err, "an absolute path, nbd+unix:///NAME?socket=PATH, "
                            "nbd://HOST:PORT/NAME or the like; no user, no "
                            "password, no other parameters");
        return rc;
    }
    if (!protocol_of(place.protocol))
        return err_set(err, -EINVAL, "address %s: qemu knows no protocol %s",
                       uri, place.protocol);
    simplify(&place);
    *ret_place = place;
    return 0;
}

int place_parse_qemu(const char *filename, struct place *ret_place)
{
    struct place place = { 0 };
    const char *printed_unix = after(filename, "nbd+unix://");
    const char *printed_tcp = after(filename, "nbd://");
    bool ok = is_clean(filename);
    if (ok && printed_unix)
        ok = parse_printed_unix(printed_unix, &place);
    else if (ok && printed_tcp)
        ok = parse_printed_tcp(printed_tcp, &place);
    else if (ok)
        ok = parse_any(filename, false, &place);
    if (!ok)
        return -EINVAL;
    simplify(&place);
    *ret_place = place;
    return 0;
}

/* --- the one spelling --------------------------------------------------- */

static bool is_plain(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-._~/:@,=", c));
}

/* Appends @text escaped. False when it does not fit. */
static bool append(char *uri, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = uri + strlen(uri);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (to - uri + 4 > PATH_MAX)
            return false;
        *to++ = is_plain(*text) ? *text : '%';
        if (is_plain(*text))
            continue;
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
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
    return append_raw(uri, brackets ? "[" : "") && append(uri, place->host) &&
           append_raw(uri, brackets ? "]" : "") &&
           append_raw(uri, port[0] ? ":" : "") && append_raw(uri, port);
}

static bool append_query(char *uri, const struct place *place)
{
    if (str_equal(place->transport, "unix"))
        return append_raw(uri, "?socket=") && append(uri, place->socket);
    return !place->query[0] ||
           (append_raw(uri, "?") && append_raw(uri, place->query));
}

int place_format(const struct place *place, char ret_uri[PATH_MAX])
{
    struct place simple = *place;
    char uri[PATH_MAX] = "";
    simplify(&simple);
    bool ok = append(uri, simple.protocol) &&
              append_raw(uri, simple.transport[0] ? "+" : "") &&
              append(uri, simple.transport) && append_raw(uri, "://") &&
              append_server(uri, &simple) && append_raw(uri, "/") &&
              append(uri, simple.name) && append_query(uri, &simple);
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
