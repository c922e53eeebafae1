/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/virt/xml.h"
#include "samples.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const hostile_paths[] = {
    "/srv/a'b",
    "/srv/a\"b",
    "/srv/a<b>&c",
    "/srv/'/><source file='/etc/shadow",
    "/srv/&amp;",
    "/srv/\xc3\xa4\xe2\x82\xac",
    "/srv/  two  blanks ",
};

static const char *const refused_paths[] = {
    "",       "relative", "/a\nb", "/a\tb", "/a\rb",
    "/a\x01", "/a\x7f",   "/\xff", "/\xc3",
};

static int copy_destination(struct xml_source source, char **ret_text)
{
    struct err err = ERR_INIT;
    int rc = xml_copy_destination(&source, ret_text, &err);
    assert_int_equal(err.rc, rc);
    return rc;
}

static void builds_the_destination_of_a_file(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(
        copy_destination(
            (struct xml_source){ "/srv/x.qcow2", "qcow2", false, 0 }, &text),
        0);
    assert_string_equal(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                              "<disk type=\"file\"><driver type=\"qcow2\"/>"
                              "<source file=\"/srv/x.qcow2\"/></disk>\n");
    free(text);
}

static void builds_the_destination_of_a_device(void **state)
{
    (void)state;
    char *text = NULL;
    assert_int_equal(
        copy_destination((struct xml_source){ "/dev/vg/lv", "raw", true, 0 },
                         &text),
        0);
    assert_non_null(strstr(text, "<disk type=\"block\">"));
    assert_non_null(strstr(text, "<source dev=\"/dev/vg/lv\"/>"));
    free(text);
}

static void expect_destination(struct xml_source source, const char *expected)
{
    char *text = NULL;
    assert_int_equal(copy_destination(source, &text), 0);
    assert_non_null(strchr(text, '\n'));
    assert_string_equal(strchr(text, '\n') + 1, expected);
    free(text);
}

static void builds_the_destination_of_a_part(void **state)
{
    (void)state;
    expect_destination(
        (struct xml_source){ "/dev/vg/lv", "raw", true, 1073741824 },
        "<disk type=\"block\"><driver type=\"raw\"/>"
        "<source dev=\"/dev/vg/lv\"><slices><slice type=\"storage\" "
        "offset=\"0\" size=\"1073741824\"/></slices></source></disk>\n");
}

static void builds_destinations_on_the_network(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"nbd+unix:///e%26'?socket=/run/a%20b",
         "protocol=\"nbd\" name=\"e&amp;'\">"
          "<host transport=\"unix\" socket=\"/run/a b\"/>"                                                },
        { "nbd://[::1]:10810/",
         "protocol=\"nbd\"><host name=\"::1\" port=\"10810\"/>"                                           },
        { "gluster+rdma://h/v/p",               "protocol=\"gluster\" name=\"v/p\">"
                                  "<host name=\"h\" transport=\"rdma\"/>"},
        { "nfs://h/d/a",                        "protocol=\"nfs\" name=\"/d/a\"><host name=\"h\"/>"       },
        { "https://h/a?b&c",                    "protocol=\"https\" name=\"a\" query=\"b&amp;c\">"
                             "<host name=\"h\"/>"                             },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *expected =
            str_printf("<disk type=\"network\"><driver type=\"raw\"/>"
                       "<source %s</source></disk>\n",
                       cases[i][1]);
        expect_destination((struct xml_source){ cases[i][0], "raw", false, 0 },
                           expected);
        free(expected);
    }
    expect_destination((struct xml_source){ "rbd:///p/i", "raw", false, 0 },
                       "<disk type=\"network\"><driver type=\"raw\"/>"
                       "<source protocol=\"rbd\" name=\"p/i\"/></disk>\n");
}

static void a_snapshot_names_all_disks(void **state)
{
    (void)state;
    static const struct xml_overlay overlays[] = {
        {"vda",  { NULL, NULL, false, 0 }            },
        { "vdb", { "/o\"v", "qcow2", false, 0 }      },
        { "vdc", { "/dev/lv", "qcow2", true, 0 }     },
        { "vdd", { "nbd://h:1/e", "qcow2", false, 0 }},
    };
    char *text = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(xml_snapshot(overlays, 4, &text, &err), 0);
    assert_string_equal(
        strchr(text, '\n') + 1,
        "<domainsnapshot><disks><disk name=\"vda\" snapshot=\"no\"/>"
        "<disk name=\"vdb\" snapshot=\"external\" type=\"file\">"
        "<driver type=\"qcow2\"/><source file=\"/o&quot;v\"/></disk>"
        "<disk name=\"vdc\" snapshot=\"external\" type=\"block\">"
        "<driver type=\"qcow2\"/><source dev=\"/dev/lv\"/></disk>"
        "<disk name=\"vdd\" snapshot=\"external\" type=\"network\">"
        "<driver type=\"qcow2\"/><source protocol=\"nbd\" name=\"e\">"
        "<host name=\"h\" port=\"1\"/></source></disk>"
        "</disks></domainsnapshot>\n");
    free(text);
    const struct xml_overlay bad = {
        "vda", {"/a\n", "qcow2", false, 0}
    };
    text = NULL;
    assert_int_equal(xml_snapshot(&bad, 1, &text, &err), -EINVAL);
    assert_null(text);
}

