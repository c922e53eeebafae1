/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A volume's record: byte for byte as VDSM writes it, every key missing or
 * damaged, every truncation, the limits of 210 characters and 512 bytes.
 */
#include <dray/format.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char golden[] =
    "CAP=1073741824\n"
    "CTIME=1795247813\n"
    "DESCRIPTION={\"DiskAlias\": \"disk1\", \"DiskDescription\": \"\"}\n"
    "DISKTYPE=DATA\n"
    "DOMAIN=b7427472-08dc-4059-822c-5db507ad80a9\n"
    "FORMAT=RAW\n"
    "GEN=0\n"
    "IMAGE=bd2af73b-ccc8-47d1-99fc-5fe81604a4e4\n"
    "LEGALITY=LEGAL\n"
    "PUUID=00000000-0000-0000-0000-000000000000\n"
    "SEQ=0\n"
    "TYPE=SPARSE\n"
    "VOLTYPE=LEAF\n"
    "EOF\n";

static int parse(const char *text, size_t size, struct format_volume *ret,
                 struct err *err)
{
    return format_volume_parse(text, size, ret, err);
}

static void expect_error(const char *text, size_t size, const char *word)
{
    struct format_volume volume = { .capacity = 77 };
    struct err err = ERR_INIT;
    if (parse(text, size, &volume, &err) == 0)
        fail_msg("accepted: %.*s", (int)size, text);
    assert_int_equal(err.code, ERR_METADATA_VALIDATION);
    if (!strstr(err.message, word))
        fail_msg("\"%s\" does not name %s", err.message, word);
    assert_int_equal(volume.capacity, 77);
}

/* The golden text with the line of @key replaced by @line (or dropped). */
static void with_line(const char *key, const char *line, char ret_text[1024])
{
    size_t used = 0;
    for (const char *p = golden; *p; p = strchr(p, '\n') + 1) {
        size_t len = (size_t)(strchr(p, '\n') - p) + 1;
        bool is_key =
            strncmp(p, key, strlen(key)) == 0 && p[strlen(key)] == '=';
        used += (size_t)snprintf(ret_text + used, 1024 - used, "%.*s",
                                 is_key ? (int)strlen(line) : (int)len,
                                 is_key ? line : p);
    }
}

static void reads_vdsms_record(void **state)
{
    (void)state;
    struct format_volume volume;
    assert_int_equal(strlen(golden), 301);
    assert_int_equal(parse(golden, strlen(golden), &volume, NULL), 0);
    assert_int_equal(volume.capacity, 1073741824);
    assert_int_equal(volume.ctime_s, 1795247813);
    assert_string_equal(
        volume.description,
        "{\"DiskAlias\": \"disk1\", \"DiskDescription\": \"\"}");
    assert_string_equal(volume.disk_type, "DATA");
    assert_string_equal(volume.domain, "b7427472-08dc-4059-822c-5db507ad80a9");
    assert_string_equal(volume.image, "bd2af73b-ccc8-47d1-99fc-5fe81604a4e4");
    assert_string_equal(volume.parent, UUID_BLANK);
    assert_int_equal(volume.kind, FORMAT_RAW);
    assert_int_equal(volume.allocation, FORMAT_SPARSE);
    assert_int_equal(volume.role, FORMAT_LEAF);
    assert_int_equal(volume.legality, FORMAT_LEGAL);
    assert_int_equal(volume.generation, 0);
    assert_int_equal(volume.sequence, 0);
}

static void writes_the_same_bytes(void **state)
{
    (void)state;
    struct format_volume volume;
    char text[FORMAT_VOLUME_SIZE + 1];
    size_t size = 0;
    assert_int_equal(parse(golden, strlen(golden), &volume, NULL), 0);
    assert_int_equal(format_volume_text(&volume, text, &size, NULL), 0);
    assert_int_equal(size, strlen(golden));
    assert_string_equal(text, golden);
}

