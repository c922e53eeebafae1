/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A directory, the room, a domain. On /var/tmp: direct I/O must work there.
 */
#include "fixture.h"
#include <dray/base/file.h>
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

_Atomic size_t fixture_acquired;
const char *fixture_hardware_id;
const char *fixture_mount[4];
int fixture_mount_ms;

static const struct lease_ops *fake_ops;

static int count_acquire(void *ctx, const struct lease_place *place,
                         int64_t deadline_ms, struct lease_held **ret_held,
                         struct err *err)
{
    fixture_acquired++;
    return fake_ops->acquire(ctx, place, deadline_ms, ret_held, err);
}

/* The fake's, with each acquiring counted. */
static struct lease_port counting_port(struct fixture *f)
{
    static struct lease_ops ops;
    const struct lease_port port = fake_leases_port(f->leases);
    fake_ops = port.ops;
    ops = *port.ops;
    ops.acquire = count_acquire;
    return (struct lease_port){ .ctx = port.ctx, .ops = &ops };
}

static void start(struct fixture *f)
{
    const struct domains_options options = {
        .state_dir = f->state,
        .run_dir = f->run,
        .qemu_img = "/usr/bin/qemu-img",
        .owner_uid = getuid(),
        .owner_gid = getgid(),
        .host_id = 1,
        .hardware_id = fixture_hardware_id,
        .mount = fixture_mount[0],
        .umount = fixture_mount[1],
        .mount_table = fixture_mount[2],
        .systemd_run = fixture_mount[3],
        .mount_ms = fixture_mount_ms,
    };
    const struct lease_port leases = counting_port(f);
    struct err err = ERR_INIT;
    if (domains_new(&options, &leases, &f->domains, &err) < 0)
        fail_msg("%s", err.message);
    f->port = domains_port(f->domains);
}

static void make_dir(const struct fixture *f, const char *name,
                     char ret_path[PATH_MAX])
{
    (void)str_format(ret_path, PATH_MAX, "%s/%s", f->dir, name);
    assert_int_equal(mkdir(ret_path, 0755), 0);
}

