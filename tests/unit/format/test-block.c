/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Block domains: where things are, tags of LVs and of the VG, the PV map. The
 * numbers and texts are the format's own.
 */
#include <dray/format/block.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define IMAGE  "bd2af73b-ccc8-47d1-99fc-5fe81604a4e4"
#define PARENT "0d4be1a1-4f1b-4d58-9b4c-1a2b3c4d5e6f"

static void places_are_those_of_the_format(void **state)
{
    (void)state;
    assert_int_equal(format_slot_offset(1), 1048576 + 8192);
    assert_int_equal(format_slot_offset(1947), 1048576 + 1947 * 8192);
    assert_int_equal(format_slot_lease_offset(1, 1048576), 101 * 1048576);
    assert_int_equal(format_slot_lease_offset(1947, 1048576),
                     2047ULL * 1048576);
    assert_int_equal(format_slot_lease_offset(1, 8388608), 101ULL * 8388608);
    assert_false(format_slot_is_valid(0));
    assert_true(format_slot_is_valid(1));
    assert_true(format_slot_is_valid(1947));
    assert_false(format_slot_is_valid(1948));
}

static void a_slot_has_its_lease_within_the_lv(void **state)
{
    (void)state;
    assert_int_equal(format_slot_last(2147483648, 1048576), 1947);
    assert_int_equal(format_slot_last(UINT64_MAX, 1048576), 1947);
    assert_int_equal(format_slot_last(2147483648, 8388608), 155);
    assert_int_equal(format_slot_last(2147483647, 1048576), 1946);
    assert_int_equal(format_slot_last(102 * 1048576ULL, 1048576), 1);
    assert_int_equal(format_slot_last(101 * 1048576ULL, 1048576), 0);
    assert_int_equal(format_slot_last(0, 1048576), 0);
}

static void leases_have_room_in_any_vg(void **state)
{
    (void)state;
    const uint64_t gib = 1073741824;
    const struct {
        const char *name;
        unsigned alignment;
        uint64_t vg_bytes;
        uint64_t wanted;
    } rows[] = {
        {"leases",   1048576, 4 * gib,    2 * gib  },
        { "leases",  1048576, 4000 * gib, 2 * gib  },
        { "leases",  8388608, 4 * gib,    2 * gib  },
        { "leases",  8388608, 160 * gib,  10 * gib },
        { "leases",  8388608, 4000 * gib, 16 * gib },
        { "xleases", 1048576, 4000 * gib, gib      },
        { "xleases", 8388608, 4 * gib,    gib      },
        { "xleases", 8388608, 4000 * gib, 8 * gib  },
        { "ids",     8388608, 4000 * gib, gib / 128},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct format_special_lv *lv = format_special_lvs();
        while (!str_equal(lv->name, rows[i].name))
            lv++;
        assert_int_equal(
            format_special_lv_size(lv, rows[i].alignment, rows[i].vg_bytes),
            rows[i].wanted);
    }
}

static void special_lvs_come_in_their_order(void **state)
{
    (void)state;
    static const struct format_special_lv rows[] = {
        {"metadata", 134217728,  0   },
        { "ids",     8388608,    0   },
        { "inbox",   16777216,   0   },
        { "outbox",  16777216,   0   },
        { "leases",  2147483648, 2048},
        { "xleases", 1073741824, 1024},
    };
    const struct format_special_lv *lv = format_special_lvs();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++, lv++) {
        assert_string_equal(lv->name, rows[i].name);
        assert_int_equal(lv->size_bytes, rows[i].size_bytes);
        assert_int_equal(lv->areas, rows[i].areas);
        assert_true(format_is_special_lv(lv->name));
    }
    assert_null(lv->name);
    assert_true(format_is_special_lv("master"));
    assert_false(format_is_special_lv(IMAGE));
}

