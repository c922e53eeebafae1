/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whole runs of drayctl against a scripted daemon: VMs, plans, migrations and
 * jobs.
 */
#include "../../../src/cli/cli.h"
#include "server.h"
#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define JOB_AT(state, rest)                                                    \
    "{\"id\":\"" JOB "\",\"state\":\"" state "\",\"vm\":{\"vmName\":"          \
    "\"web1\"},\"disk\":\"vda\",\"created\":1700000000000" rest "}"
#define ENDED ",\"ended\":1700000014400"
#define HALF                                                                   \
    ",\"progress\":{\"done\":1073741824,\"total\":2147483648,"                 \
    "\"percent\":50,\"rate\":104857600,\"eta\":10}"
#define WHOLE                                                                  \
    ",\"progress\":{\"done\":2147483648,\"total\":2147483648,"                 \
    "\"percent\":100,\"rate\":0,\"eta\":null,\"pauseMs\":12.3}"

/* --- VMs --- */

static void vm_list_is_a_table(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("[{\"vmId\":\"" VM "\",\"vmName\":\"web1\",\"status\":"
              "\"running\"}]"),
        WORDS("vm", "list"));
    assert_int_equal(count_lines(run->out), 2);
    assert_has(run->out, "web1");
    assert_has(run->out, VM);
    assert_has(run->out, "running");
}

static void vm_disks_names_the_domain(void **state)
{
    (void)state;
    const char *disks =
        "[{\"name\":\"vda\",\"path\":\"/p\",\"format\":\"raw\","
        "\"capacity\":1073741824,\"domainID\":\"" SD "\",\"imageID\":\"" IMG
        "\"},{\"name\":\"sda\",\"path\":\"/iso\"}]";
    const struct run *run =
        run_drayctl(WORDS(disks, DOMAINS), WORDS("vm", "disks", "web1"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "VM.getDisks {\"vmID\":\"web1\"}\n");
    assert_has(run->out, "1.0 GiB raw    a ");
    assert_null(strstr(run->out, SD));
    run = run_drayctl(WORDS(disks), WORDS("--json", "vm", "disks", "web1"));
    assert_has(run->out, SD);
}

/* --- moves and jobs --- */

static void a_plan_says_what_speaks_against_it(void **state)
{
    (void)state;
    const char *rest =
        "\"vm\":{\"vmName\":\"web1\"},\"disk\":\"vda\",\"chain\":2,\"bytes\":"
        "1073741824,\"expectedSeconds\":70,\"source\":{\"free\":1,\"total\":"
        "1073741824},\"destination\":{\"free\":2147483648,\"total\":"
        "4294967296,\"required\":1073741824}}";
    char plan[1024];
    str_format(plan, sizeof(plan), "{\"possible\":true,\"obstacles\":[],%s",
               rest);
    const struct run *run =
        run_drayctl(WORDS(plan), WORDS("disk", "plan", "web1", "vda", "a"));
    assert_int_equal(run->exit, CLI_OK);
    assert_string_equal(run->asked, "Disk.plan {\"vmID\":\"web1\",\"disk\":"
                                    "\"vda\",\"domain\":\"a\"}\n");
    assert_has(run->out, "vda of web1, 2 layer(s)");
    assert_has(run->out, "2.0 GiB of 4.0 GiB free, needs 1.0 GiB");
    assert_has(run->out, "1 min 10 s");
    assert_has(run->out, "nothing speaks against the move");
    str_format(plan, sizeof(plan),
               "{\"possible\":false,\"obstacles\":[{\"message\":\"too small\","
               "\"next\":\"grow it\"},{\"message\":\"busy\",\"next\":\"\"}],%s",
               rest);
    run = run_drayctl(WORDS(plan), WORDS("disk", "plan", "web1", "vda", "a"));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_has(run->out, "  too small; grow it\n  busy\n");
}

static void migrate_shows_phases_and_the_end(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("{}", JOB_AT("preparing", ""), JOB_AT("syncing", HALF),
              JOB_AT("syncing", HALF), JOB_AT("converging", HALF),
              JOB_AT("done", ENDED WHOLE)),
        WORDS("disk", "migrate", "web1", "vda", "a", "--limit", "50",
              "--keep-source", "--format", "qcow2", "--job-id", JOB));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked,
               "Disk.migrate {\"vmID\":\"web1\",\"disk\":\"vda\",\"domain\":"
               "\"a\",\"format\":\"COW\",\"keepSource\":true,\"limit\":52428800"
               ",\"jobID\":\"" JOB "\"}\n"
               "Job.info {\"jobID\":\"" JOB "\"}\n"
               "Job.wait {\"jobID\":\"" JOB "\",\"timeout\":1}\n"
               "Job.info {\"jobID\":\"" JOB "\"}\n");
    assert_string_equal(run->err, "");
    assert_int_equal(count_lines(run->out), 4); /* one per phase, the end */
    assert_has(run->out, "preparing\ncopying   50 %  1.0/2.0 GiB  100 MiB/s  "
                         "ETA 10 s\nmirroring   50 %  1.0/2.0 GiB");
    assert_has(run->out,
               "moved 2.0 GiB in 14 s, guest paused 12 ms, source deleted\n");
}

