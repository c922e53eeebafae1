/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * External leases: made, found, fenced, removed, and an index that is damaged
 * in many ways: it is refused or made right again, and never leads to a wrong
 * lease.
 */
#include "fixture.h"
#include <dray/format.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define JOB   "e0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"
#define LEASE "f0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"
#define HOST  "d0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"

enum {
    LEASES = 12,
    LVB = 2002 * 512,
};

#define CALL(f, op, ...)                                                       \
    (domains_xlease_port((f)->domains)                                         \
         .ops->op(domains_xlease_port((f)->domains).ctx, __VA_ARGS__,          \
                  FRESH(f)))
#define DONE(f, rc)                                                            \
    do {                                                                       \
        if ((rc) < 0)                                                          \
            fail_msg("%s", (f)->err.message);                                  \
    } while (0)

static struct xlease_id id_of(const char *lease)
{
    struct xlease_id id = { .sd = SD };
    (void)str_copy(id.lease, sizeof(id.lease), lease);
    return id;
}

/* LEASE with another number in front. */
static struct xlease_id nth(unsigned n)
{
    struct xlease_id id = id_of(LEASE);
    (void)str_format(id.lease, 9, "%08x", n);
    id.lease[8] = '-';
    return id;
}

static struct xlease_job pending(unsigned generation)
{
    return (struct xlease_job){ .job_id = JOB, .generation = generation };
}

static void make(struct fixture *f, const struct xlease_id *id)
{
    struct xlease_job job = pending(3);
    (void)str_copy(job.job_id, sizeof(job.job_id), id->lease);
    DONE(f, CALL(f, create, id, &job));
}

static struct xlease_status status_of(struct fixture *f,
                                      const struct xlease_id *id)
{
    struct xlease_status status = { .version = 4711 };
    DONE(f, CALL(f, status, id, &status));
    return status;
}

/* --- the file --- */

static int open_volume(const struct fixture *f)
{
    char path[PATH_MAX];
    fixture_path(f, path, "storage/" SD "/dom_md/xleases");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void read_volume(const struct fixture *f, off_t at, void *data,
                        size_t size)
{
    _cleanup_close_ int fd = open_volume(f);
    assert_int_equal(pread(fd, data, size, at), size);
}

static void write_volume(const struct fixture *f, off_t at, const void *data,
                         size_t size)
{
    _cleanup_close_ int fd = open_volume(f);
    assert_int_equal(pwrite(fd, data, size, at), size);
}

static void write_record(const struct fixture *f, size_t n, const char *lease)
{
    static char index[FORMAT_XLEASES_SIZE];
    size_t at = format_xlease_position(n);
    format_xlease_set(index, n, MIB, lease);
    write_volume(f, (off_t)(MIB + at), index + at, FORMAT_XLEASE_SIZE);
}

static struct format_leader leader_at(const struct fixture *f, uint64_t offset)
{
    char sector[FORMAT_LEADER_SIZE];
    struct format_leader leader;
    read_volume(f, (off_t)offset, sector, sizeof(sector));
    assert_int_equal(format_leader_parse(sector, sizeof(sector), &leader, NULL),
                     0);
    return leader;
}

/* --- making, looking, removing --- */

static void a_lease_is_made_with_its_record(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    const struct xlease_job job = pending(3);
    struct xlease_place place;
    uint64_t now = (uint64_t)time_wall_ms() / 1000;
    DONE(f, CALL(f, create, &id, &job));
    DONE(f, CALL(f, info, &id, &place));
    assert_int_equal(place.offset, 3 * MIB);
    assert_true(str_ends_with(place.path, SD "/dom_md/xleases"));
    struct xlease_status status = status_of(f, &id);
    assert_int_equal(status.owner_host, 0);
    assert_true(status.has_job);
    assert_string_equal(status.job.job_id, JOB);
    assert_int_equal(status.job.status, XLEASE_PENDING);
    assert_int_equal(status.job.generation, 3);
    assert_string_equal(status.job.host_hardware_id, HOST);
    assert_in_range(status.job.created_s, now, now + 60);
    assert_int_equal(status.job.modified_s, status.job.created_s);
    assert_string_equal(leader_at(f, place.offset).resource, LEASE);
    assert_string_equal(leader_at(f, place.offset).lockspace, SD);
    assert_int_equal(fake_leases_held(f->leases), 0);
}

static void a_lease_without_a_job_has_none(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    DONE(f, CALL(f, create, &id, NULL));
    assert_false(status_of(f, &id).has_job);
    DONE(f, CALL(f, create, &id, NULL));
    const struct xlease_job job = pending(0); /* it gets one later */
    DONE(f, CALL(f, create, &id, &job));
    assert_string_equal(status_of(f, &id).job.job_id, JOB);
}

static void making_it_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    struct xlease_job job = pending(3);
    DONE(f, CALL(f, create, &id, &job));
    DONE(f, CALL(f, fence, &id, &job));
    DONE(f, CALL(f, create, &id, &job));
    DONE(f, CALL(f, create, &id, NULL));
    assert_int_equal(status_of(f, &id).job.status, XLEASE_FENCED);
    job.job_id[0] = '1';
    assert_error(f, CALL(f, create, &id, &job), ERR_UNSUPPORTED_STORAGE, JOB);
    struct xlease_item *items = NULL;
    size_t n = 0;
    DONE(f, CALL(f, list, SD, &items, &n));
    free(items);
    assert_int_equal(n, 1);
}

