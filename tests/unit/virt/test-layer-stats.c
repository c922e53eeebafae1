/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Layers from the XML and their sizes from the statistics, as libvirt 9.0.0
 * hands them out.
 */
#include "../../../src/virt/layers.h"
#include "../../../src/virt/xml.h"
#include "samples.h"

#include <dray/base/util.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct stats {
    virTypedParameterPtr params;
    int n, room;
    unsigned count;
};

/* "block.N.what", of the entry that was begun last. */
static const char *name_of(const struct stats *stats, const char *what,
                           char ret_name[64])
{
    assert_true(
        str_format(ret_name, 64, "block.%u.%s", stats->count - 1, what));
    return ret_name;
}

static void begin(struct stats *stats, const char *target, unsigned index)
{
    char name[64];
    stats->count++;
    assert_int_equal(
        virTypedParamsAddString(&stats->params, &stats->n, &stats->room,
                                name_of(stats, "name", name), target),
        0);
    if (index)
        assert_int_equal(
            virTypedParamsAddUInt(&stats->params, &stats->n, &stats->room,
                                  name_of(stats, "backingIndex", name), index),
            0);
}

static void add(struct stats *stats, const char *what, uint64_t value)
{
    char name[64];
    assert_int_equal(virTypedParamsAddULLong(&stats->params, &stats->n,
                                             &stats->room,
                                             name_of(stats, what, name), value),
                     0);
}

static void add_sizes(struct stats *stats, uint64_t allocation,
                      uint64_t physical, uint64_t threshold)
{
    add(stats, "allocation", allocation);
    add(stats, "capacity", 67108864);
    add(stats, "physical", physical);
    if (threshold)
        add(stats, "threshold", threshold);
}

static int end(struct stats *stats, struct vm_layer *layers, size_t n)
{
    assert_int_equal(virTypedParamsAddUInt(&stats->params, &stats->n,
                                           &stats->room, "block.count",
                                           stats->count),
                     0);
    int rc = layers_add_stats(layers, n, stats->params, stats->n);
    virTypedParamsFree(stats->params, stats->n);
    return rc;
}

/* The caller frees them. */
static struct vm_layer *layers_of(const char *xml, size_t *ret_n)
{
    struct vm_layer *layers = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(xml_open_layers(xml, &layers, ret_n, &err), 0);
    return layers;
}

struct expected {
    const char *node, *target;
    bool replica;
    size_t depth;
    const char *format, *path;
};

static void expect(const char *xml, const struct expected *expected, size_t n)
{
    size_t found_n = 0;
    struct vm_layer *found = layers_of(xml, &found_n);
    assert_int_equal(found_n, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(found[i].node, expected[i].node);
        assert_string_equal(found[i].target, expected[i].target);
        assert_int_equal(found[i].replica, expected[i].replica);
        assert_int_equal(found[i].depth, expected[i].depth);
        assert_int_equal(found[i].block,
                         str_starts_with(expected[i].path, "/dev/"));
        assert_string_equal(found[i].format, expected[i].format);
        assert_string_equal(found[i].path, expected[i].path);
        assert_int_equal(found[i].capacity | found[i].physical |
                             found[i].allocation | found[i].threshold,
                         0);
    }
    free(found);
}

static void copies_are_replicas(void **state)
{
    static const struct expected expected[] = {
        {"vda[4]",   "vda", false, 0, "raw",   "/srv/img/a.raw"       },
        { "vda[7]",  "vda", true,  0, "raw",   "/srv/img/n-a.raw"     },
        { "vdb[3]",  "vdb", false, 0, "qcow2", "/srv/img/leaf.qcow2"  },
        { "vdb[5]",  "vdb", false, 1, "qcow2", "/srv/img/mid.qcow2"   },
        { "vdb[6]",  "vdb", false, 2, "qcow2", "/srv/img/base.qcow2"  },
        { "vdb[8]",  "vdb", true,  0, "qcow2", "/srv/img/n-leaf.qcow2"},
        { "vdb[9]",  "vdb", true,  1, "qcow2", "/srv/img/n-mid.qcow2" },
        { "vdb[10]", "vdb", true,  2, "qcow2", "/srv/img/n-base.qcow2"},
        { "sda[2]",  "sda", false, 0, "raw",   "/srv/img/s.raw"       },
    };
    (void)state;
    expect(LIVE_COPYING, expected, ARRAY_SIZE(expected));
}