static struct format_volume sample(void)
{
    struct format_volume volume = {
        .capacity = 1073741824,
        .ctime_s = 1795247813,
        .description = "disk",
        .disk_type = "DATA",
        .domain = PARENT,
        .image = IMAGE,
        .parent = UUID_BLANK,
        .kind = FORMAT_COW,
    };
    return volume;
}

static void a_slot_is_the_record_and_nuls(void **state)
{
    (void)state;
    struct format_volume volume = sample(), again;
    char slot[FORMAT_VOLUME_SIZE], text[FORMAT_VOLUME_SIZE + 1];
    size_t size = 0;
    memset(slot, 'x', sizeof(slot));
    assert_int_equal(format_slot_build(&volume, slot, NULL), 0);
    assert_int_equal(format_volume_text(&volume, text, &size, NULL), 0);
    assert_memory_equal(slot, text, size);
    for (size_t i = size; i < sizeof(slot); i++)
        assert_int_equal(slot[i], 0);
    assert_int_equal(format_volume_parse(slot, sizeof(slot), &again, NULL), 0);
    assert_string_equal(again.image, IMAGE);
    memset(volume.description, 'x', 300);
    volume.capacity = UINT64_MAX / 2;
    assert_int_equal(format_slot_build(&volume, slot, NULL), 0);
    for (size_t i = 0; i < FORMAT_DESCRIPTION_CHARS; i++)
        memcpy(volume.description + 2 * i, "\xc3\xa4", 2);
    struct err err = ERR_INIT;
    assert_true(format_slot_build(&volume, slot, &err) < 0);
    assert_int_equal(err.code, ERR_METADATA_OVERFLOW);
}

static void the_lowest_free_slot_is_chosen(void **state)
{
    (void)state;
    struct format_slots slots = { .used = { false } };
    struct err err = ERR_INIT;
    unsigned slot = 0;
    assert_int_equal(format_slots_choose(&slots, 1947, &slot, &err), 0);
    assert_int_equal(slot, 1);
    assert_true(format_slots_add(&slots, 1));
    assert_true(format_slots_add(&slots, 3));
    assert_false(format_slots_add(&slots, 3)); /* two volumes, one slot */
    assert_false(format_slots_add(&slots, 0));
    assert_false(format_slots_add(&slots, 1948));
    assert_int_equal(format_slots_choose(&slots, 1947, &slot, &err), 0);
    assert_int_equal(slot, 2);
    for (unsigned i = 1; i < 1947; i++)
        (void)format_slots_add(&slots, i);
    assert_int_equal(format_slots_choose(&slots, 1947, &slot, &err), 0);
    assert_int_equal(slot, 1947);
    assert_true(format_slots_choose(&slots, 1946, &slot, NULL) < 0);
    assert_true(format_slots_add(&slots, 1947));
    assert_true(format_slots_choose(&slots, 1947, &slot, &err) < 0);
    assert_int_equal(err.code, ERR_NO_SPACE);
}

static void tags_of_a_volume_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *image;
        enum format_removal removal;
    } rows[] = {
        {"IU_" IMAGE,                  FORMAT_KEPT        },
        { "IU__remove_me_" IMAGE,      FORMAT_REMOVED     },
        { "IU__remove_me_ZERO_" IMAGE, FORMAT_REMOVED_ZERO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *tags[] = { "other", "PU_" UUID_BLANK, "MD_1947",
                               rows[i].image };
        struct format_volume_tags found;
        struct format_volume_tag_texts texts;
        assert_int_equal(
            format_volume_tags_parse(tags, ARRAY_SIZE(tags), &found, NULL), 0);
        assert_false(found.initializing);
        assert_int_equal(found.slot, 1947);
        assert_string_equal(found.image, IMAGE);
        assert_string_equal(found.parent, UUID_BLANK);
        assert_int_equal(found.removal, rows[i].removal);
        format_volume_tags_text(&found, &texts);
        assert_string_equal(texts.slot, "MD_1947");
        assert_string_equal(texts.image, rows[i].image);
        assert_string_equal(texts.parent, "PU_" UUID_BLANK);
    }
}

