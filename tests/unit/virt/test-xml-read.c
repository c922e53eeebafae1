/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/virt/xml.h"
#include "samples.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct xml_disk disk_of(const char *xml, const char *target)
{
    struct err err = ERR_INIT;
    struct xml_disk disk;
    memset(&disk, 0xff, sizeof(disk));
    assert_int_equal(xml_disk(xml, target, &disk, &err), 0);
    return disk;
}

static void lists_all_disks_in_order(void **state)
{
    (void)state;
    static const char *const targets[] = { "vda", "vdb", "sda", "hda" };
    struct xml_disk *disks = NULL;
    size_t n = 0;
    struct err err = ERR_INIT;
    assert_int_equal(xml_disks(LIVE_BEFORE, &disks, &n, &err), 0);
    assert_int_equal(n, ARRAY_SIZE(targets));
    for (size_t i = 0; i < n; i++)
        assert_string_equal(disks[i].disk.target, targets[i]);
    free(disks);
}

static void reads_what_a_raw_disk_is(void **state)
{
    (void)state;
    struct xml_disk disk = disk_of(LIVE_BEFORE, "vda");
    assert_string_equal(disk.disk.device, "disk");
    assert_string_equal(disk.disk.type, "file");
    assert_string_equal(disk.disk.path, "/srv/img/a.raw");
    assert_string_equal(disk.disk.format, "raw");
    assert_string_equal(disk.disk.serial, "SER1");
    assert_string_equal(disk.disk.alias, "virtio-disk0");
    assert_false(disk.disk.read_only);
    assert_false(disk.disk.shareable);
    assert_false(disk.disk.transient);
    assert_int_equal(disk.disk.chain_n, 1);
    assert_false(disk.disk.mirror.present);
    assert_int_equal(disk.phase, MIRROR_NONE);
}

static void counts_the_layers_of_a_running_chain(void **state)
{
    (void)state;
    struct xml_disk disk = disk_of(LIVE_BEFORE, "vdb");
    assert_int_equal(disk.disk.chain_n, 3);
    assert_string_equal(disk.disk.path, "/srv/img/leaf.qcow2");
    assert_string_equal(disk.disk.format, "qcow2");
    assert_string_equal(disk.disk.serial, "");
}

static void knows_no_chain_when_the_vm_is_off(void **state)
{
    (void)state;
    assert_int_equal(disk_of(PERSISTENT, "vda").disk.chain_n, 0);
    assert_int_equal(disk_of(PERSISTENT, "vdb").disk.chain_n, 0);
    assert_string_equal(disk_of(PERSISTENT, "vda").disk.path,
                        "/srv/img/n-a.raw");
}

static void an_empty_drive_has_no_path(void **state)
{
    (void)state;
    struct xml_disk disk = disk_of(LIVE_BEFORE, "hda");
    assert_string_equal(disk.disk.device, "cdrom");
    assert_string_equal(disk.disk.path, "");
    assert_true(disk.disk.read_only);
    assert_int_equal(disk.disk.chain_n, 0);
}

static void sees_a_mirror_and_when_it_is_ready(void **state)
{
    (void)state;
    struct xml_disk disk = disk_of(LIVE_COPYING, "vdb");
    assert_true(disk.disk.mirror.present);
    assert_false(disk.disk.mirror.ready);
    assert_string_equal(disk.disk.mirror.path, "/srv/img/n-leaf.qcow2");
    assert_int_equal(disk.phase, MIRROR_COPYING);
    assert_int_equal(disk.disk.chain_n, 3); /* not the mirror's */

    disk = disk_of(LIVE_READY, "vdb");
    assert_true(disk.disk.mirror.ready);
    assert_int_equal(disk.phase, MIRROR_READY);
    assert_string_equal(disk.disk.path, "/srv/img/leaf.qcow2");
    assert_int_equal(disk_of(LIVE_READY, "sda").phase, MIRROR_NONE);
}

static void only_yes_means_ready(void **state)
{
    (void)state;
    static const struct {
        const char *ready;
        enum mirror_phase phase;
    } cases[] = {
        {"ready='yes'",    MIRROR_READY   },
        { "ready='abort'", MIRROR_ABORTING},
        { "ready='pivot'", MIRROR_PIVOTING},
        { "ready='no'",    MIRROR_COPYING },
        { "ready=''",      MIRROR_COPYING },
        { "",              MIRROR_COPYING },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *xml = str_printf(
            "<domain><devices><disk type='file'><source file='/a'/>"
            "<mirror type='block' job='copy' %s><source dev='/dev/x'/></mirror>"
            "<target dev='vda'/></disk></devices></domain>",
            cases[i].ready);
        struct xml_disk disk = disk_of(xml, "vda");
        assert_int_equal(disk.phase, cases[i].phase);
        assert_int_equal(disk.disk.mirror.ready,
                         cases[i].phase == MIRROR_READY);
        assert_true(disk.disk.mirror.present);
        assert_string_equal(disk.disk.mirror.path, "/dev/x");
        free(xml);
    }
}

