/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images: chains checked against records and headers, prepared and torn down,
 * located, removed; templates; and what the scan mends or leaves alone.
 */
#include "fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define IMAGES "storage/" SD "/images/"

static int chain(struct fixture *f, const char *leaf,
                 struct storage_chain *ret_chain)
{
    return f->port.ops->image_chain(f->port.ctx, SD, IMG, leaf, ret_chain,
                                    FRESH(f));
}

static void expect_chain_error(struct fixture *f, enum err_code code,
                               const char *word)
{
    struct storage_chain unused = { 0 };
    assert_error(f, chain(f, NULL, &unused), code, word);
    assert_null(unused.volumes);
}

static int prepare(struct fixture *f, const char *vol, bool allow_illegal,
                   char ret_path[PATH_MAX])
{
    const struct volume_id id = fixture_id(IMG, vol);
    return f->port.ops->image_prepare(f->port.ctx, &id, allow_illegal, ret_path,
                                      FRESH(f));
}

static int drop_image(struct fixture *f, const char *img)
{
    return f->port.ops->image_delete(f->port.ctx, SD, img, FRESH(f));
}

static void a_chain_is_from_base_to_leaf(void **state)
{
    struct fixture *f = *state;
    struct storage_chain found = { 0 };
    fixture_make_chain(f);
    assert_int_equal(chain(f, NULL, &found), 0);
    assert_int_equal(found.n, 3);
    assert_string_equal(found.volumes[0].id.vol, BASE);
    assert_string_equal(found.volumes[1].id.vol, MID);
    assert_string_equal(found.volumes[2].id.vol, LEAF);
    storage_chain_deinit(&found);
    assert_int_equal(chain(f, MID, &found), 0);
    assert_int_equal(found.n, 2);
    assert_string_equal(found.volumes[1].id.vol, MID);
    storage_chain_deinit(&found);
    assert_error(f, chain(f, SD, &found), ERR_NO_VOLUME, SD);
}

static void the_size_is_the_real_one(void **state)
{
    struct fixture *f = *state;
    struct storage_chain found = { 0 };
    fixture_make_chain(f);
    fixture_edit(f, IMG, LEAF, "CAP=1048576", "CAP=524288");
    assert_int_equal(chain(f, NULL, &found), 0);
    assert_int_equal(found.volumes[2].capacity, MIB);
    storage_chain_deinit(&found);
}

static void broken_chains_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *vol;
        const char *from;
        const char *to;
        enum err_code code;
        const char *word;
    } cases[] = {
        {LEAF,  "PUUID=" MID,        "PUUID=" SD,        ERR_IMAGE_CHAIN,         "not there"},
        { LEAF, "PUUID=" MID,        "PUUID=" BASE,      ERR_IMAGE_CHAIN,
         "another parent"                                                                    },
        { LEAF, "PUUID=" MID,        "PUUID=" LEAF,      ERR_IMAGE_CHAIN,         "endless"  },
        { BASE, "PUUID=" UUID_BLANK, "PUUID=" LEAF,      ERR_IMAGE_CHAIN,
         "endless"                                                                           },
        { BASE, "PUUID=" UUID_BLANK, "PUUID=" MID,       ERR_IMAGE_CHAIN,         ""         },
        { LEAF, "VOLTYPE=LEAF",      "VOLTYPE=INTERNAL", ERR_IMAGE_CHAIN,
         "no leaf"                                                                           },
        { MID,  "VOLTYPE=INTERNAL",  "VOLTYPE=LEAF",     ERR_IMAGE_CHAIN,
         "second leaf"                                                                       },
        { MID,  "FORMAT=COW",        "FORMAT=RAW",       ERR_IMAGE_CHAIN,         "format"   },
        { BASE, "FORMAT=RAW",        "FORMAT=COW",       ERR_IMAGE_CHAIN,         "format"   },
        { MID,  "DOMAIN=" SD,        "DOMAIN=" SD2,      ERR_METADATA_VALIDATION,
         MID ".meta: key DOMAIN"                                                             },
        { MID,  "IMAGE=" IMG,        "IMAGE=" IMG2,      ERR_METADATA_VALIDATION,
         MID ".meta: key IMAGE"                                                              },
        { MID,  "CAP=1048576",       "CAP=x",            ERR_METADATA_VALIDATION,
         MID ".meta: key CAP"                                                                },
    };
    fixture_make_chain(f);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        fixture_edit(f, IMG, cases[i].vol, cases[i].from, cases[i].to);
        expect_chain_error(f, cases[i].code, cases[i].word);
        fixture_edit(f, IMG, cases[i].vol, cases[i].to, cases[i].from);
    }
    struct storage_chain found = { 0 };
    assert_int_equal(chain(f, NULL, &found), 0);
    storage_chain_deinit(&found);
}