static void the_base_of_a_commit_is_no_replica(void **state)
{
    static const struct expected expected[] = {
        {"vda[12]",  "vda", false, 0, "qcow2", "/srv/img/a.snap"      },
        { "vda[7]",  "vda", false, 1, "raw",   "/srv/img/n-a.raw"     },
        { "vdb[8]",  "vdb", false, 0, "qcow2", "/srv/img/n-leaf.qcow2"},
        { "vdb[9]",  "vdb", false, 1, "qcow2", "/srv/img/n-mid.qcow2" },
        { "vdb[10]", "vdb", false, 2, "qcow2", "/srv/img/n-base.qcow2"},
        { "sda[2]",  "sda", false, 0, "raw",   "/srv/img/s.raw"       },
    };
    (void)state;
    expect(LIVE_COMMIT, expected, ARRAY_SIZE(expected));
}

static void layers_are_files_devices_or_exports(void **state)
{
    static const struct expected expected[] = {
        {"vda[8]",  "vda", false, 0, "raw",
         "nbd+unix:///a%20%2541?socket=/run/vm%20a%20%254.s"},
        { "vdb[7]", "vdb", false, 0, "qcow2",
         "nbd+unix:///over?socket=/run/vm%20over.s"         },
        { "vdb[3]", "vdb", false, 1, "qcow2", "/srv/leaf"   },
        { "vdb[5]", "vdb", false, 2, "qcow2", "/srv/mid"    },
        { "vdb[6]", "vdb", false, 3, "qcow2", "/srv/base"   },
        { "sda[9]", "sda", false, 0, "raw",   "/dev/loop7"  },
    };
    (void)state;
    expect(LIVE_NETWORK, expected, ARRAY_SIZE(expected));
}

static void a_vm_that_is_off_has_no_layers(void **state)
{
    (void)state;
    expect(PERSISTENT, NULL, 0);
}

/* "vda[0]" is another name of the leaf in libvirt. */
static void a_layer_without_a_number_is_left_out(void **state)
{
    static const struct expected expected[] = {
        {"vda[4]",  "vda", false, 0, "qcow2", "/a"},
        { "vda[6]", "vda", false, 2, "qcow2", "/c"},
    };
    (void)state;
    expect("<domain><devices><disk type='file'><driver type='qcow2'/>"
           "<source file='/a' index='4'/><backingStore type='file'>"
           "<format type='qcow2'/><source file='/b'/>"
           "<backingStore type='file' index='6'><format type='qcow2'/>"
           "<source file='/c'/><backingStore/></backingStore></backingStore>"
           "<target dev='vda'/></disk></devices></domain>",
           expected, ARRAY_SIZE(expected));
}

static void what_is_no_definition_is_refused(void **state)
{
    static const char *const texts[] = { "", "<domain>", "nonsense" };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct vm_layer *layers = NULL;
        size_t n = 0;
        struct err err = ERR_INIT;
        assert_int_equal(xml_open_layers(texts[i], &layers, &n, &err),
                         -EBADMSG);
    }
    struct vm_layer *layers = NULL;
    char xml[4096];
    size_t n = 0;
    assert_true(str_format(xml, sizeof(xml),
                           "<domain><devices><disk><source file='/a' "
                           "index='1'/><target dev='%0*d'/></disk></devices>"
                           "</domain>",
                           DISK_TARGET_SIZE, 1));
    assert_int_equal(xml_open_layers(xml, &layers, &n, NULL), -ENAMETOOLONG);
}

/* Captured while a shallow mirror of vda ran, then made fit LIVE_COPYING: its
 * order, an empty drive, no entries for what is below the replica's leaf. */
static void add_live(struct stats *stats)
{
    static const struct {
        const char *target;
        unsigned index;
        uint64_t allocation, physical, threshold;
    } entries[] = {
        {"vda",  4, 1048576,  33554432, 0      },
        { "vda", 7, 524288,   8388608,  7340032},
        { "vdb", 3, 6619136,  8388608,  6000000},
        { "vdb", 5, 0,        67108864, 0      },
        { "vdb", 6, 0,        1,        0      },
        { "vdb", 8, 22347776, 8388608,  0      },
        { "sda", 2, 0,        2,        0      },
    };
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        begin(stats, entries[i].target, entries[i].index);
        add(stats, "rd.reqs", 1);
        add(stats, "wr.bytes", 99);
        add_sizes(stats, entries[i].allocation, entries[i].physical,
                  entries[i].threshold);
    }
    begin(stats, "hda", 0);
    add(stats, "rd.reqs", 0);
}

