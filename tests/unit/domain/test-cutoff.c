/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every change is cut off everywhere: a child process does it and dies at its
 * n-th call that changes a file, n = 1, 2, ... until it gets through. After
 * each death the domain is joined again, must hold nothing half-made, and the
 * same change must then succeed. The same once more with calls that fail.
 */
#include "cut.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

/* --- the changes; what is done already is done --- */

static int make(struct fixture *f, const char *img, const char *vol,
                const char *parent, enum volume_allocation allocation,
                struct err *err)
{
    struct volume_create spec =
        fixture_volume(img, vol, parent, parent ? VOLUME_COW : VOLUME_RAW);
    spec.allocation = allocation;
    int rc = f->port.ops->volume_create(f->port.ctx, &spec, err);
    return rc < 0 && err->code == ERR_VOLUME_EXISTS ? 0 : rc;
}

static int make_base(struct fixture *f, struct err *err)
{
    return make(f, IMG, BASE, NULL, VOLUME_SPARSE, err);
}

static int make_thick(struct fixture *f, struct err *err)
{
    return make(f, IMG, BASE, NULL, VOLUME_PREALLOCATED, err);
}

static int make_mid(struct fixture *f, struct err *err)
{
    return make(f, IMG, MID, BASE, VOLUME_SPARSE, err);
}

static int make_mid_and_leaf(struct fixture *f, struct err *err)
{
    int rc = make_mid(f, err);
    return rc < 0 ? rc : make(f, IMG, LEAF, MID, VOLUME_SPARSE, err);
}

static int make_chain(struct fixture *f, struct err *err)
{
    int rc = make_base(f, err);
    return rc < 0 ? rc : make_mid_and_leaf(f, err);
}

static int drop(struct fixture *f, const char *vol, struct err *err)
{
    const struct volume_id id = fixture_id(IMG, vol);
    int rc = f->port.ops->volume_delete(f->port.ctx, &id, err);
    if (rc < 0 && (err->code == ERR_NO_VOLUME || err->code == ERR_NO_IMAGE)) {
        err_clear(err);
        return 0;
    }
    return rc;
}

static int drop_base(struct fixture *f, struct err *err)
{
    return drop(f, BASE, err);
}

static int drop_mid(struct fixture *f, struct err *err)
{
    return drop(f, MID, err);
}

static int drop_image_of(struct fixture *f, const char *img, struct err *err)
{
    int rc = f->port.ops->image_delete(f->port.ctx, SD, img, err);
    if (rc < 0 && err->code == ERR_NO_IMAGE) {
        err_clear(err);
        return 0;
    }
    return rc;
}

static int drop_image(struct fixture *f, struct err *err)
{
    return drop_image_of(f, IMG, err);
}

static int set_legality(struct fixture *f, enum volume_legality legality,
                        struct err *err)
{
    const struct volume_id id = fixture_id(IMG, BASE);
    return f->port.ops->volume_set_legality(f->port.ctx, &id, legality, err);
}

static int make_illegal(struct fixture *f, struct err *err)
{
    return set_legality(f, VOLUME_ILLEGAL, err);
}

static int make_legal(struct fixture *f, struct err *err)
{
    return set_legality(f, VOLUME_LEGAL, err);
}

/* --- the tests --- */

static void making_an_image(void **state)
{
    cut_everywhere(*state, make_base, drop_base, 20);
}

static void making_a_preallocated_image(void **state)
{
    cut_everywhere(*state, make_thick, drop_base, 20);
}

static void making_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    assert_int_equal(make_base(f, &err), 0);
    cut_everywhere(f, make_mid, drop_mid, 20);
}

static void removing_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    assert_int_equal(make_base(f, &err), 0);
    assert_int_equal(make_mid(f, &err), 0);
    cut_everywhere(f, drop_mid, make_mid, 8);
}

static void removing_the_last_volume(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    assert_int_equal(make_base(f, &err), 0);
    cut_everywhere(f, drop_base, make_base, 8);
}

static void removing_an_image(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    assert_int_equal(make_chain(f, &err), 0);
    cut_everywhere(f, drop_image, make_chain, 10);
}

static void changing_legality(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    assert_int_equal(make_base(f, &err), 0);
    cut_everywhere(f, make_illegal, make_legal, 4);
}

static void calls_that_fail(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    fail_everywhere(f, make_base, drop_base);
    fail_everywhere(f, make_mid, drop_mid);
    fail_everywhere(f, drop_mid, make_mid);
    assert_int_equal(make_mid(f, &err), 0);
    fail_everywhere(f, drop_image, make_chain);
    assert_int_equal(make_base(f, &err), 0);
    fail_everywhere(f, make_illegal, make_legal);
}

/* A template: BASE of IMG2, and an image on it. */

static int make_on_template(struct fixture *f, struct err *err)
{
    struct volume_create spec = fixture_volume(IMG, LEAF, BASE, VOLUME_COW);
    (void)str_copy(spec.parent_img, UUID_SIZE, IMG2);
    int rc = f->port.ops->volume_create(f->port.ctx, &spec, err);
    return rc < 0 && err->code == ERR_VOLUME_EXISTS ? 0 : rc;
}

