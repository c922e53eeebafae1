/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sizes of sanlock's areas: each host has one block in an area, so block size
 * and number of hosts say how large an area must be.
 */
#include <dray/format.h>

enum {
    MIB = 1024 * 1024
};

int format_alignment(unsigned block_size, unsigned max_hosts,
                     unsigned *ret_alignment, struct err *err)
{
    if (max_hosts < 1 || max_hosts > FORMAT_HOSTS_MAX)
        return err_set_code(err, ERR_VALUE,
                            "%u hosts: a domain is made for 1 to %u", max_hosts,
                            (unsigned)FORMAT_HOSTS_MAX);
    if (block_size != 512 && block_size != 4096)
        return err_set_code(err, ERR_VALUE,
                            "block size %u is neither 512 nor 4096",
                            block_size);
    unsigned alignment = MIB;
    if (block_size == 4096) {
        for (unsigned hosts = 250; hosts < max_hosts; hosts *= 2)
            alignment *= 2;
    }
    *ret_alignment = alignment;
    return 0;
}

bool format_geometry_is_valid(unsigned block_size, unsigned alignment)
{
    if (block_size == 512)
        return alignment == MIB;
    return block_size == 4096 && (alignment == MIB || alignment == 2 * MIB ||
                                  alignment == 4 * MIB || alignment == 8 * MIB);
}