static void sizes_go_to_their_layers(void **state)
{
    struct stats stats = { 0 };
    size_t n = 0;
    struct vm_layer *layers = layers_of(LIVE_COPYING, &n);
    (void)state;
    add_live(&stats);
    assert_int_equal(end(&stats, layers, n), 0);
    assert_string_equal(layers[1].node, "vda[7]");
    assert_int_equal(layers[1].allocation, 524288);
    assert_int_equal(layers[1].physical, 8388608);
    assert_int_equal(layers[1].threshold, 7340032);
    assert_int_equal(layers[1].capacity, 67108864);
    assert_string_equal(layers[2].node, "vdb[3]");
    assert_int_equal(layers[2].allocation, 6619136);
    assert_int_equal(layers[2].threshold, 6000000);
    assert_int_equal(layers[4].physical, 1);
    assert_string_equal(layers[5].node, "vdb[8]");
    assert_int_equal(layers[5].allocation, 22347776);
    assert_int_equal(layers[5].threshold, 0);
    assert_true(layers[6].replica);
    assert_int_equal(layers[6].capacity | layers[6].physical, 0);
    assert_int_equal(layers[8].physical, 2);
    free(layers);
}

/* Then libvirt tells names and indices only. */
static void nothing_is_known_when_qemu_was_not_asked(void **state)
{
    struct stats stats = { 0 }, none = { 0 };
    size_t n = 0;
    struct vm_layer *layers = layers_of(LIVE_BEFORE, &n);
    (void)state;
    begin(&stats, "vda", 4);
    begin(&stats, "vdb", 3);
    begin(&stats, "sda", 2);
    assert_int_equal(end(&stats, layers, n), LAYERS_SILENT);
    assert_int_equal(end(&none, layers, n), LAYERS_SILENT);
    free(layers);
}

static void other_layers_than_the_xml_says_are_noticed(void **state)
{
    struct stats more = { 0 }, fewer = { 0 };
    size_t n = 0;
    struct vm_layer *layers = layers_of(LIVE_COPYING, &n);
    (void)state;
    add_live(&more);
    begin(&more, "vda", 11);
    assert_int_equal(end(&more, layers, n), LAYERS_CHANGED);
    assert_int_equal(layers[2].allocation, 6619136); /* all others are right */
    free(layers);
    layers = layers_of(LIVE_COPYING, &n);
    begin(&fewer, "vdb", 5); /* but no leaf */
    add(&fewer, "rd.reqs", 1);
    add_sizes(&fewer, 0, 1, 0);
    assert_int_equal(end(&fewer, layers, n), LAYERS_CHANGED);
    free(layers);
}

static void what_has_another_type_is_unknown(void **state)
{
    struct stats stats = { 0 };
    size_t n = 0;
    struct vm_layer *layers = layers_of(LIVE_NETWORK, &n);
    (void)state;
    begin(&stats, "vda", 8);
    add(&stats, "rd.reqs", 1);
    assert_int_equal(virTypedParamsAddString(&stats.params, &stats.n,
                                             &stats.room, "block.0.allocation",
                                             "7"),
                     0);
    add(&stats, "physical", 5);
    assert_int_equal(end(&stats, layers, n), LAYERS_CHANGED);
    assert_int_equal(layers[0].allocation, 0);
    assert_int_equal(layers[0].physical, 5);
    free(layers);
}

static int start_library(void **state)
{
    (void)state;
    return virInitialize();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_replicas),
        cmocka_unit_test(the_base_of_a_commit_is_no_replica),
        cmocka_unit_test(layers_are_files_devices_or_exports),
        cmocka_unit_test(a_vm_that_is_off_has_no_layers),
        cmocka_unit_test(a_layer_without_a_number_is_left_out),
        cmocka_unit_test(what_is_no_definition_is_refused),
        cmocka_unit_test(sizes_go_to_their_layers),
        cmocka_unit_test(nothing_is_known_when_qemu_was_not_asked),
        cmocka_unit_test(other_layers_than_the_xml_says_are_noticed),
        cmocka_unit_test(what_has_another_type_is_unknown),
    };
    return cmocka_run_group_tests(tests, start_library, NULL);
}