static void an_active_commit_is_no_copy(void **state)
{
    (void)state;
    struct xml_disk disk = disk_of(LIVE_COMMIT, "vda");
    assert_false(disk.disk.mirror.present);
    assert_string_equal(disk.disk.mirror.path, "");
    assert_int_equal(disk.kind, VM_JOB_ACTIVE_COMMIT);
    assert_int_equal(disk.phase, MIRROR_COPYING);
    assert_string_equal(disk.mirror_path, "/srv/img/n-a.raw");
}

static void reads_each_type_of_source(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"<disk type='block'><source dev='/dev/x'/>",                "/dev/x"},
        { "<disk type='dir'><source dir='/d'/>",                     "/d"    },
        { "<disk><source file='/f'/>",                               "/f"    },
        { "<disk type='volume'><source pool='p' volume='v'/>",       ""      },
        { "<disk type='block'><source file='/f'/>",                  ""      },
        { "<disk type='file'><source file='/a &amp;&quot;&lt; b'/>",
         "/a &\"< b"                                                         },
        { "<disk type='file'><source file='/\xc3\xa4&#xe4;'/>",
         "/\xc3\xa4\xc3\xa4"                                                 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *xml = str_printf("<domain><devices>%s<target dev='vda'/>"
                               "<shareable/><transient/></disk></devices>"
                               "</domain>",
                               cases[i][0]);
        struct xml_disk disk = disk_of(xml, "vda");
        assert_string_equal(disk.disk.path, cases[i][1]);
        assert_true(disk.disk.shareable);
        assert_true(disk.disk.transient);
        free(xml);
    }
}

static void network_disks_are_places(void **state)
{
    (void)state;
    struct xml_disk disk = disk_of(LIVE_NETWORK, "vda");
    assert_string_equal(disk.disk.type, "network");
    assert_string_equal(disk.disk.path,
                        "nbd+unix:///a%20%2541?socket=/run/vm%20a%20%254.s");
    assert_int_equal(disk.slice, 0);
    disk = disk_of(LIVE_NETWORK, "sda");
    assert_string_equal(disk.disk.path, "/dev/loop7");
    assert_int_equal(disk.slice, 16 << 20);
    static const char *const cases[][2] = {
        {"protocol='nbd' name='e'><host name='H' port='10810'/>",
         "nbd://h:10810/e"                                                                        },
        { "protocol='nbd'><host name='h'/>",                                 "nbd://h:10809/"     },
        { "protocol='nbd' name='e'><host name='::1' port='10809' "
          "transport='tcp'/>",                                      "nbd://[::1]:10809/e"},
        { "protocol='nbd' name='/e'><host name='h'/>",                       "nbd://h:10809//e"   },
        { "protocol='iscsi' name='iqn.x/2'><host name='h' port='3260'/>",
         "iscsi://h/iqn.x/2"                                                                      },
        { "protocol='rbd' name='p/i'><host name='a' port='6789'/>"
          "<host name='b'/>",                                       "rbd://a:6789/p/i"   },
        { "protocol='rbd' name='p/i'>",                                      "rbd:///p/i"         },
        { "protocol='gluster' name='v/p'><host transport='rdma' name='h'/>",
         "gluster+rdma://h/v/p"                                                                   },
        { "protocol='nfs' name='/d/a'><host name='h'/>",                     "nfs://h/d/a"        },
        { "protocol='https' name='a' query='b=c'><host name='h'/>",
         "https://h/a?b=c"                                                                        },
        { "protocol='odd' name='&#10;'>",                                    "odd:///%0A"         },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *xml = str_printf("<domain><devices><disk type='network'>"
                               "<source %s</source><target dev='vda'/></disk>"
                               "</devices></domain>",
                               cases[i][0]);
        assert_string_equal(disk_of(xml, "vda").disk.path, cases[i][1]);
        free(xml);
    }
}

