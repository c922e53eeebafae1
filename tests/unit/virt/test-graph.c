/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/virt/graph.h"
#include "samples.h"
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *blocks, const char *alias, const char *path)
{
    char found[PATH_MAX] = "unset";
    struct err err = ERR_INIT;
    int rc = graph_disk_path(blocks, NULL, alias, found, &err);
    if (rc)
        print_message("%s: %d %s\n", alias, rc, err.message);
    assert_int_equal(rc, 0);
    assert_string_equal(found, path);
}

static void finds_the_file_of_each_device(void **state)
{
    (void)state;
    expect(BLOCKS_BEFORE, "virtio-disk0", "/srv/img/a.raw");
    expect(BLOCKS_BEFORE, "virtio-disk1", "/srv/img/leaf.qcow2");
    expect(BLOCKS_BEFORE, "ua-mydisk", "/srv/img/s.raw");
}

static void a_mirror_does_not_change_what_is_written(void **state)
{
    (void)state;
    expect(BLOCKS_COPYING, "virtio-disk0", "/srv/img/a.raw");
    expect(BLOCKS_COPYING, "virtio-disk1", "/srv/img/leaf.qcow2");
}

static void after_the_pivot_the_destination_is_written(void **state)
{
    (void)state;
    expect(BLOCKS_AFTER, "virtio-disk0", "/srv/img/n-a.raw");
    expect(BLOCKS_AFTER, "virtio-disk1", "/srv/img/n-leaf.qcow2");
    expect(BLOCKS_AFTER, "ua-mydisk", "/srv/img/s.raw");
}

static void an_empty_drive_has_no_file(void **state)
{
    (void)state;
    expect(BLOCKS_BEFORE, "ide0-0-0", "");
}

static void an_alias_is_matched_whole(void **state)
{
    (void)state;
    static const char *const strangers[] = {
        "virtio-disk",        "virtio-disk00", "disk0", "",
        "machine/peripheral", "virtio-disk2"
    };
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
        char path[PATH_MAX];
        struct err err = ERR_INIT;
        assert_int_equal(
            graph_disk_path(BLOCKS_BEFORE, NULL, strangers[i], path, &err),
            GRAPH_NO_DISK);
    }
}

/* One device "d" whose inserted.file is @file, as JSON. */
static void expect_file(const char *file, const char *path)
{
    char *blocks =
        str_printf("{\"return\":[{\"qdev\":\"d\",\"inserted\":{\"node-name\":"
                   "\"libvirt-7-format\",\"file\":\"%s\"}}]}",
                   file);
    expect(blocks, "d", path);
    free(blocks);
}

static void looks_through_filters(void **state)
{
    (void)state;
    expect_file("json:{\\\"driver\\\":\\\"mirror_top\\\",\\\"backing\\\":"
                "{\\\"driver\\\":\\\"qcow2\\\",\\\"file\\\":"
                "{\\\"driver\\\":\\\"file\\\",\\\"filename\\\":\\\"/s\\\"},"
                "\\\"backing\\\":{\\\"driver\\\":\\\"raw\\\",\\\"file\\\":"
                "{\\\"filename\\\":\\\"/base\\\"}}}}",
                "/s");
    expect_file("json:{\\\"driver\\\":\\\"throttle\\\",\\\"file\\\":"
                "{\\\"driver\\\":\\\"raw\\\",\\\"offset\\\":0,\\\"file\\\":"
                "{\\\"driver\\\":\\\"host_device\\\",\\\"filename\\\":"
                "\\\"/dev/x\\\"}}}",
                "/dev/x");
    expect_file("nbd+unix:///x?socket=/run/s", "nbd+unix:///x?socket=/run/s");
}

static void knows_a_device_by_its_old_name(void **state)
{
    (void)state;
    static const char blocks[] =
        "{\"return\":[{\"device\":\"drive-virtio-disk0\","
        "\"inserted\":{\"file\":\"/old\"}}]}";
    expect(blocks, "virtio-disk0", "/old");
}

/* qemu cuts names off after 4 KiB. */
static void asks_for_nodes_when_the_name_is_cut_off(void **state)
{
    (void)state;
    static const char blocks[] =
        "{\"return\":[{\"qdev\":\"d\",\"inserted\":{\"node-name\":"
        "\"libvirt-3-format\",\"file\":\"json:{\\\"backing\\\":{...\"}}]}";
    char path[PATH_MAX] = "unset";
    struct err err = ERR_INIT;
    assert_int_equal(graph_disk_path(blocks, NULL, "d", path, &err),
                     GRAPH_NEED_NODES);
    assert_string_equal(path, "unset");
    assert_int_equal(graph_disk_path(blocks, NODES_COPYING, "d", path, &err),
                     0);
    assert_string_equal(path, "/srv/img/leaf.qcow2");
}

static void fails_when_no_node_has_the_file(void **state)
{
    (void)state;
    static const char *const nodes[] = { "libvirt-99-format", "other", "" };
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
        char *blocks = str_printf(
            "{\"return\":[{\"qdev\":\"d\",\"inserted\":{\"node-name\":"
            "\"%s\",\"file\":\"json:{...\"}}]}",
            nodes[i]);
        char path[PATH_MAX];
        struct err err = ERR_INIT;
        assert_int_equal(
            graph_disk_path(blocks, NODES_COPYING, "d", path, &err), -EBADMSG);
        free(blocks);
    }
}