static void a_plan_of_several_disks_says_why(void **state)
{
    (void)state;
    const char *plan =
        "{\"possible\":true,\"obstacles\":[],\"vm\":{\"vmName\":\"web1\"},"
        "\"strategy\":\"snapshot\",\"why\":\"the leaf is large\",\"disk\":"
        "\"vda\",\"chain\":1,\"bytes\":1073741824,\"expectedSeconds\":7,"
        "\"disks\":[{\"disk\":\"vda\",\"chain\":1,\"mover\":\"reflink\","
        "\"source\":{\"domainID\":\"" SD "\",\"free\":1,\"total\":1073741824},"
        "\"destination\":{\"path\":\"nbd://h/x\",\"free\":null,\"total\":"
        "null,\"required\":1073741824}},{\"disk\":\"vdb\",\"chain\":2,"
        "\"mover\":\"direct\",\"source\":{\"path\":\"/p\",\"free\":"
        "1073741824,\"total\":null},\"destination\":{\"domainID\":\"" SD
        "\",\"free\":0,\"total\":0}}]}";
    const struct run *run = run_drayctl(
        WORDS(plan), WORDS("disk", "plan", "web1", "vda=a", "vdb=/x=y",
                           "--strategy", "snapshot", "--verify", "--fast"));
    assert_int_equal(run->exit, CLI_OK);
    assert_string_equal(
        run->asked,
        "Disk.plan {\"vmID\":\"web1\",\"disks\":[{\"disk\":\"vda\",\"domain\":"
        "\"a\"},{\"disk\":\"vdb\",\"domain\":\"/x=y\"}],\"strategy\":"
        "\"snapshot\",\"verify\":true,\"fast\":true}\n");
    assert_has(run->out, "snapshot: the leaf is large");
    assert_has(run->out, "vda of web1, 1 layer(s), frozen ones copied by "
                         "reflink");
    assert_has(run->out, "vdb of web1, 2 layer(s), frozen ones copied by "
                         "direct");
    assert_has(run->out, "nbd://h/x, needs 1.0 GiB\n");
    assert_has(run->out, "/p, 1.0 GiB free\n");
    assert_int_equal(count_lines(run->out), 9); /* vdb's destination: none */
}

#define JOB_ID "--job-id", JOB, "--detach"

static void several_disks_are_one_job(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("{}"), WORDS("disk", "migrate", "web1", "vda=a",
                                       "/p/q=b", JOB_ID));
    assert_int_equal(run->exit, CLI_OK);
    assert_string_equal(
        run->asked, "Disk.migrate {\"vmID\":\"web1\",\"disks\":[{\"disk\":"
                    "\"vda\",\"domain\":\"a\"},{\"disk\":\"/p/q\",\"domain\":"
                    "\"b\"}],\"jobID\":\"" JOB "\"}\n");
    assert_string_equal(run->out, JOB "\n");
    run = run_drayctl(WORDS("{}"),
                      WORDS("disk", "migrate", "web1", "vda=a", JOB_ID));
    assert_has(run->asked, "\"disks\":[{\"disk\":\"vda\",\"domain\":\"a\"}]");
    run = run_drayctl(WORDS("{}"), WORDS("disk", "migrate", "web1", "vda",
                                         "nbd+unix:///?socket=/s", JOB_ID));
    assert_has(run->asked, "\"disk\":\"vda\",\"domain\":"
                           "\"nbd+unix:///?socket=/s\"");
    /* the eighth fits */
    run = run_drayctl(WORDS("{}"),
                      WORDS("disk", "migrate", "v", "a=1", "b=2", "c=3", "d=4",
                            "e=5", "f=6", "g=7", "h=8", JOB_ID));
    assert_has(run->asked, "{\"disk\":\"h\",\"domain\":\"8\"}]");
}

