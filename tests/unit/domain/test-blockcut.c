/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes of a VG that are cut off at each LVM command: dray-lvm dies alone
 * (and with it the lease that was held), or the whole daemon with it.
 * Afterwards a scan leaves what was before or what was wanted, and the same
 * call again brings what was wanted.
 */
#include "vg.h"
#include <dray/format/block.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

enum {
    COMMANDS_MAX = 20
};

/* What is done, and whether it is done; ERR_... of a second time. */
struct act {
    const char *name;
    int (*run)(struct fixture *f);
    bool (*is_done)(struct fixture *f);
    enum err_code again;
};

static int make_leaf(struct fixture *f)
{
    const struct volume_create spec = vg_volume(IMG, LEAF, MID, VOLUME_COW);
    return CALL(f, volume_create, &spec);
}

static bool has_leaf(struct fixture *f)
{
    struct volume_info info;
    const struct volume_id id = fixture_id(IMG, LEAF);
    return CALL(f, volume_info, &id, &info) == 0;
}

static int delete_mid(struct fixture *f)
{
    const struct volume_id id = fixture_id(IMG, MID);
    return CALL(f, volume_delete, &id);
}

static bool has_no_mid(struct fixture *f)
{
    struct volume_info info;
    const struct volume_id id = fixture_id(IMG, MID);
    return CALL(f, volume_info, &id, &info) < 0;
}

static int delete_image(struct fixture *f)
{
    return CALL(f, image_delete, SD, IMG);
}

static bool has_no_image(struct fixture *f)
{
    struct storage_chain chain = { 0 };
    int rc = CALL(f, image_chain, SD, IMG, NULL, &chain);
    storage_chain_deinit(&chain);
    return rc < 0;
}

static const struct act acts[] = {
    {"make",          make_leaf,    has_leaf,     ERR_VOLUME_EXISTS},
    { "delete",       delete_mid,   has_no_mid,   ERR_NO_VOLUME    },
    { "delete image", delete_image, has_no_image, ERR_NO_IMAGE     },
};

/* Images are chains with one leaf; an LV is a volume, or is not there. */
static void assert_whole(struct fixture *f, const char *what)
{
    static const char *const vols[] = { BASE, MID, LEAF };
    struct storage_chain chain = { 0 };
    int rc = CALL(f, image_chain, SD, IMG, NULL, &chain);
    if (rc < 0 && f->err.code != ERR_NO_IMAGE)
        fail_msg("%s: %s", what, f->err.message);
    if (chain.n > 0 && chain.volumes[chain.n - 1].role != VOLUME_LEAF)
        fail_msg("%s: the leaf is none", what);
    for (size_t i = 0; i < ARRAY_SIZE(vols); i++) {
        char name[PATH_MAX];
        (void)str_format(name, sizeof(name), "lvs/%s", vols[i]);
        bool in_chain = false;
        for (size_t k = 0; k < chain.n; k++)
            in_chain = in_chain || str_equal(chain.volumes[k].id.vol, vols[i]);
        if (vg_has(f, name) != in_chain)
            fail_msg("%s: LV %s is left over", what, vols[i]);
        if (vg_is_active(f, vols[i]))
            fail_msg("%s: LV %s is active", what, vols[i]);
    }
    storage_chain_deinit(&chain);
}

static void finish(struct fixture *f, const struct act *act, const char *what)
{
    if (!act->is_done(f) && act->run(f) < 0)
        fail_msg("%s: then: %s", what, f->err.message);
    assert_true(act->is_done(f));
    assert_whole(f, what);
    assert_true(act->run(f) < 0);
    assert_int_equal(f->err.code, act->again);
}

static void set_up(void **state, int n, const char *how)
{
    char text[64];
    (void)vg_fixture_new(state);
    vg_make(*state, BASE, NULL, VOLUME_RAW);
    vg_make(*state, MID, BASE, VOLUME_COW);
    (void)str_format(text, sizeof(text), "%d %s", n, how);
    vg_write(*state, "die", text);
}

/* False: it came to its end before. */
static bool cut_lvm(const struct act *act, int n, const char *how)
{
    char what[128];
    void *state = NULL;
    set_up(&state, n, how);
    struct fixture *f = state;
    (void)str_format(what, sizeof(what), "%s, %d %s", act->name, n, how);
    (void)act->run(f); /* it may have been told */
    bool was_cut = !vg_has(f, "die");
    if (vg_scan(f) < 0)
        fail_msg("%s: %s", what, f->err.message);
    assert_whole(f, what);
    finish(f, act, what);
    (void)fixture_free(&state);
    return was_cut;
}

static bool cut_all(const struct act *act, int n, const char *how)
{
    char what[128];
    void *state = NULL;
    int status = 0;
    set_up(&state, n, how);
    struct fixture *f = state;
    (void)str_format(what, sizeof(what), "%s, %d %s", act->name, n, how);
    vg_fixture_restart(f); /* no dray-lvm: the child has its own */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(act->run(f) < 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    bool was_cut = WIFSIGNALED(status);
    vg_write(f, "die", "");
    if (vg_scan(f) < 0)
        fail_msg("%s: %s", what, f->err.message);
    vg_deactivate(f); /* a join does that */
    assert_whole(f, what);
    finish(f, act, what);
    (void)fixture_free(&state);
    return was_cut;
}

static void cut_everywhere(bool (*cut)(const struct act *, int, const char *),
                           const char *how)
{
    for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
        int n = 1;
        while (n < COMMANDS_MAX && cut(&acts[i], n, how))
            n++;
        assert_in_range(n, 3, COMMANDS_MAX - 1);
    }
}

static void dray_lvm_dies_before_a_command(void **state)
{
    (void)state;
    cut_everywhere(cut_lvm, "before lvm");
}

static void dray_lvm_dies_after_a_command(void **state)
{
    (void)state;
    cut_everywhere(cut_lvm, "after lvm");
}

static void the_daemon_dies_before_a_command(void **state)
{
    (void)state;
    cut_everywhere(cut_all, "before all");
}

static void the_daemon_dies_after_a_command(void **state)
{
    (void)state;
    cut_everywhere(cut_all, "after all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dray_lvm_dies_before_a_command),
        cmocka_unit_test(dray_lvm_dies_after_a_command),
        cmocka_unit_test(the_daemon_dies_before_a_command),
        cmocka_unit_test(the_daemon_dies_after_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