static void refuses_what_is_no_answer(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "",
        "{",
        "null",
        "[]",
        "{\"return\":{}}",
        "{}",
        "12",
        "\"x\"",
        "{\"return\":1}",
        "{\"error\":{\"class\":\"x\",\"desc\":\"no such command\"}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        char path[PATH_MAX];
        struct err err = ERR_INIT;
        assert_int_equal(graph_disk_path(answers[i], NULL, "d", path, &err),
                         -EBADMSG);
    }
    struct err err = ERR_INIT;
    char path[PATH_MAX];
    (void)graph_disk_path(answers[9], NULL, "d", path, &err);
    assert_non_null(strstr(err.message, "no such command"));
}

static void survives_odd_types(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "{\"return\":[null,1,\"x\",[],{},{\"qdev\":1},{\"qdev\":null}]}",
        "{\"return\":[{\"device\":7},{\"inserted\":{}}]}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        char path[PATH_MAX];
        struct err err = ERR_INIT;
        assert_int_equal(graph_disk_path(answers[i], NULL, "d", path, &err),
                         GRAPH_NO_DISK);
    }
    static const char bad[] =
        "{\"return\":[{\"qdev\":\"d\",\"inserted\":{\"file\":[1]}}]}";
    char path[PATH_MAX];
    struct err err = ERR_INIT;
    assert_int_equal(graph_disk_path(bad, NULL, "d", path, &err), -EBADMSG);
}

static void network_disks_are_places(void **state)
{
    (void)state;
    expect(BLOCKS_NETWORK, "virtio-disk0",
           "nbd+unix:///a%20%2541?socket=/run/vm%20a%20%254.s");
    expect(BLOCKS_NETWORK, "virtio-disk1",
           "nbd+unix:///over?socket=/run/vm%20over.s");
    /* of a larger device a part */
    expect(BLOCKS_NETWORK, "ua-s", "/dev/loop7");
}

static void expect_layers(const char *blocks, const char *nodes,
                          const char *alias, const char *expected)
{
    struct vm_layers layers = { 0 };
    struct err err = ERR_INIT;
    char found[4096] = "";
    assert_int_equal(graph_disk_layers(blocks, nodes, alias, &layers, &err), 0);
    for (size_t i = 0; i < layers.n; i++) {
        size_t used = strlen(found);
        assert_true(str_format(found + used, sizeof(found) - used, "%s%s",
                               i ? " " : "", layers.paths[i]));
    }
    assert_string_equal(found, expected);
    vm_layers_deinit(&layers);
    assert_null(layers.paths);
}

static void layers_come_leaf_first(void **state)
{
    (void)state;
    expect_layers(BLOCKS_BEFORE, NULL, "virtio-disk0", "/srv/img/a.raw");
    expect_layers(BLOCKS_BEFORE, NULL, "virtio-disk1",
                  "/srv/img/leaf.qcow2 /srv/img/mid.qcow2 "
                  "/srv/img/base.qcow2");
    expect_layers(BLOCKS_COPYING, NULL, "virtio-disk1",
                  "/srv/img/leaf.qcow2 /srv/img/mid.qcow2 "
                  "/srv/img/base.qcow2");
    expect_layers(BLOCKS_AFTER, NULL, "virtio-disk1",
                  "/srv/img/n-leaf.qcow2 /srv/img/n-mid.qcow2 "
                  "/srv/img/n-base.qcow2");
    expect_layers(BLOCKS_NETWORK, NULL, "virtio-disk1",
                  "nbd+unix:///over?socket=/run/vm%20over.s /srv/leaf "
                  "/srv/mid /srv/base");
    expect_layers(BLOCKS_BEFORE, NULL, "ide0-0-0", "");
}

static void a_filter_is_no_layer(void **state)
{
    (void)state;
    expect_layers(
        "{\"return\":[{\"qdev\":\"d\",\"inserted\":{\"file\":\"/leaf\","
        "\"image\":{\"format\":\"copy-on-read\",\"filename\":"
        "\"/leaf\",\"backing-image\":{\"filename\":\"/leaf\","
        "\"backing-image\":{\"filename\":\"/base\"}}}}}]}",
        NULL, "d", "/leaf /base");
    expect_layers("{\"return\":[{\"qdev\":\"d\",\"inserted\":{\"file\":"
                  "\"/leaf\"}}]}",
                  NULL, "d", "/leaf");
}

