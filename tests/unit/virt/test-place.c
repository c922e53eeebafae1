/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/virt/node.h"
#include "../../../src/virt/place.h"
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *text, const char *place)
{
    char found[PATH_MAX] = "unset", again[PATH_MAX];
    struct err err = ERR_INIT;
    int rc = place_normalize(text, found, &err);
    if (rc)
        print_message("%s: %s\n", text, err.message);
    assert_int_equal(rc, 0);
    assert_string_equal(found, place);
    assert_int_equal(place_normalize(found, again, &err), 0);
    assert_string_equal(again, found); /* it is the one spelling */
}

static void paths_stay_as_they_are(void **state)
{
    (void)state;
    expect("/", "/");
    expect("/srv/img/a b%41.raw", "/srv/img/a b%41.raw");
    assert_false(place_is_uri("/x"));
    assert_true(place_is_uri("nbd://h/x"));
    assert_true(place_is_uri(""));
}

static void uris_get_one_spelling(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"nbd+unix:///exp?socket=/run/x.sock",
         "nbd+unix:///exp?socket=/run/x.sock"                                        },
        { "NBD+Unix:///exp?socket=%2Frun%2fx.sock",
         "nbd+unix:///exp?socket=/run/x.sock"                                        },
        { "nbd+unix://?socket=/s",                  "nbd+unix:///?socket=/s"         },
        { "nbd+unix://ignored:1/e?socket=/s",       "nbd+unix:///e?socket=/s"        },
        { "nbd:unix:/s",                            "nbd+unix:///?socket=/s"         },
        { "nbd:unix:/run/a b:exportname=e%41",
         "nbd+unix:///e%2541?socket=/run/a%20b"                                      },
        { "nbd://Host",                             "nbd://host:10809/"              },
        { "nbd://host/",                            "nbd://host:10809/"              },
        { "nbd+tcp://host:010809/a/b",              "nbd://host:10809/a/b"           },
        { "nbd:host:1234:exportname=e",             "nbd://host:1234/e"              },
        { "nbd:[::1]:1234",                         "nbd://[::1]:1234/"              },
        { "nbd://[FE80::1]/x",                      "nbd://[fe80::1]:10809/x"        },
        { "nbd://h/%2Fx",                           "nbd://h:10809//x"               },
        { "nbd://h//x",                             "nbd://h:10809//x"               },
        { "nbd://h/%c3%a4?",                        "nbd://h:10809/%C3%A4"           },
        { "nbd://h/a%20b%3f%23%26%25",              "nbd://h:10809/a%20b%3F%23%26%25"},
        { "nbd://h/a+b;c'd\"e",                     "nbd://h:10809/a%2Bb%3Bc%27d%22e"},
        { "iscsi://h:3260/iqn.2020-01.org:d/1",
         "iscsi://h/iqn.2020-01.org:d/1"                                             },
        { "iscsi://h/iqn.x",                        "iscsi://h/iqn.x/0"              },
        { "rbd:///pool/image@snap",                 "rbd:///pool/image@snap"         },
        { "gluster+tcp://h:24007/vol/p",            "gluster://h/vol/p"              },
        { "gluster+rdma://h:1/vol/p",               "gluster+rdma://h:1/vol/p"       },
        { "gluster+unix:///vol/p?socket=/g",
         "gluster+unix:///vol/p?socket=/g"                                           },
        { "ssh://h:22/dir/a",                       "ssh://h/dir/a"                  },
        { "nfs://h//dir/a",                         "nfs://h/dir/a"                  },
        { "https://h:443/a?b=c%20d&e",              "https://h/a?b=c%20d&e"          },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(cases[i][0], cases[i][1]);
}

static void refuses_what_it_cannot_use(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "relative",
        "./x",
        "://",
        "://h/x",
        "nbd:",
        "nbd:host",
        "nbd:host:",
        "nbd:unix:",
        "nbd://",
        "nbd:///x",
        "nbd://:10809/x",
        "nbd://h:0/x",
        "nbd://h:65536/x",
        "nbd://h:1x/x",
        "nbd://h:-1/x",
        "nbd://h:99999999999999999999/x",
        "nbd://[::1/x",
        "nbd://[::1]x/x",
        "nbd://user@h/x",
        "nbd://user:secret@h/x",
        "nbd://h/x?tls-creds=t",
        "nbd://h/x#part",
        "nbd://h/x?#part",
        "nbd+unix:///x",
        "nbd+unix:///x?socket=",
        "nbd+unix:///x?other=/s",
        "nbd+unix:///x?socket=/s&tls=1",
        "nbd+unix:///x?socket=/s&socket=/t",
        "nbd+unix:///x?socket=/s%00",
        "nbd://h/%",
        "nbd://h/%4",
        "nbd://h/%zz",
        "nbd://h/%0a",
        "nbd://h/%7F",
        "nbd://h/%00",
        "nbd://h/%ff",
        "nbd://h/a\nb",
        "nbd://h/\x7f",
        "nbd://h/\xff",
        "nbd://%ff/x",
        "gopher://h/x",
        "nbd+x://h/x",
        "nbd:/d:4",
        "nbd://h%2F/x",
        "nbd://h%40x/x",
        "nbd://a b/x",
        "nbd+unix+tcp:///x?socket=/s",
        "nbdx://h/x",
        "file:///etc/passwd",
        "a-very-long-protocol://h/x",
        "n b d://h/x",
        "json:{\"driver\":\"nbd\"}",
        "rbd:pool/image:id=x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char found[PATH_MAX] = "unset";
        struct err err = ERR_INIT;
        if (place_normalize(cases[i], found, &err) != -EINVAL)
            print_message("%s\n", cases[i]);
        assert_int_equal(err.rc, -EINVAL);
        assert_true(err.message[0]);
        assert_null(strpbrk(err.message, "\n\x7f"));
        assert_string_equal(found, "unset");
    }
}

