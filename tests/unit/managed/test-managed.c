/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of managed volumes on a directory of its own; of the drivers the
 * one that needs no other program.
 */
#include <dray/managed.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* last: needs those above */
#include <cmocka.h>

#define VOL   "11111111-0000-4000-8000-000000000001"
#define OTHER "11111111-0000-4000-8000-000000000002"

struct fixture {
    char dir[64];
    char disk[128];
    struct managed *managed;
};

static void open_table(struct fixture *f)
{
    const struct managed_options options = { .state_dir = f->dir,
                                             .qemu_img = "/none/qemu-img",
                                             .iscsiadm = "/none/iscsiadm" };
    struct err err = ERR_INIT;

    managed_free(f->managed);
    f->managed = NULL;
    assert_int_equal(managed_new(&options, &f->managed, &err), 0);
}

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    (void)str_copy(f.dir, sizeof(f.dir), "/tmp/drayd-test-managed-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    (void)str_format(f.disk, sizeof(f.disk), "%s/disk", f.dir);
    int fd = open(f.disk, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    open_table(&f);
    *state = &f;
    return 0;
}

static void record_path(const struct fixture *f, const char *vol, char *path,
                        size_t size)
{
    (void)str_format(path, size, "%s/managed/" UUID_BLANK "_%s.json", f->dir,
                     vol);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[256];

    managed_free(f->managed);
    record_path(f, VOL, path, sizeof(path));
    (void)unlink(path);
    record_path(f, OTHER, path, sizeof(path));
    (void)unlink(path);
    (void)unlink(f->disk);
    (void)str_format(path, sizeof(path), "%s/managed", f->dir);
    (void)rmdir(path);
    return rmdir(f->dir);
}

static struct managed_connection local(const char *place)
{
    struct managed_connection connection = { .driver = MANAGED_LOCAL };

    (void)str_copy(connection.place, sizeof(connection.place), place);
    return connection;
}

static int attach(struct fixture *f, const char *vol, const char *place,
                  struct err *err)
{
    const struct managed_connection connection = local(place);
    struct managed_volume volume;

    return managed_attach(f->managed, UUID_BLANK, vol, &connection, &volume,
                          err);
}

static int check_free(void *arg, const struct managed_volume *volume,
                      struct err *err)
{
    (void)arg;
    (void)volume;
    (void)err;
    return 0;
}

static int check_used(void *arg, const struct managed_volume *volume,
                      struct err *err)
{
    (void)arg;
    return err_set_code(err, ERR_VOLUME_BUSY, "%s is used", volume->vol);
}

static int detach(struct fixture *f, managed_check_free check, struct err *err)
{
    return managed_detach(f->managed, UUID_BLANK, VOL, check, NULL, err);
}

static size_t count(struct fixture *f)
{
    _cleanup_free_ struct managed_volume *volumes = NULL;
    struct err err = ERR_INIT;
    size_t n = 0;

    assert_int_equal(managed_list(f->managed, &volumes, &n, &err), 0);
    return n;
}

static void is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct managed_volume volume;
    struct err err = ERR_INIT;

    assert_int_equal(attach(f, VOL, f->disk, &err), 0);
    open_table(f);
    assert_int_equal(managed_find(f->managed, UUID_BLANK, VOL, &volume, &err),
                     0);
    assert_string_equal(volume.path, f->disk);
    assert_string_equal(volume.connection.place, f->disk);
    assert_int_equal(volume.state, MANAGED_ATTACHED);
    assert_true(managed_exists(&volume));
    assert_int_equal(detach(f, check_free, &err), 0);
    assert_int_equal(detach(f, check_used, &err), 0);
    open_table(f);
    assert_int_equal(count(f), 0);
}

static void a_volume_has_one_connection(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;

    assert_int_equal(attach(f, VOL, f->disk, &err), 0);
    assert_true(attach(f, VOL, f->disk, &err) < 0);
    assert_int_equal(err.code, ERR_MANAGED_ATTACHED);
    err_clear(&err);
    assert_true(attach(f, VOL, "/dev/null", &err) < 0);
    assert_int_equal(err.code, ERR_MANAGED_CONNECTION);
    assert_int_equal(count(f), 1);
}

