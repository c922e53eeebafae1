/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Leases in memory, their sectors on disk.
 */
#include "fake-lease.h"
#include <assert.h>
#include <dray/base/lock.h>
#include <dray/base/util.h>
#include <dray/format.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOCKSPACES = 32,
    HELD = 64,
    NAME_SIZE = 48,
    LVB_SECTOR = 2002,
};

struct lease_held {
    bool used, lost;
    struct lease_place place;
    char lockspace[NAME_SIZE];
    char resource[NAME_SIZE];
};

struct fake_leases {
    pthread_mutex_t lock; /* protects all that follows */
    char joined[LOCKSPACES][NAME_SIZE];
    struct lease_held held[HELD];
    char busy[NAME_SIZE];
    char hidden[NAME_SIZE];
    bool join_fails;
    bool lvb_lost;
    bool others;
    unsigned dead_host;
};

static void put(unsigned char *p, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t checksum(const unsigned char *p, size_t size)
{
    uint32_t crc = 0xfffffffeU;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
    }
    return crc;
}

static void build_leader(const struct lease_place *place,
                         unsigned char sector[FORMAT_LEADER_SIZE])
{
    bool resource = place->resource[0] != '\0';
    memset(sector, 0, FORMAT_LEADER_SIZE);
    put(sector, resource ? 0x06152010 : 0x12212010, 4);
    put(sector + 4, resource ? 0x00060004 : 0x00030004, 4);
    put(sector + 8, place->alignment / (1024 * 1024) << 4, 4);
    put(sector + 12, place->block_size, 4);
    put(sector + 16, resource ? 2000 : 0, 8);
    put(sector + 24, resource ? 2000 : 1, 8);
    (void)str_copy((char *)sector + 56, NAME_SIZE, place->lockspace);
    (void)str_copy((char *)sector + 104, NAME_SIZE, place->resource);
    put(sector + 168, checksum(sector, 168), 4);
    put(sector + 174, resource ? 0 : 10, 2);
}

static off_t lvb_at(const struct lease_place *place)
{
    return (off_t)(place->offset + (uint64_t)LVB_SECTOR * place->block_size);
}

static int write_area(const struct lease_place *place,
                      const unsigned char sector[FORMAT_LEADER_SIZE],
                      struct err *err)
{
    static const char empty[LEASE_LVB_SIZE];
    _cleanup_close_ int fd = open(place->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "open %s: %m", place->path);
    off_t end = (off_t)(place->offset + place->alignment);
    struct stat st;
    if (fstat(fd, &st) < 0 || (st.st_size < end && ftruncate(fd, end) < 0) ||
        pwrite(fd, sector, FORMAT_LEADER_SIZE, (off_t)place->offset) !=
            FORMAT_LEADER_SIZE ||
        pwrite(fd, empty, sizeof(empty), lvb_at(place)) != sizeof(empty) ||
        fsync(fd) < 0)
        return err_set(err, -errno, "write %s: %m", place->path);
    return 0;
}

static int format(void *ctx, const struct lease_place *place, struct err *err)
{
    (void)ctx;
    unsigned char sector[FORMAT_LEADER_SIZE];
    build_leader(place, sector);
    return write_area(place, sector, err);
}

static int clear(void *ctx, const struct lease_place *place, struct err *err)
{
    (void)ctx;
    unsigned char sector[FORMAT_LEADER_SIZE];
    build_leader(place, sector);
    put(sector, 0x11282016, 4);
    put(sector + 168, checksum(sector, 168), 4);
    return write_area(place, sector, err);
}

static char *find_lockspace(struct fake_leases *fake, const char *name)
{
    for (size_t i = 0; i < LOCKSPACES; i++) {
        if (str_equal(fake->joined[i], name))
            return fake->joined[i];
    }
    return NULL;
}

static int join(void *ctx, const struct lease_place *lockspace,
                unsigned host_id, struct err *err)
{
    (void)host_id;
    struct fake_leases *fake = ctx;
    SCOPED_LOCK(&fake->lock);
    if (fake->join_fails)
        return err_set_code(err, ERR_ACQUIRE_HOST_ID, "host id is taken");
    if (find_lockspace(fake, lockspace->lockspace))
        return 0;
    char *slot = find_lockspace(fake, "");
    assert(slot);
    (void)str_copy(slot, NAME_SIZE, lockspace->lockspace);
    return 0;
}

