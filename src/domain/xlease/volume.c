/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each lease has an area of one alignment; area 1 is the index, leases begin
 * with area 3. A file grows as leases are made; an LV has room for as many as
 * it has areas.
 *
 * The index changes a block at a time, so a crash leaves it old or new. sanlock
 * writes a new lease before the record that names it is written, and what a
 * record named is cleared after the record: a lease without a record is the
 * worst that a crash leaves, and nobody finds that.
 */
#include "volume.h"
#include "../block/lv.h"
#include "../known.h"
#include "../layout.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    MEMORY_ALIGNMENT = 4096,
    FIRST_AREA = 3,
};

static const char name[] = "xleases";

void xlease_volume_close(struct xlease_volume *volume)
{
    if (volume->fd >= 0)
        (void)close(volume->fd); /* what counts was synced */
    volume->fd = -1;
    free(TAKE(volume->index));
    domain_change_end(&volume->change);
    block_vg_close(&volume->vg);
}

static int fail(const struct xlease_volume *volume, const char *verb,
                struct err *err)
{
    return err_set_code(err, ERR_STORAGE, "%s %s of domain %s: %m", verb, name,
                        volume->info.sd);
}

static int open_file(struct xlease_volume *volume, int flags, struct err *err)
{
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    const struct domain_dir *root = &volume->change.view.root;
    int rc = domain_dir_open_below(root, DOMAIN_METADATA_DIR, &dir, err);
    if (rc == 0)
        rc = domain_file_open(&dir, name, flags, &volume->fd, err);
    return rc != DOMAIN_NONE
               ? rc
               : err_set_code(err, ERR_STORAGE, "%s/%s/%s is missing",
                              root->path, DOMAIN_METADATA_DIR, name);
}

static int open_lv(struct xlease_volume *volume, int flags, struct err *err)
{
    char path[PATH_MAX];
    block_lv_path(&volume->info, name, path);
    volume->fd = open(path, flags | O_CLOEXEC);
    return volume->fd < 0 ? fail(volume, "open", err) : 0;
}

static int set_limit(struct xlease_volume *volume, struct err *err)
{
    volume->limit = FORMAT_XLEASES_RECORDS;
    if (!volume->info.block)
        return 0;
    off_t end = lseek(volume->fd, 0, SEEK_END);
    if (end < 0)
        return fail(volume, "seek in", err);
    uint64_t areas = (uint64_t)end / volume->info.alignment;
    uint64_t leases = areas > FIRST_AREA ? areas - FIRST_AREA : 0;
    if (leases < volume->limit)
        volume->limit = leases;
    return 0;
}

/* What is behind the end of a file reads as zeros. */
static int read_at(const struct xlease_volume *volume, void *data, size_t size,
                   uint64_t offset, struct err *err)
{
    memset(data, 0, size);
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(volume->fd, (char *)data + done, size - done,
                          (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(volume, "read", err);
        if (n == 0 || n % volume->info.block_size != 0)
            break;
        done += (size_t)n;
    }
    return 0;
}

static int load(struct xlease_volume *volume, int flags, struct err *err)
{
    void *index = NULL;
    int rc = volume->info.block ? open_lv(volume, flags | O_DIRECT, err)
                                : open_file(volume, flags | O_DIRECT, err);
    if (rc == 0)
        rc = set_limit(volume, err);
    if (rc < 0)
        return rc;
    if (posix_memalign(&index, MEMORY_ALIGNMENT, FORMAT_XLEASES_SIZE) != 0)
        return err_set(err, -ENOMEM, "%s: out of memory", name);
    volume->index = index;
    return read_at(volume, index, FORMAT_XLEASES_SIZE, volume->info.alignment,
                   err);
}

int xlease_volume_open(struct domains *domains, const char *sd,
                       struct xlease_volume *volume, struct err *err)
{
    volume->domains = domains;
    int rc = domain_known_get(domains, sd, &volume->info, err);
    if (rc == 0)
        rc = domain_check_joined(&volume->info, err);
    if (rc == 0 && !volume->info.block)
        rc = domain_view_open_at(domains, &volume->info, &volume->change.view,
                                 err);
    return rc < 0 ? rc : load(volume, O_RDONLY, err);
}

int xlease_volume_begin(struct domains *domains, const char *sd,
                        struct xlease_volume *volume, struct err *err)
{
    volume->domains = domains;
    int rc = domain_known_get(domains, sd, &volume->info, err);
    if (rc < 0)
        return rc;
    if (volume->info.block)
        rc = block_vg_begin(domains, sd, &volume->vg, err);
    else
        rc = domain_change_begin(domains, sd, &volume->change, err);
    return rc < 0 ? rc : load(volume, O_RDWR, err);
}

static int explain(const struct xlease_volume *volume, struct err *err)
{
    (void)err_next(err, "drayctl lease rebuild %s", volume->info.sd);
    return err_wrap(err, "%s of domain %s", name, volume->info.sd);
}

/* An index of another domain leads to leases that this domain's hosts do not
 * protect. */
static int check_lockspace(const struct xlease_volume *volume, struct err *err)
{
    struct format_xleases header;
    int rc =
        format_xleases_parse(volume->index, FORMAT_XLEASES_SIZE, &header, err);
    if (rc < 0 || str_equal(header.lockspace, volume->info.sd))
        return rc;
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "the index belongs to domain %s", header.lockspace);
}

