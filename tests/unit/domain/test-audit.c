/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The audit of both kinds of domain: what is well is not shown, what is wrong
 * is; nothing changes but by a repair, and a repair leaves alone what a person
 * must decide.
 */
#include "vg.h"
#include <dray/format/block.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define IMAGES "storage/" SD "/images/"
#define LOST   "40b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"

static struct domain_audit audit(struct fixture *f, bool repair)
{
    struct domain_audit found = { 0 };
    if (f->port.ops->domain_audit(f->port.ctx, SD, repair, &found, FRESH(f)) <
        0)
        fail_msg("%s", f->err.message);
    return found;
}

static void show(const struct domain_audit *found)
{
    for (size_t i = 0; i < found->n; i++)
        print_message("%d %s %s (%s)%s\n", found->findings[i].kind,
                      found->findings[i].vol, found->findings[i].text,
                      found->findings[i].repair,
                      found->findings[i].repaired ? " done" : "");
}

static void assert_clean(struct fixture *f)
{
    struct domain_audit found = audit(f, false);
    show(&found);
    assert_int_equal(found.n, 0);
    domain_audit_deinit(&found);
}

/* The one finding that has this in its text. */
static const struct audit_finding *find(const struct domain_audit *found,
                                        const char *text)
{
    const struct audit_finding *one = NULL;
    size_t n = 0;
    for (size_t i = 0; i < found->n; i++) {
        if (!strstr(found->findings[i].text, text))
            continue;
        one = &found->findings[i];
        n++;
    }
    if (n != 1) {
        show(found);
        fail_msg("%zu say \"%s\"", n, text);
    }
    return one;
}

struct wanted {
    enum audit_kind kind;
    const char *vol; /* "": none */
    const char *text;
    bool mended;
};

/* A look changes nothing; a repair mends what it can, and no more. */
static void assert_found(struct fixture *f, const struct wanted *wanted,
                         size_t n)
{
    size_t left = 0;
    for (int repair = 0; repair < 2; repair++) {
        struct domain_audit found = audit(f, repair);
        if (found.n != n)
            show(&found);
        assert_int_equal(found.n, n);
        for (size_t i = 0; i < n; i++) {
            const struct audit_finding *one = find(&found, wanted[i].text);
            assert_int_equal(one->kind, wanted[i].kind);
            assert_string_equal(one->vol, wanted[i].vol);
            assert_int_equal(one->repair[0] != '\0', wanted[i].mended);
            assert_int_equal(one->repaired, repair && wanted[i].mended);
            left += !repair && !wanted[i].mended;
        }
        domain_audit_deinit(&found);
    }
    struct domain_audit found = audit(f, true);
    if (found.n != left)
        show(&found);
    assert_int_equal(found.n, left);
    domain_audit_deinit(&found);
}

/* --- directories --- */

static void a_healthy_directory_shows_nothing(void **state)
{
    struct fixture *f = *state;
    assert_clean(f);
    fixture_make_chain(f);
    assert_clean(f);
}

static void a_look_changes_no_file(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    fixture_make_chain(f);
    fixture_path(f, path, IMAGES "_remove_me_" IMG2);
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_path(f, path, IMAGES IMG "/" MID ".lease");
    assert_int_equal(unlink(path), 0);
    _cleanup_free_ char *before = fixture_list(f);
    struct domain_audit found = audit(f, false);
    assert_int_equal(found.n, 2);
    domain_audit_deinit(&found);
    _cleanup_free_ char *after = fixture_list(f);
    assert_string_equal(before, after);
}

