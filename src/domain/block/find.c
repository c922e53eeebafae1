/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One look at the PVs with the tags of their VGs tells everything about the
 * domains on them. At the devices a domain had the last time at first: a LUN of
 * somebody else that hangs then holds up nobody.
 */
#include "find.h"
#include "device.h"
#include "vg.h"
#include <dray/format/block.h>
#include <errno.h>
#include <string.h>

enum {
    SCAN_MS = 60 * 1000
};

static bool has_tag(const struct lvm_pv *pv, const char *tag)
{
    for (size_t i = 0; i < pv->n_vg_tags; i++) {
        if (str_equal(pv->vg_tags[i], tag))
            return true;
    }
    return false;
}

static int add_device(const struct lvm_pv *pv, struct domain_info *info,
                      struct err *err)
{
    size_t at = info->n_devices;
    if (pv->missing) {
        (void)err_set_code(err, ERR_NO_DOMAIN,
                           "domain %s: this host does not see its PV %s",
                           info->sd, pv->uuid);
        return err_next(err, "is the LUN connected?");
    }
    if (at == DOMAIN_DEVICES_MAX)
        return err_set_code(err, ERR_STORAGE,
                            "domain %s has more than %d devices", info->sd,
                            DOMAIN_DEVICES_MAX);
    if (!str_copy(info->devices[at], DOMAIN_DEVICE_SIZE, pv->name))
        return err_set_code(err, ERR_STORAGE, "%s: its name is too long",
                            pv->name);
    info->n_devices++;
    if (pv->mdas_used == 0 || at == 0)
        return 0;
    /* The one with the metadata goes first. */
    memmove(info->devices[1], info->devices[0], at * DOMAIN_DEVICE_SIZE);
    (void)str_copy(info->devices[0], DOMAIN_DEVICE_SIZE, pv->name);
    return 0;
}

/* DOMAIN_NONE when VG info->sd is not among the PVs. */
static int take(const struct lvm_report *report, struct domain_info *info,
                struct err *err)
{
    const struct lvm_pv *any = NULL;
    int rc = 0;
    info->n_devices = 0;
    for (size_t i = 0; rc == 0 && i < report->n_pvs; i++) {
        const struct lvm_pv *pv = &report->pvs[i];
        if (!str_equal(pv->vg, info->sd))
            continue;
        any = pv;
        rc = add_device(pv, info, err);
    }
    if (rc < 0 || !any)
        return rc < 0 ? rc : DOMAIN_NONE;
    info->block = true;
    (void)str_copy(info->path, sizeof(info->path), "/dev");
    return block_tags_take((const char *const *)any->vg_tags, any->n_vg_tags,
                           info, err);
}

/* @n_devices 0: all. */
static int look(const char *const *devices, size_t n_devices,
                struct domain_info *info, struct err *err)
{
    struct lvm_report report = { .n_pvs = 0 };
    int rc =
        lvm_scan(devices, n_devices, time_now_ms() + SCAN_MS, &report, err);
    if (rc == 0)
        rc = take(&report, info, err);
    lvm_report_deinit(&report);
    return rc;
}

int block_find_among(const struct lvm_report *report, const char *sd,
                     struct domain_info *info, struct err *err)
{
    struct domain_info found = *info;
    (void)str_copy(found.sd, sizeof(found.sd), sd);
    int rc = take(report, &found, err);
    if (rc == 0)
        *info = found;
    return rc;
}

static int not_found(const char *what, struct err *err)
{
    (void)err_set_code(err, ERR_NO_DOMAIN,
                       "no device of this host has a part of domain %s", what);
    return err_next(err, "are its LUNs connected?");
}

int block_find(const char *sd, struct domain_info *info, struct err *err)
{
    const char *devices[DOMAIN_DEVICES_MAX];
    struct domain_info found = *info;
    (void)str_copy(found.sd, sizeof(found.sd), sd);
    for (size_t i = 0; i < info->n_devices; i++)
        devices[i] = info->devices[i];
    int rc = info->n_devices > 0 ? look(devices, info->n_devices, &found, NULL)
                                 : DOMAIN_NONE;
    if (rc != 0)
        rc = look(NULL, 0, &found, err);
    if (rc == DOMAIN_NONE)
        return not_found(sd, err);
    if (rc == 0)
        *info = found;
    return rc;
}

static const char *vg_on(const struct lvm_report *report, const char *device)
{
    for (size_t i = 0; i < report->n_pvs; i++) {
        if (str_equal(report->pvs[i].name, device))
            return report->pvs[i].vg;
    }
    return "";
}

static int take_on(const struct lvm_report *report, const char *device,
                   struct domain_info *info, struct err *err)
{
    const char *vg = vg_on(report, device);
    struct domain_info found = *info;
    if (!uuid_is_valid(vg))
        return err_set_code(err, ERR_NO_DOMAIN, "there is no domain on %s",
                            device);
    (void)str_copy(found.sd, sizeof(found.sd), vg);
    int rc = take(report, &found, err);
    if (rc == 0)
        *info = found;
    return rc;
}

int block_find_on(const char *device, struct domain_info *info, struct err *err)
{
    char name[DOMAIN_DEVICE_SIZE];
    struct lvm_report report = { .n_pvs = 0 };
    int rc = block_device_name(device, name, err);
    if (rc == 0)
        rc = lvm_scan(NULL, 0, time_now_ms() + SCAN_MS, &report, err);
    if (rc == 0)
        rc = take_on(&report, name, info, err);
    lvm_report_deinit(&report);
    return rc;
}

/* Whether the ready domain of this PV has this name; one whose tags are damaged
 * has none. */
static bool is_called(const struct lvm_pv *pv, const char *name)
{
    struct format_domain domain = { 0 };
    if (!has_tag(pv, FORMAT_VG_TAG) || !uuid_is_valid(pv->vg) ||
        format_domain_from_tags((const char *const *)pv->vg_tags, pv->n_vg_tags,
                                &domain, NULL) < 0)
        return false;
    const char *found = format_domain_get(&domain, "DESCRIPTION");
    bool same = found && str_equal(found, name);
    format_domain_deinit(&domain);
    return same;
}

static int take_named(const struct lvm_report *report, const char *name,
                      struct domain_info *info, struct err *err)
{
    struct domain_info found = *info;
    found.sd[0] = '\0';
    for (size_t i = 0; i < report->n_pvs; i++) {
        const struct lvm_pv *pv = &report->pvs[i];
        if (str_equal(pv->vg, found.sd) || !is_called(pv, name))
            continue;
        if (found.sd[0]) {
            (void)err_set_code(err, ERR_VALUE,
                               "domains %s and %s are both called \"%s\"",
                               found.sd, pv->vg, name);
            return err_next(err, "give the UUID");
        }
        (void)str_copy(found.sd, sizeof(found.sd), pv->vg);
    }
    if (!found.sd[0])
        return not_found(name, err);
    int rc = take(report, &found, err);
    if (rc == 0)
        *info = found;
    return rc;
}

int block_find_named(const char *name, struct domain_info *info,
                     struct err *err)
{
    struct lvm_report report = { .n_pvs = 0 };
    int rc = lvm_scan(NULL, 0, time_now_ms() + SCAN_MS, &report, err);
    if (rc == 0)
        rc = take_named(&report, name, info, err);
    lvm_report_deinit(&report);
    return rc;
}
