/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The qcow2 header reader: headers as qemu-img makes them, and what a hostile
 * guest would put there instead.
 */
#include <dray/format.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PARENT "f0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"
#define IMAGE  "bd2af73b-ccc8-47d1-99fc-5fe81604a4e4"

enum {
    HEAD = 4096,
    EXTENSIONS = 112,
    NAME_AT = 0x210
};

static void put(unsigned char *p, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)(value >> (8 * (size - 1 - i)));
}

static void put_name(unsigned char *head, const char *name)
{
    put(head + 8, NAME_AT, 8);
    put(head + 16, strlen(name), 4);
    memcpy(head + NAME_AT, name, strlen(name));
}

/* qemu-img create -f qcow2 -o compat=1.1 -b PARENT -F raw -u x 1G */
static void overlay(unsigned char head[HEAD])
{
    memset(head, 0, HEAD);
    put(head, 0x514649fb, 4);
    put(head + 4, 3, 4);
    put(head + 20, 16, 4);
    put(head + 24, UINT64_C(1) << 30, 8);
    put(head + 36, 2, 4);
    put(head + 40, 0x30000, 8);
    put(head + 48, 0x10000, 8);
    put(head + 56, 1, 4);
    put(head + 96, 4, 4);
    put(head + 100, EXTENSIONS, 4);
    put(head + EXTENSIONS, 0xe2792aca, 4);
    put(head + EXTENSIONS + 4, 3, 4);
    memcpy(head + EXTENSIONS + 8, "raw", 3);
    put(head + EXTENSIONS + 16, 0x6803f857, 4);
    put(head + EXTENSIONS + 20, 0x180, 4);
    put_name(head, PARENT);
}

static void expect_refusal(const unsigned char *head, size_t size,
                           const char *word)
{
    struct format_qcow2 qcow2 = { .version = 9 };
    struct err err = ERR_INIT;
    if (format_qcow2_parse(head, size, &qcow2, &err) == 0)
        fail_msg("accepted, though: %s", word);
    assert_int_equal(err.code, ERR_IMAGE_CHAIN);
    if (!strstr(err.message, word))
        fail_msg("\"%s\" does not say %s", err.message, word);
    assert_int_equal(qcow2.version, 9);
}

static void reads_an_overlay(void **state)
{
    (void)state;
    unsigned char head[HEAD];
    struct format_qcow2 qcow2;
    overlay(head);
    assert_int_equal(format_qcow2_parse(head, HEAD, &qcow2, NULL), 0);
    assert_int_equal(qcow2.version, 3);
    assert_int_equal(qcow2.cluster_bits, 16);
    assert_int_equal(qcow2.virtual_size, 1 << 30);
    assert_false(qcow2.dirty);
    assert_string_equal(qcow2.backing, PARENT);
    assert_string_equal(qcow2.backing_image, "");
    assert_string_equal(qcow2.backing_format, "raw");
}

static void reads_an_image_without_parent(void **state)
{
    (void)state;
    unsigned char head[HEAD];
    struct format_qcow2 qcow2;
    overlay(head);
    memset(head + EXTENSIONS, 0, HEAD - EXTENSIONS);
    put(head + 8, 0, 8);
    put(head + 16, 0, 4);
    head[79] = 1;
    assert_int_equal(format_qcow2_parse(head, HEAD, &qcow2, NULL), 0);
    assert_string_equal(qcow2.backing, "");
    assert_string_equal(qcow2.backing_format, "");
    assert_true(qcow2.dirty);
}

static void reads_version_2(void **state)
{
    (void)state;
    unsigned char head[HEAD];
    struct format_qcow2 qcow2;
    overlay(head);
    memmove(head + 72, head + EXTENSIONS, 24);
    memset(head + 96, 0, NAME_AT - 96);
    put(head + 4, 2, 4);
    put(head + 72 + 16, 0, 8);
    assert_int_equal(format_qcow2_parse(head, HEAD, &qcow2, NULL), 0);
    assert_int_equal(qcow2.version, 2);
    assert_string_equal(qcow2.backing, PARENT);
    assert_string_equal(qcow2.backing_format, "raw");
}

static void reads_old_backing_names(void **state)
{
    (void)state;
    unsigned char head[HEAD];
    struct format_qcow2 qcow2;
    overlay(head);
    put_name(head, "../" IMAGE "/" PARENT);
    assert_int_equal(format_qcow2_parse(head, HEAD, &qcow2, NULL), 0);
    assert_string_equal(qcow2.backing, PARENT);
    assert_string_equal(qcow2.backing_image, IMAGE);
}

