/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whole runs of drayctl against a scripted daemon: what it asks, prints, and
 * exits with. The program, domains and volumes.
 */
#include "../../../src/cli/cli.h"
#include "server.h"
#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* --- the program --- */

static void wrong_usage_is_exit_2_and_asks_nothing(void **state)
{
    (void)state;
    const char *const *const wrong[] = {
        NOTHING,
        WORDS("nonsense"),
        WORDS("--nonsense"),
        WORDS("disk"),
        WORDS("disk", "nonsense"),
        WORDS("disk", "migrate", "vm", "vda"),
        WORDS("disk", "migrate", "vm", "vda", "a", "b"),
        WORDS("disk", "migrate", "vm", "vda", "a", "--limit", "fast"),
        WORDS("disk", "migrate", "vm", "vda", "a", "--limit"),
        WORDS("disk", "migrate", "vm", "vda", "a", "--format", "vmdk"),
        WORDS("disk", "migrate", "vm", "vda", "a", "--job-id", "x"),
        WORDS("volume", "create", "a", "lots"),
        WORDS("volume", "create", "a", "1G", "--parent", VOL),
        WORDS("volume", "create", "a", "1G", "--format", "vmdk"),
        WORDS("domain", "create", "a", "/tmp", "--type", "iscsi"),
        WORDS("domain", "create", "a", "/tmp", "--max-hosts", "many"),
        WORDS("domain", "create", "a", "/tmp", "/tmp"),
        WORDS("domain", "create", "a", "/tmp", "--mount-options", "soft"),
        WORDS("domain", "create", "a", "s:/x", "t:/x"),
        WORDS("domain", "join", "/tmp", "--mount-options", "soft"),
        WORDS("domain", "join", "a", "--mount-options", "soft"),
        WORDS("domain", "create", "--block", "a"),
        WORDS("domain", "create", "--block", "a", "/tmp", "--type", "nfs"),
        WORDS("domain", "extend", "a"),
        WORDS("domain", "audit"),
        WORDS("job", "limit", JOB, "-1"),
        WORDS("job", "info"),
        WORDS("vm", "watermarks"),
        WORDS("vm", "watermarks", "a", "--all"),
        WORDS("host", "stats", "all"),
        WORDS("rpc", "X.y", "1"),
        WORDS("rpc", "X.y", "{"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        const struct run *run = run_drayctl(NOTHING, wrong[i]);
        assert_int_equal(run->exit, CLI_USAGE);
        assert_string_equal(run->asked, "");
        assert_string_equal(run->out, "");
        assert_one_line(run->err);
    }
}

static void help_is_for_every_command(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(NOTHING, WORDS("--help"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->out, "disk migrate VM DISK DOMAIN");
    assert_has(run->out, "rpc METHOD [JSON]");
    assert_has(run_drayctl(NOTHING, WORDS("job", "--help"))->out,
               "job limit JOB MiB/s");
    run = run_drayctl(NOTHING, WORDS("disk", "migrate", "--help"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->out, "--keep-source  does not delete");
    assert_has(run_drayctl(NOTHING, WORDS("--version"))->out, "drayctl ");
}

static void no_daemon_is_exit_3_and_says_how_to_start_it(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(NOTHING, WORDS("--socket", "/nonexistent/s", "vm", "list"));
    assert_int_equal(run->exit, CLI_UNREACHABLE);
    assert_one_line(run->err);
    assert_has(run->err, "/nonexistent/s");
    assert_has(run->err, "systemctl start drayd");
}

static void a_lost_connection_is_exit_3(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(WORDS("hang up"), WORDS("vm", "list"));
    assert_int_equal(run->exit, CLI_UNREACHABLE);
    assert_one_line(run->err);
}

static void an_error_is_one_line_with_the_next_step(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS(
            "!{\"code\":358,\"message\":\"domain x: not known\","
            "\"data\":{\"cause\":\"c\",\"phase\":null,\"next\":\"join it\"}}"),
        WORDS("domain", "info", SD));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_string_equal(run->err, "drayctl: domain x: not known; join it\n");
    assert_string_equal(run->out, "");
}

/* --- domains --- */

static void domain_create_creates_and_joins(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("true", "\"" SD "\""),
        WORDS("domain", "create", "fast", "/tmp/../tmp", "--max-hosts", "16"));
    assert_int_equal(run->exit, CLI_OK);
    assert_string_equal(run->out, SD "\n");
    assert_int_equal(count_lines(run->asked), 2);
    char *join = strchr(run->asked, '\n') + 1;
    assert_has(run->asked, "StorageDomain.create {\"storagedomainID\":\"");
    assert_has(run->asked, "\"typeArgs\":\"/tmp\",\"name\":\"fast\","
                           "\"domainType\":6,\"maxHosts\":16}");
    assert_has(join, "StorageDomain.join {\"storagedomainID\":\"");
    /* the UUID it made is the one it joins */
    const char *made = strstr(run->asked, "ID\":\"") + 5;
    assert_memory_equal(made, strstr(join, "ID\":\"") + 5, 36);
}

static void an_export_is_passed_on_as_it_is(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("true", "\"" SD "\""),
                    WORDS("domain", "create", "n", "srv:/x/../y",
                          "--mount-options", "soft,timeo=50"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked,
               "\"typeArgs\":\"srv:/x/../y\",\"name\":\"n\","
               "\"mountOptions\":\"soft,timeo=50\",\"domainType\":1}");
    assert_has(strchr(run->asked, '\n'), "\"typeArgs\":\"srv:/x/../y\","
                                         "\"mountOptions\":\"soft,timeo=50\"}");
    run = run_drayctl(WORDS("\"" SD "\""), WORDS("domain", "join", "[::1]:/x"));
    assert_string_equal(run->asked,
                        "StorageDomain.join {\"typeArgs\":\"[::1]:/x\"}\n");
    run = run_drayctl(WORDS("\"" SD "\""),
                      WORDS("domain", "join", "a:/x", "--mount-options", "ac"));
    assert_has(run->asked, "\"mountOptions\":\"ac\"}");
}

static void domain_join_takes_path_name_or_uuid(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("\"" SD "\""), WORDS("domain", "join", "/tmp/."));
    assert_string_equal(run->asked,
                        "StorageDomain.join {\"typeArgs\":\"/tmp\"}\n");
    run =
        run_drayctl(WORDS(DOMAINS, "\"" SD "\""), WORDS("domain", "join", "a"));
    assert_has(run->asked,
               "StorageDomain.join {\"storagedomainID\":\"" SD "\"}\n");
    run = run_drayctl(WORDS("\"" SD "\""), WORDS("domain", "join", SD));
    assert_int_equal(count_lines(run->asked), 1);
    run = run_drayctl(NOTHING, WORDS("domain", "join", "/nonexistent/x"));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_one_line(run->err);
}

