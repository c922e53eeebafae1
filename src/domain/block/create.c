/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making a domain on LUNs:
 *
 *   1. PVs, and the VG with the one tag UNREADY   (LVM, by itself)
 *   2. special LVs, what is in them, leases       (nobody takes it for a
 * domain)
 *   3. all tags of the metadata and that of a domain, in one commit
 *
 * There is no lease yet that could be held, so two hosts must not make domains
 * on the same LUNs at once. What breaks off before 3 is told by UNREADY; the
 * same request, or one with force, removes it and starts again.
 */
#include "create.h"
#include "../known.h"
#include "../metadata.h"
#include "../ops.h"
#include "find.h"
#include "lv.h"
#include "tags.h"
#include <dray/format/block.h>
#include <errno.h>
#include <sys/stat.h>

enum {
    MAKE_MS = 5 * 60 * 1000,
    NAMES_MAX = 8, /* special LVs */
};

/* One domain being made. */
struct building {
    struct domains *domains;
    const struct domain_create *spec;
    struct domain_info info;
    struct block_devices devices;
    const char *names[DOMAIN_DEVICES_MAX];
    struct lvm *lvm; /* without a lease */
    int64_t deadline_ms;
};

static struct lvm_names special_names(const char *ret_names[NAMES_MAX])
{
    const struct format_special_lv *lv = format_special_lvs();
    size_t n = 0;
    for (; lv[n].name && n < NAMES_MAX; n++)
        ret_names[n] = lv[n].name;
    return (struct lvm_names){ .names = ret_names, .n = n };
}

static int make_vg(const struct building *b, struct err *err)
{
    static const char *const tags[] = { FORMAT_VG_TAG_UNREADY };
    const struct lvm_vg_create what = {
        .vg = b->info.sd,
        .devices = b->names,
        .n_devices = b->devices.n,
        .tags = tags,
        .n_tags = ARRAY_SIZE(tags),
        .extent_bytes = FORMAT_EXTENT_SIZE,
        .mda_bytes = FORMAT_PV_MDA_SIZE,
        .force = b->spec->force,
    };
    return lvm_vg_create(&what, b->deadline_ms, err);
}

static int open_lvm(struct building *b, struct err *err)
{
    const struct lvm_options options = {
        .program = b->domains->dray_lvm,
        .run_dir = b->domains->lvm_dir,
        .vg = b->info.sd,
        .devices = b->names,
        .n_devices = b->devices.n,
        .command_ms = b->domains->lvm_command_ms,
    };
    if (mkdir(b->domains->lvm_dir, 0700) < 0 && errno != EEXIST)
        return err_set(err, -errno, "%s: %m", b->domains->lvm_dir);
    return lvm_open(&options, &b->lvm, err);
}

static int make_lvs(const struct building *b, struct err *err)
{
    uint64_t vg_bytes = block_create_bytes(&b->devices);
    const char *names[NAMES_MAX];
    int rc = 0;
    for (const struct format_special_lv *lv = format_special_lvs();
         rc == 0 && lv->name; lv++) {
        const struct lvm_create what = {
            .lv = lv->name,
            .size_bytes =
                format_special_lv_size(lv, b->info.alignment, vg_bytes),
            .device = lv == format_special_lvs() ? b->names[0] : NULL,
        };
        rc = lvm_create(b->lvm, &what, b->deadline_ms, err);
    }
    return rc < 0 ? rc
                  : lvm_activate(b->lvm, special_names(names), b->deadline_ms,
                                 err);
}

static int fill_metadata(const struct building *b,
                         const struct lvm_report *report,
                         struct format_domain *domain, struct err *err)
{
    int rc = domain_metadata_fill(domain, &b->info, err);
    if (rc == 0)
        rc = format_domain_set(domain, "VGUUID", report->vg.uuid, err);
    return rc < 0 ? rc : block_tags_map(domain, report, &b->info, err);
}

/* From here on it is a domain. */
static int commit(const struct building *b, struct err *err)
{
    struct lvm_report report = { .n_pvs = 0 };
    struct format_domain domain = { 0 };
    int rc = lvm_report(b->lvm, LVM_VG | LVM_PVS, b->deadline_ms, &report, err);
    if (rc == 0)
        rc = fill_metadata(b, &report, &domain, err);
    if (rc == 0)
        rc = block_tags_write(b->lvm, &report.vg, &domain, b->deadline_ms, err);
    format_domain_deinit(&domain);
    lvm_report_deinit(&report);
    return rc;
}

/* What is active after the commit would be a domain's, and in nobody's use. */
static int fill_lvs(const struct building *b, struct err *err)
{
    const char *names[NAMES_MAX];
    int rc = block_create_fill(b->domains, &b->info, err);
    return rc < 0 ? rc
                  : lvm_deactivate(b->lvm, special_names(names), b->deadline_ms,
                                   err);
}