static void only_a_slice_from_the_start_counts(void **state)
{
    (void)state;
    static const struct {
        const char *slice;
        uint64_t size;
    } cases[] = {
        {"offset='0' size='512'",        512       },
        { "offset='512' size='512'",     0         },
        { "offset='0' size='x'",         0         },
        { "size='18446744073709551615'", UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *xml = str_printf(
            "<domain><devices><disk type='block'><source dev='/d'><slices>"
            "<slice type='storage' %s/></slices></source><target dev='vda'/>"
            "</disk></devices></domain>",
            cases[i].slice);
        assert_true(disk_of(xml, "vda").slice == cases[i].size);
        free(xml);
    }
}

/* In the last step of a pivot libvirt has no kind any more. */
static void the_kind_of_a_mirror_can_be_told_without_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *job, *path;
        enum vm_job_kind kind;
    } cases[] = {
        {"job='copy'",           "/base", VM_JOB_COPY         },
        { "job='active-commit'", "/x",    VM_JOB_ACTIVE_COMMIT},
        { "job='backup'",        "/base", VM_JOB_OTHER        },
        { "job=''",              "/base", VM_JOB_ACTIVE_COMMIT},
        { "job=''",              "/mid",  VM_JOB_ACTIVE_COMMIT},
        { "",                    "/x",    VM_JOB_COPY         },
        { "",                    "/leaf", VM_JOB_COPY         },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *xml = str_printf(
            "<domain><devices><disk type='file'><source file='/leaf'/>"
            "<backingStore type='file'><source file='/mid'/>"
            "<backingStore type='file'><source file='/base'/></backingStore>"
            "</backingStore>"
            "<mirror type='file' %s ready='pivot'><source file='%s'/></mirror>"
            "<target dev='vda'/></disk></devices></domain>",
            cases[i].job, cases[i].path);
        struct xml_disk disk = disk_of(xml, "vda");
        assert_int_equal(disk.kind, cases[i].kind);
        assert_int_equal(disk.phase, MIRROR_PIVOTING);
        assert_string_equal(disk.mirror_path, cases[i].path);
        assert_int_equal(disk.disk.mirror.present,
                         cases[i].kind == VM_JOB_COPY);
        free(xml);
    }
}

static void layers_have_libvirts_numbers(void **state)
{
    (void)state;
    static const struct xml_layer expected[] = {
        {7,  "nbd+unix:///over?socket=/run/vm%20over.s"},
        { 3, "/srv/leaf"                               },
        { 5, "/srv/mid"                                },
        { 6, "/srv/base"                               },
    };
    struct xml_layer *layers = NULL;
    size_t n = 0;
    struct err err = ERR_INIT;
    assert_int_equal(xml_chain(LIVE_NETWORK, "vdb", &layers, &n, &err), 0);
    assert_int_equal(n, ARRAY_SIZE(expected));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(layers[i].index, expected[i].index);
        assert_string_equal(layers[i].path, expected[i].path);
    }
    free(layers);
    assert_int_equal(xml_chain(PERSISTENT, "vdb", &layers, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(layers[0].index, 0);
    free(layers);
    assert_int_equal(xml_chain(LIVE_BEFORE, "hda", &layers, &n, &err), 0);
    assert_int_equal(n, 0);
    free(layers);
    layers = NULL;
    assert_int_equal(xml_chain(LIVE_BEFORE, "vdz", &layers, &n, &err),
                     XML_NO_DISK);
    assert_int_equal(xml_chain("<x/>", "vda", &layers, &n, &err), -EBADMSG);
    assert_null(layers);
}

static void says_when_there_is_no_such_disk(void **state)
{
    (void)state;
    struct xml_disk disk;
    struct err err = ERR_INIT;
    assert_int_equal(xml_disk(LIVE_BEFORE, "vdz", &disk, &err), XML_NO_DISK);
    assert_int_equal(xml_disk(LIVE_BEFORE, "", &disk, &err), XML_NO_DISK);
    assert_int_equal(err.rc, 0);
}

static void refuse(const char *xml, int expected)
{
    struct xml_disk *disks = NULL;
    size_t n = 7;
    struct err err = ERR_INIT;
    assert_int_equal(xml_disks(xml, &disks, &n, &err), expected);
    assert_int_equal(err.rc, expected);
    assert_null(disks);
    assert_int_equal(n, 7);
}

static void refuses_what_is_no_definition(void **state)
{
    (void)state;
    refuse("", -EBADMSG);
    refuse("nonsense", -EBADMSG);
    refuse("<domain>", -EBADMSG);
    refuse("<network/>", -EBADMSG);
    refuse("<domain><devices><disk type='file'>", -EBADMSG);
    refuse("<domain a='\xff'/>", -EBADMSG);
    refuse("<domain>&undefined;</domain>", -EBADMSG);
}

static void refuses_a_dtd(void **state)
{
    (void)state;
    refuse("<!DOCTYPE domain><domain/>", -EBADMSG);
    refuse("<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
           "<domain><devices><disk><serial>&e;</serial></disk></devices>"
           "</domain>",
           -EBADMSG);
    refuse("<!DOCTYPE d [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>"
           "<domain x='&b;'/>",
           -EBADMSG);
}

static void refuses_what_is_too_large(void **state)
{
    (void)state;
    char *xml = malloc(XML_SIZE_MAX + 2);
    assert_non_null(xml);
    memset(xml, ' ', XML_SIZE_MAX + 1);
    memcpy(xml, "<domain/>", 9);
    xml[XML_SIZE_MAX + 1] = '\0';
    refuse(xml, -EBADMSG);
    xml[XML_SIZE_MAX] = '\0';
    struct xml_disk *disks = NULL;
    size_t n;
    assert_int_equal(xml_disks(xml, &disks, &n, NULL), 0);
    free(disks);
    free(xml);
}

/* A cut-off path would be another file. */
static void refuses_a_path_that_does_not_fit(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char path[PATH_MAX + 1];
        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[PATH_MAX - 1 + extra] = '\0';
        char *xml = str_printf(
            "<domain><devices><disk><source file='%s'/><target dev='vda'/>"
            "</disk></devices></domain>",
            path);
        if (extra)
            refuse(xml, -ENAMETOOLONG);
        else
            assert_string_equal(disk_of(xml, "vda").disk.path, path);
        free(xml);
    }
}

