/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayd.conf: what is understood, and that nothing else is.
 */
#include "../../../src/config/config-parse.h"
#include <dray/base/log.h>
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct config config;
static struct err err;

static int parse(const char *text)
{
    config_defaults(&config);
    err_clear(&err);
    return config_parse(text, strlen(text), "test.conf", &config, &err);
}

static void sets_every_key(void **state)
{
    (void)state;
    const char *text = "[daemon]\nsocket = /a/sock\nstate_dir=/b\n"
                       "run_dir = /c d\nworkers = 256\nlog_level = debug\n"
                       "[access]\nfull_group = 0\nread_group = 4294967294\n"
                       "[tls]\nlisten = ::1\nport = 65535\nca = /ca\n"
                       "cert = /cert\nkey = /key\ncrl =\n"
                       "[tls-roles]\nHost-b.x = full\nviewer = read\n"
                       "[host]\nid = 2000\nname = Host-1.example_x\n"
                       "[storage]\nowner = 107\ngroup = 108\n"
                       "lvm_timeout = 600\n"
                       "[lease]\nio_timeout = 1\nrequire_watchdog = no\n"
                       "[libvirt]\nuri = test:///default\n"
                       "[migrate]\nbuffer_kib = 64\nconverge_limit = 604800\n"
                       "migration_wait = 86400\njob_leases = never\n"
                       "[peers]\nhost-b =  b:1   qemu+tls://b/system\n"
                       "c = c qemu+unix:///system?socket=/x tcp://c:1\n"
                       "[monitor]\nchunk_mib = 512\n"
                       "utilization_percent = 50\nreplicate_factor = 3\n"
                       "safety_factor = 5\npoll_ms = 500\n"
                       "[tools]\nqemu_img = /q\nsanlock = /s\n"
                       "dray_lvm = /l\n";
    assert_int_equal(parse(text), 0);
    assert_string_equal(config.socket_path, "/a/sock");
    assert_string_equal(config.state_dir, "/b");
    assert_string_equal(config.run_dir, "/c d");
    assert_int_equal(config.workers, 256);
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config.full_gid, 0);
    assert_int_equal(config.read_gid, 4294967294U);
    assert_string_equal(config.tls_listen, "::1");
    assert_int_equal(config.tls_port, 65535);
    assert_string_equal(config.tls_ca, "/ca");
    assert_string_equal(config.tls_cert, "/cert");
    assert_string_equal(config.tls_key, "/key");
    assert_string_equal(config.tls_crl, "");
    assert_string_equal(config.tls_roles, "Host-b.x full\nviewer read\n");
    assert_int_equal(config.host_id, 2000);
    assert_string_equal(config.host_name, "Host-1.example_x");
    assert_int_equal(config.owner_uid, 107);
    assert_int_equal(config.owner_gid, 108);
    assert_int_equal(config.io_timeout_s, 1);
    assert_false(config.require_watchdog);
    assert_string_equal(config.libvirt_uri, "test:///default");
    assert_int_equal(config.buffer_bytes, 65536);
    assert_int_equal(config.converge_limit_s, 604800);
    assert_int_equal(config.migration_wait_s, 86400);
    assert_int_equal(config.job_leases, 2);
    assert_string_equal(config.peers,
                        "host-b b:1 qemu+tls://b/system\n"
                        "c c qemu+unix:///system?socket=/x tcp://c:1\n");
    assert_int_equal(config.chunk_bytes, UINT64_C(512) << 20);
    assert_int_equal(config.utilization_percent, 50);
    assert_int_equal(config.replicate_factor, 3);
    assert_int_equal(config.safety_factor, 5);
    assert_int_equal(config.poll_ms, 500);
    assert_string_equal(config.qemu_img, "/q");
    assert_string_equal(config.sanlock, "/s");
    assert_string_equal(config.dray_lvm, "/l");
    assert_int_equal(config.lvm_timeout_s, 600);
}

