/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A block domain on this host: while it is joined its special LVs are active;
 * "master" is not: only a pool's manager mounts it. LVs of volumes become
 * active when they are prepared.
 */
#include "join.h"
#include "../join.h"
#include "../special.h"
#include "device.h"
#include "find.h"
#include "handle.h"
#include "idle.h"
#include "links.h"
#include "lv.h"
#include "scan.h"
#include "vg.h"
#include <dray/format/block.h>
#include <errno.h>

enum {
    LVM_MS = 60 * 1000,
    NAMES_MAX = 8, /* special LVs */
};

static int check_sectors(const struct domain_info *info, struct err *err)
{
    const char *paths[DOMAIN_DEVICES_MAX];
    struct block_devices devices;
    for (size_t i = 0; i < info->n_devices; i++)
        paths[i] = info->devices[i];
    int rc = block_devices_look(paths, info->n_devices, NULL, &devices, err);
    if (rc < 0 || devices.devices[0].sector_bytes == info->block_size)
        return rc;
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "domain %s: its BLOCK_SIZE is %u, but the sectors of "
                        "%s have %u bytes",
                        info->sd, info->block_size, devices.devices[0].name,
                        devices.devices[0].sector_bytes);
}

static int open_lvm(struct domains *domains, const struct domain_info *info,
                    struct lvm **ret_lvm, struct err *err)
{
    const char *devices[DOMAIN_DEVICES_MAX];
    struct lvm *lvm = NULL;
    for (size_t i = 0; i < info->n_devices; i++)
        devices[i] = info->devices[i];
    int rc = block_handle_get(domains, info, &lvm, err);
    if (rc == 0)
        rc = lvm_set_devices(lvm, devices, info->n_devices, err);
    if (rc == 0)
        *ret_lvm = lvm;
    return rc;
}

static int on_special(int (*call)(struct lvm *lvm, struct lvm_names lvs,
                                  int64_t deadline_ms, struct err *err),
                      struct lvm *lvm, const struct domain_info *info,
                      struct err *err)
{
    const struct format_special_lv *lv = format_special_lvs();
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (; lv[n].name && n < NAMES_MAX; n++)
        names[n] = lv[n].name;
    int rc = call(lvm, (struct lvm_names){ .names = names, .n = n },
                  time_now_ms() + LVM_MS, err);
    return rc < 0 ? err_wrap(err, "domain %s: its special LVs", info->sd) : 0;
}

static int check_leader(const struct domain_info *info, const char *lv,
                        uint64_t offset, const char *resource, struct err *err)
{
    char path[PATH_MAX];
    char sector[FORMAT_LEADER_SIZE];
    block_lv_path(info, lv, path);
    int rc = block_lv_read(info, lv, offset, sector, sizeof(sector), err);
    return rc < 0 ? rc
                  : domain_special_check_leader(path, sector, sizeof(sector),
                                                info, resource, err);
}

static int check_index(const struct domain_info *info, struct err *err)
{
    char path[PATH_MAX];
    _cleanup_free_ char *index = malloc(FORMAT_XLEASES_SIZE);
    if (!index)
        return err_set(err, -ENOMEM, "domain %s: out of memory", info->sd);
    block_lv_path(info, "xleases", path);
    int rc = block_lv_read(info, "xleases", info->alignment, index,
                           FORMAT_XLEASES_SIZE, err);
    return rc < 0 ? rc
                  : domain_special_check_index(path, index, FORMAT_XLEASES_SIZE,
                                               info, err);
}

static int check_contents(const struct domain_info *info, struct err *err)
{
    int rc = check_leader(info, "ids", 0, NULL, err);
    if (rc == 0)
        rc = check_leader(info, "leases", info->alignment, "SDM", err);
    return rc < 0 ? rc : check_index(info, err);
}

/* LVs that stayed active while their LUN was away still lead to where it was
 * before it came back. */
