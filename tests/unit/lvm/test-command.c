/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests as lines and as command lines for LVM, LVM's reports as structs, and
 * what a failed command means.
 */
#include "../../../src/lvm/command.h"
#include "../../../src/lvm/report.h"
#include "../../../src/lvm/settings.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024
};

static const char *const one_name[] = { "one" };
static const char *const two_names[] = { "one", "two" };
static const char *const two_tags[] = { "MD_1", "IU_a/b=c:d&e#f!" };
static const struct lvm_names none = { .n = 0 };
static const struct lvm_names one = { .names = one_name, .n = 1 };
static const struct lvm_names two = { .names = two_names, .n = 2 };
static const struct lvm_names tags = { .names = two_tags, .n = 2 };

/* The request goes through its line first, as it does in life. */
static void expect_command(const struct lvm_request *request,
                           const char *expected)
{
    struct lvm_request parsed;
    struct err err = ERR_INIT;
    _cleanup_free_ char *line = request_text(request);
    if (request_parse(line, strlen(line), &parsed, &err) < 0)
        fail_msg("%s: %s", line, err.message);
    assert_int_equal(parsed.id, request->id);
    assert_int_equal(parsed.deadline_ms, request->deadline_ms);
    _cleanup_free_ char *command = command_of(&parsed, "vg");
    assert_string_equal(command, expected);
    request_deinit(&parsed);
}

static void each_verb_has_its_command(void **state)
{
    (void)state;
    struct lvm_request request = { .id = 7, .deadline_ms = 99, .lvs = one };
    request.size_bytes = 12 * MIB + 1;
    request.verb = VERB_EXTEND;
    expect_command(&request, "lvextend --noudevsync --size 12582913b vg/one");
    request.verb = VERB_REDUCE;
    expect_command(&request, "lvreduce --force --yes --size 12582913b vg/one");
    request.verb = VERB_CREATE;
    request.add = tags;
    expect_command(&request,
                   "lvcreate -y --setautoactivation n --contiguous n "
                   "--wipesignatures n --activate n --zero n --name one "
                   "--size 12582913b --addtag MD_1 --addtag IU_a/b=c:d&e#f! "
                   "vg");
    request.device = "/dev/mapper/36001";
    expect_command(&request,
                   "lvcreate -y --setautoactivation n --contiguous n "
                   "--wipesignatures n --activate n --zero n --name one "
                   "--size 12582913b --addtag MD_1 --addtag IU_a/b=c:d&e#f! "
                   "vg /dev/mapper/36001");
    request = (struct lvm_request){ .id = 8, .verb = VERB_TAG, .lvs = two };
    request.add = one;
    request.remove = tags;
    expect_command(&request, "lvchange --deltag MD_1 --deltag IU_a/b=c:d&e#f! "
                             "--addtag one vg/one vg/two");
    request.lvs = none;
    expect_command(&request, "vgchange --deltag MD_1 --deltag IU_a/b=c:d&e#f! "
                             "--addtag one vg");
}

static void several_lvs_go_into_one_command(void **state)
{
    (void)state;
    static const struct {
        enum lvm_verb verb;
        const char *command;
    } rows[] = {
        {VERB_REFRESH,     "lvchange --noudevsync --refresh vg/one vg/two"},
        { VERB_ACTIVATE,   "lvchange --activate y --ignoreactivationskip "
                         "vg/one vg/two"          },
        { VERB_DEACTIVATE, "lvchange --activate n vg/one vg/two"          },
        { VERB_REMOVE,     "lvremove --force --yes vg/one vg/two"         },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct lvm_request request = { .id = 1,
                                             .verb = rows[i].verb,
                                             .lvs = two };
        expect_command(&request, rows[i].command);
    }
}

