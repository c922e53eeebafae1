/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which mover a copy gets, the server's mover without its server, and the
 * parts below: the mount table, the ring. What needs file systems of its own
 * is in tests/integration/test_copy.py.
 */
#include "../../../src/copy/mover.h"
#include "../../../src/copy/ring.h"
#include "../../../src/copy/zero.h"
#include "copying.h"
#include <dirent.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* --- the mount table --- */

#define NFS(id, minor, server, options)                                        \
#id " 25 0:" #minor " / /mnt/" #id " rw,relatime shared:1 - nfs4 " server  \
        ":/export rw," options "\n"

static const char mounts[] =
    "25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n" NFS(
        30, 51, "a", "vers=4.2,rsize=1048576,proto=tcp,addr=10.0.0.1")
        NFS(31, 52, "a", "vers=4.2,rsize=1048576,proto=tcp,addr=10.0.0.1") NFS(
            32, 53, "b", "vers=4.2,rsize=1048576,proto=tcp,addr=10.0.0.11")
            NFS(33, 54, "a", "vers=4.1,rsize=1048576,proto=tcp,addr=10.0.0.1")
                NFS(34, 55, "a",
                    "vers=4.2,rsize=1048576,proto=tcp") "35 25 0:56 / /mnt/x "
                                                        "rw - nfs a:/x "
                                                        "rw,vers=3,addr=10.0.0."
                                                        "1\n"
                                                        "36 25 0:511 / /mnt/y "
                                                        "rw - tmpfs none "
                                                        "rw,vers=4.2,addr=10.0."
                                                        "0.1\n"
                                                        "garbage\n"
                                                        "\n"
                                                        "37 25 0:57 / /mnt/z "
                                                        "rw - nfs4 a:/z "
                                                        "rw,vers=4.2,addr=10.0."
                                                        "0.1";

static bool holds(unsigned a, unsigned b)
{
    return server_holds_both(mounts, makedev(0, a), makedev(0, b));
}

static void one_server_can_copy(void **state)
{
    (void)state;
    assert_true(holds(51, 51));
    assert_true(holds(51, 52));
    assert_true(holds(52, 51));
    assert_true(holds(51, 57)); /* the last line has no end */
}

static void others_cannot(void **state)
{
    (void)state;
    assert_false(holds(51, 53)); /* another server */
    assert_false(holds(51, 54)); /* 4.1 */
    assert_false(holds(54, 51));
    assert_false(holds(51, 55)); /* no address */
    assert_false(holds(55, 55));
    assert_false(holds(51, 56));
    assert_false(holds(511, 51)); /* no NFS */
    assert_false(holds(5, 51));   /* not there */
    assert_false(server_holds_both("", 51, 51));
    assert_false(server_holds_both("51", makedev(0, 51), makedev(0, 51)));
    assert_false(server_holds_both(mounts, makedev(254, 0), makedev(254, 0)));
}

static void a_local_file_has_no_server(void **state)
{
    struct copying *t = *state;
    make_file(t->spec.src_path, 100);
    _cleanup_close_ int fd = open(t->spec.src_path, O_RDONLY | O_CLOEXEC);
    assert_false(server_can_copy(fd, fd));
}

/* --- copy_file_range(), which local file systems know too --- */

static void prepare_copy(struct copying *t, struct copy *copy)
{
    memset(copy, 0, sizeof(*copy));
    copy->spec = t->spec;
    copy->wake_fd = -1;
    (void)pthread_mutex_init(&copy->lock, NULL);
}

static int move_by_server(struct copying *t, struct copy *copy, uint64_t from)
{
    struct move move = { .copy = copy,
                         .pair = PAIR_INIT,
                         .checkpoint = CHECKPOINT_INIT,
                         .from = from };
    struct err err = ERR_INIT;
    char dir[PATH_MAX];
    str_format(dir, sizeof(dir), "%s/copies", t->dir);
    prepare_copy(t, copy);
    assert_int_equal(pair_open(&move.pair, &t->spec, O_RDWR, &err), 0);
    assert_int_equal(
        checkpoint_init(&move.checkpoint, dir, t->spec.resume_key, &err), 0);
    assert_int_equal(
        checkpoint_start(&move.checkpoint, &move.pair, &t->spec, &err), 0);
    assert_int_equal(
        extent_sum(move.pair.src.fd, move.pair.src.size, &move.total), 0);
    int rc = server_move_extents(&move, &err);
    checkpoint_deinit(&move.checkpoint);
    pair_close(&move.pair);
    return rc;
}