/* Puts the <disk> into a VM and reads it with the reader. */
static void expect_path(const char *disk_xml, const char *path)
{
    const char *disk = strstr(disk_xml, "<disk");
    assert_non_null(disk);
    char *xml = str_printf("<domain><devices>%s</devices></domain>", disk);
    struct xml_disk *disks = NULL;
    size_t n = 0;
    struct err err = ERR_INIT;
    assert_int_equal(xml_disks(xml, &disks, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_string_equal(disks[0].disk.path, path);
    free(disks);
    free(xml);
}

static void escapes_hostile_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hostile_paths); i++) {
        char *text = NULL;
        assert_int_equal(
            copy_destination(
                (struct xml_source){ hostile_paths[i], "raw", false, 0 },
                &text),
            0);
        expect_path(text, hostile_paths[i]);
        free(text);
    }
}

static void refuses_paths_and_formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused_paths); i++) {
        char *text = NULL;
        struct err err = ERR_INIT;
        struct xml_source source = { refused_paths[i], "raw", false, 0 };
        assert_int_equal(copy_destination(source, &text), -EINVAL);
        assert_int_equal(
            xml_set_source(PERSISTENT, "vda", &source, &text, &err), -EINVAL);
        assert_null(text);
        assert_int_equal(err.rc, -EINVAL);
    }
    char *text = NULL;
    assert_int_equal(
        copy_destination((struct xml_source){ "/a", "", false, 0 }, &text),
        -EINVAL);
    assert_int_equal(
        copy_destination((struct xml_source){ "/a", "r\naw", false, 0 }, &text),
        -EINVAL);
}

static struct xml_disk read_back(const char *xml, const char *target)
{
    struct err err = ERR_INIT;
    struct xml_disk disk;
    assert_int_equal(xml_disk(xml, target, &disk, &err), 0);
    return disk;
}

static char *set_source(const char *xml, const char *target,
                        struct xml_source source)
{
    char *text = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(xml_set_source(xml, target, &source, &text, &err), 0);
    assert_non_null(text);
    return text;
}

static void replaces_the_source_of_one_disk(void **state)
{
    (void)state;
    char *text = set_source(PERSISTENT, "vda",
                            (struct xml_source){ "/new/x", "qcow2", false, 0 });
    struct xml_disk disk = read_back(text, "vda");
    assert_string_equal(disk.disk.path, "/new/x");
    assert_string_equal(disk.disk.format, "qcow2");
    assert_string_equal(disk.disk.type, "file");
    assert_string_equal(disk.disk.serial, "SER1");
    assert_non_null(strstr(text, "cache=\"none\""));
    assert_string_equal(read_back(text, "vdb").disk.path,
                        "/srv/img/n-leaf.qcow2");
    assert_string_equal(read_back(text, "hda").disk.device, "cdrom");
    free(text);
}

static void replaces_by_hostile_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hostile_paths); i++) {
        char *text = set_source(
            PERSISTENT, "vdb",
            (struct xml_source){ hostile_paths[i], "raw", false, 0 });
        assert_string_equal(read_back(text, "vdb").disk.path, hostile_paths[i]);
        assert_string_equal(read_back(text, "vda").disk.path,
                            "/srv/img/n-a.raw");
        free(text);
    }
}

static void turns_a_file_into_a_device(void **state)
{
    (void)state;
    char *text = set_source(
        PERSISTENT, "vda", (struct xml_source){ "/dev/vg/lv", "raw", true, 0 });
    struct xml_disk disk = read_back(text, "vda");
    assert_string_equal(disk.disk.type, "block");
    assert_string_equal(disk.disk.path, "/dev/vg/lv");
    assert_null(strstr(text, "n-a.raw"));
    free(text);
}

static void drops_what_described_the_old_source(void **state)
{
    (void)state;
    static const char xml[] =
        "<domain><devices><disk type='network'>"
        "<source protocol='nbd' name='old' index='3'><host name='h'/>"
        "<slices><slice type='storage' offset='0' size='1'/></slices>"
        "<seclabel model='dac' relabel='no'/></source>"
        "<backingStore type='file'><source file='/old/base'/>"
        "<backingStore/></backingStore>"
        "<mirror type='file' job='copy'><source file='/m'/></mirror>"
        "<target dev='vda' bus='virtio'/><boot order='1'/></disk></devices>"
        "</domain>";
    char *text =
        set_source(xml, "vda", (struct xml_source){ "/new", "raw", false, 0 });
    assert_string_equal(
        strstr(text, "<domain>"),
        "<domain><devices><disk type=\"file\">"
        "<source file=\"/new\"><seclabel model=\"dac\" relabel=\"no\"/>"
        "</source><target dev=\"vda\" bus=\"virtio\"/><boot order=\"1\"/>"
        "<driver name=\"qemu\" type=\"raw\"/></disk></devices></domain>\n");
    free(text);
}

