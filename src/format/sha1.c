/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SHA-1 (FIPS 180-4), since the format's checksum is one and this room depends
 * on no library. It guards against accidents, not against people.
 */
#include "sha1.h"
#include "text.h"
#include <string.h>

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static void expand(const unsigned char *block, uint32_t ret_words[80])
{
    for (size_t i = 0; i < 16; i++)
        ret_words[i] = bytes_be32(block + 4 * i);
    for (size_t i = 16; i < 80; i++)
        ret_words[i] = rotate(ret_words[i - 3] ^ ret_words[i - 8] ^
                                  ret_words[i - 14] ^ ret_words[i - 16],
                              1);
}

static uint32_t mix(size_t round, const uint32_t v[5])
{
    if (round < 20)
        return ((v[1] & v[2]) | (~v[1] & v[3])) + 0x5a827999U;
    if (round < 40)
        return (v[1] ^ v[2] ^ v[3]) + 0x6ed9eba1U;
    if (round < 60)
        return ((v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])) + 0x8f1bbcdcU;
    return (v[1] ^ v[2] ^ v[3]) + 0xca62c1d6U;
}

static void compress(uint32_t state[5], const unsigned char *block)
{
    uint32_t words[80];
    uint32_t v[5];
    expand(block, words);
    memcpy(v, state, sizeof(v));
    for (size_t round = 0; round < 80; round++) {
        uint32_t next = rotate(v[0], 5) + mix(round, v) + v[4] + words[round];
        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotate(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (size_t i = 0; i < 5; i++)
        state[i] += v[i];
}

void sha1_init(struct sha1 *sha1)
{
    static const uint32_t start[5] = { 0x67452301U, 0xefcdab89U, 0x98badcfeU,
                                       0x10325476U, 0xc3d2e1f0U };
    memcpy(sha1->state, start, sizeof(start));
    sha1->size = 0;
}

void sha1_update(struct sha1 *sha1, const void *data, size_t size)
{
    const unsigned char *next = data;
    for (size_t i = 0; i < size; i++) {
        sha1->block[sha1->size % SHA1_BLOCK_SIZE] = next[i];
        sha1->size++;
        if (sha1->size % SHA1_BLOCK_SIZE == 0)
            compress(sha1->state, sha1->block);
    }
}

/* One bit, zeros up to the last 8 bytes of a block, the size in bits. */
static void finish(struct sha1 *sha1)
{
    uint64_t bits = sha1->size * 8;
    sha1_update(sha1, "\x80", 1);
    while (sha1->size % SHA1_BLOCK_SIZE != SHA1_BLOCK_SIZE - 8)
        sha1_update(sha1, "", 1);
    for (int shift = 56; shift >= 0; shift -= 8) {
        unsigned char byte = (unsigned char)(bits >> shift);
        sha1_update(sha1, &byte, 1);
    }
}

void sha1_finish_hex(struct sha1 *sha1, char ret_hex[FORMAT_SHA1_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    finish(sha1);
    for (size_t i = 0; i < 40; i++)
        ret_hex[i] = digits[sha1->state[i / 8] >> (28 - 4 * (i % 8)) & 0xfU];
    ret_hex[40] = '\0';
}

void format_sha1_hex(const void *data, size_t size,
                     char ret_hex[FORMAT_SHA1_HEX_SIZE])
{
    struct sha1 sha1;
    sha1_init(&sha1);
    sha1_update(&sha1, data, size);
    sha1_finish_hex(&sha1, ret_hex);
}