static void keeps_defaults_of_what_is_not_said(void **state)
{
    (void)state;
    assert_int_equal(parse("# nothing\n\n; at all"), 0);
    assert_string_equal(config.socket_path, "/run/drayd/drayd.sock");
    assert_string_equal(config.state_dir, "/var/lib/drayd");
    assert_string_equal(config.run_dir, "/run/drayd");
    assert_int_equal(config.workers, 16);
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);
    assert_int_equal(config.read_gid, (gid_t)-1);
    assert_int_equal(config.host_id, 1);
    assert_int_equal(config.owner_uid, 36);
    assert_int_equal(config.owner_gid, 36);
    assert_int_equal(config.io_timeout_s, 10);
    assert_true(config.require_watchdog);
    assert_string_equal(config.libvirt_uri, "qemu:///system");
    assert_int_equal(config.buffer_bytes, 1048576);
    assert_int_equal(config.converge_limit_s, 0);
    assert_int_equal(config.chunk_bytes, UINT64_C(2560) << 20);
    assert_int_equal(config.utilization_percent, 20);
    assert_int_equal(config.replicate_factor, 2);
    assert_int_equal(config.safety_factor, 4);
    assert_int_equal(config.poll_ms, 2000);
    assert_string_equal(config.tls_listen, "");
    assert_int_equal(config.tls_port, 16515);
    assert_string_equal(config.tls_ca, "/etc/drayd/pki/ca.pem");
    assert_string_equal(config.tls_cert, "/etc/drayd/pki/cert.pem");
    assert_string_equal(config.tls_key, "/etc/drayd/pki/key.pem");
    assert_string_equal(config.tls_crl, "/etc/drayd/pki/crl.pem");
    assert_string_equal(config.tls_roles, "");
    assert_string_equal(config.qemu_img, "/usr/bin/qemu-img");
    assert_string_equal(config.sanlock, "/usr/sbin/sanlock");
}

static void knows_six_words_for_booleans(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        bool value;
    } cases[] = {
        {"yes",    true },
        { "true",  true },
        { "on",    true },
        { "no",    false},
        { "false", false},
        { "off",   false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[64];
        assert_true(str_format(text, sizeof(text),
                               "[lease]\nrequire_watchdog = %s\n",
                               cases[i].word));
        assert_int_equal(parse(text), 0);
        assert_int_equal(config.require_watchdog, cases[i].value);
    }
}

static void finds_users_and_groups_by_name(void **state)
{
    (void)state;
    assert_int_equal(parse("[storage]\nowner = daemon\ngroup = sys\n"
                           "[access]\nfull_group = root\nread_group = adm\n"),
                     0);
    assert_int_equal(config.owner_uid, 1);
    assert_int_equal(config.owner_gid, 3);
    assert_int_equal(config.full_gid, 0);
    assert_int_equal(config.read_gid, 4);
}

static void takes_an_empty_group_for_nobody(void **state)
{
    (void)state;
    assert_int_equal(parse("[access]\nfull_group =\nread_group = \n"), 0);
    assert_int_equal(config.full_gid, (gid_t)-1);
    assert_int_equal(config.read_gid, (gid_t)-1);
}

/* The text, and what the message must contain: line, key, cause. The formatter
 * would make lines of 120 columns of it. */
