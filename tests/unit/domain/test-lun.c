/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Domains on LUNs without LUNs: what can be made on which devices, what is
 * remembered of one, when it can be left, and what its tags may say. LVM is
 * played by fake-vg.c.
 */
#include "../../../src/domain/block/create.h"
#include "../../../src/domain/block/find.h"
#include "../../../src/domain/block/tags.h"
#include "../../../src/domain/known.h"
#include "vg.h"
#include <dray/format/block.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define GIB (1024ULL * MIB)

static struct block_devices devices_of(uint64_t bytes, unsigned sector)
{
    struct block_devices devices = { .n = 1 };
    devices.devices[0] =
        (struct block_device){ .size_bytes = bytes, .sector_bytes = sector };
    (void)str_copy(devices.devices[0].name, DOMAIN_DEVICE_SIZE, "/dev/sda");
    return devices;
}

static struct domain_create spec_of(const char *name)
{
    struct domain_create spec = { .sd = SD,
                                  .type = DOMAIN_TYPE_FCP,
                                  .class_name = "Data" };
    (void)str_copy(spec.name, sizeof(spec.name), name);
    return spec;
}

static void geometry_follows_the_sectors(void **state)
{
    (void)state;
    static const struct {
        unsigned sector, block_size, hosts;
        unsigned alignment; /* 0: refused */
        const char *why;
    } rows[] = {
        {512,   0,    0,    MIB,     ""       },
        { 512,  512,  1,    MIB,     ""       },
        { 512,  512,  2000, MIB,     ""       },
        { 512,  4096, 0,    0,       "sectors"},
        { 4096, 0,    0,    8 * MIB, ""       },
        { 4096, 4096, 1001, 8 * MIB, ""       },
        { 4096, 4096, 1000, 0,       "LVB"    },
        { 4096, 0,    250,  0,       "LVB"    },
        { 4096, 512,  2000, 0,       "sectors"},
        { 512,  0,    2001, 0,       "2001"   },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct domain_create spec = spec_of("fast");
        struct domain_info info = { .status = DOMAIN_LEFT };
        struct err err = ERR_INIT;
        const struct block_devices devices =
            devices_of(100 * GIB, rows[i].sector);
        spec.block_size = rows[i].block_size;
        spec.max_hosts = rows[i].hosts;
        int rc = block_create_check(&spec, &devices, &info, &err);
        assert_int_equal(rc == 0, rows[i].alignment != 0);
        if (rc < 0) {
            assert_int_equal(err.code, ERR_VALUE);
            assert_non_null(strstr(err.message, rows[i].why));
            continue;
        }
        assert_int_equal(info.alignment, rows[i].alignment);
        assert_int_equal(info.block_size, rows[i].sector);
        assert_true(info.block);
        assert_string_equal(info.path, "/dev");
        assert_string_equal(info.devices[0], "/dev/sda");
    }
}

/* 129 MiB at the front and 128 at the end of a PV are LVM's; a domain has 28
 * extents of its own, and one for a volume. */
static void small_devices_are_refused(void **state)
{
    (void)state;
    const uint64_t enough = 257ULL * MIB + 29 * EXTENT;
    static const unsigned sectors[] = { 512, 4096 };
    for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
        struct domain_create spec = spec_of("fast");
        struct domain_info info = { .status = DOMAIN_LEFT };
        struct err err = ERR_INIT;
        struct block_devices devices = devices_of(enough, sectors[i]);
        assert_int_equal(block_create_bytes(&devices), 29 * EXTENT);
        assert_int_equal(block_create_check(&spec, &devices, &info, NULL), 0);
        devices.devices[0].size_bytes -= sectors[i];
        assert_true(block_create_check(&spec, &devices, &info, &err) < 0);
        assert_int_equal(err.code, ERR_VG_SIZE);
        /* Two together have it, but not when one has nothing. */
        devices.n = 2;
        devices.devices[1] = devices.devices[0];
        assert_int_equal(block_create_check(&spec, &devices, &info, NULL), 0);
        devices.devices[1].size_bytes = 256ULL * MIB;
        devices.devices[0].size_bytes = 100 * GIB;
        assert_true(block_create_check(&spec, &devices, &info, NULL) < 0);
    }
}

