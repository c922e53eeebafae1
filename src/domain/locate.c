/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which volume a path is. libvirt may name a disk through links (run_dir, a
 * mount point that moved), so the kernel's own name of the file is compared
 * with the domains' directories, whole component by component.
 */
#include "known.h"
#include "layout.h"
#include "ops.h"
#include <errno.h>
#include <string.h>

static bool take_uuid(const char **text, char ret_uuid[UUID_SIZE])
{
    char uuid[UUID_SIZE];
    (void)str_copy(uuid, sizeof(uuid), *text);
    if (!uuid_is_valid(uuid))
        return false;
    (void)str_copy(ret_uuid, UUID_SIZE, uuid);
    *text += UUID_SIZE - 1;
    return true;
}

static bool take_text(const char **text, const char *expected)
{
    if (!str_starts_with(*text, expected))
        return false;
    *text += strlen(expected);
    return true;
}

/* PATH/SD/images/IMG/VOL of this domain. */
static bool parse(const struct domain_info *info, const char *path,
                  struct volume_id *ret_id)
{
    struct volume_id id = { 0 };
    (void)str_copy(id.sd, sizeof(id.sd), info->sd);
    /* Of a domain right in "/" the path is empty but for the slash. */
    const char *top = str_equal(info->path, "/") ? "" : info->path;
    if (!take_text(&path, top) || !take_text(&path, "/") ||
        !take_text(&path, info->sd) || !take_text(&path, "/images/") ||
        !take_uuid(&path, id.img) || !take_text(&path, "/") ||
        !take_uuid(&path, id.vol) || *path)
        return false;
    *ret_id = id;
    return true;
}

static int check_status(const struct domain_info *info, const char *path,
                        struct err *err)
{
    if (info->status == DOMAIN_JOINED)
        return 0;
    (void)err_set_code(err, ERR_DOMAIN_ACTION,
                       "%s is in domain %s, which this host has not joined "
                       "(%s)",
                       path, info->sd, domain_status_name(info->status));
    return err_next(err, "drayctl domain join %s", info->path);
}

int domain_locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err)
{
    _cleanup_free_ struct domain_info *infos = NULL;
    char real[PATH_MAX];
    size_t n = 0;
    if (!realpath(path, real))
        return err_set_code(err, ERR_NO_DISK, "%s: %m", path);
    int rc = domain_known_all(ctx, &infos, &n, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        struct volume_id id;
        if (!parse(&infos[i], real, &id))
            continue;
        rc = check_status(&infos[i], path, err);
        if (rc == 0)
            *ret_id = id;
        return rc;
    }
    return err_set_code(err, ERR_NO_DISK,
                        "%s is no volume of a domain that this host knows",
                        path);
}