static int build(struct building *b, struct err *err)
{
    int rc = make_vg(b, err);
    if (rc == 0)
        rc = open_lvm(b, err);
    if (rc == 0)
        rc = make_lvs(b, err);
    if (rc == 0)
        rc = fill_lvs(b, err);
    if (rc == 0)
        rc = commit(b, err);
    lvm_close(b->lvm);
    return rc;
}

/* A VG of a creation that broke off: ours, or with force anybody's. */
static const char *find_leftover(const struct building *b,
                                 const struct lvm_report *report)
{
    for (size_t i = 0; i < report->n_pvs; i++) {
        const struct lvm_pv *pv = &report->pvs[i];
        for (size_t k = 0; k < pv->n_vg_tags; k++) {
            if (str_equal(pv->vg_tags[k], FORMAT_VG_TAG_UNREADY) &&
                (b->spec->force || str_equal(pv->vg, b->spec->sd)))
                return pv->vg;
        }
    }
    return NULL;
}

/* *report is new afterwards. */
static int remove_leftover(const struct building *b, struct lvm_report *report,
                           struct err *err)
{
    const char *vg = find_leftover(b, report);
    if (!vg)
        return 0;
    int rc = lvm_vg_remove(vg, b->names, b->devices.n, b->deadline_ms, err);
    lvm_report_deinit(report);
    return rc < 0 ? rc : block_devices_scan(&b->devices, report, err);
}

/* 0: made before, just as it is wanted. DOMAIN_NONE: not yet. */
static int find_made(struct building *b, const struct lvm_report *report,
                     struct err *err)
{
    struct domain_info found = { .status = DOMAIN_LEFT };
    int rc = block_find_among(report, b->spec->sd, &found, err);
    if (rc != 0)
        return rc;
    if (!str_equal(found.name, b->spec->name) || found.type != b->spec->type ||
        found.n_devices != b->devices.n)
        return err_set_code(err, ERR_DOMAIN_CREATE,
                            "domain %s is there already: \"%s\" with %zu "
                            "devices",
                            found.sd, found.name, found.n_devices);
    b->info = found;
    return 0;
}

static int build_or_remove(struct building *b, struct err *err)
{
    int rc = build(b, err);
    if (rc < 0) /* what cannot be removed is told by its tag */
        (void)lvm_vg_remove(b->info.sd, b->names, b->devices.n,
                            time_now_ms() + MAKE_MS, NULL);
    return rc < 0 ? err_default_code(err, ERR_DOMAIN_CREATE) : 0;
}

/* 0: it is there. DOMAIN_NONE: it can be built. */
static int clear_place(struct building *b, struct err *err)
{
    struct lvm_report report = { .n_pvs = 0 };
    int rc = block_devices_scan(&b->devices, &report, err);
    if (rc == 0)
        rc = remove_leftover(b, &report, err);
    if (rc == 0)
        rc = find_made(b, &report, err);
    if (rc == DOMAIN_NONE) {
        int failed = block_devices_check_free(&b->devices, &report, b->spec->sd,
                                              b->spec->force, err);
        rc = failed < 0 ? failed : DOMAIN_NONE;
    }
    lvm_report_deinit(&report);
    return rc;
}

static int make(struct building *b, struct err *err)
{
    int rc = block_create_check(b->spec, &b->devices, &b->info, err);
    if (rc == 0)
        rc = clear_place(b, err);
    return rc == DOMAIN_NONE ? build_or_remove(b, err) : rc;
}

/* Known from now on, but used only after a join. */
static int remember(const struct building *b, struct err *err)
{
    struct domain_info known;
    if (domain_known_get(b->domains, b->info.sd, &known, NULL) == 0)
        return 0;
    return domain_known_put(b->domains, &b->info, err);
}

/* LVM looks at all devices: one after the other. */
static int wait_turn(struct domains *domains, struct err *err)
{
    const struct timespec deadline = time_after_ms(MAKE_MS);
    if (pthread_mutex_clocklock(&domains->making_lock, CLOCK_MONOTONIC,
                                &deadline) == 0)
        return 0;
    (void)err_set_code(err, ERR_DOMAIN_CREATE,
                       "another block domain is still being made after %d s",
                       MAKE_MS / 1000);
    return err_next(err, "ask again when it is done; drayctl domain list "
                         "shows it then");
}

int block_create(struct domains *domains, const struct domain_create *spec,
                 struct err *err)
{
    struct building b = {
        .domains = domains,
        .spec = spec,
        .info = { .status = DOMAIN_LEFT },
    };
    int rc = block_devices_look(spec->devices, spec->n_devices, NULL,
                                &b.devices, err);
    if (rc < 0)
        return rc;
    block_devices_names(&b.devices, b.names);
    rc = wait_turn(domains, err);
    if (rc < 0)
        return rc;
    b.deadline_ms = time_now_ms() + MAKE_MS;
    rc = make(&b, err);
    (void)pthread_mutex_unlock(&domains->making_lock);
    return rc < 0 ? rc : remember(&b, err);
}