static void goes_to_the_network_and_back(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct xml_source uri = { "nbd+unix:///e?socket=/s", "raw", false, 0 };
    char *text = set_source(PERSISTENT, "vda", uri), *again = NULL;
    struct xml_disk disk = read_back(text, "vda");
    assert_string_equal(disk.disk.path, uri.path);
    assert_string_equal(disk.disk.type, "network");
    assert_string_equal(disk.disk.serial, "SER1");
    assert_non_null(strstr(text, "cache=\"none\""));
    assert_int_equal(xml_set_source(text, "vda", &uri, &again, &err),
                     XML_UNCHANGED);
    again = set_source(text, "vda",
                       (struct xml_source){ "/srv/img/a", "raw", false, 0 });
    disk = read_back(again, "vda");
    assert_string_equal(disk.disk.path, "/srv/img/a");
    assert_string_equal(disk.disk.type, "file");
    assert_null(strstr(again, "nbd"));
    free(text);
    free(again);
}

static void keeps_to_a_part_of_a_device(void **state)
{
    (void)state;
    char *text = set_source(PERSISTENT, "vda",
                            (struct xml_source){ "/dev/x", "raw", true, 4096 });
    assert_int_equal(read_back(text, "vda").slice, 4096);
    free(text);
}

static void gives_an_empty_drive_a_source(void **state)
{
    (void)state;
    char *text = set_source(PERSISTENT, "hda",
                            (struct xml_source){ "/new.iso", "raw", false, 0 });
    assert_string_equal(read_back(text, "hda").disk.path, "/new.iso");
    free(text);
}

static void keeps_the_rest_of_the_definition(void **state)
{
    (void)state;
    static const char xml[] =
        "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
        "<name>n</name><metadata><x:y xmlns:x='urn:x' a='&lt;&quot;'/>"
        "</metadata><devices><disk type='file'><source file='/old'/>"
        "<target dev='vda'/></disk><graphics passwd='s&amp;t'/></devices>"
        "<qemu:commandline><qemu:arg value='-S'/></qemu:commandline></domain>";
    char *text =
        set_source(xml, "vda", (struct xml_source){ "/new", "raw", false, 0 });
    assert_non_null(strstr(text, "<x:y xmlns:x=\"urn:x\" a=\"&lt;&quot;\"/>"));
    assert_non_null(strstr(text, "<graphics passwd=\"s&amp;t\"/>"));
    assert_non_null(strstr(text, "<qemu:arg value=\"-S\"/>"));
    assert_non_null(strstr(
        text, "xmlns:qemu=\"http://libvirt.org/schemas/domain/qemu/1.0\""));
    free(text);
}

static void leaves_alone_what_says_so_already(void **state)
{
    (void)state;
    struct xml_source source = { "/srv/img/n-a.raw", "raw", false, 0 };
    char *text = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(xml_set_source(PERSISTENT, "vda", &source, &text, &err),
                     XML_UNCHANGED);
    assert_null(text);
    source.format = "qcow2";
    assert_int_equal(xml_set_source(PERSISTENT, "vda", &source, &text, &err),
                     0);
    free(text);
    text = NULL;
    source = (struct xml_source){ "/srv/img/n-a.raw", "raw", true, 0 };
    assert_int_equal(xml_set_source(PERSISTENT, "vda", &source, &text, &err),
                     0);
    free(text);
}

static void says_when_there_is_no_such_disk(void **state)
{
    (void)state;
    struct xml_source source = { "/x", "raw", false, 0 };
    char *text = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(xml_set_source(PERSISTENT, "vdz", &source, &text, &err),
                     XML_NO_DISK);
    assert_int_equal(xml_set_source("<x/>", "vda", &source, &text, &err),
                     -EBADMSG);
    assert_null(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_the_destination_of_a_file),
        cmocka_unit_test(builds_the_destination_of_a_device),
        cmocka_unit_test(escapes_hostile_paths),
        cmocka_unit_test(refuses_paths_and_formats),
        cmocka_unit_test(replaces_the_source_of_one_disk),
        cmocka_unit_test(replaces_by_hostile_paths),
        cmocka_unit_test(turns_a_file_into_a_device),
        cmocka_unit_test(drops_what_described_the_old_source),
        cmocka_unit_test(builds_the_destination_of_a_part),
        cmocka_unit_test(builds_destinations_on_the_network),
        cmocka_unit_test(a_snapshot_names_all_disks),
        cmocka_unit_test(goes_to_the_network_and_back),
        cmocka_unit_test(keeps_to_a_part_of_a_device),
        cmocka_unit_test(gives_an_empty_drive_a_source),
        cmocka_unit_test(keeps_the_rest_of_the_definition),
        cmocka_unit_test(leaves_alone_what_says_so_already),
        cmocka_unit_test(says_when_there_is_no_such_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