static void a_half_made_lv_is_just_that(void **state)
{
    (void)state;
    const char *tags[] = { "MD_x", "OVIRT_VOL_INITIALIZING" };
    struct format_volume_tags found;
    assert_int_equal(format_volume_tags_parse(tags, 2, &found, NULL), 0);
    assert_true(found.initializing);
    assert_int_equal(found.slot, 0);
}

static void damaged_tags_are_refused(void **state)
{
    (void)state;
    static const char *const image = "IU_" IMAGE;
    static const char *const parent = "PU_" PARENT;
    static const char *const rows[][4] = {
        {image,            parent,           NULL,   NULL  },
        { "MD_5",          parent,           NULL,   NULL  },
        { "MD_5",          image,            NULL,   NULL  },
        { "MD_5",          "MD_6",           image,  parent},
        { "MD_5",          image,            image,  parent},
        { "MD_5",          image,            parent, parent},
        { "MD_0",          image,            parent, NULL  },
        { "MD_1948",       image,            parent, NULL  },
        { "MD_05",         image,            parent, NULL  },
        { "MD_-5",         image,            parent, NULL  },
        { "MD_4294967301", image,            parent, NULL  },
        { "MD_",           image,            parent, NULL  },
        { "MD_5",          "IU_x",           parent, NULL  },
        { "MD_5",          image,            "PU_",  NULL  },
        { "MD_5",          "IU_ZERO_" IMAGE, parent, NULL  },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct format_volume_tags found = { .slot = 77 };
        struct err err = ERR_INIT;
        size_t n = 0;
        while (n < 4 && rows[i][n])
            n++;
        if (format_volume_tags_parse(rows[i], n, &found, &err) == 0)
            fail_msg("row %zu was accepted", i);
        assert_int_equal(err.code, ERR_METADATA_VALIDATION);
        assert_int_equal(found.slot, 77);
    }
}

