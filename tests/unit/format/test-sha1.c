/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SHA-1 against the examples of FIPS 180-4 and sizes around a block's end.
 */
#include <dray/format.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void hashes_known_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *hex;
    } known[] = {
        {"",                                                          "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        { "abc",                                                      "a9993e364706816aba3e25717850c26c9cd0d89d"},
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "84983e441c3bd26ebaae4aa1f95129e5e54670f1"                                                             },
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        char hex[FORMAT_SHA1_HEX_SIZE];
        format_sha1_hex(known[i].text, strlen(known[i].text), hex);
        assert_string_equal(hex, known[i].hex);
    }
}

static void hashes_a_million_letters(void **state)
{
    (void)state;
    _cleanup_free_ char *text = malloc(1000000);
    assert_non_null(text);
    memset(text, 'a', 1000000);
    char hex[FORMAT_SHA1_HEX_SIZE];
    format_sha1_hex(text, 1000000, hex);
    assert_string_equal(hex, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

static void hashes_around_the_end_of_a_block(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        const char *hex;
    } known[] = {
        {55,  "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
        { 56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        { 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
        { 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        { 65, "11655326c708d70319be2610e8a57d9a5b959d3b"},
    };
    char text[65];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        char hex[FORMAT_SHA1_HEX_SIZE];
        format_sha1_hex(text, known[i].size, hex);
        assert_string_equal(hex, known[i].hex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_known_texts),
        cmocka_unit_test(hashes_a_million_letters),
        cmocka_unit_test(hashes_around_the_end_of_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
