/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The domain room on real file systems, devices and servers (test_outside.py
 * starts it):
 *   storage-check STATE_DIR info|create|keep|remove PLACE RAW|COW BYTES
 *   storage-check STATE_DIR full MOUNT
 * Prints one line: what it found, or the error's number and text. Leases are
 * the fakes': one process, nobody else on the domain.
 */
#include "../fakes/fake-lease.h"

#include <dray/domain.h>
#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
    MIB = 1024 * 1024
};

struct check {
    struct storage_port port;
    struct err err;
};

static int fail(const struct check *c)
{
    (void)printf("error %d %s\n", c->err.code, c->err.message);
    return 0; /* the test reads it */
}

/* --- places outside --- */

static int outside(struct check *c, char **args)
{
    const struct storage_ops *ops = c->port.ops;
    struct outside_info info = { 0 };
    enum volume_format format =
        str_equal(args[2], "COW") ? VOLUME_COW : VOLUME_RAW;
    uint64_t bytes = 0;
    int rc = str_to_u64(args[3], &bytes);
    if (rc < 0)
        return rc;
    if (str_equal(args[0], "create"))
        rc = ops->outside_create(c->port.ctx, args[1], format, bytes, &c->err);
    else if (str_equal(args[0], "keep"))
        rc = ops->outside_keep(c->port.ctx, args[1], &c->err);
    else if (str_equal(args[0], "remove"))
        rc = ops->outside_remove(c->port.ctx, args[1], &c->err);
    if (rc == 0 && !str_equal(args[0], "remove"))
        rc = ops->outside_info(c->port.ctx, args[1], format, &info, &c->err);
    if (rc < 0)
        return fail(c);
    (void)printf("%d %d %d %" PRIu64 " %" PRIu64 "\n", info.exists, info.block,
                 info.network, info.bytes, info.true_bytes);
    return 0;
}

/* --- a full file system --- */

static uint64_t free_bytes(const char *mount)
{
    struct statvfs fs;
    return statvfs(mount, &fs) < 0 ? 0 : (uint64_t)fs.f_bfree * fs.f_frsize;
}

static int make_volume(struct check *c, const char *mount,
                       struct volume_create *spec)
{
    const struct storage_ops *ops = c->port.ops;
    struct domain_create domain = { .name = "small",
                                    .type = DOMAIN_TYPE_POSIXFS,
                                    .class_name = "Data",
                                    .block_size = 512,
                                    .max_hosts = 2000 };
    uuid_new(domain.sd);
    uuid_new(spec->id.img);
    uuid_new(spec->id.vol);
    (void)str_copy(spec->id.sd, UUID_SIZE, domain.sd);
    (void)str_copy(domain.path, sizeof(domain.path), mount);
    int rc = ops->domain_create(c->port.ctx, &domain, &c->err);
    const struct domain_place place = { .path = mount };
    if (rc == 0)
        rc = ops->domain_join(c->port.ctx, NULL, &place, domain.sd, &c->err);
    return rc < 0 ? rc : ops->volume_create(c->port.ctx, spec, &c->err);
}

/* A volume that cannot grow: its number, and whether anything has changed. */
static int full(struct check *c, const char *mount)
{
    const struct storage_ops *ops = c->port.ops;
    struct volume_create spec = { .format = VOLUME_RAW,
                                  .allocation = VOLUME_PREALLOCATED,
                                  .capacity = 8 * MIB };
    struct volume_info before;
    struct volume_info after;
    if (make_volume(c, mount, &spec) < 0 ||
        ops->volume_info(c->port.ctx, &spec.id, &before, &c->err) < 0)
        return fail(c);
    uint64_t was_free = free_bytes(mount);
    int rc = ops->volume_extend(c->port.ctx, &spec.id, was_free * 2, &c->err);
    if (rc == 0 || ops->volume_info(c->port.ctx, &spec.id, &after, NULL) < 0)
        return 1;
    bool same = before.capacity == after.capacity &&
                before.apparent_bytes == after.apparent_bytes &&
                after.true_bytes <= before.true_bytes + MIB &&
                free_bytes(mount) + MIB > was_free;
    (void)printf("%d %s\n", c->err.code, same ? "same" : "changed");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    struct check c = { .err = ERR_INIT };
    struct fake_leases *fake = fake_leases_new();
    const struct lease_port leases = fake_leases_port(fake);
    struct domains *domains = NULL;
    const struct domains_options options = {
        .state_dir = argv[1],
        .run_dir = argv[1],
        .qemu_img = "/usr/bin/qemu-img",
        .host_id = 1,
    };
    if (domains_new(&options, &leases, &domains, &c.err) < 0)
        return fail(&c);
    c.port = domains_port(domains);
    int rc = 2;
    if (str_equal(argv[2], "full"))
        rc = full(&c, argv[3]);
    else if (argc == 6)
        rc = outside(&c, argv + 2);
    domains_free(domains);
    fake_leases_free(fake);
    return rc == 0 ? 0 : 1;
}