static void only_changes_of_metadata_need_the_lease(void **state)
{
    (void)state;
    const enum lvm_verb leased[] = { VERB_EXTEND, VERB_TAG, VERB_CREATE,
                                     VERB_REDUCE, VERB_REMOVE };
    const enum lvm_verb free_ones[] = { VERB_REFRESH, VERB_ACTIVATE,
                                        VERB_DEACTIVATE, VERB_REPORT };
    for (size_t i = 0; i < ARRAY_SIZE(leased); i++)
        assert_true(verb_needs_lease(leased[i]));
    for (size_t i = 0; i < ARRAY_SIZE(free_ones); i++)
        assert_false(verb_needs_lease(free_ones[i]));
}

static void refuse(const char *text)
{
    struct lvm_request request = { .id = 77 };
    struct err err = ERR_INIT;
    if (request_parse(text, strlen(text), &request, &err) == 0)
        fail_msg("accepted: %s", text);
    assert_true(err.message[0]);
    assert_int_equal(request.id, 77);
}

static void what_could_leave_its_place_in_a_command_is_refused(void **state)
{
    (void)state;
    static const char *const words[] = {
        "",       "-x",    "a b", "a\\\"b",    "a'b", "a;b",
        "a/../b", "a\\nb", "$x",  "a\\u0000b", ".a",  "\xc3\xa4",
    };
    char text[512];
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        (void)str_format(text, sizeof(text),
                         "{\"id\":1,\"verb\":\"refresh\",\"deadline\":1,"
                         "\"size\":0,\"what\":0,\"lvs\":[\"%s\"],\"add\":[],"
                         "\"remove\":[]}",
                         words[i]);
        refuse(text);
    }
    assert_false(tag_is_valid("-a"));
    assert_false(tag_is_valid("a,b"));
    assert_false(tag_is_valid("a b"));
    assert_true(tag_is_valid("MDT_DESCRIPTION=a&32&b"));
    assert_true(device_is_valid("/dev/mapper/3600-1_x.y:z"));
    assert_false(device_is_valid("/etc/x"));
    assert_false(device_is_valid("/dev/a|b"));
    assert_false(device_is_valid("/dev/a b"));
}

static void requests_of_the_wrong_shape_are_refused(void **state)
{
    (void)state;
    refuse("");
    refuse("{}");
    refuse("[1]");
#define REST "\"deadline\":1,\"what\":0,\"add\":[],\"remove\":[]"
    refuse("{\"id\":1,\"verb\":\"explode\",\"size\":1,\"lvs\":[\"a\"]," REST
           "}");
    refuse("{\"id\":1,\"verb\":\"extend\",\"size\":0,\"lvs\":[\"a\"]," REST
           "}");
    refuse("{\"id\":1,\"verb\":\"extend\",\"size\":-1,\"lvs\":[\"a\"]," REST
           "}");
    refuse(
        "{\"id\":1,\"verb\":\"extend\",\"size\":1,\"lvs\":[\"a\",\"b\"]," REST
        "}");
    refuse("{\"id\":1,\"verb\":\"remove\",\"size\":0,\"lvs\":[]," REST "}");
    refuse("{\"id\":1,\"verb\":\"tag\",\"size\":0,\"lvs\":[\"a\"]," REST "}");
    refuse("{\"id\":1,\"verb\":\"report\",\"size\":0,\"lvs\":[]," REST "}");
    refuse("{\"id\":1,\"verb\":\"extend\",\"size\":1,\"lvs\":[7]," REST "}");
#undef REST
}