static void other_words_survive(void **state)
{
    (void)state;
    static const char *const lines[][2] = {
        {"FORMAT",    "FORMAT=COW\n"                                },
        { "TYPE",     "TYPE=PREALLOCATED\n"                         },
        { "VOLTYPE",  "VOLTYPE=INTERNAL\n"                          },
        { "VOLTYPE",  "VOLTYPE=SHARED\n"                            },
        { "LEGALITY", "LEGALITY=ILLEGAL\n"                          },
        { "LEGALITY", "LEGALITY=FAKE\n"                             },
        { "GEN",      "GEN=999\n"                                   },
        { "SEQ",      "SEQ=4294967295\n"                            },
        { "DISKTYPE", "DISKTYPE=2\n"                                },
        { "PUUID",    "PUUID=f0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15\n"},
        { "CAP",      "CAP=9223372036854775807\n"                   },
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        char text[1024];
        char again[FORMAT_VOLUME_SIZE + 1];
        size_t size = 0;
        struct format_volume volume;
        with_line(lines[i][0], lines[i][1], text);
        assert_int_equal(parse(text, strlen(text), &volume, NULL), 0);
        assert_int_equal(format_volume_text(&volume, again, &size, NULL), 0);
        assert_string_equal(again, text);
    }
}

static void every_missing_key_is_named(void **state)
{
    (void)state;
    for (const char *p = golden; strncmp(p, "EOF", 3) != 0;
         p = strchr(p, '\n') + 1) {
        char key[16] = "";
        char text[1024];
        memcpy(key, p, (size_t)(strchr(p, '=') - p));
        with_line(key, "", text);
        struct format_volume volume;
        if (str_equal(key, "GEN") || str_equal(key, "SEQ"))
            assert_int_equal(parse(text, strlen(text), &volume, NULL), 0);
        else
            expect_error(text, strlen(text), key);
    }
}

static void every_damaged_key_is_named(void **state)
{
    (void)state;
    static const char *const lines[][2] = {
        {"CAP",       "CAP=\n"                                       },
        { "CAP",      "CAP=1x\n"                                     },
        { "CAP",      "CAP=-1\n"                                     },
        { "CAP",      "CAP=9223372036854775808\n"                    },
        { "CTIME",    "CTIME=now\n"                                  },
        { "DISKTYPE", "DISKTYPE=NONSENSE\n"                          },
        { "DOMAIN",   "DOMAIN=x\n"                                   },
        { "DOMAIN",   "DOMAIN=B7427472-08DC-4059-822C-5DB507AD80A9\n"},
        { "FORMAT",   "FORMAT=raw\n"                                 },
        { "FORMAT",   "FORMAT=QCOW2\n"                               },
        { "GEN",      "GEN=1000\n"                                   },
        { "GEN",      "GEN=\n"                                       },
        { "IMAGE",    "IMAGE=../x\n"                                 },
        { "LEGALITY", "LEGALITY=MAYBE\n"                             },
        { "PUUID",    "PUUID=\n"                                     },
        { "SEQ",      "SEQ=4294967296\n"                             },
        { "TYPE",     "TYPE=THICK\n"                                 },
        { "VOLTYPE",  "VOLTYPE=leaf\n"                               },
        { "CAP",      "CAP=1\nCAP=1\n"                               },
        { "CAP",      "NONE=####\n"                                  },
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        char text[1024];
        with_line(lines[i][0], lines[i][1], text);
        expect_error(text, strlen(text),
                     lines[i][1][0] == 'N' ? "CAP" : lines[i][0]);
    }
}

static void every_truncation_is_found(void **state)
{
    (void)state;
    /* Up to the end of VOLTYPE's value: the mark EOF may be missing. */
    for (size_t size = 0; size < strlen(golden) - 5; size++)
        expect_error(golden, size, "");
    struct format_volume volume;
    assert_int_equal(parse(golden, strlen(golden) - 5, &volume, NULL), 0);
}

static void reads_as_vdsm_does(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"CAP",  "  CAP = 1073741824 \r\n"               },
        { "CAP", "CAP=1073741824\r"                      },
        { "CAP", "CAP=1073741824\nMTIME=7\njunk\nNEW=1\n"},
        { "CAP", "SIZE=2097152\n"                        },
        { "CAP", "SIZE=nonsense\nCAP=1073741824\n"       },
        { "SEQ", ""                                      },
    };
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        char text[1024];
        struct format_volume volume;
        with_line(same[i][0], same[i][1], text);
        assert_int_equal(parse(text, strlen(text), &volume, NULL), 0);
        assert_int_equal(volume.capacity, 1073741824);
        assert_int_equal(volume.sequence, 0);
    }
    char padded[FORMAT_VOLUME_SIZE] = "";
    struct format_volume volume;
    memcpy(padded, golden, strlen(golden));
    assert_int_equal(parse(padded, sizeof(padded), &volume, NULL), 0);
}

