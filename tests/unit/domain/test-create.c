/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making a domain: what is on disk afterwards, what is refused without a trace,
 * what is left of a dead builder.
 */
#include "fixture.h"
#include <dray/format.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cmocka.h>

static int create(struct fixture *f, const struct domain_create *spec)
{
    return f->port.ops->domain_create(f->port.ctx, spec, FRESH(f));
}

static void check_file(const struct fixture *f, const char *name, mode_t mode,
                       off_t size)
{
    char path[PATH_MAX];
    struct stat st;
    fixture_path(f, path, "storage/" SD "/%s", name);
    if (stat(path, &st) < 0)
        fail_msg("%s is missing", path);
    if ((st.st_mode & 07777) != mode)
        fail_msg("%s has mode %o", path, st.st_mode);
    if (size >= 0 && st.st_size != size)
        fail_msg("%s has %lld bytes", path, (long long)st.st_size);
}

static void has_the_layout_of_the_format(void **state)
{
    struct fixture *f = *state;
    enum {
        INDEX_END = MIB + FORMAT_XLEASES_SIZE
    };
    mode_t old = umask(0);
    (void)umask(old);
    check_file(f, "", 0755, -1);
    check_file(f, "dom_md", 0755, -1);
    check_file(f, "dom_md/metadata", 0644, -1);
    check_file(f, "dom_md/ids", 0660, MIB);
    check_file(f, "dom_md/leases", 0660, 2 * MIB);
    check_file(f, "dom_md/xleases", 0660, INDEX_END);
    check_file(f, "dom_md/inbox", 0660, FORMAT_MAILBOX_SIZE);
    check_file(f, "dom_md/outbox", 0660, FORMAT_MAILBOX_SIZE);
    check_file(f, "images", 0755, -1);
    assert_false(fixture_exists(f, "storage/" SD "/master"));
    assert_false(fixture_exists(f, "storage/.drayd-create.lock"));
    assert_false(fixture_exists(f, "storage/.drayd-create-" SD));
}

static void writes_the_metadata_that_vdsm_writes(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *text =
        fixture_read(f, "storage/" SD "/dom_md/metadata");
    char expected[4096];
    (void)str_format(expected, sizeof(expected),
                     "ALIGNMENT=1048576\nBLOCK_SIZE=512\nCLASS=Data\n"
                     "DESCRIPTION=fast\nIOOPTIMEOUTSEC=10\nLEASERETRIES=3\n"
                     "LEASETIMESEC=60\nLOCKPOLICY=\n"
                     "LOCKRENEWALINTERVALSEC=5\nPOOL_UUID=\n"
                     "REMOTE_PATH=%s\nROLE=Regular\nSDUUID=" SD "\n"
                     "TYPE=POSIXFS\nVERSION=5\n_SHA_CKSUM=",
                     f->path);
    assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
    assert_int_equal(strlen(text), strlen(expected) + 41);
}

static void is_known_but_not_joined(void **state)
{
    struct fixture *f = *state;
    struct domain_info *infos = NULL;
    size_t n = 0;
    assert_int_equal(f->port.ops->domain_list(f->port.ctx, &infos, &n, NULL),
                     0);
    assert_int_equal(n, 1);
    assert_string_equal(infos[0].name, "fast");
    assert_string_equal(infos[0].path, f->path);
    assert_int_equal(infos[0].status, DOMAIN_LEFT);
    assert_int_equal(fake_leases_joined(f->leases), 0);
    free(infos);
}

