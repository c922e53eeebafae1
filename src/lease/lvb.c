/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The LVB on the disk. sanlock keeps it in sector 2002 of an area whatever the
 * sectors' size is, so with 4096 bytes and areas of less than 8 MiB it is in
 * the middle of another lease: there it must never be used.
 *
 * sanlock writes it at the release only, hides an error of that write, and
 * answers 0 although it wrote nothing when the lockspace was lost before. What
 * is on the disk is the only thing that counts, and reading it needs no lease.
 */
#include "lease.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    LVB_SECTOR = 2002,
    SECTOR_MAX = 4096,
};

static uint64_t lvb_offset(const struct lease_place *place)
{
    return (uint64_t)LVB_SECTOR * place->block_size;
}

uint64_t lvb_end(const struct lease_place *place)
{
    return place->offset + lvb_offset(place) + place->block_size;
}

int lvb_check(const struct lease_place *place, struct err *err)
{
    if (lvb_offset(place) + place->block_size <= place->alignment)
        return 0;
    (void)err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                       "%s: leases with %u byte blocks in areas of %u bytes "
                       "have no room for data",
                       place->path, place->block_size, place->alignment);
    return err_next(err, "use a domain with 512 byte blocks, or one for more "
                         "than 1000 hosts");
}

int lvb_read(void *ctx, const struct lease_place *place,
             char ret_lvb[LEASE_LVB_SIZE], struct err *err)
{
    _cleanup_free_ char *sector = aligned_alloc(SECTOR_MAX, SECTOR_MAX);
    off_t at = (off_t)(place->offset + lvb_offset(place));

    (void)ctx;
    int rc = lvb_check(place, err);
    if (rc < 0)
        return rc;
    if (!sector)
        return err_set(err, -ENOMEM, "lease: out of memory");
    _cleanup_close_ int fd = open(place->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        return err_set_code(err, ERR_LVB, "open %s: %m", place->path);
    ssize_t n = pread(fd, sector, place->block_size, at);
    if (n < 0)
        return err_set_code(err, ERR_LVB, "read the data of lease %s in %s: %m",
                            place->resource, place->path);
    if (n < LEASE_LVB_SIZE)
        return err_set_code(err, ERR_LVB, "%s ends before the data of lease %s",
                            place->path, place->resource);
    memcpy(ret_lvb, sector, LEASE_LVB_SIZE);
    return 0;
}

int lvb_verify(const struct lease_place *place, const char lvb[LEASE_LVB_SIZE],
               struct err *err)
{
    char found[LEASE_LVB_SIZE];
    int rc = lvb_read(NULL, place, found, err);

    if (rc < 0)
        return rc;
    if (memcmp(found, lvb, sizeof(found)) == 0)
        return 0;
    (void)err_set_code(err, ERR_LVB,
                       "the data of lease %s did not get to the disk (%s)",
                       place->resource, place->path);
    return err_next(err, "look at Lease.status, and repeat");
}