static void answers_and_setups_come_back_as_they_were(void **state)
{
    (void)state;
    struct lvm_answer answer = { .id = 5, .err = ERR_INIT, .size_bytes = 42 };
    struct lvm_answer again;
    (void)err_set_code(&answer.err, ERR_NO_SPACE, "VG \"x\": full\x01");
    (void)err_next(&answer.err, "add a device");
    _cleanup_free_ char *text = answer_text(&answer);
    assert_int_equal(lvm_answer_parse(text, strlen(text), &again, NULL), 0);
    assert_int_equal(again.id, 5);
    assert_int_equal(again.size_bytes, 42);
    assert_int_equal(again.err.code, ERR_NO_SPACE);
    assert_int_equal(again.err.rc, answer.err.rc);
    assert_string_equal(again.err.message, answer.err.message);
    assert_string_equal(again.err.next, "add a device");

    static const char *const devices[] = { "/dev/vda", "/dev/vdb" };
    const struct lvm_setup setup = {
        .vg = "vg",
        .dir = "/run/x",
        .command_ms = 1000,
        .has_lease = true,
        .lease = {"space",  "SDM", "/dev/vg/leases", 1048576, 512, 1048576 },
        .devices = { .names = devices, .n = 2  },
    };
    struct lvm_setup read;
    _cleanup_free_ char *line = setup_text(&setup);
    assert_int_equal(setup_parse(line, strlen(line), &read, NULL), 0);
    assert_string_equal(read.vg, "vg");
    assert_string_equal(read.dir, "/run/x");
    assert_int_equal(read.command_ms, 1000);
    assert_true(read.has_lease);
    assert_memory_equal(&read.lease, &setup.lease, sizeof(read.lease));
    assert_int_equal(read.devices.n, 2);
    assert_string_equal(read.devices.names[1], "/dev/vdb");
    setup_deinit(&read);
    assert_true(setup_parse("{\"vg\":\"v\"}", 10, &read, NULL) < 0);
}

static const char lvs_report[] =
    "  {\n      \"report\": [\n          {\n              \"lv\": [\n"
    "  {\"lv_name\":\"one\", \"lv_uuid\":\"Zx-1\", \"lv_size\":\"8388608\","
    " \"lv_attr\":\"-wi-ao----\", \"lv_tags\":\"IU_x,MD_1\"},\n"
    "  {\"lv_name\":\"two\", \"lv_uuid\":\"Zx-2\", \"lv_size\":\"4194304\","
    " \"lv_attr\":\"-ri-s-----\", \"lv_tags\":\"\"},\n"
    "  {\"lv_name\":\"off\", \"lv_uuid\":\"Zx-3\", \"lv_size\":\"0\","
    " \"lv_attr\":\"-wi-------\", \"lv_tags\":\"a\"},\n"
    "  {\"lv_name\":\"cut\", \"lv_uuid\":\"Zx-4\", \"lv_size\":\"1\","
    " \"lv_attr\":\"-wi-XX--X-\", \"lv_active\":\"active\","
    " \"lv_device_open\":\"open\", \"lv_tags\":\"\"},\n"
    "  {\"lv_name\":\"odd\", \"lv_uuid\":\"Zx-5\", \"lv_size\":\"1\","
    " \"lv_attr\":\"-wi-XX--X-\", \"lv_active\":\"unknown\","
    " \"lv_device_open\":\"unknown\", \"lv_tags\":\"\"}\n"
    "              ]\n          }\n      ]\n  }\n";
static const char vg_report[] =
    "{\"report\":[{\"vg\":[{\"vg_name\":\"vg\",\"vg_uuid\":\"V-1\","
    "\"vg_size\":\"1000\",\"vg_free\":\"8388608\",\"vg_extent_size\":"
    "\"4194304\",\"vg_mda_size\":\"5\",\"vg_mda_free\":\"4\",\"vg_seqno\":"
    "\"12\",\"vg_missing_pv_count\":\"1\",\"vg_tags\":\"t\"}]}]}";
static const char pvs_report[] =
    "{\"report\":[{\"pv\":[{\"pv_name\":\"/dev/sda\",\"pv_uuid\":\"P-1\","
    "\"pv_size\":\"1000\",\"pv_free\":\"8\",\"pv_pe_count\":\"7\","
    "\"pv_mda_count\":\"2\",\"pv_mda_used_count\":\"1\",\"pv_mda_size\":\"5\","
    "\"pv_missing\":\"\",\"pv_in_use\":\"used\",\"vg_name\":\"vg\",\"vg_tags\":"
    "\"a,b\"},"
    "{\"pv_name\":\"/dev/sdb\",\"pv_uuid\":\"P-2\",\"pv_size\":\"0\","
    "\"pv_free\":\"0\",\"pv_pe_count\":\"0\",\"pv_mda_count\":\"1\","
    "\"pv_mda_used_count\":\"0\",\"pv_mda_size\":\"4\",\"pv_missing\":"
    "\"missing\",\"vg_name\":\"\",\"vg_tags\":\"\"}]}]}";

