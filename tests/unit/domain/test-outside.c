/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Places outside of domains: files looked at, made, removed, and all that is
 * not ours left alone. Devices and servers are in tests/integration.
 */
#include "fixture.h"
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cmocka.h>

static int look(struct fixture *f, const char *place, struct outside_info *ret)
{
    return f->port.ops->outside_info(f->port.ctx, place, VOLUME_RAW, ret,
                                     FRESH(f));
}

static int make(struct fixture *f, const char *place, enum volume_format format)
{
    return f->port.ops->outside_create(f->port.ctx, place, format, MIB,
                                       FRESH(f));
}

static int drop(struct fixture *f, const char *place)
{
    return f->port.ops->outside_remove(f->port.ctx, place, FRESH(f));
}

static int keep(struct fixture *f, const char *place)
{
    return f->port.ops->outside_keep(f->port.ctx, place, FRESH(f));
}

/* DIR/disk */
static void disk_path(const struct fixture *f, char ret_path[PATH_MAX])
{
    fixture_path(f, ret_path, "disk");
}

static void a_raw_file_is_made(void **state)
{
    struct fixture *f = *state;
    struct outside_info info;
    struct stat st;
    char path[PATH_MAX];
    disk_path(f, path);
    assert_int_equal(look(f, path, &info), 0);
    assert_false(info.exists);
    assert_true(info.free_bytes > 0 && info.free_bytes < UINT64_MAX);
    assert_int_equal(make(f, path, VOLUME_RAW), 0);
    assert_int_equal(look(f, path, &info), 0);
    assert_true(info.exists);
    assert_false(info.block || info.network);
    assert_int_equal(info.bytes, MIB);
    assert_true(info.true_bytes < MIB);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(make(f, path, VOLUME_RAW), 0); /* repeated */
    assert_false(fixture_exists(f, ".disk.drayd"));
    assert_int_equal(drop(f, path), 0);
    assert_false(fixture_exists(f, "disk"));
    assert_int_equal(drop(f, path), 0);
}

static void a_qcow2_file_is_made(void **state)
{
    struct fixture *f = *state;
    struct outside_info info;
    char path[PATH_MAX];
    disk_path(f, path);
    assert_int_equal(make(f, path, VOLUME_COW), 0);
    assert_int_equal(look(f, path, &info), 0);
    assert_in_range(info.bytes, 100 * 1024, MIB);
    assert_int_equal(make(f, path, VOLUME_COW), 0);
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VOLUME_EXISTS, path);
    assert_int_equal(drop(f, path), 0);
    assert_false(fixture_exists(f, "disk"));
}

static void somebody_elses_file_stays(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    disk_path(f, path);
    fixture_write(f, "disk", "precious");
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VOLUME_EXISTS, path);
    assert_error(f, make(f, path, VOLUME_COW), ERR_VOLUME_EXISTS, path);
    assert_int_equal(drop(f, path), 0);
    _cleanup_free_ char *text = fixture_read(f, "disk");
    assert_string_equal(text, "precious");
    /* Put there after ours had been made. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(make(f, path, VOLUME_RAW), 0);
    fixture_write(f, "other", "precious");
    char other[PATH_MAX];
    fixture_path(f, other, "other");
    assert_int_equal(rename(other, path), 0);
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VOLUME_EXISTS, path);
    assert_int_equal(drop(f, path), 0);
    _cleanup_free_ char *again = fixture_read(f, "disk");
    assert_string_equal(again, "precious");
}

/* With the size that is wanted, even. */
static void a_file_that_was_written_is_not_made_again(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    disk_path(f, path);
    assert_int_equal(make(f, path, VOLUME_RAW), 0);
    struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };
    (void)nanosleep(&moment, NULL); /* the file system's clock moves on */
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "guest", 5, 4096), 5);
    (void)close(fd);
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VOLUME_EXISTS, path);
    assert_int_equal(drop(f, path), 0); /* a cancelled export */
    assert_false(fixture_exists(f, "disk"));
}

static void what_was_kept_stays(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    disk_path(f, path);
    assert_int_equal(make(f, path, VOLUME_RAW), 0);
    assert_int_equal(keep(f, path), 0);
    assert_int_equal(keep(f, path), 0);
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VOLUME_EXISTS, path);
    assert_int_equal(drop(f, path), 0);
    assert_true(fixture_exists(f, "disk"));
}

static void what_is_ours_is_known_after_a_restart(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    disk_path(f, path);
    assert_int_equal(make(f, path, VOLUME_RAW), 0);
    fixture_restart(f);
    assert_int_equal(make(f, path, VOLUME_RAW), 0);
    assert_int_equal(drop(f, path), 0);
    assert_false(fixture_exists(f, "disk"));
    fixture_write(f, "state/outside.json", "{\"made\": 7}");
    assert_error(f, make(f, path, VOLUME_RAW), ERR_METADATA_INVALID,
                 "outside.json");
    assert_false(fixture_exists(f, "disk"));
    assert_false(fixture_exists(f, ".disk.drayd"));
}

