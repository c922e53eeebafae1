/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LVs that grow and shrink under a qcow2. Growing has to be quick: one request,
 * no look at the VG. Shrinking takes its time: qemu-img says where the last
 * cluster in use ends, and what is behind it goes, unless somebody may write
 * there. Neither needs a hold: dray-lvm takes the lease for its one command.
 */
#include "../kind.h"
#include "../report.h"
#include "../tool.h"
#include "../view.h"
#include "image.h"
#include "lv.h"
#include "opener.h"
#include "use.h"
#include <dray/exec.h>

enum {
    LEAKS = 3, /* qemu-img's status: clusters that nobody uses */
};

int block_volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                      int64_t deadline_ms, uint64_t *ret_bytes, struct err *err)
{
    struct lvm *lvm = NULL;
    int rc = block_vg_lvm(ctx, id->sd, &lvm, err);
    return rc < 0
               ? rc
               : lvm_extend(lvm, id->vol, bytes, deadline_ms, ret_bytes, err);
}

static int check_writers(const struct block_vg *vg, const char *vol,
                         struct err *err)
{
    const struct lvm_lv *lv = lvm_report_lv(&vg->report, vol);
    struct openers openers = { .any = false };
    char path[PATH_MAX];
    if (!lv || !lv->active)
        return 0;
    block_lv_path(&vg->info, vol, path);
    int rc = block_openers_find(path, &openers, err);
    if (rc < 0 || (!openers.writing && (openers.any || !lv->open)))
        return rc;
    return err_set_code(err, ERR_VOLUME_BUSY,
                        "%s is open for writing, so it cannot shrink", path);
}

static int ask_end(const struct domain_image *image,
                   const struct domain_tool_chain *chain, uint64_t *ret_end,
                   struct err *err)
{
    const struct exec_options options = {
        .deadline_ms = time_now_ms() + TOOL_WAIT_MS,
        .max_cpu_s = TOOL_CPU_S,
        .max_mem = TOOL_MEMORY,
    };
    const char *argv[] = { image->vg->domains->qemu_img,
                           "check",
                           "-U",
                           "--output=json",
                           chain->name,
                           NULL };
    struct exec_result result = { 0 };
    int rc = exec_run(argv, &options, &result, err);
    if (rc == 0 && result.status != 0 && result.status != LEAKS)
        rc = err_set_code(err, ERR_STORAGE, "qemu-img check: exit %d: %s",
                          result.status, result.err);
    if (rc == 0)
        rc = domain_report_check(result.out, ret_end, err);
    exec_result_deinit(&result);
    return rc;
}

/* Where the qcow2 of this layer alone ends. */
static int find_end(const struct domain_image *image,
                    const struct domain_layer *layer, uint64_t *ret_end,
                    struct err *err)
{
    _cleanup_tool_chain_ struct domain_tool_chain chain = { 0 };
    struct domain_headers headers;
    int rc = domain_headers_walk(image, layer, 1, &headers, err);
    if (rc == 0)
        rc = domain_tool_chain_open(image, &headers, &chain, err);
    if (rc == 0)
        rc = ask_end(image, &chain, ret_end, err);
    return rc < 0 ? err_wrap(err, "volume %s", layer->vol) : 0;
}

static int shrink(const struct domain_image *image,
                  const struct domain_layer *layer, uint64_t spare_bytes,
                  uint64_t *ret_bytes, struct err *err)
{
    const struct block_vg *vg = image->vg;
    uint64_t end = 0;
    int rc = check_writers(vg, layer->vol, err);
    if (rc == 0)
        rc = find_end(image, layer, &end, err);
    if (rc < 0)
        return rc;
    /* Written while we looked, or too large a number: it stays. */
    if (end > UINT64_MAX - spare_bytes || end + spare_bytes >= *ret_bytes)
        return 0;
    rc = check_writers(vg, layer->vol, err);
    return rc < 0 ? rc
                  : lvm_reduce(vg->lvm, layer->vol, end + spare_bytes,
                               block_soon(), ret_bytes, err);
}

static bool may_shrink(const struct domain_layer *layer)
{
    return !layer->linked && layer->record.kind == FORMAT_COW &&
           layer->record.allocation == FORMAT_SPARSE;
}

int block_volume_shrink(void *ctx, const struct volume_id *id,
                        uint64_t spare_bytes, uint64_t *ret_bytes,
                        struct err *err)
{
    _cleanup_vg_ struct block_vg vg = { 0 };
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    struct domain_layer *layer = NULL;
    struct volume_info info = { 0 };
    int rc = block_vg_open(ctx, id->sd, &vg, err);
    if (rc == 0)
        rc = domain_check_joined(&vg.info, err);
    if (rc == 0)
        rc = domain_check_not_attached(&vg.info, err);
    if (rc == 0)
        rc = block_image_require(&vg, id->img, &image, err);
    if (rc == 0)
        rc = domain_image_get(&image, id->vol, &layer, err);
    if (rc == 0)
        rc = image.store->fill(&image, id->vol, &info, err);
    if (rc != 0)
        return rc;
    *ret_bytes = info.apparent_bytes;
    return may_shrink(layer)
               ? shrink(&image, layer, spare_bytes, ret_bytes, err)
               : 0;
}