static void what_is_not_there_is_said_so(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    const struct xlease_job job = pending(3);
    struct xlease_place place;
    struct xlease_status status;
    assert_error(f, CALL(f, info, &id, &place), ERR_NO_SUCH_LEASE, LEASE);
    assert_error(f, CALL(f, status, &id, &status), ERR_NO_SUCH_LEASE, LEASE);
    assert_error(f, CALL(f, fence, &id, &job), ERR_NO_SUCH_LEASE, LEASE);
    DONE(f, CALL(f, remove, &id)); /* already */
}

static void a_removed_lease_is_cleared_and_its_place_used_again(void **state)
{
    struct fixture *f = *state;
    struct xlease_place place;
    for (unsigned i = 0; i < 3; i++) {
        const struct xlease_id id = nth(i);
        make(f, &id);
    }
    const struct xlease_id gone = nth(1), new = nth(7);
    DONE(f, CALL(f, remove, &gone));
    assert_error(f, CALL(f, info, &gone, &place), ERR_NO_SUCH_LEASE, "");
    assert_int_equal(leader_at(f, 4 * MIB).kind, FORMAT_LEADER_CLEARED);
    DONE(f, CALL(f, create, &new, NULL));
    DONE(f, CALL(f, info, &new, &place));
    assert_int_equal(place.offset, 4 * MIB);
    assert_false(status_of(f, &new).has_job); /* not that of the old one */
    assert_int_equal(fake_leases_held(f->leases), 0);
}

static void a_held_lease_is_neither_removed_nor_fenced(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    const struct xlease_job job = pending(3);
    DONE(f, CALL(f, create, &id, &job));
    fake_leases_set_busy(f->leases, LEASE);
    assert_error(f, CALL(f, remove, &id), ERR_ACQUIRE_LOCK, LEASE);
    assert_error(f, CALL(f, fence, &id, &job), ERR_ACQUIRE_LOCK, LEASE);
    struct xlease_status status = status_of(f, &id);
    assert_int_equal(status.owner_host, 1);
    assert_false(status.has_job);
    fake_leases_set_busy(f->leases, NULL);
    status = status_of(f, &id);
    assert_int_equal(status.job.status, XLEASE_PENDING);
    assert_int_equal(status.job.generation, 3);
}

/* --- fencing --- */