static void domain_join_finds_what_is_not_known_by_name(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(WORDS(DOMAINS, "\"" SD "\""),
                                        WORDS("domain", "join", "nobody"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "StorageDomain.join {\"name\":\"nobody\"}\n");
}

static void domain_create_makes_it_on_devices(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("true", "\"" SD "\""),
        WORDS("domain", "create", "--block", "fast", "/tmp", "/", "--force"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "\"name\":\"fast\",\"domainType\":2,\"force\":true,"
                           "\"devices\":[\"/tmp\",\"/\"]}");
    run = run_drayctl(WORDS("true", "\"" SD "\""),
                      WORDS("domain", "create", "fast", "/tmp", "--block",
                            "--type", "iscsi"));
    assert_has(run->asked, "\"domainType\":3,\"devices\":[\"/tmp\"]}");
    run = run_drayctl(NOTHING, WORDS("domain", "create", "--block", "fast",
                                     "/tmp", "/nonexistent/x"));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_one_line(run->err);
}

static void domain_extend_adds_devices(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("true"), WORDS("domain", "extend", SD, "/tmp"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "StorageDomain.extend {\"storagedomainID\":\"" SD
                           "\",\"devlist\":[\"/tmp\"]}");
    run = run_drayctl(WORDS("true"),
                      WORDS("domain", "extend", SD, "/tmp", "--force"));
    assert_has(run->asked, "\"force\":true");
}

static void domain_audit_says_what_a_repair_would_do(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("{\"findings\":[{\"kind\":\"leftover\",\"volumeID\":\"" VOL
              "\",\"text\":\"its making broke off\",\"repair\":\"the LV is "
              "removed\",\"repaired\":false},{\"kind\":\"orphan\",\"text\":"
              "\"LV swap\",\"repaired\":false}]}"),
        WORDS("domain", "audit", SD));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "\"repair\":false");
    assert_int_equal(count_lines(run->out), 3);
    assert_has(run->out, "the LV is removed");
    assert_has(run->out, "by hand");
    run = run_drayctl(WORDS("{\"findings\":[]}"),
                      WORDS("domain", "audit", SD, "--repair"));
    assert_has(run->asked, "\"repair\":true");
    assert_has(run->out, "nothing was found");
}