static void an_empty_file_is_filled(void **state)
{
    struct fixture *f = *state;
    struct outside_info info;
    struct stat st;
    char path[PATH_MAX];
    disk_path(f, path);
    for (int cow = 0; cow < 2; cow++) {
        fixture_write(f, "disk", "");
        assert_int_equal(chmod(path, 0640), 0);
        assert_int_equal(make(f, path, cow ? VOLUME_COW : VOLUME_RAW), 0);
        assert_int_equal(look(f, path, &info), 0);
        assert_true(info.bytes > 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(drop(f, path), 0);
    }
}

static void a_disk_in_use_is_not_removed(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    disk_path(f, path);
    assert_int_equal(make(f, path, VOLUME_RAW), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 201, .l_len = 1
    };
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_error(f, drop(f, path), ERR_VOLUME_BUSY, "disk");
    (void)close(fd);
    assert_int_equal(drop(f, path), 0);
}

/* .NAME.drayd of a dead maker goes, that of a living one does not. */
static void only_dead_makers_are_cleaned_up_after(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    disk_path(f, path);
    fixture_path(f, temporary, ".disk.drayd");
    fixture_write(f, ".disk.drayd", "half");
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VOLUME_EXISTS, "right now");
    assert_int_equal(drop(f, path), 0);
    assert_true(fixture_exists(f, ".disk.drayd"));
    (void)close(fd);
    assert_int_equal(drop(f, path), 0);
    assert_false(fixture_exists(f, ".disk.drayd"));
    fixture_write(f, ".disk.drayd", "half");
    assert_int_equal(make(f, path, VOLUME_RAW), 0);
    assert_false(fixture_exists(f, ".disk.drayd"));
}

static void links_are_not_followed(void **state)
{
    struct fixture *f = *state;
    struct outside_info info;
    char path[PATH_MAX];
    char target[PATH_MAX];
    disk_path(f, path);
    fixture_path(f, target, "target");
    fixture_write(f, "target", "");
    assert_int_equal(symlink(target, path), 0);
    assert_error(f, look(f, path, &info), ERR_VALUE, "link");
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VALUE, "link");
    assert_error(f, drop(f, path), ERR_VALUE, "link");
    assert_int_equal(unlink(target), 0);
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VALUE, "link");
    assert_false(fixture_exists(f, "target"));
}

struct refusal {
    const char *place;
    const char *word;
};

static void wrong_places_are_refused(void **state)
{
    static const struct refusal cases[] = {
        {"disk",              "absolute" },
        { "",                 "absolute" },
        { "/a/../disk",       "absolute" },
        { "/a/..",            "absolute" },
        { "/a\nb",            "absolute" },
        { "/tmp/",            "no file"  },
        { "/tmp/.",           "no file"  },
        { "/tmp",             "directory"},
        { "/dev/null",        "something"},
        { "file:///tmp/disk", "file"     },
        { "json:{}",          "json"     },
        { "fat:///tmp",       "fat"      },
        { "nbdx://localhost", "nbdx"     },
    };
    struct fixture *f = *state;
    struct outside_info info;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_error(f, look(f, cases[i].place, &info), ERR_VALUE,
                     cases[i].word);
        assert_error(f, make(f, cases[i].place, VOLUME_RAW), ERR_VALUE,
                     cases[i].word);
        assert_error(f, drop(f, cases[i].place), ERR_VALUE, cases[i].word);
    }
    char path[PATH_MAX];
    fixture_path(f, path, "nowhere/disk");
    assert_error(f, look(f, path, &info), ERR_VALUE, "directory");
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VOLUME_CREATE, "directory");
    assert_int_equal(drop(f, path), 0);
    disk_path(f, path);
    assert_error(f, make(f, path, (enum volume_format)9), ERR_VOLUME_FORMAT,
                 path);
    assert_error(
        f,
        f->port.ops->outside_create(f->port.ctx, path, VOLUME_RAW, 0, FRESH(f)),
        ERR_VALUE, path);
    assert_false(fixture_exists(f, "disk"));
}

static void a_domain_is_named_by_its_name(void **state)
{
    struct fixture *f = *state;
    struct outside_info info;
    char path[PATH_MAX];
    char by[PATH_MAX];
    char link[PATH_MAX];
    fixture_make_chain(f);
    _cleanup_free_ char *before = fixture_list(f);
    fixture_path(f, path, "storage/" SD "/images/" IMG "/" BASE);
    assert_error(f, look(f, path, &info), ERR_VALUE, SD);
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VALUE, SD);
    assert_error(f, drop(f, path), ERR_VALUE, SD);
    fixture_path(f, path, "storage/" SD);
    assert_error(f, look(f, path, &info), ERR_VALUE, SD);
    /* Through a link on the way. */
    fixture_path(f, by, "storage/" SD "/images");
    fixture_path(f, link, "by");
    assert_int_equal(symlink(by, link), 0);
    fixture_path(f, path, "by/disk");
    assert_error(f, make(f, path, VOLUME_RAW), ERR_VALUE, SD);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
    fixture_path(f, path, "storage/" SD "-not");
    assert_int_equal(look(f, path, &info), 0);
}