static void a_fence_needs_what_it_expects(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    const struct xlease_job job = pending(999);
    struct xlease_job other = job;
    DONE(f, CALL(f, create, &id, &job));
    other.job_id[0] = '1';
    assert_error(f, CALL(f, fence, &id, &other), ERR_UNSUPPORTED_STORAGE, JOB);
    other = pending(998);
    assert_error(f, CALL(f, fence, &id, &other), ERR_GENERATION, "998");
    other = job;
    other.status = XLEASE_FAILED;
    assert_error(f, CALL(f, fence, &id, &other), ERR_JOB_STATUS, "PENDING");
    assert_int_equal(status_of(f, &id).job.status, XLEASE_PENDING);
    DONE(f, CALL(f, fence, &id, &job));
    struct xlease_status status = status_of(f, &id);
    assert_int_equal(status.job.status, XLEASE_FENCED);
    assert_int_equal(status.job.generation, 0); /* after 999 */
    assert_error(f, CALL(f, fence, &id, &job), ERR_JOB_STATUS, "FENCED");
    assert_int_equal(fake_leases_held(f->leases), 0);
}

static void a_fence_that_is_lost_on_its_way_to_the_disk_failed(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    const struct xlease_job job = pending(3);
    DONE(f, CALL(f, create, &id, &job));
    fake_leases_set_lvb_lost(f->leases, true);
    assert_error(f, CALL(f, fence, &id, &job), ERR_LVB, "");
    const struct xlease_id other = nth(1);
    struct xlease_place place;
    assert_error(f, CALL(f, create, &other, &job), ERR_LVB, "");
    assert_error(f, CALL(f, info, &other, &place), ERR_NO_SUCH_LEASE, "");
    fake_leases_set_lvb_lost(f->leases, false);
    assert_int_equal(status_of(f, &id).job.status, XLEASE_PENDING);
    DONE(f, CALL(f, fence, &id, &job));
}

static void a_damaged_record_is_no_record(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    const struct xlease_job job = pending(3);
    struct xlease_status status;
    DONE(f, CALL(f, create, &id, &job));
    write_volume(f, 3 * MIB + LVB + 100, "x", 1);
    assert_error(f, CALL(f, status, &id, &status), ERR_LVB, LEASE);
    assert_error(f, CALL(f, fence, &id, &job), ERR_LVB, LEASE);
    assert_error(f, CALL(f, create, &id, &job), ERR_LVB, LEASE);
    struct xlease_item *items = NULL;
    size_t n = 0;
    DONE(f, CALL(f, list, SD, &items, &n));
    assert_int_equal(n, 1);
    assert_non_null(strstr(items[0].problem, "damaged"));
    assert_false(items[0].status.has_job);
    free(items);
    DONE(f, CALL(f, remove, &id));
}

static void a_list_has_all(void **state)
{
    struct fixture *f = *state;
    struct xlease_item *items = NULL;
    size_t n = 0;
    for (unsigned i = 0; i < LEASES; i++) {
        const struct xlease_id id = nth(i);
        make(f, &id);
    }
    DONE(f, CALL(f, list, SD, &items, &n));
    assert_int_equal(n, LEASES);
    for (unsigned i = 0; i < LEASES; i++) {
        assert_string_equal(items[i].lease, nth(i).lease);
        assert_int_equal(items[i].offset, (3 + (uint64_t)i) * MIB);
        assert_string_equal(items[i].status.job.job_id, nth(i).lease);
        assert_string_equal(items[i].problem, "");
    }
    free(items);
}

static void a_job_is_found_by_its_record(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE), other = nth(1), third = nth(2);
    const struct xlease_job job = pending(3);
    struct xlease_found found;
    make(f, &other);
    DONE(f, CALL(f, create, &third, NULL));
    assert_error(f, CALL(f, find_job, JOB, &found), ERR_NO_JOB, JOB);
    DONE(f, CALL(f, create, &id, &job));
    DONE(f, CALL(f, find_job, JOB, &found));
    assert_string_equal(found.id.sd, SD);
    assert_string_equal(found.id.lease, LEASE);
    assert_int_equal(found.status.owner_host, 0);
    assert_int_equal(found.job.generation, 3);
    fake_leases_set_busy(f->leases, LEASE);
    DONE(f, CALL(f, find_job, JOB, &found));
    assert_int_equal(found.status.owner_host, 1);
    assert_string_equal(found.job.job_id, JOB);
    fake_leases_set_busy(f->leases, NULL);
    DONE(f, CALL(f, fence, &id, &job));
    DONE(f, CALL(f, find_job, JOB, &found));
    assert_int_equal(found.job.status, XLEASE_FENCED);
    /* It may be one of those that cannot be read. */
    write_volume(f, MIB + 512, "what", 4);
    assert_error(f, CALL(f, find_job, JOB, &found), ERR_METADATA_VALIDATION,
                 SD);
}

