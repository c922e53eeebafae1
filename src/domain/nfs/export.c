/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SERVER:/PATH. What is the same for the server is spelled in one way, so that
 * one export is mounted once. A server under two names (or a name and an
 * address) are two for us: the domain's UUID then tells that it is the same.
 */
#include "export.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <dray/format.h>
#include <string.h>

static int refuse(const char *place, const char *why, struct err *err)
{
    char shown[DOMAIN_REMOTE_SIZE];
    (void)str_copy(shown, sizeof(shown), place);
    str_make_line(shown);
    (void)err_set_code(err, ERR_VALUE, "\"%s\" is no NFS export: %s", shown,
                       why);
    return err_next(err, "give SERVER:/PATH; an IPv6 address in brackets, as "
                         "[fd00::1]:/PATH");
}

bool nfs_is_export(const char *place)
{
    return place[0] != '/' && strstr(place, ":/");
}

static bool is_word(const char *text, size_t len, const char *marks)
{
    for (size_t i = 0; i < len; i++) {
        if (!isascii(text[i]) ||
            (!isalnum((unsigned char)text[i]) && !strchr(marks, text[i])))
            return false;
    }
    return len > 0 && isalnum((unsigned char)text[0]);
}

/* "[ADDRESS]" or "[ADDRESS%CARD]". */
static bool read_address(const char *text, size_t len, char *ret, size_t size)
{
    char inner[INET6_ADDRSTRLEN], shortest[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *percent = memchr(text, '%', len);
    size_t n = percent ? (size_t)(percent - text) : len;
    if (n < 2 || text[len - 1] != ']')
        return false;
    n -= percent ? 1 : 2;
    if (!str_format(inner, sizeof(inner), "%.*s", (int)n, text + 1) ||
        inet_pton(AF_INET6, inner, &address) != 1 ||
        !inet_ntop(AF_INET6, &address, shortest, sizeof(shortest)))
        return false;
    int card = percent ? (int)(text + len - 1 - percent) : 0;
    if (card && !is_word(percent + 1, (size_t)card - 1, "._-"))
        return false;
    return str_format(ret, size, "[%s%.*s]", shortest, card,
                      percent ? percent : "");
}

static bool read_server(const char *text, size_t len, char *ret, size_t size)
{
    if (text[0] == '[')
        return read_address(text, len, ret, size);
    if (!is_word(text, len, "._-") ||
        !str_format(ret, size, "%.*s", (int)len, text))
        return false;
    for (char *c = ret; *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    }
    return true;
}

static bool is_dots(const char *name, size_t len)
{
    return len <= 2 && strncmp(name, "..", len) == 0;
}

/* Appends "/A/B", or "/" for the root. */
static const char *append_path(const char *path, char *remote, size_t size)
{
    size_t used = strlen(remote);
    size_t begin = used;
    for (;;) {
        path += strspn(path, "/");
        size_t len = strcspn(path, "/");
        if (len == 0)
            break;
        if (is_dots(path, len))
            return "its path has \".\" or \"..\"";
        if (!str_format(remote + used, size - used, "/%.*s", (int)len, path))
            return "it is too long";
        used += len + 1;
        path += len;
    }
    if (used == begin && !str_copy(remote + used, size - used, "/"))
        return "it is too long";
    return NULL;
}

int nfs_export_read(const char *place, char ret_remote[DOMAIN_REMOTE_SIZE],
                    struct err *err)
{
    char remote[DOMAIN_REMOTE_SIZE], name[NAME_MAX + 1];
    const char *colon = strstr(place, ":/");
    if (!colon || !format_text_is_line(place))
        return refuse(place, "it has no \":/\", or is no line of text", err);
    if (!read_server(place, (size_t)(colon - place), remote,
                     sizeof(remote) - 1))
        return refuse(place, "what is before \":/\" is no server", err);
    size_t used = strlen(remote);
    (void)str_copy(remote + used, sizeof(remote) - used, ":");
    const char *why = append_path(colon + 1, remote, sizeof(remote));
    if (why)
        return refuse(place, why, err);
    nfs_export_dir(remote, name);
    if (!name[0])
        return refuse(place, "it is too long", err);
    memcpy(ret_remote, remote, sizeof(remote));
    return 0;
}

void nfs_export_dir(const char *remote, char ret_name[NAME_MAX + 1])
{
    size_t n = 0;
    for (const char *c = remote; *c; c++) {
        if (n + 1 + (*c == '_') > NAME_MAX) {
            n = 0; /* there is no such name */
            break;
        }
        ret_name[n++] = (char)(*c == '/' ? '_' : *c);
        if (*c == '_')
            ret_name[n++] = '_';
    }
    ret_name[n] = '\0';
}
