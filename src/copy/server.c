/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies through the NFS server, which both files are on: with
 * copy_file_range() the client sends a COPY of NFS 4.2, and no data comes here.
 *
 * Everywhere else the same call would push the data through the page cache,
 * slower than direct I/O does it; and an NFS client falls back to that without
 * a word. So the call is made only where the mount table says that both are of
 * one server and speak 4.2.
 */
#include "bucket.h"
#include "mover.h"
#include <dray/base/file.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

enum {
    PIECE = 32 * 1024 * 1024, /* a stop is seen between two */
    SERVER_SIZE = 256,
    MOUNTINFO_MAX = 4 * 1024 * 1024,
};

/* --- is it worth while? --- */

/* The word behind " @name" up to the next of @ends, "" when there is none. */
static void get_word(const char *line, size_t len, const char *name,
                     char ret[SERVER_SIZE])
{
    ret[0] = '\0';
    const char *found = memmem(line, len, name, strlen(name));
    if (!found)
        return;
    found += strlen(name);
    size_t n = strcspn(found, ", \n");
    if (n < SERVER_SIZE) {
        memcpy(ret, found, n);
        ret[n] = '\0';
    }
}

/* "ID PARENT MAJOR:MINOR ROOT ..." */
static bool is_of_device(const char *line, dev_t dev)
{
    char want[64];
    (void)str_format(want, sizeof(want), " %u:%u ", major(dev), minor(dev));
    const char *second = strchr(line, ' ');
    const char *third = second ? strchr(second + 1, ' ') : NULL;
    return third && strncmp(third, want, strlen(want)) == 0;
}

/* The server's address of the NFS 4.2 mount of @dev; "" when it is none. */
static void get_server(const char *mountinfo, dev_t dev, char ret[SERVER_SIZE])
{
    char version[SERVER_SIZE];
    ret[0] = '\0';
    for (const char *line = mountinfo; *line;) {
        size_t len = strcspn(line, "\n");
        if (is_of_device(line, dev) && memmem(line, len, " - nfs4 ", 8)) {
            get_word(line, len, ",vers=", version);
            if (strcmp(version, "4.2") == 0)
                get_word(line, len, ",addr=", ret);
            return;
        }
        line += len + (line[len] == '\n');
    }
}

bool server_holds_both(const char *mountinfo, dev_t src, dev_t dst)
{
    char a[SERVER_SIZE];
    char b[SERVER_SIZE];
    get_server(mountinfo, src, a);
    get_server(mountinfo, dst, b);
    return a[0] && strcmp(a, b) == 0;
}

static bool is_on_nfs(int fd, dev_t *ret_dev)
{
    struct statfs fs;
    struct stat st;
    if (fstatfs(fd, &fs) < 0 || fs.f_type != NFS_SUPER_MAGIC ||
        fstat(fd, &st) < 0 || S_ISBLK(st.st_mode))
        return false;
    *ret_dev = st.st_dev;
    return true;
}

bool server_can_copy(int src, int dst)
{
    dev_t a = 0;
    dev_t b = 0;
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    return is_on_nfs(src, &a) && is_on_nfs(dst, &b) &&
           file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &text, &len,
                     NULL) == 0 &&
           server_holds_both(text, a, b);
}

/* --- the copy --- */

struct service {
    struct move *move;
    struct bucket bucket;
    uint64_t done;
    uint64_t saved; /* of done, at the last checkpoint */
};

static int save(struct service *service, uint64_t at, struct err *err)
{
    struct move *move = service->move;
    if (move->checkpoint.fd < 0 ||
        service->done - service->saved < COPY_CHECKPOINT_BYTES / 2)
        return 0;
    service->saved = service->done;
    if (fdatasync(move->pair.dst.fd) < 0)
        return copy_error(err, -errno, "sync", move->pair.dst.path);
    return checkpoint_save(&move->checkpoint, at, err);
}

static int copy_piece(struct service *service, uint64_t at, size_t len,
                      struct err *err)
{
    const struct pair *pair = &service->move->pair;
    off_t in = (off_t)at;
    off_t out = (off_t)at;
    while (len > 0) {
        ssize_t n =
            copy_file_range(pair->src.fd, &in, pair->dst.fd, &out, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return err_set(err, -EIO, "read %s: it shrank while it was copied",
                           pair->src.path);
        len -= (size_t)n;
        service->done += (size_t)n;
        bucket_spend(&service->bucket, (uint64_t)n);
        copy_report(service->move->copy, service->done, service->move->total);
    }
    return 0;
}

static int copy_extent(struct service *service, const struct extent *extent,
                       struct err *err)
{
    struct move *move = service->move;
    for (uint64_t at = extent->start; at < extent->end;) {
        size_t len = 0;
        int rc = copy_await_turn(move->copy, &service->bucket, PIECE, &len);
        if (rc)
            return rc;
        if (extent->end - at < len)
            len = (size_t)(extent->end - at);
        rc = copy_piece(service, at, len, err);
        if (rc == 0)
            rc = save(service, at + len, err);
        if (rc)
            return rc;
        at += len;
    }
    return 0;
}

static bool is_unsupported(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == EXDEV || errnum == EINVAL ||
           errnum == ENOSYS;
}

static int copy_extents(struct service *service, struct err *err)
{
    const struct move *move = service->move;
    struct extent extent = { .end = move->from };
    int rc = 0;
    while (rc == 0) {
        uint64_t from = extent.end;
        rc = extent_next(move->pair.src.fd, from, move->pair.src.size, &extent);
        if (rc == 0)
            rc = copy_extent(service, &extent, err);
    }
    return rc == EXTENT_END ? 0 : rc;
}

/* Where the kernel copies by itself, a cut block is too short for O_DIRECT. */
static int set_buffered(const struct pair *pair)
{
    int rc = side_set_buffered(pair->src.fd);
    return rc ? rc : side_set_buffered(pair->dst.fd);
}

int server_move_extents(struct move *move, struct err *err)
{
    struct service service = { .move = move,
                               .done = move->spared,
                               .saved = move->spared };
    const struct pair *pair = &move->pair;
    int src_flags = fcntl(pair->src.fd, F_GETFL);
    int dst_flags = fcntl(pair->dst.fd, F_GETFL);
    copy_set_mover(move->copy, COPY_BY_SERVER);
    int rc = set_buffered(pair);
    if (rc == 0)
        rc = copy_extents(&service, err);
    if (rc == 0)
        return side_settle(&pair->dst, pair->src.size, err);
    if (rc == -ECANCELED)
        return rc;
    if (!is_unsupported(-rc) || service.done != move->spared)
        return copy_error(err, rc, "copy to", pair->dst.path);
    /* For the next mover. It copes when the flags do not come back. */
    (void)fcntl(pair->src.fd, F_SETFL, src_flags);
    (void)fcntl(pair->dst.fd, F_SETFL, dst_flags);
    return MOVER_UNSUPPORTED;
}

int server_move(struct move *move, struct err *err)
{
    const struct pair *pair = &move->pair;
    return server_can_copy(pair->src.fd, pair->dst.fd)
               ? server_move_extents(move, err)
               : MOVER_UNSUPPORTED;
}
