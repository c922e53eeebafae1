/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which layers are watched. A file grows by itself, a raw LV has its full size
 * from the beginning: only a qcow2 on an LV is thin.
 */
#include <dray/watermark.h>

static bool is_thin(const struct watermark_disk *disk)
{
    return disk && disk->block && disk->cow;
}

size_t watermark_targets(const struct watermark_disk *source,
                         const struct watermark_disk *replica,
                         const struct watermark_disk *base,
                         enum watermark_target ret_targets[3])
{
    size_t n = 0;
    if (is_thin(replica))
        ret_targets[n++] = WATERMARK_REPLICA;
    if (is_thin(source))
        ret_targets[n++] = WATERMARK_SOURCE;
    if (is_thin(base))
        ret_targets[n++] = WATERMARK_BASE;
    return n;
}