static void overwrite(const struct fixture *f, const char *vol, off_t offset,
                      const char *text)
{
    char path[PATH_MAX];
    fixture_path(f, path, IMAGES IMG "/%s", vol);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t size = strlen(text);
    assert_int_equal(pwrite(fd, text, size, offset), (ssize_t)size);
}

/* Where qemu-img put the backing file's name. */
static off_t name_offset(const struct fixture *f, const char *vol)
{
    char path[PATH_MAX];
    unsigned char bytes[8];
    fixture_path(f, path, IMAGES IMG "/%s", vol);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 8), sizeof(bytes));
    return bytes[6] << 8 | bytes[7];
}

static void headers_that_lie_are_refused(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    off_t at = name_offset(f, LEAF);
    overwrite(f, LEAF, at, BASE);
    expect_chain_error(f, ERR_IMAGE_CHAIN, "another parent");
    overwrite(f, LEAF, at, "/etc/passwd");
    expect_chain_error(f, ERR_IMAGE_CHAIN, "/etc/passwd");
    overwrite(f, LEAF, at, MID);
    at = name_offset(f, MID);
    overwrite(f, MID, 112 + 8, "bad");
    expect_chain_error(f, ERR_IMAGE_CHAIN, "backing format");
}

static void links_in_place_of_volumes_are_refused(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    char away[PATH_MAX];
    fixture_make_chain(f);
    fixture_path(f, path, IMAGES IMG "/" LEAF);
    fixture_path(f, away, "canary");
    assert_int_equal(rename(path, away), 0);
    expect_chain_error(f, ERR_VOLUME_ACCESS, "no data");
    assert_int_equal(symlink(away, path), 0);
    expect_chain_error(f, ERR_VOLUME_ACCESS, "not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
    expect_chain_error(f, ERR_VOLUME_ACCESS, "not a regular file");
    fixture_path(f, path, IMAGES IMG);
    fixture_path(f, away, "image");
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(symlink(away, path), 0);
    expect_chain_error(f, ERR_STORAGE, IMG);
}

static void a_prepared_image_has_its_link(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX] = "";
    char expected[PATH_MAX];
    char link[PATH_MAX];
    char target[PATH_MAX] = "";
    fixture_make_chain(f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(prepare(f, LEAF, false, path), 0);
        fixture_path(f, expected, IMAGES IMG "/" LEAF);
        assert_string_equal(path, expected);
        fixture_path(f, link, "run/storage/" SD "/" IMG);
        assert_true(readlink(link, target, sizeof(target) - 1) > 0);
        fixture_path(f, expected, IMAGES IMG);
        assert_string_equal(target, expected);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            f->port.ops->image_teardown(f->port.ctx, SD, IMG, FRESH(f)), 0);
        assert_false(fixture_exists(f, "run/storage/" SD));
    }
}

static void a_wrong_link_is_replaced(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    char link[PATH_MAX];
    char real[PATH_MAX];
    fixture_make_chain(f);
    assert_int_equal(prepare(f, LEAF, false, path), 0);
    fixture_path(f, link, "run/storage/" SD "/" IMG);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("/etc", link), 0);
    assert_int_equal(prepare(f, LEAF, false, path), 0);
    assert_non_null(realpath(link, real));
    fixture_path(f, path, IMAGES IMG);
    assert_string_equal(real, path);
}

static void illegal_images_are_not_prepared(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX] = "";
    fixture_make_chain(f);
    fixture_edit(f, IMG, BASE, "LEGALITY=LEGAL", "LEGALITY=ILLEGAL");
    assert_error(f, prepare(f, LEAF, false, path), ERR_VOLUME_ILLEGAL, BASE);
    assert_false(fixture_exists(f, "run/storage/" SD "/" IMG));
    assert_int_equal(prepare(f, LEAF, true, path), 0);
    assert_error(f, prepare(f, SD, true, path), ERR_NO_VOLUME, SD);
}