static void only_a_joined_domain_is_changed(void **state)
{
    struct fixture *f = *state;
    const struct xlease_id id = id_of(LEASE);
    struct xlease_rebuilt rebuilt;
    DONE(f, f->port.ops->domain_leave(f->port.ctx, SD, FRESH(f)));
    assert_error(f, CALL(f, create, &id, NULL), ERR_DOMAIN_ACTION, SD);
    assert_error(f, CALL(f, remove, &id), ERR_DOMAIN_ACTION, SD);
    assert_error(f, CALL(f, rebuild, SD, &rebuilt), ERR_DOMAIN_ACTION, SD);
}

/* --- other hosts --- */

static void other_hosts_are_known_from_the_lockspace(void **state)
{
    struct fixture *f = *state;
    struct xlease_port port = domains_xlease_port(f->domains);
    fake_leases_set_others(f->leases, true);
    assert_true(port.ops->is_shared(port.ctx, SD));
    assert_false(port.ops->is_shared(port.ctx, JOB)); /* no domain of ours */
    assert_true(port.ops->host_lives(port.ctx, SD, 7));
    fake_leases_set_dead_host(f->leases, 7);
    assert_false(port.ops->host_lives(port.ctx, SD, 7));
    assert_true(port.ops->host_lives(port.ctx, SD, 8));
    assert_true(port.ops->host_lives(port.ctx, JOB, 7)); /* nobody knows */
}

/* --- damage --- */

/* Numbers that are the same each time. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void flip_bit(const struct fixture *f, uint32_t *seed)
{
    char byte = 0;
    off_t at = MIB + next_random(seed) % (512 + 64 * LEASES);
    read_volume(f, at, &byte, 1);
    byte ^= (char)(1 << next_random(seed) % 8);
    write_volume(f, at, &byte, 1);
}

static void fill_block(const struct fixture *f, uint32_t *seed, int byte)
{
    char block[512];
    memset(block, byte, sizeof(block));
    write_volume(f, MIB + 512 * (off_t)(next_random(seed) % 3), block,
                 sizeof(block));
}

static void scribble(const struct fixture *f, uint32_t *seed)
{
    char noise[300];
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)next_random(seed);
    write_volume(f, MIB + next_random(seed) % (512 + 64 * LEASES), noise,
                 next_random(seed) % sizeof(noise) + 1);
}

/* A record, or a whole block, where another should be. */
static void misplace(const struct fixture *f, uint32_t *seed, size_t size)
{
    char data[512];
    size_t n = 64 * LEASES / size;
    read_volume(f, MIB + 512 + (off_t)(size * (next_random(seed) % n)), data,
                size);
    write_volume(f, MIB + 512 + (off_t)(size * (next_random(seed) % n)), data,
                 size);
}

static void cut_off(const struct fixture *f, uint32_t *seed)
{
    _cleanup_close_ int fd = open_volume(f);
    char zero[FORMAT_XLEASES_SIZE] = "";
    size_t from = next_random(seed) % sizeof(zero);
    assert_int_equal(
        pwrite(fd, zero + from, sizeof(zero) - from, (off_t)(MIB + from)),
        sizeof(zero) - from);
}

static void set_flag(const struct fixture *f, uint32_t *seed)
{
    if (next_random(seed) % 2)
        write_volume(f, MIB + 70, "u", 1);
    else
        write_record(f, next_random(seed) % LEASES,
                     nth(next_random(seed) % LEASES).lease);
}

static void damage(const struct fixture *f, unsigned way)
{
    uint32_t seed = way * 7919 + 1;
    switch (way % 8) {
    case 0:
        flip_bit(f, &seed);
        break;
    case 1:
        fill_block(f, &seed, 0);
        break;
    case 2:
        fill_block(f, &seed, 0xff);
        break;
    case 3:
        scribble(f, &seed);
        break;
    case 4:
        misplace(f, &seed, 64);
        break;
    case 5:
        misplace(f, &seed, 512);
        break;
    case 6:
        cut_off(f, &seed);
        break;
    default:
        set_flag(f, &seed);
    }
}

