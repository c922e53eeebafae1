/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looking at a place outside. People name these, and we write there: what a
 * link or another name for something of a domain would lead to is refused,
 * with one exception: devices have links for names (/dev/disk/by-id, /dev/VG).
 */
#include "outside_place.h"
#include "create.h"
#include "known.h"
#include <dray/format.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

void outside_place_close(struct outside_place *place)
{
    domain_dir_close(&place->dir);
}

/* --- URIs --- */

/* Some of qemu's protocols are about local files: fat, json, file, ... */
static bool is_known_protocol(const char *name, size_t len)
{
    static const char *const known[] = { "nbd", "rbd",  "iscsi", "gluster",
                                         "ssh", "nfs",  "http",  "https",
                                         "ftp", "ftps", "tftp",  "sheepdog",
                                         "vxhs" };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strlen(known[i]) == len && strncmp(known[i], name, len) == 0)
            return true;
    }
    return false;
}

static int open_uri(const char *text, struct outside_place *place,
                    struct err *err)
{
    const char *colon = strchr(text, ':');
    if (!colon || !format_text_is_line(text) ||
        !str_copy(place->path, sizeof(place->path), text)) {
        (void)err_set_code(err, ERR_VALUE,
                           "\"%.256s\" is neither an absolute path nor a URI",
                           text);
        return err_next(err, "say /DIR/FILE, /dev/..., nbd://HOST:PORT/NAME or "
                             "nbd+unix:///NAME?socket=PATH");
    }
    if (!is_known_protocol(text, strcspn(text, "+:")))
        return err_set_code(err, ERR_VALUE,
                            "%.256s: \"%.*s\" is no protocol that disks are "
                            "reached by",
                            text, (int)(colon - text), text);
    place->kind = OUTSIDE_NETWORK;
    return 0;
}

/* --- paths --- */

static int check_outside(struct domains *domains,
                         const struct outside_place *place, struct err *err)
{
    _cleanup_free_ struct domain_info *infos = NULL;
    size_t n = 0;
    int rc = domain_known_all(domains, &infos, &n, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        char root[PATH_MAX];
        /* Of a domain right in "/" the path is empty but for the slash. */
        const char *top = str_equal(infos[i].path, "/") ? "" : infos[i].path;
        if (!str_format(root, sizeof(root), "%s/%s", top, infos[i].sd) ||
            !str_starts_with(place->path, root))
            continue;
        char next = place->path[strlen(root)];
        if (next != '/' && next != '\0')
            continue;
        (void)err_set_code(err, ERR_VALUE, "%s is in domain %s", place->path,
                           infos[i].sd);
        rc = err_next(err, "name the domain instead of the path");
    }
    return rc;
}

/* PARENT/NAME, with the links on the way to PARENT resolved. 0, DOMAIN_NONE. */
static int open_parent(const char *text, struct outside_place *place,
                       struct err *err)
{
    const char *slash = strrchr(text, '/');
    char parent[PATH_MAX];
    char real[PATH_MAX];
    size_t len = slash == text ? 1 : (size_t)(slash - text);
    if (len >= sizeof(parent) || !slash[1] || str_equal(slash + 1, ".") ||
        !str_copy(place->name, sizeof(place->name), slash + 1))
        return err_set_code(err, ERR_VALUE, "\"%.256s\" is no file's path",
                            text);
    memcpy(parent, text, len);
    parent[len] = '\0';
    if (!realpath(parent, real)) {
        if (errno == ENOENT)
            return DOMAIN_NONE;
        return err_set_code(err, ERR_VALUE, "%s: %m", parent);
    }
    if (!str_format(place->path, sizeof(place->path), "%s/%s",
                    str_equal(real, "/") ? "" : real, place->name))
        return err_set_code(err, ERR_VALUE, "%.256s...: the path is too long",
                            text);
    return domain_dir_open(real, &place->dir, err);
}

static int refuse_kind(const struct outside_place *place, const char *what,
                       struct err *err)
{
    (void)err_set_code(err, ERR_VALUE,
                       "%s is %s, and not a regular file or block device",
                       place->path, what);
    return err_next(err, "name a file that is not there yet, or a device");
}

static int look(struct outside_place *place, struct err *err)
{
    int rc = domain_file_stat(&place->dir, place->name, &place->st, err);
    if (rc == DOMAIN_NONE)
        place->kind = OUTSIDE_NOTHING;
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    bool is_link = S_ISLNK(place->st.st_mode);
    if (is_link && fstatat(place->dir.fd, place->name, &place->st, 0) < 0)
        return refuse_kind(place, "a link to nothing", err);
    if (S_ISBLK(place->st.st_mode))
        place->kind = OUTSIDE_BLOCK;
    else if (is_link)
        return refuse_kind(place, "a link", err);
    else if (S_ISREG(place->st.st_mode))
        place->kind = OUTSIDE_FILE;
    else
        return refuse_kind(
            place,
            S_ISDIR(place->st.st_mode) ? "a directory" : "something else", err);
    return 0;
}

int outside_place_open(struct domains *domains, const char *text,
                       struct outside_place *ret_place, struct err *err)
{
    _cleanup_outside_ struct outside_place place = OUTSIDE_PLACE_INIT;
    int rc = 0;
    if (text[0] == '/') {
        rc = domain_check_path(text, err);
        if (rc == 0)
            rc = open_parent(text, &place, err);
        if (rc == 0)
            rc = check_outside(domains, &place, err);
        if (rc == 0)
            rc = look(&place, err);
    } else {
        rc = open_uri(text, &place, err);
    }
    if (rc != 0)
        return rc;
    *ret_place = place;
    place.dir.fd = -1;
    return 0;
}

int outside_place_temporary(const struct outside_place *place,
                            char ret_name[NAME_MAX + 1], struct err *err)
{
    if (str_format(ret_name, NAME_MAX + 1, ".%s.drayd", place->name))
        return 0;
    (void)err_set_code(err, ERR_VALUE, "%s: the name is too long", place->path);
    return err_next(err, "take one of %d bytes or less",
                    NAME_MAX - (int)strlen("..drayd"));
}

int outside_place_open_device(const struct outside_place *place, int flags,
                              int *ret_fd, uint64_t *ret_bytes, struct err *err)
{
    _cleanup_close_ int fd =
        openat(place->dir.fd, place->name, flags | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 && errno == EBUSY) {
        (void)err_set_code(err, ERR_VOLUME_BUSY,
                           "%s is in use: mounted, or "
                           "part of another device",
                           place->path);
        return err_next(err, "lsblk %s shows by what", place->path);
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return domain_fail(err, ERR_VOLUME_ACCESS, "open", &place->dir,
                           place->name);
    if (!S_ISBLK(st.st_mode))
        return refuse_kind(place, "something else now", err);
    if (ioctl(fd, BLKGETSIZE64, ret_bytes) < 0)
        return domain_fail(err, ERR_VOLUME_ACCESS, "size", &place->dir,
                           place->name);
    *ret_fd = TAKE_FD(fd);
    return 0;
}
