/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making and removing disks outside of domains. A file is made under another
 * name beside its own:
 *
 *   1 .NAME.drayd, locked while we live: what a dead maker left is removed
 *   2 its contents, durable
 *   3 the ledger: this file is ours
 *   4 it gets its name, which must be free or that of an empty file
 *
 * So under NAME there is nothing half-made, nothing of others is overwritten,
 * and what may be removed is known however we ended.
 */
#include "data.h"
#include "ledger.h"
#include "ops.h"
#include "outside_place.h"
#include "record.h"
#include "tool.h"
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

/* A file being made. */
struct making {
    struct domains *domains;
    const struct outside_place *place;
    enum volume_format format;
    uint64_t capacity;
    const char *backing; /* a place; NULL: none */
    enum volume_format backing_format;
    char name[NAME_MAX + 1]; /* .NAME.drayd */
};

static int refuse_existing(const struct outside_place *place, struct err *err)
{
    (void)err_set_code(err, ERR_VOLUME_EXISTS, "%s is there already",
                       place->path);
    return err_next(err, "take another name, or move the file away");
}

static bool temporary_name(const struct outside_place *place,
                           char ret_name[NAME_MAX + 1])
{
    return str_format(ret_name, NAME_MAX + 1, ".%s.drayd", place->name);
}

/* --- what is there --- */

/* Made by us for this, and nothing was written to it since. */
static int check_fresh(const struct making *m, struct err *err)
{
    const struct outside_place *place = m->place;
    struct ledger_entry entry;
    struct ledger_entry found;
    struct format_qcow2 header = { 0 };
    _cleanup_close_ int fd = -1;
    int rc = domain_ledger_find(m->domains, place->path, &entry, err);
    if (rc == 0)
        rc = domain_file_open(&place->dir, place->name, O_RDONLY, &fd, err);
    if (rc < 0)
        return rc;
    if (rc == DOMAIN_NONE || domain_ledger_entry(fd, place->path, &found) < 0 ||
        !domain_ledger_is_fresh(&entry, &found))
        return refuse_existing(place, err);
    uint64_t capacity = (uint64_t)found.size;
    if (m->format == VOLUME_COW) {
        rc = domain_data_read_header(fd, &header, NULL);
        capacity = rc == 0 ? header.virtual_size : 0;
    }
    return capacity == m->capacity ? 0 : refuse_existing(place, err);
}

/* --- the temporary file --- */