static void leftovers_in_a_directory_are_mended(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    fixture_make_chain(f);
    fixture_path(f, path, IMAGES "_remove_me_" IMG2);
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_write(f, IMAGES "_remove_me_" IMG2 "/" LOST, "data");
    fixture_path(f, path, IMAGES IMG2);
    assert_int_equal(mkdir(path, 0755), 0);
    fixture_path(f, path, IMAGES IMG "/" MID ".lease");
    assert_int_equal(unlink(path), 0);
    _cleanup_free_ char *record = fixture_read(f, IMAGES IMG "/" LEAF ".meta");
    fixture_write(f, IMAGES IMG "/" LEAF ".meta.new", record);
    const struct wanted wanted[] = {
        {AUDIT_LEFTOVER,  "",   "removal of image " IMG2,  true},
        { AUDIT_LEFTOVER, "",   "has no volumes",          true},
        { AUDIT_MISMATCH, MID,  "has no lease",            true},
        { AUDIT_LEFTOVER, LEAF, "change or removal broke", true},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
    assert_false(fixture_exists(f, IMAGES "_remove_me_" IMG2));
    assert_false(fixture_exists(f, IMAGES IMG2));
    assert_true(fixture_exists(f, IMAGES IMG "/" MID ".lease"));
}

static void what_no_record_explains_stays(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    fixture_make_chain(f);
    fixture_write(f, IMAGES IMG "/" LOST, "somebody's data");
    fixture_write(f, IMAGES IMG "/notes", "text");
    fixture_write(f, IMAGES "notes", "text");
    fixture_path(f, path, IMAGES IMG "/" BASE);
    assert_int_equal(unlink(path), 0);
    struct domain_audit found = audit(f, true);
    static const char *const texts[] = { LOST " has no record",
                                         "notes belongs to no volume",
                                         "images/notes belongs to no image",
                                         "but no data" };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const struct audit_finding *one = find(&found, texts[i]);
        assert_string_equal(one->repair, "");
        assert_false(one->repaired);
    }
    domain_audit_deinit(&found);
    assert_true(fixture_exists(f, IMAGES IMG "/" LOST));
    assert_true(fixture_exists(f, IMAGES IMG "/notes"));
    assert_true(fixture_exists(f, IMAGES "notes"));
}

static void records_that_contradict_headers_are_found(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    const char *const grow[] = {
        "resize", "-q", "-f", "qcow2", "@", "3M", NULL
    };
    fixture_qemu_img(f, LEAF, grow);
    fixture_edit(f, IMG, MID, "PUUID=" BASE, "PUUID=" UUID_BLANK);
    const struct wanted wanted[] = {
        {AUDIT_MISMATCH,  LEAF, "its qcow2 is for 3145728 bytes", true },
        { AUDIT_MISMATCH, MID,  "names the parent",               false},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
    struct volume_info info;
    fixture_info(f, IMG, LEAF, &info);
    assert_int_equal(info.capacity, 3 * MIB);
}

static void an_image_has_one_leaf(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    fixture_edit(f, IMG, LEAF, "VOLTYPE=LEAF", "VOLTYPE=INTERNAL");
    const struct wanted none[] = {
        {AUDIT_MISMATCH, "", "the image has no leaf", true},
    };
    assert_found(f, none, ARRAY_SIZE(none));
    fixture_edit(f, IMG, MID, "VOLTYPE=INTERNAL", "VOLTYPE=LEAF");
    const struct wanted two[] = {
        {AUDIT_MISMATCH,  "",  "the image has 2 leaves", false},
        { AUDIT_MISMATCH, MID, "another one's parent",   false},
    };
    assert_found(f, two, ARRAY_SIZE(two));
}

static void a_repair_needs_a_domain_that_is_joined_and_ours(void **state)
{
    struct fixture *f = *state;
    size_t before = fixture_acquired;
    struct domain_audit found = { 0 };
    assert_error(
        f, f->port.ops->domain_audit(f->port.ctx, SD, true, &found, FRESH(f)),
        ERR_DOMAIN_ACTION, "has not joined");
    assert_clean(f); /* a look needs no more than the files */
    assert_int_equal(fixture_acquired, before);
}

/* --- volume groups --- */

static void make(struct fixture *f, const char *vol, const char *parent,
                 enum volume_format format)
{
    const struct volume_create spec = vg_volume(IMG, vol, parent, format);
    fixture_create(f, &spec);
}

static void make_chain(struct fixture *f)
{
    make(f, BASE, NULL, VOLUME_RAW);
    make(f, MID, BASE, VOLUME_COW);
    make(f, LEAF, MID, VOLUME_COW);
}

static void write_lv(const struct fixture *f, const char *lv, uint64_t offset,
                     const void *data, size_t size)
{
    char path[PATH_MAX];
    vg_path(f, path, "lvs/%s", lv);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, data, size, (off_t)offset), size);
}