struct seen {
    char text[2048];
    const char *end_at;
};

static bool note_layer(void *arg, const char *path)
{
    struct seen *seen = arg;
    size_t used = strlen(seen->text);
    assert_true(
        str_format(seen->text + used, sizeof(seen->text) - used, "%s ", path));
    return seen->end_at && str_equal(path, seen->end_at);
}

static void walks_over_layers_and_mirrors(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct err err = ERR_INIT;
    assert_int_equal(xml_layers(LIVE_COPYING, note_layer, &seen, &err), 0);
    assert_string_equal(
        seen.text,
        "/srv/img/a.raw /srv/img/n-a.raw "
        "/srv/img/leaf.qcow2 /srv/img/mid.qcow2 /srv/img/base.qcow2 "
        "/srv/img/n-leaf.qcow2 /srv/img/n-mid.qcow2 /srv/img/n-base.qcow2 "
        "/srv/img/s.raw ");
}

static void ends_the_walk_when_told(void **state)
{
    (void)state;
    struct seen seen = { .end_at = "/srv/img/n-a.raw" };
    struct err err = ERR_INIT;
    assert_int_equal(xml_layers(LIVE_COPYING, note_layer, &seen, &err), 1);
    assert_string_equal(seen.text, "/srv/img/a.raw /srv/img/n-a.raw ");
    assert_int_equal(xml_layers("<x/>", note_layer, &seen, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_all_disks_in_order),
        cmocka_unit_test(reads_what_a_raw_disk_is),
        cmocka_unit_test(counts_the_layers_of_a_running_chain),
        cmocka_unit_test(knows_no_chain_when_the_vm_is_off),
        cmocka_unit_test(an_empty_drive_has_no_path),
        cmocka_unit_test(sees_a_mirror_and_when_it_is_ready),
        cmocka_unit_test(only_yes_means_ready),
        cmocka_unit_test(an_active_commit_is_no_copy),
        cmocka_unit_test(reads_each_type_of_source),
        cmocka_unit_test(network_disks_are_places),
        cmocka_unit_test(only_a_slice_from_the_start_counts),
        cmocka_unit_test(the_kind_of_a_mirror_can_be_told_without_its_name),
        cmocka_unit_test(layers_have_libvirts_numbers),
        cmocka_unit_test(says_when_there_is_no_such_disk),
        cmocka_unit_test(refuses_what_is_no_definition),
        cmocka_unit_test(refuses_a_dtd),
        cmocka_unit_test(refuses_what_is_too_large),
        cmocka_unit_test(refuses_a_path_that_does_not_fit),
        cmocka_unit_test(walks_over_layers_and_mirrors),
        cmocka_unit_test(ends_the_walk_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
