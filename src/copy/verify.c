/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What it means for a copy of the same format to be right: the same bytes. The
 * one exception is the first cluster of a qcow2 layer whose parent has another
 * format now: its header was written anew, and is judged by what it says.
 */
#include "compare.h"
#include "convert.h"
#include "same.h"
#include <dray/format.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Offsets of the qcow2 header. The fields between tell where the tables are. */
enum {
    BACKING = 8,      /* offset and length of the parent's name, */
    BACKING_END = 20, /* which are free to change */
    FIXED_END = 72,   /* of version 2 */
    AUTOCLEAR = 88,   /* features that a writer may drop; 8 bytes */
    AUTOCLEAR_END = 96,
    REFCOUNT_END = 100,
};

struct heads {
    unsigned char *src; /* FORMAT_QCOW2_HEAD_SIZE bytes each */
    unsigned char *dst;
    struct format_qcow2 src_says;
    struct format_qcow2 dst_says;
};

static void heads_deinit(struct heads *heads)
{
    free(heads->src);
    free(heads->dst);
}

static int read_head(const struct side *side, unsigned char **ret_data,
                     struct format_qcow2 *ret, struct err *err)
{
    *ret_data = aligned_alloc(SIDE_BLOCK, FORMAT_QCOW2_HEAD_SIZE);
    if (!*ret_data)
        return err_set(err, -ENOMEM, "compare %s: out of memory", side->path);
    ssize_t n = side_read(side, *ret_data, FORMAT_QCOW2_HEAD_SIZE, 0);
    if (n < 0)
        return copy_error(err, (int)n, "read", side->path);
    if (format_qcow2_parse(*ret_data, (size_t)n, ret, err) < 0)
        return err_wrap(err, "%s", side->path);
    return 0;
}

static bool is_equal(const struct heads *heads, size_t from, size_t to)
{
    return memcmp(heads->src + from, heads->dst + from, to - from) == 0;
}

static bool headers_match(const struct copy_spec *spec,
                          const struct heads *heads)
{
    const struct format_qcow2 *says = &heads->dst_says;
    const char *format =
        spec->dst_backing_format == VOLUME_RAW ? "raw" : "qcow2";
    return is_equal(heads, 0, BACKING) &&
           is_equal(heads, BACKING_END, FIXED_END) &&
           (says->version == 2 ||
            (is_equal(heads, FIXED_END, AUTOCLEAR) &&
             is_equal(heads, AUTOCLEAR_END, REFCOUNT_END))) &&
           strcmp(says->backing, spec->dst_backing) == 0 &&
           strcmp(says->backing_format, format) == 0;
}

/* Their directory was written anew with the header. */
static bool has_bitmaps(const struct heads *heads)
{
    return heads->src_says.version > 2 && heads->src[AUTOCLEAR_END - 1] & 1;
}

static int compare_rebased(struct copy *copy, const struct pair *pair,
                           struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    _cleanup_(heads_deinit) struct heads heads = { 0 };
    int rc = read_head(&pair->src, &heads.src, &heads.src_says, err);
    if (rc == 0 && has_bitmaps(&heads))
        return convert_compare(copy, err);
    if (rc)
        return rc;
    struct err why = ERR_INIT;
    if (read_head(&pair->dst, &heads.dst, &heads.dst_says, &why))
        return compare_differs(err, spec, why.message);
    if (!headers_match(spec, &heads))
        return compare_differs(err, spec, "the qcow2 header");
    return compare_bytes(copy, pair, UINT64_C(1) << heads.src_says.cluster_bits,
                         err);
}

int same_compare(struct copy *copy, struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    _cleanup_(pair_close) struct pair pair = PAIR_INIT;
    char where[64];
    int rc = pair_open(&pair, spec, O_RDONLY, err);
    if (rc)
        return rc;
    copy_set_mover(copy, COPY_BY_DIRECT);
    if (!pair.dst.is_block && pair.dst.size != pair.src.size) {
        (void)str_format(where, sizeof(where), "%llu bytes, not %llu",
                         (unsigned long long)pair.dst.size,
                         (unsigned long long)pair.src.size);
        return compare_differs(err, spec, where);
    }
    return same_header(spec) ? compare_bytes(copy, &pair, 0, err)
                             : compare_rebased(copy, &pair, err);
}