static void what_is_used_stays_attached(void **state)
{
    struct fixture *f = *state;
    struct managed_volume volume;
    struct err err = ERR_INIT;

    assert_int_equal(attach(f, VOL, f->disk, &err), 0);
    assert_true(detach(f, check_used, &err) < 0);
    assert_int_equal(err.code, ERR_VOLUME_BUSY);
    err_clear(&err);
    assert_int_equal(managed_find(f->managed, UUID_BLANK, VOL, &volume, &err),
                     0);
}

static void what_went_away_can_be_attached_again(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    char away[160];

    (void)str_format(away, sizeof(away), "%s.away", f->disk);
    assert_int_equal(attach(f, VOL, f->disk, &err), 0);
    assert_int_equal(rename(f->disk, away), 0);
    assert_true(attach(f, VOL, f->disk, &err) < 0); /* it is not there */
    assert_int_equal(err.code, ERR_MANAGED_DEVICE);
    assert_int_equal(rename(away, f->disk), 0);
    err_clear(&err);
    assert_int_equal(attach(f, VOL, f->disk, &err), 0);
}

static void a_failure_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct managed_connection connection = { .driver = MANAGED_ISCSI };
    struct managed_volume volume;
    struct err err = ERR_INIT;

    assert_true(attach(f, VOL, "/dev/null", &err) < 0);
    assert_int_equal(err.code, ERR_MANAGED_DEVICE);
    assert_int_equal(count(f), 0);
    err_clear(&err);
    assert_true(managed_attach(f->managed, UUID_BLANK, VOL, &connection,
                               &volume, &err) < 0);
    assert_int_equal(err.code, ERR_MANAGED_NONE);
    assert_int_equal(count(f), 0);
}

static void rewrite(const struct fixture *f, const char *from, const char *to)
{
    char path[256], text[4096] = "", changed[4096];
    record_path(f, VOL, path, sizeof(path));
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    char *at = strstr(text, from);
    assert_non_null(at);
    (void)str_format(changed, sizeof(changed), "%.*s%s%s", (int)(at - text),
                     text, to, at + strlen(from));
    rewind(file);
    assert_int_equal(ftruncate(fileno(file), 0), 0);
    assert_true(fputs(changed, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void what_was_cut_off_is_undone(void **state)
{
    struct fixture *f = *state;
    struct managed_volume volume;
    struct err err = ERR_INIT;

    assert_int_equal(attach(f, VOL, f->disk, &err), 0);
    assert_int_equal(attach(f, OTHER, f->disk, &err), 0);
    rewrite(f, "\"attached\"", "\"attaching\"");
    open_table(f);
    assert_true(managed_find(f->managed, UUID_BLANK, VOL, &volume, &err) < 0);
    assert_int_equal(count(f), 2);
    assert_int_equal(managed_retry(f->managed, check_used, NULL), 1);
    assert_int_equal(count(f), 2);
    assert_int_equal(managed_retry(f->managed, check_free, NULL), 0);
    assert_int_equal(count(f), 1);
    err_clear(&err);
    assert_int_equal(managed_find(f->managed, UUID_BLANK, OTHER, &volume, &err),
                     0);
}

static void a_damaged_record_is_left_alone(void **state)
{
    static const char *const damages[][2] = {
        {"\"local\"",     "\"odd\""    },
        { "\"odd\"",      "7"          },
        { "\"attached\"", "\"perhaps\""},
        { VOL,            OTHER        },
        { "{",            "[{"         },
    };
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    char path[256];

    assert_int_equal(attach(f, VOL, f->disk, &err), 0);
    record_path(f, VOL, path, sizeof(path));
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        rewrite(f, damages[i][0], damages[i][1]);
        open_table(f);
        assert_int_equal(count(f), 0);
        assert_int_equal(access(path, F_OK), 0);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_there_after_a_restart),
        TEST(a_volume_has_one_connection),
        TEST(what_is_used_stays_attached),
        TEST(what_went_away_can_be_attached_again),
        TEST(a_failure_leaves_nothing),
        TEST(what_was_cut_off_is_undone),
        TEST(a_damaged_record_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
