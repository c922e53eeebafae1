/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opening a block domain: ask LVM, believe the tags. What was read before the
 * lease was ours may be old, so a change reads under it. When another host made
 * the VG larger, LVM here does not see the new PV: its filter knows the old
 * ones. Then all devices are looked at once.
 */
#include "vg.h"
#include "../known.h"
#include "../metadata.h"
#include "../view.h"
#include "find.h"
#include "handle.h"
#include <dray/format/block.h>
#include <errno.h>
#include <unistd.h>

enum {
    REPORT_MS = 30 * 1000,
    HOLD_MS = 60 * 1000,
};

static int check_block(const struct domain_info *info, struct err *err)
{
    return info->block ? 0
                       : err_set_code(err, ERR_DOMAIN_TYPE,
                                      "domain %s is no volume group", info->sd);
}

/* LVM would look for it for a long while. */
static int check_devices(const struct domain_info *info, struct err *err)
{
    for (size_t i = 0; i < info->n_devices; i++) {
        if (access(info->devices[i], F_OK) == 0)
            continue;
        (void)err_set_code(err, ERR_NO_DOMAIN, "domain %s: %s: %m", info->sd,
                           info->devices[i]);
        return err_next(err, "is the LUN connected?");
    }
    return 0;
}

static bool has_tag(const char *const *tags, size_t n, const char *tag)
{
    for (size_t i = 0; i < n; i++) {
        if (str_equal(tags[i], tag))
            return true;
    }
    return false;
}

static int check_ready(const char *const *tags, size_t n, const char *sd,
                       struct err *err)
{
    if (has_tag(tags, n, FORMAT_VG_TAG))
        return 0;
    if (has_tag(tags, n, FORMAT_VG_TAG_UNREADY)) {
        (void)err_set_code(err, ERR_NO_DOMAIN,
                           "VG %s: its making broke off before it was a domain",
                           sd);
        return err_next(err, "make the domain again on its devices, with "
                             "force");
    }
    return err_set_code(err, ERR_NO_DOMAIN, "VG %s is no storage domain", sd);
}

int block_tags_take(const char *const *tags, size_t n, struct domain_info *info,
                    struct err *err)
{
    struct format_domain domain = { 0 };
    int rc = check_ready(tags, n, info->sd, err);
    if (rc < 0)
        return rc;
    rc = format_domain_from_tags(tags, n, &domain, err);
    if (rc == 0)
        rc = domain_metadata_take(&domain, info->sd, info, err);
    format_domain_deinit(&domain);
    return rc < 0 ? err_wrap(err, "tags of VG %s", info->sd) : 0;
}

unsigned block_vg_last_slot(const struct block_vg *vg)
{
    const struct lvm_lv *leases = lvm_report_lv(&vg->report, "leases");
    return leases ? format_slot_last(leases->size_bytes, vg->info.alignment)
                  : 0;
}

void block_vg_close(struct block_vg *vg)
{
    if (vg->held)
        lvm_let_go(vg->lvm);
    lvm_report_deinit(&vg->report);
    *vg = (struct block_vg){ 0 };
}

enum {
    OUTDATED = 1 /* outcome: LVM does not see all PVs */
};

/* 0 or OUTDATED. */
static int look(struct block_vg *vg, struct err *err)
{
    const struct lvm_vg *found = &vg->report.vg;
    int rc = lvm_report(vg->lvm, LVM_LVS | LVM_VG, time_now_ms() + REPORT_MS,
                        &vg->report, err);
    if (rc < 0) {
        (void)err_default_code(err, ERR_STORAGE);
        return err_wrap(err, "domain %s", vg->info.sd);
    }
    if (found->missing_pvs > 0)
        return OUTDATED;
    vg->info.extent_bytes = found->extent_bytes;
    (void)str_copy(vg->info.vg_uuid, sizeof(vg->info.vg_uuid), found->uuid);
    return block_tags_take((const char *const *)found->tags, found->n_tags,
                           &vg->info, err);
}

