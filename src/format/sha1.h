/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SHA-1 piece by piece.
 */
#ifndef DRAY_FORMAT_SHA1_H
#define DRAY_FORMAT_SHA1_H

#include <dray/format.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHA1_BLOCK_SIZE = 64
};

struct sha1 {
    uint32_t state[5];
    uint64_t size; /* bytes hashed so far */
    unsigned char block[SHA1_BLOCK_SIZE];
};

void sha1_init(struct sha1 *sha1);
void sha1_update(struct sha1 *sha1, const void *data, size_t size);
void sha1_finish_hex(struct sha1 *sha1, char ret_hex[FORMAT_SHA1_HEX_SIZE]);

#endif