/* clang-format off */
static const char *const broken[][2] = {
    { "[daemon]\nsockets = /a\n", "test.conf:2: [daemon] sockets: is not" },
    { "workers = 1\n", "test.conf:1: [] workers: is not" },
    { "[host]\nworkers = 1\n", "test.conf:2: [host] workers: is not" },
    { "[bogus]\nid = 1\n", "test.conf:1: unknown section: [bogus]" },
    { "[host]\nid = 1\n\n[hosts]\n", "test.conf:4: unknown section: [hosts]" },
    { "[]\n", "test.conf:1: unknown section: []" },
    { "[host\nid = 1\n", "test.conf:1: unknown section: [host" },
    { "[host]\nid\n", "test.conf:2: neither" },
    { "\n\n[host]\nid =\n", "test.conf:4: [host] id: '' is not a number" },
    { "[host]\nid = 0\n", "[host] id: '0' is not a number from 1 to 2000" },
    { "[host]\nid = 2001\n", "'2001' is not" },
    { "[host]\nid = -1\n", "'-1' is not" },
    { "[host]\nid = 1x\n", "'1x' is not" },
    { "[host]\nid = 1 # mine\n", "'1 # mine' is not" },
    { "[host]\nid = 18446744073709551617\n", "is not a number" },
    { "[host]\nid = 1\nid = 2\n", "test.conf:3: [host] id: is given twice" },
    { "[host]\nid = 1\n name = a\n", "test.conf:3: [host] id: is given twice" },
    { "[host]\nname =\n", "[host] name: has no value" },
    { "[host]\nname = a b\n", "has other characters" },
    { "[host]\nname = 12345678901234567890123456789012345678901234567 8\n",
      "has other characters" },
    { "[host]\nname = 123456789012345678901234567890123456789012345678\n",
      "is longer than 47 bytes" },
    { "[daemon]\nworkers = 0\n", "'0' is not a number from 1 to 256" },
    { "[daemon]\nworkers = 257\n", "'257' is not" },
    { "[daemon]\nsocket = drayd.sock\n", "is not an absolute path" },
    { "[daemon]\nsocket =\n", "is not an absolute path" },
    { "[daemon]\nsocket = /23456789_123456789_123456789_123456789_123456789_"
      "123456789_123456789_123456789_123456789_123456789_12345678\n",
      "is longer than 107 bytes" },
    { "[daemon]\nlog_level = 7\n", "is none of error, warning, info, debug" },
    { "[lease]\nrequire_watchdog = maybe\n", "is neither yes nor no" },
    { "[lease]\nrequire_watchdog = Yes\n", "is neither yes nor no" },
    { "[lease]\nio_timeout = 0\n", "from 1 to 120" },
    { "[lease]\nio_timeout = 121\n", "from 1 to 120" },
    { "[lease]\nio_timeout = 10s\n", "from 1 to 120" },
    { "[libvirt]\nuri =\n", "has no value" },
    { "[migrate]\nbuffer_kib = 63\n", "from 64 to 262144" },
    { "[migrate]\nconverge_limit = 604801\n", "from 0 to 604800" },
    { "[migrate]\nmigration_wait = 604801\n", "from 0 to 604800" },
    { "[migrate]\njob_leases = yes\n", "none of shared, always, never" },
    { "[peers]\nb = b\n", "[peers] b: 'b' is not ADDRESS LIBVIRT_URI" },
    { "[peers]\nb =\n", "is not ADDRESS" },
    { "[peers]\nb = b c d e\n", "is not ADDRESS" },
    { "[peers]\nh t = b c\n", "has other characters" },
    { "[peers]\nb = b c\nB = b c\n", "[peers] B: is given twice" },
    { "[monitor]\nchunk_mib = 0\n", "from 1 to 1048576" },
    { "[monitor]\nutilization_percent = 100\n", "from 1 to 99" },
    { "[monitor]\nreplicate_factor = 0\n", "from 1 to 100" },
    { "[monitor]\nsafety_factor = 101\n", "from 1 to 100" },
    { "[monitor]\npoll_ms = 99\n", "from 100 to 60000" },
    { "[storage]\nowner = no-such-user\n", "there is no user 'no-such-user'" },
    { "[storage]\nowner =\n", "[storage] owner: has no value" },
    { "[storage]\nowner = 4294967295\n", "there is no user '4294967295'" },
    { "[storage]\ngroup = no-such-group\n", "there is no group" },
    { "[access]\nfull_group = no-such-group\n", "there is no group" },
    { "[access]\nread_group = no-such-group\n", "there is no group" },
    { "[tools]\nqemu_img = qemu-img\n", "is not an absolute path" },
    { "[tls]\nlisten = localhost\n", "'localhost' is no IP address" },
    { "[tls]\nlisten = 127.0.0.1:1\n", "is no IP address" },
    { "[tls]\nlisten = 127.1\n", "is no IP address" },
    { "[tls]\nport = 0\n", "from 1 to 65535" },
    { "[tls]\nport = 65536\n", "from 1 to 65535" },
    { "[tls]\nkey =\n", "is not an absolute path" },
    { "[tls]\ncrl = crl.pem\n", "is not an absolute path" },
    { "[tls-roles]\nhost = all\n", "test.conf:2: [tls-roles] host: 'all' is "
      "neither full nor read" },
    { "[tls-roles]\nhost =\n", "'' is neither full nor read" },
    { "[tls-roles]\nh t = full\n", "has other characters" },
    { "[tls-roles]\n*.x = full\n", "has other characters" },
    { "[tls-roles]\nhost = full\nab = read\nHOST = read\n",
      "test.conf:4: [tls-roles] HOST: is given twice" },
    { "[libvirt]\nuri = \xff\n", "test.conf: is not a text in UTF-8" },
};
/* clang-format on */