static void make_domain(struct format_domain *domain)
{
    static const char *const pairs[][2] = {
        {"VERSION",                 "5"       },
        { "SDUUID",                 PARENT    },
        { "TYPE",                   "ISCSI"   },
        { "CLASS",                  "Data"    },
        { "DESCRIPTION",            "a & b, x"},
        { "ROLE",                   "Regular" },
        { "POOL_UUID",              ""        },
        { "LOCKPOLICY",             ""        },
        { "LOCKRENEWALINTERVALSEC", "5"       },
        { "LEASETIMESEC",           "60"      },
        { "IOOPTIMEOUTSEC",         "10"      },
        { "LEASERETRIES",           "3"       },
        { "BLOCK_SIZE",             "512"     },
        { "ALIGNMENT",              "1048576" },
        { "VGUUID",                 "abc-def" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        assert_int_equal(
            format_domain_set(domain, pairs[i][0], pairs[i][1], NULL), 0);
}

static const char *find(const struct format_tags *tags, const char *start)
{
    for (size_t i = 0; i < tags->n; i++) {
        if (str_starts_with(tags->tags[i], start))
            return tags->tags[i];
    }
    return NULL;
}

static void a_domain_survives_its_tags(void **state)
{
    (void)state;
    struct format_domain domain = { .n = 0 }, again = { .n = 0 };
    struct format_tags tags = { .n = 0 };
    struct format_domain_facts facts;
    char sum[FORMAT_SHA1_HEX_SIZE];
    make_domain(&domain);
    assert_int_equal(format_domain_set(&domain, "PV0", "pv:d,uuid:u", NULL), 0);
    assert_int_equal(format_domain_tags(&domain, &tags, NULL), 0);
    assert_int_equal(tags.n, domain.n + 1);
    assert_string_equal(find(&tags, "MDT_DESCRIPTION="),
                        "MDT_DESCRIPTION=a&32&&38&&32&b&44&&32&x");
    assert_string_equal(find(&tags, "MDT_POOL_UUID="), "MDT_POOL_UUID=");
    assert_string_equal(find(&tags, "MDT_PV0="), "MDT_PV0=pv:d&44&uuid:u");
    assert_int_equal(format_domain_checksum(&domain, sum, NULL), 0);
    assert_string_equal(find(&tags, "MDT__SHA_CKSUM=") + 15, sum);
    assert_int_equal(format_domain_from_tags((const char *const *)tags.tags,
                                             tags.n, &again, NULL),
                     0);
    assert_string_equal(format_domain_get(&again, "DESCRIPTION"), "a & b, x");
    assert_int_equal(format_domain_check(&again, &facts, NULL), 0);
    assert_string_equal(facts.remote_path, "");
    format_domain_deinit(&again);
    tags.tags[0][6] ^= 1; /* one character */
    struct err err = ERR_INIT;
    assert_true(format_domain_from_tags((const char *const *)tags.tags, tags.n,
                                        &again, &err) < 0);
    format_tags_deinit(&tags);
    format_domain_deinit(&domain);
}

static void a_block_domain_has_room_for_lvbs(void **state)
{
    (void)state;
    static const struct {
        const char *block_size;
        const char *alignment;
        bool good;
    } rows[] = {
        {"512",   "1048576", true },
        { "4096", "8388608", true },
        { "4096", "1048576", false},
        { "4096", "2097152", false},
        { "4096", "4194304", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct format_domain domain = { .n = 0 };
        struct format_domain_facts facts;
        struct err err = ERR_INIT;
        make_domain(&domain);
        assert_int_equal(
            format_domain_set(&domain, "BLOCK_SIZE", rows[i].block_size, NULL),
            0);
        assert_int_equal(
            format_domain_set(&domain, "ALIGNMENT", rows[i].alignment, NULL),
            0);
        assert_int_equal(format_domain_check(&domain, &facts, &err) == 0,
                         rows[i].good);
        assert_true(rows[i].good || strstr(err.message, "LVB"));
        format_domain_deinit(&domain);
    }
}

static void every_character_survives_a_tag(void **state)
{
    (void)state;
    static const char *const names[] = {
        "plain",
        "AZaz09_+.-/=!:#",
        "\"quotes\" 'and' \\",
        "\xc3\xa4\xe2\x82\xac",
        "\xf0\x9f\x92\xbe",
        "&38&",
        "&",
        "&&",
        "&x&",
        "\t|<>@[]{}~`^%$*()?;",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct format_domain domain = { .n = 0 }, again = { .n = 0 };
        struct format_tags tags = { .n = 0 };
        assert_int_equal(
            format_domain_set(&domain, "DESCRIPTION", names[i], NULL), 0);
        assert_int_equal(format_domain_tags(&domain, &tags, NULL), 0);
        for (const char *p = find(&tags, "MDT_DESC"); *p; p++)
            assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"
                                   "rstuvwxyz0123456789_+.-/=!:#&",
                                   *p));
        assert_int_equal(format_domain_from_tags((const char *const *)tags.tags,
                                                 tags.n, &again, NULL),
                         0);
        assert_string_equal(format_domain_get(&again, "DESCRIPTION"), names[i]);
        format_tags_deinit(&tags);
        format_domain_deinit(&again);
        format_domain_deinit(&domain);
    }
}

static void a_tag_has_at_most_1024_bytes(void **state)
{
    (void)state;
    char value[FORMAT_TAG_SIZE];
    for (size_t len = 1015; len <= 1017; len++) {
        struct format_domain domain = { .n = 0 };
        struct format_tags tags = { .n = 0 };
        struct err err = ERR_INIT;
        memset(value, 'v', len);
        value[len] = '\0';
        assert_int_equal(format_domain_set(&domain, "KEY", value, NULL), 0);
        int rc = format_domain_tags(&domain, &tags, &err);
        /* "MDT_KEY=" has eight */
        assert_int_equal(rc == 0, len + 8 <= 1024);
        if (rc < 0)
            assert_int_equal(err.code, ERR_METADATA_OVERFLOW);
        format_tags_deinit(&tags);
        format_domain_deinit(&domain);
    }
}

static void a_coded_line_end_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "MDT_A=x&10&B=y", "MDT_A=&8232&",
                                       "MDT_A=&133&" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct format_domain domain = { .n = 0 };
        struct err err = ERR_INIT;
        assert_true(format_domain_from_tags(&bad[i], 1, &domain, &err) < 0);
        assert_non_null(strstr(err.message, "line"));
    }
}