static int activate(struct lvm *lvm, const struct domain_info *info,
                    struct err *err)
{
    int rc = on_special(lvm_activate, lvm, info, err);
    if (rc < 0 || check_contents(info, NULL) == 0)
        return rc;
    rc = on_special(lvm_refresh, lvm, info, err);
    return rc < 0 ? rc : check_contents(info, err);
}

int block_verify(struct domains *domains, struct domain_info *info,
                 struct err *err)
{
    struct lvm *lvm = NULL;
    int rc = block_find(info->sd, info, err);
    if (rc == 0)
        rc = domain_join_check_kind(info, err);
    if (rc == 0)
        rc = check_sectors(info, err);
    if (rc == 0)
        rc = open_lvm(domains, info, &lvm, err);
    if (rc == 0)
        rc = activate(lvm, info, err);
    return rc;
}

/* One damaged volume must not keep the others from their VMs: the audit tells
 * of it. */
int block_mend(struct domains *domains, const struct domain_info *info,
               struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    if (info->read_only)
        return 0; /* a pool's: that is its hosts' business */
    int rc = block_vg_begin(domains, info->sd, &vg, err);
    if (rc < 0)
        return rc;
    (void)block_scan(&vg, NULL);
    (void)block_idle_end_all(&vg, NULL);
    return 0;
}

/* --- leaving --- */

/* Those that are active here, with @open_only only those somebody has open. */
static size_t active(const struct lvm_report *report, bool open_only,
                     const char **ret_names)
{
    size_t n = 0;
    for (size_t i = 0; i < report->n_lvs; i++) {
        const struct lvm_lv *lv = &report->lvs[i];
        if (lv->active && (!open_only || lv->open))
            ret_names[n++] = lv->name;
    }
    return n;
}

static int look(struct domains *domains, const struct domain_info *info,
                struct lvm **ret_lvm, struct lvm_report *report,
                const char ***ret_names, struct err *err)
{
    int rc = block_handle_get(domains, info, ret_lvm, err);
    if (rc == 0)
        rc = lvm_report(*ret_lvm, LVM_LVS, time_now_ms() + LVM_MS, report, err);
    if (rc < 0)
        return err_wrap(err, "domain %s", info->sd);
    *ret_names = calloc(report->n_lvs + 1, sizeof(**ret_names));
    return *ret_names
               ? 0
               : err_set(err, -ENOMEM, "domain %s: out of memory", info->sd);
}

int block_check_closed(struct domains *domains, const struct domain_info *info,
                       struct err *err)
{
    struct lvm *lvm = NULL;
    struct lvm_report report = { .n_lvs = 0 };
    _cleanup_free_ const char **names = NULL;
    int rc = look(domains, info, &lvm, &report, &names, err);
    size_t n = names ? active(&report, true, names) : 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (format_is_special_lv(names[i]))
            continue;
        rc = err_set_code(err, ERR_RELEASE_HOST_ID,
                          "domain %s: volume %s is open on this host", info->sd,
                          names[i]);
        (void)err_next(err, "end what uses it: lsof /dev/%s/%s", info->sd,
                       names[i]);
    }
    lvm_report_deinit(&report);
    return rc;
}

int block_rest(struct domains *domains, const struct domain_info *info,
               struct err *err)
{
    struct lvm *lvm = NULL;
    struct lvm_report report = { .n_lvs = 0 };
    _cleanup_free_ const char **names = NULL;
    int rc = look(domains, info, &lvm, &report, &names, err);
    size_t n = names ? active(&report, false, names) : 0;
    if (rc == 0)
        rc = lvm_deactivate(lvm, (struct lvm_names){ .names = names, .n = n },
                            time_now_ms() + LVM_MS, err);
    lvm_report_deinit(&report);
    if (lvm)
        lvm_rest(lvm);
    const struct block_vg vg = { .domains = domains, .info = *info };
    return rc < 0 ? rc : block_links_remove_all(&vg, err);
}