static void refuses_what_it_does_not_understand(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        if (parse(broken[i][0]) != -EINVAL)
            fail_msg("taken: %s", broken[i][0]);
        if (!strstr(err.message, broken[i][1]))
            fail_msg("%s\n gave: %s\n not: %s", broken[i][0], err.message,
                     broken[i][1]);
        assert_true(err.next[0] != '\0');
    }
}

/* 1,200 hosts need more room than there is, 300 with long names less. */
static void has_room_for_many_roles(void **state)
{
    (void)state;
    char text[32 * 1024] = "[tls-roles]\n";
    size_t len = strlen(text);
    for (unsigned i = 0; i < 300; i++, len += strlen(text + len))
        str_format(text + len, sizeof(text) - len,
                   "host-%u.a-long-name.of.example.com = full\n", i);
    assert_int_equal(parse(text), 0);
    assert_non_null(strstr(config.tls_roles, "\nhost-299.a-long-name.of."
                                             "example.com full\n"));
    for (unsigned i = 0; i < 900; i++, len += strlen(text + len))
        str_format(text + len, sizeof(text) - len, "other-%u = read\n", i);
    assert_int_equal(parse(text), -EINVAL);
    assert_non_null(strstr(err.message, "is one name too many"));
}

static void refuses_a_nul_byte(void **state)
{
    (void)state;
    static const char text[] = "[host]\nid = 2\0\n";
    config_defaults(&config);
    err_clear(&err);
    assert_int_equal(
        config_parse(text, sizeof(text) - 1, "test.conf", &config, &err),
        -EINVAL);
}

static void names_a_line_that_is_too_long(void **state)
{
    (void)state;
    char text[16 * 1024];
    memset(text, 'x', sizeof(text));
    memcpy(text, "\n[tools]\nsanlock = /", 20);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(parse(text), -EINVAL);
    assert_non_null(strstr(err.message, "test.conf:3: line too long"));
}

static void survives_every_cut(void **state)
{
    (void)state;
    static const char text[] = "[daemon]\nworkers = 12\n[tools]\nsanlock = /s";
    for (size_t len = 0; len < sizeof(text); len++) {
        config_defaults(&config);
        err_clear(&err);
        int rc = config_parse(text, len, "test.conf", &config, &err);
        assert_true(rc == 0 || rc == -EINVAL);
        assert_int_equal(rc, err.rc);
    }
}

static void works_without_an_error_buffer(void **state)
{
    (void)state;
    config_defaults(&config);
    assert_int_equal(config_parse("[x]\n", 4, "test.conf", &config, NULL),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_every_key),
        cmocka_unit_test(keeps_defaults_of_what_is_not_said),
        cmocka_unit_test(knows_six_words_for_booleans),
        cmocka_unit_test(finds_users_and_groups_by_name),
        cmocka_unit_test(takes_an_empty_group_for_nobody),
        cmocka_unit_test(refuses_what_it_does_not_understand),
        cmocka_unit_test(has_room_for_many_roles),
        cmocka_unit_test(refuses_a_nul_byte),
        cmocka_unit_test(names_a_line_that_is_too_long),
        cmocka_unit_test(survives_every_cut),
        cmocka_unit_test(works_without_an_error_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