static void a_change_leaves_the_rest_alone(void **state)
{
    (void)state;
    const char *old_tags[] = { "RHAT_storage_domain", "MDT_A=1", "MDT_B=2" };
    char *wanted[] = { (char *)"MDT_A=1", (char *)"MDT_B=3", (char *)"MDT_C=" };
    const struct format_tags new_tags = { .n = 3, .tags = wanted };
    struct format_tags add, remove;
    assert_int_equal(
        format_tags_change(old_tags, 3, &new_tags, &add, &remove, NULL), 0);
    assert_int_equal(add.n, 2);
    assert_string_equal(add.tags[0], "MDT_B=3");
    assert_string_equal(add.tags[1], "MDT_C=");
    assert_int_equal(remove.n, 1);
    assert_string_equal(remove.tags[0], "MDT_B=2");
    format_tags_deinit(&add);
    format_tags_deinit(&remove);
}

static void the_pv_map_is_read_and_written(void **state)
{
    (void)state;
    static const char text[] =
        "pv:360014,uuid:Zx-1,pestart:0,pecount:77,mapoffset:80";
    struct format_pv pv;
    char again[128];
    assert_int_equal(format_pv_parse(text, &pv, NULL), 0);
    assert_string_equal(pv.name, "360014");
    assert_string_equal(pv.uuid, "Zx-1");
    assert_int_equal(pv.extents, 77);
    assert_int_equal(pv.first_extent, 80);
    assert_true(format_pv_text(&pv, again, sizeof(again)));
    assert_string_equal(again, text);
    assert_false(format_pv_text(&pv, again, strlen(text)));
    static const char *const bad[] = {
        "",
        "pv:a",
        "pv:a,uuid:b,pestart:0,pecount:7",
        "pv:a,uuid:b,pestart:0,pecount:7,mapoffset:8,more:9",
        "pv:a,uuid:b,pestart:0,pecount:-7,mapoffset:8",
        "pv:,uuid:b,pestart:0,pecount:7,mapoffset:8",
        "uuid:b,pv:a,pestart:0,pecount:7,mapoffset:8",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_true(format_pv_parse(bad[i], &pv, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_those_of_the_format),
        cmocka_unit_test(a_slot_has_its_lease_within_the_lv),
        cmocka_unit_test(leases_have_room_in_any_vg),
        cmocka_unit_test(special_lvs_come_in_their_order),
        cmocka_unit_test(a_slot_is_the_record_and_nuls),
        cmocka_unit_test(the_lowest_free_slot_is_chosen),
        cmocka_unit_test(tags_of_a_volume_are_read_and_written),
        cmocka_unit_test(a_half_made_lv_is_just_that),
        cmocka_unit_test(damaged_tags_are_refused),
        cmocka_unit_test(a_domain_survives_its_tags),
        cmocka_unit_test(a_block_domain_has_room_for_lvbs),
        cmocka_unit_test(every_character_survives_a_tag),
        cmocka_unit_test(a_tag_has_at_most_1024_bytes),
        cmocka_unit_test(a_coded_line_end_is_refused),
        cmocka_unit_test(a_change_leaves_the_rest_alone),
        cmocka_unit_test(the_pv_map_is_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