static void wrong_words_ask_nothing(void **state)
{
    const char *const *const lines[] = {
        WORDS("disk", "migrate", "web1", "vda"),
        WORDS("disk", "migrate", "web1", "vda=a", "vdb"),
        WORDS("disk", "migrate", "web1", "vda=a", "vdb", "c=d"),
        WORDS("disk", "migrate", "web1", "=a"),
        WORDS("disk", "migrate", "web1", "vda="),
        WORDS("disk", "migrate", "v", "a=1", "b=2", "c=3", "d=4", "e=5", "f=6",
              "g=7", "h=8", "i=9"),
        WORDS("disk", "migrate", "web1", "vda", "a", "--strategy", "copy"),
        WORDS("disk", "migrate", "web1", "vda", "a", "--format", "RAW"),
        WORDS("disk", "migrate", "web1", "vda", "a", "--job-id", "x"),
        WORDS("disk", "plan", "web1", "vda", "a", "--job-id", JOB),
        WORDS("disk", "plan", "web1", "vda", "a", "--detach"),
        WORDS("disk", "import", "web1", "vda", "/srv/a"),
        WORDS("disk", "import", "web1", "vda", "nbd://h"),
        WORDS("disk", "import", "web1", "vda"),
        WORDS("disk", "import", "web1", "vda", "a", "--keep-source"),
        WORDS("disk", "import", "web1", "vda", "a", "--verify"),
        WORDS("disk", "export", "web1", "vda", "a"),
        WORDS("disk", "export", "web1", "vda", "./a"),
        WORDS("disk", "export", "web1", "vda=/a"),
        WORDS("disk", "export", "web1", "vda", "/a", "--strategy", "mirror"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        const struct run *run = run_drayctl(NOTHING, lines[i]);
        assert_int_equal(run->exit, CLI_USAGE);
        assert_string_equal(run->asked, "");
        assert_one_line(run->err);
    }
}

static void an_import_leaves_what_it_came_from(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("{\"source\":{\"path\":\"/p\"}}", "{}",
              JOB_AT("done", ENDED WHOLE
                     ",\"keepSource\":true,\"source\":{\"path\":\"/p\"}")),
        WORDS("disk", "import", "web1", "vda", "a", "--format", "qcow2"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "Disk.plan {\"vmID\":\"web1\",\"disk\":\"vda\","
                           "\"domain\":\"a\"}\nDisk.migrate {\"vmID\":"
                           "\"web1\",\"disk\":\"vda\",\"domain\":\"a\","
                           "\"format\":\"COW\",\"keepSource\":true,\"jobID\"");
    assert_has(run->out, "moved 2.0 GiB in 14 s, guest paused 12 ms, the "
                         "source is left: /p\n");
    /* what is in a domain already is no import */
    run = run_drayctl(WORDS("{\"source\":{\"domainID\":\"" SD "\"}}"),
                      WORDS("disk", "import", "web1", "vda", "a"));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_one_line(run->err);
    assert_has(run->err, "is in domain " SD " already");
    assert_has(run->err, "drayctl disk migrate web1 vda a");
    /* under an id of the caller's it may be the same job again */
    run = run_drayctl(WORDS("{}"),
                      WORDS("disk", "import", "web1", "vda", "a", JOB_ID));
    assert_true(str_starts_with(run->asked, "Disk.migrate "));
}

static void an_export_is_a_move_to_outside(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("{}"), WORDS("disk", "export", "web1", "vda",
                                       "/srv/x.raw", "--format", "raw",
                                       "--fast", "--keep-source", JOB_ID));
    assert_int_equal(run->exit, CLI_OK);
    assert_string_equal(
        run->asked,
        "Disk.migrate {\"vmID\":\"web1\",\"disk\":\"vda\",\"domain\":"
        "\"/srv/x.raw\",\"format\":\"RAW\",\"fast\":true,\"keepSource\":true,"
        "\"jobID\":\"" JOB "\"}\n");
}

static void a_new_migration_brings_its_own_id(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("{}"), WORDS("disk", "migrate", "web1", "vda", "a", "--detach"));
    assert_int_equal(run->exit, CLI_OK);
    const char *id = strstr(run->asked, "\"jobID\":\"");
    assert_non_null(id);
    assert_int_equal(strlen(run->out), UUID_SIZE);
    assert_memory_equal(id + 9, run->out, UUID_SIZE - 1);
}

