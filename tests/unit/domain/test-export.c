/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How exports are spelled, and which mount options pass.
 */
#include "../../../src/domain/nfs/export.h"
#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void one_export_has_one_spelling(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"srv:/x",                 "srv:/x",                "srv:_x"           },
        { "SRV.Example.com:/X/y",  "srv.example.com:/X/y",
         "srv.example.com:_X_y"                                                },
        { "srv://x//y/",           "srv:/x/y",              "srv:_x_y"         },
        { "srv:/",                 "srv:/",                 "srv:_"            },
        { "srv:///",               "srv:/",                 "srv:_"            },
        { "10.0.0.1:/a_b/c",       "10.0.0.1:/a_b/c",       "10.0.0.1:_a__b_c" },
        { "[::1]:/x",              "[::1]:/x",              "[::1]:_x"         },
        { "[FD00:0:0::0:1]:/x",    "[fd00::1]:/x",          "[fd00::1]:_x"     },
        { "[fe80::1%eth0]:/x",     "[fe80::1%eth0]:/x",     "[fe80::1%eth0]:_x"},
        { "srv:/my disks/..x/...", "srv:/my disks/..x/...",
         "srv:_my disks_..x_..."                                               },
        { "srv:/a:/b",             "srv:/a:/b",             "srv:_a:_b"        },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char remote[DOMAIN_REMOTE_SIZE] = "", name[NAME_MAX + 1] = "";
        struct err err = ERR_INIT;
        assert_true(nfs_is_export(rows[i][0]));
        if (nfs_export_read(rows[i][0], remote, &err) < 0)
            fail_msg("%s", err.message);
        assert_string_equal(remote, rows[i][1]);
        nfs_export_dir(remote, name);
        assert_string_equal(name, rows[i][2]);
        /* the spelling is its own */
        assert_int_equal(nfs_export_read(rows[i][1], remote, NULL), 0);
        assert_string_equal(remote, rows[i][1]);
    }
}

static void what_is_no_export_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",          "srv",       "srv:x",      ":/x",         "-o:/x",
        "a b:/x",    "a,b:/x",    "fd00::1:/x", "[fd00::1:/x", "fd00::1]:/x",
        "[]:/x",     "[::1%]:/x", "[x]:/x",     "[::1%-a]:/x", "[::1]x:/x",
        "srv:/../x", "srv:/x/..", "srv:/./x",   "srv:/x\ny",   "s\xc3\xa4:/x",
        ".x:/y",     "a/b:/x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char remote[DOMAIN_REMOTE_SIZE] = "before";
        struct err err = ERR_INIT;
        if (nfs_export_read(rows[i], remote, &err) == 0)
            fail_msg("%s", rows[i]);
        assert_int_equal(err.code, ERR_VALUE);
        assert_true(err.next[0] != '\0');
        assert_null(strchr(err.message, '\n'));
        assert_string_equal(remote, "before");
    }
    assert_false(nfs_is_export("/mnt/a:/b"));
    assert_false(nfs_is_export("srv"));
}

/* What its directory is called has to fit. */
static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[400] = "srv:/", remote[DOMAIN_REMOTE_SIZE];
    for (int len = 5; len < 399; len++) {
        text[len] = 'x';
        text[len + 1] = '\0';
        assert_int_equal(nfs_export_read(text, remote, NULL) == 0, len < 255);
    }
    (void)memset(text + 5, '_', 120); /* each of them counts twice */
    text[5 + 120] = '\0';
    assert_int_equal(nfs_export_read(text, remote, NULL), 0);
    (void)memset(text + 5, '_', 130);
    text[5 + 130] = '\0';
    assert_true(nfs_export_read(text, remote, NULL) < 0);
}

static void options_that_do_no_harm_pass(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "soft",
        "hard,timeo=600,retrans=2",
        "vers=4.2",
        "nfsvers=3,proto=tcp,mountport=20048",
        "sec=krb5p,nconnect=4,rsize=1048576",
        "context=system_u:object_r:virt_image_t:s0",
        "nosharecache,noac,lookupcache=none,_netdev",
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err err = ERR_INIT;
        if (nfs_options_check(rows[i], &err) < 0)
            fail_msg("%s", err.message);
    }
}

