/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Start and end of this room, and the table by which others call it.
 */
#include "block/handle.h"
#include "block/use.h"
#include "known.h"
#include "layout.h"
#include "nfs/nfs.h"
#include "ops.h"
#include "probe.h"
#include "sdm.h"
#include <dray/base/file.h>
#include <dray/base/reach.h>
#include <errno.h>

static void domain_keep(void *ctx, const char *sd)
{
    const struct domains *domains = ctx;
    domain_sdm_keep(domains->sdms, sd);
}

static void domain_keep_no_more(void *ctx, const char *sd)
{
    const struct domains *domains = ctx;
    domain_sdm_keep_no_more(domains->sdms, sd);
}

static void domain_soon(void *ctx, const char *sd)
{
    struct domains *domains = ctx;
    struct lease_place place;
    struct domain_info info;
    if (domain_known_get(domains, sd, &info, NULL) < 0 || info.block ||
        info.status != DOMAIN_JOINED || info.read_only)
        return;
    domain_place_sdm(&info, &place);
    domain_sdm_soon(domains->sdms, &place);
}

static const struct storage_ops ops = {
    .domain_create = domain_create,
    .domain_join = domain_join,
    .domain_leave = domain_leave,
    .domain_probe = domain_probe,
    .domain_list = domain_list,
    .domain_find = domain_find,
    .domain_info = domain_info,
    .domain_stats = domain_stats,
    .domain_grow = domain_grow,
    .domain_keep = domain_keep,
    .domain_keep_no_more = domain_keep_no_more,
    .domain_soon = domain_soon,
    .domain_audit = domain_audit,
    .domain_images = domain_images,
    .domain_volumes = domain_volumes,
    .image_chain = domain_image_chain,
    .image_prepare = domain_image_prepare,
    .image_teardown = domain_image_teardown,
    .image_delete = domain_image_delete,
    .volume_create = domain_volume_create,
    .volume_delete = domain_volume_delete,
    .volume_info = domain_volume_info,
    .volume_lease = domain_volume_lease,
    .volume_set_legality = domain_volume_set_legality,
    .volume_update = domain_volume_update,
    .volume_reset = domain_volume_reset,
    .volume_preallocate = domain_volume_preallocate,
    .volume_extend = domain_volume_extend,
    .volume_grow = domain_volume_grow,
    .volume_shrink = domain_volume_shrink,
    .volume_probe = domain_volume_probe,
    .volume_sever = domain_volume_sever,
    .volume_measure = domain_volume_measure,
    .volume_qemu_info = domain_volume_qemu_info,
    .volume_commit = domain_volume_commit,
    .volume_read = domain_volume_read,
    .volume_write = domain_volume_write,
    .volume_end = domain_volume_end,
    .volume_digest = domain_volume_digest,
    .image_sync_chain = domain_image_sync_chain,
    .image_header_chain = domain_image_header_chain,
    .volumes_create = domain_volumes_create,
    .outside_info = domain_outside_info,
    .outside_create = domain_outside_create,
    .outside_overlay = domain_outside_overlay,
    .outside_commit = domain_outside_commit,
    .outside_keep = domain_outside_keep,
    .outside_remove = domain_outside_remove,
    .locate = domain_locate,
};

static int set_options(struct domains *domains,
                       const struct domains_options *options, struct err *err)
{
    if (!str_format(domains->state_path, sizeof(domains->state_path),
                    "%s/domains.json", options->state_dir) ||
        !str_format(domains->ledger_path, sizeof(domains->ledger_path),
                    "%s/outside.json", options->state_dir) ||
        !str_format(domains->run_dir, sizeof(domains->run_dir), "%s/storage",
                    options->run_dir) ||
        !str_format(domains->lvm_dir, sizeof(domains->lvm_dir), "%s/lvm",
                    options->run_dir) ||
        !str_copy(domains->qemu_img, sizeof(domains->qemu_img),
                  options->qemu_img) ||
        !str_copy(domains->dray_lvm, sizeof(domains->dray_lvm),
                  options->dray_lvm ? options->dray_lvm : ""))
        return err_set_code(err, ERR_VALUE,
                            "state_dir, run_dir, qemu_img or dray_lvm is too "
                            "long");
    domains->lvm_command_ms = options->lvm_command_ms;
    domains->owner = (struct domain_owner){ .uid = options->owner_uid,
                                            .gid = options->owner_gid };
    domains->host_id = options->host_id;
    (void)str_copy(domains->hardware_id, sizeof(domains->hardware_id),
                   options->hardware_id ? options->hardware_id : "");
    return 0;
}

int domains_new(const struct domains_options *options,
                const struct lease_port *leases, struct domains **ret_domains,
                struct err *err)
{
    struct domains *domains = calloc(1, sizeof(*domains));
    if (!domains)
        return err_set(err, -ENOMEM, "domains: out of memory");
    (void)pthread_mutex_init(&domains->lock, NULL);
    (void)pthread_mutex_init(&domains->save_lock, NULL);
    (void)pthread_mutex_init(&domains->making_lock, NULL);
    domains->leases = *leases;
    domains->uses = block_uses_new();
    domains->sdms = domain_sdms_new(&domains->leases);
    int rc = domains->uses && domains->sdms &&
                     reach_new(REACH_MS, &domains->reach) == 0
                 ? set_options(domains, options, err)
                 : err_set(err, -ENOMEM, "domains: out of memory");
    if (rc == 0)
        rc = nfs_new(options, &domains->nfs, err);
    if (rc == 0)
        rc = domain_known_load(domains, err);
    if (rc < 0) {
        domains_free(domains);
        return rc;
    }
    *ret_domains = domains;
    return 0;
}

void domains_free(struct domains *domains)
{
    if (!domains)
        return;
    block_handle_free_all(domains);
    block_uses_free(domains->uses);
    nfs_free(domains->nfs);
    reach_free(domains->reach);
    domain_probes_free(domains);
    domain_sdms_free(domains->sdms);
    (void)pthread_mutex_destroy(&domains->lock);
    (void)pthread_mutex_destroy(&domains->save_lock);
    (void)pthread_mutex_destroy(&domains->making_lock);
    free(domains->known);
    free(domains);
}

struct storage_port domains_port(struct domains *domains)
{
    return (struct storage_port){ .ctx = domains, .ops = &ops };
}