static int locate(struct fixture *f, const char *path, struct volume_id *ret_id)
{
    return f->port.ops->locate(f->port.ctx, path, ret_id, FRESH(f));
}

static void a_path_is_located_through_links(void **state)
{
    struct fixture *f = *state;
    struct volume_id id = { 0 };
    char path[PATH_MAX];
    char link[PATH_MAX];
    fixture_make_chain(f);
    assert_int_equal(prepare(f, LEAF, false, path), 0);
    assert_int_equal(locate(f, path, &id), 0);
    assert_string_equal(id.sd, SD);
    assert_string_equal(id.img, IMG);
    assert_string_equal(id.vol, LEAF);
    fixture_path(f, path, "run/storage/" SD "/" IMG "/" MID);
    assert_int_equal(locate(f, path, &id), 0);
    assert_string_equal(id.vol, MID);
    fixture_path(f, path, "run/../" IMAGES IMG "/./" BASE);
    assert_int_equal(locate(f, path, &id), 0);
    assert_string_equal(id.vol, BASE);
    fixture_path(f, path, IMAGES IMG "/" BASE);
    fixture_path(f, link, "disk");
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(locate(f, link, &id), 0);
    assert_string_equal(id.vol, BASE);
}

static void what_is_no_volume_is_not_located(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {
        IMAGES IMG,
        IMAGES IMG "/" BASE ".meta",
        "storage/" SD "/dom_md/metadata",
        "state",
        "none",
        "storage-2/" SD "/images/" IMG "/" BASE,
    };
    char path[PATH_MAX];
    char other[PATH_MAX];
    struct volume_id id = { 0 };
    fixture_make_chain(f);
    /* The same path but for an end of one component. */
    fixture_path(f, path, "storage");
    fixture_path(f, other, "storage-2");
    (void)symlink(path, other);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(mkdir(other, 0755), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        fixture_path(f, path, "%s", names[i]);
        assert_error(f, locate(f, path, &id), ERR_NO_DISK, names[i]);
    }
    assert_string_equal(id.vol, "");
}

static void a_path_in_a_domain_that_was_left_says_so(void **state)
{
    struct fixture *f = *state;
    struct volume_id id;
    char path[PATH_MAX];
    fixture_make_chain(f);
    assert_int_equal(f->port.ops->domain_leave(f->port.ctx, SD, NULL), 0);
    fixture_path(f, path, IMAGES IMG "/" LEAF);
    assert_error(f, locate(f, path, &id), ERR_DOMAIN_ACTION, "not joined");
}

static void a_removed_image_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    fixture_make_chain(f);
    assert_int_equal(prepare(f, LEAF, false, path), 0);
    assert_int_equal(drop_image(f, IMG), 0);
    assert_false(fixture_exists(f, IMAGES IMG));
    assert_false(fixture_exists(f, IMAGES "_remove_me_" IMG));
    assert_false(fixture_exists(f, "run/storage/" SD "/" IMG));
    assert_error(f, drop_image(f, IMG), ERR_NO_IMAGE, IMG);
}