static void the_server_moves_data_and_keeps_holes(void **state)
{
    struct copying *t = *state;
    struct copy copy;
    make_file(t->spec.src_path, 90 * MIB + 17);
    put_data(t->spec.src_path, 3 * MIB, 70 * MIB, 1);
    put_data(t->spec.src_path, 90 * MIB, 17, 2);
    make_file(t->spec.dst_path, 0);
    str_copy(t->spec.resume_key, COPY_KEY_SIZE, "5");
    assert_int_equal(move_by_server(t, &copy, 0), 0);
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    assert_true(allocated_bytes(t->spec.dst_path) <= 71 * MIB);
    assert_int_equal(copy.progress.mover, COPY_BY_SERVER);
    assert_in_range(copy.progress.done, 70 * MIB, 71 * MIB);
    /* 32 MiB and 64 MiB of data: after 3 MiB of hole. */
    assert_int_equal(checkpoint_position(t), 67 * MIB);
}

static void the_server_goes_on_where_it_was(void **state)
{
    struct copying *t = *state;
    struct copy copy;
    make_file(t->spec.src_path, 4 * MIB);
    put_data(t->spec.src_path, 0, 4 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    assert_int_equal(move_by_server(t, &copy, 3 * MIB), 0);
    assert_true(allocated_bytes(t->spec.dst_path) <= MIB + 64 * KIB);
    _cleanup_close_ int fd = open(t->spec.dst_path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(fd, 0, SEEK_DATA), 3 * MIB);
}

static void a_stop_is_seen_by_the_server_mover(void **state)
{
    struct copying *t = *state;
    struct copy copy;
    make_file(t->spec.src_path, 4 * MIB);
    put_data(t->spec.src_path, 0, 4 * MIB, 1);
    make_file(t->spec.dst_path, 0);
    struct move move = { .copy = &copy,
                         .pair = PAIR_INIT,
                         .checkpoint = CHECKPOINT_INIT };
    struct err err = ERR_INIT;
    prepare_copy(t, &copy);
    atomic_store(&copy.stop, true);
    assert_int_equal(pair_open(&move.pair, &t->spec, O_RDWR, &err), 0);
    assert_int_equal(server_move_extents(&move, &err), -ECANCELED);
    assert_int_equal(reflink_move(&move, &err), -ECANCELED);
    pair_close(&move.pair);
    assert_int_equal(allocated_bytes(t->spec.dst_path), 0);
}

static void memory_and_disk_have_no_common_server(void **state)
{
    struct copying *t = *state;
    struct copying shm = { 0 };
    struct copy copy;
    copying_init(&shm, "/dev/shm");
    str_copy(t->spec.dst_path, PATH_MAX, shm.spec.dst_path);
    make_file(t->spec.src_path, MIB);
    put_data(t->spec.src_path, 0, MIB, 1);
    make_file(t->spec.dst_path, 0);
    assert_int_equal(move_by_server(t, &copy, 0), MOVER_UNSUPPORTED);
    copy_all(t); /* another mover can */
    assert_same_content(t->spec.src_path, t->spec.dst_path);
    copying_deinit(&shm);
}

/* --- probe --- */

static int probe(struct copying *t, const char *src, const char *dir,
                 enum copy_mover *ret)
{
    struct err err = ERR_INIT;
    return t->port.ops->probe(t->port.ctx, src, dir, ret, &err);
}

static unsigned entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void probing_memory_says_direct_and_leaves_nothing(void **state)
{
    struct copying *t = *state;
    struct copying shm = { 0 };
    enum copy_mover mover = COPY_BY_REFLINK;
    copying_init(&shm, "/dev/shm");
    make_file(shm.spec.src_path, 100);
    make_file(t->spec.src_path, MIB);
    unsigned before = entries(shm.dir);
    assert_int_equal(probe(t, shm.spec.src_path, shm.dir, &mover), 0);
    assert_int_equal(mover, COPY_BY_DIRECT);
    mover = COPY_BY_REFLINK;
    assert_int_equal(probe(t, t->spec.src_path, shm.dir, &mover), 0);
    assert_int_equal(mover, COPY_BY_DIRECT);
    assert_int_equal(entries(shm.dir), before);
    copying_deinit(&shm);
}

static void probing_what_is_missing_is_an_error(void **state)
{
    struct copying *t = *state;
    enum copy_mover mover = COPY_BY_REFLINK;
    make_file(t->spec.src_path, 1);
    assert_int_equal(probe(t, t->spec.dst_path, t->dir, &mover), -ENOENT);
    assert_int_equal(probe(t, t->spec.src_path, t->spec.dst_path, &mover),
                     -ENOENT);
}

static void movers_have_names(void **state)
{
    (void)state;
    assert_string_equal(copy_mover_name(COPY_BY_REFLINK), "reflink");
    assert_string_equal(copy_mover_name(COPY_BY_SERVER), "server");
    assert_string_equal(copy_mover_name(COPY_BY_DIRECT), "direct");
    assert_string_equal(copy_mover_name(COPY_BY_CONVERT), "convert");
}

/* --- zeros --- */

static void one_bit_is_not_zero(void **state)
{
    (void)state;
    static char data[300];
    for (size_t len = 1; len <= sizeof(data); len++) {
        assert_true(is_zero(data, len));
        data[len - 1] = 1;
        assert_false(is_zero(data, len));
        assert_true(is_zero(data, len - 1));
        data[len - 1] = 0;
        data[0] = 1;
        assert_false(is_zero(data, len));
        data[0] = 0;
    }
}

/* --- ring --- */

static void operations_come_back_with_their_owner(void **state)
{
    struct copying *t = *state;
    char data[2][512];
    struct ring *ring = ring_new(4);
    make_file(t->spec.src_path, 700);
    put_data(t->spec.src_path, 0, 700, 1);
    _cleanup_close_ int fd = open(t->spec.src_path, O_RDONLY | O_CLOEXEC);
    struct ring_op ops[2];
    assert_non_null(ring);
    assert_null(ring_reap(ring));
    assert_null(ring_wait(ring));
    for (size_t i = 0; i < 2; i++) {
        ops[i] = (struct ring_op){ .owner = data[i],
                                   .kind = RING_READ,
                                   .fd = fd,
                                   .data = data[i],
                                   .len = 512,
                                   .need = 512,
                                   .at = i * 512 };
        ring_start(ring, &ops[i]);
    }
    assert_int_equal(ring_in_flight(ring), 2);
    unsigned done = 0;
    for (struct ring_op *op = NULL; (op = ring_wait(ring));) {
        int rc = ring_settle(ring, op);
        if (rc == RING_AGAIN)
            continue; /* the second one asks for more than there is */
        assert_int_equal(rc, 0);
        assert_ptr_equal(op->owner, op == &ops[0] ? data[0] : data[1]);
        assert_int_equal(op->moved, op == &ops[0] ? 512 : 188);
        done++;
    }
    assert_int_equal(done, 2);
    ring_free(ring);
}

static void a_bad_descriptor_is_an_error(void **state)
{
    (void)state;
    char data[16];
    struct ring *ring = ring_new(1);
    struct ring_op op = { .kind = RING_WRITE,
                          .fd = -1,
                          .data = data,
                          .len = sizeof(data),
                          .need = sizeof(data) };
    ring_start(ring, &op);
    assert_ptr_equal(ring_wait(ring), &op);
    assert_int_equal(ring_settle(ring, &op), -EBADF);
    ring_free(ring);
}

#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, copying_setup, copying_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_server_can_copy),
        cmocka_unit_test(others_cannot),
        TEST(a_local_file_has_no_server),
        TEST(the_server_moves_data_and_keeps_holes),
        TEST(the_server_goes_on_where_it_was),
        TEST(a_stop_is_seen_by_the_server_mover),
        TEST(memory_and_disk_have_no_common_server),
        TEST(probing_memory_says_direct_and_leaves_nothing),
        TEST(probing_what_is_missing_is_an_error),
        cmocka_unit_test(movers_have_names),
        cmocka_unit_test(one_bit_is_not_zero),
        TEST(operations_come_back_with_their_owner),
        cmocka_unit_test(a_bad_descriptor_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