/* Names of nodes in NODES_COPYING, cut off. */
static void layers_are_looked_up_when_names_are_cut_off(void **state)
{
    (void)state;
    static const char blocks[] =
        "{\"return\":[{\"qdev\":\"d\",\"inserted\":{\"node-name\":"
        "\"libvirt-3-format\",\"file\":\"json:{3...\",\"image\":{"
        "\"filename\":\"json:{3...\",\"backing-image\":{\"filename\":"
        "\"json:{5...\",\"backing-image\":{\"filename\":\"/base\"}}}}}]}";
    static const char nodes[] =
        "{\"return\":[{\"node-name\":\"#block1\",\"file\":\"json:{5...\"},"
        "{\"node-name\":\"libvirt-3-format\",\"file\":\"json:{3...\"},"
        "{\"node-name\":\"libvirt-3-storage\",\"file\":\"/leaf\"},"
        "{\"node-name\":\"libvirt-5-format\",\"file\":\"json:{5...\"},"
        "{\"node-name\":\"libvirt-5-storage\",\"file\":\"/mid\"}]}";
    struct vm_layers layers = { 0 };
    struct err err = ERR_INIT;
    assert_int_equal(graph_disk_layers(blocks, NULL, "d", &layers, &err),
                     GRAPH_NEED_NODES);
    assert_int_equal(layers.n, 0);
    expect_layers(blocks, nodes, "d", "/leaf /mid /base");
    assert_int_equal(
        graph_disk_layers(blocks, NODES_COPYING, "d", &layers, &err), -EBADMSG);
    assert_int_equal(graph_disk_layers(blocks, "{}", "d", &layers, &err),
                     -EBADMSG);
    assert_int_equal(graph_disk_layers(blocks, nodes, "e", &layers, &err),
                     GRAPH_NO_DISK);
    assert_int_equal(graph_disk_layers("", nodes, "d", &layers, &err),
                     -EBADMSG);
    assert_null(layers.paths);
}

static void a_layer_without_a_name_is_an_error(void **state)
{
    (void)state;
    struct vm_layers layers = { 0 };
    struct err err = ERR_INIT;
    assert_int_equal(
        graph_disk_layers("{\"return\":[{\"qdev\":\"d\",\"inserted\":{\"file\":"
                          "\"/leaf\",\"image\":{\"backing-image\":{}}}}]}",
                          NODES_COPYING, "d", &layers, &err),
        -EBADMSG);
    assert_null(layers.paths);
}

static int top_of(const char *jobs, const char *target, unsigned *ret_index)
{
    struct err err = ERR_INIT;
    return graph_commit_top(jobs, target, ret_index, &err);
}

static void a_commit_is_found_by_its_job(void **state)
{
    (void)state;
    unsigned index = 0;
    assert_int_equal(top_of(JOBS_NETWORK, "vdb", &index), 0);
    assert_int_equal(index, 5);
    assert_int_equal(top_of(JOBS_NETWORK, "vda", &index), GRAPH_NO_JOB);
    assert_int_equal(top_of(JOBS_NETWORK, "vd", &index), GRAPH_NO_JOB);
    assert_int_equal(top_of("{\"return\":[]}", "vdb", &index), GRAPH_NO_JOB);
    assert_int_equal(top_of("{", "vdb", &index), -EBADMSG);
    static const char *const others[] = {
        "copy-vdb-libvirt-5-format",
        "commit-vdb-libvirt-5-storage",
        "commit-vdb-libvirt--format",
        "commit-vdb-libvirt-x-format",
        "commit-vdb-libvirt-5-formatx",
        "commit-vdb-libvirt-5",
        "commit-vdb-libvirt-99999999999-format",
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        char *jobs =
            str_printf("{\"return\":[{\"device\":\"%s\"},{},1]}", others[i]);
        assert_int_equal(top_of(jobs, "vdb", &index), GRAPH_NO_JOB);
        free(jobs);
    }
    assert_int_equal(index, 5);
}

static void the_base_of_a_commit_is_writable(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(graph_is_writable(NODES_NETWORK, 3, &err), 0);
    assert_int_equal(graph_is_writable(NODES_NETWORK, 5, &err), 0);
    assert_int_equal(graph_is_writable(NODES_NETWORK, 6, &err), 1);
    assert_int_equal(graph_is_writable(NODES_NETWORK, 66, &err), 0);
    assert_int_equal(graph_is_writable("[]", 6, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_file_of_each_device),
        cmocka_unit_test(a_mirror_does_not_change_what_is_written),
        cmocka_unit_test(after_the_pivot_the_destination_is_written),
        cmocka_unit_test(an_empty_drive_has_no_file),
        cmocka_unit_test(an_alias_is_matched_whole),
        cmocka_unit_test(looks_through_filters),
        cmocka_unit_test(knows_a_device_by_its_old_name),
        cmocka_unit_test(asks_for_nodes_when_the_name_is_cut_off),
        cmocka_unit_test(fails_when_no_node_has_the_file),
        cmocka_unit_test(refuses_what_is_no_answer),
        cmocka_unit_test(survives_odd_types),
        cmocka_unit_test(network_disks_are_places),
        cmocka_unit_test(layers_come_leaf_first),
        cmocka_unit_test(a_filter_is_no_layer),
        cmocka_unit_test(layers_are_looked_up_when_names_are_cut_off),
        cmocka_unit_test(a_layer_without_a_name_is_an_error),
        cmocka_unit_test(a_commit_is_found_by_its_job),
        cmocka_unit_test(the_base_of_a_commit_is_writable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