static void an_image_with_foreign_files_stays(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    fixture_write(f, IMAGES IMG "/notes.txt", "mine");
    _cleanup_free_ char *before = fixture_list(f);
    assert_error(f, drop_image(f, IMG), ERR_IMAGE_DELETE, "notes.txt");
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

static void an_image_that_cannot_be_read_stays(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    fixture_edit(f, IMG, MID, "FORMAT=COW", "FORMAT=XXX");
    _cleanup_free_ char *before = fixture_list(f);
    assert_error(f, drop_image(f, IMG), ERR_METADATA_VALIDATION, "FORMAT");
    fixture_join(f);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

/* BASE of IMG2 as a template, and an image on it. */
static void make_on_template(struct fixture *f)
{
    struct volume_create spec = fixture_volume(IMG2, BASE, NULL, VOLUME_RAW);
    fixture_create(f, &spec);
    fixture_edit(f, IMG2, BASE, "VOLTYPE=LEAF", "VOLTYPE=SHARED");
    spec = fixture_volume(IMG, LEAF, BASE, VOLUME_COW);
    (void)str_copy(spec.parent_img, UUID_SIZE, IMG2);
    fixture_create(f, &spec);
}

static void a_template_is_part_of_the_chain(void **state)
{
    struct fixture *f = *state;
    struct storage_chain found = { 0 };
    struct uuid_list list = { 0 };
    make_on_template(f);
    assert_int_equal(chain(f, NULL, &found), 0);
    assert_int_equal(found.n, 2);
    assert_string_equal(found.volumes[0].id.vol, BASE);
    assert_int_equal(found.volumes[0].role, VOLUME_SHARED);
    storage_chain_deinit(&found);
    assert_int_equal(
        f->port.ops->domain_volumes(f->port.ctx, SD, NULL, &list, FRESH(f)), 0);
    assert_int_equal(list.n, 2);
    uuid_list_deinit(&list);
}

static void a_template_in_use_stays(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG2, BASE);
    make_on_template(f);
    assert_error(f, drop_image(f, IMG2), ERR_VOLUME_SHARED, IMG);
    assert_error(f, f->port.ops->volume_delete(f->port.ctx, &id, FRESH(f)),
                 ERR_VOLUME_SHARED, BASE);
    assert_error(f,
                 f->port.ops->volume_set_legality(f->port.ctx, &id,
                                                  VOLUME_ILLEGAL, FRESH(f)),
                 ERR_VOLUME_SHARED, "template");
    assert_int_equal(drop_image(f, IMG), 0);
    assert_true(fixture_exists(f, IMAGES IMG2 "/" BASE ".lease"));
    assert_int_equal(drop_image(f, IMG2), 0);
    assert_false(fixture_exists(f, IMAGES IMG2));
}

static void the_scan_mends_what_a_crash_left(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    struct volume_info info;
    fixture_make_chain(f);
    fixture_path(f, path, IMAGES "_remove_me_" IMG2);
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_write(f, IMAGES "_remove_me_" IMG2 "/" SD2, "data");
    fixture_path(f, path, IMAGES SD2);
    assert_int_equal(mkdir(path, 0755), 0); /* an image without volumes */
    fixture_write(f, IMAGES IMG "/" SD2, "data");
    fixture_write(f, IMAGES IMG "/" SD2 ".meta.new", "CAP=");
    fixture_write(f, IMAGES IMG "/" MID ".meta.new", "CAP=");
    fixture_path(f, path, IMAGES IMG "/" BASE ".lease");
    assert_int_equal(unlink(path), 0);
    fixture_edit(f, IMG, LEAF, "VOLTYPE=LEAF", "VOLTYPE=INTERNAL");
    fixture_join(f);
    assert_false(fixture_exists(f, IMAGES "_remove_me_" IMG2));
    assert_false(fixture_exists(f, IMAGES SD2));
    assert_false(fixture_exists(f, IMAGES IMG "/" SD2));
    assert_false(fixture_exists(f, IMAGES IMG "/" SD2 ".meta.new"));
    assert_false(fixture_exists(f, IMAGES IMG "/" MID ".meta.new"));
    assert_true(fixture_exists(f, IMAGES IMG "/" BASE ".lease"));
    fixture_info(f, IMG, LEAF, &info);
    assert_int_equal(info.role, VOLUME_LEAF);
}

static void the_scan_leaves_what_it_does_not_know(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    fixture_make_chain(f);
    fixture_write(f, IMAGES IMG "/" SD2, "data without a record");
    fixture_write(f, IMAGES IMG "/notes.new", "mine");
    fixture_write(f, IMAGES "README", "mine");
    fixture_path(f, path, IMAGES "not-an-image");
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_path(f, path, IMAGES IMG2);
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_write(f, IMAGES IMG2 "/" LEAF, "data without a record");
    _cleanup_free_ char *before = fixture_list(f);
    fixture_join(f);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_with_joined, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chain_is_from_base_to_leaf),
        TEST(the_size_is_the_real_one),
        TEST(broken_chains_are_refused),
        TEST(headers_that_lie_are_refused),
        TEST(links_in_place_of_volumes_are_refused),
        TEST(a_prepared_image_has_its_link),
        TEST(a_wrong_link_is_replaced),
        TEST(illegal_images_are_not_prepared),
        TEST(a_path_is_located_through_links),
        TEST(what_is_no_volume_is_not_located),
        TEST(a_path_in_a_domain_that_was_left_says_so),
        TEST(a_removed_image_leaves_nothing),
        TEST(an_image_with_foreign_files_stays),
        TEST(an_image_that_cannot_be_read_stays),
        TEST(a_template_is_part_of_the_chain),
        TEST(a_template_in_use_stays),
        TEST(the_scan_mends_what_a_crash_left),
        TEST(the_scan_leaves_what_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