static void refuses_what_is_no_text(void **state)
{
    (void)state;
    char text[1024];
    with_line("DESCRIPTION", "DESCRIPTION=\xff\n", text);
    expect_error(text, strlen(text), "UTF-8");
    with_line("DESCRIPTION", "DESCRIPTION=a\n", text);
    text[20] = '\0';
    expect_error(text, 200, "NUL");
    char large[FORMAT_VOLUME_SIZE + 1] = "";
    memcpy(large, golden, strlen(golden));
    expect_error(large, sizeof(large), "513");
}

static void append(struct format_volume *volume, const char *piece)
{
    size_t used = strlen(volume->description);
    (void)str_copy(volume->description + used,
                   sizeof(volume->description) - used, piece);
}

static void describe(const char *piece, size_t n, struct format_volume *volume)
{
    assert_int_equal(parse(golden, strlen(golden), volume, NULL), 0);
    volume->description[0] = '\0';
    for (size_t i = 0; i < n; i++)
        append(volume, piece);
}

static void cuts_the_description_at_210_characters(void **state)
{
    (void)state;
    struct format_volume volume;
    struct format_volume again;
    char text[FORMAT_VOLUME_SIZE + 1];
    size_t size = 0;
    describe("x", 300, &volume);
    assert_int_equal(format_volume_text(&volume, text, &size, NULL), 0);
    assert_int_equal(parse(text, size, &again, NULL), 0);
    assert_int_equal(strlen(again.description), 210);
}

static void too_long_a_record_is_an_error(void **state)
{
    (void)state;
    struct format_volume volume;
    char text[FORMAT_VOLUME_SIZE + 1] = "old";
    size_t size = 0;
    struct err err = ERR_INIT;
    describe("\xe2\x82\xac", 150, &volume);
    assert_true(format_volume_text(&volume, text, &size, &err) < 0);
    assert_int_equal(err.code, ERR_METADATA_OVERFLOW);
    assert_non_null(strstr(err.message, "DESCRIPTION"));
    assert_string_equal(text, "old");
    /* The longest that fits, and one byte more. */
    describe("", 0, &volume);
    assert_int_equal(format_volume_text(&volume, text, &size, NULL), 0);
    size_t rest = FORMAT_VOLUME_SIZE - size;
    for (size_t more = 0; more < 2; more++) {
        describe("\xc3\xa9", rest / 2, &volume);
        for (size_t i = 0; i < more + rest % 2; i++)
            append(&volume, "x");
        assert_int_equal(format_volume_text(&volume, text, &size, NULL) == 0,
                         more == 0);
    }
    assert_int_equal(size, FORMAT_VOLUME_SIZE);
}

static void a_description_is_one_line(void **state)
{
    (void)state;
    struct format_volume volume;
    char text[FORMAT_VOLUME_SIZE + 1];
    size_t size = 0;
    struct err err = ERR_INIT;
    describe("a\nVOLTYPE=SHARED", 1, &volume);
    assert_true(format_volume_text(&volume, text, &size, &err) < 0);
    assert_int_equal(err.code, ERR_VALUE);
    assert_non_null(strstr(err.message, "DESCRIPTION"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_vdsms_record),
        cmocka_unit_test(writes_the_same_bytes),
        cmocka_unit_test(other_words_survive),
        cmocka_unit_test(every_missing_key_is_named),
        cmocka_unit_test(every_damaged_key_is_named),
        cmocka_unit_test(every_truncation_is_found),
        cmocka_unit_test(reads_as_vdsm_does),
        cmocka_unit_test(refuses_what_is_no_text),
        cmocka_unit_test(cuts_the_description_at_210_characters),
        cmocka_unit_test(too_long_a_record_is_an_error),
        cmocka_unit_test(a_description_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
