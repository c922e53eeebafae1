/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The file has two records that are written in turn, each with a number and a
 * checksum: whichever write a crash tears, the other record is whole. That
 * costs one synchronous write without a change of metadata, where a replaced
 * file would cost three syncs; it happens several times a second.
 *
 * A record names both sides as the kernel knows them, so that a checkpoint of
 * another copy, of a source that was written to, or of a destination that was
 * made anew (its time of birth) counts for nothing. What a file system does
 * not tell is 0 on both sides; therefore the last data before the position is
 * compared too. Whatever is doubtful means "from zero": that is always right.
 */
#include "checkpoint.h"
#include "copy.h"
#include <dray/base/file.h>
#include <dray/format.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

enum {
    RECORDS = 2,
    RECORD_GAP = 4096, /* one sector write never tears both */
    FILE_SIZE = RECORDS * RECORD_GAP,
    SAMPLE = 1024 * 1024,
};

static const char magic[8] = "draycpy1";

/* What must be the same for a copy to go on. */
struct identity {
    uint64_t src_dev, src_ino, src_size;
    int64_t src_mtime_s, src_mtime_ns;
    uint64_t dst_dev, dst_ino;
    int64_t dst_birth_s, dst_birth_ns;
    uint32_t src_format, dst_format;
};

struct record {
    char magic[8];
    uint64_t sequence;
    uint64_t at;
    struct identity identity;
    char sum[FORMAT_SHA1_HEX_SIZE]; /* of all before it */
};

_Static_assert(sizeof(struct record) <= CHECKPOINT_RECORD, "record too large");

bool checkpoint_key_is_valid(const char *key)
{
    return strnlen(key, COPY_KEY_SIZE) < COPY_KEY_SIZE &&
           key[strspn(key, "0123456789abcdef-")] == '\0';
}

int checkpoint_init(struct checkpoint *checkpoint, const char *dir,
                    const char *key, struct err *err)
{
    *checkpoint = (struct checkpoint)CHECKPOINT_INIT;
    if (!dir[0] || !key[0])
        return 0;
    if (!checkpoint_key_is_valid(key))
        return err_set(err, -EINVAL, "checkpoint: '%.80s' is no key", key);
    if (!str_format(checkpoint->path, PATH_MAX, "%s/%s", dir, key))
        return err_set(err, -ENAMETOOLONG, "checkpoint %s: name too long", key);
    return 0;
}

void checkpoint_deinit(struct checkpoint *checkpoint)
{
    util_closep(&checkpoint->fd);
    checkpoint->fd = -1;
}

static void get_birth(int fd, struct identity *ret)
{
    struct statx x;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &x) < 0 ||
        !(x.stx_mask & STATX_BTIME))
        return;
    ret->dst_birth_s = x.stx_btime.tv_sec;
    ret->dst_birth_ns = x.stx_btime.tv_nsec;
}

static void identify(const struct pair *pair, const struct copy_spec *spec,
                     struct identity *ret)
{
    const struct stat *src = &pair->src.st;
    const struct stat *dst = &pair->dst.st;
    memset(ret, 0, sizeof(*ret)); /* the padding too */
    ret->src_dev = pair->src.is_block ? src->st_rdev : src->st_dev;
    ret->src_ino = src->st_ino;
    ret->src_size = pair->src.size;
    ret->src_mtime_s = src->st_mtim.tv_sec;
    ret->src_mtime_ns = src->st_mtim.tv_nsec;
    ret->dst_dev = pair->dst.is_block ? dst->st_rdev : dst->st_dev;
    ret->dst_ino = dst->st_ino;
    get_birth(pair->dst.fd, ret);
    ret->src_format = spec->src_format;
    ret->dst_format = spec->dst_format;
}

/* --- one record --- */

static void seal(const struct record *record, char ret[FORMAT_SHA1_HEX_SIZE])
{
    format_sha1_hex(record, offsetof(struct record, sum), ret);
}

/* The next record in the place of the older one. */
void checkpoint_prepare(struct checkpoint *checkpoint, uint64_t at,
                        struct ring_op *op)
{
    struct record *record = (struct record *)checkpoint->record;
    record->sequence = ++checkpoint->sequence;
    record->at = at;
    seal(record, record->sum);
    *op = (struct ring_op){
        .kind = RING_WRITE,
        .fd = checkpoint->fd,
        .data = checkpoint->record,
        .len = sizeof(checkpoint->record),
        .need = sizeof(checkpoint->record),
        .at = checkpoint->sequence % RECORDS * RECORD_GAP,
    };
}

static bool is_whole(const struct record *record)
{
    char sum[FORMAT_SHA1_HEX_SIZE];
    seal(record, sum);
    return memcmp(record->magic, magic, sizeof(magic)) == 0 &&
           memcmp(record->sum, sum, sizeof(sum)) == 0;
}

