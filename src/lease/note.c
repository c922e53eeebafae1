/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A text beside the LVB, in the sectors of a lease's area that sanlock leaves
 * alone: what the LVB has no room for. sanlock never sees it, so it may be
 * written at any time; by the holder of the lease only. Whoever makes or
 * clears the lease zeroes it.
 *
 * Several sectors are written, so a crash may leave the beginning only: who
 * reads it must be able to tell.
 */
#include "lease.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    BLOCK_MAX = 4096, /* what O_DIRECT may want of a buffer */
};

static int open_note(const struct lease_place *place, int flags, int *ret_fd,
                     struct err *err)
{
    int rc = lvb_check(place, err);
    if (rc < 0)
        return rc;
    int fd = open(place->path, flags | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        return err_set_code(err, ERR_LVB, "open %s: %m", place->path);
    *ret_fd = fd;
    return 0;
}

static int fail(const struct lease_place *place, const char *verb, ssize_t n,
                struct err *err)
{
    if (n >= 0)
        errno = ENODATA;
    return err_set_code(err, ERR_LVB, "%s the note of lease %s in %s: %m", verb,
                        place->resource, place->path);
}

int lease_write_note(const struct lease_place *place, const char *text,
                     struct err *err)
{
    _cleanup_free_ char *note = aligned_alloc(BLOCK_MAX, LEASE_NOTE_SIZE);
    _cleanup_close_ int fd = -1;

    if (!note)
        return err_set(err, -ENOMEM, "lease: out of memory");
    memset(note, 0, LEASE_NOTE_SIZE);
    if (!str_copy(note, LEASE_NOTE_SIZE, text))
        return err_set_code(err, ERR_VALUE,
                            "the note of lease %s is too long: %zu bytes",
                            place->resource, strlen(text));
    int rc = open_note(place, O_WRONLY | O_DSYNC, &fd, err);
    if (rc < 0)
        return rc;
    ssize_t n = pwrite(fd, note, LEASE_NOTE_SIZE, (off_t)lvb_end(place));
    return n == LEASE_NOTE_SIZE ? 0 : fail(place, "write", n, err);
}

int lease_read_note(void *ctx, const struct lease_place *place, char **ret_text,
                    struct err *err)
{
    _cleanup_free_ char *note = aligned_alloc(BLOCK_MAX, LEASE_NOTE_SIZE);
    _cleanup_close_ int fd = -1;

    (void)ctx;
    if (!note)
        return err_set(err, -ENOMEM, "lease: out of memory");
    int rc = open_note(place, O_RDONLY, &fd, err);
    if (rc < 0)
        return rc;
    ssize_t n = pread(fd, note, LEASE_NOTE_SIZE, (off_t)lvb_end(place));
    if (n != LEASE_NOTE_SIZE)
        return fail(place, "read", n, err);
    note[LEASE_NOTE_SIZE - 1] = '\0';
    *ret_text = TAKE(note);
    return 0;
}
