/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Data in LVs. An LV gets extents that others had, with what they wrote. That
 * must not be taken for anything: both ends are zeroed, where formats and
 * partition tables have their marks, before anything is written. In between a
 * raw volume holds what it holds, as under oVirt: whoever wants zeros there
 * (a copy, a guest) writes them. A qcow2 gives nothing away: what it has not
 * written it does not read.
 */
#include "data.h"
#include "../store.h"
#include "lv.h"
#include "use.h"
#include <dray/format/block.h>
#include <dray/watermark.h>
#include <errno.h>
#include <fcntl.h>

enum {
    MARKS_BYTES = 1024 * 1024, /* at each end */
    CLUSTER = 64 * 1024,       /* of the qcow2s that we make */
};

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    uint64_t rest = bytes % unit;
    return rest ? bytes + (unit - rest) : bytes;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t block_data_first_bytes(const struct format_volume *record,
                                uint64_t initial_bytes, uint64_t extent_bytes)
{
    uint64_t bytes = record->capacity;
    if (record->kind == FORMAT_COW) {
        uint64_t full = watermark_qcow2_bytes(record->capacity, CLUSTER);
        uint64_t fallback = record->allocation == FORMAT_PREALLOCATED
                                ? record->capacity
                                : watermark_defaults().chunk_bytes;
        bytes = smaller(initial_bytes ? initial_bytes : fallback, full);
    }
    return round_up(bytes, extent_bytes);
}

static int wipe_ends(const struct domain_image *image, const char *vol, int fd,
                     struct err *err)
{
    const struct domain_info *info = &image->vg->info;
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 2 * (off_t)MARKS_BYTES)
        return err_set_code(err, ERR_VOLUME_CREATE,
                            "%s/%s has %lld bytes, which is no LV's size",
                            image->dir.path, vol, (long long)size);
    int rc = block_lv_zero(info, vol, 0, MARKS_BYTES, err);
    return rc < 0 ? rc
                  : block_lv_zero(info, vol, (uint64_t)size - MARKS_BYTES,
                                  MARKS_BYTES, err);
}

static int write_qcow2(const struct domain_image *image,
                       const struct domain_data *data, struct err *err)
{
    _cleanup_free_ char *empty = NULL;
    size_t size = 0;
    int rc = domain_data_build(data, &empty, &size, err);
    return rc < 0 ? rc
                  : block_lv_write(&image->vg->info, data->vol, 0, empty, size,
                                   err);
}

int block_data_make(const struct domain_image *image,
                    const struct domain_data *data, struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = domain_image_data(image, data->vol, O_RDWR, &fd, err);
    if (rc == 0)
        rc = wipe_ends(image, data->vol, fd, err);
    if (rc == 0 && data->kind == FORMAT_COW)
        rc = write_qcow2(image, data, err);
    return rc < 0 ? rc : domain_file_sync(fd, &image->dir, data->vol, err);
}

int block_data_check_unused(const struct domain_image *image, const char *vol,
                            struct err *err)
{
    const struct lvm_lv *lv = lvm_report_lv(&image->vg->report, vol);
    if (!lv || !lv->open)
        return 0;
    (void)err_set_code(err, ERR_VOLUME_BUSY, "%s/%s is open", image->dir.path,
                       vol);
    return err_next(err, "stop the VM or the program that uses it first");
}

int block_data_extend(const struct domain_image *image,
                      const struct domain_layer *layer, uint64_t bytes,
                      uint64_t *ret_bytes, struct err *err)
{
    const struct block_vg *vg = image->vg;
    const struct lvm_lv *lv = lvm_report_lv(&vg->report, layer->vol);
    uint64_t wanted = round_up(bytes, vg->info.extent_bytes);
    if (!lv)
        return err_set_code(err, ERR_VOLUME_ACCESS, "%s/%s is missing",
                            image->dir.path, layer->vol);
    if (wanted < lv->size_bytes)
        return domain_refuse_resize(layer->vol, lv->size_bytes, bytes, err);
    return lvm_extend(vg->lvm, layer->vol, wanted, block_soon(), ret_bytes,
                      err);
}