static void an_interrupt_leaves_the_job(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS(JOB_AT("syncing", HALF), "interrupt", JOB_AT("syncing", HALF)),
        WORDS("job", "watch", JOB));
    assert_int_equal(run->exit, CLI_INTERRUPTED);
    assert_one_line(run->err);
    assert_has(run->err, "goes on");
    assert_has(run->err, "drayctl job watch cccccccc");
    assert_has(run->err, "drayctl job cancel cccccccc");
    assert_null(strstr(run->asked, "Job.cancel"));
}

static void a_watch_survives_a_restart_of_the_daemon(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS(JOB_AT("syncing", HALF), "hang up", JOB_AT("done", ENDED WHOLE)),
        WORDS("job", "watch", JOB));
    assert_int_equal(run->exit, CLI_OK);
    assert_string_equal(run->err, "");
    assert_has(run->out, "waiting for drayd\n");
    assert_has(run->out, "moved 2.0 GiB");
}

static void the_end_decides_the_exit_code(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(WORDS(JOB_AT("cancelled", ENDED HALF)),
                                        WORDS("job", "watch", JOB));
    assert_int_equal(run->exit, CLI_CANCELLED);
    run = run_drayctl(
        WORDS(JOB_AT("failed", ENDED
                     ",\"error\":{\"code\":397,\"message\":\"no space left\","
                     "\"phase\":\"syncing\",\"next\":\"free some\"}")),
        WORDS("job", "watch", JOB));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_string_equal(run->err,
                        "drayctl: syncing: no space left; free some\n");
    run = run_drayctl(WORDS("!{\"code\":66,\"message\":\"no such job\"}"),
                      WORDS("job", "watch", JOB));
    assert_int_equal(run->exit, CLI_FAILED);
    assert_has(run->err, "no such job");
}

static void a_warning_is_passed_on(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS(JOB_AT("done", ENDED WHOLE ",\"warning\":\"look here\"")),
        WORDS("job", "watch", JOB));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->err, "drayctl: warning: look here");
    assert_has(run->out, ", source kept\n");
}

static void a_kept_source_is_told(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS(JOB_AT("done", ENDED WHOLE ",\"keepSource\":true")),
                    WORDS("job", "watch", JOB));
    assert_has(run->out, ", source kept\n");
}

static void watch_with_json_prints_only_the_end(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS(JOB_AT("syncing", HALF), JOB_AT("done", ENDED WHOLE)),
                    WORDS("--json", "job", "watch", JOB));
    assert_int_equal(run->exit, CLI_OK);
    assert_int_equal(run->out[0], '{');
    assert_has(run->out, "\"state\": \"done\"");
    assert_null(strstr(run->out, "syncing"));
}

static void jobs_may_be_abbreviated(void **state)
{
    (void)state;
    const char *list =
        "[" JOB_AT("done", ENDED WHOLE) ",{\"id\":\"" VM "\"},{\"id\":\"dd"
                                        "\"}]";
    const struct run *run =
        run_drayctl(WORDS(list, "true"), WORDS("job", "cancel", "ccc"));
    assert_int_equal(run->exit, CLI_OK);
    assert_has(run->asked, "Job.cancel {\"jobID\":\"" JOB "\"}");
    run = run_drayctl(WORDS(list), WORDS("job", "info", "dd"));
    assert_int_equal(run->exit, CLI_FAILED);
    run = run_drayctl(WORDS(list), WORDS("job", "info", ""));
    assert_int_equal(run->exit, CLI_FAILED);
}

static void job_limit_sends_bytes(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("true"), WORDS("job", "limit", JOB, "1.5"));
    assert_string_equal(run->asked, "Job.limit {\"jobID\":\"" JOB
                                    "\",\"limit\":1572864}\n");
    run = run_drayctl(WORDS("true"), WORDS("job", "limit", JOB, "0"));
    assert_has(run->asked, "\"limit\":0}");
}

static void job_list_is_a_table(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(WORDS("[" JOB_AT("syncing", HALF) "]"),
                                        WORDS("job", "list"));
    assert_int_equal(count_lines(run->out), 2);
    assert_has(run->out, JOB);
    assert_has(run->out, "50 %");
    assert_has(run->out, "100 MiB/s");
    run =
        run_drayctl(WORDS("[" JOB_AT("done", HALF) "]"), WORDS("job", "list"));
    assert_has(run->out, "100 %");
}

