/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bytes of a layer, as its file has them, for a copy on another host. Only
 * layers that nobody writes to are read; only what is to become such a copy is
 * written.
 */
#include "block/idle.h"
#include "block/lv.h"
#include "block/use.h"
#include "ops.h"
#include "subject.h"
#include <dray/base/file.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <string.h>

enum {
    BLOCK = 4096,
    PIECE = 1024 * 1024,
    SHA256_SIZE = 32
};

static int failed(const struct domain_image *image, const char *vol,
                  const char *verb, struct err *err)
{
    return domain_fail(err, ERR_VOLUME_ACCESS, verb, &image->dir, vol);
}

/* --- reading ------------------------------------------------------------ */

/* An LV past the page cache: what other hosts wrote is not in it. */
static int open_layer(void *ctx, const struct volume_id *id,
                      struct domain_subject *subject, int *ret_fd,
                      struct err *err)
{
    int rc = domain_subject_open(ctx, id->sd, id->img, id->vol, subject, err);
    if (rc != 0)
        return rc;
    int flags = O_RDONLY | (subject->image.vg ? O_DIRECT : 0);
    return domain_image_data(&subject->image, id->vol, flags, ret_fd, err);
}

/* As many as there are: short at the end only. */
static ssize_t read_piece(int fd, char *buffer, size_t size, uint64_t offset)
{
    size_t done = 0;
    ssize_t n = 1;
    while (done < size && n != 0) {
        n = pread(fd, buffer + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

/* Whole blocks; a file system that knows nothing of holes has only data. */
static int find_data(int fd, uint64_t offset, uint64_t *ret_data)
{
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return -errno;
    *ret_data = offset;
    if (offset >= (uint64_t)end)
        return 0;
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
    if (data >= 0)
        *ret_data =
            (uint64_t)data > offset ? (uint64_t)data / BLOCK * BLOCK : offset;
    else if (errno == ENXIO)
        *ret_data = (uint64_t)end;
    return 0;
}

int domain_volume_read(void *ctx, const struct volume_id *id,
                       struct volume_piece *piece, struct err *err)
{
    _cleanup_subject_ struct domain_subject c = DOMAIN_SUBJECT_INIT;
    _cleanup_close_ int fd = -1;
    uint64_t data = piece->offset;
    int rc = open_layer(ctx, id, &c, &fd, err);
    if (rc < 0)
        return rc;
    if (find_data(fd, piece->offset, &data) < 0)
        return failed(&c.image, id->vol, "seek in", err);
    ssize_t n = data > piece->offset
                    ? 0
                    : read_piece(fd, piece->data, piece->size, piece->offset);
    if (n < 0)
        return failed(&c.image, id->vol, "read", err);
    piece->n = (size_t)n;
    piece->next = data + (uint64_t)n;
    return 0;
}

/* --- digests ------------------------------------------------------------ */

struct digester {
    gnutls_hash_hd_t hash;
    char *buffer;
    bool begun;
};

static void digest_clear(struct digester *digester)
{
    if (digester->begun)
        gnutls_hash_deinit(digester->hash, NULL);
    free(digester->buffer);
}

static int digest_begin(struct digester *digester)
{
    void *buffer = NULL;
    digester->begun = gnutls_hash_init(&digester->hash, GNUTLS_DIG_SHA256) == 0;
    if (posix_memalign(&buffer, BLOCK, PIECE) == 0)
        digester->buffer = buffer;
    return digester->begun && digester->buffer ? 0 : -ENOMEM;
}

static int digest_file(struct digester *digester, int fd,
                       struct volume_digest *digest)
{
    uint64_t done = 0;
    ssize_t n = 1;
    while (done < digest->size && n > 0) {
        uint64_t rest = digest->size - done;
        size_t blocks = rest < PIECE ? (size_t)(rest + BLOCK - 1) : PIECE;
        n = read_piece(fd, digester->buffer, blocks / BLOCK * BLOCK,
                       digest->offset + done);
        if (n < 0)
            return -errno;
        n = (uint64_t)n < rest ? n : (ssize_t)rest;
        if (gnutls_hash(digester->hash, digester->buffer, (size_t)n) < 0)
            return -EIO;
        done += (uint64_t)n;
    }
    digest->n = done;
    return 0;
}

static void digest_end(struct digester *digester, char ret[VOLUME_DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[SHA256_SIZE];
    gnutls_hash_deinit(digester->hash, raw);
    digester->begun = false;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        ret[2 * i] = digits[raw[i] >> 4];
        ret[2 * i + 1] = digits[raw[i] & 15];
    }
    ret[VOLUME_DIGEST_SIZE - 1] = '\0';
}

int domain_volume_digest(void *ctx, const struct volume_id *id,
                         struct volume_digest *digest, struct err *err)
{
    _cleanup_subject_ struct domain_subject c = DOMAIN_SUBJECT_INIT;
    _cleanup_(digest_clear) struct digester digester = { .begun = false };
    _cleanup_close_ int fd = -1;
    int rc = open_layer(ctx, id, &c, &fd, err);
    if (rc < 0)
        return rc;
    if (digest_begin(&digester) < 0)
        return err_set(err, -ENOMEM, "volume %s: out of memory", id->vol);
    rc = digest_file(&digester, fd, digest);
    if (rc < 0) {
        errno = -rc;
        return failed(&c.image, id->vol, "read", err);
    }
    digest_end(&digester, digest->hex);
    return 0;
}

/* --- writing ------------------------------------------------------------ */

static int check_copy(const struct domain_subject *c, struct err *err)
{
    const struct domain_layer *layer = c->layer;
    if (!layer->linked && layer->record.role != FORMAT_SHARED &&
        layer->record.legality == FORMAT_ILLEGAL)
        return 0;
    return err_set_code(err, ERR_VOLUME_BUSY,
                        "volume %s is not ILLEGAL, so it is no copy that may "
                        "be written",
                        layer->vol);
}

static int open_copy(void *ctx, const struct volume_id *id,
                     struct domain_subject *subject, struct err *err)
{
    int rc = domain_subject_open(ctx, id->sd, id->img, id->vol, subject, err);
    return rc < 0 ? rc : check_copy(subject, err);
}

static int open_file(const struct domain_subject *c, int *ret_fd,
                     struct err *err)
{
    return domain_image_data(&c->image, c->layer->vol, O_RDWR, ret_fd, err);
}

static int write_piece(int fd, const struct volume_piece *piece)
{
    if (piece->offset == 0 && ftruncate(fd, 0) < 0)
        return -errno;
    if (lseek(fd, (off_t)piece->offset, SEEK_SET) < 0)
        return -errno;
    return file_write_all(fd, piece->data, piece->size);
}

static int write_file(const struct domain_subject *c,
                      const struct volume_piece *piece, struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = open_file(c, &fd, err);
    if (rc < 0)
        return rc;
    rc = write_piece(fd, piece);
    if (rc == 0)
        return 0;
    errno = -rc;
    return failed(&c->image, c->layer->vol, "write", err);
}

/* It stays active until its end: whoever removes it instead sees to that. */
static int write_lv(const struct domain_subject *c,
                    const struct volume_piece *piece, struct err *err)
{
    const struct block_vg *vg = c->image.vg;
    const char *vol = c->layer->vol;
    const struct lvm_lv *lv = lvm_report_lv(&vg->report, vol);
    int rc = 0;
    if (!lv || piece->offset + piece->size > lv->size_bytes)
        return err_set_code(err, ERR_NO_SPACE,
                            "volume %s: its LV is too small for its copy", vol);
    if (!lv->active)
        rc = lvm_activate(vg->lvm, (struct lvm_names){ .names = &vol, .n = 1 },
                          block_soon(), err);
    if (rc == 0 && piece->gap > 0)
        rc = block_lv_zero(&vg->info, vol, piece->offset - piece->gap,
                           piece->gap, err);
    if (rc == 0 && piece->size > 0)
        rc = block_lv_write(&vg->info, vol, piece->offset, piece->data,
                            piece->size, err);
    return rc;
}

int domain_volume_write(void *ctx, const struct volume_id *id,
                        const struct volume_piece *piece, struct err *err)
{
    _cleanup_subject_ struct domain_subject c = DOMAIN_SUBJECT_INIT;
    int rc = open_copy(ctx, id, &c, err);
    if (rc == 0 && piece->gap > piece->offset)
        rc = err_set_code(err, ERR_VALUE, "volume %s: a gap of %llu bytes",
                          id->vol, (unsigned long long)piece->gap);
    if (rc < 0)
        return rc;
    return c.image.vg ? write_lv(&c, piece, err) : write_file(&c, piece, err);
}

static int end_file(const struct domain_subject *c, uint64_t size,
                    struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = open_file(c, &fd, err);
    if (rc < 0)
        return rc;
    if (ftruncate(fd, (off_t)size) < 0)
        return failed(&c->image, c->layer->vol, "set the size of", err);
    return domain_file_sync(fd, &c->image.dir, c->layer->vol, err);
}

int domain_volume_end(void *ctx, const struct volume_id *id, uint64_t size,
                      struct err *err)
{
    _cleanup_subject_ struct domain_subject c = DOMAIN_SUBJECT_INIT;
    int rc = open_copy(ctx, id, &c, err);
    if (rc < 0)
        return rc;
    return c.image.vg ? block_idle_end(c.image.vg, id->vol, err)
                      : end_file(&c, size, err);
}