static void make_lv(struct fixture *f, const char *name, const char *tags)
{
    char file[PATH_MAX];
    (void)str_format(file, sizeof(file), "lvs/%s", name);
    vg_write(f, file, "");
    vg_tag(f, name, tags);
}

static void a_healthy_vg_shows_nothing(void **state)
{
    struct fixture *f = *state;
    assert_clean(f);
    make_chain(f);
    assert_clean(f);
    assert_false(vg_is_active(f, LEAF)); /* looked into, and left */
}

static void leftovers_in_a_vg_are_removed(void **state)
{
    struct fixture *f = *state;
    make_chain(f);
    make_lv(f, LOST, FORMAT_LV_TAG_UNREADY "\n");
    vg_tag(f, LEAF, "MD_3\nPU_" MID "\nIU__remove_me_" IMG "\n");
    _cleanup_free_ char *log = vg_read(f, "log");
    struct domain_audit found = audit(f, false);
    assert_int_equal(found.n, 3);
    domain_audit_deinit(&found);
    _cleanup_free_ char *same = vg_read(f, "log");
    assert_null(strstr(same + strlen(log), "lvremove"));
    const struct wanted wanted[] = {
        {AUDIT_LEFTOVER,  LOST, "its making broke off",  true},
        { AUDIT_LEFTOVER, LEAF, "its removal broke off", true},
    };
    found = audit(f, true);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        const struct audit_finding *one = find(&found, wanted[i].text);
        assert_int_equal(one->kind, wanted[i].kind);
        assert_string_equal(one->vol, wanted[i].vol);
        assert_true(one->repaired);
    }
    domain_audit_deinit(&found);
    assert_false(vg_has(f, "lvs/" LOST));
    assert_false(vg_has(f, "lvs/" LEAF));
    assert_clean(f); /* the parent is the leaf again */
}