static int open_once(struct domains *domains, const char *sd,
                     struct block_vg *ret_vg, struct err *err)
{
    struct block_vg vg = { .domains = domains };
    int rc = domain_known_get(domains, sd, &vg.info, err);
    if (rc == 0)
        rc = check_block(&vg.info, err);
    if (rc == 0)
        rc = check_devices(&vg.info, err);
    if (rc == 0)
        rc = block_handle_get(domains, &vg.info, &vg.lvm, err);
    if (rc == 0)
        rc = look(&vg, err);
    if (rc != 0) {
        block_vg_close(&vg);
        return rc;
    }
    *ret_vg = vg;
    return 0;
}

/* A known one that may be changed, as far as this host knows. */
static int get_joined(struct domains *domains, const char *sd,
                      struct block_vg *vg, struct err *err)
{
    vg->domains = domains;
    int rc = domain_known_get(domains, sd, &vg->info, err);
    if (rc == 0)
        rc = check_block(&vg->info, err);
    if (rc == 0 && vg->info.status != DOMAIN_JOINING)
        rc = domain_check_joined(&vg->info, err);
    return rc < 0 ? rc : block_handle_get(domains, &vg->info, &vg->lvm, err);
}

static int begin_once(struct domains *domains, const char *sd,
                      struct block_vg *ret_vg, struct err *err)
{
    struct block_vg vg = { 0 };
    int rc = get_joined(domains, sd, &vg, err);
    if (rc == 0)
        rc = domain_check_not_attached(&vg.info, err);
    if (rc < 0)
        return rc;
    rc = lvm_hold(vg.lvm, time_now_ms() + HOLD_MS, err);
    if (rc < 0)
        return err_wrap(err, "domain %s", sd);
    vg.held = true;
    rc = look(&vg, err);
    if (rc == 0)
        rc = domain_check_not_attached(&vg.info, err);
    if (rc != 0) {
        block_vg_close(&vg);
        return rc;
    }
    *ret_vg = vg;
    return 0;
}

int block_vg_find_again(struct domains *domains, const char *sd,
                        struct err *err)
{
    const char *devices[DOMAIN_DEVICES_MAX];
    struct domain_info info;
    struct lvm *lvm = NULL;
    int rc = domain_known_get(domains, sd, &info, err);
    if (rc == 0)
        rc = block_find(sd, &info, err);
    if (rc == 0)
        rc = block_handle_get(domains, &info, &lvm, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < info.n_devices; i++)
        devices[i] = info.devices[i];
    rc = lvm_set_devices(lvm, devices, info.n_devices, err);
    return rc < 0 ? rc : domain_known_put(domains, &info, err);
}

static int call(int (*once)(struct domains *domains, const char *sd,
                            struct block_vg *ret_vg, struct err *err),
                struct domains *domains, const char *sd,
                struct block_vg *ret_vg, struct err *err)
{
    int rc = once(domains, sd, ret_vg, err);
    if (rc != OUTDATED)
        return rc;
    rc = block_vg_find_again(domains, sd, err);
    if (rc == 0)
        rc = once(domains, sd, ret_vg, err);
    return rc != OUTDATED
               ? rc
               : err_set_code(err, ERR_STORAGE,
                              "domain %s: this host does not see all its PVs",
                              sd);
}

int block_vg_open(struct domains *domains, const char *sd,
                  struct block_vg *ret_vg, struct err *err)
{
    return call(open_once, domains, sd, ret_vg, err);
}

int block_vg_begin(struct domains *domains, const char *sd,
                   struct block_vg *ret_vg, struct err *err)
{
    return call(begin_once, domains, sd, ret_vg, err);
}

int block_vg_lvm(struct domains *domains, const char *sd, struct lvm **ret_lvm,
                 struct err *err)
{
    struct block_vg vg = { 0 };
    int rc = get_joined(domains, sd, &vg, err);
    if (rc == 0)
        *ret_lvm = vg.lvm;
    return rc;
}
