/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/virt/reasons.h"
#include <dray/base/util.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char VM[] = "0536f2c9-4319-4e9b-8b89-3db773cfe0c5";

/* As qemu 7.2 sent it through libvirt 9.0. */
static const char NO_SPACE[] =
    "{\"device\":\"copy-sda-libvirt-2-format\",\"len\":16777216,"
    "\"offset\":11534336,\"speed\":0,\"type\":\"mirror\","
    "\"error\":\"No space left on device\"}";
static const char ENDED_WELL[] =
    "{\"device\":\"copy-sda-libvirt-2-format\",\"len\":1,\"offset\":1,"
    "\"speed\":0,\"type\":\"mirror\"}";

static int setup(void **state)
{
    struct reasons *reasons = NULL;
    int rc = reasons_new(&reasons);
    *state = reasons;
    return rc;
}

static int teardown(void **state)
{
    reasons_free(*state);
    return 0;
}

static void expect(struct reasons *reasons, const char *vm, const char *target,
                   const char *text)
{
    char found[64] = "unset";
    reasons_get(reasons, vm, target, 0, found, sizeof(found));
    assert_string_equal(found, text);
}

/* True: for want of space. */
static bool note(struct reasons *reasons, const char *event)
{
    char ignored[DISK_TARGET_SIZE];
    return reasons_note(reasons, VM, event, ignored);
}

static void keeps_the_reason_of_a_disk(void **state)
{
    note(*state, NO_SPACE);
    expect(*state, VM, "sda", "No space left on device");
    expect(*state, VM, "vda", "");
    expect(*state, UUID_BLANK, "sda", "");
}

static void a_good_end_replaces_it(void **state)
{
    note(*state, NO_SPACE);
    note(*state, ENDED_WELL);
    expect(*state, VM, "sda", "");
}

static void a_new_job_voids_it(void **state)
{
    note(*state, NO_SPACE);
    reasons_forget(*state, VM, "sda");
    expect(*state, VM, "sda", "");
    reasons_forget(*state, VM, "nope");
}

static void tells_a_lack_of_space(void **state)
{
    char target[DISK_TARGET_SIZE] = "unset";
    assert_true(reasons_note(*state, VM, NO_SPACE, target));
    assert_string_equal(target, "sda");
    assert_false(reasons_note(*state, VM, ENDED_WELL, target));
    assert_string_equal(target, "sda");
    assert_false(note(*state, "{\"device\":\"copy-sda-libvirt-2-format\","
                              "\"error\":\"Input/output error\"}"));
    /* of no disk that we know */
    assert_true(reasons_note(
        *state, VM,
        "{\"device\":\"copy-name-of-thirty-two-bytes-or-more-libvirt-2\","
        "\"error\":\"No space left on device\"}",
        target));
    assert_string_equal(target, "");
    assert_false(reasons_note(*state, VM, "nonsense", target));
    assert_string_equal(target, "");
}

static void takes_the_target_from_the_jobs_name(void **state)
{
    static const char *const cases[][2] = {
        {"commit-vda-libvirt-12-format", "vda"  },
        { "pull-xvdaa-libvirt-1-format", "xvdaa"},
        { "copy-sdb-libvirt-3-storage",  "sdb"  },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *event = str_printf("{\"device\":\"%s\",\"error\":\"e%zu\"}",
                                 cases[i][0], i);
        char text[8];
        assert_true(str_format(text, sizeof(text), "e%zu", i));
        note(*state, event);
        expect(*state, VM, cases[i][1], text);
        free(event);
    }
}

static void ignores_what_is_no_event(void **state)
{
    static const char *const events[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "{\"device\":7,\"error\":\"x\"}",
        "{\"device\":\"\",\"error\":\"x\"}",
        "{\"device\":\"copy\",\"error\":\"x\"}",
        "{\"device\":\"copy-\",\"error\":\"x\"}",
        "{\"device\":\"copy--libvirt-2\",\"error\":\"x\"}",
        "{\"device\":\"drive-virtio-disk0\",\"error\":\"x\"}",
        "{\"device\":\"copy-name-of-thirty-two-bytes-or-more-libvirt-2\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        note(*state, events[i]);
    expect(*state, VM, "", "");
    expect(*state, VM, "virtio", "");
}

static void cuts_off_long_texts(void **state)
{
    char *event = str_printf("{\"device\":\"copy-vda-libvirt-1-format\","
                             "\"error\":\"%0999d\"}",
                             1);
    note(*state, event);
    char found[2048];
    reasons_get(*state, VM, "vda", 0, found, sizeof(found));
    assert_int_equal(strlen(found), 255);
    free(event);
}

static void the_oldest_makes_room(void **state)
{
    enum {
        MANY = 300,
        KEPT = 256
    };
    for (int i = 0; i < MANY; i++) {
        char *event = str_printf(
            "{\"device\":\"copy-d%d-libvirt-1-format\",\"error\":\"e\"}", i);
        note(*state, event);
        free(event);
    }
    for (int i = 0; i < MANY; i++) {
        char target[8];
        assert_true(str_format(target, sizeof(target), "d%d", i));
        expect(*state, VM, target, i < MANY - KEPT ? "" : "e");
    }
}

static void *note_later(void *reasons)
{
    note(reasons, NO_SPACE);
    return NULL;
}

static void waits_for_an_event_on_its_way(void **state)
{
    for (int i = 0; i < 100; i++) {
        reasons_forget(*state, VM, "sda");
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, note_later, *state), 0);
        char found[64];
        reasons_get(*state, VM, "sda", 20000, found, sizeof(found));
        assert_string_equal(found, "No space left on device");
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

static void waits_no_longer_than_told(void **state)
{
    char found[64];
    int64_t start = time_now_ms();
    reasons_get(*state, VM, "sda", 30, found, sizeof(found));
    int64_t took = time_now_ms() - start;
    assert_in_range(took, 29, 5000);
    assert_string_equal(found, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(keeps_the_reason_of_a_disk),
        TEST(a_good_end_replaces_it),
        TEST(a_new_job_voids_it),
        TEST(tells_a_lack_of_space),
        TEST(takes_the_target_from_the_jobs_name),
        TEST(ignores_what_is_no_event),
        TEST(cuts_off_long_texts),
        TEST(the_oldest_makes_room),
        TEST(waits_for_an_event_on_its_way),
        TEST(waits_no_longer_than_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