static int leave(void *ctx, const struct lease_place *lockspace,
                 unsigned host_id, struct err *err)
{
    (void)host_id;
    struct fake_leases *fake = ctx;
    SCOPED_LOCK(&fake->lock);
    for (size_t i = 0; i < HELD; i++) {
        if (fake->held[i].used &&
            str_equal(fake->held[i].lockspace, lockspace->lockspace))
            return err_set_code(err, ERR_RELEASE_HOST_ID, "leases are held");
    }
    char *slot = find_lockspace(fake, lockspace->lockspace);
    if (slot)
        slot[0] = '\0';
    return 0;
}

/* What sanlock would see at the lease's place. */
static bool is_formatted(const struct lease_place *place)
{
    unsigned char sector[FORMAT_LEADER_SIZE];
    struct format_leader leader;
    _cleanup_close_ int fd = open(place->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, sector, sizeof(sector), (off_t)place->offset) !=
                      (ssize_t)sizeof(sector))
        return false;
    return format_leader_parse(sector, sizeof(sector), &leader, NULL) == 0 &&
           leader.kind != FORMAT_LEADER_CLEARED &&
           str_equal(leader.lockspace, place->lockspace) &&
           str_equal(leader.resource, place->resource);
}

static bool is_taken(const struct fake_leases *fake,
                     const struct lease_place *place)
{
    if (str_equal(fake->busy, place->resource))
        return true;
    for (size_t i = 0; i < HELD; i++) {
        if (fake->held[i].used &&
            str_equal(fake->held[i].lockspace, place->lockspace) &&
            str_equal(fake->held[i].resource, place->resource))
            return true;
    }
    return false;
}

static int try_acquire(struct fake_leases *fake,
                       const struct lease_place *place,
                       struct lease_held **ret_held, struct err *err)
{
    SCOPED_LOCK(&fake->lock);
    if (!find_lockspace(fake, place->lockspace))
        return err_set(err, -ENOSPC, "lockspace %s is not joined",
                       place->lockspace);
    if (is_taken(fake, place))
        return LEASE_BUSY;
    for (size_t i = 0; i < HELD; i++) {
        struct lease_held *held = &fake->held[i];
        if (held->used)
            continue;
        held->used = true;
        held->place = *place;
        held->lost = false;
        (void)str_copy(held->lockspace, NAME_SIZE, place->lockspace);
        (void)str_copy(held->resource, NAME_SIZE, place->resource);
        *ret_held = held;
        return 0;
    }
    return err_set(err, -ENOSPC, "too many leases");
}

/* Another thread of ours gives it back soon; somebody else never does. */
static int acquire(void *ctx, const struct lease_place *place,
                   int64_t deadline_ms, struct lease_held **ret_held,
                   struct err *err)
{
    struct fake_leases *fake = ctx;
    if (!is_formatted(place))
        return LEASE_NONE;
    for (;;) {
        int rc = try_acquire(fake, place, ret_held, err);
        if (rc != LEASE_BUSY || fake->busy[0] || time_now_ms() > deadline_ms)
            return rc;
        (void)usleep(1000);
    }
}

static bool is_held(void *ctx, const struct lease_held *held)
{
    struct fake_leases *fake = ctx;
    SCOPED_LOCK(&fake->lock);
    return !held->lost;
}

static int release(void *ctx, struct lease_held *held, struct err *err)
{
    (void)err;
    struct fake_leases *fake = ctx;
    SCOPED_LOCK(&fake->lock);
    assert(held->used);
    held->used = false;
    return 0;
}

