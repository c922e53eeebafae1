/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The files beside a domain's metadata. A domain whose leases belong to
 * another one would make two hosts believe that each is alone, so each is
 * looked at before a domain is joined. Only reads.
 */
#include "special.h"
#include "layout.h"
#include "metadata.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    DIRECT_ALIGNMENT = 4096
};

static int absent(const struct domain_dir *dir, const char *name,
                  struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION, "%s/%s is missing",
                        dir->path, name);
}

static int read_some(const struct domain_dir *dir, const char *name,
                     off_t offset, struct domain_buffer *buffer,
                     struct err *err)
{
    int rc = domain_file_read(dir, name, offset, buffer, err);
    return rc == DOMAIN_NONE ? absent(dir, name, err) : rc;
}

int domain_special_check_leader(const char *where, const void *sector,
                                size_t size, const struct domain_info *info,
                                const char *resource, struct err *err)
{
    struct format_leader leader;
    int rc = format_leader_parse(sector, size, &leader, err);
    if (rc < 0)
        return err_wrap(err, "%s", where);
    if (leader.kind !=
        (resource ? FORMAT_LEADER_RESOURCE : FORMAT_LEADER_LOCKSPACE))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "%s holds another kind of lease", where);
    if (!str_equal(leader.lockspace, info->sd))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "%s belongs to lockspace %s", where,
                            leader.lockspace);
    if (resource && !str_equal(leader.resource, resource))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "%s holds lease %s instead of %s", where,
                            leader.resource, resource);
    return 0;
}

static int check_lease(const struct domain_dir *dir, const char *name,
                       off_t offset, const struct domain_info *info,
                       const char *resource, struct err *err)
{
    char where[PATH_MAX + NAME_MAX];
    char sector[FORMAT_LEADER_SIZE];
    struct domain_buffer buffer = { .data = sector, .size = sizeof(sector) };
    (void)str_format(where, sizeof(where), "%s/%s", dir->path, name);
    int rc = read_some(dir, name, offset, &buffer, err);
    return rc < 0 ? rc
                  : domain_special_check_leader(where, sector, buffer.size,
                                                info, resource, err);
}

/* A damaged one keeps nobody from the domain's disks: its leases are refused
 * until it is rebuilt, for which the domain must be joined. */
int domain_special_check_index(const char *where, const void *index,
                               size_t size, const struct domain_info *info,
                               struct err *err)
{
    struct format_xleases header;
    if (format_xleases_parse(index, size, &header, NULL) < 0 ||
        str_equal(header.lockspace, info->sd))
        return 0;
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "%s: the index belongs to domain %s", where,
                        header.lockspace);
}

static int check_xleases(const struct domain_dir *dir,
                         const struct domain_info *info, struct err *err)
{
    char where[PATH_MAX + NAME_MAX];
    struct domain_buffer buffer = { .data = malloc(FORMAT_XLEASES_SIZE),
                                    .size = FORMAT_XLEASES_SIZE };
    _cleanup_free_ void *index = buffer.data;
    if (!index)
        return err_set(err, -ENOMEM, "%s/xleases: out of memory", dir->path);
    (void)str_format(where, sizeof(where), "%s/xleases", dir->path);
    int rc = read_some(dir, "xleases", info->alignment, &buffer, err);
    return rc < 0 ? rc
                  : domain_special_check_index(where, index, buffer.size, info,
                                               err);
}

static int check_mailbox(const struct domain_dir *dir, const char *name,
                         struct err *err)
{
    struct stat st;
    int rc = domain_file_stat(dir, name, &st, err);
    if (rc == DOMAIN_NONE)
        return absent(dir, name, err);
    if (rc == 0 && !S_ISREG(st.st_mode))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "%s/%s is not a regular file", dir->path, name);
    return rc;
}

/* 0: the storage takes blocks of this size; DOMAIN_NONE: it does not. */
static int try_block(int fd, void *buffer, unsigned size)
{
    if (pread(fd, buffer, size, 0) >= 0)
        return 0;
    return errno == EINVAL ? DOMAIN_NONE : -errno;
}

static int probe(int fd, unsigned *ret_block_size)
{
    static const unsigned sizes[] = { 1, 512, 4096 };
    void *buffer = NULL;
    int rc = -posix_memalign(&buffer, DIRECT_ALIGNMENT, DIRECT_ALIGNMENT);
    if (rc < 0)
        return rc;
    rc = DOMAIN_NONE;
    for (size_t i = 0; rc == DOMAIN_NONE && i < ARRAY_SIZE(sizes); i++) {
        rc = try_block(fd, buffer, sizes[i]);
        if (rc == 0)
            *ret_block_size = sizes[i];
    }
    free(buffer);
    return rc == DOMAIN_NONE ? -EINVAL : rc;
}

int domain_metadata_probe_block_size(const struct domain_dir *root,
                                     unsigned *ret_block_size, struct err *err)
{
    static const char name[] = DOMAIN_METADATA_DIR "/ids";
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    _cleanup_close_ int fd = -1;
    int rc = domain_dir_open_below(root, DOMAIN_METADATA_DIR, &dir, err);
    if (rc == 0)
        rc = domain_file_open(&dir, "ids", O_RDONLY | O_DIRECT, &fd, err);
    if (rc == DOMAIN_NONE)
        return absent(root, name, err);
    if (rc < 0)
        return rc;
    rc = probe(fd, ret_block_size);
    if (rc < 0) {
        errno = -rc;
        return domain_fail(err, ERR_STORAGE, "read directly", root, name);
    }
    return 0;
}

static int check_block_size(const struct domain_dir *root,
                            const struct domain_info *info, struct err *err)
{
    unsigned found = 0;
    int rc = domain_metadata_probe_block_size(root, &found, err);
    if (rc < 0)
        return rc;
    if (found != 1 && found != info->block_size)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "%s: the domain's BLOCK_SIZE is %u, but the "
                            "storage's is %u",
                            root->path, info->block_size, found);
    return 0;
}

static int check_metadata_dir(const struct domain_dir *dir,
                              const struct domain_info *info, struct err *err)
{
    int rc = check_lease(dir, "ids", 0, info, NULL, err);
    if (rc == 0)
        rc = check_lease(dir, "leases", info->alignment, info, "SDM", err);
    if (rc == 0)
        rc = check_xleases(dir, info, err);
    if (rc == 0)
        rc = check_mailbox(dir, "inbox", err);
    if (rc == 0)
        rc = check_mailbox(dir, "outbox", err);
    return rc;
}

int domain_metadata_check_files(const struct domain_dir *root,
                                const struct domain_info *info, struct err *err)
{
    _cleanup_dir_ struct domain_dir images = DOMAIN_DIR_INIT;
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    int rc = domain_dir_open_below(root, DOMAIN_IMAGES_DIR, &images, err);
    if (rc == DOMAIN_NONE)
        return absent(root, DOMAIN_IMAGES_DIR, err);
    if (rc == 0)
        rc = domain_dir_open_below(root, DOMAIN_METADATA_DIR, &dir, err);
    if (rc == DOMAIN_NONE)
        return absent(root, DOMAIN_METADATA_DIR, err);
    if (rc == 0)
        rc = check_metadata_dir(&dir, info, err);
    if (rc == 0)
        rc = check_block_size(root, info, err);
    return rc;
}