/* A secret is not repeated where everybody reads it. */
static void a_refused_user_gets_a_hint(void **state)
{
    (void)state;
    char found[PATH_MAX];
    struct err err = ERR_INIT;
    assert_int_equal(place_normalize("ssh://u:secret@h/x", found, &err),
                     -EINVAL);
    assert_null(strstr(err.message, "secret"));
    assert_non_null(strstr(err.next, "no password"));
}

static char *long_uri(const char *head, char filler, size_t n)
{
    char *text = calloc(1, strlen(head) + n + 1);
    assert_non_null(text);
    memcpy(text, head, strlen(head));
    memset(text + strlen(head), filler, n);
    return text;
}

static void refuses_what_is_too_long(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        size_t fits;
    } cases[] = {
        {"nbd://h/",               PLACE_NAME_SIZE - 1  },
        { "nbd://",                PLACE_HOST_SIZE - 1  },
        { "nbd+unix:///x?socket=", PLACE_SOCKET_SIZE - 1},
        { "http://h/?",            PLACE_NAME_SIZE - 1  },
        { "nbd:h:1:exportname=",   PLACE_NAME_SIZE - 1  },
        { "nbd:unix:",             PLACE_SOCKET_SIZE - 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t extra = 0; extra < 2; extra++) {
            char found[PATH_MAX];
            char *uri = long_uri(cases[i].head, 'x', cases[i].fits + extra);
            assert_int_equal(place_normalize(uri, found, NULL),
                             extra ? -EINVAL : 0);
            free(uri);
        }
    }
    /* what counts is the length of what it means */
    char *escaped = calloc(1, 8 + 3 * (PLACE_NAME_SIZE - 1) + 1);
    assert_non_null(escaped);
    memcpy(escaped, "nbd://h/", 8);
    for (size_t i = 0; i < PLACE_NAME_SIZE - 1; i++)
        memcpy(escaped + 8 + 3 * i, "%20", 3);
    char plain[PATH_MAX];
    assert_int_equal(place_normalize(escaped, plain, NULL), 0);
    free(escaped);
    char *huge = long_uri("nbd://h/", 'x', 1 << 20), found[PATH_MAX];
    assert_int_equal(place_normalize(huge, found, NULL), -EINVAL);
    free(huge);
    huge = long_uri("/", 'x', PATH_MAX);
    assert_int_equal(place_normalize(huge, found, NULL), -ENAMETOOLONG);
    free(huge);
    /* each byte three times as long when it is escaped */
    struct place place = { .protocol = "nbd", .host = "h" };
    memset(place.name, ' ', sizeof(place.name) - 1);
    memset(place.host, ' ', sizeof(place.host) - 1);
    assert_int_equal(place_format(&place, found), 0);
    memset(place.query, 'q', sizeof(place.query) - 1);
    assert_int_equal(place_format(&place, found), -ENAMETOOLONG);
}

static void expect_node(const char *name, const char *place)
{
    char found[PATH_MAX] = "unset";
    if (!place) {
        assert_false(node_place(name, found));
        return;
    }
    assert_true(node_place(name, found));
    assert_string_equal(found, place);
}