static bool read_newest(const char *path, struct record *ret)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    bool found = false;
    if (file_read(path, FILE_SIZE, &text, &len, NULL) < 0 || len != FILE_SIZE)
        return false;
    for (size_t i = 0; i < RECORDS; i++) {
        struct record record;
        memcpy(&record, text + i * RECORD_GAP, sizeof(record));
        if (!is_whole(&record) || (found && record.sequence < ret->sequence))
            continue;
        *ret = record;
        found = true;
    }
    return found;
}

/* --- trying its word --- */

static int read_sample(const struct side *side, char *buffer, size_t len,
                       uint64_t at)
{
    memset(buffer, 0, len);
    ssize_t n = side_read(side, buffer, len, at);
    return n < 0 ? (int)n : 0;
}

/* The last data before @end; what lies there in a device that shows no holes
 * may be zeros, and then proves little. */
static bool last_data(const struct side *src, uint64_t end,
                      struct extent *ret_last)
{
    struct extent extent = { 0 };
    bool found = false;
    while (extent_next(src->fd, extent.end, end, &extent) == 0) {
        *ret_last = extent;
        found = true;
    }
    return found;
}

static bool proves_itself(const struct pair *pair, uint64_t end)
{
    struct extent last;
    if (!last_data(&pair->src, end, &last))
        return true;
    uint64_t at = last.end > SAMPLE ? last.end - SAMPLE : 0;
    at -= at % SIDE_BLOCK;
    if (at < last.start)
        at = last.start;
    size_t n = (size_t)(last.end - at);
    size_t len = (n + SIDE_BLOCK - 1) / SIDE_BLOCK * SIDE_BLOCK;
    _cleanup_free_ char *a = aligned_alloc(SIDE_BLOCK, len);
    _cleanup_free_ char *b = aligned_alloc(SIDE_BLOCK, len);
    return a && b && read_sample(&pair->src, a, len, at) == 0 &&
           read_sample(&pair->dst, b, len, at) == 0 && memcmp(a, b, n) == 0;
}

bool checkpoint_find(struct checkpoint *checkpoint, const struct pair *pair,
                     const struct copy_spec *spec, uint64_t *ret_at)
{
    struct record record;
    struct identity mine;
    if (!checkpoint->path[0] || !read_newest(checkpoint->path, &record))
        return false;
    identify(pair, spec, &mine);
    if (memcmp(&record.identity, &mine, sizeof(mine)) != 0 ||
        record.at > pair->src.size || pair->dst.size < pair->src.size ||
        !proves_itself(pair, record.at))
        return false;
    _cleanup_close_ int fd =
        open(checkpoint->path, O_WRONLY | O_DSYNC | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    memset(checkpoint->record, 0, sizeof(checkpoint->record));
    memcpy(checkpoint->record, &record, sizeof(record));
    checkpoint->sequence = record.sequence;
    checkpoint->fd = TAKE_FD(fd);
    *ret_at = record.at;
    return true;
}

/* --- writing --- */

int checkpoint_start(struct checkpoint *checkpoint, const struct pair *pair,
                     const struct copy_spec *spec, struct err *err)
{
    char file[FILE_SIZE] = { 0 };
    struct record record = { .sequence = 0 };
    struct ring_op op;
    if (!checkpoint->path[0])
        return 0;
    memcpy(record.magic, magic, sizeof(magic));
    identify(pair, spec, &record.identity);
    memset(checkpoint->record, 0, sizeof(checkpoint->record));
    memcpy(checkpoint->record, &record, sizeof(record));
    checkpoint->sequence = 0;
    checkpoint_prepare(checkpoint, 0, &op);
    memcpy(file + op.at, checkpoint->record, sizeof(checkpoint->record));
    int rc = file_replace(checkpoint->path, file, sizeof(file), 0600, err);
    if (rc < 0)
        return rc;
    util_closep(&checkpoint->fd);
    checkpoint->fd =
        open(checkpoint->path, O_WRONLY | O_DSYNC | O_NOFOLLOW | O_CLOEXEC);
    return checkpoint->fd < 0
               ? copy_error(err, -errno, "open", checkpoint->path)
               : 0;
}

int checkpoint_save(struct checkpoint *checkpoint, uint64_t at, struct err *err)
{
    struct ring_op op;
    if (checkpoint->fd < 0)
        return 0;
    checkpoint_prepare(checkpoint, at, &op);
    ssize_t n = pwrite(op.fd, op.data, op.len, (off_t)op.at);
    if (n >= 0)
        errno = EIO; /* half of a block: no file system does that */
    if (n < (ssize_t)op.len)
        return copy_error(err, -errno, "write", checkpoint->path);
    return 0;
}

int checkpoint_remove(struct checkpoint *checkpoint, struct err *err)
{
    char dir[PATH_MAX];
    if (!checkpoint->path[0])
        return 0;
    if (unlink(checkpoint->path) < 0)
        return errno == ENOENT
                   ? 0
                   : copy_error(err, -errno, "remove", checkpoint->path);
    (void)str_copy(dir, sizeof(dir), checkpoint->path);
    *strrchr(dir, '/') = '\0'; /* checkpoint_init() put it there */
    return file_sync_dir(dir, err);
}