static void names_and_kinds_are_checked(void **state)
{
    (void)state;
    char name[DOMAIN_NAME_SIZE] = "";
    const struct block_devices devices = devices_of(100 * GIB, 512);
    struct domain_info info = { .status = DOMAIN_LEFT };
    struct domain_create spec = spec_of("fast");
    struct err err = ERR_INIT;
    for (size_t i = 0; i < 50; i++) /* characters, not bytes */
        memcpy(name + 2 * i, "\xc3\xa4", 3);
    spec = spec_of(name);
    assert_int_equal(block_create_check(&spec, &devices, &info, NULL), 0);
    memcpy(name + 100, "x", 2);
    spec = spec_of(name);
    assert_true(block_create_check(&spec, &devices, &info, &err) < 0);
    assert_int_equal(err.code, ERR_VALUE);
    spec = spec_of("two\nlines");
    assert_true(block_create_check(&spec, &devices, &info, NULL) < 0);
    spec = spec_of("fast");
    spec.type = DOMAIN_TYPE_NFS;
    err_clear(&err);
    assert_true(block_create_check(&spec, &devices, &info, &err) < 0);
    assert_int_equal(err.code, ERR_DOMAIN_TYPE);
    spec = spec_of("fast");
    spec.class_name = "Iso";
    err_clear(&err);
    assert_true(block_create_check(&spec, &devices, &info, &err) < 0);
    assert_int_equal(err.code, ERR_DOMAIN_CLASS);
}

static void only_block_devices_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *why;
    } rows[] = {
        {"/dev/null",            "no block device"},
        { "/tmp",                "no block device"},
        { "/dev/drayd-not-here", "no such device" },
        { "sda",                 "absolute"       },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct block_devices devices;
        struct err err = ERR_INIT;
        assert_true(block_devices_look(&rows[i].path, 1, NULL, &devices, &err) <
                    0);
        assert_int_equal(err.code, ERR_VALUE);
        assert_non_null(strstr(err.message, rows[i].why));
    }
}

/* --- the PV map, and where a VG is --- */

static void the_map_keeps_what_it_has(void **state)
{
    (void)state;
    struct lvm_pv pvs[] = {
        {.name = "/dev/mapper/a", .uuid = "A", .extents = 5},
        { .name = "/dev/b",       .uuid = "B", .extents = 7},
    };
    const struct lvm_report report = { .n_pvs = 2, .pvs = pvs };
    struct domain_info info = { .n_devices = 2 };
    struct format_domain domain = { 0 };
    (void)str_copy(info.devices[0], DOMAIN_DEVICE_SIZE, "/dev/b");
    (void)str_copy(info.devices[1], DOMAIN_DEVICE_SIZE, "/dev/mapper/a");
    for (int i = 0; i < 2; i++) { /* the second time nothing changes */
        assert_int_equal(block_tags_map(&domain, &report, &info, NULL), 0);
        assert_int_equal(domain.n, 2);
        assert_string_equal(format_domain_get(&domain, "PV0"),
                            "pv:b,uuid:B,pestart:0,pecount:7,mapoffset:0");
        assert_string_equal(format_domain_get(&domain, "PV1"),
                            "pv:a,uuid:A,pestart:0,pecount:5,mapoffset:7");
    }
    format_domain_deinit(&domain);
    (void)str_copy(info.devices[1], DOMAIN_DEVICE_SIZE, "/dev/c");
    struct err err = ERR_INIT;
    assert_true(block_tags_map(&domain, &report, &info, &err) < 0);
    assert_non_null(strstr(err.message, "/dev/c"));
    format_domain_deinit(&domain);
}

static void a_vg_is_found_among_pvs(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *text = vg_read(f, "vg.tags");
    char *tags[64];
    size_t n = 0;
    char *rest = NULL;
    for (char *tag = strtok_r(text, "\n", &rest); tag;
         tag = strtok_r(NULL, "\n", &rest))
        tags[n++] = tag;
    struct lvm_pv pvs[] = {
        {.name = "/dev/x", .uuid = "X"},
        {       .name = "/dev/a", .uuid = "A", .vg = SD, .vg_tags = tags },
        { .name = "/dev/b",
         .uuid = "B",
         .vg = SD,
         .vg_tags = tags,
         .mdas_used = 2 },
    };
    const struct lvm_report report = { .n_pvs = 3, .pvs = pvs };
    struct domain_info info = { .status = DOMAIN_LEFT };
    pvs[1].n_vg_tags = pvs[2].n_vg_tags = n;
    assert_int_equal(block_find_among(&report, SD2, &info, NULL), DOMAIN_NONE);
    assert_int_equal(block_find_among(&report, SD, &info, NULL), 0);
    assert_int_equal(info.n_devices, 2);
    assert_string_equal(info.devices[0], "/dev/b"); /* has the metadata */
    assert_string_equal(info.devices[1], "/dev/a");
    assert_string_equal(info.name, "thin");
    assert_true(info.block);
    pvs[1].missing = true;
    struct err err = ERR_INIT;
    assert_true(block_find_among(&report, SD, &info, &err) < 0);
    assert_int_equal(err.code, ERR_NO_DOMAIN);
    assert_non_null(strstr(err.message, "A"));
    pvs[1].missing = false;
    char *unready[] = { (char *)FORMAT_VG_TAG_UNREADY };
    pvs[1].vg_tags = pvs[2].vg_tags = unready;
    pvs[1].n_vg_tags = pvs[2].n_vg_tags = 1;
    err_clear(&err);
    assert_true(block_find_among(&report, SD, &info, &err) < 0);
    assert_non_null(strstr(err.message, "broke off"));
}

