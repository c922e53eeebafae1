/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making a domain. It is built whole in PATH/.drayd-create-SD, which nobody
 * takes for a domain, made durable, and renamed to PATH/SD: the commit. What a
 * crash leaves is removed by the next that makes a domain in PATH.
 */
#include "create.h"
#include "block/create.h"
#include "known.h"
#include "layout.h"
#include "metadata.h"
#include "nfs/nfs.h"
#include "ops.h"
#include <dray/base/file.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* One domain being made. */
struct building {
    struct domains *domains;
    struct domain_info info;
    struct domain_dir top;   /* PATH */
    struct domain_dir build; /* PATH/.drayd-create-SD */
    char name[DOMAIN_FILE_NAME_SIZE];
};

static int make_file(const struct building *b, const struct domain_dir *dir,
                     const char *name, off_t size, struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = domain_file_make(dir, name, DOMAIN_FILE_MODE, &b->domains->owner,
                              &fd, err);
    if (rc < 0)
        return rc;
    if (ftruncate(fd, size) < 0)
        return domain_fail(err, ERR_DOMAIN_CREATE, "resize", dir, name);
    return domain_file_sync(fd, dir, name, err);
}

static int write_xleases(const struct building *b, const struct domain_dir *dir,
                         struct err *err)
{
    struct format_xleases header = {
        .mtime_s = (uint64_t)time_wall_ms() / 1000,
    };
    _cleanup_close_ int fd = -1;
    _cleanup_free_ char *index = malloc(FORMAT_XLEASES_SIZE);
    if (!index)
        return err_set(err, -ENOMEM, "%s/xleases: out of memory", dir->path);
    (void)str_copy(header.lockspace, sizeof(header.lockspace), b->info.sd);
    format_xleases_build(&header, index);
    int rc = domain_file_open(dir, "xleases", O_RDWR, &fd, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_DOMAIN_CREATE, "%s/xleases is gone",
                            dir->path);
    if (rc < 0)
        return rc;
    if (lseek(fd, b->info.alignment, SEEK_SET) < 0)
        return domain_fail(err, ERR_DOMAIN_CREATE, "seek in", dir, "xleases");
    rc = file_write_all(fd, index, FORMAT_XLEASES_SIZE);
    if (rc < 0) {
        errno = -rc;
        return domain_fail(err, ERR_DOMAIN_CREATE, "write", dir, "xleases");
    }
    return domain_file_sync(fd, dir, "xleases", err);
}

static int make_special_files(const struct building *b,
                              const struct domain_dir *dir, struct err *err)
{
    static const struct {
        const char *name;
        off_t size;
    } files[] = {
        {"ids",      0                  },
        { "leases",  0                  },
        { "xleases", 0                  },
        { "inbox",   FORMAT_MAILBOX_SIZE},
        { "outbox",  FORMAT_MAILBOX_SIZE},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(files); i++)
        rc = make_file(b, dir, files[i].name, files[i].size, err);
    return rc < 0 ? rc : write_xleases(b, dir, err);
}

/* In the directory where it is built; the leases hold no paths. */
static int format_leases(const struct building *b, const struct domain_dir *dir,
                         struct err *err)
{
    const struct lease_port *leases = &b->domains->leases;
    struct lease_place place;
    domain_place_lockspace(&b->info, &place);
    if (!str_format(place.path, sizeof(place.path), "%s/ids", dir->path))
        return err_set_code(err, ERR_VALUE, "%s: the path is too long",
                            dir->path);
    int rc = leases->ops->format_lockspace(leases->ctx, &place, err);
    domain_place_sdm(&b->info, &place);
    (void)str_format(place.path, sizeof(place.path), "%s/leases", dir->path);
    if (rc == 0)
        rc = leases->ops->format_resource(leases->ctx, &place, err);
    return rc < 0 ? err_default_code(err, ERR_LOCK_INIT) : 0;
}

static int check_storage(const struct building *b, struct err *err)
{
    unsigned found = 0;
    int rc = domain_metadata_probe_block_size(&b->build, &found, err);
    if (rc < 0)
        return rc;
    if (found != 1 && found != b->info.block_size)
        return err_set_code(err, ERR_DOMAIN_CREATE,
                            "%s needs blocks of %u bytes, but %s domains have "
                            "%u",
                            b->info.path, found, domain_type_name(b->info.type),
                            b->info.block_size);
    return 0;
}

