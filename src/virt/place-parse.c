/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads addresses of network disks: URIs, and
 *
 *   nbd:HOST:PORT[:exportname=NAME]    nbd:unix:PATH[:exportname=NAME]
 *
 * which is qemu's old way. qemu prints nbd URIs without escaping, so "%41" from
 * qemu are three characters of a name; of other protocols it prints what it was
 * given.
 */
#include "place.h"
#include <ctype.h>
#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

static bool is_web(const char *protocol)
{
    return str_equal(protocol, "http") || str_equal(protocol, "https") ||
           str_equal(protocol, "ftp") || str_equal(protocol, "ftps") ||
           str_equal(protocol, "tftp");
}

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

/* A piece of the text, %XX resolved. False when it does not fit then, for a bad
 * %XX, and for control characters that come that way. */
static bool unescape_part(char *dst, size_t size, const char *start,
                          const char *end)
{
    size_t used = 0;
    for (const char *from = start; from < end; from++) {
        int c = (unsigned char)*from;
        if (c == '%') {
            int high = end - from > 2 ? hex_digit(from[1]) : -1;
            int low = end - from > 2 ? hex_digit(from[2]) : -1;
            if (high < 0 || low < 0 ||
                is_control((unsigned char)(high * 16 + low)))
                return false;
            c = high * 16 + low;
            from += 2;
        }
        if (used + 1 >= size)
            return false;
        dst[used++] = (char)c;
    }
    dst[used] = '\0';
    return str_is_utf8(dst, used);
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
    return unescape_part(place->host, sizeof(place->host), start,
                         host_end ? host_end : end) &&
           take_port(port, end, place->port);
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
    place_lower(place->protocol);
    place_lower(place->transport);
    if (str_equal(place->transport, "tcp"))
        place->transport[0] = '\0';
    return place->protocol[0] && (!plus || !place->transport[0] ||
                                  str_equal(place->transport, "unix") ||
                                  str_equal(place->transport, "rdma"));
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
                !unescape_part(place->socket, sizeof(place->socket),
                               query + strlen(wanted), end))
                return false;
        } else if (strict && end > query) {
            return false;
        }
        query = *end ? end + 1 : end;
    }
    return true;
}

static bool take_query(const char *query, bool strict, struct place *place)
{
    if (str_equal(place->transport, "unix"))
        return take_socket(query, strict, place) && place->socket[0];
    if (is_web(place->protocol))
        return str_copy(place->query, sizeof(place->query), query);
    return !strict || !*query;
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
    return unescape_part(place->name, sizeof(place->name), name, name_end) &&
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
        return take_server(text, end, place) && place->host[0] &&
               place->port[0];
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
    return colon && copy_part(place->host, sizeof(place->host), text, colon) &&
           take_port(colon + 1, end, place->port);
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
    static const char nbd[] = "nbd:", rbd[] = "rbd:";
    bool is_uri = strstr(text, "://") != NULL;
    if (!is_uri && str_starts_with(text, nbd))
        return parse_old_nbd(text + strlen(nbd), place);
    if (!is_uri && !strict && str_starts_with(text, rbd))
        return parse_old_rbd(text + strlen(rbd), place);
    return parse_uri(text, strict, place);
}

int place_parse(const char *uri, struct place *ret_place, struct err *err)
{
    struct place place = { 0 };
    if (!is_clean(uri))
        return err_set(err, -EINVAL,
                       "address: too long, control characters, or not UTF-8");
    const char *why = "not one that we can use";
    if (parse_any(uri, true, &place) && place_is_usable(&place, &why)) {
        place_simplify(&place);
        *ret_place = place;
        return 0;
    }
    /* With a user there may be a password: not for a log. */
    int rc = err_set(err, -EINVAL, "address %s: %s",
                     strchr(uri, '@') ? "with an @ in it" : uri, why);
    (void)err_next(err, "an absolute path, nbd+unix:///NAME?socket=PATH, "
                        "nbd://HOST:PORT/NAME or the like; no user, no "
                        "password, no other parameters");
    return rc;
}

int place_parse_qemu(const char *filename, struct place *ret_place)
{
    struct place place = { 0 };
    static const char by_unix[] = "nbd+unix://", by_tcp[] = "nbd://";
    bool ok = is_clean(filename);
    if (ok && str_starts_with(filename, by_unix))
        ok = parse_printed_unix(filename + strlen(by_unix), &place);
    else if (ok && str_starts_with(filename, by_tcp))
        ok = parse_printed_tcp(filename + strlen(by_tcp), &place);
    else if (ok)
        ok = parse_any(filename, false, &place);
    if (!ok)
        return -EINVAL;
    place_simplify(&place);
    *ret_place = place;
    return 0;
}