/* qemu escapes nothing. */
static void reads_what_qemu_prints(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/srv/a b%41?socket=#",                "/srv/a b%41?socket=#"    },
        { "relative",                           "relative"                },
        { "nbd+unix:///e?socket=/s",            "nbd+unix:///e?socket=/s" },
        { "nbd+unix://?socket=/s",              "nbd+unix:///?socket=/s"  },
        { "nbd+unix:///a %41?socket=/r/a %4.s",
         "nbd+unix:///a%20%2541?socket=/r/a%20%254.s"                     },
        { "nbd+unix:////e?socket=/s",           "nbd+unix:////e?socket=/s"},
        { "nbd+unix:///a?socket=b?socket=/s",
         "nbd+unix:///a%3Fsocket=b?socket=/s"                             },
        { "nbd://Host:10809/a#b",               "nbd://host:10809/a%23b"  },
        { "nbd://::1:10810/e",                  "nbd://[::1]:10810/e"     },
        { "nbd://[::1]:10810/e",                "nbd://[::1]:10810/e"     },
        { "nbd://h:10809",                      "nbd://h:10809/"          },
        { "ssh://user@h:22/dir/a",              "ssh://h/dir/a"           },
        { "nfs://h/dir/a?uid=1&gid=2",          "nfs://h/dir/a"           },
        { "rbd:pool/image:id=x:mon_host=y",     "rbd:///pool/image"       },
        { "http://h:80/a?b",                    "http://h/a?b"            },
        { "nbd+unix:///no-socket",              "nbd+unix:///no-socket"   },
        { "something:else",                     "something:else"          },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect_node(cases[i][0], cases[i][1]);
}

static void reads_json_names(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"driver\":\"raw\",\"file\":{\"driver\":\"nbd\",\"export\":\"e\","
          "\"server\":{\"type\":\"unix\",\"path\":\"/s\"}}}",                  "nbd+unix:///e?socket=/s"      },
        { "{\"driver\":\"nbd\",\"server.type\":\"unix\","
          "\"server.path\":\"/s\"}",                                           "nbd+unix:///?socket=/s"       },
        { "{\"driver\":\"nbd\",\"path\":\"/s\",\"export\":\"a b\"}",
         "nbd+unix:///a%20b?socket=/s"                                                                                 },
        { "{\"driver\":\"nbd\",\"server\":{\"type\":\"inet\","
          "\"host\":\"::1\",\"port\":\"10809\"},\"export\":\"e\"}",            "nbd://[::1]:10809/e"          },
        { "{\"driver\":\"nbd\",\"host\":\"h\",\"port\":10810}",
         "nbd://h:10810/"                                                                                              },
        { "{\"driver\":\"iscsi\",\"portal\":\"h:3260\","
          "\"target\":\"iqn.x\",\"lun\":3}",                                   "iscsi://h/iqn.x/3"            },
        { "{\"driver\":\"iscsi\",\"portal\":\"[::1]:1\","
          "\"target\":\"iqn.x\"}",                                             "iscsi://[::1]:1/iqn.x/0"      },
        { "{\"driver\":\"rbd\",\"pool\":\"p\",\"image\":\"i\","
          "\"server\":[{\"host\":\"h\",\"port\":\"6789\"},{\"host\":\"x\"}]}", "rbd://h:6789/p/i"             },
        { "{\"driver\":\"rbd\",\"pool\":\"p\",\"namespace\":\"n\","
          "\"image\":\"i\"}",                                                  "rbd:///p/n/i"                 },
        { "{\"driver\":\"gluster\",\"volume\":\"v\",\"path\":\"a/b\","
          "\"server.0.type\":\"inet\",\"server.0.host\":\"h\"}",               "gluster://h/v/a/b"            },
        { "{\"driver\":\"gluster\",\"volume\":\"v\",\"path\":\"p\","
          "\"server\":[{\"type\":\"unix\",\"path\":\"/g\"}]}",                 "gluster+unix:///v/p?socket=/g"},
        { "{\"driver\":\"ssh\",\"path\":\"/dir/a\",\"user\":\"u\","
          "\"server\":{\"host\":\"h\",\"port\":\"22\"}}",                      "ssh://h/dir/a"                },
        { "{\"driver\":\"nfs\",\"path\":\"/d\",\"server\":{\"host\":\"h\"}}",
         "nfs://h/d"                                                                                                   },
        { "{\"driver\":\"https\",\"url\":\"https://h/a?b\"}",                           "https://h/a?b"                },
        { "{\"driver\":\"mirror_top\",\"backing\":{\"driver\":\"raw\","
          "\"file\":{\"driver\":\"file\",\"filename\":\"/x\"}}}",              "/x"                           },
        { "{\"driver\":\"null-co\"}",                                                   NULL                           },
        { "{\"driver\":\"raw\",\"file\":null}",                                         NULL                           },
        { "{\"driver\":7,\"file\":[]}",                                                 NULL                           },
        { "{\"driver\":\"nbd\",\"backing\":{...",                                       NULL                           },
        { "[]",                                                                         NULL                           },
        { "",                                                                           NULL                           },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *name = str_printf("json:%s", cases[i][0]);
        expect_node(name, cases[i][1]);
        free(name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_stay_as_they_are),
        cmocka_unit_test(uris_get_one_spelling),
        cmocka_unit_test(refuses_what_it_cannot_use),
        cmocka_unit_test(a_refused_user_gets_a_hint),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(reads_what_qemu_prints),
        cmocka_unit_test(reads_json_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
