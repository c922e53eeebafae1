/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Records of volumes, and the one rule that makes making and removing a volume
 * safe to cut off anywhere:
 *
 *   make:   write VOL.meta.new, the data, VOL.lease, rename to VOL.meta
 *   remove: rename VOL.meta to VOL.meta.new, remove data, lease, VOL.meta.new
 *
 * so VOL.meta.new without VOL.meta always means "there is no such volume, and
 * its files are ours to remove", and with VOL.meta "an update that never
 * happened". Data without either is nobody's we know, and stays.
 */
#include "record.h"
#include "layout.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int check_place(const struct format_volume *record, const char *sd,
                       struct err *err)
{
    if (!str_equal(record->domain, sd))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "key DOMAIN is %s, but this is domain %s",
                            record->domain, sd);
    return 0;
}

static int read_part(const struct domain_dir *image, const char *sd,
                     struct domain_file_name name,
                     struct format_volume *ret_record, struct err *err)
{
    char text[FORMAT_VOLUME_SIZE + 1]; /* one more tells that it is too long */
    struct domain_buffer buffer = { .data = text, .size = sizeof(text) };
    struct format_volume record;
    int rc = domain_file_read(image, name.s, 0, &buffer, err);
    if (rc != 0)
        return rc;
    rc = format_volume_parse(text, buffer.size, &record, err);
    if (rc == 0)
        rc = check_place(&record, sd, err);
    if (rc < 0)
        return err_wrap(err, "%s/%s", image->path, name.s);
    *ret_record = record;
    return 0;
}

int domain_record_read(const struct domain_dir *image, const char *sd,
                       const char *vol, struct format_volume *ret_record,
                       struct err *err)
{
    return read_part(image, sd, domain_file_name(vol, PART_META), ret_record,
                     err);
}

int domain_record_read_cut(const struct domain_dir *image, const char *sd,
                           const char *vol, struct format_volume *ret_record,
                           struct err *err)
{
    struct stat st;
    int rc =
        domain_file_stat(image, domain_file_name(vol, PART_META).s, &st, err);
    if (rc != DOMAIN_NONE)
        return rc < 0 ? rc : DOMAIN_NONE;
    /* Cut off while it was written, it was the first thing that was. */
    rc = read_part(image, sd, domain_file_name(vol, PART_INTENT), ret_record,
                   NULL);
    return rc < 0 ? DOMAIN_NONE : rc;
}

static int write_intent(const struct domain_dir *image, const char *vol,
                        const struct format_volume *record,
                        const struct domain_owner *owner, struct err *err)
{
    struct domain_file_name intent = domain_file_name(vol, PART_INTENT);
    char text[FORMAT_VOLUME_SIZE + 1];
    size_t size = 0;
    int rc = format_volume_text(record, text, &size, err);
    if (rc < 0)
        return err_wrap(err, "volume %s", vol);
    rc = domain_file_remove(image, intent.s, err);
    return rc < 0 ? rc
                  : domain_file_write(image, intent.s, text, size, owner, err);
}

int domain_record_announce(const struct domain_dir *image, const char *vol,
                           const struct format_volume *record,
                           const struct domain_owner *owner, struct err *err)
{
    int rc = write_intent(image, vol, record, owner, err);
    return rc < 0 ? rc : domain_dir_sync(image, err);
}

int domain_record_commit(const struct domain_dir *image, const char *vol,
                         struct err *err)
{
    return domain_file_rename(image, domain_file_name(vol, PART_INTENT).s,
                              domain_file_name(vol, PART_META).s, err);
}

int domain_record_retract(const struct domain_dir *image, const char *vol,
                          struct err *err)
{
    return domain_file_rename(image, domain_file_name(vol, PART_META).s,
                              domain_file_name(vol, PART_INTENT).s, err);
}

int domain_record_replace(const struct domain_dir *image, const char *vol,
                          const struct format_volume *record,
                          const struct domain_owner *owner, struct err *err)
{
    struct domain_file_name meta = domain_file_name(vol, PART_META);
    struct stat st;
    int rc = domain_file_stat(image, meta.s, &st, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_NO_VOLUME, "%s/%s is gone", image->path,
                            meta.s);
    if (rc == 0 && st.st_nlink > 1)
        return err_set_code(err, ERR_VOLUME_SHARED,
                            "volume %s is a template that other images use, "
                            "so its record cannot change",
                            vol);
    /* That the new record is on its way need not be known after a crash, only
     * its bytes must be there before they get the name. */
    if (rc == 0)
        rc = write_intent(image, vol, record, owner, err);
    return rc < 0 ? rc : domain_record_commit(image, vol, err);
}

/* qemu holds shared locks on bytes of every image file it has open; a probe
 * for an exclusive one over all of them sees any. */
static int is_locked(int fd, bool *ret_locked)
{
    enum {
        FIRST_BYTE = 100,
        BYTES = 200
    };
    struct flock lock = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = FIRST_BYTE,
        .l_len = BYTES,
    };
    if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return -errno;
    *ret_locked = lock.l_type != F_UNLCK;
    return 0;
}

int domain_record_check_unused(const struct domain_dir *image, const char *vol,
                               struct err *err)
{
    _cleanup_close_ int fd = -1;
    bool locked = false;
    int rc = domain_file_open(image, vol, O_RDONLY, &fd, err);
    if (rc == DOMAIN_NONE)
        return 0;
    if (rc < 0)
        return rc;
    rc = is_locked(fd, &locked);
    if (rc < 0) {
        errno = -rc;
        return domain_fail(err, ERR_VOLUME_ACCESS, "look for locks on", image,
                           vol);
    }
    if (!locked)
        return 0;
    (void)err_set_code(err, ERR_VOLUME_BUSY, "%s/%s is open in qemu",
                       image->path, vol);
    return err_next(err, "stop the VM or the program that uses it first");
}

static int remove_files(const struct domain_dir *image, const char *vol,
                        struct err *err)
{
    const struct domain_file_name lease = domain_file_name(vol, PART_LEASE);
    const struct domain_file_name intent = domain_file_name(vol, PART_INTENT);
    int rc = domain_record_check_unused(image, vol, err);
    if (rc == 0)
        rc = domain_file_remove(image, vol, err);
    if (rc == 0)
        rc = domain_file_remove(image, lease.s, err);
    /* The mark goes last, and not before the rest is really gone. */
    if (rc == 0)
        rc = domain_dir_sync(image, err);
    /* Should a crash bring it back, it says what is true: nothing is left. */
    return rc < 0 ? rc : domain_file_remove(image, intent.s, err);
}

int domain_record_mend(const struct domain_dir *image, const char *vol,
                       bool *ret_mended, struct err *err)
{
    const struct domain_file_name meta = domain_file_name(vol, PART_META);
    const struct domain_file_name intent = domain_file_name(vol, PART_INTENT);
    struct stat st;
    *ret_mended = false;
    int rc = domain_file_stat(image, intent.s, &st, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    rc = domain_file_stat(image, meta.s, &st, err);
    if (rc == 0)
        return domain_file_remove(image, intent.s, err);
    if (rc == DOMAIN_NONE)
        rc = remove_files(image, vol, err);
    *ret_mended = rc == 0;
    return rc;
}
