/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Chooses how the bytes of a volume that keeps its format are moved: the movers
 * are tried cheapest first, and the next one has its turn only when one says
 * that these two sides cannot do it, before it changed anything.
 *
 * A copy with a checkpoint goes on where that says, past the mover that has
 * none (sharing blocks takes no time worth sparing). One without gets a new
 * checkpoint before the destination is emptied: a checkpoint never speaks of
 * data that is no longer there.
 */
#include "same.h"
#include "mover.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum {
    PROBE_NAME_TRIES = 8
};

static void move_deinit(struct move *move)
{
    checkpoint_deinit(&move->checkpoint);
    pair_close(&move->pair);
}

static int measure(struct move *move, struct err *err)
{
    const struct side *src = &move->pair.src;
    int rc = extent_sum(src->fd, src->size, &move->total);
    if (rc == 0)
        rc = extent_sum(src->fd, move->from, &move->spared);
    return rc ? copy_error(err, rc, "map of", src->path) : 0;
}

/* What was cut off before it was looked at was taken for a hole. */
static int check_source(const struct side *src, struct err *err)
{
    struct stat st;
    if (fstat(src->fd, &st) < 0)
        return copy_error(err, -errno, "stat", src->path);
    if (src->is_block || (uint64_t)st.st_size >= src->size)
        return 0;
    return err_set(err, -EIO, "read %s: it shrank while it was copied",
                   src->path);
}

static int move_data(struct move *move, struct err *err)
{
    int rc = measure(move, err);
    if (rc == 0)
        rc = server_move(move, err);
    if (rc == MOVER_UNSUPPORTED)
        rc = direct_move(move, err);
    return rc ? rc : check_source(&move->pair.src, err);
}

static int move_from_zero(struct move *move, struct err *err)
{
    const struct copy_spec *spec = &move->copy->spec;
    int rc = checkpoint_remove(&move->checkpoint, err);
    if (rc == 0)
        rc = reflink_move(move, err);
    if (rc != MOVER_UNSUPPORTED)
        return rc;
    rc = checkpoint_start(&move->checkpoint, &move->pair, spec, err);
    return rc ? rc : move_data(move, err);
}

int same_copy(struct copy *copy, struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    _cleanup_(move_deinit) struct move move = {
        .copy = copy,
        .pair = PAIR_INIT,
        .checkpoint = CHECKPOINT_INIT,
    };
    int rc = checkpoint_init(&move.checkpoint, copy->state_dir,
                             spec->resume_key, err);
    if (rc == 0)
        rc = pair_open(&move.pair, spec, O_RDWR, err);
    if (rc)
        return rc;
    if (checkpoint_find(&move.checkpoint, &move.pair, spec, &move.from))
        return move_data(&move, err);
    return move_from_zero(&move, err);
}

bool same_is_resumable(const struct copy_spec *spec, const char *state_dir)
{
    _cleanup_(pair_close) struct pair pair = PAIR_INIT;
    _cleanup_(checkpoint_deinit) struct checkpoint checkpoint = CHECKPOINT_INIT;
    uint64_t at = 0;
    return checkpoint_init(&checkpoint, state_dir, spec->resume_key, NULL) ==
               0 &&
           checkpoint.path[0] && pair_open(&pair, spec, O_RDONLY, NULL) == 0 &&
           checkpoint_find(&checkpoint, &pair, spec, &at);
}

bool same_header(const struct copy_spec *spec)
{
    return spec->dst_format == VOLUME_RAW || !spec->dst_backing[0] ||
           spec->src_backing_format == spec->dst_backing_format;
}

/* --- probe --- */

/* Where unnamed files are not known (NFS): named for a moment. */
static int open_named(const char *dir)
{
    char path[PATH_MAX];
    char uuid[UUID_SIZE];
    for (int i = 0; i < PROBE_NAME_TRIES; i++) {
        uuid_new(uuid);
        if (!str_format(path, sizeof(path), "%s/.drayd-probe-%s", dir, uuid))
            return -ENAMETOOLONG;
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) {
            (void)unlink(path); /* nothing better can be done */
            return fd;
        }
        if (errno != EEXIST)
            break;
    }
    return -errno;
}

static int open_unnamed(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (errno == EOPNOTSUPP || errno == EISDIR)
        return open_named(dir);
    return -errno;
}

int same_probe(const char *src_path, const char *dst_dir,
               enum copy_mover *ret_mover, struct err *err)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    _cleanup_close_ int src = open(src_path, flags);
    if (src < 0)
        return copy_error(err, -errno, "open", src_path);
    _cleanup_close_ int dst = open_unnamed(dst_dir);
    if (dst < 0)
        return copy_error(err, dst, "make a file in", dst_dir);
    int rc = reflink_try(src, dst);
    if (rc < 0)
        return copy_error(err, rc, "share blocks with a file in", dst_dir);
    if (rc == 0)
        *ret_mover = COPY_BY_REFLINK;
    else
        *ret_mover =
            server_can_copy(src, dst) ? COPY_BY_SERVER : COPY_BY_DIRECT;
    return 0;
}