/* A lookup may fail, but what it finds is right. */
static void check_lookups(struct fixture *f)
{
    for (unsigned i = 0; i < LEASES; i++) {
        const struct xlease_id id = nth(i);
        struct xlease_place place;
        struct xlease_status status;
        if (CALL(f, info, &id, &place) < 0)
            assert_true(f->err.code == ERR_METADATA_VALIDATION ||
                        f->err.code == ERR_NO_SUCH_LEASE);
        if (CALL(f, status, &id, &status) == 0)
            assert_string_equal(status.job.job_id, id.lease);
    }
}

static void check_restored(struct fixture *f)
{
    struct xlease_item *items = NULL;
    size_t n = 0;
    DONE(f, CALL(f, list, SD, &items, &n));
    assert_int_equal(n, LEASES);
    for (unsigned i = 0; i < LEASES; i++) {
        const struct xlease_id id = nth(i);
        struct xlease_place place;
        DONE(f, CALL(f, info, &id, &place));
        assert_int_equal(place.offset, (3 + (uint64_t)i) * MIB);
        assert_string_equal(status_of(f, &id).job.job_id, id.lease);
    }
    free(items);
}

static void a_damaged_index_is_refused_or_rebuilt(void **state)
{
    struct fixture *f = *state;
    static char good[FORMAT_XLEASES_SIZE], now[FORMAT_XLEASES_SIZE];
    for (unsigned i = 0; i < LEASES; i++) {
        const struct xlease_id id = nth(i);
        make(f, &id);
    }
    read_volume(f, MIB, good, sizeof(good));
    for (unsigned way = 0; way < 104; way++) {
        struct xlease_rebuilt rebuilt;
        write_volume(f, MIB, good, sizeof(good));
        damage(f, way);
        check_lookups(f);
        DONE(f, CALL(f, rebuild, SD, &rebuilt));
        check_restored(f);
        assert_int_equal(rebuilt.kept + rebuilt.restored, LEASES);
        assert_int_equal(rebuilt.made + rebuilt.cleared, 0);
        read_volume(f, MIB, now, sizeof(now));
        assert_memory_equal(now + 512, good + 512, sizeof(good) - 512);
    }
}