static int make_metadata_dir(struct building *b, struct err *err)
{
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    const struct domain_owner *owner = &b->domains->owner;
    int rc = domain_dir_make(&b->build, DOMAIN_METADATA_DIR, DOMAIN_DIR_MODE,
                             owner, err);
    if (rc == 0)
        rc = domain_dir_open_below(&b->build, DOMAIN_METADATA_DIR, &dir, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_DOMAIN_CREATE, "%s is gone",
                            b->build.path);
    if (rc == 0)
        rc = make_special_files(b, &dir, err);
    if (rc == 0)
        rc = format_leases(b, &dir, err);
    if (rc == 0)
        rc = check_storage(b, err);
    if (rc == 0)
        rc = domain_metadata_write(&b->build, &b->info, owner, err);
    return rc < 0 ? rc : domain_dir_sync(&dir, err);
}

static int build(struct building *b, struct err *err)
{
    const struct domain_owner *owner = &b->domains->owner;
    int rc = domain_dir_make(&b->top, b->name, DOMAIN_DIR_MODE, owner, err);
    if (rc == 0)
        rc = domain_dir_open_below(&b->top, b->name, &b->build, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_DOMAIN_CREATE, "%s/%s is gone",
                            b->top.path, b->name);
    if (rc == 0)
        rc = make_metadata_dir(b, err);
    if (rc == 0)
        rc = domain_dir_make(&b->build, DOMAIN_IMAGES_DIR, DOMAIN_DIR_MODE,
                             owner, err);
    if (rc == 0)
        rc = domain_dir_sync(&b->build, err);
    return rc < 0 ? rc : domain_file_rename(&b->top, b->name, b->info.sd, err);
}

static int build_locked(struct building *b, struct err *err)
{
    int rc = domain_place_clean(&b->top, err);
    if (rc == 0)
        rc = domain_place_check(&b->top, &b->info, err); /* again, now alone */
    if (rc == 0)
        return domain_dir_sync(&b->top, err); /* made before: durable? */
    if (rc < 0)
        return rc;
    rc = build(b, err);
    if (rc < 0)
        (void)domain_remove_tree(&b->top, b->name, true, NULL);
    return rc < 0 ? err_default_code(err, ERR_DOMAIN_CREATE) : 0;
}

static int make_domain(struct building *b, struct err *err)
{
    _cleanup_close_ int lock = -1;
    int rc = domain_place_check(&b->top, &b->info, err);
    if (rc < 0)
        return rc;
    rc = domain_place_lock(&b->top, &lock, err);
    if (rc < 0)
        return rc;
    rc = build_locked(b, err);
    domain_place_unlock(&b->top);
    return rc;
}

/* Known from now on, but used only after a join. */
static int remember(struct building *b, struct err *err)
{
    struct domain_info known;
    if (domain_known_get(b->domains, b->info.sd, &known, NULL) == 0 &&
        str_equal(known.path, b->info.path) &&
        str_equal(known.remote, b->info.remote))
        return 0;
    return domain_known_put(b->domains, &b->info, err);
}

static int make_in_path(struct building *b, struct err *err)
{
    (void)str_format(b->name, sizeof(b->name), "%s%s", DOMAIN_BUILD_PREFIX,
                     b->info.sd);
    int rc = domain_dir_open(b->info.path, &b->top, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_DOMAIN_CREATE, "%s is gone", b->info.path);
    if (rc == 0)
        rc = make_domain(b, err);
    if (rc == 0)
        rc = remember(b, err);
    domain_dir_close(&b->build);
    domain_dir_close(&b->top);
    return rc;
}

int domain_create(void *ctx, const struct domain_create *spec, struct err *err)
{
    struct building b = { .domains = ctx,
                          .info = { .status = DOMAIN_LEFT },
                          .top = DOMAIN_DIR_INIT,
                          .build = DOMAIN_DIR_INIT };
    if (spec->n_devices > 0)
        return block_create(ctx, spec, err);
    int rc = domain_create_check(spec, &b.info, err);
    if (rc == 0 && b.info.remote[0])
        rc = nfs_take(ctx, b.info.remote, b.info.mount_options, b.info.path,
                      err);
    if (rc < 0)
        return rc;
    rc = make_in_path(&b, err);
    if (b.info.remote[0])
        nfs_give(ctx, b.info.remote);
    return rc;
}