static void reports_become_structs(void **state)
{
    (void)state;
    struct lvm_report report = { .n_lvs = 0 };
    struct err err = ERR_INIT;
    assert_int_equal(
        report_add_text(&report, lvs_report, strlen(lvs_report), &err), 0);
    assert_int_equal(
        report_add_text(&report, vg_report, strlen(vg_report), &err), 0);
    assert_int_equal(report.n_lvs, 5);
    const struct lvm_lv *lv = lvm_report_lv(&report, "one");
    assert_int_equal(lv->size_bytes, 8388608);
    assert_true(lv->writable && lv->active && lv->open && !lv->suspended);
    assert_true(lvm_lv_has_tag(lv, "IU_x") && lvm_lv_has_tag(lv, "MD_1"));
    assert_false(lvm_lv_has_tag(lv, "IU_"));
    lv = lvm_report_lv(&report, "two");
    assert_true(!lv->writable && lv->active && !lv->open && lv->suspended);
    assert_int_equal(lv->n_tags, 0);
    lv = lvm_report_lv(&report, "off");
    assert_true(lv->writable && !lv->active && !lv->open && !lv->suspended);
    lv = lvm_report_lv(&report, "cut"); /* its table is not LVM's */
    assert_true(lv->active && lv->open && !lv->suspended);
    lv = lvm_report_lv(&report, "odd");
    assert_false(lv->active || lv->open);
    assert_null(lvm_report_lv(&report, "three"));
    assert_int_equal(report.vg.free_bytes, 8388608);
    assert_int_equal(report.vg.extent_bytes, 4194304);
    assert_int_equal(report.vg.seqno, 12);
    assert_int_equal(report.vg.missing_pvs, 1);
    lvm_report_deinit(&report);
    assert_int_equal(report.n_lvs, 0);
}

static void pvs_know_their_vg(void **state)
{
    (void)state;
    struct lvm_report report = { .n_lvs = 0 };
    assert_int_equal(
        report_add_text(&report, pvs_report, strlen(pvs_report), NULL), 0);
    assert_int_equal(report.n_pvs, 2);
    const struct lvm_pv *pv = &report.pvs[0];
    assert_string_equal(pv->name, "/dev/sda");
    assert_string_equal(pv->vg, "vg");
    assert_int_equal(pv->extents, 7);
    assert_int_equal(pv->mdas, 2);
    assert_int_equal(pv->mdas_used, 1);
    assert_int_equal(pv->mda_bytes, 5);
    assert_true(!pv->missing && pv->in_use);
    assert_int_equal(pv->n_vg_tags, 2);
    assert_string_equal(pv->vg_tags[1], "b");
    pv = &report.pvs[1];
    assert_string_equal(pv->vg, "");
    assert_int_equal(pv->n_vg_tags, 0);
    assert_true(pv->missing && !pv->in_use);
    lvm_report_deinit(&report);
}

static void damaged_reports_name_the_field(void **state)
{
    (void)state;
    static const char *const fields[] = { "lv_name", "lv_uuid", "lv_size",
                                          "lv_attr", "lv_tags" };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        struct lvm_report report = { .n_lvs = 0 };
        struct err err = ERR_INIT;
        char text[sizeof(lvs_report)];
        memcpy(text, lvs_report, sizeof(text));
        *strstr(text, fields[i]) = 'x';
        assert_true(report_add_text(&report, text, strlen(text), &err) < 0);
        assert_non_null(strstr(err.message, fields[i]));
        lvm_report_deinit(&report);
    }
    for (size_t len = 0; len < strlen(vg_report); len++) {
        struct lvm_report report = { .n_lvs = 0 };
        assert_true(report_add_text(&report, vg_report, len, NULL) < 0);
        lvm_report_deinit(&report);
    }
}