static void names_must_be_known_and_unique(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS(DOMAINS), WORDS("domain", "leave", "nobody"));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_has(run->err, "domain nobody: there is none; see drayctl domain "
                         "list");
    run = run_drayctl(WORDS(DOMAINS), WORDS("domain", "leave", "twice"));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_has(run->err, "domain twice: 2 match; use the UUID");
}

static void domain_list_is_a_table(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS(DOMAINS), WORDS("domain", "list"));
    assert_int_equal(run->exit, CLI_OK);
    assert_int_equal(count_lines(run->out), 4);
    assert_has(run->out, "NAME");
    assert_has(run->out, "POSIXFS");
    assert_has(run->out, "not mounted");
}

static void domain_info_shows_stats_too(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS(DOMAINS, "{\"uuid\":\"" SD "\",\"pool\":[\"p\"]}",
                          "{\"disktotal\":\"10737418240\",\"diskfree\":\"1\"}"),
                    WORDS("domain", "info", "a"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->out, "10737418240 (10 GiB)");
    assert_has(run->out, "pool");
    run = run_drayctl(
        WORDS("{\"uuid\":\"x\"}", "!{\"code\":1,\"message\":\"not joined\"}"),
        WORDS("--json", "domain", "info", SD));
    assert_int_equal(run->exit, CLI_OK); /* info without stats */
    assert_string_equal(run->err, "");
}

static void json_prints_the_answer_wherever_it_stands(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("[1]"), WORDS("--json", "domain", "list"));
    assert_string_equal(run->out, "[\n  1\n]\n");
    run = run_drayctl(WORDS("[1]"), WORDS("domain", "list", "--json"));
    assert_string_equal(run->out, "[\n  1\n]\n");
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("[{\"uuid\":\"u\",\"name\":\"\\u001b[31mred\","
                          "\"type\":\"POSIXFS\"}]"),
                    WORDS("domain", "list"));
    assert_null(strchr(run->out, '\033'));
    assert_has(run->out, "red");
}

/* --- volumes --- */

static void volume_create_prints_the_path(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("true", "{\"path\":\"/run/p\"}"),
                    WORDS("--json", "volume", "create", SD, "1G", "--image",
                          IMG, "--parent", VOL, "--description", "d"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "Volume.create {\"storagedomainID\":\"" SD
                           "\",\"imageID\":\"" IMG "\",\"volumeID\":\"");
    assert_has(run->asked, "\"size\":\"1073741824\",\"volFormat\":\"COW\","
                           "\"preallocate\":\"SPARSE\",\"diskType\":\"DATA\","
                           "\"desc\":\"d\",\"srcImgUUID\":\"" IMG
                           "\",\"srcVolUUID\":\"" VOL "\"}");
    assert_has(run->asked, "Image.prepare {\"storagedomainID\":\"" SD);
    assert_has(run->out, "\"image\": \"" IMG "\"");
    assert_has(run->out, "\"path\": \"/run/p\"");
}

static void a_new_volume_is_raw_and_has_no_parent(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("true", "{\"path\":\"/run/p\"}"),
                    WORDS("volume", "create", SD, "1G", "--preallocated"));
    assert_has(run->asked, "\"volFormat\":\"RAW\",\"preallocate\":"
                           "\"PREALLOCATED\"");
    assert_has(run->asked, "\"srcVolUUID\":\"" UUID_BLANK "\"");
    assert_has(run->out, "/run/p");
}

static void volume_list_looks_at_each_volume(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("[\"" IMG "\"]", "[\"" VOL "\"]",
              "{\"uuid\":\"" VOL "\",\"image\":\"" IMG
              "\",\"format\":\"RAW\",\"type\":\"SPARSE\",\"voltype\":\"LEAF\","
              "\"capacity\":\"2147483648\",\"truesize\":\"4096\","
              "\"parent\":\"" UUID_BLANK "\",\"description\":\"text\"}"),
        WORDS("volume", "list", SD));
    assert_int_equal(run->exit, CLI_OK);
    assert_string_equal(
        run->asked, "StorageDomain.getImages {\"storagedomainID\":\"" SD "\"}\n"
                    "StorageDomain.getVolumes {\"storagedomainID\":\"" SD
                    "\",\"imageID\":\"" IMG "\"}\n"
                    "Volume.getInfo {\"storagedomainID\":\"" SD
                    "\",\"imageID\":\"" IMG "\",\"volumeID\":\"" VOL "\"}\n");
    assert_has(run->out, "2.0 GiB");
    assert_has(run->out, "4.0 KiB");
    assert_null(strstr(run->out, UUID_BLANK));
}