static void making_it_again_is_success(void **state)
{
    struct fixture *f = *state;
    const struct domain_create spec = fixture_spec(f);
    _cleanup_free_ char *before = fixture_list(f);
    assert_int_equal(create(f, &spec), 0);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

static void another_name_or_domain_in_its_place_is_refused(void **state)
{
    struct fixture *f = *state;
    struct domain_create spec = fixture_spec(f);
    _cleanup_free_ char *before = fixture_list(f);
    (void)str_copy(spec.name, sizeof(spec.name), "slow");
    assert_error(f, create(f, &spec), ERR_DOMAIN_CREATE, "fast");
    spec = fixture_spec(f);
    (void)str_copy(spec.sd, sizeof(spec.sd), SD2);
    assert_error(f, create(f, &spec), ERR_DOMAIN_CREATE, SD);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

static void wrong_input_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct domain_create good = fixture_spec(f);
    struct domain_create bad[11];
    const enum err_code codes[ARRAY_SIZE(bad)] = {
        ERR_VALUE,       ERR_VALUE,        ERR_DOMAIN_TYPE,  ERR_DOMAIN_TYPE,
        ERR_DOMAIN_TYPE, ERR_DOMAIN_CLASS, ERR_VALUE,        ERR_VALUE,
        ERR_VALUE,       ERR_VALUE,        ERR_DOMAIN_CREATE
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        bad[i] = good;
    bad[0].name[0] = '\0';
    (void)str_copy(bad[1].name, sizeof(bad[1].name), "a\nROLE=Master");
    bad[2].type = DOMAIN_TYPE_LOCALFS;
    bad[3].type = 0;
    bad[4].type = 99;
    bad[5].class_name = "Iso";
    bad[6].block_size = 4096;
    bad[7].max_hosts = 0;
    (void)str_copy(bad[8].path, PATH_MAX, "var/tmp");
    (void)str_format(bad[9].path, PATH_MAX, "%s/../storage", f->path);
    (void)str_format(bad[10].path, PATH_MAX, "%s/none", f->path);
    _cleanup_free_ char *before = fixture_list(f);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_error(f, create(f, &bad[i]), codes[i], "");
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
    assert_false(fixture_exists(f, "state/domains.json"));
}

static void a_file_in_its_place_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct domain_create spec = fixture_spec(f);
    fixture_write(f, "storage/" SD, "mine");
    assert_error(f, create(f, &spec), ERR_DOMAIN_CREATE, "no domain");
    char *text = fixture_read(f, "storage/" SD);
    assert_string_equal(text, "mine");
    free(text);
}

static void make_leftover(const struct fixture *f)
{
    char path[PATH_MAX];
    fixture_path(f, path, "storage/.drayd-create-" SD2);
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_path(f, path, "storage/.drayd-create-" SD2 "/dom_md");
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_write(f, "storage/.drayd-create-" SD2 "/dom_md/ids", "half");
}

static void what_a_dead_builder_left_is_removed(void **state)
{
    struct fixture *f = *state;
    const struct domain_create spec = fixture_spec(f);
    make_leftover(f);
    fixture_write(f, "storage/.drayd-create.lock", "");
    assert_int_equal(create(f, &spec), 0);
    assert_false(fixture_exists(f, "storage/.drayd-create-" SD2));
    assert_false(fixture_exists(f, "storage/.drayd-create.lock"));
}

static void a_living_builder_is_left_alone(void **state)
{
    struct fixture *f = *state;
    const struct domain_create spec = fixture_spec(f);
    char path[PATH_MAX];
    make_leftover(f);
    fixture_path(f, path, "storage/.drayd-create.lock");
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_error(f, create(f, &spec), ERR_DOMAIN_CREATE, "right now");
    assert_true(fixture_exists(f, "storage/.drayd-create-" SD2 "/dom_md/ids"));
    assert_false(fixture_exists(f, "storage/" SD));
}

static void a_link_as_path_is_resolved(void **state)
{
    struct fixture *f = *state;
    struct domain_create spec = fixture_spec(f);
    char link[PATH_MAX];
    fixture_path(f, link, "link");
    assert_int_equal(symlink(f->path, link), 0);
    (void)str_copy(spec.path, sizeof(spec.path), link);
    assert_int_equal(create(f, &spec), 0);
    struct domain_info info;
    assert_int_equal(f->port.ops->domain_info(f->port.ctx, SD, &info, NULL), 0);
    assert_string_equal(info.path, f->path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(has_the_layout_of_the_format,
                                        fixture_with_domain, fixture_free),
        cmocka_unit_test_setup_teardown(writes_the_metadata_that_vdsm_writes,
                                        fixture_with_domain, fixture_free),
        cmocka_unit_test_setup_teardown(is_known_but_not_joined,
                                        fixture_with_domain, fixture_free),
        cmocka_unit_test_setup_teardown(making_it_again_is_success,
                                        fixture_with_domain, fixture_free),
        cmocka_unit_test_setup_teardown(
            another_name_or_domain_in_its_place_is_refused, fixture_with_domain,
            fixture_free),
        cmocka_unit_test_setup_teardown(wrong_input_leaves_no_trace,
                                        fixture_new, fixture_free),
        cmocka_unit_test_setup_teardown(a_file_in_its_place_is_refused,
                                        fixture_new, fixture_free),
        cmocka_unit_test_setup_teardown(what_a_dead_builder_left_is_removed,
                                        fixture_new, fixture_free),
        cmocka_unit_test_setup_teardown(a_living_builder_is_left_alone,
                                        fixture_new, fixture_free),
        cmocka_unit_test_setup_teardown(a_link_as_path_is_resolved, fixture_new,
                                        fixture_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
