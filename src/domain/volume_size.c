/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The size of raw volumes and the space they take. A volume grows in this
 * order, each step durable before the next:
 *
 *   1 the space, when it is PREALLOCATED: beyond the end, where nobody looks
 *   2 the file: a VM that has it open does not see that until it is told
 *   3 the record
 *
 * Cut off anywhere, the file is never smaller than its record says, and who
 * asks again for the same size gets the rest done.
 */
#include "data.h"
#include "kind.h"
#include "ops.h"
#include "store.h"
#include "subject.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    SIZE_UNIT = 4096
};

struct change {
    uint64_t from;
    uint64_t to;
};

/* Zeros are never written here, unlike when a volume is made: somebody else may
 * be writing. */
int file_volume_preallocate(void *ctx, const struct volume_id *id,
                            struct err *err)
{
    _cleanup_view_ struct domain_view view = DOMAIN_VIEW_INIT;
    _cleanup_image_ struct domain_image image = DOMAIN_IMAGE_INIT;
    _cleanup_close_ int fd = -1;
    struct domain_layer *layer = NULL;
    int rc = domain_view_open(ctx, id->sd, &view, err);
    if (rc == 0)
        rc = domain_image_require(&view, id->img, &image, err);
    if (rc == 0)
        rc = domain_image_get(&image, id->vol, &layer, err);
    if (rc != 0 || layer->linked || layer->record.kind != FORMAT_RAW ||
        layer->record.allocation != FORMAT_PREALLOCATED)
        return rc;
    rc = domain_file_open(&image.dir, id->vol, O_RDWR, &fd, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_VOLUME_ACCESS, "%s/%s is missing",
                            image.dir.path, id->vol);
    if (rc == 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0,
                             (off_t)layer->record.capacity) < 0)
        rc = domain_fail(err, ERR_VOLUME_ACCESS, "preallocate", &image.dir,
                         id->vol);
    return rc;
}

/* --- growing --- */

int domain_refuse_resize(const char *vol, uint64_t from, uint64_t to,
                         struct err *err)
{
    return err_set_code(err, ERR_VOLUME_RESIZE,
                        "volume %s has %llu bytes already, which is more than "
                        "%llu",
                        vol, (unsigned long long)from, (unsigned long long)to);
}

/* 0, or DOMAIN_NONE: it is as large as it needs to be, whatever is asked. */
static int check_kind(const struct domain_layer *layer, struct err *err)
{
    const struct format_volume *record = &layer->record;
    if (layer->linked || record->role == FORMAT_SHARED)
        return err_set_code(err, ERR_VOLUME_NOT_WRITABLE,
                            "volume %s is a template's, so it does not grow",
                            layer->vol);
    if (record->kind == FORMAT_COW)
        return DOMAIN_NONE;
    if (record->role != FORMAT_LEAF && !str_equal(record->parent, UUID_BLANK))
        return err_set_code(err, ERR_VOLUME_NOT_WRITABLE,
                            "volume %s is neither the leaf nor the base of its "
                            "image, so it does not grow",
                            layer->vol);
    return 0;
}

static int grow(int fd, const struct domain_image *image,
                const struct domain_layer *layer, const struct change *change,
                struct err *err)
{
    int rc = 0;
    if (layer->record.allocation == FORMAT_PREALLOCATED)
        rc = domain_data_take_space(fd, change->from, change->to);
    if (rc == 0 && ftruncate(fd, (off_t)change->to) < 0)
        rc = -errno;
    if (rc < 0) {
        /* What was taken beyond the end is given back by this, too. */
        (void)ftruncate(fd, (off_t)change->from);
        errno = -rc;
        return domain_fail(err, ERR_VOLUME_EXTEND, "extend", &image->dir,
                           layer->vol);
    }
    return domain_file_sync(fd, &image->dir, layer->vol, err);
}

int domain_file_extend(const struct domain_image *image,
                       const struct domain_layer *layer, uint64_t bytes,
                       uint64_t *ret_bytes, struct err *err)
{
    const char *vol = layer->vol;
    _cleanup_close_ int fd = -1;
    struct stat st;
    int rc = domain_image_data(image, vol, O_RDWR, &fd, err);
    if (rc < 0)
        return rc;
    if (fstat(fd, &st) < 0)
        return domain_fail(err, ERR_VOLUME_ACCESS, "stat", &image->dir, vol);
    const struct change change = { .from = (uint64_t)st.st_size, .to = bytes };
    if (bytes < change.from)
        return domain_refuse_resize(vol, change.from, bytes, err);
    *ret_bytes = bytes;
    return bytes == change.from ? 0 : grow(fd, image, layer, &change, err);
}

static int extend(struct domain_subject *c, uint64_t bytes, struct err *err)
{
    struct format_volume *record = &c->layer->record;
    int rc = check_kind(c->layer, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    rc = c->image.store->extend(&c->image, c->layer, bytes, &bytes, err);
    if (rc < 0 || record->capacity == bytes)
        return rc;
    record->capacity = bytes;
    return c->image.store->put(&c->image, c->layer, err);
}

int domain_volume_extend(void *ctx, const struct volume_id *id, uint64_t bytes,
                         struct err *err)
{
    _cleanup_subject_ struct domain_subject c = DOMAIN_SUBJECT_INIT;
    if (bytes == 0 || bytes > INT64_MAX - SIZE_UNIT)
        return err_set_code(err, ERR_VALUE, "volume %s: %llu bytes are no size",
                            id->vol, (unsigned long long)bytes);
    int rc = domain_subject_begin(ctx, id->sd, id->img, id->vol, &c, err);
    if (rc < 0)
        return rc;
    return extend(&c, (bytes + SIZE_UNIT - 1) / SIZE_UNIT * SIZE_UNIT, err);
}