int fixture_new(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    (void)str_copy(f->dir, sizeof(f->dir), "/var/tmp/dray-domain-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    make_dir(f, "storage", f->path);
    make_dir(f, "state", f->state);
    make_dir(f, "run", f->run);
    f->leases = fake_leases_new();
    start(f);
    *state = f;
    return 0;
}

struct domain_create fixture_spec(const struct fixture *f)
{
    struct domain_create spec = {
        .sd = SD,
        .name = "fast",
        .type = DOMAIN_TYPE_POSIXFS,
        .class_name = "Data",
        .block_size = 512,
        .max_hosts = 2000,
    };
    (void)str_copy(spec.path, sizeof(spec.path), f->path);
    return spec;
}

int fixture_with_domain(void **state)
{
    (void)fixture_new(state);
    struct fixture *f = *state;
    const struct domain_create spec = fixture_spec(f);
    if (f->port.ops->domain_create(f->port.ctx, &spec, FRESH(f)) < 0)
        fail_msg("%s", f->err.message);
    return 0;
}

void fixture_join(struct fixture *f)
{
    char sd[UUID_SIZE] = "";
    const struct domain_place place = { .path = f->path };
    if (f->port.ops->domain_join(f->port.ctx, NULL, &place, sd, FRESH(f)) < 0)
        fail_msg("%s", f->err.message);
    assert_string_equal(sd, SD);
}

int fixture_with_joined(void **state)
{
    (void)fixture_with_domain(state);
    fixture_join(*state);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

int fixture_free(void **state)
{
    struct fixture *f = *state;
    domains_free(f->domains);
    fake_leases_free(f->leases);
    (void)nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

void fixture_restart(struct fixture *f)
{
    domains_free(f->domains);
    f->domains = NULL;
    start(f);
}

struct volume_id fixture_id(const char *img, const char *vol)
{
    struct volume_id id = { .sd = SD };
    (void)str_copy(id.img, sizeof(id.img), img);
    (void)str_copy(id.vol, sizeof(id.vol), vol);
    return id;
}

struct volume_create fixture_volume(const char *img, const char *vol,
                                    const char *parent,
                                    enum volume_format format)
{
    struct volume_create spec = {
        .id = fixture_id(img, vol),
        .parent_img = UUID_BLANK,
        .parent = UUID_BLANK,
        .format = format,
        .allocation = VOLUME_SPARSE,
        .legality = VOLUME_LEGAL,
        .capacity = MIB,
        .disk_type = "DATA",
        .description = "a disk",
    };
    if (parent) {
        (void)str_copy(spec.parent_img, UUID_SIZE, img);
        (void)str_copy(spec.parent, UUID_SIZE, parent);
    }
    return spec;
}

void fixture_create(struct fixture *f, const struct volume_create *spec)
{
    if (f->port.ops->volume_create(f->port.ctx, spec, FRESH(f)) < 0)
        fail_msg("%s", f->err.message);
}

void fixture_make_chain(struct fixture *f)
{
    struct volume_create spec = fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    fixture_create(f, &spec);
    spec = fixture_volume(IMG, MID, BASE, VOLUME_COW);
    fixture_create(f, &spec);
    spec = fixture_volume(IMG, LEAF, MID, VOLUME_COW);
    fixture_create(f, &spec);
}

void fixture_info(struct fixture *f, const char *img, const char *vol,
                  struct volume_info *ret_info)
{
    const struct volume_id id = fixture_id(img, vol);
    if (f->port.ops->volume_info(f->port.ctx, &id, ret_info, FRESH(f)) < 0)
        fail_msg("%s", f->err.message);
}

void fixture_path(const struct fixture *f, char ret_path[PATH_MAX],
                  const char *format, ...)
{
    va_list args;
    int used = snprintf(ret_path, PATH_MAX, "%s/", f->dir);
    va_start(args, format);
    (void)vsnprintf(ret_path + used, PATH_MAX - (size_t)used, format, args);
    va_end(args);
}

void fixture_edit(const struct fixture *f, const char *img, const char *vol,
                  const char *from, const char *to)
{
    char name[256];
    char changed[2048];
    (void)str_format(name, sizeof(name), "storage/" SD "/images/%s/%s.meta",
                     img, vol);
    _cleanup_free_ char *text = fixture_read(f, name);
    char *at = strstr(text, from);
    assert_non_null(at);
    *at = '\0';
    (void)str_format(changed, sizeof(changed), "%s%s%s", text, to,
                     at + strlen(from));
    fixture_write(f, name, changed);
}

int fixture_open_like_qemu(const struct fixture *f, const char *img,
                           const char *vol)
{
    char path[PATH_MAX];
    fixture_path(f, path, "storage/" SD "/images/%s/%s", img, vol);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 201, .l_len = 1
    };
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    return fd;
}

void fixture_qemu_img(const struct fixture *f, const char *vol,
                      const char *const *args)
{
    const char *argv[16] = { "/usr/bin/qemu-img" };
    char path[PATH_MAX];
    struct exec_result result = { 0 };
    struct err err = ERR_INIT;
    size_t n = 1;
    fixture_path(f, path, "storage/" SD "/images/" IMG "/%s", vol);
    for (; args[n - 1]; n++)
        argv[n] = str_equal(args[n - 1], "@") ? path : args[n - 1];
    if (exec_check(argv, NULL, &result, &err) < 0)
        fail_msg("%s", err.message);
    exec_result_deinit(&result);
}

bool fixture_exists(const struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    fixture_path(f, path, "%s", name);
    return lstat(path, &st) == 0;
}

void fixture_write(const struct fixture *f, const char *name, const char *text)
{
    char path[PATH_MAX];
    fixture_path(f, path, "%s", name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

char *fixture_read(const struct fixture *f, const char *name)
{
    enum {
        MAX = 64 * MIB
    };
    char path[PATH_MAX];
    char *text = NULL;
    size_t size = 0;
    fixture_path(f, path, "%s", name);
    assert_int_equal(file_read(path, MAX, &text, &size, NULL), 0);
    return text;
}

/* nftw() has no argument for its callback. */
static FILE *listing;

static int list_entry(const char *path, const struct stat *st, int type,
                      struct FTW *walk)
{
    (void)walk;
    (void)fprintf(listing, "%s %o %lld\n", path, st->st_mode,
                  type == FTW_F ? (long long)st->st_size : 0);
    char *text = NULL;
    size_t size = 0;
    if (type == FTW_F && st->st_size <= 4096 &&
        file_read(path, 4096, &text, &size, NULL) == 0)
        (void)fprintf(listing, "%s\n", text);
    free(text);
    return 0;
}

char *fixture_list(const struct fixture *f)
{
    char *text = NULL;
    size_t size = 0;
    listing = open_memstream(&text, &size);
    assert_non_null(listing);
    (void)nftw(f->path, list_entry, 16, FTW_PHYS);
    assert_int_equal(fclose(listing), 0);
    return text;
}