static void a_right_index_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    const struct xlease_id id = nth(0);
    make(f, &id);
    _cleanup_free_ char *before = fixture_list(f);
    DONE(f, CALL(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.kept, 1);
    assert_int_equal(
        rebuilt.restored + rebuilt.made + rebuilt.freed + rebuilt.cleared, 0);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

/* What a crash between the lease and its record leaves. */
static void a_lease_without_a_record_is_cleared(void **state)
{
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    const struct xlease_id id = nth(0);
    make(f, &id);
    write_record(f, 0, NULL);
    DONE(f, CALL(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.cleared, 1);
    assert_int_equal(leader_at(f, 3 * MIB).kind, FORMAT_LEADER_CLEARED);
}

static void a_lease_without_a_record_that_is_held_gets_one(void **state)
{
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    struct xlease_place place;
    const struct xlease_id id = nth(0);
    make(f, &id);
    write_record(f, 0, NULL);
    fake_leases_set_busy(f->leases, id.lease);
    DONE(f, CALL(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.restored, 1);
    DONE(f, CALL(f, info, &id, &place));
    fake_leases_set_busy(f->leases, NULL);
}

static void a_lease_of_which_nobody_knows_whether_it_is_held_is_kept(
    void **state)
{
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    const struct xlease_id id = nth(0);
    make(f, &id);
    write_record(f, 0, NULL);
    fake_leases_hide_owner(f->leases, id.lease);
    DONE(f, CALL(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.restored, 1);
    assert_int_equal(leader_at(f, 3 * MIB).kind, FORMAT_LEADER_RESOURCE);
    fake_leases_hide_owner(f->leases, NULL);
}

static void records_that_were_swapped_are_put_right(void **state)
{
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    const struct xlease_id ids[] = { nth(0), nth(1), nth(2) };
    for (size_t i = 0; i < 3; i++)
        make(f, &ids[i]);
    write_record(f, 0, ids[1].lease);
    write_record(f, 1, ids[2].lease);
    write_record(f, 2, ids[0].lease);
    DONE(f, CALL(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.restored, 3);
    assert_int_equal(rebuilt.made + rebuilt.cleared + rebuilt.freed, 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(status_of(f, &ids[i]).has_job);
}

/* Two leases of one name, as a copy of the volume's parts leaves them. */
static void a_held_lease_is_never_written_over(void **state)
{
    static char lease[MIB], index[FORMAT_XLEASES_SIZE];
    static char now[FORMAT_XLEASES_SIZE];
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    const struct xlease_id first = nth(0), second = nth(1);
    make(f, &first);
    make(f, &second);
    read_volume(f, 3 * MIB, lease, sizeof(lease));
    write_volume(f, 4 * MIB, lease, sizeof(lease));
    for (int with_record = 1; with_record >= 0; with_record--) {
        if (!with_record)
            write_record(f, 1, NULL);
        read_volume(f, MIB, index, sizeof(index));
        fake_leases_set_busy(f->leases, first.lease);
        assert_error(f, CALL(f, rebuild, SD, &rebuilt), ERR_LOCK_INIT, "held");
        fake_leases_set_busy(f->leases, NULL);
        read_volume(f, MIB, now, sizeof(now));
        assert_memory_equal(now, index, sizeof(now));
        assert_string_equal(leader_at(f, 4 * MIB).resource, first.lease);
    }
    DONE(f, CALL(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.cleared, 1);
}

static void a_record_without_a_lease_gets_one(void **state)
{
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    const struct xlease_id id = nth(0);
    struct xlease_status status;
    make(f, &id);
    write_volume(f, 3 * MIB, "xxxx", 4);
    assert_error(f, CALL(f, status, &id, &status), ERR_STORAGE, "no lease");
    DONE(f, CALL(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.made, 1);
    assert_false(status_of(f, &id).has_job);
}

/* The place of a record that is left over, and names a lease that is
 * elsewhere. */
static void a_damaged_record_of_nothing_is_freed(void **state)
{
    struct fixture *f = *state;
    struct xlease_rebuilt rebuilt;
    const struct xlease_id id = nth(0);
    make(f, &id);
    write_volume(f, MIB + 512 + 64 * 40, "what", 4);
    assert_error(f, CALL(f, remove, &(struct xlease_id){ SD, LEASE }),
                 ERR_METADATA_VALIDATION, "damaged");
    DONE(f, CALL(f, rebuild, SD, &rebuilt));
    assert_int_equal(rebuilt.freed, 1);
    assert_int_equal(rebuilt.kept, 1);
    DONE(f, CALL(f, remove, &(struct xlease_id){ SD, LEASE }));
}

static int setup(void **state)
{
    fixture_hardware_id = HOST;
    return fixture_with_joined(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lease_is_made_with_its_record),
        TEST(a_lease_without_a_job_has_none),
        TEST(making_it_again_changes_nothing),
        TEST(what_is_not_there_is_said_so),
        TEST(a_removed_lease_is_cleared_and_its_place_used_again),
        TEST(a_held_lease_is_neither_removed_nor_fenced),
        TEST(a_fence_needs_what_it_expects),
        TEST(a_fence_that_is_lost_on_its_way_to_the_disk_failed),
        TEST(a_damaged_record_is_no_record),
        TEST(a_list_has_all),
        TEST(a_job_is_found_by_its_record),
        TEST(only_a_joined_domain_is_changed),
        TEST(a_damaged_index_is_refused_or_rebuilt),
        TEST(a_right_index_is_left_alone),
        TEST(a_lease_without_a_record_is_cleared),
        TEST(a_lease_without_a_record_that_is_held_gets_one),
        TEST(a_lease_of_which_nobody_knows_whether_it_is_held_is_kept),
        TEST(other_hosts_are_known_from_the_lockspace),
        TEST(records_that_were_swapped_are_put_right),
        TEST(a_held_lease_is_never_written_over),
        TEST(a_record_without_a_lease_gets_one),
        TEST(a_damaged_record_of_nothing_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
