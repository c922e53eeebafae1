/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether a piece of memory is all zeros; fast.
 */
#ifndef DRAY_COPY_ZERO_H
#define DRAY_COPY_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* memcmp() is the vector loop that fits this processor: all is zero when the
 * first bytes are, and each byte equals the one 64 bytes before it. */
static inline bool is_zero(const char *data, size_t len)
{
    static const char zeros[64];
    if (len <= sizeof(zeros))
        return memcmp(data, zeros, len) == 0;
    return memcmp(data, zeros, sizeof(zeros)) == 0 &&
           memcmp(data, data + sizeof(zeros), len - sizeof(zeros)) == 0;
}

#endif