static void others_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        const char *word;
    } rows[] = {
        {"nolock",               "locks"      },
        { "soft,local_lock=all", "locks"      },
        { "ro",                  "written"    },
        { "bg",                  "mounted"    },
        { "retry=5",             "again"      },
        { "nocto",               "other hosts"},
        { "udp",                 "damage"     },
        { "proto=udp",           "proto=udp"  },
        { "fsc",                 "fsc"        },
        { "vers=2",              "vers=2"     },
        { "vers",                "vers"       },
        { "soft=1",              "soft=1"     },
        { "timeo=",              "timeo="     },
        { "timeo=-1",            "timeo=-1"   },
        { "timeo=1e3",           "timeo=1e3"  },
        { "timeo=1234567890",    "timeo"      },
        { "-o",                  "-o"         },
        { "exec",                "exec"       },
        { "suid",                "suid"       },
        { "users",               "users"      },
        { "hard ,soft",          "hard "      },
        { "hard,,soft",          "\"\""       },
        { "hard\nsoft",          "one line"   },
        { "context=a,b=c",       "b=c"        },
        { "context=\"a\"",       "context"    },
        { "helper=x",            "helper"     },
        { "sec=none",            "sec=none"   },
        { "X-mount.mkdir",       "X-mount"    },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err err = ERR_INIT;
        if (nfs_options_check(rows[i].options, &err) == 0)
            fail_msg("%s", rows[i].options);
        assert_int_equal(err.code, ERR_VALUE);
        if (!strstr(err.message, rows[i].word))
            fail_msg("%s", err.message);
    }
    char many[DOMAIN_OPTIONS_SIZE + 8] = "hard";
    for (size_t n = 4; n + 5 < sizeof(many); n += 5)
        (void)str_copy(many + n, sizeof(many) - n, ",hard");
    assert_true(strlen(many) >= DOMAIN_OPTIONS_SIZE);
    assert_true(nfs_options_check(many, NULL) < 0);
}

#define OURS "nodev,nosuid,noexec,retry=0"

static void what_is_not_said_is_ours(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"",                                              OURS ",vers=4,hard,timeo=100,retrans=3,lookupcache=positive"},
        { "soft,retrans=5",
         OURS ",vers=4,timeo=100,lookupcache=positive,soft,retrans=5"                                                 },
        { "softerr,nfsvers=4.1,timeo=1,lookupcache=none",
         OURS ",retrans=3,softerr,nfsvers=4.1,timeo=1,lookupcache=none"                                               },
        { "softreval,vers=3",
         OURS ",hard,timeo=100,retrans=3,lookupcache=positive,softreval,"
               "vers=3"                                                                                               },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char all[NFS_OPTIONS_SIZE];
        assert_int_equal(nfs_options_check(rows[i][0], NULL), 0);
        nfs_options_complete(rows[i][0], all);
        assert_string_equal(all, rows[i][1]);
    }
}

/* Nothing of what was given is cut off. */
static void the_longest_options_fit(void **state)
{
    (void)state;
    char options[DOMAIN_OPTIONS_SIZE] = "sync", all[NFS_OPTIONS_SIZE];
    for (size_t n = 4; n + 5 < sizeof(options); n += 5)
        (void)str_copy(options + n, sizeof(options) - n, ",sync");
    assert_int_equal(nfs_options_check(options, NULL), 0);
    nfs_options_complete(options, all);
    assert_true(str_ends_with(all, options));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_export_has_one_spelling),
        cmocka_unit_test(what_is_no_export_is_refused),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(options_that_do_no_harm_pass),
        cmocka_unit_test(others_are_refused_by_name),
        cmocka_unit_test(what_is_not_said_is_ours),
        cmocka_unit_test(the_longest_options_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
