/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * More PVs for a domain. LVM's commit is what makes a device a part of it; the
 * PV map in the tags follows, and whoever changes it next makes up for one that
 * a crash left behind. PVs that were made and not taken are known by how they
 * were made. Other hosts see that a PV is missing, and look for it (vg.c).
 */
#include "../known.h"
#include "../ops.h"
#include "../view.h"
#include "create.h"
#include "device.h"
#include "find.h"
#include "tags.h"
#include "vg.h"
#include <dray/format/block.h>
#include <errno.h>
#include <inttypes.h>

enum {
    GROW_MS = 3 * 60 * 1000,
    MIB = 1024 * 1024,
};

static int check_devices(const struct domain_info *info,
                         const struct block_devices *devices, struct err *err)
{
    for (size_t i = 0; i < devices->n; i++) {
        const struct block_device *device = &devices->devices[i];
        const struct block_devices one = { .n = 1, .devices = { *device } };
        if (device->sector_bytes != info->block_size)
            return err_set_code(err, ERR_VALUE,
                                "%s has sectors of %u bytes, domain %s blocks "
                                "of %u",
                                device->name, device->sector_bytes, info->sd,
                                info->block_size);
        if (block_create_bytes(&one) == 0)
            return err_set_code(err, ERR_VG_SIZE,
                                "%s is too small: it has %" PRIu64 " MiB",
                                device->name, device->size_bytes / MIB);
    }
    return 0;
}

/* LVM sees them from now on. */
static int show_devices(struct domains *domains, const struct domain_info *info,
                        const struct block_devices *devices, struct err *err)
{
    const char *names[2 * DOMAIN_DEVICES_MAX];
    struct lvm *lvm = NULL;
    size_t n = 0;
    for (; n < info->n_devices; n++)
        names[n] = info->devices[n];
    block_devices_names(devices, names + n);
    int rc = block_vg_lvm(domains, info->sd, &lvm, err);
    return rc < 0 ? rc : lvm_set_devices(lvm, names, n + devices->n, err);
}

/* The map becomes what LVM says; under the hold. */
static int write_map(const struct block_vg *vg, const struct domain_info *info,
                     int64_t deadline_ms, struct err *err)
{
    struct lvm_report report = { .n_pvs = 0 };
    struct format_domain domain = { 0 };
    int rc = lvm_report(vg->lvm, LVM_VG | LVM_PVS, deadline_ms, &report, err);
    if (rc == 0)
        rc = format_domain_from_tags((const char *const *)report.vg.tags,
                                     report.vg.n_tags, &domain, err);
    if (rc == 0)
        rc = block_tags_map(&domain, &report, info, err);
    if (rc == 0)
        rc = block_tags_write(vg->lvm, &report.vg, &domain, deadline_ms, err);
    format_domain_deinit(&domain);
    lvm_report_deinit(&report);
    return rc;
}

static int take_devices(struct domains *domains, struct domain_info *info,
                        const struct block_devices *devices, struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    int64_t deadline_ms = time_now_ms() + GROW_MS;
    int rc = block_vg_begin(domains, info->sd, &vg, err);
    for (size_t i = 0; rc == 0 && i < devices->n; i++) {
        const char *name = devices->devices[i].name;
        rc = lvm_grow(vg.lvm, name, deadline_ms, err);
        (void)str_copy(info->devices[info->n_devices++], DOMAIN_DEVICE_SIZE,
                       name);
    }
    return rc < 0 ? rc : write_map(&vg, info, deadline_ms, err);
}

static int make_pvs(const struct block_devices *devices, bool force,
                    struct err *err)
{
    const char *names[DOMAIN_DEVICES_MAX];
    block_devices_names(devices, names);
    return devices->n == 0
               ? 0
               : lvm_pv_create(names, devices->n, FORMAT_PV_MDA_SIZE, force,
                               time_now_ms() + GROW_MS, err);
}

static int check_free(const struct block_devices *devices, const char *sd,
                      bool force, struct err *err)
{
    struct lvm_report report = { .n_pvs = 0 };
    int rc = devices->n > 0 ? block_devices_scan(devices, &report, err) : 0;
    if (rc == 0)
        rc = block_devices_check_free(devices, &report, sd, force, err);
    lvm_report_deinit(&report);
    return rc;
}

static int grow(struct domains *domains, struct domain_info *info,
                const struct block_devices *devices, bool force,
                struct err *err)
{
    int rc = make_pvs(devices, force, err);
    if (rc == 0)
        rc = show_devices(domains, info, devices, err);
    if (rc == 0)
        rc = take_devices(domains, info, devices, err);
    /* What became a part of it, whatever happened. */
    int found = block_vg_find_again(domains, info->sd, rc < 0 ? NULL : err);
    return rc < 0 ? rc : found;
}

int domain_grow(void *ctx, const char *sd, const char *const *paths,
                size_t n_paths, bool force, struct err *err)
{
    struct block_devices devices = { .n = 0 };
    struct domain_info info;
    int rc = domain_known_get(ctx, sd, &info, err);
    if (rc == 0 && !info.block)
        rc = err_set_code(err, ERR_DOMAIN_TYPE,
                          "domain %s is in a directory: its file system has "
                          "to grow",
                          sd);
    if (rc == 0)
        rc = domain_check_joined(&info, err);
    if (rc == 0)
        rc = block_find(sd, &info, err);
    if (rc == 0)
        rc = domain_check_not_attached(&info, err);
    if (rc == 0)
        rc = block_devices_look(paths, n_paths, &info, &devices, err);
    if (rc == 0)
        rc = check_devices(&info, &devices, err);
    if (rc == 0)
        rc = check_free(&devices, sd, force, err);
    return rc < 0 ? rc : grow(ctx, &info, &devices, force, err);
}