/* 0, or DOMAIN_NONE: somebody who lives has it. Not there: 0. */
static int remove_leftover(const struct domain_dir *dir, const char *name,
                           struct err *err)
{
    _cleanup_close_ int fd = -1;
    int rc = domain_file_open(dir, name, O_RDONLY, &fd, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return DOMAIN_NONE;
    return domain_file_remove(dir, name, err);
}

/* *ret_fd holds the lock. */
static int open_temporary(const struct making *m, int *ret_fd, struct err *err)
{
    enum {
        MODE = 0660
    };
    const struct domain_dir *dir = &m->place->dir;
    _cleanup_close_ int fd = -1;
    struct stat ours;
    struct stat named;
    int rc = remove_leftover(dir, m->name, err);
    if (rc == 0)
        rc = domain_file_make(dir, m->name, MODE, &m->domains->owner, &fd, err);
    if (rc < 0)
        return rc;
    if (rc == DOMAIN_NONE || flock(fd, LOCK_EX | LOCK_NB) < 0 ||
        fstat(fd, &ours) < 0 ||
        fstatat(dir->fd, m->name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
        ours.st_ino != named.st_ino)
        return err_set_code(err, ERR_VOLUME_EXISTS,
                            "somebody else is making %s right now",
                            m->place->path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* An empty file stands for who may have it. */
static int take_owner(const struct making *m, int fd, struct err *err)
{
    const struct stat *st = &m->place->st;
    if (m->place->kind != OUTSIDE_FILE ||
        (fchown(fd, st->st_uid, st->st_gid) == 0 &&
         fchmod(fd, st->st_mode & 07777) == 0))
        return 0;
    return domain_fail(err, ERR_VOLUME_CREATE, "set owner and mode of",
                       &m->place->dir, m->name);
}

static int fill(const struct making *m, int fd, struct err *err)
{
    const struct domain_data data = {
        .image = &m->place->dir,
        .vol = m->name,
        .kind = (enum format_kind)m->format,
        .allocation = FORMAT_SPARSE,
        .capacity = m->capacity,
        .parent = m->backing,
        .parent_kind = (enum format_kind)m->backing_format,
    };
    struct ledger_entry entry;
    int rc = domain_data_fill(fd, &data, err);
    if (rc == 0)
        rc = take_owner(m, fd, err);
    if (rc < 0)
        return rc;
    if (domain_ledger_entry(fd, m->place->path, &entry) < 0)
        return domain_fail(err, ERR_VOLUME_CREATE, "stat", &m->place->dir,
                           m->name);
    return domain_ledger_put(m->domains, &entry, err);
}

/* --- its name --- */

/* Not every file system can refuse to replace; all but those can link. */
static int rename_unless_there(int dir_fd, const char *from, const char *to)
{
    if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(dir_fd, from, dir_fd, to, 0) < 0)
        return -errno;
    (void)unlinkat(dir_fd, from, 0); /* the next maker would do it */
    return 0;
}

static int replace_empty(const struct making *m)
{
    const struct domain_dir *dir = &m->place->dir;
    struct stat st;
    if (fstatat(dir->fd, m->place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size > 0)
        return -EEXIST;
    return renameat(dir->fd, m->name, dir->fd, m->place->name) < 0 ? -errno : 0;
}

static int publish(const struct making *m, struct err *err)
{
    const struct domain_dir *dir = &m->place->dir;
    int rc = m->place->kind == OUTSIDE_FILE
                 ? replace_empty(m)
                 : rename_unless_there(dir->fd, m->name, m->place->name);
    if (rc == -EEXIST)
        return refuse_existing(m->place, err);
    if (rc < 0) {
        errno = -rc;
        return domain_fail(err, ERR_VOLUME_CREATE, "rename", dir, m->name);
    }
    return domain_dir_sync(dir, err);
}

static int make_file(struct making *m, struct err *err)
{
    _cleanup_close_ int fd = -1;
    if (m->place->kind == OUTSIDE_FILE && m->place->st.st_size > 0)
        return check_fresh(m, err);
    if (!temporary_name(m->place, m->name))
        return err_set_code(err, ERR_VALUE, "%s: the name is too long",
                            m->place->path);
    int rc = open_temporary(m, &fd, err);
    if (rc < 0)
        return rc;
    rc = fill(m, fd, err);
    if (rc == 0)
        rc = publish(m, err);
    /* The ledger's entry does no harm: it names a file that is gone. */
    if (rc < 0)
        (void)unlinkat(m->place->dir.fd, m->name, 0);
    return rc;
}

/* --- devices --- */

static int format_device(const struct outside_place *place,
                         enum volume_format format, uint64_t capacity,
                         struct err *err)
{
    const struct domain_data data = {
        .image = &place->dir,
        .vol = place->name,
        .kind = FORMAT_COW,
        .allocation = FORMAT_SPARSE,
        .capacity = capacity,
    };
    _cleanup_close_ int fd = -1;
    uint64_t bytes = 0;
    int rc =
        outside_place_open_device(place, O_RDWR | O_EXCL, &fd, &bytes, err);
    if (rc < 0)
        return rc;
    if (format == VOLUME_COW)
        return domain_data_fill(fd, &data, err);
    if (bytes >= capacity)
        return 0;
    return err_set_code(err, ERR_TOO_SMALL,
                        "%s has %llu bytes, which is less than the disk's %llu",
                        place->path, (unsigned long long)bytes,
                        (unsigned long long)capacity);
}

/* --- the calls --- */

static int check_request(const char *place, enum volume_format format,
                         uint64_t capacity, struct err *err)
{
    if (format != VOLUME_RAW && format != VOLUME_COW)
        return err_set_code(err, ERR_VOLUME_FORMAT,
                            "%s: the format is neither RAW nor COW", place);
    if (capacity == 0 || capacity > INT64_MAX)
        return err_set_code(err, ERR_VALUE, "%s: %llu bytes are no capacity",
                            place, (unsigned long long)capacity);
    return 0;
}

int domain_outside_create(void *ctx, const char *place,
                          enum volume_format format, uint64_t capacity,
                          struct err *err)
{
    _cleanup_outside_ struct outside_place found = OUTSIDE_PLACE_INIT;
    struct making m = {
        .domains = ctx, .place = &found, .format = format, .capacity = capacity
    };
    int rc = check_request(place, format, capacity, err);
    if (rc == 0)
        rc = outside_place_open(ctx, place, &found, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_VOLUME_CREATE,
                            "%s: its directory is not there", place);
    if (rc < 0)
        return rc;
    if (found.kind == OUTSIDE_BLOCK)
        return format_device(&found, format, capacity, err);
    if (found.kind != OUTSIDE_NETWORK)
        return make_file(&m, err);
    if (format == VOLUME_RAW)
        return 0;
    return err_set_code(err, ERR_UNSUPPORTED,
                        "%s: a qcow2 cannot be made there, only raw disks",
                        place);
}

/* 0, or DOMAIN_NONE: no file. */
static int open_file(struct domains *domains, const char *place,
                     struct outside_place *found, struct err *err)
{
    int rc = outside_place_open(domains, place, found, err);
    if (rc == 0 &&
        (found->kind == OUTSIDE_NETWORK || found->kind == OUTSIDE_BLOCK))
        return DOMAIN_NONE;
    return rc;
}

int domain_outside_keep(void *ctx, const char *place, struct err *err)
{
    _cleanup_outside_ struct outside_place found = OUTSIDE_PLACE_INIT;
    int rc = open_file(ctx, place, &found, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    return domain_ledger_drop(ctx, found.path, err);
}

/* 0: it is the file that we made; DOMAIN_NONE: it is not. */
static int check_ours(struct domains *domains,
                      const struct outside_place *place, struct err *err)
{
    struct ledger_entry entry;
    struct ledger_entry found;
    _cleanup_close_ int fd = -1;
    int rc = domain_ledger_find(domains, place->path, &entry, err);
    if (rc == 0)
        rc = domain_file_open(&place->dir, place->name, O_RDONLY, &fd, err);
    if (rc != 0)
        return rc;
    if (domain_ledger_entry(fd, place->path, &found) < 0)
        return domain_fail(err, ERR_VOLUME_ACCESS, "stat", &place->dir,
                           place->name);
    return domain_ledger_is_same(&entry, &found) ? 0 : DOMAIN_NONE;
}

static int remove_ours(const struct outside_place *place, struct err *err)
{
    int rc = domain_record_check_unused(&place->dir, place->name, err);
    if (rc == 0)
        rc = domain_file_remove(&place->dir, place->name, err);
    return rc < 0 ? rc : domain_dir_sync(&place->dir, err);
}

int domain_outside_remove(void *ctx, const char *place, struct err *err)
{
    _cleanup_outside_ struct outside_place found = OUTSIDE_PLACE_INIT;
    char temporary[NAME_MAX + 1];
    int rc = open_file(ctx, place, &found, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    if (temporary_name(&found, temporary))
        rc = remove_leftover(&found.dir, temporary, err);
    if (rc >= 0 && found.kind == OUTSIDE_FILE) {
        rc = check_ours(ctx, &found, err);
        if (rc == 0)
            rc = remove_ours(&found, err);
    }
    return rc < 0 ? rc : domain_ledger_drop(ctx, found.path, err);
}

/* --- overlays --- */

int domain_outside_overlay(void *ctx, const char *place, const char *backing,
                           enum volume_format backing_format, uint64_t capacity,
                           struct err *err)
{
    _cleanup_outside_ struct outside_place found = OUTSIDE_PLACE_INIT;
    struct making m = { .domains = ctx,
                        .place = &found,
                        .format = VOLUME_COW,
                        .capacity = capacity,
                        .backing = backing,
                        .backing_format = backing_format };
    int rc = check_request(place, VOLUME_COW, capacity, err);
    if (rc == 0)
        rc = domain_outside_remove(ctx, place, err);
    if (rc == 0)
        rc = outside_place_open(ctx, place, &found, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_VOLUME_CREATE,
                            "%s: its directory is not there", place);
    if (rc < 0)
        return rc;
    return found.kind == OUTSIDE_NOTHING ? make_file(&m, err)
                                         : refuse_existing(&found, err);
}

int domain_outside_commit(void *ctx, const char *place, struct err *err)
{
    const struct domains *domains = ctx;
    const struct exec_options options = {
        .deadline_ms = time_now_ms() + COMMIT_WAIT_MS,
    };
    const char *argv[] = { domains->qemu_img, "commit", "-q", "-d", "-f",
                           "qcow2",           place,    NULL };
    _cleanup_outside_ struct outside_place found = OUTSIDE_PLACE_INIT;
    struct exec_result result = { 0 };
    int rc = open_file(ctx, place, &found, err);
    if (rc == DOMAIN_NONE || (rc == 0 && found.kind != OUTSIDE_FILE))
        return err_set_code(err, ERR_NO_VOLUME, "%s is not there", place);
    if (rc == 0)
        rc = exec_check(argv, &options, &result, err);
    exec_result_deinit(&result);
    if (rc < 0 && err && strstr(err->message, "lock"))
        err->code = ERR_VOLUME_BUSY;
    return rc < 0 ? err_wrap(err, "commit %s", place) : 0;
}