static enum verdict judge(enum lvm_verb verb, const char *lv, uint64_t bytes,
                          struct lvm_names add)
{
    struct lvm_report report = { .n_lvs = 0 };
    const struct lvm_request request = {
        .verb = verb,
        .lvs = {.names = &lv, .n = 1},
        .size_bytes = bytes,
        .add = add,
    };
    assert_int_equal(
        report_add_text(&report, lvs_report, strlen(lvs_report), NULL), 0);
    assert_int_equal(
        report_add_text(&report, vg_report, strlen(vg_report), NULL), 0);
    enum verdict verdict = command_judge(&request, &report);
    lvm_report_deinit(&report);
    return verdict;
}

static void a_failure_is_judged_by_what_is_there(void **state)
{
    (void)state;
    static const char *const md_1[] = { "MD_1" };
    static const char *const md_2[] = { "MD_2" };
    const struct lvm_names right = { .names = md_1, .n = 1 };
    const struct lvm_names other = { .names = md_2, .n = 1 };
    /* "one" has 8 MiB and is active, "off" nothing; 8 MiB are free */
    assert_int_equal(judge(VERB_EXTEND, "one", 8 * MIB, none), VERDICT_REFRESH);
    assert_int_equal(judge(VERB_EXTEND, "one", 5 * MIB, none), VERDICT_REFRESH);
    assert_int_equal(judge(VERB_EXTEND, "one", 16 * MIB, none), VERDICT_FAILED);
    assert_int_equal(judge(VERB_EXTEND, "one", 16 * MIB + 1, none),
                     VERDICT_FULL);
    assert_int_equal(judge(VERB_EXTEND, "gone", 8 * MIB, none), VERDICT_FAILED);
    assert_int_equal(judge(VERB_CREATE, "one", 8 * MIB, right), VERDICT_DONE);
    assert_int_equal(judge(VERB_CREATE, "one", 8 * MIB, other), VERDICT_EXISTS);
    assert_int_equal(judge(VERB_CREATE, "one", 9 * MIB, right), VERDICT_EXISTS);
    assert_int_equal(judge(VERB_CREATE, "new", 8 * MIB, right), VERDICT_FAILED);
    assert_int_equal(judge(VERB_CREATE, "new", 9 * MIB, right), VERDICT_FULL);
    assert_int_equal(judge(VERB_REDUCE, "one", 7 * MIB, none), VERDICT_REFRESH);
    assert_int_equal(judge(VERB_REDUCE, "one", 4 * MIB, none), VERDICT_FAILED);
    assert_int_equal(judge(VERB_REMOVE, "gone", 0, none), VERDICT_DONE);
    assert_int_equal(judge(VERB_REMOVE, "one", 0, none), VERDICT_FAILED);
    assert_int_equal(judge(VERB_TAG, "one", 0, right), VERDICT_FAILED);
}

static void lvm_sees_only_the_vgs_devices(void **state)
{
    (void)state;
    static const char *const devices[] = { "/dev/mapper/3600.1", "/dev/vda" };
    _cleanup_free_ char *text = settings_text(
        (struct lvm_names){ .names = devices, .n = ARRAY_SIZE(devices) });
    assert_non_null(strstr(text,
                           "global_filter = [ \"a|^/dev/mapper/3600[.]1$|\", "
                           "\"a|^/dev/vda$|\", \"r|.*|\" ]"));
    assert_non_null(strstr(text, "use_devicesfile = 0"));
    assert_non_null(strstr(text, "scan_lvs = 0"));
    assert_non_null(strstr(text, "backup = 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verb_has_its_command),
        cmocka_unit_test(several_lvs_go_into_one_command),
        cmocka_unit_test(only_changes_of_metadata_need_the_lease),
        cmocka_unit_test(what_could_leave_its_place_in_a_command_is_refused),
        cmocka_unit_test(requests_of_the_wrong_shape_are_refused),
        cmocka_unit_test(answers_and_setups_come_back_as_they_were),
        cmocka_unit_test(reports_become_structs),
        cmocka_unit_test(pvs_know_their_vg),
        cmocka_unit_test(damaged_reports_name_the_field),
        cmocka_unit_test(a_failure_is_judged_by_what_is_there),
        cmocka_unit_test(lvm_sees_only_the_vgs_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
