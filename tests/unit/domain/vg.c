/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The VG of a block domain as files: special LVs, tags, and an entry of the
 * room's list that says that the domain is joined.
 */
#include "vg.h"
#include "../../../src/domain/block/scan.h"
#include "../../../src/domain/known.h"
#include "../../../src/domain/metadata.h"
#include <dray/base/file.h>
#include <dray/format/block.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

void vg_path(const struct fixture *f, char ret_path[PATH_MAX],
             const char *format, ...)
{
    char below[PATH_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(below, sizeof(below), format, args);
    va_end(args);
    fixture_path(f, ret_path, "run/lvm/" SD "%s%s", below[0] ? "/" : "", below);
}

void vg_write(const struct fixture *f, const char *name, const char *text)
{
    char path[PATH_MAX];
    vg_path(f, path, "%s", name);
    assert_int_equal(file_replace(path, text, strlen(text), 0600, NULL), 0);
}

char *vg_read(const struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t size = 0;
    vg_path(f, path, "%s", name);
    return file_read(path, 1024UL * 1024, &text, &size, NULL) == 0 ? text
                                                                   : strdup("");
}

bool vg_has(const struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    vg_path(f, path, "%s", name);
    return lstat(path, &st) == 0;
}

bool vg_is_active(const struct fixture *f, const char *vol)
{
    char name[PATH_MAX];
    (void)str_format(name, sizeof(name), "dev/" SD "/%s", vol);
    return vg_has(f, name);
}

void vg_deactivate(const struct fixture *f)
{
    static const char *const vols[] = { BASE, MID, LEAF };
    for (size_t i = 0; i < ARRAY_SIZE(vols); i++) {
        char path[PATH_MAX];
        vg_path(f, path, "dev/" SD "/%s", vols[i]);
        assert_true(unlink(path) == 0 || errno == ENOENT);
    }
}

void vg_tag(const struct fixture *f, const char *vol, const char *tags)
{
    char name[PATH_MAX];
    (void)str_format(name, sizeof(name), "lvs/%s.tags", vol);
    vg_write(f, name, tags);
}

static void make_dir(const struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    vg_path(f, path, "%s", name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_lv(const struct fixture *f, const char *name, uint64_t bytes)
{
    char path[PATH_MAX];
    char link[PATH_MAX];
    vg_path(f, path, "lvs/%s", name);
    vg_path(f, link, "dev/" SD "/%s", name);
    _cleanup_close_ int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(symlink(path, link), 0);
}

static struct domain_info info_of(const struct fixture *f)
{
    struct domain_info info = {
        .name = "thin",
        .type = DOMAIN_TYPE_FCP,
        .block = true,
        .n_devices = 1,
        .class_name = "Data",
        .block_size = 512,
        .alignment = MIB,
        .status = DOMAIN_JOINED,
        .host_id = 1,
    };
    (void)str_copy(info.sd, sizeof(info.sd), SD);
    (void)str_copy(info.devices[0], sizeof(info.devices[0]), "/dev/null");
    vg_path(f, info.path, "dev");
    return info;
}

static int (*real_format)(void *ctx, const struct lease_place *place,
                          struct err *err);

static int format_resource(void *ctx, const struct lease_place *place,
                           struct err *err)
{
    struct stat st;
    assert_int_equal(stat(place->path, &st), 0);
    int rc = real_format(ctx, place, err);
    assert_int_equal(truncate(place->path, st.st_size), 0);
    return rc;
}

static void make_tags(const struct fixture *f)
{
    const struct domain_info info = info_of(f);
    struct format_domain domain = { 0 };
    struct format_tags tags = { 0 };
    char text[8192] = FORMAT_VG_TAG "\n";
    assert_int_equal(domain_metadata_fill(&domain, &info, NULL), 0);
    assert_int_equal(format_domain_set(&domain, "VGUUID", "V", NULL), 0);
    assert_int_equal(
        format_domain_set(&domain, "PV0",
                          "pv:null,uuid:P,pestart:0,pecount:9,mapoffset:0",
                          NULL),
        0);
    assert_int_equal(format_domain_tags(&domain, &tags, NULL), 0);
    for (size_t i = 0; i < tags.n; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\n",
                       tags.tags[i]);
    vg_write(f, "vg.tags", text);
    format_tags_deinit(&tags);
    format_domain_deinit(&domain);
}

/* On an LV qemu-img and sanlock change no size; on our files they would. */
static void keep_sizes(struct fixture *f)
{
    static struct lease_ops ops;
    static const char script[] =
        "#!/bin/sh\n"
        "for a in \"$@\"; do\n"
        "    case $a in /proc/*) f=$a; s=$(stat -Lc %s \"$a\");; esac\n"
        "done\n"
        "/usr/bin/qemu-img \"$@\" || exit\n"
        "[ \"$1\" != create ] || truncate -s \"$s\" \"$f\"\n";
    vg_write(f, "qemu-img", script);
    vg_path(f, f->domains->qemu_img, "qemu-img");
    assert_int_equal(chmod(f->domains->qemu_img, 0700), 0);
    real_format = f->domains->leases.ops->format_resource;
    ops = *f->domains->leases.ops;
    ops.format_resource = format_resource;
    f->domains->leases.ops = &ops;
}

static void know(struct fixture *f)
{
    keep_sizes(f);
    const struct domain_info info = info_of(f);
    char exe[PATH_MAX] = "";
    assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    (void)str_format(f->domains->dray_lvm, sizeof(f->domains->dray_lvm),
                     "%.*s/domain/domain-fake-vg", PATH_MAX - 32, dirname(exe));
    assert_int_equal(domain_known_add(f->domains, &info, NULL), 0);
}

int vg_fixture_new(void **state)
{
    char path[PATH_MAX];
    (void)fixture_new(state);
    struct fixture *f = *state;
    fixture_path(f, path, "run/lvm");
    assert_int_equal(mkdir(path, 0700), 0);
    make_dir(f, "");
    make_dir(f, "lvs");
    make_dir(f, "open");
    make_dir(f, "dev");
    make_dir(f, "dev/" SD);
    make_lv(f, "metadata", EXTENT);
    make_lv(f, "ids", EXTENT);
    make_lv(f, "inbox", EXTENT);
    make_lv(f, "outbox", EXTENT);
    make_lv(f, "leases", 2048ULL * MIB);
    make_lv(f, "xleases", 1024ULL * MIB);
    make_tags(f);
    vg_write(f, "space", "68719476736");
    know(f);
    return 0;
}

void vg_fixture_restart(struct fixture *f)
{
    fixture_restart(f);
    know(f);
}

struct volume_create vg_volume(const char *img, const char *vol,
                               const char *parent, enum volume_format format)
{
    struct volume_create spec = fixture_volume(img, vol, parent, format);
    if (parent)
        spec.capacity = EXTENT; /* a raw one has that, at least */
    spec.allocation =
        format == VOLUME_RAW ? VOLUME_PREALLOCATED : VOLUME_SPARSE;
    return spec;
}

int vg_scan(struct fixture *f)
{
    struct block_vg vg = { 0 };
    int rc = block_vg_begin(f->domains, SD, &vg, FRESH(f));
    if (rc == 0)
        rc = block_scan(&vg, &f->err);
    block_vg_close(&vg);
    return rc;
}

void vg_make(struct fixture *f, const char *vol, const char *parent,
             enum volume_format format)
{
    const struct volume_create spec = vg_volume(IMG, vol, parent, format);
    fixture_create(f, &spec);
}

void vg_make_chain(struct fixture *f)
{
    vg_make(f, BASE, NULL, VOLUME_RAW);
    vg_make(f, MID, BASE, VOLUME_COW);
    vg_make(f, LEAF, MID, VOLUME_COW);
}

void vg_assert_tags(const struct fixture *f, const char *vol, const char *tags)
{
    char name[PATH_MAX];
    (void)str_format(name, sizeof(name), "lvs/%s.tags", vol);
    _cleanup_free_ char *text = vg_read(f, name);
    assert_string_equal(text, tags);
}

void vg_read_lv(const struct fixture *f, const char *lv, uint64_t offset,
                void *ret_data, size_t size)
{
    char path[PATH_MAX];
    vg_path(f, path, "lvs/%s", lv);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, ret_data, size, (off_t)offset), size);
}

bool vg_is_zero(const struct fixture *f, const char *lv, uint64_t offset,
                size_t size)
{
    char *data = calloc(1, size);
    assert_non_null(data);
    vg_read_lv(f, lv, offset, data, size);
    bool zero = data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
    free(data);
    return zero;
}

uint64_t vg_lv_bytes(const struct fixture *f, const char *lv)
{
    char path[PATH_MAX];
    struct stat st;
    vg_path(f, path, "lvs/%s", lv);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

enum volume_role vg_role(struct fixture *f, const char *vol)
{
    struct volume_info info;
    fixture_info(f, IMG, vol, &info);
    return info.role;
}