static void one_that_is_open_is_not_removed(void **state)
{
    struct fixture *f = *state;
    make_lv(f, LOST, FORMAT_LV_TAG_UNREADY "\n");
    vg_write(f, "open/" LOST, "");
    const struct wanted wanted[] = {
        {AUDIT_LEFTOVER, LOST, "it is open on this host", false},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
    assert_true(vg_has(f, "lvs/" LOST));
}

static void tags_follow_the_record(void **state)
{
    struct fixture *f = *state;
    make_chain(f);
    vg_tag(f, LEAF, "MD_3\nPU_" BASE "\nIU_" IMG "\n");
    const struct wanted wanted[] = {
        {AUDIT_MISMATCH, LEAF, "its tag " BASE, true},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
    _cleanup_free_ char *tags = vg_read(f, "lvs/" LEAF ".tags");
    assert_non_null(strstr(tags, "PU_" MID));
    assert_null(strstr(tags, "PU_" BASE));
}

static void a_lease_of_another_volume_is_none(void **state)
{
    struct fixture *f = *state;
    char sector[512];
    char path[PATH_MAX];
    make_chain(f);
    vg_path(f, path, "lvs/leases");
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, sector, sizeof(sector), 101L * MIB), 512);
    write_lv(f, "leases", 103ULL * MIB, sector, sizeof(sector));
    const struct wanted wanted[] = {
        {AUDIT_MISMATCH, LEAF, "holds lease " BASE, true},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
}

static void damage_in_a_vg_is_for_a_person(void **state)
{
    struct fixture *f = *state;
    make_chain(f);
    vg_tag(f, MID, "MD_1\nPU_" BASE "\nIU_" IMG "\n");
    write_lv(f, "metadata", format_slot_offset(3), "nonsense", 8);
    make_lv(f, "swap", "");
    make_lv(f, LOST, "MD_9\n");
    struct domain_audit found = audit(f, true);
    assert_int_equal(find(&found, "slot 1 is another volume's")->kind,
                     AUDIT_MISMATCH);
    assert_int_equal(find(&found, "LV swap is no volume's")->kind,
                     AUDIT_ORPHAN);
    assert_string_equal(find(&found, "its tags:")->vol, LOST);
    for (size_t i = 0; i < found.n; i++)
        assert_string_equal(found.findings[i].repair, "");
    domain_audit_deinit(&found);
    assert_true(vg_has(f, "lvs/swap") && vg_has(f, "lvs/" LOST));
}

static void what_nobody_uses_is_deactivated(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    char link[PATH_MAX];
    make(f, BASE, NULL, VOLUME_RAW);
    vg_path(f, path, "lvs/" BASE);
    vg_path(f, link, "dev/" SD "/" BASE);
    assert_int_equal(symlink(path, link), 0);
    vg_write(f, "open/" BASE, "");
    assert_clean(f); /* a VM has it */
    vg_path(f, path, "open/" BASE);
    assert_int_equal(unlink(path), 0);
    const struct wanted wanted[] = {
        {AUDIT_IDLE, BASE, "nobody uses it", true},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
    assert_false(vg_is_active(f, BASE));
}

static void what_is_prepared_stays_active(void **state)
{
    struct fixture *f = *state;
    const struct volume_id id = fixture_id(IMG, BASE);
    char path[PATH_MAX];
    make(f, BASE, NULL, VOLUME_RAW);
    assert_int_equal(
        f->port.ops->image_prepare(f->port.ctx, &id, false, path, FRESH(f)), 0);
    const struct wanted wanted[] = {
        {AUDIT_IDLE, BASE, "it is prepared on this host", false},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
    assert_true(vg_is_active(f, BASE));
}

static void pvs_get_into_the_map(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *tags = vg_read(f, "vg.tags");
    struct format_domain domain = { 0 };
    struct format_tags fresh = { 0 };
    const char *list[64];
    size_t n = 0;
    char *rest = NULL;
    for (char *tag = strtok_r(tags, "\n", &rest); tag;
         tag = strtok_r(NULL, "\n", &rest))
        list[n++] = tag;
    assert_int_equal(format_domain_from_tags(list, n, &domain, NULL), 0);
    assert_int_equal(
        format_domain_set(&domain, "PV0",
                          "pv:sda,uuid:Q,pestart:0,pecount:20,mapoffset:0",
                          NULL),
        0);
    assert_int_equal(format_domain_tags(&domain, &fresh, NULL), 0);
    char text[8192] = FORMAT_VG_TAG "\n";
    for (size_t i = 0; i < fresh.n; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\n",
                       fresh.tags[i]);
    vg_write(f, "vg.tags", text);
    format_tags_deinit(&fresh);
    format_domain_deinit(&domain);
    const struct wanted wanted[] = {
        {AUDIT_MISMATCH, "", "1 PVs of the VG are not in the PV map", true},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
    _cleanup_free_ char *now = vg_read(f, "vg.tags");
    assert_non_null(strstr(now, "MDT_PV1=pv:null&44&uuid:P&44&pestart:0&44&"
                                "pecount:9&44&mapoffset:20\n"));
    assert_non_null(strstr(now, "MDT_PV0=pv:sda"));
}

static void a_vg_has_its_special_lvs(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    vg_path(f, path, "lvs/outbox");
    assert_int_equal(unlink(path), 0);
    const struct wanted wanted[] = {
        {AUDIT_MISMATCH, "", "LV outbox is missing", false},
    };
    assert_found(f, wanted, ARRAY_SIZE(wanted));
}

#define FILES(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_with_joined, fixture_free)
#define VG(test)                                                               \
    cmocka_unit_test_setup_teardown(test, vg_fixture_new, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES(a_healthy_directory_shows_nothing),
        FILES(a_look_changes_no_file),
        FILES(leftovers_in_a_directory_are_mended),
        FILES(what_no_record_explains_stays),
        FILES(records_that_contradict_headers_are_found),
        FILES(an_image_has_one_leaf),
        cmocka_unit_test_setup_teardown(
            a_repair_needs_a_domain_that_is_joined_and_ours,
            fixture_with_domain, fixture_free),
        VG(a_healthy_vg_shows_nothing),
        VG(leftovers_in_a_vg_are_removed),
        VG(one_that_is_open_is_not_removed),
        VG(tags_follow_the_record),
        VG(a_lease_of_another_volume_is_none),
        VG(damage_in_a_vg_is_for_a_person),
        VG(what_nobody_uses_is_deactivated),
        VG(what_is_prepared_stays_active),
        VG(pvs_get_into_the_map),
        VG(a_vg_has_its_special_lvs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