static int write_lvb(const struct lease_place *place,
                     const char lvb[LEASE_LVB_SIZE], struct err *err)
{
    _cleanup_close_ int fd = open(place->path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && pwrite(fd, lvb, LEASE_LVB_SIZE, lvb_at(place)) ==
                          LEASE_LVB_SIZE
               ? 0
               : err_set(err, -errno, "write %s: %m", place->path);
}

static int read_lvb(void *ctx, const struct lease_place *place,
                    char ret_lvb[LEASE_LVB_SIZE], struct err *err)
{
    (void)ctx;
    _cleanup_close_ int fd = open(place->path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && pread(fd, ret_lvb, LEASE_LVB_SIZE, lvb_at(place)) ==
                          LEASE_LVB_SIZE
               ? 0
               : err_set_code(err, ERR_LVB, "read %s", place->path);
}

static int read_note(void *ctx, const struct lease_place *place,
                     char **ret_text, struct err *err)
{
    (void)ctx;
    _cleanup_close_ int fd = open(place->path, O_RDONLY | O_CLOEXEC);
    char *text = calloc(1, LEASE_NOTE_SIZE);
    assert(text);
    if (fd < 0 || pread(fd, text, LEASE_NOTE_SIZE - 1,
                        lvb_at(place) + place->block_size) < 0) {
        free(text);
        return err_set_code(err, ERR_LVB, "read %s", place->path);
    }
    *ret_text = text;
    return 0;
}

static int release_lvb(void *ctx, struct lease_held *held,
                       const char lvb[LEASE_LVB_SIZE], struct err *err)
{
    struct fake_leases *fake = ctx;
    const struct lease_place place = held->place;
    int rc = fake->lvb_lost ? 0 : write_lvb(&place, lvb, err);
    (void)release(ctx, held, NULL);
    if (rc == 0 && fake->lvb_lost)
        rc = err_set_code(err, ERR_LVB, "the LVB was lost");
    return rc;
}

static int owner(void *ctx, const struct lease_place *place,
                 struct lease_owner *ret_owner, struct err *err)
{
    struct fake_leases *fake = ctx;
    if (!is_formatted(place))
        return LEASE_NONE;
    SCOPED_LOCK(&fake->lock);
    if (str_equal(fake->hidden, place->resource))
        return err_set(err, -EIO, "%s: cannot be read", place->path);
    *ret_owner = (struct lease_owner){ .host_id = is_taken(fake, place) };
    return 0;
}

static bool host_lives(void *ctx, const struct lease_place *lockspace,
                       unsigned host_id)
{
    struct fake_leases *fake = ctx;
    (void)lockspace;
    SCOPED_LOCK(&fake->lock);
    return host_id != fake->dead_host;
}

static bool has_others(void *ctx, const struct lease_place *lockspace,
                       unsigned host_id)
{
    struct fake_leases *fake = ctx;
    (void)lockspace;
    (void)host_id;
    SCOPED_LOCK(&fake->lock);
    return fake->others;
}

static const struct lease_ops ops = {
    .format_lockspace = format,
    .format_resource = format,
    .clear_resource = clear,
    .join = join,
    .leave = leave,
    .acquire = acquire,
    .is_held = is_held,
    .release = release,
    .acquire_lvb = acquire,
    .release_lvb = release_lvb,
    .read_lvb = read_lvb,
    .read_note = read_note,
    .owner = owner,
    .host_lives = host_lives,
    .has_others = has_others,
};

struct fake_leases *fake_leases_new(void)
{
    struct fake_leases *fake = calloc(1, sizeof(*fake));
    assert(fake);
    (void)pthread_mutex_init(&fake->lock, NULL);
    return fake;
}

void fake_leases_free(struct fake_leases *fake)
{
    assert(fake_leases_held(fake) == 0);
    (void)pthread_mutex_destroy(&fake->lock);
    free(fake);
}

struct lease_port fake_leases_port(struct fake_leases *fake)
{
    return (struct lease_port){ .ctx = fake, .ops = &ops };
}

size_t fake_leases_held(struct fake_leases *fake)
{
    size_t n = 0;
    SCOPED_LOCK(&fake->lock);
    for (size_t i = 0; i < HELD; i++)
        n += fake->held[i].used;
    return n;
}

size_t fake_leases_joined(struct fake_leases *fake)
{
    size_t n = 0;
    SCOPED_LOCK(&fake->lock);
    for (size_t i = 0; i < LOCKSPACES; i++)
        n += fake->joined[i][0] != '\0';
    return n;
}

void fake_leases_set_busy(struct fake_leases *fake, const char *name)
{
    SCOPED_LOCK(&fake->lock);
    (void)str_copy(fake->busy, sizeof(fake->busy), name ? name : "");
}

void fake_leases_hide_owner(struct fake_leases *fake, const char *name)
{
    SCOPED_LOCK(&fake->lock);
    (void)str_copy(fake->hidden, sizeof(fake->hidden), name ? name : "");
}

void fake_leases_set_join_fails(struct fake_leases *fake, bool fails)
{
    SCOPED_LOCK(&fake->lock);
    fake->join_fails = fails;
}

void fake_leases_set_lvb_lost(struct fake_leases *fake, bool lost)
{
    SCOPED_LOCK(&fake->lock);
    fake->lvb_lost = lost;
}

void fake_leases_lose(struct fake_leases *fake)
{
    SCOPED_LOCK(&fake->lock);
    for (size_t i = 0; i < HELD; i++)
        fake->held[i].lost = fake->held[i].used;
}

void fake_leases_set_others(struct fake_leases *fake, bool others)
{
    SCOPED_LOCK(&fake->lock);
    fake->others = others;
}

void fake_leases_set_dead_host(struct fake_leases *fake, unsigned host_id)
{
    SCOPED_LOCK(&fake->lock);
    fake->dead_host = host_id;
}
