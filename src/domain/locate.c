/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which volume a path is. libvirt may name a disk through links (run_dir, a
 * mount point that moved), so the kernel's own name of the file is compared
 * with the domains' directories, whole component by component. An LV is known
 * by its device's number, whatever its nodes and links are called.
 */
#include "block/image.h"
#include "block/name.h"
#include "known.h"
#include "layout.h"
#include "ops.h"
#include <dray/base/reach.h>
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

/* PATH/SD/images/IMG/VOL of this file domain. */
static bool parse(const struct domain_info *info, const char *path,
                  struct volume_id *ret_id)
{
    struct volume_id id = { 0 };
    if (info->block)
        return false;
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

static int refuse(const char *path, struct err *err)
{
    return err_set_code(err, ERR_NO_DISK,
                        "%s is no volume of a domain that this host knows",
                        path);
}

/* --- LVs --- */

/* RUN_DIR/SD/IMG/VOL, as an image is prepared. */
static bool parse_link(const struct domains *domains, const char *path,
                       struct volume_id *id)
{
    char sd[UUID_SIZE], vol[UUID_SIZE];
    return take_text(&path, domains->run_dir) && take_text(&path, "/") &&
           take_uuid(&path, sd) && take_text(&path, "/") &&
           take_uuid(&path, id->img) && take_text(&path, "/") &&
           take_uuid(&path, vol) && !*path && str_equal(sd, id->sd) &&
           str_equal(vol, id->vol);
}

/* Whose volume it is; its template has other images' links. */
static int ask_vg(struct domains *domains, struct volume_id *id,
                  struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    struct format_volume_tags tags;
    int rc = block_vg_open(domains, id->sd, &vg, err);
    if (rc < 0)
        return rc;
    const struct lvm_lv *lv = lvm_report_lv(&vg.report, id->vol);
    if (!lv || !block_lv_is_volume(lv, &tags))
        return err_set_code(err, ERR_NO_DISK, "LV %s of domain %s is no volume",
                            id->vol, id->sd);
    (void)str_copy(id->img, sizeof(id->img), tags.image);
    return 0;
}

static int locate_lv(struct domains *domains, const char *path,
                     const struct domain_info *info, struct volume_id *id,
                     struct err *err)
{
    int rc = check_status(info, path, err);
    if (rc < 0 || parse_link(domains, path, id))
        return rc;
    return ask_vg(domains, id, err);
}

struct known {
    struct domain_info *infos;
    size_t n;
};

/* DOMAIN_NONE: in none of them. @real has no links, or none that is known. */
static int locate_among(struct domains *domains, const char *path,
                        const char *real, const struct known *known,
                        struct volume_id *ret_id, struct err *err)
{
    const struct domain_info *infos = known->infos;
    struct volume_id id = { 0 };
    bool is_lv = path_is_within(real, "/dev") && block_name_of(real, &id);
    for (size_t i = 0; i < known->n; i++) {
        int rc;
        if (is_lv && infos[i].block && str_equal(infos[i].sd, id.sd))
            rc = locate_lv(domains, path, &infos[i], &id, err);
        else if (parse(&infos[i], real, &id))
            rc = check_status(&infos[i], path, err);
        else
            continue;
        if (rc == 0)
            *ret_id = id;
        return rc;
    }
    return DOMAIN_NONE;
}

/* The name alone tells it mostly, whether its storage answers or not. */
int domain_locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err)
{
    struct domains *domains = ctx;
    _cleanup_free_ struct domain_info *infos = NULL;
    char real[PATH_MAX];
    size_t n = 0;
    int rc = domain_known_all(domains, &infos, &n, err);
    const struct known known = { infos, n };
    if (rc == 0)
        rc = locate_among(domains, path, path, &known, ret_id, err);
    if (rc != DOMAIN_NONE)
        return rc;
    int reached = reach_real(domains->reach, path, real);
    if (reached < 0) {
        errno = -reached;
        return err_set_code(err, ERR_NO_DISK, "%s: %m", path);
    }
    rc = locate_among(domains, path, real, &known, ret_id, err);
    if (rc != DOMAIN_NONE)
        return rc;
    return reached == REACH_HANGS
               ? err_set(err, -ETIMEDOUT, "%s: its storage does not answer",
                         path)
               : refuse(path, err);
}