static void a_server_gets_no_qcow2(void **state)
{
    struct fixture *f = *state;
    static const char uri[] = "nbd+unix:///x?socket=/nowhere/sock";
    struct outside_info info;
    assert_int_equal(make(f, uri, VOLUME_RAW), 0);
    assert_error(f, make(f, uri, VOLUME_COW), ERR_UNSUPPORTED, uri);
    assert_int_equal(keep(f, uri), 0);
    assert_int_equal(drop(f, uri), 0);
    assert_error(f, look(f, uri, &info), ERR_STORAGE, uri);
}

/* --- overlays --- */

static int lay_over(struct fixture *f, const char *place, const char *disk)
{
    return f->port.ops->outside_overlay(f->port.ctx, place, disk, VOLUME_RAW,
                                        MIB, FRESH(f));
}

static int commit(struct fixture *f, const char *place)
{
    return f->port.ops->outside_commit(f->port.ctx, place, FRESH(f));
}

static void write_into(const char *path, const char *command)
{
    const char *const argv[] = {
        "/usr/bin/qemu-io", "-f", "qcow2", "-c", command, path, NULL
    };
    struct exec_result result = { 0 };
    struct err err = ERR_INIT;
    if (exec_check(argv, NULL, &result, &err) < 0)
        fail_msg("%s", err.message);
    exec_result_deinit(&result);
}

static void an_overlay_goes_into_the_disk_below(void **state)
{
    struct fixture *f = *state;
    char disk[PATH_MAX], over[PATH_MAX];
    disk_path(f, disk);
    fixture_path(f, over, "over, \"1\"");
    assert_int_equal(make(f, disk, VOLUME_RAW), 0);
    assert_int_equal(lay_over(f, over, disk), 0);
    write_into(over, "write -P 7 65536 4096");
    assert_int_equal(commit(f, over), 0);
    _cleanup_free_ char *text = fixture_read(f, "disk");
    assert_int_equal(text[65535], 0);
    assert_int_equal(text[65536], 7);
    assert_int_equal(text[65536 + 4095], 7);
    assert_int_equal(commit(f, over), 0);
    assert_int_equal(drop(f, over), 0);
    assert_false(fixture_exists(f, "over, \"1\""));
    assert_error(f, commit(f, over), ERR_NO_VOLUME, over);
}

/* What a mirror left in it would shine through the next one. */
static void an_overlay_is_made_anew(void **state)
{
    struct fixture *f = *state;
    char disk[PATH_MAX], over[PATH_MAX];
    disk_path(f, disk);
    fixture_path(f, over, "over");
    assert_int_equal(make(f, disk, VOLUME_RAW), 0);
    assert_int_equal(lay_over(f, over, disk), 0);
    write_into(over, "write -P 7 65536 4096");
    assert_int_equal(lay_over(f, over, disk), 0);
    assert_int_equal(commit(f, over), 0);
    _cleanup_free_ char *text = fixture_read(f, "disk");
    assert_int_equal(text[65536], 0);
    fixture_write(f, "precious", "precious");
    fixture_path(f, over, "precious");
    assert_error(f, lay_over(f, over, disk), ERR_VOLUME_EXISTS, over);
    _cleanup_free_ char *still = fixture_read(f, "precious");
    assert_string_equal(still, "precious");
}

static void an_overlay_in_use_stays(void **state)
{
    struct fixture *f = *state;
    char disk[PATH_MAX], over[PATH_MAX];
    disk_path(f, disk);
    fixture_path(f, over, "over");
    assert_int_equal(make(f, disk, VOLUME_RAW), 0);
    assert_int_equal(lay_over(f, over, disk), 0);
    _cleanup_close_ int fd = open(over, O_RDWR | O_CLOEXEC);
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 201, .l_len = 1
    };
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_error(f, lay_over(f, over, disk), ERR_VOLUME_BUSY, over);
    assert_error(f, commit(f, over), ERR_VOLUME_BUSY, over);
    assert_true(fixture_exists(f, "over"));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fixture_with_joined, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_raw_file_is_made),
        TEST(a_qcow2_file_is_made),
        TEST(somebody_elses_file_stays),
        TEST(a_file_that_was_written_is_not_made_again),
        TEST(what_was_kept_stays),
        TEST(what_is_ours_is_known_after_a_restart),
        TEST(an_empty_file_is_filled),
        TEST(a_disk_in_use_is_not_removed),
        TEST(only_dead_makers_are_cleaned_up_after),
        TEST(links_are_not_followed),
        TEST(wrong_places_are_refused),
        TEST(a_domain_is_named_by_its_name),
        TEST(a_server_gets_no_qcow2),
        TEST(an_overlay_goes_into_the_disk_below),
        TEST(an_overlay_is_made_anew),
        TEST(an_overlay_in_use_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
