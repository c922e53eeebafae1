/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bytes of a layer: read, compared, copied.
 */
#include "fixture.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum {
    BLOCK = 4096
};

static char buffer[4 * BLOCK] __attribute__((aligned(BLOCK)));

static void make(struct fixture *f, const char *vol,
                 enum volume_legality legality)
{
    struct volume_create spec = fixture_volume(IMG, vol, NULL, VOLUME_RAW);
    spec.legality = legality;
    fixture_create(f, &spec);
}

static int put(struct fixture *f, const char *vol, uint64_t offset, char with,
               size_t size)
{
    const struct volume_id id = fixture_id(IMG, vol);
    const struct volume_piece piece = { .offset = offset,
                                        .data = buffer,
                                        .size = size };
    memset(buffer, with, size);
    return f->port.ops->volume_write(f->port.ctx, &id, &piece, FRESH(f));
}

static int end(struct fixture *f, const char *vol, uint64_t size)
{
    const struct volume_id id = fixture_id(IMG, vol);
    return f->port.ops->volume_end(f->port.ctx, &id, size, FRESH(f));
}

static size_t get(struct fixture *f, const char *vol, uint64_t offset,
                  uint64_t *ret_next)
{
    const struct volume_id id = fixture_id(IMG, vol);
    struct volume_piece piece = { .offset = offset,
                                  .data = buffer,
                                  .size = sizeof(buffer) };
    assert_int_equal(
        f->port.ops->volume_read(f->port.ctx, &id, &piece, FRESH(f)), 0);
    *ret_next = piece.next;
    return piece.n;
}

static uint64_t digest(struct fixture *f, const char *vol, uint64_t offset,
                       uint64_t size, char ret[VOLUME_DIGEST_SIZE])
{
    const struct volume_id id = fixture_id(IMG, vol);
    struct volume_digest digest = { .offset = offset, .size = size };
    assert_int_equal(
        f->port.ops->volume_digest(f->port.ctx, &id, &digest, FRESH(f)), 0);
    memcpy(ret, digest.hex, sizeof(digest.hex));
    return digest.n;
}

/* Two blocks of data, the second where the third of the file is; @size long. */
static void fill(struct fixture *f, const char *vol, uint64_t size)
{
    assert_int_equal(put(f, vol, 0, 'a', BLOCK), 0);
    assert_int_equal(put(f, vol, 64 * BLOCK, 'b', BLOCK), 0);
    assert_int_equal(end(f, vol, size), 0);
}

static void a_copy_is_what_was_written_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct volume_info info;
    uint64_t next = 0;
    make(f, BASE, VOLUME_ILLEGAL);
    assert_int_equal(put(f, BASE, 128 * BLOCK, 'x', BLOCK), 0);
    fill(f, BASE, 2 * MIB); /* at 0 it begins anew */
    fixture_info(f, IMG, BASE, &info);
    assert_int_equal(info.apparent_bytes, 2 * MIB);
    assert_int_equal(info.true_bytes, 2 * BLOCK);
    assert_int_equal(get(f, BASE, 0, &next), sizeof(buffer));
    assert_int_equal(next, sizeof(buffer));
    assert_true(buffer[0] == 'a' && buffer[BLOCK - 1] == 'a');
    assert_true(buffer[BLOCK] == 0);
    assert_int_equal(get(f, BASE, 64 * BLOCK, &next), sizeof(buffer));
    assert_true(buffer[0] == 'b' && buffer[BLOCK] == 0);
}