static void job_info_tells_of_the_guest(void **state)
{
    (void)state;
    const char *disks = "[{\"disk\":\"vda\"},{\"disk\":\"vdb\",\"source\":"
                        "{\"path\":\"/p\"}}]";
    char job[1024];
    str_format(job, sizeof(job), "%s",
               JOB_AT("syncing",
                      ",\"strategy\":\"snapshot\",\"disks\":[{\"disk\":"
                      "\"only\"}],\"progress\":{\"quietWriteMs\":0.314,"
                      "\"writeMs\":null}"));
    const struct run *run = run_drayctl(WORDS(job), WORDS("job", "info", JOB));
    assert_has(run->out, "snapshot\n");
    assert_has(run->out, "0.31 ms before, - during\n");
    assert_null(strstr(run->out, "only"));
    str_format(job, sizeof(job),
               "{\"id\":\"" JOB "\",\"disks\":%s,\"progress\":{"
               "\"quietWriteMs\":null,\"writeMs\":null}}",
               disks);
    run = run_drayctl(WORDS(job), WORDS("job", "info", JOB));
    assert_has(run->out, "disks.source.path");
    assert_null(strstr(run->out, "guest writes"));
}

static void other_jobs_have_their_own_words(void **state)
{
    (void)state;
    const struct run *run =
        run_drayctl(WORDS("[{\"id\":\"" JOB "\",\"kind\":\"image_copy\","
                          "\"state\":\"syncing\",\"source\":{\"imageID\":"
                          "\"" IMG "\"}},{\"id\":\"" VM "\",\"kind\":"
                          "\"disk_migrate\",\"disk\":\"vda\",\"disks\":"
                          "[{\"disk\":\"vda\"},{\"disk\":\"vdb\"}]}]"),
                    WORDS("job", "list"));
    assert_has(run->out, "image_copy");
    assert_has(run->out, IMG);
    assert_has(run->out, " vda,vdb");
    run = run_drayctl(
        WORDS("{\"id\":\"" JOB "\",\"kind\":\"image_copy\",\"state\":"
              "\"done\",\"created\":1700000000000" ENDED WHOLE "}"),
        WORDS("job", "watch", JOB));
    assert_string_equal(run->out, "image_copy done: 2.0 GiB in 14 s\n");
    run =
        run_drayctl(WORDS("{\"id\":\"" JOB "\",\"kind\":\"merge\",\"state\":"
                          "\"cancelled\",\"created\":1700000000000" ENDED "}"),
                    WORDS("job", "watch", JOB));
    assert_string_equal(run->out, "job " JOB ": cancelled\n");
}

static void rpc_passes_everything_on(void **state)
{
    (void)state;
    const struct run *run = run_drayctl(
        WORDS("{\"a\":[]}"), WORDS("rpc", "Any.verb", "{\"x\":[1,null]}"));
    assert_int_equal(run->exit, CLI_OK);
    assert_string_equal(run->asked, "Any.verb {\"x\":[1,null]}\n");
    assert_has(run->out, "\"a\"");
    run = run_drayctl(WORDS("null"), WORDS("rpc", "Any.verb"));
    assert_string_equal(run->asked, "Any.verb -\n");
    assert_string_equal(run->out, "null\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vm_list_is_a_table),
        cmocka_unit_test(vm_disks_names_the_domain),
        cmocka_unit_test(a_plan_says_what_speaks_against_it),
        cmocka_unit_test(migrate_shows_phases_and_the_end),
        cmocka_unit_test(a_plan_of_several_disks_says_why),
        cmocka_unit_test(several_disks_are_one_job),
        cmocka_unit_test(wrong_words_ask_nothing),
        cmocka_unit_test(an_import_leaves_what_it_came_from),
        cmocka_unit_test(an_export_is_a_move_to_outside),
        cmocka_unit_test(a_new_migration_brings_its_own_id),
        cmocka_unit_test(an_interrupt_leaves_the_job),
        cmocka_unit_test(a_watch_survives_a_restart_of_the_daemon),
        cmocka_unit_test(the_end_decides_the_exit_code),
        cmocka_unit_test(a_warning_is_passed_on),
        cmocka_unit_test(a_kept_source_is_told),
        cmocka_unit_test(watch_with_json_prints_only_the_end),
        cmocka_unit_test(jobs_may_be_abbreviated),
        cmocka_unit_test(job_limit_sends_bytes),
        cmocka_unit_test(job_list_is_a_table),
        cmocka_unit_test(job_info_tells_of_the_guest),
        cmocka_unit_test(other_jobs_have_their_own_words),
        cmocka_unit_test(rpc_passes_everything_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