int xlease_volume_find(const struct xlease_volume *volume, const char *lease,
                       size_t *ret_n, struct err *err)
{
    int rc = check_lockspace(volume, err);
    if (rc == 0)
        rc = format_xleases_find(volume->index, FORMAT_XLEASES_SIZE, lease,
                                 volume->info.alignment, ret_n, err);
    if (rc == 0 && *ret_n >= volume->limit)
        rc = err_set_code(err, ERR_METADATA_VALIDATION,
                          "lease %s is behind the volume's end", lease);
    return rc < 0 ? explain(volume, err) : rc;
}

int xlease_volume_get(const struct xlease_volume *volume, const char *lease,
                      struct lease_place *ret_place, struct err *err)
{
    size_t n = 0;
    int rc = xlease_volume_find(volume, lease, &n, err);
    if (rc == FORMAT_XLEASE_NONE)
        return err_set_code(err, ERR_NO_SUCH_LEASE,
                            "there is no lease %s in domain %s", lease,
                            volume->info.sd);
    if (rc == 0)
        xlease_volume_place(volume, n, lease, ret_place);
    return rc;
}

void xlease_volume_place(const struct xlease_volume *volume, size_t n,
                         const char *lease, struct lease_place *ret_place)
{
    domain_place_lockspace(&volume->info, ret_place);
    domain_special_path(&volume->info, name, ret_place->path);
    (void)str_copy(ret_place->resource, sizeof(ret_place->resource), lease);
    ret_place->offset = format_xlease_offset(n, volume->info.alignment);
}

int xlease_volume_leader(const struct xlease_volume *volume, size_t n,
                         struct format_leader *ret_leader, struct err *err)
{
    struct format_leader leader;
    _cleanup_free_ char *block =
        aligned_alloc(MEMORY_ALIGNMENT, MEMORY_ALIGNMENT);
    if (!block)
        return err_set(err, -ENOMEM, "%s: out of memory", name);
    int rc = read_at(volume, block, volume->info.block_size,
                     format_xlease_offset(n, volume->info.alignment), err);
    if (rc < 0)
        return rc;
    if (format_leader_parse(block, FORMAT_LEADER_SIZE, &leader, NULL) < 0 ||
        leader.kind != FORMAT_LEADER_RESOURCE ||
        !str_equal(leader.lockspace, volume->info.sd) ||
        !uuid_is_valid(leader.resource))
        return FORMAT_XLEASE_NONE;
    *ret_leader = leader;
    return 0;
}

int xlease_volume_write(const struct xlease_volume *volume, size_t from,
                        size_t size, struct err *err)
{
    size_t block = volume->info.block_size;
    size_t begin = from / block * block;
    size_t end = (from + size + block - 1) / block * block;
    void *buffer = NULL;
    if (posix_memalign(&buffer, MEMORY_ALIGNMENT, end - begin) != 0)
        return err_set(err, -ENOMEM, "%s: out of memory", name);
    _cleanup_free_ void *data = buffer;
    memcpy(data, volume->index + begin, end - begin);
    ssize_t n = pwrite(volume->fd, data, end - begin,
                       (off_t)(volume->info.alignment + begin));
    if (n >= 0 && (size_t)n != end - begin) {
        errno = ENOSPC;
        n = -1;
    }
    if (n < 0 || fdatasync(volume->fd) < 0)
        return fail(volume, "write", err);
    return 0;
}