static void holes_are_skipped_up_to_the_end(void **state)
{
    struct fixture *f = *state;
    uint64_t next = 0;
    make(f, BASE, VOLUME_ILLEGAL);
    fill(f, BASE, 2 * MIB);
    assert_int_equal(get(f, BASE, 4 * BLOCK, &next), 0);
    assert_int_equal(next, 64 * BLOCK);
    assert_int_equal(get(f, BASE, 65 * BLOCK, &next), 0);
    assert_int_equal(next, 2 * MIB);
    assert_int_equal(get(f, BASE, 2 * MIB, &next), 0);
    assert_int_equal(next, 2 * MIB);
    assert_int_equal(end(f, BASE, 64 * BLOCK + 1000), 0);
    assert_int_equal(get(f, BASE, 64 * BLOCK, &next), 1000);
    assert_int_equal(next, 64 * BLOCK + 1000);
}

static void one_bit_makes_another_digest(void **state)
{
    char one[VOLUME_DIGEST_SIZE], other[VOLUME_DIGEST_SIZE];
    struct fixture *f = *state;
    make(f, BASE, VOLUME_ILLEGAL);
    fill(f, BASE, 2 * MIB);
    assert_int_equal(digest(f, BASE, 0, 16 * MIB, one), 2 * MIB);
    assert_int_equal(strlen(one), VOLUME_DIGEST_SIZE - 1);
    assert_int_equal(put(f, BASE, 64 * BLOCK, 'c', 1), 0);
    (void)digest(f, BASE, 0, 16 * MIB, other);
    assert_string_not_equal(one, other);
    assert_int_equal(put(f, BASE, 64 * BLOCK, 'b', 1), 0);
    (void)digest(f, BASE, 0, 16 * MIB, other);
    assert_string_equal(one, other);
    /* "a" a thousand times, as sha256sum says */
    assert_int_equal(digest(f, BASE, 0, 1000, one), 1000);
    assert_string_equal(one, "41edece42d63e8d9bf515a9ba6932e1c"
                             "20cbc9f5a5d134645adb5db1b9737ea3");
    assert_int_equal(digest(f, BASE, 2 * MIB - 5, 1000, one), 5);
}

static void what_is_legal_is_not_written(void **state)
{
    struct fixture *f = *state;
    make(f, BASE, VOLUME_LEGAL);
    assert_error(f, put(f, BASE, 0, 'x', 1), ERR_VOLUME_BUSY, BASE);
    assert_error(f, end(f, BASE, 0), ERR_VOLUME_BUSY, "no copy");
    assert_error(f, put(f, MID, 0, 'x', 1), ERR_NO_VOLUME, MID);
}

/* The link in an image based on it is the template's as well. */
static void a_template_is_not_written_through_its_link(void **state)
{
    struct fixture *f = *state;
    const struct volume_id base = fixture_id(IMG, BASE);
    const struct volume_update share = { .share = true };
    struct volume_create clone = fixture_volume(IMG2, LEAF, BASE, VOLUME_COW);
    const struct volume_id link = fixture_id(IMG2, BASE);
    const struct volume_piece piece = { .data = buffer, .size = 1 };
    struct volume_info info;
    make(f, BASE, VOLUME_LEGAL);
    assert_int_equal(
        f->port.ops->volume_update(f->port.ctx, &base, &share, FRESH(f)), 0);
    (void)str_copy(clone.parent_img, UUID_SIZE, IMG);
    fixture_create(f, &clone);
    fixture_edit(f, IMG, BASE, "LEGALITY=LEGAL", "LEGALITY=ILLEGAL");
    assert_error(f, put(f, BASE, 0, 'x', 1), ERR_VOLUME_BUSY, BASE);
    assert_error(
        f, f->port.ops->volume_write(f->port.ctx, &link, &piece, FRESH(f)),
        ERR_VOLUME_BUSY, BASE);
    fixture_info(f, IMG2, BASE, &info);
    assert_string_equal(info.home, IMG);
    fixture_info(f, IMG2, LEAF, &info);
    assert_string_equal(info.home, IMG2);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_with_joined, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_is_what_was_written_and_nothing_else),
        TEST(holes_are_skipped_up_to_the_end),
        TEST(one_bit_makes_another_digest),
        TEST(what_is_legal_is_not_written),
        TEST(a_template_is_not_written_through_its_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