static void make_template(struct fixture *f)
{
    static const char name[] = "storage/" SD "/images/" IMG2 "/" BASE ".meta";
    const struct volume_create spec =
        fixture_volume(IMG2, BASE, NULL, VOLUME_RAW);
    fixture_create(f, &spec);
    _cleanup_free_ char *text = fixture_read(f, name);
    char changed[1024];
    char *role = strstr(text, "VOLTYPE=LEAF");
    assert_non_null(role);
    *role = '\0';
    (void)str_format(changed, sizeof(changed), "%sVOLTYPE=SHARED\nEOF\n", text);
    fixture_write(f, name, changed);
}

static int template_users(const struct fixture *f)
{
    char path[PATH_MAX];
    struct stat st;
    fixture_path(f, path, "storage/" SD "/images/" IMG2 "/" BASE ".meta");
    assert_int_equal(stat(path, &st), 0);
    return (int)st.st_nlink;
}

static int drop_on_template(struct fixture *f, struct err *err)
{
    int rc = drop(f, LEAF, err);
    if (rc == 0)
        assert_int_equal(template_users(f), 1);
    return rc;
}

/* The records of the chain differ here: its base is the template's. */
static void check_on_template(struct fixture *f, bool there)
{
    fixture_restart(f);
    fixture_join(f);
    assert_int_equal(template_users(f), there ? 2 : 1);
    assert_int_equal(fixture_exists(f, "storage/" SD "/images/" IMG), there);
    check_image_files(f, IMG2);
    if (there)
        check_image_files(f, IMG);
}

static void making_and_removing_on_a_template(void **state)
{
    struct fixture *f = *state;
    int outcome = CUT;
    make_template(f);
    for (long n = 1; outcome == CUT; n++) {
        outcome = run_cut(f, make_on_template, n);
        assert_int_not_equal(outcome, FAILED);
        fixture_restart(f);
        fixture_join(f);
        check_on_template(f, fixture_exists(f, "storage/" SD "/images/" IMG));
        succeed(f, make_on_template);
        check_on_template(f, true);
        if (outcome == CUT)
            succeed(f, drop_on_template);
    }
    outcome = CUT;
    for (long n = 1; outcome == CUT; n++) {
        outcome = run_cut(f, drop_on_template, n);
        assert_int_not_equal(outcome, FAILED);
        fixture_restart(f);
        fixture_join(f);
        check_on_template(f, fixture_exists(f, "storage/" SD "/images/" IMG));
        succeed(f, drop_on_template);
        check_on_template(f, false);
        if (outcome == CUT)
            succeed(f, make_on_template);
    }
}

/* Domains have no way back: each round has a directory of its own. */

static long round_n;

static int make_domain(struct fixture *f, struct err *err)
{
    struct domain_create spec = fixture_spec(f);
    return f->port.ops->domain_create(f->port.ctx, &spec, err);
}

static size_t count_entries(const struct fixture *f)
{
    size_t n = 0;
    DIR *dir = opendir(f->path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        n += !str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..");
    (void)closedir(dir);
    return n;
}

static void making_a_domain(void **state)
{
    struct fixture *f = *state;
    int outcome = CUT;
    for (round_n = 1; outcome == CUT; round_n++) {
        fixture_path(f, f->path, "storage-%ld", round_n);
        assert_int_equal(mkdir(f->path, 0755), 0);
        outcome = run_cut(f, make_domain, round_n);
        assert_int_not_equal(outcome, FAILED);
        char done[64];
        char there[64];
        (void)str_format(there, sizeof(there), "storage-%ld/" SD, round_n);
        (void)str_format(done, sizeof(done),
                         "storage-%ld/" SD "/dom_md/metadata", round_n);
        assert_int_equal(fixture_exists(f, there), fixture_exists(f, done));
        succeed(f, make_domain);
        assert_int_equal(count_entries(f), 1);
        fixture_restart(f);
        fixture_join(f);
        assert_int_equal(f->port.ops->domain_leave(f->port.ctx, SD, &f->err),
                         0);
    }
    assert_true(round_n > 30);
}

/* What fails half way is taken away at once, not by the next that comes. */
static void calls_that_fail_for_a_domain(void **state)
{
    struct fixture *f = *state;
    bool struck = true;
    only_fails = true;
    for (round_n = 1; struck; round_n++) {
        struct err err = ERR_INIT;
        char left[128];
        fixture_path(f, f->path, "storage-%ld", round_n);
        assert_int_equal(mkdir(f->path, 0755), 0);
        calls_left = round_n;
        int rc = make_domain(f, &err);
        struck = calls_left == 0;
        calls_left = -1;
        if (rc < 0 && (!struck || !err.message[0]))
            fail_msg("call %ld: %s", round_n, err.message);
        (void)str_format(left, sizeof(left), "storage-%ld/.drayd-create-" SD,
                         round_n);
        assert_false(fixture_exists(f, left));
        succeed(f, make_domain);
        assert_int_equal(count_entries(f), 1);
    }
    only_fails = false;
    assert_true(round_n > 30);
}

#define TEST(name, setup)                                                      \
    cmocka_unit_test_setup_teardown(name, setup, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(making_an_image, fixture_with_joined),
        TEST(making_a_preallocated_image, fixture_with_joined),
        TEST(making_a_snapshot, fixture_with_joined),
        TEST(removing_a_snapshot, fixture_with_joined),
        TEST(removing_the_last_volume, fixture_with_joined),
        TEST(removing_an_image, fixture_with_joined),
        TEST(changing_legality, fixture_with_joined),
        TEST(calls_that_fail, fixture_with_joined),
        TEST(making_and_removing_on_a_template, fixture_with_joined),
        TEST(making_a_domain, fixture_new),
        TEST(calls_that_fail_for_a_domain, fixture_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