static void refuses_every_other_backing_name(void **state)
{
    (void)state;
    static const char *const names[] = {
        "/etc/passwd",
        "json:{\"driver\":\"file\",\"filename\":\"/etc/shadow\"}",
        "nbd://127.0.0.1/x",
        "nbd:unix:/s",
        "../../" PARENT,
        "../" PARENT,
        "./" PARENT,
        "../" IMAGE "/../" PARENT,
        "../" IMAGE "x" PARENT,
        "../../../../../../../../../../../../../../etc/" PARENT "xxxxxxx",
        PARENT "/x",
        "F0B6EC31-D3BD-4F5F-AE0F-0E3A3B7F0D15",
        "x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        unsigned char head[HEAD];
        overlay(head);
        put_name(head, names[i]);
        expect_refusal(head, HEAD, "is no volume");
    }
    unsigned char head[HEAD];
    overlay(head);
    put(head + 16, 37, 4); /* a NUL behind the name */
    expect_refusal(head, HEAD, "is no volume");
}

static void refuses_names_out_of_place(void **state)
{
    (void)state;
    static const uint64_t places[][2] = {
        {8,           36        },
        { 111,        36        },
        { HEAD,       36        },
        { HEAD - 35,  36        },
        { NAME_AT,    0         },
        { NAME_AT,    1024      },
        { UINT64_MAX, 36        },
        { NAME_AT,    UINT32_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        unsigned char head[HEAD];
        overlay(head);
        put(head + 8, places[i][0], 8);
        put(head + 16, places[i][1], 4);
        expect_refusal(head, HEAD, "");
    }
}

static void refuses_every_unknown_feature(void **state)
{
    (void)state;
    for (unsigned bit = 1; bit < 64; bit++) {
        unsigned char head[HEAD];
        overlay(head);
        put(head + 72, UINT64_C(1) << bit, 8);
        expect_refusal(head, HEAD,
                       bit == 1   ? "corrupt"
                       : bit == 2 ? "external file"
                                  : "not supported");
    }
}

static void refuses_hostile_extensions(void **state)
{
    (void)state;
    static const struct {
        uint32_t type;
        uint32_t size;
        const char *word;
    } extensions[] = {
        {0x44415441,  3,          "external file" },
        { 0x0537be77, 16,         "encrypted"     },
        { 0x12345678, HEAD,       "out of place"  },
        { 0x12345678, UINT32_MAX, "out of place"  },
        { 0xe2792aca, 0,          "backing format"},
        { 0xe2792aca, 200,        "backing format"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
        unsigned char head[HEAD];
        overlay(head);
        put(head + EXTENSIONS, extensions[i].type, 4);
        put(head + EXTENSIONS + 4, extensions[i].size, 4);
        expect_refusal(head, HEAD, extensions[i].word);
    }
}

static void refuses_impossible_numbers(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        size_t size;
        uint64_t value;
        const char *word;
    } fields[] = {
        {0,    4, 0x514649fa,              "no qcow2"    },
        { 4,   4, 1,                       "version"     },
        { 4,   4, 4,                       "version"     },
        { 20,  4, 8,                       "cluster"     },
        { 20,  4, 22,                      "cluster"     },
        { 24,  8, UINT64_MAX,              "virtual size"},
        { 24,  8, (UINT64_C(1) << 30) + 1, "L1"          },
        { 32,  4, 1,                       "encrypted"   },
        { 36,  4, 1,                       "L1"          },
        { 36,  4, UINT32_MAX,              "L1"          },
        { 56,  4, 0,                       "refcount"    },
        { 56,  4, UINT32_MAX,              "refcount"    },
        { 60,  4, UINT32_MAX,              "snapshots"   },
        { 96,  4, 7,                       "refcount"    },
        { 100, 4, 103,                     "length"      },
        { 100, 4, 108,                     "length"      },
        { 100, 4, UINT32_MAX - 7,          "length"      },
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        unsigned char head[HEAD];
        overlay(head);
        put(head + fields[i].at, fields[i].value, fields[i].size);
        expect_refusal(head, HEAD, fields[i].word);
    }
}

static void reads_every_possible_refcount_width(void **state)
{
    (void)state;
    for (unsigned order = 0; order <= 6; order++) {
        unsigned char head[HEAD];
        struct format_qcow2 qcow2;
        struct err err = ERR_INIT;
        overlay(head);
        put(head + 96, order, 4);
        assert_int_equal(format_qcow2_parse(head, HEAD, &qcow2, &err), 0);
    }
}

static void every_truncation_is_refused_or_whole(void **state)
{
    (void)state;
    unsigned char head[HEAD];
    overlay(head);
    for (size_t size = 0; size < NAME_AT + 36; size++)
        expect_refusal(head, size, "");
    struct format_qcow2 qcow2;
    assert_int_equal(format_qcow2_parse(head, NAME_AT + 36, &qcow2, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_an_overlay),
        cmocka_unit_test(reads_an_image_without_parent),
        cmocka_unit_test(reads_version_2),
        cmocka_unit_test(reads_old_backing_names),
        cmocka_unit_test(refuses_every_other_backing_name),
        cmocka_unit_test(refuses_names_out_of_place),
        cmocka_unit_test(refuses_every_unknown_feature),
        cmocka_unit_test(refuses_hostile_extensions),
        cmocka_unit_test(refuses_impossible_numbers),
        cmocka_unit_test(reads_every_possible_refcount_width),
        cmocka_unit_test(every_truncation_is_refused_or_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