static void volume_delete_without_volume_deletes_the_image(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("true"), WORDS("volume", "delete", SD, IMG));
    assert_has(run->asked, "Image.delete {\"storagedomainID\":\"" SD
                           "\",\"imageID\":\"" IMG "\",\"postZero\":false,"
                           "\"force\":false}");
    assert_has(run->out, "deleted image " IMG " with all its volumes");
    run = run_drayctl(WORDS("true"), WORDS("volume", "delete", SD, IMG, VOL));
    assert_has(run->asked, "Volume.delete {");
    assert_has(run->asked, "\"volumeID\":\"" VOL "\"");
}

#define MARKS                                                                  \
    "[{\"vmId\":\"" VM "\",\"name\":\"vda\",\"role\":\"source\","              \
    "\"domainID\":\"" SD "\",\"size\":5368709120,\"allocation\":1073741824,"   \
    "\"free\":4294967296,\"threshold\":3221225472,\"max\":10737418240,"        \
    "\"rate\":1048576,\"problem\":\"no space\"}]"

static void vm_watermarks_is_a_table_with_names(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS(MARKS, "[{\"vmId\":\"" VM "\",\"vmName\":\"web1\"}]"),
                    WORDS("vm", "watermarks", "web1"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "VM.getDiskWatermarks {\"vmID\":\"web1\"}");
    assert_int_equal(count_lines(run->out), 2);
    assert_has(run->out, "EXTENDED AT");
    assert_has(run->out, "web1");
    assert_has(run->out, "5.0 GiB");
    assert_has(run->out, "3.0 GiB");
    assert_has(run->out, "1.0 MiB/s");
    assert_has(run->out, "no space");
}

static void vm_watermarks_of_all_as_json(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS(MARKS), WORDS("vm", "watermarks", "--all", "--json"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "VM.getDiskWatermarks -");
    assert_has(run->out, "\"threshold\": 3221225472");
}

static void vm_watermarks_watch_ends_with_ctrl_c(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("interrupt", MARKS),
                    WORDS("vm", "watermarks", "--all", "--watch", "--json"));
    assert_int_equal(run->exit, CLI_OK);
}

static void host_stats_are_keys_and_values(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("{\"pauses\":3,\"extensions\":{\"count\":7,\"p50Ms\":12}}"),
        WORDS("host", "stats"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "Host.getStats");
    assert_has(run->out, "extensions.p50Ms");
    assert_int_equal(count_lines(run->out), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_exit_2_and_asks_nothing),
        cmocka_unit_test(help_is_for_every_command),
        cmocka_unit_test(no_daemon_is_exit_3_and_says_how_to_start_it),
        cmocka_unit_test(a_lost_connection_is_exit_3),
        cmocka_unit_test(an_error_is_one_line_with_the_next_step),
        cmocka_unit_test(domain_create_creates_and_joins),
        cmocka_unit_test(an_export_is_passed_on_as_it_is),
        cmocka_unit_test(domain_join_takes_path_name_or_uuid),
        cmocka_unit_test(domain_join_finds_what_is_not_known_by_name),
        cmocka_unit_test(domain_create_makes_it_on_devices),
        cmocka_unit_test(domain_extend_adds_devices),
        cmocka_unit_test(domain_audit_says_what_a_repair_would_do),
        cmocka_unit_test(names_must_be_known_and_unique),
        cmocka_unit_test(domain_list_is_a_table),
        cmocka_unit_test(domain_info_shows_stats_too),
        cmocka_unit_test(json_prints_the_answer_wherever_it_stands),
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(volume_create_prints_the_path),
        cmocka_unit_test(a_new_volume_is_raw_and_has_no_parent),
        cmocka_unit_test(volume_list_looks_at_each_volume),
        cmocka_unit_test(volume_delete_without_volume_deletes_the_image),
        cmocka_unit_test(vm_watermarks_is_a_table_with_names),
        cmocka_unit_test(vm_watermarks_of_all_as_json),
        cmocka_unit_test(vm_watermarks_watch_ends_with_ctrl_c),
        cmocka_unit_test(host_stats_are_keys_and_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