/* --- one that is known --- */

static void a_restart_remembers_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct domain_info info;
    assert_int_equal(domain_known_get(f->domains, SD, &info, NULL), 0);
    info.block_size = 4096;
    info.alignment = 8 * MIB;
    info.n_devices = 2;
    (void)str_copy(info.devices[1], DOMAIN_DEVICE_SIZE, "/dev/mapper/lun");
    assert_int_equal(domain_known_put(f->domains, &info, NULL), 0);
    fixture_restart(f);
    struct domain_info again;
    assert_int_equal(domain_known_get(f->domains, SD, &again, NULL), 0);
    assert_true(again.block);
    assert_int_equal(again.n_devices, 2);
    assert_string_equal(again.devices[0], "/dev/null");
    assert_string_equal(again.devices[1], "/dev/mapper/lun");
    assert_int_equal(again.block_size, 4096);
    assert_int_equal(again.alignment, 8 * MIB);
    assert_int_equal(again.status, DOMAIN_MISSING);
}

static void it_shows_what_its_vg_says(void **state)
{
    struct fixture *f = *state;
    struct domain_info info;
    struct domain_stats stats;
    assert_int_equal(f->port.ops->domain_info(f->port.ctx, SD, &info, FRESH(f)),
                     0);
    assert_string_equal(info.name, "thin");
    assert_string_equal(info.vg_uuid, "V");
    assert_int_equal(info.extent_bytes, EXTENT);
    assert_false(info.read_only);
    assert_int_equal(
        f->port.ops->domain_stats(f->port.ctx, SD, &stats, FRESH(f)), 0);
    assert_int_equal(stats.mda_bytes, 1);
    assert_true(stats.free_bytes > 0);
    vg_write(f, "vg.tags", FORMAT_VG_TAG_UNREADY "\n");
    assert_error(f, f->port.ops->domain_info(f->port.ctx, SD, &info, FRESH(f)),
                 ERR_NO_DOMAIN, "broke off");
    vg_write(f, "vg.tags", "other\n");
    assert_error(f, f->port.ops->domain_info(f->port.ctx, SD, &info, FRESH(f)),
                 ERR_NO_DOMAIN, "no storage domain");
}

static void it_is_left_when_nothing_is_open(void **state)
{
    struct fixture *f = *state;
    const struct volume_create spec = vg_volume(IMG, BASE, NULL, VOLUME_RAW);
    const struct volume_id id = fixture_id(IMG, BASE);
    char path[PATH_MAX];
    char open_path[PATH_MAX];
    struct domain_info info;
    fixture_create(f, &spec);
    assert_int_equal(
        f->port.ops->image_prepare(f->port.ctx, &id, false, path, FRESH(f)), 0);
    vg_write(f, "open/" BASE, "");
    assert_error(f, f->port.ops->domain_leave(f->port.ctx, SD, FRESH(f)),
                 ERR_RELEASE_HOST_ID, BASE);
    assert_true(vg_is_active(f, BASE) && vg_is_active(f, "ids"));
    assert_int_equal(domain_known_get(f->domains, SD, &info, NULL), 0);
    assert_int_equal(info.status, DOMAIN_JOINED);
    vg_path(f, open_path, "open/" BASE);
    assert_int_equal(unlink(open_path), 0);
    assert_int_equal(f->port.ops->domain_leave(f->port.ctx, SD, FRESH(f)), 0);
    assert_false(vg_is_active(f, BASE) || vg_is_active(f, "ids") ||
                 vg_is_active(f, "leases"));
    struct stat st;
    assert_true(lstat(path, &st) < 0); /* it is prepared no more */
    assert_int_equal(domain_known_get(f->domains, SD, &info, NULL), 0);
    assert_int_equal(info.status, DOMAIN_LEFT);
    assert_int_equal(f->port.ops->domain_leave(f->port.ctx, SD, FRESH(f)), 0);
}

static void a_directory_does_not_grow_by_devices(void **state)
{
    struct fixture *f = *state;
    const char *device = "/dev/sda";
    assert_error(
        f,
        f->port.ops->domain_grow(f->port.ctx, SD, &device, 1, false, FRESH(f)),
        ERR_DOMAIN_TYPE, "file system");
}

#define VG(test)                                                               \
    cmocka_unit_test_setup_teardown(test, vg_fixture_new, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(geometry_follows_the_sectors),
        cmocka_unit_test(small_devices_are_refused),
        cmocka_unit_test(names_and_kinds_are_checked),
        cmocka_unit_test(only_block_devices_are_taken),
        cmocka_unit_test(the_map_keeps_what_it_has),
        VG(a_vg_is_found_among_pvs),
        VG(a_restart_remembers_where_it_was),
        VG(it_shows_what_its_vg_says),
        VG(it_is_left_when_nothing_is_open),
        cmocka_unit_test_setup_teardown(a_directory_does_not_grow_by_devices,
                                        fixture_with_joined, fixture_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
